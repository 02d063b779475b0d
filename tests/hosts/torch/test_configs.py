"""Configurations that modules keep follow a cut as far as they can say it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import prunepass as pp
from tests.hosts.torch.trials import cut_module

TABLE = torch.randn(3, 5)


def cut(model: nn.Module, inputs: Any, seed: int = 0) -> nn.Module:
    return cut_module(model.eval(), inputs, seed)[0]


@dataclass
class Config:
    width: int = 8
    hidden: int = 12
    rows: int = 12
    widths: list[int] = field(default_factory=lambda: [8, 12])
    inner: Any = None


@dataclass(frozen=True)
class Frozen:
    width: int = 8
    hidden: int = 12
    rows: int = 12


class Part(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(config.width, config.hidden), nn.Linear(config.hidden, config.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(self.up(x).relu())


class Configured(nn.Module):
    """Parts of one configuration."""

    def __init__(self, config: Any, count: int = 1) -> None:
        super().__init__()
        self.config = config
        inner = self.inner()
        self.stem = nn.Linear(5, inner.width)
        self.parts = nn.ModuleList([Part(inner) for _ in range(count)])
        self.head = nn.Linear(inner.width, inner.rows)

    def inner(self) -> Any:
        return self.config

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for part in self.parts:
            x = part(x)
        return self.head(x)


class Nested(Configured):
    """Parts of the configuration inside another one."""

    def inner(self) -> Any:
        return self.config.inner


@pytest.mark.parametrize("make", [Config, Frozen, lambda: SimpleNamespace(width=8, hidden=12, rows=12)])
def test_a_configuration_follows_and_builds_the_same_shapes(make: Callable[[], Any]) -> None:
    config = make()
    was = copy.deepcopy(config)
    model = Configured(config)
    small = cut(model, TABLE)
    assert config == was
    assert model.config is config
    assert small.config.width == small.stem.out_features < 8
    assert small.config.hidden == small.parts[0].up.out_features < 12
    assert small.config.rows == 12
    Configured(small.config).load_state_dict(small.state_dict())


def test_a_configuration_inside_another_one_follows_and_the_outer_one_does_not() -> None:
    small = cut(Nested(Config(inner=Config(), rows=12)), TABLE)
    assert small.config.inner.width == small.stem.out_features < 8
    assert (small.config.width, small.config.hidden) == (8, 12)
    Nested(small.config).load_state_dict(small.state_dict())


def test_one_configuration_of_several_modules_stays_one() -> None:
    config = Config()
    small = cut(Wrapped(config, Configured(config)), TABLE)
    assert small.config is small.inner.config
    assert small.config.hidden == small.inner.parts[0].up.out_features < 12


class Wrapped(nn.Module):
    def __init__(self, config: Any, inner: nn.Module) -> None:
        super().__init__()
        self.config, self.inner = config, inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


def test_layers_of_unlike_sizes_leave_their_number_and_say_so() -> None:
    model = Configured(Config(), 2)
    for graph_seed in range(9):
        small = cut(model, TABLE, graph_seed)
        if small.parts[0].up.out_features != small.parts[1].up.out_features:
            break
    assert small.config.hidden == 12
    assert small.config.width == small.stem.out_features
    with torch.no_grad():
        model.parts[0].up.weight *= 0.1
    (listed,) = pp.prune(model, TABLE, budget="params=0.6", score="l2").report.unchanged
    assert listed.place == "config.hidden"
    assert "mode='uniform'" in str(listed)


def test_under_uniform_fractions_one_number_fits_all_layers() -> None:
    result = pp.prune(
        Configured(Config(hidden=50), 3), TABLE, budget="params=0.61", mode="uniform", score="l2"
    )
    assert not result.report.unchanged
    Configured(result.model.config, 3).load_state_dict(result.model.state_dict())


def test_a_configuration_that_copies_share_with_the_original_is_left_alone() -> None:
    class Single(Config):
        def __deepcopy__(self, memo: Any) -> Single:
            return self

    config = Single()
    small = cut(Configured(config), TABLE)
    assert small.stem.out_features < 8
    assert (config.width, config.hidden) == (8, 12)


def test_in_place_the_configuration_itself_follows_or_is_as_it_was() -> None:
    config = Config()
    model = Configured(config)
    result = pp.prune(model, TABLE, budget="params=0.5", score="l1", inplace=True)
    assert result.model is model
    assert config.hidden == model.parts[0].up.out_features < 12


class Mapped(dict[str, Any]):
    """A mapping that gives its entries as attributes too and takes none anew."""

    def __init__(self, **entries: Any) -> None:
        super().__init__(**entries)
        vars(self).update(entries)

    def __setitem__(self, name: str, value: Any) -> None:
        raise TypeError("frozen")

    def __setattr__(self, name: str, value: Any) -> None:
        raise TypeError("frozen")

    def __deepcopy__(self, memo: Any) -> Mapped:
        return Mapped(**self)


class ByKey(nn.Module):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = config
        self.up, self.down = nn.Linear(5, config["width"]), nn.Linear(config["width"], config["out"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.up(x).relu())


@pytest.mark.parametrize("kind", [dict, Mapped])
def test_mappings_are_configurations_too(kind: Callable[..., dict[str, Any]]) -> None:
    config = kind(width=12, out=12)
    small = cut(ByKey(config), TABLE)
    assert config == {"width": 12, "out": 12}
    assert small.config == {"width": small.up.out_features, "out": 12}
    assert small.up.out_features < 12
    if kind is Mapped:
        assert small.config.width == small.up.out_features


class Defaulted(nn.Module):
    """A width that is four times another one unless it is said."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden if config.hidden is not None else 4 * config.width
        self.a, self.b = nn.Linear(5, config.width), nn.Linear(config.width, hidden)
        self.c = nn.Linear(hidden, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c(self.b(self.a(x).relu()).relu())


@pytest.mark.parametrize("hidden", [None, 9])
def test_a_default_is_said_once_it_does_not_hold_any_more(hidden: int | None) -> None:
    small = cut(Defaulted(SimpleNamespace(width=8, hidden=hidden)), TABLE)
    assert small.config.hidden == small.b.out_features != 4 * small.a.out_features
    Defaulted(small.config).load_state_dict(small.state_dict())


class Noted(nn.Module):
    """Notes the arguments of its constructor, which builds by loops and functions that no reader follows."""

    def __init__(self, widths: tuple[int, ...] = (6, 8), times: int = 2, classes: int = 6) -> None:
        super().__init__()
        self._note = {"widths": widths, "times": times, "classes": classes, "version": 1}
        builders = {"layer": lambda one, two: nn.Linear(one, two)}
        at, parts = 5, []
        for width in widths:
            parts += [
                builders["layer"](at, width * times),
                nn.ReLU(),
                builders["layer"](width * times, width),
            ]
            at = width
        self.parts = nn.Sequential(*parts)
        self.head = nn.Linear(at, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.parts(x))


def test_noted_arguments_that_cannot_be_said_are_listed() -> None:
    torch.manual_seed(0)
    report = pp.prune(Noted(), TABLE, budget="params=0.6", score="l1").report
    assert [size.place for size in report.unchanged] == ["_note.widths", "_note.times"]


def test_under_uniform_fractions_noted_arguments_build_the_same_shapes() -> None:
    torch.manual_seed(0)
    result = pp.prune(Noted((8, 8), 1), TABLE, budget="params=0.6", mode="uniform", score="l1")
    assert not result.report.unchanged
    note = result.model._note
    assert note["widths"][0] < 8
    Noted(note["widths"], note["times"], note["classes"]).load_state_dict(result.model.state_dict())


class Failing(Noted):
    """Can be made only once."""

    made = 0

    def __init__(self, widths: tuple[int, ...] = (8, 8), times: int = 1, classes: int = 6) -> None:
        if Failing.made:
            raise RuntimeError("there is one already")
        Failing.made += 1
        super().__init__(widths, times, classes)


def test_a_constructor_that_fails_is_no_matter() -> None:
    model = Failing()
    small = cut(model, TABLE)
    assert small._note["widths"] == (8, 8)
