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
# **Time:** core 136 minutes, optional 37 minutes; two classes. Run the optional cells even if you skip their text: later ones use what they define. All cells together: under a minute of computing on a laptop CPU, after a download of 98 MB the first time.
#
# <!-- sources: 11785, analytics -->

# %%
import math
import statistics
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware import (
    Claim,
    Diagram,
    bars,
    claims_table,
    curves,
    explore,
    panels,
    poll,
    setup_style,
    show,
    steps,
    table,
)

# %%
from llmlib.data import (
    alice,
    fetch,
    random_batch,
    recorded,
    split_text,
    tiny_shakespeare,
)
from llmlib.model import (
    KVCache,
    ModelConfig,
    Transformer,
    count_parameters,
    preset,
    record,
)
from llmlib.text import CharTokenizer
from llmlib.train import TrainConfig, Trainer

torch.manual_seed(0)
setup_style(compact=True)

# %% [markdown]
# ## I. What changed
#
# The 11-785 lecture lists five changes on its Llama 2 slide, each as an arrow: *norm after the sublayer → before; LayerNorm → RMSNorm; ReLU → SwiGLU; absolute or relative positions → RoPE; multi-head → grouped-query attention.* An arrow needs a starting point, and the slide does not name one. Our library describes every model by a config, so we can simply ask four of them.

# %%
# NBVAL_CHECK_OUTPUT
LINEAGE = ["gpt1", "gpt2-xl", "llama2-7b", "llama2-70b"]
FIELDS = ["norm_position", "norm", "mlp", "position", "n_heads", "n_kv_heads", "bias"]
print(f"{'':14}" + "".join(f"{name:>12}" for name in LINEAGE))
for field in FIELDS:
    values = [str(getattr(preset(name), field)) for name in LINEAGE]
    print(f"{field:14}" + "".join(f"{value:>12}" for value in values))

# %% tags=["diagram"]
d = Diagram(12, 4.3)
for x0, name, parts in ((0.2, "GPT-2", ["LayerNorm", "attention", "LayerNorm", "GELU MLP"]),
                        (6.3, "Llama", ["RMSNorm", "attention, RoPE\ngrouped queries", "RMSNorm", "SwiGLU MLP"])):
    d.stream((x0, 3.4), (x0 + 5.5, 3.4))
    d.label(x0 + 2.7, 4.05, f"residual stream of {name}", size=11)
    for i in (0, 1):
        x = x0 + 1.3 + 2.7 * i
        norm = d.box(x - 0.6, 2.4, parts[2 * i], w=1.35, h=0.6, color="sky", size=10)
        part = d.box(x - 0.1, 1.0, parts[2 * i + 1], w=2.2, h=0.9, color="orange" if i else "blue", size=10)
        d.arrow((x - 0.6, 3.4), norm)
        d.arrow(norm, part)
        d.arrow(part, d.plus(x + 1.1, 3.4))
d.show(alt="Two blocks side by side, each reading from a residual stream and adding back to it. GPT-2: LayerNorm, attention, LayerNorm, GELU MLP. "
       "Llama: RMSNorm, attention with RoPE and grouped queries, RMSNorm, SwiGLU MLP.")

# %% [markdown]
# The first Transformer (Vaswani et al., 2017) normalised *after* each sublayer and used ReLU; seen from there, all five arrows are right. Seen from GPT-2, one was made already, the norm in front, and one starts elsewhere: GPT-1 had replaced ReLU by GELU. What is new between GPT-2 and Llama 2 is the *kind* of norm, the gated MLP and the rotary positions; the grouped queries came last, and only to the largest size: the 7B row above has as many key heads as query heads.
#
# Small things changed too: no biases, and separate matrices for embedding and scoring. Now for the reasons.

# %%
text = tiny_shakespeare()
tokenizer = CharTokenizer.from_text(text)
train_text, rest = split_text(text, 0.1)
choose_text, report_text = split_text(rest, 0.5)  # lecture 01: three splits
train_tokens = torch.tensor(tokenizer.encode(train_text))
report_tokens = torch.tensor(tokenizer.encode(report_text))


def gpt2_like(n_layers, d_model, n_heads, context, **changes):
    """GPT-2's recipe at toy size; its deviation grows with 1 / sqrt(d_model)."""
    return ModelConfig(
        vocab_size=tokenizer.vocab_size,
        n_layers=n_layers,
        d_model=d_model,
        n_heads=n_heads,
        max_seq_len=context,
        norm="layernorm",
        mlp="gelu",
        position="learned",
        init_std=0.02 * (768 / d_model) ** 0.5,
    ).replace(**changes)

# %%
def train_small(config, steps, lr, seed=0, callbacks=(), **recipe):
    """A model trained from scratch for a few steps, and its training losses in nats."""
    torch.manual_seed(seed)
    model = Transformer(config)
    recipe = TrainConfig(
        steps=steps,
        batch_size=16,
        seq_len=32,
        lr=lr,
        seed=seed,
        device="cpu",
        progress=False,
        **recipe,
    )
    history = Trainer(model, recipe, train_tokens, callbacks=callbacks).run()
    return model, history.train_loss

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
        self.attention, self.mlp = attention, mlp
        self.norm1, self.norm2, self.pre = norm1, norm2, pre

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
    parts = theirs.attention, theirs.mlp, theirs.norm1, theirs.norm2
    ours = Block(*parts, pre=where == "pre")
    torch.testing.assert_close(ours(x, pattern), theirs(x, pattern))

# %% [markdown]
# What we wrote is what the library runs. **Predict.** We train sixteen such blocks, 32 wide, on Shakespeare with a brisk learning rate of 0.01 and no warm-up, once with each arrangement. Will the two learn the same, one a little worse, or one not at all?
#
# While they train, we look inside: how large is the gradient in each block, and how alike are the vectors of different positions? (Lecture 03: when all positions carry the same vector, only letter frequencies can be learned.)

# %%
probe_x, probe_y = random_batch(train_tokens, 16, 32, torch.Generator().manual_seed(9))


def look_inside(model):
    """Gradient norm of each block's MLP; how alike the positions are in the last."""
    F.cross_entropy(model(probe_x).flatten(0, 1), probe_y.flatten()).backward()
    gradients = [block.mlp.up_proj.weight.grad.norm().item() for block in model.blocks]
    model.zero_grad()
    last = f"blocks.{len(model.blocks) - 1}"
    with torch.no_grad(), record(model, last) as seen:
        model(probe_x)
    direction, T = F.normalize(seen[last], dim=-1), probe_x.size(1)
    cosines = direction @ direction.transpose(1, 2)  # (B, T, T), ones on the diagonal
    return gradients, (cosines.sum(dim=(1, 2)).mean().item() - T) / (T * (T - 1))

# %%
LOOKS, inside, norm_losses = (0, 5, 40), {}, {}
for where in ("pre", "post"):

    def watch(trainer, event, where=where):
        if trainer.step in LOOKS and (where, trainer.step) not in inside:
            inside[where, trainer.step] = look_inside(trainer.model)

    deep, recipe = (
        gpt2_like(16, 32, 4, 32, norm_position=where),
        dict(schedule="wsd", final_lr=1.0),
    )
    norm_losses[f"{where}-norm"] = train_small(
        deep, 40, 1e-2, callbacks=[watch], **recipe
    )[1]
    alike = ", ".join(f"{inside[where, s][1]:.2f} at step {s}" for s in LOOKS)
    print(f"{where}-norm: mean cosine between positions, last block: {alike}")

# %% [markdown]
# **Look for** the vertical scale of the right panel: it is logarithmic. Follow one curve from the last block (right) to the first (left).

# %%
counts = torch.bincount(train_tokens).double()  # how often each token occurs
letter_loss = -(counts / counts.sum())[report_tokens].log().mean().item()
gradients = {
    f"{where}, step {step}": inside[where, step][0]
    for where in ("pre", "post")
    for step in (0, 40)
}
first = {key: values[0][0] for key, values in inside.items()}

