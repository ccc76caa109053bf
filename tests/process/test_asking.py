"""Asks: a message for one answer, and everything that ends the wait for it."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any
from weakref import ref

import gevent
import msgspec
import pytest
from gevent.event import Event as Gate

from greenproc import (
    UPID,
    Address,
    Failure,
    Future,
    Message,
    MessageEvent,
    Process,
    Promise,
    Runtime,
    install,
)
from greenproc.errors import (
    Abandoned,
    AskTimeout,
    Deadlock,
    Discarded,
    InvalidArgument,
    InvalidMessage,
    StateError,
    TooManyAsks,
)
from greenproc.process import Event
from greenproc.process.asking import ASK_ABANDONED, ASK_FAILED
from greenproc.testing import expect_failure
from greenproc.testing.runtimes import SETTINGS, RuntimeMaker
from greenproc.typed import encode

MANY = 1000


class Account(Process):
    """Answers some messages, and leaves others to the test."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self.senders: list[UPID] = []

    @install("echo")
    def on_echo(self, sender: UPID, body: bytes) -> None:
        self.senders.append(sender)
        self.reply(body)

    @install("keep")
    def on_keep(self, sender: UPID, body: bytes) -> None:
        self.senders.append(sender)

    @install("end")
    def on_end(self, sender: UPID, body: bytes) -> None:
        self.terminate()

    @install("fail")
    def on_fail(self, sender: UPID, body: bytes) -> None:
        raise ValueError("no such account")

    @install("twice")
    def on_twice(self, sender: UPID, body: bytes) -> None:
        self.reply(b"first", name="other")
        self.reply(b"second")

    def answer(self, to: UPID, body: bytes) -> None:
        self.send(to, "kept", body)


@pytest.fixture
def account(runtime: Runtime) -> Account:
    account = Account("account")
    runtime.spawn(account)
    return account


@pytest.fixture
def elsewhere(make_runtime: RuntimeMaker) -> Runtime:
    return make_runtime()


@pytest.fixture(params=["here", "there"])
def asking(
    request: pytest.FixtureRequest, runtime: Runtime, make_runtime: RuntimeMaker
) -> Runtime:
    """The node that asks: that of the account, or another one."""
    return runtime if request.param == "here" else make_runtime()


def count_asks(runtime: Runtime) -> int:
    count: int = runtime.statistics()["processes"]["asks"]
    return count


def count_late(runtime: Runtime) -> int:
    count: int = runtime.statistics()["processes"]["late_answers"]
    return count


def why(future: Future[object]) -> str:
    with pytest.raises(Abandoned) as told:
        future.get(timeout=15.0)
    return str(told.value)


# Answers


def test_the_first_message_back_is_the_answer(asking: Runtime, account: Account) -> None:
    assert asking.ask(account.pid, "echo", b"body").get(timeout=15.0) == b"body"
    assert count_asks(asking) == 0


def test_an_answer_may_have_any_name_and_the_second_one_is_late(
    asking: Runtime, account: Account
) -> None:
    assert asking.ask(account.pid, "twice").get(timeout=15.0) == b"first"
    assert asking.ask(account.pid, "echo").get(timeout=15.0) == b""  # which came behind
    assert count_late(asking) == 1


def test_each_ask_is_sent_by_a_process_of_its_own(asking: Runtime, account: Account) -> None:
    for _ in range(2):
        asking.ask(account.pid, "echo").get(timeout=15.0)
    first, second = account.senders
    assert first != second
    assert first.address == second.address == asking.address


def test_what_is_kept_is_answered_later_by_any_process(
    asking: Runtime, runtime: Runtime, account: Account
) -> None:
    future = asking.ask(account, "keep") if asking is runtime else asking.ask(account.pid, "keep")
    runtime.ask(account, "echo").get(timeout=15.0)
    while len(account.senders) < 2:  # by another way than this one
        gevent.idle()
    other = Account()
    runtime.spawn(other)
    (sender,) = [one for one in account.senders if future_id(future) == one.id]
    runtime.dispatch(other, Account.answer, sender, b"late but there")
    assert future.get(timeout=15.0) == b"late but there"


