"""Lab 03, for staff: hidden cases, keys, mutants, rubrics."""

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab03 import (
    ReferenceAttention,
    ReferenceBlock,
    _outcome,
    _rows,
    causal_outcome,
    in_order,
    layer_input,
    logits_and_ids,
    logits_and_p,
    logits_temperature_p,
    loss,
    loss_with,
    padded,
    probabilities,
    queries_keys_values,
    random_places,
    several_heads,
)


def one_row_less(tokens, context, rows):
    return random_places(tokens, context, rows)[: max(1, rows - 1)]


def context_too_short(tokens, context, rows):
    return [[x[:-1] or x, y[:-1] or y] for x, y in in_order(tokens, context, rows)]


def targets_of_another_row(tokens, context, rows):
    pairs = in_order(tokens, context, rows)
    return [[x, y] for (x, _), (_, y) in zip(pairs, pairs[1:] + pairs[:1])]


def sorted_rows(tokens, context, rows):
    """The inputs come from anywhere in the text, each token by itself."""
    places = [(3 * i) % (len(tokens) - context) for i in range(rows)]
    return [[[tokens[(i + 2 * j) % (len(tokens) - 1)] for j in range(context)],
             [tokens[(i + 2 * j) % (len(tokens) - 1) + 1] for j in range(context)]] for i in places]  # fmt: skip


def shifted_back(tokens, context, rows):
    return [[y, x] for x, y in in_order(tokens, context, rows)]


