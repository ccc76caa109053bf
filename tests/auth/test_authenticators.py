"""Which authenticator is asked, and what is made of its results."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from greenproc.auth import AuthenticationResult, Authenticators, Principal
from greenproc.errors import InvalidArgument
from greenproc.future import Failure, Future, Promise
from greenproc.http.response import Forbidden, Unauthorized
from greenproc.runtime import Runtime
from tests.auth.requests import request


class Says:
    scheme = "Says"

    def __init__(self, result: Any) -> None:
        self.result = result

    def authenticate(self, request: object) -> Any:
        return self.result


def ask(result: Any) -> Any:
    authenticators = Authenticators()
    authenticators.set("realm", Says(result))
    return authenticators.authenticate(request(), "realm")


ALICE = Principal("alice")
REFUSAL = Unauthorized(["Basic"])
BAN = Forbidden()
NOTHING_SET = (
    "In the principal returned by an HTTP authenticator, "
    "at least one of 'value' and 'claims' must be set"
)
TOO_MANY = (
    "HTTP authenticators must return only one of an authenticated principal, "
    "an Unauthorized response, or a Forbidden response"
)


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (AuthenticationResult(principal=ALICE), ALICE),
        (AuthenticationResult(unauthorized=REFUSAL), REFUSAL),
        (AuthenticationResult(forbidden=BAN), BAN),
        (AuthenticationResult(principal=Principal("")), Principal("")),
        (
            AuthenticationResult(principal=Principal(claims={"a": "b"})),
            Principal(None, {"a": "b"}),
        ),
    ],
)
def test_outcome_is_the_member_that_is_set(result: AuthenticationResult, outcome: object) -> None:
    assert ask(result) == outcome
    assert ask(Future(result)).get() == outcome


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (AuthenticationResult(), TOO_MANY),
        (AuthenticationResult(principal=ALICE, forbidden=BAN), TOO_MANY),
        (AuthenticationResult(unauthorized=REFUSAL, forbidden=BAN), TOO_MANY),
        (AuthenticationResult(principal=Principal()), NOTHING_SET),
    ],
)
def test_result_that_is_not_exactly_one_is_a_failure(
    result: AuthenticationResult, text: str
) -> None:
    failure = ask(result)
    assert isinstance(failure, Failure)
    assert str(failure) == text
    assert ask(Future(result)).failure() == text


def test_a_failure_that_is_returned_is_the_outcome() -> None:
    failure = ask(Failure("the door is stuck"))
    assert isinstance(failure, Failure)
    assert str(failure) == "the door is stuck"


@pytest.mark.parametrize("result", [None, ALICE, REFUSAL, True])
def test_what_is_no_result_is_an_error(result: object) -> None:
    with pytest.raises(TypeError, match="expected an authenticator to return a result"):
        ask(result)


def test_discard_reaches_the_authenticator() -> None:
    promise: Promise[AuthenticationResult] = Promise()
    ask(promise.future).discard()
    assert promise.future.has_discard


def test_realm_without_an_authenticator_is_open_and_warned_about_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    authenticators = Authenticators()
    with caplog.at_level(logging.WARNING, "greenproc.auth"):
        assert authenticators.authenticate(request(), "r") is None
        assert authenticators.authenticate(request(), "r") is None
    (record,) = caplog.records
    assert record.getMessage() == (
        "realm 'r' has no authenticator: everybody may use its endpoints; "
        "see Runtime.set_authenticator"
    )


def test_realm_that_is_opened_again_is_warned_about_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    authenticators = Authenticators()
    with caplog.at_level(logging.WARNING, "greenproc.auth"):
        authenticators.authenticate(request(), "r")
        authenticators.set("r", Says(AuthenticationResult(principal=ALICE)))
        assert authenticators.authenticate(request(), "r") == ALICE
        authenticators.unset("r")
        assert authenticators.authenticate(request(), "r") is None
    assert len(caplog.records) == 2


def test_last_authenticator_of_a_realm_counts() -> None:
    authenticators = Authenticators()
    authenticators.set("r", Says(AuthenticationResult(forbidden=BAN)))
    authenticators.set("r", Says(AuthenticationResult(principal=ALICE)))
    authenticators.set("other", Says(AuthenticationResult(forbidden=BAN)))
    assert authenticators.authenticate(request(), "r") == ALICE
    assert repr(authenticators) == "<Authenticators of other, r>"


def test_unsetting_what_is_not_set_is_no_error() -> None:
    assert Authenticators().unset("r").is_ready


@pytest.mark.parametrize(("realm", "authenticator"), [(1, Says(None)), ("r", None), ("r", print)])
def test_what_is_no_authenticator_is_refused(realm: str, authenticator: Any) -> None:
    with pytest.raises(InvalidArgument, match="expected a realm and an authenticator"):
        Authenticators().set(realm, authenticator)


def test_runtime_sets_and_unsets_its_own(runtime: Runtime) -> None:
    assert runtime.set_authenticator("r", Says(AuthenticationResult(principal=ALICE))).is_ready
    assert repr(runtime.authenticators) == "<Authenticators of r>"
    assert runtime.unset_authenticator("r").is_ready
    assert repr(runtime.authenticators) == "<Authenticators of no realm>"
