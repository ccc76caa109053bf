"""``/__processes__``: what is queued, also for who does not answer."""

from __future__ import annotations

import json

from greenproc.builtin.processes import WAIT_SECONDS
from greenproc.process import Process
from greenproc.runtime import Runtime
from greenproc.testing import await_ready, future_dispatch
from tests.builtin.gated import Gated
from tests.peer import Peer


def test_who_stays_busy_is_not_waited_for_for_ever(runtime: Runtime) -> None:
    runtime.clock.pause()
    gated = Gated()
    runtime.spawn(gated)
    for body in (b"served", b"one", b"\xff"):
        runtime.post(gated, "m", body)
    asked = future_dispatch(runtime.spawn(Process("other")))
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /__processes__ HTTP/1.1\r\nHost: x\r\n\r\n")
        await_ready(asked)
        runtime.clock.advance(WAIT_SECONDS)
        listed = {one["id"]: one["events"] for one in json.loads(peer.read_answer().body)}
    assert [(one["type"], one.get("body")) for one in listed["gated"]] == [
        ("MESSAGE", "one"),
        ("MESSAGE", "\ufffd"),
        ("DISPATCH", None),
    ]
    assert listed["other"] == []
    gated.gate.set()


def test_who_gets_ready_in_time_shows_what_is_queued_then(runtime: Runtime) -> None:
    runtime.clock.pause()
    gated = Gated()
    runtime.spawn(gated)
    runtime.post(gated, "m")
    asked = future_dispatch(runtime.spawn(Process("other")))
    with Peer.connect(runtime.address) as peer:
        peer.send(b"GET /__processes__ HTTP/1.1\r\nHost: x\r\n\r\n")
        await_ready(asked)
        gated.gate.set()
        listed = {one["id"]: one["events"] for one in json.loads(peer.read_answer().body)}
    assert listed["gated"] == []
