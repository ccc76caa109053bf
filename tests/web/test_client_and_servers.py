"""The client and servers that others wrote, and our own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.pywsgi import WSGIServer

from greenproc.future import Future
from greenproc.http.request import Request
from greenproc.http.response import OK, Response
from greenproc.http.url import URL
from greenproc.process import Process, route
from greenproc.runtime import Runtime
from greenproc.testing import await_ready
from greenproc.web import Server, connect, get, head, post, put
from tests.shell import Program
from tests.web.support import a_get


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Tell what came, or stream."""
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read()
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"%d\n" % number for number in range(5))
    if path == "/redirect":
        start_response("302 Found", [("Location", "/told?by=redirect"), ("Content-Length", "0")])
        return []
    text = f"{environ['REQUEST_METHOD']} {path}?{environ['QUERY_STRING']} ".encode() + body
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]


@pytest.fixture
def pywsgi() -> Iterator[str]:
    """The URL of gevent's own server."""
    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.stop()


def test_pywsgi_answers(pywsgi: str) -> None:
    assert await_ready(get(f"{pywsgi}/a?b=c")).body == b"GET /a?b=c "
    assert await_ready(post(f"{pywsgi}/a", body=b"data")).body == b"POST /a? data"
    assert await_ready(head(f"{pywsgi}/a")).headers["Content-Length"] == "9"
    assert await_ready(put(f"{pywsgi}/a", body=iter([b"da", b"ta"]))).body == b"PUT /a? data"


def test_pywsgi_streams(pywsgi: str) -> None:
    response = await_ready(get(f"{pywsgi}/stream", stream=True))

    assert await_ready(response.reader.read_all()) == b"0\n1\n2\n3\n4\n"


def test_pywsgi_redirects(pywsgi: str) -> None:
    assert (
        await_ready(get(f"{pywsgi}/redirect", max_redirects=1)).body == b"GET /told?by=redirect "
    )


def test_pywsgi_keeps_a_connection(pywsgi: str) -> None:
    with await_ready(connect(pywsgi)) as connection:
        futures = [connection.send(a_get(f"/{number}")) for number in range(100)]

        assert [await_ready(future).body for future in futures] == [
            b"GET /%d? " % number for number in range(100)
        ]
    gevent.idle()


SERVER = """
import sys
from http.server import HTTPServer, SimpleHTTPRequestHandler

class Handler(SimpleHTTPRequestHandler):
    protocol_version = sys.argv[1]
    def log_message(self, *args):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port)
server.serve_forever()
"""


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_the_standard_library_serves_files(tmp_path: Path, version: str) -> None:
    data = bytes(range(256)) * 8000
    (tmp_path / "data.bin").write_bytes(data)
    with Program(sys.executable, "-c", SERVER, version, cwd=tmp_path) as program:
        url = f"http://127.0.0.1:{program.line('^[0-9]+$')[0]}"

        assert await_ready(get(f"{url}/data.bin")).body == data
        streamed = await_ready(get(f"{url}/data.bin", stream=True))
        assert await_ready(streamed.reader.read_all()) == data
        assert await_ready(get(f"{url}/missing")).status == 404
        assert await_ready(head(f"{url}/data.bin")).headers["Content-Length"] == str(len(data))
        assert b"data.bin" in await_ready(get(url)).body


class Echo(Process):
    """Sends back what comes."""

    def __init__(self) -> None:
        super().__init__("echo")

    @route("/echo")
    def on_echo(self, request: Request) -> Response:
        return OK(request.body, headers={"X-Query": str(sorted(request.url.query.items()))})

    @route("/asks")
    def on_asks(self, request: Request) -> Future[Response]:
        # It may ask itself for something else, as long as it does not wait for it.
        response = get((self.pid, "echo?from=asks"))
        return response.then(lambda response: OK(response.headers["X-Query"]))


@pytest.fixture
def echo(runtime: Runtime) -> Echo:
    process = Echo()
    runtime.spawn(process)
    return process


def test_a_node_answers(echo: Echo) -> None:
    assert await_ready(post((echo.pid, "echo"), body=b"hello")).body == b"hello"
    assert await_ready(get((echo.pid, "/echo?a=b"))).headers["X-Query"] == "[('a', 'b')]"
    assert await_ready(get((echo.pid, "missing"))).status == 404


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_node_unpacks_and_packs(echo: Echo, stream: bool) -> None:
    headers = {"Accept-Encoding": "gzip"}
    response = await_ready(post((echo.pid, "echo"), headers, b"x" * 5000, stream=stream))

    body = await_ready(response.reader.read_all()) if stream else response.body
    assert body == b"x" * 5000


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_node_hands_on_what_it_was_answered(echo: Echo, stream: bool) -> None:
    def relay(request: Request) -> Future[Response]:
        return post((echo.pid, "echo"), {"Accept-Encoding": "gzip"}, request.body, stream=stream)

    with Server(relay) as relaying:
        response = await_ready(post(relaying.address, body=b"x" * 5000))

    assert response.body == b"x" * 5000


def test_a_node_takes_a_streamed_body(echo: Echo) -> None:
    assert await_ready(post((echo.pid, "echo"), body=iter([b"a", b"b"]))).body == b"ab"


def test_a_process_may_ask_while_it_answers(echo: Echo) -> None:
    assert await_ready(get((echo.pid, "asks"))).body == b"[('from', 'asks')]"


@pytest.mark.parametrize("id", ["a b", "100%", "ä", "a?b", "a#b", "(1)", "a:b"])
def test_a_process_is_found_whatever_its_id(runtime: Runtime, id: str) -> None:
    class Named(Process):
        @route("/name")
        def on_name(self, request: Request) -> Response:
            return OK(self.pid.id)

    pid = runtime.spawn(Named(id))

    assert await_ready(get((pid, "name"))).body == id.encode()


def test_a_thousand_requests_are_pipelined_to_a_node(runtime: Runtime, echo: Echo) -> None:
    with await_ready(connect(echo.pid)) as connection:
        asked = [
            Request("POST", URL("/echo/echo"), body=b"%d" % number, keep_alive=True)
            for number in range(1000)
        ]
        futures = [connection.send(one) for one in asked]

        assert [int(await_ready(future).body) for future in futures] == list(range(1000))
