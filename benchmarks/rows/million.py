"""A million processes in one node: the memory of its OS process, and how long they take to start."""

from __future__ import annotations

from time import perf_counter

from benchmarks.children import measure
from benchmarks.harness import Goal, Row, Sample
from benchmarks.nodes import START_SECONDS, start_runtime
from benchmarks.rows.memory import Idle, settled_bytes

GIGABYTE = 2**30


def processes(count: int) -> Sample:
    """Return the GiB of an OS process with *count* idle processes. Made for a fresh one."""
    runtime = start_runtime()
    start = perf_counter()
    lost = 0
    for _ in range(count):
        lost += not runtime.spawn(Idle())
    runtime.settle(timeout=START_SECONDS)
    seconds = perf_counter() - start
    return Sample(settled_bytes() / GIGABYTE, lost, f"{count:,} started in {seconds:.1f} s")


ROW = Row(
    name="million-processes",
    title="memory of a node with a million idle processes",
    subject=lambda count: measure(processes, count),
    goal=Goal(2.0, at_most=True),
    count=1_000_000,
    quick_count=2_000,
    unit="GiB",
    once=True,
)
