"""Gauges: values that go up and down, set by the program or computed when they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from greenproc.errors import InvalidArgument
from greenproc.failures import FAILURES
from greenproc.future import Future
from greenproc.metrics.metric import Kind, Metric


class PushGauge(Metric):
    """A number that the program sets, initially zero. Safe to use from any native thread.

    ::

        gauge.set(42.0)
        gauge += 1

    Source: libprocess include/process/metrics/push_gauge.hpp.
    """

    def __init__(self, name: str, *, help: str = "") -> None:
        super().__init__(name, help=help)
        self._value = 0.0

    def set(self, value: float) -> None:
        """Set the gauge to *value*.

        Raises:
            ValueError, TypeError: ``float(value)`` fails.
        """
        number = float(value)
        with self._lock:
            self._value = number

    def increment(self, by: float = 1.0) -> None:
        """Add *by* to the value."""
        with self._lock:
            self._value += by

    def decrement(self, by: float = 1.0) -> None:
        """Subtract *by* from the value."""
        self.increment(-by)

    def __iadd__(self, by: float) -> Self:
        self.increment(by)
        return self

    def __isub__(self, by: float) -> Self:
        self.increment(-by)
        return self

    def value(self) -> Future[float]:
        """Return a ready future of the value."""
        return Future(self._value)


class PullGauge(Metric):
    """A number that a function computes each time the gauge is read.

    ::

        PullGauge("queue/depth", defer(queue, Queue.depth))

    Args:
        function: returns the number or a future of it, and may block its greenlet. An endpoint
            calls it in a separate greenlet outside of every process, so the function should read
            the state of a process by a dispatch to it.

    Raises:
        InvalidArgument: *function* is not callable.

    Source: libprocess include/process/metrics/pull_gauge.hpp.
    Differs: libprocess runs the function in the process of the endpoint and so blocks it.
    """

    may_wait = True

    def __init__(self, name: str, function: Callable[[], Any], *, help: str = "") -> None:
        super().__init__(name, help=help)
        if not callable(function):
            raise InvalidArgument(f"expected a function that returns a number, got {function!r}")
        self._function = function

    def value(self) -> Future[Any]:
        """Call the function and return the future of its result; an exception fails the future."""
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
    """A `PullGauge` of type counter: its value, maintained elsewhere, only grows."""

    kind: Kind = "counter"


class PulledFamily(PullGauge):
    """A gauge with one sample per value of a label, such as the id of a process.

    A JSON snapshot names the samples ``name/value_of_the_label``.

    Args:
        label: the name of the label, such as ``process``.
        function: returns a mapping from label values to numbers, or a future of it. The mapping
            should be bounded, since each entry adds a line to every snapshot.
        kind: the metric type of the samples.

    Raises:
        InvalidArgument: *function* is not callable.
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
