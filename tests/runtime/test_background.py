"""`BackgroundRuntime` and `start_in_thread`: a node that answers whatever the program does."""

from __future__ import annotations

import asyncio
import atexit
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import get_hub

import greenproc
from greenproc import Process, Runtime, Settings
from greenproc.current import default
from greenproc.errors import BindError, Deadlock, NoRuntime, StateError, WaitTimeout
from greenproc.runtime import BackgroundRuntime, RuntimeState
from greenproc.testing import RuntimeMaker
from tests.runtime.test_foreign_threads import (
    LIMIT,
    TABLES,
    Things,
    Use,
    clients,
    in_thread,
    try_in_thread,
)
from tests.runtime.test_foreign_threads import Adder as TableAdder
from tests.shell import Program, Result

QUIET = {"LIBPROCESS_BLOCKED_AFTER": "0secs"}
"""Keeps a machine that is busy with tests from being told of."""

TEXT: ContextVar[str] = ContextVar("text", default="")


class Adder(TableAdder):
    def fail(self) -> None:
        raise ValueError("no luck today")

    def where(self) -> str:
        return threading.current_thread().name

    def stop_the_runtime(self) -> None:
        self.runtime.stop()

    def wait_for_itself(self) -> bool:
        return greenproc.wait(self.pid)


@pytest.fixture
def node() -> Iterator[BackgroundRuntime]:
    """A node in a thread, not the default one."""
    node = BackgroundRuntime()
    node.start()
    yield node
    node.stop()


@pytest.fixture
def default_node() -> Iterator[BackgroundRuntime]:
    """The default runtime in a thread."""
    yield greenproc.start_in_thread(Settings())
    greenproc.finalize()
    default.refusal = None


def run(program: str, *flags: str, code: int = 0) -> Result:
    """Run *program* in an OS process of its own, in whose main thread there is no hub."""
    command = [sys.executable, *(flags or ("-W", "ignore::DeprecationWarning")), "-c", program]
    with Program(*command, env=QUIET) as running:
        result = running.finish()
    assert result.code == code, result
    return result


# Every public name


IN_BACKGROUND = {
    "greenproc": {"finalize", "run_async", "spawn", "start_in_thread", "wait"},
    "Runtime": {"run_async", "settle", "spawn", "statistics", "stop", "wait"},
}
"""What works in other threads here, and is refused by a runtime on a hub of the program."""

ALL = [
    pytest.param(use, is_allowed or name in IN_BACKGROUND.get(table, ()), id=f"{table}.{name}")
    for table, rows in TABLES.items()
    for name, (use, is_allowed) in rows.items()
]


@pytest.mark.parametrize("with_hub", [False, True], ids=["bare", "hub"])
@pytest.mark.parametrize(("use", "is_allowed"), ALL)
def test_public_name_works_in_every_thread_or_refuses_by_name(
    use: Use,
    is_allowed: bool,
    with_hub: bool,
    default_node: BackgroundRuntime,
    request: pytest.FixtureRequest,
) -> None:
    process = Adder()
    default_node.spawn(process)
    things = Things(default_node, process)
    with clients(things, request.node.callspec.id):
        try_in_thread(things, use, is_allowed=is_allowed, with_hub=with_hub)


def test_call_does_in_the_thread_what_is_refused_elsewhere(node: BackgroundRuntime) -> None:
    with pytest.raises(StateError, match=r"runtime\.call_from_thread"):
        node.clock.pause()

    def pass_an_hour() -> bool:
        clock = node.clock
        clock.pause()
        clock.advance(3600.0)
        clock.resume()
        return clock.paused

    assert node.call(pass_an_hour) is False


# The catalogue


def test_th_call(node: BackgroundRuntime) -> None:
    """Values, from ten threads at once."""
    pid = node.spawn(Adder())
    results: list[int] = []

    def ask(number: int) -> None:
        for step in range(20):
            results.append(node.dispatch(pid, Adder.add, number * 100 + step).get())
            assert node.call(lambda value: value, step) == step

    in_threads(10, ask)

    assert sorted(results) == [n * 100 + step + 1 for n in range(10) for step in range(20)]


def test_th_error(node: BackgroundRuntime) -> None:
    pid = node.spawn(Adder())

    def ask(number: int) -> None:
        with pytest.raises(ValueError, match="no luck today"):
            node.dispatch(pid, Adder.fail).get()
        with pytest.raises(ZeroDivisionError):
            node.call(lambda: number / 0)
        with pytest.raises(SystemExit):
            node.call(sys.exit)

    in_threads(10, ask)

    assert node.dispatch(pid, Adder.add, 1).get() == 2


