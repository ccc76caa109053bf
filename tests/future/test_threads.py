"""Native threads that keep the hub free."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import gevent
import pytest
from gevent import get_hub
from gevent._hub_local import get_hub_if_exists

from greenproc.errors import Closed, InvalidArgument, StateError
from greenproc.future import (
    Discarded,
    Future,
    Promise,
    Threads,
    await_all,
    collect,
    in_thread,
    offload,
)
from greenproc.future.threads import current_threads
from tests.future import support
from tests.shell import Program, Result

WORD: ContextVar[str] = ContextVar("word", default="none")
LIMIT = 10.0


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads(2)
    yield threads
    threads.close()


class Gate:
    """What native threads wait at, until it is opened."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.passed: list[int] = []

    def open(self) -> None:
        self._event.set()

    def wait(self, number: int = 0) -> int:
        assert self._event.wait(LIMIT)
        self.passed.append(number)
        return number


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def raise_it(error: BaseException) -> None:
    raise error


def test_a_function_runs_in_another_thread_while_greenlets_run_here(gate: Gate) -> None:
    """With the hub held up, nobody could open the gate."""
    gevent.spawn(gate.open)

    assert offload(gate.wait, 42).get() == 42


def test_arguments_are_passed_on() -> None:
    assert offload(sorted, [1, 3, 2], reverse=True).get() == [3, 2, 1]


def test_a_decorated_function_returns_futures() -> None:
    @in_thread
    def add(first: int, *, second: int) -> int:
        """Add."""
        return first + second

    assert add(1, second=2).get() == 3
    assert (add.__name__, add.__doc__) == ("add", "Add.")


def test_a_method_can_be_decorated(threads: Threads) -> None:
    class Adder:
        number = 40

        @threads.in_thread
        def add(self, other: int) -> int:
            return self.number + other

    assert Adder().add(2).get() == 42


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3)], ids=repr)
def test_what_a_function_raises_fails_and_nobody_prints_it(error: BaseException) -> None:
    future = offload(raise_it, error)
    future.await_()

    assert future.exception is error


def test_a_function_that_raises_discarded_is_discarded() -> None:
    future = offload(raise_it, Discarded())
    future.await_()

    assert future.is_discarded


def test_a_future_that_a_function_returns_is_followed() -> None:
    promise: Promise[int] = Promise()
    future = offload(lambda: promise.future)
    gevent.spawn(promise.set, 42)

    assert future.get() == 42


def test_a_function_sees_the_context_of_the_caller_and_cannot_change_it() -> None:
    token = WORD.set("mine")

    assert offload(WORD.get).get() == "mine"
    offload(WORD.set, "its own").get()
    assert WORD.get() == "mine"
    WORD.reset(token)


def test_no_more_threads_run_than_allowed(threads: Threads, gate: Gate) -> None:
    futures = [threads.offload(gate.wait, number) for number in range(5)]

    assert threads.statistics() == {"running": 2, "queued": 3, "done": 0}
    assert repr(threads) == "<Threads 2 of 2 busy, 3 queued>"
    gate.open()
    assert collect(futures).get() == [0, 1, 2, 3, 4]
    assert threads.statistics() == {"running": 0, "queued": 0, "done": 5}


def test_one_thread_runs_functions_in_order() -> None:
    threads = Threads(1)
    order: list[int] = []

    await_all([threads.offload(order.append, number) for number in range(100)]).get()

    assert order == list(range(100))
    threads.close()


def test_a_function_that_waits_can_be_dropped(threads: Threads, gate: Gate) -> None:
    running = [threads.offload(gate.wait, number) for number in range(2)]
    dropped, kept = threads.offload(gate.wait, 2), threads.offload(gate.wait, 3)

    dropped.discard()
    running[0].discard()

    assert dropped.is_discarded
    gate.open()
    assert kept.get() == 3
    assert running[0].get() == 0
    assert sorted(gate.passed) == [0, 1, 3]


def test_a_function_that_waits_can_be_dropped_from_another_thread(
    threads: Threads, gate: Gate
) -> None:
    for number in range(2):
        threads.offload(gate.wait, number)
    dropped = threads.offload(gate.wait, 2)

    support.in_thread(dropped.discard)
    gevent.idle()

    assert dropped.is_discarded


def test_a_full_queue_refuses() -> None:
    threads = Threads(1, max_queued=1)
    gate = Gate()
    for _ in range(2):
        threads.offload(gate.wait)

    with pytest.raises(StateError, match="expected a queue with room"):
        threads.offload(gate.wait)
    gate.open()
    threads.close()


@pytest.mark.parametrize("name", ["max_threads", "max_queued"])
@pytest.mark.parametrize("number", [0, 1.5, float("nan"), "5", True])
def test_numbers_below_one_are_refused(name: str, number: Any) -> None:
    with pytest.raises(InvalidArgument, match="to be a whole number from 1, got"):
        Threads(**{name: number})


