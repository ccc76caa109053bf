"""Spawning, finding, feeding and ending processes; limits and threads."""

from __future__ import annotations

import json
from dataclasses import dataclass

import gevent
import pytest

from greenproc.address import Address
from greenproc.errors import Deadlock, InvalidArgument, StateError
from greenproc.future import Promise
from greenproc.message import Message
from greenproc.pid import PID, UPID
from greenproc.process import DispatchEvent, MessageEvent, Process, TerminateEvent, install
from greenproc.process.record import describe_busy
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from tests.peer import Peer


class Receiver(Process):
    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self.bodies: list[bytes] = []

    @install("m")
    def on_m(self, sender: UPID, body: bytes) -> None:
        self.bodies.append(body)

    def call(self, value: object = None) -> object:
        return value


def hold(runtime: Runtime, process: Process) -> Promise[None]:
    """Keep *process* busy until the promise is set."""
    gate: Promise[None] = Promise()
    runtime.dispatch(process, gate.future.get)
    gevent.idle()
    return gate


def drops(runtime: Runtime) -> list[tuple[str, str]]:
    """Return a list that gets name and reason of each dropped message."""
    dropped: list[tuple[str, str]] = []
    runtime.signals.message_dropped.connect(
        lambda sender, message, reason: dropped.append((message.name, reason))
    )
    return dropped


# Spawning


def test_address_is_given_by_the_runtime(runtime: Runtime) -> None:
    pid = runtime.spawn(Process("a"))
    assert isinstance(pid, PID)
    assert pid == UPID("a", runtime.address)


def test_something_else_than_a_process_is_refused(runtime: Runtime) -> None:
    with pytest.raises(InvalidArgument, match="expected a Process to spawn, got 1"):
        runtime.spawn(1)  # type: ignore[type-var]


def test_a_class_in_place_of_a_process_is_refused_with_what_to_do(runtime: Runtime) -> None:
    told = r"^expected a Process to spawn, got <class .*>: make one, as in spawn\(Process\(\)\)$"
    with pytest.raises(InvalidArgument, match=told):
        runtime.spawn(Process)  # type: ignore[type-var]


def test_forgotten_init_of_the_base_is_told(runtime: Runtime) -> None:
    class Forgetful(Process):
        def __init__(self) -> None:
            pass

    with pytest.raises(InvalidArgument, match=r"must call super\(\).__init__\(\)"):
        runtime.spawn(Forgetful())


def test_process_belongs_to_one_runtime(make_runtime: RuntimeMaker) -> None:
    first, second = make_runtime(), make_runtime()
    process = Process("a")
    first.spawn(process)
    with pytest.raises(StateError, match="belongs to another runtime"):
        second.spawn(process)


def test_object_that_failed_to_spawn_for_its_id_can_be_spawned_later(runtime: Runtime) -> None:
    first, second = Receiver("a"), Receiver("a")
    runtime.spawn(first)
    assert not runtime.spawn(second)
    runtime.terminate(first)
    runtime.wait(first)
    assert runtime.spawn(second)
    runtime.post(second, "m", b"1")
    runtime.settle()
    assert second.bodies == [b"1"]


def test_message_before_the_spawn_is_lost_and_after_it_is_queued(runtime: Runtime) -> None:
    receiver = Receiver("a")
    runtime.post(receiver, "m", b"before")
    runtime.spawn(receiver)
    runtime.post(receiver, "m", b"after")
    runtime.settle()
    assert receiver.bodies == [b"after"]


# Delivering


@pytest.mark.usefixtures("untraced")
def test_message_arrives_unchanged(runtime: Runtime) -> None:
    seen: list[Message] = []

    class Keeping(Process):
        def consume_message(self, event: MessageEvent) -> None:
            seen.append(event.message)

    pid, sender = runtime.spawn(Keeping()), UPID("s", Address("10.0.0.1", 1))
    runtime.post(pid, "any name at all?#/é", b"\x00\xff", sender=sender)
    runtime.settle()
    assert seen == [Message("any name at all?#/é", sender, pid, b"\x00\xff")]


@pytest.mark.parametrize("body", [bytearray(b"x"), memoryview(b"x")])
def test_body_may_be_what_is_like_bytes(runtime: Runtime, body: bytes) -> None:
    receiver = Receiver()
    runtime.post(runtime.spawn(receiver), "m", body)
    runtime.settle()
    assert receiver.bodies == [b"x"]


def test_body_that_is_text_is_refused(runtime: Runtime) -> None:
    receiver = Receiver()
    runtime.spawn(receiver)
    with pytest.raises(InvalidArgument, match="expected the body of a message as bytes"):
        runtime.post(receiver, "m", "text")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="expected the body of a message as bytes"):
        receiver.send(receiver, "m", "text")  # type: ignore[arg-type]


