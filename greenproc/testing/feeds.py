"""The ways in which bytes may arrive: what a test of a parser must try each case with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feed:
    """Some bytes as pieces that arrive one after the other; its text names the way they are cut."""

    name: str
    pieces: tuple[bytes, ...]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def __str__(self) -> str:
        return self.name


def feeds(data: bytes, spare: bytes = b"") -> Iterator[Feed]:
    """Return every way to feed *data*: whole, byte by byte, cut in two at each place.

    With *spare*, all these ways are repeated with it at the end of the last piece: bytes that are
    no longer part of what the parser is after.

    Source: h11's tests feed each case whole, byte by byte and with bytes left over.
    """
    yield from _cuts(data, "")
    if spare:
        for feed in _cuts(data, " with bytes to spare"):
            yield Feed(feed.name, (*feed.pieces[:-1], feed.pieces[-1] + spare))


def _cuts(data: bytes, suffix: str) -> Iterator[Feed]:
    yield Feed(f"whole{suffix}", (data,))
    if len(data) > 1:
        each = tuple(data[place : place + 1] for place in range(len(data)))
        yield Feed(f"byte by byte{suffix}", each)
    for place in range(1, len(data)):
        yield Feed(f"cut at {place}{suffix}", (data[:place], data[place:]))
