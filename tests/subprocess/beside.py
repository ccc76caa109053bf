"""Programs that are started, awaited and reaped without gevent's default loop.

Run as ``python beside.py``: the main thread has no hub, and starts programs of its own meanwhile.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import gevent
from gevent._hub_local import get_hub_if_exists

import greenproc
from greenproc import Process, io
from greenproc.errors import StateError
from greenproc.subprocess import PATH, PIPE, Options, Subprocess, launch, reap

LIMIT = 20.0
NULL = PATH(os.devnull)


class Starter(Process):
    """Starts programs in handlers, as a process anywhere does."""

    def run(self, *command: str) -> tuple[bytes, int | None]:
        child = launch(list(command), stdin=NULL, stdout=PIPE, stderr=NULL)
        return io.read(child.stdout).get(timeout=LIMIT), child.status.get(timeout=LIMIT)

    def start(self, options: Options) -> Subprocess:
        return launch(["sleep", "1000"], options, stdin=NULL, stdout=NULL, stderr=NULL)

    def feed(self, data: bytes) -> bytes:
        child = launch(["cat"], stdin=PIPE, stdout=PIPE)
        reading = io.read(child.stdout)
        io.write(child.stdin, data).get(timeout=LIMIT)
        child.stdin.close()
        return reading.get(timeout=LIMIT)

    def reap(self, pid: int) -> int | None:
        return reap(pid).get(timeout=LIMIT)

    def fail_to_launch(self) -> None:
        launch(["/no/such/program"])

    def finalize(self) -> None:
        tell("at the end", self.run("echo", "finalized"))


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def own_output() -> str:
    """Start a program by the standard module, in this thread."""
    return subprocess.check_output(["sh", "-c", "echo own; exit 0"], text=True).strip()


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
    node = greenproc.start_in_thread()
    starter = greenproc.spawn(Starter())

    def ask(method: Any, *arguments: Any) -> Any:
        return greenproc.dispatch(starter, method, *arguments).get(timeout=LIMIT)

    tell(ask(Starter.run, "echo", "hello"))
    tell(ask(Starter.run, "sh", "-c", "exit 3"))
    tell(ask(Starter.feed, b"x" * 200_000) == b"x" * 200_000)
    running = [greenproc.dispatch(starter, Starter.run, "true") for _ in range(20)]
    tell({own_output() for _ in range(20)}, {future.get(LIMIT)[1] for future in running})

    child = ask(Starter.start, Options())
    child.kill()
    tell(os.WTERMSIG(child.status.get(timeout=LIMIT)))

    hooked: list[int] = []
    options = Options(parent_hooks=[hooked.append], child_hooks=[lambda: os.nice(1)])
    child = ask(Starter.start, options)
    child.terminate()
    tell(child.status.get(timeout=LIMIT), hooked == [child.pid])

    child = ask(Starter.start, Options(supervised=True))
    child.kill_tree(signal.SIGTERM)
    tell(child.status.get(timeout=LIMIT))

    foreign = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 5"], {})  # nothing else waits for it
    tell(ask(Starter.reap, foreign))
    try:
        ask(Starter.fail_to_launch)
    except FileNotFoundError as error:
        tell(type(error).__name__)
    try:
        launch(["true"])
    except StateError as error:
        tell(error)
    child = node.call(launch, ["true"], stdin=NULL)
    tell(child.status.get(timeout=LIMIT), node.call(node.reaper.statistics))
    greenproc.finalize()  # not left to the exit, when Python 3.12 forks no more
    tell(get_hub_if_exists(), "children:", children(), "records:", len(records()))


def children() -> str:
    """Return the OS processes that are children of this one still."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def records() -> list[int]:
    """Return the children that gevent takes for running."""
    watched = gevent.os._watched_children
    return [pid for pid, record in watched.items() if not isinstance(record, tuple)]


if __name__ == "__main__":
    main()
    sys.exit()
