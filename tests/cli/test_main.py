"""The command as a whole: help, version, and what errors mean to the shell."""

from __future__ import annotations

import re
import sys

import pytest
from gevent import subprocess

from greenproc.cli.main import main
from tests.shell import GREENPROC, LIMIT, environment, node, run


def test_help_shows_an_example_of_every_command() -> None:
    code, out, err = run("--help")

    assert (code, err) == (0, "")
    for command in ("demo", "run", "serve", "send", "ps"):
        assert f"\n  greenproc {command}" in out


@pytest.mark.parametrize("command", ["demo", "run", "serve", "send", "ps"])
def test_each_command_tells_about_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])

    out = capsys.readouterr().out
    assert out.startswith(f"usage: greenproc {command} ")
    assert "%(" not in out


@pytest.mark.parametrize("option", ["--version", "--vers"])
def test_version_is_one_line(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([option])

    assert re.fullmatch(r"greenproc \S.*\n", capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [[], ["paint"], ["ps"], ["run"], ["send", "a@127.0.0.1:1"]])
def test_a_command_given_wrongly_exits_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: greenproc")


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    with node("greenproc.cli.player:Player") as player:
        address = player.line(r"@(.*)")[1]
        ps = subprocess.Popen(
            [*GREENPROC, "ps", address],
            env=environment({"PYTHONUNBUFFERED": ""}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with ps:
            ps.stdout.close()
            errors = ps.stderr.read()
            code = ps.wait(LIMIT)

    assert (code, errors) == (1, b"")


def test_the_module_is_the_same_command(capsys: pytest.CaptureFixture[str]) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "greenproc", "ps", "--help"], env=environment(), capture_output=True
    )
    with pytest.raises(SystemExit):
        main(["ps", "--help"])

    assert shown.stdout.decode() == capsys.readouterr().out


TYPOS = {
    "option before the command": (
        ["--port", "1", "run", "pingpong:Pong"],
        "options follow the command, as in: greenproc run pingpong:Pong --port 1",
    ),
    "flag before the command": (
        ["-v", "serve", "shop:create_app()"],
        "options follow the command, as in: greenproc serve 'shop:create_app()' -v",
    ),
    "options and no command": (
        ["--port", "1"],
        "expected a command first, one of demo, run, serve, send, ps, got --port",
    ),
    "no port": (
        ["run", "counter:Counter", "--port", "http"],
        "argument --port: expected a port from 0 to 65535, got 'http'",
    ),
    "too large a port": (
        ["serve", "shop:app", "--port", "65536"],
        "argument --port: expected a port from 0 to 65535, got '65536'",
    ),
    "no port to tell others": (
        ["run", "counter:Counter", "--advertise-port", "0"],
        "argument --advertise-port: expected a port from 1 to 65535, got '0'",
    ),
    "options behind --": (
        ["send", "a@127.0.0.1:9", "n", "--", "-5", "--reply"],
        'arguments: --reply: what stands behind "--" is taken as it is, so put options before it',
    ),
    "misspelled flag": (
        ["run", "counter:Counter", "--prot", "5"],
        'arguments: --prot 5: "greenproc run --help" tells what it takes',
    ),
    "one too many": (
        ["ps", "127.0.0.1:9", "x"],
        'arguments: x: "greenproc ps --help" tells what it takes',
    ),
}


@pytest.mark.parametrize(("given", "told"), TYPOS.values(), ids=TYPOS)
def test_an_unknown_argument_is_explained(
    given: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(given)
    assert caught.value.code == 2
    assert told in capsys.readouterr().err


def test_a_url_is_no_address_of_a_node(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "http://127.0.0.1:9"]) == 2
    assert "expected host:port without a scheme or a path" in capsys.readouterr().err
