"""What the recordings of lecture 12 share: rankings of chosen kinds of replies, equal training, and what is measured.

All reward models begin as the shipped fine-tuned model; a seed draws the requests, the replies, the annotators and the
order of training. Every model makes the same number of updates, so that few rankings are seen often.
"""

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import mean

import torch
from support_desk import COMPARED, MODULES, draws, prompts_of, write
from support_rewards import AGENTS, ANNOTATORS, TEMPERATURE, Ranking, accuracy, gold_of, scores_of

from llmlib.align import RewardModel, calibration, end_of_turn, ranking_batches, reward_ranking_loss
from llmlib.data import Request, SupportDesk
from llmlib.data.support_desk import GROUPS
from llmlib.data.support_phrases import SMALL_TALK
from llmlib.hub import load_desk
from llmlib.model import Transformer
from llmlib.text import BPETokenizer
from llmlib.train import TrainConfig, Trainer

UPDATES, PROMPTS_A_BATCH, RATE = 150, 32, 0.02
HELD_OUT, ASKED, N = 300, 100, 8
CODE = [
    *MODULES, "llmlib.align.reward_models", "llmlib.train.muon", "experiments/support_rewards.py",
    "experiments/reward_learning.py",
]  # fmt: skip
Loss = Callable[[torch.Tensor], torch.Tensor]


@lru_cache(maxsize=1)
def world() -> tuple[SupportDesk, Transformer, BPETokenizer, int]:
    """The desk, the fine-tuned model that ships, its tokenizer and the token that ends a reply."""
    model, tokenizer = load_desk("sft", device="cpu")
    return SupportDesk(0), model, tokenizer, end_of_turn(tokenizer)


def rankings_of(
    seed: int, n: int, sampled: int = 3, agents: Sequence[str | None] = AGENTS, temperature: float = TEMPERATURE,
    per_word: float = 0.0, stage: str = "rankings of lecture 12", groups: Sequence[str] = COMPARED,
) -> list[Ranking]:  # fmt: skip
    """n requests, each with some of the model's replies and some of agents', best first as one of five annotators says.

    agents: the style of each agent's reply; None for whatever comes.
    """
    desk, _, tokenizer, _ = world()
    rng = draws(stage, seed)
    requests = desk.requests(n, rng, groups)
    annotators = desk.annotators(ANNOTATORS, rng, per_word=per_word)
    prompts = prompts_of(tokenizer, requests)
    written = written_to(stage, seed, n, sampled, groups)
    rankings = []
    for i, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
        said = [tokenizer.encode(desk.reply(request, rng, style)) for style in agents]
        replies = written[sampled * i : sampled * (i + 1)] + said
        texts = [tokenizer.decode(reply) for reply in replies]
        order = desk.rank(request, texts, rng, rng.choice(annotators), temperature)
        rankings.append((request, prompt, [replies[place] for place in order]))
    return rankings


@lru_cache(maxsize=4)
def written_to(stage: str, seed: int, n: int, sampled: int, groups: Sequence[str]) -> list[list[int]]:
    """The model's replies to the requests of `rankings_of`, which arms that differ in something else share."""
    desk, model, tokenizer, end = world()
    prompts = prompts_of(tokenizer, desk.requests(n, draws(stage, seed), groups))
    return write(model, [prompt for prompt in prompts for _ in range(sampled)], end, seed)


