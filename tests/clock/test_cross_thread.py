"""The clock as other native threads see it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, TypeVar

import gevent
import pytest
from gevent import get_hub
from gevent.event import Event
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

from greenproc.clock import Clock, CrossThreadClock, HubSource, Timer, cross_thread, current_clock
from greenproc.current import RUNTIME
from greenproc.errors import InvalidArgument, StateError

T = TypeVar("T")


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock of this thread, paused, so that only `advance` fires something."""
    clock = Clock(HubSource())
    clock.start()
    clock.pause()
    yield clock
    clock.stop()


@pytest.fixture
def elsewhere(clock: Clock) -> Iterator[Callable[[Callable[[], T]], T]]:
    """Calls a function in another thread of the same runtime, while the hub here runs."""
    pool = ThreadPool(1)

    def call(function: Callable[[], T]) -> T:
        RUNTIME.set(SimpleNamespace(clock=clock))
        return function()

    yield lambda function: pool.apply(call, (function,))
    pool.kill()


def test_in_its_own_thread_it_is_the_clock_itself(clock: Clock) -> None:
    token = RUNTIME.set(SimpleNamespace(clock=clock))
    assert current_clock() is clock
    RUNTIME.reset(token)


def test_another_thread_can_tell_the_time(clock: Clock, elsewhere: Any) -> None:
    clock.advance(5.0)

    assert elsewhere(lambda: (current_clock().now(), current_clock().paused)) == (
        clock.now(),
        True,
    )


def test_a_timer_of_another_thread_is_called_in_the_thread_of_the_clock(
    clock: Clock, elsewhere: Any
) -> None:
    fired = Event()
    idents: list[int] = []

    def thunk() -> None:
        idents.append(threading.get_ident())
        fired.set()

    timer = elsewhere(lambda: current_clock().timer(5.0, thunk))
    clock.advance(4.9)
    gevent.idle()
    assert timer.is_pending
    clock.advance(0.1)
    fired.wait()

    assert idents == [threading.get_ident()]
    assert not timer.is_pending


def test_the_first_timer_of_all_does_not_make_the_clock_that_threads(
    clock: Clock, elsewhere: Any
) -> None:
    """It would end with that thread, and with it everything that waits for time."""
    elsewhere(lambda: current_clock().timer(0.0, lambda: None))
    fired = Event()
    clock.timer(1.0, fired.set)
    clock.advance(1.0)

    assert fired.wait()


def test_a_timer_is_cancelled_from_another_thread(clock: Clock, elsewhere: Any) -> None:
    fired: list[str] = []
    timer: Timer = elsewhere(lambda: current_clock().timer(5.0, lambda: fired.append("late")))

    assert elsewhere(timer.cancel)
    gevent.idle()
    clock.advance(5.0)
    gevent.idle()

    assert not timer.is_pending
    assert not elsewhere(timer.cancel)
    assert fired == []
    assert clock.statistics()["timers"] == 0


def test_a_stopped_clock_drops_the_timers_that_come_too_late(clock: Clock) -> None:
    timer = CrossThreadClock(clock).timer(5.0, lambda: None)
    clock.stop()
    gevent.idle()

    assert not timer.is_pending
    assert clock.statistics()["timers"] == 0


@pytest.mark.parametrize("end", ["fires", "is cancelled", "is lost"])
def test_the_hub_of_the_other_thread_waits_until_a_timer(
    clock: Clock, elsewhere: Any, end: str
) -> None:
    """With nothing to wait for it gives up, and whoever waits there gets LoopExit."""
    made: list[Timer] = []

    def wait() -> bool:
        get_hub()
        made.append(current_clock().timer(5.0, lambda: None))
        hub.loop.run_callback_threadsafe(is_made.set)
        get_hub().join()
        return made[0].is_pending

    hub = get_hub()
    is_made = Event()
    waiting = gevent.spawn(elsewhere, wait)
    is_made.wait()
    if end == "fires":
        clock.advance(5.0)
    elif end == "is cancelled":
        made[0].cancel()
    else:
        clock.stop()

    assert not waiting.get()


