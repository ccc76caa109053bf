"""Every public name in a native thread that is not the runtime's: it works, or refuses by name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import gevent
import pytest
from gevent import get_hub
from gevent.monkey import get_original

import greenproc
from greenproc import Address, Process, Runtime, Settings, WebSocket
from greenproc import metrics as metrics_package
from greenproc import sync as sync_package
from greenproc import web as web_package
from greenproc.clock import Clock
from greenproc.current import default
from greenproc.errors import BindError, NoRuntime, StateError, WaitTimeout
from greenproc.future import Future, Promise
from greenproc.http import OK, Request
from greenproc.http.url import URL
from greenproc.hub.lifetime import has_ended, note_runtime
from greenproc.process import Process as BaseProcess
from greenproc.runtime import BackgroundRuntime, RuntimeState
from greenproc.testing import RuntimeMaker, await_ready
from tests.websockets.client import Client

LIMIT = 15.0  # real seconds

Thread = get_original("threading", "Thread")


class Adder(Process):
    def add(self, number: int) -> int:
        return number + 1


@dataclass
class Things:
    """What the functions of the tables act on; made in the thread of the runtime."""

    runtime: Runtime
    process: Adder
    clock: Any = None
    pusher: Process | None = None


def in_thread(function: Callable[[], Any], *, with_hub: bool = False) -> Any:
    """Call *function* in a new native thread while this hub turns; return or raise its outcome."""
    outcome: Promise[Any] = Promise()
    native_ids: list[int] = []

    def work() -> None:
        native_ids.append(threading.get_native_id())
        if with_hub:
            get_hub()
        try:
            result = function()
        except BaseException as error:
            outcome.fail(error)
        else:
            outcome.set([result])  # in a list: a future would be followed
        finally:
            if with_hub:
                get_hub().destroy()

    thread = Thread(target=work)
    thread.start()
    future = outcome.future
    future.wait(LIMIT)
    get_hub().threadpool.apply(thread.join)
    wait_until_gone(native_ids[0])
    return future.get(timeout=LIMIT)[0]


def wait_until_gone(native_id: int) -> None:
    """Wait for the end of a thread as the system sees it: `join` returns a moment earlier."""
    with gevent.Timeout(LIMIT):
        while Path(f"/proc/self/task/{native_id}").exists():
            gevent.sleep(0)


@pytest.fixture
def things(runtime: Runtime) -> Things:
    process = Adder()
    runtime.spawn(process)
    runtime.settle()
    return Things(runtime, process, runtime.clock)


REFUSED = (
    "another native thread|in the thread of the clock|by the hub of the thread|in its own greenlet"
)

Use = Callable[[Things], object]


def works(function: Use) -> tuple[Use, bool]:
    return function, True


def refuses(function: Use) -> tuple[Use, bool]:
    return function, False


def of_value(name: str) -> tuple[Use, bool]:
    return works(lambda _: getattr(greenproc, name))


VALUES = [
    "PID",
    "UPID",
    "Abandoned",
    "Address",
    "Backoff",
    "Break",
    "Child",
    "ChildError",
    "Continue",
    "Cron",
    "Deferred",
    "Discarded",
    "DispatchEvent",
    "ExitedEvent",
    "Failure",
    "HttpEvent",
    "MailboxLimit",
    "Message",
    "MessageEvent",
    "Pool",
    "RemoteConnection",
    "RestartLimit",
    "Router",
    "Settings",
    "StartFailed",
    "State",
    "StateMachine",
    "Supervisor",
    "TerminateEvent",
    "Timer",
    "Topic",
    "WebSocket",
    "install",
    "route",
    "websocket",
    "Future",
    "Promise",
    "Process",
]
"""What is bound to no thread, or has a table of its own."""

FACADE: dict[str, tuple[Use, bool]] = {
    **{name: of_value(name) for name in VALUES},
    "CountDownLatch": works(lambda _: greenproc.CountDownLatch(0).await_(1.0)),
    "Latch": works(lambda _: greenproc.Latch().await_(0.001)),
    "Mutex": works(lambda _: greenproc.Mutex().wait_lock()),
    "Queue": works(lambda _: greenproc.Queue().size()),
    "RateLimiter": works(lambda _: greenproc.RateLimiter(100.0).wait_acquire()),
    "ReadWriteLock": works(lambda _: greenproc.ReadWriteLock().wait_read_lock()),
    "Runtime": works(lambda _: Runtime()),
    "Sequence": works(lambda _: greenproc.Sequence().close()),
    "absolute_path": works(lambda _: greenproc.absolute_path("/x")),
    "address": works(lambda _: greenproc.address()),
    "after": works(lambda _: greenproc.after(0.001).get()),
    "ask": works(lambda it: greenproc.ask(it.process.pid, "x").discard()),
    "await_all": works(lambda _: greenproc.await_all([Future(1)]).get()),
    "collect": works(lambda _: greenproc.collect([Future(1)]).get()),
    "current_runtime": works(lambda _: greenproc.current_runtime()),
    "dead_letters": works(lambda _: list(greenproc.dead_letters())),
    "defer": works(lambda it: greenproc.defer(it.process.pid, Adder.add)(1).get()),
    "delay": works(lambda it: greenproc.delay(0.0, it.process.pid, Adder.add, 1)),
    "dispatch": works(lambda it: greenproc.dispatch(it.process.pid, Adder.add, 1).get()),
    "every": refuses(lambda it: greenproc.every(9.0, it.process.pid, Adder.add, 1)),
    "filter": works(lambda _: greenproc.filter(None)),
    "finalize": refuses(lambda _: greenproc.finalize()),
    "initialize": works(lambda _: greenproc.initialize()),
    "loop": works(lambda _: greenproc.loop(lambda: 1, lambda _: greenproc.Break(2)).get()),
    "proxy": works(lambda it: greenproc.proxy(it.process.pid).add(1).get()),
    "post": works(lambda it: greenproc.post(it.process.pid, "x")),
    "run_async": refuses(lambda _: greenproc.run_async(int)),
    "select": works(lambda _: greenproc.select([Future(1)]).get()),
    "signals": works(lambda _: greenproc.signals()),
    "spawn": refuses(lambda _: greenproc.spawn(Process())),
    "start_in_thread": refuses(lambda _: greenproc.start_in_thread()),
    "terminate": works(lambda it: greenproc.terminate(it.process.pid)),
    "undiscardable": works(lambda _: greenproc.undiscardable(Future(1))),
    "wait": refuses(lambda it: greenproc.wait(it.process.pid, 0.01)),
    "workers": works(lambda _: greenproc.workers()),
}

RUNTIME: dict[str, tuple[Use, bool]] = {
    "absolute_path": works(lambda it: it.runtime.absolute_path("/x")),
    "address": works(lambda it: it.runtime.address),
    "ask": works(lambda it: it.runtime.ask(it.process.pid, "x").discard()),
    "authenticators": works(lambda it: it.runtime.authenticators),
    "authorization": works(lambda it: it.runtime.authorization),
    "call_from_thread": works(lambda it: it.runtime.call_from_thread(int)),
    "check_thread": refuses(lambda it: it.runtime.check_thread("x")),
    "clock": works(lambda it: it.runtime.clock.now()),
    "dead_letters": works(lambda it: list(it.runtime.dead_letters)),
    "defer": works(lambda it: it.runtime.defer(it.process.pid, Adder.add)(1).get()),
    "delay": works(lambda it: it.runtime.delay(0.0, it.process.pid, Adder.add, 1)),
    "delegate": works(lambda it: it.runtime.delegate),
    "dispatch": works(lambda it: it.runtime.dispatch(it.process.pid, Adder.add, 1).get(timeout=9)),
    "filter": works(lambda it: it.runtime.filter(None)),
    "firewall": works(lambda it: it.runtime.firewall),
    "is_here": works(lambda it: it.runtime.is_here),
    "hub": works(lambda it: it.runtime.hub),
    "metrics": works(lambda it: it.runtime.metrics),
    "owned": works(lambda it: it.runtime.owned),
    "post": works(lambda it: it.runtime.post(it.process.pid, "x")),
    "processes": works(lambda it: it.runtime.processes),
    "readonly_realm": works(lambda it: it.runtime.readonly_realm),
    "readwrite_realm": works(lambda it: it.runtime.readwrite_realm),
    "reaper": works(lambda it: it.runtime.reaper),
    "random": works(lambda it: it.runtime.random.random()),
    "resolve": works(lambda it: it.runtime.resolve("127.0.0.1")),
    "run_async": refuses(lambda it: it.runtime.run_async(int)),
    "router": works(lambda it: it.runtime.router),
    "selected": works(lambda it: it.runtime.selected().__enter__()),
    "set_authenticator": works(lambda it: it.runtime.unset_authenticator("none")),
    "settings": works(lambda it: it.runtime.settings),
    "settle": refuses(lambda it: it.runtime.settle()),
    "signals": works(lambda it: it.runtime.signals),
    "spawn": refuses(lambda it: it.runtime.spawn(Process())),
    "spawn_greenlet": refuses(lambda it: it.runtime.spawn_greenlet(int)),
    "start": works(lambda it: Runtime(Settings(port=it.runtime.address.port)).start()),
    "state": works(lambda it: it.runtime.state),
    "statistics": refuses(lambda it: it.runtime.statistics()),
    "stop": refuses(lambda it: it.runtime.stop()),
    "supervision": works(lambda it: it.runtime.supervision),
    "terminate": works(lambda it: it.runtime.terminate(it.process.pid)),
    "transport": works(lambda it: it.runtime.transport),
    "unset_authenticator": works(lambda it: it.runtime.unset_authenticator("none")),
    "wait": refuses(lambda it: it.runtime.wait(it.process.pid, 0.01)),
    "websockets": works(lambda it: it.runtime.websockets.statistics()),
    "workers": works(lambda it: it.runtime.workers()),
}

HOOKS = [
    "initialize",
    "finalize",
    "exited",
    "lost",
    "failed",
    "serve",
    "consume_message",
    "consume_dispatch",
    "consume_http",
    "consume_exited",
    "consume_terminate",
    "streams_body",
    "serves_messages_plainly",
    "takes_raw_requests",
    "takes_requests",
    "takes_websocket",
]
"""What the runtime calls, and nothing else."""

PROCESS: dict[str, tuple[Use, bool]] = {
    "ask": works(lambda it: it.process.ask(it.process.pid, "x").discard()),
    "defer": works(lambda it: it.process.defer(Adder.add)(1).get()),
    "delegate": works(lambda it: it.process.delegate("x", it.process.pid)),
    "event_count": works(lambda it: it.process.event_count(greenproc.MessageEvent)),
    "install": works(lambda it: it.process.install("y", lambda sender, body: None)),
    "link": refuses(lambda it: it.process.link(it.process.pid)),
    "mailbox_limit": works(lambda it: it.process.mailbox_limit),
    "mailbox": works(lambda it: it.process.mailbox.put(greenproc.TerminateEvent(it.process.pid))),
    "offload": refuses(lambda it: it.process.offload(int)),
    "pid": works(lambda it: it.process.pid),
    "provide": works(lambda it: it.process.provide("x", __file__)),
    "queued_events": works(lambda it: it.process.queued_events()),
    "reply": refuses(lambda it: it.process.reply()),
    "route": works(lambda it: it.process.route("/x", lambda request: OK())),
    "runtime": works(lambda it: it.process.runtime),
    "send": works(lambda it: it.process.send(it.process.pid, "x")),
    "spawn_greenlet": refuses(lambda it: it.process.spawn_greenlet(int)),
    "terminate": works(lambda it: it.process.terminate()),
}


def clock_of(it: Things) -> Any:
    return it.runtime.clock


CLOCK: dict[str, tuple[Use, bool]] = {
    "advance": refuses(lambda it: clock_of(it).advance(1.0)),
    "cancel": works(lambda it: clock_of(it).cancel(clock_of(it).timer(99.0, int))),
    "forget": refuses(lambda it: clock_of(it).forget("x")),
    "now": works(lambda it: clock_of(it).now()),
    "order": refuses(lambda it: clock_of(it).order(None, None)),
    "pause": refuses(lambda it: clock_of(it).pause()),
    "paused": works(lambda it: clock_of(it).paused),
    "resume": refuses(lambda it: clock_of(it).resume()),
    "settled": refuses(lambda it: clock_of(it).settled),
    "sleep": refuses(lambda it: clock_of(it).sleep(1.0)),
    "source": refuses(lambda it: clock_of(it).source),
    "start": refuses(lambda it: clock_of(it).start()),
    "statistics": refuses(lambda it: clock_of(it).statistics()),
    "stop": refuses(lambda it: clock_of(it).stop()),
    "stopped": refuses(lambda it: clock_of(it).stopped),
    "take": refuses(lambda it: clock_of(it).take(None)),
    "take_back": refuses(lambda it: clock_of(it).take_back(None)),
    "timer": works(lambda it: clock_of(it).timer(0.0, int)),
    "watch_pauses": refuses(lambda it: clock_of(it).watch_pauses(int)),
    "update": refuses(lambda it: clock_of(it).update(1.0)),
}


def get_page(it: Things) -> int:
    return int(web_package.get(f"http://{it.runtime.address}/metrics/snapshot").get().status)


def url(it: Things) -> str:
    return f"http://{it.runtime.address}/nobody"


def serve_once(_: Things) -> object:
    server = web_package.Server(lambda request: OK())
    running = server.run()
    server.stop().get(timeout=LIMIT)
    return running.wait(LIMIT)


def connect_and_ask(it: Things) -> object:
    connection = web_package.connect(url(it)).get(timeout=LIMIT)
    connection.disconnect().get(timeout=LIMIT)
    gevent.sleep(0)  # its greenlets end
    return True


WEB: dict[str, tuple[Use, bool]] = {
    "Connection": works(lambda _: web_package.Connection),
    "DisabledEndpointsFirewallRule": works(
        lambda _: web_package.DisabledEndpointsFirewallRule(["/x"])
    ),
    "EventStream": works(lambda _: web_package.EventStream().publish("x")),
    "Firewall": works(lambda _: web_package.Firewall()),
    "FirewallRule": works(lambda _: web_package.FirewallRule),
    "Pipe": works(lambda _: web_package.Pipe().reader.read(0.001).wait(LIMIT)),
    "RequestRouter": works(lambda _: web_package.RequestRouter),
    "Server": works(serve_once),
    "StreamLimits": works(lambda _: web_package.StreamLimits()),
    "Subscriber": works(lambda _: web_package.Subscriber),
    "connect": works(connect_and_ask),
    "delete": works(lambda it: web_package.delete(url(it)).get(timeout=LIMIT)),
    "get": works(get_page),
    "head": works(lambda it: web_package.head(url(it)).get(timeout=LIMIT)),
    "patch": works(lambda it: web_package.patch(url(it)).get(timeout=LIMIT)),
    "post": works(lambda it: web_package.post(url(it)).get(timeout=LIMIT)),
    "put": works(lambda it: web_package.put(url(it)).get(timeout=LIMIT)),
    "request": works(lambda it: web_package.request("GET", url(it)).get(timeout=LIMIT)),
    "serve": works(lambda _: web_package.serve),
    "serve_connection": works(lambda _: web_package.serve_connection),
}


def counted(_: Things) -> object:
    counter = metrics_package.Counter("c")
    counter.increment()
    return counter.value().get(timeout=LIMIT)


def snapped(it: Things) -> object:
    return it.runtime.metrics.snapshot().get(timeout=LIMIT)


METRICS: dict[str, tuple[Use, bool]] = {
    "Counter": works(counted),
    "Metric": works(lambda _: metrics_package.Metric),
    "Point": works(lambda _: metrics_package.Point),
    "PullGauge": works(lambda _: metrics_package.PullGauge("g", lambda: 1.0).value()),
    "PulledCounter": works(lambda _: metrics_package.PulledCounter("p", lambda: 1.0).value()),
    "PulledFamily": works(lambda _: metrics_package.PulledFamily),
    "PushGauge": works(lambda _: metrics_package.PushGauge("u").set(1.0)),
    "Reading": works(lambda _: metrics_package.Reading),
    "Registry": works(snapped),
    "Statistics": works(lambda _: metrics_package.Statistics),
    "TimeSeries": works(lambda _: metrics_package.TimeSeries().set(1.0)),
    "Timer": works(lambda _: metrics_package.Timer("t").start()),
    "write_metrics": works(lambda _: metrics_package.write_metrics),
}

SYNC: dict[str, tuple[Use, bool]] = {
    **{
        name: FACADE[name]
        for name in (
            "CountDownLatch",
            "Latch",
            "Mutex",
            "Queue",
            "RateLimiter",
            "ReadWriteLock",
            "Sequence",
        )
    },
    "Pipe": works(lambda _: sync_package.Pipe().writer.write(b"x")),
    "Reader": works(lambda _: sync_package.Reader),
    "Writer": works(lambda _: sync_package.Writer),
    "Once": works(lambda _: sync_package.Once().call(int)),
}


class Pusher(Process):
    """Has a client of a stream of events, and one of a WebSocket."""

    def __init__(self) -> None:
        super().__init__("pusher")
        self.events = web_package.EventStream()
        self.sockets: list[WebSocket] = []

    @greenproc.websocket("/ws")
    def on_connect(self, ws: WebSocket) -> None:
        self.sockets.append(ws)


def pusher(it: Things) -> Pusher:
    process = it.pusher
    assert isinstance(process, Pusher)
    return process


def subscriber(it: Things) -> Any:
    return pusher(it).events.subscribers[0]


EVENT_STREAM: dict[str, tuple[Use, bool]] = {
    "close": refuses(lambda it: pusher(it).events.close()),
    "end": refuses(lambda it: pusher(it).events.end()),
    "gone": works(lambda it: pusher(it).events.gone),
    "heartbeat": works(lambda it: pusher(it).events.heartbeat),
    "keeps_slow": works(lambda it: pusher(it).events.keeps_slow),
    "limits": works(lambda it: pusher(it).events.limits),
    "max_waiting_bytes": works(lambda it: pusher(it).events.max_waiting_bytes),
    "publish": refuses(lambda it: pusher(it).events.publish("x")),
    "respond": refuses(lambda it: pusher(it).events.respond(asked())),
    "slow": works(lambda it: pusher(it).events.slow),
    "statistics": works(lambda it: pusher(it).events.statistics()),
    "subscribers": works(lambda it: pusher(it).events.subscribers),
}

SUBSCRIBER: dict[str, tuple[Use, bool]] = {
    "close": works(lambda it: subscriber(it).close()),
    "is_open": works(lambda it: subscriber(it).is_open),
    "last_event_id": works(lambda it: subscriber(it).last_event_id),
    "process_ended": works(lambda it: subscriber(it).process_ended()),
    "push": works(lambda it: subscriber(it).push(b":\n\n")),
    "reader": works(lambda it: subscriber(it).reader),
    "request": works(lambda it: subscriber(it).request),
    "send": works(lambda it: subscriber(it).send("x")),
    "start": works(lambda it: subscriber(it).start),
    "waiting_bytes": works(lambda it: subscriber(it).waiting_bytes),
}


def socket_of(it: Things) -> WebSocket:
    return pusher(it).sockets[0]


WEB_SOCKET: dict[str, tuple[Use, bool]] = {
    "close": refuses(lambda it: socket_of(it).close()),
    "close_code": works(lambda it: socket_of(it).close_code),
    "close_reason": works(lambda it: socket_of(it).close_reason),
    "closed": works(lambda it: socket_of(it).closed.is_pending),
    "handle_close": works(lambda it: socket_of(it).handle_close),
    "id": works(lambda it: socket_of(it).id),
    "is_open": works(lambda it: socket_of(it).is_open),
    "handle_message": works(lambda it: socket_of(it).handle_message),
    "on_close": works(lambda it: socket_of(it).on_close(repr)),
    "on_message": works(lambda it: socket_of(it).on_message(lambda ws, message: None)),
    "request": works(lambda it: socket_of(it).request),
    "send": refuses(lambda it: socket_of(it).send("x")),
    "statistics": works(lambda it: socket_of(it).statistics()),
    "subprotocol": works(lambda it: socket_of(it).subprotocol),
    "writable": refuses(lambda it: socket_of(it).writable()),
}


def asked() -> Request:
    return Request("GET", URL.parse("/events"))


TABLES = {
    "greenproc": FACADE,
    "Runtime": RUNTIME,
    "Process": PROCESS,
    "Clock": CLOCK,
    "web": WEB,
    "metrics": METRICS,
    "sync": SYNC,
    "EventStream": EVENT_STREAM,
    "Subscriber": SUBSCRIBER,
    "WebSocket": WEB_SOCKET,
}

WITH_CLIENTS = ("EventStream", "Subscriber", "WebSocket")

ALL = [
    pytest.param(use, is_allowed, id=f"{table}.{name}")
    for table, rows in TABLES.items()
    for name, (use, is_allowed) in rows.items()
]


@contextmanager
def clients(things: Things, name: str) -> Iterator[None]:
    """Where *name* is one of a stream's, or a WebSocket's, have clients of both."""
    if not name.startswith(WITH_CLIENTS):
        yield
        return
    runtime = things.runtime
    call = runtime.call if isinstance(runtime, BackgroundRuntime) else direct
    process = things.pusher = Pusher()
    runtime.spawn(process)
    call(process.events.respond, asked())
    client = Client.at(runtime.address, "/pusher/ws")
    try:
        yield
    finally:
        call(process.events.close)
        client.close()


def direct(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


@pytest.mark.parametrize("with_hub", [False, True], ids=["bare", "hub"])
@pytest.mark.parametrize(("use", "is_allowed"), ALL)
def test_public_name_works_in_another_thread_or_refuses_by_name(
    use: Use,
    is_allowed: bool,
    with_hub: bool,
    things: Things,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(default, "runtime", things.runtime)
    with clients(things, request.node.callspec.id):
        try_in_thread(things, use, is_allowed=is_allowed, with_hub=with_hub)


def try_in_thread(things: Things, use: Use, *, is_allowed: bool, with_hub: bool) -> None:
    """Use in another thread what either works there or is refused by name."""
    if is_allowed:
        try:
            in_thread(lambda: use(things), with_hub=with_hub)
        except BindError:
            pass  # the start of a second node there, which works up to the taken port
    else:
        with pytest.raises(StateError, match=REFUSED):
            in_thread(lambda: use(things), with_hub=with_hub)


def exported(package: ModuleType) -> set[str]:
    return set(package.__all__)


def public(kind: type) -> set[str]:
    declared = set(dir(kind)).union(*(getattr(base, "__annotations__", ()) for base in kind.mro()))
    return {name for name in declared if not name.startswith("_")}


def test_tables_name_everything_that_is_public(runtime: Runtime) -> None:
    assert set(FACADE) == exported(greenproc)
    assert set(WEB) == exported(web_package)
    assert set(METRICS) == exported(metrics_package)
    assert set(SYNC) == exported(sync_package)
    attributes = {name for name in vars(runtime) if not name.startswith("_")}
    for_forks = {"disown"}  # called in a forked child only
    assert set(RUNTIME) == (public(Runtime) | attributes) - for_forks
    assert {*PROCESS, *HOOKS} == public(BaseProcess)
    assert set(CLOCK) == public(Clock) - for_forks
    stream = public(web_package.EventStream) | set(vars(web_package.EventStream()))
    assert set(EVENT_STREAM) == {name for name in stream if not name.startswith("_")}
    assert set(SUBSCRIBER) == public(web_package.Subscriber)
    assert set(WEB_SOCKET) == public(WebSocket)


# Waits


WAITS: dict[str, Callable[[Any], tuple[Callable[[], object], Callable[[], object]]]] = {
    "Queue.wait_get": lambda _: wait_and_end(greenproc.Queue(), "wait_get", "put", 1),
    "Latch.await_": lambda _: wait_and_end(greenproc.Latch(), "await_", "trigger"),
    "CountDownLatch.await_": lambda _: wait_and_end(
        greenproc.CountDownLatch(1), "await_", "decrement"
    ),
    "Promise": lambda _: promise_wait(),
    "Mutex.wait_lock": lambda _: locked(greenproc.Mutex(), "wait_lock", "unlock"),
    "ReadWriteLock.wait_read_lock": lambda _: locked(
        greenproc.ReadWriteLock(), "wait_write_lock", "write_unlock"
    ),
    "Reader.read": lambda _: pipe_wait(iterating=False),
    "Reader.__next__": lambda _: pipe_wait(iterating=True),
}


def wait_and_end(thing: Any, wait: str, end: str, *args: object) -> Any:
    return getattr(thing, wait), lambda: getattr(thing, end)(*args)


def locked(lock: Any, wait: str, unlock: str) -> Any:
    assert getattr(lock, wait)()
    return wait_and_end(lock, wait, unlock)


def promise_wait() -> Any:
    promise: Promise[int] = Promise()
    return promise.future.get, lambda: promise.set(1)


def pipe_wait(*, iterating: bool) -> Any:
    pipe = web_package.Pipe()
    read = (lambda: next(pipe.reader)) if iterating else (lambda: pipe.reader.read().get())
    return read, lambda: pipe.writer.write(b"x")


@pytest.mark.parametrize("make", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("with_hub", [False, True], ids=["bare", "hub"])
def test_thread_waits_for_what_another_thread_does(make: Any, with_hub: bool) -> None:
    """A hub with nothing else to wait for used to give up, with LoopExit."""
    wait, end = make(None)
    waiting = threading.Event()

    def wait_there() -> object:
        waiting.set()
        return wait()

    ending = gevent.spawn(lambda: get_hub().threadpool.apply(waiting.wait, (LIMIT,)) and end())
    assert in_thread(wait_there, with_hub=with_hub) is not False
    ending.get(timeout=LIMIT)


# Hubs that do not turn, or have ended


def test_continuation_of_a_future_whose_thread_has_ended_runs_where_it_is_completed() -> None:
    def make() -> tuple[Promise[int], Future[int]]:
        promise: Promise[int] = Promise()
        return promise, promise.future.then(lambda number: number + 1)

    promise, result = in_thread(make_in_a_thread_that_keeps_its_hub(make))
    promise.set(1)

    assert result.get(timeout=LIMIT) == 2


def test_abandonment_of_a_future_whose_thread_has_ended_is_told() -> None:
    told: Promise[str] = Promise()

    def make() -> Promise[int]:
        promise: Promise[int] = Promise()
        promise.future.on_abandoned(lambda: told.set("abandoned"))
        return promise

    promise = in_thread(make_in_a_thread_that_keeps_its_hub(make))
    del promise

    assert await_ready(told.future) == "abandoned"


KEPT: list[object] = []


def make_in_a_thread_that_keeps_its_hub(make: Callable[[], Any]) -> Callable[[], Any]:
    """Call *make* where there is a hub that is not destroyed at the end of its thread."""

    def work() -> Any:
        KEPT.append(get_hub())
        gevent.sleep(0)
        return make()

    return work


@pytest.fixture(autouse=True)
def _drop_hubs() -> Iterator[None]:
    yield
    for hub in KEPT:
        hub.loop.destroy()
    KEPT.clear()


def test_wait_for_a_hub_that_makes_no_turn_says_so(runtime: Runtime) -> None:
    pid = runtime.spawn(Adder())
    texts: list[str] = []

    def ask() -> None:
        try:
            runtime.dispatch(pid, Adder.add, 1).get(timeout=0.01)
        except WaitTimeout as error:
            texts.append(str(error))

    thread = Thread(target=ask)
    thread.start()
    thread.join()  # for real: this hub makes no turn meanwhile

    assert "has made no turn meanwhile; let that thread wait by gevent" in texts[0]
    gevent.idle()


@pytest.mark.parametrize("what", ["future", "queue"])
def test_wait_in_the_context_of_a_runtime_whose_hub_stands_still_says_so(
    runtime: Runtime, what: str
) -> None:
    texts: list[str] = []

    def ask() -> None:
        with runtime.selected():
            try:
                if what == "future":
                    Promise[int]().future.then(int).get(timeout=0.01)
                else:
                    greenproc.Queue[int]().wait_get(0.01)
            except WaitTimeout as error:
                texts.append(str(error))
            except greenproc.Abandoned:
                texts.append("abandoned")

    thread = Thread(target=ask)
    thread.start()
    thread.join()

    assert what == "future" or "has made no turn meanwhile" in texts[0]
    gevent.idle()


def test_wait_for_a_hub_that_turns_does_not_blame_it(runtime: Runtime) -> None:
    pid = runtime.spawn(Adder())
    gate = gevent.event.Event()

    with pytest.raises(WaitTimeout, match=r"^the future is pending after 0\.1 s$"):
        in_thread(lambda: runtime.dispatch(pid, gate.wait).get(timeout=0.1))
    gate.set()


HAS_ENDED = "thread that started the runtime has ended, and the runtime with it"


def start_in_a_thread_that_ends() -> Runtime:
    def start() -> Runtime:
        KEPT.append(get_hub())
        node = Runtime()
        node.start()
        return node

    return in_thread(start)  # type: ignore[no-any-return]


def test_runtime_whose_thread_has_ended_says_so_and_stop_closes_it() -> None:
    node = start_in_a_thread_that_ends()
    for use in (
        lambda: node.dispatch(node.processes.records["help"].pid, int),
        lambda: node.post(node.processes.records["help"].pid, "x"),
        lambda: node.call_from_thread(int),
        lambda: node.spawn(Process()),
    ):
        with pytest.raises(StateError, match=HAS_ENDED):
            use()

    assert node.stop() == ()
    assert node.state is RuntimeState.STOPPED


@pytest.mark.parametrize("is_default", [True, False])
def test_time_passes_without_a_runtime_whose_thread_has_ended(
    is_default: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A default one counts as none; one that was chosen says what has become of it."""
    node = start_in_a_thread_that_ends()
    try:
        if is_default:
            monkeypatch.setattr(default, "runtime", node)
            assert greenproc.after(0.001).get(timeout=LIMIT) is None
            with pytest.raises(NoRuntime, match=HAS_ENDED):
                greenproc.current_runtime()
        else:
            with node.selected(), pytest.raises(StateError, match=HAS_ENDED):
                greenproc.after(0.001)
    finally:
        node.stop()


