"""Futures made of several others, of time, or of one other: collect, select, after and more.

A greenlet that only waits can use `gevent.wait`, `iwait` and `joinall` with futures.

Source: libprocess include/process/collect.hpp and after.hpp; select and undiscardable of
include/process/future.hpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar, overload
from weakref import ref

from gevent._hub_local import get_hub_if_exists

from greenproc.clock.current import current_clock
from greenproc.clock.timers import Timer
from greenproc.errors import Failure, InvalidArgument, WaitTimeout
from greenproc.future.callbacks import (
    ANY,
    DISCARDED,
    END,
    FAILED,
    PENDING,
    READY,
    Completion,
    FutureSubscription,
)
from greenproc.future.delivery import call_in
from greenproc.future.future import Future
from greenproc.future.promise import Promise
from greenproc.future.state import (
    claim,
    complete,
    complete_claimed,
    register,
    register_discard,
    request_discard,
    request_weakly,
)
from greenproc.future.unread import mark_read
from greenproc.future.waiting import describe_timeout
from greenproc.hub.native import allocate_lock

P = ParamSpec("P")
T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")


@overload
def collect(
    futures: Iterable[Future[T]], /, *, timeout: float | None = None
) -> Future[list[T]]: ...
@overload
def collect(
    first: Future[T1], second: Future[T2], /, *, timeout: float | None = None
) -> Future[tuple[T1, T2]]: ...
@overload
def collect(
    first: Future[T1], second: Future[T2], third: Future[T3], /, *, timeout: float | None = None
) -> Future[tuple[T1, T2, T3]]: ...
@overload
def collect(
    first: Future[T1],
    second: Future[T2],
    third: Future[T3],
    fourth: Future[T4],
    /,
    *,
    timeout: float | None = None,
) -> Future[tuple[T1, T2, T3, T4]]: ...
@overload
def collect(*futures: Future[T], timeout: float | None = None) -> Future[tuple[T, ...]]: ...
def collect(*futures: Any, timeout: float | None = None) -> Future[Any]:
    """Return the future of the values of all *futures*, in their order.

    ``collect(list)`` gives a list, ``collect(one, two)`` a tuple. The first input that fails or is
    discarded fails the result, and an abandoned one abandons it; the other inputs go on. A discard
    of the result requests a discard of every input and discards the result at once.

    Args:
        timeout: seconds of the current clock for all inputs together; then the result fails with
            `WaitTimeout` and the inputs go on. None means no limit.

    Raises:
        InvalidArgument: something else than futures was given.

    Differs: libprocess completes nothing but an empty list before it returns; its form for several
    arguments fails for an input that is ready but carries a discard request.
    """
    inputs, shape = _inputs(futures)
    return _Collecting(shape).start(inputs, timeout)


@overload
def await_all(
    futures: Iterable[Future[T]], /, *, timeout: float | None = None
) -> Future[list[Future[T]]]: ...
@overload
def await_all(future: Future[T], /, *, timeout: float | None = None) -> Future[Future[T]]: ...
@overload
def await_all(
    first: Future[T1], second: Future[T2], /, *, timeout: float | None = None
) -> Future[tuple[Future[T1], Future[T2]]]: ...
@overload
def await_all(
    first: Future[T1], second: Future[T2], third: Future[T3], /, *, timeout: float | None = None
) -> Future[tuple[Future[T1], Future[T2], Future[T3]]]: ...
@overload
def await_all(
    *futures: Future[T], timeout: float | None = None
) -> Future[tuple[Future[T], ...]]: ...
def await_all(*futures: Any, timeout: float | None = None) -> Future[Any]:
    """Return the future of all *futures* themselves, once each has completed in whatever way.

    ``await_all(list)`` gives a list, ``await_all(one, two)`` a tuple, and ``await_all(one)`` that
    future: a way to break off when it ignores requests. A discard of the result requests a
    discard of every input and discards the result at once. An abandoned input abandons it.

    Args:
        timeout: seconds of the current clock for all inputs together; then the result fails with
            `WaitTimeout` and the inputs go on. None means no limit.

    Raises:
        InvalidArgument: something else than futures was given.

    Differs: libprocess completes nothing but an empty list before it returns.
    """
    inputs, shape = _inputs(futures)
    # As libprocess' await of one future, whose result is that future and not a tuple of one.
    if len(futures) == 1 and shape is tuple:
        shape = _only
    return _Awaiting(shape).start(inputs, timeout)


def select(futures: Iterable[Future[T]], *, timeout: float | None = None) -> Future[Future[T]]:
    """Return the future of the first of *futures* that is ready.

    Failed and discarded inputs do not count; when no input is left that could become ready, the
    result is abandoned. A discard of the result discards it at once, and the inputs go on.

    Args:
        timeout: seconds of the current clock; then the result fails with `WaitTimeout`.

    Raises:
        InvalidArgument: *futures* is something else than futures.
    """
    return _Selecting(list).start(_checked(futures), timeout)


def discard(futures: Iterable[Future[Any]]) -> None:
    """Request a discard of each of *futures*.

    Raises:
        InvalidArgument: *futures* is something else than futures.

    Source: libprocess include/process/future.hpp, the free function discard.
    """
    for future in _checked(futures):  # a copy, since a callback may change the collection
        request_discard(future)


def after(seconds: float) -> Future[None]:
    """Return a future that is ready, with None, after *seconds* of the current clock.

    A discard request before that cancels the timer and discards the future. The future completes
    even if only its callbacks refer to it. A native thread without a hub has the clock of the
    runtime, whose thread then runs the callbacks: while that thread is blocked, only a limit of
    the wait itself ends it, as in ``get(timeout=...)``.

    Args:
        seconds: zero or less completes soon, never before this returns.

    Raises:
        InvalidArgument: *seconds* is no number.
        StateError: the clock was stopped.
        NoRuntime: the thread runs an asyncio loop, and there is no runtime whose clock counts.

    Source: libprocess include/process/after.hpp.
    """
    # Before the promise: this may make the hub of this thread, which must cancel the timer.
    clock = current_clock()
    promise: Promise[None] = Promise()
    future = promise.future
    timer = clock.timer(seconds, partial(promise.set, None))
    # Only the timer holds the promise. A clock that stops drops its timers, which abandons.
    future.on_discard(partial(_cancel, timer, ref(promise)))
    return future


@overload
def undiscardable(target: Future[T]) -> Future[T]: ...
@overload
def undiscardable(target: Callable[P, Future[T]]) -> Callable[P, Future[T]]: ...
def undiscardable(target: Any) -> Any:
    """Return a future that completes as *target* does and passes no discard request on.

    Abandonment is passed on only when *target* itself is garbage.

    Args:
        target: a future, or a function that returns one, which becomes a function whose futures
            are so.

    Raises:
        InvalidArgument: *target* is neither.

    Source: libprocess include/process/future.hpp, undiscardable.
    """
    if isinstance(target, Future):
        promise: Promise[Any] = Promise()
        register(target, ANY, promise)  # holds the promise, which so lives as long as *target*
        return promise.future
    if not callable(target):
        raise InvalidArgument(f"expected a future, or a function that returns one, got {target!r}")

    @wraps(target)
    def shielded(*args: Any, **kwargs: Any) -> Future[Any]:
        future = target(*args, **kwargs)
        if not isinstance(future, Future):
            raise InvalidArgument(f"expected {target!r} to return a future, got {future!r}")
        return undiscardable(future)

    return shielded


def _inputs(futures: tuple[Any, ...]) -> tuple[list[Future[Any]], Callable[[Any], Any]]:
    if len(futures) == 1 and not isinstance(futures[0], Future):
        return _checked(futures[0]), list
    # A timeout given by position, as `gevent.wait` takes it, would look like a bad future.
    if futures and isinstance(futures[-1], (int, float)):
        last = futures[-1]
        raise InvalidArgument(f"expected futures, got {last!r}: is it meant as timeout={last!r}?")
    return _checked(futures), tuple


def _checked(futures: Iterable[Any]) -> list[Future[Any]]:
    if not isinstance(futures, Iterable):
        raise InvalidArgument(f"expected a list of futures, got {futures!r}{_advise(futures)}")
    inputs = list(futures)
    for source in inputs:
        if not isinstance(source, Future):
            # By identity: the offender may have an `__eq__` that raises.
            position = next(at for at, one in enumerate(inputs, start=1) if one is source)
            place = f" as number {position} of {len(inputs)}" if len(inputs) > 1 else ""
            raise InvalidArgument(f"expected a future, got {source!r}{place}{_advise(source)}")
    return inputs


def _advise(value: object) -> str:
    """Return what to do about *value*, which is not a future or not a list of futures."""
    if isinstance(value, Future):
        return ": put it into a list, even if it is alone"
    if callable(value):
        return ": call it, if it returns one"
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return ": pass either one list of futures, or each future as an argument of its own"
    return f": if that is the value, Future({value!r:.80}) is ready with it"


def _only(values: Sequence[Any]) -> Any:
    return values[0]


class _Gathering(FutureSubscription):
    """Waits for inputs. Their callbacks hold it, and it holds the promise of the result.

    The result refers to it and to the inputs weakly, so nothing here keeps itself alive.
    """

    __slots__ = ("__weakref__", "lock", "promise", "remaining", "results", "shape")

    results: list[Any] | None
    """The results in the order of the inputs; None once they no longer matter."""

    def __init__(self, shape: Callable[[Any], Any]) -> None:
        super().__init__()
        self.promise: Promise[Any] = Promise()
        self.lock = allocate_lock()
        self.remaining = 0
        self.results = None
        self.shape = shape

    def start(self, inputs: list[Future[Any]], timeout: float | None) -> Future[Any]:
        result = self.promise.future
        # Before the first input is looked at: one that is ready counts itself off.
        self.remaining = len(inputs)
        self.results = [None] * len(inputs)
        if not inputs:
            self.finish()
        self.heed_requests(inputs)
        for index, source in enumerate(inputs):
            # The outcome is decided, but an error of a later input must not be logged as unread.
            if not result._is_open:
                if source._state is FAILED:
                    self.look_at(source)
            # As `ready`, without its call for each input.
            elif source._state is PENDING and not source._is_abandoned:
                register(source, END, _Gathering.arrive, self, index)
            else:
                self.arrive(index, source)
        if timeout is not None and result._is_open:
            timer = current_clock().timer(timeout, partial(_expire, ref(self), timeout))
            # The result can complete in any thread, but a timer is cancelled in its own.
            hub = get_hub_if_exists()
            register(result, END, lambda _: call_in(hub, timer.cancel))
        return result

    def heed_requests(self, inputs: list[Future[Any]]) -> None:
        references = [ref(source) for source in inputs]
        register_discard(self.promise.future, _discard, ref(self), references)

    def arrive(self, index: int, source: Future[Any]) -> None:
        if source._state is FAILED:
            self.look_at(source)
        if self.promise.future._is_open:
            self.take(index, source)

    def look_at(self, source: Future[Any]) -> None:
        """Mark the error of *source* as read; only the first error of all decides the result."""
        mark_read(source._outcome)

    def take(self, index: int, source: Future[Any]) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        self.end(READY, self.shape(self.results))

    def put(self, index: int, value: object) -> None:
        with self.lock:  # inputs can complete in several threads
            if self.results is None:
                return
            self.results[index] = value
            self.remaining -= 1
            is_last = self.remaining == 0
        if is_last:
            self.finish()

    def end(self, state: Completion, outcome: Any) -> None:
        complete(self.promise.future, state, outcome)
        self.leave()

    def abandon(self, reason: str | None) -> None:
        self.promise.abandon(reason)
        self.leave()

    def leave(self) -> None:
        # Inputs that never complete keep this; it should not keep the values of the others.
        self.is_over = True
        self.results = None


class _Collecting(_Gathering):
    __slots__ = ()

    def take(self, index: int, source: Future[Any]) -> None:
        if source._state is READY:
            self.put(index, source._outcome)
        elif source._state is FAILED:
            self.fail(source.failure(), source.exception)
        elif source._state is DISCARDED:
            self.fail("future discarded", source.exception)
        else:
            self.abandon(source._outcome)

    def fail(self, text: str, cause: BaseException | None) -> None:
        # The text is that of libprocess; the error of the input is the cause.
        error = Failure(f"Collect failed: {text}")
        error.__cause__ = cause
        self.end(FAILED, (error, None))


class _Awaiting(_Gathering):
    __slots__ = ()

    def look_at(self, source: Future[Any]) -> None:
        pass  # the result contains the future itself, whose error is still to be read

    def take(self, index: int, source: Future[Any]) -> None:
        if source._state is PENDING:
            self.abandon(source._outcome)
        else:
            self.put(index, source)


class _Selecting(_Gathering):
    __slots__ = ()

    def heed_requests(self, inputs: list[Future[Any]]) -> None:
        # Without inputs: those of `select` go on, as other code may wait for them.
        register_discard(self.promise.future, _discard, ref(self), ())

    def take(self, index: int, source: Future[Any]) -> None:
        if source._state is READY:
            self.end(READY, source)
        else:
            self.put(index, None)  # counts it off, so that the last one abandons the result

    def finish(self) -> None:
        self.abandon("none of the futures that select() was given became ready")


def _discard(reference: ref[_Gathering], inputs: Iterable[ref[Future[Any]]]) -> None:
    gathering = reference()
    # Claimed first: an input that is discarded at once would fail the result.
    if gathering is not None and claim(gathering.promise.future):
        try:
            for source in inputs:
                request_weakly(source)
        finally:
            complete_claimed(gathering.promise.future, DISCARDED, None)
            gathering.leave()


def _expire(reference: ref[_Gathering], timeout: float) -> None:
    gathering = reference()
    if gathering is not None:
        error = WaitTimeout(f"the futures were not there {describe_timeout(timeout)}")
        gathering.end(FAILED, (error, None))


def _cancel(timer: Timer, reference: ref[Promise[None]]) -> None:
    # A timer that was not cancelled in time is about to complete the promise.
    promise = reference()
    if promise is not None and timer.cancel():
        promise.discard()
