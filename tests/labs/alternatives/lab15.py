"""Lab 15: other right answers, each written its own way, and wrong ones that have no message of their own."""

_EXAMPLES = """
def examples():
    a = [[0.3, -1.7, 0.0, 0.9, 4.1, -0.2, 2.3, -3.3], [-0.05, 0.02, 0.11, 0.0, 6.0, 7.3, 8.2, 9.9]]
    b = [[-9.0, -7.7, -8.3, -6.1, 0.5, 0.0, -0.31, 0.12], [1.0, 3.0, -2.6, 0.0, -0.7, 5.2, -9.7, 0.4]]
    return [(rows, bits, size) for rows in (a, b, a + b) for bits, size in ((4, 4), (3, 2), (8, 4), (2, 8))]

"""
_NO_DIVISOR = "    if weight.shape[1] % group_size:\n        raise ValueError('group_size')\n"

RIGHT = {
    "lab15.q1": [
        """
def absmax(weight, bits):
    most = 2 ** (bits - 1) - 1
    scale = weight.abs().max(dim=1).values / most
    scale[scale == 0] = 1
    return torch.round(weight / scale.unsqueeze(1)).to(torch.int8), scale
""",
        """
def absmax(weight, bits):
    most, codes, scales = 2 ** (bits - 1) - 1, [], []
    for row in weight.tolist():
        s = max(abs(w) for w in row) / most or 1.0
        scales.append(s)
        codes.append([round(w / s) for w in row])
    return torch.tensor(codes, dtype=torch.int8), torch.tensor(scales)
""",
        """
def absmax(weight, bits):
    most = (1 << (bits - 1)) - 1
    largest = torch.maximum(weight.amax(1), -weight.amin(1))
    largest = largest.where(largest > 0, torch.tensor(float(most)))
    return (weight * (most / largest)[:, None]).round().char(), largest / most
""",
        """
def absmax(weight, bits):
    import numpy as np
    w = weight.numpy().astype(np.float64)
    s = np.abs(w).max(1, keepdims=True) / (2 ** (bits - 1) - 1)
    s[s == 0] = 1.0
    return torch.from_numpy(np.rint(w / s).astype(np.int8)), torch.from_numpy(s[:, 0].astype(np.float32))
""",
        """
def absmax(weight, bits):
    most = 2 ** (bits - 1) - 1
    scale = torch.linalg.vector_norm(weight, float("inf"), dim=1, keepdim=True) / most
    scale = scale + (scale == 0)
    return torch.floor(weight / scale + 0.5).clamp(-most, most).to(torch.int8), scale
""",
    ],
    "lab15.q2": [
        """
def quantize_groups(weight, bits, group_size):
    n_out, n_in = weight.shape
    if n_in % group_size != 0:
        raise ValueError("does not divide")
    flat = weight.reshape(-1, group_size)
    low = torch.minimum(flat.min(1).values, torch.tensor(0.0))
    high = torch.maximum(flat.max(1).values, torch.tensor(0.0))
    scale = (high - low) / (2**bits - 1)
    scale[scale == 0] = 1.0
    zero = torch.round(-low / scale)
    q = torch.clamp(torch.round(flat / scale[:, None]) + zero[:, None], 0, 2**bits - 1)
    return q.view(n_out, n_in).byte(), scale.view(n_out, -1), zero.view(n_out, -1).byte()
""",
        "def quantize_groups(weight, bits, group_size):\n"
        + _NO_DIVISOR
        + """
    codes, scales, zeros = [], [], []
    for row in weight.tolist():
        codes.append([]), scales.append([]), zeros.append([])
        for i in range(0, len(row), group_size):
            group = row[i : i + group_size]
            low, high = min(0.0, *group), max(0.0, *group)
            s = (high - low) / (2**bits - 1) or 1.0
            z = round(-low / s)
            scales[-1].append(s)
            zeros[-1].append(z)
            codes[-1] += [min(max(round(w / s) + z, 0), 2**bits - 1) for w in group]
    return torch.tensor(codes, dtype=torch.uint8), torch.tensor(scales), torch.tensor(zeros)
""",
        "def quantize_groups(weight, bits, group_size):\n"
        + _NO_DIVISOR
        + """
    parts = []
    for part in weight.split(group_size, dim=1):
        both = torch.cat([part, torch.zeros(len(part), 1)], 1)
        low, high = both.aminmax(dim=1)
        s = (high - low) / (2**bits - 1)
        s = torch.where(s > 0, s, 1.0)
        z = (-low / s).round()
        parts.append(((torch.round(part / s[:, None] + z[:, None])).clamp(0, 2**bits - 1), s, z))
    codes, scale, zero = zip(*parts)
    return torch.cat(codes, 1).to(torch.uint8), torch.stack(scale, 1), torch.stack(zero, 1)
""",
        "def quantize_groups(weight, bits, group_size):\n"
        + _NO_DIVISOR
        + """
    import numpy as np
    w = weight.numpy().astype(np.float64).reshape(len(weight), -1, group_size)
    low, high = np.minimum(w.min(2), 0), np.maximum(w.max(2), 0)
    s = (high - low) / (2**bits - 1)
    s = np.where(s == 0, 1, s)
    z = np.rint(-low / s)
    q = np.clip(np.floor(w / s[..., None] + 0.5) + z[..., None], 0, 2**bits - 1)
    return tuple(torch.from_numpy(x) for x in (q.reshape(weight.shape).astype(np.uint8), s, z))
""",
        "def quantize_groups(weight, bits, group_size):\n"
        + _NO_DIVISOR
        + """
    g = weight.unfold(1, group_size, group_size)
    low, high = g.amin(2).clamp_max(0), g.amax(2).clamp_min(0)
    s = (high - low) / (2**bits - 1)
    s = s.masked_fill(s == 0, 1)
    z = (low / -s).round()
    spread = lambda x: x.repeat_interleave(group_size, 1)
    return ((weight / spread(s)).round() + spread(z)).clamp(0, 2**bits - 1).to(torch.uint8), s, z
""",
    ],
    "lab15.q3": [
        """
class Nibbles:
    def pack(codes):
        return ((codes[:, 0::2] & 0x0F) | ((codes[:, 1::2] & 0x0F) << 4)).view(torch.uint8)

    def unpack(packed):
        out = torch.empty(packed.shape[0], 2 * packed.shape[1], dtype=torch.int8)
        out[:, 0::2] = (packed << 4).view(torch.int8) >> 4
        out[:, 1::2] = packed.view(torch.int8) >> 4
        return out
""",
        """
class Nibbles:
    @staticmethod
    def pack(codes):
        return torch.tensor([[(a % 16) + 16 * (b % 16) for a, b in zip(row[::2], row[1::2])] for row in codes.tolist()], dtype=torch.uint8)

    @staticmethod
    def unpack(packed):
        signed = lambda x: x if x < 8 else x - 16
        return torch.tensor([[signed(x) for byte in row for x in (byte % 16, byte // 16)] for row in packed.tolist()], dtype=torch.int8)
""",
        """
class Nibbles:
    @staticmethod
    def pack(codes):
        pairs = codes.to(torch.int64).unflatten(1, (-1, 2)) % 16
        return (pairs * torch.tensor([1, 16])).sum(-1).to(torch.uint8)

    @staticmethod
    def unpack(packed):
        four = packed.to(torch.int64)[..., None] // torch.tensor([1, 16]) % 16
        return ((four + 8) % 16 - 8).flatten(1).to(torch.int8)
""",
        """
class Nibbles:
    @staticmethod
    def pack(codes):
        codes = torch.where(codes < 0, codes.int() + 16, codes.int())
        even, odd = codes.view(len(codes), -1, 2).unbind(-1)
        return torch.add(even, odd, alpha=16).to(torch.uint8)

    @staticmethod
    def unpack(packed):
        table = torch.tensor([*range(8), *range(-8, 0)], dtype=torch.int8)
        low, high = table[(packed & 15).long()], table[(packed >> 4).long()]
        return torch.stack((low, high), dim=2).reshape(packed.shape[0], -1)
""",
        """
class Nibbles:
    @staticmethod
    def pack(codes):
        return torch.bitwise_or(codes[:, ::2] & 15, (codes[:, 1::2] & 15) * 16).to(torch.uint8)

    @staticmethod
    def unpack(packed):
        packed = packed.to(torch.int32)
        both = torch.stack([packed & 15, packed >> 4 & 15], -1).flatten(1)
        return ((both ^ 8) - 8).to(torch.int8)
""",
    ],
    "lab15.q4": [
        """
def model_bytes(tensors, bits, group_size):
    total = 0
    for n_out, n_in, quantized in tensors:
        if not quantized:
            total += n_out * n_in * 2
            continue
        groups = (n_in + group_size - 1) // group_size
        total += n_out * ((n_in * bits + 7) // 8 + groups * 2 + (groups * bits + 7) // 8)
    return {"bytes": total, "bits": total * 8 / sum(a * b for a, b, _ in tensors)}
""",
        """
def model_bytes(tensors, bits, group_size):
    whole = lambda n: -(-n * bits // 8)
    def row(n):
        g = -(-n // group_size)
        return whole(n) + 2 * g + whole(g)
    sizes = [m * row(n) if q else 2 * m * n for m, n, q in tensors]
    return dict(bytes=sum(sizes), bits=8.0 * sum(sizes) / sum(m * n for m, n, _ in tensors))
""",
        """
def model_bytes(tensors, bits, group_size):
    total, count = 0, 0
    for n_out, n_in, quantized in tensors:
        count += n_out * n_in
        if quantized:
            for _ in range(n_out):
                groups = len(range(0, n_in, group_size))
                for stream in (n_in * bits, groups * 16, groups * bits):
                    total += stream // 8 + (stream % 8 > 0)
        else:
            total += 16 * n_out * n_in // 8
    return {"bytes": torch.tensor(total), "bits": 8 * total / count}
""",
        """
def model_bytes(tensors, bits, group_size):
    import numpy as np
    m, n, q = np.array([(a, b, c) for a, b, c in tensors]).T
    g = np.ceil(n / group_size)
    rows = np.ceil(n * bits / 8) + 2 * g + np.ceil(g * bits / 8)
    total = float((m * np.where(q, rows, 2 * n)).sum())
    return {"bytes": int(total), "bits": 8 * total / float((m * n).sum())}
""",
    ],
    "lab15.q5": [
        """
def gptq_step(left, rounded, inverse):
    error = (left[:, 0] - rounded) / inverse[0, 0]
    corrected = left.clone()
    for j in range(1, left.shape[1]):
        corrected[:, j] -= error * inverse[0, j]
    rest = inverse.clone()
    for i in range(1, len(inverse)):
        for j in range(1, len(inverse)):
            rest[i, j] = inverse[i, j] - inverse[i, 0] * inverse[0, j] / inverse[0, 0]
    return corrected[:, 1:], rest[1:, 1:]
""",
        """
def gptq_step(left, rounded, inverse):
    whole = left - (left[:, :1] - rounded[:, None]) @ (inverse[:1] / inverse[0, 0])
    smaller = inverse - inverse[:, :1] @ inverse[:1] / inverse[0, 0]
    return whole[:, 1:], smaller[1:, 1:]
""",
        """
def gptq_step(left, rounded, inverse):
    H = torch.linalg.inv(inverse.double())
    if left.shape[1] == 1:
        return left[:, 1:], inverse[1:, 1:]
    rest = torch.linalg.inv(H[1:, 1:])
    error = (left[:, 0] - rounded).double()
    return left[:, 1:] + (error[:, None] * (rest @ H[1:, 0])).float(), rest.float()
""",
        """
def gptq_step(left, rounded, inverse):
    h = inverse[0] / inverse[0, 0].sqrt()
    error = (left[:, 0] - rounded) / inverse[0, 0].sqrt()
    return left[:, 1:] - torch.einsum("i,j->ij", error, h[1:]), (inverse - torch.outer(h, h))[1:, 1:]
""",
        """
def gptq_step(left, rounded, inverse):
    import numpy as np
    w, q, g = left.numpy().astype(float), rounded.numpy().astype(float), inverse.numpy().astype(float)
    share = g[1:, 0] / g[0, 0]
    return torch.from_numpy(w[:, 1:] + (q - w[:, 0])[:, None] * share), torch.from_numpy(g[1:, 1:] - np.outer(share, g[0, 1:]))
""",
        """
def gptq_step(left, rounded, inverse):
    left[:, 1:] += (rounded - left[:, 0])[:, None] * inverse[0, 1:] / inverse[0, 0]
    inverse[1:, 1:] -= inverse[1:, :1] * inverse[:1, 1:] / inverse[0, 0]
    return left[:, 1:], inverse[1:, 1:]
""",
    ],
    "lab15.q6": [
        """
def distillation_loss(logits, teacher, targets, temperature, weight):
    log_q = F.log_softmax(logits / temperature, dim=-1)
    with torch.no_grad():
        p = F.softmax(teacher / temperature, dim=-1)
    kl = F.kl_div(log_q, p, reduction="none").sum(-1)
    mask = (targets != -100).float()
    soft = (kl * mask).sum() / mask.sum() * temperature**2
    hard = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-100)
    return weight * soft + (1 - weight) * hard
""",
        """
def distillation_loss(logits, teacher, targets, temperature, weight):
    V = logits.shape[-1]
    kept = targets.reshape(-1) >= 0
    s, t, y = logits.reshape(-1, V)[kept], teacher.detach().reshape(-1, V)[kept], targets.reshape(-1)[kept]
    soft = F.kl_div((s / temperature).log_softmax(-1), (t / temperature).log_softmax(-1), log_target=True, reduction="batchmean")
    return weight * temperature * temperature * soft + (1 - weight) * F.nll_loss(s.log_softmax(-1), y)
""",
        """
def distillation_loss(logits, teacher, targets, temperature, weight):
    total, n = 0.0, 0
    for s, t, y in zip(logits.flatten(0, 1), teacher.detach().flatten(0, 1), targets.flatten().tolist()):
        if y == -100:
            continue
        log_q, log_p = (s / temperature).log_softmax(0), (t / temperature).log_softmax(0)
        divergence = sum(log_p[v].exp() * (log_p[v] - log_q[v]) for v in range(len(s)))
        total = total + weight * temperature**2 * divergence - (1 - weight) * s.log_softmax(0)[y]
        n += 1
    return total / n
""",
        """
def distillation_loss(logits, teacher, targets, temperature, weight):
    real = targets.ne(-100)
    z, u = logits / temperature, teacher.detach() / temperature
    p = u.softmax(-1)
    divergence = (p * (u - z)).sum(-1) - u.logsumexp(-1) + z.logsumexp(-1)
    nll = logits.logsumexp(-1) - logits.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    return ((weight * temperature**2 * divergence + (1 - weight) * nll) * real).sum() / real.sum()
""",
        """
def distillation_loss(logits, teacher, targets, temperature, weight):
    real = targets != -100
    p = (teacher[real].detach() / temperature).softmax(-1)
    soft_cross = F.cross_entropy(logits[real] / temperature, p)
    entropy = -torch.special.xlogy(p, p).sum(-1).mean()
    return weight * temperature**2 * (soft_cross - entropy) + (1 - weight) * F.cross_entropy(logits[real], targets[real])
""",
    ],
    "lab15.q7": [
        _EXAMPLES
        + """
def holds(inputs, output):
    weights, bits, size = inputs
    for row, q, s, z in zip(weights, *output):
        for g in range(len(row) // size):
            for k in range(g * size, (g + 1) * size):
                value = s[g] * (q[k] - z[g])
                if not (float(q[k]).is_integer() and 0 <= q[k] < 2**bits):
                    return False
                if abs(value - row[k]) > 0.5 * s[g] + 1e-9 or (row[k] == 0 and abs(value) > 1e-9):
                    return False
            if s[g] <= 0 or s[g] * (2 ** (bits - 1) - 1) > max(map(abs, row[g * size : (g + 1) * size])) + 1e-9:
                return False
    return True
""",
        """
def examples():
    import random
    rng, made = random.Random(0), []
    for bits in (2, 3, 4, 5, 8):
        for size in (2, 4):
            rows = [[rng.uniform(-9, 9) for _ in range(8)] for _ in range(2)]
            rows += [[rng.uniform(0.1, 9) for _ in range(8)], [rng.uniform(-9, -0.1) for _ in range(8)]]
            rows += [[rng.uniform(-0.1, 0.1) for _ in range(4)] + [rng.uniform(5, 9) for _ in range(4)]]
            for row in rows:
                row[rng.randrange(8)] = 0.0
            made.append((rows, bits, size))
    return made


def holds(inputs, output):
    (weights, bits, size), (codes, scales, zeros) = inputs, output
    w, q = torch.tensor(weights, dtype=torch.float64), torch.tensor(codes, dtype=torch.float64)
    s, z = (torch.tensor(x, dtype=torch.float64) for x in (scales, zeros))
    big = w.abs().unflatten(1, (-1, size)).amax(-1)
    s_, z_ = s.repeat_interleave(size, 1), z.repeat_interleave(size, 1)
    value = s_ * (q - z_)
    return bool(
        (q == q.round()).all() and q.min() >= 0 and q.max() <= 2**bits - 1 and (s > 0).all()
        and (s <= big / (2 ** (bits - 1) - 1) + 1e-9).all()
        and ((value - w).abs() <= s_ / 2 + 1e-9).all() and (value[w == 0].abs() < 1e-9).all()
    )
""",
    ],
}

