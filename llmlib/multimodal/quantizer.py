"""A codebook that is learned with what it encodes: the vector quantizer of a VQ-VAE. Lecture 19."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .units import nearest_codes


class Quantized(NamedTuple):
    """`vectors` (..., d) of the codebook, with gradients that pass straight through; their numbers `codes` (...);
    `loss` (), to be added to the reconstruction's."""

    vectors: Tensor
    codes: Tensor
    loss: Tensor


class VectorQuantizer(nn.Module):
    """Each vector becomes the nearest of n_codes (van den Oord et al., 2017: VQ-VAE). Lecture 19 builds it.

    Backwards the rounding counts as the identity. The loss draws the codes to the vectors and, times `commitment`, the
    vectors to the codes. A code that nothing chose for `patience` training passes is put onto a random vector of the
    present batch, the cure for a collapsed codebook (Dhariwal et al., 2020, Jukebox); patience=None leaves it dead.
    """

    def __init__(self, n_codes: int, d: int, commitment: float = 0.25, patience: int | None = 50):
        super().__init__()
        if n_codes < 1 or d < 1:
            raise ValueError(f"n_codes={n_codes} and d={d} must be at least 1")
        self.commitment, self.patience = commitment, patience
        self.codebook = nn.Parameter(torch.empty(n_codes, d).uniform_(-1 / n_codes, 1 / n_codes))
        self.register_buffer("unused", torch.zeros(n_codes, dtype=torch.int64))

    def forward(self, x: Tensor) -> Quantized:
        if x.shape[-1] != self.codebook.shape[1]:
            raise ValueError(f"x has shape {tuple(x.shape)}: give (..., {self.codebook.shape[1]})")
        codes = nearest_codes(x.detach(), self.codebook.detach())
        if self.training and torch.is_grad_enabled():
            self._revive(x.detach().reshape(-1, x.shape[-1]), codes)
        chosen = self.codebook[codes]
        loss = (chosen - x.detach()).square().mean() + self.commitment * (x - chosen.detach()).square().mean()
        return Quantized(x + (chosen - x).detach(), codes, loss)

    @torch.no_grad()
    def _revive(self, x: Tensor, codes: Tensor) -> None:
        used = torch.bincount(codes.flatten(), minlength=len(self.codebook)) > 0
        self.unused = torch.where(used, 0, self.unused + 1)
        if self.patience is None:
            return
        dead = (self.unused >= self.patience).nonzero()[:, 0]
        if len(dead):
            self.codebook[dead] = x[torch.randint(len(x), (len(dead),), device=x.device)]
            self.unused[dead] = 0

    def extra_repr(self) -> str:
        return f"n_codes={len(self.codebook)}, d={self.codebook.shape[1]}, patience={self.patience}"


def codebook_use(codes: Tensor, n_codes: int) -> tuple[int, float]:
    """How many codes were used, and the perplexity of their use: n_codes when all are used alike."""
    shares = torch.bincount(codes.flatten(), minlength=n_codes).double() / codes.numel()
    return int((shares > 0).sum()), float(torch.special.entr(shares).sum().exp())
