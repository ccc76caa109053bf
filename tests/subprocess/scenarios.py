"""What works in programs of each kind, run as a program: ``scenarios KIND``.

The kinds: ``plain``; ``patched``, which only says so, whoever runs it has patched; ``replaced``,
where somebody has put a handler of SIGCHLD in the place of gevent's; ``thieving``, where a thread
collects every child that it can. It exits with 0 if all is well.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings

import gevent
import pytest
from gevent import monkey

from greenproc import io
from greenproc.subprocess import FD, PIPE, Options, current_reaper, launch, reap
from tests.descriptors import nothing_left_open

KIND = sys.argv[1]
LOST: set[int | None] = {None} if KIND == "thieving" else set()
LIMIT = 15.0


def check_io() -> None:
    reader, writer = os.pipe()
    everything = io.read(reader)
    data = bytes(300_000)
    written = io.write(writer, data)
    io.close(writer)
    assert everything.get(timeout=LIMIT) == data
    assert written.get_nowait() == len(data)
    discarded = io.poll(reader, io.READ)
    io.close(reader)
    assert discarded.get(timeout=LIMIT) == io.READ


def check_streams() -> None:
    child = launch("cat; echo error >&2; exit 3", stdin=PIPE, stdout=PIPE, stderr=PIPE)
    io.write(child.stdin, b"hello").get(timeout=LIMIT)
    child.stdin.close()
    assert io.read(child.stdout).get(timeout=LIMIT) == b"hello"
    assert io.read(child.stderr).get(timeout=LIMIT) == b"error\n"
    assert child.status.get(timeout=LIMIT) in {3 << 8, *LOST}


def check_hooks() -> None:
    seen: list[int] = []
    options = Options(parent_hooks=[seen.append], child_hooks=[lambda: os.write(1, b"hook ")])
    child = launch("echo $$", options, stdout=PIPE)
    assert io.read(child.stdout).get(timeout=LIMIT) == b"hook %d\n" % child.pid
    assert seen == [child.pid]
    assert child.status.get(timeout=LIMIT) in {0, *LOST}


def check_supervised() -> None:
    child = launch("read word; exit $word", Options(supervised=True), stdin=PIPE)
    io.write(child.stdin, b"7\n").get(timeout=LIMIT)
    assert child.status.get(timeout=LIMIT) in {7 << 8, *LOST}
    with pytest.raises(FileNotFoundError, match="/nowhere"):
        launch(["/nowhere"], Options(supervised=True), stdin=PIPE, stdout=PIPE)


def check_failures() -> None:
    for options in (Options(), Options(parent_hooks=[lambda pid: None])):
        with pytest.raises(FileNotFoundError, match="/nowhere"):
            launch(["/nowhere"], options, stdin=PIPE, stdout=PIPE)
    with pytest.raises(KeyError):
        launch(["true"], Options(parent_hooks=[lambda pid: {}[pid]]), stdin=PIPE)


def check_owned() -> None:
    reader, writer = os.pipe()
    child = launch(
        "echo a; echo b >&2", stdout=FD(writer, owned=True), stderr=FD(writer, owned=True)
    )
    assert io.read(reader).get(timeout=LIMIT) == b"a\nb\n"
    io.close(reader)
    child.status.get(timeout=LIMIT)


def check_others() -> None:
    shell = launch("sleep 1000 </dev/null >/dev/null 2>&1 & echo $!", stdout=PIPE)
    pid = int(io.read(shell.stdout).get(timeout=LIMIT))
    future = reap(pid)
    os.kill(pid, signal.SIGKILL)
    assert future.get(timeout=LIMIT) is None
    shell.status.get(timeout=LIMIT)


def check_forked() -> None:
    # Python 3.12 warns because gevent has native threads; this child ends before it could lock.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os._exit(7)
    assert reap(pid).get(timeout=LIMIT) in {7 << 8, *LOST}


def check_many() -> None:
    children = [launch(f"exit {code}") for code in range(20)]
    for code, child in enumerate(children):
        assert child.status.get(timeout=LIMIT) in {code << 8, *LOST}


CHECKS = [
    check_io,
    check_streams,
    check_hooks,
    check_supervised,
    check_failures,
    check_owned,
    check_others,
    check_forked,
    check_many,
]


def steal() -> None:
    """Collect children from another thread, as an embedding program may."""
    waitpid = monkey.get_original("os", "waitpid")
    while not is_over:
        try:
            waitpid(-1, 0)
        except ChildProcessError:
            threading.Event().wait(0.0005)


is_over: list[bool] = []


def main() -> None:
    assert monkey.is_module_patched("os") == (KIND == "patched")
    launch(["true"]).status.get(timeout=LIMIT)  # gevent's handler of SIGCHLD is there now
    if KIND == "replaced":
        monkey.get_original("signal", "signal")(signal.SIGCHLD, signal.SIG_DFL)
    thief = threading.Thread(target=steal, daemon=True)
    if KIND == "thieving":
        thief.start()
    for check in CHECKS:
        with nothing_left_open():
            check()
    is_over.append(True)
    gevent.idle()
    assert current_reaper().statistics() == {"watched": 0}
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return
    raise AssertionError("a child is left")


if __name__ == "__main__":
    main()
