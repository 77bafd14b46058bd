# %% [markdown]
# # Lab 16 · Thinking longer, and what it costs
#
# You write what stands between a model that writes and an answer that counts: the reader of its replies, a vote, a measurement at equal tokens, the best of k samples by a verifier, a search that turns back, and the advantages with which GRPO learns from right and wrong. With your pieces you measure a small transformer that adds in steps, and see when a vote is worth its tokens. You test a beam search that somebody else wrote, and find out what went wrong in a measurement. About 140 minutes; 28 points: 25 by the grader, 3 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab16_reasoning.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. You may use Python, `re` and PyTorch as you like, but not the library's second half of `llmlib.infer`: that is the answer.

# %%
import math
import random
import re
from itertools import pairwise

import matplotlib.pyplot as plt
import torch

from courseware import Stopwatch, as_number, check, my_run, setup_style, show
from llmlib.data import AnyOrderSum, GameOf24, encode_problems, recorded

setup_style()
torch.manual_seed(0);

# %% [markdown]
# The last question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Question 1: the answer in a reply (3 points, difficulty 3, 20 minutes)
#
# Whether a model can calculate and whether a program can read its answer are two things. `text` is what came out of the model after `prompt`. Find the number that it comes to:
#
# 1. Only the reply counts. If `text` begins with `prompt`, take that off; it may be a few-shot prompt, with numbers and answers of its own. Then drop everything from the first new line that begins with `Q:`, for there the model asks itself another question.
# 2. If there is a `\boxed{`, the answer is the first number after the last one.
# 3. Otherwise, if the words `the answer is` occur, in small letters or capitals, it is the first number after the last of them.
# 4. A mark of this kind that no number follows does not count. Without a mark the answer is the last number.
# 5. Without a number it is `None`.
#
# A number is written with digits, perhaps with a comma between groups of three (1,250), perhaps with decimals behind a point, perhaps with `-` right before its first digit. A point at the end of a sentence is no part of it; currencies, units and percent signs are left out, so `$1,250.50` is 1250.5 and `-7.5%` is -7.5. Return a number, or `None`.

# %%
def read_answer(text: str, prompt: str) -> float | None:
    # BEGIN SOLUTION
    reply = text.removeprefix(prompt).split("\nQ:")[0]
    numbers = lambda part: re.findall(r"-?\d+(?:,\d{3})*(?:\.\d+)?", part)
    for mark in (r"\\boxed\{", "the answer is"):
        *before, last = re.split(mark, reply, flags=re.IGNORECASE)
        if before and numbers(last):
            return float(numbers(last)[0].replace(",", ""))
    found = numbers(reply)
    return float(found[-1].replace(",", "")) if found else None
    # END SOLUTION


check("lab16.q1", read_answer)

# %% [markdown]
# ## Question 2: a vote (2 points, difficulty 2, 10 minutes)
#
# Several samples of one prompt vote on its answer (**self-consistency**). `answers` are numbers, and `None` for a sample without an answer, which has no vote. `weights`, if given, say how much each vote counts, such as a verifier's scores; otherwise each counts 1. Return `{"answer": ..., "share": ...}`: the answer with most votes, of equals the one that was given first, and its share of the votes that were cast. If nobody voted, `None` and 0.

# %%
def vote(answers: list[float | None], weights: list[float] | None = None) -> dict:
    # BEGIN SOLUTION
    votes = {}
    for answer, weight in zip(answers, weights or [1] * len(answers)):
        if answer is not None:
            votes[answer] = votes.get(answer, 0) + weight
    if not votes:
        return {"answer": None, "share": 0.0}
    winner = max(votes, key=votes.get)
    return {"answer": winner, "share": votes[winner] / sum(votes.values())}
    # END SOLUTION


check("lab16.q2", vote)

# %% [markdown]
# ## Question 3: at equal tokens (3 points, difficulty 3, 15 minutes)
#
# Ways to think longer are compared at what they cost. `pools` has a list for each problem: its samples in the order in which they were drawn, each as `(answer, tokens)`. `truths` are the right answers, `budget` is how many tokens a problem may cost. Take samples of a problem in their order as long as all that are taken cost **at most** the budget together; the first that does not fit ends it, and is not paid for. The answer to the problem is that of their vote. Return three means over **all** problems:
#
# `{"accuracy": ..., "tokens": ..., "samples": ...}`: how often the answer is right; the tokens spent; the samples taken. Two questions before you write: what does a sample cost that has no answer, and what is the answer to a problem whose first sample does not fit?

