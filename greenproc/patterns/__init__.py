"""Recurring patterns of actor programs, built from processes and timers."""

from greenproc.patterns.cron import Cron
from greenproc.patterns.every import Repetition
from greenproc.patterns.router import Pool, Router
from greenproc.patterns.state_machine import State, StateMachine
from greenproc.patterns.topic import Topic

__all__ = ["Cron", "Pool", "Repetition", "Router", "State", "StateMachine", "Topic"]
