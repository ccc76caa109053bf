"""Hubs and native threads: kept alive, ended, called into, and killed greenlets."""

from __future__ import annotations

import threading
from typing import Any

import gevent
import pytest
from gevent import get_hub
from gevent.exceptions import LoopExit
from gevent.hub import Hub

from greenproc.errors import StateError
from greenproc.hub import lifetime
from greenproc.hub.lifetime import (
    TurnWatch,
    call_in_hub,
    check_here,
    has_ended,
    keep_hub_alive,
    keep_hub_alive_for_threads,
    kill_within,
    note_runtime,
)


@pytest.fixture
def foreign_hub() -> Hub:
    """The hub of a native thread that has ended, and that a runtime used."""
    hubs: list[Hub] = []

    def use() -> None:
        hubs.append(get_hub())
        note_runtime(hubs[0], 1)
        note_runtime(hubs[0], -1)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    return hubs[0]


def test_a_hub_that_is_kept_alive_waits_for_other_threads() -> None:
    hub = get_hub()
    release = keep_hub_alive(hub)
    greenlet = gevent.getcurrent()
    thread = threading.Thread(
        target=lambda: hub.loop.run_callback_threadsafe(greenlet.switch, "switched")
    )

    thread.start()
    try:
        assert hub.switch() == "switched"
    finally:
        release()
    thread.join()


def test_a_hub_alone_gives_up_a_wait_that_nothing_can_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifetime, "count_threads", lambda: 0)

    assert keep_hub_alive_for_threads(get_hub()) is None
    with pytest.raises(LoopExit):
        get_hub().switch()


def test_another_thread_keeps_the_hub_alive_unless_a_runtime_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = get_hub()
    monkeypatch.setattr(lifetime, "count_others", lambda _: 1)
    release = keep_hub_alive_for_threads(hub)
    assert release is not None
    release()

    note_runtime(hub, 1)
    try:
        assert keep_hub_alive_for_threads(hub) is None
    finally:
        note_runtime(hub, -1)


def test_a_hub_ends_with_its_thread(foreign_hub: Hub) -> None:
    assert has_ended(foreign_hub)
    assert not has_ended(get_hub())


def test_calling_into_an_ended_hub_is_refused(foreign_hub: Hub) -> None:
    with pytest.raises(StateError, match="the native thread that started the runtime has ended"):
        call_in_hub(foreign_hub, print)
    with pytest.raises(StateError, match="belongs to the parent process"):
        call_in_hub(None, print)


def test_a_method_of_another_thread_is_refused_by_name() -> None:
    hub = get_hub()
    errors: list[StateError] = []

    def use() -> None:
        try:
            check_here(hub, "spawn")
        except StateError as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()

    check_here(hub, "spawn")
    assert "spawn() was called from another native thread" in str(errors[0])


def test_a_watch_tells_whether_a_hub_has_turned(foreign_hub: Hub) -> None:
    watch = TurnWatch(get_hub())
    assert "has made no turn meanwhile" in watch.explain()

    gevent.idle()

    assert watch.explain() == ""
    assert "has ended" in TurnWatch(foreign_hub).explain()


def test_greenlets_that_outlive_their_kill_are_counted() -> None:
    def refuse_once() -> None:
        try:
            gevent.get_hub().switch()
        except gevent.GreenletExit:
            stubborn.append(True)
            gevent.get_hub().switch()

    stubborn: list[Any] = []
    greenlets = [gevent.spawn(refuse_once), gevent.spawn(gevent.idle)]
    gevent.idle()

    assert kill_within(0.01, greenlets) == 1

    assert stubborn == [True]
    assert kill_within(1.0, greenlets) == 0
