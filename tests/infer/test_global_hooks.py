"""Hooks on all modules are seen whatever torch calls them: the fast decoder must not run past one."""

import pytest
from torch.nn.modules import module

from llmlib.infer.global_hooks import has_any_global_hook

WAYS = {
    "before forward": lambda: module.register_module_forward_pre_hook(lambda *a: None),
    "after forward": lambda: module.register_module_forward_hook(lambda *a: None),
    "after forward, always": lambda: module.register_module_forward_hook(lambda *a: None, always_call=True),
    "before backward": lambda: module.register_module_full_backward_pre_hook(lambda *a: None),
    "after backward": lambda: module.register_module_full_backward_hook(lambda *a: None),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_global_hook_is_seen_while_it_is_there(way):
    assert not has_any_global_hook()
    handle = WAYS[way]()
    try:
        assert has_any_global_hook()
    finally:
        handle.remove()
    assert not has_any_global_hook()
