"""Small models of every family the Transformer expresses, on the CPU in float32."""

import torch

from llmlib.model import EncoderConfig, ModelConfig, Transformer

VOCAB = 61

FAMILIES = {
    "gpt2": dict(norm="layernorm", mlp="gelu_tanh", position="learned", bias=True),
    "gpt1": dict(norm="layernorm", norm_position="post", mlp="gelu_tanh", position="learned", bias=True),
    "rms_learned": dict(mlp="gelu", position="learned", tie_embeddings=False),
    "llama": dict(n_kv_heads=2),
    "llama_interleaved": dict(rope_layout="interleaved", rope_theta=500.0),
    "shakespeare": dict(mlp="relu2", qk_norm=True, tie_embeddings=False, n_kv_heads=1),
    "sinusoidal": dict(position="sinusoidal", mlp="relu"),
    "no_position": dict(position="none"),
}


def small_config(family: str = "llama", **changes) -> ModelConfig:
    fields = dict(vocab_size=VOCAB, n_layers=3, d_model=32, n_heads=4, max_seq_len=40) | FAMILIES.get(family, {})
    return ModelConfig(**(fields | changes))


def encoder_config(**changes) -> ModelConfig:
    fields = dict(norm="layernorm", norm_position="post", mlp="gelu", position="learned", bias=True, causal=False)
    return small_config("encoder", **(fields | dict(encoder=EncoderConfig(pooler=True)) | changes))


def build(config: ModelConfig, seed: int = 0) -> Transformer:
    """A model whose every parameter is random, gains and biases too, so that none of them can hide a mistake."""
    torch.manual_seed(seed)
    model = Transformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
            else:
                parameter.normal_(0.0, 0.2)
    return model


def tokens(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(seed))
