"""Functions that refuse to work, whatever name they are called by.

A name is refused in three places: in every loaded module of torch and numpy that offers the object, under any alias; in
the class itself, for classes; and in torch's dispatcher, through which ``F.rms_norm``, ``torch._C._nn``,
``torch.ops.aten``, TorchScript and ``torch.compile`` all come. Code in the same process can undo the first two and,
with the interpreter's internals, the third: this is a rule of the exercise, kept at run time, not a wall.
Standard library only, and torch if it is loaded: the worker reads it by path.
"""

import ctypes
import re
import sys
import types
from collections.abc import Sequence

KEYS = (
    "AutogradCPU CPU AutogradMeta Meta AutogradNestedTensor NestedTensorCPU AutogradOther CompositeImplicitAutograd"
).split()
# What computes the same under another name.
FAMILIES = {
    "scaled_dot_product_attention": r"scaled_dot_product_\w*attention\w*|(flash|efficient|cudnn)_attention_forward",
    "multihead_attention": r"(native_|triton_)?multi_head_attention\w*|transformer_encoder_layer_fwd",
    "transformer_encoder_layer": r"transformer_encoder_layer_fwd",
    "cross_entropy": r"cross_entropy_loss|nll_loss\w*",
    "rms_norm": r"(fused_)?rms_norm",
}


class Forbidden(PermissionError):
    """A call of something the exercise asks to write."""


class Refused:
    """Stands where a function was; whatever is done with it is refused."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "name", name)

    def _refuse(self, *args, **kwargs):
        raise Forbidden(f"{object.__getattribute__(self, 'name')} is not available here: this is for you to write")

    __call__ = __mro_entries__ = __get__ = _refuse

    def __getattr__(self, attribute: str):
        if attribute in ("__name__", "__qualname__"):  # torch.compile asks
            return object.__getattribute__(self, "name")
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        self._refuse()


def refuse(names: Sequence[str], *, for_good: bool = False) -> list:
    """Refuse ``names``; returns the steps that undo it (see :func:`allow`), none if it is ``for_good``."""
    undo: list = []
    for name in names:
        short = name.split(".")[-1]
        steps: list = []
        _refuse_in_modules(name, short, steps)
        library = _refuse_in_torch(name, short)
        if library is not None:
            steps.append(library.reset)
            if for_good:  # kept alive where no list of objects leads to it
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(library))
        undo += [] if for_good else steps
    return undo


def allow(undo: list) -> None:
    """Undo what :func:`refuse` did."""
    while undo:
        undo.pop()()


def snake(name: str) -> str:
    """``MultiheadAttention`` -> ``multihead_attention``, ``RMSNorm`` -> ``rms_norm``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _refuse_in_modules(name: str, short: str, undo: list) -> None:
    modules = [m for key, m in sorted(sys.modules.items()) if key.split(".")[0] in ("torch", "numpy") and m is not None]
    spellings = {short, snake(short)}
    found = [vars(m)[s] for m in modules for s in spellings if s in vars(m)]
    found = [f for f in found if callable(f) and not isinstance(f, Refused)]
    for target in found:
        if isinstance(target, type):  # instances made through any alias, subclasses too
            for method in ("__init__", "forward"):
                _put(target, method, Refused(name)._refuse, undo)
    functions = {id(f) for f in found if not isinstance(f, type)}
    for module in modules:
        for attribute, value in list(vars(module).items()):
            if id(value) in functions:
                _put(module, attribute, Refused(name), undo)


def _put(owner: object, attribute: str, value: object, undo: list) -> None:
    absent = object()
    before = vars(owner).get(attribute, absent)
    try:
        setattr(owner, attribute, value)
    except (TypeError, AttributeError):  # a type written in C
        return
    undo.append(lambda: delattr(owner, attribute) if before is absent else setattr(owner, attribute, before))


def _refuse_in_torch(name: str, short: str) -> object:
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(torch, types.ModuleType):
        return None
    pattern = re.compile(rf"(special_|native_|fused_)?({FAMILIES.get(snake(short), '(?!)')}|{re.escape(snake(short))})")
    everything = [o for o in torch._C._dispatch_get_all_op_names() if o.startswith("aten::")]
    matching = [o for o in everything if pattern.fullmatch(o.split("::")[1].split(".")[0].strip("_"))]
    if not matching:
        return None
    library = torch._C._dispatch_library("IMPL", "aten", "", __file__, 1)
    for operator in matching:
        for key in KEYS:
            try:
                library.impl(operator.split("::")[1], key, Refused(name)._refuse)
            except RuntimeError:  # this key or this operator cannot be overridden
                continue
    return library
