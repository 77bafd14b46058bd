"""Lab 07: other right answers, each written its own way, and wrong ones that have no message of their own."""

_ADAM = "def adamw_step(w, g, m, v, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):"

_RUN = """
import copy

class Run(Run):
"""

_TEST = """
def examples():
    return [(12, 4, 12, [2]), (10, 3, 20, [2, 5, 11]), (9, 2, 18, []), (16, 4, 12, [4, 6]), (8, 8, 4, [1, 2])]

"""

RIGHT = {
    "lab07.q1": [
        f"""
{_ADAM}
    b1, b2 = betas
    w = w * (1 - lr * weight_decay)
    m = torch.lerp(m, g, 1 - b1)
    v = torch.addcmul(b2 * v, g, g, value=1 - b2)
    return w - lr / (1 - b1**t) * m / (v.sqrt() / math.sqrt(1 - b2**t) + eps), m, v
""",
        f"""
{_ADAM}
    w.mul_(1 - lr * weight_decay)
    m.mul_(betas[0]).add_(g, alpha=1 - betas[0])
    v.mul_(betas[1]).add_(g.square(), alpha=1 - betas[1])
    denominator = v.div(1 - betas[1] ** t).sqrt_().add_(eps)
    w.addcdiv_(m / (1 - betas[0] ** t), denominator, value=-lr)
    return w, m, v
""",
        f"""
{_ADAM}
    kind = w.dtype
    w, g, m, v = (x.double() for x in (w, g, m, v))
    m += (1 - betas[0]) * (g - m)
    v += (1 - betas[1]) * (g**2 - v)
    m_hat, v_hat = m / (1 - math.pow(betas[0], t)), v / (1 - math.pow(betas[1], t))
    w = w - lr * (m_hat / (torch.sqrt(v_hat) + eps) + weight_decay * w)
    return [x.to(kind) for x in (w, m, v)]
""",
        f"""
{_ADAM}
    import numpy as np
    W, G, M, V = (x.numpy().astype(np.float64) for x in (w, g, m, v))
    M = betas[0] * M + (1 - betas[0]) * G
    V = betas[1] * V + (1 - betas[1]) * G * G
    W = W - lr * weight_decay * W - lr * (M / (1 - betas[0] ** t)) / (np.sqrt(V / (1 - betas[1] ** t)) + eps)
    return tuple(torch.from_numpy(x).to(w.dtype) for x in (W, M, V))
""",
    ],
    "lab07.q2": [
        """
def rate_factor(step, total_steps, warmup_steps=0, cooldown_steps=0, final=0.0):
    rise = 1.0 if step >= warmup_steps else (step + 1) / warmup_steps
    x = min(1.0, max(0.0, step - total_steps + cooldown_steps) / max(1, cooldown_steps))
    if step >= total_steps:
        x = 1.0
    return rise * (1 - (1 - final) * math.sqrt(x))
""",
        """
def rate_factor(step, total_steps, warmup_steps=0, cooldown_steps=0, final=0.0):
    left = total_steps - step
    if left <= 0:
        return final
    if left <= cooldown_steps:
        return final + (1 - final) * (1 - math.sqrt(1 - left / cooldown_steps))
    return min(1, (step + 1) / warmup_steps) if warmup_steps else 1
""",
        """
def rate_factor(step, total_steps, warmup_steps=0, cooldown_steps=0, final=0.0):
    warm = [(i + 1) / warmup_steps for i in range(warmup_steps)]
    cool = [final + (1 - final) * (1 - (i / cooldown_steps) ** 0.5) for i in range(cooldown_steps)]
    factors = warm + [1.0] * (total_steps - warmup_steps - cooldown_steps) + cool
    return factors[step] if step < total_steps else final
""",
        """
def rate_factor(step, total_steps, warmup_steps=0, cooldown_steps=0, final=0.0):
    factors = torch.ones(total_steps + 1)
    factors[:warmup_steps] = torch.arange(1, warmup_steps + 1) / max(1, warmup_steps)
    if cooldown_steps:
        x = torch.arange(cooldown_steps) / cooldown_steps
        factors[total_steps - cooldown_steps : total_steps] = final + (1 - final) * (1 - x.sqrt())
    factors[-1] = final
    return factors[min(step, total_steps)].item()
""",
    ],
    "lab07.q3": [
        """
def clip_gradients(gradients, max_norm):
    norm = torch.cat([g.flatten() for g in gradients if g is not None]).norm()
    scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    return [g if g is None else g * scale for g in gradients], norm.item()
""",
        """
def clip_gradients(gradients, max_norm):
    total = 0.0
    for g in gradients:
        if g is not None:
            total += (g * g).sum().item()
    norm = math.sqrt(total)
    if norm > max_norm:
        for g in gradients:
            if g is not None:
                g.mul_(max_norm / norm)
    return gradients, norm
""",
        """
def clip_gradients(gradients, max_norm):
    norm = math.hypot(*(float(g.norm()) for g in gradients if g is not None))
    if norm <= max_norm:
        return gradients, norm
    return [None if g is None else g / norm * max_norm for g in gradients], norm
""",
        """
def clip_gradients(gradients, max_norm):
    norm = torch.linalg.vector_norm(torch.stack([g.double().norm() for g in gradients if g is not None]))
    scale = 1.0 if norm < max_norm else (max_norm / norm).float()
    return tuple(scale * g if g is not None else None for g in gradients), norm
""",
    ],
    "lab07.q4": [
        """
def accumulate(model, loss_sum, micro_batches):
    for p in model.parameters():
        p.grad = None
    total = tokens = 0
    for batch in micro_batches:
        loss, n = loss_sum(model, batch)
        loss.backward()
        total += loss.detach()
        tokens += n
    with torch.no_grad():
        for p in model.parameters():
            if p.grad is not None:
                p.grad.mul_(1 / tokens)
    return float(total / tokens)
""",
        """
def accumulate(model, loss_sum, micro_batches):
    with torch.no_grad():
        tokens = sum(loss_sum(model, batch)[1] for batch in micro_batches)
    model.zero_grad(set_to_none=False)
    total = 0.0
    for batch in micro_batches:
        share = loss_sum(model, batch)[0] / tokens
        share.backward()
        total += share.item()
    return total
""",
        """
def accumulate(model, loss_sum, micro_batches):
    weights = list(model.parameters())
    sums, total, tokens = [torch.zeros_like(w) for w in weights], 0.0, 0
    for batch in micro_batches:
        loss, n = loss_sum(model, batch)
        model.zero_grad()
        loss.backward()
        for s, w in zip(sums, weights):
            s += w.grad
        total, tokens = total + loss.item(), tokens + n
    for s, w in zip(sums, weights):
        w.grad = s / tokens
    return total / tokens
""",
        """
def accumulate(model, loss_sum, micro_batches):
    model.zero_grad()
    mean, tokens = 0.0, 0
    for batch in micro_batches:
        loss, n = loss_sum(model, batch)
        if n == 0:
            continue
        for p in model.parameters():                       # keep .grad a mean at any time
            if p.grad is not None:
                p.grad *= tokens / (tokens + n)
        (loss / (tokens + n)).backward()
        mean = (mean * tokens + loss.item()) / (tokens + n)
        tokens += n
    return mean
""",
        """
def accumulate(model, loss_sum, micro_batches):
    weights = list(model.parameters())
    gradient, total, tokens = [0] * len(weights), 0.0, 0
    for batch in micro_batches:
        loss, n = loss_sum(model, batch)
        loss.backward(inputs=weights)
        total, tokens = total + loss.item(), tokens + n
        gradient = [s + w.grad for s, w in zip(gradient, weights)]
        for w in weights:
            w.grad = None
    for w, s in zip(weights, gradient):
        w.grad = s / tokens
    return total / tokens
""".replace("    gradient, total", "    model.zero_grad()\n    gradient, total"),
        """
def accumulate(model, loss_sum, micro_batches):
    model.zero_grad()
    tokens = sum(loss_sum(model, batch)[1] for batch in micro_batches)
    total = 0.0
    for batch in micro_batches:
        loss = loss_sum(model, batch)[0] / tokens
        loss.backward()
        total += loss.item()
    return total
""",
    ],
    "lab07.q5": [
        _RUN + """
    def state(self):
        kept = {name: value for name, value in self.__dict__.items() if name != "generator"}
        return copy.deepcopy(kept) | {"generator": self.generator.get_state()}

    def load(self, state):
        state = copy.deepcopy(state)
        self.generator.set_state(state.pop("generator"))
        self.__dict__.update(state)
""",
        _RUN + """
    def state(self):
        return {"weights": [x.tolist() for x in (self.w, self.m, self.average)], "order": self.order.tolist(),
                "counts": [self.step, self.place], "generator": self.generator.get_state().tolist()}

    def load(self, state):
        self.w, self.m, self.average = map(torch.tensor, state["weights"])
        self.order = torch.tensor(state["order"])
        self.step, self.place = state["counts"]
        self.generator.set_state(torch.tensor(state["generator"], dtype=torch.uint8))
""",
        _RUN + """
    def state(self):
        return {"w": torch.stack([self.w, self.m, self.average]), "order": self.order.clone(), "step": self.step,
                "place": self.place, "rng": self.generator.get_state()}

    def load(self, state):
        for mine, saved in zip((self.w, self.m, self.average), state["w"]):
            mine.copy_(saved)
        self.order.copy_(state["order"])
        self.step, self.place = state["step"], state["place"]
        self.generator = torch.Generator()
        self.generator.set_state(state["rng"])
""",
        _RUN + """
    def state(self):
        left = self.order[self.place :].clone()                # what is left of the epoch is all that counts of it
        return dict(w=self.w.clone(), m=self.m.clone(), average=self.average.clone(), left=left, step=self.step,
                    generator=self.generator.get_state())

    def load(self, state):
        self.w, self.m, self.average = (state[name].clone() for name in ("w", "m", "average"))
        self.place = 12 - len(state["left"])
        self.order = torch.cat([torch.zeros(self.place, dtype=torch.long), state["left"]])
        self.step = state["step"]
        self.generator.set_state(state["generator"])
""",
    ],
    "lab07.q6": [
        "plan = {'devices': 31, 'micro_batch': 4, 'accumulation': 2, 'sharded': True, 'recompute': False}",
        "plan = dict(recompute=False, sharded=True, accumulation=2, micro_batch=4, devices=32)",
    ],
    "lab07.q7": [
        _TEST + """
def holds(inputs, output):
    n, rows, batches, stops = inputs
    assert len(output) == batches
    seen, this, orders = set(), [], []
    for batch in output:
        assert len(batch) == rows
        for i in batch:
            assert 0 <= i < n and i not in seen
            seen.add(i)
            this.append(i)
            if len(this) == n:
                assert this not in orders
                orders.append(this)
                seen, this = set(), []
    return True
""",
        """
import collections

def examples():
    return [(n, rows, 5 * n // rows, [2, 3, n // rows + 2]) for n in (8, 11, 20) for rows in (1, 2, 3)]

def holds(inputs, output):
    n, rows, batches, stops = inputs
    if [len(batch) for batch in output] != [rows] * batches:
        return False
    stream = torch.tensor(output).flatten()
    whole = stream[: len(stream) // n * n].view(-1, n)
    rest = stream[len(whole) * n :]
    every = torch.arange(n).expand_as(whole)
    different = len(torch.unique(whole, dim=0)) == len(whole)
    counts = collections.Counter(rest.tolist())
    return bool((whole.sort(1).values == every).all()) and different and max(counts.values(), default=1) == 1 and set(counts) <= set(range(n))
""",
    ],
}

