"""``/``: the live status page of a node, its state as JSON, and its own metrics."""

from __future__ import annotations

import os
import platform
import re
from functools import partial
from html import escape
from itertools import islice
from typing import Any

from greenproc.builtin.health import LIVE_HELP, READY_HELP, Readiness
from greenproc.builtin.help import is_builtin, route_options
from greenproc.builtin.hub_lag import HubLag
from greenproc.builtin.mailbox_summary import mailbox_summary, read_limit, served
from greenproc.builtin.node_metrics import NodeMetrics
from greenproc.builtin.page import ASSETS, NODE_ID, asset, page
from greenproc.builtin.process_view import as_text as process_text
from greenproc.builtin.process_view import describe_process
from greenproc.builtin.recorder import MAX_SECONDS, MAX_TEXT, MAX_WATCHED, NodeRecorder
from greenproc.builtin.supervision import LISTED, MAX_LISTED, supervision_tree
from greenproc.builtin.system import resident_bytes
from greenproc.builtin.traffic import MAX_PAIRS
from greenproc.errors import InvalidArgument
from greenproc.http.cors import refuse_foreign
from greenproc.http.negotiate import MediaType, negotiate
from greenproc.http.request import Request
from greenproc.http.response import NOSNIFF, OK, BadRequest, NotFound, Response
from greenproc.http.status import Status
from greenproc.metrics import Metric, Registry
from greenproc.process.base import Process
from greenproc.process.handlers import route
from greenproc.process.help import DESCRIPTION, HELP, TLDR
from greenproc.process.record import ProcessRecord
from greenproc.timestamp import parse_duration

SHOWN = 100
"""The number of processes on the page, those with the most queued events."""

MAX_SHOWN = 1000

LETTERS = 10
"""The number of dead letters on the page, the latest ones."""

PAIRS = 30
"""The default number of pairs in the traffic graph."""

SCRIPT = "text/javascript; charset=utf-8"
FILES = {
    "style.css": "text/css; charset=utf-8",
    **dict.fromkeys(("live.js", "graph.js", "node.js", "process.js"), SCRIPT),
}
"""The assets of all pages and their media types."""


