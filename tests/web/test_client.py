"""One-shot requests: what is sent, what comes back, and what can go wrong in each phase."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket

from greenproc.errors import (
    Broken,
    Closed,
    Discarded,
    Failure,
    InvalidArgument,
    InvalidURL,
    LocalProtocolError,
    RemoteProtocolError,
)
from greenproc.future import Future
from greenproc.http.content_coding import gzip_compress
from greenproc.http.response import Response
from greenproc.http.url import URL
from greenproc.pid import UPID
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import await_discarded, await_failed, await_ready
from greenproc.web import Pipe, connect, delete, get, head, patch, post, put, request
from tests.peer import LIMIT, Acceptor, closed_address
from tests.web.support import CHUNKED, EMPTY, HEAD_END, HELLO, answering, failure_of, served

Call = Callable[..., Future[Response]]


def sent_by(server: Acceptor, call: Callable[[str], Future[Response]], extra: int = 0) -> bytes:
    """Return what *call* of a URL without a path sends, with *extra* bytes of the body."""
    future = call(f"http://{server.address}")
    with server.accept() as peer:
        data = peer.read_until(HEAD_END) + peer.read(extra)
        peer.send(EMPTY)
        await_ready(future)
    return data.replace(str(server.address).encode(), b"HOST")


# What libprocess' own client was recorded to send


@pytest.mark.parametrize(
    ("call", "recorded"),
    [
        (
            get,
            b"GET / HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\nHost: HOST\r\n\r\n",
        ),
        (
            lambda url: get(f"{url}/x"),
            b"GET /x HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\nHost: HOST\r\n\r\n",
        ),
        (
            lambda url: get(f"{url}/x/y?a=b%20c&d=e"),
            (
                b"GET /x/y?a=b%20c&d=e HTTP/1.1\r\n"
                b"Connection: close\r\nContent-Length: 0\r\nHost: HOST\r\n\r\n"
            ),
        ),
        (
            lambda url: get(f"{url}/x", stream=True),
            b"GET /x HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\nHost: HOST\r\n\r\n",
        ),
        (
            lambda url: delete(f"{url}/x"),
            b"DELETE /x HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\nHost: HOST\r\n\r\n",
        ),
        (
            lambda url: post(f"{url}/x", None, b"body text", "text/plain"),
            (
                b"POST /x HTTP/1.1\r\nConnection: close\r\nContent-Length: 9\r\nHost: HOST\r\n"
                b"Content-Type: text/plain\r\n\r\nbody text"
            ),
        ),
    ],
    ids=["get-root", "get", "get with a query", "streamed get", "delete", "post"],
)
@pytest.mark.usefixtures("untraced")
def test_it_sends_what_libprocess_sends(
    server: Acceptor, call: Callable[[str], Future[Response]], recorded: bytes
) -> None:
    assert sent_by(server, call, len(recorded.partition(HEAD_END)[2])) == recorded


@pytest.mark.usefixtures("untraced")
def test_a_host_name_is_looked_up_and_named(server: Acceptor) -> None:
    future = get(f"http://localhost:{server.address.port}/x")
    with server.accept() as peer:
        assert peer.read_until(HEAD_END) == (
            b"GET /x HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n"
            b"Host: localhost:%d\r\n\r\n" % server.address.port
        )
        peer.send(EMPTY)
        await_ready(future)


# What else is sent


@pytest.mark.parametrize(
    ("call", "method"),
    [
        (get, b"GET"),
        (head, b"HEAD"),
        (delete, b"DELETE"),
        (post, b"POST"),
        (put, b"PUT"),
        (patch, b"PATCH"),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else "",
)
def test_each_function_sends_its_method(server: Acceptor, call: Call, method: bytes) -> None:
    assert sent_by(server, call).startswith(method + b" / HTTP/1.1\r\n")


@pytest.mark.parametrize("call", [post, put, patch], ids=["post", "put", "patch"])
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"bytes", b"bytes"),
        ("täxt", b"t\xc3\xa4xt"),
        (bytearray(b"a"), b"a"),
        (memoryview(b"m"), b"m"),
    ],
)
def test_a_body_is_bytes_or_text(server: Acceptor, call: Call, body: bytes, text: bytes) -> None:
    data = sent_by(server, lambda url: call(url, body=body), len(text))

    assert data.endswith(HEAD_END + text)
    assert b"\r\nContent-Length: %d\r\n" % len(text) in data


@pytest.mark.usefixtures("untraced")
def test_json_is_compact_and_says_what_it_is(server: Acceptor) -> None:
    data = sent_by(server, lambda url: post(url, json={"a": [1, None]}), 14)

    assert data.endswith(b'\r\nContent-Type: application/json\r\n\r\n{"a":[1,null]}')


@pytest.mark.usefixtures("untraced")
def test_the_type_of_json_can_be_said(server: Acceptor) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}

    data = sent_by(server, lambda url: patch(url, headers, json=None), 4)

    assert data.endswith(b"\r\nContent-Type: application/merge-patch+json\r\n\r\nnull")


def test_content_type_overrides_the_header(server: Acceptor) -> None:
    data = sent_by(server, lambda url: put(url, {"content-type": "a/b"}, b"x", "c/d"), 1)

    assert data.lower().count(b"content-type") == 1
    assert b": c/d\r\n" in data


@pytest.mark.usefixtures("untraced")
def test_headers_may_be_pairs_and_come_after_those_of_the_client(server: Acceptor) -> None:
    data = sent_by(server, lambda url: get(url, [("X-A", "1"), ("X-A", "2")]))

    assert data.endswith(b"\r\nHost: HOST\r\nX-A: 1\r\nX-A: 2\r\n\r\n")


def test_a_pipe_is_sent_as_it_is_written(server: Acceptor) -> None:
    pipe = Pipe()
    future = put(f"http://{server.address}/", body=pipe.reader)
    with server.accept() as peer:
        assert b"\r\nTransfer-Encoding: chunked\r\n" in peer.read_until(HEAD_END)
        pipe.writer.write(b"one")
        assert peer.read(8) == b"3\r\none\r\n"
        pipe.writer.close()
        assert peer.read(5) == b"0\r\n\r\n"
        peer.send(EMPTY)
        assert await_ready(future).status == 200


def test_an_iterable_is_sent_piece_by_piece(server: Acceptor) -> None:
    pieces = b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"

    data = sent_by(server, lambda url: post(url, body=iter([b"a", b"b"])), len(pieces))

    assert data.endswith(HEAD_END + pieces)


def test_a_process_is_asked_by_its_pid(server: Acceptor) -> None:
    future = get(UPID("counter(1)", server.address))
    with server.accept() as peer:
        assert peer.read_until(HEAD_END).startswith(b"GET /counter(1) HTTP/1.1\r\n")
        peer.send(EMPTY)
        await_ready(future)


def test_a_url_object_is_as_good_as_its_text(server: Acceptor) -> None:
    url = URL("/x", {"a": "b&c"}, host=server.address.ip, port=server.address.port)
    future = get(url)
    with server.accept() as peer:
        assert peer.read_until(HEAD_END).startswith(b"GET /x?a=b%26c HTTP/1.1\r\n")
        peer.send(EMPTY)
        await_ready(future)


# What comes back


def test_a_response_has_status_headers_and_body(server: Acceptor) -> None:
    answer = b"HTTP/1.1 201 Made\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 8\r\n\r\n" + b'{"a": 1}'
    with served(server, answering(answer)):
        response = await_ready(get(server.address))

    assert response.status == 201
    assert response.headers.getall("x-a") == ["1", "2"]
    assert (response.body, response.json()) == (b'{"a": 1}', {"a": 1})


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
        % (len(gzip_compress(b"hello")), gzip_compress(b"hello")),
    ],
    ids=["length", "chunks", "until the end", "HTTP/1.0", "after an interim one", "gzip"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("cut", [False, True], ids=["in one piece", "byte by byte"])
def test_a_body_is_read_however_it_comes(
    server: Acceptor, answer: bytes, stream: bool, cut: bool
) -> None:
    future = get(server.address, stream=stream)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        for at in range(0, len(answer), 1 if cut else len(answer)):
            peer.send(answer[at : at + 1] if cut else answer)
    response = await_ready(future)

    body = await_ready(response.reader.read_all()) if stream else response.body
    assert body == b"hello"


def test_a_response_without_a_body_can_be_streamed(server: Acceptor) -> None:
    with served(server, answering(b"HTTP/1.1 204 No Content\r\n\r\n")):
        response = await_ready(get(server.address, stream=True))

        assert await_ready(response.reader.read_all()) == b""


def test_the_client_closes_when_it_has_the_response(server: Acceptor) -> None:
    future = get(server.address)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        peer.send(HELLO)
        await_ready(future)

        assert peer.read_to_end() == b""


def test_a_callback_may_wait_for_another_request(server: Acceptor) -> None:
    with served(server, answering(EMPTY, HELLO)):
        future = get(server.address).then(lambda _: get(server.address).get(timeout=LIMIT))

        assert await_ready(future).body == b"hello"


def test_requests_at_the_same_time_do_not_wait_for_each_other(server: Acceptor) -> None:
    futures = [get(server.address) for _ in range(50)]
    peers = [server.accept() for _ in futures]
    for peer in reversed(peers):
        peer.read_until(HEAD_END)
        peer.send(HELLO)

    assert [await_ready(future).body for future in futures] == [b"hello"] * 50
    for peer in peers:
        peer.close()


# What goes wrong


def test_a_refused_connection_tells_where_and_why() -> None:
    address = closed_address()

    text = failure_of(get(address), Broken)

    assert text == f"cannot connect to {address}: [Errno 111] Connection refused"


def test_a_host_without_an_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("greenproc.web.dial.socket.getaddrinfo", find_nothing)

    text = failure_of(get("http://nobody.example/"), Broken)

    assert text == (
        "cannot find the address of 'nobody.example': [Errno -2] Name or service not known"
    )


@pytest.mark.parametrize("host", ["x" * 70 + ".example", "two..example"])
def test_a_host_name_that_none_can_be_is_told(
    host: str, capfd: pytest.CaptureFixture[str]
) -> None:
    text = failure_of(get(f"http://{host}/"), Broken)

    assert text.startswith(f"cannot find the address of '{host}': ")
    # Such a name may come from a server that redirects: that is no reason for a traceback.
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("url", ["/\ud800", "/?a=\ud800", "/?\ud800"])
def test_a_url_that_cannot_be_spelled_fails_the_future(url: str) -> None:
    text = failure_of(get(f"http://127.0.0.1{url}"), LocalProtocolError)
    assert text.startswith("the request cannot be encoded: ")


def test_what_is_no_character_becomes_a_question_mark(server: Acceptor) -> None:
    for body in ("a\ud800", ["a\ud800"]):
        future = post(server.address, body=body)  # type: ignore[arg-type]
        with server.accept() as peer:
            assert b"a?" in peer.read_until(b"a?")
            peer.send(EMPTY)
            await_ready(future)


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1/x",
        "http:///x",
        "https://127.0.0.1/",
        "http://h/?%zz",
        "http://a:b:c/",
        "http://h:99999/",
        UPID(),
        (UPID(), "x"),
        (1, 2, 3),
        None,
    ],
)
def test_a_target_that_is_none_fails_the_future(target: object) -> None:
    failure_of(get(target), InvalidURL)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": -1},
        {"timeout": "5"},
        {"connect_timeout": float("nan")},
        {"read_timeout": True},
        {"max_body_bytes": -1},
        {"max_redirects": None},
    ],
    ids=str,
)
def test_an_option_out_of_range_fails_the_future(options: dict[str, object]) -> None:
    name = next(iter(options))

    assert name in failure_of(get("http://h/", **options), InvalidArgument)  # type: ignore[arg-type]


def test_an_unknown_option_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError, match="tiemout"):
        get("http://h/", tiemout=5)  # type: ignore[call-arg]


def test_a_header_that_is_no_text_fails_the_future() -> None:
    assert "header 'X'" in failure_of(get("http://h/", {"X": 1}), InvalidArgument)  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("headers", "kind"),
    [({"X": "a\r\nY: b"}, InvalidArgument), ({"a b": "c"}, InvalidArgument)],
)
def test_headers_that_would_smuggle_something_in_fail_the_future(
    headers: dict[str, str], kind: type[Exception]
) -> None:
    failure_of(get("http://h/", headers), kind)
    failure_of(post("http://h/", headers, b""), kind)


@pytest.mark.parametrize("body", [5, None, 1.5])
def test_a_body_that_is_none_fails_the_future(body: object) -> None:
    failure_of(request("POST", "http://h/", None, body), InvalidArgument)  # type: ignore[arg-type]


@pytest.mark.parametrize("body", [{"a": 1}, {b"a": b"1"}, {}, {b"a"}, frozenset()], ids=repr)
@pytest.mark.parametrize("call", [post, put, patch])
def test_a_body_that_is_a_mapping_or_a_set_is_not_sent_as_its_keys(
    call: Callable[..., Future[Response]], body: object
) -> None:
    told = failure_of(call("http://h/", body=body), InvalidArgument)
    assert told.startswith("expected bytes, a text, a reader or an iterable of bytes as the body")
    assert told.endswith(f"got {body!r}: post, put and patch write JSON with json=")


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), object()])
def test_what_has_no_json_fails_the_future(value: object) -> None:
    assert "JSON" in failure_of(post("http://h/", json=value), InvalidArgument)


def test_a_body_beside_json_fails_the_future() -> None:
    failure_of(post("http://h/", body=b"x", json=1), InvalidArgument)


def test_a_content_type_without_a_body_fails_the_future() -> None:
    text = failure_of(put("http://h/", content_type="text/plain"), Failure)

    assert text == "Attempted to do a PUT with a Content-Type but no body"


def test_a_method_that_is_none_fails_the_future() -> None:
    failure_of(request("GET /x", "http://h/"), LocalProtocolError)


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (b"", Broken, "closed the connection"),
        (b"HTTP/1.1 200", Broken, "incomplete head"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Broken, "failed to decode body"),
        (CHUNKED + b"3\r\nabc\r\n", Broken, "failed to decode body"),
        (CHUNKED + b"zz\r\n", RemoteProtocolError, "malformed chunk size"),
        (b"\x16\x03\x01\x02\x00", RemoteProtocolError, "malformed first line"),
        (b"HTTP/2.0 200 OK\r\n\r\n", RemoteProtocolError, "malformed"),
        (b"HTTP/1.1 999 Odd\r\n\r\n", RemoteProtocolError, "expected a status from 100 to 599"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", RemoteProtocolError, "malformed head"),
        (b"HTTP/1.1 200 OK\nX: y\n\n", RemoteProtocolError, "malformed"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 90_000, RemoteProtocolError, "head of more than"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n", RemoteProtocolError, "headers"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            RemoteProtocolError,
            "Failed to decode response",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n",
            RemoteProtocolError,
            "body of 67108865 bytes",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
            RemoteProtocolError,
            "failed to decode body",
        ),
    ],
)
def test_a_malformed_answer_is_told(
    server: Acceptor, answer: bytes, kind: type[Exception], text: str
) -> None:
    future = get(server.address)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        peer.send(answer)

    assert text in failure_of(future, kind)


def test_gzip_that_unpacks_to_too_much_is_refused(server: Acceptor) -> None:
    bomb = gzip_compress(b"\0" * 1_000_000)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
    with served(server, answering(answer % (len(bomb), bomb))):
        future = get(server.address, max_body_bytes=10_000)

        assert "body of more than 10000 bytes" in failure_of(future, RemoteProtocolError)


def test_a_streamed_body_that_is_cut_short_fails_its_reader(server: Acceptor) -> None:
    future = get(server.address, stream=True)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        peer.send(CHUNKED + b"3\r\none\r\n")
        reader = await_ready(future).reader
    assert await_ready(reader.read()) == b"one"

    text = failure_of(reader.read(), Broken)
    assert text == f"failed to decode body: {server.address} closed the connection too early"


def test_a_body_that_fails_fails_the_request(server: Acceptor) -> None:
    def body() -> Iterator[bytes]:
        yield b"some"
        raise OSError("disk on fire")

    future = post(server.address, body=body())
    with server.accept():
        assert str(await_failed(future)) == "disk on fire"


@pytest.mark.parametrize("url", ["nowhere", "http://h/ x", "http://h/"])
def test_the_maker_of_a_body_is_told_when_nothing_can_be_sent(url: str) -> None:
    pipe = Pipe()

    await_failed(post(url, body=pipe.reader, timeout=-1.0 if url == "http://h/" else None))

    assert pipe.writer.reader_closed.is_ready


def test_the_maker_of_a_body_is_told_when_nobody_can_be_reached() -> None:
    pipe = Pipe()

    await_failed(post(closed_address(), body=pipe.reader))

    await_ready(pipe.writer.reader_closed)


# Nobody wants it any more


def test_a_discard_request_closes_the_connection(server: Acceptor) -> None:
    future = get(server.address)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        future.discard()

        await_discarded(future)
        assert peer.read_to_end() == b""


def test_a_discard_request_before_anything_happened_opens_no_connection(
    server: Acceptor,
) -> None:
    future = get(server.address)
    future.discard()

    await_discarded(future)
    server.socket.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        server.accept()


def test_a_discard_request_while_connecting_gives_up(
    server: Acceptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = gevent.event.Event()

    def never(*args: object, **options: object) -> None:
        looking.set()
        gevent.event.Event().wait()

    monkeypatch.setattr("greenproc.web.dial.socket.getaddrinfo", never)
    future = get("http://slow.example/")
    assert looking.wait(LIMIT)

    future.discard()

    await_discarded(future)


@pytest.mark.parametrize("lost", [False, True], ids=["closed", "lost"])
def test_a_streamed_response_that_nobody_wants_closes_the_connection(
    server: Acceptor, lost: bool
) -> None:
    future = get(server.address, stream=True)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        peer.send(CHUNKED + b"3\r\none\r\n")
        response = await_ready(future)
        assert await_ready(response.reader.read()) == b"one"

        if lost:
            del response, future
            gc.collect()
        else:
            response.reader.close()

        assert peer.read_to_end() == b""


@pytest.mark.parametrize("ask", [get, connect], ids=["get", "connect"])
def test_a_runtime_that_stops_at_once_ends_what_has_not_begun(
    server: Acceptor, ask: Callable[..., Future[object]]
) -> None:
    node = Runtime(Settings(ip="127.0.0.1"))
    with node, node.selected():
        future = ask(server.address)

    assert future.await_(LIMIT)
    assert isinstance(future.exception, (Closed, Discarded))


def test_a_runtime_that_stops_ends_its_requests(server: Acceptor) -> None:
    node = Runtime(Settings(ip="127.0.0.1"))
    with node, node.selected():
        future = get(server.address)
        peer = server.accept()
    assert failure_of(future, Closed).startswith("Disconnected")
    peer.close()
