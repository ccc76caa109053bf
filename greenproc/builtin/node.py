"""``/``: the node at a glance, live, and the metrics that a node has of itself."""

from __future__ import annotations

import os
import platform
import re
from typing import Any

from greenproc.builtin.health import LIVE_HELP, READY_HELP, Readiness
from greenproc.builtin.help import is_builtin, route_options
from greenproc.builtin.hub_lag import HubLag
from greenproc.builtin.page import ASSETS, NODE_ID, asset, page
from greenproc.builtin.supervision import LISTED, MAX_LISTED, supervision_tree
from greenproc.builtin.survey import read_limit, served, survey
from greenproc.builtin.system import resident_bytes
from greenproc.builtin.vitals import Vitals
from greenproc.http.negotiate import MediaType, negotiate
from greenproc.http.request import Request
from greenproc.http.response import NOSNIFF, OK, BadRequest, Response
from greenproc.metrics import Metric, Registry
from greenproc.process.base import Process
from greenproc.process.cell import Cell
from greenproc.process.handlers import route
from greenproc.process.help import DESCRIPTION, HELP, TLDR

SHOWN = 100
"""How many processes the page shows, those with the most queued events."""

MAX_SHOWN = 1000


class Node(Process):
    """Shows the node in a browser: what its processes have to do, and what it sends and drops.

    Args:
        realm: whose principals may look; None needs no principal.
    """

    def __init__(
        self, vitals: Vitals, registry: Registry, readiness: Readiness, realm: str | None
    ) -> None:
        super().__init__(NODE_ID)
        self._vitals = vitals
        self._registry = registry
        self._metrics: list[Metric] = []
        self._lag: HubLag | None = None
        self._readiness = readiness
        self._started = 0.0
        self.route("/", self.on_page, help=PAGE_HELP, realm=realm)
        self.route("/state", self.on_state, help=STATE_HELP, realm=realm)
        self.route("/supervision", self.on_supervision, help=SUPERVISION_HELP, realm=realm)

    def initialize(self) -> None:
        self._started = self.runtime.clock.now(None)
        self._lag = HubLag()
        self._metrics = self._vitals.metrics(self._lag)
        for metric in self._metrics:
            self._registry.add(metric)
        self._lag.start()

    def finalize(self) -> None:
        if self._lag is not None:
            self._lag.stop()
        for metric in self._metrics:
            self._registry.remove(metric)

    def on_page(self, request: Request, principal: object = None) -> Response:
        """Answer with the page, or with what it shows as text or JSON."""
        media_type = negotiate(request)
        if media_type is MediaType.JSON:
            return OK(json=self.state())
        if media_type is MediaType.MARKDOWN:
            return OK(as_text(self.state()), headers=[NOSNIFF])
        body = (ASSETS / "node.html").read_text("utf-8")
        title = str(self.runtime.address)
        return page(request.url.path, title, body, script="node.js")

    def on_state(self, request: Request, principal: object = None) -> Response:
        """Answer with what the page shows, as JSON."""
        query = request.url.query
        limit = query.get("limit", str(SHOWN))
        if not re.fullmatch("[0-9]{1,4}", limit) or int(limit) > MAX_SHOWN:
            return BadRequest(f"expected a limit from 0 to {MAX_SHOWN}, got '{limit}'.\n")
        return OK(json=self.state(int(limit), query.get("filter", "")))

    def on_supervision(self, request: Request, principal: object = None) -> Response:
        """Answer with the supervisors and their children, as JSON."""
        limit = read_limit(request.url.query, default=LISTED, most=MAX_LISTED)
        if isinstance(limit, Response):
            return limit
        return OK(json=supervision_tree(self._vitals.processes, limit))

    @route("/live", help=LIVE_HELP)
    def on_live(self, request: Request) -> Response:
        """Answer 200: the hub turns, or this would not be called."""
        return OK("live\n", headers=[NOSNIFF])

    @route("/ready", help=READY_HELP)
    def on_ready(self, request: Request) -> Response:
        """Answer 200 while the node takes work, else 503; 400 to a probe that is misspelled."""
        unknown = sorted(request.url.query.keys() - {"process"})
        if unknown:
            return BadRequest(f"expected no parameter but process, got {unknown[0]!r:.200}\n")
        return self._readiness.respond(request.url.query.get("process", ""))

    @route("/style.css", help="")
    def on_style(self, request: Request) -> Response:
        """Answer with the style of all pages."""
        return asset("style.css", "text/css; charset=utf-8")

    @route("/node.js", help="")
    def on_script(self, request: Request) -> Response:
        """Answer with the script of the page."""
        return asset("node.js", "text/javascript; charset=utf-8")

    def state(self, limit: int = SHOWN, part_of_id: str = "") -> dict[str, Any]:
        """Return what the page shows.

        Args:
            part_of_id: only processes with this in their ids are listed.
        """
        vitals, lag = self._vitals, self._lag
        seen = survey(vitals.processes, limit, lambda cell: part_of_id in cell.pid.id)
        assert lag is not None
        return {
            "address": str(self.runtime.address),
            "os_pid": os.getpid(),
            "python": platform.python_version(),
            "uptime_secs": self.runtime.clock.now(None) - self._started,
            "totals": {
                "processes": vitals.told("processes", "processes"),
                "busy": vitals.told("processes", "busy"),
                "queued": seen.queued,
                "served": seen.served,
                "messages_in": vitals.messages_in(),
                "messages_out": vitals.told("outbound", "sent"),
                "http_requests": vitals.http_requests(),
                "dropped": sum(vitals.dropped.values()),
                "connections_in": vitals.told("inbound", "connections"),
                "max_connections_in": vitals.told("inbound", "max_connections"),
                "connections_out": vitals.told("outbound", "connections"),
                "timers": vitals.told("clock", "timers"),
                "hub_lag_secs": lag.last,
                "hub_lag_longest_secs": lag.longest,
                "resident_bytes": resident_bytes(),
            },
            "supervision": supervision_tree(vitals.processes, SHOWN),
            "matching": seen.processes,
            "processes": [told for cell in seen.deepest if (told := describe(cell))],
        }


def describe(cell: Cell) -> dict[str, Any] | None:
    """Return what the page shows of a process; None if it has just ended."""
    process = cell.process
    if process is None:
        return None
    return {
        "id": cell.pid.id,
        "class": type(process).__name__,
        "state": cell.state.value,
        "queued": len(cell.events or ()),
        "served": served(cell),
        "builtin": is_builtin(process),
        "supervisor": None if cell.supervised is None else cell.supervised.supervisor.id,
        "help": bool(route_options(process)),
    }


def as_text(state: dict[str, Any]) -> str:
    """Return the state of a node as a terminal shows it."""
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
