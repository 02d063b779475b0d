"""What is done to weights, values and files of a sound model, and to any field of its messages."""

from __future__ import annotations

from random import Random
from typing import Any

from onnx import TensorProto, helper

from tests.cli.mutants.choices import FLOATS, INTS, RANKS, TEXTS, names_of, weight_of
from tests.cli.mutants.nets import DATA, Net


def change_sizes(net: Net, random: Random) -> None:
    """The dims of a weight: swapped, one of them odd, another rank."""
    dims = weight_of(net, random).dims
    kind = random.randrange(4)
    if kind == 0:
        sizes = list(dims)
        random.shuffle(sizes)
    elif kind == 1 and dims:
        sizes = list(dims)
        sizes[random.randrange(len(sizes))] = random.choice(INTS)
    elif kind == 2:
        sizes = [1] * (random.choice(RANKS)) + list(dims)
    else:
        sizes = [random.choice(INTS) for _ in range(random.choice(RANKS))]
    del dims[:]
    dims.extend(sizes)


def fit_sizes(net: Net, random: Random) -> None:
    """Another shape with the bytes to go with it: what does not fit is found at its readers only."""
    tensor = weight_of(net, random)
    sizes = [random.choice((0, 1, 2, 3, 4, 5, 8, 9)) for _ in range(random.choice((0, 1, 2, 3, 4, 5)))]
    count = 1
    for size in sizes:
        count *= size
    width = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    tensor.CopyFrom(
        TensorProto(name=tensor.name, data_type=tensor.data_type, dims=sizes, raw_data=b"\1" * count * width)
    )


def swap_weights(net: Net, random: Random) -> None:
    """Two weights under each other's name."""
    left, right = weight_of(net, random), weight_of(net, random)
    left.name, right.name = right.name, left.name


def change_dtype(net: Net, random: Random) -> None:
    """The type of a weight alone, or together with as many bytes as it asks for, or of an input."""
    dtype = random.choice((*range(24), 99, -1))
    kind = random.randrange(3)
    if kind == 0:
        random.choice((*net.proto.graph.input, *net.proto.graph.output)).type.tensor_type.elem_type = dtype
        return
    tensor = weight_of(net, random)
    if kind == 2 and dtype in (6, 7, 10, 11, 2, 3, 9):
        old = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        count = len(tensor.raw_data) // old
        tensor.raw_data = b"\1" * count * helper.tensor_dtype_to_np_dtype(dtype).itemsize
    tensor.data_type = dtype


def change_data(net: Net, random: Random) -> None:
    """The bytes of a weight: fewer, more, others, in another field."""
    tensor = weight_of(net, random)
    raw = bytearray(tensor.raw_data)
    kind = random.randrange(5)
    if kind == 0:
        tensor.raw_data = bytes(raw[: random.randrange(len(raw) + 1)])
    elif kind == 1:
        tensor.raw_data = bytes(raw) + b"\7" * random.choice((1, 4, 4096))
    elif kind == 2 and raw:
        for _ in range(random.choice((1, 4, 16))):
            raw[random.randrange(len(raw))] = random.randrange(256)
        tensor.raw_data = bytes(raw)
    elif kind == 3:
        tensor.ClearField("raw_data")
    else:
        tensor.float_data.append(1.0)


def change_inputs(net: Net, random: Random) -> None:
    """The shapes of graph inputs and outputs."""
    value = random.choice((*net.proto.graph.input, *net.proto.graph.output))
    shape, kind = value.type.tensor_type.shape, random.randrange(5)
    if kind == 0:
        value.type.tensor_type.ClearField("shape")
    elif kind == 1:
        value.ClearField("type")
    elif kind == 2 and shape.dim:
        random.choice(shape.dim).dim_value = random.choice(INTS)
    elif kind == 3 and shape.dim:
        random.choice(shape.dim).dim_param = random.choice(TEXTS)
    else:
        del shape.dim[:]
        for _ in range(random.choice(RANKS)):
            shape.dim.add().dim_value = random.choice((1, 2, 3, 8))


def drop_or_double_value(net: Net, random: Random) -> None:
    graph = net.proto.graph
    values: Any = random.choice((graph.input, graph.output, graph.initializer))
    if len(values):
        at = random.randrange(len(values))
        if random.random() < 0.5:
            del values[at]
        else:
            values.add().CopyFrom(values[at])


def change_versions(net: Net, random: Random) -> None:
    proto, kind = net.proto, random.randrange(4)
    if kind == 0:
        proto.ir_version = random.choice((*INTS, 3, 4, 10, 14))
    elif kind == 1:
        proto.opset_import[0].version = random.choice((*INTS, 6, 9, 11, 13, 21, 23, 26))
    elif kind == 2:
        proto.opset_import[0].domain = random.choice(("ai.onnx", "ai.onnx.ml", "my.own", "com.microsoft"))
    else:
        proto.opset_import.add(domain=random.choice(("", "x")), version=random.choice(INTS))


