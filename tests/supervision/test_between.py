"""What becomes of mailboxes, links, timers and requests between two incarnations of a process."""

from __future__ import annotations

from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc import web
from greenproc.clock import Timer
from greenproc.errors import Abandoned
from greenproc.http import Request
from greenproc.http.url import URL
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process import ExitedEvent, MailboxLimit, Process, install, route
from greenproc.settings import Settings
from greenproc.supervision import Backoff, Child, Supervisor
from greenproc.testing import RuntimeMaker, expect_failure
from tests.supervision.support import Family, Poisoned, Worker
from tests.supervision.test_catalogue_stops import turns

DELAY = Backoff(first=1.0, jitter=0.0, factor=1.0)


class Dropped:
    """The messages that were dropped in a runtime, with the reasons."""

    def __init__(self, family: Family) -> None:
        self.seen: list[tuple[bytes, str]] = []
        family.runtime.signals.message_dropped.connect(self._add)

    def _add(self, _: Any, *, message: Message, reason: str) -> None:
        self.seen.append((message.body, reason))


def notes(family: Family, *bodies: bytes) -> None:
    for body in bodies:
        family.runtime.post(family.upid("a"), "note", body)


def test_a_mailbox_is_dropped_and_reported(family: Family) -> None:
    dropped = Dropped(family)
    family.start([family.worker("a")], backoff=DELAY)
    runtime = family.runtime
    with expect_failure(Poisoned):
        runtime.post(family.upid("a"), "poison")
        notes(family, b"1", b"2")
        queued = runtime.dispatch(family.upid("a"), Worker.noted)
        runtime.settle()
    notes(family, b"gap")
    in_gap = runtime.dispatch(family.upid("a"), Worker.noted)
    runtime.clock.advance(1.0)
    runtime.settle()
    notes(family, b"3")
    runtime.settle()
    assert family.object("a").served == [b"3"]
    assert [body for body, _ in dropped.seen if body] == [b"1", b"2", b"gap"]
    for future in (queued, in_gap):
        with pytest.raises(Abandoned):
            future.get(1)


def test_a_mailbox_is_handed_over_in_order(family: Family) -> None:
    dropped = Dropped(family)
    family.start([family.worker("a", mailbox="keep")], backoff=DELAY)
    runtime = family.runtime
    old = family.object("a")
    with expect_failure(Poisoned):
        notes(family, b"0")
        runtime.post(family.upid("a"), "poison")
        notes(family, b"1")
        queued = runtime.dispatch(family.upid("a"), Worker.itself)
        bound = runtime.dispatch(family.upid("a"), old.itself)
        notes(family, b"2")
        runtime.settle()
    notes(family, b"gap")
    in_gap = runtime.dispatch(family.upid("a"), Worker.itself)
    assert not runtime.spawn(Worker("a"))
    runtime.clock.advance(1.0)
    runtime.settle()
    notes(family, b"3")
    runtime.settle()
    new = family.object("a")
    assert new is not old
    assert new.served == [b"1", b"2", b"gap", b"3"]
    assert queued.get(1) is new
    assert in_gap.get(1) is new
    with pytest.raises(Abandoned):
        bound.get(1)
    assert [body for body, _ in dropped.seen if body] == []