# %% tags=["figure"]
fig, (left, right) = panels(2, titles=["training loss (nats)", "gradient norm"], width=7.6)
curves(norm_losses, x="step", reference={"letter frequencies": letter_loss}, ylim=(2.5, 4.5), ax=left)
curves(gradients, at=range(1, 17), x="block", log="y", ax=right)
show(fig, alt=f"Left: the pre-norm loss passes below the letter frequencies at {letter_loss:.2f} nats, post-norm stays there. Right: before training gradients are near {first['pre', 0]:.1f} "
     f"in every block; after 40 steps the first block gets {first['pre', 40]:.0e} with pre-norm and {first['post', 40]:.0e} with post-norm.")

# %% [markdown]
# Three things to notice.
#
# - **Before training there is little to see here.** The two curves of step 0 are of one size, and a check of gradients at initialisation would have passed. (Xiong et al., 2020, prove that post-norm's gradients *near the output* are large at initialisation, and argue for a warm-up from that. In our models, of 16 blocks and width 32, the difference is small.)
# - **After five large steps, in both models, all positions carry nearly the same vector.** Our reading: the first steps of Adam are equally large for every weight, and they add up over sixteen blocks.
# - **One of them gets out of it.** Our reading of the right panel: in pre-norm, the sum $x + \dots + \dots$ carries the gradient back to every block, and the model recovers. In post-norm each block passes on a fraction of what it receives, and at the first of sixteen blocks next to nothing arrives. The loss sits at the letter frequencies. Does it only need more time? A control, printed below, gave it 400 steps.

# %%
poll(
    "Your post-norm model of 16 layers sits at the letter-frequency loss. Its "
    "gradients "
    "at initialisation look healthy. What would you try first?",
    options=[
        "a smaller learning rate for the first steps",
        "train it ten times longer",
        "a larger learning rate, to get out of the hole",
        "more attention heads",
    ],
    explanation="The damage was done in the first few updates, and the early blocks "
                "hardly "
    "receive a gradient any more: more than twice the steps change nothing (the "
    "control "
    "below), a larger rate makes it worse, and the number of heads was the same in "
    "both "
    "arrangements. With small first steps (warm-up) five of nine runs learn below, "
    "without them two; with the norm moved, all do.",
)

# %% [markdown]
# **Warm-up** means that the learning rate starts at zero and grows over the first steps. How general is this? *Recorded, three seeds:* depth 2 to 16, three learning rates, the same number of steps for all, judged on the report text. **Predict** at which depth post-norm first fails at a rate of 0.01.

# %%
sweep = recorded("modern_llm_depth")["results"]["rows"]
RATES = sorted({row["lr"] for row in sweep})
depth_loss = {(row["arm"], row["layers"], row["lr"]): row["report"] for row in sweep}
NAMES = {"pre": "pre-norm", "post": "post-norm"}


def by_depth(arm, lr):
    """(seeds, depths) report loss."""
    return np.array([depth_loss[arm, layers, lr] for layers in (2, 4, 8, 16)]).T


for arm in ("post, warm-up", "post, 400 steps"):
    rows = {lr: losses for (a, _, lr), losses in depth_loss.items() if a == arm}
    for lr, losses in rows.items():
        print(
            f"{arm}, 16 layers, rate {lr:g}:",
            ", ".join(f"{loss:.2f}" for loss in losses),
        )

# %% tags=["figure"]
fig, axes = panels(3, titles=[f"rate {lr:g}" for lr in RATES], width=7.6, share_y=True)
for ax, lr in zip(axes, RATES):
    curves({NAMES[arm]: by_depth(arm, lr) for arm in NAMES}, at=[2, 4, 8, 16], x="layers", y="report loss (nats)" if ax is axes[0] else "",
           reference={"letters": letter_loss}, labels=ax is axes[2], ylim=(2.4, 3.5), ax=ax)
show(fig, alt="Report loss against depth for three learning rates, 3 seeds. " + " ".join(f"At rate {lr:g} and 16 layers: pre-norm {np.mean(depth_loss['pre', 16, lr]):.2f}, post-norm {np.mean(depth_loss['post', 16, lr]):.2f}." for lr in RATES))

# %% [markdown]
# At two layers the two arrangements are close, with pre-norm a little ahead. Then post-norm falls off the edge, and the deeper, the sooner: at a rate of 0.03 with four layers (one seed of three already with two), at 0.01 with eight, on all three seeds; at 0.003 with sixteen one seed of three falls. It falls onto the *same* line nearly every time, the letter frequencies, and 400 steps instead of 150 do not bring it back. Pre-norm pays for too large a rate with a worse loss, but it keeps learning everywhere in these panels. Warm-up (printed above, 16 layers) rescues post-norm at 0.003 on all seeds and at 0.01 on two of three; at 0.03 it does not.
#
# Two honest remarks. At its best learning rate a *shallow* post-norm model is nearly as good, so the old arrangement was no mistake in 2017, at six layers and with a warm-up. And depth itself buys nothing here: after 150 steps, two or four layers are the best.

# %% [markdown]
# ## III. RMSNorm: LayerNorm without the mean (*optional*)
#
# LayerNorm subtracts the mean of a vector, divides by its standard deviation, scales and shifts. RMSNorm (Zhang and Sennrich, 2019) only divides by the root mean square, and scales: $x / \sqrt{\tfrac{1}{d}\sum_i x_i^2 + \varepsilon}\; \cdot g$. The paper's argument is time: fewer passes over the data, running time reduced by 7 to 64 % in its experiments, with comparable quality. The slide says "for stability"; we will come back to that.

# %%
def rms_norm(x, gain, eps=1e-5):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * gain


def layer_norm(x, gain, shift, eps=1e-5):
    centred = x - x.mean(-1, keepdim=True)
    return (
        centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + eps) * gain
        + shift
    )


from llmlib.model import RMSNorm

x, library_norm = torch.randn(4, 7, 64) + 0.5, RMSNorm(64)
torch.testing.assert_close(rms_norm(x, library_norm.weight), library_norm(x))
one, zero = torch.ones(64), torch.zeros(64)
torch.testing.assert_close(layer_norm(x, one, zero), nn.LayerNorm(64)(x))
centred = x - x.mean(-1, keepdim=True)
torch.testing.assert_close(rms_norm(centred, one), layer_norm(x, one, zero))

# %% [markdown]
# The last line says precisely what is lost: on a vector of mean zero the two are the same function. By hand: $(3, 4, 0, 0)$ has the root mean square $\sqrt{25/4} = 2.5$, so RMSNorm makes it $(1.2, 1.6, 0, 0)$; LayerNorm first subtracts the mean $1.75$, divides by $1.79$, and turns the two zeros into $-0.98$. Now the time, forward and backward, in two versions each: written out as above, and as a single operation of PyTorch.
#
# **Predict:** is RMSNorm always the faster one?

# %%
def least_times(functions, rounds=15):
    """Least seconds of each function over some rounds, taken in turns."""
    least = dict.fromkeys(functions, math.inf)
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            least[name] = min(least[name], time.perf_counter() - start)
    return least

# %%
def timed_norms(d, rows=256):
    x, out = torch.randn(rows, d, requires_grad=True), torch.randn(rows, d)
    gain, shift = torch.ones(d, requires_grad=True), torch.zeros(d, requires_grad=True)
    forward = {
        "LayerNorm, written out": lambda: layer_norm(x, gain, shift),
        "RMSNorm, written out": lambda: rms_norm(x, gain),
        "LayerNorm, one operation": lambda: F.layer_norm(x, (d,), gain, shift),
        "RMSNorm, one operation": lambda: F.rms_norm(x, (d,), gain, 1e-5),
    }
    return least_times({n: lambda f=f: f().backward(out) for n, f in forward.items()})


norm_times = {d: timed_norms(d) for d in (64, 256, 1024)}
norm_ratio = {
    kind: {
        d: t[f"RMSNorm, {kind}"] / t[f"LayerNorm, {kind}"]
        for d, t in norm_times.items()
    }
    for kind in ("written out", "one operation")
}

# %% tags=["figure"]
bars({f"width {d}": {kind: ratios[d] for kind, ratios in norm_ratio.items()} for d in norm_times}, x="time of RMSNorm / time of LayerNorm, forward and backward",
     fmt=".1f", reference={"equal": 1}, height=2.6, alt="Time of RMSNorm over that of LayerNorm. " + " ".join(f"{kind.capitalize()}: " + ", ".join(
     f"{r:.1f} at width {d}" for d, r in ratios.items()) + "." for kind, ratios in norm_ratio.items()))

