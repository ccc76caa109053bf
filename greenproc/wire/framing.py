"""Messages of libprocess as HTTP requests.

The encoder writes the bytes of libprocess. The decoder accepts any framing that HTTP allows.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias, TypeVar

from greenproc.address import Address
from greenproc.errors import InvalidArgument, InvalidURL, RemoteProtocolError
from greenproc.http.content_coding import Pause, gzip_decompress, no_pause
from greenproc.http.head import RequestHead
from greenproc.http.limits import DEFAULT_LIMITS
from greenproc.http.raw_message import RawRequest
from greenproc.message import Message, TracedMessage
from greenproc.pid import UPID, decode_id
from greenproc.tracing import TraceContext

MAX_CACHED = 4096
"""The entries of each cache of this module, which is emptied at that bound."""
MAX_HEADS_BYTES = 1024 * 1024
"""The bytes of the cached heads to one peer. A reply has the id that the peer chose for its sender,
so a peer could fill the cache with long ids."""
MAX_SENDER_BYTES = 4096
"""A longer sender is malformed: every message in a mailbox would keep it in memory."""
_MAX_CACHED_BYTES = 256  # of the key of an entry that a peer causes

_MANY = 1024
_SIZE_LINES = [b"%x\r\n" % size for size in range(_MANY)]
"""The line before a chunk, for the usual sizes. Formatting it takes as long as the rest of
encoding a message."""

T = TypeVar("T")

_Heads: TypeAlias = tuple[bytes, bytes]

_AGENT = b"libprocess/"
# A blank or a control character ends or breaks the request line, and the path ends at ? or #.
_BAD_IN_TARGET = re.compile(r"[\x00-\x20\x7f?#]")
# A receiver parses the sender's id up to the first @, and ignores the bytes after a blank.
_BAD_IN_SENDER = re.compile(r"[\x00-\x20\x7f@]")
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")


class _Route:
    """The decoded head of a message, attached to that head for the next message with it."""

    __slots__ = ("decoder", "name", "sender", "to")

    def __init__(self, decoder: MessageDecoder, name: str, sender: UPID, to: UPID) -> None:
        self.decoder = decoder
        self.name = name
        self.sender = sender
        self.to = to


def encode_message(message: Message) -> bytes:
    """Encode a message as an HTTP request.

    The id and the name are not percent-encoded.

    Raises:
        InvalidArgument: the name or an id has a character that would change the request: a blank,
            a control character, ``?`` or ``#``, or ``@`` in the sender's id.

    Source: libprocess src/encoder.hpp, MessageEncoder.
    Differs: libprocess writes such characters. The lines of a trace context, if the message has
    one, follow its own lines; libprocess ignores them.
    """
    return _encode(_add_trace(_encode_heads(message), message.trace), message.body)


class MessageEncoder:
    """Encodes the messages to one peer as `encode_message` does, with a cache of their heads.

    The address of the receiver is not part of the key of that cache, so each peer must have an
    encoder of its own.

    Args:
        local: the address in the UPIDs of this node's processes.
    """

    __slots__ = ("_heads", "_heads_bytes", "_local", "_name", "_recent", "_sender", "_to")

    def __init__(self, local: Address) -> None:
        self._local = local
        self._heads: dict[tuple[str, str, str], _Heads] = {}
        self._heads_bytes = 0
        # The heads of the last message, and their parts: the same process often sends several
        # messages in a row, and comparing identities costs less than a lookup.
        self._recent: _Heads = (b"", b"")
        self._to: UPID | None = None
        self._sender: UPID | None = None
        self._name = ""

    def encode(self, message: Message) -> bytes:
        """Encode a message.

        Raises:
            InvalidArgument: see `encode_message`.
        """
        if type(message) is not Message:  # a traced message, whose head is never repeated
            return _encode(_add_trace(self._find_heads(message), message.trace), message.body)
        name, sender, to = message.name, message.sender, message.to
        if to is not self._to or sender is not self._sender or name is not self._name:
            self._recent = self._find_heads(message)
            self._name, self._sender, self._to = name, sender, to
        return _encode(self._recent, message.body)

    def _find_heads(self, message: Message) -> _Heads:
        address = message.sender.address
        if address is not self._local and address != self._local:
            return _encode_heads(message)
        key = (message.sender.id, message.to.id, message.name)
        heads = self._heads.get(key)
        if heads is None:
            heads = _encode_heads(message)
            self._keep(key, heads)
        return heads

    def _keep(self, key: tuple[str, str, str], heads: _Heads) -> None:
        """Cache heads within the bounds, except long ones, which would evict many others."""
        cost = _cost(heads)
        if cost > MAX_HEADS_BYTES // 16:
            return
        if len(self._heads) >= MAX_CACHED or self._heads_bytes + cost > MAX_HEADS_BYTES:
            self._heads.clear()
            self._heads_bytes = 0
        self._heads[key] = heads
        self._heads_bytes += cost


def _cost(heads: _Heads) -> int:
    """Return the bytes of two heads and their key, whose ids are in each head, too."""
    return 2 * (len(heads[0]) + len(heads[1]))


def is_message(raw: RawRequest) -> bool:
    """Whether a request carries a message, rather than being for a route.

    Source: libprocess src/process.cpp, libprocess(Request*).
    """
    return _is_message_head(raw.head)


class MessageDecoder:
    """Decodes messages from requests. The connections of a node may share one.

    Args:
        local: the address of this node, for the UPIDs of the receivers.
        max_body_bytes: the limit of a decompressed body.
        pause: called between the steps of decompression.
    """

    __slots__ = ("_local", "_max_body_bytes", "_pause", "_receivers", "_senders")

    def __init__(
        self,
        local: Address,
        *,
        max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes,
        pause: Pause = no_pause,
    ) -> None:
        self._local = local
        self._max_body_bytes = max_body_bytes
        self._pause = pause
        self._receivers: dict[bytes, tuple[str, UPID]] = {}
        self._senders: dict[bytes, UPID] = {}

    def decode(self, raw: RawRequest) -> Message | None:
        """Return the message of a request, or None if it carries none.

        A malformed sender becomes the empty UPID.

        Raises:
            RemoteProtocolError: the receiver's id has a malformed escape (400), or the body
                cannot be decompressed (400, 413). The texts are those of libprocess.

        Source: libprocess src/process.cpp, parse(Request) and ProcessManager::handle.
        Differs: libprocess responds with 500 to these errors of the peer.
        """
        head = raw.head
        route = head.memo
        if type(route) is not _Route or route.decoder is not self:
            if head.trace is not None:
                return self._decode_traced(raw, head.trace)
            route = self._derive(head) or self._read(head)
            if route is None:
                return None
            head.memo = route
        body = raw.body
        if head.is_gzip:
            body = self._content(raw)
        return Message(route.name, route.sender, route.to, body)

    def _decode_traced(self, raw: RawRequest, trace: TraceContext) -> Message | None:
        """Decode a message with a trace context, whose head is not repeated."""
        head = raw.head if raw.head.untraced is None else raw.head.untraced
        route = head.memo
        if type(route) is not _Route or route.decoder is not self:
            route = self._derive(head) or self._read(head)
            if route is None:
                return None
            if head is not raw.head:
                head.memo = route
        return TracedMessage(route.name, route.sender, route.to, self._content(raw), trace)

    def _content(self, raw: RawRequest) -> bytes:
        if raw.head.is_gzip:
            return gzip_decompress(raw.body, self._max_body_bytes, self._pause)
        return raw.body

    def _derive(self, head: RequestHead) -> _Route | None:
        """Return the route of a head that differs by a number from a head with a known route."""
        if head.origin is None:
            return None
        origin, old, new = head.origin
        known = origin.memo
        if type(known) is not _Route or known.decoder is not self:
            return None
        was, number = old.decode(), new.decode()
        return _Route(
            self,
            known.name.replace(was, number),
            _with_number(known.sender, was, number),
            _with_number(known.to, was, number),
        )

    def _read(self, head: RequestHead) -> _Route | None:
        if not _is_message_head(head):
            return None
        name, to = self._receiver(_path(head.target))
        return _Route(self, name, self._sender(head), to)

    def _receiver(self, path: bytes) -> tuple[str, UPID]:
        """Return the message's name and the receiver's UPID of a path."""
        known = self._receivers.get(path)
        if known is not None:
            return known
        id, _, name = path[1:].decode("utf-8", "surrogateescape").partition("/")
        try:
            receiver = name, UPID(decode_id(id), self._local)
        except InvalidURL as error:
            raise RemoteProtocolError(f"Failed to decode URL path: {error}") from error
        _remember(self._receivers, path, receiver)
        return receiver

    def _sender(self, head: RequestHead) -> UPID:
        """Return the sender by ``Libprocess-From``, or else by ``User-Agent``."""
        text = _last(head, b"libprocess-from")
        if text is None:
            text = (_last(head, b"user-agent") or b"").removeprefix(_AGENT)
        sender = self._senders.get(text)
        if sender is None:
            is_long = len(text) > MAX_SENDER_BYTES
            sender = UPID() if is_long else UPID.lenient(text.decode("utf-8", "surrogateescape"))
            _remember(self._senders, text, sender)
        return sender


def _with_number(pid: UPID, old: str, new: str) -> UPID:
    """Return *pid* with *new* in place of *old* in its id; the class of the UPID is kept."""
    return type(pid)(pid.id.replace(old, new), pid.address) if old in pid.id else pid


def _encode_heads(message: Message) -> _Heads:
    """Return the head of a message without a body, and that of a message with a body."""
    sender, to, name = message.sender, message.to, message.name
    path = f"/{to.id}/{name}" if to.id else f"/{name}"
    if _BAD_IN_TARGET.search(path) or _BAD_IN_SENDER.search(sender.id):
        _check(_BAD_IN_TARGET, "the receiver's id", to.id)
        _check(_BAD_IN_TARGET, "the message's name", name)
        _check(_BAD_IN_SENDER, "the sender's id", sender.id)
    claimed = f"{sender.id}@{_address_text(sender.address)}"
    text = (
        f"POST {path} HTTP/1.1\r\n"
        f"User-Agent: libprocess/{claimed}\r\n"
        f"Libprocess-From: {claimed}\r\n"
        "Connection: Keep-Alive\r\n"
        f"Host: {_address_text(to.address)}\r\n"
    )
    head = text.encode("utf-8", "surrogateescape")
    return head + b"\r\n", head + b"Transfer-Encoding: chunked\r\n\r\n"


_address_text = lru_cache(maxsize=_MANY)(str)


def _add_trace(heads: _Heads, trace: TraceContext | None) -> _Heads:
    """Return *heads* with the lines of *trace* after their own."""
    if trace is None:
        return heads
    end = trace.lines + b"\r\n"
    return heads[0][:-2] + end, heads[1][:-2] + end


def _check(bad: re.Pattern[str], what: str, text: str) -> None:
    match = bad.search(text)
    if match:
        raise InvalidArgument(f"{what} cannot travel with {match[0]!r} in it: {text!r}")


def _encode(heads: _Heads, body: bytes) -> bytes:
    size = len(body)
    if not size:
        return heads[0]
    line = _SIZE_LINES[size] if size < _MANY else b"%x\r\n" % size
    return b"".join((heads[1], line, body, b"\r\n0\r\n\r\n"))


def _remember(cache: dict[bytes, T], key: bytes, value: T) -> None:
    """Cache an entry that a peer causes, within the bounds of number and size."""
    if len(key) > _MAX_CACHED_BYTES:
        return
    if len(cache) >= MAX_CACHED:
        cache.clear()
    cache[key] = value


def _is_message_head(head: RequestHead) -> bool:
    if head.method != b"POST" or not _path(head.target).startswith(b"/"):
        return False
    if _last(head, b"libprocess-from") is not None:
        return True
    return (_last(head, b"user-agent") or b"").startswith(_AGENT)


def _last(head: RequestHead, name: bytes) -> bytes | None:
    """Return the value of the last line of *name*, which must be in lower case."""
    for other, value in reversed(head.headers):
        if other.lower() == name:
            return value
    return None


def _path(target: bytes) -> bytes:
    """Return the path of a target, without query and fragment."""
    match = _ABSOLUTE.match(target)
    path = target[match.end() :] if match else target
    return path.partition(b"#")[0].partition(b"?")[0]
