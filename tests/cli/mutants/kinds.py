"""What is done to the nodes of a sound model, and the table of all that is done to one.

Each kind changes it in place, by a given random generator.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import onnx
from onnx import AttributeProto, helper

from tests.cli.mutants.choices import FLOATS, INTS, RANKS, TEXTS, names_of, node_of, weight_of
from tests.cli.mutants.kinds_data import (
    any_field,
    change_data,
    change_dtype,
    change_file,
    change_inputs,
    change_place,
    change_sizes,
    change_versions,
    drop_or_double_value,
    explode,
    fit_sizes,
    swap_weights,
)
from tests.cli.mutants.nets import Net

Kind = Callable[[Net, Random], None]


def drop_attribute(net: Net, random: Random) -> None:
    nodes = [node for node in net.proto.graph.node if node.attribute]
    if nodes:
        node = random.choice(nodes)
        del node.attribute[random.randrange(len(node.attribute))]


def change_attribute(net: Net, random: Random) -> None:
    nodes = [node for node in net.proto.graph.node if node.attribute]
    if not nodes:
        return
    attribute = random.choice(random.choice(nodes).attribute)
    if attribute.type == AttributeProto.INT:
        attribute.i = random.choice(INTS)
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = random.choice(FLOATS)
    elif attribute.type == AttributeProto.STRING:
        attribute.s = random.choice((*TEXTS, "SAME_UPPER", "VALID", "linear", "cubic")).encode()
    elif attribute.ints and random.random() < 0.6:
        attribute.ints[random.randrange(len(attribute.ints))] = random.choice(INTS)
    elif attribute.ints:
        numbers = [random.choice(INTS) for _ in range(random.choice(RANKS))]
        del attribute.ints[:]
        attribute.ints.extend(numbers)


def retype_attribute(net: Net, random: Random) -> None:
    nodes = [node for node in net.proto.graph.node if node.attribute]
    if not nodes:
        return
    attribute = random.choice(random.choice(nodes).attribute)
    other = random.choice(
        (1, 2.5, "text", [1, 2], [0.5], ["a", "b"], helper.make_tensor("t", 1, [2], [1.0, 2.0]))
    )
    attribute.CopyFrom(helper.make_attribute(attribute.name, other))


def add_attribute(net: Net, random: Random) -> None:
    """One that belongs to another operator, or to none."""
    names = (
        "axis",
        "group",
        "axes",
        "pads",
        "perm",
        "to",
        "keepdims",
        "frobnicate",
        "transA",
        "dilations",
        "allowzero",
    )
    value: Any = random.choice(
        (random.choice(INTS), [random.choice(INTS) for _ in range(random.choice(RANKS))])
    )
    node_of(net, random).attribute.append(helper.make_attribute(random.choice(names), value or [1]))


def rename(net: Net, random: Random) -> None:
    """Give a value or an initializer the name of another one, an empty one or an odd one."""
    graph, name = net.proto.graph, random.choice((*names_of(net), *TEXTS))
    kind = random.randrange(4)
    if kind == 0:
        node = node_of(net, random)
        node.output[random.randrange(len(node.output))] = name
    elif kind == 1:
        weight_of(net, random).name = name
    elif kind == 2:
        random.choice((*graph.input, *graph.output)).name = name
    else:
        _rename_all(net, random.choice(names_of(net)), random.choice(TEXTS))


def _rename_all(net: Net, old: str, new: str) -> None:
    graph = net.proto.graph
    for node in graph.node:
        for names in (node.input, node.output):
            for at, name in enumerate(names):
                names[at] = new if name == old else name
    for holder in (*graph.input, *graph.output, *graph.initializer):
        holder.name = new if holder.name == old else holder.name


def rename_node(net: Net, random: Random) -> None:
    node_of(net, random).name = random.choice((*TEXTS, *names_of(net)))


def rewire(net: Net, random: Random) -> None:
    node = node_of(net, random)
    kind, name = random.randrange(4), random.choice((*names_of(net), ""))
    if kind == 0 and node.input:
        del node.input[random.randrange(len(node.input))]
    elif kind == 1:
        node.input.append(name)
    elif node.input:
        node.input[random.randrange(len(node.input))] = name


def swap_operator(net: Net, random: Random) -> None:
    """Another operator in the place of one, the edges as they were."""
    kinds = (
        "Conv", "ConvTranspose", "MatMul", "Gemm", "Add", "Mul", "Concat", "Softmax", "Expand", "Tile", "Pad", "Where",
        "ReduceMean", "TopK", "NonZero", "Gather", "ScatterND", "Loop", "If", "Resize", "Range", "LSTM",
        "ConstantOfShape", "Squeeze", "Unsqueeze", "Transpose", "DepthToSpace", "QLinearConv", "ConvInteger",
        "Identity", "Cast", "Einsum",
        "InstanceNormalization", "Dropout", "OneHot", "Nonsense", "Split", "Slice", "Reshape", "SequenceConstruct",
    )  # fmt: skip
    node = node_of(net, random)
    node.op_type = random.choice(kinds)
    if random.random() < 0.5:
        del node.attribute[:]
    if random.random() < 0.1:
        node.domain = random.choice(("com.microsoft", "ai.onnx", "ai.onnx.ml", "my.own", ""))


def drop_or_double_node(net: Net, random: Random) -> None:
    graph = net.proto.graph
    at = random.choice(range(len(graph.node)))
    if random.random() < 0.5:
        del graph.node[at]
    else:
        graph.node.add().CopyFrom(graph.node[at])


def shuffle_nodes(net: Net, random: Random) -> None:
    nodes = list(net.proto.graph.node)
    random.shuffle(nodes)
    del net.proto.graph.node[:]
    net.proto.graph.node.extend(nodes)


KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        drop_attribute, change_attribute, retype_attribute, add_attribute, rename, rename_node, rewire, swap_operator,
        drop_or_double_node, shuffle_nodes, change_sizes, fit_sizes, swap_weights, change_dtype, change_data,
        change_inputs, drop_or_double_value, change_versions, change_place, change_file, explode, any_field,
    )
}  # fmt: skip


def flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def move(data: bytes, random: Random) -> bytes:
    """Cut a piece out, or write it twice."""
    at, size = random.randrange(len(data)), random.choice((1, 2, 8, 64))
    return data[:at] + data[at + size :] if random.random() < 0.5 else data[: at + size] + data[at:]


BYTES: dict[str, Callable[[bytes, Random], bytes]] = {made.__name__: made for made in (flip, truncate, move)}


def parses(data: bytes) -> bool:
    try:
        onnx.ModelProto.FromString(data)
    except Exception:  # protobuf's own, of whichever implementation
        return False
    return True
