"""Generated process ids."""

from __future__ import annotations

from itertools import count


class Names:
    """Numbers ids by prefix: ``ping(1)``, ``ping(2)``, ...

    One set of counters belongs to one runtime and is never reset, so that an id is not used twice.

    Source: libprocess src/process.cpp, ID::generate.
    """

    def __init__(self) -> None:
        self._counters: dict[str, count[int]] = {}

    def generate(self, prefix: str = "") -> str:
        """Return ``prefix(n)`` with the next *n* of that prefix, 1 first."""
        counter = self._counters.get(prefix)
        if counter is None:
            counter = self._counters[prefix] = count(1)
        return f"{prefix}({next(counter)})"
