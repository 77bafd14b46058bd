"""Lab 14: a LoRA layer, an optimizer for it alone, changing merged adapters, a file for an adapter, what it costs, an
adapter from a finished update, a test of merging, a wrong run."""

import functools
import hashlib

import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Tolerance, Ungraded

# --------------------------------------------------------------------------------------------------------- 1: the layer


def _layer_inputs(draw: Draw, biased: bool, *shape: int) -> tuple:
    rank = 2 + draw.integer(0, 2)
    n_in, n_out = 5 + draw.integer(0, 3), 9 + draw.integer(0, 3)
    bias = draw.normal(n_out) if biased else None
    a, b = draw.normal(rank, n_in), draw.normal(n_out, rank)
    alpha = draw.choice([1.0, 8.0, 12.0, 16.0])
    return draw.normal(n_out, n_in), bias, rank, alpha, a, b, draw.normal(*shape, n_in)


def rows_with_bias(draw: Draw) -> tuple:
    return _layer_inputs(draw, True, 3)


def batches_without_bias(draw: Draw) -> tuple:
    return _layer_inputs(draw, False, 2, 3)


def run_layer(student, weight, bias, rank, alpha, a, b, x):
    """Recipe: what a new layer gives and learns, and what it gives with a and b filled in."""
    base = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        base.weight.copy_(weight)
        if bias is not None:
            base.bias.copy_(bias)
    torch.manual_seed(0)
    layer = student(base, rank, alpha)
    found = {"trainable": {name: list(p.shape) for name, p in layer.named_parameters() if p.requires_grad}}
    first = layer(x.clone())
    first.square().sum().backward()
    learns = lambda p: p.grad is not None and bool(p.grad.any())
    found["output of a new layer"] = first.detach().clone()
    found["rank of a new a"] = int(torch.linalg.matrix_rank(layer.a.detach()))
    found["a has a gradient"], found["b has a gradient"] = learns(layer.a), learns(layer.b)
    with torch.no_grad():
        layer.a.copy_(a)
        layer.b.copy_(b)
    layer.a.grad = layer.b.grad = None
    out = layer(x.clone())
    out.square().sum().backward()
    nothing = lambda p: torch.zeros_like(p) if p.grad is None else p.grad
    found["output"] = out.detach().clone()
    found["gradient of a"], found["gradient of b"] = nothing(layer.a), nothing(layer.b)
    found["the base is as it was"] = bool((base.weight == weight).all())
    return found


class LoRALayer(nn.Module):
    """W x + bias + alpha / rank b a x, or that of a slip."""

    def __init__(self, base, rank, alpha, slip=""):
        super().__init__()
        self.base, self.slip = base, slip
        if slip != "base learns":
            base.requires_grad_(False)
        n_out, n_in = base.weight.shape
        a, b = torch.randn(rank, n_in) * n_in**-0.5, torch.zeros(n_out, rank)
        if slip == "both zero":
            a.zero_()
        elif slip == "constant":
            a.fill_(0.01)
        elif slip == "other way round":
            a, b = a.zero_(), torch.randn(n_out, rank)
        self.a, self.b = nn.Parameter(a), nn.Parameter(b)
        scales = {
            "no scale": 1.0, "alpha": alpha, "twice": (alpha / rank) ** 2, "upside down": rank / alpha,
            "root": alpha / rank**0.5, "a rank": 1 / rank, "product": alpha * rank,
        }  # fmt: skip
        self.scale = scales.get(slip, alpha / rank)

    def forward(self, x):
        change = x @ self.a.T @ self.b.T * self.scale
        if self.slip == "detached":
            change = x @ self.a.detach().T @ self.b.detach().T * self.scale
        elif self.slip == "b alone":
            change = x @ self.a.detach().T @ self.b.T * self.scale
        if self.slip == "no base":
            return change
        if self.slip == "no bias":
            return F.linear(x, self.base.weight) + change
        if self.slip == "bias twice" and self.base.bias is not None:
            return self.base(x) + change + self.base.bias
        if self.slip == "bias scaled" and self.base.bias is not None:
            return self.base(x) + change + self.base.bias * self.scale
        if self.slip == "through the output":
            return self.base(x) * (1 + 0 * self.scale) + torch.relu(x @ self.a.T) @ self.b.T * self.scale
        return self.base(x) + change


@functools.cache
def _layer_of(slip: str):
    return lambda *inputs: run_layer(functools.partial(LoRALayer, slip=slip), *inputs)


LAYER_SLIPS = {
    "both zero": "a and b both begin at zero: then the gradient of each is zero as well, for it is multiplied by the other, and nothing ever moves. Only b begins at zero",
    "other way round": "b begins at zero and a at random; here it is the other way round",
    "constant": "every row of a begins the same: then all of them learn the same, and the adapter has rank 1 for ever. Draw a at random",
    "no scale": "is alpha used? The product b a is multiplied by alpha / rank",
    "alpha": "alpha is divided by the rank",
    "twice": "alpha / rank is applied twice",
    "upside down": "alpha / rank is upside down",
    "root": "that is alpha / sqrt(rank), rsLoRA's scale: here it is alpha / rank",
    "a rank": "is alpha used? Here the product is divided by the rank alone",
    "product": "alpha is divided by the rank, not multiplied",
    "base learns": "the base's own parameters must not learn: requires_grad_(False) on the base",
    "detached": "no gradient reaches a and b: something on the way is detached or copied",
    "b alone": "no gradient reaches a",
    "no base": "where is the base? The layer gives W x plus the adapter's part",
    "no bias": "the base's bias is lost: call the base itself",
    "bias twice": "the base's bias is added twice",
    "bias scaled": "the bias belongs to the base alone: the adapter has none",
    "through the output": "there is nothing between a and b: with a nonlinearity there the adapter can't be merged into a matrix",
}  # fmt: skip
_BIASED = tuple(_layer_of(s) for s in LAYER_SLIPS)
_UNBIASED = tuple(_layer_of(s) for s in LAYER_SLIPS if "bias" not in s)


def _starts_elsewhere(value, weight, bias, rank, alpha, a, b, x) -> bool:
    """Both random: a new layer is not the base."""
    if not isinstance(value, dict):
        return False
    start, base = value["output of a new layer"], F.linear(x, weight, bias)
    return value["rank of a new a"] == rank and value["a has a gradient"] and not torch.allclose(start, base, atol=1e-5)


