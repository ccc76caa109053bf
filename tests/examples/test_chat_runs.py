"""The chat as its documentation runs it: as one node, under gunicorn, on two nodes, as a demo."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import sys
from importlib.util import find_spec
from pathlib import Path

import gevent
import pytest
from gevent import subprocess
from gevent.event import Event

from greenproc.address import Address
from tests.examples.chat_node import EXAMPLES, Node
from tests.examples.chat_visitor import Visitor
from tests.peer import LIMIT, Peer
from tests.shell import GREENPROC, Program, environment
from tests.wsgi.gunicorns import Gunicorn, each_gunicorn

ROOT = EXAMPLES.parent


def talk(first: Address, second: Address, word: str = "hello") -> None:
    """Let two people talk."""
    with Visitor(first, "Ada", "lobby") as ada, Visitor(second, "Bob", "lobby") as bob:
        ada.say("lobby", f"{word}-Bob")
        assert bob.texts(1)
        bob.say("lobby", f"{word}-Ada")
        assert ada.texts(1)


def test_chat_runs_as_one_node(database: Path) -> None:
    with Node(database) as node:
        talk(node.address, node.address)
        with Peer.connect(node.address) as peer:
            assert peer.get("/").header("Location") == "/chat"
        assert node.stop() == 0


@pytest.mark.slow  # starts four nodes
def test_chat_runs_on_two_nodes_and_survives_both(database: Path) -> None:
    with Node(database) as first, Node(database, first) as second:
        talk(first.address, second.address)
        second.kill()
        first.kill()
        first.start()
        second.start()
        talk(second.address, first.address, "again")
        with Visitor(second.address, "Carol") as carol:
            messages = carol.join("lobby")["messages"]

        assert [one["text"] for one in messages] == [
            f"{word}-{name}" for word in ("hello", "again") for name in ("Bob", "Ada")
        ]
        assert (first.stop(), second.stop()) == (0, 0)


@pytest.mark.slow  # starts a node for each kill
def test_what_was_accepted_is_kept_whenever_the_node_is_killed(database: Path) -> None:
    accepted: list[str] = []
    enough = Event()

    def talk_on(visitor: Visitor, name: str) -> None:
        with contextlib.suppress(OSError, EOFError):
            for number in range(10):
                visitor.say("lobby", f"{name}-{number}")
                accepted.append(f"{name}-{number}")
                if len(accepted) >= limit:
                    enough.set()

    for limit in (5, 45, 90):
        enough.clear()
        with Node(database) as node:
            names = [f"v{limit}x{number}" for number in range(8)]
            visitors = [Visitor(node.address, name, "lobby") for name in names]
            talking = [gevent.spawn(talk_on, *pair) for pair in zip(visitors, names, strict=True)]
            assert enough.wait(LIMIT)
            node.kill()
            gevent.joinall(talking, timeout=LIMIT, raise_error=True)
            for visitor in visitors:
                visitor.close()

    connection = sqlite3.connect(database)
    kept = [text for (text,) in connection.execute("SELECT text FROM messages ORDER BY number")]
    connection.close()
    assert set(accepted) <= set(kept)
    assert len(set(kept)) == len(kept)
    assert len(accepted) >= 90


@each_gunicorn
def test_chat_runs_under_gunicorn(database: Path, python: str) -> None:
    pytest.importorskip("gunicorn")
    flags = ("--graceful-timeout", "600", "--chdir", str(EXAMPLES))
    options = {"target": "chat:app", "env": {"CHAT_DATABASE": str(database)}}
    with Gunicorn(python, database.parent, *flags, **options) as gunicorn:
        gunicorn.booted()
        talk(gunicorn.address, gunicorn.address)
        with Visitor(gunicorn.address, "Ada", "lobby") as ada:
            gunicorn.signal(signal.SIGTERM)
            ada.source.read_to_end()
        assert gunicorn.finish().code == 0


def test_demo_shows_the_chat() -> None:
    with Program(*GREENPROC, "demo", "--chat", "--no-browser") as program:
        address = Address.parse(program.line("^  http://([^/]+)/chat$")[1])
        talk(address, address)
        program.signal(signal.SIGINT)
        code, _, err = program.finish()

    assert (code, err) == (0, "")


@pytest.mark.slow  # builds the package
def test_demo_of_the_installed_package_shows_the_chat(tmp_path: Path) -> None:
    if find_spec("setuptools") is None:
        pytest.skip("setuptools is not installed")
    build = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, env=environment())
    env = {"PYTHONPATH": str(tmp_path)}
    with Program(*GREENPROC, "demo", "--chat", "--no-browser", cwd=tmp_path, env=env) as program:
        address = Address.parse(program.line("^  http://([^/]+)/chat$")[1])
        with Peer.connect(address) as peer:
            assert peer.get("/chat/static/chat.js").code == 200
        talk(address, address)
