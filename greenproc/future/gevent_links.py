"""How the end of a future reaches the hubs: by its waiter, and links, each called once.

The protocol is gevent's, so that `gevent.wait`, `iwait` and `joinall` take a future. Whoever
ends a future never calls a link: what it switches into could be that very greenlet.
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
"""Is called with the future."""

_GONE: Final = object()


def wake_waiter(future: FutureState[Any]) -> None:
    """Let the hub of the waiter switch to it soon.

    Unlike a link it needs no care: it is used once, and switching it too late does nothing.
    """
    waiter = future._waiter
    if waiter is None:
        return
    future._waiter = None
    hub = waiter.hub
    if hub is get_hub_if_exists():
        hub.loop.run_callback(waiter.switch, future)
    elif hub.loop is not None:
        hub.loop.run_callback_threadsafe(waiter.switch, future)


def notify_links(future: FutureState[Any]) -> None:
    """Let each hub call its links soon; those of threads without a hub are called now."""
    links = future._links
    if links is None:
        return
    here = get_hub_if_exists()
    for hub in set(links.values()):
        if hub is None:
            _call_links(future, hub)
        elif hub is here:
            hub.loop.run_callback(_call_links, future, hub)
        elif hub.loop is not None:
            hub.loop.run_callback_threadsafe(_call_links, future, hub)


def _call_links(future: FutureState[Any], hub: Hub | None) -> None:
    """Call the links of *hub* that are still there. What they raise is reported."""
    links = future._links
    if links is None:
        return
    for link in [link for link, its_hub in list(links.items()) if its_hub is hub]:
        if links.pop(link, _GONE) is _GONE:
            continue
        try:
            link(future)
        except BaseException:
            assert hub is not None  # what wakes a thread does not raise
            hub.handle_error(link, *sys.exc_info())
    with future._lock:
        if not links and future._links is links:
            future._links = None
