"""Waiting until a descriptor is ready."""

from __future__ import annotations

import errno
import gc
import os
import socket
import threading
from pathlib import Path

import gevent
import pytest
from gevent import get_hub

from greenproc import io
from greenproc.errors import InvalidArgument
from greenproc.io import READ, WRITE
from tests.io.support import Pipe, closed_descriptor


def test_only_what_was_asked_for_and_is_possible_is_told() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert io.poll(near, READ | WRITE).get(timeout=5.0) == WRITE

        far.send(b"x")

        assert io.poll(near, READ).get(timeout=5.0) == READ
        assert io.poll(near, READ | WRITE).get(timeout=5.0) & READ


def test_the_end_of_the_other_side_shows_as_what_was_asked_for() -> None:
    with Pipe() as pipe:
        reading = io.poll(pipe.reader, READ)
        pipe.close_writer()
        assert reading.get(timeout=5.0) == READ
    with Pipe() as pipe:
        pipe.fill()
        writing = io.poll(pipe.writer, WRITE)
        pipe.close_reader()
        assert writing.get(timeout=5.0) == WRITE


def test_a_discard_request_stops_the_watch_and_discards_at_once(pipe: Pipe) -> None:
    future = io.poll(pipe.reader, READ)

    future.discard()

    assert future.is_discarded
    os.write(pipe.writer, b"x")
    gevent.idle()
    assert future.is_discarded


def test_readiness_that_the_loop_has_noticed_wins_over_a_discard_request(pipe: Pipe) -> None:
    future = io.poll(pipe.reader, READ)
    gevent.idle()

    get_hub().loop.closing_fd(pipe.reader)  # the loop's way to make a watcher pending
    future.discard()
    assert future.is_pending

    assert future.get(timeout=5.0) == READ
    assert future.has_discard


def test_polls_of_one_descriptor_are_independent(pipe: Pipe) -> None:
    first, second = io.poll(pipe.reader, READ), io.poll(pipe.reader, READ)

    first.discard()
    os.write(pipe.writer, b"x")

    assert second.get(timeout=5.0) == READ
    assert first.is_discarded


def test_a_poll_tells_once(pipe: Pipe) -> None:
    calls: list[int] = []
    io.poll(pipe.reader, READ).on_ready(calls.append)

    os.write(pipe.writer, b"x")
    gevent.idle()
    gevent.idle()

    assert calls == [READ]


def test_callbacks_of_a_poll_may_wait(pipe: Pipe) -> None:
    woken = io.poll(pipe.reader, READ).then(lambda _: gevent.idle())

    os.write(pipe.writer, b"x")

    assert woken.get(timeout=5.0) is None


def test_a_poll_that_nobody_holds_goes_on(pipe: Pipe) -> None:
    calls: list[int] = []
    io.poll(pipe.reader, READ).on_ready(calls.append)
    gc.collect()

    os.write(pipe.writer, b"x")
    gevent.idle()

    assert calls == [READ]


def test_an_object_is_held_while_it_is_polled(pipe: Pipe) -> None:
    class Owner:
        def __init__(self) -> None:
            self.number = os.dup(pipe.reader)

        def fileno(self) -> int:
            return self.number

        def __del__(self) -> None:
            os.close(self.number)

    future = io.poll(Owner(), READ)
    gc.collect()
    os.write(pipe.writer, b"x")

    assert future.get(timeout=5.0) == READ


def test_a_regular_file_is_always_ready(folder: Path) -> None:
    with (folder / "file").open("wb") as file:
        assert io.poll(file, READ | WRITE).get_nowait() == READ | WRITE


@pytest.mark.parametrize("number", [-1, None])
def test_a_descriptor_that_is_not_open_fails_the_future(number: int | None) -> None:
    future = io.poll(closed_descriptor() if number is None else number, READ)

    assert future.is_failed
    assert future.exception.errno == errno.EBADF


@pytest.mark.parametrize("events", [0, 4, -1, True, None, "r", 1.0, [1]])
def test_other_events_are_refused(pipe: Pipe, events: object) -> None:
    with pytest.raises(InvalidArgument, match="expected READ, WRITE or both"):
        io.poll(pipe.reader, events)


def test_a_discard_request_of_another_thread_is_heeded(pipe: Pipe) -> None:
    future = io.poll(pipe.reader, READ)

    thread = threading.Thread(target=future.discard)
    thread.start()
    thread.join()
    future.wait(timeout=5.0)

    assert future.is_discarded


def test_a_native_thread_can_poll_in_a_hub_of_its_own(pipe: Pipe) -> None:
    results: list[int] = []

    def wait() -> None:
        try:
            results.append(io.poll(pipe.reader, READ).get(timeout=5.0))
        finally:
            get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=wait)
    thread.start()
    os.write(pipe.writer, b"x")
    thread.join()

    assert results == [READ]
