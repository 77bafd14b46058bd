# %% [markdown]
# # Lab 08 · Predict a run before you pay for it
#
# You count what a run costs, fit a law with a floor, find the best size at a budget, and decide how large a model should be that others will use. You predict a run of your own before you train it, plan a sweep within a budget, test somebody else's choice of points, and find out what is wrong with a study. About 130 minutes; 24 points: 21 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab08_scaling_laws.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. You may use numpy and any tensor operation of PyTorch, but not `scipy`, nor the library's own counts and fits: those are the answer.
#
# Throughout, $N$ is a number of parameters, $D$ a number of tokens, $C$ a number of floating-point operations (FLOPs), and losses are in nats per token.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from courseware import Stopwatch, as_number, check, my_run, setup_style, show
from llmlib.data import recorded, split_text, tiny_shakespeare
from llmlib.text import CharTokenizer

setup_style()
torch.manual_seed(0);

# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Question 1: what a run costs (2 points, difficulty 2, 15 minutes)
#
# For a Llama of this shape return the number of its **parameters** and the **FLOPs that training takes per token**.
#
# - A token is looked up in a table (`vocab_size` rows of `d_model` numbers). Then come `n_layers` blocks, a last norm, and the head, a matrix as large as the table. With `tied=True` head and table are the same weights.
# - A block: a norm; queries (`n_heads` heads), keys and values (`n_kv_heads` heads each), all heads `d_model / n_heads` wide, and the output projection back from the queries' width; a norm; a SwiGLU between `d_model` and `d_ff`. A norm is an RMSNorm with `d_model` gains. No biases; RoPE has no parameters.
# - The forward pass takes 2 FLOPs for each weight of every matrix that a token is multiplied with. Looking up is free, and norms are not counted. To these add the two products of attention that have no weights, the scores and the weighted sum: each takes 2 FLOPs for every layer, every number of all heads' widths, and every one of `seq_len` positions, masked or not. Training takes three times the forward pass.

# %%
def count(
    n_layers: int, d_model: int, n_heads: int, n_kv_heads: int, d_ff: int, vocab_size: int, seq_len: int, tied: bool = True
) -> tuple[int, int]:
    # BEGIN SOLUTION
    kv = d_model // n_heads * n_kv_heads
    block = 2 * d_model * d_model + 2 * d_model * kv + 3 * d_model * d_ff
    table = vocab_size * d_model
    multiplied = n_layers * block + table
    parameters = multiplied + (2 * n_layers + 1) * d_model + (0 if tied else table)
    return parameters, 6 * multiplied + 12 * n_layers * d_model * seq_len
    # END SOLUTION


check("lab08.q1", count)

# %% [markdown]
# ## Question 2: a law with a floor (3 points, difficulty 3, 18 minutes)
#
# Fit $\text{loss} = E + A\,x^{-\alpha}$ to runs and return $E$, $A$, $\alpha$. `x` and `loss` are numpy arrays of seven or more runs; $x$ may be sizes, tokens or compute, and spans a factor of some hundreds; $\alpha$ lies between 0.1 and 1. $E$ is what no amount of $x$ takes away: below the least loss, and never below 0. Where runs would rather have it below, it is 0.
#
# Any method counts. With $E$ known, $\log(\text{loss} - E)$ is a straight line in $\log x$; with $\alpha$ known, the loss is a straight line in $x^{-\alpha}$. Either leaves one number to search for. For runs that lie exactly on a law, $E$, $\alpha$ and the loss at 30 times the largest $x$ are asked for to within 0.01. For runs with noise (half a percent) your law may miss them by a quarter more than the best one, as the root mean square of the relative error.

# %%
def fit_law(x: np.ndarray, loss: np.ndarray) -> tuple[float, float, float]:
    # BEGIN SOLUTION
    alpha = np.arange(0.05, 1.1, 0.001)
    u = x ** -alpha[:, None]                                          # (alphas, runs)
    du = u - u.mean(axis=1, keepdims=True)
    slope = du @ loss / (du * du).sum(axis=1)
    E = np.maximum(0, loss.mean() - slope * u.mean(axis=1))
    A = (u * (loss - E[:, None])).sum(axis=1) / (u * u).sum(axis=1)   # anew, where E would have been below 0
    error = ((E[:, None] + A[:, None] * u - loss) ** 2).sum(axis=1)
    best = error.argmin()
    return E[best], A[best], alpha[best]
    # END SOLUTION


