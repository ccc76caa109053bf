"""What may wait in mailboxes, by bytes: one process, a node, and nothing that is stuck."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import pytest
from gevent.event import Event

from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.url import URL
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.process.base import record_of
from greenproc.process.ports import Delivery
from greenproc.process.quota import (
    ITEM_BYTES,
    SMALL_BYTES,
    MailboxQuota,
    weigh_record,
    weight_of_request,
)
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from tests.peer import Peer

MIB = 1024 * 1024


class Sink(Process):
    """Takes messages while its gate is open."""

    def __init__(self, id: str = "sink") -> None:
        super().__init__(id)
        self.gate = Event()
        self.began = Event()
        self.sizes: list[int] = []

    @install("m")
    def on_message(self, sender: UPID, body: bytes) -> None:
        self.began.set()
        self.gate.wait()
        self.sizes.append(len(body))


class Drops:
    """Notes what is dropped."""

    def __init__(self, runtime: Runtime) -> None:
        self.reasons: list[str] = []
        runtime.signals.message_dropped.connect(self._note)

    def _note(self, runtime: object, message: Message, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture
def start() -> Iterator[Callable[..., Runtime]]:
    """Return a function that starts a node with some settings."""
    runtimes: list[Runtime] = []

    def start(**settings: int) -> Runtime:
        runtimes.append(Runtime(Settings(ip="127.0.0.1", **settings)))
        runtimes[-1].start()
        return runtimes[-1]

    yield start
    for runtime in runtimes:
        runtime.stop()


def post(runtime: Runtime, to: Process, *sizes: int) -> None:
    for size in sizes:
        runtime.post(to, "m", bytes(size))


def busy(runtime: Runtime, id: str = "sink") -> Sink:
    """Return a process that waits in its handler, with nothing behind it."""
    sink = Sink(id)
    runtime.spawn(sink)
    post(runtime, sink, 0)
    assert sink.began.wait(20.0)
    return sink


def test_a_mailbox_takes_no_more_bytes_than_its_bound(start: Callable[..., Runtime]) -> None:
    runtime = start(max_mailbox_bytes=MIB)
    drops = Drops(runtime)
    sink = busy(runtime)

    post(runtime, sink, *[MIB // 4] * 20)

    assert drops.reasons == ["mailbox full"] * 17
    assert runtime.statistics()["processes"]["refused"] == 17
    assert runtime.statistics()["processes"]["refused_bytes"] >= 17 * MIB // 4
    sink.gate.set()
    runtime.settle()
    assert sink.sizes == [0, *[MIB // 4] * 3]


def test_what_was_served_makes_room(start: Callable[..., Runtime]) -> None:
    runtime = start(max_mailbox_bytes=MIB)
    drops = Drops(runtime)
    sink = busy(runtime)
    sink.gate.set()

    for _ in range(100):
        post(runtime, sink, MIB // 4, MIB // 4, MIB // 4)
        runtime.settle()

    assert drops.reasons == []
    assert len(sink.sizes) == 301


def test_long_names_count_as_bodies_do(start: Callable[..., Runtime]) -> None:
    runtime = start(max_mailbox_bytes=MIB)
    sink = busy(runtime)
    deliver = runtime._parts().processes.deliver

    taken = [deliver(Message("x" * (MIB // 4), UPID(), sink.pid, b"")) for _ in range(5)]

    assert taken == [Delivery.ACCEPTED] * 3 + [Delivery.FULL] * 2
    sink.gate.set()


def test_an_empty_mailbox_takes_a_message_of_any_size(start: Callable[..., Runtime]) -> None:
    runtime = start(max_mailbox_bytes=1, max_queued_bytes=1, max_mailbox_events=1)
    drops = Drops(runtime)
    sink = busy(runtime)
    sink.gate.set()
    runtime.settle()

    for _ in range(3):
        post(runtime, sink, MIB)
        runtime.settle()

    assert drops.reasons == []
    assert sink.sizes == [0, MIB, MIB, MIB]


def test_a_process_that_ends_gives_its_bytes_back(start: Callable[..., Runtime]) -> None:
    runtime = start(max_queued_bytes=MIB)
    drops = Drops(runtime)
    first = busy(runtime, "first")
    second = busy(runtime, "second")
    post(runtime, first, MIB // 2, MIB // 2 - 4096)
    post(runtime, second, SMALL_BYTES - 100, MIB // 2)
    assert drops.reasons == ["node full"]

    runtime.terminate(first)
    first.gate.set()
    assert runtime.wait(first)
    post(runtime, second, MIB // 2)

    assert drops.reasons == ["node full", "process terminated", "process terminated"]
    second.gate.set()


def test_nothing_is_kept_for_a_process_that_ended(start: Callable[..., Runtime]) -> None:
    runtime = start()
    sink = busy(runtime)
    post(runtime, sink, MIB)
    quota = runtime._parts().processes.quota
    assert len(quota._loads) == 1
    mailbox = record_of(sink).mailbox
    assert mailbox is not None

    runtime.terminate(sink)
    sink.gate.set()
    assert runtime.wait(sink)
    mailbox.put(Message("m", UPID(), sink.pid, bytes(MIB)))

    assert len(quota._loads) == 0


def test_a_full_node_takes_small_messages_for_idle_processes(
    start: Callable[..., Runtime],
) -> None:
    runtime = start(max_queued_bytes=MIB)
    drops = Drops(runtime)
    hog = busy(runtime, "hog")
    idle = busy(runtime, "idle")
    idle.gate.set()
    post(runtime, hog, *[MIB // 4] * 8)
    dropped = len(drops.reasons)

    post(runtime, idle, 100)

    assert dropped == 5
    assert len(drops.reasons) == dropped
    hog.gate.set()
    runtime.settle()
    assert idle.sizes == [0, 100]


def test_many_processes_together_hold_no_more_than_the_node(
    start: Callable[..., Runtime],
) -> None:
    runtime = start(max_queued_bytes=4 * MIB)
    sinks = [busy(runtime, f"sink{number}") for number in range(8)]

    for _ in range(20):
        for sink in sinks:
            post(runtime, sink, MIB // 4)

    held = sum(weigh_record(record_of(sink)) for sink in sinks)
    assert 3 * MIB < held <= 4 * MIB + 8 * SMALL_BYTES
    for sink in sinks:
        sink.gate.set()


def test_a_request_for_a_full_mailbox_is_answered_503(start: Callable[..., Runtime]) -> None:
    runtime = start(max_mailbox_bytes=MIB)
    sink = busy(runtime)
    router = runtime._parts().router
    url = URL.parse("/sink/x")

    answers = [router.serve(Request("POST", url, body=bytes(MIB // 4))) for _ in range(4)]

    assert [answer.ready() for answer in answers] == [False, False, False, True]
    sink.gate.set()
    assert [answer.get(timeout=20.0).status for answer in answers] == [404, 404, 404, 503]


def test_the_body_of_a_request_counts_until_it_is_served(start: Callable[..., Runtime]) -> None:
    runtime = start(max_mailbox_bytes=1, max_queued_bytes=1, max_mailbox_events=1)
    runtime.spawn(Process("sink"))
    request = b"POST /sink/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"

    with Peer.connect(runtime.address) as peer:
        for _ in range(3):
            peer.send(request)
            assert peer.read_answer().status == "HTTP/1.1 404 Not Found"


class Queue:
    """A queue by itself, without a runtime."""

    def __init__(self, **bounds: int) -> None:
        self.quota = MailboxQuota(Settings(**bounds))
        self.record = record_of(Process())
        self.message = Message("", UPID(), UPID(), bytes(100 - ITEM_BYTES))
        self.record.events = deque()

    def offer(self) -> bool:
        if self.quota.reason_to_refuse(self.record, 100) is not None:
            return False
        assert self.record.events is not None
        self.record.events.append(self.message)
        return True


def test_a_queue_that_stays_full_is_weighed_once_in_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weighed = []
    monkeypatch.setattr(
        "greenproc.process.quota.weigh_record",
        lambda record: weighed.append(1) or weigh_record(record),
    )
    queue = Queue(max_mailbox_bytes=80 * 100)
    assert sum(queue.offer() for _ in range(81)) == 80
    weighed.clear()

    assert not any(queue.offer() for _ in range(100))

    assert len(weighed) == 10


def test_a_queue_that_was_half_served_is_weighed_at_once() -> None:
    queue = Queue(max_mailbox_bytes=80 * 100)
    assert sum(queue.offer() for _ in range(82)) == 80
    assert queue.record.events is not None

    for _ in range(41):
        queue.record.events.popleft()

    assert queue.offer()


def test_the_mark_never_lets_in_more_events_than_there_may_be() -> None:
    queue = Queue(max_mailbox_events=3)

    assert queue.quota.first_mark == 3 * ITEM_BYTES
    for left in (2, 1, 0):
        queue.offer()
        assert queue.record.byte_mark - queue.record.queued_bytes <= (left + 1) * ITEM_BYTES


@pytest.mark.parametrize(
    "headers", [[("A", "x" * 50), ("B", "y" * 50)], [("A", "x" * 50), ("A", "y" * 50)]]
)
def test_every_line_of_a_header_counts(headers: list[tuple[str, str]]) -> None:
    request = Request("POST", URL.parse("/sink"), Headers(headers), b"body")

    assert weight_of_request(request) == 4 + len("/sink") + 100
