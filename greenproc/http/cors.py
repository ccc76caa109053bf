"""`CORS`, and the refusal of requests that pages of other sites cause."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from greenproc.checks import check_origin
from greenproc.errors import InvalidArgument
from greenproc.http.headers import Fields, is_token
from greenproc.http.request import Request
from greenproc.http.response import Forbidden, NoContent, Response

MAX_AGE = 600
"""Seconds for which browsers cache the answer to a preflight; Chromium's limit is 7200."""

_MAX_REQUESTED_LENGTH = 4096  # of the names in Access-Control-Request-Headers, which are echoed
_SAFE = ("GET", "HEAD", "OPTIONS")  # RFC 9110 section 9.2.1: the safe methods
_VARY = ("Vary", "Origin")


class CORS:
    """The origins whose pages may use a route, and the permissions of these pages.

    A browser shows a response to a page of another origin only if the response permits it. Pages
    of the node itself, and clients other than browsers, need no permission.

    ::

        @route("/rooms", cors="*")
        @route("/rooms", cors=["https://app.example.org"])
        @route("/rooms", cors=CORS(["https://app.example.org"], credentials=True))

    With a list of origins, an unsafe request of any other page is refused with 403: browsers send
    some of these without a preflight, and hide only the response.

    Args:
        origins: such as ``https://example.org:8443``, compared exactly; or ``*`` for all.
        credentials: whether a page may send cookies and passwords; not with ``*``.
        headers: the request headers that a page may set besides the safelisted ones; None for any.
        expose: the response headers that a page can read besides the safelisted ones.
        max_age: seconds for which a browser may cache the answer to a preflight.

    Raises:
        InvalidArgument: an origin or a name is malformed, or *credentials* comes with ``*``.

    Source: the WHATWG's Fetch Standard, section 3.2, "CORS protocol".
    """

    __slots__ = ("credentials", "expose", "headers", "max_age", "origins")

    def __init__(
        self,
        origins: str | Iterable[str],
        *,
        credentials: bool = False,
        headers: Iterable[str] | None = None,
        expose: Iterable[str] = (),
        max_age: int = MAX_AGE,
    ) -> None:
        self.origins = _checked_origins(origins)
        """None for all."""
        if credentials and self.origins is None:
            raise InvalidArgument("expected a list of origins with credentials, got '*'")
        if isinstance(max_age, bool) or not isinstance(max_age, int) or max_age < 0:
            raise InvalidArgument(f"expected max_age in whole seconds, got {max_age!r}")
        self.credentials = bool(credentials)
        self.headers = None if headers is None else _checked_names("headers", headers)
        self.expose = _checked_names("expose", expose)
        self.max_age = max_age

    def allows(self, origin: str) -> bool:
        """Whether pages of *origin* may use the route."""
        return self.origins is None or origin in self.origins

    def refuse(self, request: Request) -> Response | None:
        """Return the refusal of an unsafe *request* that a page of another origin caused, or None."""
        if self.origins is None or request.method in _SAFE:
            return None
        if request.headers.get("Origin") in self.origins:
            return None
        return refuse_foreign(request)

    def lines(self, request: Request) -> Fields:
        """Return the header lines of every response to *request*."""
        if self.origins is None:
            lines: Fields = (("Access-Control-Allow-Origin", "*"),)
        else:
            origin = request.headers.get("Origin")
            # Also without a match: a cache must not serve this response to an allowed origin.
            if origin is None or origin not in self.origins:
                return (_VARY,)
            lines = (_VARY, ("Access-Control-Allow-Origin", origin))
            if self.credentials:
                lines += (("Access-Control-Allow-Credentials", "true"),)
        if self.expose:
            lines += (("Access-Control-Expose-Headers", ", ".join(self.expose)),)
        return lines

    def answer_preflight(self, request: Request, methods: Iterable[str]) -> Response:
        """Return the response to a preflight.

        Args:
            request: the preflight.
            methods: the methods of the route.
        """
        response = NoContent(headers={"Allow": ", ".join(methods)})
        if not self.allows(request.headers.get("Origin", "")):
            return response
        response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
        requested = request.headers.get("Access-Control-Request-Headers", "")
        allowed = _requested_names(requested) if self.headers is None else self.headers
        if allowed:
            response.headers["Access-Control-Allow-Headers"] = ", ".join(allowed)
        response.headers["Access-Control-Max-Age"] = str(self.max_age)
        response.headers["Vary"] = "Access-Control-Request-Headers"
        return response

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CORS) and self._key() == other._key()

    def __repr__(self) -> str:
        origins = "*" if self.origins is None else ", ".join(sorted(self.origins))
        return f"<CORS {origins}{', credentials' if self.credentials else ''}>"

    def _key(self) -> tuple[object, ...]:
        return self.origins, self.credentials, self.headers, self.expose, self.max_age


CORSOption: TypeAlias = CORS | str | Iterable[str] | None
"""The option ``cors`` of a route: origins, or a `CORS` with more options."""


def as_cors(option: CORSOption) -> CORS | None:
    """Return the `CORS` of *option*; None, which permits no other origin, for None.

    Raises:
        InvalidArgument: as for `CORS`.
    """
    return option if option is None or isinstance(option, CORS) else CORS(option)


def is_preflight(request: Request) -> bool:
    """Whether *request* is a preflight: a browser asks which requests a page may send."""
    return (
        request.method == "OPTIONS"
        and "Origin" in request.headers
        and is_token(request.headers.get("Access-Control-Request-Method"))
    )


def refuse_foreign(request: Request) -> Response | None:
    """Return the refusal of a request that a page of another site caused, or None.

    It protects routes that change state. Browsers send the origin of such a request; other
    clients, and links that a user opens directly, send none and pass.

    Source: RFC 6454 section 7.3; the W3C's Fetch Metadata Request Headers.
    """
    origin = request.headers.get("Origin")
    if origin is not None:
        _, _, place = origin.partition("://")
        if place.lower() != request.headers.get("Host", "").lower() or not place:
            return Forbidden(f"expected no request of another site, got one of '{origin:.200}'.\n")
    # Browsers send no Origin with some requests, such as a GET by a form or an image.
    if request.headers.get("Sec-Fetch-Site", "").lower() in ("cross-site", "same-site"):
        return Forbidden("expected no request of another site.\n")
    return None


def _checked_origins(origins: object) -> frozenset[str] | None:
    if origins in ("*", ("*",)):  # a tuple in settings
        return None
    if isinstance(origins, str):
        origins = [origins]
    if not isinstance(origins, Iterable):
        raise InvalidArgument(f"expected origins or '*', got {origins!r:.200}")
    return frozenset([check_origin(origin) for origin in origins])


def _checked_names(option: str, names: object) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InvalidArgument(f"expected {option} to be names of headers, got {names!r:.200}")
    checked = tuple(names)
    for name in checked:
        if not is_token(name):
            raise InvalidArgument(f"expected {option} to be names of headers, got {name!r:.200}")
    return checked


def _requested_names(line: str) -> list[str]:
    """Return the names of headers in *line*; an empty list if one is malformed."""
    names = [name.strip() for name in line[:_MAX_REQUESTED_LENGTH].split(",")]
    return names if all(map(is_token, names)) else []
