"""Two processes throw a ball to and fro.

In one OS process::

    python examples/pingpong.py

In two, each in a terminal of its own. The first prints its address, which the second takes::

    cd examples; greenproc run pingpong:Pong
    python examples/pingpong.py pong@127.0.0.1:41234

Either way five balls come back, one line each. Stop the first terminal with Ctrl-C while a longer
game is on, ``pingpong.py pong@127.0.0.1:41234 1000000``, and the second tells that it is alone.
"""

import argparse
import sys

import greenproc
from greenproc import UPID, Process, install
from greenproc.errors import BindError, InvalidPID


class Pong(Process):
    """Returns each ball."""

    def __init__(self) -> None:
        super().__init__("pong")

    @install("ping")
    def on_ping(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "pong", body)


class Ping(Process):
    """Throws a ball, and throws it again each time that it comes back."""

    def __init__(self, partner: UPID, rounds: int) -> None:
        super().__init__("ping")
        self.partner = partner
        self.rounds = rounds
        self.ball = b"1"

    def initialize(self) -> None:
        self.link(self.partner)
        self.send(self.partner, "ping", self.ball)

    @install("pong")
    def on_pong(self, sender: UPID, body: bytes) -> None:
        if sender != self.partner or body != self.ball:
            return  # Anybody may send a message of that name.
        count = int(self.ball)
        print(f"ball {count} is back from {sender}")
        if count == self.rounds:
            self.terminate()
        else:
            self.ball = b"%d" % (count + 1)
            self.send(sender, "ping", self.ball)

    def exited(self, pid: UPID) -> None:
        print(f"{pid} is gone")
        self.terminate()


def main() -> None:
    """Play with the partner that the command line names, or with one here."""
    parser = argparse.ArgumentParser(description="Play ping-pong.")
    parser.add_argument("partner", nargs="?", metavar="pong@ip:port")
    parser.add_argument("rounds", nargs="?", default="5")
    given = parser.parse_args()
    if not given.rounds.isdecimal() or int(given.rounds) == 0:
        parser.error(f"expected how many rounds to play, from 1, got {given.rounds!r}")
    try:
        partner = UPID.parse(given.partner) if given.partner else greenproc.spawn(Pong())
    except InvalidPID as error:
        parser.error(str(error))
    greenproc.wait(greenproc.spawn(Ping(partner, int(given.rounds))))
    greenproc.finalize()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for Ctrl-C
    except BindError as error:
        sys.exit(str(error))
