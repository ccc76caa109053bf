"""`Topic`: publish and subscribe between the processes of a node."""

from __future__ import annotations

from greenproc.pid import UPID
from greenproc.process.arguments import as_receiver, as_upid
from greenproc.process.base import Process


class Topic(Process):
    """Sends each published message to all subscribers, in the same order to each.

    ::

        topic = spawn(Topic("news"))
        dispatch(topic, Topic.subscribe, self.pid)         # in a process
        dispatch(topic, Topic.publish, "headline", b"...")  # anywhere

    The topic links to its subscribers, and removes one that has ended or whose node is lost. The
    methods must be dispatched, which is local; a subscriber may be on another node.

    Args:
        id: the id of the topic; None generates ``Topic(1)`` and so on.
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self._subscribers: dict[UPID, None] = {}  # in the order of subscription

    def subscribe(self, subscriber: UPID | Process) -> bool:
        """Add a subscriber; return whether it is new.

        Raises:
            InvalidArgument: *subscriber* is not the address of a process.
        """
        pid = as_receiver(subscriber)
        if pid in self._subscribers:
            return False
        self._subscribers[pid] = None
        self.link(pid)
        return True

    def unsubscribe(self, subscriber: UPID | Process) -> bool:
        """Remove a subscriber; return whether it was one."""
        pid = as_upid(subscriber)
        known = pid in self._subscribers
        self._subscribers.pop(pid, None)
        return known

    def publish(self, name: str, body: bytes = b"") -> int:
        """Send a message to all subscribers; return their number.

        The sender of the message is the topic.

        Args:
            name: the message name.
            body: the body, as for `Process.send`.
        """
        subscribers = list(self._subscribers)
        for pid in subscribers:
            self.send(pid, name, body)
        return len(subscribers)

    def subscribers(self) -> tuple[UPID, ...]:
        """Return the subscribers in the order of subscription."""
        return tuple(self._subscribers)

    def exited(self, pid: UPID) -> None:
        """Remove a subscriber that has ended."""
        self._subscribers.pop(pid, None)
