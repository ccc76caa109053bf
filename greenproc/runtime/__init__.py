"""The composition root: `Runtime` builds every part, plugs them together and owns them."""

from greenproc.runtime.background import BackgroundRuntime
from greenproc.runtime.dead_letters import DeadLetter, DeadLetters
from greenproc.runtime.lifecycle import RuntimeState
from greenproc.runtime.runtime import Runtime
from greenproc.runtime.signals import Signals

__all__ = ["BackgroundRuntime", "DeadLetter", "DeadLetters", "Runtime", "RuntimeState", "Signals"]
