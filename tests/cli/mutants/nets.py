"""The small sound models that mutants are made of, each with the data file beside it where it has one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, parser

DATA = "w.bin"
"""The file that external weights lie in."""


@dataclass
class Net:
    """A model and the bytes of its data file, empty where there is none."""

    proto: onnx.ModelProto
    data: bytes = b""


def _built(text: str, shapes: dict[str, tuple[int, ...]], **others: Any) -> onnx.ModelProto:
    proto = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> net {text}')
    rng = np.random.default_rng(0)
    arrays = {name: (rng.standard_normal(shape) * 0.3).astype(np.float32) for name, shape in shapes.items()}
    for name, array in {**arrays, **others}.items():
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return proto


def convolutions() -> Net:
    """Normalised, depthwise, residual, pooled, with a free batch and free sides."""
    text = """(float[N,3,H,W] x) => (float[N,5] y) {
      a = Conv<pads=[1,1,1,1]>(x, w0, b0)
      n = BatchNormalization<epsilon=0.001>(a, s, t, m, v)
      r = Relu(n)
      d = Conv<group=8, pads=[1,1,1,1], strides=[2,2]>(r, w1, b1)
      c = Clip(d, low, high)
      e = Conv<pads=[1,1,1,1], auto_pad="NOTSET">(c, w2)
      z = Add(e, c)
      p = MaxPool<kernel_shape=[2,2], ceil_mode=0>(z)
      u = Resize<mode="nearest">(p, , scales)
      q = GlobalAveragePool(u)
      f = Flatten<axis=1>(q)
      y = Gemm<transB=1, alpha=1.0>(f, w3, b3)
    }"""
    shapes = {"w0": (8, 3, 3, 3), "b0": (8,), "s": (8,), "t": (8,), "m": (8,), "w1": (8, 1, 3, 3), "b1": (8,),
              "w2": (8, 8, 3, 3), "w3": (5, 8), "b3": (5,)}  # fmt: skip
    more = {"v": np.full(8, 0.9, np.float32), "scales": np.array([1, 1, 2, 2], np.float32),
            "low": np.float32(0), "high": np.float32(6)}  # fmt: skip
    proto = _built(text, shapes, **more)
    for size, dim in zip((1, 3, 8, 8), proto.graph.input[0].type.tensor_type.shape.dim, strict=True):
        if dim.dim_param in ("H", "W"):
            dim.dim_value = size
    return Net(proto)


def attention() -> Net:
    """Two heads over six tokens, with the arithmetic of shapes that exporters write."""
    text = """(float[B,6,8] x) => (float[B,6,8] y) {
      n = LayerNormalization<axis=-1>(x, g0, h0)
      q = MatMul(n, wq)
      qb = Add(q, bq)
      k = MatMul(n, wk)
      v = MatMul(n, wv)
      size = Shape(x)
      batch = Gather<axis=0>(size, zero)
      tail = Constant<value_ints=[6, 2, 4]>()
      axes = Constant<value_ints=[0]>()
      batches = Unsqueeze(batch, axes)
      target = Concat<axis=0>(batches, tail)
      q4 = Reshape(qb, target)
      k4 = Reshape(k, target)
      v4 = Reshape(v, target)
      qt = Transpose<perm=[0,2,1,3]>(q4)
      kt = Transpose<perm=[0,2,3,1]>(k4)
      vt = Transpose<perm=[0,2,1,3]>(v4)
      s = MatMul(qt, kt)
      ss = Mul(s, scale)
      a = Softmax<axis=-1>(ss)
      o = MatMul(a, vt)
      ot = Transpose<perm=[0,2,1,3]>(o)
      join = Constant<value_ints=[0, 6, -1]>()
      o3 = Reshape(ot, join)
      l = MatMul(o3, wo)
      z = Add(l, x)
      i = MatMul(z, w1)
      e = Erf(i)
      y = MatMul(e, w2)
    }"""
    square = dict.fromkeys(("wq", "wk", "wv", "wo"), (8, 8))
    shapes = {**square, "g0": (8,), "h0": (8,), "bq": (8,), "w1": (8, 12), "w2": (12, 8)}
    return Net(_built(text, shapes, scale=np.float32(0.5), zero=np.int64(0)))


def detector() -> Net:
    """Split, concatenated, upsampled by sizes, sliced, with two outputs."""
    text = """(float[1,3,8,8] x) => (float[1,4,64] boxes, float[1,3,64] scores) {
      a = Conv<pads=[1,1,1,1]>(x, w0, b0)
      g = Sigmoid(a)
      s = Mul(a, g)
      l, r = Split<axis=1>(s, parts)
      m = Conv<pads=[1,1,1,1]>(r, w1)
      k = Concat<axis=1>(l, r, m)
      d = Conv<strides=[2,2], kernel_shape=[3,3], pads=[1,1,1,1]>(k, w2)
      u = Resize<mode="nearest", coordinate_transformation_mode="asymmetric">(d, , , sides)
      j = Concat<axis=1>(u, s)
      h = Conv(j, w3, b3)
      o = Reshape(h, flat)
      boxes = Slice(o, from0, to4, along)
      logits = Slice(o, to4, to7, along)
      scores = Sigmoid(logits)
    }"""
    shapes = {
        "w0": (8, 3, 3, 3),
        "b0": (8,),
        "w1": (4, 4, 3, 3),
        "w2": (6, 12, 3, 3),
        "w3": (7, 14, 1, 1),
        "b3": (7,),
    }
    whole = {
        "parts": [4, 4],
        "sides": [1, 6, 8, 8],
        "flat": [1, 7, -1],
        "from0": [0],
        "to4": [4],
        "to7": [7],
        "along": [1],
    }
    return Net(_built(text, shapes, **{name: np.array(values, np.int64) for name, values in whole.items()}))


def quantised() -> Net:
    """Codes around two convolutions and a head, steps by channel."""
    text = """(float[1,3,8,8] x) => (float[1,5] y) {
      xq = QuantizeLinear(x, sx, zx)
      xd = DequantizeLinear(xq, sx, zx)
      wd = DequantizeLinear<axis=0>(w0, s0, z0)
      a = Conv<pads=[1,1,1,1]>(xd, wd, b0)
      r = Relu(a)
      rq = QuantizeLinear(r, sx, zx)
      rd = DequantizeLinear(rq, sx, zx)
      vd = DequantizeLinear<axis=0>(w1, s1, z1)
      b = Conv(rd, vd)
      p = GlobalAveragePool(b)
      f = Flatten(p)
      y = Gemm<transB=1>(f, w2, b2)
    }"""
    rng = np.random.default_rng(1)
    codes = {
        name: rng.integers(-60, 60, shape).astype(np.int8)
        for name, shape in (("w0", (8, 3, 3, 3)), ("w1", (8, 8, 1, 1)))
    }
    steps = {name: np.full(8, 0.01, np.float32) for name in ("s0", "s1")}
    zeros = {name: np.zeros(8, np.int8) for name in ("z0", "z1")}
    shapes = {"b0": (8,), "w2": (5, 8), "b2": (5,)}
    return Net(_built(text, shapes, **codes, **steps, **zeros, sx=np.float32(0.05), zx=np.uint8(3)))


def outside() -> Net:
    """Weights in a file of their own."""
    text = """(float[N,6] x) => (float[N,3] y) {
      a = Gemm(x, w0, b0)
      r = Relu(a)
      b = MatMul(r, w1)
      t = Tanh(b)
      y = Gemm(t, w2, b2)
    }"""
    proto = _built(text, {"w0": (6, 16), "b0": (16,), "w1": (16, 16), "w2": (16, 3), "b2": (3,)})
    data = b""
    for tensor in proto.graph.initializer:
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", DATA), ("offset", len(data)), ("length", len(tensor.raw_data))):
            tensor.external_data.add(key=key, value=str(value))
        data += tensor.raw_data
        tensor.ClearField("raw_data")
    return Net(proto, data)


NETS: dict[str, Callable[[], Net]] = {
    made.__name__: cache(made) for made in (convolutions, attention, detector, quantised, outside)
}


def fresh(name: str) -> Net:
    """A copy to change."""
    net = NETS[name]()
    proto = onnx.ModelProto()
    proto.CopyFrom(net.proto)
    return Net(proto, net.data)
