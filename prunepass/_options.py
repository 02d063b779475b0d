"""The options of a prune, each declared once: Python, the command line, configurations and schemas read it here.

A line of :class:`Options` says what an option is called, what it may be, what it is for and where it can be given.
Its name is the keyword, its flag and its key in a file, with ``-`` for ``_`` there. This module loads nothing: help
is shown before there is an array.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from .backends import Backend
    from .passes import Grain, Observer, Pass
    from .passes.scores import Score
    from .targets import Target

Fits = Callable[[Any], bool]


@dataclass(frozen=True)
class Form:
    """The set of values of an option.

    Attributes:
        said: how a message says it.
        fits: whether a value from Python is one.
        kind: how text and files spell it: ``text``, ``whole``, ``number``, ``flag``, ``texts`` (repeated), ``ratios``
            (a number by pattern), ``limits`` (a budget), ``named`` and ``scored`` (a name with options) or ``steps``
            (a pipeline).
    """

    said: str
    fits: Fits
    kind: str = "text"


@dataclass(frozen=True)
class Option:
    """The declaration of an option beside its name, its type and its default.

    Attributes:
        about: what it is for, in a line of help.
        part: what it belongs to: ``model``, ``pipeline`` (the default one, so that another pipeline excludes it),
            ``search``, ``engine`` or ``output``.
        flag, metavar: on the command line; the flag is the name unless given.
        shown: the default in words, where it is worth a word.
        least, most: bounds of numbers. choices: all that a text may be.
        rivals: options that it excludes.
        python, command, file: whether it can be given as a keyword, as a flag, in a configuration.
    """

    about: str
    form: Form
    part: str
    flag: tuple[str, ...] = ()
    metavar: str | None = None
    shown: str = ""
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    python: bool = True
    command: bool = True
    file: bool = True

    @property
    def help(self) -> str:
        """The line of help with the default."""
        return self.about + (f"  [{self.shown}]" if self.shown else "")


def _is(*kinds: type) -> Fits:
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def some(fits: Fits) -> Fits:
    """Lists of what ``fits``; a text is no list of letters."""
    return lambda value: (
        isinstance(value, Iterable) and not isinstance(value, (str, bytes)) and all(map(fits, value))
    )


def _has(*names: str) -> Fits:
    return lambda value: not isinstance(value, type) and all(hasattr(value, name) for name in names)


def _either(*fits: Fits) -> Fits:
    return lambda value: any(fit(value) for fit in fits)


def _ratios(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(key, str) and _is(int, float, Real)(ratio) for key, ratio in value.items())


# A text is a sequence of letters, "no" is true, and True is 1: each would be taken for what was not meant.
TEXT, FLAG = Form("text", _is(str)), Form("True or False", _is(bool), "flag")
WHOLE, NUMBER = Form("a whole number", _is(Integral), "whole"), Form("a number", _is(int, float), "number")
NAMES = Form("a list of names", some(_is(str)), "texts")
OUTPUTS = Form("a list of names of outputs", some(_is(str)), "texts")
LAYERS = Form(
    "a list of names, modules or classes", some(_either(_is(str, type), _has("named_modules"))), "texts"
)
LIMITS = Form("text", _is(str), "limits")
RATIOS = Form("fractions kept by pattern", _ratios, "ratios")
SCORE = Form("text or a score", _either(_is(str), _has("__call__", "name")), "scored")
NAMED = Form("text or what it makes", _either(_is(str), _has("__call__")), "named")
REPAIR = Form("text or a pass", _either(_is(str), _has("__call__", "name")))
STEPS = Form("text or a list of passes", _either(_is(str), some(_has("name"))), "steps")
BACKEND = Form("a name or a backend", _either(_is(str), _has("name", "unavailable", "build")))
TARGET = Form("a name, a path or a Target", _either(_is(str, os.PathLike), _has("name", "widths", "layers")))
OBSERVERS = Form("a list of observers", some(_has("before", "after")))
ANYTHING = Form("anything", lambda value: True)


def _option(default: Any, part: str, form: Form, about: str, **more: Any) -> Any:
    return field(default=default, metadata={"option": Option(about, form, part, **more)})


# Where an option can not be given: Python has better words, a command has better flags, a file has no objects.
_OUTSIDE: Mapping[str, Any] = {"python": False}
_UNFLAGGED: Mapping[str, Any] = {"command": False}
_INSIDE: Mapping[str, Any] = {"command": False, "file": False}


# fmt: off
@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of one prune; None where nothing was asked for."""

    out: str | None = _option(None, "output", TEXT, "The pruned model: .onnx, or .pt2 for a torch model.",
        flag=("-o", "--out"), metavar="OUT", **_OUTSIDE)
    budget: str = _option("macs=0.5", "pipeline", LIMITS, "Fractions kept: macs, params, size, channels, or "
        "latency as measured on --backend; or 'dead': what changes no output.",
        metavar="KIND=FRACTION", shown="macs=0.5")
    score: str | Score = _option("auto", "pipeline", SCORE,
        "A score, with options as in 'dfpc{normalize=mean}'.", metavar="SCORE", shown="auto")
    align: int | Grain | None = _option(None, "pipeline", WHOLE, "Channel counts come in multiples of this.",
        metavar="N", shown="1", least=1, rivals=("target",))
    target: str | os.PathLike[str] | Target | None = _option(None, "search", TARGET,
        "Sets the multiple for an engine: a name ('prunepass passes') or a .toml.",
        metavar="TARGET", rivals=("pipeline",))
    floor: float | None = _option(None, "pipeline", NUMBER,
        "The least fraction of its channels that every group keeps.", shown="0", least=0, most=1, **_UNFLAGGED)
    mode: str | None = _option(None, "pipeline", TEXT, "How channels of different groups are compared: the lowest "
        "scores wherever they are (global), or the same fraction of every group (uniform).",
        shown="global", rivals=("policy",), **_UNFLAGGED)
    ratios: Mapping[str, float] | None = _option(None, "pipeline", RATIOS,
        "Fraction kept of the groups that a pattern names, whatever the budget; repeat for more.",
        flag=("--ratio",), metavar="PATTERN=FRACTION")
    policy: str | Callable[..., Any] | None = _option(None, "pipeline", NAMED,
        "How channels are chosen from scores, with options as in 'uniform{by=class}'.", metavar="POLICY")
    repair: str | Pass | None = _option(None, "pipeline", REPAIR, "How weights make up for what went: auto, "
        "compensate (the means of cut channels move into biases), reconstruct (weights are fitted) or none.",
        metavar="REPAIR", shown="auto", choices=("auto", "none", "compensate", "reconstruct"))
    compensate: bool | None = _option(None, "pipeline", FLAG, "Another name of repair: false is 'none'.",
        rivals=("repair",), **_UNFLAGGED)
    driver: str | Callable[..., Any] | None = _option(None, "search", NAMED,
        "The loop around the passes, with options as in 'iterate{step=0.1}'.", metavar="DRIVER")
    pipeline: str | Sequence[Pass] | None = _option(None, "search", STEPS,
        "Replaces the default passes: 'couple | score | ...'.", metavar="PASSES")
    keep: Sequence[Any] = _option((), "model", LAYERS, "Layers to leave alone; repeat for more.", metavar="PATTERN")
    free: Sequence[str] = _option((), "model", OUTPUTS, "Outputs whose channels may go, by name, or 'output' for all; "
        "repeat for more.", metavar="OUTPUT")
    task: Any = _option(None, "model", ANYTHING, "What only the user knows: data, loss, evaluate, tune.", **_INSIDE)
    data: str | None = _option(None, "model", TEXT, "Inputs to learn from: a file, a folder, or what makes them, "
        "package.module:function.", metavar="DATA", **_OUTSIDE)
    evaluate: str | None = _option(None, "model", TEXT, "Tells how good a model is, larger is better: "
        "package.module:function.", metavar="FUNCTION", **_OUTSIDE)
    tune: str | None = _option(None, "model", TEXT, "Trains a model in place, for drivers that train: "
        "package.module:function.", metavar="FUNCTION", **_OUTSIDE)
    loss: str | None = _option(None, "model", TEXT, "The loss of outputs and batch, for scores that take gradients: "
        "package.module:function.", metavar="FUNCTION", **_OUTSIDE)
    shape: Sequence[str] = _option((), "model", NAMES, "Shape of an example input, NAME=1,3,224,224.",
        metavar="SHAPE", **_OUTSIDE)
    form: str = _option("module", "model", TEXT, "'module' keeps the class, 'graph' gives an fx.GraphModule.",
        **_INSIDE)
    inplace: bool = _option(False, "model", FLAG, "Change the user's own object, all or nothing.", **_INSIDE)
    backend: str | Backend | None = _option(None, "engine", BACKEND,
        "Also measure on this engine; slower than before is an error.", metavar="B")
    threads: int = _option(1, "engine", WHOLE, "Of one inference on the backend.",
        metavar="N", shown="1", least=1, most=1024)
    allow_slower: bool = _option(False, "engine", FLAG, "Write a model that is slower there, too.")
    observers: Sequence[Observer] = _option((), "search", OBSERVERS, "Are told of each pass.", **_INSIDE)
    plan_out: str | None = _option(None, "output", TEXT, "Also write the plan.", metavar="P.json", **_OUTSIDE)
    tensors_out: str | None = _option(None, "output", TEXT, "Store whole tensors of the plan under this name beside "
        "it, also where it has none.", metavar="T.safetensors", shown="named by their hash", **_OUTSIDE)
    report: str | None = _option(None, "output", TEXT, "Also write a report: .html, .json, .md, .png or .pdf.",
        metavar="R", **_OUTSIDE)
    depfile: str | None = _option(None, "output", TEXT, "Also write what OUT depends on, in Makefile syntax.",
        metavar="D", **_OUTSIDE)
