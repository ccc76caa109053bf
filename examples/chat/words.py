"""What browsers, members and rooms say to each other, and what they may say.

Everything is JSON. What goes down to a browser is made by a room or by the hall, and passed on by
the member as it is.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

MAX_TEXT = 2000
MAX_NAME = 40
MAX_COMMAND_BYTES = 16 * 1024  # a text of the longest kind, each letter of it escaped in JSON
ROOM = r"^[a-z0-9](-?[a-z0-9]){0,31}$"
MAX_COMMANDS = 5  # that are posted together, as the page does
MAX_BATCH_BYTES = MAX_COMMANDS * MAX_COMMAND_BYTES

Room = Annotated[str, Meta(pattern=ROOM)]
Name = Annotated[str, Meta(max_length=MAX_NAME * 4)]
Text = Annotated[str, Meta(max_length=MAX_TEXT * 2)]
Token = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Number = Annotated[int, Meta(ge=0, lt=2**53)]

T = TypeVar("T")


class Command(Struct, tag_field="do"):
    """What a browser wants."""


class Hello(Command, tag="hello"):
    """The first command: who this is. The key is known to this browser only."""

    key: Token
    name: Name


class Join(Command, tag="join"):
    """Enter a room, again or for the first time."""

    room: Room
    since: Number = 0
    """The number of the last message that the browser has."""


class Leave(Command, tag="leave"):
    """Leave a room."""

    room: Room


class Say(Command, tag="say"):
    """Say something; a token that came before means the same message, sent again."""

    room: Room
    token: Token
    text: Text


class Typing(Command, tag="typing"):
    """Tell that something is being written."""

    room: Room


class Older(Command, tag="older"):
    """Ask for messages before one."""

    room: Room
    before: Number


COMMANDS = Hello | Join | Leave | Say | Typing | Older


class Batch(Struct):
    """What a browser posts that has no WebSocket."""

    session: Token
    commands: Annotated[list[COMMANDS], Meta(max_length=MAX_COMMANDS)]


class Entry(Struct):
    """What a member tells a room when it enters."""

    who: Token
    name: Name
    since: Number = 0


class Line(Struct):
    """What a member says in a room."""

    token: Token
    text: Text


class Opened(Struct):
    """What the hall answers to a member: where a room is."""

    room: Room
    pid: str


class Told(Struct):
    """What a room or the hall tells a browser; the page knows the rest."""

    do: str


def decode(body: bytes, kind: Any) -> Any:
    """Return what *body* says as a *kind*, or None: bytes from outside may say anything."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def encode(**fields: Any) -> bytes:
    """Return an object as JSON."""
    return msgspec.json.encode(fields)


def clean_text(text: str) -> str:
    """Return *text* without what does not print, and without blanks around it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    return "".join(one for one in lines if one == "\n" or is_shown(one)).strip()[:MAX_TEXT]


def clean_name(name: str) -> str:
    """Return *name* in one line, without what does not print."""
    shown = "".join(one if is_shown(one) else " " for one in unicodedata.normalize("NFC", name))
    return " ".join(shown.split())[:MAX_NAME].strip()


def is_shown(letter: str) -> bool:
    """Tell whether *letter* may stand in a text; marks that turn the direction of others may not."""
    # Cf holds those marks, but also the joiners that emoji and some scripts are written with.
    category = unicodedata.category(letter)
    return category not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") or letter in "\u200c\u200d"
