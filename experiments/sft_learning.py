"""What the experiments of lecture 11 share: so many updates whatever the data, and requests that nothing was chosen by.

Every arm of a comparison makes the same number of updates of the same size, so that few demonstrations are seen often
and many once.
"""

import copy
from collections.abc import Sequence

import sft_bases
import support_desk as road

from llmlib.align import Example, reply_example
from llmlib.data import Request, SupportDesk
from llmlib.model import Transformer
from llmlib.text import BPETokenizer

UPDATES, ROWS, RATE = 100, 16, 1.5e-3
MODULES = [*sft_bases.MODULES, "experiments/sft_learning.py"]


def learn(base: Transformer, examples: Sequence[Example], seed: int, updates: int = UPDATES) -> Transformer:
    """A copy of the base model after so many updates on the examples."""
    batches_an_epoch = -(-len(examples) // ROWS)
    batches = road.shuffled(examples, ROWS, -(-updates // batches_an_epoch), seed)[:updates]
    model = copy.deepcopy(base)
    road.adapt(model, batches, RATE)
    return model.eval()


def demonstrated(
    desk: SupportDesk, tokenizer: BPETokenizer, seed: int, n: int, quality: float = road.QUALITY
) -> list[Example]:
    """n demonstrations as examples; fewer are the first of more."""
    shown = desk.demonstrations(n, road.draws("demonstrations", seed), quality)
    return [reply_example(tokenizer, request.text, reply) for request, reply in shown]


def held_out(desk: SupportDesk, n: int) -> dict[str, list[Request]]:
    """n requests with intents that demonstrations cover, and n with intents that they do not."""
    by_group = road.held_out(desk)
    half = n // 2
    return {
        "covered": by_group["demonstrated"][:n],
        "uncovered": by_group["compared"][:half] + by_group["unseen"][:half],
    }