def test_end_of_a_thread_is_known_as_soon_as_it_was_joined() -> None:
    """Greenlets hear of it only when the system has ended the thread, a moment later."""
    hubs: list[Any] = []

    def work() -> None:
        hubs.append(get_hub())
        note_runtime(hubs[-1], 1)
        KEPT.append(hubs[-1])

    for _ in range(30):
        thread = Thread(target=work)
        thread.start()
        thread.join()
        assert has_ended(hubs[-1])


def test_initialize_replaces_a_default_runtime_whose_thread_has_ended() -> None:
    default.runtime = first = start_in_a_thread_that_ends()
    try:
        assert greenproc.initialize() is True
        assert default.runtime is not first
    finally:
        greenproc.finalize()


# First use


def test_first_use_by_several_native_threads_starts_one_runtime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    barrier = threading.Barrier(4)
    started: Promise[list[Address]] = Promise()
    addresses: list[Address] = []
    results: list[bool] = []
    all_told = threading.Semaphore(0)

    def use() -> None:
        barrier.wait(LIMIT)
        is_first = greenproc.initialize()
        addresses.append(greenproc.address())
        results.append(is_first)
        all_told.release()
        if is_first:
            for _ in range(4):
                get_hub().threadpool.apply(all_told.acquire)
            greenproc.finalize()
            get_hub().destroy()

    threads = [Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        get_hub().threadpool.apply(thread.join)
    started.set(addresses)

    assert sorted(results) == [False, False, False, True]
    assert len(set(addresses)) == 1
    assert default.runtime is None


def test_without_a_runtime_a_thread_is_told_what_to_do() -> None:
    with pytest.raises(NoRuntime, match=r"greenproc\.initialize\(\)"):
        in_thread(greenproc.current_runtime)


def test_future_of_a_dispatch_is_ready_in_a_thread_with_a_hub(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    pid = node.spawn(Adder())

    def ask() -> int:
        return node.dispatch(pid, Adder.add, 1).then(lambda number: number + 1).get()

    assert in_thread(ask, with_hub=True) == 3
