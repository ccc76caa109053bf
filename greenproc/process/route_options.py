"""`RouteOptions`: what a route says of itself besides its handler."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypedDict

from greenproc.errors import InvalidArgument
from greenproc.http.cors import CORS, CORSOption, as_cors
from greenproc.http.headers import is_token
from greenproc.http.path_pattern import PathPattern, find_pattern
from greenproc.http.request import Request
from greenproc.http.typed_json import JSONBody

# ASCII without blanks, which a URL escapes, and without what ends its path.
_PATH = re.compile(r"/(?:[!-\"$->@-~]*[!-\"$-.0->@-~])?")


class Upgrade(Protocol):
    """What a route speaks instead of HTTP, on the connections of its requests."""

    @property
    def name(self) -> str:
        """Its name, for the help."""

    def open(self, handler: Callable[..., Any], request: Request, principal: Any) -> Any:
        """Return the response to a request, or a future of it."""


class RouteKeywords(TypedDict, total=False):
    """What `route` takes by name besides *realm* and *json*."""

    help: str | None
    """The text of the help page; an endpoint with an empty one is not listed."""
    streaming: bool
    """Whether the handler is called as soon as the head of a request is there."""
    methods: Iterable[str] | None
    """The methods that the handler takes, such as ``["GET", "POST"]``; None: all of them."""
    cors: CORSOption
    """The origins whose pages may use the route: a list, ``"*"`` or a `CORS`; None: no other."""


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """What a route says besides its handler."""

    path: str
    help: str | None = None
    realm: str | None = None
    streaming: bool = False
    methods: tuple[str, ...] | None = None
    json: JSONBody | None = None
    cors: CORS | None = None
    upgrade: Upgrade | None = None
    pattern: PathPattern | None = field(init=False, compare=False)
    """The path, if it has parameters."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", find_pattern(self.path))

    @classmethod
    def checked(
        cls,
        path: str,
        realm: str | None = None,
        json: Any = None,
        upgrade: Upgrade | None = None,
        **keywords: Any,
    ) -> Self:
        """Return these options if a route may have them.

        Args:
            keywords: those of `RouteKeywords`.

        Raises:
            InvalidArgument: it may not.
            TypeError: there is no such option.
        """
        unknown = sorted(set(keywords) - RouteKeywords.__annotations__.keys())
        if unknown:
            raise TypeError(f"a route has no option {', '.join(unknown)}")
        help, streaming = keywords.get("help"), keywords.get("streaming", False)
        for name, value in (("help", help), ("realm", realm)):
            if value is not None and not isinstance(value, str):
                raise InvalidArgument(f"expected {name} to be a text or None, got {value!r}")
        if realm == "":
            raise InvalidArgument("expected realm to be a name or None, got ''")
        if not isinstance(streaming, bool):
            raise InvalidArgument(f"expected streaming to be True or False, got {streaming!r}")
        if streaming and json is not None:
            raise InvalidArgument("expected no json with streaming, which has no whole body")
        return cls(
            checked_path(path),
            help,
            realm,
            streaming,
            _checked_methods(keywords.get("methods")),
            None if json is None else JSONBody(json),
            as_cors(keywords.get("cors")),
            upgrade,
        )

    @property
    def shape(self) -> str:
        """What two routes have in common that answer the same paths."""
        return self.path.strip("/") if self.pattern is None else self.pattern.shape

    def meets(self, other: RouteOptions) -> bool:
        """Whether there are requests that both this route and *other* are for."""
        if self.shape != other.shape:
            return False
        if self.methods is None or other.methods is None:
            return True
        return not set(self.methods).isdisjoint(other.methods)

    @property
    def is_plain(self) -> bool:
        """Whether the handler is called with every request, and the principal, and no more."""
        return (
            self.methods is None and self.json is None and self.cors is None and not self.pattern
        )

    @property
    def parameters(self) -> dict[str, type[Any]]:
        """The types of the parameters in the path, by name."""
        parameters = () if self.pattern is None else self.pattern.parameters
        return {parameter.name: parameter.type for parameter in parameters}

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the handler is called with by position."""
        principal = () if self.realm is None else ("principal",)
        first = "request" if self.upgrade is None else "ws"
        return (first, *principal, *(() if self.json is None else ("body",)))


def checked_path(path: str) -> str:
    """Return *path* if a route may have it.

    Raises:
        InvalidArgument: it does not start with ``/``, or ends with one and is longer, or a
            request cannot have it; or its parameters are malformed.
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path) or "/.." in path:
        raise InvalidArgument(
            "expected a path like '/health', as a URL spells it, without '/..' and without '/' at "
            f"its end, got {path!r}"
        )
    find_pattern(path)
    return path


def _checked_methods(methods: object) -> tuple[str, ...] | None:
    if methods is None:
        return None
    if isinstance(methods, str) or not isinstance(methods, Iterable):
        raise InvalidArgument(f"expected a list of methods, such as ['GET'], got {methods!r}")
    checked = tuple(methods)
    for method in checked:
        if not is_token(method):
            raise InvalidArgument(f"expected the name of a method, got {method!r}")
    if not checked:
        raise InvalidArgument("expected at least one method, got none: None is for all of them")
    return tuple(dict.fromkeys([method.upper() for method in checked]))
