"""`Child`: the specification of one supervised process. Values only, no processes."""

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
    """The default shutdown limit, which differs for a child that is a supervisor."""

    __slots__ = ()


SHUTDOWN: Final = _Unset(5.0)


@dataclass(frozen=True, slots=True)
class Child:
    """The specification of a child process: its factory, and its restart policy. Immutable.

    Args:
        factory: creates a new process, which must not be spawned yet; None means that there is no
            process at the moment. The factory runs in the supervisor, which waits for it.
        id: the id of the child within its supervisor, and of its process within the node, across
            all restarts. None takes the id of the first process that the factory creates.
        restart: ``"permanent"`` children are always restarted, ``"transient"`` ones after an error
            or a kill, ``"temporary"`` ones never.
        shutdown: the time that the process has to end before it is killed, in seconds of the
            runtime's clock; 0 kills it immediately, `math.inf` waits without limit. The default of
            a child that is a supervisor is `math.inf`.
        significant: whether the end of this child may terminate its supervisor; see `Supervisor`.
        mailbox: what a restart does with queued messages, requests and dispatches: ``"drop"``
            drops and reports them; ``"keep"`` transfers them to the next process, with those that
            arrive before it is running. The event that failed is dropped in either case.

    Raises:
        InvalidArgument: an argument is out of range or of the wrong type.

    Source: Erlang/OTP supervisor, ``child_spec()``. Differs: `shutdown` is in seconds, and 0 is
    ``brutal_kill``; ``type`` and ``modules`` have no counterpart.
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
    """Check that an argument has one of a few values.

    Args:
        name: the name of the argument, for the error.
        value: the value to check.
        choices: the allowed values.

    Raises:
        InvalidArgument: *value* is not one of *choices*.
    """
    if value not in choices or not isinstance(value, str):
        *first, last = map(repr, choices)
        raise InvalidArgument(f"expected {name} to be {', '.join(first)} or {last}, got {value!r}")


def is_number(value: Any) -> bool:
    """Return whether *value* is a number in the range of a float, and not a bool."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def limit_of(child: Child, *, is_supervisor: bool) -> float:
    """Return the shutdown limit of *child* in seconds.

    Args:
        child: the specification.
        is_supervisor: whether its process is a supervisor, whose default is `math.inf`.
    """
    if is_supervisor and isinstance(child.shutdown, _Unset):
        return math.inf
    return float(child.shutdown)
