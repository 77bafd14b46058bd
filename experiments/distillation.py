"""Record what a teacher is worth to a small model, for lecture 15.

    OMP_NUM_THREADS=1 python experiments/distillation.py

A student of the shape of the base model 0.3m learns from the same text in the same order and number of updates with
labels alone and with the base model 3m, eight times its size, as its teacher. The text is read once ("plenty"), or a
twelfth of it twelve times ("little"). Controls: twice as many updates with labels alone, and every way at three rates.
Afterwards students go on from one that has learned, with labels, with the teacher on given texts and on their own.
Some forty minutes of one core.
"""

import argparse
import random

import torch
from base_models import SHARES, SOURCES, shape
from torch import Tensor, nn

from llmlib.adapt import (
    DistillationLoss,
    HiddenStateLoss,
    OnPolicyLoss,
    attach_projections,
    distillation_kl,
    drop_projections,
)
from llmlib.data import Experiment, flaws_of, prose, split_documents
from llmlib.hub import load_base
from llmlib.infer import decode_steps
from llmlib.model import Transformer
from llmlib.text import BPETokenizer
from llmlib.train import TrainConfig, Trainer, bits_per_byte, document_nats, next_token_loss
from llmlib.train.losses import Loss

STUDENT, TEACHER = "0.3m", "3m"
SEEDS, TUNING_SEED, RATES = (0, 1, 2), 100, (0.5, 1.0, 2.0)
UPDATES, ROWS, CONTEXT = 160, 8, 256
LITTLE = 12  # parts of the text, one of which is read as often
HELD_OUT = 150  # documents
LAYERS = {"blocks.1": "blocks.2", "blocks.3": "blocks.5"}
FURTHER, PROMPTS, PROMPT, WRITTEN = 60, 32, 16, 48
WAYS = ("labels", "teacher, T=1", "teacher and labels, T=2", "teacher and hidden states")

Batch = tuple[Tensor, Tensor]


class Shared(nn.Module):
    """A teacher that reads a batch once for all students that are trained beside each other."""

    def __init__(self, teacher: Transformer) -> None:
        super().__init__()
        self.teacher, self.config = teacher, teacher.config
        self.ids: Tensor | None = None

    def forward(self, ids: Tensor, **inputs: Tensor) -> Tensor:
        if ids is not self.ids:
            self.ids, self.logits = ids, self.teacher(ids, **inputs)
        return self.logits


class Text:
    """Training text as one row of tokens, and held-out documents to choose rates by and to report."""

    def __init__(self, tokenizer: BPETokenizer) -> None:
        documents = prose(*SOURCES)
        out = flaws_of(documents, trusted=("tales", "novels"))
        parts = split_documents([d for i, d in enumerate(documents) if i not in out], SHARES)
        self.tokenizer, self.end = tokenizer, tokenizer.special_tokens["<|endoftext|>"]
        wanted = 2 * UPDATES * ROWS * CONTEXT + 1
        tokens: list[int] = []
        order = list(parts["train"])
        random.Random(0).shuffle(order)
        for document in order:
            if len(tokens) >= wanted:
                break
            tokens += [*tokenizer.encode(document.text[:20_000]), self.end]
        self.tokens = torch.tensor(tokens[:wanted])
        self.held_out = {name: self._held_out(parts[name]) for name in ("choose", "report")}

    def _held_out(self, part: list) -> list[str]:
        chosen = random.Random(1).sample(part, HELD_OUT)
        return [document.text[:1500] for document in chosen]

    def batches(self, amount: str, seed: int, times: int = 1) -> list[Batch]:
        """Windows side by side in a random order: of all the text once, or of its first part again and again."""
        updates = times * UPDATES
        n = ROWS * updates // (LITTLE if amount == "little" else 1)
        rng = torch.Generator().manual_seed(seed)
        rows: list[int] = []
        while len(rows) < ROWS * updates:
            rows += torch.randperm(n, generator=rng).tolist()
        windows = self.tokens.unfold(0, CONTEXT + 1, CONTEXT)[rows[: ROWS * updates]]
        return [(part[:, :-1].contiguous(), part[:, 1:].contiguous()) for part in windows.split(ROWS)]

    def bits(self, model: Transformer, part: str = "report") -> list[float]:
        """Bits per byte of held-out documents, and 95 % of resampled ones."""
        texts = self.held_out[part]
        nats = document_nats(model.eval(), [self.tokenizer.encode(text) for text in texts], self.end)
        return [round(x, 4) for x in bits_per_byte(nats, [len(text.encode()) for text in texts])]