# fmt: on

    def keywords(self) -> dict[str, Any]:
        """The keywords of :func:`prunepass.prune` that say the same."""
        given = {name: getattr(self, name) for name, option in OPTIONS.items() if option.python}
        return {name: value for name, value in given.items() if not _absent(name, value)}

    @property
    def mending(self) -> str | Pass:
        """``repair``, whichever of its names it was given by."""
        if self.repair is not None:
            return self.repair
        return "none" if self.compensate is False else "auto"


OPTIONS: Mapping[str, Option] = {one.name: one.metadata["option"] for one in fields(Options)}
DEFAULTS: Mapping[str, Any] = {one.name: one.default for one in fields(Options)}


class PruneOptions(TypedDict, total=False):
    """The keywords of :func:`prunepass.prune` for type checkers, each optional; explained there."""

    align: int | Grain | None
    target: str | os.PathLike[str] | Target | None
    floor: float | None
    mode: str | None
    ratios: Mapping[str, float] | None
    policy: str | Callable[..., Any] | None
    repair: str | Pass | None
    compensate: bool | None
    driver: str | Callable[..., Any] | None
    pipeline: str | Sequence[Pass] | None
    keep: Sequence[Any]
    free: Sequence[str]
    task: Any
    form: str
    inplace: bool
    backend: str | Backend | None
    threads: int
    allow_slower: bool
    observers: Sequence[Observer]


