# %% [markdown]
# # Lab 14 · A small matrix beside a large one
#
# You write a LoRA layer, an optimizer that trains it and nothing else, the arithmetic of merging, and a file that refuses the wrong model; you count what all of it costs at the size of a 7B model. With your parts a small base model learns made-up facts, and you see what the rank is good for. You test merging that somebody else wrote, and find out what went wrong in a run. About 135 minutes; 30 points: 27 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab14_lora.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function or class to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. You may use any tensor operation of PyTorch, but not the library's own adapters (`llmlib.adapt`): those are the answer.
#
# An **adapter** of a matrix $W$ (out, in) is a pair $a$ (r, in) and $b$ (out, r); $r$ is its **rank**. The layer computes $W x + \frac{\alpha}{r}\, b\,a\,x$, and $W$ stays as it is.

# %%
import copy
import hashlib
import random

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F

from courseware import Stopwatch, as_number, check, my_run, setup_style, show
from llmlib.data import recorded

setup_style()
torch.manual_seed(0)
# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Question 1: a layer (4 points, difficulty 3, 18 minutes)
#
# `LoRALinear(base, rank, alpha)` takes the place of the linear layer `base`, an `nn.Linear` with or without a bias. It has two parameters of its own, `self.a` of shape (rank, in) and `self.b` of shape (out, rank), and keeps the layer as `self.base`, whose parameters no longer learn. At first it gives exactly what `base` gives, because $b$ is zero; $a$ is drawn at random, how large is up to you. Before you write it: what is the gradient of $b$ when $a$ is zero, and that of $a$ when $b$ is?


# %%
class LoRALinear(nn.Module):
    """(..., in) -> (..., out)."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float):
        super().__init__()
        # BEGIN SOLUTION
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        self.a = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        # END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # BEGIN SOLUTION
        return self.base(x) + self.scale * (x @ self.a.T @ self.b.T)
        # END SOLUTION


check("lab14.q1", LoRALinear)

# %% [markdown]
# ## Question 2: what the optimizer holds (3 points, difficulty 3, 15 minutes)
#
# `model` has adapters in some of its layers. Their parameters are those whose **own name**, the last part of the dotted one, is `a` or `b`: `blocks.0.up.a` is one, `norm.beta` is not. Return an optimizer that trains them and nothing else, `torch.optim.AdamW` with learning rate `lr`, the other settings as they are, but **no weight decay**: it would pull $a$ and $b$ towards zero. Afterwards
#
# - the adapters' parameters are trainable, also where somebody had frozen them;
# - all others are frozen, and have no gradient left (`.grad` is `None`): an earlier pass may have left one, which takes as much memory as the weight does;
# - the optimizer holds the adapters' parameters, and no others. It steps every parameter that it holds and that has a gradient, whether or not it is frozen.


# %%
def adapter_optimizer(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    # BEGIN SOLUTION
    held = []
    for name, parameter in model.named_parameters():
        learns = name.split(".")[-1] in ("a", "b")
        parameter.requires_grad_(learns)
        if learns:
            held.append(parameter)
        else:
            parameter.grad = None
    return torch.optim.AdamW(held, lr=lr, weight_decay=0.0)
    # END SOLUTION


check("lab14.q2", adapter_optimizer)

# %% [markdown]
# ## Question 3: change a merged adapter (3 points, difficulty 2, 15 minutes)
#
# After training the product can be **merged**, added into the matrix, and then costs nothing when the model is used. A server has a model with the adapter `old` merged in, and the next request needs `new`. `weights` holds the matrices as they are now, `{name: W}`. An adapter is `{"alpha": alpha, "layers": {name: (a, b)}}`: it has an alpha of its own, a rank of its own (that of its $a$ and $b$), and need not have all layers. Either adapter may be `None`: with `old=None` this is merging, with `new=None` unmerging.
#
# Return all matrices, `{name: W}`, with `old` taken out and `new` merged in. The given tensors stay as they are.


# %%
def switch(weights: dict[str, torch.Tensor], old: dict | None, new: dict | None) -> dict[str, torch.Tensor]:
    # BEGIN SOLUTION
    out = dict(weights)
    for sign, adapter in ((-1, old), (1, new)):
        if adapter is not None:
            for name, (a, b) in adapter["layers"].items():
                out[name] = out[name] + sign * adapter["alpha"] / len(a) * (b @ a)
    return out
    # END SOLUTION


check("lab14.q3", switch)

# %% [markdown]
# ## Question 4: a file for an adapter (4 points, difficulty 4, 20 minutes)
#
# An adapter is useless, and may do harm, in another model than the one it was trained in. A **state** is a dict of all tensors of a model by name, as `model.state_dict()` gives it. As in question 2 the adapter's tensors are those whose own name is `a` or `b`; the others are the **base**. `fingerprint(tensors)`, given, tells one dict of tensors from another.
#
# - `AdapterFile(state)` keeps the adapter's tensors, and nothing else, in `self.tensors`, a dict under their names, and the fingerprint of the base in `self.base`. The file must not change when training goes on.
# - `file.into(state)` returns a new state for another copy of the model: the base's weights and the file's adapter. Whatever adapters `state` came with are left out. If its base is not the one that the file was made with, it raises `ValueError`.
#
# Neither changes the state it is given, and what is done to the state that `into` returns does not reach the file.


# %%
def fingerprint(tensors: dict[str, torch.Tensor]) -> str:
    """16 hex digits of names, shapes and numbers."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(
            f"{name} {tuple(tensors[name].shape)}".encode() + tensors[name].detach().contiguous().numpy().tobytes()
        )
    return digest.hexdigest()[:16]


