"""Families of procedural inputs: networks whose statistics are those of one recognise it among the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prunepass.hosts import open_model
from prunepass.ir import Array
from prunepass.passes import Calibration, State, calibration_of
from prunepass.passes.analyses.families import Form, families, fitting

FORMS = {
    "picture": Form((3, 20, 28)),
    "picture with colours last": Form((20, 28, 3)),
    "small grey picture": Form((1, 8, 8)),
    "bytes": Form((16, 16, 3), "uint8"),
    "map": Form((12, 9, 9)),
    "volume": Form((1, 8, 9, 10)),
    "signal": Form((2, 500)),
    "long vector": Form((400,)),
    "vector": Form((7,)),
    "one number": Form((1,)),
    "a number a sample": Form(()),
    "tiny picture": Form((3, 1, 2)),
    "ids": Form((11,), "int64", 30),
    "mask": Form((11,), "bool"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_every_form_has_families_and_every_family_draws_it_by_seed(form: Form) -> None:
    assert fitting(form)
    for family in fitting(form):
        one, two, other = (family.draw(np.random.default_rng(seed), form) for seed in (1, 1, 2))
        assert np.array_equal(one, two)
        assert np.all(np.isfinite(one))
        assert form.rows == 0 or (one.min() >= 0 and one.max() < form.rows)
        assert form.size < 50 or form.dtype == "bool" or not np.array_equal(one, other)
        placed = form.placed(one)
        assert placed.shape == form.shape
        assert placed.dtype == np.dtype(form.dtype)


def test_a_family_is_told_by_shape_and_type_alone() -> None:
    usual = {name: fitting(form)[0].name for name, form in FORMS.items()}
    assert usual["picture"] == usual["picture with colours last"] == usual["bytes"] == "leaves"
    assert (usual["volume"], usual["signal"], usual["vector"]) == ("fields", "tones", "vectors")
    assert usual["ids"] == usual["mask"] == "tokens"


def plain() -> nn.Module:
    layers: list[nn.Module] = []
    for width, wide in ((3, 12), (12, 16), (16, 16), (16, 24)):
        layers += [nn.Conv2d(width, wide, 3, padding=1), nn.BatchNorm2d(wide), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 5))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=groups, bias=False), nn.BatchNorm2d(16))
            for groups in (1, 16, 4)
        )
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(torch.relu(x))
        return self.head(x.mean((2, 3)))


def volumes() -> nn.Module:
    norm = nn.BatchNorm3d(8)
    return nn.Sequential(nn.Conv3d(1, 8, 3), norm, nn.ReLU(), nn.Conv3d(8, 8, 3), nn.BatchNorm3d(8))


def signals() -> nn.Module:
    first = nn.Conv1d(1, 8, 9, 2)
    return nn.Sequential(first, nn.BatchNorm1d(8), nn.ReLU(), nn.Conv1d(8, 8, 9, 2), nn.BatchNorm1d(8))


def tables() -> nn.Module:
    return nn.Sequential(
        nn.Linear(24, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 8), nn.BatchNorm1d(8)
    )


PICTURE = Form((3, 32, 32))
NETS: dict[str, tuple[Callable[[], nn.Module], Form, tuple[str, ...]]] = {
    "plain": (plain, PICTURE, ("leaves", "strokes", "fields", "noise")),
    "residual": (Residual, PICTURE, ("leaves", "strokes", "fields", "noise")),
    "volumes": (volumes, Form((1, 12, 12, 12)), ("fields", "noise")),
    "signals": (signals, Form((1, 400)), ("tones", "noise")),
    "tables": (tables, Form((24,)), ("vectors", "noise")),
}


def trained_on(make: Callable[[], nn.Module], inputs: Array) -> nn.Module:
    """A network of random weights whose normalisations have seen ``inputs``."""
    torch.manual_seed(0)
    net = make()
    for layer in net.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = None
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.3)
    with torch.no_grad():
        net.train()(torch.from_numpy(inputs))
    return net.eval()


def drawn(name: str, form: Form, count: int = 48) -> Array:
    family: Any = families()[name]()
    return np.stack([form.placed(family.draw(np.random.default_rng((99, at)), form)) for at in range(count)])


def calibration(net: nn.Module, form: Form, count: int = 8, held: int = 4) -> Calibration:
    session = open_model(net, torch.zeros(2, *form.shape), form="graph")
    state = State.start(session.graph).having(executor=session.executor)
    return calibration_of(state, count, held)


@pytest.mark.parametrize("scale", ["unit", "standard", "own"])
@pytest.mark.parametrize(
    ("net", "name"), [(net, name) for net, (_, _, names) in NETS.items() for name in names]
)
def test_a_network_recognises_the_family_that_its_statistics_are_of(net: str, name: str, scale: str) -> None:
    make, form, _ = NETS[net]
    inputs = drawn(name, form)
    if scale == "standard":
        inputs = (inputs - inputs.mean()) / inputs.std()
    elif scale == "own" and form is PICTURE:  # each colour as a data set of its own has it
        inputs = (inputs - np.reshape([0.2, 0.5, 0.4], (3, 1, 1))) / np.reshape([0.1, 0.3, 0.2], (3, 1, 1))
    found = calibration(trained_on(make, inputs.astype(np.float32)), form)
    assert found.source.removeprefix("refined ") == name, dict(found.losses)
    assert found.losses[name] < 0.2
    assert found.norms == len([m for m in make().modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)])


def test_the_scaling_that_the_first_normalisation_implies_is_found() -> None:
    inputs = drawn("leaves", PICTURE) * np.reshape([2.0, 5.0, 9.0], (3, 1, 1)) + np.reshape(
        [1, -2, 0], (3, 1, 1)
    )
    found = calibration(trained_on(plain, inputs.astype(np.float32)), PICTURE, 32)
    made = np.concatenate([next(iter(feed.values())) for feed in found.fit])
    mean, deviation = (getattr(inputs, name)(axis=(0, 2, 3)) for name in ("mean", "std"))
    assert np.all(abs(made.mean(axis=(0, 2, 3)) - mean) < 0.3 * deviation)
    np.testing.assert_allclose(made.std(axis=(0, 2, 3)), deviation, rtol=0.4)


class Deep(nn.Module):
    """Nine normalisations."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(16 if at else 3, 16, 3, padding=1), nn.BatchNorm2d(16)) for at in range(9)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = torch.relu(block(x))
        return x


