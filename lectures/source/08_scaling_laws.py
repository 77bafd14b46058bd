# %% [markdown]
# # 08 · Scaling laws: predict a run before paying for it
#
# **The question of this lecture.** The largest training runs cost tens of millions of dollars and more, and each is made once. *Can one know, before paying, how good the model will be, and how large it should be?* And where does that end: is scale all we need?
#
# The plan is the one in which it was done for GPT-4: train many small models, find the regularity, extend the line. We do it with our own models, we write our prediction down before the large run is made, and then look at the run. On the way there is a language whose best possible loss is known exactly, so that the method can be caught when it is wrong.
#
# **Afterwards you can**
# - read a power law off logarithmic paper, and say what its floor does to the line;
# - count a run's FLOPs, and say which of three ways of counting parameters a paper used;
# - fit $L(N, D)$ and find the best size for a budget in three ways, with intervals;
# - tell a point that belongs into a fit from one that does not;
# - predict a loss beyond the runs you have, and test the prediction before you trust it;
# - take the argument "is scale all we need?" apart into claims that have numbers.
#
# **Before this:** lecture 03 (a GPT and its training), lecture 07 for the recipe and for $6ND$.
#
# **Time:** core 150 minutes, optional 29 minutes; two classes (parts I to IV, then V to VIII). Run the optional cells even if you skip their text. All cells together: under a minute of computing on a laptop CPU.
#
# <!-- sources: day24, analytics, 11785, hlt -->

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch

from courseware import (Ballot, Claim, Diagram, bars, claims_table, curves, explore,
                        panels, poll, setup_style, show, table)
from llmlib.data import recorded
from llmlib.hub import base_sizes, load_base
from llmlib.infer import generate
from llmlib.model import (ModelConfig, Transformer, count_parameters, flops_per_token,
                          preset)
from llmlib.text import SkillSource
from llmlib.train import TrainConfig, Trainer
from llmlib.train.scaling import (BESIROGLU_2024, HOFFMANN_2022, KAPLAN_2020,
                                  ScalingLaw, bootstrap, fit_isoflop,
                                  fit_power_law, fit_scaling_law, interval)

setup_style(compact=True)
torch.manual_seed(0)
ballot = Ballot("Is scale all we need?", ["yes", "mostly", "no"])

# %% [markdown]
# HLT asks a question, and takes a vote on it before and after the arguments. Here is the vote before; part VIII brings the arguments.

# %%
ballot.vote("before")

# %% [markdown]
# ## I. A power law
#
# ### A line on logarithmic paper
#
# Let $x$ be what we spend more of: parameters, tokens or operations. The laws of this lecture have one form,
#
# $$L(x) \;=\; E + A\,x^{-\alpha}, \qquad\text{so}\qquad \ln\big(L(x) - E\big) \;=\; \ln A - \alpha \ln x .$$
#
# $E$ is the **irreducible loss**, what no $x$ takes away: with real text, the surprise that is in the text itself. The rest, $L - E$, is the **excess**. On paper with logarithmic axes the excess is a straight line that falls by $\alpha$ for each step to the right.
#
# **By hand:** with $\alpha = 0.3$, ten times as much leaves $10^{-0.3} = 0.50$ of the excess. Half of the excess for ten times the money; a quarter for a hundred times. Progress that costs the same each time would be a straight line on *ordinary* paper. A power law is far from that.
#
# The slides of 11-785 and Day 24 show $L$ itself on logarithmic axes, and call it linear. Move the floor and see when that is right.

# %% tags=["diagram"]
def floor_and_line(E, alpha=0.3):
    x = np.logspace(0, 6, 200)
    fig, ax = plt.subplots(figsize=(3.5, 2.7))
    ax.loglog(x, E + 2 * x**-alpha, color="#0072B2", label="loss")
    ax.loglog(x, 2 * x**-alpha, color="#D55E00", linestyle="--", label="excess")
    if E:
        ax.axhline(E, color="0.5", linestyle=":")
    ax.set(xlabel="x", ylabel="nats", title=f"E = {E}, exponent {alpha}", ylim=(0.01, 5))
    ax.legend(fontsize=9)
    return fig


explore(floor_and_line, E=[0.0, 0.1, 0.5, 1.5], alpha=[0.1, 0.3, 0.5], panels=[dict(E=0.0, alpha=0.3), dict(E=0.5, alpha=0.3)],
        alt="Loss and excess against x on logarithmic axes. Without a floor the two lines are one straight line. With a floor of 0.5 the excess stays straight and the loss bends and runs level at 0.5.")

# %% [markdown]
# The excess is straight whatever the floor. The loss is straight as long as the floor is small beside it, and then bends. Over a short piece nobody can see the bend, and that is the trap: **a straight line through losses and a curve with a floor agree where the runs are, and disagree where the prediction is.**

# %%
poll("Ten times the compute took a loss from 3.0 to 2.5. What will the next factor of ten do?",
     ["that depends on E, which these two numbers do not tell", "2.0, the same step down again", "2.08, the same ratio again", "2.25, half of the step"],
     "Without a floor the ratio repeats, 2.08. With E = 2 the *excess* halves again, from 0.5 to 0.25, which gives 2.25. Two points fit both, and a third constant needs a third point, better many.")

# %% [markdown]
# ### A language whose floor is known
#
# On real text nobody knows $E$. So we begin with a language that is made up, as lecture 01 did with a Markov chain. A Markov chain is too simple, though: once its table is learned, its loss stops falling, and there is no power law. This language consists of *facts*, few common and most of them rare.

# %% tags=["diagram"]
d = Diagram(12, 2.7)
for i, (text_, color) in enumerate([("k", "blue"), ("w", "blue"), ("7", "orange"), ("b", "blue"), ("q", "blue"), ("2", "orange"), ("k", "blue"), ("w", "blue"), ("7", "orange")]):
    d.box(1.0 + 0.75 * i, 1.5, text_, w=0.62, h=0.62, color=color)
d.bracket((0.7, 1.9), (2.05, 1.9), "a skill's name")
d.arrow((2.5, 0.55), (2.5, 1.15))
d.label(2.9, 0.3, "its answer, or now and then a wrong one", size=10)
d.label(10.0, 2.2, r"$p_k \propto k^{-1.8}$", size=13)
d.label(10.0, 1.55, "how often the k-th skill comes", size=10)
d.show(alt="Records of three symbols: two name a skill and the third is its answer. The skill of rank k comes with a probability proportional to k to the power of minus 1.8.")

# %% [markdown]
# Two symbols of 128 name one of 16,384 skills; the third symbol is the skill's answer, one of 16, replaced by a random one in 30 % of the records. The $k$-th most common skill comes with probability $p_k \propto k^{-1.8}$, after Zipf, whose law words obey too. Whoever knows a skill still needs
#
# $$E \;=\; -\sum_{j=1}^{16} q_j \ln q_j, \qquad q_1 = 0.7 + \tfrac{0.3}{16}, \quad q_2 = \dots = q_{16} = \tfrac{0.3}{16},$$
#
# and who does not know it needs $\ln 16$. Nothing is estimated: $E$ is a number.

# %%
source = SkillSource(exponent=0.8, noise=0.3, rng=0)
q = np.array([0.7 + 0.3 / 16] + [0.3 / 16] * 15)
E_true = -(q * np.log(q)).sum()                         # nats an answer
assert abs(E_true - source.entropy_rate * math.log(2)) < 1e-12
gap = math.log(16) - E_true
print(f"E = {E_true:.4f} nats; not knowing a skill costs {gap:.2f} more")

p = source.probabilities
missed = 1 - np.cumsum(p)                               # by who knows the first n
n = np.array([100, 1000])
print(f"the 100 commonest skills are {1 - missed[99]:.1%} of all records, "
      f"the 1000 commonest {1 - missed[999]:.1%}")


def seen_once(records):
    """Share of records whose skill did not turn up in so many earlier ones."""
    return (p * (1 - p) ** records).sum()


by_size = np.logspace(0, 3, 30).astype(int)
by_data = np.logspace(2, 6, 30)
table_by_size = gap * missed[by_size - 1]
table_by_data = gap * np.array([seen_once(records) for records in by_data])

# %% [markdown]
# **Why a power law?** Take the simplest learner there is, a table with room for $n$ skills that holds the commonest. It misses the tail,
#
# $$\sum_{k > n} p_k \;\approx\; \int_n^\infty \! k^{-1.8}\, dk \;\propto\; n^{-0.8},$$
#
# and its excess is that share times the price of a guess. **By hand:** ten times the room leaves $10^{-0.8} = 0.16$ of the misses. And a table with all the room it wants, which knows what it has seen once in $D$ records? It misses skill $k$ if none of the records held it. Skills with $p_k$ far above $1/D$ were seen, the others were not, so that it knows about $D^{1/1.8}$ of them and misses $D^{-0.8/1.8} = D^{-0.44}$.

