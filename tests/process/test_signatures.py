"""Which functions may be handlers, and what is said of those that may not."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from greenproc.errors import InvalidArgument
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.pid import UPID
from greenproc.process import Process, install, route
from greenproc.runtime import Runtime
from greenproc.websockets import WebSocket, websocket

pytestmark = pytest.mark.usefixtures("runtime")


class Takes:
    """Functions of all kinds."""

    def two(self, sender: UPID, body: bytes) -> None: ...

    def one(self, request: Request) -> None: ...

    def default(self, sender: UPID, body: bytes, retries: int = 3) -> None: ...

    def all(self, *arguments: object, **options: object) -> None: ...

    def keyword(self, sender: UPID, body: bytes, *, retries: int = 3) -> None: ...

    def needs_keyword(self, sender: UPID, body: bytes, *, retries: int) -> None: ...

    def three(self, sender: UPID, body: bytes, more: int) -> None: ...

    def pieces(self, sender: UPID, body: bytes) -> Iterator[bytes]:
        yield body

    async def coroutine(self, sender: UPID, body: bytes) -> None: ...

    async def stream(self, sender: UPID, body: bytes) -> AsyncIterator[bytes]:
        yield body

    def __call__(self, sender: UPID, body: bytes) -> None: ...


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call *function* with one argument more than the result is called with."""

    @functools.wraps(function)
    def wrapper(self: object, sender: UPID, body: bytes) -> Any:
        return function(self, sender, body, 1)

    return wrapper


# Handlers of one process

GOOD = {
    "method": Takes().two,
    "defaults": Takes().default,
    "any arguments": Takes().all,
    "optional keyword": Takes().keyword,
    "callable": Takes(),
    "lambda": lambda sender, body: None,
    "partial": functools.partial(lambda more, sender, body: None, 1),
    "partial of a method": functools.partial(Takes().three, more=1),
    "decorated": functools.partial(decorated(Takes.three), Takes()),
    "cached": functools.lru_cache(Takes().two),
    "written in C": print,
    "without a signature": min,
}


@pytest.mark.parametrize("handler", GOOD.values(), ids=GOOD.keys())
def test_what_takes_sender_and_body_can_be_installed(handler: Callable[..., Any]) -> None:
    Process().install("a", handler)


BAD = {
    "too few": (Takes().one, r"got Takes\.one\(request: 'Request'\) -> 'None': too many"),
    "too many": (Takes().three, "missing a required argument: 'more'"),
    "keyword": (Takes().needs_keyword, "missing a required .*'retries'"),
    "function of the class": (Takes.two, "missing a required argument: 'body'"),
    "lambda": (lambda body: body, r"got <lambda>\(body\)"),
    "partial": (functools.partial(Takes().two, 1, 2), "too many positional arguments"),
    "nothing": (None, "got None"),
    "result": (3, "got 3"),
    "generator": (Takes().pieces, "got a generator function, whose body never runs"),
}


@pytest.mark.parametrize(("handler", "told"), BAD.values(), ids=BAD.keys())
def test_what_does_not_is_refused_when_it_is_installed(handler: Any, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told) as caught:
        Process().install("ping", handler)

    assert "cannot handle messages 'ping'" in str(caught.value)
    assert "(sender, body)" in str(caught.value)


@pytest.mark.parametrize(
    "handler",
    [Takes().coroutine, Takes().stream, functools.partial(Takes().coroutine)],
    ids=["coroutine", "stream", "partial"],
)
def test_an_async_def_is_refused_with_what_to_do(handler: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"is an async def.* make it a plain def"):
        Process().install("ping", handler)
    with pytest.raises(InvalidArgument, match=r"is an async def.* make it a plain def"):
        Process().route("/ping", handler)


def test_a_route_takes_the_request_and_in_a_realm_the_principal() -> None:
    process = Process()
    process.route("/a", lambda request: OK())
    process.route("/b", lambda request, principal: OK(), realm="users")

    with pytest.raises(InvalidArgument, match=r"requests for '/c': expected .*\(request\), got"):
        process.route("/c", Takes)  # type: ignore[call-overload, misc]
    with pytest.raises(
        InvalidArgument, match=r"requests for '/c' in realm 'users': expected .*\(request, princ"
    ):
        process.route("/c", lambda request: OK(), realm="users")  # type: ignore[call-overload, misc]


def test_a_route_may_be_a_generator() -> None:
    def pieces(request: Request) -> Iterator[str]:
        yield "a"

    Process().route("/a", pieces)


def test_what_is_installed_takes_the_place_of_what_is_declared(runtime: Runtime) -> None:
    got: list[str] = []

    class Declaring(Process):
        @install("ping")
        def on_ping(self, sender: UPID, body: bytes) -> None:
            got.append("declared")

    process = Declaring()
    process.install("ping", lambda sender, body: got.append("first"))
    process.install("ping", lambda sender, body: got.append("second"))
    runtime.post(runtime.spawn(process), "ping")
    runtime.settle()

    assert got == ["second"]


# Handlers of a class


def test_a_class_whose_handler_lacks_an_argument_is_not_made() -> None:
    with pytest.raises(InvalidArgument) as caught:

        class Counter(Process):
            @install("increment")  # type: ignore[type-var]
            def on_increment(self, body: bytes) -> None: ...

    assert str(caught.value) == (
        "Counter.on_increment cannot handle messages 'increment': expected "
        "Counter.on_increment(self, sender, body), got Counter.on_increment(self, body: 'bytes') "
        "-> 'None': too many positional arguments"
    )


def test_a_class_whose_route_lacks_an_argument_is_not_made() -> None:
    with pytest.raises(
        InvalidArgument,
        match=r"Counter\.on_total cannot handle requests for '/total': expected "
        r"Counter\.on_total\(self, request\), got Counter\.on_total\(self\)",
    ):

        class Counter(Process):
            @route("/total")  # type: ignore[type-var]
            def on_total(self) -> Response:
                return OK()


