# %% [markdown]
# # Lab 20 · From raw text to your own chat model
#
# An open project: you choose the data and the behaviour, and go all the way. First come the pieces, small enough to be judged by what they leave: a vocabulary that spells every text, a base model that predicts words it has not read, choices learned from comparisons, a file of four-bit matrices that somebody else can read, a win rate with its interval, a card that says what was measured and nothing else. You test a filter that somebody else wrote, and find out what is wrong with a report card. Then comes your project, which a person reads with the rubric at its end. About 160 minutes for the questions; the project takes as long as you let it, four hours are enough. 40 points: 28 by the grader, 12 by a person.
#
# **Your copy.** `make lab` (or `python tasks.py lab`) opens your own copy of this notebook, `work/labs/lab20_your_own_chat_model.ipynb`; on Colab save a copy to your Drive first. **To hand in**, save it (File, Save Notebook) and upload that file where your course collects it, under the name it has.
#
# **How this works.** Each question has a function to complete (remove the line that raises) followed by a `check`. A check never stops the notebook; it shows what was expected, and recognises common mistakes. It knows the public cases only: the grader adds hidden ones, on fresh random inputs, and a question counts when all of its cases pass. In questions 1 to 4 no particular algorithm is asked for: what your function leaves is measured, against a value that is stated. You may use all of Python, PyTorch and numpy in your answers, and nothing of `llmlib`: the grader runs without it. In the project everything is allowed.

# %%
import json
import math
import random
import re
import struct
from collections import Counter
from itertools import pairwise

import torch
import torch.nn.functional as F

from courseware import Stopwatch, as_number, check, my_run, setup_style

setup_style()

# %% [markdown]
# One question is drawn for you. Write down the name or number under which you hand in, exactly as your course knows it (your login, if nobody said otherwise).

# %%
STUDENT = "student-1"  # SOLUTION

# %% [markdown]
# ## Question 1: a vocabulary (4 points, difficulty 3, 20 minutes)
#
# From `texts`, a list of strings (it may be empty), make a tokenizer of at most `size` tokens; `special` are names such as `"<|end|>"`, for the frame of a chat. Return a dict:
#
# - `"tokens"`: a list of `bytes`; a token's number is its place. The first 256 are the single bytes in order, the last ones the special tokens, `name.encode()`, in order; no token stands there twice. What stands between is up to you;
# - `"encode"`: a function of a text that gives a list of numbers. The tokens spell the text, byte by byte, whatever text it is: emoji, line ends, nothing at all. **What is typed is text**: a customer who types `<|end|>` must not end anybody's turn, so `encode` never gives a special token;
# - `"decode"`: a function of a list of numbers, any, that gives a text. A model may stop inside a character: bytes that are no UTF-8 are shown as �, as `errors="replace"` does. Special tokens are shown as they are written.
#
# Where at least 40 tokens are free, unread texts of the same kind must take **at most 0.6 tokens a byte**. Byte-pair encoding gets there, and so do other ways.

# %%
def make_tokenizer(texts: list[str], size: int, special: list[str]) -> dict:
    # BEGIN SOLUTION
    counts = Counter(piece for text in texts for piece in re.findall(r"\s?\S+|\s", text))
    split = {piece: [bytes([b]) for b in piece.encode()] for piece in counts}
    tokens = [bytes([b]) for b in range(256)]
    while len(tokens) + len(special) < size:
        pairs = Counter()
        for piece, parts in split.items():
            for a, b in pairwise(parts):
                pairs[a + b] += counts[piece]
        if not pairs:
            break
        new = max(pairs, key=pairs.get)
        if new not in tokens:
            tokens.append(new)
        for piece, parts in split.items():
            joined = []
            for part in parts:
                if joined and joined[-1] + part == new:
                    joined[-1] = new
                else:
                    joined.append(part)
            split[piece] = joined
    number = {token: i for i, token in enumerate(tokens)}
    tokens = tokens + [name.encode() for name in special]

    def encode(text):
        data, ids = text.encode(), []
        while data:
            end = next(n for n in range(len(data), 0, -1) if data[:n] in number)
            ids.append(number[data[:end]])
            data = data[end:]
        return ids

    def decode(ids):
        return b"".join(tokens[i] for i in ids).decode("utf-8", "replace")

    return {"tokens": tokens, "encode": encode, "decode": decode}
    # END SOLUTION


