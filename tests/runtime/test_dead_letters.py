"""What a node drops can be looked at and subscribed to, whatever receivers do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gevent import Timeout
from gevent.event import Event

import greenproc
from greenproc.address import Address
from greenproc.auth import BasicAuthenticator
from greenproc.errors import Abandoned, InvalidArgument
from greenproc.http import Headers, Request, Response
from greenproc.http.url import URL
from greenproc.pid import UPID
from greenproc.process import Process, install, route
from greenproc.runtime import DeadLetter, Runtime
from greenproc.runtime.dead_letters import MAX_START_BYTES, MAX_TEXT
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker, await_ready, expect_failure
from tests.peer import Peer, closed_address


class Gated(Process):
    """Waits in its message handler until the gate is open."""

    def __init__(self) -> None:
        super().__init__("gated")
        self.began = Event()
        self.gate = Event()

    @install("wait")
    def on_wait(self, sender: UPID, body: bytes) -> None:
        self.began.set()
        self.gate.wait()

    @route("/value")
    def on_value(self, request: object) -> str:
        return "never"

    def value(self) -> int:
        return 1


def the_only(runtime: Runtime) -> DeadLetter:
    (letter,) = runtime.dead_letters
    return letter


def gone(runtime: Runtime) -> UPID:
    return UPID("gone", runtime.address)


def test_a_dropped_message_is_a_dead_letter(runtime: Runtime) -> None:
    runtime.clock.pause()
    sender = runtime.spawn(Process("sender"))

    runtime.post(gone(runtime), "hello", b"x" * 100, sender=sender)

    assert the_only(runtime) == DeadLetter(
        number=1,
        time=runtime.clock.now(),
        kind="message",
        reason="no such process",
        sender=sender,
        receiver=gone(runtime),
        name="hello",
        size=100,
        start=b"x" * MAX_START_BYTES,
    )


def test_the_newest_come_first_in_reverse(runtime: Runtime) -> None:
    for number in range(3):
        runtime.post(gone(runtime), f"m{number}")

    assert [one.name for one in runtime.dead_letters] == ["m0", "m1", "m2"]
    assert [one.name for one in reversed(runtime.dead_letters)] == ["m2", "m1", "m0"]


def test_a_dispatch_to_nobody_is_one_and_names_its_sender(runtime: Runtime) -> None:
    class Caller(Process):
        def call(self) -> None:
            self.runtime.dispatch(gone(self.runtime), Gated.value)

    caller = runtime.spawn(Caller("caller"))
    runtime.dispatch(caller, Caller.call).get(20.0)

    letter = the_only(runtime)
    assert (letter.kind, letter.reason, letter.name) == (
        "dispatch",
        "no such process",
        "Gated.value",
    )
    assert (letter.sender, letter.receiver, letter.size) == (caller, gone(runtime), 0)


def test_what_a_process_leaves_unserved_is_there(runtime: Runtime) -> None:
    gated = Gated()
    pid = runtime.spawn(gated)
    runtime.post(pid, "wait")
    assert gated.began.wait(20.0)
    runtime.post(pid, "wait", b"left")
    result = runtime.dispatch(pid, Gated.value)
    answer = greenproc.Promise[Response]()
    client = Address("10.0.0.1", 4711)
    request = Request("GET", URL.parse("/gated/value"), Headers(), client=client)
    runtime.processes.deliver_http("gated", greenproc.HttpEvent(request, answer))
    runtime.terminate(pid)
    gated.gate.set()

    assert await_ready(answer.future).status == 500
    with pytest.raises(Abandoned):
        result.get(20.0)
    letters = list(runtime.dead_letters)
    assert [(letter.kind, letter.name) for letter in letters] == [
        ("message", "wait"),
        ("dispatch", "Gated.value"),
        ("request", "GET /gated/value"),
    ]
    assert {letter.reason for letter in letters} == {"process terminated"}
    assert letters[2].sender == client
    assert runtime.dead_letters.counts == {"message": 1, "dispatch": 1, "request": 1}


def test_what_a_full_mailbox_refuses_is_there(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(Settings(ip="127.0.0.1", max_mailbox_events=1))
    gated = Gated()
    pid = runtime.spawn(gated)
    runtime.post(pid, "wait")
    assert gated.began.wait(20.0)
    for _ in range(2):
        runtime.post(pid, "wait")
    runtime.dispatch(pid, Gated.value)
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /gated/value HTTP/1.1\r\nHost: x\r\n\r\n")
        assert " 503 " in peer.read_answer().status

    letters = [(letter.kind, letter.reason) for letter in runtime.dead_letters]
    assert letters == [
        ("message", "mailbox full"),
        ("dispatch", "mailbox full"),
        ("request", "mailbox full"),
    ]
    gated.gate.set()


def test_a_message_that_cannot_be_sent_is_one(runtime: Runtime) -> None:
    told = greenproc.Promise[DeadLetter]()
    runtime.dead_letters.subscribe(told.set)

    runtime.post(UPID("far", closed_address()), "hello")

    assert "cannot connect" in await_ready(told.future).reason


def test_the_ring_holds_the_last_ones_and_the_start_of_long_texts(
    make_runtime: RuntimeMaker,
) -> None:
    runtime = make_runtime(Settings(ip="127.0.0.1", max_dead_letters=3))
    for _ in range(5):
        runtime.post(UPID("i" * 1000, runtime.address), "n" * 1000, b"b" * 1000)

    letters = list(runtime.dead_letters)
    assert [letter.number for letter in letters] == [3, 4, 5]
    assert (len(runtime.dead_letters), runtime.dead_letters.total) == (3, 5)
    assert {len(letter.receiver.id) for letter in letters} == {MAX_TEXT}
    assert {(len(letter.name), letter.size) for letter in letters} == {(MAX_TEXT, 1000)}


def test_none_are_kept_when_the_setting_says_so(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(Settings(ip="127.0.0.1", max_dead_letters=0))
    seen: list[DeadLetter] = []
    runtime.dead_letters.subscribe(seen.append)

    runtime.post(gone(runtime), "hello")

    assert (list(runtime.dead_letters), len(seen)) == ([], 1)


def test_a_process_subscribes_and_cancels(runtime: Runtime) -> None:
    class Watcher(Process):
        def __init__(self) -> None:
            super().__init__()
            self.names: list[str] = []

        def initialize(self) -> None:
            self.subscription = greenproc.dead_letters().subscribe(self.defer(self.on_letter))

        def on_letter(self, letter: DeadLetter) -> None:
            self.names.append(letter.name)

    watcher = Watcher()
    runtime.spawn(watcher)
    runtime.settle()
    runtime.post(gone(runtime), "first")
    runtime.settle()
    watcher.subscription.cancel()
    watcher.subscription.cancel()
    runtime.post(gone(runtime), "second")
    runtime.settle()

    assert watcher.names == ["first"]


def test_what_a_subscriber_drops_does_not_go_round(runtime: Runtime) -> None:
    told: list[str] = []

    def drop_another(letter: DeadLetter) -> None:
        told.append(letter.name)
        runtime.post(gone(runtime), "echo")

    runtime.dead_letters.subscribe(drop_another)
    runtime.post(gone(runtime), "first")
    runtime.post(gone(runtime), "second")

    assert told == ["first", "second"]
    names = [letter.name for letter in runtime.dead_letters]
    assert names == ["first", "echo", "second", "echo"]


@pytest.mark.parametrize("error", [ValueError("on purpose"), Timeout(1.0)])
def test_a_failing_subscriber_disturbs_neither_the_others_nor_the_sender(
    error: BaseException, runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[DeadLetter] = []

    def fail(letter: DeadLetter) -> None:
        raise error

    runtime.dead_letters.subscribe(fail)
    runtime.dead_letters.subscribe(seen.append)
    with expect_failure(type(error)):
        runtime.post(gone(runtime), "hello")

    assert [letter.name for letter in seen] == ["hello"]
    assert "<Subscription of <function" in caplog.text


def test_only_what_can_be_called_subscribes(runtime: Runtime) -> None:
    with pytest.raises(InvalidArgument):
        runtime.dead_letters.subscribe("receiver")  # type: ignore[arg-type]


def test_a_flood_leaves_no_line_in_the_log(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2000):
        runtime.post(gone(runtime), "hello")

    assert caplog.records == []
    assert (len(runtime.dead_letters), runtime.dead_letters.total) == (1000, 2000)


def ask(peer: Peer, query: str, headers: bytes = b"") -> Any:
    peer.send(
        f"GET /dead-letters{query} HTTP/1.1\r\nHost: x\r\n".encode() + headers + b"\r\n",
    )
    answer = peer.read_answer()
    return json.loads(answer.body) if " 200 " in answer.status else answer.status


def test_the_endpoint_lists_pages_newest_first(runtime: Runtime) -> None:
    for number in range(5):
        runtime.post(gone(runtime), f"n{number}", b"\xff")
    with Peer.connect(runtime.address) as peer:
        told = ask(peer, "?limit=2&before=5")

    assert [letter["name"] for letter in told["letters"]] == ["n3", "n2"]
    assert (told["total"], told["kept"], told["counts"]["message"]) == (5, 5, 5)
    assert told["letters"][0] == {
        "number": 4,
        "time": told["letters"][0]["time"],
        "kind": "message",
        "reason": "no such process",
        "from": "",
        "to": str(gone(runtime)),
        "name": "n3",
        "size": 1,
        "start": "\ufffd",
    }


def test_pages_that_follow_each_other_show_each_letter_once_whatever_is_dropped_meanwhile(
    make_runtime: RuntimeMaker,
) -> None:
    runtime = make_runtime(Settings(ip="127.0.0.1", max_dead_letters=8))
    shown: list[int] = []

    def drop(count: int) -> None:
        for _ in range(count):
            runtime.post(gone(runtime), "hello")

    drop(10)
    query = "?limit=3"
    with Peer.connect(runtime.address) as peer:
        while query:
            peer.send(f"GET /dead-letters{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = peer.read_answer()
            shown += [letter["number"] for letter in json.loads(answer.body)["letters"]]
            link = answer.header("Link") or "<>"
            query = link[1 : link.index(">")]
            drop(1)

    # 10 to 3 were there at first; while two pages were read, the oldest two were forgotten.
    assert shown == [10, 9, 8, 7, 6, 5]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("?limit=1001", b"expected a limit from 0 to 1000"),
        ("?offset=1", b"expected before=NUMBER"),
        ("?before=x", b"expected the number of a dead letter as before, got 'x'"),
        ("?before=-1", b"got '-1'"),
    ],
)
def test_a_page_that_is_none_is_refused(runtime: Runtime, query: str, told: bytes) -> None:
    with Peer.connect(runtime.address) as peer:
        answer = peer.get(f"/dead-letters{query}")
    assert answer.code == 400
    assert told in answer.body


@pytest.mark.parametrize(("before", "shown"), [(0, 0), (1, 0), (3, 2), (5, 4), (99, 4)])
def test_a_page_begins_with_the_letter_before_a_number(
    runtime: Runtime, before: int, shown: int
) -> None:
    for _ in range(4):
        runtime.post(gone(runtime), "hello")
    with Peer.connect(runtime.address) as peer:
        letters = ask(peer, f"?before={before}")["letters"]
    assert [letter["number"] for letter in letters] == list(range(shown, 0, -1))


def test_the_endpoint_is_in_the_read_only_realm() -> None:
    runtime = Runtime(Settings(ip="127.0.0.1"), readonly_realm="ops")
    with runtime:
        runtime.set_authenticator("ops", BasicAuthenticator("ops", {"ada": "pw"}))
        with Peer.connect(runtime.address) as peer:
            assert " 401 " in ask(peer, "")
            allowed = ask(peer, "", b"Authorization: Basic YWRhOnB3\r\n")
    assert allowed["letters"] == []


def test_the_metrics_count_them_by_kind(runtime: Runtime) -> None:
    runtime.post(gone(runtime), "hello")
    runtime.dispatch(gone(runtime), Gated.value)
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /metrics/snapshot HTTP/1.1\r\nHost: x\r\n\r\n")
        told = json.loads(peer.read_answer().body)

    assert told["greenproc/dead_letters/message"] == 1
    assert told["greenproc/dead_letters/dispatch"] == 1