def change_place(net: Net, random: Random) -> None:
    """Where external data lies; a weight inside the file is said to lie outside."""
    tensor = weight_of(net, random)
    if not tensor.external_data:
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", DATA), ("offset", "0"), ("length", "16")):
            tensor.external_data.add(key=key, value=value)
        return
    entry = random.choice(tensor.external_data)
    kind = random.randrange(4)
    if kind == 0:
        tensor.external_data.remove(entry)
    elif kind == 1:
        entry.key = random.choice(("location", "offset", "length", "checksum", ""))
    elif entry.key == "location":
        entry.value = random.choice(
            (*TEXTS, "/etc/hostname", "../../../etc/hostname", ".", "/dev/zero", "m.onnx")
        )
    else:
        entry.value = random.choice((*(str(number) for number in INTS), "4", "6.5", "many", "", " 8"))


def change_file(net: Net, random: Random) -> None:
    """The data file: shorter, gone, other bytes."""
    if net.data:
        net.data = random.choice(
            (b"", net.data[: random.randrange(len(net.data))], net.data[::-1], net.data * 2)
        )


def explode(net: Net, random: Random) -> None:
    """A constant of 30,000 x 30,000, in one of the ways that make it from a few bytes, mixed into a value."""
    graph = net.proto.graph
    side = random.choice((1000, 30_000, 200_000))
    graph.initializer.append(helper.make_tensor("bomb.sizes", TensorProto.INT64, [2], [side, side]))
    graph.initializer.append(helper.make_tensor("bomb.one", TensorProto.FLOAT, [1, 1], [1.0]))
    graph.initializer.append(helper.make_tensor("bomb.ends", TensorProto.INT64, [], [side * side]))
    graph.initializer.append(helper.make_tensor("bomb.zero", TensorProto.INT64, [], [0]))
    graph.initializer.append(helper.make_tensor("bomb.unit", TensorProto.INT64, [], [1]))
    ways = (
        [helper.make_node("ConstantOfShape", ["bomb.sizes"], ["bomb"])],
        [helper.make_node("Expand", ["bomb.one", "bomb.sizes"], ["bomb"])],
        [helper.make_node("Tile", ["bomb.one", "bomb.sizes"], ["bomb"])],
        [helper.make_node("Resize", ["bomb.one", "", "", "bomb.sizes"], ["bomb"])],
        [
            helper.make_node("Range", ["bomb.zero", "bomb.ends", "bomb.unit"], ["bomb.range"]),
            helper.make_node("Cast", ["bomb.range"], ["bomb"], to=TensorProto.FLOAT),
        ],
    )
    victim = random.choice(graph.node)
    mixed = [
        helper.make_node("ReduceMax", ["bomb"], ["bomb.most"], keepdims=0),
        helper.make_node("Mul", [victim.output[0], "bomb.most"], ["bomb.out"]),
    ]
    for node in graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = "bomb.out" if name == victim.output[0] else name
    for node in (*random.choice(ways), *mixed):
        graph.node.add().CopyFrom(node)


def any_field(net: Net, random: Random) -> None:
    """One field of any message, deep down, by its protobuf type."""
    message: Any = net.proto
    while True:
        fields = message.ListFields()
        if not fields:
            return
        field, value = random.choice(fields)
        if field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED:
            if random.random() < 0.1:
                del value[random.randrange(len(value))]
                return
            if field.type == field.TYPE_MESSAGE:
                message = random.choice(value)
                continue
            value[random.randrange(len(value))] = _other(field, random, net)
            return
        if field.type == field.TYPE_MESSAGE:
            if random.random() < 0.1:
                message.ClearField(field.name)
                return
            message = value
            continue
        if random.random() < 0.2:
            message.ClearField(field.name)
        else:
            setattr(message, field.name, _other(field, random, net))
        return


def _other(field: Any, random: Random, net: Net) -> Any:
    if field.type == field.TYPE_STRING:
        return random.choice((*TEXTS, *names_of(net))) or "?"
    if field.type == field.TYPE_BYTES:
        return random.choice((*TEXTS, *names_of(net))).encode()
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return random.choice(FLOATS)
    if field.type == field.TYPE_ENUM:
        return random.choice(list(field.enum_type.values_by_number))
    small = field.type in (field.TYPE_INT32, field.TYPE_UINT32)
    return random.choice([number for number in INTS if not small or 0 <= number < 2**31])