# %% tags=["diagram"]
fig, (a_, b_) = panels(2, titles=["a table with room for n skills", "a table that has seen D records"], share_y=True, height=2.8)
for ax, x_, y_, at_, name in ((a_, by_size, table_by_size, (3, 300), "n"), (b_, by_data, table_by_data, (1e3, 1e5), "D")):
    ax.loglog(x_, y_, color="#0072B2")
    lo_, hi_ = np.interp(np.log(at_), np.log(x_), np.log(y_))
    slope_ = (hi_ - lo_) / np.log(at_[1] / at_[0])
    ax.text(0.35, 0.8, f"slope {slope_:.2f}", transform=ax.transAxes)
    ax.set(xlabel=name)
a_.set(ylabel="excess, nats")
show(fig, alt="The exact excess of two tables on logarithmic axes: against the number of skills held and against the number of records seen. Both are nearly straight lines with slopes near minus 0.8 and minus 0.44.")

# %% [markdown]
# Two straight lines, and no network, no gradient, no optimizer in them: only a long tail, and a learner that takes the common things first (Hutter, 2021; Michaud et al., 2023). That is *one* way in which a power law comes about. Whether the laws of real text come from a tail of rare things is an open question; that text *has* such a tail is not.
#
# ### Now with Transformers
#
# A small Transformer instead of the table: one block, trained once over $D$ records, its learning rate brought down to zero at the end. The loss counts answers only, and we measure it without the luck of the draw: at each place the mean over all answers that could have come.

# %%
def batched(symbols, rows):
    """Batches of `rows` rows of 32 records, with the targets that are answers."""
    whole = len(symbols) // (32 * rows) * 32 * rows
    ids = torch.from_numpy(symbols[:whole]).view(-1, rows, 96)
    targets = ids[..., 1:].clone()
    targets[..., 0::3] = targets[..., 2::3] = -100      # names are not to be guessed
    return list(zip(ids[..., :-1], targets))


def facts(records, rows, seed):
    """Batches of so many records of the language."""
    return batched(source.sample(records, rng=seed)[0], rows)


held_out, held_out_skills = source.sample(8_192, rng=12345)
held_out = torch.from_numpy(held_out).view(-1, 96)


def excess(model):
    """Nats an answer above E."""
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(x)[:, 1::3] for x in held_out[:, :-1].split(256)])
    model.train()
    log_p = logits.log_softmax(-1).flatten(0, 1)
    return source.cross_entropy(log_p, held_out_skills) - E_true

# %%
def learner(width, batches_, seed=0):
    """A one-block Transformer and its trainer: lecture 07's recipe, rates by size."""
    torch.manual_seed(seed)
    model = Transformer(ModelConfig(
        source.vocab_size, n_layers=1, d_model=width, n_heads=1, d_ff=4 * width,
        mlp="relu2", max_seq_len=96, init_std=0.02 * (768 / width) ** 0.5))
    rate = (46_000 / count_parameters(model)) ** 0.25
    return Trainer(model, TrainConfig(
        steps=len(batches_), batch_size=len(batches_[0][0]), seq_len=96,
        optimizer="muon", lr=0.04 * rate, embedding_lr=0.05 * rate,
        vector_lr=0.01 * rate, betas=(0.8, 0.95), weight_decay=0.0, schedule="wsd",
        warmup_steps=len(batches_) // 20, decay_fraction=0.95, final_lr=0.0,
        seed=seed, device="cpu", progress=False), batches_)


def rows_for(records):
    return max(4, round(8 * (records / 65_536) ** 0.5))


live = []
for width in (6, 12, 24):
    for records in (4_096, 8_192, 16_384):
        trainer = learner(width, facts(records, rows_for(records), seed=1))
        trainer.run()
        live.append((count_parameters(trainer.model), records, excess(trainer.model)))
print(f"{len(live)} runs; excess from {max(r[2] for r in live):.3f} nats "
      f"({live[0][0]:,} parameters) to {min(r[2] for r in live):.3f}")

# %% [markdown]
# *Recorded*: the same with up to 32 times the records, six widths, and more seeds where a run is cheap. Before the figure: which of the models will the extra records help least?

# %%
skills = recorded("scaling_skills")["results"]
sizes = sorted({run["parameters"] for run in skills["runs"]})
amounts = sorted({run["records"] for run in skills["runs"]})


def mean_excess(n, records):
    return np.mean([run["excess"] for run in skills["runs"]
                    if (run["parameters"], run["records"]) == (n, records)])


grid = np.array([[mean_excess(n, records) for records in amounts] for n in sizes])
helped = grid[:, 0] / grid[:, -1]                       # by 32 times the records
print("32 times the records divide the excess by "
      + ", ".join(f"{h:.1f} ({n:,})" for n, h in zip(sizes, helped)))

# %% tags=["diagram"]
fig, (a_, b_) = panels(2, titles=["by records", "by size"], share_y=True, height=3.3)
for i, n_ in enumerate(sizes):
    a_.loglog(amounts, grid[i], ".-", color=plt.cm.viridis(i / 6), label=f"{n_:,}")
for _, records_, excess_ in live:
    a_.loglog(records_, excess_, "x", color="#D55E00", markersize=5)
for j, records_ in enumerate(amounts):
    b_.loglog(sizes, grid[:, j], ".-", color=plt.cm.plasma(j / 6), label=f"{records_ // 1024}k")
a_.set(xlabel="records", ylabel="excess, nats")
b_.set(xlabel="parameters")
b_.set_xticks([2e3, 5e3, 1e4], ["2,000", "5,000", "10,000"])
b_.minorticks_off()
a_.legend(fontsize=8, title="parameters", title_fontsize=8)
b_.legend(fontsize=8, title="records", title_fontsize=8)
show(fig, alt=f"Excess on logarithmic axes, recorded runs as lines and today's as crosses. 32 times the records divide the excess of {sizes[0]:,} parameters by {helped[0]:.1f} and of {sizes[-1]:,} by {helped[-1]:.1f}.")

# %% [markdown]
# Left, the lines fan out: the smallest model is soon full and runs level, the largest goes on falling. Right, the same seen from the side: more parameters help as long as there are records to fill them. *More data helps a model that has room to use it*, which lecture 01 promised to show: there the room was an order, here it is width. <!-- keeps: 08-more-data-needs-room -->
#
# Both directions at once are the law of Hoffmann et al. (2022),
#
# $$L(N, D) \;=\; E + \frac{A}{N^\alpha} + \frac{B}{D^\beta},$$
#
# five constants, fitted by least squares on the *logarithm* of the loss (with Huber's loss, so that one unlucky run does not pull the line). The point of a made-up language is that we can mark the result.

# %%
N_, D_, L_ = (np.array([run[key] for run in skills["runs"]], float)
              for key in ("parameters", "records", "excess"))
L_ = L_ + E_true                                        # all one sees of a real text
law = fit_scaling_law(N_, D_, L_)
floors = [each.E for each in bootstrap(fit_scaling_law, N_, D_, L_, times=60)]
low, high = interval(floors)
print(f"E fitted {law.E:.3f} (95 % of resampled runs {low:.3f} to {high:.3f}), "
      f"true {E_true:.3f}: off by {law.E / E_true - 1:+.1%}")
print(f"exponents: {law.alpha:.2f} of N, {law.beta:.2f} of D")

# %% [markdown]
# The fit finds the floor to a part in a thousand, though no run came nearer to it than 0.024 nats, and the resampled sweeps agree within some two per cent. The exponent of $D$ is nearly the table's 0.44. That of $N$ is not the table's 0.8: how many facts a Transformer holds need not grow in proportion to its parameters, and we offer no theory of it.
#
# ### A first bet
#
# Predict, then look. This is what the law was asked for *before* the run was made (the prediction lies in the course's history, the run's recording came after it): a wider model, three times the records, some ten times the compute of the largest run above. Its rival is the straight line through the best runs on logarithmic paper, which is the same law without a floor.

# %%
first = recorded("scaling_skills_bet")["results"]
compute = first["parameters"] * first["records"]
order = np.argsort(N_ * D_)
leader = order[L_[order] <= np.minimum.accumulate(L_[order])]  # none cheaper is as good
line = fit_power_law((N_ * D_)[leader], L_[leader], irreducible=False)
no_floor = float(line.predict(compute))
truth = recorded("scaling_skills_outcome")["results"]["excess"] + E_true
print(f"{first['times']:.1f} times the compute: {truth:.4f} nats")
for name, guess in (("law", first["loss"]), ("straight line", no_floor)):
    print(f"{name:13} {guess:.4f}: off by {guess / truth - 1:+.2%} of the loss, "
          f"{(guess - truth) / (truth - E_true):+.0%} of the excess")

# %% [markdown]
# Half a thousandth of the loss, and, since here the floor is known, a few per cent of the true excess. The straight line is off by several times the whole excess that was left: it goes on falling where there is nothing left to win. Where a law has the right form and points enough, it can be trusted for a factor of ten. Now a text of which nobody knows the form.

# %% [markdown]
# ## II. Text
#
# ### What is counted (*optional*)
#
# **Operations.** A weight that sits in a matrix costs a token 2 operations on the way forward, a multiplication and an addition, and 4 on the way back: $C = 6ND$. **Parameters** can be counted in three ways, and papers differ:

