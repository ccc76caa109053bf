"""Completing several promises in turn, of whom each may run callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from greenproc.failures import graver


def call_all(calls: Iterable[Callable[[], object]]) -> None:
    """Make all *calls*. What ends a greenlet, raised by a callback in one of them, comes last."""
    fatal: BaseException | None = None
    for call in calls:
        try:
            call()
        except BaseException as error:
            fatal = graver(fatal, error)
    if fatal is not None:
        raise fatal
