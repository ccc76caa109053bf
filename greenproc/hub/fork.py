"""What happens to greenproc in a forked child, where none of its parts works.

::

    call_after_fork(function)      # for the state of a module
    watch_fork(thing)              # calls thing.disown(), if thing is still there

A fork copies descriptors, greenlets and timers. Without this module a child would answer
requests for its parent. So the child closes its copies of sockets, without a word to the peer,
and never switches to its copies of greenlets. Nothing is completed, abandoned or called back.
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

log = logging.getLogger("greenproc.hub")


class Disownable(Protocol):
    """An object that belongs to one OS process, and is of no use in its child."""

    def disown(self) -> None:
        """Release descriptors and watchers without side effects outside. May be called twice."""


_watched: WeakSet[Any] = WeakSet()
_functions: list[Callable[[], None]] = []
_inherited: list[object] = []
"""The objects of the parent, kept for ever by a child, which must not run their finalizers."""


def watch_fork(thing: Disownable) -> None:
    """Call `thing.disown()` in a forked child, unless *thing* is garbage by then."""
    _watched.add(thing)


def call_after_fork(function: Callable[[], None]) -> None:
    """Call *function* in each forked child."""
    _functions.append(function)


def silence(greenlets: Iterable[greenlet | None]) -> None:
    """Keep all of *greenlets* but the running one from ever running again.

    Killing them would run their ``finally`` blocks, which are for the parent to run.
    """
    for one in greenlets:
        if one is None or one is getcurrent() or one.dead:
            continue
        if one.gr_frame is None and isinstance(one, gevent.Greenlet):
            one.kill(block=False)  # it has not started, so it has no finally block
            continue
        # The hub and waiters look up these names, and attributes come before methods.
        one.switch = one.throw = _ignore  # type: ignore[method-assign]


def close_copy(socket: Any) -> None:
    """Close this OS process' descriptor of a gevent socket; the connection stays open.

    The watchers stop first: they would watch the next file that gets the same number.
    """
    for event in (socket._read_event, socket._write_event):  # noqa: SLF001
        if event is not None:
            event.stop()
    socket.close()


def _ignore(*_: object) -> None:
    """Replace the `switch` of a greenlet of the parent."""


def _disown_all() -> None:
    things = list(_watched)
    # A program that merely uses futures forks as it would without greenproc.
    if things:
        _inherited.extend(things)
        gevent.reinit(get_hub_if_exists())
    for call in (*_functions, *(thing.disown for thing in things)):
        try:
            call()
        except BaseException:  # Python would print it, and skip the functions that follow
            log.exception("in a forked child, %r failed", call)


os.register_at_fork(after_in_child=_disown_all)
