"""Functions and modules that live in another process and are used by value.

A stand-in has the name of a function or an ``nn.Module`` class but none of its code: a call sends the arguments away
and returns the value that comes back. Gradients pass: the other side repeats the call and sends back the products. What
cannot travel by value (a model as an argument, an attribute of the class, an argument changed in place) raises.

``SERVE`` is the other half, recipes for the process that has the code. Read by path in the worker: standard library
only, and torch where it is loaded.
"""

import collections
import sys
from collections.abc import Callable

Remote = Callable[[str, str, object], object]  # (name, recipe, arguments) -> value

SERVE = '''
import collections
import contextlib
import numbers
import sys

if "torch" in sys.modules:
    import torch


def _flat(value, found):
    if type(value) in (list, tuple):
        return type(value)([_flat(item, found) for item in value])
    if type(value) is dict:
        return {key: _flat(item, found) for key, item in value.items()}
    if isinstance(value, torch.Tensor):
        found.append(value)
        return None
    return value


def _plain(value):
    """Subclasses of plain types as these types: only exactly these travel."""
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple)(_plain(item) for item in value)
    return value.item() if isinstance(value, numbers.Number) and hasattr(value, "dtype") else value


def kind(target):
    if isinstance(target, type):
        return "module" if "torch" in sys.modules and issubclass(target, torch.nn.Module) else "class"
    return "function" if callable(target) else "value"


def build(target, args, kwargs):
    module = target(*args, **kwargs)
    return {name: parameter for name, parameter in module.named_parameters()}, dict(module.named_buffers())


def _run(target, args, kwargs, built):
    if built is None:
        return target(*args, **kwargs)
    module = target(*built["args"], **built["kwargs"]).train(built["training"])
    return torch.func.functional_call(module, {**built["parameters"], **built["buffers"]}, tuple(args), kwargs)


def call(target, args, kwargs, built):
    import wire

    before = wire.dumps([args, kwargs])
    with torch.no_grad() if "torch" in sys.modules else contextlib.nullcontext():
        value = _run(target, args, kwargs, built)
    if wire.dumps([args, kwargs]) != before:
        raise TypeError("it changes its arguments")
    return isinstance(value, collections.Counter), _plain(value)


def products(target, args, kwargs, built, chosen, grads):
    """Gradients of the sum of outputs times ``grads`` for the tensors with these numbers."""
    inputs, outputs = [], []
    _flat([args, kwargs, built], inputs)
    inputs = [inputs[i].requires_grad_() for i in chosen]
    _flat(_run(target, args, kwargs, built), outputs)
    pairs = [(o, g) for o, g in zip(outputs, grads) if o.requires_grad and g is not None]
    if not pairs:
        return [None] * len(inputs)
    outputs, grads = zip(*pairs)
    return list(torch.autograd.grad(outputs, inputs, grads, allow_unused=True))
'''


def stand_in(name: str, kind: str, remote: Remote) -> object:
    """A stand-in for the function (``kind="function"``) or module class (``"module"``) ``name`` on the other side."""
    if kind == "function":

        def function(*args, **kwargs):
            return _call(remote, name, list(args), kwargs, None)

        function.__name__ = function.__qualname__ = name
        return function
    if kind != "module":
        raise ValueError(f"kind={kind!r}: only functions and modules can be stood in for")
    return _module(name, remote)


def _module(name: str, remote: Remote) -> type:
    from torch import nn

    class StandIn(nn.Module):
        def __init__(self, *args, **kwargs):
            super().__init__()
            self.built = (list(args), kwargs)
            parameters, buffers = remote(name, "build", (list(args), kwargs))
            for dotted, tensor in parameters.items():
                owner, last = _owner(self, dotted)
                owner.register_parameter(last, nn.Parameter(tensor, requires_grad=tensor.is_floating_point()))
            for dotted, tensor in buffers.items():
                owner, last = _owner(self, dotted)
                owner.register_buffer(last, tensor)

        def forward(self, *args, **kwargs):
            state = {"parameters": dict(self.named_parameters()), "buffers": dict(self.named_buffers())}
            built = {"args": self.built[0], "kwargs": self.built[1], "training": self.training, **state}
            return _call(remote, name, list(args), kwargs, built)

    def _owner(module, dotted):
        *path, last = dotted.split(".")
        for part in path:
            if part not in dict(module.named_children()):
                module.add_module(part, nn.Module())
            module = getattr(module, part)
        return module, last

    StandIn.__name__ = StandIn.__qualname__ = name
    return StandIn


def _call(remote: Remote, name: str, args: list, kwargs: dict, built: dict | None) -> object:
    torch = sys.modules.get("torch")
    args, kwargs = _plain(args), _plain(kwargs)
    tensors: list = []
    shape = _take(torch, [args, kwargs, built], tensors)
    chosen = [i for i, t in enumerate(tensors) if t.requires_grad]
    if not chosen or not torch.is_grad_enabled():
        return _received(remote(name, "call", (args, kwargs, built)))

    class Bridge(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *given):
            ctx.save_for_backward(*given)
            value = _received(remote(name, "call", tuple(_put(shape, list(given)))))
            outputs: list = []
            ctx.kept = _take(torch, value, outputs)
            box.append(ctx.kept)
            return tuple(outputs)

        @staticmethod
        def backward(ctx, *grads):
            arguments = _put(shape, list(ctx.saved_tensors))
            found = dict(zip(chosen, remote(name, "products", (*arguments, chosen, list(grads)))))
            return tuple(found.get(i) for i in range(len(tensors)))

    box: list = []
    outputs = Bridge.apply(*tensors)
    return _put(box[0], list(outputs))


def _received(answer: tuple[bool, object]) -> object:
    counts, value = answer
    return collections.Counter(value) if counts else value


def _plain(value: object) -> object:
    """Subclasses of plain types, a Counter say, as these types: only exactly these travel."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return (list if isinstance(value, list) else tuple)(_plain(item) for item in value)
    return value


class _Hole:
    """A tensor was here."""


def _take(torch, value: object, found: list) -> object:
    if type(value) in (list, tuple):
        return type(value)([_take(torch, item, found) for item in value])
    if type(value) is dict:
        return {key: _take(torch, item, found) for key, item in value.items()}
    if torch is not None and isinstance(value, torch.Tensor):
        found.append(value)
        return _Hole
    return value


def _put(shape: object, tensors: list) -> object:
    if type(shape) in (list, tuple):
        return type(shape)([_put(item, tensors) for item in shape])
    if type(shape) is dict:
        return {key: _put(item, tensors) for key, item in shape.items()}
    return tensors.pop(0) if shape is _Hole else shape
