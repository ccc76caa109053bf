"""`mailbox_summary`: the queued events of all processes of a node."""

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

RECORDS_A_TURN = 5000  # about 0.2 us each; then the loop yields to the hub


@dataclass(frozen=True, slots=True)
class Page:
    """The range of a list that a request selects."""

    limit: int
    offset: int


def read_page(query: Mapping[str, str], *, default: int, most: int) -> Page | Response:
    """Return the `Page` that ``limit`` and ``offset`` of *query* select, or a 400 response.

    Args:
        default: the limit of a query without one.
        most: the maximum limit.
    """
    limit = read_limit(query, default=default, most=most)
    if isinstance(limit, Response):
        return limit
    offset = query.get("offset", "0")
    if not re.fullmatch("[0-9]{1,9}", offset):
        return BadRequest(f"expected an offset from 0 to 999999999, got '{offset:.20}'.\n")
    return Page(limit, int(offset))


def read_limit(query: Mapping[str, str], *, default: int, most: int) -> int | Response:
    """Return the ``limit`` of *query*, or a 400 response."""
    limit = query.get("limit", str(default))
    if not re.fullmatch("[0-9]{1,9}", limit) or int(limit) > most:
        return BadRequest(f"expected a limit from 0 to {most}, got '{limit:.20}'.\n")
    return int(limit)


def in_turns(items: Iterable[T]) -> Iterator[T]:
    """Yield *items*, and yield to the hub after every `RECORDS_A_TURN` of them."""
    for position, item in enumerate(items, start=1):
        if position % RECORDS_A_TURN == 0:
            yield_to_io()
        yield item


@dataclass(slots=True)
class MailboxSummary:
    """The sums of all mailboxes, and the processes with the most queued events."""

    processes: int = 0
    queued: int = 0
    served: int = 0
    deepest: list[ProcessRecord] = field(default_factory=list)


def mailbox_summary(
    manager: ProcessManager,
    limit: int,
    wanted: Callable[[ProcessRecord], bool] = lambda record: True,
) -> MailboxSummary:
    """Summarize all mailboxes; yields to the hub at intervals, so processes may end meanwhile.

    Args:
        limit: the maximum number of listed processes, those with the most queued events.
        wanted: the predicate of processes that are listed and counted; the sums cover all.
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
    """Return the number of events that the process of *record* has served, its turn included."""
    return record.served + max(record.serving - 1, 0)


def _weight(record: ProcessRecord) -> tuple[int, int]:
    return len(record.events or ()), record.served
