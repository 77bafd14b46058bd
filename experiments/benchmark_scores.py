"""Record eight multiple-choice sets under four normalisations, for the course's base models and SmolLM2.

    OMP_NUM_THREADS=1 python experiments/benchmark_scores.py

SmolLM2 (4-bit, tuned to chat), the four base models of the course, and three rules that read no question: the longest
option, the shortest, and the letter that was right most often on the choose split. All of a set are asked the same
questions of its report split, the first 200 whose prompt fits the base models' 256 tokens. What is kept is the option
chosen for every question, so that pages count intervals and paired differences themselves. Lecture 18. Some 20 minutes
of one core.
"""

from collections import Counter

import torch
from torch import nn

from llmlib.data import ChoiceQuestion, Experiment, choice_questions, question_sets
from llmlib.evaluate import cloze, lettered, multiple_choice, rescore
from llmlib.hub import base_sizes, load_base, load_smollm2

ASKED, ASKED_AGAIN, CONTEXT = 200, 100, 256
SETS = question_sets.choice_sets()
NORMALISATIONS = ("raw", "token", "byte", "prior")
FORMS = {"cloze": cloze, "lettered": lettered}
PLAIN = ("cloze", 0, False)
VARIANTS = (  # of SmolLM2 alone, on half of the questions: form, examples before each question, as a chat
    ("lettered", 0, False),
    ("lettered", 0, True),
    ("lettered", 5, False),
    ("cloze", 5, False),
    ("cloze", 0, True),
)
VARIED = ("openbookqa", "mmlu")


def model_of(name: str) -> tuple[nn.Module, object]:
    """A model by its name in the tables, and its tokenizer."""
    return load_smollm2() if name == "smollm2" else load_base(name)


def questions(name: str) -> list[ChoiceQuestion]:
    """The questions of a set that everything is asked."""
    _, tokenizer = load_base("1m")

    def fits(item: ChoiceQuestion) -> bool:
        prompt, options = cloze(item)
        return len(tokenizer.encode(prompt)) + max(len(tokenizer.encode(" " + option)) for option in options) < CONTEXT

    return [item for item in choice_questions(name, "report") if fits(item)][:ASKED]


def digits(places: list[int]) -> str:
    """Options as one string, a question each: 0 to 9, then a, b and so on."""
    return "".join("0123456789abcdefghijklmnopqrstuvwxyz"[place] for place in places)


def rules(name: str) -> dict:
    """What needs no model: the right options, how many there are, and three rules that read no question."""
    items = questions(name)
    often = Counter(item.answer for item in choice_questions(name, "choose")).most_common(1)[0][0]
    by_length = lambda pick: [
        pick(range(len(item.options)), key=lambda i: len(item.options[i].encode())) for item in items
    ]
    return {
        "digest": question_sets.digest(items),
        "right": digits([item.answer for item in items]),
        "options": digits([len(item.options) for item in items]),
        "longest": digits(by_length(max)),
        "shortest": digits(by_length(min)),
        "letter": digits([min(often, len(item.options) - 1) for item in items]),
    }


def scored(model: str, name: str, form: str, shots: int, chat: bool) -> dict:
    """The option that a model finds likeliest, under each normalisation."""
    items = questions(name)[: ASKED if (form, shots, chat) == PLAIN else ASKED_AGAIN]
    examples = choice_questions(name, "shots")[:shots]
    results = multiple_choice(*model_of(model), items, "prior", form=FORMS[form], shots=examples, chat=chat)
    picks = {kind: digits([each.answer for each in rescore(results, kind)]) for kind in NORMALISATIONS}
    return dict(model=model, set=name, form=form, shots=shots, chat=chat, picks=picks)


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "benchmark_scores",
        script=__file__,
        modules=["llmlib.evaluate.choices", "llmlib.evaluate.scoring"],
        seeds=(0,),
    )
    models = [*base_sizes(), "smollm2"]
    sets = {name: experiment.once(f"rules {name}", rules, name) for name in SETS}
    asked = [(model, name, *PLAIN) for model in models for name in SETS]
    asked += [("smollm2", name, *way) for name in VARIED for way in VARIANTS]
    runs = []
    for each in asked:
        runs.append(experiment.once(f"choice {each}", scored, *each))
        right = sets[each[1]]["right"]
        shares = {k: round(sum(a == b for a, b in zip(p, right)) / len(p), 3) for k, p in runs[-1]["picks"].items()}
        print(each, shares, flush=True)
    experiment.save({"asked": ASKED, "asked_again": ASKED_AGAIN, "sets": sets, "choice": runs})


if __name__ == "__main__":
    main()
