# %% [markdown]
# # Lab 13 · Reinforcement learning from a judge that can be fooled
#
# You write the parts that PPO is made of, advantages, the clipped loss and the price for distance, and the loss of its rival DPO. With your parts a model of the support desk learns from a reward model; the true reward, which it never sees, tells you what it learned. You test estimators that somebody else wrote, and find out what went wrong in a run. About 115 minutes; 25 points: 22 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab13_ppo_and_its_rivals.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. You may use any tensor operation of PyTorch, but not the library's own advantages and losses (`llmlib.align`): those are the answer.
#
# In all questions a **reply** is a row of tokens that a policy wrote after a prompt. `mask` (B, T), bool, marks the tokens of the reply in each row; they stand side by side, and there is at least one. Before them stands the prompt, behind them padding, and there the other tensors hold **noise**.

# %%
import copy
import random

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware import Stopwatch, as_number, check, my_run, setup_style, show
from llmlib.data import SupportDesk, recorded

setup_style()
torch.manual_seed(0);

# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Question 1: advantages (3 points, difficulty 3, 18 minutes)
#
# `rewards` and `values` are (B, T): what each token earned, and what the critic expected **before** it, $V_t$. Generalised advantage estimation is
#
# $$\delta_t = r_t + \gamma V_{t+1} - V_t, \qquad A_t = \delta_t + \gamma\lambda\,\delta_{t+1} + (\gamma\lambda)^2\,\delta_{t+2} + \dots$$
#
# up to the last token of the reply. Behind that one there are two cases. Where `ended` (B,) is `True` the reply came to its end: nothing follows, and $V_{t+1}$ is 0. Where it is `False` the reply was **cut off**, because there was no more room: something would have followed, and what the critic makes of the state behind the last token, `after` (B,), stands in its place. The critic gives a number everywhere; `after` holds one for the replies that ended, too.
#
# Return the advantages (B, T), 0 outside of the replies.

# %%
def gae(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, ended: torch.Tensor, after: torch.Tensor,
    gamma: float, lam: float,
) -> torch.Tensor:  # fmt: skip
    # BEGIN SOLUTION
    advantages = torch.zeros_like(rewards)
    following = torch.where(ended, torch.zeros_like(after), after)
    running = torch.zeros_like(after)
    for t in reversed(range(rewards.size(1))):
        here = mask[:, t]
        delta = rewards[:, t] + gamma * following - values[:, t]
        running = torch.where(here, delta + gamma * lam * running, running)
        following = torch.where(here, values[:, t], following)
        advantages[:, t] = running * here
    return advantages
    # END SOLUTION


check("lab13.q1", gae)

# %% [markdown]
# ## Question 2: the clipped loss (3 points, difficulty 2, 15 minutes)
#
# `old_logprobs` (B, T) are the log-probabilities of the tokens under the policy that wrote the replies, `logprobs` those under the policy that is being trained. PPO makes this large:
#
# $$\frac{1}{N}\sum_{\text{tokens of replies}} \min\bigl(\rho_t A_t,\ \mathrm{clip}(\rho_t, 1-\epsilon, 1+\epsilon)\,A_t\bigr), \qquad \rho_t = \frac{\pi(t)}{\pi_\text{old}(t)}$$
#
# with one mean over the $N$ tokens of **all** replies. Return the *loss*, a tensor through which gradients flow to `logprobs`. Before you write it: a token has a negative advantage, and the policy has made it *more* likely, $\rho = 1.5$. In which direction should its gradient point, and does yours?

# %%
def ppo_loss(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor, clip: float
) -> torch.Tensor:
    # BEGIN SOLUTION
    ratio = (logprobs - old_logprobs)[mask].exp()
    gain = advantages[mask]
    return -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain).mean()
    # END SOLUTION


check("lab13.q2", ppo_loss)

