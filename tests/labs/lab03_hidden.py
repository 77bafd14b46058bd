"""Lab 03, for staff: hidden cases, mutants, rubrics."""

from courseware.classroom.cases import Case, Mutant
from courseware.classroom.cases.lab03 import (
    ReferenceAttention,
    ReferenceBlock,
    _outcome,
    causal,
    layer_input,
    logits_and_ids,
    logits_temperature_k,
    loss,
    many_queries_and_keys,
    merged,
    probabilities,
    queries_and_keys,
    queries_keys_values,
    split_input,
    weights,
)


def _heads(draw):
    return tuple(draw.normal(2, 3, 6, 5) for _ in range(3))


HIDDEN = {
    "lab03.q1": [
        Case("other widths", inputs=queries_and_keys, expected=weights),
        Case("other batches", inputs=many_queries_and_keys, expected=weights),
    ],
    "lab03.q2": [
        Case("other sequences", inputs=queries_keys_values, expected=causal),
        Case("several heads", inputs=_heads, expected=causal, hint="use the last two axes, whatever comes before them"),
    ],
    "lab03.q3": [Case("other shapes", inputs=split_input, expected=merged)],
    "lab03.q4": [Case("other layers", inputs=layer_input, expected=_outcome(ReferenceAttention))],
    "lab03.q5": [Case("other blocks", inputs=layer_input, expected=_outcome(ReferenceBlock))],
    "lab03.q6": [Case("other logits", inputs=logits_and_ids, expected=loss)],
    "lab03.q7": [
        Case("other logits", inputs=logits_temperature_k, expected=probabilities),
        Case("k larger than the vocabulary", inputs=lambda draw: (draw.normal(6), 1.3, 50), expected=probabilities),
    ],
    "lab03.q8": [Case("the right causes", expected={"run 1": "B", "run 2": "C", "run 3": "A"})],
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


def _weights(expression: str) -> str:
    return f"def attention_weights(q, k):\n    return {expression}"


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
    return f"def next_token_loss(logits, ids):\n    return {expression}"


def _sampling(body: str) -> str:
    lines = "\n    ".join(body.strip().splitlines())
    return f"def next_token_probabilities(logits, temperature=1.0, top_k=None):\n    {lines}"


_MINUS = 'float("-inf")'
_CE = "F.cross_entropy"

MUTANTS = [
    Mutant("lab03.q1", "divides by d_head", _weights("(q @ k.transpose(-2, -1) / q.size(-1)).softmax(-1)"), "sqrt(d_head) or by d_head"),
    Mutant("lab03.q1", "no scale", _weights("(q @ k.transpose(-2, -1)).softmax(-1)"), "saturates"),
    Mutant("lab03.q1", "softmax over queries", _weights("(q @ k.transpose(-2, -1) / q.size(-1) ** 0.5).softmax(-2)"), "the last axis"),
    Mutant("lab03.q1", "two dimensions only", _weights("(q @ k.T / q.size(-1) ** 0.5).softmax(-1)"), "last two axes"),
    Mutant("lab03.q2", "mask after softmax", _causal("return ((scores / d ** 0.5).softmax(-1) * lower) @ v"), "before the softmax"),
    Mutant("lab03.q2", "no mask", _causal("return (scores / d ** 0.5).softmax(-1) @ v"), "the mask is missing"),
    Mutant("lab03.q2", "zeros for minus infinity", _causal("return ((scores / d ** 0.5).masked_fill(~lower, 0.0)).softmax(-1) @ v"), "a score of 0"),
    Mutant("lab03.q2", "no scale", _causal(f"return scores.masked_fill(~lower, {_MINUS}).softmax(-1) @ v"), "divided by sqrt(d)"),
    Mutant("lab03.q2", "mask upside down", _causal(f"return (scores / d ** 0.5).masked_fill(~lower.T, {_MINUS}).softmax(-1) @ v"), "wrong way round"),
    Mutant("lab03.q2", "sees only the past", _causal(f"return (scores / d ** 0.5).masked_fill(~lower.tril(-1), {_MINUS}).softmax(-1) @ v"), "see itself"),
    Mutant("lab03.q3", "no transpose", "def merge_heads(x):\n    return x.reshape(x.size(0), x.size(2), -1)", "before reshaping"),
    Mutant("lab03.q3", "view after transpose", "def merge_heads(x):\n    return x.transpose(1, 2).view(x.size(0), x.size(2), -1)", ".contiguous()"),
    Mutant("lab03.q3", "interleaved", "def merge_heads(x):\n    return x.permute(0, 2, 3, 1).reshape(x.size(0), x.size(2), -1)", "interleaved"),
    Mutant("lab03.q3", "mean of heads", "def merge_heads(x):\n    return x.mean(1)", "side by side"),
    Mutant(
        "lab03.q4", "no transpose before merging",
        _ATTENTION.format(body="return self.o_proj(causal_attention(q, k, v).reshape(B, T, D))"),
        "transposed back",
    ),
    Mutant(
        "lab03.q4", "not causal",
        _ATTENTION.format(body="return self.o_proj(merge_heads(attention_weights(q, k) @ v))"),
        "causal?",
    ),
    Mutant(
        "lab03.q4", "scaled by d_model",
        _ATTENTION.format(body="return self.o_proj(merge_heads(causal_attention(q / self.n_heads ** 0.5, k, v)))"),
        "width of one head",
    ),
    Mutant("lab03.q4", "o_proj forgotten", _ATTENTION.format(body="return merge_heads(causal_attention(q, k, v))"), "o_proj"),
    Mutant(
        "lab03.q5", "post-norm",
        _BLOCK.format(body="x = self.norm1(x + self.attention(x)); return self.norm2(x + self.mlp(x))"),
        "post-norm",
    ),
    Mutant(
        "lab03.q5", "norm in the stream",
        _BLOCK.format(body="x = self.norm1(x); x = x + self.attention(x); x = self.norm2(x); return x + self.mlp(x)"),
        "the stream itself got normalised",
    ),
    Mutant("lab03.q5", "no residual", _BLOCK.format(body="return self.mlp(self.norm2(self.attention(self.norm1(x))))"), "residual path is missing"),
    Mutant(
        "lab03.q5", "parallel",
        _BLOCK.format(body="return x + self.attention(self.norm1(x)) + self.mlp(self.norm2(x))"),
        "after attention has been added",
    ),
    Mutant("lab03.q6", "not shifted", _loss(f"{_CE}(logits.flatten(0, 1), ids.flatten())"), "shift by one"),
    Mutant("lab03.q6", "shifted backwards", _loss(f"{_CE}(logits[:, 1:].flatten(0, 1), ids[:, :-1].flatten())"), "wrong way"),
    Mutant("lab03.q6", "sum", _loss(f'{_CE}(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")'), "not the sum"),
    Mutant("lab03.q6", "wraps around", _loss(f"{_CE}(logits.flatten(0, 1), ids.roll(-1, dims=1).flatten())"), "torch.roll"),
    Mutant(
        "lab03.q7", "multiplies by the temperature",
        _sampling(
            "if top_k is not None:\n"
            f"    logits = logits.masked_fill(logits < logits.topk(min(top_k, logits.size(-1))).values[-1], {_MINUS})\n"
            "return (logits * temperature).softmax(-1)"
        ),
        "do not multiply",
    ),
    Mutant(
        "lab03.q7", "not renormalised",
        _sampling(
            "p = (logits / temperature).softmax(-1)\n"
            "if top_k is not None:\n"
            "    p = p * (p >= p.topk(min(top_k, p.size(-1))).values[-1])\n"
            "return p"
        ),
        "sum to 1 again",
    ),
    Mutant(
        "lab03.q7", "zero logits",
        _sampling(
            "if top_k is not None:\n"
            "    logits = logits * (logits >= logits.topk(min(top_k, logits.size(-1))).values[-1])\n"
            "return (logits / temperature).softmax(-1)"
        ),
        "not a probability of 0",
    ),
    Mutant("lab03.q7", "ignores top-k", _sampling("return (logits / temperature).softmax(-1)"), "is top_k used"),
    Mutant("lab03.q8", "leak and copy exchanged", 'diagnosis = {"run 1": "A", "run 2": "C", "run 3": "B"}', "what does the text look like"),
    Mutant("lab03.q8", "blames the scale", 'diagnosis = {"run 1": "B", "run 2": "E", "run 3": "A"}', "what does the text look like"),
    Mutant("lab03.q8", "one cause for two runs", 'diagnosis = {"run 1": "A", "run 2": "C", "run 3": "A"}', "three different causes"),
]

RUBRICS = {
    "lab03.t1": "3: names the size of the gap and what it means (no overfitting in this run), says training has not finished because both curves still "
    "fall, and predicts the effect of one change on both curves. 2: two of the three. 1: describes the curves without a conclusion. 0: no plot read.",
}
