# %% [markdown]
# # 15 · Quantization and distillation
#
# **The question of this lecture.** A trained model is a file of numbers, and every token it writes needs all of them. Day 24 asks two things: "can we use smaller representation of parameters?" and "can we achieve similar results with smaller models?" *How few bits does a weight need, what decides it, when does that make a model faster, and what can a small model learn from a large one that it cannot learn from text?*
#
# **Afterwards you can**
# - round a matrix to a few bits, choose what shares a scale, and say how many bits a weight then really takes;
# - say why the error that counts is the output's, and build what AWQ and GPTQ make of that;
# - judge a quantized model by perplexity and by a task, and say where the cheap methods stop being good enough;
# - explain why four bits are faster where nobody unpacks them into memory, and why drafting and checking leaves a model's distribution as it was;
# - write the loss of distillation, with its temperature, its $T^2$ and its direction.
#
# **Before this:** lecture 04 (the Llama and its file), lecture 07 (number formats), lecture 00 (KL divergence).
#
# **Time:** core 141 minutes, optional 5 minutes; two classes. All cells together: under a minute of computing on a laptop CPU. What took longer was run once and is marked *recorded*.
#
# <!-- sources: day24 -->

# %%
import copy
import itertools
import time
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from courseware import (Claim, Diagram, bars, claims_table, curves, explore, heat_map,
                        panels, poll, setup_style, show, steps, table)
from llmlib.adapt import (DistillationLoss, InputStatistics, awq_scales, calibrate,
                          distillation_kl, fake_quantize, output_error, pack_int4,
                          quantize, quantize_gptq, quantize_model, quantize_nf4,
                          quantize_q4_1, quantize_q8_0, unpack_int4)
from llmlib.data import fetch, prose, recorded, split_documents
from llmlib.hub import GGUFFile, is_stand_in, load_base, load_smollm2
from llmlib.infer import generate
from llmlib.model import ModelConfig, Transformer
from llmlib.train import TrainConfig, Trainer

setup_style(compact=True)
torch.manual_seed(0);

# %% [markdown]
# ## I. Numbers in few bits
#
# Lecture 07 took floating-point numbers apart: the exponent buys range, the fraction buys resolution. A weight matrix needs little range. Its numbers are of similar size, and so one can leave the exponent out, keep a small *integer* for each weight, and let many weights share one floating-point number that says how large a step of the integer is.

# %% tags=["diagram"]
d = Diagram(12, 4.1)
unit, x0 = 0.29, 1.3
for y, (name, parts) in zip((3.6, 2.85, 2.1, 1.35, 0.6), {"fp32": (8, 23), "bf16": (8, 7), "fp16": (5, 10), "int8": (0, 7), "int4": (0, 3)}.items()):
    exponent, rest = parts
    d.label(0.55, y, name, bold=True)
    d.box(x0 + unit / 2, y, "", w=unit, h=0.5, color="grey")
    if exponent:
        d.box(x0 + unit * (1 + exponent / 2), y, f"{exponent} exponent" if exponent > 5 else "5 exp.", w=unit * exponent, h=0.5, color="blue", size=10.5)
        d.box(x0 + unit * (1 + exponent + rest / 2), y, f"{rest} fraction", w=unit * rest, h=0.5, color="orange", size=10.5)
    else:
        d.box(x0 + unit * (1 + rest / 2), y, f"{rest}" if rest < 5 else f"{rest} integer", w=unit * rest, h=0.5, color="green", size=10.5)
        shared = d.box(8.3, y, "one fp16 scale for a group", w=4.4, h=0.5, color="sky", size=10.5)
        d.arrow((x0 + unit * (1.2 + rest), y), shared.left, dashed=True)
d.show(alt="Bits of five formats. fp32: sign, 8 bits of exponent, 23 of fraction; bf16: sign, 8, 7; fp16: sign, 5, 10. int8: sign and 7 bits of integer, int4: sign and 3; both share one fp16 scale with the other weights of a group.")

# %% [markdown]
# **Symmetric** rounding ("absmax") lets the largest weight of the group decide: with $b$ bits
#
# $$s = \frac{\max_i |w_i|}{2^{b-1} - 1}, \qquad q_i = \operatorname{round}(w_i / s), \qquad w_i \approx s\, q_i .$$
#
# **Asymmetric** rounding spends a second number on where the grid begins: $s = (\max w - \min w) / (2^b - 1)$ and $w_i \approx s\, q_i + \min w$, so that no code is wasted when a group's weights are lopsided. Either way a weight lands at most half a step away. If its place within the step is random, the mean squared error is $s^2 / 12$: **each bit less doubles the step, nearly, and about quadruples the error.** (Exactly: $2^b - 1$ steps have to span the range, and at 2 bits that makes more than a double.)
#
# **By hand.** Four weights $0.9, -0.3, 0.05, -1.4$ and 4 bits, symmetric: $s = 1.4 / 7 = 0.2$; codes $4.5 \to 4$, $-1.5 \to -2$, $0.25 \to 0$, $-7$; back again $0.8, -0.4, 0, -1.4$. (Halves go to the even code here.) The largest weight is exact, and the smallest is gone.

# %%
def rounded(weight, bits, group, symmetric):
    """Round each run of `group` weights of a row to a grid of its own."""
    w = weight.unflatten(1, (-1, group))                # (n_out, groups, group)
    if symmetric:
        top = 2 ** (bits - 1) - 1
        scale = w.abs().amax(-1, keepdim=True) / top
        return ((w / scale).round().clamp(-top, top) * scale).flatten(1)
    low, high = w.amin(-1, keepdim=True), w.amax(-1, keepdim=True)
    scale = (high - low) / (2**bits - 1)
    return (((w - low) / scale).round() * scale + low).flatten(1)


by_hand = torch.tensor([[0.9, -0.3, 0.05, -1.4]])
print("by hand:", [round(x, 2) + 0.0 for x in rounded(by_hand, 4, 4, True)[0].tolist()])
big, tokenizer = load_base("5m", device="cpu")          # never rounded to few bits
matrix = big.blocks[3].mlp.up_proj.weight.detach()
for bits, symmetric in itertools.product((8, 4, 3, 2), (True, False)):
    torch.testing.assert_close(rounded(matrix, bits, 32, symmetric),
                               quantize(matrix, bits, 32, symmetric).dequantize())
print("ours = quantize, at 8, 4, 3 and 2 bits")

# %% [markdown]
# Move the slider and watch two things: how many of the grid's lines stand where there are weights, and the error in the title.

# %% tags=["diagram"]
row = matrix[:1]


def grid_of(bits=4, kind="asymmetric"):
    fig, ax = plt.subplots(figsize=(3.5, 2.6))
    ax.hist(row[0].numpy(), bins=30, color="#88bbdd")
    if kind == "NF4":
        q = quantize_nf4(row, "channel")
        levels = q.levels * q.scale[0, 0]
    else:
        q = quantize(row, bits, "channel", kind == "symmetric")
        levels = torch.arange(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1)) if kind == "symmetric" else torch.arange(2**bits)
        levels = levels * q.scale[0, 0] + (0 if q.offset is None else q.offset[0, 0])
    ax.vlines(levels, 0, ax.get_ylim()[1], color="#D55E00", linewidth=0.8 if len(levels) < 40 else 0.3)
    error = output_error(row, q.dequantize())
    ax.set(xlabel="weight", ylabel="weights of one row", title=f"{kind}, {q.bits} bits\nerror {error:.1e}")
    return fig


explore(grid_of, bits=(2, 8, 1), kind=["symmetric", "asymmetric", "NF4"],
        panels=[dict(bits=4, kind="symmetric"), dict(bits=2, kind="asymmetric"), dict(bits=4, kind="NF4")],
        alt=lambda bits, kind: f"Histogram of one row's {row.numel()} weights, bell-shaped, with the grid of {kind} rounding at {bits} bits drawn as lines.")

# %% [markdown]
# Weights of a trained matrix are bell-shaped: most are near zero, and an even grid spends as many codes on its thin ends as on the crowded middle. **NF4** (Dettmers et al., 2023) puts the 16 levels at quantiles of a normal distribution instead. It has 4 bits and nothing else, and lecture 14's QLoRA rests on it.
#
# ### What shares a scale
#
# One scale for the whole matrix, for each row ("channel"), or for each run of 32 weights: the smaller the group, the closer its grid sits, and the more scales there are to store. A float16 scale and a float16 offset for 32 weights are one bit more a weight.

# %% tags=["diagram"]
spoiled = matrix.clone()
spoiled[5, 7] = 20 * matrix.std()                       # a single large weight


def group_error(bits=4, one_large_weight=False):
    w = spoiled if one_large_weight else matrix
    fig, ax = plt.subplots(figsize=(3.5, 2.7))
    for symmetric, color, name in ((True, "#0072B2", "symmetric"), (False, "#D55E00", "asymmetric")):
        made = [quantize(w, bits, group, symmetric, torch.float16) for group in ("tensor", "channel", 32, 16, 8)]
        ax.plot([q.bits_per_weight for q in made], [output_error(w, q.dequantize()) for q in made], "o-", color=color, label=name)
        for q, group in zip(made, ("tensor", "row", "32", "16", "8")):
            if symmetric:
                ax.annotate(group, (q.bits_per_weight, output_error(w, q.dequantize())), textcoords="offset points", xytext=(4, 5), fontsize=8)
    ax.set(xlabel="bits a weight, scales included", ylabel="error / weights' size", yscale="log", title=f"{bits} bits" + (", one large weight" if one_large_weight else ""))
    ax.legend(fontsize=8, loc="upper right")
    return fig


explore(group_error, bits=(2, 8, 1), one_large_weight=[False, True], panels=[dict(bits=4, one_large_weight=False), dict(bits=4, one_large_weight=True)],
        alt="Relative squared error of a matrix at 4 bits against bits a weight with scales included, for one scale a tensor, a row, and groups of 32, 16 and 8. One weight of 20 standard deviations makes a single scale for the tensor useless and leaves groups nearly as they were.")

# %%
poll("A matrix has one weight that is 20 standard deviations large. You round it symmetrically to 4 bits with one scale for the whole matrix. What becomes of the others?",
     ["most of them become zero", "they lose about one bit of precision", "nothing: the large weight is clipped to the grid's end", "those in its row are lost, the others stay as they were"],
     "The step is 20/7, nearly three standard deviations, and what lies within half a step of zero becomes zero: of bell-shaped weights about 85 in 100. Absmax never clips, that is its trouble. Only with a scale a row or a group would the damage be confined to the neighbours.")

# %% [markdown]
# With a scale for every group of 32, the large weight harms 31 neighbours and nobody else. That is a reason why 4-bit formats share a scale among few; at 8 bits, where the steps are fine, one for a row is common.
#
# ## II. In bytes
#
# No computer addresses half a byte. Two codes of 4 bits, *nibbles*, are put into one.

