"""Bodies of HTTP messages: their framing, by length, in chunks, or until the end of the connection.

A reader consumes the bytes that it can use, writes the content to a sink, and returns where it
stopped. The caller must feed the rest again, with more bytes behind it.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Protocol

from greenproc.errors import RemoteProtocolError
from greenproc.http.head import CHUNKED, UNTIL_EOF
from greenproc.http.limits import IsSpent, ParserLimits, never

BODY_FAILED = "failed to decode body"
"""The failure of a streamed body. Source: libprocess src/decoder.hpp."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# Without the blanks that RFC 9112 allows around its parts: llhttp refuses them, and so do we.
_EXTENSION = rb"(?:;" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb'|"[\t\x20\x21\x23-\x7e\x80-\xff]*"))?)*'
_EXTENSION_START = rb"(?:;[\t\x20-\x7e\x80-\xff]*)?"
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(" + _EXTENSION + rb")\r\n")
"""The line before a chunk: its size, and extensions that are ignored."""
_CHUNK_LINE_START = re.compile(rb"[0-9A-Fa-f]{1,16}" + _EXTENSION_START + rb"\r?")
# No sender of chunk extensions is known. A line without its end is matched again with each read, so
# a longer bound would let a slow client cause quadratic work.
_MAX_CHUNK_LINE = 4096
_TRAILER = re.compile(rb"(" + _TOKEN + rb"):[^\x00-\x08\x0a-\x1f\x7f]*\r\n")
_MAX_PIECES = 64  # beyond it they are joined: a sink may do costly work for each piece
_STEPS_PER_CHECK = 256  # chunks between two checks of the time, which take less than 0.1 ms
# RFC 9110 section 6.5.1: a trailer must not change the framing or the routing of its message.
_FORBIDDEN_TRAILERS = frozenset((b"content-length", b"transfer-encoding", b"host"))


class BodySink(Protocol):
    """Receives a body in pieces; exactly one of `close` and `fail` ends it.

    Source: libprocess include/process/http.hpp, Pipe::Writer.
    """

    def write(self, data: bytes) -> object:
        """Receive the next piece, which is never empty."""

    def close(self) -> object:
        """The body is complete."""

    def fail(self, message: str) -> object:
        """The body will never be complete; *message* is the reason."""


class BodyReader(Protocol):
    """Decodes the framing of one body."""

    is_done: bool
    """Whether the body is complete."""
    is_paused: bool
    """Whether the last read stopped because its time was spent, with bytes left."""

    def read(self, data: bytes, at: int, sink: BodySink) -> int:
        """Consume bytes, and return the offset where it stopped.

        Args:
            data: the bytes that arrived.
            at: the offset of the first one to consume.
            sink: receives the content.

        Raises:
            RemoteProtocolError: the body is malformed, or exceeds a limit.
        """


class ContentLengthReader:
    """Reads a body of a known length.

    Args:
        length: in bytes.
    """

    __slots__ = ("is_done", "_missing")

    is_paused = False

    def __init__(self, length: int) -> None:
        self.is_done = length == 0
        self._missing = length

    def read(self, data: bytes, at: int, sink: BodySink) -> int:
        """See `BodyReader`."""
        # Up to the length only: the next message may follow in the same read.
        end = min(at + self._missing, len(data))
        if end > at:
            sink.write(data[at:end])
            self._missing -= end - at
            self.is_done = self._missing == 0
        return end


class UntilEofReader:
    """Reads a body that ends with the connection, which only a response may have."""

    __slots__ = ("is_done",)

    is_paused = False

    def __init__(self) -> None:
        self.is_done = False

    def read(self, data: bytes, at: int, sink: BodySink) -> int:
        """See `BodyReader`."""
        if at < len(data):
            sink.write(data[at:])
        return len(data)


