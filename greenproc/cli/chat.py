"""``greenproc demo --chat``: runs the example chat on a node and opens it in a browser."""

from __future__ import annotations

import os
import sys
import webbrowser
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from greenproc.cli.stop import StopSignals
from greenproc.errors import Failure
from greenproc.future import offload
from greenproc.runtime.runtime import Runtime
from greenproc.settings import Settings

PLACES = (
    Path(__file__).parent / "examples",  # in a wheel, where setup.py copies it
    Path(__file__).parents[2] / "examples",  # in a source checkout
)
MODULE = "chat"
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def show_chat(*, opens_browser: bool) -> int:
    """Run the chat until a stop signal arrives.

    Messages are stored in a file that lives as long as the node.

    Args:
        opens_browser: whether the address is opened in a browser as well as printed.

    Raises:
        Failure: the example is not installed, or the stop killed a process.
    """
    chat = load_chat()
    with (
        TemporaryDirectory(prefix="greenproc-chat-") as folder,
        StopSignals() as stop,
        Runtime(Settings(ip="127.0.0.1")) as runtime,
    ):
        chat.open_chat(runtime, database=Path(folder) / "chat.sqlite")
        url = f"http://{runtime.address}/chat"
        print(
            "A chat, whose rooms are processes of a node. Open it twice; Ctrl-C ends it.",
            end="\n\n",
        )
        print(f"  {url}", flush=True)
        if opens_browser and has_display():
            offload(webbrowser.open, url)
        stop.event.wait()
        killed = runtime.stop()
    if killed:
        raise Failure(f"killed: {', '.join(map(str, killed))}")
    return 0


def load_chat() -> Any:
    """Import the example application, which is not part of the package.

    Raises:
        Failure: the example is not installed.
    """
    for place in PLACES:
        if (place / MODULE / "__init__.py").is_file():
            sys.path.insert(0, str(place))
            return import_module(MODULE)
    raise Failure("expected the example chat beside the package, but it is not installed")


def has_display() -> bool:
    """Whether a browser would open in a window of its own instead of in this terminal."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in DISPLAYS)
