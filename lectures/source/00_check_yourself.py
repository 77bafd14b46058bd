# %% [markdown]
# # 00 · Check yourself
#
# **The question of this lecture.** The source lectures print a table of results. One model, three of its numbers: *0.93* bits per byte on one text, perplexity *18.34* on another, *93.30 %* right on a set of questions. *What do these numbers mean, can they be compared, and how sure is each of them?*
#
# What you need for the answer (logarithms of probabilities, entropy, softmax, tensors that have the right shape, intervals) is what every later lecture takes for granted. Use this page as a test: predict before each cell. If your predictions hold, skim, and start with lecture 01. If not, you know where to stay a little.
#
# **Afterwards you can**
# - compute the probability of a long text without getting zero;
# - say what entropy, cross-entropy and KL divergence measure, and turn nats, bits per byte and perplexities into one another;
# - derive the gradient of softmax and cross-entropy, and keep both from overflowing;
# - spot the three shape mistakes that raise no error;
# - put an interval on an accuracy.
#
# **Before this:** derivatives, matrix products, a little numpy or PyTorch.
#
# **Time:** one class of 75 minutes, 15 of them for the twenty questions; part VI is *optional* if you know your tensors. All cells together: some seconds of computing.

# %%
import bz2
import lzma
import math
import zlib

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from courseware import Claim, claims_table
from courseware import show_concept_test
from courseware import explore, heatmap, poll, setup_style, show
from llmlib.data import alice, botchan, first_names
from llmlib.text import NGramModel, gpt2_tokenizer

setup_style();

# %% [markdown]
# ## I. Twenty questions
#
# Take them *now*, before you know the answers, and again after the course. They ask for ideas, not formulas, and most of them are about lectures you have not seen, so a low score is what the test is for. Do not guess: *don't know* is the more useful answer.
#
# Scored as "before the course", the form says how many are right and which lectures teach the rest; it does not give the answers away. Your answers stay in this notebook's memory, unless you tick the box; then one line goes into the `work/` folder of your copy of the course, which is never shared.

# %%
show_concept_test()

# %% [markdown]
# *For teachers:* what a class learned is usually reported as the **normalised gain** (Hake, 1998), the share of the possible improvement that happened, $\langle g\rangle = (\text{after} - \text{before})/(1 - \text{before})$; `python -m courseware gain` computes it, with an interval, from the files your students choose to hand in.

# %% [markdown]
# ## II. The probability of a text
#
# Deck J writes a language model as $P(X_t \mid X_1, \dots, X_{t-1})$, the next word given those before it. That is enough to give a probability to a *whole* text, because of the chain rule:
#
# $$P(x_1, \dots, x_T) = \prod_{t=1}^{T} P(x_t \mid x_1, \dots, x_{t-1}).$$
#
# Nothing is approximated here. To see it with numbers: all runs of three letters in *Alice's Adventures in Wonderland*, their joint probability on one side and three conditional ones on the other.

# %%
def letters_of(text):
    """The letters a to z of a text as numbers 0 to 25, everything else left out."""
    codes = np.frombuffer(text.lower().encode("ascii", "ignore"), dtype=np.uint8).astype(int) - ord("a")
    return codes[(codes >= 0) & (codes < 26)]


book = letters_of(alice())
runs = 26 * 26 * book[:-2] + 26 * book[1:-1] + book[2:]
joint = np.bincount(runs, minlength=26**3).reshape(26, 26, 26) / len(runs)          # P(a, b, c)
pairs, first = joint.sum(axis=2), joint.sum(axis=(1, 2))                            # P(a, b) and P(a)
second_given = pairs / first[:, None]                                               # P(b | a)
third_given = joint / np.maximum(pairs, 1e-300)[:, :, None]                         # P(c | a, b)
chain_error = np.abs(first[:, None, None] * second_given[:, :, None] * third_given - joint).max()
print(f"{len(runs):,} runs of three letters; largest difference between the two sides: {chain_error:.0e}")

# %% [markdown]
# ### A product that is zero
#
# Now the simplest language model there is: every letter has its frequency in the book, whatever came before. We ask it for the probability of the book's own beginning, by multiplying.
#
# **Predict:** after how many letters does the product, in 32-bit floating point, become exactly zero? (The smallest positive 32-bit number is $2^{-149}$; a letter has a probability of about 1/17.)

# %%
frequency = np.bincount(book, minlength=26) / len(book)
p = frequency[book[:400]]                                                           # the probability of each letter
products = {"32-bit product": np.cumprod(p.astype(np.float32)), "64-bit product": np.cumprod(p)}
log_sum = np.cumsum(np.log2(p))
vanished = {name: int(np.argmax(product == 0)) + 1 for name, product in products.items()}
print({name: f"zero from letter {n} on" for name, n in vanished.items()})

fig, ax = plt.subplots()
for (name, product), style in zip(products.items(), ("-", "--")):
    alive = vanished[name] - 1
    ax.plot(range(1, alive + 1), np.log2(product[:alive].astype(float)), style, linewidth=6, alpha=0.6, label=f"{name} (ends at letter {alive})")
    ax.plot(alive, np.log2(float(product[alive - 1])), "X", color="black", markersize=11)
