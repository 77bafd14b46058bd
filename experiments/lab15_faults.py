"""Record a correct run of quantization-aware distillation and faulty ones, one of which lab 15 gives to a student.

The smallest base model, its blocks rounded to 2 bits with one scale and offset a row, learns for 80 updates to put out
what it did in full precision: half of the loss is T^2 KL(teacher || student) at T = 3, half the cross-entropy with the
text. One thing is wrong in each faulty run. Afterwards every student is rounded and measured in the same, right way on
the same held-out text. Three seeds: a student sees the first, and a test holds every observation to all of them. A
divergence the other way round is no fault here: tried once, with more updates and rows, it ended at a perplexity of
124 where the correct run had 123; at T = 3 the two directions gave nearly the same loss. Run it with
`OMP_NUM_THREADS=1 python experiments/lab15_faults.py`; it takes about ten minutes on one core.
"""

import copy
import functools
import math
from collections.abc import Callable
from statistics import mean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.adapt import distillation_kl, quantize, quantize_model
from llmlib.data import Experiment, prose, split_documents
from llmlib.hub import load_base
from llmlib.model import Transformer

FAULTS = {
    "A": "rounding lets no gradient through",
    "B": "the targets are not shifted: every token is its own",
    "C": "the factor T^2 is missing",
    "D": "the teacher's distributions are shifted by one token",
    "E": "the teacher is rounded to 2 bits as well",
    "F": "nothing is rounded in training, only afterwards",
    "G": "the learning rate is 30 times too low",
    "H": "the teacher's weights are trained along",
    "I": "every update reads the same 4 rows",
    "J": "the teacher's logits are not divided by the temperature",
}
RUNS = dict(zip(("a3", "c8", "d1", "f6", "h2", "k9", "m4", "q7", "t5", "x0"), "FJCAHEIBGD", strict=True))
SEEDS = (0, 1, 2)
UPDATES, ROWS, LENGTH, RATE, TEMPERATURE, WEIGHT, LAST = 80, 4, 128, 2e-3, 3.0, 0.5, 20
SHARES = {"train": 0.94, "choose": 0.03, "report": 0.03}  # of the base model's own pre-training


@functools.cache
def base() -> tuple[Transformer, object]:
    return load_base("0.3m", device="cpu")


@functools.cache
def rows(part: str, n: int) -> Tensor:
    """(n, LENGTH + 1) tokens of documents that the base model was, or was not, trained on."""
    tokenizer, ids = base()[1], []
    for document in split_documents(prose("wikipedia"), SHARES)[part]:
        ids += [tokenizer.special_tokens["<|endoftext|>"], *tokenizer.encode(document.text)]
        if len(ids) >= n * (LENGTH + 1):
            break
    return torch.tensor(ids[: n * (LENGTH + 1)]).view(n, LENGTH + 1)


def two_bits(weight: Tensor) -> Tensor:
    return quantize(weight, 2, "channel", scale_dtype=torch.float16).dequantize()


class Rounded(nn.Module):
    """Full-precision weights, seen through their rounded values."""

    def __init__(self, like: nn.Linear, straight_through: bool) -> None:
        super().__init__()
        self.weight, self.straight_through = like.weight, straight_through

    def forward(self, x: Tensor) -> Tensor:
        rounded = two_bits(self.weight)
        return F.linear(x, self.weight + (rounded - self.weight).detach() if self.straight_through else rounded)


def put(model: Transformer, make: Callable[[nn.Linear], nn.Module]) -> None:
    """Another module in the place of every linear layer of the blocks."""
    for parent in [*model.blocks.modules()]:
        for name, child in [*parent.named_children()]:
            if type(child) is nn.Linear:
                setattr(parent, name, make(child))


def matrices(model: Transformer) -> list[Tensor]:
    return [weight for weight in model.blocks.parameters() if weight.dim() == 2]


def codes_of(model: Transformer) -> Tensor:
    return torch.cat([quantize(w, 2, "channel", scale_dtype=torch.float16).codes.flatten() for w in matrices(model)])


def soft_loss(student: Tensor, teacher: Tensor, fault: str) -> Tensor:
    """The teacher's half of the loss, a token."""
    if fault == "D":
        student, teacher = student[:, :-1], teacher[:, 1:]
    if fault == "H":  # the gradient goes both ways
        log_p, log_q = (F.log_softmax(logits / TEMPERATURE, -1) for logits in (teacher, student))
        return TEMPERATURE**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    if fault == "J":
        teacher = teacher * TEMPERATURE
    divergence = "reverse" if fault == "B" else "forward"
    loss = distillation_kl(student, teacher, TEMPERATURE, divergence).mean()
    return loss / TEMPERATURE**2 if fault == "C" else loss


