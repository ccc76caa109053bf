"""An HTTP request, as a handler sees it and as a client sends it."""

from __future__ import annotations

from typing import Any

import msgspec

from greenproc.address import Address
from greenproc.http.cookies import read_cookies
from greenproc.http.headers import Fields, Headers
from greenproc.http.json_body import decode_json
from greenproc.http.negotiate import accepts_encoding, accepts_media_type
from greenproc.http.url import URL


class Request(msgspec.Struct):
    """What is asked of a server.

    Source: libprocess include/process/http.hpp, struct Request.
    """

    method: str
    url: URL
    headers: Headers = msgspec.field(default_factory=Headers)
    body: bytes = b""
    """The whole body; empty when `reader` streams it."""
    reader: Any = None
    """The reading end of a pipe when the body is streamed, else None."""
    client: Address | None = None
    """Who sent it, at a server."""
    keep_alive: bool = False
    """Whether the connection outlives this request."""
    version: tuple[int, int] = (1, 1)
    head: Any = None
    """The `RequestHead` as it came, for who needs its bytes; None for a request made here."""
    connection: Any = None
    """The `ClientConnection` that it came on, at a node or server."""
    response_lines: Fields = ()
    """Lines that the response gets whatever it is, such as those of CORS."""

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that came with this, read anew at each look. See `read_cookies`."""
        return read_cookies(self.headers)

    def replace(self, **changes: Any) -> Request:
        """Return this with other values for the fields that are named."""
        return msgspec.structs.replace(self, **changes)

    def json(self) -> Any:
        """Return what the body says in JSON.

        The hub, and so the whole node, stands still while a body is decoded: about 0.5 s for
        15 MB. A native thread does not help, as the decoder holds the interpreter's lock. Let
        `Settings.max_body_bytes` refuse such bodies; or read them in pieces from a streaming
        route, such as one document a line; or decode them in another OS process.

        Raises:
            InvalidBody: it is no JSON. A handler need not catch that: the client is answered 400,
                with the text of the error.
        """
        return decode_json(self.body, self)

    def accepts(self, media_type: str) -> bool:
        """Whether the peer takes a response of that type, such as ``text/html``."""
        return accepts_media_type(self.headers.get("Accept"), media_type)

    def accepts_encoding(self, coding: str) -> bool:
        """Whether the peer takes a response packed that way, such as ``gzip``."""
        return accepts_encoding(self.headers.get("Accept-Encoding"), coding)
