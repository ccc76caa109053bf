"""``/__processes__``: what is queued, also for who does not answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from greenproc.auth import BasicAuthenticator
from greenproc.builtin.processes import MAX_EVENTS, MAX_TEXT, WAIT_SECONDS
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.testing import RuntimeMaker, await_ready, future_dispatch
from tests.builtin.gated import Gated
from tests.peer import Answer, Peer


def test_who_stays_busy_is_not_waited_for_for_ever(runtime: Runtime) -> None:
    runtime.clock.pause()
    gated = Gated()
    runtime.spawn(gated)
    for body in (b"served", b"one", b"\xff"):
        runtime.post(gated, "m", body)
    asked = future_dispatch(runtime.spawn(Process("other")))
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /__processes__ HTTP/1.1\r\nHost: x\r\n\r\n")
        await_ready(asked)
        runtime.clock.advance(WAIT_SECONDS)
        listed = {one["id"]: one["events"] for one in json.loads(peer.read_answer().body)}
    assert [(one["type"], one.get("body")) for one in listed["gated"]] == [
        ("MESSAGE", "one"),
        ("MESSAGE", "\ufffd"),
        ("DISPATCH", None),
    ]
    assert listed["other"] == []
    gated.gate.set()


def test_who_gets_ready_in_time_shows_what_is_queued_then(runtime: Runtime) -> None:
    runtime.clock.pause()
    gated = Gated()
    runtime.spawn(gated)
    runtime.post(gated, "m")
    asked = future_dispatch(runtime.spawn(Process("other")))
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /__processes__ HTTP/1.1\r\nHost: x\r\n\r\n")
        await_ready(asked)
        gated.gate.set()
        listed = {one["id"]: one["events"] for one in json.loads(peer.read_answer().body)}
    assert listed["gated"] == []


class Many:
    """A node with processes of which some are gated, asked for parts of its list."""

    def __init__(self, runtime: Runtime, peer: Peer) -> None:
        self.runtime = runtime
        self.peer = peer

    def fetch(self, query: str) -> Answer:
        self.peer.send(f"GET /__processes__{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return self.peer.read_answer()

    def ask(self, query: str = "") -> Any:
        answer = self.fetch(query)
        return json.loads(answer.body) if " 200 " in answer.status else answer.status


@pytest.fixture
def many(runtime: Runtime) -> Iterator[Many]:
    for number in range(5):
        runtime.spawn(Process(f"p{number}"))
    with Peer.connect(runtime.address) as peer:
        yield Many(runtime, peer)


def test_a_part_of_the_processes_can_be_asked_for(many: Many) -> None:
    everything = [one["id"] for one in many.ask()]

    parts = [[one["id"] for one in many.ask("?limit=4")]]
    while len(parts[-1]) == 4:
        after = quote(parts[-1][-1])
        parts.append([one["id"] for one in many.ask(f"?limit=4&after={after}")])

    assert everything == sorted(everything)
    assert len(parts) == len(everything) // 4 + 1
    assert [one for part in parts for one in part] == everything
    assert many.ask("?limit=0") == []


def test_each_part_links_to_the_next(runtime: Runtime, many: Many) -> None:
    runtime.spawn(Process("p3/&=? ü"))  # what a query has a meaning for
    everything, links = [], [""]
    while len(links) < 20 and links[-1] is not None:
        answer = many.fetch(links[-1] or "?limit=3")
        everything += [one["id"] for one in json.loads(answer.body)]
        link = answer.header("Link")
        links.append(link and re.fullmatch(r'<(\?[!-~]+)>; rel="next"', link)[1])

    assert everything == sorted(runtime.processes.records)
    assert links[-1] is None


def test_the_last_part_links_nowhere(runtime: Runtime, many: Many) -> None:
    count = len(runtime.processes.records)

    links = [many.fetch(f"?limit={limit}").header("Link") for limit in (count, 0, count - 1)]

    assert [link is None for link in links] == [True, True, False]


def test_a_part_by_its_offset_is_refused_with_what_to_ask_for(many: Many) -> None:
    answer = many.fetch("?offset=4")
    assert answer.status == "HTTP/1.1 400 Bad Request"
    assert b"after=ID" in answer.body


@pytest.mark.parametrize("query", ["limit=1001", "limit=-1", "limit=", "limit=x"])
def test_a_part_that_cannot_be_had_is_refused(many: Many, query: str) -> None:
    assert many.ask(f"?{query}") == "HTTP/1.1 400 Bad Request"


def test_of_many_and_long_events_the_first_are_shown_in_part(runtime: Runtime, many: Many) -> None:
    runtime.clock.pause()
    gated = Gated()
    runtime.spawn(gated)
    for _ in range(MAX_EVENTS + 20):
        runtime.post(gated, "m", b"x" * 2 * MAX_TEXT)
    asked = future_dispatch(runtime.spawn(Process("other")))
    many.peer.send(b"GET /__processes__ HTTP/1.1\r\nHost: x\r\n\r\n")
    await_ready(asked)
    runtime.clock.advance(WAIT_SECONDS)

    listed = {one["id"]: one for one in json.loads(many.peer.read_answer().body)}

    assert len(listed["gated"]["events"]) == MAX_EVENTS
    assert listed["gated"]["queued"] == MAX_EVENTS + 20  # one is served, a dispatch waits
    assert {len(one["body"]) for one in listed["gated"]["events"]} == {MAX_TEXT}
    assert "queued" not in listed["other"]
    gated.gate.set()


def test_surveys_are_made_one_at_a_time_and_too_many_are_refused(
    runtime: Runtime, many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenproc.builtin.processes.MAX_WAITING", 3)
    runtime.clock.pause()
    gated = Gated()
    runtime.spawn(gated)
    runtime.post(gated, "m")
    other = runtime.spawn(Process("other"))
    asked = future_dispatch(other)
    many.peer.send(b"GET /__processes__ HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
    await_ready(asked)
    gated.gate.set()

    statuses = [many.peer.read_answer().status for _ in range(5)]

    assert [status.split()[1] for status in statuses] == ["200"] * 3 + ["503"] * 2


def test_the_list_is_for_the_readonly_realm(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(readonly_realm="look")
    runtime.set_authenticator("look", BasicAuthenticator("look", {"me": "secret"}))
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /__processes__ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.read_answer().status == "HTTP/1.1 401 Unauthorized"
