"""The bytes of libprocess messages, written by hand, for peers that are plain sockets."""

from __future__ import annotations

import re

from greenproc import UPID, Address
from tests.peer import Acceptor, Peer

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
NOT_FOUND = (
    b"HTTP/1.1 404 Not Found\r\nDate: Tue, 24 Nov 2026 02:22:17 GMT\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n\r\n404 Not Found."
)
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def request(path: str, sender: str, host: Address, body: bytes = b"") -> bytes:
    """Return a message as libprocess sends it; the recorded ones have this form."""
    head = (
        f"POST {path} HTTP/1.1\r\nUser-Agent: libprocess/{sender}\r\nLibprocess-From: {sender}\r\n"
        f"Connection: Keep-Alive\r\nHost: {host}\r\n"
    ).encode()
    if not body:
        return head + b"\r\n"
    return (
        head
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n" % len(body)
        + body
        + b"\r\n0\r\n\r\n"
    )


class Stranger(Acceptor):
    """A libprocess peer that is two plain sockets: one that it listens at, one that it sends by."""

    def pid(self, id: str) -> UPID:
        return UPID(id, self.address)

    def expect(self, peer: Peer, path: str, sender: str, body: bytes = b"") -> None:
        """Read one message, which is to have exactly these bytes."""
        expected = request(path, sender, self.address, body)
        assert peer.read(len(expected)) == expected

    def read_ask(self, peer: Peer, path: str, node: Address, body: bytes = b"") -> str:
        """Read the message of an ask, of which only the sender is unknown; return the sender."""
        head = peer.read_until(b"\r\n\r\n")
        match = re.search(rb"Libprocess-From: (__ask__[0-9a-f]{8}\([0-9]+\))@", head)
        assert match is not None, head
        sender = f"{match[1].decode()}@{node}"
        expected = request(path, sender, self.address, body)
        assert head + peer.read(len(expected) - len(head)) == expected
        return sender

    def tell(self, node: Address, path: str, body: bytes = b"", *, sender: str = "x") -> int:
        """Send a message over a connection of its own, and return the status that answers it."""
        with Peer.connect(node) as peer:
            return peer.ask(request(path, f"{sender}@{self.address}", node, body)).code

    def answer(self, node: Address, ask: str, body: bytes = b"", *, name: str = "answer") -> int:
        """Answer *ask*, which `read_ask` has returned."""
        return self.tell(node, f"/{ask.partition('@')[0]}/{name}", body)
