"""A bookkeeper that lets an adder count for it: the program with proxies of pykka's examples.

    python examples/coming_from/pykka_counter.py

There an ``ActorProxy`` stands for an actor; here ``proxy(pid)`` for a process. A call gives a future
in both, and ``.get()`` inside an actor makes only that one wait.
"""

import greenproc
from greenproc import PID, Future, Process, dispatch, proxy, spawn


class Adder(Process):
    """Adds one to what it gets."""

    def add_one(self, number: int) -> int:
        print(f"{self.pid.id} makes {number} one more")
        return number + 1


class Bookkeeper(Process):
    """Counts with the help of an adder; pykka would get its proxy in ``__init__``, too."""

    def __init__(self, adder: PID[Adder]) -> None:
        super().__init__("bookkeeper")
        self.adder = adder

    def count_to(self, target: int) -> int:
        """Wait for each answer: the bookkeeper serves nothing else meanwhile."""
        adder, number = proxy(self.adder), 0
        while number < target:
            number = adder.add_one(number).get(timeout=10.0)
            print(f"{self.pid.id} gets {number}")
        return number

    def count_without_waiting(self, target: int, number: int = 0) -> Future[int]:
        """Return a future instead, as one would to go on serving."""
        if number == target:
            return Future(number)
        added = proxy(self.adder).add_one(number)
        return added.then(lambda number: self.count_without_waiting(target, number))


def main() -> None:
    """Count in both ways; ``finalize`` is pykka's ``ActorRegistry.stop_all``."""
    bookkeeper = spawn(Bookkeeper(spawn(Adder("adder"))))
    print("counted to", dispatch(bookkeeper, Bookkeeper.count_to, 2).get(timeout=10.0))
    counting = dispatch(bookkeeper, Bookkeeper.count_without_waiting, 1)
    print("counted to", counting.get(timeout=10.0))
    greenproc.finalize()


if __name__ == "__main__":
    main()