# ----------------------------------------------------------------------------------------------------- 2: the optimizer


def a_model_and_data(draw: Draw) -> tuple:
    """Weights by name: an embedding, a norm with gamma and beta, two layers with adapters, a head."""
    d, rank = 4 + draw.integer(0, 2), 2
    shapes = {
        "embedding.table": (6, d), "norm.gamma": (d,), "norm.beta": (d,), "blocks.0.up.base.weight": (d, d),
        "blocks.0.up.a": (rank, d), "blocks.0.up.b": (d, rank), "blocks.1.up.base.weight": (d, d),
        "blocks.1.up.a": (rank, d), "blocks.1.up.b": (d, rank), "head.bias": (5,), "head.data": (5, d),
    }  # fmt: skip
    weights = {name: draw.normal(*shape, scale=0.5) for name, shape in shapes.items()}
    return weights, draw.integers(0, 6, 8), draw.integers(0, 5, 8), draw.choice([0.03, 0.1])


def frozen_before(draw: Draw) -> tuple:
    """The same; everything was frozen for a while."""
    return (*a_model_and_data(draw), True)


def run_optimizer(student, weights, ids, answers, lr, frozen=False):
    """Recipe: two steps with the student's optimizer."""

    class Part(nn.Module):
        pass

    model = Part()
    for name, value in weights.items():
        *path, last = name.split(".")
        part = model
        for step in path:
            if step not in part._modules:
                part.add_module(step, Part())
            part = part._modules[step]
        part.register_parameter(last, nn.Parameter(value.clone()))
    p = dict(model.named_parameters())

    def loss():
        x = p["embedding.table"][ids] * p["norm.gamma"] + p["norm.beta"]
        for i in "01":
            change = x @ p[f"blocks.{i}.up.a"].T @ p[f"blocks.{i}.up.b"].T
            x = x + torch.tanh(x @ p[f"blocks.{i}.up.base.weight"].T + change)
        return F.cross_entropy(x @ p["head.data"].T + p["head.bias"], answers)

    loss().backward()  # an earlier pass leaves gradients everywhere
    if frozen:
        model.requires_grad_(False)
    optimizer = student(model, lr)
    for name, q in p.items():
        if name[-2:] in (".a", ".b"):
            q.grad = None
    loss().backward()
    optimizer.step()  # whatever else is held and has an old gradient moves now
    optimizer.zero_grad()
    loss().backward()
    optimizer.step()
    names = {id(q): name for name, q in p.items()}
    held = sorted({names.get(id(q), "something else") for group in optimizer.param_groups for q in group["params"]})
    return {
        "held by the optimizer": held,
        "trainable": sorted(name for name, q in p.items() if q.requires_grad),
        "with a gradient": sorted(name for name, q in p.items() if q.grad is not None),
        "moved": sorted(name for name, q in p.items() if not torch.equal(q.detach(), weights[name])),
        "after": {name: q.detach().clone() for name, q in p.items() if name[-2:] in (".a", ".b")},
    }


def adapter_optimizer(model, lr, slip=""):
    """AdamW for what is called a or b, or that of a slip."""
    wanted = {
        "only a": lambda n: n.endswith(".a"),
        "only b": lambda n: n.endswith(".b"),
        "ends in a or b": lambda n: n[-1] in "ab",
        "last part begins with a or b": lambda n: n.split(".")[-1][0] in "ab",
        "first block": lambda n: n.startswith("blocks.0.up.") and n[-2:] in (".a", ".b"),
        "blocks": lambda n: n.startswith("blocks"),
    }.get(slip, lambda n: n.split(".")[-1] in ("a", "b"))
    chosen = [p for n, p in model.named_parameters() if wanted(n)]
    ids = {id(p) for p in chosen}
    held = chosen
    for p in model.parameters():
        if slip not in ("not frozen", "all"):
            p.requires_grad_(id(p) in ids)
        if slip not in ("old gradients", "old gradients, all held"):
            p.grad = None
    if slip in ("all", "frozen but held", "old gradients, all held"):
        held = list(model.parameters())
    if slip == "all":
        for p in model.parameters():
            p.requires_grad_(True)
    if slip == "decay":
        return torch.optim.AdamW(held, lr=lr, weight_decay=0.01)
    if slip == "no lr":
        return torch.optim.AdamW(held, weight_decay=0.0)
    if slip == "sgd":
        return torch.optim.SGD(held, lr=lr)
    return torch.optim.AdamW(held, lr=lr, weight_decay=0.0)


@functools.cache
def _optimized(slip: str):
    return lambda *inputs: run_optimizer(functools.partial(adapter_optimizer, slip=slip), *inputs)


OPTIMIZER_SLIPS = {
    "all": "the optimizer still holds the base weights, and trains them: then the adapter alone is no longer what was learned, and moments are kept for every weight. Give it the adapters' parameters",
    "frozen but held": "the optimizer still holds the base weights. They are frozen, so it does nothing with them today, but it would with the first gradient that one of them gets. Give it the adapters' parameters",
    "old gradients, all held": "the optimizer still holds the base weights, and moves them, frozen or not: they have gradients from an earlier pass. Give it the adapters' parameters, and set the other gradients to None",
    "old gradients": "frozen weights still have the gradients of an earlier pass, which take as much memory as they do: set .grad to None",
    "not frozen": "the base's parameters are not frozen: their gradients are computed and kept for nothing. requires_grad_(False) for all but the adapters",
    "only a": "only a is trained: b, which begins at zero, must learn as well",
    "only b": "only b is trained: a must learn as well",
    "ends in a or b": "beta and data are no adapters: compare the whole last part of a name with a and b, not its last letter",
    "last part begins with a or b": "beta, bias and base are no adapters: compare the whole last part of a name with a and b",
    "first block": "only the first block's adapters are trained",
    "blocks": "the matrices beside the adapters are trained as well: only a and b",
    "decay": "AdamW decays weights by default, weight_decay=0.01: set it to 0",
    "no lr": "is lr used?",
    "sgd": "that is not AdamW",
}
_OPTIMIZERS = tuple(map(_optimized, OPTIMIZER_SLIPS))
_FROZEN = tuple(_optimized(s) for s in OPTIMIZER_SLIPS if s != "not frozen")

# ------------------------------------------------------------------------------------------------- 3: merge and unmerge


