"""Which of the routes of a path answers a request, and what answers it if none takes its method."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from greenproc.http.cors import is_preflight
from greenproc.http.request import Request
from greenproc.http.response import MethodNotAllowed, NoContent, Response
from greenproc.process.routes import Found, Route

if TYPE_CHECKING:
    from greenproc.http.cors import CORS


def choose(found: Found, request: Request) -> Route | Response:
    """Return the route for *request* among *found*, or the response if there is none.

    The handler of that route is called with the request and, in a realm, the principal alone.

    Lines that the response needs are left in *request*.
    """
    if is_preflight(request):
        asked = request.headers["Access-Control-Request-Method"]
        route, _ = _find(found, asked)
        if route is not None and route.options.cors is not None:
            return _let(route.options.cors, request) or route.options.cors.answer_preflight(
                request, _listed(_methods(found) | {asked})
            )
    route, values = _find(found, request.method)
    if route is None:
        return _without_route(found, request)
    cors = route.options.cors
    refusal = None if cors is None else _let(cors, request)
    return refusal or _bound(route, values)


def _find(found: Found, method: str) -> tuple[Route | None, tuple[Any, ...]]:
    for endpoint, values in found:
        route = endpoint.find(method)
        if route is not None:
            return route, values
    return None, ()


def _without_route(found: Found, request: Request) -> Response:
    """Return the response to a method that no route takes."""
    for endpoint, _ in found:
        for route in endpoint.routes:
            if route.options.cors is not None and not request.response_lines:
                request.response_lines = route.options.cors.lines(request)
    methods = _listed(_methods(found) | {"OPTIONS"})
    if request.method == "OPTIONS":
        return NoContent(headers={"Allow": ", ".join(methods)})
    return MethodNotAllowed(methods, request.method)


def _let(cors: CORS, request: Request) -> Response | None:
    """Let the response say what *cors* has to; return the refusal of what it does not allow."""
    request.response_lines = cors.lines(request)
    return cors.refuse(request)


def _methods(found: Found) -> set[str]:
    return set().union(*[endpoint.methods for endpoint, _ in found])


def _listed(methods: set[str]) -> list[str]:
    return sorted(methods)


def _bound(route: Route, values: tuple[Any, ...]) -> Route:
    """Return *route* with a handler that is given body and parameters, too."""
    body, pattern = route.options.json, route.options.pattern
    if body is None and pattern is None:
        return route
    names = () if pattern is None else [one.name for one in pattern.parameters]
    arguments = dict(zip(names, values, strict=True))
    if route.options.upgrade is not None:
        return Route(route.options, partial(route.handler, **arguments))

    def handle(request: Request, *principal: Any) -> Any:
        if body is None:
            return route.handler(request, *principal, **arguments)
        refusal = body.refuse(request)
        if refusal is not None:
            return refusal
        return route.handler(request, *principal, body.decode(request), **arguments)

    return Route(route.options, handle)
