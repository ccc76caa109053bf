"""The figures on how the code is built are those of the sources."""

from __future__ import annotations

import sys
from pathlib import Path

import gevent
import pytest

from tests.architecture import Code
from tests.prose import WordCount
from tools import measure_style
from tools.measure_style import Spread, Trace

CONFIG = """
[greenproc:floors]
floors =
    values: errors address big
[greenproc:libraries]
"""
FILES = {
    "errors.py": '"""Errors, for whoever reads."""\n\n# Two lines\n# of words.\nclass Oops(Exception):\n    """It broke."""\n',
    "address.py": (
        '"""Addresses."""\n\nfrom greenproc.errors import Oops  # noqa: F401\n\n\n'
        "def parse():\n    '''Parse.\n\n    Slowly.\n    '''\n    x = 1\n\n    return x  # seldom\n\n\n"
        "def bare():\n    pass\n"
    ),
    "big.py": '"""Big."""\n' + "x = 1\n" * 60,
}


@pytest.fixture
def small(tmp_path: Path) -> Code:
    (tmp_path / "setup.cfg").write_text(CONFIG)
    (tmp_path / "greenproc").mkdir()
    for name, text in FILES.items():
        (tmp_path / "greenproc" / name).write_text(text)
    return Code.load(tmp_path)


def test_the_figures_of_small_sources(small: Code) -> None:
    figures = measure_style.measure(small)

    assert figures.files == 3
    assert figures.code_lines == 1 + (1 + 3 + 2) + 60
    assert figures.comment_lines == 3
    assert figures.file_lengths == Spread(17, 61, 61)
    assert figures.function_lengths == Spread(2, 3, 3)
    assert figures.small_modules == ["greenproc.errors"]
    assert (figures.public_names, figures.documented_names) == (3, 2)
    assert figures.words["errors"] == WordCount(1, 10)
    assert figures.all_words == WordCount(1, 15)


def test_the_figures_are_lines_of_text(small: Code) -> None:
    text = list(measure_style.lines(measure_style.measure(small)))

    assert "files                            3" in text
    assert "comments in 100 lines of code    4.5" in text
    assert "documented public names          66.7 %" in text
    assert "persons in 1,000 words           66.7 (goal 0.6)" in text
    assert "    errors                       100.0 (1 of 10)" in text


def test_sources_without_words_and_functions_are_measured(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text(CONFIG)
    (tmp_path / "greenproc").mkdir()
    (tmp_path / "greenproc" / "errors.py").write_text("")

    text = list(measure_style.lines(measure_style.measure(Code.load(tmp_path))))

    assert "lines of a function              median 0, p95 0, longest 0" in text
    assert "persons in 1,000 words           0.0 (goal 0.6)" in text


@pytest.mark.parametrize(
    ("lengths", "spread"),
    [
        ([], Spread(0, 0, 0)),
        ([7], Spread(7, 7, 7)),
        (list(range(1, 101)), Spread(50, 96, 100)),
    ],
)
def test_the_spread_of_lengths(lengths: list[int], spread: Spread) -> None:
    assert Spread.of(lengths) == spread


def test_a_trace_has_the_files_that_calls_enter_while_it_is_open() -> None:
    trace = Trace(Path(__file__).parent)

    with trace.installed():
        Spread.of([1])
        greenlet = gevent.spawn(trace.start)
        greenlet.join()
        gevent.spawn(_entered).join()
        trace.stop()
    after = sys.getprofile()

    assert trace.files == {"test_measure_style.py"}
    assert after is None


def test_a_closed_trace_notes_nothing() -> None:
    trace = Trace(Path(__file__).parent)

    with trace.installed():
        trace.start()
        trace.stop()
        _entered()

    assert trace.files == set()


def _entered() -> None:
    pass


def test_the_path_of_a_message_is_that_between_two_handlers() -> None:
    files = measure_style.files_of_a_message()

    assert {"process/base.py", "process/scheduler.py"} <= files
    assert not any(file.startswith(("transport/", "http/", "cli/")) for file in files)


def test_the_path_of_a_request_goes_through_the_transport() -> None:
    files = measure_style.files_of_a_request()

    assert {"http/parser.py", "process/base.py", "process/scheduler.py"} <= files
    assert not any(file.startswith(("cli/", "testing/")) for file in files)


def test_all_figures_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    measure_style.main()

    printed = capsys.readouterr().out
    assert "files on the path of a message" in printed
    assert "files on the path of a request" in printed