ax.plot(range(1, 401), log_sum, color="black", linewidth=1.6, label="sum of logarithms")
ax.set(xlabel="letters of the text", ylabel="log₂ of its probability (bits)")
ax.legend()
show(fig, alt=f"Log probability against letters. The 32-bit product ends after {vanished['32-bit product'] - 1} letters, the 64-bit one after {vanished['64-bit product'] - 1}; the sum of logarithms goes straight on to {log_sum[-1]:.0f} bits at letter 400.")

# %% [markdown]
# In 32 bits half a line is enough, in 64 bits a paragraph, and every text has probability zero: the true one, a misspelt one, and random keys, so that they can't even be ranked. The sum of logarithms has no such end. It also reads better: a nearly straight line, about four bits down per letter, and its slope is what we call the *loss*.
#
# This is why every program in this course works with $\log P$, and why losses are *averages of $-\log P$*.

# %% [markdown]
# ## III. Surprise, entropy, and being wrong
#
# The **surprise** of an event of probability $p$ is $-\log_2 p$ bits: none for a certain event, 1 for a coin, 10 for one chance in 1,024. **Entropy** is the average surprise, when the probabilities are right:
#
# $$H(p) = -\sum_x p(x) \log_2 p(x).$$
#
# For a coin that falls heads with probability $p$, this is a curve. **Before you move the slider:** a coin that falls heads 90 % of the time is "80 % less random" than a fair one, isn't it?

# %%
def entropy(p):
    """Bits: average surprise of draws from p (any shape, last axis sums to 1); outcomes of probability 0 add nothing."""
    p = np.asarray(p, float)
    return -(p * np.log2(np.where(p > 0, p, 1))).sum(axis=-1)


def coin_entropy(p):
    fig, ax = plt.subplots(figsize=(4.3, 3))
    grid = np.linspace(0, 1, 201)
    ax.plot(grid, entropy(np.stack([grid, 1 - grid], axis=-1)))
    h = entropy([p, 1 - p])
    ax.plot([p, p, 0], [0, h, h], ":", color="0.4", linewidth=1.5)
    ax.plot(p, h, "o", color="#D55E00", markersize=10)
    ax.set(title=f"p = {p:g}: {h:.2f} bits", xlabel="probability of heads", ylabel="entropy (bits)", ylim=(0, 1.08))
    return fig


explore(coin_entropy, p=(0.0, 1.0, 0.01), panels=[0.5, 0.9, 0.99],
        alt=lambda p: f"Binary entropy, an arch from 0 over 1 bit at p = 0.5 back to 0; marked: {entropy([p, 1 - p]):.2f} bits at p = {p:g}.")

# %% [markdown]
# At 90 % it is still almost half a bit per toss, not a fifth, and even at 99 % it isn't nothing: rare events are rare, but each of them surprises a lot.
#
# ### The price of a wrong model
#
# A model does not know $p$; it believes $q$. It is surprised by $-\log_2 q(x)$, while things happen according to $p$. That average is the **cross-entropy**, and it splits into two parts:
#
# $$H(p, q) = -\sum_x p(x) \log_2 q(x) = \underbrace{H(p)}_{\text{nobody can avoid}} + \underbrace{\sum_x p(x) \log_2 \frac{p(x)}{q(x)}}_{D_{\mathrm{KL}}(p\,\|\,q)\;\ge\;0,\ \text{the model's own fault}}.$$
#
# **Predict:** the coin falls heads 90 % of the time, and you insist that it is fair ($q = 0.5$). What is your loss? And if you believe the opposite, $q = 0.1$?

# %%
def cross_entropy_bits(p, q):
    """Bits per draw that a believer in q pays on draws from p; infinite if q excludes what p does."""
    p, q = np.asarray(p, float), np.asarray(q, float)
    with np.errstate(divide="ignore"):
        return -(p * np.where(p > 0, np.log2(q), 0)).sum(axis=-1)


def wrong_coin(p, q):
    fig, ax = plt.subplots(figsize=(4.3, 3.1))
    grid, coin = np.linspace(0.005, 0.995, 199), np.array([p, 1 - p])
    floor, loss = entropy(coin), cross_entropy_bits(coin, [q, 1 - q])
    ax.plot(grid, cross_entropy_bits(coin, np.stack([grid, 1 - grid], axis=-1)))
    ax.axhline(floor, color="0.4", linestyle=":")
    ax.plot([q, q], [floor, loss], color="#D55E00")
    ax.plot(q, loss, "o", color="#D55E00", markersize=9)
    ax.set(title=f"{loss:.2f} = {floor:.2f} + {loss - floor:.2f} bits", xlabel=f"believed q (true p = {p:g})", ylabel="loss (bits)", ylim=(0, 5))
    return fig


explore(wrong_coin, p=[0.5, 0.7, 0.9, 0.99], q=(0.01, 0.99, 0.01),
        panels=[dict(p=0.9, q=0.9), dict(p=0.9, q=0.5), dict(p=0.9, q=0.1)],
        alt=lambda p, q: f"Loss against the believed q for a coin with p = {p:g}: lowest at q = p, where it equals the entropy {entropy([p, 1 - p]):.2f}, rising steeply towards the ends; {cross_entropy_bits([p, 1 - p], [q, 1 - q]):.2f} bits at q = {q:g}.")

# %% [markdown]
# Someone who says "fifty-fifty" pays exactly 1 bit, whatever the coin does. Someone who is sure of the wrong thing pays three times as much. And the curve goes up without limit at the ends:

