# %% [markdown]
# # 03 · Attention to GPT
#
# **The question of this lecture.** A program that only ever guesses the next character, given the characters before it, ends up writing something like Shakespeare. *What does it do with the characters that came before?*
#
# The answer is one idea, attention, and about a hundred lines of code around it. We write all of them here. Each time something simpler goes first, so that you see what the next piece is for, and each time we take a piece out of a *trained* model to see what it was worth. Some of the answers are not the ones usually given.
#
# **Afterwards you can**
# - compute an attention output with a pencil, and write causal multi-head self-attention from memory;
# - recognise a missing mask, a missing residual path and missing positions by their symptoms, and say what $\sqrt{d_h}$ does and does not do;
# - assemble a GPT, train it on a laptop, and judge it against the best table of counts, which it does not beat at once;
# - find an induction head, and show by switching it off that it does the work;
# - count the parameters of GPT-2 and say where the famous "117M" may come from.
#
# **Before this:** lecture 01 (n-grams, bits, Kneser-Ney) and lecture 02 (tokens) help; you can start here if you know matrix products, `softmax` and what a gradient is.
#
# **Time:** core 146 minutes, optional 46 minutes; two classes (parts I to IV, then V to VIII). All cells together: under a minute of computing on a laptop CPU.
#
# <!-- sources: hlt, day24, 11785 -->

# %%
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware import Claim, Diagram, attention_map, bars, claims_table, curves
from courseware import explore, heat_map, panels, poll, setup_style, show, steps, table
from llmlib.data import random_batch, recorded, split_text, tiny_shakespeare
from llmlib.text import CharTokenizer, NGramModel

setup_style(compact=True)
torch.manual_seed(0);

# %% [markdown]
# ## I. What there is to predict
#
# Our text is "tiny Shakespeare": nine plays, 1.1 million characters. As in lecture 01 it is cut in three: nine tenths to *train* on, a twentieth to *choose* by (which order? which mixture?), and a twentieth to *report* on. A number that has helped to choose something is too good to be reported.

# %%
# NBVAL_CHECK_OUTPUT
text = tiny_shakespeare()
tokenizer = CharTokenizer.from_text(text)
train_text, rest = split_text(text, 0.1)
choose_text, report_text = split_text(rest, 0.5)
train, choose, report = (torch.tensor(tokenizer.encode(part))
                         for part in (train_text, choose_text, report_text))
V = tokenizer.vocab_size                                # the number of different tokens
print(f"{len(text):,} characters, {V} different ones: {len(train):,} to train on, "
      f"{len(choose):,} to choose by, {len(report):,} to report on")
print(text[:96])

# %% [markdown]
# A language model gives a probability to the next token given all tokens before it. Its loss is the average surprise, which we measure in **bits per character** throughout:
#
# $$L \;=\; -\frac{1}{N}\sum_{t=1}^{N} \log_2 P(x_t \mid x_1, \dots, x_{t-1}).$$
#
# Torch computes the same sum with the natural logarithm; dividing by $\ln 2 = 0.69$ turns its *nats* into bits. Nobody has to label anything: the text is its own answer key. Count how generous that is. A window of eight characters:

# %%
window = train[:9]
for t in range(1, 9):
    given = tokenizer.decode(window[:t].tolist())
    target = tokenizer.decode([window[t].item()])
    print(f"given {given!r:12} predict {target!r}")

# %% [markdown]
# One window of $T$ characters holds $T$ training examples, one for every length of context from 1 to $T$. The **context length** of a model is the largest $T$ it was built for; what it is given can be anything up to that.
#
# ### What counting reaches
#
# Four models that only count. *Uniform* guesses among 64 characters. *Unigram* knows how frequent each is, *bigram* which follows which. *Kneser-Ney* is the best model of lecture 01: it looks up to five characters back and falls back on shorter contexts with great care. Lecture 01 said: keep its number in mind, a transformer has to earn its keep against it.
#
# (Two idioms. `train[:-1] * V + train[1:]` gives every pair of neighbours a number of its own, so that `bincount`, which counts how often each number occurs, counts pairs; `.view(V, V)` lays the result out as a table. And `table[rows, columns]` with two lists picks one entry for each pair.)

# %%
def count_bits(train, judged, V):
    """Bits per character of a unigram and a bigram model, one added to each count."""
    unigram = torch.bincount(train, minlength=V).double() + 1
    pairs = torch.bincount(train[:-1] * V + train[1:], minlength=V * V)
    bigram = pairs.view(V, V).double() + 1              # row: the character before
    unigram = (unigram / unigram.sum()).log2()
    bigram = (bigram / bigram.sum(dim=1, keepdim=True)).log2()
    before, after = judged[:-1], judged[1:]
    return -unigram[after].mean().item(), -bigram[before, after].mean().item()


tables = {n: NGramModel(n, "kneser_ney", vocab_size=V).fit(train.numpy())
          for n in (5, 6, 7)}
order = min(tables, key=lambda n: tables[n].bits_per_token(choose.numpy()))  # choose
kneser_ney = tables[order]
kneser_ney_bits = kneser_ney.bits_per_token(report.numpy())                  # report
unigram_bits, bigram_bits = count_bits(train, report, V)

# %% tags=["figure"]
table([{"model": name, "bits per character (report split)": bits} for name, bits in (("uniform", math.log2(V)), ("unigram", unigram_bits), ("bigram", bigram_bits), (f"Kneser-Ney, order {order}", kneser_ney_bits))], fmt=".2f")

# %% [markdown]
# One character of context is worth more than a bit, five of them nearly four. Beyond that tables run out of text: with 64 characters there are $64^{60}$ contexts of length sixty, and most of what comes up was never seen before. To use a long context we have to *compute* something from it rather than look it up. Keep **2.2 bits** in view; part V comes back to it. <!-- promise: 03-against-kneser-ney -->

# %% [markdown]
# ## II. From averaging to attention
#
# ### The simplest thing: take the average
#
# Give each character a vector of $d$ numbers. To summarise the past at position $t$, average the vectors at positions $1 \dots t$. As a loop it is slow; the same average is one product with a lower-triangular matrix whose rows sum to 1. A third way of writing it looks like a detour and is the one to remember: start from *scores* of zero, set those of the future to $-\infty$, and take a softmax of each row. (`tril` keeps the lower triangle; `masked_fill` writes one value wherever a mask is true; `@` is the matrix product.)

# %%
T, d = 8, 4
x = torch.randn(T, d)                               # (T, d): one vector per position

by_loop = torch.stack([x[: t + 1].mean(dim=0) for t in range(T)])
lower = torch.tril(torch.ones(T, T))
by_matrix = (lower / lower.sum(dim=1, keepdim=True)) @ x           # (T, T) @ (T, d)
scores = torch.zeros(T, T).masked_fill(lower == 0, float("-inf"))  # no future
by_softmax = scores.softmax(dim=-1) @ x

torch.testing.assert_close(by_loop, by_matrix)
torch.testing.assert_close(by_matrix, by_softmax)
other = 2 * torch.randn(T, T, generator=torch.Generator().manual_seed(3))
other = other.masked_fill(lower == 0, float("-inf"))  # numbers in place of zeros

# %% tags=["figure"]
fig, (left, right) = panels(2, titles=["scores all zero", "scores that differ"])
for ax, s in ((left, scores), (right, other)):
    image = heat_map(s.softmax(-1), x="position it takes from", y="position that looks", vmin=0, vmax=1, ax=ax)
fig.colorbar(image, ax=[left, right], label="weight")
show(fig, alt="Two lower-triangular 8 by 8 weight matrices. Left: every row is uniform over its past. Right: the weights differ within a row and are zero above the diagonal.")

# %% [markdown]
# Row $t$ says how much position $t$ takes from every position. Scores of zero give the running average on the left; the one on the right differs from it in nothing but those numbers. So the only question left is where the scores should come from.
#
# ### A task that averaging cannot do
#
# A text constantly asks us to look something up: a name, a subject, an opening bracket. In its purest form: eight pairs such as `k → 7`, `c → 1` go by, then a key is asked for, and the answer is that key's value. An average of the eight pairs keeps *which values occurred* but not which key each belonged to.
#
# **Before you run the next cells:** there are 10 possible values. Will averaging score 10 %, 30 % or 100 %?
#
# (Idioms: `torch.rand(n, 16).argsort(dim=1)` is `n` random orders of 16 things. `keys.gather(1, asked)` takes from each row the entry whose number `asked` holds. `q[:, :, None]` adds an axis at the end, here to make a column of each query.)

# %%
N_KEYS, N_VALUES, PAIRS = 16, 10, 8


def lookup_batch(n, generator):
    """n tasks: PAIRS different keys, their values, the key asked for, the answer."""
    keys = torch.rand(n, N_KEYS, generator=generator).argsort(dim=1)[:, :PAIRS]
    values = torch.randint(N_VALUES, (n, PAIRS), generator=generator)
    asked = torch.randint(PAIRS, (n, 1), generator=generator)
    return keys, values, keys.gather(1, asked)[:, 0], values.gather(1, asked)[:, 0]


class Reader(nn.Module):
    """Average the pairs, evenly or with weights that depend on the question."""

    def __init__(self, scale, d=32):                    # scale None: the plain average
        super().__init__()
        self.scale = scale
        self.key, self.value = nn.Embedding(N_KEYS, d), nn.Embedding(N_VALUES, d)
        self.q_proj, self.k_proj, self.v_proj = (
            nn.Linear(d, d, bias=False) for _ in range(3))
        self.out = nn.Linear(d, N_VALUES)

    def forward(self, keys, values, question):
        x = self.key(keys) + self.value(values)         # (n, PAIRS, d)
        scores = torch.zeros(*keys.shape, 1)
        if self.scale is not None:                      # how well each pair fits
            q = self.q_proj(self.key(question))[:, :, None]
            scores = self.k_proj(x) @ q / self.scale    # (n, PAIRS, 1)
        self.weights = scores.softmax(dim=1)
        return self.out((self.weights * self.v_proj(x)).sum(dim=1))

# %%
def train_reader(scale, seed, n_steps=60):
    """A reader and its accuracy on 2,000 new tasks."""
    torch.manual_seed(seed)
    generator, reader = torch.Generator().manual_seed(seed), Reader(scale)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=1e-2)
    for _ in range(n_steps):
        keys, values, question, answer = lookup_batch(128, generator)
        loss = F.cross_entropy(reader(keys, values, question), answer)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    keys, values, question, answer = lookup_batch(2000, generator)
    right = reader(keys, values, question).argmax(dim=-1) == answer
    return reader, 100 * right.double().mean().item()


