"""Printing stacks of what takes too long."""

from __future__ import annotations

from gevent.monkey import get_original

from greenproc.testing import stacks_after


def test_stacks_are_written_while_the_block_goes_on() -> None:
    written = get_original("threading", "Event")()
    texts: list[str] = []

    def write(text: str) -> None:
        texts.append(text)
        written.set()

    # Waits without giving control to the hub, as a busy loop would.
    with stacks_after(0.01, write, "the block"):
        assert written.wait(10.0)
    (text,) = texts
    assert text.startswith("\nthe block takes more than 0.01 s; all stacks:")
    assert "test_hang.py" in text


def test_zero_seconds_keep_no_watch() -> None:
    texts: list[str] = []
    with stacks_after(0, texts.append, "the block"):
        pass
    assert texts == []
