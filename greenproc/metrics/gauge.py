"""Gauges: values that go up and down, set by hand or asked for when somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from greenproc.errors import InvalidArgument
from greenproc.failures import FAILURES
from greenproc.future import Future
from greenproc.metrics.metric import Kind, Metric


class PushGauge(Metric):
    """A number that whoever knows it sets, zero at first. Safe from every native thread.

    ::

        gauge.set(42.0)
        gauge += 1

    Source: libprocess include/process/metrics/push_gauge.hpp.
    """

    def __init__(self, name: str, *, help: str = "") -> None:
        super().__init__(name, help=help)
        self._value = 0.0

    def set(self, value: float) -> None:
        """Make *value* the value."""
        number = float(value)
        with self._lock:
            self._value = number

    def increment(self, by: float = 1.0) -> None:
        """Add *by*."""
        with self._lock:
            self._value += by

    def decrement(self, by: float = 1.0) -> None:
        """Subtract *by*."""
        self.increment(-by)

    def __iadd__(self, by: float) -> Self:
        self.increment(by)
        return self

    def __isub__(self, by: float) -> Self:
        self.increment(-by)
        return self

    def value(self) -> Future[float]:
        """Return the value, ready at once."""
        return Future(self._value)


class PullGauge(Metric):
    """A number that is asked for when somebody looks.

    ::

        PullGauge("queue/depth", defer(queue, Queue.depth))

    Args:
        function: returns the number or a future of it; it may wait. An endpoint calls it in a
            greenlet of its own, beside all processes, so what belongs to a process should be
            asked for by a dispatch.

    Source: libprocess include/process/metrics/pull_gauge.hpp.
    Differs: there the function runs in the process of the endpoint, which it then holds up.
    """

    may_wait = True

    def __init__(self, name: str, function: Callable[[], Any], *, help: str = "") -> None:
        super().__init__(name, help=help)
        if not callable(function):
            raise InvalidArgument(f"expected a function that returns a number, got {function!r}")
        self._function = function

    def value(self) -> Future[Any]:
        """Call the function and return what it returned as a future, also when that is an error."""
        try:
            told = self._function()
        except FAILURES as error:
            return Future.failed(error)
        return told.then(self._checked) if isinstance(told, Future) else self._as_future(told)

    def _as_future(self, told: Any) -> Future[Any]:
        try:
            return Future(self._checked(told))
        except InvalidArgument as error:
            return Future.failed(error)

    def _checked(self, told: Any) -> Any:
        if not isinstance(told, (int, float)):
            raise InvalidArgument(f"expected a number from gauge {self.name}, got {told!r}")
        return float(told)


class PulledCounter(PullGauge):
    """A `PullGauge` whose value only grows: a count that is kept elsewhere."""

    kind: Kind = "counter"


class PulledFamily(PullGauge):
    """A gauge with one number for each value of a label, such as the id of a process.

    A JSON snapshot has them as ``name/value_of_the_label``.

    Args:
        label: what the values of the label are, such as ``process``.
        function: returns a mapping from values of the label to numbers, or a future of it. It
            should have a limit: each entry is one more line of every snapshot.
    """

    def __init__(
        self,
        name: str,
        label: str,
        function: Callable[[], Any],
        *,
        help: str = "",
        kind: Kind = "gauge",
    ) -> None:
        super().__init__(name, function, help=help)
        self.label = label
        self.kind = kind

    def _checked(self, told: Any) -> Any:
        if not isinstance(told, Mapping):
            raise InvalidArgument(f"expected a mapping from gauge {self.name}, got {told!r}")
        return {str(value): float(number) for value, number in told.items()}
