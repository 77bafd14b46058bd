"""Reward models: from rankings of replies to one number for each. Lecture 12."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmlib.infer.decoding import evaluation_mode
from llmlib.model import Transformer

from .padding import last_token, padded

AT_ONCE = 256  # texts that are scored in one pass


class RewardModel(nn.Module):
    """A Transformer with a scalar in place of the vocabulary, read at the last token (Stiennon et al., 2020).

    trunk: a Transformer, usually the fine-tuned one, of which a copy is taken. The head begins at zero, so that all
    replies begin with the same score. `mean` and `std`, 0 and 1 until `normalise` sets them, make scores comparable: a
    ranking loss leaves them free by a constant.
    """

    def __init__(self, trunk: Transformer) -> None:
        super().__init__()
        self.trunk = copy.deepcopy(trunk)
        self.config = trunk.config
        self.score_head = nn.Linear(trunk.config.d_model, 1, bias=False)
        nn.init.zeros_(self.score_head.weight)
        self.to(next(trunk.parameters()).device)
        self.register_buffer("mean", torch.zeros((), device=self.score_head.weight.device))
        self.register_buffer("std", torch.ones((), device=self.score_head.weight.device))

    def forward(self, ids: Tensor, pad_mask: Tensor | None = None) -> Tensor:
        """(B, T) prompt and reply -> (B,) scores."""
        mask = torch.ones_like(ids, dtype=torch.bool) if pad_mask is None else pad_mask
        hidden = self.trunk.hidden(ids, pad_mask=None if bool(mask.all()) else mask)
        return (self.score_head(last_token(hidden, mask))[:, 0] - self.mean) / self.std

    @torch.no_grad()
    def score(self, prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]], end: int) -> Tensor:
        """Scores (B,) of replies given as ids without their end token: a `Reward` once `end` is bound."""
        device = self.score_head.weight.device
        texts = [[*prompt, *reply, end] for prompt, reply in zip(prompts, replies, strict=True)]
        with evaluation_mode(self):
            parts = [padded(texts[i : i + AT_ONCE]) for i in range(0, len(texts), AT_ONCE)]
            return torch.cat([self(ids.to(device), pad_mask.to(device)) for ids, pad_mask in parts])

    @torch.no_grad()
    def normalise(self, scores: Tensor, spread: bool = True) -> None:
        """Shift so that texts with these scores have mean 0, as InstructGPT does with demonstrations; with spread also
        to deviation 1. scores: (N,), of this model as it is."""
        if scores.numel() < 2:
            raise ValueError(f"scores holds {scores.numel()}: give those of several texts to find their mean")
        self.mean += scores.mean() * self.std
        if spread:
            self.std *= scores.std().clamp_min(1e-6)


def reward_ranking_loss(scores: Tensor, ranks: Tensor | None = None) -> Tensor:
    """InstructGPT's loss (Ouyang et al., 2022, eq. 1): scores (prompts, K), best first -> a scalar, in nats.

        loss = - mean over the K (K - 1) / 2 pairs of a prompt of log sigmoid(score of the better - of the worse)

    All pairs of a prompt come from one pass and are averaged, so that a prompt counts once whatever its K. They are not
    independent: the sum is a composite likelihood; `plackett_luce_loss` is the full one. ranks: (prompts, K), lower is
    better, where there are ties or another order; pairs of equal rank are left out. ValueError if none is left.
    """
    _check_rankings(scores)
    differences = scores[:, :, None] - scores[:, None, :]
    if ranks is None:
        ranks = torch.arange(scores.shape[1], device=scores.device).expand_as(scores)
    better = ranks[:, :, None] < ranks[:, None, :]
    pairs = better.sum((1, 2))
    if not pairs.any():
        raise ValueError("ranks holds ties only: nobody said which reply is better, so there is nothing to learn")
    losses = -(F.logsigmoid(differences) * better).sum((1, 2)) / pairs.clamp_min(1)
    return losses[pairs > 0].mean()


def plackett_luce_loss(scores: Tensor) -> Tensor:
    """-log probability of the rankings, per prompt: scores (prompts, K), best first -> a scalar. Lecture 12.

    Luce (1959) and Plackett (1975): the best is drawn in proportion to exp(score), then the best of the rest, and so
    on. For K = 2 it equals `reward_ranking_loss`.
    """
    _check_rankings(scores)
    rest = scores.flip(1).logcumsumexp(1).flip(1)
    return (rest - scores)[:, :-1].sum(1).mean()


def _check_rankings(scores: Tensor) -> None:
    if scores.dim() != 2 or scores.shape[1] < 2:
        raise ValueError(f"scores has shape {tuple(scores.shape)}: give (prompts, K) with K >= 2 replies each")


def _differences(scores: Tensor) -> Tensor:
    """(prompts, K (K - 1) / 2): the score of the better reply of each pair minus that of the worse."""
    _check_rankings(scores)
    first, second = torch.triu_indices(scores.shape[1], scores.shape[1], 1, device=scores.device)
    return scores[:, first] - scores[:, second]


def pair_accuracy(scores: Tensor) -> Tensor:
    """Scores (prompts, K), best first -> the share of pairs ordered as the annotator did, (prompts,); ties are half."""
    difference = _differences(scores)
    return ((difference > 0).float() + 0.5 * (difference == 0)).mean(1)


def calibration(scores: Tensor, bins: int = 5) -> list[tuple[float, float, int]]:
    """Predicted and observed preference: (mean predicted probability, share that agreed, pairs) for bins of equal size.

    scores: (prompts, K), best first. Of each pair the reply with the higher score is predicted to win with probability
    sigmoid of the difference, from 0.5 to 1; a calibrated model's shares agree. Of equal scores half agree.
    """
    difference = _differences(scores).flatten()
    order = difference.abs().argsort()
    parts = [part for part in difference[order].tensor_split(bins) if len(part)]
    agreed = lambda part: (part > 0).float() + 0.5 * (part == 0)
    return [(part.abs().sigmoid().mean().item(), agreed(part).mean().item(), len(part)) for part in parts]


class RewardEnsemble(nn.Module):
    """Several reward models as one: their mean, less `caution` times their deviation, which grows off the data.

    (Coste et al., "Reward model ensembles help mitigate overoptimization", 2024.)
    """

    def __init__(self, models: Sequence[RewardModel], caution: float = 0.0) -> None:
        super().__init__()
        if not models:
            raise ValueError("models is empty: give at least one reward model")
        self.models, self.caution = nn.ModuleList(models), caution

    def score(self, prompts: Sequence[Sequence[int]], replies: Sequence[Sequence[int]], end: int) -> Tensor:
        """Scores (B,), as `RewardModel.score`."""
        scores = torch.stack([model.score(prompts, replies, end) for model in self.models])
        return scores.mean(0) - self.caution * scores.std(0, unbiased=False)


def ranking_loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
    """For the Trainer: the loss of a batch of `ranking_batches`, and its number of prompts."""
    scores = model(batch["ids"], batch["pad_mask"]).view(batch["prompts"], -1)
    return reward_ranking_loss(scores) * len(scores), len(scores)


def ranking_batches(
    rankings: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]],
    end: int,
    prompts_per_batch: int,
    epochs: int = 1,
    seed: int = 0,
) -> list[dict[str, Tensor]]:
    """Rankings (prompt, replies best first), all of K replies, as batches for `ranking_loss`, in a new order an epoch.

    One forward pass reads the K replies of a prompt together; all pairs of a prompt are in one batch, never one in
    training and another in a held-out split.
    """
    sizes = {len(replies) for _, replies in rankings}
    if len(sizes) != 1 or min(sizes) < 2:
        raise ValueError(f"rankings have K in {sorted(sizes)}: batch those of one K >= 2 together")
    rng = torch.Generator().manual_seed(seed)
    return [
        _ranking_batch([rankings[i] for i in part.tolist()], end)
        for _ in range(epochs)
        for part in torch.randperm(len(rankings), generator=rng).split(prompts_per_batch)
    ]


def _ranking_batch(rankings, end: int) -> dict[str, Tensor]:
    ids, pad_mask = padded([[*prompt, *reply, end] for prompt, replies in rankings for reply in replies])
    return {"ids": ids, "pad_mask": pad_mask, "prompts": len(rankings)}
