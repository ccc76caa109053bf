"""The rules that keep the code in floors, as functions from a source tree to complaints.

The floors and the allowed libraries stand in setup.cfg, so that the rule and its check have one
source; see docs/concepts/floors.md.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from configparser import ConfigParser
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.prose import GOAL, WordCount, code_lines, count_words, prose

PACKAGE = "greenproc"
MAX_FILE_LINES = 600
MIN_FILE_LINES = 60

# How many of 1,000 words of comments and docstrings may be who, whoever, somebody, nobody or
# others as a subject. Each figure is what a part has, and is lowered when its prose is rewritten;
# the goal, which a part that is not listed keeps to, is tests.prose.GOAL.
PERSONS_IN_PROSE = {}

# Short modules with one importer that stand alone; the list only gets shorter.
SMALL_MODULES = {
    "greenproc.metrics.counter",
    "greenproc.process.filter",
    "greenproc.process.names",
    "greenproc.process.taking",
    "greenproc.runtime.builtins",
    "greenproc.testing.feeds",
    "greenproc.wsgi.error_log",
}
MAX_FUNCTION_LINES = 39

# Attributes that a module writes though another part declares them: values that are made to be
# changed (requests, responses, heads), and switches of the default runtime and of failure logs.
FOREIGN_WRITES = {
    "greenproc.default": {"refusal", "runtime", "starting"},
    "greenproc.hub.fork": {"switch"},  # of greenlets, not of the class here that has it, too
    "greenproc.logs": {"trace_id"},  # of log records, not of the class here that has it, too
    "greenproc.process.choice": {"response_lines"},
    "greenproc.process.results": {"reader"},
    "greenproc.testing.errors": {"is_limited"},
    "greenproc.testing.plugin": {"implicit_start"},
    "greenproc.web.router": {"url"},
    "greenproc.wire.framing": {"memo"},
    "greenproc.wsgi.from_environ": {
        "expects_continue",
        "is_gzip",
        "keep_alive",
        "memo",
        "method",
        "origin",
        "parts",
        "target",
        "untraced",
        "trace",
        "upgrades",
        "version",
    },
    "greenproc.wsgi.middleware": {"reader"},
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    """One name of one import statement: the module that it runs."""

    module: str
    line: int
    type_only: bool
    relative: bool = False


@dataclass(frozen=True)
class Module:
    """A source file and what it imports."""

    name: str
    path: Path
    source: str
    tree: ast.Module
    imports: list[Import] = field(default_factory=list)

    @property
    def part(self) -> str:
        """The name of the floors' list that this module belongs to."""
        names = self.name.split(".")
        return names[1] if len(names) > 1 else "__init__"

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    def at(self, line: int) -> str:
        return f"{self.name}:{line}"


@dataclass(frozen=True)
class Floor:
    """Parts of one height; independent ones do not import each other."""

    height: int
    parts: list[str]
    independent: bool


@dataclass(frozen=True)
class Code:
    """A package with the rules that hold for it."""

    modules: dict[str, Module]
    floors: dict[str, Floor]
    libraries: dict[str, set[str]]

    @classmethod
    def load(cls, root: Path) -> Code:
        """Read the package below *root* and the rules in its setup.cfg."""
        config = ConfigParser()
        config.read(root / "setup.cfg", encoding="utf-8")
        floors: dict[str, Floor] = {}
        lines = config["greenproc:floors"]["floors"].strip().splitlines()
        for height, line in enumerate(lines):
            words = line.partition(":")[2]
            parts = words.replace("|", " ").split()
            floor = Floor(height, parts, "|" in words)
            floors.update(dict.fromkeys(parts, floor))
        libraries = {
            library: set(parts.split()) for library, parts in config["greenproc:libraries"].items()
        }
        return cls(read_modules(root, PACKAGE), floors, libraries)


def read_modules(root: Path, package: str, *, word: str = "") -> dict[str, Module]:
    """Return the modules below *root*/*package* by their dotted names.

    Args:
        word: only those that have it in their source; parsing all takes long.
    """
    modules = {}
    for path in sorted((root / package).rglob("*.py")):
        names = list(path.relative_to(root).with_suffix("").parts)
        if names[-1] == "__init__":
            names.pop()
        source = path.read_text(encoding="utf-8")
        if word not in source:
            continue
        modules[".".join(names)] = Module(".".join(names), path, source, ast.parse(source))
    for module in modules.values():
        module.imports.extend(_imports(module.tree, modules, type_only=False))
    return modules


