"""The text of Server-Sent Events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenproc.errors import InvalidArgument
from greenproc.http import encode_event
from tests.event_source import Event, Interpreter


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, b"data: \n\n"),
        ({"data": "a"}, b"data: a\n\n"),
        ({"data": " a"}, b"data:  a\n\n"),
        ({"data": "a\nb\r\nc\rd"}, b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        ({"data": "a\n"}, b"data: a\ndata: \n\n"),
        ({"data": "\r\n\r"}, b"data: \ndata: \ndata: \n\n"),
        ({"data": "a\x0b\x1c\x85\u2028b"}, b"data: a\x0b\x1c\xc2\x85\xe2\x80\xa8b\n\n"),
        ({"data": "data: x\n\nid: 7"}, b"data: data: x\ndata: \ndata: id: 7\n\n"),
        ({"data": "é€", "event": "é", "id": "€"}, "event: é\nid: €\ndata: é€\n\n".encode()),
        ({"data": "\udc80"}, b"data: ?\n\n"),
        ({"data": "x", "event": "", "id": ""}, b"event: \nid: \ndata: x\n\n"),
        ({"data": None, "retry": 0.7}, b"retry: 700\n\n"),
        ({"data": None, "retry": 0}, b"retry: 0\n\n"),
        ({"data": None, "id": "7"}, b"id: 7\n\n"),
    ],
)
def test_sse_encode(fields: dict[str, Any], text: bytes) -> None:
    assert encode_event(**fields) == text


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "a\nb"},
        {"event": "a\rb"},
        {"id": "a\nb"},
        {"id": "a\rb"},
        {"id": "a\0b"},
        {"retry": -1},
        {"retry": float("nan")},
        {"retry": float("inf")},
        {"retry": "1"},
        {"data": b"bytes"},
        {"event": b"bytes"},
        {"id": 7},
    ],
)
def test_sse_encode_refuses(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        encode_event(**fields)


NAMES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))


@given(st.text(), NAMES, NAMES)
def test_sse_a_client_gets_what_was_encoded(data: str, event: str, id: str) -> None:
    text = encode_event(data, event=event, id=id).decode()

    lines = data.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    assert Interpreter().read(text) == [Event(event or "message", lines, id)]
