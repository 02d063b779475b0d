"""The map of the house at the root of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["ir", "passes", "backends"])
def test_a_relative_link_at_the_root_leads_into_the_package(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert link.readlink() == Path("prunepass") / name
    assert (link / "__init__.py").is_file()
