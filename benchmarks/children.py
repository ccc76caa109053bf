"""Functions that run in OS processes of their own: measurements, and the other end of a wire."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from benchmarks.harness import Sample, Skipped

ROOT = Path(__file__).resolve().parent.parent
PROFILE = "GREENPROC_BENCHMARKS_PROFILE"  # set in the environment: children print profiles
LIMIT_SECONDS = 120.0
STOP_SECONDS = 10.0


def start(function: Callable[..., object], *args: object) -> subprocess.Popen[str]:
    """Start ``function(*args)``, a function of a module, in a child; arguments travel as text."""
    target = f"{function.__module__}:{function.__qualname__}"
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.child", target, *map(str, args)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that whatever it starts can be ended with it
    )


def stop(child: subprocess.Popen[str]) -> None:
    """Ask *child* to end by the end of its input; kill it, and what it started, if it does not."""
    try:
        child.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def measure(
    function: Callable[..., Sample], *args: object, seconds: float = LIMIT_SECONDS
) -> Sample:
    """Return what ``function(*args)`` measures in a fresh child.

    Raises:
        RuntimeError: it failed, or took longer than *seconds*.
    """
    child = start(function, *args)
    try:
        output, _ = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        raise RuntimeError(f"no result within {seconds:g} s") from None
    if child.returncode != 0 or not output:
        raise RuntimeError(f"ended with status {child.returncode}")
    return Sample(**json.loads(output.splitlines()[-1]))


def measure_other(
    library: str, function: Callable[..., Sample], count: int, seconds: float = 30.0
) -> Sample | Skipped:
    """Return what *function* measures with *library*, or why it does not."""
    if find_spec(library) is None:
        return Skipped(f"skipped: {library} is not installed")
    try:
        return measure(function, count, seconds=seconds)
    except RuntimeError as error:
        return Skipped(f"skipped: {error}")


@contextmanager
def serving(function: Callable[[], None]) -> Iterator[str]:
    """Run *function* in a child for the block; it first prints the address, which is given."""
    child = start(function)
    try:
        assert child.stdout is not None
        address = child.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"{function.__name__} ended before it served")
        yield address
    finally:
        stop(child)