class ChunkedReader:
    """Reads a body in chunks; extensions and trailers are dropped.

    Each chunk reaches the sink as one piece, or as several when it arrives in parts. Many small
    chunks of one read are joined, since a peer could send single bytes.

    Args:
        max_overhead_bytes: the limit of all extensions and trailers together.
        max_chunk_bytes: the limit of one chunk; None for no limit, where a sink streams it.
        is_spent: called after every 256 chunks; True stops the read.

    Source: RFC 9112 section 7.1.
    Differs: libprocess treats a trailer as an error.
    """

    __slots__ = (
        "is_done",
        "is_paused",
        "_after_chunk",
        "_in_trailer",
        "_is_spent",
        "_max_chunk_bytes",
        "_missing",
        "_overhead",
    )

    def __init__(
        self,
        max_overhead_bytes: int,
        max_chunk_bytes: int | None = None,
        is_spent: IsSpent = never,
    ) -> None:
        self.is_done = False
        self.is_paused = False
        self._is_spent = is_spent
        self._missing = 0
        self._after_chunk = False
        self._in_trailer = False
        self._overhead = max_overhead_bytes
        self._max_chunk_bytes = max_chunk_bytes

    def read(self, data: bytes, at: int, sink: BodySink) -> int:
        """See `BodyReader`."""
        self.is_paused = False
        pieces: list[bytes] = []
        try:
            return self._read_pieces(data, at, pieces)
        finally:
            if len(pieces) > _MAX_PIECES:
                pieces = [b"".join(pieces)]
            for piece in pieces:
                sink.write(piece)

    def _read_pieces(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        steps = 0
        while not self.is_done:
            before = at
            if self._missing:
                at = self._read_data(data, at, pieces)
            elif self._after_chunk:
                at = self._read_line_end(data, at)
            elif self._in_trailer:
                at = self._read_trailer(data, at)
            else:
                at = self._read_size(data, at)
            if at == before:
                break
            # One read may hold thousands of chunks of one byte, each of which costs a step.
            steps += 1
            if steps % _STEPS_PER_CHECK == 0 and self._is_spent():
                self.is_paused = not self.is_done
                break
        return at

    def _read_data(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        end = min(at + self._missing, len(data))
        if end > at:
            pieces.append(data[at:end])
            self._missing -= end - at
            self._after_chunk = self._missing == 0
        return end

    def _read_line_end(self, data: bytes, at: int) -> int:
        end = data[at : at + 2]
        if end == b"\r\n":
            self._after_chunk = False
            return at + 2
        # A bare LF would be a chunk's end to a lenient proxy, and content to a strict one.
        if end not in (b"", b"\r"):
            raise RemoteProtocolError("expected CRLF after a chunk")
        return at

    def _read_size(self, data: bytes, at: int) -> int:
        line = CHUNK_LINE.match(data, at)
        if line is None:
            if at < len(data) and not _CHUNK_LINE_START.fullmatch(data, at):
                raise RemoteProtocolError("malformed chunk size")
            if len(data) - at > _MAX_CHUNK_LINE:
                raise RemoteProtocolError("chunk extensions too large", status=431)
            return at
        if line.end() - at > _MAX_CHUNK_LINE:
            raise RemoteProtocolError("chunk extensions too large", status=431)
        self._missing = int(line[1], 16)
        # By the announced size: a body over the limit is refused before its bytes arrive.
        limit = self._max_chunk_bytes
        if limit is not None and self._missing > limit:
            raise RemoteProtocolError(f"body of more than {limit} bytes", status=413)
        self._in_trailer = self._missing == 0
        self._count_overhead(len(line[2]))
        return line.end()

    def _read_trailer(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1
        if not end:
            # Not final: these bytes are counted again with the rest of their line.
            self._count_overhead(len(data) - at, final=False)
            return at
        if data[at:end] == b"\r\n":
            self.is_done = True
            return end
        line = _TRAILER.fullmatch(data, at, end)
        if line is None or line[1].lower() in _FORBIDDEN_TRAILERS:
            raise RemoteProtocolError("malformed trailer")
        self._count_overhead(end - at)
        return end

    def _count_overhead(self, count: int, *, final: bool = True) -> None:
        """Count bytes that carry no content against their limit.

        Args:
            count: the bytes of a line, or of its beginning.
            final: whether the line is complete, so that it is not counted again.

        Raises:
            RemoteProtocolError: the limit is exceeded.
        """
        if count > self._overhead:
            raise RemoteProtocolError("chunk extensions and trailers too large", status=431)
        if final:
            self._overhead -= count


class BodyCollector:
    """A sink that collects a whole body.

    Args:
        max_bytes: the limit of the body.
    """

    __slots__ = ("_buffer", "_max_bytes")

    def __init__(self, max_bytes: int) -> None:
        # A buffer instead of a list of pieces: a chunk of one byte would be an object of 34 bytes.
        # BytesIO returns its content without a copy.
        self._buffer = BytesIO()
        self._max_bytes = max_bytes

    @property
    def body(self) -> bytes:
        """The bytes so far."""
        return self._buffer.getvalue()

    def write(self, data: bytes) -> None:
        """Append the next piece.

        Raises:
            RemoteProtocolError: the body exceeds the limit (413).
        """
        if self._buffer.tell() + len(data) > self._max_bytes:
            raise RemoteProtocolError(f"body of more than {self._max_bytes} bytes", status=413)
        self._buffer.write(data)

    def close(self) -> None:
        """Do nothing: the parser takes the body."""

    def fail(self, message: str) -> None:
        """Do nothing: the parser has an error, and drops the body."""


class IncomingBody:
    """A body whose end has not arrived.

    Args:
        length: of the head, which may be `CHUNKED` or `UNTIL_EOF`.
        limits: of the parser.
        sink: receives the body. Without one `collected` has it, within the limit. A compressed
            body stays compressed either way, since decompression may have to wait.
        is_spent: see `ChunkedReader`.
    """

    __slots__ = ("_reader", "_sink", "_collector", "taken")

    taken: int
    """How many bytes have been used up."""

    def __init__(
        self,
        length: int,
        limits: ParserLimits,
        sink: BodySink | None = None,
        is_spent: IsSpent = never,
    ) -> None:
        self.taken = 0
        self._collector = BodyCollector(limits.max_body_bytes)
        self._sink: BodySink = self._collector
        if sink is not None:
            self._sink = sink
        elif length > limits.max_body_bytes:
            raise RemoteProtocolError(f"body of {length} bytes", status=413)
        self._reader: BodyReader
        if length == CHUNKED:
            kept_bytes = limits.max_body_bytes if sink is None else None
            self._reader = ChunkedReader(limits.max_header_bytes, kept_bytes, is_spent)
        elif length == UNTIL_EOF:
            self._reader = UntilEofReader()
        else:
            self._reader = ContentLengthReader(length)

    @property
    def is_done(self) -> bool:
        """Whether the body is complete."""
        return self._reader.is_done

    @property
    def is_paused(self) -> bool:
        """Whether the last read stopped because its time was spent, with bytes left."""
        return self._reader.is_paused

    @property
    def collected(self) -> bytes:
        """The body so far, when there is no sink."""
        return self._collector.body

    def read(self, data: bytes, at: int) -> int:
        """Consume bytes, and return the offset where it stopped. See `BodyReader.read`.

        Raises:
            RemoteProtocolError: the body is malformed, or exceeds a limit.
        """
        begin = at
        at = self._reader.read(data, at, self._sink)
        self.taken += at - begin
        if self._reader.is_done:
            self._sink.close()
        return at

    def read_eof(self) -> None:
        """End the body with the connection.

        Raises:
            RemoteProtocolError: the body is incomplete.
        """
        # RFC 9112 section 8: with a length or chunks, a truncated body must not count as complete.
        if not isinstance(self._reader, UntilEofReader):
            raise RemoteProtocolError(BODY_FAILED)
        self._reader.is_done = True
        self._sink.close()

    def fail(self) -> None:
        """Fail the sink: no more bytes will arrive."""
        self._sink.fail(BODY_FAILED)
