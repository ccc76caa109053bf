"""What orchestrators ask a node: does it live, and does it take work?"""

from __future__ import annotations

from typing import Any

from greenproc.http.response import NOSNIFF, OK, Response, ServiceUnavailable
from greenproc.process.cell import State
from greenproc.process.help import DESCRIPTION, HELP, TLDR
from greenproc.process.manager import ProcessManager


class Readiness:
    """Whether a node takes work: from its start until it drains or stops.

    Args:
        signals: those of the runtime, which tell when it drains.
    """

    def __init__(self, signals: Any, processes: ProcessManager) -> None:
        self._processes = processes
        self._end: str | None = None
        signals.runtime_draining.connect(self._note_draining)
        signals.runtime_stopping.connect(self._note_stopping)

    def respond(self, ids: str) -> Response:
        """Answer 200, or 503 with the reason.

        Args:
            ids: of processes that have to be initialized as well, with commas between them.
        """
        reason = self._end or self._find_missing(filter(None, ids.split(",")))
        if reason is None:
            return OK("ready\n", headers=[NOSNIFF])
        return ServiceUnavailable(f"{reason}\n", headers=[NOSNIFF])

    def _find_missing(self, ids: Any) -> str | None:
        for id in ids:
            cell = self._processes.cells.get(id)
            if cell is None:
                return f"there is no process {id!r}"
            if cell.state is State.BOTTOM:
                return f"the process {id!r} is not initialized yet"
        return None

    def _note_draining(self, runtime: object) -> None:
        self._end = "the node drains"

    def _note_stopping(self, runtime: object) -> None:
        self._end = "the node stops"


LIVE_HELP = HELP(
    TLDR("Whether the node lives: 200, unless something blocks its hub."),
)
READY_HELP = HELP(
    TLDR("Whether the node takes work: 200, or 503 when it does not yet or not any more."),
    DESCRIPTION(
        "* `process=ID,...`: only when these processes are there, and have been initialized.",
    ),
)
