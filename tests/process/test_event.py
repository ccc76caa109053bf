"""The kinds of event: how each is consumed, visited, dropped and shown."""

from __future__ import annotations

from typing import Any

import pytest

from greenproc.address import Address
from greenproc.future import Promise
from greenproc.http.request import Request
from greenproc.http.url import URL
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process.event import (
    DispatchEvent,
    Event,
    ExitedEvent,
    HttpEvent,
    MessageEvent,
    TerminateEvent,
)

PID = UPID("a", Address("127.0.0.1", 5050))
OTHER = UPID("b", Address("127.0.0.1", 5051))


def http_event(target: str = "/a/x?q=1") -> HttpEvent:
    return HttpEvent(Request("POST", URL.parse(target)), Promise())


EVENTS: list[tuple[Event, str, dict[str, Any]]] = [
    (
        MessageEvent(Message("n", PID, OTHER, b"caf\xc3\xa9\xff")),
        "message",
        {
            "type": "MESSAGE",
            "name": "n",
            "from": "a@127.0.0.1:5050",
            "to": "b@127.0.0.1:5051",
            "body": "café\ufffd",
        },
    ),
    (DispatchEvent(print), "dispatch", {"type": "DISPATCH"}),
    (http_event(), "http", {"type": "HTTP", "method": "POST", "url": "/a/x?q=1"}),
    (ExitedEvent(PID), "exited", {"type": "EXITED"}),
    (TerminateEvent(PID), "terminate", {"type": "TERMINATE"}),
]


class Noting:
    """Answers every method with its name and argument."""

    def __getattr__(self, name: str) -> Any:
        def note(event: Event) -> tuple[str, Event]:
            self.__dict__["noted"] = (name, event)
            return name, event

        return note


@pytest.mark.parametrize(("event", "kind", "json"), EVENTS)
def test_event_goes_to_the_method_of_its_kind(event: Event, kind: str, json: object) -> None:
    noting = Noting()
    event.consume(noting)
    assert noting.__dict__["noted"] == (f"consume_{kind}", event)
    assert event.visit(noting) == (f"visit_{kind}", event)


@pytest.mark.parametrize(("event", "kind", "json"), EVENTS)
def test_event_has_a_json_form(event: Event, kind: str, json: object) -> None:
    assert event.to_json() == json


def test_repr_tells_what_is_in_it() -> None:
    assert repr(ExitedEvent(PID)) == "<ExitedEvent type='EXITED'>"
    assert repr(http_event()) == "<HttpEvent type='HTTP' method='POST' url='/a/x?q=1'>"


def test_dropped_dispatch_is_abandoned() -> None:
    promise: Promise[None] = Promise()
    DispatchEvent(print, promise=promise).drop()
    assert promise.future.is_abandoned


def test_dropped_request_is_answered_with_500() -> None:
    event = http_event()
    event.drop()
    assert event.promise.future.get().status == 500


def test_request_that_was_answered_keeps_its_answer() -> None:
    event = http_event()
    event.promise.fail("answered")
    event.drop()
    assert event.promise.future.failure() == "answered"


@pytest.mark.parametrize(
    "event", [MessageEvent(Message("n", PID, PID, b"")), DispatchEvent(print), ExitedEvent(PID)]
)
def test_dropping_what_nobody_waits_for_does_nothing(event: Event) -> None:
    event.drop()


def test_exit_carries_its_reason() -> None:
    error = ValueError()
    assert ExitedEvent(PID, error).reason is error
    assert ExitedEvent(PID).reason is None


def test_terminate_injects_unless_told_otherwise() -> None:
    assert TerminateEvent(PID).inject is True
    assert TerminateEvent(PID, inject=False).inject is False
