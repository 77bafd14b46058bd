# %% [markdown]
# # 14 · LoRA and friends
#
# **The question of this lecture.** A good model is there, and it should do one more thing: answer in JSON, speak like a shop, know a few facts. Training all of its weights costs several times what running it costs, and leaves a second model to be stored. *How few numbers need to move, what can they hold, and where is the limit?*
#
# **Afterwards you can**
# - add up what fine-tuning takes in memory, and say which part an adapter removes and which it leaves;
# - write LoRA from scratch, and say why one of its two matrices starts at zero and the other does not;
# - say what the rank limits and what it does not, with three tasks that behave differently;
# - teach a real chat model a new form of answer in under a minute of processor time, switch adapters and merge them;
# - compare nine ways of training a few parameters at equal budgets, and name cases where LoRA loses.
#
# **Before this:** lecture 11 (fine-tuning); lecture 07 for the memory of training; singular values from linear algebra.
#
# **Time:** core 75 minutes, optional 24 minutes; one class. All cells together: under a minute of computing on a laptop CPU. What took longer was run once and is marked *recorded*.
#
# <!-- sources: analytics, 11785 -->

# %%
import copy
import json
import random
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from courseware import (Claim, Diagram, claims_table, curves, explore,
                        heat_map, panels, poll, setup_style, show, steps, table)
from llmlib.adapt import (LoRAConfig, apply_lora, lora_layers, load_adapter, merge_lora,
                          quantize_model, save_adapter, set_adapter)
from llmlib.align import (chat_prompt, end_of_turn, pad_examples, reply_example,
                          sample_replies)
from llmlib.data import SupportDesk, fetch, recorded
from llmlib.data.corpora import all_plays
from llmlib.hub import is_stand_in, load_base, load_desk, load_smollm2
from llmlib.infer import wilson_interval
from llmlib.model import Transformer, preset
from llmlib.train import TrainConfig, Trainer, bits_per_byte, document_nats

setup_style(compact=True)
torch.manual_seed(0);

# %% [markdown]
# ## I. The bill
#
# Business Analytics puts full fine-tuning of a model with 7 billion parameters at "4x memory (weights + gradients + 2 moments) around 56GB". Four numbers are kept for every weight: itself, its gradient, and Adam's two moments. In fp32 each takes four bytes. An *adapter* is a small set of new parameters, trained beside a frozen model; LoRA is the best known.

# %%
poll("A 7B model in fp32 is adapted: 10 million new parameters are trained with Adam, the rest is frozen. Which takes the most memory, activations aside?",
     ["the frozen weights", "Adam's two moments of the base", "the gradients of the base", "the new parameters, with their moments"],
     "Gradients and moments exist for trained parameters alone; for 10 million they are 0.12 GB. The frozen weights stay, 28 GB, and the next saving has to come from them: fewer bits each (part VIII).")

# %%
# NBVAL_CHECK_OUTPUT
def bill(total, trained, weight_bytes=4):
    """Bytes of weights, gradients and Adam's two moments; the trained ones in fp32."""
    frozen = total - trained
    return dict(weights=frozen * weight_bytes + trained * 4,
                gradients=trained * 4, moments=trained * 8)


for what, trained, width in (("everything, fp32", 7e9, 4),
                             ("10M, base in fp32", 1e7, 4),
                             ("10M, base in bf16", 1e7, 2)):
    parts = bill(7e9, trained, width)
    listed = " + ".join(f"{part / 1e9:.2f}" for part in parts.values())
    print(f"{what:18} {listed} = {sum(parts.values()) / 1e9:.1f} GB")

# %% [markdown]
# The slide says 28 GB for the weights, and four times 28 is **112**, not 56. Its second figure, "56GB → 30GB" for LoRA, therefore starts from half the truth. It ends near it, if the base stays in fp32 and activations are small: 28 GB of weights that nobody trains still have to be there. So the saving is almost four times, where the slide has less than two. What LoRA removes is the other three quarters.

# %% tags=["diagram"]
def memory(billions=7, trained="LoRA r = 8", base="bf16"):
    total, hidden = billions * 1e9, 4096 * (billions / 6.7) ** 0.5          # widths grow with the root of the size
    rank = {"LoRA r = 8": 8, "LoRA r = 64": 64}.get(trained)
    moving = total if rank is None else rank * 32 * 19 * hidden            # all linear layers of 32 blocks
    width = {"fp32": 4, "bf16": 2, "4 bits": 0.5}[base]
    parts = bill(total, min(total, moving), width)
    fig, ax = plt.subplots(figsize=(3.5, 2.3))
    drawn = ax.barh(list(parts), [part / 1e9 for part in parts.values()], color="#0072B2")
    ax.bar_label(drawn, [f"{part / 1e9:.3g}" for part in parts.values()], padding=3, fontsize=10)
    ax.axvline(24, color="0.3", linestyle=":")
    ax.set(xlabel="GB, activations left out", xlim=(0, 1.25 * max(30, *(part / 1e9 for part in parts.values()))))
    ax.set_title(f"{billions}B, {trained}: {sum(parts.values()) / 1e9:.3g} GB", fontsize=10)
    ax.invert_yaxis()
    return fig


explore(memory, billions=[1, 7, 13, 70], trained=["everything", "LoRA r = 8", "LoRA r = 64"], base=["fp32", "bf16", "4 bits"],
        panels=[dict(billions=7, trained="everything", base="fp32"), dict(billions=7, trained="LoRA r = 8", base="bf16"), dict(billions=7, trained="LoRA r = 8", base="4 bits")],
        alt="Gigabytes of weights, gradients and moments for a 7B model: 112 in all for full fine-tuning in fp32, about 14 with LoRA on a base in bf16, about 4 on a base of 4 bits. A dotted line marks 24 GB.")

# %% [markdown]
# That is arithmetic (for other sizes than 7B with shapes that are estimated); the dotted line is a graphics card of 24 GB. *Recorded:* SmolLM2, 135 million parameters, each way once, in a process of its own, three updates of 8 × 64 tokens on one thread. Compare the last two columns: how much of the peak does the arithmetic explain?

# %% tags=["diagram"]
ways = recorded("lora_memory")["results"]
of_way = {way["arm"]: way for way in ways}
full_way, bf16_way = of_way["full, fp32"], of_way["LoRA all, base in bf16"]
counted = {way["arm"]: (way["weights"] + way["gradients"] + way["moments"]) / 1e9 for way in ways}
table([{"trained": way["arm"], "trainable": f"{way['trainable'] / 1e6:.2f}M", "of all": f"{way['trainable'] / (full_way['total'] + (way['trainable'] if 'LoRA' in way['arm'] else 0)):.2%}", "CPU s an update": way["seconds"], "weights + gradients + moments, GB": counted[way["arm"]], "peak of the process, GB": way["peak_gb"]} for way in ways],
      caption=f"recorded, one run each: SmolLM2; NF4 is 4 bits (part VIII); a bare process with torch takes {ways[0]['bare_gb']:.2f} GB. From full to LoRA all in fp32: {counted['full, fp32'] - counted['LoRA all, fp32']:.2f} GB less by count, {full_way['peak_gb'] - of_way['LoRA all, fp32']['peak_gb']:.2f} less at the peak")

