"""A fast decoder writes what its model writes, to the rounding of its weights, and refuses what it cannot take."""

import copy

import pytest
import torch
from model_families import FAMILIES, build, small_config, tokens
from torch import nn

from llmlib.adapt import (
    FastDecoder,
    LoRAConfig,
    apply_lora,
    decoding_matrices,
    fast_decoder,
    kernels,
    native,
    quantize_model,
)
from llmlib.adapt.fast_decoding import _most_likely
from llmlib.adapt.native import NativeError, forget_native_kernel, native_failure
from llmlib.infer import PromptLookup, Reader, decoding_layout, generate, sample_step, speculative_generate
from llmlib.model import Transformer
from llmlib.model.layers import RMSNorm

LLAMAS = {
    "grouped": dict(n_kv_heads=2),
    "interleaved": dict(rope_layout="interleaved", rope_theta=500.0),
    "multi-query, own head": dict(n_kv_heads=1, tie_embeddings=False),
    "wide heads": dict(head_dim=12, d_ff=40, norm_eps=1e-3),
}
needs_native = pytest.mark.skipif(native_failure() is not None, reason=f"no native kernel: {native_failure()}")
KERNELS = ["torch", pytest.param("native", marks=needs_native)]


def llama(**changes) -> Transformer:
    """Small, and with sizes that every kernel takes; an own head, so that quantized heads leave the embedding alone."""
    fields = dict(vocab_size=64, d_model=64, n_kv_heads=2, d_ff=96, tie_embeddings=False)
    return build(small_config("llama", **(fields | changes)))


def passes(decoder: FastDecoder, ids: list[int]) -> dict[str, torch.Tensor]:
    """The logits after every token, read in three ways."""
    whole = decoder.read(ids, last=len(ids))
    decoder.truncate(0)
    steps = torch.stack([decoder.step(token) for token in ids])
    decoder.truncate(2)
    parts = torch.cat([steps[:2], decoder.read(ids[2:5], last=3), decoder.read(ids[5:], last=len(ids) - 5)])
    assert decoder.columns == len(ids)
    return {"whole": whole, "steps": steps, "parts": parts}


def check_logits(decoder: FastDecoder, model: nn.Module, tolerance: float) -> None:
    """Root mean square of the difference, as a share of the logits' own spread."""
    ids = tokens(1, 12)[0].tolist()
    with torch.no_grad():
        expected = model(torch.tensor([ids]))[0]
    for way, logits in passes(decoder, ids).items():
        assert logits.shape == expected.shape and not logits.requires_grad
        error = float((logits - expected).square().mean().sqrt() / expected.std())
        assert error < tolerance, (way, error)


@pytest.mark.parametrize("name", LLAMAS)
@pytest.mark.parametrize("layout", [False, True])
def test_float32_equals_the_model(name, layout):
    model = build(small_config("llama", **LLAMAS[name]))
    if layout:
        decoding_layout(model)
    decoder = fast_decoder(model, "fp32")
    check_logits(decoder, model, 1e-5)
    prompt = tokens(1, 5, seed=3)[0].tolist()
    written = decoder.generate(prompt, 20, greedy=True)
    assert written.answer == written.tokens == generate(model, prompt, max_new_tokens=20, greedy=True)
    assert written.finish == "length" and (written.logprobs == 0).all()
    expected = generate(model, prompt, max_new_tokens=20, greedy=True, return_logprobs=True)
    torch.testing.assert_close(written.raw_logprobs, expected.raw_logprobs, atol=1e-4, rtol=1e-4)


def test_two_threads_write_the_same():
    model, prompt, before = llama(), tokens(1, 5)[0].tolist(), torch.get_num_threads()
    for weights in ("fp32", "bf16", "int8", "int4"):
        texts = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            try:
                texts.append(fast_decoder(model, weights).generate(prompt, 6, greedy=True).answer)
            finally:
                torch.set_num_threads(before)
        assert len(texts[1]) == 6 and (weights == "bf16" or texts[0] == texts[1])


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("weights", ["bf16", "int8", "int4"])
def test_the_rounded_weights_are_those_of_quantize_model(weights, kind):
    if weights == "bf16" and kind == "native":
        pytest.skip("native is for integers")
    model = llama()
    decoder = fast_decoder(model, weights, kernels=kind)
    if weights == "int4":
        quantize_model(model, "rtn", head=8, form="simulated")
    elif weights == "int8" and kind == "torch":
        quantize_model(model, "absmax", bits=8, group_size="channel", head=8, form="simulated")
    elif weights == "int8":
        quantize_model(model, "q8_0", targets="*", form="simulated")
    check_logits(decoder, model, 0.05)  # activations of bfloat16, or of 8 bits
    names = {"torch": f"{weights} body: torch {weights}", "native": f"{weights} body: native {weights}"}
    assert decoder.kernels.startswith("bf16 body: torch by columns" if weights == "bf16" else names[kind])


