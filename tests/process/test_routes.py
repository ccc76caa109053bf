"""Which route answers a path, and what a handler's result means."""

from __future__ import annotations

import pytest

from greenproc.http.request import Request
from greenproc.http.url import URL
from greenproc.process.handlers import RouteOptions
from greenproc.process.routes import Route, RouteTable, call_route


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
    routes = table(*paths)
    for _ in range(3):
        route = routes.find(asked)
        assert (route.options.path if route is not None else None) == found


def test_later_route_of_a_path_replaces_the_earlier() -> None:
    routes = table("/a")
    later = Route(RouteOptions("/a"), lambda request: "later")
    routes.add(later)
    assert routes.find("/p/a") is later
    assert routes.paths == ["/a"]


def test_a_route_that_is_added_late_answers_what_was_asked_before() -> None:
    routes = table("/a")
    for path in ("/p/a/b", "/p/c"):
        routes.find(path)
    later = Route(RouteOptions("/a/b"), str)
    routes.add(later)
    routes.add(Route(RouteOptions("/c"), str))
    assert routes.find("/p/a/b") is later and routes.find("/p/c") is not None


def test_clients_cannot_make_a_table_grow() -> None:
    routes = table("/a")
    for number in range(200):
        assert routes.find(f"/p/a/{number}") is not None
        assert routes.find(f"/p/{number}") is None
        assert routes.find("/p/a/" + "x" * 1000) is not None
    assert len(routes._found) <= 64 and max(map(len, routes._found)) < 200


def test_paths_are_listed_sorted() -> None:
    assert table("/b", "/", "/a/c").paths == ["/", "/a/c", "/b"]


def test_handler_in_a_realm_gets_the_principal() -> None:
    request = Request("GET", URL.parse("/p"))
    plain = Route(RouteOptions("/"), lambda *args: args)
    guarded = Route(RouteOptions("/", realm="r"), lambda *args: args)
    assert call_route(plain, request) == (request,)
    assert call_route(guarded, request) == (request, None)
