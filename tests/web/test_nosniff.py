"""What a node itself writes is never to be taken for something else by a browser."""

from __future__ import annotations

import pytest

from greenproc import Runtime
from greenproc.process import Process
from tests.peer import Peer

PATHS = {
    "/": 200,
    "/help": 200,
    "/help/system?format=json": 200,
    "/metrics/snapshot": 200,
    "/metrics/prometheus": 200,
    "/metrics/snapshot?jsonp=<script>": 400,
    "/system/stats.json": 200,
    "/logging/toggle": 200,
    "/logging/toggle?level=1": 400,
    "/__processes__": 200,
    "/__node__/state": 200,
    "/__node__/node.js": 200,
    "/__node__/process?id=p": 200,
    "/__node__/process?id=p&format=json": 200,
    "/__node__/process?id=p&format=markdown": 200,
    "/__node__/process?id=nobody": 404,
    "/__node__/process?id=nobody&format=json": 404,
    "/__node__/process": 400,
    "/__node__/traffic": 200,
    "/__node__/traffic?watch=1": 400,
    "/nobody": 404,
    "/p/nothing": 404,
    "/x/../y": 404,
}


@pytest.mark.parametrize("path", PATHS)
def test_no_browser_guesses_what_a_node_has_written(runtime: Runtime, path: str) -> None:
    runtime.spawn(Process("p"))
    with Peer.connect(runtime.address) as peer:
        answer = peer.get(path)
    assert answer.code == PATHS[path]
    assert answer.header("X-Content-Type-Options") == "nosniff"


def test_what_breaks_http_is_answered_so_too(runtime: Runtime) -> None:
    with Peer.connect(runtime.address) as peer:
        answer = peer.ask(b"<script>\r\n\r\n")
    assert (answer.code, answer.header("X-Content-Type-Options")) == (400, "nosniff")


def test_the_answer_to_a_message_is_that_of_libprocess(runtime: Runtime) -> None:
    pid = runtime.spawn(Process("p"))
    with Peer.connect(runtime.address) as peer:
        answer = peer.ask(
            f"POST /{pid.id}/note HTTP/1.1\r\nHost: x\r\nLibprocess-From: a@1.2.3.4:5\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
    assert [name for name, _ in answer.headers] == ["Date", "Content-Length"]
