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
# **Time:** core 74 minutes, optional 44 minutes; one class. All cells together: some seconds of computing.
#
# <!-- sources: hlt, 11785, day24, analytics -->

# %%
import bz2
import lzma
import math
import zlib

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from courseware import (
    Claim, Diagram, bars, claims_table, curves, explore, heat_map, panels, poll,
    setup_style, show, show_concept_test,
)
from llmlib.data import alice, botchan, first_names
from llmlib.text import NGramModel, gpt2_tokenizer

setup_style();

# %% [markdown]
# ## I. Twenty questions (*optional*)
#
# Take them *at home before the class*, while you do not know the answers, and again after the course. They ask for ideas, not formulas, and most of them are about lectures you have not seen, so a low score is what the test is for. Do not guess: *don't know* is the more useful answer.
#
# Scored as "before the course", the form says how many are right and which lectures teach the rest; it does not give the answers away. Your answers stay in this notebook's memory, unless you tick the box; then one line goes into the `work/` folder of your copy of the course, which is never shared.

# %%
show_concept_test()

# %% [markdown]
# *For teachers:* what a class learned is usually reported as the **normalised gain** (Hake, 1998), the share of the possible improvement that happened, $\langle g\rangle = (\text{after} - \text{before})/(1 - \text{before})$; `python -m courseware gain` computes it, with an interval, from the files your students choose to hand in.

# %% [markdown]
# ## II. The probability of a text
#
# The HLT lecture writes a language model as $P(X_t \mid X_1, \dots, X_{t-1})$, the next word given those before it. That is enough to give a probability to a *whole* text, because of the chain rule:
#
# $$P(x_1, \dots, x_T) = \prod_{t=1}^{T} P(x_t \mid x_1, \dots, x_{t-1}).$$
#
# Nothing is approximated here. To see it with numbers: all runs of three letters in *Alice's Adventures in Wonderland*, their joint probability on one side and three conditional ones on the other.

# %%
def letters_of(text):
    """The letters a to z of a text as numbers 0 to 25, everything else left out."""
    codes = np.frombuffer(text.lower().encode("ascii", "ignore"), dtype=np.uint8)
    codes = codes.astype(int) - ord("a")
    return codes[(codes >= 0) & (codes < 26)]


book = letters_of(alice())
runs = 26 * 26 * book[:-2] + 26 * book[1:-1] + book[2:]         # one number per run
joint = np.bincount(runs, minlength=26**3).reshape(26, 26, 26) / len(runs)  # P(a, b, c)
pairs, first = joint.sum(axis=2), joint.sum(axis=(1, 2))        # P(a, b) and P(a)
second_given = pairs / first[:, None]                           # P(b | a)
third_given = joint / np.maximum(pairs, 1e-300)[:, :, None]     # P(c | a, b)
product = first[:, None, None] * second_given[:, :, None] * third_given
chain_error = np.abs(product - joint).max()
print(f"{len(runs):,} runs of three letters; largest difference: {chain_error:.0e}")

# %% [markdown]
# (Two idioms that come back often. `np.bincount` counts how often each whole number occurs; writing a run of letters as one number in base 26 makes it count runs. And `first[:, None]` adds an axis of size 1, so that row $a$ is divided by $P(a)$ all along.) The two sides agree to rounding.

# %% [markdown]
# ### A product that is zero
#
# Now the simplest language model there is: every letter has its frequency in the book, whatever came before. We ask it for the probability of the book's own beginning, by multiplying.
#
# **Predict:** after how many letters does the product, in 32-bit floating point, become exactly zero? (The smallest positive 32-bit number is $2^{-149}$; a letter has a probability of about 1/17.)

# %%
frequency = np.bincount(book, minlength=26) / len(book)
p = frequency[book[:400]]  # of each letter that came
in_32, in_64 = np.cumprod(p.astype(np.float32)), np.cumprod(p)
log_sum = np.cumsum(np.log2(p))
end_32, end_64 = int(np.argmax(in_32 == 0)), int(np.argmax(in_64 == 0))
print(f"the product is zero from letter {end_32 + 1} on in 32 bits, {end_64 + 1} in 64")

# %% tags=["figure"]
ends = {f"32 bits end at letter {end_32}": (end_32, log_sum[end_32 - 1]), f"64 bits end at letter {end_64}": (end_64, log_sum[end_64 - 1])}
curves({"sum of logarithms": log_sum}, at=range(1, 401), x="letters of the text", y="log₂ probability (bits)", marks=ends,
       height=2.6, alt=f"Log probability against letters, a nearly straight line to {log_sum[-1]:.0f} bits at letter 400. Marked: the 32-bit product "
       f"ends after {end_32} letters, the 64-bit one after {end_64}.")

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
# By hand: outcomes with probabilities $\frac12, \frac14, \frac14$ surprise by 1, 2 and 2 bits, so $H = \frac12 \cdot 1 + \frac14 \cdot 2 + \frac14 \cdot 2 = 1.5$ bits.
#
# For a coin that falls heads with probability $p$, entropy is a curve. **Before you move the slider:** a coin that falls heads 90 % of the time is "80 % less random" than a fair one, isn't it?