def future_id(future: Future[object]) -> str:
    return future.id  # type: ignore[attr-defined, no-any-return]


def test_a_delegate_answers(runtime: Runtime, account: Account) -> None:
    front = Process("front")
    front.delegate("echo", account)
    front.delegate("keep", account)
    runtime.spawn(front)
    assert runtime.ask(front, "echo", b"x").get(timeout=15.0) == b"x"

    future = runtime.ask(front, "keep")
    runtime.settle()
    runtime.terminate(front)
    runtime.settle()
    assert future.is_pending and not future.is_abandoned
    runtime.terminate(account)
    assert "account@" in why(future)


def test_a_process_asks_as_the_runtime_does(runtime: Runtime, account: Account) -> None:
    class Asking(Process):
        def ask_account(self) -> bytes:
            return self.ask(account, "echo", b"x", timeout=15.0).get()

    assert runtime.dispatch(runtime.spawn(Asking()), Asking.ask_account).get(timeout=15.0) == b"x"


# Types


class Total(msgspec.Struct):
    count: int


def test_an_answer_has_the_type_that_is_asked_for(asking: Runtime, account: Account) -> None:
    future = asking.ask(account.pid, "echo", Total(5), returns=Total)
    assert future.get(timeout=15.0) == Total(5)


@pytest.mark.parametrize(
    "body",
    [encode(Total(5))[:-1], encode(Total(5)) + b"\0", encode({"count": "x"}), b"\xc1", b""],
    ids=["truncated", "trailing", "wrong type", "no msgpack", "empty"],
)
def test_an_answer_of_another_type_fails_the_ask(
    asking: Runtime, account: Account, body: bytes
) -> None:
    future = asking.ask(account.pid, "echo", body, returns=Total)
    with pytest.raises(InvalidMessage):
        future.get(timeout=15.0)
    assert count_asks(asking) == 0


class Stubborn:
    """How code that a type of an answer runs may behave."""

    raised: BaseException = ValueError()


class Checked(msgspec.Struct):
    def __post_init__(self) -> None:
        raise Stubborn.raised


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (KeyError("x"), InvalidMessage),
        (gevent.Timeout(1.0), InvalidMessage),
        (gevent.GreenletExit(), Abandoned),
    ],
)
def test_code_of_a_type_that_raises_ends_the_ask_only(
    asking: Runtime,
    account: Account,
    raised: BaseException,
    expected: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Stubborn, "raised", raised)
    with pytest.raises(expected):
        asking.ask(account.pid, "echo", encode({}), returns=Checked).get(timeout=15.0)
    assert asking.ask(account.pid, "echo", b"x").get(timeout=15.0) == b"x"


# What ends an ask


def test_no_such_process_here_is_told_at_once(runtime: Runtime) -> None:
    assert "there is no process" in why(runtime.ask(UPID("nobody", runtime.address), "x"))
    assert "the empty PID" in why(runtime.ask(UPID(), "x"))
    assert count_asks(runtime) == 0


def test_no_such_process_there_is_reported_by_its_node(
    elsewhere: Runtime, runtime: Runtime, account: Account
) -> None:
    nobody = UPID("nobody", runtime.address)
    assert why(elsewhere.ask(nobody, "x")) == (
        f"process {nobody} was asked 'x' in vain: there is no such process on its node"
    )
    runtime.dispatch(account, account.terminate).wait()
    runtime.wait(account.pid)
    assert "account@" in why(elsewhere.ask(account.pid, "keep"))
    assert count_asks(elsewhere) == count_late(elsewhere) == 0


def test_a_message_without_a_handler_ends_it(asking: Runtime, account: Account) -> None:
    text = why(asking.ask(account.pid, "unknown"))
    assert text == f"process {account.pid} was asked 'unknown' in vain: it has no handler for that"


