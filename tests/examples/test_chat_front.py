"""What browsers ask the chat for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chat.front import FILES, PAGE
from greenproc import Runtime
from tests.examples.conftest import Visit
from tests.peer import Peer

JUNK = [
    b"",
    b"{}",
    b"null",
    b"[]",
    b"\xff\xfe",
    b"[" * 10_000,
    b'{"session":"x","commands":"y"}',
    b'{"session":"x","commands":[{"do":"fly"}]}',
    b'{"session":"x","commands":[{"do":"join","room":"Not A Room"}]}',
    b'{"session":"x","commands":[{"do":"join","room":"r","since":-1}]}',
    b'{"session":"x","commands":[{"do":"join","room":"r","since":1e999}]}',
    b'{"session":"../x","commands":[]}',
    b'{"session":"x","commands":' + json.dumps([{"do": "leave", "room": "r"}] * 6).encode() + b"}",
    b'{"session":"x","commands":[{"do":"say","room":"r","token":"t","text":"'
    + b"x" * 5_000
    + b'"}]}',
]


def test_the_page_takes_nothing_from_elsewhere(node: Runtime) -> None:
    with Peer.connect(node.address) as peer:
        page = peer.get("/chat")
    policy = page.header("Content-Security-Policy") or ""

    assert page.code == 200
    assert page.header("Content-Type") == "text/html; charset=utf-8"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name in FILES:
        text = (PAGE / name).read_text("utf-8")
        addresses = set(re.findall(r"https?://[^\s\"'\\)]+", text)) - {
            "http://www.w3.org/2000/svg"
        }
        assert not addresses, name
    html = page.body.decode()
    assert "http" not in html.replace("http-equiv", "")
    assert not re.search(r"<script(?! type=\"module\" src=)|\bon\w+=|style=", html)


def test_texts_of_people_are_never_taken_for_html() -> None:
    for path in PAGE.glob("*.js"):
        script = path.read_text("utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script
        )


@pytest.mark.parametrize(("path", "base"), [("/chat", "chat/"), ("/chat/", "")])
def test_the_page_finds_its_files_with_and_without_a_slash(
    node: Runtime, path: str, base: str
) -> None:
    with Peer.connect(node.address) as peer:
        html = peer.get(path).body.decode()
        assert f'src="{base}static/chat.js"' in html
        for name, kind in FILES.items():
            file = peer.get(f"/chat/static/{name}")
            assert (file.code, file.header("Content-Type")) == (200, kind)
            assert file.header("X-Content-Type-Options") == "nosniff"
        assert peer.get("/chat/static/index.html").code == 404
        assert peer.get("/chat/static/..%2F..%2Fstore.py").code == 404


def test_each_file_of_the_page_is_served() -> None:
    assert {path.name for path in PAGE.iterdir()} == {*FILES, "index.html"}


@pytest.mark.parametrize("body", JUNK, ids=range(len(JUNK)))
def test_junk_is_refused(node: Runtime, visit: Visit, body: bytes) -> None:
    ada = visit(node, "Ada", "lobby")

    assert ada.post(body.replace(b'"x"', f'"{ada.session}"'.encode(), 1)) == 400
    ada.say("lobby", "still-here")


def test_long_texts_of_several_rooms_may_come_together(node: Runtime, visit: Visit) -> None:
    rooms = [f"room{number}" for number in range(5)]
    ada = visit(node, "Ada", *rooms)
    text = "\U0001f469" * 2000
    commands = [{"do": "say", "room": room, "token": "t", "text": text} for room in rooms]
    body = json.dumps({"session": ada.session, "commands": commands}, ensure_ascii=False)

    assert ada.post(body.encode()) == 204
    for room in rooms:
        assert ada.expect("message", room=room)["text"] == text


def test_a_session_that_is_over_is_not_found(node: Runtime, visit: Visit) -> None:
    ada = visit(node, "Ada", "lobby")
    with Peer.connect(node.address) as peer:
        assert peer.get("/chat/send").code == 405

    assert ada.post(b'{"session":"unknown","commands":[]}') == 404


def test_nothing_is_done_before_hello(node: Runtime, visit: Visit, database: Path) -> None:
    ada = visit(node, "Ada", "lobby")
    nobody = visit(node, "", key="k")
    nobody.do("join", room="lobby", since=0)
    nobody.do("say", room="lobby", token="t", text="x")
    ada.say("lobby", "first")

    assert ada.join("lobby")["messages"][0]["text"] == "first"
    assert len(ada.join("lobby")["people"]) == 1
