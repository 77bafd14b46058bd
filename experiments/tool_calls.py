"""Record whether SmolLM2 calls a tool when it should: told to, shown how, made to, and trained to (lecture 17).

    OMP_NUM_THREADS=1 python experiments/tool_calls.py

Sixteen questions: 6 sums (three bare ones, three in words), 5 about Python's documentation, 5 that need no tool. Two
tools, a calculator and a BM25 search of the documentation, and the library's loop of at most three turns.
- "told": the library's system message;
- "shown": the same and three solved questions, one of each kind, as turns of the conversation;
- "made": as shown, and the reply is begun for the model: of the two tools the likelier, then its frame up to the
  argument, which the model fills; so each question gets a call, needed or not;
- "trained": adapters of rank 8 (4 updates of 8 whole conversations in the same forms, with other numbers, statements
  and facts; other wordings in half of the questions), a system message of one line. Three seeds.
"called": something marked as a call was written first. "valid": it could be parsed and checked. "fits": sums: the
calculator's result is the right one; documentation: the search for the term; no tool needed: no call. "right" (sums):
the final answer holds the right number. Greedy, 40 new tokens a turn. Some three minutes of one core.
"""

import json
import random
from collections.abc import Callable

import torch
from quick_writer import QuickWriter

from llmlib.adapt import LoRAConfig, apply_lora, merge_lora
from llmlib.align import chat_example, pad_examples
from llmlib.align.sft import IGNORE
from llmlib.data import Experiment
from llmlib.hub import load_smollm2
from llmlib.retrieval import BM25, ToolRun, calculator_tool, python_docs, run_tools, search_tool, tool_instructions
from llmlib.text import encode_chat
from llmlib.train import TrainConfig, Trainer

SEEDS = (0, 1, 2)
SUMS = [
    ("What is 37 times 48?", 1776),
    ("What is 2915 plus 487?", 3402),
    ("Calculate 8123 minus 967.", 7156),
    ("A box holds 24 eggs. How many eggs are in 17 boxes?", 408),
    ("A bus carries 58 people. How many people do 13 buses carry?", 754),
    ("Anna has 1284 stamps and buys 379 more. How many does she have now?", 1663),
]
DOCS = [
    ("What does the nonlocal statement do in Python?", "nonlocal"),
    ("What does the del statement do in Python?", "del"),
    ("What does the assert statement do in Python?", "assert"),
    ("Explain Python's lambda.", "lambda"),
    ("When is a finally clause executed in Python?", "finally"),
]
PLAIN = [
    "What is the capital of Spain?", "Who wrote Hamlet?", "What color is the sky?", "Name a fruit.",
    "Say hello to my friend Tom.",
]  # fmt: skip
SHORT = "Tools: calculator(expression), search(query)."
MODULES = [
    "experiments/quick_writer.py",
    "llmlib.adapt.fast_decoding",
    "llmlib.adapt.lora",
    "llmlib.retrieval.calculator",
    "llmlib.retrieval.tools",
]


def call(name: str, argument: str) -> str:
    key = {"calculator": "expression", "search": "query"}[name]
    return "<tool>" + json.dumps({"name": name, "arguments": {key: argument}}) + "</tool>"


def turns(question: str, name: str = "", argument: str = "", result: str = "", answer: str = "") -> list[dict]:
    said = [{"role": "user", "content": question}]
    if name:
        said += [{"role": "assistant", "content": call(name, argument)},
                 {"role": "user", "content": f"<result>{result}</result>"}]  # fmt: skip
    return [*said, {"role": "assistant", "content": answer}]


SHOWN = [
    *turns("What is 12 times 9?", "calculator", "12 * 9", "108", "12 times 9 is 108."),
    *turns("What does the pass statement do in Python?", "search", "pass statement",
           "pass: pass is a null operation, when it is executed, nothing happens.", "It does nothing."),
    *turns("What is the capital of Italy?", answer="The capital of Italy is Rome."),
]  # fmt: skip


def tools() -> list:
    docs = python_docs()
    return [calculator_tool(), search_tool(BM25([str(passage) for passage in docs]), docs, k=1, max_words=40)]


