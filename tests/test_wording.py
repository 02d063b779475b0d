"""Docstrings open with a noun phrase or an imperative."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "prunepass"
RIDDLES = {"What", "Which", "How", "Whether", "Why"}
FOLDERS = sorted({file.parent.relative_to(ROOT).as_posix() for file in ROOT.rglob("*.py")})


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_docstring_opens_with_a_question(folder: str) -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = []
    for file in sorted((ROOT / folder).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            text = ast.get_docstring(node) if isinstance(node, documented) else None
            first = text.splitlines()[0] if text else ""
            if first and (first.split()[0] in RIDDLES or "?" in first):
                found.append(f"{file}:{getattr(node, 'lineno', 1)} {first}")
    assert not found
