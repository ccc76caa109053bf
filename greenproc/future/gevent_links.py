"""Waking what waits for a future: the waiter of one greenlet, and the links of gevent's protocol.

By that protocol `gevent.wait`, `iwait` and `joinall` take a future. A hub calls the links; the
code that completes the future never does, because a link may switch into the very greenlet that
runs that code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gevent._hub_local import get_hub_if_exists
from gevent.hub import Hub

if TYPE_CHECKING:
    from greenproc.future.state import FutureState

Link: TypeAlias = Callable[[Any], object]
"""A function of gevent's protocol that takes the future, such as ``waiter.switch``."""

_GONE: Final = object()


def wake_waiter(future: FutureState[Any]) -> None:
    """Schedule the switch of the hub to its waiting greenlet.

    Unlike a link it needs no bookkeeping: a waiter is used once, and a late switch has no effect.
    """
    waiter = future._waiter
    if waiter is None:
        return
    future._waiter = None
    # Only a hub may switch to a greenlet of its thread, and only its own thread may use its loop.
    hub = waiter.hub
    if hub is get_hub_if_exists():
        hub.loop.run_callback(waiter.switch, future)
    elif hub.loop is not None:
        hub.loop.run_callback_threadsafe(waiter.switch, future)


def notify_links(future: FutureState[Any]) -> None:
    """Schedule the links of each hub; call those of native threads without a hub at once."""
    links = future._links
    if links is None:
        return
    here = get_hub_if_exists()
    for hub in set(links.values()):
        if hub is None:
            _call_links(future, hub)  # these release locks, which works from every thread
        elif hub is here:
            hub.loop.run_callback(_call_links, future, hub)
        elif hub.loop is not None:
            hub.loop.run_callback_threadsafe(_call_links, future, hub)


def _call_links(future: FutureState[Any], hub: Hub | None) -> None:
    """Call the links of *hub* that were not removed meanwhile. Errors are reported to the hub."""
    links = future._links
    if links is None:
        return
    # A copy, since links come and go in other threads and in the links that run here.
    for link in [link for link, its_hub in list(links.items()) if its_hub is hub]:
        if links.pop(link, _GONE) is _GONE:
            continue
        try:
            link(future)
        except BaseException:
            assert hub is not None  # releasing the lock of a thread does not raise
            hub.handle_error(link, *sys.exc_info())
    with future._lock:
        # None again, which `announce` looks for; a link that was added meanwhile stays.
        if not links and future._links is links:
            future._links = None
