"""Record whether a model does better when it is given options: the support desk's models, and SmolLM2. Run it with

    OMP_NUM_THREADS=1 python experiments/sft_choosing.py

Desk: four replies to a held-out request, one of which solves it (style "plain"), one evades, one answers something
else (style "mistaken") and one rambles; chosen is the one that the model finds likeliest, by the mean over its tokens.
Beside it the share of its own replies, at temperature 1, that solve the request. Five seeds.

SmolLM2: 60 questions of CommonsenseQA with five options each. "writes": the right option's words stand in its greedy
answer of at most 20 tokens to the bare question. "picks": the likeliest option, mean over its tokens, after the bare
question. "letter": the likeliest letter after question and lettered options, in the order of the file. Two and a half
minutes of one core.
"""

import itertools
import json
import random

import sft_bases
import support_desk as road
import torch

from llmlib.align import end_of_turn, reply_logprobs, sample_replies
from llmlib.align.rollouts import Rollout
from llmlib.data import Experiment, SupportDesk, fetch
from llmlib.hub import load_smollm2
from llmlib.model import Transformer
from llmlib.text import encode_chat

SEEDS, ASKED, QUESTIONS, STYLES = (0, 1, 2, 3, 4), 100, 60, ("plain", "evasive", "mistaken", "rambling")


@torch.no_grad()
def mean_logprobs(model: Transformer, prompts: list, replies: list, end: int) -> torch.Tensor:
    """(n,): the mean log-probability of each reply's tokens, its end among them."""
    rollout = Rollout.of(prompts, [[*reply, end] for reply in replies], end)
    return reply_logprobs(model, rollout).sum(1) / rollout.reply_mask.sum(1)


def desk_run(seed: int) -> list[dict]:
    """Base and fine-tuned model of a seed: how often each chooses and writes what solves the request."""
    desk = SupportDesk(0)
    base, tokenizer = sft_bases.base_of(seed)
    tuned = road.fine_tune(base, tokenizer, desk, seed)
    rows = []
    for name, model in (("base", base), ("sft", tuned)):
        end = road.end_of_line(tokenizer) if name == "base" else end_of_turn(tokenizer)
        for group, requests in road.held_out(desk).items():
            requests = requests[:ASKED]
            rng = random.Random(f"options {group}")
            prompts = [
                road.base_prompt(tokenizer, r) if name == "base" else road.prompts_of(tokenizer, [r])[0]
                for r in requests
            ]
            options = [[tokenizer.encode(desk.reply(r, rng, style)) for style in STYLES] for r in requests]
            scores = mean_logprobs(model, [p for p in prompts for _ in STYLES], list(itertools.chain(*options)), end)
            chosen = scores.view(-1, len(STYLES)).argmax(1)
            texts = [tokenizer.decode(reply) for reply in road.write(model, prompts, end, seed)]
            solved = sum("solved" in desk.findings(r, text) for r, text in zip(requests, texts, strict=True))
            rows.append(
                dict(
                    model=name, seed=seed, group=group, chooses=(chosen == 0).float().mean().item(),
                    writes=solved / len(requests),
                )
            )  # fmt: skip
    return rows


def smollm2_run() -> dict:
    """The three ways of asking SmolLM2 the same questions; rights and ranks of the letters."""
    model, tokenizer = load_smollm2("cpu", fallback=False)
    end = end_of_turn(tokenizer)
    with open(fetch("commonsenseqa"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][:QUESTIONS]
    letters = [tokenizer.encode(letter)[0] for letter in "ABCDE"]
    right = dict(writes=[], picks=[], letter=[])
    written_letters = []
    prompts = [encode_chat(tokenizer, [{"role": "user", "content": row["question"]}]) for row in rows]
    written = [
        reply
        for i in range(0, len(prompts), 20)
        for reply in sample_replies(model, prompts[i : i + 20], end, 20, greedy=True).replies
    ]
    for row, prompt, reply in zip(rows, prompts, written, strict=True):
        options = [line.split(". ", 1)[1] for line in row["options"].strip().splitlines()]
        answer = row["answer"].split(". ", 1)[1]
        right["writes"].append(answer.lower() in tokenizer.decode(reply).lower())
        scores = mean_logprobs(model, [prompt] * 5, [tokenizer.encode(option) for option in options], end)
        right["picks"].append(options[int(scores.argmax())] == answer)
        asked = f"{row['question']}\n{row['options'].strip()}\nAnswer with one letter."
        ids = encode_chat(tokenizer, [{"role": "user", "content": asked}])
        with torch.no_grad():
            logits = model.head(model.hidden(torch.tensor([ids]))[:, -1])[0]
        letter = int(logits[letters].argmax())
        written_letters.append("ABCDE"[letter])
        right["letter"].append(options[letter] == answer)
    return dict(
        questions=len(rows), right={way: sum(map(bool, hits)) for way, hits in right.items()},
        letters={letter: written_letters.count(letter) for letter in "ABCDE"},
        answers={letter: sum(row["answer"].startswith(letter) for row in rows) for letter in "ABCDE"},
    )  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    modules = [*sft_bases.MODULES, "llmlib.hub.llama_gguf"]
    experiment = Experiment("sft_choosing", script=__file__, modules=modules, seeds=SEEDS)
    rows = []
    for seed in SEEDS:
        rows += experiment.once(f"desk, seed {seed}", desk_run, seed)
        print(*rows[-6:], sep="\n", flush=True)
    smollm2 = experiment.once("SmolLM2", smollm2_run)
    print(smollm2)
    experiment.save(dict(desk=rows, smollm2=smollm2))


if __name__ == "__main__":
    main()
