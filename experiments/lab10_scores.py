"""Record what SmolLM2 makes of eight prompts: the log-probabilities of two label words behind each of some sentences.

The sentences are from customers' reviews of products, those that many raters found clearly good or clearly bad (Hutto
and Gilbert, 2014), half of each; 60 are for calibration and 120 for measuring. Each prompt has label words of its own,
some of unequal numbers of tokens, and is read besides with three texts that say nothing (Zhao et al., 2021). The
prompts were written before any of them was measured on these sentences, and all are kept. Lab 10 reads the numbers. Run
it with `OMP_NUM_THREADS=1 python experiments/lab10_scores.py`; it takes about three minutes on one core.
"""

import random
from itertools import chain

import torch

from llmlib.data import Experiment, rated_texts
from llmlib.evaluate.scoring import continuation_logprobs, split_at_answer
from llmlib.hub import load_smollm2

PROMPTS = (  # the prompt, the word for good, the word for bad
    ("Review: {}\nSentiment:", "positive", "negative"),
    ('A customer wrote: "{}" The customer was', "delighted", "dissatisfied"),
    ("{}\nIt was", "great", "terrible"),
    ("{} All in all, the product is", "wonderful", "a disappointment"),
    ("Review: {}\nStars, from 1 to 5:", "5", "1"),
    ("Is this review favourable? {}\nAnswer:", "yes", "no"),
    ("{}\nWould you buy it again?", "Yes", "No, never"),
    ("Comment: {}\nTone:", "satisfied", "not satisfied"),
)
EMPTY = ("N/A", "[MASK]", "...")
CALIBRATION, MEASURED, SEED = 60, 120, 10


def chosen() -> list[tuple[int, str]]:
    """(place in the file, sentence), good and bad in turn: 5 to 18 words, rated at least 2 from 0 on average."""
    texts = rated_texts("product")
    clear = [i for i, t in enumerate(texts) if abs(t.mean) >= 2 and 5 <= len(t.text.split()) <= 18]
    random.Random(SEED).shuffle(clear)
    good, bad = [i for i in clear if texts[i].mean > 0], [i for i in clear if texts[i].mean < 0]
    half = (CALIBRATION + MEASURED) // 2
    return [(i, texts[i].text) for i in chain(*zip(good[:half], bad[:half], strict=True))]


def score(form: str, good: str, bad: str) -> dict:
    """The sums over the tokens of both label words, in nats, behind every sentence and every empty text."""
    model, tokenizer = load_smollm2()
    sentences = [text for _, text in chosen()]
    requests = [split_at_answer(tokenizer, form.format(text), [good, bad]) for text in [*sentences, *EMPTY]]
    (tokens,) = {tuple(map(len, options)) for _, options in requests}
    scored = continuation_logprobs(model, requests)
    sums = [[round(float(each.sum()), 2) for each in row] for row in scored]
    return {
        "prompt": form,
        "labels": [good, bad],
        "tokens": list(tokens),
        "calibration": sums[:CALIBRATION],
        "measured": sums[CALIBRATION : -len(EMPTY)],
        "empty": sums[-len(EMPTY) :],
    }


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "lab10_scores", script=__file__, seeds=(SEED,), modules=["llmlib.evaluate.scoring", "llmlib.hub.smollm2"]
    )
    made = []
    for number, prompt in enumerate(PROMPTS):
        made.append(experiment.once(f"prompt {number}", score, *prompt))
        sums = torch.tensor(made[-1]["measured"])
        bad = torch.arange(len(sums)) % 2
        print(number, made[-1]["tokens"], float((sums.argmax(1) == bad).float().mean()), flush=True)
    places = [place for place, _ in chosen()]
    experiment.save(
        {"sentences": {"calibration": places[:CALIBRATION], "measured": places[CALIBRATION:]}, "prompts": made}
    )


if __name__ == "__main__":
    main()
