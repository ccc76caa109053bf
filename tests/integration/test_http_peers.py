"""A node and the programs that people use: curl, wrk, browsers, and other clients and servers."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import gevent
import pytest
from gevent import subprocess

from greenproc import UPID, Runtime
from greenproc.http import Request
from greenproc.http.url import URL
from greenproc.testing import await_ready
from greenproc.web import connect, get, post
from tests.integration.site import Site
from tests.integration.wsgi_app import MEGABYTE
from tests.shell import LIMIT, Program, Result, environment

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip a test where one of *programs* is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")


def needs_library(name: str) -> pytest.MarkDecorator:
    """Skip a test where the library *name* is not installed."""
    return pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed")


def finish(*command: str, stdin: bytes = b"") -> Result:
    """Run a program to its end."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    with process:
        out, err = process.communicate(stdin, timeout=LIMIT)
    return Result(process.returncode, out.decode("latin-1"), err.decode("latin-1"))


@pytest.fixture
def site(runtime: Runtime) -> Site:
    site = Site()
    runtime.spawn(site)
    return site


@pytest.fixture
def url(runtime: Runtime, site: Site) -> str:
    return f"http://{runtime.address}/site"


# curl


def curl(*arguments: str, stdin: bytes = b"") -> str:
    """Run curl and return what it prints."""
    result = finish("curl", "-sS", "--max-time", "20", *arguments, stdin=stdin)
    assert (result.code, result.err) == (0, "")
    return result.out


@needs("curl")
def test_curl_asks_twice_over_one_connection(url: str) -> None:
    told = curl("-w", " %{num_connects} %{http_version}\n", f"{url}/number", f"{url}/number")

    assert told == '{"number":42} 1 1.1\n{"number":42} 0 1.1\n'


@needs("curl")
def test_curl_asks_with_http_1_0(url: str) -> None:
    told = curl("--http1.0", "-w", " %{num_connects}\n", f"{url}/asked", f"{url}/asked")

    # Each connection ends with its answer.
    assert told == "GET {} (1, 0) 1\n" * 2


@needs("curl")
def test_curl_reads_a_stream_with_http_1_0(url: str) -> None:
    assert len(curl("--http1.0", f"{url}/stream")) == 29_000


@needs("curl")
def test_curl_offers_http_2_and_is_served_http_1_1(url: str) -> None:
    assert curl("--http2", f"{url}/asked", "-w", " %{http_version}") == "GET {} (1, 1) 1.1"


@needs("curl")
@pytest.mark.parametrize("path", ["echo", "back"])
def test_curl_uploads_in_chunks(url: str, path: str) -> None:
    chunked = ("-H", "Transfer-Encoding: chunked", "-H", "Expect:")
    body = b"x" * 1_000_000

    told = curl(*chunked, "--data-binary", "@-", f"{url}/{path}", stdin=body)

    assert told == body.decode()


@needs("curl")
@pytest.mark.parametrize("path", ["echo", "back"])
def test_curl_waits_for_100_continue_and_gets_it(url: str, path: str) -> None:
    # Without it curl would go on after more time than it has.
    waits = ("-H", "Expect: 100-continue", "--expect100-timeout", "60", "-D", "-")

    told = curl(*waits, "--data-binary", "@-", f"{url}/{path}", stdin=b"x" * 2_000_000)

    assert told.startswith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert told.endswith("x" * 2_000_000)


@needs("curl")
def test_curl_asks_for_the_head_only(url: str) -> None:
    told = curl("-I", f"{url}/number", f"{url}/number", "-w", "%{num_connects}\n")

    lines = told.split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    assert "Content-Length: 13" in lines
    assert lines[-1] == "0\n"  # the second answer began where the first one ended


@needs("curl")
def test_curl_unpacks_what_it_asked_to_be_packed(url: str) -> None:
    told = curl("--compressed", "-D", "-", "-w", "%{size_download}", f"{url}/long")

    assert "\r\nContent-Encoding: gzip\r\n" in told
    _, _, body = told.partition("\r\n\r\n")
    assert body.startswith("line\n" * 1000)
    assert int(body.removeprefix("line\n" * 1000)) < 100


@needs("curl")
def test_curl_sends_a_message(runtime: Runtime, site: Site, url: str) -> None:
    sender = ("-H", "Libprocess-From: curl@1.2.3.4:99")

    told = curl("-X", "POST", *sender, "--data", "hi", f"{url}/note", "-w", "%{http_code}")

    assert told == "202"
    runtime.settle()
    assert site.notes == [(UPID.parse("curl@1.2.3.4:99"), b"hi")]


@needs("curl")
def test_curl_cannot_climb_out(url: str) -> None:
    assert curl("--path-as-is", f"{url}/../number", "-w", "%{http_code}").endswith("404")


