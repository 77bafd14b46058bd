"""Record what the rank of LoRA can and cannot hold: a form of answer, random facts, new symbols. Run it with

    OMP_NUM_THREADS=1 python experiments/lora_rank.py

The fine-tuned model of the support desk (0.13 million parameters, 2 blocks, 64 wide) learns one of three things:

form: its own greedy replies to 128 requests, each in a frame of words that it knows; 60 updates of 16. Judged greedily
    on 100 other requests: the share of replies in the frame, and the desk's gold reward of what stands inside.
symbols: the same replies as {"reply": "..."}; 120 updates. Braces and quotes are tokens whose embeddings were never
    trained: no transcript has them. Judged in the same way.
facts: N associations of three words with two others, all drawn at random from 64 words that the model knows, 12 bits
    each; 300 updates of 128. Judged on the same facts: the share recalled exactly, and the bits a fact,
    12 - log2 of the inverse probability of its two words.

In an earlier trial the values were capital letters, another kind of symbol that no transcript has: no adapter recalled
any.

Contenders: LoRA on all linear layers, scale 2 (alpha = twice the rank); "matrices", the same matrices trained in full;
"full", everything. Each gets the best of three learning rates, chosen on draws of its own (seed 100; for facts at
N = 512, the chosen rate is then used for every N): 1e-3, 3e-3, 1e-2 for LoRA, 3e-4, 1e-3, 3e-3 for the other two.
Then three seeds. The last part crosses alpha and the learning rate at rank 4, N = 256, one seed.
"""

import json
import math
import random
from collections import Counter
from statistics import mean

import support_desk as road
import torch

from llmlib.adapt import PeftReport, apply_peft
from llmlib.align import end_of_turn, reply_example
from llmlib.data import Experiment, SupportDesk
from llmlib.hub import load_desk
from llmlib.model import Transformer
from llmlib.train import TrainConfig, Trainer

SEEDS, TUNING_SEED = (0, 1, 2), 100
RANKS = (1, 4, 16, 64)
CONTENDERS = {
    "form": (1, 4, 16, "full"),
    "facts": (*RANKS, "full"),
    "symbols": (16, "matrices", "full"),
}
RATES = {"lora": (1e-3, 3e-3, 1e-2), "all": (3e-4, 1e-3, 3e-3)}
FACTS, TUNING_FACTS, FACT_UPDATES, FACT_ROWS, BITS = (128, 512), 512, 300, 128, 12
SHOWN, ASKED, ROWS = 128, 100, 16
OPENING, CLOSING = "thank you for your order . ", " please let us know"
UPDATES = {"form": 60, "symbols": 120}
ALPHAS, ALPHA_RATES, ALPHA_FACTS = (2.0, 8.0, 32.0), (1e-3, 3e-3, 1e-2, 3e-2), 256


def prepare(model: Transformer, contender: int | str, seed: int, alpha: float | None = None) -> PeftReport:
    if contender == "full":
        return apply_peft(model, "full")
    if contender == "matrices":
        told = apply_peft(model, "full")
        for name, weight in model.named_parameters():
            weight.requires_grad = name.startswith("blocks.") and weight.ndim == 2
        trainable = sum(w.numel() for w in model.parameters() if w.requires_grad)
        return PeftReport("matrices", told.places, trainable, told.total)
    rng = torch.Generator().manual_seed(seed)
    alpha = 2.0 * contender if alpha is None else alpha
    return apply_peft(model, "lora", rank=contender, alpha=alpha, targets="blocks.*", generator=rng)


def recipe(steps: int, lr: float) -> TrainConfig:
    return TrainConfig(
        steps=steps, lr=lr, weight_decay=0.0, warmup_steps=10, final_lr=0.05, device="cpu", progress=False
    )


def words_of(tokenizer) -> list[int]:
    """The 64 most frequent tokens of transcripts that are a word."""
    texts = SupportDesk(0).transcripts(300, random.Random(5))
    counts = Counter(i for text in texts for i in tokenizer.encode(text))
    shown = {i: tokenizer.decode([i]) for i, _ in counts.most_common()}
    return [i for i, word in shown.items() if word[0] == " " and word[1:].isalpha() and len(word) > 3][:64]


