"""Lab 13: advantages of replies that ended or were cut off, the clipped loss, rewards with a price for distance, two
estimators of the divergence, DPO's loss, a test of estimators of advantages, a wrong run of PPO."""

import functools

import torch
import torch.nn.functional as F

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Tolerance, Ungraded

# ---------------------------------------------------------------------------------------------------- 1: advantages


def _replies(draw: Draw, B: int, T: int) -> torch.Tensor:
    """(B, T) bool: a prompt, a reply of 2 tokens or more, padding; one reply goes to the end of its row."""
    mask = torch.zeros(B, T, dtype=torch.bool)
    full = draw.integer(0, B)
    for row in range(B):
        start = 1 + draw.integer(0, 3)
        mask[row, start : T if row == full else start + 2 + draw.integer(0, T - start - 2)] = True
    return mask


def _advantage_inputs(draw: Draw, ended: list[bool], gamma: float) -> tuple:
    B, T = len(ended), 7 + draw.integer(0, 3)
    mask = _replies(draw, B, T)
    rewards, values, after = draw.normal(B, T), draw.normal(B, T), draw.normal(B)
    after = after.sign() * (after.abs() + 0.5)
    return rewards, values, mask, torch.tensor(ended), after, gamma, draw.choice([0.8, 0.9, 0.95])


def some_cut_off(draw: Draw) -> tuple:
    ended = [True, False, *[draw.choice([True, False]) for _ in range(draw.integer(0, 3))]]
    return _advantage_inputs(draw, ended, draw.choice([0.9, 0.95]))


def all_ended(draw: Draw) -> tuple:
    return _advantage_inputs(draw, [True] * (2 + draw.integer(0, 2)), 0.9)


def all_cut_off(draw: Draw) -> tuple:
    return _advantage_inputs(draw, [False] * (2 + draw.integer(0, 2)), 1.0)


def run_gae(student, rewards, values, mask, ended, after, gamma, lam):
    """Recipe: the advantages."""
    given = [tensor.clone() for tensor in (rewards, values, mask, ended, after)]
    return torch.as_tensor(student(*given, gamma, lam)).detach()


def gae(rewards, values, mask, ended, after, gamma, lam, slip=""):
    """(B, T), or what a slip gives."""
    B, T = rewards.shape
    behind = torch.where(ended, 0.0, after)
    if slip == "cut is end":
        behind = torch.zeros_like(after)
    elif slip == "end is cut":
        behind = after
    elif slip == "turned round":
        behind = torch.where(ended, after, 0.0)
    elif slip == "last value":
        last = mask.size(1) - 1 - mask.int().flip(1).argmax(1)
        behind = torch.where(ended, 0.0, values[torch.arange(len(values)), last])
    delta_gamma = 1.0 if slip in ("gamma lost", "gamma in carry only") else gamma
    carry = (1.0 if slip in ("gamma lost", "gamma in delta only") else gamma) * {
        "lam lost": 1.0,
        "one step": 0.0,
    }.get(slip, lam)
    out = torch.zeros_like(rewards)
    for b in range(B):
        places = mask[b].nonzero().flatten().tolist()
        if slip == "runs through":
            places = list(range(places[0], T))
        deltas = []
        for t in places:
            last = t == places[-1]
            following = behind[b] if last else values[b, t + 1]
            if slip == "padding follows":
                following = values[b, t + 1] if t + 1 < T else torch.tensor(0.0)
            elif slip == "values not shifted":
                following = values[b, t]
            weight = delta_gamma * (lam if slip == "lam on after" and last else 1.0)
            deltas.append(rewards[b, t] + weight * following - values[b, t])
        running = torch.tensor(0.0)
        order = range(len(places)) if slip == "from the front" else reversed(range(len(places)))
        for i in order:
            running = deltas[i] + carry * running
            out[b, places[i]] = running
        if slip == "prompt too":
            out[b, : places[0]] = running
    if slip == "returns":
        out = (out + values) * mask
    elif slip == "sign":
        out = -out
    elif slip == "runs through":
        out = out * mask
    elif slip == "whitened":
        kept = out[mask]
        out = (out - kept.mean()) / kept.std(unbiased=False).clamp_min(1e-8) * mask
    return out


@functools.cache
def _estimated(slip: str):
    return lambda *inputs: run_gae(functools.partial(gae, slip=slip), *inputs)


