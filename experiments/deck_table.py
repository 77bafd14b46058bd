"""Record small versions of a published table of benchmarks where no option is given to choose: for lecture 18.

    OMP_NUM_THREADS=1 python experiments/deck_table.py

NQ-open (the stand-in for TriviaQA and Natural Questions): 80 questions after five examples, greedily, by SmolLM2 and
the smallest and largest base model; exact match, containment and word overlap beside each other. HumanEval: the first
16 problems, eight completions each at temperature 0.6, by SmolLM2, run in the sandbox. DisambiguationQA (one task of
BIG-Bench Hard) by log-likelihood, every third question, all models. Word problems (GSM8K) are recorded by another
script.
"""

import re

import torch

from llmlib.adapt import fast_decoder
from llmlib.data import Experiment, code_problems, open_questions
from llmlib.data.bigbench import disambiguation_questions
from llmlib.evaluate import (
    completion_of,
    contains_match,
    exact_match,
    few_shot,
    first_line,
    multiple_choice,
    question_form,
    run_problem,
    token_f1,
)
from llmlib.hub import base_sizes, load_base, load_smollm2
from llmlib.infer import Sampling, generate, sample_step
from llmlib.sandbox import Zygote

QUESTIONS, SHOTS, NEW = 80, 5, 12
PROBLEMS, SAMPLES, TEMPERATURE, CODE_TOKENS = 16, 8, 0.6, 80
OVER = re.compile(r"\n\S")  # a line that is not indented: the function is over
SCORES = dict(exact=exact_match, contains=contains_match, f1=token_f1)


def answered(texts: list[str], items) -> list[dict]:
    answers = [first_line(text) for text in texts]
    return [
        dict(
            answer=(answer or "")[:60],
            **{name: round(score(answer, item.answers), 4) for name, score in SCORES.items()},
        )
        for answer, item in zip(answers, items)
    ]


def continuation(decoder, tokenizer, ids, n, ended, sampling, generator=None) -> str:
    """What comes after the text that the decoder holds and `ids`, until ended(text) or n tokens are written."""
    logits, written = decoder.read(ids)[-1], []
    while len(written) < n and not ended(tokenizer.decode(written)):
        written.append(int(sample_step(logits, sampling, generator=generator).tokens))
        logits = decoder.step(written[-1])
    return tokenizer.decode(written)


def trivia_prompts(tokenizer, items) -> list[list[int]]:
    shots = [(shot, shot.answers[0]) for shot in open_questions("nq-open", "shots")[:SHOTS]]
    return [tokenizer.encode(few_shot(question_form, shots, item)) for item in items]


def trivia(decoder, tokenizer, items) -> list[dict]:
    """By SmolLM2: the examples are read once."""
    prompts, texts = trivia_prompts(tokenizer, items), []
    shared = min(next(i for i, (a, b) in enumerate(zip(prompts[0], p)) if a != b) for p in prompts[1:])
    decoder.prefill(prompts[0][:shared])
    for prompt in prompts:
        decoder.truncate(shared)
        ended = lambda text: "\n" in text.lstrip()
        texts.append(continuation(decoder, tokenizer, prompt[shared:], NEW, ended, Sampling(greedy=True)))
    return answered(texts, items)


def trivia_of_base(size: str, items) -> list[dict]:
    model, tokenizer = load_base(size, device="cpu")
    prompts = [prompt[-200:] for prompt in trivia_prompts(tokenizer, items)]  # what the context holds
    written = generate(model, prompts, max_new_tokens=NEW, greedy=True, return_logprobs=True)
    return answered([tokenizer.decode(each.answer) for each in written], items)


def programmes(decoder, tokenizer, problem, zygote) -> dict:
    """Completions of one problem, and which passed. The body's indentation is given."""
    generator = torch.Generator().manual_seed(0)
    ids, passed, texts = tokenizer.encode(problem.prompt.rstrip() + "\n   "), [], []
    decoder.prefill(ids[:-1])
    for _ in range(SAMPLES):
        decoder.truncate(len(ids) - 1)
        ended = lambda text: OVER.search(text) is not None
        how = Sampling(temperature=TEMPERATURE)
        text = continuation(decoder, tokenizer, ids[-1:], CODE_TOKENS, ended, how, generator)
        texts.append("   " + OVER.split(text)[0])
        passed.append(run_problem(problem, completion_of(texts[-1], problem), zygote=zygote))
    return dict(id=problem.id, passed=[each.passed for each in passed], reasons=[each.reason[:60] for each in passed],
                first=texts[0][:200])  # fmt: skip


def pronouns(name: str) -> list[list]:
    """Right answer, choice by raw and by byte-normalised log-probability, for each question."""
    model, tokenizer = load_smollm2("cpu", fallback=False) if name == "SmolLM2" else load_base(name, device="cpu")
    items = disambiguation_questions()[::3]
    results = multiple_choice(model, tokenizer, items, "raw", batch_size=8)
    byte = lambda r: max(range(3), key=lambda i: r.details["logprobs"][i] / r.details["bytes"][i])
    return [[r.expected, r.answer, byte(r)] for r in results]


def main() -> None:
    torch.set_num_threads(1)
    modules = ["llmlib.evaluate.answers", "llmlib.evaluate.choices", "llmlib.evaluate.code", "llmlib.evaluate.scoring",
               "llmlib.data.bigbench"]  # fmt: skip
    experiment = Experiment("deck_table", script=__file__, modules=modules, seeds=[0])
    items = open_questions("nq-open", "report")[:QUESTIONS]
    written = {size: experiment.once(f"trivia, {size}", trivia_of_base, size, items) for size in ("0.3m", "5m")}
    model, tokenizer = load_smollm2("cpu", fallback=False)
    decoder = fast_decoder(model, "int4")
    written["SmolLM2"] = experiment.once("trivia, SmolLM2", trivia, decoder, tokenizer, items)
    for name, each in written.items():
        print(name, {score: sum(row[score] for row in each) / len(each) for score in SCORES}, each[:3], flush=True)
    with Zygote() as zygote:
        code = [
            experiment.once(problem.id, programmes, decoder, tokenizer, problem, zygote)
            for problem in code_problems()[:PROBLEMS]
        ]
    print([sum(each["passed"]) for each in code], flush=True)
    chosen = {name: experiment.once(f"pronouns, {name}", pronouns, name) for name in [*base_sizes(), "SmolLM2"]}
    for name, rows in chosen.items():
        print(name, [sum(row[0] == row[way] for row in rows) / len(rows) for way in (1, 2)], flush=True)
    asked = [[item.question, list(item.answers)[:2]] for item in items[:12]]
    experiment.save(dict(trivia=written, asked=asked, code=code, pronouns=chosen, samples=SAMPLES))


if __name__ == "__main__":
    main()