@pytest.mark.parametrize("bounds", [{"max_mailbox_events": 2}, {"max_mailbox_bytes": 1}])
@pytest.mark.parametrize("is_remote", [False, True])
def test_a_full_mailbox_ends_it(
    make_runtime: RuntimeMaker, is_remote: bool, bounds: dict[str, int]
) -> None:
    runtime = make_runtime(replace(SETTINGS, **bounds))
    asking = make_runtime(replace(SETTINGS, refusal_timeout=0)) if is_remote else runtime
    entered, gate = Gate(), Gate()
    account = Account()
    runtime.spawn(account)

    def wait() -> None:
        entered.set()
        gate.wait()

    runtime.dispatch(account, wait)
    assert entered.wait(15.0)
    kept = [asking.ask(account.pid, "keep") for _ in range(3)]
    told = why(kept[2])
    assert ("was answered 503" if is_remote else "mailbox is full") in told
    assert not kept[0].is_abandoned
    gate.set()


def test_an_ask_of_another_node_waits_for_room_in_the_mailbox(
    make_runtime: RuntimeMaker, elsewhere: Runtime
) -> None:
    runtime = make_runtime(replace(SETTINGS, max_mailbox_events=1))
    entered, gate = Gate(), Gate()
    account = Account("account")
    pid = runtime.spawn(account)

    def wait() -> None:
        entered.set()
        gate.wait()

    runtime.dispatch(account, wait)
    assert entered.wait(15.0)
    futures = [elsewhere.ask(pid, "echo", b"%d" % number) for number in range(10)]
    while elsewhere.transport.statistics()["refused"] < 9:
        gevent.sleep(0)
    gate.set()

    answers = [future.get(timeout=15.0) for future in futures]
    assert answers == [b"%d" % number for number in range(10)]
    assert count_late(elsewhere) == 0
    assert not elsewhere.dead_letters.total


@pytest.mark.parametrize(
    ("name", "told"), [("end", "has ended"), ("fail", "ValueError: no such account")]
)
def test_the_end_of_the_process_ends_it(
    runtime: Runtime, account: Account, name: str, told: str
) -> None:
    with expect_failure(ValueError) if name == "fail" else nullcontext():
        served = runtime.ask(account, "keep")
        ended = runtime.ask(account, name)
        unserved = runtime.ask(account, "keep")
        for future in (served, ended, unserved):
            text = why(future)
            assert told in text and "account@" in text


@pytest.mark.parametrize("exposes", [False, True])
@pytest.mark.parametrize(("name", "told"), [("end", "has ended"), ("fail", "has failed: ")])
def test_the_end_of_a_process_there_ends_what_it_has_not_served(
    make_runtime: RuntimeMaker, elsewhere: Runtime, name: str, told: str, exposes: bool
) -> None:
    """An error is named by its class only, unless the node says otherwise."""
    runtime = make_runtime(replace(SETTINGS, expose_errors=exposes))
    account = Account("account")
    pid = runtime.spawn(account)
    served = elsewhere.ask(pid, "keep")
    elsewhere.ask(pid, "echo").get(timeout=15.0)

    with expect_failure(ValueError) if name == "fail" else nullcontext():
        ended = elsewhere.ask(pid, name)
        unserved = elsewhere.ask(pid, "keep")
        texts = [why(unserved)] if name == "end" else [why(ended), why(unserved)]
        runtime.wait(pid)

    assert all(told in text and "account@" in text for text in texts)
    assert ["no such account" in text for text in texts] == [
        exposes and name == "fail" for _ in texts
    ]
    assert served.is_pending  # nothing tells its node that it will not be answered
    served.discard()


def test_a_process_that_lives_on_after_a_failure_may_answer_later(
    asking: Runtime, runtime: Runtime
) -> None:
    class Stoic(Account):
        def failed(self, event: Event | None, error: BaseException) -> None:
            self.senders.append(event.message.sender)  # type: ignore[union-attr]

    stoic = Stoic("stoic")
    pid = runtime.spawn(stoic)
    with expect_failure(ValueError):
        future = asking.ask(pid, "fail")
        asking.ask(pid, "echo").get(timeout=15.0)
    runtime.dispatch(stoic, stoic.answer, stoic.senders[0], b"all the same").get()

    assert future.get(timeout=15.0) == b"all the same"


