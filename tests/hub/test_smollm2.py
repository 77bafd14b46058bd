"""SmolLM2 in our core: transformers' logits and greedy tokens, its published shape, and what it says."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from llmlib.data import fetch
from llmlib.hub import GGUFFile, is_stand_in, load_smollm2
from llmlib.infer import generate, stream, token_step
from llmlib.model import KVCache, preset
from llmlib.text import SMOLLM2_SYSTEM, encode_chat

pytestmark = pytest.mark.assets

TEXTS = [
    "The capital of France is Paris. The capital of Germany is",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "1, 2, 3, 4, 5, 6,",
    "naïve café, 日本語, Привет, 😀!",
]


def chat(tokenizer, question, system=None):
    return encode_chat(tokenizer, [{"role": "user", "content": question}], default_system=system)


def prompts(tokenizer):
    talks = [chat(tokenizer, "What is the capital of France?"), chat(tokenizer, "List three fruits.", SMOLLM2_SYSTEM)]
    return [tokenizer.encode(text) for text in TEXTS] + talks


def test_it_is_the_published_model(smollm2):
    model, tokenizer = smollm2
    assert model.config == preset("smollm2-135m") and not model.training and not is_stand_in(model)
    assert model.num_parameters() == 134_515_008
    assert tokenizer.vocab_size == model.config.vocab_size == 49_152
    assert all(p.dtype == torch.float32 and p.requires_grad for p in model.parameters())
    with GGUFFile(fetch("smollm2")) as file:
        stored = file.read("blk.7.ffn_down.weight"), file.read("blk.29.attn_q.weight"), file.read("token_embd.weight")
    down, q, table = (torch.from_numpy(values) for values in stored)
    assert torch.equal(model.blocks[7].mlp.down_proj.weight, down)
    assert torch.equal(model.token_embedding.weight, table)
    pairs = q.view(9, 32, 2, 576)  # the file keeps the two rows of a rotated pair together
    ours = model.blocks[29].attention.q_proj.weight.view(9, 2, 32, 576)
    assert torch.equal(ours[:, 0], pairs[:, :, 0]) and torch.equal(ours[:, 1], pairs[:, :, 1])


@torch.inference_mode()
def test_logits_equal_transformers(smollm2, smollm2_in_transformers):
    model, tokenizer = smollm2
    worst = 0.0
    for ids in prompts(tokenizer):
        ours, theirs = model(torch.tensor([ids])), smollm2_in_transformers(torch.tensor([ids])).logits
        worst = max(worst, (ours - theirs).abs().max().item())
        assert torch.equal(ours.argmax(-1), theirs.argmax(-1))
    assert worst <= 1e-3, worst


@torch.inference_mode()
def test_one_token_at_a_time_gives_the_same_logits(smollm2, smollm2_in_transformers):
    model, tokenizer = smollm2
    step, cache = token_step(model), KVCache(model.config)
    ids = torch.tensor([tokenizer.encode(TEXTS[0])])
    logits = torch.stack([step(ids[:, i], cache) for i in range(ids.shape[1])], 1)
    assert (logits - smollm2_in_transformers(ids).logits).abs().max() <= 1e-3


def test_greedy_tokens_equal_transformers_where_the_margin_is_clear(smollm2, smollm2_in_transformers):
    """A near-tie may fall either way by rounding, so what follows one is not compared; few tokens are."""
    model, tokenizer = smollm2
    compared = 0
    for prompt in prompts(tokenizer):
        new = generate(model, prompt, max_new_tokens=12, greedy=True)
        with torch.inference_mode():
            logits = smollm2_in_transformers(torch.tensor([prompt + new])).logits[0, len(prompt) - 1 : -1]
        best, second = logits.topk(2).values.unbind(-1)
        for token, row, margin in zip(new, logits, best - second, strict=True):
            if margin < 1e-2:
                break
            assert token == row.argmax()
            compared += 1
    assert compared >= 60


def test_it_answers(smollm2):
    model, tokenizer = smollm2
    end = tokenizer.special_tokens["<|im_end|>"]
    prompt = chat(tokenizer, "What is the capital of France?")
    options = dict(tokenizer=tokenizer, max_new_tokens=20, stop_tokens=[end], greedy=True)
    reply = tokenizer.decode(generate(model, prompt, **options))
    assert "Paris" in reply
    assert "".join(stream(model, prompt, **options)) == reply


def test_a_prompt_longer_than_the_context_is_refused_at_once(smollm2):
    model, _ = smollm2
    with pytest.raises(ValueError, match=r"prompt of 8193 tokens .* max_seq_len=8192; use a shorter prompt"):
        generate(model, [5] * 8193, max_new_tokens=1)
    with pytest.raises(ValueError, match="max_new_tokens of at most 3"):
        generate(model, [5] * 8190, max_new_tokens=4)
    with pytest.raises(ValueError, match="context overflow: 8193 tokens > max_seq_len 8192; shorten the input"):
        model.hidden(torch.full((1, 8193), 5))


def test_other_precisions(smollm2):
    exact, tokenizer = smollm2
    model, _ = load_smollm2(device="cpu", dtype=torch.bfloat16, fallback=False)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16} and token_step(model) is None
    prompt = torch.tensor([tokenizer.encode(TEXTS[0])])
    with torch.inference_mode():
        assert model(prompt)[0, -1].argmax() == exact(prompt)[0, -1].argmax()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to tell a process's peak memory")
def test_memory_while_loading(record_testsuite_property):
    """The weights are 538 MB, torch and the mapped file about 330; no matrix is held twice."""
    code = (
        "from pathlib import Path; from llmlib.hub import load_smollm2; load_smollm2(device='cpu', fallback=False);"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    peak = int(run.stdout) / 1000
    record_testsuite_property("smollm2_peak_memory_mb", round(peak))
    assert 538 < peak < 1000, peak
