"""The sequence, beyond what libprocess tests of it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.threadpool import ThreadPool

from greenproc.errors import Abandoned, Closed, Discarded, Failure, InvalidArgument, StateError
from greenproc.future import Future, Promise
from greenproc.sync import Sequence
from tests.future.support import in_thread
from tests.sync.support import Interrupted, expect_error, interrupt

WORD: ContextVar[str] = ContextVar("word", default="none")


class Steps:
    """Functions for a sequence: each notes its name and returns a future that the test ends."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.promises: dict[str, Promise[str]] = {}

    def step(self, name: str) -> Callable[[], Future[str]]:
        """Return the function with *name*."""
        self.promises[name] = Promise()

        def call() -> Future[str]:
            self.called.append(name)
            return self.promises[name].future

        return call


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def sequence() -> Sequence:
    return Sequence()


def test_the_value_of_a_function_comes_as_a_future(sequence: Sequence) -> None:
    assert sequence.add(lambda: 1).get() == 1


def test_a_function_may_have_arguments(sequence: Sequence) -> None:
    assert sequence.add(divmod, 7, 2).get() == (3, 1)
    assert sequence.add(int, "11", base=2).get() == 3


def test_a_future_of_a_function_is_followed(sequence: Sequence, steps: Steps) -> None:
    future = sequence.add(steps.step("a"))
    gevent.idle()
    assert future.is_pending
    steps.promises["a"].set("value")
    assert future.get() == "value"


def test_no_function_is_called_before_add_returns(sequence: Sequence, steps: Steps) -> None:
    sequence.add(steps.step("a"))
    assert steps.called == []
    gevent.idle()
    assert steps.called == ["a"]
    steps.promises["a"].set("")
    gevent.idle()


@pytest.mark.parametrize("end", ["set", "fail", "discard", "abandon"])
def test_the_next_starts_however_the_one_before_ends(
    sequence: Sequence, steps: Steps, end: str
) -> None:
    first, second = sequence.add(steps.step("a")), sequence.add(lambda: "next")
    gevent.idle()
    assert second.is_pending

    promise = steps.promises["a"]
    getattr(promise, end)(*(["text"] if end in {"set", "fail"} else []))

    assert second.get() == "next"
    states = {
        "set": first.is_ready,
        "fail": first.is_failed,
        "discard": first.is_discarded,
        "abandon": first.is_abandoned,
    }
    assert states[end]


def test_a_function_that_raises_fails_its_future_only(sequence: Sequence) -> None:
    error = ValueError("boom")

    def fail() -> None:
        raise error

    first, second = sequence.add(fail), sequence.add(lambda: 2)
    assert second.get() == 2
    assert first.exception is error


def test_raising_discarded_discards_and_returning_a_failure_fails(sequence: Sequence) -> None:
    def discard() -> None:
        raise Discarded

    first, second = sequence.add(discard), sequence.add(lambda: Failure("no"))
    first.wait()
    second.wait()
    assert first.is_discarded
    assert second.failure() == "no"


def test_a_timeout_of_gevent_in_a_function_fails_its_future(sequence: Sequence) -> None:
    def wait() -> None:
        with gevent.Timeout(0):
            Event().wait()

    first, second = sequence.add(wait), sequence.add(lambda: 2)
    assert second.get() == 2
    assert isinstance(first.exception, gevent.Timeout)


def test_what_ends_its_greenlet_concerns_one_function(
    sequence: Sequence, reported: list[BaseException]
) -> None:
    first, second = sequence.add(interrupt), sequence.add(lambda: 2)

    assert second.get() == 2
    expect_error(Abandoned, first.get)
    assert [type(error) for error in reported] == [Interrupted]


def test_a_function_may_block(sequence: Sequence) -> None:
    gate = Event()
    first, second = sequence.add(gate.wait), sequence.add(lambda: 2)
    gevent.idle()
    assert second.is_pending
    gate.set()
    assert second.get() == 2
    assert first.get() is True


def test_a_function_may_add_another(sequence: Sequence) -> None:
    outer = sequence.add(lambda: [sequence.add(lambda: "inner")])
    assert outer.get()[0].get() == "inner"


