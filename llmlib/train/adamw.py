"""AdamW: a running mean of the gradient, divided by the root of a running mean of its square."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from llmlib.train.distributed import local


class AdamW(Optimizer):
    """Adam (Kingma and Ba, 2015) with decoupled weight decay (Loshchilov and Hutter, 2019). Built in lecture 07.

    With g the gradient and t the number of updates so far, each update does

        w <- w - lr * weight_decay * w                          decay acts on the weight, not through the gradient
        m <- beta1 * m + (1 - beta1) * g
        v <- beta2 * v + (1 - beta2) * g * g
        w <- w - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    Agrees with torch.optim.AdamW, whose fused kernel `build_optimizers` takes on CUDA, and either goes on from the
    other's state. Two numbers of state per weight (`exp_avg` m, `exp_avg_sq` v); the `_foreach_` functions run one
    operation over all tensors of a group in one call.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
            if value < 0:
                raise ValueError(f"{name}={value} must not be negative")
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas={betas} must both lie in [0, 1): 0 forgets at once, 1 never learns")
        super().__init__(params, dict(lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay))

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
                if w not in self.state:
                    self.state[w] = dict(
                        step=torch.tensor(0.0), exp_avg=torch.zeros_like(w), exp_avg_sq=torch.zeros_like(w)
                    )
                self.state[w]["step"] += 1
            # Parameters may differ in age (one that was frozen, say), and the bias correction depends on it.
            ages = [int(self.state[w]["step"]) for w in weights]
            for age in sorted(set(ages)):
                self._update([w for w, own in zip(weights, ages) if own == age], age, **group)
        return loss

    def _update(self, weights: list[Tensor], t: int, *, lr, betas, eps, weight_decay, **_) -> None:
        beta1, beta2 = betas
        gradients = local([w.grad for w in weights])
        means = local([self.state[w]["exp_avg"] for w in weights])
        squares = local([self.state[w]["exp_avg_sq"] for w in weights])
        weights = local(weights)
        torch._foreach_mul_(weights, 1 - lr * weight_decay)
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
        scale = torch._foreach_sqrt(squares)
        torch._foreach_div_(scale, (1 - beta2**t) ** 0.5)
        torch._foreach_add_(scale, eps)
        torch._foreach_addcdiv_(weights, means, scale, -lr / (1 - beta1**t))
