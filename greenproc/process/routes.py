"""Which of a process' routes answers a path, and what a handler's result means as a response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenproc.errors import Failure
from greenproc.future import Future
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.process.handlers import RouteOptions

if TYPE_CHECKING:
    from greenproc.process.serving import Line


@dataclass(frozen=True, slots=True)
class Route:
    """A path with the handler that answers it; *handler* takes what `call_route` gives it."""

    options: RouteOptions
    handler: Callable[..., Any]


class RouteTable:
    """The routes of one process, by path without slashes at its ends.

    Source: libprocess src/process.cpp, ProcessBase::consume(HttpEvent).
    """

    __slots__ = ("_routes", "line")

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self.line: Line | None = None
        """The requests that wait for their handlers; made when the first one has to."""

    def add(self, route: Route) -> None:
        """Add *route*; an earlier one of the same path is replaced."""
        self._routes[route.options.path.strip("/")] = route

    def find(self, path: str) -> Route | None:
        """Return the route with the longest prefix of *path*, whose first segment is the process.

        The root route answers only the root: it is not a fallback for longer paths.
        """
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
    if route.options.realm is not None:
        return route.handler(request, principal)
    return route.handler(request)


def as_response(result: Any) -> Response | Future[Any] | Failure:
    """Return what a handler's *result* means as a response.

    ``str`` and ``bytes`` are a 200 with that body, ``dict`` and ``list`` a 200 with that JSON; a
    future is followed.

    Raises:
        TypeError: it means nothing.
    """
    if isinstance(result, (Response, Failure)):
        return result
    if isinstance(result, Future):
        return result.then(as_response)
    if isinstance(result, (str, bytes)):
        return OK(result)
    if isinstance(result, (dict, list)):
        return OK(json=result)
    raise TypeError(
        "expected a handler to return a Response, a Future of one, str, bytes, dict or list, "
        f"got {result!r}"
    )
