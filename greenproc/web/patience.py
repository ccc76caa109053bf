"""An end to waiting for a response."""

from __future__ import annotations

from functools import partial
from typing import NoReturn, TypeVar

from greenproc.errors import WaitTimeout
from greenproc.future import Future

T = TypeVar("T")


def limited(future: Future[T], seconds: float | None, what: str) -> Future[T]:
    """Return *future*, or one that fails with `WaitTimeout` when it takes longer than *seconds*.

    *future* is then asked to give up.

    Args:
        seconds: of the current clock; None is for ever.
        what: what did not happen, for the error.
    """
    if seconds is None:
        return future
    return future.after(seconds, partial(_give_up, f"{what} within {seconds:g} s"))


def _give_up(text: str, future: Future[T]) -> NoReturn:
    future.discard()
    raise WaitTimeout(text)
