"""gunicorn as an OS process of a test, and the app that it serves."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket, ssl, subprocess

from greenproc.address import Address
from tests.peer import Peer
from tests.shell import Program, Result

BOOT_LIMIT = 45.0  # seconds; a master and its workers that import an app take 20 on a busy machine

WORKER = "greenproc.wsgi.GreenprocWorker"

PYTHONS = [sys.executable, *filter(None, os.environ.get("GREENPROC_GUNICORNS", "").split(":"))]
"""Interpreters that have greenproc and a gunicorn: the one of the tests, and those of other versions."""

SITE = """
import os
import signal

import gevent
from gevent.event import Event

import greenproc
from greenproc import Process, route
from greenproc.sync.pipe import Pipe
from greenproc.http import OK, Response
from greenproc.wsgi import Middleware

draining = Event()


def tell(*words):
    # In one piece: several workers write here.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())


tell("import", os.getpid())


class Room(Process):
    def __init__(self):
        super().__init__("room")
        self.total = 0

    def visit(self):
        self.total += 1
        return self.total

    @route("/stream")
    def on_stream(self, request):
        pipe = Pipe()
        self.writer = pipe.writer
        pipe.writer.write(b"first")
        return Response(200, reader=pipe.reader)

    @route("/export")
    def on_export(self, request):
        yield "first "
        tell("exporting", os.getpid())
        draining.wait()
        yield "last"

    @route("/seats/<int:seat>/<name>", methods=["PUT"], json=dict[str, int], cors="*")
    def on_seat(self, request, body, seat, name):
        response = OK(json=[seat, name, body, request.cookies])
        response.set_cookie("seat", str(seat))
        response.set_cookie("name", "x")
        return response

    def finalize(self):
        tell("finalized", os.getpid())


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/wait":
        tell("waiting", os.getpid())
        draining.wait()
    elif path == "/stuck":
        tell("stuck", os.getpid())
        Event().wait()
    elif path == "/block":
        tell("blocking", os.getpid())
        while True:
            pass
    room = greenproc.UPID("room", greenproc.address())
    number = greenproc.dispatch(room, Room.visit).get(timeout=10.0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    body = f"{os.getpid()} {greenproc.address()} {number} {environ['wsgi.url_scheme']}"
    return [body.encode()]


def spawn_room(runtime):
    tell("app.greenproc", os.getpid())
    runtime.signals.runtime_draining.connect(lambda *given: draining.set())
    runtime.spawn(Room())


def on_start(runtime):
    tell("on_start", os.getpid(), runtime.state.value)


def fail(runtime):
    raise ValueError("no luck today")


def be_late(runtime):
    raise gevent.Timeout(1.0, "no luck in time")


app.greenproc = spawn_room
app = Middleware(app)
plain = app.app
"""

SCRIPT = "from gunicorn.app.wsgiapp import run; run()"

HOOKS = """
import os


def told(name):
    os.write(1, f"hook {name} {os.getpid()}\\n".encode())


def on_starting(server): told("on_starting")
def when_ready(server): told("when_ready")
def on_reload(server): told("on_reload")
def pre_fork(server, worker): told("pre_fork")
def post_fork(server, worker): told("post_fork")
def post_worker_init(worker): told("post_worker_init")
def worker_int(worker): told("worker_int")
def worker_abort(worker): told("worker_abort")
def worker_exit(server, worker): told("worker_exit")
def child_exit(server, worker): told("child_exit")
def on_exit(server): told("on_exit")
"""


class Gunicorn(Program):
    """A master of gunicorn in the folder of a test, with its lines."""

    def __init__(self, python: str, folder: Path, *flags: str, **options: Any) -> None:
        self.lines: list[str] = []
        (folder / "gunicorn_site.py").write_text(SITE)
        (folder / "gunicorn.conf.py").write_text(HOOKS + options.pop("config", ""))
        target = options.pop("target", "gunicorn_site:app")
        bind = options.pop("bind", "127.0.0.1:0")
        worker = options.pop("worker", WORKER)
        # With USR2 "python -m gunicorn" starts a file whose folder then hides the module http.
        (folder / "run_gunicorn.py").write_text(SCRIPT)
        command = [python, "run_gunicorn.py", "-k", worker, "-b", bind]
        # It would lie in the home folder; gunicorn 23 has none.
        if _has_control_socket(python):
            command.append("--no-control-socket")
        if python != sys.executable:
            # What is installed beside the tests is for their interpreter only.
            options["env"] = {"PYTHONPATH": "", **options.get("env", {})}
        command += ["--error-logfile", "/dev/stdout", *flags, target]
        super().__init__(*command, cwd=folder, **options)

    def expect(self, pattern: str, count: int = 1) -> list[str]:
        """Wait until *count* lines have *pattern* in them, now or before, and return these."""
        with gevent.Timeout(BOOT_LIMIT, AssertionError(f"no {count} lines {pattern!r}")):
            while len(found := self.find(pattern)) < count:
                line = self._lines.get()
                if line is None:
                    raise AssertionError(f"ended without {pattern!r}: {self.lines}")
                self.lines.append(line)
        return found

    def find(self, pattern: str) -> list[str]:
        """Return the lines so far that have *pattern* in them."""
        return [line for line in self.lines if re.search(pattern, line)]

    @property
    def address(self) -> Address:
        line = self.expect(r"Listening at: https?://")[0]
        found = re.search(r"https?://([0-9.:]+)", line)
        assert found is not None
        return Address.parse(found[1])

    def booted(self, count: int = 1) -> list[int]:
        """Wait until *count* workers have booted, and return the ids of their OS processes."""
        return [int(line.split()[-1]) for line in self.expect("hook post_worker_init", count)]

    def nodes(self) -> list[Address]:
        """Return where the nodes said that they are."""
        return [Address.parse(line.split()[-1]) for line in self.find("greenproc node at")]

    def connect(self) -> Peer:
        return Peer.connect(self.address)

    def where(self) -> tuple[int, Address, int]:
        """Ask who serves: the OS process, the address of its node, and its number of visits."""
        with self.connect() as peer:
            pid, address, number, _ = peer.get("/where").body.decode().split()
        return int(pid), Address.parse(address), int(number)

    def finish(self) -> Result:
        result = super().finish()
        while not self._lines.empty():
            line = self._lines.get()
            if line is not None:
                self.lines.append(line)
        return result


class Encryption:
    """A certificate of its own for gunicorn, and clients that take it."""

    def __init__(self, folder: Path) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("openssl is not installed")
        key, certificate = str(folder / "key"), str(folder / "certificate")
        command = [
            openssl,
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
        ]
        command += ["-keyout", key, "-out", certificate]
        subprocess.check_call(command, stderr=subprocess.DEVNULL)
        self.flags = ("--certfile", certificate, "--keyfile", key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE

    def connect(self, address: Address) -> socket.socket:
        """Return a socket whose handshake is over."""
        plain = socket.create_connection((address.ip, address.port))
        return self._context.wrap_socket(plain)


def is_free(address: Address) -> bool:
    """Whether nobody listens at *address*."""
    with socket.socket() as probe:
        return probe.connect_ex((address.ip, address.port)) != 0


def free_ports(count: int) -> int:
    """Return the first of *count* ports in a row that nobody uses now.

    Sessions of tests that run side by side look in different places.
    """
    begin = 10_000 + os.getpid() % 2000 * 10
    for first in range(begin, begin + 1000, count):
        if all(is_free(Address("127.0.0.1", port)) for port in range(first, first + count)):
            return first
    raise AssertionError("no free ports")


_versions: dict[str, str] = {}


def version(python: str) -> str:
    """Return the version of the gunicorn of an interpreter, ``none`` where it has none."""
    if python not in _versions:
        code = "import gunicorn; print(gunicorn.__version__)"
        told = subprocess.run([python, "-c", code], capture_output=True, check=False)
        _versions[python] = told.stdout.decode().strip() or "none"
    return _versions[python]


each_gunicorn = pytest.mark.parametrize("python", PYTHONS, ids=version)
"""Lets a test run with each interpreter that has a gunicorn."""


def _has_control_socket(python: str) -> bool:
    return int(version(python).partition(".")[0]) >= 25
