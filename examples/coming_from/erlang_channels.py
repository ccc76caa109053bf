"""A server that lends channels, under its supervisor: the example of Erlang's OTP Design Principles.

    python examples/coming_from/erlang_channels.py

The ``gen_server`` there has the calls ``alloc`` and ``free``; here they are two handlers of a process.
``gen_server:call`` is an ask, ``gen_server:cast`` a send. The supervisor starts the server again, under its
old name, when a message makes it crash.
"""

import logging

import greenproc
from greenproc import (
    UPID,
    Abandoned,
    Child,
    Process,
    Supervisor,
    ask,
    dispatch,
    install,
    post,
    spawn,
)


class Channels(Process):
    """Knows which channels are free; ``init/1`` is ``__init__``, and the state are its attributes."""

    def __init__(self) -> None:
        super().__init__("ch3")  # what {local, ch3} registers
        self.free = list(range(1, 4))
        self.lent: set[int] = set()

    @install("alloc", returns=int | None)
    def on_alloc(self, sender: UPID, body: bytes) -> int | None:
        """handle_call(alloc, ...): return a channel, None when all are lent."""
        if not self.free:
            return None
        channel = self.free.pop(0)
        self.lent.add(channel)
        return channel

    @install("free", int)
    def on_free(self, sender: UPID, channel: int) -> None:
        """handle_cast({free, Ch}, ...): let it crash when the channel was not lent."""
        self.lent.remove(channel)
        self.free.append(channel)

    def finalize(self) -> None:
        """terminate/2: there, too, it runs when the server stops in order."""
        print("channels lent at the end:", sorted(self.lent))


def main() -> None:
    """Start the supervisor as ``ch_sup`` does, and lend until there is nothing left."""
    logging.getLogger("greenproc").setLevel(logging.CRITICAL)
    supervisor = Supervisor([Child(Channels)], max_restarts=1, within=5.0, id="ch_sup")
    sup = spawn(supervisor)
    dispatch(sup, Supervisor.count_children).get()  # answers when the children are there
    server = UPID("ch3", greenproc.address())  # a name; no process identifier to look up

    def alloc() -> int | None:
        return ask(server, "alloc", returns=int | None, timeout=5.0).get()

    print("alloc:", [alloc() for _ in range(4)])
    post(server, "free", 2)
    print("alloc after free(2):", alloc())
    post(server, "free", 7)  # badarg, or here KeyError
    try:
        alloc()
    except Abandoned as error:  # as the exit of a call
        print("alloc in the crash:", str(error).rpartition("in vain: ")[2])
    dispatch(sup, Supervisor.count_children).get()
    print("alloc after the crash:", alloc())
    greenproc.finalize()


if __name__ == "__main__":
    main()
