"""Requests and responses as bytes. The recorded ones are those of a C++ libprocess."""

from __future__ import annotations

from typing import Any

import pytest

from greenproc.errors import LocalProtocolError
from greenproc.http.content_coding import gzip_decompress
from greenproc.http.headers import Headers
from greenproc.http.parser import RequestParser, ResponseParser
from greenproc.http.raw_message import to_response
from greenproc.http.request import Request
from greenproc.http.response import (
    OK,
    Accepted,
    NoContent,
    NotFound,
    Response,
    ResponseKind,
    Unauthorized,
)
from greenproc.http.url import URL
from greenproc.http.writer import (
    CONTINUE,
    LAST_CHUNK,
    accepted_response,
    encode_chunk,
    encode_request,
    encode_response,
    encode_response_head,
)

NOW = 1795486945.9  # Tue, 24 Nov 2026 02:22:25 GMT
DATE = b"Date: Tue, 24 Nov 2026 02:22:25 GMT\r\n"
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"
GZIPPED = bytes.fromhex(
    "1f8b0800000000000003edc13101000000c2a0da8b6f0a3fa00000000080b70126f0db0088130000"
)


def get(headers: dict[str, str] | None = None, method: str = "GET") -> Request:
    return Request(method, URL("/"), Headers(headers))


RECORDED = {
    "202": (
        Accepted(),
        b"HTTP/1.1 202 Accepted\r\n" + DATE + b"Content-Length: 0\r\n\r\n",
    ),
    "text": (
        OK("hello"),
        b"HTTP/1.1 200 OK\r\n" + DATE + TEXT + b"Content-Length: 5\r\n\r\nhello",
    ),
    "empty text": (
        OK(b""),
        b"HTTP/1.1 200 OK\r\n" + DATE + TEXT + b"Content-Length: 0\r\n\r\n",
    ),
    "404": (
        NotFound(),
        b"HTTP/1.1 404 Not Found\r\n" + DATE + TEXT + b"Content-Length: 14\r\n\r\n404 Not Found.",
    ),
    "401": (
        Unauthorized(['Basic realm="peer-realm"']),
        b"HTTP/1.1 401 Unauthorized\r\n"
        + DATE
        + b'WWW-Authenticate: Basic realm="peer-realm"\r\n'
        + TEXT
        + b"Content-Length: 17\r\n\r\n401 Unauthorized.",
    ),
    "jsonp": (
        OK(json={"a": 1, "b": "text"}, jsonp="cb"),
        b"HTTP/1.1 200 OK\r\n"
        + DATE
        + b"Content-Length: 22\r\nContent-Type: text/javascript\r\n\r\n"
        + b'cb({"a":1,"b":"text"})',
    ),
    "418": (
        Response(418, "status\n"),
        b"HTTP/1.1 418\r\n" + DATE + TEXT + b"Content-Length: 7\r\n\r\nstatus\n",
    ),
}


@pytest.mark.parametrize(("response", "data"), RECORDED.values(), ids=list(RECORDED))
def test_a_response_is_written_byte_for_byte_as_libprocess_does(
    response: Response, data: bytes
) -> None:
    written = encode_response(response, get(), now=NOW)
    assert written.replace(b"X-Content-Type-Options: nosniff\r\n", b"") == data


def test_a_date_of_the_handler_is_overwritten() -> None:
    response = OK("a", headers={"date": "yesterday"})
    assert encode_response(response, now=NOW).count(b"ate: ") == 1


def test_without_a_time_the_date_is_that_of_now() -> None:
    (raw,) = ResponseParser().feed(encode_response(OK()))
    assert dict(raw.head.headers)[b"Date"].endswith(b" GMT")


def test_the_answer_to_a_message_is_that_of_libprocess() -> None:
    expected = b"HTTP/1.1 202 Accepted\r\n" + DATE + b"Content-Length: 0\r\n\r\n"
    assert accepted_response(int(NOW)) == expected
    assert accepted_response(int(NOW)) is accepted_response(int(NOW))
    assert accepted_response(int(NOW) + 1) == expected.replace(b":25", b":26")


def test_the_line_of_a_handler_stays_where_it_is() -> None:
    response = OK("abc", headers=[("A", "1"), ("A", "2"), ("Content-Length", "3"), ("B", "3")])
    assert encode_response(response, now=NOW) == (
        b"HTTP/1.1 200 OK\r\n" + DATE + b"A: 1\r\nA: 2\r\nContent-Length: 3\r\nB: 3\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n\r\nabc"
    )


