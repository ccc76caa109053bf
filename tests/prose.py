"""The words of comments and docstrings, counted: the house style makes a technical noun the
subject of a sentence, so words that make a person the subject are rare.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# What well-kept code of the field has of these words in 1,000.
GOAL = 0.6

WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")

# "others" is a subject at the start of a clause; after a verb or a preposition it is an object.
_CLAUSE = r"(?:^|[.,;:()]\s+|\b(?:and|but|or|so|that|while|when|where|if|as|because|until)\s+)"
PERSON = re.compile(
    rf"\b(?:who|whoever|somebody|nobody)\b|{_CLAUSE}(?:the\s+|all\s+)?others\s+(?=[a-z])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class WordCount:
    """How many words there are, and how many of them make a person the subject."""

    persons: int = 0
    words: int = 0

    @property
    def per_thousand(self) -> float:
        """The words for persons in 1,000 words; 0 where there are no words at all."""
        return 1000 * self.persons / self.words if self.words else 0.0

    def __add__(self, other: WordCount) -> WordCount:
        return WordCount(self.persons + other.persons, self.words + other.words)


def count_words(texts: Iterable[str]) -> WordCount:
    """Count the words of all *texts*."""
    persons = words = 0
    for text in texts:
        persons += len(PERSON.findall(text))
        words += len(WORD.findall(text))
    return WordCount(persons, words)


def prose(source: str) -> Iterator[str]:
    """Return the docstrings of *source*, and its comments, those of adjacent lines as one text."""
    yield from (text for text, _ in docstrings(source))
    block: list[str] = []
    last = -1
    for line, text in comments(source):
        if line != last + 1 and block:
            yield " ".join(block)
            block = []
        block.append(text)
        last = line
    if block:
        yield " ".join(block)


def docstrings(source: str) -> Iterator[tuple[str, range]]:
    """Return each docstring of *source* with the numbers of its lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                first = node.body[0]
                yield text, range(first.lineno, (first.end_lineno or first.lineno) + 1)


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Return the number of the line and the text of each comment; none that rules a tool."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string.lstrip("#").strip()
        if token.type == tokenize.COMMENT and not re.match(r"noqa\b|type:|pragma\b", text):
            yield token.start[0], text


def code_lines(source: str) -> set[int]:
    """Return the numbers of the lines that hold more than comments, docstrings and space."""
    empty = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in empty and token.type != tokenize.ENDMARKER:
            lines.update(range(token.start[0], token.end[0] + 1))
    for _, extent in docstrings(source):
        lines.difference_update(extent)
    return lines