# %% [markdown]
# ## Question 3: a price for distance (3 points, difficulty 3, 15 minutes)
#
# A reward model gives each reply one number, `scores` (B,). It has been trained on replies of the fine-tuned model, and far from those it is wrong. So every token of a reply pays `kl_coef` times its log-ratio to a **reference** that stays as it is, $\log\pi(t) - \log\pi_\text{ref}(t)$, which may be negative; and the score is added once, at the last token of the reply.
#
# `logprobs` is a dict of three tensors (B, T), the log-probabilities of the tokens under three models that have read them: `"policy"`, which wrote the replies; `"previous"`, the policy as it was one update ago; and `"reference"`, the fine-tuned model that all began with. Return the rewards (B, T), 0 outside of the replies.

# %%
def token_rewards(
    scores: torch.Tensor, logprobs: dict[str, torch.Tensor], mask: torch.Tensor, kl_coef: float
) -> torch.Tensor:
    # BEGIN SOLUTION
    rewards = -kl_coef * (logprobs["policy"] - logprobs["reference"]) * mask
    last = mask & (mask.cumsum(1) == mask.sum(1, keepdim=True))
    return rewards + scores[:, None] * last
    # END SOLUTION


check("lab13.q3", token_rewards)

# %% [markdown]
# ## Question 4: how far has it moved? (2 points, difficulty 2, 10 minutes)
#
# To know the divergence $\mathrm{KL}(\pi \,\|\, \pi_\text{ref})$ one would have to sum over all replies. From tokens that the policy wrote it can be estimated, with $d = \log\pi(t) - \log\pi_\text{ref}(t)$, by
#
# $$k_1 = d \qquad\text{or}\qquad k_3 = e^{-d} - 1 + d.$$
#
# Both have the right mean; $k_3$ is never negative. Return `{"k1": ..., "k3": ...}`, two numbers in **nats a reply**: added up over the tokens of a reply, then the mean over replies.

# %%
def kl_nats(logprobs: torch.Tensor, ref_logprobs: torch.Tensor, mask: torch.Tensor) -> dict[str, float]:
    # BEGIN SOLUTION
    d = (logprobs - ref_logprobs) * mask
    return {"k1": d.sum(1).mean().item(), "k3": ((-d).exp() - 1 + d).sum(1).mean().item()}
    # END SOLUTION


check("lab13.q4", kl_nats)

# %% [markdown]
# ## Question 5: without a reward model (3 points, difficulty 2, 12 minutes)
#
# Direct preference optimisation needs no judge, no critic and no replies of its own: it learns from pairs of which somebody chose one. `policy` and `reference` are (2, B, T), the log-probabilities of the tokens of B pairs under both models: `policy[0]` of the chosen replies, `policy[1]` of the rejected ones; `mask` (2, B, T) marks their tokens. With $\log\pi(y)$, the log-probability of a whole reply,
#
# $$h = \bigl(\log\pi(y_\text{chosen}) - \log\pi_\text{ref}(y_\text{chosen})\bigr) - \bigl(\log\pi(y_\text{rejected}) - \log\pi_\text{ref}(y_\text{rejected})\bigr), \qquad \text{loss} = -\log\sigma(\beta h).$$
#
# Return the mean over pairs, a tensor through which gradients flow to `policy`. It must stay finite where $\beta h$ is far below 0.

# %%
def dpo_loss(policy: torch.Tensor, reference: torch.Tensor, mask: torch.Tensor, beta: float) -> torch.Tensor:
    # BEGIN SOLUTION
    gained = ((policy - reference) * mask).sum(-1)
    return -F.logsigmoid(beta * (gained[0] - gained[1])).mean()
    # END SOLUTION


check("lab13.q5", dpo_loss)

# %% [markdown]
# ## The pieces together
#
# Nothing to write in the next cells. The model, the **policy**, is the support desk's after 200 demonstrations (lecture 11). The judge is its **reward model** (lecture 12), which has read how people ranked replies; its scores, the **proxy**, have mean 0 and deviation 1 over such replies. The desk is generated, so what a reply is truly worth, its **gold reward**, at most 1.6, can be measured too; training never sees it.
#
# One update of PPO: the policy writes 32 replies; the reward model scores those that have ended; with your `token_rewards` and `gae` they become advantages; your `ppo_loss` is made smaller twice on each. The critic is a linear head on the policy that begins at zero. With $\lambda = 1$ an advantage is what a reply still earned less what the critic expected, and that is right on average while the critic is not yet; its word counts where a reply was cut off. If one of your pieces is missing, the cells say so and go on.

