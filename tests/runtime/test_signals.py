"""What observers are told, and that they cannot disturb anybody."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest

from greenproc.future import Promise
from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.runtime import Runtime, Signals
from greenproc.runtime.signals import IsolatedSignal
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker, await_ready, expect_failure
from tests.peer import Acceptor, Peer, closed_address


class Failing(Process):
    @install("fail")
    def on_fail(self, sender: UPID, body: bytes) -> None:
        raise ValueError("on purpose")


class Linker(Process):
    def exited(self, pid: UPID) -> None: ...


class Seen:
    """Notes the values of one signal, and checks that the runtime is the sender."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        self.values: list[dict[str, Any]] = []
        self.first: Promise[dict[str, Any]] = Promise()
        self._runtime = runtime
        getattr(runtime.signals, name).connect(self._note)

    def _note(self, sender: Runtime, **values: Any) -> None:
        assert sender is self._runtime
        self.values.append(values)
        self.first.set(values)


def test_lambda_stays_connected() -> None:
    signal, seen = IsolatedSignal(), []
    signal.connect(lambda sender, **values: seen.append(values))
    gc.collect()
    signal.emit("sender", number=1)
    assert seen == [{"number": 1}]


def test_failing_receiver_is_logged_and_the_others_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    signal, seen = IsolatedSignal("test_signal(number)"), []

    def fail(sender: object, **values: object) -> None:
        raise ValueError("on purpose")

    signal.connect(fail)
    signal.connect(lambda sender, **values: seen.append(1))
    signal.connect(fail)
    with expect_failure(ValueError):
        signal.emit("sender")
    assert seen == [1]
    assert "of signal test_signal(number) failed" in caplog.text


def test_disconnected_receiver_is_told_no_more() -> None:
    signal, seen = IsolatedSignal(), []

    def receive(sender: object, **values: object) -> None:
        seen.append(sender)

    signal.connect(receive)
    signal.disconnect(receive)
    signal.emit("sender")
    assert seen == []


def test_receiver_may_ask_for_one_sender() -> None:
    signal, seen = IsolatedSignal(), []
    wanted, other = object(), object()
    signal.connect(lambda sender, **values: seen.append(sender), sender=wanted)
    signal.emit(wanted)
    signal.emit(other)
    assert seen == [wanted]


def test_repr_names_what_is_listened_to() -> None:
    signals = Signals()
    assert repr(signals) == "<Signals listened to: none>"
    signals.link_made.connect(lambda sender: None)
    assert repr(signals) == "<Signals listened to: link_made>"


def test_signals_of_a_process_from_spawn_to_end(runtime: Runtime) -> None:
    spawned, terminated = Seen(runtime, "process_spawned"), Seen(runtime, "process_terminated")
    pid = runtime.spawn(Process("a"))
    runtime.terminate(pid)
    runtime.wait(pid)
    assert spawned.values == [{"pid": pid}]
    assert terminated.values == [{"pid": pid, "reason": None}]


def test_signals_of_a_failing_process(runtime: Runtime) -> None:
    failed, terminated = Seen(runtime, "process_failed"), Seen(runtime, "process_terminated")
    pid = runtime.spawn(Failing("a"))
    with expect_failure(ValueError) as errors:
        runtime.post(pid, "fail")
        runtime.settle()
    (values,) = failed.values
    assert (values["pid"], values["error"]) == (pid, errors[0])
    assert values["event"].message.name == "fail"
    assert terminated.values == [{"pid": pid, "reason": errors[0]}]


def test_signals_of_a_local_link(runtime: Runtime) -> None:
    made, lost = Seen(runtime, "link_made"), Seen(runtime, "link_lost")
    linker, linkee = Linker("linker"), runtime.spawn(Process("linkee"))
    runtime.spawn(linker)
    for _ in range(2):
        runtime.dispatch(linker, lambda: [linker.link(linkee)]).get()
    assert made.values == [{"linker": linker.pid, "linkee": linkee}]
    runtime.terminate(linkee)
    runtime.wait(linkee)
    assert lost.values == [{"linker": linker.pid, "linkee": linkee}]


def test_signals_of_a_remote_link(runtime: Runtime) -> None:
    lost = Seen(runtime, "link_lost")
    linker = Linker("linker")
    runtime.spawn(linker)
    with Acceptor() as acceptor:
        linkee = UPID("x", acceptor.address)
        runtime.dispatch(linker, lambda: [linker.link(linkee)]).get()
        acceptor.accept().close()
    assert await_ready(lost.first.future) == {"linker": linker.pid, "linkee": linkee}


