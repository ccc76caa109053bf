"""The table of attacks. To add one: a function that does it, and a row in `TABLE`."""

from __future__ import annotations

import zlib

from tests.abuse.harness import MIB, Abuse, Target

GZIP = b"Content-Encoding: gzip\r\n"
SENDER = b"Libprocess-From: enemy@127.0.0.1:1\r\n"
REQUEST = b"GET /target/ HTTP/1.1\r\nHost: enemy\r\n\r\n"
UNPACKED = 256 * MIB  # a body of 60 MiB, whole, with what it came from
LAST = REQUEST[:-2] + b"Connection: close\r\n\r\n"


def post(path: bytes, body: bytes, *lines: bytes, chunked: bool = False) -> bytes:
    """Return a POST."""
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    head = b"POST %b HTTP/1.1\r\nHost: enemy\r\n%b%b\r\n\r\n" % (path, b"".join(lines), length)
    return head + body


def slow_to_unpack(mebibytes: int, size: int) -> bytes:
    """Return a gzip stream of some zeros, and *size* bytes behind them that hold nothing.

    Unpacked by the piece, with the whole rest copied for each, it took 27 seconds.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    zeros = [packer.compress(bytes(MIB)) for _ in range(mebibytes)]
    dense = b"".join([*zeros, packer.flush(zlib.Z_FULL_FLUSH)])
    return dense + b"\x00\x00\x00\xff\xff" * (size // 5) + packer.flush()


def bomb(size: int) -> bytes:
    """Return a gzip stream that unpacks to *size* zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    pieces = [packer.compress(bytes(MIB)) for _ in range(size // MIB)]
    return b"".join([*pieces, packer.flush()])


def one_byte_chunks(count: int) -> bytes:
    """Return a chunked body of so many bytes, each in a chunk of its own."""
    return b"1\r\nx\r\n" * count + b"0\r\n\r\n"


def pipelined_requests(target: Target) -> None:
    """Send very many small requests at once, and read the responses as they come."""
    target.exchange(REQUEST * 20_000 + LAST)


def messages(target: Target) -> None:
    """Send very many small messages at once."""
    note = post(b"/target/note", b"x", SENDER)
    target.exchange(note * 100_000 + LAST)


def unpacked_whole(target: Target) -> None:
    """Send a body that unpacks to as much as may be, and then to nothing for very long."""
    assert target.ask(post(b"/target/", slow_to_unpack(60, 24 * MIB), GZIP)) == 200


def unpacked_message(target: Target) -> None:
    """Send a message with such a body."""
    assert target.ask(post(b"/target/note", slow_to_unpack(60, 24 * MIB), GZIP, SENDER)) == 202


def unpacked_stream(target: Target) -> None:
    """Send such a body to a handler that reads it as it comes."""
    data = post(b"/target/stream", slow_to_unpack(60, 24 * MIB), GZIP, chunked=False)
    assert target.ask(data) == 200


def bombs(target: Target) -> None:
    """Send bodies that each unpack to as much as may be, one behind the other."""
    one = post(b"/target/", bomb(60 * MIB), GZIP)
    target.exchange(one * 12 + LAST)


def streamed_bomb(target: Target) -> None:
    """Send a body that unpacks to a lot to a handler that reads it as it comes."""
    assert target.ask(post(b"/target/stream", bomb(256 * MIB), GZIP)) == 200


def chunks(target: Target) -> None:
    """Send a body in chunks of one byte."""
    assert target.ask(post(b"/target/", one_byte_chunks(1_000_000), chunked=True)) == 200


def streamed_chunks(target: Target) -> None:
    """Send a body in chunks of one byte to a handler that reads it as it comes."""
    assert target.ask(post(b"/target/stream", one_byte_chunks(1_000_000), chunked=True)) == 200


def new_heads(target: Target) -> None:
    """Send messages each of which has a head that was never seen."""
    notes = (
        post(b"/target/note", b"x", SENDER, b"X: %d\r\n" % number) for number in range(20_000)
    )
    target.exchange(b"".join([*notes, LAST]))


def many_at_once(target: Target) -> None:
    """Send small requests over many connections at the same time."""
    data = REQUEST * 1000 + LAST
    connections = [target.connect() for _ in range(20)]
    for connected in connections:
        connected.sendall(data)
    for connected in connections:
        target.drain(connected)


def small_pieces(target: Target) -> None:
    """Ask for streams whose handler yields a byte at a time, over some connections."""
    data = b"GET /target/pieces HTTP/1.1\r\nHost: enemy\r\nConnection: close\r\n\r\n"
    connections = [target.connect() for _ in range(3)]
    for connected in connections:
        connected.sendall(data)
    for connected in connections:
        assert target.drain(connected).endswith(b"0\r\n\r\n")


def long_paths(target: Target) -> None:
    """Send requests whose paths have many segments, for which no route is."""
    path = b"/target/nothing" + b"/%2e%2e" * 10_000
    data = b"GET %b HTTP/1.1\r\nHost: enemy\r\n\r\n" % path
    target.exchange(data * 50 + LAST)


TABLE: tuple[Abuse, ...] = (
    Abuse(name="pipelined requests", attack=pipelined_requests),
    Abuse(name="requests of many connections", attack=many_at_once),
    Abuse(name="messages", attack=messages),
    Abuse(name="messages with new heads", attack=new_heads),
    Abuse(name="paths of many segments", attack=long_paths),
    Abuse(name="slow to unpack", attack=unpacked_whole, max_grown_bytes=UNPACKED),
    Abuse(name="slow to unpack, a message", attack=unpacked_message, max_grown_bytes=UNPACKED),
    Abuse(name="slow to unpack, streamed", attack=unpacked_stream),
    Abuse(name="gzip bombs", attack=bombs, max_grown_bytes=UNPACKED),
    Abuse(name="a gzip bomb, streamed", attack=streamed_bomb),
    Abuse(name="one-byte chunks", attack=chunks),
    Abuse(name="one-byte chunks, streamed", attack=streamed_chunks),
    Abuse(name="streams in small pieces", attack=small_pieces),
)
