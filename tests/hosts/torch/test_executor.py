"""Torch's own operators give the values of the reference, from any values to any others."""

from __future__ import annotations

import weakref
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from prunepass.hosts import Session, open_model
from prunepass.ir import Array, NumpyExecutor, PrunepassError, UsageError
from prunepass.passes import couple, cut
from tests.hosts.executors import NETS, Attention, Residual, hold, other_params, random_masks, repeated
from tests.passes.legal import random_cut
from tests.zoo.parts import images, seeded


@pytest.fixture(scope="module", params=list(NETS))
def opened(request: pytest.FixtureRequest) -> Session:
    torch.manual_seed(0)
    return open_model(*NETS[request.param]())


def feeds_of(session: Session) -> Mapping[str, Array]:
    feeds = session.feeds()
    assert feeds is not None
    return feeds


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_value_is_that_of_the_reference(opened: Session, dtype: str) -> None:
    hold(opened.executor(dtype=dtype), feeds_of(opened), dtype)


def test_it_is_so_with_masks_and_other_params_and_from_a_frontier(opened: Session) -> None:
    graph, executor = opened.graph, opened.executor(dtype="float64")
    feeds, masks, params = feeds_of(opened), random_masks(graph), other_params(graph)
    masked = hold(executor, feeds, "float64", masks=masks)
    whole = hold(executor, feeds, "float64", params=params)
    assert any(np.any(masked[name] != whole[name]) for name in graph.outputs)
    middle = len(graph.nodes) // 2
    made = {*graph.inputs, *(name for node in graph.nodes[:middle] for name in node.outputs)}
    read = {name for node in graph.nodes[middle:] for name in node.inputs if name in made}
    later = [name for node in graph.nodes[middle:] for name in node.outputs if name]
    given = {name: whole[name] for name in read}
    again = hold(executor, given, "float64", wanted=later, params=params)
    for name in later:
        np.testing.assert_array_equal(again[name], whole[name])


@pytest.mark.parametrize("count", [1, 5])
def test_any_number_of_samples_gives_what_the_module_gives(opened: Session, count: int) -> None:
    model = vars(opened)["_model"]
    executor, feeds = opened.executor(), repeated(feeds_of(opened), count)
    (output,) = opened.graph.outputs
    ((_, got),) = executor.walk(feeds, wanted=[output])
    with torch.no_grad():
        want = model(*(torch.from_numpy(array) for array in feeds.values()))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
    hold(executor, feeds, "float32")


@pytest.mark.parametrize("seed", range(3))
def test_a_cut_graph_is_run_by_the_same_operators(opened: Session, seed: int) -> None:
    coupling = couple(opened.graph)
    small = cut(opened.graph, random_cut(coupling, seed))
    assert small is not opened.graph
    executor = opened.executor(small, dtype="float64")
    hold(executor, feeds_of(opened), "float64")
    hold(executor, repeated(feeds_of(opened), 3), "float64")
    assert not {node.name for node in small.nodes} - vars(executor)["_calls"].keys()


