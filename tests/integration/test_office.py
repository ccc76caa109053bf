"""Asks, supervision, bounds and patterns between two OS processes."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import pytest

from greenproc import (
    UPID,
    Failure,
    Future,
    Process,
    Promise,
    Router,
    Runtime,
    Topic,
    install,
    proxy,
    web,
)
from greenproc.errors import Abandoned, AskTimeout, InvalidArgument, InvalidMessage
from greenproc.testing import await_ready
from greenproc.testing.runtimes import SETTINGS, RuntimeMaker
from tests.integration.office import Order
from tests.shell import GREENPROC, LIMIT, Program

HERE = Path(__file__).parent


@contextmanager
def node(target: str = "office:Office") -> Iterator[tuple[Program, UPID]]:
    """Run a node in another OS process, and tell the address of its process."""
    with Program(*GREENPROC, "run", target, "--ip", "127.0.0.1", cwd=HERE) as program:
        yield program, UPID.parse(program.line("[a-z]+@[0-9.:]+")[0])


@pytest.fixture(scope="module")
def office() -> Iterator[UPID]:
    """The process of a node that the tests of this module share, and do not end."""
    with node() as (_, pid):
        yield pid


@pytest.fixture
def clerk(office: UPID) -> UPID:
    return UPID("clerk", office.address)


def answer(future: Future[Any]) -> Any:
    return future.get(timeout=LIMIT)


def why(future: Future[Any]) -> str:
    with pytest.raises(Abandoned) as told:
        future.get(timeout=LIMIT)
    return str(told.value)


def get(runtime: Runtime, pid: UPID, path: str) -> Any:
    with runtime.selected():
        return answer(web.get(f"http://{pid.address}/{pid.id}{path}"))


# Values and answers


def test_a_value_is_asked_for_with_a_value(runtime: Runtime, clerk: UPID) -> None:
    here = runtime.spawn(Process("here"))
    order = answer(runtime.ask(clerk, "order", Order(here, 2**70), returns=Order))
    assert order.of == here
    assert order.amount > 2**70


def test_handlers_answer_by_reply_by_value_and_by_a_future(runtime: Runtime, clerk: UPID) -> None:
    assert answer(runtime.ask(clerk, "echo", b"same")) == b"same"
    first = answer(runtime.ask(clerk, "later", returns=int))
    assert answer(runtime.ask(clerk, "later", returns=int)) == first + 1


def test_many_asks_at_once_get_their_own_answers(runtime: Runtime, clerk: UPID) -> None:
    futures = [runtime.ask(clerk, "echo", b"%d" % number) for number in range(2000)]
    assert [answer(future) for future in futures] == [b"%d" % number for number in range(2000)]


def test_an_answer_of_another_type_fails_here(runtime: Runtime, clerk: UPID) -> None:
    with pytest.raises(InvalidMessage):
        answer(runtime.ask(clerk, "echo", b"\x01", returns=Order))


def test_protobuf_travels_between_os_processes(runtime: Runtime) -> None:
    pytest.importorskip("google.protobuf")
    from tests.protobuf_classes import Register

    whole = Register(name="ann", port=5, below=[Register(name="bob")])
    with node("registrar:Registrar") as (_, pid):
        name = "mesos.internal.Register"
        got = answer(runtime.ask(pid, name, whole, returns=Register))
    assert got == Register(name="ann", port=6, below=[Register(name="bob")])


def test_a_proxy_is_of_this_node_only(runtime: Runtime, clerk: UPID) -> None:
    with runtime.selected(), pytest.raises(InvalidArgument, match=r"clerk@.*: ask\(\) it"):
        proxy(clerk)


# What ends an ask


def test_the_other_node_reports_what_it_drops(runtime: Runtime, office: UPID) -> None:
    nobody = UPID("nobody", office.address)
    assert "there is no such process on its node" in why(runtime.ask(nobody, "x"))
    assert "it has no handler" in why(runtime.ask(office, "x"))
    clerk = UPID("clerk", office.address)
    assert "cannot take the body, at $.amount" in why(
        runtime.ask(clerk, "order", {"of": clerk, "amount": "much"})
    )


def test_a_failure_is_told_and_other_errors_by_their_class(runtime: Runtime, clerk: UPID) -> None:
    with pytest.raises(Failure, match="out of stock"):
        answer(runtime.ask(clerk, "refuse", returns=int))
    text = why(runtime.ask(clerk, "poison"))
    assert text.endswith("it has failed: ValueError")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_the_other_os_process_ends_open_asks(
    runtime: Runtime, number: signal.Signals
) -> None:
    with node() as (program, pid):
        clerk = UPID("clerk", pid.address)
        kept = [runtime.ask(clerk, "keep") for _ in range(100)]
        answer(runtime.ask(clerk, "echo"))
        program.signal(number)
        for future in kept:
            assert str(pid.address) in why(future)
    assert runtime.statistics()["processes"]["asks"] == 0


def test_what_was_served_and_is_never_answered_ends_by_its_timeout(
    runtime: Runtime, clerk: UPID
) -> None:
    runtime.clock.pause()
    kept = runtime.ask(clerk, "keep", timeout=5.0)
    why(runtime.ask(clerk, "poison"))  # its process is another one now
    answer(runtime.ask(clerk, "echo"))
    assert kept.is_pending
    runtime.clock.advance(5.0)
    with pytest.raises(AskTimeout, match="within 5 s"):
        answer(kept)


class Asking(Process):
    """Waits in its handler for a node that asks back."""

    def __init__(self, mirror: UPID) -> None:
        super().__init__("asking")
        self.mirror = mirror

    def begin(self) -> None:
        self.ask(self.mirror, "question", str(self.pid).encode(), timeout=5.0).get()

    @install("question")
    def on_question(self, sender: UPID, body: bytes) -> None:
        self.reply()


def test_two_processes_that_wait_for_each_other_are_named_by_the_timeout(
    runtime: Runtime, office: UPID
) -> None:
    runtime.clock.pause()
    asking = Asking(UPID("mirror", office.address))
    asked_back: Promise[None] = Promise()
    runtime.signals.message_delivered.connect(
        lambda _, message: message.to == asking.pid and asked_back.set(None)
    )
    future = runtime.dispatch(runtime.spawn(asking), Asking.begin)
    await_ready(asked_back.future, timeout=LIMIT)
    runtime.clock.advance(5.0)
    with pytest.raises(AskTimeout, match="the two wait for each other"):
        answer(future)


# Supervision


class Linker(Process):
    """Notes which ends it is told of."""

    def __init__(self) -> None:
        super().__init__()
        self.exits: list[UPID] = []

    def exited(self, pid: UPID) -> None:
        self.exits.append(pid)


def test_a_restarted_process_keeps_its_address_its_links_and_its_askers(
    runtime: Runtime, clerk: UPID
) -> None:
    linker = Linker()
    runtime.dispatch(runtime.spawn(linker), linker.link, clerk).get()
    before = answer(runtime.ask(clerk, "order", Order(clerk, 0), returns=Order)).amount
    why(runtime.ask(clerk, "poison"))
    after = answer(runtime.ask(clerk, "order", Order(clerk, 0), returns=Order)).amount

    assert before >= 1 and after == 1  # a new object, at the same address
    assert linker.exits == []  # a remote link watches the connection


def test_a_request_in_the_gap_gets_503_and_an_ask_is_told(
    runtime: Runtime, office: UPID, clerk: UPID
) -> None:
    answer(runtime.ask(office, "close"))
    why(runtime.ask(clerk, "poison"))
    assert get(runtime, clerk, "/served").status == 503
    assert "clerk@" in why(runtime.ask(clerk, "echo"))

    answer(runtime.ask(office, "open"))
    manager = UPID("manager", office.address)
    why(runtime.ask(manager, "nothing"))  # which it serves when the clerk is back
    assert get(runtime, clerk, "/served").body == b"0"
    assert answer(runtime.ask(clerk, "echo", b"back")) == b"back"


# Bounds


@pytest.mark.parametrize(
    ("seconds", "linked", "loses"),
    [(LIMIT, False, False), (0.05, False, True), (LIMIT, True, True)],
)
def test_a_flood_is_served_there_or_reported_here(
    make_runtime: RuntimeMaker, seconds: float, linked: bool, loses: bool
) -> None:
    """A node that is answered 503 slows down, tries again, and reports what it gives up.

    Over a link the order is kept, so what was overtaken is given up at once.
    """
    runtime = make_runtime(replace(SETTINGS, refusal_timeout=seconds))
    count = 2000
    lost: Counter[int] = Counter()
    runtime.dead_letters.subscribe(lambda letter: lost.update([int(letter.start)]))
    with node() as (_, office):
        slow = UPID("slow", office.address)
        if linked:
            linker = Linker()
            runtime.dispatch(runtime.spawn(linker), linker.link, slow).get()
        for number in range(count):
            runtime.post(slow, "m", b"%d" % number)
        served: list[int] = []
        unanswered = True  # what has no answer yet is reported when the connection ends
        while unanswered or len(served) + sum(lost.values()) < count:
            response = get(runtime, UPID("office", office.address), "/served")
            served = response.json()
            unanswered = runtime.transport.statistics()["unanswered"] > 0
        dropped = json.loads(get(runtime, UPID("dead-letters", office.address), "").body)

    assert Counter(served) + lost == Counter(range(count))
    assert bool(lost) == loses
    assert served == sorted(served) or not linked
    assert dropped["total"] > 0  # what was refused at first
    assert {letter["reason"] for letter in dropped["letters"]} == {"mailbox full"}


# Patterns


def test_a_pool_replaces_its_workers_and_loses_nothing_that_is_queued(
    runtime: Runtime, office: UPID
) -> None:
    pool = UPID("pool", office.address)
    futures = []
    for number in range(100):
        futures.append(runtime.ask(pool, "who", b"%d" % number))
        if number % 10 == 5:
            runtime.post(pool, "poison")
    answers = [answer(future).split() for future in futures]

    assert [int(number) for _, number in answers] == list(range(100))
    assert {id for id, _ in answers} == {b"pool-1", b"pool-2", b"pool-3"}


def test_a_router_here_has_workers_there_until_they_are_gone(runtime: Runtime) -> None:
    with node() as (program, office):
        ids = ("first", "second")
        for id in ids:
            answer(runtime.ask(office, "spawn", id.encode()))
        router = Router([UPID(id, office.address) for id in ids])
        pid = runtime.spawn(router)
        bodies = [answer(runtime.ask(pid, "who", b"x")) for _ in range(4)]
        assert bodies == [b"first x", b"second x"] * 2

        lost: Promise[UPID] = Promise()
        runtime.signals.link_lost.connect(lambda _, linker, linkee: lost.set(linkee))
        program.signal(signal.SIGKILL)
        await_ready(lost.future, timeout=LIMIT)
        runtime.settle()
        assert "it has no worker" in why(runtime.ask(pid, "who", b"x"))
    assert [letter.reason for letter in runtime.dead_letters][-1] == "no worker"


class Reader(Process):
    """Reads what is published elsewhere."""

    def __init__(self) -> None:
        super().__init__("reader")
        self.read: gevent.queue.Queue[bytes] = gevent.queue.Queue()

    @install("news")
    def on_news(self, sender: UPID, body: bytes) -> None:
        self.read.put(body)


def test_a_topic_there_has_subscribers_here_until_their_node_stops(
    make_runtime: RuntimeMaker, runtime: Runtime, office: UPID
) -> None:
    subscriber = make_runtime()
    reader = Reader()
    pid = str(subscriber.spawn(reader)).encode()
    assert answer(runtime.ask(office, "subscribe", pid, returns=bool)) is True
    assert answer(runtime.ask(office, "subscribe", pid, returns=bool)) is False
    assert answer(runtime.ask(office, "publish", b"first", returns=int)) == 1
    assert reader.read.get(timeout=LIMIT) == b"first"

    subscriber.stop()
    while answer(runtime.ask(office, "publish", b"second", returns=int)):
        pass  # it is told soon


def test_a_topic_here_forgets_a_subscriber_whose_os_process_is_killed(runtime: Runtime) -> None:
    pid = runtime.spawn(Topic("here"))
    lost: Promise[UPID] = Promise()
    runtime.signals.link_lost.connect(lambda _, linker, linkee: lost.set(linkee))
    with node() as (program, office):
        runtime.dispatch(pid, Topic.subscribe, office).get()
        answer(runtime.ask(office, "count", returns=int))
        assert runtime.dispatch(pid, Topic.publish, "news", b"first").get() == 1
        program.signal(signal.SIGKILL)
        assert await_ready(lost.future, timeout=LIMIT) == office
    runtime.settle()
    assert runtime.dispatch(pid, Topic.publish, "news", b"second").get() == 0
