# %% [markdown]
# # 06 · Mixture of experts
#
# **The question of this lecture.** In a dense Transformer every token goes through every matrix of every block. *What is gained, and what is still paid, if each token meets only a few of them?*
#
# Business Analytics promises "performance of larger models at inference cost of smaller ones". This page builds such a layer, watches it fail and be mended, races it against dense models at four kinds of equal cost, and then takes the slide's sentence apart: which performance, and cost in what?
#
# **Afterwards you can**
# - write a router, its losses and a dispatch that runs each expert once, and say what each line is for;
# - recognise a router that has collapsed, and mend it in two ways;
# - say *equal to what* when a mixture is compared with a dense model, and name a case where it loses;
# - count total and active parameters, operations, and bytes read per token for any batch;
# - check what slides say about Mixtral and GPT-4.
#
# **Before this:** lectures 03 and 04. Lecture 07 is of help for the part on several devices.
#
# **Time:** core 75 minutes, optional 31 minutes; one class. All cells together: under a minute of computing on a laptop CPU. What took longer was run once and is marked *recorded*.
#
# <!-- sources: analytics -->

# %%
import math
import time
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from courseware import (
    Claim, Diagram, claims_table, curves, explore, panels, poll, setup_style, show,
    steps, table,
)
from llmlib.data import random_batch, recorded, split_text, tiny_shakespeare, windows
from llmlib.model import (
    MixtureOfExperts, ModelConfig, MoEConfig, Transformer, active_parameters,
    balancing_loss, count_parameters, expected_experts, flops_per_token,
    parameter_table, preset, record, route, weight_bytes_per_pass, z_loss,
)
from llmlib.text import CharTokenizer
from llmlib.train import next_token_loss

setup_style(compact=True)
torch.manual_seed(0);

# %% [markdown]
# ## I. Where the weights are
#
# **By hand.** A block of GPT-2 has four matrices of $d \times d$ in its attention and two of $d \times 4d$ in its feed-forward network (FFN): $4d^2$ against $8d^2$. So two thirds of a block's weights are in the FFN, for every $d$. Does that hold for models since?

# %%
# NBVAL_CHECK_OUTPUT
for name in ("gpt2", "llama2-7b", "llama2-70b", "mixtral-8x7b"):
    parts = dict(parameter_table(preset(name)))
    ffn = parts.get("mlp", 0) + parts.get("experts", 0) + parts.get("router", 0)
    of_blocks = ffn / (ffn + parts["attention"])
    print(f"{name:13} FFN {ffn / 1e9:6.2f} billion weights, {of_blocks:.0%} of the "
          f"blocks, {ffn / sum(parts.values()):.0%} of the model")

# %% [markdown]
# Two thirds in GPT-2's blocks and in Llama-2-7B; more in the 70B model, whose grouped queries (lecture 04) thin the attention out. (GPT-2's blocks are only a part of GPT-2: its table of embeddings is large.) Mixtral stands apart, and is what this page is about.
#
# A comma and a theorem are multiplied with the same matrices. A **mixture of experts** (Shazeer et al., 2017) puts several FFNs, the *experts*, in the place of one, and a small linear layer, the *router*, that picks $k$ of $n_E$ for each token in each block. What the weights *hold* and what a token *costs* are no longer the same number.

# %% tags=["diagram"]
d = Diagram(12, 4.0)
d.label(2.6, 3.75, "dense", bold=True)
d.stream((0.6, 0.5), (0.6, 3.6), "")
ffn = d.box(2.9, 2.0, "FFN", w=1.6, h=1.6)
add = d.plus(0.6, 3.0)
d.arrow((0.75, 1.0), (2.9, 1.16))
d.arrow(ffn.top, add)
d.label(2.9, 0.4, "every token, every weight", size=11)
d.label(8.3, 3.75, "mixture of 4 experts, top 2", bold=True)
d.stream((5.2, 0.5), (5.2, 3.6), "")
router = d.box(6.4, 0.95, "router", w=1.2, h=0.55, color="orange")
d.arrow((5.35, 0.95), router)
sum_ = d.plus(8.3, 3.2, r"$\Sigma$")
for i, x in enumerate((7.0, 8.3, 9.6, 10.9)):
    on = i in (0, 2)
    expert = d.box(x, 2.1, f"FFN {i + 1}", w=1.15, h=0.85, color="blue" if on else "grey", dashed=not on)
    if on:
        d.arrow((6.6, 1.23) if i == 0 else (7.0, 0.95), expert.bottom, color="orange")
        d.arrow(expert.top, sum_)
        d.label(x, 2.95, "0.7" if i == 0 else "0.3", size=11)
add2 = d.plus(5.2, 3.2)
d.arrow(sum_, add2)
d.label(8.9, 0.35, "this token meets FFN 1 and 3", size=11)
d.show(alt="Left, a dense block: the residual stream goes through one FFN and is added back. Right, a mixture: a router reads the token's vector and sends it to FFN 1 and 3 of 4; their outputs, weighted 0.7 and 0.3, are added to the stream.")

# %% [markdown]
# Attention, norms and embeddings stay as they were, for all tokens. And nothing in the drawing says what an expert is expert *in*: that, if anything, has to come out of training.
#
# ## II. The layer, written out
#
# ### Router and top-k
#
# For a token's vector $x$ the router computes logits $z = W_r x$, one per expert, and a softmax $p$. The $k$ likeliest experts run; their outputs are added with weights that are made to sum to one:
#
# $$y \;=\; \sum_{e \,\in\, \text{top-}k} g_e \, \mathrm{FFN}_e(x), \qquad g_e = \frac{p_e}{\sum_{j \in \text{top-}k} p_j} .$$
#
# **By hand.** Four experts, $z = (2, 1, 0, -1)$. The exponentials are 7.39, 2.72, 1 and 0.37, their sum 11.48, so $p = (.64, .24, .09, .03)$. The top two get $.64 / .88 = .73$ and $.27$. That is the sigmoid of $2 - 1$: after renormalising, the experts that lost have no say in the weights. And with $k = 1$ the one weight is always 1, whatever the router says: its gradient would be zero. (Switch, with $k = 1$, therefore does not renormalise.)

# %%
# NBVAL_CHECK_OUTPUT
def my_route(logits, k, renormalise=True):
    """logits: (n, n_experts) -> chosen (n, k), weights (n, k), p (n, n_experts)."""
    p = logits.softmax(-1)
    weights, chosen = p.topk(k)
    if renormalise:
        weights = weights / weights.sum(-1, keepdim=True)
    return chosen, weights, p


logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]], requires_grad=True)
chosen, weights, p = my_route(logits, k=2)
print("p", p[0].detach().numpy().round(2), " chosen", chosen[0].tolist(),
      " weights", weights[0].detach().numpy().round(2))
many = torch.randn(1000, 8)
for mine, theirs in zip(my_route(many, 2), route(many, 2)):
    torch.testing.assert_close(mine, theirs)
for renormalise in (True, False):
    one = my_route(logits, 1, renormalise)[1].sum()
    slope, = torch.autograd.grad(one, logits)
    print(f"k = 1, renormalise={renormalise!s:5}: gradient of the weight",
          slope[0].numpy().round(2) + 0.0)

# %% [markdown]
# ### Dispatch
#
# Each token wants its own two matrices, and a processor wants large products. The way out is to turn the question round: not "which experts does this token need" but "which tokens does this expert get". List all $n \cdot k$ choices, sort them by expert, and each expert's tokens stand side by side.

# %% tags=["diagram"]
CHOSEN = [(1, 3), (0, 1), (1, 2), (3, 1), (0, 3)]
pairs = [(e, t) for t, es in enumerate(CHOSEN) for e in es]
by_expert = sorted(pairs)
HUE = ["blue", "orange", "green", "pink"]