READERS = {"plain average": None,
           "scores / √d": 32**0.5, "scores / d": 32.0, "scores": 1.0}
readers = {name: [train_reader(scale, seed) for seed in range(3)]
           for name, scale in READERS.items()}
lookup = {name: [accuracy for _, accuracy in runs] for name, runs in readers.items()}

# %% tags=["figure"]
table([{"reader": name, "answers right on three seeds, %": ", ".join(f"{a:.0f}" for a in lookup[name])} for name in ("plain average", "scores / √d")])

# %% [markdown]
# The average beats chance, because it can bet on the value that occurred most often, and there it is stuck. Letting the *scores* depend on what is asked solves the task on all three seeds. (The two other readers come up in a moment.) That is attention, and the three projections have names:
#
# - the **query** $q = x W_Q$ says what a position is looking for;
# - the **key** $k = x W_K$ says what a position offers to be found by;
# - the **value** $v = x W_V$ is what it hands over once found.

# %% tags=["diagram"]
pictured = lookup_batch(8, torch.Generator().manual_seed(11))
fig, axes = panels(2, share_y=True, titles=["plain average", "scores from the question"])
for ax, name in zip(axes, ("plain average", "scores / √d")):
    reader, (keys, values, question, answer) = readers[name][0][0], pictured
    with torch.no_grad():
        reader(keys, values, question)
    asked = [(row, (keys[row] == question[row]).nonzero().item()) for row in range(8)]
    image = heat_map(reader.weights[:, :, 0], x="pair shown", y="task" if ax is axes[0] else "", vmin=0, vmax=1, mark=asked, ax=ax)
fig.colorbar(image, ax=list(axes), label="weight")
show(fig, alt="Weights of eight tasks over eight pairs. The average is uniform. Attention puts nearly all weight on the outlined pair, the one that was asked for.")

# %% [markdown]
# Each row is one task, the outlined cell the pair that was asked for. Nobody told the model to look there; the gradient did.
#
# ### One output by hand
#
# Three tokens, two dimensions, and a pencil. The third token looks back with the query $q_3 = (1, 1)$. Each score is a dot product, large when query and key point the same way, zero when they are at right angles:
#
# $$q_3 \cdot k_1 = 1 \cdot 1 + 1 \cdot (-1) = 0, \qquad q_3 \cdot k_2 = 1, \qquad q_3 \cdot k_3 = 2.$$
#
# Divide by $\sqrt 2 = 1.41$ (why, comes next) and exponentiate: $e^{0} = 1$, $e^{0.71} = 2.03$, $e^{1.41} = 4.11$, nearly $1 : 2 : 4$. So the weights are close to $\tfrac17, \tfrac27, \tfrac47$, and the output is
#
# $$\tfrac17 (7, 0) + \tfrac27 (0, 7) + \tfrac47 (7, 7) \;=\; (1 + 4,\; 2 + 4) \;=\; (5, 6).$$

# %% tags=["diagram"]
sheet = Diagram(12, 4.6)
sheet.label(2.0, 4.3, "1. compare directions")
origin = (1.2, 2.1)
for tip, name, color in (((2.6, 0.7), "$k_1$", "blue"), ((2.6, 2.1), "$k_2$", "green"), ((2.6, 3.5), "$k_3$", "orange")):
    sheet.arrow(origin, tip, color=color)
    sheet.label(tip[0] + 0.3, tip[1], name, color=color)
sheet.arrow(origin, (2.25, 3.15), color="red")
sheet.label(1.45, 2.95, "$q_3$", color="red", bold=True)
sheet.label(5.2, 4.3, "2. scores, softmax")
s = sheet.matrix(4.5, 2.1, [[0.0], [1.0], [2.0]], rows=["$k_1$", "$k_2$", "$k_3$"], columns=["$q_3 \\cdot k$"], fmt=".0f", cell=0.9)
w = sheet.matrix(6.5, 2.1, [[0.14], [0.28], [0.58]], columns=["weight"], fmt=".2f", cell=0.9)
sheet.arrow(s, w)
sheet.label(9.6, 4.3, "3. weighted sum of the values")
v = sheet.matrix(8.7, 2.1, [[7, 0], [0, 7], [7, 7]], columns=["$v$", ""], fmt=".0f", cell=0.8, color="grey")
o = sheet.vector(11.1, 2.1, [5, 6], fmt=".0f", cell=0.7, color="orange")
sheet.label(7.4, 2.1, "×", size=16)
sheet.arrow(v, o)
sheet.label(11.1, 2.75, "output")
sheet.show(alt="Left: the query (1, 1) and three keys as arrows; it points exactly along the third key, at 45 degrees to the second and at right angles to the first. Middle: scores 0, 1, 2 become weights 0.14, 0.28, 0.58. Right: the weighted sum of the values (7, 0), (0, 7), (7, 7) is about (5, 6).")

# %%
# NBVAL_CHECK_OUTPUT
Q = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # what each token looks for
K = torch.tensor([[1.0, -1.0], [1.0, 0.0], [1.0, 1.0]]) # what each can be found by
values = torch.tensor([[7.0, 0.0], [0.0, 7.0], [7.0, 7.0]])

scores = Q @ K.T / 2**0.5
allowed = torch.ones(3, 3, dtype=torch.bool).tril()     # nobody looks ahead
weights = scores.masked_fill(~allowed, float("-inf")).softmax(dim=-1)
for t in range(3):
    w = "  ".join(f"{p:.2f}" for p in weights[t])
    out = ", ".join(f"{z:.2f}" for z in (weights @ values)[t])
    print(f"token {t + 1}: weights {w}   output ({out})")

# %% [markdown]
# The last line is your (5, 6). **With a pencil:** token 2 has $q_2 = (0, 1)$ and may look at tokens 1 and 2 only. Find its weights before you compare with the middle line.
#
# <details><summary>Check</summary>
#
# Scores $-1$ and $0$; divided by $1.41$, $-0.71$ and $0$; $e^{-0.71} = 0.49$ and $1$, so about $\tfrac13$ and $\tfrac23$; output $\tfrac13(7,0) + \tfrac23(0,7) = (2.3, 4.7)$. Token 1 can look at nothing but itself: whatever its query, its weight is 1.
#
# </details>
#
# ### The formula
#
# Stack the queries, keys and values of all positions as the rows of $Q$, $K$, $V$ (Bahdanau et al., 2015, in this spirit; in this form Vaswani et al., 2017). $d_h$ is the length of a query:
#
# $$\operatorname{Attention}(Q, K, V) \;=\; \operatorname{softmax}\!\left(\frac{Q K^\top}{\sqrt{d_h}}\right) V$$

# %%
def attention(q, k, v, mask=None):
    """q (..., T, d), k (..., S, d), v (..., S, d); mask True where looking is allowed.

    Returns the outputs (..., T, d) and the weights (..., T, S)."""
    scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


from llmlib.model import plain_attention

q, k, v = torch.randn(3, 2, 1, 5, 16)           # 2 sequences, 1 head, 5 positions
for ours, theirs in zip(attention(q, k, v), plain_attention(q, k, v)):
    torch.testing.assert_close(ours, theirs)            # ours is what the library runs
torch.testing.assert_close(attention(q, k, v)[0],
                           F.scaled_dot_product_attention(q, k, v))

# %% [markdown]
# ### What the $\sqrt{d_h}$ is for, and what it is not for
#
# If the entries of $q$ and $k$ are independent with mean 0 and variance 1, then $q \cdot k$ is a sum of $d_h$ terms of variance 1:
#
# $$\operatorname{Var}(q \cdot k) = d_h, \qquad \text{standard deviation } \sqrt{d_h}.$$
#
# In GPT-3 $d_h = 128$ (the model is 12,288 wide, but split over 96 heads), so undivided scores would spread by 11. A softmax of such scores is nearly a hard choice.
#
# **Predict:** at $d_h = 256$, undivided, how much of the weight goes to the largest of 32 positions? And if we divide by $d_h$ itself?

# %%
def largest_weight(d, scale, positions=32, samples=500):
    """Mean over random queries of the largest attention weight."""
    g = torch.Generator().manual_seed(d)
    q = torch.randn(samples, 1, d, generator=g)
    k = torch.randn(samples, positions, d, generator=g)
    return ((q * k).sum(-1) / scale).softmax(dim=-1).amax(dim=-1).mean().item()


widths = [1, 4, 16, 64, 256, 1024]
largest = {"not divided": [largest_weight(d, 1.0) for d in widths],
           "by √d": [largest_weight(d, d**0.5) for d in widths],
           "by d": [largest_weight(d, d) for d in widths]}

# %% tags=["figure"]
curves(largest, at=widths, log="x", x="head width d (log scale)", y="largest weight of 32", ylim=(0, 1), reference={"uniform": 1 / 32},
       alt=f"Largest of 32 attention weights against head width, for random queries and keys. Undivided it rises to {largest['not divided'][-1]:.2f}, divided by the root it stays near {largest['by √d'][-1]:.2f}, divided by d it falls to uniform.")

# %% [markdown]
# Divided by $\sqrt{d_h}$, attention starts out equally undecided at every width: *that* is what the root is for, and this figure is all the argument proves. It says nothing yet about *trained* models, because queries and keys are learned, and what training can rescale it may not need to be given. So let us train.
#
# The lookup task above was trained with all three divisions. And *recorded, three seeds each*: a two-layer GPT with one head of width 64, from two starting points. "GPT-2's" draws all matrices with standard deviation 0.02. "Unit" draws those of $q$ and $k$ so that their entries have variance 1, the assumption of the argument.