# %% tags=["diagram"]
d = Diagram(12, 2.6)
codes_ = d.vector(2.6, 2.0, [3, 12, 0, 9], fmt=".0f", label="codes")
low, high = d.box(6.2, 2.0, "1100", w=1.3, h=0.6, color="orange"), d.box(7.5, 2.0, "0011", w=1.3, h=0.6, color="blue")
d.label(6.85, 2.5, "high half: 12, low half: 3", size=10)
d.arrow((4.3, 2.0), low.left)
d.label(9.9, 2.0, "3 + 16 · 12 = 195", size=12)
for x, w, text, color in ((1.6, 2.0, "scale\nfp16", "sky"), (3.6, 2.0, "minimum\nfp16", "sky"), (8.1, 7.0, "16 bytes of codes: 0 beside 16, 1 beside 17, …", "green")):
    d.box(x, 0.6, text, w=w, h=0.8, color=color, size=9.5)
d.show(alt="Codes 3 and 12 make the byte 195: 12 in its high half, 3 in its low half. Below, a block of GGUF's Q4_1: two bytes of scale, two of minimum, sixteen bytes with 32 codes.")

# %%
# NBVAL_CHECK_OUTPUT
codes = torch.tensor([[3, 12, 0, 9]], dtype=torch.uint8)
packed = codes[:, 0::2] | codes[:, 1::2] << 4           # the first code in the low half
unpacked = torch.stack([packed & 15, packed >> 4], -1).flatten(1)
assert torch.equal(packed, pack_int4(codes))
assert torch.equal(unpacked, unpack_int4(packed))
print(f"{codes.tolist()} -> bytes {packed.tolist()} -> {unpacked.tolist()}")
negative = torch.tensor([[-3, 7]])
print(f"{negative.tolist()} -> {pack_int4(negative).tolist()} -> "
      f"{unpack_int4(pack_int4(negative), signed=True).tolist()}")

# %% [markdown]
# Which half comes first is a convention, and conventions differ. Lecture 04 found SmolLM2 in a GGUF file, "most matrices in 4 bits". Its blocks (Q4_1, of the ggml project) hold 32 weights in 20 bytes: a scale, a minimum, and 16 bytes of codes, where weight 0 shares its byte with weight 16, not with weight 1. (Its sister Q8_0 has 8 bits, a scale for 32 and no minimum: 8.5 bits a weight.) Here is the first block of the file, taken apart with nothing but shifts.

# %%
smol, smol_tokenizer = load_smollm2(device="cpu")
real = not is_stand_in(smol)
if real:
    with GGUFFile(fetch("smollm2")) as file:
        place = file.tensors["blk.0.attn_q.weight"]
        theirs = torch.tensor(file.read("blk.0.attn_q.weight"))
    block = np.fromfile(fetch("smollm2"), np.uint8, 20, offset=place.offset)
    block = torch.from_numpy(block)
    scale, minimum = block[:4].view(torch.float16).float()
    nibbles = torch.cat([block[4:] & 15, block[4:] >> 4]).float()
    ours = scale * nibbles + minimum
    assert torch.equal(ours, theirs[0, :32])
    again = quantize_q4_1(theirs).dequantize()
    print(f"{place.type}: 20 bytes, scale {scale:.4f}, minimum {minimum:.3f}, codes "
          f"{nibbles[:6].int().tolist()} ...: bit for bit what the reader gives\n"
          f"rounding these weights to Q4_1 once more changes them by at most "
          f"{(again - theirs).abs().max():.1g}")
else:
    print("The stand-in came with the course, not as GGUF.")

# %% [markdown]
# The last line is a warning. SmolLM2's weights *are* on a 4-bit grid already, so rounding them to this format again costs nothing at all, and a model like this can say nothing about what 4 bits cost. For that we use models whose weights were never rounded so: the course's own base models (kept in 16 bits), and MiniLM (32 bits).
#
# ### Four bits of eight billion
#
# Day 24: "DeepSeek was able to create distilled and quantized models that only used 4 bits per parameter", with a link to an 8B model whose name ends in *w4a16*: weights in 4 bits, activations in 16. How large is it? Its shape is Llama 3's.

# %%
# NBVAL_CHECK_OUTPUT
d_model, d_ff, layers, kv_width, vocabulary = 4096, 14336, 32, 8 * 128, 128_256
linears = layers * (2 * d_model**2 + 2 * d_model * kv_width + 3 * d_model * d_ff)
tables = 2 * vocabulary * d_model                       # embedding and head, not tied
group = 4 + 16 / 128                                    # a 16-bit scale for 128 weights
full = (linears + tables) * 16 / 8
w4a16 = linears * group / 8 + tables * 16 / 8
a_parameter = 8 * w4a16 / (linears + tables)
print(f"{(linears + tables) / 1e9:.2f}B parameters, "
      f"{linears / 1e9:.2f}B of them in the blocks\n"
      f"16 bits {full / 1e9:.1f} GB; w4a16 {w4a16 / 1e9:.1f} GB: "
      f"{100 * (1 - w4a16 / full):.1f} % less, {a_parameter:.1f} bits a parameter")

# %% [markdown]
# Only the matrices inside the blocks are in 4 bits; embedding and head stay in 16, and are the second largest item. That makes 5.7 bits a parameter, not 4, and less than two thirds of the memory saved, not the "approximately 75 %" of the model's own card. And who made it? The card names **Neural Magic** as the developer: it took DeepSeek's *distilled* model (a Llama fine-tuned on texts that R1 wrote; part VIII) and quantized it with GPTQ (part IV), in symmetric groups of 128. Two makers, two techniques, one link.
#
# ## III. The error that counts is the output's
#
# A layer computes $y = x W^\top$. If $W$ becomes $W + \Delta$, the output moves by $x \Delta^\top$, and its mean square over inputs is
#
# $$\mathbb{E}\, |x \Delta^\top|^2 = \operatorname{tr}\big(\Delta\, H\, \Delta^\top\big), \qquad H = \mathbb{E}[x^\top x] ,$$
#
# with $x$ a row. An error in a weight counts by the size of the input that it meets, and errors of two weights can cancel if their inputs go together. Rounding to nearest knows neither. Both are in the matrix $H$, which a few thousand tokens of text suffice to estimate: that is all that *calibration* is.

# %%
SHARES = {"train": 0.94, "choose": 0.03, "report": 0.03}  # as the base models had them
parts = split_documents(prose("wikipedia"), SHARES)
end = tokenizer.special_tokens["<|endoftext|>"]


def rows_of(documents, n, length=256):
    ids = [each for text in documents for each in [end, *tokenizer.encode(text.text)]]
    return torch.tensor(ids[: n * length]).view(n, length)


calibration = rows_of(parts["train"][:200], 16)          # 4,096 tokens
fresh = rows_of(parts["report"][:100], 16)               # nothing was trained on these
LAYERS = [f"blocks.3.{each}" for each in
          ("attention.q_proj", "attention.o_proj", "mlp.up_proj", "mlp.down_proj")]
inputs, held_out = (calibrate(big, text, LAYERS) for text in (calibration, fresh))
one, error = "blocks.3.mlp.up_proj", quantize(matrix, 3).dequantize() - matrix
x = torch.randn(5, matrix.shape[1])
moment = InputStatistics.of(x).second_moment
torch.testing.assert_close((x @ error.T).square().sum(1).mean(),
                           torch.trace(error @ moment @ error.T))
print("E|x D^T|^2 = tr(D H D^T)")

# %% [markdown]
# ### Are there outliers? Look first
#
# Large models are said to have *outliers*: a few input channels ten or a hundred times larger than the rest (Dettmers et al., 2022, saw them in every layer from some billions of parameters on). Before using a cure, look for the disease. For every layer that reads the residual stream: the mean $|x|$ of its largest channel, over that of the median one.

# %% tags=["diagram"]
PARTS = ("attention.q_proj", "mlp.up_proj")
found = {}
tiny, _ = load_base("1m", device="cpu")
for name, model in {"ours, 1m": tiny, "ours, 5m": big, ("SmolLM2, 135M" if real else "stand-in"): smol}.items():
    layers_ = [f"blocks.{i}.{part}" for i in range(len(model.blocks)) for part in PARTS]
    text = calibration[:2] if "ours" in name else torch.tensor([smol_tokenizer.encode(" ".join(each.text for each in parts["train"][:6]))[:300]])
    seen = calibrate(model, text, layers_)
    found[name] = [(seen[each].mean_abs.max() / seen[each].mean_abs.median()).item() for each in layers_]
fig, (left, right) = panels(2, titles=["inputs of the layers", "weights of one matrix, sorted"], height=2.9)
for name, ratios in found.items():
    left.plot(np.linspace(0, 1, len(ratios)), ratios, "o-", markersize=3, label=name)
left.set(xlabel="depth (0 first layer, 1 last)", ylabel="largest / median channel", yscale="log", ylim=(0.25, 150))
left.legend(fontsize=7.5, loc="lower center", ncol=2)
for name, w in {"ours, 5m": matrix, "normal": torch.randn(matrix.shape)}.items():
    values = (w / w.std()).flatten().sort().values[:: 400]
    right.plot(np.linspace(0, 100, len(values)), values, label=name)
right.set(xlabel="percent of the weights", ylabel="weight / deviation")
right.legend(fontsize=8)
show(fig, alt="Left: largest over median input channel by depth, " + ", ".join(f"{name}: {np.median(r):.1f} in the median, at most {max(r):.0f}" for name, r in found.items()) + ". Right: sorted weights of one matrix of our 5m model follow those of a normal distribution closely.")
print({name: f"median {np.median(r):.1f}, largest {max(r):.1f}" for name, r in found.items()})

# %% [markdown]
# The weights are nearly normal, with somewhat longer tails. Of the inputs the ratio grows over these three models. In the 5m model the inputs of attention pass ten in most blocks, those of the MLP in none; in SmolLM2, which is 26 times larger (and was trained differently, so size need not be the cause), most of both pass it, and by far. So a method that guards against outliers has little to do in our models, and a comparison on them alone would do it an injustice. We therefore also *plant* some: multiply four gains of every norm by a factor, and divide the weights that read these channels by the same. The model computes exactly what it did, and its layers now read outliers.
#
# **AWQ** (Lin et al., 2023) undoes just that. It multiplies the columns of $W$ that meet large inputs by $s > 1$ before rounding and divides the inputs by $s$ when the layer runs. The product is the same, the rounding error of those weights $s$ times smaller. How much, is found by trying: $s_j = (\mathbb{E}|x_j|)^\alpha$ for $\alpha$ from 0 to 1, and the best on calibration text stays.

# %%
def awq_error(weight, inputs, alpha, bits=4):
    """Output error if column j is multiplied by E|x_j|^alpha before rounding."""
    s = inputs.mean_abs**alpha
    s = (s / (s.max() * s.min()).sqrt()).half().float()
    back = rounded(weight * s, bits, 32, symmetric=False) / s
    return output_error(weight, back, inputs.second_moment)