# %%
def at_budget(pools: list[list[tuple]], truths: list[float], budget: int) -> dict[str, float]:
    # BEGIN SOLUTION
    right = tokens = samples = 0
    for pool, true in zip(pools, truths):
        taken, spent = [], 0
        for answer, cost in pool:
            if spent + cost > budget:
                break
            taken.append(answer)
            spent += cost
        right += vote(taken)["answer"] == true
        tokens += spent
        samples += len(taken)
    return {"accuracy": right / len(pools), "tokens": tokens / len(pools), "samples": samples / len(pools)}
    # END SOLUTION


check("lab16.q3", at_budget)

# %% [markdown]
# ## Question 4: the best of k (3 points, difficulty 4, 20 minutes)
#
# A **verifier** gives every sample a score; of k samples the one with the highest score is the answer, of equals the one that was drawn first. `scores` (P, n) are those of n samples of each of P problems, `right` (P, n), bool, says which are right. With n samples at hand one need not be content with one choice of k: average over **all** of them. Let $r$ be the rank of a sample among the n of its problem, 0 for the highest score. It is the best of the k that are chosen if the other $k-1$ come from the $n-1-r$ below it:
#
# $$P(\text{sample of rank } r \text{ is taken}) = \binom{n-1-r}{k-1} \Big/ \binom{n}{k}.$$
#
# Return the expected accuracy, the mean over problems. `math.comb` counts, and gives 0 where too few are left. When you have it, think of what `best_of_k(right.float(), right, k)` is: who could choose like that?

# %%
def best_of_k(scores: torch.Tensor, right: torch.Tensor, k: int) -> float:
    # BEGIN SOLUTION
    n = scores.shape[1]
    order = scores.argsort(dim=1, descending=True, stable=True)
    taken = torch.tensor([math.comb(n - 1 - r, k - 1) / math.comb(n, k) for r in range(n)])
    return (right.gather(1, order).float() @ taken).mean().item()
    # END SOLUTION


check("lab16.q4", best_of_k)

# %% [markdown]
# ## Question 5: a search over thoughts (4 points, difficulty 4, 25 minutes)
#
# A tree of thoughts, **depth first**, with a way back. `propose(state)` gives the list of states that one can go on to; it is a call of the model, and at most `budget` calls may be made. `value(state)` is a number, higher is better, and `is_goal(state)` says whether it is what is searched for; both cost nothing.
#
# * If the root is a goal, it is the path, without a call.
# * Of the states that a call proposes those are dropped that were proposed before, and the root. If one of the others is a goal, the search is over: the first of them.
# * Those valued below `threshold` are not followed. The rest are, the highest value first, of equals the one that was proposed first; and everything below a state is searched before the next.
#
# Return the path as a list of states, from the root to the goal, each proposed by the one before it; or `None` if calls or states run out. States are hashable.

# %%
def search(root, propose, value, is_goal, budget: int, threshold: float) -> list | None:
    # BEGIN SOLUTION
    if is_goal(root):
        return [root]
    parent, waiting = {root: None}, [root]
    for _ in range(budget):
        if not waiting:
            break
        state, fresh = waiting.pop(), []
        for child in propose(state):
            if child in parent:
                continue
            parent[child] = state
            fresh.append(child)
            if is_goal(child):
                path = [child]
                while parent[path[-1]] is not None:
                    path.append(parent[path[-1]])
                return path[::-1]
        followed = [child for child in fresh if value(child) >= threshold]
        waiting += sorted(followed, key=value, reverse=True)[::-1]
    return None
    # END SOLUTION


check("lab16.q5", search)

# %% [markdown]
# ## Question 6: advantages of a group (2 points, difficulty 2, 10 minutes)
#
# Where a program can say right or wrong, a model can learn from that alone. GRPO lets it answer every prompt G times and compares the replies with one another. `rewards` (P, G) are those of G replies to each of P prompts. The advantage of a reply is its reward, less the mean of its group, over the standard deviation of its group, which divides by $G - 1$. A group whose rewards are **all equal** has nothing to compare: its advantages are 0. Try a group of seven rewards of 0.7 on your own formula first.