# %% [markdown]
# Written out in the same way, RMSNorm needs two thirds of the time or less. As a single operation the picture is reversed on the machine that made this page: PyTorch's LayerNorm has a hand-written kernel for the CPU, while its RMSNorm is assembled from small steps, like ours, and takes as long as ours. Fewer operations are an opportunity; it takes a kernel to collect it. (Your numbers may differ, above all on a GPU, and either way a norm is a small part of a model's time.)
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
    learned(report_tokens[None, :65])
except ValueError as error:
    print(error)

# %% [markdown]
# There is no row 65, and no training text could teach one without being longer. There is a second weakness, harder to see: the model has to learn separately that "the previous character" means the same thing at position 7 and at position 50. What matters in a text is mostly *how far apart* two tokens are. So let us ask for a score $q_m \cdot k_n$ in which the positions $m$ and $n$ appear only as $m - n$.
#
# In two dimensions there is a well-known operation of this kind: turning. Turn $q$ by the angle $m\theta$ and $k$ by $n\theta$. Turning both by the same angle changes no dot product, so only the difference is left:
#
# $$\big(R_{m\theta}\, q\big) \cdot \big(R_{n\theta}\, k\big) \;=\; q^\top R_{m\theta}^\top R_{n\theta}\, k \;=\; q^\top R_{(n-m)\theta}\, k .$$
#
# By hand: $q = k = (1, 0)$ and $\theta = 90°$. At positions 3 and 2 they are turned to $(0, -1)$ and $(-1, 0)$, with score 0; at positions 1 and 0 to $(0, 1)$ and $(1, 0)$, score 0 again: one step apart is a right angle, wherever the pair stands.
#
# Move both positions by the same amount, and watch the angle between the arrows.

# %% tags=["diagram"]
def turned_arrows(query_at, key_at, theta=0.35):
    fig, ax = plt.subplots(figsize=(3.5, 3.1))
    ends = []
    for vector, position, colour, name in (((1.0, 0.2), query_at, "#0072B2", "query"), ((0.9, 0.7), key_at, "#D55E00", "key")):
        c, s = math.cos(position * theta), math.sin(position * theta)
        end = np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])
        ax.annotate("", vector, (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "alpha": 0.3, "lw": 2})
        ax.annotate("", end, (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "lw": 3})
        ax.text(*(1.2 * end), name, color=colour, ha="center", va="center")
        ends.append(end)
    ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", xlabel="first coordinate", ylabel="second")
    ax.set_title(f"query at {query_at}, key at {key_at}: {ends[0] @ ends[1]:.2f}", fontsize=12)
    return fig


explore(turned_arrows, query_at=(0, 20, 1), key_at=(0, 20, 1), panels=[dict(query_at=5, key_at=3), dict(query_at=14, key_at=12), dict(query_at=14, key_at=3)],
        alt="Two arrows, pale before and strong after turning. Query and key two positions apart have the same score at 5 and 3 as at 14 and 12; at 14 and 3 another.")

# %% [markdown]
# A head has more than two coordinates, so RoPE (*rotary position embedding*, Su et al., 2021) pairs them up and turns pair $i$ at its own speed, $\theta_i = 10000^{-2i/d}$: at $d = 64$ the first pair goes round once in six tokens, the last needs some 47,000. Nothing is learned, nothing is added to the stream; queries and keys are turned just before the dot product, in every layer. Values are left alone.