def _adapter(draw: Draw, shapes: dict, rank: int, alpha: float) -> dict:
    layers = {name: (draw.normal(rank, shape[1]), draw.normal(shape[0], rank)) for name, shape in shapes.items()}
    return {"alpha": alpha, "layers": layers}


def _two_adapters(draw: Draw) -> tuple:
    """A model of four matrices; each adapter has two of them, one in common; ranks and alphas differ."""
    n, m = 3 + draw.integer(0, 2), 5 + draw.integer(0, 2)
    shapes = {"0.q_proj": (n, n), "0.up_proj": (m, n), "1.q_proj": (n, n), "1.up_proj": (m, n)}
    weights = {name: draw.normal(*shape) for name, shape in shapes.items()}
    own, other = draw.choice([("0.q_proj", "0.up_proj"), ("1.q_proj", "1.up_proj"), ("0.up_proj", "1.q_proj")])
    ranks = draw.choice([(1, 2), (2, 3), (3, 2)])
    alphas = draw.choice([(6.0, 16.0), (16.0, 7.0), (12.0, 5.0)])
    third = draw.choice([name for name in shapes if name not in (own, other)])
    first = _adapter(draw, {name: shapes[name] for name in (own, other)}, ranks[0], alphas[0])
    second = _adapter(draw, {name: shapes[name] for name in (other, third)}, ranks[1], alphas[1])
    return weights, first, second


def one_for_another(draw: Draw) -> tuple:
    return _two_adapters(draw)


def merge_one(draw: Draw) -> tuple:
    weights, _, new = _two_adapters(draw)
    return weights, None, new


def unmerge_one(draw: Draw) -> tuple:
    weights, old, _ = _two_adapters(draw)
    return weights, old, None


def run_switch(student, weights, old, new):
    """Recipe: the new matrices, and whether the given ones are as they were."""

    def copy(adapter):
        if adapter is None:
            return None
        return {
            "alpha": adapter["alpha"],
            "layers": {n: (a.clone(), b.clone()) for n, (a, b) in adapter["layers"].items()},
        }

    given = {name: weight.clone() for name, weight in weights.items()}
    out = student(given, copy(old), copy(new))
    return {
        "weights": {name: torch.as_tensor(weight).detach().clone() for name, weight in dict(out).items()},
        "the given matrices are as they were": all(torch.equal(given[n], w) for n, w in weights.items() if n in given),
    }


def switch(weights, old, new, slip=""):
    """The matrices with the new adapter merged in place of the old one, or what a slip gives."""
    out = weights if slip == "in place" else dict(weights)
    for sign, adapter in ((-1, old), (1, new)):
        if adapter is None:
            continue
        lender = {"old's alpha": old, "new's alpha": new}.get(slip) or adapter
        for name, (a, b) in adapter["layers"].items():
            rank, alpha = len(a), lender["alpha"]
            scale = {
                "no scale": 1.0, "twice": (alpha / rank) ** 2, "alpha": alpha, "upside down": rank / alpha,
                "root": alpha / rank**0.5, "by the width": alpha / a.shape[1],
            }.get(slip, alpha / rank)  # fmt: skip
            if (slip == "old lost") and sign < 0:
                continue
            if slip == "new lost" and sign > 0:
                continue
            if slip == "old scale lost" and sign < 0:
                scale = 1.0
            if slip == "new scale lost" and sign > 0:
                scale = 1.0
            if slip == "shared only" and sign < 0 and new is not None and name not in new["layers"]:
                continue
            direction = {"both added": 1, "exchanged": -sign}.get(slip, sign)
            change = b @ a
            if slip == "transposed" and change.shape[0] == change.shape[1]:
                change = change.T
            if slip == "in place":
                out[name] += direction * scale * change
            else:
                out[name] = out[name] + direction * scale * change
    if slip == "adapted only":
        named = [n for adapter in (old, new) if adapter for n in adapter["layers"]]
        out = {name: out[name] for name in out if name in named}
    return out


@functools.cache
def _switched(slip: str):
    return lambda *inputs: run_switch(functools.partial(switch, slip=slip), *inputs)


SWITCH_SLIPS = {
    "no scale": "alpha / r is lost: what is merged is alpha / r times b a, as the layer adds it",
    "twice": "alpha / r is applied twice",
    "alpha": "alpha is divided by the rank",
    "upside down": "alpha / r is upside down",
    "root": "that is alpha / sqrt(r): here it is alpha / r",
    "by the width": "the rank is the number of rows of a, not of its columns",
    "old's alpha": "each adapter has an alpha of its own: here the old one's is used for both",
    "new's alpha": "each adapter has an alpha of its own: here the new one's is used for both",
    "old lost": "the old adapter is still in: take it out first",
    "new lost": "where is the new adapter?",
    "old scale lost": "alpha / r is lost when the old adapter is taken out: what went in comes out",
    "new scale lost": "alpha / r is lost when the new adapter is put in",
    "shared only": "the old adapter is taken out only where the new one has a layer: it must go everywhere",
    "both added": "the old adapter is added once more: subtract it",
    "exchanged": "old and new are exchanged: the old one goes out, the new one in",
    "transposed": "the product is transposed: W is (out, in), and so is b a",
    "in place": "the given matrices have changed: return new ones, or the next switch starts from something else (`weights[name] += ...` changes the tensor itself)",
    "adapted only": "matrices without an adapter are part of the model as well: return all of them",
}  # fmt: skip
_BOTH = tuple(map(_switched, SWITCH_SLIPS))
_MERGED = tuple(
    _switched(s) for s in SWITCH_SLIPS if "old" not in s and s not in ("new's alpha", "both added", "shared only")
)
_UNMERGED = tuple(_switched(s) for s in SWITCH_SLIPS if "new" not in s and s not in ("old's alpha", "shared only"))

# -------------------------------------------------------------------------------------------------- 4: a file for it


