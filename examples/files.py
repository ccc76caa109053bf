"""A place to leave files: uploads of any size, downloads, and news of what comes, as it comes.

Run it; a node takes some files, and prints what its clients get::

    python examples/files.py
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import greenproc
from greenproc import PID, Process, route
from greenproc.http import BadRequest, Created, Request, Response
from greenproc.web import Pipe, get, post


class Files(Process):
    """Keeps files in a folder, for everybody."""

    def __init__(self, folder: Path) -> None:
        super().__init__("files")
        self.folder = folder
        self.listeners: list[Pipe] = []
        # Everything in the folder, and nothing outside of it: GET /files/all/<name>.
        self.provide("all", folder)

    @route("/list")
    def on_list(self, request: Request) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    # The body is read as it comes, and the client waits while the disk does.
    @route("/upload", streaming=True)
    def on_upload(self, request: Request) -> Response:
        name = request.url.query.get("name", "")
        if not re.fullmatch("[A-Za-z0-9]{1,100}", name):
            return BadRequest("expected a name of up to 100 letters and digits")
        with (self.folder / name).open("wb") as file:
            size = sum(file.write(piece) for piece in request.reader)
        for pipe in self.listeners:
            pipe.writer.write(f"{name} has {size} bytes\n".encode())
        return Created()

    # A stream that others write to. It ends when the client is gone.
    @route("/news")
    def on_news(self, request: Request) -> Response:
        pipe = Pipe()
        self.listeners.append(pipe)
        pipe.writer.reader_closed.on_ready(lambda _: self.listeners.remove(pipe))
        return Response(reader=pipe.reader)

    # A generator runs beside the process, as fast as the client takes what it yields.
    @route("/count")
    def on_count(self, request: Request) -> Iterator[str]:
        for number in range(1, 4):
            yield f"{number} "


def show(files: PID[Files]) -> None:
    """Use every endpoint, and print what it answers."""
    news = get((files, "/news"), stream=True).get().reader
    pieces = (b"x" * 64 * 1024 for _ in range(1024))  # never in memory at once
    print("upload:", post((files, "/upload?name=large"), body=pieces).get().status)
    print("upload:", post((files, "/upload?name=../x"), body=b"x").get().body.decode())
    print("news:", news.read().get().decode().strip())
    print("list:", get((files, "/list")).get().json())
    print("download:", len(get((files, "/all/large"), max_body_bytes=2**27).get().body))
    print("outside:", get((files, "/all/%2e%2e/passwd")).get().status)
    print("count:", get((files, "/count")).get().body.decode())
    news.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        show(greenproc.spawn(Files(Path(folder))))
        greenproc.finalize()
