"""The mailbox, which is a gevent queue."""

from __future__ import annotations

from collections import deque

import gevent
from gevent.queue import SimpleQueue

from greenproc.future import Promise
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.process.event import (
    DispatchEvent,
    Event,
    ExitedEvent,
    MessageEvent,
    TerminateEvent,
)
from greenproc.process.mailbox import (
    Mailbox,
    as_event,
    count_events,
    discard_until_terminate,
)
from greenproc.runtime import Runtime

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
