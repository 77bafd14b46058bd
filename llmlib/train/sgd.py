"""Stochastic gradient descent with momentum: the optimizer that everything else is measured against."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from llmlib.train.distributed import local


class SGD(Optimizer):
    """Gradient descent (Robbins and Monro, 1951) with momentum (Polyak, 1964). Built in lecture 07.

    With g the gradient, each update does

        w <- w - lr * weight_decay * w                          decoupled, as in AdamW
        b <- momentum * b + g
        w <- w - lr * (g + momentum * b  if nesterov else  b)

    Agrees with torch.optim.SGD where weight_decay is 0; torch's adds the decay to the gradient instead. The step is in
    the units of the gradient, so one learning rate has to serve parameters whose gradients differ a thousandfold.
    One number of state per weight.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict],
        lr: float = 0.1,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        for name, value in (("lr", lr), ("weight_decay", weight_decay)):
            if value < 0:
                raise ValueError(f"{name}={value} must not be negative")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum} must lie in [0, 1): 0 is plain gradient descent")
        if nesterov and not momentum:
            raise ValueError("nesterov=True needs a momentum above 0: it looks ahead along it")
        super().__init__(params, dict(lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [w for w in group["params"] if w.grad is not None]
            if not weights:
                continue
            for w in weights:
                if "momentum_buffer" not in self.state[w]:
                    self.state[w]["momentum_buffer"] = torch.zeros_like(w)
            gradients = local([w.grad for w in weights])
            buffers = local([self.state[w]["momentum_buffer"] for w in weights])
            weights = local(weights)
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_mul_(buffers, group["momentum"])
            torch._foreach_add_(buffers, gradients)
            ahead = torch._foreach_add(gradients, buffers, alpha=group["momentum"]) if group["nesterov"] else buffers
            torch._foreach_add_(weights, ahead, alpha=-group["lr"])
        return loss
