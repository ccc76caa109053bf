"""Redirects: which are followed, with what, and where to."""

from __future__ import annotations

import pytest

from greenproc.errors import LocalProtocolError, RemoteProtocolError, WaitTimeout
from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.response import Response
from greenproc.http.url import URL
from greenproc.runtime import Runtime
from greenproc.testing import await_ready
from greenproc.web import get, post
from greenproc.web.client import is_redirect, redirected
from tests.peer import Acceptor
from tests.web.support import HEAD_END, HELLO, answering, failure_of, served

BASE = "http://one.example/a/b?q=1"


def to(location: str, status: int = 302, extra: bytes = b"") -> bytes:
    """Return a response that redirects."""
    line = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\n"
    return line.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(extra), extra)


def next_of(method: str, status: int, location: str = "/next", **fields: object) -> Request:
    """Return what follows a request for `BASE` with that *method*."""
    asked = Request(method, URL.absolute(BASE), **fields)  # type: ignore[arg-type]
    return redirected(asked, Response(status, headers={"Location": location}))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_these_statuses_redirect(status: int) -> None:
    assert is_redirect(Response(status, headers={"Location": "/x"}))


@pytest.mark.parametrize(
    "response",
    [
        Response(302),
        Response(300, headers={"Location": "/x"}),
        Response(304, headers={"Location": "/x"}),
        Response(201, headers={"Location": "/x"}),
    ],
    ids=["without a place", "300", "304", "201"],
)
def test_these_do_not(response: Response) -> None:
    assert not is_redirect(response)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("http://two.example/x", "http://two.example:80/x"),
        ("HTTP://two.example:8080", "http://two.example:8080/"),
        ("//two.example/x", "http://two.example:80/x"),
        ("/x", "http://one.example:80/x"),
        ("x", "http://one.example:80/a/x"),
        ("../x?y=2", "http://one.example:80/x?y=2"),
        ("?y=2", "http://one.example:80/a/b?y=2"),
        ("/x#there", "http://one.example:80/x#there"),
        ("/x?u=http://y/", "http://one.example:80/x?u=http%3A%2F%2Fy%2F"),
        ("/x:y", "http://one.example:80/x:y"),
        ("./x:y", "http://one.example:80/a/x:y"),
        ("/a b", "http://one.example:80/a%20b"),
        # A name as UTF-8 and in Latin-1, as the header has their bytes.
        ("/caf\xc3\xa9", "http://one.example:80/caf%C3%A9"),
        ("/caf\xe9?\xe9", "http://one.example:80/caf%E9?%E9"),
    ],
)
def test_a_place_is_told_from_where_one_is(location: str, url: str) -> None:
    assert str(next_of("GET", 302, location).url) == url


@pytest.mark.parametrize(
    "location",
    [
        "http+unix://%2Frun%2Fdocker.sock/x",
        "ftp://two.example:21/",
        "http://",
        "/%zz?%zz",
        "gopher://x:70/",
        "https://two.example/x",
        "javascript:alert(1)",
        "mailto:somebody@two.example",
        "http:x",
    ],
)
def test_a_server_cannot_send_a_client_just_anywhere(location: str) -> None:
    with pytest.raises(RemoteProtocolError, match="redirected to"):
        next_of("GET", 302, location)


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [
        ("GET", 301, "GET"),
        ("HEAD", 303, "HEAD"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
        ("PUT", 302, "PUT"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("DELETE", 308, "DELETE"),
    ],
)
def test_the_method_stays_or_becomes_get(method: str, status: int, then: str) -> None:
    following = next_of(method, status, body=b"data", headers=Headers({"Content-Type": "a/b"}))

    assert following.method == then
    is_same = method == then
    assert following.body == (b"data" if is_same else b"")
    assert ("Content-Type" in following.headers) is is_same


def test_two_slashes_that_begin_a_path_are_no_server() -> None:
    asked = Request("GET", URL.absolute("http://one.example//a/b"))
    following = redirected(asked, Response(302, headers={"Location": "/c"}))

    assert str(following.url) == "http://one.example:80/c"


def test_secrets_are_for_the_server_they_were_given_for() -> None:
    headers = Headers({"Authorization": "Basic x", "Cookie": "a=b", "X-Other": "c"})

    same = next_of("GET", 302, "/x", headers=headers.copy())
    other = next_of("GET", 302, "http://two.example/x", headers=headers.copy())
    other_port = next_of("GET", 302, "http://one.example:81/x", headers=headers.copy())

    assert same.headers == headers
    for request in (other, other_port):
        assert request.headers == {"X-Other": "c"}


def test_a_streamed_body_cannot_be_sent_again() -> None:
    with pytest.raises(LocalProtocolError, match="cannot be sent again"):
        next_of("POST", 307, reader=[b"x"])
    assert next_of("POST", 303, reader=[b"x"]).reader is None


def test_a_redirect_is_a_response_like_others_by_itself(server: Acceptor) -> None:
    with served(server, answering(to("/x"))):
        response = await_ready(get(server.address))

    assert (response.status, response.headers["Location"]) == (302, "/x")


def test_redirects_are_followed_as_far_as_one_likes(server: Acceptor) -> None:
    absolute = f"http://{server.address}/b"
    with served(server, answering(to("/a", extra=b"moved"), to(absolute, 307), HELLO)):
        response = await_ready(get(server.address, max_redirects=2))

    assert response.body == b"hello"


def test_redirects_do_not_go_on_for_ever(server: Acceptor) -> None:
    with served(server, answering(*[to("/again")] * 3)):
        future = get(f"http://{server.address}/", max_redirects=2)

        text = failure_of(future, RemoteProtocolError)
    assert text == f"more than 2 redirects from http://{server.address}/again"


def test_a_streamed_redirect_is_followed(server: Acceptor) -> None:
    with served(server, answering(to("/a", extra=b"moved"), HELLO)):
        response = await_ready(get(server.address, stream=True, max_redirects=1))

        assert await_ready(response.reader.read_all()) == b"hello"


def test_a_post_is_redirected_to_a_get(server: Acceptor) -> None:
    future = post(server.address, body=b"data", max_redirects=1)
    with server.accept() as peer:
        peer.read_until(HEAD_END + b"data")
        peer.send(to("/result", 303))
    with server.accept() as peer:
        assert b"\r\nContent-Length: 0\r\n" in (request := peer.read_until(HEAD_END))
        assert request.startswith(b"GET /result ")
        peer.send(HELLO)
        assert await_ready(future).body == b"hello"


def test_one_limit_holds_for_all_of_them(runtime: Runtime, server: Acceptor) -> None:
    runtime.clock.pause()
    future = get(server.address, max_redirects=1, timeout=5.0)
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        runtime.clock.advance(3.0)
        peer.send(to("/x"))
    with server.accept() as peer:
        peer.read_until(HEAD_END)
        runtime.clock.advance(2.0)

        assert "within 5 s" in failure_of(future, WaitTimeout)
        assert peer.read_to_end() == b""
