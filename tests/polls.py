"""How often descriptors are polled while something works that takes too long for one iteration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from gevent import get_hub

from greenproc.hub.iteration_budget import HUB_ATTRIBUTE, IterationBudget


class Polls:
    """Counts the polls of this thread's hub."""

    def __init__(self) -> None:
        self.count = 0
        self._check: Any = get_hub().loop.check(ref=False)
        self._check.start(self._add)

    def _add(self) -> None:
        self.count += 1

    def close(self) -> None:
        """Count no more."""
        self._check.close()


@contextmanager
def no_time() -> Iterator[Polls]:
    """Within the block each piece of work has taken the time of its iteration of the loop."""
    hub = get_hub()
    polls = Polls()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vars(hub), HUB_ATTRIBUTE, IterationBudget(hub, 0.0))
        try:
            yield polls
        finally:
            polls.close()
