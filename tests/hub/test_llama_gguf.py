"""A small Llama written as GGUF here and read back, equal to transformers; and files that contradict themselves."""

import struct

import pytest
import torch
import transformers

from llmlib.hub import GGUFError
from llmlib.hub.llama_gguf import load_llama_gguf
from llmlib.infer import token_step

SHAPE = {
    "block_count": 2,
    "embedding_length": 48,
    "feed_forward_length": 72,
    "context_length": 24,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.freq_base": 500.0,
}
NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def llama(tie):
    torch.manual_seed(0)
    reference = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=97, num_hidden_layers=2, hidden_size=48, num_attention_heads=4, num_key_value_heads=2,
            intermediate_size=72, max_position_embeddings=24, rms_norm_eps=1e-5, tie_word_embeddings=tie,
            rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        )
    )  # fmt: skip
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return reference.eval()


def gguf_tensors(reference):
    """Our own writing of llama.cpp's conversion: its names, and each head's query and key rows in pairs."""
    tensors = {}
    for name, tensor in reference.named_parameters():
        path = name.removesuffix(".weight")
        number, _, part = path.removeprefix("model.layers.").partition(".")
        if part in NAMES:
            path = f"blk.{number}.{NAMES[part]}"
        else:
            path = NAMES[path]
        if path.endswith(("attn_q", "attn_k")):
            tensor = torch.stack([row for head in tensor.split(12) for i in range(6) for row in (head[i], head[i + 6])])
        tensors[f"{path}.weight"] = tensor.detach()
    return tensors


def write(path, tensors, **changes):
    """GGUF 3 with float32 tensors; a change of None leaves the entry out."""

    def string(text):
        return struct.pack("<Q", len(text.encode())) + text.encode()

    entries = {"general.architecture": "llama"} | {f"llama.{key}": value for key, value in SHAPE.items()}
    entries = {key: value for key, value in (entries | changes).items() if value is not None}
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries))
    for key, value in entries.items():
        kind, content = (8, string(value)) if isinstance(value, str) else (4, None)
        if isinstance(value, float):
            kind, content = 6, struct.pack("<f", value)
        head += string(key) + struct.pack("<I", kind) + (content or struct.pack("<I", value))
    data = b""
    for name, tensor in tensors.items():
        dims = tuple(reversed(tensor.shape))
        head += string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, 0, len(data))
        data += tensor.numpy().tobytes() + bytes(-tensor.nbytes % 32)
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path


@pytest.mark.parametrize("tie", [True, False])
def test_equal_to_transformers(tie, tmp_path):
    reference = llama(tie)
    model, metadata = load_llama_gguf(write(tmp_path / "tiny.gguf", gguf_tensors(reference)))
    assert metadata["general.architecture"] == "llama"
    assert model.config.norm_eps == 1e-5 and model.config.rope_theta == 500.0 and model.config.tie_embeddings == tie
    assert not model.training and token_step(model) is not None
    ids = torch.randint(97, (2, 24))
    with torch.inference_mode():
        assert (model(ids) - reference(ids).logits).abs().max() <= 1e-4


def test_in_half_precision(tmp_path):
    path = write(tmp_path / "tiny.gguf", gguf_tensors(llama(True)))
    exact, half = load_llama_gguf(path)[0], load_llama_gguf(path, dtype=torch.bfloat16)[0]
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert torch.equal(half.blocks[1].attention.q_proj.weight, exact.blocks[1].attention.q_proj.weight.bfloat16())


def without(tensors, name):
    return {key: tensor for key, tensor in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"general.architecture": "qwen2"}, "architecture 'qwen2'; expected llama"),
        ({"general.architecture": None}, "architecture None"),
        ({"llama.rope.freq_base": None}, "no entry 'llama.rope.freq_base'"),
        ({"llama.block_count": 3}, "llama.block_count is 3, not a whole number from 1 to 2"),
        ({"llama.block_count": 0}, "block_count is 0"),
        ({"llama.block_count": 1}, "has a tensor 'blk.1.attn_q.weight', which is no part"),
        ({"llama.block_count": 1.5}, "block_count is 1.5"),
        ({"llama.context_length": 1 << 31}, "context_length is 2147483648"),
        ({"llama.attention.head_count_kv": 3}, "cannot be built: n_kv_heads 3 does not divide"),
        ({"llama.embedding_length": 96}, r"has shape \(\d+.*its metadata say"),
        ({"llama.rope.freq_base": 0.0}, "rope_theta is 0.0"),
        ({"llama.rope.freq_base": float("nan")}, "rope_theta is nan"),
    ],
)
def test_metadata_that_cannot_be_right(changes, message, tmp_path):
    path = write(tmp_path / "tiny.gguf", gguf_tensors(llama(True)), **changes)
    with pytest.raises(GGUFError, match=message) as error:
        load_llama_gguf(path)
    assert "tiny.gguf" in str(error.value) and "\n" not in str(error.value)


def test_tensors_that_are_missing_or_strange(tmp_path):
    tensors = gguf_tensors(llama(True))
    for changed, message in (
        (without(tensors, "token_embd.weight"), "no entry 'token_embd.weight'"),
        (without(tensors, "blk.1.ffn_up.weight"), "no tensor 'blk.1.ffn_up.weight', which its metadata promise"),
        (tensors | {"blk.0.attn_q.bias": torch.zeros(48)}, "has a tensor 'blk.0.attn_q.bias', which is no part"),
        (tensors | {"rope_freqs.weight": torch.zeros(6)}, "has a tensor 'rope_freqs.weight'"),
    ):
        with pytest.raises(GGUFError, match=message):
            load_llama_gguf(write(tmp_path / "tiny.gguf", changed))
