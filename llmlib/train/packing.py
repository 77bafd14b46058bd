"""Nested Python values as JSON beside a flat dict of tensors, and back; nothing is executed on the way."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

DEEPEST = 50


def pack(value: object, tensors: dict[str, Tensor], name: str) -> object:
    """What JSON can hold of `value`; its tensors go to `tensors`, under names that begin with `name`.

    Takes None, bools, numbers, texts, tensors, and lists, tuples and dicts of them, which keep their kind. ValueError,
    with the place, for anything else.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, Mapping):
        pairs = list(value.items())
        return {"dict": [[pack(k, {}, name), pack(v, tensors, f"{name}.{k}")] for k, v in pairs]}
    if isinstance(value, list | tuple):
        items = [pack(each, tensors, f"{name}.{i}") for i, each in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    raise ValueError(
        f"{name} is a {type(value).__name__}, which a checkpoint cannot hold: "
        "keep tensors, numbers, texts, lists, tuples and dicts"
    )


def unpack(packed: object, tensors: Mapping[str, Tensor], depth: int = 0) -> object:
    """The inverse of `pack`; ValueError for what it cannot have written."""
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    if packed is None or isinstance(packed, bool | int | float | str):
        return packed
    if isinstance(packed, list):
        return [unpack(each, tensors, depth + 1) for each in packed]
    if isinstance(packed, dict) and len(packed) == 1:
        ((kind, content),) = packed.items()
        if kind == "tensor" and isinstance(content, str) and content in tensors:
            return tensors[content]
        if kind == "tuple" and isinstance(content, list):
            return tuple(unpack(each, tensors, depth + 1) for each in content)
        if kind == "dict" and isinstance(content, list) and all(isinstance(p, list) and len(p) == 2 for p in content):
            pairs = [(unpack(k, {}, depth + 1), unpack(v, tensors, depth + 1)) for k, v in content]
            if all(isinstance(k, str | int | float | bool | tuple | None) for k, _ in pairs):
                return dict(pairs)
    raise ValueError("its notes hold something that save_checkpoint does not write")


def digest(tensors: Mapping[str, Tensor], also: str = "") -> str:
    """A fingerprint of names, shapes, types and every byte (BLAKE2, 16 bytes in hex)."""
    state = hashlib.blake2b(also.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        state.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return state.hexdigest()