# %%
def entropy(p):
    """Average surprise in bits of draws from p; the last axis of p sums to 1."""
    p = np.asarray(p, float)
    return -(p * np.log2(np.where(p > 0, p, 1))).sum(axis=-1)  # 0 adds nothing


print("by hand: half, a quarter, a quarter:", entropy([1 / 2, 1 / 4, 1 / 4]), "bits")

# %% tags=["diagram"]
def coin_entropy(p):
    fig, ax = plt.subplots(figsize=(3.5, 2.7))
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
    """Bits per draw that a believer in q pays on draws from p."""
    p, q = np.asarray(p, float), np.asarray(q, float)
    with np.errstate(divide="ignore"):  # infinite if q excludes it
        return -(p * np.where(p > 0, np.log2(q), 0)).sum(axis=-1)

# %% tags=["diagram"]
def wrong_coin(p, q):
    fig, ax = plt.subplots(figsize=(3.5, 2.7))
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
poll("A model gives the probability 0 to a token which then does occur, once in a "
     "million "
     "tokens. Its average loss over the million is",
     options=["infinite", "hardly changed: it is one token in a million", "about 1 "
                                                                          "bit higher",
              "undefined, so the token is left out"],
     explanation="$-\\log_2 0$ is infinite, and an average with one infinite term is "
                 "infinite. "
     "\"Hardly changed\" underestimates what *certainty* claims, and leaving the "
     "token out would "
     "be cheating, since it is the one thing the model got wrong. In exact arithmetic "
     "a softmax "
     "never gives 0; models that count need *smoothing* (lecture 01) for this reason "
     "alone.")

# %% [markdown]
# The same with real letters. Three sources: *Alice*, the novel *Botchan* (translated from Japanese), and a list of first names; and a fourth "model" that finds all letters equally likely. **Look for** the two novels, then for the names, then compare the last row with the last column.

# %%
def letter_frequencies(text):
    codes = letters_of(text)
    return np.bincount(codes, minlength=26) / len(codes)


texts = {"Alice": alice(), "Botchan": botchan(), "names": "".join(first_names())}
letter = {name: letter_frequencies(text) for name, text in texts.items()}
letter["uniform"] = np.full(26, 1 / 26)
H = {name: entropy(p) for name, p in letter.items()}
divergence = np.array([
    [cross_entropy_bits(p, q) - entropy(p) for q in letter.values()]
    for p in letter.values()
])
assert (divergence > -1e-12).all()                              # never negative (Gibbs)

# %% tags=["figure"]
heat_map(divergence.clip(0), rows=[f"{name} (H = {H[name]:.2f})" for name in letter], columns=list(letter), fmt=".2f", vmax=1, height=2.8, width=6.4,
         x="letter frequencies believed (q)", y="text that is read (p)", color="KL (bits per letter)",
         alt="KL divergences between letter frequencies, in bits per letter: " + "; ".join(f"{a} read with those of {b} {divergence[i, j]:.2f}"
         for i, a in enumerate(letter) for j, b in enumerate(letter) if i != j) + ".")

# %% [markdown]
# Two novels from different continents differ by about a hundredth of a bit: letter frequencies belong to the language more than to the book. Names are another matter. And the table is *not symmetric*. Reading English while believing all letters equally likely costs about half a bit; reading random letters while believing in English costs nearly a whole one, because j, q, x and z keep coming. KL is no distance: it asks how surprised a believer in $q$ is by $p$, and the reverse is another question. (Which of the two is minimised comes back in lectures 13 and 15, where it decides how a model behaves.) <!-- promise: 13-direction-of-kl --> <!-- promise: 15-direction-of-kl -->

# %% [markdown]
# ## IV. Reading a table of results
#
# The HLT lecture and 11-785 both print GPT-2's results (Radford et al., 2019, table 3): in columns marked BPB, BPC and PPL. All three are the same quantity, average surprise, in different clothes:
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

units = {
    "byte": len(rest.encode()),
    "GPT-2 token": len(gpt2_tokenizer().encode(rest)),
    "word": len(rest.split()),
}
bits_per = {unit: total_bits / n for unit, n in units.items()}
print(f"log2 P(text) = -{total_bits:,.0f} bits, whatever the unit")
for unit, n in units.items():
    print(f"per {unit:12} {n:7,} of them   {bits_per[unit]:6.2f} bits   "
          f"perplexity {2 ** bits_per[unit]:12,.1f}")

