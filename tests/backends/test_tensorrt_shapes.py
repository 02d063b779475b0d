from __future__ import annotations

from dataclasses import dataclass

import pytest

from prunepass.backends._tensorrt_shapes import Range, check_ranges, read_shapes
from prunepass.ir import UsageError


@dataclass
class Input:
    name: str
    shape: tuple[int, ...]
    is_shape_tensor: bool = False
    dtype: object = None

    def get_dimension_name(self, index: int, /) -> str | None:
        return "batch" if index == 0 else None


IMAGE, FIXED, TARGET = Input("x", (-1, 3, -1, 8)), Input("y", (4,)), Input("s", (2,), True)


def test_one_row_of_sizes_is_the_least_the_usual_and_the_most() -> None:
    assert read_shapes("x=1x3x8x8") == {"x": Range((1, 3, 8, 8), (1, 3, 8, 8), (1, 3, 8, 8))}


def test_three_rows_and_several_inputs_with_odd_names_are_read() -> None:
    found = read_shapes(" x=1x3:2x3:4x3, net/a=b:0=5 ,")
    assert found == {"x": Range((1, 3), (2, 3), (4, 3)), "net/a=b:0": Range((5,), (5,), (5,))}
    assert read_shapes("") == {}


@pytest.mark.parametrize(
    "text", ["x", "=1", "x=", "x=1x", "x=1:2", "x=1:2x2:3", "x=axb", "x=1,x=2", "x=2:1:3", "x=1:3:2", "x=-1"]
)
def test_shapes_of_another_form_are_refused_with_the_form(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_shapes(text)
    assert caught.value.advice


def test_ranges_that_fit_pass() -> None:
    check_ranges([IMAGE, FIXED, TARGET], read_shapes("x=1x3x8x8:1x3x9x8:2x3x9x8,y=4,s=6x4"))
    check_ranges([FIXED], {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("z=1", "an input 'z' that there is not"),
        ("x=1x4x8x8", "is batchx3x?x8, shapes gives 1x4x8x8"),
        ("x=1x3x8", "gives 1x3x8"),
        ("y=5", "is 4, shapes gives 5"),
        ("s=1x2x3", "holds 2 values, shapes gives 3"),
    ],
)
def test_ranges_that_contradict_an_input_are_told(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told.replace("?", r"\?")):
        check_ranges([IMAGE, FIXED, TARGET], read_shapes(text))


def test_missing_ranges_are_told_with_what_to_write() -> None:
    with pytest.raises(UsageError, match=r"'x' has free sizes \(batchx3x\?x8\)") as caught:
        check_ranges([IMAGE, FIXED, TARGET], {})
    assert "shapes=x=1x3xNx8,s=NxN" in caught.value.advice
