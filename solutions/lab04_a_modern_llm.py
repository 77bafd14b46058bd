# %% [markdown]
# # Lab 04 · Build a Llama, run a real one in it, and find what is wrong with three others
#
# You write the pieces of lecture 04 yourself, put the weights of a published model into them, and diagnose three models that were loaded with one mistake each. About 100 minutes; 20 points, of which 3 are given by a person.
#
# **How this works.** Each question has a function or class to complete (remove the line that raises) followed by a `check`. Checks never stop the notebook, show what was expected, and recognise common mistakes. The grader uses the same checks with fresh random inputs. You may use any tensor operation of PyTorch, but not `scaled_dot_product_attention`, `rms_norm`, `nn.RMSNorm` or the library's own model: those are the answer.

# %%
import statistics
import time

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware import check, setup_style, show
from llmlib.data import recorded

setup_style()
torch.manual_seed(0);

# %% [markdown]
# ## Before you start: a prediction (logged, not graded)
#
# Towards the end you measure how long your own attention layers take for one more token after 512 others, with a key-value cache and without. **How many times faster will the cached version be?** The two do 1 and 512 tokens' worth of projections. Being wrong costs nothing.

# %%
predicted_speedup = 40.0  # SOLUTION

check("lab04.p1", predicted_speedup)

# %% [markdown]
# ## Question 1: RMSNorm (2 points, difficulty 1, 6 minutes)
#
# Divide each vector (the last axis) by the root of its *mean* square plus `eps`, then multiply by `gain`. Any number of leading axes.

# %%
def rms_norm(x: torch.Tensor, gain: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    # BEGIN SOLUTION
    return x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + eps) * gain
    # END SOLUTION


check("lab04.q1", rms_norm)

# %% [markdown]
# ## Question 2: rotary positions (3 points, difficulty 3, 15 minutes)
#
# Turn pair $i$ of every head, $i = 0 \dots d/2 - 1$, by the angle `position * theta ** (-2 i / d)`. Use the layout of the published Llama checkpoints: pair $i$ consists of coordinates $i$ and $i + d/2$. `x` is `(..., T, d)`, `positions` is `(T,)`. A turn by the angle $\alpha$ takes $(a, b)$ to $(a\cos\alpha - b\sin\alpha,\; a\sin\alpha + b\cos\alpha)$.

# %%
def rope(x: torch.Tensor, positions: torch.Tensor, theta: float = 10_000.0) -> torch.Tensor:
    # BEGIN SOLUTION
    d = x.size(-1)
    angle = positions[:, None] * theta ** (-torch.arange(0, d, 2) / d)
    a, b = x[..., : d // 2], x[..., d // 2 :]
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1)
    # END SOLUTION


check("lab04.q2", rope)

# %% [markdown]
# ## Question 3: SwiGLU (1 point, difficulty 2, 6 minutes)
#
# `gate` and `up` are `(d_ff, d)`, `down` is `(d, d_ff)`; all are used as `nn.Linear` uses its weight. Return $\big(\mathrm{silu}(\text{gate branch}) \odot \text{up branch}\big)$ led back by `down`, where $\mathrm{silu}(z) = z\,\sigma(z)$.

