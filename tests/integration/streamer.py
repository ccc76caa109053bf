"""Streams many bytes from and to a process, file included, and tells how much memory that took.

``python -m tests.integration.streamer MEGABYTES FOLDER`` prints, for each of the ways, how many
bytes came through and by how many kilobytes the largest size of this OS process grew.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent

from greenproc import Process, Runtime, Settings, route
from greenproc.http import Request
from greenproc.web import Pipe, get, post

MEGABYTE = 1024 * 1024
PIECE = b"x" * (64 * 1024)


class Streamer(Process):
    """Sends and takes streams.

    Args:
        megabytes: how much is sent.
        folder: what is given away.
    """

    def __init__(self, megabytes: int, folder: Path) -> None:
        super().__init__("streamer")
        self.pieces = megabytes * MEGABYTE // len(PIECE)
        self.provide("files", folder)

    @route("/down")
    def on_down(self, request: Request) -> Iterator[bytes]:
        for _ in range(self.pieces):
            yield PIECE

    @route("/up", streaming=True)
    def on_up(self, request: Request) -> str:
        return str(sum(len(piece) for piece in request.reader))


def download(streamer: Streamer, path: str) -> int:
    reader = get((streamer.pid, path), stream=True).get().reader
    return sum(len(piece) for piece in reader)


def upload(streamer: Streamer) -> int:
    pipe = Pipe()

    def write() -> None:
        for _ in range(streamer.pieces):
            pipe.writer.write(PIECE)
            pipe.writer.writable().wait()
        pipe.writer.close()

    gevent.spawn(write)
    return int(post((streamer.pid, "/up"), body=pipe.reader).get().body)


def peak_kilobytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(megabytes: int, folder: Path) -> None:
    with (folder / "large").open("wb") as file:
        file.truncate(megabytes * MEGABYTE)
    ways: dict[str, Callable[[Streamer], int]] = {
        "down": lambda streamer: download(streamer, "/down"),
        "up": upload,
        "file": lambda streamer: download(streamer, "/files/large"),
    }
    with Runtime(Settings(ip="127.0.0.1")) as runtime, runtime.selected():
        streamer = Streamer(megabytes, folder)
        runtime.spawn(streamer)
        for name, stream in ways.items():
            before = peak_kilobytes()
            count = stream(streamer)
            print(name, count, peak_kilobytes() - before)  # noqa: T201 -- a program


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
