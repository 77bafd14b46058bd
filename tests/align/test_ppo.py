"""PPO of a small language model: against an update written out text by text, and by what each setting is for."""

import itertools
import math

import pytest
import torch
from torch.nn.utils import clip_grad_norm_

from llmlib.align import PPOConfig, sample_replies, train_ppo
from llmlib.train import next_token_loss

from .conftest import weights

END = 7
PROMPTS = [[3, 9], [11], [4, 2, 8]]
SMALL = dict(updates=2, batch_size=12, max_new_tokens=5, epochs=1, minibatch_size=12, lr=1e-2, warmup=0)


def fives(prompts, replies):
    """The share of token 5 in a reply."""
    return [reply.count(5) / max(1, len(reply)) for reply in replies]


def nothing(prompts, replies):
    return [0.0] * len(replies)


@pytest.fixture
def policy(make_model):
    """policy(seed): a fresh one of one layer."""
    return lambda seed=0, **changes: make_model(seed, **dict(scale=2.0, n_layers=1) | changes)


def trained(model, reward=fives, prompts=PROMPTS, **settings):
    extras = {name: settings.pop(name) for name in ("reference", "pretraining", "callbacks") if name in settings}
    return train_ppo(model, reward, prompts, PPOConfig(**SMALL | settings), end=END, **extras)


# --- the update -------------------------------------------------------------------------------------------------------


def by_definition(model, reference, reward, config, n):
    """n updates of PPO written out: no padding, no cache, one text at a time, sums by loops. Whitening included.

    Every text is read as a whole; the value of a token is what the head says of the one before.
    """
    generator, draws = (torch.Generator().manual_seed(config.seed) for _ in range(2))
    head = torch.zeros(17, requires_grad=True)  # weights and bias
    parameters = [*model.parameters(), head]
    optimizer = torch.optim.Adam(parameters, lr=config.lr, betas=config.betas, eps=1e-5)

    def read(text, start):
        hidden = model.hidden(torch.tensor([text]))[0]
        logprobs = model.head(hidden)[range(len(text) - 1), :].log_softmax(-1)
        values = hidden @ head[:16] + head[16]
        places = range(start, len(text))
        return torch.stack([logprobs[t - 1, text[t]] for t in places]), values[start - 1 :], logprobs[start - 1 :]

    for update in range(n):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * min(1.0, (update + 1) / (config.warmup + 1))
        chosen = torch.randint(len(PROMPTS), (config.batch_size,), generator=draws).tolist()
        rollout = sample_replies(
            model, [PROMPTS[i] for i in chosen], END, config.max_new_tokens, generator=generator
        )  # fmt: skip
        rewards = reward(rollout.prompts, rollout.replies)
        rows = []
        for prompt, reply, score, done in zip(rollout.prompts, rollout.replies, rewards, rollout.finished.tolist()):
            text, start = [*prompt, *reply, *[END] * done], len(prompt)
            with torch.no_grad():
                old, values, _ = read(text, start)
                frozen = reference(torch.tensor([text]))[0].log_softmax(-1)
            ref = [frozen[t - 1, text[t]].item() for t in range(start, len(text))]
            r = [-config.kl_coef * (a - b) for a, b in zip(old.tolist(), ref)]
            v = values.tolist()
            score = max(-config.reward_clip, min(config.reward_clip, score))
            if not done and config.truncated_reward is not None:
                score = config.truncated_reward
            r[-1] += score
            if done or config.truncated_reward is not None:
                v[-1] = 0.0
            deltas = [r[t] + config.gamma * v[t + 1] - v[t] for t in range(len(r))]
            decay = config.gamma * config.lam
            gae = [sum(decay ** (s - t) * deltas[s] for s in range(t, len(r))) for t in range(len(r))]
            if config.baseline != "value":
                gae = [sum(r)] * len(r)
            rows.append((text, start, old, gae, v, r))
        if config.baseline == "mean":
            mean = sum(sum(r) for *_, r in rows) / len(rows)
            rows = [(*row[:3], [a - mean for a in row[3]], *row[4:]) for row in rows]
        everything = torch.tensor([a for row in rows for a in row[3]])
        center, spread = (everything.mean(), everything.std(unbiased=False)) if config.whiten else (0.0, 1.0)
        for _ in range(config.epochs):
            for part in torch.randperm(len(rows), generator=draws).split(config.minibatch_size):
                policy_loss, value_loss, entropy, count = 0.0, 0.0, 0.0, 0
                for text, start, old, gae, v, _ in (rows[i] for i in part.tolist()):
                    new, values, distributions = read(text, start)
                    for t in range(len(gae)):
                        advantage, ratio = (gae[t] - center) / spread, (new[t] - old[t]).exp()
                        clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
                        policy_loss = policy_loss - torch.minimum(ratio * advantage, clipped * advantage)
                        target = gae[t] + v[t]
                        near = v[t] + (values[t] - v[t]).clamp(-config.value_clip, config.value_clip)
                        value_loss = value_loss + torch.maximum((values[t] - target) ** 2, (near - target) ** 2) / 2
                        entropy = entropy - (distributions[t].exp() * distributions[t]).sum()
                        count += 1
                loss = policy_loss - config.entropy_coef * entropy
                if config.baseline == "value":
                    loss = loss + config.value_coef * value_loss
                optimizer.zero_grad()
                (loss / count).backward()
                clip_grad_norm_(parameters, config.grad_clip)
                optimizer.step()
    return weights(model)


