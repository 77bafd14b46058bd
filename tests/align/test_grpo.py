"""GRPO of a small language model: against an update written out text by text, and by what each setting is for."""

import math

import pytest
import torch
from torch.nn.utils import clip_grad_norm_

from llmlib.align import GRPOConfig, RewardModel, sample_replies, train_grpo

from .conftest import weights

END = 7
PROMPTS = [[3, 9], [11], [4, 2, 8]]
SMALL = dict(
    updates=2, prompts_per_update=3, group_size=4, max_new_tokens=5, epochs=1, minibatch_size=12, lr=1e-2, warmup=0
)  # fmt: skip
LONGER = dict(updates=14, prompts_per_update=4, group_size=8, minibatch_size=32, epochs=2, kl_coef=0.02, lr=2e-2)


def fives(prompts, replies):
    """The share of token 5 in a reply."""
    return [reply.count(5) / max(1, len(reply)) for reply in replies]


@pytest.fixture
def policy(make_model):
    """policy(seed): a fresh one of one layer."""
    return lambda seed=0, **changes: make_model(seed, **dict(scale=2.0, n_layers=1) | changes)


def trained(model, reward=fives, prompts=PROMPTS, **settings):
    extras = {name: settings.pop(name) for name in ("reference", "callbacks") if name in settings}
    return train_grpo(model, reward, prompts, GRPOConfig(**SMALL | settings), end=END, **extras)


def by_definition(model, reference, reward, config, n):
    """n updates of GRPO written out: no padding, no cache, one text at a time, sums by loops."""
    generator, draws = (torch.Generator().manual_seed(config.seed) for _ in range(2))
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, betas=config.betas, eps=1e-5)

    def read(which, text, start):
        logprobs = which(torch.tensor([text]))[0].log_softmax(-1)
        return [logprobs[t - 1, text[t]] for t in range(start, len(text))]

    for update in range(n):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * min(1.0, (update + 1) / (config.warmup + 1))
        chosen = torch.randint(len(PROMPTS), (config.prompts_per_update,), generator=draws).tolist()
        several = [PROMPTS[i] for i in chosen for _ in range(config.group_size)]
        rollout = sample_replies(model, several, END, config.max_new_tokens, generator=generator)
        scores = [max(-config.reward_clip, min(config.reward_clip, s)) for s in reward(several, rollout.replies)]
        if config.truncated_reward is not None:
            scores = [s if done else config.truncated_reward for s, done in zip(scores, rollout.finished.tolist())]
        rows = []
        for i, (prompt, reply, done) in enumerate(zip(several, rollout.replies, rollout.finished.tolist())):
            first = i // config.group_size * config.group_size
            group = scores[first : first + config.group_size]
            mean = sum(group) / len(group)
            deviation = math.sqrt(sum((s - mean) ** 2 for s in group) / (len(group) - 1))
            advantage = (scores[i] - mean) / (deviation + 1e-6 if config.std else 1.0)
            text = [*prompt, *reply, *[END] * done]
            with torch.no_grad():
                old, anchored = (torch.stack(read(which, text, len(prompt))) for which in (model, reference))
            rows.append((text, len(prompt), old, anchored, advantage))
        for _ in range(config.epochs):
            for part in torch.randperm(len(rows), generator=draws).split(config.minibatch_size):
                loss, count = 0.0, 0
                for text, start, old, anchored, advantage in (rows[i] for i in part.tolist()):
                    for new, before, ref in zip(read(model, text, start), old, anchored):
                        ratio = (new - before).exp()
                        clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
                        away = (ref - new) ** 2 / 2 if config.kl_kind == "k2" else (ref - new).exp() - 1 - (ref - new)
                        loss = loss - torch.minimum(ratio * advantage, clipped * advantage) + config.kl_coef * away
                        count += 1
                optimizer.zero_grad()
                (loss / count).backward()
                clip_grad_norm_(model.parameters(), config.grad_clip)
                optimizer.step()
    return weights(model)


@pytest.mark.parametrize(
    "settings",
    [
        dict(kl_coef=0.3, epochs=2, minibatch_size=5, warmup=3),
        dict(kl_kind="k2", std=False, kl_coef=0.1, truncated_reward=None, reward_clip=0.5, clip=0.05, epochs=2),
    ],
    ids=["std, k3", "no std, k2"],
)
def test_an_update_is_that_of_the_definition(policy, settings):
    config = GRPOConfig(**SMALL | dict(lr=3e-3) | settings)
    reference = policy(5)
    expected = by_definition(policy(), reference, fives, config, n=2)
    model = policy()
    history = train_grpo(model, fives, PROMPTS, config, end=END, reference=reference)
    assert 0 < history[0]["finished"] < 1, "both kinds of ending are met"
    torch.testing.assert_close(weights(model), expected, atol=2e-4, rtol=0)
    assert (weights(model) - weights(policy())).abs().max() > 20 * 2e-4


