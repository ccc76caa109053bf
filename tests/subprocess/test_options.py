"""What can be set about a launch."""

from __future__ import annotations

import pytest

from greenproc.errors import InvalidArgument
from greenproc.subprocess import Options
from greenproc.subprocess.options import arguments_of, flag_text


def test_flags_follow_the_arguments_in_order() -> None:
    options = Options(flags={"b": 1, "a": "x y"})

    assert arguments_of(["program", "argument"], options) == [
        "program",
        "argument",
        "--b=1",
        "--a=x y",
    ]


def test_a_flag_without_a_value_is_left_out() -> None:
    assert arguments_of(["program"], Options(flags={"a": None, "b": False})) == [
        "program",
        "--b=false",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (0.5, "0.5"),
        ({"a": [1, "x"]}, '{"a": [1, "x"]}'),
    ],
)
def test_values_of_flags_are_written_as_libprocess_reads_them(value: object, text: str) -> None:
    assert flag_text("name", value) == text


def test_arguments_may_be_paths_and_bytes() -> None:
    assert arguments_of(["program", b"caf\xc3\xa9"], Options()) == ["program", "caf\u00e9"]


@pytest.mark.parametrize(
    "environment", [{"": "x"}, {"a=b": "x"}, {"a": None}, {1: "x"}, {"a": "x\0"}, {"a\0": "x"}]
)
def test_an_environment_that_no_program_can_have_is_refused(environment: object) -> None:
    with pytest.raises(InvalidArgument, match="expected"):
        Options(environment=environment)


@pytest.mark.parametrize("name", ["path", "cwd"])
def test_a_path_with_a_null_character_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="expected a path"):
        Options(**{name: "a\0b"})


def test_a_program_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="expected the name of a program"):
        arguments_of(["", "argument"], Options())


def test_a_flag_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="expected a value for the flag level"):
        arguments_of(["program"], Options(flags={"level": object()}))


def test_a_flag_with_a_null_character_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="null characters"):
        arguments_of(["program"], Options(flags={"a": "\0"}))


@pytest.mark.parametrize(
    "name",
    ["path", "cwd", "flags", "environment", "whitelist_fds", "parent_hooks", "child_hooks"],
)
def test_what_is_nothing_of_the_kind_is_refused_where_it_is_given(name: str) -> None:
    with pytest.raises(InvalidArgument, match="got 3"):
        Options(**{name: 3})


@pytest.mark.parametrize("files", ["12", ["x"], [True]])
def test_a_list_of_what_are_no_descriptors_is_refused(files: object) -> None:
    with pytest.raises(InvalidArgument, match="descriptor"):
        Options(whitelist_fds=files)
