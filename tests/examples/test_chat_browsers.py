"""The chat as people see it, in a real browser."""

from __future__ import annotations

import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from chat.store import connect
from tests.examples.chat_node import CHROMIUM, EXAMPLES, Node, RemoteBrowser, shutil

pytestmark = [
    pytest.mark.slow,  # browsers take seconds to start
    pytest.mark.timeout(180),  # and on a busy machine many
    pytest.mark.skipif(
        shutil.which("chromedriver") is None or CHROMIUM is None,
        reason="Chromium and chromedriver are not installed",
    ),
    pytest.mark.skipif(find_spec("selenium") is None, reason="selenium is not installed"),
]

WAYS = ["websocket", "events"]


@pytest.fixture
def browsers() -> Iterator[tuple[RemoteBrowser, RemoteBrowser]]:
    """Two browsers, of two people."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(RemoteBrowser()) for _ in range(2))
        yield first, second


def enter(browser: RemoteBrowser, node: Any, name: str, way: str) -> str:
    focus: str = browser.do("enter", f"http://{node.address}/chat?by={way}", name)
    return focus


def write_history(database: Path, count: int) -> None:
    connection = connect(database)
    try:
        for number in range(1, count + 1):
            row = ("lobby", number, "0" * 16, "Grace", f"line {number}", 1.0, str(number))
            connection.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    finally:
        connection.close()


def accepted(database: Path) -> list[str]:
    """Return what the room has written down, in order."""
    connection = sqlite3.connect(database)
    try:
        return [
            text for (text,) in connection.execute("SELECT text FROM messages ORDER BY number")
        ]
    finally:
        connection.close()


@pytest.mark.parametrize("way", WAYS)
def test_two_people_on_two_nodes_lose_nothing_when_these_are_killed(
    database: Path, browsers: tuple[RemoteBrowser, RemoteBrowser], way: str
) -> None:
    ada, bob = browsers
    with Node(database) as rooms, Node(database, rooms) as other:
        enter(ada, rooms, "Ada", way)
        enter(bob, other, "Bob", way)
        for number in range(3):
            ada.do("say", f"ada {number}")
            bob.do("see", f"ada {number}")
            bob.do("say", f"bob {number}")
            ada.do("see", f"bob {number}")

        other.kill()
        bob.do("say", "bob, alone", "bob, still alone")
        ada.do("say", "ada, meanwhile", "ada, again")
        other.start()
        bob.do("see", "ada, again")
        ada.do("see", "bob, still alone")

        rooms.kill()
        bob.do("say", "bob, without a room")
        ada.do("say", "ada, without a node")
        rooms.start()
        bob.do("see", "ada, without a node")
        ada.do("see", "bob, without a room")
        for browser in (ada, bob):
            browser.do("see", "ada, without a node")
            browser.do("see", "bob, without a room")
        seen = [browser.do("texts") for browser in browsers]
        kept = accepted(database)

    assert seen == [kept, kept]
    assert kept[:6] == [f"{name} {number}" for number in range(3) for name in ("ada", "bob")]
    for name in ("ada, ", "bob, "):
        later = [text for text in kept[6:] if text.startswith(name)]
        assert len(later) == 3
        assert later[-1].startswith(f"{name}without")
    assert kept.index("bob, alone") < kept.index("bob, still alone")
    assert kept.index("ada, meanwhile") < kept.index("ada, again")


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_lost_while_gunicorn_reloads(
    database: Path, browsers: tuple[RemoteBrowser, RemoteBrowser], way: str
) -> None:
    pytest.importorskip("gunicorn")
    from tests.wsgi.gunicorns import Gunicorn

    options = {"target": "chat:app", "env": {"CHAT_DATABASE": str(database)}}
    flags = ("--chdir", str(EXAMPLES))
    with Gunicorn(sys.executable, database.parent, *flags, **options) as gunicorn:
        gunicorn.booted()
        for browser, name in zip(browsers, ("Ada", "Bob"), strict=True):
            enter(browser, gunicorn, name, way)
        for number in range(3):
            for browser, name in zip(browsers, ("ada", "bob"), strict=True):
                browser.do("say", f"{name} {number}")
            gunicorn.signal(signal.SIGHUP)
            gunicorn.booted(number + 2)
            gunicorn.expect("hook worker_exit", number + 1)
        for browser in browsers:
            for name in ("ada", "bob"):
                browser.do("see", f"{name} 2")
        seen = [browser.do("texts") for browser in browsers]

    kept = accepted(database)
    assert seen == [kept, kept]
    assert sorted(kept) == [f"{name} {number}" for name in ("ada", "bob") for number in range(3)]


def test_older_messages_are_shown_above_without_a_jump(
    database: Path, browsers: tuple[RemoteBrowser, RemoteBrowser]
) -> None:
    write_history(database, 120)
    ada, _ = browsers
    with Node(database) as node:
        enter(ada, node, "Ada", "")
        ada.do("see", "line 120")
        at_end = "scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 5"
        assert ada.do("wait_for", at_end)
        ada.do("run", "scroller.scrollTop = 0")
        top = "document.querySelector('[data-number=\"71\"]').getBoundingClientRect().top"
        before = ada.do("run", f"return {top}")
        for first in (21, 1):
            ada.do("run", "older.click()")
            ada.do("see", f"line {first}")
            if first == 21:
                assert abs(ada.do("run", f"return {top}") - before) < 60  # a date is above it now
        assert ada.do("texts") == [f"line {number}" for number in range(1, 121)]
        assert ada.do("run", "return older.hidden")


def test_the_page_finds_its_way_where_websockets_do_not_work(
    database: Path, browsers: tuple[RemoteBrowser, RemoteBrowser]
) -> None:
    ada, bob = browsers
    posts = "performance.getEntriesByType('resource').some((one) => one.name.endsWith('/send'))"
    with Node(database) as node:
        bob.do("without_websockets")
        for browser, name in ((ada, "Ada"), (bob, "Bob")):
            enter(browser, node, name, "")
        bob.do("say", "hello")

        assert ada.do("see", "hello")
        assert bob.do("run", f"return {posts}")
        assert not ada.do("run", f"return {posts}")


def test_the_chat_needs_no_mouse_and_names_everything(
    database: Path, browsers: tuple[RemoteBrowser, RemoteBrowser]
) -> None:
    ada, bob = browsers
    attack = "<img src=x onerror=document.title='taken'> http://evil.example/ javascript:alert(1)"
    with Node(database) as node:
        ada.do("run", f"location.href = 'http://{node.address}/chat'")
        ada.do("wait_for", "document.getElementById('welcome')?.open && performance.now() > 900")
        # Nothing is connected to before there is a name, and nothing can be left.
        shown = "document.getElementById('banner').textContent || !document.getElementById('leave').hidden"
        assert not ada.do("run", f"return {shown}")
        assert enter(ada, node, "Ada", "") == "text"
        enter(bob, node, "<b>Bob</b>", "")
        # Tab leads to the field for a new room, in the list before the messages.
        ada.do("run", "document.getElementById('new-room-name').focus()")
        ada.do("keys", "Garden Party", "ENTER")
        ada.do("wait_for", "document.getElementById('room-name').textContent === 'garden-party'")
        assert ada.do("focused") == "text"
        ada.do("keys", "ALT+ARROW_UP")
        ada.do("wait_for", "document.getElementById('room-name').textContent === 'lobby'")

        bob.do("keys", attack)
        typing = "document.getElementById('typing').textContent.includes('<b>Bob</b> is typing')"
        assert ada.do("wait_for", typing)
        bob.do("keys", "ENTER")
        ada.do("see", attack)
        spoken = ada.do("wait_for", "document.getElementById('announcer').textContent")
        assert "<b>Bob</b>" in spoken
        assert ada.do("run", "return document.querySelectorAll('.log img, .log b').length") == 0
        links = "return [...document.querySelectorAll('.log a')].map((one) => one.href)"
        assert ada.do("run", links) == ["http://evil.example/"]
        assert "taken" not in ada.do("run", "return document.title")

        assert ada.do("nameless") == []
        assert [ada.do("faint", scheme) for scheme in ("light", "dark")] == [[], []]
        assert ada.do("on_a_phone") == []
        ada.do("run", "document.getElementById('show-rooms').focus()")
        ada.do("keys", "ENTER")
        assert "lobby" in ada.do("focused")
        ada.do("keys", "ESCAPE")
        assert ada.do("focused") == "Rooms"
        assert ada.do("complaints") == []


def test_unread_messages_of_other_rooms_are_counted(
    database: Path, browsers: tuple[RemoteBrowser, RemoteBrowser]
) -> None:
    ada, bob = browsers
    with Node(database) as node:
        for browser, name in ((ada, "Ada"), (bob, "Bob")):
            enter(browser, node, name, "")
            browser.do("run", "location.hash = 'garden'")
            browser.do("wait_for", "document.getElementById('room-name').textContent === 'garden'")
        ada.do("run", "location.hash = 'lobby'")
        ada.do("wait_for", "document.getElementById('room-name').textContent === 'lobby'")
        bob.do("say", "one", "two")
        assert ada.do("wait_for", "document.title.startsWith('(2)')")
        # The room is still there when the page is loaded again, and so is its place.
        ada.do("run", "location.hash = 'garden'")
        ada.do("see", "two")
        assert ada.do("wait_for", "!document.title.startsWith('(')")
        ada.do("run", "location.reload()")
        ada.do("see", "two")
