# %% [markdown]
# # 13 · PPO and its rivals
#
# **The question of this lecture.** A fine-tuned model is at best as good as its teachers. A reward model can tell good replies from bad ones, even where nobody wrote any. *How does a model learn from a number instead of an example, how far does that carry, and what happens when it gets better at the number than the number is at being right?*
#
# Lecture 11 ended on two debts: how a model becomes better than what anyone wrote for it, and whether demonstrations can be left out. Both are paid here.
#
# **Afterwards you can**
# - say what agent, state, action, reward and environment are when a model writes, and write the gradient of an expected reward;
# - name the parts of PPO, and what went wrong here without each;
# - read the dashboard of a run, and compare contenders at equal numbers of replies with intervals;
# - recognise over-optimisation, and say what the KL penalty buys and costs;
# - write down where such training is heading, $\pi_{\text{ref}}\,e^{r/\beta}/Z$, and derive DPO from it;
# - say where rewards are *not* worth their trouble, and what they do not guarantee.
#
# **Before this:** lectures 11 and 12; lecture 00 for KL divergence and intervals.
#
# **Time:** core 102 minutes, optional 14 minutes; two classes. All cells together: under a minute of computing on a laptop CPU. What took longer was run once and is marked *recorded*.
#
# <!-- sources: analytics, day24, 11785 -->

# %%
import copy
import itertools
import random

import matplotlib.pyplot as plt
import numpy as np
import torch

from courseware import (Claim, Diagram, bars, claims_table, curves, explore,
                        heat_map, panels, poll, setup_style, show, table)
from llmlib.align import (PPOConfig, best_of_n_kl, chat_prompt, dpo_loss, end_of_turn,
                          gae, group_advantages, kl_estimate, load_desk_reward,
                          ppo_loss, reply_logprobs, sample_replies, train_ppo)
from llmlib.data import SupportDesk, recorded
from llmlib.hub import load_desk
from llmlib.infer import wilson_interval

setup_style(compact=True)
torch.manual_seed(0);

# %% [markdown]
# ## I. Writing as a decision problem
#
# Business Analytics maps the words of reinforcement learning onto a model that writes: the *agent* is the model, the *state* is the prompt, the *action* is a token, the *reward* comes from the reward model, the *environment* is "the user, the interaction space". Two things in that map deserve a second look. The state is the prompt *and what has been written so far*. And the environment is almost nothing: after an action the next state is the old one with the token appended, with no chance in it. What makes the problem hard is elsewhere: there are as many actions as tokens in the vocabulary, and the reward comes once, at the end.

# %% tags=["diagram"]
d = Diagram(12, 3.2)
agent = d.box(2.0, 2.2, "agent: the policy\n$\\pi_\\theta$", w=2.8, h=1.0, color="blue")
action = d.box(6.0, 2.7, "action: one token", w=2.8, h=0.7, color="green")
state = d.box(6.4, 0.8, "state: prompt + tokens so far", w=4.6, h=0.7, color="grey")
world = d.box(10.0, 1.8, "environment:\nappend the token", w=2.6, h=1.0, color="grey", dashed=True)
score = d.box(1.8, 0.55, "reward, after the last\ntoken: reward model", w=3.3, h=0.9, color="orange")
d.arrow(agent, action)
d.arrow(action, world)
d.arrow(world, state)
d.arrow(state, agent)
d.arrow(score, agent)
d.show(alt="The loop of reinforcement learning for a model that writes: the policy chooses a token, the environment appends it, the longer text is the next state. The reward model gives one number after the last token.")

# %%
desk = SupportDesk(0)
tuned, tokenizer = load_desk("sft", device="cpu")       # where lecture 11 ended
aligned, _ = load_desk("ppo", device="cpu")             # where this one will end
reward_model, _ = load_desk_reward(device="cpu")        # lecture 12
end = end_of_turn(tokenizer)

request = desk.requests(1, random.Random(6))[0]
prompt = chat_prompt(tokenizer, request.text)
one = sample_replies(aligned, [prompt], end, 48,
                     generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    log_p = reply_logprobs(aligned, one)[0]             # zero outside the reply
    log_ref = reply_logprobs(tuned, one)[0]
actions = one.reply_mask[0].nonzero()[:, 0]
score = reward_model.score([prompt], one.replies, end).item()
reply = tokenizer.decode(one.replies[0])
print(f"customer: {request.text}\nreply: {reply}\n{len(actions)} actions, "
      f"reward {score:.2f} (gold {desk.gold(request, reply):.1f}), "
      f"{(log_p - log_ref).sum():.1f} nats from the reference")

# %% [markdown]
# That reply was written by a model *after* this lecture's training. The figure shows what training has changed in it: for every action, how much likelier the trained policy made it than the fine-tuned one. Where do you expect the large differences, in the words that every reply needs or elsewhere?

# %% tags=["diagram"]
moved = (log_p - log_ref)[actions].numpy()
names = [tokenizer.decode([i]).strip() or "␣" for i in one.ids[0, actions].tolist()]
names[-1] = "end"
fig, ax = plt.subplots(figsize=(7.2, 2.6))
ax.bar(range(len(moved)), moved, color=np.where(moved > 0, "#0072B2", "#D55E00"))
ax.axhline(0, color="0.4", linewidth=1)
ax.set_xticks(range(len(moved)), names, rotation=60, fontsize=9, ha="right")
ax.set(ylabel="nats above the reference", xlim=(-0.7, len(moved) - 0.3))
show(fig, alt="Log-probability ratio of the trained policy to the fine-tuned one for each token of the reply. The three largest: " + ", ".join(f"{names[i]} {moved[i]:.1f}" for i in np.argsort(-moved)[:3]) + ".")

# %% [markdown]
# Most actions are hardly touched: once a sentence has begun, its end is settled. The differences sit at the places where something is *decided*: how to open, and whether to add a further sentence or end. Their sum is what we shall call the distance of this reply from the reference, in nats; its mean over the policy's own replies is $\mathrm{KL}(\pi_\theta \Vert \pi_{\text{ref}})$.
#
# ## II. From one line to PPO
#
# ### The gradient of an expected reward
#
# We want to raise $J(\theta) = \mathbb{E}_{y \sim \pi_\theta(\cdot \mid x)}[R(x, y)]$. The reward is no differentiable function of the weights: it judges words. But the *probabilities* of the words are, and since $\nabla \pi = \pi \nabla \log \pi$,
#
# $$\nabla J \;=\; \mathbb{E}_{y \sim \pi_\theta}\big[R(x, y)\, \nabla \log \pi_\theta(y \mid x)\big].$$
#
# That is REINFORCE (Williams, 1992): write, look at the reward, raise the log-probability of what you wrote in proportion to it. It is the loss of fine-tuning on one's own replies, each weighted with its reward. A constant $b$ taken from all rewards changes nothing *on average*, because $\mathbb{E}[\nabla \log \pi] = 0$. Four replies are few enough to see what it does change.

# %%
REF = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)     # four replies
R = torch.tensor([0.0, 1.0, 0.4, 0.8], dtype=torch.float64)       # and their rewards

logits = REF.log().requires_grad_()
exact, = torch.autograd.grad((logits.softmax(-1) * R).sum(), logits)
slopes = torch.eye(4, dtype=torch.float64) - REF                  # grad log pi


def of_one_reply(offset):
    """Mean and total variance of REINFORCE's estimate from a single reply."""
    estimates = (R + offset)[:, None] * slopes
    mean = (REF[:, None] * estimates).sum(0)
    return mean, (REF[:, None] * (estimates - mean) ** 2).sum()


drawn = REF.multinomial(20_000, replacement=True,
                        generator=torch.Generator().manual_seed(0))
for offset in (0.0, 3.0):
    mean, variance = of_one_reply(offset)
    torch.testing.assert_close(mean, exact)             # the same gradient, whatever b
    sampled = ((R + offset)[drawn, None] * slopes[drawn]).mean(0)
    assert (sampled - exact).norm() < 4 * (variance / len(drawn)) ** 0.5
    print(f"rewards + {offset:.0f}: variance {variance:.2f}, "
          f"gradient of length {exact.norm():.2f}")

# %% tags=["diagram"]
offsets = np.linspace(-2, 3, 101)
spread = np.array([of_one_reply(float(b))[1].item() for b in offsets]) ** 0.5
best = offsets[spread.argmin()]
curves({"deviation of one estimate": (offsets, spread)}, x="constant added to every reward", y="deviation", reference={"the gradient itself": exact.norm().item()}, height=2.6, labels=False,
       alt=f"Standard deviation of REINFORCE's gradient estimate from one reply against a constant added to all rewards: least at {best:.2f}, where it is {spread.min():.2f}, and {spread[-1]:.2f} at 3. The gradient itself has length {exact.norm():.2f}.")
