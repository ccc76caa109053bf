"""`Backoff`: how long a supervisor waits before a restart. Values only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from greenproc.errors import InvalidArgument
from greenproc.supervision.child import is_number


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays between restarts that grow with each one, and differ by chance.

    The delay of attempt *n*, from 0, is ``min(most, first * factor ** n) * (1 + jitter * u)``, where
    *u* is a random number from 0 to 1.

    Args:
        first: seconds before the first restart.
        most: seconds that no delay exceeds, but for its random part.
        factor: by which each delay is longer than the one before.
        jitter: the largest random part, as a share of the delay.
        reset: seconds that a process has to run for the delays to begin again at *first*; what
            the supervisor has as *within* when None.

    Raises:
        InvalidArgument: an argument is out of its range.

    Source: Akka BackoffSupervisor; Erlang/OTP has none.
    """

    first: float = 0.1
    most: float = 30.0
    factor: float = 2.0
    jitter: float = 0.2
    reset: float | None = None

    def __post_init__(self) -> None:
        _check("first", self.first, "above 0", is_right=lambda value: 0 < value < math.inf)
        _check("most", self.most, "from first on", is_right=lambda value: value >= self.first)
        _check("factor", self.factor, "from 1 on", is_right=lambda value: 1 <= value < math.inf)
        _check("jitter", self.jitter, "from 0 on", is_right=lambda value: 0 <= value < math.inf)
        if self.reset is not None:
            _check("reset", self.reset, "above 0", is_right=lambda value: value > 0)

    def delay(self, attempt: int, random: Random) -> float:
        """Return the seconds before *attempt*, the first of which is 0."""
        try:
            grown = self.first * self.factor**attempt
        except OverflowError:
            grown = self.most
        return float(min(self.most, grown) * (1 + self.jitter * random.random()))


def _check(name: str, value: object, what: str, *, is_right: Callable[[Any], bool]) -> None:
    if not is_number(value) or not is_right(value):
        raise InvalidArgument(
            f"expected {name} of a back-off to be a number {what}, got {value!r}"
        )