def fingerprint(tensors: dict) -> str:
    """As the notebook gives it."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(
            f"{name} {tuple(tensors[name].shape)}".encode() + tensors[name].detach().contiguous().numpy().tobytes()
        )
    return digest.hexdigest()[:16]


def _is_adapter(name: str) -> bool:
    return name.split(".")[-1] in ("a", "b")


def _a_state(draw: Draw, rank: int, adapted: tuple, base: dict | None = None) -> dict:
    d = 4
    if base is None:
        shapes = {"embedding.data": (5, d), "norm.beta": (d,), "0.q.base.weight": (d, d), "1.q.base.weight": (d, d)}
        base = {name: draw.normal(*shape) for name, shape in shapes.items()}
    state = {name: tensor.clone() for name, tensor in base.items()}
    for place in adapted:
        state[f"{place}.a"], state[f"{place}.b"] = draw.normal(rank, d), draw.normal(d, rank)
    return state


def a_trained_model_and_others(draw: Draw) -> tuple:
    state = _a_state(draw, 2, ("0.q", "1.q"))
    base = {name: tensor for name, tensor in state.items() if not _is_adapter(name)}
    changed = {name: tensor.clone() for name, tensor in base.items()}
    changed[draw.choice(list(base))].view(-1)[draw.integer(0, 4)] += 0.01
    wider = {name: draw.normal(*tensor.shape) for name, tensor in base.items()}
    others = {
        "its own base, adapters fresh": _a_state(draw, 2, ("0.q", "1.q"), base),
        "its own base, adapters of another rank": _a_state(draw, 1, ("0.q", "1.q"), base),
        "a base with one weight changed": _a_state(draw, 2, ("0.q", "1.q"), changed),
        "another base of the same shapes": _a_state(draw, 2, ("0.q", "1.q"), wider),
        "a base with one matrix more": {
            **_a_state(draw, 2, ("0.q", "1.q"), base),
            "2.q.base.weight": draw.normal(4, 4),
        },
    }
    return state, others


def one_adapter_of_several_places(draw: Draw) -> tuple:
    """The file has an adapter in one place; the models it comes to have adapters in two."""
    place, both = draw.choice(["0.q", "1.q"]), ("0.q", "1.q")
    state = _a_state(draw, 2, (place,))
    base = {name: tensor for name, tensor in state.items() if not _is_adapter(name)}
    return state, {
        "its own base, adapters in two places": _a_state(draw, 3, both, base),
        "its own base, no adapters": _a_state(draw, 3, (), base),
        "another base of the same shapes": _a_state(draw, 2, both, {n: t + 1 for n, t in base.items()}),
    }


def run_file(student, state, others):
    """Recipe: what is in the file, and what becomes of it in several models."""
    mine = {name: tensor.clone() for name, tensor in state.items()}
    file = student(mine)
    found = {
        "tensors": {name: tensor.detach().clone() for name, tensor in file.tensors.items()},
        "base": file.base,
        "the given state is as it was": set(mine) == set(state)
        and all(torch.equal(mine[n], t) for n, t in state.items()),
    }
    for tensor in mine.values():
        tensor.add_(1.0)  # training goes on
    found["training goes on, and the file stays"] = all(
        torch.equal(file.tensors[name], tensor) for name, tensor in found["tensors"].items()
    )
    stays, untouched = True, True
    for name, other in others.items():
        given = {n: t.clone() for n, t in other.items()}
        try:
            new = file.into(given)
        except ValueError:
            found[name] = "refused"
            untouched = (
                untouched and set(given) == set(other) and all(torch.equal(given[n], t) for n, t in other.items())
            )
            continue
        found[name] = {n: t.detach().clone() for n, t in new.items()}
        untouched = untouched and set(given) == set(other) and all(torch.equal(given[n], t) for n, t in other.items())
        for tensor in new.values():
            tensor.detach().add_(1.0)  # it is trained as well
        stays = stays and all(torch.equal(file.tensors[n], t) for n, t in found["tensors"].items())
    found["the models it comes to are as they were"] = untouched
    found["a model trained with it leaves the file alone"] = stays
    return found


class AdapterFile:
    """The adapter of a state and the fingerprint of its base, or what a slip keeps."""

    def __init__(self, state, slip=""):
        self.slip = slip
        mine = {
            "last letter": lambda n: n[-1] in "ab",
            "only b": lambda n: n.endswith(".b"),
            "all": lambda n: True,
        }.get(slip, _is_adapter)
        self.tensors = {n: t if slip == "no copy" else t.detach().clone() for n, t in state.items() if mine(n)}
        self.base = fingerprint(
            {n: t for n, t in state.items() if not _is_adapter(n) or slip == "adapter in fingerprint"}
        )
        if slip == "names and shapes":
            self.base = fingerprint({n: torch.zeros_like(t) for n, t in state.items() if not _is_adapter(n)})
        if slip == "adapter's fingerprint":
            self.base = fingerprint(self.tensors)

    def into(self, state):
        base = {n: t for n, t in state.items() if not _is_adapter(n)}
        found = fingerprint(state if self.slip == "adapter in fingerprint" else base)
        if self.slip == "names and shapes":
            found = fingerprint({n: torch.zeros_like(t) for n, t in base.items()})
        wrong = found != self.base
        if self.slip == "names only":
            wrong = any(n.removesuffix(".a").removesuffix(".b") + ".base.weight" not in base for n in self.tensors)
        if self.slip == "shapes of adapters":
            wrong = {n: t.shape for n, t in state.items() if _is_adapter(n)} != {
                n: t.shape for n, t in self.tensors.items()
            }
        if self.slip in ("never refuses", "adapter's fingerprint"):
            wrong = False
        if self.slip == "refuses all":
            wrong = True
        if wrong and self.slip == "written before":
            state.update(self.tensors)
        if wrong:
            raise ValueError("another base")
        if self.slip == "into the given":
            state.update({n: t.clone() for n, t in self.tensors.items()})
            return {n: t.clone() for n, t in state.items()}
        kept = state if self.slip == "old adapters stay" else base
        if self.slip == "adapter alone":
            kept = {}
        own = (
            self.tensors
            if self.slip in ("shared with the file", "no copy")
            else {n: t.clone() for n, t in self.tensors.items()}
        )
        return {n: t.clone() for n, t in kept.items()} | own


@functools.cache
def _filed(slip: str):
    return lambda *inputs: run_file(functools.partial(AdapterFile, slip=slip), *inputs)


FILE_SLIPS = {
    "all": "the file holds the whole model: only the adapter's tensors belong in it",
    "last letter": "the file holds weights of the base, such as beta and data: compare the whole last part of a name with a and b",
    "only b": "the file lacks a",
    "no copy": "the file changes when training goes on: it holds the model's own tensors. clone() them when saving and when loading",
    "shared with the file": "a model that was loaded from the file and trained on changes the file: clone() when loading as well",
    "adapter in fingerprint": "the fingerprint covers the adapter's tensors as well, so that its own base with fresh adapters is refused: fingerprint of the base alone",
    "names and shapes": "a model of the same shapes and other weights is taken for the base: fingerprint the weights themselves",
    "adapter's fingerprint": "self.base is the fingerprint of the adapter: it should tell one *base* from another",
    "never refuses": "the wrong base is not refused: compare fingerprints, and raise ValueError",
    "names only": "a model with layers of the same names is taken for the base: compare fingerprints",
    "shapes of adapters": "what decides is the base, not what adapters the model has at the moment: compare fingerprints of the base",
    "refuses all": "its own base is refused",
    "written before": "a model that is refused has been changed all the same: compare first",
    "into the given": "the given state is changed: return a new dict",
    "old adapters stay": "the adapters that the model had are still there: the result has the base's weights and those of the file, nothing else",
    "adapter alone": "the result is a whole state: the base's weights and the adapter",
}
_FILES = tuple(_filed(s) for s in FILE_SLIPS if s != "old adapters stay")
_PLACES = tuple(
    _filed(s)
    for s in (
        "all", "last letter", "only b", "no copy", "shared with the file", "names and shapes", "never refuses", "refuses all", "old adapters stay", "adapter alone",
        "into the given", "written before", "shapes of adapters",
    )
)  # fmt: skip

# ------------------------------------------------------------------------------------------------------------ 5: costs


def a_configuration(draw: Draw) -> tuple:
    d, blocks = 8 * draw.integer(1, 5), draw.integer(2, 6)
    kv, ff = d // 2, d * 2 + 8 * draw.integer(1, 4)
    shapes = {
        "q_proj": (d, d), "k_proj": (kv, d), "v_proj": (kv, d), "o_proj": (d, d),
        "gate_proj": (ff, d), "up_proj": (ff, d), "down_proj": (d, ff),
    }  # fmt: skip
    targets = draw.choice([["q_proj", "v_proj"], ["k_proj", "down_proj"], ["q_proj", "up_proj", "down_proj"]])
    return shapes, blocks, 100 * draw.integer(1, 9) + 7, targets, draw.choice([2, 3, 4])


def all_targets(draw: Draw) -> tuple:
    shapes, blocks, other, _, rank = a_configuration(draw)
    return shapes, blocks, other, list(shapes), rank


def costs(shapes, blocks, other, targets, rank, slip=""):
    """Parameters and bytes, or those of a slip."""
    matrices = sum(out * n for out, n in shapes.values())
    total = {
        "one block": matrices + other,
        "no other": blocks * matrices,
        "other in each": blocks * (matrices + other),
    }.get(slip, blocks * matrices + other)
    chosen = list(shapes) if slip == "all adapted" else targets
    each = {
        "a alone": lambda out, n: rank * n,
        "b alone": lambda out, n: rank * out,
        "a full matrix": lambda out, n: out * n,
        "rank times matrix": lambda out, n: rank * out * n,
        "no rank": lambda out, n: out + n,
        "square": lambda out, n: 2 * rank * n,
    }.get(slip, lambda out, n: rank * (out + n))
    adapter = sum(each(*shapes[name]) for name in chosen)
    if slip not in ("adapter of one block",):
        adapter *= blocks
    full = {"no gradient": 12, "one moment": 12, "weights alone": 4, "half": 8, "four": 20}.get(slip, 16) * total
    lora = {
        "gradients for all": 6 * total + 12 * adapter + 4 * adapter,
        "all trained": 16 * total + 16 * adapter,
        "no base": 16 * adapter,
        "base in full": 4 * total + 16 * adapter,
        "adapter in half": 2 * total + 14 * adapter,
        "adapter weights lost": 2 * total + 12 * adapter,
        "no gradient": 2 * total + 12 * adapter,
        "one moment": 2 * total + 12 * adapter,
        "half": 2 * total + 8 * adapter,
        "weights alone": 2 * total + 4 * adapter,
        "base left out": 2 * (total - adapter) + 16 * adapter,
    }.get(slip, 2 * total + 16 * adapter)
    found = {"parameters": total, "adapter": adapter, "full bytes": full, "lora bytes": lora}
    if slip == "gigabytes":
        found |= {"full bytes": full / 1e9, "lora bytes": lora / 1e9}
    return found


@functools.cache
def _priced(slip: str):
    return lambda *inputs: costs(*inputs, slip=slip)


COST_SLIPS = {
    "one block": "the matrices stand in every block: multiply by blocks",
    "no other": "the model's other parameters, embeddings and norms, are lost",
    "other in each": "other counts once, not in each block",
    "all adapted": "only the matrices in targets have an adapter",
    "a alone": "an adapter has two matrices: here b (out, rank) is lost",
    "b alone": "an adapter has two matrices: here a (rank, in) is lost",
    "a full matrix": "those are the parameters of the matrices themselves: an adapter has a (rank, in) and b (out, rank)",
    "rank times matrix": "rank * out * in is far more than the matrix: a has rank * in numbers, b has out * rank",
    "no rank": "is rank used?",
    "square": "not every matrix is square: a has rank * in numbers, b has out * rank",
    "adapter of one block": "every block has its adapters: multiply by blocks",
    "no gradient": "what learns needs 16 bytes a parameter: weight, gradient and two moments, 4 each. Here it is 12",
    "weights alone": "what learns needs a gradient and two moments as well: 16 bytes a parameter",
    "half": "what learns is kept in 4-byte numbers throughout: 16 bytes a parameter",
    "four": "weight, gradient and two moments are 16 bytes a parameter, not 20",
    "gradients for all": "frozen weights need no gradient",
    "all trained": "frozen weights need neither gradients nor moments: 2 bytes each",
    "no base": "the frozen model must be in memory as well, 2 bytes a parameter",
    "base in full": "the frozen model is kept in 2-byte numbers",
    "adapter in half": "what learns is kept in 4-byte numbers, the adapter's own weights too: 16 bytes a parameter",
    "adapter weights lost": "what learns needs 16 bytes a parameter: weight, gradient and two moments, 4 each",
    "base left out": "the adapter comes on top of the model's parameters: none of them goes away",
    "gigabytes": "in bytes, not gigabytes",
}
_PRICED = tuple(map(_priced, COST_SLIPS))
_ALL_PRICED = tuple(_priced(s) for s in COST_SLIPS if s != "all adapted")

# ------------------------------------------------------------------------------------------- 6: from a finished update


def _update(draw: Draw, n_out: int, n_in: int) -> torch.Tensor:
    """A matrix with singular values that are well apart."""
    k = min(n_out, n_in)
    left, _ = torch.linalg.qr(draw.normal(n_out, k))
    right, _ = torch.linalg.qr(draw.normal(n_in, k))
    values = torch.tensor([4.0 * 0.6**i for i in range(k)]) * draw.uniform(k, low=0.95, high=1.05)
    return left @ torch.diag(values) @ right.T


def a_tall_update(draw: Draw) -> tuple:
    return _update(draw, 8 + draw.integer(0, 3), 5), 2, draw.choice([3.0, 8.0, 16.0])


def a_wide_update(draw: Draw) -> tuple:
    return _update(draw, 5, 8 + draw.integer(0, 3)), draw.choice([1, 3]), draw.choice([5.0, 8.0, 16.0])


def a_square_update(draw: Draw) -> tuple:
    return _update(draw, 6, 6), 3, draw.choice([1.0, 6.0, 12.0])


def run_from_update(student, delta, rank, alpha):
    """Recipe: what the layer would add with this a and b."""
    a, b = student(delta.clone(), rank, alpha)
    a, b = torch.as_tensor(a).detach().float(), torch.as_tensor(b).detach().float()
    return {"shape of a": list(a.shape), "shape of b": list(b.shape), "alpha / rank b a": alpha / rank * (b @ a)}


def from_update(delta, rank, alpha, slip=""):
    """a and b whose product, scaled, is the nearest of that rank, or those of a slip."""
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    scale = {
        "no scale": 1.0,
        "multiplied": rank / alpha,
        "twice": (alpha / rank) ** 2,
        "alpha": alpha,
        "half": (alpha / rank) ** 0.5,
    }.get(slip, alpha / rank)
    first = slice(-rank, None) if slip == "smallest" else slice(rank)
    if slip == "one more":
        first = slice(1, rank + 1)
    a, b = vh[first], u[:, first] * s[first] / scale
    if slip == "no values":
        b = u[:, first] / scale
    elif slip == "values twice":
        a = vh[first] * s[first, None]
    elif slip == "root once":
        b = u[:, first] * s[first].sqrt() / scale
    elif slip == "both scaled":
        a = a / scale
    elif slip == "first rows":
        a, b = torch.eye(delta.shape[1])[:rank], delta[:, :rank] / scale
    elif slip == "first rows of delta":
        a, b = delta[:rank], torch.eye(delta.shape[0])[:, :rank] / scale
    elif slip == "v not transposed" and delta.shape[0] == delta.shape[1]:
        a = vh.T[first]
    elif slip == "only one":
        a, b = vh[:1].expand(rank, -1), u[:, :1] * s[:1] / scale / rank
        b = b.expand(-1, rank)
    elif slip == "exchanged":
        a, b = b, a
    return a, b


@functools.cache
def _factored(slip: str):
    return lambda delta, rank, alpha: _run_factored(slip, delta, rank, alpha)


def _run_factored(slip, delta, rank, alpha):
    return run_from_update(functools.partial(from_update, slip=slip), delta, rank, alpha)


UPDATE_SLIPS = {
    "no scale": "the layer multiplies b a by alpha / rank: divide by it here, or the update comes out too large or too small",
    "multiplied": "divide by alpha / rank, for the layer multiplies by it: here it is multiplied once more",
    "twice": "alpha / rank is divided by twice",
    "half": "the root of alpha / rank goes into each of a and b; here it is in one alone",
    "alpha": "the scale is alpha / rank, not alpha",
    "both scaled": "alpha / rank is divided by twice, once in a and once in b",
    "smallest": "those are the smallest singular values: keep the largest",
    "one more": "the largest singular value is left out: it is the first",
    "no values": "the singular values are lost: u times s times v",
    "values twice": "the singular values are in both a and b: put them into one, or their roots into each",
    "root once": "the roots of the singular values go into both a and b; here they are in one alone",
    "first rows": "those are the first columns of the update itself: its singular vectors come nearer to it",
    "first rows of delta": "those are the first rows of the update itself: its singular vectors come nearer to it",
    "v not transposed": "torch.linalg.svd returns v transposed already: its rows are the singular vectors",
    "only one": "that has rank 1: use as many singular values as the rank allows",
}
_TALL = tuple(_factored(s) for s in UPDATE_SLIPS if s not in ("v not transposed",))
_WIDE = tuple(_factored(s) for s in UPDATE_SLIPS if s not in ("v not transposed", "only one", "half"))
_SQUARE = tuple(map(_factored, UPDATE_SLIPS))
_NEAR = Tolerance(rtol=1e-3, atol=1e-4)


def _far_from_rank(value, delta, rank, alpha) -> bool:
    """More than the rank allows can't come out of a and b; a full-size a or b did it."""
    return isinstance(value, dict) and value["shape of a"][:1] != [rank] and value["shape of b"][-1:] != [rank]