# %% tags=["diagram"]
pieces = recorded("gpt_pieces")["results"]["arms"]
bits_of = {arm: [run["bits"] for run in runs] for arm, runs in pieces.items()}
STARTS, DIVISIONS = {"gpt2": "GPT-2's start", "unit": "unit start"}, {"none": "not divided", "root": "by √d", "width": "by d"}
scaling = {name: {label: bits_of[f"scaling/{start}/{division}"] for start, label in STARTS.items()} for division, name in DIVISIONS.items()}
bars(scaling, y="bits per character", horizontal=False, alt="Bits per character on the report split, three seeds. " + " ".join(f"{name}, {start}: {min(b):.2f} to {max(b):.2f}." for name, group in scaling.items() for start, b in group.items()))
table([{"scores": name, "lookup task, % right (3 seeds)": ", ".join(f"{a:.0f}" for a in lookup[{"not divided": "scores", "by √d": "scores / √d", "by d": "scores / d"}[name]]),
        **{f"largest of 32 weights, {label}": pieces[f"scaling/{start}/{division}"][0]["largest_weight"] for start, label in STARTS.items()}} for division, name in DIVISIONS.items()], fmt=".2f", caption="before any training (uniform: 0.03), and the lookup task after it")

# %% [markdown]
# The answer depends on the start. From the unit start the argument holds: undivided is worst, a quarter of a bit behind $\sqrt{d_h}$, which is best. From GPT-2's start the order turns round: *not* dividing is, if anything, best, and dividing by $d_h$ comes last. The printed numbers say why. With matrices drawn that small all three begin as plain averages (a largest weight of 0.03 to 0.05 where uniform is 0.03), and dividing small scores makes them smaller still; from the unit start undivided attention begins with 0.8 of its weight on one position picked by chance. The lookup task is learned with all three.
#
# So do not call the root indispensable: it is what makes the *start* independent of the head's width, neither frozen on one position nor deaf, when queries and keys have unit variance (lecture 04's normalisation of $q$ and $k$ puts them near it, whatever the start). These runs are 200 steps long; what is left of the differences after a long training we have not measured.

# %% [markdown]
# ## III. Not looking ahead
#
# A window of $T$ characters is $T$ training examples at once only if position $t$ cannot see position $t+1$: that is the answer it is asked for. So the scores of the future become $-\infty$ *before* the softmax; their weights are then exactly zero and the rest still sums to 1.

# %%
def causal_mask(T):
    """(T, T) of booleans: position t (row) may look at positions 0..t (columns)."""
    return torch.ones(T, T, dtype=torch.bool).tril()


from llmlib.model import causal_mask as library_mask

assert torch.equal(causal_mask(7), library_mask(7))

# %% [markdown]
# The mask is one line and easy to get wrong: on the wrong side of the softmax, transposed, off by one. A good test does not read the code, it *pokes* the model: change one input, see which outputs move.

# %%
def influence(function, T=10, d=16):
    """(T, T): how much output t (row) moves when input s (column) is changed."""
    x = torch.randn(1, T, d, generator=torch.Generator().manual_seed(1))
    before, moved = function(x), torch.zeros(T, T)
    for s in range(T):
        changed = x.clone()
        changed[0, s] += 1
        moved[:, s] = (function(changed) - before)[0].norm(dim=-1)
    return moved


def mask_after_softmax(x):
    weights = (x @ x.transpose(-2, -1) / x.size(-1) ** 0.5).softmax(dim=-1)
    return (weights * causal_mask(x.size(1))) @ x


variants = {"no mask": lambda x: attention(x, x, x)[0],
            "after the softmax": mask_after_softmax,
            "before the softmax":
                lambda x: attention(x, x, x, causal_mask(x.size(1)))[0]}
moved = {name: influence(function) for name, function in variants.items()}
for name, change in moved.items():
    print(f"{name:19} largest influence of the future {change.triu(1).max():.1e}")

# %% [markdown]
# **Look for** any colour above the diagonal.

# %% tags=["figure"]
fig, axes = panels(3, share_y=True, titles=list(moved))
for ax, change in zip(axes, moved.values()):
    image = heat_map(change.log10().clamp(min=-4), vmin=-4, vmax=0.5, x="input changed", y="output that moves" if ax is axes[0] else "", ax=ax)
fig.colorbar(image, ax=list(axes), label="log10 of the change")
show(fig, alt=f"Three influence maps. Without a mask every output reacts to every input. Masked after the softmax the part above the diagonal is still coloured (up to {moved['after the softmax'].triu(1).max():.2f}). Masked before, it is empty.")

# %% [markdown]
# The middle map is the subtle one, and nearly as dark above its diagonal as the left. Masking *after* the softmax removes the future's values, but the future still took part in the denominator, so it still leaks, and the rows no longer sum to 1. The right one is exactly empty.

# %%
poll("You forget the causal mask and train on next-character prediction. Compared with the correct model, the training loss will",
     ["fall far lower", "be higher, since the extra positions are noise", "be about the same", "be NaN"],
     "The target of position t is the input of position t + 1. Without a mask the model learns to look one step to the right and copy. The loss goes towards zero and the model has learned nothing about language. A loss that is too good to be true is a symptom; part IV shows this one.")

# %% [markdown]
# ### Several heads
#
# One softmax is one way of dividing up attention. To look for several things at once, run $H$ attentions next to each other, each on its own slice of the vector, $d_h = d / H$ wide, and mix the results:
#
# $$\operatorname{MultiHead}(x) = \big[\operatorname{head}_1; \dots; \operatorname{head}_H\big]\, W_O, \qquad \operatorname{head}_i = \operatorname{Attention}(x W_Q^{i},\; x W_K^{i},\; x W_V^{i}).$$
#
# The number of parameters does not depend on $H$.

# %% tags=["diagram"]
sheet = Diagram(12, 4.9)
x_in = sheet.matrix(1.0, 2.2, [[None] * 4] * 3, label="x  (T × d)", cell=0.42, color="grey")
proj = sheet.box(3.3, 2.2, "$W_Q, W_K, W_V$", w=1.7, h=0.9, color="white")
sheet.arrow(x_in, proj)
outs = []
for i, (y, color) in enumerate(((3.7, "blue"), (2.7, "green"), (1.7, "orange"), (0.7, "pink"))):
    slices = sheet.matrix(5.6, y, [[None]] * 3, cell=0.24, color=color)
    head = sheet.box(7.2, y, f"head {i + 1}", w=1.5, h=0.7, color=color)
    sheet.arrow(proj, slices)
    sheet.arrow(slices, head)
    outs.append(head)
joined = sheet.matrix(9.3, 2.2, [["", "", "", ""]] * 3, label="side by side", cell=0.42, color="grey")
mix = sheet.box(11.1, 2.2, "$W_O$", w=0.9, h=0.9, color="white")
for head in outs:
    sheet.arrow(head, joined)
sheet.arrow(joined, mix)
sheet.label(5.6, 4.55, "slices of d / H")
sheet.label(7.2, 0.15, "each: its own softmax over the positions", size=11)
sheet.show(alt="The input x is projected to queries, keys and values, which are cut into four slices of a quarter of the width. Each slice goes through a head with a softmax of its own; the four results are put side by side and mixed by the output matrix.")

# %% [markdown]
# In code the slicing is a reshape. After splitting `(B, T, d_model)` into `(B, T, n_heads, d_head)` the heads have to move in front of the positions, since `@` multiplies the last two axes and treats all others as a batch. (`view` gives the same numbers, in the same order, another shape; `transpose` swaps two axes.)

