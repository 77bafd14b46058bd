"""Time to loss on Shakespeare: the course's recipe against nanoGPT's, in the same run, on the same threads.

The peer is written in this file and uses nothing of llmlib but the text: nanoGPT's GPT and its published CPU recipe
(4 layers, 128 wide, context 64, batch 12, 2000 steps, learning rate 1e-3 to 1e-4 along a cosine with 100 warm-up steps,
dropout 0, no compile) with torch.optim.AdamW. Ours is `python -m llmlib.train --preset shakespeare-cpu`: no more
parameters, the same context, fp32 as well.

The two take turns, a few steps each, so that a busy machine slows both alike; but if it is busier in one half of the
run than in the other, seconds of one half are not worth those of the other. So the last line does not divide seconds:
it says what share of its run the peer had behind it, on its own clock, when ours reached the loss. Both losses are over
the whole held-out split, in windows of 64 characters that do not overlap; evaluations are not on either clock.
`--clock cpu` counts processor time instead, which other programs disturb less.

    python benchmarks/shakespeare_time_to_loss.py [--threads 1] [--seed 0] [--steps 2000] [--clock cpu]
"""

import argparse
import bisect
import math
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmlib.data import split_text, tiny_shakespeare
from llmlib.model import Transformer, preset
from llmlib.text import CharTokenizer
from llmlib.train import Trainer, train_preset

CONTEXT, TARGET = 64, 1.88
TURN = 10  # the peer's steps in one turn