# ------------------------------------------------------------------------------------------------ 7: a test of merging

MOST, WIDEST = 10, 5


def one_layer_of_numbers(weight: object, a: object, b: object, x: object) -> str | None:
    numbers = lambda row: isinstance(row, list) and all(type(n) in (int, float) and abs(n) <= MOST for n in row)
    table = lambda rows: (
        isinstance(rows, list) and bool(rows) and all(map(numbers, rows)) and len({*map(len, rows)}) == 1
    )
    if not (table(weight) and table(a) and table(b) and numbers(x)):
        return f"weight, a and b are lists of rows of equal length, x is a list, all of numbers from -{MOST} to {MOST}"
    n_out, n_in, rank = len(weight), len(weight[0]), len(a)
    if not (1 <= n_in <= WIDEST and n_out <= WIDEST and rank <= WIDEST):
        return f"out, in and rank are at most {WIDEST}"
    if (len(a[0]), len(b), len(b[0]), len(x)) != (n_in, n_out, rank, n_in):
        return "weight is (out, in), a (rank, in), b (out, rank), x (in)"
    return None


def _apply(matrix, x):
    return [sum(w * v for w, v in zip(row, x)) for row in matrix]


def _product(b, a):
    return [[sum(b[o][k] * a[k][i] for k in range(len(a))) for i in range(len(a[0]))] for o in range(len(b))]