GAE_SLIPS = {
    "cut is end": "replies that were cut off are treated as if they had ended, as if nothing could have followed: what follows their last token is worth `after`; it is 0 for those that ended only",
    "end is cut": "replies that ended are given the value `after`: nothing follows their end, whatever the critic says there. Bootstrap from `after` for those that were cut off only",
    "turned round": "it is the other way round: `after` counts for the replies that were cut off, and 0 for those that ended",
    "last value": "what follows a reply that was cut off is worth `after`, not the value before its last token once more",
    "padding follows": "behind the last token of a reply you read values at the padding: what follows there is 0 or `after`",
    "runs through": "the sums run on through the padding: rewards and values outside of mask are noise",
    "lam lost": "is lam used? The next advantage is weighted by gamma and lam",
    "one step": "those are the one-step errors delta: add gamma lam times the next advantage",
    "gamma lost": "is gamma used?",
    "gamma in delta only": "the next advantage is weighted by gamma as well as by lam",
    "gamma in carry only": "the next value in delta is weighted by gamma",
    "lam on after": "lam weighs the next advantage, not the value of what follows: delta = r + gamma V' - V at the last token too",
    "values not shifted": "delta compares the value before a token with the value *after* it, which is the value before the next one",
    "from the front": "the sums run from the front: an advantage is made of what comes after a token, so begin with the last",
    "prompt too": "outside of mask advantages are 0: here they go on into the prompt",
    "returns": "those are the returns, advantage + value: what the critic is trained towards",
    "sign": "the sign: what was better than expected has a positive advantage",
    "whitened": "these advantages have been brought to mean 0 and deviation 1: that is done later, over a whole batch",
}
_MIXED = tuple(map(_estimated, GAE_SLIPS))
_ENDED = tuple(_estimated(s) for s in GAE_SLIPS if s not in ("cut is end", "lam on after", "last value"))
_CUT = tuple(
    _estimated(s)
    for s in GAE_SLIPS
    if s not in ("end is cut", "gamma lost", "gamma in delta only", "gamma in carry only")
)

# ------------------------------------------------------------------------------------------------ 2: the clipped loss


def _policies(draw: Draw) -> tuple:
    """Ratios from far below 1 to far above; noise outside of the replies."""
    B, T = 3 + draw.integer(0, 2), 8 + draw.integer(0, 3)
    mask = _replies(draw, B, T)
    old = -draw.uniform(B, T, low=0.2, high=3.0)
    logprobs = old + draw.uniform(B, T, low=-0.6, high=0.6)
    return logprobs, old, mask, draw.choice([0.1, 0.2, 0.3])


def mixed_advantages(draw: Draw) -> tuple:
    """The first tokens have both signs with a ratio far above and far below 1: all four ways to be clipped or not."""
    logprobs, old, mask, clip = _policies(draw)
    advantages = draw.normal(*old.shape, scale=1.5)
    rows, places = (index[:4] for index in mask.nonzero(as_tuple=True))
    advantages[rows, places] = torch.tensor([1.0, -1.0, 1.0, -1.0]) * (advantages[rows, places].abs() + 0.3)
    logprobs[rows, places] = old[rows, places] + torch.tensor([0.5, 0.5, -0.5, -0.5])
    return logprobs, old, advantages, mask, clip


def negative_advantages(draw: Draw) -> tuple:
    logprobs, old, mask, clip = _policies(draw)
    return logprobs, old, -draw.uniform(*old.shape, low=0.3, high=2.0), mask, clip


def nothing_moved_yet(draw: Draw) -> tuple:
    """The first step of an update: every ratio is 1."""
    _, old, mask, clip = _policies(draw)
    return old.clone(), old, draw.normal(*old.shape), mask, clip


def run_policy_loss(student, logprobs, old_logprobs, advantages, mask, clip):
    """Recipe: the loss and its gradient by the new log-probabilities."""
    new = logprobs.clone().requires_grad_()
    loss = student(new, old_logprobs.clone(), advantages.clone(), mask.clone(), clip)
    loss.backward()
    return {"loss": loss.item(), "gradient": torch.zeros_like(new) if new.grad is None else new.grad}


def _without_gradient(value, *inputs) -> bool:
    return isinstance(value, dict) and not value["gradient"].any()


def ppo_loss(logprobs, old_logprobs, advantages, mask, clip, slip=""):
    """The clipped loss, or that of a slip."""
    ratio = (logprobs - old_logprobs).exp()
    if slip == "log ratio":
        ratio = logprobs - old_logprobs
    elif slip == "inverted":
        ratio = (old_logprobs - logprobs).exp()
    elif slip == "old forgotten":
        ratio = logprobs.exp()
    clamped = ratio.clamp(1 - clip, 1 + clip)
    if slip == "clamped to clip":
        clamped = ratio.clamp(-clip, clip)
    elif slip == "down to the inverse":
        clamped = ratio.clamp(1 / (1 + clip), 1 + clip)
    if slip == "standardised":
        kept = advantages[mask]
        advantages = (advantages - kept.mean()) / (kept.std() + 1e-8)
    free, near = ratio * advantages, clamped * advantages
    gain = torch.minimum(free, near)
    if slip == "max":
        gain = torch.maximum(free, near)
    elif slip == "min of ratios":
        gain = torch.minimum(ratio, clamped) * advantages
    elif slip == "never clipped":
        gain = free
    elif slip == "always clipped":
        gain = near
    elif slip == "bad ones free":
        gain = torch.where(advantages < 0, free, gain)
    elif slip == "bad ones clipped":
        gain = torch.where(advantages < 0, near, gain)
    elif slip == "no ratio":
        gain = logprobs * advantages
    elif slip == "gain clamped":
        gain = torch.minimum(free, free.clamp(1 - clip, 1 + clip))
    elif slip == "inside only":
        mask = mask & ((ratio - 1).abs() <= clip)
        gain = free
    elif slip == "whole replies":
        ratio = ((logprobs - old_logprobs) * mask).sum(1).exp()
        each = (advantages * mask).sum(1) / mask.sum(1)
        return -torch.minimum(ratio * each, ratio.clamp(1 - clip, 1 + clip) * each).mean()
    if slip == "rewarded":
        return (gain * mask).sum() / mask.sum()
    if slip == "all places":
        return -gain.mean()
    if slip == "masked, all places":
        return -(gain * mask).mean()
    if slip == "sum":
        return -(gain * mask).sum()
    if slip == "rows":
        return -(gain * mask).sum() / len(mask)
    if slip == "mean of means":
        return -((gain * mask).sum(1) / mask.sum(1)).mean()
    return -(gain * mask).sum() / mask.sum()


