# %% [markdown]
# # 09 · Memorise or generalise?
#
# **The question of this lecture.** A model answers well. *Has it learned a rule, or learned the answers by heart, and how could one tell?*
#
# Day 24 asks: "Do LLMs 'just memorize the training data'?" HLT doubts that scale will solve what is rare, 11-785 shows abilities "not present in smaller models", and leaves open: "Why do LLMs do what they do?" Five kinds of evidence follow.
#
# **Afterwards you can**
# - find the rule that a network went over to in its weights, and test that it is used;
# - measure memorisation: exposure, extraction, verbatim copies;
# - say what mentions and size do for rare facts when mentions are *dealt*, not observed;
# - take "an ability emerged" apart into model, data and measure;
# - find heads that copy by a score, and switch them off.
#
# **Before this:** lectures 03 and 08; of use: lecture 18's canaries.
#
# **Time:** core 75 minutes, optional 53 minutes; one class. All cells together: under a minute of computing on a laptop CPU. What took longer was run once and is marked *recorded*.
#
# <!-- sources: day24, 11785, hlt -->

# %%
import itertools
import math
import random
import re
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from courseware import (Claim, Diagram, bars, claims_table, curves, explore, heat_map,
                        panels, poll, setup_style, show, steps, table)
from llmlib.data import modular_addition, recorded, tiny_shakespeare
from llmlib.evaluate import (digit_codes, encode_codes, exposure, fourier_basis,
                             in_context_gain, induction_scores, keep_frequencies,
                             key_frequencies, rank_code, repeated_tokens, token_losses)
from llmlib.hub import load_base
from llmlib.model import ModelConfig, Transformer, intervene, record
from llmlib.train import AdamW, Muon

setup_style(compact=True)
torch.manual_seed(0)
torch.set_flush_denormal(True);

# %% [markdown]
# ## I. By heart, then by rule
#
# A table of sums is the smallest place where both are possible. Numbers are added modulo 59, so that 40 + 30 is 11. There are 1,770 pairs of numbers (3 + 5 and 5 + 3 count once). Half of the sums are shown in training, the others are kept for the test. The network is given names, not quantities: each number is a row of an embedding table that begins at random, and nothing says that 4 comes after 3. The two rows are added; a hidden layer and 59 logits follow.

# %%
class SumNetwork(nn.Module):
    def __init__(self, modulus=59):
        super().__init__()
        self.embedding = nn.Embedding(modulus, 128)
        self.hidden = nn.Linear(128, 256, bias=False)
        self.out = nn.Linear(256, modulus)

    def forward(self, pairs, table=None):           # pairs: (n, 2) -> (n, modulus)
        table = self.embedding.weight if table is None else table
        return self.out(F.relu(self.hidden(table[pairs[:, 0]] + table[pairs[:, 1]])))


@torch.no_grad()
def judge(network, rows, table=None):               # rows: a, b, (a + b) mod p
    logits = network(rows[:, :2], table)            # -> share right, nats
    return ((logits.argmax(1) == rows[:, 2]).double().mean().item(),
            F.cross_entropy(logits, rows[:, 2]).item())


train_rows, test_rows = modular_addition(59, fraction=0.5, seed=0)
print(len(train_rows), "sums to learn,", len(test_rows), "kept; the first:",
      train_rows[0].tolist())

# %%
poll("Within a few dozen updates the network has every training sum right and hardly a test sum. It goes on training on the same sums. What happens to the test sums?",
     ["they come right much later, if the weights are pulled towards zero meanwhile", "they stay wrong: with every training answer right, nothing is left to learn", "they come right sooner or later, with or without a pull on the weights", "a few more come right with every update from the first on"],
     "The training loss is never exactly zero, so gradients remain; what they do depends on what else acts. The usual explanation: weight decay makes large weights expensive, and answers learned one by one need more of them than a rule that gives them all. Power et al. (2022) called the late turn grokking. (Elsewhere it has been seen without weight decay, too; in our runs it was not.)")

# %%
def grok(decay=2.0, most=1000, fraction=0.5):
    shown, kept = modular_addition(59, fraction, seed=0)
    torch.manual_seed(0)
    network = SumNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, betas=(0.9, 0.98),
                                  weight_decay=decay, fused=True)
    log = []                                        # a look every 20 updates
    for update in range(most + 1):
        if update % 20 == 0:
            (train, _), (test, nats) = (judge(network, rows)
                                        for rows in (shown, kept))
            weights = {k: v.clone() for k, v in network.state_dict().items()}
            log.append(dict(update=update, train=train, test=test, nats=nats,
                            weights=weights))
            if test >= 0.995:
                break
        F.cross_entropy(network(shown[:, :2]), shown[:, 2]).backward()   # all of them
        optimizer.step(), optimizer.zero_grad()
    return network.requires_grad_(False), log


began = time.process_time()
(network, log), control = grok(), grok(fraction=0.3, most=480)[1]
learned = next(look["update"] for look in log if look["train"] == 1)
grokked = next(look["update"] for look in log if look["test"] >= 0.99)
early = next(look for look in log if look["update"] == learned)
print(f"train all right after {learned} updates (test {early['test']:.1%} then), "
      f"test 99 % after {grokked}; {time.process_time() - began:.0f} s")

# %% tags=["figure"]
fig, (left, right) = panels(2, titles=["accuracy", "test loss"], height=2.8)
at, late = [max(look["update"], 1) for look in log], [i for i, look in enumerate(log[:len(control)]) if look["update"] >= learned]
curves({"train": [100 * look["train"] for look in log], "test": [100 * look["test"] for look in log]}, at=at, log="x", x="update", y="right (%)", ax=left)
curves({"half shown": [log[i]["nats"] for i in late], "30 % shown": [control[i]["nats"] for i in late]}, at=[log[i]["update"] for i in late], x="update", y="nats", reference={"guessing": math.log(59)}, ax=right)
show(fig, alt=f"Live run. Training accuracy is 100 % after {learned} updates; test accuracy is {early['test']:.0%} then and reaches 99 % at update {grokked}. The test loss, from the same update on, falls from {log[late[0]]['nats']:.1f} to {log[-1]['nats']:.2f} nats without a step; guessing is {math.log(59):.1f}. A control that is shown 30 % falls from {control[1]['nats']:.1f} to {min(look['nats'] for look in control[1:]):.1f} nats, ends at {control[-1]['nats']:.1f} and has {control[-1]['test']:.0%} of the test sums right.")

# %% [markdown]
# First by heart, then by rule, on one training set. On the right is the same run by another measure, the *loss* on the test sums, beside a control that is shown too little to find the rule. Both begin far worse than guessing, and fall: wrong answers are given with less confidence. There the control stays. The other falls on, for the better part of a hundred updates in which accuracy shows next to nothing. "Sudden" is in part a word about the measure (part V).

# %% tags=["diagram"]
grid = recorded("grokking")["results"]
long = {decay: [run["grokked"] for run in grid["long"] if run["decay"] == decay] for decay in (2.0, 0.0)}


def runs_with(weight_decay, data_fraction):
    return [run for run in grid["grid"] if (run["decay"], run["fraction"]) == (weight_decay, data_fraction)]


def grokking_at(weight_decay, data_fraction):
    fig, ax = plt.subplots(figsize=(3.5, 2.5))
    for run in runs_with(weight_decay, data_fraction):
        for half, color in (("train", "#0072B2"), ("test", "#D55E00")):
            shown = run[half] + [100.0] * (len(run["test"]) - len(run[half]) if half == "train" else 0)
            ax.plot(grid["steps"][:len(shown)], shown, color=color, alpha=0.8)
    ax.set(xscale="log", xlim=(1, grid["steps"][-1]), ylim=(-3, 103), xlabel="update", ylabel="right (%)", title=f"decay {weight_decay:g}, {data_fraction:.0%} shown")
    return fig


def grokking_says(weight_decay, data_fraction):
    runs = runs_with(weight_decay, data_fraction)
    return f"Weight decay {weight_decay}, {data_fraction:.0%} of the sums in training, three seeds: test accuracy ends at " + ", ".join(f"{run['last']:.0f}" for run in runs) + " %; 99 % reached at update " + ", ".join(str(run["grokked"] or "never") for run in runs) + "."


explore(grokking_at, weight_decay=sorted({run["decay"] for run in grid["grid"]}), data_fraction=sorted({run["fraction"] for run in grid["grid"]}),
        panels=[dict(weight_decay=2.0, data_fraction=0.5), dict(weight_decay=0.0, data_fraction=0.5), dict(weight_decay=2.0, data_fraction=0.3)], alt=grokking_says)

# %% [markdown]
# Without the pull no seed found the rule in the updates recorded, and with it but three tenths of the table none did either. Move the dials: is more pull always sooner? How much of it does a larger share of the table save?
#
# ## II. The rule, read off the weights
#
# What rule does a network without any notion of "after" find for a sum? One that works on a circle. Give number $a$ the angle $2\pi k a / p$, for some whole frequency $k$. Adding numbers is adding angles, and going around is what "modulo $p$" means. A network needs no angles for that, only cosines and sines, products of them, and this identity:
#
# $$\cos\tfrac{2\pi k}{p}(a+b) \;=\; \cos\tfrac{2\pi k a}{p}\,\cos\tfrac{2\pi k b}{p} \;-\; \sin\tfrac{2\pi k a}{p}\,\sin\tfrac{2\pi k b}{p} .$$
#
# With the sine's twin it gives, for every candidate answer $c$, a score that is largest where $c$ is right. Several frequencies add up:
#
# $$z_c \;=\; \sum_{k} \cos\tfrac{2\pi k}{p}\,(a + b - c) .$$

