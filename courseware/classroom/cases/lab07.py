"""Lab 07: AdamW, a schedule, clipping, accumulation, a checkpoint, a plan for a run, a test of data orders, a wrong run."""

import functools
import math

import torch
import torch.nn.functional as F
from torch import nn

from courseware.classroom.cases import (
    Budget,
    Case,
    Draw,
    Lab,
    Mistake,
    Number,
    Question,
    Score,
    Subject,
    Tolerance,
    Ungraded,
    set_parameters,
)

# ------------------------------------------------------------------------------------------------------------- 1: AdamW


def weights_and_gradients(draw: Draw) -> tuple[torch.Tensor, list, dict]:
    """Settings so large that each of them shows within three updates."""
    shape = (draw.integer(2, 6),) if draw.choice([0, 1]) else (2, draw.integer(2, 4))
    settings = {
        "lr": draw.choice([0.1, 0.2]),
        "betas": draw.choice([(0.8, 0.9), (0.7, 0.95), (0.9, 0.6)]),
        "eps": draw.choice([0.1, 0.3]),
        "weight_decay": draw.choice([0.3, 0.5]),
    }
    return 2 * draw.normal(*shape), [draw.normal(*shape) for _ in range(3)], settings


def tiny_gradients(draw: Draw) -> tuple[torch.Tensor, list, dict]:
    """Settings left out. Half of the gradients are so small that the default of eps shows."""
    n = draw.integer(2, 5)
    sizes = torch.tensor([1.0, 1e-8]).repeat(n)
    return 10 * draw.normal(2 * n).double(), [(draw.normal(2 * n) * sizes).double() for _ in range(4)], {}


def run_updates(student, w, gradients, settings):
    """Recipe: what each update adds to the weights, and both moments at the end."""
    m, v, changes = torch.zeros_like(w), torch.zeros_like(w), []
    for t, g in enumerate(gradients, start=1):
        new, m, v = student(w.clone(), g.clone(), m.clone(), v.clone(), t, **settings)
        changes.append(new - w)
        w = new
    return {"changes of the weights": torch.stack(changes), "m": m, "v": v}


def adamw(w, g, m, v, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
    return _adam(w, g, m, v, t, lr, betas, eps, weight_decay)


def _adam(w, g, m, v, t, lr, betas, eps, weight_decay, slip=""):
    """AdamW with one thing wrong."""
    beta1, beta2 = (1 - betas[0], 1 - betas[1]) if slip == "betas turned round" else betas
    if slip == "L2":
        g = g + weight_decay * w
    elif slip == "decay without lr":
        w = w * (1 - weight_decay)
    elif slip not in ("no decay", "decay afterwards"):
        w = w * (1 - lr * weight_decay)
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g.abs() if slip == "no square" else g * g)
    t = t + 1 if slip == "a step late" else t
    corrected_m, corrected_v = m / (1 - beta1**t), v / (1 - beta2**t)
    if slip == "not corrected":
        corrected_m, corrected_v = m, v
    elif slip == "v not corrected":
        corrected_v = v
    elif slip == "m not corrected":
        corrected_m = m
    below = corrected_v.sqrt() + eps
    if slip == "eps inside":
        below = (corrected_v + eps).sqrt()
    elif slip == "eps before the correction":
        below = (v.sqrt() + eps) / (1 - beta2**t) ** 0.5
    elif slip == "no root":
        below = corrected_v + eps
    w = w - lr * (g if slip == "no first moment" else corrected_m) / below
    return w * (1 - lr * weight_decay) if slip == "decay afterwards" else w, m, v


@functools.cache  # the same function for a mistake and for what separates it
def _slipped(slip: str):
    def outcome(w, gradients, settings):
        given = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01} | settings
        return run_updates(functools.partial(_adam, slip=slip), w, gradients, given)

    return outcome


def adamw_outcome(w, gradients, settings):
    return run_updates(adamw, w, gradients, settings)


ADAM_SLIPS = {
    "L2": "the weight decay went through the gradient: Adam then divides it by sqrt(v), so that weights with large gradients hardly decay. Decoupled decay shrinks the weight itself",
    "not corrected": "is the bias corrected? m and v begin at 0 and are too small at first: divide by 1 - beta ** t",
    "v not corrected": "m is corrected for its start at 0, v is not",
    "m not corrected": "v is corrected for its start at 0, m is not",
    "a step late": "t counts from 1: the first update corrects with beta ** 1",
    "decay without lr": "the decay of one update is lr * weight_decay times the weight: lr is missing",
    "no decay": "is weight_decay used?",
    "decay afterwards": "the decay takes its share of the weight before the update, not of the updated one",
    "eps inside": "eps stands outside the root: sqrt(v) + eps",
    "eps before the correction": "eps is added to the root of the corrected v",
    "no root": "divide by the root of v, not by v",
    "no square": "v averages the squares of the gradient",
    "betas turned round": "the old average keeps beta, the new gradient gets 1 - beta",
    "no first moment": "the step follows m, the average, not the last gradient",
}
_ADAMS = tuple(map(_slipped, ADAM_SLIPS))
_ADAMS_BY_DEFAULT = tuple(_slipped(s) for s in ADAM_SLIPS if s not in ("decay afterwards", "a step late"))

