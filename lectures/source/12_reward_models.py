# %% [markdown]
# # 12 · Reward models
#
# **The question of this lecture.** A model that is fine-tuned on demonstrations writes as well as its teachers, at best. To get further it has to be told which of its own replies are better, more often than anybody has time for. *Can a model learn from people's comparisons to do that in their place, how much does it take, and where is it wrong?*
#
# **Afterwards you can**
# - turn rankings into a scalar by the loss of Bradley and Terry, and say what its numbers mean and what they do not;
# - say what a ranking's pairs are worth, given that they depend on each other;
# - read a reward model's accuracy against the ceiling that its annotators' noise sets;
# - check one for calibration, for a taste for length, and on what it was never shown;
# - say which replies people should be asked to rank.
#
# **Before this:** lecture 11 (the support desk and its fine-tuned model); lecture 00 for the sigmoid and cross-entropy.
#
# **Time:** core 75 minutes, optional 21 minutes; one class. All cells together: under a minute of computing on a laptop CPU. What took longer was run once and is marked *recorded*.
#
# <!-- sources: analytics, day24, 11785 -->

# %%
import collections
import copy
import itertools
import random
import re

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from courseware import (Ballot, Claim, Diagram, bars, claims_table, curves,
                        explore, panels, poll, setup_style, show, table)
from llmlib.align import (RewardModel, Rollout, calibration, chat_prompt, end_of_turn,
                          load_desk_reward, pad_examples, pair_accuracy,
                          plackett_luce_loss, ranking_batches, ranking_loss,
                          reply_example, reply_logprobs, reward_ranking_loss,
                          sample_replies)
from llmlib.data import (SupportDesk, bootstrap_interval, preference_pairs, rated_texts,
                         recorded, spearman, split_ratings)
from llmlib.data.support_desk import WEIGHTS
from llmlib.hub import load_desk
from llmlib.infer import wilson_interval
from llmlib.train import TrainConfig, Trainer

setup_style(compact=True)
torch.manual_seed(0);

# %% [markdown]
# ## I. Is choosing easier than writing?
#
# Lecture 11 ended on a bet. Good demonstrations are dear, because whoever writes one must be able to solve the problem; but "it is often much easier to compare answers instead of writing answers", says Business Analytics, and so one asks people for comparisons instead.
#
# We go on with the support desk, and its sixteen intents now fall into three groups. Twelve were *demonstrated* to the fine-tuned model. Two more were not, but annotators have *compared* replies to them. Two have been neither: *unseen* since pre-training. The course ships a reward model, a copy of the fine-tuned model that has read how annotators ranked six replies to each of 6,000 requests of the first two groups. Annotators said only which reply is better. They are simulated, and their scores are the gold reward with some whims of their own and noise, of which more below.

# %%
desk = SupportDesk(0)
tuned, tokenizer = load_desk("sft", device="cpu")
judge, _ = load_desk_reward(device="cpu")               # the reward model
end, rng = end_of_turn(tokenizer), random.Random(12)
GROUPS = {"demonstrated": "demonstrated", "compared": "compared only",
          "unseen": "neither"}


def reply_with(request, style, found):
    """An agent's reply of this style in which exactly these things are found."""
    while True:
        reply = desk.reply(request, rng, style)
        if set(desk.findings(request, reply)) == found:
            return reply


def four_promises(request):
    """Four plain replies, the first of which solves the request."""
    return [reply_with(request, "plain", {"solved"})] + [
        reply_with(request, "mistaken", {"wrong promise"}) for _ in range(3)]


request = desk.requests(1, rng, ("compared",))[0]
print(f"{request.text}\n  + " + "\n  - ".join(four_promises(request)))

# %% [markdown]
# In these four nothing but the promise differs: manner gives nothing away, as it did in lecture 11.

# %%
poll("About requests that nobody demonstrated, the fine-tuned model writes a reply that solves the problem about one time in six. Of four promises, one of which solves the request, its copy that has read rankings points to the right one",
     ["nearly always", "about half of the time", "about one time in four, as by chance: what it cannot write it cannot recognise", "about one time in six, as often as it writes it"],
     "It has read what annotators preferred about just these intents, and that suffices to tell promises apart. The fine-tuned model itself, before it has read a ranking, is right about half of the time when it is asked which of the four it finds likeliest; with guessing taken off, that is hardly more than it writes. Only the last group, about which nobody was asked, does not follow; see below.")

# %% tags=["diagram"]
def flat(rows):
    """Prompts and replies of (request, texts), as ids."""
    return ([chat_prompt(tokenizer, each.text) for each, texts in rows for _ in texts],
            [tokenizer.encode(text) for _, texts in rows for text in texts])


def scores_of(model, rows):                             # -> (requests, replies)
    return model.score(*flat(rows), end).view(len(rows), -1)


@torch.no_grad()
def likelihoods(model, rows):
    prompts, replies = flat(rows)
    rollout = Rollout.of(prompts, [[*reply, end] for reply in replies], end)
    return reply_logprobs(model, rollout).sum(1).view(len(rows), -1)

# %% tags=["diagram"]
N, ASKED = 16, 50
written, contests = {}, {}
for number, group in enumerate(GROUPS):
    requests = desk.requests(ASKED, rng, (group,))
    prompts = [chat_prompt(tokenizer, each.text) for each in requests for _ in range(N)]
    texts = [tokenizer.decode(reply) for reply in sample_replies(
        tuned, prompts, end, 48, generator=torch.Generator().manual_seed(number)).replies]
    written[group] = [(request, texts[N * i : N * (i + 1)])
                      for i, request in enumerate(requests)]
    contests[group] = [(each, four_promises(each))
                       for each in desk.requests(2 * ASKED, rng, (group,))]

# %% tags=["diagram"]
gold_of = lambda rows: torch.tensor([[desk.gold(request, text) for text in texts] for request, texts in rows])
solved_of = lambda rows: torch.tensor([["solved" in desk.findings(request, text) for text in texts] for request, texts in rows]).float()
scores = {group: scores_of(judge, written[group]) for group in GROUPS}
share = lambda right: f"{100 * right.mean():.0f} %" + (" ({:.0f} to {:.0f})".format(*(100 * end_ for end_ in wilson_interval(right.sum().item(), len(right)))) if right.dim() == 1 else "")
writes, likeliest, points, greedy = {}, {}, {}, {}
choosing = []
for group, name in GROUPS.items():
    solved = solved_of(written[group])
    writes[group] = solved.mean().item()
    one_each = [chat_prompt(tokenizer, each.text) for each, _ in written[group]]
    replies = sample_replies(tuned, one_each, end, 48, greedy=True).replies
    greedy[group] = solved_of([(each, [tokenizer.decode(reply)]) for (each, _), reply in zip(written[group], replies)])[:, 0]
    likeliest[group] = (likelihoods(tuned, contests[group]).argmax(1) == 0).float()
    points[group] = (scores_of(judge, contests[group]).argmax(1) == 0).float()
    best = solved.gather(1, scores[group].argmax(1, keepdim=True))[:, 0]
    choosing.append({"intents": name, "writes it": share(solved), "greedily": share(greedy[group]), "likeliest of four": share(likeliest[group]), "reward model: of four": share(points[group]), f"of {N} written": share(best)})
table(choosing, caption=f"what solves the request, with 95 % intervals; chance of four is 25 %. Writes: {ASKED} requests, {N} replies each at temperature 1, and greedily")
known = [(value - 0.25) / 0.75 for value in (likeliest["compared"].mean().item(), *wilson_interval(likeliest["compared"].sum().item(), 2 * ASKED))]
print("compared only, likeliest of four with guessing taken off: {:.0%} ({:.0%} to {:.0%})".format(*known))

# %% [markdown]
# Read the second line. The fine-tuned model *writes* a solution rarely, sampled or greedily, and of four replies it finds the right one likeliest about half of the time. But choosing has chance on its side. With guessing taken off, the line below the table, its lead over greedy writing is too small to be told. So lecture 11's bet is half won: *before* it has read rankings, we cannot say that this model chooses better than it writes. After reading them a copy of it chooses right nearly always. Rankings taught what no demonstration had, what to promise, without anybody writing it down. <!-- keeps: 12-comparing-is-easier -->
#
# The third line is the other half of the result. On intents that no ranking was about, the reward model does *worse than chance*: it prefers promises that it has seen win elsewhere. More of that in part VII.
#
# ### Best of n
#
# Choosing can be turned into writing: let the model write $n$ replies and give out the one that the reward model likes best.

# %% tags=["diagram"]
NS = (1, 2, 4, 8, 16)
of_best = lambda score, gold, n: gold[:, :n].gather(1, score[:, :n].argmax(1, keepdim=True))[:, 0]
lines, best_possible = {}, {}
for group, name in GROUPS.items():
    gold = gold_of(written[group])
    lines[name] = [of_best(scores[group], gold, n).mean().item() for n in NS]
    best_possible[name] = [gold[:, :n].amax(1).mean().item() for n in NS]
