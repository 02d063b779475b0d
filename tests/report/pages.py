"""Pages to draw, small, large and hostile, and a reader of what came of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

from prunepass.backends import Layer
from prunepass.drivers._host_check import HostCheck
from prunepass.drivers._report import GroupRow, LayerRow
from prunepass.measure import Comparison, Measurement, Ratio, statistics
from prunepass.passes import Cost, Proof
from prunepass.report import EngineView, Page, Quality, Trial

HOSTILE = "<script>alert('x')</script>\"&'</style>"

BEFORE, AFTER = Cost(1_000_000, 5_000, 20_000, 96), Cost(400_000, 3_000, 12_000, 56)
FASTER = Ratio(1.5, 1.4, 1.6)
QUALITY = Quality("output change", rising=False, meaning="It is no accuracy.", original=0.0)


def timing(faster: Ratio = FASTER) -> Comparison:
    old, new = statistics([0.003, 0.0031, 0.0032]), statistics([0.002, 0.0021, 0.0022])
    engines = (
        Measurement("original", 320.0, old, old),
        Measurement("pruned", 480.0, new, new, faster_wall=faster, faster_cpu=faster),
    )
    return Comparison("onnxruntime", "1.31.1", 1, 12, engines)


def engines() -> tuple[EngineView, EngineView]:
    conv = Layer("conv", "nchwc.Conv", "blocked", ("conv", "relu"))
    before = (conv, Layer("head", "Gemm"))
    after = (conv, Layer("reorder_7", "nchwc.ReorderOutput", "reorder"), Layer("head", "Gemm"))
    times = {"conv": 90.0, "head": 10.0, "reorder_7": 5.0}
    return EngineView("original", "onnxruntime 1", before, times), EngineView(
        "pruned", "onnxruntime 1", after, times
    )


def page(name: str = "net", count: int = 3) -> Page:
    """Every section of a prune, with ``count`` groups that can be cut and two that cannot."""
    rows = tuple(
        GroupRow(
            f"{name}.conv{at}", 32, 32 - 8 * (at % 3), 2, (), (), (f"{name}.conv{at}: produced", "next: read")
        )
        for at in range(count)
    )
    pinned = tuple(GroupRow(f"{name}.out{at}", 10, 10, 1, (f"an output of {name}",)) for at in range(2))
    return Page(
        title=name,
        before=BEFORE,
        after=AFTER,
        groups=rows + pinned,
        notes=(f"Not repaired: {name}: unknown mean.",),
        proof=Proof(120, 3e-14, f"{name}.value", 1e-9),
        host=HostCheck(1e-6, 1e-4),
        timing=timing(),
        latency=SimpleNamespace(rounds=(SimpleNamespace(predicted=0.61, measured=0.58),)),
        accuracy={f"top-1 of {name}": (0.98, 0.95)},
        engines=engines(),
        layers=tuple(LayerRow(f"{name}.conv{at}", 4096, 4096 - 1024 * (at % 3)) for at in range(3)),
    )


def analysis() -> Page:
    return replace(
        page(),
        after=None,
        proof=None,
        host=None,
        timing=None,
        latency=None,
        accuracy={},
        engines=(),
        layers=(),
    )


def trials(name: str = "net") -> Page:
    """A sweep: two on the front, one beaten, one slower than the original, one that failed."""
    tried = (
        Trial(
            f"{name} slow change",
            0.8,
            Ratio(1.2, 1.1, 1.3),
            0.5,
            1e-15,
            "",
            ("a/model.onnx",),
            ((32, 24), (8, 8)),
        ),
        Trial(
            f"{name} fast", 0.4, Ratio(2.0, 1.9, 2.1), 0.9, 1e-15, "", ("b/model.onnx",), ((32, 8), (8, 8))
        ),
        Trial(f"{name} beaten", 0.4, Ratio(1.1, 1.0, 1.2), 0.7, 1e-15),
        Trial(f"{name} slower", 0.9, Ratio(0.8, 0.7, 0.9), 0.1, 1e-15),
        Trial(f"{name} failed", reason=f"the budget of {name} cannot be met"),
    )
    return Page(title=name, before=BEFORE, trials=tried, quality=QUALITY)


class Reader(HTMLParser):
    """Counts elements, collects text, attributes and ids, and notes what is not closed in order."""

    void = frozenset(("meta", "input", "rect", "polyline"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.values: list[tuple[str, str, str]] = []
        self.faults: list[str] = []
        self._open: list[str] = []
        self._text: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{name}> is not closed" for name in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.values += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.void:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("script", "style"):
            self._text.append(data)

    @property
    def text(self) -> str:
        return " ".join(self._text)

    def having(self, name: str) -> list[str]:
        """Values of the attribute ``name``."""
        return [value for _, attribute, value in self.values if attribute == name]