# ---------------------------------------------------------------------------------------------------------- 2: schedule


def schedule_settings(draw: Draw) -> tuple[int, dict]:
    warmup, cooldown = draw.integer(2, 6), draw.integer(4, 9)
    total = warmup + draw.integer(2, 8) + cooldown
    return total, {"warmup_steps": warmup, "cooldown_steps": cooldown, "final": draw.choice([0.3, 0.4])}


def without_plateau(draw: Draw) -> tuple[int, dict]:
    warmup, cooldown = draw.integer(2, 6), draw.integer(4, 9)
    return warmup + cooldown, {"warmup_steps": warmup, "cooldown_steps": cooldown}


def no_settings(draw: Draw) -> tuple[int, dict]:
    return draw.integer(3, 9), {}


def run_schedule(student, total_steps, settings):
    """Recipe: the factor at every step, and at three after the end."""
    return [float(student(step, total_steps, **settings)) for step in range(total_steps + 3)]


def factor(step, total_steps, warmup_steps=0, cooldown_steps=0, final=0.0, slip=""):
    """The right factor, or one with a slip."""
    if step < warmup_steps and slip != "no warm-up":
        first = 0 if slip == "first update lost" else 1
        return (step + first) / (warmup_steps + (slip == "warm-up too long"))
    start = warmup_steps if slip == "cools from the start" else total_steps - cooldown_steps
    if step < start:
        return 1.0
    if step >= total_steps and slip != "goes on":
        return final
    share = (step - start) / max(1, total_steps - start - (slip == "ends early"))
    if slip == "starts early":
        share = (step - start + 1) / cooldown_steps
    fall = {
        "linear": 1 - share,
        "cosine": 0.5 * (1 + math.cos(math.pi * min(1.0, share))),
        "root of the rest": max(0.0, 1 - share) ** 0.5,
    }.get(slip, 1 - share**0.5)
    if slip == "final forgotten":
        return fall
    return max(final, fall) if slip == "a floor" else final + (1 - final) * fall


@functools.cache
def _scheduled(slip: str):
    def outcome(total_steps, settings):
        return run_schedule(functools.partial(factor, slip=slip), total_steps, settings)

    return outcome


SCHEDULE_SLIPS = {
    "first update lost": "the first update has a factor of 0 and does nothing: step 0 gets 1 / warmup_steps",
    "warm-up too long": "the factor should be 1 at the last step of the warm-up, step warmup_steps - 1",
    "no warm-up": "is there a warm-up?",
    "cools from the start": "the cool-down takes the last cooldown_steps steps; before it the factor stays 1",
    "linear": "that is a straight line: the cool-down follows 1 - sqrt",
    "cosine": "that is a cosine: the cool-down follows 1 - sqrt",
    "root of the rest": "sqrt(1 - x) is not 1 - sqrt(x): the latter falls steeply first and flattens out",
    "ends early": "the factor reaches final at total_steps, one after the last update, not at the last update",
    "starts early": "at the first step of the cool-down x is 0 and the factor is still 1",
    "final forgotten": "is final used? The factor falls to it, and not to 0",
    "a floor": "final is where the curve ends, not a floor under a curve that ends at 0: final + (1 - final) * ...",
    "goes on": "what comes after total_steps? The factor stays at final",
}
_SCHEDULES = tuple(map(_scheduled, SCHEDULE_SLIPS))
_WITHOUT_PLATEAU = tuple(
    _scheduled(s)
    for s in SCHEDULE_SLIPS
    if s not in ("cools from the start", "final forgotten", "a floor")
)  # fmt: skip

# ---------------------------------------------------------------------------------------------------------- 3: clipping


def _gradients(draw: Draw, norm: float) -> list:
    """Two or three tensors and a None, of this norm all together; none holds most of it."""
    parts = [draw.normal(draw.integer(2, 5)), draw.normal(2, draw.integer(2, 4)), draw.normal(3)][: draw.choice([2, 3])]
    parts = [part / part.norm() * draw.choice([0.8, 1.0, 1.2]) for part in parts]
    whole = torch.stack([part.norm() for part in parts]).norm()
    parts = [part / whole * norm for part in parts]
    return [*parts[:1], None, *parts[1:]]


