"""``greenproc demo``: two nodes play ping-pong, and one of them is killed."""

from __future__ import annotations

import argparse
import os
import sys
from time import monotonic

from greenproc.cli.chat import show_chat
from greenproc.cli.guest_node import GuestNode
from greenproc.cli.live_line import LiveLine
from greenproc.cli.options import Commands, add_command, seconds
from greenproc.cli.player import Host
from greenproc.cli.stop import StopSignals
from greenproc.errors import Broken, WaitTimeout
from greenproc.pid import UPID
from greenproc.runtime.runtime import Runtime
from greenproc.settings import Settings

SECONDS = 5.0
BALLS = 64
STEP = 0.1  # seconds between two samples of the counters
PATIENCE = 10.0  # seconds until outstanding balls return, or an exit is reported

EPILOG = """\
Starts a second node in an OS process of its own, links to it and plays ping-pong with it: each
node throws 64 balls, messages called "ping", and throws each one again when it comes back as
"pong". Half-way, with all balls back, the second OS process is killed and another takes its place.

The exit code is 0 when every ball came back, 1 when something went wrong, and 128 and the number
of the signal when it was stopped. The second OS process never outlives the first.

With --chat it is one node with a chat, whose address is printed and opened in a browser. It runs
until SIGTERM, Ctrl-C or SIGHUP; the exit code is 0 then.
"""


def add_parser(commands: Commands) -> None:
    """Register the subcommand and its options."""
    parser = add_command(commands, "demo", "show two nodes that talk, and one that dies", EPILOG)
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=SECONDS,
        metavar="N",
        help=f"how long to play; {SECONDS:g} when not given",
    )
    parser.add_argument(
        "--chat", action="store_true", help="show a chat in the browser instead of ping-pong"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address of the chat only"
    )
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Run the games until their time is up or a signal stops them, or run the chat.

    Returns:
        The exit code: 0, 1 after a failure, 128 and the number of the signal after a stop.
    """
    if arguments.chat:
        return show_chat(opens_browser=not arguments.no_browser)
    # At least one progress line for each game, however short it is.
    out = LiveLine(sys.stdout, every=min(1.0, arguments.seconds / 2))
    with StopSignals() as stop, Runtime(Settings(ip="127.0.0.1")) as runtime:
        show = Demo(runtime, stop, out, arguments.seconds)
        try:
            show.run()
        except Stopped:
            out.say("  stopped")
            return 128 + (stop.received or 0)
    return 0 if show.lost == 0 else 1


class Stopped(Exception):
    """A signal stopped the demo."""


class Demo:
    """Two games with a second node, which is killed and replaced between them.

    Args:
        seconds: the duration of both games together.
    """

    def __init__(self, runtime: Runtime, stop: StopSignals, out: LiveLine, seconds: float) -> None:
        self.out = out
        self._runtime = runtime
        self._stop = stop
        self._seconds = seconds
        self._played = 0.0
        self._host = Host()

    @property
    def round_trips(self) -> int:
        """Balls that returned, including those that the other node threw."""
        return self._host.caught + self._host.returned

    @property
    def lost(self) -> int:
        """Balls that never returned."""
        return self._host.thrown - self._host.caught

    def run(self) -> None:
        """Play the first half, kill the guest node, play the second half with a new one.

        Raises:
            Broken: balls did not return, or the guest node ended at the wrong time.
            Stopped: a signal arrived.
        """
        host = self._runtime.spawn(self._host)
        self.out.say(
            f"Two nodes, each an OS process of its own, play ping-pong with {BALLS} balls each."
        )
        self.out.say()
        self.out.say(introduction("this node", host, os.getpid()))
        with GuestNode() as guest:
            self.out.say(introduction("other node", guest.player, guest.os_pid))
            self._play(guest.player)
            self._kill(guest)
        started = monotonic()
        with GuestNode() as guest:
            took = (monotonic() - started) * 1000
            self.out.say(
                introduction("new node", guest.player, guest.os_pid) + f", up in {took:.0f} ms"
            )
            self._play(guest.player)
        self._sum_up()

    def _play(self, partner: UPID) -> None:
        """Play for half of the duration, then await the outstanding balls."""
        self.out.say()
        self._runtime.dispatch(self._host, Host.invite, partner, BALLS).get(PATIENCE)
        end = self._played + self._seconds / 2
        while self._played < end:
            self._play_for(min(STEP, end - self._played))
        self.out.keep()
        try:
            self._runtime.dispatch(self._host, Host.end_game, partner).get(PATIENCE)
        except WaitTimeout as error:
            raise Broken(f"{self.lost} balls did not come back within {PATIENCE:g} s") from error

    def _play_for(self, pause: float) -> None:
        before, started = self.round_trips, monotonic()
        if self._stop.event.wait(pause):
            raise Stopped
        if self._host.alone.is_set():
            raise Broken("the other node ended unexpectedly")
        took = monotonic() - started
        self._played += took
        rate = (self.round_trips - before) / took
        text = f"{self._played:4.1f} s  {rate:9,.0f} round trips/s  {2 * rate:9,.0f} messages/s"
        self.out.show(self._played / self._seconds, text, self._played)

    def _kill(self, guest: GuestNode) -> None:
        """Kill *guest* and print how long its exit takes to reach the linked process."""
        killed = monotonic()
        guest.kill()
        if not self._host.alone.wait(PATIENCE):
            raise Broken(f"expected the exit of {guest.player}, got none within {PATIENCE:g} s")
        took = (self._host.alone_since - killed) * 1000
        self.out.say()
        self.out.say(f"  kill -9 {guest.os_pid}: told of the exit after {took:.1f} ms")
        self.out.say()

    def _sum_up(self) -> None:
        rate = self.round_trips / self._played
        self.out.say()
        self.out.say(
            f"{self.round_trips:,} round trips, {2 * self.round_trips:,} messages, "
            f"{rate:,.0f} round trips/s, {self.lost} lost"
        )


def introduction(what: str, player: UPID, os_pid: int) -> str:
    """Return the line that introduces a node, in columns that fit any IPv4 address."""
    return f"  {what:<11} {player!s:<22}  pid {os_pid}"
