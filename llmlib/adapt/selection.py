"""Fine-tuning parts that a model has already: everything, the last layers, the norms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import nn

from llmlib.model import RMSNorm, Transformer
from llmlib.train.distributed import unwrapped

from .wrapping import PeftReport, Wrapper, report


@dataclass(frozen=True)
class Adaptation:
    """What has been done to a model, noted in model.adaptation so that a file can say it. LoRA notes it in its layers.

    adds: whether the method has put parts into the model, which no other method can then be combined with.
    """

    method: str
    options: dict = field(default_factory=dict)
    adds: bool = False


def refuse_adapted(model: nn.Module, method: str) -> None:
    """ValueError if another method has added parts to the model."""
    earlier = getattr(model, "adaptation", None)
    if earlier is not None and earlier.adds:
        problem = f"the model already has the parts that {earlier.method!r} adds"
    elif method != "lora" and any(isinstance(part, Wrapper) for part in model.modules()):
        problem = "the model already has adapters"
    else:
        return
    raise ValueError(f"method is {method!r}, but {problem}; load the base model anew, or merge or remove them first")


def train_only(model: nn.Module, names: Iterable[str], adaptation: Adaptation) -> PeftReport:
    """Freeze all parameters but the named ones, and note what was done."""
    names = list(names)
    chosen = set(names)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in chosen
    model.adaptation = adaptation
    return report(model, adaptation.method, names)


def tune_all(model: nn.Module) -> PeftReport:
    """Full fine-tuning: every parameter. What the rest of the family is compared with. Lecture 14."""
    model = unwrapped(model)
    refuse_adapted(model, "full")
    return train_only(model, [name for name, _ in model.named_parameters()], Adaptation("full"))


def tune_last_layers(model: Transformer, n_layers: int = 1) -> PeftReport:
    """The last n_layers blocks, the final norm, and the output head unless it is tied to the embedding. Lecture 14.

    What BERT's and GPT-1's first users did to save time: no gradient is computed below the first trained block.
    ValueError unless 1 <= n_layers <= the model's.
    """
    model = unwrapped(model)
    refuse_adapted(model, "last_layers")
    depth = len(model.blocks)
    if not isinstance(n_layers, int) or isinstance(n_layers, bool) or not 1 <= n_layers <= depth:
        raise ValueError(f"n_layers is {n_layers!r}; use a whole number from 1 to the model's {depth}")
    trained = (*(f"blocks.{i}." for i in range(depth - n_layers, depth)), "final_norm.", "lm_head.")
    names = [name for name, _ in model.named_parameters() if name.startswith(trained)]
    return train_only(model, names, Adaptation("last_layers", dict(n_layers=n_layers)))


def tune_norms(model: nn.Module) -> PeftReport:
    """The gains, and biases, of all LayerNorms or RMSNorms: a few numbers a layer (Qi et al., 2022). Lecture 14.

    ValueError for a model without one.
    """
    model = unwrapped(model)
    refuse_adapted(model, "norms")
    norms = [name for name, part in model.named_modules() if isinstance(part, RMSNorm | nn.LayerNorm)]
    names = [f"{norm}.{name}" for norm in norms for name, _ in model.get_submodule(norm).named_parameters()]
    if not names:
        raise ValueError("model has no LayerNorm or RMSNorm with weights, so 'norms' has nothing to train")
    return train_only(model, names, Adaptation("norms"))
