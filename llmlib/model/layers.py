"""The small layers between the attentions: norms and feed-forward networks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import ModelConfig


class RMSNorm(nn.Module):
    """x / sqrt(mean(x**2) + eps) * weight over the last dimension (Zhang and Sennrich, 2019). Lecture 04 builds it.

    LayerNorm without the subtraction of the mean and without a bias.
    """

    def __init__(self, dim: int, eps: float = 1e-5):
        super().__init__()
        self.dim, self.eps = dim, eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        # One type for both: torch's fused kernel takes no mixture, which autocast would hand it.
        return F.rms_norm(x, (self.dim,), self.weight.to(x.dtype), self.eps)

    def extra_repr(self) -> str:
        return f"{self.dim}, eps={self.eps}"


def build_norm(config: ModelConfig) -> nn.Module:
    """The norm of width d_model that the config asks for."""
    if config.norm == "rmsnorm":
        return RMSNorm(config.d_model, config.norm_eps)
    return nn.LayerNorm(config.d_model, config.norm_eps, bias=config.bias)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)) (Shazeer, 2020). Lecture 04 builds it. (..., d_model) -> (..., d_model)."""

    def __init__(self, d_model: int, d_ff: int, bias: bool = False):
        super().__init__()
        self.gate_proj = nn.Linear(d_model, d_ff, bias=bias)
        self.up_proj = nn.Linear(d_model, d_ff, bias=bias)
        self.down_proj = nn.Linear(d_ff, d_model, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class MLP(nn.Module):
    """down(activation(up(x))): two matrices with a curve between them. Lecture 03. (..., d_model) -> (..., d_model).

    activation: "gelu" (Hendrycks and Gimpel, 2016), its tanh approximation "gelu_tanh" (GPT-2), "relu", or its
    square "relu2" (So et al., 2021).
    """

    def __init__(self, d_model: int, d_ff: int, activation: str = "gelu", bias: bool = False):
        super().__init__()
        self.activation = activation
        self.up_proj = nn.Linear(d_model, d_ff, bias=bias)
        self.down_proj = nn.Linear(d_ff, d_model, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up_proj(x)
        if self.activation == "gelu":
            x = F.gelu(x)
        elif self.activation == "gelu_tanh":
            x = F.gelu(x, approximate="tanh")
        elif self.activation == "relu":
            x = F.relu(x)
        else:
            x = F.relu(x).square()
        return self.down_proj(x)


def build_mlp(config: ModelConfig) -> nn.Module:
    """The feed-forward network the config asks for."""
    if config.mlp == "swiglu":
        return SwiGLU(config.d_model, config.d_ff, config.bias)
    return MLP(config.d_model, config.d_ff, config.mlp, config.bias)
