"""``greenproc ps``: the processes of a node."""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from textwrap import indent
from typing import Any

from greenproc.cli.dead_letters import print_dead_letters
from greenproc.cli.exchange import Exchange, get, printable, split_address
from greenproc.cli.options import Commands, add_command, add_timeout
from greenproc.cli.supervision import print_tree
from greenproc.errors import Failure, RemoteProtocolError
from greenproc.http.response import Response
from greenproc.http.status import status_line_text

EPILOG = """\
examples:
  greenproc ps 127.0.0.1:5050
  greenproc ps counter@127.0.0.1:5050 --json
  greenproc ps 127.0.0.1:5050 --dead-letters
  greenproc ps 127.0.0.1:5050 --tree

Lists each process with the events queued in its mailbox. Each process replies behind the events
that it has queued already, so a busy one delays the list. Works with every node that serves
/__processes__, including those of the C++ libprocess. More than 1,000 processes are requested and
printed in pages of 1,000, each of them sorted.

--dead-letters lists the messages, dispatches and requests that the node dropped last, newest
first, with the reason of each. --tree lists the supervisors with their children, restarts and last
reasons. Both need a greenproc node.
"""

NEXT = re.compile(r'<(\?[!-;=?-~]+)>; ?rel="?next"?')
"""A ``Link`` header field with ``rel="next"``; only its query differs from the current page.

Source: RFC 8288, section 3.
"""

COLUMNS = ("PROCESS", "QUEUED", "EVENTS")


def add_parser(commands: Commands) -> None:
    """Register the subcommand and its options."""
    parser = add_command(commands, "ps", "list the processes of a node", EPILOG)
    parser.add_argument("address", metavar="ADDRESS", help="host:port of the node")
    parser.add_argument(
        "--dead-letters", action="store_true", help="show what the node dropped last"
    )
    parser.add_argument(
        "--tree", action="store_true", help="show the supervisors with their children"
    )
    parser.add_argument("--json", action="store_true", help="print all that the node tells")
    add_timeout(parser)
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Fetch the processes, dead letters or supervisors of the node and print them."""
    host, port = split_address(arguments.address)
    if arguments.dead_letters:
        print_dead_letters(host, port, arguments.timeout, as_json=arguments.json)
        return 0
    if arguments.tree:
        print_tree(host, port, arguments.timeout, as_json=arguments.json)
        return 0
    pages = read_pages(host, port, arguments.timeout)
    for text in json_lines(pages) if arguments.json else table_lines(pages):
        print(text)
    return 0


def read_pages(host: str, port: int, timeout: float) -> Iterator[list[dict[str, Any]]]:
    """Yield the processes of the node at *host* by page, which bounds the memory in use.

    A C++ libprocess node sends all processes in one response, without a link to a next page.

    Args:
        timeout: seconds for each page.
    """
    query, before = "", None
    while query != before:
        before = query
        with Exchange(host, port, timeout) as exchange:
            response = get(exchange, f"/__processes__{query}")
            yield read_processes(response, exchange.where)
        link = NEXT.fullmatch(response.headers.get("Link", ""))
        if link is not None:
            query = link[1]


def json_lines(pages: Iterator[list[dict[str, Any]]]) -> Iterator[str]:
    """Yield the lines of one JSON array of all *pages*."""
    pending = ""
    for process in chain.from_iterable(pages):
        yield f"{pending}," if pending else "["
        pending = indent(json.dumps(process, indent=2), "  ")
    yield f"{pending}\n]" if pending else "[]"


def table_lines(pages: Iterator[list[dict[str, Any]]]) -> Iterator[str]:
    """Yield one table for each of the *pages*.

    Column widths never shrink from page to page; the final widths are unknown before the last.
    """
    widths = [0, 0]
    for number, page in enumerate(pages):
        rows = [*map(row, page)] if number else [COLUMNS, *map(row, page)]
        if rows:  # each process of a page may have ended before it replied
            yield table(rows, widths)


def read_processes(response: Response, where: str) -> list[dict[str, Any]]:
    """Return the processes in *response*, sorted by id.

    Args:
        where: the address that error messages name.

    Raises:
        Failure: the status is not 200, or the body is not a list of processes.
    """
    if response.status != 200:
        raise Failure(f"{where} answered {status_line_text(response.status)}: is it a node?")
    try:
        processes = response.json()
    except RemoteProtocolError:
        processes = None
    if not isinstance(processes, list) or not all(map(is_process, processes)):
        raise Failure(f"{where} answered something else than a list of processes")
    return sorted(processes, key=lambda process: process["id"])


def is_process(value: Any) -> bool:
    """Whether *value* is the JSON object of a process, with an id and a list of events."""
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        return False
    events = value.get("events")
    return isinstance(events, list) and all(isinstance(event, dict) for event in events)


def row(process: dict[str, Any]) -> tuple[str, str, str]:
    """Return the table columns of *process*, with its events counted by kind."""
    events = process["events"]
    kinds = Counter(describe(event) for event in events)
    queued = process.get("queued", len(events))
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return printable(process["id"]), str(queued), printable(shown)


def describe(event: dict[str, Any]) -> str:
    """Return the kind of *event* with its name, method or path."""
    kind = str(event.get("type", "?")).lower()
    detail = event.get("name") or event.get("url") or ""
    return f"{kind} {detail}".strip()


def table(rows: list[tuple[str, str, str]], widths: list[int]) -> str:
    """Return *rows* in aligned columns, with numbers right-aligned.

    Args:
        widths: minimum widths of the first two columns; updated in place to those of *rows*.
    """
    for column in (0, 1):
        widths[column] = max(widths[column], *(len(cells[column]) for cells in rows))
    first, second = widths
    return "\n".join(
        f"{id:<{first}}  {queued:>{second}}  {events}".rstrip() for id, queued, events in rows
    )
