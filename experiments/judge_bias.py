"""Record a small model as a judge of answers, and a reward model as another: what moves them. For lecture 18.

    OMP_NUM_THREADS=1 python experiments/judge_bias.py

SmolLM2 is shown a question of OpenBookQA and two answers and says "A" or "B", by log-likelihood; every pair is shown in
both orders. Three kinds of pairs: right against wrong; an answer against itself with a sentence after it that adds
nothing; right against wrong with that sentence. Beside it, on the same pairs, the same model asked directly (which
answer is likelier after the question, per byte). The support desk's reward model gets 200 sampled replies a seed,
with and without sentences that add nothing, and the gold reward says what they are worth.
"""

import random

import torch

from llmlib.align import chat_prompt, end_of_turn, load_desk_reward, sample_replies
from llmlib.data import ChoiceQuestion, Experiment, SupportDesk, choice_questions
from llmlib.evaluate import continuation_logprobs, multiple_choice
from llmlib.hub import load_desk, load_smollm2
from llmlib.text import encode_chat

PAIRS, BATCH, SEEDS, REPLIES = 40, 10, (0, 1, 2), 200
PADDING = " This is the answer that one arrives at after thinking about the question carefully."
KINDS = ("right, wrong", "plain, padded", "right, padded wrong")
ADDED = ("thank you .", "is there anything else i can help you with ?", "hello ! thank you for your message .")


def pair(item: ChoiceQuestion, kind: str) -> tuple[str, str]:
    """Two answers: the first should win, or neither."""
    right = item.options[item.answer]
    wrong = item.options[(item.answer + 1) % len(item.options)]
    return {
        "right, wrong": (right, wrong),
        "plain, padded": (right, right + "." + PADDING),
        "right, padded wrong": (right, wrong + "." + PADDING),
    }[kind]


def request(tokenizer, question: str, first: str, second: str) -> tuple[list[int], list[list[int]]]:
    message = f"Question: {question}\nAnswer A: {first}\nAnswer B: {second}\nWhich answer is better, A or B?"
    ids = encode_chat(tokenizer, [dict(role="user", content=message)])
    return [*ids, *tokenizer.encode("The better answer is")], [tokenizer.encode(" A"), tokenizer.encode(" B")]


def judged(model, tokenizer, kind: str, items) -> list[list[float]]:
    """For each pair, the log-odds of the first answer over the second, when it stands as A and when it stands as B."""
    requests = []
    for item in items:
        one, two = pair(item, kind)
        requests += [request(tokenizer, item.question, one, two), request(tokenizer, item.question, two, one)]
    logprobs = [
        [each.sum().item() for each in pair] for pair in continuation_logprobs(model, requests, batch_size=BATCH)
    ]
    odds = [round(a - b, 4) for a, b in logprobs]
    return [[odds[i], -odds[i + 1]] for i in range(0, len(odds), 2)]


def asked_directly(model, tokenizer, items) -> list[int]:
    """Whether the right one of the same two is likelier after the question."""
    twos = [ChoiceQuestion(item.id, item.question, pair(item, KINDS[0]), 0) for item in items]
    return [int(result.score) for result in multiple_choice(model, tokenizer, twos, "byte", batch_size=BATCH)]


@torch.no_grad()
def of_the_desk(seed: int) -> list[dict]:
    """Sampled replies with and without what adds nothing: the reward model's score, and the gold reward."""
    desk = SupportDesk(0)
    policy, tokenizer = load_desk("sft", device="cpu")
    reward, _ = load_desk_reward(device="cpu")
    end = end_of_turn(tokenizer)
    requests = desk.requests(REPLIES, random.Random(seed))
    prompts = [chat_prompt(tokenizer, each.text) for each in requests]
    written = sample_replies(policy, prompts, end, 48, generator=torch.Generator().manual_seed(seed))
    texts = [tokenizer.decode(reply) for reply in written.replies]
    kept = [i for i, text in enumerate(texts) if 0 < len(text.split()) <= 30]
    found = []
    for added in ("", *ADDED):
        longer = [f"{texts[i].strip()} {added}".strip() for i in kept]
        replies = [tokenizer.encode(" " + text) for text in longer]
        scores = reward.score([prompts[i] for i in kept], replies, end)
        gold = [desk.gold(requests[i], text) for i, text in zip(kept, longer)]
        found.append(dict(added=added, scores=[round(x, 3) for x in scores.tolist()], gold=[round(x, 3) for x in gold],
                          words=[len(text.split()) for text in longer], seed=seed))  # fmt: skip
    return found


def main() -> None:
    torch.set_num_threads(1)
    modules = ["llmlib.evaluate.scoring", "llmlib.evaluate.choices", "llmlib.align.reward_models",
               "llmlib.data.support_desk"]  # fmt: skip
    experiment = Experiment("judge_bias", script=__file__, modules=modules, seeds=SEEDS)
    desk = [run for seed in SEEDS for run in experiment.once(f"desk, {seed}", of_the_desk, seed)]
    for run in desk:
        print(run["seed"], run["added"], sum(run["scores"]) / len(run["scores"]), sum(run["gold"]) / len(run["gold"]))
    model, tokenizer = load_smollm2("cpu", fallback=False)
    items = choice_questions("openbookqa", "report")[:PAIRS]
    odds = {kind: experiment.once(kind, judged, model, tokenizer, kind, items) for kind in KINDS}
    for kind, each in odds.items():
        as_a = sum(a > 0 for a, _ in each) / PAIRS
        as_b = sum(b > 0 for _, b in each) / PAIRS
        print(kind, f"first wins as A {as_a:.2f}, as B {as_b:.2f}, both {sum(a + b > 0 for a, b in each) / PAIRS:.2f}")
    direct = experiment.once("direct", asked_directly, model, tokenizer, items)
    print("direct", sum(direct) / PAIRS, flush=True)
    experiment.save(dict(desk=desk, odds=odds, direct=direct, padding=PADDING, added=ADDED))


if __name__ == "__main__":
    main()
