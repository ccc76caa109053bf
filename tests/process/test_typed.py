"""Handlers that take values, and messages that are sent as ones."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import gevent
import msgspec
import pytest
from gevent.event import Event

import greenproc
from greenproc import UPID, Message, Process, Promise, Runtime, install
from greenproc.errors import InvalidArgument, InvalidMessage
from greenproc.testing import await_ready, expect_failure
from greenproc.testing.runtimes import RuntimeMaker
from tests.bodies import FAULTS, Join, Ping, Point, Pong, Tree
from tests.peer import Peer


class Room(Process):
    """Keeps what its handlers get."""

    def __init__(self) -> None:
        super().__init__("room")
        self.got: list[tuple[UPID, Any]] = []
        self.first: Promise[tuple[UPID, Any]] = Promise()

    def keep(self, sender: UPID, value: Any) -> None:
        self.got.append((sender, value))
        self.first.set((sender, value))

    @install("join", Join)
    def on_join(self, sender: UPID, join: Join) -> None:
        self.keep(sender, join)

    @install(Point)
    def on_point(self, sender: UPID, point: Point) -> None:
        self.keep(sender, point)

    @install("number", int)
    def on_number(self, sender: UPID, number: int) -> None:
        self.keep(sender, number)

    @install("names", dict[str, list[int]])
    def on_names(self, sender: UPID, names: dict[str, list[int]]) -> None:
        self.keep(sender, names)

    @install("either", Ping | Pong)
    def on_either(self, sender: UPID, one: Ping | Pong) -> None:
        self.keep(sender, one)

    @install("raw")
    def on_raw(self, sender: UPID, body: bytes) -> None:
        self.keep(sender, body)


class Sender(Process):
    """Sends what it is told to send."""

    def give(self, *arguments: Any) -> None:
        self.send(*arguments)


MESSAGES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "a Struct": (("join", Join("ann")), Join("ann")),
    "a dataclass that gives the name": ((Point(3),), Point(3)),
    "a number": (("number", 2**80), 2**80),
    "a dict": (("names", {"a": [1]}), {"a": [1]}),
    "one of a union": (("either", Ping(1)), Ping(1)),
    "the other of a union": (("either", Pong(2)), Pong(2)),
    "raw bytes": (("raw", b"\x01"), b"\x01"),
    "no bytes": (("raw",), b""),
    "raw bytes for a type": (("number", b"\x07"), 7),
    "what is like bytes": (("raw", bytearray(b"x")), b"x"),
    "a list for a raw handler": (("raw", [1, 2]), b"\x92\x01\x02"),
}


@pytest.fixture
def room(runtime: Runtime) -> Room:
    room = Room()
    runtime.spawn(room)
    return room


@pytest.mark.parametrize("message", MESSAGES)
def test_handler_gets_the_sender_and_the_value(runtime: Runtime, room: Room, message: str) -> None:
    arguments, value = MESSAGES[message]
    sender = runtime.spawn(Sender())
    runtime.dispatch(sender, Sender.give, room, *arguments)
    runtime.settle()
    assert room.got == [(sender, value)]


@pytest.mark.parametrize("message", MESSAGES)
def test_post_takes_what_send_takes(runtime: Runtime, room: Room, message: str) -> None:
    arguments, value = MESSAGES[message]
    runtime.post(room, *arguments)
    with runtime.selected():
        greenproc.post(room, *arguments, sender=room.pid)
    runtime.settle()
    assert room.got == [(UPID(), value), (room.pid, value)]


@pytest.mark.parametrize("message", MESSAGES)
def test_value_travels_between_nodes(make_runtime: RuntimeMaker, message: str) -> None:
    arguments, value = MESSAGES[message]
    here, there = make_runtime(), make_runtime()
    room = Room()
    there.spawn(room)
    sender = here.spawn(Sender())
    here.dispatch(sender, Sender.give, room.pid, *arguments)
    assert await_ready(room.first.future) == (sender, value)


def test_process_installs_a_handler_with_a_type(runtime: Runtime) -> None:
    process = Room()
    process.install("join", lambda sender, value: process.got.append((sender, value)), Ping)
    process.install(Tree, lambda sender, value: process.got.append((sender, value)))
    runtime.spawn(process)
    runtime.post(process, "join", Ping(1))
    runtime.post(process, Tree(1))
    runtime.post(process, "join", Join("not any more"))
    runtime.settle()
    assert process.got == [(UPID(), Ping(1)), (UPID(), Tree(1))]
    assert runtime.statistics()["messages_dropped"]["body not decoded"] == 1


def test_tag_is_the_name(runtime: Runtime) -> None:
    class Answering(Room):
        @install(Ping)
        def on_ping(self, sender: UPID, ping: Ping) -> None:
            self.got.append((sender, ping))

    process = Answering()
    runtime.spawn(process)
    runtime.post(process, "ping", Ping(1))
    runtime.post(process, Ping(2))
    runtime.settle()
    assert [value for _, value in process.got] == [Ping(1), Ping(2)]


def test_override_without_decorator_gets_values(runtime: Runtime) -> None:
    class Derived(Room):
        def on_join(self, sender: UPID, join: Join) -> None:
            self.got.append((sender, join.name))

    process = Derived()
    runtime.spawn(process)
    runtime.post(process, "join", Join("ann"))
    runtime.settle()
    assert process.got == [(UPID(), "ann")]


def test_value_that_is_sent_is_copied(runtime: Runtime) -> None:
    process = Room()
    runtime.spawn(process)
    value = {"a": [1]}
    runtime.post(process, "names", value)
    value["a"].append(2)
    runtime.settle()
    assert process.got == [(UPID(), {"a": [1]})]


MISTAKES: dict[str, tuple[Callable[[Runtime, Room], object], str]] = {
    "a text": (lambda runtime, room: runtime.post(room, "raw", "text"), "use text.encode()"),
    "a name that is no text": (
        lambda runtime, room: runtime.post(room, 5),
        "name of a message as a text, got 5",
    ),
    "a name as bytes": (lambda runtime, room: room.send(room, b"raw"), "a text, got b'raw'"),
    "no name": (lambda runtime, room: room.send(room, None), "a text, got None"),
    "a value and a body": (
        lambda runtime, room: room.send(room, Ping(1), b"x"),  # type: ignore[call-overload]
        "name of a message as a text, got Ping",
    ),
    "what has no encoding": (
        lambda runtime, room: room.send(room, "raw", object()),
        "expected a value for a body, got object",
    ),
    "a list as a name": (lambda runtime, room: room.send(room, [1]), "no name"),
    "a type and a type": (
        lambda runtime, room: room.install(Ping, print, Ping),  # type: ignore[call-overload]
        "expected a message name",
    ),
    "no type": (lambda runtime, room: room.install("a", print, 5), "expected a Struct"),
    "a class without a name": (lambda runtime, room: room.install(int, print), "no name"),
    "too few parameters": (
        lambda runtime, room: room.install("a", lambda sender: None, Ping),  # type: ignore[misc,arg-type,call-overload]
        "cannot handle messages 'a'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_at_once(runtime: Runtime, room: Room, mistake: str) -> None:
    call, told = MISTAKES[mistake]
    with pytest.raises(InvalidArgument, match=told):
        call(runtime, room)


def test_class_with_a_handler_that_cannot_be_called_is_not_made() -> None:
    with pytest.raises(InvalidArgument, match=r"expected Bad.on_join\(self, sender, body\)"):

        class Bad(Process):
            @install("join", Join)  # type: ignore[arg-type]
            def on_join(self, join: Join) -> None: ...

    with pytest.raises(InvalidArgument, match="two handlers of messages 'ping'"):

        class Twice(Process):
            @install(Ping)
            def on_ping(self, sender: UPID, ping: Ping) -> None: ...

            @install("ping")
            def on_raw(self, sender: UPID, body: bytes) -> None: ...


# What does not decode


class Target(Process):
    """Has a handler for a type, and knows whether it was called."""

    def __init__(self, type: Any, id: str = "target") -> None:
        super().__init__(id)
        self.got: list[Any] = []
        self.install("typed", lambda sender, value: self.got.append(value), type)
        self.install("raw", lambda sender, body: self.got.append(body))


def failure_of_class(fault: str) -> AbstractContextManager[Any]:
    """Expect that a class of the program fails by what is not a `ValueError`, where it does."""
    if fault == "a value that its class refuses":
        return expect_failure(InvalidMessage, "picky")
    return nullcontext()


@pytest.mark.parametrize("fault", FAULTS)
def test_message_that_does_not_decode_is_dropped_and_reported(
    make_runtime: RuntimeMaker, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    type, body, path = FAULTS[fault]
    runtime = make_runtime()
    target = Target(type)
    runtime.spawn(target)
    dropped: list[tuple[Message, str]] = []
    runtime.signals.message_dropped.connect(
        lambda sender, message, reason: dropped.append((message, reason))
    )
    caplog.set_level(logging.DEBUG, "greenproc.process")
    sender = UPID("bad", runtime.address)
    with failure_of_class(fault):
        runtime.post(target, "typed", body, sender=sender)
        runtime.post(target, "raw", b"lives")
        runtime.settle()

    assert target.got == [b"lives"]
    assert dropped == [(Message("typed", sender, target.pid, body), "body not decoded")]
    assert runtime.statistics()["messages_dropped"]["body not decoded"] == 1
    (record,) = [one for one in caplog.records if "dropped" in one.getMessage()]
    assert f"'typed' from {sender}, at {path}: " in record.getMessage()
    assert len(record.getMessage()) < 500


def test_hostile_bodies_over_a_socket_leave_the_process_alive(runtime: Runtime) -> None:
    targets = {fault: Target(case[0], fault.replace(" ", "-")) for fault, case in FAULTS.items()}
    for target in targets.values():
        runtime.spawn(target)
    with expect_failure(InvalidMessage, "picky"), Peer.connect(runtime.address) as peer:
        for fault, target in targets.items():
            for name, body in (("typed", FAULTS[fault][1]), ("raw", b"lives")):
                peer.send(message_to(target, name, body))
                assert peer.read_answer().code == 202
        runtime.settle()
    assert [target.got for target in targets.values()] == [[b"lives"]] * len(FAULTS)
    assert runtime.statistics()["messages_dropped"]["body not decoded"] == len(FAULTS)


def message_to(target: Process, name: str, body: bytes) -> bytes:
    """Return the request that carries a message, as libprocess sends it."""
    head = f"POST /{target.pid.id}/{name} HTTP/1.1\r\nHost: x\r\nLibprocess-From: a@1.2.3.4:5\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Moody(msgspec.Struct):
    """Does while it is made what a test asks for."""

    mood: str

    def __post_init__(self) -> None:
        if self.mood != "calm":
            MOODS[self.mood]()


GATE = Event()


def raise_timeout() -> None:
    raise gevent.Timeout(1)


def raise_exit() -> None:
    raise gevent.GreenletExit


class Speechless(Exception):
    """Its text is an error itself."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def raise_speechless() -> None:
    raise Speechless