# %% [markdown]
# One model, one text, one probability, and perplexities from five to eight thousand. A perplexity without its unit says nothing, and two perplexities *per token* cannot be compared when the tokenizers differ. Bits per byte can: everybody agrees what a byte is.
#
# GPT-2's paper is careful about this. It divides the log-probability of each data set by that data set's own traditional unit: characters for text8, bytes for enwik8, words for the columns drawn below (in which a comma counts as a word, too). So **18.34 is per word**.
#
# **Predict:** from the smallest to the largest GPT-2, perplexity on WikiText2 falls from 29.41 to 18.34, by 38 %. By how much do the *bits* fall?

# %%
SIZES = ["117M", "345M", "762M", "1542M"]
table = {                                   # column of the slides: the four sizes
    "LAMBADA (PPL)": [35.13, 15.60, 10.87, 8.63],
    "LAMBADA (ACC)": [45.99, 55.48, 60.12, 63.24],
    "CBT-CN (ACC)": [87.65, 92.35, 93.45, 93.30],
    "CBT-NE (ACC)": [83.4, 87.1, 88.0, 89.05],
    "WikiText2 (PPL)": [29.41, 22.76, 19.93, 18.34],
    "PTB (PPL)": [65.85, 47.33, 40.31, 35.76],
    "enwik8 (BPB)": [1.16, 1.01, 0.97, 0.93],
    "text8 (BPC)": [1.17, 1.06, 1.02, 0.98],
    "WikiText103 (PPL)": [37.50, 26.37, 22.05, 17.48],
    "1BW (PPL)": [75.20, 55.72, 44.575, 42.16],
}
table = {name: np.array(values) for name, values in table.items()}
wiki2 = np.log2(table["WikiText2 (PPL)"])
print(f"WikiText2: {wiki2[0]:.2f} to {wiki2[-1]:.2f} bits per word, "
      f"{100 * (1 - wiki2[-1] / wiki2[0]):.0f} % less")

# %% tags=["figure"]
fig, (left, right) = panels(2, titles=["perplexity per word, as printed", "the same in bits per word"], width=7.6, height=2.9)
four = {name.split()[0]: table[name] for name in ("1BW (PPL)", "PTB (PPL)", "WikiText103 (PPL)", "WikiText2 (PPL)")}
curves(four, at=[117, 345, 762, 1542], x="size of GPT-2 (millions, log)", log="x", ylim=(0, 80), ax=left)
curves({name: np.log2(v) for name, v in four.items()}, at=[117, 345, 762, 1542], x="size of GPT-2 (millions, log)", log="x", ylim=(0, 8), ax=right)
show(fig, alt=f"Four data sets against GPT-2's size. As perplexities they fall steeply, WikiText2 from 29.41 to 18.34; in bits per word gently, from {wiki2[0]:.2f} to {wiki2[-1]:.2f}.")

# %% [markdown]
# The exponential makes differences look large; bits add up, and are what a scaling law (lecture 08) is about.
#
# ### What is 0.93 bits per byte? (*optional*)
#
# A size. By Shannon's theorem, a model that scores $b$ bits per byte can be turned into a compressor that stores the text in $b$ bits per byte, and back. enwik8 is the first 100 million bytes of a Wikipedia dump, so 0.93 bits per byte is a file of 11.6 MB, if the receiver has the same model. Programs that you have on your computer are language models in this sense. **Predict** where our counting model stands among them on the last tenth of *Alice*; to be fair, they too may read the first nine tenths first.

# %%
def extra_bits_per_byte(compress):
    """Of the last tenth of Alice: how much longer the whole is than nine tenths."""
    known, everything = bytes(data[:cut].tolist()), bytes(data.tolist())
    extra = len(compress(everything)) - len(compress(known))
    return 8 * extra / (len(everything) - len(known))


compressed = {
    "zlib (zip, png)": extra_bits_per_byte(lambda b: zlib.compress(b, 9)),
    "bzip2": extra_bits_per_byte(lambda b: bz2.compress(b, 9)),
    "xz": extra_bits_per_byte(lambda b: lzma.compress(b, preset=9)),
}
per_word, enwik8 = len(rest) / units["word"], table["enwik8 (BPB)"][-1]
print(f"GPT-2 on enwik8: {enwik8} bits per byte = {enwik8 / 8 * 100:.1f} MB of 100 MB")
print(f"18.34 per word = {wiki2[-1]:.2f} bits per word; at {per_word:.1f} characters "
      f"per word, about {wiki2[-1] / per_word:.2f} bits per character")

