"""`survey`: all processes of a node at one glance."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import gevent

from greenproc.process.cell import Cell
from greenproc.process.manager import ProcessManager

CELLS_A_TURN = 5000  # of which each takes about 0.2 us; then others have their turn


@dataclass(slots=True)
class Survey:
    """What the processes have to do, altogether, and those of them who have the most."""

    processes: int = 0
    queued: int = 0
    served: int = 0
    deepest: list[Cell] = field(default_factory=list)


def survey(
    manager: ProcessManager,
    limit: int,
    wanted: Callable[[Cell], bool] = lambda cell: True,
) -> Survey:
    """Look at all processes; gives others their turn now and then, so it may take a while.

    Args:
        limit: how many of those with the most queued events are listed, at most.
        wanted: which are listed and counted as processes; the sums are about all.
    """
    found = Survey(served=manager.served_by_ended)

    def candidates() -> Iterator[Cell]:
        for position, cell in enumerate(list(manager.cells.values()), start=1):
            if position % CELLS_A_TURN == 0:
                gevent.sleep(0)
            found.queued += len(cell.events or ())
            found.served += served(cell)
            if wanted(cell):
                found.processes += 1
                yield cell

    found.deepest = heapq.nlargest(limit, list(candidates()), key=_weight)
    return found


def served(cell: Cell) -> int:
    """Return how many events the process of *cell* is done with, those of its turn included."""
    return cell.served + max(cell.serving - 1, 0)


def _weight(cell: Cell) -> tuple[int, int]:
    return len(cell.events or ()), cell.served