def _imports(node: ast.AST, modules: Mapping[str, Module], *, type_only: bool) -> Iterator[Import]:
    """Find the imports below *node*, those inside functions included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, type_only)
        elif isinstance(child, ast.ImportFrom):
            yield from _from_import(child, modules, type_only=type_only)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _imports(ast.Module(child.body, []), modules, type_only=True)
            yield from _imports(ast.Module(child.orelse, []), modules, type_only=type_only)
        else:
            yield from _imports(child, modules, type_only=type_only)


def _from_import(
    node: ast.ImportFrom, modules: Mapping[str, Module], *, type_only: bool
) -> Iterator[Import]:
    """Find what one import statement with names runs.

    Names of modules are taken from the folder, not from what its __init__ gathers. The package
    itself is the exception: whoever names it asks for the facade.
    """
    base = node.module or ""
    names = [f"{base}.{alias.name}" for alias in node.names]
    if base == PACKAGE or node.level > 0 or not all(name in modules for name in names):
        yield Import(base, node.lineno, type_only, relative=node.level > 0)
    for name in names:
        if name in modules:
            yield Import(name, node.lineno, type_only)


def _own_imports(code: Code, module: Module) -> Iterator[tuple[Import, Module]]:
    """Return what *module* runs of the package itself; hints for types run nothing."""
    for found in module.imports:
        if found.module in code.modules and not found.type_only:
            yield found, code.modules[found.module]


def unlisted_parts(code: Code) -> list[str]:
    """Each part stands on a floor."""
    parts = {module.part for module in code.modules.values()}
    return [f"{part} is on no floor of setup.cfg" for part in sorted(parts - set(code.floors))]


def upward_imports(code: Code) -> list[str]:
    """A module imports its own part, lower floors, and siblings that are not independent."""
    complaints = []
    for module in code.modules.values():
        for found, target in _own_imports(code, module):
            here, there = code.floors.get(module.part), code.floors.get(target.part)
            if here is None or there is None or module.part == target.part:
                continue
            if there.height > here.height:
                complaints.append(
                    f"{module.at(found.line)} imports {target.name} of a floor above"
                )
            elif there is here and here.independent:
                complaints.append(f"{module.at(found.line)} imports independent {target.name}")
    return complaints


def cycles(code: Code) -> list[str]:
    """Neither modules nor parts import each other in a circle."""
    by_module: dict[str, set[str]] = {}
    by_part: dict[str, set[str]] = {}
    for module in code.modules.values():
        for _, target in _own_imports(code, module):
            by_module.setdefault(module.name, set()).add(target.name)
            if module.part != target.part:
                by_part.setdefault(module.part, set()).add(target.part)
    complaints = []
    for graph in (by_module, by_part):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            complaints.append(" <- ".join(error.args[1]) + " is a circle")
    return complaints


def indirect_imports(code: Code) -> list[str]:
    """Imports are written in full, and none goes through the package's own __init__."""
    complaints = []
    for module in code.modules.values():
        for found in module.imports:
            if found.relative:
                complaints.append(f"{module.at(found.line)} imports with dots")
            elif module.name.startswith(f"{found.module}.") and found.module in code.modules:
                complaints.append(f"{module.at(found.line)} imports through {found.module}")
    return complaints


def foreign_libraries(code: Code) -> list[str]:
    """Of third parties, a part imports only what it is listed for."""
    complaints = []
    for module in code.modules.values():
        for found in module.imports:
            library = found.module.partition(".")[0]
            known = library in sys.stdlib_module_names or library in ("", PACKAGE)
            if not known and module.part not in code.libraries.get(library, ()):
                complaints.append(f"{module.at(found.line)} may not import {library}")
    return complaints


def global_statements(code: Code) -> list[str]:
    """State belongs to a runtime, so no function rebinds a module's variable."""
    return [
        f"{module.at(node.lineno)} has a global statement"
        for module in code.modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Global)
    ]


