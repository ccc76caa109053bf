"""Twins of libprocess' mpsc_linked_queue_tests.cpp: here the queue is a process' mailbox."""

from __future__ import annotations

from gevent.monkey import get_original

from greenproc.future import Promise
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.process.event import MessageEvent
from greenproc.process.mailbox import Mailbox, as_event
from greenproc.runtime import Runtime
from greenproc.testing import await_ready

NOBODY = UPID()
PRODUCERS = 5
COUNT = 1000


def message(number: int) -> Message:
    return Message(str(number), NOBODY, NOBODY, b"")


def filled(count: int) -> Mailbox:
    mailbox = Mailbox(lambda item: None)
    mailbox.queue.extend(message(number) for number in range(count))
    return mailbox


def test_enqueue_dequeue() -> None:
    """MpscLinkedQueueTest.EnqueueDequeue."""
    assert filled(1).get() == message(0)


def test_enqueue_dequeue_multiple() -> None:
    """MpscLinkedQueueTest.EnqueueDequeueMultiple."""
    mailbox = filled(20)
    assert [mailbox.get() for _ in range(20)] == [message(number) for number in range(20)]


class Consumer(Process):
    """Completes a future when all messages of all producers came."""

    def __init__(self) -> None:
        super().__init__("consumer")
        self.got: dict[str, list[int]] = {str(name): [] for name in range(PRODUCERS)}
        self.done: Promise[None] = Promise()

    @install("item")
    def on_item(self, sender: UPID, body: bytes) -> None:
        self.got[sender.id].append(int(body))
        if sum(map(len, self.got.values())) == PRODUCERS * COUNT:
            self.done.set(None)


def test_enqueue_dequeue_multithreaded(runtime: Runtime) -> None:
    """MpscLinkedQueueTest.EnqueueDequeueMultithreaded."""
    consumer = Consumer()
    pid = runtime.spawn(consumer)

    def produce(name: str) -> None:
        for number in range(COUNT):
            runtime.post(pid, "item", str(number).encode(), sender=UPID(name, pid.address))

    make_thread = get_original("threading", "Thread")
    threads = [make_thread(target=produce, args=(str(name),)) for name in range(PRODUCERS)]
    for thread in threads:
        thread.start()
    await_ready(consumer.done.future)
    for thread in threads:
        thread.join()
    assert list(consumer.got.values()) == [list(range(COUNT))] * PRODUCERS


def test_for_each() -> None:
    """MpscLinkedQueueTest.ForEach."""
    mailbox = filled(20)
    events = [as_event(item) for item in mailbox.queue]
    assert all(isinstance(event, MessageEvent) for event in events)
    assert [event.message for event in events] == [message(number) for number in range(20)]
    assert len(mailbox) == 20


def test_empty() -> None:
    """MpscLinkedQueueTest.Empty."""
    mailbox = filled(0)
    assert mailbox.empty()
    mailbox.queue.append(message(0))
    assert not mailbox.empty()
    mailbox.get()
    assert mailbox.empty()
