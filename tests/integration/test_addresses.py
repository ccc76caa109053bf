"""Where a node is reached: advertised addresses, all interfaces, IPv6 and host names."""

from __future__ import annotations

import pytest

from greenproc import UPID, Process, Promise, Runtime, Settings, install
from greenproc.address import Address
from greenproc.errors import BindError
from greenproc.message import Message
from greenproc.process import MessageEvent
from greenproc.testing import await_ready
from greenproc.testing.runtimes import RuntimeMaker


class Receiver(Process):
    """Keeps the first message it gets, and answers it."""

    def __init__(self) -> None:
        super().__init__("receiver")
        self.received: Promise[Message] = Promise()

    def consume_message(self, event: MessageEvent) -> None:
        self.received.set(event.message)
        self.send(event.message.sender, "answer", event.message.body)


class Asker(Process):
    """Sends one message and keeps the answer."""

    def __init__(self, to: UPID) -> None:
        super().__init__("asker")
        self.to = to
        self.answered: Promise[bytes] = Promise()

    def initialize(self) -> None:
        self.send(self.to, "question", b"body")

    @install("answer")
    def on_answer(self, sender: UPID, body: bytes) -> None:
        self.answered.set(body)


def ask(node: Runtime, to: UPID) -> bytes:
    asker = Asker(to)
    node.spawn(asker)
    answer: bytes = await_ready(asker.answered.future)
    return answer


def test_a_message_from_another_node_is_addressed_to_the_advertised_address(
    make_runtime: RuntimeMaker,
) -> None:
    node = make_runtime(Settings(ip="0.0.0.0", advertise_ip="127.0.0.1"))
    receiver = Receiver()
    pid = node.spawn(receiver)

    assert ask(make_runtime(), pid) == b"body"

    assert pid.address == Address("127.0.0.1", node.address.port)
    assert await_ready(receiver.received.future).to == pid


def test_the_advertised_port_replaces_the_bound_one_in_every_pid(
    make_runtime: RuntimeMaker,
) -> None:
    node = make_runtime(Settings(ip="127.0.0.1", advertise_port=4242))

    assert node.address == Address("127.0.0.1", 4242)
    assert node.spawn(Receiver()).address.port == 4242


def test_nodes_talk_over_ipv6(make_runtime: RuntimeMaker) -> None:
    node, other = (make_runtime(Settings(ip="::1")) for _ in range(2))
    pid = node.spawn(Receiver())

    assert str(pid) == f"receiver@[::1]:{node.address.port}"
    assert ask(other, UPID.parse(str(pid))) == b"body"


def test_a_node_is_reached_by_host_name(make_runtime: RuntimeMaker) -> None:
    node, other = make_runtime(), make_runtime()
    pid = node.spawn(Receiver())

    with other.selected():
        named = UPID.parse(f"receiver@localhost:{node.address.port}")

    assert named == pid
    assert named.host == "localhost"
    assert ask(other, named) == b"body"


def test_a_busy_port_is_a_clear_error_and_leaves_nothing(make_runtime: RuntimeMaker) -> None:
    taken = make_runtime().address

    with pytest.raises(BindError, match=str(taken.port)):
        Runtime(Settings(ip="127.0.0.1", port=taken.port)).start()
