"""A WSGI app that counts its visitors in a process, which outlives their requests.

    $ greenproc serve hits:app --port 8000      (in the folder of this file)
    $ curl http://127.0.0.1:8000/               1, then 2 ...

``python examples/hits.py`` serves it for three visitors of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import greenproc
from greenproc import UPID, Process, Runtime, dispatch, web
from greenproc.wsgi import WSGIProcess


class Hits(Process):
    """Counts, one visit at a time."""

    def __init__(self) -> None:
        super().__init__("hits")
        self.total = 0

    def visit(self) -> int:
        self.total += 1
        return self.total


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer with the number of the visit."""
    hits = UPID("hits", greenproc.address())
    number = dispatch(hits, Hits.visit).get(timeout=5.0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{number}\n".encode()]


def spawn_processes(runtime: Runtime) -> None:
    """Spawn what the app works with; `greenproc serve` calls this before the first request."""
    runtime.spawn(Hits())


app.greenproc = spawn_processes  # type: ignore[attr-defined]


def main() -> None:
    """Serve three visitors."""
    with Runtime(delegate="__app__") as runtime:
        spawn_processes(runtime)
        runtime.spawn(WSGIProcess("__app__", app))
        for _ in range(3):
            print(web.get(f"http://{runtime.address}/").get().body.decode(), end="")


if __name__ == "__main__":
    main()
