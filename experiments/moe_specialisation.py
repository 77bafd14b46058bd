"""Record what the experts of a small mixture specialise in: `python experiments/moe_specialisation.py`.

Eight experts, two a token, trained on tiny Shakespeare's characters with the auxiliary loss and without, three seeds.
Mutual information, in bits, between a token's first expert and what it is, what comes before and after it, its class
and its place in the window, on held-out text, before training and after; beside it the same with the experts shuffled
over the tokens, which is what chance and few samples give. Neighbours and place also within a character: the
information they add to it, with experts shuffled among the tokens of one character. One minute of one core.
"""

import math

import torch
from moe_models import CONTEXT, EXPERTS, LAYERS, MODULES, RECIPE, SEEDS, built, mixture, rounded, texts, train
from torch import Tensor

from llmlib.data import Experiment
from llmlib.model import Transformer, record

CLASSES = ("vowel", "consonant", "capital", "space", "line break", "punctuation")
GIVEN = ("next character", "previous character", "position")
SHUFFLES = 5


def class_of(character: str) -> int:
    if character in " \n":
        return CLASSES.index("space" if character == " " else "line break")
    if character.isupper():
        return CLASSES.index("capital")
    if character.islower():
        return CLASSES.index("vowel" if character in "aeiou" else "consonant")
    return CLASSES.index("punctuation")  # and the few digits


def entropy(*parts: Tensor) -> float:
    """Of what the parts (N,) say together, in bits, by counting."""
    key = torch.zeros_like(parts[0])
    for part in parts:  # one number for each combination
        key = key * (int(part.max()) + 1) + part
    shares = torch.bincount(key).double() / len(key)
    return torch.special.entr(shares).sum().item() / math.log(2)


def information(a: Tensor, b: Tensor) -> float:
    """Mutual information of two sequences (N,), in bits."""
    return entropy(a) + entropy(b) - entropy(a, b)


def information_given(a: Tensor, b: Tensor, c: Tensor) -> float:
    """What a and b say of each other to one who knows c, in bits."""
    return entropy(a, c) + entropy(b, c) - entropy(a, b, c) - entropy(c)


def shuffled_within(a: Tensor, groups: Tensor, generator: torch.Generator) -> Tensor:
    """a with its entries shuffled among the places of one group."""
    mixed = torch.randperm(len(a), generator=generator)
    mixed = mixed[groups[mixed].argsort(stable=True)]
    out = torch.empty_like(a)
    out[groups.argsort(stable=True)] = a[mixed]
    return out


def main() -> None:
    tokenizer, text, _, report = texts()
    experiment = Experiment("moe_specialisation", script=__file__, modules=MODULES, seeds=SEEDS)
    classes = torch.tensor([class_of(tokenizer.decode([i])) for i in range(tokenizer.vocab_size)])
    windows = report.view(-1, CONTEXT)
    inner = slice(1, CONTEXT - 1)  # the tokens that have both neighbours in the window
    now, after, before = windows[:, inner], windows[:, 2:], windows[:, :-2]
    place = torch.arange(1, CONTEXT - 1).expand_as(now)
    what = {"character": now, "next character": after, "previous character": before, "class": classes[now],
            "next class": classes[after], "position": place}  # fmt: skip
    what = {name: each.flatten() for name, each in what.items()}

    @torch.inference_mode()
    def first_experts(model: Transformer) -> list[Tensor]:
        """Of each layer the first choices (N,)."""
        with record(model.eval(), "blocks.*.mlp.router") as seen:
            model(windows)
        chosen = [seen[f"blocks.{layer}.mlp.router"].argmax(-1) for layer in range(LAYERS)]
        return [each.view(windows.shape)[:, inner].flatten() for each in chosen]

    def measured(model: Transformer) -> dict:
        generator = torch.Generator().manual_seed(0)
        found: dict = dict(entropy=[], bits={}, shuffled={}, given={}, given_shuffled={})
        for expert in first_experts(model):
            found["entropy"].append(round(entropy(expert), 3))
            mixed = [expert[torch.randperm(len(expert), generator=generator)] for _ in range(SHUFFLES)]
            for name, each in what.items():
                chance = sum(information(one, each) for one in mixed) / SHUFFLES
                found["bits"].setdefault(name, []).append(round(information(expert, each), 3))
                found["shuffled"].setdefault(name, []).append(round(chance, 3))
            within = [shuffled_within(expert, what["character"], generator) for _ in range(SHUFFLES)]
            for name in GIVEN:
                told = lambda one, name=name: information_given(one, what[name], what["character"])
                found["given"].setdefault(name, []).append(round(told(expert), 3))
                found["given_shuffled"].setdefault(name, []).append(round(sum(map(told, within)) / SHUFFLES, 3))
        return found

    def portraits(model: Transformer) -> list[list[dict]]:
        """Of each layer and expert: its share of the first choices, its most frequent characters and its classes."""
        found = []
        for expert in first_experts(model):
            found.append([])
            for number in range(EXPERTS):
                mine = what["character"][expert == number]
                counts = torch.bincount(mine, minlength=tokenizer.vocab_size) / max(1, len(mine))
                shares, ids = counts.topk(5)
                top = [[tokenizer.decode([i]), round(s, 3)] for i, s in zip(ids.tolist(), shares.tolist()) if s > 0]
                by_class = torch.bincount(classes[mine], minlength=len(CLASSES)) / max(1, len(mine))
                share = round(len(mine) / len(expert), 3)
                found[-1].append({"share": share, "top": top, "classes": rounded(by_class.tolist())})
        return found

    def run(balancing: str, seed: int) -> dict:
        model = built(mixture(tokenizer.vocab_size, balancing), seed)
        start = measured(model)
        train(model, RECIPE.replace(seed=seed), text)
        return {"start": start, "end": measured(model), "experts": portraits(model) if seed == 0 else None}

    results: dict = dict(
        recipe=RECIPE.to_dict(), n=len(what["character"]), classes=list(CLASSES), properties=list(what)
    )
    results["ceiling"] = {name: round(entropy(each), 3) for name, each in what.items()}
    results["when"], results["given"] = {"start": {}, "end": {}}, {}
    for balancing in ("auxiliary", "none"):
        runs = [experiment.once(f"{balancing}, seed {seed}", run, balancing, seed) for seed in SEEDS]
        for when, found in results["when"].items():
            seeds = [one[when] for one in runs]
            found[balancing] = {"entropy": [one["entropy"] for one in seeds]}
            for part in ("bits", "shuffled"):
                found[balancing][part] = {name: [one[part][name] for one in seeds] for name in what}
            print(balancing, when, found[balancing], flush=True)
        if balancing == "auxiliary":
            ends = [one["end"] for one in runs]
            for name in GIVEN:
                pair = {"bits": "given", "shuffled": "given_shuffled"}
                results["given"][name] = {key: [one[part][name] for one in ends] for key, part in pair.items()}
            results["experts"] = runs[0]["experts"]
            print(results["given"], flush=True)
    experiment.save(results)


if __name__ == "__main__":
    main()