# %% tags=["diagram"]
d = Diagram(12, 2.2)
weight = d.box(1.5, 1.2, "a weight", w=1.8, h=0.7, color="blue")
forward = d.box(4.9, 1.7, "forward: 2", w=2.4, h=0.6, color="grey")
back_ = d.box(4.9, 0.7, "backward: 4", w=2.4, h=0.6, color="orange")
token_ = d.box(8.3, 1.2, "6 a token", w=1.9, h=0.7, color="green")
d.arrow(weight, forward)
d.arrow(weight, back_)
d.arrow(forward, token_)
d.arrow(back_, token_)
d.label(10.9, 1.2, "$C = 6\\,N D$", size=14)
d.show(alt="A weight costs two operations a token forward and four backward, six in all: N weights and D tokens make C = 6 N D.")

# %%
small = ModelConfig(256, n_layers=4, d_model=64, n_heads=2, d_ff=168, max_seq_len=128)
counted = []
for name, config, embeddings in (
        ("our 4 blocks of 64", small, 256 * 64),        # embedding and head are tied
        ("GPT-2 small", preset("gpt2"), (50257 + 1024) * 768),
        ("GPT-3", preset("gpt3"), (50257 + 2048) * 12288)):
    with torch.device("meta"):                          # shapes without memory
        built = Transformer(config)
    N_all, exact = count_parameters(built), flops_per_token(built, config.max_seq_len)
    counted.append({"model": name, "all parameters": f"{N_all:,}",
                    "without embeddings": f"{N_all - embeddings:,}",
                    "share of embeddings": f"{embeddings / N_all:.0%}",
                    "6N over the exact count": f"{6 * N_all / exact:.2f}"})
table(counted)

# %% [markdown]
# Kaplan et al. (2020) leave the embeddings out, Hoffmann et al. (2022) count them. At GPT-3's size it makes no difference. At ours, and at the sizes that laws are *fitted* on, it does, and part III shows what it did to the most famous disagreement of the field. Our $N$ is all parameters. Our head is tied to the embedding, so that every counted weight is multiplied once and $6N$ is right but for the attention itself, which the last column shows: with short contexts and small widths it is no small thing.
#
# ### The sweep
#
# *Recorded*: 37 models of 2,904 to 1,022,336 parameters, at seven budgets from $3\cdot10^9$ to $3\cdot10^{12}$ operations. The text is lecture 07's prose as *bytes* ($V = 256$), so that there is enough of it for each run to read every byte at most once. All follow one recipe: Muon, learning rates by size (tuned at four sizes), down to zero at the end. A byte is a token here, and the losses are nats a byte on held-out documents.

# %%
sweep = recorded("scaling_sweep")["results"]
runs = sweep["grid"]
N = np.array([run["parameters"] for run in runs], float)
tokens = np.array([run["tokens"] for run in runs], float)
L = np.array([run["report"] for run in runs])
C = np.array([run["budget"] for run in runs])
budgets = np.unique(C)
best = np.array([L[C == c].min() for c in budgets])     # of each budget
again = [[run["report"] for run in sweep["seeds"] if run["budget"] == c]
         + [run["report"] for run in runs if run["budget"] == c and run["width"] ==
            next(r["width"] for r in sweep["seeds"] if r["budget"] == c)]
         for c in budgets if any(r["budget"] == c for r in sweep["seeds"])]
for c, three in zip(budgets, again):
    print(f"{c:.0e} operations, three seeds: " + ", ".join(f"{x:.3f}" for x in three))

# %% tags=["diagram"]
fig, (a_, b_, c_) = panels(3, titles=["by parameters", "by bytes", "by operations"], share_y=True, height=3.2)
slice_ = sweep["slice"]
a_.loglog([r["parameters"] for r in slice_], [r["report"] for r in slice_], ".-", color="#0072B2")
a_.set(xlabel="N, each on 500,000 bytes", ylabel="nats a byte, report split")
for i, n_ in enumerate(np.unique(N)):
    order_ = np.argsort(tokens[N == n_])
    b_.loglog(tokens[N == n_][order_], L[N == n_][order_], ".-", color=plt.cm.viridis(i / 9), label=f"{n_ / 1000:.0f}k")
    c_.loglog(C[N == n_][order_], L[N == n_][order_], ".-", color=plt.cm.viridis(i / 9))
b_.set(xlabel="D, a line a size")
b_.legend(fontsize=6.5, title="N", title_fontsize=7, loc="lower left")
c_.loglog(budgets, best, "k--", linewidth=1)
c_.set(xlabel="C (dashed: the best)")
for ax in (a_, b_, c_):
    ax.set_yticks([1.6, 1.8, 2.0, 2.3, 2.6], ["1.6", "1.8", "2.0", "2.3", "2.6"])
    ax.minorticks_off()
show(fig, alt=f"Three plots on logarithmic axes: loss against parameters at 500,000 bytes, against bytes for each size, against operations for each size. The best loss of a budget falls from {best[0]:.2f} at 3e9 operations to {best[-1]:.2f} at 3e12.")

# %% [markdown]
# Left: on the same 500,000 bytes each size is better than the smaller one, by less each time. Middle: each size gains from more text, and the small ones, at the top right, level off first. Right: each size is the best one for a stretch of budgets, and then hands over to the next; the dashed hull below all of them is what a builder who always picks the right size gets. Three seeds of the same run differ by up to 0.06 nats at the smallest budget and by 0.01 to 0.035 above it. Keep that number in mind: no law can be more right than its points.
#
# ### Bigger models need less text
#
# Read the middle panel from the side: at which $D$ does each size reach a given loss?

# %%
def bytes_to_reach(target, n):
    """From the runs of one size, interpolated; NaN if it is not reached."""
    at = np.argsort(tokens[N == n])
    losses, amounts_ = L[N == n][at], tokens[N == n][at]
    if not losses.min() <= target <= losses.max():
        return math.nan
    return float(np.exp(np.interp(-target, -losses, np.log(amounts_))))


target = 2.1
need = {int(n): bytes_to_reach(target, n) for n in np.unique(N)}
need = {n: d for n, d in need.items() if d == d}
cost = [6 * n * d for n, d in need.items()]
table([{"parameters": f"{n:,}", f"bytes to reach {target}": f"{round(d, -3):,.0f}",
        "operations": f"{c:.1e}"} for (n, d), c in zip(need.items(), cost)],
      highlight=[int(np.argmin(cost))])

# %% [markdown]
# A model of ten thousand parameters reads 1.5 million bytes to get where one of 468 thousand is after 153 thousand: ten times the text. Day 24's slide says so of large models, and on our range it holds. But cheapest in *operations*, the highlighted row, is neither the largest nor the smallest. That is the subject of part III.
#
# ### The table of counts, again (*optional*)
#
# Lecture 03 found Kneser-Ney's table of counts hard to beat, and said that this was a fact about a million characters and two minutes. Here is the same contest from 36,000 to 3.6 million bytes: the best of orders 3 to 8 and two smoothings, and the best of our models trained on at most as many bytes. Which of the two profits more from a factor of a hundred?

# %%
counts = recorded("scaling_counts")["results"]
chosen = {}
for row in counts:
    kept = chosen.setdefault(row["bytes"], row)
    if row["choose"] < kept["choose"]:
        chosen[row["bytes"]] = row
count_bytes = np.array(sorted(b for b in chosen if b < 1e7))
count_loss = np.array([chosen[b]["report"] for b in count_bytes])
everything = runs + sweep["slice"]
model_loss = np.array([min(r["report"] for r in everything if r["tokens"] <= 1.01 * b)
                       for b in count_bytes])
for b in count_bytes:
    print(f"{b:>10,} bytes: best order {chosen[b]['order']}, {chosen[b]['smoothing']}")

# %% tags=["figure"]
curves({"table of counts": (count_bytes, count_loss), "Transformer": (count_bytes, model_loss)}, x="bytes of training text (log)", y="nats a byte, report split", log="x", height=3.0,
       alt="Nats a byte against the bytes trained on. Table of counts: " + ", ".join(f"{v:.2f}" for v in count_loss) + ". Best Transformer on at most as many bytes: " + ", ".join(f"{v:.2f}" for v in model_loss) + ".")

# %% [markdown]
# On this range the table of counts wins, and by much: it learns from every byte at once, and its number of entries grows with the text, into the millions, while our largest models have one million parameters and see each byte once. The gap narrows as the text grows, and the run of part V, on more of it, will all but close it. That is what lecture 03 met at a million characters. Where the curves will cross is a question for parts III and V, since the Transformer's end of it depends on what we let it cost. <!-- keeps: 08-sizes -->
#
# ### The course's own ladder (*optional*)
#
# Later lectures need real base models of several sizes. They come with the course: `load_base("1m")`, pre-trained with lecture 07's recipe on 3 million tokens of Wikipedia, tales and novels, read twice. They are *not* points for a law, since they read their text more than once; but they are judged like one, in bits a byte on documents that were held out whole.

