"""Mailboxes with a limit of their own: what each policy does, and that everything is accounted for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import gevent
import pytest
from gevent.event import Event

import greenproc
from greenproc import UPID, MailboxLimit, Process, install
from greenproc.errors import Abandoned, InvalidArgument
from greenproc.http import Headers, Request, Response
from greenproc.http.url import URL
from greenproc.message import Message
from greenproc.process import HttpEvent
from greenproc.process.base import record_of
from greenproc.process.flow import POLICIES, Policy
from greenproc.process.ports import Delivery
from greenproc.runtime import Runtime
from greenproc.testing import await_ready
from tests.peer import Peer


class Gated(Process):
    """Serves messages while its gate is open, and notes what it served."""

    def __init__(self, when_full: Policy, events: int | None = 2, size: int | None = None) -> None:
        super().__init__("gated")
        self.mailbox_limit = MailboxLimit(events, size, when_full)
        self.began = Event()
        self.gate = Event()
        self.served: list[bytes] = []
        self.told: list[UPID] = []

    @install("m")
    def on_message(self, sender: UPID, body: bytes) -> None:
        self.began.set()
        self.gate.wait()
        self.served.append(body)

    def exited(self, pid: UPID) -> None:
        self.told.append(pid)
        self.served.append(b"exited")

    def value(self) -> int:
        return len(self.served)


class Sender(Process):
    """Sends a number of messages in one go."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0

    def burst(self, to: UPID, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.send(to, "m", b"%d" % number)
            self.sent += 1


def busy(runtime: Runtime, when_full: Policy, **limits: int | None) -> Gated:
    """Return a process that waits in its handler, with nothing queued behind the first message."""
    gated = Gated(when_full, **limits)
    runtime.spawn(gated)
    runtime.post(gated, "m", b"first")
    assert gated.began.wait(20.0)
    return gated


def serve_all(runtime: Runtime, gated: Gated) -> list[bytes]:
    gated.gate.set()
    runtime.settle()
    return gated.served


def dropped(runtime: Runtime) -> list[bytes]:
    letters = list(runtime.dead_letters)
    assert {letter.reason for letter in letters} <= {"mailbox full"}
    return [letter.start for letter in letters]


@pytest.mark.parametrize(
    ("policy", "served", "lost", "delivery"),
    [
        ("refuse", [b"first", b"a", b"b"], [b"c"], Delivery.FULL),
        ("drop_newest", [b"first", b"a", b"b"], [b"c"], Delivery.ACCEPTED),
        ("drop_oldest", [b"first", b"b", b"c"], [b"a"], Delivery.ACCEPTED),
        ("block", [b"first", b"a", b"b"], [b"c"], Delivery.FULL),
    ],
)
def test_a_policy_decides_about_what_comes_from_elsewhere(
    policy: Policy, served: list[bytes], lost: list[bytes], delivery: Delivery, runtime: Runtime
) -> None:
    seen: list[tuple[UPID, str]] = []
    runtime.signals.mailbox_full.connect(lambda _, pid, policy: seen.append((pid, policy)))
    gated = busy(runtime, policy)

    deliver = runtime.processes.deliver
    outcomes = [deliver(Message("m", UPID(), gated.pid, body)) for body in (b"a", b"b", b"c")]

    assert outcomes == [Delivery.ACCEPTED, Delivery.ACCEPTED, delivery]
    assert (serve_all(runtime, gated), dropped(runtime)) == (served, lost)
    assert seen == [(gated.pid, policy)]


@pytest.mark.parametrize(
    ("policy", "kept"), [("refuse", [0, 1]), ("drop_oldest", [2, 3]), ("drop_newest", [0, 1])]
)
def test_bytes_are_bounded_too(policy: Policy, kept: list[int], runtime: Runtime) -> None:
    gated = busy(runtime, policy, events=None, size=3000)
    bodies = [b"%d" % number * 1200 for number in range(4)]
    for body in bodies:
        runtime.post(gated, "m", body)

    assert serve_all(runtime, gated) == [b"first", *(bodies[number] for number in kept)]
    assert len(dropped(runtime)) == 2
    bound = record_of(gated).bound
    assert bound is not None and (bound.count, bound.bytes) == (0, 0)


def test_an_empty_mailbox_takes_a_message_of_any_size(runtime: Runtime) -> None:
    gated = busy(runtime, "refuse", events=None, size=1)

    runtime.post(gated, "m", b"x" * 1000)
    runtime.post(gated, "m", b"y")

    assert serve_all(runtime, gated) == [b"first", b"x" * 1000]
    assert dropped(runtime) == [b"y"]


def test_a_blocked_sender_waits_and_every_message_is_served_in_order(runtime: Runtime) -> None:
    gated, sender = busy(runtime, "block"), Sender()
    runtime.spawn(sender)
    all_sent = runtime.dispatch(sender, Sender.burst, gated.pid, 0, 1000)
    gevent.sleep(0)
    assert sender.sent <= 2

    gated.gate.set()
    all_sent.get(20.0)

    assert serve_all(runtime, gated) == [b"first", *(b"%d" % number for number in range(1000))]
    assert dropped(runtime) == []


def test_blocked_senders_have_their_turn_one_after_the_other(runtime: Runtime) -> None:
    gated = busy(runtime, "block", events=1)
    senders = [Sender() for _ in range(5)]
    sent = [
        runtime.dispatch(runtime.spawn(sender), Sender.burst, gated.pid, 100 * at, 20)
        for at, sender in enumerate(senders)
    ]
    gated.gate.set()
    greenproc.collect(sent).get(20.0)

    served = serve_all(runtime, gated)[1:]
    assert len(served) == 100
    for at in range(5):
        own = [int(body) for body in served if int(body) // 100 == at]
        assert own == list(range(100 * at, 100 * at + 20))


def test_a_blocked_sender_gives_up_by_the_clock_and_that_is_reported(runtime: Runtime) -> None:
    runtime.clock.pause()
    gated, sender = busy(runtime, "block"), Sender()
    runtime.spawn(sender)
    all_sent = runtime.dispatch(sender, Sender.burst, gated.pid, 0, 3)
    while sender.sent < 2:
        gevent.sleep(0)

    runtime.clock.advance(29.0)
    gevent.sleep(0)
    assert sender.sent == 2
    runtime.clock.advance(1.0)
    all_sent.get(20.0)

    assert dropped(runtime) == [b"2"]
    assert serve_all(runtime, gated) == [b"first", b"0", b"1"]


def test_a_killed_sender_leaves_its_place_to_the_next_one(runtime: Runtime) -> None:
    gated = busy(runtime, "block", events=1)
    runtime.post(gated, "m", b"queued")
    waiting = [gevent.spawn(runtime.post, gated, "m", body) for body in (b"killed", b"next")]
    gevent.sleep(0)

    waiting[0].kill()
    gated.gate.set()
    waiting[1].get(timeout=20.0)

    assert serve_all(runtime, gated) == [b"first", b"queued", b"next"]
    assert dropped(runtime) == [b"killed"]


def test_the_end_of_the_process_lets_blocked_senders_go(runtime: Runtime) -> None:
    gated = busy(runtime, "block", events=1)
    runtime.post(gated, "m", b"queued")
    waiting = [gevent.spawn(runtime.post, gated, "m", b"%d" % number) for number in range(3)]
    gevent.sleep(0)

    runtime.terminate(gated)
    gated.gate.set()
    gevent.joinall(waiting, timeout=20.0, raise_error=True)

    assert all(one.dead for one in waiting)
    letters = sorted((letter.start, letter.reason) for letter in runtime.dead_letters)
    assert [start for start, _ in letters] == [b"0", b"1", b"2", b"queued"]
    assert {reason for _, reason in letters} <= {"process terminated", "no such process"}


def test_a_process_never_waits_for_itself_nor_does_the_hub(runtime: Runtime) -> None:
    class Selfish(Process):
        mailbox_limit = MailboxLimit(events=1, when_full="block")

        def fill(self) -> None:
            for body in (b"a", b"b"):
                self.send(self.pid, "m", body)
            in_hub.wait()

        @install("m")
        def on_message(self, sender: UPID, body: bytes) -> None: ...

    in_hub = Event()
    pid = runtime.spawn(Selfish())
    filled = runtime.dispatch(pid, Selfish.fill)

    def post_in_hub() -> None:
        runtime.post(pid, "m", b"hub")
        in_hub.set()

    gevent.get_hub().loop.run_callback(
        lambda: gevent.get_hub().loop.run_callback(post_in_hub)  # behind the first turn
    )
    filled.get(20.0)
    runtime.settle()

    assert sorted(dropped(runtime)) == [b"b", b"hub"]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_dispatch_and_a_request_that_find_no_room_are_told(
    policy: Policy, runtime: Runtime
) -> None:
    gated = busy(runtime, policy, events=1)
    queued = runtime.dispatch(gated, Gated.value)
    refused = runtime.dispatch(gated, Gated.value)
    answer = greenproc.Promise[Response]()
    request = Request("GET", URL.parse("/gated/value"), Headers())
    runtime.processes.deliver_http("gated", HttpEvent(request, answer))
    if policy == "drop_oldest":
        runtime.post(gated, "m", b"last")

    gone = queued if policy == "drop_oldest" else refused
    with pytest.raises(Abandoned, match=r"mailbox of process gated@.* is full"):
        gone.get(20.0)
    assert await_ready(answer.future).status == 503
    gated.gate.set()


def test_control_goes_ahead_of_what_is_queued(runtime: Runtime) -> None:
    gated = busy(runtime, "drop_oldest")
    for body in (b"a", b"b"):
        runtime.post(gated, "m", body)
    others = [UPID(id, runtime.address) for id in ("one", "two")]
    for other in others:
        assert runtime.processes.inject_exited(other, gated)
    runtime.post(gated, "m", b"c")

    assert serve_all(runtime, gated) == [b"first", b"exited", b"exited", b"b", b"c"]
    assert (gated.told, dropped(runtime)) == (others, [b"a"])


def test_a_terminate_that_is_not_injected_keeps_its_place(runtime: Runtime) -> None:
    gated = busy(runtime, "refuse")
    runtime.post(gated, "m", b"a")
    runtime.terminate(gated, inject=False)
    gated.gate.set()

    assert runtime.wait(gated.pid) or True
    assert gated.served == [b"first", b"a"]


@pytest.mark.parametrize("policy", POLICIES)
def test_ten_times_too_much_is_served_or_reported_and_memory_stays_flat(
    policy: Policy, runtime: Runtime
) -> None:
    """One message a tick is served, ten are sent; the others find no room."""
    reported: Counter[bytes] = Counter()
    runtime.dead_letters.subscribe(lambda letter: reported.update([letter.start]))
    limit, ticks = 20, 200
    ticket, served = gevent.queue.Queue[None](), gevent.queue.Queue[None]()

    class Slow(Process):
        mailbox_limit = MailboxLimit(events=limit, when_full=policy, timeout=0.0)

        def __init__(self) -> None:
            super().__init__()
            self.served: Counter[bytes] = Counter()
            self.pinged: list[int] = []

        @install("m")
        def on_message(self, sender: UPID, body: bytes) -> None:
            ticket.get()
            self.served[body] += 1
            served.put(None)

        def exited(self, pid: UPID) -> None:
            self.pinged.append(sum(self.served.values()))

    slow = Slow()
    pid = runtime.spawn(slow)
    longest = 0
    for tick in range(ticks):
        for number in range(10):
            runtime.post(pid, "m", b"%d" % (10 * tick + number))
        longest = max(longest, len(slow.mailbox))
        if tick == ticks // 2:
            before = sum(slow.served.values())
            runtime.processes.inject_exited(UPID("other", runtime.address), pid)
        ticket.put(None)
        served.get()
    for _ in range(limit + 1):
        ticket.put(None)
    runtime.settle()

    sent = Counter(b"%d" % number for number in range(10 * ticks))
    assert slow.served + reported == sent
    assert longest <= limit + 1
    assert slow.pinged[0] - before <= 1  # the message that was being served came first
    assert ticks <= sum(slow.served.values()) <= ticks + limit + 1


def test_a_remote_sender_gets_503_unless_its_message_is_taken(runtime: Runtime) -> None:
    gated = busy(runtime, "refuse", events=1)
    with Peer.connect(runtime.address) as peer:
        answers = []
        for _ in range(2):
            peer.send(
                b"POST /gated/m HTTP/1.1\r\nUser-Agent: libprocess/a@10.0.0.1:1\r\n"
                b"Libprocess-From: a@10.0.0.1:1\r\nConnection: Keep-Alive\r\nHost: x\r\n\r\n"
            )
            answers.append(peer.read_answer().status)
    assert ["202" in answers[0], "503" in answers[1]] == [True, True]
    gated.gate.set()


@pytest.mark.parametrize(
    "options",
    [{"events": 0}, {"events": True}, {"bytes": 1.5}, {"when_full": "wait"}, {"timeout": -1}],
)
def test_a_limit_refuses_what_is_none(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        MailboxLimit(**options)


def test_spawn_refuses_a_limit_of_another_type(runtime: Runtime) -> None:
    class Wrong(Process):
        mailbox_limit = 100  # type: ignore[assignment]

    with pytest.raises(InvalidArgument, match=r"Wrong\.mailbox_limit"):
        runtime.spawn(Wrong())


def test_a_process_without_a_limit_is_looked_at_no_more_than_before(runtime: Runtime) -> None:
    process = Process()
    runtime.spawn(process)
    runtime.settle()

    record = record_of(process)
    assert (record.bound, record.max_events) == (None, runtime.settings.max_mailbox_events)
    assert record.byte_mark > 0


def test_what_is_handed_over_at_a_restart_is_counted(runtime: Runtime) -> None:
    """A supervisor moves the queue of a process that ended into that of the next one."""
    limited, other = Gated("refuse", events=2), Process("other")
    runtime.spawn(limited)
    runtime.spawn(other)
    runtime.settle()
    queue = runtime.processes.open_mailbox(record_of(limited)).queue
    bound = record_of(limited).bound
    assert bound is not None

    queue.extend([Message("m", UPID(), limited.pid, b"%d" % number) for number in range(3)])
    assert (bound.count, bound.admits(Message("m", UPID(), limited.pid, b""))) == (3, False)
    queue.clear()

    assert (bound.count, bound.bytes, len(queue)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("policy", "lost"), [("refuse", 2), ("drop_newest", 2), ("drop_oldest", 0)]
)
def test_an_ask_whose_message_is_dropped_ends(runtime: Runtime, policy: Policy, lost: int) -> None:
    gated = busy(runtime, policy)

    asks = [runtime.ask(gated.pid, "m") for _ in range(3)]

    assert [ask.is_abandoned for ask in asks] == [number == lost for number in range(3)]
    with pytest.raises(Abandoned, match=r"mailbox .*full"):
        asks[lost].get(block=False)
    serve_all(runtime, gated)