check("lab08.q2", fit_law)

# %% [markdown]
# ## A sweep of your own
#
# Nothing to write in the next two cells. They train seven small feed-forward language models on Shakespeare's characters: eight characters are embedded, one hidden layer, the next character is predicted (Bengio et al., 2003), in a tenth of the time that a Transformer takes. The table is the head as well, so that each of the $N$ weights is multiplied once for a character, and training costs exactly $6ND$. Each model reads 30 characters a parameter, no character twice, with a schedule of its own that ends at zero.

# %% tags=["not-graded"]
CONTEXT, BATCH = 8, 512
train_text, val_text = split_text(tiny_shakespeare(), val_fraction=0.1)
tokenizer = CharTokenizer.from_text(tiny_shakespeare())
train_windows, val_windows = (
    torch.tensor(tokenizer.encode(part)).unfold(0, CONTEXT + 1, 1) for part in (train_text, val_text)
)


def new_weights(width: int, seed: int = 0) -> list[torch.Tensor]:
    """Table (V, e), hidden layer (8 e, width), back to the table (width, e); e is half the width."""
    generator, e = torch.Generator().manual_seed(seed), width // 2
    sizes = [(tokenizer.vocab_size, e, e), (CONTEXT * e, width, CONTEXT), (width, e, width)]
    return [(torch.randn(a, b, generator=generator) * n**-0.5).requires_grad_() for a, b, n in sizes]


def loss_of(weights: list[torch.Tensor], windows: torch.Tensor) -> torch.Tensor:
    table, hidden, back = weights
    x = torch.tanh(F.embedding(windows[:, :-1], table).flatten(1) @ hidden)
    return F.cross_entropy(x @ back @ table.T, windows[:, -1])


@torch.no_grad()
def validation_loss(weights: list[torch.Tensor]) -> float:
    return loss_of(weights, val_windows[::5]).item()


