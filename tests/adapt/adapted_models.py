"""Small models with adapters in them."""

import torch
from model_families import build, small_config
from torch import nn

from llmlib.adapt import LoRAConfig, apply_lora, lora_layers
from llmlib.model import Transformer

BLOCKS = "blocks.*"
VARIANTS = [{}, dict(use_rslora=True), dict(use_dora=True), dict(use_dora=True, use_rslora=True)]


def random_adapter(model: nn.Module, name: str, seed: int = 3) -> None:
    """Values in every factor, as after training."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in lora_layers(model).values():
            for weight in layer.adapters[name].parameters() if name in layer.adapters else ():
                weight.add_(0.2 * torch.randn(weight.shape, generator=generator))


def adapted(family: str = "llama", name: str = "default", **fields) -> Transformer:
    model = build(small_config(family))
    apply_lora(model, LoRAConfig(**{"rank": 4, "targets": BLOCKS, **fields}), name)
    random_adapter(model, name)
    return model


class Packed(nn.Module):
    """A linear layer in one byte a weight, as a quantized one."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        step = linear.weight.detach().abs().max() / 127
        self.register_buffer("codes", (linear.weight.detach() / step).round().to(torch.int8))
        self.register_buffer("step", step)

    def forward(self, x):
        return x @ (self.codes * self.step).T.to(x.dtype)