fig, (left, right) = panels(2, titles=["chosen by the reward model", "the best there was"], share_y=True, height=3.0)
for ax, what in ((left, lines), (right, best_possible)):
    curves(what, at=NS, log="x", x="replies written, n", y="gold reward" if ax is left else "", ax=ax, labels=ax is left)
    ax.set_xticks(NS, NS)
gain = gold_of(written["compared"])
gain = of_best(scores["compared"], gain, N) - gain.mean(1)
low, high = bootstrap_interval(lambda each: float(np.mean(each)), gain.numpy())
show(fig, alt="Gold reward of the best of 1, 2, 4, 8 and 16 replies. " + " ".join(f"{name}: chosen by the reward model {lines[name][0]:.2f} to {lines[name][-1]:.2f}, the best there was {best_possible[name][-1]:.2f}." for name in lines))
print(f"compared only: the best of {N} is worth {gain.mean():.2f} more than one (95 % interval {low:.2f} to {high:.2f})")

# %% [markdown]
# No weight of the writer has moved, and its replies are better: on the compared intents most of what sixteen tries can bring is found. (It costs sixteen replies. Lecture 13 puts the gain into the weights.)
#
# ### What would demonstrations have done?
#
# A fair question, which the slide does not ask. Suppose somebody *can* write: a handful of demonstrations of the two intents, in the fine-tuned model's usual course. Three seeds.

# %% tags=["diagram"]
def after_demonstrations(n, seed):
    """Share of requests solved, one reply each, after n demonstrations of these intents."""
    shown = desk.demonstrations(n, random.Random(seed), 0.2, ("compared",))
    model = copy.deepcopy(tuned)
    examples = [reply_example(tokenizer, each.text, reply) for each, reply in shown]
    order = torch.Generator().manual_seed(seed)
    batches = [pad_examples([examples[i] for i in part]) for _ in range(8)
               for part in torch.randperm(n, generator=order).split(16)]
    config = TrainConfig(steps=len(batches), lr=1.5e-3, weight_decay=0.0, final_lr=0.05,
                         warmup_steps=5, device="cpu", progress=False)
    Trainer(model, config, batches).run()
    asked = [request for request, _ in written["compared"]]
    replies = sample_replies(model.eval(), [chat_prompt(tokenizer, r.text) for r in asked],
                             end, 48, generator=torch.Generator().manual_seed(seed))
    rows = [(r, [tokenizer.decode(ids)]) for r, ids in zip(asked, replies.replies)]
    return solved_of(rows).mean().item()


few = {n: [after_demonstrations(n, seed) for seed in range(3)] for n in (10, 40)}
for n, shares in few.items():
    print(f"{n} demonstrations: {', '.join(f'{each:.0%}' for each in shares)} solved")

# %% [markdown]
# Ten demonstrations, about five for each intent, and one reply solves more than the best of sixteen did, which had some 860 rankings of these intents behind it. The reward model is not what holds it back; it knows the right promise when it sees it. The writer seldom offers it, and choosing finds what is there and nothing else. A ranking also *tells* little, at most $\log_2 720 = 9.5$ bits for six replies, where a demonstration spells out what to say. So comparisons pay where nobody can write a demonstration, or say beforehand what is wanted, and where the model writes the right thing now and then.
#
# How much easier it is for *people* no simulation can tell. The source lectures give no times, nor does InstructGPT's paper.
#
# ## II. From rankings to a number
#
# An annotator puts $K$ replies in order. She never says how good a reply is. Yet best of $n$ needs a number for each, and so does lecture 13.
#
# Suppose each reply $y$ to a prompt $x$ has a hidden score $r(x, y)$, and she prefers $y_w$ to $y_l$ with probability (Bradley and Terry, 1952)
#
# $$P(y_w \succ y_l \mid x) = \sigma\big(r(x, y_w) - r(x, y_l)\big), \qquad \sigma(z) = \frac{1}{1 + e^{-z}} .$$
#
# Then the parameters of $r_\theta$ can be fitted by maximum likelihood, like those of a classifier. InstructGPT's loss takes all pairs of a ranking, the better reply first:
#
# $$L(\theta) = -\frac{1}{\binom{K}{2}}\, \mathbb{E}_{(x, y_w, y_l) \sim D} \Big[ \ln \sigma\big(r_\theta(x, y_w) - r_\theta(x, y_l)\big) \Big] ,$$
#
# where the expectation is over prompts and sums over the pairs of each. Business Analytics prints it so.

# %%
def ranking_nats(scores):
    """Scores (prompts, K), best first -> the mean loss of all K(K-1)/2 pairs."""
    gaps = scores[:, :, None] - scores[:, None, :]      # row minus column
    better = torch.ones(gaps.shape[1:]).triu(1).bool()  # the row was ranked higher
    return F.softplus(-gaps[:, better]).mean()          # softplus(-z) = -ln sigmoid(z)


some = torch.randn(5, 4)
torch.testing.assert_close(ranking_nats(some), reward_ranking_loss(some))
torch.testing.assert_close(ranking_nats(some[:, :2]), plackett_luce_loss(some[:, :2]))
print("ours = reward_ranking_loss")

# %% [markdown]
# **By hand.** Three replies with scores 2, 1 and 0, ranked in that order. The gaps are 1, 2 and 1; $\sigma(1) = 0.731$ and $\sigma(2) = 0.881$; the loss is $-(\ln 0.731 + \ln 0.881 + \ln 0.731)/3 = 0.251$ nats.

# %% tags=["diagram"]
# NBVAL_CHECK_OUTPUT
three = torch.tensor([2.0, 1.0, 0.0])
orders = list(itertools.permutations(range(3)))
pairs_ = [3 * ranking_nats(three[list(order)][None]) for order in orders]
full = [plackett_luce_loss(three[list(order)][None]) for order in orders]
print(f"by hand: {pairs_[0] / 3:.3f} nats; product of the pairs "
      f"{pairs_[0].neg().exp():.3f}, Plackett and Luce {full[0].neg().exp():.3f}")
print(f"summed over all {len(orders)} orders: product of the pairs "
      f"{sum(p.neg().exp() for p in pairs_):.3f}, Plackett and Luce "
      f"{sum(p.neg().exp() for p in full):.3f}")

# %% [markdown]
# Keep the last line in mind for part III: the product of the pairs is no probability of a ranking.
#
# ### One number instead of a vocabulary
#
# The model needs one change. Where a Transformer ends in a score for each word of the vocabulary, a reward model ends in a single number, read at the *last* token of the reply: a causal model has seen all of it there and nowhere else. 11-785's slide "reward model structure" stands beside its picture of next-token prediction; this is how one becomes the other.

# %% tags=["diagram"]
d = Diagram(12, 3.5)
for x0, color, title in ((0.3, "blue", "next-token prediction"), (6.3, "green", "reward model")):
    trunk_ = d.box(x0 + 2.65, 1.6, "Transformer", w=5.3, h=0.75, color=color)
    d.label(x0 + 2.65, 3.3, title, size=11.5)
    for i in range(5):
        x = x0 + 0.53 + 1.06 * i
        d.box(x, 0.55, ("prompt", "sorry", "refund", "end", "pad")[i], w=0.98, h=0.5, color="grey", size=8.5, dashed=i == 4)
        d.arrow((x, 0.8), (x, 1.22))
        if x0 < 1 and i < 4:
            d.arrow((x, 1.98), (x, 2.4))
            d.box(x, 2.65, "V scores", w=0.98, h=0.5, color="blue", size=8.5)
        if x0 > 1 and i == 3:
            d.arrow((x, 1.98), (x, 2.4))
            d.box(x, 2.65, "1 score", w=0.98, h=0.5, color="orange", size=8.5)
d.show(alt="Left, next-token prediction: above each token stand as many scores as the vocabulary has words. Right, a reward model: the same Transformer, and a single score above the end token, not above the padding behind it.")

# %%
class Scorer(nn.Module):
    """A Transformer with one number at its end, read at the last token that is real."""

    def __init__(self, trunk):
        super().__init__()
        self.trunk = copy.deepcopy(trunk)
        self.score_head = nn.Linear(trunk.config.d_model, 1, bias=False)
        nn.init.zeros_(self.score_head.weight)          # at first all replies are equal

    def forward(self, ids, pad_mask):                   # (B, T) -> (B,)
        h = self.trunk.hidden(ids, pad_mask=pad_mask)
        last = pad_mask.int().cumsum(1).argmax(1)       # padding on either side
        return self.score_head(h[torch.arange(len(h)), last])[:, 0]

# %% tags=["diagram"]
ours = Scorer(judge.trunk).eval()
ours.score_head.load_state_dict(judge.score_head.state_dict())
rows = [[*p, *r, end] for p, r in zip(*flat(contests["demonstrated"][:25]))]
width = max(map(len, rows))
right_ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
left_ids = torch.tensor([[*[0] * (width - len(row)), *row] for row in rows])
lengths = torch.tensor([len(row) for row in rows])[:, None]
right_mask, left_mask = (torch.arange(width) < lengths,
                         torch.arange(width) >= width - lengths)
