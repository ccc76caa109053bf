"""No message from outside ends a process of the chat."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from greenproc import UPID, Runtime
from greenproc.process.base import declared_of
from tests.examples.conftest import Visit
from tests.peer import Peer
from tests.test_examples_outside import BODIES

MORE = [
    b'"lobby"',
    b'{"who":"w","name":"N"}',
    b'{"who":"w","name":"N","since":5}',
    b'{"token":"t","text":"hello"}',
    b'{"room":"lobby","pid":"nonsense"}',
    b'{"room":"lobby","pid":"room.lobby@127.0.0.1:1"}',
    b"7",
    b'{"who":"\\ud800","name":"\\ud800"}',
]


@pytest.mark.parametrize("id", ["hall", "room.lobby", "Member(1)", "chat"])
def test_no_message_ends_a_process_of_the_chat(node: Runtime, visit: Visit, id: str) -> None:
    ada = visit(node, "Ada", "lobby")
    pid = UPID(id, node.address)
    process = node.processes.find_process(pid)
    assert process is not None
    senders = (f"nobody@{node.address}", str(pid), f"hall@{node.address}", "nonsense")
    with Peer.connect(node.address) as peer:
        for name in declared_of(process).messages:
            for sender in senders:
                for body in (*BODIES, *MORE):
                    head = f"POST /{quote(id)}/{name} HTTP/1.1\r\nHost: x\r\n"
                    about = f"Libprocess-From: {sender}\r\nContent-Length: {len(body)}\r\n\r\n"
                    assert peer.ask((head + about).encode() + body).code == 202

    assert node.dispatch(pid, lambda: "it lives").get(15.0) == "it lives"
    ada.join("lobby")
    ada.say("lobby", "still-here")
