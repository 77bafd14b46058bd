"""Lab 04: RMSNorm, RoPE, grouped queries, the key-value cache, a design, a test of rotations, a model loaded wrong."""

import functools

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

# ------------------------------------------------------------------------------------------------------------ 1: RMSNorm


def vectors_and_gain(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, float]:
    """eps is large: where it stands must show."""
    d = draw.choice([3, 5, 8])
    return draw.normal(2, draw.integer(2, 6), d, scale=2.0) + 0.7, draw.normal(d), draw.choice([0.1, 0.5])


def small_vectors(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    """So small that the default of eps shows."""
    return draw.normal(3, 4, scale=0.003), draw.normal(4)


def rms(x: torch.Tensor, gain: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    return F.rms_norm(x, (x.size(-1),), gain, eps)


def _sum_of_squares(x, gain, eps=1e-5):
    return x / (x.pow(2).sum(-1, keepdim=True) + eps).sqrt() * gain


def _over_the_sequence(x, gain, eps=1e-5):
    return x / (x.pow(2).mean(-2, keepdim=True) + eps).sqrt() * gain


def _layer_norm(x, gain, eps=1e-5):
    return F.layer_norm(x, (x.size(-1),), gain, None, eps)


def _eps_outside(x, gain, eps=1e-5):
    return x / (x.pow(2).mean(-1, keepdim=True).sqrt() + eps) * gain


def _no_gain(x, gain, eps=1e-5):
    return rms(x, torch.ones_like(gain), eps)


def _no_eps(x, gain, eps=1e-5):
    return rms(x, gain, 0.0)


def _no_root(x, gain, eps=1e-5):
    return x / (x.pow(2).mean(-1, keepdim=True) + eps) * gain


_NORMS = (_sum_of_squares, _over_the_sequence, _layer_norm, _eps_outside, _no_gain, _no_eps, _no_root)


# --------------------------------------------------------------------------------------------------------------- 2: RoPE


def heads_and_positions(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, float]:
    T, d = draw.integer(3, 8), draw.choice([4, 6, 8])
    return draw.normal(2, 3, T, d), torch.arange(T) + draw.integer(3, 20), draw.choice([10.0, 100.0])


# Angles of hundreds of radians are exact to a ten-thousandth in single precision, however they are computed.
ROUNDING = Tolerance(rtol=1e-3, atol=1e-3)


def theta_left_out(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    x, positions, _ = heads_and_positions(draw)
    return x, 10 * positions


def turned(x: torch.Tensor, positions: torch.Tensor, theta: float = 10_000.0) -> torch.Tensor:
    return _turned(x, positions, theta)


def _turned(x, positions, theta=10_000.0, layout="half", exponent=2.0, sign=1.0):
    d = x.size(-1)
    angle = sign * positions[:, None] * theta ** (-exponent * torch.arange(d // 2) / d)
    if layout == "half":
        pair = torch.complex(x[..., : d // 2], x[..., d // 2 :]) * torch.polar(torch.ones_like(angle), angle)
        return torch.cat([pair.real, pair.imag], -1)
    pair = torch.complex(x[..., 0::2], x[..., 1::2]) * torch.polar(torch.ones_like(angle), angle)
    return torch.stack([pair.real, pair.imag], -1).flatten(-2)


def _interleaved(x, p, theta=1e4):
    return _turned(x, p, theta, layout="interleaved")


def _backwards(x, p, theta=1e4):
    return _turned(x, p, theta, sign=-1.0)


def _slowly(x, p, theta=1e4):
    return _turned(x, p, theta, exponent=1.0)


def _from_zero(x, p, theta=1e4):
    return _turned(x, torch.arange(x.size(-2)), theta)


def _always_ten_thousand(x, p, theta=1e4):
    return _turned(x, p)


def _another_theta(x, p, theta=5e5):
    return _turned(x, p, theta)


def keeps_lengths(value: torch.Tensor, x: torch.Tensor, positions: torch.Tensor, *theta: float) -> str | None:
    if tuple(value.shape) != tuple(x.shape):
        return f"the result should have the shape of x, {tuple(x.shape)}"
    same = (value.norm(dim=-1) - x.norm(dim=-1)).abs().max() < 1e-3
    return None if same else "turning keeps the length of a vector, and here lengths change"


# ---------------------------------------------------------------------------------------------------- 3: grouped queries


def grouped_input(draw: Draw) -> tuple[torch.Tensor, ...]:
    K, share, T, past, d = draw.choice([2, 3]), draw.choice([2, 3]), draw.integer(2, 5), draw.integer(1, 4), 5
    mask = torch.ones(T, past + T, dtype=torch.bool).tril(past)
    return draw.normal(2, K * share, T, d), draw.normal(2, K, past + T, d), draw.normal(2, K, past + T, d), mask


def grouped(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)


def _repeated(q, k, v, mask):
    share = q.size(1) // k.size(1)
    return F.scaled_dot_product_attention(q, k.repeat(1, share, 1, 1), v.repeat(1, share, 1, 1), attn_mask=mask)


def _first_head_for_all(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k[:, :1], v[:, :1], attn_mask=mask, enable_gqa=True)


def _no_mask(q, k, v, mask):
    return grouped(q, k, v, None)


def _unscaled(q, k, v, mask):
    return grouped(q * q.size(-1) ** 0.5, k, v, mask)


def _by_width(q, k, v, mask):
    return grouped(q / q.size(-1) ** 0.5, k, v, mask)


def _mask_turned_round(q, k, v, mask):
    return grouped(q, k, v, ~mask)


_GROUPS = (_repeated, _first_head_for_all, _no_mask, _mask_turned_round, _unscaled, _by_width)


# ---------------------------------------------------------------------------------------- 4, 5: positions, mask, cache


def past_and_new(draw: Draw) -> tuple[int, int]:
    return draw.integer(1, 9), draw.integer(2, 6)


def run_standing(student, past, T):
    """Recipe: any pair of tensors will do."""
    positions, mask = student(past, T)
    return positions, mask


def _standing(past: int, T: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(past, past + T), torch.ones(past + T, past + T, dtype=torch.bool).tril()[past:]


def standing(past: int, T: int) -> tuple[torch.Tensor, torch.Tensor]:
    return _standing(past, T)


def _restarting(past: int, T: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(T), _standing(past, T)[1]


def _top_left(past: int, T: int) -> tuple[torch.Tensor, torch.Tensor]:
    return _standing(past, T)[0], torch.ones(T, past + T, dtype=torch.bool).tril()


def _not_itself(past: int, T: int) -> tuple[torch.Tensor, torch.Tensor]:
    return _standing(past, T)[0], torch.ones(T, past + T, dtype=torch.bool).tril(past - 1)


def _all_allowed(past: int, T: int) -> tuple[torch.Tensor, torch.Tensor]:
    return _standing(past, T)[0], torch.ones(T, past + T, dtype=torch.bool)


def layer_in_pieces(draw: Draw) -> tuple:
    d_model, n_heads, n_kv_heads = draw.choice([(16, 4, 2), (24, 6, 2), (24, 6, 3)])
    first, second = draw.integer(3, 6), draw.integer(2, 4)
    return d_model, n_heads, n_kv_heads, draw.normal(2, first + second + 2, d_model), [first, second, 1, 1]


def layer_whole(draw: Draw) -> tuple:
    d_model, n_heads, n_kv_heads, x, sizes = layer_in_pieces(draw)
    return d_model, n_heads, n_kv_heads, x, [sum(sizes)]


def run_in_pieces(student, d_model, n_heads, n_kv_heads, x, sizes):
    """Recipe: feed x piece by piece over one cache; return the outputs and how many numbers the cache then holds."""
    torch.manual_seed(0)
    layer = student(d_model, n_heads, n_kv_heads)
    set_parameters(layer, scale=0.5)
    cache: dict = {}
    with torch.no_grad():
        out = torch.cat([layer(piece, cache) for piece in x.split(sizes, dim=1)], dim=1)
    return {"output": out, "numbers in the cache": sum(t.numel() for t in cache.values())}


class ReferenceCachedAttention(nn.Module):
    """The reference, in steps that a mistake overrides."""

    def __init__(self, d_model: int, n_heads: int, n_kv_heads: int) -> None:
        super().__init__()
        self.head_dim = d_model // n_heads
        self.q_proj = nn.Linear(d_model, n_heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(d_model, n_kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(d_model, n_kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(n_heads * self.head_dim, d_model, bias=False)

    def standing(self, past: int, T: int):
        return _standing(past, T)

    def turn(self, q, k, positions):
        return _turned(q, positions), _turned(k, positions)

    def mix(self, q, k, v, mask):
        return grouped(q, k, v, mask)

    def keep(self, cache: dict, k, v):
        if cache:
            k, v = torch.cat([cache["k"], k], 2), torch.cat([cache["v"], v], 2)
        cache["k"], cache["v"] = k, v
        return k, v

    def forward(self, x, cache):
        B, T, _ = x.shape
        past = cache["k"].size(2) if cache else 0
        positions, mask = self.standing(past, T)
        q, k, v = (p(x).view(B, T, -1, self.head_dim).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = self.turn(q, k, positions)
        k, v = self.keep(cache, k, v)
        return self.o_proj(self.mix(q, k, v, mask[:, -k.size(2) :]).transpose(1, 2).reshape(B, T, -1))


class _Restarts(ReferenceCachedAttention):
    def standing(self, past, T):
        return torch.arange(T), _standing(past, T)[1]


class _TopLeft(ReferenceCachedAttention):
    def standing(self, past, T):
        return _standing(past, T)[0], torch.ones(T, past + T, dtype=torch.bool).tril()


class _KeysNotTurned(ReferenceCachedAttention):
    def turn(self, q, k, positions):
        return _turned(q, positions), k


class _NothingTurned(ReferenceCachedAttention):
    def turn(self, q, k, positions):
        return q, k


class _Forgets(ReferenceCachedAttention):
    def keep(self, cache, k, v):
        super().keep(cache, k, v)
        return k, v


class _Repeats(ReferenceCachedAttention):
    def mix(self, q, k, v, mask):
        return _repeated(q, k, v, mask)


@functools.cache  # the same function for a mistake and for what separates it
def _outcome(reference: type[nn.Module]):
    return lambda *inputs: run_in_pieces(reference, *inputs)


_IN_PIECES = tuple(map(_outcome, (_Restarts, _TopLeft, _KeysNotTurned, _NothingTurned, _Forgets, _Repeats)))
_WHOLE = tuple(map(_outcome, (_KeysNotTurned, _NothingTurned, _Repeats)))


def _keeps_too_much(value: object, d_model: int, n_heads: int, n_kv_heads: int, x: torch.Tensor, sizes: list) -> bool:
    held = value.get("numbers in the cache") if isinstance(value, dict) else None
    return held == 2 * x.size(0) * x.size(1) * d_model


# -------------------------------------------------------------------------------------------------------- 6: a design

VOCABULARY, CONTEXT = 8_192, 8_192
FIELDS = ("n_layers", "d_model", "n_heads", "n_kv_heads", "d_ff")


def a_shape(design: object) -> str | None:
    if not isinstance(design, dict) or set(design) != set(FIELDS):
        return f"give a dict with the keys {', '.join(FIELDS)}"
    if not all(type(value) is int and 1 <= value <= 20_000 for value in design.values()):
        return "every value is a whole number from 1 to 20,000"
    if design["d_model"] % design["n_heads"] or design["n_heads"] % design["n_kv_heads"]:
        return "n_heads divides d_model, and n_kv_heads divides n_heads"
    width = design["d_model"] // design["n_heads"]
    return None if width % 2 == 0 and width >= 32 else "a head is at least 32 wide, and its width is even"


def block_parameters(design: dict) -> int:
    """All parameters but the embedding: attention, SwiGLU and two norms a layer, and the last norm."""
    d, kv = design["d_model"], design["n_kv_heads"] * (design["d_model"] // design["n_heads"])
    return design["n_layers"] * (2 * d * d + 2 * d * kv + 3 * d * design["d_ff"] + 2 * d) + d


def all_parameters(design: dict) -> int:
    return block_parameters(design) + VOCABULARY * design["d_model"]


def cache_megabytes(design: dict) -> float:
    """Keys and values of a context of 8,192 tokens in two bytes a number, in MiB."""
    kv = design["n_kv_heads"] * (design["d_model"] // design["n_heads"])
    return 2 * design["n_layers"] * kv * CONTEXT * 2 / 2**20


# ----------------------------------------------------------------------------------------------- 7: a test of rotations


def vectors_and_positions(q: object, k: object, positions: object) -> str | None:
    for vector in (q, k):
        if not isinstance(vector, list) or not all(type(x) in (int, float) and abs(x) <= 100 for x in vector):
            return "q and k are lists of numbers between -100 and 100"
    if len(q) != len(k) or len(q) not in (2, 4, 6, 8):
        return "q and k have the same length, 2, 4, 6 or 8"
    if not isinstance(positions, list) or not all(type(p) is int and 0 <= p <= 1000 for p in positions):
        return "positions is a list of whole numbers from 0 to 1000"
    return None if 1 <= len(positions) <= 8 else "between 1 and 8 positions, please"


def scores(q, k, positions, q_sign=1.0, k_sign=1.0, layout="half", theta=100.0, at=None) -> list[list[float]]:
    """(T, T) q at position i against k at position j, as nested lists."""
    at = torch.tensor(positions if at is None else at, dtype=torch.float64)
    rows_q, rows_k = (torch.tensor(x, dtype=torch.float64).expand(len(positions), -1) for x in (q, k))
    turned_q = _turned(rows_q, at, theta, layout=layout, sign=q_sign) if q_sign else rows_q
    turned_k = _turned(rows_k, at, theta, layout=layout, sign=k_sign) if k_sign else rows_k
    return (turned_q @ turned_k.T).tolist()


def _halves(q, k, positions):
    return scores(q, k, positions)


def _neighbours(q, k, positions):
    return scores(q, k, positions, layout="interleaved")


def _slow_and_backwards(q, k, positions):
    return scores(q, k, positions, q_sign=-1.0, k_sign=-1.0, theta=10_000.0)


def _keys_stay(q, k, positions):
    return scores(q, k, positions, k_sign=0.0)


def _opposite_ways(q, k, positions):
    return scores(q, k, positions, k_sign=-1.0)


def _own_positions(q, k, positions):
    return scores(q, k, positions, at=list(range(len(positions))))


def _nothing_turned(q, k, positions):
    return scores(q, k, positions, q_sign=0.0, k_sign=0.0)


# --------------------------------------------------------------------------------------------------- 8: a wrong model

FAULTS = {
    "A": "the rotary layout is the interleaved one, and the weights are for halves",
    "B": "positions restart at 0 with every call that uses the cache",
    "C": "the mask is aligned top-left, also when there is a cache",
    "D": "key heads are repeated with repeat instead of repeat_interleave",
    "E": "the causal mask is missing",
    "F": "the rotary base is 10,000 instead of 100,000",
    "G": "the gate and the up matrix are exchanged",
    "H": "the scores are divided by the head width instead of its root",
}
OBSERVATIONS = {
    "a": "read whole: the error at the first token is above 1",
    "b": "read whole: the error is nowhere above 0.05",
    "c": "one by one: the error is nowhere above 0.05",
    "d": "at the last token the errors of the two ways differ by more than 1",
    "e": "one by one: the error at the second token is between 0.01 and 1",
    "f": "one by one: the error at the second token is above 5",
    "g": "one by one: the error at the third token is between 5 and 12",
    "h": "exchanging token 11 moves the last logits by more than 0.8",
    "i": "exchanging token 11 moves the last logits by less than 0.35",
    "j": "one by one: the error at the third token is above 10",
    "k": "one by one: the error at the third token is below 1",
    "l": "the errors of the two ways agree at every token (within 0.05)",
}
RUNS = ("b6", "d1", "f8", "j3", "m5", "q2", "t9", "x4")


LAB = Lab(
    id="lab04",
    title="A modern LLM",
    provides=("llmlib.data", "llmlib.text"),
    forbids=("scaled_dot_product_attention", "MultiheadAttention", "RMSNorm"),
    questions=(
        Question(
            id="lab04.q1",
            title="RMSNorm",
            name="rms_norm",
            printed=True,
            points=1,
            difficulty=1,
            minutes=6,
            forbids=("F.rms_norm",),
            cases=(
                Case("random vectors", inputs=vectors_and_gain, expected=rms, separates=_NORMS),
                Case("small vectors, eps left out", inputs=small_vectors, expected=rms, separates=(_no_eps,)),
            ),
            mistakes=(
                Mistake("divide by the root of the mean of the squares, not of their sum", wrong=_sum_of_squares),
                Mistake("that is LayerNorm: RMSNorm does not subtract the mean", wrong=_layer_norm),
                Mistake("eps belongs inside the root: add it to the mean square", wrong=_eps_outside),
                Mistake("the mean runs over the sequence; it should run over the last axis", wrong=_over_the_sequence),
                Mistake("is the result multiplied by gain?", wrong=_no_gain),
                Mistake("is eps used? Its default is 1e-5", wrong=_no_eps),
                Mistake("divide by the root of the mean square", wrong=_no_root),
            ),
        ),
        Question(
            id="lab04.q2",
            title="Rotary positions",
            name="rope",
            tolerance=ROUNDING,
            printed=True,
            points=2,
            difficulty=3,
            minutes=15,
            cases=(
                Case("lengths stay", inputs=heads_and_positions, judge=keeps_lengths),
                Case(
                    "random heads",
                    inputs=heads_and_positions,
                    expected=turned,
                    tolerance=ROUNDING,
                    separates=(_interleaved, _backwards, _slowly, _from_zero, _always_ten_thousand),
                ),
                Case(
                    "theta left out",
                    inputs=theta_left_out,
                    expected=turned,
                    tolerance=ROUNDING,
                    separates=(_another_theta, _slowly),
                ),
            ),
            mistakes=(
                Mistake(
                    "that is the interleaved layout, pairs (0, 1), (2, 3), ...: here pair i is coordinates i and i + d/2",
                    wrong=_interleaved,
                ),
                Mistake(
                    "turned the wrong way: check the signs of the two sines",
                    wrong=_backwards,
                ),
                Mistake(
                    "the speeds fall too slowly: the exponent of pair i is -2 i / d, and i runs to d/2 - 1",
                    wrong=_slowly,
                ),
                Mistake(
                    "are the given positions used? With a cache the first one is not 0",
                    wrong=_from_zero,
                ),
                Mistake("is theta used? It is 10,000 by default only", wrong=_always_ten_thousand),
                Mistake("the default of theta is 10,000", wrong=_another_theta),
            ),
        ),
        Question(
            id="lab04.q3",
            title="Grouped queries",
            name="grouped_attention",
            printed=True,
            points=1,
            difficulty=3,
            minutes=12,
            cases=(Case("random heads", inputs=grouped_input, expected=grouped, separates=_GROUPS),),
            mistakes=(
                Mistake(
                    "query heads meet the wrong key heads: did you use repeat where repeat_interleave is meant?",
                    wrong=_repeated,
                ),
                Mistake("all query heads use key head 0: that is multi-query attention", wrong=_first_head_for_all),
                Mistake("is the mask used?", wrong=_no_mask),
                Mistake(
                    "the mask is True where looking is allowed: the others get minus infinity", wrong=_mask_turned_round
                ),
                Mistake("are the scores divided by sqrt(d)?", wrong=_unscaled),
                Mistake("did you divide by sqrt(d) or by d?", wrong=_by_width),
                Mistake(
                    "NaN: a row without any allowed key? Is the mask turned round, or multiplied with minus infinity?",
                    when=lambda value, *inputs: bool(torch.isnan(value).any()),
                ),
                Mistake("H query heads meet K key heads: repeat keys and values first", error="must match the size"),
            ),
        ),
        Question(
            id="lab04.q4",
            title="Positions and mask with a cache",
            name="positions_and_mask",
            printed=True,
            recipe=run_standing,
            points=1,
            difficulty=3,
            minutes=10,
            cases=(
                Case(
                    "some tokens in the cache",
                    inputs=past_and_new,
                    expected=standing,
                    separates=(_restarting, _top_left, _not_itself, _all_allowed),
                ),
                Case(
                    "one new token",
                    inputs=lambda draw: (draw.integer(3, 9), 1),
                    expected=standing,
                    separates=(_restarting, _top_left, _not_itself),
                ),
                Case(
                    "an empty cache",
                    inputs=lambda draw: (0, draw.integer(2, 6)),
                    expected=standing,
                    separates=(_not_itself, _all_allowed),
                ),
            ),
            mistakes=(
                Mistake(
                    "positions restart at 0, although `past` tokens came before",
                    wrong=_restarting,
                ),
                Mistake(
                    "the mask is aligned top-left: the first new token should see all of the cache and itself",
                    wrong=_top_left,
                ),
                Mistake("a token should also see itself", wrong=_not_itself),
                Mistake(
                    "new tokens see later new tokens: everything in the cache is allowed, the future is not",
                    wrong=_all_allowed,
                ),
                Mistake(
                    "the mask needs a column for every token in the cache, too: (T, past + T)",
                    when=lambda value, past, T: (
                        isinstance(value, tuple)
                        and len(value) == 2
                        and past > 0
                        and tuple(getattr(value[1], "shape", ())) == (T, T)
                    ),
                ),
            ),
        ),
        Question(
            id="lab04.q5",
            title="Attention with a cache",
            name="CachedAttention",
            printed=True,
            points=3,
            difficulty=4,
            minutes=20,
            recipe=run_in_pieces,
            uses=("lab04.q2", "lab04.q3", "lab04.q4"),
            cases=(
                Case(
                    "the whole sequence at once",
                    inputs=layer_whole,
                    expected=_outcome(ReferenceCachedAttention),
                    separates=_WHOLE,
                ),
                Case(
                    "in pieces",
                    inputs=layer_in_pieces,
                    expected=_outcome(ReferenceCachedAttention),
                    separates=_IN_PIECES,
                ),
            ),
            mistakes=(
                Mistake(
                    "cached positions restart at 0: the new tokens stand behind the cached ones",
                    wrong=_outcome(_Restarts),
                ),
                Mistake(
                    "the causal mask is aligned top-left: with a cache its first row belongs to position `past`",
                    wrong=_outcome(_TopLeft),
                ),
                Mistake(
                    "the keys are not turned: both queries and keys need their positions",
                    wrong=_outcome(_KeysNotTurned),
                ),
                Mistake("neither queries nor keys are turned by their positions", wrong=_outcome(_NothingTurned)),
                Mistake("the cached keys and values are stored but not attended to", wrong=_outcome(_Forgets)),
                Mistake(
                    "query heads meet the wrong key heads: repeat for repeat_interleave?", wrong=_outcome(_Repeats)
                ),
                Mistake(
                    "the cache holds a copy of the keys for every query head: keep n_kv_heads of them, that is the point of grouping",
                    when=_keeps_too_much,
                ),
            ),
        ),
        Question(
            id="lab04.q6",
            title="A model within three budgets",
            name="design",
            kind="design",
            points=3,
            difficulty=4,
            minutes=20,
            valid=a_shape,
            budgets=(
                Budget("all parameters", "parameters", 20_000_000, all_parameters),
                Budget("key-value cache of 8,192 tokens", "MiB", 16, cache_megabytes),
                Budget("layers, one after the other", "layers", 12, lambda design: design["n_layers"]),
            ),
            score=Score("parameters outside the embedding", "parameters", 17_000_000, block_parameters),
        ),
        Question(
            id="lab04.q7",
            title="Test somebody else's rotations",
            name="holds",
            kind="test",
            examples="examples",
            points=3,
            difficulty=4,
            minutes=20,
            valid=vectors_and_positions,
            right=(
                Subject("halves", _halves),
                Subject("neighbouring pairs", _neighbours),
                Subject("another base and direction", _slow_and_backwards),
            ),
            wrong=(
                Subject("turns the queries and leaves the keys", _keys_stay),
                Subject("turns queries and keys opposite ways", _opposite_ways),
                Subject("counts positions from 0 by itself", _own_positions),
                Subject("turns nothing at all", _nothing_turned),
            ),
        ),
        Question(
            id="lab04.q8",
            title="A model loaded wrong",
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
            "lab04.p1",
            "Speed-up of the cache at 512 tokens",
            name="predicted_speedup",
            number=Number(0.1, 10_000, unit="times"),
        ),
        Ungraded("lab04.t1", "Read your own plot", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab04.c1",
            "Lowest loss with a cache of 32 tokens",
            name="best_loss",
            kind="challenge",
            number=Number(1, 12, unit="nats per token"),
            baseline=5.2,
            seconds=60,
        ),
    ),
)
