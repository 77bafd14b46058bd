"""Greedy decoding of SmolLM2-135M in fp32, one prompt: llmlib.infer.generation against transformers' generate.

The same weights, prompt and number of new tokens, a key-value cache in both, transformers with its sdpa attention. The
new tokens must be the same. The two take turns, so that whatever else the machine does meets both; the medians count.
Each number of threads runs in a process of its own. The aim is at least 1.8 times the tokens per second of
transformers with one thread and 2.5 times with two. The ratios come last.

How far a ratio can go depends on the machine's memory, which both read at the same speed. So each round also times the
matrix products of one token alone, as our step computes them: their sum is a ceiling that no decoder of these weights
passes here and now, and the share of it that we reach stands beside the ratio.

    python benchmarks/decode_vs_transformers.py [--threads 1 2] [--new-tokens 128] [--rounds 5]

Wall-clock time counts. On a machine that does other work as well, `--clock processor` gives a steadier ratio for one
thread: the seconds that the process itself has used.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from llmlib.hub import load_smollm2
from llmlib.infer import generate, token_step
from llmlib.infer.cpu_decoder import weighted_sum
from llmlib.model import Transformer
from llmlib.text import encode_chat

QUESTION = "Explain in a few sentences why the sky is blue."
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def transformers_llama(model: Transformer):
    """transformers' Llama with the same numbers, each matrix by rows as transformers has it; nothing is downloaded."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    config = LlamaConfig(
        vocab_size=model.config.vocab_size, hidden_size=model.config.d_model, intermediate_size=model.config.d_ff,
        num_hidden_layers=model.config.n_layers, num_attention_heads=model.config.n_heads,
        num_key_value_heads=model.config.n_kv_heads, max_position_embeddings=model.config.max_seq_len,
        rms_norm_eps=model.config.norm_eps, tie_word_embeddings=True, attn_implementation="sdpa",
        rope_parameters={"rope_type": "default", "rope_theta": model.config.rope_theta},
    )  # fmt: skip
    with torch.device("meta"):
        reference = LlamaForCausalLM(config)
    names = {"token_embedding": "embed_tokens", "final_norm": "norm", "norm1": "input_layernorm"}
    names |= {"norm2": "post_attention_layernorm", "attention": "self_attn", "blocks": "layers"}
    weights = {}
    for name, tensor in model.state_dict().items():
        weights["model." + ".".join(names.get(part, part) for part in name.split("."))] = tensor.contiguous()
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    reference.load_state_dict(weights, assign=True)
    reference.model.rotary_emb = LlamaRotaryEmbedding(config)  # its table was on the meta device
    reference.tie_weights()
    return reference.eval()


def products_only(model: Transformer) -> Callable[[int], None]:
    """A function that computes the matrix products of n tokens, and nothing else."""
    step = token_step(model)
    assert step is not None, "the fast step does not take over: there is nothing to compare"
    matrices = [columns for layer in step.layers for columns in (layer.qkv, layer.o, layer.gate_up, layer.down)]
    matrices.append(step.head)
    inputs = [torch.randn(len(columns)) for columns in matrices]

    @torch.inference_mode()
    def run(n: int) -> None:
        for _ in range(n):
            for columns, vector in zip(matrices, inputs, strict=True):
                weighted_sum(columns, vector)

    return run


def compare(threads: int, new_tokens: int, rounds: int, clock: Callable[[], float]) -> tuple[float, float]:
    """Tokens per second of both; returns the ratio of the medians, and our share of the ceiling."""
    torch.set_num_threads(threads)
    model, tokenizer = load_smollm2(device="cpu", fallback=False)
    reference = transformers_llama(model)
    prompt = encode_chat(tokenizer, [{"role": "user", "content": QUESTION}])
    ids = torch.tensor([prompt])

    def ours() -> list[int]:
        return generate(model, prompt, max_new_tokens=new_tokens, greedy=True)

    def theirs() -> list[int]:
        out = reference.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=new_tokens, min_new_tokens=new_tokens,
            do_sample=False, use_cache=True, pad_token_id=0, eos_token_id=None,
        )  # fmt: skip
        return out[0, len(prompt) :].tolist()

    if ours() != theirs():  # warms both up, too
        raise SystemExit("the new tokens differ: this is no comparison of the same work")
    products = products_only(model)
    products(2)
    rates: dict[Callable, list[float]] = {ours: [], theirs: [], lambda: products(new_tokens): []}
    for _ in range(rounds):
        for decode, measured in rates.items():
            start = clock()
            decode()
            measured.append(new_tokens / (clock() - start))
    for name, measured in zip(("llmlib", "transformers", "products only"), rates.values(), strict=True):
        spread = f"{min(measured):.1f} to {max(measured):.1f}"
        print(f"{threads} thread(s)  {name:13}  {statistics.median(measured):6.1f} tokens/s   ({spread})", flush=True)
    mine, peers, ceiling = map(statistics.median, rates.values())
    return mine / peers, mine / ceiling


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.worker:
        (threads,) = settings.threads
        print(*compare(threads, settings.new_tokens, settings.rounds, CLOCKS[settings.clock]))
        return
    ratios = {}
    for threads in settings.threads:
        command = [sys.executable, __file__, "--worker", "--threads", str(threads), "--clock", settings.clock]
        command += ["--new-tokens", str(settings.new_tokens), "--rounds", str(settings.rounds)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        environment.pop("OMP_WAIT_POLICY", None)  # threads wait as torch has it, which takes an otherwise idle machine
        run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        *lines, last = run.stdout.splitlines()
        print("\n".join(lines), flush=True)
        ratios[threads] = tuple(map(float, last.split()))
    for threads, (ratio, share) in ratios.items():
        print(f"ratio {ratio:.2f}x with {threads} thread(s), at {share:.0%} of the ceiling of the matrix products")


if __name__ == "__main__":
    main()
