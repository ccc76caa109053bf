"""``greenproc send``: sends one message from the shell."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace

from greenproc.cli.exchange import Exchange
from greenproc.cli.options import Commands, add_command, add_timeout
from greenproc.errors import Failure, InvalidPID, WaitTimeout
from greenproc.future import Future, Promise
from greenproc.http.response import Response
from greenproc.http.status import Status, status_line_text
from greenproc.message import Message
from greenproc.pid import UPID
from greenproc.process.base import Process
from greenproc.process.event import MessageEvent
from greenproc.runtime.runtime import Runtime
from greenproc.settings import Settings
from greenproc.wire.framing import encode_message

EPILOG = """\
examples:
  greenproc send counter@127.0.0.1:5050 increment 2
  greenproc send counter@localhost:5050 increment 2 --reply
  greenproc send store@127.0.0.1:5050 save - < picture.png

The message is sent by a process that lives as long as this command. The command is done when the
node accepted the message, which means that it is in the mailbox, not that a handler exists for
it. With --reply it waits for the first message that comes back, and prints its name and its body.
A body that begins with a dash is given last, behind "--".

The exit code is 1 when the node cannot be reached, does not know the process, or does not answer
in time.
"""


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(commands, "send", "send a message to a process", EPILOG)
    parser.add_argument("to", metavar="UPID", help="the receiver, id@ip:port or id@host:port")
    parser.add_argument("name", metavar="NAME", help="the name of the message")
    parser.add_argument(
        "body", metavar="BODY", nargs="?", default="", help="its body; - reads standard input"
    )
    parser.add_argument("--reply", action="store_true", help="wait for a message back")
    add_timeout(parser)
    parser.set_defaults(command=command)


class Sender(Process):
    """Sends one message and records the first message that arrives.

    The command writes the message over its own connection, since `Process.send` discards the
    response of the node.
    """

    def __init__(self) -> None:
        super().__init__()
        self._answer: Promise[Message] = Promise()

    @property
    def answer(self) -> Future[Message]:
        """The future of the first message that arrives."""
        return self._answer.future

    def consume_message(self, event: MessageEvent) -> None:
        self._answer.set(event.message)


def command(arguments: argparse.Namespace) -> int:
    """Send the message, and wait until the node accepts it or, with ``--reply``, for a reply.

    Raises:
        Broken: the connection failed.
        Failure: the node rejected the message.
        InvalidPID: the receiver has no port.
        WaitTimeout: no response or no reply came within the timeout.
    """
    to = UPID.parse(arguments.to)
    if to.address.port == 0:
        raise InvalidPID(f"expected id@ip:port with a port above 0, got {arguments.to!r}")
    body = read_body(arguments.body)
    ip, port = to.address.ip, to.address.port
    with (
        Exchange(ip, port, arguments.timeout) as exchange,
        Runtime(own_settings(exchange.local_ip)) as runtime,
    ):
        sender = Sender()
        message = Message(arguments.name, runtime.spawn(sender), to, body)
        check_accepted(exchange.ask(encode_message(message)), to)
        if arguments.reply:
            show(wait_for_reply(sender, message, arguments.timeout))
        else:
            print(f"accepted by {to}")
    return 0


def read_body(text: str) -> bytes:
    """Return the body in *text*; ``-`` reads standard input."""
    if text == "-":
        return sys.stdin.buffer.read()
    return os.fsencode(text)


def own_settings(ip: str) -> Settings:
    """Return the settings of the node that awaits the reply.

    The port is a free one, since LIBPROCESS_PORT belongs to the node that runs on this host.

    Args:
        ip: the local address that the receiver can connect to, unless the environment overrides
            it.
    """
    settings = replace(Settings.from_environ(os.environ), port=0, advertise_port=None)
    return replace(settings, ip=ip) if settings.ip == Settings().ip else settings


def check_accepted(response: Response, to: UPID) -> None:
    """Return if the node accepted the message.

    Raises:
        Failure: the process does not exist, or the node rejected the message.
    """
    if response.status == Status.NOT_FOUND:
        raise Failure(
            f"there is no process {to.id!r} at {to.address}; "
            f'"greenproc ps {to.address}" lists those that are there'
        )
    if response.status != Status.ACCEPTED:
        told = response.body.decode(errors="replace").strip()
        answer = f"{status_line_text(response.status)} {told}".strip()
        raise Failure(f"{to.address} refused the message: {answer}")


def wait_for_reply(sender: Sender, message: Message, timeout: float) -> Message:
    """Return the first message that *sender* receives after *message* was sent.

    Raises:
        WaitTimeout: no message arrived within *timeout* seconds.
    """
    try:
        return sender.answer.get(timeout)
    except WaitTimeout as error:
        to = message.to
        raise WaitTimeout(
            f"{to} accepted {message.name!r} but replied nothing within {timeout:g} s: its handler "
            f'may not reply; there may be none, which "greenproc ps {to.address} --dead-letters" '
            "shows; "
            f"or its node may not reach {sender.pid.address}, where the reply is awaited. "
            "--timeout S waits longer"
        ) from error


def show(message: Message) -> None:
    """Print the name of *message* and its body as bytes, in any encoding."""
    sys.stdout.write(f"{message.name} " if message.body else message.name)
    sys.stdout.flush()
    sys.stdout.buffer.write(message.body + b"\n")
    sys.stdout.buffer.flush()
