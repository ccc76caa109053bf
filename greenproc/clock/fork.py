"""What becomes of the parts of greenproc in a forked child, where none of them works.

::

    call_after_fork(function)      # a module's own state
    watch_fork(thing)              # thing.disown() is called, while thing is there

A fork copies descriptors, greenlets and timers. Without this module a child would answer what is
meant for its parent. So the child closes its copies of sockets, without a word to the peer, and
its copies of greenlets are never switched into. Nothing is completed, abandoned or called back.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import Any, Protocol
from weakref import WeakSet

import gevent
from gevent import getcurrent
from gevent._hub_local import get_hub_if_exists
from greenlet import greenlet

log = logging.getLogger("greenproc.clock")


class Disownable(Protocol):
    """What belongs to an OS process, and is of no use in its child."""

    def disown(self) -> None:
        """Let go of descriptors and watchers, without telling anybody. May be called twice."""


_watched: WeakSet[Any] = WeakSet()
_functions: list[Callable[[], None]] = []
_inherited: list[object] = []
"""What a child got from its parent, kept for ever: no finalizer of it may run there."""


def watch_fork(thing: Disownable) -> None:
    """Call the `disown` of *thing* in a forked child, if it exists still."""
    _watched.add(thing)


def call_after_fork(function: Callable[[], None]) -> None:
    """Call *function* in each forked child."""
    _functions.append(function)


def silence(greenlets: Iterable[greenlet | None]) -> None:
    """Let all of *greenlets* but the running one stand still for ever, whatever wakes them.

    Killing them would run their ``finally``, which is for the parent to do.
    """
    for one in greenlets:
        if one is None or one is getcurrent() or one.dead:
            continue
        if one.gr_frame is None and isinstance(one, gevent.Greenlet):
            one.kill(block=False)  # it has not begun, so nothing of it runs
            continue
        # Found before the methods of the class: this is what the hub and waiters look up.
        one.switch = one.throw = _ignore  # type: ignore[method-assign]


def close_copy(socket: Any) -> None:
    """Close this OS process' descriptor of a gevent socket; the connection itself goes on.

    The watchers go first: they would be armed again for what gets the number next.
    """
    for event in (socket._read_event, socket._write_event):  # noqa: SLF001
        if event is not None:
            event.stop()
    socket.close()


def _ignore(*_: object) -> None:
    """Be what a greenlet of the parent does when something switches to it."""


def _disown_all() -> None:
    things = list(_watched)
    if things:
        _inherited.extend(things)
        gevent.reinit(get_hub_if_exists())
    for call in (*_functions, *(thing.disown for thing in things)):
        try:
            call()
        except BaseException:  # Python would drop it, and the rest would be left as it is
            log.exception("in a forked child, %r failed", call)


os.register_at_fork(after_in_child=_disown_all)
