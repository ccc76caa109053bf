"""A room in the terminal, and the people in it; `chat` is one for browsers.

The room is a node; it prints its address::

    cd examples; greenproc run talk:Room

Whoever joins is a node, too. Give it the address and a name, then type::

    python examples/talk.py room@127.0.0.1:41234 Ada

Everybody sees each line, and who comes, goes or is killed; ``/room/log`` has the last hundred.
"""

import argparse
import sys
from collections import deque

import gevent

import greenproc
from greenproc import UPID, Process, install, route
from greenproc.errors import BindError, InvalidPID
from greenproc.http import OK, Request, Response


class Room(Process):
    """Knows who is there, and passes on what they say."""

    def __init__(self) -> None:
        super().__init__("room")
        self.names: dict[UPID, str] = {}
        self.lines: deque[str] = deque(maxlen=100)

    @install("join")
    def on_join(self, sender: UPID, body: bytes) -> None:
        self.link(sender)  # so that exited() is called when it goes
        self.names[sender] = body[:20].decode(errors="replace")
        self.tell(f"* {self.names[sender]} is here")

    @install("say")
    def on_say(self, sender: UPID, body: bytes) -> None:
        if sender in self.names:
            self.tell(f"{self.names[sender]}: {body[:500].decode(errors='replace')}")

    def exited(self, pid: UPID) -> None:
        self.tell(f"* {self.names.pop(pid, 'somebody')} has left")

    @route("/log", help="What was said.")
    def on_log(self, request: Request) -> Response:
        return OK(json=list(self.lines))

    def tell(self, line: str) -> None:
        self.lines.append(line)
        for member in self.names:
            self.send(member, "line", line.encode())


class Member(Process):
    """Prints what is said in the room."""

    def join(self, room: UPID, name: str) -> None:
        self.link(room)
        self.send(room, "join", name.encode())

    def exited(self, pid: UPID) -> None:
        print(f"{pid} is not there", flush=True)
        self.terminate()

    @install("line")
    def on_line(self, sender: UPID, body: bytes) -> None:
        text = body.decode(errors="replace")  # from anybody: nothing in it may move the cursor
        print("".join(char if char.isprintable() else "?" for char in text), flush=True)


def main() -> None:
    """Join the room and say what is typed."""
    parser = argparse.ArgumentParser(description="Join a chat room.")
    parser.add_argument("room", metavar="room@ip:port", help="what it printed")
    parser.add_argument("name", help="your name there")
    given = parser.parse_args()
    try:
        room = UPID.parse(given.room)
    except InvalidPID as error:
        parser.error(str(error))
    member = greenproc.spawn(Member())
    greenproc.dispatch(member, Member.join, room, given.name).get()

    def type_lines() -> None:
        read = gevent.get_hub().threadpool.apply  # a thread waits for the keyboard, greenlets not
        for line in iter(lambda: read(sys.stdin.readline), ""):
            greenproc.post(room, "say", line.rstrip().encode(), sender=member)
        greenproc.terminate(member, inject=False)

    gevent.spawn(type_lines)
    greenproc.wait(member)
    greenproc.finalize()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for Ctrl-C
    except BindError as error:
        sys.exit(str(error))