def test_th_timeout(node: BackgroundRuntime) -> None:
    pid = node.spawn(Adder())
    gate = node.call(gevent.event.Event)

    def ask(number: int) -> None:
        with pytest.raises(WaitTimeout, match=r"^the future is pending after 0\.01 s$"):
            node.dispatch(pid, gate.wait).get(timeout=0.01)
        assert node.wait(pid, 0.01) is False

    in_threads(10, ask)
    node.call(gate.set)


def in_threads(count: int, function: Callable[[int], object]) -> None:
    """Call *function* with its number in each of *count* native threads at the same time."""
    barrier = threading.Barrier(count)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        barrier.wait(LIMIT)
        try:
            function(number)
        except BaseException as error:
            errors.append(error)

    def run_all() -> None:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)

    in_thread(run_all)
    assert not errors


FACADE = """
import threading
import greenproc
from greenproc import Process

class Counter(Process):
    total = 0

    def add(self, number):
        self.total += number
        return self.total

    def stop(self):
        self.terminate()

    @greenproc.install("total")
    def on_total(self, sender, body):
        self.reply(b"%d" % self.total)

greenproc.start_in_thread()

def use():
    counter = greenproc.spawn(Counter())
    assert greenproc.dispatch(counter, Counter.add, 1).get() == 1
    assert greenproc.dispatch(counter, Counter.add, 2).then(str).get(timeout=9) == "3"
    assert greenproc.defer(counter, Counter.add)(1).get() == 4
    assert greenproc.ask(counter, "total", timeout=9.0).get() == b"4"
    assert greenproc.ask(counter, "total", returns=int).get() == ord("4")  # a small integer
    assert greenproc.proxy(counter).add(0).get() == 4
    assert greenproc.proxy(counter).total.get() == 4
    assert greenproc.run_async(sum, [1, 2]).get() == 3
    assert greenproc.defer(lambda: 5)().get() == 5
    greenproc.delay(0.001, counter, Counter.stop)
    assert greenproc.wait(counter) is True
    counter = greenproc.spawn(Counter())
    greenproc.post(counter, "nothing")
    greenproc.terminate(counter)
    assert greenproc.wait(counter, 9.0) is True
    greenproc.after(0.001).get()

threads = [threading.Thread(target=use) for _ in range(4)]
for thread in threads: thread.start()
use()
for thread in threads: thread.join()

from gevent._hub_local import get_hub_if_exists
print("hub of the main thread:", get_hub_if_exists())
"""


def test_th_spawn_dispatch_ask() -> None:
    result = run(FACADE)

    assert result.out == "hub of the main thread: None\n"
    assert "Traceback" not in result.err


CTRL_C = """
import os, signal, sys, threading, time
import greenproc
from greenproc import Process

node = greenproc.start_in_thread()
pid = greenproc.spawn(Process())
waits = {
    "wait": lambda: greenproc.wait(pid),
    "get": lambda: greenproc.Promise().future.get(),
    "call": lambda: node.call(__import__("gevent").event.Event().wait),
}
promises = []
for name, wait in waits.items():
    ready = threading.Event()
    def interrupt(ready=ready):
        ready.wait()
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        ready.set()  # an interrupt that comes before the wait is caught here, too
        if name == "get":
            promises.append(greenproc.Promise())
            promises[-1].future.get()
        else:
            wait()
    except KeyboardInterrupt:
        print("interrupted", name)
    thread.join()
print(greenproc.run_async(sum, [1, 2]).get(), node.state.value)
"""


def test_th_ctrl_c() -> None:
    """Ctrl-C ends the wait of the main thread at once, and the node goes on."""
    result = run(CTRL_C)

    assert result.out == "interrupted wait\ninterrupted get\ninterrupted call\n3 running\n"
    assert result.err == ""


ENDS = {
    "end": "",
    "sys.exit": "import sys; sys.exit(0)",
    "finalize": "greenproc.finalize()",
    "finalize_twice": "greenproc.finalize(); greenproc.finalize()",
    "stop": "node.stop(); node.stop()",
    "with": "\nwith node: pass",
    "in_thread": "import threading; t = threading.Thread(target=node.stop); t.start(); t.join()",
    "pending": "[greenproc.after(60.0) for _ in range(9)]",
    "http": "import urllib.request as u; u.urlopen(f'http://{greenproc.address()}/help').read()",
    "hub": "import gevent; gevent.sleep(0.001)",
}

