"""What a program is told that has no gunicorn, or one without what its gevent worker needs."""

from __future__ import annotations

import sys

import pytest

import greenproc.wsgi

pytest.importorskip("gunicorn")


@pytest.mark.parametrize("missing", ["gunicorn", "packaging.version"])
def test_the_worker_says_what_to_install(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in ("greenproc.wsgi.worker", "gunicorn.workers.ggevent"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(
        ModuleNotFoundError, match=r"GreenprocWorker needs .* pip install '"
    ) as told:
        greenproc.wsgi.GreenprocWorker  # noqa: B018
    assert str(told.value.name).startswith(missing)