@needs("curl")
def test_many_curls_ask_at_the_same_time(url: str) -> None:
    told = curl(
        "--parallel", "--no-progress-meter", *[f"{url}/number?{number}" for number in range(50)]
    )

    assert told == '{"number":42}' * 50


# wrk

LESS_USUAL = ("long", "stream", "lost")  # each takes a second, as wrk does whatever it asks for


@needs("wrk")
@pytest.mark.parametrize(
    "path", ["number", *(pytest.param(path, marks=pytest.mark.slow) for path in LESS_USUAL)]
)
def test_wrk_sees_no_errors(url: str, path: str) -> None:
    result = finish("wrk", "-t1", "-c16", "-d1s", f"{url}/{path}")

    assert (result.code, result.err) == (0, "")
    assert int(re.findall(r"(\d+) requests in", result.out)[0]) > 0
    assert "Socket errors" not in result.out
    assert ("Non-2xx" in result.out) is (path == "lost")


# Clients in Python


@needs_library("geventhttpclient")
def test_geventhttpclient_asks_over_its_connections(url: str) -> None:
    from geventhttpclient import HTTPClient

    with closing(HTTPClient.from_url(url, concurrency=4, network_timeout=20)) as client:

        def ask(number: int) -> bytes:
            response = client.post(f"/site/echo?{number}", b"%d" % number)
            assert response.status_code == 200
            return bytes(response.read())

        asking = [gevent.spawn(ask, number) for number in range(50)]
        gevent.joinall(asking, timeout=LIMIT, raise_error=True)
        assert [one.value for one in asking] == [b"%d" % number for number in range(50)]
        assert len(client.get("/site/stream").read()) == 29_000
        packed = client.get("/site/long", {"Accept-Encoding": "gzip"})
        assert packed["content-encoding"] == "gzip"
        assert client.head("/site/number").content_length == 13


def test_the_client_of_the_standard_library_asks_over_one_connection(
    runtime: Runtime, site: Site
) -> None:
    script = str(HERE / "standard_client.py")

    result = finish(sys.executable, script, str(runtime.address))

    assert result.err == ""
    assert result.out.splitlines() == [
        "11 200 OK 13 b'{\"number\":42}' True",
        "11 200 OK 13 b'' True",
        "11 200 OK 5 b'hello' True",
        "11 200 OK 9 b'in chunks' True",
        "11 200 OK None 29000 True",
        "11 200 OK None b'there and back' True",
        "11 201 Created 26 26 True",
        "11 404 Not Found 14 b'404 Not Found.' True",
        "11 202 Accepted 0 b'' True",
    ]


# A browser


@needs_library("selenium")
@needs("chromedriver")
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_runs_the_script_of_a_page(url: str) -> None:
    with Program(
        sys.executable, str(HERE / "browser.py"), f"{url}/page", str(CHROMIUM)
    ) as program:
        result = program.finish()

    assert (result.code, result.out) == (0, "42 \u00e9cho 29000 404\n")


# Servers


@pytest.fixture
def pywsgi() -> Iterator[str]:
    """The URL of gevent's own server, in an OS process of its own."""
    with Program(sys.executable, str(HERE / "wsgi_app.py")) as program:
        yield f"http://127.0.0.1:{program.line('^[0-9]+$')[0]}"


@pytest.fixture
def gunicorn() -> Iterator[str]:
    """The URL of gunicorn with a worker of gevent."""
    gunicorn = pytest.importorskip("gunicorn")
    quiet = ["--no-control-socket"] if gunicorn.version_info >= (25,) else []
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-b", "127.0.0.1:0", *quiet]
    with Program(*command, "--error-logfile", "/dev/stdout", "wsgi_app", cwd=HERE) as program:
        yield program.line("Listening at: (http://[0-9.:]+)")[1]
        program.signal(signal.SIGTERM)  # killed, it would leave its worker behind
        assert program.finish().code == 0


@pytest.fixture(params=["pywsgi", "gunicorn"])
def server(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


Read = Callable[[str], bytes]


def read_whole(url: str) -> bytes:
    return bytes(await_ready(get(url)).body)


def read_stream(url: str) -> bytes:
    return bytes(await_ready(await_ready(get(url, stream=True)).reader.read_all()))


@pytest.mark.parametrize("read", [read_whole, read_stream])
def test_the_client_reads_from_other_servers(server: str, read: Read) -> None:
    assert read(f"{server}/pieces") == MEGABYTE
    assert read(f"{server}/at-once") == MEGABYTE
    assert await_ready(post(f"{server}/echo", body=MEGABYTE)).body == MEGABYTE
    assert await_ready(post(f"{server}/echo", body=iter([b"in ", b"chunks"]))).body == b"in chunks"


def test_the_client_keeps_a_connection_to_other_servers(server: str) -> None:
    with await_ready(connect(server)) as connection:
        for number in range(20):
            asked = Request("POST", URL("/echo"), body=b"%d" % number, keep_alive=True)
            assert await_ready(connection.send(asked)).body == b"%d" % number