@functools.cache
def _clipped(slip: str):
    return lambda *inputs: run_policy_loss(functools.partial(ppo_loss, slip=slip), *inputs)


PPO_SLIPS = {
    "max": "the larger of the two counts here: take the min of ratio * A and clamped * A. With max a token of negative advantage that has become likelier gets no gradient to make it less likely again",
    "min of ratios": "the min is taken of the ratios, before the advantage is multiplied: at a negative advantage that turns it into a max. Multiply first",
    "never clipped": "is clip used?",
    "always clipped": "that is the clamped ratio alone: where it takes effect there is no gradient, also where the policy went the wrong way. Take the min with the ratio left alone",
    "bad ones free": "at negative advantages nothing is clipped: clamp on both sides, for there a ratio below 1 - clip must stop",
    "bad ones clipped": "at negative advantages the clamped ratio stands alone: one above 1 + clip then has no gradient, and the token stays likely. Take the min there too",
    "clamped to clip": "the ratio stays near 1, not near 0: from 1 - clip to 1 + clip",
    "down to the inverse": "the lower bound is 1 - clip",
    "gain clamped": "the ratio is clamped, and the advantage multiplied afterwards: here their product is clamped",
    "inside only": "tokens whose ratio is outside of the clip are left out: they count, clamped or not, and so do they in N",
    "whole replies": "every token has a ratio and an advantage of its own: here whole replies have one",
    "standardised": "the advantages are taken as they are given: here they are brought to mean 0 and deviation 1 once more",
    "log ratio": "that is the log of the ratio: exp",
    "inverted": "the ratio is upside down: the new policy over the old one",
    "old forgotten": "is old_logprobs used? The ratio is to the policy that wrote the replies",
    "no ratio": "that is the plain policy gradient, A log p: PPO has the ratio in place of log p, and clips it",
    "rewarded": "that is the objective, to be made large: a loss is made small",
    "all places": "the mean goes over all places: prompts and padding are no actions",
    "masked, all places": "divided by all places: divide by the number of marked tokens",
    "sum": "that is the sum: take the mean over the marked tokens",
    "rows": "divided by the number of replies: divide by the number of marked tokens",
    "mean of means": "the mean of the replies' means: a token of a long reply counts less than one of a short reply. Take one mean over all marked tokens",
}
_MIXED_SIGNS = tuple(_clipped(s) for s in PPO_SLIPS)
_NEGATIVE = tuple(_clipped(s) for s in PPO_SLIPS if s != "min of ratios")
_UNMOVED = tuple(
    map(
        _clipped,
        ("rewarded", "all places", "masked, all places", "sum", "rows", "mean of means", "log ratio", "standardised"),
    )
)

# ------------------------------------------------------------------------------- 3: rewards with a price for distance


def _three_models(draw: Draw, B: int, T: int) -> dict:
    reference = -draw.uniform(B, T, low=0.5, high=3.0)
    previous = reference + draw.normal(B, T, scale=0.5)
    return {"policy": previous + draw.normal(B, T, scale=0.2), "previous": previous, "reference": reference}


def scored_replies(draw: Draw) -> tuple:
    B, T = 3 + draw.integer(0, 2), 8 + draw.integer(0, 3)
    return draw.normal(B), _three_models(draw, B, T), _replies(draw, B, T), draw.choice([0.05, 0.1, 0.2])


def first_update(draw: Draw) -> tuple:
    """Policy and reference are still the same model."""
    scores, logprobs, mask, kl_coef = scored_replies(draw)
    reference = logprobs["reference"]
    return scores, {"policy": reference.clone(), "previous": reference.clone(), "reference": reference}, mask, kl_coef


def run_rewards(student, scores, logprobs, mask, kl_coef):
    """Recipe: a reward for each token."""
    given = {name: tensor.clone() for name, tensor in logprobs.items()}
    return torch.as_tensor(student(scores.clone(), given, mask.clone(), kl_coef)).detach()


