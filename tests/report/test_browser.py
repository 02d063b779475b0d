"""The page in a real browser: it renders, says nothing on the console, and its list can be filtered."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from prunepass.report import to_html
from tests.report import pages

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no chromium: apt-get install chromium")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
)
DARK = "--blink-settings=preferredColorScheme=0"


class Seen(NamedTuple):
    """The document after its scripts ran, and what they said on the console."""

    dom: str
    console: list[str]


def browse(address: str, profile: Path, *flags: str) -> Seen:
    assert BROWSER is not None
    command = [BROWSER, *_FLAGS, f"--user-data-dir={profile}", *flags, address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return Seen(done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line])


def written(folder: Path, text: str) -> str:
    page = folder / "page.html"
    page.write_text(text, encoding="utf-8")
    return page.as_uri()


def test_a_filter_in_the_address_shows_only_what_has_it_in_its_name(tmp_path: Path) -> None:
    address = written(tmp_path, to_html(pages.page("block", count=40)))
    seen = browse(f"{address}#filter=CONV3", tmp_path / "profile", "--dump-dom")
    assert seen.console == []
    rows = re.findall(r'<li id="g\d+" data-name="([^"]+)"[^>]*?( hidden="")?>', seen.dom)
    assert len(rows) == 40
    assert [name for name, hidden in rows if not hidden] == [n for n, _ in rows if "conv3" in n]
    assert re.search(r'<output id="count"[^>]*>11 of 40 groups</output>', seen.dom)


def test_a_hostile_name_runs_nothing(tmp_path: Path) -> None:
    hostile = "<script>console.error('ran')</script><img src=x onerror=console.error('ran')>"
    text = to_html(pages.page(hostile)) + "<script>console.log('control')</script>"
    seen = browse(f"{written(tmp_path, text)}#%ZZ", tmp_path / "profile", "--dump-dom")
    assert len(seen.console) == 1, "the control alone, which shows that the console is heard"
    assert "control" in seen.console[0]


@pytest.mark.parametrize("flags", [(), (DARK,)], ids=["light", "dark"])
def test_light_and_dark_render_on_their_own_ground(flags: tuple[str, ...], tmp_path: Path) -> None:
    address, picture = written(tmp_path, to_html(pages.page())), tmp_path / "shot.png"
    browse(address, tmp_path / "profile", f"--screenshot={picture}", "--window-size=900,1200", *flags)
    with Image.open(picture) as shot:
        shown = shot.convert("RGB")
    assert sum(shown.getpixel((2, 2))) == (3 * 255 if not flags else 0x11 + 0x16 + 0x1D)
    colours = {colour for _, colour in shown.getcolors(1 << 20)}
    assert len(colours) > 50, "something is drawn"


def test_no_page_is_wider_than_a_phone(tmp_path: Path) -> None:
    probe = "<script>document.title = ['doc', document.documentElement.scrollWidth - innerWidth].join(' ')</script>"
    for at, page in enumerate(
        (pages.page("a.rather.long.name.of.a.layer" * 3), pages.trials(), pages.analysis())
    ):
        inside = written(tmp_path, to_html(page) + probe)
        frame = tmp_path / f"frame{at}.html"
        # A window has a least width; a frame has not.
        frame.write_text(
            f'<iframe id="f" src="{inside}" style="width:390px;height:800px"></iframe><script>onload = () => '
            "console.log(document.getElementById('f').contentDocument.title)</script>",
            encoding="utf-8",
        )
        flags = ("--dump-dom", "--allow-file-access-from-files")
        (said,) = browse(frame.as_uri(), tmp_path / f"profile{at}", *flags).console
        assert '"doc 0"' in said
