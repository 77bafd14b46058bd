"""What training takes in memory, on one device and on many: weights, gradients, optimizer, activations, messages.

Built in lecture 07. Nothing is allocated: models are built, run and differentiated on the meta device.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from llmlib.model import ModelConfig, Transformer, count_parameters, flops_per_token
from llmlib.train.losses import token_loss
from llmlib.train.parameter_groups import route_parameters

STATE_NUMBERS = {"sgd": 1, "adamw": 2, "muon": 1, "soap": 2}  # numbers an optimizer keeps for a weight of a matrix
STRATEGIES = ("alone", "ddp", "zero1", "fsdp")


@dataclass(frozen=True)
class Memory:
    """Bytes of one device in training; `peak` is their sum, reached at the end of the forward pass."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def peak(self) -> int:
        """All four together."""
        return self.weights + self.gradients + self.optimizer + self.activations


@dataclass(frozen=True)
class MemoryPlan:
    """What each of several devices holds and sends in one update, and whether the sending hides behind computing."""

    strategy: str
    devices: int
    memory: Memory
    message_bytes: int
    compute_seconds: float
    message_seconds: float

    @property
    def step_seconds(self) -> tuple[float, float]:
        """(all sending hidden behind computing, none): where the update's time lies between."""
        return max(self.compute_seconds, self.message_seconds), self.compute_seconds + self.message_seconds

    def __str__(self) -> str:
        m, gb = self.memory, 1e9
        low, high = self.step_seconds
        return (
            f"{self.strategy} on {self.devices}: {m.peak / gb:.2f} GB a device (weights {m.weights / gb:.2f}, "
            f"gradients {m.gradients / gb:.2f}, optimizer {m.optimizer / gb:.2f}, activations "
            f"{m.activations / gb:.2f}); sends {self.message_bytes / gb:.2f} GB an update; {low:.3g} to {high:.3g} s"
        )


def activation_bytes(model: nn.Module, batch_size: int, seq_len: int, dtype: torch.dtype = torch.float32) -> int:
    """Bytes that the forward pass of a next-token loss keeps for the backward pass, besides the weights.

    Counted, not estimated: the model's twin on the meta device is run, and every tensor that autograd saves is noted
    once. Attention is counted in its plain form, with its (T, T) weights; a fused kernel keeps less.
    """
    config = getattr(model, "config", None)
    if not isinstance(config, ModelConfig):
        raise ValueError(f"model is a {type(model).__name__} without a ModelConfig: pass a Transformer")
    twin = _on_meta(config, dtype)
    ids = torch.zeros(batch_size, seq_len, dtype=torch.long, device="meta")
    own = {w.untyped_storage()._cdata for w in (*twin.parameters(), *twin.buffers())}
    saved: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in own:
            saved[tensor.untyped_storage()._cdata] = tensor  # held, so that no storage is reused
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        token_loss(twin(ids), ids)
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())


def training_memory(
    config: ModelConfig,
    batch_size: int,
    seq_len: int | None = None,
    *,
    optimizer: str = "adamw",
    weight_bytes: int = 4,
    gradient_bytes: int = 4,
    state_bytes: int = 4,
) -> Memory:
    """What training such a model takes on one device, in bytes.

    optimizer: "sgd" keeps one number a weight, "adamw" two, "muon" one a weight of the matrices and two for the rest,
    "soap" two and the four square matrices of its two sides. fp32 throughout by default: 16 bytes a parameter with
    AdamW, so that 7 billion take 112 GB before a single activation. Activations are those of the fp32 model.
    """
    if optimizer not in STATE_NUMBERS:
        raise ValueError(f"optimizer={optimizer!r} is unknown: choose one of {', '.join(STATE_NUMBERS)}")
    model = _on_meta(config, torch.float32)
    n = count_parameters(model)
    return Memory(
        n * weight_bytes,
        n * gradient_bytes,
        _state_numbers(model, optimizer) * state_bytes,
        activation_bytes(model, batch_size, seq_len or config.max_seq_len),
    )


@lru_cache(maxsize=1)
def _on_meta(config: ModelConfig, dtype: torch.dtype) -> Transformer:
    """The model without its numbers. One is kept: a plan asks three times, and 7 billion take a third of a second."""
    with torch.device("meta"):
        return Transformer(config).to(dtype)


def _state_numbers(model: Transformer, optimizer: str) -> int:
    """How many numbers the optimizer keeps for all weights."""
    states = 0
    for route, weights in route_parameters(model).items():
        in_matrices = route == "matrices" or optimizer in ("sgd", "adamw")
        each = STATE_NUMBERS[optimizer] if in_matrices else STATE_NUMBERS["adamw"]
        states += each * sum(w.numel() for w in weights)
        if optimizer == "soap" and route == "matrices":
            states += sum(2 * side**2 for w in weights for side in w.shape[-2:])
    return states


def memory_plan(
    config: ModelConfig,
    devices: int,
    strategy: str = "ddp",
    *,
    batch_size: int = 8,
    seq_len: int | None = None,
    optimizer: str = "adamw",
    accumulate: int = 1,
    flops_per_second: float = 1e12,
    bytes_per_second: float = 1e10,
) -> MemoryPlan:
    """What each of `devices` holds and sends, for a batch of batch_size sequences on each. Built in lecture 07.

    strategy: "alone"; "ddp" (everyone holds everything, gradients are summed by a ring all-reduce, 2 (P - 1) / P of
    their bytes sent by each); "zero1" (the same, but the optimizer's state is cut into P parts); "fsdp" (weights,
    gradients and state are cut; each weight is gathered for the forward and again for the backward pass and its
    gradient scattered, 3 (P - 1) / P of the bytes). One block's full weights are counted on top of FSDP's slices.
    flops_per_second: what one device reaches; bytes_per_second: what it sends. Rajbhandari et al. (2020).
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy!r} is unknown: choose one of {', '.join(STRATEGIES)}")
    if devices < 1 or (strategy == "alone" and devices != 1):
        raise ValueError(f"devices={devices} does not go with strategy={strategy!r}")
    alone = training_memory(config, batch_size, seq_len, optimizer=optimizer)
    share = (devices - 1) / devices
    weights, gradients, states = alone.weights, alone.gradients, alone.optimizer
    messages = 0.0
    if strategy in ("ddp", "zero1"):
        messages = 2 * share * gradients
        states = states // devices if strategy == "zero1" else states
    elif strategy == "fsdp":
        messages = share * (2 * weights * accumulate + gradients)
        block = weights // config.n_layers if config.n_layers else 0
        weights = weights // devices + (block if devices > 1 else 0)
        gradients, states = gradients // devices, states // devices
    seq_len = seq_len or config.max_seq_len
    flops = batch_size * seq_len * accumulate * flops_per_token(_on_meta(config, torch.float32), seq_len)
    held = Memory(weights, gradients, states, alone.activations)
    return MemoryPlan(strategy, devices, held, round(messages), flops / flops_per_second, messages / bytes_per_second)
