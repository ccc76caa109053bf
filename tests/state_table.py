"""The tables in docstrings that draw state machines, read for the tests that walk them."""

from __future__ import annotations

import re
from types import ModuleType

Table = dict[str, dict[str, str]]
"""By state, then by event, the state that follows; ``-`` where the event has no effect."""


def read_table(module: ModuleType) -> Table:
    """Return the table in the docstring of *module*; two blanks or more part its columns."""
    lines = [line.strip() for line in (module.__doc__ or "").splitlines()]
    ruler = next(at for at, line in enumerate(lines) if line.startswith("-----"))
    _, *events = re.split(r"\s{2,}", lines[ruler - 1])
    table: Table = {}
    for line in lines[ruler + 1 :]:
        if not line:
            break
        state, *cells = re.split(r"\s{2,}", line)
        table[state] = dict(zip(events, cells, strict=True))
    return table


def cells_of(table: Table) -> list[tuple[str, str]]:
    """Return each state with each event."""
    return [(state, event) for state, row in table.items() for event in row]
