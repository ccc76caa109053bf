"""What is done in a forked child is done to its end, whatever a part of it raises."""

from __future__ import annotations

from weakref import WeakSet

import gevent
import pytest

from greenproc.hub import fork


@pytest.mark.parametrize("error", [ValueError, gevent.Timeout, gevent.GreenletExit])
def test_everything_is_disowned_whatever_a_part_raises(
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    called: list[str] = []

    def fail() -> None:
        raise error

    monkeypatch.setattr(fork, "_watched", WeakSet())
    monkeypatch.setattr(fork, "_functions", [fail, lambda: called.append("second")])

    fork._disown_all()

    assert called == ["second"]
    assert "in a forked child" in caplog.text