@pytest.mark.parametrize(
    "settings",
    [
        dict(kl_coef=0.3, epochs=2, minibatch_size=5, entropy_coef=0.05, warmup=3),
        dict(kl_coef=0.1, truncated_reward=None, gamma=0.9, lam=0.7, value_coef=5.0, value_clip=2.0, whiten=False),
        dict(baseline="mean", whiten=False, kl_coef=0.2, reward_clip=0.5),
        dict(baseline="none", whiten=True, epochs=2, clip=0.05),
    ],
    ids=["all", "cut off", "mean", "none"],
)
def test_an_update_is_that_of_the_definition(policy, settings):
    config = PPOConfig(**SMALL | dict(batch_size=6, lr=3e-3, updates=3) | settings)
    reference = policy(5)
    expected = by_definition(policy(), reference, fives, config, n=config.updates)
    model = policy()
    history = train_ppo(model, fives, PROMPTS, config, end=END, reference=reference)
    assert 0 < history[0]["finished"] < 1, "both kinds of ending are met"
    torch.testing.assert_close(weights(model), expected, atol=2e-4, rtol=0)
    assert (weights(model) - weights(policy())).abs().max() > 20 * 2e-4


def test_the_metrics_of_the_first_update(policy):
    """Against the policy as it was: the same replies, drawn once more."""
    model, reference = policy(), policy(5)
    before = policy()
    (first, _) = trained(model, reference=reference, kl_coef=0.3)
    chosen = torch.randint(3, (12,), generator=torch.Generator().manual_seed(0)).tolist()
    rollout = sample_replies(before, [PROMPTS[i] for i in chosen], END, 5, generator=torch.Generator().manual_seed(0))
    kl = length = entropy = 0.0
    for prompt, reply, done in zip(rollout.prompts, rollout.replies, rollout.finished.tolist()):
        text = torch.tensor([[*prompt, *reply, *[END] * done]])
        ours, theirs = (m(text)[0].log_softmax(-1) for m in (before, reference))
        for t in range(len(prompt), text.shape[1]):
            kl += (ours[t - 1, text[0, t]] - theirs[t - 1, text[0, t]]).item()
            entropy -= (ours[t - 1].exp() * ours[t - 1]).sum().item()
            length += 1
    assert first["update"] == 1 and first["kl_coef"] == 0.3
    assert first["reward"] == pytest.approx(sum(fives([], rollout.replies)) / 12)
    assert first["finished"] == pytest.approx(rollout.finished.float().mean().item())
    assert first["length"] == pytest.approx(length / 12)
    assert first["kl"] == pytest.approx(kl / 12, abs=1e-4)
    assert first["entropy"] == pytest.approx(entropy / length, abs=1e-4)
    assert first["clip_fraction"] == 0 and first["step_kl"] == pytest.approx(0, abs=1e-6)
    assert first["explained_variance"] == pytest.approx(0, abs=1e-6), "values of zero explain nothing"
    assert set(first) == {
        "update", "reward", "kl", "kl_coef", "length", "finished", "clip_fraction", "step_kl", "entropy",
        "explained_variance", "value_loss", "grad_norm",
    }  # fmt: skip


