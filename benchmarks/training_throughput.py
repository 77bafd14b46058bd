"""Training on a CPU: tokens a second of our Trainer against transformers' GPT-2 with torch.optim.AdamW.

A model of GPT-2 small's blocks (768 wide, 12 heads; 4 of its 12 layers and a vocabulary of 8,192, so that an update
takes seconds) on the same random tokens, fp32, the same gradient clipping. The two take turns; medians count. The aim
is at least 1.0 times the peer, and 1.2 times if it can be had. The ratio comes last, and before it the share of the
machine's own matrix product that we reach.

    OMP_NUM_THREADS=1 python benchmarks/training_throughput.py [--updates 6] [--batch 4] [--context 256]

Processor time counts (`--clock wall` for the other), because the machine may do other work as well.
"""

import argparse
import statistics
import time

import torch

from llmlib.model import Transformer, preset
from llmlib.train import TrainConfig, Trainer, matmul_peak, mfu

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def peer(vocab_size: int, n_layers: int, context: int):
    """transformers' GPT-2 and one update of it, as its documentation trains it."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocab_size, n_layer=n_layers, n_positions=context, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0
    )
    model = GPT2LMHeadModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.1)

    def update(x: torch.Tensor) -> None:
        model(x, labels=x).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return update


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=6)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocab", type=int, default=8192)
    parser.add_argument("--clock", choices=CLOCKS, default="processor")
    args = parser.parse_args()
    clock = CLOCKS[args.clock]
    torch.manual_seed(0)
    tokens = torch.randint(args.vocab, (100_000,))
    shape = preset("gpt2").replace(vocab_size=args.vocab, n_layers=args.layers, max_seq_len=args.context)
    config = TrainConfig(
        steps=1000, batch_size=args.batch, seq_len=args.context, lr=3e-4, grad_clip=1.0, device="cpu", progress=False
    )
    trainer = Trainer(Transformer(shape), config, tokens)
    theirs = peer(args.vocab, args.layers, args.context)
    rows = tokens[: args.batch * args.context].view(args.batch, args.context)
    ours_seconds, peer_seconds, peaks = [], [], []
    for number in range(args.updates + 1):
        for seconds, update in ((ours_seconds, trainer.train_step), (peer_seconds, lambda: theirs(rows))):
            began = clock()
            update()
            if number:  # the first makes the optimizers' state
                seconds.append(clock() - began)
        peaks.append(matmul_peak(seconds=0.2))
    per_update = args.batch * args.context
    ours, others = per_update / statistics.median(ours_seconds), per_update / statistics.median(peer_seconds)
    threads, peak = torch.get_num_threads(), statistics.median(peaks)
    print(f"{threads} thread(s): ours {ours:.0f} tokens/s, transformers + torch AdamW {others:.0f}")
    share = mfu(shape, ours, args.context, peak)
    print(f"matrix product {peak / 1e9:.0f} GFLOP/s by the clock; ours reaches {share:.0%}")
    print(f"ratio {ours / others:.2f}")


if __name__ == "__main__":
    main()
