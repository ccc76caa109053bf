"""Stages: started in order, stopped in reverse, whatever one of them does."""

from __future__ import annotations

import logging
from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event

from greenproc.runtime.lifecycle import MAX_ATTEMPTS, Lifecycle, Stage, nothing
from greenproc.testing import expect_failure


class Log:
    """Makes stages that note what they are told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.seconds: list[float] = []

    def stage(
        self,
        name: str,
        start: Callable[[], object] = lambda: None,
        stop: Callable[[], object] = lambda: None,
    ) -> Stage:
        def note_start() -> None:
            self.calls.append(f"start {name}")
            start()

        def note_stop(seconds: float) -> None:
            self.calls.append(f"stop {name}")
            self.seconds.append(seconds)
            stop()

        return Stage(name, note_start, note_stop)


@pytest.fixture
def log() -> Log:
    return Log()


def fail() -> None:
    raise ValueError("on purpose")


def hang() -> None:
    Event().wait()


def test_stages_stop_in_reverse(log: Log) -> None:
    life = Lifecycle([log.stage("a"), log.stage("b"), log.stage("c")])
    life.start()
    life.stop(1.0)
    assert log.calls == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]


def test_stage_that_failed_to_start_is_stopped_and_those_after_it_are_not(log: Log) -> None:
    life = Lifecycle([log.stage("a"), log.stage("b", start=fail), log.stage("c")])
    with pytest.raises(ValueError, match="on purpose"):
        life.start()
    life.stop(1.0)
    assert log.calls == ["start a", "start b", "stop b", "stop a"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, gevent.GreenletExit, gevent.Timeout])
def test_interrupted_stop_goes_on_with_the_stage_that_was_being_stopped(
    log: Log, kind: type[BaseException]
) -> None:
    interruptions = [kind(), kind()]

    def interrupt() -> None:
        if interruptions:
            raise interruptions.pop()

    life = Lifecycle([log.stage("a"), log.stage("b", stop=interrupt), log.stage("c")])
    life.start()
    for _ in range(2):
        with pytest.raises(kind):
            life.stop(1.0)
    life.stop(1.0)
    assert log.calls[3:] == ["stop c", "stop b", "stop b", "stop b", "stop a"]


def test_failing_stop_is_logged_and_the_rest_goes_on(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    life = Lifecycle([log.stage("a"), log.stage("b", stop=fail)])
    life.start()
    with expect_failure(ValueError):
        life.stop(1.0)
    assert log.calls[2:] == ["stop b", "stop a"]
    assert "stopping b failed; going on" in caplog.text


def test_stop_that_hangs_is_left_and_the_rest_goes_on(
    log: Log, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Lifecycle([log.stage("a"), log.stage("b", stop=hang)])
    life.start()
    with caplog.at_level(logging.ERROR):
        life.stop(0.0)  # a stage has a second more than it was told
    assert log.calls[2:] == ["stop b", "stop a"]
    assert "stopping b took more than" in caplog.text


def test_each_stage_is_told_what_is_left_and_never_nothing(log: Log) -> None:
    life = Lifecycle([log.stage("a"), log.stage("b")])
    life.start()
    life.stop(5.0)
    assert all(4.0 < seconds <= 5.0 for seconds in log.seconds)

    life.start()
    log.seconds.clear()
    life.stop(0.0)
    assert all(seconds > 0.0 for seconds in log.seconds)


def test_second_stop_does_nothing(log: Log) -> None:
    life = Lifecycle([log.stage("a")])
    life.start()
    life.stop(1.0)
    life.stop(1.0)
    assert log.calls == ["start a", "stop a"]


def test_timeout_of_somebody_else_is_not_taken_for_the_limit(log: Log) -> None:
    other = gevent.Timeout(1000.0)

    def time_out() -> None:
        raise other

    life = Lifecycle([log.stage("below"), log.stage("a", stop=time_out)])
    life.start()
    for _ in range(2):
        with pytest.raises(gevent.Timeout) as raised:
            life.stop(1.0)
        assert raised.value is other
    assert log.calls == ["start below", "start a", "stop a", "stop a"]
    other.close()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, gevent.GreenletExit, gevent.Timeout])
def test_stage_that_raises_each_time_is_given_up_after_a_few_attempts(
    log: Log, kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def interrupt() -> None:
        raise kind

    stages = [log.stage("below"), *(log.stage(name, stop=interrupt) for name in "ab")]
    life = Lifecycle(stages)
    life.start()
    with caplog.at_level(logging.ERROR):
        for _ in range(2 * MAX_ATTEMPTS):
            with pytest.raises(kind):
                life.stop(1.0)
        life.stop(1.0)
    assert log.calls[3:] == ["stop b"] * MAX_ATTEMPTS + ["stop a"] * MAX_ATTEMPTS + ["stop below"]
    assert caplog.text.count("giving it up") == 2


def test_stage_may_have_no_start_or_stop() -> None:
    life = Lifecycle([Stage("a", nothing, nothing)])
    life.start()
    life.stop(1.0)
