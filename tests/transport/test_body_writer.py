"""Responses that are more than bytes: files, and streams of unknown length."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from greenproc.address import Address
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.sync.pipe import Pipe
from greenproc.testing import expect_failure
from greenproc.transport import body_writer
from tests.polls import Polls
from tests.transport.conftest import LIMIT, Node, Peer, undated

Listen = Callable[..., Address]
Connect = Callable[[Address], Peer]

STREAM = (
    b"HTTP/1.1 200 OK\r\nDate: *\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\none\n\r\n4\r\ntwo\n\r\n6\r\nthree\n\r\n0\r\n\r\n"
)
NOT_FOUND = (
    b"HTTP/1.1 404 Not Found\r\nDate: *\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Content-Length: 14\r\n\r\n404 Not Found."
)


def get(path: str = "/a", version: str = "1.1") -> bytes:
    return f"GET {path} HTTP/{version}\r\nHost: 127.0.0.1:36069\r\n\r\n".encode()


def answering(node: Node, response: Response) -> None:
    """Let *node* answer /a with *response*, and everything else with ``next``."""
    node.answer = lambda request: Future(response if request.url.path == "/a" else OK("next"))


def piped(*pieces: bytes) -> Response:
    """Return a response that is a stream of *pieces*, all written already."""
    pipe = Pipe()
    for piece in pieces:
        pipe.writer.write(piece)
    pipe.writer.close()
    return Response(200, reader=pipe.reader)


# Files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(b"<p>hi</p>\n")
    return path


def test_a_file_is_sent_as_long_as_it_is(
    node: Node, listen: Listen, connect: Connect, file: Path
) -> None:
    wrong = {"Content-Type": "text/html", "Content-Length": "3"}
    answering(node, Response(200, headers=wrong, path=str(file)))
    peer = connect(listen())

    peer.send(get())
    peer.end_sending()

    assert undated(peer.receive_to_end()) == (
        b"HTTP/1.1 200 OK\r\nDate: *\r\nContent-Length: 10\r\nContent-Type: text/html\r\n\r\n"
        b"<p>hi</p>\n"
    )


def test_the_connection_goes_on_after_a_file(
    node: Node, listen: Listen, connect: Connect, file: Path
) -> None:
    answering(node, Response(200, path=str(file)))
    peer = connect(listen())

    peer.send(get() + get("/b"))
    peer.end_sending()

    assert peer.receive_to_end().endswith(b"\r\n\r\nnext")


@pytest.mark.parametrize("has_sendfile", [True, False])
def test_a_large_file_arrives_whole_at_a_slow_client(
    node: Node,
    listen: Listen,
    connect: Connect,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_sendfile: bool,
) -> None:
    if not has_sendfile:
        monkeypatch.setattr(body_writer.os, "sendfile", refuse)
    content = os.urandom(1024) * 8 * 1024
    file.write_bytes(content)
    answering(node, Response(200, path=str(file)))
    peer = connect(listen())

    peer.send(get() + get("/b"))
    peer.end_sending()

    head, _, rest = peer.receive_to_end().partition(b"\r\n\r\n")
    assert b"Content-Length: 8388608" in head
    assert rest.startswith(content)
    assert rest.endswith(b"next")


def refuse(*_: int) -> int:
    raise OSError(22, "Invalid argument")


def test_an_empty_file_is_a_head(node: Node, listen: Listen, connect: Connect, file: Path) -> None:
    file.write_bytes(b"")
    answering(node, Response(200, path=str(file)))
    peer = connect(listen())

    peer.send(get())
    peer.end_sending()

    assert undated(peer.receive_to_end()) == (
        b"HTTP/1.1 200 OK\r\nDate: *\r\nContent-Length: 0\r\n\r\n"
    )


def test_head_of_a_file_tells_its_length(
    node: Node, listen: Listen, connect: Connect, file: Path
) -> None:
    answering(node, Response(200, path=str(file)))
    peer = connect(listen())

    peer.send(get().replace(b"GET", b"HEAD"))
    peer.end_sending()

    assert undated(peer.receive_to_end()) == (
        b"HTTP/1.1 200 OK\r\nDate: *\r\nContent-Length: 10\r\n\r\n"
    )


@pytest.mark.parametrize(
    "name", ["none", ".", "file.bin/below", "nul\0", "x" * 5000, "loop", "fifo"]
)
def test_what_is_no_plain_file_is_not_found(
    node: Node, listen: Listen, connect: Connect, file: Path, name: str
) -> None:
    (file.parent / "loop").symlink_to("loop")
    os.mkfifo(file.parent / "fifo")
    answering(node, Response(200, path=f"{file.parent}/{name}"))
    peer = connect(listen())

    peer.send(get() + get("/b"))
    peer.end_sending()

    first = peer.receive(len(NOT_FOUND) + 28)
    assert undated(first) == NOT_FOUND
    assert peer.receive_to_end().endswith(b"next")


def test_a_file_that_cannot_be_read_is_an_error_of_the_server(
    node: Node, listen: Listen, connect: Connect, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    answering(node, Response(200, path=str(file)))
    peer = connect(listen())
    with monkeypatch.context() as patched:
        patched.setattr(body_writer.os, "open", forbid)
        peer.send(get())
        peer.end_sending()
        answer = peer.receive_to_end()

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert str(file).encode() not in answer


def test_a_file_that_gets_shorter_breaks_the_connection(
    node: Node, listen: Listen, connect: Connect, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = os.fstat
    answering(node, Response(200, path=str(file)))
    peer = connect(listen())

    class Longer:
        def __init__(self, stat: os.stat_result) -> None:
            self.st_mode = stat.st_mode
            self.st_size = stat.st_size + 5

    with monkeypatch.context() as patched, expect_failure(body_writer.BrokenOff, "after 10 of 15"):
        patched.setattr(body_writer.os, "fstat", lambda number: Longer(size(number)))
        peer.send(get() + get("/b"))
        answer = peer.receive_to_end()

    assert b"Content-Length: 15" in answer
    assert answer.endswith(b"<p>hi</p>\n")


# Streams


def test_a_stream_is_sent_a_chunk_for_each_piece(
    node: Node, listen: Listen, connect: Connect
) -> None:
    answering(node, piped(b"one\n", b"two\n", b"three\n"))
    peer = connect(listen())

    peer.send(get())
    peer.end_sending()

    assert undated(peer.receive_to_end()) == STREAM


def test_head_and_pieces_leave_as_soon_as_they_are_there(
    node: Node, listen: Listen, connect: Connect
) -> None:
    pipe = Pipe()
    answering(node, Response(200, reader=pipe.reader))
    peer = connect(listen())
    head = STREAM.partition(b"4\r\n")[0].replace(b"*", b"x" * 29)

    peer.send(get())
    assert peer.receive(len(head)).endswith(b"\r\n\r\n")
    for piece in (b"one\n", b"two\n"):
        pipe.writer.write(piece)
        assert peer.receive(9) == b"4\r\n%b\r\n" % piece
    pipe.writer.close()
    assert peer.receive(5) == b"0\r\n\r\n"


def test_an_answer_behind_a_stream_waits_for_its_end(
    node: Node, listen: Listen, connect: Connect
) -> None:
    answering(node, piped(b"one\n", b"two\n", b"three\n"))
    peer = connect(listen())

    peer.send(get("/b") + get() + get("/b"))
    peer.end_sending()

    first, stream, last = undated(peer.receive_to_end()).partition(STREAM)
    assert stream
    assert first.endswith(b"next")
    assert last.endswith(b"next")


def test_requests_are_read_while_a_stream_is_sent(
    node: Node, listen: Listen, connect: Connect
) -> None:
    answering(node, Response(200, reader=Pipe().reader))
    peer = connect(listen())
    peer.send(get())
    node.requests.get(timeout=LIMIT)
    peer.receive(20)

    peer.send(get("/b"))

    assert node.requests.get(timeout=LIMIT).url.path == "/b"


def test_a_client_of_http_1_0_gets_the_pieces_and_the_end(
    node: Node, listen: Listen, connect: Connect
) -> None:
    answering(node, piped(b"one\n", b"two\n", b"three\n"))
    peer = connect(listen())

    peer.send(get(version="1.0").replace(b"Host", b"Connection: keep-alive\r\nHost") + get("/b"))

    assert undated(peer.receive_to_end()) == (
        b"HTTP/1.1 200 OK\r\nDate: *\r\n\r\none\ntwo\nthree\n"
    )


@pytest.mark.parametrize("error", ["failed on purpose", ValueError("unexpected")])
def test_a_stream_that_fails_breaks_the_connection(
    node: Node, listen: Listen, connect: Connect, error: BaseException | str
) -> None:
    pipe = Pipe()
    pipe.writer.write(b"one\n")
    pipe.writer.fail(error)
    answering(node, Response(200, reader=pipe.reader))
    peer = connect(listen())

    peer.send(get() + get("/b"))

    if isinstance(error, str):
        assert undated(peer.receive_to_end()) == STREAM.partition(b"4\r\ntwo")[0]
    else:
        with expect_failure(ValueError, "unexpected"):
            assert undated(peer.receive_to_end()) == STREAM.partition(b"4\r\ntwo")[0]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_stream_that_fails_before_anything_left_is_an_error_of_the_server(
    node: Node, listen: Listen, connect: Connect, version: str
) -> None:
    pipe = Pipe()
    pipe.writer.fail("failed on purpose")
    answering(node, Response(200, reader=pipe.reader))
    peer = connect(listen())

    peer.send(get(version=version) + get("/b"))
    peer.end_sending()

    answer, _, behind = peer.receive_to_end().partition(b"failed on purpose")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"\r\nContent-Length: 17\r\n" in answer
    assert behind.endswith(b"next") == (version == "1.1")


def test_an_unexpected_error_before_a_stream_began_is_kept_from_the_client(
    node: Node, listen: Listen, connect: Connect
) -> None:
    def answer(request: Request) -> Future[Response]:
        pipe = Pipe()
        pipe.writer.fail(ValueError("unexpected"))
        return Future(Response(200, reader=pipe.reader))

    node.answer = answer
    for expose_errors in (False, True):
        peer = connect(listen(expose_errors=expose_errors))
        peer.send(get())
        peer.end_sending()
        with expect_failure(ValueError, "unexpected"):
            answers = peer.receive_to_end()
        assert answers.startswith(b"HTTP/1.1 500 ")
        assert (b"unexpected" in answers) == expose_errors


def test_a_client_of_http_1_0_sees_a_reset_when_a_stream_fails(
    node: Node, listen: Listen, connect: Connect
) -> None:
    pipe = Pipe()
    answering(node, Response(200, reader=pipe.reader))
    peer = connect(listen())
    peer.send(get(version="1.0"))
    peer.receive(20)

    pipe.writer.fail("failed on purpose")

    with pytest.raises(ConnectionResetError):
        peer.receive_to_end()


def test_head_of_a_stream_closes_it(node: Node, listen: Listen, connect: Connect) -> None:
    pipe = Pipe()
    answering(node, Response(200, reader=pipe.reader))
    peer = connect(listen())

    peer.send(get().replace(b"GET", b"HEAD"))
    peer.end_sending()

    assert undated(peer.receive_to_end()) == STREAM.partition(b"4\r\n")[0]
    assert pipe.writer.reader_closed.is_ready


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_closes_the_stream(
    node: Node, listen: Listen, connect: Connect, status: int
) -> None:
    pipe = Pipe()
    answering(node, Response(status, reader=pipe.reader))
    peer = connect(listen())

    peer.send(get() + get("/b"))
    peer.end_sending()

    head, _, rest = undated(peer.receive_to_end()).partition(b"Date: *\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status)
    assert rest.startswith(b"HTTP/1.1 200")
    assert pipe.writer.reader_closed.is_ready


def test_connection_close_of_a_stream_counts(node: Node, listen: Listen, connect: Connect) -> None:
    response = piped(b"one\n")
    response.headers["Connection"] = "close"
    answering(node, response)
    peer = connect(listen())

    peer.send(get() + get("/b"))

    assert peer.receive_to_end().endswith(b"one\n\r\n0\r\n\r\n")


def test_the_writer_learns_that_the_client_is_gone(
    node: Node, listen: Listen, connect: Connect
) -> None:
    pipe = Pipe()
    closed = Event()
    pipe.writer.reader_closed.on_ready(lambda _: closed.set())
    answering(node, Response(200, reader=pipe.reader))
    peer = connect(listen())
    peer.send(get())
    peer.receive(20)

    peer.reset()

    assert closed.wait(LIMIT)
    assert not pipe.writer.write(b"late")


def test_a_quiet_stream_to_a_client_that_sends_no_more_is_given_up_after_a_while(
    node: Node, listen: Listen, connect: Connect
) -> None:
    pipe = Pipe()
    answering(node, Response(200, reader=pipe.reader))
    peer = connect(listen(answer_timeout=0.05))

    peer.send(get())
    peer.end_sending()

    assert peer.receive_to_end().endswith(b"\r\n\r\n")
    assert pipe.writer.reader_closed.is_ready


def test_writers_of_streams_that_were_never_begun_learn_it_too(
    node: Node, listen: Listen, connect: Connect
) -> None:
    first, second = Pipe(), Pipe()
    late: Promise[Response] = Promise()
    closed = Event()
    second.writer.reader_closed.on_ready(lambda _: closed.set())
    answers = iter(
        [
            Future(Response(200, reader=first.reader)),
            Future(Response(200, reader=second.reader)),
            late.future,
        ]
    )
    node.answer = lambda request: next(answers)
    peer = connect(listen())
    peer.send(get() * 3)
    peer.receive(20)

    peer.reset()
    assert closed.wait(LIMIT)
    third = Pipe()
    late.set(Response(200, reader=third.reader))

    assert third.writer.reader_closed.is_ready


def test_a_stream_is_not_read_faster_than_the_client_takes_it(
    node: Node, listen: Listen, connect: Connect
) -> None:
    pipe = Pipe(max_pipe_bytes=1 << 40)
    for _ in range(32):
        pipe.writer.write(b"x" * 1024 * 1024)
    answering(node, Response(200, reader=pipe.reader))
    peer = connect(listen())

    peer.send(get())
    peer.receive(20)
    gevent.idle()

    assert pipe.statistics()["unread_pieces"] > 0
    pipe.writer.close()
    peer.end_sending()
    assert len(peer.receive_to_end()) > 32 * 1024 * 1024


def test_a_stream_may_take_longer_than_an_answer(
    node: Node, listen: Listen, connect: Connect
) -> None:
    """The client said that this is its last request, and is still there."""
    pipe = Pipe()
    answering(node, Response(200, reader=pipe.reader))
    peer = connect(listen(answer_timeout=0.01))
    peer.send(get().replace(b"Host", b"Connection: close\r\nHost"))
    peer.receive(20)

    gevent.get_hub().loop.timer(0.05).start(pipe.writer.close)

    assert peer.receive_to_end().endswith(b"0\r\n\r\n")


# Bodies of requests


def post(body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (size, body)


@pytest.fixture
def streaming(node: Node) -> Promise[Response]:
    """Let everything be streamed; the promise is the response to everything."""
    promise: Promise[Response] = Promise()
    object.__setattr__(node.hooks, "streams", lambda path: True)
    node.answer = lambda request: promise.future
    return promise


def ask(node: Node) -> Request:
    return node.requests.get(timeout=LIMIT)


def test_a_request_is_served_before_its_body_is_there(
    node: Node, listen: Listen, connect: Connect, streaming: Promise[Response]
) -> None:
    peer = connect(listen())
    peer.send(post(b"he", 5))

    request = ask(node)
    assert request.body == b""
    assert request.reader.read().get(timeout=LIMIT) == b"he"
    peer.send(b"llo")
    assert request.reader.read().get(timeout=LIMIT) == b"llo"
    assert request.reader.read().get(timeout=LIMIT) == b""
    streaming.set(OK("done"))

    peer.end_sending()
    assert peer.receive_to_end().endswith(b"done")


def test_the_next_request_comes_behind_a_streamed_body(
    node: Node, listen: Listen, connect: Connect, streaming: Promise[Response]
) -> None:
    streaming.set(OK("done"))
    peer = connect(listen())

    peer.send(post(b"he", 5))
    ask(node)
    peer.send(b"llo" + post(b"world"))
    peer.end_sending()

    assert ask(node).body == b"world"
    assert peer.receive_to_end().count(b"done") == 2


def test_reading_stops_when_the_handler_does_not_read(
    node: Node, listen: Listen, connect: Connect, streaming: Promise[Response]
) -> None:
    size = 64 * 1024 * 1024
    peer = connect(listen())
    peer.send(post(b"", size))
    request = ask(node)

    sending_all = gevent.spawn(peer.send, b"x" * size)
    gevent.idle()
    assert not sending_all.ready()

    got = sum(len(piece) for piece in request.reader)
    assert got == size
    streaming.set(OK("done"))
    sending_all.get(timeout=LIMIT)
    peer.end_sending()
    assert peer.receive_to_end().endswith(b"done")


def test_the_rest_of_a_body_is_skipped_when_the_response_is_out(
    node: Node, listen: Listen, connect: Connect, streaming: Promise[Response]
) -> None:
    size = 8 * 1024 * 1024
    peer = connect(listen())
    peer.send(post(b"", size))
    ask(node)

    streaming.set(OK("done"))
    peer.send(b"x" * size + post(b"abc"))
    peer.end_sending()

    assert peer.receive_to_end().count(b"done") == 2


def test_a_body_without_an_end_that_nobody_wants_ends_the_connection(
    node: Node, listen: Listen, connect: Connect, streaming: Promise[Response]
) -> None:
    peer = connect(listen())
    peer.send(post(b"", 1 << 40))
    ask(node).reader.close()
    streaming.set(OK("done"))

    with pytest.raises(OSError, match=r"reset|pipe"):
        peer.send(b"x" * 256 * 1024 * 1024)


def test_a_reader_learns_that_the_body_was_cut_short(
    node: Node, listen: Listen, connect: Connect, streaming: Promise[Response]
) -> None:
    peer = connect(listen())
    peer.send(post(b"he", 5))
    request = ask(node)
    peer.end_sending()

    assert request.reader.read().get(timeout=LIMIT) == b"he"
    reading = request.reader.read()
    reading.wait(timeout=LIMIT)
    assert reading.failure() == "failed to decode body"
    streaming.set(OK("done"))
    answer = peer.receive_to_end()
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.endswith(b"done")


def test_a_reader_learns_that_the_client_is_gone(
    node: Node, listen: Listen, connect: Connect, streaming: Promise[Response]
) -> None:
    peer = connect(listen())
    peer.send(post(b"he", 5))
    request = ask(node)
    request.reader.read().get(timeout=LIMIT)

    peer.reset()

    reading = request.reader.read()
    reading.wait(timeout=LIMIT)
    assert reading.is_failed
    assert streaming.future.has_discard


def test_a_client_that_asks_first_is_told_to_send_its_streamed_body(
    node: Node, listen: Listen, connect: Connect, streaming: Promise[Response]
) -> None:
    peer = connect(listen())
    peer.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")

    request = ask(node)
    assert peer.receive(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    peer.send(b"body")
    assert request.reader.read().get(timeout=LIMIT) == b"body"
    streaming.set(OK("done"))
    peer.end_sending()
    assert peer.receive_to_end().endswith(b"done")


def test_a_packed_body_that_is_cut_short_fails_and_the_connection_goes_on(
    node: Node, listen: Listen, connect: Connect, streaming: Promise[Response]
) -> None:
    streaming.set(OK("done"))
    peer = connect(listen())
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n"

    peer.send(head + b"\x1f\x8b\x08\x00\x00")
    reading = ask(node).reader.read()
    peer.send(b"\x00\x00\x00\x00\x03" + b"GARBAGE\r\n\r\n")

    reading.wait(timeout=LIMIT)
    assert reading.failure() in ("Failed to decompress body", "closed")
    answers = peer.receive_to_end()
    assert answers.count(b"HTTP/1.1 200") == 1
    assert answers.count(b"HTTP/1.1 400") == 1


def test_a_message_is_never_streamed(
    node: Node, listen: Listen, connect: Connect, streaming: Promise[Response]
) -> None:
    peer = connect(listen())
    peer.send(post(b"he", 5).replace(b"Host", b"Libprocess-From: a@1.2.3.4:1\r\nHost"))
    gevent.idle()
    peer.send(b"llo")

    assert node.delivered.get(timeout=LIMIT).body == b"hello"
    assert node.requests.empty()


def test_small_pieces_are_gathered_in_steps(
    polls: Polls, node: Node, listen: Listen, connect: Connect
) -> None:
    answering(node, piped(*[b"x"] * 100))
    peer = connect(listen())
    before = polls.count
    peer.send(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert peer.receive_to_end().endswith(b"1\r\nx\r\n" * 100 + b"0\r\n\r\n")
    assert polls.count - before > 90
