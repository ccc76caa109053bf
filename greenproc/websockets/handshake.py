"""The opening handshake of a WebSocket: its validation and its response. No I/O."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha1

from greenproc.http.request import Request
from greenproc.http.response import (
    NOSNIFF,
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    Response,
)
from greenproc.http.status import Status
from greenproc.websockets.options import ANY_ORIGIN, WebSocketOptions

VERSION = "13"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_KEY_BYTES = 16
_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


@dataclass(frozen=True, slots=True)
class Handshake:
    """A valid opening handshake."""

    accept: str
    """The value of ``Sec-WebSocket-Accept``."""
    subprotocol: str | None
    """The first of the route's subprotocols that the client offers; None for none."""
    extensions: str
    """The offers of the client, joined with commas."""


def read_handshake(request: Request, options: WebSocketOptions) -> Handshake | Response:
    """Validate the opening handshake of a client.

    Args:
        request: the request of a route for WebSockets.
        options: of that route.

    Returns:
        The handshake, or the response that refuses it.

    Source: RFC 6455 sections 4.2.1, 4.2.2 and 10.2.
    """
    # In the order of RFC 6455 section 4.2.1, so that the first fault is the one that is reported.
    if request.method != "GET":
        return MethodNotAllowed(["GET"], request.method)
    if request.version < (1, 1):
        return BadRequest("expected HTTP/1.1 for a WebSocket")
    if "websocket" not in _elements(request, "Upgrade"):
        return _upgrade_required("expected the handshake of a WebSocket")
    if "upgrade" not in _elements(request, "Connection"):
        return BadRequest("expected 'Connection: Upgrade' for a WebSocket")
    if VERSION not in _values(request, "Sec-WebSocket-Version"):
        return _upgrade_required(f"expected version {VERSION} of WebSocket")
    if _has_body(request):
        return BadRequest("expected no body in the handshake of a WebSocket")
    keys = _values(request, "Sec-WebSocket-Key")
    if len(keys) != 1 or not _is_key(keys[0]):
        return BadRequest("expected one Sec-WebSocket-Key, 16 bytes in base64")
    origins = _values(request, "Origin")
    if origins and (len(origins) > 1 or not _is_allowed(origins[0], request, options)):
        return Forbidden("this origin may not open a WebSocket here")
    # Subprotocols are case-sensitive, and the preference of the server decides.
    offered = _elements(request, "Sec-WebSocket-Protocol", lower=False)
    chosen = next((one for one in options.subprotocols if one in offered), None)
    extensions = ",".join(_values(request, "Sec-WebSocket-Extensions"))
    return Handshake(accept_key(keys[0]), chosen, extensions)


def accept_key(key: str) -> str:
    """Return the value of ``Sec-WebSocket-Accept`` for the *key* of a client.

    It proves that the server understood the handshake, rather than echoed it. SHA-1 is no
    protection here, and needs none of its strength.

    Source: RFC 6455 section 4.2.2.
    """
    digest = sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()
    return b64encode(digest).decode()


def answer_headers(handshake: Handshake, extension: str | None) -> list[tuple[str, str]]:
    """Return the headers of the 101 besides ``Connection``.

    Args:
        handshake: the valid handshake.
        extension: the accepted extension with its parameters; None for none.
    """
    headers = [("Upgrade", "websocket"), ("Sec-WebSocket-Accept", handshake.accept)]
    if handshake.subprotocol is not None:
        headers.append(("Sec-WebSocket-Protocol", handshake.subprotocol))
    if extension is not None:
        headers.append(("Sec-WebSocket-Extensions", extension))
    return headers


def _upgrade_required(text: str) -> Response:
    """Return a 426, whose headers name the protocol and version that are supported.

    Source: RFC 9110 section 15.5.22; RFC 6455 section 4.2.2.
    """
    headers = dict(
        (
            NOSNIFF,
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", VERSION),
        )
    )
    return Response(Status.UPGRADE_REQUIRED, text, headers)


def _values(request: Request, name: str) -> list[str]:
    """Return the value of each line of that name."""
    lowered = name.lower()
    return [value for key, value in request.headers.lines() if key.lower() == lowered]


def _elements(request: Request, name: str, *, lower: bool = True) -> list[str]:
    words = [word.strip(" \t") for word in ",".join(_values(request, name)).split(",")]
    return [word.lower() for word in words] if lower else words


def _has_body(request: Request) -> bool:
    """Whether the handshake announces a body, whose bytes would be read as frames."""
    lengths = _values(request, "Content-Length")
    is_empty = not request.body and request.reader is None and set(lengths) <= {"0"}
    return not is_empty or "Transfer-Encoding" in request.headers


def _is_key(key: str) -> bool:
    try:
        return len(b64decode(key, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _is_allowed(origin: str, request: Request, options: WebSocketOptions) -> bool:
    """Whether a page of *origin* may connect: without options one of this host only.

    The same-origin policy does not apply to WebSockets: browsers let every page open one to any
    host, and send its cookies. Source: RFC 6455 section 10.2.
    """
    if options.origins is not None:
        return ANY_ORIGIN in options.origins or origin.lower() in options.origins
    scheme, _, authority = origin.lower().partition("://")
    if not authority:
        return False  # "null", the origin of a sandboxed page or a file
    # The scheme is not compared: behind a proxy with TLS the page is https and this request http.
    host = request.headers.get("Host", "").lower()
    return host in set(_spellings(scheme, authority))


def _spellings(scheme: str, authority: str) -> Iterator[str]:
    """Yield *authority* with and without the port that its scheme implies."""
    yield authority
    port = _DEFAULT_PORTS.get(scheme)
    if port is None:
        return
    if authority.endswith(f":{port}"):
        yield authority.removesuffix(f":{port}")
    elif not authority.rpartition("]")[2].count(":"):
        yield f"{authority}:{port}"