# %%
poll("A model gives the probability 0 to a token which then does occur, once in a million tokens. Its average loss over the million is",
     ["infinite", "hardly changed: one token in a million", "about 1 bit higher", "undefined, so the token is left out"],
     "$-\\log_2 0$ is infinite, and an average with one infinite term is infinite: <2> underestimates what *certainty* claims, and <4> would be cheating, since the one thing the model got wrong would be left out. A softmax never gives exactly 0, and models that count need *smoothing* (lecture 01) for this reason alone.")

# %% [markdown]
# The same with real letters. Three sources: *Alice*, the novel *Botchan* (translated from Japanese), and a list of first names; and a fourth "model" that finds all letters equally likely. **Look for** the two novels, then for the names, then compare the last row with the last column.

# %%
texts = {"Alice": alice(), "Botchan": botchan(), "names": "".join(first_names())}
letter = {name: np.bincount(letters_of(text), minlength=26) / len(letters_of(text)) for name, text in texts.items()} | {"uniform": np.full(26, 1 / 26)}
H = {name: entropy(p) for name, p in letter.items()}
divergence = np.array([[cross_entropy_bits(p, q) - entropy(p) for q in letter.values()] for p in letter.values()])
assert (divergence > -1e-12).all()                                                  # never negative (Gibbs)

fig, ax = plt.subplots(figsize=(6.4, 3.6))
image = heatmap(ax, divergence.clip(0), vmax=1, fmt=".2f")
ax.set_xticks(range(4), letter)
ax.set_yticks(range(4), [f"{name} (H = {H[name]:.2f})" for name in letter])
ax.set(xlabel="letter frequencies believed (q)", ylabel="text that is read (p)")
fig.colorbar(image, ax=ax, label="KL divergence (bits per letter)")
show(fig, alt="Table of KL divergences between letter frequencies, in bits per letter: " + "; ".join(f"{a} read with those of {b} {divergence[i, j]:.2f}" for i, a in enumerate(letter) for j, b in enumerate(letter) if i != j) + ".")

# %% [markdown]
# Two novels from different continents differ by about a hundredth of a bit: letter frequencies belong to the language more than to the book. Names are another matter. And the table is *not symmetric*. Reading English while believing all letters equally likely costs about half a bit; reading random letters while believing in English costs nearly a whole one, because j, q, x and z keep coming. KL is no distance: it asks how surprised a believer in $q$ is by $p$, and the reverse is another question. (Which of the two is minimised comes back in lectures 13 and 15, where it decides how a model behaves.)

# %% [markdown]
# ## IV. Reading a table of results
#
# Decks C and J both print GPT-2's results (Radford et al., 2019, table 3): in columns marked BPB, BPC and PPL. All three are the same quantity, average surprise, in different clothes:
#
# | unit | definition | from nats per token |
# | --- | --- | --- |
# | nats per token | $-\frac1N\ln P(\text{text})$, $N$ tokens; what `F.cross_entropy` returns | – |
# | bits per token | the same with $\log_2$ | divide by $\ln 2 = 0.693$ |
# | BPB, BPC | bits *per byte* or *per character* | total bits / number of bytes or characters |
# | PPL, perplexity | $2^{\text{bits per unit}} = e^{\text{nats per unit}}$ | exponentiate, *after* choosing the unit |
#
# The trap is in the last column: **per what?** Here is one model and one text. The model counts runs of up to four bytes in the first nine tenths of *Alice*, and is judged on the rest.

# %%
data = np.frombuffer(alice().encode(), dtype=np.uint8).astype(int)
cut = int(0.9 * len(data))
rest = bytes(data[cut:].tolist()).decode()
model = NGramModel(order=4, smoothing="witten_bell", vocab_size=256).fit(data[:cut])
total_bits = -model.logprob(data[cut:]).sum() / math.log(2)

units = {"byte": len(rest.encode()), "GPT-2 token": len(gpt2_tokenizer().encode(rest)), "word": len(rest.split())}
bits_per = {unit: total_bits / n for unit, n in units.items()}
print(f"log2 P(text) = -{total_bits:,.0f} bits, whatever the unit\n")
for unit, n in units.items():
    print(f"per {unit:12} {n:7,} of them   {bits_per[unit]:6.2f} bits   perplexity {2 ** bits_per[unit]:12,.1f}")

# %% [markdown]
# One model, one text, one probability, and perplexities from five to eight thousand. A perplexity without its unit says nothing, and two perplexities *per token* cannot be compared when the tokenizers differ. Bits per byte can: everybody agrees what a byte is.
#
# GPT-2's paper is careful about this. It divides the log-probability of each data set by that data set's own traditional unit: characters for text8, bytes for enwik8, words for the columns drawn below (in which a comma counts as a word, too). So **18.34 is per word**.
#
# **Predict:** from the smallest to the largest GPT-2, perplexity on WikiText2 falls from 29.41 to 18.34, by 38 %. By how much do the *bits* fall?