@pytest.mark.parametrize("seconds", ["5", None, float("nan")])
def test_a_time_that_is_no_number_is_refused_where_it_is_given(
    clock: Clock, elsewhere: Any, seconds: Any
) -> None:
    with pytest.raises(InvalidArgument, match="expected a number of seconds"):
        elsewhere(lambda: current_clock().timer(seconds, lambda: None))


def test_what_cannot_be_called_is_refused_where_it_is_given(clock: Clock) -> None:
    with pytest.raises(InvalidArgument, match="expected a function to call, got 5"):
        CrossThreadClock(clock).timer(5.0, 5)  # type: ignore[arg-type]


def test_what_belongs_to_the_thread_of_the_clock_says_so(clock: Clock) -> None:
    with pytest.raises(StateError, match=r"'sleep' of a clock .* in the thread of the clock"):
        CrossThreadClock(clock).sleep(1.0)
    with pytest.raises(AttributeError, match="has no 'spin'"):
        CrossThreadClock(clock).spin()
    assert repr(CrossThreadClock(clock)).startswith("<CrossThreadClock of <Clock paused")


def test_a_clock_belongs_to_the_thread_that_starts_it() -> None:
    clock = Clock(HubSource())
    pool = ThreadPool(1)
    assert not pool.apply(lambda: clock.source.is_elsewhere)

    clock.start()

    assert pool.apply(lambda: clock.source.is_elsewhere)
    assert not clock.source.is_elsewhere
    clock.stop()
    pool.kill()


def test_timers_of_another_thread_enter_the_queue_in_the_thread_of_the_clock() -> None:
    class Noting(HubSource):
        def soon(self, callback: Callable[[], object]) -> None:
            threads.append(threading.get_ident())
            super().soon(callback)

    threads: list[int] = []
    clock = Clock(Noting())
    clock.start()
    pool = ThreadPool(1)
    timer = pool.apply(lambda: CrossThreadClock(clock).timer(1000.0, lambda: None))
    gevent.idle()
    pool.apply(timer.cancel)
    gevent.idle()

    assert threads == [threading.get_ident()] * len(threads) != []
    assert clock.statistics()["timers"] == 0
    clock.stop()
    pool.kill()


def test_a_long_timer_is_not_called_before_its_time_where_the_clock_makes_no_turn(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub of the other thread looks at it now and then."""
    monkeypatch.setattr(cross_thread, "MAX_WAIT", 0.001)
    monkeypatch.setattr(cross_thread, "STALL_SECONDS", 0.0)
    called: list[str] = []
    looks: list[float] = []

    def wait() -> None:
        RUNTIME.set(SimpleNamespace(clock=clock))
        get_hub()
        timer = current_clock().timer(0.005, lambda: called.append("late"))
        while not called:
            looks.append(timer._thunk._left)  # type: ignore[union-attr]
            gevent.sleep(0)
        get_hub().destroy()

    thread = get_original("threading", "Thread")(target=wait)
    thread.start()
    thread.join()  # for real: the hub of the clock makes no turn
    gevent.idle()

    assert called == ["late"]
    assert any(0.0 < left < 0.0045 for left in looks)


@pytest.mark.parametrize("error", [ValueError("a"), gevent.Timeout(1.0, "a")], ids=type)
def test_what_a_timer_raises_where_the_clock_makes_no_turn_is_logged(
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
) -> None:
    monkeypatch.setattr(cross_thread, "STALL_SECONDS", 0.0)

    def fail() -> None:
        raise error

    def wait() -> None:
        RUNTIME.set(SimpleNamespace(clock=clock))
        get_hub()
        timers = [current_clock().timer(0.0, fail)]
        for _ in range(100_000):
            if caplog.records:
                break
            gevent.sleep(0)
        timers.clear()
        get_hub().destroy()

    thread = get_original("threading", "Thread")(target=wait)
    thread.start()
    thread.join(20.0)  # for real: the hub of the clock makes no turn
    gevent.idle()

    (record,) = caplog.records
    assert record.getMessage().startswith("the function of a timer failed")
    assert record.exc_info is not None
    assert record.exc_info[1] is error
