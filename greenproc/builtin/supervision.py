"""The supervision trees of a node, and their metrics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from greenproc.builtin.mailbox_summary import in_turns
from greenproc.metrics import Metric, PulledFamily
from greenproc.process.manager import ProcessManager
from greenproc.process.ports import Supervising
from greenproc.process.record import BOTTOM
from greenproc.supervision import ChildCounts, ChildInfo
from greenproc.supervision.reports import reason_text

LISTED = 100
"""The default number of listed rows."""

MAX_LISTED = 1000

MAX_DEPTH = 100  # levels, since each is a frame of recursion

MAX_FAMILY = 100  # supervisors in a snapshot of the metrics


def supervision_tree(manager: ProcessManager, limit: int) -> dict[str, Any]:
    """Return the supervision trees as rows, each supervisor followed by its children.

    The tables are read directly, so a supervisor that is blocked is listed too.

    Args:
        manager: the process manager of the runtime.
        limit: the maximum number of rows.
    """
    now = manager.clock.now(None)
    rows = _rows(manager, now)
    listed = list(islice(rows, limit))
    return {"rows": listed, "has_more": next(rows, None) is not None}


def _rows(manager: ProcessManager, now: float) -> Iterator[dict[str, Any]]:
    for process_record in in_turns(list(manager.records.values())):
        supervising = process_record.supervising
        if supervising is not None and process_record.supervised is None:
            state = "starting" if process_record.state is BOTTOM else "running"
            row = {"id": process_record.pid.id, "depth": 0, "state": state, "restarts": 0}
            yield {**row, **_of_supervisor(supervising)}
            yield from _children(manager, supervising, now, 1)


def _children(
    manager: ProcessManager, supervising: Supervising, now: float, depth: int
) -> Iterator[dict[str, Any]]:
    for info in supervising.describe():
        process_record = manager.records.get(info.id) if info.pid is not None else None
        below = None if process_record is None else process_record.supervising
        yield {**_of_child(info, now, depth), **({} if below is None else _of_supervisor(below))}
        if below is not None and depth < MAX_DEPTH:
            yield from _children(manager, below, now, depth + 1)


def _of_child(info: ChildInfo, now: float, depth: int) -> dict[str, Any]:
    return {
        "id": info.id,
        "depth": depth,
        "state": info.state.value,
        "restart": info.restart,
        "incarnation": info.incarnation,
        "restarts": info.restarts,
        "last_reason": _last_reason(info),
        "ended_at": info.ended_at,
        "started_at": info.started_at,
        "due_in_secs": None if info.due_at is None else max(info.due_at - now, 0.0),
    }


def _last_reason(info: ChildInfo) -> str | None:
    """Return the reason of the last end of a child as text; None if it never ended."""
    if info.ended_at is None:
        return None
    return "terminated" if info.last_reason is None else reason_text(info.last_reason)


def _of_supervisor(supervising: Supervising) -> dict[str, Any]:
    limit = supervising.describe_limit()
    return {
        "strategy": limit["strategy"],
        "limit": f"{limit['restarts_within']} of {limit['max_restarts']} in {limit['within']} s",
    }


def supervision_metrics(manager: ProcessManager, prefix: str) -> list[Metric]:
    """Return the metrics of supervisors, labelled by their ids.

    Args:
        manager: the process manager of the runtime.
        prefix: the prefix of the metric names.
    """
    counts = manager.runtime.supervision
    return [
        PulledFamily(
            f"{prefix}supervisor_restarts",
            "supervisor",
            lambda: dict(counts.restarts),
            help="Restarts of children.",
            kind="counter",
        ),
        PulledFamily(
            f"{prefix}supervisor_gave_up",
            "supervisor",
            lambda: dict(counts.gave_up),
            help="How often a child needed too many restarts.",
            kind="counter",
        ),
        PulledFamily(
            f"{prefix}supervisor_children",
            "supervisor",
            lambda: {id: counts.specs for id, counts in _counts(manager)},
            help="Children, those that do not run included.",
        ),
        PulledFamily(
            f"{prefix}supervisor_active",
            "supervisor",
            lambda: {id: counts.active for id, counts in _counts(manager)},
            help="Children that run.",
        ),
    ]


def _counts(manager: ProcessManager) -> Iterator[tuple[str, ChildCounts]]:
    """Return the counts of children of up to `MAX_FAMILY` supervisors."""
    process_records = in_turns(list(manager.records.values()))
    found = (
        process_record
        for process_record in process_records
        if process_record.supervising is not None
    )
    for process_record in islice(found, MAX_FAMILY):
        if process_record.supervising is not None:
            yield process_record.pid.id, process_record.supervising.count()
