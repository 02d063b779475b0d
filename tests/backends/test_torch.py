from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prunepass import backends
from prunepass.backends import TensorSpec
from prunepass.ir import UnsupportedError, UsageError

torch = pytest.importorskip("torch")
nn = torch.nn

from tests.backends.modules import IMAGE, Counting, Nested, conv_net, exported, free_batch  # noqa: E402  (needs torch)

TORCH = backends.get("torch")
EPS = 2**-23


@pytest.mark.parametrize("form", ["pair", "program", "path", "text", "graph", "traced"])
def test_every_form_of_a_model_computes_the_same(form: str, tmp_path: Path) -> None:
    net, file = conv_net().eval(), tmp_path / "net.pt2"
    program = free_batch()
    torch.export.save(program, file)
    forms = {
        "pair": (net, IMAGE),
        "program": program,
        "path": file,
        "text": str(file),
        "graph": (program.module(), IMAGE),
        "traced": (torch.fx.symbolic_trace(net), (IMAGE,)),
    }
    wanted = net(IMAGE).detach().numpy()
    with TORCH.build(forms[form]) as engine:
        assert isinstance(engine, backends.Engine)
        assert engine.backend is TORCH
        made = engine.run({engine.inputs[0].name: IMAGE.numpy()})
    np.testing.assert_array_equal(made["output"], wanted)


def test_a_program_keeps_its_free_sizes_and_a_module_those_of_its_example() -> None:
    net = conv_net()
    for model, batch in (((net, IMAGE), 2), (free_batch(), None)):
        with TORCH.build(model) as engine:
            (given,), (made,) = engine.inputs, engine.outputs
            assert given == TensorSpec("input", (batch or given.shape[0], 3, 4, 4), "float32")
            assert made == TensorSpec("output", (batch or given.shape[0], 128), "float32")
            assert isinstance(given.shape[0], int if batch else str)
            if not batch:
                five = engine.run({"input": np.zeros((5, 3, 4, 4), np.float32)})
                assert five["output"].shape == (5, 128)


@pytest.mark.parametrize("form", ["module", "program"])
def test_nested_arguments_and_results_have_one_name_each(form: str) -> None:
    net, rows = Nested().eval(), torch.ones(3, 2)
    # One object twice would be one input of an exported program.
    args, kwargs = ((rows, rows * 2), 0.5), {"mask": torch.ones(2), "shift": rows.clone()}
    model = (net, (args, kwargs)) if form == "module" else torch.export.export(net, args, kwargs)
    feeds = {"pair_0": rows.numpy(), "pair_1": rows.numpy() * 2, "mask": np.ones(2, np.float32)}
    feeds["shift"] = rows.numpy() * 3
    with TORCH.build(model) as engine:
        assert [spec.name for spec in engine.inputs] == list(feeds)
        assert [spec.name for spec in engine.outputs] == ["logits", "parts_0", "parts_1"]
        made = engine.run(feeds)
    wanted = net(args[0], 0.5, mask=rows[0], shift=rows * 3)
    np.testing.assert_array_equal(made["logits"], wanted["logits"].detach().numpy())
    np.testing.assert_array_equal(made["parts_1"], wanted["parts"][1].detach().numpy())


@pytest.mark.parametrize("dtype", ["same", "bf16"])
def test_the_users_model_and_the_feeds_are_left_as_they_were(dtype: str) -> None:
    net, x = Counting().train(), np.ones(2, np.float32)
    program = exported(Counting(), torch.ones(2))
    for model, held in (((net, torch.ones(2)), net.count), (program, program.state_dict["count"])):
        with TORCH.build(model, options={"dtype": dtype}) as engine:
            engine.run({"x": x})
            engine.profile(runs=1)
        assert held.tolist() == [0, 0]
        assert held.dtype == torch.float32
    assert net.training
    assert x.tolist() == [1, 1]


def test_a_module_runs_in_evaluation_mode() -> None:
    with TORCH.build((conv_net().train(), IMAGE)) as engine:
        feeds = {"input": IMAGE.numpy()}
        np.testing.assert_array_equal(engine.run(feeds)["output"], engine.run(feeds)["output"])


