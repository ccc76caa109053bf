"""A busy node whose main greenlet is interrupted by signals: a program for test_interrupts.

Arguments: the name of the signal, and how often to be interrupted. It writes a line whenever it
is ready for the next signal, and what went wrong at the end.
"""

from __future__ import annotations

import signal
import sys

import gevent
from gevent.event import Event

from greenproc import Process, Runtime, Settings, install
from greenproc.pid import UPID
from greenproc.process.base import record_of
from greenproc.process.invariants import check_invariants

LIMIT = 20.0
ARRIVES_AS = {"SIGINT": KeyboardInterrupt, "SIGTERM": SystemExit}


class Player(Process):
    other: UPID

    def __init__(self) -> None:
        super().__init__()
        self.balls = 0

    @install("ball")
    def on_ball(self, sender: UPID, body: bytes) -> None:
        self.balls += 1
        self.send(self.other, "ball")

    @install("extra")
    def on_extra(self, sender: UPID, body: bytes) -> None:
        pass


class Sleeper(Player):
    @install("ball")
    def on_ball(self, sender: UPID, body: bytes) -> None:
        gevent.sleep(0)
        super().on_ball(sender, body)


def be_interrupted(node: Runtime, players: list[Player], *, busy: bool) -> None:
    """Wait for ever, or post to the players for ever."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if not busy:
        Event().wait(LIMIT)
        return
    with gevent.Timeout(LIMIT, False):
        while True:
            for player in players:
                node.post(player, "extra")
            gevent.sleep(0)


def start_ball(node: Runtime, players: list[Player]) -> None:
    for player, other in zip(players, [*players[1:], players[0]], strict=True):
        player.other = node.spawn(other)
    node.post(players[0], "ball")


def look(node: Runtime, players: list[Player]) -> list[str]:
    """Return what is wrong: a process that is gone or is not served any more."""
    check_invariants(node.processes)
    for player in players:
        node.post(player, "ball")  # the signal may have come while a ball was being served
    before = [player.balls for player in players]
    with gevent.Timeout(LIMIT, False):
        while any(player.balls <= old for player, old in zip(players, before, strict=True)):
            gevent.sleep(0)
    return [
        f"{record_of(player)} gone or stalled"
        for player, old in zip(players, before, strict=True)
        if player.balls <= old or node.processes.find_process(player.pid) is not player
    ]


def main(name: str, times: int) -> int:
    wrong: list[str] = []
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have it ignored
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(3))
    with Runtime(Settings(ip="127.0.0.1")) as node:
        players: list[Player] = [Player(), Player(), Sleeper(), Player()]
        start_ball(node, players)
        for number in range(times):
            try:
                be_interrupted(node, players, busy=bool(number % 2))
                wrong.append(f"signal {number} never arrived")
            except ARRIVES_AS[name]:
                pass
            try:
                wrong += look(node, players)
            except (KeyboardInterrupt, SystemExit, AssertionError) as error:
                wrong.append(f"after signal {number}: {error!r}")
            if wrong:
                break
        for player in players:
            node.terminate(player)
    sys.stdout.write("\n".join(["done", *wrong, ""]))
    sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
