"""What a signal handler raised, and how it gets to the main greenlet.

Python runs signal handlers in whatever greenlet of the main thread is running. What one raises
there is no error of that greenlet.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import CodeType

from gevent.hub import Hub


def raise_in_main(hub: Hub, error: BaseException) -> None:
    """Let *hub* raise *error* soon in the greenlet that waits for it: the main one of its thread."""
    main = hub.parent
    assert main is not None
    hub.loop.run_callback(main.throw, error)


def came_from_signal(error: BaseException) -> bool:
    """Return whether a signal handler written in Python is what raised *error*."""
    codes = set(_handler_codes())
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code in codes:
            return True
        traceback = traceback.tb_next
    return False


def _handler_codes() -> Iterator[CodeType]:
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if not callable(handler):
            continue
        function = getattr(handler, "__func__", handler)
        code = getattr(function, "__code__", None)
        if code is None:
            code = getattr(type(handler).__call__, "__code__", None)
        if code is not None:
            yield code
