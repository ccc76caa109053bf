"""Which clock a greenlet goes by."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import gevent
import pytest
from gevent._hub_local import get_hub_if_exists
from gevent.threadpool import ThreadPool

from greenproc.clock.clock import Clock
from greenproc.clock.cross_thread import CrossThreadClock, clock_of_thread
from greenproc.clock.current import current_clock, find_clock
from greenproc.clock.source import HubSource, ManualSource
from greenproc.current import RUNTIME, default
from greenproc.errors import NoRuntime


@contextmanager
def inside(runtime: object) -> Iterator[None]:
    token = RUNTIME.set(runtime)
    try:
        yield
    finally:
        RUNTIME.reset(token)


@pytest.fixture(autouse=True)
def no_default_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "runtime", None)


def test_inside_a_runtime_it_is_the_runtimes() -> None:
    clock = Clock(ManualSource())
    with inside(SimpleNamespace(clock=clock)):
        assert current_clock() is clock


def test_outside_it_is_that_of_the_default_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(ManualSource())
    monkeypatch.setattr(default, "runtime", SimpleNamespace(clock=clock))

    assert current_clock() is clock


def test_without_a_runtime_all_greenlets_of_a_thread_share_one() -> None:
    assert gevent.spawn(current_clock).get() is current_clock()


def test_without_a_runtime_each_thread_has_its_own() -> None:
    pool = ThreadPool(1)
    try:
        assert pool.apply(current_clock) is not current_clock()
    finally:
        pool.kill()


def test_without_a_runtime_it_is_real() -> None:
    current_clock().sleep(0.0)

    assert not current_clock().paused


def test_without_a_runtime_a_thread_that_runs_asyncio_has_no_clock() -> None:
    """A hub made there would never run, and no timer fire."""

    async def use() -> None:
        with pytest.raises(NoRuntime, match="asyncio"):
            current_clock()

    def work() -> bool:
        asyncio.run(use())
        return get_hub_if_exists() is None

    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(work).result()


def test_asyncio_in_a_thread_with_a_hub_is_no_hindrance() -> None:
    """In a patched program its loop waits by the hub."""

    async def use() -> Clock:
        return current_clock()

    assert asyncio.run(use()) is current_clock()


def test_the_clock_of_a_hub_belongs_to_its_thread_before_its_first_timer() -> None:
    pool = ThreadPool(1)
    try:
        assert pool.apply(current_clock).source.is_elsewhere
    finally:
        pool.kill()


def test_behind_the_current_clock_is_that_of_the_runtime_also_in_another_thread() -> None:
    clock = Clock(HubSource())
    clock.start()
    pool = ThreadPool(1)

    def find() -> tuple[Clock, Clock]:
        RUNTIME.set(SimpleNamespace(clock=clock))
        return find_clock(), clock_of_thread(clock_of_thread(clock))

    try:
        found, reached = pool.apply(find)
    finally:
        pool.kill()
    assert found is clock
    assert isinstance(reached, CrossThreadClock)
    assert clock_of_thread(clock) is clock
    clock.stop()
