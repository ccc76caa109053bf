"""Origins that a node names for all of its routes."""

from __future__ import annotations

import pytest

from greenproc import Process, Runtime, Settings, route
from greenproc.http import Request
from greenproc.testing import RuntimeMaker
from tests.peer import Answer, Peer

APP = "https://app.example"
OTHER = "https://other.example"
ALLOWED = "Access-Control-Allow-Origin"


class Api(Process):
    """Has routes of which most say nothing of origins."""

    def __init__(self) -> None:
        super().__init__("api")
        self.route("/made", self.on_plain)
        self.calls = 0

    @route("/plain")
    def on_plain(self, request: Request) -> str:
        self.calls += 1
        return "plain"

    @route("/items/<int:number>", methods=["GET", "POST"])
    def on_item(self, request: Request, number: int) -> str:
        return str(number)

    @route("/items/<int:number>", methods=["PUT"])
    def on_put(self, request: Request, number: int) -> str:
        return "put"

    @route("/other", cors=[OTHER])
    def on_other(self, request: Request) -> str:
        return "other"

    @route("/own", cors=[])
    def on_own(self, request: Request) -> str:
        return "own"


def ask(
    runtime: Runtime, path: str, *lines: str, method: str = "GET", origin: str = APP
) -> Answer:
    more = "".join(f"{line}\r\n" for line in (f"Origin: {origin}", *lines))
    with Peer.connect(runtime.address) as peer:
        return peer.ask(f"{method} {path} HTTP/1.1\r\nHost: h\r\n{more}\r\n".encode())


@pytest.fixture
def runtime(make_runtime: RuntimeMaker) -> Runtime:
    return make_runtime(Settings(cors=(APP,)))


@pytest.fixture
def api(runtime: Runtime) -> Api:
    process = Api()
    runtime.spawn(process)
    process.route("/late", process.on_plain)
    return process


@pytest.mark.parametrize("path", ["/api/plain", "/api/made", "/api/late", "/api/items/5", "/help"])
def test_routes_have_the_origins_of_the_node(runtime: Runtime, api: Api, path: str) -> None:
    answer = ask(runtime, path)
    assert (answer.code, answer.header(ALLOWED), answer.header("Vary")) == (200, APP, "Origin")
    assert ask(runtime, path, origin=OTHER).header(ALLOWED) is None


def test_browsers_are_answered_before_they_ask(runtime: Runtime, api: Api) -> None:
    asked = "Access-Control-Request-Method: "
    plain = ask(runtime, "/api/plain", asked + "DELETE", method="OPTIONS")
    item = ask(runtime, "/api/items/5", asked + "PUT", method="OPTIONS")

    assert (plain.code, plain.header(ALLOWED)) == (204, APP)
    assert "DELETE" in str(plain.header("Access-Control-Allow-Methods"))
    assert item.header("Access-Control-Allow-Methods") == "GET, HEAD, POST, PUT"
    assert api.calls == 0


def test_changes_by_pages_of_other_sites_are_refused(runtime: Runtime, api: Api) -> None:
    assert ask(runtime, "/api/plain", method="POST", origin=OTHER).code == 403
    assert ask(runtime, "/api/plain", method="POST").code == 200
    assert api.calls == 1


def test_origins_of_a_route_come_first(runtime: Runtime, api: Api) -> None:
    assert ask(runtime, "/api/other", origin=OTHER).header(ALLOWED) == OTHER
    assert ask(runtime, "/api/other").header(ALLOWED) is None
    assert ask(runtime, "/api/own").header(ALLOWED) is None


def test_each_method_keeps_its_handler(runtime: Runtime, api: Api) -> None:
    assert ask(runtime, "/api/items/5", method="PUT").body == b"put"
    assert ask(runtime, "/api/items/5", method="POST").body == b"5"
    assert ask(runtime, "/api/items/5", method="DELETE").code == 405


def test_every_origin_can_be_allowed(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(Settings(cors=("*",)))
    runtime.spawn(Api())

    assert ask(runtime, "/api/plain", origin=OTHER).header(ALLOWED) == "*"