# %%
class MultiHeadAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al., 2017, 3.2.2), without biases."""

    def __init__(self, d_model, n_heads, causal=True):
        super().__init__()
        self.n_heads, self.causal = n_heads, causal
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            nn.Linear(d_model, d_model, bias=False) for _ in range(4)
        )

    def split(self, x):                                 # -> (B, n_heads, T, d_head)
        B, T, d_model = x.shape
        return x.view(B, T, self.n_heads, d_model // self.n_heads).transpose(1, 2)

    def forward(self, x):
        q, k, v = (self.split(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        mask = causal_mask(x.size(1)) if self.causal else None
        out, self.weights = attention(q, k, v, mask)
        return self.o_proj(out.transpose(1, 2).reshape(x.shape))    # heads side by side


class WrongView(MultiHeadAttention):
    def split(self, x):                                 # the same shape, no transpose
        B, T, d_model = x.shape
        return x.view(B, self.n_heads, T, d_model // self.n_heads)

# %% [markdown]
# Two ways to forget the transpose. Leaving it out of `split` above is harmless: the scores get the shape `(n_heads, n_heads)`, the mask does not fit, and torch raises a `RuntimeError`. `WrongView` is the one to fear: every shape is right and nothing complains. Poke both:

# %% tags=["figure"]
torch.manual_seed(0)
right_layer, wrong_layer = MultiHeadAttention(16, 4), WrongView(16, 4)
with torch.no_grad():
    attention_map({"view(B, T, H, d_h).transpose": (influence(right_layer, 12) > 1e-6).float(), "view(B, H, T, d_h)": (influence(wrong_layer, 12) > 1e-6).float()}, [str(t) for t in range(12)], alt="Which of 12 outputs react to which of 12 inputs. With the transpose: the lower triangle. With the wrong view: columns 0, 3, 6 and 9 move every output, also earlier ones, and the rest is filled in blocks.")

# %% [markdown]
# The right map is another leak: its first output listens to inputs 3, 6 and 9. What the wrong view calls a head is a stretch of three whole positions, chopped up; putting the pieces together in another order than they were taken apart carries the future into the past. Shapes do not catch it; pokes do, and so does comparing numbers with a layer known to be right. We give our layer the library's weights:

# %%
from llmlib.model import ModelConfig, Transformer, record

plain = ModelConfig(
    vocab_size=V, n_layers=2, d_model=64, n_heads=4, max_seq_len=32,
    norm="rmsnorm", mlp="gelu", position="learned", tie_embeddings=False)
library_model = Transformer(plain)
our_layer = MultiHeadAttention(64, 4)
our_layer.load_state_dict(library_model.blocks[0].attention.state_dict())
ids = train[:64].view(2, 32)
with torch.no_grad(), record(library_model, "blocks.0.*") as seen:
    library_model(ids)
    ours = our_layer(seen["blocks.0.norm1"])
torch.testing.assert_close(ours, seen["blocks.0.attention"])

# %% [markdown]
# **Predict:** one head of width 64, or four of width 16? Same parameters, same training. *Recorded, three seeds:*

# %% tags=["figure"]
heads = {"1 head of 64": bits_of["scaling/gpt2/root"], "4 heads of 16": bits_of["heads/4"]}
bars(heads, x="bits per character (report split)", alt="Bits per character of a two-layer GPT, three seeds: " + "; ".join(f"{name} {min(b):.2f} to {max(b):.2f}" for name, b in heads.items()) + ".")

# %% [markdown]
# No difference that three seeds could show: at this size, after 200 steps, one head does as well as four. A null result, and worth having. That several heads *can* look for several things is a statement about what is possible; whether a model needs it is a question for an experiment, and the answer changes with size. In the translation model of Vaswani et al. (2017, table 3), 512 wide, a single head was 0.9 BLEU worse than the best number.

# %% [markdown]
# ## IV. From attention to GPT
#
# ### Does order matter to attention?
#
# Shuffle the earlier characters and ask for the last position's output. **Predict:** does one causal layer notice? Do two?

# %%
# NBVAL_CHECK_OUTPUT
x = torch.randn(1, 12, 64, generator=torch.Generator().manual_seed(2))
mixed = torch.randperm(11, generator=torch.Generator().manual_seed(0))
shuffled = torch.cat([x[:, :11][:, mixed], x[:, 11:]], dim=1)      # the last one stays
a, b = x, shuffled
with torch.no_grad():
    for n, layer in enumerate([our_layer, MultiHeadAttention(64, 4)], start=1):
        a, b = a + layer(a), b + layer(b)
        noticed = (a - b)[0, -1].abs().max().item() > 1e-4
        print(f"after {n} causal layer(s) the last position noticed: {noticed}")

# %% [markdown]
# One layer does not: a weighted average has no order, and to a single attention layer *dog bites man* is *man bites dog*. Two causal layers do notice, because the mask itself is a clock: the first position has averaged one vector, the fifth has averaged five, and what the second layer reads there depends on who came before whom.
#
# Giving each position a vector of its own, learned like everything else and added to the character's vector at the start, is the direct way. What is it worth? *Recorded, three seeds each:*

# %% tags=["figure"]
position_bits = {"1 layer": {"with positions": bits_of["positions/1 layer"], "without": bits_of["positions/1 layer without"]},
                 "2 layers": {"with positions": bits_of["heads/4"], "without": bits_of["positions/2 layers without"]}}
bars(position_bits, y="bits per character", horizontal=False, alt="Bits per character, three seeds. " + " ".join(f"{layers}, {name}: {min(b):.2f} to {max(b):.2f}." for layers, group in position_bits.items() for name, b in group.items()))

# %% [markdown]
# Without positions both stand at the bigram's level (3.57 bits): the character they stand on is the only one whose place they know, and an unordered heap of earlier ones adds nothing here. With positions they get 0.05 to 0.1 bits below. That two layers *could* make up for it does not mean that they do so within 200 steps. Lecture 04 compares other ways of telling positions apart.
#
# ### The block
#
# Attention moves information *between* positions. To do something with it, each position then runs a small network of its own, the **MLP**: four times wider, a bend (GELU), and back. Both are wrapped the same way, normalise, compute, **add the result to what was there**:
#
# $$x \leftarrow x + \operatorname{MultiHead}(\operatorname{norm}(x)), \qquad x \leftarrow x + \operatorname{MLP}(\operatorname{norm}(x)).$$

# %% tags=["diagram"]
sheet = Diagram(12, 4.7)
stream = sheet.stream((1.7, 1.0), (10.3, 1.0), "")
sheet.box(0.9, 1.0, "token +\nposition", w=1.5, h=1.1, color="grey")
sheet.box(11.15, 1.0, "norm,\nhead", w=1.4, h=1.1, color="grey")
for x0, name, color in ((2.6, "MultiHead", "blue"), (6.4, "MLP", "orange")):
    norm = sheet.box(x0 + 0.4, 2.6, "norm", w=1.1, h=0.75, color="white")
    part = sheet.box(x0 + 2.2, 2.6, name, w=1.7, h=0.75, color=color)
    add = sheet.plus(x0 + 2.9, 1.0)
    sheet.arrow((x0, 1.1), norm, bend=-0.2)
    sheet.arrow(norm, part)
    sheet.arrow(part, add)
sheet.label(4.0, 3.45, "between positions", size=11)
sheet.label(7.8, 3.45, "within each position", size=11)
sheet.label(6.0, 0.45, "the residual stream: one vector per position, only ever added to", size=11)
sheet.bracket((2.4, 3.8), (9.6, 3.8), "one block, repeated n_layers times")
sheet.show(alt="The residual stream runs from the embeddings to the final norm and head. A block reads it twice: a copy goes through norm and multi-head attention and is added back, then a copy goes through norm and MLP and is added back.")

# %%
class RMSNorm(nn.Module):
    """Divide by the root mean square, then scale (Zhang and Sennrich, 2019)."""

    def __init__(self, d_model):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + 1e-5) * self.weight


class MLP(nn.Module):
    def __init__(self, d_model):
        super().__init__()
        self.up = nn.Linear(d_model, 4 * d_model, bias=False)
        self.down = nn.Linear(4 * d_model, d_model, bias=False)

    def forward(self, x):
        return self.down(F.gelu(self.up(x)))

# %%
class Block(nn.Module):
    def __init__(self, d_model, n_heads, causal=True, residual=True):
        super().__init__()
        self.norm1 = RMSNorm(d_model)
        self.attention = MultiHeadAttention(d_model, n_heads, causal)
        self.norm2, self.mlp = RMSNorm(d_model), MLP(d_model)
        self.keep = 1.0 if residual else 0.0

    def forward(self, x):
        x = self.keep * x + self.attention(self.norm1(x))      # between positions
        return self.keep * x + self.mlp(self.norm2(x))         # within each position

# %% [markdown]
# What does the addition buy? **Predict:** without it, a four-layer model trained on our text will be (a) a little worse, (b) as good as a bigram table, (c) as good as a unigram table. And the same four MLPs without addition *and without attention*?

# %% tags=["diagram"]
def similarity_by_layer(residual, depth=16, d=32):
    torch.manual_seed(0)
    h, similarity = torch.randn(4, 16, d), []
    for _ in range(depth):
        with torch.no_grad():
            h = Block(d, 4, residual=residual)(h)
        unit = F.normalize(h, dim=-1)
        cosines = unit @ unit.transpose(1, 2)
        similarity.append((cosines.sum().item() - 4 * 16) / (4 * 16 * 15))
    return similarity


alike = {"with": similarity_by_layer(True), "without": similarity_by_layer(False)}
CONTROLS = {"with": "both", "without": "none", "without, no attention": "none, no attention"}
falling = {name: [run["curve"] for run in pieces[f"residual/{arm}"]]
           for name, arm in CONTROLS.items()}
fig, (left, right) = panels(2, titles=["fresh, 16 layers", "4 layers, training (recorded)"], widths=[1, 1.35])
curves(alike, at=range(1, 17), x="layer", y="similarity of positions", ylim=(-0.05, 1.08), ax=left)
curves(falling, at=range(20, 241, 20), x="step", y="training loss (bits)", reference={"unigram": unigram_bits, "bigram": bigram_bits}, ax=right)
show(fig, alt=f"Left: without the residual path the positions of a fresh stack become identical ({alike['without'][-1]:.2f}); with it they stay apart ({alike['with'][-1]:.2f}). Right: with it the loss falls below the bigram's towards {min(map(min, falling['with'])):.1f} bits; without it stays at the unigram's; the MLPs alone, without additions or attention, learn.")

# %% [markdown]
# An average makes its inputs more alike. Stack a few averages with nothing to hold on to, and within five fresh layers every position carries the *same* vector. Dong et al. (2021) prove that pure attention, without additions or MLPs, loses rank *doubly* exponentially with depth; ours has MLPs, and they do not prevent it. Such a stack cannot tell on which character it stands, so all it can learn is how frequent each character is: it lies on the unigram line, on all three seeds.
#
# Is it the missing addition as such, or is it the averaging? The third curve is a control. The same four MLPs, without additions and *without attention*, come near a bigram table, which is all they could learn. That points at attention: with the residual path each position keeps what it had, and attention *adds* to it. (It is no proof. The control has half as many layers in a row; eight MLPs would be the fairer one, and a good exercise.) (240 steps of three seeds; how long the stack would stay on the line we have not tried.)
#
# ### All of it

# %%
class GPT(nn.Module):
    """Embed, add positions, blocks, normalise, score every possible next token."""

    def __init__(self, vocab_size, context, n_layers, d_model, n_heads, causal=True):
        super().__init__()
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(context, d_model)
        self.blocks = nn.ModuleList(
            Block(d_model, n_heads, causal) for _ in range(n_layers)
        )
        self.norm = RMSNorm(d_model)
        self.head = nn.Linear(d_model, vocab_size, bias=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)            # small: all tokens as likely

    def forward(self, ids):                             # (B, T) -> (B, T, vocab_size)
        h = self.token(ids) + self.position(torch.arange(ids.size(1)))
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))

# %% [markdown]
# That is the architecture, complete. Day 24 calls it "just the decoder of a transformer"; HLT says GPT-2 uses "only decoders". Notice what that means in code: a translation model's decoder has a second attention layer that looks at the encoder's output. Here there is no encoder, so that layer is gone, and *masked self-attention + MLP*, repeated, is what remains.
#
# Is it the library's model? We hand over the weights and compare all outputs.

# %%
ours = GPT(V, context=32, n_layers=2, d_model=64, n_heads=4)
with torch.no_grad():
    for mine, theirs in zip(ours.parameters(), library_model.parameters(), strict=True):
        assert mine.shape == theirs.shape
        mine.copy_(theirs)
torch.testing.assert_close(ours(ids), library_model(ids))
print(f"{sum(p.numel() for p in ours.parameters()):,} parameters, equal outputs")

# %% [markdown]
# ### Two checks before training in earnest
#
# **Predict** the loss of a fresh model in bits per character. You know enough: it has learned nothing.

# %%
fresh = GPT(V, 32, 1, 64, 4)
with torch.no_grad():
    logits = fresh(train[:320].view(10, 32))            # (10, 32, V)
    nats = F.cross_entropy(logits.flatten(0, 1), train[1:321]).item()
print(f"first loss {nats / math.log(2):.2f} bits; log2 of {V} is {math.log2(V):.2f}")

# %% [markdown]
# (`cross_entropy` wants one row per prediction, so `flatten(0, 1)` joins batch and time.) A first loss far from $\log_2 V$ means a bug or a bad start. The second check is the one promised by the poll: the same model with and without the mask.

# %%
def train_small(causal, n_steps=160, seed=0):
    """A one-layer GPT on windows of 32 characters, and its training loss in bits."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model, losses = GPT(V, 32, 1, 64, 4, causal), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(n_steps):
        x, y = random_batch(train, 16, 32, generator)   # y is x one character later
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad(), loss.backward(), optimizer.step()
        losses.append(loss.item() / math.log(2))
    return model, losses