def token_rewards(scores, logprobs, mask, kl_coef, slip=""):
    """(B, T), or what a slip gives."""
    anchor = logprobs["previous" if slip == "previous" else "reference"]
    policy = logprobs["previous" if slip == "previous policy" else "policy"]
    d = policy - anchor
    if slip == "probabilities":
        d = policy.exp() - anchor.exp()
    elif slip == "k3":
        d = (-d).exp() - 1 + d
    elif slip == "k2":
        d = d.square() / 2
    elif slip == "absolute":
        d = d.abs()
    elif slip == "bonus":
        d = -d
    elif slip == "no price":
        d = torch.zeros_like(d)
    elif slip == "never cheaper":
        d = d.clamp(min=0)
    elif slip == "weighted":
        d = policy.exp() * d
    elif slip == "added up":
        d = (d * mask).cumsum(1)
    rewards = -(1.0 if slip == "no coefficient" else kl_coef) * d
    if slip == "price on replies' mean":
        rewards = (rewards * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True) * mask
    if slip != "outside too":
        rewards = rewards * mask
    B, T = mask.shape
    first = mask.int().argmax(1)
    n = mask.sum(1)
    last = first + n - 1
    rows = torch.arange(B)
    if slip == "price at the end":
        total = rewards.sum(1)
        rewards = torch.zeros_like(rewards)
        rewards[rows, last] = total
    if slip == "no score":
        return rewards
    if slip == "everywhere":
        return rewards + scores[:, None] * mask
    if slip == "score instead":
        rewards[rows, last] = scores
        return rewards
    if slip == "padding too":
        return rewards + scores[:, None] * (torch.arange(T) >= last[:, None])
    if slip == "shared out":
        return rewards + scores[:, None] * mask / n[:, None]
    place = {
        "last column": torch.full_like(last, T - 1),
        "longest": torch.full_like(last, int(n.max()) - 1),
        "counted": n - 1,
        "one too late": (last + 1).clamp(max=T - 1),
        "at the first": first,
    }.get(slip, last)
    rewards[rows, place] += scores
    return rewards


@functools.cache
def _rewarded(slip: str):
    return lambda *inputs: run_rewards(functools.partial(token_rewards, slip=slip), *inputs)


REWARD_SLIPS = {
    "previous": "the price is for the distance to the policy of the update before: it follows the policy wherever it goes, and holds nothing back. Take the reference, which is frozen",
    "previous policy": "the replies were written by the policy as it is now: logprobs['policy']",
    "no price": "is kl_coef used? Every token costs kl_coef times its log-ratio to the reference",
    "bonus": "the sign: distance from the reference is paid for, not rewarded. A token that the policy finds likelier than the reference does costs",
    "no coefficient": "is kl_coef used?",
    "probabilities": "the price is the difference of *log*-probabilities, not of probabilities",
    "k3": "that is k3: the price is the log-ratio itself, k1, and may be negative",
    "k2": "that is half the square, k2: the price is the log-ratio itself, and may be negative",
    "absolute": "a token may also be cheaper than nothing: the log-ratio itself, not its absolute value",
    "never cheaper": "a token may also be cheaper than nothing: the log-ratio itself, without a bound at 0",
    "weighted": "the tokens were drawn from the policy: that weighs them already. The price is the log-ratio alone",
    "added up": "the prices are added up along the reply: every token pays its own once, and gae does the adding up",
    "price at the end": "the whole price falls due at the last token: every token pays its own, so that credit goes where distance arises",
    "price on replies' mean": "the price of a reply is shared out evenly: every token pays its own",
    "outside too": "outside of mask rewards are 0: prompts and padding are no actions",
    "no score": "where is the score? It comes at the last token of the reply",
    "everywhere": "every token gets the score: it comes once, at the last token of the reply",
    "shared out": "the score is shared out over the tokens: it comes at the last one, and gae brings it to the others",
    "score instead": "at the last token the score replaces the price: it is added to it",
    "last column": "the score stands in the last column of the row, where most replies have padding: put it at the last marked token",
    "longest": "the score stands in one column for all replies: each has a last token of its own",
    "padding too": "the score stands at the padding as well: once, at the last marked token",
    "counted": "mask.sum(1) - 1 is the place of the last token only if no prompt stands before the reply",
    "one too late": "the score comes one place too late: at the last marked token, not behind it",
    "at the first": "the score comes at the last token of the reply, not at its first",
}
_SCORED = tuple(map(_rewarded, REWARD_SLIPS))
_FIRST = tuple(
    map(
        _rewarded,
        (
            "no score",
            "everywhere",
            "shared out",
            "last column",
            "longest",
            "padding too",
            "counted",
            "one too late",
            "at the first",
        ),
    )
)

# --------------------------------------------------------------------------------------------- 4: two estimators


def moved_policy(draw: Draw) -> tuple:
    B, T = 3 + draw.integer(0, 2), 8 + draw.integer(0, 3)
    reference = -draw.uniform(B, T, low=0.5, high=3.0)
    return reference + draw.normal(B, T, scale=0.6), reference, _replies(draw, B, T)


def one_reply(draw: Draw) -> tuple:
    logprobs, reference, mask = moved_policy(draw)
    return logprobs[:1], reference[:1], mask[:1]


def run_kl(student, logprobs, ref_logprobs, mask):
    """Recipe: two numbers."""
    found = student(logprobs.clone(), ref_logprobs.clone(), mask.clone())
    return {kind: float(found[kind]) for kind in ("k1", "k3")}


