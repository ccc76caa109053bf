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
