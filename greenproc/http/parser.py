"""Parsers of requests and responses: incremental, and without any I/O.

`greenproc.http.head` parses heads, `greenproc.http.body` reads bodies. The usual requests, a
cached head with no body or with a body in one chunk, take a short cut here.

A parser is in one of these states; ``-`` leaves it there. Each event is the bytes of one feed, but
*eof* is the end of the connection, and the *last end* is that of a message that closes it::

    state     part of head  head without body  head with body  part of body  end      last end  malformed  eof
    --------  ------------  -----------------  --------------  ------------  -------  --------  ---------  --------
    IDLE      HEAD          -                  BODY            -             -        FINISHED  FAILED     FINISHED
    HEAD      -             IDLE               BODY            -             -        FINISHED  FAILED     FAILED
    BODY      -             -                  -               -             IDLE     FINISHED  FAILED     FAILED
    FINISHED  -             -                  -               -             -        -         -          -
    FAILED    -             -                  -               -             -        -         -          -

The body of a response without a length ends with the connection; then *eof* leads from BODY to
FINISHED.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from greenproc.errors import RemoteProtocolError
from greenproc.http.body import BODY_FAILED, CHUNK_LINE, BodySink, IncomingBody
from greenproc.http.head import (
    CHUNKED,
    HEAD_END,
    PartialHead,
    RequestHead,
    ResponseHead,
    read_response_head,
)
from greenproc.http.head_cache import HeadCache
from greenproc.http.limits import DEFAULT_LIMITS, IsSpent, ParserLimits, never
from greenproc.http.raw_message import RawRequest, RawResponse

_CR = 0x0D
_CHUNKS_END = b"\r\n0\r\n\r\n"  # the end of a body in one chunk
_MAX_KNOWN_SIZES = 1024  # the lines of chunk sizes that are looked up, for each connection

RequestSinks = Callable[[RawRequest], BodySink | None]
"""Returns the sink of a request's body, None for a body that is read whole."""
ResponseSinks = Callable[[RawResponse], BodySink | None]
"""Returns the sink of a response's body, None for a body that is read whole."""


M = TypeVar("M", RawRequest, RawResponse)


class _MessageParser(Generic[M]):
    """The part that both parsers share: what is kept between two feeds, bodies, and errors.

    Args:
        limits: of each message.
        is_spent: see `RequestParser`.
    """

    __slots__ = (
        "error",
        "has_more",
        "is_finished",
        "_body",
        "_is_spent",
        "_limits",
        "_message",
        "_partial_head",
        "_rest",
    )

    _parses_responses: ClassVar[bool]

    error: RemoteProtocolError | None
    """The protocol error of the peer, with the status to respond. Earlier messages are valid."""
    has_more: bool
    """Whether the last feed stopped early: feed ``b""`` before the next bytes."""
    is_finished: bool
    """Whether the last message was announced, or the connection has ended."""

    def __init__(self, limits: ParserLimits, is_spent: IsSpent) -> None:
        self.error = None
        self.is_finished = self.has_more = False
        self._limits = limits
        self._is_spent = is_spent
        self._rest = b""  # bytes that make sense only together with the next ones
        self._partial_head: PartialHead | None = None
        self._message: M | None = None  # its body is being read
        self._body: IncomingBody | None = None

    @property
    def is_idle(self) -> bool:
        """Whether the parser is between two messages, so that none is lost with the connection."""
        return self._body is None and not self._rest

    def fail(self, error: RemoteProtocolError) -> None:
        """Ignore all further bytes because of *error*, and fail the sink of the current body."""
        self.error = error
        self.has_more = False
        self._rest = b""
        body, self._body = self._body, None
        if body is not None:
            body.fail()

    def _check_partial_head(self, data: bytes, at: int) -> None:
        """Validate a head without its end, which begins at the offset *at*.

        Raises:
            RemoteProtocolError: no further bytes can make it a head, or it is too long.
        """
        # The rest of the last feed stands at the beginning of *data*; another offset is a new head.
        if at or not self._rest or self._partial_head is None:
            self._partial_head = PartialHead(self._limits, response=self._parses_responses)
        self._partial_head.check(data[at:])

    def _read_body(self, data: bytes, at: int, complete: list[M]) -> int:
        """Continue the current body, and return the offset where it stopped."""
        body, message = self._body, self._message
        assert body is not None and message is not None
        at = body.read(data, at)
        if self._body is not body:
            return at  # it failed while the sink waited
        if body.is_done:
            self._end_body(complete)
        else:
            self.has_more = body.is_paused
        return at

    def _end_body(self, complete: list[M]) -> None:
        body, message = self._body, self._message
        assert body is not None and message is not None
        self._body = self._message = None
        # A message with a sink was returned at the end of its head.
        if message.sink is None:
            message.body = body.collected
            complete.append(message)
        self.is_finished = not message.head.keep_alive