with torch.no_grad():
    on_the_right, on_the_left = ours(right_ids, right_mask), ours(left_ids, left_mask)
    h = ours.trunk.hidden(right_ids, pad_mask=right_mask)
    at_a_pad = ours.score_head(h[:, -1])[:, 0]          # a mistake: the last *column*
    theirs = judge(right_ids, right_mask) * judge.std + judge.mean
torch.testing.assert_close(on_the_right, theirs, rtol=1e-4, atol=1e-4)
torch.testing.assert_close(on_the_left, theirs, rtol=1e-4, atol=1e-4)
wrong = ((at_a_pad.view(25, 4).argmax(1) == 0).float().mean(),
         (theirs.view(25, 4).argmax(1) == 0).float().mean())
print(f"ours = RewardModel, padding on the right or left; of four promises, the right one "
      f"in {wrong[1]:.0%}, read at the last column in {wrong[0]:.0%}")

# %% [markdown]
# The side of the padding makes no difference. Reading the score in the last *column* does: for all rows but the longest that is a pad, and the classic mistake.
#
# ### Trained before your eyes
#
# 400 requests, three replies by the fine-tuned model and three by agents each (why agents? part VI), ranked by simulated annotators. InstructGPT's paper gives the reason for keeping a ranking together: all its pairs come from $K$ passes instead of $K(K-1)$, and where they were shuffled as single examples, a single pass over the data already overfitted.

# %% tags=["diagram"]
def rank_some(n, rng, temperature=0.3, groups=("demonstrated", "compared")):
    """n requests with six replies each, best first, as one of five annotators ranks them."""
    requests = desk.requests(n, rng, groups)
    people = desk.annotators(5, rng)
    prompts = [chat_prompt(tokenizer, each.text) for each in requests for _ in range(3)]
    sampled = sample_replies(tuned, prompts, end, 48,
                             generator=torch.Generator().manual_seed(n)).replies
    ranked = []
    for i, each in enumerate(requests):
        texts = [tokenizer.decode(reply) for reply in sampled[3 * i : 3 * i + 3]]
        texts += [desk.reply(each, rng, style) for style in (None, None, "mistaken")]
        order = desk.rank(each, texts, rng, rng.choice(people), temperature)
        ranked.append((each, [texts[place] for place in order]))
    return ranked

# %%
shown, held_out = rank_some(400, random.Random(1)), rank_some(150, random.Random(2))
as_ids = [(chat_prompt(tokenizer, each.text), list(map(tokenizer.encode, texts)))
          for each, texts in shown]
batches = ranking_batches(as_ids, end, prompts_per_batch=32, epochs=2)
config = TrainConfig(steps=len(batches), optimizer="muon", lr=0.02, embedding_lr=0.01,
                     head_lr=0.01, vector_lr=0.003, betas=(0.8, 0.95), weight_decay=0.0,
                     warmup_steps=10, final_lr=0.05, device="cpu", progress=False)
small = RewardModel(tuned)
losses = Trainer(small, config, batches, loss=ranking_loss).run().train_loss
print(f"{len(losses)} updates: {losses[0]:.2f} nats a pair (ln 2 = {np.log(2):.2f}) "
      f"-> {losses[-1]:.2f}")

# %% tags=["diagram"]
read_before = np.mean([run["costs"]["base"]["tokens"] for run in
                       recorded("sft_gain")["results"]["runs"] if run["world"] == 0])
read_by_judge = 15 * sum(int(batch["pad_mask"].sum()) for batch in batches)  # 6,000, twice
gold_held = gold_of(held_out)
told = {"this one, 400 rankings": small.eval(), "the shipped one, 6,000": judge}
rows_ = []
for name, model in told.items():
    found = pair_accuracy(scores_of(model, held_out))
    low, high = bootstrap_interval(lambda each: float(np.mean(each)), found.numpy())
    rows_.append({"reward model": name, "pairs as annotators": f"{100 * found.mean():.0f} % ({100 * low:.0f} to {100 * high:.0f})",
                  **{f"promise, {GROUPS[group]}": share((scores_of(model, contests[group]).argmax(1) == 0).float()) for group in ("demonstrated", "compared")}})
ceiling = pair_accuracy(gold_held)
rows_.append({"reward model": "the gold reward itself", "pairs as annotators": f"{100 * ceiling.mean():.0f} %", **{f"promise, {GROUPS[group]}": "100 %" for group in ("demonstrated", "compared")}})
table(rows_, caption=f"{len(held_out)} held-out rankings of six, 15 pairs each; the intervals draw whole rankings")

# %% [markdown]
# Look at the last line first. The gold reward *itself* agrees with the annotators on little more than four pairs of five: they are noisy, and no model can be expected to do better. That is the **ceiling**, which we know because we made the noise, and without which an accuracy of 70 % can be neither praised nor blamed. (InstructGPT's labelers agree with each other in 73 % of pairs; its reward model predicts held-out labelers in 70 %.)
#
# The small model has learned something and still cannot tell a right promise from a wrong one. So what *has* it learned? Part IV looks.
#
# ## III. Pairs that depend on each other
#
# If she puts A above B and B above C, then A above C is settled. The fifteen pairs of a ranking of six are not fifteen observations. The loss treats them as if they were: it is a *composite* likelihood. The likelihood of the whole ranking is that of Plackett and Luce: draw the best in proportion to $e^{r}$, then the best of the rest, and so on,
#
# $$P(y_1 \succ y_2 \succ \dots \succ y_K) = \prod_{k=1}^{K-1} \frac{e^{r(x, y_k)}}{\sum_{j \ge k} e^{r(x, y_j)}} ,$$
#
# of which Bradley and Terry is the case $K = 2$. It is also how our annotators draw, so that here the full likelihood is *the true one*. What does the shortcut cost? Take the network away and let the reward be linear in what `desk.findings` counts; then a fit takes milliseconds and can be repeated on 100 fresh samples of 100 rankings.

# %% tags=["diagram"]
d = Diagram(12, 2.8)
placed = [d.box(1.6 + 2.2 * i, 1.15, letter, w=0.8, h=0.6, color="blue") for i, letter in enumerate("ABCD")]
for i in range(3):
    d.arrow(placed[i].right, placed[i + 1].left, color="green")
for i, j, bend in ((0, 2, -0.25), (1, 3, 0.25), (0, 3, -0.28)):
    d.arrow(placed[i].top if bend < 0 else placed[i].bottom, placed[j].top if bend < 0 else placed[j].bottom, color="orange", dashed=True, bend=bend)
d.label(10.5, 1.15, "4 replies:\n3 told, 3 follow", size=10.5)
d.show(alt="Four replies in the order A, B, C, D. Three arrows, from A to B, B to C and C to D, are what the annotator has to tell; A over C, B over D and A over D follow from them.")

# %%
COUNTED = ("solved", "wrong promise", "polite", "next step", "evasive")
TRUE = torch.tensor([WEIGHTS[name] for name in COUNTED], dtype=torch.double)


def counts_of(request, text):
    found = desk.findings(request, text)
    return [found.get(name, 0.0) for name in COUNTED]


pool = torch.tensor([[counts_of(each, desk.reply(each, rng)) for _ in range(6)]
                     for each in desk.requests(600, rng)], dtype=torch.double)

# %% tags=["diagram"]
def ranked_counts(shape, temperature, generator):       # -> (*shape, 6, 5), best first
    x = pool[torch.randint(len(pool), shape, generator=generator)]
    uniform = torch.rand(x.shape[:-1], generator=generator, dtype=torch.double)
    noisy = x @ TRUE / temperature - (-uniform.log()).log()     # Gumbel noise
    return x.gather(-2, noisy.argsort(-1, descending=True)[..., None].expand_as(x))


def fit(x, nats):                                       # Newton's method, all samples at once
    total = lambda w, x: nats(x @ w) * len(x) + 1e-3 * w @ w
    slope, bend = (torch.func.vmap(of(total)) for of in (torch.func.grad, torch.func.hessian))
    w = torch.zeros(len(x), x.shape[-1], dtype=torch.double)
    for _ in range(12):
        step = torch.linalg.solve(bend(w, x), slope(w, x))
        w = w - step * (2.0 / step.norm(dim=1, keepdim=True)).clamp_max(1.0)
    claimed = torch.linalg.inv(bend(w, x)).diagonal(dim1=1, dim2=2).sqrt()
    return w, claimed                                   # weights, their standard errors


LOSSES = {"pairs": lambda s: 15 * ranking_nats(s), "ranking": plackett_luce_loss}
samples = {t: ranked_counts((100, 100), t, torch.Generator().manual_seed(0)) for t in (0.3, 1.0)}
fits = {(t, name): fit(x, nats) for t, x in samples.items() for name, nats in LOSSES.items()}

