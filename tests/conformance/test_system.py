"""libprocess' system_tests.cpp."""

from __future__ import annotations

import json

from greenproc.runtime import Runtime
from tests.peer import Peer


def test_metrics(runtime: Runtime) -> None:
    """SystemTest.DISABLED_Metrics: it is not disabled here."""
    with Peer.connect(runtime.address) as peer:
        answer = peer.get("/metrics/snapshot")
    assert answer.code == 200
    assert answer.header("Content-Type") == "application/json"
    assert set(json.loads(answer.body)) >= {
        "system/load_1min",
        "system/load_5min",
        "system/load_15min",
        "system/cpus_total",
        "system/mem_total_bytes",
        "system/mem_free_bytes",
    }
