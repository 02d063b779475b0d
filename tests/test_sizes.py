"""Files, classes and functions stay small enough to be read at one go."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = [file for part in ("prunepass", "tests", "bench", "examples") for file in (ROOT / part).rglob("*.py")]
LINES, CLASS_LINES, FUNCTION_LINES = 350, 150, 50


def test_no_file_is_longer_than_the_cap() -> None:
    long = {str(file): len(file.read_text("utf-8").splitlines()) for file in FILES}
    assert not {file: lines for file, lines in long.items() if lines > LINES}


def longer(kinds: tuple[type[ast.stmt], ...], most: int) -> list[str]:
    """Definitions of these kinds that have more lines."""
    found = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, kinds):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > most:
                    found.append(f"{file}:{node.lineno} {getattr(node, 'name', '')}: {lines} lines")
    return found


def test_no_class_is_longer_than_the_cap() -> None:
    assert not longer((ast.ClassDef,), CLASS_LINES)


def test_no_function_is_longer_than_the_cap() -> None:
    assert not longer((ast.FunctionDef, ast.AsyncFunctionDef), FUNCTION_LINES)