# %% [markdown]
# The arithmetic explains most of the step from full fine-tuning to LoRA (the caption has both numbers), and little else: it leaves out activations, the reading of the file and torch itself. LoRA removes gradients and moments. It does *not* remove the activations, since the error still has to travel back through every frozen layer to reach the lowest adapter. Training the last two blocks avoids that: with three times the trained parameters of LoRA it has the lowest peak, and is by far the fastest. A base in bf16 halves its weights and moves the peak little, so at this size most of the peak must be something else; activations, we take it.
#
# Time falls too, though far less than the number of trained parameters: a frozen matrix needs no gradient of its own, about a third of the arithmetic of a training step, and Adam has little to move; the forward pass and the way back remain.

# %% [markdown]
# ## II. How much moves?
#
# Why should a few numbers be enough? Hu et al. (2021) suspected that the *change* of a matrix in fine-tuning has a low "intrinsic rank". That can be looked at. Fine-tune a model in full, take the change $\Delta W = W - W_0$ of each matrix, and look at its singular values $\sigma_1 \ge \sigma_2 \ge \dots$: the best approximation of rank $k$ keeps the first $k$ of them, and of the squared length $\sum_i \sigma_i^2$ it keeps that share.
#
# Our own base model, a million parameters that have read Wikipedia, tales and novels, learns plays: 40 updates, all matrices of its blocks.

# %%
base, base_tokenizer = load_base("1m", device="cpu")
plays = all_plays()
tokens = torch.tensor(base_tokenizer.encode(plays[:900_000]))
held_out = [plays[i:i + 400] for i in range(4_000_000, 4_060_000, 6000)]


def bits_of(model):
    """Bits a byte on ten passages of plays it has not seen."""
    ids = [base_tokenizer.encode(text) for text in held_out]
    nats = document_nats(model, ids, base_tokenizer.special_tokens["<|endoftext|>"])
    return bits_per_byte(nats, [len(text.encode()) for text in held_out])[0]


player = copy.deepcopy(base).requires_grad_(False)
matrices = {name: weight.requires_grad_(True)
            for name, weight in player.named_parameters()
            if name.startswith("blocks.") and weight.ndim == 2}
recipe = TrainConfig(steps=40, batch_size=8, seq_len=64, lr=3e-3, weight_decay=0.0,
                     warmup_steps=5, device="cpu", progress=False)
Trainer(player, recipe, tokens).run()
before, after = bits_of(base), bits_of(player)
changes = {name: (weight - base.get_parameter(name)).detach()
           for name, weight in matrices.items()}
print(f"plays: {before:.2f} bits a byte before, {after:.2f} after")

# %% tags=["diagram"]
pieces = {name: torch.linalg.svd(change, full_matrices=False) for name, change in changes.items()}
CUTS = [0, 1, 2, 4, 8, 16, 32, 96]


@torch.no_grad()
def cut_to(k):
    model = copy.deepcopy(base)
    for name, (u, s, v) in pieces.items():
        model.get_parameter(name).add_((u[:, :k] * s[:k]) @ v[:k])
    return bits_of(model)


cut_bits = {k: cut_to(k) for k in CUTS}
one = "blocks.3.mlp.up_proj.weight"
sigma = pieces[one][1]
noise = torch.linalg.svdvals(torch.randn(changes[one].shape, generator=torch.Generator().manual_seed(0)))
noise = noise * sigma.norm() / noise.norm()


def spectrum(rank=8):
    fig, ax = plt.subplots(figsize=(3.5, 2.7))
    ax.bar(range(1, 97), sigma, color=["#0072B2" if i < rank else "0.8" for i in range(96)], width=1.0)
    ax.plot(range(1, 97), noise, color="#D55E00", linewidth=2, label="Gaussian")
    ax.set(xlabel="singular value, by rank", ylabel="size", title=f"rank {rank}: {cut_bits[rank]:.2f} bits a byte")
    ax.legend(fontsize=9, handlelength=1, loc="upper right", borderaxespad=0.1)
    return fig


explore(spectrum, rank=CUTS, panels=[dict(rank=1), dict(rank=8), dict(rank=96)],
        alt=lambda rank: f"Singular values of one matrix's change beside those of a Gaussian matrix of the same length; the first {rank} are kept. Held-out plays: {cut_bits[rank]:.2f} bits a byte, {before:.2f} without any change and {after:.2f} with all of it.")

# %% [markdown]
# The spectrum falls steeply at first and has a long tail; a random matrix of the same size (the control) falls slowly and evenly. And the tail is worth little: put a few directions back onto $W_0$ and most of the improvement is there. Is that so for everything that one can learn? *Recorded,* three seeds each: the same on three tasks, two of which part IV explains (60 updates for form and plays, 300 for facts). A form or a fact counts if it is exactly right, plays count in bits. Look at which curve needs many directions.

# %% tags=["diagram"]
updates = recorded("lora_updates")["results"]
kept = updates["kept"]
SCORE = {"form": "score", "facts": "score", "plays": "bits"}


def gain(task):
    """Share of what the whole change brought, for each rank it is cut to."""
    rows_ = []
    for run in updates["runs"][task]:
        values = np.array([each[SCORE[task]] for each in run["scores"]])
        rows_.append((values - values[0]) / (values[-1] - values[0]))
    return np.array(rows_)


fig, axes = panels(2, titles=["of the change's squared length", "of what it is good for"], height=3.0)
for task, name in (("form", "a form"), ("plays", "plays"), ("facts", "512 facts")):
    axes[0].plot(kept[1:], np.mean([run["energy"] for run in updates["runs"][task]], 0)[1:], "o-", label=name, markersize=4)
for task, color in (("plays", "#E69F00"), ("facts", "0.4")):
    axes[0].plot(kept[1:], np.mean([run["noise"] for run in updates["runs"][task]], 0)[1:], ":", color=color)
axes[0].text(64, -0.06, "dotted: random,\n64 wide (grey)\nand 96 wide", ha="right", fontsize=9)
axes[0].legend(fontsize=9)
curves({name: gain(task)[:, 1:] for task, name in (("form", "a form"), ("plays", "plays"), ("facts", "512 facts"))}, at=kept[1:], log="x", y="share", ax=axes[1], labels=False)
for ax in axes:
    ax.set_xscale("log", base=2)
    ax.set_xticks(kept[1:], [str(k) for k in kept[1:]])
    ax.set(xlabel="rank that is kept", ylabel="share kept", ylim=(-0.1, 1.08))
show(fig, alt="Left: share of the change's squared length in its largest singular values. Right: share of the gain that remains when the change is cut to that rank, mean and range of three seeds. " + " ".join(f"{name}: rank 4 keeps {gain(task)[:, kept.index(4)].mean():.0%} of the gain, rank 16 {gain(task)[:, kept.index(16)].mean():.0%}." for task, name in (("form", "A form"), ("plays", "Plays"), ("facts", "Facts"))))
fact_bits = np.mean([[each["bits"] for each in run["scores"]] for run in updates["runs"]["facts"]], 0)
print("512 facts, cut to rank 4, 8, 16, 32:", ", ".join(f"{fact_bits[kept.index(k)]:.1f}" for k in (4, 8, 16, 32)), "bits a fact (0: guessing, 12: all)", f"\ncut to rank 8: {np.mean([run['energy'][kept.index(8)] for run in updates['runs']['facts']]):.0%} of the length, {gain('facts')[:, kept.index(8)].mean():.0%} of the facts")

# %% [markdown]
# The left panel would have misled us: by length, the changes for plays and for facts look alike (though the matrices of the first are wider, and their random control lower), and cut to eight directions the facts' change keeps half of its length. By what they are *good for* they differ. Eight directions a matrix carry nearly all of the form; the facts need about four times as many, and cut to eight hardly any is left. The strict count is not to blame: in bits, too, the model is then worse than one that guesses. So how low the rank may be depends on the *task*, and the length that is kept does not tell what it is worth.
#
# One warning: this cuts *afterwards*. Trained within a rank from the start, a model may arrange itself better. Part IV tries it.
#
# ## III. LoRA from scratch
#
# If the change may be of low rank, make it so from the start. Freeze $W_0 \in \mathbb{R}^{d \times k}$ and train two thin matrices:
#
# $$h \;=\; W_0\,x \;+\; \frac{\alpha}{r}\,B A\,x, \qquad A \in \mathbb{R}^{r \times k},\; B \in \mathbb{R}^{d \times r},\; r \ll \min(d, k).$$

# %% tags=["diagram"]
d = Diagram(12, 3.6)
x_box = d.box(1.0, 1.9, "$x$", w=0.9, h=0.7, color="grey")
frozen = d.box(4.9, 2.8, "$W_0$  ($d \\times k$), frozen", w=3.4, h=0.9, color="grey", dashed=True)
a_box = d.box(3.6, 0.9, "$A$  ($r \\times k$)\nrandom", w=1.9, h=0.9, color="blue")
b_box = d.box(6.3, 0.9, "$B$  ($d \\times r$)\nzeros", w=1.9, h=0.9, color="orange")
scale_box = d.box(8.5, 0.9, "$\\alpha / r$", w=1.2, h=0.7, color="green")
plus = d.plus(9.9, 1.9)
h_box = d.box(11.2, 1.9, "$h$", w=0.9, h=0.7, color="grey")
d.arrow(x_box, frozen)
d.arrow(x_box, a_box)
d.arrow(a_box, b_box, "$r$")
d.arrow(b_box, scale_box)
d.arrow(frozen, plus)
d.arrow(scale_box, plus)
d.arrow(plus, h_box)
d.show(alt="A LoRA layer: x goes through the frozen matrix W0 and, beside it, through A, which is random, then B, which is zero at first, and the factor alpha over r; the two results are added to h.")

# %%
class LowRank(torch.nn.Module):
    """A frozen linear layer, and beside it (alpha / r) B A."""

    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base, self.scale = base.requires_grad_(False), alpha / rank
        bound = base.in_features ** -0.5
        self.a = torch.nn.Parameter(torch.empty(rank, base.in_features)
                                    .uniform_(-bound, bound))
        self.b = torch.nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):                               # (..., k) -> (..., d)
        return self.base(x) + self.scale * (x @ self.a.T) @ self.b.T


linear = torch.nn.Linear(96, 256, bias=False)
ours = LowRank(copy.deepcopy(linear), rank=8, alpha=16)
model = torch.nn.Sequential(copy.deepcopy(linear))
apply_lora(model, LoRAConfig(rank=8, alpha=16.0, targets="0"))
theirs = model[0].adapters["default"]
with torch.no_grad():
    theirs.a.copy_(ours.a)
    theirs.b.copy_(ours.b.normal_())                    # as if it had been trained
x = torch.randn(4, 96)
torch.testing.assert_close(ours(x), model(x))           # what the library runs

# %% [markdown]
# With $g = \partial L / \partial h$, the gradients of the two factors are each a product with the other one:
#
# $$\frac{\partial L}{\partial B} = \frac{\alpha}{r}\; g\,(A x)^\top, \qquad \frac{\partial L}{\partial A} = \frac{\alpha}{r}\; B^\top g\, x^\top .$$
#
# **By hand.** Two inputs, two outputs, $r = 1$, $\alpha = 2$, $W_0$ the identity. With $A = (1,\, 1)$ and $B = (0,\, 0)^\top$ nothing is added: $x = (3, 1)$ comes out as $(3, 1)$. Let the loss be $-h_1$, so $g = (-1, 0)^\top$, and $A x = 4$. The gradient of $B$ is $(-8,\, 0)^\top$, that of $A$ is $(0, 0)$. One step of size 0.1 makes $B = (0.8,\, 0)^\top$. The next gradient of $A$ is no longer zero. With *both* at zero, both gradients are products with a zero, in this step and in every later one.

# %% [markdown]
# ### How many numbers
#
# A $d \times k$ matrix has $dk$ entries, its LoRA $r(d + k)$. The slides say 99.6 % fewer for 4096 × 4096 at $r = 8$, and "~10M trainable params" for a 7B model. On torch's meta device, shapes without numbers, the real model costs nothing:

# %%
# NBVAL_CHECK_OUTPUT
print(f"4096 x 4096, r = 8: {1 - 8 * (4096 + 4096) / 4096 ** 2:.1%} fewer")
for targets in (("*.q_proj", "*.v_proj"), ("*.attention.*",), ("blocks.*",)):
    with torch.device("meta"):
        llama = Transformer(preset("llama2-7b"))
    told = apply_lora(llama, LoRAConfig(rank=8, targets=targets))
    print(f"{' '.join(targets):19} {told.trainable / 1e6:5.2f}M "
          f"of {told.total / 1e9:.2f}B")

# %% [markdown]
# "~10M" depends on where the adapters go: 4.2 million for queries and values alone (the paper's choice), 20 million for all linear layers (QLoRA's choice, and ours below).
#
# ### Three starts (*optional*)
#
# The example by hand in four pictures, and then the same in a small experiment: learn a change of rank 2 from three starts.

# %% tags=["diagram"]
def life(a, b, note, merged=False):
    d = Diagram(6, 3.0)
    d.matrix(3.0 if merged else 1.2, 1.5, [[1.0, 0.0], [0.0, 1.0]] if not merged else [[1 + 2 * b[0] * a[0], 2 * b[0] * a[1]], [2 * b[1] * a[0], 1 + 2 * b[1] * a[1]]], label="$W$" if merged else "$W_0$", cell=0.8)
    if not merged:
        d.label(2.4, 1.5, "+ 2 ·")
        d.matrix(3.3, 1.5, [[b[0]], [b[1]]], label="$B$", cell=0.8)
        d.matrix(4.9, 1.5, [[a[0], a[1]]], cell=0.8, color=None)
        d.label(4.9, 2.15, "$A$")
    d.label(3.0, 0.4, note, size=11)
    return d


steps([life((1.0, 1.0), (0.0, 0.0), "start: h = (3.0, 1.0), as without adapter"),
       life((1.0, 1.0), (0.8, 0.0), "after one step of 0.1: h = (9.4, 1.0)"),
       life((1.48, 1.16), (1.6, 0.0), "after two: A moves as well"),
       life((1.48, 1.16), (1.6, 0.0), "merged: one matrix, no second path", merged=True)],
      panels=[0, 1, 3], name="moment",
      alt=["W0 is the identity, B is zero, A is (1, 1): nothing is added.", "B is (0.8, 0), A still (1, 1).", "B is (1.6, 0) and A (1.48, 1.16).", "One matrix, W0 + 2 B A."])

# %%
poll("Now the other way round: B is random and A starts at zero. What does training do?",
     ["it starts at the base model as well, and the first step moves A alone", "nothing, ever: one of the factors is zero", "it starts from a model that a random B has disturbed", "it learns, but the result cannot be merged"],
     "The product is zero again, so nothing is disturbed. The gradient of B has the factor A x and vanishes; that of A has the factor B and does not. Both starts are possible; Hayou et al. (2024) find that they want different learning rates.")

# %%
def three_starts(a_std, b_std, updates=60):
    """Loss of learning a random change of rank 2, and the shift before training."""
    g = torch.Generator().manual_seed(0)
    draw = lambda *size: torch.randn(size, generator=g)
    x, goal = draw(256, 16), draw(16, 2) @ draw(2, 16) / 4
    a = (draw(4, 16) * a_std).requires_grad_()
    b = (draw(16, 4) * b_std).requires_grad_()
    optimizer, losses = torch.optim.Adam([a, b], lr=0.03), []
    for _ in range(updates):
        loss = ((x @ (b @ a).T - x @ goal.T) ** 2).mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


starts = {"both zero": three_starts(0, 0), "B zero": three_starts(0.25, 0),
          "neither": three_starts(0.25, 0.5)}
assert starts["both zero"][0] == starts["both zero"][-1]          # not a bit
assert starts["B zero"][0] == starts["both zero"][0]              # the base model

# %% tags=["figure"]
curves({name: list(losses) for name, losses in starts.items()}, x="update", y="squared error", height=2.6,
       alt="Squared error against updates. " + " ".join(f"{name}: {losses[0]:.2f} to {losses[-1]:.2f}." for name, losses in starts.items()))

# %% [markdown]
# Both zero is a straight line. With $B = 0$ training starts exactly at the base model and learns. With neither at zero it learns as well (all of this is one draw), from a worse beginning: the model has been disturbed before it saw an example. So zero is no must; it keeps the base as it was.
#
# ### What alpha does (*optional*)
#
# The factor $\alpha / r$ is meant to let one change the rank and keep the learning rate. *Recorded,* one seed: 256 facts at rank 4, crossed with the rate; 0.0 stands for guessing or worse. Look along the diagonals.

# %% tags=["diagram"]
ranks = recorded("lora_rank")["results"]
alphas = sorted({run["alpha"] for run in ranks["alpha"]})
rates = sorted({run["lr"] for run in ranks["alpha"]})
grid = np.array([[next(run["bits"] for run in ranks["alpha"] if (run["alpha"], run["lr"]) == (alpha, lr)) for lr in rates] for alpha in alphas])
best_rates = [rates[int(row.argmax())] for row in grid]
heat_map(np.clip(grid, 0, None), rows=[f"α = {alpha:g}" for alpha in alphas], columns=[f"{lr:g}" for lr in rates], fmt=".1f", x="learning rate", y="", color="bits learned of 12", height=2.6,
         alt="Bits learned of each fact, by alpha and learning rate, one seed. " + " ".join(f"alpha {alpha:g}: best at {lr:g} with {row.max():.1f} bits." for alpha, lr, row in zip(alphas, best_rates, grid)))

# %% [markdown]
# Rate and $\alpha$ are not independent knobs: a larger $\alpha$ wants a smaller rate, and with the right one each of the three learned nearly all there was. So here $\alpha$ need not be tuned if the rate is, and comparing ranks at one fixed rate would in part compare rates. Parts IV and VII choose it for each contender.
#
# ## IV. What the rank can hold
#
# Three tasks for the fine-tuned model of lecture 11's support desk, 0.13 million parameters:
# - **form**: the replies it gives anyway, in a frame of words that it knows (*thank you for your order . … please let us know*);
# - **facts**: N random associations, three words to two, 12 bits each, nothing to be understood about them;
# - **symbols**: the replies it gives anyway, as JSON; braces and quotes are tokens that its pre-training never saw.

# %%
poll("Rank 1 instead of 16, everything tuned anew. Which of these suffers?",
     ["facts, more the more there are", "form: every word of the frame is a fact to be stored", "both alike: fewer parameters, less of everything", "neither: training stops at the same loss"],
     "See the figure. A frame is one thing said the same way every time, whatever the request; facts are as many things as there are facts.")

# %% tags=["diagram"]
def of(task, contender, key="score", n=None):
    return [run[key] for run in ranks["runs"][task] if run["contender"] == contender and (n is None or run["n"] == n)]


RANKS = [1, 4, 16, 64]
sizes = sorted({run["n"] for run in ranks["runs"]["facts"]})
series = {"form": ([1, 4, 16], np.array([of("form", r) for r in (1, 4, 16)]).T)}
for n in sizes:
    series[f"{n} facts"] = (RANKS, np.array([of("facts", r, n=n) for r in RANKS]).T)
curves(series, x="rank", y="share right", log="x", ylim=(-0.05, 1.08), height=3.0,
       alt="Share of replies in the form, and of facts recalled, against rank, mean and range of three seeds. " + " ".join(f"{name}: {np.mean(ys, 0)[0]:.2f} at rank 1, {np.mean(ys, 0)[-1]:.2f} at rank {xs[-1]}." for name, (xs, ys) in series.items()))
table([{"contender": f"LoRA, r = {c}" if isinstance(c, int) else {"matrices": "same matrices, full", "full": "everything, full"}[c],
        "trainable": next(run["trainable"] for task in ranks["runs"] for run in ranks["runs"][task] if run["contender"] == c)}
       | {task if n is None else f"{n} facts": f"{np.mean(found):.2f} ({min(found):.2f}–{max(found):.2f})" if found else "" for task, n in (("form", None), *(("facts", n) for n in sizes), ("symbols", None)) for found in [of(task, c, n=n)]}
       for c in (*RANKS, "matrices", "full")], caption="recorded: share of replies in the form, of facts recalled, of replies as JSON; mean and range of three seeds; best of three rates for each")

# %% [markdown]
# *Form.* Rank 1 is enough, and nothing is gained by more. Part II's full change, cut to rank 1, kept none of it: training within a rank is not cutting to it. For 512 facts at rank 16 the two come out alike.
#
# *Facts.* 128 fit, nearly all, into rank 1. With 512 the low ranks fail, rank 16 holds less than half, and full fine-tuning with as many updates has them all. Is it LoRA's form, or its rank? Rank 64 is no restriction for these matrices, and there LoRA recalls everything; so it is the rank, at 300 updates. Whether it lacks room or speed is open: each of 512 facts was shown a quarter as often as each of 128, and ranks 1 and 4 chose the highest of their rates. More updates would probably move these curves to the left (exercise 4).
#
# *Symbols.* The same form as the first, in letters that the model has never seen. Full fine-tuning learns it. LoRA of rank 16 does not, at any of three rates, and neither do the *same matrices trained in full*. So this time it is not the rank. What full fine-tuning trains besides are the embeddings, which are also the output head, and the gains of the norms. We take it to be the embeddings, where no adapter of the blocks reaches (exercise 6 tries it). Whoever adds tokens to a model trains these as well.
#
# So when does LoRA lose? Here: when there is much to store at a low rank, and when what must change is not where the adapters are. Biderman et al. (2024) find the first in large models, on code and mathematics.
#
# ## V. A real model learns JSON
#
# SmolLM2 knows braces well; it only never answers with them. The base stays frozen, the adapters sit on all linear layers. Recorded further down, the base is in bf16 and the adapters in fp32 (in bf16 a weight near 1 would not notice a step of $10^{-3}$). Live all of it is fp32, because a processor without bf16 instructions has to imitate them, and on one of those eight updates were not done in two minutes. Eight updates of four questions:

# %%
smol, smol_tokenizer = load_smollm2("cpu")
real = not is_stand_in(smol)
with open(fetch("nq-open"), encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]
rows = [row for row in rows if len(row["answer"][0]) < 25]
shown = [reply_example(smol_tokenizer, row["question"] + "?",
                       json.dumps({"answer": row["answer"][0]}))
         for row in random.Random(1).sample(rows, 32)]
batches = [{name: tensor for name, tensor in pad_examples(shown[i:i + 4]).items()
            if name != "pad_mask"} for i in range(0, 32, 4)]  # causal: none needed


def label_loss(model, batch):                           # -> (sum, number of targets)
    """The head, the largest matrix, is asked about the reply's tokens alone."""
    counts = batch["targets"] != -100
    logits = model.head(model.hidden(batch["ids"])[counts]).float()
    targets = batch["targets"][counts]
    return F.cross_entropy(logits, targets, reduction="sum"), counts.sum()


def ask(question, new=20):
    prompt = [chat_prompt(smol_tokenizer, question)]
    said = sample_replies(smol, prompt, end_of_turn(smol_tokenizer), new, greedy=True)
    return smol_tokenizer.decode(said.replies[0])

# %%
QUESTIONS = ["What is the capital of Italy?", "Name a fruit.", "Who wrote Hamlet?"]
replies = {"before": [ask(question) for question in QUESTIONS]}
told = apply_lora(smol, LoRAConfig(rank=8, alpha=16.0, targets="blocks.*"),
                  generator=torch.Generator().manual_seed(0))
live = TrainConfig(steps=8, lr=2e-3, weight_decay=0.0, warmup_steps=1, device="cpu",
                   progress=False)
began = time.process_time()
losses = Trainer(smol, live, batches, loss=label_loss).run().train_loss
spent = time.process_time() - began
replies["after"] = [ask(question) for question in QUESTIONS]
print(told)
print(f"loss {losses[0]:.1f} to {losses[-1]:.1f} in {spent:.0f} processor seconds")

# %% tags=["figure"]
table([{"": question} | {name: texts[i] for name, texts in replies.items()} for i, question in enumerate(QUESTIONS)])

# %% [markdown]
# Eight updates, and on these three the form is there. *Recorded,* the whole run: 24 updates of 8 questions with published short answers, three seeds, each in a process of its own. It is judged greedily on 40 questions of the same kind that no seed trained on, and on lecture 11's prompts: 12 easy facts and 8 requests of other kinds.

# %% tags=["diagram"]
taught = recorded("lora_json")["results"]
json_runs, json_before = taught["runs"], taught["before"]
def json_row(name, look, run=None):
    counts = {group: f"{v} of {n}" for group, v, n in zip(("40 held-out", "12 facts", "8 other requests"), look["valid"], look["asked"])}
    spent = ("", "", "") if run is None else (f"{run['seconds']['cpu']:.0f}", f"{run['seconds']['wall']:.0f}", f"{run['peak_gb']:.2f}")
    return {"": name} | counts | {"facts right": f"{look['right']} of 12", "bits a byte on prose": f"{look['bits_per_byte']:.2f}"} | dict(zip(("training, CPU s", "by the clock, s", "peak, GB"), spent))


valid = sum(run["after"]["valid"][0] for run in json_runs)
of_all = sum(run["after"]["asked"][0] for run in json_runs)
low, high = wilson_interval(valid, of_all)
table([json_row("before", json_before), *(json_row(f"seed {run['seed']}", run["after"], run) for run in json_runs)],
      caption=f"recorded: valid JSON; rank 8 on all linear layers, {json_runs[0]['trainable'] / json_runs[0]['total']:.2%} of the parameters, an adapter of {json_runs[0]['file_mb']:.0f} MB; {taught['updates']} updates on one thread of a machine that many shared. Valid on held-out questions in all: {valid} of {of_all}, {low:.0%} to {high:.0%} (95 %, the seeds' prompts taken as independent)")

# %% [markdown]
# In less than a minute of one core, with under two per cent of the parameters, the form is learned; the few replies that fail are loops, quotes inside of quotes, and one that was cut off. On requests that are no questions it is less sure, perhaps since every example was a question.
#
# The content pays. In each seed fewer of the twelve easy facts are right than before, though no weight of the base has changed. Lecture 11 found the same with published answers and two blocks trained in full, and kept nearly all with the model's *own* sentences; so a frozen base is no protection by itself. We tried own sentences here as well, twice, one seed each: fewer replies were valid, since long ones rambled on until they were cut off.
#
# ## VI. Several adapters on one base
#
# An adapter is a small file beside a large one. The support desk's model gets two, in seconds: one that puts replies into the *letter* of part IV, one that turns it into a *seller*.

# %%
desk_model, desk_tokenizer = load_desk("sft", device="cpu")
desk, end = SupportDesk(0), end_of_turn(desk_tokenizer)
STYLES = {"letter": "thank you for your order . {} please let us know",
          "seller": "{} by the way , the camera is popular ."}


