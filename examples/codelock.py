"""A door with a code lock, the machine of the documentation of Erlang's gen_statem.

It opens by the right code, and locks again after ten seconds. What is typed while it is open is postponed until it
is locked. The clock is paused, so that the seconds take no time. It prints what happens, and ends::

    python examples/codelock.py
"""

import greenproc
from greenproc import UPID, State, StateMachine, ask, install

CODE = "1234"
OPEN_SECONDS = 10.0


class CodeLock(StateMachine):
    """Knows its code, and what was typed of it."""

    locked = State(initial=True)
    unlocked = State(postpone=["digit"])

    def __init__(self) -> None:
        super().__init__("codelock")
        self.typed = ""

    @locked.entry
    def lock(self) -> None:
        self.typed = ""
        print("locked")

    @locked.on("digit")
    def on_digit(self, sender: UPID, body: bytes) -> None:
        self.typed = (self.typed + body.decode())[-len(CODE) :]
        if self.typed == CODE:
            self.next_state(CodeLock.unlocked)

    @unlocked.entry
    def unlock(self) -> None:
        print("unlocked")

    @unlocked.on("shut")
    def on_shut(self, sender: UPID, body: bytes) -> None:
        self.next_state(CodeLock.locked)

    @unlocked.timeout(OPEN_SECONDS)
    def left_open(self) -> None:
        print(f"open for {OPEN_SECONDS:g} s")
        self.next_state(CodeLock.locked)

    @install("length", returns=int)  # in all states
    def on_length(self, sender: UPID, body: bytes) -> int:
        return len(CODE)


def main() -> None:
    """Type the code, and half of it too early; let the door shut by itself, and by hand."""
    greenproc.initialize()
    runtime = greenproc.current_runtime()
    runtime.clock.pause()
    door = greenproc.spawn(CodeLock())
    print("digits:", ask(door, "length", returns=int).get())
    for digit in "91234" + "12":  # the last two find the door open
        greenproc.post(door, "digit", digit.encode())
    runtime.settle()
    runtime.clock.advance(OPEN_SECONDS)
    runtime.settle()
    for digit in "34":
        greenproc.post(door, "digit", digit.encode())
    greenproc.post(door, "shut")
    runtime.settle()
    greenproc.post(door, "shut")  # a dead letter: it is locked
    runtime.settle()
    print([f"{letter.name}: {letter.reason}" for letter in runtime.dead_letters])
    greenproc.finalize()


if __name__ == "__main__":
    main()
