"""The table of attacks. To add one: a function that does it, and a row in `TABLE`."""

from __future__ import annotations

import zlib

from tests.abuse.harness import MIB, Abuse, Target

GZIP = b"Content-Encoding: gzip\r\n"
SENDER = b"Libprocess-From: enemy@127.0.0.1:1\r\n"


def post(path: bytes, body: bytes, *lines: bytes, chunked: bool = False) -> bytes:
    """Return a POST."""
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    head = b"POST %b HTTP/1.1\r\nHost: enemy\r\n%b%b\r\n\r\n" % (path, b"".join(lines), length)
    return head + body


def small_blocks(count: int) -> bytes:
    """Return a gzip stream of *count* blocks that hold nothing, 5 bytes each."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    head = packer.compress(b"x") + packer.flush(zlib.Z_FULL_FLUSH)
    return head + b"\x00\x00\x00\xff\xff" * count + packer.flush()


def dense_blocks(count: int) -> bytes:
    """Return a gzip stream of *count* times 64 KiB of zeros, some 64 bytes each."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join([*(packer.compress(bytes(65536)) for _ in range(count)), packer.flush()])


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
    request = b"GET /target/ HTTP/1.1\r\nHost: enemy\r\n\r\n"
    target.exchange(
        request * 20_000 + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    )


def messages(target: Target) -> None:
    """Send very many small messages at once."""
    note = post(b"/target/note", b"x", SENDER)
    last = b"GET /target/ HTTP/1.1\r\nHost: enemy\r\nConnection: close\r\n\r\n"
    target.exchange(note * 100_000 + last)


TABLE: tuple[Abuse, ...] = (
    Abuse(name="pipelined requests", attack=pipelined_requests),
    Abuse(name="messages", attack=messages),
)