def too_long(draw: Draw) -> tuple[list, float]:
    max_norm = draw.choice([0.5, 1.0, 2.0])
    return _gradients(draw, max_norm * draw.choice([2.0, 3.0])), max_norm


def long_together(draw: Draw) -> tuple[list, float]:
    """No tensor is too long by itself, all together are."""
    max_norm = draw.choice([0.5, 1.5, 2.0])
    return _gradients(draw, 1.15 * max_norm), max_norm


def short_enough(draw: Draw) -> tuple[list, float]:
    max_norm = draw.choice([1.0, 3.0])
    return _gradients(draw, max_norm * draw.choice([0.4, 0.7])), max_norm


def all_zero(draw: Draw) -> tuple[list, float]:
    return [torch.zeros(draw.integer(2, 4)), torch.zeros(2, 2)], 1.0


def run_clip(student, gradients, max_norm):
    """Recipe: the clipped gradients and the norm, a plain number."""
    clipped, norm = student([None if g is None else g.clone() for g in gradients], max_norm)
    return {"clipped": list(clipped), "norm": float(norm)}


def _norm(gradients) -> float:
    return float(torch.stack([g.norm() for g in gradients if g is not None]).norm())


def _scaled(gradients, scale):
    return [None if g is None else g * scale for g in gradients]


def clip_global(gradients, max_norm):
    norm = _norm(gradients)
    return _scaled(gradients, min(1.0, max_norm / norm) if norm else 1.0), norm


def _per_tensor(gradients, max_norm):
    return [None if g is None else g * min(1.0, max_norm / float(g.norm())) for g in gradients], _norm(gradients)


def _by_value(gradients, max_norm):
    return [None if g is None else g.clamp(-max_norm, max_norm) for g in gradients], _norm(gradients)


def _always(gradients, max_norm):
    return _scaled(gradients, max_norm / _norm(gradients)), _norm(gradients)


def _with_norm(norm_of):
    def clip(gradients, max_norm):
        norm = float(norm_of([g for g in gradients if g is not None]))
        return _scaled(gradients, min(1.0, max_norm / norm)), norm

    return clip


def _norm_afterwards(gradients, max_norm):
    clipped, _ = clip_global(gradients, max_norm)
    return clipped, _norm(clipped)


def _not_clipped(gradients, max_norm):
    return gradients, _norm(gradients)


def _never_none(gradients, max_norm):
    clipped, norm = clip_global(gradients, max_norm)
    return [g for g in clipped if g is not None], norm


_norms_added = _with_norm(lambda gs: sum(g.norm() for g in gs))
_without_root = _with_norm(lambda gs: sum(g.pow(2).sum() for g in gs))
_longest = _with_norm(lambda gs: max(g.norm() for g in gs))
_mean_square = _with_norm(lambda gs: torch.cat([g.flatten() for g in gs]).pow(2).mean().sqrt())


@functools.cache
def _clipped(function):
    return lambda gradients, max_norm: run_clip(function, gradients, max_norm)


_LONG = tuple(map(_clipped, (
    _per_tensor, _by_value, _norms_added, _without_root, _longest, _mean_square, _norm_afterwards, _not_clipped,
    _never_none,
)))  # fmt: skip
_SHORT = tuple(map(_clipped, (_always, _norms_added, _without_root, _longest, _mean_square)))

# ------------------------------------------------------------------------------------------------------ 4: accumulation


def micro_batches(draw: Draw) -> tuple[int, list]:
    """Micro-batches with different numbers of counted tokens, and padding in each."""
    V = draw.choice([5, 7])
    counts = [(1, 6), (2, 5), (3, 4)]
    batches = []
    for B, T in counts[: draw.choice([2, 3])]:
        x, y = draw.integers(0, V, B, T), draw.integers(0, V, B, T)
        y[:, T - draw.integer(1, 3) :] = -100
        batches.append((x, y))
    return V, batches


def an_empty_one(draw: Draw) -> tuple[int, list]:
    """One of the micro-batches is padding and nothing else."""
    V, batches = micro_batches(draw)
    x, y = draw.integers(0, V, 2, 3), torch.full((2, 3), -100)
    return V, [batches[0], (x, y), *batches[1:]]


