"""Pruning and observing with data: torch modules with loaders, ONNX files with numpy files, losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import prunepass as pp
from prunepass.hosts import Session, open_model
from prunepass.passes import couple, scores, source_of
from prunepass.passes.analyses import SOURCES, Batches
from prunepass.passes.analyses.statistics import ByClass, Covariance, Mean, SecondMoment, Taylor, Variance
from prunepass.passes.coupling import ReadPlace


class Small(nn.Module):
    """A convolution, a residual block and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.inner = nn.Conv2d(8, 12, 3, padding=1)
        self.outer = nn.Conv2d(12, 8, 1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.stem(x)))
        x = functional.relu(x + self.outer(functional.silu(self.inner(x))))
        return self.head(x.mean(dim=(2, 3)))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return Small().eval()


@pytest.fixture(scope="module")
def session(net: nn.Module) -> Session:
    """The net, captured once for all tests that only observe it."""
    return open_model(net, ONE, form="graph")


X = torch.randn(10, 3, 6, 6, generator=torch.Generator().manual_seed(1))
Y = torch.arange(10) % 4
ONE = X[:1]


def loader(batch: int = 4) -> DataLoader[Any]:
    return DataLoader(TensorDataset(X, Y), batch_size=batch)


def cross_entropy(outputs: torch.Tensor, batch: pp.Batch) -> torch.Tensor:
    return functional.cross_entropy(outputs, batch.target)


def reads_by_hand(net: nn.Module, name: str) -> np.ndarray[Any, Any]:
    """What a layer reads of all the data."""
    seen: list[torch.Tensor] = []
    layer = net.get_submodule(name)
    handle = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    with torch.no_grad():
        net(X)
    handle.remove()
    return seen[0].double().numpy()


def read_by(seen: pp.Observed, group: str, path: str, session: Session) -> ReadPlace:
    """The read of a group by the layer at ``path``."""
    paths = {node.name: node.origin.path for node in session.graph.nodes}
    (found,) = (read for read in seen.of_group(group) if paths[read.node] == path)
    return found