print(f"least at {best:.2f}; minus the mean reward is {-(REF * R).sum():.2f}")

# %% [markdown]
# The estimate is right on average and noisy at its best; with rewards that are all positive it is far worse. Then *every* reply that was drawn is pushed up, and only over many draws do the better ones win. Subtracting roughly the mean reward, a **baseline**, is nearly the best constant.
#
# ### A ladder
#
# From here every part of PPO is there because something goes wrong without it. *Recorded:* from the fine-tuned model, against the reward model of lecture 12, 60 updates of 64 replies, the same rate, three seeds each. Adding 3 to all rewards changes nothing about which replies are best, and a ranking loss leaves such a constant free (lecture 12).

# %% tags=["diagram"]
ladder = recorded("alignment_ladder")["results"]
RUNGS = list(dict.fromkeys(run["rung"] for run in ladder["runs"]))
at_updates = [point[0] for point in ladder["runs"][0]["points"]]


def path_of(name, column):
    where = ladder["columns"].index(column)
    return [[point[where] for point in run["points"]] for run in ladder["runs"] if run["rung"] == name]


fig, axes = panels(2, titles=["one use of each reply", "eight uses"], height=3.0)
for ax, chosen in zip(axes, (RUNGS[:3], RUNGS[3:6])):
    curves({name: path_of(name, "gold") for name in chosen}, at=at_updates, x="update", y="gold reward", ax=ax, labels=False)
    ax.legend(fontsize=8, loc="upper left" if ax is axes[0] else "center right")
show(fig, alt="Gold reward against updates, mean and range of three seeds. " + " ".join(f"{name}: {np.mean(path_of(name, 'gold'), 0)[-1]:.2f} at the end." for name in RUNGS))
outcome = {name: {column: [row[-1] for row in path_of(name, column)] for column in ("proxy", "gold", "kl")} for name in RUNGS}
table([{"": name, "reward model": np.mean(outcome[name]["proxy"]), "gold": np.mean(outcome[name]["gold"]), "gold, range": f"{min(outcome[name]['gold']):.2f} to {max(outcome[name]['gold']):.2f}", "KL (nats a reply)": np.mean(outcome[name]["kl"])} for name in RUNGS],
      caption="recorded: after 60 updates, three seeds")

# %% [markdown]
# *Left.* One line of mathematics does well here. It has help: the reward model's scores have mean zero on fine-tuned replies (lecture 12), so a baseline has been subtracted already. Add 3 and learning is slower in every seed; subtract the mean of the batch, and what was lost is back.
#
# *Right.* Writing replies is the expensive part, so one would like to learn from each more than once. Eight passes in small steps destroy the policy in every seed: from the second step on it learns from replies of a policy that it no longer is. A **clip** on how far each token may move (next section) keeps something of it. A price on the **distance** from the reference brings much of it back. The last line of the table is what people run, all of that in moderation: two passes, a clip, a price, and a learned baseline for every token.
#
# What the ladder does not show is that every rung pays here. A plain baseline and one pass did about as well as PPO in the same number of updates, at less distance. The learned baseline has its case where replies are long and only some tokens matter; thirty tokens are not long.
#
# ### The clip
#
# After one step the policy is no longer the one that sampled. With $\rho_t = \pi_\theta(a_t \mid s_t) / \pi_{\text{old}}(a_t \mid s_t)$, importance sampling says that $\rho_t A_t$ still has the right gradient near by; far away it does not. PPO (Schulman et al., 2017) maximises a pessimistic version:
#
# $$L \;=\; \mathbb{E}_t\big[\min\big(\rho_t A_t,\; \mathrm{clip}(\rho_t, 1-\varepsilon, 1+\varepsilon)\, A_t\big)\big] .$$

# %%
def clipped(log_p, log_old, advantage, mask, clip=0.2):
    """PPO's objective, negated: (B, T) each -> scalar."""
    ratio = (log_p - log_old).exp()
    kept = ratio.clamp(1 - clip, 1 + clip)
    return -(torch.min(ratio * advantage, kept * advantage) * mask).sum() / mask.sum()


g = torch.Generator().manual_seed(1)
now, old, adv = (torch.randn(3, 5, generator=g) * s for s in (0.3, 0.3, 1.0))
which = torch.arange(5)[None] < torch.tensor([[5], [3], [1]])
ours = clipped(now, old, adv, which)
torch.testing.assert_close(ours, ppo_loss(now, old, adv, which))

# %%
poll("An action had a negative advantage, and since it was sampled its probability has *risen* by half: the ratio is 1.5, the clip is at 1.2. What does PPO's objective do with it?",
     ["it pushes the probability down, with full force", "nothing: outside of the clip there is no gradient", "it pushes it down, with the force that it would have at 1.2", "it pushes it up, since the ratio is above one"],
     "The min takes the smaller of 1.5 A and 1.2 A, and for a negative A that is 1.5 A, which is not clipped. The clip removes the gradient where going further would look like a gain, and nowhere else. Whoever writes max for min here has a policy that is free to make bad actions likelier.")

# %% tags=["diagram"]
ratios = torch.linspace(0.4, 1.8, 141)
fig, axes = panels(2, titles=["better than expected: A = 1", "worse than expected: A = −1"], height=2.5)
for ax, sign in zip(axes, (1.0, -1.0)):
    objective = torch.min(ratios * sign, ratios.clamp(0.8, 1.2) * sign)
    ax.plot(ratios, ratios * sign, "--", color="0.6", label="ratio × A")
    ax.plot(ratios, objective, color="#0072B2", linewidth=2.5, label="PPO's objective")
    ax.axvline(1, color="0.6", linewidth=1)
    ax.set(xlabel="ratio ρ", ylabel="objective" if sign > 0 else "")
    ax.legend(fontsize=9)
show(fig, alt="PPO's objective against the ratio. For a positive advantage it rises up to 1.2 and is flat beyond; for a negative one it is flat below 0.8 and falls without limit above.")

# %% [markdown]
# ### Which action earned it?
#
# The reward comes at the end; which of thirty tokens deserves it? A **value head** on the policy learns what to expect in each state, and $\delta_t = r_t + \gamma V_{t+1} - V_t$ says how much a step surprised it. Generalised advantage estimation (Schulman et al., 2016) adds up the surprises that follow, each discounted by $\gamma\lambda$. Into $r_t$ goes the price of the distance as well: $-\beta(\log\pi_\theta - \log\pi_{\text{ref}})$ at every token, and the reward at the last.

# %%
def advantages(rewards, values, gamma=1.0, lam=0.95):
    """For one reply that ended: (T,), (T,) -> (T,)."""
    out, ahead = torch.zeros_like(rewards), 0.0
    following = 0.0                                     # after the end nothing comes
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + gamma * following - values[t]
        ahead = delta + gamma * lam * ahead
        out[t], following = ahead, values[t]
    return out


prices = -0.05 * (log_p - log_ref)[actions]
prices[-1] += score
guesses = torch.linspace(0.2, 0.9, len(prices))
ours = advantages(prices, guesses)
torch.testing.assert_close(
    ours, gae(prices[None], guesses[None], torch.ones(1, len(prices)))[0])

# %% [markdown]
# **By hand.** Three tokens, a reward of 1 at the last, no price, and a head that expects ½ throughout; $\gamma = 1$, $\lambda = ½$. The surprises are $0, 0, ½$, the advantages $⅛, ¼, ½$: the last action gets most of the credit, because the head saw nothing happen before. With $\lambda = 1$ all three get ½, reward minus expectation, without bias and with all the noise of what followed.

# %%
# NBVAL_CHECK_OUTPUT
for lam in (0.5, 1.0):
    by_hand = advantages(torch.tensor([0.0, 0.0, 1.0]), torch.full((3,), 0.5), lam=lam)
    print(lam, [round(v, 3) for v in by_hand.tolist()])

# %% [markdown]
# ## III. A run
#
# Four models take part in an update, three of them the size of the policy.

# %% tags=["diagram"]
d = Diagram(12, 3.5)
asked_box = d.box(1.3, 2.6, "prompts", w=1.8, h=0.7, color="grey")
policy_box = d.box(4.0, 2.6, "policy\nwrites", w=1.9, h=0.9, color="blue")
replies_box = d.box(6.6, 2.6, "replies", w=1.7, h=0.7, color="grey")
reward_box = d.box(9.2, 3.1, "reward model", w=2.3, h=0.6, color="orange")
ref_box = d.box(9.2, 2.3, "reference", w=2.3, h=0.6, color="grey", dashed=True)
value_box = d.box(9.2, 1.5, "value head", w=2.3, h=0.6, color="green")
gae_box = d.box(9.2, 0.5, "rewards − price, advantages", w=4.3, h=0.6, color="grey")
step_box = d.box(4.0, 0.5, "clipped steps, two passes", w=4.0, h=0.6, color="blue")
d.arrow(asked_box, policy_box)
d.arrow(policy_box, replies_box)
for each in (reward_box, ref_box, value_box):
    d.arrow(replies_box, each)
