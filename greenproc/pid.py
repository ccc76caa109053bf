"""Names of processes: UPID for any process, PID for a typed handle of a local one.

Generated ids such as ``Counter(1)`` are not made here: they are counted per runtime.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering
from itertools import count
from typing import TYPE_CHECKING, Generic, NoReturn, Protocol, TypeVar

from greenproc.address import ADDRESS_EMPTY, Address, canonical_ip, split_host_port
from greenproc.current import find_runtime
from greenproc.errors import InvalidAddress, InvalidPID, InvalidURL, StateError

T_co = TypeVar("T_co", covariant=True)

MAX_CHANGES = 500  # of UPID by `name_methods`: Python 3.13 caches no more than 1000 of a class
_changes = count()

# A UPID ends at white space, where the C locale's isspace() sees it.
_TOKEN = re.compile(r"[ \t\n\v\f\r]*([^ \t\n\v\f\r]*)")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")

# What http::encode leaves as it is: parentheses stay although they are reserved in RFC 3986.
_VERBATIM = frozenset(range(0x20, 0x7F)) - frozenset(b'$&+,/:;=?@ "<>#%{}|\\^~[]`')
_ENCODED = {byte: chr(byte) if byte in _VERBATIM else f"%{byte:02X}" for byte in range(256)}


@total_ordering
@dataclass(frozen=True, init=False, eq=False, repr=False)
class UPID:
    """The name of a process anywhere: its id and the address of its node.

    A UPID names, it does not own: when a process ends and another one takes its id, the same
    UPID reaches the new one. Equality and hash look at id and address only; the order is by
    address, then id.

    Truth has two sides, as in libprocess, and they are no complements: ``bool(pid)`` asks
    whether id, IP address and port are *all* given, `is_empty` whether *none* is. A UPID
    without an id, such as ``@10.0.0.1:5050``, is neither, and can be sent to.

    Args:
        id: what the process is called on its node; any text.
        address: where its node listens.
        host: the host name that the address came from; TLS checks certificates against it.

    Raises:
        InvalidPID: *id* is the text of a whole UPID, which `parse` reads, or no text, or
            *address* is no `Address`.

    Source: libprocess include/process/pid.hpp.
    """

    # By hand: with slots=True a dataclass is made twice, and in Python 3.11 a frozen one then
    # fails with a TypeError where a subclass such as PID refuses an attribute.
    __slots__ = ("address", "host", "id")

    id: str
    address: Address
    host: str | None

    def __init__(
        self, id: str = "", address: Address = ADDRESS_EMPTY, host: str | None = None
    ) -> None:
        if address is ADDRESS_EMPTY or address.__class__ is not Address:
            _check(id, address)
        object.__setattr__(self, "id", id)
        object.__setattr__(self, "address", address)
        object.__setattr__(self, "host", host)

    @classmethod
    def parse(cls, text: str) -> UPID:
        """Read ``id@ip:port``; the id may be empty, the IP address may be a host name.

        White space may precede, and what follows a white space is ignored. A host name is
        resolved to IPv4, which can wait for the network, and is kept in `host`.

        Raises:
            InvalidPID: *text* is no UPID, or the host name cannot be resolved.

        Source: libprocess src/pid.cpp, operator>>.
        Differs: a malformed text raises instead of giving the empty UPID, the port must be
        digits up to 65535, and IPv6 addresses are read with and without brackets.
        """
        id, host, port = _split(text)
        try:
            return UPID(id, Address(host, port))
        except InvalidAddress:
            return UPID(id, Address(_resolve(host, text), port), host)

    @classmethod
    def lenient(cls, text: str) -> UPID:
        """Read a UPID that came over the wire; whatever is malformed gives the empty one.

        Never raises and never waits: a host name counts as malformed, since a stranger must
        not make this node look up names.

        Source: libprocess src/process.cpp, parse(), where a message from a malformed sender
        is still delivered.
        """
        try:
            id, host, port = _split(text)
            return ClaimedUPID(id, Address(host, port))
        except (InvalidPID, InvalidAddress):
            return UPID()

    @property
    def is_empty(self) -> bool:
        """Whether this names nothing: no id, no IP address, no port."""
        return not self.id and self.address.is_empty

    def __bool__(self) -> bool:
        return bool(self.id) and self.address.port != 0 and not self.address.is_any

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UPID):
            return NotImplemented
        return self.id == other.id and self.address == other.address

    def __hash__(self) -> int:
        return hash((self.id, self.address))

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, UPID):
            return NotImplemented
        return (self.address, self.id) < (other.address, other.id)

    def __str__(self) -> str:
        return f"{self.id}@{self.address}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[type[UPID], tuple[str, Address, str | None]]:
        return type(self), (self.id, self.address, self.host)

    if TYPE_CHECKING:
        # Tells a plain UPID from a PID, which is one too: see `PlainUPID`.
        @property
        def _names_class(self) -> No: ...

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if hasattr(self, name)]


# A UPID is one text wherever it is encoded. With its fields, msgspec and the encoder of JSON would
# take it for a record, and send its id, its address, and the hash of that.
delattr(UPID, "__dataclass_fields__")


class PID(UPID, Generic[T_co]):
    """The UPID of a local process that remembers its class for the type checker.

    It equals the plain UPID of the same process. It is an address, not the process: a method of
    the process is called by ``dispatch(pid, Class.method, argument)``.

    Source: libprocess include/process/pid.hpp, struct PID.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def _names_class(self) -> Yes: ...  # type: ignore[override]