# %% tags=["figure"]
moments = {key: (key[0], w * key[0], claimed * key[0]) for key, (w, claimed) in fits.items()}
wider = {t: (moments[t, "pairs"][1].std(0) / moments[t, "ranking"][1].std(0)).mean().item() for t in samples}
honest = {key: (c.mean(0) / w.std(0)).mean().item() for key, (_, w, c) in moments.items()}
table([{"noise temperature": key[0], "likelihood of": key[1], **{f"{name} ({TRUE[i]:+.1f})": f"{w[:, i].mean():+.2f} ± {w[:, i].std():.2f}" for i, name in enumerate(COUNTED)}, "claimed error / real": f"{honest[key]:.2f}"} for key, (_, w, _) in moments.items()], caption="fitted weights times the temperature: mean and deviation over 100 samples of 100 rankings")
print("\n".join(f"noise temperature {t}: the pairs' estimates spread {100 * (wide - 1):.0f} % more than the ranking's" for t, wide in wider.items()))

# %% [markdown]
# Both find the true weights: the composite likelihood is consistent. Its estimates spread somewhat more widely than those of the full one (the lines below the table). What it gets wrong is how *sure* it is. Read off its curvature, its standard errors are too small, by a fifth at the lower noise and a third at the higher, because it counts fifteen pairs where there are fewer observations. Those of the full likelihood are right. So the intervals on this page draw whole rankings. And a split that puts one pair of a ranking into training and another into the held-out part tests a model on what it has been told.

# %% [markdown]
# ### The wrong noise (*optional*)
#
# Bradley and Terry assume that people err more the closer two replies are. Suppose that is wrong: they always see which is better, and in a fixed share of cases click on the other. Or suppose it is right, and we fit those **uniform flips**: $P = \varepsilon + (1 - 2\varepsilon)\, \sigma(r_w - r_l)$ with $\varepsilon$ fitted too. Two kinds of annotators, two models, 1,500 pairs.

# %%
def noisy_pairs(n, annotator, noise, generator):        # -> chosen minus rejected
    a, b = (pool[torch.randint(len(pool), (n,), generator=generator),
                 torch.randint(6, (n,), generator=generator)] for _ in range(2))
    gap = (a - b) @ TRUE
    better = (torch.sigmoid(gap / noise) if annotator == "Bradley-Terry"
              else 0.5 + (0.5 - noise) * gap.round(decimals=4).sign())
    prefers_a = torch.rand(n, generator=generator, dtype=torch.double) < better
    return torch.where(prefers_a[:, None], a - b, b - a)