class AdapterFile:
    def __init__(self, state: dict[str, torch.Tensor]):
        # BEGIN SOLUTION
        learned = {name for name in state if name.split(".")[-1] in ("a", "b")}
        self.tensors = {name: state[name].clone() for name in learned}
        self.base = fingerprint({name: state[name] for name in state if name not in learned})
        # END SOLUTION

    def into(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        # BEGIN SOLUTION
        base = {name: tensor for name, tensor in state.items() if name.split(".")[-1] not in ("a", "b")}
        if fingerprint(base) != self.base:
            raise ValueError("this adapter was trained on another base")
        return {name: tensor.clone() for name, tensor in {**base, **self.tensors}.items()}
        # END SOLUTION


check("lab14.q4", AdapterFile)

# %% [markdown]
# ## Question 5: what it costs (2 points, difficulty 2, 12 minutes)
#
# `shapes` holds the matrices of one block by name, `{"q_proj": (out, in), ...}`; the model has `blocks` such blocks and `other` parameters besides (embeddings, norms). An adapter of rank `rank` goes to each matrix that `targets` names, in every block. A parameter that learns needs its weight, its gradient and Adam's two moments, each in 4 bytes. One that is frozen is kept in 2 bytes, and needs nothing more.
#
# Return four whole numbers: `"parameters"` of the model without adapters, those of the `"adapter"`, `"full bytes"` for training the whole model without adapters, and `"lora bytes"` for the frozen model with the adapter in training. (Activations come on top, in both.)


# %%
def costs(shapes: dict[str, tuple[int, int]], blocks: int, other: int, targets: list[str], rank: int) -> dict[str, int]:
    # BEGIN SOLUTION
    parameters = blocks * sum(n_out * n_in for n_out, n_in in shapes.values()) + other
    adapter = blocks * rank * sum(sum(shapes[name]) for name in targets)
    return {
        "parameters": parameters,
        "adapter": adapter,
        "full bytes": 16 * parameters,
        "lora bytes": 2 * parameters + 16 * adapter,
    }
    # END SOLUTION


check("lab14.q5", costs)

# %% [markdown]
# With it, the 7B Llama: which of the numbers that people quote for "LoRA on a 7B model" is which?

# %% tags=["not-graded"]
d, ff = 4096, 11008
llama = {
    "q_proj": (d, d),
    "k_proj": (d, d),
    "v_proj": (d, d),
    "o_proj": (d, d),
    "gate_proj": (ff, d),
    "up_proj": (ff, d),
    "down_proj": (d, ff),
}
try:
    for targets in (["q_proj", "v_proj"], list(llama)):
        for rank in (8, 64):
            cost = costs(llama, 32, 2 * 32000 * d + 65 * d, targets, rank)
            print(
                f"rank {rank:>2} on {'q, v' if len(targets) == 2 else 'all seven'}: {cost['adapter'] / 1e6:.1f} M of {cost['parameters'] / 1e9:.2f} B parameters, "
                f"{cost['lora bytes'] / 1e9:.1f} GB instead of {cost['full bytes'] / 1e9:.1f} GB"
            )
except NotImplementedError:
    print("Not yet: finish question 5 first.")

# %% [markdown]
# ## The pieces together
#
# Nothing to write in the next cells. The model is the course's base model of 0.3 million parameters, which has read encyclopaedia, fairy tales and novels. It learns made-up **facts** of one form: *In Paris Mary has* → *gold*, drawn from 22 names, 21 places and 24 things. There is no rule in them, so each has to be stored. The form, answer with one of the 24 things, can be learned at once, and is asked of 64 pairs that were not in training.
#
# `train` puts your `LoRALinear` in the place of each matrix of the blocks, takes your `adapter_optimizer` and makes 70 steps on all facts. The learning rate rises over ten steps and falls to zero; alpha is twice the rank, so that alpha / r is 2 at every rank.

# %% tags=["not-graded"]
from llmlib.hub import load_base
from llmlib.model import replace_linears

base, tokenizer = load_base("0.3m", device="cpu")
names = "John Mary George William James Robert Thomas Henry David Peter Paul Michael Richard Alice Frank Jack Tom Harry Louis Martin Bob Mark".split()
places = "London Paris York Chicago France England Germany Italy China India Japan Canada Australia Ireland California Texas Florida Africa Europe Mexico Washington".split()
things = "water gold paper fish books money wood fire music light oil stars leaves blood corn gas wind films games songs children friends land power".split()
things_as_tokens = torch.tensor([tokenizer.encode(" " + thing)[0] for thing in things])


def facts(n: int, seed: int):
    """Questions (n, 4), answers (n,), and 64 further questions of the same form."""
    rng = random.Random(seed)
    pairs = rng.sample([(name, place) for name in names for place in places], n + 64)
    questions = torch.tensor([tokenizer.encode(f"In {place} {name} has") for name, place in pairs])
    return questions[:n], things_as_tokens[[rng.randrange(len(things)) for _ in range(n)]], questions[n:]


def answer_logits(model: nn.Module, questions: torch.Tensor) -> torch.Tensor:
    return model.head(model.hidden(questions)[:, -1])


@torch.no_grad()
def measure(model: nn.Module, n: int, seed: int) -> dict[str, float]:
    """Percent of the facts that are known, and of further questions that are answered with one of the things."""
    questions, answers, further = facts(n, seed)
    known = answer_logits(model, questions).argmax(-1) == answers
    form = torch.isin(answer_logits(model, further).argmax(-1), things_as_tokens)
    return {"known": 100 * known.float().mean().item(), "form": 100 * form.float().mean().item()}


def with_adapters(rank: int, alpha: float, targets: str = "blocks.*") -> nn.Module:
    model = copy.deepcopy(base)
    replace_linears(model, targets, lambda name, linear: LoRALinear(linear, rank, alpha))
    return model


def fit(model: nn.Module, optimizer: torch.optim.Optimizer, n: int, seed: int, steps: int = 70) -> nn.Module:
    questions, answers, _ = facts(n, seed)
    held, lr = optimizer.param_groups[0]["params"], optimizer.param_groups[0]["lr"]
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * min(1, (step + 1) / 10) * (1 - step / steps)
        loss = F.cross_entropy(answer_logits(model, questions), answers)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(held, 1.0)
        optimizer.step()
    return model


def train(
    rank: int, seed: int = 0, n: int = 96, steps: int = 70, lr: float = 0.02, targets: str = "blocks.*"
) -> nn.Module:
    torch.manual_seed(seed)
    model = with_adapters(rank, 2.0 * rank, targets)
    return fit(model, adapter_optimizer(model, lr), n, seed, steps)


# %% [markdown]
# ## Before you train: a prediction (logged, not graded)
#
# The next cell trains adapters of rank 1, 2 and 8 on 96 facts, with two seeds each (which draw the facts as well) and the same steps for all. Rank 1 has an eighth of the trainable numbers of rank 8. **How many facts will rank 1 know, in percent of those that rank 8 knows?** Both are means over the two seeds. Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_share = 40.0  # SOLUTION

check("lab14.p1", predicted_share)

# %% tags=["not-graded"]
try:
    models = {(rank, seed): train(rank, seed) for rank in (1, 2, 8) for seed in (0, 1)}
    found = {rank: [measure(models[rank, seed], 96, seed) for seed in (0, 1)] for rank in (1, 2, 8)}
    for rank, results in found.items():
        known, form = (", ".join(f"{r[what]:.0f}" for r in results) for what in ("known", "form"))
        print(f"rank {rank}: known {known} %; right form on further questions {form} %")
    share = 100 * sum(r["known"] for r in found[1]) / sum(r["known"] for r in found[8])
    print(f"rank 1 knows {share:.0f} % of what rank 8 knows, you predicted {as_number(predicted_share):.0f} %")
except NotImplementedError:
    print("Not yet: finish questions 1 and 2 first.")

# %% [markdown]
# ## Your own plot, read (3 points, given by a person)
#
# The next cell plots what you have trained. It has no title and no explanation; these are yours.

# %% tags=["not-graded"]
try:
    fig, ax = plt.subplots(figsize=(6.5, 3.6))
    for what, color, label in (("known", "C0", "facts known"), ("form", "C1", "right form on further questions")):
        for seed, marker in ((0, "o-"), (1, "s--")):
            ax.plot(
                list(found),
                [results[seed][what] for results in found.values()],
                marker,
                color=color,
                label=f"{label}, seed {seed}",
            )
    ax.set(
        xlabel="rank of the adapters",
        ylabel="percent",
        xscale="log",
        xticks=list(found),
        xticklabels=list(found),
        ylim=(0, 104),
    )
    ax.minorticks_off()
    ax.legend(fontsize=8)
    show(
        fig,
        alt="Facts known and further questions answered in the right form, in percent, against the rank of the adapters, two seeds each.",
    )
except NameError:
    print("Not yet: train first.")

# %% [markdown]
# In four or five sentences: What does the rank do for the facts, and what for the form? Why might the two differ? Is the difference between the ranks larger than that between the seeds? All ranks made 70 steps: what would you have to train in addition before you say that rank 1 *cannot* hold these facts? And what does a model of 0.3 million parameters not tell you about others?

# %%
interpretation = """The form is learned at every rank: 80 to 97 % of the further questions are answered with one of the things, and rank 1 is hardly behind rank 8.
The facts known grow with the rank, from 35 and 33 % over 51 and 36 % to 80 and 86 %. My guess is that the form is one rule, which moves every answer in the same direction, while facts without
a rule each need a direction of their own. From rank 1 to rank 8 the difference, about 50 points, is far larger than those between the seeds, 2 and 6; that of rank 2 from rank 1 is not, for there the
seeds differ by 15. All made 70 steps at one learning rate, so rank 1 may only be slower: before I say that it cannot hold the facts I would train it until its loss stands still, with several rates. How ranks
compare in a model a thousand times as wide, whose matrices have room for far more, this does not tell."""  # SOLUTION

check("lab14.t1", interpretation)

# %% [markdown]
# ## Beside, merged, in a file
#
# Nothing to write: the adapter of rank 8 and seed 0, merged with your `switch`, taken out again, and kept as your `AdapterFile`. The wrong base is the same model earlier in its training: the same shapes, other weights.


# %% tags=["not-graded"]
def matrices(model: nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: part.weight.detach()
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear) and name.startswith("blocks")
    }


