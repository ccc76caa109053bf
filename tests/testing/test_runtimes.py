"""Making and checking runtimes without pytest."""

from __future__ import annotations

import gevent
import pytest

from greenproc.process.base import Process
from greenproc.runtime import RuntimeState
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker


def test_runtimes_are_stopped_at_the_end() -> None:
    with RuntimeMaker() as make:
        nodes = [make(), make(Settings(ip="127.0.0.1"))]
        assert all(node.state is RuntimeState.RUNNING for node in nodes)
    assert all(node.state is RuntimeState.STOPPED for node in nodes)


def test_runtime_that_the_block_stopped_is_fine() -> None:
    with RuntimeMaker() as make:
        node = make()
        node.spawn(Process("a"))
        node.stop()


def fail(error: Exception) -> None:
    raise error


def fail_twice() -> None:
    gevent.spawn(fail, ValueError("unseen")).join()
    raise KeyError("the error of the block")


def test_problems_are_noted_on_the_error_of_the_block() -> None:
    with pytest.raises(KeyError) as raised, RuntimeMaker():
        fail_twice()
    (note,) = raised.value.__notes__
    assert "unexpected error" in note
    assert "ValueError: unseen" in note