def train(width: int, tokens: float, seed: int = 0) -> list[torch.Tensor]:
    """One pass over so many characters: warm-up over a tenth, then straight down to zero."""
    weights, steps, peak = new_weights(width, seed), round(tokens / BATCH), 2.4 / width
    optimizer = torch.optim.AdamW(weights, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    order = torch.randperm(len(train_windows), generator=torch.Generator().manual_seed(seed))
    for step, places in enumerate(order.split(BATCH)[:steps]):
        optimizer.param_groups[0]["lr"] = peak * min(1, 10 * (step + 1) / steps) * (1 - step / steps)
        optimizer.zero_grad()
        loss_of(weights, train_windows[places]).backward()
        optimizer.step()
    return weights


def size_of(width: int) -> int:
    return sum(w.numel() for w in new_weights(width))


# %% tags=["not-graded"]
LARGER = 64
sweep_c, sweep_loss, larger_c = [], [], 6 * 30 * size_of(LARGER) ** 2
for width in (8, 10, 12, 16, 20, 24, 32):
    n = size_of(width)
    sweep_c.append(6 * n * 30 * n)
    sweep_loss.append(validation_loss(train(width, 30 * n)))
    print(f"{n:>6,} parameters, {30 * n:>7,} characters, {sweep_c[-1]:.1e} FLOPs: {sweep_loss[-1]:.3f} nats per character")
print(f"{size_of(LARGER):>6,} parameters, {30 * size_of(LARGER):>7,} characters, {larger_c:.1e} FLOPs: the larger run, {larger_c / sweep_c[-1]:.1f} times as expensive as the last")


# %% tags=["not-graded"]
def straight_line(x: np.ndarray, loss: np.ndarray) -> tuple[float, float, float]:
    """The fit without E."""
    slope, intercept = np.polyfit(np.log(x), np.log(loss), 1)
    return 0.0, math.exp(intercept), -slope


def says(law: tuple, c: float) -> float:
    E, A, alpha = law
    return E + A * c**-alpha


def plot_sweep(measured: float | None = None) -> None:
    x, y = np.array(sweep_c) / sweep_c[0], np.array(sweep_loss)      # in units of the smallest run: better numbers to fit
    at, grid = larger_c / sweep_c[0], np.geomspace(1, larger_c / sweep_c[0], 50)
    fig, ax = plt.subplots(figsize=(7.5, 3.8))
    for color, name, fit in (("C0", "with E", fit_law), ("C1", "without E", straight_line)):
        law = fit(x, y)
        others = [says(fit(np.delete(x, i), np.delete(y, i)), at) for i in range(len(x))]
        ax.plot(grid * sweep_c[0], [says(law, c) for c in grid], color=color, label=f"{name}: {says(law, at):.2f}")
        ax.vlines(larger_c * (1.03 if color == "C1" else 0.97), min(others), max(others), color=color, linewidth=3)
        print(f"{name}: E = {law[0]:.2f}, alpha = {law[2]:.2f}; the larger run {says(law, at):.3f}, leaving one run out {min(others):.3f} to {max(others):.3f}")
    ax.plot(sweep_c, sweep_loss, "o", color="0.3", label="the sweep")
    if measured:
        ax.plot(larger_c, measured, "*", color="C3", markersize=14, label=f"measured: {measured:.2f}")
    ax.set(xscale="log", yscale="log", xlabel="compute (FLOPs)", ylabel="loss (nats per character)")
    ax.set_yticks([1.8, 2, 2.2, 2.5, 3], labels=["1.8", "2", "2.2", "2.5", "3"])
    ax.yaxis.set_minor_formatter("")
    ax.legend()
    alt = "Loss of the sweep against compute, with the two laws up to the larger run; bars: predictions with one run left out"
    show(fig, alt=alt + ("; the star is what was measured." if measured else "."))


try:
    plot_sweep()
except NotImplementedError:
    print("Not yet: finish question 2 first.")

# %% [markdown]
# ## Before you train it: a prediction (logged, not graded)
#
# **What will the loss of the larger run be, in nats per character?** Choose between the laws, or trust neither: write down a number, and be able to say why. Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_loss = 1.95  # SOLUTION

check("lab08.p1", predicted_loss)

# %% tags=["not-graded"]
try:
    fit_law(np.array(sweep_c) / sweep_c[0], np.array(sweep_loss))    # no measuring before there is a law
    measured_loss = validation_loss(train(LARGER, 30 * size_of(LARGER)))
    plot_sweep(measured_loss)
    print(f"measured {measured_loss:.3f}, you predicted {as_number(predicted_loss):.3f}")
except NotImplementedError:
    print("Not yet: finish question 2 first.")

# %% [markdown]
# ## Read your own plot (3 points, given by a person)
#
# In three or four sentences: How far apart are the two laws within the sweep, and how far at the larger run? What do the bars (one run left out) say about how well this sweep knows $E$? Which law came closer, what may you conclude from one larger run, and which further runs would you buy to know $E$ better?

# %%
interpretation = """Within the sweep the two laws differ by less than the runs scatter, 0.05 or so; at the larger run, thirteen times as expensive as the last, by 0.14.
Leaving one run out moves the prediction of the law with E from 1.85 to 2.19, that of the straight line only from 1.75 to 1.85: the sweep hardly knows E, and the straight
line looks sure because it cannot bend, not because it is right. The measured loss of 1.97 lies beside the law with E and above everything the straight line says. That is one
run with one seed; it speaks against the straight line, and does not yet fix E. I would buy two or three runs between the last and the larger one, and
repeat the three smallest, which scatter most, with other seeds."""  # SOLUTION

check("lab08.t1", interpretation)

# %% [markdown]
# ## Question 3: the best size at a budget (2 points, difficulty 2, 12 minutes)
#
# Runs of different sizes that all cost the same: the small ones read much, the large ones little, and in between lies the best size. Fit a parabola in $\log N$ to the losses of *all* runs by least squares and return the size at its vertex, and the parabola's loss there. `n` and `loss` are lists of five or more, in any order. If the parabola opens downwards, or its vertex lies outside the sizes that were tried, nobody has seen a minimum: raise a `ValueError`.

# %%
def best_size(n: list[float], loss: list[float]) -> tuple[float, float]:
    # BEGIN SOLUTION
    a, b, c = np.polyfit(np.log(n), loss, 2)
    vertex = -b / (2 * a)
    if a <= 0 or not np.log(min(n)) <= vertex <= np.log(max(n)):
        raise ValueError("the sizes tried do not bracket the best one")
    return math.exp(vertex), c - b * b / (4 * a)
    # END SOLUTION


check("lab08.q3", best_size)

# %% [markdown]
# ## Question 4: the best use of a budget (2 points, difficulty 3, 12 minutes)
#
# A law in two variables (Hoffmann et al., 2022): $L(N, D) = E + A / N^\alpha + B / D^\beta$, given as a dict with the keys `"E"`, `"A"`, `"alpha"`, `"B"`, `"beta"`. Training costs $C = 6ND$. Return the $N$ and $D$ with the least loss that cost exactly `compute`, two numbers. Find them on paper: put $D = C / 6N$ into the law, and set the derivative by $N$ to zero.

# %%
def optimum(law: dict[str, float], compute: float) -> tuple[float, float]:
    # BEGIN SOLUTION
    alpha, beta = law["alpha"], law["beta"]
    g = (alpha * law["A"] / (beta * law["B"])) ** (1 / (alpha + beta))
    n = g * (compute / 6) ** (beta / (alpha + beta))
    return n, compute / 6 / n
    # END SOLUTION


check("lab08.q4", optimum)

# %% [markdown]
# ## Question 5: a model to be served (3 points, difficulty 5, 20 minutes)
#
# Once trained, the model will be asked: it will read and write `served` tokens in its life, at $2N$ FLOPs each. Training takes $6ND$. Return the $N$ and $D$ of the model that reaches `loss` and costs the least *in its life*, training and serving together (Sardana et al., 2024). `law` is as in question 4; `served` may be 0. If no model reaches the loss, raise a `ValueError`.
#
# Both the loss and the FLOPs are asked for to within 0.2 %. There is no closed form; a fine grid does. Which one number determines both $N$ and $D$, once the loss is given?

# %%
def cheapest(law: dict[str, float], loss: float, served: float) -> tuple[float, float]:
    # BEGIN SOLUTION
    rest = loss - law["E"]
    if rest <= 0:
        raise ValueError(f"no model reaches a loss of {loss}: size and tokens bring it down to {law['E']}")
    share = np.linspace(0.001, 0.999, 9981)  # of the rest that is the size's fault
    n = (law["A"] / (share * rest)) ** (1 / law["alpha"])
    d = (law["B"] / ((1 - share) * rest)) ** (1 / law["beta"])
    best = (6 * n * d + 2 * n * served).argmin()
    return n[best], d[best]
    # END SOLUTION


check("lab08.q5", cheapest)

# %% [markdown]
# What it means, for a law that was fitted to real runs (Besiroglu et al., 2024): a model with the loss of a Chinchilla-optimal one of 7 billion parameters, and more and more tokens to serve.

# %% tags=["not-graded"]
published = {"E": 1.82, "A": 482.0, "alpha": 0.3478, "B": 2085.4, "beta": 0.3658}
try:
    n, d = optimum(published, 6 * 7e9 * 130e9)
    loss = published["E"] + published["A"] * n ** -published["alpha"] + published["B"] * d ** -published["beta"]
    for served in (0, 1e11, 1e12, 1e13, 1e14):
        n, d = cheapest(published, loss, served)
        life = 6 * n * d + 2 * n * served
        print(f"{served:>8.0e} tokens to serve: N = {n / 1e9:5.2f} billion, D = {d / 1e12:6.2f} trillion, {d / n:5.0f} tokens a parameter, {life:.1e} FLOPs in its life")
except NotImplementedError:
    print("Not yet: finish questions 4 and 5 first.")

# %% [markdown]
# ## Question 6: a sweep within a budget (3 points, difficulty 4, 18 minutes)
#
# Somebody wants to train a model of 8 billion parameters on 15 trillion tokens, $7 \cdot 10^{23}$ FLOPs, and asks you first what its loss will be. You may buy runs and fit $L(N, D)$ to their losses. Choose them: `sweep` is a list of pairs `(N, D)`, such as `[(1e8, 2e9), ...]`. The same pair may occur several times.
#
# - at most **5 · 10²¹ FLOPs** in all ($6ND$ each), less than a hundredth of the run itself;
# - at most **12 runs**;
# - $N$ from $10^7$ to $10^{11}$, $D$ from $10^8$ to $2 \cdot 10^{12}$, and 1 to 2,000 tokens a parameter: outside, nobody would trust the law.
#
# Each run's loss has a random error of 0.5 % (another seed, another loss). The grader propagates it through the least-squares fit of all five parameters, near the law of the cell above: the **standard error of the prediction** must be at most **0.8 %** of the loss. `check` shows it.
#
# Think before you try. Which runs tell $E$, $A$ and $\alpha$, $B$ and $\beta$ apart? What does a sweep know in which every run has 20 tokens a parameter? Where does the money go, and what can cheap runs do?

# %%
sweep = [(1e7, 1e8), (1e7, 2e10), (1e8, 1e8), *[(8e7, 1.4e9)] * 5, (7e8, 8e10), (1.6e9, 2.2e11), (6e9, 3e10)]  # SOLUTION

check("lab08.q6", sweep)

# %% [markdown]
# ## Question 7: test somebody else's choice of points (3 points, difficulty 3, 18 minutes)
#
# From the logs of many runs, `points(runs, text)` chooses those that a law may be fitted to. A run is a dict: `"N"` is its size, `"planned"` the tokens at which its learning rate reaches zero, `"log"` a list of `(tokens, loss)`, the loss on held-out text after so many tokens. Some runs were stopped early. Runs with the same `N` and `planned` differ in their peak learning rate. `text` is how many tokens of text there are: a run that goes on longer reads some of them again. `output` is a list of `[number, tokens, loss]`, where `number` counts the runs from 0, and keeps these promises:
#
# 1. each point is the last entry of a run's log, and that run was finished: the entry is at `planned` tokens;
# 2. no run counts that is planned for more tokens than `text`; one that reads exactly all of it does;
# 3. of runs with the same `N` and `planned` exactly one is kept, with the lowest last loss *of those that count by 1 and 2*; if several are equally good, any one of them;
# 4. nothing is left out: wherever a run counts, its size and length have their point. The order does not matter.
#
# Write `examples()`, a list of 1 to 24 inputs `(runs, text)` to try, and `holds(inputs, output)`: are the promises kept? At most 12 runs in an example and 8 entries in a log; tokens are whole numbers, losses floats. Your test must pass several right ways, and every wrong one must fail on one of your examples. `check` tries four wrong ones, the grader more. Where must the lowest loss lie for a mistake to show?

# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    many = [
        {"N": 10, "planned": 100, "log": [(50, 3.0), (100, 2.5)]},
        {"N": 10, "planned": 100, "log": [(50, 2.0), (100, 2.6)]},
        {"N": 10, "planned": 100, "log": [(50, 2.4)]},
        {"N": 10, "planned": 200, "log": [(100, 2.2), (200, 2.3)]},
        {"N": 20, "planned": 100, "log": [(60, 2.1), (100, 2.45)]},
        {"N": 20, "planned": 200, "log": [(100, 2.2), (200, 2.1)]},
        {"N": 20, "planned": 200, "log": [(100, 1.9), (200, 2.1)]},
        {"N": 20, "planned": 201, "log": [(100, 2.2), (200, 1.8), (201, 1.7)]},
        {"N": 30, "planned": 300, "log": [(100, 2.0), (200, 1.6), (300, 1.5)]},
        {"N": 40, "planned": 200, "log": [(100, 2.0), (150, 1.7)]},
    ]
    return [(many, 200), (many, 1000), (many, 50), (many[::-1], 200)]
    # END SOLUTION


