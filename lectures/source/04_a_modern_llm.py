# %% [markdown]
# # 04 · A modern LLM: Llama piece by piece
#
# **The question of this lecture.** Lecture 03 ended with GPT-2 of 2019. Open a model of today, Llama or one of its many descendants, and you find nearly the same program with five small changes. *What is each change for, and can we see it work?*
#
# We take them one at a time. At the end you will have written a complete Llama in about thirty lines, given it the weights of a real published model, and talked to it.
#
# **Afterwards you can**
# - say what each of Llama's five changes buys, and which of them you could *not* measure at small scale;
# - write RMSNorm, rotary positions, SwiGLU and grouped-query attention, and prove each equal to the library's;
# - add a key-value cache to a model, and recognise the three ways of getting it wrong that raise no error;
# - compute how much memory a chat of 8,000 tokens costs on Llama-2-70B, and what it would cost without grouped queries;
# - load published weights out of a GGUF file and check that you loaded what you think you did.
#
# **Before this:** lecture 03. You should be able to read its `Block` and its `MultiHeadAttention`.
#
# **Time:** parts I, II, IV and VI to VIII are the core, 75 minutes of class; parts III, V and IX are *optional* and can be read at home. All cells together: about half a minute of computing on a laptop CPU, after a download of 98 MB the first time.

# %%
import math
import statistics
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware import Claim, claims_table
from courseware import explore, poll, setup_style, show
from llmlib.data import alice, fetch, random_batch, recorded, split_text, tiny_shakespeare
from llmlib.model import KVCache, ModelConfig, Transformer, count_parameters, preset, record
from llmlib.text import CharTokenizer
from llmlib.train import TrainConfig, Trainer

setup_style()
torch.manual_seed(0);

# %% [markdown]
# ## I. What changed
#
# Deck C lists five changes on its Llama 2 slide, each as an arrow: *norm after the sublayer → before; LayerNorm → RMSNorm; ReLU → SwiGLU; absolute or relative positions → RoPE; multi-head → grouped-query attention.* An arrow needs a starting point, and the slide does not name one. Our library describes every model by a config, so we can simply ask four of them.

# %%
# NBVAL_CHECK_OUTPUT
LINEAGE = ["gpt1", "gpt2-xl", "llama2-7b", "llama2-70b"]
configs = {name: preset(name) for name in LINEAGE}
print(f"{'':14}" + "".join(f"{name:>14}" for name in LINEAGE))
for field in ("norm_position", "norm", "mlp", "position", "n_heads", "n_kv_heads", "bias", "tie_embeddings"):
    print(f"{field:14}" + "".join(f"{getattr(c, field)!s:>14}" for c in configs.values()))

# %% [markdown]
# The first Transformer (Vaswani et al., 2017) normalised *after* each sublayer and used ReLU; seen from there, all five arrows are right. Seen from GPT-2, two of them are not Llama's doing. GPT-2 had already moved the norm in front, and GPT-1 had already replaced ReLU by GELU. What is new between GPT-2 and Llama 2 is the *kind* of norm, the gated MLP and the rotary positions; the grouped queries came last, and only to the largest size: the 7B row above has as many key heads as query heads.
#
# Small things changed too: no biases, and separate matrices for embedding and scoring. Now for the reasons.

# %%
text = tiny_shakespeare()
tokenizer = CharTokenizer.from_text(text)
train_tokens, val_tokens = (torch.tensor(tokenizer.encode(part)) for part in split_text(text, val_fraction=0.1))


def gpt2_like(n_layers, d_model, n_heads, context, **changes):
    """GPT-2's recipe at toy size. Its initial deviation, 0.02 at width 768, goes with 1/sqrt(width)."""
    return ModelConfig(vocab_size=tokenizer.vocab_size, n_layers=n_layers, d_model=d_model, n_heads=n_heads, max_seq_len=context, norm="layernorm",
                       mlp="gelu", position="learned", init_std=0.02 * (768 / d_model) ** 0.5).replace(**changes)


def train_small(config, steps, lr, seed=0, callbacks=(), batch=16, context=32, **recipe):
    """A model trained from scratch for a few steps; returns it and its training losses."""
    torch.manual_seed(seed)
    model = Transformer(config)
    recipe = TrainConfig(steps=steps, batch_size=batch, seq_len=context, lr=lr, seed=seed, device="cpu", progress=False, **recipe)
    return model, Trainer(model, recipe, train_tokens, callbacks=callbacks).run().train_loss

# %% [markdown]
# ## II. Where the norm stands
#
# Two ways to put a sublayer $f$ (attention or MLP) around the residual path:
#
# $$\text{post-norm (2017):}\quad x \leftarrow \mathrm{norm}(x + f(x)) \qquad\qquad \text{pre-norm (GPT-2, Llama):}\quad x \leftarrow x + f(\mathrm{norm}(x))$$
#
# The same parts in another order. In pre-norm the sum runs from the embedding to the output untouched; in post-norm every block rescales everything that came before it.

# %%
class Block(nn.Module):
    def __init__(self, attention, mlp, norm1, norm2, pre):
        super().__init__()
        self.attention, self.mlp, self.norm1, self.norm2, self.pre = attention, mlp, norm1, norm2, pre

    def forward(self, x, pattern):
        if self.pre:
            x = x + self.attention(self.norm1(x), pattern)
            return x + self.mlp(self.norm2(x))
        x = self.norm1(x + self.attention(x, pattern))
        return self.norm2(x + self.mlp(x))


from llmlib.model import AttentionContext

x, pattern = torch.randn(2, 8, 32), AttentionContext(causal=True)
for where in ("pre", "post"):
    theirs = Transformer(gpt2_like(1, 32, 4, 32, norm_position=where)).blocks[0]
    ours = Block(theirs.attention, theirs.mlp, theirs.norm1, theirs.norm2, pre=where == "pre")
    torch.testing.assert_close(ours(x, pattern), theirs(x, pattern))    # what we wrote is what the library runs

# %% [markdown]
# **Predict.** We train sixteen such blocks, 32 wide, on Shakespeare with a brisk learning rate of 0.01 and no warm-up. Before training, the gradients of the two models look alike. What will post-norm do: the same, a little worse, or not learn at all?
#
# While they train, we look inside: how large is the gradient in each block, and how alike are the vectors of different positions? (Lecture 03: when all positions carry the same vector, only letter frequencies can be learned.)

# %%
probe_x, probe_y = random_batch(train_tokens, 16, 32, torch.Generator().manual_seed(9))


def look_inside(model):
    """Gradient norm of every block's MLP, and how alike the positions are at its output (mean cosine)."""
    F.cross_entropy(model(probe_x).flatten(0, 1), probe_y.flatten()).backward()
    gradients = [block.mlp.up_proj.weight.grad.norm().item() for block in model.blocks]
    model.zero_grad()
    with torch.no_grad(), record(model, *(f"blocks.{i}" for i in range(len(model.blocks)))) as seen:
        model(probe_x)
    alike = []
    for h in seen.values():
        direction, T = F.normalize(h, dim=-1), h.size(1)
        alike.append(((direction @ direction.transpose(1, 2)).sum().item() / len(h) - T) / (T * (T - 1)))
    return gradients, alike


LOOKS, inside, norm_losses = (0, 5, 40), {}, {}
for where in ("pre", "post"):
    def watch(trainer, event, where=where):
        if trainer.step in LOOKS and (where, trainer.step) not in inside:
            inside[where, trainer.step] = look_inside(trainer.model)
    deep = gpt2_like(16, 32, 4, 32, norm_position=where)
    norm_losses[where] = train_small(deep, 40, 1e-2, callbacks=[watch], schedule="wsd", final_lr=1.0)[1]

# %% [markdown]
# **Look for** the right-hand panel's vertical scale: it is logarithmic. Follow one colour from the last block (right) to the first (left).

# %%
unigram = torch.bincount(train_tokens).double() / len(train_tokens)
unigram_loss = -(unigram[val_tokens]).log().mean().item()
fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.4))
for i, where in enumerate(("pre", "post")):
    axes[0].plot(norm_losses[where], color=f"C{i}", label=f"{where}-norm")
    for step, style in zip(LOOKS, (":", "--", "-")):
        axes[1].plot(range(1, 17), inside[where, step][0], style, color=f"C{i}", label=f"{where}-norm, step {step}")
axes[0].axhline(unigram_loss, color="0.4", linestyle=":", label="letter frequencies")
axes[0].set(xlabel="step", ylabel="training loss (nats per character)", title="16 layers, learning rate 0.01", ylim=(2.5, 4.5))
axes[1].set(yscale="log", xlabel="block", ylabel="gradient norm (log scale)", title="what reaches each block")
axes[0].legend()
axes[1].legend(fontsize=10, loc="center left", bbox_to_anchor=(1, 0.5))
first = {key: values[0][0] for key, values in inside.items()}
show(fig, alt=f"Left: the pre-norm loss passes below the letter-frequency line at {unigram_loss:.2f} nats and keeps falling, post-norm stays on it. Right: gradient norms by block. Before training both are near {first['pre', 0]:.1f} everywhere. "
              f"After 40 steps the first block gets {first['pre', 40]:.0e} with pre-norm and {first['post', 40]:.0e} with post-norm.")
for where in ("pre", "post"):
    print(f"{where}-norm: positions alike in the last block: " + ", ".join(f"{inside[where, s][1][-1]:.2f} at step {s}" for s in LOOKS))

# %% [markdown]
# Three things to notice.
#
# - **Before training there is nothing to see.** The dotted lines are alike. A check of gradients at initialisation would have passed.
# - **After five large steps, in both models, all positions carry nearly the same vector.** The first steps of Adam are blind and equally large for every weight, and they add up over sixteen blocks.
# - **Only one of them can get out of it.** In pre-norm, the sum $x + \dots + \dots$ carries the gradient back to every block undiminished; the model recovers. In post-norm each block passes on a fraction of what it receives, and after sixteen blocks nothing is left. The loss sits at the letter frequencies, and will sit there tomorrow.
#
# That is also why post-norm models are trained with a **warm-up**: small first steps avoid the hole (Xiong et al., 2020, argue this from theory). How general is it? *Recorded, three seeds:* depth 2 to 16, three learning rates, the same number of steps for all.

# %%
sweep = recorded("modern_llm_depth")["results"]["rows"]
RATES = sorted({row["lr"] for row in sweep})
fig, axes = plt.subplots(1, 3, figsize=(11.5, 3.3), sharey=True)
for ax, lr in zip(axes, RATES):
    for arm, marker in (("pre", "o"), ("post", "s"), ("post, warm-up", "^")):
        rows = [row for row in sweep if row["arm"] == arm and row["lr"] == lr]
        losses = np.array([row["val_loss"] for row in rows])            # (depths, seeds)
        ax.errorbar([row["layers"] for row in rows], losses.mean(1), yerr=[losses.mean(1) - losses.min(1), losses.max(1) - losses.mean(1)],
                    marker=marker, capsize=4, label=f"{arm.replace('post', 'post-norm').replace('pre', 'pre-norm')}")
    ax.axhline(unigram_loss, color="0.4", linestyle=":")
    ax.set(xscale="log", xlabel="layers", title=f"learning rate {lr:g}", xticks=[2, 4, 8, 16], xticklabels=[2, 4, 8, 16])
    ax.minorticks_off()
axes[0].set_ylabel("validation loss (nats)")
axes[0].legend(fontsize=11)
depth_loss = {(row["arm"], row["layers"], row["lr"]): row["val_loss"] for row in sweep}
show(fig, alt="Validation loss against depth for three learning rates, mean and range of three seeds. " + " ".join(
    f"At rate {lr:g} and 16 layers: pre-norm {np.mean(depth_loss['pre', 16, lr]):.2f}, post-norm {np.mean(depth_loss['post', 16, lr]):.2f}, with warm-up {np.mean(depth_loss['post, warm-up', 16, lr]):.2f}." for lr in RATES))
best = {arm: min((np.mean(losses), layers, lr) for (a, layers, lr), losses in depth_loss.items() if a == arm) for arm in ("pre", "post")}
print({f"best {arm}-norm": f"{loss:.2f} nats with {layers} layers at {lr:g}" for arm, (loss, layers, lr) in best.items()})

# %% [markdown]
# The pattern does not depend on the seed. At two layers the two arrangements are close, with pre-norm a little ahead. Then post-norm falls off the edge, and the deeper, the sooner: at a rate of 0.03 with four layers, at 0.01 with eight, at 0.003 with sixteen (one seed of three). It falls onto the *same* line every time, the letter frequencies. Pre-norm pays for too large a rate with a worse loss, but it keeps learning everywhere in this table. Warm-up (triangles, 16 layers only) rescues post-norm at 0.003, and two seeds of three at 0.01; at 0.03 it does not.
#
# Two honest remarks. At its best learning rate a *shallow* post-norm model is nearly as good, so the old arrangement was no mistake in 2017, at six layers and with a warm-up. And depth itself buys nothing here: after 150 steps, two or four layers are the best.

# %%
poll("Your post-norm model of 16 layers sits at the letter-frequency loss. Its gradients at initialisation look healthy. What would you try first?",
     ["a smaller learning rate for the first steps", "train it ten times longer", "a larger learning rate, to get out of the hole", "more attention heads"],
     "The damage is done in the first few updates, and cannot be undone, because the early blocks no longer receive a gradient: longer training or larger steps do not help, and the heads have nothing to do with it. Small first steps (warm-up) keep it from happening; moving the norm makes the model survive it.")

# %% [markdown]
# ## III. RMSNorm: LayerNorm without the mean (*optional*)
#
# LayerNorm subtracts the mean of a vector, divides by its standard deviation, scales and shifts. RMSNorm (Zhang and Sennrich, 2019) only divides by the root mean square, and scales: $x / \sqrt{\tfrac{1}{d}\sum_i x_i^2 + \varepsilon}\; \cdot g$. The paper's argument is time: fewer passes over the data, models 7 to 64 % faster in its experiments, with equal quality. The slide says "for stability"; we will come back to that.

# %%
def rms_norm(x, gain, eps=1e-5):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * gain


def layer_norm(x, gain, shift, eps=1e-5):
    centred = x - x.mean(-1, keepdim=True)
    return centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + eps) * gain + shift


from llmlib.model import RMSNorm

x, library_norm = torch.randn(4, 7, 64) + 0.5, RMSNorm(64)
torch.testing.assert_close(rms_norm(x, library_norm.weight), library_norm(x))
torch.testing.assert_close(layer_norm(x, torch.ones(64), torch.zeros(64)), nn.LayerNorm(64)(x))
centred = x - x.mean(-1, keepdim=True)
torch.testing.assert_close(rms_norm(centred, torch.ones(64)), layer_norm(x, torch.ones(64), torch.zeros(64)))

# %% [markdown]
# The last line says precisely what is lost: on a vector of mean zero the two are the same function. Now the time, forward and backward, in two versions each: written out as above, and as a single operation of PyTorch.
#
# **Predict:** is RMSNorm always the faster one?

# %%
def least_times(functions, rounds=25):
    """Least seconds of each function over some rounds, in turns: what else the machine does only ever adds time."""
    least = dict.fromkeys(functions, math.inf)
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            least[name] = min(least[name], time.perf_counter() - start)
    return least


def timed_norms(d, rows=256):
    x, out = torch.randn(rows, d, requires_grad=True), torch.randn(rows, d)
    gain, shift = torch.ones(d, requires_grad=True), torch.zeros(d, requires_grad=True)
    return least_times({
        "LayerNorm, written out": lambda: layer_norm(x, gain, shift).backward(out),
        "RMSNorm, written out": lambda: rms_norm(x, gain).backward(out),
        "LayerNorm, one operation": lambda: F.layer_norm(x, (d,), gain, shift).backward(out),
        "RMSNorm, one operation": lambda: F.rms_norm(x, (d,), gain, 1e-5).backward(out),
    })


norm_times = {d: timed_norms(d) for d in (64, 256, 1024)}
norm_ratio = {kind: {d: t[f"RMSNorm, {kind}"] / t[f"LayerNorm, {kind}"] for d, t in norm_times.items()} for kind in ("written out", "one operation")}
fig, ax = plt.subplots(figsize=(9, 3.2))
for i, (name, offset) in enumerate(zip(norm_times[64], (-0.3, -0.1, 0.1, 0.3))):
    relative = [t[name] / t["LayerNorm, written out"] for t in norm_times.values()]
    ax.bar(np.arange(len(norm_times)) + offset, relative, 0.18, color=f"C{i % 2}", alpha=1 if i < 2 else 0.45, label=name)
ax.set(xticks=range(len(norm_times)), xticklabels=list(norm_times), xlabel="width of the vectors", ylabel="time, relative to LayerNorm\nwritten out", ylim=(0, 1.15))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(fig, alt="Time of a norm, forward and backward, relative to LayerNorm written out, for three widths. " + " ".join(f"{kind.capitalize()}, RMSNorm takes {norm_ratio[kind][256]:.1f} times LayerNorm's time at width 256." for kind in norm_ratio))
for kind, ratios in norm_ratio.items():
    print(f"time of RMSNorm / LayerNorm, {kind:12}", "  ".join(f"width {d}: {r:.1f}" for d, r in ratios.items()))

# %% [markdown]
# Written out in the same way, RMSNorm needs about two thirds of the time. As a single operation the picture is reversed on the machine that made this page: PyTorch's LayerNorm has a hand-written kernel for the CPU, while its RMSNorm is assembled from small steps, like ours, and takes as long as ours. Fewer operations are an opportunity; it takes a kernel to collect it. (Your numbers may differ, above all on a GPU, and either way a norm is a small part of a model's time.)
#
# As to "stability": Zhang and Sennrich claim time, not stability. The Llama paper does say "stability", one sentence earlier, as its reason to *normalise the input* of each sublayer, and that is part II. Does RMSNorm cost quality? Part V has the loss.

# %% [markdown]
# ## IV. Positions that turn: RoPE
#
# ### The table stops dead
#
# GPT-2 adds a learned vector for each position. It works, until the text is one token longer than the table.

# %%
learned = Transformer(gpt2_like(1, 32, 4, 64))
try:
    learned(val_tokens[None, :65])
except ValueError as error:
    print(error)

# %% [markdown]
# There is no row 65, and no training text could teach one without being longer. There is a second weakness, harder to see: the model has to learn separately that "the previous character" means the same thing at position 7 and at position 50. What matters in a text is almost always *how far apart* two tokens are. So let us ask for a score $q_m \cdot k_n$ that depends on $m$ and $n$ only through $m - n$.
#
# In two dimensions there is a well-known operation of this kind: turning. Turn $q$ by the angle $m\theta$ and $k$ by $n\theta$. Turning both by the same angle changes no dot product, so only the difference is left:
#
# $$\big(R_{m\theta}\, q\big) \cdot \big(R_{n\theta}\, k\big) \;=\; q^\top R_{m\theta}^\top R_{n\theta}\, k \;=\; q^\top R_{(n-m)\theta}\, k .$$
#
# Move both positions by the same amount, and watch the angle between the arrows.

# %%
def turned_arrows(query_at, key_at, theta=0.35):
    """One pair of coordinates: a query and a key, turned by their positions."""
    fig, ax = plt.subplots(figsize=(4.4, 3.9))
    q, k = np.array([1.0, 0.2]), np.array([0.9, 0.7])
    ends = []
    for vector, position, colour, name in ((q, query_at, "C0", "query"), (k, key_at, "C4", "key")):
        c, s = math.cos(position * theta), math.sin(position * theta)
        end = np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])
        ax.annotate("", vector, (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "alpha": 0.3, "lw": 2})
        ax.annotate("", end, (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "lw": 3})
        ax.text(*(1.18 * end), name, color=colour, ha="center", va="center")
        ends.append(end)
    ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", xlabel="first coordinate", ylabel="second coordinate",
           title=f"query at {query_at}, key at {key_at}: score {ends[0] @ ends[1]:.2f}")
    return fig


explore(turned_arrows, query_at=(0, 20, 1), key_at=(0, 20, 1), panels=[dict(query_at=5, key_at=3), dict(query_at=14, key_at=12), dict(query_at=14, key_at=3)],
        alt="Two arrows, pale before and strong after turning. With query and key two positions apart the score is the same at 5 and 3 as at 14 and 12; at 14 and 3 it differs.")

# %% [markdown]
# A head has more than two coordinates, so RoPE (*rotary position embedding*, Su et al., 2021) pairs them up and turns pair $i$ at its own speed, $\theta_i = 10000^{-2i/d}$: the first pair goes round once in six tokens, the last hardly moves in a thousand. Nothing is learned, nothing is added to the stream; queries and keys are turned just before the dot product, in every layer. Values are left alone.