def fit_pairs(d, flips):
    parameters = torch.zeros(6, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=200,
                                  line_search_fn="strong_wolfe")

    def prefers(d):
        epsilon = 0.5 * parameters[5].sigmoid() if flips else 0.0
        return epsilon + (1 - 2 * epsilon) * (d @ parameters[:5]).sigmoid()

    def closure():
        optimizer.zero_grad()
        loss = -prefers(d).log().mean() + 1e-4 * (parameters[:5] ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return lambda d: prefers(d).detach()

# %% tags=["diagram"]
GAPS = torch.tensor([0.0, 0.2, 0.4, 0.7, 1.0, 1.4, 2.3])
NOISE = {"Bradley-Terry": [0.1, 0.3, 1.0], "flips": [0.05, 0.15, 0.3]}


def fitted_noise(annotator="Bradley-Terry", noise="middle"):
    level = NOISE[annotator][["low", "middle", "high"].index(noise)]
    d = noisy_pairs(1500, annotator, level, torch.Generator().manual_seed(0))
    fresh = noisy_pairs(20000, annotator, level, torch.Generator().manual_seed(1))
    fresh = fresh * (fresh @ TRUE).sign()[:, None]       # the truly better one first
    gap = fresh @ TRUE
    inside = [(gap > lo) & (gap <= hi) for lo, hi in itertools.pairwise(GAPS)]
    at = [gap[rows].mean().item() for rows in inside]
    fig, ax = plt.subplots(figsize=(3.5, 2.7))
    truth = [(torch.sigmoid(gap[rows] / level).mean() if annotator == "Bradley-Terry" else torch.tensor(1 - level)).item() for rows in inside]
    ax.plot(at, truth, "-", color="0.3", linewidth=5, alpha=0.3, label="the annotators")
    for flips, color, mark in ((False, "#0072B2", "o"), (True, "#D55E00", "s")):
        model = fit_pairs(d, flips)
        ax.plot(at, [model(fresh[rows]).mean().item() for rows in inside], mark + "--", color=color, markersize=4, label="fit: flips" if flips else "fit: Bradley-Terry")
    ax.set(xlabel="true gap in gold reward", ylabel="P(better one preferred)", ylim=(0.45, 1.02), title=f"{annotator}, {level}")
    ax.legend(fontsize=8, loc="lower right")
    return fig


explore(fitted_noise, annotator=list(NOISE), noise=["low", "middle", "high"], panels=[dict(annotator="Bradley-Terry", noise="middle"), dict(annotator="flips", noise="middle")],
        alt="How often the better of two replies is preferred against how much better it is: by annotators who err as Bradley and Terry say or flip a fixed share of their answers, and as fitted under either assumption.")

# %% [markdown]
# On annotators who err as assumed, both models are right, the flips fitting an $\varepsilon$ near zero. On annotators who flip, Bradley and Terry's model is too humble about close calls and too sure of wide gaps; the annotators are wrong equally often on both. The *order* of the replies is hardly hurt. What is wrong is every probability, and the size of the gaps, on which lecture 13's policy will be paid.
#
# ## IV. How much, and how noisy?
#
# First without a network: the linear reward of part III, which is told what to count, fitted to 10 to 300 rankings by annotators of four noise temperatures, twenty samples each. Accuracy is the share of fresh pairs that it orders as such annotators do, and, since we can, as the gold reward does.

# %% tags=["diagram"]
NUMBERS, NOISES = (10, 30, 100, 300), (0.1, 0.3, 1.0, 3.0)
fresh = {t: ranked_counts((1000,), t, torch.Generator().manual_seed(7)) for t in NOISES}
ceilings = {t: pair_accuracy(x @ TRUE).mean().item() for t, x in fresh.items()}
i_, j_ = torch.triu_indices(6, 6, 1)
gold_gap = {t: ((x @ TRUE)[:, i_] - (x @ TRUE)[:, j_]).round(decimals=4) for t, x in fresh.items()}
as_people, as_gold = {}, {}
for n, t in itertools.product(NUMBERS, NOISES):
    w, _ = fit(ranked_counts((20, n), t, torch.Generator().manual_seed(n)), LOSSES["ranking"])
    said = [fresh[t] @ each for each in w]
    as_people[n, t] = [pair_accuracy(each).mean().item() for each in said]
    told_apart = gold_gap[t] != 0
    as_gold[n, t] = [(((each[:, i_] - each[:, j_]) * gold_gap[t] > 0)[told_apart]).float().mean().item() for each in said]
fig, (left, right) = panels(2, titles=["as annotators do", "as the gold reward does"], share_y=True, height=3.1)
for ax, found in ((left, as_people), (right, as_gold)):
    curves({f"{n}": np.array([found[n, t] for t in NOISES]).T for n in NUMBERS}, at=NOISES, log="x", x="noise temperature of the annotators", y="pairs in the same order" if ax is left else "", ax=ax, labels=False, ylim=(0.45, 1.02))
    ax.set_xticks(NOISES, NOISES)
left.plot(NOISES, [ceilings[t] for t in NOISES], "k--", linewidth=1, label="ceiling")
left.legend(fontsize=9, title="rankings", title_fontsize=9)
show(fig, alt="Share of fresh pairs in the right order against the annotators' noise, range of twenty samples. " + " ".join(f"Temperature {t}: as annotators, with 10 rankings {np.mean(as_people[10, t]):.2f}, with 300 {np.mean(as_people[300, t]):.2f}, ceiling {ceilings[t]:.2f}; as gold {np.mean(as_gold[10, t]):.2f} and {np.mean(as_gold[300, t]):.2f}." for t in NOISES))

# %% [markdown]
# With 300 rankings the ceiling is reached at every temperature: an accuracy below 60 % at the right end is all there is to be had. And look at the right panel: where annotators agree with the truth in barely more than half of the pairs, 300 rankings of theirs make a model that orders far more. A reward model averages its teachers' noise away, which lecture 11's student could not do with its teachers' habits, since it was asked to copy them. What it cannot average away is what annotators have in common.
#
# Now the network, which has to find out for itself what to count. Two reward models are on this page; *recorded* are four more, all with 150 updates of 32 rankings: three seeds that read 4,800 rankings once, and one that read 1,200 four times.

# %% tags=["diagram"]
data = recorded("reward_data")["results"]
MANY, FEWER = 4800, 1200
runs = {n: [run for run in data["runs"] if run["n"] == n] for n in (FEWER, MANY)}
of = lambda where, what, n=MANY: [run[where][what] for run in runs[n]]
percent = lambda found: f"{100 * np.mean(found):.0f} %" + (f" ({100 * min(found):.0f} to {100 * max(found):.0f})" if len(found) > 1 else "")


def as_gold_does(model):
    s_ = scores_of(model, held_out)
    gap_ = (gold_held[:, i_] - gold_held[:, j_]).round(decimals=4)
    return [(((s_[:, i_] - s_[:, j_]) * gap_ > 0)[gap_ != 0]).float().mean().item()]


rows_ = [{"rankings": "400, twice (here)", "pairs as annotators": percent([pair_accuracy(scores_of(small, held_out)).mean().item()]), "ceiling": percent([ceiling.mean().item()]), "pairs as gold": percent(as_gold_does(small))}]
rows_ += [{"rankings": f"{n:,}, {how}", "pairs as annotators": percent(of("compared", "accuracy", n)), "ceiling": percent(of("compared", "ceiling", n)[:1]), "pairs as gold": percent(of("compared", "gold_accuracy", n))} for n, how in ((FEWER, "four times, one seed"), (MANY, "once, three seeds"))]
rows_.append({"rankings": "6,000, twice (shipped)", "pairs as annotators": percent([pair_accuracy(scores_of(judge, held_out)).mean().item()]), "ceiling": percent([ceiling.mean().item()]), "pairs as gold": percent(as_gold_does(judge))})
table(rows_, caption="held-out rankings, other ones for the recorded models, hence the two ceilings")

# %% [markdown]
# More data and more training help, and even the shipped model stays below its ceiling, a little. (Only the two middle lines differ in one thing alone, the number of different rankings.)
#
# ### Manner first
#
# What stands behind such a percentage? Three kinds of contests take it apart. *Manner*: a reply that solves the request and is polite, against the same without politeness. *Promise*: four plain promises, one right, as in part I. *Conflict*: one plain right promise, worth 1.0, against a polite reply with a next step that promises the wrong thing, worth 0.3. Each dot is one reward model.

# %% tags=["diagram"]
def more_contests(request):
    """A conflict and a contest of manner; the better reply first."""
    polite, right, following = reply_with(request, "good", {"solved", "polite", "next step"}).split(" . ")
    wrong_ = reply_with(request, "mistaken", {"wrong promise"})
    return {"conflict": [f"{right} .", f"{polite} . {wrong_} {following}"], "manner": [f"{polite} . {right} .", f"{right} ."]}


mixed = {group: [(each, more_contests(each)) for each in desk.requests(2 * ASKED, rng, (group,))] for group in GROUPS}
rows_for = lambda kind, group: contests[group] if kind == "deeds" else [(each, texts[kind]) for each, texts in mixed[group]]
KINDS = {"manner": "manner", "deeds": "promise", "conflict": "conflict"}
won_by = {(name, kind, group): [(scores_of(model, rows_for(kind, group)).argmax(1) == 0).float().mean().item()] for name, model in (("400,\ntwice", small), ("6,000,\ntwice", judge)) for kind in KINDS for group in GROUPS}
won_by |= {(name, kind, group): of(f"chooses {group}", kind, n) for name, n in (("1,200,\n4 times", FEWER), ("4,800,\nonce", MANY)) for kind in KINDS for group in GROUPS}
ROW = ("400,\ntwice", "1,200,\n4 times", "4,800,\nonce", "6,000,\ntwice")


def learned_first(intents="demonstrated"):
    fig, ax = plt.subplots(figsize=(3.5, 2.7))
    for (kind, label), color in zip(KINDS.items(), ("#0072B2", "#D55E00", "#009E73")):
        ax.plot([np.mean(won_by[name, kind, intents]) for name in ROW], "-", color=color, alpha=0.5, label=label)
        for place, name in enumerate(ROW):
            ax.plot([place] * len(won_by[name, kind, intents]), won_by[name, kind, intents], "o", color=color, markersize=4)
    ax.set(ylabel="right one chosen", ylim=(-0.05, 1.3), title=GROUPS[intents], xlabel="rankings read")
    ax.set_xticks(range(4), ROW, fontsize=8)
    ax.legend(fontsize=7, ncol=3, loc="upper center", handlelength=0.9, columnspacing=0.8)
    return fig

# %% tags=["figure"]
explore(learned_first, intents=list(GROUPS), panels=list(GROUPS), alt=lambda intents: f"{GROUPS[intents]}: " + "; ".join(f"{label} " + ", ".join(f"{np.mean(won_by[name, kind, intents]):.2f}" for name in ROW) for kind, label in KINDS.items()) + ", with 400, 1,200, 4,800 and 6,000 rankings. Chance is 0.25 for a promise and 0.5 for the others.")

# %% [markdown]
# The small model has manner, and hardly anything else: it tells promises apart about as well as chance, and in a conflict the polite wrong promise wins nearly every time. Promises come with more training. In a conflict even the recorded models, which know many promises, mostly prefer the polite reply, and the shipped one still does so too often, although solving is worth more than both courtesies together. The likely reason: manner shows in a few phrases that are the same for all requests, while what solves a request is different for each intent, in a few rankings each. A policy that is paid by such a model may learn to be wrong politely.
#
# Manner carries over to intents that nobody compared; promises do not.
#
# ## V. What the numbers mean
#
# ### Calibration
#
# A ranking loss makes a probability out of each gap: $\sigma(r_1 - r_2)$. Sort held-out pairs by what the model predicts for the reply it prefers, and count how often annotators did prefer it. On the diagonal a model means what it says; below, it is too sure.

# %% tags=["diagram"]
never_compared = rank_some(100, random.Random(3), groups=("unseen",))
reliability = {name: calibration(scores_of(model, asked) * model.std, 6) for name, model, asked in
               (("400, twice", small, held_out), ("shipped", judge, held_out), ("shipped, unseen intents", judge, never_compared))}
by_size = {name: np.mean([run["calibration"] for run in runs[n]], 0) for name, n in (("4,800, once", MANY), ("1,200, four times", FEWER))}
fig, (left, right) = panels(2, titles=["on this page", "recorded, same updates"], share_y=True, height=3.2)
for ax, lines_ in ((left, reliability), (right, by_size)):
    curves({name: (np.array(points_)[:, 0], np.array(points_)[:, 1]) for name, points_ in lines_.items()}, x="predicted preference", y="observed share" if ax is left else "", ax=ax, labels=False)
    ax.plot([0.5, 1], [0.5, 1], "--", color="0.5", linewidth=1)
    ax.legend(fontsize=8.5)
show(fig, alt="Observed against predicted preference in six bins. " + " ".join(f"{name}: " + ", ".join(f"{a:.2f} predicted, {b:.2f} observed" for a, b, _ in np.array(points_)[[1, 3, 5]]) + "." for name, points_ in {**reliability, **by_size}.items()))

# %% [markdown]
# On requests like those it was trained on, a model that has read its rankings once or twice means what it says, the small one too: it knows little, and its gaps say so. The model that has read the same 1,200 four times orders pairs nearly as well as those that have read 4,800, and is much too sure of itself: where it says 82 in 100, annotators agree in some 70. (One seed, 300 held-out rankings.) And on intents that nobody compared, the shipped model is too sure as well, with nothing in its scores to warn of it.
#
# ### No zero, and not the same zero everywhere

# %%
poll("To all scores of one prompt's replies somebody adds a number: 5 for the first prompt, -80 for the second, another for each. What happens to the ranking loss on these rankings?",
     ["nothing", "nothing only if the number is the same for all prompts", "it grows, since scores are no longer between 0 and 1", "it falls for prompts with positive numbers"],
     "Every term of the loss is a difference of two scores of one prompt, so what both have in common drops out. The same holds for Plackett and Luce. Nothing in the training says how a reply to one prompt compares with a reply to another.")

# %% [markdown]
# In the lecture on Business Analytics the reward model looks at an output and says "this is an 8/10". Its scores have no zero and no ten, and the loss never compares two prompts. InstructGPT shifts the scores so that its demonstrators' replies have mean 0 before it uses them; `RewardModel.normalise` does so with whatever scores it is given. Whether scores of *different* prompts compare, the training leaves to luck; so we look. For every pair of replies to one request, take a second pair: the same first reply, and in place of the other one a reply to *another* request that has exactly the same gold reward.

# %% tags=["diagram"]
anything = torch.randn(len(held_out), 1) * 50
before = reward_ranking_loss(scores_of(judge, held_out))
torch.testing.assert_close(before, reward_ranking_loss(scores_of(judge, held_out)
                                                       + anything), rtol=1e-3, atol=1e-3)
s, g = scores_of(judge, held_out), (gold_held * 100).round()
same, other = [], []
picks = random.Random(0)
for i, (a, b) in itertools.product(range(len(s)), itertools.combinations(range(6), 2)):
    twins = [(j, k) for j, k in (g == g[i, b]).nonzero().tolist() if j != i]
    if g[i, a] != g[i, b] and twins:
        j, k = picks.choice(twins)
        truth = (g[i, a] - g[i, b]).sign()
        same.append((i, (truth * (s[i, a] - s[i, b]) > 0).item()))
        other.append((i, (truth * (s[i, a] - s[j, k]) > 0).item()))
within, across = (np.array([right for _, right in each], float) for each in (same, other))
gap_low, gap_high = bootstrap_interval(
    lambda a, b: float((a - b).mean()), within, across,
    groups=[i for i, _ in same], times=300)
print(f"right order, replies to one request: {within.mean():.1%}, to two: {across.mean():.1%}"
      f"\ndifference {within.mean() - across.mean():.1%} (95 % {gap_low:.1%} to {gap_high:.1%})")

# %% [markdown]
# The order across two requests is right less often, though the gaps in gold reward are exactly the same. So scores of different prompts compare to some degree, since a copy of one network gives them all; less than scores of one prompt; and nothing in the loss promises even that. Lecture 13 puts scores of many prompts into one batch, and has to subtract something for each.
#
# ## VI. Which replies should be ranked?
#
# Business Analytics, like InstructGPT, has people rank "the generated responses from the LM". So did our first reward model: six replies by the fine-tuned model to each request, four in five of which solve it where the intent was demonstrated. It turned out a connoisseur of politeness. *Recorded, 4,800 rankings each*, same updates: six replies of the model's *own*; three own and three of *agents*, as they come; three own and three of agents, one of whom is *mistaken* and promises what another customer would need. The first two are one run each, the third three.

# %% tags=["diagram"]
arms = recorded("reward_replies")["results"]["runs"]
ARMS = {"six of its own": [run for run in arms if run["arm"] == "own"], "half by agents": [run for run in arms if run["arm"] == "half agents'"],
        "one mistaken": runs[MANY]}
reads = {"promise, demonstrated": lambda run: run["chooses demonstrated"]["deeds"], "promise, compared only": lambda run: run["chooses compared"]["deeds"],
         "conflict, both": lambda run: np.mean([run[f"chooses {g}"]["conflict"] for g in ("demonstrated", "compared")]),
         "manner, both": lambda run: np.mean([run[f"chooses {g}"]["manner"] for g in ("demonstrated", "compared")])}
values = {what: {name: [read(run) for run in three_] for name, three_ in ARMS.items()} for what, read in reads.items()}
bars(values, x="right one chosen", fmt="", height=3.5, alt="Reward models from rankings of different replies. " + " ".join(f"{what}: " + ", ".join(f"{name} {np.mean(v):.2f}" for name, v in each.items()) + "." for what, each in values.items()))
ranked_ = {name: {what: np.mean([run["ranked"][what] for run in three_]) for what in ("solved", "wrong promise", "polite")} for name, three_ in list(ARMS.items())[:2]}
counts_ = [desk.findings(each, text) for each, texts in shown for text in texts]
ranked_["one mistaken"] = {what: np.mean([what in found for found in counts_]) for what in ("solved", "wrong promise", "polite")}
range_ = lambda found: f"{np.mean(found):.2f}" + (f" ({min(found):.2f} to {max(found):.2f})" if len(found) > 1 else "")
table([{"ranked replies": name} | {what: f"{100 * value:.0f} %" for what, value in each.items()} | {f"best of 8, {GROUPS[group]}": range_([run[f"best of 8 {group}"]["chosen"] for run in ARMS[name]]) for group in ("demonstrated", "compared")} for name, each in ranked_.items()], caption="what is in the replies that annotators ranked (last line: those of part II); gold reward of the best of eight of the fine-tuned model's replies")

# %% [markdown]
# Start at the demonstrated intents. From its own replies alone the model learned manner to perfection and promises hardly better than chance; with agents' replies, and more so with a mistaken one among them, it learned promises too. (The share of wrong promises alone would not tell: the second arm has no more of them than the first. It has fewer replies that solve, so that solving decides more often.) And then look at the intents that were compared only: there its own replies are mostly wrong, and from them it did learn which promises are right. That fits one explanation: *a comparison teaches what the two replies differ in*. Where everything solves the request, only a courtesy is left to decide.
#
# The last two columns are what one should not leave out. At choosing among the fine-tuned model's *own* replies, the model that read its own replies is as good as any, or better. It was asked for what it was taught. So "which replies should be ranked?" has no answer without "what will the reward model have to judge?". For best of $n$, own replies will do. A policy that is trained against it will write other replies than those anybody ranked, and there the gaps in the upper picture become its lessons. (Two of three arms are one run each. Own replies against a mistaken agent, on demonstrated promises, differ by far more than the three seeds of one arm do; smaller differences may be luck.)

# %% [markdown]
# ## VII. Where it is wrong
#
# ### A taste for length
#
# Annotators have tastes, and one is well known: longer answers look better. Suppose ours add 0.02 or 0.04 for every word, of which the gold reward knows nothing; solving is worth 1. *Recorded, one seed, 600 rankings, read twice*, the same replies under each taste. The test: replies in good style, with more and more small talk behind them.

# %% tags=["diagram"]
by_taste = recorded("reward_length")["results"]["runs"]
TASTES = sorted({run["per_word"] for run in by_taste})
taste_runs = {t: [run for run in by_taste if run["per_word"] == t] for t in TASTES}
extra = [row["sentences"] for row in by_taste[0]["longer"]]
drop = lambda of_runs, what: [[row[what] - run["longer"][0][what] for row in run["longer"]] for run in of_runs]
both = lambda what, of_runs: [np.mean([run[f"best of 8 {g}"][what] for g in ("demonstrated", "compared")]) for run in of_runs]
names = {t: f"{t} a word" if t else "no taste" for t in TASTES}
fig, (left, right) = panels(2, titles=["small talk behind good replies", "best of 8 replies"], widths=[1.3, 1], height=3.2)
curves({names[t]: drop(of_runs, "score") for t, of_runs in taste_runs.items()}, at=extra, x="sentences of small talk", y="change of the score", ax=left, labels=False)
left.plot(extra, drop(by_taste[:1], "gold")[0], "k--", linewidth=1, label="gold reward")
left.set_ylim(-2.5, 0.15)
left.legend(fontsize=8, ncol=2, loc="lower left")
bars({names[t]: both("chosen_words", of_runs) for t, of_runs in taste_runs.items()}, x="words of the reply chosen", fmt="", ax=right)
show(fig, alt="Left, what three sentences of small talk behind a good reply change: gold reward " + f"{drop(by_taste[:1], 'gold')[0][3]:.2f}; score " + ", ".join(f"{names[t]} {np.mean(drop(r, 'score'), 0)[3]:.2f}" for t, r in taste_runs.items()) + ". Right, words of the best of eight: " + ", ".join(f"{names[t]} {np.mean(both('chosen_words', r)):.1f}" for t, r in taste_runs.items()) + ".")
for t, of_runs in taste_runs.items():
    print(f"{names[t]:12} gold reward of the best of 8: {range_(both('chosen', of_runs))}, at {np.mean(both('chosen_words', of_runs)):.1f} words (all replies: {np.mean(both('words', of_runs)):.1f}); pairs as gold {np.mean([run['gold_accuracy'] for run in of_runs]):.1%}")

# %% [markdown]
# The gold reward hardly minds one sentence, and then falls. Annotators without the taste teach a model to mind the first sentence much more than it should: agents who chat seldom solve anything, so small talk has probably become a *sign* of a bad reply. The more annotators like words, the less the model minds, and at 0.04 a word three sentences of chatter cost less than a fifth of a deviation. (Those annotators themselves would have liked the longer reply better, so the model follows them only part of the way.) The replies chosen by best of eight grow longer with the taste, by a word or two of twenty-five, as far as the fine-tuned model's replies allow. Each line is one run, but nothing else differs between them, and the order is the same throughout.
#
# Note what is *not* wrong here. The model has learned what its annotators said. On ordinary held-out replies it even orders pairs nearly as the gold reward does, as often as the others (the lines below the figure). To find the bias one has to know what to look for.
#
# ### What nobody was asked about
#
# On intents that no ranking was about, part I found the reward model below chance at telling promises apart. And outside of what agents ever write? Replies to demonstrated intents, spoiled in three ways, beside good ones; *recorded*, three models of different rankings and seeds. Their disagreement, the deviation of their scores, is often proposed as an alarm; the optional part below looks at it.

# %% tags=["figure"]
ensemble = data["ensemble"]
ODD = ("polite and solved", "words shuffled", "polite sentence, six times", "empty")
table([{"replies": name, "gold reward": f"{ensemble[name]['gold']:+.2f}", "score (mean 0, deviation 1)": f"{ensemble[name]['score']:+.2f}", "deviation among three models": f"{ensemble[name]['deviation']:.2f}"} for name in ODD] + [{"replies": f"as in rankings, {where}", "gold reward": "", "score (mean 0, deviation 1)": "", "deviation among three models": f"{ensemble[key]['deviation']:.2f}"} for key, where in (("compared", "intents that were compared"), ("unseen", "unseen intents"))])

# %% [markdown]
# Shuffled words are about the worst a reply can be, and the reward models put them above the average of what they have read; one polite sentence six times over too. Nobody ever ranked such replies, so nobody ever said no to them. (The empty reply they dislike, unranked as it was.)
#
# ### An alarm? (*optional*)
#
# Do three models that disagree know that they are wrong?

# %% tags=["figure"]
table([{"pairs of": where, "each model alone": " ".join(f"{100 * v:.0f} %" for v in ensemble[key]["single"]), "mean of three": f"{100 * ensemble[key]['mean']:.0f} %", "by disagreement: least, middle, most": " ".join(f"{100 * v:.0f} %" for v in ensemble[key]["by_deviation"]), "by gap: smallest, middle, largest": " ".join(f"{100 * v:.0f} %" for v in ensemble[key]["by_difference"])} for key, where in (("compared", "compared intents"), ("unseen", "unseen intents"))], caption=f"pairs ordered as by the gold reward, {MANY:,} rankings a model; the last two columns: the mean of three, by thirds of the pairs")

# %% [markdown]
# Hardly. On two of the three kinds of spoiled replies they disagree a little more than on good ones, on the third less. On unseen intents, where they are most often wrong, they disagree no more than elsewhere: they are wrong *together*. Nor does disagreement tell right pairs from wrong ones within either group; the plain gap between two scores tells a good deal. The mean of three is better than each alone on compared intents, as it should be after three times the rankings, and not on the others. So this is a null result for disagreement as a warning, with three models that share a trunk. (Coste et al., 2024, found ensembles to help against over-optimisation; Eisenstein et al., 2023, found that they help more if their members differ in pre-training, and not against errors that all share.)
#
# ## VIII. People
#
# So far nobody human has said anything. Hutto and Gilbert (2014) had people rate 10,605 snippets of film reviews from -4 to 4, about twenty people a snippet, and published every single rating. That is a reward model's problem: a text in, a number out that people would give. We print the simplest model first, ridge regression on a bag of words, once on the mean of all ratings and once on *one* rating of each snippet.

# %% tags=["diagram"]
splits = split_ratings(rated_texts("film"))
train, report = splits["train"][:3000], splits["report"]
words_of = lambda each: set(re.findall(r"\w+(?:'\w+)*|[!?]", each.text.lower()))
frequency = collections.Counter(word for each in train for word in words_of(each))
column = {word: i for i, word in enumerate(w for w, n in frequency.items() if n > 1)}
rarity = np.array([np.log(len(train) / frequency[word]) for word in column], np.float32)


def bag(texts):                                         # rows of length 1
    x = np.zeros((len(texts), len(column)), np.float32)
    for row, each in zip(x, texts):
        row[[column[word] for word in words_of(each) if word in column]] = 1
    x *= rarity
    return x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-6)


