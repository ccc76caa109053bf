"""The handlers a class declares: `@install` for messages, `@route` for HTTP.

The decorators only mark functions; `declared_handlers` gathers the marks of a class and its bases
once, when the class is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from greenproc.errors import InvalidArgument

Function = TypeVar("Function", bound=Callable[..., Any])

_MARKS = "__greenproc_marks__"
# ASCII without blanks, which a URL escapes, and without what ends its path.
_PATH = re.compile(r"/(?:[!-\"$->@-~]*[!-\"$-.0->@-~])?")


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """What a route says besides its path and handler."""

    path: str
    help: str | None = None
    realm: str | None = None
    streaming: bool = False

    @classmethod
    def checked(cls, path: str, help: str | None, realm: str | None, streaming: bool) -> Self:
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
        return cls(checked_path(path), help, realm, streaming)


def install(name: str) -> Callable[[Function], Function]:
    """Declare a method as the handler of messages called *name*.

    The method is called with the sender's `UPID` and the body, ``bytes``. A subclass that overrides
    the method overrides the handler.

    Source: libprocess include/process/process.hpp, ProcessBase::install.
    """
    if not isinstance(name, str):
        raise InvalidArgument(f"expected a message name, as in @install('ping'), got {name!r}")
    return _mark(name)


def route(
    path: str, *, help: str | None = None, realm: str | None = None, streaming: bool = False
) -> Callable[[Function], Function]:
    """Declare a method as the handler of HTTP requests at *path* below the process' id.

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
    """
    messages: dict[str, Callable[..., Any]] = {}
    routes: dict[str, tuple[RouteOptions, Callable[..., Any]]] = {}
    for base in reversed(cls.__mro__):
        for attribute, value in vars(base).items():
            for mark in getattr(value, _MARKS, ()):
                function = getattr(cls, attribute)
                if isinstance(mark, RouteOptions):
                    routes[mark.path.strip("/")] = (mark, function)
                else:
                    messages[mark] = function
    return Declared(messages, routes)
