"""Output that changes in place on a terminal, and stays readable in a file."""

from __future__ import annotations

import shutil
from typing import TextIO

BAR_WIDTH = 28


class LiveLine:
    """Prints lines, and a last one that is rewritten while things go on.

    On anything but a terminal the changing line is printed now and then instead.

    Args:
        every: seconds between two lines where no line can be rewritten.
    """

    def __init__(self, stream: TextIO, *, every: float = 1.0) -> None:
        self._stream = stream
        self._in_place = stream.isatty()
        self._every = every
        self._due = every
        self._shown = ""

    def say(self, text: str = "") -> None:
        """Print *text* as a line that stays."""
        self.keep()
        self._write(f"{text}\n")

    def show(self, fraction: float, text: str, seconds: float) -> None:
        """Show *text* with a bar that is filled by *fraction*.

        Args:
            seconds: since things began.
        """
        if self._in_place:
            width = shutil.get_terminal_size().columns - 1  # a full line would wrap
            line = f"  {bar(fraction)} {text}"[:width]
            self._write("\r" + line.ljust(len(self._shown)))
            self._shown = line
        elif seconds >= self._due:
            self._due += self._every
            self._write(f"  {text}\n")

    def keep(self) -> None:
        """Leave the changing line as it is, and go on below."""
        if self._shown:
            self._write("\n")
            self._shown = ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def bar(fraction: float) -> str:
    """Return a bar filled by *fraction*, in characters that every terminal has."""
    filled = round(min(max(fraction, 0.0), 1.0) * BAR_WIDTH)
    return "[" + ("=" * filled).ljust(BAR_WIDTH) + "]"
