"""Requests from bytes, incrementally and without any I/O.

Heads are read by `greenproc.http.head`, bodies by `greenproc.http.body`. What happens for most
requests, a head that was seen before with no body or with one in one chunk, is done here on the
spot.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from greenproc.address import Address
from greenproc.errors import RemoteProtocolError
from greenproc.http.body import CHUNK_LINE, BodySink, IncomingBody
from greenproc.http.content_coding import Pause, gzip_decompress, no_pause
from greenproc.http.head import CHUNKED, HEAD_END, PartialHead, RawFields, RequestHead
from greenproc.http.head_cache import HeadCache
from greenproc.http.headers import Headers
from greenproc.http.limits import DEFAULT_LIMITS, IsSpent, ParserLimits, never
from greenproc.http.request import Request
from greenproc.http.url import URL

_CR = 0x0D
_CHUNKS_END = b"\r\n0\r\n\r\n"  # after the only chunk
_MAX_KNOWN_SIZES = 1024


class RawRequest(msgspec.Struct, eq=False):
    """A request as it came; `to_request` makes the value for handlers of it."""

    head: RequestHead
    body: bytes
    """As on the wire, so packed when the head says so; empty when it goes to `sink`."""
    sink: BodySink | None = None
    """Where the body goes, when it is streamed."""

    @property
    def method(self) -> bytes:
        """Such as ``b"POST"``."""
        return self.head.method

    @property
    def target(self) -> bytes:
        """The path with its query, ``*``, or an absolute URL."""
        return self.head.target

    @property
    def headers(self) -> RawFields:
        """Name and value of each line."""
        return self.head.headers

    @property
    def keep_alive(self) -> bool:
        """Whether the connection outlives this request."""
        return self.head.keep_alive

    @property
    def version(self) -> tuple[int, int]:
        """``(1, 1)`` or ``(1, 0)``."""
        return self.head.version

    def __repr__(self) -> str:
        return f"<RawRequest {self.method!r} {self.target!r}, {len(self.body)} bytes>"


Streams = Callable[[RawRequest], BodySink | None]


class RequestParser:
    """Makes requests of the bytes that one connection brings.

    Args:
        limits: what is refused as too large.
        heads: a cache to share with other parsers; its limits count, not *limits*.
        streams: asked about a request whose body has not come in one piece with it. If it
            returns a sink the request is returned at once, and its body goes to the sink,
            unpacked and without a limit. It must not wait. A body that is there is always
            given whole.
        is_spent: when it says so the parser stops early, and `has_more` is set.

    Once `error` or `is_finished` is set, bytes are ignored.

    Source: libprocess src/decoder.hpp, StreamingRequestDecoder; RFC 9112.
    Differs: refuses what invites request smuggling; `greenproc.http.head` tells what.
    """

    __slots__ = (
        "trailing_data",
        "error",
        "is_finished",
        "is_upgrading",
        "expects_continue",
        "has_more",
        "has_skipped_lines",
        "is_head_request",
        "_heads",
        "_limits",
        "_streams",
        "_is_spent",
        "_rest",
        "_partial_head",
        "_request",
        "_body",
        "_known_heads",
        "_known_sizes",
        "_last_head",
        "_prefix",
        "_chunk_size",
    )

    trailing_data: bytes
    """What came behind the last request, when that asks for a WebSocket: its first frames."""
    error: RemoteProtocolError | None
    """What the peer did wrong, with the status to answer; the requests before it are good."""
    is_finished: bool
    """Whether the peer has said that a request was its last one."""
    is_upgrading: bool
    """Whether that request asks for a WebSocket."""
    expects_continue: bool
    """Whether the peer now waits for ``100 Continue``; the next bytes make it False."""
    has_more: bool
    """Whether the last feed stopped early: feed it again, with nothing, before there is more."""
    has_skipped_lines: bool
    """Whether blank lines came where a request may begin: a peer that sent something."""

    is_head_request: bool
    """Whether the request that `error` is about asks with HEAD, so that no body may answer it."""

    def __init__(
        self,
        limits: ParserLimits = DEFAULT_LIMITS,
        *,
        heads: HeadCache | None = None,
        streams: Streams | None = None,
        is_spent: IsSpent = never,
    ) -> None:
        self.trailing_data = b""
        self.is_upgrading = False
        self.error = None
        self.is_finished = False
        self.expects_continue = False
        self.has_more = False
        self.has_skipped_lines = False
        self.is_head_request = False
        self._heads = HeadCache(limits) if heads is None else heads
        self._limits = self._heads.limits
        self._streams = streams
        self._is_spent = is_spent
        self._rest = b""  # bytes that make sense only with those that follow
        self._partial_head: PartialHead | None = None
        self._request: RawRequest | None = None  # its body is being read
        self._body: IncomingBody | None = None
        self._known_heads = self._heads.by_bytes
        self._known_sizes: dict[bytes, int] = {}  # by the line before the chunk
        # Two messages in a row with one head make its bytes and those of the size a prefix to
        # look out for; None without them, as any bytes can come from a peer.
        self._last_head: RequestHead | None = None
        self._prefix: bytes | None = None
        self._chunk_size = 0

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way: the peer may close without losing one."""
        return self._body is None and not self._rest

    @property
    def body_bytes(self) -> int | None:
        """How much has come of the body that is under way, None when there is none."""
        return None if self._body is None else self._body.taken

    @property
    def has_failed_sink(self) -> bool:
        """Whether `error` struck in a body that goes to a sink, which was told of it."""
        request = self._request
        return self.error is not None and request is not None and request.sink is not None

    def feed(self, data: bytes) -> list[RawRequest]:
        """Take the bytes that came, and return the requests that they complete.

        Never raises for what the peer sent: see `error`, and look at it each time.
        """
        requests: list[RawRequest] = []
        if self.error is not None or self.is_finished:
            return requests
        if self._rest:
            data = self._rest + data
        self.expects_continue = self.has_more = False
        try:
            at = 0
            if self._body is not None:
                at = self._read_body(data, 0, requests)
            if self._body is None and not self.is_finished:
                at = self._read_requests(data, at, requests)
        except RemoteProtocolError as error:
            self.fail(error)
        else:
            is_over = self.is_finished or self.error is not None
            self._rest = b"" if is_over else data[at:]
            if is_over and requests and requests[-1].head.upgrades:
                self.is_upgrading = True
                self.trailing_data = data[at:]
        return requests

    def feed_eof(self) -> None:
        """Say that the peer sends no more; a request that is under way becomes an `error`."""
        if self.error is None and not self.is_idle:
            self.fail(RemoteProtocolError("connection closed within a request"))
        self.is_finished = True

    def fail(self, error: RemoteProtocolError) -> None:
        """Take nothing any more, because of *error*; a sink is told."""
        self.error = error
        self.has_more = False
        self._rest = b""
        body, self._body = self._body, None
        if body is not None:
            body.fail()

    def _read_requests(self, data: bytes, at: int, requests: list[RawRequest]) -> int:
        """Read requests from *at* on, and return where the first incomplete one begins."""
        startswith, find, size = data.startswith, data.find, len(data)
        prefix = self._prefix
        while at < size:
            # The hot path: a message with the head and the size of the one before it.
            if prefix is not None and startswith(prefix, at):
                begin = at + len(prefix)
                end = begin + self._chunk_size
                after = end + len(_CHUNKS_END)
                if data[end:after] == _CHUNKS_END:
                    assert self._last_head is not None
                    requests.append(RawRequest(self._last_head, data[begin:end]))
                    at = after
                    continue
            # Nearly as hot: a message with any head that was seen before.
            head_end = find(HEAD_END, at) + len(HEAD_END)
            head = self._known_heads.get(data[at:head_end])
            if head is not None and head.length == 0 and head.keep_alive:
                requests.append(RawRequest(head, b""))
                at = head_end
                continue
            if head is not None and head.length == CHUNKED and head.keep_alive:
                begin = find(b"\r\n", head_end) + 2
                end = begin + self._known_sizes.get(data[head_end:begin], size)
                after = end + len(_CHUNKS_END)
                if data[end:after] == _CHUNKS_END:
                    is_same, self._last_head = head is self._last_head, head
                    prefix = self._prefix = data[at:begin] if is_same else None
                    self._chunk_size = end - begin
                    requests.append(RawRequest(head, data[begin:end]))
                    at = after
                    continue
            after = self._read_request(data, at, head_end, requests)
            if after < 0:
                break
            at = after
            if self._stops(has_bytes=at < size):
                break
        return at

    def _stops(self, *, has_bytes: bool) -> bool:
        """Whether no further request is to be read for now."""
        if self._body is not None or self.is_finished:
            return True
        self.has_more = has_bytes and self._is_spent()
        return self.has_more

    def _read_request(
        self, data: bytes, at: int, head_end: int, requests: list[RawRequest]
    ) -> int:
        """Read any request, and return how far it was read, or -1 if its head does not end."""
        if data[at] == _CR:
            # RFC 9112 section 2.2: blank lines before a request are to be ignored.
            if data.startswith(b"\r\n", at):
                self.has_skipped_lines = True
                return at + 2
            if len(data) == at + 1:
                return -1
        self.is_head_request = data.startswith(b"HEAD ", at)
        if head_end < len(HEAD_END):
            # What is left over from one feed begins the next one.
            if at or not self._rest or self._partial_head is None:
                self._partial_head = PartialHead(self._limits)
            self._partial_head.check(data[at:])
            return -1
        self._partial_head = None
        head = self._heads.read(data[at:head_end])
        whole = self._find_whole_body(data, head_end, head.length)
        # A packed body may be large though it is here.
        if whole is None or head.is_gzip or whole[1] - whole[0] > self._limits.max_body_bytes:
            return self._open_body(data, head_end, head, requests)
        begin, end, after = whole
        self._finish(RawRequest(head, data[begin:end]), requests)
        return after

    def _find_whole_body(self, data: bytes, at: int, length: int) -> tuple[int, int, int] | None:
        """Return where the body begins and ends and where the next request begins.

        None if that cannot be said yet, or the body is not in one piece.
        """
        if length != CHUNKED:
            end = at + length
            return (at, end, end) if end <= len(data) else None
        line = CHUNK_LINE.match(data, at)
        if line is None or line[2]:
            return None
        begin = line.end()
        chunk_size = int(line[1], 16)
        end = begin + chunk_size
        after = end + len(_CHUNKS_END)
        if chunk_size == 0 or data[end:after] != _CHUNKS_END:
            return None
        if chunk_size <= self._limits.max_body_bytes:
            if len(self._known_sizes) >= _MAX_KNOWN_SIZES:
                self._known_sizes.clear()
            self._known_sizes[line[0]] = chunk_size
        return begin, end, after

    def _open_body(
        self, data: bytes, at: int, head: RequestHead, requests: list[RawRequest]
    ) -> int:
        """Begin with a body whose end is not in sight, and return how far it was read."""
        request = RawRequest(head, b"")
        if self._streams is not None:
            request.sink = self._streams(request)
        self._body = IncomingBody(head.length, self._limits, request.sink, self._is_spent)
        self._request = request
        if request.sink is not None:
            requests.append(request)
        self.expects_continue = head.expects_continue and at == len(data)
        return self._read_body(data, at, requests)

    def _read_body(self, data: bytes, at: int, requests: list[RawRequest]) -> int:
        """Go on with the open body, and return how far it was read."""
        body, request = self._body, self._request
        assert body is not None and request is not None
        at = body.read(data, at)
        if self._body is not body:
            return at  # it failed while the sink waited
        if body.is_done:
            if request.sink is None:
                request.body = body.collected
            self._body = self._request = None
            self._finish(request, requests)
        else:
            self.has_more = body.is_paused
        return at

    def _finish(self, request: RawRequest, requests: list[RawRequest]) -> None:
        if request.sink is None:
            requests.append(request)
        self.is_finished = not request.head.keep_alive


