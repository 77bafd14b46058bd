# %% [markdown]
# # 07 · Pre-training: data, optimizers, precision, many devices, energy
#
# **The question of this lecture.** A base model is a Transformer, a heap of text and a great many multiplications. *Where does the text come from, what moves the weights, and what does it cost, in memory, in days, in dollars and in grams of CO2?*
#
# Lecture 03 left a debt: its recipe was several times faster than a plain one, and it did not say why. Here its ingredients are taken out one at a time. Everything else on this page is either an experiment of seconds or an arithmetic that you can redo on paper for a model of any size.
#
# **Afterwards you can**
# - say what a filter throws away, rightly and wrongly, find near-duplicates without comparing all pairs, and split a corpus so that the held-out part is held out;
# - write SGD, AdamW, Muon and SOAP, and race them fairly;
# - choose a schedule, a batch, a number format, and name the error each wrong choice makes;
# - compute the FLOPs, the memory and the messages of a training run, and check a slide that says "6k GPUs, 12 days, \$2M";
# - estimate the energy and CO2 of a run or a query, and say which of the numbers in the estimate you do not know.
#
# **Before this:** lecture 03 (a GPT and its training loop); lecture 04 for the names of its parts.
#
# **Time:** core 144 minutes, optional 10 minutes; two classes (parts I to IV, then V to X). Run the optional cells even if you skip their text: later ones use what they define. All cells together: under a minute of computing on a laptop CPU.
#
# <!-- sources: analytics, day24, hlt -->

# %%
import hashlib
import itertools
import math
import time
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from courseware import Claim, Diagram, bars, claims_table, curves, explore, panels
from courseware import poll, setup_style, show, steps, table
from llmlib.data import (minhash, near_duplicates, prose, quality_flaws, random_batch,
                         recorded, split_documents, split_text, tiny_shakespeare)
from llmlib.model import Transformer, count_parameters, flops_per_token, preset
from llmlib.text import CharTokenizer
from llmlib.train import (SGD, SOAP, AdamW, EnergyMeter, Muon, Trainer,
                          accumulate_gradients, co2_grams, cosine_schedule,
                          matmul_peak, memory_plan, mfu, orthogonalize,
                          train_preset, training_joules, wsd_schedule)

setup_style(compact=True)
torch.manual_seed(0)
meter = EnergyMeter()
meter.__enter__();                                      # read again in part X

# %% [markdown]
# ## I. What is in a corpus
#
# Business Analytics begins its recipe for a base model with "download large scale text data (~10 TB)". Our heap is a millionth of that, small enough to look at. Looking is the step that is most often left out.

# %%
documents = prose()
sources = {}
for document in documents:
    sources.setdefault(document.source, []).append(document)
web, tales = sources["web"], sources["tales"]
wikipedia = sources["wikipedia"][:3000]                 # enough for what follows
for number in (1, 139, 242):
    print(f"web page {number}: {web[number].text[:150]!r}\n")

