"""Starting and stopping in order: a list of stages, and what runs through it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from time import monotonic

import gevent

from greenproc.failures import log_failure

logger = logging.getLogger("greenproc.runtime")

MAX_ATTEMPTS = 3
"""How often a stage may be interrupted while it stops, before the stages below it have their turn."""


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
    """Starts stages in order and stops those that were begun in reverse.

    Each may be interrupted. A stage whose start or stop did not come to its end is stopped by the
    next `stop`, so what stops a stage copes with one that is half started or half stopped. One that
    is interrupted each time, perhaps by what it raises itself, is given up after a few attempts.

    Source: libprocess src/process.cpp writes the order down at initialize and finalize.
    """

    def __init__(self, stages: list[Stage]) -> None:
        self.stages = stages
        self._begun: list[Stage] = []
        self._attempts = 0  # to stop the last of them, all interrupted

    def start(self) -> None:
        """Start every stage. If that raises, what was begun is to be stopped."""
        for stage in self.stages:
            self._begun.append(stage)
            stage.start()

    def stop(self, seconds: float) -> None:
        """Stop what was begun, last first, within *seconds* altogether.

        Each stage is given what is left; one that fails or takes longer is logged, and the stages
        below it are stopped all the same. When this is interrupted, the next call goes on with the
        stage that was being stopped, or with the one below it when that was so a few times.

        Raises:
            BaseException: what interrupted it, the timeout of a caller among that.
        """
        deadline = monotonic() + seconds
        while self._begun:
            stage = self._begun[-1]
            # A stage below one that used up the time still gets a moment to close its sockets.
            left = max(deadline - monotonic(), 0.1)
            limit = gevent.Timeout(left + 1.0)
            try:
                with limit:
                    stage.stop(left)
            except Exception:
                log_failure(logger, "stopping %s failed; going on", stage.name)
            except BaseException as error:
                if error is not limit:
                    # A timeout is that of a caller, as far as can be told: the next call goes on.
                    self._interrupted(stage)
                    raise
                logger.error("stopping %s took more than %.1f s; going on", stage.name, left)
            self._leave()

    def _interrupted(self, stage: Stage) -> None:
        self._attempts += 1
        if self._attempts == MAX_ATTEMPTS:
            logger.error(
                "stopping %s was interrupted %d times; giving it up", stage.name, MAX_ATTEMPTS
            )
            self._leave()

    def _leave(self) -> None:
        self._attempts = 0
        self._begun.pop()
