"""Clocks that can be paused, and timers that follow them."""

from greenproc.clock.clock import Clock
from greenproc.clock.cross_thread import CrossThreadClock
from greenproc.clock.current import current_clock
from greenproc.clock.deadline import Deadline
from greenproc.clock.source import HubSource, ManualSource, Source
from greenproc.clock.timers import Timer, TimerQueue

__all__ = [
    "Clock",
    "CrossThreadClock",
    "Deadline",
    "HubSource",
    "ManualSource",
    "Source",
    "Timer",
    "TimerQueue",
    "current_clock",
]