def run_accumulation(student, V, batches):
    """Recipe: the loss, the gradients, and how many micro-batches were held in memory at the same time."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(V, 4), nn.Linear(4, V))
    set_parameters(model, scale=0.7)
    for p in model.parameters():
        p.grad = torch.full_like(p, 0.5)  # left over from the update before
    held = {"now": 0, "most": 0}

    class Graph:
        """Lives from a micro-batch's forward pass to its backward pass, or until nothing refers to it."""

        def __init__(self):
            held["now"] += 1
            held["most"] = max(held.values())

        def __del__(self):
            held["now"] -= 1

    class Watch(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.graph = Graph()
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            ctx.graph = None
            return gradient

    def loss_sum(model, batch):
        x, y = batch
        total = F.cross_entropy(model(x).flatten(0, 1), y.flatten(), ignore_index=-100, reduction="sum")
        count = int((y != -100).sum())
        return Watch.apply(total) if count and total.requires_grad else total, count

    loss = student(model, loss_sum, batches)
    return {
        "loss": float(loss),
        "gradients": [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()],
        "micro-batches held in memory at a time": held["most"],
    }


def accumulate(model, loss_sum, batches, slip=""):
    """The right gradients, or those of a slip."""
    parameters = list(model.parameters())
    if slip != "left over":
        for p in parameters:
            p.grad = None
    total, tokens, n = 0.0, 0, len(batches)
    kept = []
    for batch in batches:
        if slip == "only the last":
            for p in parameters:
                p.grad = None
        s, count = loss_sum(model, batch)
        share = {"means": count * n, "means added": count, "padding counted": 1}.get(slip, 1)
        if slip == "together":
            kept.append(s)
        else:
            (s / share).backward()
        total += float(s.detach()) / share
        tokens += batch[1].numel() if slip == "padding counted" else count
    if kept:
        sum(kept).backward()
    if slip in ("means", "means added"):
        return total
    over = {"sum": 1, "divided by the batches": n}.get(slip, tokens)
    for p in parameters:
        if slip != "gradient not divided":
            p.grad /= over
    return total / over


@functools.cache
def _accumulated(slip: str):
    return lambda V, batches: run_accumulation(functools.partial(accumulate, slip=slip), V, batches)


ACCUMULATION_SLIPS = {
    "means": "that is the mean of the micro-batches' means: a token of a short one weighs more. Add the sums, and divide by all tokens",
    "means added": "the micro-batches' means are added up and not divided: four micro-batches, four times the gradient",
    "sum": "gradient and loss are those of the sum: divide by the number of tokens",
    "gradient not divided": "the loss is the mean, but the gradient is that of the sum: divide it too",
    "divided by the batches": "divided by the number of micro-batches: divide by the number of tokens, which differ",
    "padding counted": "divided by all places, padding included: divide by the tokens that loss counts",
    "left over": "what the last update left in .grad is still in it: begin with none",
    "only the last": "that is the gradient of the last micro-batch: .grad is cleared once, before the first",
    "together": "call backward after each micro-batch: until then all of its activations are kept in memory, and to hold one at a time is the point",
}
_ACCUMULATIONS = tuple(map(_accumulated, ACCUMULATION_SLIPS))

# -------------------------------------------------------------------------------------------------------- 5: checkpoint


class Run:
    """The run that the notebook gives, with state and load."""

    lost: tuple[str, ...] = ()
    aliased = ""

    def __init__(self, seed: int) -> None:
        fixed = torch.Generator().manual_seed(0)
        self.x, self.y = torch.randn(12, 3, generator=fixed), torch.randn(12, generator=fixed)
        self.generator = torch.Generator().manual_seed(seed)
        self.w = torch.randn(3, generator=self.generator)
        self.m, self.average = torch.zeros(3), self.w.clone()
        self.order, self.place, self.step = torch.randperm(12, generator=self.generator), 0, 0

    def update(self) -> float:
        if self.place == 12:
            self.order, self.place = torch.randperm(12, generator=self.generator), 0
        rows = self.order[self.place : self.place + 4]
        kept = torch.rand(4, 3, generator=self.generator) > 0.1
        x = self.x[rows] * kept
        error = x @ self.w - self.y[rows]
        self.m.mul_(0.9).add_(x.T @ error / 4)
        self.w.sub_(0.3 / (3 + self.step) * self.m)
        self.average.lerp_(self.w, 0.2)
        self.step, self.place = self.step + 1, self.place + 4
        return error.pow(2).mean().item()

    def state(self) -> dict:
        tensors = {"w": self.w, "m": self.m, "average": self.average, "order": self.order}
        if self.aliased != "state":
            tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        saved = tensors | {"step": self.step, "place": self.place, "generator": self.generator.get_state()}
        return {name: value for name, value in saved.items() if name not in self.lost}

    def load(self, state: dict) -> None:
        for name, value in state.items():
            if name == "generator":
                self.generator.set_state(value)
            else:
                setattr(self, name, value.clone() if hasattr(value, "clone") and self.aliased != "load" else value)


def seed_and_kill(draw: Draw) -> tuple[int, int]:
    """Killed in the middle of an epoch; what follows crosses into the next."""
    return draw.integer(1, 1000), draw.choice([4, 5, 7, 8])


def at_the_end_of_an_epoch(draw: Draw) -> tuple[int, int]:
    return draw.integer(1, 1000), draw.choice([3, 6])


def run_resume(student, seed, killed_after):
    """Recipe: a run that goes on after its checkpoint, and two that are resumed from it, through a file."""
    import io

    run = student(seed)
    for _ in range(killed_after):
        run.update()
    state = run.state()
    losses = [run.update() for _ in range(5)]
    file = io.BytesIO()
    torch.save(state, file)  # only now: a checkpoint may be written while the run goes on
    file.seek(0)
    state = torch.load(file, weights_only=True)
    resumed = []
    for other in (seed + 1, seed + 2):
        again = student(other)
        again.update()
        again.load(state)
        resumed.append((again, [again.update() for _ in range(5)]))
    (first, first_losses), (_, second_losses) = resumed
    return {
        "losses of the run that went on": losses,
        "losses after resuming": first_losses,
        "losses after resuming from the same state again": second_losses,
        "average of the weights at the end": first.average.clone(),
        "bit by bit the same": first_losses == losses and torch.equal(first.w, run.w),
    }


@functools.cache
def _resumed(lost: str = "", aliased: str = ""):
    variant = type("Run", (Run,), {"lost": (lost,), "aliased": aliased})
    return lambda seed, killed_after: run_resume(variant, seed, killed_after)


LOST = {
    "w": "the weights are not in the checkpoint, or not loaded from it",
    "m": "the momentum m is lost: the resumed run starts from rest and takes other steps",
    "average": "the running average of the weights is lost: losses go on as before, and what you would ship does not",
    "step": "the step is lost: the learning rate starts again from the top",
    "place": "the place in the epoch is lost: rows of this epoch are read again, others not at all",
    "order": "the order of the epoch is lost: the place in it says nothing without it",
    "generator": "the state of the generator is lost: dropout and the next epoch's order are drawn anew",
}
_STATE_ALIASED, _LOAD_ALIASED = _resumed(aliased="state"), _resumed(aliased="load")
_NOT_LOADED = tuple(map(_resumed, LOST))

# -------------------------------------------------------------------------------------------------------------- 6: plan

PARAMETERS, TOKENS, CONTEXT = 1.3e9, 26e9, 2048
FIELDS = {"devices": int, "micro_batch": int, "accumulation": int, "sharded": bool, "recompute": bool}


def a_plan(design: object) -> str | None:
    if not isinstance(design, dict) or set(design) != set(FIELDS):
        return f"give a dict with the keys {', '.join(FIELDS)}"
    for name, kind in FIELDS.items():
        if type(design[name]) is not kind or (kind is int and not 1 <= design[name] <= 1024):
            return f"{name} is True or False" if kind is bool else f"{name} is a whole number from 1 to 1024"
    return None


def gigabytes(design: dict) -> float:
    """Memory of one device."""
    optimizer = 12 * PARAMETERS / (design["devices"] if design["sharded"] else 1)
    activations = (0.4e9 if design["recompute"] else 3.4e9) * design["micro_batch"]
    return (4 * PARAMETERS + optimizer + activations) / 1e9


def tokens_per_update(design: dict) -> float:
    return design["devices"] * design["micro_batch"] * design["accumulation"] * CONTEXT


def seconds_per_update(design: dict) -> float:
    devices, flops = design["devices"], (8 if design["recompute"] else 6) * PARAMETERS * CONTEXT
    computing = design["accumulation"] * (design["micro_batch"] + 1) * flops / 60e12
    return computing + 2 * (devices - 1) / devices * 2 * PARAMETERS / 8e9


def days(design: dict) -> float:
    return TOKENS / tokens_per_update(design) * seconds_per_update(design) / 86400


def device_hours(design: dict) -> float:
    return days(design) * 24 * design["devices"]


# ---------------------------------------------------------------------------------------------- 7: a test of data orders


def examples_rows_batches_stops(n: object, rows: object, batches: object, stops: object) -> str | None:
    if type(n) is not int or type(rows) is not int or not (8 <= n <= 40 and 1 <= rows <= 8):
        return "n is a whole number from 8 to 40, rows one from 1 to 8"
    if type(batches) is not int or not 1 <= batches <= 240:
        return "batches is a whole number from 1 to 240"
    if not isinstance(stops, list) or not all(type(s) is int and 1 <= s < batches for s in stops):
        return "stops is a list of whole numbers from 1 to batches - 1"
    if rows * batches > 6 * n:
        return "at most six epochs, please: rows * batches is at most 6 * n"
    return None if stops == sorted(set(stops)) else "stops come in order, each once"


def _permutation(n: int, epoch: int, seed: int = 0) -> list[int]:
    return Draw(1000 * seed + 31 * epoch + n).numpy.permutation(n).tolist()


def _cut(stream: list[int], rows: int) -> list[list[int]]:
    return [stream[i : i + rows] for i in range(0, len(stream), rows)]


def _stream(n: int, rows: int, batches: int, order) -> list[list[int]]:
    """The first `batches` batches of order(0), order(1), ... laid end to end."""
    epochs = -(-rows * batches // n)
    return _cut([i for epoch in range(epochs) for i in order(epoch)][: rows * batches], rows)


def shuffled(n: int, rows: int, batches: int, stops: list[int]) -> list[list[int]]:
    return _stream(n, rows, batches, lambda epoch: _permutation(n, epoch))


def striding(n: int, rows: int, batches: int, stops: list[int]) -> list[list[int]]:
    """Always the same distance to the next, from another start in every epoch."""
    stride = next(s for s in (7, 11, 13, 17) if math.gcd(s, n) == 1)
    return _stream(n, rows, batches, lambda epoch: [(epoch + i * stride) % n for i in range(n)])


def turned_round(n: int, rows: int, batches: int, stops: list[int]) -> list[list[int]]:
    """Rotated by one more in every epoch: plain order to begin with."""
    return _stream(n, rows, batches, lambda epoch: [(i + epoch) % n for i in range(n)])


def _with_stops(n, rows, batches, stops, resume) -> list[list[int]]:
    """A stream whose reader is put somewhere else by resume(position, number of the stop) -> (position, seed)."""
    out, position, seed = [], 0, 0
    for number in range(batches):
        if number in stops:
            position, seed = resume(position, stops.index(number))
        batch = []
        for _ in range(rows):
            batch.append(_permutation(n, position // n, seed)[position % n])
            position += 1
        out.append(batch)
    return out


def starts_epoch_again(n, rows, batches, stops):
    return _with_stops(n, rows, batches, stops, lambda position, stop: (position // n * n, 0))


def shuffles_again(n, rows, batches, stops):
    return _with_stops(n, rows, batches, stops, lambda position, stop: (position, stop + 1))


def skips_a_batch(n, rows, batches, stops):
    return _with_stops(n, rows, batches, stops, lambda position, stop: (position + rows, 0))


def same_every_epoch(n, rows, batches, stops):
    return _stream(n, rows, batches, lambda epoch: _permutation(n, 0))


# --------------------------------------------------------------------------------------------------------- 8: a wrong run

FAULTS = {
    "A": "the learning rate has no warm-up",
    "B": "the learning rate is 10 times too high",
    "C": "the means of the two micro-batches are averaged, although they hold different numbers of tokens",
    "D": "the weight decay is added to the gradient",
    "E": "the optimizer's moments are lost when the run is resumed",
    "F": "the gradient of each tensor is clipped by itself",
    "G": "the schedule starts again when the run is resumed",
    "H": "the data starts again when the run is resumed",
    "I": "dropout stays on during evaluation",
}
RUNS = ("b4", "d9", "f2", "g7", "j5", "m1", "p8", "s3", "v6")
OBSERVATIONS = {
    "a": "the first update is larger than 0.0005",
    "b": "the last update is larger than 0.0003",
    "c": "the first update after the resume and the one before it differ by a factor of more than 2",
    "d": "the last update is between 0.00006 and 0.0001",
    "e": "the longest gradient after clipping is longer than 0.6",
    "f": "evaluating the same weights again gives another loss",
    "g": "some lines are read after the resume that were read before it",
    "h": "at the end long lines are no easier than short ones",
    "i": "the training loss of the last 20 updates is more than 0.25 below the held-out loss at the end",
    "j": "the size of the weights and that in the correct run differ by a factor of more than 1.5",
    "k": "over the last 50 updates the gradient before clipping is longer than 1.2 on average",
    "l": "the held-out loss after 25 updates is below 3",
}


LAB = Lab(
    id="lab07",
    title="Pre-training",
    provides=("llmlib.data", "llmlib.text"),
    forbids=(
        "Optimizer",
        *("adam", "adamw", "_single_tensor_adam", "_multi_tensor_adam", "_single_tensor_adamw", "_multi_tensor_adamw"),
        *("clip_grad_norm", "clip_grad_norm_", "clip_grads_with_norm_", "get_total_norm"),
        *("_clip_grads_with_norm_", "_get_total_norm"),
    ),
    questions=(
        Question(
            id="lab07.q1",
            title="AdamW",
            name="adamw_step",
            points=2,
            difficulty=2,
            minutes=12,
            printed=True,
            recipe=run_updates,
            cases=(
                Case("three updates", inputs=weights_and_gradients, expected=adamw_outcome, separates=_ADAMS),
                Case(
                    "settings left out",
                    inputs=tiny_gradients,
                    expected=adamw_outcome,
                    separates=_ADAMS_BY_DEFAULT,
                    tolerance=Tolerance(rtol=1e-3, atol=3e-6),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_slipped(slip)) for slip, message in ADAM_SLIPS.items()),
                Mistake(
                    "NaN: with t = 0 the correction divides 0 by 0. t counts from 1, and is the number of this update",
                    when=lambda value, *inputs: bool(torch.isnan(value["changes of the weights"]).any()),
                ),
                Mistake("return three things: the weight, m and v", error="not enough values to unpack|cannot unpack"),
            ),
        ),
        Question(
            id="lab07.q2",
            title="Warm up, stay, cool down",
            name="rate_factor",
            points=2,
            difficulty=2,
            minutes=12,
            recipe=run_schedule,
            cases=(
                Case("all three parts", inputs=schedule_settings, expected=_scheduled(""), separates=_SCHEDULES),
                Case(
                    "no plateau, final left out",
                    inputs=without_plateau,
                    expected=_scheduled(""),
                    separates=_WITHOUT_PLATEAU,
                ),
                Case("all settings left out", inputs=no_settings, expected=_scheduled("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_scheduled(slip)) for slip, message in SCHEDULE_SLIPS.items()),
                Mistake(
                    "0 steps of warm-up or cool-down mean that there is none: nothing is divided by them",
                    error="ZeroDivisionError|division by zero",
                ),
                Mistake(
                    "the root of a negative number: where does the cool-down begin, and is nothing before it sent there?",
                    error="complex|math domain error",
                ),
            ),
        ),
        Question(
            id="lab07.q3",
            title="Clipping by the global norm",
            name="clip_gradients",
            points=2,
            difficulty=2,
            minutes=10,
            recipe=run_clip,
            cases=(
                Case("too long", inputs=too_long, expected=_clipped(clip_global), separates=_LONG),
                Case(
                    "too long together only",
                    inputs=long_together,
                    expected=_clipped(clip_global),
                    separates=tuple(map(_clipped, (_per_tensor, _longest, _not_clipped, _norms_added))),
                ),
                Case("short enough", inputs=short_enough, expected=_clipped(clip_global), separates=_SHORT),
                Case("all zero", inputs=all_zero, expected=_clipped(clip_global)),
            ),
            mistakes=(
                Mistake(
                    "each tensor is clipped by its own norm, which turns the step: one factor for all of them",
                    wrong=_clipped(_per_tensor),
                ),
                Mistake(
                    "single numbers are cut off at max_norm, which turns the step: scale all by one factor",
                    wrong=_clipped(_by_value),
                ),
                Mistake(
                    "gradients shorter than max_norm are stretched to it: clipping only shortens",
                    wrong=_clipped(_always),
                ),
                Mistake(
                    "the tensors' norms are added: lengths add up as their squares do", wrong=_clipped(_norms_added)
                ),
                Mistake(
                    "the norm is the root of the sum of squares: the root is missing", wrong=_clipped(_without_root)
                ),
                Mistake(
                    "the norm is that of the longest tensor: it is of all of them together", wrong=_clipped(_longest)
                ),
                Mistake(
                    "the norm is the root of the sum of the squares, not of their mean", wrong=_clipped(_mean_square)
                ),
                Mistake(
                    "return the norm before clipping: afterwards it tells you nothing you did not ask for",
                    wrong=_clipped(_norm_afterwards),
                ),
                Mistake("the norm is right, and the gradients are not shortened", wrong=_clipped(_not_clipped)),
                Mistake(
                    "None stays in its place: the list must still fit the list of parameters",
                    wrong=_clipped(_never_none),
                ),
                Mistake("a parameter without a gradient has None: leave it out of the norm", error="NoneType"),
                Mistake(
                    "gradients that are all zero have norm 0: nothing may be divided by it",
                    error="ZeroDivisionError|division by zero",
                ),
                Mistake(
                    "gradients that are all zero have norm 0: nothing may be divided by it",
                    when=lambda value, gradients, max_norm: any(
                        g is not None and bool(torch.isnan(g).any()) for g in value["clipped"]
                    ),
                ),
            ),
        ),
        Question(
            id="lab07.q4",
            title="Accumulation",
            name="accumulate",
            points=2,
            difficulty=3,
            minutes=15,
            printed=True,
            recipe=run_accumulation,
            cases=(
                Case(
                    "unequal micro-batches", inputs=micro_batches, expected=_accumulated(""), separates=_ACCUMULATIONS
                ),
                Case(
                    "one without any token",
                    inputs=an_empty_one,
                    expected=_accumulated(""),
                    separates=tuple(_accumulated(s) for s in ACCUMULATION_SLIPS if not s.startswith("means")),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_accumulated(slip)) for slip, message in ACCUMULATION_SLIPS.items()),
                Mistake(
                    "a micro-batch may hold no token at all: its sum is 0, its mean is 0 / 0",
                    when=lambda value, *inputs: math.isnan(value["loss"]),
                ),
                Mistake(
                    "a micro-batch may hold no token at all: its sum is 0, its mean is 0 / 0", error="ZeroDivisionError"
                ),
                Mistake(
                    "the sum is cut off from the model (.item(), .detach()) before backward",
                    error="does not require grad|has no attribute 'backward'",
                ),
            ),
        ),
        Question(
            id="lab07.q5",
            title="A checkpoint",
            name="Run",
            points=3,
            difficulty=4,
            minutes=20,
            recipe=run_resume,
            cases=(
                Case(
                    "killed in the middle of an epoch",
                    inputs=seed_and_kill,
                    expected=_resumed(),
                    separates=(*_NOT_LOADED, _STATE_ALIASED, _LOAD_ALIASED),
                ),
                Case("killed at the end of an epoch", inputs=at_the_end_of_an_epoch, expected=_resumed()),
            ),
            mistakes=(
                *(Mistake(message, wrong=_resumed(name)) for name, message in LOST.items()),
                Mistake(
                    "the state holds the run's own tensors: the run goes on, and the checkpoint with it. Keep copies",
                    wrong=_STATE_ALIASED,
                ),
                Mistake(
                    "load hands the state's own tensors to the run, which then changes them: a state can be loaded twice. Take copies",
                    wrong=_LOAD_ALIASED,
                ),
                Mistake(
                    "a checkpoint holds plain data (tensors, numbers, lists, dicts) so that it can be read safely: the generator has get_state()",
                    error="Weights only load failed|cannot pickle|UnpicklingError",
                ),
                Mistake(
                    "state returns a dict, and load takes one",
                    error="NoneType",
                ),
            ),
        ),
        Question(
            id="lab07.q6",
            title="A run within three budgets",
            name="plan",
            kind="design",
            points=3,
            difficulty=4,
            minutes=20,
            valid=a_plan,
            budgets=(
                Budget("memory of a device", "GB", 24, gigabytes),
                Budget("tokens in an update", "tokens", 2**19, tokens_per_update),
                Budget("rent", "device-hours", 1500, device_hours),
            ),
            score=Score("time until it has read everything", "days", 2.0, days, better="lower"),
        ),
        Question(
            id="lab07.q7",
            title="Test somebody else's data order",
            name="holds",
            kind="test",
            examples="examples",
            points=3,
            difficulty=3,
            minutes=18,
            valid=examples_rows_batches_stops,
            right=(
                Subject("a new shuffle in every epoch", shuffled),
                Subject("a fixed stride from a new start in every epoch", striding),
                Subject("the plain order, turned on by one in every epoch", turned_round),
            ),
            wrong=(
                Subject("starts the epoch again after a kill", starts_epoch_again),
                Subject("shuffles again after a kill and goes on from the same place", shuffles_again),
                Subject("loses the batch that was read ahead when it was killed", skips_a_batch),
                Subject("reads every epoch in the same order", same_every_epoch),
            ),
        ),
        Question(
            id="lab07.q8",
            title="A run that went wrong",
            name="diagnosis",
            kind="diagnosis",
            points=3,
            difficulty=4,
            minutes=20,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=RUNS,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab07.p1",
            "Share of updates that are clipped",
            name="predicted_share",
            number=Number(0, 100, unit="%"),
        ),
        Ungraded("lab07.t1", "Read your own plot", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab07.c1",
            "Lowest validation loss after 400 updates",
            name="best_loss",
            kind="challenge",
            number=Number(0.5, 5, unit="nats per character"),
            baseline=2.28,
            seconds=60,
        ),
    ),
)
