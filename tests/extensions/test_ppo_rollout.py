"""A rollout as PPO makes it: several samples a prompt, padded prompts, stop tokens, and the log-probabilities of every
sampled token, equal to what one teacher-forced pass over the finished texts gives."""

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from llmlib.infer import Sampling, filter_logits, generate, log_probability
from llmlib.model import ModelConfig, Transformer

END = 7
PROMPTS = [[3, 9, 27], [11], [40, 2, 5, 8, 30, 1]]
FAMILIES = {
    "gpt2": dict(norm="layernorm", mlp="gelu_tanh", position="learned", bias=True),
    "llama": dict(n_kv_heads=2),
}


def policy(family, **changes):
    torch.manual_seed(0)
    model = Transformer(
        ModelConfig(vocab_size=50, n_layers=2, d_model=32, n_heads=4, max_seq_len=32, **FAMILIES[family] | changes)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(5)  # opinions: a model at birth finds every token equally likely
    return model


def teacher_forced(model, texts, prompt_lengths, sampling=None):
    """Log-probabilities of the tokens after each prompt, in one pass over texts of any lengths: a list of (n_new,)."""
    ids = pad_sequence([torch.tensor(text) for text in texts], batch_first=True)
    real = torch.arange(ids.shape[1]) < torch.tensor([len(text) for text in texts])[:, None]
    logits = model(ids[:, :-1], pad_mask=real[:, :-1])
    if sampling is not None:
        logits = filter_logits(logits, sampling)
    scores = log_probability(logits, ids[:, 1:])
    return [row[n - 1 : len(text) - 1] for row, n, text in zip(scores, prompt_lengths, texts, strict=True)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(temperature=0.7, top_k=20, top_p=0.95)], ids=["plain", "filtered"]
)
def test_the_log_probabilities_of_a_rollout_equal_a_teacher_forced_pass(family, sampling):
    model, chance = policy(family).train(), torch.Generator().manual_seed(1)
    rollout = generate(
        model,
        PROMPTS,
        n=4,
        max_new_tokens=12,
        stop_tokens=[END],
        sampling=sampling,
        generator=chance,
        return_logprobs=True,
    )
    samples = [sample for several in rollout for sample in several]
    prompts = [prompt for prompt in PROMPTS for _ in range(4)]
    assert {sample.finish for sample in samples} == {"stop_token", "length"}, "both kinds of ending are met"
    texts = [prompt + sample.tokens for prompt, sample in zip(prompts, samples, strict=True)]
    for sample in samples:
        assert sample.answer == (sample.tokens[:-1] if sample.finish == "stop_token" else sample.tokens)
        assert (sample.tokens[-1] == END) == (sample.finish == "stop_token") and END not in sample.tokens[:-1]

    raw = teacher_forced(model.eval(), texts, list(map(len, prompts)))
    drawn = teacher_forced(model, texts, list(map(len, prompts)), sampling)
    for sample, theirs, filtered in zip(samples, raw, drawn, strict=True):
        torch.testing.assert_close(sample.raw_logprobs, theirs, atol=1e-5, rtol=0)
        torch.testing.assert_close(sample.logprobs, filtered, atol=1e-5, rtol=0)


def test_a_step_of_ppo_starts_at_ratio_one_and_raises_what_was_rewarded():
    model, chance = policy("llama").eval(), torch.Generator().manual_seed(2)
    samples = generate(model, [5, 6], n=16, max_new_tokens=6, stop_tokens=[END], generator=chance, return_logprobs=True)
    texts, lengths = [[5, 6, *sample.tokens] for sample in samples], [2] * len(samples)
    old = torch.cat([sample.logprobs for sample in samples])
    reward = torch.tensor([float(sample.tokens[0] % 2) for sample in samples])
    assert 0 < reward.mean() < 1
    advantage = torch.cat([(r - reward.mean()).expand(len(s.tokens)) for r, s in zip(reward, samples, strict=True)])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(3):
        ratio = (torch.cat(teacher_forced(model, texts, lengths)) - old).exp()
        if not losses:
            torch.testing.assert_close(ratio, torch.ones_like(ratio), atol=1e-4, rtol=0)
        loss = -torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[2] < losses[1] < losses[0]
