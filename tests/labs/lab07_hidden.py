"""Lab 07, for staff: hidden cases, keys, mutants, rubrics."""

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab07 import (
    _accumulated,
    _clipped,
    _cut,
    _permutation,
    _resumed,
    _scheduled,
    _stream,
    _with_stops,
    adamw_outcome,
    all_zero,
    an_empty_one,
    clip_global,
    long_together,
    micro_batches,
    schedule_settings,
    seed_and_kill,
    short_enough,
    shuffled,
    tiny_gradients,
    too_long,
    weights_and_gradients,
    without_plateau,
)


def repeats_a_batch(n, rows, batches, stops):
    return _with_stops(n, rows, batches, stops, lambda position, stop: (max(0, position - rows), 0))


def forgets_the_epoch(n, rows, batches, stops):
    """The place is kept, and which epoch it is is not."""
    return _with_stops(n, rows, batches, stops, lambda position, stop: (position % n, 0))


def with_replacement(n, rows, batches, stops):
    return _stream(n, rows, batches, lambda epoch: [(7 * i * i + 3 * epoch) % n for i in range(n)])


def never_reads_the_last(n, rows, batches, stops):
    return _stream(n, rows, 2 * batches, lambda epoch: _permutation(n - 1, epoch))[:batches]


def drops_the_rest(n, rows, batches, stops):
    """What does not fill a batch at the end of an epoch is left out."""
    whole = n // rows * rows
    return _cut([i for epoch in range(batches) for i in _permutation(n, epoch)[:whole]], rows)[:batches]


def short_batch_at_the_end(n, rows, batches, stops):
    """An epoch's rest is a batch of its own, shorter than the others."""
    return [batch for epoch in range(batches) for batch in _cut(_permutation(n, epoch), rows)][:batches]


def breaks_at_the_second_kill(n, rows, batches, stops):
    return _with_stops(n, rows, batches, stops, lambda position, stop: (position + (rows if stop else 0), 0))


def one_batch_too_many(n, rows, batches, stops):
    return shuffled(n, rows, batches + len(stops), stops)


def alternates(n, rows, batches, stops):
    """Two orders, by turns."""
    return _stream(n, rows, batches, lambda epoch: _permutation(n, epoch % 2))


def _kill_anywhere(draw):
    return draw.integer(1, 10_000), draw.integer(1, 12)