def kl_nats(logprobs, ref_logprobs, mask, slip=""):
    """k1 and k3 in nats a reply, or those of a slip."""
    d = (logprobs - ref_logprobs).double()
    if slip == "turned round":
        d = -d
    elif slip == "probabilities":
        d = (logprobs.exp() - ref_logprobs.exp()).double()
    elif slip == "never below 0":
        d = d.clamp(min=0)
    first, third = d, (-d).exp() - 1 + d
    if slip == "k3 turned round":
        third = d.exp() - 1 - d
    elif slip == "k3 for importance":
        third = d.exp() - 1 + d
    elif slip == "one missing":
        third = (-d).exp() + d
    elif slip == "k2":
        third = d.square() / 2
    elif slip == "absolute":
        first = d.abs()
    elif slip == "exchanged":
        first, third = third, first
    if slip == "of whole replies":
        D = (d * mask).sum(1)
        return {"k1": D.mean().item(), "k3": ((-D).exp() - 1 + D).mean().item()}
    if slip == "everywhere":
        mask = torch.ones_like(mask)
    elif slip == "weighted":  # by the policy's probability, as in a sum over the vocabulary
        first, third = first * logprobs.exp(), third * logprobs.exp()

    def mean(values):
        total = values * mask
        if slip == "a token":
            return (total.sum() / mask.sum()).item()
        if slip == "mean of means":
            return (total.sum(1) / mask.sum(1)).mean().item()
        if slip == "sum":
            return total.sum().item()
        if slip == "all places":
            return total.mean().item()
        if slip == "in bits":
            return total.sum(1).mean().item() / 0.6931471805599453
        return total.sum(1).mean().item()

    return {"k1": mean(first), "k3": mean(third)}


@functools.cache
def _diverged(slip: str):
    return lambda *inputs: run_kl(functools.partial(kl_nats, slip=slip), *inputs)


KL_SLIPS = {
    "turned round": "d is log pi - log pi_ref: the policy wrote the replies, so it comes first. You have it the other way round",
    "k3 turned round": "k3 has exp(-d), the reference over the policy: with exp(d) its mean is not the divergence, for the policy wrote the tokens",
    "k3 for importance": "k3 = exp(-d) - 1 + d, with the reference over the policy in the exp",
    "one missing": "k3 has a -1: without it, it is not 0 where both agree",
    "k2": "that is k2, half the square, which is biased: k3 = exp(-d) - 1 + d",
    "absolute": "k1 is d itself: it may be negative, and has to be for its mean to be right",
    "exchanged": "k1 and k3 are exchanged: k1 is d",
    "never below 0": "d may be negative, and has to be for the means to be right",
    "probabilities": "d is a difference of *log*-probabilities",
    "of whole replies": "k3 is taken of whole replies here: take it token by token, then add up. exp of a sum is dominated by a few replies",
    "everywhere": "prompts and padding are counted: the mask",
    "weighted": "the tokens were drawn from the policy: that weighs them already. Do not weigh them by their probability again",
    "a token": "that is nats a token: nats a reply are asked for, so add up over a reply",
    "mean of means": "that is the mean of the replies' means: add up over a reply, then take the mean over replies",
    "sum": "that is the sum over all replies: the mean over replies",
    "all places": "divided by all places: add up over a reply, then take the mean over replies",
    "in bits": "that is in bits: natural logarithms, nats",
}
_MOVED = tuple(map(_diverged, KL_SLIPS))
_ONE_MOVED = tuple(_diverged(s) for s in KL_SLIPS if s != "sum")
_IN_NATS = Tolerance(rtol=1e-3, atol=1e-4)  # k3 in single precision
_ONE_MOVED = tuple(_diverged(s) for s in KL_SLIPS if s != "sum")
_IN_NATS = Tolerance(rtol=1e-3, atol=1e-4)  # k3 in single precision
_ONE_MOVED = tuple(_diverged(s) for s in KL_SLIPS if s != "sum")
_IN_NATS = Tolerance(rtol=1e-3, atol=1e-4)  # k3 in single precision

# ------------------------------------------------------------------------------------------------------ 5: DPO


def _pairs(draw: Draw, far: bool) -> tuple:
    """Chosen and rejected replies of unequal length; noise outside."""
    B, T = 2 + draw.integer(0, 3), 8 + draw.integer(0, 3)
    mask = torch.stack([_replies(draw, B, T), _replies(draw, B, T)])
    reference = -draw.uniform(2, B, T, low=0.5, high=3.0)
    policy = reference + draw.normal(2, B, T, scale=0.7)
    if far:  # the policy has run off, some of it the wrong way
        policy = reference + draw.normal(2, B, T, scale=0.7) + torch.tensor([-80.0, 80.0])[:, None, None]
        return policy, reference, mask, 1.0
    return policy, reference, mask, draw.choice([0.1, 0.3, 0.5])


def pairs_of_replies(draw: Draw) -> tuple:
    return _pairs(draw, False)


def pairs_far_apart(draw: Draw) -> tuple:
    return _pairs(draw, True)


def run_dpo(student, policy, reference, mask, beta):
    """Recipe: the loss and its gradient by the policy's log-probabilities."""
    new = policy.clone().requires_grad_()
    loss = student(new, reference.clone(), mask.clone(), beta)
    loss.backward()
    return {"loss": loss.item(), "gradient": torch.zeros_like(new) if new.grad is None else new.grad}


