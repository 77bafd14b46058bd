"""The same script on one device and on many: what differs is two calls, and they do nothing when there is one process.

    device = join_processes()                      # before the model is built
    model = distribute(Transformer(config), device, "ddp")

    python train.py                                 one CPU, or one GPU
    torchrun --nproc-per-node 8 train.py            eight GPUs of one machine
    torchrun --nnodes 4 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 train.py     four machines

Built in lecture 07; docs/from_laptop_to_nodes.md walks through it.
"""

import os

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from llmlib.model import default_device

STRATEGIES = ("ddp", "fsdp")


def join_processes(device: str | None = None) -> torch.device:
    """Join the other processes if torchrun started several, and say which device is this one's.

    device: "cpu" or "cuda"; by default CUDA where there is one. Each process of a machine gets a card of its own.
    Does nothing but answer where one process runs alone, or where it has joined already.
    """
    kind = torch.device(device or default_device())
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        return kind
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if kind.type == "cuda":
        if local_rank >= torch.cuda.device_count():
            raise ValueError(
                f"device='cuda' and this is process {local_rank} of a machine with {torch.cuda.device_count()} cards: "
                "start as many processes as there are cards (--nproc-per-node)"
            )
        kind = torch.device("cuda", local_rank)
        torch.cuda.set_device(kind)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if kind.type == "cuda" else "gloo")
    return kind


def distribute(model: nn.Module, device: torch.device, strategy: str = "ddp") -> nn.Module:
    """The model on its device, ready to train together with the copies of the other processes.

    strategy: "ddp", everyone holds all of it; "fsdp", everyone holds a slice (each block, and the rest). Alone it is
    just moved. Build the model with the same seed everywhere.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy!r} is unknown: choose one of {', '.join(STRATEGIES)}")
    model = model.to(device)
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return model
    if strategy == "ddp":
        return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)
    from torch.distributed.fsdp import fully_shard

    for block in getattr(model, "blocks", ()):
        fully_shard(block)
    return fully_shard(model)


def leave_processes() -> None:
    """Part from the others; at the end of a script."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
