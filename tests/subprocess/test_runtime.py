"""What a runtime leaves of the programs that were started in it: them, and nothing to wait for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from greenproc.errors import Abandoned, Closed
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.subprocess import PIPE, Options, current_reaper, kill_tree, launch, reap
from greenproc.subprocess.watch import Watch
from greenproc.testing import RuntimeMaker
from tests.descriptors import open_descriptors
from tests.subprocess.support import LIMIT, waiter


def is_gone(pid: int) -> bool:
    """Whether no such process is left, not even one that nobody has collected."""
    return not Path(f"/proc/{pid}").exists()


def wait_gone(pid: int) -> None:
    """Wait until gevent has collected a child that nobody awaits."""
    with gevent.Timeout(LIMIT):
        while not is_gone(pid):
            gevent.idle()


def test_each_runtime_has_a_reaper_of_its_own(make_runtime: RuntimeMaker) -> None:
    one, other = make_runtime(), make_runtime()

    with one.selected():
        assert current_reaper() is one.reaper
    with other.selected():
        assert current_reaper() is other.reaper
    assert one.reaper is not other.reaper


def test_a_runtime_that_stops_awaits_nobody_any_more(make_runtime: RuntimeMaker) -> None:
    node, outside = make_runtime(), waiter()
    before = open_descriptors()
    with node.selected():
        child = waiter()
        others = [reap(child.pid), reap(os.getppid())]
    assert node.reaper.statistics() == {"watched": 2}

    node.stop()

    assert node.reaper.statistics() == {"watched": 0}
    assert open_descriptors().items() <= before.items()
    for future in (child.status, *others):
        with pytest.raises(Abandoned):
            future.get(timeout=LIMIT)
    assert outside.status.is_pending
    assert not outside.status.is_abandoned
    outside.kill()
    outside.status.get(timeout=LIMIT)
    child.kill()
    wait_gone(child.pid)


def test_a_stopped_runtime_looks_at_nobody_any_more(
    make_runtime: RuntimeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    looks: list[Watch] = []
    monkeypatch.setattr(Watch, "_look", looks.append)
    node = make_runtime()
    node.clock.pause()
    with node.selected():
        future = reap(os.getppid())
    assert node.clock.statistics()["timers"] == 1

    node.stop()
    gevent.idle()

    assert future.is_abandoned
    assert looks == []


def test_a_child_outlives_its_runtime_and_can_still_be_killed(
    make_runtime: RuntimeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make_runtime()
    with node.selected():
        child = waiter()

    node.stop()

    assert repr(child) == f"<Subprocess {child.pid} not awaited any more>"
    assert child.returncode is None
    assert child.kill()
    wait_gone(child.pid)
    # Its number may be that of another program by now.
    monkeypatch.setattr(os, "kill", lambda pid, number: pytest.fail(f"{pid} got a signal"))
    monkeypatch.setattr("greenproc.subprocess.process.kill_tree", os.kill)
    assert not child.kill()
    assert child.kill_tree() == ()


def test_the_tree_of_a_child_that_outlives_its_runtime_can_be_killed(
    make_runtime: RuntimeMaker,
) -> None:
    node = make_runtime()
    with node.selected():
        child = waiter()

    node.stop()

    assert child.kill_tree() == (child.pid,)
    wait_gone(child.pid)


def test_a_stopped_runtime_starts_no_programs(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    node.stop()
    before = open_descriptors()
    pids: list[int] = []

    with node.selected():
        with pytest.raises(Closed):
            launch(["true"], Options(parent_hooks=[pids.append]), stdout=PIPE)
        with pytest.raises(Closed):
            reap(1)

    assert pids == []
    assert open_descriptors() == before


def test_a_launch_that_a_stop_overtakes_leaves_no_child(make_runtime: RuntimeMaker) -> None:
    node, gate = make_runtime(), Event()
    pids: list[int] = []

    def wait(pid: int) -> None:
        pids.append(pid)
        gate.wait()

    def start() -> None:
        with node.selected(), pytest.raises(Closed):
            launch(["sleep", "1000"], Options(parent_hooks=[wait]), stdin=PIPE)

    before = open_descriptors()
    launcher = gevent.spawn(start)
    with gevent.Timeout(LIMIT):
        while not pids:
            gevent.idle()

    node.stop()
    gate.set()

    launcher.get(timeout=LIMIT)
    assert is_gone(pids[0])
    assert open_descriptors().items() <= before.items()


def test_a_process_may_run_a_program_at_its_end(make_runtime: RuntimeMaker) -> None:
    statuses: list[int | None] = []

    class Last(Process):
        def finalize(self) -> None:
            statuses.append(launch("exit 3").status.get(timeout=LIMIT))

    node: Runtime = make_runtime()
    node.spawn(Last())
    node.stop()

    assert statuses == [3 << 8]


def test_a_supervised_tree_is_killed_after_its_runtime(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    with node.selected():
        child = launch(["sleep", "1000"], Options(supervised=True))

    node.stop()

    assert kill_tree(child.pid, signal.SIGKILL)[0] == child.pid
    wait_gone(child.pid)
