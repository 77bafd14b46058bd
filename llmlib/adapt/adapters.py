"""LoRA on a whole model: put adapters in, switch between them, merge them, take them out."""

from __future__ import annotations

import re
from collections import Counter

import torch
from torch import nn

from llmlib.model import TiedHead
from llmlib.train.distributed import unwrapped

from .lora import LoRAConfig, LoRALinear, check_fits, lora_layers
from .selection import refuse_adapted
from .wrapping import PeftReport, dense_weight, match_linears, put, report


def apply_lora(
    model: nn.Module,
    config: LoRAConfig | None = None,
    name: str = "default",
    *,
    generator: torch.Generator | None = None,
) -> PeftReport:
    """Give the linear layers that config.targets names an adapter, and freeze all the rest (Hu et al., 2021).

        report = apply_lora(model, LoRAConfig(rank=8, targets=("*.q_proj", "*.v_proj")))
        Trainer(model, TrainConfig(steps=100, lr=1e-3, weight_decay=0.0), batches).run()

    In place. At first the model says what it said before. A model may have several adapters under different names; the
    newest is the active one, see `set_adapter`. The new parameters are float32 also beside a bf16 or packed base.
    generator: for the random factor; torch's own by default. Lecture 14.
    Raises ValueError, and changes nothing, for a pattern that matches no linear layer, a rank above the smaller side of
    a matrix, a name that is taken, and a model to which another method has added parts.
    """
    config = LoRAConfig() if config is None else config
    model = unwrapped(model)
    refuse_adapted(model, "lora")
    layers = lora_layers(model)
    _check_name(name, layers)
    found = match_linears(model, config.targets)
    for place, part in found.items():
        check_fits(place, part.base if isinstance(part, LoRALinear) else part, config)
    merged = next((layer.merged for layer in layers.values() if layer.merged is not None), None)
    if merged is not None:
        raise ValueError(f"adapter {merged!r} is merged into the weights; unmerge_lora(model) before adding another")
    wrappers: dict[int, LoRALinear] = {}
    for place, part in found.items():
        if isinstance(part, LoRALinear):
            wrappers[id(part)] = part
        elif id(part) not in wrappers:  # a layer that stands in two places has one adapter
            wrappers[id(part)] = LoRALinear(part)
        put(model, place, wrappers[id(part)])
        if name not in wrappers[id(part)].adapters:
            wrappers[id(part)].add(name, config, generator)
    model.requires_grad_(False)
    set_adapter(model, name)
    return report(model, "lora", found)


def adapter_names(model: nn.Module) -> list[str]:
    """The names of a model's adapters, in the order in which they were added."""
    return list(dict.fromkeys(name for layer in lora_layers(model).values() for name in layer.adapters))


def active_adapter(model: nn.Module) -> str | None:
    """The name of the adapter in use; None for the base model alone."""
    return next((layer.active for layer in lora_layers(model).values() if layer.active is not None), None)


def set_adapter(model: nn.Module, name: str | None) -> None:
    """Let this adapter work, and learn if the model is trained; None: the base model, with all adapters frozen.

    No weight is moved or copied. Raises ValueError for a name that the model does not have and while an adapter is
    merged.
    """
    model = unwrapped(model)
    layers = _layers(model)
    for layer in layers:
        if layer.merged is not None:
            raise ValueError(f"adapter {layer.merged!r} is merged into the weights; unmerge_lora(model) first")
    if name is not None and not any(name in layer.adapters for layer in layers):
        raise ValueError(f"name is {name!r}, but {_known(model)}; give one of these, or None for the base model")
    for layer in layers:
        layer.use(name)


