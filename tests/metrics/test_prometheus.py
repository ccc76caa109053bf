"""The text form for Prometheus; the expected lines follow its documentation of version 0.0.4."""

from __future__ import annotations

from math import inf, nan

import pytest

from greenproc.metrics import (
    Counter,
    Metric,
    PulledFamily,
    PullGauge,
    PushGauge,
    Registry,
    Timer,
    write_metrics,
)
from tests.future.support import manual_time


def written(*metrics: Metric) -> str:
    registry = Registry()
    for metric in metrics:
        registry.add(metric).get()
    return write_metrics(registry.collect().get())


def test_a_counter() -> None:
    counter = Counter("master/messages_in", help="Messages that came.")
    counter.increment(42)

    assert written(counter) == (
        "# HELP master_messages_in Messages that came.\n"
        "# TYPE master_messages_in counter\n"
        "master_messages_in 42\n"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.5, "1.5"), (-3.0, "-3"), (inf, "+Inf"), (-inf, "-Inf"), (nan, "NaN"), (1e300, "1e+300")],
)
def test_a_number(value: float, text: str) -> None:
    gauge = PushGauge("gauge")
    gauge.set(value)

    assert written(gauge) == f"# TYPE gauge gauge\ngauge {text}\n"


def test_a_name_of_odd_characters() -> None:
    assert written(PushGauge("1st/ü-x:y")) == "# TYPE _1st___x:y gauge\n_1st___x:y 0\n"


def test_label_values_and_help_are_escaped() -> None:
    family = PulledFamily("depth", "process", lambda: {'a"b\\c\nd': 1}, help="one\ntwo\\three")

    assert written(family) == (
        '# HELP depth one\\ntwo\\\\three\n# TYPE depth gauge\ndepth{process="a\\"b\\\\c\\nd"} 1\n'
    )


def test_what_utf8_cannot_say_does_not_spoil_the_rest() -> None:
    family = PulledFamily("depth", "process", lambda: {"\udc80": 1}, help="\ud800")

    text = written(family)

    assert text == '# HELP depth ?\n# TYPE depth gauge\ndepth{process="?"} 1\n'
    assert text.encode()


def test_names_that_become_the_same_are_told_apart_under_one_head() -> None:
    assert written(PushGauge("a/b"), PushGauge("a_b")) == (
        '# TYPE a_b gauge\na_b{metric="a/b"} 0\na_b{metric="a_b"} 0\n'
    )


def test_what_has_no_value_is_left_out() -> None:
    assert written(PullGauge("failed", lambda: "no number"), Timer("never")) == ""


def test_the_values_of_a_window_are_told_by_quantile() -> None:
    with manual_time() as time:
        time.clock.pause()
        timer = Timer("answer", "secs", window=3600.0)
        for seconds in (1.0, 3.0):
            with timer.time():
                time.clock.advance(seconds)

        lines = written(timer).splitlines()

    assert lines[:5] == [
        "# TYPE answer_secs gauge",
        "answer_secs 3",
        "# TYPE answer_secs_window gauge",
        'answer_secs_window{quantile="0"} 1',
        'answer_secs_window{quantile="0.25"} 1.5',
    ]
    assert lines[-3:] == [
        'answer_secs_window{quantile="1"} 3',
        "# TYPE answer_secs_window_count gauge",
        "answer_secs_window_count 2",
    ]