@pytest.mark.parametrize(
    ("length", "written", "body"),
    [("2", b"2", b"he"), ("9", b"5", b"hello"), ("x", b"5", b"hello"), ("0", b"0", b"")],
)
def test_a_length_of_the_handler_cuts_the_body_but_cannot_stretch_it(
    length: str, written: bytes, body: bytes
) -> None:
    data = encode_response(OK("hello", headers={"Content-Length": length}), get(), now=NOW)
    head, _, rest = data.partition(b"\r\n\r\n")
    assert b"Content-Length: " + written in head.split(b"\r\n") and rest == body


def test_a_response_to_head_is_the_same_without_its_body() -> None:
    whole = encode_response(OK("hello"), get(), now=NOW)
    assert encode_response(OK("hello"), get(method="HEAD"), now=NOW) + b"hello" == whole


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_that_cannot_have_a_body_gets_none(status: int) -> None:
    data = encode_response(Response(status, "status\n"), get(), now=NOW)
    assert data.endswith(DATE + TEXT + b"\r\n")
    data = encode_response(NoContent(headers={"Content-Length": "7"}), get(), now=NOW)
    assert data == b"HTTP/1.1 204 No Content\r\n" + DATE + b"\r\n"


GZIP = {"Accept-Encoding": "gzip"}


def test_a_packed_response_is_written_as_libprocess_does() -> None:
    data = encode_response(OK(b"x" * 5000), get(GZIP), now=NOW)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head + b"\r\n" == (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
        + DATE
        + TEXT
        + b"Content-Length: %d\r\n" % len(body)
    )
    # The recorded body; another zlib may pack otherwise behind the same beginning.
    assert body[:10] == GZIPPED[:10]
    assert gzip_decompress(GZIPPED, 5000) == b"x" * 5000
    (raw,) = ResponseParser().feed(data)
    assert to_response(raw).body == b"x" * 5000


def is_compressed(response: Response, request: Request | None) -> bool:
    return b"Content-Encoding: gzip\r\n" in encode_response(response, request, now=NOW)


def test_only_long_bodies_are_packed() -> None:
    assert is_compressed(OK(b"x" * 1024), get(GZIP))
    assert not is_compressed(OK(b"x" * 1023), get(GZIP))


@pytest.mark.parametrize("accepted", ["gzip;q=0", "*;q=0", "deflate"])
def test_only_who_accepts_it_gets_a_packed_body(accepted: str) -> None:
    assert not is_compressed(OK(b"x" * 5000), get({"Accept-Encoding": accepted}))
    assert not is_compressed(OK(b"x" * 5000), get())
    assert not is_compressed(OK(b"x" * 5000), None)
    assert is_compressed(OK(b"x" * 5000), get({"Accept-Encoding": "*"}))


def test_a_body_that_the_handler_has_packed_is_left_alone() -> None:
    response = OK(b"x" * 5000, headers={"Content-Encoding": "br"})
    assert not is_compressed(response, get(GZIP))


def test_packing_corrects_a_length_in_the_headers() -> None:
    response = OK(json="x" * 5000)
    (raw,) = ResponseParser().feed(encode_response(response, get(GZIP), now=NOW))
    assert to_response(raw).json() == "x" * 5000
    assert response.headers["Content-Length"] == "5002"


def test_a_stream_begins_as_libprocess_begins_it() -> None:
    response = Response(reader=object(), headers={"A": "1", "Content-Length": "3"})
    assert encode_response_head(response, now=NOW) == (
        b"HTTP/1.1 200 OK\r\n" + DATE + b"Transfer-Encoding: chunked\r\nA: 1\r\n\r\n"
    )
    assert encode_chunk(b"one\n") == b"4\r\none\n\r\n"
    assert encode_chunk(b"x" * 26)[:4] == b"1a\r\n"
    assert LAST_CHUNK == b"0\r\n\r\n"


def test_a_file_begins_as_libprocess_begins_it() -> None:
    # b-static-html.response
    response = Response(path="index.html", headers={"Content-Type": "text/html"})
    assert encode_response_head(response, size=10, now=NOW) == (
        b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 10\r\nContent-Type: text/html\r\n\r\n"
    )


def test_a_body_from_elsewhere_cannot_be_written_at_once() -> None:
    for response in (Response(path="x"), Response(reader=object())):
        with pytest.raises(LocalProtocolError):
            encode_response(response)


def test_who_waits_for_it_gets_100_continue() -> None:
    assert CONTINUE == b"HTTP/1.1 100 Continue\r\n\r\n"


