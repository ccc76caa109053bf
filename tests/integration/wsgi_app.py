"""A WSGI app, and gevent's own server for it: ``python wsgi_app.py`` prints the port."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

MEGABYTE = bytes(range(256)) * 4096


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Send a megabyte: in pieces, or at once with its length; or tell what was sent."""
    path = environ["PATH_INFO"]
    if path == "/pieces":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return (MEGABYTE[at : at + 10_000] for at in range(0, len(MEGABYTE), 10_000))
    body = environ["wsgi.input"].read()
    answer = body if path == "/echo" else MEGABYTE
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()

    from gevent.pywsgi import WSGIServer

    server = WSGIServer(("127.0.0.1", 0), application, log=None)
    server.start()
    print(server.server_port, flush=True)  # noqa: T201
    server.serve_forever()
