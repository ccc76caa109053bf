"""Coordination of greenlets, futures and native threads: locks, queues, latches, rates, pipes.

Like promises, none of this may be used in a finalizer or in a signal handler of Python: both
can interrupt another use of the same object, and would wait for its lock for ever.
"""

from greenproc.sync.latch import CountDownLatch, Latch, Once
from greenproc.sync.limiter import RateLimiter
from greenproc.sync.mutex import Mutex
from greenproc.sync.pipe import Pipe, Reader, Writer
from greenproc.sync.queue import Queue
from greenproc.sync.rwlock import ReadWriteLock
from greenproc.sync.sequence import Sequence

__all__ = [
    "CountDownLatch",
    "Latch",
    "Mutex",
    "Once",
    "Pipe",
    "Queue",
    "RateLimiter",
    "ReadWriteLock",
    "Reader",
    "Sequence",
    "Writer",
]