# %%
SIZES = ["117M", "345M", "762M", "1542M"]
COLUMNS = ["LAMBADA (PPL)", "LAMBADA (ACC)", "CBT-CN (ACC)", "CBT-NE (ACC)", "WikiText2 (PPL)", "PTB (PPL)", "enwik8 (BPB)", "text8 (BPC)", "WikiText103 (PPL)", "1BW (PPL)"]
ROWS = np.array([[35.13, 45.99, 87.65, 83.4, 29.41, 65.85, 1.16, 1.17, 37.50, 75.20], [15.60, 55.48, 92.35, 87.1, 22.76, 47.33, 1.01, 1.06, 26.37, 55.72],
                 [10.87, 60.12, 93.45, 88.0, 19.93, 40.31, 0.97, 1.02, 22.05, 44.575], [8.63, 63.24, 93.30, 89.05, 18.34, 35.76, 0.93, 0.98, 17.48, 42.16]])
table = dict(zip(COLUMNS, ROWS.T))                                                  # column -> four sizes, as on the slides

fig, axes = plt.subplots(1, 2, figsize=(9, 3.7))
for name, marker in zip(["1BW (PPL)", "PTB (PPL)", "WikiText103 (PPL)", "WikiText2 (PPL)"], "o^sD"):
    axes[0].plot(SIZES, table[name], marker=marker, label=name.split()[0])
    axes[1].plot(SIZES, np.log2(table[name]), marker=marker)
axes[0].set(ylabel="perplexity per word", ylim=(0, None), title="as printed")
axes[1].set(ylabel="bits per word", ylim=(0, None), title="the same, in bits")
axes[0].legend(fontsize=10)
for ax in axes:
    ax.set_xlabel("size of GPT-2")
wiki2 = np.log2(table["WikiText2 (PPL)"])
show(fig, alt=f"Four data sets against the size of GPT-2. As perplexities the curves fall steeply, WikiText2 from 29.41 to 18.34; in bits per word they fall gently, WikiText2 from {wiki2[0]:.2f} to {wiki2[-1]:.2f}.")
print(f"WikiText2: {wiki2[0]:.2f} to {wiki2[-1]:.2f} bits per word, {100 * (1 - wiki2[-1] / wiki2[0]):.0f} % less")

# %% [markdown]
# The exponential makes differences look large; bits add up, and are what a scaling law (lecture 08) is about.
#
# ### What is 0.93 bits per byte?
#
# A size. By Shannon's theorem, a model that scores $b$ bits per byte can be turned into a compressor that stores the text in $b$ bits per byte, and back. enwik8 is the first 100 million bytes of a Wikipedia dump, so 0.93 bits per byte is a file of 11.6 MB, if the receiver has the same model. Programs that you have on your computer are language models in this sense. **Predict** where our counting model stands among them on the last tenth of *Alice*; to be fair, they too may read the first nine tenths first.

# %%
def extra_bits_per_byte(compress):
    """Bits per byte for the last tenth of Alice, given the first nine tenths: how much longer both are than the first alone."""
    known, everything = bytes(data[:cut].tolist()), bytes(data.tolist())
    return 8 * (len(compress(everything)) - len(compress(known))) / (len(everything) - len(known))


compressors = {"zlib (zip, png)": lambda b: zlib.compress(b, 9), "bzip2": lambda b: bz2.compress(b, 9), "xz": lambda b: lzma.compress(b, preset=9)}
compressed = {name: extra_bits_per_byte(compress) for name, compress in compressors.items()}
for name, bits in (compressed | {"our four-byte counts": bits_per["byte"]}).items():
    print(f"{name:22} {bits:.2f} bits per byte")
print(f"\nGPT-2 on enwik8: {table['enwik8 (BPB)'][-1]} bits per byte = {table['enwik8 (BPB)'][-1] / 8 * 100:.1f} MB of 100 MB")
print(f"18.34 per word = {wiki2[-1]:.2f} bits per word; at {len(rest) / units['word']:.1f} characters per word (as in Alice, spaces included) about {wiki2[-1] / (len(rest) / units['word']):.2f} bits per character")

# %% [markdown]
# Our counts, at the level of programs that have been on every computer for decades, beat two of them and lose to bzip2; a trained network is another class, and lecture 03 builds one. (Different text, so don't read the gap to 0.93 off these lines.)
#
# So which is better, 0.93 bits per byte or perplexity 18.34? In one unit they are neighbours: the second is roughly three quarters of a bit per character. But that comparison is still unsound, because *the texts differ*: enwik8 is full of markup and links, WikiText2 is clean prose. Same unit **and** same text, or no comparison.

# %%
poll("Model A (vocabulary of 32,000 tokens) has perplexity 12 per token on a text, model B (256,000 tokens) has 18 per token on the same text. Which gives the text the higher probability?",
     ["one cannot tell without the number of tokens", "A: its perplexity is lower", "B: its vocabulary is larger", "the two are equal"],
     "A larger vocabulary cuts the text into *fewer* tokens. If A needs 1,000 tokens, it spends $1000 \\log_2 12 = 3585$ bits; if B needs 800, it spends $800 \\log_2 18 = 3336$ bits and is the better model, in spite of its higher perplexity; with 900 tokens it is the worse one. So A is a trap, B does not follow either, and equal they are only by accident.")

# %% [markdown]
# ## V. Softmax and its gradient
#
# A network gives one number per possible token, the **logits** $z$. Softmax turns them into probabilities: $p_i = e^{z_i} / \sum_j e^{z_j}$. Written down like that, it breaks:

# %%
def naive_softmax(z):
    return z.exp() / z.exp().sum(dim=-1, keepdim=True)