def test_ten_thousand_functions_run_in_order(sequence: Sequence) -> None:
    seen: list[int] = []
    for number in range(10_000):
        last = sequence.add(seen.append, number)
    last.get()
    assert seen == list(range(10_000))


def test_a_discard_before_its_turn_shows_when_its_turn_comes(
    sequence: Sequence, steps: Steps
) -> None:
    sequence.add(steps.step("a"))
    second, third = sequence.add(steps.step("b")), sequence.add(lambda: 3)
    gevent.idle()

    second.discard()
    assert second.is_pending
    assert second.has_discard
    steps.promises["a"].set("")

    assert third.get() == 3
    assert second.is_discarded
    assert steps.called == ["a"]


def test_a_discard_before_the_sequence_has_begun_counts_too(
    sequence: Sequence, steps: Steps
) -> None:
    future = sequence.add(steps.step("a"))
    future.discard()
    gevent.idle()
    assert future.is_discarded
    assert steps.called == []


def test_a_discard_in_its_turn_goes_to_the_future_of_the_function(
    sequence: Sequence, steps: Steps
) -> None:
    first, second = sequence.add(steps.step("a")), sequence.add(lambda: 2)
    gevent.idle()

    first.discard()
    gevent.idle()
    assert steps.promises["a"].future.has_discard
    assert second.is_pending

    steps.promises["a"].discard()
    assert second.get() == 2
    assert first.is_discarded


def test_a_discard_while_the_function_blocks_goes_to_its_future(
    sequence: Sequence, steps: Steps
) -> None:
    gate = Event()
    step = steps.step("a")

    def block() -> Future[str]:
        gate.wait()
        return step()

    future = sequence.add(block)
    gevent.idle()
    future.discard()
    gate.set()
    gevent.idle()
    assert steps.promises["a"].future.has_discard
    steps.promises["a"].set("ready all the same")
    assert future.get() == "ready all the same"


def test_closing_discards_all_that_wait_when_the_running_one_ends(
    sequence: Sequence, steps: Steps
) -> None:
    running = sequence.add(steps.step("a"))
    waiting = [sequence.add(steps.step(name)) for name in "bc"]
    gevent.idle()

    sequence.close()
    assert [future.is_pending for future in waiting] == [True, True]
    assert steps.promises["a"].future.has_discard
    steps.promises["a"].set("value")
    gevent.idle()

    assert running.get() == "value"
    assert [future.is_discarded for future in waiting] == [True, True]
    assert steps.called == ["a"]


def test_requests_of_closing_do_not_show_on_the_futures(sequence: Sequence, steps: Steps) -> None:
    futures = [sequence.add(steps.step(name)) for name in "ab"]
    gevent.idle()
    sequence.close()
    assert [future.has_discard for future in futures] == [False, False]
    steps.promises["a"].discard()
    gevent.idle()


def test_closing_while_the_function_blocks_requests_a_discard_of_its_future(
    sequence: Sequence, steps: Steps
) -> None:
    gate = Event()
    step = steps.step("a")

    def block() -> Future[str]:
        gate.wait()
        return step()

    future = sequence.add(block)
    gevent.idle()
    sequence.close()
    gate.set()
    gevent.idle()

    assert steps.promises["a"].future.has_discard
    steps.promises["a"].discard()
    assert future.is_discarded
    gevent.idle()


def test_a_closed_sequence_takes_no_more(sequence: Sequence) -> None:
    sequence.close()
    sequence.close()
    expect_error(Closed, lambda: sequence.add(lambda: 1))


def test_with_closes_it(steps: Steps) -> None:
    with Sequence() as sequence:
        future = sequence.add(steps.step("a"))
    gevent.idle()
    assert future.is_discarded
    assert steps.called == []


def test_without_a_reference_all_functions_run(steps: Steps) -> None:
    sequence = Sequence()
    first, second = sequence.add(steps.step("a")), sequence.add(lambda: 2)
    del sequence
    gevent.idle()
    gc.collect()
    steps.promises["a"].set("1")
    assert second.get() == 2
    assert first.get() == "1"


