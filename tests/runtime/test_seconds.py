"""Whatever takes seconds refuses what is no number of them, and shows what came."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

import greenproc
from greenproc import Future, Process, Promise, Runtime, web
from greenproc.clock import Deadline
from greenproc.errors import InvalidArgument
from greenproc.sync import Pipe

Use = Callable[[Runtime, float], object]


def locked(kind: str) -> Callable[[float], object]:
    mutex, lock = greenproc.Mutex(), greenproc.ReadWriteLock()
    mutex.wait_lock()
    lock.wait_write_lock()
    waits = {
        "mutex": mutex.wait_lock,
        "read": lock.wait_read_lock,
        "write": lock.wait_write_lock,
    }
    return waits[kind]


def exhausted() -> greenproc.RateLimiter:
    limiter = greenproc.RateLimiter(0.001)
    limiter.wait_acquire()
    return limiter


def pending() -> Future[int]:
    return Promise[int]().future


HELD = [Promise[int]()]
USES: dict[str, Use] = {
    "delay": lambda node, nan: node.delay(nan, node.spawn(Process()), int),
    "wait": lambda node, nan: node.wait(node.spawn(Process()), nan),
    "settle": lambda node, nan: node.settle(nan),
    "stop": lambda node, nan: node.stop(nan),
    "advance": lambda node, nan: node.clock.advance(nan),
    "update": lambda node, nan: node.clock.update(nan),
    "timer": lambda node, nan: node.clock.timer(nan, int),
    "sleep": lambda node, nan: node.clock.sleep(nan),
    "Deadline": lambda _, nan: Deadline.in_(nan),
    "after": lambda _, nan: greenproc.after(nan),
    "get": lambda _, nan: HELD[0].future.get(timeout=nan),
    "future.wait": lambda _, nan: HELD[0].future.wait(nan),
    "future.after": lambda _, nan: HELD[0].future.after(nan, lambda it: it),
    "collect": lambda _, nan: greenproc.collect([HELD[0].future], timeout=nan),
    "await_all": lambda _, nan: greenproc.await_all([HELD[0].future], timeout=nan),
    "Latch": lambda _, nan: greenproc.Latch().await_(nan),
    "CountDownLatch": lambda _, nan: greenproc.CountDownLatch(1).await_(nan),
    "Queue": lambda _, nan: greenproc.Queue().wait_get(nan),
    "Mutex": lambda _, nan: locked("mutex")(nan),
    "read lock": lambda _, nan: locked("read")(nan),
    "write lock": lambda _, nan: locked("write")(nan),
    "limiter wait": lambda _, nan: exhausted().wait_acquire(nan),
    "RateLimiter": lambda _, nan: greenproc.RateLimiter(1.0, nan),
    "Pipe": lambda _, nan: Pipe().reader.read(nan),
    "web timeout": lambda node, nan: web.get(f"http://{node.address}/", timeout=nan).get(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_nan_is_no_number_of_seconds(use: Use, runtime: Runtime) -> None:
    with pytest.raises(InvalidArgument, match=r"expected .*, got .*nan"):
        use(runtime, math.nan)
