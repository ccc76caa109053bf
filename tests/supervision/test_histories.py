"""Random histories of supervisors: whatever happens, tables, processes, gaps and timers agree."""

from __future__ import annotations

import logging
from random import Random
from typing import Any

import gevent
import pytest

from greenproc.future import Future
from greenproc.pid import UPID
from greenproc.process import Process, install
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.supervision import Backoff, Child, ChildState, Supervisor
from greenproc.testing import RuntimeMaker, expect_failure

IDS = [f"c{number}" for number in range(5)]

STEPS = 40

SETTLED = 30  # advances by ten seconds, after which no delay, limit or handler can last

OPERATIONS = [
    "advance",
    "advance",
    "bye",
    "delete_child",
    "dispatch",
    "hang",
    "kill",
    "plan",
    "poison",
    "restart_child",
    "start_child",
    "terminate",
    "terminate_child",
]

Plan = dict[tuple[str, str], list[str]]
"""What a process does in its next ``initialize`` and ``finalize``."""


class Planned(Process):
    """Starts and ends as a plan says, and fails, ends or hangs when it is told to."""

    def __init__(self, id: str, plan: Plan) -> None:
        super().__init__(id)
        self.plan = plan

    def initialize(self) -> None:
        self.do("initialize")

    def finalize(self) -> None:
        self.do("finalize")

    def do(self, where: str) -> None:
        planned = self.plan.get((self.pid.id, where))
        what = planned.pop(0) if planned else ""
        if what == "raise":
            raise ValueError("planned")
        if what == "bye":
            self.terminate()
        if what == "sleep":
            self.runtime.clock.sleep(0.5)

    @install("poison")
    def on_poison(self, sender: UPID, body: bytes) -> None:
        raise ValueError("poison")

    @install("bye")
    def on_bye(self, sender: UPID, body: bytes) -> None:
        self.terminate()

    @install("hang")
    def on_hang(self, sender: UPID, body: bytes) -> None:
        self.runtime.clock.sleep(3.0)


class History:
    """A supervisor of up to five children, and what happens to it."""

    def __init__(self, runtime: Runtime, seed: int) -> None:
        self.runtime = runtime
        self.random = random = Random(seed)
        self.plan: Plan = {}
        self.calls: list[Future[Any]] = []
        children = [self.child(id) for id in IDS[:3]]
        supervisor = Supervisor(
            children,
            strategy=random.choice(["one_for_one", "one_for_all", "rest_for_one"]),
            max_restarts=random.choice([1, 3, 10]),
            within=random.choice([1.0, 5.0]),
            backoff=random.choice([None, Backoff(first=0.3, jitter=0.0)]),
            auto_shutdown=random.choice(["any_significant", "all_significant"]),
        )
        self.pid = runtime.spawn(supervisor)

    def child(self, id: str) -> Child:
        def make() -> Process | None:
            chance = self.random.random()
            if chance < 0.05:
                raise ValueError("factory")
            return None if chance < 0.08 else Planned(id, self.plan)

        restart: Any = self.random.choice(["permanent", "transient", "temporary"])
        return Child(
            make,
            id,
            restart=restart,
            shutdown=self.random.choice([0.0, 1.0, 5.0]),
            mailbox=self.random.choice(["drop", "keep"]),
            significant=restart != "permanent" and self.random.random() < 0.2,
        )

    def is_alive(self, id: str) -> bool:
        return self.runtime.processes.find_process(self.upid(id)) is not None

    def upid(self, id: str) -> UPID:
        return UPID(id, self.runtime.address)

    def pause(self) -> None:
        for _ in range(15):
            gevent.idle()

    def step(self) -> None:
        """Let one thing happen, to one child."""
        random, runtime = self.random, self.runtime
        operation, id = random.choice(OPERATIONS), random.choice(IDS)
        if operation in ("poison", "bye", "hang"):
            runtime.post(self.upid(id), operation)
        elif operation == "dispatch":
            self.note_call(runtime.dispatch(self.upid(id), lambda: None))
        elif operation == "advance":
            runtime.clock.advance(random.choice([0.1, 0.5, 1.0, 3.0]))
        elif operation == "terminate":
            runtime.terminate(self.upid(id), inject=random.random() < 0.5)
        elif operation == "plan":
            where = random.choice(["initialize", "finalize"])
            what = random.choice(["raise", "bye", "sleep"])
            self.plan.setdefault((id, where), []).append(what)
        elif operation == "kill":
            record = runtime.processes.find_record(self.upid(id))
            if record is not None and record.greenlet is not None:
                gevent.kill(record.greenlet)
        else:
            argument = self.child(id) if operation == "start_child" else id
            method = getattr(Supervisor, operation)
            self.note_call(runtime.dispatch(self.pid, method, argument))
        if random.random() < 0.7:
            self.pause()

    def note_call(self, call: Future[Any]) -> None:
        call.on_failed(lambda error: None)  # else it would be reported as one that nothing read
        self.calls.append(call)

    def settle(self) -> None:
        self.plan.clear()
        for _ in range(SETTLED):
            self.runtime.clock.advance(10.0)
            self.pause()

    def check_alive(self) -> None:
        """Assert that what the supervisor says is what there is."""
        children = self.runtime.dispatch(self.pid, Supervisor.which_children).get(timeout=5.0)
        for info in children:
            expected = ChildState.RUNNING if self.is_alive(info.id) else ChildState.ABSENT
            assert info.state is expected, info
        known = {info.id for info in children}
        assert not [id for id in IDS if id not in known and self.is_alive(id)]
        running = sum(info.pid is not None for info in children)
        assert self.runtime.processes.statistics()["links"] == running
        assert len(self.runtime.processes.gaps) == 0

    def check_ended(self) -> None:
        """Assert that nothing is left."""
        assert not self.is_alive(self.pid.id)
        assert not [id for id in IDS if self.is_alive(id)]
        assert len(self.runtime.processes.gaps) == 0
        assert self.runtime.processes.statistics()["links"] == 0
        assert self.runtime.clock.statistics()["timers"] == 0
        assert not [call for call in self.calls if call.is_pending and not call.is_abandoned]


def live(runtime: Runtime, seed: int) -> None:
    history = History(runtime, seed)
    for _ in range(STEPS):
        history.step()
        if not history.is_alive(history.pid.id):
            break
    history.settle()
    if history.is_alive(history.pid.id):
        history.check_alive()
        runtime.terminate(history.pid)
        history.settle()
    history.check_ended()


@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param(range(16_660, 16_690), id="few"),
        pytest.param(range(1_500), id="many", marks=pytest.mark.slow),
    ],
)
def test_a_supervisor_is_whole_after_any_history(
    make_runtime: RuntimeMaker, caplog: pytest.LogCaptureFixture, seeds: range
) -> None:
    caplog.set_level(logging.CRITICAL, "greenproc.supervision")
    runtime = make_runtime(Settings(ip="127.0.0.1", port=0))
    runtime.clock.pause()
    with expect_failure(Exception):
        for seed in seeds:
            try:
                live(runtime, seed)
            except BaseException as error:
                error.add_note(f"in the history with the seed {seed}")
                raise
