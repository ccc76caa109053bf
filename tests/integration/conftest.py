"""A node that is asked in every wrong way."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenproc import Runtime, Settings
from greenproc.testing import RuntimeMaker
from tests.integration.http_cases import MAX_BODY_BYTES
from tests.integration.probe import Probe


@pytest.fixture
def node(make_runtime: RuntimeMaker) -> Runtime:
    return make_runtime(Settings(ip="127.0.0.1", max_body_bytes=MAX_BODY_BYTES))


@pytest.fixture
def probe(node: Runtime, tmp_path: Path) -> Probe:
    (tmp_path / "secret").touch()
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "file").touch()
    probe = Probe()
    probe.provide("files", tmp_path / "public")
    node.spawn(probe)
    return probe
