"""The code keeps its floors, and each rule that says so catches who breaks it."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from tests import architecture
from tests.architecture import RULES, Code, read_modules

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def code() -> Code:
    return Code.load(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_code_obeys(rule, code: Code) -> None:
    assert rule(code) == []


def test_no_module_is_small_with_one_importer_but_the_listed_ones(code: Code) -> None:
    assert architecture.new_small_modules(code, architecture.SMALL_MODULES) == []


def test_no_part_tells_more_of_persons_than_it_did(code: Code) -> None:
    assert architecture.personal_prose(code, architecture.PERSONS_IN_PROSE) == []


def test_no_test_sleeps() -> None:
    assert architecture.sleeping_tests(read_modules(ROOT, "tests", word="sleep")) == []


def test_module_level_functions_have_the_signatures_of_the_runtime() -> None:
    if importlib.util.find_spec("greenproc.default") is not None:
        facade = importlib.import_module("greenproc.default")
        runtime_class = importlib.import_module("greenproc.runtime").Runtime
        assert architecture.unequal_signatures(facade, runtime_class) == []


class FakeTree:
    """A small package on four floors that obeys every rule until something is written to it."""

    CONFIG = """
[greenproc:floors]
floors =
    values:   errors address
    actors:   process
    services: transport | metrics
    facade:   __init__