HIDDEN = {
    "lab07.q1": [
        Case("other weights", inputs=weights_and_gradients, expected=adamw_outcome),
        Case("other tiny gradients", inputs=tiny_gradients, expected=adamw_outcome),
        Case(
            "a matrix of three axes",
            inputs=lambda draw: (draw.normal(2, 3, 2), [draw.normal(2, 3, 2)] * 2, {"lr": 0.1, "eps": 0.2}),
            expected=adamw_outcome,
        ),
    ],
    "lab07.q2": [
        Case("other lengths", inputs=schedule_settings, expected=_scheduled("")),
        Case("without a plateau", inputs=without_plateau, expected=_scheduled("")),
        Case("warm-up alone", inputs=lambda draw: (9, {"warmup_steps": draw.integer(1, 9)}), expected=_scheduled("")),
        Case(
            "cool-down alone",
            inputs=lambda draw: (9, {"cooldown_steps": draw.integer(1, 10), "final": 0.2}),
            expected=_scheduled(""),
        ),
    ],
    "lab07.q3": [
        Case("other long ones", inputs=too_long, expected=_clipped(clip_global)),
        Case("long together", inputs=long_together, expected=_clipped(clip_global)),
        Case("other short ones", inputs=short_enough, expected=_clipped(clip_global)),
        Case("zeros", inputs=all_zero, expected=_clipped(clip_global)),
    ],
    "lab07.q4": [
        Case("other micro-batches", inputs=micro_batches, expected=_accumulated("")),
        Case("another empty one", inputs=an_empty_one, expected=_accumulated("")),
    ],
    "lab07.q5": [
        Case("other runs", inputs=seed_and_kill, expected=_resumed()),
        Case("killed anywhere", inputs=_kill_anywhere, expected=_resumed()),
        Case("killed before the first update", inputs=lambda draw: (draw.integer(1, 99), 0), expected=_resumed()),
    ],
    "lab07.q6": [],
    "lab07.q7": [
        Subject("reads the last batch again after a kill", repeats_a_batch),
        Subject("forgets at a kill which epoch it was in", forgets_the_epoch),
        Subject("draws with replacement", with_replacement),
        Subject("never reads the last example", never_reads_the_last),
        Subject("leaves out what does not fill a batch at the end of an epoch", drops_the_rest),
        Subject("ends an epoch with a shorter batch", short_batch_at_the_end),
        Subject("loses a batch at the second kill", breaks_at_the_second_kill),
        Subject("delivers a batch too many for every kill", one_batch_too_many),
        Subject("has two orders and takes them by turns", alternates),
    ],
    "lab07.q8": [
        Key(
            runs=dict(zip(("b4", "d9", "f2", "g7", "j5", "m1", "p8", "s3", "v6"), "FEIBHDACG", strict=True)),
            true={"A": "adil", "B": "abijl", "C": "dhik", "D": "jk", "E": "cdh", "F": "deh", "G": "bc", "H": "dg", "I": "df", "correct": "dh"},
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab07_faults"


def _update(t, step):
    return dict(zip(t["steps"], t["update"]))[step]


def _far(x, y, factor):
    return max(x / y, y / x) > factor


_SIZE = "weights, root mean square"
OBSERVED = {
    "a": lambda t, correct: _update(t, 1) > 5e-4,
    "b": lambda t, correct: _update(t, 300) > 3e-4,
    "c": lambda t, correct: _far(_update(t, 150), _update(t, 151), 2),
    "d": lambda t, correct: 6e-5 < _update(t, 300) < 1e-4,
    "e": lambda t, correct: t["longest gradient after clipping"] > 0.6,
    "f": lambda t, correct: t["the same weights evaluated again"] != t["at the end"]["all"],
    "g": lambda t, correct: t["lines after the resume that were read before it, percent"] > 0,
    "h": lambda t, correct: t["at the end"]["long"] >= t["at the end"]["short"],
    "i": lambda t, correct: t["mean training loss, last 20 updates"] < t["at the end"]["all"] - 0.25,
    "j": lambda t, correct: _far(t[_SIZE], correct[_SIZE], 1.5),
    "k": lambda t, correct: t["mean length of the gradient before clipping, last 50 updates"] > 1.2,
    "l": lambda t, correct: t["held-out"][0] < 3,
}


def _adamw(
    g: str = "g",
    decay: str = "w = w - lr * weight_decay * w",
    m: str = "beta1 * m + (1 - beta1) * g",
    v: str = "beta2 * v + (1 - beta2) * g * g",
    mean: str = "m / (1 - beta1**t)",
    below: str = "(v / (1 - beta2**t)).sqrt() + eps",
    after: str = "w - lr * mean / below",
    defaults: str = "lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01",
) -> str:
    return f"""def adamw_step(w, g, m, v, t, {defaults}):
    beta1, beta2 = betas
    g = {g}
    {decay}
    m, v = {m}, {v}
    mean, below = {mean}, {below}
    return {after}, m, v
"""


def _rate(
    warm: str = "(step + 1) / warmup_steps",
    start: str = "total_steps - cooldown_steps",
    share: str = "(step - start) / cooldown_steps",
    fall: str = "1 - x**0.5",
    value: str = "final + (1 - final) * fall",
    end: str = "if step >= total_steps: return final",
) -> str:
    return f"""def rate_factor(step, total_steps, warmup_steps=0, cooldown_steps=0, final=0.0):
    if step < warmup_steps: return {warm}
    start = {start}
    if step < start: return 1.0
    {end}
    x = {share}
    fall = {fall}
    return {value}
"""


def _clip(norm: str, scale: str = "min(1.0, max_norm / max(norm, 1e-12))", out: str = "[None if g is None else g * scale for g in gradients], norm") -> str:
    return f"""def clip_gradients(gradients, max_norm):
    given = [g for g in gradients if g is not None]
    norm = {norm}
    scale = {scale}
    return {out}
"""  # fmt: skip


_NORM = "float(torch.stack([g.norm() for g in given]).norm())"


def _accumulate(
    first: str = "model.zero_grad()", loop: str = "pass", backward: str = "loss.backward()", count: str = "n",
    last: str = "for p in model.parameters(): p.grad /= tokens", value: str = "total / tokens",
) -> str:  # fmt: skip
    return f"""def accumulate(model, loss_sum, micro_batches):
    total, tokens, kept, k = 0.0, 0, [], len(micro_batches)
    {first}
    for batch in micro_batches:
        {loop}
        loss, n = loss_sum(model, batch)
        {backward}
        total, tokens = total + float(loss.detach()), tokens + {count}
    {last}
    return {value}
"""


_RUN = """
class Run(Run):
    def state(self):
        {state}

    def load(self, state):
        {load}
"""
_ALL = ("w", "m", "average", "order", "step", "place")
_STATE = (
    "return {n: copy.deepcopy(getattr(self, n)) for n in NAMES} | {'generator': self.generator.get_state()}"
)  # fmt: skip
_LOAD = (
    "[setattr(self, n, copy.deepcopy(state[n])) for n in NAMES if n in state]; "
    "self.generator.set_state(state['generator'])"
)


def _run(lost: str = "", state: str = _STATE, load: str = _LOAD) -> str:
    names = tuple(n for n in _ALL if n != lost)
    return f"import copy\nNAMES = {names}\n" + _RUN.format(state=state, load=load)


def _plan(**changes) -> str:
    fine = {"devices": 32, "micro_batch": 4, "accumulation": 2, "sharded": True, "recompute": False}
    return f"plan = {fine | changes}"


_EXAMPLES = "[(12, 4, 12, [2]), (10, 3, 20, [2, 5, 11]), (9, 2, 18, []), (16, 4, 12, [4, 6]), (8, 8, 4, [1, 2])]"
_SHAPE = "len(output) == batches and all(len(b) == rows for b in output)"
_EPOCHS = "all(len(set(e)) == len(e) and set(e) <= set(range(n)) for e in epochs)"
_NEW = "len(set(whole)) == len(whole)"


def _test(examples: str = _EXAMPLES, holds: str = f"{_SHAPE} and {_EPOCHS} and {_NEW}") -> str:
    return f"""def examples():
    return {examples}


def holds(inputs, output):
    n, rows, batches, stops = inputs
    stream = [i for b in output for i in b]
    epochs = [stream[i : i + n] for i in range(0, len(stream), n)]
    whole = [tuple(e) for e in epochs if len(e) == n]
    return {holds}
"""


MUTANTS = [
    Mutant("lab07.q1", "L2 in the gradient", _adamw(g="g + weight_decay * w", decay="pass"), "went through the gradient"),
    Mutant("lab07.q1", "no correction", _adamw(mean="m", below="v.sqrt() + eps"), "is the bias corrected"),
    Mutant("lab07.q1", "m alone corrected", _adamw(below="v.sqrt() + eps"), "v is not"),
    Mutant("lab07.q1", "v alone corrected", _adamw(mean="m"), "m is not"),
    Mutant("lab07.q1", "a step late", _adamw(decay="w, t = w - lr * weight_decay * w, t + 1"), "t counts from 1"),
    Mutant("lab07.q1", "a step early", _adamw(decay="w, t = w - lr * weight_decay * w, t - 1"), "divides 0 by 0"),
    Mutant("lab07.q1", "decay without lr", _adamw(decay="w = w - weight_decay * w"), "lr is missing"),
    Mutant("lab07.q1", "no decay", _adamw(decay="pass"), "is weight_decay used"),
    Mutant("lab07.q1", "decay afterwards", _adamw(decay="pass", after="(w - lr * mean / below) * (1 - lr * weight_decay)"), "before the update"),
    Mutant("lab07.q1", "eps inside the root", _adamw(below="(v / (1 - beta2**t) + eps).sqrt()"), "outside the root"),
    Mutant("lab07.q1", "eps before the correction", _adamw(below="(v.sqrt() + eps) / (1 - beta2**t) ** 0.5"), "root of the corrected v"),
    Mutant("lab07.q1", "no root", _adamw(below="v / (1 - beta2**t) + eps"), "by the root of v"),
    Mutant("lab07.q1", "gradient not squared", _adamw(v="beta2 * v + (1 - beta2) * g.abs()"), "averages the squares"),
    Mutant("lab07.q1", "betas turned round", _adamw(m="(1 - beta1) * m + beta1 * g", v="(1 - beta2) * v + beta2 * g * g", mean="m / (1 - (1 - beta1)**t)", below="(v / (1 - (1 - beta2)**t)).sqrt() + eps"), "the old average keeps beta"),
    Mutant("lab07.q1", "follows the gradient", _adamw(mean="g"), "follows m"),
    Mutant("lab07.q1", "another default", _adamw(defaults="lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01"), "differ at"),
    Mutant("lab07.q1", "weight alone returned", _adamw().replace(", m, v\n", "\n", 2).replace("return w - lr * mean / below, m, v", "return w - lr * mean / below"), "return three things"),
    Mutant("lab07.q2", "first update lost", _rate(warm="step / warmup_steps"), "does nothing"),
    Mutant("lab07.q2", "warm-up too long", _rate(warm="(step + 1) / (warmup_steps + 1)"), "last step of the warm-up"),
    Mutant("lab07.q2", "no warm-up", _rate(warm="1.0"), "is there a warm-up"),
    Mutant("lab07.q2", "cools from the start", _rate(start="warmup_steps", share="(step - start) / (total_steps - start)"), "before it the factor stays 1"),
    Mutant("lab07.q2", "straight", _rate(fall="1 - x"), "a straight line"),
    Mutant("lab07.q2", "cosine", _rate(fall="0.5 * (1 + math.cos(math.pi * x))"), "a cosine"),
    Mutant("lab07.q2", "root of the rest", _rate(fall="(1 - x) ** 0.5"), "is not 1 - sqrt(x)"),
    Mutant("lab07.q2", "ends early", _rate(share="(step - start) / max(1, cooldown_steps - 1)"), "not at the last update"),
    Mutant("lab07.q2", "starts early", _rate(share="(step - start + 1) / cooldown_steps"), "still 1"),
    Mutant("lab07.q2", "final forgotten", _rate(value="fall"), "is final used"),
    Mutant("lab07.q2", "a floor", _rate(value="max(final, fall)"), "not a floor"),
    Mutant("lab07.q2", "goes on", _rate(end="pass", share="(step - start) / max(1, cooldown_steps)"), "after total_steps"),
    Mutant("lab07.q2", "divides by nothing", _rate(warm="1", end="x = 1 / warmup_steps").replace("if step < start: return 1.0", "if step < start: return 1.0 + 0 / warmup_steps"), "nothing is divided by them"),
    Mutant("lab07.q3", "per tensor", _clip(_NORM, out="[None if g is None else g * min(1.0, max_norm / max(float(g.norm()), 1e-12)) for g in gradients], norm"), "one factor for all of them"),
    Mutant("lab07.q3", "by value", _clip(_NORM, out="[None if g is None else g.clamp(-max_norm, max_norm) for g in gradients], norm"), "cut off at max_norm"),
    Mutant("lab07.q3", "always scaled", _clip(_NORM, scale="max_norm / max(norm, 1e-12)"), "only shortens"),
    Mutant("lab07.q3", "norms added", _clip("float(sum(g.norm() for g in given))"), "as their squares do"),
    Mutant("lab07.q3", "no root", _clip("float(sum(g.pow(2).sum() for g in given))"), "the root is missing"),
    Mutant("lab07.q3", "longest tensor", _clip("float(max(g.norm() for g in given))"), "all of them together"),
    Mutant("lab07.q3", "mean of squares", _clip("float(torch.cat([g.flatten() for g in given]).pow(2).mean().sqrt())"), "not of their mean"),
    Mutant("lab07.q3", "norm afterwards", _clip(_NORM, out="[None if g is None else g * scale for g in gradients], min(norm, max_norm)"), "before clipping"),
    Mutant("lab07.q3", "not clipped", _clip(_NORM, out="gradients, norm"), "not shortened"),
    Mutant("lab07.q3", "None left out", _clip(_NORM, out="[g * scale for g in given], norm"), "None stays"),
    Mutant("lab07.q3", "None not expected", _clip(_NORM.replace("given", "gradients")), "leave it out of the norm"),
    Mutant("lab07.q3", "zero divided by zero", _clip(_NORM, scale="min(1.0, max_norm / norm)"), "nothing may be divided by it"),
    Mutant("lab07.q4", "mean of means", _accumulate(backward="(loss / max(n, 1) / k).backward(); loss = loss / max(n, 1)", last="pass", value="total / k"), "weighs more"),
    Mutant("lab07.q4", "means added", _accumulate(backward="(loss / max(n, 1)).backward(); loss = loss / max(n, 1)", last="pass", value="total"), "four times the gradient"),
    Mutant("lab07.q4", "sum", _accumulate(last="pass", value="total"), "those of the sum"),
    Mutant("lab07.q4", "gradient not divided", _accumulate(last="pass"), "divide it too"),
    Mutant("lab07.q4", "divided by the batches", _accumulate(last="for p in model.parameters(): p.grad /= k", value="total / k"), "by the number of micro-batches"),
    Mutant("lab07.q4", "padding counted", _accumulate(count="batch[1].numel()"), "padding included"),
    Mutant("lab07.q4", "not cleared", _accumulate(first="pass"), "left in .grad"),
    Mutant("lab07.q4", "cleared every time", _accumulate(loop="model.zero_grad()"), "of the last micro-batch"),
    Mutant("lab07.q4", "all held in memory", _accumulate(backward="kept.append(loss)", last="sum(kept).backward(); [p.grad.div_(tokens) for p in model.parameters()]"), "to hold one at a time"),
    Mutant("lab07.q4", "empty divided by its count", _accumulate(backward="(loss / n).backward(); [p.grad.mul_(1) for p in model.parameters()]; loss = loss / n", last="pass", value="total"), "four times the gradient"),
    Mutant("lab07.q4", "detached", _accumulate(backward="loss.detach().backward()"), "cut off from the model"),
    *[Mutant("lab07.q5", f"{name} lost", _run(name), message) for name, message in (
        ("w", "the weights are not in"), ("m", "the momentum m is lost"), ("average", "what you would ship"),
        ("step", "from the top"), ("place", "the place in the epoch is lost"), ("order", "the order of the epoch is lost"))],
    Mutant("lab07.q5", "generator lost", _run(load=_LOAD.split(";")[0]), "drawn anew"),
    Mutant("lab07.q5", "state not copied", _run(state=_STATE.replace("copy.deepcopy(getattr(self, n))", "getattr(self, n)")), "Keep copies"),
    Mutant("lab07.q5", "load not copied", _run(load=_LOAD.replace("copy.deepcopy(state[n])", "state[n]")), "Take copies"),
    Mutant("lab07.q5", "not plain data", _run(state="import copy; return {'run': copy.deepcopy(self.__dict__)}", load="self.__dict__.update(copy.deepcopy(state['run']))"), "plain data"),
    Mutant("lab07.q5", "nothing returned", _run(state="self.saved = 1"), "returns a dict"),
    Mutant("lab07.q6", "too much memory", _plan(micro_batch=6, devices=40, accumulation=1), "over the budget (memory of a device)"),
    Mutant("lab07.q6", "optimizer on every device", _plan(sharded=False), "over the budget (memory of a device)"),
    Mutant("lab07.q6", "batch too large", _plan(accumulation=3), "over the budget (tokens in an update)"),
    Mutant("lab07.q6", "too expensive", _plan(devices=64, accumulation=1), "over the budget (rent)"),
    Mutant("lab07.q6", "too slow", _plan(devices=16, accumulation=4), "not good enough yet"),
    Mutant("lab07.q6", "a number for a switch", _plan(sharded=1), "True or False"),
    Mutant("lab07.q7", "shapes only", _test(holds=_SHAPE), "starts the epoch again"),
    Mutant("lab07.q7", "never killed", _test(examples="[(12, 4, 12, []), (9, 2, 18, [])]"), "your test accepts"),
    Mutant("lab07.q7", "orders not compared", _test(holds=f"{_SHAPE} and {_EPOCHS}"), "in the same order"),
    Mutant("lab07.q7", "the plain order only", _test(holds=f"{_SHAPE} and {_EPOCHS} and {_NEW} and sorted(epochs[0]) == epochs[0]"), "refuses a right answer"),
    Mutant("lab07.q7", "killed between epochs only", _test(examples="[(12, 4, 12, [3, 6]), (9, 2, 18, [])]"), "your test accepts"),
    Mutant("lab07.q7", "rows not counted", _test(holds=f"{_EPOCHS} and {_NEW}"), "your test accepts"),
    Mutant("lab07.q8", "another cause", 'diagnosis = {"cause": "A", "evidence": ["d", "g"]}', "not what went wrong"),
    Mutant("lab07.q8", "untrue evidence", 'diagnosis = {"cause": "H", "evidence": ["a", "g"]}', "is not true of your run"),
    Mutant("lab07.q8", "evidence for two causes", 'diagnosis = {"cause": "H", "evidence": ["d"]}', "seen under another cause"),
    Mutant("lab07.q8", "a letter", 'diagnosis = "H"', "write it as"),
]  # fmt: skip

# The challenge: 2.10 with Muon (rate 0.02, momentum 0.95, five polynomials) for the matrices of the blocks and AdamW
# (0.006) for the rest, warm-up 10, cool-down 100, nothing clipped. Other rates for AdamW alone (0.005 to 0.01) and longer
# cool-downs stayed between 2.29 and 2.38.
RUBRICS = {
    "lab07.t1": "3: reads from the plot that the gradient stays above the threshold in most updates, so that clipping sets its length rather than rescuing "
    "single updates; says why Adam cancels a factor that is the same in every update; and draws no conclusion about the warm-up from one seed without "
    "saying what would be needed. 2: two of the three. 1: describes the curves without a conclusion. 0: no plot read.",
}