def test_what_a_worker_that_is_gone_is_asked_through_a_delegate_ends(
    asking: Runtime, runtime: Runtime, account: Account
) -> None:
    account.delegate("question", UPID("gone", runtime.address))
    assert "there is no process gone@" in why(asking.ask(account.pid, "question"))


def test_two_nodes_do_not_go_on_telling_each_other(
    elsewhere: Runtime, runtime: Runtime, account: Account
) -> None:
    """What claims to be an ask, and is for an ask that is over, is dropped without a word."""
    told = runtime.transport.statistics()["sent"]
    for name in ("x", ASK_FAILED, ASK_ABANDONED):
        for to in ("__ask__gone(1)", "nobody"):
            if name == "x" and to == "nobody":
                continue
            elsewhere.post(
                UPID(to, runtime.address), name, sender=UPID("__ask__0(1)", elsewhere.address)
            )
    assert elsewhere.ask(account.pid, "echo", b"x").get(timeout=15.0) == b"x"
    assert runtime.transport.statistics()["sent"] == told + 1


def test_open_asks_are_bounded(make_runtime: RuntimeMaker, account: Account) -> None:
    asking = make_runtime(replace(SETTINGS, max_open_asks=2))
    kept = [asking.ask(account.pid, "keep") for _ in range(2)]
    with pytest.raises(TooManyAsks, match=r"at most 2 open asks .*: 'keep' to account@"):
        asking.ask(account.pid, "keep").get(timeout=15.0)
    assert asking.statistics()["processes"]["asks_refused"] == 1

    kept.pop().discard()
    assert asking.ask(account.pid, "echo", b"x").get(timeout=15.0) == b"x"


def test_an_ask_of_another_thread_is_bounded_too(
    make_runtime: RuntimeMaker, account: Account
) -> None:
    asking = make_runtime(replace(SETTINGS, max_open_asks=1))
    asking.ask(account.pid, "keep")

    def ask() -> str:
        with pytest.raises(TooManyAsks) as told:
            asking.ask(account.pid, "keep").get(timeout=15.0)
        return str(told.value)

    assert "at most 1 open asks" in gevent.get_hub().threadpool.apply(ask)


def test_the_loss_of_the_other_node_ends_it(make_runtime: RuntimeMaker, runtime: Runtime) -> None:
    other = make_runtime()
    pid = other.spawn(Account())
    future = runtime.ask(pid, "keep")
    runtime.ask(pid, "echo").get(timeout=15.0)
    other.stop()
    assert str(pid) in why(future)
    assert count_asks(runtime) == 0


def test_a_node_that_is_not_there_ends_it(runtime: Runtime) -> None:
    assert "cannot connect" in why(runtime.ask(UPID("x", Address("127.0.0.1", 1)), "x"))


def test_a_name_that_cannot_travel_ends_it(elsewhere: Runtime, account: Account) -> None:
    assert "cannot travel" in why(elsewhere.ask(account.pid, "two words"))


def test_the_time_is_that_of_the_clock(asking: Runtime, account: Account) -> None:
    asking.clock.pause()
    future = asking.ask(account.pid, "keep", timeout=5.0)
    asking.clock.advance(4.9)
    asking.settle()
    assert future.is_pending
    asking.clock.advance(0.2)
    with pytest.raises(AskTimeout, match=r"no answer to 'keep' from account@.* within 5 s"):
        future.get(timeout=15.0)
    asking.clock.resume()
    assert count_asks(asking) == 0


def test_an_answer_stops_the_timer(runtime: Runtime, account: Account) -> None:
    before = runtime.clock.statistics()["timers"]
    runtime.ask(account, "echo", timeout=60.0).get(timeout=15.0)
    assert runtime.clock.statistics()["timers"] == before


def test_a_discard_ends_it(asking: Runtime, account: Account) -> None:
    future = asking.ask(account.pid, "keep")
    assert future.discard()
    with pytest.raises(Discarded):
        future.get(timeout=15.0)
    assert count_asks(asking) == 0


