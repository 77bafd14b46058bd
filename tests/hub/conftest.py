import pytest
import torch
import transformers
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from llmlib.hub import load_minilm, load_smollm2


@pytest.fixture(scope="session")
def smollm2():
    """(model, tokenizer): the published weights, not the stand-in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LLMLIB_NO_SMOLLM2", raising=False)
        return load_smollm2(device="cpu", fallback=False)


@pytest.fixture(scope="session")
def smollm2_in_transformers(smollm2):
    """transformers' Llama with our numbers under its names; they share memory."""
    model, _ = smollm2
    shape = transformers.LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, max_position_embeddings=8192, rms_norm_eps=1e-5, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
    )  # fmt: skip
    with torch.device("meta"):
        reference = transformers.LlamaForCausalLM(shape)
    ours = dict(model.named_parameters())
    names = {"model.embed_tokens": "token_embedding", "model.norm": "final_norm", "lm_head": "token_embedding"}
    for i in range(30):
        theirs = f"model.layers.{i}."
        names |= {
            theirs + "input_layernorm": f"blocks.{i}.norm1",
            theirs + "post_attention_layernorm": f"blocks.{i}.norm2",
        }
        names |= {theirs + f"self_attn.{p}_proj": f"blocks.{i}.attention.{p}_proj" for p in "qkvo"}
        names |= {theirs + f"mlp.{p}_proj": f"blocks.{i}.mlp.{p}_proj" for p in ("gate", "up", "down")}
    reference.load_state_dict({f"{a}.weight": ours[f"{b}.weight"] for a, b in names.items()}, assign=True)
    reference.model.rotary_emb = LlamaRotaryEmbedding(shape)  # its table was left on the meta device
    return reference.eval()


@pytest.fixture(scope="session")
def minilm():
    """(model, tokenizer)."""
    return load_minilm(device="cpu")
