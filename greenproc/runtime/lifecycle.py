"""Starting and stopping in order: a list of stages, and what runs through it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from time import monotonic

import gevent

logger = logging.getLogger("greenproc.runtime")


class RuntimeState(Enum):
    """Where a runtime is in its life."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


def nothing(seconds: float = 0.0) -> None:
    """Be the start or stop of a stage that has none."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the start, and what undoes it; *stop* is given the seconds it may take."""

    name: str
    start: Callable[[], None]
    stop: Callable[[float], None]


class Lifecycle:
    """Starts stages in order and stops those that were started in reverse.

    Source: libprocess src/process.cpp writes the order down at initialize and finalize.
    """

    def __init__(self, stages: list[Stage]) -> None:
        self.stages = stages
        self._started: list[Stage] = []

    def start(self, seconds: float) -> None:
        """Start every stage; if one fails, stop the earlier ones within *seconds* and raise."""
        for stage in self.stages:
            try:
                stage.start()
            except BaseException:
                self.stop(seconds)
                raise
            self._started.append(stage)

    def stop(self, seconds: float) -> None:
        """Stop what was started, last first, within *seconds* altogether.

        Each stage is given what is left; one that fails or takes longer is logged, and the stages
        below it are stopped all the same.
        """
        deadline = monotonic() + seconds
        while self._started:
            stage = self._started.pop()
            # A stage below one that used up the time still gets a moment to close its sockets.
            left = max(deadline - monotonic(), 0.1)
            limit = gevent.Timeout(left + 1.0)
            try:
                with limit:
                    stage.stop(left)
            except gevent.Timeout as timeout:
                if timeout is not limit:
                    raise
                logger.error("stopping %s took more than %.1f s; going on", stage.name, left)
            except Exception:
                logger.exception("stopping %s failed; going on", stage.name)