print("32 bits, logits 1, 2, 100:   ", naive_softmax(torch.tensor([1.0, 2.0, 100.0])).tolist())
print("16 bits, logits 1, 2, 12:    ", naive_softmax(torch.tensor([1.0, 2.0, 12.0], dtype=torch.float16)).tolist())

# %% [markdown]
# $e^{100}$ is too large for 32 bits, and infinity over infinity is not a number. In 16 bits, a logit of 12 is enough. The cure uses a property worth knowing anyway: adding the same $c$ to all logits changes nothing, since $e^{z_i + c} = e^c e^{z_i}$ and $e^c$ cancels. Subtract the largest logit, and every exponential is at most 1.

# %%
def log_softmax(z):
    """Logarithms of the softmax probabilities along the last axis, for logits of any size."""
    z = z - z.max(dim=-1, keepdim=True).values
    return z - z.exp().sum(dim=-1, keepdim=True).log()


def cross_entropy(z, target):
    """Mean loss in nats; z: (N, V) logits, target: (N,) the tokens that came."""
    return -log_softmax(z)[torch.arange(len(z)), target].mean()


z, target = 30 * torch.randn(5, 7, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 6, 2, 2, 5])
torch.testing.assert_close(log_softmax(z + 1000), F.log_softmax(z, dim=-1), atol=1e-3, rtol=1e-4)      # shifted by 1000: the same
torch.testing.assert_close(cross_entropy(z, target), F.cross_entropy(z, target))                        # what we wrote is what PyTorch computes

# %% [markdown]
# (We compute the *logarithm* directly. Taking `softmax` first and `log` afterwards would bring part II's problem back: a small probability becomes 0, and its logarithm $-\infty$.)
#
# ### The gradient
#
# For one example with target $y$, the loss is $L = -\log p_y = -z_y + \log \sum_j e^{z_j}$. Differentiate with respect to logit $z_i$. The first term gives $-1$ if $i = y$, otherwise nothing. The second gives
#
# $$\frac{\partial}{\partial z_i} \log \sum_j e^{z_j} = \frac{e^{z_i}}{\sum_j e^{z_j}} = p_i, \qquad\text{so}\qquad \frac{\partial L}{\partial z_i} = p_i - [i = y].$$
#
# *Probabilities minus the truth.* All of deep learning's classifiers and language models start their backward pass with this line. We check it against PyTorch's own differentiation, and against plain finite differences:

# %%
z = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
target = torch.tensor([1, 0, 5, 3])
F.cross_entropy(z, target, reduction="sum").backward()
ours = z.detach().softmax(dim=-1) - F.one_hot(target, 6)                            # p - y
torch.testing.assert_close(ours, z.grad)
gradient_error = (ours - z.grad).abs().max().item()

nudge = torch.zeros(4, 6, dtype=torch.float64)
nudge[2, 4] = 1e-6
with torch.no_grad():
    slope = (F.cross_entropy(z + nudge, target, reduction="sum") - F.cross_entropy(z - nudge, target, reduction="sum")) / 2e-6
torch.testing.assert_close(slope, ours[2, 4])
print(f"p - y equals autograd to {gradient_error:.0e}; each row sums to {ours.sum(dim=-1).abs().max():.0e}")

# %%
poll("The model gave the token that came a probability of 0.99. The gradient of the loss with respect to *that token's* logit is",
     ["-0.01", "0.99", "0.01", "-4.6"],
     "$p_y - 1 = 0.99 - 1 = -0.01$: raise this logit a little. <2> forgets to subtract the truth; <3> has the sign of a logit that should come *down*; <4> is $\\ln 0.01$, a logarithm, while the gradient of a logit always lies between -1 and 1. Tokens that are already well predicted hardly pull at the model; the badly predicted ones do the teaching.")

# %% [markdown]
# Is this line all that learning needs? Here is a "network" of 26 numbers, one logit per letter, trained on *Alice* by gradient descent with nothing but $p - y$ (averaged over the book, $y$ becomes the letter frequencies).
#
# **Predict** where the loss starts and where it ends. You have met both numbers above.

# %%
logits, learned_loss = np.zeros(26), []
for _ in range(300):
    p = np.exp(logits - logits.max())
    p /= p.sum()
    learned_loss.append(cross_entropy_bits(letter["Alice"], p))
    logits -= 5.0 * (p - letter["Alice"])                                           # step 5, direction p - y

fig, axes = plt.subplots(1, 2, figsize=(9, 3.5), width_ratios=[2, 3])
axes[0].plot(learned_loss)
axes[0].axhline(H["Alice"], color="0.3", linestyle=":")
axes[0].text(300, H["Alice"] - 0.005, f"entropy {H['Alice']:.2f}", ha="right", va="top")
axes[0].set(xlabel="step", ylabel="loss (bits per letter)", ylim=(H["Alice"] - 0.08, 4.75))
axes[1].bar(np.arange(26) - 0.2, letter["Alice"], 0.4, label="frequency in the book")
axes[1].bar(np.arange(26) + 0.2, p, 0.4, label="learned probability")
axes[1].set_xticks(range(26), "abcdefghijklmnopqrstuvwxyz", fontsize=10)
axes[1].set(xlabel="letter", ylabel="probability")
axes[1].legend(fontsize=11)
show(fig, alt=f"Left: the loss falls from {learned_loss[0]:.2f} bits, log2 of 26, to {learned_loss[-1]:.2f}, the entropy of the letters. Right: the learned probabilities of the 26 letters equal their frequencies.")
print(f"first loss {learned_loss[0]:.2f} (log2 26 = {math.log2(26):.2f}), last {learned_loss[-1]:.2f}, entropy {H['Alice']:.2f} bits per letter")

