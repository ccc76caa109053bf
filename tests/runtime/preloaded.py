"""A WSGI app for gunicorn with ``--preload``: it makes a runtime before the workers are forked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import greenproc
from greenproc import Process
from greenproc.errors import StateError


class Counter(Process):
    """Counts the requests of one worker."""

    def __init__(self) -> None:
        super().__init__("counter")
        self.total = 0

    def count(self) -> int:
        self.total += 1
        return self.total


greenproc.initialize()
MASTER = os.getpid()
INHERITED = greenproc.current_runtime()
COUNTERS: dict[int, Any] = {}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with what this worker knows: a node of its own, and that the master's is not."""
    started = greenproc.initialize()
    if started:
        COUNTERS[os.getpid()] = greenproc.spawn(Counter())
    total = greenproc.dispatch(COUNTERS[os.getpid()], Counter.count).get()
    try:
        INHERITED.spawn(Process())
        inherited = "works"
    except StateError:
        inherited = "refused"
    is_worker = os.getpid() != MASTER
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{is_worker} {started} {total} {inherited}".encode()]
