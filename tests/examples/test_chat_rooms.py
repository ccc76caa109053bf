"""Rooms of the chat, on one node and on two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gevent
import pytest

from chat import hall as hall_module
from chat import open_chat
from chat import room as room_module
from chat.hall import IDLE_SECONDS
from chat.room import BURST, MISSED, PATIENCE, TYPING_SECONDS
from chat.store import Store
from greenproc import UPID, Future, Runtime, terminate, wait
from greenproc.errors import Failure
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker
from tests.examples.conftest import Visit
from tests.peer import LIMIT


def names(joined: dict[str, Any]) -> list[str]:
    return sorted(one["name"] for one in joined["people"])


def let_pass(runtime: Runtime, seconds: float) -> None:
    runtime.clock.advance(seconds)
    runtime.settle()


@pytest.mark.parametrize("where", ["node", "second"])
def test_what_is_said_reaches_all_in_order(
    request: pytest.FixtureRequest, node: Runtime, visit: Visit, where: str
) -> None:
    ada = visit(node, "Ada", "lobby")
    bob = visit(request.getfixturevalue(where), "Bob", "lobby")
    for number in range(4):
        ada.say("lobby", f"a{number}")
        bob.say("lobby", f"b{number}")

    expected = [f"{one}{number}" for number in range(4) for one in "ab"]
    assert visit(node, "Carol").join("lobby")["messages"][-1]["text"] == "b3"
    assert [message["text"] for message in bob.join("lobby")["messages"]] == expected


def test_people_are_seen_to_come_and_go(node: Runtime, second: Runtime, visit: Visit) -> None:
    ada = visit(node, "Ada")
    assert names(ada.join("lobby")) == ["Ada"]
    bob = visit(second, "Bob")
    assert names(bob.join("lobby")) == ["Ada", "Bob"]
    assert ada.expect("came", name="Bob")
    bob.do("leave", room="lobby")

    assert ada.expect("left", name="Bob")
    assert names(visit(node, "Carol").join("lobby")) == ["Ada", "Carol"]


def test_who_comes_back_soon_was_never_away(node: Runtime, visit: Visit) -> None:
    node.clock.pause()
    ada, bob = visit(node, "Ada", "lobby"), visit(node, "Bob", "lobby")
    bob.close()
    let_pass(node, 2 * 15.0)  # a heartbeat finds that the browser is gone
    again = visit(node, "Bob", "lobby")
    let_pass(node, PATIENCE)
    again.say("lobby", "here")
    assert ada.expect("message")["text"] == "here"
    again.close()
    with gevent.Timeout(LIMIT):
        while not ada.source.events:
            let_pass(node, 15.0)
            gevent.idle()
            if ada.source.chunk() == ":\n\n":
                continue

    assert ada.expect("left", name="Bob")


def test_typing_is_shown(node: Runtime, second: Runtime, visit: Visit) -> None:
    ada, bob = visit(node, "Ada", "lobby"), visit(second, "Bob", "lobby")
    bob.do("typing", room="lobby")

    assert ada.expect("typing", name="Bob")


def test_rooms_are_apart_and_listed(node: Runtime, second: Runtime, visit: Visit) -> None:
    ada = visit(node, "Ada", "lobby", "garden")
    bob = visit(second, "Bob", "garden")
    ada.say("lobby", "inside")
    ada.say("garden", "outside")

    assert bob.texts(1, "garden") == ["outside"]
    rooms = visit(second, "Carol").expect("rooms")["rooms"]
    assert rooms == [{"name": "lobby", "people": 1}, {"name": "garden", "people": 2}]


def test_one_person_with_two_browsers_is_one_person(node: Runtime, visit: Visit) -> None:
    ada = [visit(node, "Ada", key="k"), visit(node, "Ada", key="k")]
    assert len(ada[0].join("lobby")["people"]) == 1
    assert len(ada[1].join("lobby")["people"]) == 1
    ada[0].say("lobby", "hello")

    assert ada[1].texts(1) == ["hello"]
    # Another key is another person, whatever the name.
    assert len(visit(node, "Ada", key="other").join("lobby")["people"]) == 2


def test_a_new_name_is_told(node: Runtime, visit: Visit) -> None:
    ada, bob = visit(node, "Ada", "lobby"), visit(node, "Bob", "lobby")
    ada.do("hello", key="key-of-Ada", name="Countess")
    ada.do("join", room="lobby", since=0)

    assert bob.expect("came")["name"] == "Countess"


# Nothing is lost


def test_who_comes_back_gets_what_was_missed(node: Runtime, visit: Visit) -> None:
    ada, bob = visit(node, "Ada", "lobby"), visit(node, "Bob", "lobby")
    ada.say("lobby", "one")
    last = bob.expect("message")["number"]
    bob.close()
    ada.say("lobby", "two")
    ada.say("lobby", "three")
    joined = visit(node, "Bob").join("lobby", since=last)

    assert [message["text"] for message in joined["messages"]] == ["two", "three"]
    assert not joined["fresh"]


def test_the_same_message_sent_again_is_accepted_once(node: Runtime, visit: Visit) -> None:
    ada = visit(node, "Ada", "lobby")
    ada.say("lobby", "once", token="t")
    ada.say("lobby", "once", token="t")

    messages = visit(node, "Bob").join("lobby")["messages"]
    assert [message["text"] for message in messages] == ["once"]


def test_what_was_accepted_is_there_after_a_restart(
    make_runtime: RuntimeMaker, database: Path, visit: Visit
) -> None:
    for number in range(2):
        runtime = make_runtime()
        with runtime.selected():
            open_chat(runtime, database=database)
        ada = visit(runtime, "Ada", "garden")
        ada.say("garden", str(number))
        ada.close()
        runtime.stop()
    runtime = make_runtime()
    with runtime.selected():
        open_chat(runtime, database=database)
    ada = visit(runtime, "Ada")
    rooms = [room["name"] for room in ada.expect("rooms")["rooms"]]

    assert rooms == ["lobby", "garden"]
    assert [message["text"] for message in ada.join("garden")["messages"]] == ["0", "1"]


def test_members_of_a_node_that_is_back_find_its_rooms_again(
    make_runtime: RuntimeMaker, database: Path, visit: Visit
) -> None:
    first, second = make_runtime(), make_runtime()
    with first.selected():
        open_chat(first, database=database)
    with second.selected():
        open_chat(second, rooms=first.address)
    bob = visit(second, "Bob", "lobby")
    bob.say("lobby", "before")
    first.stop()
    assert bob.expect("away", room="lobby")
    bob.do("say", room="lobby", text="lost", token="t")
    assert bob.expect("away", room="lobby")  # it was not accepted

    first = make_runtime(Settings(ip="127.0.0.1", port=first.address.port))
    with first.selected():
        open_chat(first, database=database)
    joined = bob.join("lobby", since=1)
    bob.say("lobby", "lost", token="t")

    assert joined["messages"] == []
    messages = visit(first, "Ada").join("lobby")["messages"]
    assert [message["text"] for message in messages] == ["before", "lost"]


def test_history_is_shown_from_its_end_backwards(
    node: Runtime, database: Path, visit: Visit
) -> None:
    store = Store(database)
    for number in range(1, 121):
        store.add("lobby", "w", "W", str(number), token=str(number), at=0.0)
    store.close()
    ada = visit(node, "Ada")
    joined = ada.join("lobby")
    got = [message["number"] for message in joined["messages"]]
    assert joined["more"]
    while True:
        ada.do("older", room="lobby", before=got[0])
        older = ada.expect("older")
        got = [message["number"] for message in older["messages"]] + got
        if not older["more"]:
            break

    assert got == list(range(1, 121))


def test_much_that_was_missed_comes_in_parts(node: Runtime, database: Path, visit: Visit) -> None:
    store = Store(database)
    last = MISSED + 100
    for number in range(last):
        store.add("lobby", "w", "W", "x", token=str(number), at=0.0)
    store.close()
    ada = visit(node, "Ada")
    first = ada.join("lobby", since=1)
    second = ada.join("lobby", since=first["messages"][-1]["number"])

    assert (first["more"], second["more"]) == (True, False)
    got = [message["number"] for one in (first, second) for message in one["messages"]]
    assert got == list(range(2, last + 1))


def test_a_browser_that_knows_more_than_the_room_begins_anew(node: Runtime, visit: Visit) -> None:
    ada = visit(node, "Ada", "lobby")
    ada.say("lobby", "one")
    joined = visit(node, "Bob").join("lobby", since=1000)

    assert joined["fresh"]
    assert [message["text"] for message in joined["messages"]] == ["one"]


def test_what_cannot_be_written_is_not_accepted(
    node: Runtime, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = visit(node, "Ada", "lobby"), visit(node, "Bob", "lobby")
    monkeypatch.setattr(Store, "add", lambda *given, **more: Future.failed(Failure("disk full")))
    ada.do("say", room="lobby", text="x", token="t")
    assert ada.expect("later", token="t")
    monkeypatch.undo()
    ada.say("lobby", "x", token="t")

    assert bob.texts(1) == ["x"]


# Bounds


def test_who_writes_too_fast_has_to_wait(node: Runtime, visit: Visit) -> None:
    node.clock.pause()
    ada = visit(node, "Ada", "lobby")
    for number in range(BURST):
        ada.say("lobby", str(number))
    ada.do("say", room="lobby", text="more", token="t")
    assert ada.expect("later", token="t")
    # A second browser does not help.
    other = visit(node, "Ada", "lobby")
    other.do("say", room="lobby", text="more", token="t")
    assert other.expect("later", token="t")
    let_pass(node, 1.0)
    ada.say("lobby", "more", token="t")

    messages = other.join("lobby")["messages"]
    assert [message["text"] for message in messages] == [*map(str, range(BURST)), "more"]


def test_who_leaves_and_comes_again_writes_no_faster(node: Runtime, visit: Visit) -> None:
    node.clock.pause()
    ada = visit(node, "Ada", "lobby")
    for number in range(BURST):
        ada.say("lobby", str(number))
    ada.do("leave", room="lobby")
    ada.join("lobby")
    ada.do("say", room="lobby", text="more", token="t")

    assert ada.expect("later", token="t")


def test_typing_is_shown_now_and_then_only(node: Runtime, visit: Visit) -> None:
    node.clock.pause()
    ada, bob = visit(node, "Ada", "lobby"), visit(node, "Bob", "lobby")
    for number in range(2):
        for _ in range(5):
            bob.do("typing", room="lobby")
        bob.say("lobby", str(number))
        ada.expect("typing")
        assert ada.next()["do"] == "message"
        let_pass(node, TYPING_SECONDS)


def test_who_becomes_another_person_leaves_nobody_behind(node: Runtime, visit: Visit) -> None:
    ada, bob = visit(node, "Ada", "lobby"), visit(node, "Bob", "lobby")
    bob.do("hello", key="another", name="Carol")
    people = bob.join("lobby")["people"]

    assert ada.expect("left", name="Bob")
    assert sorted(one["name"] for one in people) == ["Ada", "Carol"]


def test_a_flood_of_commands_is_dropped(node: Runtime, visit: Visit) -> None:
    node.clock.pause()
    ada = visit(node, "Ada", "lobby")
    for _ in range(100):
        ada.do("typing", room="lobby")
    ada.do("say", room="lobby", text="x", token="t")

    assert ada.expect("later", token="t")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  x  \n", "x"),
        ("a\r\nb\rc\td", "a\nb\nc   d"),
        ("a\x00\x1b[2Jb", "a[2Jb"),
        ("evil \u202egnp.exe", "evil gnp.exe"),
        ("x" * 3000, "x" * 2000),
        ("\U0001f469\u200d\U0001f4bb é", "\U0001f469\u200d\U0001f4bb é"),
        ("<b>&amp;", "<b>&amp;"),
    ],
)
def test_texts_are_cleaned(node: Runtime, visit: Visit, text: str, shown: str) -> None:
    ada = visit(node, "Ada", "lobby")
    ada.do("say", room="lobby", text=text, token="t")

    assert ada.expect("message")["text"] == shown


def test_what_is_empty_is_refused(node: Runtime, visit: Visit) -> None:
    ada = visit(node, "Ada", "lobby")
    ada.do("say", room="lobby", text=" \n\x00", token="t")

    assert ada.expect("refused", token="t")
    assert visit(node, "\u202e \t", key="k").expect("refused")


def test_rooms_are_bounded(node: Runtime, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hall_module, "MAX_ROOMS", 3)
    monkeypatch.setattr(room_module, "MAX_PEOPLE", 2)
    ada = visit(node, "Ada", "lobby", "one", "two")
    ada.do("join", room="three")
    assert ada.expect("refused", room="three")
    visit(node, "Bob", "lobby")
    carol = visit(node, "Carol")
    carol.do("join", room="lobby")

    assert carol.expect("refused", room="lobby")


def test_an_empty_room_ends_and_is_there_again(node: Runtime, visit: Visit) -> None:
    node.clock.pause()
    ada = visit(node, "Ada", "garden", "unused")
    ada.say("garden", "hello")
    for room in ("garden", "unused"):
        ada.do("leave", room=room)
    ada.join("lobby")
    pid = UPID("room.garden", node.address)
    let_pass(node, IDLE_SECONDS)
    assert wait(pid, LIMIT)
    node.settle()
    let_pass(node, 1.0)

    rooms = [one["name"] for one in visit(node, "Bob").expect("rooms")["rooms"]]
    assert "garden" in rooms
    assert [one["text"] for one in ada.join("garden")["messages"]] == ["hello"]


def test_a_room_that_fails_is_opened_again(node: Runtime, visit: Visit) -> None:
    ada = visit(node, "Ada", "lobby")
    ada.say("lobby", "before")
    terminate(UPID("room.lobby", node.address))
    assert ada.expect("away", room="lobby")

    assert [message["text"] for message in ada.join("lobby")["messages"]] == ["before"]


def test_only_members_are_heard_and_only_rooms_are_passed_on(node: Runtime, visit: Visit) -> None:
    ada = visit(node, "Ada", "lobby")
    stranger = UPID("stranger", node.address)
    room = UPID("room.lobby", node.address)
    node.post(room, "say", b'{"token":"t","text":"from a stranger"}', sender=stranger)
    for number in range(1, 10):
        node.post(UPID(f"Member({number})", node.address), "tell", b'{"do":"x"}', sender=stranger)
    ada.say("lobby", "mine")

    assert ada.join("lobby")["messages"][0]["text"] == "mine"
