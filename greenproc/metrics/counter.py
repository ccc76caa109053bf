"""`Counter`: a metric that counts events."""

from __future__ import annotations

from typing import Self

from greenproc.future import Future
from greenproc.metrics.metric import Kind, Metric


class Counter(Metric):
    """An integer that starts at zero and only grows. Safe to use from any native thread.

    ::

        counter.increment()
        counter += 42

    Source: libprocess include/process/metrics/counter.hpp.
    """

    kind: Kind = "counter"

    def __init__(self, name: str, *, help: str = "", window: float | None = None) -> None:
        super().__init__(name, help=help, window=window)
        self._count = 0
        self.reset()

    def increment(self, by: int = 1) -> None:
        """Add *by* to the count."""
        with self._lock:
            self._count += by
            if self._history is not None:
                self._record(float(self._count))

    def reset(self) -> None:
        """Set the count to zero; the window records the zero as a value."""
        with self._lock:
            self._count = 0
            self._record(0.0)

    def __iadd__(self, by: int) -> Self:
        self.increment(by)
        return self

    def value(self) -> Future[float]:
        """Return a ready future of the count."""
        return Future(float(self._count))
