"""The states of a future, and the occasions for its callbacks."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias


class State(Enum):
    """Whether and how a future has completed."""

    PENDING = "Pending"
    READY = "Ready"
    FAILED = "Failed"
    DISCARDED = "Discarded"


class Trigger(Enum):
    """What sets a callback off, besides one certain state."""

    ANY = "completion"
    END = "completion or abandonment"
    ABANDONMENT = "abandonment"


Kind: TypeAlias = State | Trigger
"""When a callback runs."""

# On hot paths: an attribute of an Enum costs several times a global name.
PENDING = State.PENDING
READY = State.READY
FAILED = State.FAILED
DISCARDED = State.DISCARDED
ANY = Trigger.ANY
END = Trigger.END
ABANDONMENT = Trigger.ABANDONMENT
