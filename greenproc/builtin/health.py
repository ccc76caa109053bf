"""Liveness and readiness probes for orchestrators."""

from __future__ import annotations

from typing import Any

from greenproc.http.response import NOSNIFF, OK, Response, ServiceUnavailable
from greenproc.process.help import DESCRIPTION, HELP, TLDR
from greenproc.process.manager import ProcessManager
from greenproc.process.record import ProcessState


class Readiness:
    """The readiness of a node: ready from its start until it drains or stops.

    Args:
        signals: the signals of the runtime.
        processes: its process manager.
    """

    def __init__(self, signals: Any, processes: ProcessManager) -> None:
        self._processes = processes
        self._end: str | None = None
        signals.runtime_draining.connect(self._note_draining)
        signals.runtime_stopping.connect(self._note_stopping)

    def respond(self, ids: str) -> Response:
        """Return 200, or 503 with the reason.

        Args:
            ids: a comma-separated list of ids of processes that must be initialized as well.
        """
        reason = self._end or self._find_missing(filter(None, ids.split(",")))
        if reason is None:
            return OK("ready\n", headers=[NOSNIFF])
        return ServiceUnavailable(f"{reason}\n", headers=[NOSNIFF])

    def _find_missing(self, ids: Any) -> str | None:
        for id in ids:
            record = self._processes.records.get(id)
            if record is None:
                return f"there is no process {id!r}"
            if record.state is ProcessState.BOTTOM:
                return f"the process {id!r} is not initialized yet"
        return None

    def _note_draining(self, runtime: object) -> None:
        self._end = "the node drains"

    def _note_stopping(self, runtime: object) -> None:
        self._end = "the node stops"


LIVE_HELP = HELP(
    TLDR("Liveness probe: 200, unless the hub is blocked."),
)
READY_HELP = HELP(
    TLDR("Readiness probe: 200, or 503 while the node does not accept work."),
    DESCRIPTION(
        "* `process=ID,...`: processes that must be running and initialized as well.",
    ),
)
