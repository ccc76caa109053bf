"""``greenproc ps --dead-letters``: the latest dead letters of a node."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from greenproc.cli.exchange import Exchange, get, print_table, printable, read_object
from greenproc.errors import Failure
from greenproc.http.response import Response

PAGE = 1000
"""Dead letters in one response; the parameter `before` selects the next page."""

COLUMNS = ("TIME", "KIND", "REASON", "FROM", "TO", "NAME", "SIZE")
KEYS = ("kind", "reason", "from", "to", "name")

MAX_TIME = 253402300799  # the last second of the year 9999, the latest that datetime supports


def print_dead_letters(host: str, port: int, timeout: float, *, as_json: bool) -> None:
    """Fetch the dead letters of the node at *host* and print them.

    Args:
        timeout: seconds for each page.
        as_json: print the JSON objects of the node instead of a table.

    Raises:
        Failure: the response is not a list of dead letters.
    """
    letters = read_letters(host, port, timeout)
    if as_json:
        print(json.dumps(letters, indent=2))
        return
    print_table([COLUMNS, *map(row, letters)])


def read_letters(host: str, port: int, timeout: float) -> list[dict[str, Any]]:
    """Return all dead letters that the node retains, newest first, without duplicates.

    Args:
        timeout: seconds for each page.

    Raises:
        Failure: a response is not a list of dead letters, or repeats an earlier page; without
            that check a faulty node would keep the command paging for ever.
    """
    letters: list[dict[str, Any]] = []
    query = f"limit={PAGE}"
    while True:
        with Exchange(host, port, timeout) as exchange:
            page = read_page(get(exchange, f"/dead-letters?{query}"), exchange.where)
        if letters and page and page[0]["number"] >= letters[-1]["number"]:
            raise Failure(f"{exchange.where} answered with dead letters that were listed before")
        letters += page
        if len(page) < PAGE:
            return letters
        query = f"limit={PAGE}&before={page[-1]['number']}"


def read_page(response: Response, where: str) -> list[dict[str, Any]]:
    """Return the dead letters in *response*.

    Args:
        where: the address that error messages name.

    Raises:
        Failure: the body is not a list of dead letters.
    """
    told = read_object(response, where)
    letters = told.get("letters")
    if not isinstance(letters, list) or not all(map(is_letter, letters)):
        raise Failure(f"{where} answered something else than a list of dead letters")
    return letters


def is_letter(value: Any) -> bool:
    """Whether *value* is the JSON object of a dead letter."""
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in KEYS):
        return False
    return all(type(value.get(key)) in (int, float) for key in ("number", "time", "size"))


def row(letter: dict[str, Any]) -> tuple[str, ...]:
    """Return the table columns of *letter*."""
    seconds = min(max(letter["time"], 0), MAX_TIME)
    time = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return time, *(printable(letter[key]) for key in KEYS), str(letter["size"])