def with_outliers(weight, inputs, factor, n=4):
    """The same layer with n channels of its input `factor` times larger."""
    f = torch.ones(weight.shape[1])
    f[torch.randperm(len(f), generator=torch.Generator().manual_seed(0))[:n]] = factor
    statistics = InputStatistics(inputs.second_moment * f * f[:, None],
                                 inputs.mean_abs * f)
    return weight / f, statistics


alphas = torch.linspace(0, 1, 21).tolist()
planted = {f: with_outliers(matrix, inputs[one], f) for f in (1, 16, 64)}
errors = {f: [awq_error(w, seen, a) for a in alphas]
          for f, (w, seen) in planted.items()}
for w, seen in planted.values():
    s = awq_scales(w, seen)
    best = output_error(w, rounded(w * s, 4, 32, False) / s, seen.second_moment)
    assert abs(best / min(awq_error(w, seen, a) for a in alphas) - 1) < 1e-3
print("ours = awq_scales")

# %% tags=["figure"]
curves({f"outliers × {f}" if f > 1 else "as it is": e for f, e in errors.items()}, at=alphas, log="y", x="exponent α (0: round to nearest)", y="output error, 4 bits", height=2.9,
       alt="Output error of one layer against AWQ's exponent. " + " ".join(f"Outliers {f}: {e[0]:.1e} without, at best {min(e):.1e} at {alphas[int(np.argmin(e))]:.2f}." for f, e in errors.items()))

# %% [markdown]
# Without outliers AWQ gains little. With them rounding to nearest is ruined, since a column of small weights sits in a group whose scale the others decide, and AWQ gets nearly all of it back. That is no surprise: what we planted is a multiplication of channels, which is exactly what AWQ undoes. The test shows that it does what it is built for, not that outliers of real models are of this kind. What does this do to a whole model? *Recorded*, the 1m model, three placements; watch GPTQ, which part IV builds, and w8a8, where the *activations* are rounded too: each token's to 8 bits with a scale of its own, beside weights in 8 bits with a scale a row.

# %% tags=["diagram"]
outliers = recorded("quantization_outliers")["results"]
FACTORS = sorted({run["factor"] for run in outliers["runs"]})
cost = lambda method: [[next(run["percent"] for run in outliers["runs"] if (run["method"], run["factor"], run["seed"]) == (method, f, seed)) for f in FACTORS] for seed in range(3)]
fig, (left, right) = panels(2, titles=["weights in 4 bits", "w8a8: all in 8 bits"], height=3.1)
for ax, names in ((left, {"round to nearest": "rtn", "GPTQ": "gptq", "AWQ": "awq"}), (right, {"w8a8": "w8a8"})):
    for name, method in names.items():
        values = np.array(cost(method))
        ax.plot(FACTORS, values.mean(0), "o-", label=name)
        ax.fill_between(FACTORS, values.min(0), values.max(0), alpha=0.25)
    ax.set(xscale="log", yscale="log", xlabel="planted outliers × …", ylabel="perplexity, % more" if ax is left else "")
    ax.set_xticks(FACTORS, FACTORS)
    ax.minorticks_off()
left.legend(fontsize=8)
show(fig, alt="Growth of perplexity in percent against the factor of planted outliers, mean and range of three placements. " + " ".join(f"{m}: " + ", ".join(f"{v:.2g}" for v in np.mean(cost(m), 0)) + "." for m in ("rtn", "gptq", "awq", "w8a8")))
print("perplexity with the largest outliers planted and nothing rounded:", f"{outliers['unchanged'][0]['percent']:+.2f} %")

# %% [markdown]
# The order of the methods depends on the outliers. Where there are none, AWQ is hardly better than rounding, and GPTQ costs about half as much. At a factor of 64 rounding and GPTQ are both ruined, and AWQ has not noticed. (Why GPTQ too? A guess: its grid is still that of the group as it stands, and what a coarse grid does to the small column no correction of its neighbours can undo.) Rounding activations suffers in its own way: one large number in a token's vector sets the step for all the others. (A part of the damage may be the 8-bit weights', whose columns the planting made small; this run does not separate the two. LLM.int8 keeps such channels in 16 bits; SmoothQuant, Xiao et al., 2022, moves the factor into the weights, as AWQ does.)
#
# ## IV. GPTQ: let the others make up for it
#
# The other half of $H$, what lies off its diagonal, says which inputs go together. If $x_1$ and $x_2$ are alike, an error in $w_1$ can be made good by moving $w_2$. That is an old idea from pruning (Hassibi and Stork, 1992), and **GPTQ** (Frantar et al., 2023) made it fast: round the columns one after the other, and after each move *all columns not yet rounded* so that the output comes out as right as it can. The best move is known in closed form. If $U$ is upper triangular with $U^\top U = H^{-1}$, an error $e$ in column $j$ is answered by
#
# $$w_k \leftarrow w_k - e\, \frac{U_{jk}}{U_{jj}} \qquad \text{for all } k > j .$$
#
# **By hand.** Two inputs of mean square 1 and correlation 0.8, weights $(0.4, 0.4)$, and a grid of whole numbers. Rounding to nearest gives $(0, 0)$: error $0.4^2 + 0.4^2 + 2 \cdot 0.8 \cdot 0.4^2 = 0.576$. GPTQ rounds $w_1$ to 0, an error of $0.4$; the ratio $U_{12} / U_{11}$ is $-0.8$, so $w_2$ becomes $0.4 + 0.32 = 0.72$ and rounds to 1. The error is $0.4^2 + 0.6^2 - 2 \cdot 0.8 \cdot 0.4 \cdot 0.6 = 0.136$, about a quarter.

# %%
def gptq(weight, moment, bits, group=32, damping=0.01):
    """Round (n_out, n_in) column by column, correcting the columns to come."""
    n = weight.shape[1]
    moment = moment.double() + damping * moment.diagonal().mean() * torch.eye(n)
    U = torch.linalg.cholesky(torch.linalg.inv(moment), upper=True).float()
    left, out = weight.clone(), torch.empty_like(weight)
    for j in range(n):
        if j % group == 0:                              # a group's grid, as it is now
            low, high = left[:, j : j + group].aminmax(dim=1)
            scale = (high - low) / (2**bits - 1)
        code = ((left[:, j] - low) / scale).round().clamp(0, 2**bits - 1)
        out[:, j] = low + scale * code
        error = (left[:, j] - out[:, j]) / U[j, j]
        left[:, j + 1 :] -= error[:, None] * U[j, j + 1 :]
    return out


H = inputs[one].second_moment
ours, theirs = gptq(matrix, H, 3), quantize_gptq(matrix, H, 3).dequantize()
same = torch.isclose(ours, theirs, atol=1e-4).float().mean()
assert same > 0.999                                     # a tie may fall either way
judge = lambda w: output_error(matrix, w, held_out[one].second_moment)
to_nearest = judge(rounded(matrix, 3, 32, False))
print(f"ours = quantize_gptq, in {same:.1%} of the weights; output error on fresh text "
      f"{judge(ours):.1e},\nrounded to nearest {to_nearest:.1e}")

# %% tags=["diagram"]
small_x = torch.randn(2000, 3, generator=torch.Generator().manual_seed(0)) @ torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
small_x = small_x + 0.3 * torch.randn(2000, 8, generator=torch.Generator().manual_seed(2))
small_h = InputStatistics.of(small_x).second_moment
small_w = torch.randn(5, 8, generator=torch.Generator().manual_seed(3))
U_ = torch.linalg.cholesky(torch.linalg.inv(small_h), upper=True)


def column(j):
    """Eight columns, j of them rounded: how far each weight is from where it began."""
    left_, (lo, hi) = small_w.clone(), small_w.aminmax()
    step = (hi - lo) / 7
    for k in range(j):
        new = lo + step * ((left_[:, k] - lo) / step).round().clamp(0, 7)
        left_[:, k + 1 :] -= ((left_[:, k] - new) / U_[k, k])[:, None] * U_[k, k + 1 :]
        left_[:, k] = new
    fig, ax = plt.subplots(figsize=(3.4, 2.3))
    heat_map(left_ - small_w, ax=ax, center=0, vmin=-0.8, vmax=0.8, x="column", y="output")
    ax.axvline(j - 0.5, color="#D55E00", linewidth=2.5)
    ax.set_title(f"{j} rounded: output error {output_error(small_w, left_, small_h):.3f}", fontsize=9)
    return fig


steps([column(j) for j in range(9)], panels=[1, 4, 8], name="columns", alt=[f"How far 5 x 8 weights are from where they began after {j} columns are rounded; columns to the right have moved to make up for it." for j in range(9)])

# %% [markdown]
# Left of the line the weights are on the grid, right of it they have moved away from where training put them, to make up. The last columns have nobody to help them.
#
# ### Every method, every number of bits
#
# Now all of them on one plot: four layers of the 5m model, output error on text that no method has seen. AWQ and GPTQ had 4,096 tokens of other text to look at. The dotted line is theory, a quarter for each bit.

# %% tags=["diagram"]
BITS = (2, 3, 4, 5, 6, 8)
ways = {"absmax": lambda w, seen, b: quantize(w, b, 32, True).dequantize(), "round to nearest": lambda w, seen, b: quantize(w, b, 32).dequantize(), "GPTQ": lambda w, seen, b: quantize_gptq(w, seen.second_moment, b).dequantize()}


def awq(w, seen, b):
    s = awq_scales(w, seen, b)
    return quantize(w * s, b, 32).dequantize() / s


def mean_error(method, *bits):
    weights = [(big.get_submodule(name).weight.detach(), inputs[name], held_out[name].second_moment) for name in LAYERS]
    return float(np.mean([output_error(w, method(w, seen, *bits), h) for w, seen, h in weights]))


ways["AWQ"] = awq
by_bits = {name: [mean_error(way, b) for b in BITS] for name, way in ways.items()}


def plot_by_bits():
    fig, ax = panels(1, height=3.4)
    for name, e in by_bits.items():
        ax.plot(BITS, e, "o-", markersize=4, label=name)
    for (name, place), mark in zip(single.items(), "s^D"):
        ax.plot(*place, mark, markersize=9, color="k", fillstyle="none", label=name)
    ax.plot(BITS, by_bits["round to nearest"][2] * 4.0 ** (4 - np.array(BITS)), "k:", linewidth=1, label="a quarter a bit")
    ax.set(yscale="log", xlabel="bits", ylabel="output error / output")
    ax.legend(fontsize=8, ncol=2)
    return fig


single = {"NF4": (4, mean_error(lambda w, _: quantize_nf4(w, 32).dequantize())), "Q4_1": (4, mean_error(lambda w, _: quantize_q4_1(w).dequantize())), "Q8_0": (8, mean_error(lambda w, _: quantize_q8_0(w).dequantize()))}

# %% tags=["figure"]
show(plot_by_bits(), alt="Output error against bits, log scale, groups of 32. " + " ".join(f"{name}: {e[0]:.1e} at 2 bits, {e[2]:.1e} at 4, {e[-1]:.1e} at 8." for name, e in by_bits.items()) + " " + " ".join(f"{name}: {p[1]:.1e}." for name, p in single.items()))