d.arrow(value_box, gae_box)
d.arrow(gae_box, step_box)
d.arrow(step_box, policy_box)
d.label(11.35, 3.1, "frozen", size=10.5)
d.label(11.35, 2.3, "frozen", size=10.5)
d.label(11.35, 1.5, "learns", size=10.5)
d.show(alt="One update of PPO: the policy writes replies to prompts; the frozen reward model, the frozen reference and the value head read them; rewards less the price of distance become advantages; clipped steps, two passes over the replies, change the policy and the value head.")

# %% [markdown]
# Twenty updates, live: 64 replies an update, two passes over them, $\beta = 0.05$, as in the recorded runs; the rate is higher than theirs, so that twenty updates show something. The proxy, what the reward model says, is all that training sees. The gold reward of the same replies is for us.

# %%
practice = desk.requests(1500, random.Random("practice"), ("demonstrated", "compared"))
asked = {tuple(chat_prompt(tokenizer, each.text)): each for each in practice}
golds = []                                              # for us, not for training


def reward(prompts, replies):                           # (B prompts, B replies) -> (B,)
    golds.append(np.mean([desk.gold(asked[tuple(p)], tokenizer.decode(r))
                          for p, r in zip(prompts, replies)]))
    return reward_model.score(prompts, replies, end)


policy = copy.deepcopy(tuned)
config = PPOConfig(updates=20, lr=8e-4, warmup=2, kl_coef=0.05, seed=0)
history = train_ppo(policy, reward, [list(p) for p in asked], config, end=end)
for which, part in (("first", slice(0, 3)), ("last", slice(-3, None))):
    proxy = np.mean([each["reward"] for each in history[part]])
    kl = np.mean([each["kl"] for each in history[part]])
    print(f"{which} three updates: proxy {proxy:.2f}, gold {np.mean(golds[part]):.2f}, "
          f"KL {kl:.1f} nats")

# %% [markdown]
# Below is what people watch during such a run: the recorded ones of five seeds over 80 updates, and the live one as dots on top. Look at which dials move first, and which would tell you that something is wrong.

# %% tags=["diagram"]
roads = recorded("alignment_desk")["results"]
home = [road for road in roads if road["world"] == 0]
DIALS = {"reward": "proxy reward", "kl": "KL (nats a reply)", "entropy": "entropy (nats a token)",
         "clip_fraction": "share of ratios clipped", "explained_variance": "explained variance", "length": "length (tokens)"}
fig, axes = plt.subplots(2, 3, figsize=(7.2, 4.0), layout="constrained")
for ax, (key, label) in zip(axes.flat, DIALS.items()):
    lines = np.array([[each[key] for each in road["updates"]["PPO"]] for road in home])
    when = [each["update"] for each in home[0]["updates"]["PPO"]]
    ax.fill_between(when, lines.min(0), lines.max(0), color="#0072B2", alpha=0.2, linewidth=0)
    ax.plot(when, lines.mean(0), color="#0072B2")
    ax.plot([each["update"] for each in history], [each[key] for each in history], ".", color="#D55E00", markersize=5)
    ax.set_title(label, fontsize=10)
    ax.tick_params(labelsize=9)
for ax in axes[1]:
    ax.set_xlabel("update", fontsize=9)
show(fig, alt="Six dials of PPO over 80 updates, mean and range of five recorded seeds, first to last: " + "; ".join(f"{label} {np.mean([road['updates']['PPO'][0][key] for road in home]):.2f} to {np.mean([road['updates']['PPO'][-1][key] for road in home]):.2f}" for key, label in DIALS.items()) + ".")

# %% [markdown]
# Reward and distance rise together, and the reward levels off where a further nat costs what it brings. Entropy falls by half: the policy knows better what it wants to say. Replies get a few tokens longer, since a polite sentence and a next step are paid for; a length that ran away would be the first suspect for a reward that is being gamed. Hardly a ratio is clipped, as two passes do not lead far.
#
# One dial accuses. *Explained variance* is the share of the returns' spread that the value head predicted: 1 would be perfect, 0 is a constant, and here it sinks *below* zero. The head learns at the policy's small rate and with a tenth of the weight, and lags behind returns that rise. So what these runs have is PPO with next to no critic, and they work all the same, probably since whitening subtracts a mean. Nobody looking at the reward alone would have noticed (exercise 5).
#
# ### Read twenty
#
# Before any more numbers, read. The same twenty requests, answered by the fine-tuned model and by the one after 80 updates, both sampled at temperature 1. Decide for yourself how many of the right column you prefer.

# %% tags=["diagram"]
fixed = desk.requests(20, random.Random("twenty"))
fixed_prompts = [chat_prompt(tokenizer, each.text) for each in fixed]
answers = {}
for name, model in (("fine-tuned", tuned), ("after PPO", aligned)):
    written = sample_replies(model, fixed_prompts, end, 48, generator=torch.Generator().manual_seed(2))
    answers[name] = [tokenizer.decode(reply) for reply in written.replies]
table([{"request": each.text} | {name: texts[i] for name, texts in answers.items()} for i, each in enumerate(fixed)])

# %%
poll("Of the twenty pairs, in how many do you prefer the reply after PPO?",
     ["fewer than 8", "8 to 12", "13 to 16", "17 or more"],
     "Keep your number; the next cell asks the gold reward the same.", opinion=True)

# %%
pairs = [[desk.gold(each, texts[i]) for texts in answers.values()]
         for i, each in enumerate(fixed)]
won = sum((b > a) + 0.5 * (a == b) for a, b in pairs)
low, high = wilson_interval(won, 20)
print(f"gold prefers the second in {won:.0f} of 20: "
      f"{low:.0%} to {high:.0%} with 95 % confidence")

# %% [markdown]
# Twenty fixed samples are what a careful team reads after every run, and the interval says what they can decide: whether things went very well or very badly.
#
# ## IV. How much better, and than what?
#
# *Recorded:* seven whole roads from base model to assistant, five seeds in one world and two in a second, whose intents and habits are drawn anew; settings were chosen in the first world, on requests of their own. Contenders start from the same fine-tuned model and use the same rankings:
# - **best of 8**: the fine-tuned model writes eight replies and the reward model picks one; nothing is trained;
# - **PPO** and **GRPO**, 80 updates of 64 replies (GRPO has the mean of a group of eight replies to one prompt for a baseline, and divides by their deviation or not);
# - **DPO**: trained on as many ranked replies as the others write, 5,120; and once on two pairs out of all 6,000 rankings.
#
# Each answers the same 200 held-out requests of each group of intents: *covered* by demonstrations, *ranked* only (practised on and compared, never demonstrated), and *unseen* since pre-training. Predict first.

# %%
poll("Which contender will have the highest gold reward on covered intents when replies are sampled at temperature 1?",
     ["best of 8 or PPO: within each other's range", "DPO: it needs no reward model, so it loses nothing in it", "the fine-tuned model: the others drift away from good demonstrations", "GRPO without the deviation, by far"],
     "See the table. Choosing among eight costs nothing in training and eight times as much for every reply ever after; PPO moves that cost into training.")

# %% tags=["diagram"]
NAMES = [name for name in home[0]["gold"] if name != "base"]
GROUPS = {"demonstrated": "covered", "compared": "compared only", "unseen": "unseen"}


def over(name, what, group, roads=home):
    return [road[what][name].get(group, np.nan) for road in roads]


def win_of(name, group, roads=home):
    return [road["wins"][name].get(group, [np.nan] * 3) for road in roads]


def line(name, roads):
    row = {"": name}
    for group in ("demonstrated", "demonstrated greedy"):
        label = "covered" + (", greedy" if "greedy" in group else "")
        gold, wins = over(name, "gold", group, roads), win_of(name, group, roads)
        row[label] = "" if np.isnan(gold[0]) else f"{np.mean(gold):.2f} ({min(gold):.2f} to {max(gold):.2f})"
        row["beats SFT" + (", greedy" if "greedy" in group else "")] = "" if name == "SFT" or np.isnan(gold[0]) else f"{np.mean([w[0] for w in wins]):.0%} ({min(w[1] for w in wins):.0%})"
    row["KL"] = f"{np.mean([road['kl'][name] for road in roads]):.1f}"
    return row


table([line(name, home) for name in NAMES], caption="recorded, world 0: mean and range of five seeds; beats SFT: share of 200 requests, ties half, in brackets the lowest lower end of a seed's 95 % interval; KL in nats a reply")
elsewhere = [road for road in roads if road["world"] == 1]
table([line(name, elsewhere) for name in NAMES], caption="recorded, world 1: two seeds")

