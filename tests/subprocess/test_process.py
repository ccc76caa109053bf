"""The handle of a program."""

from __future__ import annotations

import os
import signal

import gevent
import pytest

from greenproc.subprocess import PIPE, launch
from tests.subprocess.support import LIMIT, NULL, waiter


def test_the_status_is_that_of_the_kernel_and_the_returncode_that_of_python() -> None:
    child = launch("read word; exit 3", stdin=PIPE)
    assert child.returncode is None
    child.close()

    assert child.status.get(timeout=LIMIT) == 3 << 8
    assert child.returncode == 3


def test_a_signal_is_a_negative_returncode() -> None:
    child = waiter()

    assert child.terminate()

    assert child.status.get(timeout=LIMIT) == signal.SIGTERM
    assert child.returncode == -signal.SIGTERM


def test_a_discard_request_does_nothing_to_the_status() -> None:
    child = waiter()

    child.status.discard()
    gevent.idle()
    assert child.status.is_pending

    child.kill()
    assert child.status.get(timeout=LIMIT) == signal.SIGKILL


def test_signals_reach_the_child() -> None:
    child = waiter()

    assert child.send_signal(signal.SIGUSR1)

    assert child.status.get(timeout=LIMIT) == signal.SIGUSR1


def test_nothing_is_sent_to_a_child_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    child = launch(["true"])
    child.status.get(timeout=LIMIT)
    # Its number may be that of another program by now.
    monkeypatch.setattr(os, "kill", lambda pid, number: pytest.fail(f"{pid} got a signal"))

    assert not child.terminate()
    assert not child.kill()
    assert child.kill_tree() == ()


def test_nothing_is_sent_to_a_child_that_somebody_else_has_collected() -> None:
    child = launch(["cat"], stdin=PIPE, stdout=NULL)
    child.close()
    os.waitpid(child.pid, 0)

    assert not child.kill()
    assert child.status.get(timeout=LIMIT) is None
    assert child.returncode is None


def test_the_whole_tree_is_killed() -> None:
    child = launch("sleep 1000 & sleep 1000", stdin=NULL, stdout=NULL, stderr=NULL)
    other = waiter()

    hit = child.kill_tree()

    assert hit[0] == child.pid
    assert other.pid not in hit
    assert child.status.get(timeout=LIMIT) == signal.SIGKILL
    other.kill()
    other.status.get(timeout=LIMIT)


def test_a_handle_shows_whether_its_program_runs() -> None:
    child = waiter()
    assert repr(child) == f"<Subprocess {child.pid} running>"

    child.kill()
    child.status.get(timeout=LIMIT)

    assert repr(child) == f"<Subprocess {child.pid} ended with -9>"
