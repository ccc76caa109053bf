"""Killing greenlets for a while, without an end by an exception."""

from __future__ import annotations

from collections.abc import Iterable

from gevent import Timeout, killall
from greenlet import greenlet


def kill_within(seconds: float, greenlets: Iterable[greenlet]) -> int:
    """Kill *greenlets*, and return how many still run after *seconds*.

    A greenlet may catch its kill, and thousands need a while. ``gevent.killall`` raises its
    `gevent.Timeout` then, out of whatever ends its parts in order.
    """
    alive = list(greenlets)
    with Timeout(seconds, False):  # type: ignore[arg-type]  # False: end quietly
        killall(alive)
    return sum(not one.dead for one in alive)