x, x_report, draw = bag(train), bag(report), np.random.default_rng(0)
truth = np.array([each.mean for each in report])
for name, y in {"mean of all ratings": [each.mean for each in train],
                "one rating each": [draw.choice(each.ratings) for each in train]}.items():
    y = np.array(y, np.float32)
    a = np.linalg.solve(x @ x.T + 2 * np.eye(len(x), dtype=np.float32), y - y.mean())
    rho = spearman(x_report @ (x.T @ a), truth)
    spread_ = bootstrap_interval(spearman, x_report @ (x.T @ a), truth, times=200,
                                 groups=[each.group for each in report])
    print(f"bag of words, {name}: Spearman {rho:.2f} ({spread_[0]:.2f} to {spread_[1]:.2f})")

# %% tags=["diagram"]
film = recorded("review_rewards")["results"]
SHOWN = {"bag of words": "bag of words", "causal, last": "Transformer from scratch, last token", "bidirectional, mean": "the same, all tokens", "MiniLM, six layers": "pre-trained encoder"}
rows_ = [{"predicts the mean rating": label, "Spearman": f"{film['models'][name]['all'][0]:.2f} ({film['models'][name]['all'][1]:.2f} to {film['models'][name]['all'][2]:.2f})", "pairs": f"{100 * film['models'][name]['pair_accuracy']:.0f} %"} for name, label in SHOWN.items()]
people = film["people"]["all"]
one = people["one rater against the rest"]
rows_.append({"predicts the mean rating": "one person, of the others' mean", "Spearman": f"{one[0]:.2f} ({one[1]:.2f} to {one[2]:.2f})", "pairs": f"{100 * film['people']['pair_accuracy of one rater']:.0f} %"})
reliable = np.sqrt(people["reliability of the mean"][0])
rows_.append({"predicts the mean rating": "ceiling: what everybody thinks", "Spearman": f"{reliable:.2f}", "pairs": ""})
table(rows_, caption=f"recorded: {film['splits']['train']:,} snippets with {film['ratings']:,} ratings to learn from, {film['splits']['report']:,} held out; intervals draw sittings")

