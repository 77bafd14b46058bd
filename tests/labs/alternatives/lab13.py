"""Lab 13: other right answers, each written its own way, and wrong ones that have no message of their own."""

_EXAMPLES = """
def examples():
    rewards, values = [0.5, -1.0, 2.0, -0.25, 3.0], [1.0, 0.75, -2.0, 1.5, 0.5]
    several = [(rewards[:n], values[:n], ended, after) for n in (1, 2, 3, 5) for ended in (True, False) for after in (4.0, -3.0)]
    return several + [([1.0] * 4, [0.0] * 4, True, 2.0), ([-2.0, -3.0, -1.0], [1.0, 2.0, 1.0], False, -1.0)]

"""

RIGHT = {
    "lab13.q1": [
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    out = torch.zeros_like(rewards)
    for b in range(len(rewards)):
        places = [t for t in range(rewards.size(1)) if mask[b, t]]
        advantage, following = 0.0, 0.0 if ended[b] else after[b]
        for t in places[::-1]:
            advantage = rewards[b, t] + gamma * following - values[b, t] + gamma * lam * advantage
            out[b, t], following = advantage, values[b, t]
    return out
""",
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    B, T = rewards.shape
    following = torch.cat([values[:, 1:], values[:, :1]], 1)
    last = mask & ~torch.cat([mask[:, 1:], mask.new_zeros(B, 1)], 1)
    following = torch.where(last, (after * (~ended).float())[:, None], following)
    delta = (rewards + gamma * following - values).masked_fill(~mask, 0.0)
    ahead = torch.arange(T)[None, :] - torch.arange(T)[:, None]
    weights = torch.where(ahead >= 0, (gamma * lam) ** ahead.clamp(min=0).float(), 0.0)
    return (delta @ weights.T) * mask
""",
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    import numpy as np
    r, v, m = (x.numpy().astype(float) for x in (rewards, values, mask))
    out = np.zeros_like(r)
    for b, row in enumerate(m.astype(bool)):
        i = np.flatnonzero(row)
        tail = np.append(v[b, i][1:], 0.0 if bool(ended[b]) else float(after[b]))
        delta = r[b, i] + gamma * tail - v[b, i]
        out[b, i] = [sum((gamma * lam) ** (k - j) * delta[k] for k in range(j, len(i))) for j in range(len(i))]
    return out
""",
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    B, T = rewards.shape
    V = torch.zeros(B, T + 1)
    V[:, :T] = values * mask
    n, start = mask.sum(1), mask.int().argmax(1)
    V[torch.arange(B), start + n] = after * (1 - ended.float())
    delta = (rewards + gamma * V[:, 1:] - V[:, :-1]) * mask
    A = torch.zeros(B, T + 1)
    for t in range(T - 1, -1, -1):
        A[:, t] = (delta[:, t] + gamma * lam * A[:, t + 1]) * mask[:, t]
    return A[:, :T]
""",
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    def backwards(delta):
        return delta if len(delta) < 2 else (lambda rest: [delta[0] + gamma * lam * rest[0], *rest])(backwards(delta[1:]))

    out = []
    for r, v, m, done, behind in zip(rewards.tolist(), values.tolist(), mask.tolist(), ended.tolist(), after.tolist()):
        i = [t for t, here in enumerate(m) if here]
        nexts = [v[t] for t in i[1:]] + [behind * (not done)]
        found = iter(backwards([r[t] + gamma * x - v[t] for t, x in zip(i, nexts)]))
        out.append([next(found) if here else 0.0 for here in m])
    return torch.tensor(out)
""",
    ],
    "lab13.q2": [
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = torch.exp(logprobs - old_logprobs)
    worse = torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip))
    return (worse * mask).sum() / mask.sum()
""",
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    total, n = 0.0, 0
    for b in range(mask.size(0)):
        for t in range(mask.size(1)):
            if mask[b, t]:
                ratio = logprobs[b, t].exp() / old_logprobs[b, t].exp()
                near = torch.clip(ratio, 1 - clip, 1 + clip)
                total = total - min(ratio * advantages[b, t], near * advantages[b, t])
                n += 1
    return total / n
""",
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    A = advantages.masked_fill(~mask, 0.0)
    ratio = (logprobs - old_logprobs).exp()
    limit = torch.where(A >= 0, (1 + clip) * A, (1 - clip) * A)
    return -torch.min(ratio * A, limit).sum() / mask.sum()
""",
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = (logprobs - old_logprobs).exp()
    too_far = ((advantages > 0) & (ratio > 1 + clip)) | ((advantages < 0) & (ratio < 1 - clip))
    bound = 1 + clip * advantages.sign()
    gain = torch.where(too_far, bound * advantages, ratio * advantages)
    return -gain.masked_select(mask).mean()
""",
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = ((logprobs - old_logprobs) * mask).exp()
    both = torch.stack([ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages])
    return (-both.amin(0) * mask).sum() / mask.float().sum()
""".replace("both.amin(0)", "both.min(0).values"),
    ],
    "lab13.q3": [
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    out = torch.zeros(mask.shape)
    for b in range(len(scores)):
        last = None
        for t in range(mask.size(1)):
            if mask[b, t]:
                out[b, t] = -kl_coef * (logprobs["policy"][b, t] - logprobs["reference"][b, t])
                last = t
        out[b, last] += scores[b]
    return out
""",
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    out = (kl_coef * (logprobs["reference"] - logprobs["policy"])).masked_fill(~mask, 0.0)
    last = mask.int().argmax(1) + mask.sum(1) - 1
    return out.scatter_add(1, last[:, None], scores[:, None])
""",
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    import numpy as np
    m = mask.numpy()
    out = np.where(m, -kl_coef * (logprobs["policy"] - logprobs["reference"]).numpy(), 0.0)
    for row, marks, score in zip(out, m, scores.tolist()):
        row[np.flatnonzero(marks)[-1]] += score
    return out
""",
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    after = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], 1)
    last = (mask & ~after).float()
    return last * scores.unsqueeze(1) - kl_coef * torch.where(mask, logprobs["policy"] - logprobs["reference"], torch.tensor(0.0))
""",
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    price = kl_coef * (logprobs["policy"] - logprobs["reference"])
    T = mask.size(1)
    last = (torch.arange(T) * mask).max(1).values
    return F.one_hot(last, T) * scores[:, None] - price * mask
""",
    ],
    "lab13.q4": [
        """
def kl_nats(logprobs, ref_logprobs, mask):
    k1 = k3 = 0.0
    for b in range(len(mask)):
        for t in range(mask.size(1)):
            if mask[b, t]:
                d = float(logprobs[b, t] - ref_logprobs[b, t])
                k1 += d / len(mask)
                k3 += (2.718281828459045 ** -d - 1 + d) / len(mask)
    return {"k1": k1, "k3": k3}
""",
        """
def kl_nats(logprobs, ref_logprobs, mask):
    d = (logprobs - ref_logprobs)[mask]
    n = mask.size(0)
    return {"k3": ((-d).expm1() + d).sum() / n, "k1": d.sum() / n}
""",
        """
def kl_nats(logprobs, ref_logprobs, mask):
    r = torch.where(mask, ref_logprobs - logprobs, torch.zeros(()))
    per = {"k1": -r, "k3": r.exp() - 1 - r}
    return {kind: values.sum(dim=-1).mean() for kind, values in per.items()}
""",
        """
def kl_nats(logprobs, ref_logprobs, mask):
    import numpy as np
    d = np.where(mask.numpy(), (logprobs - ref_logprobs).numpy().astype(float), 0.0)
    return dict(k1=np.mean(np.sum(d, 1)), k3=np.mean(np.sum(np.exp(-d) - 1 + d, 1)))
""",
    ],
    "lab13.q5": [
        """
def dpo_loss(policy, reference, mask, beta):
    whole = lambda x: x.masked_fill(~mask, 0.0).sum(-1)
    (pc, pr), (rc, rr) = whole(policy), whole(reference)
    return F.softplus(-beta * ((pc - rc) - (pr - rr))).mean()
""",
        """
def dpo_loss(policy, reference, mask, beta):
    losses = []
    for b in range(policy.size(1)):
        gained = [(policy[k, b][mask[k, b]] - reference[k, b][mask[k, b]]).sum() for k in (0, 1)]
        losses.append(-F.logsigmoid(beta * (gained[0] - gained[1])))
    return sum(losses) / len(losses)
""",
        """
def dpo_loss(policy, reference, mask, beta):
    rewards = beta * torch.einsum("kbt,kbt->kb", policy - reference, mask.float())
    return F.cross_entropy(rewards.T, torch.zeros(policy.size(1), dtype=torch.long))
""",
        """
def dpo_loss(policy, reference, mask, beta):
    chosen, rejected = (((p - r) * m).sum(1) for p, r, m in zip(policy, reference, mask))
    h = beta * (chosen - rejected)
    return torch.logaddexp(torch.zeros_like(h), -h).mean()
""",
        """
def dpo_loss(policy, reference, mask, beta):
    signed = torch.tensor([1.0, -1.0])[:, None, None] * mask
    return F.binary_cross_entropy_with_logits(beta * (signed * (policy - reference)).sum((0, 2)), torch.ones(policy.size(1)))
""",
    ],
    "lab13.q6": [
        _EXAMPLES
        + """
def holds(inputs, output):
    rewards, values, ended, after = inputs
    n = len(rewards)
    nexts = values[1:] + [0.0 if ended else after]
    delta = [rewards[t] + nexts[t] - values[t] for t in range(n)]
    assert len(output) == n
    assert abs(output[-1] - delta[-1]) < 1e-5
    top = sum((output[t] - delta[t]) * output[t + 1] for t in range(n - 1))
    below = sum(output[t + 1] ** 2 for t in range(n - 1))
    lam = top / below if below else 0.0
    if not -1e-5 <= lam <= 1 + 1e-5:
        return False
    return all(abs(output[t] - delta[t] - lam * output[t + 1]) < 1e-5 for t in range(n - 1))
""",
        """
def examples():
    import random
    rng = random.Random(1)
    made = []
    for n in (1, 2, 3, 4, 6, 8):
        for ended in (True, False):
            made.append(([rng.randint(-9, 9) for _ in range(n)], [rng.randint(-9, 9) for _ in range(n)], ended, rng.choice([-7, 6])))
    return made

def holds(inputs, output):
    import numpy as np
    rewards, values, ended, after = inputs
    v = np.append(np.array(values, float), 0.0 if ended else after)
    delta = np.array(rewards, float) + v[1:] - v[:-1]
    found = np.array(output, float)
    if found.shape != delta.shape or not np.isclose(found[-1], delta[-1]):
        return False
    x, y = found[1:], (found - delta)[:-1]
    lam = float(x @ y / (x @ x)) if x.any() else 0.0
    return bool(-1e-6 < lam < 1 + 1e-6 and np.allclose(y, lam * x, atol=1e-5))
""",
        _EXAMPLES
        + """
def holds(inputs, output):
    rewards, values, ended, after = inputs
    delta = [r + v - u for r, v, u in zip(rewards, values[1:] + [after * (not ended)], values)]
    for k in range(201):
        lam, running, fine = k / 200, 0.0, len(output) == len(delta)
        for a, d in zip(output[::-1], delta[::-1]):
            running = d + lam * running
            if abs(a - running) > 0.02:
                fine = False
                break
        if fine:
            return True
    return False
""",
    ],
}

WRONG = {
    "lab13.q1": [
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    following = torch.cat([values[:, 1:], after[:, None]], 1)
    return (rewards + gamma * following - values) * mask
""",
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    out = torch.zeros_like(rewards)
    for b in range(len(rewards)):
        advantage, following = 0.0, after[b]
        for t in torch.arange(rewards.size(1))[mask[b]].flip(0):
            advantage = rewards[b, t] + gamma * following - values[b, t] + gamma * lam * advantage
            out[b, t], following = advantage, values[b, t]
        if ended[b]:
            out[b] = out[b] - after[b] * mask[b]
    return out
""",
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    out = torch.zeros_like(rewards)
    for b in range(len(rewards)):
        advantage, following = 0.0 if ended[b] else after[b], 0.0
        for t in torch.arange(rewards.size(1))[mask[b]].flip(0):
            advantage = rewards[b, t] + gamma * following - values[b, t] + gamma * lam * advantage
            out[b, t], following = advantage, values[b, t]
    return out
""",
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    out = torch.zeros_like(rewards)
    for b in range(len(rewards)):
        total = torch.tensor(0.0) if ended[b] else after[b].clone()
        for t in torch.arange(rewards.size(1))[mask[b]].flip(0):
            total = rewards[b, t] + gamma * total
            out[b, t] = total - values[b, t]
    return out
""",
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    B, T = rewards.shape
    padded = torch.cat([values * mask, torch.zeros(B, 1)], 1)
    delta = (rewards + gamma * padded[:, 1:] - padded[:, :-1]) * mask
    A, running = torch.zeros_like(rewards), torch.zeros(B)
    for t in reversed(range(T)):
        A[:, t] = running = delta[:, t] + gamma * lam * running
    return A * mask
""",
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    out = torch.zeros_like(rewards)
    for b in range(len(rewards)):
        advantage, following = 0.0, 0.0 if ended.all() else after[b]
        for t in torch.arange(rewards.size(1))[mask[b]].flip(0):
            advantage = rewards[b, t] + gamma * following - values[b, t] + gamma * lam * advantage
            out[b, t], following = advantage, values[b, t]
    return out
""",
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    out = torch.zeros_like(rewards)
    for b in range(len(rewards)):
        advantage, following = 0.0, 0.0 if ended[b] else values[b][mask[b]][-1]
        for t in torch.arange(rewards.size(1))[mask[b]].flip(0):
            advantage = rewards[b, t] + gamma * following - values[b, t] + gamma * lam * advantage
            out[b, t], following = advantage, values[b, t]
    return out
""",
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    out = torch.zeros_like(rewards)
    for b in range(len(rewards)):
        advantage, following = 0.0, 0.0 if ended[b] else after[b]
        for t in torch.arange(rewards.size(1))[mask[b]].flip(0):
            advantage = rewards[b, t] + gamma * following - values[b, t] + gamma * (1 - lam) * advantage
            out[b, t], following = advantage, values[b, t]
    return out
""",
    ],
    "lab13.q2": [
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = (logprobs - old_logprobs)[mask].exp()
    gain = advantages[mask]
    return -torch.minimum(ratio * gain, (ratio * gain).clamp(1 - clip, 1 + clip)).mean()
""",
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = (logprobs - old_logprobs)[mask].exp().detach()
    gain = advantages[mask]
    inside = (ratio - 1).abs() <= clip
    return -(inside * gain * logprobs[mask]).mean()
""",
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = (logprobs - old_logprobs)[mask].exp()
    inside = (ratio - 1).abs() <= clip
    return -(ratio * advantages[mask])[inside].mean()
""",
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = (logprobs - old_logprobs)[mask].exp()
    gain = advantages[mask]
    return -torch.minimum(ratio * gain, ratio.clamp(1 / (1 + clip), 1 + clip) * gain).mean()
""",
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = ((logprobs - old_logprobs) * mask).sum(1).exp()
    gain = (advantages * mask).sum(1) / mask.sum(1)
    return -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain).mean()
""",
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = (logprobs - old_logprobs)[mask].exp()
    gain = advantages[mask]
    gain = (gain - gain.mean()) / (gain.std() + 1e-8)
    return -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain).mean()
""",
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = (logprobs - old_logprobs)[mask].exp()
    gain = advantages[mask]
    return torch.minimum(-ratio * gain, -ratio.clamp(1 - clip, 1 + clip) * gain).mean()
""",
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = (logprobs - old_logprobs)[mask].exp()
    gain = advantages[mask].abs()
    return -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain).mean()
