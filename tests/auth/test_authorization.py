"""Callbacks by path, alone and in a node."""

from __future__ import annotations

from typing import Any

import pytest

from greenproc.auth import (
    AuthenticationResult,
    Authorization,
    BasicAuthenticator,
    JWTAuthenticator,
    Principal,
)
from greenproc.errors import InvalidArgument
from greenproc.future import Future, Promise
from greenproc.http.request import Request
from greenproc.process import Process, route
from greenproc.process.current import current_process
from greenproc.runtime import Runtime
from greenproc.testing import await_ready, expect_failure
from tests.auth.requests import request
from tests.peer import Peer


def refuse(request: Request, principal: Principal | None) -> bool:
    return False


@pytest.mark.parametrize(
    ("key", "id", "path"),
    [
        ("/p/a", "p", "/a"),
        ("/p/a/", "p", "/a"),
        ("p/a", "p", "/a"),
        ("//p//a", "p", "/a"),
        ("/%70/a", "p", "/a"),
        ("/p/%61", "p", "/a"),
        ("/p/a/b", "p", "/a/b"),
        ("/p/", "p", "/"),
        ("/p", "p", "/"),
        ("/rcv(1)/a", "rcv(1)", "/a"),
        ("/rcv%281%29/a", "rcv(1)", "/a"),
        ("/a+b/x", "a+b", "/x"),
        ("/a%2Bb/x", "a+b", "/x"),
        ("/a%20b/x", "a b", "/x"),
        ("/a+b/x", "a b", "/x"),
        ("/50%/x", "50%", "/x"),
        ("/a%41/x", "a%41", "/x"),
        ("/a%2541/x", "a%41", "/x"),
        ("/p/a%20b", "p", "/a%20b"),
        ("/p/a b", "p", "/a%20b"),
    ],
)
def test_key_names_the_endpoint_however_it_is_spelled(key: str, id: str, path: str) -> None:
    authorization = Authorization()
    authorization.set_callbacks({key: refuse})
    assert authorization.authorize(request(), None, id, path) is False


@pytest.mark.parametrize(
    ("key", "id", "path"),
    [("/p/a", "p", "/b"), ("/p/a", "q", "/a"), ("/p/a", "p", "/a/b"), ("/p/a", "p", "/")],
)
def test_other_endpoints_are_open(key: str, id: str, path: str) -> None:
    authorization = Authorization()
    authorization.set_callbacks({key: refuse})
    assert authorization.authorize(request(), None, id, path) is True


def test_setting_replaces_and_unsetting_removes_all() -> None:
    authorization = Authorization()
    assert not authorization.is_set
    authorization.set_callbacks({"/p/a": refuse, "/p/b": refuse})
    authorization.set_callbacks({"/p/b": refuse})
    assert authorization.is_set
    assert authorization.authorize(request(), None, "p", "/a") is True
    assert repr(authorization) == "<Authorization of /p/b>"

    authorization.unset_callbacks()
    assert not authorization.is_set
    assert authorization.authorize(request(), None, "p", "/b") is True
    assert repr(authorization) == "<Authorization of nothing>"


def test_two_callbacks_for_one_endpoint_are_refused() -> None:
    authorization = Authorization()
    authorization.set_callbacks({"/q": refuse})
    with pytest.raises(InvalidArgument, match="expected one callback for '/p', got two"):
        authorization.set_callbacks({"/p": refuse, "/p/": lambda request, principal: True})
    assert repr(authorization) == "<Authorization of /q>"
    authorization.set_callbacks({"/p": refuse, "/p/": refuse})


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="expected a callback for '/p', got True"):
        Authorization().set_callbacks({"/p": True})  # type: ignore[dict-item]


@pytest.mark.parametrize("allowed", [None, 1, "yes"])
def test_callback_must_say_true_or_false(allowed: Any) -> None:
    authorization = Authorization()
    authorization.set_callbacks({"/p": lambda request, principal: allowed})
    with pytest.raises(TypeError, match="expected an authorization callback to return a bool"):
        authorization.authorize(request(), None, "p", "/")
    authorization.set_callbacks({"/p": lambda request, principal: Future(allowed)})
    failed = authorization.authorize(request(), None, "p", "/")
    assert isinstance(failed.exception, TypeError)


# In a node


class Shop(Process):
    def __init__(self) -> None:
        super().__init__("shop")

    @route("/")
    def on_root(self, request: Request) -> str:
        return "root"

    @route("/a")
    def on_a(self, request: Request) -> str:
        return "a"

    @route("/till", realm="staff")
    def on_till(self, request: Request, principal: Principal | None) -> str:
        return str(principal)


