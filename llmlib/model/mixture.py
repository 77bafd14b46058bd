"""Mixture of experts: a feed-forward network of many, of which each token meets a few."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .config import ModelConfig
from .layers import MLP, SwiGLU
from .layers import build_mlp as build_dense_mlp


class Routing(NamedTuple):
    """Where a router sends N tokens: `chosen` (N, top_k) int64 experts, best first, `weights` (N, top_k) of their
    outputs, `probabilities` (N, n_experts) of the softmax they were chosen by."""

    chosen: Tensor
    weights: Tensor
    probabilities: Tensor


def route(logits: Tensor, top_k: int, renormalise: bool = True, bias: Tensor | None = None) -> Routing:
    """The top_k most probable experts of each token: (N, n_experts) logits -> `Routing`. Lecture 06 builds it.

    renormalise: divide the chosen weights by their sum, as Mixtral does (Jiang et al., 2024); with one expert a token
        that is always 1, and the router learns nothing from the loss, so that Switch (Fedus et al., 2021) does not.
    bias: (n_experts,), added for the choice alone and not to the weights (Wang et al., 2024, "Auxiliary-loss-free load
        balancing").
    """
    probabilities = _at_least_float32(logits).softmax(-1)
    if bias is None:
        weights, chosen = probabilities.topk(top_k, dim=-1)
    else:
        chosen = (probabilities + bias).topk(top_k, dim=-1).indices
        weights = probabilities.gather(-1, chosen)
    if renormalise:
        weights = weights / weights.sum(-1, keepdim=True)
    return Routing(chosen, weights, probabilities)


def balancing_loss(routing: Routing) -> Tensor:
    """n_experts * sum over experts of (share of the choices) * (mean probability): 1 when even (Fedus et al., 2021).

    The shares are counts, without gradient; the probabilities carry it. Lecture 06 builds it.
    """
    n_experts = routing.probabilities.shape[-1]
    load = torch.bincount(routing.chosen.flatten(), minlength=n_experts).float() / routing.chosen.numel()
    return n_experts * (load * routing.probabilities.mean(0)).sum()


def z_loss(logits: Tensor) -> Tensor:
    """Mean of logsumexp squared, which keeps a router's logits small (Zoph et al., 2022): (N, n_experts) -> one
    number. Lecture 06."""
    return _at_least_float32(logits).logsumexp(-1).square().mean()


def expected_experts(n_experts: int, top_k: int, n_tokens: int) -> float:
    """How many experts n_tokens meet between them, if each chooses evenly and on its own: E * (1 - (1 - k/E)**n)."""
    return n_experts * (1.0 - (1.0 - top_k / n_experts) ** n_tokens)


class MixtureOfExperts(nn.Module):
    """A router and n_experts feed-forward networks in the place of one (Shazeer et al., 2017). Lecture 06 builds it.

    (..., d_model) -> (..., d_model), with config.moe and the rest of the config as in a dense model. Tokens are sorted
    by expert, so that each expert runs once per pass on a matrix of its own tokens. For figures, `record` reads of each
    pass: `router` (N, n_experts) logits, `load` (n_experts,) share of the choices, `entropy` () of a token's
    probabilities in nats, and `dropped` () share of the choices that found an expert full.

    In training the module asks for its losses through `auxiliary_loss` and, with balancing "bias", moves its bias
    after every pass. A capacity counts in training alone: otherwise a text's answer would depend on the texts beside
    it. A full expert keeps first choices before second ones, and earlier tokens before later ones. Padding is routed
    and counted like any token.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        moe = config.moe
        if moe is None:
            raise ValueError("config.moe is None; give ModelConfig(..., moe=MoEConfig(...))")
        self.moe, self.d_model = moe, config.d_model
        inner = config.replace(moe=None, d_ff=moe.d_expert or config.d_ff)
        self.router = nn.Linear(config.d_model, moe.n_experts, bias=False)
        self.experts = nn.ModuleList(build_dense_mlp(inner) for _ in range(moe.n_experts))
        self.experts.active_fraction = moe.top_k / moe.n_experts  # for `flops_per_token`
        self.shared = nn.ModuleList(build_dense_mlp(inner) for _ in range(moe.n_shared_experts))
        self.register_buffer("bias", torch.zeros(moe.n_experts) if moe.balancing == "bias" else None)
        self.load, self.entropy, self.dropped = nn.Identity(), nn.Identity(), nn.Identity()
        self.auxiliary_loss: Tensor | None = None
        self._init_weights(config)

    def forward(self, x: Tensor) -> Tensor:
        moe, tokens = self.moe, x.reshape(-1, self.d_model)
        if not len(tokens):
            raise ValueError(f"x has shape {tuple(x.shape)}, no tokens to route; give at least one")
        logits = self.router(tokens)
        routing = route(logits, moe.top_k, moe.renormalise, self.bias)
        learning = self.training and torch.is_grad_enabled()
        self.auxiliary_loss = self._asked(logits, routing) if learning else None
        counts = torch.bincount(routing.chosen.flatten(), minlength=moe.n_experts)
        out = self._dispatch(tokens, routing, counts.tolist())
        for expert in self.shared:
            out = out + expert(tokens)
        self._tell(routing, counts.float() / routing.chosen.numel(), learning)
        return out.view(x.shape)

    def capacity(self, n_tokens: int) -> int | None:
        """The most tokens an expert takes of n_tokens; None without a limit."""
        factor = self.moe.capacity_factor
        return None if factor is None else math.ceil(factor * n_tokens * self.moe.top_k / self.moe.n_experts)

    def _dispatch(self, tokens: Tensor, routing: Routing, counts: list[int]) -> Tensor:
        """(N, d_model) -> the weighted sum of what each token's experts make of it; counts: the choices of each."""
        n, k = routing.chosen.shape
        order = routing.chosen.T.flatten().argsort(stable=True)  # all first choices, then all second ones
        limit, kept = self.capacity(n) if self.training else None, counts
        if limit is not None and max(counts) > limit:
            starts = [sum(counts[:e]) for e in range(len(counts))]
            kept = [min(count, limit) for count in counts]
            order = torch.cat([order[start : start + count] for start, count in zip(starts, kept)])
        self.dropped(1.0 - tokens.new_tensor(sum(kept) / (n * k)))
        rows = order % n
        pieces = tokens.index_select(0, rows).split(kept)
        made = torch.cat([expert(piece) for expert, piece in zip(self.experts, pieces) if len(piece)])
        weights = routing.weights.T.flatten().index_select(0, order).to(made.dtype)
        return torch.zeros_like(tokens, dtype=made.dtype).index_add(0, rows, made * weights[:, None])

    def _asked(self, logits: Tensor, routing: Routing) -> Tensor | None:
        """What is to be added to the loss."""
        moe, asked = self.moe, None
        if moe.balancing == "auxiliary":
            asked = moe.auxiliary_weight * balancing_loss(routing)
        if moe.z_weight:
            asked = moe.z_weight * z_loss(logits) + (0.0 if asked is None else asked)
        return asked

    @torch.no_grad()
    def _tell(self, routing: Routing, load: Tensor, learning: bool) -> None:
        """The statistics of this pass, for hooks, and the step of the bias against them."""
        self.load(load)
        self.entropy(torch.special.entr(routing.probabilities).sum(-1).mean())
        if self.bias is not None and learning:
            self.bias += self.moe.bias_rate * (1.0 / self.moe.n_experts - load).sign()

    @torch.no_grad()
    def _init_weights(self, config: ModelConfig) -> None:
        """As `Transformer.init_weights` does for its own layers, which leaves experts alone."""
        residual_std = config.init_std
        if config.norm_position == "pre":
            residual_std /= math.sqrt(2 * config.n_layers)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 1:
                parameter.zero_()
            elif name.endswith("down_proj.weight"):
                parameter.zero_() if config.zero_init_residual else parameter.normal_(0.0, residual_std)
            else:
                parameter.normal_(0.0, config.init_std)

    def __getstate__(self) -> dict:
        # The loss of the last pass holds its graph, which can be neither copied nor saved.
        return self.__dict__ | {"auxiliary_loss": None}

    def extra_repr(self) -> str:
        return f"n_experts={self.moe.n_experts}, top_k={self.moe.top_k}, balancing={self.moe.balancing!r}"


def build_mlp(config: ModelConfig) -> SwiGLU | MLP | MixtureOfExperts:
    """The feed-forward network the config asks for: one, or a mixture."""
    return build_dense_mlp(config) if config.moe is None else MixtureOfExperts(config)


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
