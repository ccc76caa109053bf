"""Which trace context is current in what a process does, and what takes it along."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import gevent
import pytest
from gevent import Timeout
from gevent.threadpool import ThreadPool
from greenlet import GreenletExit

from greenproc import (
    Child,
    MailboxLimit,
    Process,
    Promise,
    Runtime,
    Supervisor,
    after,
    every,
    install,
    proxy,
)
from greenproc.clock.cross_thread import clock_of_thread
from greenproc.future import Future
from greenproc.message import Message, TracedMessage
from greenproc.pid import UPID
from greenproc.process.base import record_of
from greenproc.process.event import DispatchEvent, Event, MessageEvent, TracedDispatchEvent
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker, await_ready, expect_failure
from greenproc.tracing import TRACE, TRACING, TraceContext, current_trace, use_trace
from tests.peer import Peer

ROOT = Path(__file__).parents[2]
SUITES = ("process", "supervision", "patterns", "testing", "web")

ONE = TraceContext("1" * 32, "a" * 16, 1)
TWO = TraceContext("2" * 32, "b" * 16, 0, "vendor=value")

Seen = list[tuple[str, TraceContext | None]]

pytestmark = pytest.mark.usefixtures("untraced")


@pytest.fixture(params=[{}, {"events": 1, "turns": 1}], ids=["usual turns", "1 event a turn"])
def runtime(
    request: pytest.FixtureRequest, make_runtime: RuntimeMaker, limit_turns: Callable[..., None]
) -> Runtime:
    if request.param:
        limit_turns(**request.param)
    return make_runtime()


class Noter(Process):
    """Notes in which trace context what happens."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self.seen: Seen = []
        self.gate: Promise[None] = Promise()
        self.waits: Promise[None] = Promise()
        self.told: Promise[None] = Promise()

    def note(self, what: object = "") -> TraceContext | None:
        self.seen.append((str(what), current_trace()))
        return current_trace()

    def initialize(self) -> None:
        self.note("initialize")

    def finalize(self) -> None:
        self.note("finalize")

    def exited(self, pid: UPID) -> None:
        self.note("exited")

    @install("say")
    def on_say(self, sender: UPID, body: bytes) -> None:
        self.note(body.decode())
        self.told.set(None)

    @install("wait")
    def on_wait(self, sender: UPID, body: bytes) -> None:
        self.note("before")
        self.waits.set(None)
        self.gate.future.get()
        self.note("after")

    @install("pass on")
    def on_pass_on(self, sender: UPID, body: bytes) -> None:
        self.send(UPID.parse(body.decode()), "say", b"passed on")

    @install("question", returns=str)
    def on_question(self, sender: UPID, body: bytes) -> str:
        self.note("question")
        return "answer"

    def wait(self) -> None:
        self.on_wait(UPID(), b"")


def last(noter: Noter) -> tuple[str, TraceContext | None]:
    return noter.seen[-1]


@pytest.fixture
def noter(runtime: Runtime) -> Noter:
    noter = Noter("noter")
    runtime.spawn(noter)
    return noter


def test_nothing_is_traced_until_there_is_a_context(runtime: Runtime, noter: Noter) -> None:
    runtime.post(noter.pid, "say", b"a")
    runtime.settle()

    assert noter.seen == [("initialize", None), ("a", None)]
    assert not TRACING.is_active


def test_a_message_brings_its_context_to_the_handler(runtime: Runtime, noter: Noter) -> None:
    runtime.post(noter.pid, "say", b"before")
    with use_trace(ONE):
        runtime.post(noter.pid, "say", b"one")
    runtime.post(noter.pid, "say", b"none")
    with use_trace(TWO):
        runtime.post(noter.pid, "say", b"two")
    runtime.post(noter.pid, "say", b"none again")
    runtime.settle()

    assert noter.seen[1:] == [
        ("before", None),
        ("one", ONE),
        ("none", None),
        ("two", TWO),
        ("none again", None),
    ]
    assert current_trace() is None


def test_it_begins_in_the_middle_of_a_turn(runtime: Runtime) -> None:
    class First(Noter):
        @install("go")
        def on_go(self, sender: UPID, body: bytes) -> None:
            self.send(self.pid, "say", b"without")
            with use_trace(ONE):
                self.send(self.pid, "say", b"with")
            self.send(self.pid, "say", b"without again")

    first = First()
    runtime.spawn(first)
    runtime.post(first.pid, "go")
    runtime.settle()

    assert first.seen[1:] == [("without", None), ("with", ONE), ("without again", None)]


