"""What a client makes of what a server sends on a kept connection: three requests, the third streamed.

The bytes are those that libprocess was probed with.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

import pytest
from gevent import socket

from greenproc.http.content_coding import gzip_compress
from greenproc.testing import await_ready
from tests.peer import Acceptor
from tests.web.support import HEAD_END, a_get, connected, outcome_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
EACH = OK + b"1" + OK + b"2" + OK + b"3"


class Probe(NamedTuple):
    """What the server sends before it closes, and how the three requests must end."""

    name: str
    sent: bytes
    outcomes: tuple[str, str, str]


CLOSING = "Broken: Received 'Connection: close' from the server"
GONE = r"Broken: Disconnected: 127\.0\.0\.1:\d+ closed the connection"

PROBES = [
    Probe("three responses", EACH, ("200 1", "200 2", "200 3")),
    Probe(
        "a status without a name",
        b"HTTP/1.1 422 Unprocessable Entity\r\nContent-Length: 1\r\n\r\nx" + OK + b"2" + OK + b"3",
        ("422 x", "200 2", "200 3"),
    ),
    Probe(
        "a status that is only a number",
        b"HTTP/1.1 599\r\nContent-Length: 0\r\n\r\n" + OK + b"2" + OK + b"3",
        ("599 ", "200 2", "200 3"),
    ),
    Probe(
        "gzip",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
        % (len(gzip_compress(b"unpacked")), gzip_compress(b"unpacked"))
        + OK
        + b"2"
        + b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
        % (len(gzip_compress(b"streamed")), gzip_compress(b"streamed")),
        ("200 unpacked", "200 2", "200 streamed"),
    ),
    Probe(
        "interim responses",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + EACH,
        ("200 1", "200 2", "200 3"),
    ),
    Probe(
        "a body that ends with the connection",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall the rest",
        ("200 all the rest", CLOSING, CLOSING),
    ),
    Probe(
        "a body without a length and without a word about closing",
        b"HTTP/1.1 200 OK\r\n\r\nall the rest",
        ("200 all the rest", CLOSING, CLOSING),
    ),
    Probe(
        "a body cut short",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nthr",
        (
            r"Broken: failed to decode body: 127\.0\.0\.1:\d+ closed the connection too early",
            "Broken: Disconnected: failed to decode body: .*",
            "Broken: Disconnected: failed to decode body: .*",
        ),
    ),
    Probe(
        "a streamed body cut short",
        OK + b"1" + OK + b"2" + b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nthr",
        (
            "200 1",
            "200 2",
            r"Broken: failed to decode body: 127\.0\.0\.1:\d+ closed the connection too early",
        ),
    ),
    Probe(
        "a head cut short",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        (
            r"Broken: incomplete head: 127\.0\.0\.1:\d+ closed the connection too early",
            "Broken: Disconnected: incomplete head: .*",
            "Broken: Disconnected: incomplete head: .*",
        ),
    ),
    Probe(
        "a response that closes",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        ("200 hi", CLOSING, CLOSING),
    ),
    Probe(
        "a response that closes, in other letters",
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nhi",
        ("200 hi", CLOSING, CLOSING),
    ),
    Probe(
        "an HTTP/1.0 response",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        ("200 hi", CLOSING, CLOSING),
    ),
    Probe(
        "a blank before the colon",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi" + OK + b"2" + OK + b"3",
        ("200 hi", "200 2", "200 3"),
    ),
    Probe(
        "a trailer",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"
        + OK
        + b"2"
        + OK
        + b"3",
        ("200 hi", "200 2", "200 3"),
    ),
    Probe("four responses", EACH + OK + b"4", ("200 1", "200 2", "200 3")),
    Probe(
        "other words for a status, a redirect, and a body that comes later",
        b"HTTP/1.1 200 Whatever\r\nContent-Length: 0\r\n\r\n"
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n" + OK + b"3",
        ("200 ", "302 ", "200 3"),
    ),
    Probe(
        "no HTTP at all",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        (
            "RemoteProtocolError: Failed to decode response: malformed first line",
            "Broken: Disconnected: Failed to decode response: malformed first line",
            "Broken: Disconnected: Failed to decode response: malformed first line",
        ),
    ),
    Probe(
        "a good response, then garbage",
        OK + b"1" + b"\x00\x01\x02\r\n\r\n",
        (
            "200 1",
            "RemoteProtocolError: Failed to decode response: .*",
            "Broken: Disconnected: Failed to decode response: .*",
        ),
    ),
    Probe(
        "a broken chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        (
            "RemoteProtocolError: Failed to decode response: malformed chunk size",
            "Broken: Disconnected: .*",
            "Broken: Disconnected: .*",
        ),
    ),
    Probe(
        "two lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        (
            "RemoteProtocolError: Failed to decode response: .*",
            "Broken: Disconnected: .*",
            "Broken: Disconnected: .*",
        ),
    ),
    Probe(
        "another transfer coding",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: br\r\n\r\nxx",
        (
            "RemoteProtocolError: Failed to decode response: .* transfer coding .*",
            "Broken: Disconnected: .*",
            "Broken: Disconnected: .*",
        ),
    ),
    Probe(
        "broken gzip, which breaks nothing else",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"
        + OK
        + b"2"
        + OK
        + b"3",
        (
            "RemoteProtocolError: Failed to decode response: failed to decode body",
            "200 2",
            "200 3",
        ),
    ),
    Probe("nothing", b"", (GONE, GONE, GONE)),
    Probe("one response only", OK + b"1", ("200 1", GONE, GONE)),
]


@pytest.mark.parametrize("cut", [None, 1], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probe(server: Acceptor, probe: Probe, cut: int | None) -> None:
    size = cut or max(len(probe.sent), 1)
    with connected(server) as (connection, peer):
        futures = [connection.send(a_get(f"/{n}"), n == 3) for n in (1, 2, 3)]
        for _ in futures:
            peer.read_until(HEAD_END)
        for at in range(0, len(probe.sent), size):
            peer.send(probe.sent[at : at + size])
        peer.socket.shutdown(socket.SHUT_WR)

        outcomes = [outcome_of(future) for future in futures]
        await_ready(connection.disconnected)

    for outcome, expected in zip(outcomes, probe.outcomes, strict=True):
        assert re.fullmatch(expected, outcome), outcomes


def test_a_reset_fails_all_requests(server: Acceptor) -> None:
    with connected(server) as (connection, peer):
        futures = [connection.send(a_get()) for _ in range(3)]
        peer.read_until(HEAD_END)
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()

        outcomes = [outcome_of(future) for future in futures]

    assert all(
        text.startswith("Broken: Disconnected: connection to 127.0.0.1:") for text in outcomes
    )
    assert all("Connection reset by peer" in text for text in outcomes)


@pytest.mark.parametrize("sent", [EACH, b"H", b"garbage"])
def test_a_response_before_any_request_disconnects(server: Acceptor, sent: bytes) -> None:
    with connected(server) as (connection, peer):
        peer.reads_first = False
        peer.send(sent)
        await_ready(connection.disconnected)

        assert outcome_of(connection.send(a_get())) == (
            "Broken: Disconnected: Received data when none is expected"
        )
