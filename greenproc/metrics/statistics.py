"""`Statistics`: the extremes and percentiles of a set of values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Generic, Protocol, Self, TypeVar

from greenproc.errors import InvalidArgument


class Measure(Protocol):
    """A type with an order and linear interpolation: numbers, and `datetime.timedelta`."""

    def __lt__(self, other: Any, /) -> bool: ...
    def __add__(self, other: Any, /) -> Any: ...
    def __sub__(self, other: Any, /) -> Any: ...
    def __mul__(self, other: float, /) -> Any: ...


M = TypeVar("M", bound=Measure)


@dataclass(frozen=True, slots=True)
class Statistics(Generic[M]):
    """The count, the extremes and the percentiles of some values; p50 is the median.

    A percentile between two values is interpolated linearly.

    Source: libprocess include/process/statistics.hpp.
    """

    count: int
    min: M
    max: M
    p25: M
    p50: M
    p75: M
    p90: M
    p95: M
    p99: M
    p999: M
    p9999: M

    @classmethod
    def of(cls, values: Iterable[M]) -> Self | None:
        """Compute the statistics of *values*, such as a `TimeSeries`; None for fewer than two.

        NaN has no order and is ignored.

        Raises:
            InvalidArgument: *values* cannot be ordered or interpolated.
        """
        try:
            ordered = sorted(value for value in values if value == value)  # noqa: PLR0124
        except TypeError as error:
            raise InvalidArgument(
                f"expected values that can be ordered, got {values!r}: {error}"
            ) from error
        if len(ordered) < 2:
            return None
        return cls(
            count=len(ordered),
            min=ordered[0],
            max=ordered[-1],
            p25=percentile(ordered, 0.25),
            p50=percentile(ordered, 0.5),
            p75=percentile(ordered, 0.75),
            p90=percentile(ordered, 0.9),
            p95=percentile(ordered, 0.95),
            p99=percentile(ordered, 0.99),
            p999=percentile(ordered, 0.999),
            p9999=percentile(ordered, 0.9999),
        )


def percentile(ordered: Sequence[M], share: float) -> M:
    """Return the value below which the fraction *share* of the values lies.

    Args:
        ordered: at least one value, in ascending order.
        share: the fraction, from 0 to 1.

    Raises:
        InvalidArgument: *ordered* is empty, *share* is not a number from 0 to 1, or the values
            cannot be interpolated.
    """
    if not ordered:
        raise InvalidArgument(f"expected one value or more, got {ordered!r}")
    if not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise InvalidArgument(f"expected a share from 0 to 1, got {share!r}")
    position = share * (len(ordered) - 1)
    index = int(position)
    if index >= len(ordered) - 1:
        return ordered[-1]
    low, high = ordered[index], ordered[index + 1]
    if position == index or low == high:
        return low  # before the subtraction, which is NaN between infinite values
    part: Any = position - index
    try:
        gap = high - low
        value: M = low + gap * (Decimal(part) if isinstance(gap, Decimal) else part)
    except TypeError as error:
        raise InvalidArgument(
            f"expected values that can be interpolated, got {low!r} and {high!r}"
        ) from error
    except InvalidOperation:
        return low  # Decimal's counterpart of NaN in the line below
    return value if value == value else low  # noqa: PLR0124 -- NaN: low is infinite
