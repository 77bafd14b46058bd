"""Heads for other questions than "which token comes next?": which one was masked, and which class is this?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import build_norm
from .parts import TiedHead
from .transformer import Transformer

POOLINGS = ("mean", "first", "last")


class MaskedLMHead(nn.Module):
    """BERT's head: a dense layer, its curve and a norm, then the embedding matrix and a bias for each token.

        model.lm_head = MaskedLMHead(model)      # of an encoder; model(ids) then scores every place

    (..., d_model) -> (..., vocab_size) (Devlin et al., 2018). Lecture 05.
    """

    def __init__(self, model: Transformer):
        super().__init__()
        d = model.config.d_model
        self.dense, self.norm = nn.Linear(d, d), build_norm(model.config)
        self.decoder = TiedHead(model.token_embedding)
        self.bias = nn.Parameter(torch.zeros(model.config.vocab_size))
        nn.init.normal_(self.dense.weight, std=model.config.init_std)
        nn.init.zeros_(self.dense.bias)
        self.to(model.token_embedding.weight.device)

    def forward(self, h: Tensor) -> Tensor:
        return self.decoder(self.norm(F.gelu(self.dense(h)))) + self.bias


def pool_hidden(h: Tensor, pad_mask: Tensor | None = None, pooling: str = "mean") -> Tensor:
    """One vector for each text: (B, T, d) -> (B, d). pad_mask: (B, T) bool, True = real, on whichever side.

    pooling: "mean" of all real tokens; "first", for BERT's [CLS]; "last", for GPT-1's extract token. ValueError for
    another name and for a text without a real token.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling is {pooling!r}; choose one of {', '.join(POOLINGS)}")
    real = torch.ones(h.shape[:2], dtype=torch.bool, device=h.device) if pad_mask is None else pad_mask.to(h.device)
    if real.shape != h.shape[:2]:
        raise ValueError(f"pad_mask has shape {tuple(real.shape)}; give one entry per token, {tuple(h.shape[:2])}")
    if not real.any(1).all():
        raise ValueError("pad_mask has a row without a real token; leave out empty texts")
    if pooling == "mean":
        return (h * real[..., None]).sum(1) / real.sum(1, keepdim=True)
    places = torch.arange(h.shape[1], device=h.device).expand_as(real)
    if pooling == "first":
        at = places.masked_fill(~real, h.shape[1]).argmin(1)
    else:
        at = places.masked_fill(~real, -1).argmax(1)
    return h[torch.arange(len(h), device=h.device), at]


class Classifier(nn.Module):
    """A Transformer with a linear layer over one vector for each text. Lecture 10.

        classifier = Classifier(model, n_classes=2, pooling="mean", dropout=0.1)
        logits = classifier(ids, pad_mask)                         # (B, n_classes)
        logits, next_token_logits = classifier(ids, pad_mask, auxiliary=True)   # for GPT-1's second loss

    The trunk is the model given, not a copy; fine-tuning changes it. The new layer begins small, so that all classes
    begin about even. pooling: see `pool_hidden`.
    """

    def __init__(self, trunk: Transformer, n_classes: int, *, pooling: str = "mean", dropout: float = 0.0):
        super().__init__()
        if n_classes < 2:
            raise ValueError(f"n_classes={n_classes} must be at least 2: of one class there is nothing to tell")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is {pooling!r}; choose one of {', '.join(POOLINGS)}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}; use a probability in [0, 1)")
        self.trunk, self.pooling = trunk, pooling
        self.dropout = nn.Dropout(dropout)
        weight = trunk.token_embedding.weight
        self.class_head = nn.Linear(trunk.config.d_model, n_classes, device=weight.device, dtype=weight.dtype)
        nn.init.normal_(self.class_head.weight, std=trunk.config.init_std)
        nn.init.zeros_(self.class_head.bias)

    @property
    def config(self):
        """The trunk's."""
        return self.trunk.config

    def forward(
        self, ids: Tensor, pad_mask: Tensor | None = None, *, auxiliary: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """(B, T) -> (B, n_classes); with auxiliary also the trunk's logits for the next token, (B, T, vocab_size)."""
        h = self.trunk.hidden(ids, pad_mask=None if pad_mask is None or bool(pad_mask.all()) else pad_mask)
        logits = self.class_head(self.dropout(pool_hidden(h, pad_mask, self.pooling)))
        return (logits, self.trunk.head(h)) if auxiliary else logits
