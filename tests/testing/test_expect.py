"""Expectations about messages, dispatches, exits and requests, as `greenproc.testing` gives them."""

from __future__ import annotations

import pytest

from greenproc.errors import NoRuntime
from greenproc.http.request import Request
from greenproc.http.url import URL
from greenproc.pid import UPID
from greenproc.process.base import Process
from greenproc.process.event import DispatchEvent, ExitedEvent
from greenproc.process.handlers import install, route
from greenproc.runtime import Runtime
from greenproc.testing import (
    ANY,
    RuntimeMaker,
    await_ready,
    drop_dispatch,
    drop_dispatches,
    drop_exited,
    drop_message,
    drop_messages,
    drop_request,
    drop_requests,
    expect_no_dispatches,
    expect_no_messages,
    expect_no_requests,
    future_dispatch,
    future_exited,
    future_message,
    future_request,
)
from greenproc.tracing import TraceContext, use_trace


class Recorder(Process):
    def __init__(self, id: str = "recorder") -> None:
        super().__init__(id)
        self.got: list[object] = []

    @install("a")
    def on_a(self, sender: UPID, body: bytes) -> None:
        self.got.append(("a", body))

    @install("b")
    def on_b(self, sender: UPID, body: bytes) -> None:
        self.got.append(("b", body))

    def call(self, value: int) -> int:
        self.got.append(("call", value))
        return value

    def other(self) -> None:
        self.got.append("other")

    def exited(self, pid: UPID) -> None:
        self.got.append(("exited", pid))

    @route("/x")
    def on_x(self, request: Request) -> str:
        self.got.append("request")
        return "x"


@pytest.fixture
def recorder(runtime: Runtime) -> Recorder:
    recorder = Recorder()
    runtime.spawn(recorder)
    return recorder


SENDER = UPID.parse("s@10.0.0.1:5050")


def test_future_message_is_given_the_message_before_it_is_served(
    runtime: Runtime, recorder: Recorder
) -> None:
    future = future_message("a")
    got_when_ready: list[list[object]] = []
    future.on_ready(lambda message: got_when_ready.append(list(recorder.got)))

    runtime.post(recorder, "a", b"1", sender=SENDER)

    message = await_ready(future)
    assert (message.name, message.sender, message.body) == ("a", SENDER, b"1")
    runtime.settle()
    assert got_when_ready == [[]]
    assert recorder.got == [("a", b"1")]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ({}, True),
        ({"name": "a"}, True),
        ({"name": "b"}, False),
        ({"sender": SENDER}, True),
        ({"sender": UPID.parse("t@10.0.0.1:5050")}, False),
        ({"name": ANY, "sender": ANY, "to": ANY}, True),
    ],
)
def test_message_matches_what_is_not_left_open(
    runtime: Runtime, recorder: Recorder, pattern: dict[str, object], matches: bool
) -> None:
    future = future_message(**pattern)
    runtime.post(recorder, "a", sender=SENDER)
    runtime.settle()
    assert future.is_ready is matches


def test_message_matches_its_receiver_as_process_or_pid(
    runtime: Runtime, recorder: Recorder
) -> None:
    runtime.spawn(Recorder("another"))
    by_process, by_pid = future_message(to=recorder), future_message(to=recorder.pid)

    runtime.post(UPID("another", runtime.address), "a")
    runtime.settle()
    assert by_process.is_pending

    runtime.post(recorder, "a")
    runtime.post(recorder, "a")
    runtime.settle()
    assert by_process.is_ready
    assert by_pid.is_ready


def test_newest_expectation_wins_and_retires_after_one_event(
    runtime: Runtime, recorder: Recorder
) -> None:
    older, newer = future_message("a"), future_message("a")

    runtime.post(recorder, "a", b"1")
    runtime.settle()
    assert newer.is_ready
    assert older.is_pending

    runtime.post(recorder, "a", b"2")
    runtime.settle()
    assert await_ready(older).body == b"2"


def test_drop_message_drops_one(runtime: Runtime, recorder: Recorder) -> None:
    future = drop_message("a")
    runtime.post(recorder, "a", b"1")
    runtime.post(recorder, "a", b"2")
    runtime.settle()
    assert await_ready(future).body == b"1"
    assert recorder.got == [("a", b"2")]


def test_drop_messages_drops_all_of_a_kind(runtime: Runtime, recorder: Recorder) -> None:
    drop_messages("a")
    for name in ("a", "b", "a"):
        runtime.post(recorder, name)
    runtime.settle()
    assert recorder.got == [("b", b"")]


def test_expect_no_messages_passes_when_none_comes(runtime: Runtime, recorder: Recorder) -> None:
    with expect_no_messages("a"):
        runtime.post(recorder, "b")
        runtime.settle()
    runtime.post(recorder, "a")
    runtime.settle()


def post_and_settle(runtime: Runtime, recorder: Recorder) -> None:
    runtime.post(recorder, "a")
    runtime.settle()


def test_expect_no_messages_fails_when_one_comes(runtime: Runtime, recorder: Recorder) -> None:
    with pytest.raises(AssertionError, match="expected no message 'a'"), expect_no_messages("a"):
        post_and_settle(runtime, recorder)


def test_future_dispatch_tells_methods_of_one_signature_apart(
    runtime: Runtime, recorder: Recorder
) -> None:
    future = future_dispatch(recorder, Recorder.call)
    runtime.dispatch(recorder, Recorder.other)
    runtime.settle()
    assert future.is_pending

    runtime.dispatch(recorder, Recorder.call, 3)
    event = await_ready(future)
    assert isinstance(event, DispatchEvent)
    assert event.args == (3,)
    runtime.settle()
    assert recorder.got == ["other", ("call", 3)]


