# %% [markdown]
# # Lab 03 · Build a GPT, then find out why three others failed
#
# You write the pieces of lecture 03 yourself, train what you built, and read the logs of three runs that went wrong. About 100 minutes; 20 points, of which 3 are given by a person.
#
# **How this works.** Each question has a function or class to complete (remove the line that raises) followed by a `check`. Checks are friendly: they never stop the notebook, show you what was expected, and recognise common mistakes. The grader uses the same checks with fresh random inputs. You may use any tensor operation of PyTorch, but not `scaled_dot_product_attention`, `nn.MultiheadAttention` or the library's own model: those are the answer.

# %%
import math

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware import check, setup_style, show
from llmlib.data import random_batch, recorded, split_text, tiny_shakespeare
from llmlib.text import CharTokenizer

setup_style()
torch.manual_seed(0);

# %% [markdown]
# ## Before you start: a prediction (logged, not graded)
#
# At the end of this lab you train a GPT with 2 layers, 64 wide, for about ten seconds on Shakespeare. The bigram table of lecture 03 reaches 2.4 nats per character. **Which validation loss will your model reach, in nats per character?** Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_loss = 2.2  # SOLUTION

check("lab03.p1", predicted_loss)

# %% [markdown]
# ## Question 1: attention weights (2 points, difficulty 2, 8 minutes)
#
# For queries `q` of shape `(..., T, d)` and keys `k` of shape `(..., S, d)`, return the weights `(..., T, S)`: scaled dot products, then a softmax over the keys. Any number of leading dimensions must work.