def train(fault: str, seed: int) -> tuple[Transformer, Transformer, dict]:
    """The student, the teacher, and what the program reports."""
    (original, _), texts = base(), rows("train", 1600)
    student, teacher = copy.deepcopy(original).train(), copy.deepcopy(original)
    if fault != "F":
        put(student, lambda linear: Rounded(linear, straight_through=fault != "A"))
    if fault == "E":
        quantize_model(teacher, "rtn", bits=2, group_size="channel", form="simulated")
    student.token_embedding.weight.requires_grad_(False)
    trained = [weight for weight in student.parameters() if weight.requires_grad]
    along = list(teacher.blocks.parameters()) if fault == "H" else []
    rate = RATE / 30 if fault == "G" else RATE
    optimizer = torch.optim.Adam([*trained, *along], lr=rate, betas=(0.9, 0.95))
    generator = torch.Generator().manual_seed(seed)
    fixed, start = torch.randperm(len(texts), generator=generator)[:ROWS], codes_of(student)
    log = {"soft": [], "hard": [], "gradient": []}
    for update in range(UPDATES):
        chosen = fixed if fault == "I" else torch.randint(len(texts), (ROWS,), generator=generator)
        ids, targets = texts[chosen, :-1], texts[chosen, :-1] if fault == "B" else texts[chosen, 1:]
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (update + 1) / 10, (UPDATES - update) / 20)
        with torch.set_grad_enabled(fault == "H"):
            guide = teacher(ids)
        logits = student(ids)
        soft = soft_loss(logits, guide, fault)
        hard = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        (WEIGHT * soft + (1 - WEIGHT) * hard).backward()
        norms = [weight.grad.norm() for weight in matrices(student) if weight.grad is not None]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        log["soft"].append(soft.item())
        log["hard"].append(hard.item())
        log["gradient"].append(float(torch.stack(norms).norm()) if norms else 0.0)
    moved = (codes_of(student) != start).float().mean().item()
    return student.eval(), teacher.eval(), log | {"codes": moved, "fixed": fixed}


@torch.no_grad()
def logprobs(model: Transformer, texts: Tensor) -> Tensor:
    return torch.cat([F.log_softmax(model(part[:, :-1]), -1) for part in texts.split(16)])


def perplexity(logs: Tensor, texts: Tensor) -> float:
    return math.exp(-logs.gather(-1, texts[:, 1:, None]).mean().item())


def measured(fault: str, seed: int) -> dict:
    """The log of a run."""
    student, teacher, log = train(fault, seed)
    held, original = rows("report", 40), base()[0]
    own = perplexity(logprobs(student, held), held)  # with its own forward pass
    shipped = copy.deepcopy(original)
    shipped.load_state_dict(student.state_dict())
    quantize_model(shipped, "rtn", bits=2, group_size="channel", form="simulated")
    ours, theirs = logprobs(shipped, held), logprobs(original, held)
    read = rows("train", 1600)[log["fixed"]]
    numbers = {
        "soft loss, first 3 updates": mean(log["soft"][:3]),
        "soft loss, last 20 updates": mean(log["soft"][-LAST:]),
        "hard loss, first 3 updates": mean(log["hard"][:3]),
        "hard loss, last 20 updates": mean(log["hard"][-LAST:]),
        "gradient of the matrices, mean norm": mean(log["gradient"]),
        "codes that training has changed, percent": 100 * log["codes"],
        "held-out perplexity, as the program computes it": own,
        "perplexity of the teacher after training": perplexity(logprobs(teacher, held), held),
        "held-out perplexity, rounded": perplexity(ours, held),
        "perplexity of 4 rows of the training text, rounded": perplexity(logprobs(shipped, read), read),
        "KL(model before || student), nats": (theirs.exp() * (theirs - ours)).sum(-1).mean().item(),
        "KL(student || model before), nats": (ours.exp() * (ours - theirs)).sum(-1).mean().item(),
        "entropy of the student, nats": -(ours.exp() * ours).sum(-1).mean().item(),
        "likeliest token as before, percent": 100 * (ours.argmax(-1) == theirs.argmax(-1)).float().mean().item(),
    }
    every = range(0, UPDATES, 2)
    return {
        "updates": [i + 1 for i in every],
        "soft": [float(f"{log['soft'][i]:.3g}") for i in every],
        "hard": [float(f"{log['hard'][i]:.3g}") for i in every],
        **{name: float(f"{value:.3g}") for name, value in numbers.items()},
    }


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "lab15_faults", script=__file__, seeds=SEEDS,
        modules=[
            "llmlib.adapt.rounding", "llmlib.adapt.quantized_models", "llmlib.adapt.quantization_methods",
            "llmlib.adapt.distillation", "llmlib.data.prose", "llmlib.data.cleaning",
        ],
    )  # fmt: skip
    runs: dict[str, list[dict]] = {}
    for seed in SEEDS:
        for name, fault in {"correct": "", **RUNS}.items():
            runs.setdefault(name, []).append(experiment.once(f"{fault or 'correct'} {seed}", measured, fault, seed))
            print(name, fault, seed, {k: v for k, v in runs[name][-1].items() if not isinstance(v, list)}, flush=True)
    again = {
        name: [{what: value for what, value in log.items() if not isinstance(value, list)} for log in logs[1:]]
        for name, logs in runs.items()
    }
    experiment.save({name: logs[0] | {"other seeds": again[name]} for name, logs in runs.items()})


if __name__ == "__main__":
    main()