def facts(tokenizer, n: int, seed: int) -> torch.Tensor:
    """(n, 6) ids: a beginning, three words, and the two that belong to them."""
    words, rng, start = words_of(tokenizer), random.Random(seed), tokenizer.special_tokens["<|endoftext|>"]
    keys = rng.sample(range(64**3), n)
    return torch.tensor(
        [
            [start, words[k % 64], words[k // 64 % 64], words[k // 4096], rng.choice(words), rng.choice(words)]
            for k in keys
        ]
    )


def fact_logits(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    return model.head(model.hidden(ids[:, :-1])[:, -2:])


def fact_loss(model: torch.nn.Module, ids: torch.Tensor) -> tuple[torch.Tensor, int]:
    logits = fact_logits(model, ids)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, -2:].flatten(), reduction="sum"), 2 * len(ids)


@torch.no_grad()
def recall(model: Transformer, ids: torch.Tensor) -> dict:
    right = (fact_logits(model, ids).argmax(-1) == ids[:, -2:]).all(1).float().mean().item()
    bits = BITS - fact_loss(model, ids)[0].item() / math.log(2) / len(ids)
    return dict(score=round(right, 4), bits=round(bits, 3))


def learn_facts(contender: int | str, n: int, lr: float, seed: int, alpha: float | None = None) -> dict:
    model, tokenizer = load_desk("sft", device="cpu")
    ids = facts(tokenizer, n, seed)
    told = prepare(model, contender, seed, alpha)

    def batch(number: int) -> torch.Tensor:
        rng = torch.Generator().manual_seed(1000 * seed + number)
        return ids[torch.randperm(n, generator=rng)[:FACT_ROWS]]

    Trainer(model, recipe(FACT_UPDATES, lr), batch, loss=fact_loss).run()
    return dict(contender=contender, n=n, lr=lr, seed=seed, trainable=told.trainable) | recall(model, ids)


def form_pairs(seed: int) -> list[tuple[str, str]]:
    """Requests, and what the fine-tuned model says to them."""
    model, tokenizer = load_desk("sft", device="cpu")
    requests = SupportDesk(0).requests(SHOWN, road.draws("form", seed), road.COMPARED)
    said = road.write(model, road.prompts_of(tokenizer, requests), end_of_turn(tokenizer), greedy=True)
    return [(r.text, tokenizer.decode(reply)) for r, reply in zip(requests, said)]


def written(task: str, reply: str) -> str:
    return f"{OPENING}{reply}{CLOSING}" if task == "form" else json.dumps({"reply": reply})


def inside(task: str, text: str) -> str | None:
    """What stands in the reply, if it has the form."""
    if task == "form":
        fits = text.startswith(OPENING) and text.endswith(CLOSING)
        return text[len(OPENING) : -len(CLOSING)] if fits else None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    fits = isinstance(found, dict) and list(found) == ["reply"] and isinstance(found["reply"], str)
    return found["reply"] if fits else None


def judge_form(task: str, model: Transformer, tokenizer, part: str) -> dict:
    desk = SupportDesk(0)
    requests = desk.requests(ASKED, road.draws(f"{part} form", 0), road.COMPARED)
    prompts, end = road.prompts_of(tokenizer, requests), end_of_turn(tokenizer)
    replies = road.sample_replies(model, prompts, end, 64, greedy=True).replies
    said = [inside(task, tokenizer.decode(reply)) for reply in replies]
    gold = [desk.gold(request, text) for request, text in zip(requests, said) if text is not None]
    return dict(score=sum(text is not None for text in said) / ASKED, gold=round(mean(gold), 3) if gold else None)


def learn_form(task: str, contender: int | str, lr: float, seed: int, pairs: list, part: str) -> dict:
    model, tokenizer = load_desk("sft", device="cpu")
    told = prepare(model, contender, seed)
    examples = [reply_example(tokenizer, request, written(task, reply)) for request, reply in pairs]
    steps = UPDATES[task]
    rows = road.shuffled(examples, ROWS, 1 + steps * ROWS // SHOWN, seed)[:steps]
    losses = Trainer(model, recipe(steps, lr), rows).run().train_loss
    found = dict(contender=contender, lr=lr, seed=seed, trainable=told.trainable, loss=round(mean(losses[-8:]), 4))
    return found | judge_form(task, model, tokenizer, part)


def rates_of(contender: int | str) -> tuple[float, ...]:
    return RATES["lora" if contender in RANKS else "all"]


def main() -> None:
    torch.set_num_threads(1)
    modules = [
        "llmlib.adapt.lora", "llmlib.adapt.adapters", "llmlib.adapt.family", "llmlib.align.sft", "llmlib.train.loop",
        "llmlib.data.support_desk", "experiments/support_desk.py",
    ]  # fmt: skip
    experiment = Experiment("lora_rank", script=__file__, modules=modules, seeds=[*SEEDS, TUNING_SEED])
    pairs = {seed: experiment.once(f"pairs {seed}", form_pairs, seed) for seed in (TUNING_SEED, *SEEDS)}
    tuning: dict[str, list] = {"form": [], "facts": [], "symbols": []}
    runs: dict[str, list] = {"form": [], "facts": [], "symbols": []}
    for task, found in tuning.items():
        for contender in CONTENDERS[task]:
            for lr in rates_of(contender):
                key = f"tune {task} {contender}, {lr}"
                if task == "facts":
                    found.append(experiment.once(key, learn_facts, contender, TUNING_FACTS, lr, TUNING_SEED))
                else:
                    shown = pairs[TUNING_SEED]
                    found.append(experiment.once(key, learn_form, task, contender, lr, TUNING_SEED, shown, "choose"))
                print(task, found[-1], flush=True)
            own = [run for run in found if run["contender"] == contender]
            best = max(own, key=lambda run: run["bits"] if task == "facts" else (run["score"], -run["loss"]))["lr"]
            for seed in SEEDS:
                key = f"{task} {contender}, {seed}"
                if task == "facts":
                    new = [experiment.once(f"{key}, {n}", learn_facts, contender, n, best, seed) for n in FACTS]
                else:
                    new = [experiment.once(key, learn_form, task, contender, best, seed, pairs[seed], "report")]
                runs[task] += new
                print(task, new, flush=True)
    crossed = [
        experiment.once(f"alpha {alpha}, {lr}", learn_facts, 4, ALPHA_FACTS, lr, 0, alpha) | dict(alpha=alpha)
        for alpha in ALPHAS
        for lr in ALPHA_RATES
    ]
    before = {task: judge_form(task, *load_desk("sft", device="cpu"), "report") for task in UPDATES}
    experiment.save(dict(before=before, bits_of_a_fact=BITS, tuning=tuning, runs=runs, alpha=crossed))


if __name__ == "__main__":
    main()
