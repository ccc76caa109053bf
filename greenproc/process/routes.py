"""Which of a process' routes answers a path, and which file if none does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from greenproc.http.request import Request
from greenproc.http.response import NotFound, Response
from greenproc.process.assets import Asset
from greenproc.process.handlers import RouteOptions

if TYPE_CHECKING:
    from greenproc.process.serving import Line


# Paths whose routes are remembered: so many, and of that length at most, for each process.
_MAX_FOUND = 64
_MAX_FOUND_LENGTH = 128


class Connection(Protocol):
    """A connection that a process speaks something else than HTTP on."""

    def process_ended(self) -> None:
        """The process is over. Must not wait."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path with the handler that answers it; *handler* takes what `call_route` gives it."""

    options: RouteOptions
    handler: Callable[..., Any]


class RouteTable:
    """The routes of one process, by path without slashes at its ends, and its files.

    Source: libprocess src/process.cpp, ProcessBase::consume(HttpEvent).
    """

    __slots__ = ("_assets", "_found", "_routes", "connections", "line")

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._found: dict[str, Route] = {}  # by whole paths that were asked for
        self._assets: dict[str, Asset] = {}
        self.line: Line | None = None
        """The requests that wait for their handlers; made when the first one has to."""
        self.connections: dict[Connection, None] | None = None
        """Those that left HTTP for the process, the oldest first; made with the first one."""

    def add(self, route: Route) -> None:
        """Add *route*; an earlier one of the same path is replaced."""
        self._routes[route.options.path.strip("/")] = route
        self._found.clear()

    def find(self, path: str) -> Route | None:
        """Return the route with the longest prefix of *path*, whose first segment is the process.

        The root route answers only the root: it is not a fallback for longer paths.
        """
        route = self._found.get(path)
        if route is None:
            route = self._search(path)
            if route is not None and len(path) <= _MAX_FOUND_LENGTH:
                if len(self._found) >= _MAX_FOUND:
                    self._found.clear()
                self._found[path] = route
        return route

    def _search(self, path: str) -> Route | None:
        rest = _below_process(path)
        if rest is None:
            return None
        while True:
            route = self._routes.get(rest)
            if route is not None or not rest:
                return route
            rest = rest.rpartition("/")[0]
            if not rest:
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
        return [route.options for route in self._routes.values()]

    @property
    def paths(self) -> list[str]:
        """The paths of all routes, sorted."""
        return sorted(route.options.path for route in self._routes.values())


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
