"""The handlers a class declares: `@install` for messages, `@route` for HTTP.

The decorators only mark functions; `declared_handlers` gathers the marks of a class and its bases
once, when the class is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, overload

from greenproc.errors import InvalidArgument
from greenproc.process.signatures import check_message_handler, check_route_handler

if TYPE_CHECKING:
    from greenproc.http.request import Request
    from greenproc.pid import UPID

Function = TypeVar("Function", bound=Callable[..., Any])
# What type checkers hold a decorated method against; the first argument is the process.
OnMessage = TypeVar("OnMessage", bound="Callable[[Any, UPID, bytes], object]")
OnRequest = TypeVar("OnRequest", bound="Callable[[Any, Request], object]")
OnPrincipal = TypeVar("OnPrincipal", bound="Callable[[Any, Request, Any], object]")

_MARKS = "__greenproc_marks__"
# ASCII without blanks, which a URL escapes, and without what ends its path.
_PATH = re.compile(r"/(?:[!-\"$->@-~]*[!-\"$-.0->@-~])?")


class InAnyRealm(Protocol):
    """A handler of requests that is called with a principal or without one."""

    def __call__(self, request: Request, principal: Any = ..., /) -> object:
        """Answer *request*."""


class Upgrade(Protocol):
    """What a route speaks instead of HTTP, on the connections of its requests."""

    @property
    def name(self) -> str:
        """Its name, for the help."""

    def open(self, handler: Callable[..., Any], request: Request, principal: Any) -> Any:
        """Return the response to a request, or a future of it."""


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """What a route says besides its path and handler."""

    path: str
    help: str | None = None
    realm: str | None = None
    streaming: bool = False
    upgrade: Upgrade | None = None

    @classmethod
    def checked(
        cls,
        path: str,
        help: str | None,
        realm: str | None,
        streaming: bool = False,
        upgrade: Upgrade | None = None,
    ) -> Self:
        """Return these options if a route may have them.

        Raises:
            InvalidArgument: it may not.
        """
        for name, value in (("help", help), ("realm", realm)):
            if value is not None and not isinstance(value, str):
                raise InvalidArgument(f"expected {name} to be a text or None, got {value!r}")
        if realm == "":
            raise InvalidArgument("expected realm to be a name or None, got ''")
        if not isinstance(streaming, bool):
            raise InvalidArgument(f"expected streaming to be True or False, got {streaming!r}")
        return cls(checked_path(path), help, realm, streaming, upgrade)


def install(name: str) -> Callable[[OnMessage], OnMessage]:
    """Declare a method as the handler of messages called *name*.

    The method is called with the sender's `UPID` and the body, ``bytes``. A subclass that overrides
    the method overrides the handler.

    A class is not made, with `InvalidArgument`, if the method cannot be called so or is an
    ``async def``, or if the class itself declares *name* for two methods. A subclass may declare
    it for another one, and `Process.install` replaces the handler of one process.

    Source: libprocess include/process/process.hpp, ProcessBase::install.
    """
    if not isinstance(name, str):
        raise InvalidArgument(f"expected a message name, as in @install('ping'), got {name!r}")
    return _mark(name)


@overload
def route(
    path: str, *, help: str | None = None, realm: None = None, streaming: bool = False
) -> Callable[[OnRequest], OnRequest]: ...
@overload
def route(
    path: str, *, help: str | None = None, realm: str, streaming: bool = False
) -> Callable[[OnPrincipal], OnPrincipal]: ...
@overload
def route(
    path: str, *, help: str | None = None, realm: str | None, streaming: bool = False
) -> Callable[[Function], Function]: ...
def route(
    path: str, *, help: str | None = None, realm: str | None = None, streaming: bool = False
) -> Callable[[Function], Function]:
    """Declare a method as the handler of HTTP requests at *path* below the process' id.

    The method is called with the `Request` and, in a realm, the principal. As with `install`, a
    class is not made if the method cannot be called so, is an ``async def``, or is one of two for
    *path* in the class itself.

    The handler returns a `Response`, a future of one, or what is made one: ``str`` and ``bytes``
    are a body, ``dict`` and ``list`` one in JSON, and the pieces of a generator, or any other
    iterator of ``str`` and ``bytes``, are sent as they come. A generator runs beside the process,
    not in its turn, as fast as the client takes the pieces; it is closed when the client is gone.

    Args:
        path: starts with ``/`` and, but for ``/`` itself, does not end with one. It is compared
            as it is spelled in a request, so blanks and letters beyond ASCII are to be escaped.
        help: text for people who look the endpoint up; with an empty one it is not listed.
        realm: the authentication realm; the handler is then called with the principal, too.
        streaming: call the handler as soon as the head of a request is there. The body is not in
            ``request.body`` but comes through ``request.reader``, without a limit; while it is
            not read, the client waits. When the response is out the reader is closed.

    Raises:
        InvalidArgument: the path has another form, or one of the others is not what it should be.

    Source: libprocess include/process/process.hpp, ProcessBase::route.
    """
    return _mark(RouteOptions.checked(path, help, realm, streaming))


def mark_route(options: RouteOptions) -> Callable[[Function], Function]:
    """Declare a method as what answers requests by *options*."""
    return _mark(options)


def _mark(mark: str | RouteOptions) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        setattr(function, _MARKS, (*getattr(function, _MARKS, ()), mark))
        return function

    return decorate


def checked_path(path: str) -> str:
    """Return *path* if a route may have it.

    Raises:
        InvalidArgument: it does not start with ``/``, or ends with one and is longer, or a
            request cannot have it.
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path) or "/.." in path:
        raise InvalidArgument(
            "expected a path like '/health', as a URL spells it, without '/..' and without '/' at "
            f"its end, got {path!r}"
        )
    return path


