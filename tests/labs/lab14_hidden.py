"""Lab 14, for staff: hidden cases, keys, mutants, rubrics."""

import torch._dynamo  # noqa: F401  the first optimizer imports it: here, and not within the two seconds of a mutant

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab14 import (
    _apply,
    _factored,
    _filed,
    _layer_inputs,
    _layer_of,
    _life,
    _optimized,
    _plus,
    _product,
    _switched,
    a_configuration,
    a_model_and_data,
    a_square_update,
    a_tall_update,
    a_trained_model_and_others,
    a_wide_update,
    all_targets,
    batches_without_bias,
    costs,
    frozen_before,
    merge_one,
    one_adapter_of_several_places,
    one_for_another,
    rows_with_bias,
    unmerge_one,
)


def counts_against(weight, a, b, x):
    return _life(weight, a, b, x, scale=-2.0)


def forgets_the_adapter(weight, a, b, x):
    return _life(weight, a, b, x, scale=0.0)


def loses_the_scale_beside(weight, a, b, x):
    return _life(weight, a, b, x, beside=1.0, merge=16 / len(a))


def never_unmerges(weight, a, b, x):
    return _life(weight, a, b, x, unmerge=0.0)


def unmerges_twice(weight, a, b, x):
    return _life(weight, a, b, x, unmerge=4.0)


def forgets_the_last_rank(weight, a, b, x):
    """Right where the rank is 1."""
    n = max(1, len(a) - 1)
    return _life(weight, a, b, x, change=_product([row[:n] for row in b], a[:n]))


def merges_positive_changes_alone(weight, a, b, x):
    return _life(weight, a, b, x, change=[[max(0.0, v) for v in row] for row in _product(b, a)])


def limits_the_change(weight, a, b, x):
    return _life(weight, a, b, x, change=[[max(-5.0, min(5.0, v)) for v in row] for row in _product(b, a)])


def rounds_the_merged(weight, a, b, x):
    found = _life(weight, a, b, x)
    merged = [[float(round(w)) for w in row] for row in found["merged"]]
    return found | {"merged": merged, "after": _apply(merged, x)}


def merges_the_first_output_alone(weight, a, b, x):
    product = _product(b, a)
    return _life(weight, a, b, x, change=[product[0], *([0.0] * len(product[0]) for _ in product[1:])])


def replaces_the_matrix(weight, a, b, x):
    merged = _plus([[0.0] * len(weight[0]) for _ in weight], _product(b, a), 2.0)
    return _life(weight, a, b, x) | {"merged": merged, "after": _apply(merged, x)}


def uses_the_old_matrix_after_merging(weight, a, b, x):
    return _life(weight, a, b, x) | {"after": _apply(weight, x)}


def scales_each_rank_anew(weight, a, b, x):
    """The k-th pair counts 2 / k."""
    return _life(weight, a, [[v / (k + 1) for k, v in enumerate(row)] for row in b], x)


def lets_the_base_out(weight, a, b, x):
    return _life(weight, a, b, x) | {"beside": [2.0 * v for v in _apply(_product(b, a), x)]}


