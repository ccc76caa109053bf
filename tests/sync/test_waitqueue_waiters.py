"""The waiters of a queue: what their users do not see."""

from __future__ import annotations

from itertools import pairwise

import gevent
from gevent.exceptions import InvalidSwitchError

from greenproc.future import Promise
from greenproc.sync import Mutex
from greenproc.sync.waitqueue import GreenletWaiter, ThreadWaiter
from tests.sync.support import expect_error, start


def test_a_greenlet_that_is_woken_before_it_waits_does_not_wait() -> None:
    waiter: GreenletWaiter[None] = GreenletWaiter(gevent.get_hub())
    waiter.deliver()
    gevent.idle()
    waiter.wait()


def test_a_thread_that_is_woken_before_it_waits_does_not_wait() -> None:
    waiter: ThreadWaiter[None] = ThreadWaiter()
    waiter.deliver()
    waiter.wait()


def test_a_switch_by_somebody_else_is_an_error_and_gives_the_place_up() -> None:
    mutex = Mutex()
    mutex.lock()
    waiter = gevent.spawn(mutex.wait_lock)
    gevent.idle()

    gevent.get_hub().loop.run_callback(waiter.switch, "nonsense")
    expect_error(InvalidSwitchError, waiter.get)

    assert repr(mutex) == "<Mutex locked, 0 waiting>"


def test_callbacks_too_deep_to_nest_run_while_the_greenlet_waits() -> None:
    """The greenlet waits for what a callback is to do that waits for the greenlet."""
    mutex = Mutex()
    mutex.lock()
    promises: list[Promise[None]] = [Promise() for _ in range(40)]
    for promise, inner in pairwise(promises):
        promise.future.on_ready(lambda _, inner=inner: inner.set(None))
    promises[-1].future.on_ready(lambda _: mutex.unlock())
    waited = []
    promises[20].future.on_ready(lambda _: waited.append(mutex.wait_lock()))

    start(lambda: promises[0].set(None)).get()

    assert waited == [True]
