"""The same numbers as peft, the independent implementation, on the same factors."""

import copy

import pytest
import torch
from model_families import build, small_config, tokens
from peft import IA3Config, LoraConfig, inject_adapter_in_model
from torch import nn

from llmlib.adapt import LoRAConfig, add_ia3, apply_lora, lora_layers, merge_lora
from llmlib.model import Transformer

from .adapted_models import VARIANTS

PROJECTIONS = ["q_proj", "v_proj", "down_proj"]


def theirs_and_ours(family: str, fields: dict) -> tuple[nn.Module, Transformer]:
    """A model with peft's adapters and its twin with ours, the same random factors in both."""
    ours = build(small_config(family))
    config = LoraConfig(r=4, lora_alpha=6, target_modules=PROJECTIONS, lora_dropout=0.0, **fields)
    theirs = inject_adapter_in_model(config, copy.deepcopy(ours)).eval()
    targets = tuple(f"*.{name}" for name in PROJECTIONS)
    apply_lora(ours, LoRAConfig(rank=4, alpha=6, targets=targets, **fields))
    with torch.no_grad():
        for name, layer in lora_layers(ours).items():
            weights, other = layer.adapters["default"], theirs.get_submodule(name)
            assert weights.a.shape == other.lora_A["default"].weight.shape
            if weights.magnitude is not None:  # set from the base alone in both
                magnitude = other.lora_magnitude_vector["default"].weight
                assert torch.allclose(weights.magnitude, magnitude.flatten(), atol=1e-6)
                weights.magnitude.mul_(1 + 0.3 * torch.rand_like(weights.magnitude))
                magnitude.copy_(weights.magnitude)
            other.lora_A["default"].weight.copy_(weights.a)
            other.lora_B["default"].weight.copy_(weights.b.normal_(0.0, 0.2))
    return theirs, ours


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("fields", VARIANTS)
def test_outputs_gradients_and_merged_matrices_are_those_of_peft(family: str, fields: dict):
    theirs, ours = theirs_and_ours(family, fields)
    ids = tokens(2, 7)
    assert torch.allclose(ours(ids), theirs(ids), atol=1e-5, rtol=1e-5)
    for model in (ours, theirs):
        model(ids).square().mean().backward()
    for name, layer in lora_layers(ours).items():
        weights, other = layer.adapters["default"], theirs.get_submodule(name)
        assert torch.allclose(weights.a.grad, other.lora_A["default"].weight.grad, atol=1e-6, rtol=1e-4)
        assert torch.allclose(weights.b.grad, other.lora_B["default"].weight.grad, atol=1e-6, rtol=1e-4)
        if weights.magnitude is not None:
            magnitude = other.lora_magnitude_vector["default"].weight
            assert torch.allclose(weights.magnitude.grad, magnitude.grad.flatten(), atol=1e-6, rtol=1e-4)
    merge_lora(ours)
    for name, layer in lora_layers(ours).items():
        other = theirs.get_submodule(name)
        other.merge()
        assert torch.allclose(layer.base.weight, other.base_layer.weight, atol=1e-6)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_ia3_is_that_of_peft(family: str):
    ours = build(small_config(family))
    config = IA3Config(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"])
    theirs = inject_adapter_in_model(config, copy.deepcopy(ours)).eval()
    report = add_ia3(ours)
    with torch.no_grad():
        for place in report.places:
            scale = ours.get_parameter(place).uniform_(0.5, 1.5)
            other = theirs.get_submodule(place.removesuffix(".scale")).ia3_l["default"]
            assert other.numel() == scale.numel()
            other.copy_(scale.view(other.shape))
    ids = tokens(2, 7)
    assert torch.allclose(ours(ids), theirs(ids), atol=1e-5, rtol=1e-5)
