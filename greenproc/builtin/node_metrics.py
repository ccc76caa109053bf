"""`NodeMetrics`: the metrics of a node, read from the counters that its parts maintain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from greenproc.builtin.hub_lag import HubLag
from greenproc.builtin.mailbox_summary import mailbox_summary
from greenproc.builtin.supervision import supervision_metrics
from greenproc.metrics import Metric, PulledCounter, PulledFamily, PullGauge
from greenproc.process.manager import ProcessManager

PREFIX = "greenproc/"

MAX_MAILBOXES = 100
"""The number of mailboxes in a snapshot, the fullest ones."""

_TOLD: tuple[tuple[type[PullGauge], str, str, str, str], ...] = (
    (PullGauge, "processes", "processes", "processes", "Local processes."),
    (PullGauge, "processes_busy", "processes", "busy", "Processes that have something to do."),
    (PullGauge, "queued_bytes", "processes", "queued_bytes", "Bytes in the fuller mailboxes."),
    (PulledCounter, "refused_bytes", "processes", "refused_bytes", "Bytes that no mailbox took."),
    (PullGauge, "open_asks", "processes", "asks", "Asks that have no answer yet."),
    (PulledCounter, "asks_refused", "processes", "asks_refused", "Asks that were one too many."),
    (PullGauge, "links", "processes", "links", "Links of local processes."),
    (PullGauge, "timers", "clock", "timers", "Timers that are pending."),
    (PullGauge, "connections_in", "inbound", "connections", "Connections that others opened."),
    (PullGauge, "connections_in_limit", "inbound", "max_connections", "How many may stand."),
    (PullGauge, "connections_out", "outbound", "connections", "Connections to other nodes."),
    (PulledCounter, "messages_out", "outbound", "sent", "Messages written to other nodes."),
    (PullGauge, "websockets", "websockets", "connections", "WebSockets that are open."),
    (PulledCounter, "websockets_opened", "websockets", "opened", "WebSockets since the start."),
    (PulledCounter, "websockets_refused", "websockets", "refused", "Handshakes refused."),
    (PulledCounter, "websocket_messages_in", "websockets", "messages_in", "From clients."),
    (PulledCounter, "websocket_messages_out", "websockets", "messages_out", "To clients."),
    (PulledCounter, "websockets_slow", "websockets", "slow", "Clients that read too slowly."),
    (PulledCounter, "websockets_dead", "websockets", "dead", "Clients that answered no Ping."),
    (PullGauge, "event_streams", "event_streams", "clients", "Clients of event streams."),
    (PulledCounter, "event_streams_opened", "event_streams", "opened", "Since the start."),
    (
        PulledCounter,
        "event_streams_slow",
        "event_streams",
        "slow",
        "Clients that read too slowly.",
    ),
    (PulledCounter, "events_dropped", "event_streams", "dropped", "Events that slow ones lost."),
    (PulledCounter, "websockets_failed", "websockets", "failed", "Errors of handlers."),
)
"""Metrics of `Runtime.statistics`: kind, name, the part and key of the statistic, help."""


class NodeMetrics:
    """The metrics of a node.

    Args:
        processes: the process manager of the runtime.
        statistics: `Runtime.statistics`.
        dropped: the counts of dropped messages by reason.
        refused: the counts of rejected clients by reason.
        too_much: ``mailbox_full``, the counts of events that met a mailbox at its limit, by
            policy, and ``dead_letters``, the counts of dropped messages, dispatches and requests.
        http_requests: returns the number of requests for a route, which are no messages.
    """

    def __init__(
        self,
        processes: ProcessManager,
        statistics: Callable[[], Mapping[str, Any]],
        dropped: Mapping[str, int],
        refused: Mapping[str, int],
        too_much: Mapping[str, Mapping[str, int]],
        http_requests: Callable[[], int],
    ) -> None:
        self.processes = processes
        self.dropped = dropped
        self.refused = refused
        self.too_much = too_much
        self.http_requests = http_requests
        self._statistics = statistics

    def statistic(self, part: str, key: str) -> float:
        """Return a statistic of a part of the runtime; 0 before the part is created."""
        return float(self._statistics()[part].get(key, 0))

    def messages_in(self) -> float:
        """Return the number of messages received from other nodes."""
        # A connection counts a batch after its delivery, so the difference may be negative.
        return max(self.statistic("inbound", "requests") - self.http_requests(), 0.0)

    def metrics(self, lag: HubLag) -> list[Metric]:
        """Return all metrics of the node."""
        return [
            *(
                kind(PREFIX + name, partial(self.statistic, part, key), help=help)
                for kind, name, part, key, help in _TOLD
            ),
            *self._counters(),
            *self._families(),
            *supervision_metrics(self.processes, PREFIX),
            PullGauge(
                f"{PREFIX}hub_lag_secs",
                lambda: lag.last,
                help="How late the hub was when it was last measured.",
            ),
            PullGauge(
                f"{PREFIX}hub_lag_longest_secs",
                lambda: lag.longest,
                help="The most that the hub was late in the last minute.",
            ),
        ]

    def _counters(self) -> list[Metric]:
        return [
            PulledCounter(
                f"{PREFIX}events_served",
                lambda: mailbox_summary(self.processes, 0).served,
                help="Events that local processes have served.",
            ),
            PulledCounter(
                f"{PREFIX}messages_in", self.messages_in, help="Messages from other nodes."
            ),
            PulledCounter(
                f"{PREFIX}http_requests", self.http_requests, help="HTTP requests for a route."
            ),
        ]

    def _families(self) -> list[Metric]:
        return [
            PulledFamily(
                f"{PREFIX}mailbox_events",
                "process",
                self._mailboxes,
                help=f"Queued events of the {MAX_MAILBOXES} fullest mailboxes.",
            ),
            PulledFamily(
                f"{PREFIX}messages_dropped",
                "reason",
                lambda: _by_name(self.dropped),
                help="Messages that no handler got.",
                kind="counter",
            ),
            PulledFamily(
                f"{PREFIX}mailbox_full",
                "policy",
                lambda: dict(self.too_much["mailbox_full"]),
                help="Events that found the mailbox at the limit of its process.",
                kind="counter",
            ),
            PulledFamily(
                f"{PREFIX}dead_letters",
                "kind",
                lambda: dict(self.too_much["dead_letters"]),
                help="Messages, dispatches and requests that no handler got.",
                kind="counter",
            ),
            PulledFamily(
                f"{PREFIX}clients_refused",
                "reason",
                lambda: _by_name(self.refused),
                help="Connections that were refused, or closed for what their clients did.",
                kind="counter",
            ),
        ]

    def _mailboxes(self) -> dict[str, int]:
        deepest = mailbox_summary(self.processes, MAX_MAILBOXES).deepest
        return {record.pid.id: len(record.events or ()) for record in deepest}


def _by_name(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts with their reasons spelled as metric names."""
    return {reason.replace(" ", "_"): count for reason, count in counts.items()}
