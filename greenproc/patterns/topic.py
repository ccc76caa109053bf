"""`Topic`: publish and subscribe between the processes of a node."""

from __future__ import annotations

from greenproc.pid import UPID
from greenproc.process.arguments import as_receiver, as_upid
from greenproc.process.base import Process


class Topic(Process):
    """Sends what is published to all that have subscribed, in one order for all of them.

    ::

        topic = spawn(Topic("news"))
        dispatch(topic, Topic.subscribe, self.pid)         # in a process
        dispatch(topic, Topic.publish, "headline", b"...")  # anywhere

    It links to its subscribers, so one that has ended, or whose node is gone, is forgotten. The methods are
    called by dispatch, and so from local processes only; a subscriber may be on another node.
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self._subscribers: dict[UPID, None] = {}  # in the order in which they came

    def subscribe(self, subscriber: UPID | Process) -> bool:
        """Send to *subscriber* what is published from now on; return whether it is a new one.

        Raises:
            InvalidArgument: it is no address of a process.
        """
        pid = as_receiver(subscriber)
        if pid in self._subscribers:
            return False
        self._subscribers[pid] = None
        self.link(pid)
        return True

    def unsubscribe(self, subscriber: UPID | Process) -> bool:
        """Send nothing more to *subscriber*; return whether it had subscribed."""
        pid = as_upid(subscriber)
        known = pid in self._subscribers
        self._subscribers.pop(pid, None)
        return known

    def publish(self, name: str, body: bytes = b"") -> int:
        """Send a message called *name* to all subscribers; return how many these are.

        Its sender is the topic.
        """
        subscribers = list(self._subscribers)
        for pid in subscribers:
            self.send(pid, name, body)
        return len(subscribers)

    def subscribers(self) -> tuple[UPID, ...]:
        """Return the subscribers, the oldest first."""
        return tuple(self._subscribers)

    def exited(self, pid: UPID) -> None:
        """Forget a subscriber that has ended."""
        self._subscribers.pop(pid, None)
