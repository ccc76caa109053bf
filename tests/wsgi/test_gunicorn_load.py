"""Workers of gunicorn that are replaced while clients are served: no request is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import gevent
import pytest
from gevent.event import Event

from greenproc.address import Address
from tests.peer import LIMIT, Peer
from tests.shell import Witness
from tests.wsgi.conftest import get
from tests.wsgi.gunicorns import PYTHONS, Gunicorn, version

pytest.importorskip("gunicorn")
pytest.importorskip("flask")
pytest.importorskip("django")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Start = Callable[..., Gunicorn]

CLIENTS = 8
MORE = 50  # requests between two events

APPS = """
import os

import flask
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

import greenproc
from gunicorn_site import Room, spawn_room


def visit():
    room = greenproc.UPID("room", greenproc.address())
    number = greenproc.dispatch(room, Room.visit).get(timeout=10.0)
    return f"{os.getpid()} {greenproc.address()} {number} -"


flask_app = flask.Flask("apps")
flask_app.add_url_rule("/where", view_func=visit)
flask_app.greenproc = spawn_room

urlpatterns = [path("where", lambda request: HttpResponse(visit()))]
settings.configure(ROOT_URLCONF="apps", ALLOWED_HOSTS=["*"], SECRET_KEY="-")
django_app = get_wsgi_application()
django_app.greenproc = spawn_room
"""

TARGETS = {"plain": "gunicorn_site:plain", "flask": "apps:flask_app", "django": "apps:django_app"}


class Load:
    """Clients that ask without a pause, on a connection for each request.

    What a kept connection loses at its end is HTTP's own doing.
    """

    def __init__(self, address: Address) -> None:
        self.pids: set[int] = set()
        self.failures: list[str] = []
        self.answered = 0
        self._address = address
        self._is_over = False
        self._until = 0
        self._is_enough = Event()
        self._clients = [gevent.spawn(self._ask) for _ in range(CLIENTS)]

    def _ask(self) -> None:
        while not self._is_over:
            try:
                with Peer.connect(self._address) as peer:
                    answer = peer.ask(get("/where", "Connection: close"))
                assert answer.code == 200, answer
                self.pids.add(int(answer.body.split()[0]))
                self.answered += 1
                if self.answered >= self._until:
                    self._is_enough.set()
            except (OSError, EOFError, AssertionError) as error:
                self.failures.append(repr(error))
                gevent.sleep(0)

    def go_on(self, more: int = MORE) -> None:
        """Wait for answers to *more* requests."""
        self._until = self.answered + more
        self._is_enough.clear()
        assert self._is_enough.wait(4 * LIMIT), f"no {more} answers: {self.failures}"

    def __enter__(self) -> Self:
        self.go_on()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over = True
        gevent.joinall(self._clients, timeout=LIMIT)


@pytest.fixture(params=PYTHONS, ids=version)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    (tmp_path / "apps.py").write_text(APPS)
    with ExitStack() as stack:

        def start(*flags: str, workers: int = 2, **options: Any) -> Gunicorn:
            flags = ("-w", str(workers), *flags)
            gunicorn = stack.enter_context(Gunicorn(request.param, tmp_path, *flags, **options))
            gunicorn.booted(workers)
            return gunicorn

        yield start


def end(gunicorn: Gunicorn) -> int:
    gunicorn.signal(signal.SIGTERM)
    return gunicorn.finish().code


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_no_request_is_lost_while_gunicorn_reloads(start: Start, target: str) -> None:
    gunicorn = start(target=target)
    with Load(gunicorn.address) as load:
        for number in range(1, 4):
            gunicorn.signal(signal.SIGHUP)
            gunicorn.booted(2 * number + 2)
            gunicorn.expect("hook worker_exit", 2 * number)
            load.go_on()

    assert load.failures == []
    assert len(load.pids) > 2
    assert len(gunicorn.find("^finalized")) == 6
    assert end(gunicorn) == 0


def test_no_request_is_lost_when_workers_have_had_their_number_of_requests(start: Start) -> None:
    # A worker that has just been forked does not hear TERM; its master waits for it then.
    limits = ("--max-requests", "100", "--max-requests-jitter", "20", "--graceful-timeout", "5")
    gunicorn = start(*limits)
    with Load(gunicorn.address) as load:
        gunicorn.expect("hook worker_exit", 6)
        load.go_on()

    assert load.failures == []
    assert len(load.pids) > 4
    assert end(gunicorn) == 0


def test_no_request_is_lost_while_the_master_is_replaced(start: Start, tmp_path: Path) -> None:
    """USR2 starts a second master beside the first one, which TERM ends.

    WINCH, which ends the workers of the first one only, does nothing unless gunicorn is a daemon.
    """
    gunicorn = start("--pid", str(tmp_path / "pid"))
    before = set(gunicorn.booted(2))
    with Load(gunicorn.address) as load, ExitStack() as stack:
        gunicorn.signal(signal.SIGUSR2)
        gunicorn.booted(4)
        successor = int((tmp_path / "pid.2").read_text())
        stack.callback(os.kill, successor, signal.SIGTERM)
        witness = Witness(successor)
        load.go_on()
        gunicorn.signal(signal.SIGWINCH)
        gunicorn.signal(signal.SIGTERM)
        gunicorn.process.wait(LIMIT)
        load.pids.clear()
        load.go_on()

        assert load.failures == []
        assert load.pids and not load.pids & before
        assert len(set(gunicorn.nodes())) == 4
    witness.wait()
    assert gunicorn.finish().code == 0