try:
    model = models[8, 0]
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(
        f"{trainable:,} trainable numbers beside {sum(p.numel() for p in base.parameters()):,}: "
        f"{measure(model, 96, 0)['known']:.0f} % known"
    )
    layers = {
        name: (part.a.detach(), part.b.detach()) for name, part in model.named_modules() if isinstance(part, LoRALinear)
    }
    adapter = {"alpha": 16.0, "layers": layers}
    merged, plain = switch(matrices(base), None, adapter), copy.deepcopy(base)
    plain.load_state_dict({f"{name}.weight": w for name, w in merged.items()}, strict=False)
    questions = facts(96, 0)[0]
    with torch.no_grad():
        apart = (answer_logits(model, questions) - answer_logits(plain, questions)).abs().max()
    back = switch(merged, adapter, None)
    print(
        f"merged: logits differ by {apart:.0e} at most; unmerged: weights by {max((back[n] - w).abs().max() for n, w in matrices(base).items()):.0e}"
    )
    file, fresh = AdapterFile(model.state_dict()), with_adapters(8, 16.0)
    fresh.load_state_dict(file.into(fresh.state_dict()))
    print(
        f"file of {sum(t.numel() for t in file.tensors.values()) * 4 / 1000:.0f} kB in a fresh copy of the base: {measure(fresh, 96, 0)['known']:.0f} % known"
    )
    try:
        earlier, _ = load_base("0.3m", updates=1024, device="cpu")
        replace_linears(earlier, "blocks.*", lambda name, linear: LoRALinear(linear, 8, 16.0))
        file.into(earlier.state_dict())
        print("in an earlier version of the base: NOT refused")
    except ValueError as error:
        print("in an earlier version of the base: refused,", error)
