"""Sharing and waiting, by futures or by blocking a greenlet: locks, queues, latches, rates, pipes.

Like promises, none of this may be used in a finalizer or in a signal handler of Python's own: both
can interrupt another use of the same object, whose lock they would wait for.
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
