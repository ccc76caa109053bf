"""The sessions in the documentation do what they show."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if ">>> " in page.read_text("utf-8")]


def sessions(page: Path) -> doctest.DocTest:
    """Return the sessions of *page* as one, in which later ones use the names of earlier ones."""
    text = page.read_text("utf-8")
    name = str(page.relative_to(DOCS))
    return doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, name, str(page), 0)


def test_there_are_pages_with_sessions() -> None:
    assert DOCS / "tutorial" / "futures.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_what_happens(page: Path) -> None:
    complaints: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)

    runner.run(sessions(page), out=complaints.append, clear_globs=True)

    assert not complaints, "".join(complaints)
