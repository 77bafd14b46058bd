"""Lab 03: attention, the mask, heads, a block, the loss, sampling, and three broken runs."""

import torch
import torch.nn.functional as F
from torch import nn

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Question, Ungraded, set_parameters


def _mask(T: int) -> torch.Tensor:
    return torch.ones(T, T, dtype=torch.bool).tril()


def queries_and_keys(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    T, S, d = draw.integer(3, 7), draw.integer(7, 10), draw.choice([4, 9, 16])
    return draw.normal(T, d), draw.normal(S, d)


def many_queries_and_keys(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    B, heads, T, d = draw.integer(2, 4), draw.integer(2, 4), draw.integer(5, 8), draw.choice([4, 8])
    return draw.normal(B, heads, T, d), draw.normal(B, heads, T, d)


def weights(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return (q @ k.transpose(-2, -1) / q.size(-1) ** 0.5).softmax(-1)


def rows_sum_to_one(value: torch.Tensor, q: torch.Tensor, k: torch.Tensor) -> str | None:
    if tuple(value.shape) != (*q.shape[:-1], k.size(-2)):
        return f"the weights should have shape {(*q.shape[:-1], k.size(-2))}: one row per query, one column per key"
    return None if (value.sum(-1) - 1).abs().max() < 1e-4 else "each row of the weights should sum to 1"


def queries_keys_values(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    T, d = draw.integer(4, 9), draw.choice([4, 8])
    return draw.normal(2, T, d), draw.normal(2, T, d), draw.normal(2, T, d)


def causal(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def _after_softmax(q, k, v):
    return (weights(q, k) * _mask(q.size(-2))) @ v


def _unscaled(q, k, v):
    scores = (q @ k.transpose(-2, -1)).masked_fill(~_mask(q.size(-2)), float("-inf"))
    return scores.softmax(-1) @ v


def _future_only(q, k, v):
    scores = (q @ k.transpose(-2, -1) / q.size(-1) ** 0.5).masked_fill(~_mask(q.size(-2)).T, float("-inf"))
    return scores.softmax(-1) @ v


def _zeros_for_minus_infinity(q, k, v):
    scores = (q @ k.transpose(-2, -1) / q.size(-1) ** 0.5).masked_fill(~_mask(q.size(-2)), 0.0)
    return scores.softmax(-1) @ v


def split_input(draw: Draw) -> tuple[torch.Tensor]:
    return (draw.normal(draw.integer(2, 4), draw.integer(2, 5), draw.integer(5, 8), draw.choice([3, 4, 7])),)


def merged(x: torch.Tensor) -> torch.Tensor:
    B, heads, T, d = x.shape
    return x.transpose(1, 2).reshape(B, T, heads * d)


def layer_input(draw: Draw) -> tuple[int, int, torch.Tensor]:
    d_model, n_heads = draw.choice([(8, 2), (12, 3), (16, 4)])
    return d_model, n_heads, draw.normal(2, draw.integer(4, 8), d_model)


def run_layer(student, d_model, n_heads, x):
    """Recipe: build the student's layer, give every parameter a value from its name, return output and gradients."""
    torch.manual_seed(0)
    layer = student(d_model, n_heads)
    set_parameters(layer, scale=0.4)
    x = x.clone().requires_grad_()
    out = layer(x)
    out.pow(2).sum().backward()
    return {"output": out.detach(), "gradient of the input": x.grad}


class ReferenceAttention(nn.Module):
    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))

    def attend(self, q, k, v):
        return merged(causal(q, k, v))

    def split(self, x):
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (self.split(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        return self.o_proj(self.attend(q, k, v))


class _WithoutTranspose(ReferenceAttention):
    def attend(self, q, k, v):
        return causal(q, k, v).reshape(q.size(0), q.size(2), -1)


class _WithoutMask(ReferenceAttention):
    def attend(self, q, k, v):
        return merged(F.scaled_dot_product_attention(q, k, v))


class _ModelWidthScale(ReferenceAttention):
    def attend(self, q, k, v):
        return merged(F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=(q.size(1) * q.size(-1)) ** -0.5))


class _NoOutputProjection(ReferenceAttention):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (self.split(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        return self.attend(q, k, v) + 0 * self.o_proj(x)


class _RMSNorm(nn.Module):
    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + 1e-5) * self.weight


class ReferenceBlock(nn.Module):
    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = _RMSNorm(d_model), ReferenceAttention(d_model, n_heads)
        self.norm2 = _RMSNorm(d_model)
        self.mlp = nn.Sequential(nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _PostNorm(ReferenceBlock):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.mlp(x))


class _NormInTheStream(ReferenceBlock):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm1(x)
        x = x + self.attention(x)
        x = self.norm2(x)
        return x + self.mlp(x)


class _NoResidual(ReferenceBlock):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mlp(self.norm2(self.attention(self.norm1(x))))


class _Parallel(ReferenceBlock):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.attention(self.norm1(x)) + self.mlp(self.norm2(x))


def _outcome(reference: type[nn.Module]):
    return lambda d_model, n_heads, x: run_layer(reference, d_model, n_heads, x)


def logits_and_ids(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    B, T, V = draw.integer(2, 4), draw.integer(4, 8), draw.integer(5, 12)
    return draw.normal(B, T, V, scale=2.0), draw.integers(0, V, B, T)


def loss(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def _loss_of(logits: torch.Tensor, targets: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction=reduction)


def logits_temperature_k(draw: Draw) -> tuple[torch.Tensor, float, int]:
    return draw.normal(draw.integer(6, 12), scale=2.0), draw.choice([0.5, 0.7, 1.6]), draw.integer(2, 5)


def logits_only(draw: Draw) -> tuple[torch.Tensor]:
    return (draw.normal(9, scale=2.0),)


def probabilities(logits: torch.Tensor, temperature: float = 1.0, top_k: int | None = None) -> torch.Tensor:
    if top_k is not None:
        kept = torch.full_like(logits, float("-inf"))
        largest = logits.topk(min(top_k, logits.size(-1)))
        logits = kept.scatter(-1, largest.indices, largest.values)
    return (logits / temperature).softmax(-1)


def _not_renormalised(logits, temperature=1.0, top_k=None):
    p = (logits / temperature).softmax(-1)
    return p if top_k is None else p * (probabilities(logits, temperature, top_k) > 0)


def _one_letter_each(value: object) -> str | None:
    if not isinstance(value, dict) or set(value) != {"run 1", "run 2", "run 3"}:
        return 'give a dict with the keys "run 1", "run 2" and "run 3"'
    if any(v not in tuple("ABCDEF") for v in value.values()):
        return "each answer is one letter from A to F"
    return None if len(set(value.values())) == 3 else "the three runs have three different causes"


LAB = Lab(
    id="lab03",
    title="Attention to GPT",
    provides=("llmlib.data", "llmlib.text"),
    forbids=(
        "scaled_dot_product_attention",
        "MultiheadAttention",
        "TransformerEncoderLayer",
        "TransformerDecoderLayer",
    ),
    questions=(
        Question(
            id="lab03.q1",
            title="Attention weights",
            name="attention_weights",
            points=2,
            difficulty=2,
            minutes=8,
            cases=(
                Case("each row is a distribution", inputs=queries_and_keys, judge=rows_sum_to_one),
                Case("one sequence", inputs=queries_and_keys, expected=weights),
                Case(
                    "a batch of heads",
                    inputs=many_queries_and_keys,
                    expected=weights,
                    hint="use the last two axes, whatever comes before them",
                ),
            ),
            mistakes=(
                Mistake(
                    "use the last two axes, whatever comes before them: .T turns all of them around",
                    error=r"must match the size|mat1 and mat2|Expected size for first two dimensions",
                ),
                Mistake(
                    "did you divide by sqrt(d_head) or by d_head?",
                    wrong=lambda q, k: (q @ k.transpose(-2, -1) / q.size(-1)).softmax(-1),
                ),
                Mistake(
                    "are the scores divided by sqrt(d_head)? Without it the softmax saturates as the width grows",
                    wrong=lambda q, k: (q @ k.transpose(-2, -1)).softmax(-1),
                ),
                Mistake(
                    "the softmax runs over the queries; each query should share out its weight among the keys, the last axis",
                    wrong=lambda q, k: (q @ k.transpose(-2, -1) / q.size(-1) ** 0.5).softmax(-2),
                ),
            ),
        ),
        Question(
            id="lab03.q2",
            title="Causal attention",
            name="causal_attention",
            points=3,
            difficulty=3,
            minutes=12,
            cases=(Case("random queries, keys and values", inputs=queries_keys_values, expected=causal),),
            mistakes=(
                Mistake(
                    "is the mask applied before the softmax? After it, the future is still in the denominator",
                    wrong=_after_softmax,
                ),
                Mistake(
                    "the mask is missing: every position still sees the future", wrong=lambda q, k, v: weights(q, k) @ v
                ),
                Mistake("are the scores divided by sqrt(d)?", wrong=_unscaled),
                Mistake("the mask is the wrong way round: positions see only the future", wrong=_future_only),
                Mistake(
                    "masked scores must be minus infinity: a score of 0 still gets weight",
                    wrong=_zeros_for_minus_infinity,
                ),
                Mistake(
                    "NaN: may the first position see itself?",
                    when=lambda value, q, k, v: bool(torch.isnan(torch.as_tensor(value)).any()),
                ),
            ),
        ),
        Question(
            id="lab03.q3",
            title="Merging heads",
            name="merge_heads",
            points=2,
            difficulty=2,
            minutes=8,
            cases=(Case("the inverse of split_heads", inputs=split_input, expected=merged),),
            mistakes=(
                Mistake(
                    "the shape is right but numbers moved between positions: transpose heads and positions before reshaping",
                    wrong=lambda x: x.reshape(x.size(0), x.size(2), -1),
                ),
                Mistake(
                    "view needs memory in order: after a transpose use reshape, or .contiguous() first",
                    error="view size is not compatible",
                ),
                Mistake(
                    "the heads are interleaved: each head's d_head numbers should stay next to each other",
                    wrong=lambda x: x.permute(0, 2, 3, 1).reshape(x.size(0), x.size(2), -1),
                ),
                Mistake(
                    "heads should be placed side by side, not averaged or added",
                    when=lambda v, x: getattr(v, "ndim", 0) == 3 and v.shape[-1] == x.size(-1),
                ),
            ),
        ),
        Question(
            id="lab03.q4",
            title="Multi-head attention",
            name="MultiHeadAttention",
            points=3,
            difficulty=3,
            minutes=15,
            recipe=run_layer,
            uses=("lab03.q2", "lab03.q3"),
            cases=(Case("output and gradient", inputs=layer_input, expected=_outcome(ReferenceAttention)),),
            mistakes=(
                Mistake("are the heads transposed back before they are merged?", wrong=_outcome(_WithoutTranspose)),
                Mistake(
                    "a position sees its future: is the attention inside each head causal?",
                    wrong=_outcome(_WithoutMask),
                ),
                Mistake("scale by the width of one head, not by d_model", wrong=_outcome(_ModelWidthScale)),
                Mistake(
                    "the last step is missing: mix the merged heads with o_proj", wrong=_outcome(_NoOutputProjection)
                ),
            ),
        ),
        Question(
            id="lab03.q5",
            title="The block",
            name="Block",
            points=2,
            difficulty=3,
            minutes=10,
            recipe=run_layer,
            uses=("lab03.q2", "lab03.q3", "lab03.q4"),
            cases=(Case("output and gradient", inputs=layer_input, expected=_outcome(ReferenceBlock)),),
            mistakes=(
                Mistake(
                    "that is post-norm (the original Transformer): here the norm goes in front of each part",
                    wrong=_outcome(_PostNorm),
                ),
                Mistake(
                    "the stream itself got normalised: add the result to x, not to norm(x)",
                    wrong=_outcome(_NormInTheStream),
                ),
                Mistake(
                    "the residual path is missing: add each part's result to what came in", wrong=_outcome(_NoResidual)
                ),
                Mistake(
                    "the MLP should read the stream after attention has been added to it", wrong=_outcome(_Parallel)
                ),
            ),
        ),
        Question(
            id="lab03.q6",
            title="The loss",
            name="next_token_loss",
            points=2,
            difficulty=2,
            minutes=8,
            cases=(Case("random logits", inputs=logits_and_ids, expected=loss),),
            mistakes=(
                Mistake(
                    "shift by one: position t should be judged on token t + 1", wrong=lambda x, ids: _loss_of(x, ids)
                ),
                Mistake(
                    "shifted the wrong way: position t is judged on token t - 1",
                    wrong=lambda x, ids: _loss_of(x[:, 1:], ids[:, :-1]),
                ),
                Mistake(
                    "return the mean over predictions, not the sum",
                    wrong=lambda x, ids: _loss_of(x[:, :-1], ids[:, 1:], "sum"),
                ),
                Mistake(
                    "torch.roll wraps around: the last position has no next token and should not be judged",
                    wrong=lambda x, ids: _loss_of(x, ids.roll(-1, dims=1)),
                ),
            ),
        ),
        Question(
            id="lab03.q7",
            title="Temperature and top-k",
            name="next_token_probabilities",
            points=3,
            difficulty=3,
            minutes=12,
            cases=(
                Case("plain softmax by default", inputs=logits_only, expected=probabilities),
                Case("temperature and top-k", inputs=logits_temperature_k, expected=probabilities),
            ),
            mistakes=(
                Mistake(
                    "divide the logits by the temperature, do not multiply",
                    wrong=lambda x, t=1.0, k=None: probabilities(x, 1 / t, k),
                ),
                Mistake("after keeping the top k the rest should sum to 1 again", wrong=_not_renormalised),
                Mistake(
                    "a logit of 0 is not a probability of 0: put minus infinity where a token is not allowed",
                    wrong=lambda x, t=1.0, k=None: (torch.where(probabilities(x, t, k) > 0, x, 0.0) / t).softmax(-1),
                ),
                Mistake(
                    "is top_k used? More than k tokens have a chance",
                    when=lambda v, x, t=1.0, k=None: k is not None and int((v > 0).sum()) > k,
                ),
            ),
        ),
        Question(
            id="lab03.q8",
            title="Three broken runs",
            name="diagnosis",
            points=3,
            difficulty=4,
            minutes=20,
            cases=(Case("one letter for each run", judge=_one_letter_each),),
            hint="which runs have a loss that is too good, and what does the text look like there?",
        ),
    ),
    ungraded=(
        Ungraded("lab03.p1", "Validation loss before training", name="predicted_loss"),
        Ungraded("lab03.t1", "Read your own plot", name="interpretation", kind="text", points=3),
        Ungraded("lab03.c1", "Lowest validation loss in 60 seconds", name="best_loss", kind="challenge"),
    ),
)