@pytest.mark.parametrize("std", [True, False])
def test_it_learns_to_write_what_is_rewarded(policy, std):
    model, seen = policy(), []
    history = trained(model, **LONGER, std=std, callbacks=[lambda model, metrics: seen.append(metrics)])
    assert history[0]["reward"] < 0.3 and history[-1]["reward"] > 0.6
    assert history[0]["kl"] == pytest.approx(0, abs=1e-5) and history[-1]["kl"] > 0.5
    assert seen == history and not model.training
    assert set(history[0]) == {"update", "reward", "kl", "length", "finished", "clip_fraction"}


def test_a_high_price_of_distance_keeps_it_where_it_is(policy):
    history = trained(policy(), **LONGER | dict(kl_coef=50.0))
    assert max(metrics["kl"] for metrics in history) < 0.3 and history[-1]["reward"] < 0.4


def test_the_same_seed_gives_the_same_run_and_another_another(policy):
    runs = []
    for seed in (0, 0, 1):
        model = policy()
        runs.append((trained(model, epochs=2, minibatch_size=5, seed=seed), weights(model)))
    assert runs[0][0] == runs[1][0] and torch.equal(runs[0][1], runs[1][1])
    assert runs[0][0] != runs[2][0] and not torch.equal(runs[0][1], runs[2][1])


def test_the_reference_is_left_alone(policy):
    reference = policy(5).train()
    before = weights(reference)
    trained(policy(), reference=reference)
    assert torch.equal(weights(reference), before) and reference.training
    assert all(weight.grad is None for weight in reference.parameters())


def test_groups_of_equal_rewards_move_nothing(policy):
    model = policy()
    trained(model, lambda prompts, replies: [1.7] * len(replies), kl_coef=0.0, truncated_reward=None)
    assert torch.equal(weights(model), weights(policy()))
    by_prompt = lambda prompts, replies: [float(len(prompt)) for prompt in prompts]
    trained(model, by_prompt, kl_coef=0.0, truncated_reward=None)
    assert torch.equal(weights(model), weights(policy())), "what depends on the prompt alone is no advantage"


def test_replies_that_are_cut_off_cost_and_so_it_learns_to_end(policy):
    nothing = lambda prompts, replies: [0.0] * len(replies)
    history = trained(policy(), nothing, **LONGER | dict(kl_coef=0.0))
    assert history[-1]["finished"] > history[0]["finished"] + 0.2 and {m["reward"] for m in history} == {0.0}


def test_dropout_is_off_while_replies_are_judged(policy):
    (first, _) = trained(policy(dropout=0.5).train())
    assert first["kl"] == pytest.approx(0, abs=1e-5)


def test_a_reward_that_records_gradients_gets_none(policy):
    judge = RewardModel(policy(1))
    with torch.no_grad():
        judge.score_head.weight.fill_(0.1)
    reward = lambda prompts, replies: (
        judge(torch.tensor([[*prompt, 0] for prompt in prompts]).fill_(3)) * torch.tensor(fives(prompts, replies))
    )
    model = policy()
    trained(model, reward, prompts=[[3, 9]], epochs=2)
    assert all(weight.grad is None for weight in judge.parameters())
    assert not torch.equal(weights(model), weights(policy()))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_reward_that_is_no_number_leaves_the_policy_as_it_was(policy, bad):
    model, reference = policy(), policy(5)
    with pytest.raises(ValueError, match=rf"reward gave {bad} for reply 2, .*: the policy is as it was"):
        trained(model, lambda p, r: [0.0, 0.0, bad, *[0.0] * (len(r) - 3)], reference=reference)
    assert torch.equal(weights(model), weights(policy())) and torch.equal(weights(reference), weights(policy(5)))


def test_other_bad_arguments_leave_the_policy_as_it_was(policy):
    model = policy()
    for reward, prompts, message in [
        (lambda p, r: [0.0], PROMPTS, r"reward gave \(1,\) for 12 replies"),
        (fives, [], "prompts is empty: give prompts to write replies to"),
        (fives, [[]], r"prompts\[0\] is empty"),
        (fives, [[1] * 21], r"prompts holds one of 21 tokens, .* write at most 3"),
    ]:
        with pytest.raises(ValueError, match=message):
            trained(model, reward, prompts)
    assert torch.equal(weights(model), weights(policy()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(group_size=1), "group_size=1: a reply is compared with its group, so give at least 2"),
        (dict(updates=0), "updates=0 must be at least 1"),
        (dict(prompts_per_update=0), "prompts_per_update=0"),
        (dict(max_new_tokens=0), "max_new_tokens=0"),
        (dict(epochs=0), "epochs=0"),
        (dict(minibatch_size=0), "minibatch_size=0"),
        (dict(kl_kind="k1"), "kl_kind='k1' is neither k2 nor k3"),
        (dict(clip=0.0), "clip=0.0 must be positive"),
        (dict(lr=math.nan), "lr=nan must be positive"),
        (dict(reward_clip=-1.0), "reward_clip=-1.0 must be positive"),
        (dict(kl_coef=-0.1), "kl_coef=-0.1 must not be negative"),
        (dict(grad_clip=-1.0), "grad_clip=-1.0 must not be negative"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        GRPOConfig(**settings)
