"""Record a correct training of a reward model and nine faulty ones, one of which lab 12 gives to a student to diagnose.

The support desk's fine-tuned model is given a scalar head and reads 200 rankings of four replies, three times. One
thing is wrong in each faulty run. Afterwards the program scores the same texts as every other. Three seeds: the lab
shows the first, and a test holds every observation to all of them. Run it with
`OMP_NUM_THREADS=1 python experiments/lab12_faults.py`; it takes about five minutes on one core.
"""

import random
from collections.abc import Callable, Sequence
from statistics import mean

import torch
import torch.nn.functional as F
from lab12 import (
    DESK,
    MODULES,
    RATE,
    Ranking,
    Text,
    accuracies,
    all_pairs,
    batch_of,
    rankings_of,
    scores_of,
    texts_of,
    train_reward,
)
from torch import Tensor

from llmlib.align import RewardModel, reward_ranking_loss
from llmlib.data import Experiment

FAULTS = {
    "A": "the score is read in the last column, which is a pad in all but the longest rows",
    "B": "the replies come worst first",
    "C": "pairs are split into training and validation, and not prompts",
    "D": "the annotators like long replies",
    "E": "nothing shifts the scores after training",
    "F": "the learning rate is 20 times too low",
    "G": "the reply is read without its request",
    "H": "there are 25 rankings, read 24 times",
    "I": "replies are cut off after 8 tokens",
}
RUNS = dict(zip(("b7", "d2", "f9", "h4", "j8", "m3", "p6", "s1", "w5"), "FBIDHAGEC", strict=True))
N, K, PASSES, HELD, SHOWN, SEEDS = 200, 4, 3, 50, 200, (0, 1, 2)
PER_WORD = 0.05  # what annotators add for every word under D
CUT, MORE = 8, 12  # tokens of a reply that are left under I; pads that are added


def last_column(model: RewardModel, texts: Sequence[Text], more: int = 0) -> Tensor:
    """Scores read in the last column of the padded rows, whatever stands there."""
    ids, pad_mask = widened(texts, more)
    hidden = model.trunk.hidden(ids, pad_mask=None if bool(pad_mask.all()) else pad_mask)
    return model.score_head(hidden[:, -1])[:, 0] - model.mean


def widened(texts: Sequence[Text], more: int) -> tuple[Tensor, Tensor]:
    """A padded batch with some columns of padding more."""
    ids, pad_mask = batch_of(texts)
    return F.pad(ids, (0, more)), F.pad(pad_mask, (0, more))


def scorer_of(fault: str, more: int = 0) -> Callable[[RewardModel, Sequence[Text]], Tensor]:
    """How the program scores texts."""

    def score(model: RewardModel, texts: Sequence[Text]) -> Tensor:
        if fault == "G":
            texts = [([], reply) for _, reply in texts]
        elif fault == "I":
            texts = [(prompt, reply[:CUT]) for prompt, reply in texts]
        return last_column(model, texts, more) if fault == "A" else model(*widened(texts, more))

    return score