def continue_text(model, prompt, n=60, seed=0):
    """Draw n characters, one at a time, each given the last 32."""
    ids = torch.tensor([tokenizer.encode(prompt)])
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n):
        with torch.no_grad():
            chances = model(ids[:, -32:])[:, -1].softmax(dim=-1)
        drawn = torch.multinomial(chances, 1, generator=generator)
        ids = torch.cat([ids, drawn], dim=1)
    return tokenizer.decode(ids[0].tolist())

# %%
masked, masked_losses = train_small(causal=True)
leaky, leaky_losses = train_small(causal=False)
for name, model in (("with the mask", masked), ("without", leaky)):
    print(f"{name:14} {continue_text(model, 'First Citizen:')!r}")

# %% tags=["figure"]
curves({"with the mask": masked_losses, "without": leaky_losses}, x="step", y="training loss (bits per character)", ylim=(0, 6.2), reference={"bigram": bigram_bits, "Kneser-Ney": kneser_ney_bits},
       alt=f"Training loss over {len(leaky_losses)} steps: with the mask it levels off near {sum(masked_losses[-20:]) / 20:.1f} bits, above the best table; without the mask it drops through every reference line to {sum(leaky_losses[-20:]) / 20:.2f}.")

# %% [markdown]
# The leaky model's loss is spectacular and its text is worthless: asked to continue, there is no next character to copy from. The masked model, of the same size, is still far above the table's line; when a loss is too good to be true, poke the model. A non-causal model is not useless, it can be a fine *reader*, and lecture 05 uses it as such, but it is not a language model. <!-- promise: 05-readers -->

# %% [markdown]
# ## V. Training one, live
#
# The model above has one layer. Now a real one on the same text: 4 layers, 96 wide, 3 heads, context 64. Everything from here on runs in the library whose parts you have just rebuilt; the recipe is the one behind `make demo`, cut to its first part so that we need not wait.
#
# Some ingredients make it learn faster than our plain version, and none changes the picture of parts II to IV: rotary positions, a normalisation of $q$ and $k$, a squared ReLU for GELU (lecture 04); an optimizer called Muon for the matrices, and averaging the weights over the last steps. What each of these two is worth alone, lecture 07 measures. <!-- promise: 07-muon-ablation -->
#
# **Write down two numbers** before you run it: the bits per character you expect after this short run, and at what loss the text begins to contain English words.

# %%
from llmlib.infer import generate
from llmlib.model import preset
from llmlib.train import Trainer, train_preset

model_config = preset("shakespeare-cpu").replace(vocab_size=V)
train_config = train_preset("shakespeare-cpu").replace(steps=100, batch_size=16)
torch.manual_seed(0)
gpt = Transformer(model_config)
PROMPT, samples = "ROMEO:\n", {}


def keep_samples(trainer, event):
    """Called by the trainer at every event: keep what the model writes on the way."""
    if trainer.step in (0, 40, train_config.steps) and trainer.step not in samples:
        gpt.eval()
        samples[trainer.step] = generate(
            gpt, PROMPT, tokenizer=tokenizer, max_new_tokens=90, temperature=0.8,
            sliding=True, generator=torch.Generator().manual_seed(1))


history = Trainer(gpt, train_config, train, callbacks=[keep_samples]).run()
gpt.cpu();

# %%
for step, sample in samples.items():
    print(f"--- after {step} steps ---\n{PROMPT}{sample}\n")

# %% [markdown]
# The first sample is uniform noise. After forty steps there are letters at about their frequencies and gaps at about the length of words. At the end many words are English and lines break about where verse breaks them, and there is no sense in them at all.
#
# How many bits is that? It depends, a little, on how we ask. Cut the text into windows of 64, and the first character of each is predicted from one character; on average the model sees 32. Let the window *slide* by 32, score only its second half, and every character is predicted from at least 32. A table always has its five characters, so the second way is the fair one to compare it with. We judge on the first 12,000 characters of a split, which are a little easier than the rest.

# %%
@torch.no_grad()
def sliding_log2(model, tokens, context=64, stride=32):
    """log2 P of tokens[1], tokens[2], ..., each (but the first few) given at least
    context - stride tokens. Stride = context cuts into windows that do not overlap."""
    starts = torch.arange(0, len(tokens) - context, stride)[:, None]
    x = tokens[starts + torch.arange(context)]          # (windows, context)
    y = tokens[starts + torch.arange(context) + 1]
    nats = torch.cat([F.cross_entropy(model(a).transpose(1, 2), b, reduction="none")
                      for a, b in zip(x.split(256), y.split(256))])
    new = torch.cat([nats[0, :-stride], nats[:, -stride:].flatten()])
    return -new / math.log(2)


SOME = 12_000
gpt_log2 = {name: sliding_log2(gpt, tokens[:SOME])
            for name, tokens in (("choose", choose), ("report", report))}
gpt_bits = -gpt_log2["report"].mean().item()
blocks_bits = -sliding_log2(gpt, report[:SOME], stride=64).mean().item()
kneser_ney_some = kneser_ney.bits_per_token(report[:SOME].numpy())
print(f"{gpt.num_parameters():,} parameters, {history.steps[-1]} steps: "
      f"{blocks_bits:.2f} bits in separate windows, {gpt_bits:.2f} sliding; "
      f"Kneser-Ney {kneser_ney_some:.2f}")

# %% [markdown]
# The live model has left the bigram far behind and loses clearly to Kneser-Ney. Is it just short of time? *Recorded, three seeds:* nanoGPT's recipe for laptops (Karpathy, 2022), which is close to the GPT of part IV, and the recipe above run to its end, two minutes of one core. **Look for** where each crosses the three lines.

# %% tags=["diagram"]
runs = recorded("shakespeare_training")["results"]
LABELS = {"plain": "plain GPT", "fast": "this recipe, whole"}
learning = {label: (runs[name][0]["seconds"], [[loss / math.log(2) for loss in run["val_loss"]] for run in runs[name]]) for name, label in LABELS.items()}
end = {label: [bits[-1] for bits in all_bits] for label, (_, all_bits) in learning.items()}
curves(learning, x="training time (seconds of one core)", y="bits per character", ylim=(2, 5), height=3.4, reference={"bigram": bigram_bits, "Kneser-Ney": kneser_ney_bits},
       alt=f"Held-out bits per character against training seconds, three seeds. Both recipes cross the bigram line early. After two minutes the plain one is at {min(end['plain GPT']):.2f} to {max(end['plain GPT']):.2f}, the course's at {min(end['this recipe, whole']):.2f} to {max(end['this recipe, whole']):.2f}; neither reaches Kneser-Ney's {kneser_ney_bits:.2f}.")

# %% [markdown]
# Neither reaches it. (The recorded curves are judged on the choose and report splits together, in separate windows; sliding would take off about as much as above, which brings the better recipe near the line and not clearly below it.) So much for "a transformer beats counting": on a million characters and two minutes of a laptop, **a table that is built in half a second is ahead**. <!-- keeps: 03-against-kneser-ney --> It starts from what the transformer has to learn, that the last few characters matter most and in this order.
#
# The two recipes differ in many ways at once, so the figure shows that training can be made several times cheaper and not which change did it. How the gap between recipes changes with size is for lecture 07 to measure. <!-- promise: 07-gain-against-size -->
#
# ### What it takes
#
# nanoGPT's published recipe for a GPU reaches 1.47 nats, 2.12 bits, on the last tenth of the same text, with 10.7 million parameters, a context of 256 and about a thousand times the arithmetic of our two minutes. Much less will do. *Recorded, one seed:* the recipe and the model above, with twice the context and half as many steps again, on the report split in sliding windows: every character is predicted from at least 64. Nothing was tuned for this run, so nothing was chosen on any split.

# %% tags=["figure"]
crossing = recorded("shakespeare_crossing")["results"]["context 128"][0]
longest = crossing["report_bits"]
curves({f"{longest[-1]:.2f}": longest}, at=[n / 1e6 for n in crossing["characters"]], x="characters read (millions)", y="bits per character", ylim=(2.05, 2.6), height=2.6, reference={"Kneser-Ney": kneser_ney_bits},
       alt=f"Bits per character on the report split against characters read: {longest[0]:.2f} after {crossing['characters'][0] / 1e6:.1f} million, {longest[-1]:.2f} after {crossing['characters'][-1] / 1e6:.1f} million, below Kneser-Ney's {kneser_ney_bits:.2f}.")

# %% [markdown]
# As the learning rate falls to zero it crosses, and ends 0.06 bits below the line. On the choose split, where the table's order was picked, it is ahead by 0.02 only: one seed's lead, and a narrow one. The table has read the text once, in half a second; the transformer nearly three times, in seven minutes of a busy core. Context, steps and the way of judging all differ from the figure before, so this does not say which of them was needed.
#
# ### Does it know anything the table does not?
#
# Losing on average does not mean knowing less everywhere. Mix the two: $P = \lambda P_\text{GPT} + (1 - \lambda) P_\text{table}$. The mixture's loss can never be worse than the weighted average of the two losses (the logarithm is concave). But can it be better than *both*?

# %%
poll("The GPT needs more than half a bit more than the table. Mixing their probabilities in the best proportion needs",
     ["fewer bits than the table", "as many as the table, with all weight on it", "the mean of the two", "more than either, since they contradict each other"],
     "On the characters where the table has never seen its context, it is nearly guessing, and there the transformer is often better, since it can compute something from a context that is new. A mixture needs no more than being right about different things. If both erred on the same characters, the best share for the weaker one would be zero; the cell below finds the share on one split and reports on the other.")

# %%
def mixture_bits(share, split, tokens):
    """Bits per character of share * GPT + (1 - share) * table on a split."""
    log2_gpt = gpt_log2[split]
    log2_table = kneser_ney.logprob(tokens[:SOME].numpy())[1 : len(log2_gpt) + 1]
    log2_table = torch.tensor(log2_table / math.log(2)).float()
    mixed = share * log2_gpt.exp2() + (1 - share) * log2_table.exp2()
    return -mixed.log2().mean().item()


