"""Lab 06, for staff: hidden cases, keys, mutants, rubrics."""

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab06 import (
    _assigned,
    _balanced,
    _best,
    _counted,
    _kept,
    _routed,
    _sent,
    _weighed,
    a_model,
    all_experts,
    an_expert_without_tokens,
    chosen_with_a_bias,
    crowded,
    dropped_choices,
    first_choices_first,
    like_mixtral,
    not_whole,
    one_choice,
    one_each,
    one_expert,
    one_token,
    room_for_all,
    single_choices,
    some_choices,
    some_logits,
    some_tokens,
    some_unused,
    three_each,
    with_a_bias,
    with_shared_experts,
)


def no_limit(probabilities, top_k, capacity):
    return _assigned(probabilities, top_k, len(probabilities))


def one_place_fewer(probabilities, top_k, capacity):
    return _assigned(probabilities, top_k, max(1, capacity - 1))


def least_probable(probabilities, top_k, capacity):
    turned = [[1 - p for p in row] for row in probabilities]
    found = _assigned(turned, top_k, capacity)
    return [_weighed(row, [e for e, _ in kept], top_k, "kept") for row, kept in zip(probabilities, found)]


def first_choices_only(probabilities, top_k, capacity):
    return _assigned(probabilities, 1, capacity)


def one_expert_more(probabilities, top_k, capacity):
    return _assigned(probabilities, min(len(probabilities[0]), top_k + 1), capacity)


def weights_of_the_other(probabilities, top_k, capacity):
    """The weights in the opposite order."""
    return [[[e, w] for (e, _), (_, w) in zip(row, row[::-1])] for row in _assigned(probabilities, top_k, capacity)]


def divides_by_all(probabilities, top_k, capacity):
    """The weights of all tokens together add up to their number."""
    found = [
        [(e, row[e]) for e, _ in kept]
        for row, kept in zip(probabilities, first_choices_first(probabilities, top_k, capacity))
    ]
    total = sum(w for row in found for _, w in row) / len(found)
    return [[[e, w / total] for e, w in row] for row in found]


def the_same_expert_twice(probabilities, top_k, capacity):
    """A token whose second choice is dropped counts its first one double."""
    found = _assigned(probabilities, top_k, capacity)
    return [[*row, *row][:top_k] if 0 < len(row) < top_k else row for row in found]


def forgets_a_token(probabilities, top_k, capacity):
    """Tokens that lost everything are left out of the list."""
    return [row for row in _assigned(probabilities, top_k, capacity) if row]


def gives_up_after_the_first(probabilities, top_k, capacity):
    """A token that lost its first choice is not served by its second."""
    taken: dict = {}
    out = []
    for row in probabilities:
        experts = []
        for e in _best(row, top_k):
            if taken.get(e, 0) >= capacity:
                break
            taken[e] = taken.get(e, 0) + 1
            experts.append(e)
        out.append(_weighed(row, experts, top_k))
    return out


def makes_up_now_and_then(probabilities, top_k, capacity):
    """Every second token's kept choices make up for dropped ones."""
    found = _assigned(probabilities, top_k, capacity)
    pick = lambda i: "kept" if i % 2 else "chosen"
    return [
        _weighed(row, [e for e, _ in kept], top_k, pick(i)) for i, (row, kept) in enumerate(zip(probabilities, found))
    ]


def dropped_choices_hold_places(probabilities, top_k, capacity):
    """A token is dropped altogether where its first expert is full, and holds a place at its second all the same."""
    taken: dict = {}
    out = []
    for row in probabilities:
        experts = []
        for e in _best(row, top_k):
            taken[e] = taken.get(e, 0) + 1
            if taken[e] <= capacity:
                experts.append(e)
        out.append(_weighed(row, experts if _best(row, 1)[0] in experts else [], top_k))
    return out


def squared_weights(probabilities, top_k, capacity):
    squares = [[p * p for p in row] for row in probabilities]
    return _assigned(squares, top_k, capacity)


