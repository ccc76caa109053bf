"""A tree of processes that stays up although one of them fails now and then.

It takes orders with a connection to a till that breaks at every third one, prints what becomes of them, and ends::

    python examples/supervised.py

As a node, see the tree while it runs, from a second terminal::

    cd examples; greenproc run supervised:Shop --ip 127.0.0.1 --port 5050

    greenproc ps 127.0.0.1:5050 --tree
"""

import logging

import greenproc
from greenproc import UPID, Child, Process, Supervisor, dispatch, install


class Till(Process):
    """Has a connection that breaks; the next process has a new one."""

    def __init__(self) -> None:
        super().__init__("till")
        self.left = 2

    def pay(self, amount: int) -> str:
        if not self.left:
            self.terminate()
            raise OSError("the third payment")
        self.left -= 1
        return f"paid {amount}"


class Clerk(Process):
    """Counts orders; a malformed one ends it, and its count with it."""

    def __init__(self) -> None:
        super().__init__("clerk")
        self.orders = 0

    @install("order")
    def on_order(self, sender: UPID, body: bytes) -> None:
        self.orders += int(body)

    def total(self) -> int:
        return self.orders


class Shop(Supervisor):
    """Starts the till before the clerk, and stops them in the reverse order."""

    def __init__(self) -> None:
        super().__init__([Child(Till), Child(Clerk, mailbox="keep")], id="shop")


def main() -> None:
    """Pay until the till breaks, and send the clerk an order that no process can read."""
    logging.getLogger("greenproc").setLevel(logging.CRITICAL)
    shop = greenproc.spawn(Shop())
    print(dispatch(shop, Supervisor.count_children).get())
    till = UPID("till", greenproc.address())
    for amount in (1, 2, 3, 4):
        try:
            print(dispatch(till, Till.pay, amount).get())
        except OSError as error:
            print("not paid:", error)
    clerk = UPID("clerk", greenproc.address())
    for body in (b"2", b"two", b"3"):  # the last one waits for the next clerk
        greenproc.post(clerk, "order", body)
    greenproc.current_runtime().settle()
    print("orders:", dispatch(clerk, Clerk.total).get())
    for info in dispatch(shop, Supervisor.which_children).get():
        print(info.id, info.restarts, repr(info.last_reason))
    greenproc.finalize()


if __name__ == "__main__":
    main()
