"""libprocess' profiler_tests.cpp, and what a C++ node without a profiler answered."""

from __future__ import annotations

import pytest

from greenproc.auth import BasicAuthenticator
from greenproc.builtin import profiler
from greenproc.runtime import Runtime
from greenproc.settings import Settings
from greenproc.testing import RuntimeMaker, await_ready
from tests.peer import Peer

ENABLED = Settings(ip="127.0.0.1", enable_profiler=True)


def test_start_and_stop(runtime: Runtime, make_runtime: RuntimeMaker) -> None:
    """ProfilerTest.StartAndStop."""
    pytest.importorskip("yappi")
    with Peer.connect(runtime.address) as peer:
        answer = peer.get("/profiler/start")
        assert answer.code == 400
        assert answer.body == (
            b"The profiler is not enabled. To enable the profiler, libprocess must be started "
            b"with LIBPROCESS_ENABLE_PROFILER=1 in the environment.\n"
        )
        answer = peer.get("/profiler/stop")
        assert (answer.code, answer.body) == (400, b"Profiler not running.\n")
    with Peer.connect(make_runtime(ENABLED).address) as peer:
        answer = peer.get("/profiler/start")
        assert (answer.code, answer.body) == (200, b"Profiler started.\n")
        answer = peer.get("/profiler/start")
        assert (answer.code, answer.body) == (400, b"Profiler already started.\n")
        assert peer.get("/profiler/stop").code == 200


def test_start_and_stop_authentication_enabled(make_runtime: RuntimeMaker) -> None:
    """ProfilerTest.StartAndStopAuthenticationEnabled."""
    realm = "libprocess-readwrite"
    runtime = make_runtime(ENABLED, readwrite_realm=realm)
    authenticator = BasicAuthenticator(realm, {"foo": "bar"})
    await_ready(runtime.set_authenticator(realm, authenticator))
    with Peer.connect(runtime.address) as peer:
        assert peer.get("/profiler/start").code == 401
        assert peer.get("/profiler/stop").code == 401


@pytest.mark.parametrize("path", ["/profiler/start", "/profiler/stop"])
def test_what_is_not_there_is_refused_as_libprocess_did(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """It said that Perftools is disabled, and how to build libprocess with it."""
    monkeypatch.setattr(profiler, "is_installed", lambda tool: False)
    with Peer.connect(runtime.address) as peer:
        answer = peer.get(path)
    assert answer.status == "HTTP/1.1 400 Bad Request"
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    assert answer.body.endswith(b"\n")
