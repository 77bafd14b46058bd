"""Lab 14: other right answers, each written its own way, and wrong ones that have no message of their own."""

_EXAMPLES = """
def examples():
    return [
        ([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], [[1.0, 0.5, -1.0], [2.0, -1.0, 0.25]], [[0.5, 1.0], [-1.5, 2.0]], [1.0, 2.0, -0.5]),
        ([[1.0, 2.0], [-3.0, 0.5]], [[1.0, -2.0]], [[3.0], [0.5]], [1.0, -1.5]),
        ([[0.0, 1.0], [2.0, -1.0]], [[4.0, 3.0], [-2.0, 5.0]], [[-6.0, 2.0], [1.0, 7.0]], [3.0, 2.0]),
    ]

"""

RIGHT = {
    "lab14.q1": [
        """
class LoRALinear(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base
        for p in self.base.parameters():
            p.requires_grad = False
        n_out, n_in = base.weight.shape
        self.a = nn.Parameter(torch.empty(rank, n_in))
        nn.init.kaiming_uniform_(self.a, a=5**0.5)
        self.b = nn.Parameter(torch.zeros(n_out, rank))
        self.rank, self.alpha = rank, alpha

    def forward(self, x):
        return self.base(x) + F.linear(F.linear(x, self.a), self.b) * self.alpha / self.rank
""",
        """
class LoRALinear(nn.Module):
    def __init__(self, base, rank, alpha):
        nn.Module.__init__(self)
        self.base = base.requires_grad_(False)
        self.register_parameter("a", nn.Parameter(torch.rand(rank, base.in_features) * 0.2 - 0.1))
        self.register_parameter("b", nn.Parameter(torch.zeros(base.out_features, rank)))
        self.scale = alpha / rank

    def forward(self, x):
        weight = self.base.weight + self.scale * self.b @ self.a
        return F.linear(x, weight, self.base.bias)
""",
        """
class LoRALinear(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(0.02 * torch.randn(base.in_features, rank).T)
        self.b = nn.Parameter(torch.zeros_like(base.weight[:, :1]).repeat(1, rank))
        self.register_buffer("scale", torch.tensor(alpha / rank))

    def forward(self, x):
        return self.base(x) + torch.einsum("...i,ri,or->...o", x * self.scale, self.a, self.b)
""",
        """
class LoRALinear(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base
        base.weight.requires_grad = False
        if base.bias is not None:
            base.bias.requires_grad = False
        self.a = nn.Parameter(torch.randn(rank, base.in_features) / rank)
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        self.factor = float(alpha) / rank

    def forward(self, x):
        low = torch.matmul(x, self.a.transpose(0, 1))
        return self.base(x).add(torch.matmul(low, self.b.transpose(0, 1)), alpha=self.factor)
""",
    ],
    "lab14.q2": [
        """
def adapter_optimizer(model, lr):
    chosen = {id(p) for n, p in model.named_parameters() if n.endswith((".a", ".b")) or n in ("a", "b")}
    for p in model.parameters():
        p.requires_grad = id(p) in chosen
        if not p.requires_grad:
            p.grad = None
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=0)
""",
        """
def adapter_optimizer(model, lr):
    model.requires_grad_(False)
    model.zero_grad(set_to_none=True)
    held = []
    for part in model.modules():
        for name, p in part.named_parameters(recurse=False):
            if name == "a" or name == "b":
                held.append(p.requires_grad_(True))
    return torch.optim.AdamW(held, lr, weight_decay=0.0)
""",
        """
def adapter_optimizer(model, lr):
    import re
    named = dict(model.named_parameters())
    wanted = [n for n in named if re.search(r"(^|[.])[ab]$", n)]
    for n in named:
        named[n].grad = None
        named[n].requires_grad_(n in wanted)
    return torch.optim.AdamW([{"params": [named[n]], "weight_decay": 0.0} for n in wanted], lr=lr)
""",
        """
def adapter_optimizer(model, lr):
    def learns(name):
        return name.rpartition(".")[2] in {"a", "b"}

    for name, p in model.named_parameters():
        p.requires_grad = learns(name)
        p.grad = p.grad if learns(name) else None
    return torch.optim.AdamW((p for n, p in model.named_parameters() if learns(n)), lr=lr, weight_decay=0.0)
""",
    ],
    "lab14.q3": [
        """
def switch(weights, old, new):
    out = {name: w.clone() for name, w in weights.items()}
    if old is not None:
        for name, (a, b) in old["layers"].items():
            out[name] -= old["alpha"] / a.shape[0] * b @ a
    if new is not None:
        for name, (a, b) in new["layers"].items():
            out[name] += new["alpha"] / a.shape[0] * b @ a
    return out
""",
        """
def switch(weights, old, new):
    def change(adapter, name):
        if not adapter or name not in adapter["layers"]:
            return 0.0
        a, b = adapter["layers"][name]
        return adapter["alpha"] * torch.matmul(b, a) / b.size(1)

    return {name: w - change(old, name) + change(new, name) for name, w in weights.items()}
""",
        """
def switch(weights, old, new):
    import copy
    out = copy.deepcopy(weights)
    for adapter, sign in ((old, -1.0), (new, 1.0)):
        for name, (a, b) in (adapter or {"layers": {}})["layers"].items():
            for k in range(len(a)):
                out[name] = out[name] + sign * adapter["alpha"] / len(a) * torch.outer(b[:, k], a[k])
    return out
""",
        """
def switch(weights, old, new):
    def merge(weights, adapter, sign):
        if adapter is None:
            return weights
        done = {n: torch.addmm(weights[n], b, a, alpha=sign * adapter["alpha"] / a.size(0)) for n, (a, b) in adapter["layers"].items()}
        return {**weights, **done}

    return merge(merge(weights, old, -1), new, 1)
""",
    ],
    "lab14.q4": [
        """
class AdapterFile:
    def __init__(self, state):
        adapter, base = {}, {}
        for name, tensor in state.items():
            (adapter if name.endswith((".a", ".b")) else base)[name] = tensor
        self.tensors = {name: tensor.detach().clone() for name, tensor in adapter.items()}
        self.base = fingerprint(base)

    def into(self, state):
        base = {name: tensor.clone() for name, tensor in state.items() if not name.endswith((".a", ".b"))}
        if not fingerprint(base) == self.base:
            raise ValueError(f"made for {self.base}, not for {fingerprint(base)}")
        base.update({name: tensor.clone() for name, tensor in self.tensors.items()})
        return base
""",
        """
def split(state):
    own = lambda n: n.rsplit(".", 1)[-1] in {"a", "b"}
    return {n: t for n, t in state.items() if own(n)}, {n: t for n, t in state.items() if not own(n)}


class AdapterFile:
    def __init__(self, state):
        import copy
        self.tensors, base = split(copy.deepcopy(state))
        self.base = fingerprint(base)

    def into(self, state):
        import copy
        _, base = split(state)
        if fingerprint(base) != self.base:
            raise ValueError
        return copy.deepcopy({**base, **self.tensors})
""",
        """
class AdapterFile:
    def __init__(self, state):
        self.tensors = {}
        rest = dict(state)
        for name in list(state):
            if name.split(".")[-1] in ["a", "b"]:
                self.tensors[name] = torch.empty_like(rest[name]).copy_(rest[name])
                del rest[name]
        self.base = fingerprint(rest)

    def into(self, state):
        out = {name: tensor.clone() for name, tensor in state.items()}
        for name in list(out):
            if name.split(".")[-1] in ["a", "b"]:
                out.pop(name)
        if fingerprint(out) != self.base:
            raise ValueError("wrong base")
        for name in self.tensors:
            out[name] = self.tensors[name] + 0
        return out
""",
    ],
    "lab14.q5": [
        """
def costs(shapes, blocks, other, targets, rank):
    parameters, adapter = other, 0
    for _ in range(blocks):
        for name in shapes:
            n_out, n_in = shapes[name]
            parameters += n_out * n_in
            if name in targets:
                adapter += rank * n_in + n_out * rank
    return {"parameters": parameters, "adapter": adapter, "full bytes": parameters * (4 + 4 + 8), "lora bytes": 2 * parameters + adapter * 16}
""",
        """
def costs(shapes, blocks, other, targets, rank):
    import numpy as np
    sizes = np.array(list(shapes.values()))
    n = int(blocks * sizes.prod(1).sum() + other)
    k = int(blocks * rank * sum(np.sum(shapes[t]) for t in targets))
    return dict(zip(["parameters", "adapter", "full bytes", "lora bytes"], [n, k, 16 * n, 2 * n + 16 * k]))
""",
        """
def costs(shapes, blocks, other, targets, rank):
    import math
    total = sum(map(math.prod, shapes.values())) * blocks + other
    adapter = sum((o + i) * rank * blocks for name, (o, i) in shapes.items() if name in set(targets))
    return {"lora bytes": 16 * adapter + 2 * total, "full bytes": 4 * total * 4, "adapter": adapter, "parameters": total}
""",
    ],
    "lab14.q6": [
        """
def from_update(delta, rank, alpha):
    U, S, V = torch.svd(delta)
    root = (S[:rank] * rank / alpha).sqrt()
    return (V[:, :rank] * root).T, U[:, :rank] * root
""",
        """
def from_update(delta, rank, alpha):
    values, vectors = torch.linalg.eigh(delta.T @ delta)
    a = vectors.flip(1)[:, :rank].T
    return a, delta @ a.T * (rank / alpha)
""",
        """
def from_update(delta, rank, alpha):
    import numpy as np
    u, s, vt = np.linalg.svd(delta.numpy())
    a = np.diag(s[:rank]) @ vt[:rank]
    return torch.tensor(a), torch.tensor(u[:, :rank] * rank / alpha)
""",
        """
def from_update(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta.double() / (alpha / rank), full_matrices=False)
    return vh[:rank].float(), (u @ torch.diag(s))[:, :rank].float()
""",
        """
def from_update(delta, rank, alpha):
    u, _, _ = torch.linalg.svd(delta)
    b = u[:, :rank]
    return b.T @ delta / alpha * rank, b
""",
    ],
    "lab14.q7": [
        _EXAMPLES
        + """
def holds(inputs, output):
    W, a, b, x = inputs
    n_out, n_in = len(W), len(W[0])
    product = [[sum(b[o][k] * a[k][i] for k in range(len(a))) for i in range(n_in)] for o in range(n_out)]
    o, i = max(((o, i) for o in range(n_out) for i in range(n_in)), key=lambda place: abs(product[place[0]][place[1]]))
    s = (output["merged"][o][i] - W[o][i]) / product[o][i]
    if s <= 1e-9:
        return False
    near = lambda u, v: abs(u - v) < 1e-6 * (1 + abs(v))
    for o in range(n_out):
        y = 0.0
        for i in range(n_in):
            right = W[o][i] + s * product[o][i]
            y += right * x[i]
            if not near(output["merged"][o][i], right) or not near(output["unmerged"][o][i], W[o][i]):
                return False
        if not near(output["beside"][o], y) or not near(output["after"][o], y):
            return False
    return True
""",
        _EXAMPLES
        + """
def holds(inputs, output):
    import numpy as np
    W, a, b, x = map(np.array, inputs)
    added, product = np.array(output["merged"]) - W, b @ a
    s = np.linalg.norm(added) / np.linalg.norm(product)
    return bool(
        s > 0
        and np.allclose(added, s * product)
        and np.allclose(output["beside"], W @ x + s * (b @ (a @ x)))
        and np.allclose(output["after"], output["beside"])
        and np.allclose(output["unmerged"], W)
    )
""",
    ],
}

