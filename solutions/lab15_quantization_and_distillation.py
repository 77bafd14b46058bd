# %% [markdown]
# # Lab 15 · A model in fewer bits
#
# You round the weights of a language model to a few bits, with one scale a row, with groups and a zero point, and column by column as GPTQ does; you pack the codes into bytes and count what the whole weighs. Then you measure what a base model of this course loses, and write the loss with which it can learn some of it back from what it was. You test a quantizer that somebody else wrote, and find out what went wrong in a run. About 130 minutes; 28 points: 25 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab15_quantization_and_distillation.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. You may use any tensor operation of PyTorch but its own quantizers, and not the library's (`llmlib.adapt`): those are the answer.
#
# In all questions `weight` (n_out, n_in) is the matrix of a linear layer, $y = Wx$: a **row** holds the weights of one output, and what it is multiplied by is added up. `bits` is a whole number from 2 to 8.

# %%
import copy
import math

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware import Stopwatch, as_number, check, my_run, setup_style, show
from llmlib.data import prose, recorded, split_documents

setup_style()
torch.manual_seed(0);

# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Question 1: absmax (2 points, difficulty 2, 10 minutes)
#
# Each row has one scale, and a weight becomes a whole number of scales:
#
# $$s = \frac{\max_j |w_j|}{2^{\text{bits}-1} - 1}, \qquad q_j = \mathrm{round}\!\left(\frac{w_j}{s}\right), \qquad w_j \approx s\,q_j.$$
#
# With 4 bits the codes $q$ go from -7 to 7, and the weight 0 stays exactly 0. A row of zeros has the scale 1. Return the codes (n_out, n_in), int8, and the scales (n_out,).

