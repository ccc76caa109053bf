"""Responses from bytes, incrementally and without any I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from greenproc.errors import RemoteProtocolError
from greenproc.http.body import BODY_FAILED, BodySink, IncomingBody
from greenproc.http.content_coding import Pause, gzip_decompress, no_pause
from greenproc.http.head import HEAD_END, PartialHead, ResponseHead, read_response_head
from greenproc.http.headers import Headers
from greenproc.http.limits import DEFAULT_LIMITS, IsSpent, ParserLimits, never
from greenproc.http.response import Response


class RawResponse:
    """A response as it came; `to_response` makes the value for users of it."""

    __slots__ = ("head", "body", "sink")

    head: ResponseHead
    body: bytes
    """As on the wire, so packed when the head says so; empty when it goes to `sink`."""
    sink: BodySink | None
    """Where the body goes, when it is streamed."""

    def __init__(self, head: ResponseHead) -> None:
        self.head = head
        self.body = b""
        self.sink = None

    def __repr__(self) -> str:
        return f"<RawResponse {self.head.status}, {len(self.body)} bytes>"


Streams = Callable[[RawResponse], BodySink | None]


class ResponseParser:
    """Makes responses of the bytes that one connection brings.

    Interim responses, such as ``100 Continue``, are passed over.

    Args:
        limits: what is refused as too large.
        streams: asked about each response once its head is there. If it returns a sink the
            response is returned at once, and its body goes to the sink, as on the wire and
            without a limit. It must not wait.
        is_spent: when it says so the parser stops early, and `has_more` is set.

    Once `error` or `is_finished` is set, bytes are ignored.

    Source: libprocess src/decoder.hpp, ResponseDecoder and StreamingResponseDecoder.
    Differs: takes statuses without a name, gzip, trailers, and knows about HEAD.
    """

    __slots__ = (
        "error",
        "has_more",
        "is_finished",
        "_is_spent",
        "_limits",
        "_streams",
        "_methods",
        "_rest",
        "_partial_head",
        "_response",
        "_body",
        "_last_head",
        "_last_key",
    )

    error: RemoteProtocolError | None
    """What the peer did wrong; the responses before it are good."""
    is_finished: bool
    """Whether the peer has said that a response was its last one, or has closed."""

    has_more: bool
    """Whether the last feed stopped early: feed it again, with nothing, before there is more."""

    def __init__(
        self,
        limits: ParserLimits = DEFAULT_LIMITS,
        *,
        streams: Streams | None = None,
        is_spent: IsSpent = never,
    ) -> None:
        self.error = None
        self.is_finished = self.has_more = False
        self._is_spent = is_spent
        self._limits = limits
        self._streams = streams
        self._methods: deque[str] = deque()
        self._rest = b""
        self._partial_head: PartialHead | None = None
        self._response: RawResponse | None = None
        self._body: IncomingBody | None = None
        # The last head with its bytes and method: within a second a server repeats itself.
        self._last_key: tuple[bytes, str] | None = None
        self._last_head: ResponseHead | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no response is under way."""
        return self._body is None and not self._rest

    def expect(self, method: str) -> None:
        """Say that a request was sent; a response to HEAD has no body whatever it says.

        Without a word from here every response counts as one to GET.
        """
        self._methods.append(method)

    def feed(self, data: bytes) -> list[RawResponse]:
        """Take the bytes that came, and return the responses that they complete, or begin.

        Never raises for what the peer sent: see `error`, and look at it each time.
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
                if at == before or self.has_more:
                    break
                if at < len(data) and self._is_spent():
                    self.has_more = True
                    break
        except RemoteProtocolError as error:
            self._fail(error)
        else:
            self._rest = b"" if self.is_finished else data[at:]
        return responses

    def feed_eof(self) -> list[RawResponse]:
        """Say that the peer sends no more, and return the response that this completes."""
        responses: list[RawResponse] = []
        if self.error is None and not self.is_finished:
            try:
                if self._rest:
                    raise RemoteProtocolError(BODY_FAILED if self._body else "incomplete head")
                if self._body is not None:
                    self._body.read_eof()
                    self._finish(responses)
            except RemoteProtocolError as error:
                self._fail(error)
        self.is_finished = True
        return responses

    def _fail(self, error: RemoteProtocolError) -> None:
        self.error = error
        self.has_more = False
        self._rest = b""
        body, self._body = self._body, None
        if body is not None:
            body.fail()

    def _read_head(self, data: bytes, at: int, responses: list[RawResponse]) -> int:
        """Read a head, and return where it ends, or where it begins if there is no end."""
        end = data.find(HEAD_END, at) + len(HEAD_END)
        if end < len(HEAD_END):
            # What is left over from one feed begins the next one.
            if at or not self._rest or self._partial_head is None:
                self._partial_head = PartialHead(self._limits, response=True)
            self._partial_head.check(data[at:])
            return at
        self._partial_head = None
        method = self._methods[0] if self._methods else "GET"
        key = data[at:end], method
        head = self._last_head
        if head is None or key != self._last_key:
            head = self._last_head = read_response_head(data[at:end], self._limits, method)
            self._last_key = key
        if head.status < 200 and head.status != 101:
            return end
        if self._methods:
            self._methods.popleft()
        response = RawResponse(head)
        if self._streams is not None:
            response.sink = self._streams(response)
        self._response = response
        self._body = IncomingBody(head.length, self._limits, response.sink, self._is_spent)
        if response.sink is not None:
            responses.append(response)
        return end

    def _read_body(self, data: bytes, at: int, responses: list[RawResponse]) -> int:
        """Go on with the body, and return how far it was read."""
        assert self._body is not None
        at = self._body.read(data, at)
        if self._body.is_done:
            self._finish(responses)
        else:
            self.has_more = self._body.is_paused
        return at

    def _finish(self, responses: list[RawResponse]) -> None:
        assert self._body is not None and self._response is not None
        response = self._response
        if response.sink is None:
            response.body = self._body.collected
            responses.append(response)
        self._body = self._response = None
        self.is_finished = not response.head.keep_alive


def to_response(
    raw: RawResponse,
    *,
    max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes,
    pause: Pause = no_pause,
) -> Response:
    """Make the value that users get, whose body is unpacked, within the limit.

    Its headers say nothing of the packing then, so that a server can hand on such a response. A
    body that goes to a sink is left to whoever reads from there, who has to unpack it.

    Args:
        pause: called between the steps of unpacking.

    Raises:
        RemoteProtocolError: the body cannot be unpacked.
    """
    response = Response(raw.head.status)
    headers = raw.head.parsed_headers()
    body = raw.body
    if raw.head.is_gzip and raw.head.length != 0:
        # Nothing at all is no gzip, but what servers send that had nothing to pack.
        body = gzip_decompress(body, max_body_bytes, pause) if body else body
        _tell_unpacked(headers, len(body) if raw.sink is None else None)
    if body:
        response.body = body  # before the headers, whose length is not to be corrected again
    response.headers = headers
    return response


def _tell_unpacked(headers: Headers, length: int | None) -> None:
    """Let *headers* be about a body that is unpacked, of that *length* if it is known."""
    del headers["Content-Encoding"]
    if length is None:
        headers.pop("Content-Length", None)
    elif "Content-Length" in headers:
        headers["Content-Length"] = str(length)