# %%
def group_advantages(rewards: torch.Tensor) -> torch.Tensor:
    # BEGIN SOLUTION
    differs = rewards.amax(1, keepdim=True) > rewards.amin(1, keepdim=True)
    centred = rewards - rewards.mean(1, keepdim=True)
    return torch.where(differs, centred / rewards.std(1, keepdim=True), 0.0)
    # END SOLUTION


check("lab16.q6", group_advantages)

# %% [markdown]
# ## The pieces together
#
# Nothing to write in the next cells. A transformer with two layers learns for a few seconds to add four digits **in any order**: `5+3+7+1=` may be answered by `5+1=6;6+3=9;9+7=16;16`, or by any other order. So many ways lead to one answer, and a vote has something to gather. It is stopped half-way, when it still makes mistakes. Then it answers problems that are in no training set: once greedily, and 16 times at each of two temperatures. If one of your pieces is missing, the cells say so and go on.

# %% tags=["not-graded"]
from llmlib.align import reply_logprobs, sample_replies
from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer
from llmlib.train import AdamW, Muon, next_token_loss

task = AnyOrderSum(terms=4, digits=1)
tokenizer, known = CharTokenizer(task.alphabet), task.problems(12_000, random.Random(0))
end, prompts_of = tokenizer.encode("\n")[0], lambda problems: [tokenizer.encode(p.prompt) for p in problems]


def half_trained(updates: int = 150, seed: int = 0) -> Transformer:
    model = Transformer(ModelConfig(tokenizer.vocab_size, n_layers=2, d_model=96, n_heads=4, max_seq_len=64, position="learned"))
    model.init_weights(torch.Generator().manual_seed(seed))
    rows, chance = encode_problems(known, tokenizer.encode), torch.Generator().manual_seed(seed)
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "blocks" in name]
    rest = [p for p in model.parameters() if all(p is not m for m in matrices)]
    steppers = [(Muon(matrices, lr=0.01, weight_decay=0.0), 0.01), (AdamW(rest, lr=0.003, weight_decay=0.0), 0.003)]
    for update in range(updates):
        pick = torch.randint(len(known), (64,), generator=chance)
        total, count = next_token_loss(model, {name: tensor[pick] for name, tensor in rows.items()})
        for optimizer, rate in steppers:
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1, (update + 1) / 10, 1.05 - update / updates)
        (total / count).backward()
        for optimizer, _ in steppers:
            optimizer.step()
    return model.eval()


@torch.no_grad()
def answered(model, problems: list, n: int, temperature: float | None, seed: int = 1) -> list[list[tuple]]:
    """n samples of each problem, as (answer, tokens, mean log-probability of its tokens). temperature None: greedy."""
    chance, pools = torch.Generator().manual_seed(seed), []
    how = {"greedy": True} if temperature is None else {"temperature": temperature, "generator": chance}
    for start in range(0, len(problems), 32):
        part = [p for p in problems[start : start + 32] for _ in range(n)]
        rollout = sample_replies(model, prompts_of(part), end, 40, **how)
        tokens, sure = rollout.reply_mask.sum(1), reply_logprobs(model, rollout).sum(1)
        found = [
            (read_answer(tokenizer.decode(reply), p.prompt), int(t), float(s / t))
            for p, reply, t, s in zip(part, rollout.replies, tokens, sure)
        ]
        pools += [found[i : i + n] for i in range(0, len(found), n)]
    return pools


def accuracy(pools: list, truths: list) -> float:
    return sum(sample[0] == true for pool, true in zip(pools, truths) for sample in pool) / sum(map(len, pools))

# %% [markdown]
# ## Before you measure: a prediction (logged, not graded)
#
# The model is half-trained, and at temperature 1 it says what it holds likely as often as it holds it likely. **By how many percentage points will a vote of its 16 samples be right more often than one greedy reply, which costs a sixteenth?** Give a number between -60 and 60, below 0 if you think that greedy decoding wins. Being wrong costs nothing; not having predicted costs you the surprise.