def test_the_discard_of_what_follows_ends_it(runtime: Runtime, account: Account) -> None:
    future = runtime.ask(account, "keep")
    future.then(len).discard()
    assert future.await_(15.0)
    assert future.is_discarded


def test_the_stop_of_the_runtime_ends_it(make_runtime: RuntimeMaker) -> None:
    here, there = make_runtime(), make_runtime()
    pid = there.spawn(Account())
    local = here.ask(here.spawn(Account()), "keep")
    remote = here.ask(pid, "keep")
    here.stop()
    assert "has ended" in why(local)
    assert "the runtime was stopped" in why(remote)
    with pytest.raises(StateError):
        here.ask(pid, "keep")


def test_what_comes_late_is_dropped_and_counted(
    asking: Runtime, runtime: Runtime, account: Account
) -> None:
    dropped: list[str] = []
    asking.signals.message_dropped.connect(lambda node, message, reason: dropped.append(reason))
    future = asking.ask(account.pid, "keep")
    asking.ask(account.pid, "echo").get(timeout=15.0)
    future.discard()
    runtime.dispatch(account, Account.answer, account.senders[0], b"late")
    asking.ask(account.pid, "echo").get(timeout=15.0)
    assert dropped == ["late answer"]
    assert count_late(asking) == 1


def test_a_failure_is_told_by_a_name_of_its_own(asking: Runtime, account: Account) -> None:
    account.install("refuse", lambda sender, body: account.reply(b"not\xff open", name=ASK_FAILED))
    future = asking.ask(account.pid, "refuse")
    future.await_(15.0)
    assert future.failure() == "not\N{REPLACEMENT CHARACTER} open"


def test_a_filter_can_lose_the_answer(runtime: Runtime, account: Account) -> None:
    def lose_answer(pid: UPID, event: Event) -> bool:
        return isinstance(event, MessageEvent) and event.message.sender == account.pid

    runtime.filter(lose_answer)
    future = runtime.ask(account, "echo")
    runtime.settle()
    assert future.is_pending
    assert count_asks(runtime) == 1
    future.discard()


@pytest.mark.parametrize("end", ["answer", "timeout", "discard", "exit"])
def test_nothing_is_left_of_many_asks(asking: Runtime, runtime: Runtime, end: str) -> None:
    account = Account("account")
    pid = runtime.spawn(account)
    with without_collector():
        weak = [ref(one) for one in end_many(asking, runtime, account, end)]
        asking.settle()
        assert not [one for one in weak if one() is not None]
    assert count_asks(asking) == 0
    assert asking.clock.statistics()["timers"] == 0
    asks = asking.processes.asks
    assert not asks._open and not asks._watched
    del pid


def end_many(asking: Runtime, runtime: Runtime, account: Account, end: str) -> list[Future[bytes]]:
    asking.clock.pause()
    name = "echo" if end == "answer" else "keep"
    limit = 5.0 if end == "timeout" else None
    futures = [asking.ask(account.pid, name, timeout=limit) for _ in range(MANY)]
    if end == "timeout":
        asking.clock.advance(5.0)
    elif end == "discard":
        for future in futures:
            future.discard()
    elif end == "exit" and asking is runtime:
        runtime.terminate(account)
    elif end == "exit":
        asking.processes.lose_address(runtime.address, None)
    for future in futures:
        future.await_(15.0)
    asking.clock.resume()
    return futures


@contextmanager
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# Callbacks of the future


@pytest.mark.parametrize(
    ("callback", "raises"),
    [
        (lambda future: Gate().wait(), False),
        (lambda future: 1 / 0, True),
        (lambda future: gevent.getcurrent().throw(gevent.GreenletExit()), False),
    ],
    ids=["waits", "raises", "exits"],
)
def test_a_callback_disturbs_neither_the_process_that_answers_nor_the_connection(
    asking: Runtime,
    account: Account,
    callback: Callable[[Future[bytes]], object],
    raises: bool,
) -> None:
    running: list[Any] = []

    def run(future: Future[bytes]) -> None:
        running.append(gevent.getcurrent())
        callback(future)

    with expect_failure(ZeroDivisionError) if raises else nullcontext():
        asking.ask(account.pid, "echo").add_done_callback(run)
        assert asking.ask(account.pid, "echo", b"x").get(timeout=15.0) == b"x"
        while not running:
            gevent.idle()
    for greenlet in running:
        gevent.kill(greenlet)