def dpo_loss(policy, reference, mask, beta, slip=""):
    """The loss, or that of a slip."""
    marked = {"everywhere": torch.ones_like(mask), "one mask": mask[:1].expand_as(mask)}.get(slip, mask)
    if slip == "token by token":
        h = ((policy - reference) * mask)[0] - ((policy - reference) * mask)[1]
        return -F.logsigmoid(beta * h).sum(-1).mean()
    if slip == "probabilities":
        policy, reference = policy.exp(), reference.exp()
    policy, reference = (policy * marked).sum(-1), (reference * marked).sum(-1)
    if slip == "mean":
        policy, reference = policy / mask.sum(-1), reference / mask.sum(-1)
    elif slip == "mean over the row":
        policy, reference = policy / mask.size(-1), reference / mask.size(-1)
    elif slip == "over all tokens":
        policy, reference = policy / mask.sum(), reference / mask.sum()
    gained = policy if slip == "no reference" else policy - reference
    h = gained[0] - gained[1]
    if slip == "swapped":
        h = -h
    elif slip == "chosen only":
        h = gained[0]
    elif slip == "added":
        h = gained[0] + gained[1]
    if slip == "each alone":
        return -(F.logsigmoid(beta * gained[0]) + F.logsigmoid(-beta * gained[1])).mean()
    if slip == "hinge":
        return torch.relu(1 - beta * h).mean()
    if slip == "beta outside":
        return -beta * F.logsigmoid(h).mean()
    if slip == "no beta":
        beta = 1.0
    elif slip == "over beta":
        beta = 1 / beta
    if slip == "no log":
        return -torch.sigmoid(beta * h).mean()
    if slip == "no sigmoid":
        return -(beta * h).mean()
    if slip == "sum over pairs":
        return -F.logsigmoid(beta * h).sum()
    if slip == "positive":
        return F.logsigmoid(beta * h).mean()
    if slip == "of the mean":
        return -F.logsigmoid(beta * h.mean())
    if slip == "ipo":
        return (h - 1 / (2 * beta)).square().mean()
    return -F.logsigmoid(beta * h).mean()


@functools.cache
def _preferred(slip: str):
    return lambda *inputs: run_dpo(functools.partial(dpo_loss, slip=slip), *inputs)


DPO_SLIPS = {
    "mean": "the log-probability of a reply is the *sum* of those of its tokens: here it is their mean, which compares other things in replies of different lengths, and shrinks the margin",
    "mean over the row": "the log-probability of a reply is the *sum* of those of its tokens: here it is divided by the length of the row",
    "over all tokens": "the log-probability of a reply is the *sum* of those of its tokens: here it is divided by the number of all tokens",
    "everywhere": "prompts and padding are counted: the mask",
    "one mask": "chosen and rejected replies have a mask each, for they have tokens at different places",
    "token by token": "h is one number for a pair: add up over the tokens first, then -log sigmoid",
    "probabilities": "log-probabilities are added up, not probabilities",
    "each alone": "chosen and rejected are judged each alone: the loss is one -log sigmoid of their difference h",
    "hinge": "that is a hinge loss: DPO has -log sigmoid(beta h)",
    "no reference": "is the reference used? What counts is how much likelier than under the reference each reply has become",
    "swapped": "chosen and rejected are exchanged: chosen comes first, and its log-ratio should grow",
    "chosen only": "the rejected replies count as well: h is a difference",
    "added": "h is the chosen reply's log-ratio *minus* the rejected one's",
    "beta outside": "beta multiplies h, inside of the sigmoid, not the loss",
    "no beta": "is beta used?",
    "over beta": "h is multiplied by beta, not divided",
    "no log": "the loss is -log sigmoid, not -sigmoid",
    "no sigmoid": "the loss is -log sigmoid(beta h): without it, pairs that are right already pull on for ever",
    "sum over pairs": "that is the sum over pairs: the mean",
    "positive": "the sign: a loss is -log sigmoid",
    "of the mean": "the mean of h is taken before the sigmoid: every pair has its own loss, then the mean",
    "ipo": "that is IPO's squared loss: DPO has -log sigmoid(beta h)",
}
_PREFERENCES = tuple(map(_preferred, DPO_SLIPS))


def _overflows(policy, reference, mask, beta):
    """-log(sigmoid(beta h)) in single precision, as it is written down."""

    def naive(policy, reference, mask, beta):
        gained = ((policy - reference) * mask).sum(-1)
        return -torch.sigmoid(beta * (gained[0] - gained[1])).log().mean()

    return run_dpo(naive, policy, reference, mask, beta)


def _bounded(value, policy, reference, mask, beta) -> bool:
    """A loss of a pair far apart that something holds below 50."""
    right = dpo_loss(policy, reference, mask, beta).item()
    return isinstance(value, dict) and right > 100 and 0 < value["loss"] < 50


# --------------------------------------------------------------------------------- 6: a test of estimators of advantages

MOST, LONGEST = 10, 8


def one_reply_of_numbers(rewards: object, values: object, ended: object, after: object) -> str | None:
    if not isinstance(rewards, list) or not isinstance(values, list) or not 1 <= len(rewards) == len(values) <= LONGEST:
        return f"rewards and values are lists of 1 to {LONGEST} numbers, as many each"
    if any(type(x) not in (int, float) or not abs(x) <= MOST for x in [*rewards, *values, after]):
        return f"rewards, values and after are numbers from -{MOST} to {MOST}"
    if type(ended) is not bool:
        return "ended is True or False"
    return None


def _deltas(rewards, values, behind):
    return [r + v - u for r, v, u in zip(rewards, [*values[1:], behind], values)]


def _weighted(deltas, lam):
    """A_t = delta_t + lam A_{t+1}."""
    out, running = [], 0.0
    for delta in reversed(deltas):
        running = delta + lam * running
        out.append(running)
    return out[::-1]


