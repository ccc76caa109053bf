"""Killing a program together with all that it has started."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from greenproc import io
from greenproc.errors import InvalidArgument
from greenproc.subprocess import PIPE, Options, Subprocess, kill_tree, launch, reap, tree
from tests.subprocess.support import LIMIT, waiter

REST = "</dev/null >/dev/null 2>&1"


def start(script: str, count: int, options: Options | None = None) -> tuple[Subprocess, list[int]]:
    """Start a shell that prints *count* pids and stays, and return it and the pids."""
    child = launch(f"{script}; read word", options or Options(), stdin=PIPE, stdout=PIPE)
    text = b""
    io.prepare_async(child.stdout)
    while text.count(b"\n") < count:
        text += io.read(child.stdout, 999).get(timeout=LIMIT)
    return child, list(map(int, text.split()))


def end(*pids: int) -> list[object]:
    """Wait for the end of processes."""
    futures = [reap(pid) for pid in pids]
    return [future.get(timeout=LIMIT) for future in futures]


def runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_descendants_of_every_degree_are_killed_and_nobody_else() -> None:
    family, pids = start(f"sh -c 'sleep 1000 {REST} & echo $!; echo $$; wait' & echo $!", 3)
    stranger, _ = start("echo $$", 1)

    hit = kill_tree(family.pid)

    assert hit[0] == family.pid
    assert set(hit) == {family.pid, *pids}
    assert family.status.get(timeout=LIMIT) == signal.SIGKILL
    end(*pids)
    assert runs(stranger.pid)
    stranger.close()
    stranger.status.get(timeout=LIMIT)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What was sent to whom, in order."""
    calls: list[tuple[int, int]] = []
    kill = os.kill

    def note(pid: int, number: int) -> None:
        calls.append((pid, number))
        kill(pid, number)

    monkeypatch.setattr(os, "kill", note)
    return calls


def test_the_tree_is_stopped_before_and_continued_after(sent: list[tuple[int, int]]) -> None:
    family, pids = start(f"sleep 1000 {REST} & echo $!", 1)
    tree_of_two = [family.pid, *pids]

    assert kill_tree(family.pid, signal.SIGURG) == tuple(tree_of_two)

    numbers = (signal.SIGSTOP, signal.SIGURG, signal.SIGCONT)
    assert sent == [(pid, number) for number in numbers for pid in tree_of_two]
    assert all(runs(pid) for pid in tree_of_two)
    kill_tree(family.pid)
    family.status.get(timeout=LIMIT)
    end(*pids)


def test_an_orphan_is_found_by_its_session_or_group_only() -> None:
    family, pids = start(
        f"sh -c 'sleep 1000 {REST} & echo $!'; echo 0", 2, Options(new_session=True)
    )
    pids.remove(0)  # it has told that the shell in between has ended

    assert kill_tree(family.pid, signal.SIGCONT) == (family.pid,)
    assert set(kill_tree(family.pid, signal.SIGCONT, groups=True)) == {family.pid, *pids}
    assert set(kill_tree(family.pid, sessions=True)) == {family.pid, *pids}

    family.status.get(timeout=LIMIT)
    end(*pids)


def test_when_the_root_is_gone_its_group_and_session_remain() -> None:
    family, pids = start(f"sleep 1000 {REST} & echo $!", 1, Options(new_session=True))
    family.close()
    family.status.get(timeout=LIMIT)

    assert kill_tree(family.pid) == ()
    assert kill_tree(family.pid, signal.SIGCONT, groups=True) == tuple(pids)
    assert kill_tree(family.pid, sessions=True) == tuple(pids)

    end(*pids)


def test_the_group_and_session_of_the_one_above_are_left_alone() -> None:
    family, pids = start(f"sleep 1000 {REST} & echo $!", 1)
    assert os.getpgid(family.pid) == os.getpgid(0)

    hit = kill_tree(family.pid, groups=True, sessions=True)

    assert set(hit) == {family.pid, *pids}
    family.status.get(timeout=LIMIT)
    end(*pids)


def test_who_is_made_while_the_tree_is_searched_is_killed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family, late = waiter(), waiter()
    tables = 0

    def read_and_change() -> dict[int, tree.Entry]:
        nonlocal tables
        tables += 1
        table = read_table()
        if tables > 1:
            # As if the one had made the other just before it was stopped.
            table[late.pid] = replace(table[late.pid], parent=family.pid)
        return table

    read_table = tree.read_table
    monkeypatch.setattr(tree, "read_table", read_and_change)

    assert kill_tree(family.pid) == (family.pid, late.pid)

    for child in (family, late):
        assert child.status.get(timeout=LIMIT) == signal.SIGKILL


def test_nobody_kills_the_tree_that_he_is_in(sent: list[tuple[int, int]]) -> None:
    with pytest.raises(InvalidArgument, match="a tree without this process"):
        kill_tree(os.getpid())

    assert sent == []


def test_whoever_finds_himself_late_lets_the_others_go_on(
    sent: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    child = waiter()
    read_table = tree.read_table

    def read_and_change() -> dict[int, tree.Entry]:
        table = read_table()
        if sent:
            table[os.getpid()] = replace(table[os.getpid()], parent=child.pid)
        return table

    monkeypatch.setattr(tree, "read_table", read_and_change)

    with pytest.raises(InvalidArgument, match="a tree without this process"):
        kill_tree(child.pid)

    assert sent == [(child.pid, signal.SIGSTOP), (child.pid, signal.SIGCONT)]
    child.kill()
    child.status.get(timeout=LIMIT)


def test_a_process_that_is_not_there_is_no_tree() -> None:
    family, _ = start("echo $$", 1)
    family.close()
    family.status.get(timeout=LIMIT)

    assert kill_tree(family.pid) == ()


@pytest.mark.parametrize("pid", [0, -1, True, None, "1"])
def test_what_is_no_pid_is_refused(pid: object) -> None:
    with pytest.raises(InvalidArgument, match="expected the pid"):
        kill_tree(pid)


def test_the_name_of_a_program_may_hold_anything(tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 (b"
    program.symlink_to("/bin/sleep")
    child = launch([str(program), "1000"])

    entry = tree.read_table()[child.pid]

    assert (entry.parent, entry.group) == (os.getpid(), os.getpgid(0))
    child.kill()
    child.status.get(timeout=LIMIT)
