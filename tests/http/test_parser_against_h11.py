"""Generated and mutated requests: our parser accepts what h11 accepts, and reads it the same.

Where the two differ on purpose, a row of `STRICTER` or `LOOSER` says so and why; anything else is a fault.
What stands behind a request that both accept must be read the same, too: two readers that disagree
about the end of a request are what smuggling lives on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import h11
import pytest

from greenproc.testing import feeds
from tests.generated import Thoroughness
from tests.http.requests import read_once

SEED = 20_260
WHOLE = 5000
"""How many requests are compared as they come in one piece; ten times as many in a slow run."""
CUT = 200
"""How many are also fed byte by byte and cut at each place; likewise."""

Read = tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...], bytes]
"""Method, target, header with names in small letters, and body."""

METHODS = [b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"M-SEARCH", b"CONNECT", b"FROB", b"get"]
TARGETS = [
    b"/",
    b"/a/b?c=d",
    b"/%20",
    b"*",
    b"http://h/p",
    b"p",
    b"/\xe9",
    b"/a b",
    b"//x",
    b"h:1",
]
VERSIONS = [b"HTTP/1.0"] * 4 + [b"HTTP/1.1", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.11"]
GOOD_LINES = [
    b"X: y ",
    b"X:\ty\t z",
    b"X:",
    b"X: \xe9\xff",
    b"Connection: Keep-Alive",
    b"Expect: x",
]
LINES = [
    b"Host: h",
    b"host: h:80",
    b"Host: a b",
    b"Connection: close",
    b"Connection: Keep-Alive",
    b"X: y ",
    b"X:\ty\t z",
    b"X:",
    b"X : y",
    b" X: y",
    b"X: y\r\n z",
    b"X: \xe9\xff",
    b"X: \x01",
    b"X\xe9: y",
    b": y",
    b"Expect: 100-continue",
    b"Upgrade: h2c",
    b"Content-Length: 3",
    b"Content-Length: 0",
    b"Content-Length: 3, 3",
    b"Content-Length: +3",
    b"Content-Length: 0x3",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: 999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: CHUNKED",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
]
CODINGS = [b"Transfer-Encoding: chunked"] * 20 + [b"transfer-encoding:CHUNKED \t"]
SIZES = [b"%x"] * 8 + [
    b"%X",
    b"%016x",
    b"%017x",
    b"0x%x",
    b"+%x",
    b" %x",
    b"%x ",
    b"%x\t",
    b"%x_0",
    b"%x;a",
    b"%x;a=b",
]
TRAILERS = [b""] * 6 + [b"T: u\r\n", b"Content-Length: 1\r\n", b"T\r\n", b"T: u\n"]
NOISE = [
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b":",
    b";",
    b"\x00",
    b"0",
    b"3",
    b"a",
    b"\x7f",
    b"\xff",
]
BEHIND = b"GET /behind HTTP/1.1\r\nHost: behind\r\n\r\n"


def draw(random: Random) -> bytes:
    """Return a request that is good, or nearly so, with another one behind it."""
    parts = [random.choice(METHODS[:5]), random.choice(TARGETS[:5]), b"HTTP/1.1"]
    if random.random() < 0.2:
        at = random.randrange(3)
        parts[at] = random.choice((METHODS, TARGETS, VERSIONS)[at])
    lines = [b"Host: h"] if random.random() < 0.95 else []
    lines += random.choices(GOOD_LINES, k=random.randrange(3))
    if random.random() < 0.4:
        lines += random.choices(LINES, k=random.choice((1, 2)))
    body = b""
    framing = random.choice(("none", "length", "chunks"))
    if framing == "length":
        body = random.randbytes(random.randrange(12))
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunks":
        lines.append(random.choice(CODINGS))
        body = draw_chunks(random)
    random.shuffle(lines)
    data = b" ".join(parts) + b"\r\n" + b"".join(line + b"\r\n" for line in lines)
    before = b"\r\n" if random.random() < 0.02 else b""
    return before + mutate(data + b"\r\n" + body, random) + BEHIND


def draw_chunks(random: Random) -> bytes:
    chunks = [random.randbytes(random.randrange(1, 20)) for _ in range(random.randrange(3))]
    sizes = SIZES if random.random() < 0.3 else SIZES[:1]
    whole = b"".join(
        b"%b\r\n%b\r\n" % (random.choice(sizes) % len(chunk), chunk) for chunk in chunks
    )
    return whole + b"0\r\n" + random.choice(TRAILERS) + b"\r\n"


def mutate(data: bytes, random: Random) -> bytes:
    """Return *data* with a byte too many, a wrong one, or none of some; or as it is."""
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(4)
        if kind == 0:
            data = data[:at] + random.choice(NOISE) + data[at:]
        elif kind == 1:
            data = data[:at] + random.choice(NOISE) + data[at + 1 :]
        elif kind == 2:
            data = data[:at] + data[at + random.randrange(1, 3) :]
        else:
            end = at + random.randrange(1, 12)
            data = data[:end] + data[at:end] + data[end:]
    return data


@dataclass
class Reading:
    """What one parser made of some bytes."""

    requests: list[Read] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """Where each of them ends; known of h11 only."""
    is_refused: bool = False
    is_finished: bool = False
    """Whether a request was the last one of its connection."""


def normal(lines: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """Return header lines in the spelling of h11, which writes a coding in small letters, too."""
    return tuple(
        (key, value.lower() if key == b"transfer-encoding" else value)
        for key, value in ((name.lower(), value) for name, value in lines)
    )


def read_by_h11(data: bytes) -> Reading:
    reading = Reading()
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1_000_000)
    connection.receive_data(data)
    try:
        while (request := connection.next_event()) is not h11.NEED_DATA:
            assert isinstance(request, h11.Request)
            body = b""
            while type(event := connection.next_event()) is h11.Data:
                body += bytes(event.data)
            if event is h11.NEED_DATA:
                return reading
            reading.requests.append((request.method, request.target, tuple(request.headers), body))
            reading.ends.append(len(data) - len(connection.trailing_data[0]))
            connection.send(h11.Response(status_code=404, headers=[(b"Content-Length", b"0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                reading.is_finished = True
                return reading
            connection.start_next_cycle()
    except h11.RemoteProtocolError:
        reading.is_refused = True
    return reading


def read_by_us(pieces: list[bytes]) -> Reading:
    found, parser = read_once(pieces)
    requests = [
        (
            one.method,
            one.target,
            normal(one.headers),
            one.body,
        )
        for one in found
    ]
    return Reading(requests, is_refused=parser.error is not None, is_finished=parser.is_finished)


# What differs on purpose


@dataclass(frozen=True)
class Difference:
    """Requests about which one of the parsers is stricter.

    Args:
        reason: why, and which source says so.
        applies: whether the bytes from the beginning of the request on are such a request.
    """

    name: str
    reason: str
    applies: Callable[[bytes], Any]


def head_of(data: bytes) -> bytes:
    """Return the head that the bytes begin with, as generously as h11 finds it."""
    end = re.search(rb"\n\r?\n", data)
    return data[: end.end()] if end else data


def in_head(pattern: bytes) -> Callable[[bytes], Any]:
    compiled = re.compile(pattern)
    return lambda data: compiled.search(head_of(data))


has_chunks = in_head(rb"(?i)\ntransfer-encoding:[ \t]*chunked[ \t]*\r?\n")


def in_body(pattern: bytes) -> Callable[[bytes], Any]:
    compiled = re.compile(pattern)
    return lambda data: has_chunks(data) and compiled.search(data[len(head_of(data)) :])


GOOD_TRAILER = re.compile(
    rb"(?:(?!(?i:content-length|transfer-encoding|host):)[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"
)


def trailer_of(data: bytes) -> bytes:
    """Return what is behind the last chunk, found as generously as h11 finds it."""
    at = len(head_of(data))
    while line := re.compile(rb"([0-9A-Fa-f]{1,20})[^\r\n]*\r?\n").match(data, at):
        size = int(line[1], 16)
        at = line.end()
        if not size:
            break
        at += size + 2
    return data[at:]


def both(*patterns: bytes) -> Callable[[bytes], Any]:
    checks = [in_head(pattern) for pattern in patterns]
    return lambda data: all(check(data) for check in checks)


LENGTH = rb"(?i)\ncontent-length:"
CODING = rb"(?i)\ntransfer-encoding:"

STRICTER = [
    Difference(
        "bare LF",
        "RFC 9112 section 2.2 allows it, and other parsers see no end of line there.",
        in_head(rb"(?<!\r)\n"),
    ),
    Difference(
        "fold",
        "RFC 9112 section 5.2: a server may refuse it; readers disagree about the value.",
        in_head(rb"\n[ \t]"),
    ),
    Difference(
        "length and coding",
        "RFC 9112 section 6.1: a server may refuse it; which of them counts is smuggling.",
        both(LENGTH, CODING),
    ),
    Difference(
        "several lengths",
        "RFC 9112 section 6.3: a recipient may refuse them, also where they are equal.",
        in_head(rb"(?is)\ncontent-length:(?:[^\r\n]*,|.*\ncontent-length:)"),
    ),
    Difference(
        "length beyond 64 bits",
        "llhttp counts no further; no body of that length could be had.",
        in_head(LENGTH + rb"[ \t]*[0-9]{19,20}"),
    ),
    Difference(
        "coding with HTTP/1.0",
        "RFC 9112 section 6.1: the framing is faulty, since that version has no codings.",
        both(rb" HTTP/1\.0\r?\n", CODING),
    ),
    Difference(
        "tab behind a coding",
        "llhttp takes it for part of the name, and where two readers disagree about a coding one "
        "request becomes two.",
        in_head(CODING + rb"[^\r\n]*\t\r?\n"),
    ),
    Difference(
        "version",
        "RFC 9110 section 15.6.6: 505 for any other than 1.0 and 1.1.",
        in_head(rb"\A[^\r\n]* HTTP/(?!1\.[01]\r?\n)"),
    ),
    Difference(
        "method",
        "llhttp knows those that are registered; RFC 9110 section 15.6.2 has 501 for others. A "
        "tunnel is refused, too.",
        lambda data: (
            data.partition(b" ")[0]
            not in {b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"M-SEARCH"}
        ),
    ),
    Difference(
        "target",
        "RFC 9112 section 3.2: a path, an absolute URL, or an asterisk.",
        lambda data: not re.match(rb"[^ ]+ (?:/|\* |[A-Za-z][A-Za-z0-9+.\-]*://)", data),
    ),
    Difference(
        "Host",
        "RFC 9112 section 3.2: 400 for one that is no host.",
        in_head(
            rb"(?i)\nhost:(?![ \t]*(?:\[[0-9a-f:.]+\]|[0-9a-z\-._~!$&'()*+,;=%]*)(?::[0-9]*)?[ \t]*\r?\n)"
        ),
    ),
    Difference(
        "control byte in a value",
        "RFC 9110 section 5.5 calls it invalid, and dangerous.",
        in_head(rb"\n[^\r\n:]+:[^\r\n]*[\x01-\x08\x0e-\x1f\x7f]"),
    ),
    Difference(
        "chunk",
        "RFC 9112 section 7.1: a size of hexadecimal digits, extensions of tokens, and lines that "
        "end with CR LF; h11 lets blanks pass, and any byte in an extension.",
        in_body(rb"(?m)^[0-9A-Fa-f]+(?:[ \t]|;|\n)"),
    ),
    Difference(
        "chunk size of many digits",
        "A size of 17 digits is beyond 64 bits to a parser that does not skip zeros.",
        in_body(rb"[0-9A-Fa-f]{17}"),
    ),
    Difference(
        "trailer",
        "RFC 9110 section 6.5.1: framing has no place there; the rules for header lines count.",
        lambda data: has_chunks(data) and not GOOD_TRAILER.match(trailer_of(data)),
    ),
    Difference(
        "size of the body",
        "Settings.max_body_bytes bounds it; h11 has no bound.",
        in_head(LENGTH + rb"[ \t]*[0-9]{9,18}[ \t]*\r?\n"),
    ),
]
"""What h11 accepts and we refuse."""

LOOSER = [
    Difference(
        "blank line before a request",
        "RFC 9112 section 2.2: a server should ignore it.",
        lambda data: data.startswith(b"\r\n"),
    ),
    Difference(
        "byte from 0x80 on in a target",
        "libprocess writes the ids of processes as they are.",
        lambda data: re.match(rb"[^ ]+ [^ \r\n]*[\x80-\xff]", data),
    ),
]
"""What h11 refuses and we accept."""


def explain(table: list[Difference], data: bytes) -> str | None:
    return next((row.name for row in table if row.applies(data)), None)


def compare(data: bytes, seen: Counter[str]) -> None:
    """Check that both read the same, up to a difference that there is on purpose."""
    theirs, ours = read_by_h11(data), read_by_us([data])
    for number, (their, our) in enumerate(zip(theirs.requests, ours.requests, strict=False)):
        assert our == their, (data, number)
    common = min(len(theirs.requests), len(ours.requests))
    seen["accepted"] += common
    rest = data[theirs.ends[common - 1] :] if common else data
    is_over = common and any(
        reading.is_finished and len(reading.requests) == common for reading in (theirs, ours)
    )
    if is_over:
        return  # one of them closes: HTTP/1.0 and Proxy-Connection are none of the matter
    if ours.is_refused and (len(theirs.requests) > common or not theirs.is_refused):
        kind = explain(STRICTER, rest)
    elif len(ours.requests) > common or (theirs.is_refused and not ours.is_refused):
        kind = explain(LOOSER, rest)
    else:
        assert len(theirs.requests) == len(ours.requests), data
        return
    assert kind is not None, (data, rest)
    seen[kind] += 1


def times(count: int) -> int:
    return 10 * count if Thoroughness.takes_all else count


@pytest.fixture(scope="module")
def drawn() -> list[bytes]:
    random = Random(SEED)
    return [draw(random) for _ in range(times(WHOLE))]


def test_we_accept_what_h11_accepts(drawn: list[bytes]) -> None:
    seen: Counter[str] = Counter()

    for data in drawn:
        compare(data, seen)

    assert seen["accepted"] > len(drawn) / 2
    # A row that no input needs is no difference.
    assert {row.name for row in STRICTER + LOOSER} <= set(seen)


def test_what_is_accepted_does_not_depend_on_how_it_comes(drawn: list[bytes]) -> None:
    for data in drawn[: times(CUT)]:
        whole = read_by_us([data])
        for pieces in feeds(data):
            assert read_by_us(pieces) == whole, pieces
