"""Requests for processes, built from the environ of another WSGI server."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

from greenproc.address import Address
from greenproc.errors import InvalidAddress, RemoteProtocolError
from greenproc.http.head import CHUNKED, RequestHead, is_websocket_handshake
from greenproc.http.status import Status
from greenproc.tracing import receive_trace
from greenproc.wsgi.environ import Environ

BLOCK_BYTES = 8 * 1024
"""The size of one read of a body; a read of some servers blocks until it is complete."""

_SAFE = "/!$&'()*+,;=:@~"  # RFC 3986 section 3.3: the characters that a path need not encode
_VERSIONS = {"HTTP/1.0": (1, 0)}


def find_path(environ: Environ) -> str:
    """Return the encoded path below the app, from the raw target if the server has it.

    A server without it loses the difference between ``/`` and ``%2F``.
    """
    path: bytes = environ.get("PATH_INFO", "").encode("latin-1")
    script = environ.get("SCRIPT_NAME", "").encode("latin-1")
    for key in ("RAW_URI", "REQUEST_URI"):
        target: bytes = environ.get(key, "").encode("latin-1", "replace")
        raw = target.partition(b"?")[0]
        if raw.startswith(script) and unquote_to_bytes(raw[len(script) :]) == path:
            return raw[len(script) :].decode("utf-8", "surrogateescape")
    return quote(path, safe=_SAFE)


def make_head(environ: Environ, path: str) -> RequestHead:
    """Return the head of a request for *path*; the case of header names is lost.

    Raises:
        RemoteProtocolError: the Content-Length is no number.
    """
    query = environ.get("QUERY_STRING", "")
    head = RequestHead.empty()
    head.method = environ["REQUEST_METHOD"].encode("latin-1")
    target = path.encode("utf-8", "surrogateescape")
    head.target = target + b"?" + query.encode("latin-1") if query else target
    head.headers = tuple(_fields(environ))
    head.version = _VERSIONS.get(environ.get("SERVER_PROTOCOL", ""), (1, 1))
    head.upgrades = is_websocket_handshake(
        head.method,
        head.version,
        _values(environ, "HTTP_UPGRADE"),
        _values(environ, "HTTP_CONNECTION"),
    )
    head.keep_alive = not head.upgrades  # the server manages persistence itself
    head.length = find_length(environ)
    head.is_gzip = environ.get("HTTP_CONTENT_ENCODING", "").lower() == "gzip"
    head.expects_continue = False  # the server sends 100 Continue
    parents = _values(environ, "HTTP_TRACEPARENT")
    head.trace = receive_trace(parents, _values(environ, "HTTP_TRACESTATE")) if parents else None
    return head


def find_length(environ: Environ) -> int:
    """Return the length of the body in bytes, or `CHUNKED`.

    Raises:
        RemoteProtocolError: the Content-Length is no number.
    """
    length = environ.get("CONTENT_LENGTH")
    if length:
        if not (length.isascii() and length.isdigit()):
            raise RemoteProtocolError(f"expected a Content-Length, got {length!r:.100}")
        return int(length)
    return CHUNKED if environ.get("wsgi.input_terminated") else 0


def find_client(environ: Environ) -> Address | None:
    """Return the address of the client; None for a Unix socket or an invalid address."""
    try:
        return Address(environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"]))
    except (KeyError, ValueError, InvalidAddress):
        return None


def read_blocks(environ: Environ, length: int) -> Iterator[bytes]:
    """Yield the body of a request in blocks.

    Args:
        length: the result of `find_length`.

    Raises:
        RemoteProtocolError: the body ends early, or the server fails to read it.
    """
    missing = length
    while missing:
        try:
            block = environ["wsgi.input"].read(
                BLOCK_BYTES if missing < 0 else min(missing, BLOCK_BYTES)
            )
        except OSError as error:
            raise RemoteProtocolError(f"failed to read the body: {error}") from error
        if not block:
            if missing > 0:
                raise RemoteProtocolError("connection closed within a request")
            return
        yield block
        if missing > 0:
            missing -= len(block)


def read_body(environ: Environ, length: int, max_bytes: int) -> bytes:
    """Return a whole body.

    Raises:
        RemoteProtocolError: the body exceeds *max_bytes* (413), ends early or cannot be read.
    """
    body = bytearray()
    if length <= max_bytes:
        for block in read_blocks(environ, length):
            body += block
            if len(body) > max_bytes:
                break
        else:
            return bytes(body)
    raise RemoteProtocolError(
        f"body of more than {max_bytes} bytes", status=Status.REQUEST_ENTITY_TOO_LARGE
    )


def _values(environ: Environ, key: str) -> tuple[bytes, ...]:
    value = environ.get(key)
    return () if value is None else (value.encode("latin-1"),)


def _fields(environ: Environ) -> Iterator[tuple[bytes, bytes]]:
    for key, value in environ.items():
        name = key.removeprefix("HTTP_")
        if name == key and key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            continue
        if value or name != key:
            yield _spelled(name), value.strip().encode("latin-1")


def _spelled(name: str) -> bytes:
    return name.replace("_", "-").title().encode("latin-1")
