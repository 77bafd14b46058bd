"""Ways to send tokens to experts: time of a mixture's layer, forward alone and with backward, as ratios in one run.

16 experts, top 2, 4,096 tokens, one thread, float32. `MixtureOfExperts` (tokens sorted by expert) against the same
weights run by a loop over experts with boolean masks, by every expert on every token, and by transformers'
MixtralSparseMoeBlock (its eager experts, and its grouped products where this torch has them for the processor). The
ways take turns in every round; medians of the rounds and of the ratios within a round.

    OMP_NUM_THREADS=1 python benchmarks/moe_dispatch.py [--rounds 7] [--widths 64 256]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from llmlib.model import MixtureOfExperts, ModelConfig, MoEConfig, route

EXPERTS, TOP_K, TOKENS = 16, 2, 4_096
OURS = "sorted by expert (llmlib)"


def masked_loop(mixture: MixtureOfExperts, x: Tensor) -> Tensor:
    """The readable twin: for each expert, find its tokens in the whole batch."""
    routing = route(mixture.router(x), TOP_K)
    out = torch.zeros_like(x)
    for number, expert in enumerate(mixture.experts):
        for rank in range(TOP_K):
            rows = routing.chosen[:, rank] == number
            out[rows] = out[rows] + routing.weights[rows, rank, None] * expert(x[rows])
    return out


def all_experts(mixture: MixtureOfExperts, x: Tensor) -> Tensor:
    """Every expert on every token, weights zero for most."""
    routing = route(mixture.router(x), TOP_K)
    gates = torch.zeros_like(routing.probabilities).scatter(1, routing.chosen, routing.weights)
    return sum(gates[:, [e]] * expert(x) for e, expert in enumerate(mixture.experts))


def theirs(mixture: MixtureOfExperts, width: int, hidden: int, how: str) -> Callable[[Tensor], Tensor] | None:
    """transformers' block with the same weights, or None where it does not run here."""
    from transformers import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

    config = MixtralConfig(
        hidden_size=width, intermediate_size=hidden, num_local_experts=EXPERTS, num_experts_per_tok=TOP_K
    )
    config._experts_implementation = how
    block = MixtralSparseMoeBlock(config)
    with torch.no_grad():
        block.gate.weight.copy_(mixture.router.weight)
        for number, expert in enumerate(mixture.experts):
            block.experts.gate_up_proj[number] = torch.cat([expert.gate_proj.weight, expert.up_proj.weight])
            block.experts.down_proj[number] = expert.down_proj.weight
    run = lambda x: block(x[None])[0]
    try:
        run(torch.randn(32, width, requires_grad=True)).sum().backward()
    except (RuntimeError, ValueError, NotImplementedError, KeyError, ImportError) as error:
        print(f"transformers, {how}: not here ({str(error).splitlines()[0][:90]})")
        return None
    return run


def seconds(way: Callable[[Tensor], Tensor], x: Tensor, backward: bool) -> float:
    """Processor seconds of one pass."""
    began = time.process_time()
    if backward:
        way(x).sum().backward()
    else:
        with torch.no_grad():
            way(x)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256])
    args = parser.parse_args()
    torch.set_num_threads(1)
    for width in args.widths:
        torch.manual_seed(0)
        hidden = 2 * width
        shape = ModelConfig(8, 1, width, 4, d_ff=hidden, moe=MoEConfig(EXPERTS, TOP_K, balancing="none"))
        mixture = MixtureOfExperts(shape)
        ways = {
            OURS: mixture,
            "loop with boolean masks": lambda x, m=mixture: masked_loop(m, x),
            "every expert on every token": lambda x, m=mixture: all_experts(m, x),
        }
        for how in ("eager", "grouped_mm"):
            if (run := theirs(mixture, width, hidden, how)) is not None:
                ways[f"transformers, {how}"] = run
        x = torch.randn(TOKENS, width, requires_grad=True)
        with torch.no_grad():
            worst = torch.stack([(way(x) - mixture(x)).abs().max() for way in ways.values()]).max().item()
        print(f"\nwidth {width}, experts of {hidden}; largest difference of the outputs {worst:.1e}")
        for backward in (False, True):
            times: dict[str, list[float]] = {name: [] for name in ways}
            for round_number in range(args.rounds + 1):
                for name, way in ways.items():
                    spent = seconds(way, x, backward)
                    if round_number:  # the first warms up
                        times[name].append(spent)
            print("  forward and backward" if backward else "  forward")
            for name, spent in times.items():
                ratios = [a / b for a, b in zip(spent, times[OURS])]
                print(
                    f"    {name:<28} {1e3 * statistics.median(spent):7.1f} ms   {statistics.median(ratios):5.2f} x"
                    f"   ({min(ratios):.2f} to {max(ratios):.2f})"
                )


if __name__ == "__main__":
    main()
