"""Trace contexts and their headers, by the cases of the W3C's recommendation and of its test suite."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenproc.errors import InvalidArgument
from greenproc.tracing import (
    MAX_STATE_CHARACTERS,
    TRACE,
    InTrace,
    TraceContext,
    Tracing,
    current_trace,
    read_state,
    receive_trace,
    use_trace,
)
from tests.generated import inputs

pytestmark = pytest.mark.usefixtures("untraced")

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
CONTEXT = TraceContext(TRACE_ID, PARENT_ID, 1)
OTHER = TraceContext(
    "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 0, "congo=t61rcWkgMzE"
)

VALID = {
    "sampled": (f"00-{TRACE_ID}-{PARENT_ID}-01", 1),
    "not sampled": (f"00-{TRACE_ID}-{PARENT_ID}-00", 0),
    "reserved flags": (f"00-{TRACE_ID}-{PARENT_ID}-ff", 1),
    "reserved flags without the one that is known": (f"00-{TRACE_ID}-{PARENT_ID}-fe", 0),
    "a later version": (f"cc-{TRACE_ID}-{PARENT_ID}-01", 1),
    "a later version with more": (f"cc-{TRACE_ID}-{PARENT_ID}-01-what-the-future-will-be", 1),
    "a later version with an empty field more": (f"cc-{TRACE_ID}-{PARENT_ID}-01-", 1),
    "the last version": (f"fe-{TRACE_ID}-{PARENT_ID}-01", 1),
}

INVALID = {
    "nothing": "",
    "version 00 with more": f"00-{TRACE_ID}-{PARENT_ID}-01-",
    "version 00 with a field more": f"00-{TRACE_ID}-{PARENT_ID}-01-what-the-future-will-be",
    "version ff": f"ff-{TRACE_ID}-{PARENT_ID}-01",
    "version ff with more": f"ff-{TRACE_ID}-{PARENT_ID}-01-x",
    "a later version with another separator": f"cc-{TRACE_ID}-{PARENT_ID}-01.what-the-future",
    "a later version whose flags are longer": f"cc-{TRACE_ID}-{PARENT_ID}-011",
    "illegal character in the version": f".0-{TRACE_ID}-{PARENT_ID}-01",
    "illegal character at the end of the version": f"0.-{TRACE_ID}-{PARENT_ID}-01",
    "version too long": f"000-{TRACE_ID}-{PARENT_ID}-01",
    "version much too long": f"0000-{TRACE_ID}-{PARENT_ID}-01",
    "version too short": f"0-{TRACE_ID}-{PARENT_ID}-01",
    "version in upper case": f"CC-{TRACE_ID}-{PARENT_ID}-01",
    "no version": f"{TRACE_ID}-{PARENT_ID}-01",
    "all-zero trace id": f"00-{'0' * 32}-{PARENT_ID}-01",
    "illegal character in the trace id": f"00-.{TRACE_ID[1:]}-{PARENT_ID}-01",
    "illegal character at the end of the trace id": f"00-{TRACE_ID[:-1]}.-{PARENT_ID}-01",
    "trace id too long": f"00-{TRACE_ID}0-{PARENT_ID}-01",
    "trace id too short": f"00-{TRACE_ID[1:]}-{PARENT_ID}-01",
    "trace id in upper case": f"00-{TRACE_ID.upper()}-{PARENT_ID}-01",
    "all-zero parent id": f"00-{TRACE_ID}-{'0' * 16}-01",
    "illegal character in the parent id": f"00-{TRACE_ID}-.{PARENT_ID[1:]}-01",
    "illegal character at the end of the parent id": f"00-{TRACE_ID}-{PARENT_ID[:-1]}.-01",
    "parent id too long": f"00-{TRACE_ID}-{PARENT_ID}0-01",
    "parent id too short": f"00-{TRACE_ID}-{PARENT_ID[1:]}-01",
    "parent id in upper case": f"00-{TRACE_ID}-{PARENT_ID.upper()}-01",
    "illegal character in the flags": f"00-{TRACE_ID}-{PARENT_ID}-.0",
    "illegal character at the end of the flags": f"00-{TRACE_ID}-{PARENT_ID}-0.",
    "flags too long": f"00-{TRACE_ID}-{PARENT_ID}-001",
    "flags too short": f"00-{TRACE_ID}-{PARENT_ID}-1",
    "no flags": f"00-{TRACE_ID}-{PARENT_ID}",
    "flags in upper case": f"00-{TRACE_ID}-{PARENT_ID}-FF",
    "digits of another script": f"00-{TRACE_ID[:-1]}\N{ARABIC-INDIC DIGIT ONE}-{PARENT_ID}-01",
    "the end of a line": f"00-{TRACE_ID}-{PARENT_ID}-01\n",
    "blanks around it": f" 00-{TRACE_ID}-{PARENT_ID}-01 ",
    "two of them": f"00-{TRACE_ID}-{PARENT_ID}-01,00-{TRACE_ID}-{PARENT_ID}-01",
    "underscores": f"00_{TRACE_ID}_{PARENT_ID}_01",
}


@pytest.mark.parametrize("case", VALID)
def test_a_traceparent_is_parsed(case: str) -> None:
    text, flags = VALID[case]

    context = TraceContext.parse(text)

    assert context == TraceContext(TRACE_ID, PARENT_ID, flags)
    assert context.is_sampled == bool(flags)
    assert context.traceparent == f"00-{TRACE_ID}-{PARENT_ID}-0{flags}"


@pytest.mark.parametrize("case", INVALID)
def test_a_malformed_traceparent_is_none(case: str) -> None:
    assert TraceContext.parse(INVALID[case], "foo=1") is None


def member(size: int, number: int = 0) -> str:
    key = f"k{number}"
    return f"{key}={'v' * (size - len(key) - 1)}"


LONGEST_KEY = "z" * 256
LONGEST_TENANT = "t" * 241 + "@" + "v" * 14
ALLOWED = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")

STATES = {
    "one": ("foo=1", "foo=1"),
    "several": ("foo=1,bar=2", "foo=1,bar=2"),
    "blanks around commas": ("foo=1 \t , \t bar=2, \t baz=3 ", "foo=1,bar=2,baz=3"),
    "blanks around all": ("  foo=1\t", "foo=1"),
    "empty members": (",foo=1,, ,bar=2,", "foo=1,bar=2"),
    "a blank at the begin of a value": ("foo= 1", "foo= 1"),
    "a value with a comma's neighbours": ("foo=!+-<>~", "foo=!+-<>~"),
    "all that a value may have": (f"foo={ALLOWED.strip()}", f"foo={ALLOWED.strip()}"),
    "all that a key may have": ("a0_-*/=1", "a0_-*/=1"),
    "a tenant that begins with a digit": ("0tenant@vendor=1", "0tenant@vendor=1"),
    "as many as may be": (
        ",".join(f"k{number}=1" for number in range(32)),
        ",".join(f"k{number}=1" for number in range(32)),
    ),
    "the longest key": (f"{LONGEST_KEY}=1", f"{LONGEST_KEY}=1"),
    "the longest tenant and vendor": (f"{LONGEST_TENANT}=1", f"{LONGEST_TENANT}=1"),
    "the longest value": (f"foo={'v' * 256}", f"foo={'v' * 256}"),
    "one key twice": ("foo=1,bar=2,foo=3", "foo=1,bar=2"),
    "as long as may be": (
        f"{member(128)},{member(128, 1)},{member(254, 2)}",
        f"{member(128)},{member(128, 1)},{member(254, 2)}",
    ),
    "one character too long": (
        f"{member(128)},{member(128, 1)},{member(255, 2)}",
        f"{member(128)},{member(128, 1)}",
    ),
    # What is too long loses long members first, from the end, then the last ones.
    "long members": (
        f"{member(200)},short=1,{member(200, 1)},{member(120, 2)},end=1",
        f"{member(200)},short=1,{member(120, 2)},end=1",
    ),
    "many short members": (
        ",".join(member(100, number) for number in range(6)),
        ",".join(member(100, number) for number in range(5)),
    ),
    "nothing but a member that is too long": (f"{LONGEST_KEY}={'v' * 256}", ""),
    "nothing": ("", ""),
    "blanks": (" \t", ""),
    # Malformed: all of it is dropped.
    "no value": ("foo=,bar=2", ""),
    "no equals sign": ("foo,bar=2", ""),
    "two equals signs": ("foo=1=2", ""),
    "no key": ("=1", ""),
    "a blank in a key": ("foo =1", ""),
    "a blank in the middle of a key": ("fo o=1", ""),
    "a key in upper case": ("FOO=1", ""),
    "a key with a dot": ("foo.bar=1", ""),
    "a key that begins with a digit": ("0foo=1", ""),
    "a key without a vendor": ("foo@=1", ""),
    "a key without a tenant": ("@foo=1", ""),
    "a key with two vendors": ("foo@@bar=1", ""),
    "a key with vendors": ("foo@bar@baz=1", ""),
    "a vendor that begins with a digit": ("foo@0bar=1", ""),
    "a key that is too long": (f"{LONGEST_KEY}z=1", ""),
    "a tenant that is too long": (f"{'t' * 242}@v=1", ""),
    "a vendor that is too long": (f"t@{'v' * 15}=1", ""),
    "a value that is too long": (f"foo={'v' * 257}", ""),
    "a value with a control character": ("foo=\x07", ""),
    "a value with NUL": ("foo=a\0b", ""),
    "a value beyond ASCII": ("foo=\xe9", ""),
    "one member too many": (",".join(f"k{number}=1" for number in range(33)), ""),
    "10,000 members": (",".join(f"k{number}=1" for number in range(10_000)), ""),
    "10,000 members of one key": ("foo=1," * 10_000, ""),
    "10,000 commas": ("," * 10_000 + "foo=1", "foo=1"),
    "the end of a line": ("foo=1\n", ""),
}


@pytest.mark.parametrize("case", STATES)
def test_a_tracestate_is_read(case: str) -> None:
    text, expected = STATES[case]

    context = TraceContext.parse(CONTEXT.traceparent, text)

    assert context == TraceContext(TRACE_ID, PARENT_ID, 1, expected)
    assert context.headers == {
        "traceparent": CONTEXT.traceparent,
        **({"tracestate": expected} if expected else {}),
    }
    assert read_state(expected) == expected


KEYS = st.from_regex(r"[a-z][a-z0-9_\-*/]{0,20}(@[a-z][a-z0-9]{0,13})?", fullmatch=True)
VALUES = st.from_regex(
    r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,20}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", fullmatch=True
)
CONTEXTS = st.builds(
    TraceContext,
    st.integers(1, 2**128 - 1).map("{:032x}".format),
    st.integers(1, 2**64 - 1).map("{:016x}".format),
    st.sampled_from((0, 1)),
    st.dictionaries(KEYS, VALUES, max_size=8).map(
        lambda members: ",".join(f"{key}={value}" for key, value in members.items())
    ),
)


@given(CONTEXTS)
@inputs(1000)
def test_what_is_written_is_read_as_it_was(context: TraceContext) -> None:
    assert TraceContext.parse(context.traceparent, context.state) == context
    lines = dict(line.split(b": ", 1) for line in context.lines.split(b"\r\n")[:-1])
    states = [lines[b"tracestate"]] if context.state else []
    assert receive_trace([lines[b"traceparent"]], states) == context


@given(st.text(), st.text())
@inputs(1000)
def test_any_text_is_a_context_or_none(traceparent: str, tracestate: str) -> None:
    assert TraceContext.parse(traceparent, tracestate) is None
    context = TraceContext.parse(CONTEXT.traceparent, tracestate)
    assert context is not None
    assert len(context.state) <= MAX_STATE_CHARACTERS


@given(st.binary(max_size=80), st.lists(st.binary(max_size=80), max_size=3))
@inputs(1000)
def test_any_bytes_are_received(traceparent: bytes, states: list[bytes]) -> None:
    assert receive_trace([traceparent], states) is None
    assert receive_trace([CONTEXT.traceparent.encode()], states) is not None


def test_several_lines_of_a_tracestate_are_one() -> None:
    traceparent = CONTEXT.traceparent.encode()

    received = receive_trace([traceparent], [b"foo=1", b"", b"bar=2,baz=3"])

    assert received == TraceContext(TRACE_ID, PARENT_ID, 1, "foo=1,bar=2,baz=3")


def test_several_lines_of_a_traceparent_are_none() -> None:
    traceparent = CONTEXT.traceparent.encode()

    assert receive_trace([traceparent, traceparent], []) is None
    assert receive_trace([], [b"foo=1"]) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("0" * 32, PARENT_ID), "trace_id of 32 digits"),
        ((TRACE_ID.upper(), PARENT_ID), "trace_id of 32 digits"),
        ((b"4" * 32, PARENT_ID), "trace_id of 32 digits"),
        ((TRACE_ID, "0" * 16), "parent_id of 16 digits"),
        ((TRACE_ID, 7), "parent_id of 16 digits"),
        ((TRACE_ID, PARENT_ID, 2), "flags of 0 or 1, got 2"),
        ((TRACE_ID, PARENT_ID, True), "flags of 0 or 1, got True"),
        ((TRACE_ID, PARENT_ID, "01"), "flags of 0 or 1, got '01'"),
        ((TRACE_ID, PARENT_ID, 0, "foo"), "a state such as 'vendor=value,other=value'"),
        ((TRACE_ID, PARENT_ID, 0, "foo=1, bar=2"), "a state such as"),
        ((TRACE_ID, PARENT_ID, 0, None), "a state such as"),
        ((TRACE_ID, PARENT_ID, 0, f"{LONGEST_KEY}={'v' * 256}"), "at most 512 characters"),
    ],
)
def test_a_context_of_other_values_is_refused(values: tuple[object, ...], expected: str) -> None:
    with pytest.raises(InvalidArgument, match=expected):
        TraceContext(*values)  # type: ignore[arg-type]


def test_a_context_is_current_within_its_block() -> None:
    assert current_trace() is None
    with use_trace(CONTEXT):
        assert current_trace() is CONTEXT
        with use_trace(OTHER):
            assert current_trace() is OTHER
            with use_trace(None):
                assert current_trace() is None
        assert current_trace() is CONTEXT
        with pytest.raises(KeyError), use_trace(OTHER):
            raise KeyError
        assert current_trace() is CONTEXT
    assert current_trace() is None


@pytest.mark.parametrize("value", ["00", CONTEXT.traceparent, CONTEXT.headers, 1])
def test_what_is_no_context_does_not_become_current(value: object) -> None:
    block = use_trace(value)  # type: ignore[arg-type]

    with pytest.raises(InvalidArgument, match="expected a TraceContext or None"), block:
        pass
    assert current_trace() is None


def test_a_block_may_be_left_in_another_context() -> None:
    def traced() -> Iterator[None]:
        with use_trace(CONTEXT):
            yield

    generator = traced()
    gevent.spawn(next, generator).get()  # each greenlet has a context of its own

    assert next(generator, None) is None
    assert current_trace() is None


def test_a_function_keeps_the_context_that_it_was_made_in() -> None:
    with use_trace(CONTEXT):
        function = InTrace(lambda *args, **kwargs: (current_trace(), args, kwargs))
    outside = InTrace(current_trace)

    with use_trace(OTHER):
        assert function(1, two=2) == (CONTEXT, (1,), {"two": 2})
        assert outside() is None
        assert current_trace() is OTHER
        failing = InTrace(lambda: {}["missing"])
        with use_trace(None), pytest.raises(KeyError):
            failing()
        assert current_trace() is OTHER
    assert "test_a_function_keeps" in repr(function)


def test_watchers_are_called_once_and_not_after_they_were_forgotten() -> None:
    tracing = Tracing()
    called: list[str] = []

    def first() -> None:
        called.append(f"first, {tracing.is_active}")

    def second() -> None:
        called.append("second")

    def late() -> None:
        called.append("late")

    tracing.watch(first)
    tracing.watch(second)
    tracing.forget(second)
    tracing.forget(late)
    assert not tracing.is_active
    tracing.begin()
    tracing.watch(late)
    tracing.begin()

    assert called == ["first, True"]


def test_watchers_may_come_and_go_in_many_threads_at_once() -> None:
    tracing = Tracing()
    told: set[int] = set()
    looked: set[int] = set()

    def watch(number: int) -> None:
        def begun() -> None:
            told.add(number)

        if tracing.is_active:
            looked.add(number)
        while not tracing.is_active:
            tracing.watch(begun)
            tracing.forget(begun)
            tracing.watch(begun)
            if tracing.is_active:
                looked.add(number)

    threads = [threading.Thread(target=watch, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    tracing.begin()
    for thread in threads:
        thread.join()

    assert {thread for thread in range(4) if thread not in told | looked} == set()


def test_the_variable_itself_is_left_as_it_was() -> None:
    assert TRACE.get() is None