def estimates_as_usual(rewards, values, ended, after):
    return _weighted(_deltas(rewards, values, 0.0 if ended else after), 0.95)


def estimates_one_step(rewards, values, ended, after):
    return [float(d) for d in _deltas(rewards, values, 0.0 if ended else after)]


def estimates_whole_returns(rewards, values, ended, after):
    """What was received from here on, and what is still expected, less what was expected: lambda is 1."""
    behind = 0.0 if ended else after
    return [float(sum(rewards[t:]) + behind - values[t]) for t in range(len(rewards))]


def estimates_by_definition(rewards, values, ended, after):
    """The double sum, lambda 1/2."""
    deltas = _deltas(rewards, values, 0.0 if ended else after)
    return [sum(0.5**k * d for k, d in enumerate(deltas[t:])) for t in range(len(deltas))]


def takes_cut_for_end(rewards, values, ended, after):
    return _weighted(_deltas(rewards, values, 0.0), 0.95)


def takes_end_for_cut(rewards, values, ended, after):
    return _weighted(_deltas(rewards, values, after), 0.95)


def looks_back(rewards, values, ended, after):
    return _weighted(_deltas(rewards, values, 0.0 if ended else after)[::-1], 0.95)[::-1]


def gives_returns(rewards, values, ended, after):
    return [a + v for a, v in zip(estimates_as_usual(rewards, values, ended, after), values)]


def takes_the_mean_off(rewards, values, ended, after):
    found = estimates_as_usual(rewards, values, ended, after)
    return [a - sum(found) / len(found) for a in found]


def rewards_at_the_end_only(rewards, values, ended, after):
    """The last reward counts, the prices of the tokens before do not."""
    return estimates_as_usual([0.0] * (len(rewards) - 1) + rewards[-1:], values, ended, after)


# ------------------------------------------------------------------------------------------------------- 7: a wrong run

BASELINE = 1.20  # gold reward of `ppo()` of the notebook on the requests of the challenge

FAULTS = {
    "A": "nothing is paid for distance",
    "B": "the price is for the distance to the policy of the update before",
    "C": "the loss has max in place of min",
    "D": "the sign of the advantages is wrong",
    "E": "the score stands in the last column of the batch",
    "F": "the learning rate is 20 times too low",
    "G": "the reward model reads the replies without their requests",
    "H": "a reply may have 20 tokens",
    "I": "replies are sampled at temperature 0.5, and their probabilities read at 1",
}
RUNS = ("b2", "d7", "f4", "h9", "m1", "p6", "s3", "w5", "y0")
OBSERVATIONS = {
    "a": "the program sees a distance of less than 1 nat in the last 5 updates",
    "b": "the distance from the fine-tuned model is above 8 nats",
    "c": "the program sees a distance of more than 5 nats in the last 5 updates",
    "d": "the reward is lower in the last 5 updates than in the first 5",
    "e": "the scores among the rewards of the tokens are below 0.1",
    "f": "fewer than 2 % of the ratios are clipped",
    "g": "fewer than 60 % of the replies end in the last 5 updates",
    "h": "the largest ratio of an update is above 30 on average",
    "i": "at least 47 % of the requests are solved",
    "j": "the reward of the last 5 updates is more than 0.5 above the proxy reward",
    "k": "the reward of the first 5 updates is at least 0.1 above that of the correct run",
    "l": "a reply has fewer than 20 words",
    "m": "the reward of the first 5 updates is at least 0.2 below that of the correct run",
}


