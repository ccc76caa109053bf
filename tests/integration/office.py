"""A node with supervised, bounded and pooled processes: ``greenproc run office:Office``."""

from __future__ import annotations

import gevent
import msgspec
from gevent.event import Event as Gate

from greenproc import (
    UPID,
    Child,
    Failure,
    Future,
    MailboxLimit,
    Pool,
    Process,
    Supervisor,
    Topic,
    install,
    spawn,
)
from greenproc.http import OK, Request, Response
from greenproc.process import route


class Order(msgspec.Struct, frozen=True):
    """A body that is a value."""

    of: UPID
    amount: int


class Clerk(Process):
    """A child of a supervisor; answers, fails, ends and keeps."""

    def __init__(self) -> None:
        super().__init__("clerk")
        self.served = 0
        self.kept: list[UPID] = []

    @install("order", Order, returns=Order)
    def on_order(self, sender: UPID, order: Order) -> Order:
        self.served += 1
        return Order(order.of, order.amount + self.served)

    @install("later", returns=int)
    def on_later(self, sender: UPID, body: bytes) -> Future[int]:
        return self.ask(UPID("office", self.pid.address), "count", returns=int)

    @install("refuse", returns=int)
    def on_refuse(self, sender: UPID, body: bytes) -> int:
        raise Failure("out of stock")

    @install("echo")
    def on_echo(self, sender: UPID, body: bytes) -> None:
        self.reply(body)

    @install("keep")
    def on_keep(self, sender: UPID, body: bytes) -> None:
        self.kept.append(sender)

    @install("poison")
    def on_poison(self, sender: UPID, body: bytes) -> None:
        raise ValueError("a secret")

    @route("/served")
    def on_served(self, request: Request) -> Response:
        return OK(str(self.served))


class Slow(Process):
    """Serves one message while others come."""

    mailbox_limit = MailboxLimit(events=10)

    def __init__(self) -> None:
        super().__init__("slow")
        self.served: list[int] = []

    @install("m")
    def on_message(self, sender: UPID, body: bytes) -> None:
        self.served.append(int(body))
        gevent.sleep(0)


class Worker(Process):
    """One of a pool."""

    @install("who")
    def on_who(self, sender: UPID, body: bytes) -> None:
        self.reply(self.pid.id.encode() + b" " + body)

    @install("poison")
    def on_poison(self, sender: UPID, body: bytes) -> None:
        raise ValueError("poisoned")


class Mirror(Process):
    """Asks back before it answers."""

    @install("question")
    def on_question(self, sender: UPID, body: bytes) -> None:
        self.ask(UPID.parse(body.decode()), "question", timeout=600.0).get()


class Office(Process):
    """Starts the others; the clerk comes back when it is told."""

    def __init__(self) -> None:
        super().__init__("office")
        self.gate = Gate()
        self.gate.set()
        self.count = 0
        self.slow = Slow()
        self.topic = Topic("news")

    def initialize(self) -> None:
        spawn(Supervisor([Child(self.make_clerk, "clerk")], max_restarts=1000, id="manager"))
        spawn(Pool(Worker, 3, id="pool", max_restarts=1000))
        spawn(self.slow)
        spawn(self.topic)
        spawn(Mirror("mirror"))

    def make_clerk(self) -> Clerk:
        self.gate.wait()
        return Clerk()

    @install("close")
    def on_close(self, sender: UPID, body: bytes) -> None:
        self.gate.clear()
        self.reply()

    @install("open")
    def on_open(self, sender: UPID, body: bytes) -> None:
        self.gate.set()
        self.reply()

    @install("count", returns=int)
    def on_count(self, sender: UPID, body: bytes) -> int:
        self.count += 1
        return self.count

    @route("/served")
    def on_served(self, request: Request) -> Response:
        return OK(json=self.slow.served)

    @install("spawn")
    def on_spawn(self, sender: UPID, body: bytes) -> None:
        spawn(Worker(body.decode()))
        self.reply()

    @install("subscribe", returns=bool)
    def on_subscribe(self, sender: UPID, body: bytes) -> Future[bool]:
        return self.runtime.dispatch(self.topic, Topic.subscribe, UPID.parse(body.decode()))

    @install("publish", returns=int)
    def on_publish(self, sender: UPID, body: bytes) -> Future[int]:
        return self.runtime.dispatch(self.topic, Topic.publish, "news", body)