def oversized(code: Code) -> list[str]:
    """Files and functions stay short enough to be read at once."""
    complaints = []
    for module in code.modules.values():
        lines = module.source.count("\n")
        if lines > MAX_FILE_LINES:
            complaints.append(f"{module.name} has {lines} lines")
        for node, length in function_lengths(module):
            if length > MAX_FUNCTION_LINES:
                complaints.append(f"{module.at(node.lineno)} {node.name} has {length} lines")
    return complaints


def function_lengths(module: Module) -> Iterator[tuple[Function, int]]:
    """Return each function of *module* with its lines of code."""
    lines = code_lines(module.source)
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            extent = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            yield node, len(lines.intersection(extent))


def busy_packages(code: Code) -> list[str]:
    """The __init__ of a package gathers names and does nothing else.

    One that needs a library that is not installed everywhere may come from its ``__getattr__``.
    """
    complaints = []
    for module in code.modules.values():
        if not module.is_package:
            continue
        for position, node in enumerate(module.tree.body):
            is_text = position == 0 and ast.get_docstring(module.tree) is not None
            is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets) == "__all__"
            is_late = isinstance(node, ast.FunctionDef) and node.name == "__getattr__"
            is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            gathers = isinstance(node, ast.Import | ast.ImportFrom) or is_late or is_typing
            if not (is_text or is_all or gathers):
                complaints.append(f"{module.at(node.lineno)} does more than gather names")
    return complaints


def undocumented(code: Code) -> list[str]:
    """Each module, public class, function and method says what it is."""
    classes = {
        node.name: node
        for module in code.modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    }
    complaints = []
    for module in code.modules.values():
        if ast.get_docstring(module.tree) is None:
            complaints.append(f"{module.name} has no docstring")
        for owner, node in public_members(module.tree):
            if not _is_documented(node, owner, classes):
                complaints.append(f"{module.at(node.lineno)} {node.name} has no docstring")
    return complaints


def public_members(
    owner: ast.Module | ast.ClassDef,
) -> Iterator[tuple[ast.Module | ast.ClassDef, Function | ast.ClassDef]]:
    """Return the public classes, functions and methods below *owner*, each with its owner."""
    for node in owner.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield owner, node
            if isinstance(node, ast.ClassDef):
                yield from public_members(node)


def _is_documented(
    node: Function | ast.ClassDef,
    owner: ast.Module | ast.ClassDef,
    classes: Mapping[str, ast.ClassDef],
) -> bool:
    """Whether *node* has a docstring, or is the second half or an override of what has one."""
    if ast.get_docstring(node) is not None:
        return True
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    if any(name == "overload" or name.endswith((".setter", ".deleter")) for name in decorators):
        return True
    if isinstance(owner, ast.Module):
        return False
    for base in owner.bases:
        name = ast.unparse(base).partition("[")[0].rpartition(".")[2]
        parent = classes.get(name)
        for member in parent.body if parent is not None and parent is not owner else ():
            if isinstance(member, Function) and member.name == node.name:
                return _is_documented(member, parent, classes)
    return False


def importers(code: Code) -> dict[str, set[str]]:
    """Return for each module the names of those that import it."""
    found: dict[str, set[str]] = {name: set() for name in code.modules}
    for module in code.modules.values():
        for imported in module.imports:
            if imported.module in found:
                found[imported.module].add(module.name)
    return found


def small_modules(code: Code) -> set[str]:
    """Return the modules that are part of a concept told elsewhere: short, with one importer."""
    by_name = importers(code)
    return {
        module.name
        for module in code.modules.values()
        if not module.is_package
        and module.source.count("\n") < MIN_FILE_LINES
        and len(by_name[module.name]) == 1
    }


def new_small_modules(code: Code, allowed: Collection[str]) -> list[str]:
    """No module is short with one importer but the *allowed* ones, which get fewer."""
    small = small_modules(code)
    complaints = [
        f"{name} has under {MIN_FILE_LINES} lines and one importer: it belongs there"
        for name in sorted(small - set(allowed))
    ]
    complaints += [
        f"{name} is no small module any more: take it off the list"
        for name in sorted(set(allowed) - small)
    ]
    return complaints