def dispatch(stage):
    """Five tokens, four experts, top 2: the choices listed, sorted, run, and added up."""
    d = Diagram(5.8, 2.75)
    rows = pairs if stage == 0 else by_expert
    d.label(2.9, 2.55, ["choices, token by token", "sorted by expert", "each expert runs once", "weighted and added back"][stage], bold=True, size=11)
    for i, (e, t) in enumerate(rows):
        d.box(0.4 + 0.55 * i, 2.0, f"{'abcde'[t]}{e}", w=0.5, h=0.42, color=HUE[e], size=11)
        if stage != 2:
            low, high = (0.9 + 1.0 * t, 0.52), (0.4 + 0.55 * i, 1.78 if stage < 2 else 1.14)
            d.arrow(*((low, high) if stage < 2 else (high, low)))
    for e in range(4) if stage >= 2 else ():
        at = [i for i, row in enumerate(by_expert) if row[0] == e]
        d.box(0.4 + 0.55 * np.mean(at), 1.36, f"E{e}", w=0.55 * len(at) - 0.06, h=0.42, color=HUE[e], size=11)
    for t in range(5):
        d.box(0.9 + 1.0 * t, 0.3, "abcde"[t], w=0.6, h=0.42, color="grey")
    return d


steps([dispatch(s) for s in range(4)], panels=[0, 1, 2, 3], name="stage",
      alt=["Tokens a to e and their ten choices, token by token: " + " ".join(f"{'abcde'[t]}{e}" for e, t in pairs) + ".", "The same choices sorted by expert: " + " ".join(f"{'abcde'[t]}{e}" for e, t in by_expert) + ".", "Under them four experts, each as wide as its choices: 2, 4, 1 and 3.", "Arrows lead from each choice's result back to its token, two to each."])

# %%
def grouped(x, experts, chosen, weights):
    """Each expert once, on its own tokens. x: (n, d); chosen, weights: (n, k)."""
    order = chosen.flatten().argsort(stable=True)         # the n * k choices, by expert
    token = order // chosen.shape[1]                      # whose choice it was
    counts = torch.bincount(chosen.flatten(), minlength=len(experts)).tolist()
    made = torch.cat([expert(piece) for expert, piece
                      in zip(experts, x[token].split(counts)) if len(piece)])
    made = made * weights.flatten()[order, None]
    return torch.zeros_like(x).index_add(0, token, made)


def every_expert(x, experts, chosen, weights):
    """All experts on all tokens, most results thrown away."""
    gate = torch.zeros(len(x), len(experts)).scatter(1, chosen, weights)
    return sum(gate[:, [e]] * expert(x) for e, expert in enumerate(experts))


layer = MixtureOfExperts(ModelConfig(64, 1, 128, 4, moe=MoEConfig(n_experts=16)))
x = torch.randn(1024, 128)
chosen, weights, _ = my_route(layer.router(x), 2)
for way in (grouped, every_expert):
    torch.testing.assert_close(way(x, layer.experts, chosen, weights), layer(x))
    with torch.no_grad():
        took = []
        for _ in range(3):
            began = time.perf_counter()
            way(x, layer.experts, chosen, weights)
            took.append(time.perf_counter() - began)
    print(f"{way.__name__:13} {1000 * np.median(took):5.1f} ms")

# %% [markdown]
# All three agree, and the sorted one does an eighth of the work of running every expert, since two of sixteen is an eighth. How much of that arrives as time depends on the sizes: pieces of a batch are smaller matrices than the batch. (`benchmarks/moe_dispatch.py` measures it against other ways, transformers' among them.)
#
# ## III. A router left to itself
#
# Nothing so far asks the experts to share the work. Take a small mixture, two layers with eight experts each, of which every character of Shakespeare meets two, and train it on the language-model loss alone. The fair share of an expert is a quarter of the tokens; we print it as 1.

# %%
poll("At the start the eight experts' shares differ by accident. What happens to them during the first hundred updates, if only the language-model loss is trained?",
     ["the differences grow, and some experts get next to no tokens", "the differences shrink, because an expert with few tokens has more to learn and learns faster", "they stay about where the accident put them", "all but one expert run dry"],
     "The usual account, in Shazeer et al. (2017) as well: an expert that is chosen is trained, one that is not chosen is not, so the router has ever more reason to choose the first again. (An optional section below puts that account to a test.) All but one cannot run dry with two experts a token: an expert that every token chooses has a share of 4, the most there is, and the second place still goes to somebody.")

# %%
text = tiny_shakespeare()
tokenizer = CharTokenizer.from_text(text)
train_text, rest = split_text(text, 0.1)
choose_text, _ = split_text(rest, 0.5)
train, choose = (torch.tensor(tokenizer.encode(part))
                 for part in (train_text, choose_text))
V = tokenizer.vocab_size


def small_mixture(seed=0):
    torch.manual_seed(seed)
    return Transformer(ModelConfig(V, n_layers=2, d_model=64, n_heads=4, max_seq_len=64,
                                   moe=MoEConfig(8, 2, d_expert=96, balancing="none")))


def train_and_watch(model, updates=160, rescue_at=None):
    """-> shares of the experts, (updates, layers, experts); 1 is the fair one."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0)
    draws, loads = torch.Generator().manual_seed(0), []
    for update in range(updates):
        if update == rescue_at:
            for block in model.blocks:
                block.mlp.moe = replace(block.mlp.moe, balancing="auxiliary")
        with record(model, "blocks.*.mlp.load") as seen:
            total, count = next_token_loss(model, random_batch(train, 16, 64, draws))
        (total / count).backward()
        optimizer.step(), optimizer.zero_grad()
        loads.append(8 * torch.stack([seen[f"blocks.{i}.mlp.load"] for i in (0, 1)]))
    return torch.stack(loads)

# %%
def starved(loads, last=20):
    """Experts below a tenth of their share over the last updates, for each layer."""
    return (loads[-last:].mean(0) < 0.1).sum(1).tolist()


alone = small_mixture()
loads_alone = train_and_watch(alone)
print("left alone: starved in layers 0 and 1:", starved(loads_alone), "of 8")

# %% [markdown]
# A starved expert is memory paid for and hardly used, and the popular ones are the bottleneck of every batch. What can be done?
#
# ### The balancing loss
#
# Let $f_e$ be the share of the choices that went to expert $e$, and $P_e$ the mean probability the router gave it. Switch (Fedus et al., 2021) adds to the loss
#
# $$L_\text{balance} \;=\; \alpha \; n_E \sum_e f_e \, P_e .$$
#
# $f$ is a count and has no gradient; $P$ has one, and it is proportional to $f$: the busier an expert, the harder its probability is pushed down. A second loss, the **z-loss** (Zoph et al., 2022), is the mean square of $\log \sum_e e^{z_e}$, and is meant to keep the router's logits from growing.

# %%
# NBVAL_CHECK_OUTPUT
def my_balancing(chosen, p):
    f = F.one_hot(chosen, p.shape[-1]).float().mean((0, 1))       # share of the choices
    return p.shape[-1] * (f * p.mean(0)).sum()


def my_z(logits):
    return logits.logsumexp(-1).square().mean()


routing = route(many, 2)
torch.testing.assert_close(my_balancing(routing.chosen, routing.probabilities),
                           balancing_loss(routing))
torch.testing.assert_close(my_z(many), z_loss(many))
for name, rows in {"even": torch.eye(4),
                   "all to one, sure": torch.tensor([[1.0, 0, 0, 0]]),
                   "all to one, barely": torch.tensor([[0.28, 0.24, 0.24, 0.24]]),
                   "two of four": torch.tensor([[0.4, 0, 0.3, 0.3],
                                                [0, 0.4, 0.3, 0.3]])}.items():
    print(f"{name:20} {my_balancing(rows.topk(1).indices, rows):.2f}")

# %% [markdown]
# Even is 1, all to one and sure of it is $n_E$. Look at the last two rows before you trust the number: *all* tokens go to one expert, and the loss is close to 1 if the router is unsure; and in the last row it is *below* 1 although two experts get nothing. The loss is a push and no measure of balance. Plot the loads.
#
# Now the same run once more, with one change: at update 80 the balancing loss is switched on, with $\alpha = 0.01$.

# %%
rescued = small_mixture()
loads_rescued = train_and_watch(rescued, rescue_at=80)
print("rescued: starved in layers 0 and 1:", starved(loads_rescued), "of 8")


def held_out(model):
    """Nats per character on the choose split."""
    x, y = (part[:200] for part in windows(choose, 64))
    with torch.no_grad():
        total, count = next_token_loss(model.eval(), (x, y))
    return (total / count).item()


print(f"held out: left alone {held_out(alone):.2f} nats per character, "
      f"rescued {held_out(rescued):.2f}")

# %% tags=["diagram"]
smooth = lambda loads: loads[:160, 1].unfold(0, 5, 5).mean(-1).T.numpy()
fig, axes = panels(2, titles=["left alone", "balancing loss from update 80"], height=2.8, share_y=True)
for ax, loads in zip(axes, (loads_alone, loads_rescued)):
    for share in smooth(loads):
        ax.plot(np.arange(3, 160, 5), share, linewidth=1.8)
    ax.axhline(1, color="0.4", linestyle=":")
    ax.set(xlabel="update", ylim=(-0.1, 4.15))
axes[0].set_ylabel("share of tokens (1 = fair)")
axes[1].axvline(80, color="0.4", linestyle="--")
ends = [np.sort(smooth(loads)[:, -1]) for loads in (loads_alone, loads_rescued)]
show(fig, alt="Shares of the eight experts of the second layer over 160 updates. Left alone they end at " + ", ".join(f"{v:.2f}" for v in ends[0]) + "; with the balancing loss from update 80 at " + ", ".join(f"{v:.2f}" for v in ends[1]) + ". Until update 80 both runs are the same.")

# %% [markdown]
# One line per expert of the second layer. Up to the dashed line the two runs are the same computation. Left alone, a few experts take most of the tokens and others run dry within a few dozen updates, and stay so; with the push, the dry ones are back after some dozens more. The two held-out losses above are about equal, though: in this run the starved experts are missed by the accountant and not by the text. One run is a demonstration; seeds come next.
#
# ### Three ways, over seeds
#
# There is a way without a second loss: add a **bias** $b_e$ to each expert's score *for the choice only*, and after each update move it a fixed step, up if the expert got less than its share, down if more (Wang et al., 2024). No gradient is disturbed. (DeepSeek-V3 does so, with sigmoid scores where we have the softmax, and keeps a very small balancing loss beside it.)

# %%
def my_biased_route(logits, k, bias):
    p = logits.softmax(-1)
    chosen = (p + bias).topk(k).indices               # the bias chooses,
    weights = p.gather(-1, chosen)                    # and has no say in the weights
    return chosen, weights / weights.sum(-1, keepdim=True)


def moved(bias, chosen, rate=0.001):
    load = F.one_hot(chosen, len(bias)).float().mean((0, 1))
    return bias + rate * (1 / len(bias) - load).sign()


bias = 0.1 * torch.randn(8)
theirs = route(many, 2, bias=bias)
for mine, other in zip(my_biased_route(many, 2, bias), theirs):
    torch.testing.assert_close(mine, other)
moe = MoEConfig(n_experts=16, balancing="bias")
layer = MixtureOfExperts(ModelConfig(64, 1, 128, 4, moe=moe))
layer.train()(x)                                      # llmlib moves its bias itself
moved_here = moved(torch.zeros(16), my_route(layer.router(x), 2)[0])
torch.testing.assert_close(layer.bias, moved_here)

# %% [markdown]
# *Recorded, five seeds* (three in the other settings): the same small model, 200 updates with warm-up and a falling rate, with no balancing, with the loss (weight 0.02) and with the bias. First one seed, one line per expert; then all seeds, judged on held-out text.

# %% tags=["diagram"]
balancing = recorded("moe_balancing")["results"]
MAIN = balancing["settings"][balancing["main"]]["methods"]
WAYS = {"none": "no balancing", "auxiliary": "balancing loss", "bias": "bias"}
fig, axes = panels(3, titles=list(WAYS.values()), height=2.6, share_y=True)
for ax, way in zip(axes, WAYS):
    for share in np.array(MAIN[way]["curve"])[1].T:
        ax.plot(balancing["steps"], share, linewidth=1.6)
    ax.axhline(1, color="0.4", linestyle=":")
    ax.set(xlabel="update", ylim=(-0.1, 4.15))
axes[0].set_ylabel("share (1 = fair)")
show(fig, alt="Recorded, seed 0, second layer, share of each expert over training. " + " ".join(f"{label}: at the end from {min(np.array(MAIN[way]['curve'])[1][-1]):.2f} to {max(np.array(MAIN[way]['curve'])[1][-1]):.2f}." for way, label in WAYS.items()))


T975 = {3: 4.303, 4: 3.182, 5: 2.776}


def spread(values, fmt=".2f"):
    """Mean and range over seeds."""
    return f"{np.mean(values):{fmt}} ({min(values):{fmt}} to {max(values):{fmt}})"


def less(theirs, ours):
    """Difference of two lists over the same seeds: mean and half of its 95 % interval."""
    gap = np.array(theirs) - np.array(ours)
    return gap.mean(), T975[len(gap)] * gap.std(ddof=1) / np.sqrt(len(gap))


# %% tags=["diagram"]
def balance_row(setting, way):
    methods = balancing["settings"][setting]["methods"]
    row, gap = methods[way], less(methods[way]["loss"], methods["none"]["loss"])
    return {"setting": f"{setting}, rate {balancing['settings'][setting]['lr']}" if way == "none" else "", "": WAYS.get(way, way), "starved of 16, by seed": ", ".join(f"{sum(s)}" for s in row["starved"]), "least used expert": spread([min(pair) for pair in row["least"]]), "nats": spread(row["loss"], ".3f"), "less no balancing": "" if way == "none" else f"{gap[0]:+.3f} ± {gap[1]:.3f}"}


table([balance_row(s, way) for s, one in balancing["settings"].items() for way in one["methods"]], caption="recorded: experts under a tenth of their share, in both layers; share of the least used (1 = fair), mean and range over seeds; loss on the report split in nats per character, and its difference paired by seed with a 95 % interval")

# %% [markdown]
# In the figure the bias works slowly: at the end some lines are still far from 1. *Left alone*, every run of the first three settings starves some experts, from one to six of sixteen; routers that start wide, with large logits, starve one expert in one of three runs. *The loss* starves none, in any seed of either setting, and the least used expert keeps at least half of its share. *The bias* starves none from the usual start. From the small start it leaves one expert dry in three of five seeds, and at the high rate it fails in two of three seeds with either step. Its step is fixed, and how far a probability has to be moved is not: 200 steps of 0.001 make 0.2 at most. That can be a part of it only, since ten times the step still failed at the high rate.
#
# *The last column* surprises: every interval holds zero, and at the rate of 0.01 none reaches to a tenth of a nat. Starved or not, no difference shows that so few seeds could vouch for; what made one was the size of the first weights, as the third setting shows against the first. So a collapsed router is a waste first of all: memory is paid for and hardly used, and where experts live on different devices, the fullest one sets the pace (part VIII).
#
# ### Why do they starve? (*optional*)
#
# The usual account has a "because" in it: the chosen expert gets better *because* it is trained, so it is chosen again. That can be switched off. *Recorded, five seeds:* the small start without balancing, once with the routers left as they were at the start, once with the experts left so.

# %% tags=["diagram"]
controls = recorded("moe_controls")["results"]
KEPT = {"all trained": MAIN["none"]} | controls["fixed"]
dry = {name: [sum(pair) for pair in one["starved"]] for name, one in KEPT.items()}
table([{"": name, "starved of 16, by seed": ", ".join(map(str, dry[name])), "least used expert": spread([min(pair) for pair in one["least"]]), "starved, less all trained": "" if name == "all trained" else "{:+.1f} ± {:.1f}".format(*less(dry[name], dry["all trained"]))} for name, one in KEPT.items()], caption="recorded: held-out text; differences paired by seed with a 95 % interval")

# %% [markdown]
# With the *experts* fixed about as many starve as before, so here the collapse does not need a chosen expert that gets better. With the *router* fixed fewer starve in four of five seeds, though not none, and the interval just reaches zero. That points to the router's own training more than to the experts', and to something beside it: the vectors that reach a fixed router still move. Why a router leans to experts that do not learn, these runs do not say (exercise 4). The usual account may hold in longer runs; in these it was not needed.
#
# ### What the z-loss does (*optional*)
#
# *Recorded, three seeds:* the usual start, the balancing loss, and beside it the z-loss at two weights.

# %% tags=["diagram"]
table([{"weight of the z-loss": weight, "log-sum-exp (root mean square)": spread([np.mean(pair) for pair in row["logsumexp"]]), "largest |logit|": spread([np.mean(pair) for pair in row["logit_max"]]), "entropy of p (nats)": spread([np.mean(pair) for pair in row["entropy"]]), "least used expert": spread([min(pair) for pair in row["least"]]), "nats": spread(row["loss"], ".3f")} for weight, row in balancing["z"].items()], caption="recorded: means over tokens and both layers on held-out text, mean and range over seeds")

# %% [markdown]
# It does what its formula says, and that is not quite what is said about it. The log-sum-exp goes towards zero; the logits do not, their largest has *grown* with the weight. With eight equal experts a log-sum-exp of zero means logits of $-\ln 8 \approx -2.1$. The z-loss is meant for runs whose logits grow until a 16-bit softmax cannot tell them apart (Zoph et al., 2022). Nothing here was unstable, and the loss on held-out text does not move beyond the spread of seeds.
#
# ## IV. Is it worth it?
#
# A comparison needs a currency, and with mixtures there are at least four. A mixture with eight experts of which two run holds the weights of a model four times wider and does the sums of a model two experts wide; sorting and small matrices cost extra time. So: equal **active** parameters, equal **total** parameters, equal **operations** of training, equal **time** on this processor.

# %%
poll("Four comparisons of a mixture with a dense model. In which one will the mixture come out best here?",
     ["equal operations, against a dense model of its total size", "equal active parameters and equal updates", "equal parameters in total and equal updates", "equal processor time, against a dense model of its active size"],
     "In the first one the dense model pays for every weight at every token, so the same operations allow it about a third of the text. The second is the one that papers like: four times the FFN weights for the same operations per token. Whether these weights are worth anything after a few hundred updates is a question for a measurement. None of the four is *the* fair one; it depends on what you run out of.")

# %% tags=["diagram"]
race = recorded("moe_comparison")["results"]
rivals = race["contenders"]
kind_of = lambda name: race["models"][rivals[name]["model"]]
table([{"": name, "parameters": kind_of(name)["parameters"], "active": kind_of(name)["active"], "updates": one["steps"], "TFLOP": one["flops"] / 1e12, "seconds": np.mean(one["seconds"]), "nats per character": spread(one["report"], ".3f")} for name, one in rivals.items()],
      fmt={"TFLOP": ".2f", "seconds": ".1f"}, caption=f"recorded: {len(race['seeds'])} seeds; every contender with the best of the same {len(race['rates'])} rates by the choose split on the first seed; loss on the report split, mean and range")

# %% tags=["diagram"]
PAIRS = [(kind, name) for kind, names in race["equal"].items() for name in ([names] if isinstance(names, str) else names)]
gaps = [less(rivals[name]["report"], rivals["mixture"]["report"]) for _, name in PAIRS]
longer = recorded("moe_longer")["results"]["contenders"]
PAIRS.insert(1, (f"active parameters, {longer['mixture']['steps']} updates", "dense 192, equal updates, longer"))
gaps.insert(1, less(longer["dense 192, equal updates"]["report"], longer["mixture"]["report"]))
batches = recorded("moe_controls")["results"]["small batches"]
PAIRS.insert(5, ("training FLOPs, small batches", "dense 768, small batches"))
gaps.insert(5, less(batches["report"], rivals["mixture"]["report"]))
few, more = rivals["dense 192, equal updates"], rivals["dense 192, equal time"]
of_mixture = np.interp(np.mean(rivals["mixture"]["seconds"]), [np.mean(few["seconds"]), np.mean(more["seconds"])], [0, 1])
PAIRS.insert(7, ("processor time, interpolated", "dense 192, interpolated"))
gaps.insert(7, less((1 - of_mixture) * np.array(few["report"]) + of_mixture * np.array(more["report"]), rivals["mixture"]["report"]))
fig, ax = plt.subplots(figsize=(7.2, 3.1))
for i, (mean, half) in enumerate(gaps):
    ax.errorbar(mean, i, xerr=half, fmt="o", color="#0072B2" if mean > half else "#D55E00" if mean < -half else "0.4", capsize=4)
ax.axvline(0, color="0.3", linestyle=":")
ax.set_yticks(range(len(PAIRS)), [f"{kind}: {name.split(',')[0]}" for kind, name in PAIRS], fontsize=9)
ax.invert_yaxis()
ax.set_title("equal …", fontsize=10, loc="left")
ax.set_xlabel("dense less mixture, nats (95 % interval)\nright of 0: mixture better", fontsize=10.5)
ax.margins(y=0.15)
starved_in = lambda way: " ".join(str(sum(row)) for row in MAIN[way]["starved"])
gap_of = dict(zip((name for _, name in PAIRS), (f"{mean:+.3f} ± {half:.3f}" for mean, half in gaps)))
show(fig, alt="Loss of the dense rival less the mixture's, paired by seed. " + " ".join(f"Equal {kind}, {name}: {mean:+.3f} ± {half:.3f}." for (kind, name), (mean, half) in zip(PAIRS, gaps)))

# %% [markdown]
# - *Equal active parameters:* no difference that three seeds can show. Four times the FFN weights, and nothing to be seen for them after 200 updates, nor after 400. (But for the router, this pair is equal in operations, too.)
# - *Equal total parameters:* the dense model was better in each seed, with an interval that holds zero. It pays more than twice the operations.
# - *Equal operations, equal size:* they allow the wide dense model 74 updates, and it is far behind. Some of that is the small number of updates: with batches of 6 rows instead of 16 (not offered to the mixture) it makes as many updates as the mixture, and the gap shrinks, but stays clear. This is the case for mixtures: *if* a model is to hold so many weights.
# - *Equal time on this processor:* given half as many updates again, the narrow dense model is clearly ahead. But look at the seconds: on busy cores it got a fifth more of them than the mixture. On a straight line between its two runs, at the mixture's seconds, about half of the lead is left, and the interval holds zero. The wide model is about level.
#
# All of this is after a few hundred updates on one book, with three rates tried on one seed; at 400 updates both chose the lowest of them. Published wins of mixtures at equal operations come from incomparably longer runs on more varied text; nothing here says that they are wrong, or that they would be seen at this size.
#
# ### Where it loses
#
# On the clock it may lose to a narrow model, as the figure shows. Another case may be little text, read often. *Recorded:* the same three models on a few thousand characters, forty times over. Which one has the most to lose?

# %% tags=["diagram"]
small = race["small"]
fig, axes = panels(2, titles=[f"the {race['small']['characters']:,} training characters", "held out"], height=2.7, share_y=True)
for ax, which in zip(axes, (1, 0)):
    curves({name: one["curve"][which] for name, one in small["contenders"].items()}, at=small["steps"], x="update", y="nats per character" if which else "", ax=ax, labels=False)
axes[0].legend(fontsize=8)
show(fig, alt=f"Trained on {small['characters']:,} characters, means over seeds. " + " ".join(f"{name}: training text {one['curve'][1][-1]:.2f}, held out {min(one['curve'][0]):.2f} at best and {one['curve'][0][-1]:.2f} at the end." for name, one in small["contenders"].items()))
table([{"": name, "at the end, training text": spread(one["train"]), "held out": spread(one["report"]), "held out, less dense 192": "" if name == "dense 192" else "{:+.2f} ± {:.2f}".format(*less(one["report"], small["contenders"]["dense 192"]["report"])), "held out, best of the points drawn": min(one["curve"][0])} for name, one in small["contenders"].items()], caption=f"recorded: {small['characters']:,} characters, {small['epochs']:.0f} epochs; mean and range over seeds, differences paired by seed with a 95 % interval")

# %% [markdown]
# All three learn their text by heart and get worse at everything else: the wide dense model most, the narrow one least, the mixture in between. The wide model is clearly behind the narrow one; the mixture is behind it in each of the three seeds, with an interval that is wide and holds zero. Stopped in time, though, after forty to eighty updates, all three are level. More weights did harm here when nobody looked at held-out text. (All three chose the lowest of the three rates, the edge of the grid; a still lower one was not tried.)
#
# ## V. What the experts are for (*optional*)
#
# The word *expert* suggests a division of knowledge. What does the choice of expert depend on? **Mutual information** says it without naming experts: how many bits does knowing a token's first-choice expert $e$ tell about a property $c$ of the token,
#
# $$I(e; c) \;=\; \sum_{e, c} p(e, c) \log_2 \frac{p(e, c)}{p(e)\, p(c)} .$$
#
# From a finite sample it never comes out as zero, so each number needs its control: the same with the property *shuffled* over the tokens.

# %%
def mutual_information(a, b):
    """Bits, from two arrays of small integers."""
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1)
    p = joint / joint.sum()
    apart = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)
    there = p > 0
    return (p[there] * np.log2(p[there] / apart[there])).sum()


x = windows(choose, 64)[0][:200]
with record(rescued, "blocks.*.mlp.router") as seen, torch.no_grad():
    rescued(x)
first = seen["blocks.0.mlp.router"].argmax(-1).numpy()
character = x.flatten().numpy()
position = np.tile(np.arange(64), 200)
rng = np.random.default_rng(0)
for name, what in (("character", character), ("position", position)):
    print(f"live, first layer, {name:9}: {mutual_information(first, what):.2f} bits, "
          f"shuffled {mutual_information(first, rng.permutation(what)):.2f}")

# %% tags=["diagram"]
special = recorded("moe_specialisation")["results"]
trained, untrained = (special["when"][when]["auxiliary"] for when in ("end", "start"))
bits_of = lambda one, name, layer: np.mean([pair[layer] for pair in one["bits"][name]])
table([{"property": name, "its entropy": special["ceiling"][name], "layer 0": spread([pair[0] for pair in trained["bits"][name]]), "layer 1": spread([pair[1] for pair in trained["bits"][name]]), "shuffled, at most": f"{max(max(pair) for pair in trained['shuffled'][name]):.3f}", "untrained, 0 and 1": f"{bits_of(untrained, name, 0):.2f}, {bits_of(untrained, name, 1):.2f}"} for name in special["properties"]],
      caption=f"recorded: bits that the first choice tells, {special['n']:,} held-out characters, balancing loss, mean and range over seeds; the choice itself has {np.mean(trained['entropy']):.2f} bits")
table([{"given the character, also": name, "layer 0": spread([pair[0] for pair in one["bits"]]), "layer 1": spread([pair[1] for pair in one["bits"]]), "shuffled among equal characters, at most": f"{max(max(pair) for pair in one['shuffled']):.2f}"} for name, one in special["given"].items()], caption="recorded: bits beyond those of the character itself; mean and range over seeds")
shown_as = {" ": "space", "\n": "newline", ",": "comma", ".": "full stop", ":": "colon", "'": "apostrophe"}
table([{"expert": e, "layer 0: share": f"{one['share']:.3f}", "its characters": ", ".join(shown_as.get(c, c) for c, _ in one["top"]), "layer 1: share": f"{two['share']:.3f}", "its characters ": ", ".join(shown_as.get(c, c) for c, _ in two["top"])} for e, (one, two) in enumerate(zip(*special["experts"]))], caption="recorded, seed 0: each expert's share of the first choices (even would be 0.125) and the five characters it gets most")

# %% [markdown]
# The first choice tells most about the *character*, and about position next to nothing beyond the control. What it tells of the next character or of the class is for the most part what the character tells of them already. With the character given, some of the one *before* remains, about half a bit in the second layer and less in the first: a little context is in the choice. And look at the last column: an *untrained* router sorts by character, too, since equal characters have nearly equal vectors and any fixed router sends these to one place. Training sharpens that. (First choices alone are uneven, as the shares say; the balancing loss evens out first and second choices together.)
#
# "Specialised" is thus true in a sense that no slide means: these experts divide the alphabet. In Mixtral, Jiang et al. (2024, section 5) found no division by topic, and some by syntax and by the place in an indented line.
#
# ## VI. Full experts (*optional*)
#
# On many devices an expert has a place, and the place has a size. With a **capacity factor** $c$ an expert takes at most $c \cdot n k / n_E$ of the $n$ tokens of a batch; the choices beyond that are *dropped*, and such a token passes the layer by on its residual path. **By hand:** 1,024 tokens, top 2 of 8, $c = 1.25$: at most $1.25 \cdot 1024 \cdot 2 / 8 = 320$ choices. If every token has the same expert as its first or second choice, that expert is chosen 1,024 times of 2,048, and 704 of these choices, a third of all, are dropped. If every token has the *same two*, it is twice that: 69 %. (In llmlib a capacity counts in training alone: at inference a text's answer would depend on the texts beside it.)

# %%
tight = small_mixture().train()
layer = tight.blocks[0].mlp
layer.moe = replace(layer.moe, capacity_factor=1.25)
crowd = torch.randn(64).repeat(1024, 1) + 0.05 * torch.randn(1024, 64)   # all alike
apart = torch.randn(1024, 64)
for name, tokens in (("tokens all alike", crowd), ("tokens apart", apart)):
    with record(layer, "dropped") as seen:
        layer(tokens)
    print(f"{name:17}: {seen['dropped'].item():.0%} of the choices dropped, "
          f"an expert takes at most {layer.capacity(1024)}")

# %% tags=["diagram"]
capacity = recorded("moe_capacity")["results"]
share_of = lambda one, key: f"{np.mean(one[key]):.1%}" if key in one else ""
table([{"": WAYS[way], "capacity factor": "no limit" if factor == "None" else factor, "dropped, first updates": share_of(one, "dropped_first"), "last updates": share_of(one, "dropped"), "nats, no limit": spread(one["loss"], ".3f"), "less no limit": "" if factor == "None" else "{:+.3f} ± {:.3f}".format(*less(one["loss"], rows["None"]["loss"])), "nats, limit kept": f"{np.mean(one['limited']):.3f}" if "limited" in one else ""} for way, rows in capacity["rows"].items() for factor, one in rows.items()],
      caption=f"recorded: share of the choices dropped in the first and last {capacity['few']} updates, both layers; loss on the report split, mean and range over seeds, differences paired by seed with a 95 % interval")

# %% [markdown]
# *With the balancing loss* a factor of 2 drops nothing in the end, 1.25 well under one per cent, and 1.0 a few per cent: shares are never exactly even, so an exact fit always loses some. In the first updates, before balance has come, even these runs drop a good part. *Without it* more than a quarter of the choices go on being dropped at the tight factors.
#
# And the price? At a factor of 1.0 the loss was higher in every seed, by about five hundredths of a nat in the mean, with balancing and without it; every interval holds zero. So many dropped choices, so little harm: perhaps because a token whose expert is full still has its residual path, and often its other expert. Keeping the limit while judging changes the third decimal.
#
# ## VII. What inference costs
#
# In decoding, every weight that is used must come out of memory once per pass, to meet one token of each text; for few texts that reading is what takes the time (lecture 15). So besides operations there are two more prices: the bytes that must be *held*, and the bytes that must be *read*.
#
# A pass decodes one token of each of $n$ texts. An expert is read if any of them chose it. If tokens chose evenly and each on its own, the expected number of experts that $n$ tokens meet would be
#
# $$\mathbb{E}[\text{experts read}] \;=\; n_E \left(1 - \left(1 - \frac{k}{n_E}\right)^{n}\right).$$
#
# **By hand.** Mixtral, $k/n_E = 1/4$. One token reads 2 experts of 8; two tokens $8(1 - .75^2) = 3.5$; eight tokens 7.2. Alone, a token has a quarter of the experts read for it; in company nearly all, and the company shares the bill.

# %%
met = lambda n_experts, k, n: n_experts * (1 - (1 - k / n_experts) ** n)
assert math.isclose(met(8, 2, 8), expected_experts(8, 2, 8))


def last_choices(model):
    """The second layer's experts for the last character of 400 texts: (400, 2)."""
    x = windows(choose, 64)[0][:400]
    with record(model, "blocks.1.mlp.router") as seen, torch.no_grad():
        model(x)
    return seen["blocks.1.mlp.router"].view(400, 64, 8)[:, -1].topk(2).indices


def distinct(choices, n, draws=300):
    """Experts that n texts meet in one pass, on the average."""
    some = [torch.randperm(len(choices))[:n] for _ in range(draws)]
    return np.mean([len(choices[rows].unique()) for rows in some])


balanced, collapsed = last_choices(rescued), last_choices(alone)
for n in (1, 4, 16, 64):
    print(f"{n:2} texts: even and independent {met(8, 2, n):.1f}, rescued router "
          f"{distinct(balanced, n):.1f}, collapsed router {distinct(collapsed, n):.1f}")

# %% [markdown]
# The formula is a fair guide for the balanced router. The collapsed one reads less: balance, which training wants, makes a pass dearer to read.
#
# **Predict** before you look: at a batch of 64, does Mixtral read about as much as a dense model of its active size, about as much as one of its total size, or something half way?

# %% tags=["diagram"]
with torch.device("meta"):  # shapes without memory
    RIVALS = {name: Transformer(preset(key)) for name, key in (("dense 13B", "llama2-13b"), ("Mixtral", "mixtral-8x7b"), ("dense 70B", "llama2-70b"))}


def reading(texts):
    """Gigabytes of bf16 weights read in one pass over so many texts."""
    fig, ax = plt.subplots(figsize=(3.5, 2.1))
    read = {name: weight_bytes_per_pass(model, texts) / 1e9 for name, model in RIVALS.items()}
    drawn = ax.barh(list(read), list(read.values()), color=["#999999", "#0072B2", "#999999"])
    ax.bar_label(drawn, [f"{v:.0f}" for v in read.values()], padding=3, fontsize=10)
    ax.set(xlabel="GB read per pass", xlim=(0, 185))
    ax.set_title(f"{texts} text{'s' if texts > 1 else ''}: {read['Mixtral'] / texts:.3g} GB a token", fontsize=9)
    ax.invert_yaxis()
    return fig


explore(reading, texts=[1, 2, 4, 8, 16, 32, 64, 128, 256], panels=[1, 4, 64],
        alt=lambda texts: f"{texts} texts at once: " + ", ".join(f"{name} reads {weight_bytes_per_pass(model, texts) / 1e9:.0f} GB" for name, model in RIVALS.items()) + ".")

# %% [markdown]
# At batch 1 Mixtral reads what a 13B model reads. At 64 it reads all it has. Now the slide's sentence, priced:

# %% tags=["diagram"]
def priced(model):
    read = lambda n: weight_bytes_per_pass(model, n) / 1e9
    return {"GFLOP per token": flops_per_token(model, 4096, training=False) / 1e9, "GB to hold": 2 * count_parameters(model) / 1e9, "GB read, batch 1": read(1), "batch 8": read(8), "batch 256": read(256)}


prices = {name: priced(model) for name, model in RIVALS.items()}
table([{"": name} | row for name, row in prices.items()] + [{"": "Mixtral, in 13Bs"} | {key: f"{prices['Mixtral'][key] / prices['dense 13B'][key]:.2f}" for key in prices["Mixtral"]}],
      fmt=".0f", caption="bf16; 4,096 tokens of context; reading as if tokens chose evenly and on their own")

# %% [markdown]
# **In operations** the sentence holds: Mixtral computes what a 13B model computes. **In memory to hold** it fails: all experts must be somewhere, and that is 3.6 times a 13B model. **In bytes read** it depends on company: alone, a 13B; in a large batch nearly the full 47B per pass, divided by many tokens.
#
# So who gains? Somebody who decodes one text on a machine with much memory, and somebody who serves so many texts that operations and not reading are the limit. In between a mixture reads most of its weights for few tokens. Against the dense 70B it is cheaper in every column; whether it is *as good* as one is a claim about quality that nothing on this page can test.
#
# ### Where would you have one? (*optional*)

