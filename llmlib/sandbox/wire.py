"""Values across the border: plain data in, plain data out, nothing that could carry code.

Used on both sides, so it needs nothing but the standard library until an array turns up. ``encode`` maps a value to
what ``json`` can write; arrays and tensors travel as .npy bytes, without pickle. ``decode`` trusts nothing: only the
types below come out, an array's declared size is checked against the bytes that came, depth and number of items are
bounded.

Types: None, bool, int, float, complex, str, bytes, list, tuple, dict, set, numpy arrays and scalars, torch tensors.
Exactly these types: an object of a subclass could bring its own ``__eq__``, so it arrives as :class:`Unsupported`.
"""

import base64
import io
import json
import math
import sys

MAX_DEPTH = 30
MAX_ITEMS = 250_000
MAX_NODES = 1_500_000  # brackets and commas of a reply: what its JSON may hold before it is parsed
MAX_DIGITS = 10_000  # of an int, in hexadecimal
MAX_COLLISIONS = 64  # equal hashes in one dict or set: more make it quadratic
MAX_ARRAY_BYTES = 32 << 20


class UnsupportedValue(ValueError):
    """The bytes that came from the sandbox do not describe a value."""


class Unsupported:
    """Stands for an object that does not travel; ``type_name`` is what its class calls itself."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def __repr__(self) -> str:
        return f"<{self.type_name} object>"


def printable(text: str) -> str:
    """``text`` with control characters, line ends and the like as spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


def shown(value: object, limit: int = 60) -> str:
    """A plain value as text of at most ``limit`` characters, printable, whatever its size."""
    text = printable(_shown(value, limit, 3))
    return text if len(text) <= limit else text[: max(0, limit - 3)] + "..."


def _shown(value: object, limit: int, depth: int) -> str:
    if type(value) is int and value.bit_length() > 4 * limit:
        return f"{'-' if value < 0 else ''}0x{abs(value) >> (value.bit_length() - 32):x}... ({value.bit_length()} bits)"
    if type(value) in (str, bytes):
        return repr(value[: limit + 1])
    if type(value) in (list, tuple, set, frozenset, dict) and value:
        if depth == 0:
            return f"a {type(value).__name__} of length {len(value)}"
        parts, length = [], 0
        for item in value.items() if type(value) is dict else value:
            pair = item if type(value) is dict else (item,)
            parts.append(": ".join(_shown(part, limit, depth - 1) for part in pair))
            length += len(parts[-1])
            if length > limit:
                break
        opening, closing = {list: "[]", tuple: "()"}.get(type(value), "{}")
        return opening + ", ".join(parts) + ("," if type(value) is tuple and len(parts) == 1 else "") + closing
    try:
        return repr(value)[: limit + 1]
    except Exception:
        return f"a {type(value).__name__}"


def encode(value: object) -> object:
    """A JSON-ready description of ``value``; whatever does not travel becomes ``{"unsupported": its type}``."""
    return _encode(value, 0)


