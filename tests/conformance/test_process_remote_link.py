"""Twins of libprocess' process_tests.cpp: links to a program of its own, ``linkee.py``."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent.socket
import pytest
from gevent import subprocess

from greenproc.future import Promise
from greenproc.pid import UPID
from greenproc.process import Process, RemoteConnection
from greenproc.runtime import Runtime
from greenproc.testing import await_ready, future_message
from tests.peer import linked_socket

HERE = Path(__file__).parent
LIMIT = 15.0  # seconds until a program that must end counts as hanging

Child = subprocess.Popen


@pytest.fixture
def children() -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    for child in children:
        if child.poll() is None:
            child.kill()
        child.wait()


@pytest.fixture
def linkee(runtime: Runtime, children: list[Child]) -> UPID:
    """The id of a started linkee, which is the only child."""
    coordinator = runtime.spawn(Process("coordinator"))
    alive = future_message("Alive", to=coordinator)
    children.append(subprocess.Popen([sys.executable, str(HERE / "linkee.py"), str(coordinator)]))
    message = await_ready(alive)
    assert message.sender.id == "(1)"
    return message.sender


class Linker(Process):
    def __init__(self) -> None:
        super().__init__()
        self.exits: list[UPID] = []
        self.told: Promise[UPID] = Promise()

    def exited(self, pid: UPID) -> None:
        self.exits.append(pid)
        self.told.set(pid)


@pytest.fixture
def make_linker(runtime: Runtime, linkee: UPID) -> Callable[[RemoteConnection], Linker]:
    """Spawn a process that links to the linkee, and wait until the connection stands."""

    def make_linker(mode: RemoteConnection) -> Linker:
        linker = Linker()
        runtime.spawn(linker)
        link(runtime, linker, linkee, mode)
        return linker

    return make_linker


def link(runtime: Runtime, linker: Linker, linkee: UPID, mode: RemoteConnection) -> None:
    runtime.dispatch(linker, lambda: linker.link(linkee, mode)).get()
    connection = linked_socket(runtime.transport, linkee.address)
    gevent.socket.wait_write(connection.fileno(), timeout=LIMIT)


def test_remote_link(make_linker, linkee: UPID, runtime: Runtime, children: list[Child]) -> None:
    """ProcessRemoteLinkTest.RemoteLink."""
    linker = make_linker(RemoteConnection.REUSE)
    os.kill(children[0].pid, signal.SIGKILL)
    assert await_ready(linker.told.future) == linkee


def test_remote_relink(make_linker, linkee: UPID, children: list[Child]) -> None:
    """ProcessRemoteLinkTest.RemoteRelink."""
    linker = make_linker(RemoteConnection.RECONNECT)
    os.kill(children[0].pid, signal.SIGKILL)
    assert await_ready(linker.told.future) == linkee


def test_remote_link_relink(
    make_linker, linkee: UPID, runtime: Runtime, children: list[Child]
) -> None:
    """ProcessRemoteLinkTest.RemoteLinkRelink."""
    linker = make_linker(RemoteConnection.REUSE)
    link(runtime, linker, linkee, RemoteConnection.RECONNECT)
    os.kill(children[0].pid, signal.SIGKILL)
    await_ready(linker.told.future)
    runtime.settle()
    assert linker.exits == [linkee]


def test_remote_double_link_relink(
    make_linker, linkee: UPID, runtime: Runtime, children: list[Child]
) -> None:
    """ProcessRemoteLinkTest.RemoteDoubleLinkRelink."""
    linker, relinker = make_linker(RemoteConnection.REUSE), make_linker(RemoteConnection.REUSE)
    link(runtime, relinker, linkee, RemoteConnection.RECONNECT)
    os.kill(children[0].pid, signal.SIGKILL)
    await_ready(linker.told.future)
    await_ready(relinker.told.future)
    runtime.settle()
    assert linker.exits == relinker.exits == [linkee]


def test_remote_link_leak(children: list[Child]) -> None:
    """ProcessRemoteLinkTest.RemoteLinkLeak, in an OS process of its own to use up descriptors."""
    children.append(
        subprocess.Popen(
            [sys.executable, "-m", "tests.conformance.link_leak"], cwd=HERE.parent.parent
        )
    )
    assert children[0].wait(LIMIT) == 0


def make_stale(runtime: Runtime, linkee: UPID) -> None:
    """Shut the link's socket for writing, behind the back of the node."""
    linked_socket(runtime.transport, linkee.address).shutdown(socket.SHUT_WR)


def test_remote_use_stale_link(make_linker, linkee: UPID, runtime: Runtime) -> None:
    """ProcessRemoteLinkTest.RemoteUseStaleLink."""
    linker = make_linker(RemoteConnection.REUSE)
    make_stale(runtime, linkee)
    runtime.settle()
    assert linker.exits == []

    linker.send(linkee, "whatever")

    await_ready(linker.told.future)
    assert linker.exits == [linkee]


def test_remote_stale_link_relink(
    make_linker, linkee: UPID, runtime: Runtime, children: list[Child]
) -> None:
    """ProcessRemoteLinkTest.RemoteStaleLinkRelink."""
    linker = make_linker(RemoteConnection.REUSE)
    make_stale(runtime, linkee)
    link(runtime, linker, linkee, RemoteConnection.RECONNECT)
    assert linker.exits == []

    linker.send(linkee, "whatever")

    assert children[0].wait(LIMIT) == 0
    await_ready(linker.told.future)
    runtime.settle()
    assert linker.exits == [linkee]
