"""Twins of libprocess' src/tests/reap_tests.cpp.

libprocess advances the clock until its reaper looks again. Here the kernel wakes the reaper, so
the clock stands still all the time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent import monkey

from greenproc.runtime import Runtime
from greenproc.subprocess import reap
from greenproc.testing import await_eq, await_ready
from tests.subprocess.support import nothing_left_over, orphan, waiter


@pytest.fixture(autouse=True)
def paused(tmp_path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    runtime.clock.pause()
    with nothing_left_over():
        yield


def test_non_child_process() -> None:
    """ReapTest.NonChildProcess."""
    pid = orphan()
    future = reap(pid)
    gevent.idle()
    assert future.is_pending

    os.kill(pid, signal.SIGKILL)

    await_eq(None, future)


def test_child_process() -> None:
    """ReapTest.ChildProcess."""
    child = waiter()
    future = reap(child.pid)
    gevent.idle()
    assert future.is_pending

    os.kill(child.pid, signal.SIGKILL)

    status = await_ready(future)
    assert status is not None
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_terminated_child_process() -> None:
    """ReapTest.TerminatedChildProcess."""
    # Not by gevent, which would collect it.
    pid = monkey.get_original("os", "posix_spawn")("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    status = await_ready(reap(pid))

    assert status is not None
    assert os.WIFEXITED(status)
    assert os.WEXITSTATUS(status) == 0
