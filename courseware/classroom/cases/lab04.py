"""Lab 04: RMSNorm, RoPE, SwiGLU, grouped queries, the key-value cache, and three models loaded wrong."""

import torch
import torch.nn.functional as F
from torch import nn

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Question, Ungraded, set_parameters


def vectors_and_gain(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, float]:
    d = draw.choice([5, 8, 12])
    return draw.normal(2, draw.integer(3, 6), d, scale=2.0) + 0.7, draw.normal(d), draw.choice([1e-5, 1e-2, 0.5])


def rms(x: torch.Tensor, gain: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    return F.rms_norm(x, (x.size(-1),), gain, eps)


def _sum_of_squares(x, gain, eps=1e-5):
    return x / (x.pow(2).sum(-1, keepdim=True) + eps).sqrt() * gain


def _over_the_sequence(x, gain, eps=1e-5):
    return x / (x.pow(2).mean(-2, keepdim=True) + eps).sqrt() * gain


def heads_and_positions(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, float]:
    T, d = draw.integer(4, 8), draw.choice([6, 8, 12])
    return draw.normal(2, 3, T, d), torch.arange(T) + draw.integer(3, 20), draw.choice([100.0, 10_000.0])


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


def keeps_lengths(value: torch.Tensor, x: torch.Tensor, positions: torch.Tensor, theta: float) -> str | None:
    if tuple(value.shape) != tuple(x.shape):
        return f"the result should have the shape of x, {tuple(x.shape)}"
    same = (value.norm(dim=-1) - x.norm(dim=-1)).abs().max() < 1e-3
    return None if same else "turning keeps the length of a vector, and here lengths change"


def gated_input(draw: Draw) -> tuple[torch.Tensor, ...]:
    d, d_ff = draw.choice([4, 6]), draw.choice([7, 10])
    return draw.normal(2, 3, d), draw.normal(d_ff, d), draw.normal(d_ff, d), draw.normal(d, d_ff)


def gated(x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)


def grouped_input(draw: Draw) -> tuple[torch.Tensor, ...]:
    K, share, T, past, d = draw.integer(2, 4), draw.integer(2, 4), draw.integer(2, 5), draw.integer(0, 4), 5
    mask = torch.ones(T, past + T, dtype=torch.bool).tril(past)
    return draw.normal(2, K * share, T, d), draw.normal(2, K, past + T, d), draw.normal(2, K, past + T, d), mask


def grouped(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)


def _repeated(q, k, v, mask):
    share = q.size(1) // k.size(1)
    return F.scaled_dot_product_attention(q, k.repeat(1, share, 1, 1), v.repeat(1, share, 1, 1), attn_mask=mask)


def _first_head_for_all(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k[:, :1], v[:, :1], attn_mask=mask, enable_gqa=True)


def past_and_new(draw: Draw) -> tuple[int, int]:
    return draw.integer(2, 9), draw.integer(2, 6)


def _standing(past: int, T: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(past, past + T), torch.ones(past + T, past + T, dtype=torch.bool).tril()[past:]


def standing(past: int, T: int) -> tuple[torch.Tensor, torch.Tensor]:
    return _standing(past, T)


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


def _outcome(reference: type[nn.Module]):
    return lambda *inputs: run_in_pieces(reference, *inputs)


def _keeps_too_much(value: object, d_model: int, n_heads: int, n_kv_heads: int, x: torch.Tensor, sizes: list) -> bool:
    held = value.get("numbers in the cache") if isinstance(value, dict) else None
    return held == 2 * x.size(0) * x.size(1) * d_model


def shape_and_tokens(draw: Draw) -> tuple[int, ...]:
    n_kv_heads = draw.integer(2, 6)
    return (
        draw.integer(3, 40), n_kv_heads * draw.integer(2, 6), n_kv_heads, draw.choice([32, 64, 128]),
        draw.integer(100, 5000), draw.choice([1, 2, 4]),
    )  # fmt: skip


def bytes_held(n_layers, n_heads, n_kv_heads, head_dim, tokens, bytes_per_number=2) -> int:
    return 2 * n_layers * n_kv_heads * head_dim * tokens * bytes_per_number


def _one_letter_each(value: object) -> str | None:
    if not isinstance(value, dict) or set(value) != {"model 1", "model 2", "model 3"}:
        return 'give a dict with the keys "model 1", "model 2" and "model 3"'
    if any(v not in tuple("ABCDEF") for v in value.values()):
        return "each answer is one letter from A to F"
    return None if len(set(value.values())) == 3 else "the three models have three different causes"


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
            points=2,
            difficulty=1,
            minutes=6,
            forbids=("F.rms_norm",),
            cases=(Case("random vectors", inputs=vectors_and_gain, expected=rms),),
            mistakes=(
                Mistake("divide by the root of the mean of the squares, not of their sum", wrong=_sum_of_squares),
                Mistake(
                    "that is LayerNorm: RMSNorm does not subtract the mean",
                    wrong=lambda x, gain, eps=1e-5: F.layer_norm(x, (x.size(-1),), gain, None, eps),
                ),
                Mistake(
                    "eps belongs inside the root: add it to the mean square",
                    wrong=lambda x, gain, eps=1e-5: x / (x.pow(2).mean(-1, keepdim=True).sqrt() + eps) * gain,
                ),
                Mistake("the mean runs over the sequence; it should run over the last axis", wrong=_over_the_sequence),
                Mistake(
                    "is the result multiplied by gain?",
                    wrong=lambda x, gain, eps=1e-5: rms(x, torch.ones_like(gain), eps),
                ),
            ),
        ),
        Question(
            id="lab04.q2",
            title="Rotary positions",
            name="rope",
            points=3,
            difficulty=3,
            minutes=15,
            cases=(
                Case("lengths stay", inputs=heads_and_positions, judge=keeps_lengths),
                Case("random heads", inputs=heads_and_positions, expected=turned),
            ),
            mistakes=(
                Mistake(
                    "that is the interleaved layout, pairs (0, 1), (2, 3), ...: here pair i is coordinates i and i + d/2",
                    wrong=lambda x, p, theta=1e4: _turned(x, p, theta, layout="interleaved"),
                ),
                Mistake(
                    "turned the wrong way: check the signs of the two sines",
                    wrong=lambda x, p, theta=1e4: _turned(x, p, theta, sign=-1.0),
                ),
                Mistake(
                    "the speeds fall too slowly: the exponent of pair i is -2 i / d, and i runs to d/2 - 1",
                    wrong=lambda x, p, theta=1e4: _turned(x, p, theta, exponent=1.0),
                ),
                Mistake(
                    "are the given positions used? With a cache the first one is not 0",
                    wrong=lambda x, p, theta=1e4: _turned(x, torch.arange(x.size(-2)), theta),
                ),
                Mistake(
                    "is theta used? It is 10,000 by default only",
                    when=lambda value, x, p, theta=1e4: (
                        theta != 1e4
                        and getattr(value, "shape", None) == x.shape
                        and torch.allclose(value, _turned(x, p), atol=1e-4)
                    ),
                ),
            ),
        ),
        Question(
            id="lab04.q3",
            title="SwiGLU",
            name="swiglu",
            points=1,
            difficulty=2,
            minutes=6,
            cases=(Case("random matrices", inputs=gated_input, expected=gated),),
            mistakes=(
                Mistake(
                    "gate and up are exchanged: the bend goes on the gate branch",
                    wrong=lambda x, gate, up, down: gated(x, up, gate, down),
                ),
                Mistake(
                    "that is GLU, with a plain sigmoid: silu(z) is z times sigmoid(z)",
                    wrong=lambda x, gate, up, down: (torch.sigmoid(x @ gate.T) * (x @ up.T)) @ down.T,
                ),
                Mistake(
                    "the bend is on the product of the branches; it belongs on the gate alone, before multiplying",
                    wrong=lambda x, gate, up, down: F.silu((x @ gate.T) * (x @ up.T)) @ down.T,
                ),
                Mistake(
                    "that is GEGLU: the bend here is silu, not gelu",
                    wrong=lambda x, gate, up, down: (F.gelu(x @ gate.T) * (x @ up.T)) @ down.T,
                ),
            ),
        ),
        Question(
            id="lab04.q4",
            title="Grouped queries",
            name="grouped_attention",
            points=2,
            difficulty=3,
            minutes=12,
            cases=(Case("random heads", inputs=grouped_input, expected=grouped),),
            mistakes=(
                Mistake(
                    "query heads meet the wrong key heads: did you use repeat where repeat_interleave is meant?",
                    wrong=_repeated,
                ),
                Mistake("all query heads use key head 0: that is multi-query attention", wrong=_first_head_for_all),
                Mistake("is the mask used?", wrong=lambda q, k, v, mask: grouped(q, k, v, None)),
                Mistake(
                    "are the scores divided by sqrt(d)?",
                    wrong=lambda q, k, v, mask: grouped(q * q.size(-1) ** 0.5, k, v, mask),
                ),
            ),
        ),
        Question(
            id="lab04.q5",
            title="Positions and mask with a cache",
            name="positions_and_mask",
            points=2,
            difficulty=3,
            minutes=10,
            cases=(
                Case("some tokens in the cache", inputs=past_and_new, expected=standing),
                Case("one new token", inputs=lambda draw: (draw.integer(3, 9), 1), expected=standing),
                Case("an empty cache", inputs=lambda draw: (0, draw.integer(2, 6)), expected=standing),
            ),
            mistakes=(
                Mistake(
                    "positions restart at 0, although `past` tokens came before",
                    wrong=lambda past, T: (torch.arange(T), _standing(past, T)[1]),
                ),
                Mistake(
                    "the mask is aligned top-left: the first new token should see all of the cache and itself",
                    wrong=lambda past, T: (_standing(past, T)[0], torch.ones(T, past + T, dtype=torch.bool).tril()),
                ),
                Mistake(
                    "a token should also see itself",
                    wrong=lambda past, T: (
                        _standing(past, T)[0],
                        torch.ones(T, past + T, dtype=torch.bool).tril(past - 1),
                    ),
                ),
                Mistake(
                    "new tokens see later new tokens: everything in the cache is allowed, the future is not",
                    wrong=lambda past, T: (_standing(past, T)[0], torch.ones(T, past + T, dtype=torch.bool)),
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
            id="lab04.q6",
            title="Attention with a cache",
            name="CachedAttention",
            points=3,
            difficulty=4,
            minutes=20,
            recipe=run_in_pieces,
            uses=("lab04.q2", "lab04.q4", "lab04.q5"),
            cases=(
                Case("the whole sequence at once", inputs=layer_whole, expected=_outcome(ReferenceCachedAttention)),
                Case("in pieces", inputs=layer_in_pieces, expected=_outcome(ReferenceCachedAttention)),
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
            id="lab04.q7",
            title="What a conversation costs",
            name="cache_bytes",
            points=1,
            difficulty=2,
            minutes=6,
            cases=(
                Case(
                    "Llama-2-70B, 8,192 tokens", inputs=lambda draw: (80, 64, 8, 128, 8192, 2), expected=2_684_354_560
                ),
                Case("other shapes", inputs=shape_and_tokens, expected=bytes_held),
            ),
            mistakes=(
                Mistake("both keys and values are kept: twice as much", wrong=lambda *s: bytes_held(*s) // 2),
                Mistake(
                    "only the key heads are kept, not one for every query head",
                    wrong=lambda L, H, K, d, t, b=2: bytes_held(L, H, H, d, t, b),
                ),
                Mistake("every layer has keys and values of its own", wrong=lambda L, *s: bytes_held(1, *s)),
                Mistake("bytes, not bits", wrong=lambda *s: 8 * bytes_held(*s)),
            ),
        ),
        Question(
            id="lab04.q8",
            title="Three models loaded wrong",
            name="diagnosis",
            points=3,
            difficulty=4,
            minutes=20,
            cases=(Case("one letter for each model", judge=_one_letter_each),),
            hint="which models are right at the first token, and which are right when read whole? The first token has nobody else to look at",
        ),
    ),
    ungraded=(
        Ungraded("lab04.p1", "Speed-up of the cache at 512 tokens", name="predicted_speedup"),
        Ungraded("lab04.t1", "Read your own plot", name="interpretation", kind="text", points=3),
        Ungraded("lab04.c1", "Lowest loss with a cache of 32 tokens", name="best_loss", kind="challenge"),
    ),
)
