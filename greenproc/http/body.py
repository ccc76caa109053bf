"""Bodies of HTTP messages: where they end, and what is inside.

A reader takes as many bytes as it can use and hands on what belongs to the body. It says what
it left, which must come again with more behind it.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Protocol

from greenproc.errors import RemoteProtocolError
from greenproc.http.head import CHUNKED, UNTIL_EOF
from greenproc.http.limits import IsSpent, ParserLimits, never

BODY_FAILED = "failed to decode body"
"""What the reader of a streamed body is told. Source: libprocess src/decoder.hpp."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# Without the blanks that RFC 9112 tolerates around its parts, as llhttp reads it.
_EXTENSION = rb"(?:;" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb'|"[\t\x20\x21\x23-\x7e\x80-\xff]*"))?)*'
_EXTENSION_START = rb"(?:;[\t\x20-\x7e\x80-\xff]*)?"
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(" + _EXTENSION + rb")\r\n")
"""What stands before a chunk: its size, and extensions that are ignored."""
_CHUNK_LINE_START = re.compile(rb"[0-9A-Fa-f]{1,16}" + _EXTENSION_START + rb"\r?")
# Nobody is known to use extensions, and a line without its end is looked at over and over.
_MAX_CHUNK_LINE = 4096
_TRAILER = re.compile(rb"(" + _TOKEN + rb"):[^\x00-\x08\x0a-\x1f\x7f]*\r\n")
_MAX_PIECES = 64  # for each of which a sink may do a lot
_STEPS_A_LOOK = 256  # less than 0.1 ms of them, between looks at the time
# A trailer with one of these is an attempt to say something else than the header did.
_FORBIDDEN_TRAILERS = frozenset((b"content-length", b"transfer-encoding", b"host"))


class BodySink(Protocol):
    """Takes a body piece by piece; exactly one of `close` and `fail` ends it.

    Source: libprocess include/process/http.hpp, Pipe::Writer.
    """

    def write(self, data: bytes) -> object:
        """Take the next piece, which is never empty."""

    def close(self) -> object:
        """The body is complete."""

    def fail(self, message: str) -> object:
        """The body will never be complete, for the reason that *message* gives."""


class BodyReader(Protocol):
    """Finds out which bytes belong to a body."""

    is_done: bool
    is_paused: bool
    """Whether it stopped because its time was over, not for want of bytes."""

    def read(self, data: bytes, at: int, sink: BodySink) -> int:
        """Use up *data* from *at* on, and return where it stopped.

        Raises:
            RemoteProtocolError: the body is malformed, or exceeds a limit.
        """


class ContentLengthReader:
    """Reads a body of a known length."""

    __slots__ = ("is_done", "_missing")

    is_paused = False

    def __init__(self, length: int) -> None:
        self.is_done = length == 0
        self._missing = length

    def read(self, data: bytes, at: int, sink: BodySink) -> int:
        """See `BodyReader`."""
        end = min(at + self._missing, len(data))
        if end > at:
            sink.write(data[at:end])
            self._missing -= end - at
            self.is_done = self._missing == 0
        return end


class UntilEofReader:
    """Reads a body that ends with the connection."""

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

    Each chunk goes to the sink as one piece, or more when it comes in parts. Where very many come
    together they are joined: a peer could send single bytes.

    Args:
        max_overhead_bytes: for all extensions and trailers together.
        max_chunk_bytes: for one chunk, where what it brings is kept.
        is_spent: asked now and then while there are chunks.

    Source: RFC 9112 section 7.1.
    Differs: libprocess takes a trailer for an error.
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
            steps += 1
            if steps % _STEPS_A_LOOK == 0 and self._is_spent():
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
        limit = self._max_chunk_bytes
        if limit is not None and self._missing > limit:
            raise RemoteProtocolError(f"body of more than {limit} bytes", status=413)
        self._in_trailer = self._missing == 0
        self._spend(len(line[2]))
        return line.end()

    def _read_trailer(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1
        if not end:
            self._spend(len(data) - at, final=False)
            return at
        if data[at:end] == b"\r\n":
            self.is_done = True
            return end
        line = _TRAILER.fullmatch(data, at, end)
        if line is None or line[1].lower() in _FORBIDDEN_TRAILERS:
            raise RemoteProtocolError("malformed trailer")
        self._spend(end - at)
        return end

    def _spend(self, count: int, *, final: bool = True) -> None:
        """Check that *count* more bytes of no use are within the limit."""
        if count > self._overhead:
            raise RemoteProtocolError("chunk extensions and trailers too large", status=431)
        if final:
            self._overhead -= count


class BodyCollector:
    """A sink that keeps a whole body.

    Args:
        max_bytes: a longer body is refused.
    """

    __slots__ = ("_buffer", "_max_bytes")

    def __init__(self, max_bytes: int) -> None:
        # One buffer instead of a list of pieces: a peer that sends single bytes would make
        # each of them an object of 34 bytes. It gives its content away without a copy.
        self._buffer = BytesIO()
        self._max_bytes = max_bytes

    @property
    def body(self) -> bytes:
        """What has come."""
        return self._buffer.getvalue()

    def write(self, data: bytes) -> None:
        """Keep the next piece.

        Raises:
            RemoteProtocolError: that is too much.
        """
        if self._buffer.tell() + len(data) > self._max_bytes:
            raise RemoteProtocolError(f"body of more than {self._max_bytes} bytes", status=413)
        self._buffer.write(data)

    def close(self) -> None:
        """Do nothing: the body is there."""

    def fail(self, message: str) -> None:
        """Do nothing: nobody will ask for the body."""


class IncomingBody:
    """A body whose end has not come.

    Args:
        length: what the head says, which may be `CHUNKED` or `UNTIL_EOF`.
        sink: where the body goes to. Without one it is collected, within the limit, and taken
            from `collected`. Either way it stays packed if it is: a sink may have to wait.
        is_spent: asked now and then while there are chunks.
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
        """Whether the last read stopped because its time was over, with bytes left."""
        return self._reader.is_paused

    @property
    def collected(self) -> bytes:
        """The body, when there is no sink."""
        return self._collector.body

    def read(self, data: bytes, at: int) -> int:
        """Use up *data* from *at* on, and return where it stopped.

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
        """Take the end of the connection.

        Raises:
            RemoteProtocolError: the body needs more bytes.
        """
        if not isinstance(self._reader, UntilEofReader):
            raise RemoteProtocolError(BODY_FAILED)
        self._reader.is_done = True
        self._sink.close()

    def fail(self) -> None:
        """Tell the sink that no more will come."""
        self._sink.fail(BODY_FAILED)
