"""Rows: what is made of processes and timers, and what a process is told about messages."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import msgspec
from gevent.event import Event

from greenproc import (
    UPID,
    Cron,
    Process,
    Router,
    State,
    StateMachine,
    Topic,
    ask,
    every,
    install,
)
from greenproc.logs import JSONFormatter
from greenproc.runtime import Runtime
from tests.users_code.actors import PROCESS
from tests.users_code.support import (
    LIMIT,
    Check,
    Misbehaviour,
    Row,
    Subject,
    Trigger,
    assert_set,
    has_ended,
)


def assert_ends(runtime: Runtime, pid: UPID, call: Misbehaviour) -> None:
    """Assert that the process *pid* ended, unless the code waits, and with it the process."""
    assert (
        (runtime.processes.find_process(pid) is not None)
        if call.waits
        else has_ended(runtime, pid)
    )


def repeat(runtime: Runtime, call: Misbehaviour) -> Check:
    """The calls of another process by the same times go on."""
    runtime.clock.pause()
    subject, second = runtime.spawn(Subject(dispatch=call)), Event()
    with runtime.selected():
        repetition = every(Cron("@hourly"), subject, Subject.method)
        every(Cron("@hourly"), runtime.spawn(Process()), second.set)
    assert repetition.due is not None
    runtime.clock.update(repetition.due)

    def check() -> None:
        assert_set(second)
        assert_ends(runtime, subject, call)
        runtime.clock.advance(3600.0)
        assert repetition.calls == 1

    return check


# Functions in native threads


def offload(runtime: Runtime, call: Misbehaviour) -> Check:
    """What comes out of the thread, a kill as well, is an error of the process that waits for it."""
    subject = runtime.spawn(Subject())
    process = runtime.processes.find_process(subject)
    assert process is not None
    runtime.dispatch(subject, lambda: process.offload(call).then(print)).get(timeout=LIMIT)
    return lambda: assert_ends(runtime, subject, call)


def after_offload(runtime: Runtime, call: Misbehaviour) -> Check:
    subject = runtime.spawn(Subject())
    process = runtime.processes.find_process(subject)
    assert process is not None
    runtime.dispatch(subject, lambda: process.offload(int).then(call)).get(timeout=LIMIT)
    return lambda: assert_ends(runtime, subject, call)


# Routers


class Key:
    """Is no text, and is made one by the code."""

    def __init__(self, call: Misbehaviour) -> None:
        self._call = call

    def __str__(self) -> str:
        self._call()
        return "key"


def route_by_text(runtime: Runtime, call: Misbehaviour) -> Check:
    """A message whose key has no text is dropped."""

    def choose(message: object) -> Any:
        return "fine" if call.raised else Key(call)

    worker = Subject("worker")
    router = runtime.spawn(Router([runtime.spawn(worker)], route="hash", key=choose))
    runtime.post(router, "m")

    def check() -> None:
        if call.fails:
            assert [letter.reason for letter in runtime.dead_letters] == ["the key failed"]
            runtime.post(router, "m")
            runtime.settle()
            assert worker.messages == 1
        else:
            assert_ends(runtime, router, call)

    return check


# Subscribers


def publish(runtime: Runtime, call: Misbehaviour) -> Check:
    """A subscriber that misbehaves keeps nothing from the next one."""
    topic, first, second = Topic(), Subject(message=call), Subject("second")
    for process in (topic, first, second):
        runtime.spawn(process)
    for subscriber in (first, second):
        runtime.dispatch(topic, Topic.subscribe, subscriber.pid).get(timeout=LIMIT)
    runtime.dispatch(topic, Topic.publish, "m").get(timeout=LIMIT)

    def check() -> None:
        assert runtime.dispatch(second, lambda: second.messages).get(timeout=LIMIT) == 1
        assert_ends(runtime, first.pid, call)

    return check


def drop_for_process(runtime: Runtime, call: Misbehaviour) -> Check:
    """A process gets dead letters in its turn, by what it defers: nothing waits for that."""
    subject = runtime.spawn(Subject(dispatch=call))
    second = Event()
    with runtime.selected():
        process = runtime.processes.find_process(subject)
        assert process is not None
        runtime.dead_letters.subscribe(process.defer(Subject.method))
    runtime.dead_letters.subscribe(lambda letter: second.set())
    runtime.post(UPID("nowhere", runtime.address), "m")
    return lambda: assert_set(second)


# State machines


class Machine(StateMachine):
    """Has one of its methods replaced by the code that misbehaves."""

    idle = State(initial=True)
    busy = State()

    def __init__(self, call: Misbehaviour, place: str) -> None:
        super().__init__("machine")
        self._code, self._place = call, place

    def __reach(self, place: str) -> None:
        if place == self._place:
            self._code()

    @idle.on("begin")
    def begin(self, sender: UPID, body: bytes) -> None:
        self.__reach("handler")
        self.next_state(Machine.busy)

    @idle.exit
    def leave(self) -> None:
        self.__reach("exit")

    @busy.entry
    def come(self) -> None:
        self.__reach("entry")

    @busy.timeout(0.0)
    def time_out(self) -> None:
        self.__reach("timeout")


def change_state(place: str) -> Trigger:
    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        machine = runtime.spawn(Machine(call, place))
        runtime.post(machine, "begin")
        return lambda: assert_ends(runtime, machine, call)

    return run


# Typed messages


@dataclass
class Order:
    """A body that is made by the code."""

    number: int

    code: ClassVar[Misbehaviour]

    def __post_init__(self) -> None:
        self.code()


class Clerk(Process):
    """Answers with what the code returns, and takes bodies that it makes."""

    def __init__(self, call: Misbehaviour) -> None:
        super().__init__("clerk")
        self._code = call

    @install("answer", returns=int)
    def on_answer(self, sender: UPID, body: bytes) -> int:
        self._code()
        return 1

    @install("fine", returns=int)
    def on_fine(self, sender: UPID, body: bytes) -> int:
        return 1

    @install(Order)
    def on_order(self, sender: UPID, order: Order) -> None: ...


def answer(runtime: Runtime, call: Misbehaviour) -> Check:
    """The handler's process ends, and what asked is told so."""
    clerk = runtime.spawn(Clerk(call))
    with runtime.selected():
        asked = ask(clerk, "answer", returns=int)

    def check() -> None:
        assert_ends(runtime, clerk, call)
        if call.waits:
            assert asked.is_pending
        elif call.is_killed:
            assert asked.is_abandoned
        else:
            assert asked.await_(LIMIT)
            assert "has no answer to" in asked.failure()

    return check


