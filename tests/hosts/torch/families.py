"""Small models of families that people keep by configuration: two layers, sizes that differ from each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

_TEXT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 56,
    "vocab_size": 60, "max_position_embeddings": 40, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_GROUPED = {**_TEXT, "num_key_value_heads": 2}
_OWN_HEADS = {**_GROUPED, "head_dim": 12}
_IMAGE = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 56,
    "image_size": 16, "patch_size": 8,
}  # fmt: skip
_BART = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 56, "decoder_ffn_dim": 48, "vocab_size": 60,
    "max_position_embeddings": 40, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 2, "forced_eos_token_id": None,
}  # fmt: skip
_IDS = {"input_ids": (2, 7)}
_PAIR = {"input_ids": (2, 7), "decoder_input_ids": (2, 5)}


@dataclass(frozen=True)
class Family:
    """One family.

    Attributes:
        model, config: names in the library; a model without configuration class takes its entries itself.
        entries: of the configuration.
        inputs: shapes of what ``forward`` takes, by name; names that speak of ids are drawn from the vocabulary.
    """

    library: str
    model: str
    config: str
    entries: Mapping[str, Any]
    inputs: Mapping[str, tuple[int, ...]]

    def make(self) -> nn.Module:
        library = __import__(self.library)
        kind: Callable[..., nn.Module] = getattr(library, self.model)
        torch.manual_seed(0)
        made = kind(getattr(library, self.config)(**self.entries)) if self.config else kind(**self.entries)
        generator = torch.Generator().manual_seed(1)
        for parameter in made.parameters():
            if parameter.dim() == 1:  # norms and biases as if they had been trained
                parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
        return made.eval()

    def draw(self) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(2)
        return tuple(
            torch.randint(3, 60, shape, generator=generator)
            if name.endswith("ids")
            else torch.tensor(3)
            if name == "timestep"
            else torch.randn(shape, generator=generator)
            for name, shape in self.inputs.items()
        )


class Bare(nn.Module):
    """A model that takes tensors in order and gives its first output, without caches."""

    def __init__(self, model: nn.Module, names: tuple[str, ...], **fixed: Any) -> None:
        super().__init__()
        self.model = model
        self.names, self.fixed = names, fixed

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        given = dict(zip(self.names, values, strict=True))
        first: torch.Tensor = self.model(**given, **self.fixed, return_dict=False)[0]
        return first


def bare(family: Family) -> Bare:
    """The model of a family, ready to be captured."""
    model = family.make()
    cached = hasattr(getattr(model, "config", None), "use_cache")
    return Bare(model, tuple(family.inputs), **({"use_cache": False} if cached else {}))


FAMILIES: Mapping[str, Family] = {
    "bert": Family("transformers", "BertForMaskedLM", "BertConfig", _TEXT, _IDS),
    "deberta_v2": Family("transformers", "DebertaV2ForMaskedLM", "DebertaV2Config",
                         {**_TEXT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}, _IDS),
    "gpt2": Family("transformers", "GPT2LMHeadModel", "GPT2Config",
                   {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 60, "n_positions": 40,
                    "bos_token_id": 1, "eos_token_id": 2}, _IDS),
    "opt": Family("transformers", "OPTForCausalLM", "OPTConfig",
                  {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 56,
                   "vocab_size": 60, "word_embed_proj_dim": 24, "max_position_embeddings": 40,
                   "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}, _IDS),
    "llama": Family("transformers", "LlamaForCausalLM", "LlamaConfig", _OWN_HEADS, _IDS),
    "qwen2": Family("transformers", "Qwen2ForCausalLM", "Qwen2Config",
                    {**_GROUPED, "tie_word_embeddings": True}, _IDS),
    "mistral": Family("transformers", "MistralForCausalLM", "MistralConfig", _OWN_HEADS, _IDS),
    "phi3": Family("transformers", "Phi3ForCausalLM", "Phi3Config", _GROUPED, _IDS),
    "gemma": Family("transformers", "GemmaForCausalLM", "GemmaConfig", _OWN_HEADS, _IDS),
    "t5": Family("transformers", "T5ForConditionalGeneration", "T5Config",
                 {"d_model": 32, "d_kv": 12, "d_ff": 56, "num_layers": 2, "num_heads": 4, "vocab_size": 60,
                  "pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 0}, _PAIR),
    "bart": Family("transformers", "BartForConditionalGeneration", "BartConfig", _BART, _PAIR),
    "vit": Family("transformers", "ViTForImageClassification", "ViTConfig", {**_IMAGE, "num_labels": 5},
                  {"pixel_values": (2, 3, 16, 16)}),
    "clip": Family("transformers", "CLIPModel", "CLIPConfig",
                   {"text_config": _TEXT, "vision_config": {**_IMAGE, "hidden_size": 40}, "projection_dim": 20},
                   {"input_ids": (2, 7), "pixel_values": (2, 3, 16, 16)}),
    "unet": Family("diffusers", "UNet2DConditionModel", "",
                   {"sample_size": 8, "in_channels": 4, "out_channels": 4, "layers_per_block": 1,
                    "block_out_channels": (16, 32), "norm_num_groups": 4, "cross_attention_dim": 12,
                    "attention_head_dim": 4, "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
                    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D")},
                   {"sample": (2, 4, 8, 8), "timestep": (), "encoder_hidden_states": (2, 3, 12)}),
    "vae": Family("diffusers", "AutoencoderKL", "",
                  {"in_channels": 3, "out_channels": 3, "latent_channels": 4, "norm_num_groups": 4,
                   "block_out_channels": (16, 32), "sample_size": 16, "layers_per_block": 1,
                   "down_block_types": ("DownEncoderBlock2D", "DownEncoderBlock2D"),
                   "up_block_types": ("UpDecoderBlock2D", "UpDecoderBlock2D")},
                  {"sample": (1, 3, 16, 16)}),
}  # fmt: skip
