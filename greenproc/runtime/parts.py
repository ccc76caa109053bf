"""`Parts`: what a started runtime consists of, plugged together, and the order of its stages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import gevent
from gevent import socket

from greenproc.address import Address
from greenproc.auth import AccessControl
from greenproc.builtin.node_metrics import NodeMetrics
from greenproc.builtin.page import NODE_ID
from greenproc.clock import Clock, HubSource
from greenproc.current import default
from greenproc.errors import BindError
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process.base import Process
from greenproc.process.current import PROCESS
from greenproc.process.manager import ProcessManager
from greenproc.process.record import TERMINATING, ProcessRecord, name_processes
from greenproc.process.scheduler import TurnLimits
from greenproc.process.weak_method import is_over, weaken
from greenproc.runtime.builtins import make_builtins
from greenproc.runtime.hub_watch import HubWatch
from greenproc.runtime.interrupts import Interrupts
from greenproc.runtime.lifecycle import Lifecycle, Stage, nothing
from greenproc.runtime.signals import SignalObserver, Signals
from greenproc.settings import Settings
from greenproc.subprocess import Reaper
from greenproc.transport import Listener, SocketManager, TransportHooks
from greenproc.web import Firewall, RequestRouter
from greenproc.websockets import WebSocketRegistry

if TYPE_CHECKING:
    from greenproc.runtime.runtime import Runtime

logger = logging.getLogger("greenproc.runtime")

CLOSING_SECONDS = 2.0  # how long clients may take to answer the Close of a node that stops
UNWIND_SECONDS = 0.5  # of real time for processes that are asked or forced to end at last


class Parts:
    """The parts of one runtime. Made when it starts, since they belong to the hub of that moment.

    The floors below do not know each other; this is where each is given what it needs of others.
    """

    def __init__(
        self,
        runtime: Runtime,
        settings: Settings,
        signals: Signals,
        *,
        delegate: str | None,
        firewall: Firewall,
        spawn: Callable[..., Any],
    ) -> None:
        self._settings = settings
        self._runtime = runtime
        self.clock = make_clock(spawn)
        runtime.dead_letters.use_clock(self.clock)
        observer = self._observer = SignalObserver(runtime, signals, runtime.dead_letters)
        self.dropped: Mapping[str, int] = observer.dropped
        """How many messages were dropped, by reason."""
        self.reaper = Reaper(self.clock)
        self.processes = ProcessManager(
            runtime,
            clock=self.clock,
            observer=observer,
            settings=settings,
            limits=self.turn_limits(settings),
        )
        self.websockets = WebSocketRegistry(settings.max_unsent_bytes)
        self.router = RequestRouter(self.processes, firewall, delegate, root=NODE_ID)
        self._hooks = self._make_hooks(spawn)
        self.listener = Listener(settings, self._hooks)
        seconds = settings.authentication_timeout
        self._access_control = AccessControl(
            runtime.authenticators, runtime.authorization, timeout=seconds
        )
        self.sockets: SocketManager | None = None
        self.address: Address | None = None
        self.killed: list[UPID] = []
        self.lifecycle = Lifecycle(self._stages())

    def _make_hooks(self, spawn: Callable[..., Any]) -> TransportHooks:
        return TransportHooks(
            deliver=self.processes.deliver,
            serve=self.router.serve,
            streams=self.router.streams,
            is_raw=self.router.is_raw,
            upgrades=self.router.upgrades,
            lost=self.processes.lose_address,
            dropped=self._message_unsent,
            not_found=self.processes.asks.lose_not_found,
            refused=self._observer.client_refused,
            accepted=partial(self._observer.connection_opened, "inbound"),
            left=partial(self._observer.connection_closed, "inbound"),
            connected=partial(self._observer.connection_opened, "outbound"),
            disconnected=partial(self._observer.connection_closed, "outbound"),
            spawn=spawn,
        )

    def _message_unsent(self, message: Message, reason: str) -> None:
        self._observer.message_unsent(message, reason)
        self.processes.asks.lose(message, reason)

    @staticmethod
    def turn_limits(settings: Settings) -> TurnLimits:
        """Return the limits of turns: the usual ones; tests replace this to try others."""
        return TurnLimits(parked=settings.max_parked_greenlets)

    def _stages(self) -> list[Stage]:
        seconds = self._settings.blocked_after
        watch = HubWatch(gevent.get_hub(), seconds, self._observer.hub_blocked)
        interrupts = Interrupts()
        return [
            # First and last: Ctrl-C is to interrupt no part, from start to stop.
            Stage("interrupts", interrupts.start, lambda seconds: interrupts.stop()),
            # First and last: every other part may use timers.
            Stage("clock", self.clock.start, lambda seconds: self.clock.stop()),
            # As long as there is something that could block the hub.
            Stage("hub watch", watch.start, lambda seconds: watch.stop()),
            # Up to the end of the processes, which may run programs when they finalize.
            Stage("reaper", nothing, lambda seconds: self.reaper.close()),
            # Before the processes, whose ids carry the address. Its connections are closed after
            # the processes ended, so that their last answers still leave.
            Stage("listener", self._bind, self._close_listener),
            # Below the processes, whose last messages it still sends.
            Stage("sockets", self._open_sockets, self._close_sockets),
            Stage("processes", self._open_processes, self._end_processes),
            # After processes are accepted, and before a client can connect.
            Stage("built-ins", self._spawn_builtins, nothing),
            # Last to open and first to close: a client that connects finds a complete node.
            Stage("accept", self._accept, self._stop_accepting),
        ]

    def _bind(self) -> None:
        bound = self.listener.bind()
        self.address = advertised_address(self._settings, bound)
        if self.address in default.stopped:
            default.stopped.remove(self.address)

    def _close_listener(self, seconds: float) -> None:
        # Those that came through another server are not of the listener.
        self.websockets.stop(min(seconds, CLOSING_SECONDS))
        self.listener.stop(seconds)

    def _open_sockets(self) -> None:
        assert self.address is not None
        self.sockets = SocketManager(self._settings, self._hooks, self.address)
        self.sockets.start()

    def _close_sockets(self, seconds: float) -> None:
        if self.sockets is not None:
            self.sockets.stop(seconds)

    def _open_processes(self) -> None:
        assert self.address is not None and self.sockets is not None
        self.processes.open(self.address, self.sockets, self._access_control)

    def _spawn_builtins(self) -> None:
        node_metrics = NodeMetrics(
            self.processes,
            statistics=self._runtime.statistics,
            dropped=self._observer.dropped,
            refused=self._observer.refused,
            too_much={
                "mailbox_full": self._observer.full,
                "dead_letters": self._runtime.dead_letters.counts,
            },
            http_requests=lambda: self.router.requests,
        )
        for process in make_builtins(self._runtime, node_metrics):
            self.processes.spawn(process)

    def _accept(self) -> None:
        self.listener.start(self.address)
        logger.info("listening on %s, reached at %s", self.listener.address, self.address)

    def _stop_accepting(self, seconds: float) -> None:
        self.listener.drain_http()

    def _end_processes(self, seconds: float) -> None:
        """End each process after its queued events, the youngest first; kill those that do not end.

        Supervised ones are ended by their supervisors, in their order and with their limits.

        Source: libprocess src/process.cpp, ProcessManager::finalize. Differs: it has a limit.
        """
        self.clock.resume()
        self.processes.stop_accepting()
        deadline = monotonic() + seconds
        for record in reversed(
            [record for record in self._running() if record.supervised is None]
        ):
            self.processes.terminate(record.pid, inject=False)
            if not self._wait_until(deadline, [record]):
                break
        stuck = self._running()
        for record in stuck:
            self.processes.terminate(record.pid)
        self._wait_until(monotonic() + UNWIND_SECONDS, stuck)
        self._kill(self._running())
        if not self.processes.records:  # those that are abandoned may still get so far as to end
            self.processes.scheduler.close()
        self.processes.asks.close()
        default.stopped.append(self.address)

    def disown(self) -> None:
        """Close the descriptors and stand still: the parts belong to a thread that is no more."""
        self.processes.disown()
        self.clock.disown()
        self.reaper.disown()
        self.listener.disown()
        if self.sockets is not None:
            self.sockets.disown()

    def _running(self) -> list[ProcessRecord]:
        return list(self.processes.records.values())

    def _wait_until(self, deadline: float, records: list[ProcessRecord]) -> bool:
        """Wait until *records* have ended and return whether they did before *deadline*."""
        for record in records:
            left = max(deadline - monotonic(), 0.0)
            gevent.with_timeout(left, self.processes.wait, record.pid, timeout_value=False)
        return all(record.state is TERMINATING for record in records)

    def _kill(self, records: list[ProcessRecord]) -> None:
        """End processes that did not end by themselves: handlers are interrupted where they wait."""
        self.killed.extend(record.pid for record in records if record.pid not in self.killed)
        if records:
            logger.warning(
                "killing processes that did not terminate: %s", name_processes(records, named)
            )
        for _ in range(2):  # once out of the handler, once out of finalize()
            records = self._running()
            for record in records:
                if record.greenlet is not None:
                    gevent.kill(record.greenlet)
            if self._wait_until(monotonic() + UNWIND_SECONDS, records):
                return
        logger.error(
            "processes do not let themselves be killed, abandoned: %s",
            name_processes(records, named),
        )


def make_clock(spawn: Callable[..., Any]) -> Clock:
    """Return a clock whose owners are processes."""
    return Clock(
        HubSource(),
        current=PROCESS.get,
        spawn=spawn,
        owners=Process,
        weaken=weaken,
        is_over=is_over,
    )


def named(record: ProcessRecord) -> str:
    """Name the process of *record*."""
    return str(record.pid)


def advertised_address(settings: Settings, bound: Address) -> Address:
    """Return the address that UPIDs carry: *bound*, with what the settings advertise instead.

    Where every interface is bound and no address is advertised, it is that of the host's name.

    Raises:
        BindError: the name of this host has no address.

    Source: libprocess src/process.cpp, initialize.
    """
    ip = settings.advertise_ip or bound.ip
    port = settings.advertise_port or bound.port
    if Address(ip, port).is_any:
        name = socket.gethostname()
        family = socket.AF_INET6 if Address(ip, port).is_ipv6 else socket.AF_INET
        try:
            ip = str(socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)[0][4][0])
        except OSError as error:
            raise BindError(
                f"expected the host's name {name!r} to have an address to advertise, got {error}: "
                "set Settings.advertise_ip or LIBPROCESS_ADVERTISE_IP"
            ) from error
    return Address(ip, port)
