"""``/logging/toggle``; the texts are those of libprocess' logging.cpp."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from greenproc.auth import BasicAuthenticator
from greenproc.builtin.logging import Logging
from greenproc.pid import UPID
from greenproc.runtime import Runtime
from greenproc.testing import RuntimeMaker, await_ready
from tests.builtin.asking import ask, text

LOGGER = logging.getLogger("greenproc")


@pytest.fixture(autouse=True)
def at_warning() -> Iterator[None]:
    before = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    yield
    LOGGER.setLevel(before)


def toggle(runtime: Runtime, level: str, duration: str) -> int:
    return ask(runtime, f"/logging/toggle?level={level}&duration={duration}").code


def test_without_a_query_it_tells_the_level(runtime: Runtime) -> None:
    assert text(ask(runtime, "/logging/toggle")) == "0\n"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("level=1", "Expecting 'duration=value' in query.\n"),
        ("duration=1secs", "Expecting 'level=value' in query.\n"),
        ("level=x&duration=1secs", "Failed to convert 'x' to number.\n"),
        ("level=1.5&duration=1secs", "Failed to convert '1.5' to number.\n"),
        ("level=-1&duration=1secs", "Invalid level '-1'.\n"),
        ("level=1&duration=x", "Failed to convert '' to number.\n"),
        ("level=1&duration=5", "Invalid duration '5'.\n"),
        ("level=11&duration=1secs", "Invalid level '11': the finest is 10.\n"),
        ("level=1&duration=29days", "Duration '29days' must be at most 4weeks.\n"),
    ],
)
def test_what_makes_no_sense_is_a_bad_request(runtime: Runtime, query: str, told: str) -> None:
    answer = ask(runtime, f"/logging/toggle?{query}")
    assert (answer.code, answer.body) == (400, told.encode())
    assert LOGGER.level == logging.WARNING


@pytest.mark.parametrize(("level", "expected"), [(1, logging.DEBUG), (3, 8), (10, 1)])
def test_a_level_is_set_for_a_while(runtime: Runtime, level: int, expected: int) -> None:
    runtime.clock.pause()
    answer = ask(runtime, f"/logging/toggle?level={level}&duration=10secs")
    assert (answer.code, answer.body) == (200, b"")
    assert LOGGER.level == expected
    runtime.clock.advance(9.9)
    runtime.settle()
    assert LOGGER.level == expected
    runtime.clock.advance(0.1)
    runtime.settle()
    assert LOGGER.level == logging.WARNING


def test_the_longest_while_is_four_weeks(runtime: Runtime) -> None:
    assert toggle(runtime, "1", "4weeks") == 200


def test_it_tells_the_level_that_was_set(runtime: Runtime) -> None:
    toggle(runtime, "2", "1mins")
    assert text(ask(runtime, "/logging/toggle")) == "2\n"


def test_a_later_toggle_takes_the_place_of_an_earlier_one(runtime: Runtime) -> None:
    runtime.clock.pause()
    toggle(runtime, "1", "10secs")
    runtime.clock.advance(5.0)
    toggle(runtime, "2", "10secs")
    runtime.clock.advance(5.0)
    runtime.settle()
    assert LOGGER.level == 9
    runtime.clock.advance(5.0)
    runtime.settle()
    assert LOGGER.level == logging.WARNING


def test_a_return_that_comes_too_late_is_ignored(runtime: Runtime) -> None:
    """The timer of the first toggle was due, and its call in the mailbox behind the second."""
    process = Logging(None)
    runtime.terminate(UPID("logging", runtime.address))
    runtime.wait(UPID("logging", runtime.address))
    runtime.spawn(process)
    for level in (1, 2):
        runtime.dispatch(process, Logging.set_level, level, 3600.0)
    runtime.dispatch(process, Logging._revert, 1).get()
    assert LOGGER.level == 9


def test_the_level_of_the_beginning_ends_a_toggle(runtime: Runtime) -> None:
    toggle(runtime, "1", "1hrs")
    assert toggle(runtime, "0", "1hrs") == 200
    assert LOGGER.level == logging.WARNING
    assert runtime.statistics()["clock"]["timers"] == 0


def test_a_level_below_that_of_the_beginning_is_refused(make_runtime: RuntimeMaker) -> None:
    LOGGER.setLevel(logging.DEBUG)
    runtime = make_runtime()
    answer = ask(runtime, "/logging/toggle?level=0&duration=1secs")
    assert (answer.code, answer.body) == (400, b"'0' < original level.\n")


def test_the_end_of_the_node_ends_a_toggle(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime()
    toggle(runtime, "1", "1hrs")
    runtime.stop()
    assert LOGGER.level == logging.WARNING


def test_it_is_in_the_realm_of_what_changes(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(readwrite_realm="rw")
    await_ready(runtime.set_authenticator("rw", BasicAuthenticator("rw", {"a": "b"})))
    assert ask(runtime, "/logging/toggle").code == 401