# %%
poll("Compared with rounding to nearest at the same bits, GPTQ moves the *weights* of a matrix",
     ["farther from the original, and the output closer to it", "closer to the original, and the output too", "equally far on average: it only breaks ties otherwise", "farther from the original only at 2 bits"],
     "On a given grid, rounding to nearest is by definition closest in the weights. GPTQ gives that up, at every number of bits, to have the output closer: the example by hand rounds 0.4 to 1. An error in the weights is not the error that counts.")

# %% [markdown]
# Three things to notice. Each bit is worth its factor of four, from 8 bits down to 3; at 2 it costs more, since so few steps are left. Methods differ by a factor, not by a law: GPTQ's is worth a little less than half a bit here. And a format decides as much as a method: NF4 has no offset and 4.5 bits a weight in groups of 32 where the asymmetric formats have 5. A fair comparison puts what is really stored on the axis, as part I did.
#
# ## V. What it costs
#
# ### Perplexity
#
# *Recorded*: the 5m base model, its body rounded by every method (embedding and head stay as they are), judged on 60 documents that it was not trained on. Methods that look at inputs had 8,192 tokens of training text, in three draws. Model and rounded model read the same documents, and only the difference has an interval: at 8 bits some hundredths of a percent wide, at 4 bits half a percent.

# %% tags=["diagram"]
bases = recorded("quantization_bases")["results"]
NAMES = {"absmax": "absmax", "rtn": "round to nearest", "nf4": "NF4", "q8_0": "Q8_0", "q4_1": "Q4_1", "awq": "AWQ", "gptq": "GPTQ"}
runs_of = lambda method, bits: [run for run in bases["methods"] if (run["method"], run["bits"]) == (method, bits)]


def told(method, bits):
    """Percent of perplexity: the mean over draws, and the interval over documents of the first."""
    runs = runs_of(method, bits)
    if not runs:
        return ""
    draws = f"; draws {min(r['percent'] for r in runs):.2f} to {max(r['percent'] for r in runs):.2f}" if len(runs) > 1 else ""
    middle, low, high = (round(v, 2) + 0 for v in (np.mean([r["percent"] for r in runs]), *runs[0]["interval"]))
    return f"{middle:.2f} ({low:.2f} to {high:.2f}{draws})"


table([{"method": name, **{f"{b} bits": told(method, b) for b in (8, 4, 3, 2)}} for method, name in NAMES.items()],
      caption=f"perplexity, % more than the {bases['full']['5m']['perplexity']:.1f} of the 5m model in full; 95 % interval over documents (of the first draw, where there are three); groups of 32")
percent = lambda method, bits: np.mean([run["percent"] for run in runs_of(method, bits)])
int8 = max(run["interval"][1] for run in bases["methods"] if run["bits"] == 8)
int4 = max(run["interval"][1] for run in bases["methods"] if run["bits"] == 4)
print(f"upper ends of the intervals, worst method: 8 bits {int8:.2f} %, 4 bits {int4:.2f} %")
print("output error, all layers, 4 bits: " + ", ".join(f"{NAMES[m]} {runs_of(m, 4)[0]['output_error']:.1e}" for m in ("absmax", "rtn", "nf4")))

# %% tags=["diagram"]
fig, (left, right) = panels(2, titles=["5m, groups of 32", "four sizes, groups of 16"], height=3.0)
for method in ("absmax", "rtn", "awq", "gptq"):
    at = [b for b in (2, 3, 4, 5, 8) if runs_of(method, b)]
    left.plot(at, [np.mean([max(r["percent"], 0.003) for r in runs_of(method, b)]) for b in at], "o-", markersize=4, label=NAMES[method])
left.set(yscale="log", xlabel="bits", ylabel="perplexity, % more")
left.legend(fontsize=8)
for b, mark in ((4, "o-"), (3, "s-")):
    rows_ = sorted((run for run in bases["sizes"] if run["bits"] == b), key=lambda run: run["parameters"])
    middle = np.array([run["percent"] for run in rows_])
    spread = np.abs(np.array([run["interval"] for run in rows_]).T - middle)
    right.errorbar([run["parameters"] / 1e6 for run in rows_], middle, yerr=spread, fmt=mark, capsize=2, markersize=4, label=f"{b} bits")
right.set(xscale="log", yscale="log", xlabel="parameters (million)")
right.set_xticks([0.3, 1, 3, 5], ["0.3", "1", "3", "5"])
right.set_yticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
right.minorticks_off()
right.legend(fontsize=8)
by_size = {b: {run["size"]: run["percent"] for run in bases["sizes"] if run["bits"] == b} for b in (4, 3)}
show(fig, alt="Left: growth of perplexity against bits for four methods on the 5m model. Right: by round to nearest on four sizes, " + "; ".join(f"{b} bits: " + ", ".join(f"{size} {value:.2f} %" for size, value in found.items()) for b, found in by_size.items()) + ".")

# %% [markdown]
# Eight bits cost hundredths of a percent at most, four between half a percent and one and a half, three a few (with a symmetric grid eight), and then it becomes steep: two bits cost a fifth with GPTQ, nearly a third by plain rounding, and with a symmetric grid, which has three levels left, the model. Larger models of the ladder lose less at the same bits, as is reported of large ones; at 4 bits the intervals of neighbours overlap, and there is one model of each size. One row is odd. NF4 has a *larger* output error than asymmetric rounding, in part IV's four layers and over all of them, half a bit less to store, and yet costs less perplexity. The output error of a layer is what these methods can see, and still not the thing itself.
#
# Groups decide as well, and so does what is *not* rounded. In a model as small as ours the embedding is a good part of all parameters:

# %% tags=["figure"]
body = 1e-6 * bases["groups"][0]["weights"]
parts_ = [{"rounded to 4 bits": f"body, {'a row' if run['group_size'] == 'channel' else 'one scale' if run['group_size'] == 'tensor' else 'groups of ' + str(run['group_size'])}" + (", GPTQ" if run["method"] == "gptq" else ""), "bits a weight": run["bits_per_weight"], "perplexity, % more": f"{run['percent']:.2f} ({run['interval'][0]:.2f} to {run['interval'][1]:.2f})"} for run in bases["groups"]]
parts_ += [{"rounded to 4 bits": f"body, groups of 32, and head to {run['head']} bits", "bits a weight": run["bits_per_weight"], "perplexity, % more": f"{run['percent']:.2f} ({run['interval'][0]:.2f} to {run['interval'][1]:.2f})"} for run in bases["heads"]]
table(parts_, caption=f"5m model, round to nearest unless said; the body holds {body:.1f} of {1e-6 * bases['groups'][0]['parameters']:.1f} million parameters")

# %% [markdown]
# Small groups are the dear way: at groups of 8 one stores nearly as many bits as Q8_0 does, and loses more. A whole row under one scale, with GPTQ (one draw), needs nearly a bit less than groups of 32 without, and came out better; one scale for a matrix is out of the question. And 4 bits for the head cost about half of what 4 bits for everything else together do, while 8 bits for it cost nothing that could be seen: hence the mixture that fast decoders use.
#
# ### Read it yourself
#
# What does a percent look like? The same prompt, greedily continued; the model is rounded anew as you move the slider. (The 5m model knows a good deal about Wikipedia's tone and little about the world, before any rounding.)

# %% tags=["diagram"]
def continued(bits=4, method="round to nearest", start="The film was directed by"):
    model = copy.deepcopy(big)
    if bits < 16:
        chosen = {"round to nearest": "rtn", "GPTQ": "gptq", "AWQ": "awq"}[method]
        quantize_model(model, chosen, bits=bits, form="simulated", calibration=None if chosen == "rtn" else calibration)
    ids = [end, *tokenizer.encode(start)]
    written = tokenizer.decode(generate(model, ids, max_new_tokens=28, greedy=True))
    return f"{bits} bits, {method}:\n{start}{written}\n"


explore(continued, bits=[16, 8, 4, 3, 2], method=["round to nearest", "GPTQ", "AWQ"],
        start=["The film was directed by", "The river rises in", "Once upon a time there was a"],
        panels=[dict(bits=b, method="round to nearest", start="The film was directed by") for b in (16, 4, 2)])

# %% tags=["diagram"]
texts_ = recorded("quantization_texts")["results"]["smollm2"]
table([{"SmolLM2, body in": "as published" if b == "None" else f"{b} bits", **{q: reply.replace("\n", " ").strip() for q, reply in found["replies"].items()}, "KL (nats)": f"{found['kl']:.3f}", "same best token": f"{100 * found['same']:.0f} %"} for b, found in texts_.items()],
      caption="recorded: greedy replies, cut at 28 tokens; divergence from the model as published, over 256 tokens of prose")

# %% [markdown]
# SmolLM2's row of 4 bits is no feat: its weights lay on that very grid, nothing was rounded, and a divergence of zero is not a quality of 4 bits. Three bits ruin it, by this simplest of methods: a nat and a half of divergence, where the 5m model lost a few percent of perplexity, hundredths of a nat. (Its inputs have outliers and its weights stood on a coarser grid already; which of the two it is, we did not find out.) Text is a poor instrument here. Above, 4 bits (about a percent) left our 5m model's words as they were, and while it stays grammatical nobody can see a percent of perplexity in it, and where one can see something the number has long said so.
#
# ### A model that was trained by others, and a task
#
# MiniLM (22.7 million parameters, published in 32 bits) turns texts into vectors. *Recorded*: the output error of its layers on passages that calibrated nothing; how far its sentence vectors move; and a task, to find for a question the passage that it was asked about.

# %% tags=["diagram"]
mini = recorded("quantization_minilm")["results"]
mini_of = lambda method, bits, what: [run[what] for run in mini["runs"] if (run["method"], run["bits"]) == (method, bits)]
ratio = {(m, b): [e / mini_of("rtn", b, "error")[0] for e in mini_of(m, b, "error")] for m in ("awq", "gptq") for b in (4, 3, 2)}
moved = {(m, b): [e / mini_of("rtn", b, "moved")[0] for e in mini_of(m, b, "moved")] for m in ("awq", "gptq") for b in (4, 3, 2)}


def cell(method, bits):
    found = mini_of(method, bits, "recall")
    low, high = next(run["interval"] for run in mini["runs"] if (run["method"], run["bits"]) == (method, bits))
    return f"{np.mean(found):.2f} ({low:.2f} to {high:.2f})"


say = lambda v: f"{np.mean(v):.2f} ({min(v):.2f} to {max(v):.2f})"
table([{"bits": b, "method": NAMES[m], "layers' error": f"{np.mean(mini_of(m, b, 'error')):.1e}", "÷ round to nearest": say(ratio[m, b]) if m != "rtn" else "", "1 − cosine": f"{np.mean(mini_of(m, b, 'moved')):.3f}", "÷ rtn": say(moved[m, b]) if m != "rtn" else "", "recall@1": cell(m, b)} for b in (4, 3, 2) for m in ("rtn", "awq", "gptq")],
      caption=f"in brackets the range over three calibration texts (one at 2 bits); layers' error on fresh passages; recall among {mini['passages']} passages over {mini['questions']} questions with a 95 % interval, in full {mini['full']['recall']:.2f}")
