"""Log records that say which process made them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from gevent import Timeout

from greenproc import UPID, Address, Process, Runtime, dispatch, install
from greenproc.logs import JSONFormatter, ProcessFilter
from greenproc.testing import expect_failure
from greenproc.tracing import TraceContext, use_trace

Lines = Callable[[], list[str]]


class Speaker(Process):
    """Logs as other libraries do."""

    def __init__(self) -> None:
        super().__init__("speaker")

    def say(self, logger: logging.Logger) -> None:
        logger.info("hello")

    def say_in_greenlet(self, logger: logging.Logger) -> None:
        self.spawn_greenlet(logger.info, "hello").join()


class MuteItems(dict[str, int]):
    """Cannot be written as JSON, but as a text."""

    def items(self) -> Any:
        raise Timeout(1)


class Mute:
    """Cannot be written."""

    def __repr__(self) -> str:
        raise Timeout(1)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger whose handlers are the test's alone."""
    logger = logging.getLogger("tests.shop")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger
    logger.handlers.clear()


def lines_of(logger: logging.Logger, formatter: logging.Formatter) -> Lines:
    """Let *logger* write with *formatter*, and return what returns its lines."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(ProcessFilter())
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    return lambda: stream.getvalue().splitlines()


@pytest.fixture
def texts(logger: logging.Logger) -> Lines:
    return lines_of(logger, logging.Formatter("%(upid)s %(message)s"))


@pytest.fixture
def objects(logger: logging.Logger) -> Callable[[], list[dict[str, Any]]]:
    lines = lines_of(logger, JSONFormatter())
    return lambda: [json.loads(line) for line in lines()]


@pytest.mark.parametrize("method", [Speaker.say, Speaker.say_in_greenlet])
def test_a_record_of_a_process_names_it(
    runtime: Runtime, logger: logging.Logger, texts: Lines, method: Any
) -> None:
    pid = runtime.spawn(Speaker())

    dispatch(pid, method, logger).get()

    assert texts() == [f"speaker@{runtime.address} hello"]


def test_a_record_outside_of_any_process_has_a_dash(logger: logging.Logger, texts: Lines) -> None:
    logger.info("hello")

    assert texts() == ["- hello"]


def test_a_record_keeps_the_upid_that_it_was_given(logger: logging.Logger, texts: Lines) -> None:
    logger.info("hello", extra={"upid": "a@127.0.0.1:1"})

    assert texts() == ["a@127.0.0.1:1 hello"]


def test_the_upid_of_a_record_may_be_one(
    logger: logging.Logger, objects: Callable[[], list[dict[str, Any]]]
) -> None:
    logger.info("hello", extra={"upid": UPID("a", Address("127.0.0.1", 1))})

    assert [line["upid"] for line in objects()] == ["a@127.0.0.1:1"]


def test_an_object_has_what_a_record_has(
    runtime: Runtime, logger: logging.Logger, objects: Callable[[], list[dict[str, Any]]]
) -> None:
    pid = runtime.spawn(Speaker())

    dispatch(pid, Speaker.say, logger).get()

    (line,) = objects()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("time"))
    line.pop("trace_id", None)  # of a run with --traced
    assert line == {
        "level": "INFO",
        "logger": "tests.shop",
        "upid": f"speaker@{runtime.address}",
        "message": "hello",
    }


TRACE = TraceContext("1" * 32, "a" * 16)


@pytest.mark.usefixtures("untraced")
def test_a_record_names_its_trace(
    runtime: Runtime, logger: logging.Logger, objects: Callable[[], list[dict[str, Any]]]
) -> None:
    lines = lines_of(logger, logging.Formatter("%(trace_id)s"))
    pid = runtime.spawn(Speaker())
    for trace in (None, TRACE, None):
        with use_trace(trace):
            dispatched = dispatch(pid, Speaker.say, logger)
        dispatched.get()
    logger.info("hello", extra={"trace_id": 5})

    assert lines() == ["-", TRACE.trace_id, "-", "5"]
    assert [line.get("trace_id") for line in objects()] == [None, TRACE.trace_id, None, "5"]


@pytest.mark.usefixtures("untraced")
def test_the_failure_of_a_handler_is_logged_with_its_trace(runtime: Runtime) -> None:
    class Failing(Process):
        @install("fail")
        def on_fail(self, sender: UPID, body: bytes) -> None:
            raise ValueError

    logger = logging.getLogger("greenproc.process")
    lines = lines_of(logger, JSONFormatter())
    pid = runtime.spawn(Failing())
    try:
        with expect_failure(ValueError), use_trace(TRACE):
            runtime.post(pid, "fail")
            runtime.settle()
    finally:
        logger.handlers.clear()

    assert TRACE.trace_id in [json.loads(line).get("trace_id") for line in lines()]


def test_the_time_of_an_object_is_that_of_the_record() -> None:
    record = logging.makeLogRecord({"created": 951_782_400.25, "msg": "leap"})

    assert json.loads(JSONFormatter().format(record))["time"] == "2000-02-29T00:00:00.250000Z"


def test_an_object_is_one_line_whatever_the_message(logger: logging.Logger) -> None:
    lines = lines_of(logger, JSONFormatter())

    logger.info("two\nlines, \u2028 and \udcff")

    (line,) = lines()
    assert line.isascii()
    assert json.loads(line)["message"] == "two\nlines, \u2028 and \udcff"


def test_an_object_has_the_traceback_and_the_stack(
    logger: logging.Logger, objects: Callable[[], list[dict[str, Any]]]
) -> None:
    try:
        raise ValueError("no luck")
    except ValueError:
        logger.exception("failed", stack_info=True)

    (line,) = objects()
    assert line["exception"].endswith("\nValueError: no luck")
    assert line["stack"].startswith("Stack (most recent call last):\n")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (7, 7),
        (None, None),
        ({"rooms": [1, 2.5, True]}, {"rooms": [1, 2.5, True]}),
        (float("nan"), "nan"),
        (b"raw", "b'raw'"),
        ({"deep": b"raw"}, "{'deep': b'raw'}"),
        (MuteItems(a=1), "{'a': 1}"),
        (Mute(), "<Mute, whose repr failed: Timeout>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_program_adds_is_there_if_json_has_a_form_for_it(
    logger: logging.Logger,
    objects: Callable[[], list[dict[str, Any]]],
    given: object,
    written: object,
) -> None:
    logger.info("hello", extra={"room": given})

    assert objects()[0]["room"] == written


def test_what_the_program_adds_takes_no_key_of_ours(
    logger: logging.Logger, objects: Callable[[], list[dict[str, Any]]]
) -> None:
    logger.info("hello", extra={"time": "noon", "level": "low", "logger": "none"})

    (line,) = objects()
    assert (line["level"], line["logger"]) == ("INFO", "tests.shop")
    assert line["time"] != "noon"
