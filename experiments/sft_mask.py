"""Record lecture 11's ablation: what the loss is on, replies, whole conversations, or replies and old text beside them.

    OMP_NUM_THREADS=1 python experiments/sft_mask.py

Same demonstrations, same order, 100 updates of 16; five seeds, 20 and 200 demonstrations. In the arm "beside", with 200
only, every batch brings 8 transcripts along, all of whose tokens are targets. Gold rewards on 100 held-out
requests of covered and of uncovered intents, and the held-out nats a token of replies and of requests. Three minutes
of one core.
"""

import copy
import itertools
from dataclasses import replace

import sft_bases
import sft_learning
import support_desk as road
import torch

from llmlib.align import Example, pad_examples
from llmlib.data import Experiment, SupportDesk
from llmlib.model import Transformer
from llmlib.text import BPETokenizer
from llmlib.train import next_token_loss

SEEDS = (0, 1, 2, 3, 4)
ARMS = (("replies", 20), ("everything", 20), ("replies", 200), ("everything", 200), ("beside", 200))
BESIDE = 8


def on_everything(example: Example) -> Example:
    """The same with each token a target."""
    return replace(example, loss_mask=[True] * len(example.ids))


def on_the_rest(example: Example) -> Example:
    """What is no reply: the frame and what the customer wrote."""
    return replace(example, loss_mask=[not target for target in example.loss_mask])


@torch.no_grad()
def nats(model: Transformer, examples: list[Example]) -> float:
    total, count = next_token_loss(model, pad_examples(examples))
    return round(float(total / count), 4)


def transcripts(desk: SupportDesk, tokenizer: BPETokenizer, seed: int) -> list[Example]:
    """As many transcripts as the batches take, each token a target."""
    start = tokenizer.special_tokens[road.SPECIAL[0]]
    texts = desk.transcripts(2 * BESIDE * sft_learning.UPDATES, road.draws("transcripts again", seed))
    ids = [[start, *tokenizer.encode(text)] for text in texts]
    return [Example(each, [True] * len(each)) for each in ids if len(each) <= road.ROW]


def learn_beside(base: Transformer, shown: list[Example], others: list[Example], seed: int) -> Transformer:
    """`sft_learning.learn` with transcripts in every batch; the demonstrations come in the same order."""
    generator = torch.Generator().manual_seed(seed)
    orders = (torch.randperm(len(shown), generator=generator).split(sft_learning.ROWS) for _ in itertools.count())
    parts = itertools.islice(itertools.chain.from_iterable(orders), sft_learning.UPDATES)
    beside = iter(others)
    batches = [[*(shown[i] for i in part.tolist()), *itertools.islice(beside, BESIDE)] for part in parts]
    model = copy.deepcopy(base)
    road.adapt(model, [pad_examples(batch) for batch in batches], sft_learning.RATE)
    return model.eval()


def run(arm: str, n: int, seed: int) -> dict:
    desk = SupportDesk(0)
    base, tokenizer = sft_bases.base_of(seed)
    shown = sft_learning.demonstrated(desk, tokenizer, seed, n)
    if arm == "beside":
        model = learn_beside(base, shown, transcripts(desk, tokenizer, seed), seed)
    else:
        model = sft_learning.learn(base, shown if arm == "replies" else [on_everything(e) for e in shown], seed)
    fresh, requests = sft_learning.demonstrated(desk, tokenizer, 1000, 200), sft_learning.held_out(desk, 100)
    return dict(
        arm=arm, n=n, seed=seed, gold=road.means(road.judge(desk, tokenizer, model, requests, seed)),
        reply_nats=nats(model, fresh), request_nats=nats(model, [on_the_rest(e) for e in fresh]),
        targets=sum(sum(e.loss_mask) for e in shown), tokens=sum(len(e.ids) for e in shown),
    )  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("sft_mask", script=__file__, modules=sft_learning.MODULES, seeds=SEEDS)
    runs = []
    for seed in SEEDS:
        for arm, n in ARMS:
            runs.append(experiment.once(f"{arm}, {n} demonstrations, seed {seed}", run, arm, n, seed))
            print(runs[-1], flush=True)
    experiment.save(dict(runs=runs))


if __name__ == "__main__":
    main()