def answer(model, requests):
    prompts = [chat_prompt(desk_tokenizer, request.text) for request in requests]
    said = sample_replies(model, prompts, end, 64, greedy=True).replies
    return [desk_tokenizer.decode(reply) for reply in said]


practice = desk.requests(96, random.Random("practice"), ("demonstrated",))
plain = answer(desk_model, practice)
for name, style in STYLES.items():
    apply_lora(desk_model, LoRAConfig(rank=2, alpha=4.0, targets="blocks.*"), name)
    lessons = [reply_example(desk_tokenizer, request.text, style.format(reply))
               for request, reply in zip(practice, plain)]
    lessons = [pad_examples(lessons[i:i + 16]) for i in range(0, 96, 16)]
    short = TrainConfig(steps=48, lr=1e-2, weight_decay=0.0, warmup_steps=5,
                        device="cpu", progress=False)
    Trainer(desk_model, short, lessons).run()

# %%
request = desk.requests(1, random.Random(6), ("demonstrated",))
said = {}
for name in (None, "letter", "seller"):
    set_adapter(desk_model, name)
    said[name or "base"] = answer(desk_model, request)[0]
print(request[0].text, *(f"{name:7} {text}" for name, text in said.items()), sep="\n")

apply_lora(smol, LoRAConfig(rank=8, alpha=16.0, targets="blocks.*"), "second")
clock = []
for name in ["default", "second"] * 10:
    began = time.process_time()
    set_adapter(smol, name)
    clock.append(1e3 * (time.process_time() - began))
switch = np.median(clock)
print(f"SmolLM2, {len(lora_layers(smol))} layers: switched in {switch:.1f} ms")

# %% [markdown]
# No weight moves when adapters are switched: each layer is told which pair to use. A server keeps one base in memory and hundreds of pairs. As files they are small, some twenty kilobytes here, and they know to which model they belong.

# %% [markdown]
# ### Zero overhead?
#
# "Zero Inference Overhead: no additional latency", says the slide. As trained, a LoRA layer does two more products and an addition. Once merged, $W = W_0 + \tfrac{\alpha}{r} B A$, it is an ordinary matrix. The arithmetic of the adapter is a small share (a 250th for 4096 × 4096 at $r = 8$), but it comes in small calls, and in a small model these seem to be most of the time: the last two columns of the next part's table have whole decodings, before and after merging. Merged, nothing is left, and it cannot be otherwise.
#
# What merging costs is the switching: after it there is one model again. So "zero overhead" and "easily switch" hold one at a time.

# %% [markdown]
# ### One layer, and a file (*optional*)
#
# Merged, the desk's model has plain layers again, and answers as before:

# %%
adapted_desk = copy.deepcopy(desk_model)
set_adapter(adapted_desk, "letter")
plain_desk = copy.deepcopy(adapted_desk)
merge_lora(plain_desk, unwrap=True)                        # plain layers again
assert answer(plain_desk, request) == answer(adapted_desk, request)
assert not lora_layers(plain_desk)

# %% [markdown]
# The slide's own matrix and one token, timed in turns:

# %%
big = torch.nn.Linear(4096, 4096, bias=False).requires_grad_(False)
adapted = LowRank(big, rank=8, alpha=16)
merged = torch.nn.Linear(4096, 4096, bias=False).requires_grad_(False)
with torch.no_grad():
    adapted.b.normal_(std=0.02)
    merged.weight.copy_(big.weight + adapted.scale * adapted.b @ adapted.a)
    token = torch.randn(1, 4096)
    torch.testing.assert_close(adapted(token), merged(token), rtol=1e-3, atol=1e-4)
    taken = {name: [] for name in ("base", "adapter", "merged")}
    for _ in range(15):                                 # in turns, on a shared machine
        for name, layer in zip(taken, (big, adapted, merged)):
            began = time.process_time()
            for _ in range(5):
                layer(token)
            taken[name].append(time.process_time() - began)
alone = np.median(taken["base"])
for name in ("adapter", "merged"):
    print(f"{name}: {np.median(taken[name]) / alone:.2f} times the base's time")

# %% [markdown]
# On another base the numbers of an adapter mean nothing. A file therefore carries a fingerprint of the weights it was trained beside:

# %%
with tempfile.TemporaryDirectory() as folder:
    path = save_adapter(Path(folder) / "letter", desk_model, "letter")
    fresh, _ = load_desk("sft", device="cpu")
    size = path.stat().st_size
    whole = sum(p.numel() * p.element_size() for p in fresh.parameters())
    load_adapter(path, fresh)
    set_adapter(desk_model, "letter")
    assert answer(fresh, request) == answer(desk_model, request)
    wrong, _ = load_desk("ppo", device="cpu")           # same shape, other weights
    try:
        load_adapter(path, wrong)
    except ValueError as error:
        print(str(error).partition("letter.safetensors'")[2][:96], "...")
print(f"{size / 1e3:.0f} kB beside the model's {whole / 1e3:.0f} kB")

# %% [markdown]
# ## VII. The family
#
# LoRA is one of many. Business Analytics shows the map of Lialin et al. (2023): methods that *add* parameters, that *select* some of those there are, and that *re-parametrise* the change. Prompt tuning learns vectors that stand before the text, prefix tuning keys and values of every layer; (IA)³ learns factors of activations, a bottleneck is a small network after a sub-layer, and BitFit learns biases (added here, since our model has none). In one block, they sit here:

# %% tags=["diagram"]
d = Diagram(12, 4.6)
for x, text, color in ((2.4, "additive", "blue"), (6.0, "selective", "green"), (9.6, "reparametrised", "orange")):
    d.box(x, 4.3, text, w=2.6, h=0.5, color=color, size=11)
d.stream((6.0, 0.2), (6.0, 3.9))
emb = d.box(6.0, 0.75, "embeddings", w=2.4, h=0.5, color="grey", size=11)
att = d.box(6.0, 1.75, "norm, attention\n$W_q, W_k, W_v, W_o$", w=3.0, h=0.85, color="grey", size=11)
mlp = d.box(6.0, 3.05, "norm, MLP\n$W_{gate}, W_{up}, W_{down}$", w=3.0, h=0.85, color="grey", size=11)
for x, y, text, color, at, w in (
        (1.5, 0.75, "prompt: vectors", "blue", emb, 2.7), (1.5, 1.5, "prefix: keys, values", "blue", att, 2.7),
        (1.5, 2.25, "(IA)³: factors", "blue", att, 2.7), (1.5, 3.05, "bottleneck after it", "blue", mlp, 2.7),
        (10.4, 0.75, "full: this, all above", "green", emb, 2.9), (10.4, 2.15, "LoRA: any $W_0 + BA$", "orange", att, 2.9),
        (10.4, 1.45, "norms: their gains", "green", att, 2.9), (10.4, 2.85, "BitFit: biases", "green", mlp, 2.9),
        (10.4, 3.5, "last layers", "green", mlp, 2.9)):
    d.arrow(d.box(x, y, text, w=w, h=0.5, color=color, size=10.5), at)
d.show(alt="A Transformer block with the family around it. Additive: prompt tuning at the embeddings, prefix tuning and (IA)3 at the attention, bottleneck adapters after a sub-layer. Selective: norms, BitFit, last layers, everything. Reparametrised: LoRA beside the matrices.")

# %% [markdown]
# All of them go through one function, `apply_peft(model, name, **options)`. *Recorded:* the task of part II, plays for the base model of a million parameters; the same 60 updates of 512 tokens for each, the best of three rates on passages of its own, then three seeds on others. To the right in the figure is better, upwards is the price. Guess the order before you look.

# %% tags=["diagram"]
family = recorded("peft_family")["results"]
order = list(dict.fromkeys(run["method"] for run in family["runs"]))
lora_best = "LoRA all, r = 8"


def column(method, key):
    return [run[key] for run in family["runs"] if run["method"] == method]


cost = {each["method"]: each for each in family["costs"]}
learned = {method: [family["before"]["report"] - v for v in column(method, "report")] for method in order}
forgot = {method: [v - family["before"]["wikipedia"] for v in column(method, "wikipedia")] for method in order}
LEFT = ("norms", "(IA)³", "prefix, 16")
fig, ax = plt.subplots(figsize=(7.2, 3.3))
for method in order:
    color = {"LoRA": "#D55E00", "full": "0.3", "last": "0.3"}.get(method.split()[0], "#0072B2")
    ax.scatter(learned[method], forgot[method], s=22, color=color)
    ax.annotate(method, (np.mean(learned[method]), np.mean(forgot[method])), xytext=(-7 if method in LEFT else 0 if "q, v" in method else 7, -27 if "q, v" in method else -3), textcoords="offset points", ha="right" if method in LEFT else "left", fontsize=10)
ax.set(xlabel="learned: bits a byte saved on held-out plays", ylabel="forgotten: bits a byte\nmore on Wikipedia", xlim=(0, 0.62), ylim=(-0.02, 0.6))
show(fig, alt="Each method's three seeds: bits a byte saved on plays against bits a byte more on Wikipedia. " + ", ".join(f"{method} {np.mean(learned[method]):.2f} and {np.mean(forgot[method]):.2f}" for method in order) + ".")

# %% tags=["diagram"]
table([{"method": method, "trainable": column(method, "trainable")[0], "of all": f"{column(method, 'trainable')[0] / family['total']:.2%}", "rate": f"{column(method, 'lr')[0]:g}",
        "plays": f"{np.mean(column(method, 'report')):.2f}", "range": f"{min(column(method, 'report')):.2f}–{max(column(method, 'report')):.2f}", "Wikipedia": f"{np.mean(column(method, 'wikipedia')):.2f}"} for method in order],
      caption=f"recorded: bits a byte over three seeds; before: plays {family['before']['report']:.2f}, Wikipedia {family['before']['wikipedia']:.2f}")
of_merged = [x for m in order for x in cost[m]["seconds"].get("merged", [])]
table([{"method": method, "memory, MB": sum(cost[method]["held"].values()) / 1e6, "of it gradients + moments": (cost[method]["held"]["gradients"] + cost[method]["held"]["moments"]) / 1e6, "CPU ms an update": 1e3 * np.mean(column(method, "seconds")),
        "decoding": f"{np.median(cost[method]['seconds']['unmerged']):.2f}x", "merged": f"{np.median(cost[method]['seconds']['merged']):.2f}x" if "merged" in cost[method]["seconds"] else ""} for method in order],
      fmt={"memory, MB": ".0f", "of it gradients + moments": ".1f", "CPU ms an update": ".0f"}, caption=f"recorded: memory is counted (weights, gradients, moments, activations kept); decoding: processor time by the base model's, medians, in turns on a busy machine; single turns of merged ones {min(of_merged):.1f} to {max(of_merged):.1f}")

# %% [markdown]
# *Quality.* Full fine-tuning learns most in sixty updates, and forgets most. LoRA on all layers follows. Norms, BitFit and (IA)³ train under 0.6 % of the numbers and still get a good half of the gain or more. Prefix and prompt get the least, and forget little.
#
# *The surprise* is the last layer alone, a whole block. It learned as much as the bottleneck adapters, which have a third of its parameters, forgot far less than they did, and took two thirds of their time and little more than half of their memory, since no error has to travel below it. Style, one may guess, is put on at the end; for facts or symbols we would not expect it.
#
# *Tuning.* For every method the highest of its three rates was chosen. So none need be at its best, and the order is one of short runs.
#
# *Memory.* Gradients and moments nearly vanish, yet, the last layer aside, the total falls by a quarter to two fifths, because activations are most of it at this size.
#
# *Decoding.* What sits in the path costs calls; what has been merged is the base model again, within the noise of the clock.
#
# ## VIII. QLoRA (*optional*)
#
# What LoRA leaves is the base. QLoRA (Dettmers et al., 2023) keeps it in 4 bits: 16 levels placed where normally distributed weights are, a scale for every few dozen of them (lecture 15 builds it). Gradients pass *through* the quantized matrices, to adapters in full precision.

# %%
small, _ = load_base("1m", device="cpu")
report = quantize_model(small, "nf4", group_size=32)    # 64 does not divide 96
told = apply_lora(small, LoRAConfig(rank=8, alpha=16.0, targets="blocks.*"))
rounded = bits_of(small)
Trainer(small, recipe.replace(steps=20), tokens).run()
print(f"matrices of the blocks: {report.nbytes_before / 1e6:.2f} to "
      f"{report.nbytes / 1e6:.2f} MB\nplays: {before:.2f} bits a byte, {rounded:.2f} "
      f"in 4 bits, {bits_of(small):.2f} after 20 updates of its adapters")

# %% [markdown]
# Rounding costs little here, and the adapters learn all the same. In the table of part I, SmolLM2 on an NF4 base saves what it should in weights and nothing at the peak, which weights do not make: QLoRA should pay where the weights are most of the memory, as at 7 billion, and here they are not. Each use unpacks the matrices, and that takes time. What its table there does not show is quality: SmolLM2's weights lie on a 4-bit grid anyway.
#
# ## Scale warning
#
# > **What these models can and cannot tell you.** The arithmetic of memory, the gradient at $A = B = 0$, merging, and the counts for 7B do not depend on our models. That a form fits into rank 1 and many random facts want more is shown for one model of 0.13 million parameters and short runs. In a model that is sixty times wider, rank 8 is a far smaller share and still millions of numbers; where its limit lies has to be measured there. The order of the family's methods belongs to 60 updates on one kind of text: prompt tuning, weak here, is reported to catch up from ten billion parameters on (Lester et al., 2021). And our overheads are those of small matrices on a CPU.
#
# **Not shown here:** DoRA and rsLoRA (switches of `LoRAConfig`), more epochs at low rank, adapters for embeddings, and several adapters in one batch.
#
# ## Claims
#
# What the source lectures say about this topic, against what the papers say and what you have just computed.

