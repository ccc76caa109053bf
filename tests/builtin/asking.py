"""Asking a node over HTTP, as a terminal or a browser does."""

from __future__ import annotations

from greenproc.runtime import Runtime
from tests.peer import Answer, Peer

CURL = "User-Agent: curl/8.5.0\r\nAccept: */*\r\n"
BROWSER = "User-Agent: Mozilla/5.0\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"


def ask(runtime: Runtime, path: str, headers: str = "") -> Answer:
    """Return the answer to a GET."""
    with Peer.connect(runtime.address) as peer:
        return peer.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())


def text(answer: Answer) -> str:
    """Return the body of an answer that must be a 200."""
    assert answer.code == 200, answer
    return answer.body.decode()