def rivals_of(name: str) -> tuple[str, ...]:
    """Options that ``name`` excludes: those that it or they declare, and a pipeline those of the default one."""
    found = {*OPTIONS[name].rivals, *(other for other, option in OPTIONS.items() if name in option.rivals)}
    if name == "pipeline":
        found |= {other for other, option in OPTIONS.items() if option.part == "pipeline"}
    elif OPTIONS[name].part == "pipeline":
        found.add("pipeline")
    return tuple(sorted(found))


def options_of(keywords: Mapping[str, Any]) -> Options:
    """Read the keywords of :func:`prunepass.prune`.

    Raises:
        UsageError: there is no such option, one has another type, or two exclude each other.
    """
    from .ir import UsageError

    for name, value in keywords.items():
        if name not in OPTIONS or not OPTIONS[name].python:
            near = get_close_matches(name, [known for known, option in OPTIONS.items() if option.python], 1)
            advice = f"did you mean {near[0]}?" if near else "help(prunepass.prune) lists them"
            raise UsageError(f"prune has no option {name}", advice=advice)
        check(name, value)
    given = [name for name, value in keywords.items() if not _absent(name, value)]
    for name in given:
        for rival in rivals_of(name):
            # Beside the others a target still tells how long layers take on its engine.
            if rival in given and "target" not in (name, rival):
                raise UsageError(f"{name} and {rival} exclude each other", advice="give one of them")
    return Options(**keywords)


def _absent(name: str, value: Any) -> bool:
    return value is None or (isinstance(value, (str, int, float, tuple)) and value == DEFAULTS[name])


def check(name: str, value: Any, form: Form | None = None, owner: str = "prune") -> None:
    """Hold the value of an option against what it can be: most other types would pass for something else.

    Args:
        form: of an option of another call.

    Raises:
        UsageError: it has another type, or is none of the choices.
    """
    from .ir import UsageError

    declared = None if form else OPTIONS[name]
    form = form or OPTIONS[name].form
    advice = f"help(prunepass.{owner}) lists its options"
    if declared is not None and value is None and DEFAULTS[name] is None:
        return
    if not form.fits(value):
        raise UsageError(f"{name} is {form.said}, not {value!r}", advice=advice)
    if declared is not None and declared.choices and isinstance(value, str) and value not in declared.choices:
        raise UsageError(f"{name} is one of {', '.join(declared.choices)}, not {value!r}", advice=advice)
