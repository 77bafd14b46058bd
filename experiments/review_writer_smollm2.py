"""Record the same task with a writer whose sentences can be read: SmolLM2-135M learns to please people, for lecture 13.

    OMP_NUM_THREADS=1 python experiments/review_writer_smollm2.py

As in `review_writer.py` the reward is a ridge on human ratings of half of the film-review snippets, and a second ridge
on the other half's ratings judges what comes out. The writer is asked for a critic's sentence and given its first
words; it learns through low-rank adapters (lecture 14) beside weights in bfloat16, at two prices of distance. A run
takes a quarter of an hour of one core.
"""

import argparse
import copy
import itertools

import torch
from review_writer import Judge

from llmlib.adapt import LoRAConfig, apply_lora
from llmlib.align import PPOConfig, chat_prompt, reply_logprobs, sample_replies, train_ppo
from llmlib.data import Experiment, rated_texts, split_ratings
from llmlib.hub import load_smollm2
from llmlib.model import Transformer
from llmlib.text import BPETokenizer

KINDS = "a comedy", "a thriller", "a documentary", "a children's film", "a drama", "a horror film", "a western"
OPENINGS = "The story is", "The actors are", "The ending is", "The dialogue is", "The music is", "The whole film is"
KL_COEFS, SEEDS = (0.2, 0.6), (0, 1)
LONGEST, UPDATES, EVERY, SHOWN = 24, 24, 6, 12
RANK, RATE, BATCH = 8, 2e-3, 32


def writer() -> tuple[Transformer, BPETokenizer]:
    """SmolLM2 in bfloat16, its logits and what the value head reads in float32."""
    model, tokenizer = load_smollm2("cpu", torch.bfloat16, fallback=False)
    model.final_norm.register_forward_hook(lambda _, args, out: out.float())
    model.lm_head.register_forward_pre_hook(lambda _, args: (args[0].bfloat16(),))
    model.lm_head.register_forward_hook(lambda _, args, out: out.float())
    return model, tokenizer


def please(kl_coef: float, seed: int) -> list[dict]:
    """One run of PPO: what its own judge and the other one say as it goes, its distance, and some of its texts."""
    train = split_ratings(rated_texts("film"), seed=0)["train"]
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).tolist()
    proxy, other = Judge([train[i] for i in order[::2]]), Judge([train[i] for i in order[1::2]])
    policy, tokenizer = writer()
    end = tokenizer.special_tokens["<|im_end|>"]
    cases = list(itertools.product(KINDS, OPENINGS))
    request = "Write one short sentence from a critic's review of {}."
    prompts = [chat_prompt(tokenizer, request.format(kind)) + tokenizer.encode(opening) for kind, opening in cases]
    reference = copy.deepcopy(policy).requires_grad_(False)
    targets = ("blocks.*",)
    apply_lora(policy, LoRAConfig(rank=RANK, targets=targets), generator=torch.Generator().manual_seed(seed))
    notes: list[dict] = []

    def look(model: Transformer, metrics: dict[str, float]) -> None:
        if metrics["update"] % EVERY:
            return
        rollout = sample_replies(model, prompts * 2, end, LONGEST, generator=torch.Generator().manual_seed(77))
        texts = [tokenizer.decode(reply) for reply in rollout.replies]
        with torch.no_grad():
            kl = (reply_logprobs(model, rollout) - reply_logprobs(reference, rollout)).sum(1).mean().item()
        distinct = len({word for text in texts for word in text.split()}) / sum(len(text.split()) for text in texts)
        shown = [f"{opening}{text}" for (_, opening), text in zip(cases[:SHOWN], texts)]
        scores = dict(proxy=proxy(texts), other=other(texts))
        notes.append(
            dict(update=metrics["update"], kl=round(kl, 3), finished=round(rollout.finished.float().mean().item(), 3),
                 distinct_words=round(distinct, 4), texts=shown)
            | {name: [round(s.mean().item(), 4), round(s.std().item() / len(s)**0.5, 4)] for name, s in scores.items()}
        )  # fmt: skip
        print(kl_coef, seed, notes[-1], flush=True)

    look(policy, {"update": 0})
    config = PPOConfig(
        updates=UPDATES, batch_size=BATCH, minibatch_size=BATCH // 2, max_new_tokens=LONGEST, lr=RATE, kl_coef=kl_coef,
        seed=seed,
    )  # fmt: skip
    train_ppo(
        policy, lambda _, replies: proxy([tokenizer.decode(reply) for reply in replies]), prompts, config, end=end,
        reference=reference, callbacks=[look],
    )  # fmt: skip
    return notes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = [
        "llmlib.align.ppo", "llmlib.align.updates", "llmlib.align.padding", "llmlib.align.rollouts",
        "llmlib.adapt.lora", "llmlib.data.reviews", "llmlib.hub.llama_gguf",
        "experiments/review_rewards.py", "experiments/review_writer.py",
    ]  # fmt: skip
    experiment = Experiment("review_writer_smollm2", script=__file__, modules=modules, seeds=SEEDS)
    runs = [(kl_coef, seed) for seed in SEEDS for kl_coef in KL_COEFS]
    experiment.save(
        [dict(kl_coef=c, seed=s, looks=experiment.once(f"kl_coef {c}, seed {s}", please, c, s)) for c, s in runs]
    )


if __name__ == "__main__":
    main()