# %%
def swiglu(x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    return (F.silu(x @ gate.T) * (x @ up.T)) @ down.T
    # END SOLUTION


check("lab04.q3", swiglu)

# %% [markdown]
# ## Question 4: grouped queries (2 points, difficulty 3, 12 minutes)
#
# `q` is `(B, H, T, d)`, `k` and `v` are `(B, K, S, d)`, and `K` divides `H`: the first `H/K` query heads share key head 0, the next `H/K` share key head 1, and so on. `mask` is `(T, S)`, `True` where looking is allowed. Return the output `(B, H, T, d)`.

# %%
def grouped_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    share = q.size(1) // k.size(1)
    k, v = k.repeat_interleave(share, dim=1), v.repeat_interleave(share, dim=1)
    scores = (q @ k.transpose(-2, -1) / q.size(-1) ** 0.5).masked_fill(~mask, float("-inf"))
    return scores.softmax(dim=-1) @ v
    # END SOLUTION


check("lab04.q4", grouped_attention)

# %% [markdown]
# ## Question 5: where the new tokens stand, and what they may see (2 points, difficulty 3, 10 minutes)
#
# `past` tokens are in the cache and `T` new ones arrive. Return their positions, `(T,)` integers, and the mask `(T, past + T)`: each new token may see everything in the cache, the new tokens before it, and itself.

# %%
def positions_and_mask(past: int, T: int) -> tuple[torch.Tensor, torch.Tensor]:
    # BEGIN SOLUTION
    positions = torch.arange(past, past + T)
    return positions, torch.arange(past + T) <= positions[:, None]
    # END SOLUTION


check("lab04.q5", positions_and_mask)

# %% [markdown]
# ## Question 6: attention with a cache (3 points, difficulty 4, 20 minutes)
#
# Complete `forward`. `x` holds the new tokens only, `(B, T, d_model)`; `cache` is a dict, empty at first. Project, split into heads, turn queries and keys, put the new keys and values behind the cached ones (`cache["k"]`, `cache["v"]`, each `(B, n_kv_heads, tokens so far, head_dim)`), attend, merge, project with `o_proj`. The test of a cache: however a sequence is cut into pieces, the outputs are those of the whole.

# %%
class CachedAttention(nn.Module):
    def __init__(self, d_model: int, n_heads: int, n_kv_heads: int):
        super().__init__()
        self.head_dim = d_model // n_heads
        self.q_proj = nn.Linear(d_model, n_heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(d_model, n_kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(d_model, n_kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(n_heads * self.head_dim, d_model, bias=False)

    def forward(self, x: torch.Tensor, cache: dict) -> torch.Tensor:
        # BEGIN SOLUTION
        B, T, _ = x.shape
        past = cache["k"].size(2) if cache else 0
        positions, mask = positions_and_mask(past, T)
        q, k, v = (p(x).view(B, T, -1, self.head_dim).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rope(q, positions), rope(k, positions)
        if cache:
            k, v = torch.cat([cache["k"], k], dim=2), torch.cat([cache["v"], v], dim=2)
        cache["k"], cache["v"] = k, v
        return self.o_proj(grouped_attention(q, k, v, mask).transpose(1, 2).reshape(B, T, -1))
        # END SOLUTION


check("lab04.q6", CachedAttention)

# %% [markdown]
# ## Question 7: what a conversation costs (1 point, difficulty 2, 6 minutes)
#
# The bytes of key-value cache that `tokens` tokens need. (For Llama-2-70B, 80 layers, 64 heads sharing 8 key heads, head width 128, 2 bytes a number, 8,192 tokens: how many GiB?)

# %%
def cache_bytes(n_layers: int, n_heads: int, n_kv_heads: int, head_dim: int, tokens: int, bytes_per_number: int = 2) -> int:
    # BEGIN SOLUTION
    return 2 * n_layers * n_kv_heads * head_dim * tokens * bytes_per_number
    # END SOLUTION


check("lab04.q7", cache_bytes)

# %% [markdown]
# ## Run a real model in what you built
#
# Nothing to write here: this Llama is made of your pieces, and its weights are SmolLM2's. (If SmolLM2 cannot be fetched, a small stand-in of ours takes its place and says so.) If a piece is still missing, the cell says so and goes on.

# %% tags=["not-graded"]
from llmlib.hub import load_smollm2
from llmlib.text import encode_chat

library_model, tokenizer = load_smollm2(device="cpu")
weights, config = library_model.state_dict(), library_model.config


@torch.no_grad()
def llama(ids: torch.Tensor, cache: list, past: int | None = None) -> torch.Tensor:
    """Logits (B, T, V). `past` is the number of tokens read before, where the cache has forgotten some of them."""
    w, c, held = weights, config, cache[0][0].size(2) if cache else 0
    B, T = ids.shape
    _, mask = positions_and_mask(held, T)
    positions, _ = positions_and_mask(held if past is None else past, T)
    x = w["token_embedding.weight"][ids]
    for i in range(c.n_layers):
        p = f"blocks.{i}."
        h = rms_norm(x, w[p + "norm1.weight"], c.norm_eps)
        q, k, v = ((h @ w[p + f"attention.{name}_proj.weight"].T).view(B, T, -1, c.head_dim).transpose(1, 2) for name in "qkv")
        q, k = rope(q, positions, c.rope_theta), rope(k, positions, c.rope_theta)
        if held:
            k, v = torch.cat([cache[i][0], k], dim=2), torch.cat([cache[i][1], v], dim=2)
        cache[i : i + 1] = [(k, v)]
        x = x + grouped_attention(q, k, v, mask).transpose(1, 2).reshape(B, T, -1) @ w[p + "attention.o_proj.weight"].T
        h = rms_norm(x, w[p + "norm2.weight"], c.norm_eps)
        x = x + swiglu(h, *(w[p + f"mlp.{name}_proj.weight"] for name in ("gate", "up", "down")))
    return rms_norm(x, w["final_norm.weight"], c.norm_eps) @ w["token_embedding.weight"].T


def reply(question: str, n: int = 24) -> str:
    """Greedy reply, one token at a time, over your cache."""
    ids, cache, written = torch.tensor([encode_chat(tokenizer, [{"role": "user", "content": question}])]), [], []
    for _ in range(n):
        token = llama(ids, cache)[0, -1].argmax().item()
        if token == tokenizer.special_tokens["<|im_end|>"]:
            break
        written.append(token)
        ids = torch.tensor([[token]])
    return tokenizer.decode(written)


try:
    for question in ("What is the capital of France?", "Name a fruit that is yellow."):
        print(f"> {question}\n  {reply(question)}\n")
except NotImplementedError:
    print("Not yet: finish questions 1 to 6 first.")

# %% [markdown]
# ## Measure your own cache
#
# Two layers of your `CachedAttention`, random weights: the time for one more token, with and without the cache.

# %% tags=["not-graded"]
def milliseconds(function, rounds: int = 5) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


@torch.no_grad()
def time_per_token(t: int) -> tuple[float, float]:
    layers, x = [CachedAttention(256, 8, 2) for _ in range(2)], torch.randn(1, t, 256)
    caches = [{} for _ in layers]
    for layer, cache in zip(layers, caches):
        layer(x[:, :-1], cache)
    without = milliseconds(lambda: [layer(x, {}) for layer in layers])
    return without, milliseconds(lambda: [layer(x[:, -1:], dict(cache)) for layer, cache in zip(layers, caches)])


try:
    contexts = [32, 64, 128, 256, 512, 1024]
    measured = {t: time_per_token(t) for t in contexts}
    fig, ax = plt.subplots()
    for i, name in enumerate(("without a cache", "with a cache")):
        ax.plot(contexts, [measured[t][i] for t in contexts], marker="os"[i], label=name)
    ax.set(xscale="log", yscale="log", xlabel="tokens so far", ylabel="ms for one more token", xticks=contexts, xticklabels=contexts)
    ax.minorticks_off()
    ax.legend()
    show(fig, alt="Milliseconds for one more token against the number of tokens so far, with and without a cache, both axes logarithmic.")
    speedup = measured[512][0] / measured[512][1]
    print(f"speed-up at 512 tokens: {speedup:.0f}x; your prediction: {predicted_speedup}")
except NotImplementedError:
    print("Not yet: finish questions 2 to 6 first.")

# %% [markdown]
# ## Read your own plot (3 points, given by a person)
#
# In three or four sentences: How does each curve grow with the number of tokens, and which part of the work makes it grow? Why is the speed-up at 512 tokens not 512? At what length, roughly, would you expect the *cached* curve to start rising in proportion too, and what would fewer key heads change about that?

# %%
interpretation = """Without the cache the time grows in proportion to the number of tokens at first, because every projection is done again for every earlier token, and
faster at the end, where the scores (tokens squared) take over. With the cache it is nearly level: one token's projections cost the same at any length, and only the dot
products with the stored keys grow. The speed-up is well below 512 because a pass over many tokens uses the processor better per token, and because the cached step
has fixed costs. It will rise in proportion once reading the stored keys costs more than the fixed work, at some thousands of tokens here; with one key head instead
of two there is half as much to read, so that point moves to about twice the length."""  # SOLUTION

check("lab04.t1", interpretation)

# %% [markdown]
# ## Question 8: three models loaded wrong (3 points, difficulty 4, 20 minutes)
#
# Three students loaded SmolLM2 into code of their own, with one mistake each. You get what a comparison with the right model shows on a text of 48 tokens: the error of the logits at every position, when the text is read *whole* and when it is read *one token at a time* with the cache; how far the last logits move, read one at a time, when the eleventh token is exchanged (0.57 in the right model, whose logits have a spread of 7); and a greedy continuation written with the cache. Each has a different one of these causes:
#
# | letter | cause |
# | --- | --- |
# | `A` | the rotary layout is the interleaved one, and the weights are for halves |
# | `B` | positions restart at 0 with every call that uses the cache |
# | `C` | the mask is aligned top-left, also when there is a cache |
# | `D` | key heads are repeated with `repeat` instead of `repeat_interleave` |
# | `E` | the causal mask is missing |
# | `F` | the rotary base is 10,000 instead of 100,000 |
#
# Ask of each cause: is the very first token affected? Does it matter how the text is read? Does the error depend on how far apart two tokens are?

# %% tags=["not-graded"]
wrong_models = recorded("modern_llm_lab04")["results"]
fig, axes = plt.subplots(1, 3, figsize=(12, 3.4), sharey=True)
for ax, (name, model) in zip(axes, wrong_models.items()):
    ax.plot(model["whole"], label="read whole")
    ax.plot(model["one_by_one"], "--", label="one token at a time")
    ax.set(title=name, xlabel="position", ylim=(-0.5, 25))
axes[0].set_ylabel("error of the logits (root mean square)")
axes[0].legend()
show(fig, alt="Error of the logits against position for three wrongly loaded models, read whole and read one token at a time.")
for name, model in wrong_models.items():
    print(f"--- {name}: error at the first token {model['whole'][0]:.2f}, at the last {model['whole'][-1]:.2f} whole and {model['one_by_one'][-1]:.2f} one by one; influence of token 11: {model['influence']:.2f} ---\n{model['sample']!r}\n")

# %%
diagnosis = {"model 1": "F", "model 2": "D", "model 3": "B"}  # SOLUTION

check("lab04.q8", diagnosis)

# %% [markdown]
# ## Open challenge: a cache of 32 tokens
#
# A chat that never ends needs a cache that forgets. You decide what: `policy(kept)` gets the positions of the tokens in the cache, oldest first, and returns the indices of at most 32 of them to keep. The score is the mean loss of SmolLM2 on a passage of 192 tokens, from the 65th on, read one token at a time. Keeping the last 32 gives about 5.2, the score to beat; a cache that forgets nothing reaches 3.2. One score takes about ten seconds. Write down your best score, and how you got it.

# %% tags=["not-graded"]
from llmlib.data import alice


def policy_loss(policy, budget: int = 32, n: int = 192, start: int = 64) -> float:
    """Mean loss in nats per token of the model of your pieces with a cache that holds at most `budget` tokens."""
    ids, cache, kept, losses = tokenizer.encode(alice()[20_000:21_500])[: n + 1], [], [], []
    for t in range(n):
        logits = llama(torch.tensor([[ids[t]]]), cache, past=t)
        if t >= start:
            losses.append(F.cross_entropy(logits[0], torch.tensor([ids[t + 1]])).item())
        kept.append(t)
        if len(kept) > budget:
            keep = sorted(policy(kept))[:budget]
            kept = [kept[i] for i in keep]
            cache[:] = [(k[:, :, keep], v[:, :, keep]) for k, v in cache]
    return statistics.mean(losses)


def last_ones(kept: list[int]) -> list[int]:
    return list(range(len(kept) - 32, len(kept)))


# policy_loss(last_ones)

# %%
best_loss = 3.89  # SOLUTION

check("lab04.c1", best_loss)
