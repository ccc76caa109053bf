"""What may be written for where a request goes."""

from __future__ import annotations

import pytest

from greenproc.address import Address
from greenproc.errors import InvalidURL
from greenproc.http.url import URL
from greenproc.pid import UPID
from greenproc.web.origin import Origin, origin_of, parse_target, with_authority

HERE = Address("127.0.0.1", 5050)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("http://h/x?a=b#c", "http://h:80/x?a=b#c"),
        ("HTTP://h:8080", "http://h:8080/"),
        ("http://[::1]:5050/x", "http://[::1]:5050/x"),
        (URL("/x", host="h"), "http://h:80/x"),
        (URL("/x", host="h", port=0), "http://h:0/x"),
        (URL("/x", host="h", scheme="https"), "https://h:443/x"),
        (HERE, "http://127.0.0.1:5050/"),
        (UPID("counter(1)", HERE), "http://127.0.0.1:5050/counter(1)"),
        ((UPID("c", HERE), "total"), "http://127.0.0.1:5050/c/total"),
        ((UPID("c", HERE), "/total"), "http://127.0.0.1:5050/c/total"),
        ((UPID("c", HERE), ""), "http://127.0.0.1:5050/c"),
        ((UPID("c", HERE), "a/b?x=1&y#z"), "http://127.0.0.1:5050/c/a/b?x=1&y#z"),
        ((UPID("c", HERE), "?x=1"), "http://127.0.0.1:5050/c?x=1"),
        (UPID("a b/c?", HERE), "http://127.0.0.1:5050/a%20b%2Fc%3F"),
        (UPID("x", Address("::1", 5050)), "http://[::1]:5050/x"),
        ("/run/s.sock", "http+unix://%2Frun%2Fs.sock/"),
        ("http+unix://%2Frun%2Fs%20o.sock/x?y=z", "http+unix://%2Frun%2Fs%20o.sock/x?y=z"),
    ],
    ids=str,
)
def test_targets(target: object, text: str) -> None:
    assert str(parse_target(target)) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "origin", "text"),
    [
        ("http://h/x", Origin("http", "h", 80), "h:80"),
        ("http://[::1]:5050/x", Origin("http", "::1", 5050), "[::1]:5050"),
        ("http://h:0/x", Origin("http", "h", 0), "h:0"),
        ("/run/s.sock", Origin("http+unix", "/run/s.sock", 0), "/run/s.sock"),
        ("http+unix://%2Frun%2Fs%3A80", Origin("http+unix", "/run/s:80", 0), "/run/s:80"),
    ],
)
def test_where_to_connect_to(target: str, origin: Origin, text: str) -> None:
    found = origin_of(parse_target(target))

    assert found == origin
    assert str(found) == text


def test_a_url_by_hand_has_the_port_of_its_scheme() -> None:
    assert origin_of(URL("/", host="h")) == Origin("http", "h", 80)


@pytest.mark.parametrize(
    "url",
    [
        URL("/"),
        URL("/", scheme="http"),
        URL("/", scheme="https", host="h"),
        URL("/", scheme="ws", host="h", port=1),
        # The system would take the path up to the zero byte.
        URL("/", scheme="http+unix", host="/run/a.sock\0/b"),
    ],
    ids=str,
)
def test_a_url_that_no_connection_is_made_for(url: URL) -> None:
    with pytest.raises(InvalidURL):
        origin_of(url)


@pytest.mark.parametrize(
    "target", ["x", "", "http+unix:///x", "http+unix://%zz", ("a", "b"), b"http://h/", 1.5]
)
def test_what_is_no_target(target: object) -> None:
    with pytest.raises(InvalidURL):
        parse_target(target)  # type: ignore[arg-type]


def test_the_host_of_a_request_is_its_own_else_that_of_the_connection() -> None:
    origin = Origin("http", "h", 8080)

    assert with_authority(URL("/x"), origin).authority == "h:8080"
    assert with_authority(URL("/x", host="other", port=80), origin).authority == "other"
    assert (
        with_authority(URL("/x", host="other"), Origin("http+unix", "/s", 0)).authority
        == "localhost"
    )


def test_a_request_is_spelled_in_ascii() -> None:
    origin = Origin("http", "h", 80)
    url = with_authority(parse_target("http://m\xfcnchen.example/caf\xe9/\udcff?k=\xe9"), origin)

    assert url.authority == "xn--mnchen-3ya.example"
    assert url.target == "/caf%C3%A9/%FF?k=%C3%A9"


def test_a_upid_that_names_no_process_is_shown() -> None:
    with pytest.raises(InvalidURL) as caught:
        parse_target(UPID())
    assert str(caught.value) == (
        "expected a UPID with an id and an address, got UPID('@0.0.0.0:0')"
    )


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("https://h/x", "Unsupported URL scheme: 'https': connections cannot be encrypted yet, "),
        ("ws://h:80/x", "Unsupported URL scheme: 'ws': there is no WebSocket here, "),
        ("ftp://h:1/x", "Unsupported URL scheme: 'ftp': expected 'http' or 'http+unix'"),
        ("h:80/x", "Missing scheme in url string: expected 'http://h:80/x', got 'h:80/x'"),
        ("://h/x", "Missing scheme in url string: expected 'http://h/x', got '://h/x'"),
        ("a@1.2.3.4:5", "expected a URL, got the text of a UPID: use UPID.parse('a@1.2.3.4:5')"),
    ],
)
def test_a_url_that_cannot_be_called_is_told_what_to_do(target: str, told: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        origin_of(parse_target(target))
    assert str(caught.value).startswith(told)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(InvalidURL) as caught:
        parse_target("me:secret@h/x")
    assert str(caught.value) == "Missing scheme in url string"


def test_a_url_without_a_host_is_told_where_to_get_one() -> None:
    with pytest.raises(InvalidURL) as caught:
        origin_of(parse_target(URL.parse("/x")))
    assert str(caught.value) == (
        "expected a URL with a host, as URL.absolute reads one, got the path '/x'"
    )