def some_pairs(kept: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss over the pairs (rankings, pairs) that are kept for training."""
    first, second = torch.triu_indices(K, K, 1)

    def loss(scores: Tensor, which: Tensor) -> Tensor:
        losses = -F.logsigmoid(scores[:, first] - scores[:, second])
        return losses[kept[which]].mean()

    return loss


def run(fault: str, seed: int) -> dict:
    every = rankings_of(N + HELD, f"rankings of the faults {seed}", per_word=PER_WORD if fault == "D" else 0.0)
    generator = torch.Generator().manual_seed(seed)
    train, held = every[:N], every[N:]
    kept = torch.ones(N, K * (K - 1) // 2, dtype=torch.bool)
    loss_of, passes, lr = all_pairs, PASSES, RATE
    if fault == "B":
        train, held = ([(request, replies[::-1]) for request, replies in part] for part in (train, held))
    elif fault == "C":
        train = held = every
        kept = torch.rand(N + HELD, K * (K - 1) // 2, generator=generator) < N / (N + HELD)
        loss_of = some_pairs(kept)
    elif fault == "F":
        lr = RATE / 20
    elif fault == "H":
        train, kept, passes = train[: N // 8], kept[: N // 8], 8 * PASSES
    scorer = scorer_of(fault)
    model, losses = train_reward(train, passes, seed, lr, scorer, loss_of)
    if fault != "E":
        shown = DESK.demonstrations(SHOWN, random.Random(f"demonstrations {seed}"), quality=0.3)
        model.mean += scores_of(model, texts_of([(request, [reply]) for request, reply in shown]), scorer).mean()
    agreed = ordered(scores_of(model, texts_of(train), scorer))
    validated = agreed[~kept] if fault == "C" else ordered(scores_of(model, texts_of(held), scorer)).flatten()
    log = {
        "training loss, last 10 updates": mean(losses[-10:]),
        "accuracy on training pairs, as the program computes it, percent": 100 * agreed[kept].mean().item(),
        "accuracy on validation pairs, as the program computes it, percent": 100 * validated.mean().item(),
        "prompts of the validation pairs that training has read, percent": 100.0 * (fault == "C"),
        **measured(model, fault, rankings_of(200, "new prompts"), scorer),
    }
    log = {name: float(f"{value:.3g}") for name, value in log.items()}
    even = [i for i in range(len(losses)) if i % 2 == 0 or i == len(losses) - 1]
    return {"steps": [i + 1 for i in even], "training": [float(f"{losses[i]:.3g}") for i in even]} | log


def ordered(scores: Tensor) -> Tensor:
    """(prompts, pairs): 1 where the reply with the better place has the higher score, a half for ties."""
    first, second = torch.triu_indices(K, K, 1)
    difference = scores.view(-1, K)[:, first] - scores.view(-1, K)[:, second]
    return (difference > 0).float() + 0.5 * (difference == 0)


def measured(model: RewardModel, fault: str, rankings: Sequence[Ranking], scorer: Callable) -> dict[str, float]:
    """What the program's scores of the same texts have in them, whatever went wrong."""
    texts = texts_of(rankings)
    scores = scores_of(model, texts, scorer)
    table = scores.view(-1, K)
    deviation = (table - table.mean(1, keepdim=True)).std()  # of replies to the same request

    def moved(changed: Sequence[Text], scorer: Callable = scorer) -> float:
        return float((scores_of(model, changed, scorer) - scores).abs().mean() / deviation)

    prompts = [prompt for prompt, _ in texts]
    other_request = list(zip(prompts[K:] + prompts[:K], (reply for _, reply in texts), strict=True))
    ends = [reply[CUT:] for _, reply in texts]
    other_end = [(prompt, reply[:CUT] + end) for (prompt, reply), end in zip(texts, ends[-1:] + ends[:-1], strict=True)]
    lengths = torch.tensor([float(len(reply)) for _, reply in texts]).view(-1, K)
    shown = DESK.demonstrations(200, random.Random("new demonstrations"), quality=0.3)
    return {
        "accuracy on new prompts, percent": 100 * accuracies(table).mean().item(),
        "loss on new prompts (nats per pair)": reward_ranking_loss(table).item(),
        "deviation of the scores of one request": float(deviation),
        "deviation of the requests' mean scores": float(table.mean(1).std()),
        "mean score of new replies": scores.mean().item(),
        "mean score of new demonstrations": scores_of(
            model, texts_of([(request, [reply]) for request, reply in shown]), scorer
        ).mean().item(),
        "correlation of score and length, within requests": within(table, lengths),
        "change by 12 columns of padding (deviations)": moved(texts, scorer_of(fault, MORE)),
        "change by another customer's request (deviations)": moved(other_request),
        "change by another reply's words from the 9th token on (deviations)": moved(other_end),
    }  # fmt: skip


def within(scores: Tensor, lengths: Tensor) -> float:
    """The correlation of two tables (requests, K), each less the means of its requests."""
    pair = torch.stack([(table - table.mean(1, keepdim=True)).flatten() for table in (scores, lengths)])
    return torch.corrcoef(pair)[0, 1].item()


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("lab12_faults", script=__file__, modules=MODULES, seeds=SEEDS)
    results = {}
    for name, fault in {"correct": "", **RUNS}.items():
        first, *more = (experiment.once(f"{name} {seed}", run, fault, seed) for seed in SEEDS)
        again = [{what: value for what, value in log.items() if isinstance(value, float)} for log in more]
        results[name] = first | {"other seeds": again}
        print(name, fault, {what: [log[what] for log in (first, *again)] for what in again[0]}, flush=True)
    experiment.save(results)


if __name__ == "__main__":
    main()
