"""The command ``greenproc``: its parser, and the exit codes of its errors."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from greenproc.cli import demo, ps, run, send, serve
from greenproc.errors import GreenprocError, InvalidArgument

FAILURE = 1
USAGE = 2
INTERRUPTED = 130
"""The exit code that a shell reports after SIGINT: 128 and the number of the signal."""

COMMANDS = (demo, run, serve, send, ps)

EPILOG = """\
examples:
  greenproc demo                          watch two nodes talk, and one of them die
  greenproc run counter:Counter           run the class Counter of counter.py as a node;
                                          prints its address, id@ip:port
  greenproc serve shop:app                serve the WSGI app of shop.py, such as one of
                                          Flask or Django; prints its URL
  greenproc send counter@127.0.0.1:5050 increment 2 --reply
                                          send it a message and show what it answers
  greenproc ps 127.0.0.1:5050             list the processes of that node

"greenproc COMMAND --help" describes one command. The exit code is 0 when all went
well, 1 when something failed, 2 when the command was given wrongly.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand in *argv*, by default the command line; return its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    parser = make_parser()
    if given and given[0].startswith("-") and not is_own_option(given[0]):
        parser.error(explain_order(given))
    arguments, unknown = parser.parse_known_args(given)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{advise(unknown, given)}")
    try:
        status: int = arguments.command(arguments)
        sys.stdout.flush()
    except InvalidArgument as error:
        return complain(error, USAGE)
    except GreenprocError as error:
        return complain(error, FAILURE)
    except BrokenPipeError:
        # The reader of the pipe, such as "head", closed it. The buffered rest must not raise again
        # when the interpreter flushes it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def is_own_option(text: str) -> bool:
    """Whether *text* is an option of the main parser, in full or abbreviated."""
    return text == "-h" or any(name.startswith(text) for name in ("--help", "--version"))


def explain_order(given: list[str]) -> str:
    """Return the advice for an option that precedes the subcommand."""
    names = [module.__name__.rpartition(".")[2] for module in COMMANDS]
    for position, word in enumerate(given):
        if word in names:
            rest = [word, *given[position + 1 :], *given[:position]]
            return f"options follow the command, as in: greenproc {shlex.join(rest)}"
    return f"expected a command first, one of {', '.join(names)}, got {given[0]}"


def advise(unknown: Sequence[str], given: list[str]) -> str:
    """Return the advice for *unknown* arguments, as a suffix to their list."""
    after = given[given.index("--") + 1 :] if "--" in given else []
    if any(text in after for text in unknown):
        return ': what stands behind "--" is taken as it is, so put options before it'
    return f': "greenproc {given[0]} --help" tells what it takes' if given[0].isalpha() else ""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="greenproc",
        description="Actors and message passing on gevent, speaking the libprocess protocol.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"greenproc {own_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add_parser(commands)
    return parser


def own_version() -> str:
    """Return the installed version."""
    try:
        return version("greenproc")
    except PackageNotFoundError:
        return "(not installed)"


def complain(error: Exception, status: int) -> int:
    """Print *error* on standard error and return *status*."""
    print(f"greenproc: {error}", file=sys.stderr)
    return status
