"""Twins of the tests of pipes in libprocess' http_tests.cpp."""

from __future__ import annotations

from greenproc.testing import await_discarded, await_failed, await_ready
from greenproc.web import Pipe


def test_pipe_eof() -> None:
    """HTTPTest.PipeEOF."""
    pipe = Pipe()
    reader, writer = pipe.reader, pipe.writer

    # A read on an empty pipe waits; an empty write does not end it.
    read = reader.read()
    assert read.is_pending
    assert writer.write(b"")
    assert read.is_pending
    assert writer.write(b"hello")
    assert await_ready(read) == b"hello"

    # A write, then a read.
    assert writer.write(b"world")
    read = reader.read()
    assert read.is_ready
    assert read.get() == b"world"

    # What is there when the writer closes is read first.
    assert writer.write(b"!")
    assert writer.close()
    assert await_ready(reader.read()) == b"!"
    assert await_ready(reader.read()) == b""
    assert await_ready(reader.read()) == b""

    # It cannot be written or closed again.
    assert not writer.write(b"!")
    assert not writer.close()

    # The writer had closed, so that the reader does is no news to it.
    assert reader.close()
    await_discarded(writer.reader_closed)


def test_pipe_failure() -> None:
    """HTTPTest.PipeFailure."""
    pipe = Pipe()
    reader, writer = pipe.reader, pipe.writer

    assert writer.write(b"hello")
    assert writer.write(b"world")
    assert writer.fail("disconnected!")
    assert not writer.close()
    assert not writer.fail("again")

    assert await_ready(reader.read()) == b"hello"
    assert await_ready(reader.read()) == b"world"
    read = reader.read()
    await_failed(read)
    assert read.failure() == "disconnected!"

    assert reader.close()
    await_discarded(writer.reader_closed)


def test_pipe_read_all() -> None:
    """HTTPTest.PipeReadAll."""
    pipe = Pipe()
    read_all = pipe.reader.read_all()
    assert pipe.writer.write(b"hello")
    assert pipe.writer.write(b"world")
    assert read_all.is_pending
    assert pipe.writer.close()
    assert await_ready(read_all) == b"helloworld"

    pipe = Pipe()
    read_all = pipe.reader.read_all()
    assert pipe.writer.write(b"hello")
    assert read_all.is_pending
    assert pipe.writer.fail("disconnected!")
    await_failed(read_all)
    assert read_all.failure() == "disconnected!"


def test_pipe_reader_closes() -> None:
    """HTTPTest.PipeReaderCloses."""
    pipe = Pipe()
    reader, writer = pipe.reader, pipe.writer
    closed = writer.reader_closed

    assert writer.write(b"hello")
    assert writer.write(b"world")
    assert closed.is_pending
    assert reader.close()
    await_ready(closed)

    await_failed(reader.read())
    assert not writer.write(b"!")
    assert not reader.close()
    assert writer.close()


def test_pipe_equality() -> None:
    """HTTPTest.PipeEquality."""
    pipe, other = Pipe(), Pipe()
    same = pipe

    assert same == pipe
    assert same.reader == pipe.reader
    assert same.writer == pipe.writer
    assert pipe != other
    assert pipe.reader != other.reader
    assert pipe.writer != other.writer
