"""Lab 03: other right answers, each written its own way, and wrong ones that have no message of their own."""

_INIT = """
class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads, self.d_head = n_heads, d_model // n_heads
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(d_model, d_model, bias=False))
"""

_BLOCK = """
class Block(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(d_model), RMSNorm(d_model)
        self.attention = MultiHeadAttention(d_model, n_heads)
        self.mlp = nn.Sequential(nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model))
"""

RIGHT = {
    "lab03.q1": [
        """
def causal_attention(q, k, v):
    T, d = q.shape[-2:]
    scores = torch.matmul(q, k.mT) / math.sqrt(d)
    mask = torch.full((T, T), float("-inf")).triu(1)
    return torch.softmax(scores + mask, dim=-1) @ v
""",
        """
def causal_attention(q, k, v):
    T = q.shape[-2]
    rows = []
    for t in range(T):
        s = (q[..., t : t + 1, :] * k[..., : t + 1, :]).sum(-1) * q.shape[-1] ** -0.5
        w = s.softmax(-1)
        rows.append((w[..., None] * v[..., : t + 1, :]).sum(-2))
    return torch.stack(rows, dim=-2)
""",
        """
def causal_attention(q, k, v):
    scores = torch.einsum("...td,...sd->...ts", q, k) / q.size(-1) ** 0.5
    t = torch.arange(q.size(-2))
    scores = torch.where(t[None, :] <= t[:, None], scores, torch.tensor(-torch.inf))
    return torch.einsum("...ts,...sd->...td", F.softmax(scores, -1), v)
""",
        """
def causal_attention(q, k, v):
    T, d = q.size(-2), q.size(-1)
    lower = torch.tril(torch.ones(T, T))
    scores = q @ k.transpose(-1, -2) / d**0.5
    e = torch.exp(scores - scores.amax(-1, keepdim=True)) * lower
    return e @ v / e.sum(-1, keepdim=True)
""",
        """
def causal_attention(q, k, v):
    q, k, v = q.double(), k.double(), v.double()
    scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
    scores.masked_fill_(torch.triu(torch.ones_like(scores), 1).bool(), -1e30)
    return (scores.softmax(-1) @ v).float()
""",
    ],
    "lab03.q2": [
        _INIT + """
    def forward(self, x):
        B, T, D = x.shape
        q = self.q_proj(x).view(B, T, self.n_heads, self.d_head).transpose(1, 2)
        k = self.k_proj(x).view(B, T, self.n_heads, self.d_head).transpose(1, 2)
        v = self.v_proj(x).view(B, T, self.n_heads, self.d_head).transpose(1, 2)
        out = causal_attention(q, k, v).transpose(1, 2).contiguous().view(B, T, D)
        return self.o_proj(out)
""",
        _INIT + """
    def forward(self, x):
        parts = [p(x).chunk(self.n_heads, dim=-1) for p in (self.q_proj, self.k_proj, self.v_proj)]
        heads = [causal_attention(q, k, v) for q, k, v in zip(*parts)]
        return self.o_proj(torch.cat(heads, dim=-1))
""",
        _INIT + """
    def merge(self, x):
        B, H, T, d = x.shape
        return x.permute(0, 2, 1, 3).reshape(B, T, H * d)

    def forward(self, x):
        q, k, v = [split_heads(f(x), self.n_heads) for f in (self.q_proj, self.k_proj, self.v_proj)]
        scores = q @ k.transpose(-2, -1) * self.d_head**-0.5
        scores = scores + torch.full(scores.shape[-2:], -torch.inf).triu(1)
        return F.linear(self.merge(scores.softmax(-1) @ v), self.o_proj.weight)
""",
        _INIT + """
    def forward(self, x):
        w = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight])
        q, k, v = (x @ w.T).split(x.size(-1), dim=-1)
        rows = [causal_attention(*(split_heads(t[b : b + 1], self.n_heads) for t in (q, k, v))) for b in range(len(x))]
        return self.o_proj(torch.cat(rows).movedim(1, 2).flatten(start_dim=2))
""",
    ],
    "lab03.q3": [
        _BLOCK + """
    def forward(self, x):
        h = x + self.attention(self.norm1(x))
        return h + self.mlp(self.norm2(h))
""",
        _BLOCK + """
    def forward(self, x):
        stream = x.clone()
        for norm, part in ((self.norm1, self.attention), (self.norm2, self.mlp)):
            stream = stream + part(norm(stream))
        return stream
""",
        _BLOCK + """
    def forward(self, x):
        after = torch.add(self.attention(self.norm1(x)), x)
        up, act, down = self.mlp
        return down(act(up(self.norm2(after)))) + after
""",
    ],
    "lab03.q4": [
        """
def next_token_loss(logits, ids, pad=None):
    targets = ids[:, 1:].reshape(-1)
    ignore = -100 if pad is None else pad
    return F.cross_entropy(logits[:, :-1].reshape(len(targets), -1), targets, ignore_index=ignore)
""",
        """
def next_token_loss(logits, ids, pad=None):
    p = logits.log_softmax(-1)
    total, n = 0.0, 0
    for b in range(ids.size(0)):
        for t in range(ids.size(1) - 1):
            if pad is None or ids[b, t + 1] != pad:
                total = total - p[b, t, ids[b, t + 1]]
                n += 1
    return total / n
""",
        """
def next_token_loss(logits, ids, pad=None):
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    keep = torch.ones_like(losses, dtype=torch.bool) if pad is None else ids[:, 1:] != pad
    return losses[keep].mean()
""",
        """
def next_token_loss(logits, ids, pad=None):
    x, y = logits[:, :-1], ids[:, 1:]
    picked = torch.gather(x, -1, y.unsqueeze(-1)).squeeze(-1) - torch.logsumexp(x, -1)
    weight = torch.ones_like(picked) if pad is None else y.ne(pad).float()
    return -(picked * weight).sum() / weight.sum()
""",
        """
def next_token_loss(logits, ids, pad=None):
    one_hot = F.one_hot(ids[:, 1:], logits.size(-1)).double()
    if pad is not None:
        one_hot = one_hot * (ids[:, 1:, None] != pad)
    return -(one_hot * logits[:, :-1].double().log_softmax(-1)).sum() / one_hot.sum()
""",
    ],
    "lab03.q5": [
        """
def next_token_probabilities(logits, temperature=1.0, top_p=1.0):
    p = torch.softmax(logits / temperature, -1)
    kept, total = torch.zeros_like(p), 0.0
    for i in p.argsort(descending=True):
        if total >= top_p:
            break
        kept[i] = p[i]
        total += p[i].item()
    return kept / kept.sum()
""",
        """
def next_token_probabilities(logits, temperature=1.0, top_p=1.0):
    scaled = logits / temperature
    ranked, order = scaled.sort(descending=True)
    before = F.pad(ranked.softmax(-1).cumsum(-1)[:-1], (1, 0))
    scaled = scaled.clone()
    scaled[order[before >= top_p]] = -torch.inf
    return scaled.softmax(-1)
""",
        """
def next_token_probabilities(logits, temperature=1.0, top_p=1.0):
    p = (logits / temperature).double().softmax(0)
    greater = (p[None, :] > p[:, None]).double() @ p
    p = torch.where(greater < top_p, p, 0.0)
    return p / p.sum()
""",
        """
def next_token_probabilities(logits, temperature=1.0, top_p=1.0):
    p = F.softmax(logits / temperature, dim=-1)
    values, places = torch.sort(p, descending=True)
    n = min(int((values.cumsum(0) < top_p).sum()) + 1, len(p))
    result = torch.zeros(len(p))
    result[places[:n]] = values[:n] / values[:n].sum()
    return result
""",
        """
def next_token_probabilities(logits, temperature=1.0, top_p=1.0):
    e = torch.exp((logits - logits.max()) / temperature)
    p = e / e.sum()
    if top_p >= 1:
        return p
    up = p.sort().values
    floor = up[up.cumsum(0) > 1 - top_p][0]
    p = p * (p >= floor)
    return p / p.sum()
""",
    ],
    "lab03.q6": [
        """
def examples():
    return [(list(range(10, 20)), 4, 20), ([5, 1, 9, 2], 3, 5), (list(range(30)), 1, 20), (list(range(7)), 6, 2)]


def holds(inputs, output):
    tokens, context, rows = inputs
    if len(output) != rows:
        return False
    for x, y in output:
        if len(x) != context or len(y) != context:
            return False
        if not any(x == tokens[i : i + context] and y == tokens[i + 1 : i + context + 1]
                   for i in range(len(tokens) - context)):
            return False
    return True
""",
        """
def examples():
    return [([3, 1, 4, 15, 9, 2, 6], 3, 9), (list(range(40, 45)), 4, 6), (list(range(8)), 2, 12), ([1, 2], 1, 3)]


def holds(inputs, output):
    tokens, context, rows = inputs
    assert len(output) == rows
    for x, y in output:
        i = tokens.index(x[0])
        assert list(x) == tokens[i : i + context]
        assert list(y) == tokens[i + 1 : i + 1 + context] and len(y) == context
    return True
""",
    ],
}

