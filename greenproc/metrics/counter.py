"""`Counter`: how often something happened."""

from __future__ import annotations

from typing import Self

from greenproc.future import Future
from greenproc.metrics.metric import Kind, Metric


class Counter(Metric):
    """A whole number that grows from zero. Safe from every native thread.

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
        """Count *by* more."""
        with self._lock:
            self._count += by
            if self._history is not None:
                self._record(float(self._count))

    def reset(self) -> None:
        """Begin again at zero, which counts as a value of the window."""
        with self._lock:
            self._count = 0
            self._record(0.0)

    def __iadd__(self, by: int) -> Self:
        self.increment(by)
        return self

    def value(self) -> Future[float]:
        """Return the count, ready at once."""
        return Future(float(self._count))
