"""`Process`, the class that users derive their processes from."""

from __future__ import annotations

import builtins
import logging
from collections.abc import Callable, Mapping
from operator import attrgetter
from os import PathLike
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    ParamSpec,
    Self,
    TypeVar,
    Unpack,
    overload,
)

import gevent
from greenlet import getcurrent

from greenproc.current import find_runtime
from greenproc.errors import InvalidArgument, NoRuntime, StateError
from greenproc.failures import FAILURES, log_failure, note
from greenproc.future import Failure, Future, offload
from greenproc.message import Message
from greenproc.pid import PID, UPID
from greenproc.process.arguments import as_message, as_upid, label
from greenproc.process.assets import checked_asset
from greenproc.process.defer import Deferred, Offloaded, make_call
from greenproc.process.event import (
    DispatchEvent,
    Event,
    ExitedEvent,
    HttpEvent,
    MessageEvent,
    TerminateEvent,
)
from greenproc.process.flow import MailboxLimit
from greenproc.process.handlers import Declared, InAnyRealm, declared_handlers
from greenproc.process.mailbox import Mailbox, as_event, count_events
from greenproc.process.ports import RemoteConnection
from greenproc.process.record import ProcessRecord
from greenproc.process.route_options import RouteKeywords, RouteOptions
from greenproc.process.routes import Route, RouteTable
from greenproc.process.serving import CALLBACK_FAILED, complete, serve_http
from greenproc.process.signatures import (
    check_message_handler,
    check_methods,
    check_route_handler,
    name_functions,
    new_methods,
)
from greenproc.process.typed import Handler, MessageOptions

if TYPE_CHECKING:
    from types import UnionType

    from greenproc.http.request import Request
    from greenproc.process.manager import ProcessManager
    from greenproc.runtime.runtime import Runtime

Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")

logger = logging.getLogger("greenproc.process")

record_of: Callable[[Process], ProcessRecord] = attrgetter("_Process__record")
"""Return the runtime's record of a process. For the parts of the runtime, not for users."""


