"""A program that forks, in one of several ways, and prints what parent and child see.

Run as ``python forking.py WAY``. The parent serves all requests, before, during and after.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
from gevent import get_hub, socket
from gevent.event import Event
from gevent.monkey import get_original

import greenproc
from greenproc import Address, Process, route
from greenproc.errors import StateError
from greenproc.http import OK, Request, Response
from greenproc.web import get

CLIENTS = 4
LIMIT = 20.0

STATE: dict[str, Any] = {}


class Answering(Process):
    """Tells which OS process answers."""

    def __init__(self) -> None:
        super().__init__("answering")

    @route("/pid")
    def on_pid(self, request: Request) -> Response:
        return OK(str(os.getpid()))

    def fork(self) -> int:
        return fork_child()


class Waiting(Process):
    """Waits in a handler while the OS process forks, and has timers."""

    def wait(self) -> None:
        note_where_it_runs("handler")
        greenproc.after(0.005).get()
        note_where_it_runs("handler")

    def tick(self) -> None:
        note_where_it_runs("timer")
        greenproc.delay(0.002, self.pid, Waiting.tick)

    def finalize(self) -> None:
        note_where_it_runs("finalize")


def note_where_it_runs(what: str) -> None:
    if os.getpid() != STATE["parent"]:
        os.write(STATE["write"], f"{what} ran in the child\n".encode())


class Load:
    """Clients that ask all the time who answers."""

    def __init__(self) -> None:
        self.address = greenproc.address()
        self.pids: set[str] = set()
        self.requests = 0
        self.failed = 0
        self._is_over = False
        self._reached = Event()
        self._wanted = 0
        self._clients = [gevent.spawn(self._ask) for _ in range(CLIENTS)]

    def _ask(self) -> None:
        while not self._is_over and os.getpid() == STATE["parent"]:
            response = get(f"http://{self.address}/answering/pid").get(timeout=LIMIT)
            self.pids.add(response.body.decode())
            self.requests += 1
            if self.requests >= self._wanted:
                self._reached.set()

    def leave_to_parent(self) -> None:
        """End the copies of the clients in a child, where gevent lets them go on."""
        for client in self._clients:
            client.kill(block=False)

    def wait_for(self, requests: int) -> None:
        self._reached.clear()
        self._wanted = self.requests + requests
        if not self._reached.wait(LIMIT):
            raise AssertionError("the parent does not answer")

    def end(self) -> None:
        self._is_over = True
        gevent.joinall(self._clients, raise_error=True)


def sockets_of(address: Address) -> int:
    """Count the descriptors of this OS process that are the node's at *address*."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as copy:
            count += copy.getsockname() == (address.ip, address.port)
    return count


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def look(parent: Any, pid: Any) -> list[str]:
    """Return what a child finds out about what it inherited, and whether it can start a node."""
    STATE["load"].leave_to_parent()
    told = [f"sockets {sockets_of(STATE['address'])}"]
    uses: list[Callable[[], object]] = [
        lambda: parent.address,
        lambda: parent.spawn(Process()),
        lambda: parent.dispatch(pid, os.getpid),
        lambda: parent.post(pid, "x"),
        lambda: parent.clock,
        lambda: parent.call_from_thread(int),
        parent.statistics,
    ]
    for use in uses:
        try:
            told.append(f"worked {use()!r}")
        except StateError as error:
            told.append("refused" if "belongs to the parent process" in str(error) else str(error))
    parent.stop()
    told.append(f"started {greenproc.initialize()}")
    adder = greenproc.spawn(Answering())
    answered = get(f"http://{greenproc.address()}/answering/pid").get(timeout=LIMIT)
    told.append(f"own answer {answered.body.decode() == str(os.getpid())}")
    told.append(f"own dispatch {greenproc.dispatch(adder, os.getpid).get() == os.getpid()}")
    greenproc.after(0.1).get()  # whatever of the parent might still run has its chance
    greenproc.finalize()
    return told


def report(parent: Any, pid: Any, to: int) -> None:
    try:
        lines = look(parent, pid)
    except BaseException as error:
        lines = [f"raised {error!r}"]
    os.write(to, "\n".join([*lines, ""]).encode())


def fork_child() -> int:
    """Fork; the child reports through a pipe and ends. Return the number of the child."""
    child = os.fork()
    if child == 0:
        report(STATE["runtime"], STATE["pid"], STATE["write"])
        os._exit(0)
    return child


def by_fork() -> None:
    wait_for_child(fork_child())


def by_handler() -> None:
    wait_for_child(greenproc.dispatch(STATE["pid"], Answering.fork).get(timeout=LIMIT))


def by_thread() -> None:
    children: list[int] = []
    thread = get_original("threading", "Thread")(target=lambda: children.append(fork_child()))
    thread.start()
    get_hub().threadpool.apply(thread.join)
    wait_for_child(children[0])


def by_multiprocessing() -> None:
    context = multiprocessing.get_context("fork")
    args = (STATE["runtime"], STATE["pid"], STATE["write"])
    process = context.Process(target=report, args=args)
    process.start()
    get_hub().threadpool.apply(process.join)
    tell("exit", process.exitcode)


def by_spawn() -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=spawned)
    process.start()
    get_hub().threadpool.apply(process.join)
    tell("exit", process.exitcode)
    os.write(STATE["write"], b"spawned\n")


def spawned() -> None:
    greenproc.initialize()
    greenproc.finalize()


def by_subprocess() -> None:
    from gevent import subprocess

    text = subprocess.check_output([sys.executable, "-c", "print('program')"])
    os.write(STATE["write"], text.strip())


def wait_for_child(child: int) -> None:
    _, status = get_hub().threadpool.apply(os.waitpid, (child, 0))
    tell("exit", os.waitstatus_to_exitcode(status))


WAYS = {
    name.removeprefix("by_"): value for name, value in list(globals().items()) if name[:3] == "by_"
}


def main() -> None:
    greenproc.initialize()
    STATE["runtime"] = greenproc.current_runtime()
    read, STATE["write"] = os.pipe()
    STATE["parent"] = os.getpid()
    STATE["address"] = greenproc.address()
    STATE["pid"] = greenproc.spawn(Answering())
    waiting = [greenproc.spawn(Waiting()) for _ in range(50)]
    for pid in waiting:
        greenproc.dispatch(pid, Waiting.tick)
        for _ in range(20):
            greenproc.dispatch(pid, Waiting.wait)
    STATE["load"] = load = Load()
    load.wait_for(50)
    WAYS[sys.argv[1]]()
    load.wait_for(50)
    load.end()
    os.close(STATE["write"])
    tell("\n".join(sorted(set(os.read(read, 65536).decode().splitlines()))))
    os.close(read)
    tell("answered by", "parent" if load.pids == {str(os.getpid())} else load.pids)
    greenproc.finalize()


if __name__ == "__main__":
    main()
