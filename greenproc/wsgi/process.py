"""`WSGIProcess`: a process that serves a WSGI app."""

from __future__ import annotations

from collections.abc import Iterable

from greenproc.checks import check_callable, whole_number
from greenproc.http.response import OK, Response
from greenproc.metrics import PullGauge
from greenproc.metrics.gauge import PulledCounter
from greenproc.process.base import Process
from greenproc.process.event import HttpEvent
from greenproc.wsgi.app_call import App, AppCall
from greenproc.wsgi.app_calls import AppCalls
from greenproc.wsgi.environ import Environ, Target, add_server, make_environ
from greenproc.wsgi.error_log import ErrorLog
from greenproc.wsgi.file_wrapper import FileWrapper
from greenproc.wsgi.input import BodyTooLarge, RequestBody
from greenproc.wsgi.proxies import TrustedProxies

MAX_RUNNING = 1000  # the default of gunicorn's worker_connections
MAX_WAITING = 1000

DRAIN_SHARE = 0.75
"""The fraction of ``Settings.stop_timeout`` that running requests may take; the rest is left for
the other processes."""

_SAME_FOR_ALL: Environ = {
    "wsgi.version": (1, 0),
    # Requests are concurrent, though on one native thread, so apps must lock shared state.
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": FileWrapper,
    "wsgi.input_terminated": True,
}


class WSGIProcess(Process):
    """Serves a WSGI app: Flask, Django, or any other callable of PEP 3333.

    ::

        with Runtime(settings, delegate="app") as runtime:
            runtime.spawn(WSGIProcess("app", app))

    As the delegate of its node it serves each request that names no other process, and the app is
    mounted at the root. Otherwise the app is mounted at ``/<id>``, which is its ``SCRIPT_NAME``.

    Each request runs in a greenlet of its own, so the process handles messages meanwhile; the
    requests of one connection run in order. In the app, the module-level functions use the
    runtime of the node.

    On termination the process awaits running requests for up to three quarters of
    ``Settings.stop_timeout``.

    Args:
        id: the id of the process.
        app: the WSGI callable.
        max_body_bytes: the maximum request body; longer ones get 413. None leaves the limit to
            the app, which reads bodies as streams.
        max_running: the maximum number of concurrent requests.
        max_waiting: the maximum number of queued requests; further ones get 503.
        trusted_proxies: addresses or networks whose ``X-Forwarded-For`` and
            ``X-Forwarded-Proto`` are trusted.

    Raises:
        InvalidArgument: an argument has the wrong type or range.

    Source: PEP 3333.
    """

    takes_raw_requests = True

    def __init__(
        self,
        id: str,
        app: App,
        *,
        max_body_bytes: int | None = None,
        max_running: int = MAX_RUNNING,
        max_waiting: int = MAX_WAITING,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        super().__init__(id)
        check_callable(app)
        if max_body_bytes is not None:
            whole_number("max_body_bytes", max_body_bytes, least=0)
        self.app = app
        self._max_body_bytes = max_body_bytes
        self._proxies = TrustedProxies(trusted_proxies)
        self._mount = id.encode("utf-8", "surrogateescape")
        self._base: Environ = {**_SAME_FOR_ALL, "wsgi.errors": ErrorLog(id)}
        self._failed = 0
        self._calls = AppCalls(
            self._answer,
            self.spawn_greenlet,
            max_running=whole_number("max_running", max_running, least=1),
            max_waiting=whole_number("max_waiting", max_waiting, least=0),
        )
        name = f"wsgi/{id}"
        self._metrics = [
            PulledCounter(f"{name}/requests", lambda: self._calls.served),
            PulledCounter(f"{name}/errors", lambda: self._failed),
            PulledCounter(f"{name}/refused", lambda: self._calls.refused),
            PullGauge(f"{name}/running", lambda: len(self._calls)),
            PullGauge(f"{name}/waiting", lambda: self._calls.waiting),
        ]

    def initialize(self) -> None:
        """Register the metrics ``wsgi/<id>/...``."""
        self._base["greenproc.runtime"] = self.runtime
        for metric in self._metrics:
            self.runtime.metrics.add(metric)

    def finalize(self) -> None:
        """Await the running requests, and kill those that exceed the time limit."""
        self.takes_requests = False
        self._calls.close(self.runtime.settings.stop_timeout * DRAIN_SHARE)
        for metric in self._metrics:
            self.runtime.metrics.remove(metric)

    def statistics(self) -> dict[str, int]:
        """Return the numbers of served, failed, rejected, running and queued requests."""
        calls = self._calls
        return {
            "requests": calls.served,
            "errors": self._failed,
            "refused": calls.refused,
            "running": len(calls),
            "waiting": calls.waiting,
        }

    def streams_body(self, path: str) -> bool:
        """Return True: every body is streamed to the app."""
        return True

    def consume_http(self, event: HttpEvent) -> None:
        """Serve the request with the app, at once or from the queue."""
        self._calls.admit(event)

    def _answer(self, event: HttpEvent) -> None:
        request = event.request
        target = Target(request.head.target, self._mount)
        if target.path == "*":
            event.promise.set(OK())  # RFC 9110 section 9.3.7: "*" means the server, not the app
            return
        try:
            body = RequestBody(request, self._max_body_bytes)
        except BodyTooLarge as error:
            event.promise.set(Response(error.status, str(error), {"Connection": "close"}))
            return
        environ = self._base | make_environ(request, target)
        environ["wsgi.input"] = body.file
        environ["wsgi.url_scheme"] = scheme = self._proxies.believe(environ, "http")
        add_server(environ, request.connection.local, scheme)
        environ["greenproc.request"] = request
        call = AppCall(request, body, event.promise)
        call.run(self.app, environ)
        if call.error is not None:
            self._failed += 1
