"""The write side of a future."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from gevent import GreenletExit

from greenproc.checks import Elsewhere
from greenproc.errors import Failure, InvalidArgument
from greenproc.future.future import Future
from greenproc.future.gevent_links import wake_waiter
from greenproc.future.state import (
    DISCARDED,
    NO_PLAIN_VALUE,
    PROMISED,
    READY,
    FutureState,
    abandon,
    abandon_unreferenced,
    announce,
    claim,
    complete,
    copy_outcome,
    fail,
    follow,
    resolve,
)

T = TypeVar("T")


class Promise(Generic[T]):
    """The right to complete one future, once.

    The first call that has an effect wins and returns True; all others return False. When the
    promise is garbage and its future still pending, the future is abandoned; where that must not
    depend on the garbage collector, call `abandon`.

    All of it may be used from any native thread. Callbacks of the future run in the thread whose
    hub made the promise.

    Source: libprocess include/process/future.hpp, class Promise<T>.
    """

    __slots__ = ("__weakref__", "future")

    future: Future[T]
    """What others see of it."""

    def __init__(self) -> None:
        self.future = Future(PROMISED)

    if not TYPE_CHECKING:  # which would take them for attributes
        get, then, result = map(Elsewhere, ("future.get", "future.then", "future.result"))

    def set(self, value: T | Future[T] | Failure) -> bool:
        """Complete the future with *value*.

        A future as the value is followed as by `associate`, and a `Failure` fails.
        """
        if isinstance(value, NO_PLAIN_VALUE):
            return self._resolve(value)
        # What `complete` does, but for the price of calling it: every dispatch comes here.
        future = self.future
        lock = future._lock
        lock.acquire()
        try:
            if not future._is_open:
                return False
            future._is_open = False
            future._outcome = value
            future._state = READY
        finally:
            lock.release()
        future._discard_callbacks = None
        if future._waiter is not None:
            wake_waiter(future)
        if future._links is not None or future._callbacks is not None:
            announce(future)
        return True

    def fail(self, error: BaseException | str, *, unread: str | None = None) -> bool:
        """Fail the future; a text becomes a `Failure`, and `Discarded` discards instead.

        Args:
            unread: what failed. With it an error that is never read is logged, when the last
                future that ended with it is dropped. Dispatches do this.

        Raises:
            InvalidArgument: *error* is neither an exception nor a text.
        """
        return fail(self.future, error, unread=unread)

    def discard(self) -> bool:
        """Complete the future as discarded. This is no request, but what grants one."""
        return complete(self.future, DISCARDED, None)

    def associate(self, source: Future[T]) -> bool:
        """Let the future end as *source* does; nothing else can complete it from then on.

        Discard requests are passed on to *source*, which is held weakly for that.

        Raises:
            InvalidArgument: *source* is no future.
        """
        if not isinstance(source, FutureState):
            raise InvalidArgument(f"expected a future to follow, got {source!r}")
        if source is self.future or not claim(self.future):
            return False
        follow(self.future, source)
        return True

    def abandon(self, reason: str | None = None) -> bool:
        """Say that the future will never complete.

        Args:
            reason: why, the text of the `Abandoned` that it raises.

        Differs: in libprocess only the end of a promise abandons.
        """
        return abandon(self.future, reason)

    set_result = set  # noqa: A003 -- our own set, in the words of concurrent.futures
    set_exception = fail

    def __call__(self, source: Any) -> None:
        """Take the outcome of a finished greenlet, AsyncResult or future: be the target of a link.

        A greenlet that was killed discards.
        """
        if isinstance(source, FutureState):
            copy_outcome(self.future, source)
        elif not source.successful():
            self.fail(source.exception)
        elif isinstance(source.value, GreenletExit):
            self.discard()
        else:
            self.set(source.value)

    def _resolve(self, value: Any) -> bool:
        if value is self.future or not claim(self.future):
            return False
        resolve(self.future, value)
        return True

    def __del__(self) -> None:
        if self.future._is_open:
            abandon_unreferenced(self.future)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a promise cannot be copied: there is one right to complete its future")

    def __repr__(self) -> str:
        return f"<Promise of {self.future!r}>"
