"""``/system``: load, processors and memory of the machine."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.metrics import Metric, PulledCounter, PullGauge, Registry
from greenproc.process.base import Process
from greenproc.process.handlers import route
from greenproc.process.help import DESCRIPTION, HELP, TLDR

MEMINFO = Path("/proc/meminfo")
STATM = Path("/proc/self/statm")


def find_psutil() -> Any:
    """Return the module psutil if it is installed, else None."""
    try:
        import psutil
    except ImportError:
        return None
    return psutil


def load_averages() -> dict[str, float]:
    """Return the load averages of the machine over 1, 5 and 15 minutes.

    Raises:
        OSError: the system has no load averages.
    """
    one, five, fifteen = os.getloadavg()
    return {"avg_load_1min": one, "avg_load_5min": five, "avg_load_15min": fifteen}


def processors() -> dict[str, int]:
    """Return the number of online processors."""
    return {"cpus_total": os.sysconf("SC_NPROCESSORS_ONLN")}


def memory() -> dict[str, int]:
    """Return the total and the free memory of the machine in bytes.

    Raises:
        OSError: the system lacks these figures, and psutil is not installed.
    """
    psutil = find_psutil()
    if psutil is not None:
        found = psutil.virtual_memory()
        return {"mem_total_bytes": found.total, "mem_free_bytes": found.free}
    told = dict(line.split(":", 1) for line in MEMINFO.read_text("ascii").splitlines())
    total, free = (int(told[name].split()[0]) * 1024 for name in ("MemTotal", "MemFree"))
    return {"mem_total_bytes": total, "mem_free_bytes": free}


def resident_bytes() -> int:
    """Return the resident memory of this OS process in bytes; its peak where only that is known."""
    psutil = find_psutil()
    if psutil is not None:
        return int(psutil.Process().memory_info().rss)
    try:
        return int(STATM.read_text("ascii").split()[1]) * resource.getpagesize()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


GROUPS: tuple[Callable[[], dict[str, Any]], ...] = (load_averages, processors, memory)


class System(Process):
    """Serves the load, processors and memory of the machine, and registers them as metrics.

    Source: libprocess include/process/system.hpp.
    """

    def __init__(self, registry: Registry) -> None:
        super().__init__("system")
        self._registry = registry
        self._metrics: list[Metric] = [
            PullGauge("system/load_1min", lambda: load_averages()["avg_load_1min"]),
            PullGauge("system/load_5min", lambda: load_averages()["avg_load_5min"]),
            PullGauge("system/load_15min", lambda: load_averages()["avg_load_15min"]),
            PullGauge("system/cpus_total", lambda: processors()["cpus_total"]),
            PullGauge("system/mem_total_bytes", lambda: memory()["mem_total_bytes"]),
            PullGauge("system/mem_free_bytes", lambda: memory()["mem_free_bytes"]),
            PullGauge("system/process_resident_bytes", resident_bytes),
            PulledCounter("system/process_cpu_secs", time.process_time),
        ]

    def initialize(self) -> None:
        for metric in self._metrics:
            self._registry.add(metric)

    def finalize(self) -> None:
        for metric in self._metrics:
            self._registry.remove(metric)

    @route(
        "/stats.json",
        help=HELP(
            TLDR("Shows the load, the processors and the memory of the machine."),
            DESCRIPTION(
                "* `avg_load_1min`, `avg_load_5min`, `avg_load_15min`",
                "* `cpus_total`: processors that are online",
                "* `mem_total_bytes`, `mem_free_bytes`",
                "",
                "Unavailable figures are omitted. The query `jsonp=NAME` makes the JSON",
                "the argument of a function.",
            ),
        ),
    )
    def on_stats(self, request: Request) -> Response:
        """Serve the available figures as JSON."""
        stats: dict[str, Any] = {}
        for group in GROUPS:
            try:
                stats |= group()
            except (OSError, KeyError, ValueError):
                continue
        return OK(json=dict(sorted(stats.items())), jsonp=request.url.query.get("jsonp"))