# %% tags=["diagram"]
WAYS = {"one rating of many": "one rating each", "all ratings of few": "all ratings of few", "pairs of two people": "pairs, two people", "pairs of one person": "pairs, one person"}
budgets = sorted({row["ratings"] for row in film["budgets"]})
by_way = {label: [[next(row["report"] for row in film["budgets"] if (row["way"], row["ratings"], row["seed"]) == (way, n, seed)) for n in budgets] for seed in range(3)] for way, label in WAYS.items()}
curves(by_way, at=budgets, log="x", x="ratings bought", y="Spearman", height=3.0, alt=f"Spearman correlation with the mean rating against the number of single ratings bought, from {budgets[0]} to {budgets[-1]:,}. " + " ".join(f"{label}: {np.mean(v, 0)[0]:.2f} to {np.mean(v, 0)[-1]:.2f}." for label, v in by_way.items()))

# %% [markdown]
# Three things to notice.
#
# *The simplest model is hard to beat.* Transformers from scratch are worse than counting words, on these seven thousand snippets. What helps is an encoder that was pre-trained, as the trunk of InstructGPT's reward model was. A person drawn at random still predicts the others' mean better, and the ceiling is close to 1: much can be learned here, and has not been.
#
# *Spread your ratings.* For the same number of ratings, one each of many texts beats all of few by far, noisy as one rating is. It is the model that averages.
#
# *Pairs bought less than ratings.* A pair takes two ratings here, and of the pairs of one person many are ties. That is a fact about pairs made out of ratings: people who are asked to *compare* may well be more consistent. Nobody asked them.
#
# ### Three hundred pairs that are not human (*optional*)
#
# A set of 300 preference pairs comes with the course (LLaMA-Factory's sample). Who preferred? The file does not say, and its prompts look like those of collections in which a language model was the judge; we do not call them people's choices. In one respect they can be checked:

# %%
collection = preference_pairs()
longer_ = sum(len(each.chosen) > len(each.rejected) for each in collection)
low, high = wilson_interval(longer_, len(collection))
print(f"the chosen answer is the longer one in {longer_} of {len(collection)}: "
      f"{longer_ / len(collection):.0%} ({low:.0%} to {high:.0%})")

# %% [markdown]
# Here the *shorter* one tends to win, if anything. Nobody can read off such a file whether that is taste, an instruction to the judge, or selection: ask where preferences come from before you train on them.
#
# ## IX. Your own reward model (*optional*)
#
# Ten pairs for the class: show hands, enter the counts, and the next cell fits a reward to *you*. Ten pairs cannot train a Transformer, so the reward is linear in what a program counts, words among it. When nobody has voted, 25 simulated annotators stand in, who like words a little.

# %%
pick_style = [("good", "plain"), ("plain", "good"), ("good", "mistaken"),
              ("evasive", "plain"), ("rambling", "good"), ("plain", "curt"),
              ("mistaken", "plain"), ("good", "rambling"), ("evasive", "mistaken"),
              ("curt", "rambling")]
quiz_rng = random.Random(2025)
quiz = [(each, [desk.reply(each, quiz_rng, style) for style in styles])
        for each, styles in zip(desk.requests(10, quiz_rng), pick_style)]
ballots = [Ballot(f"{number}. {each.text}", texts)
           for number, (each, texts) in enumerate(quiz, 1)]
for ballot in ballots[:2]:                              # in class: all ten
    ballot.vote("class")

# %%
def hands(ballot):
    return list(ballot.counts.get("class", dict.fromkeys(ballot.options, 0)).values())


counted = [hands(ballot) for ballot in ballots]
voted = any(sum(each) for each in counted)
if not voted:
    crowd = desk.annotators(25, quiz_rng, per_word=0.02)
    counted = [[sum(desk.rank(each, texts, quiz_rng, person, 0.5)[0] == i
                    for person in crowd) for i in range(2)] for each, texts in quiz]
features = torch.tensor([[[*counts_of(each, text), len(text.split()) / 10]
                          for text in texts] for each, texts in quiz])
votes = torch.tensor(counted)
w = torch.zeros(6, dtype=torch.double, requires_grad=True)
step = torch.optim.LBFGS([w], max_iter=200, line_search_fn="strong_wolfe")


def closure():
    step.zero_grad()
    loss = -(votes * (features.double() @ w).log_softmax(1)).sum() + 0.5 * (w @ w)
    loss.backward()
    return loss


step.step(closure)
n = votes.sum(1).clamp_min(2)
disagree = (2 * votes.prod(1) / (n * (n - 1)))[votes.sum(1) > 1].mean()
print("your votes" if voted else "simulated votes",
      f"| two people disagree on a pair with probability {disagree:.0%}\n" + ", ".join(
          f"{name} {value / w[0].abs():+.2f}" for name, value in
          zip((*COUNTED, "ten words"), w.detach())))

