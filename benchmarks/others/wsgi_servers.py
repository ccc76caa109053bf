"""What WSGI servers on gevent do: its own, and gunicorn with a worker of gevent."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from gevent import socket
from gevent.pywsgi import WSGIServer

from benchmarks.children import STOP_SECONDS, measure_other, serving
from benchmarks.harness import Other, Sample
from benchmarks.load import alternating
from benchmarks.nodes import say, wait_for_end_of_input


def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer as the rows do."""
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "5")]
    start_response("200 OK", headers)
    return [b"hello"]


def flask_app() -> Any:
    """Make an app of Flask that answers as the rows do."""
    from flask import Flask

    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: ("hello", {"Content-Type": "text/plain"}))
    return app


def serve_pywsgi() -> None:
    """Run gevent's own server for the parent."""
    listener = socket.socket()
    # Accepted sockets inherit it. Without, a response in two pieces waits for 40 ms on loopback.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    server = WSGIServer(listener, application, log=None)
    server.start()
    say(f"127.0.0.1:{server.server_port}")
    wait_for_end_of_input()
    server.stop()


def pywsgi_route(count: int) -> Sample:
    """Ask gevent's own server."""
    with serving(serve_pywsgi) as address:
        return alternating(address, "/", count)


@contextmanager
def gunicorn(app: str = "application", worker: str = "gevent") -> Iterator[str]:
    """Run gunicorn with one worker for the block; gives its address.

    Args:
        app: the name of an app of this module.
    """
    from gunicorn import version_info

    target = f"{__name__}:{app}"
    options = ["-k", worker, "-w", "1", "-b", "127.0.0.1:0", "--keep-alive", "60"]
    if version_info >= (25,):
        options.append("--no-control-socket")
    command = [sys.executable, "-m", "gunicorn", *options, target]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            for line in server.stderr:
                listening = re.search("Listening at: http://([0-9.:]+)", line)
                if listening:
                    yield listening[1]
                    break
            else:
                raise RuntimeError("gunicorn ended before it served")
        finally:
            server.terminate()
            server.communicate(timeout=STOP_SECONDS)


def gunicorn_route(count: int) -> Sample:
    """Ask gunicorn."""
    with gunicorn() as address:
        return alternating(address, "/", count)


def wsgi_servers(count: int) -> tuple[Other, Other]:
    """Return both servers, asked so many times."""
    return (
        Other("gevent.pywsgi", count, lambda count: measure_other("gevent", pywsgi_route, count)),
        Other("gunicorn", count, lambda count: measure_other("gunicorn", gunicorn_route, count)),
    )
