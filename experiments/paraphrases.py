"""Record how far 20 wordings of one prompt spread, for lecture 10: `python experiments/paraphrases.py`.

One question, is this film review positive or negative, asked of SmolLM2 in 20 ways, all written before any was tried
and none left out afterwards. The label words are the same, only what stands around the text changes. Each is put as
plain text without an example, as a message in a chat without a system message, and (on half the items) as plain text
after the same four examples. 150 reviews, half of each label; scores as they are, calibrated on texts that say nothing,
and on 50 unlabelled reviews of another split. Each wording is tried on 40 labelled reviews too: what a search for the
best prompt would have gone by. Twelve minutes of a core.
"""

import prompting_tasks as tasks
import torch
from prompting_tasks import SMOLLM2, TASKS

from llmlib.data import Experiment, draw_per_class
from llmlib.evaluate import continuation_logprobs, label_scores
from llmlib.text import encode_chat

N, PRIOR, CHOOSE, TASK = 150, 50, 40, "reviews"
WORDINGS = (  # each ends where the label begins
    "Review: {}\nSentiment:",
    "Text: {}\nLabel:",
    "{}\nThis review is",
    "Film review: {}\nIs it positive or negative? It is",
    "Review: {}\nQuestion: Is the review positive or negative?\nAnswer:",
    "Input: {}\nOutput:",
    'The review "{}" is',
    "Decide whether the review is positive or negative.\nReview: {}\nDecision:",
    "Classify the sentiment of the sentence as positive or negative.\nSentence: {}\nClass:",
    "A critic wrote: {}\nThe critic's opinion of the film was",
    "{}\nOverall, the tone of this review is",
    "{} =>",
    "Read the following review and say whether the writer liked the film.\n{}\nThe writer's view is",
    "Comment: {}\nAttitude of the comment:",
    "Is this positive or negative?\n{}\nAnswer:",
    "Is this negative or positive?\n{}\nAnswer:",
    "Sentiment analysis\n\nReview: {}\nPredicted sentiment:",
    "[Review] {} [/Review]\n[Sentiment]",
    "You are an expert on films. Label the review as positive or negative.\n\nReview: {}\n\nLabel:",
    "I read this about a film: {}\nSo what they said about it was",
)
MODULES = [
    "experiments/prompting_tasks.py", "llmlib.evaluate.labels", "llmlib.evaluate.scoring", "llmlib.data.reviews",
    "llmlib.text.chat",
]  # fmt: skip


def in_chat(prompts: list[str]) -> torch.Tensor:
    """Scores of the label words at the start of a reply: capitalised, as replies begin, and without a space."""
    model, tokenizer = tasks.load(SMOLLM2)
    words = [tokenizer.encode(word.capitalize()) for word in TASKS[TASK].words]
    requests = [(encode_chat(tokenizer, [{"role": "user", "content": prompt}]), words) for prompt in prompts]
    return label_scores(continuation_logprobs(model, requests, batch_size=tasks.BATCH))


def wording(number: int, way: str) -> dict:
    """One wording, put in one way; trial: how many of 40 labelled reviews of the split "choose" are right."""
    words, shots = TASKS[TASK].words, tasks.draw_shots(TASK, 4, 0) if way == "four-shot" else []
    form = lambda text: WORDINGS[number].format(text)
    before = "".join(f"{form(shot.text)} {words[shot.label]}\n\n" for shot in shots)

    def read(texts: list[str]) -> torch.Tensor:
        prompts = [before + form(text) for text in texts]
        return in_chat(prompts) if way == "chat" else tasks.read_labels(SMOLLM2, prompts, words)

    items, prior = tasks.reported(TASK, N if way != "four-shot" else N // 2), tasks.prior_texts(TASK, PRIOR)
    found = tasks.measure(read, items, prior)
    if way == "zero-shot":
        trial = draw_per_class(tasks.items_of(TASK, "choose")[PRIOR:], CHOOSE // 2, seed=0)
        found["trial"] = tasks.judge(read([item.text for item in trial]), [item.label for item in trial])["right"]
    return found


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("paraphrases", script=__file__, modules=MODULES)
    found: dict = dict(n={}, prior=PRIOR, trial=CHOOSE, wordings=WORDINGS, ways={})
    for way in ("zero-shot", "chat", "four-shot"):
        found["n"][way] = len(tasks.reported(TASK, N if way != "four-shot" else N // 2))
        found["ways"][way] = []
        for number in range(len(WORDINGS)):
            found["ways"][way].append(experiment.once(f"{way}, {number}", wording, number, way))
            print(way, number, found["ways"][way][-1], flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
