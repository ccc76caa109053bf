"""Twins of the tests of authentication in libprocess' http_tests.cpp, and what a node answered."""

from __future__ import annotations

import re
from typing import Any

import pytest

from greenproc.auth import (
    AuthenticationResult,
    BasicAuthenticator,
    JWTAuthenticator,
    Principal,
)
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.http.response import OK, Forbidden, Response, Unauthorized
from greenproc.process import Process, route
from greenproc.runtime import Runtime
from greenproc.testing import await_ready
from tests.auth.keys import hs256
from tests.peer import Answer, Peer

REALM = "realm"


class Http(Process):
    """Notes the principals that its one guarded route is given."""

    def __init__(self) -> None:
        super().__init__("http")
        self.principals: list[Principal | None] = []

    @route("/authenticated", realm=REALM)
    def on_authenticated(self, request: Request, principal: Principal | None) -> Response:
        self.principals.append(principal)
        return OK(f"{len(self.principals)}")


class MockAuthenticator:
    """Answers with what it is given, one after the other."""

    scheme = "Mock"

    def __init__(self, *results: AuthenticationResult | Future[AuthenticationResult]) -> None:
        self.results = list(results)
        self.requests: list[Request] = []
        self.all_asked: Promise[None] = Promise()

    def authenticate(self, request: Request) -> Any:
        self.requests.append(request)
        result = self.results.pop(0)
        if not self.results:
            self.all_asked.set(None)
        return result


