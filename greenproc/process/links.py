"""The table of links: linkers, linkees, addresses. It queues no events and opens no sockets."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

from greenproc.address import Address
from greenproc.pid import UPID

Linker = TypeVar("Linker", bound=Hashable)


class LinkTable(Generic[Linker]):
    """The links of one runtime. A link is one-way and exists at most once.

    Source: libprocess src/socket_manager.hpp, SocketManager::links.
    """

    def __init__(self) -> None:
        # Dictionaries with None values serve as ordered sets, so that exits are queued in the order
        # in which the links were made.
        self._linkers: dict[UPID, dict[Linker, None]] = {}
        self._linkees: dict[Linker, dict[UPID, None]] = {}
        self._remotes: dict[Address, dict[UPID, None]] = {}

    def add(self, linker: Linker, linkee: UPID, *, remote: bool) -> bool:
        """Add the link from *linker* to *linkee* and return whether it is new.

        Args:
            linker: the process that watches.
            linkee: the address that is watched.
            remote: whether a connection carries the link.
        """
        if linkee in self._linkees.get(linker, ()):
            return False
        self._linkers.setdefault(linkee, {})[linker] = None
        self._linkees.setdefault(linker, {})[linkee] = None
        if remote:
            self._remotes.setdefault(linkee.address, {})[linkee] = None
        return True

    def remove(self, linker: Linker, linkee: UPID) -> None:
        """Forget the link from *linker* to *linkee*, which must exist."""
        del self._linkees[linker][linkee]
        if not self._linkees[linker]:
            del self._linkees[linker]
        self._forget_linker(linker, linkee)

    def remove_linker(self, linker: Linker) -> None:
        """Forget every link that *linker* made."""
        for linkee in self._linkees.pop(linker, ()):
            self._forget_linker(linker, linkee)

    def take_linkers(self, linkee: UPID) -> list[Linker]:
        """Remove every link to *linkee* and return the linkers."""
        linkers = list(self._linkers.pop(linkee, ()))
        for linker in linkers:
            linkees = self._linkees[linker]
            del linkees[linkee]
            if not linkees:
                del self._linkees[linker]
        if linkers:
            self._forget_remote(linkee)
        return linkers

    def take_address(self, address: Address) -> list[tuple[UPID, list[Linker]]]:
        """Remove every link over the connection to *address*; return linkees with their linkers."""
        linkees = list(self._remotes.get(address, ()))
        return [(linkee, self.take_linkers(linkee)) for linkee in linkees]

    def linkees(self, linker: Linker) -> Collection[UPID]:
        """Return the linkees of *linker*, in the order of the links."""
        return self._linkees.get(linker, {}).keys()

    def linkers(self, linkee: UPID) -> Collection[Linker]:
        """Return the local linkers of *linkee*, in the order of the links."""
        return self._linkers.get(linkee, {}).keys()

    def _forget_linker(self, linker: Linker, linkee: UPID) -> None:
        linkers = self._linkers[linkee]
        del linkers[linker]
        if not linkers:
            del self._linkers[linkee]
            self._forget_remote(linkee)

    def _forget_remote(self, linkee: UPID) -> None:
        linkees = self._remotes.get(linkee.address)
        if linkees is not None and linkees.pop(linkee, self) is None and not linkees:
            del self._remotes[linkee.address]

    def __len__(self) -> int:
        return sum(len(linkees) for linkees in self._linkees.values())

    def __repr__(self) -> str:
        return f"<LinkTable {len(self)} links to {len(self._linkers)} processes>"
