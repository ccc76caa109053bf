"""Cookies: what browsers send is read, what they would refuse is not written."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenproc.errors import InvalidArgument
from greenproc.http import OK, URL, Headers, NoContent, Request, Response
from greenproc.http.cookies import MAX_COOKIE_BYTES, MAX_COOKIES, read_cookies
from greenproc.http.parser import RequestParser, ResponseParser
from greenproc.http.raw_message import to_request, to_response
from greenproc.http.writer import encode_response


def cookies(*lines: str) -> dict[str, str]:
    return read_cookies(Headers([("Cookie", line) for line in lines]))


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1;b=2", {"a": "1", "b": "2"}),
        (" a = 1 \t; b=2;", {"a": "1", "b": "2"}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ('a="x y"', {"a": "x y"}),
        ('a="', {"a": '"'}),
        ('a="x', {"a": '"x'}),
        ("a=1; a=2", {"a": "1"}),
        ("A=1; a=2", {"A": "1", "a": "2"}),
        ("=1; ; a; b=2", {"b": "2"}),
        ("a=1, b=2", {"a": "1, b=2"}),
        ("a=\xc3\xa9", {"a": "\xe9"}),
        ("a=\xe9", {"a": "\xe9"}),
        ("$Version=1; a=1", {"$Version": "1", "a": "1"}),
        ("a=%20", {"a": "%20"}),
    ],
)
def test_cookies_are_read_as_browsers_send_them(line: str, read: dict[str, str]) -> None:
    assert cookies(line) == read
    request = Request("GET", URL.parse("/"), Headers({"Cookie": line}))
    assert request.cookies == read


def test_several_lines_are_one() -> None:
    assert cookies("a=1", "b=2; a=3") == {"a": "1", "b": "2"}
    assert Request("GET", URL.parse("/")).cookies == {}


def test_only_so_many_cookies_are_read() -> None:
    line = ";".join(f"c{number}=x" for number in range(10_000))
    assert len(cookies(line)) == MAX_COOKIES
    assert len(cookies(*["a=1;" * 100] * 10)) == 1


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({}, "n=v; Path=/; HttpOnly; SameSite=Lax"),
        ({"max_age": 0}, "n=v; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"),
        ({"path": "/a b", "httponly": False}, "n=v; Path=/a b; SameSite=Lax"),
        ({"domain": ".example.org"}, "n=v; Domain=example.org; Path=/; HttpOnly; SameSite=Lax"),
        (
            {"samesite": "none", "secure": True},
            "n=v; Path=/; Secure; HttpOnly; SameSite=None",
        ),
        ({"samesite": None}, "n=v; Path=/; HttpOnly"),
        ({"samesite": "STRICT"}, "n=v; Path=/; HttpOnly; SameSite=Strict"),
    ],
)
def test_a_cookie_has_its_attributes(attributes: Any, text: str) -> None:
    response = NoContent()
    response.set_cookie("n", "v", **attributes)
    assert response.headers.getall("Set-Cookie") == [text]


@pytest.mark.parametrize(
    ("name", "value", "attributes"),
    [
        ("", "v", {}),
        ("a b", "v", {}),
        ("a;b", "v", {}),
        ("a=b", "v", {}),
        ("a\r\nX", "v", {}),
        ("\xe9", "v", {}),
        (None, "v", {}),
        ("n", "a b", {}),
        ("n", "a;b", {}),
        ("n", "a,b", {}),
        ("n", 'a"b', {}),
        ("n", "a\\b", {}),
        ("n", "\xe9", {}),
        ("n", "a\r\nSet-Cookie: x=y", {}),
        ("n", "a\0", {}),
        ("n", 5, {}),
        ("n", "x" * MAX_COOKIE_BYTES, {}),
        ("n", "v", {"path": "a"}),
        ("n", "v", {"path": "/;Domain=x"}),
        ("n", "v", {"path": "/\r\n"}),
        ("n", "v", {"path": None}),
        ("n", "v", {"domain": "a;b"}),
        ("n", "v", {"domain": ""}),
        ("n", "v", {"domain": "a..b"}),
        ("n", "v", {"domain": "-a"}),
        ("n", "v", {"domain": 5}),
        ("n", "v", {"max_age": 1.5}),
        ("n", "v", {"max_age": "5; Domain=x"}),
        ("n", "v", {"max_age": True}),
        ("n", "v", {"samesite": "Lax; Secure"}),
        ("n", "v", {"samesite": 5}),
        ("n", "v", {"samesite": "None"}),
        ("__Host-n", "v", {}),
        ("__Host-n", "v", {"secure": True, "path": "/a"}),
        ("__Host-n", "v", {"secure": True, "domain": "a"}),
        ("__Secure-n", "v", {}),
        ("__secure-n", "v", {}),
    ],
)
def test_a_cookie_that_browsers_would_not_take_is_refused(
    name: Any, value: Any, attributes: Any
) -> None:
    response = NoContent()
    with pytest.raises(InvalidArgument):
        response.set_cookie(name, value, **attributes)
    assert "Set-Cookie" not in response.headers


def test_prefixes_are_kept() -> None:
    response = NoContent()
    response.set_cookie("__Host-n", "v", secure=True)
    response.set_cookie("__Secure-n", "v", secure=True, domain="a.example")
    assert len(response.headers.getall("Set-Cookie")) == 2


def test_an_attribute_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="no attribute expires, http_only"):
        NoContent().set_cookie("n", "v", expires=1, http_only=True)  # type: ignore[call-arg]


def test_cookies_of_one_response_are_not_those_of_another() -> None:
    one, two = OK("x"), OK("x")
    one.set_cookie("n", "v")
    assert "Set-Cookie" not in two.headers


def test_several_cookies_stay_several_lines_on_the_wire() -> None:
    response: Response = OK("x")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    response.delete_cookie("c", path="/x")
    parser = ResponseParser()
    raw = parser.feed(encode_response(response))[0]
    lines = to_response(raw).headers.getall("Set-Cookie")
    assert [line.partition(";")[0] for line in lines] == ["a=1", "b=2", "c="]
    assert lines[2].startswith("c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/x")


NAMES = st.text("abcXYZ019!#$%&'*+-.^`|~", min_size=1, max_size=10)
VALUES = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='",;\\'), max_size=20
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_what_is_set_comes_back(pairs: dict[str, str]) -> None:
    response = NoContent()
    for name, value in pairs.items():
        response.set_cookie(name, value)
    sent = [line.partition(";")[0] for line in response.headers.getall("Set-Cookie")]
    assert cookies("; ".join(sent)) == pairs


SENT = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")


@given(st.text(SENT | st.sampled_from('\t;="'), max_size=60))
def test_whatever_comes_is_read(line: str) -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\nCookie: x=1;" + line.encode("latin-1") + b"\r\n\r\n"
    read = to_request(RequestParser().feed(head)[0]).cookies
    assert read["x"] == "1"
    assert all(name and ";" not in name + value for name, value in read.items())


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_becomes_a_line_or_an_attribute(name: str, value: str) -> None:
    response = NoContent()
    try:
        response.set_cookie(name, value)
    except InvalidArgument:
        return
    line = response.headers["Set-Cookie"]
    assert line == f"{name}={value}; Path=/; HttpOnly; SameSite=Lax"
    read = SimpleCookie(line)
    assert {key: morsel.value for key, morsel in read.items()} in ({name: value}, {})
