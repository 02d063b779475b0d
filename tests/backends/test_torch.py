from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pytest

from prunepass import backends
from prunepass.backends import TensorSpec
from prunepass.ir import BackendError, ModelError, UnsupportedError, UsageError

torch = pytest.importorskip("torch")
nn = torch.nn

TORCH = backends.get("torch")
EPS = 2**-23


def conv_net() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(), nn.ReLU(inplace=True), nn.Flatten()
    )


IMAGE = torch.linspace(-1, 1, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4)


class Nested(nn.Module):
    """Takes and returns more than a tensor each."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, pair: Any, scale: float, *, mask: Any = None, shift: Any = None) -> Any:
        made = self.linear(pair[0]) * scale + pair[1]
        return {"logits": made * mask, "parts": (made, made + shift if shift is not None else None)}


class Counting(nn.Module):
    """Gives back a buffer that every inference changes, and writes into its input."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(2))

    def forward(self, x: Any) -> Any:
        x.mul_(2)
        self.count += 1
        return self.count, x


def exported(module: Any, *args: Any, **more: Any) -> Any:
    return torch.export.export(module.eval(), args, **more)


def free_batch() -> Any:
    return exported(conv_net(), IMAGE, dynamic_shapes=({0: torch.export.Dim("batch")},))


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


def test_the_users_model_and_the_feeds_are_left_as_they_were() -> None:
    net, x = Counting().train(), np.ones(2, np.float32)
    program = exported(Counting(), torch.ones(2))
    for model, held in (((net, torch.ones(2)), net.count), (program, program.state_dict["count"])):
        with TORCH.build(model, options={"dtype": "bf16"}) as engine:
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
        assert str(Path(__file__).parent).encode() not in file.read_bytes()
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


def test_compiled_it_computes_the_same_and_its_layers_are_not_made_up() -> None:
    pytest.importorskip("torch._inductor.cpp_builder")
    net = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid()).eval()
    x = torch.linspace(-1, 1, 8).reshape(2, 4)
    try:
        engine = TORCH.build((net, x), options={"mode": "compile"})
    except BackendError as error:
        pytest.skip(str(error))
    with engine:
        assert engine.layers() == ()
        made = engine.run({"input": x.numpy()})["output"]
        times = engine.profile(runs=2)
    # Sums of four products, and a sigmoid that a compiler writes in its own way.
    np.testing.assert_allclose(made, net(x).detach().numpy(), rtol=16 * EPS, atol=0)
    assert sum(time.share for time in times) == pytest.approx(1)


def test_a_missing_compiler_is_told_with_what_to_do() -> None:
    config = pytest.importorskip("torch._inductor.config")
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    with (
        config.patch({"cpp.cxx": (None, "no-such-compiler"), "force_disable_caches": True}),
        pytest.raises(BackendError, match=r"mode=compile needs a C\+\+ compiler.*mode=eager"),
    ):
        TORCH.build((net, torch.ones(1, 3)), options={"mode": "compile"})


def test_a_cuda_graph_or_device_needs_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="device=cuda"):
        TORCH.build(free_batch(), options={"mode": "cudagraph"})
    for mode in ("eager", "cudagraph"):
        with pytest.raises(BackendError, match="no CUDA device"):
            TORCH.build(free_batch(), options={"device": "cuda", "mode": mode})


@pytest.mark.parametrize("content", [b"\0" * 10, b"hello", np.random.default_rng(0).bytes(200)])
def test_random_bytes_are_no_program(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "net.pt2"
    file.write_bytes(content)
    with pytest.raises(ModelError, match="no exported program"):
        TORCH.build(file)


def test_saved_weights_are_no_program(tmp_path: Path) -> None:
    torch.save(conv_net().state_dict(), tmp_path / "net.pt2")
    with pytest.raises(ModelError, match=r"torch\.export\.save"):
        TORCH.build(tmp_path / "net.pt2")


def test_an_empty_or_a_missing_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "net.pt2").touch()
    with pytest.raises(ModelError, match="empty"):
        TORCH.build(tmp_path / "net.pt2")
    with pytest.raises(UsageError, match="no such file"):
        TORCH.build(tmp_path / "other.pt2")


@pytest.mark.parametrize("other", [object(), 3, None, (1, 2), b"bytes"])
def test_anything_else_is_refused_with_what_is_taken(other: object) -> None:
    with pytest.raises(UsageError, match=type(other).__name__) as caught:
        TORCH.build(other)
    assert "example_inputs" in caught.value.advice


def test_a_module_without_example_inputs_is_told() -> None:
    for model in (conv_net(), (conv_net(), None)):
        with pytest.raises(UsageError, match="example inputs"):
            TORCH.build(model)


def test_a_model_that_fails_or_cannot_be_copied_is_told_at_build() -> None:
    with pytest.raises(ModelError, match="torch fails"):
        TORCH.build((conv_net(), torch.ones(1, 4, 4, 4)))
    net = nn.Identity()
    net.lock = Lock()
    with pytest.raises(ModelError, match="cannot be copied"):
        TORCH.build((net, IMAGE))


def test_feeds_that_do_not_fit_are_the_users_mistake() -> None:
    x = IMAGE.numpy()
    with TORCH.build(free_batch()) as engine:
        for feeds in ({}, {"input": x, "z": x}, {"input": x.astype(np.float64)}, {"input": x[:, :1]}):
            with pytest.raises(UsageError):
                engine.run(feeds)


def test_a_closed_engine_says_so(tmp_path: Path) -> None:
    with TORCH.build(free_batch()) as engine:
        pass
    uses = [engine.layers, engine.profile, engine.memory]
    uses += [lambda: engine.run({"input": IMAGE.numpy()}), lambda: engine.save(tmp_path / "e.pt2")]
    for use in uses:
        with pytest.raises(UsageError, match="closed"):
            use()
