"""`Room`: a process that knows who is there, and keeps what is said."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from chat.store import Message, Store
from chat.words import Entry, Line, Number, clean_name, clean_text, decode, encode
from greenproc import UPID, Future, Process, delay, dispatch, install

SHOWN = 50  # messages to a newcomer, and to each look back
MISSED = 500  # messages at a time to a member that comes back
MAX_PEOPLE = 500
MAX_MEMBERS = 8  # browsers of one person
MAX_UNWRITTEN = 200
PATIENCE = 5.0  # seconds for which a member may be away unnoticed

BURST = 10
PER_SECOND = 2.0
TYPING_SECONDS = 2.0  # between two times that a person is shown to write
MAX_BUCKETS = 2 * MAX_PEOPLE


class Bucket:
    """How often something may be done: *burst* times, and again *rate* times a second."""

    def __init__(self, now: float, burst: float = BURST, rate: float = PER_SECOND) -> None:
        self._burst = self._left = float(burst)
        self._rate = rate
        self._at = now

    def take(self, now: float) -> bool:
        """Do it once; tell whether that was allowed."""
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Person:
    """Somebody in a room, with one browser or more."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[UPID, bool] = {}
        """Where this person is, and whether the messages up to now are there already."""
        self.typed_at = 0.0


class Room(Process):
    """Passes on what its members say, once it is written down.

    Args:
        changed: called with the number of people when that changes.
    """

    def __init__(self, name: str, store: Store, changed: Callable[[str, int], object]) -> None:
        super().__init__(f"room.{name}")
        self.name = name
        self.people: dict[str, Person] = {}
        self._store = store
        self._changed = changed
        self._members: dict[UPID, str] = {}
        # Apart from the people: whoever leaves and comes again has no new one.
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._unwritten = 0

    # Who is there

    @install("join")
    def on_join(self, sender: UPID, body: bytes) -> None:
        entry = decode(body, Entry)
        name = clean_name(entry.name) if entry else ""
        if not name:
            return
        person = self.people.get(entry.who)
        if person is None and len(self.people) >= MAX_PEOPLE:
            self._tell(sender, do="refused", reason="This room is full.")
            return
        if person and sender not in person.members and len(person.members) >= MAX_MEMBERS:
            self._tell(sender, do="refused", reason="You are here too many times already.")
            return
        before = self._forget(sender)
        if before and before != entry.who:
            self.part(before)
        self._members[sender] = entry.who
        self.link(sender)
        if person is None:
            person = self.people[entry.who] = Person(name)
            self._changed(self.name, len(self.people))
            self._come(entry.who, person)
        elif person.name != name:
            person.name = name
            self._come(entry.who, person)
        person.members[sender] = False
        self._read(sender, entry.since)

    @install("leave")
    def on_leave(self, sender: UPID, body: bytes) -> None:
        who = self._forget(sender)
        if who:
            self.part(who)

    @install("gone")
    def on_gone(self, sender: UPID, body: bytes) -> None:
        self.exited(sender)

    def exited(self, pid: UPID) -> None:
        who = self._forget(pid)
        if who:  # this may be a page that is loaded again, or a node that comes back
            delay(PATIENCE, self.pid, Room.part, who)

    def part(self, who: str) -> None:
        """Take leave of a person who is nowhere any more."""
        person = self.people.get(who)
        if person is not None and not person.members:
            del self.people[who]
            self._changed(self.name, len(self.people))
            self._tell_all(do="left", who=who, name=person.name)

    # What is said

    @install("say")
    def on_say(self, sender: UPID, body: bytes) -> None:
        person, line = self._person(sender), decode(body, Line)
        if person is None or line is None:
            return
        text = clean_text(line.text)
        if not text:
            self._tell(sender, do="refused", token=line.token, reason="There is nothing in it.")
        elif self._unwritten >= MAX_UNWRITTEN or not self._may_say(self._members[sender]):
            self._tell(sender, do="later", token=line.token)
        else:
            self._unwritten += 1
            stored = self._store.add(
                self.name,
                self._members[sender],
                person.name,
                text,
                token=line.token,
                at=self._now(),
            )
            self._then(stored, Room.written, sender, line.token)

    def written(self, sender: UPID, token: str, stored: Future[tuple[Message, bool]]) -> None:
        """Pass a message on, now that it cannot be lost."""
        self._unwritten -= 1
        if not stored.is_ready:
            self._tell(sender, do="later", token=token)
            return
        message, is_new = stored.get()
        if is_new:
            self._tell_all(do="message", **message._asdict())
        self._tell(sender, do="accepted", token=token, number=message.number)

    @install("typing")
    def on_typing(self, sender: UPID, body: bytes) -> None:
        person, now = self._person(sender), self._now()
        if person is not None and now - person.typed_at >= TYPING_SECONDS:
            person.typed_at = now
            self._tell_all(do="typing", who=self._members[sender], name=person.name)

    @install("older")
    def on_older(self, sender: UPID, body: bytes) -> None:
        number = decode(body, Number)
        if number is not None and self._person(sender):
            found = self._store.before(self.name, number, SHOWN)
            self._then(found, Room.looked_back, sender)

    def looked_back(self, sender: UPID, found: Future[list[Message]]) -> None:
        """Show older messages."""
        if found.is_ready:
            messages = [message._asdict() for message in found.get()]
            self._tell(sender, do="older", messages=messages, more=len(messages) == SHOWN)

    # Coming and going

    def _read(self, member: UPID, since: int) -> None:
        """Look up what *member* has not seen yet. What is said meanwhile comes after it."""
        if since:
            found = self._store.after(self.name, since, MISSED)
        else:
            found = self._store.before(self.name, 2**53, SHOWN)
        last = self._store.last_number(self.name)
        # In this order: calls of the store are made one after the other.
        self._then(last, Room.read, member, since, found)

    def read(
        self, member: UPID, since: int, found: Future[list[Message]], last: Future[int]
    ) -> None:
        """Let *member* in, with what it has not seen."""
        person = self._person(member)
        if person is None:
            return
        if not (found.is_ready and last.is_ready):
            self._tell(member, do="away")
            return
        if since > last.get():  # of another life of this room, of which nothing is left
            self._read(member, 0)
            return
        messages = [message._asdict() for message in found.get()]
        person.members[member] = True
        self._tell(
            member,
            do="joined",
            people=[{"who": who, "name": one.name} for who, one in self.people.items()],
            messages=messages,
            fresh=not since,
            more=len(messages) == (MISSED if since else SHOWN),
        )

    def _may_say(self, who: str) -> bool:
        """Tell whether a person may say something more just now."""
        now = self._now()
        bucket = self._buckets.pop(who, None) or Bucket(now)
        self._buckets[who] = bucket  # at the end: the first one is the longest unused
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return bucket.take(now)

    def _come(self, who: str, person: Person) -> None:
        self._tell_all(do="came", who=who, name=person.name)

    def _person(self, member: UPID) -> Person | None:
        return self.people.get(self._members.get(member, ""))

    def _forget(self, member: UPID) -> str | None:
        who = self._members.pop(member, None)
        if who is not None:
            self.people[who].members.pop(member, None)
        return who

    # Telling

    def _tell(self, member: UPID, **what: Any) -> None:
        self.send(member, "tell", encode(room=self.name, **what))

    def _tell_all(self, **what: Any) -> None:
        body = encode(room=self.name, **what)
        for person in self.people.values():
            for member, is_in in person.members.items():
                if is_in:
                    self.send(member, "tell", body)

    def _then(self, future: Future[Any], method: Callable[..., object], *given: Any) -> None:
        """Call *method* with what was given and the *future*, in the turn of the room."""
        future.on_any(lambda future: dispatch(self, method, *given, future))

    def _now(self) -> float:
        now: float = self.runtime.clock.now()
        return now