@pytest.mark.parametrize("batch", [1, 4, 10])
def test_what_layers_read_is_observed_as_hooks_see_it(net: nn.Module, session: Session, batch: int) -> None:
    seen = observed(session, pp.task_of(loader(batch)), *(Mean(), Variance(), SecondMoment(), Covariance()))
    assert (seen.source, seen.samples) == ("data", 10)
    for group, layer in (("stem", "inner"), ("inner", "outer"), ("stem", "head")):
        read = read_by(seen, group, layer, session)
        rows = np.moveaxis(reads_by_hand(net, layer), 1, -1).reshape(-1, read.dim.size)
        np.testing.assert_allclose(seen[Mean(), read], rows.mean(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(seen[Variance(), read], rows.var(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(seen[SecondMoment(), read], (rows**2).mean(axis=0), rtol=1e-4)
        covariance = np.cov(rows, rowvar=False, bias=True)
        np.testing.assert_allclose(seen[Covariance(), read], covariance, rtol=1e-3, atol=1e-6)


def observed(session: Session, task: pp.Task, *wanted: Any) -> pp.Observed:
    """What ``pp.observe`` sees, in float64."""
    executor = session.executor(dtype="float64")
    loss = None if task.loss is None else task.mean_loss
    return Batches(executor, lambda: task.feeds(session.graph), loss)(couple(session.graph), wanted)


def test_taylor_is_the_derivative_of_the_loss_by_a_factor_in_front_of_the_read(session: Session) -> None:
    executor, (name,) = session.executor(dtype="float64"), session.graph.inputs
    outputs = session.graph.outputs

    def loss(factors: dict[Any, Any], at: int) -> float:
        (made,) = (t for _, t in executor.walk({name: X[at : at + 1].numpy()}, wanted=outputs, masks=factors))
        return float(functional.cross_entropy(made, Y[at : at + 1]))

    seen = observed(session, pp.task_of([(X[:3], Y[:3])], loss=cross_entropy), Taylor())
    assert len(seen.reads) == 3
    for read in seen.reads:
        for channel in (0, 3, 7):
            shape = [1] * len(session.graph.values[read.value].shape)
            shape[read.axis] = read.dim.size
            up, down = np.ones(shape), np.ones(shape)
            np.moveaxis(up, read.axis, 0)[channel] += 1e-5
            np.moveaxis(down, read.axis, 0)[channel] -= 1e-5
            place = read.node, read.position
            slopes = [abs(loss({place: up}, at) - loss({place: down}, at)) / 2e-5 for at in range(3)]
            np.testing.assert_allclose(seen[Taylor(), read][channel], np.mean(slopes), rtol=1e-5, atol=1e-9)


def test_taylor_does_not_depend_on_how_the_data_are_split(session: Session) -> None:
    whole, parts = (
        observed(session, pp.task_of(loader(batch), loss=cross_entropy), Taylor(), ByClass(Mean()))
        for batch in (10, 3)
    )
    for read in whole.reads:
        np.testing.assert_allclose(whole[Taylor(), read], parts[Taylor(), read], rtol=1e-6)
        np.testing.assert_allclose(whole[ByClass(Mean()), read], parts[ByClass(Mean()), read], rtol=1e-6)


@pytest.mark.parametrize("score", ["wanda", "variance{source=data}", "taylor"])
def test_a_torch_net_is_pruned_with_a_loader(net: nn.Module, score: str) -> None:
    task = pp.task_of(loader(), loss=cross_entropy)
    result = pp.prune(net, ONE, score=score, task=task, budget="macs=0.6")
    assert result.plan.cuts
    assert result.plan.options["score"] == score.partition("{")[0]
    assert result.model(X).shape == (10, 4)
    assert result.report.proof.worst < 1e-9


def test_a_loader_alone_is_a_task_and_its_means_repair_what_the_model_does_not_know() -> None:
    torch.manual_seed(0)
    net = Small().eval()
    with torch.no_grad():
        net.inner.bias += 1
        results = [pp.prune(net, ONE, score="l2", task=task, keep=["stem"]) for task in (None, loader())]
        lost = [float((result.model(X) - net(X)).norm()) for result in results]
    assert results[0].plan.cuts == results[1].plan.cuts
    assert lost[1] < 0.8 * lost[0]


@pytest.fixture
def file(net: nn.Module, tmp_path: Path) -> str:
    """The same net as an ONNX file."""
    weights = [numpy_helper.from_array(tensor.numpy(), name) for name, tensor in net.state_dict().items()]
    weights.append(numpy_helper.from_array(np.array([2, 3]), "axes"))
    norm = [f"norm.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    nodes = [
        helper.make_node("Conv", ["image", "stem.weight", "stem.bias"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", *norm], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "inner.weight", "inner.bias"], ["d"], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["d"], ["e"]),
        helper.make_node("Mul", ["d", "e"], ["f"]),
        helper.make_node("Conv", ["f", "outer.weight", "outer.bias"], ["g"]),
        helper.make_node("Add", ["c", "g"], ["h"]),
        helper.make_node("Relu", ["h"], ["i"]),
        helper.make_node("ReduceMean", ["i", "axes"], ["j"], keepdims=0),
        helper.make_node("Gemm", ["j", "head.weight", "head.bias"], ["k"], transB=1),
    ]
    image = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, 6, 6])
    out = helper.make_tensor_value_info("k", onnx.TensorProto.FLOAT, [1, 4])
    graph = helper.make_graph(nodes, "small", [image], [out], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "net.onnx")
    return str(tmp_path / "net.onnx")


@pytest.mark.parametrize("score", ["wanda", "stade"])
def test_an_onnx_file_is_pruned_with_a_numpy_file(file: str, tmp_path: Path, score: str) -> None:
    np.savez(tmp_path / "data.npz", image=X.numpy(), target=Y.numpy())
    result = pp.prune(file, score=score, task=str(tmp_path / "data.npz"), budget="macs=0.6")
    assert result.plan.cuts
    pp.verify(file, result.model, result.plan)


def test_both_hosts_observe_the_same(net: nn.Module, file: str) -> None:
    one, other = (pp.observe(*given, [Mean(), Variance()], X) for given in ((net, ONE), (file, None)))
    assert len(one.reads) == len(other.reads) == 3
    for left, right in zip(one.reads, other.reads, strict=True):
        np.testing.assert_allclose(one[Variance(), left], other[Variance(), right], rtol=1e-3, atol=1e-6)


def test_gradients_are_for_torch_alone(file: str) -> None:
    task = pp.task_of([X.numpy()], loss=lambda outputs, batch: outputs.sum())
    with pytest.raises(pp.UnsupportedError, match="gradients are computed by torch alone"):
        pp.prune(file, score="taylor", task=task)


LOSSES: dict[str, tuple[Callable[[Any, pp.Batch], Any] | None, str]] = {
    "none": (None, "gradients need a loss"),
    "detached": (
        lambda outputs, batch: functional.cross_entropy(outputs.detach(), batch.target),
        "no gradient",
    ),
    "in numpy": (lambda outputs, batch: float(outputs.detach().numpy().sum()), "no single number"),
    "many numbers": (lambda outputs, batch: outputs, "no single number"),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_a_loss_without_a_gradient_is_one_clear_error(session: Session, kind: str) -> None:
    loss, what = LOSSES[kind]
    with pytest.raises(pp.UsageError, match=what):
        observed(session, pp.task_of(loader(), loss=loss), Taylor())


def test_observing_changes_nothing_of_the_model(net: nn.Module) -> None:
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    pp.observe(net, ONE, [Mean(), Taylor()], pp.task_of(loader(), loss=cross_entropy))
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not net.training


@pytest.mark.parametrize("source", SOURCES)
def test_three_sources_answer_alike(session: Session, source: str) -> None:
    ask = source_of(source, pp.task_of(loader()), session.executor(), "a test")
    seen = ask(couple(session.graph), (Variance(),))
    assert seen.source == source
    known = [read for read in seen.reads if read.place not in seen.unknown]
    assert known
    assert all(np.all(seen[Variance(), read] > 0) for read in known)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"statistics": []}, "nothing to observe"),
        ({"statistics": ["median"]}, "no statistic 'median'"),
        ({"statistics": [Mean]}, "is no statistic"),
        ({"statistics": ["mean"], "source": "dreams"}, "no source 'dreams'"),
        ({"statistics": ["mean"], "source": "data"}, "observe needs data"),
    ],
)
def test_wrong_use_of_observe_is_one_clear_error(net: nn.Module, given: Any, what: str) -> None:
    with pytest.raises(pp.UsageError, match=what):
        pp.observe(net, ONE, **given)


@pytest.mark.parametrize("score", [scores.Wanda(), scores.Stade(), scores.Taylor()])
def test_what_was_observed_holds_for_another_capture_of_the_model(net: nn.Module, score: Any) -> None:
    """Index spaces are those of one capture; reads are found by their names."""
    task = pp.task_of(loader(), loss=cross_entropy)
    seen = pp.observe(net, ONE, score.needs, task)
    found = score(couple(pp.capture(net, ONE)), seen)
    opened = open_model(net, ONE, form="graph")
    own = couple(opened.graph)
    want = score(own, source_of("data", task, opened.executor(), "a test")(own, score.needs))
    assert found.keys() == want.keys()
    for name, values in want.items():
        assert len(set(values.tolist())) > 1
        np.testing.assert_allclose(found[name], values, rtol=1e-5)


def test_statistics_of_another_network_are_refused(net: nn.Module) -> None:
    seen = pp.observe(net, ONE, ["second_moment"], loader())
    other = nn.Sequential(nn.Flatten(), nn.Linear(108, 8), nn.Tanh(), nn.Linear(8, 4)).eval()
    with pytest.raises(pp.UsageError, match="observed on another network"):
        scores.Wanda()(couple(pp.capture(other, ONE)), seen)
    narrow = pp.prune(net, ONE, score="l2").model
    with pytest.raises(pp.UsageError, match="entries along axis"):
        scores.summed(couple(pp.capture(narrow, ONE)), seen, lambda read: seen.of(SecondMoment(), read))


def test_gradients_are_recorded_whatever_the_mode_around(net: nn.Module) -> None:
    task = pp.task_of(loader(), loss=cross_entropy)
    want = pp.prune(net, ONE, score="taylor", task=task).plan
    with torch.no_grad():
        assert pp.prune(net, ONE, score="taylor", task=task).plan == want


@pytest.mark.parametrize("given", [X.to("meta"), X.to_sparse()])
def test_tensors_that_cannot_be_read_are_one_clear_error(net: nn.Module, given: torch.Tensor) -> None:
    with pytest.raises(pp.UsageError, match="batch 1 of the data cannot be read"):
        pp.observe(net, ONE, ["mean"], [given])


@dataclass(frozen=True)
class Gives:
    """A score that gives what a function makes of the number of channels, by group."""

    name: ClassVar[str] = "gives"
    made: Callable[[int], Any] | None = None
    needs: tuple[Any, ...] = ()

    def __call__(self, coupling: Any, seen: Any = None) -> Any:
        return None if self.made is None else {g.name: self.made(g.size) for g in coupling.prunable}


@pytest.mark.parametrize("needs", [(), (Mean(),)])
def test_scores_may_be_tensors_and_are_numbers(net: nn.Module, needs: tuple[Any, ...]) -> None:
    plain = pp.prune(net, ONE, score=Gives(lambda size: np.arange(float(size)), needs), task=loader()).plan
    for made in (lambda size: torch.arange(float(size), requires_grad=True), lambda size: list(range(size))):
        assert pp.prune(net, ONE, score=Gives(made, needs), task=loader()).plan.cuts == plain.cuts
    with pytest.raises(pp.UsageError, match="gave a NoneType, not numbers by group name"):
        pp.prune(net, ONE, score=Gives(None, needs), task=loader())
    with pytest.raises(pp.UsageError, match="is no array of numbers"):
        pp.prune(net, ONE, score=Gives(lambda size: np.ones(size) * 1j, needs), task=loader())