def test_bound_method_is_the_same_as_its_function(runtime: Runtime, recorder: Recorder) -> None:
    future = future_dispatch(method=recorder.call)
    runtime.dispatch(recorder, Recorder.call, 1)
    runtime.settle()
    assert future.is_ready


def test_drop_dispatch_abandons_one(runtime: Runtime, recorder: Recorder) -> None:
    dropped = drop_dispatch(recorder.pid, Recorder.call)
    first = runtime.dispatch(recorder, Recorder.call, 1)
    second = runtime.dispatch(recorder, Recorder.call, 2)
    runtime.settle()
    assert dropped.is_ready
    assert first.is_abandoned
    assert second.value == 2


def test_drop_dispatches_abandons_all_of_a_kind(runtime: Runtime, recorder: Recorder) -> None:
    drop_dispatches(method=Recorder.call)
    futures = [runtime.dispatch(recorder, Recorder.call, number) for number in range(3)]
    runtime.dispatch(recorder, Recorder.other)
    runtime.settle()
    assert all(future.is_abandoned for future in futures)
    assert recorder.got == ["other"]


def test_expect_no_dispatches_fails_when_one_comes(runtime: Runtime, recorder: Recorder) -> None:
    forbidden = expect_no_dispatches(recorder, Recorder.call)
    with pytest.raises(AssertionError, match="expected no dispatch"), forbidden:
        runtime.dispatch(recorder, Recorder.call, 1).get()


def test_future_exited_lets_the_linker_know_too(runtime: Runtime, recorder: Recorder) -> None:
    linkee = runtime.spawn(Process("linkee"))
    runtime.dispatch(recorder, lambda: recorder.link(linkee)).get()
    future = future_exited(linkee, recorder)

    runtime.terminate(linkee)

    event = await_ready(future)
    assert isinstance(event, ExitedEvent)
    assert event.pid == linkee
    runtime.settle()
    assert recorder.got == [("exited", linkee)]


def test_drop_exited_keeps_it_from_the_linker(runtime: Runtime, recorder: Recorder) -> None:
    linkee = runtime.spawn(Process("linkee"))
    runtime.dispatch(recorder, lambda: recorder.link(linkee)).get()
    future = drop_exited(linkee)

    runtime.terminate(linkee)
    runtime.settle()

    assert future.is_ready
    assert recorder.got == []


def get(runtime: Runtime, path: str) -> int | None:
    """Ask the runtime's own router, without a connection, and return the status."""
    response = runtime._parts().router.serve(Request("GET", URL.parse(path)))
    runtime.settle()
    return response.value.status if response.value is not None else None


def test_future_request_is_answered(runtime: Runtime, recorder: Recorder) -> None:
    other, future = future_request("/recorder/y"), future_request("/recorder/x", to=recorder)
    assert get(runtime, "/recorder/x?q=1") == 200
    assert await_ready(future).url.query == {"q": "1"}
    assert other.is_pending


def test_drop_request_answers_one_with_500(runtime: Runtime, recorder: Recorder) -> None:
    future = drop_request("/recorder/x")
    assert get(runtime, "/recorder/x") == 500
    assert future.is_ready
    assert get(runtime, "/recorder/x") == 200
    assert recorder.got == ["request"]


def test_drop_requests_answers_all_with_500(runtime: Runtime, recorder: Recorder) -> None:
    drop_requests(to=recorder)
    assert [get(runtime, "/recorder/x") for _ in range(2)] == [500, 500]


def test_expect_no_requests_fails_when_one_comes(runtime: Runtime, recorder: Recorder) -> None:
    forbidden = expect_no_requests("/recorder/x")
    with pytest.raises(AssertionError, match="expected no request for /recorder/x"), forbidden:
        get(runtime, "/recorder/x")


def test_filter_of_the_user_goes_on_filtering(runtime: Runtime, recorder: Recorder) -> None:
    runtime.filter(lambda pid, event: event.kind == "MESSAGE" and event.message.name == "b")
    future = future_message("b")
    runtime.post(recorder, "a")
    runtime.post(recorder, "b")
    runtime.settle()
    assert future.is_ready
    assert recorder.got == [("a", b"")]


def test_terminate_is_never_matched_nor_dropped(runtime: Runtime, recorder: Recorder) -> None:
    drop_messages()
    drop_dispatches()
    runtime.terminate(recorder)
    assert runtime.wait(recorder)


def test_expectations_belong_to_the_selected_runtime(make_runtime: RuntimeMaker) -> None:
    first, second = make_runtime(), make_runtime()
    with first.selected():
        future = future_message()
    second.post(second.spawn(Recorder()), "a")
    second.settle()
    assert future.is_pending
    first.post(first.spawn(Recorder()), "a")
    first.settle()
    assert future.is_ready


def test_expectation_without_a_runtime_is_refused() -> None:
    with pytest.raises(NoRuntime):
        future_message()


@pytest.mark.parametrize("trace", [None, TraceContext("1" * 32, "2" * 16)])
def test_what_is_in_a_trace_is_expected_as_the_rest(
    runtime: Runtime, trace: TraceContext | None
) -> None:
    recorder = Recorder()
    pid = runtime.spawn(recorder)
    message = future_message("a", to=pid)
    dispatch = future_dispatch(pid, Recorder.call)
    with use_trace(trace):
        runtime.post(pid, "a")
        runtime.dispatch(pid, Recorder.call, 1)

    assert await_ready(message).trace == trace
    event = await_ready(dispatch)
    assert (event.args, event.trace) == ((1,), trace)