# %%
predicted_gain = 8  # SOLUTION

check("lab16.p1", predicted_gain)

# %% tags=["not-graded"]
held_out = task.problems(300, random.Random("measured in the lab"), held_out=True)
truths = [float(p.answer) for p in held_out]
try:
    read_answer("1", ""), vote([1.0]), at_budget([[(1.0, 1)]], [1.0], 1), best_of_k(torch.zeros(1, 2), torch.ones(1, 2) > 0, 1)
    model = half_trained()
    greedy = answered(model, held_out, 1, None)
    once = {"accuracy": accuracy(greedy, truths), "tokens": sum(pool[0][1] for pool in greedy) / len(greedy)}
    print(f"greedy: {once['accuracy']:.2f} right at {once['tokens']:.1f} tokens")
    curves = {}
    for temperature in (1.0, 0.6):
        pools = answered(model, held_out, 16, temperature)
        plain = [[sample[:2] for sample in pool] for pool in pools]
        each = sum(sample[1] for pool in pools for sample in pool) / (16 * len(pools))
        right = torch.tensor([[sample[0] == true for sample in pool] for pool, true in zip(pools, truths)])
        sure = torch.tensor([[sample[2] for sample in pool] for pool in pools])
        budgets, ks = [round(each * k) + 2 for k in (1, 2, 4, 8)] + [10_000], (1, 2, 4, 8, 16)
        curves[temperature] = {
            "vote": [(found["tokens"], found["accuracy"]) for found in (at_budget(plain, truths, b) for b in budgets)],
            "the surest": [(each * k, best_of_k(sure, right, k)) for k in ks],
            "an oracle": [(each * k, best_of_k(right.float(), right, k)) for k in ks],
        }
        print(f"temperature {temperature}: one sample {accuracy(pools, truths):.2f}; of 16 the vote {curves[temperature]['vote'][-1][1]:.2f}, "
              f"the surest {curves[temperature]['the surest'][-1][1]:.2f}, an oracle {curves[temperature]['an oracle'][-1][1]:.2f}")
    gain = 100 * (curves[1.0]["vote"][-1][1] - once["accuracy"])
    print(f"vote of 16 at temperature 1 less greedy: {gain:+.0f} points, you predicted {as_number(predicted_gain):+.0f}")
except NotImplementedError:
    print("Not yet: finish questions 1 to 4 first.")

# %% [markdown]
# ## Your own plot, read (3 points, given by a person)
#
# The next cell plots what you measured on 300 problems, where a difference of less than about 6 points may be luck. *The surest* is the sample whose tokens the model held likeliest on average; the *oracle* knows the right answer. The plot has no title and no explanation; these are yours.

# %% tags=["not-graded"]
try:
    fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True)
    for ax, (temperature, found) in zip(axes, curves.items()):
        for (label, points), marker in zip(found.items(), "os^"):
            ax.plot(*zip(*points), marker + "-", label=label, ms=5)
        ax.plot(once["tokens"], once["accuracy"], "*", ms=13, color="black", label="greedy")
        ax.set(xscale="log", xlabel=f"generated tokens a problem, temperature {temperature}")
        ax.set_xticks([25, 50, 100, 200, 400], ["25", "50", "100", "200", "400"])
        ax.minorticks_off()
    axes[0].set(ylabel="share of problems that are right")
    axes[1].legend(fontsize=8)
    show(fig, alt="Accuracy against generated tokens a problem, for a vote, the surest sample and an oracle, at two temperatures, with greedy decoding as one point.")
except NameError:
    plt.close("all")
    print("Not yet: measure first.")

# %% [markdown]
# In four or five sentences: At which number of tokens, and at which temperature, is a vote worth more than one greedy reply, if at all? What does the lower temperature change for one sample, for a vote and for an oracle, and what would become of the three at a temperature near 0? How far is the surest sample from the oracle, and what does the oracle's curve promise that no reader of these replies can have? Which of your differences are larger than luck, and what do these problems not tell you about a large model that reasons in words?

