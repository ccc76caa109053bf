"""What type checkers say of programs on greenproc; never run, see test_types.py.

Each function and class is a snippet. A mark ``# R: type`` says what the `reveal_type` of its line
reveals; ``# E: code rule`` says that mypy reports an error of that code there and pyright one of
that rule. Where neither stands, nothing may be reported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, reveal_type

import msgspec

from greenproc import (
    PID,
    UPID,
    Break,
    Continue,
    Failure,
    Future,
    Process,
    Runtime,
    State,
    StateMachine,
    WebSocket,
    after,
    ask,
    await_all,
    collect,
    defer,
    delay,
    dispatch,
    install,
    loop,
    post,
    proxy,
    route,
    run_async,
    select,
    spawn,
    start_in_thread,
    websocket,
)
from greenproc.auth import Principal
from greenproc.http import OK, Request, Response
from greenproc.process import _1

T = TypeVar("T")


class Counter(Process):
    def add(self, number: int, *, twice: bool = False) -> int:
        return number

    def value(self) -> int:
        return 0

    def later(self, seconds: float) -> Future[int]:
        return after(seconds).then(lambda _: 1)

    def checked(self, number: int) -> int | Failure:
        return Failure("negative") if number < 0 else number

    def retarget(self, target: str, method: str, seconds: int = 0) -> str:
        return target

    def reset(self) -> None: ...

    def wrap(self, value: T) -> list[T]:
        return [value]

    def anything(self, value: Any) -> Any:
        return value

    def all(self, *numbers: int) -> list[int]:
        return list(numbers)

    @staticmethod
    def parse(text: str) -> int:
        return int(text)


class Twice(Counter): ...


class Other(Process):
    def add(self, number: int) -> bytes:
        return b""


# What dispatch takes and gives


def the_result_of_the_method(counter: PID[Counter]) -> None:
    reveal_type(dispatch(counter, Counter.add, 1))  # R: Future[int]
    reveal_type(dispatch(counter, Counter.add, 1, twice=True).get())  # R: int
    reveal_type(dispatch(counter, Counter.reset))  # R: Future[None]


def an_answer_and_its_type(counter: PID[Counter]) -> None:
    reveal_type(ask(counter, "x"))  # R: Future[bytes]
    reveal_type(ask(counter, "x", b"y", returns=int, timeout=1.0).get())  # R: int


def a_proxy_knows_whose_it_is(counter: PID[Counter]) -> None:
    reveal_type(proxy(counter))  # R: Proxy[Counter]
    reveal_type(proxy(counter).add(1))  # R: Any


def what_spawn_returns() -> None:
    counter = spawn(Counter())
    reveal_type(counter)  # R: PID[Counter]
    reveal_type(dispatch(counter, Counter.value))  # R: Future[int]


def a_process_as_the_target(counter: Counter) -> None:
    reveal_type(dispatch(counter, Counter.add, 1))  # R: Future[int]
    reveal_type(dispatch(counter, counter.add, 1))  # R: Future[int]


def a_future_is_flattened(counter: PID[Counter]) -> None:
    reveal_type(dispatch(counter, Counter.later, 1.0))  # R: Future[int]
    reveal_type(dispatch(counter, Counter.later, seconds=1.0))  # R: Future[int]


def a_failure_is_no_result(counter: PID[Counter]) -> None:
    reveal_type(dispatch(counter, Counter.checked, 1))  # R: Future[int]


def a_method_of_a_base(twice: PID[Twice]) -> None:
    reveal_type(dispatch(twice, Counter.add, 1))  # R: Future[int]


def a_generic_method(counter: PID[Counter]) -> None:
    reveal_type(dispatch(counter, Counter.wrap, "a"))  # R: Future[list[str]]


def a_method_that_says_nothing(counter: PID[Counter]) -> None:
    reveal_type(dispatch(counter, Counter.anything, 1))  # R: Future[Any]


def any_number_of_arguments(counter: PID[Counter]) -> None:
    reveal_type(dispatch(counter, Counter.all, 1, 2, 3))  # R: Future[list[int]]
    dispatch(counter, Counter.all, 1, "2")  # E: call-overload reportArgumentType


def a_plain_function(counter: PID[Counter], list_of: list[int]) -> None:
    reveal_type(dispatch(counter, lambda: 1))  # R: Future[int]
    reveal_type(dispatch(counter, Counter.parse, "1"))  # R: Future[int]
    reveal_type(dispatch(counter, max, 1, 2))  # R: Future[int]
    dispatch(counter, list_of.append, 1)
    dispatch(counter, list_of.append, "1")  # E: call-overload reportArgumentType


def parameters_called_as_those_of_dispatch(counter: PID[Counter]) -> None:
    reveal_type(dispatch(counter, Counter.retarget, target="a", method="b"))  # R: Future[str]
    delay(1.0, counter, Counter.retarget, target="a", method="b", seconds=1)
    defer(counter, Counter.retarget, target="a", method="b")
    dispatch(counter, Counter.retarget, target=1)  # E: call-overload reportCallIssue


def a_plain_upid_may_have_any_method(pid: UPID) -> None:
    reveal_type(dispatch(pid, Counter.add, 1))  # R: Future[int]
    reveal_type(dispatch(pid, Counter.later, 1.0))  # R: Future[int]
    reveal_type(dispatch(pid, lambda: "a"))  # R: Future[str]
    delay(1.0, pid, Counter.add, 1)
    reveal_type(defer(pid, Counter.add, 1))  # R: Deferred[int]


def a_pid_of_any(pid: PID[Any]) -> None:
    reveal_type(dispatch(pid, Counter.add, 1))  # R: Future[int]
    dispatch(pid, Counter.add, "1")  # E: call-overload reportArgumentType


def the_methods_of_a_runtime(runtime: Runtime, counter: PID[Counter]) -> None:
    reveal_type(runtime.spawn(Counter()))  # R: PID[Counter]
    reveal_type(runtime.dispatch(counter, Counter.later, 1.0))  # R: Future[int]
    reveal_type(runtime.run_async(len, "a"))  # R: Future[int]
    reveal_type(runtime.defer(counter, Counter.add, 1))  # R: Deferred[int]
    reveal_type(runtime.delay(1.0, counter, Counter.add, 1))  # R: Timer
    runtime.dispatch(counter, Counter.add, "1")  # E: call-overload reportArgumentType
    runtime.delay(1.0, counter, Counter.add, "1")  # E: call-overload reportArgumentType
    runtime.run_async(len, 1)  # E: call-overload reportArgumentType
    runtime.call_from_thread(len, 1)  # E: arg-type reportArgumentType


# What it refuses


def a_runtime_in_a_thread(counter: Counter) -> None:
    with start_in_thread(port=0) as node:
        reveal_type(node)  # R: BackgroundRuntime
        reveal_type(node.runtime)  # R: BackgroundRuntime
        pid = node.spawn(counter)
        reveal_type(pid)  # R: PID[Counter]
        reveal_type(node.dispatch(pid, Counter.add, 1, twice=True))  # R: Future[int]
        reveal_type(node.call(counter.retarget, "a", "b", seconds=1))  # R: str
        reveal_type(node.run_async(counter.later, 1.0))  # R: Future[int]
        reveal_type(node.stop(1.0))  # R: tuple[UPID, ...]


def a_call_in_a_thread_with_another_argument(counter: Counter) -> None:
    start_in_thread().call(counter.add, "1")  # E: arg-type reportArgumentType


def a_dispatch_in_a_thread_with_another_argument(counter: PID[Counter]) -> None:
    start_in_thread().dispatch(counter, Counter.add, "1")  # E: call-overload reportCallIssue


def a_start_in_a_thread_with_a_port_as_text() -> None:
    start_in_thread(port="5050")  # E: arg-type reportArgumentType


def an_argument_of_another_type(counter: PID[Counter]) -> None:
    dispatch(counter, Counter.add, "1")  # E: call-overload reportArgumentType


def too_few_arguments(counter: PID[Counter]) -> None:
    dispatch(counter, Counter.add)  # E: call-overload reportCallIssue


def too_many_arguments(counter: PID[Counter]) -> None:
    dispatch(counter, Counter.add, 1, 2)  # E: call-overload reportCallIssue


def a_keyword_that_there_is_not(counter: PID[Counter]) -> None:
    dispatch(counter, Counter.add, 1, thrice=True)  # E: call-arg reportCallIssue


def a_keyword_of_another_type(counter: PID[Counter]) -> None:
    dispatch(counter, Counter.add, 1, twice="yes")  # E: arg-type reportArgumentType


def a_method_of_another_class(counter: PID[Counter]) -> None:
    dispatch(counter, Other.add, 1)  # E: call-overload reportCallIssue


def a_method_of_a_subclass(counter: PID[Process]) -> None:
    dispatch(counter, Counter.add, 1)  # E: call-overload reportCallIssue


def a_result_used_as_another_type(counter: PID[Counter]) -> Future[str]:
    text: str = dispatch(counter, Counter.add, 1).get()  # E: assignment reportAssignmentType
    text.encode()
    return dispatch(counter, Counter.later, 1.0)  # E: call-overload reportReturnType


def a_result_that_is_a_future(counter: PID[Counter]) -> None:
    dispatch(counter, Counter.add, 1) + 1  # E: operator reportOperatorIssue


def the_result_of_a_call_for_a_method(pid: PID[Counter], counter: Counter) -> None:
    dispatch(pid, counter.value())  # E: call-overload reportArgumentType
    delay(0.1, pid, counter.value())  # E: call-overload reportArgumentType
    defer(pid, counter.value())  # E: call-overload reportArgumentType


def a_method_of_an_address(pid: PID[Counter]) -> None:
    pid.add(1)  # E: attr-defined reportAttributeAccessIssue


def a_target_that_is_no_process() -> None:
    dispatch("counter", Counter.add, 1)  # E: call-overload reportArgumentType


# delay, defer, run_async


def a_delay(counter: PID[Counter], process: Counter) -> None:
    reveal_type(delay(1.0, counter, Counter.add, 1))  # R: Timer
    delay(1.0, process, Counter.add, 1, twice=True)
    delay(1.0, counter, print, "done")
    delay(1.0, counter, Counter.add, "1")  # E: call-overload reportArgumentType
    delay(1.0, counter, Counter.add)  # E: call-overload reportCallIssue
    delay("1", counter, Counter.add, 1)  # E: call-overload reportArgumentType
    delay(1.0, counter, Other.add, 1)  # E: call-overload reportCallIssue


def a_deferred_call(counter: PID[Counter]) -> None:
    reveal_type(defer(counter, Counter.add))  # R: Deferred[int]
    reveal_type(defer(counter, Counter.add, 1)())  # R: Future[int]
    reveal_type(defer(counter, Counter.add, _1)(1))  # R: Future[int]
    reveal_type(defer(counter, Counter.later)(1.0))  # R: Future[int]
    reveal_type(defer(lambda: "a")())  # R: Future[str]
    defer(counter, Counter.add, "1")  # E: call-overload reportArgumentType
    defer(counter, Counter.retarget, _1, 2)  # E: call-overload reportArgumentType


class DefersToItself(Process):
    def start(self, counter: PID[Counter]) -> Future[str]:
        reveal_type(self.defer(DefersToItself.finish, 1))  # R: Deferred[str]
        self.defer(DefersToItself.finish, "1")  # E: call-overload reportArgumentType
        return dispatch(counter, Counter.value).then(self.defer(DefersToItself.finish))

    def finish(self, value: int) -> str:
        return str(value)


def a_process_of_its_own() -> None:
    reveal_type(run_async(len, "a"))  # R: Future[int]
    reveal_type(run_async(after, 1.0))  # R: Future[None]
    run_async(len, 1)  # E: call-overload reportArgumentType
    run_async(len, "a", "b")  # E: call-overload reportCallIssue


# What follows a future


def then_gives_the_result_of_the_function(number: Future[int], counter: PID[Counter]) -> None:
    reveal_type(number.then(str))  # R: Future[str]
    reveal_type(number.then(lambda value: dispatch(counter, Counter.add, value)))  # R: Future[int]
    reveal_type(number.then(defer(counter, Counter.later)))  # R: Future[int]
    reveal_type(number.then(lambda value: None))  # R: Future[None]


def a_step(number: int) -> str | Failure:
    return Failure("negative") if number < 0 else str(number)


def a_step_that_may_fail(number: Future[int]) -> None:
    reveal_type(number.then(a_step))  # R: Future[str]
    reveal_type(number.recover(lambda _: a_step(0)))  # R: Future[int | str]


def then_takes_the_value(number: Future[int]) -> None:
    takes_text: Callable[[str], int] = len
    number.then(takes_text)  # E: arg-type reportArgumentType
    number.then(1)  # E: call-overload reportArgumentType


def what_takes_the_place_of_a_value(number: Future[int]) -> None:
    reveal_type(number.recover(lambda ended: "none"))  # R: Future[int | str]
    reveal_type(number.repair(lambda failed: Future(0.5)))  # R: Future[int | float]
    reveal_type(number.after(1.0, lambda late: None))  # R: Future[int | None]
    number.after("1", lambda late: None)  # E: call-overload reportArgumentType


def several_futures(number: Future[int], text: Future[str]) -> None:
    reveal_type(collect([number, number]))  # R: Future[list[int]]
    reveal_type(collect(number, text))  # R: Future[tuple[int, str]]
    reveal_type(collect(number, text, number, text))  # R: Future[tuple[int, str, int, str]]
    reveal_type(await_all(number, text))  # R: Future[tuple[Future[int], Future[str]]]
    reveal_type(await_all([number]))  # R: Future[list[Future[int]]]
    reveal_type(select([number, number]))  # R: Future[Future[int]]
    collect(number, 1)  # E: call-overload reportArgumentType
    select(number)  # E: arg-type reportArgumentType


def a_loop(counter: PID[Counter]) -> None:
    def body(value: int) -> Continue | Break[str]:
        return Break("done") if value > 2 else Continue()

    reveal_type(loop(lambda: dispatch(counter, Counter.value), body))  # R: Future[str]
    reveal_type(loop(lambda: 1, body))  # R: Future[str]
    loop(lambda: "1", body)  # E: misc reportArgumentType


# Handlers


class HandlesMessages(Process):
    def initialize(self) -> None:
        self.install("later", self.on_later)
        self.install("later", print)
        self.install("later", self.on_nothing)  # E: arg-type reportArgumentType

    @install("increment")
    def on_increment(self, sender: UPID, body: bytes) -> None: ...

    @install("several")
    @install("names")
    def on_several(self, *arguments: object) -> None: ...

    @install("more")
    def on_more(self, sender: UPID, body: bytes, retries: int = 3) -> int:
        return retries

    def on_later(self, sender: UPID, body: bytes) -> None: ...

    def on_nothing(self) -> None: ...


class MessageWithoutBody(Process):
    @install("increment")  # E: type-var reportArgumentType
    def on_increment(self, sender: UPID) -> None: ...


class MessageWithTextForItsBody(Process):
    @install("increment")  # E: type-var reportArgumentType
    def on_increment(self, sender: UPID, body: str) -> None: ...


class MessageWithTooMuch(Process):
    @install("increment")  # E: type-var reportArgumentType
    def on_increment(self, sender: UPID, body: bytes, more: int) -> None: ...


class Join(msgspec.Struct):
    name: str


class Leave(msgspec.Struct, tag=True):
    name: str


class Rename(msgspec.Struct, tag=True):
    name: str


class HandlesValues(Process):
    def initialize(self) -> None:
        self.install("join", self.on_join, Join)
        self.install(Join, self.on_join)
        self.install("number", lambda sender, value: None, int)
        self.install("either", self.on_either, Leave | Rename)
        self.install("join", self.on_join, int)  # E: arg-type reportArgumentType
        self.install(Leave, self.on_join)  # E: arg-type reportArgumentType
        self.install("join", self.on_join)  # E: arg-type reportArgumentType

    @install("join", Join)
    def on_join(self, sender: UPID, join: Join) -> None: ...

    @install(Leave)
    def on_leave(self, sender: UPID, leave: Leave, retries: int = 3) -> int:
        return retries

    @install("either", Leave | Rename)
    def on_either(self, sender: UPID, one: Leave | Rename) -> None: ...

    @install("numbers", list[int])
    def on_numbers(self, sender: UPID, numbers: list[int]) -> None: ...

    @install("object", Join)
    def on_object(self, sender: UPID, value: object) -> None: ...


class Machine(StateMachine):
    idle = State(initial=True, postpone=["stop", Leave])
    busy = State(postpone=True)

    @idle.on("start")
    @busy.on("start")
    def on_start(self, sender: UPID, body: bytes) -> None:
        reveal_type(self.state)  # R: State
        self.next_state(Machine.busy)
        self.next_state("busy")  # E: arg-type reportArgumentType
        self.state_timeout(None)

    @busy.on("stop")
    def on_stop(self, sender: UPID, body: bytes) -> None: ...

    @busy.on(Leave, returns=int)
    def on_leave(self, sender: UPID, leave: Leave) -> int:
        return 1

    @busy.on("join", Join)  # E: arg-type reportArgumentType
    def on_join(self, sender: UPID, join: Leave) -> None: ...

    @busy.entry
    def begin(self) -> None: ...

    @busy.timeout(1.0)
    def give_up(self) -> None: ...

    @busy.exit  # E: type-var reportArgumentType
    def end(self, other: int) -> None: ...


class ValueOfAnotherType(Process):
    @install("join", Join)  # E: arg-type reportArgumentType
    def on_join(self, sender: UPID, join: Leave) -> None: ...


class NamedValueOfAnotherType(Process):
    @install(Join)  # E: arg-type reportArgumentType
    def on_join(self, sender: UPID, join: Leave) -> None: ...


class ValueAsBytes(Process):
    @install("join", Join)  # E: arg-type reportArgumentType
    def on_join(self, sender: UPID, body: bytes) -> None: ...


class ValueWithoutSender(Process):
    @install("join", Join)  # E: arg-type reportArgumentType
    def on_join(self, join: Join) -> None: ...


def values_are_sent(process: HandlesValues, pid: UPID, runtime: Runtime) -> None:
    process.send(pid, "join", Join("ann"))
    process.send(pid, Join("ann"))
    process.send(pid, "raw", b"x")
    runtime.post(pid, Join("ann"), sender=pid)
    post(pid, "numbers", [1, 2])
    process.send("pid", Join("ann"))  # E: call-overload reportCallIssue
    process.send(pid, Join("ann"), 1, 2)  # E: call-overload reportCallIssue


class HandlesRequests(Process):
    def initialize(self) -> None:
        self.route("/later", self.on_total)
        self.route("/secret", self.on_secret, realm="users")
        self.route("/secret", self.on_total, realm="users")  # E: arg-type reportArgumentType
        self.route("/later", self.on_nothing)  # E: arg-type reportArgumentType
        self.route("/later/<name>", self.on_named, methods=["GET"])
        self.route("/join", self.on_join, json=Join)
        self.route("/join", self.on_join, json=int)  # E: arg-type reportArgumentType
        self.route("/join", self.on_secret_join, json=Join, realm="users")

    def on_nothing(self) -> None: ...

    def on_named(self, request: Request, name: str) -> str:
        return name

    def on_join(self, request: Request, join: Join) -> None: ...

    def on_secret_join(self, request: Request, who: object, join: Join) -> None: ...

    @route("/total", help="The total.")
    def on_total(self, request: Request) -> Response:
        return OK("1")

    @route("/secret", realm="users")
    def on_secret(self, request: Request, principal: Principal | None) -> Future[Response]:
        return Future(OK())


class TakesWebSockets(Process):
    @websocket("/rooms/<name>", origins=["https://example.org"], max_message_bytes=5)
    def on_room(self, ws: WebSocket, name: str) -> None:
        reveal_type(ws.send("text"))  # R: bool
        reveal_type(ws.closed.get())  # R: int
        ws.on_message(self.on_text)
        ws.on_message(WebSocket.send)
        ws.on_message(self.on_total)  # E: arg-type reportArgumentType
        ws.on_close(self.on_close)
        ws.send(5)  # E: arg-type reportArgumentType

    @websocket("/secret", realm="users")
    def on_secret(self, ws: WebSocket, principal: Principal | None) -> Response | None: ...

    def on_text(self, ws: WebSocket, text: str) -> None: ...

    def on_close(self, ws: WebSocket) -> None: ...

    def on_total(self) -> None: ...


class WebSocketWithoutSocket(Process):
    @websocket("/ws")  # E: type-var reportArgumentType
    def on_connect(self) -> None: ...


class WebSocketWithoutItsPrincipal(Process):
    @websocket("/ws", realm="users")  # E: type-var reportArgumentType
    def on_connect(self, ws: WebSocket) -> None: ...


class RouteWithoutRequest(Process):
    @route("/total")  # E: type-var reportArgumentType
    def on_total(self) -> Response:
        return OK()


class RouteWithoutItsPrincipal(Process):
    @route("/total", realm="users")  # E: type-var reportArgumentType
    def on_total(self, request: Request) -> Response:
        return OK()


class HandlesTypedRequests(Process):
    @route("/rooms/<name>", methods=["GET", "POST"], cors="*")
    def on_room(self, request: Request, name: str) -> str:
        reveal_type(request.cookies)  # R: dict[str, str]
        response = OK(json=Join("a"))
        response.set_cookie("a", "1", max_age=5, samesite="Strict")
        response.set_cookie("a", "1", max_age="5")  # E: arg-type reportArgumentType
        return name

    @route("/join/<int:number>", json=Join)
    def on_join(self, request: Request, join: Join, number: int) -> Join:
        return join

    @route("/secret", json=list[int], realm="users")
    def on_secret(self, request: Request, who: Principal | None, numbers: list[int]) -> str:
        return ""

    @route("/any", json=int | str)
    def on_any(self, request: Request, value: int | str) -> str:
        return ""

    def call_it(self, request: Request) -> None:
        reveal_type(self.on_join(request, Join("a"), 1))  # R: Join


class RouteWithAnotherBody(Process):
    @route("/join", json=Join)  # E: arg-type reportArgumentType
    def on_join(self, request: Request, join: str) -> None: ...


class RouteWithoutItsBody(Process):
    @route("/join", json=Join)  # E: arg-type reportArgumentType
    def on_join(self, request: Request) -> None: ...


class RouteWithTheBodyForThePrincipal(Process):
    @route("/join", json=Join, realm="users")  # E: arg-type reportArgumentType
    def on_join(self, request: Request, join: Join) -> None: ...


class RouteWithBadOptions(Process):
    @route("/x", methods=5)  # E: call-overload reportArgumentType
    def on_x(self, request: Request) -> None: ...

    @route("/y", method=["GET"])  # E: call-overload reportCallIssue
    def on_y(self, request: Request) -> None: ...


class Caretaker(Process):
    """What editors know of the runtime of a process."""

    def look(self) -> None:
        reveal_type(self.runtime)  # R: Runtime
        reveal_type(self.runtime.settings.max_mailbox_events)  # R: int
        reveal_type(self.runtime.clock.now())  # R: float
        reveal_type(self.runtime.spawn(Counter()))  # R: PID[Counter]
        self.limit = self.runtime.setings  # E: attr-defined reportAttributeAccessIssue


def runtime_of_a_pid(counter: Counter) -> None:
    reveal_type(counter.runtime.dispatch(counter.pid, Counter.value))  # R: Future[int]
