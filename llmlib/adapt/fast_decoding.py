"""Decoding as fast as a CPU reads the weights, in 32, 16, 8 or 4 bits. Lecture 15.

`generate` runs any model; a `FastDecoder` is made for one Llama and one prompt at a time. Its weights are packed once,
matrices that meet the same vector in one, its cache is taken once, and a step of decoding is written out over vectors
that never move: per layer four products, and between them as few small operations as go.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from llmlib.infer import Generation, Sampling, sample_step
from llmlib.infer.generation import Finish
from llmlib.infer.requests import check_request, is_batch, to_ids
from llmlib.model import Transformer
from llmlib.model.rope import rope_tables

from .decoding_matrices import Matrix, Product, Weights, fast_bf16
from .native import native_kernel
from .packed_llama import Kernels, check_model, choose_kernels, pack_head, pack_layers

LONGEST = 2048  # positions of the cache unless said otherwise


@torch.no_grad()
def fast_decoder(
    model: Transformer,
    weights: Weights = "int4",
    *,
    head: Weights | None = None,
    group_size: int = 32,
    kernels: Kernels = "auto",
    max_len: int | None = None,
) -> FastDecoder:
    """A decoder of its own for a Llama on the CPU, with weights of so many bits. Lecture 15.

        decoder = fast_decoder(model, "int4")
        print(decoder.kernels)                                  # what really runs, and why
        decoder.generate(prompt_ids, 64, greedy=True).answer

    weights: "fp32"; "bf16"; "int8", rounded to nearest, symmetric; "int4", asymmetric in groups of group_size. A layer
    that `quantize_model` has packed in just this way (form "packed", so by GPTQ too) keeps its codes.
    head: the same for the last matrix, and the embedding tied to it; by default as `weights`, but "int8" for "int4",
    since rounding errors there reach the output undamped.
    kernels: "torch" uses torch's own; "native" the compiled blockwise kernel, in which activations are rounded to 8
    bits as well and int8 has groups of 32, and raises NativeError where it cannot be had; "auto" is native for int8 and
    int4 where it is there and the processor has instructions for it, else torch. The choice is for the whole decoder.
    max_len: positions of the cache, by default the context, at most 2048.

    The numbers are taken from the model as it is now; float32 matrices in `decoding_layout` are shared with it, all
    others copied, so that the model may be deleted. Prompts are read with the packed weights by "native" and "fp32",
    and by torch's "int8" and "int4" with a bfloat16 copy of the rounded weights (float32 where the processor has no
    bfloat16), which `nbytes` counts: torch's kernels are slow for many vectors at once.

    ValueError for a model that is no Llama of this library's own parts, and sizes that the kernels do not take.
    """
    for name, value, kinds in (("weights", weights, Weights), ("kernels", kernels, Kernels)):
        if value not in get_args(kinds):
            raise ValueError(f"{name}={value!r} is none of {', '.join(get_args(kinds))}")
    if head is None:
        head = "int8" if weights == "int4" else weights
    elif head not in get_args(Weights):
        raise ValueError(f"head={head!r} is none of {', '.join(get_args(Weights))}, or None")
    check_model(model)
    if max_len is None:
        max_len = min(model.config.max_seq_len, LONGEST)
    elif not isinstance(max_len, int) or not 1 <= max_len <= model.config.max_seq_len:
        raise ValueError(f"max_len={max_len!r} must be from 1 to max_seq_len, {model.config.max_seq_len}")
    native, why = choose_kernels(model, weights, head, group_size, kernels)
    return FastDecoder(model, weights, head, group_size, native, why, max_len)


class _Bound(NamedTuple):
    """A layer whose products stand ready."""

    gain1: Tensor
    qkv: Product
    o: Product
    gain2: Tensor
    gate_up: Product
    down: Product


class FastDecoder:
    """Made by `fast_decoder`. It holds one text: `read` and `step` go on with it, `truncate` goes back, `generate`
    begins anew. It is a `Reader`, so `speculative_generate` takes it as target and as draft.
    """

    weights: str
    """How the body's weights are stored: "fp32", "bf16", "int8" or "int4"."""
    head_weights: str
    """How the head's are."""
    max_len: int
    """Positions of the cache."""
    columns: int
    """Tokens read so far."""
    kernels: str
    """A line that says which kernels really run, and why not others."""

    def __init__(
        self, model: Transformer, weights: Weights, head: Weights, group_size: int, native: bool, why: str, max_len: int
    ):
        self.config = model.config
        self.weights, self.head_weights, self.max_len, self.columns = weights, head, max_len, 0
        self._layers = pack_layers(model, weights, native, group_size)
        self._final_gain = model.final_norm.weight.detach().float().clone()
        self._head, self._embedding = pack_head(model, head, native, group_size, narrow=weights != "fp32")
        self.kernels = self._describe(native, why)
        self._take_memory()

    def _take_memory(self) -> None:
        """The cache, and the vectors of a step at the places that the products are bound to."""
        c, head_dim = self.config, self.config.head_dim
        n_q, n_kv, group = c.n_heads * head_dim, c.n_kv_heads * head_dim, c.n_heads // c.n_kv_heads
        with torch.inference_mode(False):
            # One row a token: its keys, already turned, and its values. Pages are touched when they are first used.
            self._cache = torch.empty(c.n_layers, self.max_len, 2 * n_kv)
            self._stream = torch.full((c.d_model + 1,), (c.d_model * c.norm_eps) ** 0.5)  # the rest of it: see _norm
            self._x, self._h, self._mixed = self._stream[:-1], torch.empty(c.d_model), torch.empty(n_q)
            self._qkv, self._gate_up = torch.empty(n_q + 2 * n_kv), torch.empty(2 * c.d_ff)
            self._logits, self._act = torch.empty(c.vocab_size), torch.empty(c.d_ff)
            cos, sin = rope_tables(torch.arange(self.max_len), head_dim, c.rope_theta, "interleaved", c.rope_scaling)
            self._turns = torch.complex(cos[:, ::2].contiguous(), sin[:, 1::2].contiguous())[:, None]
            self._sizes = torch.ones(c.n_heads + c.n_kv_heads, 1)  # queries are divided by sqrt(head_dim) when turned
            self._sizes[: c.n_heads] = head_dim**-0.5
            narrow = self._layers[0].qkv.dtype
            wide = narrow == torch.float32
            self._h_in = self._h if wide else torch.empty(c.d_model, dtype=narrow)
            self._mixed_in = self._mixed if wide else torch.empty(n_q, dtype=narrow)
            self._act_in = self._act if wide else torch.empty(c.d_ff, dtype=narrow)
            narrow = self._head.dtype
            self._head_in = self._h if narrow == torch.float32 else torch.empty(c.d_model, dtype=narrow)
        self._narrow = not wide
        keys, values = self._cache.unflatten(-1, (2, c.n_kv_heads, head_dim)).unbind(2)  # (layers, max_len, kv, dim)
        self._keys, self._values = keys.permute(0, 2, 3, 1), values.transpose(1, 2)
        self._qk = torch.view_as_complex(self._qkv[: n_q + n_kv].view(-1, head_dim // 2, 2))
        self._q = self._qkv[:n_q].view(c.n_kv_heads, group, head_dim)  # heads that share a key, as if queries of it
        self._kv, self._mixed_heads = self._qkv[n_q:], self._mixed.view(c.n_kv_heads, group, head_dim)
        self._gate, self._up = self._gate_up.split(c.d_ff)
        self._bound = []
        for layer in self._layers:
            products = (layer.qkv.bind(self._h_in, self._qkv), layer.o.bind(self._mixed_in, self._x, add=True))
            later = (layer.gate_up.bind(self._h_in, self._gate_up), layer.down.bind(self._act_in, self._x, add=True))
            gains = (gain * c.d_model**0.5 for gain in (layer.gain1, layer.gain2))
            self._bound.append(_Bound(next(gains), *products, next(gains), *later))
        self._last_gain = self._final_gain * c.d_model**0.5
        self._head_product = self._head.bind(self._head_in, self._logits)
        self._width = max(n for n in range(1, 513) if c.vocab_size % n == 0)

    @property
    def bytes_per_token(self) -> int:
        """Bytes of weights that one step reads: all packed matrices, once."""
        return self._head.nbytes + sum(matrix.nbytes for matrix in self._matrices())

    @property
    def nbytes(self) -> int:
        """Bytes of all weights it holds: what a step reads, copies for reading prompts, gains, a separate embedding."""
        extra = sum(matrix.extra_nbytes for matrix in self._matrices())
        gains = sum(layer.gain1.nbytes + layer.gain2.nbytes for layer in self._layers) + self._final_gain.nbytes
        return self.bytes_per_token + extra + gains + (0 if self._embedding is None else self._embedding.nbytes)

    @property
    def cache_nbytes(self) -> int:
        """Bytes of the cache for `max_len` positions; the system gives them page by page as they are used."""
        return self._cache.nbytes

    def _matrices(self) -> list[Matrix]:
        return [matrix for layer in self._layers for matrix in (layer.qkv, layer.o, layer.gate_up, layer.down)]

    def products(self) -> list[Product]:
        """The matrix products of one step, each a function of the number of threads: the ceiling of its speed."""
        return [p for b in self._bound for p in (b.qkv, b.o, b.gate_up, b.down)] + [self._head_product]

    def _describe(self, native: bool, why: str) -> str:
        names = {matrix.name for matrix in self._matrices()}
        body, head = " and ".join(sorted(names)), self._head.name
        told = f"{self.weights} body: {body}; {self.head_weights} head: {head}"
        if native:
            told += f" ({native_kernel()})"
        elif why:
            told += f" ({why})"
        if "bf16" in (self.weights, self.head_weights) and not fast_bf16():
            told += "; this CPU has no bfloat16 instructions, so bf16 values stand in float32 matrices"
        return told

    def __repr__(self) -> str:
        return f"FastDecoder({self.kernels}; {self.nbytes / 1e6:.0f} MB, {self.bytes_per_token / 1e6:.0f} MB a token)"

    # The text it holds

    def truncate(self, n: int = 0) -> None:
        """Keep the first n tokens and forget the newer ones."""
        if not 0 <= n <= self.columns:
            raise ValueError(f"n is {n}; keep between 0 and the {self.columns} tokens that were read")
        self.columns = n

    def prefill(self, ids: Sequence[int]) -> Tensor:
        """Begin anew with this prompt -> the logits (vocab_size,) of what may follow it."""
        self.columns = 0
        return self.read(ids)[-1]

    @torch.inference_mode()
    def read(self, ids: Sequence[int], last: int = 1) -> Tensor:
        """Read these after what was read before -> logits (last, vocab_size) after each of the `last` newest."""
        ids = self._checked(ids)
        if len(ids) == 1:
            return self._step(ids[0]).clone()[None]
        return self._read(ids, last)

    @torch.inference_mode()
    def step(self, token: int) -> Tensor:
        """Read one token -> the logits (vocab_size,) of the next."""
        return self._step(*self._checked([token])).clone()

    def _checked(self, ids: Sequence[int]) -> list[int]:
        ids = to_ids(ids, None, "ids")
        outside = next((token for token in ids if not 0 <= token < self.config.vocab_size), None)
        if outside is not None:
            raise ValueError(f"ids contains token {outside} but the model knows 0 to {self.config.vocab_size - 1}")
        if self.columns + len(ids) > self.max_len:
            raise ValueError(
                f"cache overflow: {self.columns} tokens read + {len(ids)} new > max_len {self.max_len}; make the "
                "decoder with a larger max_len, or truncate(0) it"
            )
        return ids

    def _embed(self, ids: Tensor) -> Tensor:
        return self._head.rows(ids) if self._embedding is None else self._embedding[ids].float()

    def _step(self, token: int) -> Tensor:
        """The logits at their place: the next step overwrites them."""
        place, threads, narrow = self.columns, torch.get_num_threads(), self._narrow
        stream, x, h, h_in, qk, q, kv = self._stream, self._x, self._h, self._h_in, self._qk, self._q, self._kv
        gate, up, act_in, mixed, mixed_heads = self._gate, self._up, self._act_in, self._mixed, self._mixed_heads
        x.copy_(self._embed(torch.tensor([token]))[0])
        turn = self._turns[place] * self._sizes
        rows = self._cache[:, place].unbind(0)
        keys, values = self._keys[..., : place + 1].unbind(0), self._values[:, :, : place + 1].unbind(0)
        for layer, row, k, v in zip(self._bound, rows, keys, values, strict=True):
            _norm(stream, x, layer.gain1, h, h_in)
            layer.qkv(threads)
            qk.mul_(turn)
            row.copy_(kv)
            torch.bmm(torch.bmm(q, k).softmax(-1), v, out=mixed_heads)
            if narrow:
                self._mixed_in.copy_(mixed)
            layer.o(threads)
            _norm(stream, x, layer.gain2, h, h_in)
            layer.gate_up(threads)
            F.silu(gate, inplace=True)
            torch.mul(gate, up, out=act_in)
            layer.down(threads)
        _norm(stream, x, self._last_gain, h, self._head_in)
        self._head_product(threads)
        self.columns = place + 1
        return self._logits

    def _read(self, ids: list[int], last: int) -> Tensor:
        c, past, n = self.config, self.columns, len(ids)
        n_q, stop = c.n_heads * c.head_dim, past + n
        x, turns = self._embed(torch.tensor(ids)), self._turns[past:stop]
        mask = None if not past else torch.ones(n, stop, dtype=torch.bool).tril_(past)
        for number, layer in enumerate(self._layers):
            h = F.rms_norm(x, (c.d_model,), layer.gain1, c.norm_eps)
            qkv = layer.qkv.matmul(h).float()
            heads = qkv.view(n, -1, c.head_dim)
            torch.view_as_complex(heads[:, : c.n_heads + c.n_kv_heads].unflatten(-1, (-1, 2))).mul_(turns)
            self._cache[number, past:stop].copy_(qkv[:, n_q:])
            k, v = self._keys[number, ..., :stop].transpose(-1, -2), self._values[number, :, :stop]
            q, k, v = (part[None] for part in (heads[:, : c.n_heads].transpose(0, 1), k, v))
            shared = c.n_heads != c.n_kv_heads
            mixed = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None, enable_gqa=shared)
            x = x + layer.o.matmul(mixed[0].transpose(0, 1).reshape(n, n_q))
            h = F.rms_norm(x, (c.d_model,), layer.gain2, c.norm_eps)
            gate, up = layer.gate_up.matmul(h).chunk(2, -1)
            x = x + layer.down.matmul(F.silu(gate) * up)
        self.columns = stop
        return self._head.matmul(F.rms_norm(x[-last:], (c.d_model,), self._final_gain, c.norm_eps)).float()

    # Whole texts

    def generate(
        self,
        prompt_ids: Sequence[int] | Sequence[Sequence[int]],
        max_new_tokens: int = 64,
        *,
        stop_tokens: Sequence[int] = (),
        sampling: Sampling | None = None,
        generator: torch.Generator | None = None,
        **settings: Any,
    ) -> Generation | list[Generation]:
        """Continue a prompt of token ids -> a `Generation`; several prompts, one after another -> a list of them.

        A row ends before the first of `stop_tokens`. sampling: a `Sampling`, or its fields by name: greedy,
        temperature, top_k, top_p, min_p. Greedy fp32 output is that of `llmlib.infer.generate(model, ...)`. ValueError
        for a text longer than `max_len`, before anything is computed.
        """
        how = Sampling.of(sampling, settings)
        rows = prompt_ids if is_batch(prompt_ids) else [prompt_ids]
        prompts = [to_ids(row, None, f"prompts[{i}]" if len(rows) > 1 else "prompt") for i, row in enumerate(rows)]
        check_request(self, prompts, max_new_tokens=max_new_tokens)
        for prompt in prompts:
            if max_new_tokens and len(prompt) + max_new_tokens - 1 > self.max_len:
                raise ValueError(
                    f"prompt of {len(prompt)} tokens with max_new_tokens={max_new_tokens} needs more than "
                    f"max_len={self.max_len} positions; make the decoder with a larger max_len"
                )
        stops = frozenset(map(operator.index, stop_tokens))
        answers = [self._generate(prompt, max_new_tokens, stops, how, generator) for prompt in prompts]
        return answers if is_batch(prompt_ids) else answers[0]

    @torch.inference_mode()
    def _generate(
        self, prompt: list[int], n: int, stops: frozenset[int], how: Sampling, generator: torch.Generator | None
    ) -> Generation:
        self.columns = 0
        tokens: list[int] = []
        logprobs: list[float] = []
        raw: list[float] = []
        finish: Finish = "length"
        if n:
            logits = self._read(prompt, 1)[0] if len(prompt) > 1 else self._step(prompt[0])
        while len(tokens) < n:
            picked = _most_likely(logits, self._width) if how.greedy else None
            if picked is None:
                picked = tuple(part.item() for part in sample_step(logits, how, generator=generator))
            for kept, value in zip((tokens, logprobs, raw), picked, strict=True):
                kept.append(value)
            if tokens[-1] in stops:
                finish = "stop_token"
                break
            if len(tokens) < n:
                logits = self._step(tokens[-1])
        answer = tokens[:-1] if finish == "stop_token" else list(tokens)
        with torch.inference_mode(False):
            return Generation(answer, tokens, torch.tensor(logprobs), torch.tensor(raw), finish)


def _most_likely(logits: Tensor, width: int) -> tuple[int, float, float] | None:
    """`sample_step(logits, greedy=True)` as numbers, in a third of the time; None where it would raise.

    width: a divisor of the vocabulary. The largest of 49,152 numbers is found faster row by row.
    """
    rows = logits.view(-1, width)
    row = int(rows.amax(1).argmax())
    token = row * width + int(rows[row].argmax())
    raw = float(torch.log_softmax(logits, -1)[token])
    return (token, 0.0, raw) if math.isfinite(raw) else None


def _norm(stream: Tensor, x: Tensor, gain: Tensor, h: Tensor, out: Tensor) -> None:
    """RMSNorm of one vector into `out`, in four small operations without a number that Python has to wrap.

    stream: x and one entry more, sqrt(d eps), so that its square is d (mean(x^2) + eps); gain: times sqrt(d).
    """
    torch.mul(x, gain, out=h)
    torch.mul(h, torch.dot(stream, stream).rsqrt_(), out=out)
