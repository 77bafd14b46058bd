"""Record what two processes exchange that divide a layer's experts: `python experiments/moe_all_to_all.py [--quick]`.

Expert parallelism (Lepikhin et al., 2020, "GShard"): each process has its own tokens and half of the experts. It sends
every chosen expert the token, wherever that expert lives, and gets the answer back: two exchanges in the forward pass,
two more in the backward one. Counted: the bytes of the rows that go to the other process, and, where Linux tells, all
bytes that passed the loopback device in the meantime. Timed: exchange, experts, and the rest of a forward pass, the
least of the rounds. The output is compared with the layer in one process. Even router, and one that prefers the first
expert. The processes talk through gloo, on one machine. Half a minute; --quick takes a smaller layer, prints, and
records nothing.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from llmlib.data import Experiment
from llmlib.model import MixtureOfExperts, ModelConfig, MoEConfig, route
from llmlib.train.launch import join_processes, leave_processes

MODULES = ["llmlib.model.mixture", "llmlib.train.launch"]
PROCESSES, EXPERTS, TOP_K = 2, 8, 2
WIDTHS, TOKENS, ROUNDS = (64, 256, 512), 1024, 30
QUICK = dict(widths=(128,), tokens=512, rounds=8)
DEVICE = Path("/proc/net/dev")


class Exchange(torch.autograd.Function):
    """All-to-all of rows: `send[p]` rows to process p, `receive[p]` from it; the gradient goes the other way."""

    sent = 0  # bytes to other processes

    @staticmethod
    def forward(ctx, rows: Tensor, send: list[int], receive: list[int]) -> Tensor:
        ctx.counts = send, receive
        out = rows.new_empty(sum(receive), *rows.shape[1:])
        dist.all_to_all_single(out, rows.contiguous(), receive, send)
        away = sum(send) - send[dist.get_rank()]
        Exchange.sent += away * rows[0].numel() * rows.element_size()
        return out

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        send, receive = ctx.counts
        return Exchange.apply(gradient, receive, send), None, None


def divided(layer: MixtureOfExperts, tokens: Tensor, spent: dict[str, float]) -> Tensor:
    """The layer's answer for this process's tokens (N, d_model), with half of the experts at work here.

    Seconds are added to `spent`, and the rows that came for this process's experts.
    """
    rank, each = dist.get_rank(), len(layer.experts) // PROCESSES
    clock = time.perf_counter()

    def lap(part: str) -> None:
        nonlocal clock
        spent[part] = spent.get(part, 0.0) + time.perf_counter() - clock
        clock = time.perf_counter()

    routing = route(layer.router(tokens), TOP_K, layer.moe.renormalise)
    choices = routing.chosen.flatten()  # token by token
    order = choices.argsort(stable=True)  # by expert, and so by process
    counts = torch.bincount(choices, minlength=len(layer.experts))
    rows = tokens[order // TOP_K]
    lap("rest")
    theirs = torch.empty_like(counts)  # (process, expert of mine): rows that will come; not counted among the bytes
    dist.all_to_all_single(theirs, counts)
    theirs = theirs.view(PROCESSES, each).tolist()
    send, receive = counts.view(PROCESSES, each).sum(1).tolist(), [sum(row) for row in theirs]
    came = Exchange.apply(rows, send, receive)
    lap("exchange")
    pieces = came.split([count for row in theirs for count in row])  # process by process, expert by expert
    mine = layer.experts[rank * each : (rank + 1) * each]
    made = [torch.cat(pieces[number::each]) for number in range(each)]
    made = [expert(piece) for expert, piece in zip(mine, made)]
    parts = [piece.split([theirs[p][number] for p in range(PROCESSES)]) for number, piece in enumerate(made)]
    back = torch.cat([parts[number][p] for p in range(PROCESSES) for number in range(each)])
    lap("experts")
    answers = Exchange.apply(back, receive, send)
    lap("exchange")
    weights = routing.weights.flatten()[order]
    out = torch.zeros_like(tokens).index_add(0, order // TOP_K, answers * weights[:, None])
    lap("rest")
    spent["rows"] = sum(receive)
    return out


def on_the_wire() -> int | None:
    """Bytes that the loopback device has sent; None where Linux does not tell."""
    lines = DEVICE.read_text().splitlines() if DEVICE.exists() else []
    return next((int(line.split()[9]) for line in lines if line.strip().startswith("lo:")), None)


def work(width: int, n_tokens: int, rounds: int, lean: float) -> dict:
    """One layer, in each process; what the first process and both together saw. lean: added to expert 0's logit."""
    torch.manual_seed(0)
    moe = MoEConfig(n_experts=EXPERTS, top_k=TOP_K, d_expert=2 * width, balancing="none")
    layer = MixtureOfExperts(ModelConfig(vocab_size=2, n_layers=1, d_model=width, n_heads=1, moe=moe))
    tokens = torch.randn(n_tokens, width, generator=torch.Generator().manual_seed(1 + dist.get_rank()))
    with torch.no_grad():
        for weight in layer.parameters():
            weight.normal_(0.0, weight.shape[1] ** -0.5)
        tokens[:, 0] = 1.0
        layer.router.weight[0, 0] += lean
    seen, wire = [], []
    with torch.no_grad():
        for _ in range(rounds + 1):
            dist.barrier()
            spent, before, Exchange.sent = {}, on_the_wire(), 0
            out = divided(layer, tokens, spent)
            dist.barrier()
            seen.append(spent)
            wire.append(None if before is None else on_the_wire() - before)
        difference = (out - layer.eval()(tokens)).abs().max().item()
    forward = Exchange.sent
    leaf = tokens.clone().requires_grad_()
    Exchange.sent = 0
    divided(layer, leaf, {}).sum().backward()
    training, mine = Exchange.sent, leaf.grad
    alone = tokens.clone().requires_grad_()
    layer(alone).sum().backward()
    both: list = [None] * PROCESSES
    own = dict(
        forward=forward, training=training, size=out.abs().mean().item(), rows=seen[-1]["rows"],
        difference=max(difference, (mine - alone.grad).abs().max().item()),
        seconds={part: min(one[part] for one in seen[1:]) for part in ("exchange", "experts", "rest")},
    )  # fmt: skip
    dist.all_gather_object(both, own)
    n = PROCESSES * n_tokens
    counted = {part: sum(one[part] for one in both) / n for part in ("forward", "training")}
    seconds = {part: statistics.mean(one["seconds"][part] for one in both) for part in own["seconds"]}
    expected = 2 * TOP_K * width * 4 * (PROCESSES - 1) / PROCESSES  # there and back, four bytes a number
    return {
        "forward": {"measured": round(counted["forward"], 1), "arithmetic": expected},
        "training": {"measured": round(counted["training"], 1), "arithmetic": 2 * expected},
        "wire": None if wire[0] is None else round(statistics.median(wire[1:]) / n, 1),
        "rows": [one["rows"] for one in both],
        "size": round(own["size"], 4),
        "difference": float(f"{max(one['difference'] for one in both):.1e}"),
        "seconds": seconds | {"exchange share": seconds["exchange"] / sum(seconds.values())},
    }  # fmt: skip


