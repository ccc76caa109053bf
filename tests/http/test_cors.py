"""CORS: which origins are let in, and what their browsers are told."""

from __future__ import annotations

from typing import Any

import pytest

from greenproc.errors import InvalidArgument
from greenproc.http import CORS, OK, URL, Headers, Request
from greenproc.http.cors import as_cors, is_preflight

APP = "https://app.example"


def request(method: str = "GET", **lines: str) -> Request:
    headers = Headers({name.replace("_", "-"): text for name, text in lines.items()})
    return Request(method, URL.parse("/"), headers)


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        (APP, APP),
        ("HTTPS://App.Example", APP),
        ("https://app.example:443", APP),
        ("http://app.example:80", "http://app.example"),
        ("http://app.example:443", "http://app.example:443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("moz-extension://ab-cd", "moz-extension://ab-cd"),
    ],
)
def test_origins_are_compared_as_browsers_send_them(given: str, origin: str) -> None:
    assert CORS([given]).allows(origin)
    assert CORS(given) == CORS([given])
    assert not CORS([given]).allows(f"{origin}1")


@pytest.mark.parametrize(
    "origins",
    [
        ["*"],
        ["null"],
        [""],
        ["app.example"],
        ["https://app.example/"],
        ["https://app.example/x"],
        ["https://*.example"],
        ["https://a b"],
        ["https://app.example\r\nX: y"],
        ["https://u@app.example"],
        [5],
        "null",
        5,
        None,
    ],
)
def test_what_is_no_origin_is_refused(origins: Any) -> None:
    with pytest.raises(InvalidArgument):
        CORS(origins)


@pytest.mark.parametrize(
    "options",
    [
        {"origins": "*", "credentials": True},
        {"origins": APP, "max_age": -1},
        {"origins": APP, "max_age": 1.5},
        {"origins": APP, "headers": "X-A"},
        {"origins": APP, "headers": ["X A"]},
        {"origins": APP, "expose": ["X\r\nY"]},
        {"origins": APP, "expose": 5},
    ],
)
def test_options_that_do_not_go_together_are_refused(options: Any) -> None:
    with pytest.raises(InvalidArgument):
        CORS(**options)


def test_the_options_of_a_route_may_be_the_origins_alone() -> None:
    assert as_cors(None) is None
    assert as_cors("*") == CORS("*")
    assert as_cors([APP]) == CORS(APP)
    assert as_cors(CORS(APP, max_age=5)) == CORS(APP, max_age=5) != CORS(APP)
    assert (
        repr(CORS([APP, "http://a"], credentials=True)) == f"<CORS http://a, {APP}, credentials>"
    )


def test_no_list_of_origins_lets_nobody_in() -> None:
    cors = CORS([])
    assert cors.lines(request(Origin=APP)) == (("Vary", "Origin"),)
    assert cors.refuse(request("POST", Origin=APP, Host="h")) is not None


def test_headers_may_be_listed() -> None:
    cors = CORS("*", headers=["X-A", "X-B"])
    answer = cors.answer_preflight(request(Origin=APP), ["PUT"])
    assert answer.headers["Access-Control-Allow-Headers"] == "X-A, X-B"
    assert (
        CORS("*", headers=[])
        .answer_preflight(request(Origin=APP, Access_Control_Request_Headers="x-a"), ["PUT"])
        .headers.getall("Access-Control-Allow-Headers")
        == []
    )


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("x-a,x-b", ["x-a, x-b"]), ("", []), ("x-a, x b", []), ("x-a;x", []), ("*", ["*"])],
)
def test_only_names_are_given_back(asked: str, answered: list[str]) -> None:
    asking = request(Origin=APP, Access_Control_Request_Headers=asked)
    answer = CORS(APP).answer_preflight(asking, ["PUT"])
    assert answer.headers.getall("Access-Control-Allow-Headers") == answered


@pytest.mark.parametrize(
    ("method", "lines", "is_one"),
    [
        ("OPTIONS", {"Origin": APP, "Access_Control_Request_Method": "PUT"}, True),
        ("GET", {"Origin": APP, "Access_Control_Request_Method": "PUT"}, False),
        ("OPTIONS", {"Access_Control_Request_Method": "PUT"}, False),
        ("OPTIONS", {"Origin": APP}, False),
        ("OPTIONS", {"Origin": APP, "Access_Control_Request_Method": "P UT"}, False),
    ],
)
def test_a_question_of_a_browser_is_known(method: str, lines: Any, is_one: bool) -> None:
    assert is_preflight(request(method, **lines)) is is_one


def test_lines_are_added_to_what_the_handler_said() -> None:
    response = OK("x", headers=[("Vary", "Accept"), ("Vary", "Cookie"), ("X", "1")])
    lined = response.with_lines((("Vary", "Origin"), ("X", "2"), ("Y", "3")))
    assert lined.headers.lines() == [
        ("Vary", "Accept, Cookie, Origin"),
        ("X", "2"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Y", "3"),
    ]
    assert response.headers["X"] == "1"