WRONG = {
    "lab07.q1": [
        f"{_ADAM}\n    return w - lr * g, m, v",
        f"{_ADAM}\n    return None",
        f"""
{_ADAM}
    b1, b2 = betas
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    w = w - lr * weight_decay * w + lr * (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + eps)
    return w, m, v
""",
        f"""
{_ADAM}
    b1, b2 = betas
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    m, v = m / (1 - b1**t), v / (1 - b2**t)                    # the corrected ones are kept
    return w - lr * weight_decay * w - lr * m / (v.sqrt() + eps), m, v
""",
        f"""
{_ADAM}
    b1, b2 = betas
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * (g * g).mean()
    return w - lr * weight_decay * w - lr * (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + eps), m, v
""",
        f"""
{_ADAM}
    b1, b2 = betas
    step = (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + eps)
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g     # the step follows the old averages
    return w - lr * weight_decay * w - lr * step, m, v
""",
        """
def adamw_step(w, g, m, v, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    b1, b2 = betas
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    return w - lr * weight_decay * w - lr * (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + eps), m, v
""",
    ],
    "lab07.q2": [
        """
def rate_factor(step, total_steps, warmup_steps=0, cooldown_steps=0, final=0.0):
    return 1.0
""",
        """
def rate_factor(step, total_steps, warmup_steps=0, cooldown_steps=0, final=0.1):
    start = total_steps - cooldown_steps
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if step >= total_steps:
        return final
    return 1.0 if step < start else final + (1 - final) * (1 - ((step - start) / cooldown_steps) ** 0.5)
""",
        """
def rate_factor(step, total_steps, warmup_steps=0, cooldown_steps=0, final=0.0):
    start = total_steps - cooldown_steps
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if step >= total_steps:
        return final
    return 1.0 if step < start else final + (1 - final) * (1 - ((step - start) / cooldown_steps) ** 2)
""",
        """
def rate_factor(step, total_steps, warmup_steps=0, cooldown_steps=0, final=0.0):
    start = total_steps - cooldown_steps
    if step <= warmup_steps:
        return step / max(1, warmup_steps)
    if step >= total_steps:
        return final
    return 1.0 if step < start else 1 - (1 - final) * ((step - start) / cooldown_steps) ** 0.5
""",
    ],
    "lab07.q3": [
        """
def clip_gradients(gradients, max_norm):
    norm = sum(g.pow(2).sum().item() for g in gradients if g is not None) ** 0.5
    return [None if g is None else g * min(1.0, max_norm / max(norm, 1e-9) ** 2) for g in gradients], norm
""",
        """
def clip_gradients(gradients, max_norm):
    norm = sum(g.abs().sum().item() for g in gradients if g is not None)
    return [None if g is None else g * min(1.0, max_norm / max(norm, 1e-9)) for g in gradients], norm
""",
        """
def clip_gradients(gradients, max_norm):
    norm = sum(g.pow(2).sum().item() for g in gradients if g is not None) ** 0.5
    return [None if g is None else torch.zeros_like(g) if norm > max_norm else g for g in gradients], norm
""",
        """
def clip_gradients(gradients, max_norm):
    norm = sum(g.pow(2).sum().item() for g in gradients if g is not None) ** 0.5
    return [torch.zeros(1) if g is None else g * min(1.0, max_norm / max(norm, 1e-9)) for g in gradients], norm
""",
        """
def clip_gradients(gradients, max_norm):
    norm = sum(g.pow(2).sum().item() for g in gradients if g is not None) ** 0.5
    return [None if g is None else g * min(1.0, max_norm / max(norm, 1e-9)) for g in gradients]
""",
    ],
    "lab07.q4": [
        """
def accumulate(model, loss_sum, micro_batches):
    model.zero_grad()
    total, tokens = 0.0, 0
    for batch in micro_batches:
        loss, n = loss_sum(model, batch)
        total, tokens = total + loss.item(), tokens + n
    return total / tokens
""",
        """
def accumulate(model, loss_sum, micro_batches):
    model.zero_grad()
    total, tokens = 0.0, 0
    for batch in micro_batches:
        loss, n = loss_sum(model, batch)
        loss.backward()
        total, tokens = total + loss.item(), tokens + n
        for p in model.parameters():
            p.grad /= max(tokens, 1)
    return total / tokens
""",
        """
def accumulate(model, loss_sum, micro_batches):
    model.zero_grad()
    losses, counts = zip(*(loss_sum(model, batch) for batch in micro_batches))
    for loss in losses:
        (loss / sum(counts)).backward()
    return sum(loss.item() for loss in losses) / sum(counts)
""",
        """
def accumulate(model, loss_sum, micro_batches):
    model.zero_grad()
    loss, tokens = loss_sum(model, micro_batches[0])
    (loss / tokens).backward()
    return loss.item() / tokens
""",
        """
def accumulate(model, loss_sum, micro_batches):
    model.zero_grad()
    total, tokens = 0.0, 0
    for batch in micro_batches:
        loss, n = loss_sum(model, batch)
        loss.backward()
        total, tokens = total + loss.item(), tokens + n
    for p in model.parameters():
        p.grad /= tokens
    return total
""",
    ],
    "lab07.q5": [
        _RUN + """
    def state(self):
        return {}

    def load(self, state):
        pass
""",
        _RUN + """
    def state(self):
        return {"w": self.w.clone()}

    def load(self, state):
        self.w = state["w"].clone()
""",
        _RUN + """
    def state(self):
        kept = {name: value for name, value in self.__dict__.items() if name != "generator"}
        return copy.deepcopy(kept) | {"generator": self.generator.initial_seed()}

    def load(self, state):
        state = copy.deepcopy(state)
        self.generator.manual_seed(state.pop("generator"))
        self.__dict__.update(state)
""",
        _RUN + """
    def state(self):
        kept = {name: value for name, value in self.__dict__.items() if name != "generator"}
        kept = {name: value.half() if name in ("w", "m", "average") else value for name, value in kept.items()}
        return copy.deepcopy(kept) | {"generator": self.generator.get_state()}

    def load(self, state):
        state = copy.deepcopy(state)
        self.generator.set_state(state.pop("generator"))
        self.__dict__.update({k: v.float() if k in ("w", "m", "average") else v for k, v in state.items()})
""",
        _RUN + """
    def state(self):
        return copy.deepcopy({k: v for k, v in self.__dict__.items() if k != "generator"}) | {"rng": torch.get_rng_state()}

    def load(self, state):
        state = copy.deepcopy(state)
        torch.set_rng_state(state.pop("rng"))
        self.__dict__.update(state)
""",
    ],
    "lab07.q6": [
        "plan = {'devices': 32, 'micro_batch': 5, 'accumulation': 1, 'sharded': True, 'recompute': False}",
        "plan = {'devices': 32, 'micro_batch': 4, 'accumulation': 2, 'sharded': True, 'recompute': True}",
        "plan = {'devices': 32.0, 'micro_batch': 4, 'accumulation': 2, 'sharded': True, 'recompute': False}",
        "plan = {'devices': 32, 'micro_batch': 4, 'accumulation': 2}",
        "plan = [32, 4, 2, True, False]",
    ],
    "lab07.q7": [
        _TEST + "def holds(inputs, output):\n    return True",
        _TEST + "def holds(inputs, output):\n    return sorted(sum(output, []))[: inputs[0]] == list(range(inputs[0]))",
        _TEST + """
def holds(inputs, output):
    n, rows, batches, stops = inputs
    stream = sum(output, [])
    return len(stream) == rows * batches and all(stream.count(i) - len(stream) // n in (0, 1) for i in range(n))
""",
        """
def examples():
    return [(8, 8, 6, [1, 2, 3, 4, 5])]

def holds(inputs, output):
    n, rows, batches, stops = inputs
    return len(output) == batches and all(sorted(b) == list(range(n)) for b in output) and len({tuple(b) for b in output}) == batches
""",
    ],
}

