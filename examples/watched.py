"""Three processes misbehave, and the program prints what signals, metrics and pages tell of that.

One waits for a server that does not answer, one fails, and one blocks the hub::

    python examples/watched.py

With a port it goes on, so that the page can be looked at in a browser::

    python examples/watched.py 5050
"""

import logging
import sys
import time

from gevent.event import AsyncResult, Event

from greenproc import UPID, Process, Runtime, Settings, install, web


class Mailer(Process):
    """Waits for a server, so that its mailbox fills."""

    server = Event()

    @install("mail")
    def on_mail(self, sender: UPID, body: bytes) -> None:
        self.server.wait()


class Till(Process):
    """Ends at what is no amount."""

    @install("pay")
    def on_pay(self, sender: UPID, body: bytes) -> None:
        int(body)


class Report(Process):
    """Waits in a way that lets nothing else run, unlike ``gevent.sleep``."""

    @install("make")
    def on_make(self, sender: UPID, body: bytes) -> None:
        time.sleep(0.3)


def main() -> None:
    """Let them misbehave; what is connected to signals must not wait."""
    logging.getLogger("greenproc").setLevel(logging.CRITICAL)  # it logs all of this, too
    port = int(sys.argv[1]) if sys.argv[1:] else 0
    with Runtime(Settings(ip="127.0.0.1", port=port, blocked_after=0.1)) as runtime:
        blocked: AsyncResult[str] = AsyncResult()
        runtime.signals.process_failed.connect(
            lambda runtime, pid, event, error: print(f"failed: {pid.id}, {error}")
        )
        runtime.signals.hub_blocked.connect(
            lambda runtime, pid, seconds, stack: blocked.set(f"{pid.id} in {stack.split()[-1]}")
        )
        runtime.dead_letters.subscribe(
            lambda one: print(f"dropped: {one.name} to {one.receiver.id}, {one.reason}")
        )
        mailer, till, report = map(runtime.spawn, (Mailer(), Till("till"), Report("report")))
        for _ in range(4):
            runtime.post(mailer, "mail")
        for amount in (b"ten", b"10"):
            runtime.post(till, "pay", amount)
        runtime.post(report, "make")
        print("blocked:", blocked.get())
        metrics = runtime.metrics.snapshot().get()
        print("metric:", metrics[f"greenproc/mailbox_events/{mailer.id}"], "events are queued")
        page = f"http://{runtime.address}/__node__/process?id={mailer.id}"
        told = web.get(f"{page}&format=json").get().json()
        print("page:", told["id"], "is", told["doing"], "in", told["stack"][0].partition(":")[0])
        Event().wait(None if port else 0)
        Mailer.server.set()


if __name__ == "__main__":
    main()
