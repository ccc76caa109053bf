"""The handlers a class declares: `@install` for messages, `@route` for HTTP.

The decorators only mark functions; `declared_handlers` gathers the marks of a class and its bases
once, when the class is made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    Unpack,
    overload,
)

from greenproc.errors import InvalidArgument
from greenproc.process.route_options import RouteKeywords, RouteOptions
from greenproc.process.signatures import check_message_handler, check_route_handler
from greenproc.process.typed import MessageOptions

if TYPE_CHECKING:
    from greenproc.http.request import Request
    from greenproc.message import Message
    from greenproc.pid import UPID

logger = logging.getLogger("greenproc.process")

MAX_UNHANDLED = 256
"""How many names of messages without a handler are warned of; they come from outside, too."""

MAX_NAME = 80
"""How much of a name is shown."""

Function = TypeVar("Function", bound=Callable[..., Any])
# What type checkers hold a decorated method against; the first argument is the process. What may
# come behind is for the parameters of the path, which they do not read.
OnMessage = TypeVar("OnMessage", bound="Callable[[Any, UPID, bytes], object]")
OnRequest = TypeVar("OnRequest", bound="Callable[Concatenate[Any, Request, ...], object]")
OnPrincipal = TypeVar("OnPrincipal", bound="Callable[Concatenate[Any, Request, Any, ...], object]")

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

_MARKS = "__greenproc_marks__"


class InAnyRealm(Protocol):
    """A handler of requests that is called with a principal or without one."""

    def __call__(self, request: Request, principal: Any = ..., /) -> object:
        """Answer *request*."""


@overload
def install(
    name: str, type: None = None, *, returns: Any = None
) -> Callable[[OnMessage], OnMessage]: ...
@overload
def install(
    name: str, type: type[T], *, returns: Any = None
) -> Callable[
    [Callable[Concatenate[S, UPID, T, P], R]], Callable[Concatenate[S, UPID, T, P], R]
]: ...
@overload
def install(
    name: type[T], *, returns: Any = None
) -> Callable[
    [Callable[Concatenate[S, UPID, T, P], R]], Callable[Concatenate[S, UPID, T, P], R]
]: ...
@overload
def install(name: str, type: Any, *, returns: Any = None) -> Callable[[Function], Function]: ...
def install(name: Any, type: Any = None, *, returns: Any = None) -> Callable[[Any], Any]:
    """Declare a method as the handler of messages called *name*.

    The method is called with the sender's `UPID` and the body: ``bytes``, or with *type* a value of
    that. A message whose body is no such value is dropped, with the reason ``body not decoded``,
    and the process lives. A subclass that overrides the method overrides the handler.

    A class is not made, with `InvalidArgument`, if the method cannot be called so or is an
    ``async def``, or if the class itself declares *name* for two methods. A subclass may declare
    it for another one, and `Process.install` replaces the handler of one process.

    Args:
        name: what senders call the messages; or the type, which is then also that of the bodies:
            its name is the tag of a Struct that has one, else that of the class.
        type: a `msgspec.Struct`, a dataclass, one such as ``list[int]``, or a union of Structs
            with tags.
        returns: the type of the answer, which the method returns, or returns a future of; it is
            sent as `Process.reply` sends one. A future that fails, or ends without a value, fails
            what asks.

    Raises:
        InvalidArgument: *name* is neither, or there are no bodies of that type.

    Source: libprocess include/process/process.hpp, ProcessBase::install; types are ours.
    """
    return _mark(MessageOptions.checked(name, type, returns))


@overload
def route(
    path: str, *, realm: None = None, json: None = None, **options: Unpack[RouteKeywords]
) -> Callable[[OnRequest], OnRequest]: ...
@overload
def route(
    path: str, *, realm: str, json: None = None, **options: Unpack[RouteKeywords]
) -> Callable[[OnPrincipal], OnPrincipal]: ...
@overload
def route(
    path: str, *, realm: str | None, json: None = None, **options: Unpack[RouteKeywords]
) -> Callable[[Function], Function]: ...
@overload
def route(
    path: str, *, realm: None = None, json: type[T], **options: Unpack[RouteKeywords]
) -> Callable[
    [Callable[Concatenate[S, Request, T, P], R]], Callable[Concatenate[S, Request, T, P], R]
]: ...
@overload
def route(
    path: str, *, realm: str, json: type[T], **options: Unpack[RouteKeywords]
) -> Callable[
    [Callable[Concatenate[S, Request, Any, T, P], R]],
    Callable[Concatenate[S, Request, Any, T, P], R],
]: ...
@overload
def route(
    path: str, *, realm: str | None = None, json: Any, **options: Unpack[RouteKeywords]
) -> Callable[[Function], Function]: ...
def route(
    path: str,
    *,
    realm: str | None = None,
    json: Any = None,
    **options: Unpack[RouteKeywords],
) -> Callable[[Function], Function]:
    """Declare a method as the handler of HTTP requests at *path* below the process' id.

    The method is called with the `Request`; in a realm, the principal; and with *json*, the body.
    The parameters of the path come by name. As with `install`, a class is not made if the method
    cannot be called so, is an ``async def``, or is one of two for *path* and a method of HTTP in
    the class itself.

    The handler returns a `Response`, a future of one, or what is made one: ``str`` and ``bytes``
    are a body, ``dict``, ``list``, a `msgspec.Struct` and a dataclass one in JSON, and the pieces
    of a generator, or any other iterator of ``str`` and ``bytes``, are sent as they come. A
    generator runs beside the process, not in its turn, as fast as the client takes the pieces; it
    is closed when the client is gone.

    Args:
        path: starts with ``/`` and, but for ``/`` itself, does not end with one. It is compared
            as it is spelled in a request, so blanks and letters beyond ASCII are to be escaped. A
            segment ``<name>`` is a parameter: any one segment, decoded, as a text. ``<int:name>``
            takes whole numbers, ``<path:name>`` one segment or more.
        realm: the authentication realm; the handler is then called with the principal, too.
        json: the type of the body, a `msgspec.Struct`, a dataclass or one such as ``list[int]``.
            What is no JSON or not of that type is answered with 400, and the path of the fault;
            another ``Content-Type``, or none, with 415.
        help: the text of the help page; an endpoint with an empty one is not listed.
        streaming: call the handler as soon as the head of a request is there. The body is not in
            ``request.body`` but comes through ``request.reader``, without a limit; while it is
            not read, the client waits. When the response is out the reader is closed.
        methods: those that the handler takes; None is for all of them. ``GET`` includes
            ``HEAD``, too. Other methods are answered with 405, and ``OPTIONS`` with the list.
        cors: the origins whose pages may use the route, see `greenproc.http.CORS`.

    Raises:
        InvalidArgument: the path has another form, or one of the others is not what it should be.

    Source: libprocess include/process/process.hpp, ProcessBase::route. There routes have no
    methods, parameters, bodies and origins.
    """
    return _mark(RouteOptions.checked(path, realm, json, **options))


def mark_route(options: RouteOptions) -> Callable[[Function], Function]:
    """Declare a method as what answers requests by *options*."""
    return _mark(options)


def _mark(mark: MessageOptions | RouteOptions) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        setattr(function, _MARKS, (*getattr(function, _MARKS, ()), mark))
        return function

    return decorate


Declarations: TypeAlias = tuple[tuple[RouteOptions, Callable[..., Any]], ...]


@dataclass(frozen=True, slots=True)
class Declared:
    """The handlers of one class, its bases included."""

    messages: dict[str, Callable[..., Any]]
    routes: Declarations
    """Of two for the same path and method the later one counts."""


def declared_handlers(cls: type) -> Declared:
    """Gather what *cls* and its bases declare; the most derived declaration of a name wins.

    The function found under the marked attribute's name counts, so that an override without
    decorator is called, too.

    Raises:
        InvalidArgument: a class declares one message, or one path and method, for two functions,
            or a function cannot be called as its handler.
    """
    messages: dict[str, Callable[..., Any]] = {}
    routes = _DeclaredRoutes(cls)
    for base in reversed(cls.__mro__):
        found: dict[str, str] = {}
        routes.enter(base)
        for attribute, value in vars(base).items():
            for mark in getattr(value, _MARKS, ()):
                function = getattr(cls, attribute)
                name = f"{cls.__name__}.{attribute}"
                if isinstance(mark, RouteOptions):
                    check_route_handler(function, mark, name=name, of_class=True)
                    routes.add(mark, attribute, function)
                else:
                    first = found.setdefault(mark.name, attribute)
                    _check_once(base, f"messages {mark.name!r}", first, attribute)
                    check_message_handler(function, mark.name, name=name, of_class=True)
                    messages[mark.name] = mark.wrap(function)
    return Declared(messages, routes.finish())


class _DeclaredRoutes:
    """Routes as they are gathered, by path and method, a base's before those of what derives."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self._owner: type = object
        self._own: list[tuple[RouteOptions, str]] = []
        self._routes: dict[tuple[str, str | None], tuple[RouteOptions, Callable[..., Any]]] = {}

    def enter(self, owner: type) -> None:
        """Go on with what *owner* declares."""
        self._owner = owner
        self._own = []

    def add(self, options: RouteOptions, attribute: str, function: Callable[..., Any]) -> None:
        """Add a route in place of those of bases.

        Raises:
            InvalidArgument: the owner has another one for the path and a method.
        """
        for other, name in self._own:
            if other.meets(options):
                _check_once(self._owner, f"requests for {options.path!r}", name, attribute)
        self._own.append((options, attribute))
        shape = options.shape
        if options.methods is None:
            for key in [key for key in self._routes if key[0] == shape]:
                del self._routes[key]
        for method in options.methods or (None,):
            self._routes.pop((shape, method), None)  # to be behind those that it takes over from
            self._routes[shape, method] = options, function

    def finish(self) -> Declarations:
        """Return the routes that are left, each once.

        Raises:
            InvalidArgument: of two for one path, one is streaming.
        """
        streaming: dict[str, bool] = {}
        for options, _ in self._routes.values():
            if streaming.setdefault(options.shape, options.streaming) != options.streaming:
                raise InvalidArgument(
                    f"expected all handlers of {options.path!r} of {self._cls.__name__} to be "
                    "streaming, or none"
                )
        return tuple({id(one[0]): one for one in self._routes.values()}.values())


def _check_once(owner: type, what: str, first: str, attribute: str) -> None:
    """Refuse a second function of *owner*."""
    if vars(owner)[first] is not vars(owner)[attribute]:
        raise InvalidArgument(
            f"{owner.__name__} declares two handlers of {what}, {first} and {attribute}: only one "
            "can be called"
        )


class UnhandledNames:
    """The names that the log has warned of, for each class of processes.

    A message without a handler is most likely a mistake of the program, so the first one is a
    warning, and those that follow are of the level debug.
    """

    def __init__(self) -> None:
        self._known: set[tuple[type | None, str]] = set()

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"<UnhandledNames, {len(self)} known>"

    def add(self, receiver: type | None, message: Message) -> None:
        """Log that *message* has no handler.

        Args:
            receiver: the class of the process that it was for, if that is still there.
        """
        known = receiver, message.name[:MAX_NAME]
        is_new = known not in self._known and len(self) < MAX_UNHANDLED
        if is_new:
            self._known.add(known)
        logger.log(
            logging.WARNING if is_new else logging.DEBUG,
            "%s has no handler for %r %s: declare it with @install, or call install()",
            message.to,
            known[1],
            "without a sender" if message.sender.is_empty else f"from {message.sender}",
        )