class PeerBlock(nn.Module):
    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm1, self.norm2 = nn.LayerNorm(d_model, bias=False), nn.LayerNorm(d_model, bias=False)
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.up = nn.Linear(d_model, 4 * d_model, bias=False)
        self.down = nn.Linear(4 * d_model, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        q, k, v = (
            part.view(B, T, self.n_heads, D // self.n_heads).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).split(D, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, D))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class PeerGPT(nn.Module):
    """GPT-2 without biases, as nanoGPT builds it: learned positions, tied head, GPT-2's initialisation."""

    def __init__(self, vocab_size: int, n_layers: int = 4, d_model: int = 128, n_heads: int = 4) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, d_model), nn.Embedding(CONTEXT, d_model)
        self.blocks = nn.Sequential(*(PeerBlock(d_model, n_heads) for _ in range(n_layers)))
        self.norm = nn.LayerNorm(d_model, bias=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                writes = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * n_layers) if writes else 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        return F.linear(self.norm(self.blocks(x)), self.tokens.weight)


class Peer:
    """nanoGPT's training loop."""

    def __init__(self, vocab_size: int, train_tokens: Tensor, steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.model, self.train_tokens, self.steps, self.step = PeerGPT(vocab_size), train_tokens, steps, 0
        weights = list(self.model.parameters())
        groups = [
            dict(params=[w for w in weights if w.ndim == 2], weight_decay=0.1),
            dict(params=[w for w in weights if w.ndim < 2], weight_decay=0.0),
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
        self.generator = torch.Generator().manual_seed(seed)

    def train_step(self) -> None:
        warmup = min(100, self.steps)
        if self.step < warmup:
            lr = 1e-3 * (self.step + 1) / (warmup + 1)
        else:
            lr = 1e-4 + 0.5 * 9e-4 * (1 + math.cos(math.pi * (self.step - warmup) / max(1, self.steps - warmup)))
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        starts = torch.randint(len(self.train_tokens) - CONTEXT, (12, 1), generator=self.generator)
        rows = self.train_tokens[starts + torch.arange(CONTEXT + 1)]
        loss = F.cross_entropy(self.model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1


@torch.no_grad()
def held_out_loss(model: nn.Module, tokens: Tensor) -> float:
    """Nats per character over the whole split; the same function judges both."""
    model.eval()
    n = (len(tokens) - 1) // CONTEXT * CONTEXT
    inputs, targets = tokens[:n].view(-1, CONTEXT), tokens[1 : n + 1].view(-1, CONTEXT)
    total = sum(
        F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum").item()
        for x, y in zip(inputs.split(64), targets.split(64))
    )
    model.train()
    return total / n


class Contender:
    """A trainer with its own clock, which runs during updates only."""

    def __init__(self, name: str, trainer, steps: int, evaluate, every: int, now=time.perf_counter) -> None:
        self.name, self.trainer, self.steps, self.evaluate, self.every = name, trainer, steps, evaluate, every
        self.seconds, self.curve, self.clock, self.now = 0.0, [], [], now

    @property
    def done(self) -> bool:
        return self.trainer.step >= self.steps

    def share_done(self, seconds: float) -> float:
        """The share of the run that was done when this contender's clock showed `seconds`."""
        return bisect.bisect_right(self.clock, seconds) / self.steps

    def reached(self, loss: float) -> float:
        """Seconds at the first evaluation with at most this loss; nan if there was none."""
        return next((seconds for seconds, value in self.curve if value <= loss), math.nan)

    def advance(self) -> None:
        started = self.now()
        self.trainer.train_step()
        self.seconds += self.now() - started
        self.clock.append(self.seconds)
        if self.trainer.step % self.every == 0 or self.done:
            self.curve.append((self.seconds, self.evaluate()))
            seconds, loss = self.curve[-1]
            print(
                f"{self.name:5} step {self.trainer.step:5}/{self.steps}  {seconds:7.1f} s  loss {loss:.4f}", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=2000, help="the peer's steps; ours shrink with them")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="seconds of the wall or the processor")
    args = parser.parse_args()
    now = time.process_time if args.clock == "cpu" else time.perf_counter
    torch.set_num_threads(args.threads)
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train_tokens, val_tokens = (torch.tensor(tokenizer.encode(part)) for part in split_text(text))

    peer = Peer(tokenizer.vocab_size, train_tokens, args.steps, args.seed)
    config = train_preset("shakespeare-cpu").replace(seed=args.seed, device="cpu")
    config = config.replace(steps=max(config.warmup_steps, config.steps * args.steps // 2000))
    torch.manual_seed(args.seed)
    ours = Trainer(
        Transformer(preset("shakespeare-cpu").replace(vocab_size=tokenizer.vocab_size)), config, train_tokens
    )
    sizes = {name: sum(p.numel() for p in each.model.parameters()) for name, each in (("peer", peer), ("ours", ours))}
    assert sizes["ours"] <= sizes["peer"] and config.seq_len == CONTEXT and config.dtype == "float32"
    print(f"parameters: peer {sizes['peer']:,}, ours {sizes['ours']:,}; threads: {args.threads}; seed: {args.seed}")

    def evaluate_ours() -> float:
        with ours.averaged():
            return held_out_loss(ours.model, val_tokens)

    racers = (
        Contender(
            "peer", peer, args.steps, lambda: held_out_loss(peer.model, val_tokens), max(1, args.steps // 5), now
        ),
        Contender("ours", ours, config.steps, evaluate_ours, max(1, config.steps // 40), now),
    )
    while not all(racer.done for racer in racers):
        first, second = racers
        for _ in range(TURN):
            if not first.done:
                first.advance()
        while not second.done and (first.done or second.seconds < first.seconds):
            second.advance()

    theirs, mine = racers
    (peer_seconds, peer_loss), (our_seconds, our_loss) = theirs.curve[-1], mine.curve[-1]
    in_time = min((loss for seconds, loss in mine.curve if seconds <= peer_seconds), default=math.nan)
    print(f"peer: loss {peer_loss:.3f} after {peer_seconds:.1f} s")
    print(f"ours: loss {our_loss:.3f} after {our_seconds:.1f} s")
    print(f"ours in the peer's time: {in_time:.3f} (at most 1.57 wanted)")
    for loss in (peer_loss, TARGET):
        seconds = mine.reached(loss)
        if math.isnan(seconds):
            print(f"ours never reached {loss:.3f}")
        else:
            print(f"ours reached {loss:.3f} after {seconds:.1f} s, {seconds / peer_seconds:.3f} of the peer's seconds")
    seconds = mine.reached(TARGET)
    share = math.nan if math.isnan(seconds) else theirs.share_done(seconds)
    print(f"ratio: {share:.3f} of the peer's run when ours reached {TARGET} (at most 0.10 wanted)")


if __name__ == "__main__":
    main()
