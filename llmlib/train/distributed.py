"""Several processes: the few places where a training run must know that it is not alone.

Every function here does the plain thing in a single process, so the loop reads the same with one process or many.
A model is wrapped before the Trainer gets it, by DistributedDataParallel (every process holds all weights) or by
`fully_shard` (FSDP2; every process holds a slice of each weight, a DTensor).
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

try:
    from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method
    from torch.distributed.tensor import DTensor, distribute_tensor
except ImportError:  # a torch built without distributed support
    FSDPModule = DTensor = ()


def in_group() -> bool:
    """Whether `torch.distributed` has been set up, as torchrun scripts do with init_process_group."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if in_group() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if in_group() else 1


def all_sum(value: Tensor) -> Tensor:
    """The sum of every process's `value`, the same on all of them; a new tensor."""
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def any_rank(flag: bool, device: torch.device) -> bool:
    """Whether `flag` is set on any process: what all must do together, all must know."""
    return flag if world_size() == 1 else bool(all_sum(torch.tensor(float(flag), device=device)))


def gather_objects(value: object) -> list:
    """Every process's `value`, in order of rank."""
    values = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(values, value)
    return values


def barrier() -> None:
    """Wait for all processes."""
    if world_size() > 1:
        dist.barrier()


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside torch.compile's and DistributedDataParallel's wrappers; `fully_shard` wraps nothing."""
    while True:
        if isinstance(model, DistributedDataParallel):
            model = model.module
        elif hasattr(model, "_orig_mod"):  # torch.compile(model)
            model = model._orig_mod
        else:
            return model


def is_wrapped(model: nn.Module) -> bool:
    """Whether the backward pass exchanges gradients with the other processes."""
    return isinstance(model, DistributedDataParallel) or any(isinstance(m, FSDPModule) for m in model.modules())


def is_sharded(model: nn.Module) -> bool:
    """Whether some parameter is a slice of a larger one."""
    return any(isinstance(p, DTensor) for p in model.parameters())


def let_methods_gather(model: nn.Module, names: Sequence[str] = ("hidden", "head")) -> None:
    """FSDP2 gathers a module's weights when it is called; have it do so for these methods as well (generation)."""
    if isinstance(model, FSDPModule):
        for name in names:
            if callable(getattr(model, name, None)) and not isinstance(getattr(model, name), nn.Module):
                register_fsdp_forward_method(model, name)


def synchronised(model: nn.Module, last: bool) -> AbstractContextManager:
    """Around one of several forward and backward passes: gradients are exchanged in the last one only."""
    model = getattr(model, "_orig_mod", model)
    if isinstance(model, DistributedDataParallel) and not last:
        return model.no_sync()
    if isinstance(model, FSDPModule):
        return _fsdp_synchronised(model, last)
    return nullcontext()


@contextmanager
def _fsdp_synchronised(model: nn.Module, last: bool) -> Iterator[None]:
    model.set_requires_gradient_sync(last)
    try:
        yield
    finally:
        model.set_requires_gradient_sync(True)


def local(tensors: Sequence[Tensor]) -> list[Tensor]:
    """This process's own part of each tensor, sharing its memory: enough for whatever works element by element."""
    return [t.to_local() if isinstance(t, DTensor) else t for t in tensors]


def whole(tensor: Tensor, like: Tensor | None = None) -> Tensor:
    """A tensor in full, on every process. `like`: the DTensor that `tensor` is the local part of. All must call it."""
    if isinstance(like, DTensor) and not isinstance(tensor, DTensor):
        tensor = DTensor.from_local(
            tensor, like.device_mesh, like.placements, run_check=False, shape=like.shape, stride=like.stride()
        )
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def sharded_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A full tensor cut the way `like` is cut; every process passes the same one."""
    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)
