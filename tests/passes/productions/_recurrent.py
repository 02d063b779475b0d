"""Recurrent layers: every gate holds the hidden channels, which are made and summed over at once."""

from __future__ import annotations

from tests.passes.productions._net import Net, Table, tokens

table = Table()
_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


@table(tokens)
def recurrent(net: Net) -> None:
    """One layer as ONNX writes it; the last state is read as well."""
    op = net.pick("lstm", "gru", "rnn")
    kind = {"rnn": net.pick("rnn_tanh", "rnn_relu")}.get(op, op)
    dirs, hidden, gates = net.pick(1, 2), net.some(2, 5), _GATES[kind]
    direction = "bidirectional" if dirs == 2 else net.pick("forward", "reverse")
    weights = [net.weight(dirs, gates * hidden, size) for size in (net.width, hidden)]
    bias = net.weight(dirs, 2 * gates * hidden) if net.maybe() else None
    attrs = {"kind": kind, "direction": direction, "batch_first": True, "hidden": hidden}
    if op == "gru":
        attrs["reset_after"] = net.maybe()
    states, last, *_ = net.add_all(op, net.now, *weights, bias, **attrs)
    batch, length, _ = net.dims
    x = net.add("reshape", states, shape=(batch, length, dirs * hidden))
    last = net.linear(net.add("reshape", last, shape=(batch, dirs * hidden)), net.shape(x)[2])
    x = net.add("concat", x, net.add("unsqueeze", last, axes=(1,)), axis=1)
    net.go(net.linear(x, net.width))


@table(tokens)
def recurrent_with_a_first_state(net: Net) -> None:
    hidden, batch = net.some(2, 5), net.dims[0]
    weights = [net.weight(1, 4 * hidden, size) for size in (net.width, hidden)]
    looks = net.weight(1, 3 * hidden) if net.maybe() else None
    mean = net.add("mean", net.now, axes=(1,), keepdims=True)
    first, memory = (net.linear(mean, hidden) for _ in range(2))
    x = net.add_all(
        "lstm", net.now, *weights, None, first, memory, looks,
        kind="lstm", direction="forward", batch_first=True, hidden=hidden,
    )[0]  # fmt: skip
    net.go(net.add("reshape", x, shape=(batch, net.dims[1], hidden)))


@table(tokens)
def recurrent_stack(net: Net) -> None:
    """Layers and directions as torch writes them."""
    kind, layers, dirs, hidden = net.pick(*_GATES), net.some(1, 2), net.pick(1, 2), net.some(2, 4)
    biased, gates = net.maybe(), _GATES[kind]
    params = []
    for layer in range(layers):
        for _ in range(dirs):
            read = net.width if layer == 0 else dirs * hidden
            params += [net.weight(gates * hidden, read), net.weight(gates * hidden, hidden)]
            params += [net.weight(gates * hidden) for _ in range(2)] if biased else []
    count = 2 if kind == "lstm" else 1
    shape = (layers * dirs, net.dims[0], hidden)
    states = [
        net.add("full", None, shape=shape, value=net.pick(0.0, 0.5), dtype="float32") for _ in range(count)
    ]
    attrs = {"kind": kind, "layers": layers, "both": dirs == 2, "biased": biased, "batch_first": True}
    net.go(net.add_all(f"{kind}_stack", net.now, *states, *params, **attrs)[0])
