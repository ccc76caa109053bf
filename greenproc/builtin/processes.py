"""``/__processes__``: what every process of the node has in its mailbox."""

from __future__ import annotations

from typing import Any

from greenproc.future import Future, await_all
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.process.base import Process
from greenproc.process.handlers import route
from greenproc.process.manager import ProcessManager

WAIT_SECONDS = 1.0
"""How long a busy process is waited for."""


class ProcessesEndpoint(Process):
    """Answers with the id and the queued events of each process, as JSON.

    Each process tells its own in a dispatch, so a busy one is waited for and the list shows what
    is queued behind that dispatch. One that ends first is left out; of one that is still busy
    after a second, the list shows what is queued at that time, the dispatch included.

    Source: libprocess src/process.cpp, ProcessManager::__processes__.
    Differs: there a busy process is waited for however long that takes.
    """

    def __init__(self, processes: ProcessManager) -> None:
        super().__init__("__processes__")
        self._processes = processes

    @route("/", help="Every process of this node with its queued events.")
    def list_processes(self, request: Request) -> Future[Response]:
        """Ask every process and answer when all have told or ended, or in a second."""
        asked = [
            (process, self._processes.dispatch(process.pid, _describe, process).recover(_nothing))
            for cell in self._processes.cells.values()
            if (process := cell.process) is not None
        ]
        all_told = await_all([told for _, told in asked]).then(lambda _: _answer(asked))

        def tell_without_them(late: Future[Any]) -> Response:
            late.discard()
            return _answer(asked)

        return all_told.after(WAIT_SECONDS, tell_without_them)


def _answer(asked: list[tuple[Process, Future[Any]]]) -> Response:
    told = (one.value if one.ready() else _describe(process) for process, one in asked)
    return OK(json=[description for description in told if description is not None])


def _nothing(ended: Future[Any]) -> None:
    return None


def _describe(process: Process) -> dict[str, Any]:
    return {
        "id": process.pid.id,
        "events": [event.to_json() for event in process.queued_events()],
    }
