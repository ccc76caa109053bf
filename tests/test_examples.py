"""Each example runs as its docstring says, and prints what it says."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from gevent import subprocess, threadpool

from tests.peer import closed_address
from tests.shell import Program, node

EXAMPLES = Path(__file__).parents[1] / "examples"
HERE = {"LIBPROCESS_IP": "127.0.0.1"}
MAX_LINES = 106
MAX_LINES_OF_WEB_APP = 160  # with its page


def example(name: str, *arguments: str, **options: int) -> Program:
    path = EXAMPLES / f"{name}.py"
    return Program(sys.executable, str(path), *arguments, env=HERE, **options)


def fetch(url: str) -> object:
    """Return the JSON at *url*; a thread reads it, so that greenlets go on."""
    pool = threadpool.ThreadPool(1)
    try:
        return pool.apply(lambda: json.loads(urlopen(url, timeout=10).read()))
    finally:
        pool.kill()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short_tells_how_to_run_it_and_is_tested(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    is_web_app = f"greenproc serve {path.stem}:app" in source and "import flask" in source
    tests = Path(__file__).with_stem("test_examples_web") if is_web_app else Path(__file__)

    assert source.count("\n") < (MAX_LINES_OF_WEB_APP if is_web_app else MAX_LINES)
    assert is_web_app or f"python examples/{path.name}" in source
    assert f"\ndef test_{path.stem}_" in tests.read_text(encoding="utf-8")


def test_hits_counts_visitors() -> None:
    with example("hits") as program:
        assert program.finish() == (0, "1\n2\n3\n", "")


def test_supervised_goes_on_after_failures() -> None:
    with example("supervised") as program:
        code, out, err = program.finish()

    page = (EXAMPLES.parent / "docs" / "howto" / "supervision.md").read_text(encoding="utf-8")
    assert (code, err) == (0, "")
    assert f"$ python examples/supervised.py\n{out}```" in page


def test_codelock_opens_and_locks() -> None:
    with example("codelock") as program:
        code, out, err = program.finish()

    page = (EXAMPLES.parent / "docs" / "howto" / "patterns.md").read_text(encoding="utf-8")
    assert (code, err) == (0, "")
    assert f"$ python examples/codelock.py\n{out}```" in page


def test_watched_tells_what_goes_wrong() -> None:
    with example("watched") as program:
        code, out, err = program.finish()

    docs = EXAMPLES.parent / "docs" / "howto"
    page = (docs / "watching_a_runtime.md").read_text(encoding="utf-8")
    assert (code, err) == (0, "")
    assert f"$ python examples/watched.py\n{out}```" in page


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("coming_from/*.py")), ids=lambda path: path.stem
)
def test_a_program_of_another_library_runs_and_is_on_the_page(path: Path) -> None:
    command = f"python examples/coming_from/{path.name}"
    with example(f"coming_from/{path.stem}") as program:
        code, out, err = program.finish()

    page = (EXAMPLES.parent / "docs" / "howto" / "coming_from.md").read_text(encoding="utf-8")
    assert (code, err) == (0, "")
    assert f"$ {command}\n{out}```" in page
    source = path.read_text(encoding="utf-8")
    assert f"    {command}\n" in source
    assert source.count("\n") < MAX_LINES


def test_auction_sells_and_drops_what_is_no_bid() -> None:
    with example("auction") as program:
        code, out, err = program.finish()

    page = (EXAMPLES.parent / "docs" / "howto" / "typed_messages.md").read_text(encoding="utf-8")
    assert (code, err) == (0, "")
    assert f"$ python examples/auction.py\n{out}```" in page


SPAN = re.compile(r"([0-9a-f]{32}) (\w+) ([0-9a-f]{16}) parent ([0-9a-f]{16}|none)")


def check_trace(*outputs: str) -> None:
    """Check that the spans in *outputs* are of one trace, each below the one that it belongs below."""
    spans = {match[2]: match for text in outputs for match in SPAN.finditer(text)}
    assert set(spans) == {"customer", "order", "pick"}
    assert len({match[1] for match in spans.values()}) == 1
    above = {name: match[4] for name, match in spans.items()}
    assert above == {"customer": "none", "order": spans["customer"][3], "pick": spans["order"][3]}


def test_traced_makes_one_trace_in_one_os_process() -> None:
    with example("traced") as program:
        code, out, err = program.finish()

    assert (code, err) == (0, "")
    assert "picked: a lamp\n" in out
    check_trace(out)


def test_traced_makes_one_trace_over_two_os_processes() -> None:
    with node("traced:Warehouse", cwd=EXAMPLES) as warehouse:
        address = warehouse.line(r"^warehouse@.*$")[0]
        for _ in range(2):  # a trace of its own each time
            with example("traced", address) as program:
                code, out, err = program.finish()
            picked = warehouse.line(SPAN.pattern)[0]

            assert (code, err) == (0, "")
            assert "pick" not in "".join(match[0] for match in SPAN.finditer(out))
            check_trace(out, picked)


def test_pingpong_plays_in_one_os_process() -> None:
    with example("pingpong") as program:
        code, out, err = program.finish()

    address = re.escape(out.split()[-1])
    lines = [rf"ball {count} is back from {address}\n" for count in range(1, 6)]
    assert re.fullmatch("".join(lines), out)
    assert address.startswith("pong@127")
    assert (code, err) == (0, "")


def test_pingpong_plays_in_two_os_processes() -> None:
    with node("pingpong:Pong", cwd=EXAMPLES) as pong:
        address = pong.line(r"^pong@.*$")[0]
        with example("pingpong", address) as program:
            code, out, err = program.finish()

    assert out.splitlines() == [f"ball {count} is back from {address}" for count in range(1, 6)]
    assert (code, err) == (0, "")


def test_pingpong_tells_that_the_partner_is_gone() -> None:
    with node("pingpong:Pong", cwd=EXAMPLES) as pong:
        address = pong.line(r"^pong@.*$")[0]
        with example("pingpong", address, "1000000000") as program:
            program.line("^ball 3 is back")
            pong.signal(signal.SIGINT)
            program.line(f"^{re.escape(address)} is gone$")

            assert program.finish().code == 0


def test_counter_counts_in_one_os_process() -> None:
    with example("counter") as program:
        result = program.finish()

    expected = "after a call: 1\nafter a message: 3\nafter a while: 13\n"
    assert result == (0, expected, "")


def test_counter_is_reached_by_http_as_a_node() -> None:
    with node("counter:Counter", cwd=EXAMPLES) as counter:
        address = counter.line(r"^counter@(.*)$")[1]

        assert fetch(f"http://{address}/counter/total") == {"total": 0}


def test_futures_gives_the_first_answer_and_tells_the_others_to_stop() -> None:
    with example("futures") as program:
        result = program.finish()

    expected = """\
