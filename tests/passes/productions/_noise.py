"""Random numbers drawn inside."""

from __future__ import annotations

from tests.passes.productions._net import Net, Table, always

table = Table()

_LAWS = (
    ("uniform", {"low": 0.5, "high": 1.5}),
    ("normal", {"mean": 0.0, "deviation": 0.5}),
    ("integers", {"low": 1.0, "end": 5.0}),
)


@table(always)
def noise_like(net: Net) -> None:
    """Added noise of the shape of the data."""
    law, numbers = net.pick(*_LAWS, ("coins", {"p": 0.6}), ("exponential", {"rate": 2.0}))
    net.then("add", net.add(f"{law}_like", net.now, **numbers))


@table(always)
def noise_by_channel(net: Net) -> None:
    """A table drawn anew at every call."""
    law, numbers = net.pick(*_LAWS)
    net.then("multiply", net.add(law, shape=net.along(net.width), **numbers))


@table(always)
def dropout_kept_on(net: Net) -> None:
    net.go(net.add_all("dropout", net.now, p=0.4)[0])


@table(always)
def noise_by_data(net: Net) -> None:
    """Coins of given probabilities, and the normal law around given means."""
    coins = net.add("coins", net.add("sigmoid", net.now))
    net.then("multiply", coins)
    net.then("normal_around", net.weight(*net.along(net.width), low=0.2, high=0.6))
