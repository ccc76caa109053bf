"""`Backoff`: the delays of a supervisor before restarts. Values only, no timers."""

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
    """Exponential back-off with jitter: the delay before each restart of a child.

    The delay of attempt *n*, counted from 0, is
    ``min(most, first * factor ** n) * (1 + jitter * u)``, with *u* uniform between 0 and 1.

    Args:
        first: the delay before the first restart, in seconds.
        most: the maximum delay before jitter is added, in seconds.
        factor: the ratio of each delay to the previous one.
        jitter: the maximum random part, relative to the delay.
        reset: the uptime after which the next delay is *first* again, in seconds; None takes
            *within* of the supervisor.

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
        """Return the delay before a restart, in seconds.

        Args:
            attempt: the number of the attempt, counted from 0 since the last reset.
            random: the source of the jitter.
        """
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
