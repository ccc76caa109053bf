"""Kinds of arguments that several commands take."""

from __future__ import annotations

import argparse
import re
from math import isfinite
from typing import Any

from greenproc.address import MAX_PORT

Commands = Any
"""What `argparse` gives to add commands to; its own name for that is private."""

TIMEOUT = 5.0


def seconds(text: str) -> float:
    """Read a duration for `argparse`: a number of seconds above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not isfinite(value) or value <= 0:
        raise argparse.ArgumentTypeError(f"expected seconds, more than zero, got {text!r}")
    return value


def port(text: str) -> int:
    """Read a port to listen at for `argparse`; 0 is one that the system chooses."""
    return whole_number(text, 0, "a port from 0 to 65535", most=MAX_PORT)


def port_to_tell(text: str) -> int:
    """Read for `argparse` a port that others connect to."""
    return whole_number(text, 1, "a port from 1 to 65535", most=MAX_PORT)


def whole_number(text: str, least: int, expected: str, *, most: int) -> int:
    """Read a whole number in a range for `argparse`, whose own error tells neither."""
    if re.fullmatch("[0-9]{1,9}", text) and least <= int(text) <= most:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """Let the user say how long to wait for a node."""
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT,
        metavar="S",
        help=f"how many seconds to wait for the node; {TIMEOUT:g} when not given",
    )


def add_command(commands: Commands, name: str, help: str, epilog: str) -> argparse.ArgumentParser:
    """Add a command whose *epilog* is shown as it stands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser
