"""Record a mini-LAMBADA on the ladder and SmolLM2, for lecture 10: `python experiments/mini_lambada.py`.

LAMBADA (Paperno et al., 2016) asks for the last word of a passage that people guess from the passage and not from its
last sentence. People chose it; here a rule does. From documents that no base model was trained on, nearly all of them
of Wikipedia: a sentence of 6 to 30 words whose last word has four letters or more, is none of the 150 commonest, stands
in the 30 to 120 words before the sentence and not in the sentence itself; at most three of a document, and none of
whose runs of 13 words any stands in a training document. A model is right if it is greedy in every token of the word.
With the passage, and with the last sentence alone. Beside it the word of the passage, of the same kind, that stands in
it most often, the latest of equals. SmolLM2 has probably seen the articles. Three minutes.
"""

import collections
import random
import re
from functools import lru_cache

import prompting_tasks as tasks
import torch
from prompting_tasks import SMOLLM2

from llmlib.data import Experiment, contamination, prose, split_documents
from llmlib.hub import base_sizes

SOURCES = ("wikipedia", "wikipedia-sections", "wikipedia-articles", "tales", "novels")
SHARES = {"train": 0.94, "choose": 0.03, "report": 0.03}  # as the base models' text was split
MOST, A_DOCUMENT, COMMON, SHORTEST, LONGEST, LIMIT, RUN = 250, 3, 150, 30, 120, 250, 13
WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)*")
MODULES = ["experiments/prompting_tasks.py", "llmlib.data.cleaning", "llmlib.data.prose"]


def words(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]


@lru_cache
def passages() -> list[dict]:
    """before (the passage), sentence (without its last word), word; in a fixed random order."""
    documents = prose(*SOURCES)
    parts = split_documents(documents, SHARES)
    counts = collections.Counter(word for document in documents for word in words(document.text))
    common = {word for word, _ in counts.most_common(COMMON)}
    tokenizer, found = tasks.load("1m")[1], []
    for document in [*parts["choose"], *parts["report"]]:
        sentences = re.split(r"(?<=[.!?])[\"”']?\s+(?=[\"“'A-Z])", re.sub(r"\s+", " ", document.text))
        some = []
        for i, sentence in enumerate(sentences):
            match = re.fullmatch(r"(.*) ([A-Za-z]{4,})[.!?]", sentence)
            if not match or not 6 <= len(sentence.split()) <= 30:
                continue
            start, word = match[1], match[2]
            before = []
            for earlier in reversed(sentences[:i]):
                if sum(len(each.split()) for each in before) >= SHORTEST:
                    break
                before.insert(0, earlier)
            text = " ".join(before)
            fits = SHORTEST <= len(text.split()) <= LONGEST and len(tokenizer.encode(f"{text} {sentence}")) <= LIMIT
            if fits and word.lower() not in common and word.lower() in words(text) and word.lower() not in words(start):
                some.append(dict(before=text, sentence=start, word=word, common=common))
        found += random.Random(len(document.text)).sample(some, min(A_DOCUMENT, len(some)))
    whole = [f"{passage['before']} {passage['sentence']} {passage['word']}" for passage in found]
    seen = contamination(whole, (document.text for document in parts["train"]), RUN)
    found = [passage for passage, share in zip(found, seen) if share == 0]
    random.Random(0).shuffle(found)
    return found[:MOST]


def most_frequent(passage: dict) -> bool:
    """Is it the word that stands in the passage most often?"""
    may = [word for word in words(passage["before"]) if len(word) > 3 and word not in passage["common"]]
    may = [word for word in may if word not in words(passage["sentence"])]
    counts = collections.Counter(may)
    return max(may, key=lambda word: (counts[word], len(may) - may[::-1].index(word))) == passage["word"].lower()


@torch.inference_mode()
def last_word(name: str, some: list[dict], context: bool) -> tuple[list[int], list[float]]:
    """Right or not, and nats of the word, for each passage."""
    model, tokenizer = tasks.load(name)
    start = [] if name == SMOLLM2 else [tokenizer.special_tokens["<|endoftext|>"]]
    right, nats = [], []
    for passage in some:
        text = f"{passage['before']} {passage['sentence']}" if context else passage["sentence"]
        prompt, word = [*start, *tokenizer.encode(text)], tokenizer.encode(f" {passage['word']}")
        h = model.hidden(torch.tensor([[*prompt, *word[:-1]]]))[0, len(prompt) - 1 :]
        logprobs = model.head(h).float().log_softmax(-1)
        targets = torch.tensor(word)
        right.append(int((logprobs.argmax(-1) == targets).all()))
        nats.append(round(-logprobs.gather(1, targets[:, None]).sum().item(), 2))
    return right, nats


def summary(name: str) -> dict:
    """With and without the passage: how many are right, mean nats; only_with: right with it and not without."""
    some = passages()
    (right, nats), (right_alone, nats_alone) = (last_word(name, some, context) for context in (True, False))
    return dict(
        right=sum(right), alone=sum(right_alone), only_with=sum(a > b for a, b in zip(right, right_alone)),
        nats=round(sum(nats) / len(some), 3), nats_alone=round(sum(nats_alone) / len(some), 3),
    )  # fmt: skip


def baseline() -> dict:
    some = passages()
    shown = [{key: p[key] for key in ("before", "sentence", "word")} for p in some if len(p["before"]) < 300]
    return dict(n=len(some), most_frequent=sum(map(most_frequent, some)), examples=shown[:4])


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("mini_lambada", script=__file__, modules=MODULES)
    found: dict = experiment.once("baseline", baseline) | dict(models={})
    print(found, flush=True)
    for name in [*base_sizes(), SMOLLM2]:
        found["models"][name] = experiment.once(name, summary, name)
        print(name, found["models"][name], flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