def raise_bare() -> None:
    raise msgspec.ValidationError


def raise_number() -> None:
    raise msgspec.ValidationError(5)


MOODS: dict[str, Callable[[], object]] = {
    "has no text": raise_speechless,
    "is bare": raise_bare,
    "has a number": raise_number,
    "times out": raise_timeout,
    "exits": raise_exit,
    "waits": lambda: GATE.wait(15),
}


def test_class_that_times_out_while_it_is_made_drops_the_message(runtime: Runtime) -> None:
    target = Target(Moody)
    runtime.spawn(target)
    with expect_failure(InvalidMessage):
        runtime.post(target, "typed", {"mood": "times out"})
        runtime.settle()
    runtime.post(target, "typed", Moody("calm"))
    runtime.settle()
    assert target.got == [Moody("calm")]


@pytest.mark.parametrize("mood", ["has no text", "is bare", "has a number"])
def test_class_with_an_odd_error_while_it_is_made_drops_the_message(
    runtime: Runtime, mood: str
) -> None:
    target = Target(Moody)
    runtime.spawn(target)
    with expect_failure(InvalidMessage) if mood == "has no text" else nullcontext():
        runtime.post(target, "typed", {"mood": mood})
        runtime.settle()
    runtime.post(target, "typed", Moody("calm"))
    runtime.settle()
    assert target.got == [Moody("calm")]


def test_class_that_ends_its_greenlet_while_it_is_made_ends_the_process(runtime: Runtime) -> None:
    target = Target(Moody)
    pid = runtime.spawn(target)
    runtime.post(target, "typed", {"mood": "exits"})
    runtime.wait(pid)
    assert target.got == []


def test_class_that_waits_while_it_is_made_lets_others_go_on(runtime: Runtime) -> None:
    GATE.clear()
    slow, quick = Target(Moody, "slow"), Target(Moody, "quick")
    runtime.spawn(slow)
    pid = runtime.spawn(quick)
    runtime.post(slow, "typed", {"mood": "waits"})
    for _ in range(3):
        runtime.post(quick, "typed", Moody("calm"))
    runtime.dispatch(pid, lambda: None).get(timeout=15)
    assert (slow.got, quick.got) == ([], [Moody("calm")] * 3)
    GATE.set()
    runtime.settle()
    assert [one.mood for one in slow.got] == ["waits"]