def measure(widths: tuple[int, ...] = WIDTHS, tokens: int = TOKENS, rounds: int = ROUNDS) -> dict:
    """Start the processes, wait for them, and return {"even" or "leaning": {width: what `work` returns}}."""
    with tempfile.TemporaryDirectory() as folder:
        task = {"widths": list(widths), "tokens": tokens, "rounds": rounds, "answer": str(Path(folder) / "answer.json")}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        place |= {"OMP_NUM_THREADS": "1", "WORLD_SIZE": str(PROCESSES)}  # what torchrun would set
        command = [sys.executable, __file__, "--task", json.dumps(task)]
        workers = [subprocess.Popen(command, env=os.environ | place | {"RANK": str(r)}) for r in range(PROCESSES)]
        if any([each.wait() for each in workers]):
            raise RuntimeError("a process failed; what it said stands above")
        return json.loads(Path(task["answer"]).read_text())


def worker(task: dict) -> None:
    torch.set_num_threads(1)
    join_processes("cpu")
    found = {}
    for name, lean in {"even": 0.0, "leaning": 3.0}.items():
        found[name] = {str(width): work(width, task["tokens"], task["rounds"], lean) for width in task["widths"]}
    if dist.get_rank() == 0:
        Path(task["answer"]).write_text(json.dumps(found))
    dist.barrier()
    leave_processes()


def show(found: dict) -> None:
    for name, widths in found.items():
        for width, one in widths.items():
            times = ", ".join(f"{part} {1e3 * one['seconds'][part]:.1f} ms" for part in ("exchange", "experts", "rest"))
            counts = ", ".join(
                f"{part} {one[part]['measured']:.0f} counted, {one[part]['arithmetic']:.0f} by arithmetic"
                for part in ("forward", "training")
            )
            wire = "unknown" if one["wire"] is None else f"{one['wire']:.0f}"
            print(f"{name}, width {width}: bytes a token, {counts}; on the wire, forward, {wire}")
            print(f"    rows at each process {one['rows']}; {times}; difference {one['difference']:.0e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--confirm", action="store_true", help="see Experiment")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.task:
        worker(json.loads(asked.task))
    elif asked.quick:
        show(measure(**QUICK))
    else:
        experiment = Experiment("moe_all_to_all", script=__file__, modules=MODULES, seeds=(0, 1, 2))
        found = experiment.once("layers", measure)
        show(found)
        for widths in found.values():
            for one in widths.values():
                one["seconds"] = {part: round(value, 6) for part, value in one["seconds"].items()}
        experiment.save(dict(processes=PROCESSES, n_experts=EXPERTS, top_k=TOP_K, tokens=TOKENS, layers=found))


if __name__ == "__main__":
    main()