# --- runs -------------------------------------------------------------------------------------------------------------

LONGER = dict(updates=16, batch_size=32, minibatch_size=32, epochs=2, lr=2e-2, kl_coef=0.02)


def test_it_learns_to_write_what_is_rewarded(policy):
    model = policy()
    seen = []
    history = trained(model, **LONGER, callbacks=[lambda model, metrics: seen.append((model, metrics))])
    assert history[0]["reward"] < 0.3 and history[-1]["reward"] > 0.7
    assert history[-1]["kl"] > 1 and history[-1]["entropy"] < history[0]["entropy"]
    assert [metrics for _, metrics in seen] == history and all(m is model for m, _ in seen)
    assert [metrics["update"] for metrics in history] == list(range(1, 17))
    assert not model.training


def test_a_high_price_of_distance_keeps_it_where_it_is(policy):
    history = trained(policy(), **LONGER | dict(kl_coef=50.0))
    assert max(metrics["kl"] for metrics in history) < 0.3 and history[-1]["reward"] < 0.4


@pytest.mark.parametrize("settings", [dict(baseline="mean"), dict(baseline="none"), dict(separate_values=True)])
def test_other_baselines_learn_too(policy, settings):
    history = trained(policy(), **LONGER | dict(updates=12) | settings)
    assert history[-1]["reward"] > history[0]["reward"] + 0.25


def test_the_value_head_learns_what_to_expect(policy):
    """The reward is known from the prompt; with a policy that hardly moves, the values come to explain it."""
    reward = lambda prompts, replies: [float(len(prompt)) for prompt in prompts]
    settings = dict(kl_coef=0.0, truncated_reward=3.0, updates=25, batch_size=16, minibatch_size=16, value_clip=None)
    history = trained(
        policy(), reward, [[3, 9, 9], [11]], **settings | dict(value_coef=1.0, lr=3e-2, separate_values=True)
    )
    assert history[0]["explained_variance"] < 0.1 and history[-1]["value_loss"] < history[0]["value_loss"] / 4


def test_the_same_seed_gives_the_same_run_and_another_another(policy):
    runs = []
    for seed in (0, 0, 1):
        model = policy()
        runs.append((trained(model, epochs=2, minibatch_size=5, seed=seed), weights(model)))
    assert runs[0][0] == runs[1][0] and torch.equal(runs[0][1], runs[1][1])
    assert runs[0][0] != runs[2][0] and not torch.equal(runs[0][1], runs[2][1])


def test_global_random_numbers_play_no_part(policy):
    torch.manual_seed(1)
    first = trained(policy())
    torch.manual_seed(2)
    assert trained(policy()) == first


def test_the_reference_is_left_alone_and_is_the_policy_at_the_start_by_default(policy):
    reference = policy(5).train()
    before = weights(reference)
    trained(policy(), reference=reference)
    assert torch.equal(weights(reference), before) and reference.training
    assert all(weight.requires_grad and weight.grad is None for weight in reference.parameters())
    model = policy()
    by_itself = trained(model)
    assert by_itself == trained(policy(), reference=policy()) and by_itself[0]["kl"] == pytest.approx(0, abs=1e-5)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_the_coefficient_is_steered_to_the_target(policy):
    """Ziegler et al. (2019, 2.2): proportional control, the error limited to 0.2."""
    settings = LONGER | dict(updates=6, kl_coef=0.01, kl_horizon=100)
    for target, up in [(0.05, True), (1000.0, False)]:
        history = trained(policy(), **settings, kl_target=target)
        for now, following in itertools.pairwise(history):
            error = max(-0.2, min(0.2, now["kl"] / target - 1))
            assert following["kl_coef"] == pytest.approx(now["kl_coef"] * (1 + error * 32 / 100))
        assert (history[-1]["kl_coef"] > 0.01) == up
    held = trained(policy(), **settings | dict(updates=12, kl_coef=1.0), kl_target=0.5)
    free = trained(policy(), **settings | dict(updates=12), kl_target=None)
    assert free[-1]["kl"] > 1.5 > held[-1]["kl"] and {metrics["kl_coef"] for metrics in free} == {0.01}


