"""A line that changes in place on a terminal, and is printed now and then elsewhere."""

from __future__ import annotations

import io

import pytest

from greenproc.cli.live_line import LiveLine, bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_latest_text_in_place() -> None:
    out = Terminal()
    line = LiveLine(out)

    line.show(0.0, "first text", 0.1)
    line.show(1.0, "second", 0.2)

    empty, full = "[" + " " * 28 + "]", "[" + "=" * 28 + "]"
    assert out.getvalue() == f"\r  {empty} first text\r  {full} second    "


def test_a_line_that_stays_begins_below_the_one_that_changes() -> None:
    out = Terminal()
    line = LiveLine(out)

    line.show(0.0, "text", 0.1)
    line.say("stays")
    line.say("stays, too")

    assert out.getvalue().endswith(" text\nstays\nstays, too\n")


def test_a_narrow_terminal_cuts_the_line_before_it_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()

    LiveLine(out).show(0.5, "a text that does not fit", 0.1)

    assert out.getvalue() == "\r  [==============              ] a text"


def test_a_file_gets_one_line_for_each_interval() -> None:
    out = io.StringIO()
    line = LiveLine(out, every=1.0)

    for tenth in range(1, 31):
        line.show(0.0, f"{tenth}", tenth / 10)

    assert out.getvalue() == "  10\n  20\n  30\n"


@pytest.mark.parametrize(
    ("fraction", "filled"), [(-1.0, 0), (0.0, 0), (0.25, 7), (1.0, 28), (1.5, 28)]
)
def test_a_bar_is_filled_by_the_fraction(fraction: float, filled: int) -> None:
    assert bar(fraction) == "[" + "=" * filled + " " * (28 - filled) + "]"