def test_another_thread_offloads_and_waits(threads: Threads) -> None:
    results: list[Any] = []

    def use() -> None:
        results.append(threads.offload(threading.get_ident).get())
        results.append(threading.get_ident())

    thread = threading.Thread(target=use)
    thread.start()
    threads.offload(thread.join).get()

    assert len(results) == 2
    assert results[0] != results[1]


def test_a_thread_with_a_hub_of_its_own_stays_awake_for_the_result(threads: Threads) -> None:
    results: list[Any] = []
    gate = Gate()

    def use() -> None:
        get_hub()
        future = threads.offload(gate.wait, 42)
        results.append(future.get())
        get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=use)
    thread.start()
    gevent.spawn(gate.open)
    threads.offload(thread.join).get()

    assert results == [42]


def test_in_a_thread_without_a_hub_a_function_is_called_at_once() -> None:
    def outer() -> tuple[bool, Any, Any]:
        future = offload(threading.get_ident)
        return future.is_ready, future.get(), get_hub_if_exists()

    assert offload(lambda: outer() == (True, threading.get_ident(), None)).get()


def test_in_a_thread_without_a_hub_what_it_raises_fails_too() -> None:
    assert offload(lambda: offload(raise_it, ValueError("boom")).failure()).get() == "boom"


def test_the_threads_of_a_hub_are_always_the_same() -> None:
    assert current_threads() is current_threads()


def test_closing_waits_for_what_was_offloaded_and_refuses_more() -> None:
    threads = Threads(1)
    gate = Gate()
    futures = [threads.offload(gate.wait, number) for number in range(3)]
    gevent.spawn(gate.open)

    threads.close()

    assert all(future.is_ready for future in futures)
    assert repr(threads) == "<Threads closed, 0 of 1 busy, 0 queued>"
    with pytest.raises(Closed):
        threads.offload(int)


def test_threads_that_were_never_used_are_closed_at_once() -> None:
    Threads(1).close()


def test_when_no_thread_can_be_started_the_future_fails(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("can't start new thread")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("gevent.threadpool.start_new_thread", fail)
    future: Future[int] = threads.offload(int)

    assert future.exception is error
    assert threads.statistics()["running"] == 0


def test_callbacks_run_in_a_greenlet_of_this_thread(threads: Threads) -> None:
    where: list[Any] = []
    future = threads.offload(int).on_any(
        lambda _: where.append((threading.current_thread(), gevent.getcurrent() is get_hub()))
    )
    future.get()
    gevent.idle()

    assert where == [(threading.main_thread(), False)]


def test_a_function_from_a_thread_without_a_hub_is_dropped_in_that_of_the_threads(
    threads: Threads, gate: Gate
) -> None:
    for number in range(2):
        threads.offload(gate.wait, number)
    dropped: list[Future[int]] = []
    support.in_thread(lambda: dropped.append(threads.offload(gate.wait, 2)))

    support.in_thread(dropped[0].discard)
    assert dropped[0].is_pending
    gevent.idle()

    assert dropped[0].is_discarded


def test_what_cannot_be_called_is_refused_at_once(threads: Threads) -> None:
    for take in (offload, in_thread, threads.offload, threads.in_thread):
        with pytest.raises(InvalidArgument, match="expected a function to call, got 5"):
            take(5)  # type: ignore[arg-type]


FORK = """
import os, signal, sys, threading
import gevent, gevent.os
from greenproc.errors import Abandoned
from greenproc.future import Threads, offload

gate = threading.Event()
threads = Threads(2)
parent = os.getpid()
order = []

def work(number):
    gate.wait()
    return number, os.getpid() == parent

futures = [threads.offload(work, number) for number in range(4)]
future = offload(work, 4)
child = getattr({module}, "fork")()
gate.set()
if not child:
    signal.alarm(20)
    assert threads.statistics() == {{"running": 0, "queued": 0, "done": 0}}
    assert threads.offload(work, 5).get() == (5, False)
    assert offload(work, 6).get() == (6, False)
    for lost in [*futures, future]:
        try:
            lost.get()
        except Abandoned:
            continue
        sys.exit("not abandoned")
    threads.close()
    os._exit(7)
assert [future.get() for future in [*futures, future]] == [(n, True) for n in range(5)]
status = gevent.os.waitpid(child, 0)[1]
print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize("module", ["os", "gevent.os"])
def test_a_forked_child_has_threads_of_its_own_and_nothing_of_the_parents(module: str) -> None:
    """What ran or waited in the parent is run there only; in the child its futures are abandoned."""
    # From Python 3.12 on, a fork beside threads is warned of.
    options = ("-W", "ignore::DeprecationWarning")
    with Program(sys.executable, *options, "-c", FORK.format(module=module)) as program:
        assert program.finish() == Result(0, "7\n", "")
