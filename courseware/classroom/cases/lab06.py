"""Lab 06: a router, the balancing loss, grouped dispatch, places of an expert, counting, a mixture within budgets, a test
of assignments, a training run that went wrong."""

import functools
import itertools
import math

import torch
import torch.nn.functional as F

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
)

# ------------------------------------------------------------------------------------------------------- 1: a router


def some_logits(draw: Draw) -> tuple:
    """No bias; two or more experts a token."""
    k = 2 + draw.integer(0, 2)
    return draw.normal(3 + draw.integer(0, 5), k + 2 + draw.integer(0, 4)), k, None


def with_a_bias(draw: Draw) -> tuple:
    """A bias that changes choices."""
    logits, k, _ = some_logits(draw)
    return logits, k, draw.uniform(logits.shape[1], low=-0.4, high=0.4)


def one_expert(draw: Draw) -> tuple:
    logits, *_ = some_logits(draw)
    bias = draw.uniform(logits.shape[1], low=-0.3, high=0.3)
    return logits, 1, draw.choice([None, bias])


def all_experts(draw: Draw) -> tuple:
    logits, *_ = some_logits(draw)
    return logits, logits.shape[1], None


def run_route(student, logits, top_k, bias):
    """Recipe: the experts, their weights, and the gradient of a sum of the weights in the logits."""
    logits = logits.clone().requires_grad_()
    experts, weights = student(logits, top_k, None if bias is None else bias.clone())
    gradient = torch.zeros_like(logits)
    if weights.requires_grad:
        ranks = torch.arange(1.0, weights.shape[-1] + 1)
        gradient = torch.autograd.grad((weights * ranks).sum(), logits)[0]
    return {"experts": experts.long(), "weights": weights.detach(), "gradient": gradient}


def route(logits, top_k, bias, slip=""):
    """Experts (N, k), best first, and weights (N, k), or those of a slip."""
    probabilities = logits.softmax(0 if slip == "tokens" else -1)
    if slip == "sigmoid":
        probabilities = logits.sigmoid()
    if slip == "twice":
        probabilities = probabilities.softmax(-1)
    if slip == "logits":
        probabilities = logits
    scores = probabilities if bias is None or slip == "no bias" else probabilities + bias
    if slip == "bias on logits" and bias is not None:
        scores = logits + bias
    experts = scores.topk(top_k, dim=-1, largest=slip != "lowest").indices
    if slip == "by number":
        experts = experts.sort(-1).values
    elif slip == "worst first":
        experts = experts.flip(-1)
    if slip == "by weight":  # chosen with the bias, but listed without it
        chosen = probabilities.gather(-1, experts)
        experts = experts.gather(-1, chosen.argsort(-1, descending=True))
    source = {"bias in weights": scores, "bias on logits, weights": scores}.get(slip, probabilities)
    if slip == "biased softmax" and bias is not None:
        source = (logits + bias).softmax(-1)
        experts = source.topk(top_k, dim=-1).indices
    weights = source.gather(-1, experts)
    if slip == "even":
        return experts, torch.full_like(weights, 1 / top_k)
    if slip == "exponentials":
        return experts, weights.softmax(-1)
    if slip == "one of one" or (top_k > 1 and slip != "not divided"):
        weights = weights / weights.sum(-1, keepdim=True)
    return experts, weights.detach() if slip == "detached" else weights


@functools.cache
def _routed(slip: str):
    return lambda *inputs: run_route(functools.partial(route, slip=slip), *inputs)


ROUTE_SLIPS = {
    "bias in weights": "the bias goes into the choice alone: the weights are made of the probabilities without it",
    "biased softmax": "the bias is added to the probabilities, for the choice, not to the logits, where it gets into the weights",
    "bias on logits": "the bias is added to the probabilities, not to the logits: the choice differs",
    "no bias": "is the bias used? It decides who is chosen",
    "by weight": "the order is that of the choice, probability and bias together, also where the weights are ordered otherwise",
    "tokens": "the softmax runs over tokens: the experts of one token compete, so it runs over the last axis",
    "not divided": "the weights of the chosen are divided by their sum where there are two or more",
    "one of one": "with one expert the weight stays its probability: divided by itself it is 1 whatever the router says, and the router learns nothing",
    "even": "the chosen are weighed by their probabilities, not evenly",
    "exponentials": "the weights are softmaxed once more: divide them by their sum",
    "twice": "the softmax is taken twice",
    "sigmoid": "a softmax is asked for, in which the experts of a token compete; a sigmoid judges each alone",
    "logits": "the weights are made of logits, which may be negative: probabilities are asked for",
    "lowest": "those are the least probable experts",
    "by number": "the best expert comes first: yours are in the order of their numbers",
    "worst first": "the best expert comes first, not last",
    "detached": "no gradient goes through the weights, and by them alone does the router learn from the text",
}
_BIASED = tuple(
    _routed(s) for s in ("bias in weights", "biased softmax", "bias on logits", "no bias", "by weight", "tokens")
)
_UNBIASED = tuple(
    _routed(s)
    for s in (
        "tokens", "not divided", "even", "exponentials", "twice", "sigmoid", "logits", "lowest", "by number",
        "worst first", "detached",
    )
)  # fmt: skip


def _wrong_axis(value, logits, top_k, bias) -> bool:
    return isinstance(value, dict) and tuple(value["experts"].shape) == (top_k, logits.shape[1]) != (len(logits), top_k)


