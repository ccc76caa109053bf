"""A chat: rooms that are processes, a page for the browser, and one or more nodes.

On one node, with the page at ``http://127.0.0.1:8000/chat``::

    cd examples
    greenproc serve chat:app --port 8000

Under gunicorn, with one worker::

    gunicorn -k greenproc.wsgi.GreenprocWorker -b 127.0.0.1:8000 chat:app

On two nodes, where the rooms of the first are also those of the second::

    greenproc serve chat:app --port 8000
    CHAT_ROOMS=127.0.0.1:8000 greenproc serve chat:app --port 8001

``CHAT_DATABASE`` names the file that keeps what was said, ``chat.sqlite`` if it is not set.

How it is made: `chat.hall` knows the rooms of a node, `chat.room` is one of them and `chat.store`
its file; `chat.member` is a browser that is connected, `chat.front` what it connects to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chat.front import Front
from chat.hall import HALL, Hall
from greenproc import UPID, Address, Runtime
from greenproc.wsgi import Middleware

__all__ = ["app", "open_chat", "spawn_processes"]


def open_chat(
    runtime: Runtime, *, database: str | Path | None = None, rooms: Address | None = None
) -> None:
    """Spawn the chat on *runtime*.

    Args:
        database: the file of the rooms of this node.
        rooms: the node that has the rooms; this one if None.
    """
    if rooms is None:
        runtime.spawn(Hall(database or "chat.sqlite"))
    hall = UPID(HALL, rooms or runtime.address)
    if find_spec("wsproto") is None:
        runtime.spawn(Front(hall))  # the page makes do with a stream of events
    else:
        from chat.sockets import SocketFront

        runtime.spawn(SocketFront(hall))


def spawn_processes(runtime: Runtime) -> None:
    """Spawn the chat as the environment says."""
    rooms = os.environ.get("CHAT_ROOMS")
    open_chat(
        runtime,
        database=os.environ.get("CHAT_DATABASE"),
        rooms=Address.parse(rooms) if rooms else None,
    )


def site(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Lead every visitor to the chat."""
    start_response("302 Found", [("Location", "/chat"), ("Content-Length", "0")])
    return []


site.greenproc = spawn_processes  # type: ignore[attr-defined]
app = Middleware(site)
