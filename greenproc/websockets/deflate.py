"""permessage-deflate: what of an offer is accepted. RFC 7692; the packing is done elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = "permessage-deflate"

MAX_BITS = 15
_MIN_BITS = 8
_MIN_RAW_BITS = 9  # zlib cannot pack raw data with a window of 8 bits

_BITS = re.compile(r"(?:[89]|1[0-5])")
_PARAMETERS = (
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
)


@dataclass(frozen=True, slots=True)
class DeflateParameters:
    """What both sides have agreed on.

    Neither side keeps a window between messages: for a thousand clients that would be a quarter of
    a gigabyte.
    """

    server_bits: int
    client_bits: int | None

    @property
    def answer(self) -> str:
        """What the handshake answers."""
        parts = [NAME, "server_no_context_takeover", "client_no_context_takeover"]
        if self.server_bits < MAX_BITS:
            parts.append(f"server_max_window_bits={self.server_bits}")
        if self.client_bits is not None:
            parts.append(f"client_max_window_bits={self.client_bits}")
        return "; ".join(parts)


def negotiate_deflate(offers: str) -> DeflateParameters | None:
    """Accept the first offer that can be met, if any; what is malformed is declined.

    Args:
        offers: the values of ``Sec-WebSocket-Extensions``, joined.

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
