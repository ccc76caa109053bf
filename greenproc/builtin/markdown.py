"""The Markdown subset of help texts as HTML; pure functions.

Headings, paragraphs, lists, quotes, code, emphasis and links are rendered. Any other syntax, HTML
in particular, is escaped and shown verbatim.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape

_REFERENCE = re.compile(r"^ {0,3}\[(?P<label>(?:\\.|[^\]\\])+)\]: *<?(?P<url>[^\s>]+)>? *$")
_HEADING = re.compile(r"^(?P<level>#{1,6}) +(?P<text>.*?)[ #]*$")
_ITEM = re.compile(r"^ {0,3}[*+-] +(?P<text>.*)$")
_QUOTE = re.compile(r"^ {0,3}> ?(?P<text>.*)$")
_CODE = re.compile(r"^(?: {4}|\t)(?P<text>.*)$")
_FENCE = re.compile(r"^ {0,3}(?P<fence>```+|~~~+)")

_TEXT = r"\[(?P<text>(?:\\.|[^\]\\])*)\]"
_INLINE = re.compile(
    r"`(?P<code>[^`]+)`"
    rf"|{_TEXT}\((?P<url>[^()\s]+)\)".replace("<text>", "<direct>")
    + rf"|{_TEXT}\[(?P<label>(?:\\.|[^\]\\])*)\]"
    r"|\*\*(?P<strong>[^*]+)\*\*"
    r"|\*(?P<emphasis>[^*\s][^*]*)\*"
    r"|<(?P<auto>https?://[^>\s]+)>"
    r"|\\(?P<escaped>[!-/:-@\[-`{-~])"
)
# A URL of another scheme, such as javascript:, would run in the page; it stays text.
_SAFE_URL = re.compile(r"^(?:https?://|[^:]*(?:[/?#]|$))")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


def to_html(markdown: str) -> str:
    """Return *markdown* as an HTML fragment."""
    lines, references = [], {}
    for line in markdown.splitlines():
        match = _REFERENCE.match(line)
        if match:
            references[_plain(match["label"])] = match["url"]
        else:
            lines.append(line)
    return "".join(_Blocks(lines, references).render())


class _Blocks:
    """A single-pass parser from lines to HTML blocks."""

    def __init__(self, lines: list[str], references: dict[str, str]) -> None:
        self._lines = lines
        self._references = references
        self._at = 0

    def render(self) -> Iterator[str]:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if heading := _HEADING.match(line):
                self._at += 1
                level = len(heading["level"])
                yield f"<h{level}>{self._inline(heading['text'])}</h{level}>\n"
            elif fence := _FENCE.match(line):
                yield self._fenced(fence["fence"])
            elif _QUOTE.match(line):
                yield self._quote()
            elif _CODE.match(line) and line.strip():
                yield _code(self._take(_CODE))
            elif _ITEM.match(line):
                items = self._items()
                yield "<ul>" + "".join(f"<li>{self._inline(item)}</li>" for item in items)
                yield "</ul>\n"
            elif line.strip():
                yield f"<p>{self._inline(' '.join(self._paragraph()))}</p>\n"
            else:
                self._at += 1

    def _fenced(self, fence: str) -> str:
        self._at += 1
        body = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            if line.strip() == fence:
                break
            body.append(line)
        return _code(body)

    def _quote(self) -> str:
        """Render a quote with its line breaks; an indented one is code, as in usage lines."""
        quoted = self._take(_QUOTE)
        if all(line.startswith("    ") or not line.strip() for line in quoted):
            return _code([line.strip() for line in quoted])
        told = "<br>\n".join(self._inline(line.strip()) for line in quoted)
        return f"<blockquote>{told}</blockquote>\n"

    def _items(self) -> list[str]:
        """Consume a list; an indented line continues the item before it."""
        items: list[str] = []
        while self._at < len(self._lines) and (line := self._lines[self._at]).strip():
            item = _ITEM.match(line)
            if item:
                items.append(item["text"])
            elif line[0].isspace():
                items[-1] += " " + line.strip()
            else:
                break
            self._at += 1
        return items

    def _paragraph(self) -> list[str]:
        taken: list[str] = []
        while self._at < len(self._lines) and (line := self._lines[self._at]).strip():
            if taken and any(kind.match(line) for kind in (_HEADING, _QUOTE, _ITEM, _FENCE)):
                break
            taken.append(line.strip())
            self._at += 1
        return taken

    def _take(self, kind: re.Pattern[str]) -> list[str]:
        taken: list[str] = []
        while self._at < len(self._lines) and (match := kind.match(self._lines[self._at])):
            taken.append(match["text"])
            self._at += 1
        return taken

    def _inline(self, text: str) -> str:
        parts, end = [], 0
        for match in _INLINE.finditer(text):
            parts += [escape(text[end : match.start()]), self._span(match)]
            end = match.end()
        return "".join([*parts, escape(text[end:])])

    def _span(self, match: re.Match[str]) -> str:
        kind = match.lastgroup
        spans: dict[str | None, Callable[[], str]] = {
            "code": lambda: f"<code>{escape(match['code'])}</code>",
            "url": lambda: self._link(match, match["direct"], match["url"]),
            "label": lambda: self._link(
                match, match["text"], self._references.get(_plain(match["label"] or match["text"]))
            ),
            "strong": lambda: f"<strong>{self._inline(match['strong'])}</strong>",
            "emphasis": lambda: f"<em>{self._inline(match['emphasis'])}</em>",
            "auto": lambda: self._link(match, match["auto"], match["auto"]),
            "escaped": lambda: escape(match["escaped"]),
        }
        return spans[kind]()

    def _link(self, match: re.Match[str], text: str, url: str | None) -> str:
        if url is None or not _SAFE_URL.match(url):
            return escape(match[0])
        return f'<a href="{escape(url)}">{escape(_plain(text))}</a>'


def _code(lines: list[str]) -> str:
    text = "\n".join(lines)
    return f"<pre><code>{escape(text)}\n</code></pre>\n"


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)