def holds(inputs: tuple, output: list) -> bool:
    # BEGIN SOLUTION
    runs, text = inputs
    ends = {i: r["log"][-1] for i, r in enumerate(runs) if r["log"][-1][0] == r["planned"] <= text}
    kind = {i: (runs[i]["N"], runs[i]["planned"]) for i in ends}
    if any(i not in ends or (tokens, loss) != tuple(ends[i]) for i, tokens, loss in output):
        return False
    kept = sorted(kind[i] for i, *_ in output)
    best = {k: min(ends[i][1] for i in ends if kind[i] == k) for k in kind.values()}
    return kept == sorted(best) and all(loss == best[kind[i]] for i, _, loss in output)
    # END SOLUTION


check("lab08.q7", examples, holds)

# %% [markdown]
# ## Question 8: a study that went wrong (3 points, difficulty 4, 20 minutes)
#
# Somebody trained the small models of this lab at three budgets, five sizes each. A correct study has a schedule of its own for every run, reads each character of the text once, has a learning rate that falls with the width, counts $C = 6ND$ with all weights in $N$, and reports all losses in nats per character. In the other study one thing is wrong. You get what each wrote down.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | the points are checkpoints from the middle of longer runs | `F` | the held-out text is also part of the training text |
# | `B` | all sizes have the learning rate of the smallest | `G` | the held-out loss is in bits, the training loss in nats |
# | `C` | the text is short and read many times, and every reading counts as new tokens | `H` | every run has a warm-up of 200 updates, however short it is |
# | `D` | compute is counted as 2ND | `I` | the sizes tried are all too large |
# | `E` | embeddings are counted in the compute and not in the sizes | | |
#
# A learning rate is the highest of the run, or that at the point; the training loss is a mean over the last tenth of the updates before the point. Prove the cause from your study. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | C / (N D) of the smallest model is not between 5.5 and 6.5 | `g` | in the run with the most tokens the held-out loss is more than 0.25 above the training loss |
# | `b` | C / (N D) is the same in all runs, to within 2 % | `h` | in the run with the fewest tokens the held-out loss is less than 0.25 above the training loss |
# | `c` | all runs together cost more than 2e10 FLOPs, as C is written down | `i` | in at least 10 of the 15 runs the held-out loss is below the training loss |
# | `d` | the highest rates of the smallest and of the largest model differ by a factor of less than 5 | `j` | two runs of one size have highest rates that differ by a factor of more than 1.5 |
# | `e` | at the largest budget the best size is neither the smallest nor the largest tried | `k` | in the run with the most tokens the rate at the point is below 2 % of the highest |
# | `f` | some held-out loss is above 3.4 | `l` | at the largest budget the lowest held-out loss is more than 0.05 above the correct study's |
#
# Answer with the cause and one to three observations that are true of your study and that *together* would be seen neither under another cause nor in a correct study, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: which number does it touch, of which runs, and by how much?