# %% [markdown]
# It starts at $\log_2 26$, because equal logits are a uniform guess, and ends at the entropy of the letters, because $p - y$ vanishes exactly when $p$ is right. Two checks for every training run of your life: *the first loss is about $\ln V$ nats; on fresh text, the last one can't be below the entropy of the source.* If it is, something leaks.
#
# ### Temperature
#
# Dividing all logits by a **temperature** $\tau$ does change the probabilities. **Predict** the two limits before you move the slider: $\tau \to 0$ and $\tau \to \infty$. What happens to the entropy?

# %%
def at_temperature(tau):
    p = np.exp((logits - logits.max()) / tau)
    p /= p.sum()
    fig, ax = plt.subplots(figsize=(4.3, 2.9))
    ax.bar(list("abcdefghijklmnopqrstuvwxyz"), p)
    ax.tick_params(axis="x", labelsize=9)
    ax.set(title=f"τ = {tau:g}: entropy {entropy(p):.2f} bits", ylim=(0, 1), xlabel="letter", ylabel="probability")
    return fig


explore(at_temperature, tau=(0.05, 5.0, 0.05), panels=[0.1, 1.0, 5.0],
        alt="The learned letter probabilities at three temperatures: at 0.1 nine tenths on e, at 1 the frequencies of English, at 5 nearly level; the entropy rises with the temperature.")

# %% [markdown]
# Cold, the likeliest letter takes everything and the entropy goes to 0; hot, all letters become equally likely and it goes to $\log_2 26 = 4.70$ bits. The order of the letters never changes. Lecture 03 writes with this dial.

# %% [markdown]
# ## VI. Shapes (*optional*)
#
# Three operations, each in its working and in its broken form. Some broken forms raise an error. The dangerous ones don't.
#
# ### Batched products
#
# `@` multiplies the last two axes and treats all earlier ones as a batch: `(B, T, d) @ (B, d, S)` is `(B, T, S)`. To compare every query with every key, the *last two* axes of the keys have to change places.

# %%
q, k = torch.randn(2, 8, 5, 16), torch.randn(2, 8, 5, 16)                           # (batch, heads, T, d)
scores = q @ k.transpose(-2, -1)                                                    # (2, 8, 5, 5)
torch.testing.assert_close(scores[1, 3, 2, 4], q[1, 3, 2] @ k[1, 3, 4])             # entry (t, s) is query t times key s
try:
    q @ k
except RuntimeError as error:
    print("without the transpose:", str(error).split("\n")[0][:90])

q, k = torch.randn(2, 8, 16, 16), torch.randn(2, 8, 16, 16)                         # now T happens to equal d
print("and if T = d: no error,", tuple((q @ k).shape), "and", "right" if torch.allclose(q @ k, q @ k.transpose(-2, -1)) else "every number wrong")

# %% [markdown]
# A test of the shape with `T = d = 16` passes. *Test with sizes that all differ, and compare numbers.*
#
# ### Broadcasting
#
# Shapes are aligned *from the right*; an axis of size 1, or a missing one, is repeated. Often that is what you want: `(T, d) + (d,)` adds a bias to every row. **Predict:** predictions of shape `(32, 1)`, straight from a linear layer, and targets of shape `(32,)`. The predictions are *perfect*. What is their mean squared error?

# %%
answers = torch.randn(32, generator=torch.Generator().manual_seed(0))
predictions = answers[:, None].clone()                                              # (32, 1): exactly right
difference = predictions - answers
print("shape of the difference:", tuple(difference.shape))
print(f"mean squared error {difference.pow(2).mean():.2f}; twice the variance of the answers {2 * answers.var(correction=0):.2f}")
assert (predictions[:, 0] - answers).pow(2).mean() == 0                             # what was meant

# %% [markdown]
# Every prediction was compared with every answer. Trained on that loss, the model learns to predict the *mean* for everything, and the loss even goes down while it does. (PyTorch's own `mse_loss` warns; an expression you write yourself doesn't.)
#
# ### `view` is not `transpose`
#
# `view` re-reads the same numbers in the same order with other borders. `transpose` changes which axis is which. To split `(T, heads · d)` into heads we need both: give the last axis a border, *then* move the heads to the front.

# %%
T, heads, d = 4, 3, 2
x = torch.arange(T)[:, None].expand(T, heads * d).contiguous()                      # row t is filled with the number t: its position
right = x.view(T, heads, d).transpose(0, 1)                                         # (heads, T, d)
wrong = x.view(heads, T, d)                                                         # the same shape
fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for ax, split, title in [(axes[0], right, "view(T, heads, d).transpose(0, 1)"), (axes[1], wrong, "view(heads, T, d)")]:
    heatmap(ax, split[:, :, 0], vmax=5, fmt="d")
    ax.set(title=title, xlabel="slot for position", xticks=range(T), yticks=range(heads))
