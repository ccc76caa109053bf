"""From a route to its handler: who is asked, in which order, and what stands in between."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event as ThreadEvent
from typing import Any

import gevent
import pytest
from gevent import threadpool
from gevent.event import Event as Gate
from gevent.monkey import get_original

from greenproc.errors import Failure
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import Forbidden, Response, Unauthorized
from greenproc.http.url import URL
from greenproc.pid import UPID
from greenproc.process import DispatchEvent, Event, HttpEvent, Process, install, route
from greenproc.process.manager import get_ident
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import (
    RuntimeMaker,
    await_abandoned,
    await_discarded,
    await_failed,
    await_ready,
)


class Door:
    """A gatekeeper that answers what it is told to: values, futures, or calls that give them."""

    def __init__(self) -> None:
        self.authorizes = False
        self.principals: dict[str, Any] = {}
        self.permissions: dict[str, Any] = {}
        self.asked: list[str] = []

    def authenticate(self, request: Request, realm: str) -> Any:
        return self._answer(f"who {request.url.query['n']}", self.principals, request)

    def authorize(self, request: Request, principal: Any, id: str, path: str) -> Any:
        return self._answer(f"may {request.url.query['n']}", self.permissions, request)

    def _answer(self, note: str, answers: dict[str, Any], request: Request) -> Any:
        self.asked.append(note)
        answer = answers[request.url.query["n"]]
        return answer() if callable(answer) else answer


class House(Process):
    """Notes who enters."""

    def __init__(self) -> None:
        super().__init__("house")
        self.entered: list[tuple[str, Any]] = []
        self.results: dict[str, Any] = {}

    @route("/inside", realm="r")
    def on_inside(self, request: Request, principal: Any) -> Any:
        number = request.url.query["n"]
        self.entered.append((number, principal))
        result = self.results.get(number, "inside")
        return result() if callable(result) else result

    @route("/garden")
    def on_garden(self, request: Request) -> str:
        self.entered.append((request.url.query["n"], "garden"))
        return "garden"

    @install("note")
    def on_note(self, sender: UPID, body: bytes) -> None:
        self.entered.append(("note", body))


class Visits:
    """A house with its door in a runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.door = Door()
        runtime.processes.gatekeeper = self.door
        self.house = House()
        self.pid = runtime.spawn(self.house)

    def ask(self, number: str, room: str = "inside", body: bytes = b"") -> Future[Response]:
        promise: Promise[Response] = Promise()
        future = promise.future
        request = Request("GET", URL.parse(f"/house/{room}?n={number}"), body=body)
        self.runtime.processes.deliver_http("house", HttpEvent(request, promise))
        return future

    def pending(self, *numbers: str) -> list[Promise[Any]]:
        """Let the authentications of *numbers* wait for the promises that are returned."""
        promises: list[Promise[Any]] = [Promise() for _ in numbers]
        self.door.principals.update(
            {number: promise.future for number, promise in zip(numbers, promises, strict=True)}
        )
        return promises


@pytest.fixture
def visits(runtime: Runtime) -> Visits:
    return Visits(runtime)


def body(response: Future[Response]) -> bytes:
    return await_ready(response).body


# Order


def test_handlers_begin_in_order_of_arrival_however_authentications_end(visits: Visits) -> None:
    first, second, third = visits.pending("1", "2", "3")
    answers = [visits.ask(number) for number in "123"]
    visits.runtime.settle()
    assert visits.door.asked == ["who 1", "who 2", "who 3"]

    third.set("c")
    second.set("b")
    visits.runtime.settle()
    assert visits.house.entered == []

    first.set("a")
    assert [body(answer) for answer in answers] == [b"inside"] * 3
    assert visits.house.entered == [("1", "a"), ("2", "b"), ("3", "c")]


