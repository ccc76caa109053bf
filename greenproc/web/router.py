"""`RequestRouter`: delivers each HTTP request to a process."""

from __future__ import annotations

import logging

from greenproc.errors import InvalidURL
from greenproc.failures import FAILURES, FailureLog
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import BadRequest, NotFound, Response, ServiceUnavailable
from greenproc.pid import decode_id
from greenproc.process.base import Process
from greenproc.process.event import HttpEvent, TracedHttpEvent
from greenproc.process.manager import ProcessManager
from greenproc.process.ports import Delivery
from greenproc.web.firewall import Firewall

failure_log = FailureLog(logging.getLogger("greenproc.web"))


class RequestRouter:
    """Delivers each request to the process that its path names, else to the delegate.

    Args:
        processes: the processes of the runtime.
        firewall: applied before the delivery.
        delegate: the id of the process that gets requests whose path names no process.
        root: the id of the process that serves ``/`` without a delegate.

    Source: libprocess src/process.cpp, ProcessManager::handle.
    """

    def __init__(
        self,
        processes: ProcessManager,
        firewall: Firewall,
        delegate: str | None = None,
        *,
        root: str | None = None,
    ) -> None:
        self._processes = processes
        self._firewall = firewall
        self._delegate = delegate
        self._root = root
        self.requests = 0
        """The number of requests so far."""
        self.event_streams = dict.fromkeys(("clients", "opened", "slow", "dropped"), 0)
        """Counters of all event streams: *clients* are connected, *opened* have connected so far,
        *slow* counts how often one was slow, and *dropped* the events that these lost."""

    def serve(self, request: Request) -> Future[Response]:
        """Return the future of the response to *request*."""
        self.requests += 1
        path = request.url.path
        if not path.startswith("/") and not self.is_raw(path):
            return Future(BadRequest("Request URL path must start with '/'"))
        # A handler may build the name of a file from the path: no dots lead out of a directory.
        if "/.." in path and not self.is_raw(path):
            return Future(NotFound())
        receiver, path = self._resolve(path)
        if path != request.url.path:
            request.url = request.url.replace(path=path)
        return self._deliver(receiver, request)

    def serve_process(self, id: str, request: Request) -> Future[Response]:
        """Return the future of the response of a process, never that of the delegate.

        Args:
            id: of the process.
            request: whose path begins with that id.
        """
        self.requests += 1
        return Future(NotFound()) if "/.." in request.url.path else self._deliver(id, request)

    def find_process(self, path: str) -> Process | None:
        """Return the process that the first segment of *path* names, never the delegate."""
        try:
            return self._find(decode_id(path.removeprefix("/").partition("/")[0]))
        except InvalidURL:
            return None

    def _deliver(self, receiver: str | None, request: Request) -> Future[Response]:
        # First of all, so that a refusal does not reveal whether the process exists.
        refusal = self._firewall.apply(request)
        if refusal is not None:
            return Future(refusal)
        if receiver is None:
            return Future(NotFound())
        promise: Promise[Response] = Promise()
        future = promise.future
        head = request.head
        if head is None or head.trace is None:
            event = HttpEvent(request, promise)
        else:
            event = TracedHttpEvent(request, promise, head.trace)
        delivery = self._processes.deliver_http(receiver, event)
        if delivery is Delivery.UNKNOWN:
            promise.set(NotFound() if self._processes.accepting else _stopping())
        elif delivery is Delivery.FULL:  # the bound of a mailbox, which a client may retry
            promise.set(ServiceUnavailable())
        return future

    def streams(self, path: str) -> bool:
        """Whether the process that serves *path* reads bodies as they arrive."""
        receiver, path = self._resolve(path)
        process = self._find(receiver)
        if process is None:
            return False
        try:
            return process.streams_body(path)
        except FAILURES as error:
            failure_log.add(f"{process.pid} cannot say whether it streams a body", error)
            return False

    def is_raw(self, path: str) -> bool:
        """Whether the process that serves *path* gets requests as on the wire."""
        process = self._find(self._resolve(path)[0])
        return process is not None and process.takes_raw_requests

    def upgrades(self, path: str) -> bool:
        """Whether a handshake of a WebSocket at *path* reaches a process, or gets a 404."""
        receiver, path = self._resolve(path)
        process = self._find(receiver)
        if process is None:  # a 404 is a regular response to a handshake
            return True
        try:
            return process.takes_websocket(path)
        except FAILURES as error:
            failure_log.add(f"{process.pid} cannot say whether it takes a WebSocket", error)
            return False

    def absolute_path(self, path: str) -> str:
        """Return *path*, with the id of the delegate in front if it names no process."""
        return self._resolve(path)[1]

    def _find(self, id: str | None) -> Process | None:
        record = None if id is None else self._processes.records.get(id)
        return None if record is None else record.process

    def _resolve(self, path: str) -> tuple[str | None, str]:
        """Return the id of the receiver, or None, and the path that it gets."""
        segment = path.lstrip("/").partition("/")[0]
        if not segment:
            if self._delegate is None:
                return self._root, path
            return self._delegate, f"/{self._delegate}"
        try:
            receiver = decode_id(segment)
        except InvalidURL:
            delegate = self._find(self._delegate)
            if delegate is None or not delegate.takes_raw_requests:
                return None, path
            return self._delegate, f"/{self._delegate}{path}"
        # A process that is being restarted has a gap, and its requests must not reach the delegate.
        known = receiver in self._processes.records or receiver in self._processes.gaps
        if known or self._delegate is None:
            return receiver, path
        return self._delegate, f"/{self._delegate}{path}"


def _stopping() -> Response:
    """Return the response while the processes terminate: a balancer may retry elsewhere."""
    return ServiceUnavailable(headers={"Connection": "close"})