class ClaimedUPID(UPID):
    """A UPID that only came over the wire: any sender can claim to be anywhere.

    It equals the plain UPID, and remembers where it is from however far a program hands it on.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"UPID({str(self)!r})"


if TYPE_CHECKING:

    class Yes:
        """A `PID` names the class of its process."""

    class No:
        """Any other UPID does not."""


class PlainUPID(Protocol):
    """A UPID that is no `PID`, for type checkers: what it names may have any method."""

    @property
    def _names_class(self) -> No: ...


def encode_id(text: str) -> str:
    """Percent-encode an id for use as a segment of a request's path.

    Source: libprocess src/http.cpp, http::encode; unlike RFC 3986 it keeps parentheses and
    encodes the tilde.
    """
    data = text.encode("utf-8", "surrogateescape")
    return "".join([_ENCODED[byte] for byte in data])


def decode_id(text: str) -> str:
    """Undo `encode_id`; a plus sign stands for a space.

    Bytes that are not UTF-8 become lone surrogates, which `encode_id` turns back.

    Raises:
        InvalidURL: a percent sign is not followed by two hexadecimal digits.

    Source: libprocess src/http.cpp, http::decode, and the words of its error.
    """
    if "%" not in text and "+" not in text:
        return text
    data = text.replace("+", " ").encode("utf-8", "surrogateescape")

    def decoded(match: re.Match[bytes]) -> bytes:
        if match[1] is None:
            # Shown as it was written: the plus signs of the input are still plus signs here.
            at = len(data[: match.start()].decode("utf-8", "surrogateescape"))
            raise InvalidURL(f"Malformed % escape in '{text}': '{text[at : at + 3]}'")
        return bytes([int(match[1], 16)])

    return _ESCAPE.sub(decoded, data).decode("utf-8", "surrogateescape")


class _MethodOfProcess:
    """Stands in `UPID` for a method that some process has, and says how that is called."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, pid: UPID | None, kind: type[UPID]) -> NoReturn:
        told = f"{kind.__name__!r} object has no attribute {self.name!r}"
        if pid is not None:
            told += (
                f": a {kind.__name__} is an address, not the process; to call a method of the "
                f"process use dispatch(pid, {_class_with(pid, self.name)}.{self.name}, ...)"
            )
        raise AttributeError(told, name=self.name, obj=kind if pid is None else pid)


def name_methods(names: Iterable[str]) -> None:
    """Let an error tell how methods called *names* are called, where one is looked for in a UPID.

    A `__getattr__` would tell it of every name, but Python 3.11 looks up each attribute of a class
    that has one five times slower, and every message looks at those of a UPID.
    """
    fresh = [name for name in names if name not in vars(UPID)]
    if not fresh or next(_changes) >= MAX_CHANGES:
        return
    for name in fresh:
        setattr(UPID, name, _MethodOfProcess(name))


def _class_with(pid: UPID, name: str) -> str:
    """Return what the class of *pid*'s process is called if that is known and has *name*."""
    runtime = find_runtime()
    try:
        cls = type(runtime.processes.find_process(pid)) if runtime is not None else object
    except StateError:  # it is not started yet
        cls = object
    return cls.__name__ if hasattr(cls, name) else "Class"


def _split(text: str) -> tuple[str, str, int]:
    """Return id, host and port of *text*, the first as it stands."""
    if not isinstance(text, str):
        raise InvalidPID(f"expected id@ip:port as a text, got {text!r}")
    match = _TOKEN.match(text)
    token = match[1] if match else ""
    id, at, place = token.partition("@")
    if not at:
        raise InvalidPID(f"expected id@ip:port, got {text!r}")
    try:
        host, port = split_host_port(place)
    except InvalidAddress as error:
        raise InvalidPID(f"expected id@ip:port, got {text!r}: {error}") from error
    return id, host, port


def _check(id: object, address: object) -> None:
    """Refuse what is no id and no address, and an id alone that is the text of a whole UPID.

    Raises:
        InvalidPID: they are.
    """
    if not isinstance(address, Address):
        raise InvalidPID(f"expected an Address, got {address!r}: use Address.parse(text)")
    if not isinstance(id, str):
        raise InvalidPID(f"expected an id as a text, got {id!r}")
    if "@" not in id:
        return
    try:
        split_host_port(id.rpartition("@")[2])
    except InvalidAddress:
        return
    raise InvalidPID(f"expected an id and an Address, got {id!r}: use UPID.parse({id!r})")


def _resolve(host: str, text: str) -> str:
    """Return the first IPv4 address of *host*, by the runtime's resolver if there is one."""
    if not host or ":" in host:
        raise InvalidPID(f"expected id@ip:port, got {text!r}")
    runtime = find_runtime()
    try:
        if runtime is not None:
            return canonical_ip(runtime.resolve(host))
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
        return canonical_ip(str(found[0][4][0]))
    except (OSError, ValueError) as error:
        raise InvalidPID(f"expected a host name with an IPv4 address, got {text!r}") from error


NO_SENDER = UPID()
"""The sender of what comes from outside of any process."""