def to_client(target: str, method: str = "GET", **others: Any) -> Request:
    return Request(method, URL.absolute(f"http://127.0.0.1:36387{target}"), **others)


HOST = b"Host: 127.0.0.1:36387\r\n"
CLOSE = b"Connection: close\r\nContent-Length: 0\r\n" + HOST + b"\r\n"
CLIENT = {
    "get": (to_client("/x/y?a=b%20c&d=e"), b"GET /x/y?a=b%20c&d=e HTTP/1.1\r\n" + CLOSE),
    "get-root": (to_client(""), b"GET / HTTP/1.1\r\n" + CLOSE),
    "hdelete": (to_client("/x", "DELETE"), b"DELETE /x HTTP/1.1\r\n" + CLOSE),
    "gets2": (
        to_client("/x", keep_alive=True),
        b"GET /x HTTP/1.1\r\nContent-Length: 0\r\n" + HOST + b"\r\n",
    ),
    "hpost": (
        to_client(
            "/x", "POST", headers=Headers({"Content-Type": "text/plain"}), body=b"body text"
        ),
        b"POST /x HTTP/1.1\r\nConnection: close\r\nContent-Length: 9\r\n"
        + HOST
        + b"Content-Type: text/plain\r\n\r\nbody text",
    ),
}


@pytest.mark.parametrize(("request_", "data"), CLIENT.values(), ids=list(CLIENT))
def test_a_request_is_written_byte_for_byte_as_libprocess_does(
    request_: Request, data: bytes
) -> None:
    assert encode_request(request_) == data


def test_a_request_with_a_reader_is_sent_in_chunks() -> None:
    request = Request("POST", URL("/x"), Headers({"Host": "h"}), reader=object(), keep_alive=True)
    assert encode_request(request) == (
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: h\r\n\r\n"
    )


def test_a_fragment_is_not_sent() -> None:
    request = Request("GET", URL("/x", {"a": ""}, "f"), Headers({"Host": "h"}))
    assert encode_request(request).startswith(b"GET /x?a HTTP/1.1\r\n")


def test_lines_that_frame_the_request_are_not_taken_from_its_headers() -> None:
    headers = Headers(
        {"Host": "other", "content-length": "9", "Transfer-Encoding": "x", "Connection": "y"}
    )
    request = Request("GET", URL.absolute("http://h/"), headers)
    assert encode_request(request) == (
        b"GET / HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\nHost: h\r\n\r\n"
    )
    assert len(headers) == 4


def test_text_beyond_ascii_in_a_path_is_sent_as_it_is() -> None:
    data = encode_request(Request("GET", URL("/\xe9"), Headers({"Host": "h"})))
    (raw,) = RequestParser().feed(data)
    assert raw.target == b"/\xc3\xa9"


@pytest.mark.parametrize(
    "request_",
    [
        Request("G T", URL("/"), Headers({"Host": "h"})),
        Request("", URL("/"), Headers({"Host": "h"})),
        Request("GET\r\nX:", URL("/"), Headers({"Host": "h"})),
        Request("GET", URL("/a b"), Headers({"Host": "h"})),
        Request("GET", URL("/\r\nX: y"), Headers({"Host": "h"})),
        Request("GET", URL("/")),
        Request("GET", URL("/", scheme="http", host="h\r\nX: y", port=80)),
        Request("POST", URL("/"), Headers({"Host": "h"}), b"a", reader=object()),
    ],
)
def test_what_must_not_go_on_the_wire_is_refused(request_: Request) -> None:
    with pytest.raises(LocalProtocolError):
        encode_request(request_)


def test_a_written_response_is_read_again() -> None:
    (raw,) = ResponseParser().feed(encode_response(OK("hello", headers={"A": "1"}), get()))
    response = to_response(raw)
    assert (response.status, response.body, response.kind) == (200, b"hello", ResponseKind.BODY)
    assert response.headers["A"] == "1"


def test_a_response_can_be_changed_and_written_again() -> None:
    response = OK("a", headers={"A": "1"})
    first = encode_response(response, now=NOW)
    response.headers["A"] = "2"
    response.headers["Content-Length"] = "1"
    response.headers.add("B", "3")
    response.headers["Transfer-Encoding"] = "gzip"
    assert b"A: 1\r\n" in first and b"B: 3" not in first
    assert encode_response(response, now=NOW) == (
        b"HTTP/1.1 200 OK\r\n" + DATE + b"A: 2\r\n" + TEXT + b"Content-Length: 1\r\nB: 3\r\n\r\na"
    )
