"""Pictures and names in one space: each should be nearest to its own. Lecture 19."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def info_nce(a: Tensor, b: Tensor, temperature: float | Tensor = 0.07) -> Tensor:
    """CLIP's loss (Radford et al., 2021): which of the batch's b belongs to each a, and the other way; in nats.

    a, b: (N, d), row i of each a pair; lengths don't matter, cosines count. temperature: what they are divided by. A
    batch of N gives log N by chance. Raises ValueError for shapes that differ, a single pair (nothing to tell it from)
    and a temperature that isn't positive.
    """
    if a.shape != b.shape or a.dim() != 2:
        raise ValueError(f"a has shape {tuple(a.shape)}, b {tuple(b.shape)}: give (N, d) both, row i of each a pair")
    if len(a) < 2:
        raise ValueError(f"the batch has {len(a)} pairs: give 2 or more, each is told from the others")
    if not (value := float(torch.as_tensor(temperature).detach())) > 0:
        raise ValueError(f"temperature={value} must be positive; 0.07 is usual")
    logits = F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T / temperature
    own = torch.arange(len(a), device=a.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


class Temperature(nn.Module):
    """A temperature that is learned, as CLIP's: exp of minus a number that begins at log(1/0.07), kept above 0.01."""

    def __init__(self, start: float = 0.07):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / start)))

    def forward(self) -> Tensor:
        return (-self.log_scale).exp().clamp(min=0.01)


def recall_at(similarity: Tensor, k: int) -> float:
    """The share of rows whose own column, the one of the same number, is among the k most similar: (N, M) -> [0, 1].

    M >= N: further columns are things that belong to no row and only get in the way, a larger gallery. Equal
    similarities count against a row: a model that finds all alike recalls nothing.
    """
    if similarity.dim() != 2 or not 1 <= len(similarity) <= similarity.shape[1] or not 1 <= k <= similarity.shape[1]:
        raise ValueError(f"similarity has shape {tuple(similarity.shape)}, k={k}: give (N, M), M >= N, and 1 <= k <= M")
    own = similarity.diagonal()[:, None]
    before = (similarity >= own).sum(1) - 1
    return float((before < k).double().mean())
