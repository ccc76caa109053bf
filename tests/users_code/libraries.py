"""Rows: what runs in asyncio, in executors and in other greenlets, and what gunicorn calls."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable
from threading import Thread
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from greenproc.errors import Failure
from greenproc.future import (
    Future,
    Promise,
    from_asyncio,
    from_concurrent,
    from_greenlet,
    to_asyncio,
)
from greenproc.runtime import Runtime
from tests.users_code.support import (
    HUB,
    LIMIT,
    Check,
    Misbehaviour,
    Row,
    Trigger,
    assert_follows,
)


class Loop:
    """A loop of asyncio in a native thread of its own, until the runtime has stopped."""

    def __init__(self, runtime: Runtime) -> None:
        self.asyncio = asyncio.new_event_loop()
        self.asyncio.set_exception_handler(lambda loop, context: None)
        self._thread = Thread(target=self.asyncio.run_forever)
        self._thread.start()
        runtime.signals.runtime_stopped.connect(self.end)

    def end(self, *_: object, **__: object) -> None:
        asyncio.run_coroutine_threadsafe(self._cancel(), self.asyncio)
        gevent.get_hub().threadpool.apply(self._thread.join)
        self.asyncio.close()

    async def _cancel(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self.asyncio.stop()


async def misbehave(call: Misbehaviour) -> None:
    """Do what the code does, in a coroutine: that waits by what it awaits."""
    if call.waits:
        call.reached.set()
        await asyncio.get_running_loop().create_future()
    call()


def assert_failed(future: Future[Any], call: Misbehaviour) -> None:
    """Assert that *future* failed by whatever was raised: there is no greenlet to be killed."""
    if call.waits:
        assert future.is_pending
        return
    assert future.await_(LIMIT)
    assert future.exception is call.raised[0]


def awaited(make: Callable[[Misbehaviour], Awaitable[None]]) -> Trigger:
    """Return what lets a loop run what *make* makes; another coroutine is run all the same."""

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        loop = Loop(runtime).asyncio
        future = from_asyncio(make(call), loop)

        def check() -> None:
            assert_failed(future, call)
            assert from_asyncio(asyncio.sleep(0, "slept"), loop).get(timeout=LIMIT) == "slept"

        return check

    return run


class Odd:
    """Can be awaited, by code of its own."""

    def __init__(self, call: Misbehaviour) -> None:
        self._call = call

    def __await__(self) -> Any:
        return misbehave(self._call).__await__()


async def after_ours(call: Misbehaviour) -> None:
    """Misbehave where a future of ours has been awaited."""
    promise: Promise[str] = Promise()
    promise.set("ours")
    assert await to_asyncio(promise.future) == "ours"
    await misbehave(call)


def callback_of_asyncio(runtime: Runtime, call: Misbehaviour) -> Check:
    """The loop calls it, and its handler hears of it; what is ours ends."""
    loop = Loop(runtime).asyncio
    promise: Promise[str] = Promise()

    async def follow() -> str:
        ours = to_asyncio(promise.future)
        ours.add_done_callback(call)
        return await ours

    future = from_asyncio(follow(), loop)
    loop.call_soon_threadsafe(promise.set, "ours")
    return lambda: future.get(timeout=LIMIT) == "ours"


def discarded_by_asyncio(runtime: Runtime, call: Misbehaviour) -> Check:
    """A task that is cancelled requests a discard; the code is told in the thread of the loop."""
    loop = Loop(runtime).asyncio
    promise: Promise[str] = Promise()
    promise.future.on_discard(call)
    second: Promise[None] = Promise()
    promise.future.on_discard(lambda: second.set(None))

    async def follow() -> None:
        to_asyncio(promise.future).cancel()

    future = from_asyncio(follow(), loop)

    def check() -> None:
        assert future.await_(LIMIT)
        assert second.future.get(timeout=LIMIT) is None

    return check


def in_an_executor(runtime: Runtime, call: Misbehaviour) -> Check:
    executor = concurrent.futures.ThreadPoolExecutor(1)
    runtime.signals.runtime_stopped.connect(lambda *_, **__: executor.shutdown(wait=False))
    future = from_concurrent(executor.submit(call))

    def check() -> None:
        assert_failed(future, call)
        assert from_concurrent(executor.submit(int)).get(timeout=LIMIT) == 0

    return check


def in_a_greenlet(runtime: Runtime, call: Misbehaviour) -> Check:
    """A greenlet that is killed discards."""
    greenlet = runtime.spawn_greenlet(call)
    future = from_greenlet(greenlet)

    def check() -> None:
        if call.is_killed:
            assert future.await_(LIMIT)
            assert future.is_discarded
        else:
            assert_follows(future, call)

    return check


# gunicorn


def hook(place: str) -> Trigger:
    """Return what lets a worker boot whose hook is the code: the boot fails, whatever it raises.

    gunicorn stops for every exception but a timeout, so that one comes as a `Failure`.
    """

    def run(runtime: Runtime, call: Misbehaviour) -> Check:
        pytest.importorskip("gunicorn")
        from greenproc.wsgi.worker import ON_START, GreenprocWorker

        worker: Any = GreenprocWorker.__new__(GreenprocWorker)
        app = SimpleNamespace()
        worker._has_master_runtime = False
        worker._start_node = lambda: runtime
        worker.log = SimpleNamespace(info=lambda *_: None)
        worker.app = SimpleNamespace(wsgi=lambda: app)
        if place == "app":
            app.greenproc = call
        elif place == "method":
            worker.on_start = call
        else:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tests.users_code.libraries.named", call)
                patch.setenv(ON_START, "tests.users_code.libraries:named")
                return boot(runtime, worker, call)
        return boot(runtime, worker, call)

    return run


def named(runtime: Runtime) -> None:
    """Stand where a test puts the code."""


def boot(runtime: Runtime, worker: Any, call: Misbehaviour) -> Check:
    def attempt() -> BaseException | None:
        try:
            worker.load_wsgi()
        except BaseException as error:
            return error
        return None

    booting = runtime.spawn_greenlet(attempt)
    call.reached.wait(LIMIT)

    def check() -> None:
        if call.waits:
            assert not booting.dead
            return
        error = booting.get(timeout=LIMIT)
        if call.is_timeout:
            assert isinstance(error, Failure)
            error = error.__cause__
        assert error is call.raised[0]

    return check


THREAD = "nothing ends a native thread"

LIBRARIES = {
    "coroutine": Row(awaited(misbehave)),
    "awaitable": Row(awaited(Odd)),
    "coroutine that awaits a future": Row(awaited(after_ours)),
    "callback of a future of asyncio": Row(callback_of_asyncio, must_not_wait="it is asyncio's"),
    "on_discard of what asyncio cancels": Row(
        discarded_by_asyncio, HUB, must_not_wait="it holds up the loop, as all that asyncio calls"
    ),
    "function of an executor": Row(in_an_executor, must_not_wait=THREAD),
    "function of a greenlet": Row(in_a_greenlet, HUB),
    "app.greenproc of gunicorn": Row(hook("app")),
    "on_start of gunicorn": Row(hook("method")),
    "function that the environment names for gunicorn": Row(hook("environment")),
}
