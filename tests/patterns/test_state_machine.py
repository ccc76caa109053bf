"""Processes whose handlers depend on their state, after OTP's gen_statem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import msgspec
import pytest
from gevent.event import Event

from greenproc import (
    UPID,
    Child,
    Future,
    MailboxLimit,
    Process,
    Settings,
    State,
    StateMachine,
    Supervisor,
    ask,
    install,
)
from greenproc.errors import Abandoned, Deadlock, InvalidArgument, StateError
from greenproc.process.base import record_of
from greenproc.runtime import Runtime
from greenproc.testing import RuntimeMaker, expect_failure


class Order(msgspec.Struct):
    number: int


class Shop(StateMachine):
    """Takes orders while it is open, and keeps them while it is closed."""

    closed = State(initial=True, postpone=["order", Order])
    serving = State()
    full = State(postpone=True)

    def __init__(self, id: str = "shop") -> None:
        super().__init__(id)
        self.log: list[Any] = []

    @closed.on("open")
    @full.on("open")
    def on_open(self, sender: UPID, body: bytes) -> None:
        self.next_state(Shop.serving)
        self.log.append("handled open")

    @serving.on("close")
    def on_close(self, sender: UPID, body: bytes) -> None:
        self.next_state(Shop.closed)

    @serving.on("fill")
    def on_fill(self, sender: UPID, body: bytes) -> None:
        self.next_state(Shop.full)

    @serving.on("order")
    def on_order(self, sender: UPID, body: bytes) -> None:
        self.log.append(body.decode())
        if body == b"last":
            self.next_state(Shop.closed)

    @serving.on(Order, returns=int)
    def on_typed_order(self, sender: UPID, order: Order) -> int:
        return order.number + 1

    @serving.entry
    def opened(self) -> None:
        self.log.append("entry of open")

    @serving.exit
    def opening_ends(self) -> None:
        self.log.append("exit of open")

    @serving.timeout(60.0)
    def late(self) -> None:
        self.log.append("late")
        self.next_state(Shop.closed)

    @install("count")
    def on_count(self, sender: UPID, body: bytes) -> None:
        self.log.append(self.state.name)

    def go(self, state: State) -> None:
        self.next_state(state)

    def call(self, function: Callable[[Shop], Any]) -> Any:
        return function(self)


@pytest.fixture
def shop(runtime: Runtime) -> Shop:
    shop = Shop()
    runtime.spawn(shop)
    runtime.settle()
    return shop


def post(runtime: Runtime, process: Process, *messages: str) -> None:
    """Post messages, each *name* or *name:body*."""
    for message in messages:
        name, _, body = message.partition(":")
        runtime.post(process, name, body.encode())
    runtime.settle()


def letters(runtime: Runtime) -> list[tuple[str, str]]:
    return [(letter.name, letter.reason) for letter in runtime.dead_letters]


def test_a_message_goes_to_the_handler_of_the_state(runtime: Runtime, shop: Shop) -> None:
    assert shop.state is Shop.closed
    post(runtime, shop, "open", "order:1", "order:2")

    assert shop.state is Shop.serving
    assert shop.log == ["entry of open", "handled open", "1", "2"]
    assert repr(shop) == f"<Shop {shop.pid} blocked in serving, 0 postponed>"


def test_what_a_state_postpones_is_served_first_when_the_state_has_changed(
    runtime: Runtime, shop: Shop
) -> None:
    post(runtime, shop, "order:1", "order:2", "open", "order:3")
    assert shop.log == ["entry of open", "handled open", "1", "2", "3"]

    shop.log.clear()
    post(runtime, shop, "close", "order:4", "order:last", "order:5")
    assert (shop.log, shop.postponed) == (["exit of open"], 3)
    post(runtime, shop, "order:6", "open")
    # The state changed again while postponed messages were served: the rest waits for the next one.
    assert shop.log == [
        "exit of open",
        "entry of open",
        "handled open",
        "4",
        "last",
        "exit of open",
    ]
    assert shop.postponed == 2
    assert letters(runtime) == []


def test_true_postpones_what_other_states_handle_and_nothing_else(
    runtime: Runtime, shop: Shop
) -> None:
    post(runtime, shop, "open", "fill", "order:1", "close", "count", "nonsense")
    assert (shop.log[-1], shop.postponed) == ("full", 2)  # count is for all states
    assert letters(runtime) == [("nonsense", "no handler")]

    post(runtime, shop, "open")
    assert (shop.log[-2:], shop.state) == (["1", "exit of open"], Shop.closed)


def test_what_a_state_neither_handles_nor_postpones_is_a_dead_letter(
    runtime: Runtime, shop: Shop
) -> None:
    post(runtime, shop, "close", "count", "nonsense")
    assert shop.log == ["closed"]
    assert letters(runtime) == [("close", "not in this state"), ("nonsense", "no handler")]
    with pytest.raises(Abandoned, match="it has no handler for that in state closed"):
        ask(shop, "fill").get(20.0)


def test_an_installed_handler_is_for_all_states_that_have_none(
    runtime: Runtime, shop: Shop
) -> None:
    runtime.dispatch(
        shop, Shop.install, "close", lambda sender, body: shop.log.append("installed")
    )
    post(runtime, shop, "close", "open", "close")
    assert shop.log == ["installed", "entry of open", "handled open", "exit of open"]


def test_handlers_of_states_have_types_and_answer(runtime: Runtime, shop: Shop) -> None:
    answer = ask(shop, "Order", Order(41), returns=int)
    runtime.settle()
    assert answer.is_pending  # postponed
    post(runtime, shop, "open")
    assert answer.get(20.0) == 42

    post(runtime, shop, "Order:nonsense")
    assert letters(runtime) == [("Order", "body not decoded")]


def test_a_dispatched_method_changes_the_state(runtime: Runtime, shop: Shop) -> None:
    runtime.post(shop, "order", b"1")
    runtime.dispatch(shop, Shop.go, Shop.serving).get(20.0)
    runtime.dispatch(shop, Shop.go, Shop.serving).get(20.0)  # it is that already
    runtime.settle()
    assert shop.log == ["entry of open", "1"]


# Timeouts


def test_the_timeout_of_a_state_comes_once_and_only_in_that_state(
    runtime: Runtime, shop: Shop
) -> None:
    runtime.clock.pause()
    post(runtime, shop, "open")
    runtime.clock.advance(59.0)
    post(runtime, shop, "close")
    runtime.clock.advance(60.0)
    runtime.settle()
    assert "late" not in shop.log

    post(runtime, shop, "open")
    for _ in range(3):
        runtime.clock.advance(59.0)
        runtime.settle()
    assert (shop.log.count("late"), shop.state) == (1, Shop.closed)
    assert runtime.clock.statistics()["timers"] == 0


def test_a_timeout_that_is_queued_when_the_state_changes_is_not_called(
    runtime: Runtime, shop: Shop
) -> None:
    runtime.clock.pause()
    post(runtime, shop, "open")
    began, gate = Event(), Event()

    def hold(shop: Shop) -> None:
        began.set()
        gate.wait()
        shop.next_state(Shop.closed)
        shop.next_state(Shop.serving)

    runtime.dispatch(shop, Shop.call, hold)
    began.wait()
    runtime.clock.advance(60.0)
    while runtime.clock.statistics()["timers"]:
        gevent.idle()
    gate.set()
    runtime.settle()
    assert ("late" in shop.log, shop.state) == (False, Shop.serving)


def test_a_full_mailbox_takes_a_timeout(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(Settings(ip="127.0.0.1", max_mailbox_events=1))
    runtime.clock.pause()
    shop = Shop()
    runtime.spawn(shop)
    post(runtime, shop, "open")
    began, gate = Event(), Event()
    runtime.dispatch(shop, Shop.call, lambda _: (began.set(), gate.wait()))
    began.wait()
    runtime.post(shop, "order", b"1")
    runtime.clock.advance(60.0)
    gevent.idle()
    gate.set()
    runtime.settle()
    assert shop.log == ["entry of open", "handled open", "1", "late", "exit of open"]


def test_the_time_of_a_timeout_can_be_changed(runtime: Runtime, shop: Shop) -> None:
    runtime.clock.pause()
    post(runtime, shop, "open")
    runtime.dispatch(shop, Shop.state_timeout, 5.0).get(20.0)
    runtime.clock.advance(5.0)
    runtime.settle()
    assert "late" in shop.log
    with pytest.raises(StateError, match=r"declare it with @closed\.timeout\(seconds\)"):
        runtime.dispatch(shop, Shop.state_timeout, 5.0).get(20.0)

    post(runtime, shop, "open")
    with pytest.raises(InvalidArgument):
        runtime.dispatch(shop, Shop.state_timeout, -1.0).get(20.0)
    runtime.dispatch(shop, Shop.state_timeout, None).get(20.0)
    runtime.clock.advance(1000.0)
    runtime.settle()
    assert shop.state is Shop.serving
    assert runtime.clock.statistics()["timers"] == 0


def test_the_end_of_a_machine_leaves_no_timer(runtime: Runtime, shop: Shop) -> None:
    runtime.clock.pause()
    post(runtime, shop, "open")
    runtime.terminate(shop)
    runtime.wait(shop)
    assert runtime.clock.statistics()["timers"] == 0


def test_the_initial_state_has_its_entry_and_its_timeout(runtime: Runtime) -> None:
    class Lamp(StateMachine):
        on = State(initial=True)
        off = State()
        log: list[str]

        @on.entry
        def shine(self) -> None:
            self.log = ["shines"]

        @on.timeout(1.0)
        def go_out(self) -> None:
            self.next_state(Lamp.off)

    runtime.clock.pause()
    lamp = Lamp()
    runtime.spawn(lamp)
    runtime.settle()
    assert (lamp.log, lamp.state) == (["shines"], Lamp.on)
    runtime.clock.advance(1.0)
    runtime.settle()
    assert lamp.state is Lamp.off


# Bounds


class Small(Shop):
    max_postponed = 2
    max_postponed_bytes = 300


def test_more_than_may_be_postponed_is_dropped_and_reported(runtime: Runtime) -> None:
    shop = Small()
    runtime.spawn(shop)
    post(runtime, shop, "order:1", "order:2", "order:3")
    answer = ask(shop, "order", b"4")
    with pytest.raises(Abandoned, match="too many postponed"):
        answer.get(20.0)
    assert letters(runtime) == [("order", "too many postponed")] * 2

    post(runtime, shop, "open")
    assert shop.log[2:] == ["1", "2"]


def test_what_is_postponed_is_bounded_in_bytes_but_for_a_first_message(runtime: Runtime) -> None:
    shop = Small()
    runtime.spawn(shop)
    post(runtime, shop, "order:" + "x" * 400, "order:1")
    assert (shop.postponed, len(runtime.dead_letters)) == (1, 1)


@pytest.mark.parametrize("name", ["max_postponed", "max_postponed_bytes"])
def test_a_bound_of_one_still_changes_state(runtime: Runtime, name: str) -> None:
    shop = type("Smallest", (Shop,), {name: 1})()
    runtime.spawn(shop)
    post(runtime, shop, "order:1", "order:2", "open", "order:3")
    assert shop.log == ["entry of open", "handled open", "1", "3"]
    assert letters(runtime) == [("order", "too many postponed")]


def test_what_is_postponed_leaves_the_limit_of_the_mailbox_to_what_changes_the_state(
    runtime: Runtime,
) -> None:
    class Narrow(Shop):
        mailbox_limit = MailboxLimit(events=2)

    shop = Narrow()
    runtime.spawn(shop)
    post(runtime, shop, "order:1")
    post(runtime, shop, "order:2")
    post(runtime, shop, "order:3")
    post(runtime, shop, "open")
    assert (shop.log, letters(runtime)) == (["entry of open", "handled open", "1", "2", "3"], [])
    bound = record_of(shop).bound
    assert bound is not None
    assert (bound.count, bound.bytes) == (0, 0)


def test_what_is_postponed_counts_for_the_bytes_of_the_node(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(Settings(ip="127.0.0.1", max_queued_bytes=300_000))
    shop, other = Shop(), Shop("other")
    runtime.spawn(shop)
    runtime.spawn(other)
    body = "x" * 100_000
    for _ in range(3):
        post(runtime, shop, "order:" + body)
    post(runtime, other, "order:" + body)

    assert (shop.postponed, other.postponed) == (3, 0)  # an empty mailbox takes one of any size
    assert letters(runtime) == [("order", "node full")]
    assert runtime.processes.statistics()["queued_bytes"] > 300_000
    post(runtime, shop, "open")
    post(runtime, other, "order:" + body)
    assert other.postponed == 1


# The end


@pytest.mark.parametrize("inject", [True, False])
def test_what_is_postponed_when_a_machine_ends_is_reported(
    runtime: Runtime, shop: Shop, *, inject: bool
) -> None:
    post(runtime, shop, "order:1", "order:2")
    answer = ask(shop, "order", b"3")
    runtime.settle()
    runtime.terminate(shop, inject=inject)
    runtime.wait(shop)
    assert letters(runtime)[:2] == [("order", "process terminated")] * 2
    with pytest.raises(Abandoned, match="it has ended"):
        answer.get(20.0)


def test_the_next_machine_of_a_supervisor_gets_what_was_postponed(runtime: Runtime) -> None:
    shops: list[Shop] = []

    class Brittle(Shop):
        def initialize(self) -> None:
            super().initialize()
            shops.append(self)

        @install("break")
        def on_break(self, sender: UPID, body: bytes) -> None:
            raise ValueError("on purpose")

    runtime.spawn(Supervisor([Child(Brittle, mailbox="keep")]))
    runtime.settle()
    with expect_failure(ValueError):
        post(runtime, shops[0], "order:1", "order:2", "break", "order:3")
    runtime.settle()

    assert shops[1].postponed == 3
    post(runtime, shops[1], "open")
    assert shops[1].log == ["entry of open", "handled open", "1", "2", "3"]
    assert letters(runtime) == []


def test_a_machine_that_is_killed_reports_what_is_postponed(runtime: Runtime, shop: Shop) -> None:
    post(runtime, shop, "order:1")
    greenlet = record_of(shop).greenlet
    assert greenlet is not None
    gevent.kill(greenlet)
    runtime.wait(shop)
    assert letters(runtime) == [("order", "process terminated")]


# Failures


class Failing(Shop):
    fails_at = ""

    @Shop.serving.entry
    def opened(self) -> None:
        super().opened()
        if self.fails_at == "entry":
            raise ValueError("on purpose")

    @Shop.serving.exit
    def opening_ends(self) -> None:
        if self.fails_at == "exit":
            raise ValueError("on purpose")

    @Shop.serving.timeout(1.0)
    def late(self) -> None:
        if self.fails_at == "timeout":
            raise ValueError("on purpose")

    def failed(self, event: object, error: BaseException) -> None:
        self.log.append(str(error))


@pytest.mark.parametrize(
    ("place", "state", "log"),
    [
        # Of each one, the machine is in the new state, and what was postponed is served.
        ("entry", Shop.serving, ["entry of open", "on purpose", "1"]),
        ("timeout", Shop.serving, ["entry of open", "handled open", "1", "on purpose"]),
        # The state that it does not leave.
        ("exit", Shop.serving, ["entry of open", "handled open", "1", "on purpose"]),
    ],
)
def test_an_error_in_an_action_is_that_of_the_process(
    runtime: Runtime, place: str, state: State, log: list[str]
) -> None:
    runtime.clock.pause()
    shop = Failing()
    shop.fails_at = place
    runtime.spawn(shop)
    with expect_failure(ValueError):
        post(runtime, shop, "order:1", "open")
        if place == "timeout":
            runtime.clock.advance(1.0)
        if place == "exit":
            post(runtime, shop, "close")
        runtime.settle()
    assert (shop.log, shop.state) == (log, state)


def test_a_state_is_changed_in_handlers_only(runtime: Runtime, shop: Shop) -> None:
    with pytest.raises(StateError, match="only in its own handlers"):
        shop.next_state(Shop.serving)
    with pytest.raises(StateError, match="only in its own handlers"):
        shop.state_timeout(1.0)
    for wrong in ("open", State(), Lift.up, None):
        with pytest.raises(InvalidArgument, match="one of closed, serving, full, got"):
            runtime.dispatch(shop, Shop.go, wrong).get(20.0)  # type: ignore[arg-type]


class Lift(StateMachine):
    up = State(initial=True)
    down = State()

    @down.entry
    def bounce(self) -> None:
        self.next_state(Lift.up)

    def go(self) -> None:
        self.next_state(Lift.down)


def test_an_action_on_entry_or_exit_changes_no_state(runtime: Runtime) -> None:
    lift = Lift()
    runtime.spawn(lift)
    with pytest.raises(StateError, match="in an action on entry or exit"):
        runtime.dispatch(lift, Lift.go).get(20.0)
    assert lift.state is Lift.down


def test_an_initialize_that_does_not_call_that_of_the_machine_is_told_so(runtime: Runtime) -> None:
    class Forgetful(Shop):
        def initialize(self) -> None:
            pass

    shop = Forgetful()
    runtime.spawn(shop)
    with expect_failure(StateError, "Forgetful.initialize() must call super"):
        post(runtime, shop, "open")
    runtime.wait(shop)


def test_a_circle_of_asks_through_a_postponed_message_is_found(runtime: Runtime) -> None:
    class Asking(Process):
        def ask_shop(self, shop: UPID) -> bytes:
            return self.ask(shop, "order", b"x").get()

        def value(self) -> int:
            return 1

    class Waiting(Shop):
        def wait_for(self, asking: UPID) -> int:
            return self.runtime.dispatch(asking, Asking.value).get()

    shop, asking = Waiting(), Asking()
    runtime.spawn(shop)
    runtime.spawn(asking)
    asked: Future[bytes] = runtime.dispatch(asking, Asking.ask_shop, shop.pid)
    while not shop.postponed:
        gevent.idle()
    with pytest.raises(Deadlock):
        runtime.dispatch(shop, Waiting.wait_for, asking.pid).get(20.0)
    runtime.terminate(shop)
    asked.wait(20.0)


# Declarations


def declare(**attributes: Any) -> type[StateMachine]:
    return type("Wrong", (StateMachine,), attributes)


def handler(*marks: Callable[[Any], Any]) -> Any:
    def handle(self: Any, sender: UPID, body: bytes) -> None: ...

    for mark in marks:
        handle = mark(handle)
    return handle


def action(*marks: Callable[[Any], Any]) -> Any:
    def act(self: Any) -> None: ...

    for mark in marks:
        act = mark(act)
    return act


A, B = State(initial=True), State()


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"a": State()}, "expected one state of Wrong with initial=True, got none"),
        ({"a": State(initial=True), "b": State(initial=True)}, "got a, b"),
        ({"a": A, "again": A}, r"Wrong\.again takes the place of declared before"),
        ({"state": State(initial=True)}, r"Wrong\.state takes the place of what a StateMachine"),
        ({"f": handler(B.on("x"))}, r"Wrong\.f is for <State .*>, which is none of Wrong"),
        (
            {"b": (b := State(initial=True)), "f": handler(b.on("x")), "g": handler(b.on("x"))},
            r"Wrong declares two methods for messages 'x' in <State b>, f and g",
        ),
        (
            {"c": (c := State(initial=True)), "f": action(c.entry), "g": action(c.entry)},
            r"two methods for entry in <State c>, f and g",
        ),
        (
            {"d": (d := State(initial=True)), "f": d.on("x")(lambda self: None)},
            r"Wrong\.f cannot handle messages 'x': expected Wrong\.f\(self, sender, body\)",
        ),
        (
            {"e": (e := State(initial=True)), "f": e.exit(lambda self, other: None)},
            r"cannot handle the exit of <State e>: expected Wrong\.f\(self\)",
        ),
        (
            {"g": (g := State(initial=True, postpone=["x"])), "f": handler(g.on("x"))},
            r"Wrong\.g postpones 'x', which it handles, too",
        ),
        (
            {"h": State(initial=True, postpone=["x"])},
            r"Wrong\.h postpones 'x', which no other state handles",
        ),
    ],
)
def test_a_machine_that_cannot_work_is_not_made(attributes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        declare(**attributes)


@pytest.mark.parametrize("postpone", ["order", 5, [5], [b"x"]])
def test_what_is_no_name_of_a_message_is_not_postponed(postpone: Any) -> None:
    with pytest.raises(InvalidArgument):
        State(postpone=postpone)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), "1", None])
def test_a_timeout_that_is_none_is_refused(seconds: Any) -> None:
    with pytest.raises(InvalidArgument):
        State().timeout(seconds)


def test_a_machine_without_states_is_not_made() -> None:
    class Base(StateMachine):
        pass

    with pytest.raises(InvalidArgument, match="expected Base to declare states"):
        Base()


@pytest.mark.parametrize("name", ["max_postponed", "max_postponed_bytes"])
def test_a_bound_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match=name):
        type("Wrong", (Shop,), {name: 0})()


def test_a_subclass_overrides_handlers_and_adds_states(runtime: Runtime) -> None:
    class Market(Shop):
        holiday = State()

        def on_order(self, sender: UPID, body: bytes) -> None:
            self.log.append("overridden")

        @Shop.serving.on("rest")
        def on_rest(self, sender: UPID, body: bytes) -> None:
            self.next_state(Market.holiday)

    market = Market()
    runtime.spawn(market)
    post(runtime, market, "open", "order:1", "rest", "rest")
    assert (market.log[-2:], market.state) == (["overridden", "exit of open"], Market.holiday)
    assert letters(runtime) == [("rest", "not in this state")]


# Between nodes


def test_what_another_node_asks_is_postponed_and_answered(make_runtime: RuntimeMaker) -> None:
    there, here = (make_runtime(Settings(ip="127.0.0.1")) for _ in range(2))
    shop = Small()
    there.spawn(shop)
    answers = [here.ask(shop.pid, "Order", Order(number), returns=int) for number in range(3)]
    with pytest.raises(Abandoned, match="too many postponed"):  # beyond the bound
        answers.pop().get(20.0)

    assert shop.postponed == 2
    there.post(shop, "open")
    assert [answer.get(20.0) for answer in answers] == [1, 2]
