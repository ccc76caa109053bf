"""A wait that nothing in the program can end says so, whatever threads of our own there are."""

from __future__ import annotations

import sys

import pytest

from tests.shell import Program

PROGRAM = """
import gevent
from gevent.exceptions import LoopExit
from greenproc import Promise, Queue, Runtime, Settings
from greenproc.future import offload

{before}
promise = Promise()  # which is kept: its future is not abandoned
try:
    {wait}
except LoopExit as error:
    print(type(error).__name__)
"""

BEFORE = {
    "no hub": "",
    "threads of a pool": "gevent.get_hub().threadpool.apply(int)",
    "threads that compute": "offload(int).get()",
    "a runtime that was stopped": "node = Runtime(); node.start(); node.stop()",
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_future_that_nothing_can_complete_says_so(before: str) -> None:
    program = PROGRAM.format(before=before, wait="promise.future.get()")
    with Program(sys.executable, "-c", program) as running:
        assert running.finish() == (0, "LoopExit\n", "")


def test_queue_that_nothing_can_fill_says_so() -> None:
    program = PROGRAM.format(before=BEFORE["threads that compute"], wait="Queue().wait_get()")
    with Program(sys.executable, "-c", program) as running:
        assert running.finish() == (0, "LoopExit\n", "")
