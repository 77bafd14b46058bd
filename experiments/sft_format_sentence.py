"""Record the control of `sft_format`: the published answers again, but in a sentence, as the model's own are.

    OMP_NUM_THREADS=1 python experiments/sft_format_sentence.py

"published" and "own" differ in two things there: whether the model knows the answers, and whether they are sentences.
Here the published answer follows "The answer is". Three minutes of one core.
"""

import json

import sft_format as form
import support_desk as road
import torch

from llmlib.align import reply_example
from llmlib.data import Experiment, prose
from llmlib.hub import load_smollm2


def run(seed: int, texts: list[str]) -> dict:
    model, tokenizer = load_smollm2("cpu", fallback=False)
    rows = form.questions(seed)
    shown = [json.dumps({"answer": f"The answer is {row['answer'][0]}"}) for row in rows]
    examples = [reply_example(tokenizer, f"{row['question']}?", reply) for row, reply in zip(rows, shown, strict=True)]
    model.requires_grad_(False)
    model.blocks[-form.BLOCKS :].requires_grad_(True)
    losses = road.adapt(model, road.shuffled(examples, form.ROWS, form.EPOCHS, seed), form.RATE)
    return dict(seed=seed, losses=[round(loss, 3) for loss in losses], after=form.look(model, tokenizer, texts))


def main() -> None:
    torch.set_num_threads(1)
    modules = [
        "llmlib.align.sft", "llmlib.align.padding", "llmlib.align.rollouts", "llmlib.train.loop",
        "llmlib.hub.llama_gguf",
        "experiments/support_desk.py", "experiments/sft_format.py",
    ]  # fmt: skip
    experiment = Experiment("sft_format_sentence", script=__file__, modules=modules, seeds=form.SEEDS)
    texts = [document.text[:400] for document in prose("wikipedia")[:8]]
    runs = []
    for seed in form.SEEDS:
        runs.append(experiment.once(f"seed {seed}", run, seed, texts))
        print(runs[-1], flush=True)
    experiment.save(dict(runs=runs))


if __name__ == "__main__":
    main()
