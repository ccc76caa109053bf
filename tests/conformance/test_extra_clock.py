"""What libprocess does and its own tests do not tell: the times of processes on a paused clock.

The clock alone is tested in tests/clock; here it goes with processes that send and are spawned.
"""

from __future__ import annotations

import pytest

from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.runtime import Runtime


class Timed(Process):
    """Notes what it is called with, and answers what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[object] = []

    @install("note")
    def on_note(self, sender: UPID, body: bytes) -> None:
        self.calls.append(body)

    def note(self, value: object) -> None:
        self.calls.append(value)


@pytest.fixture
def paused(runtime: Runtime) -> Runtime:
    runtime.clock.pause()
    return runtime


def spawn(runtime: Runtime) -> Timed:
    process = Timed()
    runtime.spawn(process)
    runtime.settle()
    return process


def test_advancing_moves_no_process(paused: Runtime) -> None:
    process = spawn(paused)
    start = paused.clock.now()
    paused.clock.advance(10.0)
    assert paused.clock.now(process) == start


def test_process_from_before_the_pause_starts_at_the_time_of_the_pause(runtime: Runtime) -> None:
    process = spawn(runtime)
    runtime.clock.pause()
    start = runtime.clock.now()
    runtime.clock.advance(10.0)
    assert runtime.clock.now(process) == start


def test_process_spawned_from_outside_starts_at_global_time(paused: Runtime) -> None:
    paused.clock.advance(10.0)
    assert paused.clock.now(spawn(paused)) == paused.clock.now()


def test_process_spawned_by_another_starts_at_its_time(paused: Runtime) -> None:
    parent, child = spawn(paused), Timed()
    later = paused.clock.now() + 5.0
    paused.clock.update(parent, later)
    paused.dispatch(parent, lambda: paused.spawn(child)).get()
    assert paused.clock.now(child) == later


def test_message_from_outside_brings_the_receiver_to_global_time(paused: Runtime) -> None:
    receiver = spawn(paused)
    paused.clock.advance(10.0)
    paused.post(receiver, "note")
    paused.settle()
    assert paused.clock.now(receiver) == paused.clock.now()


def test_dispatch_from_outside_brings_the_receiver_to_global_time(paused: Runtime) -> None:
    receiver = spawn(paused)
    paused.clock.advance(10.0)
    assert paused.dispatch(receiver, paused.clock.now).get() == paused.clock.now()


def test_terminate_from_outside_brings_the_target_to_global_time(paused: Runtime) -> None:
    times: list[float] = []

    class Last(Process):
        def finalize(self) -> None:
            times.append(self.runtime.clock.now())

    pid = paused.spawn(Last())
    paused.settle()
    paused.clock.advance(10.0)
    paused.terminate(pid)
    paused.settle()
    assert times == [paused.clock.now()]


def test_message_of_a_younger_process_brings_the_receiver_to_its_time(paused: Runtime) -> None:
    receiver, sender = spawn(paused), spawn(paused)
    paused.clock.update(sender, paused.clock.now() + 5.0)
    before = paused.clock.now(sender)
    paused.dispatch(sender, lambda: sender.send(receiver, "note")).get()
    paused.settle()
    assert paused.clock.now(receiver) == before


def test_exit_brings_the_linker_to_the_time_of_the_linkee(paused: Runtime) -> None:
    linker, linkee = spawn(paused), spawn(paused)
    paused.dispatch(linker, lambda: linker.link(linkee)).get()
    later = paused.clock.now() + 5.0
    paused.clock.update(linkee, later)
    paused.terminate(linkee)
    paused.settle()
    assert paused.clock.now(linker) == later


def test_delay_of_a_lagging_process_is_due_at_once(paused: Runtime) -> None:
    process = spawn(paused)
    start = paused.clock.now()
    paused.clock.advance(10.0)

    def lag_and_delay() -> None:
        paused.clock.update(process, start, force=True)
        paused.delay(3.0, process, Timed.note, "due at 3")
        paused.delay(11.0, process, Timed.note, "due at 11")

    paused.dispatch(process, lag_and_delay).get()
    paused.settle()
    assert process.calls == ["due at 3"]


def test_timer_brings_its_creator_to_its_due_time(paused: Runtime) -> None:
    process = spawn(paused)
    start = paused.clock.now()
    paused.dispatch(process, lambda: paused.clock.timer(3.0, lambda: None)).get()
    paused.clock.advance(10.0)
    paused.settle()
    assert paused.clock.now(process) == start + 3.0


def test_dispatch_of_a_delay_brings_the_target_to_global_time(paused: Runtime) -> None:
    process = spawn(paused)
    start = paused.clock.now()
    paused.delay(3.0, process, Timed.note, 1)
    paused.clock.advance(10.0)
    paused.settle()
    assert process.calls == [1]
    assert paused.clock.now(process) == start + 10.0


def test_delays_due_at_one_time_come_in_the_order_they_were_made(paused: Runtime) -> None:
    process = spawn(paused)
    for number in range(5):
        paused.delay(2.0, process, Timed.note, number)
    paused.delay(1.0, process, Timed.note, "first")
    paused.clock.advance(2.0)
    paused.settle()
    assert process.calls == ["first", 0, 1, 2, 3, 4]


def test_update_moves_back_only_by_force(paused: Runtime) -> None:
    process = spawn(paused)
    start = paused.clock.now()
    paused.clock.update(process, start + 5.0)
    paused.clock.update(process, start + 1.0)
    assert paused.clock.now(process) == start + 5.0
    paused.clock.update(process, start + 1.0, force=True)
    assert paused.clock.now(process) == start + 1.0


def test_ended_process_leaves_no_time_behind(paused: Runtime) -> None:
    process = spawn(paused)
    owners = paused.clock.statistics()["owners"]
    paused.clock.advance(1.0)
    other = spawn(paused)
    for ended in (process, other):
        paused.terminate(ended)
        paused.settle()
    assert paused.clock.statistics()["owners"] == owners
    assert process.calls == []