shares = [i / 20 for i in range(21)]
on_choose = [mixture_bits(share, "choose", choose) for share in shares]
best_share = shares[on_choose.index(min(on_choose))]    # chosen on one split
mixed_bits = mixture_bits(best_share, "report", report) # reported on the other
print(f"share {best_share:.2f} for the GPT: {mixed_bits:.2f} bits on the report split; "
      f"alone {gpt_bits:.2f} and {kneser_ney_some:.2f}")

# %% tags=["figure"]
curves({"choose split": on_choose}, at=shares, x="share of the GPT in the mixture", y="bits per character", ylim=(min(on_choose) - 0.03, on_choose[0] + 0.17), reference={"table alone": on_choose[0]},
       marks={f"{best_share:.2f}": (best_share, min(on_choose))}, alt=f"Bits per character of the mixture against the share of the GPT: {on_choose[0]:.2f} at 0, a minimum of {min(on_choose):.2f} at {best_share:.2f}, {on_choose[-1]:.2f} at 1. On the report split the chosen mixture reaches {mixed_bits:.2f}.")

# %% [markdown]
# The mixture needs fewer bits than either, if only by a few hundredths. A model that loses to the table by more than half a bit still improves it, so it does know something the table does not: most likely, we guess, what to do in a context that the table has never seen (exercise 4 can tell). That is this transformer's keep, and it is a modest one. What happens to the balance when both get a thousand times more text, you know from the world outside.
#
# ## VI. What has it learned?
#
# ### Does it use its sixty-four characters? (*optional*)
#
# In separate windows of 64 characters the first prediction is made from one character, the last from sixty-four. So one pass over held-out text tells what each further character of context is worth to this model.
#
# **Predict** the first row. Which number from part I should it be close to?

# %%
@torch.no_grad()
def bits_by_position(model, tokens, context=64):
    """(windows, context): bits for every next character; column t has seen t + 1."""
    n = (len(tokens) - 1) // context
    x = tokens[: n * context].view(n, context)
    y = tokens[1 : n * context + 1].view(n, context)
    nats = torch.cat([F.cross_entropy(model(a).transpose(1, 2), b, reduction="none")
                      for a, b in zip(x.split(256), y.split(256))])
    return nats / math.log(2)


by_position = bits_by_position(gpt, report[:30_000])
GROUPS = [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 32), (33, 64)]
group_names = [f"{a}" if a == b else f"{a}-{b}" for a, b in GROUPS]
means, errors = {}, {}
for name, (a, b) in zip(group_names, GROUPS):
    per_window = by_position[:, a - 1 : b].mean(dim=1)
    means[name] = per_window.mean().item()
    errors[name] = 2 * per_window.std().item() / len(per_window) ** 0.5

# %% tags=["figure"]
table([{"characters seen": name, "bits per character": means[name], "± two standard errors": errors[name]} for name in means], fmt=".2f", caption=f"the bigram table: {bigram_bits:.2f}")

# %% [markdown]
# With one character it does not even reach the bigram table, which knows exactly as much (perhaps because one in 64 of the characters it was trained on stood at the front of a window). Whatever it gains from context is there after eight characters, a word and a half; after that nothing changes by more than the errors. That is a property of *this* model, small and briefly trained, and not of attention, which reaches all 64 at no extra cost.
#
# ### Where the heads look (*optional*)
#
# `record` (`llmlib/model/hooks.py`) catches the attention weights on their way. **Look for** heads with a job you can name: the previous character, the start of the word, the last line break.

# %%
PASSAGE = "O, she doth teach the torches"
names = [f"blocks.{layer}.attention.weights" for layer in range(model_config.n_layers)]
with torch.no_grad(), record(gpt, *names) as seen:
    gpt(torch.tensor([tokenizer.encode(PASSAGE)]))

# %% tags=["diagram"]
def map_of(layer, head):
    fig, ax = panels(1, width=3.5, height=3.5)
    attention_map(seen[f"blocks.{layer}.attention.weights"][0, head], PASSAGE, ax=ax)
    ax.tick_params(labelsize=8)
    ax.set_title(f"layer {layer}, head {head}")
    return fig


explore(map_of, layer=list(range(model_config.n_layers)), head=list(range(model_config.n_heads)),
        panels=[dict(layer=0, head=0), dict(layer=2, head=1)],
        alt=lambda layer, head: f"Attention map of layer {layer}, head {head} over a line of Romeo and Juliet: lower-triangular, {seen[f'blocks.{layer}.attention.weights'][0, head].diagonal(-1).mean():.2f} of the weight on the previous character on average.")

# %% [markdown]
# Reading such maps is tempting and treacherous: we see what we expect, and a head that looks somewhere need not matter. Two things make a story about a head believable: a number measured over many texts, and what happens when the head is switched off. Let us do both, on a job that we know must be done.
#
# ### An induction head (*optional*)
#
# The lookup task of part II, written the way text poses it. Key and value are no longer one vector: they are two tokens, one after the other, and the model is asked for the second whenever the first comes again: `c 1 k 7 f 3 k` → `7`. One attention layer has a problem here. From the second `k` it can find the first one easily, for they match; but what it needs stands *one further on*, and nothing about the `7` says that a `k` went before.
#
# **Predict:** can one layer learn it? Can two, and how would they divide the work?

# %%
LETTERS, LENGTH = 16, 32                        # 16 keys, 16 values, 16 pairs a row