def strange() -> nn.Module:
    """A network whose normalisations were trained on what no family draws."""
    net = trained_on(Deep, drawn("leaves", PICTURE))
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean += 0.6 * layer.running_var.sqrt() * torch.randn(16)
            layer.running_var *= torch.exp(0.6 * torch.randn(16))
    return net


def test_inputs_that_no_family_fits_are_refined_where_the_host_has_gradients() -> None:
    found = calibration(strange(), PICTURE)
    assert found.source.startswith("refined ")
    family = found.source.removeprefix("refined ")
    assert found.losses[found.source] < 0.8 * found.losses[family]
    inputs = {sample.tobytes() for feed in (*found.fit, *found.held) for sample in next(iter(feed.values()))}
    assert len(inputs) == 8 + 4


def test_a_host_without_gradients_leaves_them_as_they_were_drawn() -> None:
    graph = open_model(strange(), torch.zeros(2, *PICTURE.shape), form="graph").graph
    found = calibration_of(State.start(graph), 4, 2)
    assert found.source in families()
    assert found.sure == "little"


def test_ids_are_rows_of_their_table_and_masks_hide_nothing() -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.kinds, self.out = nn.Embedding(37, 8), nn.Embedding(2, 8), nn.Linear(8, 4)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
            mixed = self.words(ids.reshape(-1, 6)) + self.kinds(kinds)
            return self.out((mixed * mask[..., None].to(mixed.dtype)).sum(1))

    inputs = tuple(torch.ones(2, 6, dtype=torch.int64) for _ in range(3))
    session = open_model(Encoder().eval(), inputs, form="graph")
    found = calibration_of(State.start(session.graph).having(executor=session.executor))
    ids, mask, kinds = (np.concatenate([feed[name] for feed in found.fit]) for name in session.graph.inputs)
    assert (ids.min(), ids.max(), kinds.min(), kinds.max()) == (0, 36, 0, 1)
    assert np.all(mask == 1)
    assert (found.source, found.sure) == ("tokens", "not")
