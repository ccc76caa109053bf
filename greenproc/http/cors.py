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
"""Seconds for which browsers remember what they were told; Chromium takes 7200 at most."""

_MAX_ASKED_LENGTH = 4096  # of the names of headers that a browser asks for
_SAFE = ("GET", "HEAD", "OPTIONS")  # RFC 9110 section 9.2.1: they change nothing
_VARY = ("Vary", "Origin")


class CORS:
    """The origins whose pages may use a route, and what they may do there.

    A browser lets a page of another origin see an answer only if the answer says so. The origin
    of the node itself, and clients that are no browsers, need none of this.

    ::

        @route("/rooms", cors="*")
        @route("/rooms", cors=["https://app.example.org"])
        @route("/rooms", cors=CORS(["https://app.example.org"], credentials=True))

    With a list of origins, a request of any other page that may change something, which a browser
    sends without asking first, is refused with 403.

    Args:
        origins: such as ``https://example.org:8443``, compared exactly; or ``*``, every one.
        credentials: whether a page may send cookies and passwords; not with ``*``.
        headers: which headers of requests a page may set besides the usual ones; None: any.
        expose: which headers of answers a page sees besides the usual ones.
        max_age: seconds for which a browser need not ask again.

    Raises:
        InvalidArgument: an origin or a name is none, or *credentials* comes with ``*``.

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
        """None for every one."""
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
        """Return the refusal of *request* if it may change something and is of a foreign page."""
        if self.origins is None or request.method in _SAFE:
            return None
        if request.headers.get("Origin") in self.origins:
            return None
        return refuse_foreign(request)

    def lines(self, request: Request) -> Fields:
        """Return what every answer to *request* says."""
        if self.origins is None:
            lines: Fields = (("Access-Control-Allow-Origin", "*"),)
        else:
            origin = request.headers.get("Origin")
            if origin is None or origin not in self.origins:
                return (_VARY,)
            lines = (_VARY, ("Access-Control-Allow-Origin", origin))
            if self.credentials:
                lines += (("Access-Control-Allow-Credentials", "true"),)
        if self.expose:
            lines += (("Access-Control-Expose-Headers", ", ".join(self.expose)),)
        return lines

    def answer_preflight(self, request: Request, methods: Iterable[str]) -> Response:
        """Return what a browser is told that asks before it lets a page send a request.

        Args:
            methods: what the route takes.
        """
        response = NoContent(headers={"Allow": ", ".join(methods)})
        if not self.allows(request.headers.get("Origin", "")):
            return response
        response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
        asked = request.headers.get("Access-Control-Request-Headers", "")
        allowed = _asked_names(asked) if self.headers is None else self.headers
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
"""What a route takes: the origins alone will do."""


def as_cors(option: CORSOption) -> CORS | None:
    """Return what *option* of a route says; None, which allows no other origin, for None.

    Raises:
        InvalidArgument: as for `CORS`.
    """
    return option if option is None or isinstance(option, CORS) else CORS(option)


def is_preflight(request: Request) -> bool:
    """Whether *request* is a browser's question what a page of another origin may send."""
    return (
        request.method == "OPTIONS"
        and "Origin" in request.headers
        and is_token(request.headers.get("Access-Control-Request-Method"))
    )


def refuse_foreign(request: Request) -> Response | None:
    """Return the refusal of a request that another site has caused, None for any other.

    For what changes something. A browser says where a request comes from; other clients, and
    a user who follows a link of their own, say nothing and pass.

    Source: RFC 6454 section 7.3; the W3C's Fetch Metadata Request Headers.
    """
    origin = request.headers.get("Origin")
    if origin is not None:
        _, _, place = origin.partition("://")
        if place.lower() != request.headers.get("Host", "").lower() or not place:
            return Forbidden(f"expected no request of another site, got one of '{origin:.200}'.\n")
    if request.headers.get("Sec-Fetch-Site", "").lower() in ("cross-site", "same-site"):
        return Forbidden("expected no request of another site.\n")
    return None


def _checked_origins(origins: object) -> frozenset[str] | None:
    if origins in ("*", ("*",)):  # the latter in settings
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


def _asked_names(line: str) -> list[str]:
    """Return the names that a browser asks for; none if something else is among them."""
    names = [name.strip() for name in line[:_MAX_ASKED_LENGTH].split(",")]
    return names if all(map(is_token, names)) else []
