"""``/__processes__``: the processes of the node with their queued events."""

from __future__ import annotations

import heapq
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from greenproc.builtin.mailbox_summary import in_turns, read_limit
from greenproc.future import Future, await_all
from greenproc.http.request import Request
from greenproc.http.response import OK, BadRequest, Response, ServiceUnavailable
from greenproc.process.base import Process, record_of
from greenproc.process.help import DESCRIPTION, HELP, TLDR
from greenproc.process.mailbox import as_event
from greenproc.process.manager import ProcessManager
from greenproc.sync.sequence import Sequence

WAIT_SECONDS = 1.0
"""The time limit for the reply of a busy process in seconds."""

MAX_LISTED = 1000
"""The maximum number of processes in a response; `after` selects the next page."""

MAX_EVENTS = 100
"""The maximum number of events of a process, the oldest ones; ``queued`` has their total."""

MAX_TEXT = 1024
"""The maximum length of a name, address or body in characters."""

MAX_WAITING = 100
"""The maximum number of queued requests; further ones get 503."""


class ProcessesEndpoint(Process):
    """Serves the id and the queued events of each process as JSON.

    Each process reads its own mailbox in a dispatch, so the list shows the events queued behind
    that dispatch. A process that ends first is omitted. A process that is still busy after a
    second is read from outside, with the dispatch among its events.

    Requests are served one at a time, for up to 1,000 processes and the oldest 100 events of each.
    The last id of a page is the cursor of the next, so the end of a process skips no other one.

    Args:
        processes: the process manager of the runtime.
        realm: the authentication realm; None disables authentication.

    Source: libprocess src/process.cpp, ProcessManager::__processes__.
    Differs: libprocess awaits a busy process without a limit, requires no authentication, and
    bounds neither the number of processes nor that of events.
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
        """Dispatch to a page of processes; respond when all have replied or ended, or after 1 s."""
        query = request.url.query
        limit = read_limit(query, default=MAX_LISTED, most=MAX_LISTED)
        if isinstance(limit, Response):
            return limit
        if "offset" in query:
            return BadRequest("expected after=ID, the last of the page before, not an offset.\n")
        if self._waiting >= MAX_WAITING:
            return ServiceUnavailable()
        self._waiting += 1
        answer = self._surveys.add(partial(self._survey, limit, query.get("after", "")))
        answer.on_any(self._note_answer)
        return answer

    def _note_answer(self, _answer: Future[Response]) -> None:
        self._waiting -= 1

    def _survey(self, limit: int, after: str) -> Future[Response]:
        ids, is_last = self._page(limit, after)
        records = [record for id in ids if (record := self._processes.records.get(id)) is not None]
        asked = [
            (process, self._processes.dispatch(process.pid, _describe, process).recover(_nothing))
            for record in records
            if (process := record.process) is not None
        ]
        headers = {} if is_last else _link_to_next(limit, ids[-1])
        all_told = await_all([told for _, told in asked]).then(lambda _: _answer(asked, headers))

        def tell_without_them(late: Future[Any]) -> Response:
            late.discard()
            return _answer(asked, headers)

        return all_told.after(WAIT_SECONDS, tell_without_them)

    def _page(self, limit: int, after: str) -> tuple[list[str], bool]:
        """Return up to *limit* sorted ids that follow *after*, and whether they are the last."""
        ids = in_turns(list(self._processes.records))
        found = heapq.nsmallest(limit + 1, (id for id in ids if id > after))
        return found[:limit], limit == 0 or len(found) <= limit


def _link_to_next(limit: int, after: str) -> dict[str, str]:
    """Return the ``Link`` header to the next page. Source: RFC 8288."""
    return {"Link": f'<?{urlencode({"limit": limit, "after": after})}>; rel="next"'}


def _answer(asked: list[tuple[Process, Future[Any]]], headers: dict[str, str]) -> Response:
    told = (one.value if one.ready() else _describe(process) for process, one in asked)
    return OK(
        json=[description for description in told if description is not None], headers=headers
    )


def _nothing(ended: Future[Any]) -> None:
    return None


def _describe(process: Process) -> dict[str, Any]:
    queued = record_of(process).events or ()
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
        "* `after=ID`: those whose ids follow this one, in the order of ids.",
        "",
        'If there are more, the header `Link: <...>; rel="next"` has the query for them.',
        "",
        f"The oldest {MAX_EVENTS} events of each are shown, with the first {MAX_TEXT} characters of",
        "every text; `queued` tells how many wait, if that is more.",
    ),
)
