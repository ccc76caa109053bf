"""`mailbox_summary`: all processes of a node at one glance."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from greenproc.http.response import BadRequest, Response
from greenproc.hub.iteration_budget import yield_to_io
from greenproc.process.manager import ProcessManager
from greenproc.process.record import ProcessRecord

T = TypeVar("T")

RECORDS_A_TURN = 5000  # of which each takes about 0.2 us; then others have their turn


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted."""

    limit: int
    offset: int


def read_page(query: Mapping[str, str], *, default: int, most: int) -> Page | Response:
    """Return which part of a list *query* wants by ``limit`` and ``offset``, or what refuses it.

    Args:
        default: how many items are listed where the query does not say.
        most: how many it may ask for.
    """
    limit = read_limit(query, default=default, most=most)
    if isinstance(limit, Response):
        return limit
    offset = query.get("offset", "0")
    if not re.fullmatch("[0-9]{1,9}", offset):
        return BadRequest(f"expected an offset from 0 to 999999999, got '{offset:.20}'.\n")
    return Page(limit, int(offset))


def read_limit(query: Mapping[str, str], *, default: int, most: int) -> int | Response:
    """Return how many items *query* wants by ``limit``, or what refuses it."""
    limit = query.get("limit", str(default))
    if not re.fullmatch("[0-9]{1,9}", limit) or int(limit) > most:
        return BadRequest(f"expected a limit from 0 to {most}, got '{limit:.20}'.\n")
    return int(limit)


def in_turns(items: Iterable[T]) -> Iterator[T]:
    """Go through records, or what stands for them, and give others their turn now and then."""
    for position, item in enumerate(items, start=1):
        if position % RECORDS_A_TURN == 0:
            yield_to_io()
        yield item


@dataclass(slots=True)
class MailboxSummary:
    """What the processes have to do, altogether, and those of them who have the most."""

    processes: int = 0
    queued: int = 0
    served: int = 0
    deepest: list[ProcessRecord] = field(default_factory=list)


def mailbox_summary(
    manager: ProcessManager,
    limit: int,
    wanted: Callable[[ProcessRecord], bool] = lambda record: True,
) -> MailboxSummary:
    """Look at all processes; gives others their turn now and then, so it may take a while.

    Args:
        limit: how many of those with the most queued events are listed, at most.
        wanted: which are listed and counted as processes; the sums are about all.
    """
    found = MailboxSummary(served=manager.served_by_ended)

    def candidates() -> Iterator[ProcessRecord]:
        for record in in_turns(list(manager.records.values())):
            found.queued += len(record.events or ())
            found.served += served(record)
            if wanted(record):
                found.processes += 1
                yield record

    found.deepest = heapq.nlargest(limit, list(candidates()), key=_weight)
    return found


def served(record: ProcessRecord) -> int:
    """Return how many events the process of *record* is done with, those of its turn included."""
    return record.served + max(record.serving - 1, 0)


def _weight(record: ProcessRecord) -> tuple[int, int]:
    return len(record.events or ()), record.served
