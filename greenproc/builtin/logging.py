"""``/logging/toggle``: changes the log level of greenproc for a limited time."""

from __future__ import annotations

import logging
import re

from greenproc.clock import Timer
from greenproc.errors import InvalidArgument
from greenproc.http.cors import refuse_foreign
from greenproc.http.request import Request
from greenproc.http.response import NOSNIFF, OK, BadRequest, Response
from greenproc.process.base import Process
from greenproc.process.help import AUTHENTICATION, DESCRIPTION, HELP, TLDR
from greenproc.timestamp import parse_duration

logger = logging.getLogger("greenproc.logging")

TOGGLED = "greenproc"
"""The logger whose level is set, the parent of all loggers of greenproc."""

MAX_LEVEL = logging.DEBUG
"""The finest verbosity, at which every record is logged."""

MAX_DURATION = "4weeks"
"""The maximum duration; a permanent level belongs in the program's logging setup."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")


def verbosity() -> int:
    """Return the verbosity: 0 is INFO or coarser, 1 is DEBUG, each further step one level finer."""
    return max(logging.DEBUG + 1 - logging.getLogger(TOGGLED).getEffectiveLevel(), 0)


class Logging(Process):
    """Raises the log verbosity of greenproc for a limited time.

    The verbosity of libprocess maps to the level of the logger ``greenproc``: 1 is DEBUG, and 0 is
    the level that the program has set. The handlers of the program decide which records are
    output.

    Args:
        realm: the authentication realm; None disables authentication.

    Source: libprocess include/process/logging.hpp, src/logging.cpp.
    Differs: the level and the duration have an upper bound.
    """

    def __init__(self, realm: str | None) -> None:
        super().__init__("logging")
        self._original = 0
        self._configured = logging.NOTSET
        self._timer: Timer | None = None
        self._times = 0
        self.route("/toggle", self.on_toggle, help=TOGGLE_HELP, realm=realm)

    def initialize(self) -> None:
        self._configured = logging.getLogger(TOGGLED).level
        self._original = verbosity()

    def finalize(self) -> None:
        self._revert(self._times)

    def on_toggle(self, request: Request, principal: object = None) -> Response:
        """Return the current verbosity, or set it for a limited time."""
        level, duration = (request.url.query.get(name) for name in ("level", "duration"))
        if level is None and duration is None:
            return OK(f"{verbosity()}\n", headers=[NOSNIFF])
        refusal = refuse_foreign(request)
        if refusal is not None:
            return refusal
        if level is None or duration is None:
            missing = "level" if level is None else "duration"
            return BadRequest(f"Expecting '{missing}=value' in query.\n")
        if not _INTEGER.fullmatch(level):
            return BadRequest(f"Failed to convert '{level}' to number.\n")
        number = int(level)
        if number < 0:
            return BadRequest(f"Invalid level '{number}'.\n")
        if number > MAX_LEVEL:
            return BadRequest(f"Invalid level '{number}': the finest is {MAX_LEVEL}.\n")
        if number < self._original:
            return BadRequest(f"'{number}' < original level.\n")
        try:
            seconds = parse_duration(duration)
        except InvalidArgument as error:
            return BadRequest(f"{error}.\n")
        if seconds > parse_duration(MAX_DURATION):
            return BadRequest(f"Duration '{duration}' must be at most {MAX_DURATION}.\n")
        self.set_level(number, seconds)
        return OK()

    def set_level(self, level: int, seconds: float) -> None:
        """Set the verbosity to *level*, and restore the original one after *seconds*.

        A later call replaces the timer. Source: libprocess src/logging.cpp, set_level.
        """
        self._revert(self._times)
        self._times += 1
        if level != self._original:
            logging.getLogger(TOGGLED).setLevel(max(logging.DEBUG + 1 - level, 1))
            logger.info("logging at level %d for %g s", level, seconds)
            self._timer = self.runtime.delay(seconds, self, Logging._revert, self._times)

    def _revert(self, times: int) -> None:
        """Restore the original level, unless it was set again or restored already."""
        if self._timer is not None and times == self._times:
            self._timer.cancel()
            self._timer = None
            logging.getLogger(TOGGLED).setLevel(self._configured)


TOGGLE_HELP = HELP(
    TLDR("Sets the logging verbosity level for a specified duration."),
    DESCRIPTION(
        "Without a query, returns the level. 0 is what the program has set, 1 is DEBUG, and each",
        "one more is one level finer. After the duration the level is what it was.",
        "",
        "* `level=VALUE`: a whole number, at least the level that the node was started with, at",
        f"  most {MAX_LEVEL}",
        f"* `duration=VALUE`: such as `10secs` or `5mins`, at most `{MAX_DURATION}`",
    ),
    AUTHENTICATION(True),
)
