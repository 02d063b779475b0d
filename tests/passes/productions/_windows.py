"""Pooling, reductions and resizing."""

from __future__ import annotations

from tests.passes.productions._net import Net, Table, always, even, maps, rows, wide

table = Table()


def _beyond_batch(net: Net) -> tuple[int, ...]:
    """Axes that are neither batch nor channels."""
    return tuple(axis for axis in range(1, net.rank) if axis != net.channel_axis)


@table(even(maps))
def max_pool(net: Net) -> None:
    rank = len(net.space)
    if net.maybe():
        net.then("max_pool", kernel=(2,) * rank, stride=(2,) * rank)
    else:
        net.then("max_pool", kernel=(3,) * rank, stride=(1,) * rank, padding=(1,) * rank)


@table(even(maps))
def max_pool_with_indices(net: Net) -> None:
    rank = len(net.space)
    net.go(net.add_all("max_pool", net.now, kernel=(2,) * rank, stride=(2,) * rank, indices="plane")[0])


@table(even(maps))
def avg_pool(net: Net) -> None:
    rank = len(net.space)
    if net.maybe():
        net.then("avg_pool", kernel=(2,) * rank, stride=(2,) * rank)
    else:
        pads = {"padding": (1,) * rank, "count_pads": net.maybe(), "ceil_mode": net.maybe()}
        net.then("avg_pool", kernel=(3,) * rank, stride=(1,) * rank, **pads)


@table(even(maps))
def lp_pool(net: Net) -> None:
    rank = len(net.space)
    net.then("lp_pool", kernel=(2,) * rank, stride=(2,) * rank, p=2)


@table(maps)
def adaptive_pool(net: Net) -> None:
    size = tuple(1 if length % 2 else 2 for length in net.space)
    if net.maybe():
        net.then("adaptive_avg_pool", size=size)
    else:
        net.go(net.add_all("adaptive_max_pool", net.now, size=size, indices=True)[0])


@table(rows)
def pool_over_channels(net: Net) -> None:
    """Windows slide over the channels: they are pinned."""
    if net.rank > 2:
        net.then("avg_pool", kernel=(3,), stride=(1,), padding=(1,))
    else:
        x = net.add("unsqueeze", net.now, axes=(1,))
        x = net.add("max_pool", x, kernel=(3,), stride=(1,), padding=(1,))
        net.go(net.add("squeeze", x, axes=(1,)))


@table(maps)
def global_pool(net: Net) -> None:
    """One number for each channel, as a vector."""
    axes, op = tuple(range(2, net.rank)), net.pick("sum", "mean", "max_over", "min_over", "log_sum_exp")
    net.go(net.add(op, net.now, axes=axes, keepdims=False), last=True)


@table(rows)
def reduce_tokens(net: Net) -> None:
    if net.rank == 2:
        net.then("relu")
    else:
        net.then(net.pick("sum", "mean", "max_over"), axes=_beyond_batch(net), keepdims=net.maybe())


@table(always)
def centre_positions(net: Net) -> None:
    """Take off the mean of every channel, divide by its spread."""
    axes = _beyond_batch(net)
    if not axes:
        return net.then("tanh")
    x = net.add("subtract", net.now, net.add("mean", net.now, axes=axes, keepdims=True))
    spread = net.add("variance", x, axes=axes, keepdims=True, correction=0.0, root=True)
    return net.go(net.add("divide", x, net.add("add", spread, net.number(0.1))))


@table(always)
def sum_over_channels(net: Net) -> None:
    """Exact: removal and zero are the same to a sum."""
    op = net.pick("sum", "sum_of_squares")
    x = net.add(op, net.now, axes=(net.channel_axis,), keepdims=True)
    net.then("add", net.add("tanh", x))


@table(always)
def norm_over_channels(net: Net) -> None:
    p = net.pick(1.0, 2.0, 3.0, float("inf"), 0.0)
    x = net.add("norm", net.now, axes=(net.channel_axis,), keepdims=True, p=p)
    net.then("divide", net.add("add", x, net.number(1.0)))


@table(always)
def statistics_over_channels(net: Net) -> None:
    """Mean, extremes and spread: allowed, inexact."""
    op = net.pick("mean", "max_over", "min_over", "log_sum_exp")
    net.then("add", net.add(op, net.now, axes=(net.channel_axis,), keepdims=True))


@table(always)
def place_of_the_largest(net: Net) -> None:
    axis = net.pick(*range(1, net.rank))
    no_ties = net.add("add", net.now, net.weight(1, *net.dims[1:]))
    place = net.add("argmax", no_ties, axis=axis, keepdims=True)
    net.then("add", net.add("multiply", place, net.number(0.1)))


@table(wide(always))
def largest_of_groups(net: Net) -> None:
    """Maximum over neighbouring channels, and where it was."""
    axis = net.channel_axis
    lead, tail = net.dims[:axis], net.dims[axis + 1 :]
    x = net.add("reshape", net.now, shape=(*lead, net.width // 2, 2, *tail))
    net.go(net.add_all("max_at", x, axes=(axis + 1,), keepdims=False)[0])