# %% tags=["figure"]
bars(compressed | {"our four-byte counts": bits_per["byte"]}, x="bits per byte, last tenth of Alice", height=1.9, highlight=["our four-byte counts"],
     alt="Bits per byte: " + ", ".join(f"{k} {v:.2f}" for k, v in compressed.items()) + f", our four-byte counts {bits_per['byte']:.2f}.")

# %% [markdown]
# Our counts, at the level of programs that have been on every computer for decades, beat two of them and lose to bzip2; lecture 03 asks whether a small trained network does better. (Different text, so don't read the gap to 0.93 off these lines.)
#
# So which is better, 0.93 bits per byte or perplexity 18.34? In one unit they are neighbours: the second is roughly 0.75 to 0.8 bits per character (WikiText2 counts commas as words). But that comparison is still unsound, because *the texts differ*: enwik8 is full of markup and links, WikiText2 is clean prose. Same unit **and** same text, or no comparison.

# %%
poll("Model A (vocabulary of 32,000 tokens) has perplexity 12 per token on a text, "
     "model B "
     "(256,000 tokens) has 18 per token on the same text. Which gives the text the "
     "higher "
     "probability?",
     options=["one cannot tell without the number of tokens", "A: its perplexity is "
                                                              "lower",
              "B: its vocabulary is larger", "the two are equal"],
     explanation="A larger vocabulary cuts the text into *fewer* tokens. If A needs "
                 "1,000 tokens, "
     "it spends $1000 \\log_2 12 = 3585$ bits; if B needs 800, it spends $800 \\log_2 "
     "18 = 3336$ "
     "bits and is the better model, in spite of its higher perplexity; with 900 "
     "tokens it is "
     "the worse one.")

# %% [markdown]
# ## V. Softmax and its gradient
#
# A network gives one number per possible token, the **logits** $z$. Softmax turns them into probabilities: $p_i = e^{z_i} / \sum_j e^{z_j}$. Written down like that, it breaks:

# %%
def naive_softmax(z):
    return z.exp() / z.exp().sum(dim=-1, keepdim=True)  # keepdim: (..., V) / (..., 1)


large = torch.tensor([1.0, 2.0, 100.0])
print("32 bits, logits 1, 2, 100:", naive_softmax(large).tolist())
print("16 bits, logits 1, 2, 12: ", naive_softmax(large.clamp(max=12).half()).tolist())

# %% [markdown]
# $e^{100}$ is too large for 32 bits, and infinity over infinity is not a number. In 16 bits, a logit of 12 is enough. The cure uses a property worth knowing anyway: adding the same $c$ to all logits changes nothing, since $e^{z_i + c} = e^c e^{z_i}$ and $e^c$ cancels. Subtract the largest logit, and every exponential is at most 1.

# %%
def log_softmax(z):
    """Logarithms of the softmax probabilities along the last axis, for any logits."""
    z = z - z.max(dim=-1, keepdim=True).values
    return z - z.exp().sum(dim=-1, keepdim=True).log()


def cross_entropy(z, target):
    """Mean loss in nats; z: (N, V) logits, target: (N,) the tokens that came."""
    return -log_softmax(z)[torch.arange(len(z)), target].mean()


z = 30 * torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
target = torch.tensor([0, 6, 2, 2, 5])
shifted = log_softmax(z + 1000)  # shifted by 1000: the same
torch.testing.assert_close(shifted, F.log_softmax(z, dim=-1), atol=1e-3, rtol=1e-4)
torch.testing.assert_close(cross_entropy(z, target), F.cross_entropy(z, target))

# %% [markdown]
# (`log_softmax(z)[torch.arange(N), target]` takes one entry from each row: row $i$, column `target[i]`.) What we wrote is what PyTorch computes. We compute the *logarithm* directly: taking `softmax` first and `log` afterwards would bring part II's problem back: a small probability becomes 0, and its logarithm $-\infty$.
#
# ### The gradient
#
# For one example with target $y$, the loss is $L = -\log p_y = -z_y + \log \sum_j e^{z_j}$. Differentiate with respect to logit $z_i$. The first term gives $-1$ if $i = y$, otherwise nothing. The second gives
#
# $$\frac{\partial}{\partial z_i} \log \sum_j e^{z_j} = \frac{e^{z_i}}{\sum_j e^{z_j}} = p_i, \qquad\text{so}\qquad \frac{\partial L}{\partial z_i} = p_i - [i = y].$$
#
# *Probabilities minus the truth.* Every classifier and language model trained with this loss starts its backward pass with this line.
#
# By hand: logits $0, \ln 2, \ln 4$ have the exponentials $1, 2, 4$ and the sum $7$. If the second token came, the loss is $-\ln \frac27 = 1.25$ nats and the gradient $(\frac17, \frac27 - 1, \frac47)$.

