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
    """Throws balls and returns those of others: a ``ping`` is answered by a ``pong``.

    A ball that came back is thrown again until the player is told to rest.
    """

    def __init__(self) -> None:
        super().__init__("player")
        self.thrown = 0
        self.caught = 0
        self.returned = 0
        self._playing = False
        self._rest: Promise[None] = Promise()

    def play(self, partner: UPID, balls: int) -> None:
        """Throw *balls* balls to *partner*."""
        self._playing = True
        for _ in range(balls):
            self._throw(partner)

    def rest(self) -> Future[None]:
        """Throw no more, and return a future that is ready when every ball is back."""
        self._playing = False
        self._rest = Promise()
        if self.caught == self.thrown:
            self._rest.set(None)
        return self._rest.future

    @install("ping")
    def on_ping(self, sender: UPID, body: bytes) -> None:
        """Return a ball."""
        self.returned += 1
        self.send(sender, "pong", body)

    @install("pong")
    def on_pong(self, sender: UPID, body: bytes) -> None:
        """Catch a ball, and throw it again."""
        self.caught += 1
        if self._playing:
            self._throw(sender)
        elif self.caught == self.thrown:
            self._rest.set(None)

    @install("play")
    def on_play(self, sender: UPID, body: bytes) -> None:
        """Play with the sender; the body is the number of balls."""
        self.play(sender, int(body))

    @install("rest")
    def on_rest(self, sender: UPID, body: bytes) -> None:
        """Rest, and tell the sender when all balls are back."""
        self.rest().on_ready(lambda _: self.send(sender, "rested"))

    def _throw(self, partner: UPID) -> None:
        self.thrown += 1
        self.send(partner, "ping", b"ball")


class Guest(Player):
    """The player of the second OS process, which ends when the first one does.

    Nobody ever writes to its standard input: it ends with the OS process at the other end of
    the pipe, however that one ends.
    """

    def initialize(self) -> None:
        """Begin to watch standard input."""
        self.spawn_greenlet(self._follow)

    def _follow(self) -> None:
        descriptor = sys.stdin.fileno()
        wait_read(descriptor)
        while os.read(descriptor, 1024):
            wait_read(descriptor)
        self.terminate()


class Host(Player):
    """The player of the first OS process, which watches the second."""

    def __init__(self) -> None:
        super().__init__()
        self.alone = Event()
        self.alone_since = 0.0
        self._partner_rests: Promise[None] = Promise()

    def invite(self, partner: UPID, balls: int) -> None:
        """Link to *partner* and play, each with *balls* balls."""
        self.alone.clear()
        self.link(partner)
        self.send(partner, "play", b"%d" % balls)
        self.play(partner, balls)

    def end_game(self, partner: UPID) -> Future[None]:
        """Rest with *partner*, and return a future that is ready when all balls are back."""
        self._partner_rests = Promise()
        rested = self._partner_rests.future
        self.send(partner, "rest")
        return self.rest().then(lambda _: rested)

    @install("rested")
    def on_rested(self, sender: UPID, body: bytes) -> None:
        """Learn that the partner has its balls back."""
        self._partner_rests.set(None)

    def exited(self, pid: UPID) -> None:
        """Note when the partner was lost."""
        self.alone_since = monotonic()
        self.alone.set()
