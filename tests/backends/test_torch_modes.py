from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from types import SimpleNamespace

import numpy as np
import pytest

from prunepass import backends
from prunepass.backends._torch_modes import Options, captured
from prunepass.backends._torch_program import read_program
from prunepass.ir import BackendError, ModelError, UsageError

torch = pytest.importorskip("torch")
nn = torch.nn

from tests.backends.modules import IMAGE, conv_net, free_batch  # noqa: E402  (needs torch)

TORCH = backends.get("torch")
EPS = 2**-23


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


def test_a_program_moves_to_another_device_and_the_users_stays() -> None:
    program = free_batch()
    # Another name of the same device: there may be no other one here.
    moved = read_program(program, "cpu:0").module
    torch.testing.assert_close(moved(IMAGE), program.module()(IMAGE), rtol=0, atol=0)
    assert {str(value.device) for value in program.state_dict.values()} == {"cpu"}


def test_a_captured_call_is_replayed_on_new_data_in_the_same_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for CUDA: its graph does once more what it saw while it captured."""
    seen: list[object] = []
    inside: list[object] = []

    class Graph:
        def replay(self) -> None:
            ((held, made),) = inside
            made.copy_(held[0] * 2)

    @contextmanager
    def capturing(graph: object) -> Iterator[None]:
        before = len(seen)
        yield
        inside.extend(seen[before:])

    cuda = SimpleNamespace(
        Stream=lambda: SimpleNamespace(wait_stream=lambda other: None),
        current_stream=lambda: SimpleNamespace(wait_stream=lambda other: None),
        stream=lambda stream: nullcontext(),
        CUDAGraph=Graph,
        graph=capturing,
    )
    monkeypatch.setattr(torch, "cuda", cuda)

    def call(tensors: list[object]) -> object:
        seen.append((tensors, tensors[0] * 2))
        return seen[-1][1]

    program = read_program((nn.Identity(), torch.ones(3)), "cpu")
    replay = captured(call, program, Options())
    assert len(inside) == 1 < len(seen)
    for data in (torch.full((3,), 5.0), torch.arange(3.0)):
        torch.testing.assert_close(replay([data]), data * 2)
    assert program.example[0].tolist() == [1, 1, 1]


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