class Odd(nn.Module):
    """Draws, drops, and counts its batches while it is evaluated."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 4, 1)
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("var", torch.ones(6))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        x = functional.batch_norm(self.a(x), self.mean, self.var, training=True)
        x = functional.dropout(x, 0.3, training=True)
        return self.b(x + 0.1 * torch.rand_like(x))


def test_the_module_stays_as_it_is_whatever_its_operators_write() -> None:
    model = seeded(Odd)
    session = open_model(model, images(4))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.random.get_rng_state()
    executor = session.executor()
    for _ in range(2):
        list(executor.walk(feeds_of(session), wanted=session.graph.values))
    list(executor.gradients(feeds_of(session), wanted=session.graph.values, loss=lambda made: made[0].sum()))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_draws_are_those_of_the_reference_from_any_frontier_and_after_a_cut() -> None:
    session = open_model(seeded(Odd), images(4))
    graph = session.graph
    made = hold(session.executor(dtype="float64"), feeds_of(session), "float64")
    later = list(graph.values)[-4:]
    frontier = {name: array for name, array in made.items() if name not in later}
    hold(session.executor(dtype="float64"), frontier, "float64", wanted=later)
    small = cut(graph, random_cut(couple(graph), 0))
    hold(session.executor(small, dtype="float64"), feeds_of(session), "float64")


def test_values_are_freed_after_their_last_reader() -> None:
    session = open_model(nn.Sequential(*(nn.Linear(4, 4) for _ in range(6))), torch.randn(2, 4))
    seen, alive = [], []
    for _, tensor in session.executor().walk(feeds_of(session), wanted=session.graph.values):
        seen.append(weakref.ref(tensor))
        alive.append(sum(one() is not None for one in seen))
    # One is in the walk's hands for the next reader, one in the loop's.
    assert max(alive) <= 2


def test_nothing_is_recorded_and_the_caller_goes_on_as_before() -> None:
    session = open_model(*NETS["conv"]())
    given = {name: torch.from_numpy(array).requires_grad_() for name, array in feeds_of(session).items()}
    for _, tensor in session.executor().walk(given, wanted=session.graph.values):
        assert not tensor.requires_grad and torch.is_grad_enabled()


def test_half_precision_models_are_run_in_one_type() -> None:
    model = seeded(Residual).bfloat16()
    session = open_model(model, images(8).bfloat16())
    hold(session.executor(), feeds_of(session), "float32")


def test_what_trains_only_is_run_with_what_is_deployed() -> None:
    class Auxiliary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            x = torch.relu(self.a(x))
            return (self.b(x), self.c(x)) if self.training else (self.b(x),)

    session = open_model(Auxiliary().eval(), torch.randn(2, 4))
    assert len(session.graph.runs) == 2
    hold(session.executor(), feeds_of(session), "float32")


def test_params_are_those_of_the_live_module() -> None:
    model = nn.Sequential(nn.Linear(4, 3))
    session = open_model(model, torch.randn(2, 4))
    executor = session.executor()
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.fill_(2.0)
    ((_, made),) = executor.walk(feeds_of(session), wanted=session.graph.outputs)
    assert torch.equal(made, torch.full((2, 3), 2.0))


# Gradients.


def gradients(session: Session, feeds: Mapping[str, Array]) -> dict[str, tuple[Array, Array]]:
    executor = session.executor(dtype="float64")
    found = executor.gradients(feeds, wanted=session.graph.values, loss=lambda made: (made[0] ** 2).sum())
    return {name: (executor.array(value), executor.array(gradient)) for name, value, gradient in found}


def test_gradients_are_the_slopes_of_the_reference(opened: Session) -> None:
    """Along a random direction at a few values."""
    graph, rng = opened.graph, np.random.default_rng(0)
    feeds = feeds_of(opened)
    found = gradients(opened, feeds)
    (output,) = graph.outputs
    reference = NumpyExecutor(graph, "float64")
    values = dict(reference.walk(feeds, wanted=graph.values))

    def loss(given: Mapping[str, Array]) -> float:
        ((_, made),) = reference.walk(given, wanted=[output])
        return float((made**2).sum())

    order = list(graph.values)
    for name in order[1 :: max(len(order) // 6, 1)]:
        if values[name].dtype.kind != "f" or name == output:
            continue
        np.testing.assert_allclose(found[name][0], values[name], 1e-9, 1e-9)
        way = rng.standard_normal(values[name].shape) * 1e-5
        slope = (loss({**feeds, name: values[name] + way}) - loss({**feeds, name: values[name] - way})) / 2
        assert slope == pytest.approx(float((found[name][1] * way).sum()), rel=1e-3, abs=1e-9), name


def test_gradients_of_more_samples_are_those_of_each_by_itself(opened: Session) -> None:
    feeds = repeated(feeds_of(opened), 5)
    whole = gradients(opened, feeds)
    first = gradients(opened, {name: array[:2] for name, array in feeds.items()})
    for name, (value, gradient) in first.items():
        axes = [at for at, (a, b) in enumerate(zip(value.shape, whole[name][0].shape, strict=True)) if a != b]
        if axes:
            part = np.take(whole[name][1], range(value.shape[axes[0]]), axes[0])
            np.testing.assert_allclose(gradient, part, 1e-6, 1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("loss", "what"),
    [
        (lambda made: made[0], "no single number"),
        (lambda made: float(made[0].detach().sum()), "no single number"),
        (lambda made: made[0].sum().detach(), "no gradient at the wanted values"),
    ],
)
def test_a_loss_that_has_no_gradient_is_refused(loss: object, what: str) -> None:
    session = open_model(Attention().eval(), torch.randn(2, 4, 12))
    with pytest.raises(UsageError, match=what):
        list(session.executor().gradients(feeds_of(session), wanted=session.graph.values, loss=loss))  # type: ignore[arg-type]


def test_a_failing_operator_is_named() -> None:
    session = open_model(nn.Embedding(3, 2), torch.tensor([[1, 2]]))
    with pytest.raises(PrunepassError, match="'embedding' could not be run"):
        list(
            session.executor().walk(
                {session.graph.inputs[0]: np.array([[1, 99]])}, wanted=session.graph.outputs
            )
        )