seen_3 = next(run for run in mini["runs"] if (run["method"], run["bits"], run["draw"]) == ("gptq", 3, 0))
amounts = sorted([*mini["amounts"], seen_3 | {"amount": 64}], key=lambda run: run["amount"])
plain_3 = mini_of("rtn", 3, "error")[0]
print("error on fresh passages over that on its own, 4 bits: " + ", ".join(f"{NAMES[m]} {np.mean(mini_of(m, 4, 'error')) / np.mean(mini_of(m, 4, 'error on its own')):.2f}" for m in ("awq", "gptq")))
by_text = {name: [run[key] / plain_3 for run in amounts] for name, key in (("fresh passages", "error"), ("its own", "error on its own"))}

# %% tags=["figure"]
curves(by_text, at=[run["amount"] for run in amounts], log="x", x="passages that GPTQ saw", y="error ÷ rtn, 3 bits", height=2.6, reference={"half": 0.5, "rtn": 1.0},
       alt="Error of MiniLM's layers at 3 bits after GPTQ, over that of rounding to nearest, against the passages it was calibrated on. " + " ".join(f"{name}: " + ", ".join(f"{v:.2f}" for v in values) + " at 4, 16, 64, 256." for name, values in by_text.items()))

# %% [markdown]
# Four things to notice. *The layers' error* is about halved by GPTQ at 4 bits and at 3, on text that it has not seen; AWQ gains less, and both gain in every draw. *Calibration can overfit*: GPTQ fits millions of weights to what it sees, and after four passages it is excellent on these four and worse than plain rounding on fresh ones. From sixteen on it pays, and with 256 the gap has nearly closed (one draw of each amount). AWQ, which fits one exponent for a layer, errs alike on its own passages and on fresh ones, and so does generalise better, as its authors say, from a larger error. *The vectors* follow the layers roughly: at 4 and 3 bits GPTQ's gain a little less than its layers do, AWQ's more.
#
# *And the task.* At 4 bits recall is what it was. It moves at 2 bits, and there it is AWQ that keeps most, although GPTQ's layers have the smaller error. The sentence vectors say the same as the task, so it is the layers' error that misleads here. We did not choose the measures after seeing that, and cannot explain it. One draw, one task: but it is a reason to look at the task before believing in an error.

# %%
poll("Of MiniLM in 4 bits the vectors have moved, and recall@1 is what it was. What follows?",
     ["the task does not resolve a change of this size, with so few questions and easy distractors", "4 bits lose nothing", "recall is the better measure, since it is what one wants", "the error of the layers was measured wrongly"],
     "A task measure answers only in steps: a vector that moves and still lies nearest changes nothing, until it does. That is good news for the user of this task and says nothing about a harder one. It moves at 2 bits, where any measure would. A measure without steps, as the cosine here or a language model's perplexity, notices long before.")

# %% [markdown]
# ## VI. Training with the rounding in place (*optional*)
#
# All methods so far take a trained model as it is. **Quantization-aware training** lets it adapt: the forward pass uses the rounded weights, the optimizer moves the exact ones. Rounding is a staircase, with slope 0 nearly everywhere, so nothing would be learned through it. The **straight-through estimator** (Bengio et al., 2013) pretends that its slope is 1.

# %%
def straight_through(weight, bits, group=32):
    """The rounded values, with the gradient of the identity."""
    return weight + (rounded(weight, bits, group, False) - weight).detach()


w = matrix.clone().requires_grad_()
straight_through(w, 2).square().sum().backward()
again = matrix.clone().requires_grad_()
fake_quantize(again, 2).square().sum().backward()
torch.testing.assert_close(w.grad, again.grad)
torch.testing.assert_close(w.grad, 2 * rounded(matrix, 2, 32, False))
print("ours = fake_quantize, values and gradients")

# %% tags=["diagram"]
aware = recorded("quantization_training")["results"]
kept = aware["chosen"]
of_seed = lambda who, key: [run[key]["percent"] for run in aware["runs"] if run["aware"] == who and run["lr"] == kept["aware 2" if who else "plain 2"] and key in run]
untouched = next(run for run in aware["runs"] if run["aware"] == 0)
shown = {"as it is, round to nearest": [untouched["report 2 rtn"]["percent"]], "as it is, GPTQ": [untouched["report 2 gptq"]["percent"]], "trained on, round to nearest": of_seed(None, "report 2 rtn"), "trained on, GPTQ": of_seed(None, "report 2 gptq"), "trained with 2-bit weights": of_seed(2, "report 2 rtn"), "trained on, not rounded": of_seed(None, "report")}
bars({name: v if len(v) > 1 else v[0] for name, v in shown.items()}, x="perplexity, % more than the model in full", fmt=".1f", height=2.9, highlight=["trained with 2-bit weights"],
     alt=f"Recorded: growth of perplexity of the {aware['size']} model at 2 bits, three seeds. " + " ".join(f"{name}: {np.mean(v):.0f} %." for name, v in shown.items()))

# %% [markdown]
# The control is what matters here: as many updates on the same text *without* rounding, at the better of the same two learning rates, and rounded afterwards. What the model gains by seeing its own rounding is the difference between these two, and at 2 bits it is large: less than half the damage, and clearly less than GPTQ's. (Its learning rate is the larger of the two that were tried, so more may be possible.) It costs a training run, gradients and optimizer and all, which is why 4 bits are nearly always reached without it. (Between the two stands QLoRA: keep the rounded weights, train an adapter beside them; lecture 14.)

# %% [markdown]
# ## VII. Speed: four bits are faster where nobody unpacks them into memory
#
# Lecture 04 promised speed. A model that writes reads *every* weight for *each* token, and does two operations with it. A processor core can do tens of operations in the time in which it gets four bytes from memory, so decoding waits for memory, and fewer bytes should mean more tokens: <!-- keeps: 15-faster-in-fewer-bits -->
#
# $$\text{tokens per second} \;\le\; \frac{\text{bytes per second from memory}}{\text{bytes of weights}} .$$

# %%
def seconds(work, times=5):
    """The least of several runs, in seconds of this process's own computing."""
    found = []
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


torch.set_num_threads(1)
bandwidth = 256e6 / seconds(torch.ones(64_000_000).sum)  # 256 MB: more than any cache
parameters = smol.num_parameters()
BYTES = {"fp32": 4, "bf16": 2, "8 bits (Q8_0)": 8.5 / 8, "4 bits (Q4_1)": 5 / 8}

# %% tags=["figure"]
table([{"weights in": name, "MB": f"{parameters * b / 1e6:.0f}", "ceiling, tokens/s": f"{bandwidth / (parameters * b):.0f}"} for name, b in BYTES.items()], caption=f"{parameters / 1e6:.0f} million parameters; this machine's memory gives one thread {bandwidth / 1e9:.0f} GB/s, measured just now (yours differs)")

# %% [markdown]
# So four bits could be six times as fast as 32. Will they be? Here is one large matrix times one vector, in several ways. *Unpacking* first turns the codes into floats and then multiplies, which is what a straightforward implementation does, and what any program has to do that lacks a kernel for the format. **Before you run the cell:** faster or slower than fp32, and by how much?

# %%
from llmlib.adapt import (Int4Linear, Int8Linear, QuantizedLinear,
                          blockwise_matmul_plain, fast_decoder)

layer = nn.Linear(2048, 8192, bias=False)               # 67 MB in fp32
q4 = quantize(layer.weight, 4, 32, scale_dtype=torch.float16)
q8 = quantize(layer.weight, 8, "channel", symmetric=True)
forms = {"fp32": layer, "4 bits, unpacked each time": QuantizedLinear(layer, q4),
         "8 bits, torch's kernel": Int8Linear(layer, q8),
         "4 bits, torch's kernel": Int4Linear(layer, q4)}
x = torch.randn(1, 2048)
with torch.inference_mode():
    took = {name: seconds(partial(form, x), 7) for name, form in forms.items()}
stored = {"fp32": 4, "4 bits, unpacked each time": 5 / 8, "8 bits, torch's kernel": 1,
          "4 bits, torch's kernel": 5 / 8}
for name, each in took.items():
    read = stored[name] * layer.weight.numel() / each / bandwidth
    print(f"{name:27} {took['fp32'] / each:5.2f} times as fast as fp32; its weights "
          f"come at {read:4.0%} of memory's rate")

# %% [markdown]
# Unpacking loses badly: the floats are written to memory and read again, which is the very traffic that was to be saved, and ours goes over the matrix several times. (By how much it loses is a matter of this implementation.) A kernel that unpacks a few weights at a time, in registers, gains. But look at the last column: its weights come at a smaller share of memory's rate than fp32's do. It is busy turning codes into floats, and presumably waits for *arithmetic* now.
#
# The way out is not to unpack at all. Round the *activations* to 8 bits as well, 32 at a time, each block with a scale $s_x$ of its own. Then a block's contribution to an output is
#
# $$\sum_{i} (s_w q_i + m)\, s_x p_i \;=\; s_x s_w \sum_i q_i\, p_i \;+\; s_x\, m \sum_i p_i ,$$
#
# and both sums are over small *integers*. One instruction of a present-day processor multiplies 64 pairs of 8-bit integers and adds them up in fours. Floats appear once for 32 weights. llama.cpp does it so. The activations have a scale for each 32 as well, so that an outlier spoils 31 neighbours and not a whole token (part III).

# %%
def integer_product(x, q):
    """x W^T for Q4_1 blocks: codes times codes, scales afterwards."""
    blocks = x.view(-1, 32)                             # (n_in / 32, 32)
    s_x = blocks.abs().amax(1, keepdim=True) / 127
    p = (blocks / s_x).round().to(torch.int32)
    codes = q.codes.view(len(q.codes), -1, 32).to(torch.int32)
    dots = (codes * p).sum(-1)                          # integers: (n_out, n_in / 32)
    y = q.scale.float() * dots + q.offset.float() * p.sum(-1)
    return (y * s_x[:, 0]).sum(1)


blockwise = quantize_q4_1(layer.weight[:256])
with torch.no_grad():
    exact = blockwise.dequantize() @ x[0]
    integers = integer_product(x[0], blockwise)
torch.testing.assert_close(integers, blockwise_matmul_plain(x, blockwise)[0],
                           rtol=1e-3, atol=1e-3)
of_weights = output_error(layer.weight[:256], blockwise.dequantize())
print(f"ours = blockwise_matmul_plain; error from rounding x to 8 bits, in blocks: "
      f"{output_error(exact[None], integers[None]):.1e} of the output; "
      f"from 4-bit weights: {of_weights:.1e}")

# %% [markdown]
# ### SmolLM2, four times
#
# The library's `fast_decoder` packs a model once and writes with a static cache. `kernels="torch"` takes torch's own products; with `"auto"` a page of C is compiled at first use, if there is a compiler, that does what `integer_product` does, 64 pairs at a time. Body in 4 bits, head in 8. What it gains is measured here, on your machine, in one and the same cell.

