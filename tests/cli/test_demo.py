"""``greenproc demo``, as an OS process that starts another one."""

from __future__ import annotations

import os
import pty
import re
import signal
from pathlib import Path

import pytest
from gevent import Timeout, subprocess
from gevent.socket import wait_read

from greenproc.cli.main import main
from tests.shell import GREENPROC, LIMIT, Program, Witness, environment, run

OTHER_NODE = r"other node  player@127\.0\.0\.1:\d+ +pid (\d+)"
ROOT = Path(__file__).parents[2]
BAR = r"(\[=* *\] +)?"  # on a terminal
RATE = rf"^ +{BAR}\d+\.\d s +[\d,]+ round trips/s +[\d,]+ messages/s$"
SUMMARY = r"^([\d,]+) round trips, ([\d,]+) messages, [\d,]+ round trips/s, 0 lost$"


def test_demo_tells_the_story_in_a_pipe() -> None:
    code, out, err = run("demo", "--seconds", "1")

    check_story(out)
    assert (code, err) == (0, "")
    match = re.search(SUMMARY, out, re.MULTILINE)
    assert match is not None
    round_trips, messages = (int(text.replace(",", "")) for text in match.groups())
    assert messages == 2 * round_trips > 0


def test_readme_shows_what_demo_prints() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    session = re.search(
        r"^```console\n\$ greenproc demo\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL
    )

    assert session is not None
    check_story(session[1])


def check_story(out: str) -> None:
    """Check that *out* has the lines of a whole demo, in their order."""
    story = [
        r"^Two nodes",
        r"this node   player@127\.0\.0\.1:\d+ +pid \d+$",
        OTHER_NODE,
        RATE,
        r"kill -9 \d+: told of the exit after \d+\.\d ms$",
        r"new node    player@127\.0\.0\.1:\d+ +pid \d+, up in \d+ ms$",
        RATE,
        SUMMARY,
    ]
    rest = [line for line in out.splitlines() if line]
    assert len(rest) == len(story)
    for pattern, line in zip(story, rest, strict=True):
        assert re.search(pattern, line), line


def test_demo_rewrites_one_line_on_a_terminal() -> None:
    shown = run_on_terminal("demo", "--seconds", "1")

    game = next(
        line for line in shown.split("\n") if "other node" not in line and "\r" in line[:-1]
    )
    steps = [step for step in game.split("\r") if step]
    assert len(steps) > 1
    assert all(re.match(r"  \[=* *\] +\d+\.\d s  ", step) for step in steps)
    assert re.search(SUMMARY, shown.replace("\r", ""), re.MULTILINE)


@pytest.mark.slow
def test_demo_ignores_settings_meant_for_other_nodes() -> None:
    env = {"LIBPROCESS_IP": "192.0.2.1", "LIBPROCESS_ADVERTISE_IP": "192.0.2.1"}

    assert run("demo", "--seconds", "0.2", env=env).code == 0


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_signal_stops_both_nodes(number: signal.Signals, code: int) -> None:
    with Program(*GREENPROC, "demo", "--seconds", "600") as demo:
        other = Witness(int(demo.line(OTHER_NODE)[1]))
        demo.line(RATE)
        demo.signal(number)
        result = demo.finish()

    other.wait()
    assert (result.code, result.err) == (code, "")
    assert result.out.endswith("  stopped\n")


def test_the_other_node_ends_when_this_one_is_killed() -> None:
    with Program(*GREENPROC, "demo", "--seconds", "600") as demo:
        other = Witness(int(demo.line(OTHER_NODE)[1]))
        demo.signal(signal.SIGKILL)

        other.wait()


def test_demo_fails_when_the_other_node_dies_before_its_time() -> None:
    with Program(*GREENPROC, "demo", "--seconds", "600") as demo:
        pid = int(demo.line(OTHER_NODE)[1])
        demo.line(RATE)
        os.kill(pid, signal.SIGKILL)
        result = demo.finish()

    assert result.code == 1
    assert result.err == "greenproc: the other node ended unexpectedly\n"


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon"])
def test_demo_refuses_a_time_that_is_none(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["demo", f"--seconds={text}"])

    expected = f"--seconds: expected seconds, more than zero, got {text!r}"
    assert expected in capsys.readouterr().err


def run_on_terminal(*arguments: str) -> str:
    """Run ``greenproc`` with a terminal of 80 columns for its output, and return that."""
    ours, theirs = pty.openpty()
    env = environment({"COLUMNS": "80"})
    with subprocess.Popen([*GREENPROC, *arguments], env=env, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        with Timeout(LIMIT):
            while data := read_terminal(ours):
                shown += data
        assert process.wait(LIMIT) == 0
    os.close(ours)
    return shown.decode()


def read_terminal(descriptor: int) -> bytes:
    """Return what comes next; nothing when nobody has the terminal open any more."""
    wait_read(descriptor)
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""
