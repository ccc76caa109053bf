"""``/dead-letters``: the last messages, dispatches and requests that the node dropped."""

from __future__ import annotations

from itertools import islice
from typing import Any

from greenproc.builtin.survey import read_page
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.process.base import Process
from greenproc.process.help import DESCRIPTION, HELP, TLDR

MAX_LISTED = 1000
"""How many dead letters one answer lists; `offset` gets the others."""

LISTED = 100
"""How many it lists when the request does not say."""


class DeadLettersEndpoint(Process):
    """Answers with what was dropped, the newest first, as JSON.

    Args:
        dead_letters: the `DeadLetters` of the runtime.
        realm: whose principals may look; None needs no principal.
    """

    def __init__(self, dead_letters: Any, realm: str | None = None) -> None:
        super().__init__("dead-letters")
        self._dead_letters = dead_letters
        self.route("/", self.on_list, help=DEAD_LETTERS_HELP, realm=realm)

    def on_list(self, request: Request, principal: object = None) -> Response:
        """Answer with a page of them."""
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
    TLDR("The last messages, dispatches and requests that were dropped, the newest first."),
    DESCRIPTION(
        f"* `limit=N`: how many are listed, {LISTED} if not given, at most {MAX_LISTED};",
        "* `offset=N`: how many newer ones are left out.",
        "",
        "`kept` tells how many can be listed, `total` and `counts` how many there were. `start` is the",
        "beginning of a body, `size` its bytes.",
    ),
)
