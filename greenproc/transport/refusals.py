"""Why clients are turned away, as `TransportHooks.refused` is told."""

from __future__ import annotations

TOO_MANY = "too many connections"
TOO_MANY_OF_ADDRESS = "too many connections from one address"
MADE_ROOM = "closed to make room"
HEAD_TOO_SLOW = "head too slow"
BODY_TOO_SLOW = "body too slow"
ANSWERS_NOT_READ = "answers not read"
TOO_MUCH_UNSENT = "too much unsent"
HOST_NOT_ALLOWED = "host not allowed"