first: answer of b
  (a may stop)
  (c may stop)
in time: no answer
digests: d679019b 47f5cf57
abandoned: the future was abandoned
"""
    assert result == (0, expected, "")


def test_talk_shows_everybody_what_is_said_and_who_comes_and_goes() -> None:
    with node("talk:Room", cwd=EXAMPLES) as room:
        address = room.line(r"^room@.*$")[0]
        with example("talk", address, "Ada", stdin=subprocess.PIPE) as ada:
            ada.line(r"^\* Ada is here$")
            with example("talk", address, "Bob", stdin=subprocess.PIPE) as bob:
                ada.line(r"^\* Bob is here$")
                bob.line(r"^\* Bob is here$")
                ada.write("Hello, Bob")
                bob.line("^Ada: Hello, Bob$")
                bob.write("Hello, Ada")
                ada.line("^Bob: Hello, Ada$")
                assert bob.finish().code == 0
            ada.line(r"^\* Bob has left$")
            log = fetch(f"http://{address.partition('@')[2]}/room/log")

    assert log == [
        "* Ada is here",
        "* Bob is here",
        "Ada: Hello, Bob",
        "Bob: Hello, Ada",
        "* Bob has left",
    ]


def test_private_lets_in_who_is_known_and_may() -> None:
    with example("private") as program:
        code, out, err = program.finish()

    assert out.splitlines() == [
        "nobody: 401 401 Unauthorized.",
        "guesser: 401 401 Unauthorized.",
        "guest: 200 guest sees 3",
        "guest: 403 403 Forbidden.",
        "owner: 200 ada leaves 2",
    ]
    assert (code, err) == (0, "")


# As where greenproc and pytest are installed, and nothing else.
NOTHING_ELSE = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": "greenproc.testing.plugin",
    "PYTEST_ADDOPTS": "-p no:cacheprovider",
}


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        (EXAMPLES.parent, ("examples/testing_actors.py",)),
        (EXAMPLES, ("-m", "pytest", "testing_actors.py")),
    ],
)
def test_testing_actors_passes_its_tests(folder: Path, command: tuple[str, ...]) -> None:
    with Program(sys.executable, *command, cwd=folder, env=NOTHING_ELSE) as program:
        code, out, err = program.finish()

    assert "3 passed" in out
    assert "warning" not in out
    assert (code, err) == (0, "")


def test_fetch_asks_for_all_at_the_same_time() -> None:
    with example("fetch") as program:
        code, out, err = program.finish()

    told = sorted(line.partition("/pages/")[2] for line in out.splitlines())
    assert told == [f"page?number={n}: 200, {16 * n} bytes" for n in (1, 2, 3)]
    assert (code, err) == (0, "")


def test_fetch_tells_what_went_wrong() -> None:
    with example("fetch", "http://127.0.0.1:1/", "nonsense") as program:
        code, out, err = program.finish()

    assert sorted(out.splitlines()) == [
        "http://127.0.0.1:1/: cannot connect to 127.0.0.1:1: [Errno 111] Connection refused",
        "nonsense: Missing scheme in url string: expected 'http://nonsense', got 'nonsense'",
    ]
    assert (code, err) == (0, "")


def test_files_go_up_and_down() -> None:
    with example("files") as program:
        result = program.finish()

    expected = """\
