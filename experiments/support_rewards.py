"""What the experiments of lectures 12 and 13 share: rankings of replies, and a reward model that learns from them."""

from collections.abc import Sequence

import torch
from support_desk import COMPARED, draws, prompts_of, write

from llmlib.align import RewardModel, end_of_turn, pair_accuracy, ranking_batches, ranking_loss
from llmlib.data import Request, SupportDesk
from llmlib.model import Transformer
from llmlib.text import BPETokenizer
from llmlib.train import TrainConfig, Trainer

PROMPTS, SAMPLED, ANNOTATORS, TEMPERATURE = 6000, 3, 5, 0.3
AGENTS = (None, None, "mistaken")  # the styles of the agents' replies in a ranking; None: as they come
Ranking = tuple[Request, list[int], list[list[int]]]


def rank_samples(
    model: Transformer, tokenizer: BPETokenizer, desk: SupportDesk, seed: int, n: int = PROMPTS,
    temperature: float = TEMPERATURE, stage: str = "rankings", per_word: float = 0.0,
) -> list[Ranking]:  # fmt: skip
    """n requests with six replies each, best first as one of five annotators ranks them.

    Three are the model's and three are agents', one of whom is mistaken: a model that is mostly right gives annotators
    too few wrong promises to say no to.
    """
    rng = draws(stage, seed)
    requests = desk.requests(n, rng, COMPARED)
    annotators = desk.annotators(ANNOTATORS, rng, per_word=per_word)
    prompts = prompts_of(tokenizer, requests)
    sampled = write(model, [prompt for prompt in prompts for _ in range(SAMPLED)], end_of_turn(tokenizer), seed)
    rankings = []
    for i, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
        agents = [tokenizer.encode(desk.reply(request, rng, style)) for style in AGENTS]
        replies = sampled[SAMPLED * i : SAMPLED * (i + 1)] + agents
        texts = [tokenizer.decode(reply) for reply in replies]
        order = desk.rank(request, texts, rng, rng.choice(annotators), temperature)
        rankings.append((request, prompt, [replies[place] for place in order]))
    return rankings


def train_reward(
    model: Transformer, rankings: Sequence[Ranking], end: int, seed: int, epochs: int = 2, lr: float = 0.02
) -> RewardModel:
    """A reward model that begins as the fine-tuned one; its scores have mean 0, deviation 1 on the first rankings."""
    torch.manual_seed(seed)
    reward = RewardModel(model)
    batches = ranking_batches([(prompt, replies) for _, prompt, replies in rankings], end, 32, epochs, seed)
    recipe = TrainConfig(
        steps=len(batches), optimizer="muon", lr=lr, embedding_lr=lr / 2, head_lr=lr / 2, vector_lr=lr / 7,
        betas=(0.8, 0.95), weight_decay=0.0, warmup_steps=min(10, len(batches)), final_lr=0.05, device="cpu",
        progress=False,
    )  # fmt: skip
    Trainer(reward, recipe, batches, loss=ranking_loss).run()
    reward.normalise(scores_of(reward, rankings[:300], end).flatten())
    return reward.eval()


def scores_of(reward: RewardModel, rankings: Sequence[Ranking], end: int) -> torch.Tensor:
    """(prompts, K) in the annotators' order."""
    prompts = [prompt for _, prompt, replies in rankings for _ in replies]
    return reward.score(prompts, [reply for *_, replies in rankings for reply in replies], end).view(len(rankings), -1)


def gold_of(desk: SupportDesk, tokenizer: BPETokenizer, rankings: Sequence[Ranking]) -> torch.Tensor:
    """(prompts, K): what the desk knows about the same replies."""
    return torch.tensor(
        [[desk.gold(request, tokenizer.decode(r)) for r in replies] for request, _, replies in rankings]
    )


def accuracy(scores: torch.Tensor) -> float:
    return pair_accuracy(scores).mean().item()
