"""A whole program for the tests: two nodes, used from native threads.

Started with ``patched`` it is a monkey-patched program, whose ``threading`` makes greenlets.
"""

from __future__ import annotations

import sys

if sys.argv[1:] == ["patched"]:
    from gevent import monkey

    monkey.patch_all()

import threading

import gevent
from gevent.threadpool import ThreadPool

from greenproc import UPID, Process, Promise, Runtime, Settings, install

SENDERS = 4
MESSAGES = 1000


class Counter(Process):
    """Counts ``data`` until all of it has come."""

    def __init__(self) -> None:
        super().__init__("counter")
        self.total = 0
        self.done: Promise[int] = Promise()

    @install("data")
    def on_data(self, sender: UPID, body: bytes) -> None:
        self.add(1)

    def add(self, number: int) -> int:
        self.total += number
        if self.total == SENDERS * 2 * MESSAGES + SENDERS:
            self.done.set(self.total)
        return self.total


def work(sender: Runtime, node: Runtime, to: UPID) -> None:
    for _ in range(MESSAGES):
        sender.post(to, "data")  # over the socket
        node.post(to, "data")  # local
    assert node.dispatch(to, Counter.add, 1).get(timeout=20) > 0


def main() -> None:
    settings = Settings(ip="127.0.0.1")
    with Runtime(settings) as node, Runtime(settings) as sender:
        counter = Counter()
        pid = node.spawn(counter)
        threads = [
            threading.Thread(target=work, args=(sender, node, pid)) for _ in range(SENDERS - 1)
        ]
        for thread in threads:
            thread.start()
        pool = ThreadPool(1)
        pool.spawn(work, sender, node, pid)
        sys.stdout.write(f"counted {counter.done.future.get(timeout=20)}\n")
        for thread in threads:
            gevent.get_hub().threadpool.apply(thread.join)
        pool.kill()
        node.terminate(pid)
        sys.stdout.write(f"ended {node.wait(pid)}\n")


main()