# %%
interpretation = """At temperature 1 a vote is never worth its tokens here: 16 samples, 400 tokens, are right in 0.43 of the problems, where one greedy reply has 0.59 at 25. At 0.6 the vote of 16 reaches 0.63, which is
above greedy by less than the 6 points that may be luck, for 16 times the tokens. A lower temperature makes one sample better (0.24 to 0.43) and with it the vote, which needs the right answer to be the most frequent
one; the oracle needs it only once and gains too, most at 100 tokens (0.67 to 0.86), for here right answers are still rare at 1. Near 0 all samples would be the greedy reply, and all three would have its 0.59. The surest of 16 has 0.56 and 0.61, about what greedy has: the model's own confidence finds little of what the oracle finds. The oracle's curve says only
that a right answer is among the 16, and as there are only 33 possible sums, of which the wrong ones lie near by, that is partly guessing; nobody who does not know the answer can take it. Beyond luck are the gap of vote and greedy at temperature 1, that between
temperatures, and that to the oracle. That a half-trained model of digits loses by sampling says little about a large one that reasons in words, whose samples at temperature 1 are mostly sound and whose answers are not a few dozen."""  # SOLUTION

check("lab16.t1", interpretation)

# %% [markdown]
# ## Two more things your pieces do
#
# Your search plays the Game of 24: a state is the numbers that are left, a call proposes all moves from it. A value that knows something about the game, here how many of the numbers divide 24, should save calls; look how many. And your advantages let the model learn from right and wrong alone: 16 prompts, 8 replies to each, one step, eight times. Do not expect much of eight small steps, nor of large ones: with a learning rate of 1e-4 in place of 3e-5 the same eight made this model clearly worse.

# %% tags=["not-graded"]
from llmlib.data.game_of_24 import as_hand, moves_from

hands = [GameOf24().hand(p) for p in GameOf24().problems(60, random.Random(0))]
values = {
    "nothing is known": lambda hand: 0,
    "divisors of 24": lambda hand: sum(x > 0 and (24 / x).denominator == 1 for x in hand) / len(hand),
}
try:
    for name, known_value in values.items():
        calls = []
        for hand in hands:
            asked = []
            propose = lambda state, asked=asked: asked.append(state) or [left for _, left in moves_from(state)]
            path = search(as_hand(hand), propose, known_value, lambda left: left == (24,), budget=300, threshold=0)
            calls.append(len(asked) if path else math.inf)
            print(f"{name}: of {len(hands)} hands solved within", *(f"{n} calls: {sum(c <= n for c in calls)}," for n in (30, 100)), f"300 calls: {sum(c <= 300 for c in calls)}")
except NotImplementedError:
    print("Not yet: finish question 5 first.")

# %% tags=["not-graded"]
import copy


def grpo(policy, updates: int = 8, lr: float = 3e-5, seed: int = 0):
    """The model after so many updates from rewards of 0 and 1, and the share of groups that had something to compare."""
    optimizer, rng, chance = torch.optim.Adam(policy.parameters(), lr=lr), random.Random(seed), torch.Generator().manual_seed(seed)
    useful = 0
    for _ in range(updates):
        asked = [p for p in rng.sample(known, 16) for _ in range(8)]
        rollout = sample_replies(policy, prompts_of(asked), end, 40, generator=chance)
        rewards = torch.tensor([float(task.is_right(p, tokenizer.decode(r))) for p, r in zip(asked, rollout.replies)]).view(16, 8)
        advantages = group_advantages(rewards)
        useful += (advantages != 0).any(1).float().mean().item()
        loss = -(advantages.flatten()[:, None] * reply_logprobs(policy, rollout)).sum() / rollout.reply_mask.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
    return policy.eval(), useful / updates


try:
    group_advantages(torch.tensor([[0.0, 1.0]]))
    better, useful = grpo(copy.deepcopy(model))
    for name, policy in (("before", model), ("after", better)):
        print(f"{name}: one sample {accuracy(answered(policy, held_out, 2, 1.0), truths):.2f}, greedy {accuracy(answered(policy, held_out, 1, None), truths):.2f}")
    print(f"{useful:.0%} of the groups had both right and wrong replies")
except (NotImplementedError, NameError):
    print("Not yet: finish question 6, and measure first.")