def _plus(left, right, times=1.0):
    return [[u + times * v for u, v in zip(*rows)] for rows in zip(left, right)]


def _life(weight, a, b, x, *, beside=None, merge=None, unmerge=None, change=None, still=False, scale=2.0):
    """A layer's life: used, merged, used, unmerged. Scales of each of the three where they differ."""
    beside, merge = scale if beside is None else beside, scale if merge is None else merge
    product = _product(b, a)
    added = product if change is None else change
    merged = _plus(weight, added, merge)
    after = _apply(merged, x)
    if still:
        after = [u + beside * v for u, v in zip(after, _apply(product, x))]
    out = [u + beside * v for u, v in zip(_apply(weight, x), _apply(product, x))]
    return {
        "beside": out, "merged": merged, "after": after,
        "unmerged": _plus(merged, added, -(merge if unmerge is None else unmerge)),
    }  # fmt: skip


def lives_with_alpha_16(weight, a, b, x):
    return _life(weight, a, b, x, scale=16 / len(a))


def lives_with_a_root(weight, a, b, x):
    return _life(weight, a, b, x, scale=8 / len(a) ** 0.5)


def lives_with_half(weight, a, b, x):
    return _life(weight, a, b, x, scale=0.5)


def lives_and_keeps_the_old_matrix(weight, a, b, x):
    return _life(weight, a, b, x, scale=1.0) | {"unmerged": [[float(w) for w in row] for row in weight]}


