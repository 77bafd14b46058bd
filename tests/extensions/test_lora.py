"""LoRA (Hu et al., 2021) out of public parts: frozen matrices with a trained low-rank path beside them."""

import math

import pytest
import torch
from torch import nn

from llmlib.infer import generate
from llmlib.model import (
    ModelConfig,
    Transformer,
    count_parameters,
    flops_per_token,
    preset,
    replace_linears,
)
from llmlib.train import TrainConfig, Trainer

PATTERN = "blocks.*.attention.[qv]_proj"


class LoRALinear(nn.Module):
    def __init__(self, base: nn.Linear, rank: int = 4):
        super().__init__()
        self.base = base
        self.a = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + x @ self.a.T @ self.b.T

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        self.base.weight.add_(self.b @ self.a)
        return self.base


def adapted(pattern=PATTERN, **changes):
    torch.manual_seed(0)
    shape = dict(vocab_size=16, n_layers=2, d_model=32, n_heads=4, n_kv_heads=2, max_seq_len=32)
    model = Transformer(ModelConfig(**shape | changes)).requires_grad_(False).eval()
    names = replace_linears(model, pattern, lambda _, linear: LoRALinear(linear))
    return model, names


def counting(n=400):
    return torch.arange(n) % 16  # a text that an adapter can learn: every token is one more than the last


def test_only_the_adapters_learn_and_they_do():
    model, names = adapted()
    before = {name: p.clone() for name, p in model.named_parameters()}
    config = TrainConfig(steps=60, batch_size=8, seq_len=16, lr=0.02, weight_decay=0.0, device="cpu", progress=False)
    history = Trainer(model, config, counting(), evaluate=counting(100)).run()
    assert history.val_loss[-1] < history.val_loss[0] - 0.1
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]) == (not name.endswith((".a", ".b"))), name
    assert len(names) == 4


@torch.no_grad()
@pytest.mark.parametrize("pattern", [PATTERN, "lm_head", "*"])
def test_an_adapted_model_writes_what_the_merged_one_writes(pattern):
    model, names = adapted(pattern)
    for name in names:
        model.get_submodule(name).b.normal_(0.0, 0.3)
    ids = torch.randint(16, (2, 12))
    expected, text = model(ids), generate(model, [3, 1, 4], greedy=True, max_new_tokens=12)
    if pattern == PATTERN:  # the head's matrix is the embedding's: merging there would change the input too
        for name in names:
            part = model.get_submodule(name)
            replace_linears(model, f"{name}.base", lambda _, linear, part=part: part.merged())
        merged = Transformer(model.config).eval()
        state = {name.replace(".base.", "."): tensor for name, tensor in model.state_dict().items()}
        merged.load_state_dict({name: t for name, t in state.items() if not name.endswith((".a", ".b"))})
        assert (merged(ids) - expected).abs().max() <= 1e-5
        assert generate(merged, [3, 1, 4], greedy=True, max_new_tokens=12) == text
    assert not torch.equal(adapted(pattern)[0](ids), expected)


def test_adapters_are_counted():
    with torch.device("meta"):
        model = Transformer(preset("smollm2-135m")).requires_grad_(False)
        replace_linears(model, PATTERN, lambda _, linear: LoRALinear(linear, rank=8))
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == 30 * 8 * ((576 + 576) + (576 + 192))
    assert count_parameters(model) == count_parameters(preset("smollm2-135m")) + trained
    flops = flops_per_token(model, 100, training=False)
    assert flops == flops_per_token(preset("smollm2-135m"), 100, training=False) + 2 * trained
