"""Functions of the operating system and of native threads, as they are without monkey patching.

In a patched program the names of the standard library are gevent's: a lock works within one
thread, a sleep yields to the hub, and a closed descriptor lives on until the next turn of the
loop. greenproc uses native threads beside the hub, and looks at children and peers without
yielding, so it needs the functions behind those names.

They are found here once, since `get_original` works whether the program was patched before or is
patched later.
"""

from __future__ import annotations

from collections.abc import Callable

from gevent.monkey import get_original

allocate_lock = get_original("_thread", "allocate_lock")
"""Make a lock for native threads."""

start_new_thread = get_original("_thread", "start_new_thread")
"""Start a native thread."""

get_ident: Callable[[], int] = get_original("_thread", "get_ident")
"""Return the number of this native thread."""

count_threads: Callable[[], int] = get_original("_thread", "_count")
"""Count the native threads of Python besides the main one."""

sleep_for_real: Callable[[float], None] = get_original("time", "sleep")
"""Block this native thread for some seconds."""

close_unwatched: Callable[[int], None] = get_original("os", "close")
"""Close a descriptor at once, where os.close of a patched program waits for the next turn of the
loop. Nothing may poll the descriptor; `greenproc.io.close` is for polled ones."""

fork: Callable[[], int] = get_original("os", "fork")
"""Fork this OS process without gevent's preparations in the child."""

waitpid: Callable[[int, int], tuple[int, int]] = get_original("os", "waitpid")
"""Wait for a child, or look at it; os.waitpid of a patched program answers from gevent's
records."""

poll = get_original("select", "poll")
"""Make an object that polls descriptors and blocks this native thread."""
