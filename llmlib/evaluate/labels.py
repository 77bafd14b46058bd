"""Classes named by words: scores of the label words of a prompt, and the prompt's own preference taken out of them.

A prompt leans towards a label before it has read the text: the last example's, the majority's, the commoner word
(Zhao et al., 2021). Lecture 10.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

LabelLength = Literal["sum", "mean"]
CONTENT_FREE = ("N/A", "[MASK]")
"""Texts that say nothing. Zhao et al. (2021) take the empty one too, which `few_shot_prompt` refuses."""


def label_scores(logprobs: Sequence[Sequence[Tensor | Sequence[float]]], length: LabelLength = "sum") -> Tensor:
    """The score of each label for each item, (n_items, n_labels) float64, in nats: what to argmax or to calibrate.

    logprobs: as `continuation_logprobs` gives them: of each item, of each label in the same order, the log-probability
    of every token. length: "sum" is the log-probability of the whole word, so a label of more tokens tends to start
    lower, by about the same for each item: that is part of what `calibrate_labels` takes out. "mean" divides by the
    number of tokens, which makes up for the length by a guess and is not the logarithm of a probability.

    ValueError if there is no item, if an item lacks a label that another has, if a label has no token, and for a
    log-probability above 0 or not finite.
    """
    if length not in get_args(LabelLength):
        raise ValueError(f"length is {length!r}: choose one of {', '.join(get_args(LabelLength))}")
    if not len(logprobs):
        raise ValueError("logprobs is empty: give the label log-probabilities of at least one item")
    n_labels = len(logprobs[0])
    if n_labels < 2:
        raise ValueError(f"logprobs[0] has {n_labels} labels: give at least 2, else there is nothing to choose")
    scores = torch.empty(len(logprobs), n_labels, dtype=torch.float64)
    for i, labels in enumerate(logprobs):
        if len(labels) != n_labels:
            raise ValueError(
                f"logprobs[{i}] has {len(labels)} labels but logprobs[0] has {n_labels}: score each label of each item"
            )
        for j, tokens in enumerate(labels):
            values = torch.as_tensor(tokens, dtype=torch.float64)
            if values.dim() != 1 or not len(values):
                raise ValueError(
                    f"logprobs[{i}][{j}] has shape {tuple(values.shape)}: give one number for each token of the label"
                )
            if not (values.isfinite() & (values <= 0)).all():
                raise ValueError(f"logprobs[{i}][{j}] is {values.tolist()}: log-probabilities are finite and at most 0")
            scores[i, j] = values.sum() if length == "sum" else values.mean()
    return scores


def label_prior(reference: Tensor) -> Tensor:
    """What a prompt says on average, (n_labels,): the logarithm of the mean of the label probabilities of `reference`.

    reference: (m, n_labels) scores under the same prompt, of texts that say nothing (`CONTENT_FREE`; contextual
    calibration, Zhao et al., 2021) or of m unlabelled items (batch calibration, Zhou et al., 2023). Probabilities are
    averaged, each first made to sum to 1 over the labels: a mean of log-probabilities would let one sure item decide.
    """
    return _checked("reference", reference).log_softmax(1).logsumexp(0) - torch.tensor(float(len(reference))).log()


def calibrate_labels(scores: Tensor, reference: Tensor) -> Tensor:
    """The scores less the prompt's own preference for each label, (n_items, n_labels). Built in lecture 10.

    scores: (n_items, n_labels), from `label_scores`. reference: (m, n_labels), the scores of what the preference is
    estimated on, see `label_prior`: under the same prompt, with the same labels in the same order and the same length.
    The argmax is the calibrated answer, the softmax its probabilities. With m unlabelled items the classes are taken to
    be about equally frequent among them; take other items than those reported, or the result says how well it does on
    a test set that it has looked at. With one reference text the argmax is that of `multiple_choice`'s "prior".

    ValueError for an empty reference, for another number of labels, and for a score that is not finite: a label that
    was not scored.
    """
    scores, prior = _checked("scores", scores), label_prior(reference)
    if len(prior) != scores.shape[1]:
        raise ValueError(
            f"reference has {len(prior)} labels and scores has {scores.shape[1]}: score the same labels in both"
        )
    return scores - prior


def _checked(name: str, scores: Tensor) -> Tensor:
    scores = torch.as_tensor(scores, dtype=torch.float64)
    if not scores.numel():
        raise ValueError(f"{name} is empty: give the label scores of at least one text")
    if scores.dim() != 2 or scores.shape[1] < 2:
        raise ValueError(f"{name} has shape {tuple(scores.shape)}: give (texts, labels) with at least 2 labels")
    if not scores.isfinite().all():
        row, label = (~scores.isfinite()).nonzero()[0].tolist()
        raise ValueError(f"{name}[{row}, {label}] is {scores[row, label].item()}: score every label of every text")
    return scores