def test_a_result_stays_when_the_engine_runs_again() -> None:
    with TORCH.build((Counting(), torch.ones(2))) as engine:
        first = engine.run({"x": np.ones(2, np.float32)})
        before = first["0"].copy()
        engine.run({"x": np.ones(2, np.float32)})
    np.testing.assert_array_equal(first["0"], before)


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8", "float16", "bfloat16", "float64"])
def test_every_type_of_input_keeps_its_type_and_values(dtype: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    x = np.array([[0, 1], [3, 1.5]]).astype(kind)
    with TORCH.build((nn.Identity(), torch.zeros(2, 2, dtype=getattr(torch, dtype)))) as engine:
        assert [engine.inputs[0].dtype, engine.outputs[0].dtype] == [dtype, dtype]
        made = engine.run({"input": x})["output"]
    assert made.dtype == kind
    np.testing.assert_array_equal(made, x)


def test_arrays_in_any_order_of_memory_are_read_right() -> None:
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    fixed = x.copy()
    fixed.flags.writeable = False
    with TORCH.build((nn.Identity(), torch.zeros(4, 2))) as engine:
        for same in (x.T.copy().T, x[::-1].copy()[::-1], x.astype(">f4"), fixed):
            np.testing.assert_array_equal(engine.run({"input": same})["output"], x)


def test_the_layout_changes_nothing_but_rounding() -> None:
    wanted = conv_net().eval()(IMAGE).detach().numpy()
    with TORCH.build(free_batch(), options={"memory_format": "channels_last"}) as engine:
        made = engine.run({"input": IMAGE.numpy()})["output"]
        weights = engine._open().module.get_parameter("0.weight")
        assert weights.is_contiguous(memory_format=torch.channels_last)
    # 27 products a sum, in another order, of numbers up to the largest.
    np.testing.assert_allclose(made, wanted, rtol=0, atol=2 * 27 * EPS * np.abs(wanted).max())


@pytest.mark.parametrize(("dtype", "digits"), [("fp16", 11), ("bf16", 8)])
@pytest.mark.parametrize("form", ["pair", "program"])
def test_a_narrower_type_is_inside_only(dtype: str, digits: int, form: str) -> None:
    wanted = conv_net().eval()(IMAGE).detach().numpy()
    model = (conv_net(), IMAGE) if form == "pair" else free_batch()
    with TORCH.build(model, options={"dtype": dtype}) as engine:
        assert {engine.inputs[0].dtype, engine.outputs[0].dtype} == {"float32"}
        made = engine.run({"input": IMAGE.numpy()})["output"]
        assert engine.memory().weights == (8 * 27 + 5 * 8) * 2 + 8
    off = np.abs(made - wanted).max()
    assert 0 < off <= 27 * 2**-digits * np.abs(wanted).max()
    assert made.dtype == np.float32


def test_an_inference_uses_its_own_number_of_threads_and_leaves_that_of_the_process() -> None:
    seen: list[int] = []

    class Look(nn.Module):
        def forward(self, x: Any) -> Any:
            seen.append(torch.get_num_threads())
            return x + 1

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        for options, threads in (({}, 1), ({"threads": "2"}, 2)):
            with TORCH.build((Look(), torch.zeros(1)), options=options) as engine:
                engine.run({"x": np.zeros(1, np.float32)})
                assert seen[-1] == threads
                assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_saved_program_computes_the_same_and_tells_nothing_of_this_machine(tmp_path: Path) -> None:
    for name, model in (("module", (conv_net(), IMAGE)), ("program", free_batch())):
        file = tmp_path / f"{name}.pt2"
        with TORCH.build(model) as engine:
            engine.save(file)
            wanted = engine.run({"input": IMAGE.numpy()})["output"]
        with TORCH.build(file) as again:
            assert again.outputs == engine.outputs
            np.testing.assert_array_equal(again.run({"input": IMAGE.numpy()})["output"], wanted)
        # What is traced is in torch's own sources: their path would tell.
        assert str(Path(torch.__file__).parent).encode() not in file.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"module.pt2", "program.pt2"}


def test_saving_leaves_the_users_program_as_it_was(tmp_path: Path) -> None:
    program = free_batch()
    before = [sorted(node.meta) for node in program.graph.nodes]
    with TORCH.build(program) as engine:
        engine.save(tmp_path / "net.pt2")
    assert [sorted(node.meta) for node in program.graph.nodes] == before


def test_what_cannot_be_saved_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    class Asks(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + 1 if x.sum() > 0 else x - 1

    with TORCH.build((Asks(), torch.ones(2))) as engine:
        with pytest.raises(UnsupportedError, match="cannot be exported"):
            engine.save(tmp_path / "net.pt2")
        with pytest.raises(UsageError, match="cannot write"):
            engine.save(tmp_path / "missing" / "net.pt2")
    with (
        TORCH.build(free_batch(), options={"dtype": "fp16"}) as engine,
        pytest.raises(UsageError, match="same"),
    ):
        engine.save(tmp_path / "net.pt2")
    assert not list(tmp_path.iterdir())


def test_layers_are_leaf_modules_or_the_operators_of_a_graph() -> None:
    with TORCH.build((conv_net(), IMAGE)) as engine:
        parts = [(layer.name, layer.kind) for layer in engine.layers()]
    assert parts == list(zip("01234", ("Conv2d", "BatchNorm2d", "Dropout", "ReLU", "Flatten"), strict=True))
    with TORCH.build(free_batch()) as engine:
        kinds = [layer.kind for layer in engine.layers()]
        # Looking leaves no trace: the same again, and the same results.
        assert [layer.kind for layer in engine.layers()] == kinds
    assert kinds[:2] == ["aten.conv2d.default", "aten.batch_norm.default"]


@pytest.mark.parametrize("form", ["pair", "program"])
def test_a_profile_lists_the_layers_in_order_and_their_shares_are_whole(form: str) -> None:
    with TORCH.build((conv_net(), IMAGE) if form == "pair" else free_batch()) as engine:
        times = engine.profile({"input": IMAGE.numpy()}, runs=3)
        names = [layer.name for layer in engine.layers()]
    assert [time.name for time in times if time.name in names] == names
    assert sum(time.share for time in times) == pytest.approx(1)


def test_a_profile_tells_apart_equal_operators_between_modules() -> None:
    class Adds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Identity()

        def forward(self, x: Any) -> Any:
            return self.inner(x) + 1 + x

    with TORCH.build((Adds(), torch.ones(2))) as engine:
        names = [time.name for time in engine.profile(runs=2)]
    assert [name for name in names if "add" in name] == ["aten::add #1", "aten::add #2"]


def test_a_profile_of_nothing_is_refused() -> None:
    with TORCH.build((conv_net(), IMAGE)) as engine, pytest.raises(UsageError, match="at least 1"):
        engine.profile(runs=0)
