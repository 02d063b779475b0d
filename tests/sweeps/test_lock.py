"""One sweep at a time in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import prunepass as pp
from prunepass._prune import prune
from prunepass.sweeps._lock import held
from tests.cli import nets
from tests.cli.tools import files


def test_a_second_sweep_is_refused_with_the_folders_name_and_leaves_the_first_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    net, said = nets.save(tmp_path / "net.onnx"), []

    def meanwhile(*args: Any, **options: Any) -> Any:
        with pytest.raises(pp.UsageError) as refused:
            pp.sweep(net, tmp_path / "out", budgets=(0.8,), scores=("l2",), duration=0.0)
        said.append(str(refused.value))
        return prune(*args, **options)

    monkeypatch.setattr("prunepass.sweeps._make.prune", meanwhile)
    found = pp.sweep(net, tmp_path / "out", budgets=(0.6,), scores=("l2",), duration=0.0)
    assert len(found.done) == 1
    assert said[0].startswith(f"{tmp_path / 'out'}: another sweep works in this folder (")


def test_a_folder_is_free_again_after_a_failure(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), held(tmp_path / "out"):
            raise ZeroDivisionError


def test_a_folder_that_was_made_for_nothing_goes_again_and_a_users_own_stays(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    for name in ("own", "new"):
        with held(tmp_path / name):
            pass
    assert files(tmp_path) == {"own", "own/.lock"}


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(pp.UsageError, match="it is a file, no folder"), held(tmp_path / "out"):
        pass
