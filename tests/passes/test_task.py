"""Tasks: batches from what people hold, and one clear error for each wrong use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from prunepass.ir import Array, Graph, UsageError
from prunepass.passes import Batch, Task, task_of
from tests.graphs import Builder, chain

X = np.random.default_rng(0).standard_normal((5, 3, 4, 4)).astype(np.float32)
Y = np.array([0, 2, 1, 0, 2])


def two_inputs() -> Graph:
    net = Builder()
    return net.graph(
        net.add("add", net.linear(net.input(2, 4), 3, path="a"), net.linear(net.input(2, 5), 3, path="b"))
    )


def loaded(task: Task, graph: Graph | None = None) -> tuple[dict[str, Array], Array | None]:
    """All inputs of all batches, joined, and the labels."""
    graph = chain() if graph is None else graph
    feeds = list(task.feeds(graph))
    assert all(feed.samples == len(next(iter(feed.inputs.values()))) for feed in feeds)
    labels = [feed.labels for feed in feeds if feed.labels is not None]
    joined = {name: np.concatenate([feed.inputs[name] for feed in feeds]) for name in graph.inputs}
    return joined, np.concatenate(labels) if labels else None


T = torch.from_numpy
HELD: dict[str, tuple[Callable[[], Any], bool]] = {
    "a DataLoader of pairs": (lambda: DataLoader(TensorDataset(T(X), T(Y)), batch_size=2), True),
    "a DataLoader of inputs": (lambda: DataLoader(TensorDataset(T(X)), batch_size=2), False),
    "a data set of samples": (lambda: TensorDataset(T(X), T(Y)), True),
    "a list of tensors": (lambda: [T(X[:2]), T(X[2:])], False),
    "a list of arrays": (lambda: [X[:2], X[2:]], False),
    "a list of samples": (lambda: list(X), False),
    "pairs": (lambda: [(X[:3], Y[:3]), (X[3:], Y[3:])], True),
    "pairs of samples": (lambda: list(zip(X, Y.tolist(), strict=True)), True),
    "batches": (lambda: [Batch(X, Y)], True),
    "batches of named inputs": (lambda: [Batch({"x0": X}, Y)], True),
    "dicts": (lambda: [{"x0": X[:1]}, {"x0": X[1:]}], False),
    "dicts with labels": (lambda: [{"x0": X[:1], "labels": Y[:1]}, {"x0": X[1:], "labels": Y[1:]}], True),
    "one array": (lambda: X, False),
    "one tensor": (lambda: T(X), False),
    "one dict of arrays": (lambda: {"x0": X, "target": Y}, True),
    "a function": (lambda: lambda: iter([X[:2], X[2:]]), False),
    "halves": (lambda: [T(X).bfloat16().float()], False),
}


@pytest.mark.parametrize("held", HELD)
def test_a_task_is_made_of(held: str) -> None:
    make, labelled = HELD[held]
    task = task_of(make())
    for _ in range(2):
        inputs, labels = loaded(task)
        np.testing.assert_allclose(inputs["x0"], X, atol=0.02 if held == "halves" else 0)
        assert (labels is not None) == labelled
        if labels is not None:
            np.testing.assert_array_equal(labels, Y)


def test_types_that_numpy_has_not_are_read_too() -> None:
    np.testing.assert_allclose(loaded(task_of([T(X).bfloat16()]))[0]["x0"], X, atol=0.02)


def test_large_arrays_come_in_batches() -> None:
    feeds = list(task_of(np.zeros((70, 3, 4, 4))).feeds(chain()))
    assert [feed.samples for feed in feeds] == [32, 32, 6]


@pytest.mark.parametrize("names", [("x0",), ("arr_0",)])
def test_numpy_files(tmp_path: Path, names: tuple[str, ...]) -> None:
    np.savez(tmp_path / "data.npz", **{names[0]: X, "target": Y})
    inputs, labels = loaded(task_of(str(tmp_path / "data.npz")))
    np.testing.assert_array_equal(inputs["x0"], X)
    np.testing.assert_array_equal(labels, Y)
    np.save(tmp_path / "data.npy", X)
    np.testing.assert_array_equal(loaded(task_of(tmp_path / "data.npy"))[0]["x0"], X)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((1, 3, 8, 6), "float32"), ((1, 8, 6, 3), "uint8"), ((1, 1, 8, 6), "float32")]
)
def test_a_folder_of_images_takes_the_form_of_the_input(
    tmp_path: Path, shape: tuple[int, ...], dtype: str
) -> None:
    for name, size, shade in (
        ("dog/1.png", (12, 8), 255),
        ("cat/0.png", (6, 30), 51),
        ("cat/note.txt", None, 0),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if size is None:
            path.write_text("no image")
        else:
            Image.new("RGB", size, (shade, shade, shade)).save(path)
    net = Builder()
    graph = net.graph(net.input(*shape, dtype=dtype))
    inputs, labels = loaded(task_of(tmp_path), graph)
    assert inputs["x0"].shape == (2, *shape[1:])
    assert labels is not None
    assert labels.tolist() == [0, 1]  # cat, dog
    want = (51, 255) if dtype == "uint8" else (0.2, 1.0)
    np.testing.assert_allclose(inputs["x0"].reshape(2, -1).mean(axis=1), want, rtol=1e-6)


def test_names_of_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "held_data.py").write_text(
        "import numpy as np\ndef data(): return [np.zeros((2, 3, 4, 4))]\ndef rate(model): return 0.5\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    task = task_of("held_data:data", evaluate="held_data:rate")
    assert loaded(task)[0]["x0"].shape == (2, 3, 4, 4)
    assert task.evaluated(None) == 0.5
    assert task_of(task, loss=len).evaluate is task.evaluate
    sys.modules.pop("held_data")
    for name, what in (("held_data:nope", "cannot be imported"), ("nowhere.at_all:f", "cannot be imported")):
        with pytest.raises(UsageError, match=what):
            task_of(name)
    with pytest.raises(UsageError, match="names no function"):
        task_of(evaluate="not a name")
    with pytest.raises(UsageError, match="no function"):
        task_of("sys:path")


def test_several_inputs_go_in_order_or_by_name() -> None:
    graph = two_inputs()
    one, two, target = np.zeros((2, 4)), np.ones((2, 5)), np.array([1, 0])
    for item in (
        (one, two),
        (one, two, target),
        ((one, two), target),
        {"x1": two, "x0": one},
        ({"x0": one, "x1": two}, target),
    ):
        inputs, _ = loaded(task_of([item]), graph)
        np.testing.assert_array_equal(inputs["x1"], two)


def nan() -> Array:
    data = X.copy()
    data[3, 0, 0, 0] = np.nan
    return data


WRONG: dict[str, tuple[Any, str]] = {
    "another shape": (
        [np.zeros((2, 3, 5, 4))],
        r"input 'x0' of batch 1 of the data has shape \(2, 3, 5, 4\), the model takes",
    ),
    "another rank": ([np.zeros((2, 3))], "has shape"),
    "NaN": ([X, nan()], "input 'x0' of batch 2 of the data holds NaN"),
    "infinity": ([np.full_like(X, np.inf)], "holds infinite numbers"),
    "unknown inputs": ([{"pixels": X}], "inputs that the model does not read: pixels"),
    "missing inputs": ([{}], "lacks x0"),
    "too many parts": ([(X, Y, None, None)], "has 4 parts"),
    "text": ([["a", "b"]], "no array of numbers|has shape|parts"),
    "no batches": ([], "hold no batches"),
    "arrays of different lengths": (lambda: {"x0": X, "target": Y[:2]}, "different numbers of samples"),
    "a missing file": ("nowhere.npz", "no such file"),
    "another file": (__file__, "a data file is an .npz"),
    "a function that returns none": (lambda: None, "are no batches, but None"),
    "a number": (3, "are batches, not 3"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_data_is_one_clear_error(wrong: str) -> None:
    data, what = WRONG[wrong]
    with np.errstate(all="ignore"), pytest.raises(UsageError, match=what):
        list(task_of(data() if wrong == "arrays of different lengths" else data).feeds(chain()))


def test_inputs_of_different_numbers_of_samples_are_refused() -> None:
    with pytest.raises(UsageError, match="different numbers of samples: x0 2, x1 3"):
        list(task_of([(np.zeros((2, 4)), np.zeros((3, 5)))]).feeds(two_inputs()))


def test_indices_are_whole_numbers() -> None:
    net = Builder()
    graph = net.graph(net.input(2, 4, dtype="int64"))
    with pytest.raises(UsageError, match="holds floats, the model reads int64"):
        list(task_of([np.zeros((2, 4))]).feeds(graph))
    assert next(task_of([np.zeros((2, 4), np.int32)]).batches(graph))["x0"].dtype == np.int64


def test_what_can_be_read_once_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="read more than once, and a generator runs out"):
        task_of(batch for batch in [X])


def test_what_runs_out_later_is_told() -> None:
    class Once:
        def __init__(self) -> None:
            self.left = iter([X, X])

        def __iter__(self) -> Iterator[Array]:
            return self.left

    task = task_of(Once())
    assert len(list(task.feeds(chain()))) == 2
    with pytest.raises(UsageError, match="ran out: 2 batches came the first time, none now"):
        list(task.feeds(chain()))


def test_files_that_hold_something_else_are_told(tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="cannot be read"):
        task_of(tmp_path / "bad.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no images"):
        task_of(tmp_path / "empty")
    (tmp_path / "empty" / "a.png").write_bytes(b"nothing")
    net = Builder()
    with pytest.raises(UsageError, match=r"none of the 1 images can be read: a\.png"):
        list(task_of(tmp_path / "empty").feeds(net.graph(net.input(1, 3, 4, 4))))
    with pytest.raises(UsageError, match="no data for a model whose inputs have the shapes"):
        list(task_of(tmp_path / "empty").feeds(two_inputs()))


@pytest.mark.parametrize("found", [None, "good", True, float("nan"), np.zeros(3), [0.5]])
def test_an_evaluation_that_returns_no_number_is_refused(found: Any) -> None:
    with pytest.raises(UsageError, match="which is no number"):
        task_of(evaluate=lambda model: found).evaluated(None)


@pytest.mark.parametrize("found", [1, 0.5, np.float32(0.5), torch.tensor(0.5), np.array([0.5])])
def test_an_evaluation_may_return_any_number(found: Any) -> None:
    assert task_of(evaluate=lambda model: found).evaluated(None) == float(np.ravel(found)[0])


@pytest.mark.parametrize("part", ["data", "loss", "evaluate", "tune"])
def test_a_part_that_is_missing_says_how_to_give_it(part: str) -> None:
    with pytest.raises(UsageError, match=f"driver 'iterate' needs {part}, and the task has none") as error:
        Task().need(part, "driver 'iterate'")
    assert "task=" in error.value.advice
    assert Task(data=[X]).need("data", "any") == [X]


@pytest.mark.parametrize("part", ["loss", "evaluate", "tune"])
def test_parts_are_functions(part: str) -> None:
    with pytest.raises(UsageError, match=f"{part} of a task is a function"):
        Task(**{part: 3})
