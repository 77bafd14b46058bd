"""What lab 12's recordings have in common: requests with ranked replies, a short training of a reward model, accuracy
with its interval."""

import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from llmlib.align import RewardModel, chat_prompt, end_of_turn, pair_accuracy, reward_ranking_loss
from llmlib.align.padding import padded
from llmlib.data import Request, SupportDesk
from llmlib.hub import load_desk

DESK = SupportDesk(0)
SFT, TOKENIZER = load_desk("sft")
END = end_of_turn(TOKENIZER)
STYLES = (None, "mistaken", "plain", None)  # of the replies to a request; None: as agents happen to write
ROWS, RATE, TEMPERATURE = 8, 3e-3, 0.3
JUDGES = DESK.annotators(5, random.Random("annotators of lab 12"))
Ranking = tuple[Request, list[str]]  # the replies best first
Text = tuple[list[int], list[int]]  # prompt and reply
MODULES = [
    "experiments/lab12.py", "llmlib.model.transformer", "llmlib.model.attention", "llmlib.align.reward_models",
    "llmlib.align.padding", "llmlib.data.support_desk", "llmlib.data.support_phrases",
]  # fmt: skip


def rankings_of(n: int, name: str, K: int = len(STYLES), per_word: float = 0.0) -> list[Ranking]:
    """n requests with K different replies each, best first as one of five annotators ranks them; per_word: what they
    add for every word."""
    rng = random.Random(name)
    rankings = []
    for request in DESK.requests(n, rng):
        styles = [style for _ in range(-(-K // len(STYLES))) for style in rng.sample(STYLES, len(STYLES))][:K]
        replies: list[str] = []
        for style in styles:
            while (reply := DESK.reply(request, rng, style)) in replies:
                pass
            replies.append(reply)
        order = DESK.rank(request, replies, rng, rng.choice(JUDGES) | {"word": per_word}, TEMPERATURE)
        rankings.append((request, [replies[place] for place in order]))
    return rankings


def texts_of(rankings: Sequence[Ranking]) -> list[Text]:
    return [
        (chat_prompt(TOKENIZER, request.text), TOKENIZER.encode(reply))
        for request, replies in rankings
        for reply in replies
    ]


def batch_of(texts: Sequence[Text]) -> tuple[Tensor, Tensor]:
    return padded([[*prompt, *reply, END] for prompt, reply in texts])


Scorer = Callable[[RewardModel, Sequence[Text]], Tensor]


def read_last(model: RewardModel, texts: Sequence[Text]) -> Tensor:
    """Scores (B,), read where each text ends."""
    return model(*batch_of(texts))


@torch.no_grad()
def scores_of(model: RewardModel, texts: Sequence[Text], scorer: Scorer = read_last, at_once: int = 160) -> Tensor:
    model.eval()
    return torch.cat([scorer(model, texts[i : i + at_once]) for i in range(0, len(texts), at_once)])


def all_pairs(scores: Tensor, which: Tensor) -> Tensor:
    return reward_ranking_loss(scores)


def train_reward(
    rankings: Sequence[Ranking], passes: int, seed: int, lr: float = RATE, scorer: Scorer = read_last,
    loss_of: Callable[[Tensor, Tensor], Tensor] = all_pairs, decay: bool = True,
    after_pass: Callable[[RewardModel, int], None] = lambda model, number: None,
) -> tuple[RewardModel, list[float]]:  # fmt: skip
    """A reward model that begins as the fine-tuned one and reads all rankings so many times, eight an update; the
    losses. decay: the rate falls to 0 along a line; otherwise it stays."""
    torch.manual_seed(seed)
    model, K, losses = RewardModel(SFT), len(rankings[0][1]), []
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.0)
    steps = passes * -(-len(rankings) // ROWS)
    for number in range(1, passes + 1):
        for part in torch.randperm(len(rankings)).split(ROWS):
            step = len(losses)
            optimizer.param_groups[0]["lr"] = lr * min(1, (step + 1) / 5) * (1 - decay * step / steps)
            scores = scorer(model.train(), texts_of([rankings[i] for i in part.tolist()])).view(-1, K)
            loss = loss_of(scores, part)
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        after_pass(model.eval(), number)
    return model, losses


def accuracies(scores: Tensor) -> Tensor:
    """Scores (prompts, K), best first -> (prompts,)."""
    return pair_accuracy(scores)


def half_width(values: Tensor) -> float:
    """Of the 95 % interval of a mean of independent values, here one of each prompt."""
    return 1.96 * float(values.std()) / len(values) ** 0.5