HIDDEN = {
    "lab03.q1": [
        Case("other sequences", inputs=queries_keys_values, expected=causal_outcome),
        Case("other heads", inputs=several_heads, expected=causal_outcome),
        Case("a single position", inputs=lambda draw: tuple(draw.normal(2, 1, 4) for _ in range(3)), expected=causal_outcome),
    ],
    "lab03.q2": [Case("other layers", inputs=layer_input, expected=_outcome(ReferenceAttention))],
    "lab03.q3": [Case("other blocks", inputs=layer_input, expected=_outcome(ReferenceBlock))],
    "lab03.q4": [
        Case("other logits", inputs=logits_and_ids, expected=loss_with(loss)),
        Case("other padding", inputs=padded, expected=loss_with(loss)),
    ],
    "lab03.q5": [
        Case("other logits", inputs=logits_temperature_p, expected=probabilities),
        Case("other sums", inputs=logits_and_p, expected=probabilities),
        Case("one is always kept", inputs=lambda draw: (draw.normal(6), 1.3, 1e-4), expected=probabilities),
        Case("temperature alone", inputs=lambda draw: {"logits": draw.normal(6), "temperature": 0.6}, expected=probabilities),
    ],
    "lab03.q6": [
        Subject("makes one row too few", one_row_less),
        Subject("makes rows one token too short", context_too_short),
        Subject("gives a row the targets of another", targets_of_another_row),
        Subject("takes the tokens of a row from here and there", sorted_rows),
        Subject("has inputs and targets exchanged", shifted_back),
    ],
    "lab03.q7": [
        Key(
            runs=dict(zip(("a3", "c8", "e1", "h6", "k2", "n7", "r4", "w9"), "GBFHACED", strict=True)),
            true={"A": "ack", "B": "efl", "C": "dghj", "D": "dghi", "E": "jk", "F": "bdhj", "G": "degil", "H": "bcfk", "correct": "c"},
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab03_faults"
OBSERVED = {
    "a": lambda t, correct: t["positions that notice a change at position 32"]["before it"] > 0,
    "b": lambda t, correct: t["positions that notice a change at position 32"]["after it"] < 31,
    "c": lambda t, correct: 2.4 < t["held-out"][-1] < 2.7,
    "d": lambda t, correct: t["held-out"][-1] > 3.2,
    "e": lambda t, correct: t["average probability of the likeliest character"] > 0.9,
    "f": lambda t, correct: t["held-out"][1] < 3,
    "g": lambda t, correct: t["held-out"][1] > 3.5,
    "h": lambda t, correct: 0.1 < t["average probability of the likeliest character"] < 0.2,
    "i": lambda t, correct: t["held-out"][2] > 3.5,
    "j": lambda t, correct: 2.8 < t["held-out"][-1] < 3.4,
    "k": lambda t, correct: 0.2 < t["average probability of the likeliest character"] < 0.28,
    "l": lambda t, correct: len(set(t["sample"])) == 1,
}

_ATTENTION = """
class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = (split_heads(p(x), self.n_heads) for p in (self.q_proj, self.k_proj, self.v_proj))
        {body}
"""

_BLOCK = """
class Block(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.norm1, self.attention, self.norm2 = RMSNorm(d_model), MultiHeadAttention(d_model, n_heads), RMSNorm(d_model)
        self.mlp = nn.Sequential(nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model))

    def forward(self, x):
        {body}
"""


def _causal(body: str) -> str:
    lines = "\n    ".join(body.strip().splitlines())
    return (
        "def causal_attention(q, k, v):\n"
        "    T, d = q.size(-2), q.size(-1)\n"
        "    lower = torch.ones(T, T, dtype=torch.bool).tril()\n"
        "    scores = q @ k.transpose(-2, -1)\n"
        f"    {lines}"
    )


def _loss(expression: str) -> str:
    return f"def next_token_loss(logits, ids, pad=None):\n    {expression}"


def _sampling(body: str) -> str:
    lines = "\n    ".join(body.strip().splitlines())
    return f"def next_token_probabilities(logits, temperature=1.0, top_p=1.0):\n    {lines}"


_MINUS = 'float("-inf")'
_CE = "F.cross_entropy"
_MERGE = ".transpose(1, 2).flatten(2)"
_PAD = """p, t = logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()
    keep = torch.ones_like(t, dtype=torch.bool) if pad is None else {keep}
    return {value}"""
_NUCLEUS = """p = (logits{times} temperature).softmax(-1)
ranked, order = p.sort(descending=True)
dropped = ranked.cumsum(-1) {less}
kept = torch.zeros_like(p).scatter(-1, order, ranked.masked_fill(dropped, 0.0))
return {value}"""


def _nucleus(times: str = " /", less: str = "- ranked >= top_p", value: str = "kept / kept.sum()") -> str:
    return _sampling(_NUCLEUS.format(times=times, less=less, value=value))


_EXAMPLES = "[(list(range(9)), 3, 12), (list(range(5)), 4, 3), (list(range(50, 70)), 1, 20)]"
_HOLDS = (
    "len(output) == inputs[2] and all([*x, y[-1]] in [inputs[0][i : i + inputs[1] + 1] for i in range(len(inputs[0]) - inputs[1])]"
    " and x[1:] == y[:-1] and len(x) == len(y) == inputs[1] for x, y in output)"
)


def _test(examples: str = _EXAMPLES, holds: str = _HOLDS) -> str:
    return f"def examples():\n    return {examples}\n\n\ndef holds(inputs, output):\n    return {holds}"


MUTANTS = [
    Mutant(
        "lab03.q1",
        "mask after softmax",
        _causal("return ((scores / d ** 0.5).softmax(-1) * lower) @ v"),
        "before the softmax",
    ),
    Mutant("lab03.q1", "no mask", _causal("return (scores / d ** 0.5).softmax(-1) @ v"), "the mask is missing"),
    Mutant(
        "lab03.q1",
        "zeros for minus infinity",
        _causal("return ((scores / d ** 0.5).masked_fill(~lower, 0.0)).softmax(-1) @ v"),
        "a score of 0",
    ),
    Mutant(
        "lab03.q1",
        "no scale",
        _causal(f"return scores.masked_fill(~lower, {_MINUS}).softmax(-1) @ v"),
        "divided by sqrt(d)",
    ),
    Mutant(
        "lab03.q1",
        "divides by d",
        _causal(f"return (scores / d).masked_fill(~lower, {_MINUS}).softmax(-1) @ v"),
        "by d_head",
    ),
    Mutant(
        "lab03.q1",
        "softmax over queries",
        _causal(f"return (scores / d ** 0.5).masked_fill(~lower, {_MINUS}).softmax(-2) @ v"),
        "the last axis",
    ),
    Mutant(
        "lab03.q1",
        "mask upside down",
        _causal(f"return (scores / d ** 0.5).masked_fill(~lower.T, {_MINUS}).softmax(-1) @ v"),
        "wrong way round",
    ),
    Mutant(
        "lab03.q1",
        "sees only the past",
        _causal(f"return (scores / d ** 0.5).masked_fill(~lower.tril(-1), {_MINUS}).softmax(-1) @ v"),
        "may see itself",
    ),
    Mutant(
        "lab03.q1",
        "one ahead",
        _causal(
            f"return (scores / d ** 0.5).masked_fill(~torch.ones(T, T, dtype=torch.bool).tril(1), {_MINUS}).softmax(-1) @ v"
        ),
        "tril(1)",
    ),
    Mutant(
        "lab03.q1",
        "zero times infinity",
        _causal(f"return (scores / d ** 0.5 + (~lower).float() * {_MINUS}).softmax(-1) @ v"),
        "multiplied with minus infinity",
    ),
    Mutant(
        "lab03.q1",
        "detached",
        _causal(f"return ((scores / d ** 0.5).masked_fill(~lower, {_MINUS}).softmax(-1) @ v).detach()"),
        "cut off from its inputs",
    ),
    Mutant(
        "lab03.q1",
        "two dimensions only",
        "def causal_attention(q, k, v):\n    T, d = q.shape[-2:]\n    scores = q @ k.T / d ** 0.5\n    return scores.masked_fill(~torch.ones(T, T, dtype=torch.bool).tril(), -torch.inf).softmax(-1) @ v",
        "last two axes",
    ),
    Mutant(
        "lab03.q2",
        "no transpose before merging",
        _ATTENTION.format(body="return self.o_proj(causal_attention(q, k, v).reshape(B, T, D))"),
        "transposed back",
    ),
    Mutant(
        "lab03.q2",
        "view after transpose",
        _ATTENTION.format(body="return self.o_proj(causal_attention(q, k, v).transpose(1, 2).view(B, T, D))"),
        ".contiguous()",
    ),
    Mutant(
        "lab03.q2",
        "interleaved",
        _ATTENTION.format(body="return self.o_proj(causal_attention(q, k, v).permute(0, 2, 3, 1).reshape(B, T, D))"),
        "interleaved",
    ),
    Mutant(
        "lab03.q2",
        "heads not split",
        _ATTENTION.format(
            body="q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x); return self.o_proj(causal_attention(q, k, v))"
        ),
        "not split",
    ),
    Mutant(
        "lab03.q2",
        "not causal",
        _ATTENTION.format(
            body="return self.o_proj(((q @ k.transpose(-2, -1) / q.size(-1) ** 0.5).softmax(-1) @ v).transpose(1, 2).flatten(2))"
        ),
        "causal?",
    ),
    Mutant(
        "lab03.q2",
        "scaled by d_model",
        _ATTENTION.format(
            body="return self.o_proj(causal_attention(q / self.n_heads ** 0.5, k, v).transpose(1, 2).flatten(2))"
        ),
        "width of one head",
    ),
    Mutant(
        "lab03.q2",
        "o_proj forgotten",
        _ATTENTION.format(body="return causal_attention(q, k, v).transpose(1, 2).flatten(2)"),
        "o_proj",
    ),
    Mutant(
        "lab03.q2",
        "detached",
        _ATTENTION.format(body="return self.o_proj(causal_attention(q, k, v).transpose(1, 2).flatten(2)).detach()"),
        "cut off from its inputs",
    ),
    Mutant(
        "lab03.q3",
        "post-norm",
        _BLOCK.format(body="x = self.norm1(x + self.attention(x)); return self.norm2(x + self.mlp(x))"),
        "post-norm",
    ),
    Mutant(
        "lab03.q3",
        "norm in the stream",
        _BLOCK.format(body="x = self.norm1(x); x = x + self.attention(x); x = self.norm2(x); return x + self.mlp(x)"),
        "the stream itself got normalised",
    ),
    Mutant(
        "lab03.q3",
        "no residual",
        _BLOCK.format(body="return self.mlp(self.norm2(self.attention(self.norm1(x))))"),
        "both residual paths",
    ),
    Mutant(
        "lab03.q3",
        "first residual missing",
        _BLOCK.format(body="x = self.attention(self.norm1(x)); return x + self.mlp(self.norm2(x))"),
        "around attention is missing",
    ),
    Mutant(
        "lab03.q3",
        "second residual missing",
        _BLOCK.format(body="x = x + self.attention(self.norm1(x)); return self.mlp(self.norm2(x))"),
        "around the MLP is missing",
    ),
    Mutant(
        "lab03.q3",
        "no norms",
        _BLOCK.format(body="x = x + self.attention(x); return x + self.mlp(x)"),
        "normalised copy",
    ),
    Mutant(
        "lab03.q3",
        "one norm for two",
        _BLOCK.format(body="x = x + self.attention(self.norm1(x)); return x + self.mlp(self.norm1(x))"),
        "a norm of its own",
    ),
    Mutant(
        "lab03.q3",
        "parallel",
        _BLOCK.format(body="return x + self.attention(self.norm1(x)) + self.mlp(self.norm2(x))"),
        "after attention has been added",
    ),
    Mutant("lab03.q4", "not shifted", _loss(f"return {_CE}(logits.flatten(0, 1), ids.flatten())"), "shift by one"),
    Mutant(
        "lab03.q4",
        "shifted backwards",
        _loss(f"return {_CE}(logits[:, 1:].flatten(0, 1), ids[:, :-1].flatten())"),
        "wrong way",
    ),
    Mutant(
        "lab03.q4",
        "sum",
        _loss(f'return {_CE}(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")'),
        "not the sum",
    ),
    Mutant(
        "lab03.q4",
        "wraps around",
        _loss(f"return {_CE}(logits.flatten(0, 1), ids.roll(-1, dims=1).flatten())"),
        "torch.roll",
    ),
    Mutant(
        "lab03.q4",
        "flatten then shift",
        _loss(f"return {_CE}(logits.flatten(0, 1)[:-1], ids.flatten()[1:])"),
        "then flatten",
    ),
    Mutant(
        "lab03.q4",
        "softmax first",
        _loss(f"return {_CE}(logits[:, :-1].softmax(-1).flatten(0, 1), ids[:, 1:].flatten())"),
        "softmax is inside it",
    ),
    Mutant(
        "lab03.q4",
        "divided by T",
        _loss(f'return {_CE}(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="sum") / ids.numel()'),
        "divided by T",
    ),
    Mutant(
        "lab03.q4",
        "pad ignored",
        _loss(f"return {_CE}(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())"),
        "is pad used",
    ),
    Mutant(
        "lab03.q4",
        "padding in the mean",
        _loss(_PAD.format(keep="t != pad", value='(F.cross_entropy(p, t, reduction="none") * keep).mean()')),
        "counted in the mean",
    ),
    Mutant(
        "lab03.q4",
        "padding by input",
        _loss(_PAD.format(keep="ids[:, :-1].flatten() != pad", value="F.cross_entropy(p[keep], t[keep])")),
        "not if its input is",
    ),
    Mutant(
        "lab03.q4",
        "a new tensor",
        _loss(_PAD.format(keep="t != pad", value="torch.tensor(F.cross_entropy(p[keep], t[keep]).item())")),
        "cut off from its inputs",
    ),
    Mutant(
        "lab03.q4",
        "detached",
        _loss(_PAD.format(keep="t != pad", value="F.cross_entropy(p[keep], t[keep]).detach()")),
        "cut off from its inputs",
    ),
    Mutant("lab03.q5", "multiplies by the temperature", _nucleus(times=" *"), "do not multiply"),
    Mutant("lab03.q5", "not renormalised", _nucleus(value="kept"), "sum to 1 again"),
    Mutant("lab03.q5", "ignores top_p", _sampling("return (logits / temperature).softmax(-1)"), "is top_p used"),
    Mutant(
        "lab03.q5",
        "one too few",
        _nucleus(less="> top_p", value="kept / kept.sum().clamp(min=1e-9)"),
        "is kept as well",
    ),
    Mutant(
        "lab03.q5",
        "left sorted",
        _nucleus(value="ranked.masked_fill(dropped, 0.0) / ranked.masked_fill(dropped, 0.0).sum()"),
        "come out sorted",
    ),
    Mutant(
        "lab03.q5",
        "zero logits",
        _nucleus(value="(torch.where(kept > 0, logits, 0.0) / temperature).softmax(-1)"),
        "not a probability of 0",
    ),
    Mutant(
        "lab03.q6",
        "shapes only",
        _test(holds="len(output) == inputs[2] and all(len(x) == len(y) == inputs[1] for x, y in output)"),
        "does not shift",
    ),
    Mutant("lab03.q6", "one token repeated", _test(examples="[([5] * 20, 3, 12)]"), "your test accepts"),
    Mutant(
        "lab03.q6",
        "in order only",
        _test(holds="[x for x, _ in output] == [inputs[0][i : i + inputs[1]] for i in range(inputs[2])]"),
        "refuses a right answer",
    ),
    Mutant(
        "lab03.q6",
        "overlap only",
        _test(
            holds="len(output) == inputs[2] and all(len(x) == len(y) == inputs[1] and x[1:] == y[:-1] for x, y in output)"
        ),
        "goes on at the beginning",
    ),
    Mutant(
        "lab03.q6",
        "rows not counted",
        _test(holds=_HOLDS.replace("len(output) == inputs[2] and ", "")),
        "one row too few",
    ),
    Mutant("lab03.q7", "another cause", 'diagnosis = {"cause": "A", "evidence": ["d"]}', "not what went wrong"),
    Mutant("lab03.q7", "untrue evidence", 'diagnosis = {"cause": "G", "evidence": ["a"]}', "is not true of your run"),
    Mutant(
        "lab03.q7",
        "evidence for two causes",
        'diagnosis = {"cause": "G", "evidence": ["d"]}',
        "seen under another cause",
    ),
    Mutant("lab03.q7", "a letter", 'diagnosis = "G"', "write it as"),
]

RUBRICS = {
    "lab03.t1": "3: names the size of the gap and what it means (no overfitting in this run), says training has not finished because both curves still "
    "fall, and predicts the effect of one change on both curves. 2: two of the three. 1: describes the curves without a conclusion. 0: no plot read.",
}