def test_each_function_runs_in_the_context_in_which_it_was_added(sequence: Sequence) -> None:
    futures = []
    for word in ("one", "two"):
        token = WORD.set(word)
        futures.append(sequence.add(WORD.get))
        WORD.reset(token)
    assert [future.get() for future in futures] == ["one", "two"]
    assert WORD.get() == "none"


def test_capacity_bounds_how_many_wait(steps: Steps) -> None:
    sequence = Sequence(capacity=1)
    sequence.add(steps.step("a"))
    gevent.idle()
    second = sequence.add(lambda: 2)
    with pytest.raises(StateError, match="1 waiting"):
        sequence.add(lambda: 3)

    steps.promises["a"].set("")
    assert second.get() == 2
    assert sequence.add(lambda: 4).get() == 4


def test_a_capacity_of_zero_takes_one_at_a_time() -> None:
    sequence = Sequence(capacity=0)
    first = sequence.add(lambda: 1)
    expect_error(StateError, lambda: sequence.add(lambda: 2))
    assert first.get() == 1
    gevent.idle()
    assert sequence.add(lambda: 3).get() == 3


@pytest.mark.parametrize("capacity", [-1, 1.5, float("nan"), "5"])
def test_a_capacity_that_is_no_number_of_waiters_is_refused(capacity: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"expected capacity .*, got {capacity!r}"):
        Sequence(capacity=capacity)


def test_functions_added_in_another_thread_run_in_the_one_of_the_sequence(
    sequence: Sequence,
) -> None:
    futures: list[Future[Any]] = []
    in_thread(lambda: futures.append(sequence.add(gevent.get_hub)))
    assert futures[0].get() is gevent.get_hub()


def test_a_sequence_whose_thread_has_ended_refuses_functions() -> None:
    made: list[Sequence] = []

    def make() -> None:
        made.append(Sequence())
        gevent.get_hub().destroy(destroy_loop=True)

    in_thread(make)
    expect_error(StateError, lambda: made[0].add(lambda: 1))


def test_the_error_of_a_function_is_in_no_cycle_with_its_future(sequence: Sequence) -> None:
    def fail() -> None:
        raise ValueError("boom")

    future = sequence.add(fail)
    future.wait()
    gevent.idle()
    traceback = future.exc_info[2]
    while traceback is not None:
        assert "promise" not in traceback.tb_frame.f_locals
        assert not any(isinstance(v, Promise) for v in traceback.tb_frame.f_locals.values())
        assert traceback.tb_frame.f_code.co_name == "fail"
        traceback = traceback.tb_next


def test_repr_and_statistics_tell_the_state(steps: Steps) -> None:
    sequence = Sequence("writes")
    assert repr(sequence) == "<Sequence 'writes' idle, 0 waiting>"
    sequence.add(steps.step("a"))
    last = sequence.add(lambda: None)
    gevent.idle()
    assert repr(sequence) == "<Sequence 'writes' running, 1 waiting>"
    assert sequence.statistics() == {"waiting": 1, "running": 1, "ended": 0}

    steps.promises["a"].set("")
    last.get()
    gevent.idle()
    sequence.close()
    assert repr(sequence) == "<Sequence 'writes' closed, idle, 0 waiting>"
    assert sequence.statistics() == {"waiting": 0, "running": 0, "ended": 2}


def test_what_cannot_be_called_is_refused_at_once(sequence: Sequence) -> None:
    with pytest.raises(InvalidArgument, match="expected a function to call, got 5"):
        sequence.add(5)  # type: ignore[call-overload]
    assert sequence.statistics()["waiting"] == 0


def test_the_hub_of_another_thread_waits_for_its_functions(sequence: Sequence) -> None:
    """With nothing of its own to wait for, it would give up with LoopExit."""
    gate = Event()
    hub = gevent.get_hub()

    def wait() -> object:
        gevent.get_hub()
        future = sequence.add(lambda: gate.wait() and 42)
        hub.loop.run_callback_threadsafe(gate.set)
        return future.get()

    pool = ThreadPool(1)
    assert pool.apply(wait) == 42
    pool.kill()