# %% tags=["diagram"]
asked = smol_tokenizer.encode("The sky is blue because")
passage = smol_tokenizer.encode(parts["report"][1].text)[:48]
with torch.no_grad():
    wanted = smol(torch.tensor([passage]))[0]
WATTS, MORE = 15, 10                                    # of one busy core: an assumption


def tried(name, weights, kernels):
    """-> what to tell of a decoder; its memory is free afterwards."""
    decoder = fast_decoder(smol, weights, kernels=kernels, max_len=128)
    write = partial(decoder.generate, asked, greedy=True)
    write(max_new_tokens=2)
    each = (seconds(partial(write, max_new_tokens=2 + MORE), 2) - seconds(partial(write, max_new_tokens=2), 2)) / MORE
    decoder.truncate(0)
    quality[name] = distillation_kl(decoder.read(passage, last=len(passage)), wanted).mean().item()
    return name, decoder.kernels, decoder.nbytes, decoder.bytes_per_token, each


quality = {}
decoding = [tried(*each) for each in (("fp32", "fp32", "torch"), ("bf16", "bf16", "torch"), ("4 bits, torch", "int4", "torch"), ("4 bits, integers", "int4", "auto"))]
first = decoding[0][-1]
table([{"weights": name, "kept, MB": f"{kept / 1e6:.0f}", "read for a token, MB": f"{read / 1e6:.0f}", "speed": f"{first / each:.1f} ×", "of memory's ceiling": f"{100 * read / each / bandwidth:.0f} %", "KL, nats": f"{quality[name]:.3f}", "mJ a token (estimate)": f"{1000 * WATTS * each:.0f}"} for name, _, kept, read, each in decoding],
      caption=f"one thread, against the same decoder in fp32 ({1 / first:.0f} tokens/s here); KL to the model in fp32, 48 tokens; energy if a busy core draws {WATTS} W")
print(decoding[-1][1])
saving = first / decoding[-1][-1]

# %% [markdown]
# Read the ceiling's column first. With torch's kernel 4 bits are faster than fp32, and farther from what memory would allow. With integers the decoder came about as near to the ceiling as fp32 does, in our run, at less than a fifth of the bytes; what it costs in quality, mostly for the head in 8 bits and the activations, is the divergence in the table. (SmolLM2's body was in 4 bits already.) Torch's variant *keeps* more than it reads, since it holds a 16-bit copy for reading prompts, where many tokens share a weight and arithmetic decides. No energy was measured: the last column is the time once more, multiplied by an assumed 15 watts, and on a phone or a GPU the numbers are others.
#
# Where the compiler or the instruction is missing, your last line says so and the table's last rows are alike. How it compares with other programs, llama.cpp among them, each rate beside its ceilings of the same run, `benchmarks/decode_speed.py` measures and `benchmarks/README.md` keeps.

# %% [markdown]
# ### Draft and check
#
# There is another way to read the weights less often. Where memory is what one waits for, reading *five* tokens takes hardly longer than reading one, since the weights come once either way; that is how prompts are read so fast. Writing is slow because each token must be known before the next. **Speculative decoding** (Leviathan et al., 2023; Chen et al., 2023) lets something cheap guess: a small model, the *draft*, writes a few tokens ahead, and the large one, the *target*, reads them in one pass and keeps what it would have written itself.
#
# "Would have written" is to be taken exactly. Let $q$ be the draft's distribution at some place and $p$ the target's. The draft drew $x$. Keep it with probability $\min(1, p(x)/q(x))$; otherwise draw from what $p$ has and $q$ lacks, $r(x) \propto \max(0, p(x) - q(x))$. Then a token comes out with probability
#
# $$q(x) \min\!\Big(1, \frac{p(x)}{q(x)}\Big) + \Big(1 - \sum_y \min(p(y), q(y))\Big)\, r(x) \;=\; \min(p(x), q(x)) + \max(0, p(x) - q(x)) \;=\; p(x) ,$$
#
# because the chance of a rejection, $1 - \sum \min(p, q)$, is just what normalises $r$. Whatever the draft, the target's distribution comes out; a bad draft costs time.

# %%
def draft_and_check(p, q, n, generator):
    """n tokens from p, made of draws from q: -> tokens (n,), share that was kept."""
    draw = lambda d: torch.multinomial(d, n, replacement=True, generator=generator)
    drafted = draw(q)
    keep = torch.rand(n, generator=generator) < (p / q)[drafted]
    residual = (p - q).clamp_min(0)
    redrawn = draw(residual) if residual.sum() > 0 else drafted
    return torch.where(keep, drafted, redrawn), keep.float().mean().item()

# %% tags=["diagram"]
target_p = torch.tensor([0.40, 0.25, 0.20, 0.10, 0.05])


def one_place(draft="sloppy"):
    other = {"good": [0.36, 0.27, 0.20, 0.12, 0.05], "sloppy": [0.15, 0.25, 0.15, 0.30, 0.15], "wrong": [0.02, 0.03, 0.05, 0.30, 0.60]}[draft]
    draft_q = torch.tensor(other)
    tokens, kept_ = draft_and_check(target_p, draft_q, 50_000, torch.Generator().manual_seed(0))
    seen_ = tokens.bincount(minlength=5) / len(tokens)
    fig, ax = plt.subplots(figsize=(3.4, 2.5))
    for shift, values, color, name in ((-0.27, draft_q, "#bbbbbb", "draft q"), (0, target_p, "#0072B2", "target p"), (0.27, seen_, "#D55E00", "what came out")):
        ax.bar(np.arange(5) + shift, values, 0.26, color=color, label=name)
    ax.set(xlabel="token", ylabel="probability", title=f"{draft} draft: {100 * kept_:.0f} % kept\n(Σ min(p, q) = {torch.minimum(target_p, draft_q).sum():.2f})")
    ax.set_ylim(0, 0.85)
    ax.legend(fontsize=7.5, loc="upper center", ncol=1)
    return fig


explore(one_place, draft=["good", "sloppy", "wrong"], panels=["good", "sloppy", "wrong"],
        alt=lambda draft: f"Probabilities of five tokens under a {draft} draft, under the target, and among 50,000 tokens that drafting and checking gave: the last two agree.")

# %% [markdown]
# The orange bars are the blue ones, however wrong the grey ones. Now with models: the 0.3m base model drafts for the 5m one; and as a draft without any model, *lookup*, which proposes what followed the last time the same tokens stood in the text (Saxena, 2023).

# %%
from llmlib.infer import PromptLookup, speculative_generate

little, _ = load_base("0.3m", device="cpu")
passages = [[end, *tokenizer.encode(each.text)][:24] for each in parts["report"][:3]]
story = tokenizer.encode("The old house stood by the river, and nobody had lived in it "
                         "for years. ")
copying = [[end, *story, *story, *story[:6]]]            # a text that repeats itself
N = 24


def with_draft(draft, prompts, **settings):
    """-> share accepted, tokens for each pass of the target, speed over plain."""
    generator = torch.Generator().manual_seed(0)
    plain = seconds(lambda: [generate(big, ids, max_new_tokens=N, **settings)
                             for ids in prompts], 1)
    start = time.process_time()
    runs = [speculative_generate(big, draft, ids, N, generator=generator, **settings)
            for ids in prompts]
    speed = plain / (time.process_time() - start)
    proposed, accepted = (sum(getattr(r, what) for r in runs)
                          for what in ("proposed", "accepted"))
    passes = sum(r.target_passes for r in runs)
    return accepted / max(1, proposed), sum(len(r.tokens) for r in runs) / passes, speed

# %% tags=["diagram"]
trials = {("0.3m", "prose, greedy"): with_draft(little, passages, greedy=True), ("0.3m", "prose, sampled"): with_draft(little, passages, temperature=1.0),
          ("lookup", "prose, greedy"): with_draft(PromptLookup(), passages, greedy=True), ("lookup", "a text that repeats itself"): with_draft(PromptLookup(), copying, greedy=True)}
table([{"draft": draft, "text": text, "accepted": f"{100 * a:.0f} %", "tokens a pass of the target": f"{per:.1f}", "speed": f"{speed:.1f} ×"} for (draft, text), (a, per, speed) in trials.items()],
      caption=f"{N} tokens each, 4 proposed at a time; speed against writing alone, on this machine in this run")
alone = [generate(big, ids, max_new_tokens=N, greedy=True) for ids in passages]
drafted = [speculative_generate(big, little, ids, N, greedy=True).answer for ids in passages]
print(f"greedy texts that are word for word the target's: {sum(a == b for a, b in zip(alone, drafted))} of {len(passages)}")

# %% [markdown]
# Passes are saved as promised (three short prompts, and one that repeats itself: the shares are rough); whether *time* is, depends on what a pass costs. Our 5m model is 21 MB in 32 bits and may stay in a cache, so that memory is hardly what it waits for; and a draft of a seventeenth of its size is not seventeen times as fast, as each step has costs that do not shrink with the model. On large ones, where one pass of the target takes as long as many of the draft, tokens a pass are reported to become speed. (Greedily the text is the target's own, up to rounding. Sampled, it differs from run to run, as it does without a draft; it is the distribution that is the same.)

# %%
poll("Somebody simplifies the algorithm: a rejected token is replaced by a draw from the target's p itself, not from what p has and q lacks. What comes out?",
     ["tokens that the draft overrates come out too often", "the target's distribution all the same, only slower", "tokens that the draft underrates come out too often, since only they replace rejected ones", "the draft's distribution wherever the two differ"],
     "A token with q(x) > p(x) is kept with probability p(x) in all, which is its full share. A chance of rejection R then adds R p(x) on top: p(x) (1 + R). Those that the draft underrates get, in sum, so much too little. That is why the replacement must come from p − q where it is positive, and from nowhere else.")

# %% [markdown]
# ## VIII. Distillation
#
# Day 24's other question: "can we achieve similar results with smaller models?" A label says which token came next. A large model, asked at the same place, says how likely *each* of the vocabulary's tokens was: that "river" was possible too, and "the" was not. **Distillation** (Hinton et al., 2015) trains a small model, the *student*, on these **soft targets** of a *teacher*.

# %% tags=["diagram"]
prefix = "It is one of the largest cities in the United"
with torch.no_grad():
    logits = big(torch.tensor([[end, *tokenizer.encode(prefix)]]))[0, -1]
top = logits.topk(7).indices
names_ = [tokenizer.decode([i]).strip() or "·" for i in top.tolist()]
fig, axes = panels(3, titles=["T = 1", "T = 1.5", "T = 2"], share_y=True, height=2.6)
for ax, temperature in zip(axes, (1, 1.5, 2)):
    ax.bar(names_, (logits / temperature).softmax(-1)[top], color="#0072B2")
    ax.tick_params(axis="x", rotation=60, labelsize=8)
    ax.set(xlabel="next token", ylabel="probability" if temperature == 1 else "")
