"""Asks a site with the client of the standard library, over one connection, and prints answers."""

from __future__ import annotations

import sys
from http.client import HTTPConnection

connection = HTTPConnection(sys.argv[1], timeout=20)


def ask(method: str, path: str, **options: object) -> None:
    """Make a request and print what comes back."""
    connection.request(method, path, **options)  # type: ignore[arg-type]
    port = connection.sock.getsockname()[1]
    with connection.getresponse() as response:
        body = response.read()
        text = body if len(body) < 20 else len(body)
        length = response.headers["Content-Length"]
        print(response.version, response.status, response.reason, length, text, port == PORT)  # noqa: T201


connection.connect()
PORT = connection.sock.getsockname()[1]
ask("GET", "/site/number")
ask("HEAD", "/site/number")
ask("POST", "/site/echo", body=b"hello")
ask("PUT", "/site/echo", body=iter([b"in ", b"chunks"]), encode_chunked=True)
ask("GET", "/site/stream")
ask("POST", "/site/back", body=iter([b"there ", b"and ", b"back"]), encode_chunked=True)
ask("DELETE", "/site/asked?a=b%20c")
ask("GET", "/nowhere")
ask("POST", "/site/note", body=b"hi", headers={"Libprocess-From": "x@1.2.3.4:5"})
connection.close()
