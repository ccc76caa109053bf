"""Which of a process' routes answer a path, and which file if none does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from greenproc.errors import InvalidArgument, InvalidURL
from greenproc.http.path_pattern import PathPattern
from greenproc.http.request import Request
from greenproc.http.response import NotFound, Response
from greenproc.process.assets import Asset
from greenproc.process.route_options import RouteOptions

if TYPE_CHECKING:
    from greenproc.http.cors import CORS
    from greenproc.process.serving import AuthQueue


# Paths whose routes are remembered: so many, and of that length at most, for each process.
_MAX_FOUND = 64
_MAX_FOUND_LENGTH = 128


class ProcessConnection(Protocol):
    """A connection that a process speaks something else than HTTP on."""

    def process_ended(self) -> None:
        """The process is over. Must not wait."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path with the handler that answers it; *handler* takes what `call_route` gives it."""

    options: RouteOptions
    handler: Callable[..., Any]

    def allowing(self, cors: CORS) -> Route:
        """Return this route with *cors*, unless it has its own or leaves HTTP."""
        if self.options.cors is not None or self.options.upgrade is not None:
            return self
        return Route(replace(self.options, cors=cors), self.handler)


class Endpoint:
    """The routes of one path, by method; also the match of a path that leads here alone."""

    __slots__ = ("_by_method", "_for_all", "pattern", "plain")

    def __init__(self, pattern: PathPattern | None) -> None:
        self.pattern = pattern
        self._for_all: Route | None = None
        self._by_method: dict[str, Route] = {}
        self.plain: Route | None = None
        """The one route that takes every request, and is called with nothing but that."""

    def add(self, route: Route) -> None:
        """Add *route* in place of those before it that took its methods.

        Raises:
            InvalidArgument: only one of it and those that stay is streaming.
        """
        options = route.options
        staying = {} if options.methods is None else self._by_method.copy()
        for method in options.methods or ():
            staying[method] = route
        for_all = route if options.methods is None else self._for_all
        for one in (for_all, *staying.values()):
            if one is not None and one.options.streaming != options.streaming:
                raise InvalidArgument(
                    f"expected all handlers of {options.path!r} to be streaming, or none"
                )
        self._for_all, self._by_method = for_all, staying
        self._find_plain()

    def allow(self, cors: CORS) -> None:
        """Let the routes that have no origins of their own have *cors*."""
        changed = {id(route): route.allowing(cors) for route in self.routes}
        if self._for_all is not None:
            self._for_all = changed[id(self._for_all)]
        self._by_method = {name: changed[id(one)] for name, one in self._by_method.items()}
        self._find_plain()

    def _find_plain(self) -> None:
        route = self._for_all
        is_plain = route is not None and route.options.is_plain and not self._by_method
        self.plain = route if is_plain else None

    def find(self, method: str) -> Route | None:
        """Return the route that takes *method*; that for GET takes HEAD, too."""
        route = self._by_method.get(method)
        if route is None and method == "HEAD":
            route = self._by_method.get("GET")
        return self._for_all if route is None else route

    @property
    def methods(self) -> set[str]:
        """The methods that there are routes for."""
        return {*self._by_method, "HEAD"} if "GET" in self._by_method else {*self._by_method}

    @property
    def takes_all(self) -> bool:
        """Whether there is a route for each method."""
        return self._for_all is not None

    @property
    def routes(self) -> list[Route]:
        """Its routes, each once."""
        routes = {
            id(route): route for route in (self._for_all, *self._by_method.values()) if route
        }
        return list(routes.values())

    @property
    def found(self) -> Found:
        """This without values, as in a `Match`."""
        return ((self, ()),)


Found: TypeAlias = tuple[tuple[Endpoint, tuple[Any, ...]], ...]
"""Endpoints with the values of their parameters, the one that is meant first."""


@dataclass(frozen=True, slots=True)
class Match:
    """The endpoints that a path leads to."""

    found: Found

    @property
    def plain(self) -> None:
        """None, as for an endpoint where more than the path of a request matters."""


