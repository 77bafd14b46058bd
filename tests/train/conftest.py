import pytest
import torch

from llmlib.model import ModelConfig, Transformer


@pytest.fixture
def tokens():
    """A text with structure: each id is followed by one of two."""
    generator = torch.Generator().manual_seed(0)
    steps = torch.randint(1, 3, (2000,), generator=generator)
    return steps.cumsum(0) % 7


@pytest.fixture
def make_model():
    def make(seed=0, **changes):
        torch.manual_seed(seed)
        shape = dict(vocab_size=7, n_layers=1, d_model=16, n_heads=2, max_seq_len=8, mlp="relu2")
        return Transformer(ModelConfig(**{**shape, **changes}))

    return make