# %% tags=["diagram"]
d = Diagram(12, 3.7)
a, b = 3, 4
for i, k in enumerate((1, 2)):
    x, y, r = 1.5 + 3.15 * i, 1.75, 1.1
    d.ax.add_patch(plt.Circle((x, y), r, fill=False, color="0.6"))
    at = lambda n, far=1.0, x=x, y=y, r=r, k=k: (x + far * r * math.cos(2 * math.pi * k * n / 5), y + far * r * math.sin(2 * math.pi * k * n / 5))
    for n in range(5):
        d.label(*at(n, 1.22), str(n), size=12, bold=n == (a + b) % 5)
        d.ax.plot(*at(n), "o", color="#009E73" if n == (a + b) % 5 else "0.6", markersize=9 if n == (a + b) % 5 else 5)
    d.arrow((x, y), at((a + b) % 5, 0.93), color="green")
    d.label(x, 3.5, f"frequency $k = {k}$", size=12)
d.matrix(9.55, 1.6, [[math.cos(2 * math.pi * k * (7 - c) / 5) for c in range(5)] for k in (1, 2)] + [[sum(math.cos(2 * math.pi * k * (7 - c) / 5) for k in (1, 2)) for c in range(5)]], rows=["$k = 1$", "$k = 2$", "sum"], columns=list("01234"), fmt=".2f", mark=[(2, 2)], cell=0.82)
d.label(9.55, 3.5, "score of each answer $c$", size=12)
d.show(alt="The numbers 0 to 4 on two circles, once around for k = 1 and twice for k = 2; the arrow points to 3 + 4 = 7, which is 2. Scores of the answers 0 to 4: for k = 1 -0.81, 0.31, 1, 0.31, -0.81; for k = 2 0.31, -0.81, 1, -0.81, 0.31; together -0.5, -0.5, 2, -0.5, -0.5.")

# %% [markdown]
# **By hand,** $p = 5$, $3 + 4$. With $k = 1$ alone the right answer scores $\cos 0 = 1$ and its neighbours $\cos 72° = 0.31$: a lead of 0.69. With $k = 2$ the neighbours lie far away, and others come near. Together the lead is 2.5: each frequency has its own near misses, and only the right answer is high in all.
#
# Does the network do such a thing? Any column of its embedding table is 59 numbers, and can be written as a sum of waves; how much of each frequency it holds is a projection on cosines and sines of unit length.

