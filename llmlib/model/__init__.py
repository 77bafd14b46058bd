"""The language model: its shape, its layers, its memory and its cost."""

from .accounting import count_parameters, flops_per_token, kv_bytes_per_token, parameter_table
from .attention import Attention, plain_attention
from .cache import KVCache
from .config import EncoderConfig, ModelConfig
from .decoding import decoding_layout, token_step
from .device import default_device
from .gguf import GGUFError, GGUFFile
from .hf import load_hf_state_dict
from .hooks import record
from .layers import MLP, RMSNorm, SwiGLU
from .pattern import causal_mask
from .presets import preset, presets
from .rope import apply_rope, permute_rope_rows, rope_tables, sinusoidal_table
from .transformer import Block, Transformer
from .unfilled import Unfilled

__all__ = [
    "MLP",
    "Attention",
    "Block",
    "EncoderConfig",
    "GGUFError",
    "GGUFFile",
    "KVCache",
    "ModelConfig",
    "RMSNorm",
    "SwiGLU",
    "Transformer",
    "Unfilled",
    "apply_rope",
    "causal_mask",
    "count_parameters",
    "decoding_layout",
    "default_device",
    "flops_per_token",
    "kv_bytes_per_token",
    "load_hf_state_dict",
    "parameter_table",
    "permute_rope_rows",
    "plain_attention",
    "preset",
    "presets",
    "record",
    "rope_tables",
    "sinusoidal_table",
    "token_step",
]
