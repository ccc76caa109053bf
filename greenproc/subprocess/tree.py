"""Killing a program together with all that it has started. Linux only."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from greenproc.errors import InvalidArgument

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the table of OS processes says about one of them."""

    pid: int
    parent: int
    group: int
    session: int


def kill_tree(
    pid: int, number: int = signal.SIGKILL, *, groups: bool = False, sessions: bool = False
) -> tuple[int, ...]:
    """Send a signal to an OS process and its descendants, and return who got it, the root first.

    All are stopped before, so that none escapes by making another one, and continued afterwards.
    A descendant whose parent has ended is not found any more, unless by its group or session. If
    the root has ended, its group and session are what is left of the tree.

    Args:
        groups: also whoever is in the process group of one of them.
        sessions: also whoever is in the session of one of them. The group and the session of the
            root's parent are left alone.

    Raises:
        InvalidArgument: *pid* is no positive number, or this OS process would kill itself.
        OSError: there is no table of processes, or the root is somebody else's.

    Source: stout include/stout/os/posix/killtree.hpp, which libprocess' programs use.
    """
    if isinstance(pid, bool) or not isinstance(pid, int) or pid <= 0:
        raise InvalidArgument(f"expected the pid of a process, got {pid!r}")
    table = read_table()
    search = _Search(pid, table, groups=groups, sessions=sessions)
    stopped: list[int] = []
    while found := search.find(table):
        if os.getpid() in found:
            _send_all(stopped, signal.SIGCONT)
            raise InvalidArgument(f"expected a tree without this process, got that of {pid}")
        try:
            stopped += [other for other in found if _send(other, signal.SIGSTOP)]
        except PermissionError:
            _send_all(stopped, signal.SIGCONT)
            raise
        table = read_table()
    hit = tuple(other for other in stopped if _send(other, number))
    _send_all(stopped, signal.SIGCONT)
    return hit


class _Search:
    """What has been found of a tree so far."""

    def __init__(
        self, root: int, table: dict[int, Entry], *, groups: bool, sessions: bool
    ) -> None:
        self._follows = (groups, sessions)
        self._pids: set[int] = set()
        self._groups: set[int] = set()
        self._sessions: set[int] = set()
        self._spared: tuple[int | None, int | None] = (None, None)
        entry = table.get(root)
        if entry is None:
            self._groups.add(root)
            self._sessions.add(root)
        else:
            above = table.get(entry.parent)
            if above is not None:
                self._spared = (above.group, above.session)
        self._root = root

    def find(self, table: dict[int, Entry]) -> list[int]:
        """Return who belongs to the tree and was not returned before."""
        found: list[int] = []
        news = [entry for entry in table.values() if self._belongs(entry)]
        while news:
            for entry in news:
                found.append(entry.pid)
                self._pids.add(entry.pid)
                self._groups.add(entry.group)
                self._sessions.add(entry.session)
            news = [entry for entry in table.values() if self._belongs(entry)]
        return found

    def _belongs(self, entry: Entry) -> bool:
        if entry.pid in self._pids:
            return False
        groups, sessions = self._follows
        return (
            entry.pid == self._root
            or entry.parent in self._pids
            or (groups and entry.group in self._groups - {self._spared[0]})
            or (sessions and entry.session in self._sessions - {self._spared[1]})
        )


def read_table() -> dict[int, Entry]:
    """Return the OS processes there are, by pid."""
    return {entry.pid: entry for entry in _read_entries()}


def _read_entries() -> Iterator[Entry]:
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                text = (folder / "stat").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
            # The name of the program may hold anything, also spaces and brackets.
            _, parent, group, session, *_ = text.rpartition(b")")[2].split()
            yield Entry(int(folder.name), int(parent), int(group), int(session))


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _send_all(pids: list[int], number: int) -> None:
    for pid in pids:
        _send(pid, number)