class RequestParser(_MessageParser[RawRequest]):
    """Parses the requests on one connection.

    Args:
        limits: of each request.
        heads: a cache to share with other parsers; its limits apply, not *limits*.
        streams: called with a request whose body is incomplete. If it returns a sink, the request
            is returned at once, and the sink receives the body, as on the wire and without a
            limit. It must not wait. A body that is complete is always in the request.
        is_spent: True stops the parser early, and sets `has_more`.

    Once `error` or `is_finished` is set, bytes are ignored.

    Source: libprocess src/decoder.hpp, StreamingRequestDecoder; RFC 9112.
    Differs: refuses messages that could smuggle a request, see `greenproc.http.head`.
    """

    __slots__ = (
        "trailing_data",
        "is_upgrading",
        "expects_continue",
        "has_skipped_lines",
        "is_head_request",
        "_heads",
        "_streams",
        "_known_heads",
        "_known_sizes",
        "_last_head",
        "_prefix",
        "_chunk_size",
    )

    _parses_responses = False

    trailing_data: bytes
    """The bytes behind the handshake of a WebSocket, which are its first frames."""
    is_upgrading: bool
    """Whether the last request is the handshake of a WebSocket."""
    expects_continue: bool
    """Whether the client now waits for ``100 Continue``; the next bytes make it False."""
    has_skipped_lines: bool
    """Whether blank lines arrived between requests: the client is alive, without a request."""

    is_head_request: bool
    """Whether `error` is about a HEAD request, whose response must not have a body."""

    def __init__(
        self,
        limits: ParserLimits = DEFAULT_LIMITS,
        *,
        heads: HeadCache | None = None,
        streams: RequestSinks | None = None,
        is_spent: IsSpent = never,
    ) -> None:
        heads = HeadCache(limits) if heads is None else heads
        super().__init__(heads.limits, is_spent)
        self.trailing_data = b""
        self.is_upgrading = False
        self.expects_continue = False
        self.has_skipped_lines = False
        self.is_head_request = False
        self._heads = heads
        self._streams = streams
        self._known_heads = heads.by_bytes
        self._known_sizes: dict[bytes, int] = {}  # by the line before the chunk
        # After two messages in a row with one head, its bytes and the line of the chunk size are
        # a prefix that the next message is compared with. Before that it is None: an empty prefix
        # would match any bytes.
        self._last_head: RequestHead | None = None
        self._prefix: bytes | None = None
        self._chunk_size = 0

    @property
    def body_bytes(self) -> int | None:
        """The bytes of the current body so far, its framing included; None without one."""
        return None if self._body is None else self._body.taken

    @property
    def has_failed_sink(self) -> bool:
        """Whether `error` is about a body with a sink, which has failed with it."""
        request = self._message
        return self.error is not None and request is not None and request.sink is not None

    def feed(self, data: bytes) -> list[RawRequest]:
        """Return the requests that *data* completes.

        Never raises for bytes of the peer: the caller must check `error` after each call.
        """
        requests: list[RawRequest] = []
        if self.error is not None or self.is_finished:
            return requests
        if self._rest:
            data = self._rest + data
        # A client that expected 100 Continue, and sends its body anyway, does not wait for it.
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
        """End the input. An incomplete request sets `error`."""
        if self.error is None and not self.is_idle:
            self.fail(RemoteProtocolError("connection closed within a request"))
        self.is_finished = True

    def _read_requests(self, data: bytes, at: int, requests: list[RawRequest]) -> int:
        """Read requests from *at* on, and return the offset of the first incomplete one."""
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
            # Nearly as hot: a message with any cached head.
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
        """Whether to stop: the last request was read, a body is incomplete, or the time is spent."""
        if self._body is not None or self.is_finished:
            return True
        self.has_more = has_bytes and self._is_spent()
        return self.has_more

    def _read_request(
        self, data: bytes, at: int, head_end: int, requests: list[RawRequest]
    ) -> int:
        """Read any request, and return the offset of its end, or -1 if its head is incomplete."""
        if data[at] == _CR:
            # RFC 9112 section 2.2: a server should ignore blank lines before a request.
            if data.startswith(b"\r\n", at):
                self.has_skipped_lines = True
                return at + 2
            if len(data) == at + 1:
                return -1
        # Set before the head is validated, since `error` may be about this head.
        self.is_head_request = data.startswith(b"HEAD ", at)
        if head_end < len(HEAD_END):
            self._check_partial_head(data, at)
            return -1
        self._partial_head = None
        head = self._heads.read(data[at:head_end])
        whole = self._find_whole_body(data, head_end, head.length)
        # A compressed body may be large after decompression, which a sink does in steps.
        if whole is None or head.is_gzip or whole[1] - whole[0] > self._limits.max_body_bytes:
            return self._open_body(data, head_end, head, requests)
        begin, end, after = whole
        requests.append(RawRequest(head, data[begin:end]))
        self.is_finished = not head.keep_alive
        return after

    def _find_whole_body(self, data: bytes, at: int, length: int) -> tuple[int, int, int] | None:
        """Return the offsets of the body, of its end and of the next request.

        None if the body is incomplete, or in several chunks.
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
            # Only sizes within the limit, so that the short cut need not compare them with it.
            self._known_sizes[line[0]] = chunk_size
        return begin, end, after

    def _open_body(
        self, data: bytes, at: int, head: RequestHead, requests: list[RawRequest]
    ) -> int:
        """Start an incomplete body, and return the offset where it stopped."""
        request = RawRequest(head, b"")
        if self._streams is not None:
            request.sink = self._streams(request)
        self._body = IncomingBody(head.length, self._limits, request.sink, self._is_spent)
        self._message = request
        if request.sink is not None:
            requests.append(request)
        # RFC 9110 section 10.1.1: no 100 for a client that has sent a part of the body already.
        self.expects_continue = head.expects_continue and at == len(data)
        return self._read_body(data, at, requests)


class ResponseParser(_MessageParser[RawResponse]):
    """Parses the responses on one connection.

    Interim responses, such as ``100 Continue``, are skipped.

    Args:
        limits: of each response.
        streams: called with each response after its head. If it returns a sink, the response is
            returned at once, and the sink receives the body, as on the wire and without a limit.
            It must not wait.
        is_spent: True stops the parser early, and sets `has_more`.

    Once `error` or `is_finished` is set, bytes are ignored.

    Source: libprocess src/decoder.hpp, ResponseDecoder and StreamingResponseDecoder.
    Differs: accepts statuses without a name, gzip and trailers, and handles HEAD.
    """

    __slots__ = (
        "_streams",
        "_methods",
        "_last_head",
        "_last_key",
    )

    _parses_responses = True

    def __init__(
        self,
        limits: ParserLimits = DEFAULT_LIMITS,
        *,
        streams: ResponseSinks | None = None,
        is_spent: IsSpent = never,
    ) -> None:
        super().__init__(limits, is_spent)
        self._streams = streams
        self._methods: deque[str] = deque()
        # The last head with its bytes and method: a server repeats it until its date changes.
        self._last_key: tuple[bytes, str] | None = None
        self._last_head: ResponseHead | None = None

    def expect(self, method: str) -> None:
        """Announce the response to a request with that *method*: one to HEAD has no body.

        An unannounced response is parsed as one to GET.
        """
        self._methods.append(method)

    def feed(self, data: bytes) -> list[RawResponse]:
        """Return the responses that *data* completes, and those with a sink that it starts.

        Never raises for bytes of the peer: the caller must check `error` after each call.
        """
        responses: list[RawResponse] = []
        if self.error is not None or self.is_finished:
            return responses
        if self._rest:
            data = self._rest + data
        at = 0
        self.has_more = False
        try:
            while at < len(data) and not self.is_finished:
                before = at
                if self._body is None:
                    at = self._read_head(data, at, responses)
                if self._body is not None:
                    at = self._read_body(data, at, responses)
                if at == before or self.has_more:  # the rest needs more bytes, or more time
                    break
                if at < len(data) and self._is_spent():
                    self.has_more = True
                    break
        except RemoteProtocolError as error:
            self.fail(error)
        else:
            self._rest = b"" if self.is_finished else data[at:]
        return responses

    def feed_eof(self) -> list[RawResponse]:
        """End the input, and return the response that this completes, if any."""
        responses: list[RawResponse] = []
        if self.error is None and not self.is_finished:
            try:
                if self._rest:
                    raise RemoteProtocolError(BODY_FAILED if self._body else "incomplete head")
                if self._body is not None:
                    self._body.read_eof()
                    self._end_body(responses)
            except RemoteProtocolError as error:
                self.fail(error)
        self.is_finished = True
        return responses

    def _read_head(self, data: bytes, at: int, responses: list[RawResponse]) -> int:
        """Read a head, with a body that is complete; return the offset of the end.

        It is *at* if the head is incomplete.
        """
        end = data.find(HEAD_END, at) + len(HEAD_END)
        if end < len(HEAD_END):
            self._check_partial_head(data, at)
            return at
        self._partial_head = None
        # The method is part of the key: the same head has a body after GET and none after HEAD.
        method = self._methods[0] if self._methods else "GET"
        key = data[at:end], method
        head = self._last_head
        if head is None or key != self._last_key:
            head = self._last_head = read_response_head(data[at:end], self._limits, method)
            self._last_key = key
        # RFC 9110 section 15.2: any number of interim responses; 101 ends HTTP on the connection.
        if head.status < 200 and head.status != 101:
            return end
        if self._methods:
            self._methods.popleft()
        response = RawResponse(head)
        if self._streams is not None:
            response.sink = self._streams(response)
        body_end = end + head.length
        # A whole body of a known length, as of nearly every response, needs no reader.
        if (
            response.sink is None
            and 0 <= head.length <= self._limits.max_body_bytes
            and body_end <= len(data)
        ):
            response.body = data[end:body_end]
            responses.append(response)
            self.is_finished = not head.keep_alive
            return body_end
        self._message = response
        self._body = IncomingBody(head.length, self._limits, response.sink, self._is_spent)
        if response.sink is not None:
            responses.append(response)
        return end
