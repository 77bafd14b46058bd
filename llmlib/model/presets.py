"""Shapes of published models, and of the small ones trained in this course."""

from __future__ import annotations

import difflib

from .config import EncoderConfig, ModelConfig, MoEConfig


def _gpt2(n_layers: int, d_model: int, n_heads: int) -> ModelConfig:
    """Radford et al. (2019). The released weights' biases, tanh GELU and tied head."""
    return ModelConfig(
        vocab_size=50257, n_layers=n_layers, d_model=d_model, n_heads=n_heads, max_seq_len=1024, norm="layernorm",
        mlp="gelu_tanh", position="learned", bias=True,
    )  # fmt: skip


def _bert(n_layers: int, d_model: int, n_heads: int) -> ModelConfig:
    """Devlin et al. (2018), uncased vocabulary. With the pooler, as released: 109.5M for the "110M" of the paper."""
    return ModelConfig(
        vocab_size=30522, n_layers=n_layers, d_model=d_model, n_heads=n_heads, max_seq_len=512, norm="layernorm",
        norm_position="post", norm_eps=1e-12, mlp="gelu", position="learned", bias=True, causal=False,
        encoder=EncoderConfig(n_token_types=2, embedding_norm=True, pooler=True),
    )  # fmt: skip


def _llama2(n_layers: int, d_model: int, n_heads: int, n_kv_heads: int, d_ff: int) -> ModelConfig:
    """Touvron et al. (2023b)."""
    return ModelConfig(
        vocab_size=32000, n_layers=n_layers, d_model=d_model, n_heads=n_heads, n_kv_heads=n_kv_heads, d_ff=d_ff,
        max_seq_len=4096, tie_embeddings=False,
    )  # fmt: skip


_PRESETS: dict[str, ModelConfig] = {
    # Radford et al. (2018): the first GPT puts its norms after the residual sums and has none at the end.
    "gpt1": ModelConfig(
        vocab_size=40478, n_layers=12, d_model=768, n_heads=12, max_seq_len=512, norm="layernorm",
        norm_position="post", mlp="gelu_tanh", position="learned", bias=True,
    ),
    "gpt2": _gpt2(12, 768, 12),
    "gpt2-medium": _gpt2(24, 1024, 16),
    "gpt2-large": _gpt2(36, 1280, 20),
    "gpt2-xl": _gpt2(48, 1600, 25),
    # Brown et al. (2020), table 2.1. Its locally banded layers have the parameters of dense ones.
    "gpt3": _gpt2(96, 12288, 96).replace(max_seq_len=2048),
    "bert-base": _bert(12, 768, 12),
    "bert-large": _bert(24, 1024, 16),
    "llama2-7b": _llama2(32, 4096, 32, 32, 11008),
    "llama2-13b": _llama2(40, 5120, 40, 40, 13824),
    "llama2-70b": _llama2(80, 8192, 64, 8, 28672),  # the only size with grouped queries
    # Jiang et al. (2024). No sliding window, as released. Its auxiliary loss has the weight of the released config.
    "mixtral-8x7b": ModelConfig(
        vocab_size=32000, n_layers=32, d_model=4096, n_heads=32, n_kv_heads=8, d_ff=14336, max_seq_len=32768,
        rope_theta=1_000_000.0, tie_embeddings=False, moe=MoEConfig(n_experts=8, top_k=2, auxiliary_weight=0.02),
    ),
    # Allal et al. (2025): a Llama of 30 thin layers.
    "smollm2-135m": ModelConfig(
        vocab_size=49152, n_layers=30, d_model=576, n_heads=9, n_kv_heads=3, d_ff=1536, max_seq_len=8192,
        rope_theta=100_000.0,
    ),
    # all-MiniLM-L6-v2: Wang et al. (2020), made a sentence encoder by Reimers and Gurevych's recipe (2019).
    "minilm-l6": _bert(6, 384, 12),
    # nanoGPT's recipe for a laptop: a GPT-2 without biases on 65 characters of Shakespeare.
    "nanogpt-cpu": ModelConfig(
        vocab_size=65, n_layers=4, d_model=128, n_heads=4, max_seq_len=64, norm="layernorm", mlp="gelu",
        position="learned",
    ),
    # Ours: a little over half the parameters, because a run of two minutes gains more from reading more text than from
    # a wider model; the context is the same.
    "shakespeare-cpu": ModelConfig(
        vocab_size=65, n_layers=4, d_model=96, n_heads=3, max_seq_len=64, mlp="relu2", qk_norm=True,
        tie_embeddings=False, zero_init_residual=True,
    ),
    "shakespeare-gpu": ModelConfig(
        vocab_size=65, n_layers=6, d_model=384, n_heads=6, max_seq_len=256, mlp="relu2", qk_norm=True,
        tie_embeddings=False, zero_init_residual=True, dropout=0.2,
    ),
}  # fmt: skip


def presets() -> list[str]:
    """The names `preset` knows."""
    return list(_PRESETS)


def preset(name: str) -> ModelConfig:
    """The config of a published model or of one of the course's, by name. ValueError for any other name.

    For another vocabulary or context: preset(name).replace(vocab_size=..., max_seq_len=...).
    """
    if name not in _PRESETS:
        close = difflib.get_close_matches(str(name).lower().replace("_", "-"), _PRESETS, n=3, cutoff=0.5)
        remedy = f"did you mean {' or '.join(close)}?" if close else f"choose one of {', '.join(_PRESETS)}"
        raise ValueError(f"name is {name!r}, which is no preset; {remedy}")
    return _PRESETS[name]