@dataclass(frozen=True, slots=True)
class Declared:
    """The handlers of one class, its bases included."""

    messages: dict[str, Callable[..., Any]]
    routes: dict[str, tuple[RouteOptions, Callable[..., Any]]]


def declared_handlers(cls: type) -> Declared:
    """Gather what *cls* and its bases declare; the most derived declaration of a name wins.

    The function found under the marked attribute's name counts, so that an override without
    decorator is called, too.

    Raises:
        InvalidArgument: a class declares one message or path for two functions, or a function
            cannot be called as its handler.
    """
    messages: dict[str, Callable[..., Any]] = {}
    routes: dict[str, tuple[RouteOptions, Callable[..., Any]]] = {}
    for base in reversed(cls.__mro__):
        found: dict[str | tuple[str], str] = {}
        for attribute, value in vars(base).items():
            for mark in getattr(value, _MARKS, ()):
                function = getattr(cls, attribute)
                name = f"{cls.__name__}.{attribute}"
                if isinstance(mark, RouteOptions):
                    _check_once(base, found, (mark.path,), attribute)
                    check_route_handler(function, mark.path, mark.realm, name=name, of_class=True)
                    routes[mark.path.strip("/")] = (mark, function)
                else:
                    _check_once(base, found, mark, attribute)
                    check_message_handler(function, mark, name=name, of_class=True)
                    messages[mark] = function
    return Declared(messages, routes)


def _check_once(
    owner: type, found: dict[str | tuple[str], str], key: str | tuple[str], attribute: str
) -> None:
    """Refuse a second function of *owner* for *key*, a message's name or a path alone."""
    first = found.setdefault(key, attribute)
    if vars(owner)[first] is not vars(owner)[attribute]:
        what = f"messages {key!r}" if isinstance(key, str) else f"requests for {key[0]!r}"
        raise InvalidArgument(
            f"{owner.__name__} declares two handlers of {what}, {first} and {attribute}: only one "
            "can be called"
        )