# %%
ladder = recorded("base_models")["results"]
rungs, table_row = ladder["sizes"], ladder["ngram"]["report"]
table([{"model": f'load_base("{size}")', "parameters": f"{r['parameters']:,}",
        "bits a byte": r["report"][0],
        "95 % over documents": f"{r['report'][1]:.3f} to {r['report'][2]:.3f}"}
       for size, r in rungs.items()]
      + [{"model": f"{ladder['ngram']['order']}-gram of {ladder['ngram']['units']}",
          "parameters": "-", "bits a byte": table_row[0],
          "95 % over documents": "{1:.3f} to {2:.3f}".format(*table_row)}],
      fmt=".3f")
for larger, smaller, value, low, high in ladder["differences"]:
    print(f"{larger} against {smaller}: {value:+.3f} bits a byte, document by document "
          f"{low:+.3f} to {high:+.3f}")
for size, (value, low, high) in ladder["beyond_ngram"].items():
    print(f"{size} against the table: {value:+.3f} ({low:+.3f} to {high:+.3f})")

# %%
for size in base_sizes():
    model, tokenizer = load_base(size, device="cpu")
    begin = [tokenizer.special_tokens["<|endoftext|>"]]
    begin += tokenizer.encode("The town lies on the river")
    written = generate(model, begin, max_new_tokens=40, temperature=0.7,
                       generator=torch.Generator().manual_seed(1))
    print(f"{size}: The town lies on the river{tokenizer.decode(written)!r}\n")

# %% [markdown]
# Each size is better than the one below it on the same documents, by far more than documents differ. The smallest loses to the table of counts, which was made from the same three million tokens; from a million parameters on the models win, and they are smaller than the table, whose entries are millions. That is the other half of what lecture 03 left open. The samples say what a loss does not: all sound like an encyclopedia heard through a wall, and whether anything in them is *true* is another matter.

# %% [markdown]
# ## III. The best size for a budget
#
# ### Three approaches
#
# A budget $C = 6ND$ can be spent on a large model that reads little or a small one that reads much. Hoffmann et al. (2022) find the best size in three ways, and so do we.
#
# **1. The envelope.** Of all runs that cost at most $C$, take the best.
#
# **2. The valley.** At *one* budget, plot the loss against $\ln N$ and lay a parabola through it. Its lowest point is the best size (an **IsoFLOP** curve).
#
# **3. The law.** Fit $L(N, D)$ and minimise it along $ND = C/6$. **By hand:** put $D = C/(6N)$ into the law and set the derivative by $N$ to zero,
#
# $$-\alpha A N^{-\alpha-1} + \beta B \left(\tfrac{6}{C}\right)^{\!\beta} N^{\beta - 1} = 0 \quad\Rightarrow\quad N^{\ast} = \left(\frac{\alpha A}{\beta B}\right)^{\!\frac{1}{\alpha+\beta}} \left(\frac{C}{6}\right)^{\!\frac{\beta}{\alpha+\beta}} .$$
#
# So $N^{\ast} \propto C^a$ with $a = \beta/(\alpha+\beta)$: with equal exponents, size and data grow alike, $a = 0.5$.
#
# ### Which law?
#
# Hoffmann's law *adds* the shortage of parameters to the shortage of data. That is one form among others. Kaplan's equation 1.5 lets the scarcer of the two decide, nearly. Both are cases of
#
# $$L(N, D) = E + \left(u^q + v^q\right)^{1/q}, \qquad u = \frac{A}{N^\alpha}, \quad v = \frac{B}{D^\beta},$$
#
# with a **sharpness** $q$: the sum for $q = 1$, the larger of the two for $q \to \infty$. **By hand:** $u = v = 0.5$ make 1.0 at $q = 1$, and $(2 \cdot 0.5^4)^{1/4} = 0.59$ at $q = 4$. The exponent $a$ of the best size is the same for every $q$. Fit both to our runs.

# %%
sum_law = fit_scaling_law(N, tokens, L)
text_law = fit_scaling_law(N, tokens, L, sharpness=None)     # q fitted as well
for name, each in (("sum", sum_law), ("sharp", text_law)):
    off = each.predict(N, tokens) / L - 1
    print(f"{name:5} q = {each.sharpness:.1f}, E = {each.E:.2f}: off by "
          f"{np.sqrt((off**2).mean()):.1%} (root mean square), {np.abs(off).max():.1%} "
          "at most")

# %% [markdown]
# The sum misses our runs by two and a half per cent on average, several times what seeds explain; with a sharpness of 3.5, one more constant, the error is half of that. On bytes and at these sizes, a model that lacks both parameters and text does not suffer twice: it suffers from what it lacks more. (On the facts of part I the sum was good enough. Forms are not eternal; test them.)
#
# And look at $E$: the sum finds 0.66 nats, the sharp law none at all. Our runs say nothing about the floor of this text. Text surely has one; presumably it lies too far below 1.6 nats to bend the line where we are. An $E$ that comes out of a fit is a claim of the *form*, not only of the data.

# %%
valley = np.array([fit_isoflop(N[C == c][np.argsort(L[C == c])[:5]],
                               np.sort(L[C == c])[:5])[0] for c in budgets])
slopes = {"valley": np.polyfit(np.log(budgets), np.log(valley), 1)[0],
          "law": text_law.exponents[0]}
lowest = np.array([N[C == c][L[C == c].argmin()] for c in budgets])
slopes["envelope"] = np.polyfit(np.log(budgets), np.log(lowest), 1)[0]
resampled = bootstrap(fit_scaling_law, N, tokens, L, times=60, sharpness=None)
a_low, a_high = interval([each.exponents[0] for each in resampled])
n_last, d_last = text_law.optimum(budgets[-1])
print(f"at {budgets[-1]:.0e} operations the law wants {n_last:,.0f} parameters, "
      f"{d_last / n_last:.0f} bytes for each")
for name, slope in slopes.items():
    print(f"{name:9} N* grows as C^{slope:.2f}"
          + (f"  (95 %: {a_low:.2f} to {a_high:.2f})" if name == "law" else ""))

# %% tags=["diagram"]
fig, (a_, b_) = panels(2, titles=["valleys, a line a budget", "the best size"], height=3.3)
for i, c in enumerate(budgets):
    at_ = np.argsort(N[C == c])
    a_.semilogx(N[C == c][at_], L[C == c][at_], ".", color=plt.cm.plasma(i / 7))
    fine = np.logspace(np.log10(N[C == c].min()), np.log10(N[C == c].max()), 60)
    a_.semilogx(fine, text_law.predict(fine, c / 6 / fine), color=plt.cm.plasma(i / 7), linewidth=1)
    a_.text(fine[-1] * 1.1, text_law.predict(fine[-1], c / 6 / fine[-1]), f"{c:.0e}".replace("e+", "e"), fontsize=7, va="center")
    a_.plot(valley[i], np.min(L[C == c]), "v", color="k", markersize=4)
a_.set(xlabel="parameters", ylabel="nats a byte", xlim=(2e3, 6e6))
b_.loglog(budgets, valley, "kv", label="valley")
b_.loglog(budgets, lowest, "o", color="#D55E00", markersize=4, label="envelope")
b_.loglog(budgets, [text_law.optimum(c)[0] for c in budgets], color="#0072B2", label="law")
b_.set(xlabel="operations", ylabel="")
b_.legend(fontsize=8.5)
show(fig, alt="Left: loss against parameters, one valley a budget, with the law's curves; the lowest points move right and down as the budget grows. Right: the best size against the budget on logarithmic axes by three approaches, " + ", ".join(f"{name} exponent {s:.2f}" for name, s in slopes.items()) + ".")

# %% [markdown]
# The three approaches agree within what the resampled sweeps allow: the best size grows roughly as the root of the compute. In the language of the slide that HLT takes from Hoffmann et al., "model size and training data must be scaled equally". The valleys are flat, and the dots lie beside their curves by as much as seeds differ, at the smallest budget by more; look how far a single lucky run would move a triangle.
#
# ### Kaplan against Hoffmann (*optional*)
#
# Kaplan et al. (2020) found $N^{\ast} \propto C^{0.73}$: with ten times the compute, make the model five times larger and hardly read more. GPT-3 was built by that rule. Hoffmann et al. (2022) found 0.5, and Chinchilla, a quarter of Gopher in size, that read more than four times as much and was better. Both had careful sweeps. How can they differ?
#
# One part of the answer is in the counting (Pearce and Song, 2024; Porian et al., 2024). Kaplan left the embeddings out of $N$ *and* of $C$, on models so small that embeddings were most of them. Do the same with our runs, and with nothing else:

# %%
N_bare = N - np.array([256 * run["width"] for run in runs])
bare_law = fit_scaling_law(N_bare, tokens, L, sharpness=None)
bare_again = bootstrap(fit_scaling_law, N_bare, tokens, L, times=60, sharpness=None)
rise = interval([b.exponents[0] - a.exponents[0]        # on the same resampled sweeps
                 for a, b in zip(resampled, bare_again)])