def test_what_a_handler_sends_has_its_context(runtime: Runtime, noter: Noter) -> None:
    other = Noter("other")
    runtime.spawn(other)
    with use_trace(ONE):
        runtime.post(other.pid, "pass on", str(noter.pid).encode())
    runtime.settle()

    assert last(noter) == ("passed on", ONE)


def test_a_delegate_gets_the_context(runtime: Runtime, noter: Noter) -> None:
    front = Process("front")
    runtime.spawn(front)
    front.delegate("say", noter.pid)
    with use_trace(ONE):
        runtime.post(front.pid, "say", b"delegated")
    runtime.post(front.pid, "say", b"plain")
    runtime.settle()

    assert noter.seen[1:] == [("delegated", ONE), ("plain", None)]


def test_a_dispatch_and_a_call_of_a_proxy_have_the_context_of_the_caller(
    runtime: Runtime, noter: Noter
) -> None:
    with runtime.selected(), use_trace(ONE):
        dispatched = runtime.dispatch(noter.pid, Noter.note, "dispatched")
        called = proxy(noter.pid).note("called")
    plain = runtime.dispatch(noter.pid, Noter.note, "plain")

    assert (dispatched.get(), called.get(), plain.get()) == (ONE, ONE, None)


def test_a_deferred_call_has_the_context_of_what_calls_it(runtime: Runtime, noter: Noter) -> None:
    deferred = noter.defer(Noter.note, "deferred")
    with use_trace(TWO):
        made_in_another = runtime.defer(noter.pid, Noter.note, "made in another")
    with use_trace(ONE):
        assert deferred().get() == ONE
        assert made_in_another().get() == ONE
    assert deferred().get() is None


def test_a_future_calls_back_in_the_context_that_registered(
    runtime: Runtime, noter: Noter
) -> None:
    seen: Seen = []
    promise: Promise[int] = Promise()

    def note(name: str) -> Callable[[Any], None]:
        return lambda _: seen.append((name, current_trace()))

    with use_trace(ONE):
        promise.future.on_ready(note("ready"))
        promise.future.on_any(noter.defer(Noter.note))
        promise.future.then(note("then"))
        promise.future.add_done_callback(note("done"))
    promise.future.on_any(note("outside"))
    with use_trace(TWO):
        promise.set(1)
        promise.future.on_any(note("late"))
    runtime.settle()

    assert dict(seen) == {"ready": ONE, "then": ONE, "done": ONE, "outside": None, "late": TWO}
    assert last(noter)[1] == ONE


def test_a_request_to_discard_is_told_in_the_context_that_registered() -> None:
    seen: list[TraceContext | None] = []
    promise: Promise[int] = Promise()
    with use_trace(ONE):
        promise.future.on_discard(lambda: seen.append(current_trace()))
    with use_trace(TWO):
        promise.future.discard()

    assert seen == [ONE]


def test_what_is_delayed_and_repeated_has_the_context_of_the_caller(
    runtime: Runtime, noter: Noter
) -> None:
    seen: list[TraceContext | None] = []
    runtime.clock.pause()
    with runtime.selected(), use_trace(ONE):
        runtime.delay(1.0, noter.pid, Noter.note, "delayed")
        repeated = every(2.0, noter.pid, Noter.note, "repeated")
        runtime.clock.timer(1.0, lambda: seen.append(current_trace()))
        waited = after(1.0).then(lambda _: seen.append(current_trace()))
    runtime.delay(1.5, noter.pid, Noter.note, "plain")
    for _ in range(5):
        runtime.clock.advance(1.0)
        runtime.settle()
    repeated.cancel()
    runtime.clock.resume()

    assert waited.is_ready
    assert seen == [ONE, ONE]
    assert noter.seen[1:] == [
        ("delayed", ONE),
        ("plain", None),
        ("repeated", ONE),
        ("repeated", ONE),
    ]


def test_a_timer_of_another_thread_has_the_context_of_the_caller(runtime: Runtime) -> None:
    seen: list[TraceContext | None] = []
    done = Promise[None]()

    def fire() -> None:
        seen.append(current_trace())
        done.set(None)

    def make() -> None:
        with use_trace(ONE):
            clock_of_thread(runtime.clock).timer(0.0, fire)

    pool = ThreadPool(1)
    try:
        pool.apply(make)
        await_ready(done.future)
    finally:
        pool.kill()

    assert seen == [ONE]


