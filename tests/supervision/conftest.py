"""What the tests of supervision share: a runtime whose clock is paused."""

from __future__ import annotations

import pytest

from greenproc.runtime import Runtime
from tests.supervision.support import Family


@pytest.fixture
def family(runtime: Runtime) -> Family:
    """A supervisor to be, in a runtime whose clock is paused."""
    runtime.clock.pause()
    return Family(runtime)