# Mistakes


def test_arguments_are_checked(runtime: Runtime, account: Account) -> None:
    for mistake in (
        lambda: runtime.ask("account", "x"),  # type: ignore[call-overload]
        lambda: runtime.ask(account, ""),
        lambda: runtime.ask(account, "x", timeout=-1.0),
        lambda: runtime.ask(account, "x", object()),
        lambda: runtime.ask(account, "x", returns=object()),
    ):
        with pytest.raises(InvalidArgument):
            mistake()
    assert count_asks(runtime) == 0


def test_only_a_handler_of_a_message_replies(runtime: Runtime, account: Account) -> None:
    with pytest.raises(StateError, match="inside a handler of a message"):
        account.reply(b"")
    runtime.ask(account, "keep")
    with pytest.raises(StateError):
        runtime.dispatch(account, Account.reply, b"").get(timeout=15.0)


def test_a_message_without_a_sender_needs_no_reply(runtime: Runtime, account: Account) -> None:
    runtime.post(account, "echo", b"x")
    assert runtime.ask(account, "echo", b"y").get(timeout=15.0) == b"y"


class Nested(Account):
    """Serves a message in the middle of another one."""

    @install("outer")
    def on_outer(self, sender: UPID, body: bytes) -> None:
        item = self.mailbox.get()
        assert isinstance(item, Message)
        self.serve(MessageEvent(item))
        self.reply(b"outer")


def test_a_reply_goes_to_the_message_whose_handler_runs(runtime: Runtime) -> None:
    pid = runtime.spawn(Nested())
    outer, inner = runtime.ask(pid, "outer"), runtime.ask(pid, "echo", b"inner")
    assert (outer.get(timeout=15.0), inner.get(timeout=15.0)) == (b"outer", b"inner")


# Circles


class Link(Process):
    """Asks the next one in its handler, and waits."""

    following: UPID = UPID()
    is_asked = False

    @install("ask")
    def on_ask(self, sender: UPID, body: bytes) -> None:
        if self.is_asked:
            self.reply(b"asked before")
            return
        self.is_asked = True
        try:
            self.reply(self.ask(self.following, "ask").get())
        except Deadlock as error:
            self.reply(str(error).encode())


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_circle_is_found_and_named(runtime: Runtime, length: int) -> None:
    links = [Link(f"link{number}") for number in range(length)]
    for link, following in zip(links, [*links[1:], links[0]], strict=True):
        runtime.spawn(link)
        link.following = following.pid
    told = runtime.ask(links[0], "ask").get(timeout=15.0).decode()
    if length == 1:
        assert "waits for an answer of itself" in told
    else:
        assert "wait for each other" in told
        for link in links:
            assert str(link.pid) in told


def test_of_two_that_ask_each_other_at_once_the_second_is_told(runtime: Runtime) -> None:
    a, b = Link("a"), Link("b")
    for link, following in ((a, b), (b, a)):
        runtime.spawn(link)
        link.following = following.pid
    first, second = runtime.ask(a, "ask"), runtime.ask(b, "ask")
    assert b"wait for each other" in second.get(timeout=15.0)
    assert first.get(timeout=15.0) == b"asked before"


class Front(Process):
    """Lets another process answer, and then waits for the one that asked."""

    back: UPID = UPID()
    asker: UPID = UPID()

    @install("work")
    def on_work(self, sender: UPID, body: bytes) -> None:
        self.send(self.back, "keep", str(sender).encode())
        self.runtime.dispatch(self, Front.wait_for_asker)

    def wait_for_asker(self) -> bytes:
        return self.ask(self.asker, "ping").get()


class Back(Process):
    @install("keep")
    def on_keep(self, sender: UPID, body: bytes) -> None:
        self.send(UPID.parse(body.decode()), "done", b"by back")


