"""A process that runs commands for others, and kills those that take too long.

It prints how each of them ended, in about half a second::

    python examples/programs.py
"""

import os

import greenproc
from greenproc import Failure, Future, Process, io
from greenproc.subprocess import PATH, PIPE, Subprocess, launch

NOTHING = PATH(os.devnull)


class Shell(Process):
    """Runs commands; each answer is a future, so many of them run at the same time."""

    def run(self, command: str, seconds: float) -> Future[str]:
        # Everything that the command needs is opened here, and closed when it has ended.
        child = launch(command, stdin=NOTHING, stdout=PIPE)
        assert child.stdout is not None

        def give_up(_: Future[bytes]) -> bytes:
            killed = child.kill_tree()
            raise Failure(f"took too long, and {len(killed)} programs were killed")

        # Reading ends when nobody can write any more: not the command, nor what it has started.
        output = io.read(child.stdout).after(seconds, give_up)
        return output.then(lambda text: child.status.then(lambda _: describe(child, text)))


def describe(child: Subprocess, text: bytes) -> str:
    """Tell how a command has ended, and what it has printed."""
    return f"exit code {child.returncode}, {text.decode().strip()!r}"


def main() -> None:
    """Run some commands at once."""
    shell = greenproc.spawn(Shell())
    commands = ["echo hello", "echo oops; exit 3", "sleep 1000 & sleep 1000"]

    answers = [greenproc.dispatch(shell, Shell.run, command, 0.5) for command in commands]

    for command, answer in zip(commands, answers, strict=True):
        print(f"{command}: {answer.recover(lambda failed: failed.failure()).get()}")
    greenproc.finalize()


if __name__ == "__main__":
    main()
