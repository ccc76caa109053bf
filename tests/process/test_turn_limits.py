"""Limits of turns that are reached while a handler waits, and whole suites within other limits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from greenproc.future import Promise
from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.process.base import record_of
from greenproc.process.invariants import check_invariants
from greenproc.runtime import Runtime
from greenproc.testing import RuntimeMaker

ROOT = Path(__file__).parents[2]
SUITES = ("process", "runtime", "future", "conformance")


class Waiting(Process):
    """Lets the hub resume it in the middle of each event."""

    def __init__(self) -> None:
        super().__init__()
        self.served: list[bytes] = []

    @install("m")
    def on_m(self, sender: UPID, body: bytes) -> None:
        gevent.sleep(0)
        self.served.append(body)

    @install("once")
    def on_once(self, sender: UPID, body: bytes) -> None:
        if body == b"0":
            gevent.sleep(0)
        self.served.append(body)


@pytest.mark.parametrize("name", ["m", "once"])
@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"events": 1},
        {"events": 7, "turns": 1},
        {"events": 1, "turns": 1, "parked": 0},
        {"events": 1, "seconds": 0},
    ],
    ids=str,
)
def test_more_events_than_a_turn_serves_are_served_though_handlers_wait(
    limit_turns: Callable[..., None],
    make_runtime: RuntimeMaker,
    limits: dict[str, int],
    name: str,
) -> None:
    limit_turns(**limits)
    node = make_runtime()
    waiting = [Waiting() for _ in range(3)]
    bodies = [str(number).encode() for number in range(350)]
    for process in waiting:
        node.spawn(process)
        for body in bodies:
            node.post(process, name, body)
    node.settle()
    assert [process.served for process in waiting] == [bodies] * 3
    check_invariants(node.processes)


def test_process_that_waited_is_stopped_with_all_it_has_to_serve(
    limit_turns: Callable[..., None], make_runtime: RuntimeMaker
) -> None:
    limit_turns(events=5)
    node = make_runtime()
    process = Waiting()
    node.spawn(process)
    for _ in range(20):
        node.post(process, "once", b"0")
    assert node.stop() == ()
    assert len(process.served) == 20


def test_states_are_checked(runtime: Runtime) -> None:
    process = Waiting()
    runtime.spawn(process)
    runtime.settle()
    manager, record = runtime.processes, record_of(process)
    check_invariants(manager)

    manager.scheduler.busy += 1
    with pytest.raises(AssertionError, match="1 processes count as busy, and 0 are"):
        check_invariants(manager)
    manager.scheduler.busy -= 1

    manager.scheduler.parked += 1
    with pytest.raises(AssertionError, match="greenlets count as parked"):
        check_invariants(manager)
    manager.scheduler.parked -= 1

    manager.scheduler.ready.append(record)
    with pytest.raises(AssertionError, match="is blocked and in the run queue") as raised:
        check_invariants(manager)
    assert "no callback will run the queue" in str(raised.value)
    manager.scheduler.ready.clear()

    process.mailbox.queue.append(b"never served")
    with pytest.raises(AssertionError, match="is blocked and has events"):
        check_invariants(manager)
    process.mailbox.queue.clear()
    check_invariants(manager)


def test_states_agree_while_handlers_wait(runtime: Runtime) -> None:
    gate: Promise[None] = Promise()
    futures = [runtime.dispatch(runtime.spawn(Process()), gate.future.get) for _ in range(5)]
    check_invariants(runtime.processes)
    gevent.idle()
    check_invariants(runtime.processes)
    gate.set(None)
    for future in futures:
        future.get(timeout=15.0)
    check_invariants(runtime.processes)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("limits", ["events=1,turns=1", "parked=0"])
def test_suites_pass_within_other_limits(limits: str) -> None:
    suites = [str(ROOT / "tests" / name) for name in SUITES]
    options = ["-q", "-p", "no:cacheprovider", "--turn-limits", limits]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *suites],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
