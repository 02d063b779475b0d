from __future__ import annotations

import pytest

from prunepass.backends import Layer, Memory
from prunepass.backends._tensorrt_log import Log
from prunepass.backends._tensorrt_read import layers_of_json, layers_of_log, memory_of_log

CONV = (
    "Name: conv1_myl0_2, LayerType: correlation, Inputs: [ { Name: a, Dimensions: [1,3,8,8] }], Constants: [], "
    "Outputs: [], TacticName: __myelin_CASK_STUB, StreamId: 0, Metadata: [ONNX Layer: conv/1][ONNX Layer: a[0]]"
)
MOVE = "Name: __myl_ConcMove_myl0_0, LayerType: kgen, Inputs: [], TacticName: __myl_ConcMove_0xab, Metadata: "
WORK = "Name: __myl_MoveMulAdd_myl0_1, LayerType: kgen, Inputs: [], TacticName: , StreamId: 0"
END = "\n\nI/O Tensors:\n Name: x, LayerType: none, Inputs: "


def log(*messages: str, severity: str = "VERBOSE") -> Log:
    made = Log()
    for text in messages:
        made.add(severity, text)
    return made


@pytest.mark.parametrize("mark", ["", "\x1e", "\x1f"])
def test_the_layers_of_a_log_tell_what_they_cover_and_what_only_moves_data(mark: str) -> None:
    conv = CONV.replace("][", f"]{mark}[")
    found = layers_of_log(log("\n".join(("Layers:", conv, MOVE, WORK)) + END))
    assert found == (
        Layer("conv1_myl0_2", "correlation", "", ("conv/1", "a[0]")),
        Layer("__myl_ConcMove_myl0_0", "kgen", "reorder"),
        Layer("__myl_MoveMulAdd_myl0_1", "kgen"),
    )


@pytest.mark.parametrize(
    "text", ["", "Layers:", "Layers:\n", "Layers:\nconv0\nconv1", "Layers: 3", "Layers:\n\n"]
)
def test_a_log_of_another_form_has_no_layers(text: str) -> None:
    assert layers_of_log(log(text)) == ()


def test_lines_of_another_form_are_left_out() -> None:
    assert [layer.kind for layer in layers_of_log(log(f"Layers:\nNote: new\n{WORK}\nName: half"))] == ["kgen"]


@pytest.mark.parametrize("mark", ["\\u001e", "\x1e"])
def test_the_layers_of_an_inspector_are_read_from_its_json(mark: str) -> None:
    text = """{"Layers": [
        {"Name": "conv0 + relu0", "LayerType": "CaskConvolution", "TacticName": "sm80",
         "Metadata": "[ONNX Layer: conv0]\\u001e[ONNX Layer: relu0]"},
        {"Name": "Reformatting CopyNode for Input Tensor 0", "LayerType": "Reformat", "Metadata": null},
        {"Name": "bare"}
    ], "Bindings": ["x", "y"]}""".replace("\\u001e", mark)
    assert layers_of_json(text) == (
        Layer("conv0 + relu0", "CaskConvolution", "", ("conv0", "relu0")),
        Layer("Reformatting CopyNode for Input Tensor 0", "Reformat", "reorder"),
        Layer("bare", ""),
    )


@pytest.mark.parametrize("text", ["", "no", "[]", "{}", '{"Layers": 3}', '{"Layers": ["conv0"]}'])
def test_an_inspector_of_another_form_has_no_layers(text: str) -> None:
    assert layers_of_json(text) == ()


def test_memory_is_what_the_build_states_last_or_unknown() -> None:
    told = ("Total Activation Memory: 5 bytes", "Total Activation Memory: 8224768 bytes")
    assert memory_of_log(log(*told, "Total Weights Memory: 20416 bytes")) == Memory(20416, 8224768)
    assert memory_of_log(log("Total Weights Memory: many")) == Memory(None, None)


def test_of_a_verbose_log_only_what_is_read_is_kept() -> None:
    assert (
        log("Registering layer: conv0", "Layers:\n", "Total Weights Memory: 1 bytes").messages[0].text
        == "Layers:\n"
    )
    assert not log("Engine generation completed", severity="INFO").messages
    assert log("mind this", severity="WARNING").messages and not log("mind this", severity="WARNING").errors()


def test_errors_are_told_once_without_places_in_a_source_that_nobody_has() -> None:
    text = "IBuilder::build: Error Code 4: API Usage Error (no profile. In validate at /_src/api/network.cpp:4023)"
    made = log(text, text, severity="ERROR")
    assert made.errors() == ("API Usage Error (no profile.)",)
    assert made.said() == "API Usage Error (no profile.)"
    assert log().said() == "it gave no reason"
    assert log(*"abcde", severity="INTERNAL_ERROR").said() == "a; b; c; and 2 more"


def test_an_error_of_cuda_is_found_among_the_others() -> None:
    text = "Error Code 1: Cuda Runtime (In x at /_src/a.cpp:1 (cudaError 35: driver is insufficient))"
    assert log("other", text, severity="ERROR").cuda_error() == "35: driver is insufficient"
    assert log(text, severity="WARNING").cuda_error() is None
