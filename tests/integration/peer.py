"""What the other OS process runs: ``greenproc run peer:Peer``."""

from __future__ import annotations

from datetime import datetime

import msgspec

from greenproc import UPID, Process, install


class Record(msgspec.Struct, frozen=True):
    """A body with each of the extensions."""

    pid: UPID
    number: int
    at: datetime


class Peer(Process):
    """Answers ``echo``, and counts ``data``, whose bodies are numbers in order."""

    def __init__(self) -> None:
        super().__init__("peer")
        self.expected = 0
        self.in_order = True

    @install("echo")
    def on_echo(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "echoed", body)

    @install(Record)
    def on_record(self, sender: UPID, record: Record) -> None:
        self.send(sender, "echoed", Record(record.pid, record.number + 1, record.at))

    @install("data")
    def on_data(self, sender: UPID, body: bytes) -> None:
        self.in_order = self.in_order and int(body) == self.expected
        self.expected += 1

    @install("report")
    def on_report(self, sender: UPID, body: bytes) -> None:
        self.send(sender, "reported", f"{self.expected} {self.in_order}".encode())