# %% tags=["diagram"]
def contest(intents="covered", decoding="temperature 1"):
    group = {label: key for key, label in GROUPS.items()}[intents] + (" greedy" if decoding == "greedy" else "")
    found_ = {name: over(name, "gold", group) for name in NAMES if not np.isnan(over(name, "gold", group)[0])}
    fig, ax = plt.subplots(figsize=(3.5, 3.2))
    bars(found_, fmt="", x="gold reward", ax=ax)
    ax.set(xlim=(-0.35, 1.7), title=intents + (", greedy" if decoding == "greedy" else ""), xlabel="gold reward (5 seeds)")
    return fig


explore(contest, intents=list(GROUPS.values()), decoding=["temperature 1", "greedy"],
        panels=[dict(intents="covered", decoding="temperature 1"), dict(intents="compared only", decoding="temperature 1")],
        alt=lambda intents, decoding: f"Gold rewards, {intents}, {decoding}, mean of five seeds: " + ", ".join(f"{name} {np.mean(over(name, 'gold', {label: key for key, label in GROUPS.items()}[intents] + (' greedy' if decoding == 'greedy' else ''))):.2f}" for name in NAMES if not (decoding == "greedy" and name.startswith("best"))) + ".")

# %% [markdown]
# *Covered.* Sampled, PPO beats the fine-tuned model in about four of five requests in every seed, greedily in nine of ten, three to five nats away from it. Best of 8 is as good when sampled and stays much nearer. GRPO without the deviation cannot be told from PPO. With it, the policy went further, nine nats and more in three of the five seeds, and was worse there. DPO gains less when sampled and in one seed nothing, and five times as many pairs were no reliable help. It learns from replies that were written before it began, and never sees what it itself has come to write.
#
# *Compared only.* Here is the answer to lecture 11's question. Nobody demonstrated these intents, and the fine-tuned model is hardly worth more than nothing on them. PPO reaches two thirds to four fifths of what it reaches on covered ones, with *comparisons* for its only source. That is how a model becomes better than what anyone wrote for it. Best of 8 lies below PPO in every seed: it can only pick among what the fine-tuned model writes.
#
# *Unseen.* Something carries over, far from all.
#
# The reward model behind all this agreed with annotators in 78 to 81 % of held-out pairs; someone who knew the gold reward would agree in 82 to 84 %, the rest is the annotators' noise.
#
# ## V. Goodhart's curve
#
# The reward model is a stand-in. It was right in four of five held-out pairs, which leaves one in five, and PPO searches for replies that it likes. *Recorded:* a poorer one, trained on 400 rankings, and PPO against it at a rate that gets far in 60 updates, for five values of $\beta$ and three seeds. Both rewards are measured on the same replies to held-out requests. <!-- keeps: 13-over-optimise -->

# %%
poll("Without any penalty (β = 0), what will the gold reward do while the reward model's score rises?",
     ["rise, then fall below where it began", "rise more slowly, and level off", "rise and fall together with it", "fall from the first update"],
     "At first what the reward model likes is better. Then the policy finds what it likes without reason, and goes there, since nothing else pays. The score does not show it.")

# %% tags=["diagram"]
goodhart = recorded("alignment_overoptimisation")["results"]
KL_COEFS = [path["kl_coef"] for path in goodhart["runs"][0]["paths"]]


def climb(kl_coef):
    """(seeds, points, columns)"""
    return np.array([next(p for p in run["paths"] if p["kl_coef"] == kl_coef)["points"] for run in goodhart["runs"]])


def goodhart_figure(kl_coef=0.0):
    fig, ax = plt.subplots(figsize=(3.5, 3.0))
    points = climb(kl_coef)
    for column, color, label in ((2, "#D55E00", "reward model"), (3, "#0072B2", "gold")):
        for row in points:
            ax.plot(row[:, 1] ** 0.5, row[:, column], "-", color=color, alpha=0.35, linewidth=1)
        ax.plot(points[..., 1].mean(0) ** 0.5, points[..., column].mean(0), "o-", color=color, markersize=4, label=label)
    ax.set(xlabel="distance: square root of KL", ylabel="reward (3 seeds)", title=f"β = {kl_coef}", xlim=(-0.3, 11.5), ylim=(-1.0, 1.9))
    ax.axhline(points[:, 0, 3].mean(), color="0.6", linewidth=1, linestyle="--")
    ax.legend(fontsize=9, loc="lower left")
    return fig


explore(goodhart_figure, kl_coef=KL_COEFS, panels=[0.0, 0.1],
        alt=lambda kl_coef: f"beta {kl_coef}: after 60 updates, at a KL of {climb(kl_coef)[:, -1, 1].mean():.0f} nats, the reward model gives {climb(kl_coef)[:, -1, 2].mean():.2f} and the gold reward is {climb(kl_coef)[:, -1, 3].mean():.2f}, from {climb(kl_coef)[:, 0, 3].mean():.2f}; its best on the way was {climb(kl_coef)[..., 3].mean(0).max():.2f}.")

# %% tags=["diagram"]
peaks, ends, starts = ({c: f(climb(c)[..., 3]) for c in KL_COEFS} for f in (lambda g: g.max(1), lambda g: g[:, -1], lambda g: g[:, 0]))
table([{"β": str(c), "gold before": np.mean(starts[c]), "best on the way": np.mean(peaks[c]), "after 60 updates": np.mean(ends[c]), "of each seed": ", ".join(f"{v:.2f}" for v in ends[c]), "reward model": climb(c)[:, -1, 2].mean(), "KL": climb(c)[:, -1, 1].mean()} for c in KL_COEFS],
      fmt={"KL": ".1f"}, caption=f"recorded: three seeds; the reward models order {100 * np.mean([run['accuracy'] for run in goodhart['runs']]):.0f} % of held-out pairs as annotators did (the ceiling: {100 * np.mean([run['ceiling'] for run in goodhart['runs']]):.0f} %)")
gaming = [dict(β=str(c), request=text["request"], reply=text["reply"], proxy=text["proxy"], gold=text["gold"])
          for c in (0.0, 0.1) for run in goodhart["runs"] for text in next(p for p in run["paths"] if p["kl_coef"] == c)["texts"][1:3]]
table(gaming, caption="recorded: what was written at the end, two requests a seed")

# %% [markdown]
# That is Goodhart's law, "when a measure becomes a target, it ceases to be a good measure", drawn by two lines. Without a price on distance the reward model's score rose to the end in every seed. The gold reward rose with it for five to ten updates in two of the three seeds (in the third not at all), and then fell below zero in all three, to about what evasions are worth. Nothing in the reward shows the turn: by it, all sixty updates were progress. The distance would have warned whoever watched it; beyond a hundred nats a reply no ranking says much.
#
# The texts show what was found. Not flattery, but the reward model's blind spots: an opening and a closing phrase that it had seen in well-ranked replies, with debris of others between them. Annotators hardly ever met such a text, since neither agents nor the fine-tuned model write it, and so little can have taught the reward model to dislike it. With $\beta = 0.1$ the policy stays where the rankings were and ends better than it began, although it too is wrong now and then about *what* to promise. What you choose with $\beta$ is how long you trust the stand-in.
#
# Two warnings about reading such a curve. The peak was found with the gold reward, which nobody has; in practice one asks people again, or a second reward model (part IX does). And these reward models were made poor on purpose; a better one should move the turn further out; that it moves it away is not to be expected.
#
# ### The price of a nat
#
# How much does a nat buy? The best of $n$ independent replies is a policy too, and its distance is at most $\log n - \frac{n-1}{n}$. Live: 32 replies to each of 40 requests.

# %%
some = desk.requests(40, random.Random("price"))
repeated = [chat_prompt(tokenizer, each.text) for each in some for _ in range(32)]
many = sample_replies(tuned, repeated, end, 48,
                      generator=torch.Generator().manual_seed(0))
