"""Who may import whom inside the package."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "prunepass"
# Each layer with the layers that it may import from.
BELOW: dict[str, set[str]] = {
    "signals": set(),
    "ir": set(),
    "passes": {"ir"},
    "backends": {"ir"},
    "hosts": {"ir"},
}
for upper in ("measure", "targets", "drivers"):  # each knows all before it
    BELOW[upper] = set(BELOW)
# Rooms of ``passes``; of the files at its root the plan and what passes are stand between analyses and scores.
ROOMS = {"coupling": set[str](), "cost": {"coupling"}, "analyses": {"coupling", "cost"}}
ROOMS["root"] = set(ROOMS)
ROOMS["scores"] = set(ROOMS)
ROOMS["rewrites"] = set(ROOMS) - {"scores"}
ROOMS["policies"] = set(ROOMS) - {"rewrites"}
ROOMS["proof"] = set(ROOMS)
TOP = {
    "__init__",
    "_auto",
    "_calibrated",
    "_dead",
    "_observed",
    "_pipeline",
    "_repairs",
    "_select",
    "_standard",
    "_state",
    "_tables",
}
ROOT_FILES = {"__init__", "__main__", "_analyze", "_options", "_prune", "testing"}
LIGHT = {"numpy", "msgspec", "prunepass"} | sys.stdlib_module_names


def imports(file: Path, *, outside_functions: bool = False) -> Iterator[tuple[str, ...]]:
    """Modules that ``file`` imports, as parts of their full names."""
    package = ("prunepass", *file.relative_to(ROOT).parent.parts)
    waiting: list[ast.AST] = [ast.parse(file.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (tuple(name.name.split(".")) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            yield from ((*module, name.name) for name in node.names)
        if not (outside_functions and isinstance(node, (ast.FunctionDef, ast.Lambda))):
            waiting.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("layer", BELOW)
def test_a_layer_imports_only_from_layers_below(layer: str) -> None:
    files = sorted((ROOT / layer).rglob("*.py"))
    assert files
    for file in files:
        for name in imports(file):
            if name[0] == "prunepass":
                assert name[1] in BELOW[layer] | {layer}, f"{file}: {'.'.join(name)}"


@pytest.mark.parametrize("layer", ["ir", "passes"])
def test_ir_and_passes_load_nothing_heavier_than_numpy(layer: str) -> None:
    for file in sorted((ROOT / layer).rglob("*.py")):
        for name in imports(file, outside_functions=True):
            assert name[0] in LIGHT, f"{file} loads {'.'.join(name)}"


def test_operator_files_know_only_modules_that_do_not_know_operators() -> None:
    knows_operators = {"_registry", "ops"}
    modules = {file.stem: set(imports(file)) for file in (ROOT / "ir").glob("_*.py")}
    algebra = (
        {
            stem
            for stem, names in modules.items()
            if not any(set(name[2:3]) & knows_operators for name in names)
        }
        - knows_operators
        - {"__init__"}
    )
    for file in sorted((ROOT / "ir" / "ops").glob("*.py")):
        for name in imports(file):
            inside = name[:2] == ("prunepass", "ir") and name[2] in algebra
            assert name[0] != "prunepass" or inside, f"{file}: {'.'.join(name)}"


def test_rooms_of_passes_import_only_from_rooms_below() -> None:
    folder = ROOT / "passes"
    assert {path.parent.name for path in folder.glob("*/__init__.py")} == set(ROOMS) - {"root"}
    for file in sorted(folder.rglob("*.py")):
        room = file.relative_to(folder).parts[0] if file.parent != folder else "root"
        if room == "root" and file.stem in TOP:
            continue
        for name in imports(file):
            if name[:2] != ("prunepass", "passes") or len(name) < 3:
                continue
            met = name[2] if name[2] in ROOMS else "root"
            assert met in ROOMS[room] | {room}, f"{file}: {'.'.join(name)}"
            assert met != "root" or name[2] not in TOP, f"{file}: {'.'.join(name)}"


def test_no_package_imports_a_private_module_of_another() -> None:
    for file in sorted(ROOT.rglob("*.py")):
        package = ("prunepass", *file.relative_to(ROOT).parent.parts)
        for name in imports(file):
            for at, part in enumerate(name[:-1]):
                private = name[0] == "prunepass" and part.startswith("_") and not part.startswith("__")
                assert not private or package[:at] == name[:at], f"{file}: {'.'.join(name)}"


def test_the_root_of_the_package_is_the_face_and_nothing_else() -> None:
    assert {file.stem for file in ROOT.glob("*.py")} <= ROOT_FILES
