"""``/memory-profiler``: the memory allocated by each line of the program."""

from __future__ import annotations

import logging
import re
import shutil
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from greenproc.builtin.profiler import attachment
from greenproc.builtin.profiling import Report
from greenproc.clock import Timer
from greenproc.errors import InvalidArgument
from greenproc.http.cors import refuse_foreign
from greenproc.http.request import Request
from greenproc.http.response import OK, BadRequest, Conflict, Response
from greenproc.process.base import Process
from greenproc.process.help import AUTHENTICATION, DESCRIPTION, HELP, TLDR
from greenproc.timestamp import parse_duration

logger = logging.getLogger("greenproc.memory_profiler")

DEFAULT_DURATION = "5mins"
MIN_SECONDS = 1.0
MAX_SECONDS = 86_400.0

FRAMES = 5
"""The number of stack frames recorded for each allocation."""

TOP = 50
"""The number of source lines in the text report."""

NOT_YET = "Not yet generated"
"""The error of a download before the first run."""

EXTERNAL = "Heap profiling was started externally.\n"


@dataclass(frozen=True, slots=True)
class Run:
    """A profiling run; *id* is its start in seconds since the epoch."""

    id: int
    ends: float
    timer: Timer


class MemoryProfiler(Process):
    """Traces allocations during a run and retains the snapshot of the last one.

    Args:
        realm: the authentication realm; None disables authentication.

    Source: libprocess src/memory_profiler.cpp, for the endpoints and their responses.
    Differs: tracemalloc traces Python's allocations; libprocess reads those of jemalloc.
    """

    def __init__(self, realm: str | None) -> None:
        super().__init__("memory-profiler")
        self._run: Run | None = None
        self._directory: Path | None = None
        self._dumped: int | None = None
        self._missing = NOT_YET
        for path, handler, help in (
            ("/start", self.on_start, START_HELP),
            ("/stop", self.on_stop, STOP_HELP),
            ("/download/raw", self.on_raw, RAW_HELP),
            ("/download/text", self.on_text, TEXT_HELP),
            ("/download/graph", self.on_graph, GRAPH_HELP),
            ("/statistics", self.on_statistics, STATISTICS_HELP),
            ("/state", self.on_state, STATE_HELP),
        ):
            self.route(path, handler, help=help, realm=realm)

    def finalize(self) -> None:
        if self._run is not None:
            self._run.timer.cancel()
            tracemalloc.stop()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def on_start(self, request: Request, principal: object = None) -> Response:
        """Start a run unless one is active."""
        refusal = refuse_foreign(request)
        if refusal is not None:
            return refusal
        text = request.url.query.get("duration", DEFAULT_DURATION)
        try:
            seconds = parse_duration(text)
        except InvalidArgument as error:
            return BadRequest(f"Could not parse parameter 'duration': {error}.\n")
        if not MIN_SECONDS <= seconds <= MAX_SECONDS:
            return BadRequest(f"Duration '{text}' must be between 1secs and 1days.\n")
        if self._run is not None:
            return self._tell(self._run, "Heap profiling is already active.")
        if tracemalloc.is_tracing():
            return Conflict(EXTERNAL)
        tracemalloc.start(FRAMES)
        clock = self.runtime.clock
        # Through the mailbox, so that only this process takes and serves snapshots.
        timer = self.runtime.delay(seconds, self, MemoryProfiler._dump)
        self._run = Run(int(clock.now()), clock.now() + seconds, timer)
        return self._tell(self._run, "Successfully started new heap profiling run.")

    def on_stop(self, request: Request, principal: object = None) -> Response:
        """End the active run with a snapshot, and return the URLs of its reports."""
        refusal = refuse_foreign(request)
        if refusal is not None:
            return refusal
        if self._run is None and tracemalloc.is_tracing():
            return BadRequest(EXTERNAL)
        self._dump()
        if self._dumped is None:
            return BadRequest(f"{self._missing}.\n")
        url = "./download/{}?id=" + str(self._dumped)
        return OK(
            json={
                "id": str(self._dumped),
                "message": "Successfully stopped memory profiling run.",
                "url_raw_profile": url.format("raw"),
                "url_graph_profile": url.format("graph"),
                "url_symbolized_profile": url.format("text"),
            }
        )

    def on_raw(self, request: Request, principal: object = None) -> Response:
        """Serve the snapshot as a file for ``tracemalloc.Snapshot.load``."""
        refusal = self._refusal(request, "Cannot access raw profile")
        if refusal is not None:
            return refusal
        return self._download("profile.dump")

    def on_text(self, request: Request, principal: object = None) -> Response:
        """Serve the source lines with the largest allocations as text."""
        refusal = self._refusal(request, "No source profile exists")
        if refusal is not None:
            return refusal
        return self._download("profile.txt")

    def on_graph(self, request: Request, principal: object = None) -> Response:
        """Return 400: tracemalloc has no call graph."""
        refusal = self._refusal(request, "No source profile exists")
        if refusal is not None:
            return refusal
        return BadRequest("Cannot generate file: there are no graphs of Python's allocations.\n")

    def on_statistics(self, request: Request, principal: object = None) -> Response:
        """Serve the traced memory and the overhead of tracemalloc as JSON."""
        current, peak = tracemalloc.get_traced_memory()
        told = {
            "traced_bytes": current,
            "traced_peak_bytes": peak,
            "tracemalloc_bytes": tracemalloc.get_tracemalloc_memory(),
        }
        return OK(json=told)

    def on_state(self, request: Request, principal: object = None) -> Response:
        """Serve the state of the profiler as JSON."""
        run: dict[str, Any] = {"id": None}
        if self._run is not None:
            run = {"id": self._run.id, "remaining_seconds": self._remaining(self._run)}
        directory = NOT_YET if self._directory is None else str(self._directory)
        return OK(
            json={
                "memory_profiler": {
                    "current_run": run,
                    "jemalloc_detected": False,
                    "tmp_dir": directory,
                },
                "tracemalloc": {
                    "profiling_active": tracemalloc.is_tracing(),
                    "frames": tracemalloc.get_traceback_limit(),
                },
            }
        )

    def _tell(self, run: Run, message: str) -> Response:
        told = {"id": run.id, "message": message, "remaining_seconds": self._remaining(run)}
        return OK(json=told)

    def _remaining(self, run: Run) -> str:
        return str(round(run.ends - self.runtime.clock.now()))

    def _dump(self) -> None:
        """End the run and retain its snapshot; does nothing without an active run."""
        if self._run is None:
            return
        run, self._run = self._run, None
        run.timer.cancel()
        self._dumped = None
        try:
            self._keep(take_picture())
        except (OSError, RuntimeError) as error:  # a full disk; the program stopped tracemalloc
            logger.warning("failed to save the snapshot of run %d", run.id, exc_info=error)
            self._missing = str(error)
        else:
            self._dumped = run.id

    def _keep(self, snapshot: tracemalloc.Snapshot) -> None:
        if self._directory is None:
            self._directory = Path(mkdtemp(prefix="greenproc."))
        snapshot.dump(str(self._directory / "profile.dump"))
        (self._directory / "profile.txt").write_text(top_lines(snapshot), "utf-8")

    def _refusal(self, request: Request, what: str) -> Response | None:
        """Return the 400 response to a download that cannot be served, else None."""
        asked = request.url.query.get("id")
        if asked is not None and not re.fullmatch(r"[0-9]{1,18}", asked):
            return BadRequest(f"Invalid parameter 'id': Failed to convert '{asked}' to number.\n")
        if asked is None and self._run is not None:
            return BadRequest(
                "A profiling run is currently in progress. To download results of the last "
                "finished run, give its 'id'.\n"
            )
        if self._dumped is None:
            return BadRequest(f"{what}: {self._missing}.\n")
        if asked is not None and int(asked) != self._dumped:
            return BadRequest(f"Cannot serve requested id #{int(asked)}.\n")
        return None

    def _download(self, name: str) -> Response:
        assert self._directory is not None
        try:
            body = (self._directory / name).read_bytes()
        except OSError:
            return BadRequest("Requested file was deleted from local disk.\n")
        return attachment(Report(body, "application/octet-stream", name))


