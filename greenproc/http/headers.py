"""The header fields of a request or response."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from greenproc.errors import InvalidArgument

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2, token
_FORBIDDEN = re.compile(r"[^\t\x20-\x7e\x80-\xff]")

Items = Mapping[str, str] | Iterable[tuple[str, str]]


class Headers(MutableMapping[str, str]):
    """Header fields by name, whatever the case of its letters.

    A name may stand on several lines. As a mapping each name occurs once and has the value of
    its last line, as libprocess sees it; `getall` and `lines` tell the others. Order and
    spelling are kept. Assigning replaces all lines of the name, where the first one stood and
    in its spelling.

    Raises:
        InvalidArgument: a name is no token, or a value holds a control character or one that
            Latin-1 has not, so that nobody can smuggle in a line of his own.

    Source: libprocess include/process/http.hpp, class Headers.
    Differs: libprocess keeps one line a name.
    """

    __slots__ = ("_last", "_lines")

    def __init__(self, items: Items | None = None) -> None:
        self._lines: list[tuple[str, str]] = []
        self._last: dict[str, str] = {}
        if isinstance(items, Headers):
            items = items.lines()
        elif isinstance(items, Mapping):
            items = items.items()
        for name, value in items or ():
            self.add(name, value)

    @classmethod
    def from_wire(cls, fields: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Make headers from fields that a parser has checked."""
        headers = cls()
        lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]
        headers._lines = lines
        headers._last = {name.lower(): value for name, value in lines}
        return headers

    def add(self, name: str, value: str) -> None:
        """Append a line, also when there is one of that name."""
        _check(name, value)
        self._lines.append((name, value))
        self._last[name.lower()] = value

    def getall(self, name: str) -> list[str]:
        """Return the values of all lines of that name; none gives an empty list."""
        key = name.lower()
        if key not in self._last:
            return []
        return [value for other, value in self._lines if other.lower() == key]

    def lines(self) -> list[tuple[str, str]]:
        """Return all lines in order, names in their spelling."""
        return list(self._lines)

    def copy(self) -> Headers:
        """Return headers with the same lines that can be changed apart from these."""
        headers = Headers()
        headers._lines = list(self._lines)
        headers._last = dict(self._last)
        return headers

    def __getitem__(self, name: str) -> str:
        return self._last[name.lower()]

    def __setitem__(self, name: str, value: str) -> None:
        key = name.lower()
        if key not in self._last:
            self.add(name, value)
            return
        _check(name, value)
        lines = []
        placed = False
        for line in self._lines:
            if line[0].lower() != key:
                lines.append(line)
            elif not placed:
                lines.append((line[0], value))
                placed = True
        self._lines = lines
        self._last[key] = value

    def __delitem__(self, name: str) -> None:
        key = name.lower()
        del self._last[key]
        self._lines = [line for line in self._lines if line[0].lower() != key]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._last

    def __iter__(self) -> Iterator[str]:
        seen = set()
        for name, _ in self._lines:
            key = name.lower()
            if key not in seen:
                seen.add(key)
                yield name

    def __len__(self) -> int:
        return len(self._last)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self._by_name() == other._by_name()
        if isinstance(other, Mapping):
            return self._last == {_lowered(name): value for name, value in other.items()}
        return NotImplemented

    def __repr__(self) -> str:
        return f"Headers({self._lines!r})"

    def _by_name(self) -> dict[str, list[str]]:
        values: dict[str, list[str]] = {}
        for name, value in self._lines:
            values.setdefault(name.lower(), []).append(value)
        return values


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidArgument(f"expected a header name, got {name!r}")
    bad = _FORBIDDEN.search(value)
    if bad:
        raise InvalidArgument(f"header {name} must not contain {bad[0]!r}, got {value!r}")


def _lowered(name: Any) -> Any:
    return name.lower() if isinstance(name, str) else name
