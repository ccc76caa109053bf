"""``/dead-letters``: the most recent messages, dispatches and requests that the node dropped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from greenproc.builtin.mailbox_summary import read_limit
from greenproc.http.request import Request
from greenproc.http.response import OK, BadRequest, Response
from greenproc.process.base import Process
from greenproc.process.help import DESCRIPTION, HELP, TLDR

MAX_LISTED = 1000
"""The maximum number of dead letters in a response; `before` reaches the rest."""

LISTED = 100
"""The default number of dead letters in a response."""


class DeadLettersEndpoint(Process):
    """Serves the dead letters of the node as JSON, newest first.

    Args:
        dead_letters: the `DeadLetters` of the runtime.
        realm: the authentication realm; None disables authentication.
    """

    def __init__(self, dead_letters: Any, realm: str | None = None) -> None:
        super().__init__("dead-letters")
        self._dead_letters = dead_letters
        self.route("/", self.on_list, help=DEAD_LETTERS_HELP, realm=realm)

    def on_list(self, request: Request, principal: object = None) -> Response:
        """Return a page of dead letters."""
        limit = read_limit(request.url.query, default=LISTED, most=MAX_LISTED)
        before = read_before(request.url.query)
        if isinstance(limit, Response):
            return limit
        if isinstance(before, Response):
            return before
        total, kept = self._dead_letters.total, len(self._dead_letters)
        # Numbers are consecutive from 1, so the newest letter has the number of the total.
        newer = 0 if before is None else max(total - before + 1, 0)
        wanted = list(islice(reversed(self._dead_letters), newer, newer + limit))
        is_last = not wanted or newer + len(wanted) >= kept
        return OK(
            json={
                "total": total,
                "counts": dict(self._dead_letters.counts),
                "kept": kept,
                "letters": [letter.to_json() for letter in wanted],
            },
            headers={} if is_last else _link_to_next(limit, wanted[-1].number),
        )


def read_before(query: Mapping[str, str]) -> int | Response | None:
    """Return the cursor ``before`` of *query*, None without one, or a 400 response."""
    if "offset" in query:
        return BadRequest("expected before=NUMBER, the last of the page before, not an offset.\n")
    before = query.get("before")
    if before is None:
        return None
    if not re.fullmatch("[0-9]{1,18}", before):
        return BadRequest(f"expected the number of a dead letter as before, got '{before:.20}'.\n")
    return int(before)


def _link_to_next(limit: int, before: int) -> dict[str, str]:
    """Return the ``Link`` header to the next page. Source: RFC 8288."""
    return {"Link": f'<?{urlencode({"limit": limit, "before": before})}>; rel="next"'}


DEAD_LETTERS_HELP = HELP(
    TLDR("The most recent messages, dispatches and requests that were dropped, newest first."),
    DESCRIPTION(
        f"* `limit=N`: the maximum number of entries, {LISTED} by default, at most {MAX_LISTED};",
        "* `before=NUMBER`: only entries older than the one of this `number`, so that a next page",
        "  goes on where the last one ended, whatever was dropped since.",
        "",
        "`kept` is the number of entries available, `total` and `counts` are the numbers since the",
        "start of the node. `start` is the beginning of a body, `size` its bytes.",
    ),
)
