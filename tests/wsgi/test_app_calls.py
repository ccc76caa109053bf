"""The greenlets that calls of an app run in, which are used again."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import gevent
import pytest
from gevent.event import Event

from greenproc.wsgi import app_calls
from tests.wsgi.apps import TEXT
from tests.wsgi.conftest import Serve, get

USER: ContextVar[str] = ContextVar("USER", default="nobody")


class Greenlets:
    """An app that notes the greenlet of each call, and answers with the user of its context."""

    def __init__(self) -> None:
        self.seen: list[gevent.Greenlet[..., Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.seen.append(gevent.getcurrent())
        start_response("200 OK", TEXT)
        found = USER.get()
        USER.set(environ["PATH_INFO"])
        return [found.encode()]


def test_a_greenlet_is_used_again_and_its_context_is_not(serve: Serve) -> None:
    app = Greenlets()
    site = serve(app)
    for number in range(3):
        assert site.get(f"/{number}").body == b"nobody"
        site.settle()

    assert len(app.seen) == 3
    assert len(set(app.seen)) == 1


def test_greenlets_that_are_not_needed_end(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_calls, "MAX_IDLE", 1)
    running: set[gevent.Greenlet[..., Any]] = set()
    are_two, go_on = Event(), Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        running.add(gevent.getcurrent())
        if len(running) == 2:
            are_two.set()
        go_on.wait()
        start_response("200 OK", TEXT)
        return [b"ok"]

    site = serve(app)
    peers = [site.connect(), site.connect()]
    for peer in peers:
        peer.send(get())
    are_two.wait()
    go_on.set()
    for peer in peers:
        assert peer.read_answer().body == b"ok"
    site.settle()
    gevent.idle()

    assert sorted(greenlet.dead for greenlet in running) == [False, True]


def test_a_greenlet_that_is_killed_between_calls_serves_none(serve: Serve) -> None:
    app = Greenlets()
    site = serve(app)
    site.get()
    site.settle()
    app.seen[0].kill()

    assert site.get().body == b"nobody"
    assert app.seen[1] is not app.seen[0]


def test_a_switch_that_comes_after_its_call_starts_nothing(serve: Serve) -> None:
    app = Greenlets()
    site = serve(app)
    site.get()
    site.settle()
    gevent.get_hub().loop.run_callback(app.seen[0].switch, "late")
    gevent.idle()

    assert site.get().body == b"nobody"
    assert app.seen[1] is app.seen[0]
