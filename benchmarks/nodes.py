"""Runtimes for the rows, and waiting for what happens in them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gevent import socket

from greenproc import Runtime, Settings

LIMIT_SECONDS = 20.0  # after which what has not arrived counts as lost
START_SECONDS = 120.0  # for a million processes to become idle


def start_runtime(*, delegate: str | None = None) -> Runtime:
    """Start a node on the loopback interface. Without a stop it ends with the OS process."""
    runtime = Runtime(Settings(ip="127.0.0.1"), delegate=delegate)
    runtime.start()
    return runtime


@contextmanager
def running(*, delegate: str | None = None) -> Iterator[Runtime]:
    """Run a node on the loopback interface and make it the current one for the block."""
    runtime = start_runtime(delegate=delegate)
    try:
        with runtime.selected():
            yield runtime
    finally:
        runtime.stop()


def say(address: object) -> None:
    """Tell the parent where this child is reached."""
    print(address, flush=True)


def wait_for_end_of_input() -> None:
    """Wait until the parent wants this child to end."""
    socket.wait_read(sys.stdin.fileno())