ENDING = """
import greenproc

class Loud(greenproc.Process):
    def finalize(self):
        print("finalized", flush=True)

node = greenproc.start_in_thread()
pid = greenproc.spawn(Loud())
greenproc.dispatch(pid, int).get()
"""


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_th_atexit(end: str) -> None:
    """Whatever ends the program, its processes are finalized, and nothing else is printed."""
    assert run(ENDING + end, "-X", "dev") == Result(0, "finalized\n", "")


BLOCKED = """
import greenproc, threading, time

node = greenproc.start_in_thread(greenproc.Settings(stop_timeout=0.1, blocked_after=0))
begun = threading.Event()

def block():
    begun.set()
    while True: pass

import greenproc.runtime.background as background
background.UNWIND_SECONDS = 0.1
greenproc.run_async(block)
begun.wait()
"""


def test_th_atexit_is_bounded_when_the_hub_is_blocked() -> None:
    """The thread is a daemon, so the exit does not wait for it for ever."""
    result = run(BLOCKED)

    assert "at exit: expected the runtime to stop within 0.1 s, but something blocks" in result.err
    assert "Traceback" not in result.err


FORK = """
import os, sys, threading, warnings
warnings.simplefilter("ignore")
import greenproc
from greenproc import Process

class Adder(Process):
    def add(self, number):
        return number + 1

node = greenproc.start_in_thread()
adder = greenproc.spawn(Adder())
pending = greenproc.Promise()
over = []

def ask():
    while not over:
        assert greenproc.dispatch(adder, Adder.add, 1).get() == 2

threads = [threading.Thread(target=ask)]
for thread in threads: thread.start()

def child():
    for use in (
        lambda: greenproc.spawn(Adder()),
        lambda: greenproc.dispatch(adder, Adder.add, 1),
        lambda: greenproc.wait(adder),
        lambda: greenproc.address(),
        lambda: node.dispatch(adder, Adder.add, 1),
        lambda: node.spawn(Adder()),
        lambda: node.call(int),
        lambda: node.wait(adder),
        lambda: node.post(adder, "x"),
        lambda: node.address,
    ):
        try:
            print("worked", use())
        except RuntimeError as error:
            assert "the parent process" in str(error), error
            assert "greenproc.start_in_thread() here" in str(error), error
    greenproc.finalize()
    node.stop()
    own = greenproc.start_in_thread()
    assert own is not node and own is greenproc.current_runtime()
    assert greenproc.dispatch(greenproc.spawn(Adder()), Adder.add, 2).get() == 3

for number in range(FORKS):
    pid = os.fork()
    if pid == 0:
        child()
        sys.exit(7)  # by atexit, which stops the child's own node
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7, number
over.append(True)
for thread in threads: thread.join()
print(greenproc.dispatch(adder, Adder.add, 5).get(), node.state.value)
"""


