"""Values in a few words, bounded: what a student reads about inputs and outputs."""

import numpy as np

from llmlib.sandbox.wire import Unsupported


def is_tensor(value: object) -> bool:
    return type(value).__module__ == "torch" and type(value).__name__ in ("Tensor", "Parameter")


def as_array(value: object) -> np.ndarray:
    """A tensor as a numpy array; an array as it is."""
    if not is_tensor(value):
        return value
    value = value.detach().cpu()
    return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()


def plain_number(value: object) -> object:
    """Numbers that came as zero-dimensional arrays, tensors or numpy scalars, as Python numbers."""
    if (is_tensor(value) or isinstance(value, np.ndarray)) and value.ndim == 0:
        value = as_array(value)[()]
    if isinstance(value, np.floating):
        return float(value)  # .item() of a long double is a long double
    return value.item() if isinstance(value, np.generic) else value


def describe(value: object) -> str:
    """A value in a few words: kind, and shape or size, or the value itself when short."""
    if isinstance(value, Unsupported):
        return f"a {value.type_name} object"
    if is_tensor(value):
        return f"a tensor of shape {tuple(value.shape)} and dtype {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    text = _text(value)
    if len(text) <= 60:
        return text
    return f"a {type(value).__name__} of length {len(value)}" if hasattr(value, "__len__") else text[:60] + "..."


def shorten(value: object, length: int = 120) -> str:
    """A value as Python would write it, small arrays as nested lists with three decimals; cut at ``length``."""
    text = _text(_legible(value, length))
    return text if len(text) <= length else text[: length - 4] + " ..."


def _text(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # an integer of too many digits has no repr
        return f"a {type(value).__name__}"


def _legible(value: object, length: int) -> object:
    value = plain_number(value)
    if is_tensor(value) or isinstance(value, np.ndarray):
        array = as_array(value)
        if array.size * 4 > length:
            return _Word(describe(value))
        return array.astype(np.float64).round(3).tolist() if array.dtype.kind == "f" else array.tolist()
    if type(value) is float:
        return float(f"{value:.4g}")
    if isinstance(value, Unsupported):
        return _Word(describe(value))
    if isinstance(value, list | tuple) and len(value) <= length:
        legible = [_legible(v, length) for v in value]
        return legible if isinstance(value, list) else tuple(legible)
    if isinstance(value, dict) and len(value) <= length:
        return {k: _legible(v, length) for k, v in value.items()}
    return value


class _Word(str):
    """Text that stands without quotation marks among values."""

    def __repr__(self) -> str:
        return f"<{self}>"
