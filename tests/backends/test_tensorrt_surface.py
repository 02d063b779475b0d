"""The names that the backend uses of three packages, two of which cannot be installed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from prunepass import backends as package
from prunepass.backends import _cuda_seam, _tensorrt_seam
from tests.backends.tensorrt_names import EVERYWHERE, RTX_ONLY

FILES = sorted(Path(package.__file__).parent.glob("_tensorrt*.py"))


def chain(node: ast.AST) -> str:
    """``X.Y`` where ``node`` is ``trt.X.Y`` or ``self._trt.X.Y``, else empty."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    names = [node.id, *parts]
    start = {"trt": 1, "self": 2 if names[1:2] == ["_trt"] else 0}.get(names[0], 0)
    return ".".join(name for name in names[start:] if not name.startswith("__")) if start else ""


def chains() -> set[str]:
    found = {chain(node) for file in FILES for node in ast.walk(ast.parse(file.read_text("utf-8")))} - {""}
    return {name for name in found if not any(other.startswith(f"{name}.") for other in found)}


def members(seam: object) -> Iterator[tuple[str, str, int | None]]:
    """Class, member and, for a method, how many arguments it is called with, of each protocol of a seam."""
    for node in ast.parse(Path(str(seam.__file__)).read_text("utf-8")).body:  # type: ignore[attr-defined]
        for part in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                yield node.name, part.target.id, None
            elif isinstance(part, ast.FunctionDef):
                yield node.name, part.name, len(part.args.posonlyargs + part.args.args) - 1


def used() -> set[str]:
    return chains() | {f"{owner}.{name}" for owner, name, _ in members(_tensorrt_seam)}


def test_the_names_that_are_used_are_those_that_are_listed() -> None:
    assert used() == EVERYWHERE | RTX_ONLY


def test_tensorrt_rtx_has_every_name() -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    for name in sorted(used()):
        found = trt
        for part in name.split("."):
            assert hasattr(found, part), name
            found = getattr(found, part)
    assert "CURRENT" in trt.ComputeCapability.__members__


def test_cuda_bindings_have_every_name_with_as_many_arguments() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime")
    for _, name, wanted in members(_cuda_seam):
        found = getattr(runtime, name)
        if wanted is not None:
            arguments = found.__doc__.splitlines()[0].partition("(")[2].rpartition(")")[0]
            assert len([part for part in arguments.split(",") if part.strip()]) == wanted, name
    assert runtime.cudaMemcpyKind.cudaMemcpyHostToDevice == 1
    assert runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost == 2
    assert "cudaStreamCaptureModeThreadLocal" in runtime.cudaStreamCaptureMode.__members__
