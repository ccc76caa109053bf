"""The web apps of the examples, used as their users do, and ended while requests are in flight."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenproc.address import Address
from tests.peer import Peer
from tests.shell import Program
from tests.web_apps import EXAMPLES, RECIPES, SERVERS, WebApp, read_event, request

pytest.importorskip("flask")
pytest.importorskip("django")
pytest.importorskip("gunicorn")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def jobs(server: str) -> Iterator[WebApp]:
    with WebApp(server, "celery_free_jobs:app") as app:
        yield app


@pytest.fixture
def counter(server: str) -> Iterator[WebApp]:
    with WebApp(server, "flask_counter:app") as app:
        yield app


def open_stream(app: WebApp, path: str) -> Peer:
    peer = app.connect()
    peer.send(request("GET", path))
    head = peer.read_until(b"\r\n\r\n")
    assert b" 200 " in head and b"text/event-stream" in head
    return peer


def test_flask_counter_counts_pushes_and_answers_what_waits_when_it_ends(counter: WebApp) -> None:
    assert "EventSource" in counter.text("GET", "/")
    assert [counter.text("POST", "/add") for _ in range(2)] == ["1", "2"]
    assert counter.text("GET", "/wait?seen=1") == "2"
    with open_stream(counter, "/counter/events") as page, counter.connect() as waiting:
        assert read_event(page) == "2"
        waiting.send(request("GET", "/wait?seen=2"))
        assert counter.text("GET", "/wait?seen=0") == "2"
        assert counter.text("POST", "/add") == "3"
        assert waiting.read_answer().body == b"3\n"
        assert read_event(page) == "3"

        waiting.send(request("GET", "/wait?seen=3"))
        # What is answered after it was sent later, so the request above has begun by then.
        assert counter.text("GET", "/wait?seen=0") == "3"
        counter.signal(signal.SIGTERM)

        assert waiting.read_answer().body == b"3\n"
        assert b"retry: " in page.read_to_end()
    assert counter.finish().code == 0


@pytest.mark.slow
@pytest.mark.parametrize("server", ["gevent", "gthread"])
def test_recipes_work_with_other_workers(server: str, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(RECIPES["gunicorn.conf.py"])
    flags = ("--threads", "8", "-c", str(tmp_path / "gunicorn.conf.py"), "--graceful-timeout", "2")
    with WebApp(server, "flask_counter:app", *flags) as app:
        assert app.text("POST", "/add") == "1"
        with open_stream(app, "/counter/events") as page, app.connect() as waiting:
            assert read_event(page) == "1"
            waiting.send(request("GET", "/wait?seen=1"))
            assert app.text("POST", "/add") == "2"
            assert waiting.read_answer().body == b"2\n"
            assert read_event(page) == "2"
        app.signal(signal.SIGTERM)
        result = app.finish()
    assert result.code == 0
    assert "Traceback" not in result.out + result.err


@pytest.mark.slow
def test_recipes_work_with_the_development_server_of_flask(tmp_path: Path) -> None:
    (tmp_path / "development.py").write_text(RECIPES["development.py"])
    command = f"exec {sys.executable} -m flask --app development run --port 0 2>&1"
    with Program(
        *("sh", "-c", command),
        cwd=tmp_path,
        env={"PYTHONPATH": f"{EXAMPLES}:{EXAMPLES.parent}", "PYTHONUNBUFFERED": "1"},
    ) as program:
        address = Address.parse(program.line(r"Running on http://(\S+)")[1])
        for number in (b"1", b"2"):
            with Peer.connect(address) as peer:
                assert peer.ask(request("POST", "/add")).body.strip() == number


def test_celery_free_jobs_outlive_their_requests_and_the_end_of_the_server(jobs: WebApp) -> None:
    assert "EventSource" in jobs.text("GET", "/")
    with open_stream(jobs, "/jobs/events") as page:
        answer = jobs.ask("POST", "/reports", "rows=10")
        assert (answer.code, answer.header("Location")) == (202, "/reports/1")
        steps = [json.loads(read_event(page)) for _ in range(10)]
    assert steps == [{"number": 1, "rows": 10, "done": done} for done in range(1, 11)]
    assert json.loads(jobs.text("GET", "/reports/1")) == steps[-1]
    assert jobs.text("GET", "/reports/1/text?wait=20") == "a report of 10 rows"
    assert jobs.ask("GET", "/reports/2").code == 404

    assert jobs.text("POST", "/reports", "rows=25") == "/reports/2"
    assert jobs.text("POST", "/reports", "rows=50") == "/reports/3"
    assert jobs.ask("GET", "/reports/3/text").code == 202
    with jobs.connect() as waiting:
        waiting.send(request("GET", "/reports/2/text?wait=20"))
        assert jobs.ask("GET", "/reports/2").code == 200
        jobs.signal(signal.SIGTERM)
        assert waiting.read_answer().body == b"a report of 25 rows\n"
    result = jobs.finish()

    assert result.code == 0
    assert "report 3 is done" in result.out + result.err


@pytest.fixture
def rooms(server: str) -> Iterator[WebApp]:
    with WebApp(server, "django_rooms.wsgi:application") as app:
        yield app


def token_of(rooms: WebApp) -> str:
    """Return the token that Django gives a page, and wants back in the form and as a cookie."""
    answer = rooms.ask("GET", "/rooms/tea")
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', answer.body.decode())
    assert found is not None
    cookie = answer.header("Set-Cookie").partition(";")[0]
    return f"{cookie};{found[1]}"


def test_django_rooms_pass_on_what_is_said_and_answer_what_waits_at_the_end(rooms: WebApp) -> None:
    cookie, _, token = token_of(rooms).partition(";")

    def say(text: str) -> int:
        body = f"name=Ada&text={text}&csrfmiddlewaretoken={token}"
        return rooms.ask("POST", "/rooms/tea/say", body, Cookie=cookie).code

    def lines(texts: list[str], first: int) -> list[dict[str, object]]:
        return [
            {"number": number, "name": "Ada", "text": text}
            for number, text in enumerate(texts, first)
        ]

    assert rooms.ask("POST", "/rooms/tea/say", "name=Eve&text=x").code == 403
    assert say("one") == 201
    with open_stream(rooms, "/room-tea/events") as page, rooms.connect() as waiting:
        assert json.loads(read_event(page)) == lines(["one"], 1)[0]
        waiting.send(request("GET", "/rooms/tea/lines?after=1"))
        assert json.loads(rooms.text("GET", "/rooms/tea/lines?after=0")) == lines(["one"], 1)
        assert say("two") == 201
        assert json.loads(waiting.read_answer().body) == lines(["two"], 2)
        assert json.loads(read_event(page)) == lines(["two"], 2)[0]

        waiting.send(request("GET", "/rooms/tea/lines?after=2"))
        assert json.loads(rooms.text("GET", "/rooms/tea/lines?after=1")) == lines(["two"], 2)
        rooms.signal(signal.SIGTERM)

        assert json.loads(waiting.read_answer().body) == []
        assert b"retry: " in page.read_to_end()
    assert rooms.finish().code == 0