def pairs_batch(n, generator):
    """Rows of key, value, key, value, ... out of 8 pairs drawn anew for every row."""
    keys = torch.rand(n, LETTERS, generator=generator).argsort(dim=1)[:, :8]
    values = LETTERS + torch.randint(LETTERS, (n, 8), generator=generator)
    pick = torch.randint(8, (n, LENGTH // 2), generator=generator)
    ids = torch.stack([keys.gather(1, pick), values.gather(1, pick)], dim=-1).flatten(1)
    same = (pick[:, :, None] == pick[:, None, :]).tril(-1)
    return ids, same        # (n, 32); (n, 16, 16): is pair j an earlier showing of i?


class AttentionOnly(nn.Module):
    """The GPT of part IV without its MLPs."""

    def __init__(self, n_layers, d_model=64, n_heads=4):
        super().__init__()
        self.token = nn.Embedding(2 * LETTERS, d_model)
        self.position = nn.Embedding(LENGTH, d_model)
        self.norms = nn.ModuleList(RMSNorm(d_model) for _ in range(n_layers))
        self.layers = nn.ModuleList(
            MultiHeadAttention(d_model, n_heads) for _ in range(n_layers))
        self.head = nn.Linear(d_model, 2 * LETTERS, bias=False)

    def forward(self, ids):
        x = self.token(ids) + self.position.weight[: ids.size(1)]
        for norm, layer in zip(self.norms, self.layers):
            x = x + layer(norm(x))
        return self.head(F.rms_norm(x, x.shape[-1:]))

# %%
from llmlib.train import AdamW, Muon


def repeats_right(model, ids, same):
    """Of the values whose key was shown before, how many are predicted."""
    right = model(ids)[:, 0::2].argmax(dim=-1) == ids[:, 1::2]
    return right[same.any(dim=-1)].double().mean().item()


def train_pairs(n_layers, seed=0, n_steps=140):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model, learned = AttentionOnly(n_layers), []
    matrices = [p for name, p in model.named_parameters() if "proj" in name]
    others = [p for name, p in model.named_parameters() if "proj" not in name]
    optimizers = Muon(matrices, lr=0.02), AdamW(others, lr=0.01, weight_decay=0.0)
    for step in range(n_steps):
        ids, _ = pairs_batch(32, generator)
        loss = F.cross_entropy(model(ids)[:, 0::2].transpose(1, 2), ids[:, 1::2])
        model.zero_grad(), loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        if step % 10 == 9:
            with torch.no_grad():
                learned.append(100 * repeats_right(model, *pairs_batch(64, generator)))
    return model, learned


two_layers, learned = train_pairs(2)
print(f"two layers, live: {learned[-1]:.0f} % of the repeated values")

# %% [markdown]
# One layer, and two more seeds of each, are *recorded*, from the same code:

# %% tags=["figure"]
pair_runs = recorded("induction_head")["results"]["runs"]
by_depth = {n: [run["right"] for run in pair_runs if run["layers"] == n] for n in (1, 2)}
curves({"1 layer": by_depth[1], "2 layers": by_depth[2]}, at=range(10, 141, 10), x="step", y="repeated values right (%)", ylim=(0, 105),
       alt=f"Share of repeated values predicted, three seeds. Two layers rise steeply after step 70 to {min(run[-1] for run in by_depth[2]):.0f} % or more; one layer stays at {max(map(max, by_depth[1])):.0f} % or less.")

# %% [markdown]
# One layer is stuck at the level of betting on a value it has seen in the row. Two layers learn the task, and not gradually: for the first sixty steps they do about as well as one layer, and in the next thirty they do nearly all of their learning. What have they found? We measure two habits of each head over 300 new rows: the weight on the token just before, at the positions of values; and the weight on *the token after the earlier showing* of the current key.

# %%
test_ids, test_same = pairs_batch(300, torch.Generator().manual_seed(99))
has_answer = test_same.any(dim=-1)                      # (300, 16): key shown before?


def habits(model):
    """(layers, heads) of the weight on the previous token and on the token to copy."""
    with torch.no_grad():
        model(test_ids)
    previous, copy = [], []
    for layer in model.layers:
        w = layer.weights                               # (300, heads, 32, 32)
        previous.append(w.diagonal(-1, dim1=-2, dim2=-1)[:, :, 0::2].mean(dim=(0, 2)))
        to_values = (w[:, :, 0::2, 1::2] * test_same[:, None]).sum(-1)      # from keys
        copy.append(to_values.transpose(1, 2)[has_answer].mean(dim=0))
    return torch.stack(previous), torch.stack(copy)


previous, copy = habits(two_layers)

# %% tags=["figure"]
fig, (left, right) = panels(2, height=2.1, titles=["at values: the token before", "at keys: the value to copy"])
for ax, measured in ((left, previous), (right, copy)):
    heat_map(measured, fmt=".2f", vmin=0, vmax=1, x="head", y="layer", ax=ax)
show(fig, alt=f"Two tables of layers by heads. Weight of values on the token before them: up to {previous[0].max():.2f} in layer 0. Weight of keys on the value to copy: {copy[1].min():.2f} to {copy[1].max():.2f} in layer 1, at most {copy[0].max():.2f} in layer 0.")

# %% [markdown]
# The division of labour is plain. Some heads of layer 0 look at **the token before**: after them, the vector at every value also says which key it followed. Heads of layer 1 look for a place whose *previous* token equals the current one, and find the value: that is an **induction head** (Elhage et al., 2021; Olsson et al., 2022). Here is one at work; the outlined cells are the places where the answer stands.

# %% tags=["diagram"]
letters = "abcdefghijklmnop"
row = next(i for i in range(300) if has_answer[i, 4:8].sum() >= 3)
shown = [letters[i] if i < LETTERS else str(i - LETTERS) for i in test_ids[row, :16].tolist()]
answers = [(2 * i, 2 * j + 1) for i in range(8) for j in range(i) if test_same[row, i, j]]
best_previous, best_copy = previous[0].argmax().item(), copy[1].argmax().item()
layers = two_layers.layers
attention_map({f"layer 0, head {best_previous}: the token before": layers[0].weights[row, best_previous, :16, :16], f"layer 1, head {best_copy}: induction": layers[1].weights[row, best_copy, :16, :16]},
              shown, mark=answers, height=3.6, alt="Two attention maps over sixteen tokens, key and value in turn. Left: the layer-0 head puts its weight on the diagonal below the main one at every value. Right: at each repeated key, the layer-1 head puts its weight on the outlined cell, the value that followed the same key earlier.")

# %% [markdown]
# A map is a story; switching off is a test. We silence heads by setting their part of the output matrix to zero. The heads of layer 0 that look back (more than half their weight on the token before; two at most), and as a control *as many others* of the same layer. **Predict** what each does to the accuracy.

# %%
def without_heads(model, layer, heads):
    """Accuracy on repeats with these heads silenced; nothing is retrained."""
    weight = model.layers[layer].o_proj.weight
    kept, width = weight.detach().clone(), weight.size(1) // model.layers[layer].n_heads
    with torch.no_grad():
        for head in heads:
            weight[:, head * width : (head + 1) * width] = 0
        accuracy = 100 * repeats_right(model, test_ids, test_same)
        weight.copy_(kept)
    return accuracy


ranking = previous[0].argsort(descending=True).tolist()
n = max(1, min(2, int((previous[0] > 0.5).sum())))      # at most half of the heads
for name, heads in (("nothing", []), ("heads that look back", ranking[:n]),
                    ("as many others", ranking[-n:])):
    print(f"{name:22}{without_heads(two_layers, 0, heads):4.0f} % right")

# %% [markdown]
# The same on all three seeds, *recorded*:

# %% tags=["figure"]
silenced = {name: [run["silenced"][name] for run in pair_runs if run["layers"] == 2] for name in ("nothing", "heads that look back", "as many others")}
bars(silenced, x="repeated values right (%)", fmt=".0f", height=2.2, reference={"one layer": sum(run[-1] for run in by_depth[1]) / 3},
     alt="Repeated values right with heads of layer 0 silenced, three seeds: " + "; ".join(f"{name} {min(a):.0f} to {max(a):.0f} %" for name, a in silenced.items()) + ".")

# %% [markdown]
# Without the two heads that look back most, two of the three models fall to about where one layer stands. The third keeps 45 %: it has a third head with more than half its weight on the token before, which we left on. Without as many others nothing happens. So the story is not only a picture: the second layer's copying *depends* on the first layer's looking back. (In layer 1 all four heads learned the same job. Silence one of them and you may see nothing at all, which does not mean that it does nothing.)
#
# ### What a longer context buys (*optional*)
#
# *Recorded, three seeds.* Here the context length itself is varied, every model trained on the same number of characters with the same recipe, and judged on the choose and report splits together in separate windows.

# %%
sweep = recorded("context_length")["results"]
contexts = sorted({row["context"] for row in sweep})
by_context = [[row["val_loss"] / math.log(2) for row in sweep if row["context"] == c]
              for c in contexts]                        # (contexts, seeds)

# %% tags=["figure"]
table([{"context length": c, "bits per character": sum(b) / 3, "range": f"{min(b):.2f} to {max(b):.2f}"} for c, b in zip(contexts, by_context)], fmt={"bits per character": ".2f"})

# %% [markdown]
# Doubling helps most at the short end; from 32 on each doubling is worth a few hundredths of a bit *at this size and budget*. Part of even that is the way of judging: a longer window has fewer poorly informed characters at its beginning.

# %% [markdown]
# ## VII. Letting it write
#
# The model gives a probability for every next character. To write: draw one, append it, ask again. Drawing each token given all earlier ones is called *ancestral sampling*. Step by step, with our GPT:

# %% tags=["diagram"]
def writing(n, prompt="The king", temperature=0.7):
    ids, generator, frames, alts = tokenizer.encode(prompt), torch.Generator().manual_seed(4), [], []
    for _ in range(n):
        with torch.no_grad():
            p = (gpt(torch.tensor([ids]))[0, -1] / temperature).softmax(dim=-1)
        drawn, top = torch.multinomial(p, 1, generator=generator).item(), p.topk(5)
        symbols = [tokenizer.decode([i]).replace(" ", "␣").replace("\n", "↵") for i in top.indices.tolist()]
        drawn_symbol = tokenizer.decode([drawn]).replace(" ", "␣").replace("\n", "↵")
        sheet = Diagram(6, 4.6)
        sheet.box(3, 4.0, "…" + tokenizer.decode(ids)[-16:].replace("\n", "↵"), w=5.2, h=0.7, color="grey")
        sheet.arrow(sheet.box(1.2, 2.0, "GPT", w=1.5, h=1.0, color="blue"), (2.75, 2.0))
        sheet.arrow((1.2, 3.6), (1.2, 2.55))
        for j, (symbol, chance) in enumerate(zip(symbols, top.values.tolist())):
            sheet.box(3.3 + 0.85 * chance, 3.15 - 0.52 * j, "", w=0.2 + 1.7 * chance, h=0.34, color="orange" if symbol == drawn_symbol else "grey")
            sheet.label(2.95, 3.15 - 0.52 * j, symbol, mono=True)
            sheet.label(5.6, 3.15 - 0.52 * j, f"{chance:.2f}", size=11)
        sheet.label(3.0, 0.25, f"drawn: {drawn_symbol}  (appended; ask again)", color="orange", bold=True)
        frames, ids = [*frames, sheet], [*ids, drawn]
        alts.append(f"Given {tokenizer.decode(ids[:-1])!r} the five likeliest characters are {', '.join(f'{s} {c:.2f}' for s, c in zip(symbols, top.values.tolist()))}; {drawn_symbol} is drawn and appended.")
    return frames, alts


frames, alts = writing(10)
steps(frames, alt=alts, panels=[0, 1], name="character", start=1)

# %% [markdown]
# Every character costs one pass through the whole model, over everything so far; lecture 04 saves most of that. Note that the drawn character need not be the likeliest. Two dials change the drawing and leave the model as it is:
#
# - **temperature** $\tau$ divides the logits before the softmax: below 1 the likely gets likelier, above 1 everything becomes possible;
# - **top-k** keeps only the $k$ most likely tokens, **top-p** the smallest set that holds probability $p$ (Holtzman et al., 2020).

# %%
def next_character(logits, temperature=1.0, top_k=None, generator=None):
    """One draw from (V,) logits: keep the top k, divide by the temperature, softmax."""
    if top_k is not None:
        least = logits.topk(top_k).values[-1]
        logits = logits.masked_fill(logits < least, float("-inf"))
    chances = (logits / temperature).softmax(dim=-1)
    return torch.multinomial(chances, 1, generator=generator)


from llmlib.infer import sample_next

with torch.no_grad():
    logits = gpt(torch.tensor([tokenizer.encode("wherefore art tho")]))[0, -1]
for seed in range(50):                                  # the same draw for every seed
    a, b = (torch.Generator().manual_seed(seed) for _ in range(2))
    assert next_character(logits, 0.7, 5, a).item() == sample_next(
        logits, temperature=0.7, top_k=5, generator=b).item()

# %%
poll("With top-k = 1, generation from a fixed prompt",
     ["always gives the same text, and can fall into a loop", "is random, but conservative", "is the same as temperature 1", "gives the most probable whole text"],
     "Keeping one candidate leaves nothing to draw: this is greedy decoding, the limit of the temperature going to 0. It takes the likeliest next character each time, which is not the likeliest text (that would need a search); and since the same window always gives the same continuation, a window that comes back closes a cycle.")

# %% [markdown]
# **Move the temperature and read.** At which setting would you publish?

# %% tags=["diagram"]
def written_at(temperature):
    return "JULIET:\n" + generate(gpt, "JULIET:\n", tokenizer=tokenizer, max_new_tokens=90, temperature=temperature,
                                  sliding=True, generator=torch.Generator().manual_seed(7))


explore(written_at, temperature=(0.1, 1.6, 0.1), panels=[0.2, 0.8, 1.4])

# %% [markdown]
# Cold, it repeats the few words it is surest of; hot, it spells words that never were. No temperature makes it mean anything: the dial trades variety against safety and adds no knowledge.
#
# ## VIII. The same blocks, a thousand times larger
#
# GPT-2 (Radford et al., 2019) is what you have just built, with LayerNorm for RMSNorm, biases, and one matrix used both to embed tokens and to score them. HLT's slide gives four sizes. We can count them without allocating a weight: per layer $12 d^2$ for the matrices (attention $4d^2$, MLP $8d^2$) and $13 d$ for biases and norms, plus the embeddings.

# %%
# NBVAL_CHECK_OUTPUT
from llmlib.model import count_parameters

SLIDE = {"gpt2": 117, "gpt2-medium": 345, "gpt2-large": 762, "gpt2-xl": 1542}


def by_hand(vocab, context, n_layers, d):
    """GPT-2's parameters: embeddings, layers, last LayerNorm."""
    return vocab * d + context * d + n_layers * (12 * d * d + 13 * d) + 2 * d


print("model         layers   d_model   counted          on the slide")
for name, millions in SLIDE.items():
    c = preset(name)
    n = count_parameters(c)
    assert n == by_hand(c.vocab_size, c.max_seq_len, c.n_layers, c.d_model)
    print(f"{name:12} {c.n_layers:7} {c.d_model:9} {n:15,} {millions:8}M")

# %% [markdown]
# None of the four agrees: the true counts are 1 to 6 % larger. The released model's own page says the original numbers "were wrong due to an error", and does not say which. Let us look for one. The difference is largest, in proportion, for the smallest model, which suggests the *embedding*, the part that grows slowest. GPT-2's vocabulary has 50,257 tokens; its predecessor's, GPT-1's, had 40,478.
#
# **Predict:** what does the count become if someone forgot to update the vocabulary?

# %%
# NBVAL_CHECK_OUTPUT
sizes = [preset(name) for name in SLIDE]


def in_millions(vocab):
    return [round(by_hand(vocab, 1024, c.n_layers, c.d_model) / 1e6) for c in sizes]


gpt1_vocab = preset("gpt1").vocab_size
recount = in_millions(gpt1_vocab)
slide = [*SLIDE.values()]
fits = [vocab for vocab in range(30_000, 60_000) if in_millions(vocab) == slide]
print(f"with GPT-1's vocabulary of {gpt1_vocab:,}: {recount}; on the slide: {slide}")
print(f"vocabularies that give the slide's four numbers: {fits[0]:,} to {fits[-1]:,}")

# %% [markdown]
# GPT-1's vocabulary gives all four. How strong is that evidence? It is *one* number fitted to four, and any vocabulary between the two printed bounds would do as well: a stretch of about 350. That an existing vocabulary falls into so short a stretch is a good reason to suspect it, and we found no statement of the authors, so call it a reconstruction. The name stuck: people say "GPT-2 117M" for a model with 124 million parameters.
#
# ### Where do the parameters sit? (*optional*)
#
# **Look for** the part that dominates at the top and vanishes at the bottom.

# %% tags=["diagram"]
from llmlib.model import parameter_table

parts = {}
for name in ("gpt2", "gpt2-xl", "gpt3"):
    counted = dict(parameter_table(preset(name)))
    parts[name] = {part: 100 * n / sum(counted.values()) for part, n in counted.items()}
table([{"model": name, **{f"{part}, %": parts[name].get(part, 0.0) for part in parts["gpt2"]}} for name in parts], fmt=".1f")

# %% [markdown]
# Attention gave the architecture its name, but two thirds of a large GPT's parameters are in the MLPs. (Positions and norms hardly show.)
#
# ### One model, many tasks (*optional*)
#
# 11-785 puts the idea behind GPT-2 in one line: from $P(\text{output} \mid \text{input})$ to $P(\text{output} \mid \text{input}, \text{task})$, with the task written as text like everything else. Two models are trained on a mixture of two tasks, the larger and the smaller of two digits. One is told which, in one extra token; the other is not.

# %%
def two_task_batch(n, told, generator):
    """Rows [task, digit, digit] and the smaller (task 0) or larger (task 1) digit."""
    digits = torch.randint(10, (n, 2), generator=generator)
    task = torch.randint(2, (n,), generator=generator)
    answer = torch.where(task.bool(), digits.amax(dim=1), digits.amin(dim=1))
    first = 10 + task if told else torch.full((n,), 12)
    return torch.cat([first[:, None], digits], dim=1), answer


def train_two_tasks(told, seed, n_steps=60):
    torch.manual_seed(seed)
    generator, model = torch.Generator().manual_seed(seed), GPT(13, 3, 1, 32, 4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(n_steps):
        ids, answer = two_task_batch(128, told, generator)
        loss = F.cross_entropy(model(ids)[:, -1], answer)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    ids, answer = two_task_batch(2000, told, generator)
    with torch.no_grad():
        right = model(ids)[:, -1].argmax(dim=-1) == answer
    return 100 * right.double().mean().item()


told_right = {told: [train_two_tasks(told, seed) for seed in range(3)]
               for told in (False, True)}

# %% tags=["figure"]
table([{"": name, "answers right on three seeds, %": ", ".join(f"{a:.0f}" for a in told_right[told])} for name, told in (("not told the task", False), ("told, in one token", True))])

# %% [markdown]
# The untold model is not stupid: it knows that the answer is one of the two digits and cannot know which. One token of description removes the doubt. GPT-2's bet was that ordinary text contains such descriptions ("in French: …", "TL;DR") often enough to learn them without anyone labelling tasks; what such a model can pick up from examples in its context alone is lecture 10's subject. <!-- promise: 10-in-context-learning -->
#
# ## Scale warning
#
# > **What this lecture's models can and cannot tell you.** The mechanisms are exact at any size: a mask that leaks here leaks in GPT-3, and a softmax over scores of spread 11 is nearly a hard choice everywhere. The *ablations* are not: what one head, or no positions, or no division costs was measured on small models, briefly trained; larger ones may care more or less. Half a million parameters trained on a million characters learn spelling and layout, and nothing of meaning, facts or instructions. That a table of counts is hard to beat is a fact about a *million characters and two minutes*: the table stops improving with context at six characters, and a transformer profits from thousands of tokens and from text a table cannot hold (lecture 08 measures how). <!-- promise: 08-sizes --> Our induction head was grown in a garden, on a task that asks for nothing else; lecture 09 looks for its wild relatives in models of text. <!-- promise: 09-induction-heads -->
#
# ## Claims
#
# What the source lectures say about this topic, against what the papers say and what you have just measured.

# %%
claims_table([
    Claim("GPT-2's sizes are 117M, 345M, 762M and 1542M parameters",
          "Radford et al. (2019), table 2, prints the same; the released code's page withdraws them",
          "counted: " + ", ".join(f"{count_parameters(preset(n)) / 1e6:.0f}M" for n in SLIDE)
          + "; GPT-1's vocabulary would give the slide's four numbers",
          "fails", source="hlt"),
    Claim("as it processes each subword, it masks the future words",
          "Vaswani et al. (2017): illegal connections are set to minus infinity before the softmax",
          f"influence of the future: 0 masked before the softmax, "
          f"{moved['after the softmax'].triu(1).max():.1f} masked after it",
          "holds; if it is done before the softmax", source="hlt",
          rule=moved["before the softmax"].triu(1).max() == 0
          and moved["after the softmax"].triu(1).max() > 0.1),
    Claim("language models are self-supervised",
          "Radford et al. (2018): the text itself is the target",
          f"without a label: {bigram_bits:.2f} bits (bigram), {gpt_bits:.2f} (GPT, seconds), "
          f"{kneser_ney_some:.2f} (table), {mixed_bits:.2f} (both)",
          "holds", source="hlt", split="report",
          rule=mixed_bits < kneser_ney_some < gpt_bits < bigram_bits),
    Claim("a decoder-only transformer is just the decoder of a transformer",
          "Liu et al. (2018) drop the encoder and with it the attention to it",
          "our block has one attention layer; a translation decoder's has two",
          "holds; without the decoder's cross-attention", source=["day24", "hlt"]),
    Claim("the number of tokens in the input is the context length",
          "usually the largest number a model accepts",
          f"one model works from 1 character ({means['1']:.2f} bits) to 64 ({means['33-64']:.2f})",
          "holds; as an upper limit", source="day24", split="report",
          rule=means["33-64"] < means["1"]),
    Claim("P(output | input) becomes P(output | input, task)",
          "Radford et al. (2019), section 2",
          f"right: {sum(told_right[False]) / 3:.0f} % not told the task, "
          f"{sum(told_right[True]) / 3:.0f} % told (3 seeds)",
          "holds; on two toy tasks", source="11785",
          rule=min(told_right[True]) > max(told_right[False])),
])

# %% [markdown]
# ## Summary
#
# 1. Attention is a weighted average whose weights come from what each position asks (query) and offers (key). Dividing by $\sqrt{d_h}$ makes the *start* independent of the head's width; whether training needs it depends on how it starts.
# 2. The causal mask goes in front of the softmax; without it training looks wonderful and generation is noise.
# 3. Heads are slices of the width. A single causal layer cannot tell the order of what it reads; two can, and a position table makes it easy. Without the residual path our stack learned nothing but letter frequencies, while its MLPs alone learned more.
# 4. A GPT is embeddings, a stack of such blocks, and a score for every next token. In two minutes of a laptop it does not beat Kneser-Ney's 2.2 bits on this text, in a few more and with twice the context it just does; mixed into the table, even a briefly trained one improves it a little.
# 5. Two layers of attention can do what one cannot: copy what followed last time. And GPT-2 small has 124 million parameters; "117M" fits a stale vocabulary.
#
# **Still unexplained.** Why does a learned position table stop dead at 64 characters, and what would not? Which of the ingredients that made training fast mattered? Every new character recomputes the whole window: can that be avoided? Lecture 04 takes these up.
#
# ## Exercises
#
# *Lab 03* builds on this page: attention, the mask, heads, a block and a GPT of your own, graded; a training run to diagnose; and an open challenge: the lowest validation loss in 60 seconds of CPU.
#
# 1. By hand: in the example of part II, give token 2 the query $(0, -1)$. Which way does its output move? What happens to all outputs if every key is doubled?
# 2. Replace `softmax` by `relu` divided by the number of positions in `attention`. Does the lookup task still work? Does the GPT?
# 3. Plant an off-by-one mask (`tril(diagonal=1)`). How does the loss curve look, and how the influence map?
# 4. Let the share of the mixture in part V depend on whether the table has seen its five-character context. How far below 2.2 bits can you get?
# 5. Give the untold generalist three worked examples in its context, and train it so that it can infer the task from them.
#
# ## Further reading
#
# Bahdanau, Cho and Bengio (2015), *Neural machine translation by jointly learning to align and translate*. Vaswani et al. (2017), *Attention is all you need*. Radford et al. (2018), *Improving language understanding by generative pre-training*; Radford et al. (2019), *Language models are unsupervised multitask learners*. Zhang and Sennrich (2019), *Root mean square layer normalization*. Dong, Cordonnier and Loukas (2021), *Attention is not all you need: pure attention loses rank doubly exponentially with depth*. Holtzman et al. (2020), *The curious case of neural text degeneration*. Elhage et al. (2021), *A mathematical framework for transformer circuits*; Olsson et al. (2022), *In-context learning and induction heads*. And, for another path through the same ground: Alammar, *The illustrated transformer*; Karpathy, *Let's build GPT*; Lippe, *UvA deep learning tutorials*, number 6.