# %%
claims_table([
    Claim("7B with Adam: 4x memory (weights + gradients + 2 moments), around 56GB",
          "Kingma and Ba (2015): two moments a parameter",
          "4 x 28 = 112 GB; SmolLM2 measured: "
          f"{full_way['peak_gb']:.1f} GB for {full_way['weights'] / 1e9:.2f} GB of weights",
          "fails; half of it is missing", source="analytics"),
    Claim("7B model: 56GB to 30GB with LoRA", "Hu et al. (2021): GPT-3 175B from 1.2 TB to 350 GB",
          f"112 to 28.1 GB, bf16 base 14.1; SmolLM2's peak {full_way['peak_gb']:.1f} to "
          f"{of_way['LoRA all, fp32']['peak_gb']:.1f}, bf16 base {bf16_way['peak_gb']:.1f} GB",
          "fails; the end is near, the start is half", source="analytics"),
    Claim("d = k = 4096, r = 8: 99.6% reduction", "Hu et al. (2021), section 4",
          f"{1 - 8 * 8192 / 4096 ** 2:.1%}", "holds", source="analytics"),
    Claim("7B model: ~10M trainable params", "Hu et al. (2021): depends on rank and targets",
          "r = 8: q, v 4.2M; all linear layers 20M", "holds; as an order of magnitude", source="analytics"),
    Claim("PEFT, typical: <1% of parameters trainable", "Lialin et al. (2023), table of methods",
          f"7B, all linear, r = 8: 0.3 %; SmolLM2: {bf16_way['trainable'] / bf16_way['total']:.1%}",
          "holds; one rank is a larger share of a small model", source="analytics"),
    Claim("the updates have a low intrinsic rank", "Hu et al. (2021): hypothesised, r = 1 to 8 enough",
          f"rank 4 keeps {gain('form')[:, kept.index(4)].mean():.0%} of a form's gain and "
          f"{gain('facts')[:, kept.index(4)].mean():.0%} of 512 facts'",
          "holds; for some tasks, not for facts", source="analytics", split="report"),
    Claim("zero inference overhead, no additional latency", "Hu et al. (2021), section 4.1: when merged",
          f"1M model, decoding: {np.median(cost[lora_best]['seconds']['unmerged']):.1f}x as trained, "
          f"{np.median(cost[lora_best]['seconds']['merged']):.1f}x merged",
          "holds; after merging", source="analytics"),
    Claim("easily switch: only A and B change", "Hu et al. (2021), section 4.1",
          f"SmolLM2, {len(lora_layers(smol))} layers: {switch:.1f} ms", "holds; not once merged", source="analytics",
          rule=switch < 100),
    Claim("for some tasks, fine-tuning is still better", "Biderman et al. (2024): learns less, forgets less",
          f"512 facts: rank 4 {np.mean(of('facts', 4, n=sizes[-1])):.2f}, 64 {np.mean(of('facts', 64, n=sizes[-1])):.2f}, full {np.mean(of('facts', 'full', n=sizes[-1])):.2f}; "
          f"symbols: rank 16 {np.mean(of('symbols', 16)):.2f}, full {np.mean(of('symbols', 'full')):.2f}",
          "holds; facts at low rank, new symbols", source="analytics", split="report"),
    Claim("without enough data: freeze the LM, keep some parameters trainable, add an adapter, or LoRA",
          "Houlsby et al. (2019); Hu et al. (2021)",
          f"64 examples, LoRA: {valid} of {of_all} held-out replies are valid JSON, 3 seeds",
          "holds; a form is learned, not compared with full training", source="11785", split="report"),
])

# %% [markdown]
# ## Summary
#
# 1. Full fine-tuning with Adam keeps four numbers for each weight: 112 GB at 7 billion in fp32, not 56. LoRA removes gradients and moments, and leaves weights and activations.
# 2. Cut to a few directions, the change of a full fine-tuning still does most of its work on a form or a style, and hardly any on random facts. How low the rank may be depends on the task.
# 3. $h = W_0 x + \tfrac{\alpha}{r} B A x$. One factor starts at zero so that training starts at the base model; both at zero never learn. Rate and $\alpha$ are tuned as one.
# 4. Rank 1 holds a form; many facts want more, at equal updates; symbols that the embeddings do not know were not learned by the matrices of the blocks, adapted or trained in full.
# 5. A real model of 135 million parameters took on a new form of answer in under a minute of one core's time, with 1.8 % of its parameters, and gave fewer right facts in it.
# 6. Adapters switch in milliseconds and merge into nothing, one or the other. In the family, more trained parameters were mostly better at the new text; prefixes, prompts and the last layer fall out of that order.
#
# ## Exercises
#
# *Lab 14* builds on this page: the layer, merging, parameter counts, adapter files, and a run to diagnose.
#
# 1. By hand: continue the example of part III by the second step of size 0.1. Which entries of $A$ move, and why not alike?
# 2. A colleague merges with $BA$ instead of $\tfrac{\alpha}{r} BA$. With $r = 8$ and $\alpha = 16$, what does the merged model answer? And if the factor is applied twice?
# 3. At which rank does LoRA on a 4096 × 4096 matrix have as many parameters as the matrix? And on 4096 × 11008?
# 4. In `experiments/lora_rank.py`, let rank 4 learn 512 facts for 1,200 updates. Does it catch up with full fine-tuning at 300? Predict first.
# 5. The optimizer was made before `apply_lora`, and holds the base's weights. What is trained, what is not, and how would you notice?
# 6. Train the embeddings along with LoRA on the JSON of part IV (set `requires_grad` by hand). Does it now learn the symbols, and what does that do to the claim that adapters are small?
#
# ## Further reading
#
# Hu et al. (2021), *LoRA: Low-rank adaptation of large language models*. Aghajanyan et al. (2020), *Intrinsic dimensionality explains the effectiveness of language model fine-tuning*. Houlsby et al. (2019), *Parameter-efficient transfer learning for NLP*. Li and Liang (2021), *Prefix-tuning*. Lester et al. (2021), *The power of scale for parameter-efficient prompt tuning*. Ben Zaken et al. (2022), *BitFit*. Liu et al. (2022), *Few-shot parameter-efficient fine-tuning is better and cheaper than in-context learning* ((IA)³). Lialin et al. (2023), *Scaling down to scale up*. Dettmers et al. (2023), *QLoRA*. Kalajdzievski (2023), *A rank stabilization scaling factor for fine-tuning with LoRA*. Biderman et al. (2024), *LoRA learns less and forgets less*. Liu et al. (2024), *DoRA*. Hayou et al. (2024), *The impact of initialization on LoRA finetuning dynamics*.
