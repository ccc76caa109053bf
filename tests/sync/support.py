"""What the tests of sync share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TypeVar

import gevent
import pytest

T = TypeVar("T")

needs_refcounts = pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="garbage is found later there"
)


def start(function: Callable[[], T]) -> gevent.Greenlet[[], T]:
    """Run *function* in a new greenlet of this context, up to where it waits."""
    greenlet = gevent.Greenlet(function)
    greenlet.gr_context = copy_context()
    greenlet.start()
    gevent.idle()
    return greenlet


def start_thread(function: Callable[[], object]) -> Callable[[], None]:
    """Run *function* in a new native thread; return what waits for its end and raises its error."""
    errors: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()

    def join() -> None:
        thread.join(timeout=10.0)
        assert not thread.is_alive()
        if errors:
            raise errors[0]

    return join


def start_thread_in_time(function: Callable[[], object]) -> Callable[[], None]:
    """Do as `start_thread`, but call *function* only when the hub of this thread waits for I/O."""
    gate = threading.Event()
    gevent.get_hub().loop.run_callback(gate.set)

    def call() -> None:
        # The hub sets it while it runs callbacks, and next lets other threads run where it waits.
        assert gate.wait(timeout=10.0)
        function()

    return start_thread(call)


def expect_error(kind: type[BaseException], function: Callable[[], object]) -> None:
    """Call *function*, which must raise an error of *kind*."""
    with pytest.raises(kind):
        function()


class Interrupted(BaseException):
    """What ends a greenlet, as GreenletExit does, but is seen."""


def interrupt() -> None:
    """Be a callback that ends the greenlet that calls it."""
    raise Interrupted