class RouteTable:
    """The routes of one process, by path without slashes at its ends, and its files.

    Of a path the route that has it comes first, then those whose parameters fit it, the narrowest
    first, then, if there is none, the one with the longest prefix of it.

    Source: libprocess src/process.cpp, ProcessBase::consume(HttpEvent), which has prefixes only.
    """

    __slots__ = (
        "_assets",
        "_cors",
        "_endpoints",
        "_found",
        "_longest",
        "_patterns",
        "connections",
        "auth_queue",
    )

    def __init__(self) -> None:
        self._endpoints: dict[str, Endpoint] = {}  # without parameters
        self._longest = 0  # characters of a path of theirs
        self._patterns: dict[str, Endpoint] = {}  # by shape, in the order in which they are tried
        self._found: dict[str, Endpoint | Match] = {}  # by whole paths that were asked for
        self._assets: dict[str, Asset] = {}
        self._cors: CORS | None = None
        self.auth_queue: AuthQueue | None = None
        """The requests that wait for their handlers; made when the first one has to."""
        self.connections: dict[ProcessConnection, None] | None = None
        """Those that left HTTP for the process, the oldest first; made with the first one."""

    def add(self, route: Route) -> None:
        """Add *route*; an earlier one of the same path and method is replaced.

        Raises:
            InvalidArgument: one of two for the same path is streaming.
        """
        pattern = route.options.pattern
        table = self._endpoints if pattern is None else self._patterns
        shape = route.options.shape
        endpoint = table.get(shape) or Endpoint(pattern)
        endpoint.add(route if self._cors is None else route.allowing(self._cors))
        table[shape] = endpoint
        self._found.clear()
        self._longest = max(map(len, self._endpoints), default=0)
        if pattern is not None:
            self._patterns = dict(sorted(self._patterns.items(), key=_precedence))

    def allow(self, cors: CORS) -> None:
        """Let all routes that have no origins of their own, also later ones, have *cors*."""
        self._cors = cors
        for endpoint in (*self._endpoints.values(), *self._patterns.values()):
            endpoint.allow(cors)

    def find(self, path: str) -> Endpoint | Match | None:
        """Return what *path*, whose first segment is the process, leads to.

        The root route answers only the root: it is not a fallback for longer paths.

        Raises:
            InvalidURL: a parameter is malformed.
        """
        match = self._found.get(path)
        if match is None:
            rest = _below_process(path)
            if rest is None:
                return None
            match = self._fit(rest) or self._search(rest)
            # There may be any number of paths with parameters.
            is_to_keep = match is not None and match.found[0][0].pattern is None
            if match is not None and is_to_keep and len(path) <= _MAX_FOUND_LENGTH:
                if len(self._found) >= _MAX_FOUND:
                    self._found.clear()
                self._found[path] = match
        return match

    def streams(self, path: str) -> bool:
        """Whether all routes that *path* may lead to, by its method, take bodies as they come."""
        try:
            match = self.find(path)
        except InvalidURL:
            return False
        return match is not None and all(
            endpoint.routes[0].options.streaming for endpoint, _ in match.found
        )

    def upgrades(self, path: str) -> bool:
        """Whether one of the routes that *path* may lead to speaks something else than HTTP."""
        try:
            match = self.find(path)
        except InvalidURL:
            return True  # answered as any malformed request
        return match is not None and any(
            route.options.upgrade is not None
            for endpoint, _ in match.found
            for route in endpoint.routes
        )

    def _fit(self, rest: str) -> Endpoint | Match | None:
        """Return what *rest* leads to as a whole; None if that is up to its prefixes."""
        exact = self._endpoints.get(rest)
        if not self._patterns or (exact is not None and exact.takes_all):
            return exact
        segments = rest.split("/")
        found: list[tuple[Endpoint, tuple[Any, ...]]] = [] if exact is None else [(exact, ())]
        for endpoint in self._patterns.values():
            assert endpoint.pattern is not None
            values = endpoint.pattern.match(segments)
            if values is not None:
                found.append((endpoint, values))
        return Match(tuple(found)) if found else None

    def _search(self, rest: str) -> Endpoint | None:
        if len(rest) > self._longest:
            # Looking up each prefix of a long path of many segments would be quadratic.
            rest = rest[: self._longest + 1].rpartition("/")[0]
        while rest:
            endpoint = self._endpoints.get(rest)
            if endpoint is not None:
                return endpoint
            rest = rest.rpartition("/")[0]
        return None

    def provide(self, name: str, asset: Asset) -> None:
        """Give *asset* away at *name*, where no route answers."""
        self._assets[name] = asset

    def provided(self, path: str) -> Response:
        """Return the file that *path*, whose first segment is the process, leads to, or 404."""
        rest = _below_process(path)
        if not self._assets or rest is None:
            return NotFound()
        name, *segments = [segment for segment in rest.split("/") if segment] or [""]
        asset = self._assets.get(name)
        return NotFound() if asset is None else asset.response(segments)

    @property
    def options(self) -> list[RouteOptions]:
        """What the routes say besides their handlers."""
        endpoints = (*self._endpoints.values(), *self._patterns.values())
        return [route.options for endpoint in endpoints for route in endpoint.routes]

    @property
    def paths(self) -> list[str]:
        """The paths of all routes, sorted."""
        return sorted({options.path for options in self.options})


def _precedence(item: tuple[str, Endpoint]) -> tuple[int, ...]:
    assert item[1].pattern is not None
    return item[1].pattern.precedence


def _below_process(path: str) -> str | None:
    """Return what follows the first segment of *path*; None when it has no such segment."""
    if not path.startswith("/") or path.startswith("//"):
        return None
    return path[1:].partition("/")[2].strip("/")


def call_route(route: Route, request: Request, principal: Any = None) -> Any:
    """Call the handler of *route*; one in a realm is also given the principal."""
    if route.options.upgrade is not None:
        return route.options.upgrade.open(route.handler, request, principal)
    if route.options.realm is not None:
        return route.handler(request, principal)
    return route.handler(request)
