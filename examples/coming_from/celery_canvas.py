"""Tasks, and what is made of them: the "canvas" of Celery's user guide without a broker.

    python examples/coming_from/celery_canvas.py

A worker is a process, four of them are Celery's ``--concurrency 4``, and a task is a message to their
pool. The results are futures in this program; what Celery would keep after a crash of the machine is lost.
"""

import logging

import greenproc
from greenproc import UPID, Future, Pool, Process, after, ask, collect, install, spawn
from greenproc.typed import encode


class Worker(Process):
    """Its handlers are the tasks."""

    failures = 2  # of each worker together

    @install("add", tuple[int, int], returns=int)
    def on_add(self, sender: UPID, numbers: tuple[int, int]) -> int:
        return sum(numbers)

    @install("multiply", tuple[int, int], returns=int)
    def on_multiply(self, sender: UPID, numbers: tuple[int, int]) -> int:
        return numbers[0] * numbers[1]

    @install("total", list[int], returns=int)
    def on_total(self, sender: UPID, numbers: list[int]) -> int:
        return sum(numbers)

    @install("fetch", str, returns=str)
    def on_fetch(self, sender: UPID, page: str) -> str:
        if Worker.failures:
            Worker.failures -= 1
            raise ConnectionError(page)  # the pool starts this worker again
        return f"{page} fetched"


def retried(pool: UPID, page: str, left: int) -> Future[str]:
    """Run a task again when it fails, a little later each time: ``autoretry_for``."""

    def again(failed: Future[str]) -> Future[str]:
        if not left:
            return failed
        print("again:", failed.failure().rpartition(": ")[2])
        return after(0.05).then(lambda _: retried(pool, page, left - 1))

    return ask(pool, "fetch", encode(page), returns=str, timeout=10.0).recover(again)


def main() -> None:
    """Run a task, a group, a chain and a chord."""
    logging.getLogger("greenproc").setLevel(logging.CRITICAL)
    pool = spawn(Pool(Worker, 4, id="workers"))

    def task(name: str, numbers: object) -> Future[int]:
        return ask(pool, name, numbers, returns=int, timeout=10.0)

    print("delay:", task("add", (2, 2)).get())
    group = [task("add", (number, number)) for number in range(5)]
    print("group:", collect(group).get())
    chain = task("add", (4, 4)).then(lambda added: task("multiply", (added, 8)))
    print("chain:", chain.get())
    group = [task("multiply", (number, number)) for number in range(5)]
    print("chord:", collect(group).then(lambda numbers: task("total", numbers)).get())
    print("retry:", retried(pool, "index.html", 3).get())
    greenproc.finalize()


if __name__ == "__main__":
    main()