axes[0].set_ylabel("head")
show(fig, alt=f"Which position stands in which slot of three heads. Right: every head holds positions 0, 1, 2, 3. Wrong: the heads hold {wrong[:, :, 0].tolist()}.")
try:
    right.view(T * heads * d)
except RuntimeError as error:
    print("view after transpose:", str(error).split(" (")[0])

# %% [markdown]
# On the left every head sees all four positions in order. On the right the first head holds position 0 three times and never meets position 3: same shape, no error, and a model that trains, only badly. Going back, PyTorch does protect you: a `view` of a transposed tensor raises, and `reshape` (which copies) is the answer, *after* transposing back.

# %%
poll("`x` has shape `(8, 32)`: 8 sentences, 32 features. You want to subtract from each *sentence* its own mean. Which expression does that?",
     ["`x - x.mean(dim=1, keepdim=True)`", "`x - x.mean(dim=1)`", "`x - x.mean(dim=0)`", "`x - x.mean()`"],
     "Means over the features have to be of shape `(8, 1)`, to be repeated along axis 1. <2> has shape `(8,)`, which is aligned with the *32* and raises; with 32 sentences of 32 features it would raise nothing and subtract the wrong means. <3> subtracts each feature's mean over the sentences; <4> one number from everything.")

# %% [markdown]
# ## VII. How sure is an accuracy?
#
# A model answers 60 questions and gets 70 % right. With other 60 questions of the same kind it would have got another number. The **95 % interval** says how far off such a number usually is. For $k$ right of $n$, Wilson's (1927) works even near 0 and 100 %:

# %%
def interval(k, n, z=1.96):
    """Wilson's 95 % interval for a proportion, as two fractions."""
    centre, half = (k + z * z / 2) / (n + z * z), z * np.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z)
    return centre - half, centre + half