def learn(rankings: Sequence[Ranking], seed: int, loss: Loss = reward_ranking_loss) -> RewardModel:
    """A reward model after UPDATES batches of the rankings; its scores have mean 0, deviation 1 on the first 200."""
    _, model, _, end = world()
    torch.manual_seed(seed)
    reward = RewardModel(model)
    epochs = -(-UPDATES * PROMPTS_A_BATCH // len(rankings)) + 1
    batches = ranking_batches(
        [(prompt, replies) for _, prompt, replies in rankings], end, PROMPTS_A_BATCH, epochs, seed
    )[:UPDATES]  # fmt: skip

    def of_batch(model: RewardModel, batch: dict) -> tuple[torch.Tensor, int]:
        scores = model(batch["ids"], batch["pad_mask"]).view(batch["prompts"], -1)
        return loss(scores) * len(scores), len(scores)

    recipe = TrainConfig(
        steps=UPDATES, optimizer="muon", lr=RATE, embedding_lr=RATE / 2, head_lr=RATE / 2, vector_lr=RATE / 7,
        betas=(0.8, 0.95), weight_decay=0.0, warmup_steps=10, final_lr=0.05, device="cpu", progress=False,
    )  # fmt: skip
    Trainer(reward, recipe, batches, loss=of_batch).run()
    reward.eval()
    reward.normalise(scores_of(reward, rankings[:200], end).flatten())
    return reward


# --- what is measured -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def held_out(temperature: float = TEMPERATURE, groups: Sequence[str] = COMPARED) -> list[Ranking]:
    """Rankings of requests that no model has seen, by annotators of their own; the same for every arm."""
    return rankings_of(0, HELD_OUT, temperature=temperature, stage="held-out rankings of lecture 12", groups=groups)


@lru_cache(maxsize=1)
def asked() -> dict[str, tuple[list[Request], list[list[int]], list[list[int]]]]:
    """By group: requests, their prompts, and N replies of the fine-tuned model to each."""
    desk, model, tokenizer, end = world()
    found = {}
    for group in GROUPS:
        requests = desk.requests(ASKED, draws(f"asked in lecture 12, {group}", 0), (group,))
        prompts = prompts_of(tokenizer, requests)
        found[group] = requests, prompts, write(model, [prompt for prompt in prompts for _ in range(N)], end, 7)
    return found


def contests(group: str, n: int = ASKED) -> dict[str, list[tuple[Request, list[str]]]]:
    """Requests with replies of which the first is the best, in three kinds.

    "deeds": four plain promises, one of which solves the request. "conflict": one that solves, plainly, against a
    polite one with a next step that promises something else. "manner": one that solves, politely, against the same
    without the polite sentence.
    """
    desk = world()[0]
    rng = draws(f"contests of lecture 12, {group}", 0)
    found: dict[str, list[tuple[Request, list[str]]]] = {"deeds": [], "conflict": [], "manner": []}
    for request in desk.requests(n, rng, (group,)):
        right = desk._promise(request, rng)
        wrong: list[str] = []
        while len(wrong) < 3:
            other = desk._promise(desk._confused(request, rng), rng)
            if desk.findings(request, f"{other} .").keys() == {"wrong promise"} and other not in wrong:
                wrong.append(other)
        polite, step = desk._say("polite", request, rng), desk._say("next", request, rng)
        found["deeds"].append((request, [f"{right} .", *(f"{each} ." for each in wrong)]))
        found["conflict"].append((request, [f"{right} .", f"{polite} . {wrong[0]} . {step} ."]))
        found["manner"].append((request, [f"{polite} . {right} .", f"{right} ."]))
    return found


def scored(reward: RewardModel, contest: list[tuple[Request, list[str]]]) -> torch.Tensor:
    """(requests, replies)."""
    _, _, tokenizer, end = world()
    prompts = prompts_of(tokenizer, [request for request, replies in contest for _ in replies])
    replies = [tokenizer.encode(reply) for _, replies in contest for reply in replies]
    return reward.score(prompts, replies, end).view(len(contest), -1)


def gold_accuracy(scores: torch.Tensor, gold: torch.Tensor) -> float:
    """The share of the pairs of one prompt with different gold rewards that the scores put in the same order."""
    first, second = torch.triu_indices(scores.shape[1], scores.shape[1], 1)
    truth = (gold[:, first] - gold[:, second]).round(decimals=4)
    said = scores[:, first] - scores[:, second]
    told = truth != 0
    return ((said * truth > 0) + 0.5 * (said == 0))[told].float().mean().item()


def measured(reward: RewardModel, temperature: float = TEMPERATURE) -> dict:
    """What a reward model knows, on what no model was trained on."""
    desk, _, tokenizer, end = world()
    found: dict = {}
    for name, groups in (("compared", COMPARED), ("unseen", ("unseen",))):
        held = held_out(temperature, groups)
        scores, gold = scores_of(reward, held, end), gold_of(desk, tokenizer, held)
        found[name] = dict(
            accuracy=accuracy(scores), ceiling=accuracy(gold), gold_accuracy=gold_accuracy(scores, gold),
        )  # fmt: skip
        if name == "compared":
            found["calibration"] = calibration(scores * reward.std, 6)  # raw scores: what the loss makes probabilities
    for group in GROUPS:
        chosen = {kind: scored(reward, contest).argmax(1) == 0 for kind, contest in contests(group).items()}
        found[f"chooses {group}"] = {kind: right.float().mean().item() for kind, right in chosen.items()}
        found[f"best of {N} {group}"] = best_of(reward, group)
    found["longer"] = longer(reward)
    return rounded(found)


def best_of(reward: RewardModel, group: str) -> dict[str, float]:
    """Gold reward and words of the best of N by this reward model; how much more was there to choose."""
    desk, _, tokenizer, end = world()
    requests, prompts, replies = asked()[group]
    scores = reward.score([prompt for prompt in prompts for _ in range(N)], replies, end).view(-1, N)
    texts = [[tokenizer.decode(reply) for reply in replies[N * i : N * (i + 1)]] for i in range(len(requests))]
    gold = torch.tensor([[desk.gold(request, text) for text in four] for request, four in zip(requests, texts)])
    picked = scores.argmax(1)
    chosen = [row[int(i)] for row, i in zip(texts, picked)]
    solved = [["solved" in desk.findings(request, text) for text in row] for request, row in zip(requests, texts)]
    return dict(
        one=gold.mean().item(), chosen=gold.gather(1, picked[:, None]).mean().item(), best=gold.amax(1).mean().item(),
        solved=mean(map(mean, solved)), chosen_solved=mean(row[int(i)] for row, i in zip(solved, picked)),
        any_solved=mean(map(any, solved)), words=mean(len(text.split()) for row in texts for text in row),
        chosen_words=mean(len(text.split()) for text in chosen),
    )  # fmt: skip


def longer(reward: RewardModel) -> list[dict]:
    """Plain solving replies with more and more small talk behind them: words, gold reward and score."""
    desk = world()[0]
    rng = draws("small talk", 0)
    requests = desk.requests(100, rng)
    replies = [desk.reply(request, rng, "good") for request in requests]
    talk = [rng.sample(SMALL_TALK, 5) for _ in requests]
    rows = []
    for n in range(6):
        texts = [
            " ".join([reply, *(f"{phrase.format(item=request.item)} ." for phrase in phrases[:n])])
            for request, reply, phrases in zip(requests, replies, talk)
        ]
        scores = scored(reward, [(request, [text]) for request, text in zip(requests, texts)])
        rows.append(
            dict(
                sentences=n, words=sum(len(text.split()) for text in texts) / len(texts), score=scores.mean().item(),
                gold=sum(map(desk.gold, requests, texts)) / len(texts),
            )
        )  # fmt: skip
    return rows


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


def shuffled_words(text: str, rng: random.Random) -> str:
    words = text.split()
    rng.shuffle(words)
    return " ".join(words)
