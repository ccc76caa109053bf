"""Kinds of arguments that several commands take."""

from __future__ import annotations

import argparse
from math import isfinite
from typing import Any

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
