"""Types, asks, supervision, bounds and patterns against a libprocess peer that is a plain socket.

What goes over the wire is written here byte by byte, never by the encoders of greenproc.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gevent
import msgspec
import pytest
from gevent.event import Event as Gate

from greenproc import (
    UPID,
    Child,
    Failure,
    Future,
    MailboxLimit,
    Pool,
    Process,
    Promise,
    Runtime,
    Supervisor,
    Topic,
    install,
)
from greenproc.errors import Abandoned, AskTimeout, InvalidMessage
from greenproc.testing import await_ready, expect_failure
from greenproc.testing.runtimes import SETTINGS, RuntimeMaker
from tests.integration.wire import ACCEPTED, NOT_FOUND, UNAVAILABLE, Stranger, request
from tests.peer import Peer

LIMIT = 15.0

# By the specification of MessagePack: a map of one, the text of three, a number.
JOIN = b"\x82\xa4name\xa3ann\xa3age\x07"


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger() as stranger:
        yield stranger


class Join(msgspec.Struct):
    name: str
    age: int


class Room(Process):
    """Takes values, answers asks, and fails when it is poisoned."""

    def __init__(self) -> None:
        super().__init__("room")
        self.joined: list[Join] = []

    @install("join", Join, returns=int)
    def on_join(self, sender: UPID, join: Join) -> int:
        self.joined.append(join)
        return len(self.joined)

    @install("echo")
    def on_echo(self, sender: UPID, body: bytes) -> None:
        self.reply(body)

    @install("refuse", returns=int)
    def on_refuse(self, sender: UPID, body: bytes) -> int | Failure:
        raise Failure("the room is closed")

    @install("poison")
    def on_poison(self, sender: UPID, body: bytes) -> None:
        raise ValueError("poisoned")

    def greet(self, to: UPID) -> None:
        self.send(to, "join", Join("ann", 7))


def why(future: Future[Any]) -> str:
    with pytest.raises(Abandoned) as told:
        future.get(timeout=LIMIT)
    return str(told.value)


def late(runtime: Runtime) -> int:
    count: int = runtime.statistics()["processes"]["late_answers"]
    return count


# Typed bodies


def test_a_value_has_the_bytes_of_messagepack_both_ways(
    runtime: Runtime, stranger: Stranger
) -> None:
    room = Room()
    pid = runtime.spawn(room)
    assert stranger.tell(runtime.address, "/room/join", JOIN) == 202
    with stranger.accept() as peer:
        stranger.expect(peer, "/x/join", f"room@{runtime.address}", b"\x01")
        assert room.joined == [Join("ann", 7)]

        runtime.dispatch(pid, Room.greet, stranger.pid("y")).get()
        stranger.expect(peer, "/y/join", f"room@{runtime.address}", JOIN)


HOSTILE = {
    "truncated": JOIN[:-1],
    "of another type": b"\x82\xa4name\xa3ann\xa3age\xa1x",
    "nothing": b"",
    "with bytes to spare": JOIN + b"\xc0",
    "an array of four thousand million": b"\xdd\xff\xff\xff\xff",
    "a text of four thousand million": b"\x81\xdb\xff\xff\xff\xff",
    "arrays in each other": b"\x91" * 100_000,
    "no text": b"\x82\xa4name\xa1\xff\xa3age\x07",
    "an extension that has no meaning": b"\x82\xa4name\xd4\x63\x00\xa3age\x07",
    "JSON": b'{"name": "ann", "age": 7}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_value_is_dropped_and_a_libprocess_peer_gets_no_answer(
    runtime: Runtime, stranger: Stranger, body: bytes
) -> None:
    room = Room()
    runtime.spawn(room)
    assert stranger.tell(runtime.address, "/room/join", body) == 202
    assert stranger.tell(runtime.address, "/room/echo", b"first") == 202
    with stranger.accept() as peer:
        stranger.expect(peer, "/x/echo", f"room@{runtime.address}", b"first")
    assert room.joined == []
    assert runtime.statistics()["messages_dropped"]["body not decoded"] == 1


# Asked by a libprocess peer


def test_a_request_of_a_libprocess_peer_is_answered_at_its_temporary_process(
    runtime: Runtime, stranger: Stranger
) -> None:
    runtime.spawn(Room())
    assert stranger.tell(runtime.address, "/room/join", JOIN, sender="__req_res__(7)") == 202
    with stranger.accept() as peer:
        stranger.expect(peer, "/__req_res__(7)/join", f"room@{runtime.address}", b"\x01")


def test_a_failure_is_sent_to_what_asks_by_greenproc_only(
    runtime: Runtime, stranger: Stranger
) -> None:
    runtime.spawn(Room())
    runtime.spawn(Process("other"))
    for sender in ("__req_res__(1)", "__ask__(0-1)"):
        with expect_failure(Failure):
            assert stranger.tell(runtime.address, "/room/refuse", sender=sender) == 202
            runtime.wait(UPID("room", runtime.address))
        runtime.spawn(Room())
    for path, code in (("/nobody/x", 404), ("/other/nothing", 202)):
        for sender in ("__req_res__(1)", "__ask__(0-2)"):
            assert stranger.tell(runtime.address, path, sender=sender) == code
    with stranger.accept() as peer:
        at = runtime.address
        failed, abandoned = "/__ask__(0-1)/__failed__", "/__ask__(0-2)/__abandoned__"
        stranger.expect(peer, failed, f"room@{at}", b"the room is closed")
        text = f"process other@{at} was asked 'nothing' in vain: it has no handler for that"
        stranger.expect(peer, abandoned, f"other@{at}", text.encode())


# Asking a libprocess peer


@pytest.fixture
def asked(runtime: Runtime, stranger: Stranger) -> Iterator[Callable[..., Any]]:
    """Ask the peer; return the future, the connection and the sender that it has read."""
    peers: list[Peer] = []

    def asked(name: str = "question", body: bytes = b"x", **options: Any) -> Any:
        future = runtime.ask(stranger.pid("answerer"), name, body, **options)
        if not peers:
            peers.append(stranger.accept())
        ask = stranger.read_ask(peers[0], f"/answerer/{name}", runtime.address, body)
        return future, peers[0], ask

    yield asked
    for peer in peers:
        peer.close()


def test_an_ask_is_a_message_and_its_answer_another(
    runtime: Runtime, stranger: Stranger, asked: Callable[..., Any]
) -> None:
    future, peer, ask = asked()
    peer.send(ACCEPTED)
    assert stranger.answer(runtime.address, ask, b"\x2a", name="whatever") == 202
    assert future.get(timeout=LIMIT) == b"\x2a"


def test_an_answer_of_the_wrong_type_fails_the_ask(
    runtime: Runtime, stranger: Stranger, asked: Callable[..., Any]
) -> None:
    future, _, ask = asked(returns=Join)
    assert stranger.answer(runtime.address, ask, b"\x82\xa4name\x07\xa3age\x07") == 202
    with pytest.raises(InvalidMessage) as told:
        future.get(timeout=LIMIT)
    assert told.value.path == "$.name"


def test_an_answer_that_comes_twice_is_taken_once(
    runtime: Runtime, stranger: Stranger, asked: Callable[..., Any]
) -> None:
    future, _, ask = asked()
    codes = [stranger.answer(runtime.address, ask, body) for body in (b"first", b"second")]
    assert future.get(timeout=LIMIT) == b"first"
    assert codes == [202, 404]
    assert late(runtime) == 1


def test_two_answers_in_one_write_are_taken_once(
    runtime: Runtime, stranger: Stranger, asked: Callable[..., Any]
) -> None:
    future, _, ask = asked()
    path = f"/{ask.partition('@')[0]}/answer"
    both = [request(path, f"x@{stranger.address}", runtime.address, body) for body in (b"1", b"2")]
    with Peer.connect(runtime.address) as peer:
        peer.send(b"".join(both))
        assert [peer.read_answer().code for _ in both] == [202, 404]
    assert future.get(timeout=LIMIT) == b"1"
    assert late(runtime) == 1


def test_an_answer_after_the_timeout_is_late(
    runtime: Runtime, stranger: Stranger, asked: Callable[..., Any]
) -> None:
    runtime.clock.pause()
    future, _, ask = asked(timeout=5.0)
    runtime.clock.advance(5.0)
    with pytest.raises(AskTimeout, match=r"no answer to 'question' from answerer@.* within 5 s"):
        future.get(timeout=LIMIT)
    assert stranger.answer(runtime.address, ask, b"late") == 404
    assert late(runtime) == 1
    letter = list(runtime.dead_letters)[-1]
    assert (letter.reason, letter.start) == ("late answer", b"late")


@pytest.mark.parametrize("end", ["close", "reset", "half of an answer and close"])
def test_the_end_of_the_connection_ends_the_ask(
    runtime: Runtime, asked: Callable[..., Any], end: str
) -> None:
    first, peer, _ = asked()
    second, _, _ = asked()
    if end == "reset":
        peer.reset()
    else:
        peer.send(ACCEPTED[:20] if end.startswith("half") else ACCEPTED)
        peer.close()
    assert "answerer@" in why(first)
    assert "answerer@" in why(second)
    assert runtime.statistics()["processes"]["asks"] == 0


def test_404_ends_the_ask_that_it_answers(
    runtime: Runtime, stranger: Stranger, asked: Callable[..., Any]
) -> None:
    """As a C++ libprocess answers for a process that it does not have."""
    first, peer, _ = asked()
    second, _, ask = asked()
    peer.send(NOT_FOUND + ACCEPTED)
    assert why(first).endswith("in vain: there is no such process on its node")
    assert stranger.answer(runtime.address, ask, b"from another one") == 202
    assert second.get(timeout=LIMIT) == b"from another one"


@pytest.mark.parametrize("answer", [b"\x00garbage\r\n\r\n", UNAVAILABLE, b""])
def test_what_the_peer_answers_on_the_link_does_not_end_the_ask(
    runtime: Runtime, stranger: Stranger, asked: Callable[..., Any], answer: bytes
) -> None:
    future, peer, ask = asked()
    peer.send(answer * 3)
    asked(body=b"another")
    assert stranger.answer(runtime.address, ask, b"all the same") == 202
    assert future.get(timeout=LIMIT) == b"all the same"


def test_a_peer_that_never_reads_ends_asks_by_their_timeout_or_the_bound(
    make_runtime: RuntimeMaker, stranger: Stranger
) -> None:
    runtime = make_runtime(replace(SETTINGS, max_outgoing_bytes=100_000))
    runtime.clock.pause()
    to, body = stranger.pid("deaf"), bytes(50_000)
    first = runtime.ask(to, "question", timeout=5.0)
    with stranger.accept():
        futures = []
        while not any(future.is_abandoned for future in futures):
            futures.append(runtime.ask(to, "question", body, timeout=5.0))
            gevent.sleep(0)
        refused = futures.pop()
        assert f"too much is queued for {to.address}" in why(refused)

        runtime.clock.advance(5.0)
        for future in (first, *futures):
            with pytest.raises(AskTimeout):
                future.get(timeout=LIMIT)
        assert runtime.statistics()["processes"]["asks"] == 0


def test_what_answers_in_place_of_a_process_is_bounded_and_harmless(
    runtime: Runtime, stranger: Stranger, asked: Callable[..., Any]
) -> None:
    future, _, ask = asked()
    assert stranger.answer(runtime.address, ask, b"\xff" * 50_000, name="__failed__") == 202
    with pytest.raises(Failure) as told:
        future.get(timeout=LIMIT)
    assert str(told.value) == "\ufffd" * 1000
    future, _, ask = asked()
    assert stranger.answer(runtime.address, ask, name="__abandoned__") == 202
    assert why(future) == "the ask failed"


# Supervision


def test_a_restarted_process_is_reached_over_the_same_connection(
    runtime: Runtime, stranger: Stranger
) -> None:
    runtime.spawn(Supervisor([Child(Room)]))
    sender, at = f"x@{stranger.address}", runtime.address
    with Peer.connect(at) as out:
        assert out.ask(request("/room/join", sender, at, JOIN)).code == 202
        with stranger.accept() as back:
            stranger.expect(back, "/x/join", f"room@{at}", b"\x01")
            with expect_failure(ValueError):
                assert out.ask(request("/room/poison", sender, at)).code == 202
                runtime.settle()
            assert out.ask(request("/room/join", sender, at, JOIN)).code == 202
            stranger.expect(back, "/x/join", f"room@{at}", b"\x01")


# Flow control


class Slow(Process):
    """Holds what it gets until the gate is open."""

    mailbox_limit = MailboxLimit(events=1)

    def __init__(self) -> None:
        super().__init__("slow")
        self.gate, self.entered = Gate(), Gate()
        self.served: list[bytes] = []

    @install("m")
    def on_message(self, sender: UPID, body: bytes) -> None:
        self.entered.set()
        self.gate.wait()
        self.served.append(body)


def test_what_was_answered_503_is_a_dead_letter_here_and_comes_again_from_greenproc_only(
    runtime: Runtime, stranger: Stranger
) -> None:
    slow = Slow()
    runtime.spawn(slow)
    codes = [stranger.tell(runtime.address, "/slow/m", b"0")]
    assert slow.entered.wait(LIMIT)
    codes += [stranger.tell(runtime.address, "/slow/m", b"%d" % number) for number in (1, 2)]
    slow.gate.set()
    runtime.settle()
    assert codes == [202, 202, 503]
    assert slow.served == [b"0", b"1"]
    assert [(letter.reason, letter.start) for letter in runtime.dead_letters] == [
        ("mailbox full", b"2")
    ]


def test_a_peer_that_answers_503_gets_it_again_until_it_is_reported(
    make_runtime: RuntimeMaker, stranger: Stranger
) -> None:
    runtime = make_runtime(replace(SETTINGS, refusal_timeout=0.2))
    pid = runtime.spawn(Room())
    letters: gevent.queue.Queue[Any] = gevent.queue.Queue()
    runtime.dead_letters.subscribe(letters.put)
    runtime.dispatch(pid, Room.greet, stranger.pid("full")).get()

    with stranger.accept() as peer:
        stranger.expect(peer, "/full/join", f"room@{runtime.address}", JOIN)
        peer.send(UNAVAILABLE)
        stranger.expect(peer, "/full/join", f"room@{runtime.address}", JOIN)
        peer.send(UNAVAILABLE)

        def refuse() -> None:
            while peer.read_until(b"0\r\n\r\n"):
                peer.send(UNAVAILABLE)

        refusing = gevent.spawn(refuse)
        letter = letters.get(timeout=LIMIT)
        refusing.kill()
    assert letter.reason == f"full@{stranger.address} was answered 503 for 0.2 seconds"
    assert (letter.receiver, letter.name, letter.start) == (stranger.pid("full"), "join", JOIN)


# Dead letters


def test_dead_letters_of_a_plain_peer_are_read_over_its_connection(
    runtime: Runtime, stranger: Stranger
) -> None:
    sender, at = f"x@{stranger.address}", runtime.address
    with Peer.connect(at) as peer:
        assert peer.ask(request("/nobody/lost", sender, at, b"body")).code == 404
        letter = json.loads(peer.get("/dead-letters").body)["letters"][0]
    assert letter.pop("time") and letter == {
        "number": 1,
        "kind": "message",
        "reason": "no such process",
        "from": sender,
        "to": f"nobody@{at}",
        "name": "lost",
        "size": 4,
        "start": "body",
    }


# Patterns


class Worker(Process):
    """Answers with its own id."""

    @install("who")
    def on_who(self, sender: UPID, body: bytes) -> None:
        self.reply(self.pid.id.encode())


def test_workers_of_a_pool_answer_a_plain_peer_themselves(
    runtime: Runtime, stranger: Stranger
) -> None:
    runtime.spawn(Pool(Worker, 2, id="pool"))
    runtime.settle()
    for _ in range(3):
        assert stranger.tell(runtime.address, "/pool/who") == 202
    with stranger.accept() as peer:
        for number in (1, 2, 1):
            id = f"pool-{number}"
            stranger.expect(peer, "/x/who", f"{id}@{runtime.address}", id.encode())


def test_a_plain_peer_subscribes_until_its_connection_ends(
    runtime: Runtime, stranger: Stranger
) -> None:
    topic = Topic("news")
    pid = runtime.spawn(topic)
    runtime.dispatch(pid, Topic.subscribe, stranger.pid("reader")).get()
    assert runtime.dispatch(pid, Topic.publish, "news", b"first").get() == 1
    lost: Promise[UPID] = Promise()
    runtime.signals.link_lost.connect(lambda _, linker, linkee: lost.set(linkee))
    with stranger.accept() as peer:
        stranger.expect(peer, "/reader/news", f"news@{runtime.address}", b"first")
    assert await_ready(lost.future) == stranger.pid("reader")
    runtime.settle()
    assert runtime.dispatch(pid, Topic.publish, "news", b"second").get() == 0
