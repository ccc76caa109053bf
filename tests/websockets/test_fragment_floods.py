"""What many small frames cost others: nothing, as there is a pause at each."""

from __future__ import annotations

from wsproto.frame_protocol import FrameProtocol, Opcode

from greenproc.websockets.frame_reader import FrameReader

MANY = 1000


def test_each_fragment_of_a_message_gives_others_their_turn() -> None:
    pauses: list[None] = []
    reader = FrameReader(MANY, None, lambda: pauses.append(None))
    client = FrameProtocol(client=True, extensions=[])
    fragments = [client.send_data("x", fin=number == MANY - 1) for number in range(MANY)]

    assert list(reader.receive(b"".join(fragments))) == ["x" * MANY]

    assert len(pauses) >= MANY


def test_each_piece_of_a_long_frame_gives_others_their_turn() -> None:
    pauses: list[None] = []
    reader = FrameReader(MANY, None, lambda: pauses.append(None))
    client = FrameProtocol(client=True, extensions=[])
    frame = client.send_data(b"x" * MANY, fin=True)

    pieces = [frame[begin : begin + 100] for begin in range(0, len(frame), 100)]
    happenings = [event for piece in pieces for event in reader.receive(piece)]

    assert happenings == [b"x" * MANY]
    assert len(pauses) >= len(pieces)


def test_empty_fragments_are_no_way_around_it() -> None:
    pauses: list[None] = []
    reader = FrameReader(MANY, None, lambda: pauses.append(None))
    client = FrameProtocol(client=True, extensions=[])
    first = client.send_data("x", fin=False)
    empty = bytes((Opcode.CONTINUATION, 0x80, 0, 0, 0, 0))

    assert not list(reader.receive(bytes(first) + empty * MANY))

    assert len(pauses) >= MANY
