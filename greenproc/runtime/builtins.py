"""The built-in processes of a node, in the order of their start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenproc.builtin.dead_letters import DeadLettersEndpoint
from greenproc.builtin.health import Readiness
from greenproc.builtin.help import Help
from greenproc.builtin.logging import Logging
from greenproc.builtin.memory_profiler import MemoryProfiler
from greenproc.builtin.metrics import Metrics
from greenproc.builtin.node import Node
from greenproc.builtin.node_metrics import NodeMetrics
from greenproc.builtin.processes import ProcessesEndpoint
from greenproc.builtin.profiler import ProfilerEndpoints
from greenproc.builtin.system import System
from greenproc.process.base import Process
from greenproc.settings import parse_rate

if TYPE_CHECKING:
    from greenproc.runtime.runtime import Runtime


def make_builtins(runtime: Runtime, node_metrics: NodeMetrics) -> list[Process]:
    """Return the built-in processes of *runtime*, which is about to run.

    What changes something is in the read-write realm; the metrics and the page of the node, which
    show what the program does, in the read-only one.

    Source: libprocess src/process.cpp, initialize, for the order and the realms.
    """
    settings = runtime.settings
    readwrite, readonly = runtime.readwrite_realm, runtime.readonly_realm
    processes, registry = node_metrics.processes, runtime.metrics
    rate = parse_rate(settings.metrics_snapshot_endpoint_rate_limit)
    return [
        Help(processes, runtime.delegate),
        Metrics(registry, rate, readonly),
        Logging(readwrite),
        ProfilerEndpoints(enabled=settings.enable_profiler, realm=readwrite),
        *([MemoryProfiler(readwrite)] if settings.memory_profiling else []),
        System(registry),
        ProcessesEndpoint(processes, readonly),
        DeadLettersEndpoint(runtime.dead_letters, readonly),
        Node(node_metrics, registry, Readiness(runtime.signals, processes), readonly),
    ]