def test_open_route_waits_behind_a_pending_authentication(visits: Visits) -> None:
    (first,) = visits.pending("1")
    answers = [visits.ask("1"), visits.ask("2", "garden")]
    visits.runtime.settle()
    assert visits.house.entered == []

    first.set("a")
    assert [body(answer) for answer in answers] == [b"inside", b"garden"]
    assert visits.house.entered == [("1", "a"), ("2", "garden")]


def test_messages_are_served_meanwhile(visits: Visits) -> None:
    (first,) = visits.pending("1")
    visits.ask("1")
    visits.runtime.post(visits.pid, "note", b"hi")
    visits.runtime.settle()
    assert visits.house.entered == [("note", b"hi")]

    first.set("a")


def test_request_behind_nobody_is_served_in_the_same_turn(visits: Visits) -> None:
    seen: list[Event] = []
    visits.runtime.filter(lambda pid, event: seen.append(event))
    visits.door.principals["1"] = "a"
    assert body(visits.ask("1")) == b"inside"
    assert body(visits.ask("2", "garden")) == b"garden"
    assert [type(event) for event in seen] == [HttpEvent, HttpEvent]


def test_each_handler_has_a_turn_of_its_own(visits: Visits) -> None:
    first, _, _ = visits.pending("1", "2", "3")
    visits.door.principals.update({"2": "b", "3": "c"})
    answers = [visits.ask(number) for number in "123"]
    visits.runtime.settle()
    seen: list[Event] = []
    visits.runtime.filter(lambda pid, event: seen.append(event))
    first.set("a")
    visits.runtime.post(visits.pid, "note", b"hi")
    assert [body(answer) for answer in answers] == [b"inside"] * 3
    assert visits.house.entered == [("1", "a"), ("note", b"hi"), ("2", "b"), ("3", "c")]
    assert sum(isinstance(event, DispatchEvent) for event in seen) == 3


def test_nobody_overtakes_a_handler_that_waits(visits: Visits) -> None:
    first, _ = visits.pending("1", "2")
    visits.door.principals["2"] = "b"
    gate = Gate()
    visits.house.results["1"] = lambda: gate.wait() and "late"
    answers = [visits.ask("1"), visits.ask("2"), visits.ask("3", "garden")]
    first.set("a")
    gevent.idle()
    assert visits.house.entered == [("1", "a")]

    gate.set()
    assert [body(answer) for answer in answers] == [b"late", b"inside", b"garden"]
    assert [number for number, _ in visits.house.entered] == ["1", "2", "3"]


def test_handler_may_answer_later_without_holding_others_up(visits: Visits) -> None:
    answer: Promise[str] = Promise()
    visits.door.principals.update({"1": "a", "2": "b"})
    visits.house.results["1"] = answer.future
    first, second = visits.ask("1"), visits.ask("2")
    assert body(second) == b"inside"

    answer.set("late")
    assert body(first) == b"late"


def test_authorizations_are_asked_for_in_order_of_arrival(visits: Visits) -> None:
    visits.door.authorizes = True
    visits.door.permissions.update({"1": True, "2": True})
    first, second = visits.pending("1", "2")
    answers = [visits.ask("1"), visits.ask("2")]
    second.set("b")
    visits.runtime.settle()
    assert visits.door.asked == ["who 1", "who 2"]

    first.set("a")
    assert [body(answer) for answer in answers] == [b"inside"] * 2
    assert visits.door.asked == ["who 1", "who 2", "may 1", "may 2"]


def test_handlers_begin_in_order_of_arrival_however_authorizations_end(visits: Visits) -> None:
    visits.door.authorizes = True
    visits.door.principals.update({"1": "a", "2": "b"})
    first: Promise[bool] = Promise()
    second: Promise[bool] = Promise()
    visits.door.permissions.update({"1": first.future, "2": second.future})
    answers = [visits.ask("1"), visits.ask("2")]
    visits.runtime.settle()
    second.set(True)
    visits.runtime.settle()
    assert visits.house.entered == []

    first.set(True)
    assert [body(answer) for answer in answers] == [b"inside"] * 2
    assert visits.house.entered == [("1", "a"), ("2", "b")]


