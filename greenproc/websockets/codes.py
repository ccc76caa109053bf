"""Why WebSockets are closed."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from greenproc.errors import InvalidArgument


class CloseCode(IntEnum):
    """Codes that have a meaning. Those from 3000 on are for applications.

    Source: RFC 6455 section 7.4.1, and the registry that it opens.
    """

    NORMAL = 1000
    GOING_AWAY = 1001
    """The process or the node ends, or the page is left."""
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    """The peer gave no code. Never on the wire."""
    ABNORMAL = 1006
    """The connection was lost. Never on the wire."""
    INVALID_DATA = 1007
    """Text that is no UTF-8, or what does not unpack."""
    POLICY = 1008
    """The client takes too little of what it is sent, or may not be here any more."""
    TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    """A handler failed."""
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


_SENT = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))


def check_code(code: Any) -> int:
    """Return *code* if it may be sent.

    Raises:
        InvalidArgument: it may not.
    """
    if isinstance(code, bool) or not isinstance(code, int) or code not in _SENT:
        raise InvalidArgument(
            f"expected a close code such as 1000, or one from 3000 to 4999, got {code!r}"
        )
    return int(code)