def test_matrices_that_torch_s_kernel_does_not_take_stand_beside_others():
    model = llama(n_heads=8, n_kv_heads=1, head_dim=12, vocab_size=61)
    decoder = fast_decoder(model, "int4", head="int4", kernels="torch")
    assert decoder.kernels.startswith("int4 body: torch by columns and torch int4; int4 head: torch by")
    quantize_model(model, "rtn", targets="*", form="simulated")
    check_logits(decoder, model, 0.05)


@needs_native
@pytest.mark.parametrize("sizes", [dict(vocab_size=61), dict(n_kv_heads=1, n_heads=8, head_dim=8, d_ff=64)])
def test_native_takes_any_number_of_outputs(sizes):
    model = llama(tie_embeddings=True, **sizes)
    decoder = fast_decoder(model, "int4", head="int8", kernels="native")
    quantize_model(model, "rtn", form="simulated")
    check_logits(decoder, model, 0.08)


def test_quantized_layers_keep_their_codes():
    """Codes that rounding the numbers once more would not find again, as GPTQ's: none is 0 or 15."""
    model = llama()
    quantize_model(model, "rtn", form="packed")
    for part in model.modules():
        if hasattr(part, "packed"):
            part.packed.bitwise_and_(0x77).bitwise_or_(0x22)
    plain = copy.deepcopy(model)
    check_logits(fast_decoder(model, "int4", head="fp32", kernels="torch"), plain, 0.03)
    if native_failure() is None:
        check_logits(fast_decoder(model, "int4", kernels="native"), plain, 0.03)
    check_logits(fast_decoder(model, "fp32"), plain, 1e-4)


def test_bytes_are_counted():
    model = llama()
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and "embedding" not in name]
    n, gains = sum(p.numel() for p in matrices), sum(p.nbytes for p in model.parameters() if p.dim() == 1)
    n_head, embedding = model.lm_head.weight.numel(), model.token_embedding.weight.numel()
    wide = fast_decoder(model, "fp32")
    assert wide.bytes_per_token == 4 * n and wide.nbytes == 4 * (n + embedding) + gains
    assert fast_decoder(model, "int4", kernels="torch").nbytes > 2 * (n - n_head), "the copy for reading prompts"
    assert wide.cache_nbytes == 3 * 40 * 2 * 2 * 16 * 4 and wide.max_len == 40
    if native_failure() is None:
        narrow = fast_decoder(model, "int4", kernels="native")
        assert narrow.bytes_per_token == (n - n_head) * 5 / 8 + n_head * 8.5 / 8
        tied = llama(tie_embeddings=True)
        assert fast_decoder(tied, "int4").nbytes == narrow.bytes_per_token + gains, "no embedding beside the head"


def test_the_model_may_go_and_the_decoder_stays():
    model, prompt = llama(), [1, 2, 3]
    decoder = fast_decoder(model, "int8")
    before = decoder.generate(prompt, 5, greedy=True).answer
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert decoder.generate(prompt, 5, greedy=True).answer == before


def test_sampling_stopping_and_several_prompts():
    model = llama()
    decoder, prompts = fast_decoder(model, "fp32"), [[1, 2, 3], [4]]
    for settings in (dict(temperature=0.8), dict(top_k=5), dict(top_p=0.7)):
        both = [
            make(prompts[0], max_new_tokens=9, generator=torch.Generator().manual_seed(1), **settings)
            for make in (
                decoder.generate,
                lambda *args, **kwargs: generate(model, *args, return_logprobs=True, **kwargs),
            )
        ]
        assert both[0].tokens == both[1].tokens
        torch.testing.assert_close(both[0].logprobs, both[1].logprobs, atol=1e-4, rtol=1e-4)
    several = decoder.generate(prompts, 6, greedy=True)
    assert [each.answer for each in several] == generate(model, prompts, max_new_tokens=6, greedy=True)
    stop = several[0].tokens[3]
    stopped = decoder.generate(prompts[0], 6, greedy=True, stop_tokens=[stop])
    end = several[0].tokens.index(stop)
    assert stopped.tokens == several[0].tokens[: end + 1] and stopped.answer == stopped.tokens[:-1]
    assert stopped.finish == "stop_token"
    assert decoder.generate(prompts[0], 0).tokens == [] and len(decoder.prefill(prompts[0])) == 64


def test_the_most_likely_token_is_that_of_sample_step():
    for width, size in ((4, 12), (1, 7), (96, 96 * 5)):
        for seed in range(5):
            logits = torch.randn(size, generator=torch.Generator().manual_seed(seed)).round()  # with ties
            expected = sample_step(logits, greedy=True)
            token, logprob, raw = _most_likely(logits, width)
            assert token == int(logits.argmax()) == int(expected.tokens) and logprob == 0
            assert raw == pytest.approx(float(expected.raw_logprobs), abs=1e-5)
    for bad in (float("nan"), float("inf")):
        logits[3] = bad
        assert _most_likely(logits, 96) is None


