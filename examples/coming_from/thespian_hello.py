"""Three actors that make one greeting: the second program of Thespian's tutorial.

    python examples/coming_from/thespian_hello.py

There an actor has one ``receiveMessage`` that looks at the type of what came; here a handler is
declared for each type, and the name of the type travels with the bytes. The address of who asked goes
along in the message, as there, so that the last actor answers it and none in between waits.
"""

from msgspec import Struct, structs

import greenproc
from greenproc import UPID, Process, ask, install, spawn


class Greeting(Struct):
    """What each of them makes longer."""

    words: str
    send_to: UPID
    """Who gets it when it is complete."""


class Hello(Process):
    """Begins a greeting. It has its own helpers made, as ``createActor`` does."""

    def initialize(self) -> None:
        self.world = spawn(World(spawn(Punctuate())))

    @install("greet")
    def on_greet(self, sender: UPID, body: bytes) -> None:
        self.send(self.world, Greeting("Hello", send_to=sender))


class World(Process):
    """Adds what is greeted."""

    def __init__(self, punctuate: UPID) -> None:
        super().__init__()
        self.punctuate = punctuate

    @install(Greeting)
    def on_greeting(self, sender: UPID, greeting: Greeting) -> None:
        longer = structs.replace(greeting, words=f"{greeting.words}, world")
        self.send(self.punctuate, longer)


class Punctuate(Process):
    """Ends a greeting, and sends it to who wanted it."""

    @install(Greeting)
    def on_greeting(self, sender: UPID, greeting: Greeting) -> None:
        self.send(greeting.send_to, "greeting", f"{greeting.words}!".encode())


def main() -> None:
    """Ask as ``ActorSystem().ask(hello, "hi", 1)`` does; the answer comes from another actor."""
    hello = spawn(Hello("hello"))
    print(ask(hello, "greet", timeout=10.0).get().decode())
    print("lost:", len(greenproc.dead_letters()))  # Thespian's dead letter handler
    greenproc.finalize()


if __name__ == "__main__":
    main()
