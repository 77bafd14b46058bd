"""Adapters as small files: what was trained, what it is, and a fingerprint of the model it belongs to."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_bytes
from torch import Tensor, nn

from llmlib.files import write_file
from llmlib.train import distributed
from llmlib.train.checkpoint import named_weights
from llmlib.train.packing import digest

from .adapters import adapter_names, apply_lora
from .family import apply_peft
from .lora import LoRAConfig, LoRALinear, lora_layers
from .selection import refuse_adapted
from .wrapping import PeftReport, match_linears

KEY, FORMAT = "next_token_adapter", "next-token-adapter-1"


@dataclass(frozen=True)
class AdapterFile:
    """What a file holds; `read_adapter` gives it."""

    method: str
    name: str
    options: dict
    """Those of the method; for LoRA the fields of its `LoRAConfig`."""
    base: str
    """Fingerprint of the base model."""
    base_parameters: int
    tensors: dict[str, Tensor] = field(repr=False)


def save_adapter(path: str | os.PathLike, model: nn.Module, name: str = "default") -> Path:
    """Write what a method of the family has trained, and nothing else, to a safetensors file; returns its path.

    name: which adapter, for LoRA; the other methods have one. The file gets the ending .safetensors, and missing
    folders are made. Its header says the method, its options and the fingerprint of the base, see `fingerprint`.
    ValueError for a model without an adapter of that name and while an adapter is merged into the weights.
    """
    model = distributed.unwrapped(model)
    _refuse_merged(model)
    adaptation = getattr(model, "adaptation", None)
    layers = {place: layer for place, layer in lora_layers(model).items() if name in layer.adapters}
    if layers:
        method, options = "lora", next(iter(layers.values())).adapters[name].config.to_dict()
        tensors = {f"{p}.{n}": w for p, layer in layers.items() for n, w in layer.adapters[name].named_parameters()}
    elif adapter_names(model) or adaptation is None:
        known = ", ".join(map(repr, adapter_names(model))) or "none: apply_lora or apply_peft adds one"
        raise ValueError(f"name is {name!r}, and the model's adapters are {known}")
    else:
        method, options = adaptation.method, adaptation.options
        tensors = {_plain_name(n): w for n, w in model.named_parameters() if w.requires_grad}
    if not tensors:
        raise ValueError("model has nothing trainable to save; apply the method anew, which unfreezes its parts")
    base = _base_weights(model, leave_out=tensors)
    tensors = {n: distributed.whole(w.detach()).cpu().contiguous().clone() for n, w in tensors.items()}
    notes = dict(
        format=FORMAT, method=method, name=name, options=options, base=_digest_rounded(base),
        base_parameters=sum(w.numel() for w in base.values()), digest=digest(tensors),
    )  # fmt: skip
    path = _with_ending(path)
    if distributed.rank() == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, save_bytes(tensors, {KEY: json.dumps(notes)}))
    distributed.barrier()
    return path


def load_adapter(
    path: str | os.PathLike, model: nn.Module, name: str | None = None, *, any_base: bool = False
) -> PeftReport:
    """Put a saved adapter into its base model, in place; for LoRA it becomes the active one, beside others.

    name: for LoRA, if not the saved one. any_base: take another base, which for LoRA may be right, say a quantized copy
    of the one it was trained on, or the full-precision one of a quantized copy; a mere cast to bf16 needs no leave.
    ValueError, with nothing changed, for a file that is no adapter or is damaged, a name that is taken, and a model
    that is not the base of this adapter. FileNotFoundError where there is no file.
    """
    model = distributed.unwrapped(model)
    file = read_adapter(path)
    shown = f"path={str(_with_ending(path))!r}"
    _refuse_merged(model)
    if file.method != "lora" and any_base:
        raise ValueError(f"any_base is True, but {shown} holds a {file.method!r} adapter; it goes with LoRA alone")
    refuse_adapted(model, file.method)
    base = _base_weights(model, leave_out=file.tensors)
    count = sum(w.numel() for w in base.values())
    if not any_base and (found := _digest_rounded(base)) != file.base:
        raise ValueError(
            f"{shown} was trained on another base model: one of {file.base_parameters:,} parameters with the "
            f"fingerprint {file.base[:8]}, and this one has {count:,} and {found[:8]}; load the right base"
            + (", or, for a quantized copy of it, any_base=True" if file.method == "lora" else "")
        )
    if file.method == "lora":
        return _load_lora(file, shown, model, file.name if name is None else name)
    told = apply_peft(model, file.method, **file.options)
    own = {_plain_name(n): w for n, w in model.named_parameters() if w.requires_grad}
    if {n: w.shape for n, w in own.items()} != {n: w.shape for n, w in file.tensors.items()}:
        raise ValueError(f"{shown} holds other weights than its options promise; save it anew")
    with torch.no_grad():
        for n, weight in own.items():
            weight.copy_(file.tensors[n])
    return told


def read_adapter(path: str | os.PathLike) -> AdapterFile:
    """What is in a file, without a model. ValueError in one line for one that is no adapter or is damaged."""
    path = _with_ending(path)
    shown = f"path={str(path)!r}"
    if not path.is_file():
        raise FileNotFoundError(f"{shown} does not exist; check the name, or save_adapter first")
    try:
        with safe_open(path, framework="pt") as file:
            notes = json.loads((file.metadata() or {}).get(KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, RuntimeError, ValueError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise ValueError(f"{shown} is damaged or no safetensors file ({reason}); save it anew") from None
    if not isinstance(notes, dict) or notes.get("format") != FORMAT:
        raise ValueError(f"{shown} was not written by save_adapter of this version; save it anew")
    try:
        kinds = dict(method=str, name=str, options=dict, base=str, base_parameters=int)
        values = {each: notes[each] for each in kinds}
        if any(type(values[each]) is not kind for each, kind in kinds.items()) or notes["digest"] != digest(tensors):
            raise ValueError
    except (KeyError, ValueError):
        raise ValueError(f"{shown} is damaged, its contents are not those that were saved; save it anew") from None
    return AdapterFile(**values, tensors=tensors)


def fingerprint(model: nn.Module) -> str:
    """What tells one base model from another: 32 hex digits of all its weights, without the adapters that it has.

    The weights are rounded to bf16 for it, so that a copy cast to bf16 is still the same base.
    """
    model = distributed.unwrapped(model)
    _refuse_merged(model)
    return _digest_rounded(_base_weights(model))


def _load_lora(file: AdapterFile, shown: str, model: nn.Module, name: str) -> PeftReport:
    try:
        config = LoRAConfig(**file.options)
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{shown} has options that no adapter can have ({problem}); save it anew") from None
    try:
        places = match_linears(model, config.targets)
    except ValueError as problem:
        raise ValueError(f"{shown} is for another model: {problem}") from None
    expected: dict[str, tuple[int, ...]] = {}
    first = {id(part): place for place, part in reversed(places.items())}  # of a layer that stands in several places
    for place, part in places.items():
        if first[id(part)] != place:
            continue
        expected[f"{place}.a"] = (config.rank, part.in_features)
        expected[f"{place}.b"] = (part.out_features, config.rank)
        if config.use_dora:
            expected[f"{place}.magnitude"] = (part.out_features,)
    held = {n: tuple(w.shape) for n, w in file.tensors.items()}
    if held != expected:
        odd = next((n for n in [*expected, *held] if held.get(n) != expected.get(n)), None)
        raise ValueError(
            f"{shown} is for another model: {odd} has shape {held.get(odd)} there and should have {expected.get(odd)}"
        )
    told = apply_lora(model, config, name)
    with torch.no_grad():
        for place, layer in lora_layers(model).items():
            if name in layer.adapters:
                for n, weight in layer.adapters[name].named_parameters():
                    weight.copy_(file.tensors[f"{place}.{n}"])
    return told


def _base_weights(model: nn.Module, leave_out: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The weights of the model under the names that they have without wrappers, and without adapters."""
    inside = tuple(f"{name}.adapters." for name, part in model.named_modules() if isinstance(part, LoRALinear))
    weights = {n: w for n, w in named_weights(model).items() if not n.startswith(inside)}
    weights = {_plain_name(n): w for n, w in weights.items()}
    return {n: w for n, w in weights.items() if not leave_out or n not in leave_out}


def _plain_name(name: str) -> str:
    return name.replace(".base.", ".")


def _digest_rounded(weights: dict[str, Tensor]) -> str:
    whole = {n: distributed.whole(w.detach()) for n, w in weights.items()}
    return digest({n: w.to(torch.bfloat16) if w.is_floating_point() else w for n, w in whole.items()})


def _refuse_merged(model: nn.Module) -> None:
    merged = next((layer.merged for layer in lora_layers(model).values() if layer.merged is not None), None)
    if merged is not None:
        raise ValueError(f"adapter {merged!r} is merged into the weights of the base; unmerge_lora(model) first")


def _with_ending(path: str | os.PathLike) -> Path:
    path = Path(path)
    return path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")