LAB = Lab(
    id="lab13",
    title="PPO and its rivals",
    provides=("llmlib.data", "llmlib.text"),
    questions=(
        Question(
            id="lab13.q1",
            title="Advantages",
            name="gae",
            points=3,
            difficulty=3,
            minutes=18,
            printed=True,
            recipe=run_gae,
            hint="take one reply and go from its last token to its first: delta, then the advantage, by hand",
            cases=(
                Case("some replies were cut off", inputs=some_cut_off, expected=_estimated(""), separates=_MIXED),
                Case("all replies ended", inputs=all_ended, expected=_estimated(""), separates=_ENDED),
                Case("all were cut off", inputs=all_cut_off, expected=_estimated(""), separates=_CUT),
            ),
            mistakes=(
                *(Mistake(message, wrong=_estimated(slip)) for slip, message in GAE_SLIPS.items()),
                Mistake(
                    "the last token of a row has no next column: what follows a reply is 0 or `after`",
                    error="IndexError: index \\d+ is out of bounds",
                ),
            ),
        ),
        Question(
            id="lab13.q2",
            title="The clipped loss",
            name="ppo_loss",
            points=3,
            difficulty=2,
            minutes=15,
            printed=True,
            recipe=run_policy_loss,
            hint="take one token with a negative advantage and a ratio of 1.5, and one with 0.5: which of the two products is smaller, and where does its gradient point?",
            cases=(
                Case(
                    "advantages of both signs",
                    inputs=mixed_advantages,
                    expected=_clipped(""),
                    separates=_MIXED_SIGNS,
                ),
                Case(
                    "negative advantages only",
                    inputs=negative_advantages,
                    expected=_clipped(""),
                    separates=_NEGATIVE,
                ),
                Case("nothing has moved yet", inputs=nothing_moved_yet, expected=_clipped(""), separates=_UNMOVED),
            ),
            mistakes=(
                *(Mistake(message, wrong=_clipped(slip)) for slip, message in PPO_SLIPS.items()),
                Mistake(
                    "no gradient reaches logprobs: something in the loss is detached or copied", when=_without_gradient
                ),
                Mistake(
                    "the loss is cut off from logprobs (.item(), .detach(), torch.tensor)",
                    error="does not require grad|has no attribute 'backward'|has no attribute 'item'",
                ),
            ),
        ),
        Question(
            id="lab13.q3",
            title="A price for distance",
            name="token_rewards",
            points=3,
            difficulty=3,
            minutes=15,
            recipe=run_rewards,
            hint="at each token of a reply -kl_coef (log pi - log pi_ref), at its last token the score besides, 0 elsewhere",
            cases=(
                Case("three models", inputs=scored_replies, expected=_rewarded(""), separates=_SCORED),
                Case("before the first update", inputs=first_update, expected=_rewarded(""), separates=_FIRST),
            ),
            mistakes=tuple(Mistake(message, wrong=_rewarded(slip)) for slip, message in REWARD_SLIPS.items()),
        ),
        Question(
            id="lab13.q4",
            title="How far has it moved?",
            name="kl_nats",
            points=2,
            difficulty=2,
            minutes=10,
            recipe=run_kl,
            hint="d at the marked tokens; k1 and k3 of each; added up over a reply; the mean over replies",
            tolerance=_IN_NATS,
            cases=(
                Case("several replies", inputs=moved_policy, expected=_diverged(""), separates=_MOVED),
                Case("one reply", inputs=one_reply, expected=_diverged(""), separates=_ONE_MOVED),
            ),
            mistakes=(
                *(Mistake(message, wrong=_diverged(slip)) for slip, message in KL_SLIPS.items()),
                Mistake(
                    'return a dict with the keys "k1" and "k3"', error="KeyError|not subscriptable|indices must be"
                ),
                Mistake(
                    "two numbers: one for all replies together",
                    error="can be converted to (Scalar|Python scalars)|only one element tensors|size-1 arrays",
                ),
            ),
        ),
        Question(
            id="lab13.q5",
            title="Without a reward model",
            name="dpo_loss",
            points=3,
            difficulty=2,
            minutes=12,
            printed=True,
            recipe=run_dpo,
            hint="four sums of log-probabilities for each pair, over its marked tokens; h from them; then the mean of -log sigmoid(beta h)",
            cases=(
                Case(
                    "pairs of unequal length", inputs=pairs_of_replies, expected=_preferred(""), separates=_PREFERENCES
                ),
                Case("pairs far apart", inputs=pairs_far_apart, expected=_preferred(""), separates=(_overflows,)),
            ),
            mistakes=(
                *(Mistake(message, wrong=_preferred(slip)) for slip, message in DPO_SLIPS.items()),
                Mistake(
                    "infinite: sigmoid of a number far below 0 is 0 in single precision, and its log -inf. Use F.logsigmoid",
                    when=lambda value, *inputs: (
                        isinstance(value, dict) and value["loss"] in (float("inf"), -float("inf"))
                    ),
                ),
                Mistake(
                    "the loss stays small where it should grow with beta h: a small number inside of the log, or a bound, takes the gradient away where it is needed most. Use F.logsigmoid",
                    when=_bounded,
                ),
                Mistake(
                    "no gradient reaches policy: something in the loss is detached or copied", when=_without_gradient
                ),
                Mistake(
                    "the loss is cut off from policy (.item(), .detach(), torch.tensor)",
                    error="does not require grad|has no attribute 'backward'|has no attribute 'item'",
                ),
            ),
        ),
        Question(
            id="lab13.q6",
            title="Test somebody else's advantages",
            name="holds",
            kind="test",
            examples="examples",
            points=4,
            difficulty=4,
            minutes=22,
            valid=one_reply_of_numbers,
            right=(
                Subject("lambda is 0.95", estimates_as_usual),
                Subject("lambda is 0: one step", estimates_one_step),
                Subject("lambda is 1: what was received, less what was expected", estimates_whole_returns),
                Subject("lambda is 0.5, as a double sum", estimates_by_definition),
            ),
            wrong=(
                Subject("treats a reply that was cut off as if it had ended", takes_cut_for_end),
                Subject("goes on from `after` although the reply ended", takes_end_for_cut),
                Subject("looks back instead of ahead", looks_back),
                Subject("gives the returns, advantage plus value", gives_returns),
                Subject("takes the mean of a reply's advantages off", takes_the_mean_off),
                Subject("forgets the rewards of all tokens but the last", rewards_at_the_end_only),
            ),
        ),
        Question(
            id="lab13.q7",
            title="A run that went wrong",
            name="diagnosis",
            kind="diagnosis",
            points=4,
            difficulty=4,
            minutes=22,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=RUNS,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab13.p1",
            "Gold reward with a price for distance minus without",
            name="predicted_difference",
            number=Number(-1.5, 1.5, unit="gold reward"),
        ),
        Ungraded("lab13.t1", "Your own plot, read", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab13.c1",
            "Highest gold reward after 45 s",
            name="best_reward",
            kind="challenge",
            number=Number(-5, 1.6, unit="gold reward"),
            baseline=BASELINE,
            better="higher",
            seconds=45,
        ),
    ),
)