# %% [markdown]
# ## Question 7: test somebody else's beam search (4 points, difficulty 4, 20 minutes)
#
# Beam searches differ in what becomes of a text that has ended: it may wait aside, or take a place of the beam. `beam(model, width, longest)` gets a small model as a list of rows: `model[i][j]` is the probability of token j after token i. Token 0 is the **end**, and row 0 also tells what a text begins with. It gives a list of `(tokens, logprob)`, in plain numbers, and promises:
#
# 1. a text ends with the token 0, which stands nowhere else in it, or has no 0 and exactly `longest` tokens; none is longer than `longest`;
# 2. `logprob` is that of the whole text, the sum of the logarithms of its tokens' probabilities; the list has the likeliest first;
# 3. no text stands in it twice; there are at most `width`, and at least one;
# 4. with `width=1` it is the greedy text: always the likeliest token;
# 5. with a width of at least $V^{\text{longest}}$, for V tokens, nothing is ever thrown away: it gives **all** texts.
#
# Write `examples()`, a list of 1 to 12 inputs `(model, width, longest)` to try, and `holds(inputs, output)`: are the promises kept, up to rounding? A model has 2 to 4 tokens, its probabilities lie between 0.01 and 0.99 and differ within a row by at least 0.001; `longest` is 1 to 4, `width` 1 to 256. Your test must pass several right searches, and every wrong one must fail on one of your inputs. `check` tries six wrong ones, the grader more. What must a model be like for greedy decoding to differ from a careless search?

# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    late = [[0.1, 0.52, 0.38], [0.25, 0.4, 0.35], [0.8, 0.15, 0.05]]
    early = [[0.45, 0.3, 0.25], [0.5, 0.2, 0.3], [0.05, 0.15, 0.8]]
    return [(m, width, longest) for m in (late, early) for width, longest in ((1, 3), (2, 3), (3, 4), (27, 3), (3, 1))]
    # END SOLUTION


def holds(inputs: tuple, output: list) -> bool:
    # BEGIN SOLUTION
    model, width, longest = inputs
    texts = [tuple(tokens) for tokens, _ in output]
    if not 1 <= len(texts) <= width or len(set(texts)) < len(texts):
        return False
    for tokens, logprob in output:
        inside = tokens[:-1] if tokens and tokens[-1] == 0 else tokens
        if not 1 <= len(tokens) <= longest or 0 in inside or (tokens[-1] != 0 and len(tokens) < longest):
            return False
        steps = zip([0, *tokens], tokens)
        if abs(sum(math.log(model[i][j]) for i, j in steps) - logprob) > 1e-6:
            return False
    if any(a[1] < b[1] - 1e-9 for a, b in pairwise(output)):
        return False
    if width == 1:
        greedy = []
        while len(greedy) < longest and (not greedy or greedy[-1] != 0):
            row = model[greedy[-1] if greedy else 0]
            greedy.append(row.index(max(row)))
        return texts == [tuple(greedy)]
    if width >= len(model) ** longest:
        V = len(model) - 1   # tokens that go on
        return len(texts) == sum(V**n for n in range(longest)) + V**longest
    return True
    # END SOLUTION


check("lab16.q7", examples, holds)

# %% [markdown]
# ## Question 8: a measurement that went wrong (4 points, difficulty 4, 20 minutes)
#
# Somebody measured a model like yours on 400 problems: greedily, with one sample, by votes of 4 and of 16, and with the best of 16 by an oracle and by a **learned verifier**, which has seen samples of training problems and judges by how sure the model was. Its reader is strict: a reply that is not three steps and a number has no answer. Replies may have 40 tokens. One thing was wrong in the program. You get what it printed; a correct run stands beside it.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | the first number of a reply is read as its answer | `F` | the sample with the lowest score is taken |
# | `B` | a sample without an answer votes for having none | `G` | greedy decoding samples as well |
# | `C` | all samples of a problem are drawn with the same seed | `H` | an answer is looked for in prompt and reply together |
# | `D` | the learned verifier's scores are the oracle's | `I` | replies are cut off after 22 tokens |
# | `E` | only the tokens of the first sample are counted | `J` | replies are compared with the answer of the next problem |
#
# All numbers are printed by the program itself, with what is wrong in it. Under `H` the strict reader comes first; where it finds nothing, the last number of prompt and reply is taken. Prove the cause from your run. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | greedy decoding is at most 5 points from one sample | `h` | the best of 16 by the oracle is right in less than half of the problems |
# | `b` | the vote of 16 is right as often as one sample, to a tenth of a point | `i` | the best of 16 by the oracle is right in more than 90 % of the problems |
# | `c` | the best of 16 by the learned verifier is at most 2 points from that by the oracle | `j` | a vote of 16 costs less than 370 tokens |
# | `d` | the best of 16 by the learned verifier is more than 10 points below one sample | `k` | more than 5 % of the votes of 16 end without an answer |
# | `e` | fewer than 1 % of the samples are without an answer | `l` | 16 samples hold fewer than 3 different answers to a problem |
# | `f` | between 10 and 30 % of the samples are without an answer | `m` | one sample is right in less than 10 % of the problems |
# | `g` | more than 40 % of the samples are without an answer | `n` | greedy decoding is right in more than 45 % of the problems |
#
# Answer with the cause and one to three observations that are true of your run and that *together* would be seen neither under another cause nor in a correct run, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: which of the numbers does it touch, and which must it leave alone?