def test_target_that_is_no_process_is_refused(runtime: Runtime) -> None:
    with pytest.raises(
        InvalidArgument, match=r"got 'a@1.2.3.4:5': use UPID.parse\('a@1.2.3.4:5'\)"
    ):
        runtime.post("a@1.2.3.4:5", "m")  # type: ignore[arg-type]


def test_id_alone_in_place_of_a_target_is_refused_with_the_address_to_add(
    runtime: Runtime,
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        runtime.post("visitors", "m")  # type: ignore[arg-type]

    assert str(refused.value) == (
        "expected a UPID or a Process, got 'visitors': an id alone is no address, use what spawn() "
        "returned, or UPID('visitors', greenproc.address())"
    )


def test_message_to_the_empty_address_vanishes(runtime: Runtime) -> None:
    dropped = drops(runtime)
    runtime.post(UPID(), "m")
    assert dropped == []


@pytest.mark.parametrize(
    ("name", "reason"), [("unknown", "no handler"), ("nobody", "no such process")]
)
def test_message_that_is_not_handled_is_reported(runtime: Runtime, name: str, reason: str) -> None:
    dropped = drops(runtime)
    pid = runtime.spawn(Receiver())
    runtime.post(pid if name == "unknown" else UPID("nobody", runtime.address), name)
    runtime.settle()
    assert dropped == [(name, reason)]


def test_messages_of_an_ended_process_are_reported(runtime: Runtime) -> None:
    dropped = drops(runtime)
    receiver = Receiver()
    runtime.spawn(receiver)
    gate = hold(runtime, receiver)
    runtime.post(receiver, "m")
    runtime.terminate(receiver)
    runtime.post(receiver, "later")
    gate.set(None)
    runtime.wait(receiver)
    assert dropped == [("m", "process terminated"), ("later", "process terminated")]


def test_full_mailbox_takes_no_more_but_ends(make_runtime: RuntimeMaker) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", max_mailbox_events=3))
    dropped = drops(node)
    receiver = Receiver("full")
    node.spawn(receiver)
    gate = hold(node, receiver)
    for number in range(5):
        node.post(receiver, "m", str(number).encode())
    refused = node.dispatch(receiver, Receiver.call)
    assert refused.is_abandoned
    assert dropped == [("m", "mailbox full")] * 2
    assert node.processes.inject_exited(UPID(), receiver)
    node.terminate(receiver, inject=False)
    gate.set(None)
    assert node.wait(receiver)
    assert receiver.bodies == [b"0", b"1", b"2"]


def test_full_mailbox_is_answered_with_503(make_runtime: RuntimeMaker) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", max_mailbox_events=1))
    receiver = Receiver("full")
    node.spawn(receiver)
    gate = hold(node, receiver)
    node.post(receiver, "m")
    with Peer.connect(node.address) as peer:
        assert peer.get("/full/x").code == 503
        message = (
            b"POST /full/m HTTP/1.1\r\nHost: x\r\nLibprocess-From: @1.2.3.4:9\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        assert peer.ask(message).code == 503
    gate.set(None)


# Ending


def test_second_terminate_is_harmless(runtime: Runtime) -> None:
    pid = runtime.spawn(Process())
    runtime.terminate(pid)
    runtime.terminate(pid, inject=False)
    assert runtime.wait(pid)
    runtime.terminate(pid)
    runtime.settle()


def test_terminate_of_a_remote_or_unknown_process_does_nothing(runtime: Runtime) -> None:
    runtime.terminate(UPID("x", Address("10.0.0.1", 5050)))
    runtime.terminate(UPID("x", runtime.address))
    runtime.terminate(UPID())


def test_terminate_tells_who_asked(runtime: Runtime) -> None:
    senders: list[UPID] = []

    class Asked(Process):
        def consume_terminate(self, event: TerminateEvent) -> None:
            senders.append(event.sender)

    asked, asking = Asked(), Process("asking")
    runtime.spawn(asked)
    runtime.spawn(asking)
    runtime.dispatch(asking, runtime.terminate, asked.pid).get()
    runtime.wait(asked)
    another = runtime.spawn(Asked())
    runtime.terminate(another)
    runtime.wait(another)
    assert senders == [asking.pid, UPID()]


def test_all_who_wait_are_released(runtime: Runtime) -> None:
    pid = runtime.spawn(Process())
    waiting = [gevent.spawn(runtime.wait, pid) for _ in range(3)]
    gevent.idle()
    runtime.terminate(pid)
    assert [greenlet.get(timeout=15.0) for greenlet in waiting] == [True] * 3


@pytest.mark.parametrize("timeout", [None, 1.0])
def test_process_that_waits_for_itself_is_told(runtime: Runtime, timeout: float | None) -> None:
    pid = runtime.spawn(Process())
    with pytest.raises(Deadlock, match="waits for its own end"):
        runtime.dispatch(pid, runtime.wait, pid, timeout).get()


def test_what_dropping_sets_off_reaches_no_successor(runtime: Runtime) -> None:
    first = Receiver("a")
    runtime.spawn(first)
    gate = hold(runtime, first)
    dropped = runtime.dispatch(first, Receiver.call)
    dropped.on_abandoned(lambda: runtime.post(first, "m", b"leak"))
    runtime.terminate(first)
    gate.set(None)
    runtime.wait(first)
    second = Receiver("a")
    runtime.spawn(second)
    runtime.settle()
    assert second.bodies == []


# Introspection


def test_event_count_counts_what_is_queued(runtime: Runtime) -> None:
    receiver = Receiver()
    runtime.spawn(receiver)
    gate = hold(runtime, receiver)
    runtime.post(receiver, "m")
    runtime.post(receiver, "m")
    runtime.dispatch(receiver, Receiver.call)
    assert receiver.event_count(MessageEvent) == 2
    assert receiver.event_count(DispatchEvent) == 1
    assert [event.kind for event in receiver.queued_events()] == ["MESSAGE", "MESSAGE", "DISPATCH"]
    gate.set(None)
    runtime.settle()
    assert receiver.event_count(MessageEvent) == 0


def test_processes_are_listed_with_what_is_queued(runtime: Runtime) -> None:
    receiver = Receiver("r")
    pid = runtime.spawn(receiver)
    runtime.settle()
    with Peer.connect(runtime.address) as peer:
        answer = peer.get("/__processes__")
    assert answer.header("Content-Type") == "application/json"
    listed = {entry["id"]: entry["events"] for entry in json.loads(answer.body)}
    assert listed["r"] == []
    assert pid.id == "r"


def test_busy_processes_are_named_but_not_too_many(runtime: Runtime) -> None:
    gates = []
    for number in range(12):
        process = Process(f"busy-{number}")
        runtime.spawn(process)
        gates.append(hold(runtime, process))
    told = describe_busy(runtime.processes.records.values())
    assert "busy-0@" in told
    assert "busy-11@" not in told
    assert told.endswith("and 2 more")
    for gate in gates:
        gate.set(None)


@dataclass
class Equal(Process):
    """Equal to others, and so without a hash."""

    number: int

    def __post_init__(self) -> None:
        super().__init__()
        self.got: list[bytes] = []

    @install("m")
    def on_m(self, sender: UPID, body: bytes) -> None:
        self.got.append(body)


@pytest.mark.parametrize("paused", [False, True])
def test_process_without_a_hash_is_served_linked_and_ended(runtime: Runtime, paused: bool) -> None:
    if paused:
        runtime.clock.pause()
    first, second = Equal(1), Equal(1)
    pids = runtime.spawn(first), runtime.spawn(second)
    runtime.dispatch(second, first.link, second)
    runtime.dispatch(first, second.send, first, "m", b"from second").get(timeout=15.0)
    runtime.clock.advance(first, 5.0)
    assert runtime.clock.now(first) - runtime.clock.now(second) == (5.0 if paused else 0.0) or (
        not paused
    )
    runtime.settle()
    assert first.got == [b"from second"]
    for pid in pids:
        runtime.terminate(pid)
        assert runtime.wait(pid)
    assert runtime.clock.statistics()["owners"] == 0


def test_link_of_an_ended_process_is_not_kept(runtime: Runtime) -> None:
    ended, other = Process(), Process()
    pid = runtime.spawn(ended)
    runtime.spawn(other)
    runtime.terminate(pid)
    runtime.wait(pid)
    links = runtime.statistics()["processes"]["links"]
    ended.link(other)
    assert runtime.statistics()["processes"]["links"] == links


def test_processes_end_under_a_paused_clock_and_their_times_go(runtime: Runtime) -> None:
    runtime.clock.pause()
    before = runtime.clock.statistics()["owners"]
    pids = [runtime.spawn(Process()) for _ in range(10)]
    runtime.clock.advance(1.0)
    for pid in pids:
        runtime.dispatch(pid, lambda: None).get(timeout=15.0)
        runtime.terminate(pid)
        assert runtime.wait(pid)
    assert runtime.clock.statistics()["owners"] <= before
