"""Decoding SmolLM2-135M on a CPU in 32, 16, 8 and 4 bits: `fast_decoder` against transformers and llama.cpp.

    python benchmarks/decode_speed.py [--threads 1 2] [--rounds 5]

One prompt, greedy, the same weights for all. The contestants take turns, so that whatever else the machine does meets
all of them, and medians count; each number of threads runs in a process of its own. Tokens a second are those of
decoding alone: the time for n + 1 new tokens less that for one, which reads the prompt. Reading is timed by itself.

How far a rate can go depends on the machine, so each round also measures two ceilings: the matrix products of one
token alone, by the same kernels and at the same places in memory; and the bytes of the packed weights over the rate at
which the sum of a large tensor is read. The shares of both stand beside the rates. Beside the speed stands what it
costs: perplexity on the beginning of Alice in Wonderland, and the KL divergence from float32 there, both step by step
as in decoding. Last come what looking up the prompt gains for three kinds of text, and the aims.

llama.cpp takes part if `llama_cpp` can be imported, with SmolLM2's own file (body Q4_1, head Q8_0); to build it for
this alone, outside the course's environment:

    pip install --no-deps --target FOLDER llama-cpp-python diskcache
    PYTHONPATH=FOLDER python benchmarks/decode_speed.py

Everything measured is also written to build/decode_speed.json. About five minutes on an idle machine of two cores.
"""

import argparse
import copy
import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from decode_vs_transformers import QUESTION, transformers_llama
from torch import Tensor

from llmlib.adapt import FastDecoder, fast_decoder
from llmlib.adapt.native import native_failure
from llmlib.data import alice, fetch
from llmlib.hub import load_smollm2
from llmlib.infer import PromptLookup, speculative_generate
from llmlib.text import encode_chat

OURS = {
    "fp32": ("fp32", "torch"),
    "bf16": ("bf16", "torch"),
    "int8, torch": ("int8", "torch"),
    "int4, torch": ("int4", "torch"),
    "int8, native": ("int8", "native"),
    "int4, native": ("int4", "native"),
}
PEERS = ("transformers fp32", "transformers bf16", "llama.cpp Q4_1")
DRAFTS = 4  # tokens proposed at once
SIZES = {"new": 64, "read": 256, "scored": 256, "looked up": 64}  # tokens
QUICK = {"new": 4, "read": 32, "scored": 12, "looked up": 12}
LETTER = (
    "Dear Ms Okafor, thank you for your letter of 3 March. The shipment of forty wooden chairs left our warehouse in "
    "Leeds on Tuesday and should reach you by Friday. If any chair is damaged, please write to us within ten days and "
    "we will replace it without charge."
)
CODE = """class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)

    def pop(self):
        if not self.items:
            raise IndexError("pop from an empty stack")
        return self.items.pop()


class Queue:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)
"""
TESTS = """def test_add():
    assert add(2, 3) == 5
    assert add(-1, 1) == 0


def test_subtract():
    assert subtract(2, 3) == -1
    assert subtract(-1, 1) == -2


def test_multiply():
"""
KINDS = {
    "copying and editing": [
        f"Repeat this letter word for word:\n\n{LETTER}",
        f"Rewrite this letter so that it is addressed to Mr Silva, and change nothing else:\n\n{LETTER}",
    ],
    "code": [CODE, TESTS],
    "free prose": [QUESTION, "Write a short story about a lighthouse keeper and a storm."],
}


QUIET: list = []


class LlamaCpp:
    """llama.cpp through its own C interface, one context."""

    def __init__(self, threads: int):
        import llama_cpp

        self.api = llama_cpp
        if not QUIET:  # for as long as the process lives: it also logs while it is taken down
            QUIET.append(llama_cpp.llama_log_callback(lambda *_: None))
            llama_cpp.llama_log_set(QUIET[0], ctypes.c_void_p(0))
        self.llama = llama_cpp.Llama(
            str(fetch("smollm2")), n_ctx=1024, n_batch=512, n_threads=threads, n_threads_batch=threads, verbose=False
        )
        self.context, self.size = self.llama.ctx, self.llama.n_vocab()

    def reset(self) -> None:
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)

    def read(self, ids: list[int]) -> np.ndarray:
        """Logits after the last of these, a view that the next call overwrites."""
        tokens = (self.api.llama_token * len(ids))(*ids)
        if self.api.llama_decode(self.context, self.api.llama_batch_get_one(tokens, len(ids))):
            raise RuntimeError("llama_decode failed")
        return np.ctypeslib.as_array(self.api.llama_get_logits_ith(self.context, -1), (self.size,))

    def read_anew(self, ids: list[int]) -> np.ndarray:
        self.reset()
        return self.read(ids)

    def step_through(self, ids: list[int]) -> Tensor:
        self.reset()
        return torch.from_numpy(np.stack([self.read([token]).copy() for token in ids]))

    def write(self, prompt: list[int], n: int) -> list[int]:
        self.reset()
        tokens = [int(self.read(prompt).argmax())]
        while len(tokens) < n:
            tokens.append(int(self.read(tokens[-1:]).argmax()))
        return tokens