except (NotImplementedError, NameError):
    print("Not yet: finish questions 1 to 4, and train.")

# %% [markdown]
# ## Question 6: an adapter from a finished update (3 points, difficulty 4, 18 minutes)
#
# Somebody has trained a whole matrix and not an adapter; `delta` (out, in) is what training added to it. Return the pair `a` (rank, in), `b` (out, rank) for a layer with this `alpha`, such that what the layer adds, $\frac{\alpha}{r}\,b\,a$, comes as near to `delta` as this rank allows (least sum of squared differences). `rank` is at most the smaller side of `delta`. Many pairs have the same product; any of them counts.


# %%
def from_update(delta: torch.Tensor, rank: int, alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    # BEGIN SOLUTION
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:rank], u[:, :rank] * s[:rank] * rank / alpha
    # END SOLUTION


check("lab14.q6", from_update)

# %% [markdown]
# The next cell trains all matrices of the blocks themselves on the same 96 facts, and then keeps only the best approximation of each matrix's update. How does rank 8 cut out afterwards compare with rank 8 trained as such? Look at how much of the update is kept, and at what it is still good for.

# %% tags=["not-graded"]
try:
    torch.manual_seed(0)
    whole = copy.deepcopy(base).requires_grad_(False)
    chosen = [w.requires_grad_() for name, w in whole.named_parameters() if "proj" in name]
    fit(whole, torch.optim.AdamW(chosen, lr=0.003, weight_decay=0.0), 96, 0)
    updates = {name: weight - matrices(base)[name] for name, weight in matrices(whole).items()}
    print(
        f"all {sum(w.numel() for w in chosen):,} numbers of the matrices trained: {measure(whole, 96, 0)['known']:.0f} % known"
    )
    for rank in (1, 2, 8, 24):
        pairs = {name: from_update(delta, rank, 16.0) for name, delta in updates.items()}
        plain = copy.deepcopy(base)
        plain.load_state_dict(
            {f"{n}.weight": w for n, w in switch(matrices(base), None, {"alpha": 16.0, "layers": pairs}).items()},
            strict=False,
        )
        lost = sum((delta - 16 / rank * pairs[n][1] @ pairs[n][0]).square().sum() for n, delta in updates.items())
        kept = 1 - lost / sum(delta.square().sum() for delta in updates.values())
        print(
            f"rank {rank:>2} of it: {kept:.0%} of the squared length kept, {measure(plain, 96, 0)['known']:.0f} % known"
        )
