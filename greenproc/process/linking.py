"""Links and exits: the link table applied to processes and connections."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from typing import Any

from greenproc.address import Address
from greenproc.clock import Clock
from greenproc.errors import Broken
from greenproc.pid import UPID, ClaimedUPID
from greenproc.process.event import ExitedEvent
from greenproc.process.links import LinkTable
from greenproc.process.ports import Observer, RemoteConnection, Transport
from greenproc.process.record import TERMINATING, ProcessRecord

logger = logging.getLogger("greenproc.process")


class Linking:
    """Lets processes watch others and queues an `ExitedEvent` for each link that ends.

    Source: libprocess src/process.cpp, ProcessManager::link and SocketManager::exited.
    """

    def __init__(
        self,
        running: Container[str],
        clock: Clock,
        observer: Observer,
        enqueue: Callable[[ProcessRecord, ExitedEvent], Any],
    ) -> None:
        self.table: LinkTable[ProcessRecord] = LinkTable()
        self._running = running
        self._clock = clock
        self._observer = observer
        self._enqueue = enqueue
        self._address: Address | None = None
        self._transport: Transport | None = None

    def open(self, address: Address, transport: Transport) -> None:
        """Set the address of this node and the transport of remote links."""
        self._address = address
        self._transport = transport

    def link(self, record: ProcessRecord, to: UPID, mode: RemoteConnection) -> None:
        """Let the process of *record* watch *to*. See `Process.link`."""
        if to.is_empty or record.state is TERMINATING:
            return  # an ended process gets no exit event, and its links would never be removed
        if to.address == self._address:
            if to.id in self._running:
                self._record(record, to, remote=False)
            else:
                self._tell(record, to)
            return
        assert self._transport is not None
        # Added before the connection exists: one that fails at once must find the link to report it.
        is_new = self._record(record, to, remote=True)
        try:
            self._transport.link(to.address, mode, is_claimed=isinstance(to, ClaimedUPID))
        except Broken as error:
            logger.debug("no connection for the link to %s: %s", to, error)
            if is_new:
                self.table.remove(record, to)
            self._tell(record, to)

    def end(self, record: ProcessRecord) -> list[ProcessRecord]:
        """Forget the links of a process that ended; return the linkers to `tell_end` to.

        The order matters: a process linked to itself gets no exit event, as in libprocess.
        """
        self.table.remove_linker(record)
        return self.table.take_linkers(record.pid)

    def tell_end(self, linker: ProcessRecord, record: ProcessRecord) -> None:
        """Queue for *linker* the exit of the process of *record*."""
        if self._clock.paused:
            self._clock.order(record.process, linker.process)
        self._tell(linker, record.pid, record.reason)

    def lose_address(self, address: Address) -> None:
        """Queue an exit for each linker of a process at *address*: the connection is lost."""
        for linkee, linkers in self.table.take_address(address):
            for linker in linkers:
                self._tell(linker, linkee)

    def _record(self, record: ProcessRecord, to: UPID, *, remote: bool) -> bool:
        is_new = self.table.add(record, to, remote=remote)
        if is_new:
            self._observer.link_made(record.pid, to)
        return is_new

    def _tell(
        self, linker: ProcessRecord, linkee: UPID, reason: BaseException | None = None
    ) -> None:
        self._enqueue(linker, ExitedEvent(linkee, reason))
        self._observer.link_lost(linker.pid, linkee)