def losses(teacher: Transformer) -> dict[str, Loss]:
    """The four ways, the last three with one reading by the teacher."""
    shared = Shared(teacher)
    soft = DistillationLoss(shared, temperature=1.0, weight=1.0)
    return {
        "labels": next_token_loss,
        "teacher, T=1": soft,
        "teacher and labels, T=2": DistillationLoss(shared, temperature=2.0, weight=0.5),
        "teacher and hidden states": HiddenStateLoss(
            teacher, LAYERS, 1.0, "cosine", DistillationLoss(teacher, temperature=1.0, weight=1.0)
        ),
    }


def student(seed: int) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(shape(STUDENT))


def trainer(model: Transformer, loss: Loss, batches: list[Batch], rate: float, seed: int) -> Trainer:
    """The recipe of the base models."""
    times = rate * (1e6 / 3e5) ** 0.25
    config = TrainConfig(
        steps=len(batches), batch_size=ROWS, seq_len=CONTEXT, optimizer="muon", lr=0.02 * times,
        embedding_lr=0.03 * times, vector_lr=0.005, betas=(0.8, 0.95), eps=1e-10, schedule="wsd", warmup_steps=10,
        decay_fraction=0.4, final_lr=0.0, grad_clip=1.0, seed=seed, device="cpu", progress=False,
    )  # fmt: skip
    return Trainer(model, config, batches, loss=loss)


def learn(
    text: Text, teacher: Transformer, ways: tuple[str, ...], rates: dict[str, float], batches: list[Batch], seed: int
) -> dict[str, Transformer]:
    """Students that learn side by side, each in its way."""
    how, models, trainers = losses(teacher), {}, {}
    for way in ways:
        models[way] = student(seed)
        if "hidden" in way:
            attach_projections(models[way], teacher, LAYERS)
        trainers[way] = trainer(models[way], how[way], batches, rates[way], seed)
    for _ in batches:
        for each in trainers.values():
            each.train_step()
    for model in models.values():
        drop_projections(model)
    return models


