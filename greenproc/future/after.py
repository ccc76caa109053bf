"""A future that is ready after a while."""

from __future__ import annotations

from functools import partial
from weakref import ref

from greenproc.clock.current import current_clock
from greenproc.clock.timers import Timer
from greenproc.future.future import Future
from greenproc.future.promise import Promise


def after(seconds: float) -> Future[None]:
    """Return a future that is ready, with None, after *seconds* of the current clock.

    A discard request before that discards it and cancels the timer. It completes even if nobody
    but its callbacks is left. In a native thread without a hub the clock is that of the runtime,
    in whose thread callbacks run then: while that is blocked, only a limit of the wait itself, as in
    ``get(timeout=...)``, ends it.

    Raises:
        InvalidArgument: *seconds* is no number.
        StateError: the clock was stopped.
        NoRuntime: there is none, and this is a thread that runs an asyncio loop.

    Source: libprocess include/process/after.hpp.
    """
    # First, as it may make the hub of this thread: the timer is to be cancelled nowhere else.
    clock = current_clock()
    promise: Promise[None] = Promise()
    future = promise.future
    timer = clock.timer(seconds, partial(promise.set, None))
    # Only the timer holds the promise: a clock that stops lets go of it, and so abandons.
    future.on_discard(partial(_cancel, timer, ref(promise)))
    return future


def _cancel(timer: Timer, reference: ref[Promise[None]]) -> None:
    promise = reference()
    if promise is not None and timer.cancel():
        promise.discard()
