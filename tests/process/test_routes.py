"""Which route answers a path, and what a handler's result means."""

from __future__ import annotations

import pytest

from greenproc.future import Failure, Future
from greenproc.http.request import Request
from greenproc.http.response import OK
from greenproc.http.url import URL
from greenproc.process.handlers import RouteOptions
from greenproc.process.routes import Route, RouteTable, as_response, call_route


def table(*paths: str) -> RouteTable:
    routes = RouteTable()
    for path in paths:
        routes.add(Route(RouteOptions(path), str))
    return routes


@pytest.mark.parametrize(
    ("paths", "asked", "found"),
    [
        (["/a", "/a/b/c"], "/p/a/b/c", "/a/b/c"),
        (["/a", "/a/b/c"], "/p/a/b", "/a"),
        (["/a", "/a/b/c"], "/p/a/b/", "/a"),
        (["/a", "/a/b/c"], "/p/a/x/y", "/a"),
        (["/a", "/a/b/c"], "/p/ab", None),
        (["/body"], "/p/body/", "/body"),
        (["/"], "/p", "/"),
        (["/"], "/p/", "/"),
        (["/"], "/p/x", None),
        (["/a"], "//p/a", None),
        (["/a"], "/p//a", "/a"),
        (["/a"], "/p/%61", None),
        ([], "/p", None),
        (["/a"], "p/a", None),
    ],
)
def test_longest_route_that_is_a_prefix_answers(
    paths: list[str], asked: str, found: str | None
) -> None:
    route = table(*paths).find(asked)
    assert (route.options.path if route is not None else None) == found


def test_later_route_of_a_path_replaces_the_earlier() -> None:
    routes = table("/a")
    later = Route(RouteOptions("/a"), lambda request: "later")
    routes.add(later)
    assert routes.find("/p/a") is later
    assert routes.paths == ["/a"]


def test_paths_are_listed_sorted() -> None:
    assert table("/b", "/", "/a/c").paths == ["/", "/a/c", "/b"]


def test_handler_in_a_realm_gets_the_principal() -> None:
    request = Request("GET", URL.parse("/p"))
    plain = Route(RouteOptions("/"), lambda *args: args)
    guarded = Route(RouteOptions("/", realm="r"), lambda *args: args)
    assert call_route(plain, request) == (request,)
    assert call_route(guarded, request) == (request, None)


def test_response_is_itself() -> None:
    response = OK("x")
    assert as_response(response) is response


@pytest.mark.parametrize(
    ("result", "body", "content_type"),
    [
        ("text é", "text é".encode(), "text/plain; charset=utf-8"),
        ({"a": 1}, b'{"a":1}', "application/json"),
        ([1], b"[1]", "application/json"),
    ],
)
def test_plain_values_are_a_200(result: object, body: bytes, content_type: str) -> None:
    response = as_response(result)
    assert (response.status, response.body) == (200, body)
    assert response.headers["Content-Type"] == content_type


def test_bytes_are_a_200() -> None:
    response = as_response(b"\x00")
    assert (response.status, response.body) == (200, b"\x00")


def test_future_is_followed() -> None:
    future = as_response(Future("text"))
    assert future.get().body == b"text"


def test_failure_stays_a_failure() -> None:
    failure = Failure("no")
    assert as_response(failure) is failure


@pytest.mark.parametrize("result", [None, 1, object()])
def test_other_results_are_refused(result: object) -> None:
    with pytest.raises(TypeError, match="expected a handler to return a Response"):
        as_response(result)
