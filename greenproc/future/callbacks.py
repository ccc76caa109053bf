"""The kinds of callbacks of a future, and their list."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias


class Completion(Enum):
    """Whether a future has completed, and how. An abandoned future is PENDING."""

    PENDING = "Pending"
    READY = "Ready"
    FAILED = "Failed"
    DISCARDED = "Discarded"


class Trigger(Enum):
    """When a callback runs that is not for one certain `Completion`."""

    ANY = "completion"
    END = "completion or abandonment"
    ABANDONMENT = "abandonment"


CallbackKind: TypeAlias = Completion | Trigger
"""When a callback runs."""

# The hot paths compare these: looking up an attribute of an Enum costs several times a global.
PENDING = Completion.PENDING
READY = Completion.READY
FAILED = Completion.FAILED
DISCARDED = Completion.DISCARDED
ANY = Trigger.ANY
END = Trigger.END
ABANDONMENT = Trigger.ABANDONMENT


Callback: TypeAlias = tuple[CallbackKind, Callable[..., object], tuple[Any, ...], Any]
"""The kind, the function, its first arguments, and the runtime in which it was registered. The
function gets the arguments of the kind after the first ones."""

SWEEP_FROM = 16
"""The number of callbacks from which on those of finished subscriptions are swept out."""


class FutureSubscription:
    """The callbacks of one object on several futures, some of which may never complete.

    A callback whose first argument is a subscription is dropped some time after that `is_over`.
    So a long-lived future does not keep every subscription that it ever had.
    """

    __slots__ = ("is_over",)

    is_over: bool
    """Whether its callbacks have no effect any more."""

    def __init__(self) -> None:
        self.is_over = False


def append(callbacks: list[Callback], callback: Callback) -> None:
    """Add *callback*, and sweep out finished subscriptions whenever the number has doubled."""
    # A sweep costs as much as the list is long; at powers of two that is constant for each append.
    count = len(callbacks)
    if count >= SWEEP_FROM and not count & (count - 1):
        callbacks[:] = [one for one in callbacks if not _is_over(one)]
    callbacks.append(callback)


def _is_over(callback: Callback) -> bool:
    arguments = callback[2]
    return (
        bool(arguments) and isinstance(arguments[0], FutureSubscription) and arguments[0].is_over
    )
