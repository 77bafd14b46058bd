"""Record what a system message and two example turns do, for lecture 10: `python experiments/prompt_turns.py`.

Jargon into plain English, by SmolLM2, greedy; six sentences of our own, none of them among the examples, and none left
out afterwards. The request alone; the request as a system message; that and two turns that show the form; two turns
and no system message. The output is text to read. Counted are its words, how many are new (not in the sentence), and
how many of the jargon words are left. Half a minute of a core.
"""

import re

import torch

from llmlib.data import Experiment
from llmlib.hub import load_smollm2
from llmlib.infer import generate
from llmlib.text import encode_chat

NEW = 60
RULE = "Rewrite the sentence in plain English, in one short sentence."
TURNS = (
    ("We should circle back once the stakeholders have alignment.", "Let's talk again when everyone agrees."),
    ("Please action the deliverables by close of business.", "Please finish the work by this evening."),
)
SENTENCES = {  # sentence -> its jargon
    "Going forward, we will leverage our core competencies to drive growth.": "leverage competencies drive forward",
    "Let's take this offline and touch base when you have the bandwidth.": "offline touch base bandwidth",
    "The team will onboard new hires through a blended learning journey.": "onboard hires blended journey",
    "We need to socialise this idea before we operationalise it.": "socialise operationalise",
    "Our budget was impacted by headwinds in the supply chain.": "impacted headwinds chain",
    "The launch was descoped owing to resource constraints.": "descoped owing resource constraints",
}
WAYS = ("request", "system", "system and turns", "turns")
MODULES = ["llmlib.infer.generation", "llmlib.text.chat"]


def conversation(way: str, sentence: str) -> list[dict[str, str]]:
    if way == "request":
        return [{"role": "user", "content": f"{RULE}\n{sentence}"}]
    messages = [{"role": "system", "content": RULE}] if "system" in way else []
    for asked, answer in TURNS if "turns" in way else ():
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return [*messages, {"role": "user", "content": sentence}]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())


def replies(way: str) -> list[dict]:
    model, tokenizer = load_smollm2("cpu", fallback=False)
    end, found = tokenizer.special_tokens["<|im_end|>"], []
    for sentence, jargon in SENTENCES.items():
        prompt = encode_chat(tokenizer, conversation(way, sentence))
        ids = generate(model, prompt, max_new_tokens=NEW, stop_tokens=[end], greedy=True)
        text = tokenizer.decode(ids).strip()
        said, given = words(text), words(sentence)
        found.append(dict(
            text=text, words=len(said), new=sum(word not in given for word in said), ended=int(len(ids) < NEW),
            jargon=sum(word in said for word in jargon.split()), of=len(jargon.split()),
        ))  # fmt: skip
    return found


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("prompt_turns", script=__file__, modules=MODULES)
    found = {}
    for way in WAYS:
        found[way] = experiment.once(way, replies, way)
        print(way, *(f"{one['words']:3} {one['text']}" for one in found[way]), sep="\n  ", flush=True)
    experiment.save(dict(rule=RULE, turns=TURNS, sentences=list(SENTENCES), replies=found))


if __name__ == "__main__":
    main()
