"""The mailbox, which is a gevent queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.queue import Empty, SimpleQueue

from greenproc.errors import Closed, StateError
from greenproc.future import Promise
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.process.base import record_of
from greenproc.process.event import (
    DispatchEvent,
    Event,
    ExitedEvent,
    MessageEvent,
    TerminateEvent,
)
from greenproc.process.invariants import check_invariants
from greenproc.process.mailbox import (
    Mailbox,
    as_event,
    count_events,
    discard_until_terminate,
)
from greenproc.runtime import Runtime
from greenproc.testing import RuntimeMaker

MESSAGE = Message("m", UPID(), UPID(), b"")


def test_put_goes_the_way_of_a_delivery() -> None:
    delivered: list[object] = []
    mailbox = Mailbox(delivered.append)
    event = ExitedEvent(UPID())
    mailbox.put(event)
    mailbox.put_nowait(event)
    mailbox.put(event, block=False, timeout=1.0)
    assert delivered == [event] * 3
    assert mailbox.empty()


def test_mailbox_is_a_gevent_queue() -> None:
    mailbox = Mailbox(lambda item: None)
    mailbox.queue.append(MESSAGE)
    assert isinstance(mailbox, SimpleQueue)
    assert len(mailbox) == mailbox.qsize() == 1
    assert mailbox.peek() is MESSAGE
    assert mailbox.get() is MESSAGE


def test_putting_into_the_mailbox_of_a_process_wakes_it(runtime: Runtime) -> None:
    bodies: list[bytes] = []

    class Receiver(Process):
        @install("m")
        def on_m(self, sender: UPID, body: bytes) -> None:
            bodies.append(body)

    process = Receiver()
    runtime.spawn(process)
    runtime.settle()
    process.mailbox.put(MessageEvent(Message("m", UPID(), process.pid, b"1")))
    runtime.settle()
    assert bodies == [b"1"]


def test_mailbox_holds_what_waits(runtime: Runtime) -> None:
    process = Process()
    runtime.spawn(process)
    gate: Promise[None] = Promise()
    runtime.dispatch(process, gate.future.get)
    gevent.idle()
    runtime.post(process, "m")
    assert len(process.mailbox) == 1
    gate.set(None)
    runtime.settle()
    assert len(process.mailbox) == 0


class Collecting(Process):
    """Takes what follows a message "take" itself, and notes what it gets how."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[object] = []

    @install("take")
    def on_take(self, sender: UPID, body: bytes) -> None:
        for item in self.mailbox:
            assert isinstance(item, Message)
            self.got.append(item.name)
            if item.name == "last":
                return

    @install("m")
    def on_m(self, sender: UPID, body: bytes) -> None:
        self.got.append(body)

    def finalize(self) -> None:
        self.got.append("finalized")

    def take(self, *args: Any, **kwargs: Any) -> Any:
        return self.mailbox.get(*args, **kwargs)


def post_all(runtime: Runtime, process: Process, *names: str) -> None:
    for name in names:
        runtime.post(process, name, b"served")


LIMITS: list[dict[str, int]] = [{}, {"events": 1, "turns": 1}, {"parked": 0}]


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("comes_later", [False, True])
def test_handler_takes_the_next_events_itself(
    make_runtime: RuntimeMaker,
    limit_turns: Callable[..., None],
    limits: dict[str, int],
    comes_later: bool,
) -> None:
    limit_turns(**limits)
    node = make_runtime()
    process = Collecting()
    node.spawn(process)
    post_all(node, process, "take")
    for name in ("m", "other", "last", "m"):
        if comes_later:
            node.settle()
            check_invariants(node.processes)
        post_all(node, process, name)
    node.settle()
    assert process.got == ["m", "other", "last", b"served"]
    check_invariants(node.processes)


def test_process_that_waits_for_its_next_event_counts_as_idle_and_is_stopped(
    runtime: Runtime,
) -> None:
    process = Collecting()
    runtime.spawn(process)
    post_all(runtime, process, "take")
    runtime.settle()
    assert runtime.statistics()["processes"]["busy"] == 0
    assert runtime.stop() == ()
    assert process.got == ["finalized"]


@pytest.mark.parametrize("inject", [True, False])
def test_taking_is_told_of_the_request_to_terminate(runtime: Runtime, inject: bool) -> None:
    process = Collecting()
    runtime.spawn(process)
    taken = runtime.dispatch(process, Collecting.take)
    gevent.idle()
    runtime.terminate(process, inject=inject)
    with pytest.raises(Closed, match="is asked to terminate"):
        taken.get(timeout=15.0)
    runtime.wait(process)
    assert process.got == ["finalized"]


