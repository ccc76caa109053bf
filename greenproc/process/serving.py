"""From a route to its handler: authentication, authorization, and the order of handlers."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from greenproc.errors import InvalidURL
from greenproc.failures import FAILURES, log_failure, note
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import BadRequest, Forbidden, Response, ServiceUnavailable
from greenproc.pid import NO_SENDER
from greenproc.process.choice import choose
from greenproc.process.event import DispatchEvent, HttpEvent
from greenproc.process.ports import TERMINATED, Gatekeeper
from greenproc.process.quota import MAILBOX_FULL, weight_of_request
from greenproc.process.record import ProcessRecord
from greenproc.process.results import as_response, dismiss
from greenproc.process.routes import Found, Route, RouteTable, call_route
from greenproc.sync.pipe import Pipe
from greenproc.tracing import TRACING, use_trace

if TYPE_CHECKING:
    from greenproc.process.manager import ProcessManager

logger = logging.getLogger("greenproc.process")


def serve_http(record: ProcessRecord, routes: RouteTable, event: HttpEvent) -> None:
    """Serve a request by the one of *routes* that matches it best, else by a file, else 404."""
    try:
        match = routes.find(event.request.url.path)
    except InvalidURL as error:
        event.promise.set(BadRequest(f"{error}\n"))
        return
    if match is None:
        answer(record, event, routes.provided, event.request.url.path)
    elif match.plain is not None:
        serve_request(record, match.plain, event)
    else:
        serve_match(record, match.found, event)


def serve_request(record: ProcessRecord, route: Route, event: HttpEvent) -> None:
    """Serve a request for *route* of the process of *record*: begin now, or when it is its turn.

    Source: libprocess src/process.cpp, ProcessBase::consume(HttpEvent).
    """
    manager, routes = record.manager, record.routes
    assert manager is not None and routes is not None
    auth_queue = routes.auth_queue
    is_open = route.options.realm is None and not manager.gatekeeper.authorizes
    if is_open and (auth_queue is None or not len(auth_queue)):
        run_handler(record, route, event)
        return
    if auth_queue is None:
        auth_queue = routes.auth_queue = AuthQueue(record, manager, manager.gatekeeper)
    auth_queue.enter(PendingRequest(route, event))


def serve_match(record: ProcessRecord, found: Found, event: HttpEvent) -> None:
    """Serve a request by one of the routes of the endpoints *found*, as its method says."""
    chosen = choose(found, event.request)
    if isinstance(chosen, Response):
        event.promise.set(chosen)
    else:
        serve_request(record, chosen, event)


def run_handler(
    record: ProcessRecord, route: Route, event: HttpEvent, principal: Any = None
) -> None:
    """Call the handler of *route*; its result or error is the response."""
    request = event.request
    if route.options.streaming:
        request = with_reader(request)
    elif request.reader is not None:  # the route was another one when the request came
        event.promise.set(ServiceUnavailable())
        return
    answer(record, event, call_route, route, request, principal)


def answer(
    record: ProcessRecord, event: HttpEvent, function: Callable[..., Any], *args: Any
) -> None:
    """Call *function*; what it returns or raises is the response, and the process lives."""
    try:
        response = as_response(function(*args), record.start_greenlet)
    except FAILURES as error:
        note(error, f"in process {record.pid}, serving {event.kind} {event.request.url}")
        # The traceback holds this frame: with what leads to the error it would be a cycle.
        promise, event.promise = event.promise, _ANSWERED
        complete(promise.fail, error)
        del promise
    except BaseException:
        event.drop()
        raise
    else:
        try:  # as `complete` does, without its call: each response comes this way
            is_wanted = event.promise.set(response)
        except FAILURES:
            log_failure(logger, CALLBACK_FAILED)
        else:
            if not is_wanted:
                dismiss(response)


_ANSWERED: Final[Promise[Any]] = Promise()
"""The promise of an event whose own one has failed."""
_ANSWERED.set(None)

CALLBACK_FAILED = "a callback of the future of a handler's result failed"


def complete(move: Callable[..., bool], *args: Any, **kwargs: Any) -> bool | None:
    """Return what the *move* of a promise returns; None, which is logged, if a callback fails.

    Callbacks of the future run in here, and what they raise is no failure of the process.
    """
    try:
        return move(*args, **kwargs)
    except FAILURES:
        log_failure(logger, CALLBACK_FAILED)
        return None


def with_reader(request: Request) -> Request:
    """Return *request* with its body in a pipe, if it is not."""
    if request.reader is not None:
        return request
    pipe = Pipe()
    pipe.writer.write(request.body)
    pipe.writer.close()
    return request.replace(body=b"", reader=pipe.reader)


class PendingRequest:
    """A request on its way to a handler."""

    __slots__ = ("answer", "event", "principal", "route", "weight")

    def __init__(self, route: Route, event: HttpEvent) -> None:
        self.route = route
        self.event = event
        self.principal: Any = None
        self.answer: Future[Any] | None = None
        self.weight = weight_of_request(event.request)

    def ask(self, question: Callable[..., Any], *args: Any) -> None:
        """Keep the answer to *question* as a future, also when it is an error."""
        try:
            answer = question(*args)
        except FAILURES as error:
            # Without this frame, which would tie the error and the future into a cycle.
            traceback = error.__traceback__ and error.__traceback__.tb_next
            self.answer = Future.failed(error.with_traceback(traceback))
        except BaseException:
            self.event.drop()
            raise
        else:
            self.answer = answer if isinstance(answer, Future) else Future(answer)

    def take_step(self, step: Callable[[PendingRequest], None]) -> None:
        """Call *step* with this, in the trace context of the request: it may be the turn of another."""
        if TRACING.is_active:
            with use_trace(self.event.trace):
                step(self)
        else:
            step(self)

    @property
    def is_answered(self) -> bool:
        """Whether there is a result, or none will come."""
        return self.answer is None or self.answer.ready()

    @property
    def is_wanted(self) -> bool:
        """Whether the client still waits."""
        return not self.event.promise.future.has_discard

    def discard(self) -> None:
        """Request the discard of the pending authentication or authorization."""
        if self.answer is not None:
            self.answer.discard()


class AuthQueue:
    """The requests of one process that wait for authentication or authorization.

    Authentications run concurrently. Authorization callbacks and handlers are called in the order of
    the requests, whatever the order of the results, in turns of the process, one handler a turn.

    Source: libprocess src/process.cpp has a Sequence for each process. Differs: a request waits
    for those before it only; there, its authorization also waits for later authentications.
    """

    __slots__ = (
        "_authenticating",
        "_authorizing",
        "_bytes",
        "_record",
        "_gatekeeper",
        "_is_woken",
        "_manager",
    )

    def __init__(
        self, record: ProcessRecord, manager: ProcessManager, gatekeeper: Gatekeeper
    ) -> None:
        self._record = record
        self._manager = manager
        self._gatekeeper = gatekeeper
        self._authenticating: deque[PendingRequest] = deque()
        self._authorizing: deque[PendingRequest] = deque()
        self._bytes = 0  # of all requests here
        self._is_woken = False

    def __len__(self) -> int:
        return len(self._authenticating) + len(self._authorizing)

    def __repr__(self) -> str:
        return (
            f"<AuthQueue of {self._record.pid}, {len(self._authenticating)} authenticating, "
            f"{len(self._authorizing)} authorizing>"
        )

    # In a turn of the process

    def enter(self, visit: PendingRequest) -> None:
        """Add *visit* behind the pending requests, and advance them."""
        if not self._has_room(visit):
            self._manager.observer.event_dropped(
                self._record.pid, visit.event, NO_SENDER, MAILBOX_FULL
            )
            visit.event.promise.set(ServiceUnavailable())
            return
        self._bytes += visit.weight
        realm = visit.route.options.realm
        if realm is not None:
            self._ask(visit, self._gatekeeper.authenticate, visit.event.request, realm)
        self._authenticating.append(visit)
        self.advance()

    def _has_room(self, visit: PendingRequest) -> bool:
        """Whether *visit* fits the bounds of the mailbox, which apply to this queue, too."""
        if not len(self):
            return True
        manager = self._manager
        most = manager.quota.max_mailbox_bytes
        return len(self) < manager.max_events and self._bytes + visit.weight <= most

    def advance(self) -> None:
        """Move each request on as far as the results allow; at most one handler begins."""
        self._is_woken = False
        while self._authenticating and self._authenticating[0].is_answered:
            visit = self._authenticating.popleft()
            visit.take_step(self._authorize)
            self._authorizing.append(visit)
        if self._authorizing and self._authorizing[0].is_answered:
            visit = self._authorizing.popleft()
            self._bytes -= visit.weight
            if self._authorizing and self._authorizing[0].is_answered:
                self._wake()
            visit.take_step(self._finish)

    def _authorize(self, visit: PendingRequest) -> None:
        """Start the authorization of *visit*, unless it is refused or its client is gone."""
        answer = visit.answer
        if answer is not None:
            if not answer.is_ready or isinstance(answer.value, Response) or not visit.is_wanted:
                return
            visit.principal = answer.value
            visit.answer = None
        if self._gatekeeper.authorizes:
            where = self._record.pid.id, visit.route.options.path
            self._ask(
                visit, self._gatekeeper.authorize, visit.event.request, visit.principal, *where
            )

    def _finish(self, visit: PendingRequest) -> None:
        """Call the handler, or answer with the refusal."""
        promise, answer = visit.event.promise, visit.answer
        if not visit.is_wanted:
            promise.discard()
        elif answer is not None and not answer.is_ready:
            promise.associate(answer)
        elif answer is not None and isinstance(answer.value, Response):
            promise.set(answer.value)
        elif answer is not None and answer.value is not True:
            promise.set(Forbidden())
        else:
            run_handler(self._record, visit.route, visit.event, visit.principal)

    def _ask(self, visit: PendingRequest, question: Callable[..., Any], *args: Any) -> None:
        visit.ask(question, *args)
        if visit.answer is not None and not visit.is_answered:
            visit.event.promise.future.on_discard(visit.discard)
            visit.answer.add_done_callback(self._wake)

    # Anywhere

    def _wake(self, answer: object = None) -> None:
        """Queue the `advance` of the process; any native thread may call this."""
        if not self._is_woken:
            self._is_woken = True
            self._manager.push(self._record, ResumeEvent(self))

    def close(self) -> None:
        """Drop every pending request: the process has ended."""
        visits = [*self._authorizing, *self._authenticating]
        self._authorizing.clear()
        self._authenticating.clear()
        self._bytes = 0
        for visit in visits:
            self._manager.observer.event_dropped(
                self._record.pid, visit.event, NO_SENDER, TERMINATED
            )
            visit.event.drop()
            visit.discard()


class ResumeEvent(DispatchEvent):
    """The call of `AuthQueue.advance` in a turn of the process."""

    __slots__ = ("_auth_queue",)

    def __init__(self, auth_queue: AuthQueue) -> None:
        super().__init__(auth_queue.advance)
        self._auth_queue = auth_queue

    @property
    def content(self) -> None:
        """None: no program sent it."""

    def drop(self, reason: str | None = None) -> None:
        self._auth_queue.close()