HIDDEN = {
    "lab14.q1": [
        Case("other rows", inputs=rows_with_bias, expected=_layer_of("")),
        Case("other batches", inputs=batches_without_bias, expected=_layer_of("")),
        Case("a single vector", inputs=lambda draw: _layer_inputs(draw, True), expected=_layer_of("")),
    ],
    "lab14.q2": [
        Case("another model", inputs=a_model_and_data, expected=_optimized("")),
        Case("another one, frozen before", inputs=frozen_before, expected=_optimized("")),
    ],
    "lab14.q3": [
        Case("others", inputs=one_for_another, expected=_switched("")),
        Case("merge another", inputs=merge_one, expected=_switched("")),
        Case("unmerge another", inputs=unmerge_one, expected=_switched("")),
        Case("neither", inputs=lambda draw: (merge_one(draw)[0], None, None), expected=_switched("")),
    ],
    "lab14.q4": [
        Case("other models", inputs=a_trained_model_and_others, expected=_filed("")),
        Case("an adapter in another place", inputs=one_adapter_of_several_places, expected=_filed("")),
    ],
    "lab14.q5": [
        Case("other sizes", inputs=a_configuration, expected=costs),
        Case("other sizes, all matrices", inputs=all_targets, expected=costs),
        Case("no adapter", inputs=lambda draw: (*a_configuration(draw)[:3], [], 2), expected=costs),
    ],
    "lab14.q6": [
        Case("another tall one", inputs=a_tall_update, expected=_factored("")),
        Case("another wide one", inputs=a_wide_update, expected=_factored("")),
        Case("another square one", inputs=a_square_update, expected=_factored("")),
        Case("the full rank", inputs=lambda draw: (a_square_update(draw)[0], 6, 9.0), expected=_factored("")),
    ],
    "lab14.q7": [
        Subject("has a negative scale", counts_against),
        Subject("has a scale of 0", forgets_the_adapter),
        Subject("loses alpha / r beside", loses_the_scale_beside),
        Subject("never unmerges", never_unmerges),
        Subject("unmerges twice", unmerges_twice),
        Subject("forgets the last row of a", forgets_the_last_rank),
        Subject("merges positive changes only", merges_positive_changes_alone),
        Subject("limits the change to 5", limits_the_change),
        Subject("rounds the merged matrix", rounds_the_merged),
        Subject("merges the first output only", merges_the_first_output_alone),
        Subject("puts the product in the place of the matrix", replaces_the_matrix),
        Subject("uses the old matrix after merging", uses_the_old_matrix_after_merging),
        Subject("gives each rank a scale of its own", scales_each_rank_anew),
        Subject("lets the base out", lets_the_base_out),
    ],
    "lab14.q8": [
        Key(
            runs=dict(
                zip(("a7", "c3", "e8", "g1", "j6", "k2", "n5", "q9", "r4", "u0", "x2"), "HDKAIEGCJBF", strict=True)
            ),
            true={
                "A": "abcghk", "B": "cegilm", "C": "cfhlm", "D": "cfilm", "E": "ghjlm", "F": "abdghk", "G": "acghkm",
                "H": "dghlm", "I": "cfglm", "J": "dghkm", "K": "cgjlm", "correct": "cglm",
            },
        )
    ],
}  # fmt: skip
# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab14_faults"
_BESIDE, _KEPT = "facts known with the adapter beside, percent", "numbers that the optimizer keeps about them"
_CHANGE, _ADDED = "length of the change, b a times alpha / r", "length of what merging added"
OBSERVED = {
    "a": lambda t, correct: t["loss at the last step"] > 5,
    "b": lambda t, correct: t["length of all b"] == 0,
    "c": lambda t, correct: t[_KEPT] == correct[_KEPT],
    "d": lambda t, correct: t[_KEPT] < 10_000,
    "e": lambda t, correct: t["loss at the first step"] > t["loss of the base"] + 0.05,
    "f": lambda t, correct: t["facts known merged, percent"] <= t[_BESIDE] - 20,
    "g": lambda t, correct: t[_ADDED] == t[_CHANGE],
    "h": lambda t, correct: t[_ADDED] < 40,
    "i": lambda t, correct: t[_ADDED] > 50,
    "j": lambda t, correct: t["facts known by the file in a fresh base, percent"] <= t[_BESIDE] - 20,
    "k": lambda t, correct: t[_BESIDE] < 20,
    "l": lambda t, correct: t[_BESIDE] >= 40,
    "m": lambda t, correct: t["new questions answered in the right form, percent"] >= 50,
}


def _layer(
    freeze: str = "base.requires_grad_(False)",
    a: str = "torch.randn(rank, base.in_features) * 0.1",
    b: str = "torch.zeros(base.out_features, rank)",
    scale: str = "alpha / rank",
    value: str = "self.base(x) + self.scale * F.linear(F.linear(x, self.a), self.b)",
) -> str:
    return f"""class LoRALinear(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        {freeze}
        self.base, self.scale = base, {scale}
        self.a = nn.Parameter({a})
        self.b = nn.Parameter({b})

    def forward(self, x):
        return {value}
"""


def _optimizer(
    learns: str = "name.split('.')[-1] in ('a', 'b')",
    first: str = "pass",
    each: str = "p.requires_grad_(learns); p.grad = None",
    made: str = "torch.optim.AdamW(held, lr=lr, weight_decay=0.0)",
) -> str:
    return f"""def adapter_optimizer(model, lr):
    held = []
    {first}
    for name, p in model.named_parameters():
        learns = {learns}
        {each}
        if learns:
            held.append(p)
    return {made}
"""


