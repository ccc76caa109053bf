"""Fixtures for the tests of sync."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gevent import get_hub

from tests.future.support import Time, manual_time


@pytest.fixture
def time() -> Iterator[Time]:
    """A paused clock for this greenlet and those that it starts; it has no timers at the end."""
    with manual_time() as time:
        time.clock.pause()
        yield time
        assert not time.timers


@pytest.fixture
def hub_alive() -> Iterator[None]:
    """Keep the hub from giving up while only another thread could wake it."""
    watcher = get_hub().loop.async_()
    watcher.start(lambda: None)
    yield
    watcher.close()


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """The errors that the hub is told of."""
    errors: list[BaseException] = []
    monkeypatch.setattr(
        get_hub(),
        "handle_error",
        lambda context, kind, error, traceback: errors.append(error),
    )
    return errors
