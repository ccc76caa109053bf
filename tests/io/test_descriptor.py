"""Descriptors: what is taken for one, and closing it."""

from __future__ import annotations

import errno
import io as standard_io
import os
from time import monotonic
from typing import Any

import gevent
import pytest

from greenproc import io
from greenproc.errors import InvalidArgument
from tests.io.support import Pipe, closed_descriptor


def test_prepare_async_makes_a_descriptor_non_blocking() -> None:
    with Pipe(blocking=True) as pipe:
        assert not io.is_async(pipe.reader)

        io.prepare_async(pipe.reader)

        assert io.is_async(pipe.reader)
        assert not io.is_async(pipe.writer)


def test_duplicates_share_whether_they_block() -> None:
    with Pipe(blocking=True) as pipe:
        copy = os.dup(pipe.reader)
        io.prepare_async(copy)
        os.close(copy)

        assert io.is_async(pipe.reader)


def test_what_has_a_descriptor_is_taken_for_it(pipe: Pipe) -> None:
    with os.fdopen(os.dup(pipe.reader), "rb") as file:
        assert io.is_async(file)


@pytest.mark.parametrize("function", [io.is_async, io.prepare_async, io.close])
def test_a_descriptor_that_is_not_open_is_refused(function) -> None:
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        function(closed_descriptor())
    assert caught.value.errno == errno.EBADF


@pytest.mark.parametrize("function", [io.is_async, io.prepare_async, io.read])
@pytest.mark.parametrize("nothing", [None, "0", 1.0, True, standard_io.BytesIO()])
def test_what_has_no_descriptor_is_an_invalid_argument(function, nothing: object) -> None:
    with pytest.raises(InvalidArgument, match="expected a"):
        function(nothing)


def test_a_closed_file_object_is_no_open_descriptor() -> None:
    with open(os.devnull, "rb") as file:  # noqa: PTH123
        pass

    with pytest.raises(OSError, match="is closed") as caught:
        io.is_async(file)
    assert caught.value.errno == errno.EBADF


def test_close_closes_at_once_what_nobody_polls(pipe: Pipe) -> None:
    number = os.dup(pipe.reader)

    io.close(number)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


@pytest.mark.parametrize("turns", range(3))
def test_close_ends_the_polls_of_a_descriptor_at_once(pipe: Pipe, turns: int) -> None:
    number = os.dup(pipe.reader)
    gevent.sleep(0)  # so that the loop is in the middle of a turn
    future = io.poll(number, io.READ)
    for _ in range(turns):
        gevent.sleep(0)

    io.close(number)

    started = monotonic()
    assert future.get(timeout=5.0) == io.READ
    assert monotonic() - started < 4.0
    gevent.idle()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


@pytest.mark.parametrize("number", [-1, 2**31, 10**30])
def test_a_number_that_no_descriptor_has_is_not_open(number: int) -> None:
    for function in (io.is_async, io.close):
        with pytest.raises(OSError, match="Bad file descriptor") as caught:
            function(number)
        assert caught.value.errno == errno.EBADF
    assert io.read(number).exception.errno == errno.EBADF


@pytest.mark.parametrize("number", ["0", 1.0, None, standard_io.BytesIO()])
def test_only_a_number_is_closed(number: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected the number of a descriptor"):
        io.close(number)