WRONG = {
    "lab03.q1": [
        "def causal_attention(q, k, v):\n    T = q.size(-2)\n    w = (q @ k.transpose(-2, -1) / q.size(-1) ** 0.5).masked_fill(torch.ones(T, T).triu(1).bool(), -1.0)\n    return w.softmax(-1) @ v",
        "def causal_attention(q, k, v):\n    T = q.size(-2)\n    w = (q @ k.transpose(-2, -1) / T ** 0.5).masked_fill(torch.ones(T, T).triu(1).bool(), -torch.inf)\n    return w.softmax(-1) @ v",
        "def causal_attention(q, k, v):\n    T = q.size(-2)\n    w = (q @ k.transpose(-2, -1) / q.size(-1) ** 0.5).masked_fill(torch.ones(T, T).triu(1).bool(), -torch.inf)\n    return w.softmax(-1) @ k",
        "def causal_attention(q, k, v):\n    return v.cumsum(-2) / torch.arange(1, v.size(-2) + 1)[:, None] + 0 * q * k",
    ],
    "lab03.q2": [
        _INIT + "\n    def forward(self, x):\n        q, k, v = (split_heads(p(x), self.n_heads) for p in (self.q_proj, self.k_proj, self.v_proj))\n        return causal_attention(self.o_proj(q.transpose(1, 2).flatten(2)), k.transpose(1, 2).flatten(2), v.transpose(1, 2).flatten(2))",
        _INIT + "\n    def forward(self, x):\n        q, k, v = (split_heads(p(x), self.n_heads) for p in (self.q_proj, self.k_proj, self.v_proj))\n        return self.o_proj(causal_attention(k, q, v).transpose(1, 2).flatten(2))",
        _INIT + "\n    def forward(self, x):\n        q, k, v = (split_heads(p(x), self.n_heads) for p in (self.q_proj, self.k_proj, self.v_proj))\n        return self.o_proj(causal_attention(q, k, v).transpose(1, 2).flatten(2)) + x",
    ],
    "lab03.q3": [
        _BLOCK + "\n    def forward(self, x):\n        x = x + self.mlp(self.norm2(x))\n        return x + self.attention(self.norm1(x))",
        _BLOCK + "\n    def forward(self, x):\n        x = x + self.norm1(self.attention(x))\n        return x + self.norm2(self.mlp(x))",
        _BLOCK + "\n    def forward(self, x):\n        h = x + self.attention(self.norm1(x))\n        return x + self.mlp(self.norm2(h))",
    ],
    "lab03.q4": [
        "def next_token_loss(logits, ids, pad=None):\n    per = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction='none')\n    keep = torch.ones_like(per) if pad is None else (ids[:, 1:] != pad).float()\n    return ((per * keep).sum(1) / keep.sum(1)).mean()",
        "def next_token_loss(logits, ids, pad=None):\n    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=-100 if pad is None else pad) / math.log(2)",
        "def next_token_loss(logits, ids, pad=None):\n    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0)",
        "def next_token_loss(logits, ids, pad=None):\n    return -logits[:, :-1].softmax(-1).gather(-1, ids[:, 1:, None]).mean()",
    ],
    "lab03.q5": [
        "def next_token_probabilities(logits, temperature=1.0, top_p=1.0):\n    p = (logits / temperature).softmax(-1)\n    p = p * (p >= 1 - top_p)\n    return p / p.sum()",
        "def next_token_probabilities(logits, temperature=1.0, top_p=1.0):\n    p = (logits / temperature).softmax(-1)\n    k = max(1, int(top_p * len(p)))\n    keep = torch.zeros_like(p).scatter(-1, p.topk(k).indices, 1.0)\n    return p * keep / (p * keep).sum()",
        "def next_token_probabilities(logits, temperature=1.0, top_p=1.0):\n    p = (logits / temperature).softmax(-1)\n    r, o = p.sort()\n    p = torch.zeros_like(p).scatter(-1, o, r.masked_fill(r.cumsum(-1) - r >= top_p, 0.0))\n    return p / p.sum()",
        "def next_token_probabilities(logits, temperature=1.0, top_p=1.0):\n    p = logits.softmax(-1) / temperature\n    r, o = p.sort(descending=True)\n    p = torch.zeros_like(p).scatter(-1, o, r.masked_fill(r.cumsum(-1) - r >= top_p, 0.0))\n    return p / p.sum()",
    ],
    "lab03.q6": [
        "def examples():\n    return [(list(range(9)), 3, 4)]\n\n\ndef holds(inputs, output):\n    return output == [[inputs[0][i : i + inputs[1]], inputs[0][i + 1 : i + 1 + inputs[1]]] for i in range(inputs[2])]",
        "def examples():\n    return [([1] * 9, 3, 4), ([1] * 5, 2, 4)]\n\n\ndef holds(inputs, output):\n    return len(output) == inputs[2] and all(x[1:] == y[:-1] for x, y in output)",
        "def examples():\n    return [([1, 2, 3], 3, 4)]\n\n\ndef holds(inputs, output):\n    return len(output) == inputs[2]",
    ],
}