WRONG = {
    "lab14.q1": [
        """
class LoRALinear(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(1, base.in_features).repeat(rank, 1))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + x @ self.a.T @ self.b.T * self.scale
""",
        """
class LoRALinear(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = nn.Parameter(torch.tensor(alpha / rank))

    def forward(self, x):
        return self.base(x) + x @ self.a.T @ self.b.T * self.scale
""",
        """
class LoRALinear(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha // rank

    def forward(self, x):
        with torch.no_grad():
            self.base.weight += self.b @ self.a * self.scale
        return self.base(x)
""",
        """
class LoRALinear(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x + x @ self.a.T @ self.b.T[:, : x.size(-1)] * self.scale)
""",
    ],
    "lab14.q2": [
        "def adapter_optimizer(model, lr):\n    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=0.0)",
        """
def adapter_optimizer(model, lr):
    for n, p in model.named_parameters():
        p.requires_grad_(".a" in n or ".b" in n)
        p.grad = None
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=0.0)
""",
        """
def adapter_optimizer(model, lr):
    held = [p for n, p in model.named_parameters() if n.split(".")[-1] in "ab"]
    for p in model.parameters():
        p.grad = None
    return torch.optim.AdamW(held, lr=lr, weight_decay=0.0)
""",
        """
def adapter_optimizer(model, lr):
    for n, p in model.named_parameters():
        p.requires_grad_(n.split(".")[-1] in ("a", "b"))
    model.zero_grad(set_to_none=False)
    return torch.optim.AdamW(filter(lambda p: p.requires_grad, model.parameters()), lr=lr, weight_decay=0.0)
""",
        """
def adapter_optimizer(model, lr):
    for n, p in model.named_parameters():
        p.requires_grad_(n.split(".")[-1] in ("a", "b"))
        p.grad = None
    return torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=lr, betas=(0.9, 0.95))
""",
    ],
    "lab14.q3": [
        "def switch(weights, old, new):\n    return weights",
        """
def switch(weights, old, new):
    out = dict(weights)
    if new is not None:
        for name, (a, b) in new["layers"].items():
            out[name] = weights[name] + new["alpha"] / len(a) * b @ a
    if old is not None:
        for name, (a, b) in old["layers"].items():
            out[name] = weights[name] - old["alpha"] / len(a) * b @ a
    return out
""",
        """
def switch(weights, old, new):
    out = {n: w.clone() for n, w in weights.items()}
    for adapter, sign in ((old, -1), (new, 1)):
        if adapter:
            rank = max(len(a) for x in (old, new) if x for a, _ in x["layers"].values())
            for n, (a, b) in adapter["layers"].items():
                out[n] += sign * adapter["alpha"] / rank * b @ a
    return out
""",
        """
def switch(weights, old, new):
    out = {n: w.clone() for n, w in weights.items()}
    for adapter, sign in ((old, -1), (new, 1)):
        if adapter:
            for n, (a, b) in adapter["layers"].items():
                out[n] += sign * (adapter["alpha"] // len(a)) * b @ a
    return {n: w.round(decimals=1) for n, w in out.items()}
""",
    ],
    "lab14.q4": [
        """
class AdapterFile:
    def __init__(self, state):
        self.tensors = {n: t.clone() for n, t in state.items() if ".a" in n or ".b" in n}
        self.base = fingerprint({n: t for n, t in state.items() if n not in self.tensors})

    def into(self, state):
        base = {n: t.clone() for n, t in state.items() if n not in self.tensors}
        if fingerprint(base) != self.base:
            raise ValueError
        return {**base, **{n: t.clone() for n, t in self.tensors.items()}}
""",
        """
class AdapterFile:
    def __init__(self, state):
        self.tensors = {n: t.clone() for n, t in state.items() if n[-2:] in (".a", ".b")}
        self.base = fingerprint({n: t for n, t in state.items() if n not in self.tensors})

    def into(self, state):
        base = {n: t.clone() for n, t in state.items() if n[-2:] not in (".a", ".b")}
        if fingerprint(base) != self.base:
            return None
        return {**base, **{n: t.clone() for n, t in self.tensors.items()}}
""",
        """
class AdapterFile:
    def __init__(self, state):
        self.tensors = {n: t.clone() for n, t in state.items() if n[-2:] in (".a", ".b")}
        self.base = sum(t.sum().item() for n, t in state.items() if n not in self.tensors)

    def into(self, state):
        base = {n: t.clone() for n, t in state.items() if n[-2:] not in (".a", ".b")}
        if abs(sum(t.sum().item() for t in base.values()) - self.base) > 1e-4:
            raise ValueError
        return {**base, **{n: t.clone() for n, t in self.tensors.items()}}
""",
        """
class AdapterFile:
    def __init__(self, state):
        self.tensors = {n: t.clone() for n, t in state.items() if n[-2:] in (".a", ".b")}
        self.base = fingerprint({n: t for n, t in state.items() if n not in self.tensors})

    def into(self, state):
        base = {n: t.clone() for n, t in state.items() if n not in self.tensors}
        if fingerprint(base) != self.base:
            raise ValueError
        return {**base, **{n: t.clone() for n, t in self.tensors.items()}}
""",
    ],
    "lab14.q5": [
        """
def costs(shapes, blocks, other, targets, rank):
    n = blocks * sum(o * i for o, i in shapes.values()) + other
    k = blocks * rank * sum(sum(shapes[t]) for t in targets)
    return {"parameters": n + k, "adapter": k, "full bytes": 16 * n, "lora bytes": 2 * n + 16 * k}
""",
        """
def costs(shapes, blocks, other, targets, rank):
    n = blocks * sum(o * i for o, i in shapes.values()) + other
    k = blocks * rank * sum(2 * max(shapes[t]) for t in targets)
    return {"parameters": n, "adapter": k, "full bytes": 16 * n, "lora bytes": 2 * n + 16 * k}
""",
        "def costs(shapes, blocks, other, targets, rank):\n    return {'parameters': 6738415616, 'adapter': 4194304, 'full bytes': 107814649856, 'lora bytes': 13543940096}",
    ],
    "lab14.q6": [
        "def from_update(delta, rank, alpha):\n    return torch.randn(rank, delta.shape[1]), torch.zeros(delta.shape[0], rank)",
        """
def from_update(delta, rank, alpha):
    q, r = torch.linalg.qr(delta)
    return r[:rank], q[:, :rank] * rank / alpha
""",
        """
def from_update(delta, rank, alpha):
    torch.manual_seed(0)
    a = torch.randn(rank, delta.shape[1])
    return a, delta @ torch.linalg.pinv(a) * rank / alpha
""",
        """
def from_update(delta, rank, alpha):
    order = delta.norm(dim=1).argsort(descending=True)[:rank]
    return delta[order], torch.eye(delta.shape[0])[:, order] * rank / alpha
""",
    ],
    "lab14.q7": [
        _EXAMPLES + "def holds(inputs, output):\n    return True",
        _EXAMPLES + "def holds(inputs, output):\n    return False",
        _EXAMPLES
        + """
def holds(inputs, output):
    W, a, b, x = (torch.tensor(part) for part in inputs)
    return torch.allclose(torch.tensor(output["merged"]), W + 16 / len(a) * b @ a, atol=1e-4)
""",
        _EXAMPLES
        + """
def holds(inputs, output):
    near = lambda u, v: torch.allclose(torch.tensor(u), torch.tensor(v), atol=1e-4)
    return near(output["beside"], output["after"]) and near(output["unmerged"], inputs[0])
""",
        _EXAMPLES
        + """
def holds(inputs, output):
    W, a, b, x = (torch.tensor(part) for part in inputs)
    merged = torch.tensor(output["merged"])
    near = lambda u, v: torch.allclose(torch.as_tensor(u), torch.as_tensor(v), atol=1e-4)
    return near(merged @ x, output["beside"]) and near(merged @ x, output["after"]) and near(output["unmerged"], W)
""",
        """
def examples():
    return [([[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0]], [[1.0], [2.0]], [1.0, 1.0])]

def holds(inputs, output):
    return output["merged"] == inputs[0] and output["beside"] == output["after"]
""",
    ],
}

# Right, and made of what the lab keeps away: nothing is earned with them.
REFUSED = {
    "lab14.q1": [
        """
class LoRALinear(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        from llmlib.adapt import LoRAConfig, LoRAWeights
        self.base = base.requires_grad_(False)
        given = LoRAWeights(base, LoRAConfig(rank=rank, alpha=alpha))
        self.a, self.b, self.given = given.a, given.b, [given]

    def forward(self, x):
        return self.given[0](x, self.base(x), self.base)
""",
    ],
}