def _switch(
    out: str = "dict(weights)",
    order: str = "((-1, old), (1, new))",
    scale: str = "adapter['alpha'] / a.shape[0]",
    change: str = "b @ a",
    put: str = "out[name] = out[name] + sign * scale * change",
    last: str = "out",
    guard: str = "adapter is None",
) -> str:
    return f"""def switch(weights, old, new):
    out = {out}
    for sign, adapter in {order}:
        if {guard}:
            continue
        for name, (a, b) in adapter["layers"].items():
            scale = {scale}
            change = {change}
            {put}
    return {last}
"""


def _file(
    mine: str = "name.split('.')[-1] in ('a', 'b')",
    kept: str = "state[n].clone()",
    marked: str = "fingerprint({n: t for n, t in state.items() if not self.mine(n)})",
    compare: str = "fingerprint(base) != self.base",
    refuse: str = "raise ValueError('another base')",
    first: str = "pass",
    new: str = "{n: t.clone() for n, t in {**base, **self.tensors}.items()}",
    covered: str = "n for n in state if self.mine(n)",
) -> str:
    return f"""class AdapterFile:
    def mine(self, name):
        return {mine}

    def __init__(self, state):
        self.tensors = {{n: {kept} for n in [{covered}]}}
        self.base = {marked}

    def into(self, state):
        base = {{n: t for n, t in state.items() if n.split(".")[-1] not in ("a", "b")}}
        {first}
        if {compare}:
            {refuse}
        return {new}
"""


def _costs(
    total: str = "blocks * sum(o * i for o, i in shapes.values()) + other",
    adapter: str = "blocks * sum(rank * (shapes[t][0] + shapes[t][1]) for t in targets)",
    full: str = "16 * total",
    lora: str = "2 * total + 16 * adapter",
) -> str:
    return f"""def costs(shapes, blocks, other, targets, rank):
    total = {total}
    adapter = {adapter}
    return {{"parameters": total, "adapter": adapter, "full bytes": {full}, "lora bytes": {lora}}}
"""


def _from(
    split: str = "u, s, vh = torch.linalg.svd(delta, full_matrices=False)",
    a: str = "vh[:rank]",
    b: str = "u[:, :rank] * s[:rank] / (alpha / rank)",
    value: str = "a, b",
) -> str:
    return f"""def from_update(delta, rank, alpha):
    {split}
    a = {a}
    b = {b}
    return {value}
"""


_EXAMPLES = """[
        ([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], [[1.0, 0.5, -1.0], [2.0, -1.0, 0.25]], [[0.5, 1.0], [-1.5, 2.0]], [1.0, 2.0, -0.5]),
        ([[1.0, 2.0], [-3.0, 0.5]], [[1.0, -2.0]], [[3.0], [0.5]], [1.0, -1.5]),
        ([[0.0, 1.0], [2.0, -1.0]], [[4.0, 3.0], [-2.0, 5.0]], [[-6.0, 2.0], [1.0, 7.0]], [3.0, 2.0]),
    ]"""


def _test(
    examples: str = _EXAMPLES,
    scale: str = "((merged - W) * product).sum() / product.square().sum()",
    sign: str = "scale > 0",
    matrix: str = "near(merged, W + scale * product)",
    beside: str = "near(out, (W + scale * product) @ x)",
    after: str = "near(out, after)",
    back: str = "near(unmerged, W)",
) -> str:
    return f"""def examples():
    return {examples}


def holds(inputs, output):
    W, a, b, x = (torch.tensor(part, dtype=torch.float64) for part in inputs)
    out, merged, after, unmerged = (torch.tensor(output[k], dtype=torch.float64) for k in ("beside", "merged", "after", "unmerged"))
    product = b @ a
    scale = {scale}
    near = lambda u, v: torch.allclose(u, v, atol=1e-6)
    return bool({sign}) and {matrix} and {beside} and {after} and {back}
"""


