"""Example inputs, and running a model."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import nn

import prunepass as pp
from prunepass.hosts.torch import export, feeds, run
from prunepass.hosts.torch._inputs import Inputs, evaluation_mode, inputs_of, refilled, to_numpy
from prunepass.ir import UsageError
from tests.hosts.torch.nets import Outputs

X = torch.ones(2, 4)


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        (X, (X,), None),
        ((X, 3), (X, 3), None),
        ([X], (X,), None),
        ({"x": X}, (), {"x": X}),
        (((X,), {"extra": X}), (X,), {"extra": X}),
        ((X, {"a": X}), (X, {"a": X}), None),
    ],
)
def test_inputs_are_a_tensor_arguments_keywords_or_both(
    given: object, args: tuple, kwargs: dict | None
) -> None:
    assert inputs_of(given) == Inputs(args, kwargs)


def test_no_inputs_is_an_error_that_says_what_to_give() -> None:
    with pytest.raises(UsageError, match="needs example inputs"):
        inputs_of(None)


def test_evaluation_mode_gives_every_flag_back_even_after_an_error() -> None:
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(4))
    model[1].eval()
    inside: list[bool] = []
    with suppress(ValueError), evaluation_mode(model):
        inside += [module.training for module in model.modules()]
        raise ValueError
    assert not any(inside)
    assert [module.training for module in model.modules()] == [True, True, False]


def test_evaluation_mode_calls_no_method_of_the_user() -> None:
    class Stubborn(nn.Module):
        def train(self, mode: bool = True) -> Stubborn:
            raise AssertionError("called")

    with evaluation_mode(Stubborn()):
        pass


def test_run_gives_every_tensor_output_in_the_models_own_precision() -> None:
    model = Outputs().half()
    y, again, x, weight = run(model, (X.half(),))
    assert y.dtype == np.float32  # numpy computes with no half precision of torch
    np.testing.assert_array_equal(y, again)
    np.testing.assert_array_equal(x, np.ones((2, 4)))
    np.testing.assert_array_equal(weight, to_numpy(model.linear.weight))
    assert run(Outputs().double(), (X.double(),))[0].dtype == np.float64


def test_feeds_go_by_the_names_of_the_captured_inputs() -> None:
    given = ((X,), {"extra": torch.zeros(3)})
    found = feeds(export(Outputs(), given), given)
    assert {name: array.shape for name, array in found.items()} == {"x": (2, 4), "extra": (3,)}


def test_feeds_of_other_keywords_than_captured_are_refused() -> None:
    module = export(Outputs(), X)
    with pytest.raises(UsageError, match="keyword"):
        feeds(module, ((X,), {"extra": torch.zeros(3)}))
    with pytest.raises(UsageError, match="takes 1 inputs"):
        feeds(module, (X, 3))


def test_refilled_inputs_keep_structure_numbers_and_dtypes() -> None:
    given = ((X, 5), {"extra": torch.zeros(3)})
    module = export(Outputs(), given)
    new = refilled(module, given, {"x": np.full((2, 4), 7.0), "extra": np.ones(3)})
    assert new.args[0].dtype == torch.float32
    assert new.args[0][0, 0] == 7
    assert new.args[1] == 5
    assert new.kwargs is not None
    assert torch.equal(new.kwargs["extra"], torch.ones(3))


class Timed(nn.Module):
    """Takes a number as a tensor without axes, as a time step is given."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 16), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor, *, time: torch.Tensor) -> torch.Tensor:
        assert time.shape == ()
        return self.b(self.a(x).relu() + time[None].expand(len(x))[:, None])


@pytest.mark.parametrize(
    ("dtype", "form"), [(torch.float32, "module"), (torch.int64, "graph"), (torch.float64, "module")]
)
def test_an_input_without_axes_has_none_anywhere(dtype: torch.dtype, form: str) -> None:
    given = ((X,), {"time": torch.tensor(3, dtype=dtype)})
    model = Timed().double() if dtype == torch.float64 else Timed()
    given = ((X.double() if dtype == torch.float64 else X,), given[1])
    module = export(model, given)
    arrays = feeds(module, given)
    assert arrays["time"].shape == ()
    again = refilled(module, given, {"time": np.array(5.0)}).named()["time"]
    assert (again.shape, again.dtype, float(again)) == ((), dtype, 5.0)
    result = pp.prune(model, given, budget="macs=0.6", score="l2", form=form)
    pp.verify(model, result.model, result.plan, given)
    assert result.model(given[0][0], **given[1]).shape == (2, 3)


def test_run_writes_to_no_buffer_and_lets_hooks_follow() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(2))
            self.register_buffer("last", torch.zeros(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen.add_(1)
            self.last = x.sum(0)
            self.made = x * 2
            return self.made

    model = Counting()
    seen, last = model.seen, model.last
    run(model, X)
    assert model.seen is seen
    assert model.last is last
    assert not seen.any()
    assert torch.equal(model.made, X * 2)
