"""The environ that an app gets from a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gevent import socket

from greenproc.errors import InvalidArgument
from greenproc.transport.listen_socket import listen_on
from greenproc.wsgi import WSGIProcess
from greenproc.wsgi.environ import SOFTWARE
from tests.peer import Peer
from tests.wsgi.apps import Seen
from tests.wsgi.conftest import Serve


def test_wsgi_environ_exact(serve: Serve) -> None:
    seen = Seen()
    site = serve(seen)
    peer = site.connect()
    peer.ask(
        b"POST /a%2Fb?x=1&y HTTP/1.1\r\nHost: ex.org:81\r\nContent-Type: text/x\r\n"
        b"Content-Length: 3\r\nX-One:  two \r\nUser-Agent: me\r\n\r\nabc"
    )

    environ = seen.environ
    assert type(environ) is dict
    assert environ.pop("wsgi.input").read() == b"abc"
    assert environ.pop("wsgi.errors").write("") == 0
    assert environ.pop("wsgi.file_wrapper").__name__ == "FileWrapper"
    assert environ.pop("greenproc.runtime") is site.runtime
    assert environ.pop("greenproc.request").method == "POST"
    local = peer.address
    assert environ == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a/b",
        "QUERY_STRING": "x=1&y",
        "RAW_URI": "/a%2Fb?x=1&y",
        "REQUEST_URI": "/a%2Fb?x=1&y",
        "SERVER_NAME": site.runtime.address.ip,
        "SERVER_PORT": str(site.runtime.address.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": SOFTWARE,
        "REMOTE_ADDR": local.ip,
        "REMOTE_PORT": str(local.port),
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "3",
        "HTTP_HOST": "ex.org:81",
        "HTTP_X_ONE": "two",
        "HTTP_USER_AGENT": "me",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a%2Fb%20%C3%A9", "/a/b \u00c3\u00a9"),
        ("/\xe9", "/\u00e9"),
        ("/%E9", "/\u00e9"),
    ],
)
def test_wsgi_path_info_latin1(serve: Serve, target: str, path: str) -> None:
    seen = Seen()
    serve(seen).get(target)

    assert seen.environ["PATH_INFO"] == path


@pytest.mark.parametrize(
    "path", ["//", "//a//b", "/a;p=1", "/a/../b", "/..", "/a/./b", "/a+b", "/%zz", "/a%", "/%4"]
)
def test_wsgi_path_kept(serve: Serve, path: str) -> None:
    seen = Seen()
    serve(seen).get(path)

    assert seen.environ["PATH_INFO"] == path
    assert seen.environ["RAW_URI"] == path


@pytest.mark.parametrize(
    ("target", "script", "path"),
    [
        ("/mine", "/mine", ""),
        ("/mine/", "/mine", "/"),
        ("/%6dine/a%20b", "/mine", "/a b"),
        ("/mine?q", "/mine", ""),
        ("/mine/../x", "/mine", "/../x"),
    ],
)
def test_wsgi_script_name_mount(serve: Serve, target: str, script: str, path: str) -> None:
    site, seen = serve(Seen()), Seen()
    site.runtime.spawn(WSGIProcess("mine", seen))
    site.get(target)

    assert (seen.environ["SCRIPT_NAME"], seen.environ["PATH_INFO"]) == (script, path)


@pytest.mark.parametrize("query", ["q=%41+b&&x=%zz", "a=1&a=2", "", "?", "\xe9"])
def test_wsgi_query_raw(serve: Serve, query: str) -> None:
    seen = Seen()
    assert serve(seen).get(f"/p?{query}").code == 200

    assert seen.environ["QUERY_STRING"] == query


def test_wsgi_absolute_form(serve: Serve) -> None:
    seen = Seen()
    site = serve(seen)
    site.get("http://other.org:99/a/b?c")

    assert (seen.environ["PATH_INFO"], seen.environ["QUERY_STRING"]) == ("/a/b", "c")
    assert seen.environ["HTTP_HOST"] == "h"
    assert seen.environ["RAW_URI"] == "http://other.org:99/a/b?c"
    site.get("http://other.org?c")
    assert (seen.environ["PATH_INFO"], seen.environ["QUERY_STRING"]) == ("/", "c")


def test_wsgi_options_star(serve: Serve) -> None:
    seen = Seen()
    answer = serve(seen).connect().ask(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")

    assert (answer.code, answer.body) == (200, b"")
    assert not seen.environ


def test_wsgi_repeated_headers(serve: Serve) -> None:
    seen = Seen()
    serve(seen).get("/", "X-A: 1", "Cookie: a=1", "x-a: 2", "Cookie: b=2", "X-B: \xe9")

    assert seen.environ["HTTP_X_A"] == "1,2"
    assert seen.environ["HTTP_COOKIE"] == "a=1; b=2"
    assert seen.environ["HTTP_X_B"] == "\u00e9"


def test_wsgi_underscore_header_dropped(serve: Serve) -> None:
    seen = Seen()
    serve(seen).get("/", "X_A: evil", "X-A: good", "Proxy: evil", "Content_Length: 9")

    assert seen.environ["HTTP_X_A"] == "good"
    keys = seen.environ.keys()
    assert not keys & {"HTTP_PROXY", "CONTENT_LENGTH", "HTTP_CONTENT_LENGTH", "CONTENT_TYPE"}


def test_an_empty_content_type_is_absent(serve: Serve) -> None:
    seen = Seen()
    serve(seen).get("/", "Content-Type:")

    assert "CONTENT_TYPE" not in seen.environ


def test_chunked_bodies_have_no_length(serve: Serve) -> None:
    seen = Seen()
    peer = serve(seen).connect()
    peer.ask(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )

    assert "CONTENT_LENGTH" not in seen.environ
    assert seen.environ["HTTP_TRANSFER_ENCODING"] == "chunked"
    assert seen.environ["wsgi.input"].read() == b"abc"


@pytest.mark.parametrize(
    ("host", "name", "port"), [("ex.org:81", "ex.org", "81"), ("[::1]", "[::1]", "80")]
)
def test_wsgi_unix_socket_environ(
    serve: Serve, tmp_path: Path, host: str, name: str, port: str
) -> None:
    seen = Seen()
    site = serve(seen)
    parts = site.runtime._parts()
    listening = listen_on(str(tmp_path / "socket"), 5)
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(str(tmp_path / "socket"))
    accepted, _ = listening.accept()
    connection, _ = parts.listener.serve(accepted)
    with Peer(connected) as peer:
        peer.ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    connection.close()
    listening.close()

    assert seen.environ["REMOTE_ADDR"] == ""
    assert "REMOTE_PORT" not in seen.environ
    assert (seen.environ["SERVER_NAME"], seen.environ["SERVER_PORT"]) == (name, port)


FORWARDED = ("X-Forwarded-Proto: https", "X-Forwarded-For: 9.9.9.9, 203.0.113.7, 10.0.0.2")


@pytest.mark.parametrize(
    ("trusted", "scheme", "address"),
    [
        ((), "http", "127.0.0.1"),
        (("192.0.2.1",), "http", "127.0.0.1"),
        (("127.0.0.1",), "https", "10.0.0.2"),
        (("127.0.0.0/8", "10.0.0.0/8"), "https", "203.0.113.7"),
    ],
)
def test_wsgi_trusted_proxy(serve: Serve, trusted: Any, scheme: str, address: str) -> None:
    seen = Seen()
    serve(seen, trusted_proxies=trusted).get("/", *FORWARDED)

    assert seen.environ["wsgi.url_scheme"] == scheme
    assert seen.environ["REMOTE_ADDR"] == address
    assert ("REMOTE_PORT" in seen.environ) == (address == "127.0.0.1")


@pytest.mark.parametrize("lines", [("X-Forwarded-Proto: gopher",), ("X-Forwarded-For: evil",)])
def test_what_a_proxy_must_not_say_is_ignored(serve: Serve, lines: tuple[str, ...]) -> None:
    seen = Seen()
    serve(seen, trusted_proxies=["127.0.0.1"]).get("/", *lines)

    assert (seen.environ["wsgi.url_scheme"], seen.environ["REMOTE_ADDR"]) == ("http", "127.0.0.1")


@pytest.mark.parametrize(
    "options",
    [
        {"trusted_proxies": ["nonsense"]},
        {"trusted_proxies": "127.0.0.1"},
        {"max_running": 0},
        {"max_waiting": -1},
        {"max_body_bytes": -1},
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        WSGIProcess("app", Seen(), **options)


def test_an_app_must_be_callable() -> None:
    with pytest.raises(InvalidArgument):
        WSGIProcess("app", None)  # type: ignore[arg-type]


def test_the_log_takes_errors(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    seen = Seen()
    serve(seen).get()
    seen.environ["wsgi.errors"].writelines(["one\n", "\n", "two\n"])
    seen.environ["wsgi.errors"].flush()

    assert [record.getMessage() for record in caplog.records][-2:] == ["app: one", "app: two"]
