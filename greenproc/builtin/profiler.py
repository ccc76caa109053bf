"""``/profiler``: CPU and wall-clock profiles of the program."""

from __future__ import annotations

import importlib.util

from greenproc.builtin.profiling import Profile, Profiler, Report, make_profiler
from greenproc.checks import how_to_install
from greenproc.errors import InvalidArgument, StateError
from greenproc.http.cors import refuse_foreign
from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.response import NOSNIFF, OK, BadRequest, InternalServerError, Response
from greenproc.process.base import Process
from greenproc.process.help import AUTHENTICATION, DESCRIPTION, HELP, TLDR

NOT_INSTALLED = f"The profiler is not installed. To install it: {how_to_install('profile')}.\n"
NOT_ENABLED = (
    "The profiler is not enabled. To enable the profiler, libprocess must be started with "
    "LIBPROCESS_ENABLE_PROFILER=1 in the environment.\n"
)
TOOLS = ("yappi", "pyinstrument")


class ProfilerEndpoints(Process):
    """Starts and stops a profiler of the whole program.

    Args:
        enabled: whether the start is allowed; the settings disable it by default.
        realm: the authentication realm; None disables authentication.

    Source: libprocess include/process/profiler.hpp, src/profiler.cpp.
    Differs: the profilers and their formats; the response names a missing package.
    """

    def __init__(self, *, enabled: bool, realm: str | None) -> None:
        super().__init__("profiler")
        self._enabled = enabled
        self._profiler: Profiler | None = None
        self._profile: Profile | None = None
        self.route("/start", self.on_start, help=START_HELP, realm=realm)
        self.route("/stop", self.on_stop, help=STOP_HELP, realm=realm)
        self.route("/result", self.on_result, help=RESULT_HELP, realm=realm)

    def finalize(self) -> None:
        if self._profiler is not None:
            self._profiler.stop()

    def on_start(self, request: Request, principal: object = None) -> Response:
        """Start the profiler that ``tool`` and ``clock`` of the query select."""
        refusal = refuse_foreign(request)
        if refusal is not None:
            return refusal
        query = request.url.query
        tool, clock = query.get("tool", TOOLS[0]), query.get("clock", "cpu")
        if not is_installed(tool):
            return BadRequest(NOT_INSTALLED)
        if not self._enabled:
            return BadRequest(NOT_ENABLED)
        if self._profiler is not None:
            return BadRequest("Profiler already started.\n")
        try:
            profiler = make_profiler(tool, clock, self.runtime.spawn_greenlet)
        except InvalidArgument as error:
            return BadRequest(f"{error}.\n")
        try:
            profiler.start()
        except StateError as error:
            return InternalServerError(f"Failed to start profiler: {error}")
        self._profiler = profiler
        return OK("Profiler started.\n", headers=[NOSNIFF])

    def on_stop(self, request: Request, principal: object = None) -> Response:
        """Stop the profiler and serve its profile."""
        refusal = refuse_foreign(request)
        if refusal is not None:
            return refusal
        if not any(is_installed(tool) for tool in TOOLS):
            return BadRequest(NOT_INSTALLED)
        if self._profiler is None:
            return BadRequest("Profiler not running.\n")
        refusal = refused_format(request, self._profiler.formats)
        if refusal is not None:
            return refusal  # the profiler keeps running
        profiler, self._profiler = self._profiler, None
        self._profile = profiler.stop()
        return answer(request, self._profile)

    def on_result(self, request: Request, principal: object = None) -> Response:
        """Serve the profile of the last run."""
        if self._profile is None:
            return BadRequest("Profiler has not been stopped yet: there is no result.\n")
        return refused_format(request, self._profile.formats) or answer(request, self._profile)


def refused_format(request: Request, formats: tuple[str, ...]) -> Response | None:
    """Return the 400 response to an unknown ``format``, else None."""
    format = request.url.query.get("format", formats[0])
    if format in formats:
        return None
    return BadRequest(f"expected a format of {', '.join(formats)}, got '{format}'.\n")


def answer(request: Request, profile: Profile) -> Response:
    """Return *profile* in the ``format`` of *request*, or in its default format."""
    return attachment(profile.report(request.url.query.get("format", profile.formats[0])))


def is_installed(tool: str) -> bool:
    """Whether *tool* can be imported; True for an unknown one, which fails with a better error."""
    return tool not in TOOLS or importlib.util.find_spec(tool) is not None


def attachment(report: Report) -> Response:
    """Return *report* as a download."""
    headers = {
        "Content-Type": report.media_type,
        "Content-Disposition": f"attachment; filename={report.file_name}",
    }
    return OK(report.body, headers=Headers((*headers.items(), NOSNIFF)))


_FORMATS = (
    "* `format=FORMAT`: from yappi `pstat` (for `python -m pstats`; if not given), `text` and",
    "  `json` (by process), or `callgrind`; from pyinstrument `html` (if not given) or `text`.",
)
START_HELP = HELP(
    TLDR("Starts profiling."),
    DESCRIPTION(
        "Watches the whole program until `/profiler/stop`. It must be allowed by",
        "`LIBPROCESS_ENABLE_PROFILER=1`, or `Settings.enable_profiler`.",
        "",
        "* `tool=yappi` (if not given) counts every call, by process; the program is three to",
        "  four times slower meanwhile.",
        "* `tool=pyinstrument` looks at the stack now and then, which costs a fifth.",
        "* `clock=cpu` (if not given) or `wall`, for yappi.",
    ),
    AUTHENTICATION(True),
)
STOP_HELP = HELP(
    TLDR("Stops profiling and answers with the result."),
    DESCRIPTION(*_FORMATS),
    AUTHENTICATION(True),
)
RESULT_HELP = HELP(
    TLDR("Answers with the result of the last profiling, again or in another format."),
    DESCRIPTION(*_FORMATS),
    AUTHENTICATION(True),
)
