"""What `wsgiref.validate` says about the server, and frameworks that people use."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import pytest

from tests.wsgi.apps import TEXT, returning, strict
from tests.wsgi.conftest import Serve, get, post

flask = pytest.importorskip("flask")
django = pytest.importorskip("django")


def echo(environ: dict[str, Any], start_response: Any) -> Any:
    body = environ["wsgi.input"].read(-1)
    environ["wsgi.errors"].write("")
    start_response("200 OK", TEXT)
    return [environ["REQUEST_METHOD"].encode(), body]


def test_wsgi_validate_get(serve: Serve) -> None:
    assert serve(strict(echo)).get("/a?b=c").body == b"GET"


def test_wsgi_validate_post(serve: Serve) -> None:
    peer = serve(strict(echo)).connect()
    assert peer.ask(post(b"body", "Content-Type: text/plain")).body == b"POSTbody"
    peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert peer.ask(b"4\r\nbody\r\n0\r\n\r\n").body == b"POSTbody"


@pytest.mark.parametrize("make", [lambda: [b"abc"], lambda: iter([b"a", b"b"])])
def test_wsgi_validate_head(serve: Serve, make: Any) -> None:
    site = serve(strict(returning(make)))

    assert site.raw(get("/", "Connection: close").replace(b"GET", b"HEAD")).endswith(b"\r\n\r\n")
    assert site.get().code == 200


def flask_app() -> Any:
    app = flask.Flask("site_of_tests", root_path="/")
    app.secret_key = "of a test"

    @app.post("/form")
    def form() -> Any:
        flask.session["name"] = flask.request.form["name"]
        return {
            "name": flask.request.form["name"],
            "file": flask.request.files["f"].read().decode(),
        }

    @app.get("/who")
    def who() -> Any:
        return flask.session["name"]

    @app.get("/stream")
    def stream() -> Any:
        def pieces() -> Any:
            for number in range(3):
                yield f"{number} {flask.request.args['q']}\n"

        return flask.Response(flask.stream_with_context(pieces()))

    @app.get("/file")
    def file() -> Any:
        return flask.send_file(__file__, mimetype="text/plain", conditional=True)

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    return app


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nJo\xc3\xab\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\ncontents\r\n--b--\r\n"
)
FORM_TYPE = "Content-Type: multipart/form-data; boundary=b"


def test_wsgi_flask(serve: Serve) -> None:
    site = serve(flask_app())
    answer = site.connect().ask(post(FORM, FORM_TYPE, target="/form"))

    assert (answer.code, answer.body) == (200, b'{"file":"contents","name":"Jo\\u00eb"}\n')
    cookie = re.match(r"[^;]+", answer.header("Set-Cookie") or "")
    assert cookie is not None
    assert site.get("/who", f"Cookie: {cookie[0]}").body.decode() == "Jo\xeb"
    assert site.get("/stream?q=%C3%A9").body.decode() == "0 \xe9\n1 \xe9\n2 \xe9\n"
    assert site.get("/hello").header("Content-Length") == "5"
    assert site.get("/nowhere").code == 404


def test_flask_sends_files_and_parts_of_them(serve: Serve) -> None:
    site = serve(flask_app())
    with open(__file__, "rb") as file:  # noqa: PTH123
        contents = file.read()

    assert site.get("/file").body == contents
    part = site.get("/file", "Range: bytes=10-19")
    assert (part.code, part.body) == (206, contents[10:20])
    assert part.header("Content-Range") == f"bytes 10-19/{len(contents)}"
    etag = site.get("/file").header("ETag")
    assert site.get("/file", f"If-None-Match: {etag}").code == 304


def test_flask_takes_chunked_bodies(serve: Serve) -> None:
    peer = serve(flask_app()).connect()
    head = f"POST /form HTTP/1.1\r\nHost: h\r\n{FORM_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n"
    peer.send(head.encode())
    for at in range(0, len(FORM), 50):
        piece = FORM[at : at + 50]
        peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))

    assert peer.ask(b"0\r\n\r\n").code == 200


@pytest.fixture(scope="module")
def django_app() -> Any:
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import FileResponse, HttpResponse, StreamingHttpResponse
    from django.urls import path

    def form(request: Any) -> Any:
        response = HttpResponse(request.POST["name"] + request.FILES["f"].read().decode())
        response.set_cookie("name", "jo")
        response.set_cookie("other", "1")
        return response

    def who(request: Any) -> Any:
        return HttpResponse(request.COOKIES["name"] + request.build_absolute_uri())

    def stream(request: Any) -> Any:
        return StreamingHttpResponse(f"{number}\n" for number in range(3))

    def file(request: Any) -> Any:
        return FileResponse(open(__file__, "rb"))  # noqa: PTH123 -- Django closes it

    views = {"form": form, "who": who, "stream": stream, "file": file}
    urls: Any = ModuleType("urls")
    urls.urlpatterns = [path(name, view) for name, view in views.items()]
    settings.configure(
        ROOT_URLCONF=urls,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="of a test",
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    )
    return get_wsgi_application()


def test_wsgi_django(serve: Serve, django_app: Any) -> None:
    site = serve(django_app)
    answer = site.connect().ask(post(FORM, FORM_TYPE, target="/form"))

    assert (answer.code, answer.body.decode()) == (200, "Jo\xebcontents")
    assert len([name for name, _ in answer.headers if name == "Set-Cookie"]) == 2
    assert site.get("/who?x=1", "Cookie: name=jo").body == b"johttp://h/who?x=1"
    assert site.get("/stream").body == b"0\n1\n2\n"
    assert site.get("/nowhere").code == 404
    with open(__file__, "rb") as file:  # noqa: PTH123
        assert site.get("/file").body == file.read()


def test_frameworks_pass_the_validator(serve: Serve, django_app: Any) -> None:
    assert serve(strict(flask_app())).get("/hello").body == b"hello"
    assert serve(strict(django_app)).get("/stream").body == b"0\n1\n2\n"
