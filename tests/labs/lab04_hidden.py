"""Lab 04, for staff: hidden cases, keys, mutants, rubrics."""

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab04 import (
    ReferenceCachedAttention,
    _outcome,
    grouped,
    grouped_input,
    heads_and_positions,
    layer_in_pieces,
    past_and_new,
    rms,
    scores,
    small_vectors,
    standing,
    theta_left_out,
    turned,
    vectors_and_gain,
)


def _one_head(draw):
    T = draw.integer(5, 9)
    return draw.normal(T, 10), draw.integers(0, 500, T), 500.0


def _flat(draw):
    return draw.normal(7, scale=3.0), draw.normal(7), 1e-5


def _token_by_token(draw):
    d_model, n_heads, n_kv_heads, x, _ = layer_in_pieces(draw)
    return d_model, n_heads, n_kv_heads, x, [1] * x.size(1)


def queries_stay(q, k, positions):
    return scores(q, k, positions, q_sign=0.0)


def distance_halved(q, k, positions):
    """Positions are rounded down to even ones."""
    return scores(q, k, positions, at=[p // 2 * 2 for p in positions])


def stretched(q, k, positions):
    """Vectors grow with their distance."""
    return [[s * (1 + 0.01 * abs(m - n)) + 0.01 * m for n, s in zip(positions, row)]
            for m, row in zip(positions, scores(q, k, positions))]  # fmt: skip


def eight_at_most(q, k, positions):
    """A table of nine positions: whatever is further away stands at the last one."""
    return scores(q, k, positions, at=[min(p, 8) for p in positions])


def divided_by_width(q, k, positions):
    return [[s / len(q) ** 0.5 for s in row] for row in scores(q, k, positions)]


HIDDEN = {
    "lab04.q1": [
        Case("other vectors", inputs=vectors_and_gain, expected=rms),
        Case("a single vector", inputs=_flat, expected=rms),
        Case("other small vectors", inputs=small_vectors, expected=rms),
    ],
    "lab04.q2": [
        Case("other heads", inputs=heads_and_positions, expected=turned),
        Case("no leading axes, positions in any order", inputs=_one_head, expected=turned),
        Case("theta left out again", inputs=theta_left_out, expected=turned),
    ],
    "lab04.q3": [Case("other heads", inputs=grouped_input, expected=grouped)],
    "lab04.q4": [Case("other lengths", inputs=past_and_new, expected=standing)],
    "lab04.q5": [
        Case("other pieces", inputs=layer_in_pieces, expected=_outcome(ReferenceCachedAttention)),
        Case("one token at a time", inputs=_token_by_token, expected=_outcome(ReferenceCachedAttention)),
    ],
    "lab04.q6": [],
    "lab04.q7": [
        Subject("turns the keys and leaves the queries", queries_stay),
        Subject("rounds positions down to even ones", distance_halved),
        Subject("lets scores grow with the position", stretched),
        Subject("knows no positions beyond 8", eight_at_most),
        Subject("divides the scores by the root of the width", divided_by_width),
    ],
    "lab04.q8": [
        Key(
            runs=dict(zip(("b6", "d1", "f8", "j3", "m5", "q2", "t9", "x4"), "EHBFCADG", strict=True)),
            true={"A": "hkl", "B": "bdei", "C": "bdfgi", "D": "afhjl", "E": "acdk", "F": "ekl", "G": "afghl", "H": "ghjl", "correct": "bckl"},
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded comparison: a test holds the key above to it.
RECORDING = "lab04_faults"
OBSERVED = {
    "a": lambda t, correct: t["read whole"][0] > 1,
    "b": lambda t, correct: max(t["read whole"]) <= 0.05,
    "c": lambda t, correct: max(t["one by one"]) <= 0.05,
    "d": lambda t, correct: abs(t["read whole"][-1] - t["one by one"][-1]) > 1,
    "e": lambda t, correct: 0.01 < t["one by one"][1] < 1,
    "f": lambda t, correct: t["one by one"][1] > 5,
    "g": lambda t, correct: 5 < t["one by one"][2] < 12,
    "h": lambda t, correct: t["moved, last"] > 0.8,
    "i": lambda t, correct: t["moved, last"] < 0.35,
    "j": lambda t, correct: t["one by one"][2] > 10,
    "k": lambda t, correct: t["one by one"][2] < 1,
    "l": lambda t, correct: max(abs(a - b) for a, b in zip(t["read whole"], t["one by one"])) <= 0.05,
}


def _norm(expression: str) -> str:
    return f"def rms_norm(x, gain, eps=1e-5):\n    return {expression}"


_ROPE = """
def rope(x, positions, theta=10_000.0):
    d = x.size(-1)
    {angle}
    {split}
    a, b = {turn}
    return {join}
"""
_ROPE_RIGHT = {
    "angle": "angle = positions[:, None] * theta ** (-torch.arange(0, d, 2) / d)",
    "split": "a, b = x[..., : d // 2], x[..., d // 2 :]",
    "turn": "a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()",
    "join": "torch.cat([a, b], -1)",
}


def _rope(**changes: str) -> str:
    return _ROPE.format(**{**_ROPE_RIGHT, **changes})


_GROUPED = """
def grouped_attention(q, k, v, mask):
    share = q.size(1) // k.size(1)
    {repeat}
    scores = {scores}
    return scores.softmax(-1) @ v
"""


def _grouped(
    repeat: str = "k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)",
    scores: str = "(q @ k.transpose(-2, -1) / q.size(-1) ** 0.5).masked_fill(~mask, -torch.inf)",
) -> str:
    return _GROUPED.format(repeat=repeat, scores=scores)


def _standing(
    positions: str = "torch.arange(past, past + T)", mask: str = "torch.ones(T, past + T, dtype=torch.bool).tril(past)"
) -> str:
    return f"def positions_and_mask(past, T):\n    return {positions}, {mask}"


_CACHED = """
class CachedAttention(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads):
        super().__init__()
        self.head_dim, self.share = d_model // n_heads, n_heads // n_kv_heads
        self.q_proj = nn.Linear(d_model, n_heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(d_model, n_kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(d_model, n_kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(n_heads * self.head_dim, d_model, bias=False)

    def forward(self, x, cache):
        B, T, _ = x.shape
        past = cache["k"].size(2) if cache else 0
        positions, mask = positions_and_mask(past, T)
        q, k, v = (p(x).view(B, T, -1, self.head_dim).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        {turn}
        {keep}
        {attend}
        return self.o_proj(out.transpose(1, 2).reshape(B, T, -1))
"""
_TURN = "q, k = rope(q, positions), rope(k, positions)"
_KEEP = """if cache:
            k, v = torch.cat([cache["k"], k], 2), torch.cat([cache["v"], v], 2)
        cache["k"], cache["v"] = k, v"""
_ATTEND = "out = grouped_attention(q, k, v, mask)"


def _cached(turn: str = _TURN, keep: str = _KEEP, attend: str = _ATTEND) -> str:
    return _CACHED.format(turn=turn, keep=keep, attend=attend)


_EXAMPLES = (
    "[([1.0, 0.5], [0.5, 2.0], [0, 1, 2, 4, 9]), ([1.0, 2.0, 3.0, 4.0], [4.0, -1.0, 2.0, 0.5], [7, 8, 10, 11, 17])]"
)


def _test(examples: str = _EXAMPLES, holds: str = "") -> str:
    made = f"def examples():\n    return {examples}\n"
    return made + (f"\n\ndef holds(inputs, output):\n    return {holds}" if holds else "")


MUTANTS = [
    Mutant(
        "lab04.q1",
        "sum for mean",
        _norm("x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) + eps) * gain"),
        "not of their sum",
    ),
    Mutant(
        "lab04.q1",
        "LayerNorm",
        _norm("(x - x.mean(-1, keepdim=True)) * torch.rsqrt(x.var(-1, correction=0, keepdim=True) + eps) * gain"),
        "does not subtract the mean",
    ),
    Mutant(
        "lab04.q1",
        "eps outside the root",
        _norm("x / (x.pow(2).mean(-1, keepdim=True).sqrt() + eps) * gain"),
        "inside the root",
    ),
    Mutant(
        "lab04.q1",
        "gain forgotten",
        _norm("x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)"),
        "multiplied by gain",
    ),
    Mutant(
        "lab04.q2",
        "interleaved",
        _rope(split="a, b = x[..., 0::2], x[..., 1::2]", join="torch.stack([a, b], -1).flatten(-2)"),
        "interleaved layout",
    ),
    Mutant(
        "lab04.q2",
        "turned backwards",
        _rope(turn="a * angle.cos() + b * angle.sin(), b * angle.cos() - a * angle.sin()"),
        "wrong way",
    ),
    Mutant(
        "lab04.q2",
        "slow exponent",
        _rope(angle="angle = positions[:, None] * theta ** (-torch.arange(d // 2) / d)"),
        "too slowly",
    ),
    Mutant(
        "lab04.q2",
        "positions from 0",
        _rope(angle="angle = torch.arange(x.size(-2))[:, None] * theta ** (-torch.arange(0, d, 2) / d)"),
        "given positions",
    ),
    Mutant(
        "lab04.q2",
        "one sign for both sines",
        _rope(turn="a * angle.cos() + b * angle.sin(), a * angle.sin() + b * angle.cos()"),
        "lengths change",
    ),
    Mutant(
        "lab04.q3",
        "repeat for repeat_interleave",
        _grouped(repeat="k, v = k.repeat(1, share, 1, 1), v.repeat(1, share, 1, 1)"),
        "repeat_interleave",
    ),
    Mutant("lab04.q3", "one key head for all", _grouped(repeat="k, v = k[:, :1], v[:, :1]"), "multi-query"),
    Mutant("lab04.q3", "no mask", _grouped(scores="q @ k.transpose(-2, -1) / q.size(-1) ** 0.5"), "is the mask used"),
    Mutant(
        "lab04.q3", "no scale", _grouped(scores="(q @ k.transpose(-2, -1)).masked_fill(~mask, -torch.inf)"), "sqrt(d)"
    ),
    Mutant("lab04.q4", "positions restart at 0", _standing(positions="torch.arange(T)"), "restart at 0"),
    Mutant("lab04.q4", "mask top-left", _standing(mask="torch.ones(T, past + T, dtype=torch.bool).tril()"), "top-left"),
    Mutant(
        "lab04.q4",
        "not itself",
        _standing(mask="torch.ones(T, past + T, dtype=torch.bool).tril(past - 1)"),
        "see itself",
    ),
    Mutant(
        "lab04.q4",
        "no columns for the cache",
        _standing(mask="torch.ones(T, T, dtype=torch.bool).tril()"),
        "(T, past + T)",
    ),
    Mutant(
        "lab04.q5",
        "cached positions restart at 0",
        _cached(turn="q, k = rope(q, torch.arange(T)), rope(k, torch.arange(T))"),
        "restart at 0",
    ),
    Mutant(
        "lab04.q5",
        "mask top-left",
        _cached(attend="out = grouped_attention(q, k, v, torch.ones(T, past + T, dtype=torch.bool).tril())"),
        "top-left",
    ),
    Mutant("lab04.q5", "keys not turned", _cached(turn="q = rope(q, positions)"), "keys are not turned"),
    Mutant("lab04.q5", "nothing turned", _cached(turn="pass"), "neither queries nor keys"),
    Mutant(
        "lab04.q5",
        "cache not attended to",
        _cached(
            keep="new_k, new_v = k, v\n        " + _KEEP,
            attend="out = grouped_attention(q, new_k, new_v, mask[:, past:])",
        ),
        "not attended to",
    ),
    Mutant(
        "lab04.q5",
        "repeat for repeat_interleave",
        _cached(
            attend="out = grouped_attention(q, k.repeat(1, self.share, 1, 1), v.repeat(1, self.share, 1, 1), mask)"
        ),
        "wrong key heads",
    ),
    Mutant(
        "lab04.q5",
        "keeps repeated keys",
        _cached(turn=_TURN + "\n        k, v = k.repeat_interleave(self.share, 1), v.repeat_interleave(self.share, 1)"),
        "every query head",
    ),
    Mutant("lab04.q1", "no eps", _norm("x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True)) * gain"), "is eps used"),
    Mutant("lab04.q1", "no root", _norm("x / (x.pow(2).mean(-1, keepdim=True) + eps) * gain"), "by the root"),
    Mutant(
        "lab04.q1",
        "another default",
        _norm("x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * gain").replace("eps=1e-5", "eps=1e-8"),
        "entries differ",
    ),
    Mutant("lab04.q2", "another default", _rope().replace("theta=10_000.0", "theta=500_000.0"), "default of theta"),
    Mutant(
        "lab04.q2",
        "theta ignored",
        _rope(angle="angle = positions[:, None] * 10_000.0 ** (-torch.arange(0, d, 2) / d)"),
        "is theta used",
    ),
    Mutant(
        "lab04.q3",
        "divided by the width",
        _grouped(scores="(q @ k.transpose(-2, -1) / q.size(-1)).masked_fill(~mask, -torch.inf)"),
        "by sqrt(d) or by d",
    ),
    Mutant("lab04.q3", "not repeated", _grouped(repeat="pass"), "repeat keys and values"),
    Mutant(
        "lab04.q6",
        "too many parameters",
        'design = {"n_layers": 12, "d_model": 320, "n_heads": 10, "n_kv_heads": 1, "d_ff": 1280}',
        "over the budget (all parameters)",
    ),
    Mutant(
        "lab04.q6",
        "cache too large",
        'design = {"n_layers": 12, "d_model": 320, "n_heads": 10, "n_kv_heads": 2, "d_ff": 1220}',
        "over the budget (key-value cache",
    ),
    Mutant(
        "lab04.q6",
        "too deep",
        'design = {"n_layers": 13, "d_model": 320, "n_heads": 10, "n_kv_heads": 1, "d_ff": 1100}',
        "over the budget (layers",
    ),
    Mutant(
        "lab04.q6",
        "too little inside",
        'design = {"n_layers": 12, "d_model": 320, "n_heads": 10, "n_kv_heads": 1, "d_ff": 1200}',
        "not good enough yet",
    ),
    Mutant(
        "lab04.q6",
        "heads that do not divide",
        'design = {"n_layers": 12, "d_model": 320, "n_heads": 9, "n_kv_heads": 1, "d_ff": 1250}',
        "n_heads divides d_model",
    ),
    Mutant("lab04.q6", "a key missing", 'design = {"n_layers": 12, "d_model": 320}', "give a dict with the keys"),
    Mutant("lab04.q7", "shapes only", _test(holds="len(output) == len(inputs[2])"), "your test accepts"),
    Mutant(
        "lab04.q7",
        "neighbouring positions only",
        _test(examples="[([1.0, 0.5], [0.5, 2.0], [0, 1, 2, 3])]"),
        "counts positions from 0",
    ),
    Mutant(
        "lab04.q7",
        "diagonal only",
        _test(
            holds="all(abs(output[i][i] - sum(a * b for a, b in zip(*inputs[:2]))) < 1e-6 for i in range(len(inputs[2])))"
        ),
        "turns nothing at all",
    ),
    Mutant(
        "lab04.q7",
        "one way only",
        _test(
            holds="abs(output[0][1] - (inputs[0][0] * inputs[1][0] + inputs[0][1] * inputs[1][1]) * math.cos(2)) < 1e-6"
        ),
        "refuses a right answer",
    ),
    Mutant("lab04.q7", "accepts all", _test(holds="True"), "your test accepts"),
    Mutant("lab04.q8", "another cause", 'diagnosis = {"cause": "A", "evidence": ["g"]}', "not what went wrong"),
    Mutant("lab04.q8", "untrue evidence", 'diagnosis = {"cause": "H", "evidence": ["a"]}', "is not true of your run"),
    Mutant(
        "lab04.q8",
        "evidence for two causes",
        'diagnosis = {"cause": "H", "evidence": ["g"]}',
        "seen under another cause",
    ),
    Mutant("lab04.q8", "a letter", 'diagnosis = "H"', "write it as"),
]

RUBRICS = {
    "lab04.t1": "3: says how each curve grows and names the work behind it (projections of all tokens again, against one token plus stored keys), gives a reason why "
    "the speed-up is below 512, and says that fewer key heads move the rise of the cached curve to longer contexts. 2: two of the three. 1: describes the curves "
    "without a reason. 0: no plot read.",
}