# %% tags=["not-graded"]
studies = {name: recorded("lab08_faults")["results"][name] for name in filter(None, ("correct", my_run("lab08.q8", STUDENT)))}
fig, axes = plt.subplots(1, len(studies), figsize=(5.5 * len(studies), 3.6), squeeze=False)
top = min(4.6, 0.2 + max(p["held-out"] for points in studies.values() for p in points))
for ax, (name, points) in zip(axes[0], studies.items()):
    for budget in sorted({p["budget"] for p in points}):
        at = [p for p in points if p["budget"] == budget]
        (line,) = ax.plot([p["N"] for p in at], [p["held-out"] for p in at], marker="o", label=f"{budget:.3g} FLOPs, held-out")
        ax.plot([p["N"] for p in at], [p["training"] for p in at], color=line.get_color(), linestyle=":")
    ax.set(title=name, xscale="log", xlabel="N (parameters)", ylabel="loss as written down", ylim=(1.9, top))
    ax.legend(fontsize=8)
show(fig, alt="Loss against size at each budget in a correct study and, once STUDENT is filled in, in yours; dotted: training loss.")
for name, points in studies.items():
    print(f"--- {name} ---\n{'budget':>8} {'N':>7} {'D':>8} {'C':>9} {'held-out':>9} {'training':>9} {'highest rate':>13} {'at the point':>13}")
    for p in points:
        print(f"{p['budget']:8.3g} {p['N']:7,} {p['D']:8,} {p['C']:9.3g} {p['held-out']:9.3f} {p['training']:9.3f} {p['highest rate']:13.3g} {p['rate at the point']:13.2g}")