def take_picture() -> tracemalloc.Snapshot:
    """Return a snapshot of the traced allocations, and stop tracemalloc.

    Raises:
        RuntimeError: tracemalloc is not tracing.
    """
    try:
        return tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()


def top_lines(snapshot: tracemalloc.Snapshot) -> str:
    """Return the source lines with the largest allocations and their sizes."""
    found = snapshot.statistics("lineno")
    total = sum(one.size for one in found)
    here = f"{Path.cwd()}/"
    lines = [f"{total:,} bytes in {sum(one.count for one in found):,} blocks", ""]
    for one in found[:TOP]:
        frame = one.traceback[0]
        where = f"{frame.filename.removeprefix(here)}:{frame.lineno}"
        lines.append(f"{one.size:>14,} bytes {one.count:>9,} blocks  {where}")
    return "\n".join([*lines, ""])


def _help(tldr: str, *description: str) -> str:
    told = DESCRIPTION(*description) if description else None
    return HELP(TLDR(tldr), told, AUTHENTICATION(True))


_ID = "* `id=N`: the id that `start` and `stop` returned, the last run by default."

START_HELP = _help(
    "Starts tracing the memory allocations of each line of code.",
    f"* `duration=DURATION`: when to stop by itself, {DEFAULT_DURATION} if not given, at most",
    "  one day. The program is about three times slower meanwhile.",
)
STOP_HELP = _help("Ends the run and returns the URLs of its reports.")
RAW_HELP = _help(
    "The snapshot of the last run, for `tracemalloc.Snapshot.load`.",
    _ID,
    "",
    "It is a pickle: load it only if you trust the node.",
)
TEXT_HELP = _help("The lines of code that had the most memory in the last run.", _ID)
GRAPH_HELP = _help("Answers with 400: there are no graphs of Python's allocations.")
STATISTICS_HELP = _help("How many bytes the watched allocations have, and the watching itself.")
STATE_HELP = _help("Whether a run is going on and how long it will.")
