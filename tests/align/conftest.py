"""Models of a few thousand weights, with opinions."""

import pytest
import torch

from llmlib.model import ModelConfig, Transformer

FAMILIES = {
    "gpt": dict(norm="layernorm", mlp="gelu_tanh", position="learned", bias=True),
    "llama": dict(n_kv_heads=1),
    "untied": dict(position="sinusoidal", tie_embeddings=False),
}


@pytest.fixture
def make_model():
    """make_model(seed, family, scale=5, **changes): in evaluation mode; scale 1 leaves all tokens equally likely."""

    def make(seed=0, family="llama", scale=5.0, **changes):
        shape = dict(vocab_size=12, n_layers=2, d_model=16, n_heads=2, d_ff=32, max_seq_len=24)
        model = Transformer(ModelConfig(**shape | FAMILIES[family] | changes)).eval()
        model.init_weights(torch.Generator().manual_seed(seed))
        with torch.no_grad():
            for weight in model.parameters():
                if weight.dim() == 2:
                    weight.mul_(scale)
        return model

    return make


def gradients(loss, model):
    """The gradient of a scalar with respect to all weights, as one vector."""
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


def weights(model):
    """All weights as one vector of their own."""
    return torch.cat([weight.detach().flatten() for weight in model.parameters()]).clone()