MUTANTS = [
    Mutant("lab14.q1", "a and b both zero", _layer(a="torch.zeros(rank, base.in_features)"), "a and b both begin at zero"),
    Mutant("lab14.q1", "the other way round", _layer(a="torch.zeros(rank, base.in_features)", b="torch.randn(base.out_features, rank)"), "the other way round"),
    Mutant("lab14.q1", "both random", _layer(b="torch.randn(base.out_features, rank)"), "should give what the base gives"),
    Mutant("lab14.q1", "a constant", _layer(a="torch.full((rank, base.in_features), 0.01)"), "rank 1 for ever"),
    Mutant("lab14.q1", "alpha / r lost", _layer(scale="1.0"), "is alpha used"),
    Mutant("lab14.q1", "alpha alone", _layer(scale="alpha"), "divided by the rank"),
    Mutant("lab14.q1", "alpha / r twice", _layer(scale="(alpha / rank) ** 2"), "applied twice"),
    Mutant("lab14.q1", "upside down", _layer(scale="rank / alpha"), "upside down"),
    Mutant("lab14.q1", "rsLoRA", _layer(scale="alpha / rank ** 0.5"), "rsLoRA's scale"),
    Mutant("lab14.q1", "1 / r", _layer(scale="1 / rank"), "divided by the rank alone"),
    Mutant("lab14.q1", "alpha r", _layer(scale="alpha * rank"), "not multiplied"),
    Mutant("lab14.q1", "base not frozen", _layer(freeze="pass"), "own parameters must not learn"),
    Mutant("lab14.q1", "detached", _layer(value="self.base(x) + self.scale * x @ self.a.detach().T @ self.b.detach().T"), "no gradient reaches a and b"),
    Mutant("lab14.q1", "a detached", _layer(value="self.base(x) + self.scale * x @ self.a.data.T @ self.b.T"), "no gradient reaches a"),
    Mutant("lab14.q1", "no base", _layer(value="self.scale * x @ self.a.T @ self.b.T"), "where is the base"),
    Mutant("lab14.q1", "no bias", _layer(value="x @ (self.base.weight + self.scale * self.b @ self.a).T"), "the base's bias is lost"),
    Mutant("lab14.q1", "bias twice", _layer(value="self.base(x) + self.scale * x @ self.a.T @ self.b.T + (0 if self.base.bias is None else self.base.bias)"), "added twice"),
    Mutant("lab14.q1", "relu between", _layer(value="self.base(x) + self.scale * torch.relu(x @ self.a.T) @ self.b.T"), "nothing between a and b"),
    Mutant("lab14.q1", "shapes exchanged", _layer(a="torch.randn(base.in_features, rank)", b="torch.zeros(rank, base.out_features)", value="self.base(x) + self.scale * x @ self.a @ self.b"), "self.a of shape (rank, in)"),
    Mutant("lab14.q1", "linears", _layer(value="self.base(x) + self.scale * self.b(self.a(x))").replace("nn.Parameter(torch.randn(rank, base.in_features) * 0.1)", "nn.Linear(base.in_features, rank, bias=False)").replace("nn.Parameter(torch.zeros(base.out_features, rank))", "nn.Linear(rank, base.out_features, bias=False)"), "each an nn.Parameter"),
    Mutant("lab14.q2", "the optimizer still holds the base, trained", _optimizer(each="p.requires_grad_(True); p.grad = None", made="torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)"), "the optimizer still holds the base weights, and trains them"),
    Mutant("lab14.q2", "the optimizer still holds the base, frozen", _optimizer(made="torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)"), "the optimizer still holds the base weights. They are frozen"),
    Mutant("lab14.q2", "the optimizer still holds the base, with gradients", _optimizer(each="p.requires_grad_(learns)", made="torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)"), "moves them, frozen or not"),
    Mutant("lab14.q2", "old gradients", _optimizer(each="p.requires_grad_(learns)"), "set .grad to None"),
    Mutant("lab14.q2", "nothing frozen", _optimizer(each="p.requires_grad_(learns or p.requires_grad)"), "are not frozen"),
    Mutant("lab14.q2", "only a", _optimizer(learns="name.endswith('.a')"), "only a is trained"),
    Mutant("lab14.q2", "only b", _optimizer(learns="name.endswith('.b')"), "only b is trained"),
    Mutant("lab14.q2", "last letter", _optimizer(learns="name.endswith(('a', 'b'))"), "not its last letter"),
    Mutant("lab14.q2", "first letter", _optimizer(learns="name.rsplit('.', 1)[-1].startswith(('a', 'b'))"), "beta, bias and base"),
    Mutant("lab14.q2", "first block", _optimizer(learns="name in ('blocks.0.up.a', 'blocks.0.up.b')"), "only the first block"),
    Mutant("lab14.q2", "blocks", _optimizer(learns="'blocks' in name"), "the matrices beside the adapters"),
    Mutant("lab14.q2", "weight decay", _optimizer(made="torch.optim.AdamW(held, lr=lr)"), "decays weights by default"),
    Mutant("lab14.q2", "no lr", _optimizer(made="torch.optim.AdamW(held, weight_decay=0.0)"), "is lr used"),
    Mutant("lab14.q2", "SGD", _optimizer(made="torch.optim.SGD(held, lr=lr)"), "not AdamW"),
    Mutant("lab14.q2", "not thawed", _optimizer(each="p.grad = None\n        if not learns:\n            p.requires_grad_(False)"), "frozen before"),
    Mutant("lab14.q3", "alpha / r lost at merge", _switch(scale="1.0"), "alpha / r is lost"),
    Mutant("lab14.q3", "alpha / r twice at merge", _switch(scale="(adapter['alpha'] / len(a)) ** 2"), "alpha / r is applied twice"),
    Mutant("lab14.q3", "alpha alone", _switch(scale="adapter['alpha']"), "divided by the rank"),
    Mutant("lab14.q3", "upside down", _switch(scale="len(a) / adapter['alpha']"), "upside down"),
    Mutant("lab14.q3", "root", _switch(scale="adapter['alpha'] / len(a) ** 0.5"), "alpha / sqrt(r)"),
    Mutant("lab14.q3", "by the width", _switch(scale="adapter['alpha'] / a.size(1)"), "not of its columns"),
    Mutant("lab14.q3", "old's alpha for both", _switch(scale="(old or adapter)['alpha'] / len(a)"), "the old one's is used for both"),
    Mutant("lab14.q3", "new's alpha for both", _switch(scale="(new or adapter)['alpha'] / len(a)"), "the new one's is used for both"),
    Mutant("lab14.q3", "old stays", _switch(order="((1, new),)"), "is still in"),
    Mutant("lab14.q3", "new lost", _switch(order="((-1, old),)"), "where is the new adapter"),
    Mutant("lab14.q3", "scale lost when unmerging", _switch(scale="adapter['alpha'] / len(a) if sign > 0 else 1.0"), "what went in comes out"),
    Mutant("lab14.q3", "scale lost when merging", _switch(scale="adapter['alpha'] / len(a) if sign < 0 else 1.0"), "when the new adapter is put in"),
    Mutant("lab14.q3", "shared layers only", _switch(put="out[name] = out[name] + sign * scale * change * (sign > 0 or new is None or name in new['layers'])"), "only where the new one has a layer"),
    Mutant("lab14.q3", "both added", _switch(order="((1, old), (1, new))"), "added once more"),
    Mutant("lab14.q3", "exchanged", _switch(order="((1, old), (-1, new))"), "exchanged"),
    Mutant("lab14.q3", "transposed", _switch(change="b @ a if len(b) != a.size(1) else (b @ a).T"), "transposed"),
    Mutant("lab14.q3", "in place", _switch(put="out[name] += sign * scale * change"), "have changed"),
    Mutant("lab14.q3", "adapted ones only", _switch(last="{n: w for n, w in out.items() if any(a and n in a['layers'] for a in (old, new))}"), "return all of them"),
    Mutant("lab14.q3", "None not thought of", _switch(guard="False"), "may be None"),
    Mutant("lab14.q3", "a @ b", _switch(change="a @ b"), "b @ a"),
    Mutant("lab14.q4", "the whole model", _file(covered="n for n in state"), "holds the whole model"),
    Mutant("lab14.q4", "last letter", _file(mine="name[-1] in 'ab'", marked="fingerprint({n: t for n, t in state.items() if n.split('.')[-1] not in ('a', 'b')})"), "weights of the base"),
    Mutant("lab14.q4", "only b", _file(covered="n for n in state if n.endswith('.b')"), "the file lacks a"),
    Mutant("lab14.q4", "no copy", _file(kept="state[n]", new="{**base, **self.tensors}"), "it holds the model's own tensors"),
    Mutant("lab14.q4", "shared with the file", _file(new="{**{n: t.clone() for n, t in base.items()}, **self.tensors}"), "clone() when loading as well"),
    Mutant("lab14.q4", "adapter in the fingerprint", _file(marked="fingerprint(state)", compare="fingerprint(state) != self.base"), "fingerprint covers the adapter"),
    Mutant("lab14.q4", "names and shapes", _file(marked="fingerprint({n: torch.zeros_like(t) for n, t in state.items() if not self.mine(n)})", compare="fingerprint({n: torch.zeros_like(t) for n, t in base.items()}) != self.base"), "fingerprint the weights themselves"),
    Mutant("lab14.q4", "the adapter's fingerprint", _file(marked="fingerprint(self.tensors)", compare="False"), "should tell one *base* from another"),
    Mutant("lab14.q4", "never refuses", _file(compare="False"), "the wrong base is not refused"),
    Mutant("lab14.q4", "shapes of the adapters", _file(compare="{n: t.shape for n, t in state.items() if self.mine(n)} != {n: t.shape for n, t in self.tensors.items()}"), "what decides is the base"),
    Mutant("lab14.q4", "refuses all", _file(compare="True"), "its own base is refused"),
    Mutant("lab14.q4", "written before", _file(refuse="state.update(self.tensors); raise ValueError"), "compare first"),
    Mutant("lab14.q4", "into the given", _file(new="state.update({n: t.clone() for n, t in self.tensors.items()}) or {n: t.clone() for n, t in state.items()}"), "return a new dict"),
    Mutant("lab14.q4", "old adapters stay", _file(new="{n: t.clone() for n, t in {**state, **self.tensors}.items()}"), "are still there"),
    Mutant("lab14.q4", "adapter alone", _file(new="{n: t.clone() for n, t in self.tensors.items()}"), "a whole state"),
    Mutant("lab14.q4", "assert", _file(refuse="assert False"), "refused with a ValueError"),
    Mutant("lab14.q5", "one block", _costs(total="sum(o * i for o, i in shapes.values()) + other"), "stand in every block"),
    Mutant("lab14.q5", "no other", _costs(total="blocks * sum(o * i for o, i in shapes.values())"), "embeddings and norms, are lost"),
    Mutant("lab14.q5", "all adapted", _costs(adapter="blocks * sum(rank * (o + i) for o, i in shapes.values())"), "only the matrices in targets"),
    Mutant("lab14.q5", "a alone", _costs(adapter="blocks * sum(rank * shapes[t][1] for t in targets)"), "here b (out, rank) is lost"),
    Mutant("lab14.q5", "b alone", _costs(adapter="blocks * sum(rank * shapes[t][0] for t in targets)"), "here a (rank, in) is lost"),
    Mutant("lab14.q5", "the matrices", _costs(adapter="blocks * sum(shapes[t][0] * shapes[t][1] for t in targets)"), "of the matrices themselves"),
    Mutant("lab14.q5", "rank out in", _costs(adapter="blocks * sum(rank * shapes[t][0] * shapes[t][1] for t in targets)"), "far more than the matrix"),
    Mutant("lab14.q5", "no rank", _costs(adapter="blocks * sum(sum(shapes[t]) for t in targets)"), "is rank used"),
    Mutant("lab14.q5", "square", _costs(adapter="blocks * sum(2 * rank * shapes[t][1] for t in targets)"), "not every matrix is square"),
    Mutant("lab14.q5", "adapter of one block", _costs(adapter="sum(rank * sum(shapes[t]) for t in targets)"), "every block has its adapters"),
    Mutant("lab14.q5", "no gradient", _costs(full="12 * total", lora="2 * total + 12 * adapter"), "Here it is 12"),
    Mutant("lab14.q5", "weights alone", _costs(full="4 * total", lora="2 * total + 4 * adapter"), "needs a gradient and two moments"),
    Mutant("lab14.q5", "the 4x slip: 2 bytes each", _costs(full="8 * total", lora="2 * total + 8 * adapter"), "4-byte numbers throughout"),
    Mutant("lab14.q5", "gradients for all", _costs(lora="6 * total + 16 * adapter"), "frozen weights need no gradient"),
    Mutant("lab14.q5", "all trained", _costs(lora="16 * (total + adapter)"), "neither gradients nor moments"),
    Mutant("lab14.q5", "no base", _costs(lora="16 * adapter"), "must be in memory as well"),
    Mutant("lab14.q5", "base in full", _costs(lora="4 * total + 16 * adapter"), "2-byte numbers"),
    Mutant("lab14.q5", "gigabytes", _costs(full="16 * total / 1e9", lora="(2 * total + 16 * adapter) / 1e9"), "not gigabytes"),
    Mutant("lab14.q6", "alpha / r lost", _from(b="u[:, :rank] * s[:rank]"), "divide by it here"),
    Mutant("lab14.q6", "multiplied", _from(b="u[:, :rank] * s[:rank] * (alpha / rank)"), "multiplied once more"),
    Mutant("lab14.q6", "alpha / r divided twice", _from(b="u[:, :rank] * s[:rank] / (alpha / rank) ** 2"), "divided by twice"),
    Mutant("lab14.q6", "both scaled", _from(a="vh[:rank] / (alpha / rank)"), "divided by twice"),
    Mutant("lab14.q6", "alpha alone", _from(b="u[:, :rank] * s[:rank] / alpha"), "not alpha"),
    Mutant("lab14.q6", "the smallest", _from(a="vh[-rank:]", b="u[:, -rank:] * s[-rank:] / (alpha / rank)"), "keep the largest"),
    Mutant("lab14.q6", "one too late", _from(a="vh[1 : rank + 1]", b="u[:, 1 : rank + 1] * s[1 : rank + 1] / (alpha / rank)"), "the largest singular value is left out"),
    Mutant("lab14.q6", "no values", _from(b="u[:, :rank] / (alpha / rank)"), "the singular values are lost"),
    Mutant("lab14.q6", "values twice", _from(a="s[:rank, None] * vh[:rank]"), "are in both a and b"),
    Mutant("lab14.q6", "one root", _from(b="u[:, :rank] * s[:rank].sqrt() / (alpha / rank)"), "the roots of the singular values"),
    Mutant("lab14.q6", "first columns", _from(a="torch.eye(delta.shape[1])[:rank]", b="delta[:, :rank] / (alpha / rank)"), "first columns of the update"),
    Mutant("lab14.q6", "first rows", _from(a="delta[:rank]", b="torch.eye(delta.shape[0])[:, :rank] / (alpha / rank)"), "first rows of the update"),
    Mutant("lab14.q6", "exchanged", _from(value="b, a"), "and a comes first"),
    Mutant("lab14.q6", "full rank", _from(a="vh", b="u * s / (alpha / rank)"), "cut off"),
    Mutant("lab14.q7", "the scale is 2", _test(scale="2.0"), "refuses a right answer"),
    Mutant("lab14.q7", "b is zero", _test(examples="[([[1.0, 2.0]], [[1.0, 3.0]], [[0.0]], [1.0, 2.0])]", scale="torch.tensor(1.0)", sign="True"), "your test accepts"),
    Mutant("lab14.q7", "rank 1 alone", _test(examples="[([[1.0, 2.0], [-3.0, 0.5]], [[1.0, -2.0]], [[3.0], [0.5]], [1.0, -1.5])]"), "only the first row of a"),
    Mutant("lab14.q7", "no square matrix", _test(examples="[([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], [[1.0, 0.5, -1.0], [2.0, -1.0, 0.25]], [[0.5, 1.0], [-1.5, 2.0]], [1.0, 2.0, -0.5])]"), "square matrices transposed"),
    Mutant("lab14.q7", "unmerging not looked at", _test(back="True"), "when unmerging"),
    Mutant("lab14.q7", "after not looked at", _test(after="True"), "after it has been merged"),
    Mutant("lab14.q7", "beside not looked at", _test(beside="True", after="near(merged @ x, after)"), "your test accepts"),
    Mutant("lab14.q7", "too wide", _test(examples="[([[1.0] * 6], [[1.0] * 6], [[1.0]], [1.0] * 6)]"), "at most 5"),
    Mutant("lab14.q8", "another cause", 'diagnosis = {"cause": "A", "evidence": ["a", "b"]}', "not what went wrong"),
    Mutant("lab14.q8", "untrue evidence", 'diagnosis = {"cause": "F", "evidence": ["a", "j"]}', "is not true of your run"),
    Mutant("lab14.q8", "evidence for two causes", 'diagnosis = {"cause": "F", "evidence": ["a", "b"]}', "seen under another cause"),
    Mutant("lab14.q8", "a letter", 'diagnosis = "F"', "write it as"),
]  # fmt: skip

# The challenge: 183 with 800 steps in place of 300, and nothing else changed; what else is tried has not been measured.
RUBRICS = {
    "lab14.t1": "3: says that the form is learned at every rank while the facts known grow with the rank, and gives a reason for it (one rule for all, against "
    "facts that have nothing in common) that is marked as a guess; weighs the difference between ranks against that between seeds; says that 70 steps may be what "
    "stops rank 1 (more steps, other learning rates) and names a limit of scale. 2: two of the three. 1: describes the curves without weighing them. "
    "0: no plot read.",
}