def test_what_is_kept_is_bounded_and_dropped_at_the_end(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(Settings(ip="127.0.0.1", port=0, max_mailbox_events=150))
    runtime.clock.pause()
    family = Family(runtime)
    dropped = Dropped(family)
    family.start([family.worker("a", mailbox="keep")], backoff=DELAY)
    numbers = [b"%d" % number for number in range(200)]
    with expect_failure(Poisoned):
        runtime.post(family.upid("a"), "poison")
        notes(family, *numbers[:100])
        runtime.settle()
    notes(family, *numbers[100:])
    assert [body for body, reason in dropped.seen if reason == "mailbox full"] == numbers[150:]
    dropped.seen.clear()
    family.call(Supervisor.terminate_child, "a")
    assert [body for body, _ in dropped.seen] == numbers[:150]
    assert len(runtime.processes.gaps) == 0
    family.call(Supervisor.restart_child, "a")
    assert family.object("a").served == []


def test_what_is_kept_is_dropped_when_the_supervisor_gives_up(family: Family) -> None:
    dropped = Dropped(family)
    family.start([family.worker("a", mailbox="keep")], max_restarts=0)
    with expect_failure(Poisoned):
        family.runtime.post(family.upid("a"), "poison")
        notes(family, b"1")
        family.runtime.settle()
    assert not family.is_alive
    assert [body for body, _ in dropped.seen if body] == [b"1"]
    assert len(family.runtime.processes.gaps) == 0


class Site(Worker):
    """Answers requests."""

    def initialize(self) -> None:
        super().initialize()
        self.route("/late", lambda request: "late", help="Late.")

    @route("/fail")
    def on_fail(self, request: Request) -> str:
        raise ValueError("a route")

    @route("/x")
    def on_x(self, request: Request) -> str:
        return "x"


def request(family: Family, path: str) -> Any:
    """Hand a request to the process that is named by *path*, and return the future of its response."""
    return family.runtime.router.serve(Request("GET", URL.parse(path)))


@pytest.mark.parametrize(("mailbox", "statuses"), [("drop", [500, 503, 200]), ("keep", [200] * 3)])
def test_requests_before_in_and_after_the_gap(
    family: Family, mailbox: Any, statuses: list[int]
) -> None:
    family.start([family.worker("a", Site, mailbox=mailbox)], backoff=DELAY)
    with expect_failure(Poisoned):
        family.runtime.post(family.upid("a"), "poison")
        futures = [request(family, "/a/x")]
        family.runtime.settle()
    futures.append(request(family, "/a/late"))
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    futures.append(request(family, "/a/late"))
    assert [int(future.get(5).status) for future in futures] == statuses


def test_the_gap_of_a_stopped_child_is_closed(family: Family) -> None:
    family.start([family.worker("a", Site)], backoff=DELAY)
    family.poison("a")
    assert request(family, "/a/x").get(5).status == 503
    family.call(Supervisor.terminate_child, "a")
    assert request(family, "/a/x").get(5).status == 404


class Watcher(Process):
    """Links to a process, and again each time it has exited."""

    def __init__(self, to: UPID) -> None:
        super().__init__()
        self.to = to
        self.exits: list[BaseException | None] = []

    def initialize(self) -> None:
        self.link(self.to)

    def consume_exited(self, event: ExitedEvent) -> None:
        self.exits.append(event.reason)

    def again(self) -> None:
        self.link(self.to)


def test_links_end_with_the_incarnation(family: Family) -> None:
    family.start([family.worker("a")])
    watcher = Watcher(family.upid("a"))
    family.runtime.spawn(watcher)
    family.runtime.settle()
    family.poison("a")
    assert [str(reason) for reason in watcher.exits] == ["a"]
    family.poison("a")
    assert len(watcher.exits) == 1
    family.runtime.dispatch(watcher, Watcher.again)
    family.runtime.settle()
    family.poison("a")
    assert len(watcher.exits) == 2


def test_a_remote_sender_reaches_the_successor(
    make_runtime: RuntimeMaker,
) -> None:
    here, there = make_runtime(), make_runtime()
    family = Family(here).start([Child(lambda: Worker("a"), "a")])
    watcher = Watcher(family.upid("a"))
    there.spawn(watcher)
    served: list[bytes] = []
    seen = Event()

    def look(pid: UPID, event: Any) -> bool:
        if pid.id == "a" and getattr(event, "message", None) is not None:
            served.append(event.message.name)
            seen.set()
        return False

    family.poison("a")
    here.filter(look)
    there.post(family.upid("a"), "note", b"1")
    assert seen.wait(10)
    assert family.incarnations() == [1]
    assert watcher.exits == []
    here.stop()
    with gevent.Timeout(10):
        while not watcher.exits:
            gevent.sleep(0)
    assert watcher.exits == [None]


class Ticker(Worker):
    """Calls itself again and again."""

    def initialize(self) -> None:
        super().initialize()
        self.tick()

    def tick(self) -> None:
        self.log.append("tick")
        self.runtime.delay(1.0, self.pid, Ticker.tick)


def test_a_timer_of_an_incarnation_for_itself_ends_with_it(family: Family) -> None:
    family.start([family.worker("a", Ticker)])
    other = family.runtime.delay(5.0, family.upid("a"), Worker.noted)
    assert isinstance(other, Timer)
    family.poison("a")
    family.log.clear()
    for _ in range(10):
        family.runtime.clock.advance(1.0)
        family.runtime.settle()
    assert family.log == ["tick"] * 10


def test_a_delay_of_another_process_reaches_the_successor(family: Family) -> None:
    family.start([family.worker("a")])
    called: list[str] = []
    family.runtime.delay(5.0, family.upid("a"), lambda: called.append("x"))
    family.poison("a")
    family.runtime.clock.advance(5.0)
    family.runtime.settle()
    assert called == ["x"]


class Asked(Worker):
    """Answers after a while, unless it is interrupted."""

    @install("question")
    def on_question(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "answer", body)


@pytest.mark.parametrize(("mailbox", "answered"), [("drop", 0), ("keep", 2)])
def test_questions_that_wait_are_served_by_the_successor_if_they_are_kept(
    family: Family, mailbox: Any, answered: int
) -> None:
    answers: list[bytes] = []

    class Asking(Process):
        @install("answer")
        def on_answer(self, sender: UPID, body: bytes) -> None:
            answers.append(body)

    family.start([family.worker("a", Asked, mailbox=mailbox)])
    asking = family.runtime.spawn(Asking())
    with expect_failure(Poisoned):
        family.runtime.post(family.upid("a"), "poison")
        for body in (b"1", b"2"):
            family.runtime.post(family.upid("a"), "question", body, sender=asking)
        family.runtime.settle()
    assert len(answers) == answered


def test_a_request_over_http_in_the_gap_is_told_to_come_again(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime()
    family = Family(runtime).start(
        [Child(lambda: Site("a"), "a")], backoff=Backoff(first=600.0, most=600.0)
    )
    with expect_failure(Poisoned):
        runtime.post(family.upid("a"), "poison")
        runtime.settle()
    with runtime.selected():
        response = web.get(f"http://{runtime.address}/a/x").get(10)
    assert response.status == 503


@pytest.mark.parametrize("mailbox", ["drop", "keep"])
def test_asks_end_with_the_incarnation(family: Family, mailbox: Any) -> None:
    family.start([family.worker("a", Asked, mailbox=mailbox)])
    letters: list[str] = []
    family.runtime.signals.message_dropped.connect(
        lambda _, message, reason: letters.append(message.name)
    )
    with expect_failure(Poisoned):
        served = family.runtime.ask(family.upid("a"), "question", b"0")
        family.runtime.post(family.upid("a"), "poison")
        asked = [family.runtime.ask(family.upid("a"), "question", b"%d" % n) for n in (1, 2, 3)]
        family.runtime.settle()
    assert served.get(1) == b"0"
    assert all(future.is_abandoned for future in asked)
    assert letters.count("answer") == (3 if mailbox == "keep" else 0)


@pytest.mark.parametrize("forwarded", [False, True])
@pytest.mark.parametrize("how", ["poison", "bye", "terminate_child"])
def test_an_ask_in_the_gap_ends_with_the_next_process(
    family: Family, how: str, *, forwarded: bool
) -> None:
    family.start([family.worker("a", mailbox="keep")], backoff=DELAY)
    front = Process("front")
    family.runtime.spawn(front)
    front.delegate("note", family.upid("a"))
    family.poison("a")

    asked = family.runtime.ask(front if forwarded else family.upid("a"), "note")
    family.runtime.settle()
    assert not asked.is_abandoned
    if how == "terminate_child":
        family.call(Supervisor.terminate_child, "a")
    else:
        family.runtime.clock.advance(1.0)
        family.runtime.settle()  # the process has served it, and may still answer
        assert family.object("a").served == [b""] and not asked.is_abandoned
        family.die("a", how)
    family.runtime.settle()
    assert asked.is_abandoned


def test_helpers_end_with_the_incarnation(family: Family) -> None:
    helpers: list[Any] = []

    class Helped(Worker):
        def initialize(self) -> None:
            helpers.append(self.spawn_greenlet(Event().wait))

    family.start([family.worker("a", Helped)])
    family.poison("a")
    gevent.idle()
    assert [helper.dead for helper in helpers] == [True, False]
    family.runtime.terminate(family.pid)
    family.runtime.settle()
    gevent.idle()
    assert helpers[1].dead


def test_a_child_that_had_to_be_killed_hands_nothing_over(family: Family) -> None:
    dropped = Dropped(family)
    family.start(
        [family.worker("b"), family.worker("a", mailbox="keep", shutdown=1.0)],
        strategy="one_for_all",
    )
    family.runtime.post(family.upid("a"), "wait")
    turns()
    notes(family, b"1", b"2")
    with expect_failure(Poisoned):
        family.runtime.post(family.upid("b"), "poison")
        turns()
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    assert family.incarnations() == [1, 1]
    assert family.object("a").served == []
    assert [body for body, _ in dropped.seen if body] == [b"1", b"2"]


def test_a_call_that_a_timer_has_queued_is_not_handed_over(family: Family) -> None:
    family.start([family.worker("a", mailbox="keep")])
    called: list[str] = []
    with expect_failure(Poisoned):
        family.runtime.post(family.upid("a"), "poison")
        family.runtime.processes.dispatch_quietly(family.upid("a"), called.append, ("x",))
        family.runtime.settle()
    assert family.incarnations() == [1]
    assert called == []


class Limited(Worker):
    """Has a mailbox of three."""

    mailbox_limit = MailboxLimit(events=3)


def test_the_limit_of_a_mailbox_holds_in_the_gap_and_after_it(family: Family) -> None:
    dropped = Dropped(family)
    family.start([family.worker("a", Limited, mailbox="keep")], backoff=DELAY)
    with expect_failure(Poisoned):
        family.runtime.post(family.upid("a"), "poison")
        notes(family, b"1", b"2")
        family.runtime.settle()
    notes(family, b"3", b"4")
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    family.runtime.post(family.upid("a"), "wait")
    turns()
    notes(family, b"5", b"6", b"7", b"8")
    assert family.object("a").served == [b"1", b"2", b"3"]
    assert [body for body, _ in dropped.seen if body] == [b"4", b"8"]
    family.kill("a")
    family.runtime.settle()
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    assert family.object("a").served == [b"5", b"6", b"7"]


def test_a_sender_that_waits_for_room_reaches_the_successor(family: Family) -> None:
    class Blocking(Worker):
        mailbox_limit = MailboxLimit(events=1, when_full="block", timeout=100.0)

    class Sender(Process):
        def go(self) -> None:
            for body in (b"1", b"2", b"3"):
                self.send(family.upid("a"), "note", body)

    family.start([family.worker("a", Blocking, mailbox="keep")], backoff=DELAY)
    sender = family.runtime.spawn(Sender())
    family.poison("a")
    family.runtime.dispatch(sender, Sender.go)
    turns()
    family.runtime.clock.advance(1.0)
    family.runtime.settle()
    assert family.object("a").served == [b"1", b"2", b"3"]


def test_a_limit_that_is_none_fails_the_start(family: Family) -> None:
    class Wrong(Worker):
        mailbox_limit = 5  # type: ignore[assignment]

    family.start([family.worker("b"), family.worker("a", Wrong)])
    assert "mailbox_limit" in str(family.reason_of_end)
    assert family.running() == []