# %%
def rope(x, positions, theta=10_000.0, layout="half"):
    """Turn pair i of every head by positions * theta^(-2i/d). x: (..., T, d); positions: (T,)."""
    d = x.size(-1)
    angle = positions[:, None] * theta ** (-torch.arange(0, d, 2) / d)  # (T, d/2)
    cos, sin = angle.cos(), angle.sin()
    if layout == "half":                                                # pair i is coordinates i and i + d/2
        a, b = x[..., : d // 2], x[..., d // 2 :]
    else:                                                               # "interleaved": coordinates 2i and 2i + 1
        a, b = x[..., 0::2], x[..., 1::2]
    a, b = a * cos - b * sin, a * sin + b * cos
    return torch.cat([a, b], dim=-1) if layout == "half" else torch.stack([a, b], dim=-1).flatten(-2)


from llmlib.model import apply_rope

q, k, positions = torch.randn(2, 3, 10, 16), torch.randn(2, 3, 10, 16), torch.arange(10)
for layout in ("half", "interleaved"):
    torch.testing.assert_close(rope(q, positions, layout=layout), apply_rope(q, positions, layout=layout))
    scores = rope(q, positions, layout=layout) @ rope(k, positions, layout=layout).transpose(-2, -1)
    moved = rope(q, positions + 500, layout=layout) @ rope(k, positions + 500, layout=layout).transpose(-2, -1)
    torch.testing.assert_close(scores, moved, atol=1e-3, rtol=1e-3)     # only the differences of positions matter

# %% [markdown]
# **Look for** what the speeds do together. Take a key that equals its query, with pairs of equal length: every pair contributes $\cos(\text{distance} \cdot \theta_i)$. What would happen if all pairs turned at the same speed?

# %%
def score_by_distance(base, head_dim):
    distance, speeds = np.arange(0, 129), base ** (-np.arange(0, head_dim, 2) / head_dim)
    fig, ax = plt.subplots(figsize=(4.4, 2.7))
    ax.plot(distance, np.cos(distance[:, None] * speeds).mean(axis=1), linewidth=1.5)
    ax.set(xlabel="distance (tokens)", ylabel="score / score at 0", ylim=(-1.05, 1.05), title=f"base {base:,}, head of {head_dim}")
    return fig


explore(score_by_distance, base=[1, 100, 10_000, 100_000, 500_000], head_dim=[2, 8, 32, 64, 128],
        panels=[dict(base=1, head_dim=64), dict(base=10_000, head_dim=64), dict(base=500_000, head_dim=64)],
        alt="Score of a query with an equal key against their distance. With all pairs at one speed it swings between 1 and -1 for ever; with base 10,000 it falls with distance, wavering; with base 500,000 it falls more slowly.")

# %% [markdown]
# With one speed the score cannot tell distance 0 from a full turn. With speeds from fast to slow it is like the hands of a clock: the fast hand separates neighbours, the slow ones separate paragraphs. A larger base slows the slow hands further, which is what long-context models do: Llama 2 uses 10,000, SmolLM2 100,000, Llama 3 500,000.
#
# ### Two layouts, one function (*optional*)
#
# Which coordinates form a pair is a convention. The paper takes neighbours (0,1), (2,3), …; the published Llama checkpoints take $(0, d/2), (1, d/2+1), \dots$ Neither is better: a reordering of the rows of $W_q$ and $W_k$ turns one into the other. But a file written for one and read with the other gives a model that runs and babbles.

# %%
from llmlib.model import permute_rope_rows

heads, d_head = 3, 16
Wq, Wk, x = torch.randn(heads * d_head, 48), torch.randn(heads * d_head, 48), torch.randn(10, 48)


def scores_with(Wq, Wk, layout):
    q, k = ((x @ W.T).view(10, heads, d_head).transpose(0, 1) for W in (Wq, Wk))
    return rope(q, positions, layout=layout) @ rope(k, positions, layout=layout).transpose(-2, -1)


as_published = scores_with(Wq, Wk, "half")
reordered = [permute_rope_rows(W, d_head, to="interleaved") for W in (Wq, Wk)]
torch.testing.assert_close(as_published, scores_with(*reordered, "interleaved"), atol=1e-3, rtol=1e-3)
assert (as_published - scores_with(Wq, Wk, "interleaved")).abs().max() > 1           # read with the other layout: other scores
print("rows 0 to 7 of a head, half layout -> interleaved:", permute_rope_rows(torch.arange(16), 16, to="interleaved")[:8].tolist())

# %% [markdown]
# ### Beyond the trained length
#
# Formulas have no last row, so RoPE *can* be computed at position 65. Does the model make sense there? *Recorded, three seeds:* two-layer models trained on windows of 64 characters, read on windows of 256. (The learned table gets 256 rows for this, of which training reaches the first 64.) **Predict** the order of the five curves at position 200.

# %%
beyond = recorded("modern_llm_positions")["results"]
LABELS = {"learned": "learned table", "sinusoidal": "sinusoids", "none": "no positions", "rope": "RoPE", "rope, slower": "RoPE, slowed down when read"}
fig, ax = plt.subplots(figsize=(9.5, 4))
centres = (np.arange(32) + 0.5) * beyond["read_at"] / 32
position_curve = {name: np.array(beyond["curves"][name]) for name in LABELS}                                 # (seeds, 32)
for (name, curve), marker in zip(position_curve.items(), "osD^v"):
    ax.plot(centres, curve.mean(0), marker=marker, markersize=4, label=LABELS[name])
    ax.fill_between(centres, curve.min(0), curve.max(0), alpha=0.2)
ax.axvline(beyond["trained_on"], color="0.3", linestyle=":")
ax.text(beyond["trained_on"] + 2, ax.get_ylim()[1], "trained up to here", va="top", color="0.3")
ax.set(xlabel="position in the window (characters)", ylabel="validation loss (nats)")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
inside_outside = {name: (curve[:, 4:8].mean(), curve[:, 24:].mean()) for name, curve in position_curve.items()}
show(fig, alt="Loss by position in windows four times as long as those trained on. From positions 33 to 64, and 193 to 256: " + " ".join(f"{LABELS[n]} {a:.2f} and {b:.2f}." for n, (a, b) in inside_outside.items()))
print("\n".join(f"{LABELS[n]:30} {a:.2f} nats at 33 to 64, {b:.2f} at 193 to 256" for n, (a, b) in inside_outside.items()))

# %% [markdown]
# Inside the trained length, RoPE is the best by a wide margin, which the slide does not even mention: our short training is enough to learn "the character before", once, for all positions.
#
# Beyond it, look at *how* each one fails. The learned table jumps at character 65 and never recovers: those rows are still random. The sinusoids, a formula like RoPE, become worse than the untrained rows: the model adds them to its stream, and has never seen those sums. (They do poorly inside, too, and not quite by their own fault: their entries are as large as 1, more than ten times those of a fresh token vector. The first Transformer multiplied its token vectors by $\sqrt d$ to balance this; our plain version does not.) The model without any positions does not notice the border at all. (It is not blind to order either: the causal mask lets position $t$ average over $t$ tokens, which tells it roughly where it is.)
#
# RoPE crosses the border smoothly and then *rises*, differently for each seed: it meets angles that no training pair had. Being computable is not being trained. The fifth curve is the usual repair: the same weights, read with a larger base, so that the slow hands of the clock turn through angles they know. It costs a little inside and saves most of the loss outside. Stretched contexts of published models are made this way, usually with some further training (Chen et al., 2023; Peng et al., 2023).
#
# A small live version, one seed, a third of the training:

# %%
@torch.no_grad()
def loss_in_and_out(model, trained_on=32, read_at=128):
    """Loss in the second half of the trained length, and in the last half of four times that."""
    windows = val_tokens[: 200 * read_at + 1]
    x, y = windows[:-1].view(200, read_at), windows[1:].view(200, read_at)
    losses = F.cross_entropy(model(x).transpose(1, 2), y, reduction="none").mean(0)
    return losses[trained_on // 2 : trained_on].mean().item(), losses[read_at // 2 :].mean().item()


live_beyond = {}
for position in ("learned", "rope"):
    model, _ = train_small(gpt2_like(2, 48, 4, 128, position=position), 120, 6e-3, warmup_steps=10)
    live_beyond[position] = loss_in_and_out(model)
    print(f"{position:8} loss {live_beyond[position][0]:.2f} inside the trained 32, {live_beyond[position][1]:.2f} at 65 to 128")

# %% [markdown]
# ## V. SwiGLU, and all five on one scale (*optional*)
#
# The MLP of GPT-2 is $W_2\,\mathrm{gelu}(W_1 x)$. SwiGLU (Shazeer, 2020) computes *two* projections and multiplies them, one of them bent: $W_2\big(\mathrm{swish}(W x) \odot V x\big)$ with $\mathrm{swish}(z) = z\,\sigma(\beta z)$. One branch says what, the other how much of it: a gate.
#
# The slide has it as $\mathrm{Swish}(xW)\,xV = xW\,\mathrm{Sigmoid}(AxW)\,xV$. Read literally that multiplies row vectors with row vectors, and $A$ is not explained. The products are elementwise, $A$ is the single number $\beta$, which Llama fixes at 1 (swish is then called SiLU), and a last matrix leads back to the stream.

# %%
def swiglu(x, W, V, W2, beta=1.0):
    z = x @ W.T
    return (z * torch.sigmoid(beta * z) * (x @ V.T)) @ W2.T


from llmlib.model import SwiGLU

x, layer = torch.randn(5, 48), SwiGLU(48, 128)
torch.testing.assert_close(swiglu(x, layer.gate_proj.weight, layer.up_proj.weight, layer.down_proj.weight), layer(x))

z = torch.linspace(-4, 4, 161)
fig, axes = plt.subplots(1, 2, figsize=(9, 3.3))
for name, curve in (("GELU", F.gelu(z)), ("swish, β = 1 (SiLU)", F.silu(z)), ("swish, β = 10", z * torch.sigmoid(10 * z))):
    axes[0].plot(z, curve, label=name)
axes[0].plot(z, F.relu(z), "--", color="black", linewidth=1.4, label="ReLU")
for value in (-1.0, 0.5, 2.0):
    axes[1].plot(z, F.silu(z) * value, color="C1", alpha=0.4 + 0.2 * abs(value))
    axes[1].text(4.1, F.silu(z)[-1] * value, f"up = {value:g}", va="center")
axes[0].set(xlabel="z", ylabel="activation", title="four bends", xlim=(-4, 2), ylim=(-0.4, 2))
axes[1].set(xlabel="gate", ylabel="gate's swish x up", title="the gate scales the other branch", xlim=(-4, 6.5))
axes[0].legend(fontsize=11)
show(fig, alt="Left: ReLU, GELU and swish against z; swish with beta 10 is close to ReLU. Right: the gated product for three values of the other branch; for a negative gate it is near zero whatever the other branch says.")

# %% [markdown]
# **A fair comparison needs equal parameters.** SwiGLU has three matrices where GELU has two, so its hidden width must be two thirds: $4d \to \tfrac{8}{3}d$. At $d = 48$ that is 192 and 128. Leave this out and SwiGLU wins by being larger.
#
# *Recorded:* starting from GPT-2's recipe we make one change at a time, each at four learning rates (the same four for everyone) and three seeds, and show the difference from the start, each at its own best rate. **Predict:** which changes will be visible above the noise of three seeds?

# %%
rows = recorded("modern_llm_changes")["results"]["rows"]
change_loss = {}
for row in rows:                                                        # each contender at its own best learning rate
    if row["change"] not in change_loss or np.mean(row["val_loss"]) < change_loss[row["change"]][0].mean():
        change_loss[row["change"]] = np.array(row["val_loss"]), row["parameters"]
start = change_loss["GPT-2's recipe"][0]
change_gain = {}
for name, (losses, _) in change_loss.items():
    difference = losses - start                                         # same seed, same batches: paired
    change_gain[name] = difference.mean(), 4.30 * difference.std(ddof=1) / 3**0.5      # 95 % interval, t with 2 degrees of freedom
fig, ax = plt.subplots(figsize=(9, 3.6))
names = [name for name in change_gain if name != "GPT-2's recipe"]
for i, name in enumerate(names):
    mean, half = change_gain[name]
    ax.errorbar(mean, i, xerr=half, fmt="o", color="C0", capsize=5)
    ax.plot(change_loss[name][0] - start, [i] * 3, "|", color="C1", markersize=14)
ax.axvline(0, color="0.4", linestyle=":")
ax.set(yticks=range(len(names)), yticklabels=[f"{n}  ({change_loss[n][1]:,})" for n in names], xlabel="validation loss, difference from GPT-2's recipe (nats; left is better)")
ax.invert_yaxis()
show(fig, alt="Difference in validation loss from GPT-2's recipe with 95 % intervals over three seeds. " + " ".join(f"{n}: {m:+.3f} ± {h:.3f}." for n, (m, h) in change_gain.items() if n in names))

# %% [markdown]
# One effect is plain to see, and it is not a matter of activation functions: **RoPE** gains a fifth of a nat, and everything Llama does together gains what RoPE gains. ReLU against GELU against SwiGLU, LayerNorm against RMSNorm, six key heads against two: all within a hundredth or two of the start, with intervals that include zero. This is a null result, and we publish it as one. Shazeer reports a few hundredths of a nat for SwiGLU over GELU, in a model two thousand times larger (T5's base size) and trained far longer; three layers and 240 steps say nothing about that. Shazeer himself offers no explanation and attributes the success of such gates, "as all else, to divine benevolence".
#
# For two of the changes a null result is what one hopes for. RMSNorm and grouped queries are there to *save* something; the question was whether they cost anything, and here we cannot see that they do. (Each contender is shown at its best rate as judged on the same held-out text: a slight flattery, equal for all.)
#
# The live version, one seed and 60 steps, so only the largest effect has a chance of showing; that SwiGLU ends above or below GELU here means nothing:

# %%
for name, changes in (("GPT-2's recipe", {}), ("SwiGLU", dict(mlp="swiglu", d_ff=128)), ("RoPE", dict(position="rope"))):
    config = gpt2_like(2, 48, 6, 32, **changes)
    _, losses = train_small(config, 60, 6e-3, warmup_steps=10)
    print(f"{name:15} {count_parameters(config):7,} parameters, training loss at the end {np.mean(losses[-10:]):.2f} nats")

# %% [markdown]
# ## VI. Grouped queries: many questions, few keys
#
# While a model writes, every new token attends to the keys and values of all tokens before it. They do not change, so they are kept: the **key-value cache** (part VII builds it). For every token it holds
#
# $$2 \;\times\; \text{layers} \;\times\; \text{key heads} \;\times\; \text{head width} \;\times\; \text{bytes per number}.$$
#
# **Predict:** Llama-2-70B has 80 layers and 64 heads of width 128, in 16-bit numbers. If every head had its own keys and values, how much memory would *one* conversation of 8,192 tokens take? The weights take 138 GB.

# %%
# NBVAL_CHECK_OUTPUT
from llmlib.model import kv_bytes_per_token

print("in 16 bits        key heads   bytes per token   at 8,192 tokens   if every head had its own")
cache_bytes = {}
for name in ("llama2-7b", "llama2-13b", "llama2-70b", "smollm2-135m"):
    c = preset(name)
    by_hand = 2 * c.n_layers * c.n_kv_heads * c.head_dim * 2
    assert by_hand == kv_bytes_per_token(c, torch.float16)
    full = kv_bytes_per_token(c.replace(n_kv_heads=c.n_heads), torch.float16)
    cache_bytes[name] = by_hand, full
    print(f"{name:12} {c.n_kv_heads:9} of {c.n_heads:2} {by_hand:17,} {by_hand * 8192 / 2**30:13.2f} GiB {full * 8192 / 2**30:19.2f} GiB")

# %% [markdown]
# Twenty gibibytes for one conversation, and a server wants to hold dozens at once. Grouped-query attention (Ainslie et al., 2023) lets several query heads share one key head and one value head: eight for 64 in Llama-2-70B. Its cache is then *smaller than that of the 7B model*, which has no grouping. (Llama 2 was trained for 4,096 tokens; the slide's "long contexts" is about what the cache costs, not about what the model has learned to read.)
#
# In code it is one line, with one trap in it:

# %%
def grouped_attention(q, k, v, mask):
    """q (B, H, T, d) with k, v (B, K, S, d), K dividing H: query heads 0..H/K-1 share key head 0, and so on."""
    share = q.size(1) // k.size(1)
    k, v = k.repeat_interleave(share, dim=1), v.repeat_interleave(share, dim=1)
    scores = (q @ k.transpose(-2, -1) / q.size(-1) ** 0.5).masked_fill(~mask, float("-inf"))
    return scores.softmax(dim=-1) @ v


from llmlib.model import causal_mask, plain_attention

q, k, v = torch.randn(2, 6, 5, 8), torch.randn(2, 2, 5, 8), torch.randn(2, 2, 5, 8)
torch.testing.assert_close(grouped_attention(q, k, v, causal_mask(5)), plain_attention(q, k, v, causal=True)[0])
print("repeat_interleave:", torch.arange(2).repeat_interleave(3).tolist(), "  repeat:", torch.arange(2).repeat(3).tolist())

# %% [markdown]
# `repeat` instead of `repeat_interleave` gives the right shapes and assigns the query heads to the wrong keys. A model *trained* that way would not mind. A model trained elsewhere, loaded into such code, is ruined; part VIII shows how it sounds.
#
# How much memory your own chat would need: **move the context and the number of users.**

# %%
def cache_calculator(model, context, users):
    c, GB = preset(model), 1e9
    weights = count_parameters(c) * 2 / GB
    options = {"every head\nits own": c.n_heads, "as released": c.n_kv_heads, "one for all\n(multi-query)": 1}
    sizes = {name: kv_bytes_per_token(c.replace(n_kv_heads=heads), torch.float16) * context * users / GB for name, heads in options.items()}
    fig, ax = plt.subplots(figsize=(4.4, 3.3))
    ax.bar(["weights"], [weights], color="0.6")
    bars = ax.bar(list(sizes), list(sizes.values()), color=["C4", "C0", "C2"])
    ax.bar_label(bars, [f"{size:.3g}" for size in sizes.values()])
    ax.axhline(80, color="0.3", linestyle=":")
    ax.set(title=f"{model}, {users} x {context:,} tokens", ylabel="GB in 16 bits", ylim=(0, 1.15 * max(90, weights, *sizes.values())))
    ax.tick_params(axis="x", labelsize=9)
    return fig


explore(cache_calculator, model=["llama2-70b", "llama2-13b", "llama2-7b", "gpt3", "smollm2-135m"], context=[1024, 4096, 8192, 32768, 131072], users=[1, 4, 16, 64],
        panels=[dict(model="llama2-7b", context=8192, users=16), dict(model="llama2-70b", context=8192, users=1), dict(model="llama2-70b", context=8192, users=16)],
        alt="Bars of memory in gigabytes for weights and three kinds of cache, with a dotted line at 80 GB, the size of one large accelerator. For Llama-2-70B with 16 users of 8,192 tokens full multi-head attention needs 344 GB, grouped queries 43, one shared head 5.")

# %% [markdown]
# ### Measured
#
# Memory that is not there also does not have to be *read*. For each new token the whole cache passes through the processor once. Here are four versions of one small model with 8 query heads; only the number of key heads differs. **Predict** how the time per token changes from 8 to 1 key heads with 512 tokens in the cache, and with 8,192.

# %%
wide = ModelConfig(vocab_size=64, n_layers=2, d_model=512, n_heads=8, d_ff=1024, max_seq_len=16384)


def decoder_step(key_heads, past):
    """A function that decodes one token after `past` others (random weights, random past: only the time matters)."""
    config = wide.replace(n_kv_heads=key_heads)
    model = Transformer(config).eval()
    k, v = torch.randn(2, config.n_layers, 1, key_heads, past, config.head_dim)
    cache, token = KVCache.with_prefix(config, k, v, max_len=past + 200), torch.tensor([[5]])

    @torch.inference_mode()
    def step():
        return model(token, cache=cache)

    step()                                                              # the first call takes the memory
    return step


decode_ms = {}
for past in (512, 8192):
    times = least_times({heads: decoder_step(heads, past) for heads in (8, 4, 2, 1)}, rounds=40)
    decode_ms[past] = {heads: 1e3 * seconds for heads, seconds in times.items()}
for heads in (8, 4, 2, 1):
    print(f"{heads} key heads: " + "    ".join(
        f"{ms[heads]:5.1f} ms a token with {past:,} in the cache ({past * kv_bytes_per_token(wide.replace(n_kv_heads=heads), torch.float32) / 2**20:g} MiB)" for past, ms in decode_ms.items()))
gqa_speed = {past: ms[8] / ms[1] for past, ms in decode_ms.items()}
print("8 key heads take", " and ".join(f"{ratio:.1f} times as long as 1 after {past:,} tokens" for past, ratio in gqa_speed.items()))

# %% [markdown]
# With a short past, the number of key heads hardly matters: the time goes into the weights, which are the same size but for $W_k$ and $W_v$. With a long past the cache is what takes the time, and sharing it pays, though not in full: one key head instead of eight is an eighth of the bytes, not an eighth of the time. Between the two lies the length from which a model with few key heads is worth having.
#
# What does the sharing cost in quality? In part V, six query heads with two key heads lost nothing we could see. Ainslie et al. (2023) find the same at scale for eight groups, and a visible loss for a single one.

# %% [markdown]
# ## VII. The key-value cache
#
# ### A whole Llama
#
# You have now written all the parts. Here they are in one function: a complete Llama, which reads its weights from a dictionary. The parameter `cache` is explained below; read it first as if it were `None`.

# %%
def llama(w, c, ids, cache=None, layout="half"):
    """Logits (B, T, V) of the Llama with weights w and config c for ids (B, T) that follow what `cache` holds.

    cache: an empty list at first; afterwards one (keys, values) per layer.
    """
    past = cache[0][0].size(2) if cache else 0
    B, T = ids.shape
    positions = torch.arange(past, past + T)                            # not from 0: `past` tokens came before
    mask = positions[:, None] >= torch.arange(past + T)                 # (T, past + T)
    x = w["token_embedding.weight"][ids]
    for i in range(c.n_layers):
        p = f"blocks.{i}."
        h = rms_norm(x, w[p + "norm1.weight"], c.norm_eps)
        q, k, v = ((h @ w[p + f"attention.{name}_proj.weight"].T).view(B, T, -1, c.head_dim).transpose(1, 2) for name in "qkv")
        q, k = rope(q, positions, c.rope_theta, layout), rope(k, positions, c.rope_theta, layout)
        if cache is not None:
            if past:
                k, v = torch.cat([cache[i][0], k], dim=2), torch.cat([cache[i][1], v], dim=2)
            cache[i : i + 1] = [(k, v)]
        mixed = grouped_attention(q, k, v, mask)                        # (B, H, T, head_dim)
        x = x + mixed.transpose(1, 2).reshape(B, T, -1) @ w[p + "attention.o_proj.weight"].T
        h = rms_norm(x, w[p + "norm2.weight"], c.norm_eps)
        x = x + swiglu(h, *(w[p + f"mlp.{name}_proj.weight"] for name in ("gate", "up", "down")))
    return rms_norm(x, w["final_norm.weight"], c.norm_eps) @ w["token_embedding.weight"].T


config = ModelConfig(vocab_size=64, n_layers=3, d_model=96, n_heads=6, n_kv_heads=2, max_seq_len=2048, init_std=0.15)    # heads with opinions
library_model = Transformer(config).eval()
weights, ids = library_model.state_dict(), torch.randint(64, (2, 20))
with torch.no_grad():
    torch.testing.assert_close(llama(weights, config, ids), library_model(ids))
print(f"equal logits; {library_model.num_parameters():,} parameters")

# %% [markdown]
# ### Why keep anything
#
# To write 100 tokens after a prompt, lecture 03 ran the model 100 times, each time over *everything so far*, and threw all but the last position's output away. But in a causal model the keys and values of earlier tokens cannot depend on later ones. They come out the same every time.
#
# So keep them, and feed only the new token. That is what the four lines with `cache` do, and there is a property to test: **however we cut the input into pieces, the logits must be those of the whole.** Reading a long prompt piece by piece is called *chunked prefill*; servers do it so that one long prompt does not hold up everybody else.

# %%
@torch.no_grad()
def in_pieces(model, ids, sizes):
    """Logits of ids, fed to `model(piece, cache)` in pieces of the given sizes."""
    cache, pieces = [], ids.split(sizes, dim=1)
    return torch.cat([model(piece, cache) for piece in pieces], dim=1)


whole = llama(weights, config, ids)
ours = lambda piece, cache: llama(weights, config, piece, cache)
for sizes in ([20], [12, 8], [12] + [1] * 8, [5, 9, 1, 5]):
    torch.testing.assert_close(in_pieces(ours, ids, sizes), whole)
library_cache = KVCache(config, batch_size=2)
with torch.no_grad():
    theirs = torch.cat([library_model(piece, cache=library_cache) for piece in ids.split([12, 7, 1], dim=1)], dim=1)
torch.testing.assert_close(theirs, whole)                               # the library's cache keeps the same promise

# %% [markdown]
# ### Three ways to get it wrong without an error
#
# Each of these runs, gives the right shape, and is wrong. **Predict** which of them you would notice if you only ever compared the logits of whole texts.

# %%
from unittest.mock import patch

right_rope, right_attention = rope, grouped_attention


def restart_at_zero(x, positions, *settings):
    return right_rope(x, positions - positions[0], *settings)


def top_left(q, k, v, mask):
    return right_attention(q, k, v, torch.ones(q.size(2), k.size(2), dtype=torch.bool).tril())


def repeated(q, k, v, mask):
    share = q.size(1) // k.size(1)
    return right_attention(q, k.repeat(1, share, 1, 1), v.repeat(1, share, 1, 1), mask)


MISTAKES = {"positions restart at 0": {"rope": restart_at_zero}, "mask aligned top-left": {"grouped_attention": top_left},
            "repeat for repeat_interleave": {"grouped_attention": repeated}}
CUTS = {"whole": [20], "12, then one by one": [12] + [1] * 8, "chunks of 5": [5] * 4}
cache_errors = {}
print(f"{'error / spread of the logits':30}" + "".join(f"{name:>22}" for name in CUTS))
for mistake, replacement in MISTAKES.items():
    with patch.dict(globals(), replacement):                            # llama() now calls the mistaken version
        cache_errors[mistake] = {name: ((in_pieces(ours, ids, cut) - whole).std() / whole.std()).item() for name, cut in CUTS.items()}
    print(f"{mistake:30}" + "".join(f"{100 * error:20.0f} %" for error in cache_errors[mistake].values()))

# %% [markdown]
# The two cache mistakes give *exactly* the right logits when the text is read whole: that is how training and most tests read it. They show only when there is something in the cache. The mask aligned top-left lets the first new token see only the very first old one, and the single new token of ordinary writing is always "the first". With positions that restart, all new tokens stand at the beginning of the text. Wrong heads are wrong always, so that at least a comparison with the published model finds them.
#
# A test that feeds one sequence in several pieces, and compares, catches all of this. Lab 04 grades with it.

# %%
poll("In a cached model with rotary positions, which of these must be stored in the cache?",
     ["keys (already turned) and values of all earlier tokens", "keys, values and queries of all earlier tokens", "only the last layer's output for each earlier token", "the attention weights of all earlier tokens"],
     "A new token asks with its own query; earlier queries have been answered and are never needed again (<2>), and neither are their weights (<4>). Every layer attends to that layer's own keys and values, so the last layer's output is not enough (<3>). Keys can be stored turned, because a token's position does not change when text is added behind it; only the difference to the new query's position matters.")

# %% [markdown]
# ### What it buys
#
# Without a cache, the token at position $t$ costs a pass over $t$ tokens; with one, a pass over a single token plus a look at $t$ stored keys. **Predict** the speed-up at 1,024 tokens. It cannot exceed 1,024; why will it be less?

# %%
timing_model = Transformer(ModelConfig(vocab_size=64, n_layers=4, d_model=192, n_heads=6, n_kv_heads=2, max_seq_len=2048)).eval()


@torch.inference_mode()
def next_logits(ids, cache=None):
    return timing_model.head(timing_model.hidden(ids, cache=cache)[:, -1])


def time_next_token(t):
    """Seconds for one more token after t - 1 others, without and with a cache."""
    text_so_far, cache = torch.randint(64, (1, t)), KVCache(timing_model.config, max_len=t + 200)
    next_logits(text_so_far[:, :-1], cache)                             # the prompt is read once
    return least_times({"without a cache": lambda: next_logits(text_so_far), "with a cache": lambda: next_logits(text_so_far[:, -1:], cache)}, rounds=7)


contexts = [32, 64, 128, 256, 512, 1024]
timed = [time_next_token(t) for t in contexts]
per_token = {name: [1e3 * times[name] for times in timed] for name in timed[0]}
cache_speedup = dict(zip(contexts, np.divide(*per_token.values())))
fig, ax = plt.subplots(figsize=(9, 3.5))
for (name, milliseconds), marker in zip(per_token.items(), "so"):
    ax.plot(contexts, milliseconds, marker=marker, label=name)
ax.set(xscale="log", yscale="log", xlabel="tokens so far (log scale)", ylabel="ms for the next token (log)", xticks=contexts, xticklabels=contexts)
ax.minorticks_off()
ax.legend()
show(fig, alt="Time for the next token against the number of tokens so far. Without a cache it grows in proportion; with one it stays nearly level. Speed-up: " + ", ".join(f"{s:.0f} times at {t}" for t, s in cache_speedup.items()))
print("speed-up: " + ", ".join(f"{s:.0f}x at {t:,}" for t, s in cache_speedup.items()))

# %% [markdown]
# The lower curve is nearly level: for a small model, attending to a thousand stored keys costs little next to the fixed work for one token. The upper one grows in proportion to the text. The ratio stays well below $t$, because a pass over 1,024 tokens uses the processor much better, per token, than a pass over one: big matrix products instead of matrix-vector products. For the same reason reading a prompt is fast and writing is slow, in every chat you have ever watched.

# %% [markdown]
# ## VIII. A real one
#
# SmolLM2-135M-Instruct (Allal et al., 2025) is a Llama: 30 thin layers, trained on two trillion tokens, then tuned to chat. It is small enough for a laptop. If it cannot be fetched, a tiny stand-in of our own takes its place, with a notice, and the cells below still run.

# %%
from llmlib.hub import is_stand_in, load_smollm2

smol, smol_tokenizer = load_smollm2(device="cpu")
real = not is_stand_in(smol)
smol_weights, smol_config = smol.state_dict(), smol.config
print(f"{smol.num_parameters():,} parameters, {smol_config.n_layers} layers, width {smol_config.d_model}, "
      f"{smol_config.n_heads} heads sharing {smol_config.n_kv_heads} key heads, vocabulary {smol_config.vocab_size:,}")

# %% [markdown]
# ### What is in the file (*optional*)
#
# The weights came as one GGUF file, the format of the llama.cpp project: a list of facts about the model, a list of tensors, then the numbers. No code is stored in it and none is run to read it, unlike a pickle.

# %%
from collections import Counter

from llmlib.hub import GGUFFile

if real:
    with GGUFFile(fetch("smollm2")) as file:
        for key in ("general.architecture", "llama.block_count", "llama.embedding_length", "llama.attention.head_count_kv", "llama.rope.freq_base", "llama.context_length"):
            print(f"{key:32} {file.metadata[key]}")
        print("\n" + "\n".join(f"{t.name:28} {t.shape!s:14} {t.type:5} {8 * t.n_bytes / math.prod(t.shape):4.1f} bits a number" for t in list(file.tensors.values())[:6]))
        print("tensors by type:", dict(Counter(t.type for t in file.tensors.values())))
        bits = 8 * sum(t.n_bytes for t in file.tensors.values()) / sum(math.prod(t.shape) for t in file.tensors.values())
        q = file.read("blk.0.attn_q.weight")[0, :32]
        print(f"{bits:.2f} bits a number on average; the first 32 weights of a matrix take {len(set(q.tolist()))} different values")
else:
    print("The stand-in came with the course, not as GGUF.")

# %% [markdown]
# Most matrices are in 4 bits: groups of 32 weights share a scale and an offset, and each weight is one of 16 levels (lecture 15 takes this apart). The library unpacks them to ordinary numbers when loading. Note that the file stores query and key rows in the *interleaved* order of part IV, while our model turns halves: the loader reorders them.
#
# ### Did we load what we think we loaded?
#
# A model loaded slightly wrong does not crash; it gets slightly, or completely, worse. Four checks of rising strength: the number of parameters; the thirty lines you wrote against the library; a fact that the model must know; and its surprise at a sentence, against the same words shuffled.

# %%
def perplexity(model, text):
    ids = torch.tensor([smol_tokenizer.encode(text)])
    with torch.no_grad():
        return F.cross_entropy(model(ids)[0, :-1], ids[0, 1:]).exp().item()


SENTENCE, SHUFFLED = "The cat sat on the mat and looked out of the window.", "Mat the on sat cat the and window the of out looked."
yours = lambda ids: llama(smol_weights, smol_config, ids)
ids = torch.tensor([smol_tokenizer.encode("The capital of France is")])
with torch.no_grad():
    torch.testing.assert_close(yours(ids), smol(ids), atol=2e-3, rtol=1e-3)
surprise = perplexity(yours, SENTENCE), perplexity(yours, SHUFFLED)
says = smol_tokenizer.decode([yours(ids)[0, -1].argmax().item()])
if real:
    assert smol.num_parameters() == 134_515_008 and says == " Paris" and abs(surprise[0] - 46.3) < 1
print(f"your thirty lines: 'The capital of France is' ->{says!r}; perplexity {surprise[0]:.1f}, shuffled {surprise[1]:,.0f}")

# %% [markdown]
# The function you wrote in part VII has just run a published model, and knows that the capital of France is Paris. (The comparison with an independent implementation, on many prompts, is in the tests.)
#
# Now the mistakes of this lecture, on a model that was trained by somebody else. **Predict** which of these mistakes the sentence about the cat will notice, and which need a longer text: here, a page of *Alice's Adventures in Wonderland*.

# %%
def with_repeat(ids):
    with patch.dict(globals(), grouped_attention=repeated):
        return yours(ids)


MISLOADED = {
    "all right": yours,
    "rotary layout interleaved": lambda ids: llama(smol_weights, smol_config, ids, layout="interleaved"),
    "rotary base 10,000, not 100,000": lambda ids: llama(smol_weights, smol_config.replace(rope_theta=1e4), ids),
    "repeat for repeat_interleave": with_repeat,
    "norm's epsilon 1e-3, not 1e-5": lambda ids: llama(smol_weights, smol_config.replace(norm_eps=1e-3), ids),
}
page = alice()[20_000:20_700]
misloaded = {name: (perplexity(model, SENTENCE), perplexity(model, page)) for name, model in MISLOADED.items()}
print(f"{'perplexity':34} {'sentence':>12} {'page':>12}   ({len(smol_tokenizer.encode(page))} tokens)")
print("\n".join(f"{name:34} {short:12,.1f} {long:12,.1f}" for name, (short, long) in misloaded.items()))

# %% [markdown]
# Four kinds of wrong. Exchanged heads ruin the model at once. The wrong rotary layout leaves the *sentence* only moderately surprising, because neighbouring words still stand close together; the page shows a broken model. The wrong base is *better* than the truth on the sentence, and worse on the page: only long distances are affected. And the wrong epsilon goes unnoticed by both. A fluent reply is no proof that a model was loaded correctly, and neither is one good number; the proof is a comparison of logits with an independent implementation.
#
# ### Talking to it
#
# A chat model was tuned on conversations written in one fixed form, here ChatML: every turn opens with `<|im_start|>` and the speaker's role, and closes with `<|im_end|>`. These markers are single tokens which ordinary text cannot produce; a user who *types* `<|im_end|>` gets plain characters, not the marker.

# %%
from llmlib.text import encode_chat, render_chat

conversation = [{"role": "user", "content": "What is the capital of France?"}]
print(render_chat(conversation))
prompt = encode_chat(smol_tokenizer, conversation)
END = smol_tokenizer.special_tokens["<|im_end|>"]
print(f"{len(prompt)} tokens; <|im_end|> is token {END}; typed by a user it becomes {len(smol_tokenizer.encode('<|im_end|>'))} tokens")

# %%
from llmlib.infer import stream


def chat(question, max_new_tokens=40):
    """Ask one question, print the reply while it is being written; returns pieces of text per second."""
    prompt, pieces, start = encode_chat(smol_tokenizer, [{"role": "user", "content": question}]), 0, time.perf_counter()
    print(f"> {question}\n  ", end="")
    for piece in stream(smol, prompt, tokenizer=smol_tokenizer, max_new_tokens=max_new_tokens, stop_tokens=[END], greedy=True):
        print(piece, end="", flush=True)
        pieces += 1
    print("\n")
    return pieces / (time.perf_counter() - start)


rates = [chat(question) for question in ("What is the capital of France?", "Who wrote Romeo and Juliet?", "What is 17 + 25?")]
rate, size = statistics.median(rates), smol.num_parameters() * 4 / 1e9
print(f"about {rate:.0f} pieces of text a second; at {size:.2g} GB of weights for each, that is {rate * size:.0f} GB read a second")

# %% [markdown]
# Every reply is grammatical and sounds sure of itself. The first is right; the second invents a son for Shakespeare; the third gets a sum wrong that a pocket calculator gets right. At this size a model has learned how answers *sound*. Lecture 17 is about what to do when it does not know, lecture 16 about sums.
#
# The speed has an explanation as well. Each new token needs every weight once, 538 MB in 32 bits, so writing is a matter of how fast memory can be read. Smaller numbers make it faster: lecture 15.

# %%
poll("Deck C asks: *Which of the following is a feature of Llama 2?* and marks one answer as right. Which would you mark?",
     ["Swishy activations", "Relativistic positional embeddings", "Multi-query attention", "Grouped-query attention"],
     "The deck's key is **D**. But **A** is just as true, and more widely: SwiGLU is swish times a linear branch, on the deck's own slide, and every Llama 2 has it, whereas of the released sizes (7B, 13B, 70B) only the 70B has grouped queries. A question with one key should not have two right answers. B is a pun: RoPE acts on relative positions, but nothing about it is relativistic. C is wrong for every size: multi-query means a single key head, and 70B has eight. A better question: *which of these is a feature of Llama-2-7B?* Then A is the only one.", opinion=True)

# %% [markdown]
# ## IX. The table of sizes, recounted (*optional*)
#
# Deck N has a table of parameter counts. We count each model from its published shape, without allocating a weight.

# %%
# NBVAL_CHECK_OUTPUT
DECK_N = {"bert-base": (0.11, 12, 12), "bert-large": (0.34, 24, 16), "gpt1": (0.12, 12, 12), "gpt2-xl": (1.5, None, None), "gpt3": (175, None, None),
          "llama2-7b": (None,) * 3, "llama2-13b": (None,) * 3, "llama2-70b": (None,) * 3}
counted = {name: count_parameters(preset(name)) for name in DECK_N}
print("model        layers  heads  width          counted   on the slide (billions)")
for name, (billions, layers, heads) in DECK_N.items():
    c = preset(name)
    assert layers is None or (c.n_layers, c.n_heads) == (layers, heads)
    print(f"{name:12} {c.n_layers:5} {c.n_heads:6} {c.d_model:6} {counted[name]:16,}   {billions or 'not on the slide'}")

# %% [markdown]
# The slide's figures agree with the counts up to rounding, with one exception that lecture 03 has explained: GPT-2's authors gave 1,542 million for a model that has 1,558. The row for GPT-2 reads *GPT-1, but with modified normalization*: true as far as it goes; the context, the vocabulary and the initialisation changed too, and the model grew thirteenfold. Under the table the deck estimates GPT-4 at 175 to 280 billion parameters; elsewhere it repeats a rumour of 16 x 111 + 55 = 1,831 billion. Its makers have published no number, and no notebook can decide between two guesses that differ by a factor of seven to ten.
#
# ## Scale warning
#
# > **What these experiments can and cannot tell you.** Exact at any size: the arithmetic of the cache, what RoPE's dot product depends on, that the cache must not change the logits, that a post-norm stack can lose its gradient. *Not* settled here: quality. Three layers, 48 wide and 240 steps cannot tell SwiGLU from GELU, and a difference of a hundredth of a nat, if it is real, matters to those who pay for a billion GPU-hours, not to us. The failure of post-norm appears at 8 to 16 layers because our learning rates are high and there is no warm-up; BERT has 24 post-norm layers and trains well with one. Speeds are those of one CPU: on an accelerator the balance between reading memory and computing is different, and the reasons for small caches are stronger. SmolLM2 at 135 million parameters speaks fluently and knows little; do not judge large models by its mistakes, or its fluency by its knowledge.

# %% [markdown]
# ## Claims

# %%
GiB = 2**30
claims_table([
    Claim("Llama 2 is by Ouyang et al. (C)", "Touvron et al. (2023); Ouyang et al. (2022) is InstructGPT", "not a measurement: the reference lists of both papers", "fails; wrong authors"),
    Claim("Llama's change: norm after the sublayer → before (C)", "Radford et al. (2019), section 2.3: GPT-2 moved it already; Vaswani et al. (2017) had it after",
          f"16 layers, rate {RATES[1]:g}: {np.mean(depth_loss['pre', 16, RATES[1]]):.2f} nats before, {np.mean(depth_loss['post', 16, RATES[1]]):.2f} after ({unigram_loss:.2f} is letter frequencies), 3 seeds", "holds; from the 2017 Transformer, not from GPT-2"),
    Claim("LayerNorm → RMSNorm, for stability (C)", "Zhang and Sennrich (2019) claim time, 7 to 64 %; Touvron et al. (2023) give stability as the reason for *pre*-norm",
          f"time at width 256: {norm_ratio['written out'][256]:.1f}x LayerNorm's written out, {norm_ratio['one operation'][256]:.1f}x as one operation of torch; loss {change_gain['RMSNorm'][0]:+.3f} ± {change_gain['RMSNorm'][1]:.3f} nats", "cannot be tested at this scale; both norms were stable here"),
    Claim("activation: ReLU → SwiGLU (C)", "Shazeer (2020); GPT-1 and GPT-2 used GELU",
          f"at equal parameters, against GELU: ReLU {change_gain['ReLU'][0]:+.3f} ± {change_gain['ReLU'][1]:.3f}, SwiGLU {change_gain['SwiGLU'][0]:+.3f} ± {change_gain['SwiGLU'][1]:.3f} nats (3 seeds)", "holds; a gain is not visible at this size"),
    Claim("SwiGLU(x) = Swish(xW)xV = xW Sigmoid(AxW) xV (C)", "Shazeer (2020): elementwise products, a scalar β, and a third matrix", "equal to the library's layer with elementwise products, A = 1 and the third matrix", "fails; as printed, holds with ⊙ and β for A"),
    Claim("absolute or relative positions → RoPE (C)", "Su et al. (2021)",
          f"scores equal after moving both by 500; at three to four times the trained length {inside_outside['rope'][1]:.2f} nats against {inside_outside['learned'][1]:.2f} with a learned table", "holds; RoPE is computable there, not free of loss"),
    Claim("long contexts: multi-head → grouped-query attention (C)", "Touvron et al. (2023), table 1: only 34B and 70B; 34B was not released",
          f"cache at 8,192 tokens, 70B: {cache_bytes['llama2-70b'][0] * 8192 / GiB:.1f} GiB, not {cache_bytes['llama2-70b'][1] * 8192 / GiB:.0f}; here 8 key heads take {gqa_speed[8192]:.1f} times as long per token as 1", "holds; for 70B, of the released models"),
    Claim("poll: of four options only grouped-query attention is a feature of Llama 2 (C)", "SwiGLU is in every size", "the config of 7B has swiglu and as many key heads as heads", "fails; \"swishy activations\" is right too"),
    Claim("Llama 2 was pre-trained on about 3 trillion tokens (C)", "Touvron et al. (2023), table 1: 2.0T", "not a measurement", "fails; 2 trillion"),
    Claim("BERT 0.11B and 0.34B, GPT-1 0.12B, GPT-2 1.5B, GPT-3 175B (N)", "Devlin et al. (2018), Radford et al. (2018, 2019), Brown et al. (2020)",
          "counted " + ", ".join(f"{counted[n] / 1e9:.3g}B" for n in ("bert-base", "bert-large", "gpt1", "gpt2-xl", "gpt3")), "holds; GPT-2 is 1.56B"),
    Claim("GPT-2 is GPT-1 with modified normalization (N)", "Radford et al. (2019), section 2.3, also context, vocabulary, initialisation", f"{counted['gpt2-xl'] / counted['gpt1']:.0f} times the parameters; configs differ in norm position, context and vocabulary", "holds; and more changed"),
    Claim("GPT-3 is to GPT-1 as 2,000 m to 1.6 m (N, the picture of titans)", "–: a picture", f"{counted['gpt3'] / counted['gpt1']:,.0f} times the parameters, 1,250 times the height", "holds; within a fifth"),
    Claim("GPT-4 has 175B to 280B parameters (N), and 1.831T (N)", "OpenAI (2023) gives no number", f"the two differ by a factor of {1831 / 280:.1f} to {1831 / 175:.1f}", "cannot be tested at this scale; the deck contradicts itself"),
])

# %% [markdown]
# ## Summary
#
# 1. Pre-norm leaves the sum along the residual path untouched, so the first block's gradient survives what a few large steps do to the rest; post-norm needs a warm-up to live.
# 2. RoPE turns queries and keys by their position, so that scores depend on distance alone; the formula reaches any position, the *training* does not.
# 3. Of the five changes, RoPE is the one that a small model's loss can show. SwiGLU's gain, if any, is within the noise here; RMSNorm and grouped queries are there to save something, and cost nothing we can see.
# 4. Grouped queries share keys and values: an eighth of the cache for Llama-2-70B, 2.5 GiB instead of 20 at 8,192 tokens, and less to read for every new token.
# 5. A key-value cache changes no logit and saves the re-reading; positions, mask and head order are the three places where it goes wrong silently.
#
# **Still unexplained.** Where does a chat model's *manner* come from (lecture 11), and how can four bits be enough for a weight (15)? Why train a 135-million-parameter model on two trillion tokens (08)? And what would the same blocks do if they could look both ways (05)?
#
# ## Exercises
#
# *Lab 04* has you write these parts yourself, run a real checkpoint in them, and find out what is wrong with three loaded models.
#
# 1. Train the 16-layer post-norm model with a warm-up, live. How short can the warm-up be?
# 2. Deck C's slide says *relative* positions came before RoPE. Replace RoPE by a learned bias for each distance, added to the scores (T5's way), and repeat the figure of part IV.
# 3. Give `llama` a maximum cache length by dropping the oldest keys. What happens to SmolLM2's text? And if you always keep the first four (Xiao et al., 2023)?
# 4. Grouped queries save parameters too. Spend them on a wider MLP. Does the difference in part V become positive or negative?
#
# ## Further reading
#
# Touvron et al. (2023), *LLaMA: open and efficient foundation language models*, and *Llama 2: open foundation and fine-tuned chat models*. Xiong et al. (2020), *On layer normalization in the Transformer architecture*. Zhang and Sennrich (2019), *Root mean square layer normalization*. Su et al. (2021), *RoFormer: enhanced Transformer with rotary position embedding*. Press, Smith and Lewis (2022), *Train short, test long*. Chen et al. (2023), *Extending context window of large language models via position interpolation*. Shazeer (2020), *GLU variants improve Transformer*. Shazeer (2019), *Fast Transformer decoding: one write-head is all you need*. Ainslie et al. (2023), *GQA: training generalized multi-query Transformer models from multi-head checkpoints*. Xiao et al. (2023), *Efficient streaming language models with attention sinks*. Allal et al. (2025), *SmolLM2: when Smol goes big*.
