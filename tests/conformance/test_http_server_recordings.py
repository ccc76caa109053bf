"""A live node is asked what a C++ libprocess was asked, and answers the same, or says why not.

Requests and responses were recorded on loopback; dates differ from run to run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import gevent
import pytest
from gevent import socket

from greenproc.auth import BasicAuthenticator
from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.runtime import Runtime
from greenproc.testing import await_ready
from tests.conformance.echo import REALM, Echo
from tests.peer import Peer

HOST = b"Host: 127.0.0.1:36069\r\n"
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"
GZIPPED = b"\x1f\x8b\x08\x00\xe7\xf4\x04k\x02\xff\xab\xca,(HM\x01\x00Wh\xc2\xe2\x06\x00\x00\x00"
PACKED_5000 = (
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xed\xc11\x01\x00\x00\x00\xc2\xa0\xda\x8bo\n?\xa0"
    b"\x00\x00\x00\x00\x80\xb7\x01&\xf0\xdb\x00\x88\x13\x00\x00"
)


def asked(line: bytes, headers: bytes = b"", body: bytes = b"") -> bytes:
    """Return a request in the form in which they were recorded."""
    return line + b" HTTP/1.1\r\n" + headers + HOST + b"\r\n" + body


def answered(status: bytes, body: bytes, headers: bytes = TEXT) -> bytes:
    """Return a response in the form in which most were recorded."""
    length = b"Content-Length: %d\r\n" % len(body)
    return b"HTTP/1.1 " + status + b"\r\nDate: *\r\n" + headers + length + b"\r\n" + body


def refused(status: bytes, body: bytes) -> bytes:
    """Return the answer to a request that breaks a rule, of which libprocess gives none."""
    return answered(status, body, b"Connection: close\r\n" + TEXT)


HELLO = answered(b"200 OK", b"hello")
NOT_FOUND = answered(b"404 Not Found", b"404 Not Found.")
PACKED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nDate: *\r\n" + TEXT
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nDate: *\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM = STREAM_HEAD + b"4\r\none\n\r\n4\r\ntwo\n\r\n6\r\nthree\n\r\n0\r\n\r\n"
FILE = (
    b"HTTP/1.1 200 OK\r\nDate: *\r\nContent-Length: 10\r\nContent-Type: text/html\r\n\r\n"
    b"<p>hi</p>\n"
)
JSONP = (
    b"HTTP/1.1 200 OK\r\nDate: *\r\nContent-Length: 22\r\nContent-Type: text/javascript\r\n\r\n"
    b'cb({"a":1,"b":"text"})'
)
UNAUTHORIZED = answered(
    b"401 Unauthorized",
    b"401 Unauthorized.",
    b'WWW-Authenticate: Basic realm="peer-realm"\r\n' + TEXT,
)

# What was asked, and what libprocess answered. Here the answer is the same.
SAME = {
    "absolute-uri": (asked(b"GET http://127.0.0.1:36069/echo/hello"), HELLO),
    "bad-percent-id": (asked(b"GET /ec%zzo/hello"), NOT_FOUND),
    "echo-root": (asked(b"GET /echo"), answered(b"200 OK", b"root:/echo")),
    "fail": (
        asked(b"GET /echo/fail"),
        answered(b"500 Internal Server Error", b"failed on purpose"),
    ),
    "get-hello-doubleslash": (asked(b"GET //echo//hello"), NOT_FOUND),
    "get-hello-sub": (asked(b"GET /echo/hello/sub"), HELLO),
    "get-hello-trailing": (asked(b"GET /echo/hello/"), HELLO),
    "get-stream-close": (asked(b"GET /echo/stream", b"Connection: close\r\n"), STREAM),
    "gzip-1023": (
        asked(b"GET /echo/big?n=1023", b"Accept-Encoding: gzip\r\n"),
        answered(b"200 OK", b"x" * 1023),
    ),
    "gzip-5000-deflate": (
        asked(b"GET /echo/big?n=5000", b"Accept-Encoding: deflate\r\n"),
        answered(b"200 OK", b"x" * 5000),
    ),
    "gzip-5000-q0": (
        asked(b"GET /echo/big?n=5000", b"Accept-Encoding: gzip;q=0\r\n"),
        answered(b"200 OK", b"x" * 5000),
    ),
    "gzip-5000-q01": (
        asked(b"GET /echo/big?n=5000", b"Accept-Encoding: gzip;q=0.1\r\n"),
        PACKED + b"Content-Length: 40\r\n\r\n" + PACKED_5000,
    ),
    "gzip-5000-star": (
        asked(b"GET /echo/big?n=5000", b"Accept-Encoding: *\r\n"),
        PACKED + b"Content-Length: 40\r\n\r\n" + PACKED_5000,
    ),
    "gzip-5000-star-q0": (
        asked(b"GET /echo/big?n=5000", b"Accept-Encoding: *;q=0\r\n"),
        answered(b"200 OK", b"x" * 5000),
    ),
    "gzip-stream": (asked(b"GET /echo/stream", b"Accept-Encoding: gzip\r\n"), STREAM),
    "jsonp": (
        asked(b"GET /echo/json?jsonp=cb"),
        JSONP,
    ),
    "options-star": (
        asked(b"OPTIONS *"),
        answered(b"400 Bad Request", b"Request URL path must start with '/'"),
    ),
    "percent-endpoint": (asked(b"GET /echo/h%65llo"), NOT_FOUND),
    "percent-id": (asked(b"GET /%65cho/hello"), HELLO),
    "post-count-body": (
        asked(b"POST /echo/count-body", b"Content-Length: 5\r\n", b"hello"),
        answered(b"200 OK", b"5"),
    ),
    "post-echo-empty": (
        asked(b"POST /echo/echo-body", b"Content-Length: 0\r\n"),
        answered(b"200 OK", b""),
    ),
    "post-echo-gzip": (
        asked(
            b"POST /echo/echo-body",
            b"Content-Encoding: gzip\r\nContent-Length: 26\r\n",
            GZIPPED,
        ),
        answered(b"200 OK", b"zipped"),
    ),
    "private-bad": (
        asked(b"GET /echo/private", b"Authorization: Basic dXNlcjp3cm9uZw==\r\n"),
        UNAUTHORIZED,
    ),
    "private-garbage": (asked(b"GET /echo/private", b"Authorization: Bearer x\r\n"), UNAUTHORIZED),
    "static-dir": (asked(b"GET /echo/static"), NOT_FOUND),
    "static-html": (
        asked(b"GET /echo/static/index.html"),
        FILE,
    ),
    "static-missing": (asked(b"GET /echo/static/none"), NOT_FOUND),
    "status-201": (asked(b"GET /echo/status?code=201"), answered(b"201 Created", b"status\n")),
    "status-307": (
        asked(b"GET /echo/status?code=307"),
        answered(b"307 Temporary Redirect", b"status\n"),
    ),
    "status-418": (asked(b"GET /echo/status?code=418"), answered(b"418", b"status\n")),
    "status-503": (
        asked(b"GET /echo/status?code=503"),
        answered(b"503 Service Unavailable", b"status\n"),
    ),
    "status-999": (asked(b"GET /echo/status?code=999"), answered(b"999", b"status\n")),
}


@dataclass(frozen=True)
class Difference:
    """A request that is answered otherwise than libprocess did, on purpose."""

    data: bytes
    libprocess: bytes
    here: bytes
    why: str


PARSER = b"malformed head: *"  # and then the words of llhttp, which differ between its versions
POLITE = "who breaks a rule is told so before the connection is closed"
SILENCE = b""  # libprocess closed the connection

DIFFERENT = {
    "abandon": Difference(
        asked(b"GET /echo/abandon"),
        SILENCE,  # until the client gave up
        answered(b"503 Service Unavailable", b"503 Service Unavailable."),
        "a response that never comes must not hold up those behind it",
    ),
    "discard": Difference(
        asked(b"GET /echo/discard"),
        answered(b"500 Internal Server Error", b"discarded future"),
        answered(b"503 Service Unavailable", b"503 Service Unavailable."),
        "the same as for an abandoned future, and as libprocess' other server does",
    ),
    "dotdot-start": Difference(
        asked(b"GET /.. "),
        NOT_FOUND,
        refused(b"400 Bad Request", b"malformed request line"),
        "two blanks in the request line: servers that read it differently can be played off",
    ),
    "get-stream-fail": Difference(
        asked(b"GET /echo/stream-fail"),
        STREAM_HEAD
        + b"4\r\none\n\r\n"
        + answered(b"500 Internal Server Error", b"500 Internal Server Error."),
        STREAM_HEAD + b"4\r\none\n\r\n",
        "a second response between the chunks can be taken for data",
    ),
    "get-stream-http10": Difference(
        b"GET /echo/stream HTTP/1.0\r\n\r\n",
        STREAM,
        b"HTTP/1.1 200 OK\r\nDate: *\r\n\r\none\ntwo\nthree\n",
        "RFC 9112 section 6.1: HTTP/1.0 knows no chunks",
    ),
    "head-hello": Difference(
        asked(b"HEAD /echo/hello"),
        HELLO,
        HELLO.removesuffix(b"hello"),
        "RFC 9110 section 9.3.2: clients take the body for the next response",
    ),
    "status-204": Difference(
        asked(b"GET /echo/status?code=204"),
        answered(b"204 No Content", b"status\n"),
        b"HTTP/1.1 204 No Content\r\nDate: *\r\n" + TEXT + b"\r\n",
        "RFC 9110 section 15.3.5: likewise",
    ),
    "malformed-chunk": Difference(
        asked(
            b"POST /echo/echo-body",
            b"Transfer-Encoding: chunked\r\n",
            b"zz\r\nhello\r\n0\r\n\r\n",
        ),
        answered(b"500 Internal Server Error", b"failed to decode body"),
        refused(b"400 Bad Request", b"malformed chunk size"),
        "it is the client's mistake",
    ),
    "method-unknown": Difference(
        asked(b"FOO /echo/hello"),
        SILENCE,
        refused(b"501 Not Implemented", PARSER),
        "RFC 9110 section 9.1: the status for a method that nobody knows",
    ),
    "cl-and-te": Difference(
        asked(
            b"POST /echo/echo-body",
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            b"2\r\nhi\r\n0\r\n\r\n",
        ),
        SILENCE,
        refused(b"400 Bad Request", PARSER),
        POLITE,
    ),
    "upgrade": Difference(
        asked(b"GET /echo/hello", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        HELLO,
        refused(b"501 Not Implemented", b"no WebSocket here: use requests and streamed responses"),
        "nothing that a handler answers is of use to a client that waits for a WebSocket",
    ),
    "connect": Difference(
        asked(b"CONNECT a:1"), SILENCE, refused(b"501 Not Implemented", b"no tunnels here"), POLITE
    ),
    "http2-preface": Difference(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        SILENCE,
        refused(b"505 HTTP Version not supported", b"expected HTTP/1.1 or HTTP/1.0"),
        POLITE,
    ),
    "huge-header-90k": Difference(
        asked(b"GET /echo/hello", b"X: " + b"y" * 90_000 + b"\r\n"),
        SILENCE,
        refused(b"431 Request Header Fields Too Large", b"head of more than 81920 bytes"),
        POLITE,
    ),
    "path-noslash": Difference(
        asked(b"GET echo/hello"),
        SILENCE,
        refused(b"400 Bad Request", b"malformed request target"),
        POLITE,
    ),
    "truncated-then-halfclose": Difference(
        asked(b"POST /echo/echo-body", b"Content-Length: 50\r\n", b"hello"),
        SILENCE,
        refused(b"400 Bad Request", b"connection closed within a request"),
        POLITE,
    ),
    "two-content-length": Difference(
        asked(b"POST /echo/echo-body", b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"),
        SILENCE,
        refused(b"400 Bad Request", PARSER),
        POLITE,
    ),
    "pipelined-good-then-garbage": Difference(
        asked(b"GET /echo/hello") + b"garbage\r\n\r\n",
        HELLO,
        HELLO + refused(b"400 Bad Request", b"malformed request line"),
        POLITE,
    ),
}


class Sink(Process):
    """Takes messages called ``data``."""

    @install("data")
    def on_data(self, sender: UPID, body: bytes) -> None:
        pass


@pytest.fixture
def echo(runtime: Runtime, tmp_path: Path) -> Echo:
    (tmp_path / "index.html").write_bytes(b"<p>hi</p>\n")
    await_ready(runtime.set_authenticator(REALM, BasicAuthenticator(REALM, {"user": "pass"})))
    echo = Echo(tmp_path)
    runtime.spawn(echo)
    return echo


def undated(data: bytes) -> bytes:
    """Return *data* without dates, what is added for browsers, and the words of llhttp."""
    data = data.replace(b"X-Content-Type-Options: nosniff\r\n", b"")  # which libprocess has not
    words = rb"\d+\r\n\r\nmalformed head: [^\r]+$"
    data = re.sub(words, b"%d\r\n\r\n%b" % (len(PARSER), PARSER), data)
    return re.sub(rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r", b"Date: *\r", data)


def ask(runtime: Runtime, data: bytes) -> bytes:
    """Return everything that a client gets who sends *data* and no more."""
    with Peer.connect(runtime.address) as peer:
        peer.send(data)
        peer.socket.shutdown(socket.SHUT_WR)
        return undated(peer.read_to_end())


@pytest.mark.parametrize("case", SAME)
def test_node_answers_as_libprocess_did(runtime: Runtime, echo: Echo, case: str) -> None:
    data, response = SAME[case]
    assert ask(runtime, data) == response


@pytest.mark.parametrize("case", DIFFERENT)
def test_node_answers_otherwise_on_purpose(runtime: Runtime, echo: Echo, case: str) -> None:
    difference = DIFFERENT[case]
    assert difference.here != difference.libprocess
    assert ask(runtime, difference.data) == difference.here, difference.why


def test_root_is_the_page_of_the_node(runtime: Runtime, echo: Echo) -> None:
    """Libprocess has nothing there and answered 404 to the same request."""
    answer = ask(runtime, asked(b"GET /"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Type: text/html; charset=utf-8\r\n" in answer


def test_body_may_come_byte_by_byte(runtime: Runtime, echo: Echo) -> None:
    data = asked(b"POST /echo/echo-body", b"Content-Length: 5\r\n", b"hello")
    with Peer.connect(runtime.address) as peer:
        for at in range(len(data)):
            peer.send(data[at : at + 1])
            gevent.sleep(0)
        peer.socket.shutdown(socket.SHUT_WR)
        assert undated(peer.read_to_end()) == HELLO


def test_pipelined_requests_are_answered_in_order(runtime: Runtime, echo: Echo) -> None:
    runtime.spawn(Sink("sink"))
    runtime.clock.pause()
    with Peer.connect(runtime.address) as peer:
        peer.send(
            asked(b"GET /echo/delay?secs=0.2")
            + asked(b"GET /echo/hello")
            + asked(b"GET /nobody")
            + asked(b"GET /echo/stream")
            + asked(
                b"POST /sink/data",
                b"User-Agent: libprocess/x@127.0.0.1:1234\r\nContent-Length: 0\r\n",
            )
            + asked(b"GET /echo/hello")
        )
        peer.socket.shutdown(socket.SHUT_WR)
        gevent.idle()
        runtime.settle()
        runtime.clock.advance(0.2)
        received = undated(peer.read_to_end())
    assert received == (
        answered(b"200 OK", b"delayed")
        + HELLO
        + NOT_FOUND
        + STREAM
        + answered(b"202 Accepted", b"", b"")
        + HELLO
    )


def test_process_that_has_ended_is_not_found(runtime: Runtime, echo: Echo) -> None:
    with Peer.connect(runtime.address) as peer:
        peer.send(
            asked(
                b"POST /echo/die",
                b"User-Agent: libprocess/x@127.0.0.1:1234\r\nContent-Length: 0\r\n",
            )
        )
        assert peer.read_answer().code == 202
    runtime.wait(echo)
    assert ask(runtime, asked(b"GET /echo/hello")) == NOT_FOUND