""",
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = (logprobs - old_logprobs)[mask].exp()
    gain = advantages[mask]
    return -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip).detach() * gain).mean()
""",
    ],
    "lab13.q3": [
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    rewards = -kl_coef * (logprobs["policy"] - logprobs["reference"]) * mask
    rewards[:, mask.sum(1).max() - 1] += scores
    return rewards
""",
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    d = logprobs["policy"] - logprobs["reference"]
    return (scores[:, None] - kl_coef * d) * mask
""",
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    d = (logprobs["policy"] - logprobs["reference"]).clamp(min=0)
    last = mask & (mask.cumsum(1) == mask.sum(1, keepdim=True))
    return -kl_coef * d * mask + scores[:, None] * last
""",
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    d = logprobs["policy"] - logprobs["reference"]
    last = mask.cumsum(1) == mask.sum(1, keepdim=True)
    return -kl_coef * d * mask + scores[:, None] * last
""",
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    d = logprobs["policy"] - logprobs["reference"]
    last = mask & (mask.cumsum(1) == mask.sum(1, keepdim=True))
    return (1 - kl_coef) * scores[:, None] * last - kl_coef * d * mask
""",
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    d = logprobs["policy"].exp() * (logprobs["policy"] - logprobs["reference"])
    last = mask & (mask.cumsum(1) == mask.sum(1, keepdim=True))
    return -kl_coef * d * mask + scores[:, None] * last
""",
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    d = logprobs["policy"] - (logprobs["reference"] + logprobs["previous"]) / 2
    last = mask & (mask.cumsum(1) == mask.sum(1, keepdim=True))
    return -kl_coef * d * mask + scores[:, None] * last
""",
        """
def token_rewards(scores, logprobs, mask, kl_coef):
    d = (logprobs["policy"] - logprobs["reference"]) * mask
    last = mask & (mask.cumsum(1) == mask.sum(1, keepdim=True))
    return -kl_coef * d.cumsum(1) * mask + scores[:, None] * last
""",
    ],
    "lab13.q4": [
        """
def kl_nats(logprobs, ref_logprobs, mask):
    d = (logprobs - ref_logprobs)[mask]
    return {"k1": d.sum() / len(mask), "k3": (d.exp() - 1 - d).sum() / len(mask)}
""",
        """
def kl_nats(logprobs, ref_logprobs, mask):
    d = (logprobs.exp() - ref_logprobs.exp())[mask]
    return {"k1": d.sum() / len(mask), "k3": ((-d).exp() - 1 + d).sum() / len(mask)}
""",
        """
def kl_nats(logprobs, ref_logprobs, mask):
    d = (logprobs - ref_logprobs)[mask]
    return {"k3": d.sum() / len(mask), "k1": ((-d).exp() - 1 + d).sum() / len(mask)}
""",
        """
def kl_nats(logprobs, ref_logprobs, mask):
    d = (logprobs - ref_logprobs).clamp(min=0)[mask]
    return {"k1": d.sum() / len(mask), "k3": ((-d).exp() - 1 + d).sum() / len(mask)}
""",
        """
def kl_nats(logprobs, ref_logprobs, mask):
    d = F.kl_div(ref_logprobs, logprobs, log_target=True, reduction="none")
    e = (logprobs - ref_logprobs)
    return {"k1": (d * mask).sum(1).mean(), "k3": (((-e).exp() - 1 + e) * mask).sum(1).mean()}
""",
        """
def kl_nats(logprobs, ref_logprobs, mask):
    d = (logprobs - ref_logprobs) * mask
    return {"k1": d.sum(1).mean(), "k3": ((-d).exp() - 1).sum(1).mean() + d.mean()}
""",
    ],
    "lab13.q5": [
        """
def dpo_loss(policy, reference, mask, beta):
    gained = ((policy - reference) * mask).sum(-1) / mask.sum()
    return -F.logsigmoid(beta * (gained[0] - gained[1])).mean()
""",
        """
def dpo_loss(policy, reference, mask, beta):
    gained = (policy.exp() - reference.exp()) * mask
    return -F.logsigmoid(beta * (gained.sum(-1)[0] - gained.sum(-1)[1])).mean()
""",
        """
def dpo_loss(policy, reference, mask, beta):
    h = ((policy - reference) * mask)
    return -F.logsigmoid(beta * (h[0] - h[1])).sum(-1).mean()
""",
        """
def dpo_loss(policy, reference, mask, beta):
    gained = ((policy - reference) * mask[:1]).sum(-1)
    return -F.logsigmoid(beta * (gained[0] - gained[1])).mean()
""",
        """
def dpo_loss(policy, reference, mask, beta):
    gained = ((policy - reference) * mask).sum(-1)
    return (-F.logsigmoid(beta * gained[0]) + F.logsigmoid(-beta * gained[1]) * -1).mean()
""",
        """
def dpo_loss(policy, reference, mask, beta):
    gained = ((policy - reference) * mask).sum(-1)
    return torch.relu(1 - beta * (gained[0] - gained[1])).mean()
""",
        """
def dpo_loss(policy, reference, mask, beta):
    gained = ((policy - reference) * mask).sum(-1)
    return -torch.log(torch.sigmoid(beta * (gained[0] - gained[1])) + 1e-8).mean()
""",
        """
def dpo_loss(policy, reference, mask, beta):
    gained = ((policy.detach().requires_grad_() - reference) * mask).sum(-1)
    return -F.logsigmoid(beta * (gained[0] - gained[1])).mean()
""",
    ],
    "lab13.q6": [
        _EXAMPLES + "def holds(inputs, output):\n    return True",
        _EXAMPLES + "def holds(inputs, output):\n    return False",
        _EXAMPLES
        + """
def holds(inputs, output):
    rewards, values, ended, after = inputs
    found = gae(*(torch.tensor([x]) for x in (rewards, values)), torch.ones(1, len(rewards), dtype=torch.bool),
                torch.tensor([ended]), torch.tensor([after]), 1.0, 0.95)
    return torch.allclose(found[0], torch.tensor(output), atol=1e-4)
""",
        _EXAMPLES
        + """
def holds(inputs, output):
    rewards, values, ended, after = inputs
    return abs(output[-1] - (rewards[-1] + (0.0 if ended else after) - values[-1])) < 1e-6
""",
        _EXAMPLES
        + """
def holds(inputs, output):
    rewards, values, ended, after = inputs
    behind = values[1:] + [0.0 if ended else after]
    delta = [r + v - u for r, v, u in zip(rewards, behind, values)]
    return abs(output[-1] - delta[-1]) < 1e-6 and all(
        (a - d) * following >= -1e-6 for a, d, following in zip(output, delta, output[1:])
    )
""",
        """
def examples():
    return [([0.0, 0.0, 1.0], [0.0, 0.0, 0.0], True, 0.0), ([0.0, 0.0, 1.0], [0.0, 0.0, 0.0], False, 0.0)]

def holds(inputs, output):
    return abs(output[-1] - 1.0) < 1e-6 and 0 <= output[0] <= output[1] <= 1
""",
    ],
}

# Right, and made of what the lab keeps away: nothing is earned with them.
REFUSED = {
    "lab13.q1": [
        """
def gae(rewards, values, mask, ended, after, gamma, lam):
    from llmlib.align import gae as given
    return given(rewards, values, mask, gamma, lam, after * ~ended)
""",
    ],
    "lab13.q2": [
        """
def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    from llmlib.align import ppo_loss as given
    return given(logprobs, old_logprobs, advantages, mask, clip)
""",
    ],
    "lab13.q5": [
        """
def dpo_loss(policy, reference, mask, beta):
    from llmlib.align import dpo_loss as given
    p, r = (policy * mask).sum(-1), (reference * mask).sum(-1)
    return given(p[0], p[1], r[0], r[1], beta)
""",
    ],
}
