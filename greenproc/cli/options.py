"""Argument types and options that several subcommands share."""

from __future__ import annotations

import argparse
import re
from math import isfinite
from typing import Any

from greenproc.address import MAX_PORT

Commands = Any
"""The result of `add_subparsers`, whose class is private to `argparse`."""

TIMEOUT = 5.0


def seconds(text: str) -> float:
    """Parse a duration for `argparse`.

    Raises:
        argparse.ArgumentTypeError: *text* is not a finite number of seconds above 0.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not isfinite(value) or value <= 0:
        raise argparse.ArgumentTypeError(f"expected seconds, more than zero, got {text!r}")
    return value


def port(text: str) -> int:
    """Parse a port to bind for `argparse`; 0 lets the system choose a free one."""
    return whole_number(text, 0, "a port from 0 to 65535", most=MAX_PORT)


def port_to_tell(text: str) -> int:
    """Parse an advertised port for `argparse`; peers connect to it, so 0 is invalid."""
    return whole_number(text, 1, "a port from 1 to 65535", most=MAX_PORT)


def whole_number(text: str, least: int, expected: str, *, most: int) -> int:
    """Parse an integer from *least* to *most* for `argparse`.

    Args:
        expected: the description of the range in the error message, which the message of
            `argparse` itself lacks.

    Raises:
        argparse.ArgumentTypeError: *text* is no integer, or out of range.
    """
    if re.fullmatch("[0-9]{1,9}", text) and least <= int(text) <= most:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--timeout``, the seconds to wait for a node."""
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT,
        metavar="S",
        help=f"how many seconds to wait for the node; {TIMEOUT:g} when not given",
    )


def add_command(commands: Commands, name: str, help: str, epilog: str) -> argparse.ArgumentParser:
    """Add a subcommand whose *epilog* keeps its line breaks in the help."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser
