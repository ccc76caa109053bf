"""``/__processes__``: what every process of the node has in its mailbox."""

from __future__ import annotations

from typing import Any

from greenproc.future import Future, await_all
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.process.base import Process
from greenproc.process.handlers import route
from greenproc.process.manager import ProcessManager


class ProcessesEndpoint(Process):
    """Answers with the id and the queued events of each process, as JSON.

    Each process tells its own in a dispatch, so a busy one is waited for and the list shows what
    is queued behind that dispatch. One that ends first is left out.

    Source: libprocess src/process.cpp, ProcessManager::__processes__.
    """

    def __init__(self, processes: ProcessManager) -> None:
        super().__init__("__processes__")
        self._processes = processes

    @route("/", help="Every process of this node with its queued events.")
    def list_processes(self, request: Request) -> Future[Response]:
        """Ask every process and answer when all have told or ended."""
        told = [
            self._processes.dispatch(cell.pid, _describe, cell.process).recover(lambda _: None)
            for cell in self._processes.cells.values()
        ]
        return await_all(told).then(
            lambda futures: OK(
                json=[future.value for future in futures if future.value is not None]
            )
        )


def _describe(process: Process) -> dict[str, Any]:
    return {
        "id": process.pid.id,
        "events": [event.to_json() for event in process.queued_events()],
    }
