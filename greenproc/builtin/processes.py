"""``/__processes__``: what every process of the node has in its mailbox."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

from greenproc.builtin.survey import Page, in_turns, read_page
from greenproc.future import Future, await_all
from greenproc.http.request import Request
from greenproc.http.response import OK, Response, ServiceUnavailable
from greenproc.process.base import Process, cell_of
from greenproc.process.help import DESCRIPTION, HELP, TLDR
from greenproc.process.mailbox import as_event
from greenproc.process.manager import ProcessManager
from greenproc.sync.sequence import Sequence

WAIT_SECONDS = 1.0
"""How long a busy process is waited for."""

MAX_LISTED = 1000
"""How many processes one answer lists; `offset` gets the others."""

MAX_EVENTS = 100
"""How many events of a process are shown, the oldest ones; a further key tells how many wait."""

MAX_TEXT = 1024
"""How many characters of a name, an address or a body are shown."""

MAX_WAITING = 100
"""How many requests may wait for their survey; more are answered with 503."""


class ProcessesEndpoint(Process):
    """Answers with the id and the queued events of each process, as JSON.

    Each process tells its own in a dispatch, so a busy one is waited for and the list shows what
    is queued behind that dispatch. One that ends first is left out; of one that is still busy
    after a second, the list shows what is queued at that time, the dispatch included.

    One survey is made at a time, of a thousand processes and their oldest hundred events.

    Args:
        realm: whose principals may look; None lets everybody.

    Source: libprocess src/process.cpp, ProcessManager::__processes__.
    Differs: there a busy process is waited for however long that takes, everybody may look, and
    the answer has no bound.
    """

    def __init__(self, processes: ProcessManager, realm: str | None = None) -> None:
        super().__init__("__processes__")
        self._processes = processes
        self._surveys = Sequence("surveys of processes")
        self._waiting = 0
        self.route("/", self.list_processes, help=PROCESSES_HELP, realm=realm)

    def finalize(self) -> None:
        self._surveys.close()

    def list_processes(self, request: Request, principal: object = None) -> Any:
        """Ask a part of the processes and answer when all have told or ended, or in a second."""
        wanted = read_page(request.url.query, default=MAX_LISTED, most=MAX_LISTED)
        if isinstance(wanted, Response):
            return wanted
        if self._waiting >= MAX_WAITING:
            return ServiceUnavailable()
        self._waiting += 1
        answer = self._surveys.add(partial(self._survey, wanted))
        answer.on_any(self._note_answer)
        return answer

    def _note_answer(self, _answer: Future[Response]) -> None:
        self._waiting -= 1

    def _survey(self, wanted: Page) -> Future[Response]:
        cells = islice(self._processes.cells.values(), wanted.offset, wanted.offset + wanted.limit)
        asked = [
            (process, self._processes.dispatch(process.pid, _describe, process).recover(_nothing))
            for cell in in_turns(list(cells))
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
    queued = cell_of(process).events or ()
    events = [
        {key: value[:MAX_TEXT] for key, value in as_event(item).to_json().items()}
        for item in islice(queued, MAX_EVENTS)
    ]
    described = {"id": process.pid.id[:MAX_TEXT], "events": events}
    return {**described, "queued": len(queued)} if len(queued) > MAX_EVENTS else described


PROCESSES_HELP = HELP(
    TLDR("Every process of this node with its queued events."),
    DESCRIPTION(
        f"* `limit=N`: how many processes are listed, {MAX_LISTED} at most and if not given;",
        "* `offset=N`: how many are left out before them.",
        "",
        f"The oldest {MAX_EVENTS} events of each are shown, with the first {MAX_TEXT} characters of",
        "every text; `queued` tells how many wait, if that is more.",
    ),
)