# Right, and made of what the lab asks to write: nothing is earned with them.
REFUSED = {
    "lab07.q1": [
        f"""
{_ADAM}
    p = nn.Parameter(w)
    p.grad = g
    optimizer = torch.optim.AdamW([p], lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
    optimizer.state[p] = dict(step=torch.tensor(float(t - 1)), exp_avg=m, exp_avg_sq=v)
    optimizer.step()
    return p.data, m, v
""",
        f"""
{_ADAM}
    from llmlib.train import AdamW
    p = nn.Parameter(w)
    p.grad = g
    optimizer = AdamW([p], lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
    optimizer.state[p] = dict(step=torch.tensor(float(t - 1)), exp_avg=m, exp_avg_sq=v)
    optimizer.step()
    return p.data, m, v
""",
        f"""
{_ADAM}
    settings = dict(lr=lr, beta1=betas[0], beta2=betas[1], weight_decay=weight_decay, eps=eps)
    torch._fused_adamw_([w], [g], [m], [v], [], [torch.tensor(float(t))], amsgrad=False, maximize=False, **settings)
    return w, m, v
""",
    ],
    "lab07.q3": [
        """
def clip_gradients(gradients, max_norm):
    given = [nn.Parameter(g) for g in gradients if g is not None]
    for p in given:
        p.grad = p.data
    return gradients, nn.utils.clip_grad_norm_(given, max_norm).item()
""",
        """
def clip_gradients(gradients, max_norm):
    norm = nn.utils.get_total_norm([g for g in gradients if g is not None]).item()
    return [None if g is None else g * min(1.0, max_norm / max(norm, 1e-9)) for g in gradients], norm
""",
    ],
}
