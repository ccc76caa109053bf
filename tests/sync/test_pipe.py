"""Pipes: what is written is what is read, how they end, and how a writer keeps to a reader's pace."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from greenproc.errors import Closed, Failure, InvalidArgument, StateError, WaitTimeout
from greenproc.future import Future
from greenproc.sync.pipe import HIGH_WATER_BYTES, Pipe
from greenproc.testing import await_discarded, await_failed, await_ready
from tests.future.support import Time
from tests.sync.support import Interrupted, interrupt

LIMIT = 10.0


def test_each_read_gets_what_one_write_brought() -> None:
    pipe = Pipe()
    for piece in (b"one", b"two", b"three"):
        assert pipe.writer.write(piece)

    assert [pipe.reader.read().get() for _ in range(3)] == [b"one", b"two", b"three"]


def test_a_read_waits_for_a_write() -> None:
    pipe = Pipe()
    read = pipe.reader.read()
    assert read.is_pending

    pipe.writer.write(b"late")

    assert read.value == b"late"


def test_reads_that_wait_are_served_in_the_order_in_which_they_came() -> None:
    pipe = Pipe()
    reads = [pipe.reader.read() for _ in range(3)]

    for piece in (b"1", b"2", b"3"):
        pipe.writer.write(piece)

    assert [read.value for read in reads] == [b"1", b"2", b"3"]


def test_an_empty_write_is_none() -> None:
    pipe = Pipe()
    read = pipe.reader.read()

    assert pipe.writer.write(b"")
    assert read.is_pending
    pipe.writer.close()
    assert not pipe.writer.write(b"")


@pytest.mark.parametrize("data", [bytearray(b"data"), memoryview(b"data")])
def test_what_is_written_is_copied_into_bytes(data: bytearray | memoryview) -> None:
    pipe = Pipe()

    pipe.writer.write(data)  # type: ignore[arg-type]

    read = pipe.reader.read().get()
    assert (type(read), read) == (bytes, b"data")


@pytest.mark.parametrize("data", ["text", 5, None, [b"x"]])
def test_nothing_but_bytes_can_be_written(data: object) -> None:
    with pytest.raises(InvalidArgument, match="expected bytes to write"):
        Pipe().writer.write(data)  # type: ignore[arg-type]


def test_what_is_unread_at_the_end_is_read_first_and_then_the_end_for_ever() -> None:
    pipe = Pipe()
    pipe.writer.write(b"last")
    assert pipe.writer.close()

    assert [pipe.reader.read().get() for _ in range(3)] == [b"last", b"", b""]


def test_closing_ends_all_reads_that_wait() -> None:
    pipe = Pipe()
    reads = [pipe.reader.read(), pipe.reader.read()]

    pipe.writer.close()

    assert [read.value for read in reads] == [b"", b""]


def test_what_is_unread_at_a_failure_is_read_first_and_then_the_failure_for_ever() -> None:
    pipe = Pipe()
    pipe.writer.write(b"last")
    assert pipe.writer.fail("disk full")

    assert pipe.reader.read().get() == b"last"
    for _ in range(2):
        read = pipe.reader.read()
        assert isinstance(read.exception, Failure)
        assert read.failure() == "disk full"


def test_failing_fails_all_reads_that_wait() -> None:
    pipe = Pipe()
    reads = [pipe.reader.read(), pipe.reader.read()]
    error = OSError("no such device")

    pipe.writer.fail(error)

    assert [read.exception for read in reads] == [error, error]


def test_a_stream_ends_once() -> None:
    closed, failed = Pipe(), Pipe()
    closed.writer.close()
    failed.writer.fail("broken")

    for writer in (closed.writer, failed.writer):
        assert not writer.close()
        assert not writer.fail("again")
        assert not writer.write(b"more")


def test_closing_the_reader_drops_what_is_unread_and_tells_the_writer() -> None:
    pipe = Pipe()
    pipe.writer.write(b"unread")
    gone = pipe.writer.reader_closed
    assert gone.is_pending

    assert pipe.reader.close()

    assert gone.is_ready
    assert not pipe.writer.write(b"more")
    assert pipe.reader.read().failure() == "closed"
    assert isinstance(pipe.reader.read().exception, Closed)
    assert pipe.statistics() == {"unread_bytes": 0, "unread_pieces": 0, "waiting": 0}


def test_closing_the_reader_fails_reads_that_wait() -> None:
    pipe = Pipe()
    reads = [pipe.reader.read(), pipe.reader.read()]

    pipe.reader.close()

    assert [read.failure() for read in reads] == ["closed", "closed"]


def test_a_reader_closes_once_and_leaves_closing_to_the_writer() -> None:
    pipe = Pipe()
    assert pipe.reader.close()

    assert not pipe.reader.close()
    assert pipe.writer.close()
    assert not pipe.writer.close()


@pytest.mark.parametrize(
    "end", [lambda w: w.close(), lambda w: w.fail("x")], ids=["close", "fail"]
)
def test_a_reader_that_closes_after_the_end_is_no_news_to_the_writer(
    end: Callable[..., bool],
) -> None:
    pipe = Pipe()
    gone = pipe.writer.reader_closed
    end(pipe.writer)
    assert gone.is_pending

    assert pipe.reader.close()

    await_discarded(gone)


def test_a_discard_request_changes_nothing() -> None:
    pipe = Pipe()
    read = pipe.reader.read()

    read.discard()
    assert read.is_pending
    pipe.writer.write(b"first")

    assert read.value == b"first"


def test_a_callback_may_use_the_pipe() -> None:
    pipe = Pipe()
    echoed: list[bool] = []
    pipe.reader.read().on_ready(lambda piece: echoed.append(pipe.writer.write(piece * 2)))

    pipe.writer.write(b"ab")

    assert echoed == [True]
    assert pipe.reader.read().get() == b"abab"


def test_read_all_joins_everything_up_to_the_end() -> None:
    pipe = Pipe()
    pipe.writer.write(b"one ")
    everything = pipe.reader.read_all()
    pipe.writer.write(b"two")
    assert everything.is_pending

    pipe.writer.close()

    assert await_ready(everything) == b"one two"


def test_read_all_fails_as_the_stream_does() -> None:
    pipe = Pipe()
    everything = pipe.reader.read_all()
    pipe.writer.write(b"one")

    pipe.writer.fail("cut")

    await_failed(everything)
    assert everything.failure() == "cut"


def test_read_all_of_many_pieces_does_not_recurse() -> None:
    pipe = Pipe()
    for _ in range(5000):
        pipe.writer.write(b"x")
    waiting = pipe.reader.read_all()
    for _ in range(5000):
        pipe.writer.write(b"y")
    pipe.writer.close()

    assert await_ready(waiting) == b"x" * 5000 + b"y" * 5000


def test_iterating_waits_for_each_piece_until_the_end() -> None:
    pipe = Pipe()
    reading = gevent.spawn(lambda: list(pipe.reader))
    for piece in (b"a", b"b"):
        gevent.sleep(0)
        pipe.writer.write(piece)
    pipe.writer.close()

    assert reading.get(timeout=LIMIT) == [b"a", b"b"]


def test_iterating_raises_what_the_stream_fails_with() -> None:
    pipe = Pipe()
    pipe.writer.write(b"a")
    pipe.writer.fail("cut")

    assert next(pipe.reader) == b"a"
    with pytest.raises(Failure, match="cut"):
        next(pipe.reader)


@pytest.mark.parametrize("dies_first", [True, False])
def test_an_iterating_greenlet_that_is_killed_takes_nothing(dies_first: bool) -> None:
    pipe = Pipe()
    reading = gevent.spawn(next, pipe.reader)
    gevent.sleep(0)

    reading.kill(block=dies_first)
    pipe.writer.write(b"precious")
    reading.join()

    assert pipe.statistics()["unread_bytes"] == 8
    assert pipe.reader.read().get() == b"precious"


def test_what_a_killed_greenlet_was_given_goes_to_the_next_read() -> None:
    pipe = Pipe()
    reading = gevent.spawn(next, pipe.reader)
    gevent.sleep(0)
    second = pipe.reader.read()

    reading.kill(block=False)
    pipe.writer.write(b"precious")
    reading.join()

    assert second.value == b"precious"


def test_a_read_gives_up_when_its_time_is_over(time: Time) -> None:
    pipe = Pipe()
    read = pipe.reader.read(timeout=5.0)

    time.advance(4.9)
    assert read.is_pending
    time.advance(0.1)

    assert isinstance(read.exception, WaitTimeout)
    pipe.writer.write(b"late")
    assert pipe.reader.read().get() == b"late"


def test_a_read_in_time_leaves_no_timer(time: Time) -> None:
    pipe = Pipe()
    waiting = pipe.reader.read(timeout=5.0)
    pipe.writer.write(b"1")
    pipe.writer.write(b"2")

    assert (waiting.value, pipe.reader.read(timeout=5.0).value) == (b"1", b"2")
    assert not time.timers


def test_a_writer_is_held_back_while_much_is_unread() -> None:
    pipe = Pipe()
    assert pipe.writer.writable().is_ready
    pipe.writer.write(b"x" * (HIGH_WATER_BYTES - 1))
    assert pipe.writer.writable().is_ready
    pipe.writer.write(b"y")
    full = pipe.writer.writable()
    assert full.is_pending

    pipe.reader.read()

    assert full.is_ready


@pytest.mark.parametrize(
    "end",
    [lambda p: p.reader.close(), lambda p: p.writer.close(), lambda p: p.writer.fail("x")],
    ids=["reader closed", "writer closed", "writer failed"],
)
def test_a_writer_is_not_held_back_by_a_pipe_that_is_over(end: Callable[[Pipe], bool]) -> None:
    pipe = Pipe()
    pipe.writer.write(b"x" * HIGH_WATER_BYTES)
    full = pipe.writer.writable()

    end(pipe)

    assert full.is_ready
    assert pipe.writer.writable().is_ready


def test_a_writer_that_waits_for_nobody_breaks_the_pipe_at_its_bound() -> None:
    pipe = Pipe(max_pipe_bytes=10)
    assert pipe.writer.write(b"123456789")
    assert pipe.writer.writable().is_ready
    assert pipe.writer.write(b"one piece may exceed it")
    assert pipe.writer.writable().is_pending

    assert not pipe.writer.write(b"too much")

    assert pipe.statistics()["unread_pieces"] == 2
    assert [len(pipe.reader.read().get()) for _ in range(2)] == [9, 23]
    assert "too slow" in pipe.reader.read().failure()


@pytest.mark.parametrize("bound", [0, -1, 1.5, float("nan"), "5", None, True])
def test_a_bound_must_leave_room(bound: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected max_pipe_bytes to be a whole number"):
        Pipe(max_pipe_bytes=bound)


def test_a_native_thread_may_write(hub_alive: None) -> None:
    pipe = Pipe()

    def write() -> None:
        for number in range(100):
            pipe.writer.write(b"%d " % number)
        pipe.writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    read = b"".join(pipe.reader)
    thread.join()

    assert read == b"".join(b"%d " % number for number in range(100))


def test_ends_are_equal_only_to_themselves() -> None:
    pipe = Pipe()

    assert pipe.reader == pipe.reader
    assert pipe.reader != Pipe().reader
    assert pipe.writer != Pipe().writer


def test_it_shows_its_state() -> None:
    pipe = Pipe()
    pipe.writer.write(b"abc")
    pipe.writer.close()

    assert repr(pipe) == "<Pipe writer closed, reader open, 3 bytes unread, 0 waiting>"
    assert repr(pipe.reader).startswith("<Reader of writer closed")
    assert repr(pipe.writer).startswith("<Writer of writer closed")


def test_reads_that_can_never_end_are_abandoned() -> None:
    read: Future[bytes] = Pipe().reader.read()

    assert read.is_abandoned


@pytest.mark.parametrize(
    "end",
    [
        lambda pipe: pipe.writer.close(),
        lambda pipe: pipe.writer.fail("broken"),
        lambda pipe: pipe.reader.close(),
    ],
    ids=["close the writer", "fail", "close the reader"],
)
def test_all_reads_that_wait_end_though_one_of_them_ends_the_greenlet(
    end: Callable[[Pipe], object],
) -> None:
    pipe = Pipe()
    first, second = pipe.reader.read(), pipe.reader.read()
    first.on_any(lambda _: interrupt())

    with pytest.raises(Interrupted):
        end(pipe)

    assert not first.is_pending
    assert not second.is_pending


def test_the_writer_knows_that_nobody_reads_though_a_read_ends_the_greenlet() -> None:
    pipe = Pipe()
    pipe.reader.read().on_any(lambda _: interrupt())

    with pytest.raises(Interrupted):
        pipe.reader.close()

    assert pipe.writer.reader_closed.is_ready


def test_all_who_wait_for_room_are_told_though_one_of_them_ends_the_greenlet() -> None:
    pipe = Pipe(max_pipe_bytes=1)
    pipe.writer.write(b"1")
    first, second = pipe.writer.writable(), pipe.writer.writable()
    first.on_any(lambda _: interrupt())

    with pytest.raises(Interrupted):
        pipe.reader.read()

    assert first.is_ready
    assert second.is_ready


@pytest.mark.parametrize("timeout", [float("nan"), "5"])
def test_a_read_that_cannot_be_timed_takes_nothing(timeout: Any) -> None:
    pipe = Pipe()

    with pytest.raises(InvalidArgument, match="expected a number of seconds"):
        pipe.reader.read(timeout=timeout)
    pipe.writer.write(b"first")

    assert pipe.reader.read().value == b"first"


def test_a_read_that_a_stopped_clock_cannot_time_takes_nothing(time: Time) -> None:
    pipe = Pipe()
    time.clock.stop()

    with pytest.raises(StateError):
        pipe.reader.read(timeout=5.0)
    pipe.writer.write(b"first")

    assert pipe.reader.read().value == b"first"


def test_a_stream_fails_with_an_error_or_a_text_only() -> None:
    pipe = Pipe()
    with pytest.raises(InvalidArgument, match="expected an exception or a text, got 5"):
        pipe.writer.fail(5)  # type: ignore[arg-type]

    assert pipe.writer.write(b"still open")


def test_writers_that_gave_up_waiting_for_room_leave_nothing() -> None:
    pipe = Pipe(max_pipe_bytes=2)
    pipe.writer.write(b"xx")
    waiting = [gevent.spawn(pipe.writer.writable().get) for _ in range(100)]
    gevent.idle()
    gevent.killall(waiting[1:])
    pipe.writer.writable().discard()

    assert len(pipe._channel.room) == 1

    pipe.reader.read()
    waiting[0].get(timeout=LIMIT)
    assert not pipe._channel.room
