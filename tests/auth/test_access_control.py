"""How long a decision about a request may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from greenproc.auth import (
    AccessControl,
    AuthenticationResult,
    Authenticators,
    Authorization,
    Principal,
)
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.process import Process, route
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import await_ready
from tests.auth.requests import request
from tests.future.support import manual_time
from tests.peer import Peer

Ask = Callable[["Late"], Any]


class Late:
    """Is the authenticator and the callback of a node, and answers when the test wants."""

    scheme = "Late"

    def __init__(self, timeout: float = 30.0) -> None:
        self.promise: Promise[Any] = Promise()
        self.asked: Promise[None] = Promise()
        authenticators, authorization = Authenticators(), Authorization()
        authenticators.set("realm", self)
        authorization.set_callbacks({"/p/a": lambda request, principal: self.promise.future})
        self.access = AccessControl(authenticators, authorization, timeout=timeout)

    def authenticate(self, request: Request) -> Future[AuthenticationResult]:
        self.asked.set(None)
        return self.promise.future

    def ask_who(self) -> Any:
        return self.access.authenticate(request(), "realm")

    def ask_whether(self) -> Any:
        return self.access.authorize(request(), None, "p", "/a")


QUESTIONS = [
    (
        Late.ask_who,
        AuthenticationResult(principal=Principal("ann")),
        Principal("ann"),
        b"Authentication",
    ),
    (Late.ask_whether, True, True, b"Authorization"),
]


@pytest.mark.parametrize(("ask", "said", "outcome", "what"), QUESTIONS)
def test_answer_in_time_is_passed_on(ask: Ask, said: Any, outcome: Any, what: bytes) -> None:
    with manual_time() as time:
        time.clock.pause()
        late = Late()
        answer = ask(late)
        time.advance(29.0)
        assert answer.is_pending

        late.promise.set(said)

        assert answer.get() == outcome
        assert not time.timers


@pytest.mark.parametrize(("ask", "said", "outcome", "what"), QUESTIONS)
def test_who_takes_too_long_is_asked_to_stop_and_refused_for(
    ask: Ask, said: Any, outcome: Any, what: bytes
) -> None:
    with manual_time() as time:
        time.clock.pause()
        late = Late()
        answer = ask(late)

        time.advance(30.0)

        refusal = answer.get()
        assert (refusal.status, refusal.body) == (
            503,
            what + b" took too long.\n",
        )
        assert late.promise.future.has_discard


@pytest.mark.parametrize(("ask", "said", "outcome", "what"), QUESTIONS)
def test_a_timeout_of_0_waits_for_ever(ask: Ask, said: Any, outcome: Any, what: bytes) -> None:
    with manual_time() as time:
        time.clock.pause()
        late = Late(timeout=0)

        answer = ask(late)

        assert answer.is_pending
        assert not time.timers


@pytest.mark.parametrize(("ask", "said", "outcome", "what"), QUESTIONS)
def test_every_other_end_is_passed_on_at_once(
    ask: Ask, said: Any, outcome: Any, what: bytes
) -> None:
    failed, discarded, abandoned = Late(), Late(), Late()
    answers = ask(failed), ask(discarded), ask(abandoned)

    failed.promise.fail("no idea")
    discarded.promise.discard()
    abandoned.promise.abandon()

    assert answers[0].failure() == "no idea"
    assert answers[1].is_discarded
    assert answers[2].is_abandoned


@pytest.mark.parametrize(("ask", "said", "outcome", "what"), QUESTIONS)
def test_discard_reaches_who_answers(ask: Ask, said: Any, outcome: Any, what: bytes) -> None:
    late = Late()
    ask(late).discard()
    assert late.promise.future.has_discard


class Guarded(Process):
    @route("/a", realm="realm")
    def on_a(self, request: Request, principal: Principal | None) -> str:
        return str(principal)

    @route("/b")
    def on_b(self, request: Request) -> str:
        return "b"


def test_authenticator_that_never_answers_holds_nobody_for_ever(runtime: Runtime) -> None:
    runtime.clock.pause()
    late = Late()
    runtime.set_authenticator("realm", late)
    runtime.spawn(Guarded("p"))
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /p/a HTTP/1.1\r\nHost: x\r\n\r\nGET /p/b HTTP/1.1\r\nHost: x\r\n\r\n")
        await_ready(late.asked.future)
        runtime.settle()
        runtime.clock.advance(Settings().authentication_timeout)
        assert [peer.read_answer().code for _ in range(2)] == [503, 200]