@pytest.mark.parametrize("weights", ["fp32", "int4"])
def test_it_drafts_and_is_drafted_for(weights):
    model = llama()
    decoder, prompt = fast_decoder(model, weights), [1, 2, 3, 1, 2, 3]
    assert isinstance(decoder, Reader)
    alone = decoder.generate(prompt, 20, greedy=True).answer
    drafted = speculative_generate(decoder, PromptLookup(), prompt, 20, greedy=True)
    if weights == "fp32":
        assert drafted.answer == alone
    exact = generate(model, prompt, max_new_tokens=20, greedy=True)
    assert speculative_generate(model, decoder, prompt, 20, greedy=True).answer == exact
    with pytest.raises(ValueError, match="max_len is 8"):
        speculative_generate(fast_decoder(model, weights, max_len=8), PromptLookup(), prompt, 20)


def test_what_is_missing_is_replaced_and_said(monkeypatch):
    model = llama()
    plain = copy.deepcopy(model)
    quantize_model(plain, "rtn", head=8, form="simulated")
    monkeypatch.setenv("LLMLIB_NO_NATIVE", "1")
    forget_native_kernel()
    try:
        decoder = fast_decoder(model, "int4")
        assert decoder.kernels.startswith(
            "int4 body: torch int4; int8 head: torch int8 (no native kernel: switched off"
        )
        with pytest.raises(NativeError, match="switched off"):
            fast_decoder(model, "int4", kernels="native")
    finally:
        forget_native_kernel()
    monkeypatch.delenv("LLMLIB_NO_NATIVE")
    monkeypatch.setattr(kernels, "has_kernel", lambda name: False)
    decoder = fast_decoder(model, "int4", kernels="torch")
    assert decoder.kernels.startswith("int4 body: torch by columns")
    check_logits(decoder, plain, 0.03)
    monkeypatch.setattr(decoding_matrices, "fast_bags", lambda: False)
    check_logits(fast_decoder(model, "fp32"), model, 1e-5)


def test_without_bfloat16_instructions(monkeypatch):
    for place in ("fast_decoding", "packed_llama"):
        monkeypatch.setattr(f"llmlib.adapt.{place}.fast_bf16", lambda: False)
    monkeypatch.setattr(decoding_matrices, "fast_bf16", lambda: False)
    model = llama()
    decoder = fast_decoder(model, "bf16")
    assert "no bfloat16 instructions" in decoder.kernels and decoder.bytes_per_token % 4 == 0
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.copy_(parameter.bfloat16())
    check_logits(decoder, model, 1e-3)


@needs_native
def test_auto_needs_integer_instructions(monkeypatch):
    class Slow:
        instructions = "plain C"

    monkeypatch.setattr("llmlib.adapt.packed_llama.native_kernel", Slow)
    assert "without integer instructions" in fast_decoder(llama(), "int4").kernels
    assert native.native_kernel is not Slow


def with_bias(model):
    model.blocks[0].mlp.down_proj.bias = nn.Parameter(torch.zeros(64))


def with_norm(model):
    model.blocks[0].attention.q_norm = RMSNorm(16)


REFUSED = {
    "bias": (with_bias, "blocks.0.mlp.down_proj has a bias"),
    "norm": (with_norm, "normalises queries or keys"),
    "adapter": (lambda model: apply_lora(model, LoRAConfig(rank=2)), "merge adapters first"),
    "kernel form": (lambda model: quantize_model(model, "rtn", form="kernel"), "quantize with form='packed'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_parts_it_cannot_take_apart_are_named(name):
    change, message = REFUSED[name]
    model = llama()
    change(model)
    with pytest.raises(ValueError, match=message):
        fast_decoder(model)


@pytest.mark.parametrize("family", [name for name in FAMILIES if not name.startswith("llama")])
def test_other_families_are_refused(family):
    with pytest.raises(ValueError, match="no Llama"):
        fast_decoder(build(small_config(family)))


def test_bad_requests():
    model = llama()
    for bad, message in (
        (dict(weights="int3"), "weights='int3' is none of fp32, bf16, int8, int4"),
        (dict(head="int2"), "head='int2' is none of"),
        (dict(kernels="cuda"), "kernels='cuda' is none of"),
        (dict(weights="fp32", kernels="native"), "kernels='native' is for int8 and int4"),
        (dict(group_size=48, kernels="torch"), "group_size=48 does not divide"),
        (dict(group_size=16, kernels="native"), "no multiple of the native kernel's 32"),
        (dict(max_len=41), "max_len=41 must be from 1 to max_seq_len, 40"),
        (dict(max_len=0), "max_len=0"),
    ):
        with pytest.raises(ValueError, match=message):
            fast_decoder(model, **bad)
    with pytest.raises(ValueError, match="has 48 inputs"):
        fast_decoder(llama(head_dim=12), kernels="native")
    decoder = fast_decoder(model, "int8", max_len=10)
    decoder.prefill([1, 2, 3])
    for ids, message in (([64], "token 64"), ([], "empty"), ([1] * 8, "cache overflow: 3 tokens read")):
        with pytest.raises(ValueError, match=message):
            decoder.read(ids)
    assert decoder.columns == 3
    with pytest.raises(ValueError, match="max_len=10"):
        decoder.generate([1] * 5, 7)
    with pytest.raises(ValueError, match="max_seq_len=40"):
        decoder.generate([1] * 5, 70)
    with pytest.raises(ValueError, match="keep between 0 and the 3 tokens"):
        decoder.truncate(4)
