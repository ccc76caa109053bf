"""Heads of HTTP messages: the first line and the header, validated, parsed and cached.

httptools parses the header lines. This module refuses the inputs that httptools accepts and that
HTTP/1.1 forbids, since two parsers that disagree about a message allow request smuggling. Bodies
are read by `greenproc.http.body`.

Neither half can go. llhttp refuses the targets of libprocess, whose bytes from 0x80 on are not
encoded, so the first line is parsed here. A strict regular expression for the header lines takes
2.1 to 3.6 times as long as httptools does, which would slow down the parsing of a head to 0.80 to
0.56 of its speed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

import httptools

from greenproc.errors import InvalidURL, RemoteProtocolError
from greenproc.http.headers import Headers
from greenproc.http.limits import ParserLimits
from greenproc.http.url import URL
from greenproc.tracing import TraceContext, receive_trace

CHUNKED = -1
"""In place of a length: the body is in chunks."""
UNTIL_EOF = -2
"""In place of a length: the body ends with the connection."""

HEAD_END = b"\r\n\r\n"
"""The end of a head."""

RawFields = tuple[tuple[bytes, bytes], ...]

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"  # RFC 9110 section 5.6.2
# Exactly one blank between the parts. The target may have bytes from 0x80 on, because libprocess
# does not encode the ids of processes.
_REQUEST_LINE = re.compile(
    rb"(" + _TOKEN + rb"{1,64}) ([^\x00-\x20\x7f]+) HTTP/([0-9])\.([0-9])\r\n"
)
_REQUEST_LINE_START = re.compile(
    _TOKEN + rb"{0,64}(?: (?:[^\x00-\x20\x7f]+(?: [HTP/0-9.]{0,8}\r?)?)?)?"
)
_REASON = rb"[^\x00-\x08\x0a-\x1f\x7f]*"
# libprocess leaves out the blank after a status without a phrase.
_STATUS_LINE = re.compile(rb"HTTP/([0-9])\.([0-9]) ([0-9]{3})(?: (" + _REASON + rb"))?\r\n")
_STATUS_LINE_START = re.compile(rb"[HTP/0-9.]{0,8}(?: [0-9]{0,3}(?: " + _REASON + rb")?)?\r?")
_TARGET = re.compile(rb"/|\*\Z|[A-Za-z][A-Za-z0-9+.\-]*://")
# RFC 3986 section 3.2.2: a name or an address, and a port.
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z\-._~!$&'()*+,;=%]*)(?::[0-9]*)?")
_BLANK_BEFORE_COLON = re.compile(rb"(?m)^(" + _TOKEN + rb"+)[ \t]+:")

_VERSIONS = {(b"1", b"1"): (1, 1), (b"1", b"0"): (1, 0)}
_MEANINGFUL = frozenset(
    (
        b"host",
        b"connection",
        b"proxy-connection",
        b"content-length",
        b"transfer-encoding",
        b"content-encoding",
        b"expect",
        b"upgrade",
        b"traceparent",
        b"tracestate",
    )
)
# A first line without its end is matched again with each read. Beyond this length that would cost
# quadratic time, and only the size limit applies.
_EARLY_BYTES = 1024


class RequestHead:
    """The head of a request, parsed.

    Requests with the same bytes share it. It is immutable except for the memo and the parts.
    """

    __slots__ = (
        "method",
        "target",
        "headers",
        "version",
        "keep_alive",
        "length",
        "is_gzip",
        "expects_continue",
        "upgrades",
        "memo",
        "origin",
        "parts",
        "trace",
        "untraced",
        "value_bytes",
    )

    method: bytes
    target: bytes
    """As on the wire: a path with its query, ``*``, or an absolute URL."""
    headers: RawFields
    """Name and value of each line, in order, without surrounding blanks."""
    version: tuple[int, int]
    keep_alive: bool
    """Whether the connection persists after this request. Source: RFC 9112 section 9.3."""
    length: int
    """The length of the body, or `CHUNKED`."""
    is_gzip: bool
    """Whether the body is compressed with gzip, so that it is decompressed for handlers."""
    expects_continue: bool
    """Whether the client waits for ``100 Continue`` before it sends the body."""
    upgrades: bool
    """Whether it is the opening handshake of a WebSocket, after which no HTTP follows."""
    memo: object
    """A result that a user of the head attaches, and finds when the head is repeated."""
    origin: tuple[RequestHead, bytes, bytes] | None
    """A head that differs from this one by a number in parentheses only, and both numbers."""
    parts: tuple[str, URL, Headers] | None
    """Method, URL and headers for handlers, after the first `parse_parts`; to be copied."""
    trace: TraceContext | None
    """The trace context of the client, if it sent a valid one."""
    untraced: RequestHead | None
    """The same head without its trace context, if that is known. Other requests may share it."""
    value_bytes: int
    """The length of the values of all headers together, after `parse_parts`."""

    @classmethod
    def empty(cls) -> RequestHead:
        """Return a head without memo, parts and trace; the caller must set everything else."""
        # Not by __init__, which would make deriving a head from another one slower.
        head = cls()
        head.memo = head.parts = head.origin = head.trace = head.untraced = None
        return head

    def __repr__(self) -> str:
        return f"<RequestHead {self.method!r} {self.target!r}>"

    @property
    def path(self) -> str:
        """The path of the target as on the wire. A malformed query is no error here."""
        target = self.target.partition(b"#")[0].partition(b"?")[0]
        return URL.parse(target.decode("utf-8", "surrogateescape")).path

    def parse_parts(self) -> tuple[str, URL, Headers]:
        """Return `parts`, parsed at the first call.

        Raises:
            RemoteProtocolError: an escape in the query is malformed.
        """
        if self.parts is None:
            try:
                url = URL.parse(self.target.decode("utf-8", "surrogateescape"))
            except InvalidURL as error:
                raise RemoteProtocolError(str(error)) from error
            self.value_bytes = sum([len(value) for _, value in self.headers])
            self.parts = self.method.decode("ascii"), url, Headers.from_wire(self.headers)
        return self.parts


class ResponseHead:
    """The head of a response, parsed."""

    __slots__ = (
        "_parsed",
        "headers",
        "is_gzip",
        "keep_alive",
        "length",
        "reason",
        "status",
        "version",
    )

    status: int
    reason: bytes
    headers: RawFields
    version: tuple[int, int]
    keep_alive: bool
    length: int
    """The length of the body, `CHUNKED`, or `UNTIL_EOF`."""
    is_gzip: bool

    def __init__(self) -> None:
        self._parsed: Headers | None = None

    def parsed_headers(self) -> Headers:
        """Return a copy of the headers, which are decoded once for all responses of this head."""
        if self._parsed is None:
            self._parsed = Headers.from_wire(self.headers)
        return self._parsed.copy()

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status}>"


def read_request_head(data: bytes, limits: ParserLimits) -> RequestHead:
    """Validate and parse the head of a request.

    ``Upgrade`` is ignored, as RFC 9110 section 7.8 allows, so a client that offers HTTP/2 is
    served by HTTP/1.1. Only the handshake of a WebSocket is marked, since no other response fits;
    the connection serves no request after it.

    Args:
        data: the head with the empty line at its end.
        limits: of the parser.

    Raises:
        RemoteProtocolError: it is malformed (400), has a method or a transfer coding that is not
            implemented (501), or another version (505), exceeds a limit (414, 431), or is for a
            host that is not served (421).

    Source: RFC 9112 sections 3, 5, 6.
    """
    _check_size(data, limits)
    line = _REQUEST_LINE.match(data)
    if line is None:
        raise RemoteProtocolError("malformed request line")
    _check_line_ends(data)
    method, target, major, minor = line.groups()
    version = _VERSIONS.get((major, minor))
    if version is None:
        raise RemoteProtocolError("expected HTTP/1.1 or HTTP/1.0", status=505)
    if method == b"CONNECT":
        # The bytes behind its head belong to a tunnel, also where the target is a path.
        raise RemoteProtocolError("no tunnels here", status=501)
    if not _TARGET.match(target):
        raise RemoteProtocolError("malformed request target")
    # With "/" in place of the target, which was validated above: llhttp refuses bytes from 0x80.
    fields = _RequestFields(limits)
    fields.read(method + b" / HTTP/%b.%b\r\n" % (major, minor) + data[line.end() :])
    head = RequestHead.empty()
    head.method = method
    head.target = target
    head.version = version
    head.headers = tuple(fields.lines)
    host = fields.host(version)
    if limits.hosts is not None:
        limits.hosts.check(target, host)
    chunked = fields.is_chunked(status=501)
    # RFC 9112 section 6.1: an HTTP/1.0 proxy would forward it with another framing.
    if chunked and version == (1, 0):
        raise RemoteProtocolError("expected no Transfer-Encoding with HTTP/1.0")
    head.length = CHUNKED if chunked else fields.content_length() or 0
    fields.check_complete()
    head.upgrades = is_websocket_handshake(
        method, version, fields.values(b"upgrade"), fields.values(b"connection")
    )
    head.keep_alive = fields.keep_alive(version) and not head.upgrades
    head.is_gzip = fields.is_gzip()
    may_expect = version == (1, 1) and head.length != 0
    head.expects_continue = may_expect and fields.expects_continue()
    head.trace = fields.trace()
    return head


def is_websocket_handshake(
    method: bytes, version: tuple[int, int], upgrade: Sequence[bytes], connection: Sequence[bytes]
) -> bool:
    """Whether a request is the opening handshake of a WebSocket.

    Args:
        method: of the request.
        version: of HTTP.
        upgrade: the values of ``Upgrade``.
        connection: the values of ``Connection``.

    Source: RFC 6455 section 4.2.1.
    """
    if not upgrade or method != b"GET" or version != (1, 1):
        return False
    return b"websocket" in _elements(*upgrade) and b"upgrade" in _elements(*connection)


def read_response_head(data: bytes, limits: ParserLimits, method: str = "GET") -> ResponseHead:
    """Validate and parse the head of a response.

    Args:
        data: the head with the empty line at its end.
        limits: of the parser.
        method: of the request; the response to HEAD has no body.

    Raises:
        RemoteProtocolError: it is malformed, or exceeds a limit.

    Source: RFC 9112 sections 4 to 6; its section 5.1 requires a client to remove blanks before a
    colon, which libprocess' own tests send.
    """
    _check_size(data, limits)
    line = _STATUS_LINE.match(data)
    version = _VERSIONS.get((line[1], line[2])) if line else None
    if line is None or version is None:
        raise RemoteProtocolError("malformed status line")
    _check_line_ends(data)
    status = int(line[3])
    # RFC 9110 section 15: a code outside of 100 to 599 is invalid, and its class is unknown.
    if not 100 <= status <= 599:
        raise RemoteProtocolError(f"expected a status from 100 to 599, got {status}")
    fields = _ResponseFields(limits)
    # In a request the blank is an error: RFC 9112 section 5.1 treats the two differently.
    rest = _BLANK_BEFORE_COLON.sub(rb"\1:", data[line.end() :])
    fields.read(b"HTTP/%b.%b 200 OK\r\n" % (line[1], line[2]) + rest)
    head = ResponseHead()
    head.status = status
    head.reason = line[4] or b""
    head.version = version
    head.headers = tuple(fields.lines)
    chunked = fields.is_chunked(status=400)
    length = fields.content_length()
    fields.check_complete()
    # In the order of RFC 9112 section 6.3.
    if method == "HEAD" or status < 200 or status in (204, 304):
        head.length = 0
    elif chunked:
        head.length = CHUNKED
    else:
        head.length = UNTIL_EOF if length is None else length
    head.keep_alive = head.length != UNTIL_EOF and fields.keep_alive(version)
    head.is_gzip = fields.is_gzip()
    return head


class PartialHead:
    """Validates a head that is not complete, so that garbage is refused at once.

    It raises no error that `read_request_head` or `read_response_head` would not raise.

    Args:
        limits: of the parser.
        response: whether it is the head of a response.
    """

    __slots__ = ("_limits", "_line", "_line_start", "_line_is_good", "_seen")

    def __init__(self, limits: ParserLimits, *, response: bool = False) -> None:
        self._limits = limits
        self._line = _STATUS_LINE if response else _REQUEST_LINE
        self._line_start = _STATUS_LINE_START if response else _REQUEST_LINE_START
        self._line_is_good = False
        self._seen = 0

    def check(self, data: bytes) -> None:
        """Validate *data*, all bytes of the head so far.

        Raises:
            RemoteProtocolError: no further bytes can make it a head, or it is too long.
        """
        if len(data) > self._limits.max_header_bytes:
            _check_size(data, self._limits)
        if not self._line_is_good:
            self._check_line(data)
        _check_line_ends(data, self._seen)
        self._seen = len(data)

    def _check_line(self, data: bytes) -> None:
        if b"\n" in data:
            if not self._line.match(data):
                raise RemoteProtocolError("malformed first line")
            self._line_is_good = True
        elif len(data) <= _EARLY_BYTES and not self._line_start.fullmatch(data):
            raise RemoteProtocolError("malformed first line")


class _RequestFields:
    """The header lines of one head."""

    parser: ClassVar[type[httptools.HttpRequestParser | httptools.HttpResponseParser]] = (
        httptools.HttpRequestParser
    )

    __slots__ = ("lines", "_found", "_limits", "_is_complete", "_error")

    def __init__(self, limits: ParserLimits) -> None:
        self.lines: list[tuple[bytes, bytes]] = []
        self._found: dict[bytes, list[bytes]] = {}
        self._limits = limits
        self._is_complete = False
        self._error: httptools.HttpParserError | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Receive a line from llhttp."""
        value = value.rstrip(b" \t")
        self.lines.append((name, value))
        key = name.lower()
        # Only these are looked up: a dictionary of all names would cost more than it saves.
        if key in _MEANINGFUL:
            self._found.setdefault(key, []).append(value)

    def on_headers_complete(self) -> None:
        """Receive the end of the head from llhttp."""
        self._is_complete = True

    def read(self, data: bytes) -> None:
        """Parse a head with llhttp.

        Raises:
            RemoteProtocolError: a line is malformed, there are too many, or the method is not
                known. What only the end shows is left to `check_complete`.
        """
        try:
            self.parser(self).feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # Upgrade is ignored here: a body follows as usual.
        except httptools.HttpParserError as error:
            self._error = error
            if not self._is_complete:
                self.check_complete()
        if len(self.lines) > self._limits.max_headers:
            raise RemoteProtocolError(f"more than {self._limits.max_headers} headers", status=431)

    def check_complete(self) -> None:
        """Check what the parser said at the end of the head.

        Raises:
            RemoteProtocolError: it had found something.
        """
        if self._error is None and self._is_complete:
            return
        reason = str(self._error) if self._error else "incomplete"
        # RTSP's methods have an error of their own.
        unknown = isinstance(self._error, httptools.HttpParserInvalidMethodError)
        status = 501 if unknown or reason.startswith("Invalid method") else 400
        raise RemoteProtocolError(f"malformed head: {reason}", status=status) from self._error

    def values(self, name: bytes) -> Sequence[bytes]:
        """Return the values of all lines of *name*, which must be one of those used here."""
        return self._found.get(name, ())

    def host(self, version: tuple[int, int]) -> bytes | None:
        """Return the value of ``Host``; None without it, which only HTTP/1.0 allows.

        Raises:
            RemoteProtocolError: it is missing, malformed or repeated.

        Source: RFC 9112 section 3.2.
        """
        hosts = self.values(b"host")
        # Two hosts could mean another server to a proxy than to this one.
        if len(hosts) > 1 or (not hosts and version == (1, 1)):
            raise RemoteProtocolError(f"expected one Host, got {len(hosts)}")
        if hosts and not _HOST.fullmatch(hosts[0]):
            raise RemoteProtocolError("malformed Host")
        return hosts[0] if hosts else None

    def is_chunked(self, *, status: int) -> bool:
        """Whether the body is in chunks.

        Args:
            status: of the error.

        Raises:
            RemoteProtocolError: it has another transfer coding.
        """
        codings = self.values(b"transfer-encoding")
        if not codings:
            return False
        # RFC 9112 section 6.1: with any other last coding the length is ambiguous.
        if len(codings) != 1 or codings[0].lower() != b"chunked":
            raise RemoteProtocolError("expected no transfer coding but chunked", status=status)
        return True

    def content_length(self) -> int | None:
        """Return the value of ``Content-Length``, which llhttp has validated; None without it."""
        lengths = self.values(b"content-length")
        return int(lengths[0]) if lengths else None

    def keep_alive(self, version: tuple[int, int]) -> bool:
        """Whether the connection persists. Source: RFC 9112 section 9.3."""
        # Proxy-Connection is no standard; llhttp treats it as Connection, and so must this.
        options = _elements(*self.values(b"connection"), *self.values(b"proxy-connection"))
        if b"close" in options:
            return False
        return version == (1, 1) or b"keep-alive" in options

    def expects_continue(self) -> bool:
        """Whether the client expects ``100 Continue``. Other expectations are ignored."""
        expectations = self.values(b"expect")
        # RFC 9110 section 10.1.1: a server may, but need not, refuse other expectations with 417.
        return bool(expectations) and expectations[-1].lower() == b"100-continue"

    def trace(self) -> TraceContext | None:
        """Return the trace context of the header; one that is malformed counts as none."""
        parents = self.values(b"traceparent")
        return receive_trace(parents, self.values(b"tracestate")) if parents else None

    def is_gzip(self) -> bool:
        """Whether the content coding is gzip."""
        codings = self.values(b"content-encoding")
        return bool(codings) and codings[-1].lower() == b"gzip"


class _ResponseFields(_RequestFields):
    parser = httptools.HttpResponseParser
    __slots__ = ()


def _elements(*lines: bytes) -> list[bytes]:
    """Return the elements of a list that is spread over *lines*, in lower case."""
    return [word.strip(b" \t") for word in b",".join(lines).lower().split(b",")]


def _check_size(data: bytes, limits: ParserLimits) -> None:
    if len(data) <= limits.max_header_bytes:
        return
    line_end = data.find(b"\r\n", 0, limits.max_header_bytes)
    raise RemoteProtocolError(
        f"head of more than {limits.max_header_bytes} bytes", status=414 if line_end < 0 else 431
    )


def _check_line_ends(data: bytes, at: int = 0) -> None:
    """Check that each LF from *at* on follows a CR.

    llhttp reports it, too, but after faults that have another status. A partial head is checked
    for nothing else, and both must report the same error.
    """
    if data.count(b"\n", at) != data.count(b"\r\n", max(0, at - 1)):
        raise RemoteProtocolError("a line ends with a bare LF")
