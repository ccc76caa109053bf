"""What programs of processes need again and again, made of processes and timers."""

from greenproc.patterns.every import Repetition
from greenproc.patterns.router import Pool, Router
from greenproc.patterns.topic import Topic

__all__ = ["Pool", "Repetition", "Router", "Topic"]
