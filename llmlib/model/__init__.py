"""The language model: its shape, its layers, its memory and its cost."""

from .accounting import count_parameters, flops_per_token, kv_bytes_per_token, parameter_table
from .attention import Attention, plain_attention
from .cache import KVCache
from .config import EncoderConfig, ModelConfig
from .device import default_device
from .hooks import record
from .layers import MLP, RMSNorm, SwiGLU
from .memory import LayerMemory
from .pattern import causal_mask
from .presets import preset, presets
from .rope import apply_rope, permute_rope_rows, rope_tables, sinusoidal_table
from .transformer import Block, Transformer

__all__ = [
    "MLP",
    "Attention",
    "Block",
    "EncoderConfig",
    "KVCache",
    "LayerMemory",
    "ModelConfig",
    "RMSNorm",
    "SwiGLU",
    "Transformer",
    "apply_rope",
    "causal_mask",
    "count_parameters",
    "default_device",
    "flops_per_token",
    "kv_bytes_per_token",
    "parameter_table",
    "permute_rope_rows",
    "plain_attention",
    "preset",
    "presets",
    "record",
    "rope_tables",
    "sinusoidal_table",
]
