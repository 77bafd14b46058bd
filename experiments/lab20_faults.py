"""Record a correct report card and faulty ones, one of which lab 20 gives to a student.

The models are the course's own of the support desk: base, fine-tuned, aligned. A program rounds the aligned one to four
bits, reads it from its file again, lets all four write replies to held-out requests, and prints a card. One thing is
wrong in each faulty program. Three seeds draw the requests and the replies: a student sees the first, and a test holds
every observation to all of them. Run it with `OMP_NUM_THREADS=1 python experiments/lab20_faults.py`; it takes about two
minutes on one core.
"""

import copy
import functools
import random
import sys
from statistics import mean

import torch
from torch import Tensor

from llmlib.align import chat_prompt, end_of_turn, load_desk_reward, sample_replies
from llmlib.data import Experiment, Request, SupportDesk
from llmlib.hub import load_desk

FAULTS = {
    "A": "the two halves of each byte are exchanged when the small file is read",
    "B": "the small model gets two bits a weight, not four",
    "C": "a tie counts as a win",
    "D": "what is called the policy is the file of the fine-tuned model",
    "E": "the end of a turn is looked for under the number of another token",
    "F": "each reply is judged against the next customer's request",
    "G": "the chat models are asked in the transcripts' frame, the base model in the chat's",
    "H": "the policy is compared with the base model instead of the fine-tuned one",
    "I": "the replies are the likeliest ones, not sampled ones",
    "J": "the reward model reads the replies with the words in alphabetical order",
}
RUNS = dict(zip(("b4", "d1", "f7", "h2", "j9", "m5", "p0", "r6", "u8", "x3"), "GCAJEIBHDF", strict=True))
SEEDS = (0, 1, 2)
REQUESTS, REPEATS, LONGEST = 60, 4, 40
MODELS = ("base", "sft", "policy", "small")


@functools.cache
def the_model(name: str, bits: int = 4, swap: bool = False):
    """A model of the desk; "small" is the policy through so many bits in groups of 16."""
    if name != "small":
        return load_desk({"policy": "ppo"}.get(name, name), device="cpu")[0]
    model = copy.deepcopy(the_model("policy"))
    with torch.no_grad():
        for part, weight in model.named_parameters():
            if is_rounded(part, weight):
                weight.copy_(rounded(weight, bits, swap))
    return model


def is_rounded(part: str, weight: Tensor) -> bool:
    """The matrices of the layers, not the embeddings."""
    return weight.dim() == 2 and "embedding" not in part


def rounded(weight: Tensor, bits: int, swap: bool) -> Tensor:
    """A matrix through so many bits with a scale for each 16 neighbours; swap: neighbours change places."""
    grouped, top = weight.reshape(-1, 16), 2 ** (bits - 1) - 1
    scale = grouped.abs().amax(1, keepdim=True).clamp(min=1e-8) / top
    codes = (grouped / scale).round()
    if swap:
        codes = codes.view(-1, 8, 2).flip(-1).view(-1, 16)
    return (codes * scale).view_as(weight)


@functools.cache
def asked(seed: int) -> list[Request]:
    requests = SupportDesk(0).requests(REQUESTS, random.Random(f"lab 20 held out {seed}"))
    return [request for request in requests for _ in range(REPEATS)]


@functools.cache
def written(seed: int, name: str, transcript: bool, wrong_end: bool, greedy: bool, bits: int = 4, swap: bool = False):
    """Replies as texts, the share that was cut off, prompts and ids."""
    tokenizer = load_desk("base", device="cpu")[1]
    line, start = tokenizer.encode("\n")[0], tokenizer.special_tokens["<|endoftext|>"]
    if transcript:
        prompts = [[start, *tokenizer.encode(f"Customer:\n{r.text}\nAgent:\n")] for r in asked(seed)]
    else:
        prompts = [chat_prompt(tokenizer, r.text) for r in asked(seed)]
    end = line if transcript else end_of_turn(tokenizer)
    chance = torch.Generator().manual_seed(100 * seed + MODELS.index(name))
    found = sample_replies(
        the_model(name, bits, swap), prompts, start if wrong_end else end, LONGEST, greedy=greedy, generator=chance
    )
    texts = [tokenizer.decode(ids).strip() for ids in found.replies]
    return texts, 100 * (1 - found.finished.float().mean().item()), found.prompts, found.replies


def run(fault: str, seed: int) -> dict:
    """What a program with this fault prints on its card."""
    desk, requests = SupportDesk(0), asked(seed)
    judged = requests[REPEATS:] + requests[:REPEATS] if fault == "F" else requests
    judge, tokenizer = load_desk_reward(device="cpu")
    replies, small_bits = {}, 2 if fault == "B" else 4
    for name in MODELS:
        source = "sft" if fault == "D" and name == "policy" else name
        small = dict(bits=small_bits, swap=fault == "A") if name == "small" else {}
        replies[name] = written(seed, source, (name == "base") != (fault == "G"), fault == "E", fault == "I", **small)
    gold = {name: [desk.gold(r, text) for r, text in zip(judged, replies[name][0])] for name in MODELS}
    found = [desk.findings(r, text) for r, text in zip(judged, replies["policy"][0])]

    def win(a: str, b: str) -> list[float]:
        return [100 * (x > y or (x == y) * (1.0 if fault == "C" else 0.5)) for x, y in zip(gold[a], gold[b])]

    def score(name: str) -> float:
        texts, _, prompts, ids = replies[name]
        if fault == "J":
            ids = [tokenizer.encode(" ".join(sorted(text.split()))) for text in texts]
        if fault == "G":
            prompts = [chat_prompt(tokenizer, r.text) for r in requests]
        return judge.score(prompts, ids, end_of_turn(tokenizer)).mean().item()

    texts = replies["policy"][0]
    rounded_weights = sum(w.numel() for part, w in the_model("policy").named_parameters() if is_rounded(part, w))
    numbers = {
        **{f"gold {name}": mean(gold[name]) for name in MODELS},
        "solved": 100 * mean("solved" in each for each in found),
        "polite": 100 * mean("polite" in each for each in found),
        "wins": mean(win("policy", "base" if fault == "H" else "sft")),
        "kept": mean(win("small", "policy")), "itself": mean(win("sft", "sft")),
        "reward sft": score("sft"), "reward policy": score("policy"), "cut off": replies["policy"][1],
        "words": mean(len(text.split()) for text in texts), "different": 100 * len(set(texts)) / len(texts),
        "file": rounded_weights * (small_bits / 8 + 2 / 16) / 1000,
    }  # fmt: skip
    return {name: float(f"{value:.3g}") for name, value in numbers.items()}


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "lab20_faults", script=__file__, seeds=SEEDS, modules=["llmlib.data.support_desk", "llmlib.align.rollouts"]
    )
    results = {}
    for name, fault in {"correct": "", **RUNS}.items():
        first, *others = (experiment.once(f"{name}, seed {seed}", run, fault, seed) for seed in SEEDS)
        results[name] = first | {"other seeds": [list(log.values()) for log in others]}
        print(name, fault, *(list(log.values()) for log in (first, *others)), flush=True)
    experiment.save(results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--trial"]:
        torch.set_num_threads(1)
        for seed in SEEDS:
            for fault in ("", *FAULTS):
                print(fault or "-", *(f"{v:7.3g}" for v in run(fault, seed).values()), flush=True)
    else:
        main()