# %%
def absmax(weight: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    # BEGIN SOLUTION
    scale = weight.abs().amax(1) / (2 ** (bits - 1) - 1)
    scale = torch.where(scale == 0, 1.0, scale)
    return (weight / scale[:, None]).round().to(torch.int8), scale
    # END SOLUTION


check("lab15.q1", absmax)

# %% [markdown]
# ## Question 2: groups with a zero point (3 points, difficulty 3, 18 minutes)
#
# One large weight makes the steps of a whole row wide. So let `group_size` **neighbours in a row** share a scale. And weights need not lie evenly around zero, so let the codes go from 0 to $2^{\text{bits}} - 1$, with a **zero point** $z$, the code of the weight 0. For each group
#
# $$\text{low} = \min(0, \min_j w_j), \quad \text{high} = \max(0, \max_j w_j), \quad s = \frac{\text{high} - \text{low}}{2^{\text{bits}} - 1}, \quad z = \mathrm{round}\!\left(\frac{-\text{low}}{s}\right),$$
#
# $$q_j = \mathrm{clamp}\!\left(\mathrm{round}\!\left(\frac{w_j}{s}\right) + z,\ 0,\ 2^{\text{bits}} - 1\right), \qquad w_j \approx s\,(q_j - z).$$
#
# The zero point is a whole number, so 0 stays 0. A group of zeros has the scale 1. Where `group_size` does not divide n_in, raise a `ValueError`. Return the codes (n_out, n_in), uint8, the scales and the zero points, both (n_out, n_in / group_size). Two questions before you write: why in a row and not down a column? And when is something clamped at all?

# %%
def quantize_groups(
    weight: torch.Tensor, bits: int, group_size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    # BEGIN SOLUTION
    n_out, n_in = weight.shape
    if n_in % group_size:
        raise ValueError(f"group_size={group_size} does not divide {n_in}")
    groups, most = weight.reshape(n_out, -1, group_size), 2**bits - 1
    low, high = groups.amin(-1, keepdim=True).clamp(max=0), groups.amax(-1, keepdim=True).clamp(min=0)
    scale = (high - low) / most
    scale = torch.where(scale == 0, 1.0, scale)
    zero = (-low / scale).round()
    codes = ((groups / scale).round() + zero).clamp(0, most)
    return codes.to(torch.uint8).view(n_out, n_in), scale.squeeze(-1), zero.squeeze(-1)
    # END SOLUTION


check("lab15.q2", quantize_groups)

# %% [markdown]
# ## Question 3: nibbles (3 points, difficulty 3, 15 minutes)
#
# A computer has no 4-bit numbers: two codes share a byte. `pack` gets signed codes (n_out, n_in), int8 from -8 to 7, n_in even, and returns bytes (n_out, n_in / 2), uint8. Of two neighbours the **first** goes into the **low** half of the byte, the second into the high half, each as the lower four bits of its two's complement: -1 is `1111`, -8 is `1000`, 7 is `0111`. So the pair (-3, 5) becomes `0101 1101`, which is 0x5D or 93. `unpack` gets such bytes and returns the codes, int8. You need `&`, `|`, `<<` and `>>`. What does a negative code have in its upper bits?

# %%
class Nibbles:
    @staticmethod
    def pack(codes: torch.Tensor) -> torch.Tensor:
        # BEGIN SOLUTION
        four = codes.to(torch.int16) & 15
        return (four[:, ::2] | four[:, 1::2] << 4).to(torch.uint8)
        # END SOLUTION

    @staticmethod
    def unpack(packed: torch.Tensor) -> torch.Tensor:
        # BEGIN SOLUTION
        four = torch.stack([packed & 15, packed >> 4], -1).flatten(1).to(torch.int8)
        return torch.where(four > 7, four - 16, four)
        # END SOLUTION


check("lab15.q3", Nibbles)

# %% [markdown]
# ## Question 4: what it weighs (2 points, difficulty 2, 12 minutes)
#
# "A 4-bit model" has more than 4 bits a weight. `tensors` is a list of `(n_out, n_in, quantized)`. Those with `quantized=True` are stored row by row, and in each row
#
# * the codes, `bits` bits each, packed without gaps; the row then begins with a new byte;
# * for each group a scale of 16 bits. The last group may be shorter, where `group_size` does not divide n_in;
# * for each group a zero point of `bits` bits, those of a row packed without gaps, again in whole bytes.
#
# All other tensors keep 16 bits a number. Return `{"bytes": ..., "bits": ...}`: the bytes of everything, and the bits a weight, over all numbers in the list. By hand first: what are the bits a weight of a large matrix in 4 bits and groups of 32, and how many of them are codes?

# %%
def model_bytes(tensors: list[tuple[int, int, bool]], bits: int, group_size: int) -> dict[str, float]:
    # BEGIN SOLUTION
    total = numbers = 0
    for n_out, n_in, quantized in tensors:
        groups = math.ceil(n_in / group_size)
        row = math.ceil(n_in * bits / 8) + 2 * groups + math.ceil(groups * bits / 8)
        total += n_out * (row if quantized else 2 * n_in)
        numbers += n_out * n_in
    return {"bytes": total, "bits": 8 * total / numbers}
    # END SOLUTION


check("lab15.q4", model_bytes)

# %% [markdown]
# ## Question 5: a step of GPTQ (4 points, difficulty 4, 20 minutes)
#
# What counts is not how close the weights stay, but the outputs. Let $H$ (n, n) be the mean of $xx^\top$ over inputs of the layer; an error $e$ (n,) in a row of weights costs $e^\top H e$. Inputs that go together let one column make up for another. So round the columns one after the other, and after each let those that are not rounded yet move to where the cost is least.
#
# `left` (n_out, n) are the columns that are left, as corrected so far; `rounded` (n_out,) is what the first of them becomes; `inverse` (n, n) is the inverse of $H$ for these columns. With $\epsilon = w_0 - \hat w_0$, the error of the first column in each row, the best the others can do is
#
# $$w_j \leftarrow w_j - \epsilon\,\frac{(H^{-1})_{0j}}{(H^{-1})_{00}}, \qquad j = 1, \dots, n-1.$$
#
# From then on the first column stays where it is, so the inverse for the columns that remain is no part of the old one:
#
# $$(H^{-1})_{ij} \leftarrow (H^{-1})_{ij} - \frac{(H^{-1})_{i0}\,(H^{-1})_{0j}}{(H^{-1})_{00}}, \qquad i, j = 1, \dots, n-1.$$
#
# Return the corrected columns (n_out, n - 1) and the new inverse (n - 1, n - 1).

# %%
def gptq_step(
    left: torch.Tensor, rounded: torch.Tensor, inverse: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    # BEGIN SOLUTION
    error, share = left[:, 0] - rounded, inverse[0, 1:] / inverse[0, 0]
    return left[:, 1:] - torch.outer(error, share), inverse[1:, 1:] - torch.outer(inverse[1:, 0], share)
    # END SOLUTION


check("lab15.q5", gptq_step)

# %% [markdown]
# ## Question 6: a loss of distillation (3 points, difficulty 3, 15 minutes)
#
# `logits` and `teacher` (B, T, V) are what a student and its teacher make of the same tokens, `targets` (B, T) the tokens that follow; -100 marks padding, where there is nothing to learn. With $p$ the teacher's distribution and $q$ the student's, both **at temperature** $T$, that is softmax of logits over $T$, and $\alpha$ = `weight`, the loss is
#
# $$\frac{1}{N}\sum_{\text{tokens}} \Bigl[\, \alpha\,T^2 \sum_v p_v \log\frac{p_v}{q_v} + (1-\alpha)\,\bigl(-\log q^{(1)}_{\text{target}}\bigr) \Bigr],$$
#
# where $q^{(1)}$ is the student's distribution at temperature 1, and the sum goes over the $N$ tokens that have a target. Return it as a tensor through which gradients flow to `logits`, and none to `teacher`. The teacher may be so certain that some of its probabilities are 0. Before you write: which of $p$ and $q$ does `F.kl_div` take first, and what would the gradient of the first part be at $T = 10$ without $T^2$?

# %%
def distillation_loss(
    logits: torch.Tensor, teacher: torch.Tensor, targets: torch.Tensor, temperature: float, weight: float
) -> torch.Tensor:
    # BEGIN SOLUTION
    real = targets != -100
    log_q = F.log_softmax(logits[real] / temperature, -1)
    log_p = F.log_softmax(teacher.detach()[real] / temperature, -1)
    soft = (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    return weight * temperature**2 * soft + (1 - weight) * F.cross_entropy(logits[real], targets[real])
    # END SOLUTION


check("lab15.q6", distillation_loss)

# %% [markdown]
# ## The pieces together
#
# Nothing to write in the next cells. The model is the smallest of the course's base models, 0.3 million parameters in full precision, pre-trained on Wikipedia, tales and novels. The 28 matrices of its blocks are rounded; the embedding, which is its head as well, and the norms are not. Text that it was not trained on says what that costs: the **perplexity**, over that of the model as it was, in two halves of 12 rows of 256 tokens each, so that you see how far two measurements differ. If one of your pieces is missing, the cells say so and go on.

# %% tags=["not-graded"]
from llmlib.hub import load_base

base, tokenizer = load_base("0.3m", device="cpu")
documents = split_documents(prose("wikipedia"), {"train": 0.94, "choose": 0.03, "report": 0.03})  # as in pre-training


def rows_of(part: str, n: int, start: int = 0) -> torch.Tensor:
    """(n, 256) tokens of whole documents, one after the other."""
    ids = []
    for document in documents[part]:
        ids += [tokenizer.special_tokens["<|endoftext|>"], *tokenizer.encode(document.text)]
        if len(ids) >= (start + n) * 256:
            break
    return torch.tensor(ids[start * 256 : (start + n) * 256]).view(n, 256)


@torch.no_grad()
def perplexity(model: nn.Module, rows: torch.Tensor) -> float:
    return math.exp(F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten()).item())


calibration, held_out = rows_of("train", 16), rows_of("report", 24).chunk(2)
inputs, layers = {}, {name: part for name, part in base.blocks.named_modules() if isinstance(part, nn.Linear)}
handles = [part.register_forward_hook(lambda part, x, y, name=name: inputs.update({name: x[0].flatten(0, -2)})) for name, part in layers.items()]
with torch.no_grad():
    base.hidden(calibration)
for handle in handles:
    handle.remove()
before = [perplexity(base, half) for half in held_out]
print(f"perplexity in full precision: {before[0]:.1f} and {before[1]:.1f}")


# %% tags=["not-graded"]
def nearest(weight: torch.Tensor, x: torch.Tensor, bits: int, group_size: int | None) -> torch.Tensor:
    """Groups with a zero point, rounded to the nearest, back as numbers. None: one group a row."""
    codes, scale, zero = quantize_groups(weight, bits, group_size or weight.shape[1])
    return (scale[..., None] * (codes.view(*scale.shape, -1) - zero[..., None])).flatten(1)


def gptq(weight: torch.Tensor, x: torch.Tensor, bits: int, group_size: int | None) -> torch.Tensor:
    """The same scales and zero points; each column is rounded in its turn, and the others make up for it."""
    size = group_size or weight.shape[1]
    _, scale, zero = quantize_groups(weight, bits, size)
    hessian = x.T @ x / len(x)
    hessian += 0.01 * hessian.diagonal().mean() * torch.eye(len(hessian))
    left, inverse, columns = weight, torch.linalg.inv(hessian), []
    for column in range(weight.shape[1]):
        s, z = scale[:, column // size], zero[:, column // size]
        codes = ((left[:, 0] / s).round() + z).clamp(0, 2**bits - 1)
        columns.append(s * (codes - z))
        left, inverse = gptq_step(left, columns[-1], inverse)
    return torch.stack(columns, 1)


def symmetric(weight: torch.Tensor, x: torch.Tensor, bits: int, group_size: None) -> torch.Tensor:
    codes, scale = absmax(weight, bits)
    return codes * scale[:, None]


@torch.no_grad()
def quantized(method, bits: int, group_size: int | None) -> dict:
    """The model with its blocks rounded, its bits a weight of the blocks, and the ratios of the perplexities."""
    model, shapes = copy.deepcopy(base), []
    for name, part in model.blocks.named_modules():
        if name in layers:
            part.weight.copy_(method(part.weight, inputs[name], bits, group_size))
            shapes.append((*part.weight.shape, True))
    if method is symmetric:  # no zero points
        weighs = 8 * sum(math.ceil(n * bits / 8) * m + 2 * m for m, n, _ in shapes) / sum(m * n for m, n, _ in shapes)
    elif group_size:
        weighs = model_bytes(shapes, bits, group_size)["bits"]
    else:
        weighs = 8 * sum(model_bytes([s], bits, s[1])["bytes"] for s in shapes) / sum(m * n for m, n, _ in shapes)
    return {"model": model, "bits": weighs, "ratios": [perplexity(model, half) / was for half, was in zip(held_out, before)]}

# %% [markdown]
# ## Before you measure: a prediction (logged, not graded)
#
# There are two ways to spend a little more than three bits a weight: codes of **2 bits in groups of 16**, 3.2 bits a weight with scales and zero points, or codes of **3 bits with one scale and zero point a row**, 3.4 bits. Both are rounded to the nearest. **What is the perplexity of the first, divided by that of the second?** Give a number between 0.3 and 10: below 1 if you think that finer groups are worth more than finer codes. Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_ratio = 1.1  # SOLUTION

check("lab15.p1", predicted_ratio)

# %% tags=["not-graded"]
try:
    measured = {}
    for label, method, group_size, every in (
        ("absmax, a scale a row", symmetric, None, (2, 3, 4)),
        ("zero point, a scale a row", nearest, None, (2, 3, 4, 8)),
        ("zero point, groups of 16", nearest, 16, (2, 3, 4)),
        ("GPTQ, a scale a row", gptq, None, (2, 3, 4)),
        ("GPTQ, groups of 16", gptq, 16, (2, 3)),
    ):
        measured[label] = [{"codes": bits} | quantized(method, bits, group_size) for bits in every]
        for each in measured[label]:
            print(f"{label:<26} {each['codes']} bits, {each['bits']:.2f} with scales: perplexity x {each['ratios'][0]:.3f} and x {each['ratios'][1]:.3f}")
    fine_groups, fine_codes = measured["zero point, groups of 16"][0]["ratios"], measured["zero point, a scale a row"][1]["ratios"]
    print("2 bits in groups over 3 bits in rows:", *(f"{a / b:.2f}" for a, b in zip(fine_groups, fine_codes)), f"you predicted {as_number(predicted_ratio):.2f}")
    numbers = sum(p.numel() for p in base.parameters())
    body = [(*part.weight.shape, True) for part in layers.values()]
    rest = [(1, numbers - sum(m * n for m, n, _ in body), False)]
    whole = model_bytes(body + rest, 4, 16)
    print(f"the whole model in '4 bits', groups of 16: {whole['bytes'] / 1000:.0f} kB, {whole['bits']:.1f} bits a weight; in 16 bits {2 * numbers / 1000:.0f} kB")
except NotImplementedError:
    print("Not yet: finish questions 1, 2, 4 and 5 first.")

# %% [markdown]
# ## Your own plot, read (3 points, given by a person)
#
# The next cell plots what you measured, by how many percent the perplexity rises, up to 4-bit codes; a thick stroke joins the two halves of the text. It has no title and no explanation; these are yours.

# %% tags=["not-graded"]
try:
    fig, ax = plt.subplots(figsize=(8, 3.8))
    for (label, found), marker in zip(measured.items(), "osD^v"):
        drawn = [(m["bits"], [100 * (r - 1) for r in m["ratios"]]) for m in found if m["codes"] < 8]
        (line,) = ax.plot([x for x, _ in drawn], [sum(rises) / 2 for _, rises in drawn], marker + "-", label=label, ms=5)
        for x, rises in drawn:
            ax.plot([x, x], rises, color=line.get_color(), lw=6, alpha=0.35)
    ax.set(xlabel="bits a weight of the blocks, scales and zero points included", ylabel="rise of the perplexity (percent)", yscale="log")
    ax.legend(fontsize=8)
    show(fig, alt="Rise of the perplexity in percent against bits a weight, for absmax, zero points in rows and groups, and GPTQ; thick strokes join two halves of the text.")
except NameError:
    print("Not yet: measure first.")

# %% [markdown]
# In four or five sentences: Which way is best at about 3.3 bits a weight, and which at 4? What do groups buy, and what do they cost that the number of bits in a method's name does not show? What does GPTQ add, and where does it matter most? Which of these differences are larger than those between the two halves of the text, and what does a model of 0.3 million parameters, two thirds of them in an embedding that was not rounded, not tell you about one of 8 billion?

# %%
interpretation = """At about 3.3 bits a weight the best is GPTQ with 3-bit codes and one scale a row, a rise of 8 % at 3.4 bits; 2-bit codes in groups of 16 weigh nearly as much, 3.2 bits, and cost
39 % with GPTQ and 57 % without. Near 4.3 bits, 4-bit codes with a scale a row (2 to 5 %) beat 3-bit codes in groups (6 to 8 %). So groups buy much where codes are few, from 134 down to 57 % at 2 bits, but a scale and
a zero point for 16 weights are more than a bit each, which no name of a method shows, and here that bit was better spent on the codes. GPTQ costs no bits and takes a quarter to two fifths off the rise at 2 and 3 bits; at 4 bits its
gain, 1.2 points, is as large as the two halves differ, though both show it. A zero point matters most at 2 bits, where absmax has three codes left: 2000 %. From 3 bits on the halves differ by at most 1.3 points, less than
the other differences that I named. That two thirds of this model stay in 16 bits makes its file hardly smaller and may make the damage smaller too; rows of 48 pay more for a scale than rows of 4096, and
whether a large model has outliers that this one has not, I can't tell from it."""  # SOLUTION

check("lab15.t1", interpretation)

# %% [markdown]
# ## Question 7: test somebody else's quantizer (4 points, difficulty 4, 20 minutes)
#
# How a range is chosen and where zero lies is a matter of taste. `quantizer(weights, bits, group_size)` gets a matrix as a list of rows, in plain numbers, and gives `(codes, scales, zeros)`: codes in the form of the matrix, scales and zero points as lists of rows with one number for each group of neighbours. A weight stands for $s\,(q - z)$, as in question 2. It promises:
#
# 1. codes are whole numbers from 0 to $2^{\text{bits}} - 1$;
# 2. no weight is more than **half a step**, $s/2$, from what it stands for;
# 3. no step is wider than absmax would make it: $0 < s \le A / (2^{\text{bits}-1} - 1)$, with $A$ the largest absolute value of the group;
# 4. a weight that is 0 stands for exactly 0.
#
# All of it up to rounding; zero points may be any numbers. Write `examples()`, a list of 1 to 12 inputs `(weights, bits, group_size)` to try, and `holds(inputs, output)`: are the promises kept? A matrix has 1 to 6 rows of 1 to 16 numbers between -10 and 10, bits is 2 to 8, `group_size` divides the length of a row, and no group is all zeros. Your test must pass several right quantizers, and every wrong one must fail on one of your inputs. `check` tries six wrong ones, the grader more. What must a matrix contain for a mistake to show? In a matrix whose groups are all alike, for instance, nobody sees whose scale was taken.

# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    rows = [[0.3, -1.7, 0.0, 0.9], [6.0, 7.3, 8.2, 9.9], [-0.05, 0.0, 0.11, -0.02], [-9.0, -7.7, 0.0, 0.12]]
    return [(rows, 4, 2), (rows, 3, 4), ([[0.4, -0.1, 0.0, 8.0], [5.0, 0.0, -0.3, 0.2]], 8, 2)]
    # END SOLUTION


def holds(inputs: tuple, output: tuple) -> bool:
    # BEGIN SOLUTION
    (weights, bits, size), (codes, scales, zeros) = inputs, output
    for i, row in enumerate(weights):
        if len(codes[i]) != len(row):
            return False
        for j, w in enumerate(row):
            q, s, z = codes[i][j], scales[i][j // size], zeros[i][j // size]
            largest = max(abs(x) for x in row[j // size * size : (j // size + 1) * size])
            if q != round(q) or not 0 <= q <= 2**bits - 1:
                return False
            if not 0 < s <= largest / (2 ** (bits - 1) - 1) * (1 + 1e-6):
                return False
            if abs(s * (q - z) - w) > s / 2 * (1 + 1e-6) or (w == 0 and abs(q - z) > 1e-6):
                return False
    return True
    # END SOLUTION


check("lab15.q7", examples, holds)

# %% [markdown]
# ## Question 8: a run that went wrong (4 points, difficulty 4, 20 minutes)
#
# Rounded to 2 bits with one scale a row, the base model has more than twice its perplexity. It can learn some of it back: in training every matrix is seen through its rounded values, and the gradient passes straight through the rounding to the full-precision weights behind (**quantization-aware training**). The teacher is the model as it was; the loss is yours with $T = 3$ and half the weight for each part; 80 updates of 4 rows. Afterwards the weights are rounded once and for all. Somebody did this with one thing wrong. You get the log; a correct run stands beside it.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | rounding lets no gradient through | `F` | nothing is rounded in training, only afterwards |
# | `B` | the targets are not shifted: every token is its own | `G` | the learning rate is 30 times too low |
# | `C` | the factor T^2 is missing | `H` | the teacher's weights are trained along |
# | `D` | the teacher's distributions are shifted by one token | `I` | every update reads the same 4 rows |
# | `E` | the teacher is rounded to 2 bits as well | `J` | the teacher's logits are not divided by the temperature |
#
# The first six numbers of the log come from the program itself, with what is wrong in it: its **soft loss** is the teacher's part as the program computes it, before it is weighted, its **hard loss** the other part. The codes are the 2-bit codes of the blocks before and after. What follows was measured afterwards on held-out text: *as the program computes it* with the student as it is in training, *rounded* with the student as it would be shipped; *before* is the model in full precision. Prove the cause from your run. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | fewer than 2 % of the codes have changed | `h` | the hard loss of the last 20 updates is below 4.6 |
# | `b` | the gradient of the matrices is below 0.2 | `i` | the perplexity that the program computes is more than 50 below that of the rounded student |
# | `c` | the gradient of the matrices is above 0.75 | `j` | the rounded student's perplexity on 4 rows of the training text is less than a quarter of that on held-out text |
# | `d` | the soft loss of the first 3 updates is below 0.2 | `k` | the student's entropy is below 4 nats |
# | `e` | the soft loss of the last 20 updates is less than nine tenths of that of the first 3 | `l` | the soft loss of the first 3 updates is above 3 |
# | `f` | the teacher's perplexity after training is above 105 | `m` | the rounded student's held-out perplexity is below 150 |
# | `g` | the rounded student's held-out perplexity is above 195 | `n` | the rounded student's held-out perplexity is between 150 and 195 |
#
# Answer with the cause and one to three observations that are true of your run and that *together* would be seen neither under another cause nor in a correct run, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: what does the student learn from, what does it learn with, and what is it that gets shipped?

# %% tags=["not-graded"]
runs = {name: recorded("lab15_faults")["results"][name] for name in filter(None, ("correct", my_run("lab15.q8", STUDENT)))}
fig, axes = plt.subplots(1, 2, figsize=(11, 3.2))
for name, run in runs.items():
    axes[0].plot(run["updates"], run["soft"], label=name)
    axes[1].plot(run["updates"], run["hard"], label=name)
for ax, what in zip(axes, ("soft loss, as the program computes it (nats)", "hard loss, as it computes it (nats)")):
    ax.set(xlabel="update", ylabel=what)
axes[1].legend()
show(fig, alt="Soft and hard loss, as the program computes them, of a correct run and, once STUDENT is filled in, of yours.")
width = max(len(what) for what in runs["correct"])
print(" " * width, *(f"{name:>8}" for name in runs))
for what, value in runs["correct"].items():
    if isinstance(value, int | float):
        print(f"{what:<{width}}", *(f"{run[what]:>8g}" for run in runs.values()))

# %%
diagnosis = {"cause": "G", "evidence": ["a", "c"]}  # SOLUTION

check("lab15.q8", diagnosis)

# %% [markdown]
# ## Open challenge: three bits, as good as they get
#
# The matrices of the blocks may take **3.0 bits a weight**, by your `model_bytes`, all of them together; each may have bits and groups of its own. The embedding stays as it is; the norms may be trained. GPTQ, mixed bits, scales found by search, training through the rounding with your loss of distillation, all of them in a row: all yours, with your own functions or the library's. You may read the training documents, `rows_of("train", n)`, and the model as it was.
#
# The score is the perplexity, over that of full precision, on the 24 rows of the next cell; look at them once. What the cell does in 60 updates, 2 bits with a scale a row and distillation, reaches about **1.35**: the score to beat. It may take 60 seconds on a CPU.

# %% tags=["not-graded"]
def distilled(choose, updates: int, lr: float = 2e-3, temperature: float = 2.0, weight: float = 0.8, seed: int = 0):
    """The base model after so many updates, rounded, and its bits a weight. choose(name, weight) -> bits, group size."""
    class Rounded(nn.Module):
        def __init__(self, like: nn.Linear, bits: int, group_size: int) -> None:
            super().__init__()
            self.weight, self.form = like.weight, (bits, group_size)

        def forward(self, x):
            values = nearest(self.weight.detach(), x, *self.form)
            return F.linear(x, self.weight + (values - self.weight).detach())   # straight through

    torch.manual_seed(seed)
    model, total = copy.deepcopy(base).train(), 0
    for parent in [*model.blocks.modules()]:
        for name, child in [*parent.named_children()]:
            if isinstance(child, nn.Linear):
                form = choose(name, child.weight)
                setattr(parent, name, Rounded(child, *form))
                total += model_bytes([(*child.weight.shape, True)], *form)["bytes"]
    weights = [*model.blocks.parameters(), *model.final_norm.parameters()]
    optimizer, rows = torch.optim.Adam(weights, lr=lr, betas=(0.9, 0.95)), rows_of("train", 400)
    for update in range(updates):
        batch = rows[torch.randint(len(rows), (4,)), :129]
        optimizer.param_groups[0]["lr"] = lr * min(1, (update + 1) / 10, (updates - update) / 15)
        with torch.no_grad():
            guide = base(batch[:, :-1])
        loss = distillation_loss(model(batch[:, :-1]), guide, batch[:, 1:], temperature, weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval(), 8 * total / sum(part.weight.numel() for part in layers.values())


try:
    with Stopwatch(60) as clock:
        challenger, bits = distilled(lambda name, weight: (2, weight.shape[1]), updates=1)   # 60, when you mean it
    challenge = rows_of("report", 24, start=24)
    print(f"{bits:.2f} bits a weight, perplexity x {perplexity(challenger, challenge) / perplexity(base, challenge):.3f}")
except NotImplementedError:
    print("Not yet: finish questions 2, 4 and 6 first.")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
best_ratio = 1.26  # SOLUTION

check("lab15.c1", best_ratio, seconds=None)  # seconds=clock.seconds puts the time into the line