def words_of_parts(code: Code) -> dict[str, WordCount]:
    """Count the words of the comments and docstrings of each part."""
    counts: dict[str, WordCount] = {}
    for module in code.modules.values():
        count = count_words(prose(module.source))
        counts[module.part] = counts.get(module.part, WordCount()) + count
    return counts


def personal_prose(code: Code, limits: Mapping[str, float]) -> list[str]:
    """The subjects of comments and docstrings are things, as far as the *limits* of the parts.

    A part that is not in *limits* keeps to the goal.
    """
    complaints = []
    for part, count in sorted(words_of_parts(code).items()):
        limit = limits.get(part, GOAL)
        if round(count.per_thousand, 1) > limit:
            complaints.append(
                f"{part} has {count.per_thousand:.2f} of who, whoever, somebody, nobody and"
                f" others as subjects in 1,000 words, {limit} are allowed: make the technical"
                " noun the subject"
            )
    return complaints


def foreign_writes(code: Code) -> list[str]:
    """A module changes the objects of another part by their methods, not by their attributes.

    An attribute belongs to the parts whose classes declare it: by a slot, an annotation, a
    method, or an assignment to ``self``.
    """
    owners: dict[str, set[str]] = {}
    writes: list[tuple[Module, ast.Attribute]] = []
    for module in code.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                for name in _declared_attributes(node):
                    owners.setdefault(name, set()).add(module.part)
            for target in _assigned(node):
                if isinstance(target.value, ast.Name) and target.value.id in ("self", "cls"):
                    owners.setdefault(target.attr, set()).add(module.part)
                else:
                    writes.append((module, target))
    return [
        f"{module.name}:{target.lineno} writes {ast.unparse(target)}, which belongs to "
        f"{', '.join(sorted(owners[target.attr]))}: call a method"
        for module, target in writes
        if module.part not in owners.get(target.attr, {module.part})
        and target.attr not in FOREIGN_WRITES.get(module.name, ())
    ]


def _assigned(node: ast.AST) -> Iterator[ast.Attribute]:
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        targets = [node.target]
    for target in targets:
        elements = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
        yield from (element for element in elements if isinstance(element, ast.Attribute))


def _declared_attributes(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            yield statement.name
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id
        elif isinstance(statement, ast.Assign):
            names = [name.id for name in statement.targets if isinstance(name, ast.Name)]
            yield from names
            if names == ["__slots__"]:
                found = (
                    at.value for at in ast.walk(statement.value) if isinstance(at, ast.Constant)
                )
                yield from (name for name in found if isinstance(name, str))


RULES: list[Callable[[Code], list[str]]] = [
    unlisted_parts,
    upward_imports,
    cycles,
    indirect_imports,
    foreign_libraries,
    global_statements,
    oversized,
    busy_packages,
    undocumented,
    foreign_writes,
]


def sleeping_tests(modules: Mapping[str, Module]) -> list[str]:
    """Tests advance the clock, settle or await; only a yield, a sleep of 0, is no sleep."""
    complaints = []
    for module in modules.values():
        names = {"time.sleep", "gevent.sleep", "gevent.hub.sleep"}
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom) and node.module in (
                "time",
                "gevent",
                "gevent.hub",
            ):
                names.update(a.asname or a.name for a in node.names if a.name == "sleep")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                is_yield = ast.unparse(node.func) != "time.sleep" and all(
                    isinstance(value, ast.Constant) and value.value == 0 for value in given
                )
                if not is_yield:
                    complaints.append(f"{module.at(node.lineno)} sleeps")
    return complaints


def unequal_signatures(facade: object, runtime_class: type) -> list[str]:
    """A function of the facade that a runtime has too takes and returns the same."""
    complaints = []
    for name, function in vars(facade).items():
        method = getattr(runtime_class, name, None)
        if name.startswith("_") or not inspect.isfunction(function) or method is None:
            continue
        if isinstance(method, property):
            method = method.fget
        expected = inspect.signature(method)
        without_self = expected.replace(parameters=list(expected.parameters.values())[1:])
        if inspect.signature(function) != without_self:
            got = inspect.signature(function)
            complaints.append(f"{name}{got} differs from {runtime_class.__name__}'s {expected}")
    return complaints