class Node(Process):
    """Serves the status pages of the node: mailboxes, traffic, supervision and dead letters.

    Args:
        realm: the authentication realm; None disables authentication.
    """

    def __init__(
        self,
        node_metrics: NodeMetrics,
        registry: Registry,
        readiness: Readiness,
        realm: str | None,
    ) -> None:
        super().__init__(NODE_ID)
        self._vitals = node_metrics
        self._registry = registry
        self._metrics: list[Metric] = []
        self._lag: HubLag | None = None
        self._readiness = readiness
        self._started = 0.0
        self._recorder = NodeRecorder(node_metrics.processes)
        self.route("/", self.on_page, help=PAGE_HELP, realm=realm)
        self.route("/state", self.on_state, help=STATE_HELP, realm=realm)
        self.route("/supervision", self.on_supervision, help=SUPERVISION_HELP, realm=realm)
        self.route("/process", self.on_process, help=PROCESS_HELP, realm=realm)
        self.route("/traffic", self.on_traffic, help=TRAFFIC_HELP, realm=realm)
        for name, media_type in FILES.items():
            self.route(f"/{name}", partial(on_file, name, media_type), help="")

    def initialize(self) -> None:
        self._started = self.runtime.clock.now(None)
        self._lag = HubLag()
        self._metrics = self._vitals.metrics(self._lag)
        for metric in self._metrics:
            self._registry.add(metric)
        self._lag.start()

    def finalize(self) -> None:
        self._recorder.close()
        if self._lag is not None:
            self._lag.stop()
        for metric in self._metrics:
            self._registry.remove(metric)

    def on_page(self, request: Request, principal: object = None) -> Response:
        """Serve the status of the node as HTML, text or JSON."""
        media_type = negotiate(request)
        if media_type is MediaType.JSON:
            return OK(json=self.state())
        if media_type is MediaType.MARKDOWN:
            return OK(as_text(self.state()), headers=[NOSNIFF])
        body = (ASSETS / "node.html").read_text("utf-8")
        title = str(self.runtime.address)
        return page(request.url.path, title, body, scripts=("live.js", "graph.js", "node.js"))

    def on_state(self, request: Request, principal: object = None) -> Response:
        """Serve the data of the page as JSON."""
        query = request.url.query
        limit = query.get("limit", str(SHOWN))
        if not re.fullmatch("[0-9]{1,4}", limit) or int(limit) > MAX_SHOWN:
            return BadRequest(f"expected a limit from 0 to {MAX_SHOWN}, got '{limit}'.\n")
        return OK(json=self.state(int(limit), query.get("filter", "")))

    def on_supervision(self, request: Request, principal: object = None) -> Response:
        """Serve the supervision trees as JSON."""
        limit = read_limit(request.url.query, default=LISTED, most=MAX_LISTED)
        if isinstance(limit, Response):
            return limit
        return OK(json=supervision_tree(self._vitals.processes, limit))

    def on_process(self, request: Request, principal: object = None) -> Response:
        """Serve the status of one process as HTML, text or JSON."""
        id = request.url.query.get("id", "")
        seconds = read_watch(request)
        if isinstance(seconds, Response):
            return seconds
        if not id:
            return BadRequest("expected the id of a process, as in ?id=ID.\n")
        media_type = negotiate(request)
        record = self._vitals.processes.records.get(id)
        process = None if record is None else record.process
        if record is None or process is None:
            return self._no_process(request, id, media_type)
        if media_type is MediaType.HTML:
            body = (ASSETS / "process.html").read_text("utf-8")
            return page(request.url.path, id, body, scripts=("live.js", "process.js"))
        is_refused = bool(seconds) and self._recorder.watch(record, seconds) is None
        watch = self._recorder.find_watch(record)
        told = describe_process(self._vitals.processes, record, process, watch)
        if media_type is MediaType.MARKDOWN:
            return OK(process_text(told), headers=[NOSNIFF])
        refusal = f"{MAX_WATCHED} other processes are watched" if is_refused else None
        return OK(json={**told, "not_recorded": refusal})

    def _no_process(self, request: Request, id: str, media_type: MediaType) -> Response:
        """Return 404, with the end of the process if one with that id is on record."""
        processes = self._vitals.processes
        shown = repr(id[:MAX_TEXT])
        end = "is being restarted" if id in processes.gaps else processes.ended.find_end(id)
        text = f"there is no process {shown}" if end is None else f"process {shown} {end}"
        if media_type is not MediaType.HTML:
            return NotFound(f"{text}\n")
        body = f"<h1>Not found</h1><p>{escape(text)}</p>"
        return page(request.url.path, "Not found", body, status=Status.NOT_FOUND)

    def on_traffic(self, request: Request, principal: object = None) -> Response:
        """Serve the sender and receiver pairs with the most traffic as JSON."""
        limit = read_limit(request.url.query, default=PAIRS, most=MAX_PAIRS)
        if isinstance(limit, Response):
            return limit
        seconds = read_watch(request)
        if isinstance(seconds, Response):
            return seconds
        if seconds:
            self._recorder.watch_traffic(seconds)
        with_builtins = request.url.query.get("builtin") == "1"
        return OK(json=self._recorder.describe_traffic(limit, with_builtins=with_builtins))

    @route("/live", help=LIVE_HELP)
    def on_live(self, request: Request) -> Response:
        """Return 200: a blocked hub would not call this handler."""
        return OK("live\n", headers=[NOSNIFF])

    @route("/ready", help=READY_HELP)
    def on_ready(self, request: Request) -> Response:
        """Return 200 while the node accepts work, else 503; 400 for an unknown parameter."""
        unknown = sorted(request.url.query.keys() - {"process"})
        if unknown:
            return BadRequest(f"expected no parameter but process, got {unknown[0]!r:.200}\n")
        return self._readiness.respond(request.url.query.get("process", ""))

    def state(self, limit: int = SHOWN, part_of_id: str = "") -> dict[str, Any]:
        """Return the data of the page.

        Args:
            limit: the maximum number of processes.
            part_of_id: the substring that the ids of listed processes contain.
        """
        node_metrics, lag = self._vitals, self._lag
        seen = mailbox_summary(
            node_metrics.processes, limit, lambda record: part_of_id in record.pid.id
        )
        assert lag is not None
        return {
            "address": str(self.runtime.address),
            "os_pid": os.getpid(),
            "python": platform.python_version(),
            "uptime_secs": self.runtime.clock.now(None) - self._started,
            "totals": {
                "processes": node_metrics.statistic("processes", "processes"),
                "busy": node_metrics.statistic("processes", "busy"),
                "queued": seen.queued,
                "served": seen.served,
                "messages_in": node_metrics.messages_in(),
                "messages_out": node_metrics.statistic("outbound", "sent"),
                "http_requests": node_metrics.http_requests(),
                "dropped": sum(node_metrics.dropped.values()),
                "connections_in": node_metrics.statistic("inbound", "connections"),
                "max_connections_in": node_metrics.statistic("inbound", "max_connections"),
                "connections_out": node_metrics.statistic("outbound", "connections"),
                "timers": node_metrics.statistic("clock", "timers"),
                "hub_lag_secs": lag.last,
                "hub_lag_longest_secs": lag.longest,
                "resident_bytes": resident_bytes(),
            },
            "supervision": supervision_tree(node_metrics.processes, SHOWN),
            "dead_letters": self._dead_letters(),
            "matching": seen.processes,
            "processes": [told for record in seen.deepest if (told := describe(record))],
        }

    def _dead_letters(self) -> dict[str, Any]:
        letters = self.runtime.dead_letters
        last = islice(reversed(letters), LETTERS)
        return {"total": letters.total, "letters": [one.to_json() for one in last]}


