"""What one can do with a process, before, while and after it runs."""

from __future__ import annotations

import pytest
from gevent.event import Event

from greenproc.current import find_runtime
from greenproc.errors import InvalidArgument, NoRuntime
from greenproc.http.request import Request
from greenproc.http.url import URL
from greenproc.pid import UPID
from greenproc.process import MessageEvent, Process, install, route
from greenproc.process.current import current_process
from greenproc.runtime import Runtime
from greenproc.testing import await_ready


class Receiver(Process):
    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self.got: list[object] = []

    @install("declared")
    def on_declared(self, sender: UPID, body: bytes) -> None:
        self.got.append(("declared", sender, body))

    def on_installed(self, sender: UPID, body: bytes) -> None:
        self.got.append(("installed", sender, body))


def test_process_without_a_runtime_has_no_address() -> None:
    process = Receiver("a")
    with pytest.raises(NoRuntime):
        process.pid  # noqa: B018 -- looking raises
    with pytest.raises(NoRuntime):
        process.send(UPID(), "m")
    assert repr(process) == "<Receiver a bottom>"


def test_unspawned_process_may_send(runtime: Runtime) -> None:
    receiver = Receiver()
    runtime.spawn(receiver)
    sender = Receiver("sender")
    sender.send(receiver, "declared", b"1")
    runtime.settle()
    assert receiver.got == [("declared", UPID("sender", runtime.address), b"1")]


def test_id_must_be_text() -> None:
    with pytest.raises(
        InvalidArgument,
        match="expected the id of a process as str of one character or more, got 1",
    ):
        Process(1)  # type: ignore[arg-type]


def test_repr_tells_address_and_state(runtime: Runtime) -> None:
    process = Receiver("a")
    pid = runtime.spawn(process)
    assert repr(process) == f"<Receiver {pid} bottom>"
    runtime.settle()
    assert repr(process) == f"<Receiver {pid} blocked>"
    runtime.terminate(pid)
    runtime.wait(pid)
    assert repr(process) == f"<Receiver {pid} terminating>"


def test_subclass_may_use_any_attribute_name(runtime: Runtime) -> None:
    class Naming(Process):
        def __init__(self) -> None:
            super().__init__("naming")
            self.id = self.state = self.events = self.manager = self.record = self.context = 1
            self._record = self._mailbox = self._manager = self.gate = self.handlers = 2

    assert runtime.dispatch(runtime.spawn(Naming()), lambda: "alive").get() == "alive"


def test_handler_knows_its_process_and_runtime(runtime: Runtime) -> None:
    process = Receiver()
    pid = runtime.spawn(process)
    assert runtime.dispatch(pid, lambda: (current_process(), find_runtime())).get() == (
        process,
        runtime,
    )
    assert process.runtime is runtime
    assert current_process() is None


# Messages


def test_installed_handler_comes_before_a_declared_one(runtime: Runtime) -> None:
    receiver = Receiver()
    receiver.install("declared", receiver.on_installed)
    runtime.post(runtime.spawn(receiver), "declared", b"1")
    runtime.settle()
    assert receiver.got == [("installed", UPID(), b"1")]


def test_later_install_replaces_the_earlier(runtime: Runtime) -> None:
    receiver = Receiver()
    receiver.install("m", lambda sender, body: receiver.got.append("first"))
    receiver.install("m", lambda sender, body: receiver.got.append("second"))
    runtime.post(runtime.spawn(receiver), "m")
    runtime.settle()
    assert receiver.got == ["second"]


def test_handlers_come_before_delegates(runtime: Runtime) -> None:
    receiver, other = Receiver("receiver"), Receiver("other")
    runtime.spawn(other)
    receiver.delegate("declared", other)
    runtime.post(runtime.spawn(receiver), "declared")
    runtime.settle()
    assert (len(receiver.got), other.got) == (1, [])


def test_last_delegate_of_a_name_wins(runtime: Runtime) -> None:
    receiver, first, second = Receiver("receiver"), Receiver("first"), Receiver("second")
    for process in (receiver, first, second):
        process.install("m", process.on_installed)
        runtime.spawn(process)
    forwarder = Process("forwarder")
    forwarder.delegate("m", first)
    forwarder.delegate("m", second.pid)
    sender = UPID.parse("s@10.0.0.1:1")
    runtime.post(runtime.spawn(forwarder), "m", b"x", sender=sender)
    runtime.settle()
    assert (first.got, second.got) == ([], [("installed", sender, b"x")])


def test_consumer_may_be_overridden(runtime: Runtime) -> None:
    class Consuming(Receiver):
        def consume_message(self, event: MessageEvent) -> None:
            self.got.append(event.message.name)
            super().consume_message(event)

    receiver = Consuming()
    runtime.post(runtime.spawn(receiver), "declared")
    runtime.settle()
    assert receiver.got == ["declared", ("declared", UPID(), b"")]


@pytest.mark.usefixtures("untraced")
def test_service_may_be_overridden(runtime: Runtime) -> None:
    class Serving(Receiver):
        def serve(self, event: object) -> None:
            self.got.append(type(event).__name__)
            super().serve(event)

    receiver = Serving()
    pid = runtime.spawn(receiver)
    runtime.post(pid, "declared")
    runtime.dispatch(pid, int).get()
    runtime.terminate(pid)
    runtime.wait(pid)
    assert [what for what in receiver.got if isinstance(what, str)] == [
        "MessageEvent",
        "DispatchEvent",
        "TerminateEvent",
    ]


# Routes


def test_route_may_be_added_by_an_instance(runtime: Runtime) -> None:
    class Routed(Process):
        def __init__(self) -> None:
            super().__init__("routed")
            self.route("/added", lambda request: "added")

        @route("/declared")
        def on_declared(self, request: Request) -> str:
            return "declared"

    runtime.spawn(Routed())
    serve = runtime._parts().router.serve
    for path in ("added", "declared"):
        response = await_ready(serve(Request("GET", URL.parse(f"/routed/{path}"))))
        assert response.body == path.encode()
    assert await_ready(serve(Request("GET", URL.parse("/routed/x")))).status == 404


# Greenlets


def test_greenlet_of_a_process_has_its_context_but_not_its_turn(runtime: Runtime) -> None:
    process = Receiver()
    pid = runtime.spawn(process)
    greenlet = runtime.dispatch(pid, lambda: [process.spawn_greenlet(current_process)]).get()[0]
    assert greenlet.get(timeout=15.0) is process


def test_process_does_not_wait_for_its_greenlets(runtime: Runtime) -> None:
    process = Receiver()
    pid = runtime.spawn(process)
    gate = Event()
    greenlet = runtime.dispatch(pid, lambda: [process.spawn_greenlet(gate.wait)]).get()[0]
    assert runtime.dispatch(pid, lambda: "free").get(timeout=15.0) == "free"
    gate.set()
    greenlet.join()


def test_process_terminates_itself(runtime: Runtime) -> None:
    process = Receiver()
    pid = runtime.spawn(process)
    runtime.dispatch(pid, process.terminate)
    assert runtime.wait(pid)