# %%
def rope(x, positions, theta=10_000.0, layout="half"):
    """Turn pair i by positions / theta^(2i/d). x: (..., T, d); positions: (T,)."""
    d = x.size(-1)
    angle = positions[:, None] / theta ** (torch.arange(0, d, 2) / d)  # (T, d/2)
    cos, sin = angle.cos(), angle.sin()
    if layout == "half":  # pair i is coordinates i and i + d/2
        a, b = x[..., : d // 2], x[..., d // 2 :]
    else:  # "interleaved": 2i and 2i + 1
        a, b = x[..., 0::2], x[..., 1::2]
    a, b = a * cos - b * sin, a * sin + b * cos
    return (
        torch.cat([a, b], -1)
        if layout == "half"
        else torch.stack([a, b], -1).flatten(-2)
    )


from llmlib.model import apply_rope

q, k, positions = torch.randn(2, 3, 10, 16), torch.randn(2, 3, 10, 16), torch.arange(10)
for layout in ("half", "interleaved"):
    at = lambda x, places, layout=layout: rope(x, places, layout=layout)
    torch.testing.assert_close(
        at(q, positions), apply_rope(q, positions, layout=layout)
    )
    scores = at(q, positions) @ at(k, positions).transpose(-2, -1)
    moved = at(q, positions + 500) @ at(k, positions + 500).transpose(-2, -1)
    torch.testing.assert_close(scores, moved, atol=1e-3, rtol=1e-3)  # moved alike

# %% [markdown]
# **Look for** what the speeds do together. Take a key that equals its query, with pairs of equal length: every pair contributes $\cos(\text{distance} \cdot \theta_i)$. What would happen if all pairs turned at the same speed?

# %% tags=["diagram"]
def score_by_distance(base, head_dim):
    distance, speeds = np.arange(0, 129), base ** (-np.arange(0, head_dim, 2) / head_dim)
    fig, ax = plt.subplots(figsize=(3.5, 2.4))
    ax.plot(distance, np.cos(distance[:, None] * speeds).mean(axis=1), linewidth=1.5)
    ax.set(xlabel="distance (tokens)", ylabel="score / score at 0", ylim=(-1.05, 1.05))
    ax.set_title(f"base {base:,}, head of {head_dim}", fontsize=12)
    return fig


explore(score_by_distance, base=[1, 100, 10_000, 100_000, 500_000], head_dim=[2, 8, 32, 64, 128],
        panels=[dict(base=1, head_dim=64), dict(base=10_000, head_dim=64), dict(base=500_000, head_dim=64)],
        alt="Score of a query with an equal key against their distance. With all pairs at one speed it swings between 1 and -1; with base 10,000 it falls with distance, wavering; with base 500,000 it falls more slowly.")

# %% [markdown]
# With one speed the score cannot tell distance 0 from a full turn. With speeds from fast to slow it is like the hands of a clock: the fast hand separates neighbours, the slow ones separate paragraphs. A larger base slows the slow hands further, which is what long-context models do: Llama 2 uses 10,000, SmolLM2 100,000, Llama 3 500,000.
#
# ### Two layouts, one function (*optional*)
#
# Which coordinates form a pair is a convention. The paper takes neighbours (0,1), (2,3), …, and so do Meta's own Llama checkpoints; Hugging Face's conversion of them, which most programs load, takes halves, $(0, d/2), (1, d/2+1), \dots$ Neither is better: a reordering of the rows of $W_q$ and $W_k$ turns one into the other. But a file written for one and read with the other gives a model that runs and babbles.

# %%
from llmlib.model import permute_rope_rows

n_heads, d_head = 3, 16
Wq, Wk, x = torch.randn(48, 48), torch.randn(48, 48), torch.randn(10, 48)


def scores_with(Wq, Wk, layout):
    q, k = ((x @ W.T).view(10, n_heads, d_head).transpose(0, 1) for W in (Wq, Wk))
    q, k = rope(q, positions, layout=layout), rope(k, positions, layout=layout)
    return q @ k.transpose(-2, -1)


halves = scores_with(Wq, Wk, "half")
reordered = [permute_rope_rows(W, d_head, to="interleaved") for W in (Wq, Wk)]
torch.testing.assert_close(
    halves, scores_with(*reordered, "interleaved"), atol=1e-3, rtol=1e-3
)
assert (halves - scores_with(Wq, Wk, "interleaved")).abs().max() > 1  # wrong layout
order = permute_rope_rows(torch.arange(16), 16, to="interleaved")
print("rows of a head, half -> interleaved:", order.tolist())

# %% [markdown]
# ### Beyond the trained length
#
# Formulas have no last row, so RoPE *can* be computed at position 65. Does the model make sense there? *Recorded, three seeds:* two-layer models trained on windows of 64 characters, read on windows of 256. (The learned table gets 256 rows for this, of which training reaches the first 64.) **Predict** the order of the four curves at position 200.

# %%
beyond = recorded("modern_llm_positions")["results"]
LABELS = {
    "learned": "learned table",
    "none": "no positions",
    "rope": "RoPE",
    "rope, slower": "RoPE, slowed when read",
}
centres = (np.arange(32) + 0.5) * beyond["read_at"] / 32
position_curve = {  # (seeds, 32) each
    label: np.array(beyond["curves"][name]) for name, label in LABELS.items()
}
in_and_out = {
    label: (curve[:, 4:8].mean(), curve[:, 24:].mean())
    for label, curve in position_curve.items()
}
for label, (inner, outer) in in_and_out.items():
    print(f"{label:24} {inner:.2f} nats at 33 to 64, {outer:.2f} at 193 to 256")

# %% tags=["figure"]
curves(position_curve, at=centres, x="position in the window (characters); trained up to 64", y="report loss (nats)", height=3.3,
       alt="Loss by position in windows four times as long as those trained on. From positions 33 to 64, and 193 to 256: " + " ".join(
       f"{label} {a:.2f} and {b:.2f}." for label, (a, b) in in_and_out.items()))

# %% [markdown]
# Inside the trained length, RoPE has the lowest loss, which the slide does not even mention. Our guess at the reason: it learns "the character before" once, for all positions, which a short training rewards.
#
# Beyond it, look at *how* each one fails. The learned table jumps at character 65 and does not recover: those rows are still random. The model without any positions does not notice the border. (It is not blind to order either: through the causal mask a second layer can tell early positions from late ones, as lecture 03 shows.)
#
# RoPE crosses the border smoothly and then *rises*, differently for each seed: it meets angles that no training pair had. Being computable is not being trained. The fourth curve is a common repair: the same weights, read with a larger base, so that the slow hands of the clock turn through angles they know. It costs a little inside and saves most of the loss outside. This is known as NTK-aware scaling; Code Llama raised the base to a million and trained on (Rozière et al., 2023). Chen et al. (2023) instead shrink the *positions*, and Peng et al. (2023) mix the two.
#
# (The recording also holds the first Transformer's sinusoids. They are left out of the picture: with entries as large as 1 they drown our small token vectors, a handicap that the original avoided by multiplying those by $\sqrt{d_\text{model}}$.)
#
# A small live version, one seed, two fifths of the steps, windows half as long:

# %%
@torch.no_grad()
def loss_in_and_out(model, trained_on=32, read_at=128):
    """Loss in the second half of the trained length, and far beyond it."""
    windows = report_tokens[: 100 * read_at + 1]
    x, y = windows[:-1].view(100, read_at), windows[1:].view(100, read_at)
    losses = F.cross_entropy(model(x).transpose(1, 2), y, reduction="none").mean(0)
    inside, outside = losses[trained_on // 2 : trained_on], losses[read_at // 2 :]
    return inside.mean().item(), outside.mean().item()


for position in ("learned", "rope"):
    config = gpt2_like(2, 48, 4, 128, position=position)
    model, _ = train_small(config, 120, 6e-3, warmup_steps=10)
    inner, outer = loss_in_and_out(model)
    print(
        f"{position:8} {inner:.2f} nats inside the trained 32, {outer:.2f} at 65 to 128"
    )

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
matrices = [part.weight for part in (layer.gate_proj, layer.up_proj, layer.down_proj)]
torch.testing.assert_close(swiglu(x, *matrices), layer(x))

# %% tags=["figure"]
z = torch.linspace(-4, 2, 121)
curves({"ReLU": F.relu(z), "GELU": F.gelu(z), "swish, β = 1": F.silu(z), "swish, β = 10": z * torch.sigmoid(10 * z)}, at=z, x="z", y="activation", height=2.6,
       alt="ReLU, GELU and swish against z: all rise for positive z and are near zero for large negative z; GELU and swish dip below zero between; swish with beta 10 is close to ReLU.")

# %% [markdown]
# Four bends, and little between them: the dip below zero is what distinguishes GELU and swish from ReLU. In SwiGLU this curve scales the other branch: where the gate is strongly negative, nothing passes, whatever the other branch says.
#
# **A fair comparison needs equal parameters.** SwiGLU has three matrices where GELU has two, so its hidden width must be two thirds: $4d \to \tfrac{8}{3}d$. At $d = 48$ that is 192 and 128. Leave this out and SwiGLU wins by being larger.
#
# *Recorded:* starting from GPT-2's recipe we make one change at a time, each at four learning rates (the same four for everyone) and three seeds. Each contender's rate is chosen on the choose text, and the difference from the start is shown on the report text. **Predict:** which changes will be visible above the noise of three seeds?

# %%
rows = recorded("modern_llm_changes")["results"]["rows"]
chosen = {}                             # each contender at its own best learning rate
for row in rows:
    old = chosen.get(row["change"])
    if old is None or np.mean(row["choose"]) < np.mean(old["choose"]):
        chosen[row["change"]] = row
start = np.array(chosen.pop("GPT-2's recipe")["report"])
gain = {}  # mean, half of the 95 % interval (t, 2 degrees of freedom)
for name, row in chosen.items():
    paired = np.array(row["report"]) - start            # same seed, same batches
    gain[name] = paired.mean(), 4.30 * paired.std(ddof=1) / 3**0.5

# %% tags=["figure"]
bars({f"{name} ({chosen[name]['parameters']:,})": mean for name, (mean, _) in gain.items()}, errors={f"{name} ({chosen[name]['parameters']:,})": half for name, (_, half) in gain.items()},
     x="report loss against GPT-2's recipe (nats); left is better", fmt="+.3f", height=3.0, alt="Difference in report loss from GPT-2's recipe with "
     "95 % intervals over three seeds. " + " ".join(f"{n}: {m:+.3f} ± {h:.3f}." for n, (m, h) in gain.items()))

# %% [markdown]
# One effect is plain to see, and it is not a matter of activation functions: **RoPE** gains a fifth of a nat or so, and everything Llama does together gains about what RoPE gains. ReLU against GELU against SwiGLU, LayerNorm against RMSNorm, six key heads against two: all within a hundredth or two of the start, with intervals that include zero. This is a null result, and we publish it as one. Shazeer reports a few hundredths of a nat for SwiGLU over GELU, in a model some 2,500 times larger (T5's base size) and trained far longer; three layers and 240 steps say nothing about that. Shazeer himself offers no explanation and attributes the success of such gates, "as all else, to divine benevolence".
#
# For two of the changes a null result is what one hopes for. RMSNorm and grouped queries are there to *save* something; the question was whether they cost anything, and here we cannot see that they do.
#
# The live version, one seed and 40 steps, so only the largest effect has a chance of showing; that SwiGLU ends above or below GELU here means nothing:

# %%
LIVE = {
    "GPT-2's recipe": {},
    "SwiGLU": dict(mlp="swiglu", d_ff=128),
    "RoPE": dict(position="rope"),
}
for name, changes in LIVE.items():
    config = gpt2_like(2, 48, 6, 32, **changes)
    _, losses = train_small(config, 40, 6e-3, warmup_steps=10)
    print(
        f"{name:15} {count_parameters(config):7,} parameters, "
        f"training loss at the end {np.mean(losses[-10:]):.2f} nats"
    )

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

print("in 16 bits      key heads   bytes per token   8,192 tokens   if every head had "
      "its own")
cache_bytes = {}
for name in ("llama2-7b", "llama2-13b", "llama2-70b", "smollm2-135m"):
    c = preset(name)
    by_hand = 2 * c.n_layers * c.n_kv_heads * c.head_dim * 2
    assert by_hand == kv_bytes_per_token(c, torch.float16)
    full = kv_bytes_per_token(c.replace(n_kv_heads=c.n_heads), torch.float16)
    cache_bytes[name] = by_hand, full
    now, before = by_hand * 8192 / 2**30, full * 8192 / 2**30
    print(f"{name:12} {c.n_kv_heads:5} of {c.n_heads:2} {by_hand:17,} {now:10.2f} GiB "
          f"{before:10.2f} GiB")

# %% tags=["diagram"]
d = Diagram(12, 3.2)
for x0, n_keys, name in ((0.1, 8, "multi-head"), (4.3, 2, "grouped"), (8.4, 1, "multi-query")):
    queries = [d.box(x0 + 0.22 + 0.42 * i, 2.5, "", w=0.34, h=0.5, color="blue") for i in range(8)]
    keys = [d.box(x0 + 0.22 + 0.42 * (8 / n_keys * (j + 0.5) - 0.5), 1.0, "", w=0.34, h=0.5, color="orange") for j in range(n_keys)]
    for i, query in enumerate(queries):
        d.arrow(query, keys[i * n_keys // 8])
    d.label(x0 + 1.7, 0.3, f"{name}: {n_keys} key head{'s' if n_keys > 1 else ''}", size=11)
d.label(6.0, 3.0, "8 query heads each", size=11)
d.show(alt="Eight query heads. Multi-head: each has a key head of its own. Grouped: four share one. Multi-query: all share one.")

# %% [markdown]
# Twenty gibibytes for one conversation, and a server wants to hold dozens at once. Grouped-query attention (Ainslie et al., 2023) lets several query heads share one key head and one value head: eight for 64 in Llama-2-70B. Its cache is then *smaller than that of the 7B model*, which has no grouping. (Llama 2 was trained for 4,096 tokens; the slide's "long contexts" is about what the cache costs, not about what the model has learned to read.)
#
# In code it is one line, with one trap in it:

# %%
def grouped_attention(q, k, v, mask):
    """q (B, H, T, d), k, v (B, K, S, d): query heads 0 to H/K-1 share key head 0."""
    n_shared = q.size(1) // k.size(1)
    k, v = k.repeat_interleave(n_shared, dim=1), v.repeat_interleave(n_shared, dim=1)
    scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1) @ v


from llmlib.model import causal_mask, plain_attention

q, k, v = torch.randn(2, 6, 5, 8), torch.randn(2, 2, 5, 8), torch.randn(2, 2, 5, 8)
ours, (theirs, _) = (
    grouped_attention(q, k, v, causal_mask(5)),
    plain_attention(q, k, v, causal=True),
)
torch.testing.assert_close(ours, theirs)
print("repeat_interleave:", torch.arange(2).repeat_interleave(3).tolist())
print("repeat:           ", torch.arange(2).repeat(3).tolist())

# %% [markdown]
# `repeat` instead of `repeat_interleave` gives the right shapes and assigns the query heads to the wrong keys. A model *trained* that way should not mind, since heads are interchangeable at the start. A model trained elsewhere, loaded into such code, is ruined; part VIII shows how it sounds.
#
# How much memory your own chat would need: **move the context and the number of users.**

# %% tags=["diagram"]
def cache_calculator(model, context, users):
    c = preset(model)
    weights = count_parameters(c) * 2 / 1e9
    heads = {"each its own": c.n_heads, "as released": c.n_kv_heads, "one for all": 1}
    sizes = {name: kv_bytes_per_token(c.replace(n_kv_heads=n), torch.float16) * context * users / 1e9 for name, n in heads.items()}
    fig, ax = plt.subplots(figsize=(3.5, 2.6))
    drawn = ax.barh(["weights", *sizes], [weights, *sizes.values()], color=["#999999", "#D55E00", "#0072B2", "#009E73"])
    ax.bar_label(drawn, [f"{size:.3g}" for size in (weights, *sizes.values())], fontsize=11, padding=4,
                 bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    ax.axvline(80, color="0.3", linestyle=":")
    ax.set(xlabel="GB in 16 bits", xlim=(0, 1.3 * max(90, weights, *sizes.values())))
    ax.invert_yaxis()
    ax.set_title(f"{model}, {users} x {context:,} tokens", fontsize=10.5)
    return fig


explore(cache_calculator, model=["llama2-70b", "llama2-13b", "llama2-7b", "gpt3", "smollm2-135m"], context=[1024, 4096, 8192, 32768, 131072], users=[1, 4, 16, 64],
        panels=[dict(model="llama2-7b", context=8192, users=16), dict(model="llama2-70b", context=8192, users=16)],
        alt="Bars of memory in gigabytes for weights and three kinds of cache, with a dotted line at 80 GB, the size of one large accelerator. For Llama-2-70B with 16 users "
        "of 8,192 tokens full multi-head attention needs 344 GB, grouped queries 43, one shared head 5.")

# %% [markdown]
# The dotted line is one large accelerator of 80 GB. With every head on its own keys, sixteen users would need more memory for their conversations than for the 70B model itself.
#
# ### Measured
#
# Memory that is not there also does not have to be *read*. For each new token the whole cache passes through the processor once. Here are four versions of one small model with 8 query heads; only the number of key heads differs. **Predict** how the time per token changes from 8 to 1 key heads with 512 tokens in the cache, and with 8,192.

# %%
wide = ModelConfig(
    vocab_size=64, n_layers=2, d_model=512, n_heads=8, d_ff=1024, max_seq_len=16384
)


def decoder_step(key_heads, past):
    """A function that decodes one token after `past` others, all of them random."""
    config = wide.replace(n_kv_heads=key_heads)
    model, token = Transformer(config).eval(), torch.tensor([[5]])
    k, v = torch.randn(2, config.n_layers, 1, key_heads, past, config.head_dim)
    cache = KVCache.with_prefix(config, k, v, max_len=past + 200)

    @torch.inference_mode()
    def step():
        return model(token, cache=cache)

    step()  # the first call takes the memory
    return step


decode_ms = {}
for past in (512, 8192):
    functions = {heads: decoder_step(heads, past) for heads in (8, 4, 2, 1)}
    decode_ms[past] = {h: 1e3 * s for h, s in least_times(functions, rounds=60).items()}
gqa_speed = {past: ms[8] / ms[1] for past, ms in decode_ms.items()}
for past, ratio in gqa_speed.items():
    print(f"after {past:5,} tokens: 8 key heads take {ratio:.1f} times as long as 1")

# %% tags=["figure"]
bars({f"{past:,} in the cache": {f"{heads} key head{'s' * (heads > 1)}": ms for heads, ms in row.items()} for past, row in decode_ms.items()}, x="ms for one token", fmt=".1f", height=2.9,
     alt="Milliseconds for one token. " + " ".join(f"With {past:,} in the cache: " + ", ".join(f"{heads} key heads {ms:.1f}" for heads, ms in row.items()) + "." for past, row in decode_ms.items()))

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
    """Logits (B, T, V) of the Llama with weights w and config c for ids (B, T).

    cache: an empty list at first; afterwards one (keys, values) per layer.
    """
    past, (B, T) = cache[0][0].size(2) if cache else 0, ids.shape
    positions = torch.arange(past, past + T)  # not from 0: `past` tokens came before
    mask = positions[:, None] >= torch.arange(past + T)  # (T, past + T)
    x = w["token_embedding.weight"][ids]
    for i in range(c.n_layers):
        part = lambda name, i=i: w[f"blocks.{i}.{name}.weight"]
        h = rms_norm(x, part("norm1"), c.norm_eps)
        q, k, v = (h @ part(f"attention.{n}_proj").T for n in "qkv")
        q, k, v = (t.view(B, T, -1, c.head_dim).transpose(1, 2) for t in (q, k, v))
        q, k = (rope(t, positions, c.rope_theta, layout) for t in (q, k))
        if cache is not None:
            if past:
                k, v = (
                    torch.cat([cache[i][0], k], dim=2),
                    torch.cat([cache[i][1], v], dim=2),
                )
            cache[i : i + 1] = [(k, v)]
        mixed = grouped_attention(q, k, v, mask).transpose(1, 2).reshape(B, T, -1)
        x = x + mixed @ part("attention.o_proj").T
        h = rms_norm(x, part("norm2"), c.norm_eps)
        x = x + swiglu(h, *(part(f"mlp.{n}_proj") for n in ("gate", "up", "down")))
    return (
        rms_norm(x, w["final_norm.weight"], c.norm_eps) @ w["token_embedding.weight"].T
    )

# %%
config = ModelConfig(
    vocab_size=64,
    n_layers=3,
    d_model=96,
    n_heads=6,
    n_kv_heads=2,
    max_seq_len=2048,
    init_std=0.15,
)  # large weights: heads with opinions
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
# So keep them, and feed only the new token. **Step through** five tokens: orange is computed now, blue is read from the cache, and grey is what a model without a cache would compute again.

# %% tags=["diagram"]
def cache_frame(t):
    d = Diagram(6, 3.2)
    for i, token in enumerate("to be or not to".split()[:t]):
        new = i == t - 1
        d.box(0.7 + 1.1 * i, 2.6, token, w=0.95, h=0.55, color="orange" if new else "grey", dashed=not new, size=11)
        d.box(0.7 + 1.1 * i, 1.7, "k, v", w=0.95, h=0.55, color="orange" if new else "sky", size=11)
    query = d.box(0.7 + 1.1 * (t - 1), 0.6, "q", w=0.6, h=0.5, color="orange", size=11)
    for i in range(t):
        d.arrow(query, (0.7 + 1.1 * i, 1.4))
    return d


steps([cache_frame(t) for t in range(1, 6)], panels=[1, 3], name="token", start=1,
      alt=[f"Token {t}: its own key and value are computed, those of the {t - 1} tokens before are read from the cache, and one query looks at all of them." for t in range(1, 6)])

# %% [markdown]
# One new column a token, whatever the length. That is what the few lines with `cache` do, and there is a property to test: **however we cut the input into pieces, the logits must be those of the whole.** Reading a long prompt piece by piece is called *chunked prefill*; servers do it so that one long prompt does not hold up everybody else.

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
    pieces = [
        library_model(p, cache=library_cache) for p in ids.split([12, 7, 1], dim=1)
    ]
torch.testing.assert_close(
    torch.cat(pieces, dim=1), whole
)  # the library keeps the promise

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
    square = torch.ones(q.size(2), k.size(2), dtype=torch.bool).tril()
    return right_attention(q, k, v, square)

# %%
def repeated(q, k, v, mask):
    n = q.size(1) // k.size(1)
    return right_attention(q, k.repeat(1, n, 1, 1), v.repeat(1, n, 1, 1), mask)


MISTAKES = {
    "positions restart at 0": {"rope": restart_at_zero},
    "mask aligned top-left": {"grouped_attention": top_left},
    "repeat for repeat_interleave": {"grouped_attention": repeated},
}
CUTS = {"whole": [20], "12, then one by one": [12] + [1] * 8, "chunks of 5": [5] * 4}
def errors_with(replacement):
    with patch.dict(globals(), replacement):    # llama() now calls the mistaken version
        return {name: in_pieces(ours, ids, cut) - whole for name, cut in CUTS.items()}


cache_errors = []
for mistake, replacement in MISTAKES.items():
    errors = errors_with(replacement)
    shares = {
        name: f"{100 * (error.std() / whole.std()).item():.0f} %"
        for name, error in errors.items()
    }
    cache_errors.append({"mistake": mistake} | shares)

# %% tags=["figure"]
table(cache_errors, caption="Error of the logits, in percent of their spread.")

# %% [markdown]
# The two cache mistakes give *exactly* the right logits when the text is read whole: that is how training and most tests read it. They show only when there is something in the cache. The mask aligned top-left lets the first new token see only the very first old one, and the single new token of ordinary writing is always "the first". With positions that restart, all new tokens stand at the beginning of the text. Wrong heads are wrong always, so that at least a comparison with the published model finds them.
#
# A test that feeds one sequence in several pieces, and compares, catches all of this. Lab 04 grades with it.

# %%
poll("In a cached model with rotary positions, which of these must be stored in the "
     "cache?",
     options=["keys (already turned) and values of all earlier tokens",
              "keys, values and queries of all earlier tokens",
              "the last layer's output for each earlier token, and nothing else",
              "the attention weights of all earlier tokens"],
     explanation="A new token asks with its own query; earlier queries have been "
                 "answered and "
     "are not needed again, and neither are their weights. Every layer attends to "
     "that layer's "
     "own keys and values, so the last layer's output is not enough. Keys can be "
     "stored turned, "
     "because a token's position does not change when text is added behind it; what "
     "matters "
     "is the difference to the new query's position.")

# %% [markdown]
# ### What it buys
#
# Without a cache, the token at position $t$ costs a pass over $t$ tokens; with one, a pass over a single token plus a look at $t$ stored keys. **Predict** the speed-up at 1,024 tokens. It cannot exceed 1,024; why will it be less?

# %%
shape = ModelConfig(
    vocab_size=64, n_layers=4, d_model=192, n_heads=6, n_kv_heads=2, max_seq_len=2048
)
timing_model = Transformer(shape).eval()


@torch.inference_mode()
def next_logits(ids, cache=None):
    return timing_model.head(timing_model.hidden(ids, cache=cache)[:, -1])


def time_next_token(t):
    """Seconds for one more token after t - 1 others, without and with a cache."""
    ids, cache = torch.randint(64, (1, t)), KVCache(shape, max_len=t + 200)
    next_logits(ids[:, :-1], cache)  # the prompt is read once
    return least_times(
        {
            "without a cache": lambda: next_logits(ids),
            "with a cache": lambda: next_logits(ids[:, -1:], cache),
        },
        rounds=7,
    )


contexts = [32, 64, 128, 256, 512, 1024]
timed = [time_next_token(t) for t in contexts]
per_token = {name: [1e3 * times[name] for times in timed] for name in timed[0]}
speedup = dict(zip(contexts, np.divide(*per_token.values())))
print("speed-up:", ", ".join(f"{s:.0f}x at {t:,}" for t, s in speedup.items()))

# %% tags=["figure"]
curves(per_token, at=contexts, x="tokens so far (log)", y="ms for the next token (log)", log="xy", height=2.8,
       alt="Time for the next token against the number of tokens so far. Without a cache it grows in proportion; with one it stays nearly level. Speed-up: "
       + ", ".join(f"{s:.0f} times at {t}" for t, s in speedup.items()) + ".")

# %% [markdown]
# The lower curve is nearly level: for a small model, attending to a thousand stored keys costs little next to the fixed work for one token. The upper one grows in proportion to the text. The ratio stays well below $t$, because a pass over 1,024 tokens uses the processor much better, per token, than a pass over one: big matrix products instead of matrix-vector products. For the same reason a chat model reads a prompt fast and writes slowly.

# %% [markdown]
# ## VIII. A real one
#
# SmolLM2-135M-Instruct (Allal et al., 2025) is a Llama: 30 thin layers, trained on two trillion tokens, then tuned to chat. It is small enough for a laptop. If it cannot be fetched, a tiny stand-in of our own takes its place, with a notice, and the cells below still run.

# %%
from llmlib.hub import is_stand_in, load_smollm2

smol, smol_tokenizer = load_smollm2(device="cpu")
real = not is_stand_in(smol)
smol_weights, smol_config = smol.state_dict(), smol.config
print(f"{smol.num_parameters():,} parameters, {smol_config.n_layers} layers, "
      f"d_model {smol_config.d_model}, {smol_config.n_heads} heads sharing "
      f"{smol_config.n_kv_heads} key heads, vocabulary {smol_config.vocab_size:,}")

# %% [markdown]
# ### What is in the file (*optional*)
#
# The weights came as one GGUF file, the format of the llama.cpp project: a list of facts about the model, a list of tensors, then the numbers. No code is stored in it and none is run to read it, unlike a pickle.

# %%
from collections import Counter

from llmlib.hub import GGUFFile

FACTS = [
    "general.architecture",
    "llama.block_count",
    "llama.embedding_length",
    "llama.attention.head_count_kv",
    "llama.rope.freq_base",
    "llama.context_length",
]

# %%
if real:
    with GGUFFile(fetch("smollm2")) as file:
        for key in FACTS:
            print(f"{key:32} {file.metadata[key]}")
        tensors = list(file.tensors.values())
        for tensor in tensors[:5]:
            bits = 8 * tensor.n_bytes / math.prod(tensor.shape)
            print(
                f"{tensor.name:28} {tensor.shape!s:14} {tensor.type:5} {bits:4.1f} "
                "bits a number"
            )
        total = (
            8
            * sum(t.n_bytes for t in tensors)
            / sum(math.prod(t.shape) for t in tensors)
        )
        q = file.read("blk.0.attn_q.weight")[0, :32]
    print("tensors by type:", dict(Counter(t.type for t in tensors)))
    print(
        f"{total:.2f} bits a number on average; the first 32 weights of a matrix "
        f"take {len(set(q.tolist()))} different values"
    )
else:
    print("The stand-in came with the course, not as GGUF.")

# %% [markdown]
# Most matrices are in 4 bits: groups of 32 weights share a scale and an offset, and each weight is one of 16 levels (lecture 15 takes this apart). The library unpacks them to ordinary numbers when loading. Note that the file stores query and key rows in the *interleaved* order of part IV, while our model turns halves: the loader reorders them.
#
# ### Did we load what we think we loaded?
#
# A model loaded slightly wrong does not crash; it gets slightly, or completely, worse. Four quick checks, none of them a proof: the number of parameters; the thirty lines you wrote against the library (which tests your code, not the loading); a fact that the model must know; and its surprise at a sentence, against the same words shuffled.

# %%
def perplexity(model, text):
    ids = torch.tensor([smol_tokenizer.encode(text)])
    with torch.no_grad():
        return F.cross_entropy(model(ids)[0, :-1], ids[0, 1:]).exp().item()


SENTENCE = "The cat sat on the mat and looked out of the window."
SHUFFLED = "Mat the on sat cat the and window the of out looked."
yours = lambda ids: llama(smol_weights, smol_config, ids)
ids = torch.tensor([smol_tokenizer.encode("The capital of France is")])
with torch.no_grad():
    torch.testing.assert_close(yours(ids), smol(ids), atol=2e-3, rtol=1e-3)
surprise = perplexity(yours, SENTENCE), perplexity(yours, SHUFFLED)
says = smol_tokenizer.decode([yours(ids)[0, -1].argmax().item()])
if real:
    assert smol.num_parameters() == 134_515_008 and says == " Paris"
    assert abs(surprise[0] - 46.3) < 1
print(f"your thirty lines: 'The capital of France is' ->{says!r}; "
      f"perplexity {surprise[0]:.1f}, shuffled {surprise[1]:,.0f}")

# %% [markdown]
# The function you wrote in part VII has just run a published model, and knows that the capital of France is Paris. (The comparison with an independent implementation, on many prompts, is in the tests.)
#
# Now the mistakes of this lecture, on a model that was trained by somebody else. **Predict** which of these mistakes the sentence about the cat will notice, and which need a longer text: here, a page of *Alice's Adventures in Wonderland*.

# %%
def with_repeat(ids):
    with patch.dict(globals(), grouped_attention=repeated):
        return yours(ids)


def misread(layout="half", **changes):
    return lambda ids: llama(
        smol_weights, smol_config.replace(**changes), ids, layout=layout
    )


MISLOADED = {
    "all right": yours,
    "rotary layout interleaved": misread(layout="interleaved"),
    "rotary base 10,000, not 100,000": misread(rope_theta=1e4),
    "repeat for repeat_interleave": with_repeat,
    "norm's epsilon 1e-3, not 1e-5": misread(norm_eps=1e-3),
}
page = alice()[20_000:20_450]
misloaded = [
    {
        "loaded": name,
        "sentence": f"{perplexity(model, SENTENCE):,.1f}",
        "page": f"{perplexity(model, page):,.1f}",
    }
    for name, model in MISLOADED.items()
]

# %% tags=["figure"]
table(misloaded, caption=f"Perplexity on the sentence and on a page of {len(smol_tokenizer.encode(page))} tokens.")

# %% [markdown]
# Four kinds of wrong. Exchanged heads ruin the model at once. The wrong rotary layout leaves the *sentence* only moderately surprising, perhaps because neighbouring words still stand close together; the page shows a broken model. The wrong base is *better* than the truth on the sentence, by chance, and worse on the page: long distances suffer most. And the wrong epsilon goes unnoticed by both. A fluent reply is no proof that a model was loaded correctly, and neither is one good number; the proof is a comparison of logits with an independent implementation.
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
typed = smol_tokenizer.encode("<|im_end|>")
print(f"{len(prompt)} tokens; <|im_end|> is token {END}; typed by a user, "
      f"{len(typed)} tokens")

# %%
from llmlib.infer import stream


def chat(question, max_new_tokens=40):
    """Print the reply while it is being written; -> pieces of text per second."""
    prompt = encode_chat(smol_tokenizer, [{"role": "user", "content": question}])
    print(f"> {question}\n  ", end="")
    pieces, start = 0, time.perf_counter()
    for piece in stream(
        smol,
        prompt,
        tokenizer=smol_tokenizer,
        stop_tokens=[END],
        max_new_tokens=max_new_tokens,
        greedy=True,
    ):
        print(piece, end="", flush=True)
        pieces += 1
    print("\n")
    return pieces / (time.perf_counter() - start)

# %%
questions = [
    "What is the capital of France?",
    "Who wrote Romeo and Juliet?",
    "What is 17 + 25?",
]
rate = statistics.median(map(chat, questions))
size = smol.num_parameters() * 4 / 1e9
print(
    f"about {rate:.0f} pieces of text a second; at {size:.2g} GB of weights for "
    "each, "
    f"that is {rate * size:.0f} GB read a second"
)

# %% [markdown]
# Every reply is grammatical and sounds sure of itself. The first is right; the second invents a son for Shakespeare; the third gets a sum wrong that a pocket calculator gets right. At this size a model has learned how answers *sound*. Lecture 17 is about what to do when it does not know, lecture 16 about sums. <!-- promise: 17-what-it-does-not-know --> <!-- promise: 16-sums-in-steps -->
#
# The speed has an explanation as well. Each new token needs every weight once, 538 MB in 32 bits, so writing is a matter of how fast memory can be read. Smaller numbers make it faster: lecture 15. <!-- promise: 15-faster-in-fewer-bits -->

# %%
poll("The 11-785 lecture asks: *Which of the following is a feature of Llama 2?* and "
     "marks one "
     "answer as right. Which would you mark?",
     options=["Swishy activations", "Relativistic positional embeddings",
              "Multi-query attention", "Grouped-query attention"], opinion=True,
     explanation="The lecture's key is grouped-query attention. But swishy "
                 "activations are just "
     "as true, and more widely: SwiGLU is swish times a linear branch, on the "
     "lecture's own "
     "slide, and every Llama 2 has it, whereas of the released sizes (7B, 13B, 70B) "
     "70B alone "
     "has grouped queries. A question with one key should not have two right answers. "
     "\"Relativistic\" is a pun on relative positions, and multi-query means a single "
     "key head, "
     "which no size has. A better question: *which of these is a feature of "
     "Llama-2-7B?*")

# %% [markdown]
# ## IX. The table of sizes, recounted (*optional*)
#
# The Business Analytics lecture has a table of parameter counts. We count each model from its published shape, without allocating a weight.

# %%
# NBVAL_CHECK_OUTPUT
ON_SLIDE = {
    "bert-base": 0.11,
    "bert-large": 0.34,
    "gpt1": 0.12,
    "gpt2-xl": 1.5,
    "gpt3": 175,
}
counted = {}
for name in (*ON_SLIDE, "llama2-7b", "llama2-13b", "llama2-70b"):
    c, counted[name] = preset(name), count_parameters(preset(name))
    said = f"{ON_SLIDE[name]}B" if name in ON_SLIDE else "not on the slide"
    print(
        f"{name:12} {c.n_layers:3} layers {c.n_heads:3} heads   d_model "
        f"{c.d_model:6,}"
        f" {counted[name]:16,}   {said}"
    )

# %% [markdown]
# The slide's figures agree with the counts up to rounding, with one exception that lecture 03 has explained: GPT-2's authors gave 1,542 million for a model that has 1,558. The row for GPT-2 reads *GPT-1, but with modified normalization*: true as far as it goes; the context, the vocabulary and the initialisation changed too, and the model grew thirteenfold. Under the table the lecture estimates GPT-4 at 175 to 280 billion parameters; elsewhere it repeats a rumour of 16 x 111 + 55 = 1,831 billion. Its makers have published no number, and no notebook can decide between two guesses that differ by a factor of six to ten.
#
# ## Scale warning
#
# > **What these experiments can and cannot tell you.** Exact at any size: the arithmetic of the cache, what RoPE's dot product depends on, that the cache must not change the logits, that a post-norm stack can lose its gradient. *Not* settled here: quality. Three layers, 48 wide and 240 steps cannot tell SwiGLU from GELU, and a difference of a hundredth of a nat, if it is real, matters to those who pay for millions of GPU-hours, not to us. The failure of post-norm appears at 8 to 16 layers because our learning rates are high and there is no warm-up; BERT has 24 post-norm layers and trains well with one. Speeds are those of one CPU: on an accelerator the balance between reading memory and computing is different, and the reasons for small caches are stronger. SmolLM2 at 135 million parameters speaks fluently and knows little; do not judge large models by its mistakes, or its fluency by its knowledge.

# %% [markdown]
# ## Claims

# %%
GiB = 2**30
pre, post = (np.mean(depth_loss[arm, 16, RATES[1]]) for arm in ("pre", "post"))
saved, full = (n * 8192 / GiB for n in cache_bytes["llama2-70b"])
show_gain = lambda name: f"{gain[name][0]:+.3f} ± {gain[name][1]:.3f}"
rope_out, learned_out = in_and_out["RoPE"][1], in_and_out["learned table"][1]

# %%
claims_table([
    Claim("Llama 2 is by Ouyang et al.",
          "Touvron et al. (2023); Ouyang et al. (2022) is InstructGPT",
          "not a measurement: the reference lists of both papers",
          "fails; wrong authors", source="11785"),
    Claim("Llama's change: norm after the sublayer → before",
          "Radford et al. (2019), section 2.3: GPT-2 moved it already",
          f"16 layers, rate {RATES[1]:g}: {pre:.2f} nats before, {post:.2f} after "
          f"({letter_loss:.2f} is letter frequencies), 3 seeds",
          "holds; from the 2017 Transformer, not from GPT-2", source="11785",
          split="report"),
    Claim("LayerNorm → RMSNorm, for stability",
          "Zhang and Sennrich (2019) claim time; Touvron et al. (2023) normalise the "
          "*input* for stability",
          f"time at width 256: {norm_ratio['written out'][256]:.1f}x LayerNorm's "
          f"written out, {norm_ratio['one operation'][256]:.1f}x as one operation; "
          f"loss {show_gain('RMSNorm')}",
          "cannot be tested at this scale; both norms were stable here", source="11785",
          split="report", rule=abs(gain["RMSNorm"][0]) < gain["RMSNorm"][1]),
    Claim("activation: ReLU → SwiGLU", "Shazeer (2020); GPT-1 and GPT-2 used GELU",
          f"at equal parameters, against GELU: ReLU {show_gain('ReLU')}, SwiGLU "
          f"{show_gain('SwiGLU')} nats (3 seeds)",
          "holds; a gain is not visible at this size", source="11785", split="report"),
    Claim("SwiGLU(x) = Swish(xW)xV = xW Sigmoid(AxW) xV",
          "Shazeer (2020): elementwise products, a scalar β, and a third matrix",
          "equal to the library's layer with elementwise products, A = 1 and a third "
          "matrix", "fails; as printed, holds with ⊙ and β for A", source="11785"),
    Claim("absolute or relative positions → RoPE", "Su et al. (2021)",
          "scores equal after moving both by 500; at 3 to 4 times the trained length "
          f"{rope_out:.2f} nats against {learned_out:.2f} with a learned table",
          "holds; RoPE is computable there, not free of loss", source="11785",
          split="report"),
    Claim("long contexts: multi-head → grouped-query attention",
          "Touvron et al. (2023), table 1: for 34B (not released) and 70B",
          f"cache at 8,192 tokens, 70B: {saved:.1f} GiB, not {full:.0f}; here 8 key "
          f"heads take {gqa_speed[8192]:.1f} times as long per token as 1",
          "holds; for 70B, of the released models", source="11785", rule=gqa_speed[8192] > 1),
    Claim("poll: of four options one is a feature of Llama 2, grouped queries",
          "SwiGLU is in every size",
          "the 7B config has swiglu and as many key heads as heads",
          'fails; "swishy activations" is right too', source="11785"),
    Claim("Llama 2 was pre-trained on about 3 trillion tokens",
          "Touvron et al. (2023), table 1: 2.0T", "not a measurement",
          "fails; 2 trillion", source="11785"),
    Claim("BERT 0.11B and 0.34B, GPT-1 0.12B, GPT-2 1.5B, GPT-3 175B",
          "Devlin et al. (2018), Radford et al. (2018, 2019), Brown et al. (2020)",
          "counted " + ", ".join(f"{counted[n] / 1e9:.3g}B" for n in ON_SLIDE),
          "holds; GPT-2 is 1.56B", source="analytics"),
    Claim("GPT-2 is GPT-1 with modified normalization",
          "Radford et al. (2019), section 2.3: also context, vocabulary, "
          "initialisation",
          f"{counted['gpt2-xl'] / counted['gpt1']:.0f} times the parameters; configs "
          "differ in norm position, context and vocabulary", "holds; and more changed",
          source="analytics"),
    Claim("GPT-4 has 175B to 280B parameters; elsewhere: 1.831T",
          "OpenAI (2023) gives no number",
          f"the two differ by a factor of {1831 / 280:.1f} to {1831 / 175:.1f}",
          "cannot be tested at this scale; the slides contradict each other",
          source="analytics"),
])

# %% [markdown]
# ## Summary
#
# 1. Pre-norm leaves the sum along the residual path untouched, and the first block's gradient survives what a few large steps do to the rest; our deep post-norm models did not, unless the first steps were small.
# 2. RoPE turns queries and keys by their position, so that positions enter the score only as a distance; the formula reaches any position, the *training* does not.
# 3. Of the five changes, RoPE is the one that a small model's loss can show. SwiGLU's gain, if any, is within the noise here; RMSNorm and grouped queries are there to save something, and cost nothing we can see.
# 4. Grouped queries share keys and values: an eighth of the cache for Llama-2-70B, 2.5 GiB instead of 20 at 8,192 tokens, and less to read for every new token.
# 5. A key-value cache changes no logit and saves the re-reading; positions, mask and head order are the three places where it goes wrong silently.
#
# **Still unexplained.** Where does a chat model's *manner* come from (lecture 11), and how can four bits be enough for a weight (15)? <!-- promise: 05-same-blocks-both-ways --> Why train a 135-million-parameter model on two trillion tokens (08)? And what would the same blocks do if they could look both ways (05)?
#
# ## Exercises
#
# *Lab 04* has you write these parts yourself, run a real checkpoint in them, and find out what is wrong with three loaded models.
#
# 1. Train the 16-layer post-norm model with a warm-up, live. How short can the warm-up be?
# 2. The 11-785 slide says *relative* positions came before RoPE. Replace RoPE by a learned bias for each distance, added to the scores (T5's way), and repeat the figure of part IV.
# 3. Give `llama` a maximum cache length by dropping the oldest keys. What happens to SmolLM2's text? And if you always keep the first four (Xiao et al., 2023)?
# 4. Grouped queries save parameters too. Spend them on a wider MLP. Does the difference in part V become positive or negative?
#
# ## Further reading
#
# Touvron et al. (2023), *LLaMA: open and efficient foundation language models*, and *Llama 2: open foundation and fine-tuned chat models*. Xiong et al. (2020), *On layer normalization in the Transformer architecture*. Zhang and Sennrich (2019), *Root mean square layer normalization*. Su et al. (2021), *RoFormer: enhanced Transformer with rotary position embedding*. Press, Smith and Lewis (2022), *Train short, test long*. Chen et al. (2023), *Extending context window of large language models via position interpolation*. Peng et al. (2023), *YaRN*. Rozière et al. (2023), *Code Llama*. Shazeer (2020), *GLU variants improve Transformer*. Shazeer (2019), *Fast Transformer decoding: one write-head is all you need*. Ainslie et al. (2023), *GQA: training generalized multi-query Transformer models from multi-head checkpoints*. Xiao et al. (2023), *Efficient streaming language models with attention sinks*. Allal et al. (2025), *SmolLM2: when Smol goes big*.