def write_ours(decoder: FastDecoder, prompt: list[int], n: int) -> list[int]:
    return decoder.generate(prompt, n, greedy=True).tokens


def write_theirs(reference, prompt: list[int], n: int) -> list[int]:
    ids = torch.tensor([prompt])
    out = reference.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=n, min_new_tokens=n, do_sample=False, use_cache=True,
        pad_token_id=0, eos_token_id=None,
    )  # fmt: skip
    return out[0, len(prompt) :].tolist()


@torch.inference_mode()
def read_theirs(reference, ids: list[int]) -> Tensor:
    return reference(torch.tensor([ids]), use_cache=True, logits_to_keep=1).logits


def step_through(decoder: FastDecoder, ids: list[int]) -> Tensor:
    decoder.truncate(0)
    return torch.stack([decoder.step(token) for token in ids])


def seconds(work: Callable, *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def all_products(decoder: FastDecoder, n: int) -> None:
    """The matrix products of n tokens and nothing else."""
    products, threads = decoder.products(), torch.get_num_threads()
    with torch.inference_mode():
        for _ in range(n):
            for product in products:
                product(threads)


class Contest:
    """All contestants in this process, on so many threads."""

    def __init__(self, threads: int, sizes: dict[str, int]):
        torch.set_num_threads(threads)
        self.sizes, self.notes = sizes, []
        model, self.tokenizer = load_smollm2(device="cpu", fallback=False)
        self.text = self.tokenizer.encode(alice()[:20_000])
        self.decoders: dict[str, FastDecoder] = {}
        for name, (weights, kernels) in OURS.items():
            if kernels == "native" and native_failure() is not None:
                self.notes.append(f"{name}: {native_failure()}")
            else:
                self.decoders[name] = fast_decoder(model, weights, kernels=kernels, max_len=1024)
        reference = transformers_llama(model)
        self.peers = dict(zip(PEERS, (reference, copy.deepcopy(reference).to(torch.bfloat16))))
        self.write = {name: partial(write_ours, decoder) for name, decoder in self.decoders.items()}
        self.read: dict[str, Callable] = {name: decoder.prefill for name, decoder in self.decoders.items()}
        for name, peer in self.peers.items():
            self.write[name], self.read[name] = partial(write_theirs, peer), partial(read_theirs, peer)
        self.llama: LlamaCpp | None = None
        try:
            self.llama = LlamaCpp(threads)
            self.write[PEERS[2]], self.read[PEERS[2]] = self.llama.write, self.llama.read_anew
        except ImportError as error:
            self.notes.append(f"llama.cpp: {error}")

    def chat(self, text: str) -> list[int]:
        return encode_chat(self.tokenizer, [{"role": "user", "content": text}])

    def rates(self, rounds: int) -> tuple[dict[str, dict], float]:
        """Decoding in turns, and the ceilings between them -> a row for each, and bytes a second of memory."""
        prompt, n = self.chat(QUESTION), self.sizes["new"]
        first = {name: write(prompt, 8) for name, write in self.write.items()}  # warms up, too
        if first["fp32"] != first[PEERS[0]]:
            raise SystemExit("ours and transformers write different tokens in fp32: this is not the same work")
        times: dict[str, list[float]] = {name: [] for name in self.write}
        alone: dict[str, list[float]] = {name: [] for name in self.decoders}
        memory, large = [], torch.ones(100_000_000)
        for decoder in self.decoders.values():
            all_products(decoder, 2)
        for _ in range(rounds):
            for name, write in self.write.items():
                reading = seconds(write, prompt, 1)
                times[name].append((seconds(write, prompt, n + 1) - reading) / n)
                if name in alone:
                    alone[name].append(seconds(all_products, self.decoders[name], n) / n)
            memory.append(large.nbytes / min(seconds(large.sum) for _ in range(3)))
        bandwidth, rows = median(memory), {}
        for name, measured in times.items():
            row = rows[name] = {"tokens/s": 1 / median(measured), "range": [1 / max(measured), 1 / min(measured)]}
            if name in self.decoders:
                decoder = self.decoders[name]
                row |= {"products/s": 1 / median(alone[name]), "of products": median(alone[name]) / median(measured)}
                row |= {"memory/s": bandwidth / decoder.bytes_per_token, "MB a token": decoder.bytes_per_token / 1e6}
                row |= {"of memory": row["tokens/s"] / row["memory/s"], "MB": decoder.nbytes / 1e6}
                row["kernels"] = decoder.kernels
        return rows, bandwidth

    def prefill(self, rounds: int) -> dict[str, float]:
        """Prompt tokens a second; the first round warms up."""
        rates: dict[str, list[float]] = {name: [] for name in self.read}
        ids = self.text[: self.sizes["read"]]
        for number in range(rounds + 1):
            for name, read in self.read.items():
                taken = seconds(read, ids)
                if number:
                    rates[name].append(len(ids) / taken)
        return {name: median(measured) for name, measured in rates.items()}

    def lookup(self, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
        """What drafts out of the prompt gain, by kind of text, where a pass is slow and where it is fast."""
        fastest = "int4, native" if "int4, native" in self.decoders else "int4, torch"
        return {name: {kind: self._looked_up(name, kind, rounds) for kind in KINDS} for name in ("fp32", fastest)}

    def _looked_up(self, name: str, kind: str, rounds: int) -> dict[str, float]:
        decoder, told, gains, n = self.decoders[name], [], [], self.sizes["looked up"]
        prompts = [self.tokenizer.encode(text) if kind == "code" else self.chat(text) for text in KINDS[kind]]
        options = dict(n_draft=DRAFTS, greedy=True)
        for prompt in prompts:
            speculations = []
            for _ in range(rounds):
                reading = seconds(decoder.prefill, prompt)
                alone = seconds(write_ours, decoder, prompt, n) - reading
                start = time.perf_counter()
                speculations.append(speculative_generate(decoder, PromptLookup(), prompt, n, **options))
                gains.append(alone / (time.perf_counter() - start - reading))
            told.append(speculations[0])
        proposed = sum(each.proposed for each in told)
        return {
            "gain": median(gains),
            "tokens a pass": sum(len(each.tokens) for each in told) / sum(each.target_passes for each in told),
            "accepted": sum(each.accepted for each in told) / max(proposed, 1),
        }

    @torch.inference_mode()
    def quality(self) -> dict[str, dict[str, float]]:
        """Perplexity, and KL from our float32, over the text; all but transformers step by step as in decoding."""
        ids = self.text[: self.sizes["scored"] + 1]
        logits = {name: step_through(decoder, ids[:-1]) for name, decoder in self.decoders.items()}
        for name, peer in self.peers.items():
            logits[name] = peer(torch.tensor([ids[:-1]])).logits[0]
        if self.llama is not None:
            logits[PEERS[2]] = self.llama.step_through(ids[:-1])
        exact, scores = torch.log_softmax(logits["fp32"], -1), {}
        for name, values in logits.items():
            told = torch.log_softmax(values.float(), -1)
            loss = -told.gather(1, torch.tensor(ids[1:])[:, None]).mean()
            kl = (exact.exp() * (exact - told)).sum(-1).mean()
            scores[name] = {"perplexity": float(loss.exp()), "kl": float(kl)}
        return scores


def worker(threads: int, rounds: int, sizes: dict[str, int], score: bool) -> dict:
    start = time.perf_counter()

    def tell(what: str) -> None:
        print(
            f"{threads} thread(s), {time.perf_counter() - start:4.0f} s: {what}",
            file=sys.stderr,
            flush=True,
        )

    tell("packing")
    contest = Contest(threads, sizes)
    tell("decoding")
    rates, bandwidth = contest.rates(rounds)
    result = {"threads": threads, "rates": rates, "bandwidth": bandwidth}
    tell("reading")
    result["prefill"] = contest.prefill(max(2, rounds // 2))
    tell("looking up")
    result["lookup"] = contest.lookup(2)
    if score:
        tell("scoring")
    result["quality"] = contest.quality() if score else {}
    tell("done")
    return result | {"notes": contest.notes}


def table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(result: dict, scores: dict[str, dict[str, float]]) -> str:
    base = result["rates"][PEERS[0]]["tokens/s"]
    rows = []
    for name, rate in sorted(result["rates"].items(), key=lambda item: item[1]["tokens/s"]):
        low, high = rate["range"]
        row = [name if name in PEERS else f"**{name}**", f"{rate['tokens/s']:.1f}", f"{low:.1f}–{high:.1f}"]
        row.append(f"{rate['tokens/s'] / base:.2f}x")
        for key, form in (("products/s", ".0f"), ("of products", ".0%"), ("memory/s", ".0f"), ("of memory", ".0%")):
            row.append(format(rate[key], form) if key in rate else "–")
        row += [format(rate[key], ".0f") if key in rate else "–" for key in ("MB a token", "MB")]
        row.append(f"{result['prefill'][name]:.0f}")
        score = scores.get(name)
        rows.append(row + ([f"{score['perplexity']:.2f}", f"{score['kl']:.4f}"] if score else ["–", "–"]))
    columns = ["contestant", "tokens/s", "range", "of transformers fp32", "products alone", "share", "memory alone"]
    columns += ["share", "MB a token", "MB held", "prefill, tokens/s", "perplexity", "KL to fp32"]
    parts = [f"{result['threads']} thread(s); memory is read at {result['bandwidth'] / 1e9:.1f} GB/s"]
    parts.append(table(columns, rows))
    rows = [
        [name, kind, f"{row['gain']:.2f}x", f"{row['tokens a pass']:.2f}", f"{row['accepted']:.0%}"]
        for name, kinds in result["lookup"].items()
        for kind, row in kinds.items()
    ]
    columns = ["target", "kind of text", "speed with lookup", "tokens a pass", "proposals accepted"]
    parts += [f"Looking up the prompt, {DRAFTS} tokens ahead", table(columns, rows)]
    parts += [f"left out: {note}" for note in result["notes"]]
    told = [f"{name}: {row['kernels']}" for name, row in result["rates"].items() if "kernels" in row]
    return "\n\n".join([*parts, "\n".join(told)])


def aims(results: list[dict]) -> list[str]:
    """What was hoped for and whether it was reached, a line each."""
    lines = []

    def say(what: str, value: float, least: float, form: str = ".2f") -> None:
        verdict = "reached" if value >= least else "NOT REACHED"
        lines.append(f"{what}: {value:{form}} (aim {least:{form}}): {verdict}")

    for result in results:
        rates, prefill, threads = result["rates"], result["prefill"], f"{result['threads']} thread(s)"
        for name in ("fp32", "bf16", "int8, torch", "int4, torch"):
            say(f"{threads}, {name}, share of the products' ceiling", rates[name]["of products"], 0.85)
        best = rates.get("int4, native")
        if best is not None:
            times = best["tokens/s"] / rates[PEERS[0]]["tokens/s"]
            say(f"{threads}, int4 native, times transformers fp32", times, 5 if result["threads"] == 1 else 6)
            if PEERS[2] in rates:
                say(f"{threads}, int4 native, times llama.cpp", best["tokens/s"] / rates[PEERS[2]]["tokens/s"], 1.0)
        for name in rates:
            if name not in PEERS and name != "fp32":
                say(f"{threads}, prefill {name}, times transformers bf16", prefill[name] / prefill[PEERS[1]], 1.0)
        say(f"{threads}, prefill fp32, times transformers fp32", prefill["fp32"] / prefill[PEERS[0]], 1.0)
        for name, score in result["quality"].items():
            if name.startswith("int4"):
                lines.append(
                    f"{name}, KL to fp32: {score['kl']:.4f} (aim at most 0.01): "
                    f"{'reached' if score['kl'] <= 0.01 else 'NOT REACHED'}"
                )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a few tokens of everything: whether it runs, no figures")
    parser.add_argument("--out", type=Path, default=Path("build/decode_speed.json"))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--score", action="store_true", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.worker:
        (threads,) = settings.threads
        result = worker(threads, settings.rounds, QUICK if settings.quick else SIZES, settings.score)
        print(json.dumps(result))
        return
    native_failure()  # the kernel is built here, once, and not while something is timed
    fetch("smollm2")
    alice()
    results: list[dict] = []
    for threads in settings.threads:
        command = [sys.executable, __file__, "--worker", "--threads", str(threads), "--rounds", str(settings.rounds)]
        command += ["--quick"] * settings.quick + ["--score"] * (not results)
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        environment.pop("OMP_WAIT_POLICY", None)  # threads wait as torch has it, which takes an otherwise idle machine
        run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        results.append(json.loads(run.stdout.splitlines()[-1]))
        print(report(results[-1], results[0]["quality"]), end="\n\n", flush=True)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    settings.out.write_text(json.dumps(results, indent=1))
    print("\n".join(aims(results)))


if __name__ == "__main__":
    main()