print(f"all parameters: N* ~ C^{text_law.exponents[0]:.2f}")
print(f"without embeddings: N* ~ C^{bare_law.exponents[0]:.2f}, higher by "
      f"{rise[0]:.2f} to {rise[1]:.2f} (95 %)")

# %% [markdown]
# The same runs, the same losses, the same fit: leaving the embeddings out of the count raises the exponent, in Kaplan's direction and a part of the way. The reason is plain once seen. The embeddings are most of a tiny model and a small part of a larger one, so that without them sizes seem to grow faster than they do. Schedules that were not brought down for each run, a warm-up too long for small models and rates not tuned for each size are further parts of the explanation; ours is an example, not a proof, that counting alone can move the answer to "how large should it be?".
#
# ### A flat valley
#
# **Move the budget** and see how flat the bottom of a valley is: what does a model of half or twice the best size lose?

# %% tags=["diagram"]
def spend(log_budget=12, shown="this lecture's"):
    law_ = {"this lecture's": text_law, "Hoffmann's": HOFFMANN_2022}[shown]
    c = 10.0**log_budget
    n_best, d_best = law_.optimum(c)
    n_ = n_best * np.logspace(-1.5, 1.5, 80)
    fig, ax = plt.subplots(figsize=(3.5, 2.7))
    ax.semilogx(n_, law_.predict(n_, c / 6 / n_), color="#0072B2")
    for times, place in ((0.5, (-14, 7)), (1, (0, -13)), (2, (14, 7))):
        loss = law_.predict(n_best * times, d_best / times)
        ax.plot(n_best * times, loss, "o", color="#D55E00" if times == 1 else "0.5")
        ax.annotate(f"{loss:.3f}", (n_best * times, loss), xytext=place, textcoords="offset points", ha="center", fontsize=8)
    ax.margins(y=0.12)
    ax.set(xlabel="parameters", ylabel="nats", title=f"{shown}, C = 1e{log_budget}: N = {n_best:.1e}")
    ax.title.set_fontsize(9)
    return fig


explore(spend, log_budget=(9, 26, 1), shown=["this lecture's", "Hoffmann's"], panels=[dict(log_budget=12, shown="this lecture's"), dict(log_budget=24, shown="Hoffmann's")],
        alt="Loss along one budget against the number of parameters, with the best size, half of it and twice it marked. The valleys are flat: a factor of two in size costs 1.5 per cent of our loss and a quarter of a per cent of Hoffmann's.")

# %% [markdown]
# Flat: a factor of two off in either direction costs one and a half per cent of our loss, and a quarter of a per cent of Hoffmann's at $10^{24}$ operations. Which is good for the builder, and bad for whoever wants to measure the exponent $a$, since the lowest point of a flat valley is hard to find. It is also a reason to make models that will be *used* much than the best size and let them read longer: Llama 3's 8B read 15 trillion tokens, almost two thousand a parameter. The training is a little dearer, every answer is cheaper for ever (Sardana et al., 2024; lab 08 computes it).

# %% [markdown]
# ## IV. What counts as a point
#
# A law is only as good as its points. Three habits ruin them, and each looks like saving compute: taking the loss in the *middle* of a long run for a short run's; reading the same text again and counting it as more text; and using one learning rate for all sizes. Try the first two in the language of facts.
#
# **Predict:** a run over 32,768 records is looked at half-way, after 16,384. Is its loss there higher or lower than that of a run planned for 16,384, which has seen as much?