def lessons(rng: random.Random) -> list[list[dict]]:
    """32 whole conversations: some 14 sums, 10 questions about the documentation, 8 that need no tool."""
    found, given = [], tools()
    for i in range(28):
        a, b = rng.randint(11, 99), rng.randint(11, 99)
        big, less = rng.randint(1000, 9999), rng.randint(100, 999)
        question, sum_ = [
            (f"What is {a} times {b}?", f"{a} * {b}"), (f"What is {big} plus {less}?", f"{big} + {less}"),
            (f"Calculate {big} minus {less}.", f"{big} - {less}"),
            (f"A box holds {a} eggs. How many eggs are in {b} boxes?", f"{a} * {b}"),
            (f"I had {big} coins and spent {less}. How many are left?", f"{big} - {less}"),
        ][i % 5]  # fmt: skip
        result = str(given[0].function(sum_))
        found.append(turns(question, "calculator", sum_, result, f"The answer is {result}."))
    words = "break continue import global return raise yield while for if try with class def pass async".split()
    for i in range(20):
        word = words[i % len(words)]
        form = ("What does the {} statement do in Python?", "How is {} used in Python?")[i // len(words)]
        result = given[1].function(word + " statement")
        answer = "The documentation says: " + " ".join(result.partition(": ")[2].split()[:12])
        found.append(turns(form.format(word), "search", word + " statement", result, answer))
    facts = "France Paris|Japan Tokyo|Egypt Cairo|Greece Athens|Norway Oslo|Peru Lima|Cuba Havana|Kenya Nairobi"
    for pair in facts.split("|"):
        country, capital = pair.split()
        found.append(turns(f"What is the capital of {country}?", answer=f"The capital of {country} is {capital}."))
    for question, answer in (
        ("Who wrote Frankenstein?", "Mary Shelley wrote it."), ("Name a color.", "Blue."),
        ("Say thank you.", "Thank you!"), ("What do bees make?", "Bees make honey."), ("Wish me luck.", "Good luck!"),
        ("Name an animal.", "A dog."),
        ("What is ice made of?", "Ice is frozen water."), ("Who painted the Mona Lisa?", "Leonardo da Vinci."),
    ):  # fmt: skip
        found.append(turns(question, answer=answer))
    rng.shuffle(found)
    return found[:32]


def label_loss(model, batch: dict):
    which = batch["targets"] != IGNORE
    logits = model.head(model.hidden(batch["ids"])[which]).float()
    targets = batch["targets"][which]
    return torch.nn.functional.cross_entropy(logits, targets, reduction="sum"), which.sum()


def train(model, tokenizer, seed: int) -> list[float]:
    system = {"role": "system", "content": SHORT}
    examples = [chat_example(tokenizer, [system, *lesson]) for lesson in lessons(random.Random(seed))]
    batches = [pad_examples(examples[i : i + 8]) for i in range(0, len(examples), 8)]
    batches = [{key: batch[key] for key in ("ids", "targets")} for batch in batches]
    config = LoRAConfig(rank=8, alpha=16.0, targets=("blocks.*",))
    apply_lora(model, config, generator=torch.Generator().manual_seed(seed))
    recipe = TrainConfig(
        steps=len(batches), lr=2e-3, weight_decay=0.0, warmup_steps=0, device="cpu", progress=False, seed=seed
    )
    losses = Trainer(model, recipe, batches, loss=label_loss).run().train_loss
    merge_lora(model, unwrap=True)
    return [round(loss, 3) for loss in losses]


def writer(model, tokenizer, arm: str) -> Callable[[list[dict]], str]:
    quick = QuickWriter(model, tokenizer, "int8" if arm == "trained" else "int4")
    frames = [call(name, "").partition('""')[0] + '"' for name in ("calculator", "search")]

    def write(messages: list[dict]) -> str:
        if arm in ("shown", "made"):
            messages = [messages[0], *SHOWN, *messages[1:]]
        ids, begun = encode_chat(tokenizer, messages), ""
        if arm == "made" and not messages[-1]["content"].startswith("<result>"):
            options = [tokenizer.encode(frame) for frame in frames]
            scores = quick.logprobs(ids, options)
            begun = frames[scores.index(max(scores))]
            ids = [*ids, *options[scores.index(max(scores))]]
        said = begun + quick.write(ids, 40, stop="</tool>").text
        return said + "</tool>" if "<tool>" in said else said

    return write


def judge(kind: str, expected, run: ToolRun) -> dict:
    first = run.steps[0]
    called, valid = "<tool>" in first.written, first.call is not None
    fits = not called
    if kind == "sum":
        fits = valid and first.call["name"] == "calculator" and first.result == str(expected)
    if kind == "docs":
        fits = valid and first.call["name"] == "search" and expected in first.call["arguments"]["query"].lower()
    answer = (run.answer or "").replace(",", "")
    right = kind == "sum" and str(expected) in answer.split("<")[0].replace(".", " ").split()
    return dict(kind=kind, called=called, valid=valid, fits=bool(fits), right=bool(right),
                said=first.written[:160], answer=(run.answer or "")[:160])  # fmt: skip


def ask(arm: str, seed: int = 0) -> dict:
    model, tokenizer = load_smollm2("cpu")
    losses = train(model, tokenizer, seed) if arm == "trained" else []
    write, given = writer(model, tokenizer, arm), tools()
    system = SHORT if arm == "trained" else tool_instructions(given)
    asked = [("sum", *pair) for pair in SUMS] + [("docs", *pair) for pair in DOCS]
    asked += [("plain", question, None) for question in PLAIN]
    rows = []
    for kind, question, expected in asked:
        run = run_tools(write, question, given, max_steps=3, system=system)
        rows.append(dict(question=question) | judge(kind, expected, run))
    return dict(arm=arm, seed=seed, losses=losses, rows=rows)


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("tool_calls", script=__file__, modules=MODULES, seeds=SEEDS)
    runs = []
    for arm, seed in (("told", 0), ("shown", 0), ("made", 0), *(("trained", seed) for seed in SEEDS)):
        runs.append(experiment.once(f"{arm}, seed {seed}", ask, arm, seed))
        counts = {key: sum(row[key] for row in runs[-1]["rows"]) for key in ("called", "valid", "fits", "right")}
        print(arm, seed, counts, runs[-1]["losses"], flush=True)
    experiment.save(dict(runs=runs))


if __name__ == "__main__":
    main()