check("lab20.q1", make_tokenizer)

# %% [markdown]
# ## Question 2: a base model (4 points, difficulty 4, 25 minutes)
#
# `documents` is a list of lists of numbers below `vocab_size`. The first number of a document, 0 to 7, is its topic; then come words, numbers from 8 on. Which word follows depends on the word before it and on the topic, in a way that you do not know: a matter of a few thousand words to learn from, and of far more combinations than you will see.
#
# Train what you like, and return a function `predict(prefixes)`: `prefixes` is a list of B beginnings of unread documents, each at least a topic and a word long, and it gives (B, vocab_size), the **log-probabilities** of the number that comes next. What comes next is never shown to your code: the grader keeps it and measures your loss.
#
# At most **0.30 nats a word above the source itself** are asked for, on 300 words. A model that knows only the word before is nowhere near that. A second of training is more than enough, ten seconds are allowed. Count, or train by gradients? If you count: what of a word that never followed this one under this topic?

# %%
def train_base(documents: list[list[int]], vocab_size: int):
    # BEGIN SOLUTION
    seen = [(row[0], a, b) for row in documents for a, b in pairwise(row)]
    topic, last, target = torch.tensor(seen).T
    by_topic, by_last = (torch.zeros(vocab_size, vocab_size, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.Adam([by_topic, by_last], lr=0.15)
    for _ in range(30):
        loss = F.cross_entropy(F.embedding(topic, by_topic) + F.embedding(last, by_last), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def predict(prefixes):
        first, final = (torch.tensor([row[i] for row in prefixes]) for i in (0, -1))
        return (by_topic[first] + by_last[final]).log_softmax(1)

    return predict
    # END SOLUTION


check("lab20.q2", train_base)

# %% [markdown]
# ## Question 3: learn from comparisons (4 points, difficulty 4, 25 minutes)
#
# A reward model and best-of-n in one: `compared` is a list of (request, better reply, worse reply), texts of invented words parted by spaces. Somebody preferred the first reply to the second; now and then by mistake. `asked` are new requests, `offered` a list of five replies to each. Return a list with the number, 0 to 4, of the reply that you would send.
#
# What makes a reply good was never told: some words are liked, some are not, length may matter, and above all a reply has to **fit its request**. Your choices are judged by the true reward, against the first reply of each five: the better one wins, equals count a half. At least **70 % wins** are asked for. A score of the reply's words alone, without a look at the request, does not get there. How would a score see that this word in the request and that word in the reply belong together?

# %%
def choose(compared: list[tuple[str, str, str]], asked: list[str], offered: list[list[str]]) -> list[int]:
    # BEGIN SOLUTION
    def features(request, reply):
        words = reply.split()
        return words + [(a, b) for a in request.split() for b in words]

    names = [name for q, a, b in compared for r in (a, b) for name in features(q, r)]
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    weights = torch.zeros(len(number), 1, requires_grad=True)

    def bag(pairs):
        rows = [[number[name] for name in features(*pair) if name in number] for pair in pairs]
        which = [n for n, row in enumerate(rows) for _ in row]
        return torch.tensor([i for row in rows for i in row]), torch.tensor(which), len(rows)

    def score(bags):
        return torch.zeros(bags[2]).index_add(0, bags[1], F.embedding(bags[0], weights)[:, 0])

    better, worse = bag([(q, a) for q, a, _ in compared]), bag([(q, b) for q, _, b in compared])
    optimizer = torch.optim.Adam([weights], lr=0.05)
    for _ in range(40):
        loss = -F.logsigmoid(score(better) - score(worse)).mean() + 0.003 * weights.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [int(score(bag([(q, r) for r in replies])).argmax()) for q, replies in zip(asked, offered)]
    # END SOLUTION


check("lab20.q3", choose)

# %% [markdown]
# ## Question 4: a file of four bits (4 points, difficulty 3, 20 minutes)
#
# A format is a promise to people you never meet. `matrices` maps names to (rows, columns) tensors, float32; `group` is even and divides the columns. Return the file as `bytes`:
#
# 1. four bytes: the length of the header, an unsigned integer, lowest byte first;
# 2. the header, JSON in UTF-8: `{"group": 8, "matrices": {"up": {"shape": [3, 32], "start": 0}, ...}}`, the matrices in their order; `start` counts bytes from the end of the header;
# 3. each matrix in turn: first its **scales**, float16, lowest byte first, one for each `group` neighbours in a row, row by row; behind them its **codes**, whole numbers from -8 to 7 that are kept as code + 8, two in a byte: the first of two in the low half.
#
# A weight is read as scale · code. The squared error of a matrix may be at most 5 % above that of rounding each weight to the nearest, with the largest of its group at 7 or -7. A group may be nothing but zeros.

# %%
def write_int4(matrices: dict[str, torch.Tensor], group: int) -> bytes:
    # BEGIN SOLUTION
    header, data = {"group": group, "matrices": {}}, b""
    for name, matrix in matrices.items():
        header["matrices"][name] = {"shape": list(matrix.shape), "start": len(data)}
        grouped = matrix.reshape(-1, group)
        scales = (grouped.abs().amax(1) / 7).half()
        codes = (grouped / scales.float().clamp(min=1e-7)[:, None]).round().clamp(-8, 7).flatten().long() + 8
        data += scales.numpy().tobytes() + bytes((codes[::2] + 16 * codes[1::2]).tolist())
    text = json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + data
    # END SOLUTION


check("lab20.q4", write_int4)

# %% [markdown]
# ## Question 5: a win rate (2 points, difficulty 2, 12 minutes)
#
# Two models answered the same N requests, each R times. `mine` and `theirs` (R, N) are the rewards; a reply is compared with the reply beside it, the higher wins, and equals count half a win. Return a dict of three numbers from 0 to 1: `"rate"`, the share of wins, and `"low"` and `"high"`, the ends of a 95 % interval, 1.96 standard errors to each side, cut off at 0 and 1.
#
# R replies to one request are not R independent requests. Take the mean over the repeats first; the standard error of the rate is the standard deviation of these N numbers (the sample's, N - 1 in the denominator) over $\sqrt N$.

# %%
def win_rate(mine: torch.Tensor, theirs: torch.Tensor) -> dict[str, float]:
    # BEGIN SOLUTION
    won = ((mine > theirs).double() + 0.5 * (mine == theirs)).mean(0)
    rate, error = won.mean().item(), won.std().item() / math.sqrt(len(won))
    return {"rate": rate, "low": max(0.0, rate - 1.96 * error), "high": min(1.0, rate + 1.96 * error)}
    # END SOLUTION


check("lab20.q5", win_rate)

# %% [markdown]
# ## The pieces together: best of five at the support desk
#
# Nothing to write in the next cells. The desk's fine-tuned model writes five replies to each of 60 requests, twice over; your `choose`, which has read 500 comparisons of agents' replies, sends one of each five. The gold reward, which it has not seen, says how often that one beats the first. If one of your pieces is missing, the cells say so and go on.

# %% tags=["not-graded"]
from llmlib.align import chat_prompt, end_of_turn, sample_replies
from llmlib.data import SupportDesk
from llmlib.hub import load_desk

desk, (tuned, tokenizer), (aligned, _) = SupportDesk(0), load_desk("sft", device="cpu"), load_desk("ppo", device="cpu")
end, chance = end_of_turn(tokenizer), random.Random(20)
asked = desk.requests(60, random.Random("lab 20 asks"))
compared = []
for request in desk.requests(500, chance):
    replies = [desk.reply(request, chance), desk.reply(request, chance, chance.choice(["good", "plain", "mistaken"]))]
    best, other = desk.rank(request, replies, chance, desk.annotators(1, chance)[0])
    compared.append((request.text, replies[best], replies[other]))


def written(model, n: int, seed: int) -> list[list[str]]:
    """n sampled replies to each request."""
    prompts = [chat_prompt(tokenizer, request.text) for request in asked for _ in range(n)]
    found = sample_replies(model, prompts, end, 40, generator=torch.Generator().manual_seed(seed))
    texts = [tokenizer.decode(ids).strip() for ids in found.replies]
    return [texts[i : i + n] for i in range(0, len(texts), n)]


def golds(replies: list[str]) -> list[float]:
    return [desk.gold(request, reply) for request, reply in zip(asked, replies)]


try:
    mine, theirs = [], []
    for offered in (written(tuned, 5, 0), written(tuned, 5, 1)):
        chosen = choose(compared, [request.text for request in asked], offered)
        mine.append(golds([replies[i] for i, replies in zip(chosen, offered)]))
        theirs.append(golds([replies[0] for replies in offered]))
    best_of_five = win_rate(torch.tensor(mine), torch.tensor(theirs))
    print("gold reward", *(f"{name} {torch.tensor(x).mean():.2f}" for name, x in (("of the first", theirs), ("of the chosen", mine))))
    print("the chosen one wins {rate:.2f} ({low:.2f} to {high:.2f})".format(**best_of_five))
except NotImplementedError:
    print("Not yet: finish questions 3 and 5 first.")

# %% [markdown]
# ## Before you measure: a prediction (logged, not graded)
#
# The desk's aligned model goes through your `write_int4`, in groups of 16, and is read again by a reader you have never seen. Then both models reply to the 60 requests, with the same random numbers, and the gold rewards are compared; equals count half. **In what percent is the small model's reply at least as good, so counted?** Fifty would be no difference.

# %%
predicted_kept = 45  # SOLUTION

check("lab20.p1", predicted_kept)

# %% tags=["not-graded"]
import copy

from courseware.classroom.cases.lab20 import read_int4

try:
    weights = {name: w.detach() for name, w in aligned.named_parameters() if w.dim() == 2 and "embedding" not in name}
    file, small = write_int4(weights, 16), copy.deepcopy(aligned)
    read = read_int4(file)
    with torch.no_grad():
        for name, w in small.named_parameters():
            if name in read:
                w.copy_(torch.as_tensor(read[name]))
    mine, theirs = ([golds([r for (r,) in written(model, 1, seed)]) for seed in (0, 1)] for model in (small, aligned))
    small_wins = win_rate(torch.tensor(mine), torch.tensor(theirs))
    print(f"{sum(w.numel() for w in weights.values()) * 4:,} bytes become {len(file):,}")
    print("the small model wins {:.0f} % ({:.0f} to {:.0f})".format(*(100 * v for v in small_wins.values())), f"you predicted {as_number(predicted_kept):.0f}")
except NotImplementedError:
    print("Not yet: finish questions 4 and 5 first.")

# %% [markdown]
# ## Question 6: a card (3 points, difficulty 3, 20 minutes)
#
# A model card (Mitchell et al., 2019) is written by a program, so that nobody can round in his own favour. `run` is a dict: `"name"`, `"purpose"`, `"limits"` (a list of sentences), `"documents"`, `"held_out"`, `"parameters"` (whole numbers), `"bits"` ([value, low, high], bits a byte), `"wins"` (a pair such as `"policy against sft"` → [rate, low, high], from 0 to 1), `"stages"` (a list of dicts with `"stage"`, `"seconds"`, `"joules"`). Return Markdown:
#
# - first line: `# ` and the name. Then five sections with something in each, in this order: `## Purpose`, `## Limits`, `## Data`, `## Quality`, `## Cost`;
# - Purpose holds the purpose; Limits every limit as a list item, `- ...`;
# - Data holds documents, held_out and parameters with commas between thousands: `12,345`;
# - Quality holds the line `0.98 bits a byte (0.95 to 1.01)`, and for each pair a row `| policy against sft | 0.71 (0.64 to 0.78) | better |`. The last word is *better* if the whole interval, before rounding, lies above 0.5, *worse* if it lies below, *undecided* otherwise;
# - Cost holds for each stage a row `| pretrain | 31.2 | 400.1 |` (seconds, joules, one decimal), and the sums of all stages as `0.000412 kWh` (six decimals) and `0.1566 g CO2` (four), with `grams_per_kwh`.
#
# The words around them are yours, but **no other number** may stand on the card. Seven stages belong to a run: corpus, tokenizer, pretrain, sft, align, quantize, report. If one is missing, raise a `ValueError` that names it: a card that leaves a stage out would be believed.

# %%
def model_card(run: dict, grams_per_kwh: int) -> str:
    # BEGIN SOLUTION
    done = [entry["stage"] for entry in run["stages"]]
    for stage in ("corpus", "tokenizer", "pretrain", "sft", "align", "quantize", "report"):
        if stage not in done:
            raise ValueError(f"the stage {stage!r} is missing")
    wins = []
    for pair, (rate, low, high) in run["wins"].items():
        verdict = "better" if low > 0.5 else "worse" if high < 0.5 else "undecided"
        wins.append(f"| {pair} | {rate:.2f} ({low:.2f} to {high:.2f}) | {verdict} |")
    kwh = sum(entry["joules"] for entry in run["stages"]) / 3.6e6
    lines = [
        f"# {run['name']}",
        "## Purpose",
        run["purpose"],
        "## Limits",
        *[f"- {limit}" for limit in run["limits"]],
        "## Data",
        f"{run['documents']:,} documents; {run['held_out']:,} held out; {run['parameters']:,} parameters.",
        "## Quality",
        "{:.2f} bits a byte ({:.2f} to {:.2f}) on unread text.".format(*run["bits"]),
        "\n| pair | share of wins | verdict |\n| --- | --- | --- |",
        *wins,
        "## Cost",
        "\n| stage | seconds | joules |\n| --- | --- | --- |",
        *["| {stage} | {seconds:.1f} | {joules:.1f} |".format(**entry) for entry in run["stages"]],
        f"\nIn all {kwh:.6f} kWh, {kwh * grams_per_kwh:.4f} g CO2.",
    ]
    return "\n".join(lines)
    # END SOLUTION


check("lab20.q6", model_card)

# %% [markdown]
# ## Question 7: test somebody else's filter (3 points, difficulty 4, 18 minutes)
#
# Before training, documents are dropped in which the test stands. `keep(documents, held_out)` gets a list of documents and a list of held-out requests, and gives a list of the numbers, from 0 on, of the documents that stay. It promises:
#
# 1. a document in which a held-out request stands is dropped. It stands there if it **is one of its lines** (lines are parted by `"\n"`), where capitals and spaces at both ends do not matter. Being a part of a longer line does not count;
# 2. of documents that are exactly alike, letter by letter, one stays, any one of them;
# 3. all others stay. Nothing is said about the order of the numbers.
#
# Write `examples()`, a list of 1 to 24 inputs `(documents, held_out)`, and `holds(inputs, output)`: are the promises kept? There are 1 to 12 documents of 1 to 80 characters, and at most 6 held-out requests, one line of 1 to 40 characters each. Your test must pass several right functions, and every wrong one must fail on one of your inputs. `check` tries six wrong ones, the grader more.

# %%
def examples() -> list[tuple]:
    # BEGIN SOLUTION
    return [
        (["hi\nwhere is it\nsoon", "where is it now\nsoon", "Where is it ", "hello\nall well"], ["where is it"]),
        (["one", "two", "one", "One", "one ", "three"], ["four"]),
        (["a\nb", "b\na", "a\nb", "c"], ["d", "c"]),
        (["x\n  Lost My Bag  \ny", "lost my bags", "my lost bag"], ["other", "lost my bag"]),
        (["w", "w", "v", "v"], [" W "]),
        (["first\nlast line", "last line\nfirst"], ["LAST LINE"]),
        (["same", "same", "same"], []),
        (["k"], ["k"]),
        (["solo", "pair", "pair"], ["trio"]),
        (["p\nq\nr", "q", "r\np", "s"], ["Q", "r"]),
        (["a b", "ab", "a  b"], ["a b"]),
        (["n1", "n2", "n3", "n1", "n2", "n4"], ["n"]),
        (["tail\n", "\nhead", "mid\n\nmid"], ["tail", "head"]),
    ]
    # END SOLUTION


def holds(inputs: tuple, output: list) -> bool:
    # BEGIN SOLUTION
    documents, held_out = inputs
    asked = {request.strip().lower() for request in held_out}
    clean = {d for d in documents if not any(line.strip().lower() in asked for line in d.split("\n"))}
    if not all(0 <= i < len(documents) for i in output):
        return False
    kept = [documents[i] for i in output]
    return len(kept) == len(set(kept)) and set(kept) == clean
    # END SOLUTION


check("lab20.q7", examples, holds)

# %% [markdown]
# ## Question 8: a card that is wrong (4 points, difficulty 4, 20 minutes)
#
# Somebody evaluated the support desk's models: the base model, the fine-tuned one (sft), the policy that PPO made of it, and the policy in four bits (small), on 60 held-out requests with four sampled replies each, of at most 40 tokens. A base model is asked in the frame of a transcript, chat models in the chat's. One thing was wrong in the program. You get the card that it printed; a correct one stands beside it.
#
# | | cause | | cause |
# | --- | --- | --- | --- |
# | `A` | the two halves of each byte are exchanged when the small file is read | `F` | each reply is judged against the next customer's request |
# | `B` | the small model gets two bits a weight, not four | `G` | the chat models are asked in the transcripts' frame, the base model in the chat's |
# | `C` | a tie counts as a win | `H` | the policy is compared with the base model instead of the fine-tuned one |
# | `D` | what is called the policy is the file of the fine-tuned model | `I` | the replies are the likeliest ones, not sampled ones |
# | `E` | the end of a turn is looked for under the number of another token | `J` | the reward model reads the replies with the words in alphabetical order |
#
# *Gold* is the mean gold reward of each model's replies. Of the policy's replies: *solved* and *polite*, in percent; *cut off*, *words* (their mean number) and *different*, in percent. *Wins*: how often the policy beats the fine-tuned model, in percent, ties half; *kept*: the small model against the policy in the same way; *itself*: the fine-tuned model's replies against the same replies. *Reward*: what the reward model says of the replies of both. *File*: the small model's matrices, in thousands of bytes. Prove the cause from your card. These observations may or may not be true of it:
#
# | | observation | | observation |
# | --- | --- | --- | --- |
# | `a` | the small model's gold reward is below -1 | `i` | more than 90 % of the replies are cut off |
# | `b` | the file has fewer than 50 thousand bytes | `j` | fewer than 70 % of the replies are polite |
# | `c` | the file has at least 50 thousand bytes | `k` | at least 85 % of the replies are polite |
# | `d` | the small model keeps more than 60 % | `l` | fewer than 5 % of the replies solve the problem |
# | `e` | the fine-tuned model wins 100 % against itself | `m` | the policy's gold reward is below 0.5 |
# | `f` | the policy wins exactly half | `n` | fewer than 50 % of the replies are different |
# | `g` | the policy wins at least 88 % | `o` | at least 70 % of the replies are different |
# | `h` | the reward of the policy is at most 0.45 above that of the fine-tuned model | `p` | the policy's gold reward is above 1.1 |
#
# Answer with the cause and one to three observations that are true of your card and that *together* would be seen neither under another cause nor on a correct card, in this form: `{"cause": "A", "evidence": ["a", "b"]}`. The check can only say whether the form is right. For each cause ask: which of the numbers does it touch, and which must it leave alone?

# %% tags=["not-graded"]
from llmlib.data import recorded

cards = {name: recorded("lab20_faults")["results"][name] for name in filter(None, ("correct", my_run("lab20.q8", STUDENT)))}
width = max(len(what) for what in cards["correct"])
print(" " * width, *(f"{name:>9}" for name in cards))
for what, value in cards["correct"].items():
    if isinstance(value, int | float):
        print(f"{what:<{width}}", *(f"{card[what]:>9g}" for card in cards.values()))

# %%
diagnosis = {"cause": "C", "evidence": ["e"]}  # SOLUTION

check("lab20.q8", diagnosis)

# %% [markdown]
# ## Your project (12 points, given by a person)
#
# Take raw text to a model of your own. Choose **data** and a **behaviour** that can be judged by a program, and go through every stage: filter and split, tokenizer, base model, demonstrations, alignment, four bits, evaluation, card. Small is fine: a minute of training for a stage is enough for everything that is asked. What is graded is not how good the model is, but whether one can believe what you say about it.
#
# Three worlds that the course has, with behaviours that a function can check; choose one, or one of your own:
#
# - **names** (`llmlib.data.first_names`, 5,163 of them): names that are new, can be pronounced, and keep to a wish, such as "begins with m" or "two syllables". The reward counts what a regular expression sees;
# - **headlines** (`llmlib.data.headlines`) or **Shakespeare** (`llmlib.data.tiny_shakespeare`): go on with a text in a form, such as at most eight words, no name twice, a line that ends in a rhyme;
# - **another desk** (`llmlib.data.SupportDesk(seed)` with a seed of your own): replies in a style of yours, such as the day named in every reply or never a promise. Write its reward, and hold it against the gold one.
#
# `python -m llmlib.capstone` and lecture 20 have a pipeline that you may start from. Below is the place for it; what stands there looks at one thing only, whether a reward made of regular expressions sees what the gold reward sees. It is an example of a paragraph, not of a project.
#
# ### The plan (3 points, given by a person)
#
# *Before* you train, in five to eight sentences: which data, from where, with which licence, and what is held out for choosing and for reporting; which behaviour, and what the program that judges it cannot see; which number would make you say that alignment worked, and with which interval; what you expect it to be; what the model must not be used for.

# %%
plan = """Data: conversations of the generated support desk 7, 3,000 transcripts for the base model, made by the course's own generator (no person's data, the course's licence). Requests with the random seed "choose" are for choosing, those with "report" are looked at once; transcripts that hold one of them are dropped with the filter of question 7.
Behaviour: every reply names a next step and is polite. The reward is a regular expression for both, less 0.02 a word. It cannot see whether the step fits the request, or whether the promise is the right one, so I report the gold reward beside it.
Alignment worked if the aligned model wins more than half against the fine-tuned one on 100 requests, three repeats each, with the whole interval above 0.5. I expect 0.7, and that the gold reward rises by less than my reward does.
The model must not answer customers: it promises refunds that nobody agreed to."""  # SOLUTION

check("lab20.t1", plan)

# %% [markdown]
# ### The project (9 points, given by a person)
#
# Your cells go here: add as many as you like, tagged or commented `# not graded`, so that the grader skips what trains. Keep seeds, keep every figure that you report in the run's dict, and let `model_card` of question 6 write the card from it.

# %% tags=["not-graded"]
MINE = SupportDesk(7)
wanted = re.compile(r"(you will hear|confirm it|follow the|reply with your)")
polite = re.compile(r"(sorry|thank you|glad to help)")


def my_reward(reply: str) -> float:
    """What the example's behaviour is worth: a next step, politeness, few words."""
    return bool(wanted.search(reply)) + 0.5 * bool(polite.search(reply)) - 0.02 * len(reply.split())


requests = MINE.requests(200, random.Random("choose"))
sample = [MINE.reply(request, random.Random(i)) for i, request in enumerate(requests)]
both = torch.tensor([[my_reward(reply) for reply in sample], [MINE.gold(*pair) for pair in zip(requests, sample)]])
print(f"of {len(sample)} agents' replies {sum(bool(wanted.search(r)) for r in sample)} name a next step; my reward and the gold one correlate with r = {torch.corrcoef(both)[0, 1]:.2f}")

# %% [markdown]
# Then write the report, at most a page, and paste the card below it. The rubric:
#
# | points | for |
# | --- | --- |
# | 2 | **data**: the filter and the split are shown to work, a test would notice a leak; what was dropped, and why |
# | 2 | **training and alignment**: every stage begins where the last one ended; the aligned model is compared with the fine-tuned one *and* with best-of-n, on requests that no stage has seen |
# | 2 | **evaluation**: intervals over requests; at least one thing that the reward cannot see was measured as well, and one control (shuffled, untrained, or against itself) |
# | 1 | **four bits**: size and loss, read from the file |
# | 1 | **card**: made by your `model_card` from the run; energy and CO2 included; limits that the measurements support |
# | 1 | **honesty**: what did not work, what was tried and left out, what a reader must not conclude |

# %%
project = """An example of how a paragraph of a report reads; a project has all of them. Reward against gold: of 200 agents' replies of desk 7, 46 name a next step, and over these replies my reward and the gold one correlate with r = 0.55. So mine sees a good part of what counts and not the rest: a reply that promises the wrong thing politely gets full marks from it. I would therefore report both, and end the alignment where gold begins to fall on the requests for choosing. The agents' styles differ more than a model's replies do after fine-tuning, so the correlation may be smaller where it matters; I have not measured that. Nothing was trained here: by the rubric this is worth 1 point of 9, a part of the evaluation."""  # SOLUTION

check("lab20.t2", project)

# %% [markdown]
# ## Open challenge: the best of eight
#
# The desk's fine-tuned model writes eight replies to each of 60 requests, and you send one. Reach the highest **mean gold reward** in **60 seconds** on a CPU, comparisons and all. You may draw as many comparisons as you like (`desk.requests`, `desk.reply`, `desk.rank`), also of the model's own replies, and learn from them what you like; the gold reward itself is for the last measurement only. It is a mean over three draws of the eight. The reference solution's `choose`, with the 500 comparisons above, reaches **1.30** (1.26, 1.32 and 1.33): the score to beat. The first of the eight has 1.04; the best of each eight by the gold reward itself, which nobody can see, has 1.48.

# %% tags=["not-graded"]
def my_choose(offered: list[list[str]]) -> list[int]:
    """The numbers of the replies to send: change this."""
    return choose(compared, [request.text for request in asked], offered)


CHANGED = False  # set it to True when you have changed something

if not CHANGED:
    print("Change something first: the given score is in the text above.")
else:
    with Stopwatch(60) as clock:
        reached = []
        for seed in (2, 3, 4):
            offered = written(tuned, 8, seed)
            sent = golds([replies[i] for i, replies in zip(my_choose(offered), offered)])
            reached.append(sum(sent) / len(sent))
    print(f"mean gold reward {[round(r, 2) for r in reached]}, {sum(reached) / 3:.2f}")

# %% [markdown]
# Write down your best figure, and how you got it. The check prints the line for your course's leaderboard.

# %%
best_gold = 1.3  # SOLUTION

check("lab20.c1", best_gold, seconds=None)  # seconds=clock.seconds puts the time into the line