# %%
def half_way(seed):
    """The excess in the middle of a long run, and of a run that ends there."""
    rows = rows_for(32_768)
    trainer = learner(16, facts(32_768, rows, seed), seed)
    for _ in range(trainer.config.steps // 2):
        trainer.train_step()
    middle = excess(trainer.model)
    short = learner(16, facts(16_384, rows_for(16_384), seed), seed)
    short.run()
    return middle, excess(short.model)


def again_and_again(seed):
    """4,096 records once, the same four times over, and as many fresh ones."""
    outcomes = []
    rows = rows_for(16_384)
    for batches_ in (facts(4_096, 4, seed), facts(4_096, rows, seed) * 4,
                     facts(16_384, rows, seed)):
        trainer = learner(16, batches_, seed)
        trainer.run()
        outcomes.append(excess(trainer.model))
    return outcomes


middles = np.array([half_way(seed) for seed in (1, 2)])
repeats = np.array([again_and_again(seed) for seed in (1, 2)])

# %% tags=["figure"]
table([{"16,384 records": "half-way through a longer run", "excess, two seeds": "  ".join(f"{x:.3f}" for x in middles[:, 0])},
       {"16,384 records": "the end of its own run", "excess, two seeds": "  ".join(f"{x:.3f}" for x in middles[:, 1])}])
table([{"": name, "excess, two seeds": "  ".join(f"{x:.3f}" for x in column)} for name, column in
       zip(("4,096 records", "the same 4,096, four times", "16,384 fresh ones"), repeats.T)])

# %% [markdown]
# The half-way point lies above the end of its own run: its learning rate is still high, and the decay has yet to bring the loss down. Whoever fits such points finds a law for undecayed models, with too much loss at small $D$, and promises too much for the large run. (Kaplan et al. trained all runs with a schedule of one length, and Hoffmann et al. name that as one reason for the difference to their own law.)
#
# Four times the same records are much better than once, and not as good as four times as many fresh ones. As a point at $D = 16{,}384$ the repeated run would lie too high. How much a repetition is worth has a law of its own: up to four epochs nearly as much as fresh text, for large models on web text (Muennighoff et al., 2023). Our ladder of base models lives on that; our sweep does not.

# %% [markdown]
# ## V. The bet
#
# Now the question of the first line. The next run is to cost $3\cdot10^{13}$ operations, **ten times the largest run of the sweep**. What will its loss be?
#
# ### Test the method where the answer is known
#
# Pretend that the sweep had ended earlier, fit, and predict the best run at ten times the compute. Such **back-tests** need no new run, and they settle two questions of taste: the form of the law, and from which budget on runs are fitted. The smallest models have hardly learnt which letters follow which, and the law of their beginnings need not be the law of what comes after.

# %%
bet = recorded("scaling_prediction")["results"]
table([{"law": each["form"],
        "decades": f"{each['decades']:g}" if each["decades"] < 9 else "all",
        **{f"error at {test['target']:.0e}".replace("e+", "e"): f"{test['error']:+.1%}"
           for test in each["tests"]},
        **{f"line at {test['target']:.0e}".replace("e+", "e"): f"{test['line']:+.1%}"
           for test in each["tests"]}} for each in bet["back_tests"]],
      highlight=[i for i, each in enumerate(bet["back_tests"])
                 if (each["form"], each["decades"]) == (bet["form"], bet["decades"])])

# %% [markdown]
# The sum is off by 8 to 11 per cent at ten times the compute, worse than the straight line. The sharp law is off by two or three, and least when it is fitted to the last decade alone. It is chosen by these rows, not by its name. All errors have one sign: every run came out *better* than a law fitted to smaller ones had said. A bias that shows in two back-tests may well be there in the bet.
#
# ### Write it down
#
# The highlighted law, fitted to the last of the sweep, names a best size, and we take the nearest shape. What it says was computed by `experiments/scaling_prediction.py`, written into a file and **committed to this course's history before the run was started**. Beside it stand what one would say without a law: the last point (the best loss so far, a bound), and straight lines on logarithmic paper, through all budgets and through the last decade.

# %%
low, high = bet["interval"]
print(f"{bet['width']} wide, {bet['layers']} blocks: {bet['parameters']:,} parameters, "
      f"{bet['tokens']:,} bytes, {bet['compute']:.0e} operations")
print(f"best size by the law: {bet['optimum']:,.0f}")
print(f"prediction           {bet['loss']:.4f} nats a byte (95 % of resampled sweeps "
      f"{low:.4f} to {high:.4f})")
for name, value in bet["naive"].items():
    print(f"{name.replace('_', ' '):20} {value:.4f}")

# %%
poll("Before you go on: what will the run say?",
     ["within 1 % of the law", "more than 1 % lower than the law", "more than 1 % higher than the law", "nearer to the straight line than to the law"],
     "Write down your reason with your letter. The next cell opens the envelope.", opinion=True)

# %%
outcome = recorded("scaling_held_out")["results"]["report"]
floor = bet["law"]["E"]
print(f"the run              {outcome:.4f} nats a byte")
by_sum = float(sum_law.predict(bet["parameters"], bet["tokens"]))
for name, value in {"the law": bet["loss"], **bet["naive"], "sum law": by_sum}.items():
    print(f"{name.replace('_', ' '):20} {value:.4f}: off by "
          f"{value / outcome - 1:+.2%} of the loss, "
          f"{(value - outcome) / (outcome - floor):+.1%} of the excess")

# %% tags=["diagram"]
fig, ax = plt.subplots(figsize=(7.2, 3.2))
ax.loglog(budgets, best, "k.", label="best run of each budget")
fine = np.logspace(9.4, 13.6, 60)
made = ScalingLaw(**bet["law"])
ax.loglog(fine[fine > 1e11], [made.predict(*made.optimum(c)) for c in fine[fine > 1e11]], color="#0072B2", label="the law, at its best size")
line_ = np.polyfit(np.log(budgets), np.log(best), 1)
ax.loglog(fine, np.exp(np.polyval(line_, np.log(fine))), color="#999999", linestyle="--", label="straight line through all")
ax.errorbar([bet["compute"]], [bet["loss"]], [[bet["loss"] - low], [high - bet["loss"]]], fmt="s", color="#0072B2", capsize=3, label="prediction, 95 %")
ax.plot([bet["compute"]], [outcome], "*", color="#D55E00", markersize=12, label="the run")
ax.set(xlabel="operations", ylabel="nats a byte, report split")
ax.set_yticks([1.4, 1.6, 1.8, 2.0, 2.3, 2.6], ["1.4", "1.6", "1.8", "2.0", "2.3", "2.6"])
ax.minorticks_off()
ax.legend(fontsize=8.5)
show(fig, alt=f"The best loss of each budget, the law extended ten times beyond the last, a straight line on logarithmic paper, and the run itself at {outcome:.3f}: the law said {bet['loss']:.3f}, the straight line {bet['naive']['straight_line']:.3f}.")

# %% [markdown]
# Off by nine tenths of a per cent, inside the interval, and within one and a half per cent of the excess over the law's own floor. (Its floor, 0.59 nats, is hardly known: resampled sweeps put it anywhere between 0 and 1.3. On the facts of part I the excess meant more.) The last point, as a forecast, is off by 15 per cent.
#
# Now the opponent's reading. The straight line through *all* budgets is off by as much, on the other side: it won by being too steep at one end and too shallow at the other, as the same line through the last decade, off by three per cent, shows; and in both back-tests it had lost to the law. One run does not tell two forecasts apart that differ by two per cent. And our warning about the bias was wrong: both back-tests erred upwards, the bet erred downwards. What the method deserves credit for is less exciting: it threw out a law, the sum, that would have been off by seven, before anything was paid. (And the table of counts? On 10.3 million bytes its best order reaches 1.366 nats. The run is almost there, with far fewer numbers to remember.) <!-- keeps: 08-predict-the-loss -->
#
# ## VI. What else a law decides (*optional*)
#
# 11-785 lists uses: choose the optimizer, the depth, the architecture by their *laws*, from small models. A single comparison at one size may turn at another; a comparison of slopes says whether it will.
#
# *Recorded*, each on the same 500,000 bytes: our recipe with Muon, with AdamW, with SGD, and an LSTM of one layer with AdamW; rates tuned by three or four tries each at some 46 thousand parameters and carried to the other sizes by one rule. **Predict** the order of the four.

# %%
same_sizes = [r for r in sweep["slice"] if 10_000 < r["parameters"] < 3e5]
compared = {"Transformer, Muon": same_sizes,
            "Transformer, AdamW": sweep["compared"]["adamw"],
            "Transformer, SGD": sweep["compared"]["sgd"],
            "LSTM, AdamW": sweep["compared"]["lstm"]}
for name, each in compared.items():
    n_ = np.array([r["parameters"] for r in each], float)
    l_ = np.array([r["report"] for r in each])
    slope = -np.polyfit(np.log(n_), np.log(l_), 1)[0]
    print(f"{name:18}  " + "  ".join(f"{x:.3f}" for x in l_) + f"   slope {slope:.3f}")
for name, tries in sweep["rates"].items():
    print(f"{name:5} tried: "
          + ", ".join(f"{r['lr']:g}: {r['choose']:.3f}" for r in tries))
deep = sweep["shapes"]
shape_losses = [r["report"] for r in deep]
print("shapes of about 46 thousand: " + ", ".join(
    f"{r['layers']} x {r['width']}: {r['report']:.3f}" for r in deep))

# %% tags=["diagram"]
fig, (a_, b_) = panels(2, titles=["four recipes by size", "one size, five shapes"], height=3.0)
for (name, each), color in zip(compared.items(), ("#0072B2", "#009E73", "#999999", "#D55E00")):
    a_.semilogx([r["parameters"] for r in each], [r["report"] for r in each], ".-", color=color, label=name)
a_.set(xlabel="parameters", ylabel="nats a byte")
a_.legend(fontsize=8)
b_.semilogx([r["layers"] for r in deep], [r["report"] for r in deep], ".-", color="#0072B2")
b_.set(xlabel="blocks", ylim=a_.get_ylim())
b_.set_xticks([r["layers"] for r in deep], [str(r["layers"]) for r in deep])
b_.minorticks_off()
show(fig, alt="Left: loss against parameters for a Transformer with Muon, AdamW and SGD and for an LSTM. Right: loss of five shapes with about 46 thousand parameters, " + ", ".join(f"{r['layers']} blocks {r['report']:.2f}" for r in deep) + ".")

# %% [markdown]
# Not the order of the textbooks. At this amount of text the LSTM is level with the Transformer and Muon at every size, and well ahead of the same Transformer with AdamW; it might be better still, as the best of its three rates was the largest. These two lines change places, by no more than seeds differ; no other two cross, so nothing here says that size alone would turn the verdict between the others. More text and a longer context might: in Kaplan's comparison (their figure 7) LSTMs keep up on the first hundred tokens of a context and fall behind after that, and our contexts are 128 bytes long. SGD, tuned over a factor of thirty, hardly gets beyond the frequencies of single bytes (3.2 nats) in so few updates.
#
# So laws do decide, if they are measured under the conditions that one will have. And the shape: from 2 to 6 blocks at the same number of parameters the losses differ by less than two seeds do, and even 1 and 12 blocks are within two and a half per cent. *Weak dependence on shape*, as 11-785 quotes Kaplan, holds on our range.
#
# ## VII. The same arithmetic at the other end
#
# Three laws have been published for large models: Kaplan's, Hoffmann's, and a second fit of Hoffmann's own points by Besiroglu et al. (2024), who found an error in the first. Their losses are nats per *token* of their own texts and do not compare with ours. Their advice can be read off all the same.

# %%
MODELS = {"GPT-3": (175e9, 300e9), "Gopher": (280e9, 300e9),
          "Chinchilla": (70e9, 1.4e12), "Llama-2-7B": (6.7e9, 2e12),
          "Llama-2-70B": (69e9, 2e12)}
rows = []
for name, (n_, d_) in MODELS.items():
    c_ = 6 * n_ * d_
    hoffmann, besiroglu = (each.optimum(c_) for each in (HOFFMANN_2022, BESIROGLU_2024))
    rows.append({"model": name, "operations": f"{c_:.1e}",
                 "tokens a parameter": d_ / n_,
                 "best N, Hoffmann": f"{hoffmann[0] / 1e9:.0f}B",
                 "best N, Besiroglu": f"{besiroglu[0] / 1e9:.0f}B",
                 "tokens a parameter there": f"{besiroglu[1] / besiroglu[0]:.0f}",
                 "loss as built": float(HOFFMANN_2022.predict(n_, d_)),
                 "loss at the best": float(HOFFMANN_2022.predict(*hoffmann))})
table(rows, fmt=".2f")
kaplan = {name: float(KAPLAN_2020["parameters"].predict(MODELS[name][0]))
          for name in ("GPT-3", "Chinchilla")}
print("by size alone, Kaplan's law prefers GPT-3 to Chinchilla: "
      f"{kaplan['GPT-3']:.2f} against {kaplan['Chinchilla']:.2f}")

# %% [markdown]
# GPT-3 was too large for its budget by a factor of three to seven, or read too little, as both laws of Hoffmann's points agree. The two fits do not agree on what is best: the first one's constants give a ratio of tokens to parameters that changes with the budget and was far from the twenty that the paper itself recommends, which is how Besiroglu et al. noticed; the second gives 18 to 20 at all these budgets. "Twenty tokens a parameter" is their rule for one text and one recipe. Part III printed ours, in bytes.
#
# Llama-2-7B stands out the other way: 300 tokens a parameter. By the law its builders wasted compute in training, by less than a hundredth of the loss; they had the users' side of the bill in mind.
#
# ### How much text is there? (*optional*)
#
# The published laws ask for data in proportion. Villalobos et al. (2024) estimate the stock of public text written by people at about 300 trillion tokens (100 to 1,000 trillion), when text of less quality and some repetition are counted in. When is it used up?

# %%
STOCK, LATEST = 300e12, (2024.3, 15e12)                 # tokens; Llama 3, April 2024


def used_up(growth_of_data, stock=STOCK):
    """The year in which one training set holds the stock, at so many times a year."""
    return LATEST[0] + math.log(stock / LATEST[1]) / math.log(growth_of_data)


for growth in (1.5, 2, 2.5):
    print(f"data x{growth} a year: " + ", ".join(
        f"{stock / 1e12:.0f}T in {used_up(growth, stock):.0f}" for stock in
        (100e12, 300e12, 1000e12)))
n_stock = STOCK / 20
print(f"at 20 tokens a parameter 300T tokens feed {n_stock / 1e12:.0f}T parameters, "
      f"{6 * n_stock * STOCK:.0e} operations: "
      f"{6 * n_stock * STOCK / 3.14e23:,.0f} times GPT-3")

# %% [markdown]
# These are years of the *stock*, under a law for dense models trained once on fresh text. Repetition, other languages and other kinds of data push them out. Small as it is, one line of the printout is the argument of HLT's third side: the largest run that the stock could feed in proportion is some 86,000 times GPT-3, and not infinity.
#
# ## VIII. Is scale all we need?
#
# HLT's goal for the question: a machine that converses with people about many kinds of problem and works as well as the best expert in each. Five sides of the argument follow, each with the number that carries it. Vote after each.
#
# ### Side 1: there is not enough compute
#
# "Models have been increasing 10x every year"; the transistors on a chip double every two years (Moore's law); and even if there is compute, it costs. Put in growth rates and see when a single run takes one per cent of what the world produces in a year, some 100 trillion dollars.

# %% tags=["diagram"]
def when(growth=4.0, doubling=2.0):
    years = np.linspace(2023, 2045, 200)
    cost = 5e7 * growth ** (years - 2023) / 2 ** ((years - 2023) / doubling)
    fig, ax = plt.subplots(figsize=(3.5, 2.6))
    ax.semilogy(years, cost, color="#0072B2")
    ax.axhline(1e12, color="#D55E00", linestyle="--")
    reached = years[cost >= 1e12]
    said = f"in {reached[0]:.0f}" if len(reached) else "not before 2045"
    ax.set(xlabel="year", ylabel="dollars a run", ylim=(1e7, 1e15), title=f"x{growth:g} a year, chips double in {doubling:g}: {said}")
    ax.title.set_fontsize(9)
    return fig


explore(when, growth=[2.0, 4.0, 10.0], doubling=[1.0, 2.0, 2.5], panels=[dict(growth=10.0, doubling=2.0), dict(growth=4.0, doubling=2.5)],
        alt="Dollars of the largest run by year from an assumed 50 million in 2023. At ten times a year and Moore's doubling in two years one per cent of the world's product is reached within five or six years; at four times a year with chips that double in two and a half, about ten years.")

# %% [markdown]
# At the slide's rate the wall is close at each doubling time on the slider. At the measured rate, four times (Sevilla et al., 2022), with what a dollar buys doubling in two and a half years (Hobbhahn and Besiroglu, 2022), it is further off. (The 50 million dollars for 2023 are an assumption of the right size. Move them by ten and the year moves by two or so.)

# %%
ballot.vote("after side 1: not enough compute")

# %% [markdown]
# ### Side 2: there is
#
# Accelerators improved faster than Moore's law ("Huang's law"), partly by computing in fewer bits (lecture 07) and by doing many things at once, and one large model replaces many small ones that nobody trains any more. Algorithms help too: the compute for a given loss has halved about every eight months (Ho et al., 2024), faster than the chips. Our own recipe is a small example. How much compute is it worth?

# %%
saved = []
for r in compared["Transformer, AdamW"]:
    rivals = [x["budget"] for x in runs if x["report"] <= r["report"]]
    saved.append(6 * r["parameters"] * r["tokens"] / min(rivals))
print("for the loss of an AdamW run Muon needs, at its best size, 1/"
      + ", 1/".join(f"{s:.0f}" for s in saved) + " of the operations")

# %%
ballot.vote("after side 2: enough compute")

# %% [markdown]
# ### Side 3: there is not enough data
#
# "We have but one internet", the "fossil fuel" of the field, as a talk on Business Analytics' slide has it. Hoffmann's law wants data in proportion to size, and part VII has the years. "Even if you pump a billions of params into a model, the gains will not compensate for more training tokens", says HLT, and that is exact in the law: with $D$ fixed, no $N$ brings the loss below

# %%
for name, law_ in (("Hoffmann", HOFFMANN_2022), ("Besiroglu", BESIROGLU_2024)):
    for d_ in (300e9, 15e12, 300e12):
        print(f"{name:9} with {d_ / 1e12:5.1f}T tokens: at least "
              f"{law_.E + law_.B / d_**law_.beta:.3f}, of which {law_.E:.2f} for ever")

# %%
ballot.vote("after side 3: not enough data")

# %% [markdown]
# ### Side 4: there is, if it is used better
#
# Text of other kinds: conversations behind a wall (OpenAI's agreement with Reddit of May 2024, on Business Analytics' slide), speech turned into text ("is that why OpenAI built Whisper?"), pictures and video (lecture 19). Text written by models, where its truth can be checked (lecture 07 for the danger). And the *right* text: Sorscher et al. (2022) show that choosing examples well can beat the power law, and that which ones to keep depends on how much there is.
#
# Try it on the facts. A pool of 65,536 records; a budget of 16,384. Drawn at random, most of them repeat what is known after a minute. Or keep of each skill only its first thousand or so records (as many as the budget lets in) and thereby all the rare ones. Same budget, same training, same test.

# %%
def first_of_each(skills_, keep):
    """Numbers of `keep` records: of each skill the first few, as many as fit."""
    earlier = np.zeros(len(skills_), int)  # of the same skill, before
    for skill in np.unique(skills_):
        earlier[skills_ == skill] = np.arange((skills_ == skill).sum())
    return np.sort(np.argsort(earlier, kind="stable")[:keep])


def on_records(symbols, seed):
    trainer = learner(16, batched(symbols, rows_for(len(symbols))), seed)
    trainer.run()
    return excess(trainer.model)


pruned = {"at random": [], "first of each skill": []}
for seed in (1, 2):
    symbols, skills_ = source.sample(65_536, rng=seed)
    rng = np.random.default_rng(seed)
    kept = rng.permutation(first_of_each(skills_, 16_384))
    pruned["at random"].append(on_records(symbols[:16_384], seed))
    pruned["first of each skill"].append(on_records(symbols[kept], seed))
n_16 = count_parameters(learner(16, facts(8_192, 4, 0)).model)
chosen_loss = np.mean(pruned["first of each skill"]) + law.E
worth = (law.B / (chosen_loss - law.E - law.A / n_16**law.alpha)) ** (1 / law.beta)
print(f"16,384 records chosen do as well as {worth:,.0f} at random, by part I's law")

# %% tags=["figure"]
bars(pruned, x="excess in nats after 16,384 records, 16 wide, two seeds", height=1.8,
     alt="Excess after 16,384 records, two seeds: " + "; ".join(f"{k} {np.mean(v):.3f}" for k, v in pruned.items()) + ".")

# %% [markdown]
# On each seed the chosen quarter beats the random one, without a word more of text or a second more of training (choosing costs something too). The right subset is not the *good* text here (all records are equally good); it is the text that the model would not have had enough of. In this language we know which that is. On the web somebody has to guess, with rules and small models, and part I of lecture 07 showed whom a guess can hit.

# %%
ballot.vote("after side 4: enough data")

# %% [markdown]
# ### Side 5: the tail
#
# Whatever the scale, there is a rare thing just beyond it: the horse-drawn carriage that a car takes for a truck, the fact that one page mentions. In our language the tail is there by construction, and we can ask who knows what: of the models that saw more and more records, which skills do they answer right?

# %%
@torch.no_grad()
def known(model, ranks):
    """Share of the skills of these ranks whose most probable answer is right."""
    first = torch.from_numpy(source.names[ranks])
    logits = model(first)[:, 1, 128:]
    return (logits.argmax(-1).numpy() == source.answers[ranks]).mean()


groups = [(0, 10), (10, 30), (30, 100), (100, 300), (300, 1000), (1000, 3000),
          (3000, 10000)]
tail = {}
for records in (4_096, 16_384, 32_768):
    trainer = learner(24, facts(records, rows_for(records), seed=5))
    trainer.run()
    tail[f"{records:,} records"] = [known(trainer.model.eval(), np.arange(*g))
                                    for g in groups]

# %% tags=["figure"]
curves(tail, at=[(a * b) ** 0.5 if a else 3 for a, b in groups], x="rank of the skill, 0 the most common (log)", y="share answered right", log="x", reference={"guessing": 1 / 16}, height=2.8,
       alt="Share of skills answered right against their rank for three amounts of records; all know the first ranks and guess at the last, and more records move the edge to the right. " + " ".join(f"{k}: " + ", ".join(f"{x:.2f}" for x in v) + "." for k, v in tail.items()))

# %% [markdown]
# Everyone knows the ten commonest skills, nobody the rare ones, and eight times the records move the edge between the two to the right by a factor of a few. It never goes away: behind each edge there is more tail than before it, in kinds, if not in frequency.
#
# HLT concludes that scale yields gains in the tail and is unlikely to solve it. For part I's table, in this language, that can be proved: $D$ records teach about $D^{1/1.8}$ skills. Whether the *understanding* of common things lets a large model work out rare ones, instead of having to meet them, is the question for text, and lecture 09 takes it up. <!-- promise: 09-long-tail -->

# %%
ballot.vote("after side 5: the tail")

# %% [markdown]
# ### After the arguments
#
# Business Analytics ends on "pre-training as we know it will end", "there is no wall", and a third way, to spend compute on *thinking* at the time of the question (o1): another axis with a law of its own, for lecture 16. <!-- promise: 16-compute-at-question-time --> Now vote again, on the opening question; and on HLT's last: which future, one very large model, a few, or many?

# %%
ballot.vote("after all")

# %%
poll("Which future will we have?",
     ["one very large model", "a few very large models", "many very large models"],
     "What would each need? One: costs that only one can bear, and no reason to differ. A few: the present prices. Many: the recipe known, chips cheaper, and data that differ.", opinion=True)

# %%
ballot.shift()

# %% [markdown]
# A shift says what *arguments* did to a class, not who is right. Look at which side moved it most, and whether that side was the one with the best numbers.
#
# ## Scale warning
#
# > **What this lecture's models can and cannot tell you.** Three thousand to a million parameters on bytes, three decades of compute; published sweeps reach six decades and models a thousand times larger. Our exponents, our $E$ (which is the floor of *this* text for *such* models, not the entropy of English) and our tokens a parameter do not carry over. What carries over is the method with its traps: that points must be ends of schedules on fresh text, that a floor makes a straight line lie, that a flat valley makes $a$ uncertain, that a prediction is tested by predicting what is known. A law says nothing about *what* is learnt at a given loss, which is lecture 09's subject, and it holds until something changes: a new kind of data, a new recipe, a bottleneck.
#
# ## Claims
#
# What the source lectures say about this topic, against what the papers say and what you have just computed.

# %%
claims_table([
    Claim("loss has a power-law relationship with size, data and compute when not bottlenecked",
          "Kaplan et al. (2020); Hoffmann et al. (2022) add a floor",
          f"text law within {np.abs(text_law.predict(N, tokens) / L - 1).max():.1%} of 37 runs over three decades, rms {np.sqrt(np.mean((text_law.predict(N, tokens) / L - 1) ** 2)):.1%}",
          "holds; with a floor, and best away from the smallest", source=["day24", "analytics", "11785"], split="report"),
    Claim("larger models require fewer samples to reach the same performance",
          "Kaplan et al. (2020), figure 2",
          f"to {target} nats: " + ", ".join(f"{n / 1000:.0f}k needs {d / 1000:.0f}k bytes" for n, d in list(need.items())[:: max(1, len(need) // 3)]),
          "holds; on our range of sizes", source=["day24", "11785"], split="report"),
    Claim("train small models, extrapolate, predict the large one with high accuracy",
          "OpenAI (2023): GPT-4's loss from runs of at most 1/10,000 of its compute",
          f"ten times the compute: {bet['loss']:.3f} predicted, {outcome:.3f} measured, {bet['loss'] / outcome - 1:+.1%}",
          "holds; here, for a factor of ten", source=["day24", "analytics"], split="report"),
    Claim("loss against data is linear on a log-log plot",
          "Kaplan et al. (2020), with E = 0",
          f"facts: 32 times the records divide the excess by {helped[0]:.1f} for the smallest model, {helped[-1]:.1f} for the largest",
          "holds; for the excess of a model with room", source="11785"),
    Claim("performance depends weakly on the model's shape",
          "Kaplan et al. (2020): a few per cent over a factor of 40 in aspect",
          f"2 to 6 blocks at 46k: {min(shape_losses[1:4]):.3f} to {max(shape_losses[1:4]):.3f}; 1 block {shape_losses[0]:.3f}, 12 blocks {shape_losses[-1]:.3f}",
          "holds; within 2.5 % from 1 to 12 blocks", source="11785", split="report"),
    Claim("optimizer, depth, LSTM or Transformer can be chosen by laws from small models",
          "Hestness et al. (2017), Kaplan et al. (2020), figure 7",
          "500,000 bytes, five sizes: Muon and LSTM level, AdamW 9 to 12 % behind, SGD stuck; beyond what seeds differ by, no two lines cross",
          "holds; for the conditions measured", source="11785", split="report"),
    Claim("compute-optimal: model size and data must be scaled equally",
          "Hoffmann et al. (2022): exponents 0.46 to 0.50; Kaplan et al. (2020): 0.73",
          f"ours: law {slopes['law']:.2f} ({a_low:.2f} to {a_high:.2f}), valley {slopes['valley']:.2f}",
          "holds; as far as three decades can tell", source="hlt", split="report",
          rule=a_low < 0.5 < a_high),
    Claim("billions more parameters will not compensate for missing tokens",
          "Hoffmann et al. (2022): B / D^0.28 is left",
          f"300B tokens leave {HOFFMANN_2022.B / 300e9**HOFFMANN_2022.beta:.2f} nats for any size",
          "holds; by the law, on fresh text", source="hlt"),
    Claim("data is not growing: we have but one internet",
          "Villalobos et al. (2024): 300T tokens, used up between 2026 and 2032",
          f"at 2 to 2.5 times a year: {used_up(2.5):.0f} to {used_up(2):.0f}",
          "holds; for public text at such growth", source="analytics"),
    Claim("carefully curating a small subset goes a long way",
          "Sorscher et al. (2022)",
          f"16,384 records chosen: excess {np.mean(pruned['first of each skill']):.3f}; at random {np.mean(pruned['at random']):.3f}; worth {worth:,.0f}",
          "holds; where the tail is what is missing", source="hlt",
          rule=max(pruned["first of each skill"]) < min(pruned["at random"])),
    Claim("tail phenomena will never go away",
          "Kandpal et al. (2023), Razeghi et al. (2022)",
          "facts: more records move the edge of what is known, and there is always an edge",
          "holds; by construction here", source="hlt"),
])

# %% [markdown]
# ## Summary
#
# 1. The *excess* is a power law; the loss is one only where its floor does not show. A floor that is there and not fitted, or fitted and not there, spoils the prediction.
# 2. A long tail learnt in order of frequency gives power laws without any network. On a language with a known floor the fit finds the floor.
# 3. Points are ends of schedules, on fresh text, at tuned rates. The other habits we tried lie off the law.
# 4. For a budget there is a best size, in a flat valley. How it grows depends on what is counted as a parameter, which was part of the quarrel between 0.73 and 0.5.
# 5. Test a prediction on what you know, write it down with an interval and with its naive rivals, then look.
# 6. "Is scale all we need?" falls apart into questions with numbers, and one without: whether understanding what is common gives what is rare.
#
# **Still unexplained.** A loss is an average. What does a model *know* at a given loss, and is it recited or understood? (Lecture 09.) <!-- promise: 09-recited-or-understood -->
#
# ## Exercises
#
# *Lab 08* builds on this page: FLOPs, fits with and without a floor, the best size with and without users, a prediction of your own, and sweeps to diagnose.
#
# 1. By hand: a law has $\alpha = \beta = 0.5$, $A = B = 100$, $E = 1$. How are $6\cdot10^{12}$ operations best spent, and what is the loss? What if the model must be half as large?
# 2. In part I set the exponent of the frequencies to 0.4. What happens to the two slopes, and to the fitted floor?
# 3. Fit the text law to the budgets below $10^{11}$ only. Which of its predictions are off, and in which direction? Guess why.
# 4. Add a run of two epochs to the sweep as if its second epoch were fresh. How far does it move $E$?
# 5. Put an opponent's numbers into the calculators of part VIII: from which assumptions does a wall in ten years follow, and from which none?
#
# ## Further reading
#
# Hestness et al. (2017), *Deep learning scaling is predictable, empirically*. Kaplan et al. (2020), *Scaling laws for neural language models*; Hoffmann et al. (2022), *Training compute-optimal large language models*; Besiroglu et al. (2024), *Chinchilla scaling: a replication attempt*; Pearce and Song (2024), *Reconciling Kaplan and Chinchilla scaling laws*; Porian et al. (2024), *Resolving discrepancies in compute-optimal scaling of language models*; Sardana et al. (2024), *Beyond Chinchilla-optimal*; Muennighoff et al. (2023), *Scaling data-constrained language models*; Hägele et al. (2024), *Scaling laws and compute-optimal training beyond fixed training durations*. Hutter (2021), *Learning curve theory*; Michaud et al. (2023), *The quantization model of neural scaling*. OpenAI (2023), *GPT-4 technical report*. Sorscher et al. (2022), *Beyond neural scaling laws: beating power law scaling via data pruning*; Villalobos et al. (2024), *Will we run out of data?*; Ho et al. (2024), *Algorithmic progress in language models*; Sevilla et al. (2022), *Compute trends across three eras of machine learning*; Hobbhahn and Besiroglu (2022), *Trends in GPU price-performance*. Razeghi et al. (2022), *Impact of pretraining term frequencies on few-shot numerical reasoning*; Kandpal et al. (2023), *Large language models struggle to learn long-tail knowledge*.