upload: 201
upload: expected a name of up to 100 letters and digits
news: large has 67108864 bytes
list: ['large']
download: 67108864
outside: 404
count: 1 2 3\x20
"""
    assert result == (0, expected, "")


def test_programs_runs_commands_and_kills_those_that_take_too_long() -> None:
    with example("programs") as program:
        result = program.finish()

    expected = (
        "echo hello: exit code 0, 'hello'\n"
        "echo oops; exit 3: exit code 3, 'oops'\n"
        "sleep 1000 & sleep 1000: took too long, and 3 programs were killed\n"
    )
    assert result == (0, expected, "")


WRONG = {
    "nothing": (("talk",), "required: room@ip:port, name"),
    "a room alone": (("talk", "room", "Ada"), "expected id@ip:port, got 'room'"),
    "an id alone": (("pingpong", "pong"), "expected id@ip:port, got 'pong'"),
    "no rounds": (("pingpong", "pong@127.0.0.1:9", "0"), "rounds to play, from 1, got '0'"),
}


@pytest.mark.parametrize(("given", "told"), WRONG.values(), ids=WRONG)
def test_an_example_with_wrong_arguments_tells_its_usage(
    given: tuple[str, ...], told: str
) -> None:
    with example(*given) as program:
        code, out, err = program.finish()

    assert (code, out) == (2, "")
    assert err.startswith("usage: ") and "Traceback" not in err
    assert told in err


@pytest.mark.parametrize("given", [("talk", "{}", "Ada"), ("pingpong", "{}")])
def test_an_example_tells_that_its_peer_is_not_there(given: tuple[str, ...]) -> None:
    gone = f"gone@{closed_address()}"
    with example(*(part.format(gone) for part in given), stdin=subprocess.PIPE) as program:
        code, out, err = program.finish()

    assert (code, err) == (0, "")
    assert out.startswith(gone) and out.count("\n") == 1


def test_an_example_tells_that_its_port_is_taken() -> None:
    with node("pingpong:Pong", cwd=EXAMPLES) as pong:
        port = pong.line(r"^pong@.*:(.*)$")[1]
        environ = {**HERE, "LIBPROCESS_PORT": port}
        with Program(sys.executable, str(EXAMPLES / "pingpong.py"), env=environ) as program:
            code, out, err = program.finish()

    assert (code, out) == (1, "")
    assert port in err and err.count("\n") == 1


def test_an_example_ends_at_ctrl_c_without_a_traceback() -> None:
    with node("pingpong:Pong", cwd=EXAMPLES) as pong:
        address = pong.line(r"^pong@.*$")[0]
        with example("pingpong", address, "1000000000") as program:
            program.line("^ball 3 is back")
            program.signal(signal.SIGINT)
            code, _, err = program.finish()

    assert (code, err) == (130, "")
