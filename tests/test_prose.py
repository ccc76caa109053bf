"""The words of comments and docstrings are counted as they stand."""

from __future__ import annotations

import pytest

from tests.prose import WordCount, code_lines, comments, count_words, prose


@pytest.mark.parametrize(
    ("text", "persons"),
    [
        ("The parser rejects a head over the limit.", 0),
        ("Who asks too much is refused.", 1),
        ("Whoever waits, and nobody else; somebody waits.", 3),
        ("Others wait.", 1),
        ("One goes on, the others wait.", 1),
        ("It ends and others go on.", 1),
        ("The lock is passed to others at the end.", 0),
        ("It precedes all others.", 0),
        ("Those whose limit is reached; a whole; whoa.", 0),
    ],
)
def test_words_that_make_a_person_the_subject_are_counted(text: str, persons: int) -> None:
    assert count_words([text]).persons == persons


def test_words_are_counted_with_their_hyphens_and_apostrophes() -> None:
    assert count_words(["A keep-alive isn't 2 x_y, é."]) == WordCount(0, 6)


def test_no_words_have_no_share() -> None:
    assert WordCount().per_thousand == 0.0
    assert WordCount(1, 500).per_thousand == 2.0


SOURCE = '''"""Module text."""
# One comment
# of two lines.
x = "# no comment"  # noqa: F401 -- a rule of a tool


def function():
    """Function text."""
    y = """data,
    two lines"""
    return y  # at the end


class Bare:  # type: ignore[misc]
    pass
'''


def test_prose_is_docstrings_and_comments() -> None:
    assert list(prose(SOURCE)) == [
        "Module text.",
        "Function text.",
        "One comment of two lines.",
        "at the end",
    ]


def test_comments_have_their_lines() -> None:
    assert list(comments(SOURCE)) == [
        (2, "One comment"),
        (3, "of two lines."),
        (11, "at the end"),
    ]


def test_lines_of_code_are_without_docstrings_and_comments() -> None:
    assert sorted(code_lines(SOURCE)) == [4, 7, 9, 10, 11, 14, 15]
