"""A world with a clock for each test; it checks that nothing is left in it."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from tests.clock.support import World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.clock.stop()
    gevent.killall(world.greenlets)
    assert not world.source.is_armed
    assert world.clock.settled
