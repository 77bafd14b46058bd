"""Lab 03: attention, heads, a block, the loss, nucleus sampling, a test of batches, and a run that went wrong."""

import functools

import torch
import torch.nn.functional as F
from torch import nn

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Ungraded, set_parameters

CUT_OFF = Mistake(
    "the result is cut off from its inputs (.detach(), .item(), torch.tensor(...)): nothing could be trained through it",
    error="does not require grad",
)


def _mask(T: int) -> torch.Tensor:
    return torch.ones(T, T, dtype=torch.bool).tril()


# ------------------------------------------------------------------------------------------------- 1: causal attention


def queries_keys_values(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    T, d = draw.integer(3, 9), draw.choice([4, 9])
    return draw.normal(2, T, d), draw.normal(2, T, d), draw.normal(2, T, d)


def several_heads(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    shape = 2, draw.choice([2, 3]), draw.integer(4, 7), 5
    return draw.normal(*shape), draw.normal(*shape), draw.normal(*shape)


def one_sequence(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return draw.normal(3, 2), draw.normal(3, 2), draw.normal(3, 2)


def run_attention(student, q, k, v):
    """Recipe: output and the gradient that reaches the queries."""
    q = q.clone().requires_grad_()
    out = student(q, k, v)
    out.pow(2).sum().backward()
    return {"output": out.detach(), "gradient of q": q.grad}


def attention_with(change=None, mask=None, divide=lambda d: d**0.5, after=None):
    """Attention with one thing changed, as run_attention reports it."""

    def attend(q, k, v):
        T, d = q.size(-2), q.size(-1)
        scores = q @ k.transpose(-2, -1) / divide(d)
        allowed = _mask(T) if mask is None else mask(T)
        if change is not None:
            return change(scores, allowed) @ v
        return scores.masked_fill(~allowed, float("-inf")).softmax(-1) @ v

    return lambda q, k, v: run_attention(attend, q, k, v)


def causal(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def causal_outcome(q, k, v):
    return run_attention(causal, q, k, v)


_after_softmax = attention_with(lambda scores, allowed: scores.softmax(-1) * allowed)
_unmasked = attention_with(lambda scores, allowed: scores.softmax(-1))
_unscaled = attention_with(divide=lambda d: 1.0)
_divided_by_d = attention_with(divide=lambda d: d)
_future_only = attention_with(mask=lambda T: _mask(T).T)
_one_ahead = attention_with(mask=lambda T: torch.ones(T, T, dtype=torch.bool).tril(1))
_zero_scores = attention_with(lambda scores, allowed: scores.masked_fill(~allowed, 0.0).softmax(-1))
_over_queries = attention_with(lambda scores, allowed: scores.masked_fill(~allowed, float("-inf")).softmax(-2))
_ATTENTION_MISTAKES = (
    _after_softmax, _unmasked, _unscaled, _divided_by_d, _future_only, _one_ahead, _zero_scores, _over_queries,
)  # fmt: skip


def _nan_rows(value: object) -> tuple[bool, bool]:
    """Does the first row hold NaN; do all?"""
    nan = torch.isnan(value["output"]).any(-1)
    return bool(nan[..., 0].all() and not nan[..., 1:].any()), bool(nan.all())


# ------------------------------------------------------------------------------------------------ 2, 3: layers


def merged(x: torch.Tensor) -> torch.Tensor:
    B, heads, T, d = x.shape
    return x.transpose(1, 2).reshape(B, T, heads * d)


def layer_input(draw: Draw) -> tuple[int, int, torch.Tensor]:
    d_model, n_heads = draw.choice([(8, 2), (12, 3), (16, 4)])
    return d_model, n_heads, draw.normal(2, draw.integer(5, 8), d_model)


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


class _UnsplitHeads(ReferenceAttention):
    def split(self, x):
        return x.unsqueeze(1)


class _Interleaved(ReferenceAttention):
    def attend(self, q, k, v):
        return causal(q, k, v).permute(0, 2, 3, 1).flatten(-2)


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


class _NoResidualAtAttention(ReferenceBlock):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _NoResidualAtMLP(ReferenceBlock):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return self.mlp(self.norm2(x))


class _NoNorm(ReferenceBlock):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(x)
        return x + self.mlp(x)


class _OneNorm(ReferenceBlock):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm1(x))


class _Parallel(ReferenceBlock):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.attention(self.norm1(x)) + self.mlp(self.norm2(x))


@functools.cache  # the same function for a mistake and for what separates it
def _outcome(reference: type[nn.Module]):
    return lambda d_model, n_heads, x: run_layer(reference, d_model, n_heads, x)


_LAYERS = tuple(
    map(_outcome, (_WithoutTranspose, _WithoutMask, _ModelWidthScale, _UnsplitHeads, _Interleaved, _NoOutputProjection))
)
_BLOCKS = tuple(
    map(
        _outcome,
        (
            _PostNorm, _NormInTheStream, _NoResidual, _NoResidualAtAttention, _NoResidualAtMLP, _NoNorm, _OneNorm,
            _Parallel,
        ),
    )
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------- 4: the loss


def logits_and_ids(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    B, T, V = draw.choice([2, 3]), draw.integer(4, 8), draw.choice([5, 8, 11])
    return draw.normal(B, T, V, scale=2.0), draw.integers(0, V, B, T)


def padded(draw: Draw) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Rows end in padding, and one has none."""
    logits, ids = logits_and_ids(draw)
    pad = 0
    ids = ids.clamp(min=1)
    for row in range(1, ids.size(0)):
        ids[row, -draw.choice([2, 3]) :] = pad
    return logits, ids, pad


def run_loss(student, *inputs):
    """Recipe: the loss and its gradient."""
    logits = inputs[0].clone().requires_grad_()
    loss = student(logits, *inputs[1:])
    loss.backward()
    return {"loss": loss.detach(), "gradient": logits.grad}


def token_losses(logits, ids):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")


def loss(logits: torch.Tensor, ids: torch.Tensor, pad: int | None = None) -> torch.Tensor:
    counted = torch.ones_like(ids[:, 1:]) if pad is None else ids[:, 1:] != pad
    return (token_losses(logits, ids) * counted.flatten()).sum() / counted.sum()


def loss_with(function):
    return lambda *inputs: run_loss(function, *inputs)


def _cross_entropy(logits, targets, reduction="mean"):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction=reduction)


_unshifted = loss_with(lambda x, ids, pad=None: _cross_entropy(x, ids))
_backwards = loss_with(lambda x, ids, pad=None: _cross_entropy(x[:, 1:], ids[:, :-1]))
_summed = loss_with(lambda x, ids, pad=None: _cross_entropy(x[:, :-1], ids[:, 1:], "sum"))
_rolled = loss_with(lambda x, ids, pad=None: _cross_entropy(x, ids.roll(-1, dims=1)))
_flat_then_shifted = loss_with(lambda x, ids, pad=None: F.cross_entropy(x.flatten(0, 1)[:-1], ids.flatten()[1:]))
_of_probabilities = loss_with(lambda x, ids, pad=None: _cross_entropy(x[:, :-1].softmax(-1), ids[:, 1:]))
_over_t = loss_with(lambda x, ids, pad=None: _cross_entropy(x[:, :-1], ids[:, 1:], "sum") / ids.numel())
_pads_counted = loss_with(lambda x, ids, pad=None: loss(x, ids))
_pads_in_the_mean = loss_with(lambda x, ids, pad=None: (token_losses(x, ids) * (ids[:, 1:] != pad).flatten()).mean())
_pads_by_input = loss_with(
    lambda x, ids, pad=None: (token_losses(x, ids) * (ids[:, :-1] != pad).flatten()).sum() / (ids[:, :-1] != pad).sum()
)
_ALWAYS = (_unshifted, _backwards, _summed, _rolled, _flat_then_shifted, _of_probabilities, _over_t)


# --------------------------------------------------------------------------------------------------- 5: nucleus sampling


def logits_temperature_p(draw: Draw) -> tuple[torch.Tensor, float, float]:
    """No sum of probabilities comes close to top_p, so that rounding decides nothing."""
    while True:
        logits, temperature = draw.normal(draw.integer(4, 10), scale=2.0), draw.choice([0.5, 0.7, 1.6])
        top_p = draw.choice([0.3, 0.6, 0.8, 0.9])
        sums = (logits / temperature).softmax(-1).sort(descending=True).values.cumsum(-1)
        if (sums - top_p).abs().min() > 0.01 and 2 <= int((sums < top_p).sum()) + 1 < len(logits):
            return logits, temperature, top_p


def logits_and_p(draw: Draw) -> dict:
    logits, _, top_p = logits_temperature_p(draw)
    return {"logits": logits, "top_p": top_p}


def logits_only(draw: Draw) -> tuple[torch.Tensor]:
    return (draw.normal(draw.integer(3, 9), scale=2.0),)


def _kept(p: torch.Tensor, top_p: float) -> torch.Tensor:
    """Booleans: the likeliest tokens until their sum reaches top_p."""
    order = p.argsort(descending=True)
    before = p[order].cumsum(-1) - p[order]
    return torch.zeros_like(p, dtype=torch.bool).scatter(-1, order, before < top_p)


def probabilities(logits: torch.Tensor, temperature: float = 1.0, top_p: float = 1.0) -> torch.Tensor:
    p = (logits / temperature).softmax(-1)
    p = p * _kept(p, top_p)
    return p / p.sum()


def _multiplied(logits, temperature=1.0, top_p=1.0):
    return probabilities(logits, 1 / temperature, top_p)


def _not_renormalised(logits, temperature=1.0, top_p=1.0):
    p = (logits / temperature).softmax(-1)
    return p * _kept(p, top_p)


def _all_kept(logits, temperature=1.0, top_p=1.0):
    return (logits / temperature).softmax(-1)


def _too_few(logits, temperature=1.0, top_p=1.0):
    p = (logits / temperature).softmax(-1)
    ranked = p.argsort(descending=True)
    p = p * torch.zeros_like(p, dtype=torch.bool).scatter(-1, ranked, p[ranked].cumsum(-1) <= top_p)
    return p / p.sum()


def _keeps_fewer(value, logits, temperature=1.0, top_p=1.0) -> bool:
    return top_p < 1 and int((value > 0).sum()) < int(_kept((logits / temperature).softmax(-1), top_p).sum())


def _left_sorted(logits, temperature=1.0, top_p=1.0):
    return probabilities(logits, temperature, top_p).sort(descending=True).values


def _zero_logits(logits, temperature=1.0, top_p=1.0):
    kept = _kept((logits / temperature).softmax(-1), top_p)
    return (torch.where(kept, logits, 0.0) / temperature).softmax(-1)


def _chosen_without_temperature(logits, temperature=1.0, top_p=1.0):
    kept = _kept(logits.softmax(-1), top_p)
    p = (logits / temperature).softmax(-1) * kept
    return p / p.sum()


_NUCLEUS = (
    _multiplied, _not_renormalised, _all_kept, _too_few, _left_sorted, _zero_logits, _chosen_without_temperature,
)  # fmt: skip


# ---------------------------------------------------------------------------------------------- 6: a test of batches


def text_context_rows(tokens: object, context: object, rows: object) -> str | None:
    if not isinstance(tokens, list) or not all(type(t) is int and 0 <= t < 1000 for t in tokens):
        return "an example is (tokens, context, rows), tokens a list of whole numbers below 1000"
    if type(context) is not int or type(rows) is not int or not (1 <= context <= 20 and 1 <= rows <= 20):
        return "context and rows are whole numbers from 1 to 20"
    return None if context + 1 <= len(tokens) <= 100 else "tokens: at least context + 1 of them, at most 100"


def _rows(tokens: list[int], context: int, starts: list[int]) -> list:
    return [[tokens[i : i + context], tokens[i + 1 : i + 1 + context]] for i in starts]


def random_places(tokens: list[int], context: int, rows: int) -> list:
    places = Draw(len(tokens)).numpy.integers(0, len(tokens) - context, size=rows)
    return _rows(tokens, context, places.tolist())


def in_order(tokens: list[int], context: int, rows: int) -> list:
    return _rows(tokens, context, [i % (len(tokens) - context) for i in range(rows)])


def from_the_end(tokens: list[int], context: int, rows: int) -> list:
    return _rows(tokens, context, [len(tokens) - context - 1 - i % (len(tokens) - context) for i in range(rows)])


def not_shifted(tokens: list[int], context: int, rows: int) -> list:
    return [[x, x] for x, _ in random_places(tokens, context, rows)]


def shifted_by_two(tokens: list[int], context: int, rows: int) -> list:
    places = [i % max(1, len(tokens) - context - 1) for i in range(rows)]
    ring = tokens + tokens
    return [[tokens[i : i + context], ring[i + 2 : i + 2 + context]] for i in places]


def rolled_targets(tokens: list[int], context: int, rows: int) -> list:
    return [[x, x[1:] + x[:1]] for x, _ in in_order(tokens, context, rows)]


def round_the_end(tokens: list[int], context: int, rows: int) -> list:
    ring, places = tokens + tokens, [(i + len(tokens) - context) % len(tokens) for i in range(rows)]
    return [[ring[i : i + context], ring[i + 1 : i + 1 + context]] for i in places]


# ------------------------------------------------------------------------------------------------------ 7: a wrong run

FAULTS = {
    "A": "the causal mask is missing",
    "B": "the targets are not shifted: each position is trained to predict its own token",
    "C": "the learning rate is 100 times too high",
    "D": "the learning rate is 100 times too low",
    "E": "the targets are shifted by two: each position is trained to predict the token after the next",
    "F": "the residual paths are missing",
    "G": "the loss gets probabilities, softmax already taken, where it expects logits",
    "H": "attention looks at no other position: each token sees only itself",
}
RUNS = ("a3", "c8", "e1", "h6", "k2", "n7", "r4", "w9")
OBSERVATIONS = {
    "a": "some positions before position 32 notice the change",
    "b": "fewer than 31 positions after position 32 notice the change",
    "c": "the held-out loss at the end is between 2.4 and 2.7",
    "d": "the held-out loss at the end is above 3.2",
    "e": "the average probability of the likeliest character is above 0.9",
    "f": "the held-out loss after 20 steps is below 3",
    "g": "the held-out loss after 20 steps is above 3.5",
    "h": "the average probability of the likeliest character is between 0.1 and 0.2",
    "i": "the held-out loss after 40 steps is above 3.5",
    "j": "the held-out loss at the end is between 2.8 and 3.4",
    "k": "the average probability of the likeliest character is between 0.2 and 0.28",
    "l": "the sample is made of one character",
}


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
            title="Causal attention",
            name="causal_attention",
            points=2,
            difficulty=2,
            minutes=12,
            printed=True,
            recipe=run_attention,
            cases=(
                Case("three positions", inputs=one_sequence, expected=causal_outcome, separates=_ATTENTION_MISTAKES),
                Case("a batch", inputs=queries_keys_values, expected=causal_outcome, separates=_ATTENTION_MISTAKES),
                Case("a batch of heads", inputs=several_heads, expected=causal_outcome, separates=_ATTENTION_MISTAKES),
            ),
            mistakes=(
                CUT_OFF,
                Mistake(
                    "use the last two axes, whatever comes before them: .T turns all of them around",
                    error=r"must match the size|mat1 and mat2|Expected size for first two dimensions|too many values to unpack",
                ),
                Mistake(
                    "is the mask applied before the softmax? After it, the future is still in the denominator",
                    wrong=_after_softmax,
                ),
                Mistake("the mask is missing: every position still sees the future", wrong=_unmasked),
                Mistake("are the scores divided by sqrt(d)?", wrong=_unscaled),
                Mistake("did you divide by sqrt(d_head) or by d_head?", wrong=_divided_by_d),
                Mistake("the mask is the wrong way round: positions see only the future", wrong=_future_only),
                Mistake("one too many: tril(1) lets every position see the next one", wrong=_one_ahead),
                Mistake("masked scores must be minus infinity: a score of 0 still gets weight", wrong=_zero_scores),
                Mistake(
                    "the softmax runs over the queries; each query should share out its weight among the keys, the last axis",
                    wrong=_over_queries,
                ),
                Mistake(
                    "NaN in the first row: all of its scores are minus infinity. The first position may see itself",
                    when=lambda value, q, k, v: _nan_rows(value)[0],
                ),
                Mistake(
                    "NaN in every row: is a mask of zeros multiplied with minus infinity? Use masked_fill",
                    when=lambda value, q, k, v: _nan_rows(value)[1],
                ),
            ),
        ),
        Question(
            id="lab03.q2",
            title="Multi-head attention",
            name="MultiHeadAttention",
            points=2,
            difficulty=3,
            minutes=18,
            printed=True,
            recipe=run_layer,
            uses=("lab03.q1",),
            cases=(
                Case(
                    "output and gradient",
                    inputs=layer_input,
                    expected=_outcome(ReferenceAttention),
                    separates=_LAYERS,
                ),
            ),
            mistakes=(
                CUT_OFF,
                Mistake(
                    "view needs memory in order: after a transpose use reshape, or .contiguous() first",
                    error="view size is not compatible",
                ),
                Mistake("are the heads transposed back before they are merged?", wrong=_outcome(_WithoutTranspose)),
                Mistake(
                    "the heads are interleaved: each head's d_head numbers should stay next to each other",
                    wrong=_outcome(_Interleaved),
                ),
                Mistake(
                    "the heads are not split: that is one head as wide as the model", wrong=_outcome(_UnsplitHeads)
                ),
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
            id="lab03.q3",
            title="The block",
            name="Block",
            points=1,
            difficulty=3,
            minutes=10,
            printed=True,
            recipe=run_layer,
            uses=("lab03.q1", "lab03.q2"),
            cases=(
                Case("output and gradient", inputs=layer_input, expected=_outcome(ReferenceBlock), separates=_BLOCKS),
            ),
            mistakes=(
                CUT_OFF,
                Mistake(
                    "that is post-norm (the original Transformer): here the norm goes in front of each part",
                    wrong=_outcome(_PostNorm),
                ),
                Mistake(
                    "the stream itself got normalised: add the result to x, not to norm(x)",
                    wrong=_outcome(_NormInTheStream),
                ),
                Mistake(
                    "both residual paths are missing: add each part's result to what came in",
                    wrong=_outcome(_NoResidual),
                ),
                Mistake("the residual path around attention is missing", wrong=_outcome(_NoResidualAtAttention)),
                Mistake("the residual path around the MLP is missing", wrong=_outcome(_NoResidualAtMLP)),
                Mistake("the parts should read a normalised copy of the stream", wrong=_outcome(_NoNorm)),
                Mistake("the MLP has a norm of its own, norm2", wrong=_outcome(_OneNorm)),
                Mistake(
                    "the MLP should read the stream after attention has been added to it", wrong=_outcome(_Parallel)
                ),
            ),
        ),
        Question(
            id="lab03.q4",
            title="The loss, with padding",
            name="next_token_loss",
            points=2,
            difficulty=3,
            minutes=12,
            recipe=run_loss,
            cases=(
                Case("no padding", inputs=logits_and_ids, expected=loss_with(loss), separates=_ALWAYS),
                Case(
                    "rows that end in padding",
                    inputs=padded,
                    expected=loss_with(loss),
                    separates=(*_ALWAYS, _pads_counted, _pads_in_the_mean, _pads_by_input),
                ),
            ),
            mistakes=(
                CUT_OFF,
                Mistake("shift by one: position t should be judged on token t + 1", wrong=_unshifted),
                Mistake("shifted the wrong way: position t is judged on token t - 1", wrong=_backwards),
                Mistake("return the mean over predictions, not the sum", wrong=_summed),
                Mistake(
                    "torch.roll wraps around: the last position has no next token and should not be judged",
                    wrong=_rolled,
                ),
                Mistake(
                    "shift within each row, then flatten: here the last token of a row predicts the next row's first",
                    wrong=_flat_then_shifted,
                ),
                Mistake("cross_entropy takes logits: the softmax is inside it already", wrong=_of_probabilities),
                Mistake("a row of T tokens has T - 1 predictions: divided by T", wrong=_over_t),
                Mistake("is pad used? Padding is no token to predict", wrong=_pads_counted),
                Mistake(
                    "padding is left out of the sum but counted in the mean: divide by the predictions that remain",
                    wrong=_pads_in_the_mean,
                ),
                Mistake("a prediction is left out if its target is padding, not if its input is", wrong=_pads_by_input),
            ),
        ),
        Question(
            id="lab03.q5",
            title="Temperature and top-p",
            name="next_token_probabilities",
            points=3,
            difficulty=3,
            minutes=18,
            cases=(
                Case("plain softmax by default", inputs=logits_only, expected=probabilities),
                Case(
                    "top_p alone",
                    inputs=logits_and_p,
                    expected=probabilities,
                    separates=(_not_renormalised, _all_kept, _too_few, _left_sorted, _zero_logits),
                ),
                Case(
                    "temperature and top_p",
                    inputs=logits_temperature_p,
                    expected=probabilities,
                    separates=_NUCLEUS,
                ),
            ),
            mistakes=(
                Mistake("divide the logits by the temperature, do not multiply", wrong=_multiplied),
                Mistake("what is kept should sum to 1 again", wrong=_not_renormalised),
                Mistake("is top_p used?", wrong=_all_kept),
                Mistake(
                    "the token with which the sum reaches top_p is kept as well (so there is always one)",
                    when=_keeps_fewer,
                ),
                Mistake("the probabilities come out sorted: put them back where their tokens are", wrong=_left_sorted),
                Mistake(
                    "a logit of 0 is not a probability of 0: put minus infinity where a token is not allowed",
                    wrong=_zero_logits,
                ),
                Mistake(
                    "choose what to keep from the probabilities after the temperature",
                    wrong=_chosen_without_temperature,
                ),
            ),
        ),
        Question(
            id="lab03.q6",
            title="Test somebody else's batches",
            name="holds",
            kind="test",
            examples="examples",
            points=3,
            difficulty=3,
            minutes=15,
            valid=text_context_rows,
            right=(
                Subject("random places", random_places),
                Subject("places in order", in_order),
                Subject("places from the end", from_the_end),
            ),
            wrong=(
                Subject("does not shift the targets", not_shifted),
                Subject("shifts the targets by two", shifted_by_two),
                Subject("puts a row's first token at the end of its targets", rolled_targets),
                Subject("goes on at the beginning where the text ends", round_the_end),
            ),
        ),
        Question(
            id="lab03.q7",
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
            "lab03.p1",
            "Validation loss before training",
            name="predicted_loss",
            number=Number(0.5, 5, unit="nats per character"),
        ),
        Ungraded("lab03.t1", "Read your own plot", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab03.c1",
            "Lowest validation loss in 60 seconds",
            name="best_loss",
            kind="challenge",
            number=Number(0.5, 5, unit="nats per character"),
            baseline=1.75,
            seconds=60,
        ),
    ),
)
