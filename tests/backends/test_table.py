from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from prunepass import backends
from prunepass.backends import Clock
from prunepass.backends._preset import Preset
from prunepass.ir import BackendError, UsageError


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        backends.get("onnxruntme")
    assert "onnxruntme" in str(caught.value)
    assert "onnxruntime" in caught.value.advice


def test_every_known_backend_keeps_the_protocol_and_its_name() -> None:
    assert "onnxruntime" in backends.names()
    for name in backends.names():
        found = backends.get(name)
        assert isinstance(found, backends.Backend)
        assert found.name == name


def test_a_backend_is_available_exactly_when_it_gives_no_reason() -> None:
    reasons = {name: backends.get(name).unavailable() for name in backends.names()}
    assert backends.available() == tuple(name for name, reason in reasons.items() if reason is None)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "torch"])
def test_a_missing_package_is_told_with_the_extra_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    backend = backends.get(name)
    assert f"prunepass[{name}]" in (backend.unavailable() or "")
    assert name not in backends.available()
    with pytest.raises(BackendError, match=name):
        backend.build(b"anything")
    with pytest.raises(BackendError, match=name):
        backend.version()


def test_every_backend_says_which_files_it_reads() -> None:
    reads = {name: backends.get(name).reads for name in backends.names()}
    assert "onnx" in reads["onnxruntime"]
    assert "onnx" in reads["openvino"]
    assert reads["torch"] == ("pt2",)


def test_naming_a_backend_loads_no_engine() -> None:
    code = (
        "import sys; from prunepass import backends; [backends.get(name) for name in backends.names()];"
        "heavy = ('onnx', 'onnxruntime', 'openvino', 'tensorrt_rtx', 'cuda', 'torch');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class Added:
    """A backend of another distribution."""

    name = "added"
    reads = ("onnx",)

    def unavailable(self) -> str | None:
        return "no such hardware"

    def version(self) -> str:
        return "1"

    def clock(self, options: Any = None) -> Clock:
        return "wall"

    def build(self, model: object, *, options: Any = None) -> Any:
        raise BackendError("no such hardware")


def test_a_backend_is_named_with_its_options_and_builds_with_them() -> None:
    found = backends.get("openvino{ precision=bf16 }")
    assert found.name == "openvino{precision=bf16}" and found.reads == backends.get("openvino").reads
    assert backends.get(found.name) == found
    built: list[Any] = []

    class Noting(Added):
        def build(self, model: object, *, options: Any = None) -> Any:
            built.append(options)

    Preset(Noting(), {"level": "2"}).build("model", options={"threads": 3})
    assert built == [{"level": "2", "threads": 3}]


def test_an_option_with_commas_keeps_its_quotes_in_the_name() -> None:
    name = 'tensorrt{shapes="x=1x3,y=2x3"}'
    assert backends.get(name).name == name


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("onnxruntime{provider=gpu}", "provider"),
        ("onnxruntime{speed=9}", "speed"),
        ("onnxruntime{threads=2}", "threads="),
        ("onnxruntime{provider}", "provider"),
        ("onnxruntime{a=1} | torch{mode=compile}", "no backend"),
        ("onnxrt{provider=cpu}", "onnxrt"),
    ],
)
def test_options_that_a_backend_does_not_have_are_refused_with_its_name(name: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        backends.get(name)
    assert what in f"{caught.value} {caught.value.advice}"


@pytest.mark.parametrize(
    ("name", "threads", "clock"),
    [
        ("onnxruntime", 1, "cpu"),
        ("onnxruntime", 2, "wall"),
        ("onnxruntime{provider=cuda}", 1, "wall"),
        ("openvino", 1, "cpu"),
        ("openvino", 4, "wall"),
        ("torch{mode=compile}", 1, "cpu"),
        ("torch{device=cuda, mode=cudagraph}", 1, "wall"),
        ("tensorrt", 1, "device"),
        ("tensorrt-rtx{compute_capability=sm89}", 1, "device"),
    ],
)
def test_what_runs_on_a_gpu_is_never_timed_by_the_processor(name: str, threads: int, clock: Clock) -> None:
    assert backends.get(name).clock({"threads": threads}) == clock
