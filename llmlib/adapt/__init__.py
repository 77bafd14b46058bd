"""Efficient models: LoRA and the parameter-efficient family (lecture 14)."""

from .adapter_files import AdapterFile, fingerprint, load_adapter, read_adapter, save_adapter
from .adapters import (
    active_adapter,
    adapter_names,
    apply_lora,
    merge_lora,
    remove_lora,
    set_adapter,
    unmerge_lora,
)
from .bottleneck import Bottleneck, add_bottlenecks
from .family import apply_peft, peft_methods
from .lora import LoRAConfig, LoRALinear, LoRAWeights, lora_layers
from .prefix import PrefixAttention, add_prefix, prefix_cache
from .prompt import PromptedTransformer, add_soft_prompt
from .selection import tune_all, tune_last_layers, tune_norms
from .vectors import Shifted, Stretched, add_ia3, merge_ia3, tune_biases
from .wrapping import PeftReport

__all__ = [
    "AdapterFile",
    "Bottleneck",
    "LoRAConfig",
    "LoRALinear",
    "LoRAWeights",
    "PeftReport",
    "PrefixAttention",
    "PromptedTransformer",
    "Shifted",
    "Stretched",
    "active_adapter",
    "adapter_names",
    "add_bottlenecks",
    "add_ia3",
    "add_prefix",
    "add_soft_prompt",
    "apply_lora",
    "apply_peft",
    "fingerprint",
    "load_adapter",
    "lora_layers",
    "merge_ia3",
    "merge_lora",
    "peft_methods",
    "prefix_cache",
    "read_adapter",
    "remove_lora",
    "save_adapter",
    "set_adapter",
    "tune_all",
    "tune_biases",
    "tune_last_layers",
    "tune_norms",
    "unmerge_lora",
]
