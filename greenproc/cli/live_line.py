"""Progress output: rewritten in place on a terminal, appended elsewhere."""

from __future__ import annotations

import shutil
from typing import TextIO

BAR_WIDTH = 28


class LiveLine:
    """Prints permanent lines, and below them one progress line that is rewritten in place.

    A stream that is not a terminal gets the progress line as a new line every *every* seconds.

    Args:
        every: seconds between two progress lines on such a stream.
    """

    def __init__(self, stream: TextIO, *, every: float = 1.0) -> None:
        self._stream = stream
        self._in_place = stream.isatty()
        self._every = every
        self._due = every
        self._shown = ""

    def say(self, text: str = "") -> None:
        """Print *text* as a permanent line."""
        self.keep()
        self._write(f"{text}\n")

    def show(self, fraction: float, text: str, seconds: float) -> None:
        """Update the progress line to *text* behind a bar.

        Args:
            fraction: the filled part of the bar, from 0 to 1.
            seconds: since the start of the operation.
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
        """Make the progress line permanent; the next output starts below it."""
        if self._shown:
            self._write("\n")
            self._shown = ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def bar(fraction: float) -> str:
    """Return a bar filled by *fraction*, in ASCII, which every terminal can encode."""
    filled = round(min(max(fraction, 0.0), 1.0) * BAR_WIDTH)
    return "[" + ("=" * filled).ljust(BAR_WIDTH) + "]"