def test_process_that_waits_for_its_next_event_can_be_killed(runtime: Runtime) -> None:
    process = Collecting()
    runtime.spawn(process)
    post_all(runtime, process, "take")
    runtime.settle()
    gevent.kill(record_of(process).greenlet)
    runtime.wait(process)
    assert process.got == ["finalized"]
    check_invariants(runtime.processes)


def test_taking_waits_no_longer_than_wanted(runtime: Runtime) -> None:
    process = Collecting()
    runtime.spawn(process)
    for arguments in ({"block": False}, {"timeout": 0.001}):
        with pytest.raises(Empty):
            runtime.dispatch(process, Collecting.take, **arguments).get(timeout=15.0)
    check_invariants(runtime.processes)
    post_all(runtime, process, "m")
    runtime.settle()
    assert process.got == [b"served"]


def test_timeout_of_others_goes_through_the_wait(runtime: Runtime) -> None:
    process = Collecting()
    runtime.spawn(process)

    def take() -> str:
        with gevent.Timeout(0.001) as outer:
            try:
                process.mailbox.get(timeout=1000.0)
            except gevent.Timeout as raised:
                return "outer" if raised is outer else "inner"
        return "none"

    assert runtime.dispatch(process, take).get(timeout=15.0) == "outer"
    check_invariants(runtime.processes)


def test_event_filter_sees_what_a_handler_takes(runtime: Runtime) -> None:
    process = Collecting()
    runtime.spawn(process)
    runtime.filter(
        lambda to, event: isinstance(event, MessageEvent) and event.message.name == "other"
    )
    post_all(runtime, process, "take", "m", "other", "last")
    runtime.settle()
    runtime.filter(None)
    assert process.got == ["m", "last"]


@pytest.mark.usefixtures("untraced")
def test_initialize_may_take_events(runtime: Runtime) -> None:
    class First(Collecting):
        def initialize(self) -> None:
            self.got.append(self.mailbox.get())

    process = First()
    runtime.spawn(process)
    runtime.settle()
    post_all(runtime, process, "m", "m")
    runtime.settle()
    assert [type(one) for one in process.got] == [Message, bytes]


def test_others_may_look_at_events_but_not_take_them(runtime: Runtime) -> None:
    process = Collecting()
    runtime.spawn(process)
    mailbox = process.mailbox
    for take in (mailbox.get, mailbox.get_nowait, lambda: next(iter(mailbox))):
        with pytest.raises(StateError, match=r"use peek\(\), a filter or a queue of your own"):
            take()
    for look in (mailbox.peek, mailbox.peek_nowait):
        with pytest.raises(Empty):
            look()
    post_all(runtime, process, "m")
    assert mailbox.peek() is mailbox.peek_nowait()
    runtime.settle()
    assert process.got == [b"served"]


@pytest.mark.parametrize("parked", [0, 1000])
def test_mailbox_that_is_kept_is_the_one_of_the_process(
    make_runtime: RuntimeMaker, limit_turns: Callable[..., None], parked: int
) -> None:
    limit_turns(parked=parked)
    node = make_runtime()
    process = Collecting()
    node.spawn(process)
    mailbox = process.mailbox
    node.settle()
    post_all(node, process, "m")
    assert len(mailbox) == 1
    assert process.mailbox is mailbox
    node.settle()
    assert len(mailbox) == 0
    node.terminate(process)
    node.wait(process)
    assert len(process.mailbox) == 0
    assert record_of(process).mailbox is None


def test_event_is_made_around_a_bare_message() -> None:
    event = as_event(MESSAGE)
    assert isinstance(event, MessageEvent)
    assert event.message is MESSAGE
    exited = ExitedEvent(UPID())
    assert as_event(exited) is exited


def test_events_are_counted_by_kind() -> None:
    items = [MESSAGE, ExitedEvent(UPID()), MESSAGE, MessageEvent(MESSAGE)]
    assert count_events(items, MessageEvent) == 3
    assert count_events(items, ExitedEvent) == 1
    assert count_events(items, TerminateEvent) == 0
    assert count_events(items, Event) == 4


def test_discarding_stops_at_the_first_terminate() -> None:
    first, second = TerminateEvent(UPID()), TerminateEvent(UPID())
    dispatch = DispatchEvent(print)
    items = deque([MESSAGE, dispatch, first, MESSAGE, second])
    discarded: list[object] = []
    discard_until_terminate(items, discarded.append)
    assert discarded == [MESSAGE, dispatch]
    assert list(items) == [first, MESSAGE, second]


def test_discarding_ends_with_the_queue() -> None:
    items = deque([MESSAGE])
    discard_until_terminate(items, lambda item: None)
    assert not items
