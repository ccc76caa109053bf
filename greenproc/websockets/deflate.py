"""permessage-deflate: the negotiation of its parameters. Source: RFC 7692.

`greenproc.websockets.frame_encoder` compresses, `greenproc.websockets.frame_reader` decompresses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = "permessage-deflate"

MAX_BITS = 15
_MIN_BITS = 8
_MIN_RAW_BITS = 9  # zlib has no raw deflate with a window of 8 bits: it uses 9 without a word

_BITS = re.compile(r"(?:[89]|1[0-5])")
_PARAMETERS = (
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
)


@dataclass(frozen=True, slots=True)
class DeflateParameters:
    """The negotiated parameters.

    Neither side keeps its window between messages (no context takeover): zlib's state takes 256
    KiB a connection, which is a quarter of a gigabyte for a thousand clients.
    """

    server_bits: int
    """The window of the server, 9 to 15 bits."""
    client_bits: int | None
    """The window that the client is limited to; None for no limit."""

    @property
    def answer(self) -> str:
        """The value of ``Sec-WebSocket-Extensions`` in the response."""
        parts = [NAME, "server_no_context_takeover", "client_no_context_takeover"]
        if self.server_bits < MAX_BITS:
            parts.append(f"server_max_window_bits={self.server_bits}")
        if self.client_bits is not None:
            parts.append(f"client_max_window_bits={self.client_bits}")
        return "; ".join(parts)


def negotiate_deflate(offers: str) -> DeflateParameters | None:
    """Accept the first acceptable offer, if any. A malformed offer is declined, not an error.

    Args:
        offers: the values of ``Sec-WebSocket-Extensions``, joined with commas.

    Source: RFC 7692 sections 5 and 7.1.
    """
    for offer in offers.split(","):
        name, *parameters = [part.strip(" \t") for part in offer.split(";")]
        if name == NAME:
            accepted = _accept(parameters)
            if accepted is not None:
                return accepted
    return None


def _accept(parameters: list[str]) -> DeflateParameters | None:
    found: dict[str, str | None] = {}
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        name, value = name.rstrip(" \t"), value.lstrip(" \t")
        # RFC 7692 section 7.1: an unknown or repeated parameter makes the offer unacceptable.
        if name not in _PARAMETERS or name in found:
            return None
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1]
        is_number = _BITS.fullmatch(value) is not None
        takes_none = name != "server_max_window_bits"
        takes_number = name.endswith("_bits")
        if not (takes_number and is_number if equals else takes_none):
            return None
        found[name] = value if equals else None
    server_bits = int(found.get("server_max_window_bits") or MAX_BITS)
    if server_bits < _MIN_RAW_BITS:
        return None
    client = found.get("client_max_window_bits")
    return DeflateParameters(server_bits, None if client is None else int(client))
