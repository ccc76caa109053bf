"""The processes of ``greenproc demo``: two players of ping-pong."""

from __future__ import annotations

import os
import sys
from time import monotonic

from gevent.event import Event
from gevent.socket import wait_read

from greenproc.future import Future, Promise
from greenproc.pid import UPID
from greenproc.process.base import Process
from greenproc.process.handlers import install


class Player(Process):
    """Sends ``ping`` messages, and replies to each received ``ping`` with a ``pong``.

    Each ``pong`` triggers the next ``ping`` until `rest` stops the game, so the number of balls
    bounds the messages in flight.
    """

    def __init__(self) -> None:
        super().__init__("player")
        self.thrown = 0
        self.caught = 0
        self.returned = 0
        self._playing = False
        self._rest: Promise[None] = Promise()

    def play(self, partner: UPID, balls: int) -> None:
        """Send *balls* pings to *partner*."""
        self._playing = True
        for _ in range(balls):
            self._throw(partner)

    def rest(self) -> Future[None]:
        """Stop sending pings; the future becomes ready when no ball is outstanding."""
        self._playing = False
        self._rest = Promise()
        if self.caught == self.thrown:
            self._rest.set(None)
        return self._rest.future

    @install("ping")
    def on_ping(self, sender: UPID, body: bytes) -> None:
        """Reply with a pong."""
        self.returned += 1
        self.send(sender, "pong", body)

    @install("pong")
    def on_pong(self, sender: UPID, body: bytes) -> None:
        """Count the round trip, and send the next ping unless the game has stopped."""
        self.caught += 1
        if self._playing:
            self._throw(sender)
        elif self.caught == self.thrown:
            self._rest.set(None)

    @install("play")
    def on_play(self, sender: UPID, body: bytes) -> None:
        """Start a game with the sender; the body is the number of balls in decimal."""
        self.play(sender, int(body))

    @install("rest")
    def on_rest(self, sender: UPID, body: bytes) -> None:
        """Stop the game, and notify the sender once no ball is outstanding."""
        self.rest().on_ready(lambda _: self.send(sender, "rested"))

    def _throw(self, partner: UPID) -> None:
        self.thrown += 1
        self.send(partner, "ping", b"ball")


class Guest(Player):
    """The player of the second OS process, which exits when the first one does.

    Its standard input is a pipe without data, whose end of file reports the exit of the first OS
    process, even after SIGKILL.
    """

    def initialize(self) -> None:
        """Start the greenlet that awaits the end of standard input."""
        self.spawn_greenlet(self._follow)

    def _follow(self) -> None:
        descriptor = sys.stdin.fileno()
        wait_read(descriptor)
        while os.read(descriptor, 1024):
            wait_read(descriptor)
        self.terminate()


class Host(Player):
    """The player of the first OS process, which links to the second."""

    def __init__(self) -> None:
        super().__init__()
        self.alone = Event()
        self.alone_since = 0.0
        self._partner_rests: Promise[None] = Promise()

    def invite(self, partner: UPID, balls: int) -> None:
        """Link to *partner* and start a game in which both players send *balls* balls."""
        self.alone.clear()
        self.link(partner)
        self.send(partner, "play", b"%d" % balls)
        self.play(partner, balls)

    def end_game(self, partner: UPID) -> Future[None]:
        """Stop the game of both players; the future becomes ready when no ball is outstanding."""
        self._partner_rests = Promise()
        rested = self._partner_rests.future
        self.send(partner, "rest")
        return self.rest().then(lambda _: rested)

    @install("rested")
    def on_rested(self, sender: UPID, body: bytes) -> None:
        """Note that no ball of the partner is outstanding."""
        self._partner_rests.set(None)

    def exited(self, pid: UPID) -> None:
        """Record the time at which the exit of the partner was reported."""
        self.alone_since = monotonic()
        self.alone.set()
