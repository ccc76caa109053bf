"""A program that starts another one, says by which pids, and ends with its input: ``launcher KIND``.

The kinds: ``supervised``, ``alone``; ``held``, whose parent hook never returns; ``ignoring``, which
ignores the end of children, and lets its child end when it is told to.
"""

from __future__ import annotations

import signal
import sys

from gevent.fileobject import FileObject
from gevent.os import tp_read

from greenproc.subprocess import PIPE, Options, launch
from tests.subprocess.support import NULL

# It does not listen to SIGTERM, and has a child of its own.
PROGRAM = "trap '' TERM; sleep 1000 & echo $$ $!; wait"


def say_and_wait(*pids: int) -> None:
    sys.stdout.write(" ".join(map(str, pids)) + "\n")
    sys.stdout.flush()
    tp_read(0, 1)


def main(kind: str) -> None:
    if kind == "held":
        options = Options(parent_hooks=[say_and_wait], supervised=True)
        launch("sleep 1000", options, stdin=NULL, stdout=NULL)
    if kind == "ignoring":
        launch(["true"]).status.get()  # gevent's handler of SIGCHLD is there now
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        child = launch(["cat"], Options(supervised=True), stdin=PIPE)
        say_and_wait(child.pid)
        child.close()
        tp_read(0, 1)
        return
    options = Options(supervised=kind == "supervised")
    child = launch(PROGRAM, options, stdin=NULL, stdout=PIPE, stderr=NULL)
    say_and_wait(child.pid, *map(int, FileObject(child.stdout.fileno(), "rb").readline().split()))


if __name__ == "__main__":
    main(sys.argv[1])