def test_a_process_starts_in_the_context_of_what_spawns_it_and_leaves_it(
    runtime: Runtime, noter: Noter
) -> None:
    child = Noter()
    with use_trace(ONE):
        pid = runtime.spawn(child)
    runtime.post(pid, "say", b"a")
    runtime.settle()
    runtime.terminate(pid)
    runtime.wait(pid)

    assert child.seen == [("initialize", ONE), ("a", None), ("finalize", None)]


def test_a_process_whose_greenlet_was_given_back_has_left_it(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(Settings(ip="127.0.0.1", max_parked_greenlets=1))
    children = [Noter() for _ in range(3)]
    with use_trace(ONE):
        pids = [runtime.spawn(child) for child in children]
        for pid in pids:
            runtime.post(pid, "say", b"with")
    runtime.settle()
    for pid in pids:
        runtime.post(pid, "say", b"without")
    runtime.settle()

    assert [child.seen[1:] for child in children] == [[("with", ONE), ("without", None)]] * 3


def test_the_end_of_a_process_belongs_to_no_trace(runtime: Runtime, noter: Noter) -> None:
    child = Noter()
    runtime.spawn(child)
    runtime.dispatch(noter.pid, Process.link, child.pid).get()
    with use_trace(ONE):
        runtime.terminate(child.pid)
    runtime.settle()

    assert last(child) == ("finalize", None)
    assert last(noter) == ("exited", None)


def test_an_answer_comes_in_the_context_of_the_ask(runtime: Runtime, noter: Noter) -> None:
    seen: list[TraceContext | None] = []

    class Asker(Process):
        def begin(self) -> None:
            answer = self.ask(noter.pid, "question", returns=str)
            answer.on_ready(lambda _: seen.append(current_trace()))

    asker = Asker()
    runtime.spawn(asker)
    with use_trace(ONE):
        assert runtime.ask(noter.pid, "question", returns=str).get() == "answer"
        runtime.dispatch(asker.pid, Asker.begin).get()
    runtime.ask(noter.pid, "question").get()
    runtime.settle()

    assert [trace for _, trace in noter.seen[1:]] == [ONE, ONE, None]
    assert seen == [ONE]


def test_what_is_offloaded_and_what_follows_have_the_context(
    runtime: Runtime, noter: Noter
) -> None:
    class Worker(Noter):
        @install("work")
        def on_work(self, sender: UPID, body: bytes) -> None:
            self.offload(current_trace).then(self.on_done)

        def on_done(self, trace: TraceContext | None) -> None:
            self.seen.append(("in the thread", trace))
            self.note("back")
            self.gate.set(None)

    worker = Worker()
    runtime.spawn(worker)
    with use_trace(ONE):
        runtime.post(worker.pid, "work")
    await_ready(worker.gate.future)

    assert worker.seen[1:] == [("in the thread", ONE), ("back", ONE)]


def test_a_greenlet_of_a_process_has_the_context_of_what_starts_it(
    runtime: Runtime, noter: Noter
) -> None:
    seen: Seen = []
    starts: Promise[None] = Promise()

    def inner() -> None:
        seen.append(("inner", current_trace()))

    def outer() -> None:
        starts.future.get()
        seen.append(("outer", current_trace()))
        noter.spawn_greenlet(inner).get()

    with use_trace(ONE):
        greenlet = runtime.dispatch(noter.pid, noter.spawn_greenlet, outer).get()
        runtime.post(noter.pid, "say", b"served before the greenlet goes on")
    with use_trace(TWO):
        runtime.post(noter.pid, "wait")
        await_ready(noter.waits.future)
    starts.set(None)
    greenlet.get()
    noter.gate.set(None)
    runtime.settle()

    assert seen == [("outer", ONE), ("inner", ONE)]


def test_threads_send_call_ask_and_put_in_their_context(runtime: Runtime, noter: Noter) -> None:
    def act() -> tuple[Future[Any], Future[Any]]:
        with use_trace(ONE):
            runtime.post(noter.pid, "say", b"posted")
            noter.mailbox.put(Message("say", UPID(), noter.pid, b"put"))
            dispatched = runtime.dispatch(noter.pid, Noter.note, "dispatched")
            return dispatched, runtime.ask(noter.pid, "question", returns=str)

    pool = ThreadPool(1)
    try:
        dispatched, asked = pool.apply(act)
        assert (await_ready(dispatched), await_ready(asked)) == (ONE, "answer")
    finally:
        pool.kill()

    assert noter.seen[1:] == [
        ("posted", ONE),
        ("put", ONE),
        ("dispatched", ONE),
        ("question", ONE),
    ]


def test_contexts_of_handlers_that_wait_are_not_mixed(runtime: Runtime) -> None:
    waiting = [Noter(f"waiting-{number}") for number in range(3)]
    for noter, trace in zip(waiting, (ONE, TWO, None), strict=True):
        runtime.spawn(noter)
        with use_trace(trace):
            runtime.post(noter.pid, "wait")
    for noter in waiting:
        await_ready(noter.waits.future)
    for noter in reversed(waiting):
        noter.gate.set(None)
        runtime.post(noter.pid, "say", b"next")
    runtime.settle()

    for noter, trace in zip(waiting, (ONE, TWO, None), strict=True):
        assert noter.seen[1:] == [("before", trace), ("after", trace), ("next", None)]


FAILURES: list[Callable[[], BaseException]] = [
    lambda: ValueError("a"),
    lambda: Timeout(1),
    StopIteration,
]


@pytest.mark.parametrize("error", FAILURES, ids=["Exception", "Timeout", "StopIteration"])
@pytest.mark.parametrize("kind", ["message", "dispatch"])
def test_a_failure_belongs_to_the_trace_and_what_follows_does_not(
    runtime: Runtime, error: Callable[[], BaseException], kind: str
) -> None:
    class Failing(Noter):
        @install("fail")
        def on_fail(self, sender: UPID, body: bytes) -> None:
            raise error()

        def failed(self, event: Event | None, error: BaseException) -> None:
            self.note("failed")

        def fail(self) -> None:
            self.on_fail(UPID(), b"")

    failing = Failing()
    runtime.spawn(failing)
    with expect_failure(BaseException), use_trace(ONE):
        if kind == "message":
            runtime.post(failing.pid, "fail")
        else:
            runtime.processes.dispatch_quietly(failing.pid, Failing.fail, ())
        runtime.settle()
    runtime.post(failing.pid, "say", b"next")
    runtime.settle()

    assert failing.seen[1:] == [("failed", ONE), ("next", None)]


def test_a_handler_that_is_killed_leaves_no_context_behind(runtime: Runtime) -> None:
    class Killed(Noter):
        @install("exit")
        def on_exit(self, sender: UPID, body: bytes) -> None:
            raise GreenletExit

    killed = Killed()
    runtime.spawn(killed)
    with use_trace(ONE):
        runtime.post(killed.pid, "exit")
    runtime.wait(killed.pid)

    assert killed.seen[-1] == ("finalize", None)


def test_a_handler_that_is_killed_while_it_waits_leaves_no_context_behind(
    runtime: Runtime,
) -> None:
    class Interrupted(Noter):
        def failed(self, event: Event | None, error: BaseException) -> None:
            self.note("failed")

    interrupted = Interrupted()
    runtime.spawn(interrupted)
    with use_trace(ONE):
        runtime.post(interrupted.pid, "wait")
    await_ready(interrupted.waits.future)
    greenlet = record_of(interrupted).greenlet
    assert greenlet is not None
    with expect_failure(Timeout):
        gevent.get_hub().loop.run_callback(greenlet.throw, Timeout(1))
        gevent.sleep(0)
        runtime.post(interrupted.pid, "say", b"next")
        runtime.settle()

    assert interrupted.seen[1:] == [("before", ONE), ("failed", ONE), ("next", None)]


def test_a_handler_that_never_returns_keeps_its_context_to_itself(
    make_runtime: RuntimeMaker,
) -> None:
    runtime = make_runtime()
    stuck, noter = Noter("stuck"), Noter("noter")
    runtime.spawn(stuck)
    runtime.spawn(noter)
    with use_trace(ONE):
        runtime.post(stuck.pid, "wait")
    with use_trace(TWO):
        runtime.post(noter.pid, "say", b"traced")
    runtime.post(noter.pid, "say", b"plain")
    await_ready(stuck.waits.future)
    await_ready(runtime.dispatch(noter.pid, len, ()))
    seen = noter.seen[1:]
    killed = runtime.stop(0.1)

    assert stuck.seen[1] == ("before", ONE)
    assert seen == [("traced", TWO), ("plain", None)]
    assert stuck.pid in killed


def test_a_block_that_a_handler_does_not_leave_ends_with_the_event(runtime: Runtime) -> None:
    class Careless(Noter):
        def enter(self) -> Iterator[None]:
            with use_trace(TWO):
                yield

        @install("enter")
        def on_enter(self, sender: UPID, body: bytes) -> None:
            self.kept = self.enter()
            next(self.kept)

    careless = Careless()
    runtime.spawn(careless)
    for body in (b"next", b"and next"):
        runtime.post(careless.pid, "enter")
        runtime.post(careless.pid, "say", body)
    runtime.settle()

    assert careless.seen[1:] == [("next", None), ("and next", None)]


def test_a_message_that_is_taken_in_a_handler_tells_its_context(runtime: Runtime) -> None:
    class Taking(Noter):
        @install("take")
        def on_take(self, sender: UPID, body: bytes) -> None:
            item = self.mailbox.get()
            self.note("taken")
            with use_trace(item.trace):
                self.note("within")

    taking = Taking()
    runtime.spawn(taking)
    with use_trace(ONE):
        runtime.post(taking.pid, "take")
    with use_trace(TWO):
        runtime.post(taking.pid, "say")
    runtime.settle()

    assert taking.seen[1:] == [("taken", ONE), ("within", TWO)]


def test_an_overridden_serve_and_the_event_filter_see_the_context(runtime: Runtime) -> None:
    seen: Seen = []

    class Serving(Noter):
        def serve(self, event: Event) -> None:
            self.note("serve")
            super().serve(event)

    def look(pid: UPID, event: Event) -> bool:
        seen.append((event.kind, event.trace))
        return isinstance(event, MessageEvent) and event.message.body == b"drop"

    serving = Serving()
    runtime.spawn(serving)
    runtime.settle()
    runtime.filter(look)
    with use_trace(ONE):
        runtime.post(serving.pid, "say", b"a")
        runtime.post(serving.pid, "say", b"drop")
        dispatched = runtime.dispatch(serving.pid, Noter.note, "b")
    runtime.post(serving.pid, "say", b"c")
    runtime.settle()
    runtime.filter(None)

    assert dispatched.get() == ONE
    assert seen == [("MESSAGE", ONE), ("MESSAGE", ONE), ("DISPATCH", ONE), ("MESSAGE", None)]
    assert serving.seen[1:] == [
        ("serve", ONE),
        ("a", ONE),
        ("serve", ONE),
        ("b", ONE),
        ("serve", None),
        ("c", None),
    ]


@pytest.mark.parametrize("when_full", ["refuse", "drop_newest", "drop_oldest", "block"])
def test_a_mailbox_of_one_event_takes_traced_ones(runtime: Runtime, when_full: Any) -> None:
    class Small(Noter):
        mailbox_limit = MailboxLimit(events=1, when_full=when_full, timeout=1.0)

    small = Small()
    runtime.spawn(small)
    runtime.settle()
    senders = []
    for number, trace in enumerate((ONE, TWO, None)):
        with use_trace(trace):
            context = gevent.getcurrent().gr_context
            greenlet = gevent.Greenlet(runtime.post, small.pid, "say", b"%d" % number)
            greenlet.gr_context = context.copy() if context is not None else None
            greenlet.start()
            senders.append(greenlet)
    gevent.joinall(senders, raise_error=True)
    runtime.settle()

    expected = {
        "refuse": [("0", ONE)],
        "drop_newest": [("0", ONE)],
        "drop_oldest": [("2", None)],
        "block": [("0", ONE), ("1", TWO), ("2", None)],
    }
    assert small.seen[1:] == expected[when_full]


def test_the_bytes_of_traced_messages_are_counted(runtime: Runtime) -> None:
    class Small(Noter):
        mailbox_limit = MailboxLimit(bytes=300)

    small = Small()
    runtime.spawn(small)
    runtime.settle()
    with use_trace(ONE):
        for body in (b"1" * 100, b"2" * 100, b"3"):
            runtime.post(small.pid, "say", body)
    runtime.settle()

    assert [what[0] for what, _ in small.seen[1:]] == ["1", "3"]


@pytest.mark.parametrize("lines", [b"", ONE.lines])
def test_a_remote_sender_hears_of_a_full_mailbox_as_without_a_trace(
    runtime: Runtime, lines: bytes
) -> None:
    class Small(Noter):
        mailbox_limit = MailboxLimit(events=1, when_full="drop_newest")

    small = Small("small")
    runtime.spawn(small)
    runtime.post(small.pid, "wait")
    await_ready(small.waits.future)
    with Peer.connect(runtime.address) as peer:
        head = (
            b"POST /small/say HTTP/1.1\r\nUser-Agent: curl\r\nLibprocess-From: a@10.0.0.1:1\r\n"
            b"Host: h\r\n" + lines + b"\r\n"
        )
        assert [peer.ask(head).code for _ in range(3)] == [202, 202, 202]
    small.gate.set(None)
    runtime.settle()

    assert small.seen[3:] == [("", ONE if lines else None)]


def test_a_successor_of_a_supervised_process_gets_what_is_traced(runtime: Runtime) -> None:
    class Worker(Noter):
        made: ClassVar[list[Noter]] = []

        def __init__(self) -> None:
            super().__init__("worker")
            self.made.append(self)

        @install("fail")
        def on_fail(self, sender: UPID, body: bytes) -> None:
            raise ValueError

    supervisor = Supervisor([Child(Worker, mailbox="keep")])
    runtime.spawn(supervisor)
    runtime.settle()
    worker = Worker.made[0].pid
    with expect_failure(ValueError):
        runtime.post(worker, "fail")
        with use_trace(ONE):
            runtime.post(worker, "say", b"kept")
            dispatched = runtime.dispatch(worker, Noter.note, "kept, too")
        runtime.settle()

    assert await_ready(dispatched) == ONE
    assert Worker.made[1].seen == [("initialize", None), ("kept", ONE), ("kept, too", ONE)]


@pytest.mark.parametrize("was_served", [False, True])
def test_what_is_thrown_into_an_idle_process_belongs_to_no_trace(
    make_runtime: RuntimeMaker, limit_turns: Callable[..., None], was_served: bool
) -> None:
    limit_turns(parked=100)  # else an idle process may have no greenlet to throw into
    runtime = make_runtime()

    class Idle(Noter):
        def failed(self, event: Event | None, error: BaseException) -> None:
            self.note("failed")

    idle = Idle()
    with use_trace(ONE):
        runtime.spawn(idle)
        if was_served:
            runtime.post(idle.pid, "say")
    runtime.settle()
    greenlet = record_of(idle).greenlet
    assert greenlet is not None
    with expect_failure(Timeout):
        gevent.get_hub().loop.run_callback(greenlet.throw, Timeout(1))
        await_ready(runtime.dispatch(idle.pid, len, ()))

    assert last(idle) == ("failed", None)


def test_two_runtimes_of_one_thread_both_look(
    make_runtime: RuntimeMaker, runtime: Runtime, noter: Noter
) -> None:
    second = make_runtime()
    other = Noter("other")
    second.spawn(other)
    second.settle()
    with use_trace(ONE):
        second.post(other.pid, "pass on", str(noter.pid).encode())
    await_ready(noter.told.future)

    assert last(noter) == ("passed on", ONE)


def test_a_runtime_that_is_started_in_a_trace_is_of_none(make_runtime: RuntimeMaker) -> None:
    seen: list[TraceContext | None] = []
    with use_trace(ONE):
        runtime = make_runtime()
    runtime.spawn_greenlet(lambda: seen.append(current_trace())).get()

    assert seen == [None]


def test_a_traced_message_is_one_of_its_own(runtime: Runtime) -> None:
    message = TracedMessage("a", UPID(), UPID(), b"", ONE)
    event = DispatchEvent(len)

    assert isinstance(message, Message)
    assert message.trace == ONE == MessageEvent(message).trace
    assert Message("a", UPID(), UPID(), b"").trace is None
    assert event.trace is None
    assert TracedDispatchEvent(event, ONE).trace == ONE
    assert TRACE.get() is None


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_suites_pass_in_a_trace() -> None:
    suites = [str(ROOT / "tests" / name) for name in SUITES]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--traced", *suites],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