def to_request(
    raw: RawRequest,
    client: Address | None = None,
    *,
    max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes,
    pause: Pause = no_pause,
    connection: object = None,
) -> Request:
    """Make the value that handlers get.

    The body is unpacked if need be, within the limit; the headers stay as they are.

    Args:
        pause: called between the steps of unpacking.
        connection: what the request came on, for handlers that need it.

    Raises:
        RemoteProtocolError: an escape in the query is malformed (400), or the body cannot be
            unpacked (400, 413).
    """
    head = raw.head
    method, url, headers = head.parts or head.parse_parts()
    body = raw.body
    if head.is_gzip and raw.sink is None:
        body = gzip_decompress(body, max_body_bytes, pause)
    # Handlers may change what they get: the head is shared with others.
    url = URL(url.path, {**url.query}, url.fragment)
    return Request(
        method,
        url,
        headers.copy(),
        body,
        None,
        client,
        head.keep_alive,
        head.version,
        head,
        connection,
    )


def to_raw_request(
    raw: RawRequest, client: Address | None = None, *, connection: object = None
) -> Request:
    """Make the value for a handler that reads `Request.head` itself.

    Neither is the query decoded, which may be malformed, nor the body unpacked.
    """
    head = raw.head
    return Request(
        head.method.decode("ascii"),
        URL(head.path),
        Headers.from_wire(head.headers),
        raw.body,
        None,
        client,
        head.keep_alive,
        head.version,
        head,
        connection,
    )