@pytest.mark.parametrize("forks", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_th_fork(forks: int) -> None:
    result = run(FORK.replace("FORKS", str(forks)))

    assert result.out == "6 running\n"
    assert result.err.count("this OS process has forked while a thread of it carries a node") == 1
    assert len(result.err.splitlines()) == 1


PATCHED = """
from gevent import monkey
monkey.patch_all()
import threading
import gevent
import greenproc

node = greenproc.start_in_thread()
assert greenproc.start_in_thread() is node
assert node.hub is gevent.get_hub()

class Counter(greenproc.Process):
    def one(self):
        return 1
    def finalize(self):
        print("finalized", flush=True)

counter = greenproc.spawn(Counter())
total = []
threads = [
    threading.Thread(target=lambda: total.append(greenproc.dispatch(counter, Counter.one).get()))
    for _ in range(5)
]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(total), node.call(int), node.wait(counter, 0.01))
"""


def test_th_patched() -> None:
    """The node runs by the hub of the main thread, and ends without LoopExit."""
    assert run(PATCHED) == Result(0, "5 0 False\nfinalized\n", "")


PATCHED_THREAD = """
from gevent import monkey
monkey.patch_all()
import gevent, greenproc
try:
    gevent.get_hub().threadpool.apply(greenproc.start_in_thread)
except greenproc.errors.StateError as error:
    print(error)
"""


def test_th_patched_refuses_a_native_thread() -> None:
    assert run(PATCHED_THREAD).out == "expected the main thread of this monkey-patched program\n"


def test_th_signals_callbacks(node: BackgroundRuntime) -> None:
    """What observes the node is called in its thread."""
    seen: dict[str, str] = {}
    done = threading.Semaphore(0)

    def note(what: str) -> None:
        seen[what] = threading.current_thread().name
        done.release()

    def observe() -> None:
        node.signals.process_spawned.connect(lambda *_, **values: note("signal"))
        pid = node.spawn(Adder())
        node.dispatch(pid, Adder.add, 1).on_ready(lambda _: note("on_ready"))
        node.dispatch(pid, Adder.add, 1).then(lambda _: note("then"))
        node.delay(0.0, pid, note, "timer")
        for _ in range(4):
            assert done.acquire(timeout=LIMIT)

    in_thread(observe)

    assert seen == dict.fromkeys(["signal", "on_ready", "then", "timer"], "greenproc")


BESIDE = str(Path(__file__).parents[1] / "subprocess" / "beside.py")

CHILDREN = """\
(b'hello\\n', 0)
(b'', 768)
True
{'own'} {0}
9
15 True
15
1280
FileNotFoundError
expected the main thread, where gevent starts and collects children, or that of a runtime from \
start_in_thread(), where a process is, and runtime.call(launch, ...)
0 {'watched': 0}
at the end (b'finalized\\n', 0)
None children:  records: 0
"""


def test_th_child_processes() -> None:
    """Programs are started and collected without the default loop, beside those of others."""
    with Program(sys.executable, "-X", "dev", BESIDE, env=QUIET) as program:
        assert program.finish() == Result(0, CHILDREN, "")


# ProcessRunner


def test_start_in_thread_returns_the_one_that_runs(
    default_node: BackgroundRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    assert greenproc.start_in_thread() is default_node
    assert greenproc.current_runtime() is default_node
    assert not caplog.records

    assert greenproc.start_in_thread(port=1) is default_node

    assert "start_in_thread() ignored its arguments" in caplog.text
    assert greenproc.initialize() is False


def test_first_use_by_several_threads_starts_one() -> None:
    nodes: list[BackgroundRuntime] = []
    try:
        in_threads(4, lambda _: nodes.append(greenproc.start_in_thread()))
        assert len(set(nodes)) == 1
        assert len(nodes) == 4
    finally:
        greenproc.finalize()
        default.refusal = None


def test_start_in_thread_takes_what_initialize_takes() -> None:
    settings = Settings(advertise_port=80)
    node = greenproc.start_in_thread(settings, ip="127.0.0.2", port=0, delegate="x")
    try:
        assert str(greenproc.address()) == "127.0.0.2:80"
        assert node.delegate == "x"
    finally:
        greenproc.finalize()
        default.refusal = None


def test_start_in_thread_refuses_beside_a_runtime_on_a_hub_of_the_program() -> None:
    greenproc.initialize()
    try:
        with pytest.raises(
            StateError, match="which runs by the hub of the thread that started it"
        ):
            greenproc.start_in_thread()
    finally:
        greenproc.finalize()


def test_error_of_the_start_is_raised_and_leaves_no_thread(runtime: Runtime) -> None:
    before = threading.active_count()

    with pytest.raises(BindError):
        greenproc.start_in_thread(ip=runtime.address.ip, port=runtime.address.port)

    assert default.runtime is None
    wait_for_threads(before)


def wait_for_threads(count: int) -> None:
    """Wait until there are *count* threads: the end of one is not waited for where it failed."""
    with gevent.Timeout(LIMIT):
        while threading.active_count() > count:
            gevent.sleep(0)


def test_after_the_end_nothing_is_started_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that this thread carries would serve nothing."""
    monkeypatch.setattr(default, "implicit_start", True)
    node = greenproc.start_in_thread()
    node.stop()
    for spawn in (node.spawn, greenproc.spawn):
        with pytest.raises(StateError, match=r"was stopped.*start_in_thread\(\) again"):
            spawn(Process())
    greenproc.finalize()
    try:
        with pytest.raises(NoRuntime, match=r"was stopped.*start_in_thread\(\) again"):
            greenproc.spawn(Process())

        assert greenproc.start_in_thread() is not node
        assert default.refusal is None
    finally:
        greenproc.finalize()
        default.refusal = None


def own_threads() -> set[threading.Thread]:
    """Return the threads that threading started, and not those that it has merely met."""
    return {one for one in threading.enumerate() if type(one) is threading.Thread}


def test_as_a_context_manager_it_is_current_and_stops_at_the_end() -> None:
    before = own_threads()
    with greenproc.start_in_thread() as node:
        assert node.runtime is node
        assert greenproc.current_runtime() is node
        assert repr(node).startswith("<BackgroundRuntime 127.0.0.1:")

    assert node.state is RuntimeState.STOPPED
    assert own_threads() == before
    greenproc.finalize()
    default.refusal = None


def test_several_run_side_by_side() -> None:
    with BackgroundRuntime() as first, BackgroundRuntime() as second:
        pid = second.spawn(Adder())
        assert first.address != second.address
        assert second.dispatch(pid, Adder.add, 1).get() == 2
        assert (
            first.statistics()["processes"]["processes"] + 1
            == (second.statistics()["processes"]["processes"])
        )


def test_stop_returns_what_it_killed_and_a_waiter_is_told(node: BackgroundRuntime) -> None:
    pid = node.spawn(Adder())
    node.dispatch(pid, gevent.event.Event().wait)
    waiting = threading.Event()
    told: list[BaseException] = []

    def wait() -> None:
        waiting.set()
        try:
            node.call(gevent.event.Event().wait)
        except StateError as error:
            told.append(error)

    def stop() -> tuple[object, ...]:
        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait(LIMIT)
        killed = node.stop(0.0)
        thread.join(LIMIT)
        return killed

    assert in_thread(stop) == (pid,)
    assert "the runtime was stopped" in str(told[0])


def test_its_own_process_cannot_stop_it_nor_wait_for_itself(node: BackgroundRuntime) -> None:
    pid = node.spawn(Adder())

    with pytest.raises(StateError, match="cannot wait for its runtime to stop"):
        node.dispatch(pid, Adder.stop_the_runtime).get()
    with pytest.raises(Deadlock):
        node.dispatch(pid, Adder.wait_for_itself).get()


def test_greenlet_of_its_own_can_stop_it(node: BackgroundRuntime) -> None:
    node.call_from_thread(node.stop)

    assert node._thread is not None
    assert get_hub().threadpool.apply(node._thread.join, (LIMIT,))
    assert node.state is RuntimeState.STOPPED


def test_stop_unregisters_what_the_exit_calls(
    node: BackgroundRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    unregistered: list[Any] = []
    monkeypatch.setattr(atexit, "unregister", unregistered.append)
    node.stop()

    assert unregistered == [node._stop_at_exit]
    monkeypatch.undo()
    atexit.unregister(node._stop_at_exit)


def test_process_inherits_the_context_of_the_caller(node: BackgroundRuntime) -> None:
    TEXT.set("from here")

    pid = node.spawn(Adder())

    assert node.dispatch(pid, TEXT.get).get() == "from here"
    assert node.call(TEXT.get) == "from here"


def test_interrupted_call_is_ended_in_the_thread(node: BackgroundRuntime) -> None:
    begun, ended = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        try:
            gevent.event.Event().wait()
        finally:
            ended.set()

    caller = gevent.spawn(node.call, wait)
    assert get_hub().threadpool.apply(begun.wait, (LIMIT,))
    caller.kill()

    assert get_hub().threadpool.apply(ended.wait, (LIMIT,))


def test_coroutine_awaits_its_futures_while_the_loop_turns(node: BackgroundRuntime) -> None:
    pid = node.spawn(Adder())

    async def ask() -> list[int]:
        return await asyncio.gather(*(wait_for(number) for number in range(20)))

    async def wait_for(number: int) -> int:
        return await node.dispatch(pid, Adder.add, number)

    assert in_thread(lambda: asyncio.run(ask())) == list(range(1, 21))


def test_blocked_hub_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """The watch of the hub works in this thread, too."""
    over = threading.Event()
    seen = threading.Event()

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "blocks the hub" in record.getMessage():
                seen.set()

    handler = Seen()
    logging.getLogger("greenproc.runtime").addHandler(handler)
    try:
        with BackgroundRuntime(Settings(blocked_after=0.02)) as node:
            future = node.run_async(over.wait, LIMIT)
            assert get_hub().threadpool.apply(seen.wait, (LIMIT,))
            over.set()
            assert future.get(timeout=LIMIT)
    finally:
        logging.getLogger("greenproc.runtime").removeHandler(handler)


def test_plain_runtime_is_as_before(make_runtime: RuntimeMaker) -> None:
    plain = make_runtime()

    with pytest.raises(StateError, match="another native thread"):
        in_thread(lambda: plain.spawn(Process()))


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_signal_handlers_of_the_program_run_while_it_waits(number: signal.Signals) -> None:
    program = f"""
import os, signal, threading, greenproc
node = greenproc.start_in_thread()
def handle(number, frame):
    print("handled", greenproc.run_async(sum, [1, 2]).get())
    raise SystemExit(3)
signal.signal({int(number)}, handle)
threading.Timer(0.05, lambda: os.kill(os.getpid(), {int(number)})).start()
greenproc.wait(greenproc.spawn(greenproc.Process()))
"""
    assert run(program, code=3) == Result(3, "handled 3\n", "")