except NotImplementedError:
    print("Not yet: finish questions 3 and 6 first.")

# %% [markdown]
# ## Question 7: test somebody else's merging (4 points, difficulty 4, 20 minutes)
#
# How strongly an adapter counts is a matter of taste. `life(weight, a, b, x)` gets a layer as plain numbers, `weight` (out, in), `a` (r, in), `b` (out, r) as lists of rows and `x` (in) as a list. It uses the layer, merges, uses it again, and unmerges; and it returns a dict: `"beside"`, the output before merging, `"merged"`, the matrix after it, `"after"`, the output then, `"unmerged"`, the matrix in the end. It promises, up to rounding, that there is **one** scale $s > 0$, of its author's choice, with
#
# 1. `beside` $= W x + s\,b\,a\,x$ and `merged` $= W + s\,b\,a$;
# 2. `after` = `beside`: merging changes no output;
# 3. `unmerged` = `weight`.
#
# You are not told $s$. Write `examples()`, a list of 1 to 24 inputs `(weight, a, b, x)` to try, and `holds(inputs, output)`: are the promises kept? Out, in and r are 1 to 5, and all numbers lie between -10 and 10. Your test must pass several right ones, and every wrong one must fail on one of your inputs. `check` tries six wrong ones, the grader more. A fresh adapter, with $b = 0$, would hide every mistake here: what else would hide one?


# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    wide = (
        [[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]],
        [[1.0, 0.5, -1.0], [2.0, -1.0, 0.25]],
        [[0.5, 1.0], [-1.5, 2.0]],
        [1.0, 2.0, -0.5],
    )
    square = ([[1.0, 2.0], [-3.0, 0.5]], [[1.0, -2.0]], [[3.0], [0.5]], [1.0, -1.5])
    tall = (
        [[1.0], [2.0], [-1.0]],
        [[1.5], [-0.5], [2.0]],
        [[1.0, 2.0, 3.0], [0.5, -1.0, 0.25], [0.0, 1.0, -2.0]],
        [2.0],
    )
    large = ([[0.0, 1.0], [2.0, -1.0]], [[4.0, 3.0], [-2.0, 5.0]], [[-6.0, 2.0], [1.0, 7.0]], [3.0, 2.0])
    return [wide, square, tall, large]
    # END SOLUTION


def holds(inputs: tuple, output: dict) -> bool:
    # BEGIN SOLUTION
    weight, a, b, x = (torch.tensor(part, dtype=torch.float64) for part in inputs)
    beside, merged, after, unmerged = (
        torch.tensor(output[k], dtype=torch.float64) for k in ("beside", "merged", "after", "unmerged")
    )
    product = b @ a
    scale = ((merged - weight) * product).sum() / product.square().sum()
    near = lambda left, right: left.shape == right.shape and torch.allclose(left, right, rtol=1e-6, atol=1e-6)
    return bool(
        scale > 1e-9
        and near(merged, weight + scale * product)
        and near(beside, (weight + scale * product) @ x)
        and near(after, beside)
        and near(unmerged, weight)
    )
    # END SOLUTION


check("lab14.q7", examples, holds)