def get(runtime: Runtime, *credentials: str) -> Answer:
    """Ask for the guarded route with that Authorization header, if one is given."""
    lines = "".join(f"Authorization: {one}\r\n" for one in credentials)
    with Peer.connect(runtime.address) as peer:
        return peer.ask(f"GET /http/authenticated HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())


@pytest.fixture
def http(runtime: Runtime) -> Http:
    process = Http()
    runtime.spawn(process)
    return process


def test_no_authenticator(runtime: Runtime, http: Http) -> None:
    """HttpAuthenticationTest.NoAuthenticator."""
    assert get(runtime).code == 200
    assert http.principals == [None]


def test_unauthorized(runtime: Runtime, http: Http) -> None:
    """HttpAuthenticationTest.Unauthorized."""
    refusal = AuthenticationResult(unauthorized=Unauthorized(['Basic realm="r"']))
    runtime.set_authenticator(REALM, MockAuthenticator(refusal)).get()
    answer = get(runtime)
    assert answer.code == 401
    assert answer.header("WWW-Authenticate") == 'Basic realm="r"'
    assert http.principals == []


def test_forbidden(runtime: Runtime, http: Http) -> None:
    """HttpAuthenticationTest.Forbidden."""
    refusal = AuthenticationResult(forbidden=Forbidden())
    runtime.set_authenticator(REALM, MockAuthenticator(refusal)).get()
    answer = get(runtime)
    assert (answer.code, answer.body) == (403, b"403 Forbidden.")
    assert http.principals == []


def test_authenticated(runtime: Runtime, http: Http) -> None:
    """HttpAuthenticationTest.Authenticated."""
    found = AuthenticationResult(principal=Principal("principal"))
    runtime.set_authenticator(REALM, MockAuthenticator(found)).get()
    assert get(runtime).code == 200
    assert http.principals == ["principal"]


def test_invalid_principal(runtime: Runtime, http: Http) -> None:
    """HttpAuthenticationTest.InvalidPrincipal."""
    found = AuthenticationResult(principal=Principal())
    runtime.set_authenticator(REALM, MockAuthenticator(found)).get()
    answer = get(runtime)
    assert answer.code == 500
    assert answer.body == (
        b"In the principal returned by an HTTP authenticator, "
        b"at least one of 'value' and 'claims' must be set"
    )
    assert http.principals == []


def test_pipelining(runtime: Runtime, http: Http) -> None:
    """HttpAuthenticationTest.Pipelining."""
    promises: list[Promise[AuthenticationResult]] = [Promise(), Promise()]
    authenticator = MockAuthenticator(*(promise.future for promise in promises))
    runtime.set_authenticator(REALM, authenticator).get()
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /http/authenticated HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        await_ready(authenticator.all_asked.future)
        promises[1].set(AuthenticationResult(principal=Principal("principal2")))
        runtime.settle()
        assert http.principals == []

        promises[0].set(AuthenticationResult(principal=Principal("principal1")))
        answers = [peer.read_answer() for _ in range(2)]
    assert [(answer.code, answer.body) for answer in answers] == [(200, b"1"), (200, b"2")]
    assert http.principals == ["principal1", "principal2"]


def test_basic(runtime: Runtime, http: Http) -> None:
    """HttpAuthenticationTest.Basic."""
    authenticator = BasicAuthenticator(REALM, {"user": "password"})
    runtime.set_authenticator(REALM, authenticator).get()
    assert get(runtime).code == 401
    assert get(runtime, "Basic dXNlcjp3cm9uZw==").code == 401  # user:wrong
    assert get(runtime, "Basic d3Jvbmc6cGFzc3dvcmQ=").code == 401  # wrong:password
    assert get(runtime, "Basic dXNlcjpwYXNzd29yZA==").code == 200  # user:password
    assert http.principals == ["user"]


def test_jwt(runtime: Runtime, http: Http) -> None:
    """HttpAuthenticationTest.JWT."""
    pytest.importorskip("jwt")
    header, payload = '{"alg":"HS256","typ":"JWT"}', '{"foo":1234,"sub":"user"}'
    runtime.set_authenticator(REALM, JWTAuthenticator(REALM, "secret")).get()
    assert get(runtime).code == 401
    assert get(runtime, "Basic dXNlcjpwYXNzd29yZA==").code == 401
    assert get(runtime, f"Bearer {hs256(header, payload, 'a different secret')}").code == 401
    assert get(runtime, f"Bearer {hs256(header, payload, 'secret')}").code == 200
    assert http.principals == [Principal(claims={"foo": "1234", "sub": "user"})]


# What libprocess answered


class Echo(Process):
    """Has the route of the node that was recorded."""

    @route("/private", realm="peer-realm")
    def on_private(self, request: Request, principal: Principal | None) -> Response:
        return OK(str(principal))


REFUSED = (
    b"HTTP/1.1 401 Unauthorized\r\n"
    b"Date: Tue, 24 Nov 2026 02:23:02 GMT\r\n"
    b'WWW-Authenticate: Basic realm="peer-realm"\r\n'
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 17\r\n"
    b"\r\n"
    b"401 Unauthorized."
)
ASKED = {
    "a wrong password": (
        b"GET /echo/private HTTP/1.1\r\n"
        b"Authorization: Basic dXNlcjp3cm9uZw==\r\n"
        b"Host: 127.0.0.1:36069\r\n"
        b"\r\n"
    ),
    "another scheme": (
        b"GET /echo/private HTTP/1.1\r\nAuthorization: Bearer x\r\nHost: 127.0.0.1:36069\r\n\r\n"
    ),
}


def without_date(response: bytes) -> bytes:
    date = rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n"
    changed, count = re.subn(date, b"", response)
    assert count == 1
    return changed


@pytest.mark.parametrize("case", ASKED)
def test_node_refuses_as_libprocess_did(runtime: Runtime, case: str) -> None:
    runtime.spawn(Echo("echo"))
    runtime.set_authenticator("peer-realm", BasicAuthenticator("peer-realm", {"user": "pass"}))
    with Peer.connect(runtime.address) as peer:
        peer.send(ASKED[case])
        # Which libprocess does not write: it keeps a browser from taking errors for pages.
        added = b"X-Content-Type-Options: nosniff\r\n"
        answer = peer.read(len(REFUSED) + len(added))
        assert without_date(answer).replace(added, b"", 1) == without_date(REFUSED)
