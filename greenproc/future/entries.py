"""What a future keeps of those who want to be told of its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from greenproc.future.state import Kind

Entry: TypeAlias = tuple[Kind, Callable[..., object], tuple[Any, ...], Any]
"""When to call, what, with which arguments before those that the kind gives, and the runtime of
who registered it."""

SWEEP_FROM = 16
"""How many entries there are before the first search for such as are of no use any more."""


class Party:
    """Waits for several things, of which one can last for ever when the others have come.

    An entry whose first argument is a party is dropped some time after that `is_over`, so a
    future that outlives many of them does not keep them all.
    """

    __slots__ = ("is_over",)

    is_over: bool
    """Whether it does nothing any more, whatever it is told."""

    def __init__(self) -> None:
        self.is_over = False


def append(entries: list[Entry], entry: Entry) -> None:
    """Add *entry*, and drop those that are of no use whenever the number has doubled."""
    count = len(entries)
    if count >= SWEEP_FROM and not count & (count - 1):
        entries[:] = [one for one in entries if not _is_useless(one)]
    entries.append(entry)


def _is_useless(entry: Entry) -> bool:
    arguments = entry[2]
    return bool(arguments) and isinstance(arguments[0], Party) and arguments[0].is_over