# %% [markdown]
# ## Question 8: a run that went wrong (4 points, difficulty 3, 15 minutes)
#
# Somebody taught the base model of this lab 96 facts: rank 4 beside every matrix of the blocks, alpha / r = 2, 100 steps. One thing is wrong. You get the log; a correct run stands beside it.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | a and b both begin at zero | `G` | the learning rate is 20 times too low |
# | `B` | a and b both begin at random | `H` | the rank is 1 |
# | `C` | alpha / r is lost when merging | `I` | the merged layers still add the adapter beside |
# | `D` | alpha / r is applied twice when merging | `J` | the adapters are in the last block only |
# | `E` | the optimizer holds the base's matrices as well | `K` | the file holds the adapter of the 20th step |
# | `F` | the optimizer was made before the adapters were put in | | |
#
# Where the log gives a **length**, it is the root of the summed squares over all layers; the **change** is $\frac{\alpha}{r}\,b\,a$. AdamW keeps two moments for every number that has had a gradient, even one of zero. **Facts known** are measured three times, with the adapter beside the base, after merging, and with the file loaded into a fresh copy of the base. These observations may or may not be true of your run:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | the loss at the last step is above 5 | `h` | what merging added is shorter than 40 |
# | `b` | the length of all b is 0 | `i` | what merging added is longer than 50 |
# | `c` | the optimizer keeps as many numbers as in the correct run | `j` | the file in a fresh base knows at least 20 points fewer than the adapter beside |
# | `d` | the optimizer keeps fewer than 10,000 numbers | `k` | fewer than 20 % of the facts are known with the adapter beside |
# | `e` | the loss at the first step is more than 0.05 above that of the base | `l` | at least 40 % of the facts are known with the adapter beside |
# | `f` | merged, the model knows at least 20 points fewer than with the adapter beside | `m` | at least half of the new questions are answered in the right form |
# | `g` | what merging added is as long as the change | | |
#
# Answer with the cause and one to three observations that are true of your run and that *together* would be seen neither under another cause nor in a correct run, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: which numbers could move at all, which did, and where do the three ways to use the adapter part?

# %% tags=["not-graded"]
runs = {
    name: recorded("lab14_faults")["results"][name] for name in filter(None, ("correct", my_run("lab14.q8", STUDENT)))
}
fig, ax = plt.subplots(figsize=(6.5, 3))
for name, run in runs.items():
    ax.plot(run["steps"], run["loss"], label=name)
ax.set(xlabel="step", ylabel="loss (nats a fact)")
ax.legend()
show(fig, alt="Training loss of a correct run and, once STUDENT is filled in, of yours.")
width = max(len(what) for what in runs["correct"])
print(" " * width, *(f"{name:>8}" for name in runs))
for what, value in runs["correct"].items():
    if isinstance(value, int | float):
        print(f"{what:<{width}}", *(f"{run[what]:>8g}" for run in runs.values()))

# %%
diagnosis = {"cause": "F", "evidence": ["b", "d"]}  # SOLUTION

check("lab14.q8", diagnosis)

# %% [markdown]
# ## Open challenge: 2,200 numbers for 256 facts
#
# Teach `base` as many as you can of the 256 facts `facts(256, 0)`, with at most **2,200 trainable numbers**; everything else of the base stays as it is, bit for bit. Training may take 30 seconds on a CPU. Which matrices, which rank, another alpha or learning rate, more steps, a shared $a$, biases or norms instead of adapters: all yours, with your own code or the library's. The facts are both what you train on and what is asked for, for here we want to see how much fits.
#
# Rank 1 beside the matrices of the MLPs has 2,112 numbers; with 300 steps, `train(rank=1, n=256, steps=300, lr=0.015, targets="blocks.*.mlp.*")`, it knows about **108** of the 256: the score to beat.

# %% tags=["not-graded"]
try:
    with Stopwatch(30) as clock:
        challenger = train(rank=1, n=256, steps=10, targets="blocks.*.mlp.*")  # 300 or more when you mean it
    used = sum(p.numel() for p in challenger.parameters() if p.requires_grad)
    print(f"{used:,} trainable numbers of 2,200; {measure(challenger, 256, 0)['known'] * 2.56:.0f} of 256 facts known")
except NotImplementedError:
    print("Not yet: finish questions 1 and 2 first.")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
most_facts = 183  # SOLUTION

check("lab14.c1", most_facts, seconds=None)  # seconds=clock.seconds puts the time into the line
