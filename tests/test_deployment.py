"""The files for Docker, systemd and Kubernetes say what works."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from gevent import subprocess

from greenproc.address import Address
from tests.peer import Peer
from tests.shell import GREENPROC, Program

EXAMPLES = Path(__file__).parents[1] / "examples"
DEPLOY = EXAMPLES / "deploy"


def instructions(name: str) -> list[str]:
    """Return what the Dockerfile says behind *name*, continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    return re.findall(rf"(?m)^{name} (.*)$", text)


def probes() -> list[str]:
    """Return the paths that Kubernetes asks."""
    text = (DEPLOY / "kubernetes.yaml").read_text("utf-8")
    return re.findall(r'httpGet: \{path: "?([^",]+)', text)


def command(words: list[str], port: int = 0) -> list[str]:
    """Return the command of a file for the programs of this environment, and for *port*."""
    programs: dict[str, tuple[str, ...]] = {
        "greenproc": GREENPROC,
        "python": (sys.executable,),
    }
    program = programs[Path(words[0]).name]
    return [*program, *(word.replace("8000", str(port)) for word in words[1:])]


def checked(words: list[str]) -> Any:
    """Run a health check."""
    return subprocess.run(words, check=False, capture_output=True, timeout=30)


def served(program: Program) -> Address:
    port = program.line(r"^http://[0-9.]+:([0-9]+)/$")[1]
    return Address("127.0.0.1", int(port))


def test_the_command_and_the_health_check_of_the_image_work() -> None:
    [words], [check] = instructions("CMD"), instructions("HEALTHCHECK")
    [told] = instructions("ENV")
    settings = dict(one.split("=", 1) for one in shlex.split(told))
    settings["LIBPROCESS_ADVERTISE_IP"] = "127.0.0.1"  # the name of this host may lead nowhere
    with Program(*command(json.loads(words)), env=settings, cwd=EXAMPLES) as program:
        port = served(program).port
        asked = command(json.loads(check.partition("CMD ")[2]), port)
        healthy = checked(asked)
        program.signal(signal.SIGTERM)
        code, _, errors = program.finish()
        sick = checked(asked)

    assert (healthy.returncode, healthy.stderr) == (0, b"")
    assert (code, errors) == (0, "")
    assert sick.returncode != 0


def test_the_probes_of_kubernetes_are_answered() -> None:
    assert len(probes()) == 3
    with Program(*GREENPROC, "serve", "hits:app", "--port", "0", cwd=EXAMPLES) as program:
        with Peer.connect(served(program)) as peer:
            codes = [peer.get(path).code for path in probes()]
        program.signal(signal.SIGTERM)
        program.finish()

    assert codes == [200, 200, 200]


def test_systemd_has_nothing_to_complain_of(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    program = tmp_path / "greenproc"
    program.write_text("#!/bin/sh\n", "utf-8")
    program.chmod(0o755)
    text = (DEPLOY / "hits.service").read_text("utf-8")
    unit = tmp_path / "hits.service"
    unit.write_text(text.replace("/srv/greenproc/.venv/bin/greenproc", str(program)), "utf-8")

    verified = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    complaints = [line for line in verified.stderr.splitlines() if "hits.service" in line]
    assert complaints == []


def test_the_command_of_the_service_works() -> None:
    text = (DEPLOY / "hits.service").read_text("utf-8")
    [line] = re.findall(r"(?m)^ExecStart=(.*)$", text)
    with Program(*command(line.split()), cwd=EXAMPLES) as program:
        with Peer.connect(served(program)) as peer:
            answer = peer.get("/")
        program.signal(signal.SIGTERM)

        assert program.finish()[0] == 0
    assert answer.body == b"1\n"
