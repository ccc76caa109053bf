"""Promises: the write side of a future."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from gevent import GreenletExit

from greenproc.checks import Elsewhere
from greenproc.errors import Failure, InvalidArgument
from greenproc.future.callbacks import DISCARDED, READY
from greenproc.future.future import Future
from greenproc.future.gevent_links import wake_waiter
from greenproc.future.state import (
    NO_PLAIN_VALUE,
    PROMISED,
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

    The first call that has an effect returns True, every later one False. A promise that is
    garbage abandons its pending future; call `abandon` where that must not depend on the garbage
    collector.

    All methods may be used from any native thread. The callbacks of the future run in the thread
    whose hub made the promise.

    Source: libprocess include/process/future.hpp, class Promise<T>.
    """

    __slots__ = ("__weakref__", "future")

    future: Future[T]
    """The read side, to be given away."""

    def __init__(self) -> None:
        self.future = Future(PROMISED)

    if not TYPE_CHECKING:  # which would take them for attributes
        get, then, result = map(Elsewhere, ("future.get", "future.then", "future.result"))

    def set(self, value: T | Future[T] | Failure) -> bool:
        """Complete the future with *value*; return whether that had an effect.

        A future as the value is followed as by `associate`, and a `Failure` fails.
        """
        if isinstance(value, NO_PLAIN_VALUE):
            return self._resolve(value)
        # As `complete`, without its call: every dispatch comes here.
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
        # Looked at without the lock: what comes after it finds the future complete by itself.
        if future._waiter is not None:
            wake_waiter(future)
        if future._links is not None or future._callbacks is not None:
            announce(future)
        return True

    def fail(self, error: BaseException | str, *, unread: str | None = None) -> bool:
        """Fail the future; return whether that had an effect.

        A text becomes a `Failure`; a `Discarded` discards the future.

        Args:
            unread: what failed, such as a dispatch. An error that is never read is then logged
                when the last future that ended with it is dropped. None logs nothing.

        Raises:
            InvalidArgument: *error* is neither an exception nor a text.
        """
        return fail(self.future, error, unread=unread)

    def discard(self) -> bool:
        """Grant a discard: complete the future as discarded; return whether that had an effect."""
        return complete(self.future, DISCARDED, None)

    def associate(self, source: Future[T]) -> bool:
        """Let the future end as *source* does; return whether that had an effect.

        The promise cannot complete it any more. Discard requests are passed on to *source*, which
        is held weakly for that. If *source* itself waits for this future, as in a circle of two
        promises, the future fails with `Deadlock`; a circle of more than 100 is not found.

        Raises:
            InvalidArgument: *source* is not a future.
        """
        if not isinstance(source, FutureState):
            raise InvalidArgument(f"expected a future to follow, got {source!r}")
        # A future that followed itself would never end.
        if source is self.future or not claim(self.future):
            return False
        follow(self.future, source)
        return True

    def abandon(self, reason: str | None = None) -> bool:
        """Declare that the future will never complete; return whether that had an effect.

        Args:
            reason: the text of the `Abandoned` that the future raises.

        Differs: in libprocess only the end of a promise abandons.
        """
        return abandon(self.future, reason)

    set_result = set  # noqa: A003 -- the method above, by the name of concurrent.futures
    set_exception = fail

    def __call__(self, source: Any) -> None:
        """Take the outcome of a finished greenlet, AsyncResult or future, as the target of a link.

        A greenlet that was killed discards the future.
        """
        if isinstance(source, FutureState):
            copy_outcome(self.future, source)
        elif not source.successful():
            self.fail(source.exception)
        elif isinstance(source.value, GreenletExit):  # gevent's value of a killed greenlet
            self.discard()
        else:
            self.set(source.value)

    def _resolve(self, value: Any) -> bool:
        if value is self.future or not claim(self.future):
            return False
        resolve(self.future, value)
        return True

    # Cheap for the many promises that were kept: a finalizer is called for each of them.
    def __del__(self) -> None:
        if self.future._is_open:
            abandon_unreferenced(self.future)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a promise cannot be copied: there is one right to complete its future")

    def __repr__(self) -> str:
        return f"<Promise of {self.future!r}>"