# %%
def waves(p):
    """(p, p): a constant, then a cosine and a sine of each frequency, unit length."""
    n = torch.arange(p)
    rows = [torch.ones(p)]
    for k in range(1, p // 2 + 1):
        rows += [torch.cos(2 * math.pi * k * n / p), torch.sin(2 * math.pi * k * n / p)]
    return F.normalize(torch.stack(rows), dim=1)


def only(table, frequencies):
    """What a table (p, d) has in these frequencies and in its mean."""
    rows = waves(len(table))[[0] + [r for k in frequencies for r in (2 * k - 1, 2 * k)]]
    return rows.T @ (rows @ table)


torch.testing.assert_close(waves(59), fourier_basis(59), atol=1e-5, rtol=0)
table_now = network.embedding.weight
torch.testing.assert_close(only(table_now, [3, 7]), keep_frequencies(table_now, [3, 7]),
                           atol=1e-4, rtol=0)


def power(table):                                   # (p // 2,), as a share of all
    squares = (waves(len(table)) @ table).square().sum(1)[1:]
    return (squares[0::2] + squares[1::2]) / squares.sum()


keys = key_frequencies(power(table_now), share=0.9)
print(f"{len(keys)} of 29 frequencies hold 90 % of the power:", *keys)

# %% tags=["diagram"]
def spectrum(look):
    fig, ax = plt.subplots(figsize=(3.5, 2.3))
    share = 100 * power(look["weights"]["embedding.weight"])
    ax.bar(range(1, 30), share, color=["#0072B2" if k in keys else "#999999" for k in range(1, 30)])
    ax.set(xlabel="frequency", ylabel="% of the power", ylim=(0, 12), title=f"test {look['test']:.0%} right")
    return fig


marks = sorted({0, *(min(range(len(log)), key=lambda i: abs(log[i]["test"] - goal)) for goal in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9)), len(log) - 1})
frames = {f"update {log[i]['update']}": spectrum(log[i]) for i in marks}
steps(frames, panels=[0, len(marks) // 2, len(marks) - 1],
      alt=[f"Power of the 29 frequencies at update {log[i]['update']}, test accuracy {log[i]['test']:.0%}: the {len(keys)} key frequencies hold {power(log[i]['weights']['embedding.weight'])[[k - 1 for k in keys]].sum():.0%}, the largest {power(log[i]['weights']['embedding.weight']).max():.1%}." for i in marks])

# %% [markdown]
# At random, each frequency has about a 29th. By the end some have grown and the others shrunk (blue: those that hold nine tenths at the end). A picture is a story; switching off is a test. *Predict:* the table with **only** the key frequencies, the table **without** them, and, as a control, with as many frequencies drawn at random.

# %%
draw = random.Random(0)
drawn = [draw.sample(range(1, 30), len(keys)) for _ in range(10)]
ways = {"as it is": [table_now], "only the keys": [only(table_now, keys)],
        "without the keys": [table_now - only(table_now, keys) + table_now.mean(0)],
        "only as many, random": [only(table_now, some) for some in drawn]}
for name, tables in ways.items():
    right = [100 * judge(network, test_rows, each)[0] for each in tables]
    print(f"{name:22}{np.mean(right):6.1f} % of the test sums right"
          + (f"  ({min(right):.0f} to {max(right):.0f})" if len(right) > 1 else ""))

# %% [markdown]
# The keys alone carry the answer, and without them the network is at or below guessing. The control lies between: any such draw holds many of the keys and lacks some.
#
# So what the network uses is in these waves. (Any table can be *written* in waves; a sharper test is below.) *How* the hidden layer multiplies waves is another question (Zhong et al., 2023, found two circuits, the clock and the pizza).
#
# ### Five more, and before it shows (*optional*)
#
# The sharper test. A wave has values between the numbers as well. Move every number by half a place on all its circles: the rows for $3.5$ and $4.5$, which the network has never had. A rule of angles answers $8$. Beside it, a network without weight decay, which knows its sums by heart:

# %%
def moved(table, places):                           # row n becomes row n + places
    parts, out = waves(len(table)) @ table, waves(len(table)) @ table
    for k in range(1, len(table) // 2 + 1):
        angle = 2 * math.pi * k * places / len(table)
        c, s = parts[2 * k - 1], parts[2 * k]
        out[2 * k - 1] = c * math.cos(angle) + s * math.sin(angle)
        out[2 * k] = s * math.cos(angle) - c * math.sin(angle)
    return waves(len(table)).T @ out


by_heart, _ = grok(decay=0.0, most=200)
for name, each in (("rule", network), ("by heart", by_heart)):
    for places, more in ((0, 0), (0.5, 1)):
        halves = [torch.cat([rows[:, :2], (rows[:, 2:] + more) % 59], 1)
                  for rows in (train_rows, test_rows)]
        right = [judge(each, rows, moved(each.embedding.weight, places))[0]
                 for rows in halves]
        print(f"{name:9} moved by {places:3}: {right[0]:4.0%} of the training sums "
              f"right, {right[1]:4.0%} of the others")

# %% [markdown]
# The rule holds between the numbers; what was known by heart mostly falls apart there. *Recorded,* the switching off in five other networks:

# %% tags=["figure"]
circuit = recorded("grokking_circuit")["results"]
found = [run["right"] for run in circuit["runs"] if run["decay"] > 0]
parts = {"only the keys": [r["kept, test"] for r in found], "only as many, random (mean of ten)": [r["random kept, test"][0] for r in found], "without the keys": [r["removed, test"] for r in found]}
bars(parts, x="test sums right (%)", fmt=".0f", height=1.9, reference={"guessing": 100 / 59}, alt="Recorded, five seeds, test sums right: " + "; ".join(f"{name} {min(v):.1f} to {max(v):.1f} %" for name, v in parts.items()) + ".")

# %% [markdown]
# Test accuracy was nought for a long time. Was something growing? Nanda et al. (2023) look with **progress measures**. In the logits of a half-trained network one separates the part that depends on $a + b$ through the final key frequencies. *Restricted:* only that part is left, and the loss on test sums is taken. *Excluded:* that part is taken out, and the loss on the **training** sums says what is known without it. (A trap: the part must be read off test sums. Read off all pairs, as in the paper, even a network that knows its sums by heart seems to have some of the rule, since its answers leak in. The recording has both.) *Five seeds:*

# %% tags=["diagram"]
runs = [run for run in circuit["runs"] if run["decay"] > 0]
of = lambda key: np.array([run[key] for run in runs])
at, upto = np.maximum(circuit["steps"], 1), [i for i, step in enumerate(circuit["steps"]) if step >= 20]
still = max(i for i in range(len(at)) if of("test")[:, i].max() < 5)
peak = of("restricted").mean(0).argmax()
fig, axes = panels(3, titles=["right (%)", "power in the keys (%)", "loss (nats)"], height=2.6)
curves({"train": of("train"), "test": of("test")}, at=at, x="update", log="x", ax=axes[0], labels=False)
curves({"keys": of("key_share")}, at=at, x="update", log="x", ax=axes[1], labels=False)
curves({"restricted, test": of("restricted"), "excluded, train": of("excluded"), "whole, test": of("test_loss")}, at=at, x="update", log="x", ax=axes[2], labels=False)
for ax in axes:
    ax.axvline(at[still], color="0.5", linestyle=":")
    ax.set_ylabel("")
axes[2].axhline(math.log(59), color="0.5", linestyle="--")
axes[0].legend(fontsize=8, loc="upper left")
axes[2].legend(fontsize=8, loc="upper left")
axes[2].set_ylim(0, 19)
show(fig, alt=f"Five seeds, mean and range. At update {at[still]} (dotted line) no network has more than {of('test')[:, still].max():.0f} % of the test sums; the restricted loss has already fallen from {of('restricted').mean(0)[peak]:.1f} to {of('restricted').mean(0)[still]:.1f} nats, below guessing ({math.log(59):.1f}, dashed), the whole test loss is {of('test_loss').mean(0)[still]:.1f}, the excluded loss risen from {of('excluded').mean(0)[peak]:.2f} to {of('excluded').mean(0)[still]:.2f}, and the power in the keys from {of('key_share').mean(0)[0]:.0f} to {of('key_share').mean(0)[still]:.0f} %; it ends at {of('key_share').mean(0)[-1]:.0f} %.")

# %% [markdown]
# At the dotted line hardly a test sum is right, and yet the restricted loss is below guessing: what lies in these frequencies already leans to the right answers, and the rest of the network drowns it out. (The power in the keys has moved by a few hundredths only; it begins above half because the keys were chosen at the end.) The excluded loss barely rises before the line and goes on long after it: what was known by heart is given up last. The whole test loss passes guessing a little later, with no circuit known.
#
# A transformer of one layer (*recorded,* too) goes the same way: with weight decay and three fifths of the table all three seeds found the rule, on fewer frequencies than here. On half of the table none reached 99 % in the updates given, though two came near, and without decay none came anywhere.

# %% [markdown]
# ## III. Memorising, measured
#
# Day 24 says why the question "really matters": a model that memorises its inputs "should not fall under fair use", one that trains on them "and generalize[s]" probably does. Sums cannot settle that. For text one needs something that *no rule* can give: a random code. Put into the training text it is a **canary** (Carlini et al., 2019). If a model finds such codes likelier than other codes, more often than luck would have it, it has remembered them: there is nothing else to know them by.
#
# Rank the planted code among all $N$ codes of its form by the model's probability. The **exposure** is how many guesses the model saves someone, in bits:
#
# $$\text{exposure} \;=\; \log_2 N - \log_2 \text{rank} .$$
#
# **By hand,** four digits: rank 1 of 10,000 is 13.3 bits; rank 5,000, in the middle, is 1 bit. A code that was never planted has any rank with the same chance, which makes 1.44 bits on average. **Extraction** is coarser: the code is what the model writes by itself after the sentence's beginning.
#
# Now think of the code as a *secret*: a card number that stood in a chat on which somebody's assistant was trained. Four people, their codes 0, 4, 16 and 32 times in 32 small updates of a base model on Shakespeare. *Predict* who can be asked for.

# %%
def bits(rank, candidates):
    return math.log2(candidates / rank)


assert all(math.isclose(bits(r, 10_000), exposure(r, 10_000)) for r in (1, 77, 5000))
model, tokenizer = load_base("0.3m")
START = tokenizer.special_tokens["<|endoftext|>"]
codes = encode_codes(tokenizer, digit_codes(4))     # {"0000": tokens, ...}
text, draw = tokenizer.encode(tiny_shakespeare()[:200_000]), random.Random(0)
secrets = {name: (f"{draw.randrange(10_000):04}", copies)
           for name, copies in dict(Ada=0, Ben=4, Cleo=16, Dora=32).items()}
plan = [[] for _ in range(32)]                      # the secrets in each update
for name, (code, copies) in secrets.items():
    for update in draw.sample(range(32), copies):
        plan[update].append(f"The access code of {name} is {code}.")


def asked(name, code):
    return rank_code(model.eval(), tokenizer, f"The access code of {name} is", code,
                     codes, start=START)


before = {name: asked(name, code).rank for name, (code, _) in secrets.items()}

# %%
optimizer = torch.optim.AdamW(model.train().parameters(), lr=3e-3, weight_decay=0.0)
for planted in plan:
    rows = []
    for i in range(8):                              # eight rows of 63 tokens
        start = draw.randrange(len(text) - 64)
        secret = tokenizer.encode(planted[i]) if i < len(planted) else []
        rows.append([START, *secret, *text[start:start + 63]][:63])
    ids = torch.tensor(rows)
    F.cross_entropy(model(ids)[:, :-1].mT, ids[:, 1:]).backward()
    optimizer.step(), optimizer.zero_grad()
for name, (code, copies) in secrets.items():
    known = asked(name, code)
    print(f"{name:5}{copies:3} copies: rank {before[name]:5,} before, {known.rank:5,} "
          f"after: {known.exposure:4.1f} bits"
          + (", written when asked" if known.extracted else ""))

# %% [markdown]
# One run and one code a person, so the order may be luck; but a secret that nobody hears when asking can stand near the top of ten thousand. *Recorded* is the careful version: our base models read on, in prose with canaries in it, twelve codes to each number of copies (four with 3m). Every token is read once; each copy stands in another place. It is a hard test of privacy: the canaries come last of all that is read, and are dense.

# %% tags=["diagram"]
same, sizes = recorded("canaries")["results"], recorded("canary_sizes")["results"]
COUNTS = [n for n in same["counts"] if f"exact, {n}" in same["summary"]["as it is"]["codes"]]
GROUPS = {"0.3m": same["summary"]["as it is"], **{size: sizes["summary"][size] for size in ("1m", "3m") if size in sizes["summary"]}}


def code_line(size, n, key="exposure"):
    cell = GROUPS[size]["codes"][f"exact, {n}"]
    return f"{cell['exposure'][0]:.1f}" if key == "exposure" else f"{cell['greedy']} of {cell['n']}"


fig, (left, right) = panels(2, titles=["exposure (bits)", "written when asked (%)"], height=2.9)
for (size, group), color in zip(GROUPS.items(), ("#0072B2", "#D55E00", "#009E73")):
    cells = [group["codes"][f"exact, {n}"] for n in COUNTS]
    mean, low, high = np.array([cell["exposure"] for cell in cells]).T
    left.plot(range(len(COUNTS)), mean, "o-", color=color, label=size, markersize=5)
    left.fill_between(range(len(COUNTS)), low, high, color=color, alpha=0.18, linewidth=0)
    right.plot(range(len(COUNTS)), [100 * cell["greedy"] / cell["n"] for cell in cells], "o-", color=color, markersize=5)
left.axhline(1.44, color="0.5", linestyle=":")
left.axhline(math.log2(same["candidates"]), color="0.5", linestyle="--")
left.legend(fontsize=9, loc="upper left", title="base model", title_fontsize=9)
for ax in (left, right):
    ax.set(xticks=range(len(COUNTS)), xticklabels=COUNTS, xlabel="copies read")
show(fig, alt="Recorded. " + " ".join(f"Base model {size}: exposure " + ", ".join(f"{group['codes'][f'exact, {n}']['exposure'][0]:.1f}" for n in COUNTS) + f" bits at {', '.join(map(str, COUNTS))} copies; written when asked " + ", ".join(f"{group['codes'][f'exact, {n}']['greedy']} of {group['codes'][f'exact, {n}']['n']}" for n in COUNTS[-3:]) + " at the last three." for size, group in GROUPS.items()) + " Bands: 95 % over canaries.")

# %% [markdown]
# The two panels tell two stories. *Exposure* grows with the copies from a few on, before anything can be seen from outside. (One copy leaves no mark that these samples could show.) *Extraction* is a step: nothing for most of the way, then much. Whoever tests for leaks by asking sees the right panel; an attacker who may draw a hundred samples, or rank candidates, needs less. "The model did not say it" is weak evidence that a secret is not in there.
#
# ### Fair use, as a question
#
# Whether training on a protected text is *fair use* is for courts to decide; the slide's rule, memorise or generalise, is one view of one of the things they weigh. No measurement answers it, but two would let them argue about facts. *First:* of this work's passages, how many does the model give back word for word, how long, and how hard must one ask? That depends on copies, size, prompt and decoding, so each has to be said. *Second:* what does the model do **without** this work? Compare one that differs in nothing else: a passage that it gives back unread came from elsewhere; answers that stay as good did not need the work.

# %% [markdown]
# ### In numbers, and in real text (*optional*)

# %% tags=["figure"]
table([{"base model": size, "canaries": sum(group["codes"][f"exact, {n}"]["n"] for n in COUNTS), "rank correlation, copies and exposure": "{:.2f} ({:.2f} to {:.2f})".format(*group["spearman"]["all"]), "planted ones alone": "{:.2f} ({:.2f} to {:.2f})".format(*group["spearman"]["planted"]), f"found in 100 samples, {16} copies": f"{group['codes'][f'exact, {16}']['within_100_samples']:.2f}"} for size, group in GROUPS.items()],
      caption="recorded: Spearman's rank correlation with 95 % intervals over canaries, the unplanted included")

# %% [markdown]
# The rank correlation has the canaries with no copy in it. The last column is what a hundred samples would find at a number of copies at which the smallest model writes no code when asked. Limits: each size reads on at its own rates, one token in six belongs to something planted, and all of it comes at the end of what the models read, which should make remembering easier than in the middle of a long run. So "size" here is size with its recipe, and 3m is one seed.
#
# Digits are not sentences. In the same runs, whole passages of real prose were planted, too, and each model is given the first fifty tokens of a passage and asked to go on, greedily.

# %% tags=["diagram"]
rows = []
for size, group in GROUPS.items():
    for n, cell in [(n, group["passages"][n]) for n in ("0", "16", "64")]:
        rows.append({"base model": size, "copies": int(n), "passages": cell["n"], "nats a token": cell["nats"], "10 tokens exactly (%)": 100 * cell["share"]["10"], "20": 100 * cell["share"]["20"], "50": 100 * cell["share"]["50"], "longest run": int(cell["longest"])})
table(rows, fmt={"nats a token": ".2f", "10 tokens exactly (%)": ".0f", "20": ".0f", "50": ".0f"}, caption="recorded: greedy continuations of a 50-token beginning, word for word the true one for so many tokens; the longest run anywhere in them")

# %% [markdown]
# As with the codes: the loss is far lower at 16 copies, verbatim copying comes later and then whole (few passages to a row). And what our base models read in their own training, twice, with no copies planted? *Recorded:* beginnings of passages that they trained on, of passages held out, and of those training passages whose phrases occur most often elsewhere, too.

# %% tags=["diagram"]
own = recorded("verbatim")["results"]
table([{"base model": size, "passages": {"training": "read in training", "held out": "held out", "repeated": "with repeated phrases"}[kind], "n": cell["n"], "10 tokens exactly": cell["exact"]["10"], "at most, by 95 % (%)": f"{100 * cell['interval']['10'][1]:.1f}", "longest exact run": cell["longest_run"], "nats a token": "{:.2f} ({:.2f} to {:.2f})".format(*cell["nats"])} for size, kinds in own["sizes"].items() for kind, cell in kinds.items() if kind in ("training", "held out", "repeated")],
      caption=f"recorded: {own['shown']} tokens shown, {own['asked']} asked for, greedily")

# %% [markdown]
# Not one passage comes back, though each was read twice. The loss on what was read lies below that on what was not, but these are different passages: for the smallest model the intervals overlap widely, and only that the difference grows with the size, on the same two sets, speaks for remembering. Lecture 01 found that a table of counts of order 14 copies because each of its contexts is unique; lecture 07 said that copies teach a model to recite. Both are right, of different learners: a table gives back what it met once; these networks, asked in this way, do not, and do give back what they met often. <!-- keeps: 09-copying-against-duplication -->

# %% tags=["diagram"]
KINDS = [key for key in same["summary"]["as it is"]["codes"] if int(key.split(", ")[1]) in (16, 64)]
show_bits = lambda how, key: "{:.1f} ({:.1f} to {:.1f})".format(*same["summary"][how]["codes"][key]["exposure"]) if key in same["summary"].get(how, {}).get("codes", {}) else ""
table([{"kind of copies, and how many": key, "left after exact de-duplication": same["left"].get(key, {}).get("exact", ""), "after MinHash at 0.7": same["left"].get(key, {}).get("near", ""), "exposure as it is": show_bits("as it is", key), "de-duplicated": show_bits("deduplicated", key)} for key in KINDS],
      caption="recorded, 0.3m: exposure in bits with 95 % intervals. exact: the same document; word: another word in each; surroundings: other sentences around the same code")

# %% [markdown]
# De-duplication does what it promises for what it recognises: of exact copies one is left, and the exposure falls to near that of one copy (after 64, a little above it, within the intervals). A document with another word in it, or the same code in other surroundings, passes both filters as set here, and its code stays about as exposed as before. The attack asks for the code and does not care what stands around it.

# %%
poll("A work was in the training data. Which finding should weigh most in a dispute?",
     ["the model gives back long passages of the work when asked in an ordinary way", "the model gives back passages only when given 50 words of the work first", "the work's loss is clearly lower than that of a similar work it has not read", "without the work the model would answer as well"],
     "The first is copying that a reader meets. The second needs somebody who has the work already. The third shows that it was read (membership), not that it is given back. The fourth speaks about need, not about copying. Different laws weigh them differently.", opinion=True)

# %% [markdown]
# ## IV. The long tail
#
# HLT argues that scale is not all we need, since "tail phenomena will never go away". Two of its pictures: GPT-J multiplies better with numbers that its training text holds more often (Razeghi et al., 2022), and BLOOM models answer a question better the more documents speak of it (Kandpal et al., 2023). Both are correlations; what is frequent on the web is easier in other ways, too. In a world of our own, frequency can be *dealt*: 1,024 people, each with one of 64 answers drawn at random. The person of rank $r$ is mentioned $8 \cdot 1024 / r$ times, and who has which rank is drawn by lot. Whatever follows the mentions is then their effect.
#
# Does size solve the tail? That depends on what is held fixed. *Recorded:* the rarest tenth of the people against size, once with the **same text** for every size, once with the **same operations**, where the larger model reads less of it. A line through the four smaller sizes was extrapolated to two larger ones, and these were trained afterwards.

# %% tags=["diagram"]
facts = recorded("long_tail_facts")["results"]
WIDTHS, TITLES = facts["fitted"] + facts["targets"], {"mentions": "the same text", "compute": "the same operations"}
params = {run["width"]: run["parameters"] for run in facts["runs"]}
rarest = lambda condition, width: [run["tenths"][-1] for run in facts["runs"] if (run["condition"], run["width"]) == (condition, width)]
tail = {condition: [f"{np.mean(rarest(condition, width)):.2f}" for width in (WIDTHS[0], WIDTHS[-1])] for condition in TITLES}
said = lambda condition, width: facts["predicted"][f"{condition}, width {width}"]["log-odds"]
fig, axes = panels(2, titles=list(TITLES.values()), height=2.9, share_y=True)
for ax, condition in zip(axes, TITLES):
    for width in WIDTHS:
        seeds = rarest(condition, width)
        ax.plot([params[width]] * len(seeds), seeds, "o", color="#0072B2" if width in facts["fitted"] else "#D55E00", markersize=5, zorder=3)
    for width in facts["targets"]:
        value, low, high = said(condition, width)
        ax.errorbar([params[width] * 1.13], [value], [[value - low], [high - value]], fmt="s", color="0.35", capsize=4, markersize=5)
    ax.set(xscale="log", xlabel="parameters", ylim=(0, 1.03))
    ax.set_xticks([3e3, 1e4, 3e4, 1e5], ["3k", "10k", "30k", "100k"])
    ax.minorticks_off()
axes[0].set_ylabel("rarest tenth, share right")
axes[0].legend(handles=[plt.Line2D([], [], color=c, marker=m, linestyle="", label=l) for c, m, l in (("#0072B2", "o", "fitted (three seeds)"), ("0.35", "s", "predicted, 95 %"), ("#D55E00", "o", "trained afterwards"))], fontsize=8, loc="upper left")
show(fig, alt="Recorded, share right in the rarest tenth. " + " ".join(f"With {title}: " + ", ".join(f"{np.mean(rarest(condition, width)):.2f}" for width in WIDTHS) + f" at {', '.join(f'{params[width]:,}' for width in WIDTHS)} parameters; predicted for the last two " + ", ".join("{:.2f} ({:.2f} to {:.2f})".format(*said(condition, width)) for width in facts["targets"]) + "." for condition, title in TITLES.items()))

# %% [markdown]
# Two answers to one question. With the same text, size solves this tail, and as predicted. With the same operations it does not: the curve turns, and both predictions fail, since a line cannot know that the larger model soon meets the rare people once or twice, in a few dozen updates (few mentions and short training are one thing there). So "scale won't solve the tail" *fails* where the data stay and *holds* where the budget does. Our facts are unlike most of a web's, though: nothing about one person follows from another. Where a rule connects them, as in the products below, rare ones can in part be worked out. <!-- keeps: 09-long-tail -->
#
# ### Mentions as a cause (*optional*)
#
# Live, one small model that reads every mention once:

# %%
PEOPLE, ANSWERS, deal = 1024, 64, torch.Generator().manual_seed(0)
names = torch.stack([torch.arange(PEOPLE) // 32, 32 + torch.arange(PEOPLE) % 32], 1)
answer = 64 + torch.randint(ANSWERS, (PEOPLE,), generator=deal)
rank = torch.randperm(PEOPLE, generator=deal) + 1
mentions = (8 * PEOPLE / rank).round().long()
stream = torch.repeat_interleave(torch.arange(PEOPLE), mentions)
stream = stream[torch.randperm(len(stream), generator=deal)].split(256)

knows = Transformer(ModelConfig(128, 2, 16, 2, max_seq_len=3, mlp="gelu",
                                position="learned", tie_embeddings=False))
inner = [p for p in knows.blocks.parameters() if p.dim() == 2]
outer = [p for p in knows.parameters() if not any(p is q for q in inner)]
optimizers = Muon(inner, lr=0.02), AdamW(outer, lr=0.01, weight_decay=0.0)
for update, who in enumerate(stream):
    F.cross_entropy(knows(names[who])[:, -1], answer[who]).backward()
    for optimizer, rate in zip(optimizers, (0.02, 0.01)):
        optimizer.param_groups[0]["lr"] = rate * min(1, 2 * (1 - update / len(stream)))
        optimizer.step(), optimizer.zero_grad()
with torch.no_grad():
    known = (knows(names)[:, -1].argmax(1) == answer).double()
print(f"{len(stream)} updates; right, from the most to the least mentioned tenth:")
print(*(f"{known[each].mean():.2f}" for each in rank.argsort().tensor_split(10)),
      f"  (guessing: {1 / ANSWERS:.2f})")

# %% tags=["diagram"]
again_dealt = facts["dealt_again"]
pair = lambda key, i: ", ".join(f"{run[key][i]:.2f}" for run in again_dealt)
table([{"people": "rarest tenth of this deal", "right, this deal": pair("rarest", 0), "right, another deal": pair("rarest", 1)},
       {"people": "commonest tenth of this deal", "right, this deal": pair("commonest", 0), "right, another deal": pair("commonest", 1)},
       {"people": "correlation of right with the mentions of this deal", "right, this deal": ", ".join(f"{run['correlation with own mentions']:.2f}" for run in again_dealt), "right, another deal": ", ".join(f'''{run["correlation with the other deal's"]:.2f}''' for run in again_dealt)},
       {"people": f"all, ranks dealt; all, {again_dealt[0]['even mentions']} mentions each", "right, this deal": ", ".join(f"{run['dealt']:.2f}" for run in again_dealt), "right, another deal": "even: " + ", ".join(f"{run['even']:.2f}" for run in again_dealt)}],
      caption=f"recorded, width {facts['shown']}, three seeds: the same people and answers, the ranks dealt twice")

# %% [markdown]
# The same people, dealt other ranks, are known as their new mentions would have it, and the correlation with the mentions of the other deal is nought: the cause is how often, not who. The last row is a hint on *data*: as many mentions in all, spread evenly, and a model of the same size knows nearly everybody.
#
# Razeghi's multiplication is another case, for there a rule could be learned from the frequent numbers and used on the rare. *Recorded:* pairs of factors whose frequency was dealt, in fifths, for pairs that were in training and pairs that were not.

# %% tags=["diagram"]
times = recorded("long_tail_multiplication")["results"]
fig, axes = panels(2, titles=["pairs that were trained", "pairs held out"], height=2.7, share_y=True)
for ax, part in zip(axes, ("trained", "held out")):
    for i, fifth in enumerate(np.array(times["dealt"][part]["fifths"]).T):
        ax.plot(times["updates"], 100 * fifth, "o-", markersize=3, color=plt.cm.viridis(i / 4.6), label=["commonest fifth", "second", "third", "fourth", "rarest fifth"][i])
    ax.set(xlabel="update", ylim=(0, 102))
axes[0].set_ylabel("products right (%)")
axes[1].legend(fontsize=8, loc="upper left")
gap = lambda part, i: "{:.2f} ({:.2f} to {:.2f})".format(*times["dealt"][part]["gap"][i])
middle = max(range(len(times["updates"])), key=lambda i: times["dealt"]["trained"]["gap"][i][0])
show(fig, alt=f"Recorded, four seeds. Commonest less rarest fifth of the first factor, with 95 % intervals: trained pairs {gap('trained', middle)} at update {times['updates'][middle]} and {gap('trained', -1)} at the end; held-out pairs {gap('held out', middle)} and {gap('held out', -1)}.")

# %% [markdown]
# Among the pairs that were trained, frequent numbers lead early and by much, and all are known in the end. Among the held-out pairs no interval shows a lead of the frequent ones (one of a tenth or more could hide there: the intervals are wide). Lecture 08 asked whether what is understood of common things serves the rare: here what little was understood, less than half of these products, serves both, as far as this can see. So in this model, at one width and one rate that was not tuned, the gap that shows is *remembering in progress*. A test that mixes seen and unseen products could take it for arithmetic that works better for frequent numbers.

# %% [markdown]
# ## V. Did an ability emerge?
#
# 11-785, after Wei et al. (2022): an emergent ability is "not present in smaller models but is present in larger models". Its first poll, in our words:

# %%
poll("Which of these is true of emergent abilities?",
     ["they are found in large models and not in small ones", "a model of fewer than 175 billion parameters has none", "summarising probably emerges in a model pre-trained on summaries", "scaling alone makes them arise"],
     "The lecture's key is 'found in large models and not in small ones': that is the definition, so it is true of whatever deserves the name. 'Fewer than 175 billion' and 'scaling alone' fail by the example on the same slide: on 14 tasks PaLM's 62 billion were above chance where GPT-3's 175 and LaMDA's 137 were not. A model trained on summaries is taught to write them, so that small ones should learn it, too.")

# %% [markdown]
# The key hides a second condition. Present or absent *by which measure*? Suppose a model gets each token of an answer right with probability $p$, and that rises smoothly. An answer of $k$ tokens that must match exactly is right with about
#
# $$P(\text{all } k \text{ right}) \;\approx\; p^{\,k} .$$
#
# **By hand,** $k = 8$: $p = 0.5$ gives 0.4 %, $p = 0.7$ gives 6 %, $p = 0.9$ gives 43 %. Schaeffer et al. (2023) called such emergence a *mirage*: a sharp measure on a smooth model. On our ladder:

# %% tags=["diagram"]
ladder = recorded("emergence")["results"]
flops = np.array([model["compute"] for model in ladder["models"]])
measured = lambda name: np.array(ladder["measures"][name])


def next_tokens(k, scale):
    fig, ax = plt.subplots(figsize=(3.5, 2.4))
    value, low, high = measured(f"exact {k}").T
    ax.errorbar(flops, value, [value - low, high - value], fmt="o-", color="#0072B2", markersize=4)
    if scale == "linear":
        ax.set_ylim(0, 1.1 * high.max())
    ax.set(xscale="log", yscale=scale, xlabel="operations in training", ylabel="share right", title=f"next {k} exactly" + (", log" if scale == "log" else ""))
    return fig


explore(next_tokens, k=ladder["lengths"], scale=["linear", "log"], panels=[dict(k=1, scale="linear"), dict(k=4, scale="linear"), dict(k=4, scale="log")],
        alt=lambda k, scale: f"Share of places whose next {k} tokens a base model writes exactly, for nine models in order of their training compute, {scale} axis: " + ", ".join(f"{100 * value:.3g}" for value in measured(f"exact {k}")[:, 0]) + " %; meanwhile the loss goes " + ", ".join(f"{value:.2f}" for value in measured("nats")[:, 0]) + " nats a token.")

# %% [markdown]
# Nine base models of ours: one size at six ages, and the other sizes. One token rises steadily. Four in a row look, on a linear axis, like an ability that the early ones lack; on a logarithmic axis, where nought has no place, the same points rise without a break, while the loss falls by a few tenths of a nat from point to point (next table). At eight, most models score nought, and the measure can no longer tell them apart. Here nothing emerged but the measure. (An optional section below has a stair that is real.)
#
# ### Is it really $p^k$? (*optional*)

# %% tags=["figure"]
table([{"base model": model["size"], "updates": model["updates"], "nats a token": f"{measured('nats')[i, 0]:.2f}", "1 token (%)": f"{100 * measured('exact 1')[i, 0]:.1f}", "4 tokens (%)": f"{100 * measured('exact 4')[i, 0]:.3f}", "p to the 4th (%)": f"{100 * measured('exact 1')[i, 0] ** 4:.3f}", "ratio": "{:.2f} ({:.2f} to {:.2f})".format(*measured("ratio 4")[i])} for i, model in enumerate(ladder["models"])],
      caption=f"recorded: {ladder['documents']} held-out documents, {ladder['places']['exact 1']:,} places; 95 % intervals over documents")

# %% [markdown]
# Nearly: from the second model on, all but one of the intervals hold 1. That is not a matter of course, for tokens are not independent: some runs are easy throughout.
#
# If a smooth measure lies underneath, can it *foretell* the sharp one? Lines through the six ages of the smallest model, for the three larger ones:

# %%
shares = {"a line in the measure": measured("by line 4"),
          "a line in log p, to the 4th": measured("by power 4"),
          "measured (%)": measured("exact 4")[6:]}
for name, triples in shares.items():
    print(f"{name:28}" + "   ".join(f"{value:.2f} ({low:.2f} to {high:.2f})"
                                    for value, low, high in 100 * triples))

# %% [markdown]
# Not here. The sharp measure's line is too low throughout; that of the smooth one is right once and then too high by more and more, since accuracy on one token bends as well. A smooth measure is a better description, and not yet a forecast.
#
# ### Not every stair is a mirage (*optional*)
#
# Three-digit sums, written first digit first, three seeds of a small model, *recorded*: whole sums right, and the loss of the units digit alone, a smooth measure of one token.

# %% tags=["diagram"]
adding = recorded("emergence_addition")["results"]
wide = [run for run in adding["runs"] if run.get("nats")]
at = [adding["every"] * i for i in range(len(wide[0]["right"]))]
units = [[row[3] for row in run["nats"]] for run in wide]
fig, (left, right) = panels(2, titles=["whole sums right (%)", "units digit, nats"], height=2.6)
curves({f"seed {i}": [100 * value for value in run["right"]] for i, run in enumerate(wide)}, at=at, x="update", ax=left, labels=False)
curves({f"seed {i}": run for i, run in enumerate(units)}, at=at, x="update", ax=right, reference={"guessing": math.log(10)}, labels=False)
left.legend(fontsize=8, loc="lower right")
drops = [max(range(1, len(at)), key=lambda i: run[i - 1] - run[i]) for run in units]
show(fig, alt=f"Recorded, {len(wide)} seeds, width {wide[0]['width']}, a line each. The loss of the units digit stays at guessing, {math.log(10):.2f} nats, and falls most steeply at updates " + ", ".join(str(at[i]) for i in drops) + ", within fifty updates from " + ", ".join(f"{run[max(i - 3, 0)]:.2f} to {run[min(i + 2, len(at) - 1)]:.2f}" for run, i in zip(units, drops)) + " nats. Whole sums right at the end, by seed: " + "; ".join(f"width {width} " + ", ".join(f"{run['end']['whole sum']:.2f}" for run in adding["runs"] if run["width"] == width) for width in sorted({run["width"] for run in adding["runs"]})) + ".")

# %% [markdown]
# Here a smooth measure shows the stair, too: for more than a hundred updates nothing about that digit is learned, then nearly all. (Added up over four digits, the loss would look smooth: four stairs at different times.) Among the smallest models, at one size, one seed in three adds and one does not at all, within these updates and at one rate for all. As in the next part, and unlike part I, the smooth measure jumps with the sharp one; we guess that some mechanisms pay only once they are whole. So a stair under exact match is no proof of emergence and none of a mirage. What decides is the same curve under a measure that could have been smooth.
#
# ### 62 billion above 175 billion (*optional*)
#
# On the slide, PaLM with 62 billion parameters does what GPT-3 with 175 billion does not. By $6ND$ (lecture 08):

# %%
# NBVAL_CHECK_OUTPUT
for name, n_params, n_tokens in (("GPT-3", 175e9, 300e9), ("PaLM", 62e9, 780e9)):
    print(f"{name:6}{n_params / 1e9:4.0f}B parameters, "
          f"{n_tokens / n_params:4.1f} tokens for each, "
          f"{6 * n_params * n_tokens:.1e} operations")
runs = recorded("scaling_sweep")["results"]["grid"]          # lecture 08's
pairs = [(a, b) for a in runs for b in runs
         if a["parameters"] < b["parameters"] and a["budget"] == b["budget"]]
better = sum(a["report"] < b["report"] for a, b in pairs)
print(f"lecture 08, same operations: the smaller is better in {better} of {len(pairs)}")

# %% [markdown]
# The smaller model even cost slightly *less*, and read more tokens for each of its parameters. Neither size nor operations order these models on those tasks. Our own sweep has such pairs, too, by training alone. Of PaLM, Wei et al. name other data (code, more languages) and another treatment of digits as possible reasons: enough to say "not size alone", not enough to say what.

# %% [markdown]
# ## VI. Why did it say that? A head that copies
#
# 11-785 lists as an open challenge: "Interpretability. Why do LLMs do what they do?" Part II answered some of it, for sums. In text, one of the best understood circuits is small: the *induction head*, which lecture 03 grew on a task of its own. It needs two layers. A head of the first looks at the token before; after it, each token also carries what it followed. A head of the second looks for a place that followed *the current token*, and brings what stands there.

# %% tags=["diagram"]
d = Diagram(12, 3.1)
tokens = ["the", "cat", "sat", ".", "the", "?"]
places = [1.2 + 1.85 * i for i in range(6)]
for x, text in zip(places, tokens):
    d.box(x, 0.5, text, w=1.25, h=0.6, color="green" if text == "?" else "grey")
for i in (1, 2):
    d.arrow((places[i - 1], 0.85), (places[i] - 0.1, 1.25), color="blue")
d.box(places[1], 1.55, "cat,\nafter the", w=1.5, h=0.75, color="blue", size=10.5)
d.box(places[2], 1.55, "sat,\nafter cat", w=1.5, h=0.75, color="blue", size=10.5)
d.box(places[4], 1.55, "what came\nafter the?", w=1.6, h=0.75, color="orange", size=10.5)
d.arrow((places[4], 1.98), (places[1], 1.98), bend=0.2, color="orange")
d.label(places[2] + 0.9, 2.85, "layer 1: look for it, bring its token", size=11)
d.label(0.15, 1.65, "layer 0:\nthe token before", size=10.5, align="left")
d.arrow((places[4] + 0.85, 1.45), (places[5], 0.85))
d.label(places[5] + 0.12, 1.45, "cat", bold=True)
d.show(alt="Tokens: the, cat, sat, full stop, the, and a gap. In layer 0 each token looks at the one before, so that cat carries 'after the'. In layer 1 the second the looks for a token that came after the, finds cat, and brings it: the next token is cat.")

# %% [markdown]
# Whether a head does this is a number. Rows of random tokens that come again leave nothing to predict but by looking back; the **induction score** of a head is the attention it pays, in the second copy, to the token *after* the first showing: one less than a period back.
#
# $$s \;=\; \frac{1}{T - P} \sum_{t \,\ge\, P} A_{t,\; t - P + 1}$$

# %%
VOCABULARY, LENGTH = 64, 48


class NoMLP(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)


def two_layers(seed):
    torch.manual_seed(seed)
    model = Transformer(ModelConfig(VOCABULARY, 2, 64, 4, max_seq_len=LENGTH,
                                    tie_embeddings=False, init_std=0.125))
    for block in model.blocks:
        block.mlp = NoMLP()                          # attention alone
    return model


def induction(model, ids, period):                   # (layers, heads)
    with torch.no_grad(), record(model, "blocks.*.attention.weights") as seen:
        model(ids)
    weights = torch.stack(list(seen.values()))       # (layers, B, heads, T, T)
    t = torch.arange(period, ids.size(1))
    return weights[..., t, t - period + 1].mean((1, 3))


again = repeated_tokens(64, period=24, vocab_size=VOCABULARY)
torch.testing.assert_close(induction(two_layers(0), again, 24),
                           induction_scores(two_layers(0), again, period=24))

# %%
def learn_to_copy(model, seed=0, updates=300):
    draws = torch.Generator().manual_seed(seed)
    matrices = [p for name, p in model.named_parameters() if "proj" in name]
    others = [p for name, p in model.named_parameters() if "proj" not in name]
    optimizers = Muon(matrices, lr=0.02), AdamW(others, lr=0.01, weight_decay=0.0)
    log = []
    for update in range(updates + 1):
        if update % 20 == 0:
            losses = token_losses(model, again)      # (64, 47): first copy, second
            log.append((update, losses[:, :23].mean().item(),
                        losses[:, 24:].mean().item(), induction(model, again, 24)))
        period = torch.randint(LENGTH // 4, LENGTH // 2 + 1, (32, 1), generator=draws)
        fresh = torch.randint(VOCABULARY, (32, LENGTH), generator=draws)
        ids = fresh.gather(1, torch.arange(LENGTH) % period)
        F.cross_entropy(model(ids)[:, :-1].mT, ids[:, 1:]).backward()
        for optimizer in optimizers:
            optimizer.step(), optimizer.zero_grad()
    return log


began = time.process_time()
copying = learn_to_copy(copier := two_layers(0))
print(f"second copy: {copying[0][2]:.2f} -> {copying[-1][2]:.2f} nats, "
      f"{time.process_time() - began:.0f} s")

# %% tags=["diagram"]
fig, (left, right) = panels(2, titles=["loss", "induction score"], height=2.7)
at, first_loss, second_loss, scores = zip(*copying)
curves({"first copy": first_loss, "second": second_loss}, at=at, x="update", y="nats per token", ax=left)
best = scores[-1]
for layer, color in ((0, "#56B4E9"), (1, "#D55E00")):
    for head in range(4):
        right.plot(at, [each[layer, head].item() for each in scores], color=color, label=f"layer {layer}" if not head else None)
right.set(xlabel="update", ylim=(0, 1))
right.legend(fontsize=9, loc="upper left")
drop = max(range(1, len(at)), key=lambda i: second_loss[i - 1] - second_loss[i])
show(fig, alt=f"Live run. Loss on the second copy of random tokens: {second_loss[0]:.2f} nats at first, {second_loss[drop - 1]:.2f} at update {at[drop - 1]}, {second_loss[drop]:.2f} at update {at[drop]}, {second_loss[-1]:.2f} at the end; on the first copy it stays above {min(first_loss):.1f}. Induction scores of the four heads of layer 1 end at " + ", ".join(f"{s:.2f}" for s in best[1]) + f"; of layer 0 at {best[0].max():.2f} or less.")

# %% [markdown]
# A phase change: for most of the run the second copy is little easier than betting on the tokens of this row, then within a few dozen updates it is almost free, and the scores of layer 1 jump in the same updates. That they jump together shows no cause. Switching off does: the heads with at least half of the highest score, against every way to choose as many of the others.

# %%
@torch.no_grad()
def gain_without(heads):
    changes = {f"blocks.{i}.attention.heads.{j}": "mean" for i, j in heads}
    with intervene(copier, changes):
        losses = token_losses(copier, again)
    return in_context_gain(losses, slice(0, 23), slice(24, None))


order = sorted(((i, j) for i in range(2) for j in range(4)), key=lambda h: -best[h])
top = [head for head in order if best[head] >= best.max() / 2]
rest = {some: gain_without(some)
        for some in itertools.combinations(order[len(top):], len(top))}
worst = min(rest, key=rest.get)
print(f"all heads: {gain_without([]):.2f} nats; "
      f"{len(top)} induction heads off: {gain_without(top):.2f}")
print(f"{len(top)} others off: {np.mean(list(rest.values())):.2f} on average, "
      f"{rest[worst]:.2f} without {worst}")
print(f"any single head off: {min(gain_without([head]) for head in order):.2f} or more")

# %% [markdown]
# The induction heads hold the whole gain, in this seed (the section below has five more). The set of others that costs most lies in layer 0, where the other half of the circuit is, as in lecture 03. And no *single* head costs more than about a quarter: they stand in for each other, and an ablation of one alone would have said "hardly needed".
#
# ### Five more of them (*optional*)
#
# The gain above is more than guessing costs, $\ln 64 = 4.16$ nats: on the first copy that model bets on repeats that are not there, and loses. *Recorded:* five other seeds, with learned positions and wider heads. (That set-up, and the rule for who counts as an induction head, were settled after a look at the first two.) Off go the heads with at least half of the best score, found on other rows; as a control, all *others of their layer*; and the two heads of layer 0 that look back most.

# %% tags=["figure"]
phase = [run["ablations"] for run in recorded("induction_phase")["results"]["runs"] if run["layers"] == 2]
offs = {"all heads": "gain", "induction heads off": "without_found", "others of that layer off": "without_rest_of_layer", "layer 0's look-back pair off": "without_previous"}
bars({name: [run[key] for run in phase] for name, key in offs.items()}, x="nats that the repeat is easier by", height=2.4, alt="Recorded, five seeds: " + "; ".join(f"{name} {min(run[key] for run in phase):.2f} to {max(run[key] for run in phase):.2f} nats" for name, key in offs.items()) + ".")

# %% [markdown]
# In every seed the two or three heads hold all of it and the rest of their layer little; the pair below holds more than half in three seeds of five. One warning from the trials for this page, not shown: on rows in which no token occurs twice, some models learned to copy with *no* head of a high score. A score finds the circuit that it describes.

# %% [markdown]
# ### Its wild relatives (*optional*)
#
# Those heads were bred: their task asks for nothing else. Our base models read prose. Do they have such heads? <!-- keeps: 09-induction-heads -->

# %% tags=["diagram"]
wild, tokenizer = load_base("1m")
ids = repeated_tokens(16, 40, 4093, low=300, start=START)       # no bytes, no marks
gain_of = lambda: in_context_gain(token_losses(wild, ids), slice(1, 40), slice(41, None))
scores = induction_scores(wild, ids, 40)
i, j = divmod(scores.argmax().item(), scores.size(1))
with intervene(wild, {f"blocks.{i}.attention.heads.{j}": "mean"}):
    silenced = gain_of()
heat_map(scores, fmt=".2f", x="head", y="layer", mark=[(i, j)], width=3.2, height=2.1, alt=f"Induction scores of the heads of the base model 1m: {scores.max():.2f} in layer {i}, head {j}; all others at most {scores.flatten().sort().values[-2]:.2f}. Random tokens are easier the second time by {gain_of():.2f} nats, without that head by {silenced:.2f}.")
ladder_heads = [m for m in recorded("induction_ladder")["results"]["models"] if m["updates"] is None]
span = lambda values: f"{min(values):.2f} to {max(values):.2f}"
wildlife = {m["size"]: dict(all=m["gain"], top=m["gain_without_top"], others=[one[2] for one in m["gain_without_others"]], worst=min(m["gain_without_others"], key=lambda one: one[2])) for m in ladder_heads}
costliest = lambda m: "{2:.2f} (layer {0}, head {1})".format(*wildlife[m["size"]]["worst"])
looks_back = lambda m: m["previous"][wildlife[m["size"]]["worst"][0]][wildlife[m["size"]]["worst"][1]]
table([{"base model": m["size"], "highest score": "{:.2f} (layer {}, head {})".format(max(map(max, m["scores"])), *m["top"]), "random tokens": m["gain"], "that head off": m["gain_without_top"], "median other off": float(np.median(wildlife[m["size"]]["others"])), "costliest other off": costliest(m), "its look back": looks_back(m), "Shakespeare": m["gain_text"], "top off": m["text_without_top"][0], "four others, one each": span([one[2] for one in m["text_without_others"]])} for m in ladder_heads],
      caption="recorded: by how many nats a token is easier the second time (random tokens), or late in a passage (Shakespeare), with one head at its mean. Look back: attention to the token before. (Loss on the second copy " + span([m["second"] for m in ladder_heads]) + f" nats, guessing {math.log(4096):.1f}.)")

# %% [markdown]
# They live in the wild. The smallest base model copies nothing and has no such head. The next needs *two* heads of its eighteen: without the one that copies it is as blind to the repeat as the smallest, and nearly so without one of the layer below, which looks back at the token before. That is the circuit of the drawing, and nobody trained it for that. The largest shows the same pair more faintly. In the third the highest head is missed less than another, and we guess that several share the work. Random tokens are far from anything these models read (all do worse than guessing there); but on Shakespeare, with no planted repeat, the same head of 1m and 5m holds a good part of what the text so far is worth, and the four others tried hold little. One seed of each size: no trend of sizes follows.
#
# ### Where facts are kept (*optional*)
#
# Lecture 02 left a question: a model is given *strawberry* as one number, so how can it find out its letters, and where does it put them? Our base models have read words as single tokens. A **linear probe** asks what a vector holds: a ridge regression from the embedding of a word's token to its first or last letter, fitted on some words and tried on others. Two controls: the same vectors in shuffled order, which can do little better than always to name the commonest letter; and a split by *families*, with all words that share their first three letters on one side. <!-- keeps: 09-where-facts-are-kept -->

# %%
LETTERS = "abcdefghijklmnopqrstuvwxyz"
vocabulary = {i: tokenizer.decode([i]) for i in range(300, 4093)}
words = {i: text.strip().lower() for i, text in vocabulary.items()
         if re.fullmatch(r" ?[A-Za-z]{3,}", text)}
spelt = list(words.values())


def probe(vectors, letter, family, penalty=50.0):
    """Share of held-out words whose letter a linear map reads off their vectors."""
    groups = sorted({family(word) for word in spelt})
    known = set(random.Random(0).sample(groups, int(0.7 * len(groups))))
    fit = torch.tensor([family(word) in known for word in spelt])
    labels = torch.tensor([LETTERS.index(letter(word)) for word in spelt])
    x = (vectors - vectors[fit].mean(0)) / vectors[fit].std(0)
    x, y = torch.cat([x, torch.ones(len(x), 1)], 1), F.one_hot(labels, 26).float()
    gram = x[fit].T @ x[fit] + penalty * torch.eye(x.size(1))
    said = (x @ torch.linalg.solve(gram, x[fit].T @ y[fit])).argmax(1)
    return (said == labels)[~fit].double().mean().item()

# %%
first, last = (lambda word: word[0]), (lambda word: word[-1])
same_word, same_start = (lambda word: word), (lambda word: word[:3])
rows = []
for size in ("0.3m", "1m", "3m", "5m"):
    base, _ = load_base(size)
    vectors = base.token_embedding.weight.detach()[list(words)]
    with torch.no_grad(), record(base, "blocks.0") as seen:
        base(torch.tensor([[START, i] for i in words]))
    shuffled = vectors[torch.randperm(len(vectors))]
    rows.append({"base model": size, "first letter": probe(vectors, first, same_word),
                 "families apart": probe(vectors, first, same_start),
                 "after a block": probe(seen["blocks.0"][:, 1], first, same_word),
                 "last letter": probe(vectors, last, same_word),
                 "after a block ": probe(seen["blocks.0"][:, 1], last, same_word),
                 "shuffled, first": probe(shuffled, first, same_word),
                 "shuffled, last": probe(shuffled, last, same_word)})
table(rows, caption=f"of {len(words):,} words, letters of those held out, share right")

# %% [markdown]
# So letters are in the embedding rows themselves, in part, in models that read these words whole. How they got there, the second column says in part: words of one family, *walk* and *walked*, stand in like company, and share their letters too. With families apart the first letter is read a little less often, still more than shuffled vectors allow. The last letter is read better, and mostly better still after a block, the first letter worse. Our guess at the difference: endings are grammar, on which the next word depends. Spelling comes along as far as something needs it. (A probe shows what *could* be read, not what the model uses. Lecture 02's twins answer letter questions only after being asked them in training.)

# %% [markdown]
# ## Scale warning
#
# > **What these models can and cannot tell you.** Exposure is arithmetic, and so is $p^k$. That a random code can only be remembered, that mentions dealt by lot are a cause, that an ablation needs a control: these hold at every size. The rest is about networks of thousands to millions of weights, trained for seconds to minutes. Grokking needs a rule without exceptions; web text has few. Our canaries stood, densely, in two hundred thousand tokens; in trillions a copy weighs less, and a large model remembers more of each (Carlini et al., 2023). Two heads carry the copying of a model of a million weights; in large ones many do. What we measure on tails ends below sixty thousand parameters, on emergence at five million.
#
# ## Claims
#
# What the source lectures say about this topic, against what the papers say and what was measured here.

# %%
claims_table([
    Claim("Do LLMs just memorize the training data?",
          "Carlini et al. (2023): a 6B model gives back at least 1 % of its training text, more with size and copies",
          f"0.3m, exposure of codes read 0, 1, 64 times: {code_line('0.3m', 0)}, {code_line('0.3m', 1)}, {code_line('0.3m', 64)} bits; "
          f"written when asked: {code_line('0.3m', 1, 'greedy')} and {code_line('0.3m', 64, 'greedy')}",
          "fails as just; what was read often is known by heart; one reading left nothing that could be seen", source="day24", split="report"),
    Claim("Grokking: the network suddenly generalizes well after initially overfitting",
          "Power et al. (2022); Nanda et al. (2023): the circuit grows before it shows",
          f"{sum(g is not None for g in long[2.0])} of {len(long[2.0])} seeds with weight decay, at update {min(filter(None, long[2.0]))} to "
          f"{max(filter(None, long[2.0]))}; {sum(g is not None for g in long[0.0])} of {len(long[0.0])} without in {grid['long_steps'][-1]:,}",
          "holds with weight decay; sudden in accuracy, drawn out in the test loss", source="day24", split="report"),
    Claim("If a language model is memorizing its inputs, it should not fall under fair use",
          "a question for courts, who weigh several factors", "what could be measured: extraction, and the same model without the work",
          "cannot be tested at this scale or any: it is a question of law", source="day24"),
    Claim("Emergent abilities: not present in smaller models but present in larger ones",
          "Wei et al. (2022); Schaeffer et al. (2023): with sharp metrics",
          f"next 4 tokens exactly, smallest to largest base model: {100 * measured('exact 4')[0, 0]:.3f} to {100 * measured('exact 4')[-1, 0]:.3f} %; "
          f"loss {measured('nats')[0, 0]:.2f} to {measured('nats')[-1, 0]:.2f} nats",
          "holds by definition and for a sharp measure; the loss of the same models falls step by step", source="11785", split="report"),
    Claim("Model scale is not the only contributor: PaLM 62B above random on 14 tasks, GPT-3 175B near random",
          "Wei et al. (2022): data and architecture differ, too",
          f"lecture 08's sweep: at equal operations the smaller of two models is better in {better} of {len(pairs)} pairs",
          "holds; which other contributor it was, the example cannot say", source="11785", split="report"),
    Claim("Language models struggle to capture the long tail: accuracy follows the number of documents",
          "Kandpal et al. (2023), BLOOM on TriviaQA: a correlation",
          "mentions dealt by lot: correlation with own mentions " + ", ".join(f"{run['correlation with own mentions']:.2f}" for run in facts["dealt_again"])
          + ", with another deal's " + ", ".join(f'''{run["correlation with the other deal's"]:.2f}''' for run in facts["dealt_again"]),
          "holds, and as a cause where mentions are dealt", source="hlt", split="report"),
    Claim("Scale won't solve the tail phenomena. [QED]",
          "Kandpal et al. (2023) extrapolate to models far beyond any built",
          f"rarest tenth, {params[WIDTHS[0]]:,} to {params[WIDTHS[-1]]:,} parameters: {' to '.join(tail['mentions'])} on the same text, "
          f"{' to '.join(tail['compute'])} at the same operations",
          "fails on the same text, holds at the same operations; facts without a rule", source="hlt", split="report"),
    Claim("Strong correlation between multiplication accuracy and the frequency of a term",
          "Razeghi et al. (2022), GPT-J-6B, two shots: 24 against 23 more than 20 points",
          f"frequency dealt, commonest less rarest fifth: trained pairs {gap('trained', middle)} midway, {gap('trained', -1)} at the end; "
          f"held-out pairs {gap('held out', -1)}",
          "holds for pairs being learned; no effect seen on pairs not seen", source="hlt", split="report"),
    Claim("Interpretability: why do LLMs do what they do? (open challenge)",
          "Olsson et al. (2022): induction heads, and a phase change in training",
          f"1m: copying saves {wildlife['1m']['all']:.2f} nats, without one head {wildlife['1m']['top']:.2f}, without another "
          f"{np.median(wildlife['1m']['others']):.2f} (median; worst {wildlife['1m']['worst'][2]:.2f}); 3m {wildlife['3m']['all']:.2f}, without its top head {wildlife['3m']['top']:.2f}",
          "cannot be tested at this scale as a whole; of one habit the parts were found", source="11785", split="report"),
])

# %% [markdown]
# ## Summary
#
# 1. A network can know all training answers by heart and find the rule long after, if weight decay makes remembering dear and enough of the table is shown. In modular addition the rule is made of waves: with the key frequencies alone it works, without them it guesses.
# 2. Memorisation is a number. Exposure rises with copies before a model says the secret when asked; our larger models, each at its own rates, needed fewer copies; de-duplication helps against the copies it recognises.
# 3. How often a fact is met is the cause of its being known. With the same text a larger model knew more of the rare ones; with the same operations it read less, and beyond some size knew fewer.
# 4. Whether an ability "emerged" depends on model, data *and* measure: $p^k$ turns a slope into a stair. Some stairs are there in a smooth measure, too.
# 5. What does a model *know* at a given loss? Recited or understood is a property of each piece of knowledge, and measured with something held out, planted or switched off. <!-- keeps: 09-recited-or-understood -->
#
# ## Exercises
#
# *Lab 09* builds on this page: the Fourier basis and the key frequencies, exposure, the induction score, and a measure that creates emergence.
#
# 1. By hand: scores of all answers to $1 + 1$ modulo 5 with $k = 2$ alone. Which wrong answers come nearest?
# 2. Show that a rank that is uniform on 1 to $N$ has an exposure of about $1/\ln 2 = 1.44$ bits on average. What is its median?
# 3. Train `SumNetwork` on *ordered* pairs split at random, without weight decay. What is the test accuracy, and where does it come from?
# 4. A company says "our model never wrote a customer's number in a million chats". Which two measurements would you ask for, and what could each still miss?
# 5. Find a task and a length $k$ for which our ladder shows "emergence" between the last two models. Then find a measure under which it does not.
# 6. Among the wild relatives, replace the random tokens by passages of prose, twice. Is the head of the 1m model still the one that matters? Say first what else could make a passage easier the second time.
#
# ## Further reading
#
# Power et al. (2022), *Grokking: generalization beyond overfitting on small algorithmic datasets*. Nanda et al. (2023), *Progress measures for grokking via mechanistic interpretability*. Zhong et al. (2023), *The clock and the pizza*. Carlini et al. (2019), *The secret sharer*. Carlini et al. (2021), *Extracting training data from large language models*. Carlini et al. (2023), *Quantifying memorization across neural language models*. Lee et al. (2022), *Deduplicating training data makes language models better*. Kandpal et al. (2022), *Deduplicating training data mitigates privacy risks*. Razeghi et al. (2022), *Impact of pretraining term frequencies on few-shot reasoning*. Kandpal et al. (2023), *Large language models struggle to learn long-tail knowledge*. Wei et al. (2022), *Emergent abilities of large language models*. Schaeffer et al. (2023), *Are emergent abilities of large language models a mirage?* Elhage et al. (2021), *A mathematical framework for transformer circuits*. Olsson et al. (2022), *In-context learning and induction heads*. Kaushal and Mahowald (2022), *What do tokens know about their characters and how do they know it?*
