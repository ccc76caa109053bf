"""``greenproc serve``: a WSGI app as a node."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from greenproc.address import Address
from tests.cli.conftest import RunHere
from tests.peer import Peer
from tests.shell import GREENPROC, Program, run

SITE = """
import socket

from gevent.event import Event

import greenproc

stopping = Event()


class Counter(greenproc.Process):
    def __init__(self):
        super().__init__("counter")
        self.total = 0

    def count(self):
        self.total += 1
        return self.total


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/wait":
        print("waiting", flush=True)
        Event().wait()
    if path == "/slow":
        print("slow", flush=True)
        stopping.wait()
    if path == "/count":
        counter = greenproc.UPID("counter", greenproc.address())
        body = str(greenproc.dispatch(counter, Counter.count).get())
    else:
        body = f"{path} {environ['SCRIPT_NAME']} {socket.socket.__module__}"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]


def prepare(runtime):
    runtime.signals.runtime_draining.connect(lambda *given: stopping.set())
    runtime.spawn(Counter())


app.greenproc = prepare


def make():
    return app


def broken():
    raise ValueError("no luck")


def failing(environ, start_response):
    pass


failing.greenproc = lambda runtime: 1 / 0
Bystander = Counter
number = 7
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site_under_test.py").write_text(SITE)
    return tmp_path


def serve(folder: Path, target: str = "app", *flags: str) -> Program:
    command = (*GREENPROC, "serve", f"site_under_test:{target}", "--port", "0", *flags)
    return Program(*command, cwd=folder)


def connect(program: Program) -> Peer:
    return Peer.connect(Address.parse(program.line(r"^http://(.+)/$")[1]))


@pytest.mark.parametrize("target", ["app", "make()"])
def test_serve_command(folder: Path, target: str) -> None:
    with serve(folder, target) as program, connect(program) as peer:
        assert peer.get("/a").body == b"/a  socket"
        assert peer.get("/help").code == 200
        assert [peer.get("/count").body for _ in range(2)] == [b"1", b"2"]
        other = Peer.connect(Address(*peer.socket.getpeername()))
        other.send(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        program.line("^slow$")
        program.signal(signal.SIGTERM)
        answer = other.read_answer()
        result = program.finish()
        other.close()

    assert (answer.code, answer.header("Connection")) == (200, "close")
    assert (result.code, result.err) == (0, "")


def test_what_the_app_waits_for_is_patched_when_asked(folder: Path) -> None:
    with serve(folder, "app", "--monkey-patch") as program, connect(program) as peer:
        assert peer.get("/a").body == b"/a  gevent._socket3"
        program.signal(signal.SIGTERM)
        assert program.finish().code == 0


def test_a_request_that_does_not_end_is_cut_off_in_time(folder: Path) -> None:
    with serve(folder, "app", "--stop-timeout", "0.4") as program, connect(program) as peer:
        peer.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
        program.line("^waiting$")
        program.signal(signal.SIGINT)
        assert peer.read_answer().code == 503
        assert program.finish().code == 0


@pytest.mark.parametrize(
    ("target", "text", "code"),
    [
        ("site_under_test:nothing", "nothing does not exist in site_under_test", 2),
        ("site_under_test:number", "number of site_under_test is no WSGI app, got 7", 2),
        ("site_under_test:broken()", "which makes the app, failed: ValueError: no luck", 1),
        (
            "site_under_test:Bystander",
            "is a Process, no WSGI app: use greenproc run site_under_test:Bystander",
            2,
        ),
        ("site_under_test", "expected MODULE:APP", 2),
        ("./site_under_test.py:app", "expected MODULE:APP", 2),
        ("site_under_test:a b", "expected MODULE:APP", 2),
        ("no_such_module:app", "no module named 'no_such_module'", 2),
    ],
)
def test_what_cannot_be_served_is_told(
    folder: Path, target: str, text: str, code: int, run_here: RunHere
) -> None:
    result = run_here("serve", target, "--port", "0", cwd=folder)

    assert (result.code, result.out) == (code, "")
    assert text in result.err


def test_an_app_whose_processes_fail_is_told(folder: Path) -> None:
    result = run("serve", "site_under_test:failing", "--port", "0", cwd=folder)

    assert (result.code, result.out) == (1, "")
    assert "the function greenproc of the app failed" in result.err
