"""Routes as web developers expect them: methods, parameters, cookies, typed JSON and CORS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from wsgiref.validate import validator

import msgspec
import pytest
from gevent.pywsgi import WSGIHandler, WSGIServer

from greenproc import Address, Future, Process, Runtime, Settings, route
from greenproc.auth import AuthenticationResult, Principal
from greenproc.errors import Failure
from greenproc.http import CORS, OK, Request, Response
from greenproc.testing import RuntimeMaker, expect_failure
from greenproc.web.firewall import DisabledEndpointsFirewallRule
from greenproc.wsgi import Middleware
from tests.peer import Answer, Peer
from tests.wsgi.apps import answering

APP = "https://app.example"


class Member(msgspec.Struct):
    name: str
    age: int = 0

    def __post_init__(self) -> None:
        if self.age < 0:
            raise ValueError("born later")


class Join(msgspec.Struct):
    rooms: list[Member]


@dataclass
class Note:
    text: str


class Chat(Process):
    """Has a route of every kind."""

    address: Address
    """Where it is reached."""

    def __init__(self) -> None:
        super().__init__("chat")
        self.calls: list[Any] = []
        self.route("/late/<int:number>", self.on_late, methods=["GET"])

    @route("/rooms")
    def on_rooms(self, request: Request) -> str:
        return f"below {request.url.path}"

    @route("/rooms/<name>", methods=["GET"])
    def on_room(self, request: Request, name: str) -> str:
        return f"{request.method} {name}"

    @route("/rooms/<room>", methods=["PUT", "DELETE"])
    def on_room_changed(self, request: Request, room: str) -> str:
        self.calls.append((request.method, room))
        return f"changed {room}"

    @route("/rooms/new", methods=["POST"])
    def on_new(self, request: Request) -> str:
        return "new"

    @route("/files/<path:path>")
    def on_file(self, request: Request, path: str) -> str:
        return path

    @route("/own-options", methods=["OPTIONS"])
    def on_options(self, request: Request) -> str:
        return "mine"

    @route("/mine/<name>", realm="users")
    def on_mine(self, request: Request, principal: Principal | None, name: str) -> str:
        return f"{principal and principal.value} {name}"

    @route("/notes/<int:number>", methods=["PUT"], json=Note, realm="users")
    def on_note(self, request: Request, who: Principal | None, note: Note, number: int) -> Note:
        return Note(f"{who and who.value} {number} {note.text}")

    @route("/join", methods=["POST"], json=Join)
    def on_join(self, request: Request, join: Join) -> Response:
        self.calls.append(join)
        return OK(json=join)

    @route("/sum", json=list[int])
    def on_sum(self, request: Request, numbers: list[int]) -> str:
        return str(sum(numbers))

    @route("/cookies")
    def on_cookies(self, request: Request) -> Response:
        response = OK(json=request.cookies)
        response.set_cookie("session", "abc", max_age=60, secure=True)
        response.set_cookie("theme", "dark", httponly=False, samesite="Strict")
        response.delete_cookie("old")
        return response

    @route("/upload/<name>", methods=["PUT"], streaming=True)
    def on_upload(self, request: Request, name: str) -> Any:
        return request.reader.read_all().then(lambda body: f"{name} {len(body)}")

    @route("/open", cors="*", methods=["GET", "POST"])
    def on_open(self, request: Request) -> Response:
        return OK("open", headers={"Access-Control-Allow-Origin": "http://mine", "Vary": "Accept"})

    @route("/shared", cors=CORS([APP], credentials=True, expose=["X-Total"]))
    def on_shared(self, request: Request) -> str:
        self.calls.append(request.method)
        return "shared"

    @route("/shared/<name>", cors=[APP], methods=["PATCH"], json=Note, realm="users")
    def on_shared_note(self, request: Request, who: object, note: Note, name: str) -> str:
        return name

    @route("/failing/<how>", cors=[APP])
    def on_failing(self, request: Request, how: str) -> Any:
        if how == "raise":
            raise RuntimeError("of a handler")
        if how == "later":
            return Future.failed(Failure("later"))
        if how == "stream":
            return Response(headers={"Content-Type": "text/plain"}, reader=self.pieces())
        return SHARED_RESPONSE

    def pieces(self) -> Iterator[str]:
        yield "one "
        yield "two"

    def on_late(self, request: Request, number: int) -> dict[str, int]:
        return {"number": number}


SHARED_RESPONSE = OK("the same for all")


class Names:
    """Takes the name of who asks from a header."""

    scheme = "Name"

    def authenticate(self, request: Request) -> AuthenticationResult:
        return AuthenticationResult(principal=Principal(request.headers["X-Name"]))


class RawHandler(WSGIHandler):
    """Tells an app the target as it came, as gunicorn does."""

    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), "RAW_URI": self.path}


@pytest.fixture(params=["node", "middleware"])
def chat(request: pytest.FixtureRequest, runtime: Runtime) -> Iterator[Chat]:
    """A chat on a node, reached at its port or through another WSGI server."""
    chat = Chat()
    runtime.spawn(chat)
    chat.address = runtime.address
    if request.param == "node":
        yield chat
        return
    app = validator(Middleware(answering(b"the app"), runtime))
    place = ("127.0.0.1", 0)
    server = WSGIServer(place, app, handler_class=RawHandler, log=None, error_log=None)
    server.start()
    chat.address = Address("127.0.0.1", server.server_port)
    yield chat
    server.stop(timeout=5.0)


def ask(
    process: Chat, line: str, *headers: str, body: bytes | None = None, host: str = "node"
) -> Answer:
    """Return the response to a request, on a connection of its own."""
    lines = [f"{line} HTTP/1.1", f"Host: {host}", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, "", ""])
    with Peer.connect(process.address) as peer:
        peer.send(head.encode("utf-8", "surrogateescape") + (body or b""))
        if line.startswith("HEAD"):
            status, *rest = peer.read_until(b"\r\n\r\n").decode().split("\r\n")[:-2]
            return Answer(status, tuple(tuple(one.split(": ", 1)) for one in rest), b"")
        return peer.read_answer()


def ask_json(process: Chat, line: str, body: str, *headers: str) -> Answer:
    return ask(process, line, "Content-Type: application/json", *headers, body=body.encode())


def told(answer: Answer) -> tuple[int, str]:
    return answer.code, answer.body.decode()


def allowed(answer: Answer) -> str | None:
    """Return the origin whose pages may see *answer*."""
    return answer.header("Access-Control-Allow-Origin")


# Methods


def test_the_method_chooses_the_handler(chat: Chat) -> None:
    assert told(ask(chat, "GET /chat/rooms/blue")) == (200, "GET blue")
    assert told(ask(chat, "PUT /chat/rooms/blue")) == (200, "changed blue")
    assert told(ask(chat, "DELETE /chat/rooms/a%20b")) == (200, "changed a b")
    assert chat.calls == [("PUT", "blue"), ("DELETE", "a b")]


def test_a_method_that_there_is_not_is_answered_with_those_that_there_are(chat: Chat) -> None:
    answer = ask(chat, "POST /chat/rooms/blue")
    assert answer.code == 405
    assert answer.header("Allow") == "DELETE, GET, HEAD, OPTIONS, PUT"
    assert ask(chat, "DELETE /chat/join").header("Allow") == "OPTIONS, POST"
    assert ask(chat, "POST /chat/late/7").code == 405
    assert not chat.calls


def test_head_comes_from_get(chat: Chat) -> None:
    answer = ask(chat, "HEAD /chat/rooms/blue")
    assert answer.code == 200
    assert answer.header("Content-Length") == str(len("HEAD blue"))
    assert ask(chat, "HEAD /chat/join").code == 405


def test_options_tell_the_methods(chat: Chat) -> None:
    answer = ask(chat, "OPTIONS /chat/rooms/blue")
    assert told(answer) == (204, "")
    assert answer.header("Allow") == "DELETE, GET, HEAD, OPTIONS, PUT"
    assert told(ask(chat, "OPTIONS /chat/own-options")) == (200, "mine")
    assert ask(chat, "GET /chat/own-options").header("Allow") == "OPTIONS"
    assert told(ask(chat, "OPTIONS /chat/rooms")) == (200, "below /chat/rooms")


def test_a_path_without_its_method_goes_on_to_parameters(chat: Chat) -> None:
    assert told(ask(chat, "POST /chat/rooms/new")) == (200, "new")
    assert told(ask(chat, "GET /chat/rooms/new")) == (200, "GET new")
    assert ask(chat, "PATCH /chat/rooms/new").header("Allow") == (
        "DELETE, GET, HEAD, OPTIONS, POST, PUT"
    )


def test_a_subclass_takes_one_method_over(runtime: Runtime) -> None:
    class Base(Chat):
        @route("/all")
        def on_all(self, request: Request) -> str:
            return f"all {request.method}"

    class Derived(Base):
        @route("/all", methods=["POST", "HEAD"])
        def on_some(self, request: Request) -> Response:
            return OK(f"some {request.method}", headers={"X-Some": "1"})

    derived = Derived()
    derived.address = runtime.address
    runtime.spawn(derived)
    assert told(ask(derived, "GET /chat/all")) == (200, "all GET")
    assert told(ask(derived, "POST /chat/all", body=b"")) == (200, "some POST")
    assert ask(derived, "HEAD /chat/all").header("X-Some") == "1"
    assert told(ask(derived, "OPTIONS /chat/all")) == (200, "all OPTIONS")
    derived.route("/all", lambda request: "late")
    assert told(ask(derived, "POST /chat/all", body=b"")) == (200, "late")


# Parameters


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("rooms/a%2Fb", (200, "GET a/b")),
        ("rooms/a+b", (200, "GET a+b")),
        ("rooms/%C3%A9", (200, "GET \xe9")),
        ("rooms/\xe9", (200, "GET \xe9")),
        ("rooms/blue/", (200, "GET blue")),
        ("rooms/blue?x=1", (200, "GET blue")),
        ("files/a/b%2Fc", (200, "a/b/c")),
        ("late/7", (200, '{"number":7}')),
        ("rooms/blue/x", (200, "below /chat/rooms/blue/x")),
        ("rooms/%2e%2e", (200, "below /chat/rooms/%2e%2e")),
    ],
)
def test_parameters_are_decoded(chat: Chat, path: str, answer: tuple[int, str]) -> None:
    assert told(ask(chat, f"GET /chat/{path}")) == answer


@pytest.mark.parametrize("path", ["late/x", "late/-1", "late/7/8", "files", "files/a%2F..%2Fb"])
def test_what_does_not_fit_is_not_found(chat: Chat, path: str) -> None:
    assert ask(chat, f"GET /chat/{path}").code == 404


@pytest.mark.parametrize("name", ["%zz", "%", "a%2", "%FF", "%C3", "\udcff"])
def test_a_malformed_parameter_is_a_bad_request(chat: Chat, name: str) -> None:
    answer = ask(chat, f"GET /chat/rooms/{name}")
    assert answer.code == 400
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert ask(chat, f"PUT /chat/upload/{name}", body=b"x").code == 400


def test_a_body_may_stream_to_a_route_with_parameters(chat: Chat) -> None:
    assert told(ask(chat, "PUT /chat/upload/x", body=b"x" * 100_000)) == (200, "x 100000")
    answer = ask(chat, "POST /chat/upload/x", body=b"x" * 100_000)
    assert (answer.code, answer.header("Allow")) == (405, "OPTIONS, PUT")


def test_a_realm_gives_the_principal_before_the_parameters(runtime: Runtime, chat: Chat) -> None:
    runtime.set_authenticator("users", Names())
    assert told(ask(chat, "GET /chat/mine/blue", "X-Name: ann")) == (200, "ann blue")
    answer = ask_json(chat, "PUT /chat/notes/7", '{"text": "hi"}', "X-Name: ann")
    assert told(answer) == (200, '{"text":"ann 7 hi"}')


def test_a_callback_decides_about_all_that_a_route_takes(runtime: Runtime, chat: Chat) -> None:
    asked: list[str] = []

    def decide(request: Request, principal: object) -> bool:
        asked.append(request.url.path)
        return request.method == "GET"

    runtime.authorization.set_callbacks({"/chat/rooms/<name>": decide})
    assert ask(chat, "PUT /chat/rooms/blue").code == 403  # whose route calls it <room>
    asked.clear()
    assert told(ask(chat, "GET /chat/rooms/blue")) == (200, "GET blue")
    assert ask(chat, "GET /chat/rooms/%62lue").code == 200
    assert told(ask(chat, "GET /chat/rooms")) == (200, "below /chat/rooms")
    assert asked == ["/chat/rooms/blue", "/chat/rooms/%62lue"]


def test_a_bad_request_is_not_asked_who_it_is_from(runtime: Runtime, chat: Chat) -> None:
    # Names.authenticate would fail without the header.
    runtime.set_authenticator("users", Names())
    assert ask(chat, "GET /chat/mine/%zz").code == 400
    assert ask(chat, "GET /chat/notes/7").code == 405


# The firewall


@pytest.mark.parametrize(
    "path",
    ["blue", "a%2Fb", "%62lue", "blue/", "/blue", "a+b", "a%2Bb", "%252e", "blue/x", "%C3%A9"],
)
@pytest.mark.parametrize("rule", ["/chat/rooms/<name>", "/chat/rooms/<path:p>", "/chat//rooms"])
def test_a_rule_may_have_parameters(runtime: Runtime, chat: Chat, rule: str, path: str) -> None:
    runtime.firewall.install([DisabledEndpointsFirewallRule([rule])])
    assert ask(chat, f"GET /chat/rooms/{path}").code == 403
    assert ask(chat, "GET /chat/late/7").code == 200


@pytest.mark.parametrize("rule", ["/chat/rooms/a+b", "/chat/rooms/a%2Bb", "/%63hat/rooms/a%2Bb"])
@pytest.mark.parametrize("name", ["a+b", "a%2Bb", "a%2bb", "%61+b"])
def test_a_rule_is_for_a_value_however_it_is_escaped(
    runtime: Runtime, chat: Chat, rule: str, name: str
) -> None:
    assert told(ask(chat, f"GET /chat/rooms/{name}")) == (200, "GET a+b")
    runtime.firewall.install([DisabledEndpointsFirewallRule([rule])])
    assert ask(chat, f"GET /chat/rooms/{name}").code == 403


def test_a_rule_for_a_path_alone_is_for_all_values(runtime: Runtime, chat: Chat) -> None:
    rule = DisabledEndpointsFirewallRule(["/chat/rooms/<name>"], and_below=False)
    runtime.firewall.install([rule])
    assert ask(chat, "GET /chat/rooms/a%2Fb").code == 403
    assert ask(chat, "GET /chat/rooms/blue/x").code == 200
    assert ask(chat, "GET /chat/rooms").code == 200


def test_a_rule_for_numbers_leaves_the_other_names(runtime: Runtime, chat: Chat) -> None:
    runtime.firewall.install([DisabledEndpointsFirewallRule(["/chat/rooms/<int:number>"])])
    assert ask(chat, "GET /chat/rooms/7").code == 403
    assert ask(chat, "GET /chat/rooms/%37").code == 403
    assert ask(chat, "GET /chat/rooms/blue").code == 200


# Cookies


def test_cookies_come_and_are_set_in_lines_of_their_own(chat: Chat) -> None:
    answer = ask(chat, "GET /chat/cookies", 'Cookie: a=1; b="x y"; a=2; =; c')
    assert json.loads(answer.body) == {"a": "1", "b": "x y"}
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == [
        "session=abc; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax",
        "theme=dark; Path=/; SameSite=Strict",
        "old=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
    ]


# Typed JSON


def test_a_body_comes_as_its_type(chat: Chat) -> None:
    answer = ask_json(chat, "POST /chat/join", '{"rooms": [{"name": "blue", "age": 3}]}')
    assert told(answer) == (200, '{"rooms":[{"name":"blue","age":3}]}')
    assert answer.header("Content-Type") == "application/json"
    assert chat.calls == [Join([Member("blue", 3)])]
    assert told(ask_json(chat, "POST /chat/sum", "[1, 2]")) == (200, "3")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            '{"rooms": [{"name": 5}]}',
            "expected JSON: Expected `str`, got `int` - at `$.rooms[0].name`",
        ),
        ('{"rooms": [{"age": 5}]}', "missing required field `name` - at `$.rooms[0]`"),
        ('{"rooms": [{"name": "a", "age": -1}]}', "born later - at `$.rooms[0]`"),
        ("[]", "Expected `object`, got `array`"),
        ("{", "expected JSON: "),
        ("", "expected JSON: an empty body"),
        ("[" * 100_000, "expected JSON: "),
        ('{"rooms": [{"name": "\udcff"}]}', "expected JSON: "),
    ],
)
def test_a_body_of_another_form_is_told_where(chat: Chat, body: str, text: str) -> None:
    data = body.encode("utf-8", "surrogateescape")
    answer = ask(chat, "POST /chat/join", "Content-Type: application/json", body=data)
    assert answer.code == 400
    assert text in answer.body.decode()
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert not chat.calls


@pytest.mark.parametrize(
    ("media_type", "code"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
        ("application/vnd.api+json", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonp", 415),
        ("text/x+json", 415),
        ("", 415),
    ],
)
def test_a_body_of_another_type_is_refused(chat: Chat, media_type: str, code: int) -> None:
    lines = [f"Content-Type: {media_type}"] if media_type else []
    assert ask(chat, "POST /chat/sum", *lines, body=b"[1]").code == code


def test_a_body_that_is_too_large_is_refused_before(make_runtime: RuntimeMaker) -> None:
    chat = Chat()
    runtime = make_runtime(Settings(ip="127.0.0.1", max_body_bytes=100))
    runtime.spawn(chat)
    chat.address = runtime.address
    assert ask_json(chat, "POST /chat/sum", f"[{'1,' * 100}1]").code == 413


# CORS


def test_without_the_option_no_page_of_another_site_sees_anything(chat: Chat) -> None:
    for line in ("GET /chat/rooms/blue", "OPTIONS /chat/rooms/blue", "POST /chat/rooms/blue"):
        lines = (f"Origin: {APP}", "Access-Control-Request-Method: PUT")
        answer = ask(chat, line, *lines)
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
        assert answer.header("Vary") is None


def test_every_origin_may_be_let_in(chat: Chat) -> None:
    for lines in ([], [f"Origin: {APP}"], ["Origin: null"]):
        answer = ask(chat, "GET /chat/open", *lines)
        assert allowed(answer) == "*"
        assert answer.header("Access-Control-Allow-Credentials") is None
        assert answer.header("Vary") == "Accept"


def test_an_origin_of_the_list_may_see_the_answer(chat: Chat) -> None:
    answer = ask(chat, "POST /chat/shared", f"Origin: {APP}", body=b"")
    assert told(answer) == (200, "shared")
    assert allowed(answer) == APP
    assert answer.header("Access-Control-Allow-Credentials") == "true"
    assert answer.header("Access-Control-Expose-Headers") == "X-Total"
    assert answer.header("Vary") == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://app.example", f"{APP}:444", f"{APP}.evil", "null"]
)
def test_another_origin_gets_no_line_and_changes_nothing(chat: Chat, origin: str) -> None:
    answer = ask(chat, "GET /chat/shared", f"Origin: {origin}")
    assert (answer.code, allowed(answer), answer.header("Vary")) == (200, None, "Origin")
    for method in ("POST", "DELETE", "PATCH"):
        answer = ask(chat, f"{method} /chat/shared", f"Origin: {origin}", body=b"")
        assert (answer.code, allowed(answer), answer.header("Vary")) == (403, None, "Origin")
    assert chat.calls == ["GET"]


def test_the_own_origin_and_other_clients_need_no_line(chat: Chat) -> None:
    for lines in ([], ["Origin: http://node"], ["Sec-Fetch-Site: same-origin"]):
        answer = ask(chat, "POST /chat/shared", *lines, body=b"")
        assert (answer.code, allowed(answer), answer.header("Vary")) == (200, None, "Origin")


def test_a_browser_may_ask_first(runtime: Runtime, chat: Chat) -> None:
    # Without a name the authenticator would fail: such a request comes without credentials.
    runtime.set_authenticator("users", Names())
    answer = ask(
        chat,
        "OPTIONS /chat/shared/blue",
        f"Origin: {APP}",
        "Access-Control-Request-Method: PATCH",
        "Access-Control-Request-Headers: content-type, x-name",
    )
    assert (answer.code, allowed(answer)) == (204, APP)
    assert answer.header("Access-Control-Allow-Methods") == "PATCH"
    assert answer.header("Access-Control-Allow-Headers") == "content-type, x-name"
    assert answer.header("Access-Control-Max-Age") == "600"
    assert answer.header("Vary") == "Access-Control-Request-Headers, Origin"


@pytest.mark.parametrize(
    ("origin", "method"), [("https://evil.example", "PATCH"), ("null", "PATCH"), (APP, "PUT")]
)
def test_a_browser_that_asks_first_is_let_in_for_nothing_else(
    chat: Chat, origin: str, method: str
) -> None:
    lines = (f"Origin: {origin}", f"Access-Control-Request-Method: {method}")
    answer = ask(chat, "OPTIONS /chat/shared/blue", *lines)
    assert answer.code == 204
    assert answer.header("Access-Control-Allow-Methods") is None
    assert allowed(answer) == (APP if origin == APP else None)


@pytest.mark.parametrize(
    ("how", "code"), [("raise", 500), ("later", 500), ("stream", 200), ("same", 200)]
)
def test_errors_and_streams_have_the_lines_too(chat: Chat, how: str, code: int) -> None:
    with expect_failure(RuntimeError, "of a handler") if how == "raise" else nullcontext():
        answers = [ask(chat, f"GET /chat/failing/{how}", f"Origin: {APP}") for _ in range(2)]
    for answer in answers:
        assert (answer.code, allowed(answer), answer.header("Vary")) == (code, APP, "Origin")
    assert "Vary" not in SHARED_RESPONSE.headers


def test_refusals_of_the_body_have_the_lines_too(chat: Chat) -> None:
    answer = ask(chat, "PATCH /chat/shared/x", f"Origin: {APP}", body=b"")
    assert (answer.code, allowed(answer)) == (415, APP)
    answer = ask_json(chat, "PATCH /chat/shared/x", "5", f"Origin: {APP}")
    assert (answer.code, allowed(answer)) == (400, APP)
    answer = ask(chat, "PUT /chat/shared/x", f"Origin: {APP}", body=b"")
    assert (answer.code, allowed(answer)) == (405, APP)
