from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from prunepass.ir import UsageError
from prunepass.report import save_figure
from tests.report import pages

matplotlib = pytest.importorskip("matplotlib")


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_a_figure_has_the_form_of_its_name_and_the_same_bytes_twice(
    suffix: str, magic: bytes, tmp_path: Path
) -> None:
    for name in "ab":
        save_figure(pages.page("a_$b$_c"), tmp_path / f"{name}.{suffix}")
    first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
    assert first.startswith(magic)
    assert first == second
    assert b"CreationDate" not in first


@pytest.mark.parametrize(
    "page",
    [pages.page(count=200), pages.analysis(), pages.trials("$x"), replace(pages.page(), timing=None)],
    ids=["many groups", "analysis", "sweep", "not timed"],
)
def test_every_kind_of_page_can_be_drawn(page: object, tmp_path: Path) -> None:
    save_figure(page, tmp_path / "r.png")  # type: ignore[arg-type]
    assert (tmp_path / "r.png").stat().st_size > 5000


def test_nothing_to_draw_and_unknown_forms_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to draw"):
        save_figure(replace(pages.analysis(), groups=()), tmp_path / "r.png")
    with pytest.raises(UsageError, match="ends in one of"):
        save_figure(pages.page(), tmp_path / "r.gif")
    assert not list(tmp_path.iterdir())


def test_drawing_leaves_the_settings_of_the_user_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    save_figure(pages.page(), tmp_path / "r.png")
    assert dict(matplotlib.rcParams) == before
