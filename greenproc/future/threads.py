"""Native threads for code that would block the hub: computing, and C code that waits.

A program makes `Threads` of its own, or uses those that belong to the hub.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial, wraps
from typing import Any, Final, ParamSpec, TypeVar, cast
from weakref import WeakSet, ref

from gevent import get_hub
from gevent._hub_local import get_hub_if_exists
from gevent.event import AsyncResult
from gevent.hub import Hub
from gevent.threadpool import ThreadPool

from greenproc.checks import check_callable, whole_number
from greenproc.errors import Closed, StateError
from greenproc.future.delivery import call_in
from greenproc.future.future import Future
from greenproc.future.promise import Promise
from greenproc.future.waiting import keep_hub_alive_until
from greenproc.hub.fork import call_after_fork
from greenproc.hub.lifetime import note_pool

T = TypeVar("T")
P = ParamSpec("P")

MAX_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""As many as concurrent.futures has: some for work that waits, few enough for the CPUs."""

MAX_QUEUED = 100_000
"""How many functions may wait for a thread. A longer queue is a fault of the program."""

IDLE_SECONDS = 10
"""Seconds that a thread without work stays. Starting one takes 0.1 ms."""

HUB_ATTRIBUTE: Final = "greenproc_threads"


def offload(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Call *function* in a native thread, and return the future of its result.

    ::

        digest = offload(hashlib.sha256, data).get()   # other greenlets run meanwhile

    The threads are those of the hub of this thread, `MAX_THREADS` at most; see `Threads` for the
    rest. A native thread without a hub calls *function* at once, since it has nothing to keep
    responsive; so *function* may itself call code that offloads.

    Raises:
        InvalidArgument: *function* is not callable.
        StateError: too many functions wait for a thread.
    """
    check_callable(function)
    # The main thread gets a hub: in a program on gevent it is the one to keep responsive.
    if get_hub_if_exists() is None and threading.get_ident() != threading.main_thread().ident:
        promise: Promise[T] = Promise()
        future = promise.future
        _complete(promise, *_outcome(partial(function, *args, **kwargs)))
        return future
    return current_threads().offload(function, *args, **kwargs)


def in_thread(function: Callable[P, T]) -> Callable[P, Future[T]]:
    """Decorate a function so that calls go through `offload`, and return futures.

    ::

        @in_thread
        def thumbnail(path: str) -> bytes: ...

        picture = thumbnail("a.png").get()

    Raises:
        InvalidArgument: *function* is not callable.
    """
    check_callable(function)

    @wraps(function)
    def offloaded(*args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return offload(function, *args, **kwargs)

    return offloaded


def current_threads() -> Threads:
    """Return the threads that belong to the hub of this thread."""
    # As an attribute of the hub, like its clock, they live just as long as it does.
    attributes = vars(get_hub())
    threads = attributes.get(HUB_ATTRIBUTE)
    if threads is None:
        threads = attributes[HUB_ATTRIBUTE] = Threads()
    return cast(Threads, threads)


class _Task:
    """A call that waits for a thread, until it is taken or dropped."""

    __slots__ = ("__weakref__", "call", "promise")

    call: Callable[[], Any] | None

    def __init__(self, promise: Promise[Any], call: Callable[[], Any]) -> None:
        self.promise = promise
        self.call = call

    def take(self) -> Callable[[], Any] | None:
        """Return the call the first time, then None."""
        call, self.call = self.call, None
        return call


class Threads:
    """A bounded number of native threads, with a queue of the functions that wait for one.

    They are not those of ``hub.threadpool``, which resolve host names, so work cannot delay name
    lookups. gevent's pool starts and ends the threads; the queue is here, because that pool blocks
    the caller when all threads are busy, and cannot drop a function.

    A function runs in a copy of the caller's context. What it raises fails the future; a future
    that it returns is followed. A discard request drops a function that waits for a thread; a
    running one cannot be stopped. The end of the program does not wait for it.

    A function must not wait for another one of the same threads, since all could do so.

    `offload` may be called in any thread. The hub that made this feeds the native threads and
    delivers their results.

    A fork copies no threads. In the child, the futures of running and waiting functions are
    abandoned, none of these functions runs twice, and new ones get threads of the child.

    Args:
        max_threads: how many at most; 1 is for code that must not run concurrently.
        max_queued: how many functions may wait for a thread.
    """

    def __init__(self, max_threads: int = MAX_THREADS, *, max_queued: int = MAX_QUEUED) -> None:
        self._max_threads = whole_number("max_threads", max_threads, least=1)
        self._max_queued = whole_number("max_queued", max_queued, least=1)
        self._hub = get_hub()
        note_pool(self._hub, self)
        self._tasks: deque[_Task] = deque()
        # Only the thread of the hub touches this and the pool.
        self._running: set[Promise[Any]] = set()
        self._pool: ThreadPool | None = None
        self._done = 0
        self._is_closed = False
        self._end: Promise[None] = Promise()
        _ALL.add(self)

    def offload(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call *function* in one of the threads, and return the future of its result.

        Raises:
            InvalidArgument: *function* is not callable.
            StateError: too many functions wait for a thread.
            Closed: the threads were closed.
        """
        check_callable(function)
        if self._is_closed:
            raise Closed("expected threads that are open, but they were closed")
        promise: Promise[T] = Promise()
        future = promise.future
        call = partial(copy_context().run, function, *args, **kwargs)
        is_here = get_hub_if_exists() is self._hub
        # Not past a queue: functions start in the order in which they were offloaded.
        if is_here and not self._tasks and len(self._running) < self._max_threads:
            self._start(promise, call)
            return future
        if len(self._tasks) >= self._max_queued:
            raise StateError(f"expected a queue with room, got {self!r}")
        task = _Task(promise, call)
        self._tasks.append(task)
        future.on_discard(partial(_drop, self._hub, ref(task)))
        del promise, task  # only the queue holds them: losing the task abandons the future
        if not is_here:
            keep_hub_alive_until(future)
            call_in(self._hub, self._start_queued)
        return future

    def in_thread(self, function: Callable[P, T]) -> Callable[P, Future[T]]:
        """Decorate a function so that calls go through `offload`, and return futures."""
        check_callable(function)

        @wraps(function)
        def offloaded(*args: P.args, **kwargs: P.kwargs) -> Future[T]:
            return self.offload(function, *args, **kwargs)

        return offloaded

    def close(self) -> None:
        """Refuse further functions, and wait until those that were offloaded have run.

        Must be called in the thread that made this.
        """
        self._is_closed = True
        self._note_end()
        self._end.future.get()
        if self._pool is not None:
            self._pool.kill()

    def statistics(self) -> dict[str, float]:
        """Count the functions that run, each in a thread, that wait for one, and that are done."""
        return {"running": len(self._running), "queued": len(self._tasks), "done": self._done}

    def __repr__(self) -> str:
        state = "closed, " if self._is_closed else ""
        threads = f"{len(self._running)} of {self._max_threads} busy"
        return f"<Threads {state}{threads}, {len(self._tasks)} queued>"

    @property
    def size(self) -> int:
        """How many native threads there are, busy or idle."""
        return 0 if self._pool is None else self._pool.size

    def _start(self, promise: Promise[Any], call: Callable[[], Any]) -> None:
        """Let the pool make *call*. The pool has room, so this does not block."""
        try:
            if self._pool is None:
                self._pool = ThreadPool(
                    self._max_threads, self._hub, idle_task_timeout=IDLE_SECONDS
                )
            result = self._pool.spawn(_outcome, call)
        except Exception as error:  # the system refuses another native thread
            promise.fail(error)
            return
        # Held here, as nothing else does while the thread works: its end would abandon.
        self._running.add(promise)
        result.rawlink(partial(self._finish, promise))

    def _start_queued(self) -> None:
        while self._tasks and len(self._running) < self._max_threads:
            task = self._tasks.popleft()
            call = task.take()
            if call is not None:
                self._start(task.promise, call)
        self._note_end()

    def _finish(self, promise: Promise[Any], result: AsyncResult[Any]) -> None:
        self._running.discard(promise)
        self._done += 1
        # Before the promise, whose callbacks may take long, so that no thread is idle meanwhile.
        self._start_queued()
        outcome = result.value
        if outcome is not None:
            _complete(promise, *outcome)
        else:
            promise(result)  # a hook of a profiler or debugger has raised in the thread

    def _note_end(self) -> None:
        if self._is_closed and not self._running and not self._tasks:
            self._end.set(None)

    def start_over(self) -> None:
        """Be as new, in a forked child. The hub abandons the futures of lost functions."""
        lost = [*self._running, *(task.promise for task in self._tasks)]
        self._running.clear()
        self._tasks.clear()
        self._pool = None
        if self._hub.loop is not None:
            # Not at once: most children only start another program, and never run this hub.
            self._hub.loop.run_callback(self._abandon, lost)

    def _abandon(self, lost: list[Promise[Any]]) -> None:
        for promise in lost:
            promise.abandon()
        self._note_end()


_ALL: WeakSet[Threads] = WeakSet()


def _start_all_over() -> None:
    for threads in list(_ALL):
        threads.start_over()


call_after_fork(_start_all_over)


def _drop(hub: Hub, reference: ref[_Task]) -> None:
    task = reference()
    if task is None:
        return
    if hub is not get_hub_if_exists():
        call_in(hub, _drop, hub, reference)
    elif task.take() is not None:  # else it runs already, and completes the promise itself
        task.promise.discard()


def _outcome(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return call(), None
    except BaseException as error:
        return None, error  # nothing else in this thread could handle it


def _complete(promise: Promise[Any], value: Any, error: BaseException | None) -> None:
    if error is None:
        promise.set(value)
    else:
        promise.fail(error)
