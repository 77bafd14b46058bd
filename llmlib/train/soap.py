"""SOAP: Adam, in the coordinates in which the gradients of a matrix are least entangled (Vyas et al., 2024)."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from llmlib.train.distributed import local, sharded_like, whole


def eigenbasis(grams: Tensor, basis: Tensor | None = None) -> Tensor:
    """Eigenvectors, as columns, of each symmetric matrix in `grams` (..., n, n), largest eigenvalue first.

    With `basis`, that of a little earlier, one step of power iteration and a QR decomposition bring it up to date:
    the eigenvectors' order stays that of the old columns by eigenvalue, and a full decomposition is saved.
    """
    if basis is None:
        return torch.linalg.eigh(grams).eigenvectors.flip(-1)
    return torch.linalg.qr(grams @ basis).Q


class SOAP(Optimizer):
    """Shampoo's basis, Adam inside; for hidden weight matrices only. Built in lecture 07.

    With G the gradient of a matrix (out, in), each update does

        L <- shampoo_beta * L + (1 - shampoo_beta) * G G^T      what the rows have in common, (out, out)
        R <- shampoo_beta * R + (1 - shampoo_beta) * G^T G      and the columns, (in, in)
        Q_L, Q_R <- eigenvectors of L and R                     anew every `refresh` updates
        M <- beta1 * M + (1 - beta1) * G                        Adam's mean, in the old coordinates
        V <- beta2 * V + (1 - beta2) * (Q_L^T G Q_R)^2          Adam's squares, in the new ones
        W <- W - lr * Q_L [ Q_L^T M Q_R / (sqrt(V) + eps) ] Q_R^T       both with Adam's bias correction

    Shampoo (Gupta et al., 2018) would divide by the fourth roots of L and R; Adam in their eigenbasis does the same at
    heart and keeps working while the basis is old. With Q_L and Q_R the identity it is Adam, with any fixed basis it
    is Adam on rotated weights. As in the paper the first gradient only fills L and R, and changes no weight.

    A parameter (experts, out, in) is a stack of matrices. A side longer than max_side keeps its own coordinates.
    State per weight: two numbers, and for each side n of a matrix 2 n^2. Of a sharded matrix every process computes
    the whole update and keeps its slice.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict],
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        shampoo_beta: float = 0.95,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        refresh: int = 10,
        max_side: int = 2048,
    ) -> None:
        for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
            if value < 0:
                raise ValueError(f"{name}={value} must not be negative")
        if not all(0 <= beta < 1 for beta in (*betas, shampoo_beta)):
            raise ValueError(f"betas={betas} and shampoo_beta={shampoo_beta} must lie in [0, 1)")
        if refresh < 1 or max_side < 1:
            raise ValueError(f"refresh={refresh} and max_side={max_side} must be at least 1")
        settings = dict(lr=lr, betas=tuple(betas), shampoo_beta=shampoo_beta, eps=eps, weight_decay=weight_decay)
        super().__init__(params, settings | dict(refresh=refresh, max_side=max_side))
        for group in self.param_groups:
            for w in group["params"]:
                if w.ndim not in (2, 3):
                    raise ValueError(f"params holds a tensor of shape {tuple(w.shape)}, SOAP takes matrices: use AdamW")

    @torch.no_grad()
    def step(self, closure=None):
        """One update of every matrix that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    self._update(w, self.state[w], **group)
        return loss

    def _update(self, w, state, *, lr, betas, shampoo_beta, eps, weight_decay, refresh, max_side, **_) -> None:
        g = whole(w.grad)
        if not state:
            state.update(step=0, exp_avg=torch.zeros_like(w), squares=torch.zeros_like(w))
            for side, n in (("left", g.shape[-2]), ("right", g.shape[-1])):
                if n <= max_side:
                    state[f"{side}_gram"] = g.new_zeros(*g.shape[:-2], n, n)
        for side, gram in (("left", g @ g.mT), ("right", g.mT @ g)):
            if f"{side}_gram" in state:  # whole: a resumed run may have cut what has its parameter's shape
                state[f"{side}_gram"] = whole(state[f"{side}_gram"]).lerp_(gram, 1 - shampoo_beta)
        if state["step"] % refresh == 0:
            for side in ("left", "right"):
                if f"{side}_gram" in state:
                    state[f"{side}_basis"] = eigenbasis(
                        state[f"{side}_gram"], whole(state[f"{side}_basis"]) if f"{side}_basis" in state else None
                    )
        state["step"] += 1
        if state["step"] == 1:
            return
        age, (beta1, beta2) = state["step"] - 1, betas
        torch._foreach_lerp_(local([state["exp_avg"]]), local([w.grad]), 1 - beta1)
        squares = sharded_like(self._rotated(g, state).square(), w)
        torch._foreach_lerp_(local([state["squares"]]), local([squares]), 1 - beta2)
        mean = self._rotated(whole(state["exp_avg"]), state) / (1 - beta1**age)
        size = (whole(state["squares"]) / (1 - beta2**age)).sqrt_().add_(eps)
        update = sharded_like(self._rotated(mean / size, state, back=True), w)
        torch._foreach_mul_(local([w]), 1 - lr * weight_decay)
        torch._foreach_add_(local([w]), local([update]), alpha=-lr)

    @staticmethod
    def _rotated(matrix: Tensor, state: dict, back: bool = False) -> Tensor:
        if "left_basis" in state:
            left = whole(state["left_basis"])
            matrix = (left if back else left.mT) @ matrix
        if "right_basis" in state:
            right = whole(state["right_basis"])
            matrix = matrix @ (right.mT if back else right)
        return matrix