def test_an_update_ends_where_the_policy_has_moved_too_far(policy):
    """The first minibatch moves nothing yet; after one step of this size the rest is left out."""
    ends = {}
    for name, settings in dict(
        stopped=dict(epochs=6, max_step_kl=1e-6), one=dict(epochs=1), all=dict(epochs=6)
    ).items():
        model = policy()
        trained(model, updates=1, **settings)
        ends[name] = weights(model)
    assert torch.equal(ends["stopped"], ends["one"]) and not torch.equal(ends["stopped"], ends["all"])
    model = policy()
    trained(model, updates=1, epochs=6, max_step_kl=1e6)
    assert torch.equal(weights(model), ends["all"])


def test_the_mix_of_pretraining_keeps_what_was_learned_before(policy):
    text = torch.tensor([[1, 2, 3, 4] * 4])
    kept, lost = policy(), policy()
    batches = [text, dict(ids=text)]  # a list is begun again
    mixed = trained(kept, **LONGER | dict(updates=10), ptx_coef=1.0, pretraining=batches)
    trained(lost, **LONGER | dict(updates=10))
    losses = [(total / count).item() for total, count in (next_token_loss(model, text) for model in (kept, lost))]
    assert losses[0] < 0.5 < 1.5 < losses[1] and mixed[-1]["reward"] > mixed[0]["reward"]
    before = policy()
    trained(kept := policy(), updates=1, ptx_coef=0.0, pretraining=iter([]))
    trained(before, updates=1)
    assert torch.equal(weights(kept), weights(before)), "without a weight nothing is read"


def test_the_mix_of_pretraining_needs_batches(policy):
    model = policy()
    with pytest.raises(ValueError, match=r"ptx_coef=0.5 needs pretraining batches"):
        trained(model, ptx_coef=0.5)
    assert torch.equal(weights(model), weights(policy()))
    with pytest.raises(ValueError, match=r"batches has nothing more to give after 1 of them"):
        trained(model, ptx_coef=0.5, pretraining=iter([torch.tensor([[1, 2, 3]])]))


def test_with_values_of_their_own_the_policy_does_not_feel_their_loss(policy):
    ends = {}
    for separate in (True, False):
        for value_coef in (0.0, 2.0):
            model = policy()
            trained(model, updates=1, epochs=2, separate_values=separate, value_coef=value_coef, grad_clip=0.0)
            ends[separate, value_coef] = weights(model)
    torch.testing.assert_close(ends[True, 0.0], ends[True, 2.0], atol=1e-6, rtol=0)
    assert (ends[False, 0.0] - ends[False, 2.0]).abs().max() > 1e-3


def test_replies_that_are_cut_off_cost_and_so_it_learns_to_end(policy):
    model = policy()
    history = trained(model, nothing, **LONGER | dict(kl_coef=0.0), truncated_reward=-1.0)
    assert history[-1]["finished"] > history[0]["finished"] + 0.2 and history[-1]["finished"] > 0.8
    assert {metrics["reward"] for metrics in history} == {0.0}, "what the reward gave is what is reported"
    free = trained(policy(), nothing, **LONGER | dict(updates=3, kl_coef=0.0, whiten=False), truncated_reward=None)
    assert max(metrics["grad_norm"] for metrics in free) < 1e-3, "nothing to win, nothing to lose"


