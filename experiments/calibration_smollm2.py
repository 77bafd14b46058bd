"""Record what SmolLM2 knows, what it makes up, and whether its confidence tells the two apart (lecture 17).

    OMP_NUM_THREADS=1 python experiments/calibration_smollm2.py

Three groups of questions, put as "Question: … Answer:" after four solved ones: 60 facts most people know, 60 questions
that people typed into a search engine (NQ-open), and 60 about things that do not exist, in the forms of the facts. Each
is answered greedily. An answer is right if it contains the right one; about what does not exist, no answer is right.
Signals of confidence, none of them tuned:
- "token": the geometric mean of the probabilities of the answer's tokens;
- "answer": their product, the probability of the answer as a whole, its end included;
- "agreement": the share of four answers sampled at temperature 1 that say the same;
- "asked": "Is the proposed answer right?", the probability of yes against no, after four solved ones.
"honest": the same after examples of which two of four say "I don't know.", about things that do not exist.

Tuning: adapters of rank 8, 8 updates of 8 questions (30 other facts, 34 other questions of NQ-open), three seeds. The
arm "stated" learns the published answers, the arm "honest" says "I don't know." wherever the model was wrong before.
Asked without examples, as trained. The rate is that of lecture 14's recording. Some four minutes of one core.
"""

import math
import random
from dataclasses import replace
from functools import lru_cache

import torch
from calibration_questions import HONEST_SHOTS, SHOTS, facts, invented
from quick_writer import QuickWriter

from llmlib.adapt import LoRAConfig, apply_lora, merge_lora
from llmlib.align import pad_examples
from llmlib.align.sft import IGNORE, Example
from llmlib.data import Experiment, OpenQuestion, open_questions
from llmlib.evaluate import contains_match, few_shot, plain_answer, question_form, split_at_answer
from llmlib.hub import load_smollm2
from llmlib.train import TrainConfig, Trainer

SEEDS, SAMPLES, NEW, OPEN = (0, 1, 2), 4, 12, 60
UNKNOWN = "I don't know."
GROUPS = ("known", "open", "invented")
MODULES = [
    "experiments/calibration_questions.py", "experiments/quick_writer.py", "llmlib.adapt.fast_decoding",
    "llmlib.adapt.lora", "llmlib.evaluate.answers", "llmlib.train.loop",
]  # fmt: skip


def as_question(item: OpenQuestion) -> OpenQuestion:
    return replace(item, question=item.question[0].upper() + item.question[1:].rstrip("?") + "?")


def open_sample(split: str, count: int) -> list[OpenQuestion]:
    short = [item for item in open_questions("nq-open", split) if len(item.answers[0]) < 30]
    return [as_question(item) for item in random.Random(17).sample(short, count)]


@lru_cache
def items_of(group: str) -> list[OpenQuestion]:
    return {"known": lambda: facts(0), "open": lambda: open_sample("report", OPEN), "invented": invented}[group]()


@lru_cache
def smollm2() -> QuickWriter:
    return QuickWriter(*load_smollm2("cpu", fallback=False))


def shots_of(pairs) -> list[OpenQuestion]:
    return [OpenQuestion(f"shot/{i}", question, (answer,)) for i, (question, answer) in enumerate(pairs)]


def judge(group: str, answer: str | None, answers) -> dict:
    text = answer or ""
    abstained = "don't know" in text.lower() or "do not know" in text.lower()
    return dict(right=0 if group == "invented" else int(contains_match(text, answers)), abstained=int(abstained))


def prompt_of(writer: QuickWriter, item: OpenQuestion, pairs) -> list[int]:
    shown = [(shot, shot.answers[0]) for shot in shots_of(pairs)]
    return writer.tokenizer.encode(few_shot(question_form, shown, item))


def ask(writer: QuickWriter, group: str, items, pairs) -> list[dict]:
    """One greedy answer to each question, judged."""
    rows = []
    for item in items:
        reply = writer.write(prompt_of(writer, item, pairs), NEW)
        row = dict(question=item.question, answer=reply.text.strip(), token=round(reply.token, 4))
        row |= dict(answer_p=round(math.exp(reply.logprob), 4)) | judge(group, reply.text, item.answers)
        rows.append(row)
    return rows


def greedy(group: str, honest: bool) -> list[dict]:
    return ask(smollm2(), group, items_of(group), HONEST_SHOTS if honest else SHOTS)


def agreement(group: str, first: list[dict]) -> list[float]:
    writer, generator, shares = smollm2(), torch.Generator().manual_seed(0), []
    for item, row in zip(items_of(group), first):
        ids = prompt_of(writer, item, SHOTS)
        said = [plain_answer(writer.write(ids, NEW, generator=generator).text) for _ in range(SAMPLES)]
        shares.append(round(said.count(plain_answer(row["answer"])) / SAMPLES, 4))
    return shares


