"""``/metrics``: all metrics of a node, as JSON and in the Prometheus text format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenproc.errors import InvalidArgument, StateError
from greenproc.future import Future
from greenproc.http.headers import Headers
from greenproc.http.request import Request
from greenproc.http.response import NOSNIFF, OK, BadRequest, Response, ServiceUnavailable
from greenproc.metrics import Registry, write_metrics
from greenproc.metrics.prometheus import CONTENT_TYPE
from greenproc.metrics.registry import flatten
from greenproc.process.base import Process
from greenproc.process.help import AUTHENTICATION, DESCRIPTION, HELP, TLDR
from greenproc.sync import RateLimiter
from greenproc.timestamp import parse_duration

MAX_WAITING = 1000
"""The maximum number of queued requests; further ones get 503."""

SCRAPE_SECONDS = 5.0  # half of the default scrape timeout of Prometheus

Write = Callable[[list[Any], Request], Response]


class Metrics(Process):
    """Serves snapshots of all metrics.

    Args:
        registry: the metrics of the runtime.
        rate: the limit as (requests, seconds); requests beyond it are delayed. None disables it.
        realm: the authentication realm; None disables authentication.

    Source: libprocess src/metrics/metrics.cpp.
    """

    def __init__(
        self, registry: Registry, rate: tuple[int, float] | None, realm: str | None
    ) -> None:
        super().__init__("metrics")
        self._registry = registry
        self._limiter = None if rate is None else RateLimiter(*rate, capacity=MAX_WAITING)
        self.route("/snapshot", self.on_snapshot, help=SNAPSHOT_HELP, realm=realm)
        self.route("/prometheus", self.on_prometheus, help=PROMETHEUS_HELP, realm=realm)

    def finalize(self) -> None:
        if self._limiter is not None:
            self._limiter.close()

    def on_snapshot(
        self, request: Request, principal: object = None
    ) -> Response | Future[Response]:
        """Serve a JSON object that maps metric names to numbers."""
        return self._answer(request, None, _as_json)

    def on_prometheus(
        self, request: Request, principal: object = None
    ) -> Response | Future[Response]:
        """Serve the metrics in the Prometheus text format 0.0.4."""
        return self._answer(request, SCRAPE_SECONDS, _as_text)

    def _answer(
        self, request: Request, timeout: float | None, write: Write
    ) -> Response | Future[Response]:
        text = request.url.query.get("timeout")
        if text is not None:
            try:
                timeout = parse_duration(text)
            except InvalidArgument as error:
                return BadRequest(f"Invalid timeout '{text}': {error}.\n")
        spawn = self.runtime.spawn_greenlet

        def read(permit: None) -> Future[Response]:
            # The timeout starts with the permit; the delay of the rate limit is not part of it.
            readings = self._registry.collect(timeout, spawn=spawn)
            return readings.then(lambda found: write(found, request))

        try:
            permit = Future(None) if self._limiter is None else self._limiter.acquire()
        except StateError:
            return ServiceUnavailable()
        return permit.then(self.defer(read))


def _as_json(readings: list[Any], request: Request) -> Response:
    return OK(json=flatten(readings), jsonp=request.url.query.get("jsonp"))


def _as_text(readings: list[Any], request: Request) -> Response:
    return OK(write_metrics(readings), headers=Headers((("Content-Type", CONTENT_TYPE), NOSNIFF)))


_LIMITED = "The endpoint is limited in rate: requests beyond it are answered later."

SNAPSHOT_HELP = HELP(
    TLDR("Provides a snapshot of the current metrics."),
    DESCRIPTION(
        "Answers with a JSON object whose keys are the names of the metrics, in alphabetical",
        "order. A metric with a window of former values has more keys, such as `NAME/p99`. A",
        "metric without a value is omitted.",
        "",
        "* `timeout=DURATION`, such as `5secs`: answer after so long with what has come; without",
        "  it, every metric is waited for.",
        "* `jsonp=NAME`: make the JSON the argument of a function.",
        "",
        _LIMITED,
    ),
    AUTHENTICATION(True),
)
PROMETHEUS_HELP = HELP(
    TLDR("Provides the current metrics to Prometheus."),
    DESCRIPTION(
        "Answers in the text format, version 0.0.4. A slash in a name is written as `_`.",
        "",
        f"* `timeout=DURATION`: how long to wait for metrics, {SCRAPE_SECONDS:g}secs if not given.",
        "",
        _LIMITED,
    ),
    AUTHENTICATION(True),
)