# %% tags=["not-graded"]
runs = {name: recorded("lab16_faults")["results"][name] for name in filter(None, ("correct", my_run("lab16.q8", STUDENT)))}
shown = [what for what in runs["correct"] if "right" in what]
fig, ax = plt.subplots(figsize=(9, 3.2))
for i, (name, run) in enumerate(runs.items()):
    ax.barh([j + 0.4 * i for j in range(len(shown))], [run[what] for what in shown], height=0.38, label=name)
ax.set(xlabel="right (percent of problems), as the program prints it", yticks=range(len(shown)), xlim=(0, 100))
ax.set_yticklabels([what.removesuffix(", right, percent") for what in shown], fontsize=8)
ax.invert_yaxis()
ax.legend(fontsize=8)
show(fig, alt="Accuracy of greedy decoding, one sample, votes and the best of 16, of a correct measurement and, once STUDENT is filled in, of yours.")
width = max(len(what) for what in runs["correct"])
print(" " * width, *(f"{name:>8}" for name in runs))
for what, value in runs["correct"].items():
    if isinstance(value, int | float):
        print(f"{what:<{width}}", *(f"{run[what]:>8g}" for run in runs.values()))

# %%
diagnosis = {"cause": "I", "evidence": ["j", "m"]}  # SOLUTION

check("lab16.q8", diagnosis)

# %% [markdown]
# ## Open challenge: 120 tokens a problem
#
# The half-trained model `half_trained()`, as it is after 150 updates, may write **120 tokens a problem** on average, everything counted that it writes for an answer: samples, parts thrown away, branches of a search. Reach the highest accuracy on the 300 problems of the next cell; look at their answers only to count. An answer must be read from what the model wrote, and no line of your program may add numbers up in its place. Temperature, votes weighted by confidence, a beam, a search that turns back where the model is unsure, a verifier trained on known problems, another way to ask: all yours, with your own functions or the library's. The weights stay as they are, or learn from nothing but right and wrong on known problems, with your advantages; worked steps are not to be shown to them again. Everything but `half_trained()` may take 60 seconds on a CPU.
#
# One greedy reply reaches about **61 percent** at 25 tokens: the score to beat. It is not easy: four samples and their vote, at 100 tokens, do worse.

# %% tags=["not-graded"]
def solve(model, problems: list) -> tuple[list, int]:
    """An answer to each problem, and how many tokens were written. Greedy: yours to replace."""
    pools = answered(model, problems, 1, None)
    return [pool[0][0] for pool in pools], sum(tokens for pool in pools for _, tokens, _ in pool)


try:
    challenge = task.problems(300, random.Random("the challenge"), held_out=True)
    with Stopwatch(60) as clock:
        found, written = solve(model, challenge)
    right = sum(answer == float(p.answer) for answer, p in zip(found, challenge))
    print(f"{100 * right / len(challenge):.1f} % right at {written / len(challenge):.0f} tokens a problem")
except (NotImplementedError, NameError):
    print("Not yet: finish question 1, and measure first.")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
best_accuracy = 65.3  # SOLUTION

check("lab16.c1", best_accuracy, seconds=None)  # seconds=clock.seconds puts the time into the line