# %%
poll("You must serve a model of Mixtral's quality class. Where would you rather have the mixture than a dense model with the same answers (a 70B, if Jiang et al. are right)?",
     ["on a server with much memory and thousands of users", "on one large-memory desktop, for one user", "on a phone with 8 GB", "nowhere: the dense model is simpler"],
     "Against the dense 70B, Mixtral holds less, reads less and computes less at every batch, so the first two gain, in operations or in reading. The phone holds neither; there the rival is not the 70B but whatever dense model fits, and a small mixture competes for the same 8 GB with its total size. The last is a position, too: experts must be balanced, placed and served, and all that software has to be written once.", opinion=True)

# %% [markdown]
# ## VIII. Experts on many devices (*optional*)
#
# If one device cannot hold all experts, give each device some of them: **expert parallelism**. Each token's vector travels to the devices of its experts and back, in every layer. Everybody sends to everybody: an *all-to-all*.

# %% tags=["diagram"]
d = Diagram(12, 3.5)
d.label(6, 3.25, "one mixture layer on two devices: to the experts, and back", bold=True)
for x, name, experts in ((2.4, "device 0", "0 to 3"), (9.6, "device 1", "4 to 7")):
    d.box(x, 2.45, f"{name}: tokens, router", w=4.4, h=0.6, color="grey", size=11)
    d.box(x, 0.75, f"experts {experts}", w=4.4, h=0.6, color="blue", size=11)
for a, b in ((1.0, 1.0), (11.0, 11.0)):
    d.arrow((a, 2.15), (b, 1.05))
    d.arrow((a + 0.35 if a < 6 else a - 0.35, 1.05), (a + 0.35 if a < 6 else a - 0.35, 2.15), dashed=True)
for a, b in ((3.4, 8.2), (8.6, 3.8)):
    d.arrow((a, 2.15), (b, 1.05), color="orange")
    d.arrow((b, 1.05), (a, 2.15), color="orange", dashed=True)
d.label(6, 2.25, "$n \\, k \\, \\frac{P-1}{P}$ vectors", size=12)
d.label(6, 0.2, "solid: sent to the experts; dashed: results, back again; orange: both, across the wire", size=11)
d.show(alt="Two devices, each with its own tokens, attention and router, and half of the experts. Vectors of tokens go to the experts of both devices and their results come back; those that cross between the devices are n k (P minus 1) over P.")

# %% [markdown]
# With $P$ devices, even routing and $b$ bytes a number, a token costs
#
# $$\text{bytes per token, forward} \;=\; 2 \, L \, k \, d \, b \, \frac{P - 1}{P} :$$
#
# to the experts and back (2), in $L$ layers, $k$ vectors of $d$ numbers, of which one in $P$ finds its expert at home. Training does it again backward, which is the $4L$ of lecture 07. With that lecture's round rates for links and chips:

