"""An auction whose messages have types: ``python examples/auction.py``.

The last line that it prints is for a bid that is none.
"""

import msgspec

import greenproc
from greenproc import UPID, Process, install


class Bid(msgspec.Struct, frozen=True):
    """An offer. The messages are called as their class."""

    amount: int
    bidder: UPID


class Outbid(msgspec.Struct, frozen=True, tag="outbid"):
    """News: there is a higher bid."""

    amount: int


class Sold(msgspec.Struct, frozen=True, tag="sold"):
    """News: it is yours."""

    amount: int


class Auction(Process):
    """Sells to the first bid of 100 or more."""

    best = Bid(0, UPID())

    @install(Bid)
    def on_bid(self, sender: UPID, bid: Bid) -> None:
        if self.best.amount >= min(bid.amount, 100):
            return  # it is too low, or too late
        if bid.amount < 100:
            self.send(self.best.bidder, "news", Outbid(bid.amount))
        else:
            self.send(bid.bidder, "news", Sold(bid.amount))
        self.best = bid


class Bidder(Process):
    """Bids, and bids again."""

    def __init__(self, auction: UPID, amount: int) -> None:
        super().__init__()
        self.auction = auction
        self.amount = amount

    def initialize(self) -> None:
        print(f"{self.pid.id} bids {self.amount}")
        self.send(self.auction, Bid(self.amount, self.pid))

    @install("news", Outbid | Sold)
    def on_news(self, sender: UPID, news: Outbid | Sold) -> None:
        match news:
            case Outbid(amount):
                self.amount = amount + 30
                self.initialize()
            case Sold(amount):
                print(f"{self.pid.id} pays {amount}")
                self.terminate()


if __name__ == "__main__":
    auction = greenproc.spawn(Auction("auction"))
    greenproc.spawn(Bidder(auction, 10))
    greenproc.wait(greenproc.spawn(Bidder(auction, 50)))
    greenproc.signals().message_dropped.connect(
        lambda _, message, reason: print(f"{message.name} dropped: {reason}")
    )
    greenproc.post(auction, "Bid", {"amount": "a lot"})
    greenproc.dispatch(auction, lambda: None).get()  # served behind the message
    greenproc.finalize()