def keeps_weights_of_1(probabilities, top_k, capacity):
    return [[[e, 1.0] for e, _ in row] for row in _assigned(probabilities, top_k, capacity)]


def places_for_the_batch(probabilities, top_k, capacity):
    """The capacity is shared by all experts."""
    left, out = capacity * 2, []
    for row in probabilities:
        experts = _best(row, top_k)[: max(0, left)]
        left -= len(experts)
        out.append(_weighed(row, experts, top_k))
    return out


HIDDEN = {
    "lab06.q1": [
        Case("other logits", inputs=some_logits, expected=_routed("")),
        Case("another bias", inputs=with_a_bias, expected=_routed("")),
        Case("one again", inputs=one_expert, expected=_routed("")),
        Case("all again", inputs=all_experts, expected=_routed("")),
        Case("large logits", inputs=lambda draw: (draw.normal(6, 8, scale=20.0), 2, None), expected=_routed("")),
        Case("a bias for one", inputs=lambda draw: (draw.normal(9, 6), 1, draw.uniform(6, low=-0.5, high=0.5)), expected=_routed("")),
    ],
    "lab06.q2": [
        Case("other choices", inputs=some_choices, expected=_balanced("")),
        Case("one again", inputs=one_choice, expected=_balanced("")),
        Case("nobody again", inputs=an_expert_without_tokens, expected=_balanced("")),
        Case("another bias", inputs=chosen_with_a_bias, expected=_balanced("")),
    ],
    "lab06.q3": [
        Case("other tokens", inputs=some_tokens, expected=_sent("")),
        Case("three again", inputs=three_each, expected=_sent("")),
        Case("one again", inputs=one_each, expected=_sent("")),
        Case("unused again", inputs=some_unused, expected=_sent("")),
        Case("dropped again", inputs=dropped_choices, expected=_sent("")),
        Case("a single token", inputs=lambda draw: some_tokens(draw, n=1), expected=_sent("")),
        Case("everything dropped", inputs=lambda draw: (lambda x, e, w, u, d: (x, e, w * 0, u, d))(*some_tokens(draw)), expected=_sent("")),
    ],
    "lab06.q4": [
        Case("others that crowd", inputs=crowded, expected=_kept("")),
        Case("uneven again", inputs=not_whole, expected=_kept("")),
        Case("one choice again", inputs=single_choices, expected=_kept("")),
        Case("room again", inputs=room_for_all, expected=_kept("")),
        Case("everybody wants the same", inputs=lambda draw: (draw.integers(0, 1, 9, 1), 4, 1.0), expected=_kept("")),
    ],
    "lab06.q5": [
        Case("shared again", inputs=with_shared_experts, expected=_counted("")),
        Case("none shared again", inputs=like_mixtral, expected=_counted("")),
        Case("one again", inputs=one_token, expected=_counted("")),
        Case("a large batch", inputs=lambda draw: (a_model(draw), 512), expected=_counted("")),
    ],
    "lab06.q7": [
        Subject("knows no limit", no_limit),
        Subject("leaves the last place of an expert free", one_place_fewer),
        Subject("chooses the least probable experts", least_probable),
        Subject("takes first choices only", first_choices_only),
        Subject("gives a token one expert more", one_expert_more),
        Subject("gives the weights in the opposite order", weights_of_the_other),
        Subject("divides the weights over the whole batch", divides_by_all),
        Subject("takes an expert twice for a dropped one", the_same_expert_twice),
        Subject("forgets tokens that lost everything", forgets_a_token),
        Subject("gives a token up whose first expert is full", gives_up_after_the_first),
        Subject("makes up for dropped choices now and then", makes_up_now_and_then),
        Subject("holds places for tokens that it drops", dropped_choices_hold_places),
        Subject("squares the probabilities", squared_weights),
        Subject("gives every choice a weight of 1", keeps_weights_of_1),
        Subject("shares the places among the experts", places_for_the_batch),
    ],
    "lab06.q8": [
        Key(
            runs=dict(zip(("b1", "d8", "e5", "g2", "j7", "m4", "p0", "s6", "v3", "x9"), "FAHCJEBIGD", strict=True)),
            true={"A": "cgjm", "B": "abdekn", "C": "fgkn", "D": "chjm", "E": "hkn", "F": "cgkm", "G": "abdkln", "H": "dikn", "I": "adegkn", "J": "cgkn", "correct": "kn"},
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab06_faults"
OBSERVED = {
    "a": lambda t, correct: t["least used, % of even"] < 50,
    "b": lambda t, correct: t["balancing loss"] > 1.3,
    "c": lambda t, correct: t["entropy, % of highest"] > 90,
    "d": lambda t, correct: t["entropy, % of highest"] < 48,
    "e": lambda t, correct: t["highest probability"] > 0.875,
    "f": lambda t, correct: t["sum of weights"] < 0.9,
    "g": lambda t, correct: t["first weight"] < 0.63,
    "h": lambda t, correct: t["expert runs"] <= 1.02,
    "i": lambda t, correct: t["sent elsewhere, %"] > 10,
    "j": lambda t, correct: t["gradient, text"] < 1e-5,
    "k": lambda t, correct: t["gradient, text"] > 0.005,
    "l": lambda t, correct: t["gradient, balancing"] < 1e-5,
    "m": lambda t, correct: t["router moved"] < 0.033,
    "n": lambda t, correct: t["router moved"] > 0.033,
}


def _route(
    axis: str = "-1",
    scores: str = "probabilities if bias is None else probabilities + bias",
    experts: str = "scores.topk(top_k, dim=-1).indices",
    source: str = "probabilities",
    divided: str = "top_k > 1",
    weights: str = "weights",
    probabilities: str = "logits.softmax({axis})",
) -> str:
    return f"""def route(logits, top_k, bias=None):
    probabilities = {probabilities.format(axis=axis)}
    scores = {scores}
    experts = {experts}
    weights = ({source}).gather(-1, experts)
    if {divided}:
        weights = weights / weights.sum(-1, keepdim=True)
    return experts, {weights}
"""


def _balance(
    share: str = "counts / counts.sum()",
    mean: str = "probabilities.mean(0)",
    value: str = "E * (share * mean).sum()",
    counted: str = "experts",
    more: str = "",
) -> str:
    return f"""def balancing_loss(probabilities, experts):
    E = probabilities.shape[1]
    {more or "pass"}
    counts = F.one_hot({counted}, E).flatten(0, -2).sum(0).float()
    share, mean = {share}, {mean}
    return {value}
"""


def _dispatch(
    here: str = "((experts == e) & (weights != 0)).flatten().nonzero().flatten()",
    token: str = "here // k",
    made: str = "network(x[rows]) * weights.flatten()[here, None]",
    add: str = "out = out.index_add(0, rows, made)",
    end: str = "out",
    start: str = "",
) -> str:
    return f"""def dispatch(x, experts, weights, networks):
    n, k = experts.shape
    out, pieces, seen = torch.zeros_like(x), [], 0
    {start or "pass"}
    for e, network in enumerate(networks):
        here = {here}
        if len(here):
            rows = {token}
            made = {made}
            {add}
            pieces.append(made)
            seen += len(here)
    return {end}
"""


def _keep(
    places: str = "math.ceil(factor * n * k / n_experts)",
    order: str = "[(j, i) for j in range(k) for i in range(n)]",
    slot: str = "e",
    room: str = "taken.get(slot, 0) < places",
    end: str = "kept",
) -> str:
    return f"""def keep(experts, n_experts, factor):
    n, k = experts.shape
    places, taken, kept = {places}, {{}}, torch.zeros(n, k, dtype=torch.bool)
    for j, i in {order}:
        e = int(experts[i, j])
        slot = {slot}
        kept[i, j] = {room}
        taken[slot] = taken.get(slot, 0) + 1
    return {end}
"""


def _count(
    expert: str = '3 * d * c["d_expert"]',
    attention: str = '2 * d * d + 2 * d * c["d_kv"]',
    router: str = "E * d",
    shared: str = 'c["shared"]',
    total: str = "dense + L * E * expert + table",
    active: str = "dense + L * k * expert + table",
    flops: str = "2 * (dense + L * k * expert)",
    met: str = "E * (1 - (1 - k / E) ** batch)",
    read: str = 'c["bytes"] * (dense + L * met * expert) / batch',
    head: str = "table",
) -> str:
    return f"""def count(c, batch):
    L, d, E, k = c["layers"], c["d_model"], c["experts"], c["top_k"]
    expert, table = {expert}, c["vocabulary"] * d
    dense = L * ({attention} + {router} + {shared} * expert) + {head}
    met = {met}
    return {{"total": {total}, "active": {active}, "flops": {flops}, "bytes": {read}}}
"""


_ROWS = "[[0.6, 0.3, 0.07, 0.03], [0.55, 0.35, 0.06, 0.04], [0.5, 0.15, 0.25, 0.1], [0.3, 0.6, 0.08, 0.02], [0.2, 0.1, 0.3, 0.4]]"


def _test(
    examples: str = f"[({_ROWS}, k, c) for k in (1, 2, 3) for c in (1, 3)]",
    length: str = "len(output) != len(rows)",
    among: str = "len(set(kept)) < len(kept) or not set(kept) <= set(wanted)",
    needless: str = "any(taken[e] < capacity for e in set(wanted) - set(kept))",
    full: str = "max(taken) > capacity",
    weights: str = "not (make_up or share)",
    more: str = "False",
) -> str:
    return f"""def examples():
    return {examples}


def holds(inputs, output):
    rows, top_k, capacity = inputs
    if {length}:
        return False
    taken = [sum(e == x for entry in output for e, _ in entry) for x in range(len(rows[0]))]
    make_up = share = True
    for row, entry in zip(rows, output):
        wanted = sorted(range(len(row)), key=lambda e: -row[e])[:top_k]
        kept = [e for e, _ in entry]
        if {among}:
            return False
        if {needless}:
            return False
        a, b = sum(row[e] for e in kept), sum(row[e] for e in wanted)
        make_up &= all(abs(w - row[e] / a) < 1e-6 for e, w in entry)
        share &= all(abs(w - row[e] / b) < 1e-6 for e, w in entry)
    return not ({full} or {weights} or {more})
"""


MUTANTS = [
    Mutant("lab06.q1", "bias in the weights", _route(source="scores"), "the weights are made of the probabilities without it"),
    Mutant("lab06.q1", "bias in the logits", _route(probabilities="(logits if bias is None else logits + bias).softmax(-1)", scores="probabilities"), "not to the logits, where it gets into the weights"),
    Mutant("lab06.q1", "choice by biased logits", _route(scores="logits if bias is None else logits + bias"), "the choice differs"),
    Mutant("lab06.q1", "no bias", _route(scores="probabilities"), "is the bias used"),
    Mutant("lab06.q1", "ordered by weight", "def route(logits, top_k, bias=None):\n    p = logits.softmax(-1)\n    chosen = (p if bias is None else p + bias).topk(top_k, dim=-1).indices\n    weights, order = p.gather(-1, chosen).sort(-1, descending=True)\n    return chosen.gather(-1, order), weights / weights.sum(-1, keepdim=True) if top_k > 1 else weights\n", "the order is that of the choice"),
    Mutant("lab06.q1", "softmax over tokens", _route(axis="0"), "the softmax runs over tokens"),
    Mutant("lab06.q1", "not divided", _route(divided="False"), "divided by their sum where there are two or more"),
    Mutant("lab06.q1", "one divided by itself", _route(divided="True"), "the router learns nothing"),
    Mutant("lab06.q1", "softmax of the chosen logits", "def route(logits, top_k, bias=None):\n    p = logits.softmax(-1)\n    experts = (p if bias is None else p + bias).topk(top_k, dim=-1).indices\n    return experts, logits.gather(-1, experts).softmax(-1)\n", "the router learns nothing"),
    Mutant("lab06.q1", "even weights", _route(weights="torch.full_like(weights, 1 / top_k)"), "not evenly"),
    Mutant("lab06.q1", "softmaxed probabilities", _route(divided="False", weights="weights.softmax(-1)"), "softmaxed once more"),
    Mutant("lab06.q1", "softmax twice", _route(probabilities="logits.softmax(-1).softmax(-1)"), "the softmax is taken twice"),
    Mutant("lab06.q1", "sigmoid", _route(probabilities="logits.sigmoid()"), "a sigmoid judges each alone"),
    Mutant("lab06.q1", "logits for probabilities", _route(probabilities="logits"), "made of logits"),
    Mutant("lab06.q1", "least probable", _route(experts="scores.topk(top_k, dim=-1, largest=False).indices"), "the least probable experts"),
    Mutant("lab06.q1", "in order of numbers", _route(experts="scores.topk(top_k, dim=-1).indices.sort(-1).values"), "in the order of their numbers"),
    Mutant("lab06.q1", "worst first", _route(experts="scores.topk(top_k, dim=-1).indices.flip(-1)"), "comes first, not last"),
    Mutant("lab06.q1", "detached", _route(weights="weights.detach()"), "no gradient goes through the weights"),
    Mutant("lab06.q1", "top-k over tokens", "def route(logits, top_k, bias=None):\n    p = logits.softmax(-1)\n    weights, experts = p.topk(min(top_k, len(p)), dim=0)\n    return experts, weights\n", "take them over the last axis"),
    Mutant("lab06.q1", "a dict", _route().replace("return experts, weights", 'return {"weights": weights, "experts": experts, "p": probabilities}'), "return two tensors"),
    Mutant("lab06.q2", "no number of experts", _balance(value="(share * mean).sum()"), "the factor of the number of experts is missing"),
    Mutant("lab06.q2", "shares of tokens", _balance(share="counts / len(probabilities)"), "divide by the number of all choices"),
    Mutant("lab06.q2", "counts", _balance(share="counts"), "divide the counts by their sum"),
    Mutant("lab06.q2", "first choices", _balance(counted="experts[:, 0]"), "the second ones too"),
    Mutant("lab06.q2", "most probable", _balance(counted="probabilities.topk(experts.shape[1]).indices"), "count the experts that were given"),
    Mutant("lab06.q2", "sum of probabilities", _balance(mean="probabilities.sum(0)"), "must not grow with the batch"),
    Mutant("lab06.q2", "probabilities of the chosen", _balance(mean="(probabilities * torch.zeros_like(probabilities).scatter(1, experts, 1.0)).mean(0)"), "P is the mean over all tokens"),
    Mutant("lab06.q2", "detached", _balance(mean="probabilities.detach().mean(0)"), "no gradient goes through the probabilities"),
    Mutant("lab06.q2", "probabilities squared", _balance(share="probabilities.mean(0)"), "the mean probability twice over"),
    Mutant("lab06.q2", "counts squared", _balance(mean="counts / counts.sum()"), "made of counts alone"),
    Mutant("lab06.q2", "gradient through both", _balance(share="counts / counts.sum() + probabilities.mean(0) - probabilities.mean(0).detach()"), "only the mean probabilities have one"),
    Mutant("lab06.q2", "used experts", _balance(more="used = len(experts.unique())", value="used * (share * mean).sum()"), "the one that nobody chose too"),
    Mutant("lab06.q2", "less 1", _balance(value="E * (share * mean).sum() - 1"), "nothing is taken off"),
    Mutant("lab06.q2", "sign", _balance(value="-E * (share * mean).sum()"), "would reward a collapse"),
    Mutant("lab06.q2", "no minlength", "def balancing_loss(probabilities, experts):\n    share = torch.bincount(experts.flatten()) / experts.numel()\n    return probabilities.shape[1] * (share * probabilities.mean(0)).sum()\n", "minlength"),
    Mutant("lab06.q2", "a plain number", _balance(value="float(E * (share * mean).sum())"), "through which a gradient can go"),
    Mutant("lab06.q3", "every expert on every token", "def dispatch(x, experts, weights, networks):\n    every = torch.stack([network(x) for network in networks], 1)\n    return (every.gather(1, experts[..., None].expand(-1, -1, x.shape[1])) * weights[..., None]).sum(1)\n", "every expert is run on every token"),
    Mutant("lab06.q3", "token by token", "def dispatch(x, experts, weights, networks):\n    out = torch.zeros_like(x)\n    for i in range(len(x)):\n        for j in range(experts.shape[1]):\n            if weights[i, j] != 0:\n                part = weights[i, j] * networks[experts[i, j]](x[i : i + 1])\n                out = out + torch.cat([torch.zeros(i, x.shape[1]), part, torch.zeros(len(x) - i - 1, x.shape[1])])\n    return out\n", "once for every token"),
    Mutant("lab06.q3", "choice by choice", "def dispatch(x, experts, weights, networks):\n    out = torch.zeros_like(x)\n    for j in range(experts.shape[1]):\n        for e, network in enumerate(networks):\n            here = ((experts[:, j] == e) & (weights[:, j] != 0)).nonzero().flatten()\n            if len(here):\n                out = out.index_add(0, here, weights[here, j, None] * network(x[here]))\n    return out\n", "once more for the second"),
    Mutant("lab06.q3", "overwrites", _dispatch(add="out = out.index_copy(0, rows, made)"), "has overwritten the earlier one"),
    Mutant("lab06.q3", "not put back", _dispatch(end="torch.zeros_like(x).index_add(0, torch.arange(seen) // k, torch.cat(pieces))"), "put it back to the tokens"),
    Mutant("lab06.q3", "not put back, columns", _dispatch(end="torch.zeros_like(x).index_add(0, torch.arange(seen) % n, torch.cat(pieces))"), "put it back to the tokens"),
    Mutant("lab06.q3", "the wrong token", _dispatch(token="here % n"), "place i is token i // k"),
    Mutant("lab06.q3", "weights not sorted", _dispatch(made="network(x[rows]) * weights.flatten()[seen : seen + len(here), None]"), "sorted along with their tokens"),
    Mutant("lab06.q3", "first weight", _dispatch(made="network(x[rows]) * weights[rows, :1]"), "that of the first, for all"),
    Mutant("lab06.q3", "no weights", _dispatch(made="network(x[rows])"), "the weights are not used"),
    Mutant("lab06.q3", "mean", _dispatch(made="network(x[rows]) / k"), "the mean of the experts"),
    Mutant("lab06.q3", "weighs inputs", _dispatch(made="network(x[rows] * weights.flatten()[here, None])"), "not what it reads"),
    Mutant("lab06.q3", "first only", _dispatch(start="experts, weights, k = experts[:, :1], weights[:, :1], 1"), "second expert is missing"),
    Mutant("lab06.q3", "dropped ones too", _dispatch(here="(experts == e).flatten().nonzero().flatten()"), "its expert is not run on that token"),
    Mutant("lab06.q3", "divided", _dispatch(end="out / weights.sum(1, keepdim=True).clamp(min=1e-9)"), "need not add up to 1"),
    Mutant("lab06.q3", "weights detached", _dispatch(start="weights = weights.detach()"), "by which the router learns"),
    Mutant("lab06.q3", "x detached", _dispatch(start="x = x.detach()"), "no gradient goes through the experts"),
    Mutant("lab06.q4", "token by token", _keep(order="[(j, i) for i in range(n) for j in range(k)]"), "yours go token by token"),
    Mutant("lab06.q4", "second first", _keep(order="[(j, i) for j in reversed(range(k)) for i in range(n)]"), "before second ones, not after"),
    Mutant("lab06.q4", "last come", _keep(order="[(j, i) for j in range(k) for i in reversed(range(n))]"), "the last ones to come"),
    Mutant("lab06.q4", "all reversed", _keep(order="[(j, i) for j in reversed(range(k)) for i in reversed(range(n))]"), "in the opposite order"),
    Mutant("lab06.q4", "places for each rank", _keep(slot="(e, j)"), "as many again for the second"),
    Mutant("lab06.q4", "shared places", _keep(slot="0"), "yours share them"),
    Mutant("lab06.q4", "whole tokens", _keep(end="kept.all(1, keepdim=True).expand(n, k)"), "keeps the other"),
    Mutant("lab06.q4", "either", _keep(end="kept.any(1, keepdim=True).expand(n, k)"), "also where the token's other one was kept"),
    Mutant("lab06.q4", "one too many", _keep(room="taken.get(slot, 0) <= places"), "one too many"),
    Mutant("lab06.q4", "one too few", _keep(room="taken.get(slot, 0) < places - 1"), "one too few"),
    Mutant("lab06.q4", "rounded down", _keep(places="int(factor * n * k / n_experts)"), "is rounded up"),
    Mutant("lab06.q4", "one choice each", _keep(places="math.ceil(factor * n / n_experts)"), "each token makes k choices"),
    Mutant("lab06.q4", "not divided", _keep(places="math.ceil(factor * n * k)"), "divide by the number of experts"),
    Mutant("lab06.q4", "no factor", _keep(places="math.ceil(n * k / n_experts)"), "is the factor used"),
    Mutant("lab06.q4", "dropped for kept", _keep(end="~kept"), "True is for what is kept"),
    Mutant("lab06.q4", "tokens only", _keep(end="kept[:, 0]"), "one True or False for each choice"),
    Mutant("lab06.q5", "two matrices", _count(expert='2 * d * c["d_expert"]'), "three matrices, not two"),
    Mutant("lab06.q5", "wide keys", _count(attention="4 * d * d"), "d_kv wide"),
    Mutant("lab06.q5", "no router", _count(router="0"), "each layer has a router too"),
    Mutant("lab06.q5", "router of the chosen", _count(router="k * d"), "gives every expert a logit"),
    Mutant("lab06.q5", "one router", _count(router="E * d / L"), "a router of its own"),
    Mutant("lab06.q5", "no shared experts", _count(shared="0"), "experts beside the others"),
    Mutant("lab06.q5", "one table", _count(total="dense + L * E * expert", active="dense + L * k * expert", flops="2 * (dense + L * k * expert - table)"), "two tables here"),
    Mutant("lab06.q5", "no tables", _count(total="dense + L * E * expert - table", active="dense + L * k * expert - table", flops="2 * (dense + L * k * expert - 2 * table)"), "are parameters too"),
    Mutant("lab06.q5", "all active", _count(active="dense + L * E * expert + table", flops="2 * (dense + L * E * expert)"), "not all of them"),
    Mutant("lab06.q5", "experts active", _count(active='L * (k + c["shared"]) * expert', flops='2 * (L * (k + c["shared"]) * expert - table)'), "router and both tables"),
    Mutant("lab06.q5", "embedding multiplied", _count(flops="2 * (dense + L * k * expert + table)"), "nothing is multiplied with it"),
    Mutant("lab06.q5", "one operation", _count(flops="dense + L * k * expert"), "a multiplication and an addition"),
    Mutant("lab06.q5", "training", _count(flops="6 * (dense + L * k * expert)"), "the cost of training"),
    Mutant("lab06.q5", "all multiplied", _count(flops="2 * (dense + L * E * expert)"), "only the weights that a token meets"),
    Mutant("lab06.q5", "flops of the batch", _count(flops="2 * batch * (dense + L * k * expert)"), "not of the batch"),
    Mutant("lab06.q5", "all met", _count(met="E"), "does not meet all experts"),
    Mutant("lab06.q5", "no overlap", _count(met="k * batch"), "whose weights are read once"),
    Mutant("lab06.q5", "capped", _count(met="min(E, k * batch)"), "the chance that nobody chooses it"),
    Mutant("lab06.q5", "k met", _count(met="k"), "more of them are met"),
    Mutant("lab06.q5", "single draws", _count(met="E * (1 - (1 - 1 / E) ** (k * batch))"), "the k experts of a token differ"),
    Mutant("lab06.q5", "of the pass", _count(read='c["bytes"] * (dense + L * met * expert)'), "divided by the batch"),
    Mutant("lab06.q5", "weights, not bytes", _count(read="(dense + L * met * expert) / batch"), "config['bytes'] bytes"),
    Mutant("lab06.q5", "embedding read", _count(read='c["bytes"] * (dense + table + L * met * expert) / batch'), "the embedding is not read whole"),
    Mutant("lab06.q5", "experts read only", _count(read='c["bytes"] * L * (met + c["shared"]) * expert / batch'), "are read as well"),
    Mutant("lab06.q5", "dense not shared", _count(read='c["bytes"] * (dense + L * met * expert / batch)'), "serves all tokens of the batch"),
    Mutant("lab06.q5", "a tuple", _count().replace("return {", "return tuple({").replace("batch}", "batch}.values())"), "return a dict"),
    Mutant("lab06.q6", "too many to a choice", 'design = {"experts": 300, "top_k": 4, "d_expert": 256}', "experts to each that is chosen"),
    Mutant("lab06.q6", "Mixtral's eight", 'design = {"experts": 8, "top_k": 2, "d_expert": 8704}', "read for a token"),
    Mutant("lab06.q6", "too small", 'design = {"experts": 128, "top_k": 3, "d_expert": 512}', "parameters in all"),
    Mutant("lab06.q6", "a list", "design = [240, 4, 304]", "give a dict with the keys"),
    Mutant("lab06.q7", "compares with its own", _test(more="sorted(e for e, _ in output[-1]) != sorted(wanted)"), "refuses a right answer"),
    Mutant("lab06.q7", "sums of 1 asked for", _test(weights="not make_up"), "refuses a right answer"),
    Mutant("lab06.q7", "shares asked for", _test(weights="not share"), "refuses a right answer"),
    Mutant("lab06.q7", "not among the best", _test(among="False", needless="False", weights="False"), "your test accepts"),
    Mutant("lab06.q7", "places not counted", _test(full="False"), "your test accepts"),
    Mutant("lab06.q7", "needless dropping", _test(needless="False"), "your test accepts"),
    Mutant("lab06.q7", "weights not looked at", _test(weights="False"), "your test accepts"),
    Mutant("lab06.q7", "room for all", _test(examples=f"[({_ROWS}, 2, 5)]"), "your test accepts"),
    Mutant("lab06.q7", "a row that is no distribution", _test(examples="[([[0.5, 0.3], [0.6, 0.4]], 1, 1)]"), "add up to 1"),
    Mutant("lab06.q8", "another cause", 'diagnosis = {"cause": "G", "evidence": ["d", "k"]}', "not what went wrong"),
    Mutant("lab06.q8", "untrue evidence", 'diagnosis = {"cause": "H", "evidence": ["a", "i"]}', "is not true of your run"),
    Mutant("lab06.q8", "evidence for two causes", 'diagnosis = {"cause": "H", "evidence": ["d", "k"]}', "seen under another cause"),
    Mutant("lab06.q8", "a letter", 'diagnosis = "H"', "write it as"),
]  # fmt: skip

# Three seeds of the notebook's runs, 200 updates: loss on held-out text, least used expert in percent of an even share.
# none 2.375 0, 2.397 0, 2.448 0; loss 2.490 54, 2.401 67, 2.505 54; bias (steps of 0.003) 2.442 29, 2.490 84, 2.454 10.
# The challenge: 1,500 updates with the loss, some 26 s of one core, reach 2.07, the least used expert at 54.
RUBRICS = {
    "lab06.t1": "3: reads from the plot that an expert starves within the first tens of updates and stays there, with the reason (not chosen, no gradient, not better); tells the loss (pulls from the start, "
    "more even at the end) from the bias (small steps, needs time, oscillates, touches only the choice); says that an even load brought no lower loss here and that the differences are of the size that another seed makes, with a limit "
    "named (one layer, 200 updates, a task that few experts can do; in a large model a dead expert is paid memory). 2: two of the three. 1: describes loads without reasons. 0: no plot read.",
}