# %%
# NBVAL_CHECK_OUTPUT
mixtral = preset("mixtral-8x7b")
P = 8                                  # one expert of each layer a device
bytes_per_token = (2 * mixtral.n_layers * mixtral.moe.top_k * mixtral.d_model
                   * 2 * (P - 1) / P)
flops = flops_per_token(mixtral, 4096, training=False)
print(f"{bytes_per_token / 1e6:.2f} MB per token forward, "
      f"{2 * bytes_per_token / 1e6:.2f} MB in training")
print(f"{flops / bytes_per_token / 1e3:.0f} thousand operations for each byte sent")
for link, rate in (("inside a machine", 4.5e11), ("between machines", 2.5e10)):
    print(f"4,096 tokens of a device, forward, {link}: "
          f"{4096 * bytes_per_token / rate * 1e3:.0f} ms of sending, "
          f"{4096 * flops / 4e14 * 1e3:.0f} ms of computing")

# %% tags=["diagram"]
exchange = recorded("moe_all_to_all")["results"]
table([{"routing": kind, "width": int(width), "sent, forward": one["forward"]["measured"], "by arithmetic": one["forward"]["arithmetic"], "sent, training": one["training"]["measured"], "choices at each process": " and ".join(f"{n:,}" for n in one["rows"]), "exchange, ms": f"{1000 * one['seconds']['exchange']:.1f}", "experts, ms": f"{1000 * one['seconds']['experts']:.1f}", "largest difference": f"{one['difference']:.1g}"} for kind, widths in exchange["layers"].items() for width, one in widths.items()],
      fmt={"sent, forward": ",.0f", "by arithmetic": ",.0f", "sent, training": ",.0f"}, caption=f"recorded: bytes per token, float32, {exchange['processes']} processes, {exchange['n_experts']} experts, top {exchange['top_k']}, {exchange['tokens']:,} tokens a process; the least of 30 rounds, on two busy cores; difference from one process with all experts, in output and gradient")

# %% [markdown]
# The counted bytes are those of the formula, to within a few per cent of chance in the routing, and the divided layer computes what the whole one does, gradients included. (Two processes that talk through gloo, on one machine. The times say nothing about a cluster.)
#
# The lower rows are another reason for balance. A router that leans to the first expert sends as many bytes, but to one place: one process gets two and a half times the choices of the other, which waits for it, and its waiting is counted with the exchange. Everybody is as slow as the fullest expert. Per byte, a wide layer computes more than a narrow one, so the share of the exchange falls with the width: operations per vector grow with $d^2$, its bytes with $d$.
#
# ## IX. What slides say about Mixtral and GPT-4
#
# ### 47 billion, 12 active, and not 56

# %%
# NBVAL_CHECK_OUTPUT
total, active = count_parameters(mixtral), active_parameters(mixtral)
one_expert = 3 * mixtral.d_model * mixtral.d_ff * mixtral.n_layers
shared = total - 8 * one_expert
dense_7b = count_parameters(mixtral.replace(moe=None))
print(f"total {total / 1e9:.1f} billion, active {active / 1e9:.1f} billion")
print(f"one expert, in all layers: {one_expert / 1e9:.2f}; everything else: "
      f"{shared / 1e9:.2f}")
print(f"8 experts + the rest once: {(8 * one_expert + shared) / 1e9:.1f}; "
      f"2 experts + the rest: {(2 * one_expert + shared) / 1e9:.1f}")
print(f"the dense model with one such FFN: {dense_7b / 1e9:.2f}; "
      f"eight of these: {8 * dense_7b / 1e9:.1f}")
print(f"rumoured GPT-4: 16 x 111 + 55 = {16 * 111 + 55:,} billion; "
      f"two experts and the rest: {2 * 111 + 55}")

# %% [markdown]
# "47B parameters, 12B active" on the slide: the first is 46.7 rounded, the second should be **12.9**, that is 13. (Cut off after the point it is 12; Mistral's announcement says 12.9, the paper 13.) And *8 x 7B* is a name and no sum: a 7B model is an FFN of 5.6 billion and 1.6 billion of everything else, and only the FFN is there eight times. Nor is an expert a model: it cannot read a word by itself.
#
# GPT-4's numbers are a **rumour** (the slide says so, and names SemiAnalysis). They add up: $16 \cdot 111 + 55 = 1{,}831$ billion. The same report has two experts at work per token, so $2 \cdot 111 + 55 = 277$ billion active, which it rounds to 280. That may be where the upper end of "around 175B to 280B" comes from, which another slide of the same lecture gives as GPT-4's size: the active part, taken for the whole. OpenAI has confirmed neither.
#
# ### "Experts (4 to 32)" (*optional*)

# %% tags=["diagram"]
QUOTED = [("GShard (Lepikhin et al., 2020)", "up to 2,048", 2, "none"), ("Switch-C (Fedus et al., 2021)", "2,048", 1, "none"), ("Mixtral 8x7B (Jiang et al., 2024)", "8", 2, "none"), ("DBRX (Databricks, 2024)", "16", 4, "none"), ("DeepSeek-V3 (2024)", "256", 8, "1"), ("Llama 4 Maverick (Meta, 2025)", "128", 1, "1"), ("Qwen3-235B-A22B (2025)", "128", 8, "none"), ("gpt-oss-120b (OpenAI, 2025)", "128", 4, "none"), ("Kimi K2 (2025)", "384", 8, "1")]
table([{"quoted, not measured": name, "experts": n, "per token": k, "shared": s} for name, n, k, s in QUOTED], caption=f"experts in a mixture layer, as published. 2 of 8 can be chosen in {math.comb(8, 2)} ways, 8 of 256 in {math.comb(256, 8):.1e}")

# %% [markdown]
# The slide's range fits Mixtral and DBRX. It was too narrow years before them, and it is again: what has been published since DeepSeekMoE (Dai et al., 2024) mostly has many *small* experts, some with one that all tokens share. The same budget, cut finer, gives a token far more combinations to choose from.
#
# ### The BBQ and BOLD table (*optional*)

# %% tags=["diagram"]
BBQ_BOLD = {"BBQ (higher is better)": (51.50, 55.98), "BOLD, gender": (0.073, 0.045), "BOLD, profession": (0.073, 0.087), "BOLD, religious ideology": (0.133, 0.089), "BOLD, political ideology": (0.140, 0.146), "BOLD, race": (0.049, 0.052)}
worse = [row for row, (llama, moe) in BBQ_BOLD.items() if (moe < llama if row.startswith("BBQ") else moe > llama)]
means = np.array([pair for row, pair in BBQ_BOLD.items() if row.startswith("BOLD")]).mean(0)
table([{"as on the slide": row, "Llama 2 70B": f"{a:.3f}" if a < 1 else f"{a:.2f} %", "Mixtral 8x7B": f"{b:.3f}" if b < 1 else f"{b:.2f} %", "Mixtral is": "worse" if row in worse else "better"} for row, (a, b) in BBQ_BOLD.items()] + [{"as on the slide": "mean of the five BOLD rows", "Llama 2 70B": f"{means[0]:.3f}", "Mixtral 8x7B": f"{means[1]:.3f}", "Mixtral is": "better" if means[1] < means[0] else "worse"}])