low, high = interval(42, 60)
print(f"42 of 60: 70 %, interval {100 * low:.0f} to {100 * high:.0f} %")
simulated = np.random.default_rng(0).binomial(60, 0.7, size=20_000)                 # a model whose true rate is 70 %, tested 20,000 times
lows, highs = interval(simulated, 60)
coverage = ((lows <= 0.7) & (0.7 <= highs)).mean()
half_width = {n: 100 * (interval(n // 2, n)[1] - interval(n // 2, n)[0]) / 2 for n in (60, 240, 1000, 2000, 10_000)}
print(f"the interval holds the truth in {100 * coverage:.0f} % of 20,000 tests")
print("half width at 50 %:", ", ".join(f"n = {n:,}: ±{half:.1f}" for n, half in half_width.items()), "points")

# %% [markdown]
# (93 rather than 95: with 60 questions the number right moves in steps, so no interval can hit 95 exactly at every rate.)
#
# So **n = 60 means ±12 points**. Now two models, one truly right on 70 % of all such questions, the other on 75 %. **Predict:** if each is tested on 60 questions of its own, how often does the *worse* one look better or equal?

# %%
def two_models(questions):
    rng = np.random.default_rng(1)
    worse, better = (rng.binomial(questions, rate, size=20_000) for rate in (0.70, 0.75))
    upset = (worse >= better).mean()
    fig, ax = plt.subplots(figsize=(4.3, 3))
    bins = np.linspace(0.45, 0.95, 41) if questions > 60 else (np.arange(26, 60) - 0.5) / questions
    for scores, label in ((worse, "70 %"), (better, "75 %")):
        ax.hist(scores / questions, bins, alpha=0.6, density=True, label=f"true rate {label}")
    ax.set(title=f"n = {questions:,}: upset in {100 * upset:.0f} %", xlabel="measured accuracy", yticks=[], xlim=(0.45, 0.95))
    ax.legend(fontsize=10)
    return fig


explore(two_models, questions=[20, 60, 200, 500, 2000], panels=[60, 500, 2000],
        alt="Histograms of the measured accuracies of a 70 % and a 75 % model. With 60 questions the two overlap almost completely; with 500 partly; with 2000 they are apart.")

# %% [markdown]
# With 60 questions the worse model wins or ties nearly one time in three; with 2,000 it is settled. (Asking both models the *same* questions helps, because hard questions are then hard for both; lecture 18 does it.)

# %%
poll("A test of 500 questions gives an interval of ±4 points. You want ±2. How many questions do you need?",
     ["2,000", "700", "1,000", "8,000"],
     "The width shrinks with $\\sqrt n$: half the width takes four times the questions. <3> would need the width to shrink with $n$, and gives ±3; <2> and <4> are a factor of $\\sqrt 2$ and of 16.")

# %% [markdown]
# Back to the table of decks C and J, which say that *scaling improves performance*. From size to size, does every one of its ten columns improve?

# %%
improves = np.array([np.sign(np.diff(table[name])) == (1 if "ACC" in name else -1) for name in COLUMNS])       # (columns, 3 steps)
exception = [(COLUMNS[i], SIZES[j], SIZES[j + 1]) for i, j in np.argwhere(~improves)]
cbt_low, cbt_high = interval(0.933 * 2000, 2000)
print(f"{improves.sum()} of {improves.size} steps improve; not: {exception}")
print(f"93.30 % of 2,000 questions: interval {100 * cbt_low:.1f} to {100 * cbt_high:.1f} %, which includes 93.45")

# %% [markdown]
# One step of thirty goes the wrong way, from 93.45 to 93.30. The validation set of the Children's Book Test has 2,000 questions of this kind (Hill et al., 2016), so either number is good to about one point. So the exception doesn't contradict the rule, and doesn't support it either.

# %% [markdown]
# ## Scale warning
#
# > **What carries over from here to a large model, and what doesn't.** The identities are exact at any size: the chain rule, $H(p, q) = H(p) + D_{\mathrm{KL}}$, $p - y$, the shapes. The *numbers* are not: about four bits per letter is what single-letter frequencies give, and models of language reach a quarter of it and less, because they use what came before. We know the entropy of a coin; nobody knows the entropy of English, so for real text the split into "unavoidable" and "the model's fault" can't be computed, only bounded. Overflow comes *earlier* in large models, which compute in 16 bits. And intervals are about drawing questions at random: they say nothing about questions that were in the training data, are ambiguous, or don't measure what you want (lecture 18).

# %% [markdown]
# ## Claims
#
# The source lectures take most of this page for granted. These are the statements that rest on it.

# %%
bpb, ppl = table["enwik8 (BPB)"], table["WikiText2 (PPL)"]
claims_table([
    Claim("a language model is $P(X_t \\mid X_1, \\dots, X_{t-1})$ (J)", "the chain rule; Shannon (1948) for text",
          f"the product of the conditionals equals the joint probability to {chain_error:.0e}", "holds; it is an identity"),
    Claim("given a sequence of *words*, predict the next *token* (N)", "Radford et al. (2019) predict byte-pair tokens and report per word",
          f"the same model on the same text: perplexity {2 ** bits_per['GPT-2 token']:,.0f} per token, {2 ** bits_per['word']:,.0f} per word", "fails; if the two are taken for the same thing"),
    Claim("GPT-2 reaches 0.93 bits per byte on enwik8 (C, J)", "Radford et al. (2019), table 3",
          f"converted: {bpb[-1] / 8 * 100:.1f} MB of 100; on another text, xz {compressed['xz']:.2f} and our counts {bits_per['byte']:.2f} bits per byte", "cannot be tested at this scale; the conversion is exact"),
    Claim("GPT-2 reaches perplexity 18.34 on WikiText2 (C, J)", "the same, per *word*",
          f"converted: {wiki2[-1]:.2f} bits per word; from 117M to 1542M {100 * (1 - ppl[-1] / ppl[0]):.0f} % less perplexity is {100 * (1 - wiki2[-1] / wiki2[0]):.0f} % fewer bits", "cannot be tested at this scale; the conversion is exact"),
    Claim("scaling improves the perplexity of the LM and improves performance (C)", "Radford et al. (2019): log-linear in model size",
          f"{improves.sum()} of {improves.size} steps in the printed table; the other is {exception[0][0]}, inside an interval of ±{50 * (cbt_high - cbt_low):.1f} points", "holds; in the printed table"),
    Claim("the decoder is followed by a linear layer and softmax (B, N)", "Radford et al. (2018)",
          f"with cross-entropy its gradient is p - y, equal to autograd to {gradient_error:.0e}; without subtracting the maximum it gives nan", "holds; computed as a log-softmax"),
])

# %% [markdown]
# ## Summary
#
# 1. Probabilities of texts are products of hundreds of factors: take logarithms, or get zero.
# 2. Loss is cross-entropy: the entropy of the data, which nobody can beat, plus the KL divergence, which is the model's own fault.
# 3. Bits per byte, bits per character and perplexity are one quantity in different units; compare only with the same unit *and* the same text.
# 4. The gradient of softmax and cross-entropy is $p - y$; subtract the largest logit and stay with logarithms.
# 5. Shapes that fit prove nothing, and 60 questions give ±12 points.
#
# **Still unexplained.** Where does a model get better probabilities than letter frequencies from? How much does each further letter of context help, and why does counting stop helping? Lecture 01 begins there.
#
# ## Exercises
#
# There is no lab 00; lab 01 uses parts II to IV, lab 03 parts V and VI.
#
# 1. What is the loss in nats of a fresh model with a vocabulary of 50,257 tokens? What does it mean if yours starts at 12?
# 2. Show that $D_{\mathrm{KL}}(p \,\|\, q) \ge 0$, using $\ln x \le x - 1$.
# 3. Derive the gradient with respect to the logits when the target is not one token but a distribution $y$, and at temperature $\tau$. (Lecture 15 needs it for distillation.)
# 4. Compress *Alice* reversed, and with its letters shuffled, by all three programs. Which of the numbers change, and what does that say about each as a language model?
# 5. Two models answer the same 60 questions, 42 and 38 right. Write down two ways in which this can come about, one where the difference is convincing and one where it is not.
#
# ## Further reading
#
# Shannon (1948), *A mathematical theory of communication*; Shannon (1951), *Prediction and entropy of printed English*, in which people play language model. Cover and Thomas (2006), *Elements of information theory*, chapter 2. MacKay (2003), *Information theory, inference, and learning algorithms*. Wilson (1927), *Probable inference, the law of succession, and statistical inference*. Hake (1998), *Interactive-engagement versus traditional methods*. Hill et al. (2016), *The Goldilocks principle: reading children's books with explicit memory representations*. Radford et al. (2018), *Improving language understanding by generative pre-training*; Radford et al. (2019), *Language models are unsupervised multitask learners*.
