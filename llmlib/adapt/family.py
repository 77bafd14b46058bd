"""The parameter-efficient family on one interface: a name, a model, and what is trained. Lecture 14."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import nn

from .adapters import apply_lora
from .bottleneck import add_bottlenecks
from .lora import LoRAConfig
from .prefix import add_prefix
from .prompt import add_soft_prompt
from .selection import tune_all, tune_last_layers, tune_norms
from .vectors import add_ia3, tune_biases
from .wrapping import PeftReport


def lora(model: nn.Module, generator: torch.Generator | None = None, **fields: object) -> PeftReport:
    """`apply_lora` with the fields of `LoRAConfig` by name."""
    return apply_lora(model, LoRAConfig(**fields), generator=generator)


METHODS: dict[str, Callable[..., PeftReport]] = {
    "full": tune_all,
    "last_layers": tune_last_layers,
    "norms": tune_norms,
    "bitfit": tune_biases,
    "bottleneck": add_bottlenecks,
    "lora": lora,
    "ia3": add_ia3,
    "prefix": add_prefix,
    "prompt": add_soft_prompt,
}


def peft_methods() -> tuple[str, ...]:
    """The names that `apply_peft` takes."""
    return tuple(METHODS)


def apply_peft(model: nn.Module, method: str, **options: object) -> PeftReport:
    """Prepare a model for fine-tuning by one of the family, in place; the report says what is trained.

        print(apply_peft(model, "ia3"))             # ia3: 57,600 of ... parameters trained
        apply_peft(model, "lora", rank=4, targets="*.v_proj")
        apply_peft(model, "prefix", length=8)

    method and its options: "full"; "last_layers" (n_layers); "norms"; "bitfit" (add); "bottleneck" (size, places);
    "lora" (the fields of `LoRAConfig`); "ia3"; "prefix" and "prompt" (length, ids, generator). Then train as always:
    optimizers take what requires a gradient, and `save_adapter` or `save_checkpoint(..., weights="trainable")` keep
    that alone. ValueError for an unknown method or option, and as the method's own function raises it.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; choose one of {', '.join(METHODS)}")
    known = options_of(method)
    unknown = next((option for option in options if option not in known), None)
    if unknown is not None:
        takes = f"takes {', '.join(known)}" if known else "takes none"
        raise ValueError(f"{unknown!r} is no option of method {method!r}, which {takes}")
    return METHODS[method](model, **options)


def options_of(method: str) -> list[str]:
    """The options that a method takes."""
    if method == "lora":
        return [*LoRAConfig.__dataclass_fields__, "generator"]
    return list(inspect.signature(METHODS[method]).parameters)[1:]
