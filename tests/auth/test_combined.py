"""Several authenticators for one realm."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from greenproc.auth import AuthenticationResult, CombinedAuthenticator, Principal
from greenproc.errors import InvalidArgument
from greenproc.future import Failure, Future, Promise
from greenproc.http.response import Forbidden, Unauthorized
from greenproc.testing import await_discarded, await_failed, await_ready
from tests.auth.requests import request


class Says:
    """Answers with what it is given, which may be an error to raise."""

    def __init__(self, scheme: str, result: Any) -> None:
        self.scheme = scheme
        self.result = result
        self.asked = 0

    def authenticate(self, request: object) -> Any:
        self.asked += 1
        if isinstance(self.result, BaseException) and not isinstance(self.result, Failure):
            raise self.result
        return self.result


ALICE = AuthenticationResult(principal=Principal("alice"))
EMPTY = AuthenticationResult()
BOTH = AuthenticationResult(principal=Principal("alice"), forbidden=Forbidden())
BASIC = AuthenticationResult(unauthorized=Unauthorized(['Basic realm="r"'], "no password"))
BEARER = AuthenticationResult(unauthorized=Unauthorized(['Bearer realm="r"'], "no token"))
BAN = AuthenticationResult(forbidden=Forbidden("go away"))
BAN_TOO = AuthenticationResult(forbidden=Forbidden("do go"))
LOST = Failure("no connection")


def ask(*results: Any) -> Future[AuthenticationResult]:
    members = [Says("One", results[0]), Says("Two", results[1])]
    return CombinedAuthenticator("r", members).authenticate(request())


def both_ways(first: Any, second: Any) -> list[Any]:
    """Return the same case with members that answer at once and with ones that answer later."""
    return [(first, second), (later(first), later(second)), (first, later(second))]


def later(result: Any) -> Any:
    return Future(result)


@pytest.mark.parametrize("results", both_ways(ALICE, BAN))
def test_first_that_succeeds_decides(results: Any) -> None:
    assert await_ready(ask(*results)) is ALICE


def test_those_after_a_success_are_not_asked() -> None:
    members = [Says("One", ALICE), Says("Two", BAN)]
    await_ready(CombinedAuthenticator("r", members).authenticate(request()))
    assert [member.asked for member in members] == [1, 0]


@pytest.mark.parametrize("first", [BASIC, BAN, EMPTY, BOTH, LOST, KeyError("x")])
def test_second_may_succeed_whatever_the_first_says(first: Any) -> None:
    assert await_ready(ask(first, ALICE)) is ALICE
    if not isinstance(first, KeyError):
        assert await_ready(ask(*map(later, (first, ALICE)))) is ALICE


@pytest.mark.parametrize("results", both_ways(BASIC, BEARER))
def test_two_401_are_combined(results: Any) -> None:
    result = await_ready(ask(*results))
    refusal = result.unauthorized
    assert refusal is not None
    assert (result.principal, result.forbidden) == (None, None)
    assert refusal.status == 401
    assert refusal.headers["WWW-Authenticate"] == 'Basic realm="r",Bearer realm="r"'
    assert refusal.body == (
        b'"One" authenticator returned:\nno password\n\n"Two" authenticator returned:\nno token'
    )


@pytest.mark.parametrize("other", [BAN, EMPTY, LOST])
@pytest.mark.parametrize("first", [True, False])
def test_401_beats_everything_but_a_success(other: Any, *, first: bool) -> None:
    refusal = await_ready(ask(BASIC, other) if first else ask(other, BASIC)).unauthorized
    assert refusal is not None
    assert refusal.headers["WWW-Authenticate"] == 'Basic realm="r"'
    who = b"One" if first else b"Two"
    assert refusal.body == b'"' + who + b'" authenticator returned:\nno password'


def test_two_403_are_combined() -> None:
    refusal = await_ready(ask(BAN, BAN_TOO)).forbidden
    assert refusal is not None
    assert (refusal.status, refusal.body) == (
        403,
        b'"One" authenticator returned:\ngo away\n\n"Two" authenticator returned:\ndo go',
    )


def test_403_beats_a_failure() -> None:
    refusal = await_ready(ask(LOST, BAN)).forbidden
    assert refusal is not None
    assert refusal.body == b'"Two" authenticator returned:\ngo away'


def test_two_empty_results_are_an_empty_one(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "greenproc.auth"):
        assert await_ready(ask(EMPTY, EMPTY)) == EMPTY
    assert [record.getMessage() for record in caplog.records] == [
        "One authenticator returned no single result: ignored",
        "Two authenticator returned no single result: ignored",
    ]


@pytest.mark.parametrize("results", both_ways(LOST, Failure("no idea")))
def test_two_failures_are_combined(results: Any) -> None:
    assert str(await_failed(ask(*results))) == (
        '"One" authenticator returned:\nno connection\n\n"Two" authenticator returned:\nno idea'
    )


def test_error_that_is_no_failure_is_logged_and_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = await_failed(ask(KeyError("inner workings"), EMPTY))
    assert str(error) == '"One" authenticator returned:\ninternal error'
    assert "inner workings" in caplog.text


def test_members_are_asked_one_after_the_other() -> None:
    promise: Promise[AuthenticationResult] = Promise()
    members = [Says("One", promise.future), Says("Two", ALICE)]
    result = CombinedAuthenticator("r", members).authenticate(request())
    assert members[1].asked == 0

    promise.set(BASIC)
    assert await_ready(result) is ALICE


def test_discard_reaches_the_member_that_is_asked() -> None:
    promise: Promise[AuthenticationResult] = Promise()
    members = [Says("One", promise.future), Says("Two", ALICE)]
    result = CombinedAuthenticator("r", members).authenticate(request())
    result.discard()
    assert promise.future.has_discard

    promise.discard()
    await_discarded(result)
    assert members[1].asked == 0


def test_scheme_has_each_of_the_members_once() -> None:
    members = [Says("Basic", EMPTY), Says("Bearer", EMPTY), Says("Basic", EMPTY)]
    combined = CombinedAuthenticator("r", members)
    assert combined.scheme == "Basic Bearer"
    assert repr(combined) == "<CombinedAuthenticator 'r' of Basic Bearer>"


def test_nobody_cannot_be_combined() -> None:
    with pytest.raises(InvalidArgument, match="expected at least one authenticator"):
        CombinedAuthenticator("r", [])
