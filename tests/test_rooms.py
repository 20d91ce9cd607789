"""The rooms of the tree: which package may import which, and that no imports run in a circle."""

import ast
import re
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

from scripts import ROOT

# From the top down: a room may import itself and what its list names (`hindsight.*` for all of hindsight).
MAY_IMPORT = {
    "hindsight.errors": (),
    "hindsight.settings": ("hindsight.errors",),
    "hindsight.problem_sets": ("hindsight.errors", "hindsight.settings"),
    "hindsight.text": ("hindsight.errors", "hindsight.settings", "hindsight.problem_sets"),
    "hindsight.files": ("hindsight.errors", "hindsight.settings", "hindsight.problem_sets", "hindsight.text"),
}
SHARED = (*MAY_IMPORT, "hindsight.servers")
MAY_IMPORT["hindsight.servers"] = tuple(MAY_IMPORT)
MAY_IMPORT |= {f"hindsight.{step}": SHARED for step in ("sampling", "conversion", "curation", "pass_at_k", "merging")}
MAY_IMPORT |= {
    "hindsight.pipeline": SHARED,  # runs the steps in processes of their own
    "hindsight.serving": ("hindsight",),  # a script: it serves merges too
    "hindsight.dial": ("hindsight",),  # a script
    "hindsight.progress": ("hindsight",),  # a script
    "hindsight.tracking": (*SHARED, "hindsight.pass_at_k"),
    "SkyThought.sandbox": (),
    "SkyThought.execution": ("SkyThought.sandbox", "hindsight.errors", "hindsight.files"),
    "SkyThought.train": (),
    "SkyThought": ("SkyThought.execution", "SkyThought.sandbox", "hindsight"),
    "analysis": ("SkyThought", "hindsight"),
    "lab": ("analysis", "SkyThought", "hindsight"),
    "studies": ("analysis", "SkyThought", "hindsight"),
    "steps": ("SkyThought", "hindsight"),
    "benchmarks": ("lab", "analysis", "SkyThought", "hindsight"),
}
PACKAGES = ("hindsight", "SkyThought", "analysis", "lab", "studies", "benchmarks")
STEPS = {path.stem for path in ROOT.glob("*.py")}


def product_files() -> list[Path]:
    return [*ROOT.glob("*.py"), *(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in product_files()}


@cache
def trees() -> dict[str, ast.Module]:
    """Each module's syntax tree. Parsing takes seconds, which each process of `pytest -n` would spend on import."""
    return {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def imported(tree: ast.Module) -> set[str]:
    """Our modules that a file imports, wherever in the file it does so."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            submodules = names & MODULES.keys()
            found |= submodules
            if len(submodules) < len(names):
                found.add(node.module)
    return found & MODULES.keys()


@cache
def imports() -> dict[str, set[str]]:
    return {name: imported(tree) for name, tree in trees().items()}


def room_of(module: str) -> str:
    """The most particular room that a module lies in."""
    if module in STEPS:
        return "steps"
    return max((room for room in MAY_IMPORT if module == room or module.startswith(f"{room}.")), key=len)


def test_a_module_imports_only_what_its_room_may():
    for module in MODULES.keys() - {"hindsight"}:
        room = room_of(module)
        for other in imports()[module]:
            allowed = (room, *MAY_IMPORT[room])
            assert any(other == name or other.startswith(f"{name}.") for name in allowed), f"{module} imports {other}"


def test_no_imports_run_in_a_circle():
    done, path = set(), []

    def visit(module: str) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            path.append(module)
            for other in sorted(imports()[module]):
                visit(other)
            path.pop()
            done.add(module)

    for module in sorted(MODULES):
        visit(module)


def test_no_packages_import_each_other_in_a_circle():
    """Within hindsight too: the rooms themselves have an order."""
    between = defaultdict(set)
    for module, others in imports().items():
        if module != "hindsight":
            between[room_of(module)] |= {room_of(other) for other in others if other != "hindsight"} - {room_of(module)}
    ordered: list[str] = []
    while remaining := [room for room in between if room not in ordered]:
        free = [room for room in remaining if not (between[room] - set(ordered)) & set(remaining)]
        assert free, {room: between[room] for room in remaining}
        ordered += free


def test_nothing_imports_a_step():
    for module, others in imports().items():
        assert not others & STEPS, module


def test_what_runs_beside_hostile_programs_imports_only_the_standard_library_numpy_and_its_package():
    for module in (module for module in MODULES if module.startswith("SkyThought.sandbox")):
        for node in ast.walk(trees()[module]):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                allowed = {*sys.stdlib_module_names, "numpy"}
                assert name.split(".")[0] in allowed or name.startswith("SkyThought.sandbox"), f"{module}: {name}"


def test_a_package_says_what_belongs_there():
    packages = [name for name, path in MODULES.items() if path.name == "__init__.py"]
    assert [name for name in packages if len(ast.get_docstring(trees()[name]) or "") <= 60] == []


def test_no_function_takes_more_than_six_arguments_or_the_settings_below_main():
    functions = ((name, node) for name, tree in trees().items() for node in ast.walk(tree))
    for module, node in functions:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            names = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
            assert len(names) <= 6, f"{module}: {node.name}({', '.join(names)})"
            hints = " ".join(ast.unparse(each.annotation) for each in arguments if each.annotation)
            if node.name not in ("main", "_main") and MODULES[module].parent.name != "hindsight":
                of_runs = module == "hindsight.files.runs"
                assert not re.search(r"\bSettings\b", hints) or of_runs, f"{module}: {node.name}"