class Asker(Process):
    front: UPID = UPID()

    @install("ping")
    def on_ping(self, sender: UPID, body: bytes) -> None:
        self.reply(b"pong")

    def begin(self) -> bytes:
        return self.ask(self.front, "work").get()


def test_what_another_process_answers_is_no_circle(runtime: Runtime) -> None:
    front, asker = Front(), Asker()
    front.back, front.asker = runtime.spawn(Back()), runtime.spawn(asker)
    asker.front = runtime.spawn(front)
    assert runtime.dispatch(asker, Asker.begin).get(timeout=15.0) == b"by back"
    runtime.settle()


class Remote(Process):
    """Asks back before it answers."""

    def __init__(self, limit: float | None) -> None:
        super().__init__()
        self.limit = limit
        self.peer = UPID()
        self.asked = 0

    @install("ask")
    def on_ask(self, sender: UPID, body: bytes) -> None:
        self.asked += 1
        if self.asked > 1:
            self.reply(b"asked before")
            return
        try:
            self.reply(self.ask(self.peer, "ask", timeout=self.limit).get())
        except AskTimeout as error:
            self.reply(str(error).encode())


def test_a_circle_of_two_nodes_is_named_by_the_timeout(make_runtime: RuntimeMaker) -> None:
    here, there = make_runtime(), make_runtime()
    one, two = Remote(5.0), Remote(None)
    one.peer, two.peer = there.spawn(two), here.spawn(one)
    here.clock.pause()
    asked = here.ask(one, "ask")
    while not two.asked:
        gevent.idle()
    while not one.queued_events():
        gevent.idle()
    here.clock.advance(5.0)
    told = asked.get(timeout=15.0).decode()
    here.clock.resume()
    assert f"{one.pid}, which waits for it, cannot serve 'ask' of __ask__" in told
    assert "the two wait for each other" in told


# Handlers that return the answer


class Bank(Process):
    """Answers by what its handlers return."""

    def __init__(self) -> None:
        super().__init__("bank")
        self.promise: Promise[Any] = Promise()

    @install("add", list[int], returns=int)
    def on_add(self, sender: UPID, numbers: list[int]) -> int:
        return sum(numbers)

    @install("length", returns=int)
    def on_length(self, sender: UPID, body: bytes) -> int:
        return len(body)

    @install("later", returns=int)
    def on_later(self, sender: UPID, body: bytes) -> Future[int]:
        return self.promise.future

    @install("formless", returns=int)
    def on_formless(self, sender: UPID, body: bytes) -> object:
        return object()

    @install("refuse", returns=int)
    def on_refuse(self, sender: UPID, body: bytes) -> Failure:
        raise Failure("the account is closed")

    @install("break", returns=int)
    def on_break(self, sender: UPID, body: bytes) -> int:
        raise ValueError("a secret")

    @install("stammer", returns=int)
    def on_stammer(self, sender: UPID, body: bytes) -> int:
        raise Speechless


