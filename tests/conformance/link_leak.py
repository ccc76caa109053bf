"""Links with no descriptor left, run as a program of its own; it exits with 0 if all is well."""

from __future__ import annotations

import os
import resource

from greenproc.future import Promise
from greenproc.pid import UPID
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from tests.peer import Acceptor, linked_socket


class Linker(Process):
    def __init__(self) -> None:
        super().__init__()
        self.exits: list[UPID] = []
        self.told: Promise[None] = Promise()

    def exited(self, pid: UPID) -> None:
        self.exits.append(pid)
        self.told.set(None)


def use_up_descriptors() -> list[int]:
    """Open files until no more can be opened, and return their descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return taken


def main() -> None:
    with Runtime(Settings(ip="127.0.0.1")) as runtime, Acceptor() as acceptor:
        linker = Linker()
        runtime.spawn(linker)
        linkee = UPID("(1)", acceptor.address)
        taken = use_up_descriptors()
        runtime.dispatch(linker, lambda: linker.link(linkee)).get()
        linker.told.future.get(timeout=15.0)
        runtime.settle()
        for descriptor in taken:
            os.close(descriptor)
        assert linker.exits == [linkee], linker.exits
        assert runtime.statistics()["processes"]["links"] == 0
        assert linked_socket(runtime.transport, acceptor.address) is None


if __name__ == "__main__":
    main()