@pytest.fixture
def shop(runtime: Runtime) -> Runtime:
    runtime.spawn(Shop())
    return runtime


def codes(node: Runtime, *paths: str) -> list[int]:
    with Peer.connect(node.address) as peer:
        return [peer.get(path).code for path in paths]


def test_callback_decides_about_all_that_its_route_answers(shop: Runtime) -> None:
    shop.authorization.set_callbacks({"/shop/a": refuse})
    paths = ["/shop/a", "/shop/a/", "/shop/a/b/c", "//shop/a", "/%73hop/a", "/shop//a?x=y"]
    assert codes(shop, *paths) == [403, 403, 403, 404, 403, 403]
    assert codes(shop, "/shop", "/shop/b") == [200, 404]

    shop.authorization.unset_callbacks()
    assert codes(shop, "/shop/a") == [200]


@pytest.mark.parametrize("key", ["/shop", "/shop/"])
def test_root_route_has_a_key_with_and_without_a_slash(shop: Runtime, key: str) -> None:
    shop.authorization.set_callbacks({key: refuse})
    assert codes(shop, "/shop", "/shop/", "/shop/a") == [403, 403, 200]


def test_callback_is_told_who_makes_which_request_in_the_process(shop: Runtime) -> None:
    seen: list[Any] = []

    def look(request: Request, principal: Principal | None) -> bool:
        seen.append((request.url.path, principal, current_process()))
        return True

    shop.set_authenticator("staff", BasicAuthenticator("staff", {"ann": "x"}))
    shop.authorization.set_callbacks({"/shop/till": look, "/shop/a": look})
    with Peer.connect(shop.address) as peer:
        till = peer.ask(
            b"GET /shop/till/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YW5uOng=\r\n\r\n"
        )
        assert (till.code, till.body) == (200, b"ann")
        assert peer.get("/shop/till").code == 401
        assert peer.get("/shop/a").code == 200
    process = shop.processes.find_process(shop.processes.records["shop"].pid)
    assert seen == [("/shop/till/1", "ann", process), ("/shop/a", None, process)]


def test_callback_may_answer_later(shop: Runtime) -> None:
    promises: list[Promise[bool]] = []
    both_asked: Promise[None] = Promise()

    def later(request: Request, principal: Principal | None) -> Future[bool]:
        promises.append(Promise())
        if len(promises) == 2:
            both_asked.set(None)
        return promises[-1].future

    shop.authorization.set_callbacks({"/shop/a": later})
    with Peer.connect(shop.address) as peer:
        peer.send(b"GET /shop/a HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        await_ready(both_asked.future)
        promises[1].set(True)
        promises[0].set(False)
        assert [peer.read_answer().code for _ in range(2)] == [403, 200]


def test_failure_of_a_callback_is_told_and_its_errors_are_not(shop: Runtime) -> None:
    def fail(request: Request, principal: Principal | None) -> Future[bool]:
        return Future.failed("the list of friends is lost")

    def broken(request: Request, principal: Principal | None) -> bool:
        raise KeyError("inner workings")

    shop.authorization.set_callbacks({"/shop/a": fail, "/shop": broken})
    with Peer.connect(shop.address) as peer, expect_failure(KeyError):
        first, second = peer.get("/shop/a"), peer.get("/shop")
    assert (first.code, first.body) == (500, b"the list of friends is lost")
    assert (second.code, second.body) == (500, b"500 Internal Server Error.")


def test_two_runtimes_have_rules_of_their_own(shop: Runtime, make_runtime: Any) -> None:
    other = make_runtime()
    other.spawn(Shop())
    shop.authorization.set_callbacks({"/shop/a": refuse})
    assert codes(shop, "/shop/a") + codes(other, "/shop/a") == [403, 200]


def test_each_realm_asks_its_own_authenticator(shop: Runtime) -> None:
    pytest.importorskip("jwt")
    shop.set_authenticator("other", BasicAuthenticator("other", {}))
    shop.set_authenticator("staff", JWTAuthenticator("staff", "s" * 32))
    with Peer.connect(shop.address) as peer:
        answer = peer.get("/shop/till")
    assert answer.header("WWW-Authenticate") == 'Bearer realm="staff"'


class Deaf:
    """Has no idea who asks."""

    scheme = "Deaf"

    def authenticate(self, request: Request) -> AuthenticationResult:
        raise KeyError("inner workings")


def test_error_of_an_authenticator_is_not_told(shop: Runtime) -> None:
    shop.set_authenticator("staff", Deaf())
    with Peer.connect(shop.address) as peer, expect_failure(KeyError):
        answer = peer.get("/shop/till")
    assert (answer.code, answer.body) == (500, b"500 Internal Server Error.")
