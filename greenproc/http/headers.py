"""The header fields of a request or response."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar, overload

from greenproc.errors import InvalidArgument

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_FORBIDDEN = re.compile(r"[^\t\x20-\x7e\x80-\xff]")

Items = Mapping[str, str] | Iterable[tuple[str, str]]
Fields = tuple[tuple[str, str], ...]

T = TypeVar("T")

_new = object.__new__


class Headers(MutableMapping[str, str]):
    """Header fields by name. The case of names is not significant.

    A name may occur on several lines. As a mapping each name occurs once and has the value of
    its last line, as in libprocess; `getall` and `lines` return all of them. Order and spelling
    are kept. An assignment replaces all lines of the name, in the place and the spelling of the
    first one.

    Args:
        items: a mapping, or pairs of names and values.

    Raises:
        InvalidArgument: a name is not a token; a value is not a str, or has a control character,
            which could start a new line, or a character outside of Latin-1; or *items* is neither
            a mapping nor pairs.

    Source: libprocess include/process/http.hpp, class Headers.
    Differs: libprocess keeps one line a name.
    """

    # Never mutated, only replaced, so that copies share them: a parsed head is copied per request.
    __slots__ = ("by_key", "fields")

    fields: Fields
    """All lines in order, names in their spelling. Must not be changed."""
    by_key: dict[str, str]
    """The last value of each name in lower case. Must not be changed."""

    def __init__(self, items: Items | None = None) -> None:
        self.fields = ()
        self.by_key = {}
        if items is None:
            return
        if isinstance(items, Headers):
            self.fields, self.by_key = items.fields, items.by_key
            return
        try:
            pairs = items.items() if isinstance(items, Mapping) else items
            self.fields = tuple([checked_field(name, value) for name, value in pairs])
        except InvalidArgument:
            raise
        except (TypeError, ValueError) as error:
            text = f"expected headers as a mapping or as pairs, got {items!r}"
            raise InvalidArgument(text) from error
        self.by_key = {name.lower(): value for name, value in self.fields}

    @classmethod
    def from_checked(cls, fields: Iterable[tuple[str, str]]) -> Headers:
        """Return headers of lines that `checked_field` has validated."""
        headers = cls()
        headers.fields = tuple(fields)
        headers.by_key = {name.lower(): value for name, value in headers.fields}
        return headers

    @classmethod
    def from_wire(cls, fields: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Return headers of lines that a parser has validated."""
        return cls.from_checked(
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]
        )

    def add(self, name: str, value: str) -> None:
        """Append a line, also when the name occurs already.

        Args:
            name: a token.
            value: text in Latin-1 without control characters.

        Raises:
            InvalidArgument: see the class.
        """
        name, value = checked_field(name, value)
        self.fields = (*self.fields, (name, value))
        self.by_key = {**self.by_key, name.lower(): value}

    def getall(self, name: str) -> list[str]:
        """Return the values of all lines of *name*, an empty list without any."""
        key = name.lower()
        if key not in self.by_key:
            return []
        return [value for other, value in self.fields if other.lower() == key]

    def lines(self) -> list[tuple[str, str]]:
        """Return all lines in order, names in their spelling."""
        return list(self.fields)

    def copy(self) -> Headers:
        """Return an independent copy."""
        headers = _new(Headers)
        headers.fields = self.fields
        headers.by_key = self.by_key
        return headers

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: str | T) -> str | T: ...
    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of the last line of a name, or *default*."""
        return self.by_key.get(key.lower(), default)

    def __getitem__(self, name: str) -> str:
        return self.by_key[name.lower()]

    def __setitem__(self, name: str, value: str) -> None:
        key = name.lower()
        if key not in self.by_key:
            self.add(name, value)
            return
        name, value = checked_field(name, value)
        lines = []
        placed = False
        for line in self.fields:
            if line[0].lower() != key:
                lines.append(line)
            elif not placed:
                lines.append((line[0], value))
                placed = True
        self.fields = tuple(lines)
        self.by_key = {**self.by_key, key: value}

    def __delitem__(self, name: str) -> None:
        key = name.lower()
        last = dict(self.by_key)
        del last[key]
        self.fields = tuple([line for line in self.fields if line[0].lower() != key])
        self.by_key = last

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self.by_key

    def __iter__(self) -> Iterator[str]:
        seen = set()
        for name, _ in self.fields:
            key = name.lower()
            if key not in seen:
                seen.add(key)
                yield name

    def __len__(self) -> int:
        return len(self.by_key)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self._by_name() == other._by_name()
        if isinstance(other, Mapping):
            return self.by_key == {_lowered(name): value for name, value in other.items()}
        return NotImplemented

    def __repr__(self) -> str:
        return f"Headers({list(self.fields)!r})"

    def _by_name(self) -> dict[str, list[str]]:
        values: dict[str, list[str]] = {}
        for name, value in self.fields:
            values.setdefault(name.lower(), []).append(value)
        return values


def is_token(text: object) -> bool:
    """Whether *text* is a token, such as the name of a header. Source: RFC 9110 section 5.6.2."""
    return isinstance(text, str) and _TOKEN.fullmatch(text) is not None


def checked_field(name: str, value: str) -> tuple[str, str]:
    """Return a validated header line, both texts as plain ``str``.

    A member of a `StrEnum`, say, has methods of the program's, which would be called where the line is encoded.

    Args:
        name: a token.
        value: text in Latin-1 without control characters.

    Raises:
        InvalidArgument: see `Headers`.
    """
    if not is_token(name):
        raise InvalidArgument(f"expected a header name, got {name!r}")
    if not isinstance(value, str):
        raise InvalidArgument(f"expected a text as the value of header {name!r}, got {value!r}")
    bad = _FORBIDDEN.search(value)
    if bad:
        raise InvalidArgument(f"header {name} must not contain {bad[0]!r}, got {value!r}")
    return _plain(name), _plain(value)


def _plain(text: str) -> str:
    return text if type(text) is str else str.__str__(text)


def _lowered(name: Any) -> Any:
    return name.lower() if isinstance(name, str) else name
