"""Lab 13, for staff: hidden cases, keys, mutants, rubrics."""

import torch

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab13 import (
    _clipped,
    _deltas,
    _diverged,
    _estimated,
    _preferred,
    _rewarded,
    _weighted,
    all_cut_off,
    all_ended,
    estimates_as_usual,
    first_update,
    mixed_advantages,
    moved_policy,
    negative_advantages,
    nothing_moved_yet,
    one_reply,
    pairs_far_apart,
    pairs_of_replies,
    scored_replies,
    some_cut_off,
)


def _behind(ended: bool, after: float) -> float:
    return 0.0 if ended else after


def looks_further_than_one(rewards, values, ended, after):
    return _weighted(_deltas(rewards, values, _behind(ended, after)), 1.1)


def changes_signs(rewards, values, ended, after):
    return _weighted(_deltas(rewards, values, _behind(ended, after)), -0.5)


def looks_ahead_one_token(rewards, values, ended, after):
    """The next delta counts, those behind it do not."""
    deltas = _deltas(rewards, values, _behind(ended, after))
    return [d + 0.9 * e for d, e in zip(deltas, [*deltas[1:], 0.0])]


def fades_along_the_reply(rewards, values, ended, after):
    """lambda is 1 at the end and less before."""
    out, running = [], 0.0
    for i, delta in enumerate(reversed(_deltas(rewards, values, _behind(ended, after)))):
        running = delta + 0.9**i * running
        out.append(running)
    return out[::-1]


def goes_on_from_the_last_value(rewards, values, ended, after):
    return _weighted(_deltas(rewards, values, _behind(ended, values[-1])), 0.95)


def weighs_what_comes_after(rewards, values, ended, after):
    return _weighted(_deltas(rewards, values, _behind(ended, 0.95 * after)), 0.95)


def discounts(rewards, values, ended, after):
    behind = [*values[1:], _behind(ended, after)]
    return _weighted([r + 0.9 * v - u for r, v, u in zip(rewards, behind, values)], 0.9)


def forgets_the_first_reward(rewards, values, ended, after):
    return estimates_as_usual([0.0, *rewards[1:]], values, ended, after)


def turns_the_sign(rewards, values, ended, after):
    return [-a for a in estimates_as_usual(rewards, values, ended, after)]


def brings_to_deviation_one(rewards, values, ended, after):
    found = estimates_as_usual(rewards, values, ended, after)
    size = (sum(a * a for a in found) / len(found)) ** 0.5
    return [a / (size or 1.0) for a in found]


def limits_advantages(rewards, values, ended, after):
    return [max(-2.0, min(2.0, a)) for a in estimates_as_usual(rewards, values, ended, after)]


def forgets_the_critic(rewards, values, ended, after):
    return estimates_as_usual(rewards, [0.0] * len(values), ended, after)


def one_advantage_for_all(rewards, values, ended, after):
    return [estimates_as_usual(rewards, values, ended, after)[0]] * len(rewards)


def stops_before_the_end(rewards, values, ended, after):
    """The last token has no advantage."""
    return [*estimates_as_usual(rewards, values, ended, after)[:-1], 0.0]


