"""Record how SmolLM2 learns another form of answer, with its last two blocks alone moving. Run it with

    OMP_NUM_THREADS=1 python experiments/sft_format.py

48 questions of NQ-open with answers written as {"answer": "..."}; 24 updates of 8, three seeds (other questions,
another order). Two arms: the "published" short answers and the model's "own" answers to the
same questions, one sentence each, right or wrong. Asked before and after: 12 questions of fact and 8 other requests,
none of them in the training questions, greedily. "valid": the reply parses as JSON with the one key "answer". "right":
the expected words stand in a reply to a question of fact. Weight changes are Frobenius norms of the change over those
of the weights that may move. Bits a byte on prose tell what it cost elsewhere. Six minutes of one core.
"""

import json
import random

import support_desk as road
import torch

from llmlib.align import chat_prompt, end_of_turn, reply_example, sample_replies
from llmlib.data import Experiment, fetch, prose
from llmlib.hub import load_smollm2
from llmlib.model import Transformer
from llmlib.text import BPETokenizer
from llmlib.train import bits_per_byte, document_nats

SEEDS, ARMS, QUESTIONS, EPOCHS, ROWS, BLOCKS, RATE = (0, 1, 2), ("published", "own"), 48, 4, 8, 2, 5e-4
FACTS = (
    ("What is the capital of France?", "paris"), ("What is the capital of Italy?", "rome"),
    ("How many legs does a spider have?", "eight|8"), ("Which planet is known as the red planet?", "mars"),
    ("What is the chemical formula of water?", "h2o|h₂o"), ("Who wrote Romeo and Juliet?", "shakespeare"),
    ("What is the largest ocean?", "pacific"), ("In which country are the pyramids of Giza?", "egypt"),
    ("What colour do you get from blue and yellow?", "green"), ("How many days are there in a week?", "seven|7"),
    ("What do bees make?", "honey"), ("What is 2 plus 3?", "five|5"),
)  # fmt: skip
REQUESTS = (
    "Say hello.", "Name a fruit.", "Write one sentence about rain.", "Give me a name for a cat.",
    "Thank my colleague for her help.", "Translate 'good morning' into French.", "What should I cook tonight?",
    "Explain what a verb is.",
)  # fmt: skip


def questions(seed: int) -> list[dict]:
    """Questions whose published answer is short."""
    with open(fetch("nq-open"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return random.Random(seed).sample([row for row in rows if len(row["answer"][0]) < 30], QUESTIONS)


def own_answers(model: Transformer, tokenizer: BPETokenizer, asked: list[str]) -> list[str]:
    """The first sentence of the model's greedy replies, of at most 24 tokens."""
    prompts, end = [chat_prompt(tokenizer, question) for question in asked], end_of_turn(tokenizer)
    parts = [sample_replies(model, prompts[i : i + 24], end, 24, greedy=True) for i in range(0, len(prompts), 24)]
    texts = [tokenizer.decode(reply) for part in parts for reply in part.replies]
    return [text.split("\n")[0].split(". ")[0].strip() for text in texts]


def valid(text: str) -> bool:
    """Whether a reply is JSON with one key, "answer"."""
    try:
        return list(json.loads(text)) == ["answer"]
    except (ValueError, TypeError):
        return False


def look(model: Transformer, tokenizer: BPETokenizer, texts: list[str]) -> dict:
    """What the model replies, and its bits a byte on prose."""
    asked = [*(question for question, _ in FACTS), *REQUESTS]
    prompts = [chat_prompt(tokenizer, question) for question in asked]
    replies = sample_replies(model, prompts, end_of_turn(tokenizer), 32, greedy=True).replies
    said = [tokenizer.decode(reply) for reply in replies]
    right = sum(any(w in text.lower() for w in words.split("|")) for text, (_, words) in zip(said, FACTS))
    nats = document_nats(model, [tokenizer.encode(text) for text in texts], tokenizer.special_tokens["<|endoftext|>"])
    return dict(
        valid=sum(map(valid, said)), right=right, asked=len(asked), facts=len(FACTS),
        bits_per_byte=round(bits_per_byte(nats, [len(text.encode()) for text in texts])[0], 4),
        said={asked[i]: said[i] for i in (0, 2, 12, 14)},
    )  # fmt: skip


def run(arm: str, seed: int, texts: list[str]) -> dict:
    model, tokenizer = load_smollm2("cpu", fallback=False)
    rows = questions(seed)
    asked, published = [f"{row['question']}?" for row in rows], [row["answer"][0] for row in rows]
    answers = published if arm == "published" else own_answers(model, tokenizer, asked)
    known = sum(right.lower() in answer.lower() for right, answer in zip(published, answers, strict=True))
    shown = [json.dumps({"answer": answer}) for answer in answers]
    examples = [reply_example(tokenizer, *pair) for pair in zip(asked, shown, strict=True)]
    model.requires_grad_(False)
    moving = model.blocks[-BLOCKS:].requires_grad_(True)
    old = torch.cat([p.detach().flatten().clone() for p in moving.parameters()])
    losses = road.adapt(model, road.shuffled(examples, ROWS, EPOCHS, seed), RATE)
    new = torch.cat([p.detach().flatten() for p in moving.parameters()])
    return dict(
        arm=arm, seed=seed, losses=[round(loss, 3) for loss in losses], moving=len(old),
        parameters=model.num_parameters(), agree_with_published=known, questions=len(rows),
        change=round(float((new - old).norm() / old.norm()), 5), after=look(model, tokenizer, texts),
    )  # fmt: skip


def base_look(texts: list[str]) -> dict:
    return look(*load_smollm2("cpu", fallback=False), texts)


def main() -> None:
    torch.set_num_threads(1)
    modules = [
        "llmlib.align.sft", "llmlib.align.padding", "llmlib.align.rollouts", "llmlib.train.loop",
        "llmlib.hub.llama_gguf",
    ]  # fmt: skip
    experiment = Experiment(
        "sft_format", script=__file__, modules=[*modules, "experiments/support_desk.py"], seeds=SEEDS
    )
    texts = [document.text[:400] for document in prose("wikipedia")[:8]]
    before = experiment.once("before", base_look, texts)
    print(before, flush=True)
    runs = []
    for seed in SEEDS:
        for arm in ARMS:
            runs.append(experiment.once(f"{arm}, seed {seed}", run, arm, seed, texts))
            print({name: runs[-1][name] for name in ("arm", "losses", "change", "after")}, flush=True)
    experiment.save(dict(before=before, runs=runs))


if __name__ == "__main__":
    main()
