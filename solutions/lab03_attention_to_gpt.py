# %% [markdown]
# # Lab 03 · Build a GPT, then find out why another one failed
#
# You write the pieces of lecture 03 yourself, train what you built, test batches that somebody else makes, and read the log of a run that went wrong. About 105 minutes; 19 points: 16 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab03_attention_to_gpt.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function or class to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. You may use any tensor operation of PyTorch, but not `scaled_dot_product_attention`, `nn.MultiheadAttention` or the library's own model: those are the answer.

# %%
import math

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware import Stopwatch, as_number, check, my_run, setup_style, show
from llmlib.data import random_batch, recorded, split_text, tiny_shakespeare
from llmlib.text import CharTokenizer

setup_style()
torch.manual_seed(0);

# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Before you start: a prediction (logged, not graded)
#
# At the end of this lab you train a GPT with 2 layers, 64 wide, for about ten seconds on Shakespeare. The bigram table of lecture 03 reaches 2.485 nats per character, a uniform guess among 64 characters 4.16. **Which validation loss will your model reach, in nats per character?** Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_loss = 2.2  # SOLUTION

check("lab03.p1", predicted_loss)

# %% [markdown]
# ## Question 1: causal attention (2 points, difficulty 2, 12 minutes)
#
# The output of attention in which position `t` uses positions `0..t` only: scaled dot products, the mask, a softmax over the keys, the weighted sum of the values. `q`, `k`, `v` are `(..., T, d)`, the result too; any number of leading axes must work. Gradients must be able to flow back.

# %%
def causal_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    T = q.size(-2)
    scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
    future = torch.ones(T, T, dtype=torch.bool).triu(diagonal=1)
    return scores.masked_fill(future, float("-inf")).softmax(dim=-1) @ v
    # END SOLUTION


check("lab03.q1", causal_attention)

# %% [markdown]
# ## Question 2: multi-head attention (2 points, difficulty 3, 18 minutes)
#
# Complete `forward`: project, split, attend causally in every head, merge, project with `o_proj`. Splitting is given; merging is its inverse, `(B, heads, T, d_head)` back to `(B, T, heads * d_head)`. Keep the parameter names: the grader fills them with its own numbers.

# %%
def split_heads(x: torch.Tensor, n_heads: int) -> torch.Tensor:
    """(B, T, D) -> (B, heads, T, D / heads)"""
    B, T, D = x.shape
    return x.view(B, T, n_heads, D // n_heads).transpose(1, 2)


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.q_proj = nn.Linear(d_model, d_model, bias=False)
        self.k_proj = nn.Linear(d_model, d_model, bias=False)
        self.v_proj = nn.Linear(d_model, d_model, bias=False)
        self.o_proj = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:                 # (B, T, D) -> (B, T, D)
        # BEGIN SOLUTION
        q, k, v = (split_heads(project(x), self.n_heads) for project in (self.q_proj, self.k_proj, self.v_proj))
        return self.o_proj(causal_attention(q, k, v).transpose(1, 2).flatten(2))
        # END SOLUTION


check("lab03.q2", MultiHeadAttention)

# %% [markdown]
# ## Question 3: the block (1 point, difficulty 3, 10 minutes)
#
# Pre-norm, as in GPT-2: each of the two parts reads a *normalised* copy of the stream and *adds* its result to the stream itself. The norm is given.

# %%
class RMSNorm(nn.Module):
    def __init__(self, d_model: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + 1e-5) * self.weight


class Block(nn.Module):
    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.norm1, self.attention = RMSNorm(d_model), MultiHeadAttention(d_model, n_heads)
        self.norm2 = RMSNorm(d_model)
        self.mlp = nn.Sequential(nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # BEGIN SOLUTION
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))
        # END SOLUTION


check("lab03.q3", Block)