HIDDEN = {
    "lab13.q1": [
        Case("others, some cut off", inputs=some_cut_off, expected=_estimated("")),
        Case("others that ended", inputs=all_ended, expected=_estimated("")),
        Case("others cut off", inputs=all_cut_off, expected=_estimated("")),
        Case(
            "replies of one token, no prompt",
            inputs=lambda draw: (
                draw.normal(2, 3), draw.normal(2, 3), torch.tensor([[1, 0, 0], [1, 0, 0]]).bool(),
                torch.tensor([True, False]), draw.normal(2) + 3, 0.9, 0.95,
            ),
            expected=_estimated(""),
        ),
        Case(
            "a lambda of 0",
            inputs=lambda draw: (*some_cut_off(draw)[:-1], 0.0),
            expected=_estimated(""),
        ),
    ],
    "lab13.q2": [
        Case("others of both signs", inputs=mixed_advantages, expected=_clipped("")),
        Case("others, negative only", inputs=negative_advantages, expected=_clipped("")),
        Case("others that have not moved", inputs=nothing_moved_yet, expected=_clipped("")),
    ],
    "lab13.q3": [
        Case("three other models", inputs=scored_replies, expected=_rewarded("")),
        Case("before another first update", inputs=first_update, expected=_rewarded("")),
        Case(
            "no prompts, no price",
            inputs=lambda draw: (
                draw.normal(2),
                {name: -draw.uniform(2, 4) for name in ("policy", "previous", "reference")},
                torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]]).bool(),
                0.0,
            ),
            expected=_rewarded(""),
        ),
    ],
    "lab13.q4": [
        Case("other replies", inputs=moved_policy, expected=_diverged("")),
        Case("another reply", inputs=one_reply, expected=_diverged("")),
    ],
    "lab13.q5": [
        Case("other pairs", inputs=pairs_of_replies, expected=_preferred("")),
        Case("others far apart", inputs=pairs_far_apart, expected=_preferred("")),
    ],
    "lab13.q6": [
        Subject("uses a lambda above 1", looks_further_than_one),
        Subject("uses a lambda below 0", changes_signs),
        Subject("looks one token ahead and no further", looks_ahead_one_token),
        Subject("uses another lambda at each token", fades_along_the_reply),
        Subject("goes on from the last of values in place of after", goes_on_from_the_last_value),
        Subject("weighs after by lambda", weighs_what_comes_after),
        Subject("discounts", discounts),
        Subject("forgets the first reward", forgets_the_first_reward),
        Subject("has the wrong sign", turns_the_sign),
        Subject("scales the advantages of a reply", brings_to_deviation_one),
        Subject("limits advantages to 2", limits_advantages),
        Subject("forgets the critic", forgets_the_critic),
        Subject("gives every token the advantage of the first", one_advantage_for_all),
        Subject("gives the last token none", stops_before_the_end),
    ],
    "lab13.q7": [
        Key(
            runs=dict(zip(("b2", "d7", "f4", "h9", "m1", "p6", "s3", "w5", "y0"), "GCIAFHBDE", strict=True)),
            true={
                "A": "bci", "B": "abi", "C": "bcdegh", "D": "bcdegm", "E": "eilm", "F": "afim", "G": "bcjm",
                "H": "bgilm", "I": "bck", "correct": "ci",
            },
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab13_faults"
_FIRST, _LAST, _SEEN = "reward, first 5 updates", "reward, last 5 updates", "distance as the program sees it, last 5 updates"
OBSERVED = {
    "a": lambda t, correct: t[_SEEN] < 1,
    "b": lambda t, correct: t["distance from the fine-tuned model"] > 8,
    "c": lambda t, correct: t[_SEEN] > 5,
    "d": lambda t, correct: t[_LAST] < t[_FIRST],
    "e": lambda t, correct: t["scores among the rewards of the tokens, last 5 updates"] < 0.1,
    "f": lambda t, correct: t["ratios that are clipped, percent"] < 2,
    "g": lambda t, correct: t["replies that end, last 5 updates, percent"] < 60,
    "h": lambda t, correct: t["largest ratio of an update, mean"] > 30,
    "i": lambda t, correct: t["solved, percent"] >= 47,
    "j": lambda t, correct: t[_LAST] > t["proxy reward"] + 0.5,
    "k": lambda t, correct: t[_FIRST] >= correct[_FIRST] + 0.1,
    "l": lambda t, correct: t["words in a reply"] < 20,
    "m": lambda t, correct: t[_FIRST] <= correct[_FIRST] - 0.2,
}


def _gae(
    following: str = "torch.where(ended, torch.zeros_like(after), after)",
    delta: str = "rewards[:, t] + gamma * following - values[:, t]",
    carry: str = "gamma * lam",
    here: str = "mask[:, t]",
    next_value: str = "torch.where(here, values[:, t], following)",
    running: str = "torch.where(here, delta + carry * running, running)",
    order: str = "reversed(range(T))",
    out: str = "running * mask[:, t]",
    last: str = "advantages",
) -> str:
    return f"""def gae(rewards, values, mask, ended, after, gamma, lam):
    B, T = rewards.shape
    advantages, running, carry = torch.zeros_like(rewards), torch.zeros_like(after), {carry}
    following = {following}
    for t in {order}:
        here = {here}
        delta = {delta}
        running = {running}
        following = {next_value}
        advantages[:, t] = {out}
    return {last}
"""


def _ppo(
    ratio: str = "(logprobs - old_logprobs).exp()",
    clamped: str = "ratio.clamp(1 - clip, 1 + clip)",
    gain: str = "torch.minimum(ratio * advantages, clamped * advantages)",
    value: str = "-(gain * mask).sum() / mask.sum()",
) -> str:
    return f"""def ppo_loss(logprobs, old_logprobs, advantages, mask, clip):
    ratio = {ratio}
    clamped = {clamped}
    gain = {gain}
    return {value}
"""


def _rewards(
    d: str = "logprobs['policy'] - logprobs['reference']",
    price: str = "-kl_coef * d * mask",
    place: str = "mask.size(1) - 1 - mask.int().flip(1).argmax(1)",
    put: str = "rewards[torch.arange(len(scores)), place] += scores",
) -> str:
    return f"""def token_rewards(scores, logprobs, mask, kl_coef):
    d = {d}
    rewards = {price}
    place = {place}
    {put}
    return rewards
"""


def _kl(
    d: str = "logprobs - ref_logprobs",
    k1: str = "d",
    k3: str = "(-d).exp() - 1 + d",
    mean: str = "(k * mask).sum(1).mean().item()",
    found: str = '{"k1": mean(k1), "k3": mean(k3)}',
) -> str:
    return f"""def kl_nats(logprobs, ref_logprobs, mask):
    d = {d}
    k1 = {k1}
    k3 = {k3}
    mean = lambda k: {mean}
    return {found}
"""


def _dpo(
    whole: str = "((policy - reference) * mask).sum(-1)",
    h: str = "gained[0] - gained[1]",
    value: str = "-F.logsigmoid(beta * h).mean()",
) -> str:
    return f"""def dpo_loss(policy, reference, mask, beta):
    gained = {whole}
    h = {h}
    return {value}
"""


_EXAMPLES = """[(rewards[:n], values[:n], ended, after) for n in (1, 2, 3, 5) for ended in (True, False) for after in (4.0, -3.0)] \\
        + [([1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], True, 2.0), ([-2.0, -3.0, -1.0], [1.0, 2.0, 1.0], False, -1.0)]"""


def _test(
    examples: str = _EXAMPLES,
    behind: str = "0.0 if ended else after",
    last: str = "abs(carried[-1]) < 1e-6",
    least: str = "0.0",
    most: str = "1.0",
    verdict: str = "least <= most",
) -> str:
    return f"""def examples():
    rewards, values = [0.5, -1.0, 2.0, -0.25, 3.0], [1.0, 0.75, -2.0, 1.5, 0.5]
    return {examples}


def holds(inputs, output):
    rewards, values, ended, after = inputs
    behind = [*values[1:], {behind}]
    carried = [a - (r + v - u) for a, r, v, u in zip(output, rewards, behind, values)]
    if not {last}:
        return False
    least, most = {least}, {most}
    for now, following in zip(carried, output[1:]):
        if abs(following) < 1e-9:
            if abs(now) > 1e-6:
                return False
        else:
            least, most = max(least, now / following - 1e-6), min(most, now / following + 1e-6)
    return {verdict}
"""


MUTANTS = [
    Mutant("lab13.q1", "truncation as termination", _gae(following="torch.zeros_like(after)"), "were cut off are treated as if they had ended"),
    Mutant("lab13.q1", "termination as truncation", _gae(following="after"), "nothing follows their end"),
    Mutant("lab13.q1", "ended turned round", _gae(following="torch.where(ended, after, torch.zeros_like(after))"), "the other way round"),
    Mutant("lab13.q1", "the last value again", _gae(following="torch.where(ended, torch.zeros_like(after), values[torch.arange(B), T - 1 - mask.int().flip(1).argmax(1)])"), "once more"),
    Mutant("lab13.q1", "value read at the padding", _gae(delta="rewards[:, t] + gamma * (values[:, t + 1] if t + 1 < T else 0) - values[:, t]"), "you read values at the padding"),
    Mutant("lab13.q1", "one column too many", _gae(delta="rewards[:, t] + gamma * values[:, t + 1] - values[:, t]"), "has no next column"),
    Mutant("lab13.q1", "through the padding", _gae(here="torch.ones_like(ended)"), "run on through the padding"),
    Mutant("lab13.q1", "lambda lost", _gae(carry="gamma"), "is lam used"),
    Mutant("lab13.q1", "one step", _gae(carry="0.0"), "one-step errors"),
    Mutant("lab13.q1", "no gamma", _gae(delta="rewards[:, t] + following - values[:, t]", carry="lam"), "is gamma used"),
    Mutant("lab13.q1", "gamma in delta only", _gae(carry="lam"), "weighted by gamma as well as by lam"),
    Mutant("lab13.q1", "gamma in carry only", _gae(delta="rewards[:, t] + following - values[:, t]"), "in delta is weighted by gamma"),
    Mutant("lab13.q1", "after weighted by lambda", _gae(following="torch.where(ended, torch.zeros_like(after), lam * after)"), "not the value of what follows"),
    Mutant("lab13.q1", "value not shifted", _gae(delta="rewards[:, t] + gamma * values[:, t] - values[:, t]"), "with the value *after* it"),
    Mutant("lab13.q1", "from the front", _gae(following="torch.where(ended, torch.zeros_like(after), after)", order="range(T)", delta="rewards[:, t] + gamma * (torch.where(mask[:, t + 1], values[:, t + 1], behind) if t + 1 < T else behind) - values[:, t]", next_value="following").replace("    for t in", "    behind = following\n    for t in"), "run from the front"),
    Mutant("lab13.q1", "goes on into the prompt", _gae(out="running * (mask[:, t:].any(1))"), "go on into the prompt"),
    Mutant("lab13.q1", "returns", _gae(last="(advantages + values) * mask"), "advantage + value"),
    Mutant("lab13.q1", "sign", _gae(last="-advantages"), "better than expected has a positive"),
    Mutant("lab13.q1", "whitened", _gae(last="(advantages - advantages[mask].mean()) / advantages[mask].std(unbiased=False) * mask"), "brought to mean 0"),
    Mutant("lab13.q2", "max for min", _ppo(gain="torch.maximum(ratio * advantages, clamped * advantages)"), "take the min of ratio * A"),
    Mutant("lab13.q2", "min of ratios", _ppo(gain="torch.minimum(ratio, clamped) * advantages"), "Multiply first"),
    Mutant("lab13.q2", "not clipped", _ppo(gain="ratio * advantages"), "is clip used"),
    Mutant("lab13.q2", "clamped alone", _ppo(gain="clamped * advantages"), "the clamped ratio alone"),
    Mutant("lab13.q2", "negative ones free", _ppo(gain="torch.where(advantages < 0, ratio * advantages, torch.minimum(ratio * advantages, clamped * advantages))"), "at negative advantages nothing is clipped"),
    Mutant("lab13.q2", "negative ones clamped", _ppo(gain="torch.where(advantages < 0, clamped * advantages, torch.minimum(ratio * advantages, clamped * advantages))"), "the token stays likely"),
    Mutant("lab13.q2", "clamped above only", _ppo(clamped="ratio.clamp(max=1 + clip)"), "clamp on both sides, for there"),
    Mutant("lab13.q2", "near zero", _ppo(clamped="ratio.clamp(-clip, clip)"), "not near 0"),
    Mutant("lab13.q2", "1 / (1 + clip)", _ppo(clamped="ratio.clamp(1 / (1 + clip), 1 + clip)"), "the lower bound is 1 - clip"),
    Mutant("lab13.q2", "product clamped", _ppo(gain="torch.minimum(ratio * advantages, (ratio * advantages).clamp(1 - clip, 1 + clip))"), "their product is clamped"),
    Mutant("lab13.q2", "clipped tokens left out", _ppo(gain="ratio * advantages", value="-gain[mask & ((ratio - 1).abs() <= clip)].mean()"), "are left out"),
    Mutant("lab13.q2", "whole replies", _ppo(ratio="((logprobs - old_logprobs) * mask).sum(1).exp()", gain="torch.minimum(ratio * (advantages * mask).sum(1) / mask.sum(1), clamped * (advantages * mask).sum(1) / mask.sum(1))", value="-gain.mean()"), "whole replies have one"),
    Mutant("lab13.q2", "standardised again", _ppo(ratio="(logprobs - old_logprobs).exp(); advantages = (advantages - advantages[mask].mean()) / (advantages[mask].std() + 1e-8)"), "once more"),
    Mutant("lab13.q2", "log-ratio", _ppo(ratio="logprobs - old_logprobs"), "the log of the ratio"),
    Mutant("lab13.q2", "upside down", _ppo(ratio="(old_logprobs - logprobs).exp()"), "upside down"),
    Mutant("lab13.q2", "old forgotten", _ppo(ratio="logprobs.exp()"), "is old_logprobs used"),
    Mutant("lab13.q2", "plain policy gradient", _ppo(gain="logprobs * advantages"), "plain policy gradient"),
    Mutant("lab13.q2", "sign", _ppo(value="(gain * mask).sum() / mask.sum()"), "a loss is made small"),
    Mutant("lab13.q2", "all places", _ppo(value="-gain.mean()"), "are no actions"),
    Mutant("lab13.q2", "divided by all places", _ppo(value="-(gain * mask).mean()"), "divided by all places"),
    Mutant("lab13.q2", "sum", _ppo(value="-(gain * mask).sum()"), "that is the sum"),
    Mutant("lab13.q2", "by replies", _ppo(value="-(gain * mask).sum() / len(mask)"), "number of replies"),
    Mutant("lab13.q2", "mean of means", _ppo(value="-((gain * mask).sum(1) / mask.sum(1)).mean()"), "the replies' means"),
    Mutant("lab13.q2", "a number", _ppo(value="(-(gain * mask).sum() / mask.sum()).item()"), "cut off from logprobs"),
    Mutant("lab13.q3", "KL to the old policy", _rewards(d="logprobs['policy'] - logprobs['previous']"), "Take the reference, which is frozen"),
    Mutant("lab13.q3", "replies of the old policy", _rewards(d="logprobs['previous'] - logprobs['reference']"), "the policy as it is now"),
    Mutant("lab13.q3", "no price", _rewards(price="0 * d"), "costs kl_coef times its log-ratio"),
    Mutant("lab13.q3", "a bonus", _rewards(d="logprobs['reference'] - logprobs['policy']"), "not rewarded"),
    Mutant("lab13.q3", "no coefficient", _rewards(price="-d * mask"), "is kl_coef used?"),
    Mutant("lab13.q3", "probabilities", _rewards(d="logprobs['policy'].exp() - logprobs['reference'].exp()"), "not of probabilities"),
    Mutant("lab13.q3", "k3", _rewards(price="-kl_coef * ((-d).exp() - 1 + d) * mask"), "that is k3"),
    Mutant("lab13.q3", "k2", _rewards(price="-kl_coef * d ** 2 / 2 * mask"), "that is half the square"),
    Mutant("lab13.q3", "absolute", _rewards(price="-kl_coef * d.abs() * mask"), "not its absolute value"),
    Mutant("lab13.q3", "never cheaper", _rewards(price="-kl_coef * d.clamp(min=0) * mask"), "without a bound at 0"),
    Mutant("lab13.q3", "weighted", _rewards(d="logprobs['policy'].exp() * (logprobs['policy'] - logprobs['reference'])"), "weighs them already"),
    Mutant("lab13.q3", "added up", _rewards(price="-kl_coef * (d * mask).cumsum(1) * mask"), "added up along the reply"),
    Mutant("lab13.q3", "one column for all", _rewards(put="rewards[:, mask.sum(1).max() - 1] += scores"), "in one column for all"),
    Mutant("lab13.q3", "score at the padding", _rewards(put="rewards = rewards + scores[:, None] * (mask.cumsum(1) == mask.sum(1, keepdim=True))"), "at the padding as well"),
    Mutant("lab13.q3", "price at the end", _rewards(price="torch.zeros_like(d)", put="rewards[torch.arange(len(scores)), place] = scores - kl_coef * (d * mask).sum(1)"), "falls due at the last token"),
    Mutant("lab13.q3", "price shared out", _rewards(price="-kl_coef * (d * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True) * mask"), "is shared out evenly"),
    Mutant("lab13.q3", "outside too", _rewards(price="-kl_coef * d"), "outside of mask rewards are 0"),
    Mutant("lab13.q3", "no score", _rewards(put="pass"), "where is the score"),
    Mutant("lab13.q3", "score everywhere", _rewards(put="rewards = rewards + scores[:, None] * mask"), "every token gets the score"),
    Mutant("lab13.q3", "score shared out", _rewards(put="rewards = rewards + scores[:, None] * mask / mask.sum(1, keepdim=True)"), "the score is shared out"),
    Mutant("lab13.q3", "score instead", _rewards(put="rewards[torch.arange(len(scores)), place] = scores"), "replaces the price"),
    Mutant("lab13.q3", "last column", _rewards(put="rewards[:, -1] += scores"), "in the last column"),
    Mutant("lab13.q3", "counted", _rewards(place="mask.sum(1) - 1"), "only if no prompt stands before"),
    Mutant("lab13.q3", "one too late", _rewards(place="(mask.size(1) - mask.int().flip(1).argmax(1)).clamp(max=mask.size(1) - 1)"), "one place too late"),
    Mutant("lab13.q3", "at the first", _rewards(place="mask.int().argmax(1)"), "not at its first"),
    Mutant("lab13.q4", "turned round", _kl(d="ref_logprobs - logprobs"), "so it comes first"),
    Mutant("lab13.q4", "k3 turned round", _kl(k3="d.exp() - 1 - d"), "k3 has exp(-d)"),
    Mutant("lab13.q4", "exp(d) in k3", _kl(k3="d.exp() - 1 + d"), "over the policy in the exp"),
    Mutant("lab13.q4", "no -1", _kl(k3="(-d).exp() + d"), "k3 has a -1"),
    Mutant("lab13.q4", "k2", _kl(k3="d ** 2 / 2"), "that is k2"),
    Mutant("lab13.q4", "absolute", _kl(k1="d.abs()"), "k1 is d itself"),
    Mutant("lab13.q4", "exchanged", _kl(found='{"k1": mean(k3), "k3": mean(k1)}'), "are exchanged"),
    Mutant("lab13.q4", "never below 0", _kl(d="(logprobs - ref_logprobs).clamp(min=0)"), "d may be negative"),
    Mutant("lab13.q4", "probabilities", _kl(d="logprobs.exp() - ref_logprobs.exp()"), "difference of *log*-probabilities"),
    Mutant("lab13.q4", "whole replies", _kl(d="((logprobs - ref_logprobs) * mask).sum(1)", mean="k.mean().item()"), "take it token by token"),
    Mutant("lab13.q4", "everywhere", _kl(mean="k.sum(1).mean().item()"), "prompts and padding are counted"),
    Mutant("lab13.q4", "weighted", _kl(mean="(k * logprobs.exp() * mask).sum(1).mean().item()"), "weighs them already"),
    Mutant("lab13.q4", "a token", _kl(mean="k[mask].mean().item()"), "nats a token"),
    Mutant("lab13.q4", "mean of means", _kl(mean="((k * mask).sum(1) / mask.sum(1)).mean().item()"), "the replies' means"),
    Mutant("lab13.q4", "sum", _kl(mean="(k * mask).sum().item()"), "the sum over all replies"),
    Mutant("lab13.q4", "all places", _kl(mean="(k * mask).mean().item()"), "divided by all places"),
    Mutant("lab13.q4", "bits", _kl(mean="(k * mask).sum(1).mean().item() / 0.693147181"), "in bits"),
    Mutant("lab13.q4", "two numbers", _kl(found="(mean(k1), mean(k3))"), "with the keys"),
    Mutant("lab13.q4", "one for each reply", _kl(mean="(k * mask).sum(1)"), "one for all replies together"),
    Mutant("lab13.q5", "mean for sum", _dpo(whole="((policy - reference) * mask).sum(-1) / mask.sum(-1)"), "is the *sum* of those of its tokens: here it is their mean"),
    Mutant("lab13.q5", "mean over the row", _dpo(whole="((policy - reference) * mask).mean(-1)"), "divided by the length of the row"),
    Mutant("lab13.q5", "over all tokens", _dpo(whole="((policy - reference) * mask).sum(-1) / mask.sum()"), "the number of all tokens"),
    Mutant("lab13.q5", "one mask", _dpo(whole="((policy - reference) * mask[0]).sum(-1)"), "have a mask each"),
    Mutant("lab13.q5", "token by token", _dpo(whole="(policy - reference) * mask", value="-F.logsigmoid(beta * h).sum(-1).mean()"), "one number for a pair"),
    Mutant("lab13.q5", "probabilities", _dpo(whole="((policy.exp() - reference.exp()) * mask).sum(-1)"), "not probabilities"),
    Mutant("lab13.q5", "each alone", _dpo(value="-(F.logsigmoid(beta * gained[0]) + F.logsigmoid(-beta * gained[1])).mean()"), "judged each alone"),
    Mutant("lab13.q5", "hinge", _dpo(value="torch.relu(1 - beta * h).mean()"), "a hinge loss"),
    Mutant("lab13.q5", "a small number in the log", _dpo(value="-torch.log(torch.sigmoid(beta * h) + 1e-8).mean()"), "a small number inside of the log"),
    Mutant("lab13.q5", "everywhere", _dpo(whole="(policy - reference).sum(-1)"), "prompts and padding are counted"),
    Mutant("lab13.q5", "no reference", _dpo(whole="(policy * mask).sum(-1)"), "is the reference used"),
    Mutant("lab13.q5", "exchanged", _dpo(h="gained[1] - gained[0]"), "are exchanged"),
    Mutant("lab13.q5", "chosen only", _dpo(h="gained[0]"), "rejected replies count as well"),
    Mutant("lab13.q5", "added", _dpo(h="gained[0] + gained[1]"), "*minus* the rejected"),
    Mutant("lab13.q5", "beta outside", _dpo(value="-beta * F.logsigmoid(h).mean()"), "inside of the sigmoid"),
    Mutant("lab13.q5", "no beta", _dpo(value="-F.logsigmoid(h).mean()"), "is beta used"),
    Mutant("lab13.q5", "divided by beta", _dpo(value="-F.logsigmoid(h / beta).mean()"), "not divided"),
    Mutant("lab13.q5", "no log", _dpo(value="-torch.sigmoid(beta * h).mean()"), "not -sigmoid"),
    Mutant("lab13.q5", "no sigmoid", _dpo(value="-(beta * h).mean()"), "pull on for ever"),
    Mutant("lab13.q5", "sum over pairs", _dpo(value="-F.logsigmoid(beta * h).sum()"), "the sum over pairs"),
    Mutant("lab13.q5", "positive", _dpo(value="F.logsigmoid(beta * h).mean()"), "a loss is -log sigmoid"),
    Mutant("lab13.q5", "mean before the sigmoid", _dpo(value="-F.logsigmoid(beta * h.mean())"), "every pair has its own loss"),
    Mutant("lab13.q5", "IPO", _dpo(value="(h - 1 / (2 * beta)).square().mean()"), "IPO's squared loss"),
    Mutant("lab13.q5", "log of sigmoid", _dpo(value="-torch.log(torch.sigmoid(beta * h)).mean()"), "Use F.logsigmoid"),
    Mutant("lab13.q5", "a number", _dpo(value="torch.tensor((-F.logsigmoid(beta * h).mean()).item())"), "cut off from policy"),
    Mutant("lab13.q6", "lambda is 0.95", _test(least="0.95 - 1e-6", most="0.95 + 1e-6"), "refuses a right answer"),
    Mutant("lab13.q6", "ended not told apart", _test(behind="after"), "refuses a right answer"),
    Mutant("lab13.q6", "last token not looked at", _test(last="True"), "your test accepts"),
    Mutant("lab13.q6", "last token alone", _test(verdict="True"), "your test accepts"),
    Mutant("lab13.q6", "one token each", _test(examples="[([1.0], [2.0], True, 3.0), ([1.0], [2.0], False, 3.0)]"), "your test accepts"),
    Mutant("lab13.q6", "none cut off", _test(examples="[(rewards, values, True, 3.0), (rewards[:2], values[:2], True, 3.0)]"), "as if it had ended"),
    Mutant("lab13.q6", "all cut off", _test(examples="[(rewards, values, False, 3.0), (rewards[:2], values[:2], False, 3.0)]"), "although the reply ended"),
    Mutant("lab13.q6", "too long", _test(examples="[(rewards * 2, values * 2, True, 3.0)]"), "lists of 1 to 8 numbers"),
    Mutant("lab13.q7", "another cause", 'diagnosis = {"cause": "D", "evidence": ["b", "g"]}', "not what went wrong"),
    Mutant("lab13.q7", "untrue evidence", 'diagnosis = {"cause": "H", "evidence": ["g", "d"]}', "is not true of your run"),
    Mutant("lab13.q7", "evidence for two causes", 'diagnosis = {"cause": "H", "evidence": ["g"]}', "seen under another cause"),
    Mutant("lab13.q7", "a letter", 'diagnosis = "H"', "write it as"),
]  # fmt: skip

# The challenge: 1.28 with `ppo(seed=1)` of the notebook; what else is tried has not been measured.
RUBRICS = {
    "lab13.t1": "3: says that proxy and gold rise together at first, and that without a price the proxy goes on while the gold falls, with the distance at which "
    "they part; reads from the replies or from the share that end what the judge does not see (broken words, repetitions, replies that run on), and names the "
    "distance, or replies read by people, as what would have warned; weighs differences against those between seeds, with a limit named. 2: two of the three. "
    "1: describes the curves without weighing them. 0: no plot read.",
}
