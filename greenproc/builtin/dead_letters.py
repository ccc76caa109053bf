"""``/dead-letters``: the most recent messages, dispatches and requests that the node dropped."""

from __future__ import annotations

from itertools import islice
from typing import Any

from greenproc.builtin.mailbox_summary import read_page
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.process.base import Process
from greenproc.process.help import DESCRIPTION, HELP, TLDR

MAX_LISTED = 1000
"""The maximum number of dead letters in a response; `offset` reaches the rest."""

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
        page = read_page(request.url.query, default=LISTED, most=MAX_LISTED)
        if isinstance(page, Response):
            return page
        kept = len(self._dead_letters)
        wanted = islice(reversed(self._dead_letters), page.offset, page.offset + page.limit)
        return OK(
            json={
                "total": self._dead_letters.total,
                "counts": dict(self._dead_letters.counts),
                "kept": kept,
                "letters": [letter.to_json() for letter in wanted],
            }
        )


DEAD_LETTERS_HELP = HELP(
    TLDR("The most recent messages, dispatches and requests that were dropped, newest first."),
    DESCRIPTION(
        f"* `limit=N`: the maximum number of entries, {LISTED} by default, at most {MAX_LISTED};",
        "* `offset=N`: the number of newer entries to skip.",
        "",
        "`kept` is the number of entries available, `total` and `counts` are the numbers since the",
        "start of the node. `start` is the beginning of a body, `size` its bytes.",
    ),
)
