"""Profilers of the running program behind one interface.

yappi traces every call and measures the exact time of each greenlet, which slows the program three
to four times. pyinstrument samples the stack 1,000 times a second, which costs a fifth, and builds
a call tree; it attributes idle time to the greenlet that ran last.
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
"""The number of processes in a report, those with the most time."""

MAX_FUNCTIONS = 10
"""The number of functions of each process."""

YAPPI_FORMATS = ("pstat", "text", "json", "callgrind")
"""The formats of its profile, the default first."""

PYINSTRUMENT_FORMATS = ("html", "text")
"""Likewise."""

STOP_SECONDS = 30.0
"""The time limit for the end of a profiler in seconds."""


@dataclass(frozen=True, slots=True)
class Report:
    """A profile in one format."""

    body: bytes
    media_type: str
    file_name: str


class Profile(Protocol):
    """The result of a profiler."""

    formats: ClassVar[tuple[str, ...]]
    """The formats of `report`, the default first."""

    def report(self, format: str) -> Report:
        """Return the profile in *format*, one of `formats`."""


class Profiler(Protocol):
    """A profiler of the whole program."""

    formats: ClassVar[tuple[str, ...]]
    """The formats of its profile, the default first."""

    def start(self) -> None:
        """Start profiling.

        Raises:
            StateError: another profiler is active in this OS process.
        """

    def stop(self) -> Profile:
        """Stop profiling and return the profile."""


class YappiProfiler:
    """Traces every call by greenlet.

    Args:
        clock: ``cpu``, or ``wall`` to include waits.

    Raises:
        InvalidArgument: *clock* is neither.
    """

    formats: ClassVar[tuple[str, ...]] = YAPPI_FORMATS

    def __init__(self, clock: str = "cpu") -> None:
        import yappi

        if clock not in ("cpu", "wall"):
            raise InvalidArgument(f"expected cpu or wall as the clock, got {clock!r}")
        self._yappi: ModuleType = yappi
        self._clock = clock

    def start(self) -> None:
        """Start tracing; raises `StateError` while another profiler is active."""
        yappi = self._yappi
        if yappi.is_running():
            raise StateError("another profiler is active in this OS process")
        yappi.clear_stats()
        yappi.set_context_backend("greenlet")
        yappi.set_context_name_callback(greenlet_name)
        yappi.set_clock_type(self._clock)
        yappi.start(builtins=False)

    def stop(self) -> YappiProfile:
        """Stop tracing, and clear the global statistics of yappi."""
        yappi = self._yappi
        yappi.stop()
        try:
            return YappiProfile(yappi, self._clock)
        finally:
            yappi.clear_stats()
            yappi.set_context_backend("native_thread")


class YappiProfile:
    """The time of each process and function, summed over all greenlets that a process used."""

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
        """Return the profile in *format*; ``python -m pstats`` reads ``pstat``."""
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
    """Return the functions with the most time of their own in the greenlets *contexts*."""
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
    """Return the id of the process that the current greenlet runs, else the greenlet's kind."""
    running = gevent.getcurrent()
    record = getattr(running, "record", None)
    if record is not None:
        return str(record.pid.id)
    return str(getattr(running, "name", None) or type(running).__name__)


class PyinstrumentProfiler:
    """Samples the stack 1,000 times a second.

    pyinstrument must start and stop in the same context, but a process may change its greenlet;
    so a greenlet of its own does both.

    Args:
        spawn: starts that greenlet.
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
        """Start sampling; raises `StateError` if pyinstrument cannot start."""
        self._spawn(self._run)
        self._started.get(timeout=STOP_SECONDS)

    def stop(self) -> PyinstrumentProfile:
        """Stop sampling and return the call tree."""
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
    """A call tree."""

    formats: ClassVar[tuple[str, ...]] = PYINSTRUMENT_FORMATS

    def __init__(self, profiler: Any) -> None:
        self._profiler = profiler

    def report(self, format: str) -> Report:
        """Return the tree as a self-contained HTML page or as text."""
        if format == "html":
            body = self._profiler.output_html()
            return Report(body.encode(), "text/html; charset=utf-8", "profile.html")
        body = self._profiler.output_text(unicode=True, color=False)
        return Report(body.encode(), "text/plain; charset=utf-8", "profile.txt")


def make_profiler(tool: str, clock: str, spawn: Callable[..., object]) -> Profiler:
    """Return a profiler.

    Args:
        tool: ``yappi`` or ``pyinstrument``.
        clock: ``cpu`` or ``wall``; yappi only.
        spawn: starts the greenlet of pyinstrument.

    Raises:
        ImportError: *tool* is not installed.
        InvalidArgument: *tool* or *clock* is unknown.
    """
    if tool == "yappi":
        return YappiProfiler(clock)
    if tool == "pyinstrument":
        return PyinstrumentProfiler(spawn)
    raise InvalidArgument(f"expected yappi or pyinstrument as the tool, got {tool!r}")