# %%
def attention_weights(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
    return scores.softmax(dim=-1)
    # END SOLUTION


check("lab03.q1", attention_weights)

# %% [markdown]
# ## Question 2: causal attention (3 points, difficulty 3, 12 minutes)
#
# The output of attention in which position `t` uses positions `0..t` only: `q`, `k`, `v` are `(..., T, d)`, the result too. Test yourself as the lecture did: change a late input, and no earlier output may move.

# %%
def causal_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    T = q.size(-2)
    scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
    future = torch.ones(T, T, dtype=torch.bool).triu(diagonal=1)
    return scores.masked_fill(future, float("-inf")).softmax(dim=-1) @ v
    # END SOLUTION


check("lab03.q2", causal_attention)

# %% [markdown]
# ## Question 3: merging heads (2 points, difficulty 2, 8 minutes)
#
# Splitting is given. Write its inverse: `(B, heads, T, d_head)` back to `(B, T, heads * d_head)`, so that `merge_heads(split_heads(x, n)) == x`.

# %%
def split_heads(x: torch.Tensor, n_heads: int) -> torch.Tensor:
    """(B, T, D) -> (B, heads, T, D / heads)"""
    B, T, D = x.shape
    return x.view(B, T, n_heads, D // n_heads).transpose(1, 2)


def merge_heads(x: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    B, n_heads, T, d_head = x.shape
    return x.transpose(1, 2).reshape(B, T, n_heads * d_head)
    # END SOLUTION


check("lab03.q3", merge_heads)

# %% [markdown]
# ## Question 4: multi-head attention (3 points, difficulty 3, 15 minutes)
#
# Complete `forward`: project, split, attend causally in every head, merge, project with `o_proj`. Keep the parameter names: the grader fills them with its own numbers.

# %%
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
        return self.o_proj(merge_heads(causal_attention(q, k, v)))
        # END SOLUTION


check("lab03.q4", MultiHeadAttention)

# %% [markdown]
# ## Question 5: the block (2 points, difficulty 3, 10 minutes)
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


check("lab03.q5", Block)

# %% [markdown]
# ## Question 6: the loss (2 points, difficulty 2, 8 minutes)
#
# `logits` is `(B, T, V)`, computed from `ids`, which is `(B, T)`. Return the mean cross-entropy, in nats, of predicting each *next* token. How many predictions in a row of `T` tokens have an answer?

# %%
def next_token_loss(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    predictions, targets = logits[:, :-1], ids[:, 1:]
    return F.cross_entropy(predictions.flatten(0, 1), targets.flatten())
    # END SOLUTION


check("lab03.q6", next_token_loss)

# %% [markdown]
# ## Question 7: temperature and top-k (3 points, difficulty 3, 12 minutes)
#
# From logits `(V,)`, return the probabilities `(V,)` to draw from: logits divided by the temperature; only the `top_k` largest kept (all when `None`); everything else exactly 0; the sum 1.

# %%
def next_token_probabilities(logits: torch.Tensor, temperature: float = 1.0, top_k: int | None = None) -> torch.Tensor:
    # BEGIN SOLUTION
    if top_k is not None:
        smallest_kept = logits.topk(min(top_k, logits.size(-1))).values[-1]
        logits = logits.masked_fill(logits < smallest_kept, float("-inf"))
    return (logits / temperature).softmax(dim=-1)
    # END SOLUTION


check("lab03.q7", next_token_probabilities)

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
    held_out = val_tokens[: 200 * 64].view(200, 64)
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


def write(model: nn.Module, prompt: str = "ROMEO:\n", n: int = 150, temperature: float = 0.8, top_k: int | None = None) -> str:
    ids, generator = torch.tensor([tokenizer.encode(prompt)]), torch.Generator().manual_seed(0)
    for _ in range(n):
        with torch.no_grad():
            p = next_token_probabilities(model(ids[:, -64:])[0, -1], temperature, top_k)
        ids = torch.cat([ids, torch.multinomial(p, 1, generator=generator)[None]], dim=1)
    return tokenizer.decode(ids[0].tolist())


try:
    model, losses, validation = train()
    fig, ax = plt.subplots()
    ax.plot(losses, linewidth=1, label="training")
    ax.plot(*zip(*validation), marker="o", label="validation")
    ax.axhline(predicted_loss if isinstance(predicted_loss, float) else math.nan, color="0.5", linestyle=":", label="your prediction")
    ax.set(xlabel="step", ylabel="loss (nats per character)")
    ax.legend()
    show(fig, alt="Training and validation loss of your GPT against step, with your prediction as a dotted line.")
    print(write(model))
except NotImplementedError:
    print("Not yet: finish questions 1 to 7 first.")

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
# ## Question 8: three runs that went wrong (3 points, difficulty 4, 20 minutes)
#
# Three students trained *this* model with one line changed each. You get what they had: the training loss, the loss on held-out text computed *the same way*, and what the model writes after `"ROMEO:\n"`. Each run has a different one of these causes:
#
# | letter | cause |
# | --- | --- |
# | `A` | the causal mask is missing |
# | `B` | the targets are not shifted: each position is trained to predict its own token |
# | `C` | the learning rate is 100 times too high |
# | `D` | the positions are not added |
# | `E` | the scores are not divided by √d |
# | `F` | the gradients are never reset to zero |

# %% tags=["not-graded"]
broken = recorded("lab03_broken_runs")["results"]
fig, axes = plt.subplots(1, 3, figsize=(12, 3.2), sharey=True)
for ax, (name, run) in zip(axes, broken.items()):
    ax.plot(run["train_loss"], linewidth=1, label="training")
    ax.plot(run["val_steps"], run["val_loss"], marker="o", label="held out")
    ax.set(title=name, xlabel="step", ylim=(0, 6))
    ax.axhline(math.log(64), color="0.5", linestyle=":")
axes[0].set_ylabel("loss (nats per character)")
axes[0].legend()
show(fig, alt="Loss curves of three broken runs; the dotted line is ln 64, the loss of a uniform guess.")
for name, run in broken.items():
    print(f"--- {name}: final training loss {run['train_loss'][-1]:.2f} ---\n{run['sample'][:120]!r}\n")

# %%
diagnosis = {"run 1": "B", "run 2": "C", "run 3": "A"}  # SOLUTION

check("lab03.q8", diagnosis)

# %% [markdown]
# ## Open challenge: 60 seconds
#
# The lowest validation loss on the *whole* held-out text after at most 60 seconds of training on a CPU. Any model, any optimizer, any trick that trains on the training text only. The library's own recipe is the score to beat; write your best figure below, and how you got it.

# %%
best_loss = 1.75  # SOLUTION

check("lab03.c1", best_loss)
