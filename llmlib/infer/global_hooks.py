"""Hooks that torch runs on every module there is. torch 2.6 keeps them in lists and has no one word for all of them."""

from torch.nn.modules import module

_LISTS = (
    "_global_backward_pre_hooks",
    "_global_backward_hooks",
    "_global_forward_pre_hooks",
    "_global_forward_hooks",
    "_global_forward_hooks_always_called",
    "_global_forward_hooks_with_kwargs",
)


def has_any_global_hook() -> bool:
    """Would a module that is called run anything beside itself and its own hooks?"""
    return any(getattr(module, name, None) for name in _LISTS)
