"""Attributes of torch.nn modules that are sizes, and where each is read from.

``weight.0`` is the size of axis 0 of the module's own tensor, ``weight.*`` its whole shape, ``input.1`` the
size of axis 1 of what the module reads, ``*groups`` and ``/head_dim`` multiply by or divide by another
attribute, ``node`` is the size attribute of the operation itself, ``last`` the last entry of the shapes
that the module views its data in, and a bare name another attribute. Of several, the first that fits counts.
A class stands for its subclasses as well.
"""

from __future__ import annotations

from collections.abc import Mapping

_Sources = tuple[str, ...]

LAYERS: Mapping[str, Mapping[str, _Sources]] = {
    "_ConvTransposeNd": {
        "groups": ("node",),
        "in_channels": ("weight.0",),
        "out_channels": ("weight.1*groups",),
    },
    "_ConvNd": {"groups": ("node",), "out_channels": ("weight.0",), "in_channels": ("weight.1*groups",)},
    "Linear": {"out_features": ("weight.0",), "in_features": ("weight.1",)},
    "Bilinear": {"out_features": ("weight.0",), "in1_features": ("weight.1",), "in2_features": ("weight.2",)},
    "Embedding": {"num_embeddings": ("weight.0",), "embedding_dim": ("weight.1",)},
    "EmbeddingBag": {"num_embeddings": ("weight.0",), "embedding_dim": ("weight.1",)},
    "_NormBase": {"num_features": ("weight.0", "running_mean.0", "input.1")},
    "GroupNorm": {"num_groups": ("node",), "num_channels": ("weight.0", "input.1")},
    "LayerNorm": {"normalized_shape": ("weight.*", "input.*")},
    "RMSNorm": {"normalized_shape": ("weight.*", "input.*")},
    "PReLU": {"num_parameters": ("weight.0",)},
    "RNNBase": {"input_size": ("weight_ih_l0.1",), "hidden_size": ("weight_hh_l0.1",)},
    "MultiheadAttention": {
        "embed_dim": ("in_proj_weight.1", "q_proj_weight.1"),
        "kdim": ("k_proj_weight.1", "embed_dim"),
        "vdim": ("v_proj_weight.1", "embed_dim"),
        "head_dim": ("last",),
        "num_heads": ("embed_dim/head_dim",),
    },
}


def sources_for(module_class: type) -> Mapping[str, _Sources]:
    """Size attributes of the nearest class of torch.nn that ``module_class`` is or derives from."""
    for base in module_class.__mro__:
        if base.__module__.startswith("torch.nn.") and base.__name__ in LAYERS:
            return LAYERS[base.__name__]
    return {}