def test_later_authentication_does_not_hold_up_an_earlier_request(visits: Visits) -> None:
    visits.door.authorizes = True
    permission: Promise[bool] = Promise()
    visits.door.permissions["1"] = permission.future
    visits.door.principals["1"] = "a"
    (second,) = visits.pending("2")
    answer, later = visits.ask("1"), visits.ask("2")
    visits.runtime.settle()
    permission.set(True)
    assert body(answer) == b"inside"
    assert later.is_pending

    visits.door.permissions["2"] = False
    second.set("b")
    assert await_ready(later).status == 403


# What may stand in between


def failed_with(error: BaseException) -> Callable[[], Any]:
    def ask() -> Any:
        raise error

    return ask


REFUSALS = {
    "a 401": Unauthorized(["Basic"]),
    "a 403": Forbidden("you again"),
    "a future 401": Future(Unauthorized(["Basic"])),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_refusal_is_the_answer(visits: Visits, refusal: Any) -> None:
    visits.door.authorizes = True
    visits.door.principals["1"] = refusal
    answer = await_ready(visits.ask("1"))
    assert answer == (refusal.get() if isinstance(refusal, Future) else refusal)
    assert visits.house.entered == []
    assert visits.door.asked == ["who 1"]


QUESTIONS = ["authentication", "authorization"]


def answers_of(visits: Visits, question: str) -> dict[str, Any]:
    visits.door.authorizes = True
    visits.door.principals["1"] = "a"
    return visits.door.principals if question == "authentication" else visits.door.permissions


@pytest.mark.parametrize("question", QUESTIONS)
def test_error_that_is_raised_is_the_end(visits: Visits, question: str) -> None:
    error = KeyError("oops")
    answers_of(visits, question)["1"] = failed_with(error)
    assert await_failed(visits.ask("1")) is error
    assert visits.house.entered == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_timeout_that_is_raised_is_the_end(visits: Visits, question: str) -> None:
    error = gevent.Timeout()
    answers_of(visits, question)["1"] = failed_with(error)
    assert await_failed(visits.ask("1")) is error


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
def test_failure_is_the_end(visits: Visits, question: str, *, late: bool) -> None:
    promise: Promise[Any] = Promise()
    answers_of(visits, question)["1"] = promise.future
    if not late:
        promise.fail("no connection")
    answer = visits.ask("1")
    visits.runtime.settle()
    promise.fail("no connection")
    error = await_failed(answer)
    assert isinstance(error, Failure)
    assert str(error) == "no connection"
    assert visits.house.entered == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_discarded_answer_discards(visits: Visits, question: str) -> None:
    promise: Promise[Any] = Promise()
    answers_of(visits, question)["1"] = promise.future
    answer = visits.ask("1")
    visits.runtime.settle()
    promise.discard()
    await_discarded(answer)


@pytest.mark.parametrize("question", QUESTIONS)
def test_abandoned_answer_abandons(visits: Visits, question: str) -> None:
    promise: Promise[Any] = Promise()
    answers_of(visits, question)["1"] = promise.future
    answer = visits.ask("1")
    visits.runtime.settle()
    promise.abandon()
    await_abandoned(answer)


def test_later_requests_go_on_after_a_failure(visits: Visits) -> None:
    (first,) = visits.pending("1")
    visits.door.principals["2"] = "b"
    failing, answer = visits.ask("1"), visits.ask("2")
    first.fail("no connection")
    await_failed(failing)
    assert body(answer) == b"inside"


@pytest.mark.parametrize("permission", [False, None, 1, "yes"])
def test_permission_other_than_true_is_403(visits: Visits, permission: Any) -> None:
    visits.door.authorizes = True
    visits.door.principals["1"] = "a"
    visits.door.permissions["1"] = permission
    answer = await_ready(visits.ask("1"))
    assert (answer.status, answer.body) == (403, b"403 Forbidden.")
    assert visits.house.entered == []


def test_open_route_is_authorized_too(visits: Visits) -> None:
    visits.door.authorizes = True
    visits.door.permissions.update({"1": True, "2": False})
    assert body(visits.ask("1", "garden")) == b"garden"
    assert await_ready(visits.ask("2", "garden")).status == 403
    assert visits.door.asked == ["may 1", "may 2"]


def test_handler_that_fails_is_told_where(visits: Visits) -> None:
    visits.door.principals["1"] = "a"
    visits.house.results["1"] = failed_with(ValueError("oops"))
    error = await_failed(visits.ask("1"))
    assert error.__notes__ == [f"in process {visits.pid}, serving HTTP /house/inside?n=1"]


# Clients that go away


def test_discard_reaches_the_authentication(visits: Visits) -> None:
    (first,) = visits.pending("1")
    answer = visits.ask("1")
    visits.runtime.settle()
    answer.discard()
    assert first.future.has_discard

    first.discard()
    await_discarded(answer)


def test_discard_before_the_authentication_began_reaches_it(visits: Visits) -> None:
    (first,) = visits.pending("1")
    answer = visits.ask("1")
    answer.discard()
    visits.runtime.settle()
    assert first.future.has_discard

    first.discard()
    await_discarded(answer)


def test_nothing_begins_for_a_client_that_went_away(visits: Visits) -> None:
    visits.door.authorizes = True
    first, second = visits.pending("1", "2")
    visits.door.permissions["2"] = True
    gone, answer = visits.ask("1"), visits.ask("2")
    visits.runtime.settle()
    gone.discard()
    second.set("b")
    visits.runtime.settle()
    assert visits.house.entered == []

    first.set("a")
    await_discarded(gone)
    assert body(answer) == b"inside"
    assert visits.door.asked == ["who 1", "who 2", "may 2"]
    assert visits.house.entered == [("2", "b")]


def test_discard_reaches_the_authorization(visits: Visits) -> None:
    visits.door.authorizes = True
    visits.door.principals["1"] = "a"
    permission: Promise[bool] = Promise()
    visits.door.permissions["1"] = permission.future
    answer = visits.ask("1")
    visits.runtime.settle()
    answer.discard()
    assert permission.future.has_discard

    permission.set(True)
    await_discarded(answer)
    assert visits.house.entered == []


def test_discard_reaches_the_handler_behind_the_line(visits: Visits) -> None:
    (first,) = visits.pending("1")
    result: Promise[str] = Promise()
    visits.house.results["1"] = result.future
    answer = visits.ask("1")
    visits.runtime.settle()
    first.set("a")
    visits.runtime.settle()
    answer.discard()
    assert result.future.has_discard

    result.discard()
    await_discarded(answer)


# The end of the process, limits and threads


def test_process_that_ends_answers_500_to_those_who_wait(visits: Visits) -> None:
    visits.door.authorizes = True
    permission: Promise[bool] = Promise()
    visits.door.permissions["1"] = permission.future
    visits.door.principals["1"] = "a"
    (second,) = visits.pending("2")
    answers = [visits.ask("1"), visits.ask("2")]
    visits.runtime.settle()
    visits.runtime.terminate(visits.pid)
    assert [await_ready(answer).status for answer in answers] == [500, 500]
    assert permission.future.has_discard
    assert second.future.has_discard

    second.set("b")
    permission.set(True)
    visits.runtime.settle()
    assert visits.house.entered == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_process_that_is_killed_while_it_asks_answers_500(visits: Visits, question: str) -> None:
    gate = Gate()
    current: list[gevent.Greenlet] = []

    def wait() -> Any:
        current.append(gevent.getcurrent())
        gate.wait()

    answers_of(visits, question)["1"] = wait
    answer = visits.ask("1")
    gevent.idle()
    gevent.kill(current[0])
    assert await_ready(answer).status == 500


def test_filter_that_drops_the_turn_answers_500(visits: Visits) -> None:
    (first,) = visits.pending("1")
    answer = visits.ask("1")
    visits.runtime.settle()
    visits.runtime.filter(lambda pid, event: isinstance(event, DispatchEvent))
    first.set("a")
    assert await_ready(answer).status == 500
    visits.runtime.filter(None)
    visits.door.principals["2"] = "b"
    assert body(visits.ask("2")) == b"inside"


def test_line_is_as_long_as_a_mailbox_may_be(make_runtime: RuntimeMaker) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", max_mailbox_events=2))
    visits = Visits(node)
    first, second, _ = visits.pending("1", "2", "3")
    answers = []
    for number in "123":
        answers.append(visits.ask(number))
        node.settle()
    assert await_ready(answers[2]).status == 503
    assert visits.door.asked == ["who 1", "who 2"]

    second.set("b")
    first.set("a")
    assert [body(answer) for answer in answers[:2]] == [b"inside"] * 2


def test_line_holds_as_many_bytes_as_a_mailbox_may(make_runtime: RuntimeMaker) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", max_mailbox_bytes=1000))
    visits = Visits(node)
    first, _, _, fourth = visits.pending("1", "2", "3", "4")
    answers = []
    for number, size in (("1", 2000), ("2", 500), ("3", 10)):
        answers.append(visits.ask(number, body=bytes(size)))
        node.settle()
    assert [answer.ready() for answer in answers] == [False, True, True]

    first.set("a")
    assert body(answers[0]) == b"inside"
    answers.append(visits.ask("4", body=bytes(500)))
    node.settle()
    assert not answers[3].ready()
    fourth.set("d")
    assert body(answers[3]) == b"inside"


def test_full_mailbox_answers_500_to_those_who_wait(make_runtime: RuntimeMaker) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", max_mailbox_events=1))
    visits = Visits(node)
    (first,) = visits.pending("1")
    answer = visits.ask("1")
    node.settle()
    node.post(visits.pid, "note", b"hi")
    first.set("a")
    assert await_ready(answer).status == 500


def test_answer_may_come_from_another_thread(visits: Visits) -> None:
    start_thread = get_original("threading", "Thread")
    made, go = ThreadEvent(), ThreadEvent()
    promises: list[Promise[Any]] = []

    def be_elsewhere() -> None:
        promises.append(Promise())
        made.set()
        go.wait(10)
        promises[0].set("a")

    threads: list[int] = []
    manager = visits.runtime.processes
    enqueue = manager.enqueue

    def note_thread(*args: Any) -> Any:
        threads.append(get_ident())
        return enqueue(*args)

    manager.enqueue = note_thread  # type: ignore[method-assign]
    pool = threadpool.ThreadPool(1)
    thread = start_thread(target=be_elsewhere)
    thread.start()
    try:
        pool.apply(made.wait, (10,))
        visits.door.principals["1"] = promises[0].future
        answer = visits.ask("1")
        visits.runtime.settle()
        go.set()
        assert body(answer) == b"inside"
    finally:
        go.set()
        pool.apply(thread.join, (10,))
        pool.kill()
    assert visits.house.entered == [("1", "a")]
    assert threads == [get_ident()] * 2


def test_line_tells_who_waits_in_it(visits: Visits) -> None:
    visits.door.authorizes = True
    permission: Promise[bool] = Promise()
    visits.door.permissions.update({"1": permission.future, "2": True})
    visits.door.principals["1"] = "a"
    (second,) = visits.pending("2")
    answers = [visits.ask("1"), visits.ask("2")]
    visits.runtime.settle()
    record = visits.runtime.processes.records["house"]
    assert record.routes is not None
    assert (
        repr(record.routes.auth_queue)
        == f"<AuthQueue of {visits.pid}, 1 authenticating, 1 authorizing>"
    )

    second.set("b")
    permission.set(True)
    assert [body(answer) for answer in answers] == [b"inside"] * 2
