"""Subprocesses: launch, standard streams, exit statuses, signals."""

from greenproc.subprocess.hooks import duplicate_to
from greenproc.subprocess.launch import launch
from greenproc.subprocess.options import Options
from greenproc.subprocess.pipes import FD, PATH, PIPE, PipeEnd
from greenproc.subprocess.process import Subprocess
from greenproc.subprocess.reaper import Reaper, current_reaper, reap
from greenproc.subprocess.tree import kill_tree

__all__ = [
    "FD",
    "PATH",
    "PIPE",
    "Options",
    "PipeEnd",
    "Reaper",
    "Subprocess",
    "current_reaper",
    "duplicate_to",
    "kill_tree",
    "launch",
    "reap",
]
