"""Lab 04, for staff: hidden cases, mutants, rubrics."""

from courseware.classroom.cases import Case, Mutant
from courseware.classroom.cases.lab04 import (
    ReferenceCachedAttention,
    _outcome,
    bytes_held,
    gated,
    gated_input,
    grouped,
    grouped_input,
    heads_and_positions,
    layer_in_pieces,
    past_and_new,
    rms,
    shape_and_tokens,
    standing,
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


HIDDEN = {
    "lab04.q1": [
        Case("other vectors", inputs=vectors_and_gain, expected=rms),
        Case("a single vector", inputs=_flat, expected=rms),
    ],
    "lab04.q2": [
        Case("other heads", inputs=heads_and_positions, expected=turned),
        Case("no leading axes, positions in any order", inputs=_one_head, expected=turned),
    ],
    "lab04.q3": [Case("other matrices", inputs=gated_input, expected=gated)],
    "lab04.q4": [Case("other heads", inputs=grouped_input, expected=grouped)],
    "lab04.q5": [Case("other lengths", inputs=past_and_new, expected=standing)],
    "lab04.q6": [
        Case("other pieces", inputs=layer_in_pieces, expected=_outcome(ReferenceCachedAttention)),
        Case("one token at a time", inputs=_token_by_token, expected=_outcome(ReferenceCachedAttention)),
    ],
    "lab04.q7": [Case("other models", inputs=shape_and_tokens, expected=bytes_held)],
    "lab04.q8": [Case("the right causes", expected={"model 1": "F", "model 2": "D", "model 3": "B"})],
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


def _swiglu(expression: str) -> str:
    return f"def swiglu(x, gate, up, down):\n    return {expression}"


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


def _standing(positions: str = "torch.arange(past, past + T)", mask: str = "torch.ones(T, past + T, dtype=torch.bool).tril(past)") -> str:
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


def _bytes(expression: str) -> str:
    return f"def cache_bytes(n_layers, n_heads, n_kv_heads, head_dim, tokens, bytes_per_number=2):\n    return {expression}"


MUTANTS = [
    Mutant("lab04.q1", "sum for mean", _norm("x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) + eps) * gain"), "not of their sum"),
    Mutant("lab04.q1", "LayerNorm", _norm("(x - x.mean(-1, keepdim=True)) * torch.rsqrt(x.var(-1, correction=0, keepdim=True) + eps) * gain"), "does not subtract the mean"),
    Mutant("lab04.q1", "eps outside the root", _norm("x / (x.pow(2).mean(-1, keepdim=True).sqrt() + eps) * gain"), "inside the root"),
    Mutant("lab04.q1", "gain forgotten", _norm("x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)"), "multiplied by gain"),
    Mutant(
        "lab04.q2", "interleaved",
        _rope(split="a, b = x[..., 0::2], x[..., 1::2]", join="torch.stack([a, b], -1).flatten(-2)"),
        "interleaved layout",
    ),
    Mutant("lab04.q2", "turned backwards", _rope(turn="a * angle.cos() + b * angle.sin(), b * angle.cos() - a * angle.sin()"), "wrong way"),
    Mutant("lab04.q2", "slow exponent", _rope(angle="angle = positions[:, None] * theta ** (-torch.arange(d // 2) / d)"), "too slowly"),
    Mutant("lab04.q2", "positions from 0", _rope(angle="angle = torch.arange(x.size(-2))[:, None] * theta ** (-torch.arange(0, d, 2) / d)"), "given positions"),
    Mutant("lab04.q2", "one sign for both sines", _rope(turn="a * angle.cos() + b * angle.sin(), a * angle.sin() + b * angle.cos()"), "lengths change"),
    Mutant("lab04.q3", "gate and up exchanged", _swiglu("(F.silu(x @ up.T) * (x @ gate.T)) @ down.T"), "exchanged"),
    Mutant("lab04.q3", "plain sigmoid", _swiglu("(torch.sigmoid(x @ gate.T) * (x @ up.T)) @ down.T"), "plain sigmoid"),
    Mutant("lab04.q3", "bend on the product", _swiglu("F.silu((x @ gate.T) * (x @ up.T)) @ down.T"), "on the gate alone"),
    Mutant("lab04.q4", "repeat for repeat_interleave", _grouped(repeat="k, v = k.repeat(1, share, 1, 1), v.repeat(1, share, 1, 1)"), "repeat_interleave"),
    Mutant("lab04.q4", "one key head for all", _grouped(repeat="k, v = k[:, :1], v[:, :1]"), "multi-query"),
    Mutant("lab04.q4", "no mask", _grouped(scores="q @ k.transpose(-2, -1) / q.size(-1) ** 0.5"), "is the mask used"),
    Mutant("lab04.q4", "no scale", _grouped(scores="(q @ k.transpose(-2, -1)).masked_fill(~mask, -torch.inf)"), "sqrt(d)"),
    Mutant("lab04.q5", "positions restart at 0", _standing(positions="torch.arange(T)"), "restart at 0"),
    Mutant("lab04.q5", "mask top-left", _standing(mask="torch.ones(T, past + T, dtype=torch.bool).tril()"), "top-left"),
    Mutant("lab04.q5", "not itself", _standing(mask="torch.ones(T, past + T, dtype=torch.bool).tril(past - 1)"), "see itself"),
    Mutant("lab04.q5", "no columns for the cache", _standing(mask="torch.ones(T, T, dtype=torch.bool).tril()"), "(T, past + T)"),
    Mutant("lab04.q6", "cached positions restart at 0", _cached(turn="q, k = rope(q, torch.arange(T)), rope(k, torch.arange(T))"), "restart at 0"),
    Mutant(
        "lab04.q6", "mask top-left",
        _cached(attend="out = grouped_attention(q, k, v, torch.ones(T, past + T, dtype=torch.bool).tril())"),
        "top-left",
    ),
    Mutant("lab04.q6", "keys not turned", _cached(turn="q = rope(q, positions)"), "keys are not turned"),
    Mutant("lab04.q6", "nothing turned", _cached(turn="pass"), "neither queries nor keys"),
    Mutant(
        "lab04.q6", "cache not attended to",
        _cached(
            keep="new_k, new_v = k, v\n        " + _KEEP,
            attend="out = grouped_attention(q, new_k, new_v, mask[:, past:])",
        ),
        "not attended to",
    ),
    Mutant(
        "lab04.q6", "repeat for repeat_interleave",
        _cached(attend="out = grouped_attention(q, k.repeat(1, self.share, 1, 1), v.repeat(1, self.share, 1, 1), mask)"),
        "wrong key heads",
    ),
    Mutant(
        "lab04.q6", "keeps repeated keys",
        _cached(turn=_TURN + "\n        k, v = k.repeat_interleave(self.share, 1), v.repeat_interleave(self.share, 1)"),
        "every query head",
    ),
    Mutant("lab04.q7", "keys only", _bytes("n_layers * n_kv_heads * head_dim * tokens * bytes_per_number"), "keys and values"),
    Mutant("lab04.q7", "all heads", _bytes("2 * n_layers * n_heads * head_dim * tokens * bytes_per_number"), "every query head"),
    Mutant("lab04.q7", "one layer", _bytes("2 * n_kv_heads * head_dim * tokens * bytes_per_number"), "every layer"),
    Mutant("lab04.q8", "layout for base", 'diagnosis = {"model 1": "A", "model 2": "D", "model 3": "B"}', "right at the first token"),
    Mutant("lab04.q8", "mask for positions", 'diagnosis = {"model 1": "F", "model 2": "D", "model 3": "C"}', "right at the first token"),
    Mutant("lab04.q8", "one cause for two", 'diagnosis = {"model 1": "F", "model 2": "F", "model 3": "B"}', "three different causes"),
]

RUBRICS = {
    "lab04.t1": "3: says how each curve grows and names the work behind it (projections of all tokens again, against one token plus stored keys), gives a reason why "
    "the speed-up is below 512, and says that fewer key heads move the rise of the cached curve to longer contexts. 2: two of the three. 1: describes the curves "
    "without a reason. 0: no plot read.",
}
