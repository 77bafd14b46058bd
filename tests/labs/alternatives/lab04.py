"""Lab 04: other right answers, each written its own way, and wrong ones that have no message of their own."""

_INIT = """
class CachedAttention(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads):
        super().__init__()
        self.H, self.K, self.d = n_heads, n_kv_heads, d_model // n_heads
        self.q_proj = nn.Linear(d_model, n_heads * self.d, bias=False)
        self.k_proj = nn.Linear(d_model, n_kv_heads * self.d, bias=False)
        self.v_proj = nn.Linear(d_model, n_kv_heads * self.d, bias=False)
        self.o_proj = nn.Linear(n_heads * self.d, d_model, bias=False)
"""

RIGHT = {
    "lab04.q1": [
        "def rms_norm(x, gain, eps=1e-5):\n    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps) * gain",
        "def rms_norm(x, gain, eps=1e-5):\n    d = x.shape[-1]\n    return gain * x * ((x * x).sum(-1, keepdim=True) / d + eps) ** -0.5",
        "def rms_norm(x, gain, eps=1e-5):\n    square = x.norm(dim=-1, keepdim=True) ** 2 / x.size(-1)\n    return x.div((square + eps).sqrt()).mul(gain)",
        "def rms_norm(x, gain, eps=1e-5):\n    y = x.double()\n    return (y * torch.rsqrt(torch.einsum('...d,...d->...', y, y)[..., None] / y.size(-1) + eps) * gain).to(x.dtype)",
        """
import math


def rms_norm(x, gain, eps=1e-5):
    if x.dim() > 1:
        return torch.stack([rms_norm(row, gain, eps) for row in x])
    return x / math.sqrt(sum(float(v) ** 2 for v in x) / len(x) + eps) * gain
""",
    ],
    "lab04.q2": [
        """
def rope(x, positions, theta=10_000.0):
    half = x.size(-1) // 2
    freq = 1.0 / theta ** (torch.arange(half).float() / half)
    angle = torch.outer(positions.float(), freq)
    cos, sin = torch.cat([angle.cos()] * 2, -1), torch.cat([angle.sin()] * 2, -1)
    swapped = torch.cat([-x[..., half:], x[..., :half]], -1)
    return x * cos + swapped * sin
""",
        """
def rope(x, positions, theta=10_000.0):
    d = x.size(-1)
    out = torch.zeros_like(x)
    for i in range(d // 2):
        a = positions * theta ** (-2 * i / d)
        c, s = torch.cos(a), torch.sin(a)
        out[..., i] = x[..., i] * c - x[..., i + d // 2] * s
        out[..., i + d // 2] = x[..., i] * s + x[..., i + d // 2] * c
    return out
""",
        """
from math import log


def rope(x, positions, theta=10_000.0):
    d = x.size(-1)
    z = torch.complex(*x.chunk(2, -1))
    phase = positions[:, None] * torch.exp(-log(theta) * torch.arange(0, d, 2) / d)
    z = z * torch.polar(torch.ones_like(phase), phase)
    return torch.cat([z.real, z.imag], -1)
""",
        """
def rope(x, positions, theta=10_000.0):
    T, d = x.shape[-2:]
    pairs = x.view(*x.shape[:-1], 2, d // 2)
    a = positions.view(T, 1) * theta ** (-torch.arange(d // 2) * 2 / d)
    rotation = torch.stack([torch.stack([a.cos(), -a.sin()]), torch.stack([a.sin(), a.cos()])])
    return torch.einsum("ijtf,...tjf->...tif", rotation, pairs).reshape(x.shape)
""",
        """
def rope(x, positions, theta=10_000.0):
    d = x.size(-1)
    angle = positions.double()[:, None] * torch.tensor([theta ** (-2 * i / d) for i in range(d // 2)]).double()
    a, b = x.double().split(d // 2, dim=-1)
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1).float()
""",
    ],
    "lab04.q3": [
        """
def grouped_attention(q, k, v, mask):
    B, H, T, d = q.shape
    K, S = k.shape[1:3]
    grouped = q.view(B, K, H // K, T, d)
    scores = torch.einsum("bkgtd,bksd->bkgts", grouped, k) / d**0.5
    weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
    return torch.einsum("bkgts,bksd->bkgtd", weights, v).reshape(B, H, T, d)
""",
        """
def grouped_attention(q, k, v, mask):
    share, heads = q.size(1) // k.size(1), []
    for h in range(q.size(1)):
        scores = q[:, h] @ k[:, h // share].transpose(-2, -1) / q.size(-1) ** (1 / 2)
        heads.append(torch.where(mask, scores, -torch.inf).softmax(-1) @ v[:, h // share])
    return torch.stack(heads, 1)
""",
        """
def grouped_attention(q, k, v, mask):
    B, K, S, d = k.shape
    n = q.size(1) // K
    k = k[:, :, None].expand(B, K, n, S, d).reshape(B, K * n, S, d)
    v = v[:, :, None].expand(B, K, n, S, d).reshape(B, K * n, S, d)
    bias = torch.zeros(mask.shape).masked_fill(mask.logical_not(), float("-inf"))
    return F.softmax(q @ k.mT * d**-0.5 + bias, -1) @ v
""",
        """
def grouped_attention(q, k, v, mask):
    at = torch.arange(q.size(1)) // (q.size(1) // k.size(1))
    scores = q @ k[:, at].transpose(2, 3) / q.size(-1) ** 0.5
    e = (scores - scores.amax(-1, keepdim=True)).exp() * mask
    return (e / e.sum(-1, keepdim=True)) @ v[:, at]
""",
    ],
    "lab04.q4": [
        "def positions_and_mask(past, T):\n    return torch.arange(T) + past, torch.ones(T, past + T, dtype=torch.bool).tril(diagonal=past)",
        "def positions_and_mask(past, T):\n    mask = torch.zeros(T, past + T, dtype=bool)\n    for t in range(T):\n        mask[t, : past + t + 1] = True\n    return torch.tensor([past + t for t in range(T)]), mask",
        "def positions_and_mask(past, T):\n    all_ = torch.arange(past + T)\n    return all_[past:], all_[None] <= all_[past:, None]",
        "def positions_and_mask(past, T):\n    p = torch.linspace(past, past + T - 1, T).round().long()\n    return [p, torch.cat([torch.ones(T, past).bool(), torch.ones(T, T).tril().bool()], dim=1)]",
        "def positions_and_mask(past, T):\n    return torch.arange(past, past + T, dtype=torch.int32), ~torch.triu(torch.ones(T, past + T), past + 1).bool()",
    ],
    "lab04.q5": [
        _INIT + """
    def forward(self, x, cache):
        B, T, _ = x.shape
        past = 0 if "k" not in cache else cache["k"].shape[2]
        positions, mask = positions_and_mask(past, T)
        q = rope(self.q_proj(x).reshape(B, T, self.H, self.d).permute(0, 2, 1, 3), positions)
        k = rope(self.k_proj(x).reshape(B, T, self.K, self.d).permute(0, 2, 1, 3), positions)
        v = self.v_proj(x).reshape(B, T, self.K, self.d).permute(0, 2, 1, 3)
        if past:
            k = torch.cat((cache["k"], k), 2)
            v = torch.cat((cache["v"], v), 2)
        cache.update(k=k, v=v)
        return self.o_proj(grouped_attention(q, k, v, mask).permute(0, 2, 1, 3).flatten(2))
""",
        _INIT + """
    def split(self, x, heads):
        return x.unflatten(-1, (heads, self.d)).transpose(1, 2)

    def forward(self, x, cache):
        keys, values = cache.get("k"), cache.get("v")
        past = keys.size(2) if keys is not None else 0
        positions, mask = positions_and_mask(past, x.size(1))
        new_k, new_v = rope(self.split(self.k_proj(x), self.K), positions), self.split(self.v_proj(x), self.K)
        cache["k"] = new_k if keys is None else torch.cat([keys, new_k], -2)
        cache["v"] = new_v if values is None else torch.cat([values, new_v], -2)
        out = grouped_attention(rope(self.split(self.q_proj(x), self.H), positions), cache["k"], cache["v"], mask)
        return self.o_proj(out.transpose(1, 2).flatten(-2))
""",
        _INIT + """
    def forward(self, x, cache):
        if x.size(1) > 1:  # one token after the other
            return torch.cat([self.forward(x[:, t : t + 1], cache) for t in range(x.size(1))], dim=1)
        past = cache["k"].size(2) if "k" in cache else 0
        positions, mask = positions_and_mask(past, 1)
        q, k, v = (f(x).view(len(x), 1, -1, self.d).transpose(1, 2) for f in (self.q_proj, self.k_proj, self.v_proj))
        k = rope(k, positions)
        if past:
            k, v = torch.cat([cache["k"], k], 2), torch.cat([cache["v"], v], 2)
        cache["k"], cache["v"] = k, v
        return self.o_proj(grouped_attention(rope(q, positions), k, v, mask).transpose(1, 2).flatten(2))
""",
    ],
    "lab04.q6": [
        'design = {"n_layers": 12, "d_model": 256, "n_heads": 8, "n_kv_heads": 1, "d_ff": 1700}',
        'design = dict(n_layers=10, d_model=320, n_heads=10, n_kv_heads=1, d_ff=1555)',
    ],
    "lab04.q7": [
        """
def examples():
    return [([1.0, 0.0], [1.0, 0.5], [3, 4, 6, 7, 11]), ([1, 2, -1, 1], [2, 1, 1, 1.5], [0, 2, 3, 5]),
            ([0.3, -1.2], [0.9, 0.4], [10, 12, 13, 20])]


def holds(inputs, output):
    q, k, positions = inputs
    s = output
    n = len(positions)
    if len(s) != n or any(len(r) != n for r in s):
        return False
    dot = sum(a * b for a, b in zip(q, k))
    if any(abs(s[i][i] - dot) > 1e-6 for i in range(n)):
        return False
    for i in range(n):
        for j in range(n):
            for a in range(n):
                for b in range(n):
                    if positions[i] - positions[j] == positions[a] - positions[b] and abs(s[i][j] - s[a][b]) > 1e-6:
                        return False
    flat = [value for row in s for value in row]
    return any(abs(value - flat[0]) > 1e-6 for value in flat)
""",
    ],
}

