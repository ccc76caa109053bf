"""`Request`: an HTTP request, for the handlers of a server and for clients."""

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
    """An HTTP request.

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
    """The address of the client, at a server."""
    keep_alive: bool = False
    """Whether the connection outlives this request."""
    version: tuple[int, int] = (1, 1)
    head: Any = None
    """The `RequestHead` with the bytes of the wire; None for a request of this program."""
    connection: Any = None
    """The `ClientConnection` that carried it, at a node or server."""
    response_lines: Fields = ()
    """Header lines of the response, whatever its status, such as those of CORS."""

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name, parsed at each access. See `read_cookies`."""
        return read_cookies(self.headers)

    def replace(self, **changes: Any) -> Request:
        """Return a copy with other values for the given fields."""
        return msgspec.structs.replace(self, **changes)

    def json(self) -> Any:
        """Decode the body as JSON.

        Decoding blocks the hub, and so the whole node: about 0.5 s for 15 MB. A native thread
        does not help, since the decoder holds the interpreter's lock. `Settings.max_body_bytes`
        should refuse such bodies; else read them in pieces from a streaming route, such as one
        document a line, or decode them in another OS process.

        Raises:
            InvalidBody: it is not JSON. A handler need not catch it: the client gets a 400 with
                the text of the error.
        """
        return decode_json(self.body, self)

    def accepts(self, media_type: str) -> bool:
        """Whether the client accepts *media_type*, such as ``text/html``."""
        return accepts_media_type(self.headers.get("Accept"), media_type)

    def accepts_encoding(self, coding: str) -> bool:
        """Whether the client accepts the content *coding*, such as ``gzip``."""
        return accepts_encoding(self.headers.get("Accept-Encoding"), coding)
