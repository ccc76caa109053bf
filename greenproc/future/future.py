"""Futures: the read side of a value that may still be on its way."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, overload

from gevent import get_hub

from greenproc.checks import Elsewhere, check_callable
from greenproc.errors import Abandoned, Discarded, Failure, StateError, WaitTimeout
from greenproc.future import chain
from greenproc.future.adapters_out import to_asyncio
from greenproc.future.callbacks import (
    ABANDONMENT,
    ANY,
    DISCARDED,
    END,
    FAILED,
    PENDING,
    READY,
    CallbackKind,
)
from greenproc.future.state import (
    PROMISED,
    FutureState,
    T_co,
    abandonment_error,
    fail,
    register,
    register_discard,
    request_discard,
)
from greenproc.future.unread import mark_read
from greenproc.future.waiting import add_link, remove_link, wait, wait_for

U = TypeVar("U")


class Future(FutureState[T_co]):
    """A value that may still be on its way: pending, then once ready, failed or discarded.

    ``Future(value)`` is ready; a `Failure` as the value makes it failed, and a future as the
    value is followed. ``Future()`` is abandoned: pending, without a promise that could complete
    it. A `Promise` has a pending one. Futures are compared and hashed by identity.

    `discard` requests that the producer stops; only the producer makes a future discarded. When
    the promise is gone the future is abandoned, and waiting for it raises `Abandoned` at once.

    Each callback runs once, in the greenlet that completes the future, or for a completed future
    in the greenlet that registers it. A hub runs none, and when another native thread completes
    the future, they run in the thread of the hub that made it. Callbacks for the reached state run
    first, in the order of registration, then those for any, among them `then`, `recover`, `repair`
    and `after`. The hub reports the exceptions of callbacks.

    `get` and `wait` are the ways to wait. The other names are for other code: a future has the
    protocol of gevent's AsyncResult, so `gevent.wait`, `iwait` and `joinall` take it, most of that
    of concurrent.futures, and coroutines of asyncio can await it. Mind that ``ready()`` is
    gevent's and means "over", while `is_ready` is libprocess' and means "has a value".

    Raises:
        InvalidArgument: a callback is not callable.

    Source: libprocess include/process/future.hpp, class Future<T>.
    Differs: failures are exceptions, not texts; waiting ends on abandonment; callbacks do not run
    in foreign threads, since a greenlet cannot leave its own.
    """

    __slots__ = ()

    @classmethod
    def failed(cls, error: BaseException | str) -> Self:
        """Return a failed future; a text becomes a `Failure`.

        Raises:
            InvalidArgument: *error* is neither an exception nor a text.
        """
        future = cls(PROMISED)
        fail(future, error)
        return future

    if not TYPE_CHECKING:  # a type checker would take them for attributes
        # Names of a Response, looked for on the future that an HTTP client returns.
        status, body, headers, json, reader = map(
            Elsewhere,
            ("get().status", "get().body", "get().headers", "get().json", "get().reader"),
        )

        def __dir__(self) -> list[str]:
            # Asked of the class, because reading a property of a failed future marks it as read.
            return [name for name in super().__dir__() if hasattr(type(self), name)]

    # State

    @property
    def is_pending(self) -> bool:
        """Whether it has not completed. An abandoned future is pending."""
        return self._state is PENDING

    @property
    def is_ready(self) -> bool:
        """Whether it has a value."""
        return self._state is READY

    @property
    def is_failed(self) -> bool:
        """Whether it has failed."""
        if self._state is not FAILED:
            return False
        mark_read(self._outcome)
        return True

    @property
    def is_discarded(self) -> bool:
        """Whether the producer discarded it."""
        return self._state is DISCARDED

    @property
    def is_abandoned(self) -> bool:
        """Whether nothing can complete it any more."""
        return self._is_abandoned

    @property
    def has_discard(self) -> bool:
        """Whether a discard was requested, whatever its effect."""
        return self._has_discard

    @property
    def value(self) -> T_co | None:
        """The value; None unless ready."""
        if self._state is READY:
            return self._outcome  # type: ignore[no-any-return]
        if self._state is FAILED:
            mark_read(self._outcome)
        return None

    @property
    def exception(self) -> BaseException | None:
        """The exception that `get` would raise; None while pending, and when ready."""
        return self.exc_info[1] if self.exc_info else None

    @property
    def exc_info(
        self,
    ) -> tuple[type[BaseException], BaseException, TracebackType | None] | tuple[()]:
        """What `get` would raise, in the form of ``sys.exc_info()``; empty if that is nothing."""
        if self._state is FAILED:
            mark_read(self._outcome)
            error, traceback = self._outcome[:2]
            return (type(error), error, traceback)
        if self._state is DISCARDED:
            return (Discarded, Discarded(), None)
        if self._is_abandoned:
            return (Abandoned, abandonment_error(self), None)
        return ()

    def failure(self) -> str:
        """Return the text of the failure.

        Raises:
            StateError: it has not failed.
        """
        if self._state is not FAILED:
            raise StateError(f"expected a failed future, but it is {self}")
        mark_read(self._outcome)
        return _text(self._outcome[0])

    def ready(self) -> bool:
        """Return whether it is over: complete or abandoned. gevent's word; see `is_ready`."""
        return self._state is not PENDING or self._is_abandoned

    def successful(self) -> bool:
        """Return whether it has a value."""
        return self._state is READY

    def __reduce__(self) -> NoReturn:
        raise TypeError("a future cannot be copied, nor sent elsewhere: its promise is here")

    def __str__(self) -> str:
        state = "Abandoned" if self._is_abandoned and self._state is PENDING else self._state.value
        request = " (with discard)" if self._has_discard else ""
        failure = f": {_text(self._outcome[0])}" if self._state is FAILED else ""
        if self._is_abandoned and self._outcome is not None:
            failure = f": {self._outcome}"
        return f"{state}{request}{failure}"

    def __repr__(self) -> str:
        return f"<Future {self}>"

    # Waiting

    def get(self, block: bool | float | None = True, timeout: float | None = None) -> T_co:
        """Wait for the value and return it, or raise what the future ended with.

        Args:
            block: False raises `WaitTimeout` at once while pending. A number is the *timeout*.
            timeout: real seconds to wait; None means for ever.

        Raises:
            WaitTimeout: the future was pending all the time.
            Discarded: the producer discarded it.
            Abandoned: nothing can complete it any more.
            BlockingSwitchOutError: the caller is the hub, which must not wait.
        """
        # First the case of nearly every call, with one comparison.
        if self._state is READY:
            return self._outcome  # type: ignore[no-any-return]
        if self._state is PENDING and not self._is_abandoned:
            # ``get(5.0)`` is what most code means by a lone number; gevent's get has *block*
            # first.
            if block is not True:
                timeout = block
            if block is False:
                raise WaitTimeout("the future is pending, and get was called with block=False")
            if timeout is None:
                wait(self, None)
            else:
                wait_for(self, timeout)
        if self._state is not READY:
            try:
                self._raise_exception()
            finally:
                del self  # the traceback holds this frame: a cycle, if the frame held the error
        return self._outcome  # type: ignore[no-any-return]

    def get_nowait(self) -> T_co:
        """Return the value or raise what `get` would, without waiting."""
        try:
            return self.get(block=False)
        finally:
            del self  # as in `get`: no cycle through the frames of the traceback

    def result(self, timeout: float | None = None) -> T_co:
        """Do as `get`, by the name of concurrent.futures."""
        try:
            return self.get(timeout=timeout)
        finally:
            del self

    def wait(self, timeout: float | None = None) -> T_co | None:
        """Wait until it is over and return the value, or None if it has none. Raises nothing.

        Args:
            timeout: real seconds to wait; None means for ever.
        """
        self.await_(timeout)
        return self.value

    def await_(self, timeout: float | None = None) -> bool:
        """Wait until it is over; return whether it has completed, and was not abandoned.

        Args:
            timeout: real seconds to wait; None means for ever.
        """
        if self._state is PENDING and not self._is_abandoned:
            wait(self, timeout)
        return self._state is not PENDING

    def __await__(self) -> Generator[Any, None, T_co]:
        """Wait in a coroutine of asyncio: ``value = await future``. See `to_asyncio`."""
        # Without a turn of the asyncio loop, and without importing it.
        if self._state is READY:
            return self._outcome  # type: ignore[no-any-return]
        return (yield from to_asyncio(self))

    def rawlink(self, callback: Callable[[Any], object]) -> None:
        """Call *callback* with this future soon after its end, in the hub of this thread.

        The callback must not wait. Adding it twice counts once.
        """
        add_link(self, callback, get_hub())

    def unlink(self, callback: Callable[[Any], object]) -> None:
        """Remove a `rawlink`, even one whose call is scheduled; an unknown callback is ignored."""
        remove_link(self, callback)

    def linkcount(self) -> int:
        """Count the links, and the greenlets and threads that wait in `get`."""
        return len(self._links or ()) + (self._waiter is not None)

    # Discarding

    def discard(self) -> bool:
        """Request a discard; return whether it is the first request of a pending future.

        The future itself stays as it is. The producer may act on the request.
        """
        return request_discard(self)

    def cancel(self) -> bool:
        """Request a discard; return whether the future is discarded by now."""
        # True only if `get` raises: concurrent.futures promises that, and a request does not.
        request_discard(self)
        return self._state is DISCARDED

    def cancelled(self) -> bool:
        """Return whether it was discarded, by the name of concurrent.futures."""
        return self._state is DISCARDED

    done = ready

    # Callbacks

    def on_ready(self, callback: Callable[[T_co], object]) -> Self:
        """Call *callback* with the value if the future becomes ready."""
        _observe(self, READY, callback)
        return self

    def on_failed(self, callback: Callable[[BaseException], object]) -> Self:
        """Call *callback* with the exception if the future fails."""
        _observe(self, FAILED, callback)
        return self

    def on_discarded(self, callback: Callable[[], object]) -> Self:
        """Call *callback* if the future is discarded."""
        _observe(self, DISCARDED, callback)
        return self

    def on_any(self, callback: Callable[[Self], object]) -> Self:
        """Call *callback* with this future when it has completed, in whatever way."""
        _observe(self, ANY, callback)
        return self

    def on_discard(self, callback: Callable[[], object]) -> Self:
        """Call *callback* on a discard request: at once if there was one, even when complete."""
        register_discard(self, callback)
        return self

    def on_abandoned(self, callback: Callable[[], object]) -> Self:
        """Call *callback* if the future is abandoned."""
        _observe(self, ABANDONMENT, callback)
        return self

    def add_done_callback(self, callback: Callable[[Self], object]) -> None:
        """Call *callback* with this future when it is over: as `on_any`, and on abandonment."""
        check_callable(callback)
        register(self, END, _show, callback)

    # Continuations

    @overload
    def then(self, function: Callable[[T_co], Future[U] | Failure]) -> Future[U]: ...
    @overload
    def then(self, function: Callable[[T_co], U | Failure]) -> Future[U]: ...
    def then(self, function: Callable[[T_co], Any]) -> Future[Any]:
        """Return the future of ``function(value)``.

        A future as the result of *function* is followed; an exception or a `Failure` fails.
        Without a value here, the returned future ends as this one does. After a discard request
        *function* is not called, and the returned future is discarded.

        Raises:
            InvalidArgument: *function* is not callable.
        """
        return chain.extend(self, Future(PROMISED), chain.then, function)

    @overload
    def recover(
        self, function: Callable[[Future[T_co]], Future[U] | Failure]
    ) -> Future[T_co | U]: ...
    @overload
    def recover(self, function: Callable[[Future[T_co]], U | Failure]) -> Future[T_co | U]: ...
    def recover(self, function: Callable[[Future[T_co]], Any]) -> Future[Any]:
        """Return the future of this value, or of ``function(self)`` if this ends without a value.

        That is when it has failed, or was discarded or abandoned. A discard request before that
        counts no more; a later one goes to the future that *function* returned.

        Raises:
            InvalidArgument: *function* is not callable.
        """
        return chain.extend(self, Future(PROMISED), chain.recover, function)

    @overload
    def repair(
        self, function: Callable[[Future[T_co]], Future[U] | Failure]
    ) -> Future[T_co | U]: ...
    @overload
    def repair(self, function: Callable[[Future[T_co]], U | Failure]) -> Future[T_co | U]: ...
    def repair(self, function: Callable[[Future[T_co]], Any]) -> Future[Any]:
        """Return a future that ends as this one, or if this fails as ``function(self)``.

        Raises:
            InvalidArgument: *function* is not callable.
        """
        return chain.extend(self, Future(PROMISED), chain.repair, function)

    @overload
    def after(
        self, seconds: float, function: Callable[[Future[T_co]], Future[U] | Failure]
    ) -> Future[T_co | U]: ...
    @overload
    def after(
        self, seconds: float, function: Callable[[Future[T_co]], U | Failure]
    ) -> Future[T_co | U]: ...
    def after(self, seconds: float, function: Callable[[Future[T_co]], Any]) -> Future[Any]:
        """Return a future that ends as this one, or as ``function(self)`` if this takes too long.

        Only *function* can discard this future then. Abandonment is not passed on: the time
        passes, and *function* is called.

        Args:
            seconds: the time limit, by the current clock, which a test can pause.

        Raises:
            InvalidArgument: *seconds* is no number, or *function* is not callable.
        """
        downstream: Future[Any] = Future(PROMISED)
        chain.after(self, downstream, seconds, function)
        return downstream

    def _raise_exception(self) -> NoReturn:
        """Raise what the future ended with. gevent's joinall calls this."""
        if self._state is FAILED:
            mark_read(self._outcome)
            error, traceback = self._outcome[:2]
            del self  # as concurrent.futures does: no cycle of error, traceback and frame
            try:
                # With the traceback of the failure: each raise would add frames for good.
                raise error.with_traceback(traceback)
            finally:
                del error, traceback
        raise self.exception or StateError(f"expected a future without a value, but it is {self}")


def _observe(
    future: FutureState[Any], kind: CallbackKind, callback: Callable[..., object]
) -> None:
    # Here, where the mistake is, and not in `register`, which continuations call as well.
    check_callable(callback)
    register(future, kind, callback)


def _show(callback: Callable[[Any], object], future: FutureState[Any]) -> None:
    if future._state is FAILED:
        mark_read(future._outcome)
    callback(future)


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
