"""The cases of the Autobahn test-suite for servers, made again from RFC 6455 and RFC 7692.

A test is one section; what is sent and expected is written down here frame by frame.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import pytest

from tests.websockets.client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Client,
    Frame,
    close,
    frame,
)
from tests.websockets.conftest import Connect, Echo

OCTETS = 1
NORMAL = 1000
PROTOCOL_ERROR = 1002
INVALID = 1007

HELLO = b"Hello, world!"
SOUND = "Hello-µ@ßöäüàá-UTF-8!!".encode()
UNSOUND = bytes.fromhex(
    "cebae1bdb9cf83cebcceb5eda080656469746564"  # a surrogate between two sound parts
)


def in_pieces(client: Client, data: bytes, size: int | None) -> None:
    """Send *data* in pieces of *size* bytes, or at once."""
    size = size or len(data) or 1
    for at in range(0, len(data), size):
        client.send(data[at : at + size])


def check_echoed(
    client: Client, sent: bytes, expected: Iterable[Frame], *, chop: int | None = None
) -> None:
    """See that *sent* brings the frames *expected*, and that the client may close in order."""
    in_pieces(client, sent, chop)
    for one in expected:
        assert client.read_frame() == one
    client.send(close(NORMAL))
    assert client.read_frames() == [Frame(CLOSE, struct.pack("!H", NORMAL))]


def check_failed(
    client: Client,
    sent: bytes,
    expected: Iterable[Frame] = (),
    *,
    code: int = PROTOCOL_ERROR,
    chop: int | None = None,
) -> None:
    """See that the server answers what is sound, and then fails the connection with *code*."""
    in_pieces(client, sent, chop)
    *frames, last = client.read_frames()
    assert frames == list(expected)
    assert (last.opcode, last.payload[:2]) == (CLOSE, struct.pack("!H", code))


SIZES = [0, 125, 126, 127, 128, 65535, 65536]


@pytest.mark.parametrize("size", SIZES)
def test_ws_autobahn_1_1(echo: Echo, connect: Connect, size: int) -> None:
    payload = b"*" * size
    check_echoed(connect(), frame(TEXT, payload), [Frame(TEXT, payload)])


@pytest.mark.parametrize("size", SIZES)
def test_ws_autobahn_1_2(echo: Echo, connect: Connect, size: int) -> None:
    payload = b"\xfe" * size
    check_echoed(connect(), frame(BINARY, payload), [Frame(BINARY, payload)])


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_ws_autobahn_1_8_in_chops(echo: Echo, connect: Connect, opcode: int) -> None:
    payload = b"*" * 65536
    check_echoed(connect(), frame(opcode, payload), [Frame(opcode, payload)], chop=997)


PINGS = [b"", HELLO, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125]


@pytest.mark.parametrize("payload", PINGS, ids=len)
@pytest.mark.parametrize("chop", [None, OCTETS])
def test_ws_autobahn_2_pings(
    echo: Echo, connect: Connect, payload: bytes, chop: int | None
) -> None:
    check_echoed(connect(), frame(PING, payload), [Frame(PONG, payload)], chop=chop)


def test_ws_autobahn_2_5_a_long_ping(echo: Echo, connect: Connect) -> None:
    check_failed(connect(), frame(PING, b"\xfe" * 126))


def test_ws_autobahn_2_pongs(echo: Echo, connect: Connect) -> None:
    check_echoed(connect(), frame(PONG), [])
    check_echoed(connect(), frame(PONG, b"unsolicited"), [])
    sent = frame(PONG, b"unsolicited") + frame(PING, b"ping")
    check_echoed(connect(), sent, [Frame(PONG, b"ping")])


@pytest.mark.parametrize("chop", [None, OCTETS])
def test_ws_autobahn_2_ten_pings(echo: Echo, connect: Connect, chop: int | None) -> None:
    payloads = [b"payload-%d" % number for number in range(10)]
    sent = b"".join(frame(PING, payload) for payload in payloads)
    check_echoed(connect(), sent, [Frame(PONG, payload) for payload in payloads], chop=chop)


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
@pytest.mark.parametrize("chop", [None, OCTETS])
def test_ws_autobahn_3(
    echo: Echo, connect: Connect, rsv: int, opcode: int, chop: int | None
) -> None:
    sent = frame(TEXT, HELLO) + frame(opcode, b"", rsv=rsv) + frame(PING)
    check_failed(connect(), sent, [Frame(TEXT, HELLO)], chop=chop)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("payload", [b"", HELLO], ids=len)
@pytest.mark.parametrize("chop", [None, OCTETS])
def test_ws_autobahn_4_1(
    echo: Echo, connect: Connect, opcode: int, payload: bytes, chop: int | None
) -> None:
    sent = frame(TEXT, HELLO) + frame(opcode, payload) + frame(PING)
    check_failed(connect(), sent, [Frame(TEXT, HELLO)], chop=chop)


@pytest.mark.parametrize("opcode", [11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", HELLO], ids=len)
@pytest.mark.parametrize("chop", [None, OCTETS])
def test_ws_autobahn_4_2(
    echo: Echo, connect: Connect, opcode: int, payload: bytes, chop: int | None
) -> None:
    sent = frame(TEXT, HELLO) + frame(opcode, payload) + frame(PING)
    check_failed(connect(), sent, [Frame(TEXT, HELLO)], chop=chop)


START = frame(TEXT, b"fragment1", fin=False)
END = frame(CONTINUATION, b"fragment2")
WHOLE = Frame(TEXT, b"fragment1fragment2")


@pytest.mark.parametrize("chop", [None, OCTETS])
def test_ws_autobahn_5_fragments(echo: Echo, connect: Connect, chop: int | None) -> None:
    """5.3 to 5.8: two fragments, and a ping between them, which is answered first."""
    check_echoed(connect(), START + END, [WHOLE], chop=chop)
    sent = START + frame(PING, b"ping") + END
    check_echoed(connect(), sent, [Frame(PONG, b"ping"), WHOLE], chop=chop)


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_ws_autobahn_5_fragmented_control(echo: Echo, connect: Connect, opcode: int) -> None:
    """5.1 and 5.2."""
    check_failed(connect(), frame(opcode, b"a", fin=False) + frame(CONTINUATION, b"b"))


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("chop", [None, OCTETS])
def test_ws_autobahn_5_nothing_to_continue(
    echo: Echo, connect: Connect, chop: int | None, *, fin: bool
) -> None:
    """5.9 to 5.17."""
    lone = frame(CONTINUATION, b"non-continuation payload", fin=fin)
    check_failed(connect(), lone + frame(TEXT, HELLO), chop=chop)
    check_failed(connect(), START + END + lone + frame(TEXT, HELLO), [WHOLE], chop=chop)
    check_failed(connect(), lone + START + END, chop=chop)


def test_ws_autobahn_5_18_text_within_text(echo: Echo, connect: Connect) -> None:
    check_failed(connect(), START + frame(TEXT, b"fragment2"))
    check_failed(connect(), START + frame(BINARY, b"fragment2", fin=False))


def test_ws_autobahn_5_pings_within_a_message(echo: Echo, connect: Connect) -> None:
    """5.19 and 5.20: each is answered before the message is complete."""
    client = connect()
    client.send(START + frame(CONTINUATION, b"fragment2", fin=False) + frame(PING, b"ping1"))
    assert client.read_frame() == Frame(PONG, b"ping1")
    third, fourth = (frame(CONTINUATION, b"fragment%d" % n, fin=False) for n in (3, 4))
    client.send(third + fourth + frame(PING, b"ping2"))
    assert client.read_frame() == Frame(PONG, b"ping2")
    expected = b"".join(b"fragment%d" % number for number in range(1, 6))
    check_echoed(client, frame(CONTINUATION, b"fragment5"), [Frame(TEXT, expected)])


def fragments(payload: bytes, size: int, opcode: int = TEXT) -> bytes:
    """Write *payload* in frames of *size* bytes."""
    parts = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    last = len(parts) - 1
    return b"".join(
        frame(CONTINUATION if number else opcode, part, fin=number == last)
        for number, part in enumerate(parts)
    )


def test_ws_autobahn_6_1(echo: Echo, connect: Connect) -> None:
    check_echoed(connect(), frame(TEXT), [Frame(TEXT, b"")])
    empty = frame(TEXT, fin=False) + frame(CONTINUATION, fin=False)
    check_echoed(connect(), empty + frame(CONTINUATION), [Frame(TEXT, b"")])
    sent = frame(TEXT, fin=False) + frame(CONTINUATION, b"middle", fin=False)
    check_echoed(connect(), sent + frame(CONTINUATION), [Frame(TEXT, b"middle")])


def test_ws_autobahn_6_2(echo: Echo, connect: Connect) -> None:
    check_echoed(connect(), frame(TEXT, SOUND), [Frame(TEXT, SOUND)])
    for size in (1, 2, 7, len(SOUND) - 1):
        check_echoed(connect(), fragments(SOUND, size), [Frame(TEXT, SOUND)])


def test_ws_autobahn_6_3(echo: Echo, connect: Connect) -> None:
    check_failed(connect(), frame(TEXT, UNSOUND), code=INVALID)
    check_failed(connect(), fragments(UNSOUND, 1), code=INVALID)


def test_ws_utf8_fail_fast(echo: Echo, connect: Connect) -> None:
    """6.4: the failure comes before the message, and even the frame, does."""
    sound, beyond, rest = UNSOUND[:11], b"\xf4\x90\x80\x80", b"edited"
    start = frame(TEXT, sound, fin=False)
    check_failed(connect(), start + frame(CONTINUATION, beyond, fin=False), code=INVALID)
    check_failed(connect(), start + frame(CONTINUATION, beyond[:2], fin=False), code=INVALID)
    whole = frame(TEXT, sound + beyond + rest)
    for size in (2, 4):  # of the wrong code point, of which the second byte is impossible
        cut = len(whole) - len(beyond + rest) + size
        check_failed(connect(), whole[:cut], code=INVALID)
    client = connect()
    client.send(whole[: cut - 3])
    check_failed(client, whole[cut - 3 : cut - 2], code=INVALID)


def test_ws_autobahn_6_incomplete_at_the_end(echo: Echo, connect: Connect) -> None:
    check_failed(connect(), frame(TEXT, b"\xce"), code=INVALID)
    sent = frame(TEXT, b"\xce", fin=False) + frame(CONTINUATION, b"")
    check_failed(connect(), sent, code=INVALID)


KOSME = UNSOUND[:11]

VALID = {
    "first of 1": "00",
    "first of 2": "c280",
    "first of 3": "e0a080",
    "first of 4": "f0908080",
    "last of 1": "7f",
    "last of 2": "dfbf",
    "last of 3": "efbfbf",
    "last of 4": "f48fbfbf",
    "before the surrogates": "ed9fbf",
    "behind the surrogates": "ee8080",
    "the replacement character": "efbfbd",
    "a byte order mark": "efbbbf",
    **{
        f"no character {plane}fffe": chr(plane << 16 | 0xFFFE).encode().hex()
        for plane in range(17)
    },
    **{
        f"no character {plane}ffff": chr(plane << 16 | 0xFFFF).encode().hex()
        for plane in range(17)
    },
}

INVALID_BYTES = {
    "beyond the last of 4": "f4908080",
    "last of 5": "fbbfbfbfbf",
    "last of 6": "fdbfbfbfbfbf",
    "first of 5": "f888808080",
    "first of 6": "fc8480808080",
    "lone continuation 80": "80",
    "lone continuation bf": "bf",
    **{
        f"{count} continuations": "80bf" * (count // 2) + "80" * (count % 2)
        for count in range(2, 8)
    },
    "all continuations": bytes(range(0x80, 0xC0)).hex(),
    "lone starts of 2": "".join(f"{one:02x}20" for one in range(0xC0, 0xE0)),
    "lone starts of 3": "".join(f"{one:02x}20" for one in range(0xE0, 0xF0)),
    "lone starts of 4": "".join(f"{one:02x}20" for one in range(0xF0, 0xF8)),
    "lone starts of 5": "f820f920fa20fb20",
    "lone starts of 6": "fc20fd20",
    "missing 1 of 2": "c2",
    "missing 1 of 3": "e0a0",
    "missing 1 of 4": "f09080",
    "missing 1 of 2, last": "df",
    "missing 1 of 3, last": "efbf",
    "missing 1 of 4, last": "f7bfbf",
    "missing, joined": "c2e0a0f09080dfefbff7bfbf",
    "impossible fe": "fe",
    "impossible ff": "ff",
    "impossible, joined": "fefeffff",
    "overlong 2 of /": "c0af",
    "overlong 3 of /": "e080af",
    "overlong 4 of /": "f08080af",
    "overlong 5 of /": "f8808080af",
    "overlong 6 of /": "fc80808080af",
    "overlong 2, the longest": "c1bf",
    "overlong 3, the longest": "e09fbf",
    "overlong 4, the longest": "f08fbfbf",
    "overlong 5, the longest": "f887bfbfbf",
    "overlong 6, the longest": "fc83bfbfbfbf",
    "overlong 2 of NUL": "c080",
    "overlong 3 of NUL": "e08080",
    "overlong 4 of NUL": "f0808080",
    "overlong 5 of NUL": "f880808080",
    "overlong 6 of NUL": "fc8080808080",
    **{
        f"surrogate {one}": one
        for one in ("eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf")
    },
    **{
        f"surrogates {first} {second}": first + second
        for first in ("eda080", "edadbf", "edae80", "edafbf")
        for second in ("edb080", "edbfbf")
    },
}


@pytest.mark.parametrize("opened", [b"", b"sound "], ids=["alone", "behind text"])
def test_ws_autobahn_6_5_to_6_23_valid(echo: Echo, connect: Connect, opened: bytes) -> None:
    client = connect()
    for code in VALID.values():
        payload = opened + bytes.fromhex(code)
        client.send(frame(TEXT, payload))
        assert client.read_frame() == Frame(TEXT, payload)
    for end in range(2, len(KOSME) + 1):
        whole = KOSME[:end]
        if end in (2, 5, 7, 9, 11):  # where a character ends
            client.send(frame(TEXT, whole))
            assert client.read_frame() == Frame(TEXT, whole)
        else:
            check_failed(connect(), frame(TEXT, whole), code=INVALID)


@pytest.mark.parametrize("code", INVALID_BYTES.values(), ids=INVALID_BYTES.keys())
def test_ws_autobahn_6_5_to_6_23_invalid(echo: Echo, connect: Connect, code: str) -> None:
    check_failed(connect(), frame(TEXT, bytes.fromhex(code)), code=INVALID)
    check_failed(connect(), fragments(b"sound " + bytes.fromhex(code), 1), code=INVALID)


def test_ws_autobahn_7_1(echo: Echo, connect: Connect) -> None:
    """What comes behind a Close is ignored, whatever it is."""
    normal = Frame(CLOSE, struct.pack("!H", NORMAL))
    hello = Frame(TEXT, HELLO)
    for sent, expected in (
        (frame(TEXT, HELLO) + close(NORMAL), [hello, normal]),
        (close(NORMAL) + close(NORMAL), [normal]),
        (close(NORMAL) + frame(PING), [normal]),
        (close(NORMAL) + frame(TEXT, HELLO), [normal]),
        (START + close(NORMAL) + END, [normal]),
        (
            frame(TEXT, b"*" * 262144) + frame(TEXT, HELLO) + close(NORMAL) + frame(PING),
            [Frame(TEXT, b"*" * 262144), hello, normal],
        ),
    ):
        client = connect()
        client.send(sent)
        assert client.read_frames() == expected


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (b"", b""),
        (b"\x03", struct.pack("!H", PROTOCOL_ERROR)),
        (b"\x03\xe8", b"\x03\xe8"),
        (b"\x03\xe8Hello World!", b"\x03\xe8"),
        (b"\x03\xe8" + b"*" * 123, b"\x03\xe8"),
        (b"\x03\xe8" + b"*" * 124, struct.pack("!H", PROTOCOL_ERROR)),
        (b"\x03\xe8" + UNSOUND, struct.pack("!H", INVALID)),
    ],
    ids=range(7),
)
def test_ws_autobahn_7_3_and_7_5(
    echo: Echo, connect: Connect, payload: bytes, answer: bytes
) -> None:
    client = connect()
    client.send(frame(CLOSE, payload))
    assert client.read_frames() == [Frame(CLOSE, answer)]


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
)
def test_ws_autobahn_7_7(echo: Echo, connect: Connect, code: int) -> None:
    client = connect()
    client.send(close(code))
    assert client.read_frames() == [Frame(CLOSE, struct.pack("!H", code))]


@pytest.mark.parametrize(
    "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
)
def test_ws_autobahn_7_9_and_7_13(echo: Echo, connect: Connect, code: int) -> None:
    check_failed(connect(), close(code))


KIB, MIB = 1024, 1024 * 1024
SLOW = pytest.mark.slow


def slowly(small: list[int], large: list[int]) -> list[object]:
    """Return sizes as parameters, the large ones for --slow."""
    return [*small, *(pytest.param(size, marks=SLOW) for size in large)]


@pytest.mark.parametrize("size", slowly([64 * KIB, 256 * KIB], [MIB, 4 * MIB, 8 * MIB, 16 * MIB]))
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_ws_autobahn_9_1_and_9_2(echo: Echo, connect: Connect, size: int, opcode: int) -> None:
    payload = b"*" * size
    client = connect("/echo/big")
    check_echoed(client, frame(opcode, payload), [Frame(opcode, payload)])


@pytest.mark.parametrize(
    ("total", "size"),
    [
        (256 * KIB, 64),
        (256 * KIB, 4 * KIB),
        *(
            pytest.param(4 * MIB, size, marks=SLOW)
            for size in (64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB)
        ),
    ],
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_ws_autobahn_9_3_and_9_4(
    echo: Echo, connect: Connect, total: int, size: int, opcode: int
) -> None:
    payload = b"*" * total
    sent = fragments(payload, size, opcode)
    check_echoed(connect("/echo/big"), sent, [Frame(opcode, payload)])


@pytest.mark.parametrize("chop", slowly([2048], [64, 128, 256, 512, 1024]))
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_ws_autobahn_9_5_and_9_6(echo: Echo, connect: Connect, chop: int, opcode: int) -> None:
    payload = b"*" * MIB
    check_echoed(connect("/echo/big"), frame(opcode, payload), [Frame(opcode, payload)], chop=chop)


@pytest.mark.parametrize("size", [0, 16, 64, 256, 1024, 4096])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_ws_autobahn_9_7_and_9_8(
    echo: Echo, connect: Connect, request: pytest.FixtureRequest, size: int, opcode: int
) -> None:
    client = connect("/echo/big")
    one = frame(opcode, b"*" * size)
    for _ in range(1000 if request.config.getoption("--slow") else 50):
        client.send(one)
        assert client.read_frame() == Frame(opcode, b"*" * size)


def test_ws_autobahn_10_1(echo: Echo, connect: Connect) -> None:
    payload = b"*" * 65536
    check_echoed(connect(), fragments(payload, 1300), [Frame(TEXT, payload)])


RSV1 = 4
WORDS = b'{"created_at": "Thu Jun 22 21:00:00 +0000 2026", "text": "and now to something else"}, '


def packed(payload: bytes, bits: int = 15) -> bytes:
    """Pack a message as RFC 7692 section 7.2.1 says."""
    packer = zlib.compressobj(wbits=-bits)
    data = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert data.endswith(b"\x00\x00\xff\xff")
    return data[:-4] or b"\x00"


def unpacked(one: Frame | None, bits: int = 15) -> bytes:
    """Return what a frame of the server says."""
    assert one is not None and one.fin and one.rsv in (0, RSV1)
    if not one.rsv:
        return one.payload
    unpacker = zlib.decompressobj(-bits)
    return unpacker.decompress(one.payload + b"\x00\x00\xff\xff")


def check_packed(client: Client, payload: bytes, size: int | None, bits: int = 15) -> None:
    data = packed(payload, bits)
    parts = [data[at : at + (size or len(data))] for at in range(0, len(data), size or len(data))]
    for number, part in enumerate(parts):
        opcode, rsv = (CONTINUATION, 0) if number else (TEXT, RSV1)
        client.send(frame(opcode, part, fin=number == len(parts) - 1, rsv=rsv))
    assert unpacked(client.read_frame()) == payload


PACKED_SIZES = [16, 64, 256, KIB, 4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB]


def rounds(request: pytest.FixtureRequest) -> int:
    return 1000 if request.config.getoption("--slow") else 5


@pytest.mark.parametrize("size", PACKED_SIZES)
@pytest.mark.parametrize("fragment", [None, 256, 32 * KIB])
def test_ws_autobahn_12(
    echo: Echo,
    connect: Connect,
    request: pytest.FixtureRequest,
    size: int,
    fragment: int | None,
) -> None:
    client = connect("/echo/ws", "Sec-WebSocket-Extensions: permessage-deflate")
    assert "permessage-deflate" in (client.answer.header("Sec-WebSocket-Extensions") or "")
    payload = (WORDS * (size // len(WORDS) + 1))[:size]
    for _ in range(rounds(request)):
        check_packed(client, payload, fragment)


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; server_max_window_bits=9",
        "permessage-deflate; client_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=15",
        "permessage-deflate; server_max_window_bits=9; unknown, permessage-deflate",
        "permessage-deflate; server_max_window_bits=8, permessage-deflate; client_max_window_bits",
    ],
)
@pytest.mark.parametrize("size", [16, KIB, 32 * KIB])
def test_ws_autobahn_13(
    echo: Echo, connect: Connect, request: pytest.FixtureRequest, offer: str, size: int
) -> None:
    client = connect("/echo/ws", f"Sec-WebSocket-Extensions: {offer}")
    answer = client.answer.header("Sec-WebSocket-Extensions") or ""
    bits = 9 if "client_max_window_bits=9" in answer else 15
    payload = (WORDS * (size // len(WORDS) + 1))[:size]
    for _ in range(rounds(request)):
        check_packed(client, payload, None, bits)


def test_ws_masking(echo: Echo, connect: Connect) -> None:
    """RFC 6455 section 5.1: a client must mask, whatever the mask is."""
    check_failed(connect(), frame(TEXT, HELLO, mask=None))
    check_failed(connect(), frame(PING, mask=None))
    check_failed(connect(), START + frame(CONTINUATION, b"x", mask=None))
    check_echoed(connect(), frame(TEXT, HELLO, mask=b"\0\0\0\0"), [Frame(TEXT, HELLO)])
    check_echoed(connect(), frame(TEXT, HELLO, mask=b"\xff\1\2\3"), [Frame(TEXT, HELLO)])


@pytest.mark.parametrize(
    "head",
    [
        b"\x81\xfe\x00\x7d",  # 125 in two bytes
        b"\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff",  # 65535 in eight
        b"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00",  # the top bit
    ],
)
def test_ws_lengths_are_minimal(echo: Echo, connect: Connect, head: bytes) -> None:
    """RFC 6455 section 5.2."""
    check_failed(connect(), head + b"\0\0\0\0")