class Process:
    """An actor: a mailbox and the handlers that serve it, one event at a time.

    The runtime runs each process in a greenlet of its own. Handlers may block; only this process
    waits. An instance is spawned at most once.

    Source: libprocess include/process/process.hpp, ProcessBase.
    """

    __slots__ = ("__record", "__weakref__")
    __declared: ClassVar[Declared] = Declared({}, ())

    serves_messages_plainly: ClassVar[bool] = True
    """Whether messages reach their handlers without `serve` and `consume_message`, which is faster.

    True if neither is overridden, so that the difference has no visible effect.
    """

    takes_requests: bool = True
    """Whether HTTP requests are put into the mailbox; else they are answered 503 at once.

    For a process with a slow `finalize`: requests that arrive meanwhile would wait for its end.
    """

    mailbox_limit: MailboxLimit | None = None
    """The bound of the mailbox and its overflow policy, read when the process is spawned.

    None applies the bounds in the settings of the runtime.
    """

    takes_raw_requests: ClassVar[bool] = False
    """Whether `consume_http`, which is overridden, gets requests as they came.

    Any path below the process reaches it, with ``..`` and broken escapes; queries are not checked;
    bodies stay compressed; ``100 Continue`` is sent when ``request.connection.proceed()`` is called.
    """

    def __init__(self, id: str | None = None) -> None:
        """Name the process *id*; without one it is called after its class, ``Counter(1)``.

        Raises:
            InvalidArgument: *id* is no text, or empty.
        """
        if id is not None and (not isinstance(id, str) or not id):
            raise InvalidArgument(
                f"expected the id of a process as str of one character or more, got {id!r}"
            )
        self.__record = ProcessRecord(self, id)
        self.__record.declared = self.__declared.messages

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        methods = new_methods(cls, Process)
        check_methods(cls, Process, methods)
        name_functions(methods)
        cls.__declared = declared_handlers(cls)
        cls.serves_messages_plainly = (
            cls.serve is Process.serve and cls.consume_message is Process.consume_message
        )

    # To override

    def initialize(self) -> None:
        """Prepare; called once, before the first event is served."""

    def finalize(self) -> None:
        """Clean up; called once, as the service of the terminate event."""

    def exited(self, pid: UPID) -> None:
        """React to the end of a linked process or of the connection to it."""

    def lost(self, pid: UPID) -> None:
        """React to a lost peer. Never called, as in libprocess; kept for its interface."""

    def failed(self, event: Event | None, error: BaseException) -> None:
        """Decide what follows a handler's *error*, which has been logged; terminates by default.

        An override that does not call this one keeps the process alive. *event* is None when
        `initialize` failed or something was thrown into the idle process.
        """
        self.__manager().end(self.__record, error)

    def serve(self, event: Event) -> None:
        """Serve *event*: call the ``consume_`` method of its kind."""
        event.consume(self)

    def consume_message(self, event: MessageEvent) -> None:
        """Call the handler of the message, else forward it to the delegate of its name."""
        record = self.__record
        outer = record.message
        try:
            self.__handle(event.message)
        finally:
            record.message = outer

    def consume_dispatch(self, event: DispatchEvent) -> None:
        """Make the call; its result or error goes to the caller's future."""
        promise = event.promise
        if promise is None:
            make_call(self, event)
            return
        try:
            result = make_call(self, event)
        except FAILURES as error:
            note(error, f"in process {self.pid}, serving {event.kind}")
            # The traceback holds this frame: with what leads to the error it would be a cycle.
            event.promise = None
            unread = f"the dispatch of {label(event.method)} to {self.pid}"
            complete(promise.fail, error, unread=unread)
            del promise
        except BaseException:
            promise.abandon(f"process {self.pid} was interrupted while it served this")
            raise
        else:
            try:  # as `complete` does; its call would be 2 % of a dispatch
                promise.set(result)
            except FAILURES:
                log_failure(logger, CALLBACK_FAILED)

    def consume_http(self, event: HttpEvent) -> None:
        """Answer with the route that matches path and method best, else with a file, else 404."""
        serve_http(self.__record, self.__record.routes or self.__routes(), event)

    def streams_body(self, path: str) -> bool:
        """Return whether a request for *path* is served before its body has arrived.

        The route decides. A class that overrides `consume_http` may override this as well: a body
        that did not arrive with its head is then read from ``request.reader``, without a limit. It
        is called outside of the turns of the process, and must not wait.
        """
        return self.__routes().streams(path)

    def takes_websocket(self, path: str) -> bool:
        """Return whether a WebSocket handshake at *path* is served. Called as `streams_body` is."""
        return self.__routes().upgrades(path)

    def consume_exited(self, event: ExitedEvent) -> None:
        """Call `exited`."""
        self.exited(event.pid)

    def consume_terminate(self, event: TerminateEvent) -> None:
        """Call `finalize`; the process is over when this returns."""
        self.finalize()

    # To call

    @property
    def pid(self) -> PID[Self]:
        """The address of this process; valid before it is spawned.

        Raises:
            NoRuntime: it was not spawned, and no runtime is there that it could belong to.
        """
        self.__manager()
        return self.__record.pid

    @property
    def runtime(self) -> Runtime:
        """The `Runtime` this process belongs to.

        Raises:
            NoRuntime: it was not spawned, and no runtime is there that it could belong to.
        """
        return self.__manager().runtime

    @property
    def mailbox(self) -> Mailbox:
        """The queue of events that wait to be served; a handler may take some of them itself."""
        return self.__manager().show_mailbox(self.__record)

    @overload
    def send(self, to: UPID | Process, name: str, body: object = b"") -> None: ...
    @overload
    def send(self, to: UPID | Process, name: object) -> None: ...
    def send(self, to: UPID | Process, name: Any, body: Any = b"") -> None:
        """Send a message; no acknowledgement follows, as in libprocess.

        Args:
            to: the receiver, here or on another node; the empty UPID is silently ignored.
            name: what the receiver installed a handler for; or a value, such as a
                `msgspec.Struct`, whose type gives the name, as in `greenproc.install`.
            body: bytes, at most what the receiver accepts, 64 MiB by default; or a value for a
                handler with a type. A text is neither.

        Raises:
            InvalidArgument: an argument has another type, or a value has no encoding.

        Source: libprocess include/process/process.hpp, ProcessBase::send.
        """
        record = self.__record
        manager = record.manager or self.__manager()
        if type(body) is not bytes or type(name) is not str or not isinstance(to, UPID):
            to, name, body = as_message(to, name, body)
        manager.send(Message(name, record.pid, to, body))

    @overload
    def ask(
        self,
        to: UPID | Process,
        name: str,
        body: Any = b"",
        *,
        returns: None = None,
        timeout: float | None = None,
    ) -> Future[bytes]: ...
    @overload
    def ask(
        self,
        to: UPID | Process,
        name: str,
        body: Any = b"",
        *,
        returns: type[T],
        timeout: float | None = None,
    ) -> Future[T]: ...
    @overload
    def ask(
        self,
        to: UPID | Process,
        name: str,
        body: Any = b"",
        *,
        returns: Any,
        timeout: float | None = None,
    ) -> Future[Any]: ...
    def ask(
        self,
        to: UPID | Process,
        name: str,
        body: Any = b"",
        *,
        returns: Any = None,
        timeout: float | None = None,
    ) -> Future[Any]:
        """Send a message and return the future of the answer. See `greenproc.Runtime.ask`."""
        return self.__manager().asks.ask(to, name, body, returns, timeout)

    def reply(self, body: object = b"", *, name: str | None = None) -> None:
        """Answer the message whose handler is running; a message without a sender needs none.

        For an ask the first answer counts.

        Args:
            body: as that of `send`.
            name: of the answer, the name of the message when None. What asks takes any.

        Raises:
            StateError: no handler of a message is running here.
        """
        record = self.__record
        message = record.message
        if message is None or getcurrent() is not record.greenlet:
            raise StateError(
                f"{self!r} can reply only inside a handler of a message, in its own greenlet: keep "
                "the sender, and send() to it"
            )
        self.send(message.sender, message.name if name is None else name, body)

    def link(self, to: UPID | Process, remote: RemoteConnection = RemoteConnection.REUSE) -> UPID:
        """Watch *to*: its end, or the end of the connection to it, calls `exited` once.

        A remote process that ends while its node lives is not noticed, as in libprocess: a remote
        link watches the connection.

        Raises:
            StateError: the runtime was stopped; or this is another native thread.

        Source: libprocess src/process.cpp, ProcessBase::link.
        """
        to = as_upid(to)
        manager = self.__manager()
        manager.check_thread("link")
        manager.refuse_over("link")
        manager.linking.link(self.__record, to, remote)
        return to

    @overload
    def install(
        self, name: str, handler: Handler[bytes], type: None = None, *, returns: Any = None
    ) -> None: ...
    @overload
    def install(
        self, name: str, handler: Handler[T], type: builtins.type[T], *, returns: Any = None
    ) -> None: ...
    @overload
    def install(
        self, name: builtins.type[T], handler: Handler[T], *, returns: Any = None
    ) -> None: ...
    @overload
    def install(
        self, name: str, handler: Handler[Any], type: UnionType, *, returns: Any = None
    ) -> None: ...
    def install(
        self, name: Any, handler: Handler[Any], type: Any = None, *, returns: Any = None
    ) -> None:
        """Call *handler* with sender and body of each message called *name*. See `greenproc.install`.

        It takes the place of the handler that the class declares for *name*, and of one that was
        installed before.

        Raises:
            InvalidArgument: *handler* cannot be called so, or *name* or *type* is none.

        Source: libprocess include/process/process.hpp, ProcessBase::install.
        """
        options = MessageOptions.checked(name, type, returns)
        check_message_handler(handler, options.name)
        record = self.__record
        record.handlers = record.handlers or {}
        record.handlers[options.name] = options.bind(handler, self)

    def delegate(self, name: str, pid: UPID | Process) -> None:
        """Forward messages called *name*, for which no handler is installed, to *pid*."""
        record = self.__record
        record.delegates = record.delegates or {}
        record.delegates[name] = as_upid(pid)

    @overload
    def route(
        self,
        path: str,
        handler: Callable[Concatenate[Request, ...], object],
        *,
        realm: None = None,
        json: None = None,
        **options: Unpack[RouteKeywords],
    ) -> None: ...
    @overload
    def route(
        self,
        path: str,
        handler: Callable[Concatenate[Request, Any, ...], object],
        *,
        realm: str,
        json: None = None,
        **options: Unpack[RouteKeywords],
    ) -> None: ...
    @overload
    def route(
        self,
        path: str,
        handler: InAnyRealm,
        *,
        realm: str | None,
        json: None = None,
        **options: Unpack[RouteKeywords],
    ) -> None: ...
    @overload
    def route(
        self,
        path: str,
        handler: Callable[Concatenate[Request, T, ...], object],
        *,
        realm: None = None,
        json: type[T],
        **options: Unpack[RouteKeywords],
    ) -> None: ...
    @overload
    def route(
        self,
        path: str,
        handler: Callable[Concatenate[Request, Any, T, ...], object],
        *,
        realm: str,
        json: type[T],
        **options: Unpack[RouteKeywords],
    ) -> None: ...
    def route(
        self,
        path: str,
        handler: Callable[..., Any],
        *,
        realm: str | None = None,
        json: Any = None,
        **options: Unpack[RouteKeywords],
    ) -> None:
        """Answer HTTP requests at *path* below this process' id. See `greenproc.route`.

        It takes the place of the route that the class declares for *path* and its methods, and of
        one that was added before.

        Raises:
            InvalidArgument: *handler* cannot be called with the request and what else the options
                give it; it is an ``async def``; an option is not what it should be; or of two
                routes for *path* that take different methods, one is streaming.
        """
        checked = RouteOptions.checked(path, realm, json, **options)
        check_route_handler(handler, checked)
        self.__routes().add(Route(checked, handler))

    def provide(
        self, name: str, path: str | PathLike[str], types: Mapping[str, str] | None = None
    ) -> None:
        """Give files away at *name* below this process' id, where no route answers.

        Args:
            name: the first segment behind the id, or no text for the id itself.
            path: a file, or a directory of which everything is given away, at any depth.
            types: media types by suffix, such as ``{".html": "text/html"}``; a usual table when
                None.

        Raises:
            InvalidArgument: *name* has a slash, or *path* is no path.

        Source: libprocess include/process/process.hpp, ProcessBase::provide.
        """
        self.__routes().provide(name, checked_asset(name, path, types))

    def event_count(self, kind: type[Event]) -> int:
        """Return how many events of *kind* are queued, the one being served not counted."""
        return count_events(list(self.__record.events or ()), kind)

    def queued_events(self) -> list[Event]:
        """Return the queued events, oldest first."""
        return [as_event(item) for item in list(self.__record.events or ())]

    @overload
    def defer(self, method: Callable[..., R | Failure], /) -> Deferred[R]: ...
    @overload
    def defer(
        self, method: Callable[Q, R | Failure], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> Deferred[R]: ...
    @overload
    def defer(
        self,
        method: Callable[Concatenate[Self, Q], R | Failure],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Deferred[R]: ...
    def defer(self, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Deferred[Any]:
        """Return a callable that dispatches *method* to this process. See `greenproc.defer`."""
        return Deferred(self.__manager(), self.pid, method, args, kwargs)

    def terminate(self, *, inject: bool = True) -> None:
        """Terminate this process. See `greenproc.terminate`."""
        self.__manager().terminate(self.pid, inject=inject)

    def offload(
        self,
        function: Callable[Q, R],
        /,
        *args: Q.args,
        **kwargs: Q.kwargs,
    ) -> Offloaded[R]:
        """Call *function* in a native thread; what comes of it comes back as an event.

        ``self.offload(resize, picture).then(self.on_resized)``: see `Offloaded`.

        Raises:
            InvalidArgument: *function* cannot be called.
            StateError: too many functions wait for a thread, or this is another native thread.
        """
        self.__manager().check_thread("offload")
        return Offloaded(self.__record, offload(function, *args, **kwargs))

    def spawn_greenlet(
        self, function: Callable[Q, R], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> gevent.Greenlet[..., R]:
        """Start a greenlet in this process' context and return it.

        It runs beside the process, not in its turn, and the process does not wait for it. It may
        outlive the process, unless that is supervised: its successor starts its own. What still
        runs when the runtime stops is killed.
        """
        self.__manager().check_thread("spawn_greenlet")
        record = self.__record
        greenlet: gevent.Greenlet[..., R] = record.start_greenlet(function, *args, **kwargs)
        if record.supervised is not None:
            record.supervised.keep_greenlet(greenlet)
        return greenlet

    def __repr__(self) -> str:
        record = self.__record
        name = record.id if record.manager is None else record.pid
        return f"<{type(self).__name__} {name} {record.state.name.lower()}>"

    def __manager(self) -> ProcessManager:
        manager = self.__record.manager
        if manager is None:
            runtime = find_runtime()
            if runtime is None:
                raise NoRuntime(
                    f"{self!r} belongs to no runtime yet: spawn it, or call "
                    "greenproc.initialize() first"
                )
            manager = runtime.processes
            manager.bind(self.__record)
        return manager

    def __handle(self, message: Message) -> None:
        """Call the handler of *message*, else forward or report it."""
        record = self.__record
        record.message = message
        name = message.name
        if record.handlers is not None and name in record.handlers:
            record.handlers[name](message.sender, message.body)
            return
        declared = record.declared.get(name)
        if declared is not None:
            declared(self, message.sender, message.body)
        elif record.delegates is not None and name in record.delegates:
            self.__manager().forward(message, record.delegates[name])
        else:
            self.__manager().unhandled(message)

    def __routes(self) -> RouteTable:
        record = self.__record
        if record.routes is None:
            record.routes = RouteTable()
            for options, function in self.__declared.routes:
                record.routes.add(Route(options, function.__get__(self)))
        return record.routes


name_functions(new_methods(Process, Process))

handle_message: Callable[[Process, Message], None] = vars(Process)["_Process__handle"]
"""Serve a message without an event around it. For the scheduler, not for users."""

declared_of: Callable[[Process], Declared] = attrgetter("_Process__declared")
"""Return what the class of a process declares. For the parts of the runtime, not for users."""

routes_of: Callable[[Process], RouteTable] = vars(Process)["_Process__routes"]
"""Return the routes of a process. For the parts of the runtime, not for users."""
