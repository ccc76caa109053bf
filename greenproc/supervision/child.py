"""`Child`: what a supervisor has to know about one of its processes. Values only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final, Literal

from greenproc.errors import InvalidArgument
from greenproc.process.base import Process

Factory = Callable[[], Process | None]
Restart = Literal["permanent", "transient", "temporary"]
AtRestart = Literal["drop", "keep"]

RESTARTS: Final = ("permanent", "transient", "temporary")
MAILBOXES: Final = ("drop", "keep")


class _Unset(float):
    """A limit that was not given: another kind of child has another one."""

    __slots__ = ()


SHUTDOWN: Final = _Unset(5.0)


@dataclass(frozen=True, slots=True)
class Child:
    """How a process is made, and what its supervisor does when it ends. Immutable.

    Args:
        factory: makes a new process that was not spawned, or returns None for none now. It runs in
            the supervisor, which waits for it.
        id: of the child in its supervisor and of the process in its node, through all restarts;
            that of the first process that the factory makes when None.
        restart: ``"permanent"`` children are always restarted, ``"transient"`` ones after an error
            or a kill, ``"temporary"`` ones never.
        shutdown: seconds of the clock that the process may take to end before it is killed; 0 kills
            it at once, `math.inf` waits for ever. A supervisor that is a child has `math.inf` when
            none are given.
        significant: whether the end of this child may end its supervisor; see `Supervisor`.
        mailbox: what becomes of queued messages, requests and calls at a restart: ``"drop"`` drops
            and reports them; ``"keep"`` hands them to the next process, together with those that
            come until it is there. The event that failed is dropped in any case.

    Raises:
        InvalidArgument: an argument is not what it should be.

    Source: Erlang/OTP supervisor, ``child_spec()``. Differs: `shutdown` in seconds, where 0 is
    ``brutal_kill``; no ``type`` and ``modules``, which nothing here needs.
    """

    factory: Factory
    id: str | None = None
    _: KW_ONLY
    restart: Restart = "permanent"
    shutdown: float = SHUTDOWN
    significant: bool = False
    mailbox: AtRestart = "drop"

    def __post_init__(self) -> None:
        _check_factory(self.factory)
        if self.id is not None and (not isinstance(self.id, str) or not self.id):
            raise InvalidArgument(f"expected the id of a child as str, got {self.id!r}")
        check_choice("restart", self.restart, RESTARTS)
        check_choice("mailbox", self.mailbox, MAILBOXES)
        if not is_number(self.shutdown) or not self.shutdown >= 0:
            raise InvalidArgument(
                f"expected shutdown to be seconds from 0 on, got {self.shutdown!r}"
            )
        if not isinstance(self.significant, bool):
            raise InvalidArgument(f"expected significant to be a bool, got {self.significant!r}")
        if self.significant and self.restart == "permanent":
            raise InvalidArgument(
                "a permanent child cannot be significant: it never ends for good"
            )


def _check_factory(factory: object) -> None:
    if isinstance(factory, Process):
        raise InvalidArgument(
            f"expected a function that makes a process, got {factory!r}: a process is spawned once, "
            "pass its class"
        )
    if not callable(factory):
        raise InvalidArgument(f"expected a function that makes a process, got {factory!r}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a *value* that is not one of the *choices*."""
    if value not in choices or not isinstance(value, str):
        *first, last = map(repr, choices)
        raise InvalidArgument(f"expected {name} to be {', '.join(first)} or {last}, got {value!r}")


def is_number(value: Any) -> bool:
    """Return whether *value* is a number that a float holds; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def limit_of(child: Child, *, is_supervisor: bool) -> float:
    """Return the seconds that the process of *child* may take to end."""
    if is_supervisor and isinstance(child.shutdown, _Unset):
        return math.inf
    return float(child.shutdown)
