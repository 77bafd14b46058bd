"""Record what fine-tuning makes a base model forget, by epoch, and what text from pre-training in the mix saves.

    OMP_NUM_THREADS=1 python experiments/sft_forgetting.py

200 demonstrations, 16 epochs at a constant rate after the warm-up; in the mixed arm every batch of 16 demonstrations
brings 8 transcripts along, all of whose tokens are targets. Bits a token on 200 held-out transcripts, and gold rewards
on 100 covered and 100 uncovered requests. Three seeds, two minutes of one core.
"""

import copy
import math

import sft_bases
import sft_learning
import support_desk as road
import torch

from llmlib.align import Example, pad_examples
from llmlib.data import Experiment, SupportDesk
from llmlib.model import Transformer
from llmlib.train import TrainConfig, Trainer, next_token_loss

SEEDS, DEMONSTRATIONS, EPOCHS, LOOKS, BESIDE = (0, 1, 2), 200, 16, (1, 2, 4, 8, 16), 8


def documents(desk: SupportDesk, tokenizer, stage: str, seed: int, n: int) -> list[Example]:
    """Transcripts as in pre-training: every token is a target."""
    start = tokenizer.special_tokens[road.SPECIAL[0]]
    ids = [[start, *tokenizer.encode(text)] for text in desk.transcripts(n, road.draws(stage, seed))]
    return [Example(each, [True] * len(each)) for each in ids if len(each) <= road.ROW]


@torch.no_grad()
def bits(model: Transformer, texts: list[Example]) -> float:
    total, count = next_token_loss(model, pad_examples(texts))
    return round(float(total / count) / math.log(2), 4)


def run(arm: str, seed: int) -> list[dict]:
    desk = SupportDesk(0)
    base, tokenizer = sft_bases.base_of(seed)
    shown = sft_learning.demonstrated(desk, tokenizer, seed, DEMONSTRATIONS)
    held_out, requests = documents(desk, tokenizer, "held-out transcripts", 0, 200), sft_learning.held_out(desk, 100)
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(shown), generator=generator).split(16) for _ in range(EPOCHS)]
    batches = [[shown[i] for i in part.tolist()] for order in orders for part in order]
    if arm == "mixed":
        beside = iter(documents(desk, tokenizer, "transcripts again", seed, 2 * BESIDE * len(batches)))
        batches = [[*batch, *(next(beside) for _ in range(BESIDE))] for batch in batches]
    an_epoch = len(batches) // EPOCHS
    model = copy.deepcopy(base)
    rows = []

    def look(epochs: int, base_model: bool = False) -> None:
        model.eval()
        gold = road.means(road.judge(desk, tokenizer, model, requests, seed, base=base_model))
        rows.append(dict(arm=arm, seed=seed, epochs=epochs, bits=bits(model, held_out), gold=gold))
        model.train()

    def now_and_then(trainer: Trainer, event: str) -> None:
        if event == "step" and trainer.step % an_epoch == 0 and trainer.step // an_epoch in LOOKS:
            look(trainer.step // an_epoch)

    look(0, base_model=True)
    recipe = TrainConfig(
        steps=len(batches), lr=sft_learning.RATE, weight_decay=0.0, warmup_steps=10, final_lr=1.0, device="cpu",
        progress=False,
    )  # fmt: skip
    Trainer(model, recipe, [pad_examples(batch) for batch in batches], callbacks=[now_and_then]).run()
    return rows


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("sft_forgetting", script=__file__, modules=sft_learning.MODULES, seeds=SEEDS)
    runs = []
    for seed in SEEDS:
        for arm in ("demonstrations", "mixed"):
            runs += experiment.once(f"{arm}, seed {seed}", run, arm, seed)
            print(*runs[-6:], sep="\n", flush=True)
    experiment.save(dict(runs=runs))


if __name__ == "__main__":
    main()