# %%
diagnosis = {"cause": "C", "evidence": ["g", "h"]}  # SOLUTION

check("lab08.q8", diagnosis)

# %% [markdown]
# ## Open challenge: 10¹⁰ FLOPs
#
# Train the best model of the next character that you can for **10¹⁰ FLOPs** of training: $6ND$ for the models of this lab, or what an honest count of all products gives for a model of yours (a Llama's is in question 1). What it knows must come from gradients: no tables of counts. The training text is the first nine tenths of tiny Shakespeare, and you may read it as often as you can pay for. Size, shape, context, batch, learning rate, optimizer, schedule: all yours. Which parts of a model cost nothing?
#
# The score is the mean loss on the windows of `validation_loss`, in nats per character; look at it once, and tune on text that you set aside from the training text. Width 32 with the settings above reaches about **2.14**: the score to beat. Training may take 60 seconds on a CPU.

# %% tags=["not-graded"]
with Stopwatch(60) as clock:
    width = 32
    challenger = train(width, 1e9 / (6 * size_of(width)))                # 1e10 when you mean it
print(f"{validation_loss(challenger):.3f} nats per character")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
best_loss = 2.00  # SOLUTION

check("lab08.c1", best_loss, seconds=None)  # seconds=clock.seconds puts the time into the line