# %% tags=["diagram"]
d = Diagram(12, 3.0)
z = d.vector(1.7, 1.5, [0.0, 0.69, 1.39], label="logits z", fmt=".2f", vertical=True)
e = d.vector(4.3, 1.5, [1, 2, 4], label="exp", fmt=".0f", vertical=True, color="orange")
p = d.vector(6.9, 1.5, [1 / 7, 2 / 7, 4 / 7], label="p", fmt=".2f", vertical=True, color="green")
y = d.vector(8.9, 1.5, [0, 1, 0], label="truth y", fmt=".0f", vertical=True, color="grey")
g = d.vector(11.0, 1.5, [1 / 7, -5 / 7, 4 / 7], label="gradient", fmt=".2f", vertical=True)
d.arrow(z, e, "exp")
d.arrow(e, p, "/ 7")
d.label(7.9, 1.5, "–", size=18)
d.arrow(y, g, "=")
d.show(alt="Logits 0, 0.69, 1.39 become exponentials 1, 2, 4, divided by 7 the probabilities 0.14, 0.29, 0.57; minus the truth 0, 1, 0 "
       "gives the gradient 0.14, -0.71, 0.57.")

# %% [markdown]
# The three entries of a gradient sum to zero: what one logit is pushed up, the others are pushed down. We check the formula against PyTorch's own differentiation, and against plain finite differences:

# %%
def total_loss(z):
    return F.cross_entropy(z, target, reduction="sum")


z = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
z.requires_grad_()
target = torch.tensor([1, 0, 5, 3])
total_loss(z).backward()
ours = z.detach().softmax(dim=-1) - F.one_hot(target, 6)        # p - y
torch.testing.assert_close(ours, z.grad)
gradient_error = (ours - z.grad).abs().max().item()

nudge = torch.zeros(4, 6, dtype=torch.float64)
nudge[2, 4] = 1e-6
with torch.no_grad():
    slope = (total_loss(z + nudge) - total_loss(z - nudge)) / 2e-6
torch.testing.assert_close(slope, ours[2, 4])
print(f"p - y equals autograd to {gradient_error:.0e}")

# %%
poll("The model gave the token that came a probability of 0.99. The gradient of the "
     "loss with "
     "respect to *that token's* logit is",
     options=["-0.01", "0.99", "0.01", "-4.6"],
     explanation="$p_y - 1 = 0.99 - 1 = -0.01$: raise this logit a little. 0.99 "
                 "forgets to "
     "subtract the truth; 0.01 has the sign of a logit that should come *down*; -4.6 "
     "is "
     "$\\ln 0.01$, while the gradient of a logit always lies between -1 and 1. Tokens "
     "that are "
     "well predicted hardly pull at the model; the badly predicted ones do the "
     "teaching.")

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
    logits -= 5.0 * (p - letter["Alice"])  # step 5, direction p - y
print(f"first loss {learned_loss[0]:.2f} (log2 26 = {math.log2(26):.2f}), "
      f"last {learned_loss[-1]:.2f}, entropy {H['Alice']:.2f} bits per letter")

# %% tags=["figure"]
curves({"loss": learned_loss}, x="step", y="loss (bits per letter)", reference={"entropy of the letters": H["Alice"]}, height=2.5, ylim=(H["Alice"] - 0.1, 4.75),
       alt=f"The loss falls from {learned_loss[0]:.2f} bits, log2 of 26, to {learned_loss[-1]:.2f}, the entropy of the letters.")

# %% [markdown]
# It starts at $\log_2 26$, because equal logits are a uniform guess, and ends at the entropy of the letters, because $p - y$ vanishes exactly when $p$ is right. Two checks for every training run of your life: *the first loss is about $\ln V$ nats; on fresh text, the last one can't be below the entropy of the source.* If it is, something leaks.
#
# ### Temperature (*optional*)
#
# Dividing all logits by a **temperature** $\tau$ does change the probabilities. **Predict** the two limits before you move the slider: $\tau \to 0$ and $\tau \to \infty$. What happens to the entropy?

# %% tags=["diagram"]
def at_temperature(tau):
    p = np.exp((logits - logits.max()) / tau)
    p /= p.sum()
    fig, ax = plt.subplots(figsize=(3.5, 2.5))
    ax.bar(list("abcdefghijklmnopqrstuvwxyz"), p)
    ax.tick_params(axis="x", labelsize=7)
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
q, k = torch.randn(2, 8, 5, 16), torch.randn(2, 8, 5, 16)       # (batch, heads, T, d)
scores = q @ k.transpose(-2, -1)                                # (2, 8, 5, 5)
query_2, key_4 = q[1, 3, 2], k[1, 3, 4]
torch.testing.assert_close(scores[1, 3, 2, 4], query_2 @ key_4)
try:
    q @ k
