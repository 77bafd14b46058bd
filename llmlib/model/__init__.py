"""The language model: its shape, its layers, its memory and its cost."""

from .accounting import (
    active_parameters,
    count_parameters,
    flops_per_token,
    parameter_table,
    weight_bytes_per_pass,
)
from .attention import Attention, plain_attention
from .cache import KVCache
from .config import EncoderConfig, ModelConfig, MoEConfig, RopeScaling
from .context import AttentionContext, causal_mask
from .costs import kv_bytes_per_token
from .device import default_device
from .encoder_decoder import (
    CrossBlock,
    Decoder,
    DecoderCache,
    EncoderDecoder,
    EncoderDecoderConfig,
    prefix_mask,
    t5_config,
)
from .heads import Classifier, MaskedLMHead, pool_hidden
from .hooks import intervene, record
from .layers import MLP, RMSNorm, SwiGLU
from .memory import LayerMemory
from .mixture import MixtureOfExperts, Routing, balancing_loss, expected_experts, route, z_loss
from .parts import TiedHead, auxiliary_loss, replace_linears
from .presets import preset, presets
from .relative import RelativePositions, distance_buckets, use_relative_positions
from .rope import apply_rope, permute_rope_rows, rope_tables, sinusoidal_table
from .transformer import Block, Transformer

__all__ = [
    "MLP",
    "Attention",
    "AttentionContext",
    "Block",
    "Classifier",
    "CrossBlock",
    "Decoder",
    "DecoderCache",
    "EncoderConfig",
    "EncoderDecoder",
    "EncoderDecoderConfig",
    "KVCache",
    "LayerMemory",
    "MaskedLMHead",
    "MixtureOfExperts",
    "MoEConfig",
    "ModelConfig",
    "RMSNorm",
    "RelativePositions",
    "RopeScaling",
    "Routing",
    "SwiGLU",
    "TiedHead",
    "Transformer",
    "active_parameters",
    "apply_rope",
    "auxiliary_loss",
    "balancing_loss",
    "causal_mask",
    "count_parameters",
    "default_device",
    "distance_buckets",
    "expected_experts",
    "flops_per_token",
    "intervene",
    "kv_bytes_per_token",
    "parameter_table",
    "permute_rope_rows",
    "plain_attention",
    "pool_hidden",
    "prefix_mask",
    "preset",
    "presets",
    "record",
    "replace_linears",
    "rope_tables",
    "route",
    "sinusoidal_table",
    "t5_config",
    "use_relative_positions",
    "weight_bytes_per_pass",
    "z_loss",
]