def test_a_reward_that_is_the_same_for_all_moves_nothing_but_without_a_baseline(policy):
    same = lambda prompts, replies: [1.0] * len(replies)
    moved = {}
    for baseline in ("mean", "none"):
        model = policy()
        trained(model, same, updates=1, baseline=baseline, whiten=False, kl_coef=0.0, truncated_reward=None)
        moved[baseline] = (weights(model) - weights(policy())).abs().max().item()
    assert moved["mean"] == 0 and moved["none"] > 1e-3
    model = policy()
    trained(model, same, updates=1, baseline="none", whiten=True, kl_coef=0.0, truncated_reward=None)
    assert torch.equal(weights(model), weights(policy())), "whitening takes the mean off, which is a baseline"


def test_rewards_are_limited(policy):
    huge = lambda prompts, replies: [1e6 * (reply.count(5) - 0.5) for reply in replies]
    signs = lambda prompts, replies: [math.copysign(2.0, reply.count(5) - 0.5) for reply in replies]
    ends = []
    for reward in (huge, signs):
        model = policy()
        trained(model, reward, reward_clip=2.0)
        ends.append(weights(model))
    assert torch.equal(*ends)


def test_a_bonus_keeps_the_entropy_up(policy):
    settings = LONGER | dict(kl_coef=0.0, updates=10)
    assert (
        trained(policy(), **settings, entropy_coef=1.0)[-1]["entropy"]
        > trained(policy(), **settings)[-1]["entropy"] + 0.3
    )


def test_dropout_is_off_while_replies_are_judged(policy):
    (first, _) = trained(policy(dropout=0.5).train(), epochs=1)
    assert first["kl"] == pytest.approx(0, abs=1e-5)


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_leaves_the_policy_as_it_was(policy, bad):
    model, reference = policy(), policy(5)
    spoiled = lambda prompts, replies: [0.0, bad, *[0.0] * (len(replies) - 2)]
    with pytest.raises(ValueError, match=rf"reward gave {bad} for reply 1, .*: the policy is as it was"):
        trained(model, spoiled, reference=reference)
    assert torch.equal(weights(model), weights(policy())) and torch.equal(weights(reference), weights(policy(5)))
    assert all(weight.grad is None for weight in model.parameters())


def test_other_bad_arguments_leave_the_policy_as_it_was(policy):
    model = policy()
    for reward, prompts, message in [
        (lambda p, r: [0.0], PROMPTS, r"reward gave \(1,\) for 12 replies"),
        (fives, [], "prompts is empty: give prompts to write replies to"),
        (fives, [[]], r"prompts\[0\] is empty"),
        (fives, [[1] * 21], r"prompts holds one of 21 tokens, .* write at most 3"),
        (fives, [[12]], "token 12"),
    ]:
        with pytest.raises(ValueError, match=message):
            trained(model, reward, prompts)
    assert torch.equal(weights(model), weights(policy()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(updates=0), "updates=0 must be at least 1"),
        (dict(batch_size=0), "batch_size=0"),
        (dict(epochs=0), "epochs=0"),
        (dict(minibatch_size=0), "minibatch_size=0"),
        (dict(max_new_tokens=0), "max_new_tokens=0"),
        (dict(kl_horizon=0), "kl_horizon=0"),
        (dict(clip=0.0), "clip=0.0 must be positive"),
        (dict(lr=math.nan), "lr=nan must be positive"),
        (dict(reward_clip=-1.0), "reward_clip=-1.0 must be positive"),
        (dict(kl_coef=-0.1), "kl_coef=-0.1 must not be negative"),
        (dict(grad_clip=-1.0), "grad_clip=-1.0 must not be negative"),
        (dict(ptx_coef=-1.0), "ptx_coef=-1.0"),
        (dict(kl_target=0.0), r"kl_target=0.0 with kl_coef=0.05: give both above 0"),
        (dict(kl_target=2.0, kl_coef=0.0), r"kl_target=2.0 with kl_coef=0.0: give both above 0"),
        (dict(baseline="critic"), "baseline='critic' is none of value, mean, none"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PPOConfig(**settings)