def _encode(value: object, depth: int) -> object:
    kind = type(value)
    if depth > MAX_DEPTH:
        return {"unsupported": "too deeply nested"}
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return {"int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is complex:
        return {"complex": [repr(value.real), repr(value.imag)]}
    if kind is bytes:
        return {"bytes": base64.b64encode(value).decode()}
    if kind in (list, tuple):
        return {kind.__name__: [_encode(item, depth + 1) for item in value]}
    if kind in (set, frozenset):
        return {"set": [_encode(item, depth + 1) for item in value]}
    if kind is dict:
        return {"dict": [[_encode(k, depth + 1), _encode(v, depth + 1)] for k, v in value.items()]}
    return _encode_array(value) or {"unsupported": str(kind.__name__)[:80]}


def _encode_array(value: object) -> object:
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if torch is not None and type(value) in (torch.Tensor, torch.nn.Parameter):
        tensor = value.detach().cpu()
        if tensor.is_sparse or tensor.is_quantized:
            return None
        if tensor.nbytes > MAX_ARRAY_BYTES:
            return {"unsupported": f"{tensor.nbytes >> 20} MB tensor"}
        dtype = str(tensor.dtype).removeprefix("torch.")
        if dtype in ("bfloat16",) or dtype.startswith("float8"):
            tensor = tensor.float()  # numpy has no such type; every value of these fits float32
        return {"tensor": _npy(tensor.resolve_conj().resolve_neg().numpy()), "dtype": dtype}
    if numpy is not None and (type(value) is numpy.ndarray or isinstance(value, numpy.generic)):
        array = numpy.asarray(value)
        if array.nbytes > MAX_ARRAY_BYTES:
            return {"unsupported": f"{array.nbytes >> 20} MB array"}
        return {"array": _npy(array)} if array.dtype.kind in "biufcU" else None
    return None


def _npy(array) -> str:
    import numpy

    buffer = io.BytesIO()
    numpy.save(buffer, numpy.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode()


def dumps(value: object) -> str:
    """The description as JSON text."""
    return json.dumps(encode(value))


def decode(described: object) -> object:
    """The value ``encode`` described. UnsupportedValue on anything else, however it was made."""
    budget = [MAX_ITEMS]
    try:
        return _decode(described, 0, budget)
    except UnsupportedValue:
        raise
    except Exception as error:
        raise UnsupportedValue(f"the reply is malformed: {type(error).__name__}") from None


def _decode(described: object, depth: int, budget: list[int]) -> object:
    budget[0] -= 1
    if depth > MAX_DEPTH + 1 or budget[0] < 0:
        raise UnsupportedValue(f"the reply is nested deeper than {MAX_DEPTH} or holds more than {MAX_ITEMS} items")
    if described is None or type(described) in (bool, int, float, str):
        return described
    if type(described) is not dict or not described:
        raise UnsupportedValue("the reply is malformed")
    (tag, body), *rest = described.items()
    if tag in ("list", "tuple", "set"):
        items = [_decode(item, depth + 1, budget) for item in body]
        return set(_keys(items)) if tag == "set" else items if tag == "list" else tuple(items)
    if tag == "dict":
        pairs = [(_decode(k, depth + 1, budget), _decode(v, depth + 1, budget)) for k, v in body]
        _keys([k for k, _ in pairs])
        return dict(pairs)
    if tag == "int":
        if len(body) > MAX_DIGITS:
            raise UnsupportedValue("the reply holds an integer of more than 40,000 bits")
        return int(body, 16)  # hexadecimal: no quadratic parsing, no limit on digits to trip over
    if tag == "float":
        return float(body[:40])
    if tag == "complex":
        return complex(float(body[0][:40]), float(body[1][:40]))
    if tag == "bytes":
        return base64.b64decode(body)
    if tag == "array":
        return _array(base64.b64decode(body))
    if tag == "tensor":
        import torch

        tensor = torch.from_numpy(_array(base64.b64decode(body)))
        name = rest[0][1] if rest else "float32"
        return tensor.to(torch.bfloat16) if name == "bfloat16" else tensor
    if tag == "unsupported":
        return Unsupported(printable(str(body)[:80]))
    raise UnsupportedValue(f"the reply has an unknown kind {str(tag)[:40]!r}")


def _keys(keys: list) -> list:
    """``keys``, unless so many hash alike that looking one up would take for ever."""
    hashes = sorted(map(hash, keys))
    step = MAX_COLLISIONS
    if any(a == b for a, b in zip(hashes, hashes[step:])):
        raise UnsupportedValue(f"more than {step} keys of the reply hash alike")
    return keys


def _array(npy: bytes):
    """An array from .npy bytes, allocated only after its header agrees with the number of bytes that came."""
    import numpy
    from numpy.lib import format as npy_format

    stream = io.BytesIO(npy)
    version = npy_format.read_magic(stream)
    read_header = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}.get(version)
    if read_header is None:
        raise UnsupportedValue("an array came in an unknown .npy version")
    shape, fortran, dtype = read_header(stream)
    data = npy[stream.tell() :]
    if dtype.kind not in "biufcU" or dtype.names is not None:
        raise UnsupportedValue(f"an array of dtype {dtype} does not travel")
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != len(data):
        raise UnsupportedValue(f"an array claims shape {shape} but brought {len(data)} bytes")
    if dtype.itemsize == 0 or len(data) == 0:
        return numpy.zeros(shape, dtype) if math.prod(n or 1 for n in shape) <= MAX_ITEMS else _refuse(shape)
    return numpy.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C").copy()


def _refuse(shape: tuple) -> None:
    raise UnsupportedValue(f"an empty array claims shape {shape}")