def test_signals_of_a_local_message(runtime: Runtime) -> None:
    sent, delivered = Seen(runtime, "message_sent"), Seen(runtime, "message_delivered")
    pid = runtime.spawn(Process("a"))

    runtime.post(pid, "m", b"body")

    assert [values["message"].body for values in sent.values] == [b"body"]
    assert delivered.values == sent.values


@pytest.mark.parametrize("linked", [False, True])
def test_signals_of_a_remote_message(make_runtime: RuntimeMaker, linked: bool) -> None:
    here, there = make_runtime(), make_runtime()
    sent, delivered = Seen(here, "message_sent"), Seen(there, "message_delivered")
    echoed, told = Seen(there, "message_sent"), Seen(here, "message_delivered")
    pid = there.spawn(Process("a"))
    if linked:
        linker = Linker()
        here.spawn(linker)
        here.dispatch(linker, lambda: [linker.link(pid)]).get()

    here.post(pid, "m", b"body")

    assert await_ready(delivered.first.future) == sent.values[0]
    assert (echoed.values, told.values) == ([], [])


def test_a_message_that_is_not_delivered_is_sent_only(runtime: Runtime) -> None:
    sent, delivered = Seen(runtime, "message_sent"), Seen(runtime, "message_delivered")

    runtime.post(UPID("nowhere", runtime.address), "m")

    assert (len(sent.values), delivered.values) == (1, [])


def test_signals_of_connections(make_runtime: RuntimeMaker) -> None:
    here, there = make_runtime(), make_runtime()
    opened, closed = Seen(here, "connection_opened"), Seen(here, "connection_closed")
    accepted, left = Seen(there, "connection_opened"), Seen(there, "connection_closed")

    here.post(there.spawn(Process("a")), "m")

    assert await_ready(opened.first.future) == {"peer": there.address, "direction": "outbound"}
    came = await_ready(accepted.first.future)
    assert (came["peer"].ip, came["direction"]) == ("127.0.0.1", "inbound")
    assert closed.values == left.values == []
    here.stop()
    assert await_ready(closed.first.future) == {"peer": there.address, "direction": "outbound"}
    assert await_ready(left.first.future) == came


def test_a_receiver_that_leaves_is_told_of_no_message(runtime: Runtime) -> None:
    seen: list[object] = []

    def receive(sender: object, message: object) -> None:
        seen.append(message)

    pid = runtime.spawn(Process("a"))
    for signal in (runtime.signals.message_sent, runtime.signals.message_delivered):
        signal.connect(receive)
        signal.disconnect(receive)

    runtime.post(pid, "m")
    runtime.settle()

    assert seen == []


def test_message_that_reaches_no_node_is_reported(runtime: Runtime) -> None:
    dropped = Seen(runtime, "message_dropped")
    to = UPID("x", closed_address())
    runtime.post(to, "m", b"body")
    values = await_ready(dropped.first.future)
    assert (values["message"].to, values["message"].body) == (to, b"body")
    assert values["reason"]


def test_signals_of_the_runtime(make_runtime: RuntimeMaker) -> None:
    node = make_runtime()
    stopping, stopped = Seen(node, "runtime_stopping"), Seen(node, "runtime_stopped")
    node.stop()
    assert (stopping.values, stopped.values) == ([{}], [{"killed": ()}])


def test_start_is_told() -> None:
    node = Runtime(Settings(ip="127.0.0.1"))
    started = Seen(node, "runtime_started")
    with node:
        assert started.values == [{}]


def test_a_client_that_is_turned_away_is_told_and_counted(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime(Settings(ip="127.0.0.1", max_connections=1))
    seen = Seen(runtime, "client_refused")
    with Peer.connect(runtime.address), Peer.connect(runtime.address) as second:
        second.send(b"GET /metrics/snapshot HTTP/1.1\r\nHost: x\r\n\r\n")
        told = json.loads(second.read_answer().body)

    assert [values["reason"] for values in seen.values] == ["closed to make room"]
    assert seen.values[0]["client"].ip == "127.0.0.1"
    assert told["greenproc/clients_refused/closed_to_make_room"] == 1.0
    assert told["greenproc/connections_in_limit"] == 1.0