entropies = {t: (-(p := (logits / t).softmax(-1)) * p.log()).sum().item() for t in (1, 1.5, 2)}
show(fig, alt=f"What the 5m model expects after '{prefix}', its seven likeliest tokens at temperatures 1, 1.5 and 2; entropy " + ", ".join(f"{e:.1f} nats at T = {t}" for t, e in entropies.items()) + ".")

# %% [markdown]
# A **temperature** $T$ above 1 flattens both distributions, and lets the small probabilities speak, of which there are four thousand here. With teacher $p_T = \operatorname{softmax}(z^{\text{teacher}} / T)$ and student $q_T$ the loss is
#
# $$L = w\, T^2\, \mathrm{KL}(p_T \,\|\, q_T) + (1 - w)\, \mathrm{CE}(\text{label}, q_1) .$$
#
# **Why $T^2$?** Lecture 00 asked you for the gradient of a cross-entropy with soft targets. It is $\partial\, \mathrm{CE} / \partial z_k = (q_{T,k} - p_{T,k}) / T$: the difference of two probabilities, as always, and a factor $1/T$ because logits were divided by $T$. And flattened distributions differ less, by another $1/T$ about. So the gradient shrinks as $1/T^2$, and the balance with the labels' term would tip with every change of $T$. <!-- keeps: 15-soft-targets -->

# %%
def soft_loss(student, teacher, T):
    """T^2 KL(teacher || student) at temperature T: (..., V) twice -> (...)."""
    q, p = (student / T).log_softmax(-1), (teacher / T).log_softmax(-1)
    return T**2 * (p.exp() * (p - q)).sum(-1)


g = torch.Generator().manual_seed(0)
teacher_z = torch.randn(4096, generator=g)
student_z = torch.randn(4096, generator=g).requires_grad_()
for T in (1.0, 2.0, 5.0, 20.0):
    torch.testing.assert_close(soft_loss(student_z, teacher_z, T),
                               distillation_kl(student_z, teacher_z, T))
    slope, = torch.autograd.grad(soft_loss(student_z, teacher_z, T), student_z)
    by_formula = T * ((student_z / T).softmax(-1) - (teacher_z / T).softmax(-1))
    torch.testing.assert_close(slope, by_formula.detach(), rtol=1e-3, atol=1e-7)
    print(f"T = {T:4.0f}: gradient's length with T^2 {slope.norm():.4f}, "
          f"without {slope.norm() / T**2:.6f}")

# %% [markdown]
# ### Which way round?
#
# Lecture 00 announced that the direction of the divergence would decide how a model behaves. $\mathrm{KL}(p \,\|\, q)$, *forward*, averages over what the *teacher* does: wherever $p$ has mass, $q$ must have some, or the logarithm explodes. $\mathrm{KL}(q \,\|\, p)$, *reverse*, averages over what the *student* does: it must not go where $p$ has nothing, and may leave things out. A student too small to be like its teacher has to choose. Below, the teacher has two peaks, and the student is allowed a single bump. <!-- keeps: 15-direction-of-kl -->

# %% tags=["diagram"]
grid = torch.linspace(-6, 6, 241)


def bump(mean, log_width):
    return (-0.5 * ((grid - mean) / log_width.exp()) ** 2).log_softmax(0)


def fitted(direction="forward", second_peak=0.35):
    a, b = ((-0.5 * ((grid - at) / 0.7) ** 2).softmax(0) for at in (-2.0, 2.5))
    p = ((1 - second_peak) * a + second_peak * b).log()
    best = None
    for begin in (-2.0, 0.5, 2.5):                       # the best of three starts
        theta = torch.tensor([begin, 0.0], requires_grad=True)
        optimizer = torch.optim.Adam([theta], lr=0.08)
        for _ in range(120):
            loss = distillation_kl(bump(theta[0], theta[1]), p, divergence=direction)
            optimizer.zero_grad(), loss.backward(), optimizer.step()
        if best is None or loss < best[0]:
            best = loss.detach(), bump(*theta.detach())
    fig, ax = plt.subplots(figsize=(3.5, 2.4))
    ax.fill_between(grid, p.exp(), color="#88bbdd", label="teacher")
    ax.plot(grid, best[1].exp(), color="#D55E00", label="student")
    ax.set(xlabel="outcome", ylabel="probability", title=f"{direction}, second peak {second_peak:.2f}")
    ax.legend(fontsize=8)
    return fig


explore(fitted, direction=["forward", "reverse"], second_peak=(0.05, 0.5, 0.15),
        panels=[dict(direction="forward", second_peak=0.35), dict(direction="reverse", second_peak=0.35)],
        alt=lambda direction, second_peak: f"A teacher with two peaks and a student with one bump, fitted by {direction} KL: " + ("a broad bump over both peaks." if direction == "forward" else "a narrow bump on the larger peak."))

# %% [markdown]
# Forward covers both and puts its middle where the teacher has next to nothing; reverse settles on one peak and does that well. For a model that *writes*, forward means that it will now and then say what the teacher would not; reverse, that it will say less than the teacher could. (In lecture 13 the policy's leash was the reverse one. Policies lost variety there as well, but a reward was pulling at them too.)
#
# ### Four ways to learn from a teacher

# %% tags=["diagram"]
d = Diagram(12, 4.0)
for x, title in ((2.6, "whose text"), (6.6, "what the teacher gives"), (10.4, "name")):
    d.label(x, 3.75, title, bold=True, size=11)
for y, (text, gives, name, color) in zip((3.1, 2.3, 1.5, 0.7), (("given text", "its probabilities", "logit distillation", "blue"), ("given text", "its hidden states too", "feature distillation", "green"), ("the teacher's own", "the text, nothing else", "sequence level", "orange"), ("the student's own", "its probabilities", "on-policy", "sky"))):
    a, b = d.box(2.6, y, text, w=3.2, h=0.6, color=color, size=10.5), d.box(6.6, y, gives, w=3.7, h=0.6, color=color, size=10.5)
    d.arrow(a.right, b.left)
    d.label(10.4, y, name, size=11)
d.show(alt="Four ways: on given text the teacher's probabilities (logit distillation), or its hidden states too (feature distillation); on the teacher's own text nothing but the text (sequence level); on the student's own text the teacher's probabilities (on-policy).")

# %% [markdown]
# *Sequence level* (Kim and Rush, 2016) needs no probabilities, and not even the same vocabulary: let the teacher write, train on it as on any text. So were DeepSeek's "distilled" models made: Qwen and Llama models fine-tuned on 800,000 samples that R1 had written or helped to select. *On-policy* (Agarwal et al., 2024; Gu et al., 2024) lets the student write and the teacher judge each token, for a student that has only seen others' texts has never seen its own mistakes.
#
# ### Before your eyes
#
# A student of two layers, from scratch, forty updates of 512 tokens: once from labels, once from the 1m base model (`DistillationLoss` with $w = 1$, $T = 1$). As the teacher's pass and the comparison of whole vocabularies cost time, there is a third: labels alone for as long as the teacher's run *took*.

# %%
train_rows = rows_of(parts["train"][:800], 1600, 65)
report_rows = rows_of(parts["report"][:100], 200, 65)
small = ModelConfig(4096, 2, 48, 3, d_ff=128, max_seq_len=64, init_std=0.08)


def learn(loss=None, updates=40, seed=0):
    """-> nats per token on held-out text, seconds of training."""
    torch.manual_seed(seed)
    student = Transformer(small)
    order = torch.randperm(len(train_rows),
                           generator=torch.Generator().manual_seed(seed))
    batches = [(train_rows[i, :-1], train_rows[i, 1:])
               for i in order.split(8)[:updates]]
    config = TrainConfig(steps=len(batches), optimizer="muon", lr=0.02,
                         embedding_lr=0.02, vector_lr=0.005, betas=(0.8, 0.95),
                         weight_decay=0.0, warmup_steps=5, schedule="wsd",
                         decay_fraction=0.6, final_lr=0.0, device="cpu",
                         progress=False, seed=seed)
    start = time.process_time()
    Trainer(student, config, batches, **({"loss": loss} if loss else {})).run()
    took = time.process_time() - start
    with torch.no_grad():
        logits = student.eval()(report_rows[:, :-1]).flatten(0, 1)
    return F.cross_entropy(logits, report_rows[:, 1:].flatten()).item(), took


from_labels = learn()
from_teacher = learn(DistillationLoss(tiny, temperature=1.0, weight=1.0))
longer = min(200, round(40 * from_teacher[1] / from_labels[1]))
same_time = learn(updates=longer)
print(f"labels {from_labels[0]:.1f} nats a token, the teacher's probabilities "
      f"{from_teacher[0]:.1f}, labels for the same time ({longer} updates) "
      f"{same_time[0]:.1f}")

# %% [markdown]
# With the same forty updates the teacher's student is ahead, and by much: each place in the text tells it four thousand numbers where a label is one. Against the same *computing time* less is left of the lead, because the teacher must be run as well. This is one seed, one learning rate for both that nobody tuned, and a very short run, far from where either student would end. And the teacher is no neutral judge: the base models were trained on this very text, and on much besides.

# %% [markdown]
# ### With more care
#
# *Recorded*: a student of the 0.3m model's shape with the 3m model, eight times its size, as its teacher, 160 updates of 2,048 tokens. The text is read once ("plenty"), or a twelfth of it twelve times ("little"). Every way has the best of three learning rates, chosen by one run of half the length on plenty of text, by other documents; with little text and for twice the updates the same rates serve. Look for two controls: labels alone with *twice* the updates and twice the text, and, under the figure, what an update with a teacher costs. What no control here takes away: **the teacher has read the student's training text**, twice, and several times as much other text.

# %% tags=["diagram"]
learned = recorded("distillation")["results"]
WAYS = ("labels", "teacher, T=1", "teacher and labels, T=2", "teacher and hidden states")
of_way = lambda amount, way: [run[way][0] for run in learned[amount]]
plenty = {"labels": of_way("plenty", "labels"), "labels, twice as long": [run[0] for run in learned["twice"]], **{way: of_way("plenty", way) for way in WAYS[1:]}}
scarce = {way: of_way("little", way) for way in WAYS}
teacher_bits = learned["teacher"][0]
closed = (np.mean(plenty["labels"]) - np.mean(plenty["teacher, T=1"])) / (np.mean(plenty["labels"]) - teacher_bits)
grown = recorded("base_models")["results"]["sizes"]     # the same shapes, trained on labels for longer
work = 1 + 2 * grown["3m"]["parameters"] / (6 * grown["0.3m"]["parameters"])
longer_text = grown["0.3m"]["tokens"] / (160 * 2048)
bars(plenty | {f"little text: {way}": v for way, v in scarce.items()}, x="bits per byte (report)", height=3.6, reference={"teacher": teacher_bits}, highlight=["labels", "little text: labels"],
     alt=f"Bits per byte on held-out documents, {len(learned['plenty'])} seeds, teacher {teacher_bits:.2f}. Plenty of text: " + ", ".join(f"{w} {np.mean(v):.2f}" for w, v in plenty.items()) + ". Little: " + ", ".join(f"{w} {np.mean(v):.2f}" for w, v in scarce.items()) + ".")