WRONG = {
    "lab15.q1": [
        "def absmax(weight, bits):\n    s = weight.abs().amax(1) / (2 ** (bits - 1) - 1)\n    s[s == 0] = 1\n    return (weight / s[:, None]).ceil().to(torch.int8), s\n",
        "def absmax(weight, bits):\n    s = weight.abs().amax(1) / (2 ** (bits - 1) - 1)\n    s[s == 0] = 1\n    return (weight / s[:, None]).round().to(torch.int8), s.half().float() * 2\n",
        "def absmax(weight, bits):\n    s = weight.std(1) * 3 / (2 ** (bits - 1) - 1)\n    s[s == 0] = 1\n    return (weight / s[:, None]).round().to(torch.int8), s\n",
        "def absmax(weight, bits):\n    s = weight.abs().amax(1) / (2 ** (bits - 1) - 1)\n    s[s == 0] = 1\n    return -(weight / s[:, None]).round().to(torch.int8), s\n",
        "def absmax(weight, bits):\n    s = weight.abs().amax(1) / (2**bits - 2)\n    s[s == 0] = 1\n    return (weight / s[:, None]).round().to(torch.int8), s\n",
        "def absmax(weight, bits):\n    s = weight.abs().amax(1) / (2 ** (bits - 1) - 1)\n    s[s == 0] = 0.1\n    return (weight / s[:, None]).round().to(torch.int8), s\n",
        "def absmax(weight, bits):\n    s = weight.abs().amax(1) / (2 ** (bits - 1) - 1)\n    s[s == 0] = 1\n    return (weight / s[:, None]).round().to(torch.int8), s.amax().expand(len(s))\n",
        "def absmax(weight, bits):\n    s = weight.abs().amax(1) / (2 ** (bits - 1) - 1)\n    s[s == 0] = 1\n    return (weight / s[:, None]).round().clamp(-7, 7).to(torch.int8), s\n",
    ],
    "lab15.q2": [
        "def quantize_groups(weight, bits, group_size):\n" + body
        for body in (
            "    n, m = weight.shape\n    g = weight.reshape(-1, group_size)\n    low, high = g.amin(1, True).clamp(max=0), g.amax(1, True).clamp(min=0)\n    s = (high - low) / (2**bits - 1)\n    s[s == 0] = 1\n    z = (-low / s).round()\n    return ((g / s).round() + z).clamp(0, 2**bits - 1).view(n, m), s.view(n, -1), z.view(n, -1)\n",  # no ValueError
            _NO_DIVISOR
            + "    n, m = weight.shape\n    g = weight.view(n, -1, group_size)\n    low, high = g.amin(2, True).clamp(max=0), g.amax(2, True).clamp(min=0)\n    s = (high - low) / (2**bits - 1)\n    s[s == 0] = 1\n    z = (-low / s).round()\n    return ((g / s).round() + z).clamp(0, 2**bits - 1).view(n, m), s.view(n, -1), z.view(n, -1) * s.view(n, -1)\n",
            _NO_DIVISOR
            + "    n, m = weight.shape\n    g = weight.view(n, -1, group_size)\n    low, high = g.amin(2, True).clamp(max=0), g.amax(2, True).clamp(min=0)\n    s = (high - low) / (2**bits - 1)\n    s[s == 0] = 1\n    z = (high / s).round()\n    return ((g / s).round() + z).clamp(0, 2**bits - 1).view(n, m), s.view(n, -1), z.view(n, -1)\n",
            _NO_DIVISOR
            + "    n, m = weight.shape\n    g = weight.view(n, -1, group_size)\n    low, high = g.amin(2, True).clamp(max=0), g.amax(2, True).clamp(min=0)\n    s = (high - low) / (2**bits - 1)\n    s[s == 0] = 1\n    z = (-low / s).round()\n    return ((g / s).ceil() + z).clamp(0, 2**bits - 1).view(n, m), s.view(n, -1), z.view(n, -1)\n",
            _NO_DIVISOR
            + "    n, m = weight.shape\n    g = weight.view(n, -1, group_size)\n    low, high = g.amin(2, True).clamp(max=0), g.amax(2, True).clamp(min=0)\n    s = (high - low) / (2**bits - 1)\n    s[s == 0] = 1\n    z = (-low / s).round()\n    return ((g / s).round() + z).clamp(1, 2**bits - 1).view(n, m), s.view(n, -1), z.view(n, -1)\n",
            _NO_DIVISOR
            + "    n, m = weight.shape\n    g = weight.view(n, -1, group_size)\n    low, high = g.amin(2, True).clamp(max=0), g.amax(2, True).clamp(min=0)\n    s = (high - low) / (2**bits - 1)\n    s[s == 0] = 1\n    z = (-low / s).round()\n    return ((g / s).round() + z).clamp(0, 2**bits - 1).view(n, m), s.view(n, -1).flip(1), z.view(n, -1)\n",
            _NO_DIVISOR
            + "    n, m = weight.shape\n    g = weight.view(n, -1, group_size)\n    low, high = g.amin(2, True), g.amax(2, True).clamp(min=0)\n    s = (high - low) / (2**bits - 1)\n    s[s == 0] = 1\n    z = (-low / s).round()\n    return ((g / s).round() + z).clamp(0, 2**bits - 1).view(n, m), s.view(n, -1), z.view(n, -1)\n",
        )
    ],
    "lab15.q3": [
        "class Nibbles:\n    def pack(codes):\n        c = codes.to(torch.int16) & 15\n        return "
        + packed
        + "\n\n    def unpack(packed):\n        "
        + unpacked
        + "\n"
        for packed, unpacked in (
            (
                "(c[:, ::2] | c[:, 1::2] << 4).to(torch.uint8)",
                "return torch.stack([packed & 15, packed >> 4], -1).flatten(1) - 8",
            ),
            (
                "(c[:, ::2] | c[:, 1::2] << 4).to(torch.uint8).T",
                "f = torch.stack([packed & 15, packed >> 4], -1).flatten(1).char()\n        return torch.where(f > 7, f - 16, f)",
            ),
            (
                "(c[:, ::2] << 4 | c[:, 1::2]).to(torch.uint8)",
                "f = torch.stack([packed >> 4, packed & 15], -1).flatten(1).char()\n        return torch.where(f > 7, f - 16, f)",
            ),
            (
                "(c[:, ::2] | c[:, 1::2] << 4).to(torch.uint8)",
                "f = torch.stack([packed & 15, packed >> 4], 0).flatten(0, 1).char()\n        return torch.where(f > 7, f - 16, f)",
            ),
            (
                "(c[:, ::2] | c[:, 1::2]).to(torch.uint8)",
                "f = torch.stack([packed & 15, packed >> 4], -1).flatten(1).char()\n        return torch.where(f > 7, f - 16, f)",
            ),
            (
                "(c[:, ::2] | c[:, 1::2] << 4).to(torch.uint8)",
                "f = torch.stack([packed & 7, packed >> 4 & 7], -1).flatten(1).char()\n        return f",
            ),
            (
                "(c[:, ::2] | c[:, 1::2] << 4).to(torch.uint8)",
                "f = torch.stack([packed & 15, packed >> 4], -1).flatten(1).char()\n        return torch.where(f > 7, -f, f)",
            ),
            (
                "(c[:, ::2] * 15 + c[:, 1::2]).to(torch.uint8)",
                "f = torch.stack([packed & 15, packed >> 4], -1).flatten(1).char()\n        return torch.where(f > 7, f - 16, f)",
            ),
            (
                "(c[:, ::2] | c.roll(-2, 1)[:, 1::2] << 4).to(torch.uint8)",
                "f = torch.stack([packed & 15, packed >> 4], -1).flatten(1).char()\n        return torch.where(f > 7, f - 16, f)",
            ),
        )
    ],
    "lab15.q4": [
        "def model_bytes(tensors, bits, group_size):\n    t = n = 0\n    for a, b, q in tensors:\n        g = math.ceil(b / group_size)\n        t += "
        + size
        + " if q else 2 * a * b\n        n += a * b\n    return {'bytes': t, 'bits': "
        + per
        + "}\n"
        for size, per in (
            ("a * (math.ceil(b * bits / 8) + math.ceil(g * (16 + bits) / 8) + 1)", "8 * t / n"),
            ("a * (math.ceil(b * bits / 8) + 2 * g + math.ceil(g * bits / 8))", "t / n * 8 / 2"),
            ("a * (math.ceil(b * bits / 8) + 2 * g + 2 * math.ceil(g * bits / 8))", "8 * t / n"),
            ("math.ceil(a / 8) * (b * bits + 16 * g + g * bits)", "8 * t / n"),
            ("a * (math.ceil(b * bits / 8) + 2 * group_size + math.ceil(group_size * bits / 8))", "8 * t / n"),
            ("a * (math.ceil(b * bits / 8) + 2 * g + math.ceil(g * bits / 8))", "round(8 * t / n)"),
            ("a * (math.ceil(b * (bits + (16 + bits) / group_size) / 8))", "8 * t / n"),
            ("b * (math.ceil(a * bits / 8) + 2 * g + math.ceil(g * bits / 8))", "8 * t / n"),
        )
    ],
    "lab15.q5": [
        "def gptq_step(left, rounded, inverse):\n    e = left[:, 0] - rounded\n    return " + both + "\n"
        for both in (
            "left[:, 1:] - torch.outer(e, inverse[0, 1:] / inverse[0, 0]), torch.linalg.inv(inverse[1:, 1:])",
            "left[:, 1:] - torch.outer(e, inverse[0, 1:] / inverse[0, 0]), inverse[1:, 1:] - torch.outer(inverse[1:, 0], inverse[0, 1:]) / inverse[0, 0].sqrt()",
            "left[:, 1:] - torch.outer(e, inverse[0, 1:] / inverse.diagonal().mean()), inverse[1:, 1:] - torch.outer(inverse[1:, 0], inverse[0, 1:]) / inverse[0, 0]",
            "left[:, 1:] - torch.outer(e, inverse[0, 1:] / inverse[0].sum()), inverse[1:, 1:] - torch.outer(inverse[1:, 0], inverse[0, 1:]) / inverse[0, 0]",
            "left - torch.outer(e, inverse[0] / inverse[0, 0]), inverse[1:, 1:] - torch.outer(inverse[1:, 0], inverse[0, 1:]) / inverse[0, 0]",
            "left[:, 1:] - 0.5 * torch.outer(e, inverse[0, 1:] / inverse[0, 0]), inverse[1:, 1:] - torch.outer(inverse[1:, 0], inverse[0, 1:]) / inverse[0, 0]",
            "left[:, 1:] - torch.outer(e, inverse[0, 1:] / inverse[0, 0]), torch.linalg.inv(torch.linalg.inv(inverse)[1:, 1:]).tril()",
            "left[:, 1:] - torch.outer(e, inverse[1, 1:] / inverse[0, 0]) if len(inverse) > 1 else left[:, 1:], inverse[1:, 1:] - torch.outer(inverse[1:, 0], inverse[0, 1:]) / inverse[0, 0]",
        )
    ],
    "lab15.q6": [
        "def distillation_loss(logits, teacher, targets, temperature, weight):\n    r, t = targets != -100, teacher.detach()\n    q, p = (logits / temperature).log_softmax(-1)[r], (t / temperature).log_softmax(-1)[r]\n    soft = (p.exp() * (p - q)).sum(-1).mean()\n    hard = F.cross_entropy(logits[r], targets[r])\n    return "
        + value
        + "\n"
        for value in (
            "weight**2 * temperature**2 * soft + (1 - weight) * hard",
            "weight * temperature**2 * soft + (1 - weight) * hard / temperature**2",
            "weight * (temperature**2 * soft).sqrt() + (1 - weight) * hard",
            "(weight * temperature) ** 2 * soft + (1 - weight) ** 2 * hard",
            "weight * temperature**2 * soft + (1 - weight) * hard + 0.01",
            "weight * temperature**2 * soft.detach() + (1 - weight) * hard",
            "weight * temperature**2 * soft + (1 - weight) * hard.detach()",
            "weight * temperature**2 * (p.exp() * (p - q))[:, 1:].sum(-1).mean() + (1 - weight) * hard",
            "weight * temperature**2 * soft + (1 - weight) * F.cross_entropy(t[r], targets[r])",
            "weight * temperature**2 * (p - q).abs().sum(-1).mean() + (1 - weight) * hard",
        )
    ],
    "lab15.q7": [
        _EXAMPLES + "def holds(inputs, output):\n    return True\n",
        _EXAMPLES
        + "def holds(inputs, output):\n    return all(0 <= q < 2 ** inputs[1] for row in output[0] for q in row)\n",
        """
def examples():
    return [([[0.5, -1.0, 0.0, 2.0]], 4, 2)]


def holds(inputs, output):
    (weights, bits, size), (codes, scales, zeros) = inputs, output
    return all(
        abs(scales[i][j // size] * (codes[i][j] - zeros[i][j // size]) - w) <= scales[i][j // size] / 2 + 1e-9
        for i, row in enumerate(weights) for j, w in enumerate(row)
    )
""",
        _EXAMPLES
        + """
def holds(inputs, output):
    (weights, bits, size), (codes, scales, zeros) = inputs, output
    return all(
        abs(scales[i][j // size] * (codes[i][j] - zeros[i][j // size]) - w) <= scales[i][j // size] / 2 - 1e-6
        for i, row in enumerate(weights) for j, w in enumerate(row)
    )
""",
        _EXAMPLES
        + """
def holds(inputs, output):
    (weights, bits, size), (codes, scales, zeros) = inputs, output
    off = lambda i, j: abs(scales[i][0] * (codes[i][j] - zeros[i][0]) - weights[i][j]) <= scales[i][0] / 2 + 1e-9
    return all(off(i, j) for i in range(len(weights)) for j in range(size))
""",
    ],
}

REFUSED = {
    "lab15.q1": [
        """
def absmax(weight, bits):
    from llmlib.adapt import quantize
    made = quantize(weight, bits, "channel", symmetric=True)
    return made.codes, made.scale
""",
    ],
    "lab15.q3": [
        """
class Nibbles:
    @staticmethod
    def pack(codes):
        from llmlib.adapt import pack_int4
        return pack_int4(codes)

    @staticmethod
    def unpack(packed):
        from llmlib.adapt import unpack_int4
        return unpack_int4(packed, signed=True)
""",
    ],
    "lab15.q6": [
        """
def distillation_loss(logits, teacher, targets, temperature, weight):
    from llmlib.adapt import distillation_kl
    real = targets != -100
    soft = distillation_kl(logits[real], teacher[real], temperature).mean()
    return weight * soft + (1 - weight) * F.cross_entropy(logits[real], targets[real])
""",
    ],
}