class Speechless(Exception):
    """Its text is an error itself."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Teller(Process):
    """Asks by a message of its own, without an ask."""

    def __init__(self, bank: UPID) -> None:
        super().__init__("teller")
        self.bank = bank
        self.answers: list[object] = []
        self.install("add", lambda sender, total: self.answers.append(total), int)

    def begin(self) -> None:
        self.send(self.bank, "add", [1, 2])


@pytest.fixture
def bank(runtime: Runtime) -> Bank:
    bank = Bank()
    runtime.spawn(bank)
    return bank


def failure_of(future: Future[object]) -> str:
    with pytest.raises(Failure) as told:
        future.get(timeout=15.0)
    return str(told.value)


def test_what_a_handler_returns_is_the_answer(asking: Runtime, bank: Bank) -> None:
    assert asking.ask(bank.pid, "add", [1, 2, 39], returns=int).get(timeout=15.0) == 42
    assert asking.ask(bank.pid, "length", b"four", returns=int).get(timeout=15.0) == 4


def test_an_installed_handler_answers_likewise(asking: Runtime, bank: Bank) -> None:
    bank.install("double", lambda sender, number: 2 * number, int, returns=int)

    assert asking.ask(bank.pid, "double", 21, returns=int).get(timeout=15.0) == 42


def test_a_future_that_a_handler_returns_is_followed(asking: Runtime, bank: Bank) -> None:
    answer = asking.ask(bank.pid, "later", returns=int)
    assert asking.ask(bank.pid, "length", b"", returns=int).get(timeout=15.0) == 0
    assert answer.is_pending

    bank.promise.set(42)

    assert answer.get(timeout=15.0) == 42


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda promise: promise.fail("the account is closed"), "the account is closed"),
        (
            lambda promise: promise.fail(ValueError("a secret")),
            "has no answer to 'later': ValueError",
        ),
        (lambda promise: promise.discard(), "has no answer to 'later': Discarded"),
        (lambda promise: promise.abandon(), "has no answer to 'later': Abandoned"),
    ],
    ids=["failure", "error", "discarded", "abandoned"],
)
def test_a_future_without_a_value_fails_the_ask(
    asking: Runtime, bank: Bank, end: Callable[[Promise[Any]], object], told: str
) -> None:
    answer = asking.ask(bank.pid, "later", returns=int)
    asking.ask(bank.pid, "length", returns=int).get(timeout=15.0)

    end(bank.promise)

    failure = failure_of(answer)
    assert failure.endswith(told)
    assert "a secret" not in failure
    assert asking.ask(bank.pid, "length", returns=int).get(timeout=15.0) == 0  # it lives


def test_a_later_value_without_a_form_fails_the_ask(asking: Runtime, bank: Bank) -> None:
    answer = asking.ask(bank.pid, "later", returns=int)

    with expect_failure(InvalidArgument):
        bank.promise.set(object())
        assert failure_of(answer).endswith("has no answer to 'later': InvalidArgument")
        gc.collect()


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("refuse", Failure, "the account is closed"),
        ("break", ValueError, "has no answer to 'break': ValueError"),
        ("stammer", Speechless, "has no answer to 'stammer': Speechless"),
        ("formless", InvalidArgument, "has no answer to 'formless': InvalidArgument"),
    ],
)
def test_a_handler_that_raises_fails_the_ask_and_its_process(
    asking: Runtime, bank: Bank, name: str, error: type[Exception], told: str
) -> None:
    with expect_failure(error):
        failure = failure_of(asking.ask(bank.pid, name, returns=int))
        bank.runtime.wait(bank.pid)

    assert failure.endswith(told)
    assert "a secret" not in failure
    why(asking.ask(bank.pid, "gone"))
    assert count_late(asking) == 0  # it was told once


def test_a_process_gets_the_answer_as_a_message(runtime: Runtime, bank: Bank) -> None:
    teller = Teller(bank.pid)
    runtime.spawn(teller)

    runtime.dispatch(teller, Teller.begin).get()
    runtime.settle()

    assert teller.answers == [3]


def test_a_message_without_a_sender_needs_no_answer(runtime: Runtime, bank: Bank) -> None:
    runtime.post(bank.pid, "add", [1])
    runtime.settle()

    assert runtime.ask(bank.pid, "length", returns=int).get(timeout=15.0) == 0


def test_returns_is_a_type() -> None:
    with pytest.raises(InvalidArgument, match="expected a Struct, a dataclass or a type"):
        install("add", returns=42)


def test_the_id_of_an_ask_does_not_tell_those_of_others(runtime: Runtime) -> None:
    senders: list[UPID] = []

    class Silent(Process):
        @install("question")
        def on_question(self, sender: UPID, body: bytes) -> None:
            senders.append(sender)

    silent = runtime.spawn(Silent())
    asks = [runtime.ask(silent, "question") for _ in range(100)]
    runtime.settle()

    numbers = [int(sender.id.rpartition("(")[2].rstrip(")")) for sender in senders]
    assert len(set(numbers)) == 100
    assert min(abs(b - a) for a, b in itertools.pairwise(numbers)) > 2**32
    for ask in asks:
        ask.discard()
