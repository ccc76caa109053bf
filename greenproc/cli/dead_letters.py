"""``greenproc ps --dead-letters``: what a node dropped last."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from greenproc.cli.exchange import Exchange, get, printable, read_object
from greenproc.errors import Failure
from greenproc.http.response import Response

PAGE = 1000
"""How many a node lists at a time; `before` gets the others."""

COLUMNS = ("TIME", "KIND", "REASON", "FROM", "TO", "NAME", "SIZE")
KEYS = ("kind", "reason", "from", "to", "name")

MAX_TIME = 253402300799  # the last second of the year 9999, which datetime can show


def print_dead_letters(host: str, port: int, timeout: float, *, as_json: bool) -> None:
    """Ask the node at *host*, and print what it tells.

    Raises:
        Failure: it is no node that tells.
    """
    letters = read_letters(host, port, timeout)
    if as_json:
        print(json.dumps(letters, indent=2))
        return
    rows = [COLUMNS, *map(row, letters)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for records in rows:
        print("  ".join(map(str.ljust, records, widths)).rstrip())


def read_letters(host: str, port: int, timeout: float) -> list[dict[str, Any]]:
    """Return all that the node keeps, the newest first, each once.

    Args:
        timeout: seconds for each page.

    Raises:
        Failure: it is no node that tells, or one that repeats itself.
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
    """Return what *response* tells.

    Raises:
        Failure: it is not the list of a node.
    """
    told = read_object(response, where)
    letters = told.get("letters")
    if not isinstance(letters, list) or not all(map(is_letter, letters)):
        raise Failure(f"{where} answered something else than a list of dead letters")
    return letters


def is_letter(value: Any) -> bool:
    """Whether *value* describes a dead letter."""
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in KEYS):
        return False
    return all(type(value.get(key)) in (int, float) for key in ("number", "time", "size"))


def row(letter: dict[str, Any]) -> tuple[str, ...]:
    """Return the columns for *letter*."""
    seconds = min(max(letter["time"], 0), MAX_TIME)
    time = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return time, *(printable(letter[key]) for key in KEYS), str(letter["size"])