except RuntimeError as error:
    print("without the transpose:", str(error).split("\n")[0][:90])

q, k = torch.randn(2, 8, 16, 16), torch.randn(2, 8, 16, 16)  # now T happens to equal d
same = torch.allclose(q @ k, q @ k.transpose(-2, -1))
print("and if T = d: no error, shape", tuple((q @ k).shape),
      "and the numbers are", "right" if same else "wrong")

# %% [markdown]
# A test of the shape with `T = d = 16` passes, and the numbers are wrong. *Test with sizes that all differ, and compare numbers.*
#
# ### Broadcasting
#
# Shapes are aligned *from the right*; an axis of size 1, or a missing one, is repeated. Often that is what you want: `(T, d) + (d,)` adds a bias to every row. **Predict:** predictions of shape `(32, 1)`, straight from a linear layer, and targets of shape `(32,)`. The predictions are *perfect*. What is their mean squared error?

# %%
answers = torch.randn(32, generator=torch.Generator().manual_seed(0))
predictions = answers[:, None].clone()                          # (32, 1): exactly right
difference = predictions - answers
print("shape of the difference:", tuple(difference.shape))
print(f"mean squared error {difference.pow(2).mean():.2f}; "
      f"twice the variance of the answers {2 * answers.var(correction=0):.2f}")
assert (predictions[:, 0] - answers).pow(2).mean() == 0         # what was meant

# %% tags=["diagram"]
d = Diagram(12, 3.4)
column = d.vector(1.6, 1.6, [1, 2, 3], label="(3, 1)", fmt=".0f", vertical=True, color="blue", cell=0.7)
row = d.vector(4.2, 2.3, [1, 2, 3], label="(3,)", fmt=".0f", color="orange", cell=0.7)
d.label(2.6, 1.6, "–", size=18)
d.label(5.9, 1.6, "=", size=16)
d.matrix(8.0, 1.5, [[0, -1, -2], [1, 0, -1], [2, 1, 0]], label="(3, 3): everyone minus everyone", fmt=".0f", cell=0.7, mark=[(0, 0), (1, 1), (2, 2)])
d.label(10.9, 1.5, "meant: the\ndiagonal only", size=11)
d.show(alt="A column of 3 numbers minus a row of 3 numbers gives a 3 by 3 table of all differences; only its diagonal, all zero, was meant.")

# %% [markdown]
# Every prediction was compared with every answer. Trained on that loss, the model learns to predict the *mean* for everything, and the loss even goes down while it does. (PyTorch's own `mse_loss` warns; an expression you write yourself doesn't.)
#
# ### `view` is not `transpose`
#
# `view` re-reads the same numbers in the same order with other borders. `transpose` changes which axis is which. To split `(T, n_heads · d_head)` into heads we need both: give the last axis a border, *then* move the heads to the front.

# %%
T, n_heads, d_head = 4, 3, 2
positions = torch.arange(T)[:, None]  # row t will hold the number t
x = positions.expand(T, n_heads * d_head).contiguous()          # (T, n_heads * d_head)
right = x.view(T, n_heads, d_head).transpose(0, 1)              # (n_heads, T, d_head)
wrong = x.view(n_heads, T, d_head)                              # the same shape
try:
    right.view(T * n_heads * d_head)
except RuntimeError as error:
    print("view after transpose:", str(error).split(" (")[0])

# %% tags=["figure"]
fig, (left, other) = panels(2, titles=["view(T, heads, d).transpose(0, 1)", "view(heads, T, d)"], height=2.4)
heat_map(right[:, :, 0], fmt=".0f", vmin=0, vmax=5, x="slot for position", y="head", ax=left)
heat_map(wrong[:, :, 0], fmt=".0f", vmin=0, vmax=5, x="slot for position", y="head", ax=other)
show(fig, alt=f"Which position stands in which slot of three heads. Right: every head holds positions 0, 1, 2, 3. Wrong: the heads hold {wrong[:, :, 0].tolist()}.")

# %% [markdown]
# On the left every head sees all four positions in order. On the right the first head holds position 0 three times and never meets position 3: same shape, no error, and a model that would train on scrambled heads. Going back, PyTorch does protect you: a `view` of a transposed tensor raises, and `reshape` (which copies) is the answer, *after* transposing back.