WRONG = {
    "lab04.q1": [
        "def rms_norm(x, gain, eps=1e-5):\n    return x / (x.abs().mean(-1, keepdim=True) + eps) * gain",
        "def rms_norm(x, gain, eps=1e-5):\n    return x * torch.rsqrt(x.pow(2).mean() + eps) * gain",
        "def rms_norm(x, gain, eps=1e-5):\n    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * (1 + gain)",
        "def rms_norm(x, gain, eps=1e-6):\n    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * gain",
    ],
    "lab04.q2": [
        "def rope(x, positions, theta=10_000.0):\n    d = x.size(-1)\n    a = positions[:, None] * theta ** (-torch.arange(0, d, 2) / d)\n    u, w = x[..., : d // 2], x[..., d // 2 :]\n    return torch.cat([u * a.cos() - w * a.sin(), u * a.cos() + w * a.sin()], -1)",
        "def rope(x, positions, theta=10_000.0):\n    d = x.size(-1)\n    a = positions[:, None] / theta * torch.arange(0, d, 2) / d\n    u, w = x[..., : d // 2], x[..., d // 2 :]\n    return torch.cat([u * a.cos() - w * a.sin(), u * a.sin() + w * a.cos()], -1)",
        "def rope(x, positions, theta=10_000.0):\n    d = x.size(-1)\n    a = (positions[:, None] + 1) * theta ** (-torch.arange(0, d, 2) / d)\n    u, w = x[..., : d // 2], x[..., d // 2 :]\n    return torch.cat([u * a.cos() - w * a.sin(), u * a.sin() + w * a.cos()], -1)",
    ],
    "lab04.q3": [
        "def grouped_attention(q, k, v, mask):\n    n = q.size(1) // k.size(1)\n    k, v = k.repeat_interleave(n, 1), v.repeat(1, n, 1, 1)\n    return (q @ k.mT / q.size(-1) ** 0.5).masked_fill(~mask, -torch.inf).softmax(-1) @ v",
        "def grouped_attention(q, k, v, mask):\n    n = q.size(1) // k.size(1)\n    k, v = k.repeat_interleave(n, 1), v.repeat_interleave(n, 1)\n    return (q @ k.mT / q.size(-1) ** 0.5).softmax(-1).masked_fill(~mask, 0) @ v",
        "def grouped_attention(q, k, v, mask):\n    n = q.size(1) // k.size(1)\n    q = q.unflatten(1, (-1, n)).mean(2)\n    return ((q @ k.mT / q.size(-1) ** 0.5).masked_fill(~mask, -torch.inf).softmax(-1) @ v).repeat_interleave(n, 1)",
    ],
    "lab04.q4": [
        "def positions_and_mask(past, T):\n    return torch.arange(past + T), torch.ones(past + T, past + T, dtype=torch.bool).tril()",
        "def positions_and_mask(past, T):\n    return torch.arange(past, past + T), torch.ones(T, past + T, dtype=torch.bool).tril(past + 1)",
        "def positions_and_mask(past, T):\n    return torch.arange(past, past + T), torch.ones(T, past + T).tril(past)",
        "def positions_and_mask(past, T):\n    return torch.arange(past + 1, past + T + 1), torch.ones(T, past + T, dtype=torch.bool).tril(past)",
    ],
    "lab04.q5": [
        _INIT + "\n    def forward(self, x, cache):\n        B, T, _ = x.shape\n        pos, mask = positions_and_mask(0, T)\n        q, k, v = (f(x).view(B, T, -1, self.d).transpose(1, 2) for f in (self.q_proj, self.k_proj, self.v_proj))\n        return self.o_proj(grouped_attention(rope(q, pos), rope(k, pos), v, mask).transpose(1, 2).flatten(2))",
        _INIT + "\n    def forward(self, x, cache):\n        B, T, _ = x.shape\n        past = cache['k'].size(2) if cache else 0\n        pos, mask = positions_and_mask(past, T)\n        q, k, v = (f(x).view(B, T, -1, self.d).transpose(1, 2) for f in (self.q_proj, self.k_proj, self.v_proj))\n        if cache:\n            k, v = torch.cat([cache['k'], k], 2), torch.cat([cache['v'], v], 2)\n        cache['k'], cache['v'] = k, v\n        k = rope(k, torch.arange(k.size(2)))\n        return self.o_proj(grouped_attention(rope(q, pos), k, rope(v, torch.arange(v.size(2))), mask).transpose(1, 2).flatten(2))",
    ],
    "lab04.q6": [
        'design = {"n_layers": 13, "d_model": 320, "n_heads": 10, "n_kv_heads": 1, "d_ff": 1100}',
        'design = {"n_layers": 12, "d_model": 320, "n_heads": 10, "n_kv_heads": 10, "d_ff": 1000}',
        'design = {"n_layers": 2, "d_model": 320, "n_heads": 10, "n_kv_heads": 1, "d_ff": 1250}',
    ],
    "lab04.q7": [
        "def examples():\n    return [([1.0, 0.5], [0.5, 2.0], [0, 1, 2, 3])]\n\n\ndef holds(inputs, output):\n    n = len(output)\n    return all(abs(output[i][j] - output[i - 1][j - 1]) < 1e-6 for i in range(1, n) for j in range(1, n))",
        "def examples():\n    return [([1.0, 0.5], [0.5, 2.0], [0, 3, 4])]\n\n\ndef holds(inputs, output):\n    return all(abs(output[i][j] - output[j][i]) < 1e-6 for i in range(3) for j in range(3))",
    ],
}
