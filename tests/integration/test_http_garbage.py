"""A live node and clients that send generated garbage, over real sockets."""

from __future__ import annotations

import gzip
from itertools import pairwise

import gevent
import httptools
import pytest
from gevent import socket
from hypothesis import given
from hypothesis import strategies as st

from greenproc import Runtime
from greenproc.http.head import HEAD_END
from greenproc.testing import RuntimeMaker
from tests.generated import inputs
from tests.integration.http_cases import chunked, get, message, post
from tests.integration.probe import Probe
from tests.peer import Peer

GOOD = get(b"/probe")
GOOD_REQUESTS = [
    get(b"/probe/dump?a=b%20c&d"),
    get(b"/probe", b"Connection: keep-alive\r\nAccept-Encoding: gzip;q=0.5, *\r\n"),
    get(b"/__processes__"),
    get(b"/probe/files/file"),
    post(b"Content-Length: 5", b"hello").replace(b"dump", b"size"),
    chunked(b"5\r\nhello\r\n0\r\n\r\n").replace(b"dump", b"size"),
    b"GET /probe/dump HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    post(b"Content-Length: 5\r\nContent-Encoding: identity", b"hello"),
    post(b"Content-Length: 28\r\nContent-Encoding: gzip", gzip.compress(b"zippered", mtime=0)),
    post(b"Expect: 100-continue\r\nContent-Length: 2", b"hi"),
    chunked(b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nA: b\r\n\r\n"),
    message(b"Libprocess-From: a%20b@1.2.3.4:5\r\nContent-Length: 2", b"/pro%62e/note", b"hi"),
    message(
        b"User-Agent: libprocess/a@1.2.3.4:5\r\nTransfer-Encoding: chunked",
        rest=b"2\r\nhi\r\n0\r\n\r\n",
    ),
]
PIECES = [
    *(bytes([number]) for number in (0, 9, 10, 11, 13, 32, 127, 128, 255)),
    *(b"\r\n", b"\r\n\r\n", b"%", b"%zz", b"%00", b"/..", b"//", b":", b";", b"?", b"#", b"@"),
    *(b"0", b"9", b"f" * 16, b"-", b"HTTP/1.0", b"CONNECT ", b"libprocess/", b"\xed\xa0\x80"),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n"),
    *(b"Connection: close\r\n", b"Connection: upgrade\r\n", b"Upgrade: h2c\r\n", b"Host: h\r\n"),
]


@st.composite
def mutated_requests(draw: st.DrawFn) -> bytes:
    """Draw requests of which some were good once."""
    data = b"".join(draw(st.lists(st.sampled_from(GOOD_REQUESTS), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.sampled_from([0, 0, 1, 2, 20])))
        put = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)))
        data = data[:begin] + put + data[end:]
    return data


@st.composite
def cut(draw: st.DrawFn, source: st.SearchStrategy[bytes]) -> list[bytes]:
    """Draw bytes of *source* in the pieces in which they are sent."""
    data = draw(source)
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    return [data[a:b] for a, b in pairwise([0, *places, len(data)])]


class Answers:
    """Reads what a node answers to *sent* as llhttp does."""

    def __init__(self, data: bytes, sent: bytes) -> None:
        self.found: list[tuple[int, bytes]] = []
        self._begun = 0
        self._body = b""
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(data)
        if b"HEAD " in sent and data.endswith(HEAD_END) and self._begun > len(self.found):
            self.on_message_complete()  # llhttp waits for the body that a refused HEAD has not
        assert self._begun == len(self.found), "the last answer is cut short"

    def on_message_begin(self) -> None:
        self._begun += 1
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.found.append((self._parser.get_status_code(), self._body))


STATUSES = {100, 200, 202, 400, 404, 413, 414, 431, 501, 505}
# A streaming route has begun when its body turns out to be malformed: what the handler is told.
BROKEN_STREAMS = {(500, b"failed to decode body"), (500, b"Failed to decompress body")}


def is_by_the_rules(answer: tuple[int, bytes]) -> bool:
    """Whether *answer* tells a client of its own mistakes only: nothing that it does is ours."""
    return answer[0] in STATUSES or answer in BROKEN_STREAMS


@pytest.mark.parametrize(
    "pieces",
    [cut(st.binary(max_size=300)), cut(mutated_requests())],
    ids=["bytes", "requests"],
)
def test_garbage_is_answered_by_the_rules_and_harms_nobody(
    node: Runtime, probe: Probe, make_runtime: RuntimeMaker, pieces: st.SearchStrategy[list[bytes]]
) -> None:
    with Peer.connect(node.address) as witness:

        @inputs(1000)
        @given(pieces)
        def check(pieces: list[bytes]) -> None:
            with Peer.connect(node.address) as peer:
                for piece in pieces:
                    peer.send(piece)
                    gevent.sleep(0)
                peer.socket.shutdown(socket.SHUT_WR)
                data = peer.read_to_end()
            assert make_runtime.errors.describe() == []
            assert all(map(is_by_the_rules, Answers(data, b"".join(pieces)).found))
            # Who was connected before is still served, by the process that was there before.
            assert witness.ask(GOOD).body == b"GET /probe 0"

        check()


def test_a_process_that_gives_files_away_survives_any_path(node: Runtime, probe: Probe) -> None:
    with Peer.connect(node.address) as peer:
        assert peer.ask(get(b"/probe/files/\xff")).code == 404
        assert peer.ask(get(b"/probe")).code == 200
