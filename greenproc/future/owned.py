"""Greenlets that run functions of a runtime for a while, and end with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from greenlet import getcurrent

from greenproc.current import RUNTIME

T = TypeVar("T")


def run_owned(function: Callable[..., T], *args: Any) -> T:
    """Call *function* in this greenlet, which the runtime of the context kills if it stops meanwhile."""
    owned, me = _owned_here(), getcurrent()
    if owned is None or me in owned:
        return function(*args)
    owned.add(me)
    try:
        return function(*args)
    finally:
        owned.discard(me)


def each_owned(calls: Iterable[tuple[Any, Any, Any]]) -> Iterator[Any]:
    """Give *calls*, each to be made in the runtime that is its last item, which owns it meanwhile."""
    me = getcurrent()
    for call in calls:
        RUNTIME.set(call[2])
        owned = _owned_here()
        if owned is None or me in owned:
            yield call
            continue
        owned.add(me)
        try:
            yield call
        finally:
            owned.discard(me)


def _owned_here() -> set[Any] | None:
    """Return the greenlets that the runtime of this context owns, if it belongs to this thread."""
    runtime = RUNTIME.get()
    owned: set[Any] | None = getattr(runtime, "owned", None)
    return owned if runtime is not None and owned is not None and runtime.is_here else None
