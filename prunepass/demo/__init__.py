"""Demonstrations on trained models that packages ship."""

from ._onnx import run_onnx as run_onnx
from ._torch import run_torch as run_torch