def loses_the_scale_when_merging(weight, a, b, x):
    return _life(weight, a, b, x, beside=16 / len(a), merge=1.0)


def scales_twice_when_merging(weight, a, b, x):
    return _life(weight, a, b, x, beside=16 / len(a), merge=(16 / len(a)) ** 2)


def adds_beside_after_merging(weight, a, b, x):
    return _life(weight, a, b, x, scale=16 / len(a), still=True)


def loses_the_scale_when_unmerging(weight, a, b, x):
    return _life(weight, a, b, x, scale=16 / len(a), unmerge=1.0)


def merges_the_first_rank_alone(weight, a, b, x):
    return _life(weight, a, b, x, change=_product([row[:1] for row in b], a[:1]))


def merges_square_ones_transposed(weight, a, b, x):
    product = _product(b, a)
    square = len(product) == len(product[0])
    return _life(weight, a, b, x, change=[list(row) for row in zip(*product)] if square else product)


# ------------------------------------------------------------------------------------------------------- 8: a wrong run

FAULTS = {
    "A": "a and b both begin at zero",
    "B": "a and b both begin at random",
    "C": "alpha / r is lost when merging",
    "D": "alpha / r is applied twice when merging",
    "E": "the optimizer holds the base's matrices as well",
    "F": "the optimizer was made before the adapters were put in",
    "G": "the learning rate is 20 times too low",
    "H": "the rank is 1",
    "I": "the merged layers still add the adapter beside",
    "J": "the adapters are in the last block only",
    "K": "the file holds the adapter of the 20th step",
}
RUNS = ("a7", "c3", "e8", "g1", "j6", "k2", "n5", "q9", "r4", "u0", "x2")
OBSERVATIONS = {
    "a": "the loss at the last step is above 5",
    "b": "the length of all b is 0",
    "c": "the optimizer keeps as many numbers as in the correct run",
    "d": "the optimizer keeps fewer than 10,000 numbers",
    "e": "the loss at the first step is more than 0.05 above that of the base",
    "f": "merged, the model knows at least 20 points fewer than with the adapter beside",
    "g": "what merging added is as long as the change",
    "h": "what merging added is shorter than 40",
    "i": "what merging added is longer than 50",
    "j": "the file in a fresh base knows at least 20 points fewer than the adapter beside",
    "k": "fewer than 20 % of the facts are known with the adapter beside",
    "l": "at least 40 % of the facts are known with the adapter beside",
    "m": "at least half of the new questions are answered in the right form",
}
BASELINE = 108  # facts of 256: `train(rank=1, n=256, steps=300, lr=0.015, targets="blocks.*.mlp.*")` of the notebook