def on_file(name: str, media_type: str, request: Request) -> Response:
    """Serve an asset of the pages."""
    return asset(name, media_type)


def read_watch(request: Request) -> float | Response:
    """Return the duration of the watch that *request* starts in seconds, or a 400 response."""
    text = request.url.query.get("watch")
    if text is None:
        return 0.0
    refusal = refuse_foreign(request)
    if refusal is not None:
        return refusal
    try:
        seconds = parse_duration(text)
    except InvalidArgument:
        seconds = 0.0
    if not 0.0 < seconds <= MAX_SECONDS:
        return BadRequest(
            f"expected a watch such as 10secs, up to {MAX_SECONDS}secs, got '{text:.20}'.\n"
        )
    return seconds


def describe(record: ProcessRecord) -> dict[str, Any] | None:
    """Return the row of a process on the page; None if the process has ended."""
    process = record.process
    if process is None:
        return None
    return {
        "id": record.pid.id,
        "class": type(process).__name__,
        "state": record.state.value,
        "queued": len(record.events or ()),
        "served": served(record),
        "builtin": is_builtin(process),
        "supervisor": None if record.supervised is None else record.supervised.supervisor.id,
        "help": bool(route_options(process)),
    }


def as_text(state: dict[str, Any]) -> str:
    """Return the state of a node as plain text for a terminal."""
    totals, listed = state["totals"], state["processes"]
    width = max([len("PROCESS"), *(len(process["id"]) for process in listed)])
    rows = [
        f"{process['id']:<{width}}  {process['queued']:>8}  {process['served']:>12}"
        for process in listed
    ]
    first = (
        f"node {state['address']}, up {state['uptime_secs']:.0f} s, "
        f"{totals['processes']:.0f} processes, {totals['queued']} events queued, "
        f"{totals['served']} served, {totals['dropped']} messages dropped"
    )
    head = f"{'PROCESS':<{width}}  {'QUEUED':>8}  {'SERVED':>12}"
    hidden = state["matching"] - len(listed)
    more = [f"and {hidden} more"] if hidden > 0 else []
    return "\n".join([first, "", head, *rows, *more, ""])


PAGE_HELP = HELP(
    TLDR("The node at a glance."),
    DESCRIPTION(
        "Also at `/` when there is no delegate. Browsers get a page that keeps itself up to date,",
        "terminals a table; the query `format=json` gets the same as `/__node__/state`.",
    ),
)
PROCESS_HELP = HELP(
    TLDR("One process: its mailbox, links, handlers, memory, and where it waits."),
    DESCRIPTION(
        "Browsers get a page that keeps itself up to date, terminals a text, and the query",
        "`format=json` what the page shows.",
        "",
        "* `id=ID`: of the process, escaped; 404 if there is none.",
        "* `watch=DURATION`: record its events from now on for so long, such as `10secs`, at most",
        f"  `{MAX_SECONDS}secs`; {MAX_WATCHED} processes at once.",
    ),
)
TRAFFIC_HELP = HELP(
    TLDR("Which processes and nodes talk to each other most, as JSON."),
    DESCRIPTION(
        "Messages, dispatches and requests are counted while a watch lasts.",
        "",
        "* `watch=DURATION`: count from now on for so long, such as `10secs`, at most",
        f"  `{MAX_SECONDS}secs`;",
        f"* `limit=N`: how many pairs are listed, {PAIRS} if not given, at most {MAX_PAIRS};",
        "* `builtin=1`: those of the node's own processes, too.",
    ),
)
STATE_HELP = HELP(
    TLDR("What the page of the node shows, as JSON."),
    DESCRIPTION(
        f"* `limit=N`: how many processes are listed, {SHOWN} if not given, at most {MAX_SHOWN};",
        "  those with the most queued events come first.",
        "* `filter=TEXT`: only processes with that text in their ids.",
    ),
)
SUPERVISION_HELP = HELP(
    TLDR("The supervisors of the node with their children, as JSON."),
    DESCRIPTION(
        "Each row has a `depth`: children follow their supervisor, in the order of their starts.",
        "",
        f"* `limit=N`: how many rows are listed, {LISTED} if not given, at most {MAX_LISTED};",
        "  `has_more` tells whether there are more.",
    ),
)
