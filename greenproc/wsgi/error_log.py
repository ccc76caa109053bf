"""``wsgi.errors``: a text stream that writes to the log."""

from __future__ import annotations

import logging
from collections.abc import Iterable

log = logging.getLogger("greenproc.wsgi")


class ErrorLog:
    """Logs each text that an app writes at level ERROR.

    Source: PEP 3333, "Input and Error Streams".
    """

    def __init__(self, app: str) -> None:
        self._app = app

    def write(self, text: str) -> int:
        """Log *text*, unless it is blank."""
        shown = text.rstrip()
        if shown:
            log.error("%s: %s", self._app, shown)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Log each of *lines*."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Do nothing, since `write` logs at once."""
