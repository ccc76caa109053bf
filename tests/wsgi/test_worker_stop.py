"""A worker whose node does not stop at once: what is left is done all the same."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import gevent
import pytest

pytest.importorskip("gunicorn")

from greenproc.wsgi import worker


@pytest.mark.parametrize("error", [ValueError, gevent.Timeout])
def test_interrupted_stop_of_the_node_is_finished(
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    finished: list[str] = []

    def stop(seconds: float) -> None:
        raise error

    monkeypatch.setattr(worker, "finalize", lambda: finished.append("finalize"))
    ending = worker.GreenprocWorker.__new__(worker.GreenprocWorker)
    ending.runtime = SimpleNamespace(stop=stop, settings=SimpleNamespace(stop_timeout=1.0))
    ending._ending_since = None
    ending.cfg = SimpleNamespace(graceful_timeout=1.0)
    ending.log = logging.getLogger("greenproc.test_worker_stop")

    ending._stop_node()

    assert finished == ["finalize"]
    assert "did not stop in order" in caplog.text