# %% [markdown]
# The slide's head row, "BOLD (std) 0.094 and 0.084", is the plain mean of the five below, and hides that Mixtral is *worse* in three of them: profession, political ideology and race. Two of these by less than a hundredth, with no interval given; the paper itself says "similar variances within each group". What the number is also matters: the standard deviation of a *sentiment score* within a group of prompts. A model that spoke ill of everyone alike would score a perfect zero. And nothing in the table is about experts: the two models differ in data, in size and in makers.
#
# ## Scale warning
#
# > **What these models can and cannot tell you.** The counts, the bytes, the formula for experts met (by even, independent choices), the gradient of the balancing loss and what renormalising does to $k = 1$ hold at every size. Everything trained here is a character model of two layers with eight small experts in each, and a few hundred updates. Whether a router starves experts depends on rate and start, as the table of settings shows. Who wins at equal time is a statement about this processor and this code: a GPU pays other prices for small matrices, and many GPUs pay for messages. Whether a mixture's gain grows or shrinks with scale has been fitted both ways: Clark et al. (2022) see it shrink with size, Krajewski et al. (2024), who train longer and cut experts finer, see it grow. Nothing here comes near either. Specialisation in characters says little about models that read words, where experts have mostly been found to follow tokens and syntax, too (Jiang et al., 2024, section 5).
#
# ## Claims
#
# What the source lecture says about this topic, against what the papers say and what was measured here.

# %%
claims_table([
    Claim("Only a subset of experts activated per forward pass",
          "Shazeer et al. (2017); Jiang et al. (2024): two of eight per token and layer",
          f"Mixtral, expected: {met(8, 2, 1):.0f} of 8 for one token, {met(8, 2, 8):.1f} for eight texts, {met(8, 2, 64):.1f} for 64",
          "holds for a token; a pass over a batch meets nearly all", source="analytics"),
    Claim("Achieve performance of larger models at inference cost of smaller ones",
          "Jiang et al. (2024): Llama 2 70B's scores with 13B active parameters",
          f"equal updates, dense less mixture: small {gap_of['dense 192, equal updates']}, large {gap_of['dense 768, equal updates']}; Mixtral in 13Bs: " + ", ".join(f"{key} {prices['Mixtral'][key] / prices['dense 13B'][key]:.2f}" for key in ("GFLOP per token", "GB to hold", "GB read, batch 1", "batch 256")),
          "cannot be tested at this scale as to performance; cost: holds in operations, fails in memory to hold, and bytes read depend on the batch", source="analytics", split="report"),
    Claim("Experts: specialized feed-forward networks",
          "Jiang et al. (2024), section 5: no pattern by topic, some by syntax",
          f"first choice and character: {np.mean(trained['bits']['character']):.1f} bits, position {np.mean(trained['bits']['position']):.2f}, shuffled at most {max(max(pair) for pair in trained['shuffled']['position']):.2f}",
          "holds for characters; much of it is in an untrained router, too", source="analytics", split="report"),
    Claim("Experts: (4-32)",
          "Fedus et al. (2021): up to 2,048; Jiang et al. (2024): 8; DeepSeek-AI (2024): 256 and a shared one",
          "not measured; configurations as published", "fails as a range: too narrow for GShard and Switch, and for most of what the table lists after DBRX", source="analytics"),
    Claim("Load balancing loss: prevent router from favoring few experts",
          "Shazeer et al. (2017), Fedus et al. (2021)",
          f"starved of 16, five seeds: {starved_in('none')} without, {starved_in('auxiliary')} with",
          "holds; no gain in the model's loss was seen", source="analytics", split="report"),
    Claim("Mixtral 8x7B: 47B parameters, 12B active",
          "Jiang et al. (2024): 47B, 13B; Mistral's announcement: 46.7B, 12.9B",
          f"counted: {total / 1e9:.1f} and {active / 1e9:.1f} billion", "holds for 47; 12 should be 13", source="analytics"),
    Claim("Mixtral matches 70B dense model quality",
          "Jiang et al. (2024): outperforms or matches Llama 2 70B; other data, other maker", "not measured",
          "cannot be tested at this scale", source="analytics"),
    Claim("Rumoured GPT-4: total of 1.831trn, 16 x 111bn experts plus 55bn shared",
          "none; a report by SemiAnalysis (2023), never confirmed",
          f"16 x 111 + 55 = {16 * 111 + 55:,}", "cannot be tested at this scale; a rumour, whose sum is right", source="analytics"),
    Claim("Communication overhead: expert parallelism requires all-to-all communication",
          "Lepikhin et al. (2020), Fedus et al. (2021)",
          f"Mixtral, 8 devices: {bytes_per_token / 1e6:.2f} MB per token forward; here {exchange['layers']['even']['256']['forward']['measured']:,.0f} bytes, by arithmetic {exchange['layers']['even']['256']['forward']['arithmetic']:,.0f}",
          "holds", source="analytics"),
    Claim("Memory requirements: must fit all experts in GPU memory during training",
          "Lepikhin et al. (2020): spread over the devices",
          f"Mixtral: {2 * total / 1e9:.0f} GB of weights in bf16, {16 * total / 1e9:.0f} GB with AdamW at 16 bytes a weight",
          "holds for all devices together, not for each; and inference must hold them too", source="analytics"),
    Claim("BOLD (std) (lower is better): Llama 2 70B 0.094, Mixtral 0.084",
          "Jiang et al. (2024), figure 5: similar variances within each group",
          f"the means of five rows, {means[0]:.3f} and {means[1]:.3f}; Mixtral is worse in {len([r for r in worse if r.startswith('BOLD')])} of the 5",
          "holds for the mean; fails for profession, political ideology and race", source="analytics"),
])

# %% [markdown]
# ## Summary
#
# 1. Two thirds of a block's weights are in its FFN, in grouped-query models more. A mixture stores many FFNs and runs $k$ of them for a token: what is held and what is computed come apart.
# 2. A router trained on the model's loss alone starved experts in nearly every run; the balancing loss stopped that in every seed, the bias in every seed of one setting and in fewer than half elsewhere. In the model's own loss no difference could be shown.
# 3. Equal to what? After a few hundred updates the mixture was level with a dense model of its active size, ahead of one of its total size at equal operations, and on the clock of this processor level with the small one or behind it.
# 4. In decoding, a mixture reads like a small model for one text and like a large one for many. It must be held like a large one always, and its all-to-all is paid in every layer.
# 5. Mixtral has 46.7 billion weights, 12.9 active, and is no eight models of 7. GPT-4's 1.83 trillion is a rumour that adds up.
#
# ## Exercises
#
# *Lab 06* builds on this page: a router with its renormalisation, the balancing loss, a grouped dispatch, and counting.
#
# 1. By hand: two tokens, three experts, top 1, $p = (.5, .3, .2)$ and $(.4, .35, .25)$. The balancing loss, and its gradient with respect to the first token's logits?
# 2. Construct routers of four experts, top 1, with a balancing loss of 1 and three starved experts. How near to 1 can it come, and what does the z-loss say?
# 3. At which batch does a mixture with 256 experts, 8 a token, read half of its experts? Derive the general formula; then compare Mixtral.
# 4. Experts starved with the experts fixed. What moves the router, then? Record the vectors that enter it over training, and see how much of the logits their common mean explains.
# 5. Give `train_and_watch` a mixture with a shared expert (`n_shared_experts=1`, experts half as wide). Is there less or more starving among the others?
# 6. The formula for experts met assumes independent tokens. Compare texts decoded side by side with consecutive tokens of one text, in `distinct`.
#
# ## Further reading
#
# Shazeer et al. (2017), *Outrageously large neural networks: the sparsely-gated mixture-of-experts layer*. Lepikhin et al. (2020), *GShard*. Fedus et al. (2021), *Switch transformers*. Zoph et al. (2022), *ST-MoE* (z-loss). Clark et al. (2022), *Unified scaling laws for routed language models*. Jiang et al. (2024), *Mixtral of experts*. Dai et al. (2024), *DeepSeekMoE*. Wang et al. (2024), *Auxiliary-loss-free load balancing strategy for mixture-of-experts*. DeepSeek-AI (2024), *DeepSeek-V3 technical report*. Krajewski et al. (2024), *Scaling laws for fine-grained mixture of experts*. Parrish et al. (2022), *BBQ*. Dhamala et al. (2021), *BOLD*.
