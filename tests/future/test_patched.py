"""Adapters and native threads in monkey-patched programs, and in programs without a hub yet.

Each program is an OS process of its own, since patching cannot be undone.
"""

from __future__ import annotations

import sys
import textwrap

import pytest

from tests.shell import Program

BEGIN = """
import asyncio, concurrent.futures, gevent, threading
from gevent.monkey import get_original, is_module_patched
from gevent.threadpool import ThreadPool
from greenproc.future import *
native_id = get_original("_thread", "get_ident")
"""
PATCHED = "from gevent import monkey; monkey.patch_all()\n"

PROGRAMS = {
    "a future of an executor": """
        with concurrent.futures.ThreadPoolExecutor(2) as executor:
            print(from_concurrent(executor.submit(sum, [40, 2])).get())
    """,
    "waiting for views of concurrent.futures in a thread": """
        gevent.get_hub()
        promises = [Promise() for _ in range(3)]
        views = [to_concurrent(promise.future) for promise in promises]
        gevent.spawn(promises[0].set, 1)
        gevent.spawn(promises[1].fail, "boom")
        gevent.spawn(promises[2].discard)
        done = offload(concurrent.futures.wait, views, 10).get().done
        late = offload(lambda: list(concurrent.futures.as_completed(views, 10))).get()
        print(42 if set(views) == done == set(late) else done)
    """,
    "an offloaded function": """
        gate = get_original("_thread", "allocate_lock")()
        gate.acquire()
        gevent.spawn(gate.release)
        future = offload(lambda: gate.acquire() and native_id())
        print(42 if future.get() != native_id() else "ran here")
    """,
    "a decorated function in a native thread": """
        @in_thread
        def add(first, second):
            return native_id(), first + second

        def outer():
            thread, total = add(40, 2).get()
            return total if thread == native_id() else "ran elsewhere"

        print(offload(outer).get())
    """,
    "a promise set by a native thread": """
        promise = Promise()
        order = []
        promise.future.on_ready(order.append)
        pool = ThreadPool(1)
        pool.spawn(promise.set, 42)
        promise.future.get()
        gevent.idle()
        print(*order)
    """,
    "an asyncio loop in a native thread": """
        promise = Promise()
        gevent.spawn(promise.set, 40)

        async def main():
            return await promise.future + await from_asyncio(two())

        async def two():
            await asyncio.sleep(0.001)
            return 2

        print(offload(asyncio.run, main()).get())
    """,
    "coroutines given to a loop in a native thread": """
        loop = asyncio.new_event_loop()
        running = offload(loop.run_forever)

        async def add():
            await asyncio.sleep(0.001)
            return 42

        print(from_asyncio(add(), loop).get())
        loop.call_soon_threadsafe(loop.stop)
        running.wait()
        loop.close()
    """,
    "greenlets and AsyncResults": """
        first = from_greenlet(gevent.spawn(lambda: 40))
        second = from_async_result(to_async_result(Future(2)))
        print(collect(first, second).then(sum).get())
    """,
}


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param("", id="unpatched", marks=pytest.mark.slow),
        pytest.param(PATCHED, id="patched"),
    ],
)
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_program_prints_42(program: str, patch: str) -> None:
    if patch and "offload(loop.run_forever)" in program:
        pytest.skip("gevent: a patched asyncio loop in a native thread corrupts memory by itself")
    source = patch + BEGIN + textwrap.dedent(program)
    with Program(sys.executable, "-W", "error", "-c", source) as running:
        assert running.finish() == (0, "42\n", "")


def test_the_programs_are_patched_or_not() -> None:
    for patch, expected in [("", "False\n"), (PATCHED, "True\n")]:
        source = patch + BEGIN + "print(is_module_patched('threading'))"
        with Program(sys.executable, "-c", source) as running:
            assert running.finish().out == expected