# %% [markdown]
# ## Question 4: the loss, with padding (2 points, difficulty 3, 12 minutes)
#
# `logits` is `(B, T, V)`, computed from `ids`, which is `(B, T)`. Return the mean cross-entropy, in nats, of predicting each *next* token in its row. How many predictions in a row of `T` tokens have an answer? Rows of different lengths are filled up with the id `pad`: a prediction whose target is `pad` does not count, neither in the sum nor in the mean. With `pad=None`, the default, every target counts.

# %%
def next_token_loss(logits: torch.Tensor, ids: torch.Tensor, pad: int | None = None) -> torch.Tensor:
    # BEGIN SOLUTION
    predictions, targets = logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()
    if pad is not None:
        predictions, targets = predictions[targets != pad], targets[targets != pad]
    return F.cross_entropy(predictions, targets)
    # END SOLUTION


check("lab03.q4", next_token_loss)

# %% [markdown]
# ## Question 5: temperature and top-p (3 points, difficulty 3, 18 minutes)
#
# The lecture kept the `k` likeliest tokens, however likely they are. *Nucleus sampling* (Holtzman et al., 2020) keeps as many as it takes. From logits `(V,)`, return the probabilities `(V,)` to draw from: logits divided by the temperature, then a softmax; then only the likeliest tokens are kept, from the top down until their probabilities sum to at least `top_p` (the token that gets the sum there is kept too, so at least one is); everything else exactly 0; the sum 1 again. With `top_p=1.0` all are kept.

# %%
def next_token_probabilities(logits: torch.Tensor, temperature: float = 1.0, top_p: float = 1.0) -> torch.Tensor:
    # BEGIN SOLUTION
    p = (logits / temperature).softmax(dim=-1)
    ranked, order = p.sort(descending=True)
    dropped = ranked.cumsum(dim=-1) - ranked >= top_p
    p = torch.zeros_like(p).scatter(-1, order, ranked.masked_fill(dropped, 0.0))
    return p / p.sum()
    # END SOLUTION


check("lab03.q5", next_token_probabilities)

# %% [markdown]
# ## Train what you built
#
# Nothing to write here: this GPT is made of your pieces. If a piece is still missing, the cell says so and goes on.

# %% tags=["not-graded"]
text = tiny_shakespeare()
train_text, val_text = split_text(text, val_fraction=0.1)
tokenizer = CharTokenizer.from_text(text)
train_tokens, val_tokens = torch.tensor(tokenizer.encode(train_text)), torch.tensor(tokenizer.encode(val_text))


class GPT(nn.Module):
    def __init__(self, vocab_size: int, context: int = 64, n_layers: int = 2, d_model: int = 64, n_heads: int = 4):
        super().__init__()
        self.context = context
        self.token, self.position = nn.Embedding(vocab_size, d_model), nn.Embedding(context, d_model)
        self.blocks = nn.Sequential(*[Block(d_model, n_heads) for _ in range(n_layers)])
        self.norm, self.head = RMSNorm(d_model), nn.Linear(d_model, vocab_size, bias=False)
        nn.init.normal_(self.token.weight, std=0.02), nn.init.normal_(self.position.weight, std=0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.blocks(self.token(ids) + self.position(torch.arange(ids.size(1))))))