[greenproc:libraries]
gevent = process transport
blinker = transport
"""
    FILES: ClassVar[dict[str, str]] = {
        "__init__.py": '"""Names."""\nfrom greenproc.errors import Oops\n__all__ = ["Oops"]\n',
        "errors.py": '"""Errors."""\nclass Oops(Exception):\n    """It broke."""\n',
        "address.py": '"""Addresses."""\nimport socket\nfrom greenproc.errors import Oops\n',
        "process/__init__.py": '"""Processes."""\nfrom greenproc.process.base import Process\n',
        "process/base.py": (
            '"""Base."""\nimport gevent\nclass Process:\n    """Acts."""\n    __slots__ = ("state",)\n'
        ),
        "process/manager.py": '"""Manager."""\nfrom greenproc.process.base import Process\n',
        "transport.py": '"""Sockets."""\nfrom greenproc.process import Process\n',
        "metrics.py": '"""Counters."""\nimport greenproc.process.base\n',
    }

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "setup.cfg").write_text(self.CONFIG)
        for name, text in self.FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.root / "greenproc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def add(self, name: str, text: str) -> None:
        self.write(name, (self.root / "greenproc" / name).read_text() + text)

    def complaints(self) -> dict[str, list[str]]:
        code = Code.load(self.root)
        return {rule.__name__: found for rule in RULES if (found := rule(code))}


@pytest.fixture
def tree(tmp_path: Path) -> FakeTree:
    return FakeTree(tmp_path)


def test_an_obedient_tree_gives_no_complaint(tree: FakeTree) -> None:
    assert tree.complaints() == {}


LONG_FUNCTION = "def long():\n    '''Is long.\n\n    Very.\n    '''\n" + "    print()\n" * 39

SABOTAGES = {
    "an upward import": ("errors.py", "import greenproc.process.base\n", "upward_imports"),
    "an upward import inside a function": (
        "errors.py",
        "def _late():\n    from greenproc.process.base import Process\n",
        "upward_imports",
    ),
    "an upward import in the else of a type check": (
        "errors.py",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import greenproc.metrics\n",
        "upward_imports",
    ),
    "a part taken from the facade": (
        "transport.py",
        "from greenproc import process\n",
        "upward_imports",
    ),
    "a name taken from the facade": (
        "metrics.py",
        "from greenproc import Oops\n",
        "upward_imports",
    ),
    "an import between independent siblings": (
        "transport.py",
        "from greenproc.metrics import x\n",
        "upward_imports",
    ),
    "a circle inside a part": (
        "process/base.py",
        "def _late():\n    import greenproc.process.manager\n",
        "cycles",
    ),
    "a circle between siblings": ("errors.py", "import greenproc.address\n", "cycles"),
    "a global statement": (
        "errors.py",
        "def _f():\n    global x\n    x = 1\n",
        "global_statements",
    ),
    "a long file": ("errors.py", "# line\n" * 600, "oversized"),
    "a long function": ("errors.py", LONG_FUNCTION, "oversized"),
    "a long method": (
        "errors.py",
        "class _C:\n" + "".join(f"    {line}\n" for line in LONG_FUNCTION.splitlines()),
        "oversized",
    ),
    "gevent on the floor of values": ("errors.py", "import gevent.event\n", "foreign_libraries"),
    "blinker among the actors": (
        "process/base.py",
        "from blinker import x\n",
        "foreign_libraries",
    ),
    "a library that nobody may use": ("transport.py", "import requests\n", "foreign_libraries"),
    "a library for types only": (
        "errors.py",
        "if TYPE_CHECKING:\n    import gevent\n",
        "foreign_libraries",
    ),
    "a relative import": ("process/manager.py", "from .base import Process\n", "indirect_imports"),
    "a relative import of a module": (
        "process/manager.py",
        "from . import base\n",
        "indirect_imports",
    ),
    "an import through the own package": (
        "process/manager.py",
        "from greenproc.process import Process\n",
        "indirect_imports",
    ),
    "a module and a name taken from the own package": (
        "process/manager.py",
        "from greenproc.process import base, Process\n",
        "indirect_imports",
    ),
    "a circle of modules taken from the own package": (
        "process/base.py",
        "from greenproc.process import manager\n",
        "cycles",
    ),
    "logic in a package": ("process/__init__.py", "x = 1\n", "busy_packages"),
    "a function in a package": (
        "process/__init__.py",
        "def f():\n    '''Do.'''\n",
        "busy_packages",
    ),
    "a class without a docstring": ("errors.py", "class Bare:\n    pass\n", "undocumented"),
    "a function without a docstring": ("errors.py", "def bare():\n    pass\n", "undocumented"),
    "a write into another part": (
        "transport.py",
        "def _f(process):\n    process.state += 1\n",
        "foreign_writes",
    ),
    "a write behind an attribute": (
        "transport.py",
        "class _C:\n    def f(self):\n        self._process.state, x = 1, 2\n",
        "foreign_writes",
    ),
    "a method without a docstring": (
        "errors.py",
        "class Told:\n    '''Told.'''\n    def bare(self):\n        pass\n",
        "undocumented",
    ),
}


@pytest.mark.parametrize(("file", "text", "rule"), SABOTAGES.values(), ids=SABOTAGES.keys())
def test_a_rule_catches(tree: FakeTree, file: str, text: str, rule: str) -> None:
    tree.add(file, text)

    assert rule in tree.complaints()


def test_a_part_that_is_on_no_floor_is_caught(tree: FakeTree) -> None:
    tree.write("extra/__init__.py", '"""Extra."""\n')

    assert tree.complaints() == {"unlisted_parts": ["extra is on no floor of setup.cfg"]}


def test_a_module_without_a_docstring_is_caught(tree: FakeTree) -> None:
    tree.write("errors.py", "Oops = Exception\n")

    assert tree.complaints() == {"undocumented": ["greenproc.errors has no docstring"]}


ALLOWED = {
    "a hint for types that points up": (
        "errors.py",
        "if TYPE_CHECKING:\n    from greenproc.process.base import Process\n",
    ),
    "an import of a lower floor inside a function": (
        "process/base.py",
        "def _late():\n    import greenproc.errors\n",
    ),
    "a function of 39 lines and a docstring": (
        "errors.py",
        LONG_FUNCTION[: -len("    print()\n")],
    ),
    "a module taken from the own package": (
        "process/manager.py",
        "from greenproc.process import base\n",
    ),
    "an override of a documented method": (
        "errors.py",
        (
            "class Base:\n    '''Base.'''\n    def act(self):\n        '''Act.'''\n"
            "class Leaf(Base):\n    '''Leaf.'''\n    def act(self):\n        pass\n"
        ),
    ),
}


@pytest.mark.parametrize(("file", "text"), ALLOWED.values(), ids=ALLOWED.keys())
def test_no_rule_minds(tree: FakeTree, file: str, text: str) -> None:
    tree.add(file, text)

    assert tree.complaints() == {}


@pytest.mark.parametrize(
    ("text", "sleeps"),
    [
        ("import time\ntime.sleep(1)\n", True),
        ("import time\ntime.sleep(0)\n", True),
        ("import gevent\ngevent.sleep(0.01)\n", True),
        ("from gevent import sleep as nap\ndef f():\n    nap(1)\n", True),
        ("import gevent\ngevent.sleep(seconds=1)\n", True),
        ("import gevent\ngevent.sleep(0)\n", False),
        ("clock.sleep(5)\n", False),
    ],
)
def test_a_sleeping_test_is_caught(tree: FakeTree, text: str, *, sleeps: bool) -> None:
    tree.write("test_it.py", text)

    assert bool(architecture.sleeping_tests(read_modules(tree.root, "greenproc"))) is sleeps


def test_a_facade_that_differs_from_the_runtime_is_caught() -> None:
    class Runtime:
        def same(self, pid: int, *, inject: bool = True) -> bool: ...
        def differs(self, pid: int) -> bool: ...

    def same(pid: int, *, inject: bool = True) -> bool: ...
    def differs(pid: int, timeout: float) -> bool: ...
    def initialize() -> bool: ...

    facade = SimpleNamespace(same=same, differs=differs, initialize=initialize)

    assert [
        text.partition("(")[0] for text in architecture.unequal_signatures(facade, Runtime)
    ] == ["differs"]


def test_a_small_module_with_one_importer_is_caught(tree: FakeTree) -> None:
    tree.write("address.py", '"""Addresses."""\n')

    assert architecture.new_small_modules(Code.load(tree.root), ["greenproc.address"]) == [
        "greenproc.errors has under 60 lines and one importer: it belongs there",
        "greenproc.address is no small module any more: take it off the list",
    ]


def test_the_listed_small_modules_are_allowed(tree: FakeTree) -> None:
    tree.add("metrics.py", "import greenproc.address\n")
    code = Code.load(tree.root)

    assert architecture.new_small_modules(code, architecture.small_modules(code)) == []
    assert "greenproc.address" in architecture.small_modules(code)


def test_a_part_that_makes_persons_its_subjects_is_caught(tree: FakeTree) -> None:
    tree.add("errors.py", "# Whoever reads " + "this " * 96 + "is told.\n")
    tree.add("address.py", "# Nobody is told.\n")
    code = Code.load(tree.root)

    complaints = architecture.personal_prose(code, {"address": 250.0, "errors": 9.0})

    assert [text.partition(" of who")[0] for text in complaints] == ["errors has 9.71"]


def test_a_part_without_a_limit_keeps_to_the_goal(tree: FakeTree) -> None:
    tree.add("process/base.py", "# Nobody is told.\n")

    complaints = architecture.personal_prose(Code.load(tree.root), {})

    assert [text.partition(" ")[0] for text in complaints] == ["process"]
