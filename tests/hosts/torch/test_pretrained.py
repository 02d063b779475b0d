"""Models that are kept by configuration: pruned as modules, saved, loaded again, the same outputs."""

from __future__ import annotations

import sys
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch

import prunepass as pp
from tests.hosts.torch.families import FAMILIES, Bare, Family, bare

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="the libraries need Python 3.11")

_ATTENTION = ("*attention*", "*Attention*", "*attn*")
# Their noted sizes are those of the residual stream and of the layers in between at once: one cannot stay whole.
_ONE_SIZE = ("unet", "vae")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def pruned(family: Family, keep: tuple[str, ...]) -> tuple[Bare, pp.Result]:
    model = bare(family)
    names = [name for name, _ in model.named_modules()]
    kept = [pattern for pattern in keep if any(fnmatchcase(name, pattern) for name in names)]
    result = pp.prune(
        model, family.draw(), budget="params=0.8", score="l2", mode="uniform", compensate=False, keep=kept
    )
    return model, result


def assert_loads_again(small: Bare, family: Family, folder: Path) -> None:
    """``from_pretrained`` of what ``save_pretrained`` wrote computes the same."""
    small.model.save_pretrained(folder)
    again = type(small.model).from_pretrained(folder).eval()
    inputs = family.draw()
    wanted = small(*inputs)
    small.model = again
    torch.testing.assert_close(small(*inputs), wanted, rtol=0, atol=0)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in _ONE_SIZE])
def test_narrower_layers_between_are_saved_and_loaded_again(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    model, result = pruned(family, _ATTENTION)
    before, after = result.report.before, result.report.after
    assert after.params <= 0.8 * before.params
    assert not result.report.unchanged
    config = model.model.config.to_dict()
    assert_loads_again(result.model, family, tmp_path)
    assert model.model.config.to_dict() == config


def test_widths_and_groups_of_norms_are_noted_for_all_blocks_at_once(tmp_path: Path) -> None:
    vae = FAMILIES["vae"]
    family = replace(vae, entries={**vae.entries, "mid_block_add_attention": False})
    model, result = pruned(family, ("*quant_conv*",))
    noted = result.model.model.config
    assert max(noted["block_out_channels"]) < max(model.model.config["block_out_channels"]) == 32
    assert_loads_again(result.model, family, tmp_path)
    assert [size.place for size in result.report.unchanged] == ["model.tile_sample_min_size"]
