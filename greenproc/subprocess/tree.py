"""`kill_tree`: signals an OS process and its descendants. Linux only."""

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
    """An entry of the kernel's process table."""

    pid: int
    parent: int
    group: int
    session: int


def kill_tree(
    pid: int, number: int = signal.SIGKILL, *, groups: bool = False, sessions: bool = False
) -> tuple[int, ...]:
    """Send a signal to an OS process and its descendants, and return their pids, the root first.

    All are stopped first, so that none escapes by a fork, and continued afterwards. A descendant
    whose parent has ended is found only by its group or session. If the root has ended, only its
    group and session identify the tree.

    Args:
        pid: the root of the tree.
        number: the signal.
        groups: whether to include the process groups of the found processes.
        sessions: whether to include the sessions of the found processes. The group and the session
            of the root's parent are always excluded.

    Raises:
        InvalidArgument: *pid* is not a positive int, or the tree contains this OS process.
        OSError: /proc is missing, or a process of the tree belongs to another user.

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
    """The processes, groups and sessions of a tree that were found so far."""

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
        """Return the pids of the tree that were not returned before."""
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
    """Return all OS processes, by pid.

    Raises:
        OSError: /proc is missing.
    """
    return {entry.pid: entry for entry in _read_entries()}


def _read_entries() -> Iterator[Entry]:
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                text = (folder / "stat").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue  # the process ended during the scan
            # The program's name may contain spaces and brackets, so split after the last one.
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