# ------------------------------------------------------------------------------------------------ 2: the balancing loss


def _chosen(draw: Draw, n: int, n_experts: int, k: int, skew: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (n, n_experts) with favourites, and the k experts of each token."""
    favours = draw.normal(n_experts, scale=skew)
    probabilities = (draw.normal(n, n_experts) + favours).softmax(-1)
    return probabilities, probabilities.topk(k, dim=-1).indices


def some_choices(draw: Draw) -> tuple:
    k = 2 + draw.integer(0, 2)
    return _chosen(draw, 5 + draw.integer(0, 8), k + 2 + draw.integer(0, 4), k)


def one_choice(draw: Draw) -> tuple:
    return _chosen(draw, 5 + draw.integer(0, 8), 3 + draw.integer(0, 4), 1)


def an_expert_without_tokens(draw: Draw) -> tuple:
    """The last expert is chosen by nobody, and still counts among the experts."""
    logits = draw.normal(5 + draw.integer(0, 5), 4 + draw.integer(0, 3))
    logits[:, -1] -= 8.0
    probabilities = logits.softmax(-1)
    return probabilities, probabilities.topk(2, dim=-1).indices


def chosen_with_a_bias(draw: Draw) -> tuple:
    """The experts that were chosen are not the most probable ones."""
    k = 2
    probabilities, _ = _chosen(draw, 6 + draw.integer(0, 6), 4 + draw.integer(0, 3), k)
    bias = draw.uniform(probabilities.shape[1], low=-0.4, high=0.4)
    return probabilities, (probabilities + bias).topk(k, dim=-1).indices


def run_balancing(student, probabilities, experts):
    """Recipe: the loss, and its gradient in the probabilities."""
    probabilities = probabilities.clone().requires_grad_()
    loss = student(probabilities, experts.clone())
    gradient = torch.zeros_like(probabilities)
    if loss.requires_grad:
        gradient = torch.autograd.grad(loss, probabilities)[0]
    return {"loss": loss.detach(), "gradient": gradient}


def balancing_loss(probabilities, experts, slip=""):
    """The loss, or that of a slip."""
    n, E = probabilities.shape
    if slip == "first only":
        experts = experts[:, :1]
    if slip == "most probable":
        experts = probabilities.topk(experts.shape[1], dim=-1).indices
    counts = F.one_hot(experts, E).sum((0, 1)).float()
    f = counts / (n if slip == "per token" else counts.sum())
    p = probabilities.mean(0)
    if slip == "sum":
        p = probabilities.sum(0)
    elif slip == "chosen only":
        p = (probabilities * F.one_hot(experts, E).sum(1)).mean(0)
    if slip == "detached":
        p = p.detach()
    elif slip == "probabilities twice":
        f = p
    elif slip == "counts twice":
        p = f
    elif slip == "both have gradient":
        f = f + p - p.detach()
    elif slip == "counts":
        f = counts
    loss = (f * p).sum() * (1 if slip == "no E" else E)
    if slip == "used experts":
        loss = loss / E * (counts > 0).sum()
    if slip == "variance":
        return E * ((f - 1 / E) * (p - 1 / E)).sum()
    return {"less 1": loss - 1, "sign": -loss, "root": loss.log()}.get(slip, loss)


@functools.cache
def _balanced(slip: str):
    return lambda *inputs: run_balancing(functools.partial(balancing_loss, slip=slip), *inputs)


BALANCING_SLIPS = {
    "no E": "the factor of the number of experts is missing: an even load gives 1",
    "per token": "with k experts a token the shares add up to k: divide by the number of all choices, so that an even load gives 1",
    "counts": "f is a share of the choices: divide the counts by their sum",
    "first only": "all choices count, the second ones too",
    "most probable": "count the experts that were given: a bias may have changed the choice, and then they are not the most probable ones",
    "sum": "P is a mean over tokens, not a sum: the loss must not grow with the batch",
    "chosen only": "P is the mean over all tokens, also over those that did not choose the expert",
    "detached": "the value is right, but no gradient goes through the probabilities, and the router is moved by that alone",
    "probabilities twice": "the share of the choices is a count: yours is the mean probability twice over",
    "counts twice": "that is made of counts alone, which have no gradient: the second factor is the mean probability",
    "both have gradient": "the shares of the choices are counts and have no gradient; only the mean probabilities have one",
    "used experts": "all experts count, the one that nobody chose too",
    "less 1": "an even load gives 1, not 0: nothing is taken off",
    "variance": "an even load gives 1, not 0: nothing is taken off",
    "sign": "that has the opposite sign, and would reward a collapse",
}
_EVERY = tuple(
    _balanced(s)
    for s in (
        "no E", "per token", "counts", "first only", "sum", "chosen only", "detached", "probabilities twice",
        "counts twice", "both have gradient", "less 1", "variance", "sign",
    )
)  # fmt: skip

# ---------------------------------------------------------------------------------------------- 3: grouped dispatch


def some_tokens(draw: Draw, n: int | None = None, k: int | None = None, used: int | None = None) -> tuple:
    """x, experts, weights, and the matrices of the experts: some of these are used, some may not be."""
    k, d = k or 2, 2 + draw.integer(0, 4)
    E = k + 2 + draw.integer(0, 3)
    n = n or 4 + draw.integer(0, 6)
    used = used or E
    order = torch.from_numpy(draw.numpy.permutation(E)[:used].copy())
    picks = torch.stack([torch.from_numpy(draw.numpy.permutation(used)[:k].copy()) for _ in range(n)])
    weights = draw.uniform(n, k, low=0.1, high=1.0)
    weights = (weights / weights.sum(1, keepdim=True)).sort(1, descending=True).values
    return draw.normal(n, d), order[picks], weights, draw.normal(E, d, 3), draw.normal(E, 3, d)


def three_each(draw: Draw) -> tuple:
    return some_tokens(draw, k=3)


def one_each(draw: Draw) -> tuple:
    x, experts, weights, up, down = some_tokens(draw, k=1)
    return x, experts, draw.uniform(*weights.shape, low=0.2, high=0.9), up, down


def some_unused(draw: Draw) -> tuple:
    return some_tokens(draw, used=2)


def dropped_choices(draw: Draw) -> tuple:
    """Choices that found no place have weight 0 and are not run; the others are not raised for that."""
    x, experts, weights, up, down = some_tokens(draw, n=6 + draw.integer(0, 4))
    weights = weights * torch.from_numpy(draw.numpy.random(weights.shape) < 0.6).float()
    weights[0, 0], weights[1, 1] = 0.0, 0.3
    return x, experts, weights, up, down


def run_dispatch(student, x, experts, weights, up, down):
    """Recipe: the output, two gradients, and for each network how often it was run and on how many tokens."""
    x, weights = x.clone().requires_grad_(), weights.clone().requires_grad_()
    runs, rows = [0] * len(up), [0] * len(up)

    def network(i):
        def run(tokens):
            count = 1 if tokens.dim() == 1 else len(tokens)
            runs[i] += count > 0
            rows[i] += count
            return torch.tanh(tokens @ up[i]) @ down[i]

        return run

    out = student(x, experts.clone(), weights, [network(i) for i in range(len(up))])
    target = torch.linspace(-1, 1, out.numel()).view(out.shape)
    gradients = [torch.zeros_like(x), torch.zeros_like(weights)]
    if out.requires_grad:
        found = torch.autograd.grad((out * target).sum(), (x, weights), allow_unused=True)
        gradients = [zero if g is None else g for zero, g in zip(gradients, found)]
    return {
        "output": out.detach(),
        "gradient of x": gradients[0],
        "gradient of weights": gradients[1],
        "runs": runs,
        "tokens": rows,
    }


def dispatch(x, experts, weights, networks, slip=""):
    """The weighted sum, each expert run once on its tokens, or that of a slip."""
    n, k = experts.shape
    if slip == "every token":
        every = torch.stack([network(x) for network in networks], 1)
        return (every[torch.arange(n)[:, None], experts] * weights[..., None]).sum(1)
    if slip == "token by token":
        served = lambda i: [j for j in range(k) if weights[i, j] != 0]
        rows = [
            sum((weights[i, j] * networks[experts[i, j]](x[i : i + 1]) for j in served(i)), 0 * x[i : i + 1])
            for i in range(n)
        ]
        return torch.cat(rows)
    if slip == "choice by choice":
        out = torch.zeros_like(x)
        for j in range(k):
            for e, network in enumerate(networks):
                here = ((experts[:, j] == e) & (weights[:, j] != 0)).nonzero()[:, 0]
                if len(here):
                    out = out.index_add(0, here, weights[here, j, None] * network(x[here]))
        return out
    if slip == "first only":
        experts, weights, k = experts[:, :1], weights[:, :1], 1
    out, made_of = torch.zeros_like(x), []
    flat = weights.flatten()
    seen = 0
    for e, network in enumerate(networks):
        served = experts.flatten() == e
        if slip != "dropped too":
            served = served & (flat != 0)
        here = served.nonzero()[:, 0]
        if not len(here):
            continue
        rows = here % n if slip == "wrong token" else here // k
        weight = flat[seen : seen + len(here)] if slip == "weights in order" else flat[here]
        seen += len(here)
        if slip == "weight of the first":
            weight = weights[rows, 0]
        elif slip in ("unweighted", "mean"):
            weight = torch.ones_like(weight) / (k if slip == "mean" else 1)
        elif slip == "detached":
            weight = weight.detach()
        tokens = x[rows].detach() if slip == "x detached" else x[rows]
        made = network(weight[:, None] * tokens) if slip == "weighs inputs" else weight[:, None] * network(tokens)
        if slip == "overwrites":
            out = out.index_copy(0, rows, made)
        else:
            out = out.index_add(0, rows, made)
        made_of.append(made)
    if slip == "not put back":
        made = torch.cat(made_of)
        out = torch.zeros_like(x).index_add(0, torch.arange(len(made)) // k, made)
    elif slip == "not put back, columns":
        made = torch.cat(made_of)
        out = torch.zeros_like(x).index_add(0, torch.arange(len(made)) % n, made)
    if slip == "divided":
        out = out / weights.sum(1, keepdim=True).clamp(min=1e-9)
    return out


@functools.cache
def _sent(slip: str):
    return lambda *inputs: run_dispatch(functools.partial(dispatch, slip=slip), *inputs)


DISPATCH_SLIPS = {
    "every token": "every expert is run on every token, and most of that is thrown away: each is to see its own tokens alone",
    "token by token": "the experts are run once for every token: sort, and each runs once on all of its tokens",
    "choice by choice": "an expert is run once for the first choices and once more for the second: put both together, and run it once",
    "overwrites": "a token's experts add up: the later one has overwritten the earlier one",
    "not put back": "what the experts made stands in the order of the experts: put it back to the tokens it was made of",
    "not put back, columns": "what the experts made stands in the order of the experts: put it back to the tokens it was made of",
    "wrong token": "which token does a place of the flattened choices belong to? Flattened row by row, place i is token i // k",
    "weights in order": "the weights must be sorted along with their tokens",
    "weight of the first": "each of a token's experts has a weight of its own: yours is that of the first, for all",
    "unweighted": "the weights are not used",
    "mean": "the weights are not used: that is the mean of the experts",
    "weighs inputs": "the weight multiplies what the expert made, not what it reads",
    "first only": "a token's second expert is missing",
    "dropped too": "a choice of weight 0 was dropped: its expert is not run on that token",
    "detached": "no gradient goes to the weights, by which the router learns",
    "x detached": "no gradient goes through the experts to x",
}
_TWO_EACH = tuple(_sent(s) for s in DISPATCH_SLIPS if s != "dropped too")

# ------------------------------------------------------------------------------------------------ 4: places of an expert


def crowded(draw: Draw) -> tuple:
    """Two choices, some experts much wanted."""
    E, n = draw.choice([4, 8]), 8 + draw.integer(0, 9)
    return _chosen(draw, n, E, 2, skew=1.5)[1], E, draw.choice([0.5, 0.75, 1.0, 1.25])


def not_whole(draw: Draw) -> tuple:
    """The even share is no whole number: it is rounded up."""
    E, n = draw.choice([4, 8]), 5 + 2 * draw.integer(0, 5)
    return _chosen(draw, n, E, draw.choice([2, 3]), skew=1.5)[1], E, draw.choice([0.75, 1.25, 1.5])


def single_choices(draw: Draw) -> tuple:
    return _chosen(draw, 8 + draw.integer(0, 9), 4, 1, skew=1.5)[1], 4, draw.choice([0.5, 1.0])


def room_for_all(draw: Draw) -> tuple:
    E = draw.choice([4, 8])
    return _chosen(draw, 5 + draw.integer(0, 6), E, 2)[1], E, float(E)


def run_keep(student, experts, n_experts, factor):
    """Recipe: which choices are kept."""
    return torch.as_tensor(student(experts.clone(), n_experts, factor))


def keep(experts, n_experts, factor, slip=""):
    """(N, k) bool: the choices that find a place, or those of a slip."""
    n, k = experts.shape
    share = {"one choice": n / n_experts, "all tokens": n * k}.get(slip, n * k / n_experts)
    places = math.floor(factor * share) if slip == "rounded down" else math.ceil(factor * share)
    places += {"one more": 1, "one fewer": -1}.get(slip, 0)
    if slip == "no factor":
        places = math.ceil(share)
    order = [(j, i) for j in range(k) for i in range(n)]
    if slip == "token by token":
        order = [(j, i) for i in range(n) for j in range(k)]
    elif slip == "second first":
        order = [(j, i) for j in reversed(range(k)) for i in range(n)]
    elif slip == "last come":
        order = [(j, i) for j in range(k) for i in reversed(range(n))]
    elif slip == "all reversed":
        order = order[::-1]
    taken: dict = {}
    kept = torch.zeros(n, k, dtype=torch.bool)
    for j, i in order:
        e = int(experts[i, j])
        at = (e, j) if slip == "each rank" else 0 if slip == "together" else e
        kept[i, j] = taken.get(at, 0) < places
        taken[at] = taken.get(at, 0) + 1
    if slip == "whole token":
        kept = kept.all(1, keepdim=True).expand(n, k).clone()
    elif slip == "either":
        kept = kept.any(1, keepdim=True).expand(n, k).clone()
    elif slip == "dropped":
        kept = ~kept
    return kept


@functools.cache
def _kept(slip: str):
    return lambda *inputs: run_keep(functools.partial(keep, slip=slip), *inputs)


KEEP_SLIPS = {
    "token by token": "all first choices come before any second choice: yours go token by token",
    "second first": "first choices come before second ones, not after them",
    "last come": "of the same choice the earlier token comes first: yours are the last ones to come",
    "all reversed": "first choices come first, and earlier tokens before later ones: yours go in the opposite order",
    "each rank": "an expert has so many places in all: yours has as many again for the second choices",
    "together": "each expert has places of its own: yours share them",
    "whole token": "a token that loses one choice keeps the other, if there is a place for that",
    "either": "a choice that found no place is dropped, also where the token's other one was kept",
    "rounded down": "the number of places is rounded up",
    "one more": "one too many: an expert with as many tokens as places is full",
    "one fewer": "one too few: the last place is taken too",
    "one choice": "each token makes k choices: the even share is N * k / n_experts",
    "all tokens": "factor is one of an even share: divide by the number of experts",
    "no factor": "is the factor used?",
    "dropped": "True is for what is kept: those are the dropped ones",
}
_CROWDED = tuple(
    _kept(s)
    for s in (
        "token by token", "second first", "last come", "all reversed", "each rank", "together", "whole token", "either",
        "one more", "one fewer", "one choice", "dropped",
    )
)  # fmt: skip
_NOT_WHOLE = tuple(_kept(s) for s in ("rounded down", "no factor", "all tokens", "token by token"))


def _tokens_only(value, experts, n_experts, factor) -> bool:
    return getattr(value, "shape", None) is not None and tuple(value.shape) == (len(experts),)


# ------------------------------------------------------------------------------------------------------- 5: counting


def a_model(draw: Draw, shared: int | None = None) -> dict:
    k = 2 + draw.integer(0, 3)
    d = 64 * (2 + draw.integer(0, 4))
    return {
        "layers": 2 + draw.integer(0, 6),
        "d_model": d,
        "d_kv": d // draw.choice([2, 4]),
        "d_expert": 32 * (3 + draw.integer(0, 9)),
        "experts": k * draw.choice([3, 4, 8]),
        "top_k": k,
        "shared": 1 + draw.integer(0, 2) if shared is None else shared,
        "vocabulary": 1_000 * (1 + draw.integer(0, 9)),
        "bytes": draw.choice([2, 4]),
    }


def with_shared_experts(draw: Draw) -> tuple:
    return a_model(draw), draw.choice([4, 8, 16])


def like_mixtral(draw: Draw) -> tuple:
    return a_model(draw, shared=0), draw.choice([2, 3, 5])


def one_token(draw: Draw) -> tuple:
    return a_model(draw), 1


def run_count(student, config, batch):
    """Recipe: the four counts as numbers."""
    found = student(dict(config), batch)
    return {name: float(found[name]) for name in ("total", "active", "flops", "bytes")}


def count(config, batch, slip=""):
    """Parameters, operations and bytes of a mixture, or those of a slip."""
    L, d, E, k = (config[name] for name in ("layers", "d_model", "experts", "top_k"))
    expert = (2 if slip == "two matrices" else 3) * d * config["d_expert"]
    attention = (4 * d * d) if slip == "no grouping" else 2 * d * d + 2 * d * config["d_kv"]
    router = {"no router": 0, "router of the chosen": d * k, "one router": d * E / L}.get(slip, d * E)
    shared = 0 if slip == "no shared" else config["shared"]
    table = config["vocabulary"] * d
    tables = {"one table": 1, "no tables": 0}.get(slip, 2) * table
    always = L * (attention + router + shared * expert)  # what every token meets, but the tables
    total = always + tables + L * E * expert
    active = always + tables + L * k * expert
    if slip == "one expert in all":
        total = always + tables + L * expert
    elif slip == "all active":
        active = total
    elif slip == "experts active":
        active = L * (k + shared) * expert
    elif slip == "active without tables":
        active = active - tables
    elif slip == "share of everything":
        active = total * k / E
    multiplied = active - (0 if slip == "lookup multiplied" else table)
    flops = {"one each": 1, "training": 6}.get(slip, 2) * multiplied
    if slip == "all multiplied":
        flops = 2 * (total - table)
    elif slip == "flops of the batch":
        flops = flops * batch
    met = E * (1 - (1 - k / E) ** batch)
    if slip == "all met":
        met = E
    elif slip == "no overlap":
        met = k * batch
    elif slip == "capped":
        met = min(E, k * batch)
    elif slip == "top k met":
        met = k
    elif slip == "single draws":
        met = E * (1 - (1 - 1 / E) ** (k * batch))
    weights = always + table + L * met * expert
    if slip == "experts read only":
        weights = L * (met + shared) * expert
    elif slip == "table read":
        weights = weights + table
    read = weights * config["bytes"] / batch
    if slip == "of the pass":
        read = read * batch
    elif slip == "weights for bytes":
        read = read / config["bytes"]
    elif slip == "only experts shared":
        read = (always + table + L * met * expert / batch) * config["bytes"]
    return {"total": total, "active": active, "flops": flops, "bytes": read}


@functools.cache
def _counted(slip: str):
    return lambda *inputs: run_count(functools.partial(count, slip=slip), *inputs)


COUNT_SLIPS = {
    "two matrices": "a SwiGLU has three matrices, not two",
    "no grouping": "keys and values are d_kv wide, so that two of attention's four matrices are smaller",
    "no router": "each layer has a router too, with a row of d_model weights for each expert",
    "router of the chosen": "the router gives every expert a logit, not only the chosen ones",
    "one router": "each layer has a router of its own",
    "no shared": "shared experts are experts beside the others, and every token meets them",
    "one table": "embedding and head are two tables here",
    "no tables": "embedding and head are parameters too",
    "one expert in all": "all experts are stored, whoever meets them",
    "all active": "a token meets top_k of the experts, not all of them",
    "experts active": "a token meets attention, router and both tables as well as its experts",
    "active without tables": "active are all parameters but those of the experts that a token does not meet: embedding and head too",
    "share of everything": "only the experts are divided among the tokens: every token meets attention, router and tables whole",
    "lookup multiplied": "from the embedding a token takes a row: nothing is multiplied with it",
    "one each": "a weight costs two operations, a multiplication and an addition",
    "training": "that is the cost of training; forward alone it is two operations a weight",
    "all multiplied": "only the weights that a token meets cost operations",
    "flops of the batch": "flops are those of one token, not of the batch",
    "all met": "a small batch does not meet all experts: count those that are expected",
    "no overlap": "several tokens may choose the same expert, whose weights are read once",
    "capped": "several tokens may choose the same expert, long before all are met: what is the chance that nobody chooses it?",
    "top k met": "the tokens of a batch choose different experts: with the batch, more of them are met",
    "single draws": "the k experts of a token differ: it misses an expert with probability 1 - k/E, not (1 - 1/E)**k",
    "experts read only": "attention, router and head are read as well",
    "table read": "the embedding is not read whole: it is left out",
    "of the pass": "bytes are those of one token: what the pass reads is divided by the batch",
    "weights for bytes": "a weight has config['bytes'] bytes",
    "only experts shared": "whatever is read in a pass serves all tokens of the batch, attention and head too",
}
_COUNTS = tuple(_counted(s) for s in COUNT_SLIPS)

# -------------------------------------------------------------------------------------------- 6: a mixture within budgets

LAYERS, D_MODEL, VOCABULARY = 16, 1_024, 32_000
FIELDS = ("experts", "top_k", "d_expert")


def a_mixture(design: object) -> str | None:
    if not isinstance(design, dict) or set(design) != set(FIELDS):
        return f"give a dict with the keys {', '.join(FIELDS)}"
    if not all(type(value) is int and 1 <= value <= 100_000 for value in design.values()):
        return "every value is a whole number from 1 to 100,000"
    return None if design["top_k"] <= design["experts"] else "top_k is at most the number of experts"


def counted(design: dict, batch: int = 1) -> dict[str, float]:
    fixed = {"layers": LAYERS, "d_model": D_MODEL, "d_kv": D_MODEL, "shared": 0, "vocabulary": VOCABULARY, "bytes": 2}
    return count(fixed | design, batch)


BUDGETS = (
    Budget("all weights in memory", "GB", 8, lambda design: counted(design)["total"] * 2 / 1e9),
    Budget("read for a token, batch of 1", "GB", 0.35, lambda design: counted(design, 1)["bytes"] / 1e9),
    Budget("read for a token, batch of 16", "GB", 0.13, lambda design: counted(design, 16)["bytes"] / 1e9),
    Budget("sent for a token", "kB", 270, lambda design: 2 * design["top_k"] * LAYERS * D_MODEL * 2 / 1e3),
    Budget("experts to each that is chosen", "", 64, lambda design: design["experts"] / design["top_k"]),
    Budget("width of an expert", "", 512, lambda design: design["d_expert"]),
)

# ------------------------------------------------------------------------------------------------ 7: a test of assignments


def a_batch(probabilities: object, top_k: object, capacity: object) -> str | None:
    """What an example may be: 2 to 12 tokens, 2 to 6 experts."""
    if not isinstance(probabilities, list) or not 2 <= len(probabilities) <= 12:
        return "probabilities is a list of 2 to 12 rows, one for each token"
    if not all(isinstance(row, list) and len(row) == len(probabilities[0]) for row in probabilities):
        return "the rows are lists of equal length"
    if not 2 <= len(probabilities[0]) <= 6:
        return "there are 2 to 6 experts"
    for row in probabilities:
        if not all(type(p) in (int, float) and 0.01 <= p <= 0.99 for p in row):
            return "a probability is a number from 0.01 to 0.99"
        if abs(sum(row) - 1) > 1e-6:
            return "the probabilities of a token add up to 1"
        if min(b - a for a, b in itertools.pairwise(sorted(row))) < 0.009:
            return "the probabilities of a token differ by at least 0.01"
    if type(top_k) is not int or not 1 <= top_k <= len(probabilities[0]):
        return "top_k is a whole number from 1 to the number of experts"
    if type(capacity) is not int or not 1 <= capacity <= len(probabilities):
        return "capacity is a whole number from 1 to the number of tokens"
    return None


def _best(row, k):
    return sorted(range(len(row)), key=lambda e: -row[e])[:k]


def _assigned(probabilities, top_k, capacity, order=None, over="chosen", weigh=None):
    """Places given in the order of key(token, rank, probability); weights divided by the sum of the chosen or kept."""
    order = order or (lambda i, j, p: (j, i))
    wanted = [(i, j, e) for i, row in enumerate(probabilities) for j, e in enumerate(_best(row, top_k))]
    wanted.sort(key=lambda w: order(w[0], w[1], probabilities[w[0]][w[2]]))
    taken: dict = {}
    kept: list = [[] for _ in probabilities]
    for i, _, e in wanted:
        if taken.get(e, 0) < capacity:
            taken[e] = taken.get(e, 0) + 1
            kept[i].append(e)
    return [_weighed(row, experts, top_k, over) for row, experts in zip(probabilities, kept)]


def _weighed(row, experts, top_k, over="chosen"):
    total = sum(row[e] for e in (_best(row, top_k) if over == "chosen" else experts)) or 1.0
    return [[e, row[e] / total] for e in experts]


def first_choices_first(probabilities, top_k, capacity):
    return _assigned(probabilities, top_k, capacity)


def token_by_token(probabilities, top_k, capacity):
    return _assigned(probabilities, top_k, capacity, order=lambda i, j, p: (i, j))


def surest_first(probabilities, top_k, capacity):
    return _assigned(probabilities, top_k, capacity, order=lambda i, j, p: -p)


def last_tokens_first(probabilities, top_k, capacity):
    found = _assigned(probabilities, top_k, capacity, order=lambda i, j, p: (j, -i), over="kept")
    return [row[::-1] for row in found]


def kept_make_up(probabilities, top_k, capacity):
    return _assigned(probabilities, top_k, capacity, over="kept")


def sends_on(probabilities, top_k, capacity):
    """Who finds an expert full goes to the next most probable one."""
    taken: dict = {}
    kept = []
    for row in probabilities:
        experts = []
        for e in _best(row, len(row)):
            if len(experts) < top_k and taken.get(e, 0) < capacity:
                taken[e] = taken.get(e, 0) + 1
                experts.append(e)
        kept.append(_weighed(row, experts, top_k, "kept"))
    return kept


def each_rank(probabilities, top_k, capacity):
    """As many places for second choices as for first ones."""
    out: list = [[] for _ in probabilities]
    for j in range(top_k):
        taken: dict = {}
        for i, row in enumerate(probabilities):
            e = _best(row, top_k)[j]
            if taken.get(e, 0) < capacity:
                taken[e] = taken.get(e, 0) + 1
                out[i].append(e)
    return [_weighed(row, experts, top_k) for row, experts in zip(probabilities, out)]


def whole_tokens(probabilities, top_k, capacity):
    """A token is served by all of its experts or by none."""
    taken: dict = {}
    out = []
    for row in probabilities:
        experts = _best(row, top_k)
        if any(taken.get(e, 0) >= capacity for e in experts):
            experts = []
        for e in experts:
            taken[e] = taken.get(e, 0) + 1
        out.append(_weighed(row, experts, top_k))
    return out


def one_place_more(probabilities, top_k, capacity):
    return _assigned(probabilities, top_k, capacity + 1)


def weighs_evenly(probabilities, top_k, capacity):
    return [[[e, 1 / top_k] for e, _ in row] for row in _assigned(probabilities, top_k, capacity)]


def does_not_divide(probabilities, top_k, capacity):
    found = _assigned(probabilities, top_k, capacity)
    return [[[e, row[e]] for e, _ in kept] for row, kept in zip(probabilities, found)]


# --------------------------------------------------------------------------------------------- 8: a run that went wrong

BASELINE = 2.49  # nats a character; the balancing loss, as the notebook's last code cell measures it

FAULTS = {
    "A": "the weights of the experts are detached from the graph",
    "B": "the balancing loss is subtracted",
    "C": "the weights of the chosen are not divided by their sum",
    "D": "each character is sent to one expert, and its weight divided by the sum",
    "E": "an expert takes half of its even share, and drops the rest",
    "F": "the balancing loss is weighed with 20 in place of 0.02",
    "G": "the probabilities are detached in the balancing loss",
    "H": "noise is added to the logits, and never taken away",
    "I": "the least probable experts are chosen",
    "J": "what the experts made is added up without being put back in order",
}
RUNS = ("b1", "d8", "e5", "g2", "j7", "m4", "p0", "s6", "v3", "x9")
OBSERVATIONS = {
    "a": "the least used expert gets less than half of an even share",
    "b": "the balancing loss is above 1.3",
    "c": "the entropy is above 90 % of the highest",
    "d": "the entropy is below 48 % of the highest",
    "e": "the highest probability is above 0.875 on average",
    "f": "the weights of a character add up to less than 0.9",
    "g": "the first weight is below 0.63",
    "h": "at most 1.02 experts are run for a character",
    "i": "more than 10 % of the characters are sent elsewhere when they are read again",
    "j": "the gradient of the text is below 0.00001",
    "k": "the gradient of the text is above 0.005",
    "l": "the gradient of the balancing is below 0.00001",
    "m": "the router's weights have moved by less than 0.033 on average",
    "n": "the router's weights have moved by more than 0.033 on average",
}

LAB = Lab(
    id="lab06",
    title="Mixture of experts",
    provides=("llmlib.data", "llmlib.text"),
    questions=(
        Question(
            id="lab06.q1",
            title="A router",
            name="route",
            points=3,
            difficulty=2,
            minutes=15,
            printed=True,
            recipe=run_route,
            hint="one token by hand: its probabilities, who is chosen, the probabilities of these, their sum",
            cases=(
                Case("two or three experts", inputs=some_logits, expected=_routed(""), separates=_UNBIASED),
                Case("a bias", inputs=with_a_bias, expected=_routed(""), separates=_BIASED),
                Case(
                    "one expert",
                    inputs=one_expert,
                    expected=_routed(""),
                    separates=(_routed("one of one"), _routed("detached")),
                ),
                Case("all experts", inputs=all_experts, expected=_routed("")),
            ),
            mistakes=(
                Mistake("the top_k are taken over tokens: take them over the last axis, the experts", when=_wrong_axis),
                *(Mistake(message, wrong=_routed(slip)) for slip, message in ROUTE_SLIPS.items()),
                Mistake("return two tensors: the experts, then their weights", error="to unpack"),
            ),
        ),
        Question(
            id="lab06.q2",
            title="The balancing loss",
            name="balancing_loss",
            points=3,
            difficulty=3,
            minutes=15,
            printed=True,
            recipe=run_balancing,
            hint="two experts and two tokens by hand: the shares of the choices, the mean probabilities, their products",
            cases=(
                Case("two or three choices a token", inputs=some_choices, expected=_balanced(""), separates=_EVERY),
                Case("one choice a token", inputs=one_choice, expected=_balanced("")),
                Case(
                    "an expert that nobody chose",
                    inputs=an_expert_without_tokens,
                    expected=_balanced(""),
                    separates=(_balanced("used experts"),),
                ),
                Case(
                    "chosen with a bias",
                    inputs=chosen_with_a_bias,
                    expected=_balanced(""),
                    separates=(_balanced("most probable"),),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_balanced(slip)) for slip, message in BALANCING_SLIPS.items()),
                Mistake(
                    "an expert that nobody chose has a count too, 0: tell bincount how many experts there are (minlength)",
                    error="must match the size",
                ),
                Mistake("return a tensor, through which a gradient can go", error="has no attribute 'requires_grad'"),
            ),
        ),
        Question(
            id="lab06.q3",
            title="Grouped dispatch",
            name="dispatch",
            points=3,
            difficulty=4,
            minutes=20,
            printed=True,
            recipe=run_dispatch,
            hint="number the choices from 0 to N * k - 1: which token is each of, in which order do they lie, and where do they go back to?",
            cases=(
                Case("two experts each", inputs=some_tokens, expected=_sent(""), separates=_TWO_EACH),
                Case("three each", inputs=three_each, expected=_sent("")),
                Case("one each", inputs=one_each, expected=_sent(""), separates=(_sent("divided"),)),
                Case("experts without tokens", inputs=some_unused, expected=_sent("")),
                Case(
                    "choices of weight 0",
                    inputs=dropped_choices,
                    expected=_sent(""),
                    separates=(_sent("divided"), _sent("dropped too")),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_sent(slip)) for slip, message in DISPATCH_SLIPS.items()),
                Mistake(
                    "the weights come as they are: they need not add up to 1, and are not divided by their sum here",
                    wrong=_sent("divided"),
                ),
                Mistake(
                    "out[i] += in place destroys what the gradient needs: collect with index_add",
                    error="modified by an inplace operation|leaf Variable",
                ),
            ),
        ),
        Question(
            id="lab06.q4",
            title="Places of an expert",
            name="keep",
            points=3,
            difficulty=3,
            minutes=15,
            recipe=run_keep,
            hint="write down in which order the choices come, and let each expert count",
            cases=(
                Case("more choices than places", inputs=crowded, expected=_kept(""), separates=_CROWDED),
                Case("an uneven number", inputs=not_whole, expected=_kept(""), separates=_NOT_WHOLE),
                Case("one choice a token", inputs=single_choices, expected=_kept("")),
                Case("room for all", inputs=room_for_all, expected=_kept("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_kept(slip)) for slip, message in KEEP_SLIPS.items()),
                Mistake("give a table of the shape of experts: one True or False for each choice", when=_tokens_only),
            ),
        ),
        Question(
            id="lab06.q5",
            title="Counting",
            name="count",
            points=4,
            difficulty=3,
            minutes=20,
            recipe=run_count,
            tolerance=Tolerance(rtol=1e-7, atol=1e-6),
            hint="one layer first: attention, router, one expert; then what is stored, what a token meets, what a pass reads",
            cases=(
                Case("shared experts", inputs=with_shared_experts, expected=_counted(""), separates=_COUNTS),
                Case("none shared", inputs=like_mixtral, expected=_counted("")),
                Case("a batch of one", inputs=one_token, expected=_counted("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_counted(slip)) for slip, message in COUNT_SLIPS.items()),
                Mistake(
                    'return a dict with the keys "total", "active", "flops" and "bytes"',
                    error="KeyError|not subscriptable|indices must be",
                ),
            ),
        ),
        Question(
            id="lab06.q6",
            title="A mixture within its budgets",
            name="design",
            kind="design",
            points=2,
            difficulty=3,
            minutes=15,
            valid=a_mixture,
            budgets=BUDGETS,
            score=Score("parameters in all", "parameters", 3_500_000_000, lambda design: counted(design)["total"]),
        ),
        Question(
            id="lab06.q7",
            title="Test somebody else's assignment",
            name="holds",
            kind="test",
            examples="examples",
            points=4,
            difficulty=4,
            minutes=20,
            valid=a_batch,
            right=(
                Subject("takes first choices first", first_choices_first),
                Subject("goes token by token", token_by_token),
                Subject("takes the most probable choices of the batch first", surest_first),
                Subject("begins with the last token", last_tokens_first),
                Subject("lets a kept choice make up for a dropped one", kept_make_up),
            ),
            wrong=(
                Subject("sends who finds an expert full to the next one", sends_on),
                Subject("gives an expert as many places again for second choices", each_rank),
                Subject("drops a token altogether if one of its experts is full", whole_tokens),
                Subject("lets an expert take one token more than it may", one_place_more),
                Subject("weighs the experts of a token evenly", weighs_evenly),
                Subject("does not divide the probabilities of the chosen by their sum", does_not_divide),
            ),
        ),
        Question(
            id="lab06.q8",
            title="A training run that went wrong",
            name="diagnosis",
            kind="diagnosis",
            points=4,
            difficulty=4,
            minutes=20,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=RUNS,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab06.p1",
            "Least-used expert without balancing",
            name="predicted_least",
            number=Number(0, 100, unit="percent of an even share"),
        ),
        Ungraded("lab06.t1", "Your own plot, read", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab06.c1",
            "Lowest held-out loss with no expert below half of its share",
            name="best_loss",
            kind="challenge",
            number=Number(0.5, 5, unit="nats a character"),
            baseline=BASELINE,
            better="lower",
            seconds=60,
        ),
    ),
)