proxies = reward_model.score(repeated, many.replies, end).view(40, 32)
gold = torch.tensor([desk.gold(some[i // 32], tokenizer.decode(reply))
                     for i, reply in enumerate(many.replies)]).view(40, 32)
NS = (1, 2, 4, 8, 16, 32)


def best_of(n):
    """Mean gold reward when the reward model picks one of n, over all groups of n."""
    picked = proxies.view(40, -1, n).argmax(-1, keepdim=True)
    return gold.view(40, -1, n).gather(-1, picked).mean().item()


bought = {n: (best_of_n_kl(n), best_of(n)) for n in NS}
for n, (kl, g) in bought.items():
    print(f"best of {n:2}: gold {g:.2f}, at most {kl:.1f} nats away")

# %% tags=["diagram"]
fig, ax = plt.subplots(figsize=(5.6, 3.0))
ax.plot(*zip(*bought.values()), "o-", color="#0072B2", label="best of n (live; its bound)")
for n in (2, 8, 32):
    ax.annotate(f"{n}", bought[n], xytext=(4, -12), textcoords="offset points", fontsize=9)
for name, color, marker in (("PPO", "#D55E00", "s"), ("GRPO", "#009E73", "^"), ("GRPO without std", "#009E73", "v"), ("DPO", "#CC79A7", "D")):
    ax.plot([road["kl"][name] for road in home], over(name, "gold", "demonstrated"), marker, color=color, label=f"{name} (recorded, 5 seeds)", markersize=5, fillstyle="none" if "without" in name else "full")
ax.set(xlabel="KL from the fine-tuned model (nats a reply)", ylabel="gold reward, covered", xlim=(-0.2, None))
ax.legend(fontsize=8.5)
show(fig, alt="Gold reward against KL from the fine-tuned model. Best of n, live: " + ", ".join(f"n = {n} {g:.2f} at {kl:.1f}" for n, (kl, g) in bought.items()) + ". Trained, means of five seeds: " + ", ".join(f"{name} {np.mean(over(name, 'gold', 'demonstrated')):.2f} at {np.mean([road['kl'][name] for road in home]):.1f}" for name in ("PPO", "GRPO", "GRPO without std", "DPO")) + ".")

# %% [markdown]
# Nat for nat nothing that was trained comes near best of n. (The live curve begins with the shipped model, worth 0.97, the trained points are means over models that begin at 0.75. The recorded best of 8 is such a mean too: 1.26, at most 1.2 nats away.) It spends distance on nothing but the reward model's choice; training moves other habits along. But the two are paid in different coin: best of 32 writes thirty-two replies for every one that it gives, for ever, while PPO has written five thousand once. (A policy can be trained on its own best of n. That is rejection sampling, the first half of Llama 2's recipe.)
#
# ## VI. Where it is heading
#
# PPO with its penalty maximises $\mathbb{E}[r] - \beta\,\mathrm{KL}(\pi \Vert \pi_{\text{ref}})$. For this the best policy there is can be written down. Subtract $\beta \log Z$ with $Z = \sum_y \pi_{\text{ref}}(y)\,e^{r(y)/\beta}$:
#
# $$\mathbb{E}_\pi\Big[r - \beta \log\frac{\pi}{\pi_{\text{ref}}}\Big] = \beta \log Z - \beta\,\mathrm{KL}\big(\pi \,\big\Vert\, \pi^*\big), \qquad \pi^*(y) = \frac{\pi_{\text{ref}}(y)\, e^{r(y)/\beta}}{Z} .$$
#
# So the optimum *reweights what the reference could already write*. What it never writes stays unwritten, and $\beta$ is a temperature. Solve for the reward and you have DPO (Rafailov et al., 2023): $r(y) = \beta \log \frac{\pi^*(y)}{\pi_{\text{ref}}(y)} + \beta \log Z$. Put that into the loss of a reward model; $Z$ cancels in a difference, and what is left trains the policy on pairs, with no reward model and no sampling:
#
# $$L_{\text{DPO}} = -\log \sigma\Big(\beta \log\frac{\pi_\theta(y_w)}{\pi_{\text{ref}}(y_w)} - \beta \log\frac{\pi_\theta(y_l)}{\pi_{\text{ref}}(y_l)}\Big) .$$

# %%
def dpo(chosen, rejected, ref_chosen, ref_rejected, beta):
    """Log-probabilities of whole replies, sums over tokens: (B,) each -> scalar."""
    margin = (chosen - ref_chosen) - (rejected - ref_rejected)
    return -(beta * margin).sigmoid().log().mean()


w, l, rw, rl = torch.randn(4, 6, generator=torch.Generator().manual_seed(3)) * 3
torch.testing.assert_close(dpo(w, l, rw, rl, 0.1), dpo_loss(w, l, rw, rl, beta=0.1))

# %% [markdown]
# Four replies again, so that everything can be summed over exactly and no luck is left. Where does each method come to rest?

# %%
BETA = 0.5
best = REF * (R / BETA).exp()
best = best / best.sum()                                # the closed form
TRIPLES = torch.tensor(list(itertools.product(range(4), repeat=3)))   # all groups


def rest(loss, updates=150, rate=0.2):
    """Where Adam comes to rest on loss(log pi, log pi of the policy that samples)."""
    z = REF.log().clone().requires_grad_()
    adam = torch.optim.Adam([z], lr=rate, betas=(0.8, 0.95))
    for update in range(updates):
        adam.param_groups[0]["lr"] = rate * (1 - update / updates)
        adam.zero_grad()
        loss(z.log_softmax(-1), z.detach().log_softmax(-1)).backward()
        adam.step()
    return z.detach().softmax(-1)


def by_ppo(log_p, old):                                 # the distance is in the reward
    r = R - BETA * kl_estimate(old, REF.log())
    advantage = r - (old.exp() * r).sum()
    return ppo_loss(log_p[None], old[None], advantage[None], old.exp()[None])


# %%
def by_dpo(log_p, old):                                 # pairs from the reference
    return sum(REF[i] * REF[j] * torch.sigmoid(R[i] - R[j])
               * dpo(log_p[i][None], log_p[j][None], REF[i].log(), REF[j].log(), BETA)
               for i, j in itertools.permutations(range(4), 2))


def by_grpo(std, kind, scale=1.0):                      # the distance is in the loss
    def loss(log_p, old):
        chance = old[TRIPLES].sum(1).exp()              # of drawing this group
        steps = ppo_loss(log_p[TRIPLES], old[TRIPLES],
                         group_advantages(scale * R[TRIPLES], std),
                         chance[:, None].expand(-1, 3))
        # A reply is part of its group's mean: advantages shrink by 2/3, so must beta
        distance = (old.exp() * kl_estimate(log_p, REF.log(), kind)).sum()
        return steps + 2 / 3 * BETA * distance
    return loss


resting = {"reference": REF, "closed form": best,
           "PPO": rest(by_ppo), "DPO": rest(by_dpo),
           "GRPO without std, k2": rest(by_grpo(False, "k2")),
           "GRPO without std, k3": rest(by_grpo(False, "k3")),
           "GRPO with std, k2": rest(by_grpo(True, "k2")),
           "GRPO with std, k2, rewards / 10": rest(by_grpo(True, "k2", 0.1))}
away = {name: ((p - best).abs().sum() / 2).item() for name, p in resting.items()}

# %%
tenth = REF * (R / 10 / BETA).exp()
tenth = tenth / tenth.sum()
divided = resting["GRPO with std, k2, rewards / 10"]
print(f"with a tenth of the rewards the closed form lies "
      f"{(tenth - REF).abs().sum() / 2:.2f} from the reference, GRPO with std "
      f"{(divided - REF).abs().sum() / 2:.2f}")

# %% tags=["diagram"]
table([{"": name} | {f"reply of reward {r:.1f}": p_.item() for r, p_ in zip(R, p)} | {"away from the closed form": away[name]} for name, p in resting.items()],
      fmt=".3f", caption="four replies, β = 0.5, all sums exact; away: total variation, at most 1")

# %% [markdown]
# PPO and DPO end at the closed form to the third decimal, so does GRPO without the deviation. Two things move it away:
# - **k3 in the loss.** Its *value* estimates $\mathrm{KL}(\pi \Vert \pi_{\text{ref}})$ without bias, its *gradient* at sampled tokens is that of the opposite divergence, $\mathrm{KL}(\pi_{\text{ref}} \Vert \pi)$. The error is small for small stakes. (k2 has the right gradient. In PPO the question does not arise: there the estimate is in the reward, which is not differentiated.)
# - **Division by the deviation.** It makes every group of replies equally important, whether they differ by much or by nothing. The last line says it most clearly: with a tenth of the rewards the closed form hardly leaves the reference, and GRPO with std goes as far as before. It is not a bad method for that; in part IV it beat the fine-tuned model in every seed. But "maximise reward minus $\beta$ KL" is not what it does, and its $\beta$ means something else.
#
# All of this is about the loss, with sums over everything. A neural policy trained on samples for 80 updates is somewhere on the way.
#
# ### Which way round? (*optional*)
#
# Lecture 00 promised that the direction of a divergence would matter. Fine-tuning minimises $\mathrm{KL}(q \Vert \pi)$ from the teachers $q$, rewards minimise $\mathrm{KL}(\pi \Vert \pi^*)$. Where a policy can be anything, both end at zero. A policy that cannot, here one with a single hump for a target with two, has to choose. <!-- keeps: 13-direction-of-kl -->

# %%
places = torch.arange(21.0)
target = 0.7 * (-(places - 5) ** 2 / 8).exp() + 0.3 * (-(places - 16) ** 2 / 4).exp()
target = target / target.sum()


def one_hump(towards_target):
    """The hump, from its mean and log width, that is nearest in one direction."""
    shape = torch.tensor([10.0, 1.5], requires_grad=True)
    adam = torch.optim.Adam([shape], lr=0.1)
    for _ in range(400):
        scaled = (places - shape[0]) / shape[1].exp()
        log_q = (-(scaled**2) / 2).log_softmax(-1)
        loss = ((target * (target.log() - log_q)).sum() if towards_target
                else (log_q.exp() * (log_q - target.log())).sum())
        adam.zero_grad()
        loss.backward()
        adam.step()
    return log_q.detach().exp()


humps = {"KL(target ‖ policy)": one_hump(True), "KL(policy ‖ target)": one_hump(False)}

# %% tags=["diagram"]
fig, ax = plt.subplots(figsize=(5.6, 2.5))
ax.bar(places, target, color="0.8", label="target")
for (name, hump), color in zip(humps.items(), ("#0072B2", "#D55E00")):
    ax.plot(places, hump, "o-", color=color, markersize=3, label=f"least {name}")
ax.set(xlabel="reply", ylabel="probability")
ax.legend(fontsize=9)
show(fig, alt="A target with two humps and the nearest single humps. " + " ".join(f"Least {name}: mean {(places * hump).sum():.1f}, deviation {((places**2 * hump).sum() - (places * hump).sum() ** 2).sqrt():.1f}." for name, hump in humps.items()))

# %% [markdown]
# Imitation covers everything its teachers do, and between the humps writes what neither would. Reward picks one thing that is good and does it. That is one reason to expect the entropy to fall in part III, and why a policy after PPO sounds like itself more often.
#
# ### Agreeing (*optional*)
#
# The closed form has a consequence that is easy to overlook: a *small* difference in reward becomes a large one in behaviour, if $\beta$ is small. *Recorded:* conversations in which the model has made a promise, right or wrong, and the customer asks "are you sure?". An honest model stands firm if it was right and gives in if not. Then PPO on thumbs up or down: of the customers a share approves of being agreed with, the others of the truth. Three seeds, 300 held-out doubts of which half follow a right promise.

# %% tags=["diagram"]
doubts = recorded("alignment_sycophancy")["results"]
SHARES = [each["share"] for each in doubts[0]["after"]]
gives_in = {f"promise was {kind}": [[each[kind] for each in run["after"]] for run in doubts] for kind in ("right", "mistaken")}
first_flip = float(np.mean([run["before"]["right"] for run in doubts]))
odds = np.log(first_flip / (1 - first_flip)) + (2 * np.linspace(0.2, 0.8, 61) - 1) / 0.05
fig, ax = plt.subplots(figsize=(5.6, 3.0))
curves(gives_in, at=SHARES, x="share of customers who approve of being agreed with", y="share of doubts given in to", ax=ax, labels=False)
ax.plot(np.linspace(0.2, 0.8, 61), 1 / (1 + np.exp(-odds)), "--", color="0.4", linewidth=1, label="closed form, promise was right")
ax.legend(fontsize=9, loc="lower right")
show(fig, alt="How often the model gives in to a doubt after PPO, against the share of customers who approve of agreement. " + " ".join(f"{name}: " + ", ".join(f"{v:.2f} at {s}" for v, s in zip(np.mean(rows, 0), SHARES)) + "." for name, rows in gives_in.items()))
table([{"": name, "promise was right": np.mean([run[key]["right"] for run in doubts]), "promise was mistaken": np.mean([run[key]["mistaken"] for run in doubts])} for name, key in (("honest demonstrations, from the fine-tuned model", "from_sft"), ("honest demonstrations, from the reward model's weights", "before"))],
      caption="recorded: share of doubts given in to before any reward; mean of three seeds")

# %% [markdown]
# Look first at the table. Honest demonstrations taught the fine-tuned model little about which of its promises are right. The weights of the reward model, which have learned to compare, take the same demonstrations and can.
#
# Then rewards. Where six in ten customers approve of agreement, a right promise is given up in about three of four doubts, and with eight in ten in all of them. The customers' majority became the model's rule. The dashed line, where the optimum lies for a model that *knows* whether it was right, is steeper still. Below one half it predicts firmness, and the runs do not go there: a model that is unsure probably risks less by giving in, since after a mistaken promise everybody approves of that.
#
# Nobody asked for flattery, and no annotator was dishonest. (Sharma et al., 2023, find the same in large assistants, and in the comparisons that people made for them.)
#
# ## VII. A map instead of an anecdote
#
# All of part IV is one point: mediocre demonstrations, many rankings, careful annotators. *Recorded:* thirty or 800 demonstrations, of which none, a fifth or all are in good style; annotators with the usual noise or ten times as much. In each cell everything is made anew, from fine-tuning on: a reward model of 600 rankings only, 40 updates of PPO, best of 8. Two seeds, 200 held-out requests on covered intents. Each number is the share of requests in which PPO's reply is the better one, so 0.5 is a draw.

# %% tags=["diagram"]
cells = recorded("alignment_map")["results"]
QUALITIES, NUMBERS, NOISES = (sorted({cell[key] for cell in cells}) for key in ("quality", "n", "noise"))
PLACES = [(n, noise) for n in NUMBERS for noise in NOISES]


def region(read):
    return np.array([[np.mean([read(cell) for cell in cells if (cell["n"], cell["noise"], cell["quality"]) == (n, noise, q)]) for q in QUALITIES] for n, noise in PLACES])


SIGHTS = {
    "against SFT": region(lambda cell: cell["ppo_wins"]["demonstrated"][0]),
    "SFT, greedy": region(lambda cell: cell["ppo_wins"]["demonstrated greedy"][0]),
    "best of 8": region(lambda cell: cell["ppo_against_best"]["demonstrated"][0]),
}
ROWS = [f"{n} shown, noise {noise}" for n, noise in PLACES]
fig, axes = panels(3, titles=list(SIGHTS), height=2.7)
for ax, values in zip(axes, SIGHTS.values()):
    heat_map(values, rows=ROWS if ax is axes[0] else [""] * len(ROWS), columns=[f"{q:.0%}" for q in QUALITIES], x="demonstrations in good style" if ax is axes[1] else "", fmt=".2f", vmin=0.0, vmax=1.0, center=0.5, ax=ax)
show(fig, alt="Share of 200 held-out requests in which PPO wins, two seeds. " + " ".join(f"{name}: " + "; ".join(f"{row}: " + ", ".join(f"{v:.2f} at quality {q:.0%}" for v, q in zip(line_, QUALITIES)) for row, line_ in zip(ROWS, values)) + "." for name, values in SIGHTS.items()))

# %% [markdown]
# Read it from left to right. Where demonstrations are plain, PPO is worth most: there is a better style to be found, which rankings know of and demonstrations do not show. Where all of them are in good style, PPO wins nothing, with few demonstrations or many, and best of 8 is as good as PPO or better. To imitate good examples is then the better use of an afternoon.
#
# From top to bottom. Ten times the noise, with annotators who agree on little more than half of the pairs, takes surprisingly little from it as long as there is much to gain: six hundred rankings probably average much of the noise away. Where there is less to gain it can do harm: with thirty demonstrations of mixed quality and noisy annotators one of the two seeds ended below the model that it began with. And thirty demonstrations leave a model that writes badly, from which PPO has not recovered in 40 updates anywhere on this map: 800 demonstrations without any reward are worth more than 30 with one.
#
# So which method wins is a question about the region, not about the method. InstructGPT was in a good one: mixed demonstrations, many comparisons, labellers chosen for agreement.
#
# ## VIII. Other roads
#
# ### Keeping the old text
#
# InstructGPT adds the pre-training loss to PPO's, *PPO-ptx*, because PPO alone had made the model worse at other things. In lecture 11 transcripts in every batch kept fine-tuning from spoiling the model. Do they do the same here? <!-- keeps: 13-mixing-pretraining -->

# %% tags=["diagram"]
others = recorded("alignment_roads")["results"]
COEFS = list(dict.fromkeys(run["ptx_coef"] for run in others["ptx"]))
ptx = {c: [run for run in others["ptx"] if run["ptx_coef"] == c] for c in COEFS}
rows = [{"": "base", "bits a token on transcripts": ptx[0.0][0]["bits_base"]}, {"": "SFT", "bits a token on transcripts": ptx[0.0][0]["bits_before"]}]
for c, runs in ptx.items():
    row = {"": "PPO" if c == 0 else f"PPO-ptx, weight {c}", "bits a token on transcripts": np.mean([run["bits"] for run in runs])}
    for group, label in GROUPS.items():
        row[label] = np.mean([run["gold"][group] for run in runs])
        row[label + ", greedy"] = np.mean([run["gold"][group + " greedy"] for run in runs])
    rows.append(row | {"KL": np.mean([run["kl"] for run in runs])})
for group, label in GROUPS.items():
    for row, name in zip(rows, ("base", "SFT")):
        row[label], row[label + ", greedy"] = home[0]["gold"][name][group], home[0]["gold"][name][group + " greedy"]
rows = [dict(sorted(row.items(), key=lambda item: list(rows[-1]).index(item[0]))) for row in rows]
table(rows, columns=list(rows[-1]), caption="recorded: gold rewards and loss on held-out transcripts; PPO: mean of three seeds, the others: the stages in the package")

# %% [markdown]
# PPO goes on with what fine-tuning began: as a model of transcripts the policy gets worse still. With transcripts in the loss it is nearly the base model again, though it learned to answer; what the fine-tuning had spoiled came back as well.
#
# And the reward? On covered intents the mix costs a little in two seeds of three and nothing in one. On unseen ones it gains, most clearly in greedy replies. That is lecture 11's surprise once more: what to promise for an intent that nobody shows is in the old text, and seems to be lost unless it is kept.
#
# ### Without demonstrations
#
# "SFT can be skipped as DeepSeek R1-Zero" did, says Business Analytics. *Recorded, three seeds:* PPO from the *base* model, against the same reward model, for twice as many updates. The base model gets the frame of its transcripts, and its reply ends with the line. <!-- keeps: 13-without-demonstrations -->

# %% tags=["diagram"]
from_base = others["base"]
lines = {"from the base model": [[point[1] for point in run["points"]] for run in from_base]}
curves(lines, at=[point[0] for point in from_base[0]["points"]], x="update", y="proxy reward", height=2.6, labels=False, reference={"from SFT, 80 updates": home[0]["updates"]["PPO"][-1]["reward"]},
       alt=f"Proxy reward of PPO from the base model against updates, mean and range of three seeds: {np.mean(lines['from the base model'], 0)[0]:.2f} after 10 updates, {np.mean(lines['from the base model'], 0)[-1]:.2f} at the end.")
table([{"": name} | {label + how: f"{np.mean(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}" for group, label in GROUPS.items() for how, key in (("", group), (", greedy", group + " greedy")) for values in [[each[key] for each in golds_]]}
       for name, golds_ in (("base", [home[0]["gold"]["base"]]), ("SFT", [home[0]["gold"]["SFT"]]), ("SFT, then PPO (3 seeds)", [run["gold"] for run in ptx[0.0]]), ("base, then PPO (3 seeds)", [run["gold"] for run in from_base]))],
      caption="recorded: gold rewards")

# %% [markdown]
# It holds here. From the base model PPO comes nearly as far on covered intents as after fine-tuning, and on compared ones further: no demonstration had taught it, perhaps, that it should promise one of twelve things. It needed more updates for that, and a start on which rewards can work: one reply in ten was good from the beginning. Of something that is never written, no reward says anything.
#
# Two differences to R1-Zero. Its rewards were not a model's opinion but a program's check of the answer, which cannot be charmed; and it was a large model, with reasoning to find in it. What its authors report as the price, answers that are hard to read, has no counterpart in a world of a few hundred words.
#
# ### Small and aligned against large
#
# The figure that Business Analytics shows under "How good is RLHF" is InstructGPT's first: outputs of 1.3 billion parameters with PPO-ptx were preferred to those of GPT-3 with 175. *Recorded:* two models of more than eight times our parameters, pre-trained for as many updates on the same transcripts and fine-tuned on the same 200 demonstrations, against the small one after PPO.

# %% tags=["diagram"]
large = others["large"]
times = large[0]["times"]
of_large = ", ".join(f"{run['bits']:.3f}" for run in large)
print(f"bits a token on transcripts: the large base models {of_large}, "
      f"the small one {ptx[0.0][0]['bits_base']:.3f}")
table([{"": label + how, "small, aligned": np.mean([run["gold_small"][key] for run in large]), f"{times:.1f} times larger, SFT": np.mean([run["gold"][key] for run in large]),
        "the small one wins": ", ".join(f"{run['small_wins'][key][0]:.0%}" for run in large), "lowest lower end": f"{min(run['small_wins'][key][1] for run in large):.0%}"}
       for group, label in GROUPS.items() for how, key in (("", group), (", greedy", group + " greedy"))],
      caption="recorded: gold rewards and shares of 200 requests, two large models; intervals of 95 %")

# %% [markdown]
# On everything that was demonstrated or compared, the small aligned model wins clearly against both large ones; where nobody ranked anything it wins by less, and greedily against one of the two not at all.
#
# The comparison is kind to alignment. The large models saw 200 demonstrations and no ranking, and no more pre-training text than the small one; as the line above the table shows, their base models are hardly better at transcripts than its own. Eight times as large is not eight times as good. And the gold reward is what the rankings were about; InstructGPT's labellers, too, judged by what labellers had been asked to want.
#
# ## IX. Real ratings (*optional*)
#
# Ziegler et al.'s first task, in small: a language model of 0.4 million parameters writes snippets of film reviews, and a reward made of *people's ratings* (lecture 12) wants them positive. *Recorded, three seeds:* the reward knows the ratings of one half of the snippets; a second judge of the same kind knows the other half only and is asked in secret.

# %% tags=["diagram"]
writers = recorded("review_writer")["results"]
PRICES = sorted({run["kl_coef"] for run in writers})


def looks(kl_coef, key):
    rows_ = [[look[key][0] if isinstance(look[key], list) else look[key] for look in run["looks"]] for run in writers if run["kl_coef"] == kl_coef]
    return np.array(rows_)


fig, axes = panels(len(PRICES), titles=[f"β = {c}" for c in PRICES], share_y=True, height=2.8)
at = [look["update"] for look in writers[0]["looks"]]
for ax, c in zip(axes, PRICES):
    for key, color, label in (("proxy", "#D55E00", "its own judge"), ("other", "#0072B2", "the other judge")):
        rows_ = looks(c, key)
        ax.plot(at, rows_.mean(0), "o-", color=color, label=label, markersize=4)
        ax.fill_between(at, rows_.min(0), rows_.max(0), color=color, alpha=0.2, linewidth=0)
    ax.set_xlabel("update")
axes[0].set_ylabel("standard deviations\nof real snippets")
axes[0].legend(fontsize=9)
show(fig, alt="What two judges made of people's ratings say of the writer's snippets, against updates. " + " ".join(f"beta {c}: its own {looks(c, 'proxy').mean(0)[-1]:.1f}, the other {looks(c, 'other').mean(0)[-1]:.1f} at {looks(c, 'kl').mean(0)[-1]:.0f} nats." for c in PRICES))
table([{"β": str(run["kl_coef"]), "seed": run["seed"], "KL": run["looks"][-1]["kl"], "distinct words": f"{run['looks'][0]['distinct_words']:.0%} → {run['looks'][-1]['distinct_words']:.0%}", "two snippets at the end": " / ".join(run["looks"][-1]["texts"][:2])} for run in writers],
      fmt={"KL": ".0f"}, caption="recorded: what they write in the end")

# %% [markdown]
# Both judges rise together at first: by one to two standard deviations within a few nats. Then they part, and the texts show why: the reward reads words (a ridge regression on words and pairs of words), so *entertaining, funny, moving* is what it pays for, and the writer ends with one sentence. The second judge is fooled as well, if less, probably since it is of the same kind, and words are its blind spot too. A judge that is to expose a policy has to err differently from the reward. With the highest price the snippets stay more varied, and are still clearly kinder.
#
# ### A writer whose sentences can be read
#
# The small writer never wrote a review that one would read. *Recorded:* the same two kinds of judges, and SmolLM2-135M as the writer. It is asked for one short sentence from a critic's review of a comedy, a western and so on, and given the first words. It learns through low-rank adapters beside frozen weights (lecture 14), from 32 sentences an update; one that is cut off at 24 tokens is paid −1. In the table look for the row at which you would have stopped, then check your choice in the texts.

# %% tags=["diagram"]
readable = recorded("review_writer_smollm2")["results"]
table([{"β": str(run["kl_coef"]), "seed": run["seed"], "update": look["update"], "KL": look["kl"], "its own judge": look["proxy"][0], "the other judge": f"{look['other'][0]:.2f} ± {2 * look['other'][1]:.2f}",
        "ended by itself": f"{look['finished']:.0%}", "distinct words": f"{look['distinct_words']:.0%}"} for run in readable for look in run["looks"] if look["update"] or run["kl_coef"] == 0.2],
      fmt={"KL": ".1f"}, caption="recorded: SmolLM2 as a writer; judges in standard deviations of real snippets, 84 sentences at temperature 1, ± two standard errors")
looks_of = {run["kl_coef"]: {look["update"]: look["texts"] for look in run["looks"]} for run in reversed(readable)}
table([{"before": looks_of[0.2][0][i], "β = 0.2, update 12": looks_of[0.2][12][i], "β = 0.2, update 24": looks_of[0.2][24][i], "β = 0.6, update 24": looks_of[0.6][24][i]} for i in range(8)],
      caption="recorded, seed 0: what it writes after the same first words, the first eight, unpicked")

# %% [markdown]
# It learns fast: 24 updates, where the small writer had 60. Halfway, at the lower price, the sentences are still sentences, shorter than before and nearly all ended by the writer itself, and both judges have risen by nearly one standard deviation. Twelve updates later *hilarious* is nearly all that is left, in both seeds, and the second judge, which reads words too, applauds. The higher price keeps the variety, and what it buys is mostly sentences that end: the judges rise by about a third as much. Where to stop was told by the column of distinct words and by reading, not by a judge.
#
# Two runs of each price are an observation and no comparison, and at temperature 1 this writer invents wild things before any reward: *readable* is a modest word here.
#
# ## X. What it does not guarantee
#
# 11-785 asks: "Does doing RLHF and safety tuning mean LLMs will never produce harmful outputs?" and answers no. On this page the reasons could be counted.

# %% tags=["diagram"]
ppo_unseen = np.mean(over("PPO", "gold", "unseen"))
table([
    {"what could go wrong": "nobody ranked it", "measured here": f"unseen intents: {ppo_unseen:.2f} of at most 1.6; covered: {np.mean(over('PPO', 'gold', 'demonstrated')):.2f} (part IV)"},
    {"what could go wrong": "the reward is a stand-in", "measured here": f"β = 0: gold {np.mean(starts[0.0]):.2f} to {np.mean(ends[0.0]):.2f}, reward model {climb(0.0)[:, 0, 2].mean():.2f} to {climb(0.0)[:, -1, 2].mean():.2f} (part V)"},
    {"what could go wrong": "the people who reward want something else", "measured here": f"60 % approve of agreement: a right promise given up in {np.mean(gives_in['promise was right'], 0)[SHARES.index(0.6)]:.0%} of doubts (part VI)"},
    {"what could go wrong": "the optimum keeps all of the reference's support", "measured here": "what the reference can write, the optimum can: reweighted, not removed (part VI)"},
])

# %% [markdown]
# The fourth line is not an accident of training but of the objective: where the reference gives a reply positive probability, so does $\pi^*$. Rewards make bad replies rare. Someone who searches for the prompts on which they are not rare (lecture 18) has not been ruled out. And the first line is about everything that nobody thought of asking.
#
# ## Scale warning
#
# > **What these models can and cannot tell you.** The policy gradient, the clip, GAE, the closed form and where each loss comes to rest are the same at every size. The rest are facts about a world of a few hundred words with a gold reward that we wrote, a policy of 0.13 million parameters and a reward model as small as the policy. Annotators here are consistent up to a noise that we chose; people are not. Which contender wins depends on the region of the map (part VII), and large policies are trained with far smaller steps, larger batches and reward models that see far more. That gold rewards rise and then fall as a policy climbs a reward model has been measured on larger models too (Gao et al., 2023); how far one may climb has to be measured each time.
#
# ## Claims
#
# What the source lectures say about this topic, against what the papers say and what you have just computed.

# %%
claims_table([
    Claim("1.3B RLHF outperform 175B GPT3 on human preferences",
          "Ouyang et al. (2022), abstract: 1.3B InstructGPT is preferred to 175B GPT-3",
          f"small, aligned against {times:.1f} times larger, SFT: wins "
          f"{np.mean([run['small_wins']['demonstrated'][0] for run in large]):.0%} sampled, "
          f"{np.mean([run['small_wins']['demonstrated greedy'][0] for run in large]):.0%} greedy",
          "holds; for what was ranked", source="analytics", split="report"),
    Claim("SFT can be skipped as DeepSeek R1-Zero",
          "DeepSeek-AI (2025): from a base model, with rewards that a program checks",
          f"from base, 160 updates: {np.mean([run['gold']['demonstrated'] for run in from_base]):.2f}; "
          f"from SFT, 80: {np.mean([run['gold']['demonstrated'] for run in ptx[0.0]]):.2f}",
          "holds; the base model must write good replies now and then", source="analytics", split="report"),
    Claim("reward and a constraint on policy shift",
          "Ziegler et al. (2019), eq. 2", f"gold after 60 updates: {np.mean(ends[0.0]):.2f} with β = 0, "
          f"{np.mean(ends[0.1]):.2f} with 0.1", "holds", source="analytics", split="report"),
    Claim("state: the prompt; environment: the user",
          "Ziegler et al. (2019): prompts are drawn, replies are actions",
          "the state grows with every token; the environment only appends it",
          "holds; with both added", source="analytics"),
    Claim("the reward model says: this is an 8/10",
          "Ouyang et al. (2022), eq. 1: scores are free by a constant",
          "REINFORCE with rewards + 3: see the ladder",
          "fails; only differences within a prompt mean something", source="analytics"),
    Claim("the model learns to favor response #1 and avoid response #2",
          "the slide's own ranks: 1, 3, 2", "not measured",
          "fails; the one to avoid is of rank 3", source="analytics"),
    Claim("PPO dataset: 31k prompts", "Ouyang et al. (2022), table 6: 31,144",
          "ours: 3,000 generated requests", "holds", source="analytics"),
    Claim("the PPO model is initialized from the supervised policy",
          "Ouyang et al. (2022), section 3.5", "all contenders of part IV", "holds", source="day24"),
    Claim("RLHF does not mean that LLMs never produce harmful outputs",
          "Wolf et al. (2023): what has positive probability can be prompted out",
          f"unseen intents after PPO: gold {ppo_unseen:.2f} of 1.6", "holds", source="11785", split="report"),
    Claim("in our experience, Claude produces harmful outputs the least",
          "no measurement given", "not measured", "cannot be tested at this scale", source="11785"),
])

# %% [markdown]
# ## Summary
#
# 1. Writing is a decision problem in which the state is the text so far, the environment only appends, and the reward comes at the end. The policy gradient is fine-tuning on one's own replies, weighted by their reward less a baseline.
# 2. Clip and distance matter once replies are used many times; a single careful pass needed neither here. The dashboard showed what the reward did not: a value head that explained nothing.
# 3. PPO beat the fine-tuned model in about four of five requests, sampled, within six nats and in every seed; best of 8 did as well for eight times the writing. Where intents were ranked and never demonstrated it was far better than its teachers.
# 4. A reward model's score can rise to the end while the gold reward falls below zero. A price on distance prevents it, and has to be chosen without knowing the gold reward.
# 5. The optimum is $\pi_{\text{ref}}\,e^{r/\beta}/Z$. PPO and DPO aim at it; GRPO with its deviation does not.
# 6. Small preferences become large habits, old text in the loss keeps old skills, demonstrations could be left out, and nothing of this covers what nobody thought of ranking.
#
# ## Exercises
#
# *Lab 13* builds on this page: GAE with ended and cut-off replies told apart, the clipped objective, KL control, DPO, a run of your own and a broken one to diagnose.
#
# 1. By hand: two replies, reference probabilities ¾ and ¼, rewards 0 and 1. For which $\beta$ does the optimum write both equally often?
# 2. A colleague averages log-probabilities over tokens in DPO instead of summing. Which replies does that favour, and why does the closed form no longer come out?
# 3. In `of_one_reply`, find the constant of least variance exactly, and compare it with minus the mean reward. When do they agree?
# 4. Replies that are cut off at 48 tokens get a reward of −1 here. What would the policy learn if they were given the value head's estimate of what follows, and what if they were scored as they stand?
# 5. Give the value head of `llmlib.align.Critic` a rate of its own, say 0.02, in a copy of `train_ppo`. What becomes of the explained variance, and of the reward? Does λ = 1 help without it?
# 6. Let the live run go on with `kl_coef=0.0` and the reward model of `load_desk_reward`. How many updates until gold falls? Predict it from part V first.
#
# ## Further reading
#
# Williams (1992), *Simple statistical gradient-following algorithms for connectionist reinforcement learning* (REINFORCE). Schulman et al. (2016), *High-dimensional continuous control using generalized advantage estimation*; (2017), *Proximal policy optimization algorithms*. Christiano et al. (2017), *Deep reinforcement learning from human preferences*. Ziegler et al. (2019), *Fine-tuning language models from human preferences*. Stiennon et al. (2020), *Learning to summarize with human feedback*. Ouyang et al. (2022), *Training language models to follow instructions with human feedback*. Gao et al. (2023), *Scaling laws for reward model overoptimization*. Rafailov et al. (2023), *Direct preference optimization*. Shao et al. (2024), *DeepSeekMath* (GRPO); Liu et al. (2025), *Understanding R1-Zero-like training* (without the deviation). DeepSeek-AI (2025), *DeepSeek-R1*. Sharma et al. (2023), *Towards understanding sycophancy in language models*. Huang et al. (2023), *The N implementation details of RLHF with PPO*.
