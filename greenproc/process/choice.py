"""Selection of the route for a request by path and method, with the responses where none fits."""

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

    The handler of the returned route takes the request and, in a realm, the principal: body and
    path parameters are bound. The CORS lines of the response are stored in *request*.

    Args:
        found: the endpoints of the path, with the values of its parameters.
        request: the request.
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
    """Return the response to a method without a route."""
    for endpoint, _ in found:
        for route in endpoint.routes:
            if route.options.cors is not None and not request.response_lines:
                request.response_lines = route.options.cors.lines(request)
    methods = _listed(_methods(found) | {"OPTIONS"})
    if request.method == "OPTIONS":
        return NoContent(headers={"Allow": ", ".join(methods)})
    return MethodNotAllowed(methods, request.method)


def _let(cors: CORS, request: Request) -> Response | None:
    """Set the CORS lines of the response; return the refusal if *cors* does not allow the request."""
    request.response_lines = cors.lines(request)
    return cors.refuse(request)


def _methods(found: Found) -> set[str]:
    return set().union(*[endpoint.methods for endpoint, _ in found])


def _listed(methods: set[str]) -> list[str]:
    return sorted(methods)


def _bound(route: Route, values: tuple[Any, ...]) -> Route:
    """Return *route* with body and path parameters bound to its handler."""
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
