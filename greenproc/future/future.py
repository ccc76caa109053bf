"""The read side: a value that may still be on its way."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, overload

from gevent import get_hub

from greenproc.checks import Elsewhere, check_callable
from greenproc.errors import Abandoned, Discarded, Failure, StateError, WaitTimeout
from greenproc.future import chain
from greenproc.future.adapters_out import to_asyncio
from greenproc.future.state import (
    ABANDONMENT,
    ANY,
    DISCARDED,
    END,
    FAILED,
    PENDING,
    PROMISED,
    READY,
    CallbackKind,
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
    value is followed. ``Future()`` is pending and abandoned: nobody can complete it. Others come
    from a `Promise`. Futures are compared and hashed by identity.

    `discard` asks the producer to stop and no more; only the producer makes a future discarded.
    Abandoned means that the promise is gone: waiting ends at once, with `Abandoned`.

    Callbacks run once each, in the greenlet that completes the future, or in the one that
    registers them when it is complete already. They never run in the hub, and when another native
    thread completes the future they run in that of the hub where it was made. Those for the state
    reached run first, in the order of registration, then those for any, among them `then`,
    `recover`, `repair` and `after`. What they raise is reported to the hub. What cannot be called
    is refused with `InvalidArgument`.

    It has the protocol of gevent's AsyncResult, so `gevent.wait`, `iwait` and `joinall` take it,
    and most of that of concurrent.futures; coroutines of asyncio can await it. Mind the words:
    ``ready()`` is gevent's and means "over"; `is_ready` is libprocess' and means "has a value".

    Source: libprocess include/process/future.hpp, class Future<T>.
    Differs: failures are exceptions, not texts; waiting ends on abandonment; callbacks do not run
    in foreign threads, since greenlets cannot leave their own.
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

    if not TYPE_CHECKING:  # which would take them for attributes
        # What responses have, as `get` and the others of `greenproc.web` return futures of one.
        status, body, headers, json, reader = map(
            Elsewhere,
            ("get().status", "get().body", "get().headers", "get().json", "get().reader"),
        )

        def __dir__(self) -> list[str]:
            # Asked of the class: properties of a failed future take note of being read.
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
        """Whether nobody can complete it any more."""
        return self._is_abandoned

    @property
    def has_discard(self) -> bool:
        """Whether a discard was requested, whatever came of it."""
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
        """What `get` would raise; None while pending, and when ready."""
        return self.exc_info[1] if self.exc_info else None

    @property
    def exc_info(
        self,
    ) -> tuple[type[BaseException], BaseException, TracebackType | None] | tuple[()]:
        """What `get` would raise as ``sys.exc_info()`` shows it; empty if there is nothing."""
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
        """Tell whether it is over: complete or abandoned. gevent's word; see `is_ready`."""
        return self._state is not PENDING or self._is_abandoned

    def successful(self) -> bool:
        """Tell whether it has a value."""
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
        """Wait for the value and return it, or raise what it ended with.

        Args:
            block: False raises at once when there is nothing yet. A number is the *timeout*.
            timeout: real seconds to wait; None means for ever.

        Raises:
            WaitTimeout: the time is over.
            Discarded: it was discarded.
            Abandoned: nobody can complete it any more.
            BlockingSwitchOutError: the caller is the hub, which must not wait.
        """
        if self._state is READY:
            return self._outcome  # type: ignore[no-any-return]
        if self._state is PENDING and not self._is_abandoned:
            if block is not True:
                timeout = block
            if block is False:
                raise WaitTimeout("the future is pending, and get was told not to wait")
            if timeout is None:
                wait(self, None)
            else:
                wait_for(self, timeout)
        if self._state is not READY:
            try:
                self._raise_exception()
            finally:
                del self  # the traceback holds this frame, which must not hold the error
        return self._outcome  # type: ignore[no-any-return]

    def get_nowait(self) -> T_co:
        """Return the value, or raise what it ended with or `WaitTimeout`, without waiting."""
        try:
            return self.get(block=False)
        finally:
            del self

    def result(self, timeout: float | None = None) -> T_co:
        """Do as `get`, in the words of concurrent.futures."""
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
        """Wait until it has completed; tell whether it has. Abandonment ends the waiting too.

        Args:
            timeout: real seconds to wait; None means for ever.
        """
        if self._state is PENDING and not self._is_abandoned:
            wait(self, timeout)
        return self._state is not PENDING

    def __await__(self) -> Generator[Any, None, T_co]:
        """Wait in a coroutine of asyncio: ``value = await future``. See `to_asyncio`."""
        if self._state is READY:
            return self._outcome  # type: ignore[no-any-return]
        return (yield from to_asyncio(self))

    def rawlink(self, callback: Callable[[Any], object]) -> None:
        """Call *callback* with this future once it is over, later, in the hub of this thread.

        Adding it twice counts once. It must not wait.
        """
        add_link(self, callback, get_hub())

    def unlink(self, callback: Callable[[Any], object]) -> None:
        """Take back a `rawlink`, also one that is about to be called; an unknown one is ignored."""
        remove_link(self, callback)

    def linkcount(self) -> int:
        """Count who waits for the end: links, and greenlets and threads in `get`."""
        return len(self._links or ()) + (self._waiter is not None)

    # Discarding

    def discard(self) -> bool:
        """Ask the producer to stop; tell whether this is the first request, and of a pending one.

        Nothing else happens to the future itself. Whoever completes it may heed the request.
        """
        return request_discard(self)

    def cancel(self) -> bool:
        """Request a discard; tell whether it is discarded by now, so `get` will raise that."""
        request_discard(self)
        return self._state is DISCARDED

    def cancelled(self) -> bool:
        """Tell whether it was discarded, in the words of concurrent.futures."""
        return self._state is DISCARDED

    done = ready

    # Callbacks

    def on_ready(self, callback: Callable[[T_co], object]) -> Self:
        """Call *callback* with the value, once there is one."""
        _observe(self, READY, callback)
        return self

    def on_failed(self, callback: Callable[[BaseException], object]) -> Self:
        """Call *callback* with the exception, once it has failed."""
        _observe(self, FAILED, callback)
        return self

    def on_discarded(self, callback: Callable[[], object]) -> Self:
        """Call *callback* once it is discarded."""
        _observe(self, DISCARDED, callback)
        return self

    def on_any(self, callback: Callable[[Self], object]) -> Self:
        """Call *callback* with this future once it has completed, however that is."""
        _observe(self, ANY, callback)
        return self

    def on_discard(self, callback: Callable[[], object]) -> Self:
        """Call *callback* once a discard is requested; at once if it was, even when complete."""
        register_discard(self, callback)
        return self

    def on_abandoned(self, callback: Callable[[], object]) -> Self:
        """Call *callback* once it is abandoned."""
        _observe(self, ABANDONMENT, callback)
        return self

    def add_done_callback(self, callback: Callable[[Self], object]) -> None:
        """Call *callback* with this future once it is over: `on_any` and abandonment."""
        check_callable(callback)
        register(self, END, _show, callback)

    # Continuations

    @overload
    def then(self, function: Callable[[T_co], Future[U] | Failure]) -> Future[U]: ...
    @overload
    def then(self, function: Callable[[T_co], U | Failure]) -> Future[U]: ...
    def then(self, function: Callable[[T_co], Any]) -> Future[Any]:
        """Return the future of ``function(value)``.

        If *function* returns a future, that is followed; an exception or `Failure` fails. Without
        a value here, the result ends as this does. If a discard was requested here, *function* is
        not called and the result is discarded.
        """
        return chain.extend(self, Future(PROMISED), chain.then, function)

    @overload
    def recover(
        self, function: Callable[[Future[T_co]], Future[U] | Failure]
    ) -> Future[T_co | U]: ...
    @overload
    def recover(self, function: Callable[[Future[T_co]], U | Failure]) -> Future[T_co | U]: ...
    def recover(self, function: Callable[[Future[T_co]], Any]) -> Future[Any]:
        """Return the future of this value, or of ``function(self)`` if it ends without one.

        Failed, discarded and abandoned are all recovered from. A discard that was requested is
        forgotten then; a new request reaches the future that *function* returned.
        """
        return chain.extend(self, Future(PROMISED), chain.recover, function)

    @overload
    def repair(
        self, function: Callable[[Future[T_co]], Future[U] | Failure]
    ) -> Future[T_co | U]: ...
    @overload
    def repair(self, function: Callable[[Future[T_co]], U | Failure]) -> Future[T_co | U]: ...
    def repair(self, function: Callable[[Future[T_co]], Any]) -> Future[Any]:
        """Return a future that ends as this, but if it fails as ``function(self)``."""
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
        """Return a future that ends as this, or as ``function(self)`` if that takes too long.

        To also stop this future is up to *function*. Abandonment is not passed on: the time goes
        by and *function* is called.

        Args:
            seconds: how long to wait, by the current clock, which a test can pause.
        """
        downstream: Future[Any] = Future(PROMISED)
        chain.after(self, downstream, seconds, function)
        return downstream

    def _raise_exception(self) -> NoReturn:
        """Raise what it ended with. gevent's joinall calls this."""
        if self._state is FAILED:
            mark_read(self._outcome)
            error, traceback = self._outcome[:2]
            del self  # as in concurrent.futures: no cycle of error, traceback and frame
            try:
                # With the traceback as it was, or it would grow with each waiter.
                raise error.with_traceback(traceback)
            finally:
                del error, traceback
        raise self.exception or StateError(f"expected a future without a value, but it is {self}")


def _observe(
    future: FutureState[Any], kind: CallbackKind, callback: Callable[..., object]
) -> None:
    check_callable(callback)
    register(future, kind, callback)


def _show(callback: Callable[[Any], object], future: FutureState[Any]) -> None:
    if future._state is FAILED:
        mark_read(future._outcome)
    callback(future)


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