# %% tags=["figure"]
table([{"source": name, "documents": len(part), "characters": sum(len(d.text) for d in part), "characters a document": sum(len(d.text) for d in part) // len(part)} for name, part in sources.items()])

# %% [markdown]
# Seven eighths of the characters are encyclopedia, a sixteenth is web. In the corpora of large models it is the other way round: the Common Crawl made up 60 % of GPT-3's training mix and Wikipedia 3 % (Brown et al., 2020, table 2.2). And a page of the web can be what the second one above is: a list made by a program to be found by a search engine.
#
# ### Filters, and whom they hit
#
# Nobody can read a trillion words, so rules do it: at least so many words, not too many symbols, some common words, little repetition (Gopher's, Rae et al., 2021). Two of them, written out:

# %%
COMMON = set("the be to of and that have with".split())


def few_common_words(text):
    """True if fewer than two different ones of eight common words occur."""
    return len(COMMON & set(text.lower().split())) < 2


def repeated_lines(text):
    """True if more than 30 % of the lines have occurred before in the text."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return len(lines) > 2 and len(lines) - len(set(lines)) > 0.3 * len(lines)


for document in web + tales:
    flaws = quality_flaws(document.text)                # names of the rules it breaks
    assert ("common words" in flaws) == few_common_words(document.text)
    assert ("repeated lines" in flaws) == repeated_lines(document.text)

# %%
poll("The rule on repeated lines drops every text in which more than 30 % of the lines have occurred before. Which text of our corpus does it drop?",
     ["a fairy tale with a refrain", "a page that lists telephone numbers, one a line", "an advertisement for a house in capital letters", "a list of questions about one actor"],
     "The telephone page says the same on every line except for the number, so that no line *repeats*; another rule, on repeated words, gets it. A tale whose frog knocks and says its verse three times repeats lines to the letter. A rule measures what it measures, and the name somebody gave it is a hope.")

# %% tags=["diagram"]
judged = [(d, quality_flaws(d.text)) for d in web + tales + wikipedia]
for chosen in ("web", "tales", "wikipedia"):
    dropped = [(d, f) for d, f in judged if d.source == chosen and f]
    table([{"dropped": (d.text if chosen == "web" else d.group)[:60].replace("\n", " "), "rules broken": ", ".join(f)} for d, f in ([dropped[i] for i in (1, 4, 6, 7, 8, 11)] if chosen == "web" else dropped[:5])],
          caption=f"{chosen}: {len(dropped)} of {sum(d.source == chosen for d, _ in judged)} documents dropped, for example")

# %% [markdown]
# Of the web pages the rules drop what we would drop (telephone numbers, a keyword heap) and also a plain description of a porcelain sign, which happens to be short of *of* and *to*. Of the tales they drop five, the Frog Prince among them, for their verses (this file breaks lines at verses and ends of paragraphs only, so that a refrain is a large share of the lines). Of Wikipedia they drop single sentences that are perfectly good and merely short.
#
# So every filter is a decision about *whose* text a model learns. Rules written for the web are wrong for verse, lists, dialects and other languages; that is why our library lets you name sources that no rule judges, and why a filter's victims should be read before it runs over everything.
#
# ### Duplicates
#
# Copies waste computing, teach the model to recite (which lecture 09 measures), and above all they get into both sides of a split. <!-- promise: 09-copying-against-duplication --> Exact copies are easy to find, by a hash. For *near* copies cut each text into **shingles**, the runs of five words it contains, and compare the two sets $A$ and $B$:
#
# $$J(A, B) \;=\; \frac{|A \cap B|}{|A \cup B|} \qquad \text{(Jaccard similarity).}$$
#
# A billion documents have half a quintillion pairs. **MinHash** (Broder, 1997) makes each set into a short signature that can be compared instead. Put all possible items in a random order and note, for each set, which of its items comes first. With what probability do $A$ and $B$ note the same one?
#
# **With a pencil:** $A = \{a, b, c\}$ and $B = \{b, c, d\}$ have $J = 2/4$. In the order $b, d, a, c$ both note $b$. In $a, b, c, d$ one notes $a$, the other $b$. In general the first of *all four* items decides: if it lies in both sets (here $b$ or $c$) the notes agree, otherwise they do not. So the probability is 2 in 4, which is $J$.

# %% tags=["diagram"]
d = Diagram(12, 3.5)
d.label(2.2, 3.25, "random orders of all items")
d.matrix(2.2, 1.6, [list("bdac"), list("abcd"), list("cadb"), list("dbca")], rows=["1", "2", "3", "4"], cell=0.62, color="grey")
d.label(5.7, 3.25, "first of $\\{a,b,c\\}$")
d.vector(5.7, 1.6, list("bacb"), vertical=True, cell=0.62, color="blue")
d.label(8.8, 3.25, "first of $\\{b,c,d\\}$")
d.vector(8.8, 1.6, list("bbcd"), vertical=True, cell=0.62, color="orange")
for y, word in zip((2.53, 1.91, 1.29, 0.67), ("agree", "differ", "agree", "differ")):
    d.label(11.0, y, word, color="green" if word == "agree" else "black")
d.arrow((3.8, 1.6), (5.1, 1.6))
d.show(alt="Four random orders of the items a, b, c, d; the first item of A and of B in each order. They agree in two of the four orders, and the Jaccard similarity of A and B is one half.")

# %% [markdown]
# A hash function with random numbers in it serves as a random order: the smallest hash comes first. A signature holds 128 such minima.

# %%
def signature(items, n_hashes=128, seed=0):
    """The least hash of a set of strings under each of n_hashes random functions."""
    hashes = [int.from_bytes(hashlib.blake2b(item.encode(), digest_size=8).digest(),
                             "little") for item in items]
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 1 << 64, (2, n_hashes, 1), dtype=np.uint64)
    a = a | np.uint64(1)                                # odd, so that nothing collides
    return (a * np.array(hashes, np.uint64) + b).min(axis=1)    # modulo 2 ** 64


A, B = set("abc"), set("bcd")
np.testing.assert_array_equal(signature(A), minhash(A))
orders = list(itertools.permutations("abcd"))
first = [[next(x for x in order if x in items) for items in (A, B)] for order in orders]
agree = sum(a == b for a, b in first)
print(f"all {len(orders)} orders: agree in {agree}; "
      f"128 hashes: {np.mean(signature(A) == signature(B)):.2f}")

# %% [markdown]
# The estimate's standard deviation is $\sqrt{J(1-J)/128}$, here 0.04. To avoid comparing all pairs, only those documents are looked at that agree in all four places of one of 32 parts of their signatures; the library does that. On 3,000 Wikipedia passages, each of which somebody asked a question about:

# %%
groups = near_duplicates([d.text for d in wikipedia])   # lists of indices
twins = {i: set(group) for group in groups for i in group}
print(f"{len(groups)} groups of near-duplicates, {len(twins)} passages; one pair:")
one, other = (wikipedia[i].text for i in groups[2][:2])
same_until = next(k for k in range(len(one)) if one[k] != other[k])
for text in (one, other):
    print(f"  ...{text[max(0, same_until - 40) : same_until + 60]!r}...")


def leaked(pool):
    """Held-out passages that have a near-duplicate in training, and all held out."""
    parts = split_documents(pool, {"train": 0.9, "held out": 0.1})
    place = {id(d): i for i, d in enumerate(pool)}
    train = {place[id(d)] for d in parts["train"]}
    held_out = [place[id(d)] for d in parts["held out"]]
    return sum(bool(twins.get(i, set()) & train) for i in held_out), len(held_out)


by_passage = leaked([replace(d, group=str(i)) for i, d in enumerate(wikipedia)])
by_article = leaked(wikipedia)
for name, (leaks, n) in (("passage", by_passage), ("article", by_article)):
    print(f"split by {name}: {leaks} of {n} held-out passages have a twin in training")

# %% [markdown]
# The passages of one article were edited between two questions, and the copies are not equal: a hash of the whole text misses them. Split passage by passage, a few of the held-out ones have a twin in training, and the loss on them measures memory. Split by *article* none has, here, since twins are mostly versions of one article. That is luck of this corpus: the copies of a press release on two web sites have no title in common. Removing the near-duplicates **before** the split does not depend on luck, as far as they are found. The order is: filter, remove near-duplicates, split by document, and only then tokenise and pack.
#
# ## II. The loss
#
# The rest of the page minimises one number: with $\theta$ for all weights, the mean surprise over all tokens of a batch,
#
# $$L(\theta) \;=\; -\frac{1}{n}\sum_{i=1}^{n} \ln p_\theta(x_i \mid x_{<i}), \qquad n = \text{targets in the batch}.$$
#
# Documents are put one behind the other, each closed by an end-of-text token, and cut into rows of $T$ tokens, so that no position is wasted on padding. The loss is in nats per *token* and depends on the tokenizer; across tokenizers compare bits per byte (lecture 02). Note the $n$: it is the number of targets in the whole batch. It comes back in part V.
#
# ## III. What moves the weights
#
# ### One rate for all directions
#
# Gradient descent (Robbins and Monro, 1951) goes against the gradient: $w \leftarrow w - \eta\, \nabla L(w)$, with learning rate $\eta$. Its trouble can be seen on the simplest valley there is. Let the loss be $\tfrac12(\lambda_1 a^2 + \lambda_2 b^2)$, with curvatures $\lambda_1 = 1$ and $\lambda_2 = 50$. Each step multiplies
#
# $$a \leftarrow (1 - \eta\lambda_1)\, a, \qquad b \leftarrow (1 - \eta\lambda_2)\, b.$$
#
# **By hand:** with $\eta = 0.04$ the steep coordinate becomes $(1 - 2)\,b = -b$: it jumps from wall to wall for ever, and above 0.04 it explodes. With $\eta = 0.02$ it is solved in one step, and the flat coordinate still has $0.98^{100} = 13\,\%$ of its error after a hundred. The steepest direction sets the rate and the flattest pays for it.
#
# Momentum averages the zigzag away. **Adam** (Kingma and Ba, 2015) goes further: it divides each *coordinate's* mean gradient by that coordinate's typical size, so that steep and flat move alike. AdamW takes the weight decay out of the gradient (Loshchilov and Hutter, 2019), so that it is not divided as well.

# %%
def sgd(g, state, lr, momentum=0.9):
    """The step of gradient descent with momentum."""
    state["b"] = momentum * state.get("b", 0) + g
    return lr * state["b"]


def adam(g, state, lr, beta1=0.9, beta2=0.95, eps=1e-8):
    """The step of Adam: mean over root mean square, each coordinate by itself."""
    t = state["t"] = state.get("t", 0) + 1
    m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g * g
    m, v = m / (1 - beta1**t), v / (1 - beta2**t)       # both started at 0: undo that
    return lr * m / (v.sqrt() + eps)


def follow(step, gradient, w, n, **settings):
    """The n + 1 points of a descent."""
    state, path = {}, [w]
    for _ in range(n):
        path.append(path[-1] - step(gradient(path[-1]), state, **settings))
    return torch.stack(path)


def library(make, gradient, w, n):
    """The same with an optimizer of the library."""
    w = torch.nn.Parameter(w.clone())
    optimizer, path = make([w]), [w.detach().clone()]
    for _ in range(n):
        w.grad = gradient(w.detach())
        optimizer.step()
        path.append(w.detach().clone())
    return torch.stack(path)

# %%
g = torch.Generator().manual_seed(7)
# In double precision: in single, rounding alone takes two SOAPs apart from some starts.
curved, W0 = (torch.randn(6, n, generator=g).double() for n in (6, 4))
left = curved @ curved.T / 6
right = torch.diag(torch.tensor([1.0, 3.0, 9.0, 27.0]).double())


def matrix_gradient(W):
    """Of tr(Wᵀ left W right) / 2, a valley in which the rows of W hang together."""
    return left @ W @ right


def same(step, make, n=25, **settings):
    torch.testing.assert_close(follow(step, matrix_gradient, W0, n, **settings),
                               library(make, matrix_gradient, W0, n),
                               rtol=1e-3, atol=1e-4)


same(sgd, lambda w: SGD(w, lr=0.01), lr=0.01)
same(adam, lambda w: AdamW(w, lr=0.05, betas=(0.9, 0.95), weight_decay=0), lr=0.05)

# %% [markdown]
# Adam's weakness is in the word *coordinate*. Turn the valley, and no coordinate is steep or flat any more. **Predict:** with the slider at 45°, which of the two paths keeps its shape?

# %% tags=["diagram"]
def valley_paths(angle, rate=0.1):
    turn = math.radians(angle)
    R = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    H = R @ torch.diag(torch.tensor([1.0, 50.0])) @ R.T
    start, n = R @ torch.tensor([-2.0, 0.6]), 40
    runs = {"SGD": follow(sgd, lambda w: H @ w, start, n, lr=0.02, momentum=0.0),
            "Adam": follow(adam, lambda w: H @ w, start, n, lr=rate),
            "Adam, turned": follow(lambda g, s, lr: R @ adam(R.T @ g, s, lr), lambda w: H @ w, start, n, lr=rate)}
    fig, ax = plt.subplots(figsize=(3.5, 2.9))
    x, y = torch.meshgrid(torch.linspace(-2.6, 1.6, 80), torch.linspace(-2.2, 2.0, 80), indexing="xy")
    z = 0.5 * (H[0, 0] * x * x + 2 * H[0, 1] * x * y + H[1, 1] * y * y)
    ax.contour(x, y, z.sqrt(), levels=9, colors="0.8", linewidths=0.8)
    for (name, path), color in zip(runs.items(), ("#999999", "#D55E00", "#0072B2")):
        loss = 0.5 * path[-1] @ H @ path[-1]
        ax.plot(*path.T, ".-", color=color, markersize=3, linewidth=1, label=f"{name}: {loss:.1g}")
    ax.legend(fontsize=8.5, loc="upper right", title="loss after 40 steps", title_fontsize=8.5)
    ax.set(xlabel="first weight", ylabel="second weight", title=f"valley turned by {angle}°", xlim=(-2.6, 1.6), ylim=(-2.2, 2.0))
    return fig


explore(valley_paths, angle=(0, 90, 15), rate=[0.03, 0.1, 0.3], panels=[dict(angle=0, rate=0.1), dict(angle=45, rate=0.1)],
        alt="Paths of SGD, of Adam and of Adam in turned coordinates in a valley fifty times steeper one way. Where the valley lies along an axis the two Adams coincide; where it is turned by 45 degrees plain Adam swings from side to side and only the turned one goes the same way as before.")

# %% [markdown]
# Turned with the valley, Adam walks exactly the path it walked before. Gradient descent does not care about the angle either (it does not know what a coordinate is), and is slow at every angle. Plain Adam cares: what it divides by is a mixture of steep and flat.
#
# ### SOAP: Adam in better coordinates
#
# Which way is the valley turned? For a weight *matrix* with gradient $G$, Shampoo (Gupta et al., 2018) keeps what rows have in common and what columns have, and **SOAP** (Vyas et al., 2024) runs Adam in the eigenvectors of these:
#
# $$L = \overline{G G^\top} = Q_L \Lambda_L Q_L^\top, \qquad R = \overline{G^\top G} = Q_R \Lambda_R Q_R^\top, \qquad \Delta W = -\eta\; Q_L\, \mathrm{Adam}\!\left(Q_L^\top G\, Q_R\right) Q_R^\top .$$

# %% tags=["diagram"]
d = Diagram(12, 2.5)
g_ = d.box(1.2, 1.5, "gradient\n$G$", w=1.8, h=1.0, color="grey")
turned = d.box(4.4, 1.5, "turned\n$Q_L^\\top G\\,Q_R$", w=2.2, h=1.0, color="blue")
a_ = d.box(7.6, 1.5, "Adam, each\nentry by itself", w=2.2, h=1.0, color="orange")
back = d.box(10.8, 1.5, "turned back\n$Q_L(\\cdot)Q_R^\\top$", w=2.0, h=1.0, color="blue")
d.arrow(g_, turned)
d.arrow(turned, a_)
d.arrow(a_, back)
d.label(6.0, 0.45, "$Q_L$, $Q_R$: eigenvectors of the running means of $GG^\\top$ and $G^\\top G$", size=11)
d.show(alt="The gradient is turned into the eigenvectors of its row and column statistics, Adam acts there entry by entry, and the result is turned back.")

# %%
def soap(g, state, lr, beta=0.95, eps=1e-8, refresh=10):
    """The step of SOAP for one matrix. The first gradient only fills L and R."""
    n = state["n"] = state.get("n", -1) + 1
    for side, gram in (("L", g @ g.mT), ("R", g.mT @ g)):
        state[side] = state.get(side, 0) + (1 - beta) * (gram - state.get(side, 0))
        if n == 0:
            state["Q" + side] = torch.linalg.eigh(state[side]).eigenvectors.flip(-1)
        elif n % refresh == 0:                          # one step of power iteration
            state["Q" + side] = torch.linalg.qr(state[side] @ state["Q" + side]).Q
    if n == 0:
        return torch.zeros_like(g)
    QL, QR = state["QL"], state["QR"]
    m = state["m"] = beta * state.get("m", 0) + (1 - beta) * g
    v = state["v"] = beta * state.get("v", 0) + (1 - beta) * (QL.mT @ g @ QR) ** 2
    m, v = QL.mT @ m @ QR / (1 - beta**n), v / (1 - beta**n)
    return lr * QL @ (m / (v.sqrt() + eps)) @ QR.mT


same(soap, lambda w: SOAP(w, lr=0.05), lr=0.05)

# %% [markdown]
# ### Muon: all directions alike
#
# **Muon** (Jordan et al., 2024) asks for less: no memory of squares at all. Write the momentum as $M = U \Sigma V^\top$, singular values in $\Sigma$: a few large ones, many small. Replace them all by 1 and step along $UV^\top$. What the gradient says about rare directions then counts as much as what it says about common ones.
#
# A singular value decomposition is slow on accelerators, but a polynomial of matrix products does it: $x \mapsto \tfrac32 x - \tfrac12 x^3$ pushes every number in $(0, 1]$ towards 1, and applied to a matrix as $\tfrac32 X - \tfrac12 X X^\top X$ it does that to each singular value and leaves $U$ and $V$ alone.
#
# **By hand:** start from singular values 0.9 and 0.1. After one step $1.35 - 0.36 = 0.99$ and $0.15 - 0.0005 = 0.15$; after two 1.00 and 0.22; after five 1.00 and 0.66. Slow for the small one: near zero each step only multiplies by $\tfrac32$. Steeper quintics do it in five (the library's are the Polar Express of Amsel et al., 2025).

# %%
from llmlib.train.muon import POLAR_EXPRESS             # five triples (a, b, c)


def muon(g, state, lr, momentum=0.95):
    """The step of Muon for one matrix."""
    M = state["M"] = momentum * state.get("M", 0) + (1 - momentum) * g
    X = (1 - momentum) * g + momentum * M               # Nesterov: look one step ahead
    X = X / (1.01 * X.norm() + 1e-7)                    # no singular value exceeds 1
    for a, b, c in POLAR_EXPRESS:
        S = X @ X.mT
        X = a * X + b * S @ X + c * S @ S @ X
    return lr * max(1, g.size(0) / g.size(1)) ** 0.5 * X


same(muon, lambda w: Muon(w, lr=0.05, momentum_start=0.95), lr=0.05)
M = torch.randn(48, 48, generator=g) @ torch.diag(0.9 ** torch.arange(48.0))
values = [torch.linalg.svdvals(M / M.norm())]
values += [torch.linalg.svdvals(orthogonalize(M, k)) for k in range(1, 6)]
cubic = [torch.tensor([0.9, 0.1])]
for _ in range(5):
    cubic.append(1.5 * cubic[-1] - 0.5 * cubic[-1] ** 3)
print("by hand:", "  ".join(f"{a:.2f} {b:.2f}" for a, b in cubic))
near = [sum(0.5 < value < 1.3 for value in v.tolist()) for v in values]
print(f"of 48 singular values between 0.5 and 1.3: {near[0]} before, {near[-1]} after; "
      f"largest over tenth smallest {values[0][0] / values[0][37]:.0f} before, "
      f"{values[-1][0] / values[-1][37]:.1f} after")

# %% tags=["diagram"]
def spectrum(k):
    fig, ax = plt.subplots(figsize=(3.5, 2.6))
    ax.bar(range(48), values[k], color="#0072B2", width=0.9)
    ax.axhline(1, color="0.4", linestyle=":")
    ax.set(xlabel="singular value, by rank", ylabel="size", ylim=(0, 2.1), title=f"after {k} of 5 polynomials" if k else "the matrix, norm 1")
    return fig


steps([spectrum(k) for k in range(6)], panels=[0, 2, 5], name="polynomial",
      alt=[f"Singular values of a 48 by 48 matrix {'before any step' if k == 0 else f'after {k} polynomials'}: from {values[k].max():.2f} down to {values[k].min():.4f}." for k in range(6)])

# %% [markdown]
# Before, one direction is far ahead of the rest; after five polynomials most of the singular values lie near 1, and only the very smallest are left behind. They need not be exactly 1: a step is a rough indication anyway.
#
# Muon and SOAP are for matrices inside the blocks. Embeddings, the output head and norm gains have rows of very different frequency, or no second dimension; they stay with AdamW in both.

# %% [markdown]
# ## IV. The race
#
# ### A fair one
#
# Optimizer papers are won in the tuning: the newcomer's rate is searched, the old one's copied from somewhere. So: *recorded*, one small GPT (107 thousand parameters, two layers of width 64) on tiny Shakespeare, 300 updates of 1,024 characters. Every contender gets the same four tries, learning rates a factor of three apart, judged on the *choose* split. What is printed is from the *report* split. Embeddings, head and norm gains are moved by AdamW at lecture 03's rates in three of the arms, so that only the hidden matrices' optimizer differs; SGD moves everything, at one rate, as in the textbooks; and *plain* is nanoGPT's recipe with AdamW for everything and nanoGPT's shape.
#
# **Predict** the order of the five, and which of them cares most about its rate.

# %%
race = recorded("pretraining_race")["results"]
NAMES = {"muon": "Muon", "soap": "SOAP", "adamw, matrices": "AdamW", "sgd": "SGD",
         "plain": "plain"}
tried = {label: race["tuning"][name] for name, label in NAMES.items()}
best_rate = {label: race["best"][name] for name, label in NAMES.items()}
runs = {label: race["race"][name] for name, label in NAMES.items()}
again = race["race"]["plain, a third of the rate"]
first_choice = [run["report"] for run in runs["plain"]]
runs["plain"] = min(runs["plain"], again, key=lambda r: sum(run["choose"] for run in r))
final = {label: [run["report"] for run in three] for label, three in runs.items()}
for label, three in final.items():
    print(f"{label:6} rate {runs[label][0]['lr']:.3g}, report split: "
          f"{', '.join(f'{bits:.3f}' for bits in three)}")
print(f"plain at {best_rate['plain']:g}: {', '.join(f'{b:.3f}' for b in first_choice)}")

# %% tags=["diagram"]
rate_curves = {label: ([t["lr"] for t in tries], [min(t["report"] or 5.0, 5.0) for t in tries]) for label, tries in tried.items()}
curves(rate_curves, x="learning rate (log scale)", y="bits per character", log="x", ylim=(2.6, 4.4), height=3.3,
       alt="Bits per character on the report split against the learning rate, one seed, four rates for each. " + " ".join(f"{label}: " + ", ".join(f"{t['report']:.2f} at {t['lr']:g}" for t in tries if t["report"]) + "." for label, tries in tried.items()))

# %% [markdown]
# The best rate of each lies inside its four, not at an end, so none was cut short. Muon is the least particular: over a factor of thirty in its rate it loses a tenth of a bit. SGD is the most: a factor of three too high costs it a whole bit.
#
# These curves are one seed each, and for *plain* that was not enough. Its best rate here, 0.01, reaches 3.33 bits, and with the three other seeds of the race only 3.68 to 3.76. So it was run once more at a third of the rate, where the seeds agree (3.49 to 3.52), and goes on with that: a try more than the others had, in favour of the one we expect to lose. A rate chosen by one seed is in part chosen by luck.

# %% tags=["diagram"]
fig, (left_, right_) = panels(2, titles=["by updates", "by processor time"], share_y=True, height=3.2)
by_step = {label: (three[0]["steps"], [run["curve"] for run in three]) for label, three in runs.items()}
by_time = {label: (np.mean([run["seconds"] for run in three], axis=0).tolist(), [run["curve"] for run in three]) for label, three in runs.items()}
curves(by_step, x="updates", y="bits per character", ylim=(2.6, 4.0), ax=left_, labels=False)
curves(by_time, x="seconds of one core", y="", ylim=(2.6, 4.0), ax=right_)
show(fig, alt="Bits per character of three seeds by updates (left) and by processor seconds (right). After 300 updates: " + ", ".join(f"{label} {np.mean(bits):.2f}" for label, bits in final.items()) + ".")
table([{"": label, "bits, mean of 3 seeds": f"{np.mean(final[label]):.3f}", "range": f"{min(final[label]):.3f} to {max(final[label]):.3f}", "seconds for 300 updates": f"{np.mean([run['seconds'][-1] for run in three]):.0f}"} for label, three in runs.items()])

# %% [markdown]
# By updates Muon leads, SOAP follows, then AdamW, then SGD, and no two ranges overlap. By time the order stays and the leads shrink: on these small matrices an update with Muon takes about a sixth longer than one with AdamW, with SOAP a quarter. (On large matrices and long batches the extra products weigh less.)
#
# And look at the last row. SGD, moving *everything* at one rate, beats nanoGPT's recipe with AdamW. It would be wrong to conclude that SGD beats AdamW: the two lines differ in the model's shape, the averaging and the schedule. Whoever compares two recipes has not compared two optimizers.

# %%
poll("Two optimizers are compared on equal numbers of updates. Which of these would make the comparison unfair even so?",
     ["one of them had its learning rate searched and the other a rate from a paper", "both start from the same weights", "both are judged on text that neither saw", "one of them keeps more numbers per weight than the other"],
     "A default that suited another model, batch and schedule can cost more than the choice of optimizer. Equal starts and a held-out judge are what one wants; memory is a price to be stated, as is the time of an update, and neither makes the curves by updates wrong.")

# %% [markdown]
# ### Which ingredient made lecture 03's recipe fast?
#
# That is what lecture 03 left open. The recipe differs from a plain GPT's in the optimizer, the averaging of weights, the schedule and the model's shape (rotary positions, squared ReLU, normalised queries and keys, blocks that start as the identity). *Recorded:* take out **one at a time**, everything else as it was, three seeds each. <!-- keeps: 07-muon-ablation -->

# %% tags=["diagram"]
whole = final["Muon"]
ONE = {"no average": "no averaging", "cosine": "cosine schedule", "plain shape": "nanoGPT's shape"}
MORE = {"plain shape, adamw": "nanoGPT's shape and AdamW"}
without = {"AdamW for Muon": final["AdamW"], "AdamW for Muon, one rate": [run["report"] for run in race["race"]["adamw"]]}
without |= {label: [run["report"] for run in race["ablation"][name]] for name, label in (ONE | MORE).items()}
lost = {name: [a - b for a, b in zip(bits, whole)] for name, bits in without.items()} | {"all of them: plain": [a - b for a, b in zip(final["plain"], whole)]}
bars(lost, x="bits per character lost (report split)", fmt="+.2f", height=3.4, alt=f"Loss in bits against the whole recipe's {np.mean(whole):.2f} when one ingredient is taken out, three seeds. " + " ".join(f"{name}: {min(d):+.3f} to {max(d):+.3f}." for name, d in lost.items()))

# %% [markdown]
# **At this size two ingredients made it fast, and either alone does most of it.** Without Muon the recipe loses 0.18 bits, without its shape 0.17. Without both it loses 0.60, far more than the sum: Muon makes up for a shape that is hard to train, and a shape that is easy to train spares AdamW the trouble. Had we only *added* ingredients to the plain recipe, the first of the two would have got most of the credit. Rates of their own for embeddings and head are worth another 0.05 bits to AdamW.
#
# The weight averaging and the schedule are worth nothing that three seeds could show. That is a null result at 300 updates with rates that end low anyway, not a verdict on either. What else separates the last two rows (AdamW's second beta, clipping, weight decay, one rate, an average that comes too late) we did not take apart. Nor did we take the shape apart: rotary positions, squared ReLU, the norms on queries and keys and the identity start went out together.
#
# ### Does the gain shrink with size?
#
# Lecture 03 asked this as well. A gain on a toy may be a gain over a toy's troubles. *Recorded:* the whole recipe against the plain one at three widths; the plain one takes the better of two rates at every width and seed, the recipe keeps the one rate that was chosen at width 64. <!-- keeps: 07-gain-against-size -->

# %%
sizes = {int(width): pairs for width, pairs in race["sizes"].items()}
plain_tries = zip(race["race"]["plain"], again)         # two rates for each seed
sizes[64] = [dict(recipe=a, plain=min(tries, key=lambda run: run["choose"]))
             for a, tries in zip(runs["Muon"], plain_tries)]


def speed_up(pair):
    """Updates the plain run takes, over those after which the recipe is as good."""
    recipe, plain = pair["recipe"], pair["plain"]
    target = min(plain["curve"])
    at = np.interp(-target, [-b for b in recipe["curve"]], recipe["steps"])
    return plain["steps"][-1] / at


gains = []
for width in sorted(sizes):
    pairs = sizes[width]
    bits_lost = [pair["plain"]["report"] - pair["recipe"]["report"] for pair in pairs]
    gains.append(dict(width=width, parameters=pairs[0]["recipe"]["parameters"],
                      seeds=len(pairs), ahead=np.mean(bits_lost),
                      faster=np.mean([speed_up(pair) for pair in pairs])))

# %% tags=["diagram"]
fig, (left_, right_) = panels(2, titles=["bits ahead after 300 updates", "updates saved"], height=2.9)
millions = [gain["parameters"] / 1e6 for gain in gains]
curves({"": [gain["ahead"] for gain in gains]}, at=millions, log="x", x="parameters (millions)", y="bits per character", ylim=(0, 1), labels=False, ax=left_)
curves({"": [gain["faster"] for gain in gains]}, at=millions, log="x", x="parameters (millions)", y="times fewer updates", ylim=(0, 10), labels=False, ax=right_)
show(fig, alt="The recipe's lead over the plain one at three sizes. " + " ".join(f"{gain['parameters']:,} parameters ({gain['seeds']} seeds): {gain['ahead']:.2f} bits, {gain['faster']:.1f} times fewer updates." for gain in gains))
table([{"width": gain["width"], "parameters": gain["parameters"], "seeds": gain["seeds"], "bits ahead": f"{gain['ahead']:.2f}", "times fewer updates to the plain run's loss": f"{gain['faster']:.1f}"} for gain in gains])

# %% [markdown]
# In bits the lead is the same at the two smaller sizes, three quarters of a bit, and smaller at the largest, where the plain run has caught up some of the way. In updates saved no trend shows: the recipe is as good as the plain run's *end* after a sixth to an eighth of the updates, before its own rate has begun to fall. So within a factor of fourteen in parameters the gain shrinks by one measure and stays by the other, and there is one seed at the outer sizes. The lower of its two rates was the plain run's better one everywhere; a still lower one might have served it better at the largest size.

# %% [markdown]
# ## V. Schedules and batches
#
# ### Down at the end
#
# A high rate crosses the valley quickly and then rattles between its walls; a low one settles. So the rate starts high, after a short warm-up in which Adam's averages fill, and ends low. **Cosine** falls all the time and must know the end when it begins. **Warmup-stable-decay** (Hu et al., 2024) stays up and falls only at the end: a run can be prolonged from before the fall, which is how one makes several runs of different length out of one.

# %% tags=["figure"]
schedule = {"cosine": [cosine_schedule(s, 300, warmup_steps=20) for s in range(301)], "warmup-stable-decay": [wsd_schedule(s, 300, warmup_steps=20) for s in range(301)]}
curves(schedule, x="update", y="share of the rate", height=2.4, ylim=(0, 1.1), alt="Two schedules over 300 updates: after a warm-up of 20 the cosine falls at once and ends at 0.1; the other stays at 1 until update 150 and falls in a straight line to 0.")

# %% [markdown]
# **Averaging the weights** is the same medicine taken differently: the mean of the weights after the last fifty updates usually lies nearer to the bottom of the valley than any of them. After a decay to zero there is little left to average, and before it the average lets you see what a decay would bring.
#
# ### How large a batch? (*optional*)
#
# A batch's gradient is a mean over examples, and its error falls like one over the root of their number. While the error is much larger than the gradient itself, twice the batch is as good as twice the updates; once it is much smaller, more examples say the same thing again. The batch where the two are equal is the **noise scale** (McCandlish et al., 2018):
#
# $$B_\text{noise} \;=\; \frac{\operatorname{tr} \operatorname{Cov}(g_i)}{\lVert \mathbb{E}\, g_i \rVert^2}, \qquad g_i = \text{gradient of one example}.$$
#
# It can be estimated from the squared lengths of the gradients of a small batch and of a large one. **Predict:** does it grow or shrink as training goes on?

# %%
text = tiny_shakespeare()
tokenizer = CharTokenizer.from_text(text)
train_text, rest = split_text(text, 0.1)
choose_text, report_text = split_text(rest, 0.5)
train, report = (torch.tensor(tokenizer.encode(t)) for t in (train_text, report_text))
small = preset("shakespeare-cpu").replace(n_layers=2, d_model=32, n_heads=1,
                                          n_kv_heads=1, d_ff=128)
config = train_preset("shakespeare-cpu").replace(steps=60, batch_size=16,
                                                 device="cpu", progress=False)


def gradient_of(model, x, y):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    grads = torch.autograd.grad(loss, list(model.parameters()))
    return torch.cat([one.flatten() for one in grads])


def noise_scale(model, few=4, n=24, seed=0):
    """Sequences at which a gradient's noise is as large as the gradient."""
    g = torch.Generator().manual_seed(seed)
    parts = torch.stack([gradient_of(model, *random_batch(train, few, 64, g))
                         for _ in range(n)])
    small_sq = parts.square().sum(1).mean().item()      # |G|² + tr / few
    large_sq = parts.mean(0).square().sum().item()      # |G|² + tr / (few n)
    trace = (small_sq - large_sq) / (1 / few - 1 / (few * n))
    return trace / max(large_sq - trace / (few * n), 1e-12)

# %%
torch.manual_seed(0)
trainer = Trainer(Transformer(small), config, train)
for step in range(config.steps + 1):
    if step in (0, 10, 60):
        scale = noise_scale(trainer.model)
        print(f"after {step:3} updates: noise scale about {scale:.1f} sequences of 64")
    if step < config.steps:
        loss = trainer.train_step()
print(f"training loss at the end {loss:.2f} nats")

# %% [markdown]
# One run, and estimates that are themselves noisy, but the direction is the usual one: at the start and shortly after, all examples agree on what to learn (how frequent each letter is) and a few sequences suffice; later the gradient shrinks, the examples disagree, and the same precision takes a batch many times as large. Large runs therefore often let the batch grow. The processor has an opinion too: a larger batch uses it better, up to a point.
#
# ### Gradient accumulation, and the mean of means
#
# A batch too large for memory is computed in parts whose gradients are added before the one update. One trap: the parts may hold *different numbers of targets* (padding, or only the replies of a chat count). **By hand:** two parts, one with 100 targets and a mean loss of 2, one with 10 targets and a mean loss of 5. The mean of the means is 3.5. The mean over all targets is $(200 + 50)/110 = 2.27$. Averaging means makes each target of the short part ten times as important.

# %%
model = trainer.model.train()
x, y = random_batch(train, 4, 64, torch.Generator().manual_seed(5))
keep = torch.ones_like(y, dtype=torch.bool)
keep[2:, 6:] = False                                    # two rows of only six targets


def masked_loss(model, batch):                          # -> (sum, number of targets)
    x, y, keep = batch
    nats = F.cross_entropy(model(x).transpose(1, 2), y, reduction="none")
    return (nats * keep).sum(), keep.sum()


def gradient(parts):
    """One flat gradient, accumulated over parts by the library."""
    model.zero_grad()
    accumulate_gradients(model, parts, masked_loss)
    return torch.cat([p.grad.flatten() for p in model.parameters()])


rows = [(x[i : i + 2], y[i : i + 2], keep[i : i + 2]) for i in (0, 2)]
whole_batch, in_parts = gradient([(x, y, keep)]), gradient(rows)
mean_of_means = (gradient(rows[:1]) + gradient(rows[1:])) / 2
torch.testing.assert_close(in_parts, whole_batch, rtol=1e-3, atol=1e-5)
off = (mean_of_means - whole_batch).norm() / whole_batch.norm()
print(f"the library's two parts equal the whole; the mean of means is off by {off:.0%}")

# %% [markdown]
# Sums are added and divided once, at the end, by all targets together. The same holds between machines (part IX). This error raises no exception and no eyebrow: training still goes down, on a loss nobody wrote down.
#
# ## VI. Precision
#
# A number of 32, 16 or 8 bits is a sign, an exponent and a fraction. The exponent buys range, the fraction buys resolution.

# %% tags=["diagram"]
d = Diagram(12, 2.9)
for y, (name, exponent, fraction) in zip((2.3, 1.4, 0.5), (("fp32", 8, 23), ("bf16", 8, 7), ("fp16", 5, 10))):
    x0, unit = 1.6, 0.29
    d.label(0.8, y, name, bold=True)
    d.box(x0 + unit / 2, y, "", w=unit, h=0.62, color="grey")
    d.box(x0 + unit * (1 + exponent / 2), y, f"{exponent} exponent" if exponent > 5 else "5 exp.", w=unit * exponent, h=0.62, color="blue", size=11)
    d.box(x0 + unit * (1 + exponent + fraction / 2), y, f"{fraction} fraction", w=unit * fraction, h=0.62, color="orange", size=11)
d.show(alt="Bits of three formats: fp32 has a sign, 8 bits of exponent and 23 of fraction; bf16 a sign, 8 and 7; fp16 a sign, 5 and 10.")

# %%
one = torch.tensor(1.0)
for name in ("float32", "bfloat16", "float16"):
    dtype = getattr(torch, name)
    info, w = torch.finfo(dtype), one.to(dtype)
    print(f"{name:9} largest {info.max:.2g}, smallest normal {info.tiny:.2g}, "
          f"gap after 1: "
          f"{info.eps:.2g}, 256 + 1 = {torch.tensor(256, dtype=dtype) + 1:g}")
    for _ in range(1000):                               # a thousand small updates
        w = w + torch.tensor(1e-3, dtype=dtype)
    tiny = torch.tensor(1e-8).to(dtype)                 # a small gradient
    scaled = torch.tensor(1e-8 * 2**16).to(dtype).float() / 2**16
    large = torch.tensor(7e4).to(dtype)
    print(f"          1 + 1000 x 0.001 = {w:g}; 70000 -> {large:g}; "
          f"1e-8 -> {tiny:.1e}, scaled by 2^16 and back {scaled:.1e}")

# %% [markdown]
# bf16 has the range of fp32 and two to three digits. Near 1 its numbers are 0.008 apart, so a thousand updates of 0.001 change *nothing*: each is rounded away. fp16 resolves eight times more finely, ends at 65,504 and loses a gradient of $10^{-8}$ altogether, unless the loss is multiplied by a large number first and the gradients divided by it in fp32 (Micikevicius et al., 2018).
#
# So in **mixed precision** the matrix products run in 16 bits, where they are fast, and the weights that collect small updates stay in fp32, as do sums such as those in a softmax or a norm. Why does a training run survive products with three digits at all? The usual explanation: rounding errors in products are many, small and point in no common direction, and beside the noise of a batch they hardly count. A lost update is lost every time.

# %%
poll("A model is trained with its weights stored in bf16 and no fp32 copy. The loss falls at first and then stays put, although the learning rate is still sensible. What is the likely cause?",
     ["updates smaller than half the gap between neighbouring numbers are rounded away", "the gradients overflow to infinity", "bf16 cannot hold numbers below 1", "the matrix products are too coarse to give a direction"],
     "Near 1 the gap is 1/128; an update of less than half of that leaves the weight where it was, at every step. Overflow is fp16's trouble (bf16 has fp32's range) and would show as NaN. Coarse products give a noisy direction, and noise averages out. Stochastic rounding, or a copy of the weights in fp32, cures it.")

# %% [markdown]
# ## VII. Trained on its own words
#
# The web fills with text that models wrote. <!-- keeps: 07-model-collapse --> Lecture 01 set it as an exercise: train a model on a model's output, and again. What happens is called **model collapse** (Shumailov et al., 2024). It is a statistical effect and needs no Transformer; a trigram model of characters shows it in a second and can be repeated ten times.
#
# Three diets, each for ten generations, starting from 20,000 real characters: *own text only* (each generation trains on what the one before wrote); *half real* (half of every training text is from the original 20,000); *everything kept* (all generations' text together with the original; Gerstgrasser et al., 2024). **Predict** the order, and whether any of the three stops getting worse.

# %%
V = tokenizer.vocab_size


def trigram(ids, backing=2.0):
    """(V, V, V) of P(third | first, second), falling back on pairs and letters."""
    n1 = np.bincount(ids, minlength=V) + 0.1
    n2 = np.bincount(ids[:-1] * V + ids[1:], minlength=V**2).reshape(V, V)
    codes = (ids[:-2] * V + ids[1:-1]) * V + ids[2:]
    n3 = np.bincount(codes, minlength=V**3).reshape(V, V, V)
    p1 = n1 / n1.sum()
    p2 = (n2 + backing * p1) / (n2.sum(1, keepdims=True) + backing)
    return (n3 + backing * p2) / (n3.sum(2, keepdims=True) + backing)


def write(p, n, rng, streams=250):
    """n characters, written as 250 texts side by side."""
    cumulative = p.cumsum(2)
    a, b = np.zeros((2, streams), int)
    out = np.empty((streams, n // streams), int)
    for t in range(out.shape[1]):
        c = (cumulative[a, b] < rng.random((streams, 1))).sum(1).clip(max=V - 1)
        a, b, out[:, t] = b, c, c
    return out.ravel()


def judge(p, ids):
    return -np.log2(p[ids[:-2], ids[1:-1], ids[2:]]).mean()

# %%
def generations(diet, seed, n=20_000, rounds=10, backing=0.01):
    """By generation: bits on real text, different triples in 10,000 characters."""
    rng = np.random.default_rng(seed)
    start = rng.integers(len(train) - n)
    real = train.numpy()[start : start + n]
    data, bits, kinds = real, [], []
    for _ in range(rounds + 1):
        bits.append(judge(trigram(data), report.numpy()))
        newest = data[-n // 2 :]
        kinds.append(len(np.unique((newest[:-2] * V + newest[1:-1]) * V + newest[2:])))
        own = write(trigram(data, backing), n // 2 if diet == "half real" else n, rng)
        data = {"own text only": own, "everything kept": np.append(data, own),
                "half real": np.append(real[: n // 2], own)}[diet]
    return bits, kinds


DIETS = ("own text only", "half real", "everything kept")
collapse = {diet: [generations(diet, seed) for seed in range(5)] for diet in DIETS}
bits_by = {diet: [bits for bits, _ in lives] for diet, lives in collapse.items()}
kinds_by = {diet: np.mean([kinds for _, kinds in lives], 0)
            for diet, lives in collapse.items()}
smoothed = [generations("own text only", seed, backing=2.0) for seed in range(5)]

# %% tags=["figure"]
curves(bits_by, x="generation", y="bits on real text", height=3.0,
       alt="Bits per character of a trigram model on real report text over ten generations, five seeds. " + " ".join(f"{diet}: from {np.mean(b, 0)[0]:.2f} to {np.mean(b, 0)[-1]:.2f}." for diet, b in bits_by.items()))

# %%
for diet in DIETS:
    by_generation = np.mean(bits_by[diet], 0)
    print(f"{diet:16} {by_generation[0]:.2f} -> {by_generation[-1]:.2f} bits, the last "
          f"generation {by_generation[-1] - by_generation[-2]:+.3f}; different triples "
          f"{kinds_by[diet][0]:,.0f} -> {kinds_by[diet][-1]:,.0f}")
end = np.mean([[bits[-1], kinds[-1]] for bits, kinds in smoothed], 0)
print(f"own text only, written smoothed: {end[0]:.2f} bits, {end[1]:,.0f} triples")

# %% [markdown]
# On its own words alone the model gets worse in every generation, by about as much each time, with no sign of stopping within ten. A triple of letters that happens not to be drawn is as good as gone from then on, and the rare ones are the likeliest to go. (A model that smooths while it writes loses no kinds of triples and gets just as bad: its errors go the other way, towards noise. Collapse is the *adding up of estimation errors*, whichever they are.)
#
# With half of every diet real, the damage stops after a few generations: each generation is an estimate of a mixture that always contains the truth. Keeping everything is nearly as good here, but creeps on, because the real share shrinks with every generation. And note the level: even the mended diets end a third to half a bit above the 20,000 real characters alone (for *half real* in part because it holds only half of them). This is text that the model could write itself, unselected; data that somebody checked, chose, or had written by a better model is another matter, which this experiment does not touch.
# %% [markdown]
# ## VIII. Where the FLOPs go
#
# ### Six per weight and token
#
# A weight takes part in one multiplication and one addition for each token: 2 FLOPs forward. Backward, the gradient with respect to the layer's input is one more product of that size and the gradient with respect to the weight another: 4 FLOPs. With $N$ weights and $D$ tokens,
#
# $$C \;\approx\; 6\,N D .$$
#
# **By hand:** GPT-3 has $N = 175 \cdot 10^9$ and read $D = 300 \cdot 10^9$ tokens: $C = 6 \cdot 1.75 \cdot 3 \cdot 10^{22} = 3.15 \cdot 10^{23}$. Brown et al. (2020, table D.1) print $3.14 \cdot 10^{23}$.
#
# What the rule leaves out is attention's own products, queries with keys and weights with values, which have no weights and grow with the context: $12\, L d\, T$ more for each token. What it puts in too much is the token embedding, which is looked up and not multiplied.

# %%
exact = {}
for name in ("shakespeare-cpu", "gpt2", "llama2-7b", "gpt3"):
    with torch.device("meta"):                          # shapes only, no memory
        shape = Transformer(preset(name))
    n, own = count_parameters(shape), shape.config.max_seq_len
    exact[name] = [flops_per_token(shape, T) / (6 * n) for T in (64, 1024, 4096, 32768)]
    print(f"{name:16} 6N = {6 * n:.2e}; exact / 6N at its own context of {own}: "
          f"{flops_per_token(shape, own) / (6 * n):.2f}")

# %% tags=["figure"]
curves(exact, at=[64, 1024, 4096, 32768], log="xy", x="context (tokens)", y="exact count / 6N", height=2.8, reference={"6N": 1.0},
       alt="Exact FLOPs per token over 6N against the context. " + " ".join(f"{name}: {r[0]:.2f} at 64, {r[-1]:.1f} at 32,768." for name, r in exact.items()))

# %% [markdown]
# At the context a model was built for, $6N$ falls short by 3 % for the widest of these and by 9 to 14 % for the others; at 32,768 tokens most of GPT-2's work would be attention, and GPT-3's still would not.
#
# ### What share of the machine
#
# **MFU**, model FLOPs utilisation (Chowdhery et al., 2022), is the FLOPs the mathematics asks for, per second, over what the machine could do. A data sheet's peak is reached by nothing; here the peak is *measured*, on a large matrix product. **Predict** the MFU of our small model on this processor.

# %%
peak = matmul_peak(seconds=0.3)


def tokens_per_second(model_config, batch, T, n=4):
    torch.manual_seed(0)
    settings = config.replace(batch_size=batch, seq_len=T, steps=n + 1, warmup_steps=0)
    trainer = Trainer(Transformer(model_config), settings, train)
    trainer.train_step()                                # the first one is slow
    began = time.perf_counter()
    for _ in range(n):
        trainer.train_step()
    return n * batch * T / (time.perf_counter() - began)


used = {}
wide = small.replace(d_model=256, n_heads=4, n_kv_heads=4, d_ff=1024)
for label, model_config in (("width 32", small), ("width 256", wide)):
    rate = tokens_per_second(model_config, 8, 64)
    used[label] = mfu(model_config, rate, 64, peak)
    print(f"{label:9} {rate:8,.0f} tokens a second, MFU {used[label]:.0%}")
print(f"measured peak of one thread: {peak / 1e9:.0f} GFLOP/s")

# %% [markdown]
# The narrow model spends its time on everything that is not a large product: starting operations, moving numbers, norms and activations. That is why its FLOPs are a poor guide to its seconds, and why a race by processor time (part IV) can end differently from one on large matrices.
#
# ### 6k GPUs, 12 days, $2M
#
# Business Analytics: "get a cluster of 6k GPUs", compress the text into "100 billion parameters", "~\$2M and ~12 days". Is that possible? Suppose each GPU is an A100, 312 TFLOP/s in bf16, and the text $2 \cdot 10^{12}$ tokens.

# %%
gpu_hours = 6000 * 12 * 24
available = gpu_hours * 3600 * 312e12
print(f"{gpu_hours:,} GPU-hours, {available:.2e} FLOPs if nothing is ever lost")
shares_ = {}
for n, d_tokens in ((70e9, 2e12), (100e9, 2e12), (100e9, 2.4e12)):
    shares_[n, d_tokens] = 6 * n * d_tokens / available
    print(f"{n / 1e9:.0f}B parameters, {d_tokens / 1e12:.1f}T tokens: 6ND = "
          f"{6 * n * d_tokens:.1e}, MFU {shares_[n, d_tokens]:.0%}")
print(f"$2M is ${2e6 / gpu_hours:.2f} per GPU-hour")

# %% [markdown]
# The GPU-hours are those of Llama-2-70B, 1,720,320 by its paper (Touvron et al., 2023b, table 2), which read 2.0T tokens: 43 %, a believable figure. With 100 billion parameters on as much text it would have to be 62 %, with 2.4T tokens 74 %: more than large runs report. So the slide's cluster, days and dollars fit the 70B model and not its own 100 billion. And the price of \$1.16 an hour is rent for the accelerators alone: no failed run, no search for the settings, no salary.

# %% [markdown]
# ## IX. Many devices
#
# ### Data parallel, by hand
#
# Give each device a copy of the model and a part of the batch. Each computes its gradient, the gradients are averaged, and everyone makes the same update. Nothing is approximated: a mean of means over *equal* parts is the mean of the whole.

# %%
x, y = random_batch(train, 8, 64, torch.Generator().manual_seed(6))
full = gradient_of(model, x, y)
device_a = gradient_of(model, x[:4], y[:4])             # one device's half
device_b = gradient_of(model, x[4:], y[4:])             # the other's
averaged = (device_a + device_b) / 2                    # the only message
torch.testing.assert_close(averaged, full, rtol=1e-3, atol=1e-5)
print(f"a's half alone is off by {(device_a - full).norm() / full.norm():.0%}, "
      f"the average by {(averaged - full).norm() / full.norm():.1e}")

# %% tags=["diagram"]
d = Diagram(12, 3.6)
for x0, who in ((3.0, "A"), (9.0, "B")):
    half = d.box(x0, 3.1, "its half of the batch", w=3.0, h=0.6, color="grey")
    copy = d.box(x0, 2.1, f"device {who}: all weights", w=3.0, h=0.7, color="blue")
    grad = d.box(x0, 1.1, f"gradient {who}", w=3.0, h=0.6, color="orange")
    d.arrow(half, copy)
    d.arrow(copy, grad)
    new = d.box(x0, 0.3, "same update", w=3.0, h=0.5, color="green")
    d.arrow(grad, new)
d.arrow((4.5, 1.1), (7.5, 1.1), "all-reduce: average")
d.arrow((7.5, 1.1), (4.5, 1.1))
d.show(alt="Two devices with all weights each take half a batch, compute a gradient each, average the two in an all-reduce and make the same update.")

# %% [markdown]
# `DistributedDataParallel` does this between processes, and starts sending the gradients of the last layers while those of the first are still being computed. The average is made in a **ring**: each of $P$ devices sends a $P$-th of the gradient to its neighbour, $2(P-1)$ times, so that each sends
#
# $$\frac{2(P-1)}{P} \times \text{bytes of the gradient},$$
#
# hardly more for a thousand devices than for two. In our library the same script runs under `torchrun`.
#
# ### What has to fit
#
# Business Analytics puts full fine-tuning of a 7B model at "4x memory (weights + gradients + 2 moments) around 56GB". In fp32 the weights are $7 \cdot 10^9 \times 4 = 28$ GB, as the slide says, and four times 28 is **112 GB**. Activations come on top.
#
# If it does not fit, cut it. **ZeRO** (Rajbhandari et al., 2020) and FSDP give each device a $P$-th of weights, gradients and optimizer state, and gather the weights of one block at a time when they are needed. That costs half as many bytes again as plain data parallelism.

# %%
plans = {}
for place, name, devices, strategy, rate, link in (
        ("a laptop", "shakespeare-cpu", 1, "alone", 5e10, 1e10),
        ("a laptop", "gpt2", 1, "alone", 5e10, 1e10),
        ("8 GPUs", "llama2-7b", 8, "ddp", 1.4e14, 2e11),
        ("8 GPUs", "llama2-7b", 8, "fsdp", 1.4e14, 2e11),
        ("8 GPUs, slow network", "llama2-7b", 8, "fsdp", 1.4e14, 5e9)):
    plans[place, name, strategy] = memory_plan(
        preset(name), devices, strategy, batch_size=1,
        seq_len=min(1024, preset(name).max_seq_len),
        flops_per_second=rate, bytes_per_second=link)

# %% tags=["diagram"]
rows_ = []
for (place, name, strategy), plan in plans.items():
    m, (low, high) = plan.memory, plan.step_seconds
    rows_.append({"where": place, "model": name, "strategy": strategy, "weights, GB": m.weights / 1e9, "gradients": m.gradients / 1e9, "optimizer": m.optimizer / 1e9, "activations": m.activations / 1e9, "in all": m.peak / 1e9, "sent, GB": plan.message_bytes / 1e9, "step, s": f"{low:.2g} to {high:.2g}"})
table(rows_, fmt=".1f", caption="one sequence of 1,024 tokens (the smallest model: 64) on each device, fp32, AdamW")

# %% [markdown]
# With plain data parallelism eight GPUs hold eight times the same 108 GB, and none of 80 GB could. Cut, each holds about 14 GB of that, and its activations; these are counted in fp32, with attention's $T \times T$ weights kept and nothing recomputed, the three things one changes first. The two ends of the last column are: all sending hidden behind computing, and none. On a slow network sending takes longer than computing and cannot be hidden, unless each device does more between two messages: a longer batch, or accumulation.

# %% tags=["diagram"]
def fits(model, devices, strategy):
    plan = memory_plan(preset(model), devices, strategy if devices > 1 else "alone", batch_size=1, seq_len=1024)
    m = plan.memory
    parts_ = {"weights": m.weights, "gradients": m.gradients, "optimizer": m.optimizer, "activations": m.activations}
    fig, ax = plt.subplots(figsize=(3.5, 2.5))
    drawn = ax.barh(list(parts_), [b / 1e9 for b in parts_.values()], color="#0072B2")
    ax.bar_label(drawn, [f"{b / 1e9:.3g}" for b in parts_.values()], padding=3, fontsize=10)
    ax.axvline(80, color="0.3", linestyle=":")
    ax.set(xlabel="GB on each device", xlim=(0, 1.3 * max(90, *(b / 1e9 for b in parts_.values()))))
    ax.set_title(f"{model}, {devices} x {strategy}: {m.peak / 1e9:.3g} GB", fontsize=10)
    ax.invert_yaxis()
    return fig


explore(fits, model=["gpt2-xl", "llama2-7b", "llama2-13b"], devices=[1, 8, 64], strategy=["ddp", "zero1", "fsdp"],
        panels=[dict(model="llama2-7b", devices=8, strategy="ddp"), dict(model="llama2-7b", devices=8, strategy="fsdp")],
        alt="Bars of gigabytes on each of eight devices for weights, gradients, optimizer and activations of a 7B model with a context of 1,024. Data parallelism needs more than 108 GB on each, FSDP a fraction; a dotted line marks 80 GB.")

# %% [markdown]
# ### Cutting the layers themselves (*optional*)
#
# **Tensor parallelism** (Shoeybi et al., 2019) cuts every matrix: each device holds some heads and some of the MLP's columns, and the partial sums are added by an all-reduce, twice a layer forward and twice backward. **Expert parallelism** (lecture 06) puts the experts of a mixture on different devices: each token's vector travels to its $k$ experts and back, forward and backward. Both send *activations*, so the bytes grow with the tokens and not with the weights:
#
# $$\text{tensor: } 4 L \cdot \frac{2(P-1)}{P} \cdot n\, d \cdot 2\,\text{bytes}, \qquad \text{experts: } 4 L \cdot \frac{P-1}{P} \cdot k\, n\, d \cdot 2\,\text{bytes},$$
#
# for $n$ tokens in bf16 (with experts, the $n$ tokens of one device). Which kind of network can carry that?

# %%
def seconds_to_send(bytes_sent):
    """On links inside a machine and between machines, bytes a second each way."""
    return {"inside": bytes_sent / 4.5e11, "between": bytes_sent / 2.5e10}


P, n_tokens = 8, 8192
c = preset("llama2-70b")
tensor_bytes = 4 * c.n_layers * 2 * (P - 1) / P * n_tokens * c.d_model * 2
compute = n_tokens * flops_per_token(c, 4096) / (P * 4e14)
# Mixtral: 32 layers, 2 experts a token, width 4,096; each device has n / P tokens
expert_bytes = 4 * 32 * (P - 1) / P * 2 * n_tokens / P * 4096 * 2
expert_compute = n_tokens * 6 * 12.9e9 / (P * 4e14)
for name, sent, busy in (("Llama-2-70B, tensor parallel", tensor_bytes, compute),
                         ("Mixtral, expert parallel", expert_bytes, expert_compute)):
    wait = seconds_to_send(sent)
    print(f"{name:29} {sent / 1e9:5.1f} GB a device; {busy:.2f} s of computing, "
          f"sending {wait['inside']:.3f} s inside a machine, {wait['between']:.2f} s "
          "between machines")

# %% [markdown]
# Cutting every matrix is affordable over the links inside a machine and ruinous over a network, which is why tensor parallelism usually stays inside one machine and data parallelism goes between them. The experts of one layer can be spread further: each token visits two of them only. (The rates of links and chips are round numbers for machines of 2023; put in your own.)
#
# ## X. Energy and carbon
#
# ### From FLOPs to grams
#
# $$\text{energy} = \frac{C}{\text{FLOP/s reached}} \times \text{watts}, \qquad \text{CO}_2 = \text{energy} \times \text{overhead of the building} \times \text{grams per kWh}.$$
#
# Two of the four numbers depend on the machine, one on the building, and the last on *where* and *when*: a kilowatt-hour is 30 g in Norway and 700 g in India. First this notebook, so far:

# %%
meter.__exit__(None, None, None)
here = {region: co2_grams(meter.joules, region)
        for region in ("norway", "world", "india")}
print(f"this notebook: {meter.seconds:.0f} s, {meter.joules / 3600:.2f} Wh "
      f"({meter.source}); {here['norway']:.3f} g of CO2 in Norway, "
      f"{here['world']:.2f} g on the world's mean, {here['india']:.2f} g in India")

gpt3_flops = 6 * 175e9 * 300e9
v100 = training_joules(gpt3_flops, flops_per_second=24.6e12, watts=330)
h100 = training_joules(gpt3_flops, flops_per_second=4e14, watts=700)
gpt3_mwh = {"V100, 2020": v100 * 1.10 / 3.6e9, "H100 at 40 %": h100 * 1.10 / 3.6e9}
gpt3_tonnes = co2_grams(v100, "united states", overhead=1.10) / 1e6
for name, mwh in gpt3_mwh.items():
    print(f"GPT-3 on {name}: {mwh:,.0f} MWh")
print(f"the first, on the United States' grid of 2023: {gpt3_tonnes:.0f} tonnes")

# %% [markdown]
# Patterson et al. (2021) give 1,287 MWh and 552 tonnes for GPT-3, with V100s that reach 24.6 TFLOP/s and draw 330 W, and a building that takes 10 % on top: our four factors are theirs, and the energy agrees. Their grid was dirtier than today's mean, 429 g a kWh. The same arithmetic on chips of 2023, at 40 % of their peak, takes about an eighth of the energy.
#
# ### A query, a kettle, a load of laundry
#
# Day 24 passes on a web page's numbers: 4.32 g of CO2 for a ChatGPT query; 16 queries boil a kettle (70 g), 139 do the laundry. The divisions first; then, can a query *be* 4.32 g?

# %%
query = 4.32
kettle_queries, laundry_grams = 70 / query, 139 * query
query_wh = query / 480 * 1000                           # at the world's mean
boil = 1.0 * 4186 * 85 / 0.9                            # a litre from 15 °C, in joules
answer_flops = 2 * 175e9 * 500                          # GPT-3's size, 500 tokens
answer_wh = training_joules(answer_flops, flops_per_second=1e14, watts=700) * 1.2 / 3600
print(f"a kettle of 70 g is {kettle_queries:.1f} queries, 139 queries are "
      f"{laundry_grams:.0f} g")
print(f"a litre of water boils for {boil / 3.6e6:.2f} kWh, "
      f"{co2_grams(boil, 'world'):.0f} g on the world's mean")
print(f"4.32 g is {query_wh:.0f} Wh; 500 tokens of a 175B model at a tenth of an "
      f"H100's peak take {answer_wh:.1f} Wh, {answer_wh / 1000 * 480:.2f} g")

# %% tags=["diagram"]
def footprint(watts=700, utilisation=0.1, grams=480):
    joules = training_joules(answer_flops, 1e15 * utilisation, watts) * 1.2
    g_each = joules / 3.6e6 * grams
    fig, ax = plt.subplots(figsize=(3.5, 2.5))
    names, values_ = ["this estimate", "Day 24's 4.32 g", "a search, 0.2 g"], [g_each, 4.32, 0.2]
    drawn = ax.barh(names, values_, color=["#0072B2", "#D55E00", "#999999"])
    ax.bar_label(drawn, [f"{v:.2g} g; {70 / v:,.0f} a kettle" for v in values_], padding=3, fontsize=9.5)
    ax.set(xlabel="g of CO2 a query (log)", xscale="log", xlim=(0.003, 3e4))
    ax.set_title(f"{utilisation:.0%} of peak, {watts} W, {grams} g/kWh", fontsize=10)
    ax.invert_yaxis()
    return fig


explore(footprint, watts=[350, 700, 1400], utilisation=[0.01, 0.03, 0.1, 0.3], grams=[30, 240, 480, 710],
        panels=[dict(watts=700, utilisation=0.1, grams=480), dict(watts=1400, utilisation=0.01, grams=710)],
        alt="Grams of CO2 for a query of 500 tokens by a 175B model, beside 4.32 g and 0.2 g. At a tenth of an accelerator's peak and the world's mean grid the estimate is a fraction of a gram; at a hundredth of the peak, twice the power and India's grid it exceeds the slide's number.")

# %% [markdown]
# The slide's divisions are right, and so is its kettle. Its query is not impossible, but it needs a machine that is nearly idle or a very large model. What operators have published since is lower: 0.24 Wh and 0.03 g for a median text prompt (Google, 2025, with its own way of counting electricity). None of these can be checked from outside, long answers take many times a median, and the number of queries is not ours to know. What *can* be said is which factor matters: where the electricity comes from and how busy the machine is move the result by a factor of twenty or more each.
#
# **Cooling water.** Most of a data centre's electricity leaves it as heat, and evaporating water is the cheap way to carry it off. Li et al. (2023) estimate 700,000 litres for GPT-3's training and a bottle of half a litre for every 10 to 50 answers, a third party's estimate with large uncertainty; water matters most where it is scarce, which is not where carbon is highest.

# %%
poll("A 7B model is to be trained once. Which choice changes the CO2 of that run most?",
     ["which country's grid the machines run on", "Muon or AdamW", "bf16 or fp16", "cosine or warmup-stable-decay"],
     "The grid's intensity differs by a factor of more than twenty between countries. A better optimizer saved a factor of a few on our toy and is said to save less at size; the two 16-bit formats cost the same, and schedules differ by per cents. All of these can be chosen together.", draw=1)

# %% [markdown]
# ### Growth and wages
#
# Two more numbers. HLT says that "models have been increasing 10x every year". And two of the lectures mention what labelling costs: under \$2 an hour paid to workers in Kenya (*Time*, 2023, on Business Analytics' slide) and "from \$40 an hour" in an advertisement for labellers (Day 24).

# %%
births = [("gpt1", 2018.45), ("gpt2-xl", 2019.12), ("gpt3", 2020.41)]
size = {name: count_parameters(preset(name)) for name, _ in births}
growth = (size["gpt3"] / size["gpt1"]) ** (1 / (births[2][1] - births[0][1]))
later = (540e9 / size["gpt3"]) ** (1 / (2022.26 - births[2][1]))    # PaLM, April 2022
doubling = 2 ** (12 / 6)                                # every six months
items, minutes_each = 100_000, 10
wages = {pay: items * minutes_each / 60 * pay for pay in (2, 40)}
print(f"parameters: x{growth:.0f} a year from GPT-1 to GPT-3, x{later:.1f} from GPT-3 "
      f"to PaLM; compute doubling every six months is x{doubling:.0f} a year")
print(f"{items:,} labels of {minutes_each} minutes: ${wages[2]:,.0f} or "
      f"${wages[40]:,.0f}; the slide's training run: $2,000,000")

# %% [markdown]
# Ten times a year fits neither stretch: the first three GPTs grew much faster, from GPT-3 to PaLM it was less than a doubling a year, and the *compute* of notable models doubled about every six months from 2010 to 2022 (Sevilla et al., 2022), four times a year. And at either wage the labels cost less than the computing; a wage of \$2 was not forced by the budget. (The ten minutes are our assumption; the ratio of twenty is not.)
#
# ## Scale warning
#
# > **What this lecture's models can and cannot tell you.** The arithmetic (FLOPs, bytes, joules) is the same at every size, and so are the rounding errors. The *race* is not: a hundred thousand parameters, three hundred updates of a thousand characters, four rates a factor of three apart. Which optimizer leads, and by how much, may change with size, with length and with a finer search; a published comparison with every baseline tuned finds that optimizers of Muon's and SOAP's kind save a factor of 1.4 over AdamW at 0.1 billion parameters and 1.1 at 1.2 billion (Wen et al., 2025). Our model-collapse experiment is a trigram; large models on mixed diets behave less simply, and real web text is curated by people who choose what they post. Filters and duplicates were looked at on some thousand documents; on the web the same rules meet other text.
#
# ## Claims
#
# What the source lectures say about this topic, against what the papers say and what you have just computed.

# %%
claims_table([
    Claim("6k GPUs, 12 days: 100 billion parameters",
          "Touvron et al. (2023b): 1,720,320 A100-hours for 70B and 2.0T tokens",
          f"6ND over 312 TFLOP/s each: {shares_[70e9, 2e12]:.0%} of peak for 70B, "
          f"{shares_[100e9, 2e12]:.0%} for 100B on as many tokens, "
          f"{shares_[100e9, 2.4e12]:.0%} on 2.4T",
          "fails; it fits the 70B model", source="analytics"),
    Claim("such a run costs about $2M",
          "Touvron et al. (2023b) give hours, no price",
          f"${2e6 / gpu_hours:.2f} per GPU-hour, one run, nothing else",
          "holds; as rent for the accelerators", source="analytics"),
    Claim("GPT-3's data: 0.4 trillion tokens",
          "Brown et al. (2020): 300 billion tokens seen, table 2.2 lists 499 billion",
          f"6 x 175e9 x 0.3e12 = {gpt3_flops:.2e}; the paper prints 3.14e23 FLOPs "
          "(0.4e12 would give 4.2e23)",
          "fails; trained on 0.3 trillion", source="analytics"),
    Claim("7B with Adam: 4x memory around 56GB",
          "Rajbhandari et al. (2020): 16 bytes a parameter",
          f"4 x 28 = {4 * 28} GB; counted for Llama-2-7B "
          f"{sum((lambda m: (m.weights, m.gradients, m.optimizer))(plans['8 GPUs', 'llama2-7b', 'ddp'].memory)) / 1e9:.0f} GB and activations",
          "fails; twice as much", source="analytics"),
    Claim("there are better optimizers than Adam for LLMs: better, faster results",
          "Jordan et al. (2024), Vyas et al. (2024)",
          f"AdamW {np.mean(final['AdamW']):.2f}, SOAP {np.mean(final['SOAP']):.2f}, Muon "
          f"{np.mean(final['Muon']):.2f} bits (3 seeds, four rates each)",
          "holds; at this toy's size", source="day24", split="report"),
    Claim("a query emits 4.32 g of CO2, a web search 0.2 g",
          "operators: 0.03 g for a median prompt (Google, 2025); not checkable from outside",
          f"{query_wh:.0f} Wh; 500 tokens of a 175B model estimated at {answer_wh:.1f} Wh",
          "cannot be tested at this scale; far above our estimate", source="day24"),
    Claim("16 queries boil a kettle, 139 do a load of laundry",
          "a web page's sums",
          f"70 / 4.32 = {kettle_queries:.1f}; 139 x 4.32 = {laundry_grams:.0f} g; a litre "
          f"takes {co2_grams(boil, 'world'):.0f} g on the world's mean grid",
          "holds; if a query were 4.32 g", source="day24"),
    Claim("concern for the water that cools data centers",
          "Li et al. (2023): 700,000 litres for GPT-3's training",
          "not measured", "cannot be tested at this scale", source="day24"),
    Claim("models have been increasing 10x every year",
          "Sevilla et al. (2022): compute doubles about every 6 months, 4x a year",
          f"parameters x{growth:.0f} a year from GPT-1 to GPT-3, x{later:.1f} from GPT-3 to "
          "PaLM", "fails", source="hlt"),
    Claim("labelling at under $2 an hour; from $40 an hour",
          "Time (2023); an advertisement",
          f"100,000 labels of 10 minutes: ${wages[2]:,.0f} or ${wages[40]:,.0f}",
          "holds; both are paid, a factor of 20 apart", source=["analytics", "day24"]),
])

# %% [markdown]
# ## Summary
#
# 1. Look at the corpus. Every filter has victims; remove near-duplicates before the split, and split by document.
# 2. Gradient descent pays for its steepest direction. Adam scales coordinates, SOAP scales in better coordinates, Muon makes all directions of a matrix alike. A race is fair only if everyone is tuned alike.
# 3. On our toy Muon leads, then SOAP, AdamW and SGD. Taken out one at a time, Muon and the model's shape are what made lecture 03's recipe fast; either makes up for most of the other. Averaging and schedule showed nothing.
# 4. Averages must be over all targets, small updates need fp32, and a model fed on its own words forgets unless real text stays in.
# 5. $6ND$ FLOPs, 16 bytes a parameter, $2(P-1)/P$ of the gradient per update, and grams per kilowatt-hour: four numbers check most of what is said about large runs.
#
# **Still unexplained.** How large a model, and on how many tokens, for a given budget? And could one have known the loss before the run? (Lecture 08.) <!-- promise: 08-predict-the-loss -->
#
# ## Exercises
#
# *Lab 07* builds on this page: AdamW, a schedule, clipping, accumulation with unequal parts and a checkpoint that loses nothing, graded; and runs to diagnose.
#
# 1. By hand: two sets share three of their seven items. With what probability do 4 of 4 MinHash values agree, and with what probability do all four in at least one of 32 bands?
# 2. Write a rule that keeps the Frog Prince and drops the telephone page. What does it do to the rest of the web pages?
# 3. Give SGD momentum 0.99 or Nesterov's form in the quadratic valley. At which rate does it explode now?
# 4. In part VII let the model write at temperature 0.8. Which of the diets suffers most?
# 5. How long would eight of your own computers take for GPT-2 small on ten billion tokens, with which MFU, and what would they emit?
#
# ## Further reading
#
# Broder (1997), *On the resemblance and containment of documents*. Rae et al. (2021), *Scaling language models: methods, analysis and insights from training Gopher*; Lee et al. (2022), *Deduplicating training data makes language models better*; Penedo et al. (2024), *The FineWeb datasets*. Kingma and Ba (2015), *Adam*; Loshchilov and Hutter (2019), *Decoupled weight decay regularization*; Gupta et al. (2018), *Shampoo*; Vyas et al. (2024), *SOAP*; Jordan et al. (2024), *Muon*; Amsel et al. (2025), *The Polar Express*; Wen et al. (2025), *Fantastic pretraining optimizers and where to find them*. McCandlish et al. (2018), *An empirical model of large-batch training*; Hu et al. (2024), *MiniCPM*. Micikevicius et al. (2018), *Mixed precision training*. Shumailov et al. (2024), *AI models collapse when trained on recursively generated data*; Gerstgrasser et al. (2024), *Is model collapse inevitable?* Shoeybi et al. (2019), *Megatron-LM*; Rajbhandari et al. (2020), *ZeRO*; Chowdhery et al. (2022), *PaLM*. Patterson et al. (2021), *Carbon emissions and large neural network training*; Li et al. (2023), *Making AI less thirsty*; Sevilla et al. (2022), *Compute trends across three eras of machine learning*.