print(f"operations of an update with the teacher: {work:.1f} times those with labels alone\n(6 for each parameter of the student, 2 for each of the teacher)")
print(f"of the distance from labels alone to the teacher, its student has gone {100 * closed:.0f} %")
print(f"the base model of the student's shape, labels alone, {longer_text:.0f} times the tokens: {grown['0.3m']['report'][0]:.2f}\nthe teacher on the same documents (more than above): {grown['3m']['report'][0]:.2f}")

# %% [markdown]
# With the same text and updates, the distilled student beats its twin that saw labels alone, in every seed, and also the one with twice the updates. It is not the cheaper one: an update with the teacher costs nearly four times as much, and labels alone for *that* long we have not run. Nor is any of these students finished. The last lines say what labels alone make of the same shape with much more text: better than all of them. Distillation got farther in few updates; that it gets farther in the end is not shown here.

# %% [markdown]
# Where text is scarce the difference is far larger. Twelve readings of the same labels end far above one reading of twelve times the text, presumably because they were learned by heart. Nobody stopped them early or looked for a rate for this case, and either would have helped. The teacher's student reads the same few documents, but what it is told there was learned from all the others too. So the gap is not what probabilities are worth against labels *from the same text*.
#
# Hidden states help a little more, in every seed. Mixing labels in at $T = 2$ did worse than the teacher alone, but that changed temperature and weight at once. And every way with a teacher chose the *highest* of its three rates, so none of them is at its best, while labels alone chose the middle one. In this the comparison favours labels.
#
# ### On the student's own text
#
# The last question: a student that has learned so ("teacher, T=1") goes on for 60 updates in four ways, all at one rate that nobody tuned, a twentieth of the one it learned with. Bits per byte judge it on given text; the other columns on what it *writes*. The fourth way reads 32 texts of its own, 48 tokens each, for an update, the others 2,048 given tokens; what the writing costs is not counted.

# %% tags=["figure"]
mean_of = lambda way, what: np.mean([run[way][what][0] if what == "bits" else run[way][what] for run in learned["further"]])
table([{"goes on with": way, "bits per byte": f"{mean_of(way, 'bits'):.2f}", "KL(student ‖ teacher)": f"{mean_of(way, 'reverse_kl'):.2f}", "KL(teacher ‖ student)": f"{mean_of(way, 'forward_kl'):.2f}", "teacher's surprise at its text, nats": f"{mean_of(way, 'teacher_nats'):.2f}"} for way in learned["further"][0]],
      caption=f"recorded, mean of {len(learned['further'])} seeds; the last three columns on the student's own texts, 48 tokens at temperature 1; standard error of the last within a seed about {np.mean([each['standard_error'] for run in learned['further'] for each in run.values()]):.2f}")

# %% [markdown]
# Here is the direction of the divergence again, in a language model. Both reverse ways write text that the teacher finds less surprising, in each seed, and both give up something on given text, where the forward way gains: covering against choosing. (Less surprising is not the same as better: a text of commonplaces surprises nobody.)
#
# Whether the student reads its *own* text matters much less. Against reverse divergence on given texts it comes a little closer to the teacher by $\mathrm{KL}(\text{student} \,\|\, \text{teacher})$, in each seed; but that is the very number it was trained on. By the teacher's surprise it comes *no* closer: its text surprises a little more, in each seed, by one to two standard errors. So at this size and after so few updates on-policy distillation barely beats the same divergence on given texts, by its own measure alone, and not by the other.

# %% [markdown]
# ## Scale warning
#
# > **What this lecture's models can and cannot tell you.** Formats, packing, the second moment, the equality of what we built with the library's, the proof of speculative decoding and the gradient of distillation are the same at every size. How much perplexity a bit costs is not: our models have up to 5 million parameters, and larger ones are reported to lose less at 4 bits, while their outliers, which ours had to be given, make plain rounding of *activations* fail. Ours were planted by the very operation that AWQ inverts. SmolLM2 cannot be used to judge 4 bits at all. MiniLM's retrieval task is easy, with few questions. Our 5m model fits into a processor's cache, so its speeds say nothing about models that do not. All energies here are estimates. The distilled students made 160 updates, their teacher has read their text, and no run gave labels alone the same number of operations.
#
# ## Claims
#
# What the source lecture says about this topic, and what the papers say that it leans on, against what you have just computed.

# %%
claims_table([
    Claim("DeepSeek was able to create distilled and quantized models that only used 4 bits per parameter",
          "the linked model's card (2025): developers Neural Magic; DeepSeek-AI (2025) made the model before quantization",
          "two makers; not measured",
          "fails; DeepSeek distilled, Neural Magic quantized", source="day24"),
    Claim("only 4 bits per parameter (its link: an 8B model, w4a16)",
          "card: linear layers of the blocks only, groups of 128; size and memory \"approximately 75%\" less",
          f"{a_parameter:.1f} bits a parameter, {1 - w4a16 / full:.0%} less memory, from the shapes",
          "fails; embedding and head stay in 16 bits", source="day24"),
    Claim("can we use smaller representation of parameters?",
          "Dettmers et al. (2022), Frantar et al. (2023): 8 and 4 bits at little loss in large models",
          f"5m model, perplexity: 8 bits {percent('q8_0', 8):+.2f} %, 4 bits {percent('rtn', 4):+.1f} % "
          f"(GPTQ {percent('gptq', 4):+.1f} %), 2 bits {percent('gptq', 2):+.0f} %",
          "holds; down to 4 bits", source="day24", split="report"),
    Claim("quantized models, 4 bits (its link: by GPTQ)",
          "Frantar et al. (2023): negligible loss where rounding fails; Lin et al. (2023): AWQ generalises better",
          f"MiniLM, error on fresh text {np.mean(ratio['gptq', 4]):.2f} of rounding's at 4 bits, "
          f"{np.mean(ratio['gptq', 3]):.2f} at 3; planted outliers × {FACTORS[-1]}: GPTQ {np.mean(cost('gptq'), 0)[-1]:+.0f} % "
          f"perplexity, AWQ {np.mean(cost('awq'), 0)[-1]:+.1f} %",
          "holds; by layers' error, unless a few channels are very large", source="day24", split="report"),
    Claim("reducing climate impact: smaller representation of parameters",
          "no number given",
          f"SmolLM2, one thread, this run: fp32 takes {saving:.1f} times the computing time a token of 4 bits; no energy measured",
          "cannot be tested at this scale; decoding takes less time, energy is not measured", source="day24",
          rule=saving > 1),
    Claim("can we achieve similar results with smaller models?",
          "Hinton et al. (2015): a distilled small model beats the same one trained on labels",
          f"bits per byte, same size: labels {np.mean(plenty['labels']):.2f}, twice as long "
          f"{np.mean(plenty['labels, twice as long']):.2f}, distilled {np.mean(plenty['teacher, T=1']):.2f}; "
          f"teacher {teacher_bits:.2f}; an update with it costs {work:.1f} times the operations",
          f"cannot be tested at this scale; in 160 updates {100 * closed:.0f} % of the way to the teacher, ahead of its twin, at a higher cost", source="day24", split="report"),
])

# %% [markdown]
# ## Summary
#
# 1. A weight in few bits is a small integer, times a scale that a group shares. Each bit less about quadruples the squared error; small groups keep a large weight's damage among neighbours, and their scales are bits too.
# 2. What counts is the error of the layer's output, $\operatorname{tr}(\Delta H \Delta^\top)$. AWQ uses how large inputs are, GPTQ which of them go together; both need some text to look at.
# 3. In our full-precision models 8 bits cost next to nothing, 4 bits about a percent of perplexity, 3 bits a few, and 2 bits a fifth or more. Training with the rounding in place gets about half of the last back, in the 1m model.
# 4. Which method wins depends on outliers, and on what is measured. Ours are small; planted ones ruin rounding and GPTQ, and leave AWQ, which inverts just what was planted, unmoved. GPTQ halves the error of MiniLM's layers if it has seen enough text, and at 2 bits AWQ keeps more of the task. A model that was rounded before is no fair test.
# 5. "4-bit" models have more than 4 bits a parameter, and are faster where the codes are not turned into floats in memory. A kernel that unpacks in registers gains; integers times integers, block by block, gained more here.
# 6. Speculative decoding saves passes of the large model and changes nothing about what it says; whether it saves time depends on the costs of the two.
# 7. Soft targets say more per token than labels: in our recording the distilled student beat its twin, also the one with twice the text and updates, though at nearly four times the operations an update and with a teacher that had read the text. On-policy distillation hardly beat the same divergence on given texts. $T^2$ keeps the balance of the losses, and the direction of the divergence decides between covering and choosing.
#
# **Still unexplained.** Why do the inputs of large models have outliers at all, and ours so much smaller ones?
#
# ## Exercises
#
# *Lab 15* builds on this page.
#
# 1. By hand: round $0.6, -0.2, 0.1, 0.5$ to 3 bits, symmetric and asymmetric. Which has the smaller error, and for which four weights is it the other way round?
# 2. A format has 4-bit codes and, for each group of $g$ weights, a 16-bit scale and a 4-bit offset. From which $g$ on has it less than 4.5 bits a weight? What does part I say about choosing $g$ large?
# 3. Two inputs with correlation $-0.8$, weights $(0.4, 0.4)$, grid of whole numbers: what does GPTQ make of them, and at which error?
# 4. Show that `gptq` with $H = I$ is rounding to nearest. Then plant outliers in *one* layer and give it the order of the columns by falling $\mathbb{E}|x_j|$: does that mend what part III showed?
# 5. Rerun `experiments/quantization_outliers.py` with w8a8, but scales of activations per 32 channels, as `integer_product` has them. How much of the damage is left?
# 6. Draft and check with a draft that puts probability 0 on a token of the target. Does the proof still hold? And if the *target* puts 0 on what the draft proposes?
#
# ## Further reading
#
# Hassibi and Stork (1992), *Second order derivatives for network pruning: optimal brain surgeon*. Bengio, Léonard and Courville (2013), *Estimating or propagating gradients through stochastic neurons*. Hinton, Vinyals and Dean (2015), *Distilling the knowledge in a neural network*. Kim and Rush (2016), *Sequence-level knowledge distillation*. Dettmers et al. (2022), *LLM.int8(): 8-bit matrix multiplication for transformers at scale*. Xiao et al. (2022), *SmoothQuant*. Frantar et al. (2023), *GPTQ*. Lin et al. (2023), *AWQ*. Dettmers et al. (2023), *QLoRA*. Leviathan, Kalman and Matias (2023), *Fast inference from transformers via speculative decoding*. Chen et al. (2023), *Accelerating large language model decoding with speculative sampling*. Agarwal et al. (2024), *On-policy distillation of language models*. Gu et al. (2024), *MiniLLM: knowledge distillation of large language models*. DeepSeek-AI (2025), *DeepSeek-R1*. The ggml project, for its block formats.