LAB = Lab(
    id="lab14",
    title="LoRA",
    preload=("numpy", "torch", "torch._dynamo"),  # the first optimizer imports it, which takes seconds
    provides=("llmlib.data", "llmlib.text"),
    questions=(
        Question(
            id="lab14.q1",
            title="A layer",
            name="LoRALinear",
            points=4,
            difficulty=3,
            minutes=18,
            printed=True,
            recipe=run_layer,
            hint="take a base without bias and x of one row: by hand, first a x, then b of that, then times alpha / rank, then W x added",
            cases=(
                Case(
                    "three rows, a base with a bias", inputs=rows_with_bias, expected=_layer_of(""), separates=_BIASED
                ),
                Case("batches, no bias", inputs=batches_without_bias, expected=_layer_of(""), separates=_UNBIASED),
            ),
            mistakes=(
                *(Mistake(message, wrong=_layer_of(slip)) for slip, message in LAYER_SLIPS.items()),
                Mistake("a new layer should give what the base gives: b begins at zero", when=_starts_elsewhere),
                Mistake(
                    "the layer has two parameters, self.a of shape (rank, in) and self.b of shape (out, rank), each an nn.Parameter",
                    error="has no attribute '(a|b)'|has no attribute 'copy_'|has no attribute 'detach'|must match the size of tensor|leaf Variable|mat1 and mat2 shapes",
                ),
                Mistake(
                    "no gradient reaches a and b: something on the way is detached or copied",
                    error="does not require grad",
                ),
                Mistake("call super().__init__() first", error="cannot assign (module|parameter)"),
            ),
        ),
        Question(
            id="lab14.q2",
            title="What the optimizer holds",
            name="adapter_optimizer",
            points=3,
            difficulty=3,
            minutes=15,
            recipe=run_optimizer,
            hint="go through named_parameters() once: for each name decide, then set requires_grad and grad",
            cases=(
                Case("a small model", inputs=a_model_and_data, expected=_optimized(""), separates=_OPTIMIZERS),
                Case("frozen before", inputs=frozen_before, expected=_optimized(""), separates=_FROZEN),
            ),
            mistakes=(
                *(Mistake(message, wrong=_optimized(slip)) for slip, message in OPTIMIZER_SLIPS.items()),
                Mistake(
                    "the adapters may have been frozen before: requires_grad_(True) for them",
                    error="does not require grad|no gradients|optimizer got an empty parameter list",
                ),
                Mistake(
                    "the adapters may have been frozen before: requires_grad_(True) for them",
                    when=lambda value, *inputs: isinstance(value, dict) and value["trainable"] == [],
                ),
            ),
        ),
        Question(
            id="lab14.q3",
            title="Change a merged adapter",
            name="switch",
            points=3,
            difficulty=2,
            minutes=15,
            recipe=run_switch,
            hint="for each layer of old: W - alpha / r b a, with old's own alpha and r; then for each layer of new: W + alpha / r b a",
            cases=(
                Case("one for another", inputs=one_for_another, expected=_switched(""), separates=_BOTH),
                Case("merge: old is None", inputs=merge_one, expected=_switched(""), separates=_MERGED),
                Case("unmerge: new is None", inputs=unmerge_one, expected=_switched(""), separates=_UNMERGED),
            ),
            mistakes=(
                *(Mistake(message, wrong=_switched(slip)) for slip, message in SWITCH_SLIPS.items()),
                Mistake("old or new may be None: then nothing goes out, or in", error="'NoneType' object"),
                Mistake("return the dict of all matrices", error="cannot convert dictionary|is not iterable"),
                Mistake(
                    "b is (out, r), a is (r, in): b @ a", error="mat1 and mat2 shapes|must match the size of tensor"
                ),
                Mistake("an adapter may lack layers that the model has", error="KeyError"),
            ),
        ),
        Question(
            id="lab14.q4",
            title="A file for an adapter",
            name="AdapterFile",
            points=4,
            difficulty=4,
            minutes=20,
            recipe=run_file,
            hint="split a state into base and adapter by name; fingerprint(base) when saving and when loading; clones of the adapter's tensors both times",
            cases=(
                Case(
                    "a trained model and others",
                    inputs=a_trained_model_and_others,
                    expected=_filed(""),
                    separates=_FILES,
                ),
                Case(
                    "an adapter in one place",
                    inputs=one_adapter_of_several_places,
                    expected=_filed(""),
                    separates=_PLACES,
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_filed(slip)) for slip, message in FILE_SLIPS.items()),
                Mistake("into returns the new state, a dict", error="'NoneType' object has no attribute 'items'"),
                Mistake(
                    "the tensors are in self.tensors and the fingerprint is in self.base",
                    error="has no attribute '(tensors|base|into)'",
                ),
                Mistake(
                    "the wrong base is refused with a ValueError",
                    error="AssertionError|RuntimeError|KeyError|TypeError",
                ),
            ),
        ),
        Question(
            id="lab14.q5",
            title="What it costs",
            name="costs",
            points=2,
            difficulty=2,
            minutes=12,
            printed=True,
            hint="count the model once, the adapters once; then bytes: 16 for each number that learns, 2 for each that is frozen",
            cases=(
                Case("some matrices", inputs=a_configuration, expected=costs, separates=_PRICED),
                Case("all matrices", inputs=all_targets, expected=costs, separates=_ALL_PRICED),
            ),
            mistakes=(*(Mistake(message, wrong=_priced(slip)) for slip, message in COST_SLIPS.items()),),
        ),
        Question(
            id="lab14.q6",
            title="An adapter from a finished update",
            name="from_update",
            points=3,
            difficulty=4,
            minutes=18,
            recipe=run_from_update,
            tolerance=_NEAR,
            hint="u, s, vh = torch.linalg.svd(delta, full_matrices=False); the first rank of each; b a must be their product divided by alpha / rank",
            cases=(
                Case("a tall update", inputs=a_tall_update, expected=_factored(""), separates=_TALL),
                Case("a wide update", inputs=a_wide_update, expected=_factored(""), separates=_WIDE),
                Case("a square update", inputs=a_square_update, expected=_factored(""), separates=_SQUARE),
            ),
            mistakes=(
                *(Mistake(message, wrong=_factored(slip)) for slip, message in UPDATE_SLIPS.items()),
                Mistake(
                    "a is (rank, in) and b is (out, rank), and a comes first; torch.linalg.svd gives u (out, k), s (k), v transposed (k, in) with full_matrices=False",
                    error="mat1 and mat2 shapes|must match the size of tensor|not enough values|too many values",
                ),
                Mistake(
                    "a has rank rows and b rank columns: cut off what the rank does not allow", when=_far_from_rank
                ),
            ),
        ),
        Question(
            id="lab14.q7",
            title="Test somebody else's merging",
            name="holds",
            kind="test",
            examples="examples",
            points=4,
            difficulty=4,
            minutes=20,
            valid=one_layer_of_numbers,
            right=(
                Subject("alpha is 16", lives_with_alpha_16),
                Subject("the scale is 8 / sqrt(r)", lives_with_a_root),
                Subject("the scale is 1/2", lives_with_half),
                Subject("the scale is 1, the old matrix is kept", lives_and_keeps_the_old_matrix),
            ),
            wrong=(
                Subject("loses alpha / r when merging", loses_the_scale_when_merging),
                Subject("applies alpha / r twice when merging", scales_twice_when_merging),
                Subject("goes on adding the adapter after it has been merged", adds_beside_after_merging),
                Subject("loses alpha / r when unmerging", loses_the_scale_when_unmerging),
                Subject("merges only the first row of a and column of b", merges_the_first_rank_alone),
                Subject("merges square matrices transposed", merges_square_ones_transposed),
            ),
        ),
        Question(
            id="lab14.q8",
            title="A run that went wrong",
            name="diagnosis",
            kind="diagnosis",
            points=4,
            difficulty=3,
            minutes=15,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=RUNS,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab14.p1",
            "Facts that rank 1 knows, of those that rank 8 knows",
            name="predicted_share",
            number=Number(0, 200, unit="%"),
        ),
        Ungraded("lab14.t1", "Your own plot, read", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab14.c1",
            "Most facts with 2,200 trainable numbers in 30 s",
            name="most_facts",
            kind="challenge",
            number=Number(0, 256, whole=True, unit="facts of 256"),
            baseline=BASELINE,
            better="higher",
            seconds=30,
        ),
    ),
)
