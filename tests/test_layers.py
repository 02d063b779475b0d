"""Who may import whom inside the package."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "prunepass"
BELOW = {"ir": set(), "passes": {"ir"}, "backends": {"ir"}, "hosts": {"ir"}}
BELOW["measure"] = {"ir", "passes", "backends", "hosts"}
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