# %%
poll(
    "`x` has shape `(8, 32)`: 8 sentences, 32 features. You want to subtract from "
    "each "
    "*sentence* its own mean. Which expression does that?",
    options=[
        "`x - x.mean(dim=1, keepdim=True)`",
        "`x - x.mean(dim=1)`",
        "`x - x.mean(dim=0)`",
        "`x - x.mean()`",
    ],
    explanation="Means over the features have to be of shape `(8, 1)`, to be "
    "repeated along "
    "axis 1. Without `keepdim` the shape is `(8,)`, which is aligned with the *32* "
    "and raises; "
    "with 32 sentences of 32 features it would raise nothing and subtract the wrong "
    "means. "
    "`dim=0` subtracts each feature's mean over the sentences, and no `dim` one "
    "number.",
)

# %% [markdown]
# ## VII. How sure is an accuracy?
#
# A model answers 60 questions and gets 70 % right. With other 60 questions of the same kind it would have got another number. The **95 % interval** says how far off such a number usually is. For $k$ right of $n$, Wilson's (1927) works even near 0 and 100 %:

# %%
def wilson_interval(k, n, z=1.96):
    """Wilson's 95 % interval for a proportion, as two fractions."""
    centre = (k + z * z / 2) / (n + z * z)
    half = z * np.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z)
    return centre - half, centre + half


