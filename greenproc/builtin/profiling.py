"""Profilers of the running program, each behind the same few methods.

yappi counts every call and tells exactly how long each greenlet ran; the program is three to four
times slower meanwhile. pyinstrument looks at the stack a thousand times a second, which costs a
fifth, and shows a tree; it books idle time to whoever ran last.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, ClassVar, Protocol

import gevent
from gevent.event import AsyncResult, Event

from greenproc.errors import InvalidArgument, StateError

MAX_PROCESSES = 50
"""How many processes a report shows, those that took the most time."""

MAX_FUNCTIONS = 10
"""How many functions of each."""

YAPPI_FORMATS = ("pstat", "text", "json", "callgrind")
"""What its profile can be asked for as, the usual one first."""

PYINSTRUMENT_FORMATS = ("html", "text")
"""Likewise."""

STOP_SECONDS = 30.0
"""How long a profiler may take to sum up."""


@dataclass(frozen=True, slots=True)
class Report:
    """A profile in one format."""

    body: bytes
    media_type: str
    file_name: str


class Profile(Protocol):
    """What a profiler found out."""

    formats: ClassVar[tuple[str, ...]]
    """What `report` can be asked for, the usual one first."""

    def report(self, format: str) -> Report:
        """Return the profile in one of the formats."""


class Profiler(Protocol):
    """Watches the whole program while it is running."""

    formats: ClassVar[tuple[str, ...]]
    """Those of its profile."""

    def start(self) -> None:
        """Begin.

        Raises:
            StateError: somebody else in this OS process is profiling.
        """

    def stop(self) -> Profile:
        """End, and return what was found out."""


class YappiProfiler:
    """Counts every call, by greenlet.

    Args:
        clock: ``cpu``, or ``wall`` to see what is waited for.
    """

    formats: ClassVar[tuple[str, ...]] = YAPPI_FORMATS

    def __init__(self, clock: str = "cpu") -> None:
        import yappi

        if clock not in ("cpu", "wall"):
            raise InvalidArgument(f"expected cpu or wall as the clock, got {clock!r}")
        self._yappi: ModuleType = yappi
        self._clock = clock

    def start(self) -> None:
        """Begin to count."""
        yappi = self._yappi
        if yappi.is_running():
            raise StateError("somebody else in this OS process is profiling")
        yappi.clear_stats()
        yappi.set_context_backend("greenlet")
        yappi.set_context_name_callback(greenlet_name)
        yappi.set_clock_type(self._clock)
        yappi.start(builtins=False)

    def stop(self) -> YappiProfile:
        """Stop counting, and leave nothing behind in yappi."""
        yappi = self._yappi
        yappi.stop()
        try:
            return YappiProfile(yappi, self._clock)
        finally:
            yappi.clear_stats()
            yappi.set_context_backend("native_thread")


class YappiProfile:
    """How long each process and each function ran. Idle processes change greenlets; all count."""

    formats: ClassVar[tuple[str, ...]] = YAPPI_FORMATS

    def __init__(self, yappi: ModuleType, clock: str) -> None:
        self._clock = clock
        self._functions = yappi.get_func_stats()
        contexts: dict[str, list[Any]] = defaultdict(list)
        for context in yappi.get_greenlet_stats():
            contexts[context.name].append(context)
        seconds = {name: sum(one.ttot for one in many) for name, many in contexts.items()}
        self._processes = sorted(seconds.items(), key=lambda pair: -pair[1])[:MAX_PROCESSES]
        self._by_process = {
            name: _functions(yappi, [one.id for one in contexts[name]])
            for name, _ in self._processes
        }

    def report(self, format: str) -> Report:
        """Return the profile as *format*; ``pstat`` is what ``python -m pstats`` reads."""
        if format == "text":
            return Report(self._as_text().encode(), "text/plain; charset=utf-8", "profile.txt")
        if format == "json":
            return Report(json.dumps(self._as_json()).encode(), "application/json", "profile.json")
        return Report(self._saved(format), "application/octet-stream", f"profile.{format}")

    def _saved(self, format: str) -> bytes:
        with TemporaryDirectory(prefix="greenproc.") as directory:
            path = Path(directory) / "profile"
            self._functions.save(str(path), type=format)
            return path.read_bytes()

    def _as_json(self) -> dict[str, Any]:
        return {
            "clock": self._clock,
            "processes": [
                {"id": name, "secs": seconds, "functions": self._by_process[name]}
                for name, seconds in self._processes
            ],
        }

    def _as_text(self) -> str:
        total = sum(seconds for _, seconds in self._processes) or 1.0
        lines = [f"{self._clock} time by process", "", f"{'SECONDS':>10} {'SHARE':>6}  PROCESS"]
        lines += [
            f"{seconds:10.3f} {seconds / total:6.1%}  {name}" for name, seconds in self._processes
        ]
        for name, _ in self._processes:
            lines += ["", name, f"{'OWN':>10} {'ALL':>10} {'CALLS':>9}  FUNCTION"]
            lines += [
                f"{one['own_secs']:10.3f} {one['secs']:10.3f} {one['calls']:9}  {one['name']}"
                for one in self._by_process[name]
            ]
        return "\n".join([*lines, ""])


def _functions(yappi: ModuleType, contexts: list[int]) -> list[dict[str, Any]]:
    """Return the functions that took the most time of their own in some greenlets."""
    found: dict[str, dict[str, Any]] = {}
    for context in contexts:
        for one in yappi.get_func_stats(ctx_id=context):
            entry = found.setdefault(
                one.full_name, {"name": one.full_name, "calls": 0, "own_secs": 0.0, "secs": 0.0}
            )
            entry["calls"] += one.ncall
            entry["own_secs"] += one.tsub
            entry["secs"] += one.ttot
    return sorted(found.values(), key=lambda entry: -entry["own_secs"])[:MAX_FUNCTIONS]


def greenlet_name() -> str:
    """Return the id of the process whose greenlet is running, else what kind of greenlet it is."""
    running = gevent.getcurrent()
    record = getattr(running, "record", None)
    if record is not None:
        return str(record.pid.id)
    return str(getattr(running, "name", None) or type(running).__name__)


class PyinstrumentProfiler:
    """Looks at the stack a thousand times a second.

    Starting and stopping it must happen in one greenlet, and that of a process may change; so it
    has one of its own.
    """

    formats: ClassVar[tuple[str, ...]] = PYINSTRUMENT_FORMATS

    def __init__(self, spawn: Callable[..., object]) -> None:
        import pyinstrument

        self._make: Callable[..., Any] = pyinstrument.Profiler
        self._spawn = spawn
        self._stopping = Event()
        self._started: AsyncResult[None] = AsyncResult()
        self._session: AsyncResult[PyinstrumentProfile] = AsyncResult()

    def start(self) -> None:
        """Begin to look."""
        self._spawn(self._run)
        self._started.get(timeout=STOP_SECONDS)

    def stop(self) -> PyinstrumentProfile:
        """Stop looking."""
        self._stopping.set()
        profile = self._session.get(timeout=STOP_SECONDS)
        assert profile is not None
        return profile

    def _run(self) -> None:
        profiler = self._make(async_mode="disabled")
        try:
            profiler.start()
        except Exception as error:
            self._started.set_exception(StateError(f"cannot start pyinstrument: {error}"))
            return
        self._started.set(None)
        try:
            self._stopping.wait()
        finally:
            profiler.stop()
        self._session.set(PyinstrumentProfile(profiler))


class PyinstrumentProfile:
    """A tree of calls."""

    formats: ClassVar[tuple[str, ...]] = PYINSTRUMENT_FORMATS

    def __init__(self, profiler: Any) -> None:
        self._profiler = profiler

    def report(self, format: str) -> Report:
        """Return the tree, as a page that needs nothing from elsewhere or as text."""
        if format == "html":
            body = self._profiler.output_html()
            return Report(body.encode(), "text/html; charset=utf-8", "profile.html")
        body = self._profiler.output_text(unicode=True, color=False)
        return Report(body.encode(), "text/plain; charset=utf-8", "profile.txt")


def make_profiler(tool: str, clock: str, spawn: Callable[..., object]) -> Profiler:
    """Return a profiler of the kind *tool*, ``yappi`` or ``pyinstrument``.

    Raises:
        ImportError: it is not installed.
        InvalidArgument: there is no such tool, or no such clock.
    """
    if tool == "yappi":
        return YappiProfiler(clock)
    if tool == "pyinstrument":
        return PyinstrumentProfiler(spawn)
    raise InvalidArgument(f"expected yappi or pyinstrument as the tool, got {tool!r}")
