"""``greenproc ps --tree``: the supervision tree of a node."""

from __future__ import annotations

import json
from typing import Any

from greenproc.cli.exchange import Exchange, get, print_table, printable, read_object
from greenproc.errors import Failure
from greenproc.http.response import Response

MAX_LISTED = 1000
"""The maximum number of rows that a node returns."""

COLUMNS = ("PROCESS", "STATE", "RESTARTS", "LIMIT", "LAST END")


def print_tree(host: str, port: int, timeout: float, *, as_json: bool) -> None:
    """Fetch the supervision tree of the node at *host* and print it.

    Args:
        timeout: seconds for the request.
        as_json: print the JSON of the node instead of a tree.

    Raises:
        Failure: the response is not a supervision tree.
    """
    with Exchange(host, port, timeout) as exchange:
        response = get(exchange, f"/__node__/supervision?limit={MAX_LISTED}")
        tree = read_tree(response, exchange.where)
    if as_json:
        print(json.dumps(tree, indent=2))
        return
    print_table([COLUMNS, *map(row, tree["rows"])])
    if tree.get("has_more"):
        print(f"and more: the first {len(tree['rows'])} are shown")


def read_tree(response: Response, where: str) -> dict[str, Any]:
    """Return the supervision tree in *response*.

    Args:
        where: the address that error messages name.

    Raises:
        Failure: the body is not a supervision tree.
    """
    told = read_object(response, where)
    rows = told.get("rows")
    if not isinstance(rows, list) or not all(map(is_row, rows)):
        raise Failure(f"{where} answered something else than a tree of supervisors")
    return told


def is_row(value: Any) -> bool:
    """Whether *value* is the JSON object of a supervisor or a child."""
    if not isinstance(value, dict) or type(value.get("depth")) is not int:
        return False
    is_text = all(isinstance(value.get(key), str) for key in ("id", "state"))
    return is_text and 0 <= value["depth"] <= MAX_LISTED


def row(child: dict[str, Any]) -> tuple[str, ...]:
    """Return the table columns of one row of the tree."""
    due = child.get("due_in_secs")
    state = child["state"]
    if isinstance(due, (int, float)):
        state = f"{state} in {due:.1f} s"
    limit = ", ".join(str(child[key]) for key in ("strategy", "limit") if child.get(key))
    return (
        "  " * child["depth"] + printable(child["id"]),
        printable(state),
        printable(str(child.get("restarts", ""))),
        printable(limit),
        printable(str(child.get("last_reason") or "")),
    )