ASKED = "Question: {}\nProposed answer: {}\nIs the proposed answer right?"
ASKED_SHOTS = (  # question, proposed answer, verdict: two right, two wrong
    (SHOTS[0][0], "the Nile", "no"), (*SHOTS[1], "yes"), (SHOTS[2][0], "nine", "no"), (*SHOTS[3], "yes"),
)  # fmt: skip


def asked(group: str, first: list[dict]) -> list[float]:
    """The probability of yes against no when the model is asked about its own answer (Kadavath et al., 2022)."""
    writer = smollm2()
    before = "".join(f"{ASKED.format(question, answer)} {verdict}\n\n" for question, answer, verdict in ASKED_SHOTS)
    prompts = [before + ASKED.format(row["question"], row["answer"]) for row in first]
    requests = [split_at_answer(writer.tokenizer, prompt, ["yes", "no"]) for prompt in prompts]
    return [round(torch.tensor(writer.logprobs(*each)).softmax(0)[0].item(), 4) for each in requests]


def lessons() -> list[OpenQuestion]:
    return [*facts(1)[::2], *open_sample("shots", 34)]


def label_loss(model, batch: dict):
    which = batch["targets"] != IGNORE
    logits = model.head(model.hidden(batch["ids"])[which]).float()
    targets = batch["targets"][which]
    return torch.nn.functional.cross_entropy(logits, targets, reduction="sum"), which.sum()


def tuned(arm: str, seed: int, before: list[dict]) -> dict:
    """Fine-tune on the lessons and ask every third question of each group."""
    model, tokenizer = load_smollm2("cpu")
    examples = []
    for item, row in zip(lessons(), before):
        answer = item.answers[0] if arm == "stated" or row["right"] else UNKNOWN
        prompt = tokenizer.encode(question_form(item))
        reply = tokenizer.encode(f" {answer}\n")
        examples.append(Example([*prompt, *reply], [False] * len(prompt) + [True] * len(reply)))
    random.Random(seed).shuffle(examples)
    batches = [
        {key: value for key, value in pad_examples(examples[i : i + 8]).items() if key != "pad_mask"}
        for i in range(0, len(examples), 8)
    ]
    config = LoRAConfig(rank=8, alpha=16.0, targets=("blocks.*",))
    apply_lora(model, config, generator=torch.Generator().manual_seed(seed))
    recipe = TrainConfig(
        steps=len(batches), lr=2e-3, weight_decay=0.0, warmup_steps=1, device="cpu", progress=False, seed=seed
    )
    losses = Trainer(model, recipe, batches, loss=label_loss).run().train_loss
    merge_lora(model, unwrap=True)
    writer, found = QuickWriter(model, tokenizer, "int8"), {}
    for group in GROUPS:
        rows = ask(writer, group, items_of(group)[::3], ())
        found[group] = dict(
            n=len(rows), right=sum(row["right"] for row in rows), abstained=sum(row["abstained"] for row in rows),
            replies=[row["answer"] for row in rows[:3]],
        )  # fmt: skip
    return dict(arm=arm, seed=seed, loss=[round(losses[0], 3), round(losses[-1], 3)], found=found)


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("calibration_smollm2", script=__file__, modules=MODULES, seeds=SEEDS)
    groups, honest = {}, {}
    for group in GROUPS:
        rows = experiment.once(f"{group}, greedy", greedy, group, False)
        agree = experiment.once(f"{group}, agreement", agreement, group, rows)
        said = experiment.once(f"{group}, asked", asked, group, rows)
        groups[group] = [row | dict(agreement=a, asked=s) for row, a, s in zip(rows, agree, said)]
        honest[group] = experiment.once(f"{group}, honest", greedy, group, True)
        print(group, [sum(row[key] for row in groups[group]) for key in ("right", "abstained")],
              [sum(row[key] for row in honest[group]) for key in ("right", "abstained")], flush=True)  # fmt: skip
    before = experiment.once("lessons", lambda: ask(smollm2(), "known", lessons(), SHOTS))
    smollm2.cache_clear()
    runs = []
    for seed in SEEDS:
        for arm in ("stated", "honest"):
            runs.append(experiment.once(f"{arm}, seed {seed}", tuned, arm, seed, before))
            print(runs[-1], flush=True)
    taught = dict(n=len(before), right=sum(row["right"] for row in before))
    experiment.save(dict(groups=groups, honest=honest, samples=SAMPLES, lessons=taught, tuned=runs))


if __name__ == "__main__":
    main()
