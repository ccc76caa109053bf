"""What is recorded while a viewer looks, and that nothing is when none does."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from gevent import Timeout
from gevent.event import Event

from greenproc.builtin import recorder as recorder_module
from greenproc.builtin import traffic as traffic_module
from greenproc.builtin.recorder import (
    MAX_EVENTS,
    MAX_STAMPS,
    MAX_TEXT,
    MAX_WATCHED,
    ArrivalTimes,
    NodeRecorder,
    call_name,
)
from greenproc.builtin.traffic import Outside, Traffic
from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.process.record import ProcessRecord
from greenproc.runtime import Runtime
from greenproc.testing import RuntimeMaker, await_ready, expect_failure


class Echo(Process):
    """Sends back what it gets."""

    @install("say")
    def on_say(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "said", body)

    @install("said")
    def on_said(self, sender: UPID, body: bytes) -> None: ...


class Calling:
    """Can be called, and raises when its name is looked up."""

    def __getattr__(self, name: str) -> object:
        if name == "__qualname__":
            raise ValueError("on purpose")
        raise AttributeError(name)

    def __call__(self) -> None: ...


@pytest.fixture
def recorder(runtime: Runtime) -> NodeRecorder:
    return NodeRecorder(runtime.processes)


def cell_at(runtime: Runtime, pid: UPID) -> ProcessRecord:
    record = runtime.processes.find_record(pid)
    assert record is not None
    return record


def is_recording(runtime: Runtime) -> bool:
    manager = runtime.processes
    return manager.observer.recorder is not None or manager.runner.looks_closely


def names(told: dict[str, Any]) -> list[str]:
    return [event["name"] for event in told["events"]]


# How long an event has waited


def test_the_oldest_event_is_found_by_its_place_among_those_that_came() -> None:
    times = ArrivalTimes(100.0)
    for second in range(5):
        times.add(101.0 + second)

    assert times.age(5, 110.0) == (9.0, True)
    assert times.age(2, 110.0) == (6.0, True)
    assert times.age(1, 110.0) == (5.0, True)


def test_an_event_from_before_the_watch_is_older_than_that() -> None:
    times = ArrivalTimes(100.0)
    times.add(103.0)

    assert times.age(2, 110.0) == (10.0, False)
    assert times.age(1, 110.0) == (7.0, True)


def test_arrival_times_stay_few_and_right_in_a_deep_mailbox() -> None:
    times = ArrivalTimes(0.0)
    for number in range(20 * MAX_STAMPS):
        times.add(number / 10)

    assert len(times._stamps) < MAX_STAMPS
    queued = 12 * MAX_STAMPS
    age, is_known = times.age(queued, 2 * MAX_STAMPS)
    assert is_known
    assert age == pytest.approx((queued - 1) / 10, abs=times._step + 0.2)


# Names of calls


def test_a_call_is_named_without_calling_what_it_is() -> None:
    assert call_name(partial(Echo.on_said, 1)) == "Echo.on_said"
    assert call_name(Echo("a").on_said) == "Echo.on_said"
    assert call_name(len) == "len"
    assert call_name(Calling()) == "Calling"


# Events of one process


def test_the_last_events_are_told_newest_first_without_their_bodies(
    runtime: Runtime, recorder: NodeRecorder
) -> None:
    runtime.clock.pause()
    echo = runtime.spawn(Echo("echo"))
    watch = recorder.watch(cell_at(runtime, echo), 10.0)
    assert watch is not None
    sender = runtime.spawn(Process("sender"))

    runtime.post(echo, "said", b"x" * 7, sender=sender)
    runtime.dispatch(echo, Echo.event_count, object)
    runtime.settle()

    now = runtime.clock.now(None)
    told = watch.to_json(now)
    assert told["events"] == [
        {
            "time": now,
            "kind": "DISPATCH",
            "name": "Process.event_count",
            "from": "",
            "size": 0,
        },
        {"time": now, "kind": "MESSAGE", "name": "said", "from": str(sender), "size": 7},
    ]
    assert (told["arrived"], told["served"]) == (2, 2)
    recorder.close()


def test_only_the_last_events_are_kept_and_only_the_start_of_long_names(
    runtime: Runtime, recorder: NodeRecorder
) -> None:
    echo = runtime.spawn(Echo("echo"))
    watch = recorder.watch(cell_at(runtime, echo), 10.0)
    assert watch is not None
    for _ in range(MAX_EVENTS + 5):
        runtime.post(echo, "said")
    runtime.post(echo, "n" * 3000, sender=UPID("i" * 3000, runtime.address))
    runtime.settle()

    told = watch.to_json(runtime.clock.now(None))
    assert len(told["events"]) == MAX_EVENTS
    assert told["events"][0]["name"] == "n" * MAX_TEXT
    assert len(told["events"][0]["from"]) < MAX_TEXT + 30
    recorder.close()


def test_a_dispatch_of_what_raises_when_it_is_named_is_recorded_and_served(
    runtime: Runtime, recorder: NodeRecorder
) -> None:
    echo = runtime.spawn(Echo("echo"))
    watch = recorder.watch(cell_at(runtime, echo), 10.0)
    assert watch is not None

    assert await_ready(runtime.dispatch(echo, Calling())) is None
    assert names(watch.to_json(0.0)) == ["Calling"]
    recorder.close()


def test_events_that_a_handler_takes_itself_are_recorded(
    runtime: Runtime, recorder: NodeRecorder
) -> None:
    class Taking(Process):
        @install("first")
        def on_first(self, sender: UPID, body: bytes) -> None:
            self.mailbox.get()

    taking = runtime.spawn(Taking("taking"))
    watch = recorder.watch(cell_at(runtime, taking), 10.0)
    assert watch is not None
    runtime.post(taking, "first")
    runtime.post(taking, "second")
    runtime.settle()

    assert names(watch.to_json(0.0)) == ["second", "first"]
    recorder.close()


def test_what_the_event_filter_drops_is_not_recorded_as_served(
    runtime: Runtime, recorder: NodeRecorder
) -> None:
    echo = runtime.spawn(Echo("echo"))
    watch = recorder.watch(cell_at(runtime, echo), 10.0)
    assert watch is not None
    runtime.filter(lambda pid, event: pid == echo)
    runtime.post(echo, "said")
    runtime.settle()
    runtime.filter(None)
    runtime.post(echo, "said")
    runtime.settle()

    told = watch.to_json(0.0)
    assert (told["arrived"], told["served"]) == (2, 1)
    recorder.close()
    assert not is_recording(runtime)


def test_a_filter_stays_when_the_recording_ends(runtime: Runtime, recorder: NodeRecorder) -> None:
    seen: list[UPID] = []
    runtime.filter(lambda pid, event: seen.append(pid))
    echo = runtime.spawn(Echo("echo"))
    recorder.watch(cell_at(runtime, echo), 10.0)
    recorder.close()

    runtime.post(echo, "said")
    runtime.settle()
    assert seen == [echo]


@pytest.mark.parametrize("error", [ValueError("on purpose"), Timeout(1)])
@pytest.mark.parametrize("where", ["queued", "sent", "serving"])
def test_a_recorder_that_fails_costs_no_event(
    make_runtime: RuntimeMaker, where: str, error: BaseException
) -> None:
    def fail(*args: object) -> None:
        raise error

    class Arriving(Process):
        @install("m")
        def on_message(self, sender: UPID, body: bytes) -> None:
            arrived.set()

    runtime, other = make_runtime(), make_runtime()
    arrived = Event()
    echo, pid = runtime.spawn(Echo("echo")), other.spawn(Arriving())
    recorder = NodeRecorder(runtime.processes)
    recorder.watch_traffic(10.0)
    setattr(recorder, where, fail)
    with expect_failure(type(error)):
        runtime.post(echo, "said")
        runtime.post(pid, "m")
        runtime.settle()
        arrived.wait()

    assert cell_at(runtime, echo).served == 1
    recorder.close()


# Limits in time and number


def test_a_watch_ends_by_itself_at_the_time_of_the_clock(
    runtime: Runtime, recorder: NodeRecorder
) -> None:
    runtime.clock.pause()
    echo = cell_at(runtime, runtime.spawn(Echo("echo")))
    assert not is_recording(runtime)
    recorder.watch(echo, 10.0)
    assert is_recording(runtime)

    runtime.clock.advance(9.9)
    runtime.settle()
    assert recorder.find_watch(echo) is not None
    runtime.clock.advance(0.2)
    runtime.settle()

    assert recorder.find_watch(echo) is None
    assert not is_recording(runtime)
    assert runtime.clock.statistics()["timers"] == 0


def test_a_watch_that_is_renewed_goes_on_and_a_shorter_one_does_not_end_it(
    runtime: Runtime, recorder: NodeRecorder
) -> None:
    runtime.clock.pause()
    echo = cell_at(runtime, runtime.spawn(Echo("echo")))
    first = recorder.watch(echo, 10.0)
    runtime.clock.advance(8.0)
    assert recorder.watch(echo, 10.0) is first
    assert recorder.watch(echo, 1.0) is first

    runtime.clock.advance(9.0)
    runtime.settle()
    assert recorder.find_watch(echo) is first
    runtime.clock.advance(1.1)
    runtime.settle()
    assert not is_recording(runtime)


def test_the_traffic_ends_by_itself_and_leaves_a_longer_watch(
    runtime: Runtime, recorder: NodeRecorder
) -> None:
    runtime.clock.pause()
    echo = cell_at(runtime, runtime.spawn(Echo("echo")))
    recorder.watch(echo, 20.0)
    recorder.watch_traffic(10.0)
    runtime.clock.advance(15.0)
    runtime.settle()

    assert recorder.describe_traffic(10, with_builtins=True)["since_secs"] is None
    assert recorder.find_watch(echo) is not None
    runtime.clock.advance(6.0)
    runtime.settle()
    assert not is_recording(runtime)


def test_so_many_processes_are_watched_and_an_ended_one_makes_room(
    runtime: Runtime, recorder: NodeRecorder
) -> None:
    pids = [runtime.spawn(Process(f"p{number}")) for number in range(MAX_WATCHED + 1)]
    records = [cell_at(runtime, pid) for pid in pids]
    for record in records[:-1]:
        assert recorder.watch(record, 10.0) is not None
    assert recorder.watch(records[-1], 10.0) is None
    assert recorder.watch(records[0], 10.0) is not None  # it is there already

    runtime.terminate(pids[0])
    runtime.wait(pids[0])

    assert recorder.watch(records[-1], 10.0) is not None
    recorder.close()


def test_with_no_room_for_a_watch_nothing_is_recorded(
    runtime: Runtime, recorder: NodeRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_WATCHED", 0)
    assert recorder.watch(cell_at(runtime, runtime.spawn(Process("p"))), 10.0) is None
    assert not is_recording(runtime)


def test_the_recorder_ends_with_the_process_of_the_page(runtime: Runtime) -> None:
    node = UPID("__node__", runtime.address)
    process = runtime.processes.find_process(node)
    process._recorder.watch_traffic(10.0)  # type: ignore[union-attr]
    assert is_recording(runtime)
    runtime.terminate(node)
    runtime.wait(node)
    assert not is_recording(runtime)


# Who talks to whom


def pairs(recorder: NodeRecorder, limit: int = 100) -> dict[tuple[str, str], int]:
    told = recorder.describe_traffic(limit, with_builtins=False)
    return {
        (one["from"]["name"] or one["from"]["kind"], one["to"]["name"]): one["total"]
        for one in told["pairs"]
    }


def test_messages_dispatches_and_asks_are_counted_by_sender_and_receiver(
    runtime: Runtime, recorder: NodeRecorder
) -> None:
    class Caller(Process):
        def call(self, to: UPID) -> object:
            self.runtime.dispatch(to, Process.event_count, object)
            return self.ask(to, "ask")

    class Asked(Process):
        @install("ask")
        def on_ask(self, sender: UPID, body: bytes) -> None:
            self.reply()

    a, b = runtime.spawn(Echo("a")), runtime.spawn(Echo("b"))
    asked, caller = runtime.spawn(Asked("asked")), runtime.spawn(Caller("caller"))
    recorder.watch_traffic(10.0)
    for _ in range(3):
        runtime.post(a, "say", sender=b)
    await_ready(runtime.dispatch(caller, Caller.call, asked))
    runtime.settle()

    assert pairs(recorder) == {
        ("b", "a"): 3,
        ("a", "b"): 3,
        ("program", "caller"): 1,
        ("caller", "asked"): 2,
    }
    recorder.close()


def test_other_nodes_are_known_by_their_address(make_runtime: RuntimeMaker) -> None:
    here, there = make_runtime(), make_runtime()
    recorder = NodeRecorder(here.processes)
    back = Event()

    class Asking(Process):
        @install("said")
        def on_said(self, sender: UPID, body: bytes) -> None:
            back.set()

    asking, echo = here.spawn(Asking("asking")), there.spawn(Echo("echo"))
    recorder.watch_traffic(10.0)
    here.post(echo, "say", sender=asking)
    back.wait()

    address = str(there.address)
    assert pairs(recorder) == {("asking", address): 1, (address, "asking"): 1}
    recorder.close()


def test_rates_are_those_of_the_last_second_and_order_the_pairs(
    runtime: Runtime, recorder: NodeRecorder
) -> None:
    runtime.clock.pause()
    a, b = runtime.spawn(Echo("a")), runtime.spawn(Echo("b"))
    recorder.watch_traffic(60.0)

    def told() -> list[tuple[str, float]]:
        found = recorder.describe_traffic(10, with_builtins=False)["pairs"]
        return [(one["to"]["name"], one["per_sec"]) for one in found]

    for _ in range(10):
        runtime.post(a, "said")
    runtime.clock.advance(2.0)
    assert told() == [("a", 5.0)]
    for _ in range(4):
        runtime.post(b, "said")
    runtime.clock.advance(0.5)
    assert told() == [("a", 5.0), ("b", 0.0)]
    runtime.clock.advance(1.5)
    assert told() == [("b", 2.0), ("a", 0.0)]
    recorder.close()


def test_a_full_table_counts_the_rest_and_gives_quiet_pairs_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(traffic_module, "MAX_PAIRS", 4)
    traffic = Traffic(0.0)
    for number in range(6):
        for _ in range(number + 1):
            traffic.add(Outside.PROGRAM, f"p{number}")
    assert (len(traffic), traffic.others) == (4, 5 + 6)

    traffic.look(2.0)
    assert (len(traffic), traffic.others) == (2, 11 + 1 + 2)
    traffic.add(Outside.PROGRAM, "p5")
    assert {pair.target for pair in traffic.look(2.0)} == {"p2", "p3", "p5"}


def test_with_room_for_one_pair_all_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic_module, "MAX_PAIRS", 1)
    traffic = Traffic(0.0)
    for turn in range(3):
        traffic.add("a", "b")
        traffic.add("a", "c")
        traffic.look(float(turn))
    assert traffic.others == 6
