"""Which route answers a path, and what a handler's result means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenproc.errors import InvalidArgument
from greenproc.http.path_pattern import PathPattern
from greenproc.http.request import Request
from greenproc.http.url import URL
from greenproc.process.route_options import RouteOptions
from greenproc.process.routes import Route, RouteTable, call_route


def plain(routes: RouteTable, path: str) -> Route | None:
    """Return the route that takes every request for *path*."""
    match = routes.find(path)
    return None if match is None else match.plain


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
        route = plain(routes, asked)
        assert (route.options.path if route is not None else None) == found


def test_later_route_of_a_path_replaces_the_earlier() -> None:
    routes = table("/a")
    later = Route(RouteOptions("/a"), lambda request: "later")
    routes.add(later)
    assert plain(routes, "/p/a") is later
    assert routes.paths == ["/a"]


def test_a_route_that_is_added_late_answers_what_was_asked_before() -> None:
    routes = table("/a")
    for path in ("/p/a/b", "/p/c"):
        routes.find(path)
    later = Route(RouteOptions("/a/b"), str)
    routes.add(later)
    routes.add(Route(RouteOptions("/c"), str))
    assert plain(routes, "/p/a/b") is later and routes.find("/p/c") is not None


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


# Parameters and methods


def found(routes: RouteTable, path: str) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the paths of the routes that *path* leads to, with the values of parameters."""
    match = routes.find(path)
    if match is None:
        return []
    return [(endpoint.routes[0].options.path, values) for endpoint, values in match.found]


def test_a_route_without_parameters_comes_first_and_alone() -> None:
    routes = table("/rooms/<name>", "/rooms/new", "/rooms/<int:n>", "/rooms")
    for _ in range(2):
        assert found(routes, "/p/rooms/new") == [("/rooms/new", ())]
        assert found(routes, "/p/rooms/blue") == [("/rooms/<name>", ("blue",))]
        assert found(routes, "/p/rooms/7") == [("/rooms/<int:n>", (7,)), ("/rooms/<name>", ("7",))]
        assert found(routes, "/p/rooms/blue/") == [("/rooms/<name>", ("blue",))]
        assert found(routes, "/p/rooms") == [("/rooms", ())]


def test_parameters_come_before_prefixes() -> None:
    routes = table("/rooms", "/rooms/<name>/members")
    assert found(routes, "/p/rooms/blue/members") == [("/rooms/<name>/members", ("blue",))]
    assert found(routes, "/p/rooms/blue") == [("/rooms", ())]
    assert found(routes, "/p/rooms/blue/members/ann") == [("/rooms", ())]


def test_a_parameter_may_stand_at_the_root() -> None:
    routes = table("/<name>", "/")
    assert found(routes, "/p") == [("/", ())]
    assert found(routes, "/p/x") == [("/<name>", ("x",))]
    assert found(routes, "/p/%zz/y") == []


def test_paths_with_parameters_are_not_remembered() -> None:
    routes = table("/rooms/<name>", "/rooms/new")
    routes.find("/p/rooms/new")
    for number in range(200):
        routes.find(f"/p/rooms/{number}")
    assert list(routes._found) == ["/p/rooms/new"]


def test_other_routes_of_a_path_are_asked_when_it_does_not_take_the_method() -> None:
    routes = table("/rooms/<name>")
    routes.add(Route(RouteOptions("/rooms/new", methods=("GET",)), str))
    for _ in range(2):
        assert found(routes, "/p/rooms/new") == [
            ("/rooms/new", ()),
            ("/rooms/<name>", ("new",)),
        ]


def test_a_late_route_replaces_those_of_its_methods_only() -> None:
    routes = RouteTable()
    first = Route(RouteOptions("/a/<x>", methods=("GET", "POST")), str)
    second = Route(RouteOptions("/a/<y>", methods=("POST",)), str)
    routes.add(first)
    routes.add(second)
    match = routes.find("/p/a/1")
    assert match is not None
    endpoint = match.found[0][0]
    assert endpoint.find("GET") is first and endpoint.find("HEAD") is first
    assert endpoint.find("POST") is second
    assert endpoint.find("PUT") is None
    assert endpoint.methods == {"GET", "HEAD", "POST"}
    third = Route(RouteOptions("/a/<z>"), str)
    routes.add(third)
    assert {endpoint.find(method) for method in ("GET", "HEAD", "POST", "PUT")} == {third}
    assert routes.paths == ["/a/<z>"]


def test_routes_of_a_path_are_all_streaming_or_none() -> None:
    routes = RouteTable()
    routes.add(Route(RouteOptions("/a", methods=("GET",)), str))
    with pytest.raises(InvalidArgument, match="all handlers of '/a' to be streaming, or none"):
        routes.add(Route(RouteOptions("/a", streaming=True, methods=("PUT",)), str))
    routes.add(Route(RouteOptions("/a", streaming=True, methods=("GET",)), str))
    assert routes.streams("/p/a") and not routes.streams("/p/b")


def test_a_body_streams_if_that_is_so_whatever_its_method() -> None:
    routes = RouteTable()
    routes.add(Route(RouteOptions("/a/new", streaming=True, methods=("GET",)), str))
    routes.add(Route(RouteOptions("/a/<x>", streaming=True), str))
    assert routes.streams("/p/a/new") and routes.streams("/p/a/x")
    assert not routes.streams("/p/a/%zz")
    routes.add(Route(RouteOptions("/a/<x>"), str))
    assert not routes.streams("/p/a/new")


def test_prefixes_that_are_longer_than_every_route_are_not_looked_up() -> None:
    class Counting(dict[str, Any]):
        asked = 0

        def get(self, *args: Any) -> Any:
            self.asked += 1
            return super().get(*args)

    routes = table("/a", "/a/b", "/long/path")
    routes._endpoints = counting = Counting(routes._endpoints)
    for path in ("/p/a/b" + "/%2e%2e" * 10_000, "/p" + "/x" * 10_000, "/p/" + "x" * 70_000):
        counting.asked = 0
        expected = ["/a/b"] if "/a/b" in path else []
        assert [one for one, _ in found(routes, path)] == expected
        assert counting.asked <= 10


SEGMENTS = st.sampled_from(["a", "b", "7", "<x>", "<int:x>", "<path:x>"])


@given(
    st.lists(st.lists(SEGMENTS, min_size=1, max_size=3), max_size=6),
    st.lists(st.sampled_from(["a", "b", "7", "%41"]), min_size=1, max_size=4),
)
def test_a_table_finds_what_its_routes_match_and_else_a_prefix(
    shapes: list[list[str]], segments: list[str]
) -> None:
    paths = []
    for shape in shapes:
        names = iter("xyz")
        path = "/" + "/".join(one.replace("x>", f"{next(names)}>") for one in shape)
        if path.count("<path:") < 2:
            paths.append(path)
    asked = "/".join(segments)
    routes = table(*paths)

    got = [one for one, _ in found(routes, f"/p/{asked}")]

    if f"/{asked}" in paths:
        assert got == [f"/{asked}"]
        return
    fitting = [
        path for path in paths if "<" in path and PathPattern(path).match(segments) is not None
    ]
    fixed = [path for path in paths if "<" not in path]
    prefixes = [path for path in fixed if f"/{asked}/".startswith(f"{path}/")]
    shapes_of = {PathPattern(path).shape for path in fitting}
    if fitting:
        assert {PathPattern(path).shape for path in got} == shapes_of
    else:
        assert got == (sorted(prefixes, key=len)[-1:])