low, high = wilson_interval(42, 60)
print(f"42 of 60: 70 %, interval {100 * low:.0f} to {100 * high:.0f} %")
simulated = np.random.default_rng(0).binomial(60, 0.7, size=20_000)     # true rate 70 %
lows, highs = wilson_interval(simulated, 60)
coverage = ((lows <= 0.7) & (0.7 <= highs)).mean()
print(f"the interval holds the truth in {100 * coverage:.0f} % of 20,000 tests")
for n in (60, 240, 1000, 2000, 10_000):
    low, high = wilson_interval(n // 2, n)
    print(f"n = {n:6,}: ±{50 * (high - low):.1f} points at 50 %")

# %% [markdown]
# (93 rather than 95: with 60 questions the number right moves in steps, so no interval can hit 95 exactly at every rate. From here on it is `llmlib.infer.wilson_interval`.)
#
# So **n = 60 means ±12 points**. Now two models, one truly right on 70 % of all such questions, the other on 75 %. **Predict:** if each is tested on 60 questions of its own, how often does the *worse* one look better or equal?

# %% tags=["diagram"]
def two_models(questions):
    rng = np.random.default_rng(1)
    worse, better = (rng.binomial(questions, rate, size=20_000) for rate in (0.70, 0.75))
    upset = (worse >= better).mean()
    fig, ax = plt.subplots(figsize=(3.5, 2.6))
    bins = np.linspace(0.45, 0.95, 41) if questions > 60 else (np.arange(26, 60) - 0.5) / questions
    for scores, label in ((worse, "70 %"), (better, "75 %")):
        ax.hist(scores / questions, bins, alpha=0.6, density=True, label=label)
    ax.set(title=f"n = {questions:,}: upset in {100 * upset:.0f} %", xlabel="measured accuracy", yticks=[], xlim=(0.45, 0.95))
    ax.legend(fontsize=10, title="true rate", title_fontsize=10, loc="upper left", handlelength=1)
    return fig


explore(two_models, questions=[20, 60, 200, 500, 2000], panels=[60, 500, 2000],
        alt="Histograms of the measured accuracies of a 70 % and a 75 % model. With 60 questions the two overlap almost completely; with 500 partly; with 2000 they are apart.")

# %% [markdown]
# With 60 questions the worse model wins or ties nearly one time in three; with 2,000 it is settled. (Asking both models the *same* questions helps, because hard questions are then hard for both; lecture 18 does it.) <!-- promise: 18-paired-comparison -->

# %%
poll("A test of 500 questions gives an interval of ±4 points. You want ±2. How many "
     "questions "
     "do you need?",
     options=["2,000", "700", "1,000", "8,000"],
     explanation="The width shrinks with $\\sqrt n$: half the width takes four times "
                 "the "
     "questions. 1,000 would need it to shrink with $n$, and gives ±3; 700 and 8,000 "
     "are a "
     "factor of about $\\sqrt 2$ and of 16.")

# %% [markdown]
# Back to the table that HLT and 11-785 print to say that *scaling improves performance*. From size to size, does every one of its ten columns improve?

# %%
improves = {
    name: np.sign(np.diff(values)) == (1 if "ACC" in name else -1)
    for name, values in table.items()
}
n_steps = sum(map(len, improves.values()))
n_improve = sum(steps.sum() for steps in improves.values())
exceptions = [
    f"{name}, {SIZES[step]} to {SIZES[step + 1]}"
    for name, steps in improves.items() for step in np.flatnonzero(~steps)
]
cbt_low, cbt_high = wilson_interval(0.933 * 2000, 2000)
print(f"{n_improve} of {n_steps} steps improve; not: {exceptions}")
print(f"93.30 % of 2,000 questions: {100 * cbt_low:.1f} to {100 * cbt_high:.1f} %, "
      "which includes 93.45")

# %% [markdown]
# One step of thirty goes the wrong way, from 93.45 to 93.30. The validation set of the Children's Book Test has 2,000 questions of this kind (Hill et al., 2016), so either number is good to about one point. So the exception doesn't contradict the rule, and doesn't support it either.

# %% [markdown]
# ## Scale warning
#
# > **What carries over from here to a large model, and what doesn't.** The identities are exact at any size: the chain rule, $H(p, q) = H(p) + D_{\mathrm{KL}}$, $p - y$, the shapes. The *numbers* are not: about four bits per letter is what single-letter frequencies give, and models of language reach a quarter of it and less, because they use what came before. We know the entropy of a coin; nobody knows the entropy of English, so for real text the split into "unavoidable" and "the model's fault" can't be computed, only bounded. Overflow comes *earlier* in 16-bit float16 (bfloat16, now usual, keeps the range and loses digits instead). And intervals are about drawing questions at random: they say nothing about questions that were in the training data, are ambiguous, or don't measure what you want (lecture 18).

# %% [markdown]
# ## Claims
#
# The source lectures take most of this page for granted. These are the statements that rest on it.

# %%
claims_table([
    Claim("a language model is $P(X_t \\mid X_1, \\dots, X_{t-1})$",
          "the chain rule; Shannon (1948) for text",
          "the product of the conditionals equals the joint probability to "
          f"{chain_error:.0e}", "holds; it is an identity", source="hlt"),
    Claim("given a sequence of *words*, predict the next *token*",
          "Radford et al. (2019) predict byte-pair tokens and report per word",
          f"one model, one text: perplexity {2 ** bits_per['GPT-2 token']:,.0f} per "
          f"token, {2 ** bits_per['word']:,.0f} per word",
          "fails; if the two are taken for the same thing", source="analytics",
          split="report"),
    Claim("GPT-2 reaches 0.93 bits per byte on enwik8",
          "Radford et al. (2019), table 3",
          f"converted: {enwik8 / 8 * 100:.1f} MB of 100; on another text, xz "
          f"{compressed['xz']:.2f} and our counts {bits_per['byte']:.2f} bits a byte",
          "cannot be tested at this scale; the conversion is exact",
          source=["11785", "hlt"]),
    Claim("GPT-2 reaches perplexity 18.34 on WikiText2",
          "Radford et al. (2019), table 3: per *word*",
          f"converted: {wiki2[-1]:.2f} bits per word; 38 % less perplexity is "
          f"{100 * (1 - wiki2[-1] / wiki2[0]):.0f} % fewer bits",
          "cannot be tested at this scale; the conversion is exact",
          source=["11785", "hlt"]),
    Claim("scaling improves the perplexity of the LM and improves performance",
          "Radford et al. (2019): log-linear in model size",
          f"{n_improve} of {n_steps} steps in the printed table; the other is inside "
          f"an interval of ±{50 * (cbt_high - cbt_low):.1f} points",
          "holds; in the printed table", source="11785"),
    Claim("the decoder is followed by a linear layer and softmax",
          "Radford et al. (2018)",
          "with cross-entropy its gradient is p - y, equal to autograd to "
          f"{gradient_error:.0e}; without subtracting the maximum it gives nan",
          "holds; computed as a log-softmax", source=["day24", "analytics"]),
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
# 3. Derive the gradient with respect to the logits when the target is not one token but a distribution $y$, and at temperature $\tau$. (Lecture 15 needs it for distillation.) <!-- promise: 15-soft-targets -->
# 4. Compress *Alice* reversed, and with its letters shuffled, by all three programs. Which of the numbers change, and what does that say about each as a language model?
# 5. Two models answer the same 60 questions, 42 and 38 right. Write down two ways in which this can come about, one where the difference is convincing and one where it is not.
#
# ## Further reading
#
# Shannon (1948), *A mathematical theory of communication*; Shannon (1951), *Prediction and entropy of printed English*, in which people play language model. Cover and Thomas (2006), *Elements of information theory*, chapter 2. MacKay (2003), *Information theory, inference, and learning algorithms*. Wilson (1927), *Probable inference, the law of succession, and statistical inference*. Hake (1998), *Interactive-engagement versus traditional methods*. Hill et al. (2016), *The Goldilocks principle: reading children's books with explicit memory representations*. Radford et al. (2018), *Improving language understanding by generative pre-training*; Radford et al. (2019), *Language models are unsupervised multitask learners*.