# %% [markdown]
# The weights are in units of what solving is worth to you, and ten pairs leave them rough. Two readings: is *ten words* above zero, so that your reward model would learn to ramble? And how often do two of you disagree: that is the noise that no model of yours can undercut. (InstructGPT's labelers disagreed on 27 % of pairs.)
#
# ## X. Thirteen, thirty-three, thirty-one thousand (*optional*)
#
# Business Analytics quotes three numbers of InstructGPT's prompts, and three ways to get a prompt. Here is the paper's table beside our desk.

# %% tags=["figure"]
table([{"": "fine-tuning", "InstructGPT": "12,725 prompts", "by labelers": "11,295", "by customers": "1,430", "what people add": "a reply each", "our desk": "200 demonstrations"}, {"": "reward model", "InstructGPT": "33,207 prompts", "by labelers": "6,623", "by customers": "26,584", "what people add": "a ranking of 4 to 9 replies", "our desk": "6,000 rankings of 6"}, {"": "PPO", "InstructGPT": "31,144 prompts", "by labelers": "0", "by customers": "31,144", "what people add": "nothing", "our desk": "lecture 13"}], caption="training splits; Ouyang et al. (2022), table 6")

# %% [markdown]
# Labelers wrote three kinds of prompts: *plain*, any task that came to mind; *few-shot*, an instruction with several examples of it; *user-based*, after what applicants for the API said they wanted. Customers' prompts came later, and most of the ranking was about these. Of what customers asked, 46 % was free generation and 12 % open questions; extracting and closed questions come last, with 2 and 3 %. A reward model knows best what most rankings were about. Rankings of four to nine replies give 6 to 36 pairs a prompt, so that the 33,000 prompts are some hundreds of thousands of pairs, which by part III are not as many observations.
#
# ## Scale warning
#
# > **What this lecture's models can and cannot tell you.** The loss, its invariance, the dependence of pairs, ceilings and calibration are the same at every size. That ten demonstrations outdo hundreds of rankings is a fact about a world where a reply is one promise among sixteen kinds, and can be copied. Our annotators are five, never tire, and err as the model assumes; people do not. Our reward models have 0.13 million parameters and are trained in two minutes; a large pre-trained trunk brings much of what ours had to be shown in thousands of rankings, and so it may well be better on requests that nobody compared. How often people's preferences follow length, we did not measure; we only showed what happens if they do.
#
# ## Claims
#
# What the source lectures say about this topic, against what the papers say and what you have just computed.

# %%
claims_table([
    Claim("it is often much easier to compare answers instead of writing answers",
          "Ouyang et al. (2022): no times given; labelers wrote 11,295 replies and ranked for 33,207 prompts",
          f"compared intents: writes {writes['compared']:.0%}, chooses of four "
          f"{likeliest['compared'].mean():.0%} before rankings ({known[0]:.0%} without guessing), "
          f"{points['compared'].mean():.0%} after",
          "holds; once it has read rankings; of people not measured", source="analytics", split="report",
          rule=points["compared"].mean() > max(likeliest["compared"].mean(), writes["compared"])),
    Claim("higher rank for that pair, higher reward of the response to the prompt",
          "Ouyang et al. (2022), eq. 1",
          f"pairs ordered as gold: {np.mean(of('compared', 'gold_accuracy')):.0%} with {MANY:,} rankings; "
          f"on unseen intents {np.mean(of('unseen', 'gold_accuracy')):.0%}",
          "holds; where rankings were", source="analytics", split="report"),
    Claim("the reward model looks at that output and says: this is an 8/10",
          "Ouyang et al. (2022): normalised by a bias, since the loss leaves shifts free",
          f"any number added to a prompt's scores leaves the loss; order within a prompt {within.mean():.0%}, "
          f"across {across.mean():.0%}",
          "fails; there is no zero and no ten", source="analytics", split="report", rule=gap_low > 0),
    Claim("loss of the reward model: mean over pairs of -log sigmoid(r_w - r_l)",
          "Ouyang et al. (2022), eq. 1; Bradley and Terry (1952)",
          f"equal to the library's; errors claimed / real {honest[0.3, 'pairs']:.2f}, by the full likelihood "
          f"{honest[0.3, 'ranking']:.2f}",
          "holds; a composite likelihood", source="analytics",
          rule=honest[0.3, "pairs"] < 0.9 < honest[0.3, "ranking"]),
    Claim("annotators rank the generated responses from the LM",
          "Ouyang et al. (2022), section 3: so",
          f"promise told, demonstrated: from own replies {values['promise, demonstrated']['six of its own'][0]:.0%} "
          f"(one run), with a mistaken agent {np.mean(values['promise, demonstrated']['one mistaken']):.0%} (3 seeds)",
          "holds; it taught ours little where its replies were alike", source="analytics",
          split="report"),
    Claim("train a model to rank possible outputs, turn these rankings into rewards",
          "Christiano et al. (2017), Stiennon et al. (2020)",
          f"best of {N}, compared intents: {lines['compared only'][0]:.2f} to {lines['compared only'][-1]:.2f} gold",
          "holds", source="day24", split="report", rule=lines["compared only"][-1] > lines["compared only"][0]),
    Claim("reward model structure: the next-token model with another end",
          "Stiennon et al. (2020): a linear head with a scalar output",
          "ours equals the library's; padding on either side the same score",
          "holds", source="11785"),
    Claim("steps 1 to 3: smaller dataset, less computationally expensive",
          "Ouyang et al. (2022): PPO-ptx 60, SFT 4.9, GPT-3 3,640 petaflop/s-days; a 6B reward model",
          f"tokens read: shipped reward model {read_by_judge / 1e6:.1f} million, pre-training {read_before / 1e6:.1f} million",
          "holds; for theirs (their reward model's cost is not given), not at our size", source="day24",
          rule=read_by_judge > read_before),
    Claim("reward-model dataset: 33k prompts; PPO: 31k", "Ouyang et al. (2022), table 6: 33,207 and 31,144",
          "not measured", "holds", source="analytics"),
])

# %% [markdown]
# ## Summary
#
# 1. On intents that nobody demonstrated the model wrote a solution rarely, and after reading rankings nearly always picked it out of four. (Before them, its lead in choosing was mostly chance.) Best of sixteen turned that into better replies; ten demonstrations did more.
# 2. A reward model is a Transformer with one number at its last token, fitted so that $\sigma$ of a gap is a preference. Its scores have no zero, and those of two prompts compare less well than those of one.
# 3. A ranking's pairs depend on each other: the pair loss finds the right weights and is too sure of them; the likelihood of Plackett and Luce is not.
# 4. Accuracy means something beside the ceiling that annotators' noise sets. A reward model averages that noise away, and keeps what annotators have in common.
# 5. Manner is learned from few rankings, substance from many, and a polite wrong promise still wins too often. What the ranked replies do not differ in, no ranking teaches.
# 6. On intents that nobody compared, the reward model was worse than chance, sure of itself, and an ensemble did not notice.
# 7. On people's ratings of films, word counts beat a small Transformer from scratch and lost to a pre-trained encoder, which lost to a person drawn at random. One rating each of many texts was the best use of a budget.
#
# **Still unexplained.** The shipped reward model likes polite wrong promises and does not mind shuffled words. What will a policy do that is paid by it, and how far can it be let go? (Lecture 13.) <!-- promise: 13-over-optimise -->
#
# ## Exercises
#
# *Lab 12* builds on this page.
#
# 1. By hand: scores 1, 1 and 0, ranked first, second, third. The pair loss, and Plackett and Luce's? Which of the two changes if the first two exchange places, and why?
# 2. An annotator puts four replies in two heaps, good and bad, two in each. How many pairs does that settle, and what does `ranks` of `reward_ranking_loss` need?
# 3. Somebody splits *pairs* at random into training and held-out ones and reports an accuracy above the ceiling. Try it with `rank_some`, reading the training pairs many times, and say what went wrong.
# 4. Add a fourth kind of agent to the ranked replies, one who shuffles his words. How many such replies does it take until shuffled words score below an empty reply, and what do they cost elsewhere?
# 5. Annotators agree with each other in 73 % of pairs. Under Bradley and Terry, with gaps all alike, how often does the *true* order agree with one annotator? Is a reward model of 70 % far from its ceiling?
#
# ## Further reading
#
# Bradley and Terry (1952), *Rank analysis of incomplete block designs*. Luce (1959), *Individual choice behavior*; Plackett (1975), *The analysis of permutations*. Christiano et al. (2017), *Deep reinforcement learning from human preferences*. Stiennon et al. (2020), *Learning to summarize from human feedback*. Ouyang et al. (2022), *Training language models to follow instructions with human feedback* (InstructGPT). Varin, Reid and Firth (2011), *An overview of composite likelihood methods*. Gao, Schulman and Hilton (2022), *Scaling laws for reward model overoptimization*. Singhal et al. (2023), *A long way to go: investigating length correlations in RLHF*. Coste et al. (2024), *Reward model ensembles help mitigate overoptimization*. Eisenstein et al. (2023), *Helping or herding? Reward model ensembles mitigate but do not eliminate reward hacking*. Hutto and Gilbert (2014), *VADER: a parsimonious rule-based model for sentiment analysis of social media text*.
