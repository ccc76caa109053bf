"""Ask several mirrors, take the first answer, and leave nobody working in vain.

The mirrors are greenlets that wait a while. Prints what they answer, and who may stop::

    python examples/futures.py
"""

import hashlib

import gevent

from greenproc import Abandoned, Future, Promise, collect, select
from greenproc.future import discard, from_greenlet, in_thread

SLOW = 60.0  # seconds that nobody is going to wait


def fetch(mirror: str, seconds: float) -> str:
    """Be a mirror: answer after a while, or never if somebody loses interest."""
    try:
        gevent.sleep(seconds)
    except gevent.GreenletExit:
        print(f"  ({mirror} may stop)")
        raise
    return f"answer of {mirror}"


def ask(mirror: str, seconds: float) -> Future[str]:
    """Ask a mirror. A discard request for the future kills the greenlet."""
    return from_greenlet(gevent.spawn(fetch, mirror, seconds))


def first_of(futures: list[Future[str]]) -> Future[str]:
    """Return the future of the first answer; the other mirrors are asked to stop."""
    first = select(futures).then(lambda future: future)
    return first.on_any(lambda _: discard(futures))


def in_time(future: Future[str], seconds: float) -> Future[str]:
    """Return *future*, or a text in its place when it takes too long."""

    def give_up(late: Future[str]) -> str:
        late.discard()
        return "no answer"

    return future.after(seconds, give_up)


@in_thread
def digest(text: str) -> str:
    """Compute in a native thread, while greenlets go on."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def main() -> None:
    """Show four things that a chain of futures says in a line."""
    print("first:", first_of([ask("a", SLOW), ask("b", 0.01)]).get())
    print("in time:", in_time(ask("c", SLOW), 0.01).get())

    # Both at once; digest() returns a future too, and is followed.
    pair = collect(ask("d", 0.01).then(digest), ask("e", 0.0).then(digest))
    print("digests:", *pair.get())

    promise: Promise[str] = Promise()
    future = promise.future
    del promise  # as when the process that was to answer ends
    try:
        future.get()
    except Abandoned as error:
        print("abandoned:", error)


if __name__ == "__main__":
    main()
