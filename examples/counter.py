"""A process that counts: reached by messages, by HTTP, by calls and by a timer.

As a program it is called from the same OS process, prints 1, 3 and 13, and ends::

    python examples/counter.py

As a node it prints its address and waits for the world; try it from a second terminal::

    cd examples; greenproc run counter:Counter --ip 127.0.0.1 --port 5050

    greenproc send counter@127.0.0.1:5050 increment 2 --reply
    curl -s http://127.0.0.1:5050/counter/total
    greenproc ps 127.0.0.1:5050
"""

import re

import greenproc
from greenproc import UPID, Process, install, route
from greenproc.http import OK, Request, Response


class Counter(Process):
    """Counts; answers messages, calls and HTTP."""

    def __init__(self) -> None:
        super().__init__("counter")
        self.total = 0

    # A message from any node: who sent it, and its bytes, which may be anything.
    @install("increment")
    def on_increment(self, sender: UPID, body: bytes) -> None:
        if not re.fullmatch(rb"-?[0-9]{1,9}", body):
            self.send(sender, "refused", b"expected a whole number of up to 9 digits")
            return
        self.add(int(body))
        self.send(sender, "total", b"%d" % self.total)

    # GET http://<address>/counter/total
    @route("/total", help="The current total.")
    def on_total(self, request: Request) -> Response:
        return OK(json={"total": self.total})

    # Plain methods are called through dispatch and delay.
    def add(self, number: int) -> int:
        self.total += number
        return self.total


def main() -> None:
    """Use a counter in all the ways that need no second node."""
    counter = greenproc.spawn(Counter())

    # A call. What comes back is a future; only this greenlet waits for it.
    print("after a call:", greenproc.dispatch(counter, Counter.add, 1).get())

    # A message, as another node would send it. What is sent first is served first.
    greenproc.post(counter, "increment", b"2")
    print("after a message:", greenproc.dispatch(counter, Counter.add, 0).get())

    # A call that is made in a tenth of a second, on a clock that tests can stop.
    greenproc.delay(0.1, counter, Counter.add, 10)
    greenproc.after(0.2).get()
    print("after a while:", greenproc.dispatch(counter, Counter.add, 0).get())

    greenproc.finalize()


if __name__ == "__main__":
    main()