def test_a_parameter_in_braces_is_refused_with_how_it_is_written() -> None:
    with pytest.raises(InvalidArgument, match=r"missing .* 'name'; write <name> for {name}$"):

        class Rooms(Process):
            @route("/rooms/{name}")
            def on_room(self, request: Request, name: str) -> str:
                return name


def test_a_class_whose_websocket_lacks_its_argument_is_not_made() -> None:
    with pytest.raises(InvalidArgument) as refused:

        class Room(Process):
            @websocket("/ws")  # type: ignore[type-var]
            def joined(self) -> None: ...

    assert "cannot handle clients of '/ws': expected" in str(refused.value)
    assert ".joined(self, ws), got " in str(refused.value)


def test_a_websocket_cannot_be_a_generator() -> None:
    with pytest.raises(InvalidArgument, match="a generator function, whose body never runs"):

        class Room(Process):
            @websocket("/ws")
            def joined(self, ws: WebSocket) -> Iterator[str]:
                yield "hello"


def test_a_class_whose_route_has_no_place_for_the_principal_is_not_made() -> None:
    with pytest.raises(InvalidArgument, match=r"expected Safe\.on_total\(self, request, princip"):

        class Safe(Process):
            @route("/total", realm="users")  # type: ignore[type-var]
            def on_total(self, request: Request) -> Response:
                return OK()


def test_handlers_of_all_kinds_can_be_declared() -> None:
    class Good(Process):
        a = install("a")(Takes.default)
        b = install("b")(Takes.all)
        c = install("c")(Takes.keyword)
        d = install("d")(decorated(Takes.three))

        @route("/e")
        def pieces(self, request: Request) -> Iterator[str]:
            yield "a"

    assert Good()


class Base(Process):
    @install("a")
    def on_a(self, sender: UPID, body: bytes) -> None: ...


def test_an_override_that_cannot_be_the_handler_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"Derived\.on_a cannot handle messages 'a'"):

        class Derived(Base):
            def on_a(self) -> None: ...  # type: ignore[override]


def test_a_handler_that_is_taken_away_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"Derived\.on_a cannot handle .* got None"):

        class Derived(Base):
            on_a = None  # type: ignore[assignment]


def test_one_message_has_one_handler_in_a_class() -> None:
    with pytest.raises(
        InvalidArgument, match="Two declares two handlers of messages 'a', first and second"
    ):

        class Two(Process):
            @install("a")
            def first(self, sender: UPID, body: bytes) -> None: ...

            @install("a")
            def second(self, sender: UPID, body: bytes) -> None: ...


def test_one_path_has_one_handler_in_a_class() -> None:
    with pytest.raises(
        InvalidArgument, match="Two declares two handlers of requests for '/a', first and second"
    ):

        class Two(Process):
            @route("/a")
            def first(self, request: Request) -> str:
                return ""

            @route("/a")
            def second(self, request: Request) -> str:
                return ""


def test_a_message_and_a_path_may_have_one_name() -> None:
    class Both(Process):
        @install("/a")
        def message(self, sender: UPID, body: bytes) -> None: ...

        @route("/a")
        def request(self, request: Request) -> str:
            return ""

    assert Both()


def test_a_function_may_stand_in_a_class_under_two_names() -> None:
    class Aliased(Base):
        @install("b")
        def on_b(self, sender: UPID, body: bytes) -> None: ...

        alias = on_b

    assert Aliased()


def test_a_subclass_may_declare_a_message_of_its_base_for_another_method() -> None:
    class Derived(Base):
        @install("a")
        def another(self, sender: UPID, body: bytes) -> None: ...

    assert Derived()


# Bodies that would never run


def test_an_async_method_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"^Fetching\.fetch is an async def, and nothing"):

        class Fetching(Process):
            async def fetch(self) -> int:
                return 1


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_an_async_static_method_is_refused(kind: Any) -> None:
    async def fetch(*arguments: object) -> int:
        return 1

    with pytest.raises(InvalidArgument, match=r"Fetching\.fetch is an async def"):
        type("Fetching", (Process,), {"fetch": kind(fetch)})


@pytest.mark.parametrize("name", ["initialize", "finalize", "exited", "consume_message"])
def test_a_hook_of_a_process_cannot_be_async_nor_a_generator(name: str) -> None:
    async def coroutine(self: Process, *arguments: object) -> None: ...

    async def stream(self: Process, *arguments: object) -> AsyncIterator[int]:
        yield 1

    def generator(self: Process, *arguments: object) -> Iterator[int]:
        yield 1

    with pytest.raises(InvalidArgument, match=rf"Odd\.{name} is an async def"):
        type("Odd", (Process,), {name: coroutine})
    with pytest.raises(InvalidArgument, match=rf"Odd\.{name} is an async def"):
        type("Odd", (Process,), {name: stream})
    with pytest.raises(InvalidArgument, match=rf"Odd\.{name} is a generator function"):
        type("Odd", (Process,), {name: generator})


def test_an_async_method_of_a_mixin_is_refused() -> None:
    class Mixin:
        async def fetch(self) -> int:
            return 1

    with pytest.raises(InvalidArgument, match=r"Mixed\.fetch is an async def"):

        class Mixed(Mixin, Process): ...


def test_a_private_async_method_is_for_an_asyncio_loop_of_the_class() -> None:
    class Fetching(Process):
        async def _fetch(self) -> int:
            return 1

    assert Fetching()


def test_methods_that_give_pieces_are_fine() -> None:
    class Giving(Process):
        def pieces(self) -> Iterator[int]:
            yield 1

    assert Giving()