def train(steps: int = 250, lr: float = 3e-3, seed: int = 0):
    """Returns the model, the training losses, and (step, validation loss) pairs on a fixed sample of the held-out text."""
    torch.manual_seed(seed)
    generator, model = torch.Generator().manual_seed(seed), GPT(tokenizer.vocab_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    held_out = val_tokens[: 64 * 64].view(64, 64)
    losses, validation = [], []
    for step in range(1, steps + 1):
        x, _ = random_batch(train_tokens, 16, 64, generator)             # your loss does the shifting
        loss = next_token_loss(model(x), x)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
        losses.append(loss.item())
        if step % 50 == 0:
            with torch.no_grad():
                validation.append((step, next_token_loss(model(held_out), held_out).item()))
    return model, losses, validation


def write(model: nn.Module, prompt: str = "ROMEO:\n", n: int = 150, temperature: float = 0.8, top_p: float = 0.95) -> str:
    ids, generator = torch.tensor([tokenizer.encode(prompt)]), torch.Generator().manual_seed(0)
    for _ in range(n):
        with torch.no_grad():
            p = next_token_probabilities(model(ids[:, -64:])[0, -1], temperature, top_p)
        ids = torch.cat([ids, torch.multinomial(p, 1, generator=generator)[None]], dim=1)
    return tokenizer.decode(ids[0].tolist())


try:
    model, losses, validation = train()
    fig, ax = plt.subplots()
    ax.plot(losses, linewidth=1, label="training")
    ax.plot(*zip(*validation), marker="o", label="validation")
    ax.axhline(as_number(predicted_loss), color="0.5", linestyle=":", label="your prediction")
    ax.set(xlabel="step", ylabel="loss (nats per character)")
    ax.legend()
    show(fig, alt="Training and validation loss of your GPT against step, with your prediction as a dotted line.")
    print(write(model))
except NotImplementedError:
    print("Not yet: finish questions 1 to 5 first.")

# %% [markdown]
# ## Read your own plot (3 points, given by a person)
#
# In three or four sentences: What is the gap between your training and validation curves, and what does it tell you about this run? Has training finished, and how do you see it? What would you change first if you had a minute of computing, and what do you expect it to do to *both* curves?

# %%
interpretation = """The two curves lie on top of each other, so the model is not overfitting: with 0.1 million parameters and 250 steps it has seen
less than a third of the text once. Both are still falling at the end, so training has not finished. I would first train longer; both should keep falling together,
and only much later should the training curve drop below the validation curve."""  # SOLUTION

check("lab03.t1", interpretation)

# %% [markdown]
# ## Question 6: test somebody else's batches (3 points, difficulty 3, 15 minutes)
#
# Somebody gives you `batch(tokens, context, rows)`: from a text it cuts training examples, a list of `rows` pairs `[x, y]`, inputs and targets. Where in the text it cuts is its own business (at random, in order, from the end), but it keeps these promises:
#
# 1. there are `rows` pairs, and `x` and `y` have `context` tokens each;
# 2. `x` stands in the text as it is, `context` tokens in a row;
# 3. `y` is what follows: the same piece of the text, one place later. Nothing goes round from the end of the text to its beginning.
#
# Write `examples()`, a list of 1 to 24 inputs `(tokens, context, rows)` to try, and `holds(inputs, output)`: are the promises kept? `tokens` is a list of at most 100 ids below 1000, longer than `context`; `context` and `rows` go up to 20. Your test must pass several right programs, and every wrong one must fail on one of your examples. `check` tries four wrong ones, the grader more. In which texts would a mistake be visible?

# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    return [(list(range(9)), 3, 12), (list(range(5)), 4, 3), (list(range(50, 70)), 1, 20), ([7, 8, 9], 2, 1)]
    # END SOLUTION


def holds(inputs: tuple, output: list) -> bool:
    # BEGIN SOLUTION
    tokens, context, rows = inputs
    pieces = [tokens[i : i + context + 1] for i in range(len(tokens) - context)]
    return len(output) == rows and all(
        len(x) == len(y) == context and x[1:] == y[:-1] and [*x, y[-1]] in pieces for x, y in output
    )
    # END SOLUTION


check("lab03.q6", examples, holds)

# %% [markdown]
# ## Question 7: a run that went wrong (3 points, difficulty 4, 20 minutes)
#
# Somebody trained *this* model for 200 steps with one line changed. You get the losses on training and held-out text, computed by the *same* program; how sure the trained model is; which positions notice when the character at position 32 is exchanged; and what it writes after `"ROMEO:\n"`. A correct run stands beside it.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | the causal mask is missing | `E` | the targets are shifted by two: each position is trained to predict the token after the next |
# | `B` | the targets are not shifted: each position is trained to predict its own token | `F` | the residual paths are missing |
# | `C` | the learning rate is 100 times too high | `G` | the loss gets probabilities, softmax already taken, where it expects logits |
# | `D` | the learning rate is 100 times too low | `H` | attention looks at no other position: each token sees only itself |
#
# Prove it from your run. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | some positions before position 32 notice the change | `g` | the held-out loss after 20 steps is above 3.5 |
# | `b` | fewer than 31 positions after position 32 notice the change | `h` | the average probability of the likeliest character is between 0.1 and 0.2 |
# | `c` | the held-out loss at the end is between 2.4 and 2.7 | `i` | the held-out loss after 40 steps is above 3.5 |
# | `d` | the held-out loss at the end is above 3.2 | `j` | the held-out loss at the end is between 2.8 and 3.4 |
# | `e` | the average probability of the likeliest character is above 0.9 | `k` | the average probability of the likeliest character is between 0.2 and 0.28 |
# | `f` | the held-out loss after 20 steps is below 3 | `l` | the sample is made of one character |
#
# Answer with the cause and one to three observations that are true of your run and that *together* would be seen neither under another cause nor in a correct run, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: what is the loss at the beginning and at the end, what can the model know, and what will it write?

# %% tags=["not-graded"]
runs = {name: recorded("lab03_faults")["results"][name] for name in filter(None, ("correct", my_run("lab03.q7", STUDENT)))}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for ax, (name, run) in zip(axes, runs.items()):
    for split, marker in (("training", "."), ("held-out", "o")):
        ax.plot(run["steps"], run[split], marker=marker, label=split)
    ax.set(title=name, xlabel="step", ylim=(0, 6))
    ax.axhline(math.log(64), color="0.5", linestyle=":")
axes[0].set_ylabel("loss (nats per character)")
axes[0].legend()
show(fig, alt="Loss curves of a correct run and, once STUDENT is filled in, of yours; the dotted line is ln 64, a uniform guess.")
for name, run in runs.items():
    print(f"--- {name}: held-out loss {run['held-out'][0]:.2f} at first, {run['held-out'][1]:.2f} after 20 steps, {run['held-out'][2]:.2f} after 40, {run['held-out'][-1]:.2f} at the end ---")
    print("average probability of the likeliest character:", run["average probability of the likeliest character"])
    print("positions that notice a change at position 32:", run["positions that notice a change at position 32"])
    print(repr(run["sample"]), end="\n\n")

# %%
diagnosis = {"cause": "G", "evidence": ["d", "e"]}  # SOLUTION

check("lab03.q7", diagnosis)

# %% [markdown]
# ## Open challenge: 60 seconds
#
# The lowest loss on the *whole* of `val_tokens`, in nats per character, after at most 60 seconds of training on a CPU. Any model, any optimizer, any trick that trains on the training text only; tune on a piece you cut from it, and look at `val_tokens` once. The library's own recipe reaches **1.75** in this time on a quiet two-core machine: the score to beat.
#
# The cell shows the rules as code. It begins with your own GPT and 2 seconds.

# %% tags=["not-graded"]
@torch.no_grad()
def held_out_loss(model: nn.Module, context: int = 64) -> float:
    """The score: mean of -ln p over val_tokens, every character predicted once from those before it in its window."""
    total, windows = 0.0, val_tokens[: (len(val_tokens) - 1) // context * context + 1]
    for x, y in zip(windows[:-1].view(-1, context).split(200), windows[1:].view(-1, context).split(200)):
        total += F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum").item()
    return total / (len(windows) - 1)


try:
    with Stopwatch(60) as clock:
        challenger = GPT(tokenizer.vocab_size)
        optimizer = torch.optim.AdamW(challenger.parameters(), lr=3e-3)
        while clock.seconds < 2:                                         # 60 when you mean it
            x, _ = random_batch(train_tokens, 16, 64)
            loss = next_token_loss(challenger(x), x)
            optimizer.zero_grad(), loss.backward(), optimizer.step()
    print(f"{held_out_loss(challenger):.3f} nats per character")
except NotImplementedError:
    print("Not yet: finish questions 1 to 4 first, or train a model of your own.")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
best_loss = 1.75  # SOLUTION

check("lab03.c1", best_loss, seconds=None)  # seconds=clock.seconds puts the time into the line
