"""The codes of Close frames."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from greenproc.errors import InvalidArgument


class CloseCode(IntEnum):
    """The registered codes. Those from 3000 on are for applications.

    Source: RFC 6455 section 7.4.1, and IANA's registry of WebSocket close codes.
    """

    NORMAL = 1000
    GOING_AWAY = 1001
    """The process or the node terminates, or the browser leaves the page."""
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    """The Close of the peer has no code. Never on the wire."""
    ABNORMAL = 1006
    """The connection was lost. Never on the wire."""
    INVALID_DATA = 1007
    """A text that is not UTF-8, or a compressed message that is malformed."""
    POLICY = 1008
    """The client reads too slowly, or is no longer allowed."""
    TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    """A handler raised an exception."""
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


# RFC 6455 section 7.4: 1004 to 1006 and 1015 never travel, 1016 to 2999 are reserved.
_SENDABLE = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))


def check_code(code: Any) -> int:
    """Return *code* if a Close may carry it.

    Raises:
        InvalidArgument: it is not an int, or not one of these codes.
    """
    if isinstance(code, bool) or not isinstance(code, int) or code not in _SENDABLE:
        raise InvalidArgument(
            f"expected a close code such as 1000, or one from 3000 to 4999, got {code!r}"
        )
    return int(code)