def decode(runtime: Runtime, call: Misbehaviour) -> Check:
    """A body that cannot be made is dropped, and its process lives."""
    Order.code = call
    clerk = runtime.spawn(Clerk(call))
    runtime.post(clerk, "Order", msgspec.msgpack.encode({"number": 1}))

    def check() -> None:
        if not call.fails:
            assert_ends(runtime, clerk, call)
            return
        with runtime.selected():
            assert ask(clerk, "fine", returns=int).get(timeout=LIMIT) == 1
        assert [letter.reason for letter in runtime.dead_letters] == ["body not decoded"]

    return check


# Logs


class Raising(Process):
    def __init__(self, id: str, what: Any = None) -> None:
        super().__init__(id)
        self.what = what

    @install("m")
    def on_m(self, sender: UPID, body: bytes) -> None:
        logging.getLogger("greenproc.of_users").error("of a handler", extra={"what": self.what})
        raise ValueError("for the log")


class Quiet(logging.Handler):
    """Formats records, and says nothing of what goes wrong then."""

    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)


def format_record(runtime: Runtime, call: Misbehaviour) -> Check:
    """A process ends although that cannot be logged."""
    handler = Quiet(logging.ERROR)
    handler.setFormatter(SimpleNamespace(format=call))  # type: ignore[arg-type]
    logger = logging.getLogger("greenproc")
    logger.addHandler(handler)
    call.when_released.append(lambda: logger.removeHandler(handler))
    raising = runtime.spawn(Raising("raising"))
    runtime.post(raising, "m")
    return lambda: assert_ends(runtime, raising, call)


class Shown:
    """Is written by the code."""

    def __init__(self, call: Misbehaviour) -> None:
        self._call = call

    def __repr__(self) -> str:
        self._call()
        return "shown"


def format_value(runtime: Runtime, call: Misbehaviour) -> Check:
    """The line of a record is written all the same."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Lines(logging.ERROR)
    handler.setFormatter(JSONFormatter())
    logger = logging.getLogger("greenproc.of_users")
    logger.addHandler(handler)
    call.when_released.append(lambda: logger.removeHandler(handler))
    raising = runtime.spawn(Raising("raising", Shown(call)))
    runtime.post(raising, "m")

    def check() -> None:
        assert_ends(runtime, raising, call)
        assert len(lines) == call.fails

    return check


PATTERNS = {
    "method of a Cron": Row(repeat, PROCESS),
    "function that a process offloads": Row(
        offload, PROCESS, must_not_wait="nothing ends a native thread"
    ),
    "method that gets what was offloaded": Row(after_offload, PROCESS),
    "text of the key of a Router": Row(route_by_text, PROCESS),
    "subscriber of a Topic": Row(publish, PROCESS),
    "process that gets dead letters": Row(drop_for_process, "greenproc.future"),
    "handler of a state": Row(change_state("handler"), PROCESS),
    "entry of a state": Row(change_state("entry"), PROCESS),
    "exit of a state": Row(change_state("exit"), PROCESS),
    "timeout of a state": Row(change_state("timeout"), PROCESS),
    "handler that answers": Row(answer, PROCESS),
    "class of a body": Row(decode, timeout_logger=PROCESS),
    "log formatter": Row(
        format_record,
        PROCESS,
        must_not_wait="a record is written where it is made, in the hub, too",
    ),
    "text of a value in a log": Row(
        format_value, must_not_wait="a record is written where it is made, in the hub, too"
    ),
}