def tune(text: Text, teacher: Transformer, rate: float) -> dict[str, float]:
    """Bits per byte of the documents to choose by, for each way at a rate."""
    batches = text.batches("plenty", TUNING_SEED)[: UPDATES // 2]
    models = learn(text, teacher, WAYS, dict.fromkeys(WAYS, rate), batches, TUNING_SEED)
    return {way: text.bits(model, "choose")[0] for way, model in models.items()}


def main_part(text: Text, teacher: Transformer, rates: dict[str, float], amount: str, seed: int) -> dict:
    found = learn(text, teacher, WAYS, rates, text.batches(amount, seed), seed)
    return {way: text.bits(model) for way, model in found.items()}


def twice(text: Text, teacher: Transformer, rates: dict[str, float], seed: int) -> list[float]:
    """Labels alone, and twice the text and updates."""
    batches = text.batches("plenty", seed, times=2)
    return text.bits(learn(text, teacher, ("labels",), rates, batches, seed)["labels"])


@torch.no_grad()
def own_texts(model: Transformer, teacher: Transformer, prompts: list[list[int]], seed: int) -> dict:
    """How far student and teacher are apart on what the student writes, and how the teacher finds it."""
    rng = torch.Generator().manual_seed(seed)
    steps = decode_steps(model.eval(), prompts, WRITTEN, generator=rng)
    ids = torch.cat([torch.tensor(prompts), torch.stack([step.tokens for step in steps], 1)], 1)
    seen, targets = ids[:, :-1], ids[:, PROMPT:]
    ours, theirs = model(seen)[:, PROMPT - 1 :], teacher(seen)[:, PROMPT - 1 :]
    nats = -theirs.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    return dict(
        reverse_kl=round(distillation_kl(ours, theirs, divergence="reverse").mean().item(), 4),
        forward_kl=round(distillation_kl(ours, theirs).mean().item(), 4),
        teacher_nats=round(nats.mean().item(), 4), standard_error=round(nats.mean(1).std().item() / len(ids)**0.5, 4),
    )  # fmt: skip


def go_on(text: Text, teacher: Transformer, rates: dict[str, float], seed: int) -> dict:
    """From one student that has learned from the teacher: some more updates, in four ways, at a tenth of the rate."""
    start = learn(text, teacher, ("teacher, T=1",), rates, text.batches("plenty", seed), seed)["teacher, T=1"]
    more = text.batches("plenty", seed + 50)[:FURTHER]
    rng = torch.Generator().manual_seed(seed)
    own = [
        text.tokens.unfold(0, PROMPT, CONTEXT)[torch.randint(ROWS * UPDATES, (PROMPTS,), generator=rng)]
        for _ in range(FURTHER)
    ]
    held_out = [text.tokenizer.encode(each)[: PROMPT - 1] for each in text.held_out["report"]]
    judged = [[text.end, *ids] for ids in held_out if len(ids) == PROMPT - 1]
    on_policy = OnPolicyLoss(teacher, WRITTEN, generator=torch.Generator().manual_seed(seed))
    given = DistillationLoss(teacher, temperature=1.0, weight=1.0)
    reverse = DistillationLoss(teacher, temperature=1.0, weight=1.0, divergence="reverse")
    ways = {
        "labels": (next_token_loss, more), "given texts": (given, more), "given texts, reverse": (reverse, more),
        "own texts, reverse": (on_policy, own),
    }  # fmt: skip
    result = {"before": dict(bits=text.bits(start)) | own_texts(start, teacher, judged, seed)}
    for way, (loss, batches) in ways.items():
        model = student(seed)
        model.load_state_dict(start.state_dict())
        each = trainer(model, loss, batches, 0.1, seed)
        for _ in batches:
            each.train_step()
        result[way] = dict(bits=text.bits(model)) | own_texts(model, teacher, judged, seed)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = [
        "llmlib.adapt.distillation", "llmlib.adapt.generated_targets", "llmlib.train.loop", "llmlib.train.muon",
        "llmlib.train.bits_per_byte", "llmlib.data.prose", "llmlib.data.cleaning", "experiments/base_models.py",
    ]  # fmt: skip
    experiment = Experiment("distillation", script=__file__, modules=modules, seeds=SEEDS)
    teacher, tokenizer = load_base(TEACHER)
    text = Text(tokenizer)
    tuning = {rate: experiment.once(f"rate {rate}", tune, text, teacher, rate) for rate in RATES}
    rates = {way: min(RATES, key=lambda rate: tuning[rate][way]) for way in WAYS}
    print(tuning, rates, flush=True)
    result = dict(
        teacher=text.bits(teacher), tuning={str(rate): found for rate, found in tuning.items()}, rates=rates,
        plenty=[], little=[], twice=[], further=[],
    )  # fmt: skip
    for seed in SEEDS:
        for amount in ("plenty", "little"):
            key = f"{amount}, seed {seed}"
            result[amount].append(experiment.once(key, main_part, text, teacher, rates, amount, seed))
            print(key, result[amount][-1], flush=True)
        result["twice"].append(experiment.once(f"twice, seed {seed}", twice, text, teacher, rates, seed))
        result["further"].append(experiment.once(f"further, seed {seed}", go_on, text, teacher, rates, seed))
        print(result["twice"][-1], result["further"][-1], flush=True)
    experiment.save(result)


if __name__ == "__main__":
    main()
