"""``/help``: the documentation of each process's endpoints."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from greenproc.builtin.help_page import index_html, text_html
from greenproc.builtin.mailbox_summary import Page, in_turns, read_page
from greenproc.builtin.page import page, to_root
from greenproc.errors import InvalidURL
from greenproc.http.headers import Headers
from greenproc.http.negotiate import MediaType, negotiate
from greenproc.http.request import Request
from greenproc.http.response import NOSNIFF, OK, BadRequest, Response
from greenproc.pid import decode_id, encode_id
from greenproc.process.base import Process, declared_of, record_of, routes_of
from greenproc.process.event import HttpEvent
from greenproc.process.handlers import route
from greenproc.process.help import DESCRIPTION, HELP, TLDR, USAGE
from greenproc.process.manager import ProcessManager
from greenproc.process.route_options import RouteOptions
from greenproc.process.serving import serve_match

MARKDOWN = "text/x-markdown"  # libprocess' type, older than the registered text/markdown
MAX_LISTED = 1000
"""The maximum number of processes in the index; the rest is reachable by id."""

_AMBIGUOUS = re.compile(r"[/?#%\s]")

Endpoints: TypeAlias = dict[str, str]
"""Help texts by path, such as ``/total``, sorted by path."""


class Help(Process):
    """Serves the help of every route of the running processes.

    Each request reads the current routes, so a new route is visible at once and the help of a
    terminated process disappears.

    Args:
        processes: the process manager of the runtime.
        delegate: the id of the process whose endpoints are reachable without the id.

    Source: libprocess src/help.cpp.
    Differs: an unknown id gets the response of a terminated process, and built-in processes have
    help too.
    """

    def __init__(self, processes: ProcessManager, delegate: str | None = None) -> None:
        super().__init__("help")
        self._processes = processes
        self._delegate = delegate

    def consume_http(self, event: HttpEvent) -> None:
        """Route every path to the root route, since the segments below it are process ids."""
        root = routes_of(self).find("/")
        assert root is not None
        serve_match(record_of(self), root.found, event)

    @route(
        "/",
        help=HELP(
            TLDR("What the endpoints of all processes are for."),
            DESCRIPTION(
                "`/help` lists the processes, `/help/ID` the endpoints of one of them and",
                "`/help/ID/PATH` describes one endpoint. Browsers get HTML, terminals",
                "Markdown; the query `format=json` of `/help` gets everything as JSON.",
                f"`limit=N` and `offset=N` say which processes, {MAX_LISTED} at most, are listed.",
            ),
        ),
    )
    def on_request(self, request: Request) -> Response:
        """Serve the index, the help of a process, or that of one endpoint."""
        rest = request.url.path[1:].partition("/")[2].strip("/")
        if not rest:
            return self._index(request)
        spelled, slash, name = rest.partition("/")
        endpoints = self._find(spelled)
        if endpoints is not None and f"/{name}" not in endpoints:
            name = _with_parameters(name)
        if endpoints is None or (slash and f"/{name}" not in endpoints):
            return BadRequest(f"No help available for '/{rest}'.\n")
        id = decode_id(spelled)
        if slash:
            return self._answer(request, endpoints[f"/{name}"] + "\n", f"/{id}/{name}")
        return self._answer(request, process_markdown(id, endpoints), f"/{id}")

    def _index(self, request: Request) -> Response:
        media_type = negotiate(request)
        wanted = read_page(request.url.query, default=MAX_LISTED, most=MAX_LISTED)
        if isinstance(wanted, Response):
            return wanted
        processes, hidden = self._processes_with_help(wanted)
        if media_type is MediaType.JSON:
            return OK(json={"processes": [_to_json(id, told) for id, told in processes.items()]})
        if media_type is MediaType.HTML:
            path = request.url.path
            records = self._processes.records
            builtin = {id for id in processes if id in records and is_builtin(records[id].process)}
            return page(path, "Help", index_html(to_root(path), processes, builtin, hidden))
        return _markdown(index_markdown(list(processes), hidden))

    def _answer(self, request: Request, text: str, title: str) -> Response:
        if negotiate(request) is MediaType.HTML:
            return page(request.url.path, title, text_html(text, title))
        return _markdown(text)

    def _find(self, spelled: str) -> Endpoints | None:
        """Return the help of the process whose URL-encoded id is *spelled*; None if it has none."""
        try:
            id = decode_id(spelled)
        except InvalidURL:
            return None
        record = self._processes.records.get(id)
        if record is None or record.process is None:
            return None
        return self._help_of(id, route_options(record.process)) or None

    def _processes_with_help(self, wanted: Page) -> tuple[dict[str, Endpoints], int]:
        """Return the help of a page of processes by id, and the number of processes left out."""
        count = 0

        def found() -> Iterator[tuple[str, list[RouteOptions]]]:
            nonlocal count
            for record in in_turns(list(self._processes.records.values())):
                if record.process is not None and (options := route_options(record.process)):
                    count += 1
                    yield record.pid.id, options

        first = heapq.nsmallest(wanted.offset + wanted.limit, found(), key=lambda one: one[0])
        listed = first[wanted.offset :]
        return {id: self._help_of(id, options) for id, options in listed}, count - len(listed)

    def _help_of(self, id: str, options: list[RouteOptions]) -> Endpoints:
        told: Endpoints = {}
        for one in sorted(options, key=lambda one: (one.path, one.methods or ())):
            text = endpoint_markdown(id, one, is_delegate=id == self._delegate)
            told[one.path] = f"{told[one.path]}\n{text}" if one.path in told else text
        return told


def route_options(process: Process) -> list[RouteOptions]:
    """Return the options of the routes of *process*, without building its route table.

    Routes with an empty help text are omitted: programs use them, such as the assets of a page.
    """
    table = record_of(process).routes
    if table is not None:
        told = table.options
    else:
        told = [options for options, _ in declared_of(process).routes]
    return [options for options in told if options.help != ""]


def is_builtin(process: object) -> bool:
    """Whether *process* is one of the built-in processes."""
    return type(process).__module__.startswith("greenproc.builtin.")


def endpoint_markdown(id: str, options: RouteOptions, *, is_delegate: bool) -> str:
    """Return the help of one endpoint. Source: libprocess src/help.cpp, Help::add."""
    path = options.path.rstrip("/")
    methods = "" if options.methods is None else f"{', '.join(options.methods)} "
    # Encoded as in a URL, where the plain id would match another path.
    id = encode_id(id) if _AMBIGUOUS.search(id) else id
    body = "" if options.json is None else f"\n### BODY ###\nJSON: `{options.json.name}`.\n"
    if options.upgrade is not None:
        body += f"\n### PROTOCOL ###\n{options.upgrade.name}.\n"
    if options.help is None:
        return f"## No help page for `{methods}/{id}{path}`\n{body}"
    without_id = USAGE(f"{methods}{path or '/'}") if is_delegate else ""
    usage = f"{without_id}{USAGE(f'{methods}/{id}{path}')}"
    return f"### USAGE ###\n{usage}\n{options.help}{body}"


def index_markdown(ids: list[str], hidden: int = 0) -> str:
    """Return the list of processes. Source: libprocess src/help.cpp, Help::help."""
    more = f"> and {hidden} more\n" if hidden else ""
    links = "".join(f"> [/{_bracketed(id)}][{_bracketed(id)}]\n" for id in ids)
    targets = "".join(f"[{_bracketed(id)}]: help/{encode_id(id)}\n" for id in ids)
    return f"## HELP\n{links}{more}\n{targets}\n"


def process_markdown(id: str, endpoints: Endpoints) -> str:
    """Return the list of endpoints of a process, and the help of its root.

    Source: libprocess src/help.cpp, Help::help. Differs: libprocess omits the help of the root.
    """
    names = [f"{id}{path}" for path in endpoints if path != "/"]
    links = "".join(f"> [/{_bracketed(name)}][{_bracketed(name)}]\n" for name in names)
    targets = "".join(
        f"[{_bracketed(id + path)}]: {encode_id(id)}{_as_url(path)}\n"
        for path in endpoints
        if path != "/"
    )
    root = f"> /{id}\n" if "/" in endpoints else ""
    below = f"{endpoints['/']}\n" if "/" in endpoints else ""
    return f"## `/{id}` ##\n{root}{links}\n{below}{targets}\n"


def _as_url(path: str) -> str:
    """Percent-encode the characters of a path with parameters that a URL excludes."""
    return path.replace("<", "%3C").replace(">", "%3E")


def _with_parameters(path: str) -> str:
    """Decode the encoding of `_as_url`, which browsers apply as well."""
    return re.sub("%3[Cc]", "<", re.sub("%3[Ee]", ">", path))


def _bracketed(text: str) -> str:
    """Escape the characters that would end the text of a Markdown link."""
    return text.replace("\\", "\\\\").replace("[", r"\[").replace("]", r"\]")


def _markdown(text: str) -> Response:
    return OK(text, headers=Headers((("Content-Type", MARKDOWN), NOSNIFF)))


def _to_json(id: str, endpoints: Endpoints) -> dict[str, Any]:
    told = [{"name": path, "text": text} for path, text in endpoints.items()]
    return {"id": id, "endpoints": told}
