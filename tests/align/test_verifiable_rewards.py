"""Reinforcement learning with verifiable rewards: GRPO on arithmetic, judged by a program. Seconds, not a result."""

import dataclasses
import random

import pytest
import torch

from llmlib.align import GRPOConfig, best_of_n, sample_replies, train_grpo
from llmlib.data import Addition, AnyOrderSum, ShellGame, encode_problems, verifiable_reward
from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer
from llmlib.train import next_token_loss


def prepared(task, problems, steps, updates, seed=0):
    """A model that has seen a little of how replies look, its tokenizer and the problems' prompts as ids."""
    tokenizer = CharTokenizer(task.alphabet)
    config = ModelConfig(vocab_size=tokenizer.vocab_size, n_layers=1, d_model=32, n_heads=2, max_seq_len=40)
    model = Transformer(config)
    model.init_weights(torch.Generator().manual_seed(seed))
    rows = encode_problems(problems, tokenizer.encode, steps)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(updates):
        total, count = next_token_loss(model, rows)
        optimizer.zero_grad()
        (total / count).backward()
        optimizer.step()
    return model.eval(), tokenizer, [tokenizer.encode(problem.prompt) for problem in problems]


def share_right(model, prompts, reward, end, n=200):
    """Of n sampled replies to each prompt, the share that is right."""
    several = prompts * n
    chance = torch.Generator().manual_seed(1)
    rollout = sample_replies(model, several, end, 12, generator=chance)
    return reward(several, rollout.replies).mean().item()


def test_grpo_learns_a_chain_from_nothing_but_right_and_wrong():
    """One game, nine chains, one of them right: the model has seen all nine equally often, and how replies end."""
    task = ShellGame(3, 2)
    problem = task.problem(1, [[1, 2], [2, 3]])
    chains = [dataclasses.replace(problem, steps=(step,), answer=answer) for step in "123" for answer in "123"]
    model, tokenizer, prompts = prepared(task, chains, steps=True, updates=25)
    prompts, end = prompts[:1], tokenizer.encode("\n")[0]
    reward = verifiable_reward([problem], prompts, tokenizer.decode, task.chain_is_right)
    before = share_right(model, prompts, reward, end)
    config = GRPOConfig(
        updates=25, max_new_tokens=4, prompts_per_update=1, group_size=24, minibatch_size=24, epochs=1, lr=5e-3,
        kl_coef=0.0, truncated_reward=0.0,
    )  # fmt: skip
    history = train_grpo(model, reward, prompts, config, end=end)
    after = share_right(model, prompts, reward, end)
    assert before < 0.25 and after > 0.6
    assert history[-1]["reward"] > history[0]["reward"] + 0.3
    assert {"reward", "length", "finished"} <= set(history[0]), "accuracy and length against updates"
    best = best_of_n(model, reward, prompts, 8, end, 4, generator=torch.Generator().manual_seed(0))
    assert reward(prompts, best).tolist() == [1.0]


def test_a_reward_for_the_whole_chain_is_stricter_than_one_for_its_end():
    task = ShellGame(3, 2)
    problems = task.problems(12, random.Random(0))
    model, tokenizer, prompts = prepared(task, problems, steps=True, updates=5)
    end = tokenizer.encode("\n")[0]
    loose, strict = (
        verifiable_reward(problems, prompts, tokenizer.decode, judge) for judge in (task.is_right, task.chain_is_right)
    )
    rollout = sample_replies(model, prompts * 20, end, 4, generator=torch.Generator().manual_seed(0))
    ends, chains = loose(prompts * 20, rollout.replies), strict(prompts * 20, rollout.replies)
    assert (chains <= ends).all() and 0 < chains.sum() < ends.sum()


@pytest.mark.parametrize("task", [Addition(2), AnyOrderSum(3, 1)])
def test_rewards_may_count_the_steps(task):
    """A reward of one's own: the share of right steps, and half a point for the end."""
    problems = task.problems(3, random.Random(1))
    tokenizer = CharTokenizer(task.alphabet)
    prompts = [tokenizer.encode(problem.prompt) for problem in problems]

    def score(problem, reply):
        parts = problem.parts(reply)
        return sum(task.step_is_right(problem, parts[: i + 1]) for i in range(len(parts))) / (len(problem.steps) + 1)

    reward = verifiable_reward(problems, prompts, tokenizer.decode, score)
    whole = [tokenizer.encode(problem.reply()) for problem in problems]
    first = [tokenizer.encode(problem.steps[0]) for problem in problems]
    n = len(problems[0].steps) + 1
    assert reward(prompts, whole).tolist() == [1.0] * 3
    assert reward(prompts, first).tolist() == pytest.approx([1 / n] * 3)