# %% tags=["not-graded"]
from llmlib.align import Critic, chat_prompt, end_of_turn, load_desk_reward, reply_logprobs, sample_replies, token_logprobs
from llmlib.hub import load_desk

desk, (tuned, tokenizer), (judge, _) = SupportDesk(0), load_desk("sft", device="cpu"), load_desk_reward(device="cpu")
end = end_of_turn(tokenizer)


def prompts_of(requests: list) -> list[list[int]]:
    return [chat_prompt(tokenizer, request.text) for request in requests]


def read(policy: nn.Module, critic: nn.Module, rollout) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probabilities of the tokens and values before them (B, T), and values behind the last ones (B,)."""
    hidden = policy.hidden(rollout.ids, pad_mask=rollout.pad_mask)
    values, after = critic(hidden, rollout)
    return token_logprobs(policy.head(hidden), rollout.ids), values, after


@torch.no_grad()
def measure(policy: nn.Module, requests: list) -> dict[str, float]:
    """Mean gold reward, mean proxy reward, and distance from the fine-tuned model, of sampled replies."""
    rollout = sample_replies(policy, prompts_of(requests), end, 48, generator=torch.Generator().manual_seed(0))
    texts = [tokenizer.decode(reply).strip() for reply in rollout.replies]
    distance = kl_nats(reply_logprobs(policy, rollout), reply_logprobs(tuned, rollout), rollout.reply_mask)
    return {
        "gold": sum(map(desk.gold, requests, texts)) / len(texts),
        "proxy": judge.score(rollout.prompts, rollout.replies, end).mean().item(),
        **distance,
        "ended": rollout.finished.float().mean().item(),
        "reply": texts[0],
    }


# %% tags=["not-graded"]
def ppo(updates: int = 10, kl_coef: float = 0.05, lr: float = 7e-4, rows: int = 32, epochs: int = 2, seed: int = 0, every: int = 5):
    """A copy of the fine-tuned model after so many updates, and what was measured of it on the way."""
    torch.manual_seed(seed)
    policy, previous, critic = copy.deepcopy(tuned), copy.deepcopy(tuned), Critic(tuned)
    groups = [{"params": list(policy.parameters())}, {"params": list(critic.parameters()), "lr": 0.02}]
    weights = [w for group in groups for w in group["params"]]
    optimizer = torch.optim.Adam(groups, lr=lr, betas=(0.9, 0.95), eps=1e-5)
    prompts, sampler = prompts_of(desk.requests(1000, random.Random(f"to learn from {seed}"))), torch.Generator().manual_seed(seed)
    measured = []
    for update in range(1, updates + 1):
        optimizer.param_groups[0]["lr"] = lr * min(1, update / 4)
        rollout = sample_replies(policy, random.Random(f"{seed} {update}").sample(prompts, rows), end, 48, generator=sampler)
        mask, ended = rollout.reply_mask, rollout.finished
        with torch.no_grad():
            old, values, after = read(policy, critic, rollout)
            others = {name: reply_logprobs(model, rollout) for name, model in (("previous", previous), ("reference", tuned))}
            scores = judge.score(rollout.prompts, rollout.replies, end) * ended     # what is cut off has no score
            rewards = token_rewards(scores, {"policy": old} | others, mask, kl_coef)
            advantages = gae(rewards, values, mask, ended, after, gamma=1.0, lam=1.0)
            aims = advantages + values
            advantages = (advantages - advantages[mask].mean()) / advantages[mask].std()
        previous.load_state_dict(policy.state_dict())
        for _ in range(epochs):
            for part in torch.randperm(rows).split(16):
                batch = rollout.rows(part)
                old_, gain, aim, marked = (t[part, : batch.ids.size(1)] for t in (old, advantages, aims, mask))
                new, guess, _ = read(policy, critic, batch)
                loss = ppo_loss(new, old_, gain, marked, clip=0.2) + 0.1 * (guess - aim)[marked].square().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(weights, 1.0)
                optimizer.step()
        if every and update % every == 0:
            measured.append({"update": update} | measure(policy, held_out))
    return policy, measured

# %% [markdown]
# ## Before you train: a prediction (logged, not graded)
#
# The next cell trains twice, with two seeds each: once with a price, `kl_coef=0.05`, once without any. Both make the proxy reward larger. **By how much will the mean gold reward of the policies that paid for distance be higher, at the end, than that of those that did not?** Give a number between -1.5 and 1.5; below 0 if you think it will be lower. Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_difference = 0.2  # SOLUTION

check("lab13.p1", predicted_difference)

# %% tags=["not-graded"]
held_out = desk.requests(80, random.Random("requests of the lab"))
try:
    first, trained = {"update": 0} | measure(tuned, held_out), {}
    for name, kl_coef in (("price 0.05", 0.05), ("no price", 0.0)):
        trained[name] = [(policy, [first, *measured]) for policy, measured in (ppo(kl_coef=kl_coef, seed=seed) for seed in (0, 1))]
        for seed, (_, measured) in enumerate(trained[name]):
            last = measured[-1]
            print(
                f"{name}, seed {seed}: proxy {first['proxy']:.2f} -> {last['proxy']:.2f}, gold {first['gold']:.2f} -> {last['gold']:.2f}, "
                f"distance {last['k1']:.1f} (k1) or {last['k3']:.1f} (k3) nats a reply, {last['ended']:.0%} end"
            )
            print("   ", last["reply"])
    at_end = {name: sum(measured[-1]["gold"] for _, measured in results) / 2 for name, results in trained.items()}
    difference = at_end["price 0.05"] - at_end["no price"]
    print(f"difference {difference:+.2f}, you predicted {as_number(predicted_difference):+.2f}")
except NotImplementedError:
    print("Not yet: finish questions 1 to 4 first.")

# %% [markdown]
# ## Your own plot, read (3 points, given by a person)
#
# The next cell plots the four runs: what each reply is worth, to the judge and in truth, against the distance from the fine-tuned model. It has no title and no explanation; these are yours.

# %% tags=["not-graded"]
try:
    lines = list(zip(trained.items(), ("C0", "C3")))
    fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharex=True)
    for (name, results), color in lines:
        for seed, (_, measured) in enumerate(results):
            for ax, what in zip(axes, ("proxy", "gold")):
                ax.plot([m["k1"] for m in measured], [m[what] for m in measured], "o-", color=color, alpha=1 - 0.4 * seed, label=f"{name}, seed {seed}")
    for ax, what in zip(axes, ("proxy reward (deviations)", "gold reward")):
        ax.set(xlabel="distance from the fine-tuned model (nats a reply, k1)", ylabel=what)
    axes[1].legend(fontsize=8)
    show(fig, alt="Proxy and gold reward against the distance from the fine-tuned model, two seeds with a price for distance and two without.")
except NameError:
    print("Not yet: train first.")

# %% [markdown]
# In four or five sentences: What do proxy and gold do as the distance grows, with the price and without? Where do the two part, and how would you have noticed without the gold reward? What do the replies without a price have that the judge likes and a customer does not? Which of these differences are larger than those between the two seeds, and what do ten updates of one tiny model not tell you about others?

# %%
interpretation = """With the price both rewards rise: the proxy from 0.59 to 1.18 and 1.24, the gold from 0.93 to 1.31 and 1.23, and the distance stays near 4 nats. Without it
the proxy ends about as high, 1.05 and 1.26, but the policies are 12 nats away, and their gold, which was 1.2 at 3 nats, has fallen back to 0.99 and 1.11: somewhere in between the two part. The proxy
shows nothing of it, in one run it is the highest of all. The distance does, and so does the share of replies that end, 73 and 30 % against more than 90 % with the price; and anybody who reads the replies sees one next step
glued to another. The judge likes a next step and has hardly seen such replies. That running on costs nothing while the critic's word stands for the score of what is cut off is my guess. The difference of 0.22 is about twice those between seeds, 0.08 and 0.12, and both
pairs of seeds show it, but two seeds leave its size open. One tiny model and judge, one price and ten updates do not say where others part, only that a proxy that goes on rising is no sign that the replies get better."""  # SOLUTION

check("lab13.t1", interpretation)

# %% [markdown]
# ## Question 6: test somebody else's advantages (4 points, difficulty 4, 22 minutes)
#
# How far ahead an estimator looks is a matter of taste. `estimator(rewards, values, ended, after)` gets one reply as plain numbers, `rewards` and `values` as lists of the same length, and gives a list of advantages, one for each token. There is no discount, $\gamma = 1$. With $V_{t+1}$ behind the last token as in question 1, 0 if the reply `ended` and `after` if not, and with $\delta_t = r_t + V_{t+1} - V_t$, it promises:
#
# 1. the advantage of the **last** token is its $\delta$;
# 2. there is one $\lambda$ from 0 to 1, of its author's choice and the same for all tokens of a reply, with $A_t = \delta_t + \lambda A_{t+1}$ for all others.
#
# You are not told $\lambda$. Write `examples()`, a list of 1 to 24 inputs `(rewards, values, ended, after)` to try, and `holds(inputs, output)`: are the promises kept, up to rounding? A reply has 1 to 8 tokens, and all numbers lie between -10 and 10. Your test must pass several right estimators, and every wrong one must fail on one of your inputs. `check` tries six wrong ones, the grader more. What must an input contain for a mistake to show, and what would hide it?

# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    rewards, values = [0.5, -1.0, 2.0, -0.25, 3.0], [1.0, 0.75, -2.0, 1.5, 0.5]
    several = [(rewards[:n], values[:n], ended, after) for n in (1, 2, 3, 5) for ended in (True, False) for after in (4.0, -3.0)]
    return [*several, ([1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], True, 2.0), ([-2.0, -3.0, -1.0], [1.0, 2.0, 1.0], False, -1.0)]
    # END SOLUTION


def holds(inputs: tuple, output: list) -> bool:
    # BEGIN SOLUTION
    rewards, values, ended, after = inputs
    if len(output) != len(rewards):
        return False
    behind = [*values[1:], 0.0 if ended else after]
    deltas = [r + v - u for r, v, u in zip(rewards, behind, values)]
    carried = [a - d for a, d in zip(output, deltas)]
    if abs(carried[-1]) > 1e-6:
        return False
    least, most = 0.0, 1.0
    for now, following in zip(carried, output[1:]):
        if abs(following) < 1e-9:
            if abs(now) > 1e-6:
                return False
        else:
            least, most = max(least, now / following - 1e-6), min(most, now / following + 1e-6)
    return least <= most
    # END SOLUTION


check("lab13.q6", examples, holds)

# %% [markdown]
# ## Question 7: a run that went wrong (4 points, difficulty 4, 22 minutes)
#
# Somebody trained the fine-tuned model of this lab with PPO against the same judge: 16 updates of 32 replies, four passes over each, a price of 0.05. One thing is wrong. You get the log; a correct run stands beside it.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | nothing is paid for distance | `F` | the learning rate is 20 times too low |
# | `B` | the price is for the distance to the policy of the update before | `G` | the reward model reads the replies without their requests |
# | `C` | the loss has max in place of min | `H` | a reply may have 20 tokens |
# | `D` | the sign of the advantages is wrong | `I` | replies are sampled at temperature 0.5, and their probabilities read at 1 |
# | `E` | the score stands in the last column of the batch | | |
#
# The first eight numbers of the log come from the program itself, with what is wrong in it: the rewards that its judge gave, how many of them arrived among the rewards of the tokens, the distance that it computes (nats a reply), the ratios $\rho$ of all steps. What follows was measured afterwards on 150 held-out requests, in the right way and with up to 48 tokens a reply. Prove the cause from your run. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | the program sees a distance of less than 1 nat in the last 5 updates | `h` | the largest ratio of an update is above 30 on average |
# | `b` | the distance from the fine-tuned model is above 8 nats | `i` | at least 47 % of the requests are solved |
# | `c` | the program sees a distance of more than 5 nats in the last 5 updates | `j` | the reward of the last 5 updates is more than 0.5 above the proxy reward |
# | `d` | the reward is lower in the last 5 updates than in the first 5 | `k` | the reward of the first 5 updates is at least 0.1 above that of the correct run |
# | `e` | the scores among the rewards of the tokens are below 0.1 | `l` | a reply has fewer than 20 words |
# | `f` | fewer than 2 % of the ratios are clipped | `m` | the reward of the first 5 updates is at least 0.2 below that of the correct run |
# | `g` | fewer than 60 % of the replies end in the last 5 updates | | |
#
# Answer with the cause and one to three observations that are true of your run and that *together* would be seen neither under another cause nor in a correct run, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: what holds the policy back, what does the program not see of it, and where does the reward go?

# %% tags=["not-graded"]
runs = {name: recorded("lab13_faults")["results"][name] for name in filter(None, ("correct", my_run("lab13.q7", STUDENT)))}
fig, axes = plt.subplots(1, 2, figsize=(11, 3.2))
for name, run in runs.items():
    axes[0].plot(run["updates"], run["reward"], label=name)
    axes[1].plot(run["updates"], run["distance"], label=name)
for ax, what in zip(axes, ("reward that its judge gives", "distance that it sees (nats)")):
    ax.set(xlabel="update", ylabel=what)
axes[1].legend()
show(fig, alt="Reward and distance, as the program computes them, of a correct run and, once STUDENT is filled in, of yours.")
width = max(len(what) for what in runs["correct"])
print(" " * width, *(f"{name:>8}" for name in runs))
for what, value in runs["correct"].items():
    if isinstance(value, int | float):
        print(f"{what:<{width}}", *(f"{run[what]:>8g}" for run in runs.values()))
for name, run in runs.items():
    print(f"--- {name} ---", *(f"{request}\n    -> {reply}" for request, reply in run["samples"]), sep="\n")

# %%
diagnosis = {"cause": "H", "evidence": ["g", "l"]}  # SOLUTION

check("lab13.q7", diagnosis)

# %% [markdown]
# ## Open challenge: 45 seconds, and a judge to please
#
# Start from the fine-tuned model, `tuned`. You may ask the judge as often as you like, and draw requests of your own, `desk.requests(n, rng)`. You know nothing else of the desk: its gold reward, its lists of phrases, its demonstrations and its annotators are for measuring only. PPO with other settings, no critic, a group's mean in its place, DPO on pairs that the judge has ranked, fine-tuning on the best of many replies, averages of weights: all yours, with your own functions or the library's. In use the policy is alone: one reply to each request, sampled at temperature 1, no judge.
#
# The score is the mean gold reward on the 300 requests of the next cell; look at it once. How will you know when to stop, without the gold reward? The run above with the price, 10 updates, reaches about **1.20**: the score to beat. Training may take 45 seconds on a CPU.

# %% tags=["not-graded"]
try:
    with Stopwatch(45) as clock:
        challenger, _ = ppo(updates=1, every=0)   # 10 or more, whatever you have time for, when you mean it
    challenge = desk.requests(300, random.Random("requests of the challenge"))
    print(f"mean gold reward {measure(challenger, challenge)['gold']:.2f}")
except NotImplementedError:
    print("Not yet: finish questions 1 to 4 first.")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
best_reward = 1.28  # SOLUTION

check("lab13.c1", best_reward, seconds=None)  # seconds=clock.seconds puts the time into the line