def merge_lora(model: nn.Module, name: str | None = None, *, unwrap: bool = False) -> list[str]:
    """Add an adapter into the matrices, W = W0 + scale B A, so that it costs nothing any more -> the layers' names.

    name: by default the active one. `unmerge_lora` undoes it. In float32 it subtracts what was added, which gives the
    old numbers to rounding; for bf16 and DoRA the old matrices are kept meanwhile, and come back exactly.
    unwrap=True is for good: plain layers take their old places, as `generate`'s fast step on a CPU needs (call
    `decoding_layout` after it), and all adapters of the model are gone. Its parameters stay frozen.
    Raises ValueError, and changes nothing, where nothing is to be merged, something is merged already, or a matrix
    cannot take it: packed ones, and one that others share, as an output head shares the embedding's.
    """
    model = unwrapped(model)
    name = active_adapter(model) if name is None else name
    layers = {place: layer for place, layer in lora_layers(model).items() if name in layer.adapters}
    if not layers:
        raise ValueError(f"name is {name!r}, but {_known(model)}; give one of these")
    matrices = [
        part.weight if isinstance(part, TiedHead) else part._parameters.get("weight") for part in model.modules()
    ]
    uses = Counter(map(id, matrices))
    for place, layer in layers.items():
        _check_mergeable(place, layer, uses)
    for layer in layers.values():
        layer.merge(name, keep=not unwrap)
        layer.use(name)
    if unwrap:
        _unwrap(model)
    return list(layers)


def unmerge_lora(model: nn.Module) -> list[str]:
    """Take a merged adapter out of the matrices again -> the layers' names. ValueError if none is merged."""
    layers = {place: layer for place, layer in lora_layers(unwrapped(model)).items() if layer.merged is not None}
    if not layers:
        raise ValueError("model has no merged adapter; merge_lora(model) merges one, unless with unwrap=True")
    for layer in layers.values():
        layer.unmerge()
    return list(layers)


def remove_lora(model: nn.Module, name: str | None = None) -> None:
    """Drop an adapter, or all of them; layers without one are plain again. The rest stays frozen.

    A merged adapter is taken out of the matrices first. ValueError for a name that the model does not have.
    """
    model = unwrapped(model)
    layers = lora_layers(model)
    if not layers or (name is not None and not any(name in layer.adapters for layer in layers.values())):
        raise ValueError(f"name is {name!r}, but {_known(model)}; there is nothing to remove")
    for layer in layers.values():
        gone = list(layer.adapters) if name is None else [name] if name in layer.adapters else []
        if layer.merged in gone:
            layer.unmerge()
        for each in gone:
            del layer.adapters[each]
        layer.use(layer.active)
    _unwrap(model, only_empty=True)


def _layers(module: nn.Module) -> list[LoRALinear]:
    """The layers with adapters, without looking inside of them: faster than `lora_layers`, for switching."""
    found: list[LoRALinear] = []
    for child in module._modules.values():
        if isinstance(child, LoRALinear):
            found.append(child)
        elif child is not None and child._modules:
            found += _layers(child)
    return found


def _unwrap(model: nn.Module, only_empty: bool = False) -> None:
    for place, part in list(model.named_modules(remove_duplicate=False)):
        if isinstance(part, LoRALinear) and not (only_empty and part.adapters):
            put(model, place, part.base)


def _check_name(name: str, layers: dict[str, LoRALinear]) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[\w-]{1,100}", name) or hasattr(nn.ModuleDict(), name):
        raise ValueError(f"name is {name!r}; use letters, digits, - and _, and no word that torch has taken")
    if any(name in layer.adapters for layer in layers.values()):
        raise ValueError(f"name is {name!r}, which an adapter of the model has already; take another, or remove_lora")


def _check_mergeable(place: str, layer: LoRALinear, uses: Counter[int]) -> None:
    if layer.merged is not None:
        raise ValueError(f"adapter {layer.merged!r} is merged into {place} already; unmerge_lora(model) first")
    weight = dense_weight(layer.base)
    if not isinstance(layer.base, nn.Linear) or not isinstance(weight, nn.Parameter):
        raise ValueError(
            f"{place} ({type(layer.base).__name__}) keeps its weights packed, so nothing can be added to them; save "
            "the adapter, and load it into the full-precision model with any_base=True"
        )
    if uses[id(weight)] > 1:
        raise ValueError(
            f"{place} shares its matrix with another layer, which merging would change too; leave it out of targets, "
            "or keep this adapter unmerged"
        )


def _known(model: nn.Module) -> str:
    names = adapter_names(model)
    return f"the model's adapters are {', '.join(map(repr, names))}" if names else "the model has no adapter"
