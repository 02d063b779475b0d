"""Random networks over all operator families, as a recipe that can be shrunk and built again.

A recipe is a start and a list of steps ``(production, seed)``. A production without a name is any one that fits,
so that shrinking a recipe leaves a network; built again with another batch or image size it gives the same
network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from hypothesis import strategies as st

from prunepass.ir import Graph
from tests.passes.productions import TABLE
from tests.passes.productions._net import Net, Production

Step = tuple[str, int]


@dataclass(frozen=True)
class Recipe:
    """What a network is built from.

    Attributes:
        seed: of the start and the end.
        batch: batch size; 0 takes the number of channels of the first layer.
        scale: multiplies image and sequence sizes; odd, so that what is even stays so.
    """

    seed: int
    steps: tuple[Step, ...]
    batch: int = 2
    scale: int = 1


@dataclass(frozen=True)
class Network:
    """A built recipe, with the steps as they were taken: every production named."""

    graph: Graph
    recipe: Recipe

    @property
    def used(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.recipe.steps)


def build(recipe: Recipe) -> Network:
    """The network of ``recipe``; a named production that does not fit is left out."""
    net = _start(recipe)
    taken = list[Step]()
    for name, seed in recipe.steps:
        production = _fitting(net, name, Random(f"which {seed}"))
        net.random = Random(seed)
        if production is not None:
            production.extend(net)
            taken.append((production.name, seed))
    net.random = Random(recipe.seed + 1)
    outputs = _end(net)
    return Network(net.graph(*outputs), replace(recipe, steps=tuple(taken)))


def _fitting(net: Net, name: str, random: Random) -> Production | None:
    if name:
        return TABLE[name] if TABLE[name].fits(net) else None
    return random.choice([production for production in TABLE.values() if production.fits(net)])


def _start(recipe: Recipe) -> Net:
    random = Random(recipe.seed)
    width, form = (
        random.randint(2, 12),
        random.choice(("1d", "2d", "2d", "2d", "3d", "tokens", "vector", "words")),
    )
    net = Net(recipe.seed, recipe.batch or width, recipe.scale)
    net.random = random
    spaces = {"1d": (8,), "2d": random.choice(((8, 8), (4, 8), (4, 4))), "3d": (4, 4, 2)}
    batch, length = net.batch, 4 * net.scale
    if form in spaces:
        x = net.input(batch, random.randint(1, 4), *(size * net.scale for size in spaces[form]))
        net.now = net.conv(x, width, 3, padding=1)
    elif form == "vector":
        net.now, net.last = net.linear(net.input(batch, 5), width), True
    elif form == "tokens":
        net.now, net.last = net.linear(net.input(batch, length, 5), width), True
    else:
        words = net.add("embedding", net.weight(2, width), net.input(batch, length, dtype="int64"))
        net.now, net.last = net.add("add", words, net.weight(length, width)), True
    return net


def _end(net: Net) -> tuple[str, ...]:
    """A head, or the bare tensor."""
    ending = net.pick("head", "head", "layer", "bare")
    if ending == "bare":
        return (net.now, *net.extra)
    x = net.now
    if ending == "head" and net.rank > 2:
        axes = tuple(axis for axis in range(1, net.rank) if axis != net.channel_axis)
        return (net.linear(net.add("mean", x, axes=axes, keepdims=False), 3), *net.extra)
    return (net.layer(net.act(x), 3), *net.extra)


def random_recipe(seed: int, must: str = "") -> Recipe:
    """A recipe of one to seven steps; ``must`` is one of them and left out where it does not fit."""
    random = Random(seed)
    count = random.randint(1, 7)
    steps = [("", random.getrandbits(32)) for _ in range(count)]
    if must:
        steps.insert(random.randint(0, count), (must, random.getrandbits(32)))
    return Recipe(random.getrandbits(32), tuple(steps), random.choice((0, 1, 2, 2, 3, 4)))


def random_networks(first: int, count: int) -> tuple[Network, ...]:
    """Networks that ask for every production in turn, and for each until there is a place that it fits."""
    names = list(TABLE)
    return tuple(_network_with(names[seed % len(names)], seed) for seed in range(first, first + count))


def _network_with(must: str, seed: int) -> Network:
    for attempt in range(100):
        network = build(random_recipe(seed * 100 + attempt, must))
        if must in network.used:
            return network
    raise AssertionError(f"'{must}' fits nowhere")


def random_graphs() -> st.SearchStrategy[Network]:
    """Networks that shrink to few steps."""
    seeds = st.integers(0, 2**32 - 1)
    step = st.tuples(st.just(""), seeds)
    recipes = st.builds(
        Recipe, seeds, st.lists(step, min_size=1, max_size=7).map(tuple), st.sampled_from((2, 0, 1, 4))
    )
    return recipes.map(build)
