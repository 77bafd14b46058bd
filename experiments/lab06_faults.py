"""Record a correct training run of a mixture of experts and faulty ones, one of which lab 06 gives to a student.

A transformer of one layer reads characters of Shakespeare; its feed-forward network is a mixture of eight experts, two
for each character. It is trained for 300 updates, the loss of the text and 0.02 times the balancing loss together. One
thing is wrong in each faulty program. What is written down afterwards: the loss on held-out text, what the router does
there, and how large the two gradients of its weights are at the end. Three seeds: a student sees the first, and a test
holds every observation to all of them. Run it with `OMP_NUM_THREADS=1 python experiments/lab06_faults.py`; it takes
two to three minutes on one core.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import Experiment, split_text, tiny_shakespeare
from llmlib.model import ModelConfig, SwiGLU, Transformer

FAULTS = {
    "A": "the weights of the experts are detached from the graph",
    "B": "the balancing loss is subtracted",
    "C": "the weights of the chosen are not divided by their sum",
    "D": "each character is sent to one expert, and its weight divided by the sum",
    "E": "an expert takes half of its even share, and drops the rest",
    "F": "the balancing loss is weighed with 20 in place of 0.02",
    "G": "the probabilities are detached in the balancing loss",
    "H": "noise is added to the logits, and never taken away",
    "I": "the least probable experts are chosen",
    "J": "what the experts made is added up without being put back in order",
}
RUNS = dict(zip(("b1", "d8", "e5", "g2", "j7", "m4", "p0", "s6", "v3", "x9"), "FAHCJEBIGD", strict=True))
SEEDS, UPDATES, ROWS, LONG, WIDTH, E, K, HIDDEN = (0, 1, 2), 300, 8, 64, 64, 8, 2, 64
WEIGHT, NOISE, RATE = 0.02, 2.0, 0.01


class Mixture(nn.Module):
    """A mixture with one fault; "" for none. It remembers of its last pass what the log needs."""

    def __init__(self, config: ModelConfig, fault: str):
        super().__init__()
        self.fault, self.k = fault, 1 if fault == "D" else K
        self.router = nn.Linear(WIDTH, E, bias=False)
        self.experts = nn.ModuleList(SwiGLU(WIDTH, HIDDEN, False) for _ in range(E))
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.normal_(0.0, config.init_std / (math.sqrt(2) if "down" in name else 1))

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, WIDTH)
        logits = self.router(tokens)
        if self.fault == "H":
            logits = logits + NOISE * torch.randn_like(logits)
        probabilities = logits.softmax(-1)
        weights, chosen = probabilities.topk(self.k, dim=-1, largest=self.fault != "I")
        if self.fault != "C":
            weights = weights / weights.sum(-1, keepdim=True)
        if self.fault == "A":
            weights = weights.detach()
        counted = probabilities.detach() if self.fault == "G" else probabilities
        self.load = torch.bincount(chosen.flatten(), minlength=E) / chosen.numel()
        self.balancing = E * (self.load * counted.mean(0)).sum()
        self.probabilities, self.weights, self.chosen = probabilities.detach(), weights.detach(), chosen
        return self._dispatched(tokens, chosen, weights).view(x.shape)

    def _dispatched(self, tokens: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        limit = len(tokens) * self.k // E // 2 if self.fault == "E" else len(tokens)
        order = chosen.T.flatten().argsort(stable=True)
        counts = torch.bincount(chosen.flatten(), minlength=E).tolist()
        pieces = [piece[:limit] for piece in order.split(counts)]
        self.rows = sum(map(len, pieces)) / len(tokens)
        self.dropped = 1 - sum(map(len, pieces)) / chosen.numel()
        kept = torch.cat(pieces)
        rows = kept % len(tokens)
        made = torch.cat([expert(tokens[piece % len(tokens)]) for expert, piece in zip(self.experts, pieces)])
        made = made * weights.T.flatten()[kept][:, None]
        places = torch.arange(len(rows)) % len(tokens) if self.fault == "J" else rows
        return torch.zeros_like(tokens).index_add(0, places, made)


def trained(seed: int, fault: str) -> dict[str, float]:
    """What the program with this fault writes down, from its training and from held-out text."""
    torch.manual_seed(seed)
    text, other = split_text(tiny_shakespeare(), val_fraction=0.1)
    letters = {c: i for i, c in enumerate(sorted(set(text + other)))}
    known, held_out = (torch.tensor([letters[c] for c in part]) for part in (text, other))
    config = ModelConfig(len(letters), n_layers=1, d_model=WIDTH, n_heads=4, max_seq_len=LONG)
    model = Transformer(config)
    model.init_weights(torch.Generator().manual_seed(seed))
    mixture = model.blocks[0].mlp = Mixture(config, fault)
    first = mixture.router.weight.detach().clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.0)
    weight = {"B": -WEIGHT, "F": 1000 * WEIGHT}.get(fault, WEIGHT)
    chance = torch.Generator().manual_seed(seed)

    def batch(source: Tensor, rows: int) -> tuple[Tensor, Tensor]:
        places = torch.randint(len(source) - LONG - 1, (rows, 1), generator=chance) + torch.arange(LONG + 1)
        return source[places][:, :-1], source[places][:, 1:]

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(model(x).flatten(0, 1), y.flatten())

    def size(loss: Tensor) -> float:
        found = torch.autograd.grad(loss, mixture.router.weight, retain_graph=True, allow_unused=True)[0]
        return 0.0 if found is None else float(found.norm())

    for update in range(UPDATES):
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (update + 1) / 10, 1.05 - update / UPDATES)
        loss = loss_of(*batch(known, ROWS))
        total = loss + weight * mixture.balancing
        if update == UPDATES - 1:
            of_text, of_balance = (
                size(loss),
                size(weight * mixture.balancing) if mixture.balancing.requires_grad else 0.0,
            )
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    model.eval()
    x, y = batch(held_out, 128)
    with torch.no_grad():
        before = float(loss_of(x, y))
        m = mixture
        probabilities, chosen, weights, load = m.probabilities, m.chosen, m.weights, m.load
        rows, dropped, balancing = m.rows, m.dropped, float(m.balancing)
        loss_of(x, y)
        again = m.chosen
        table = torch.zeros(len(letters), E).index_add(
            0, x.flatten().repeat_interleave(m.k), F.one_hot(chosen.flatten(), E).float()
        )
    joint = table / table.sum()
    entropy = lambda p: float(torch.special.entr(p).sum()) / math.log(2)
    shared = entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)
    same = (chosen.sort(1).values == again.sort(1).values).all(1).float().mean()
    numbers = {
        "loss on held-out text, nats a character": before,
        "least used expert, percent of an even share": 100 * E * float(load.min()),
        "most used expert, percent of an even share": 100 * E * float(load.max()),
        "balancing loss": balancing,
        "entropy of a character's probabilities, percent of the highest": 100
        * float(torch.special.entr(probabilities).sum(-1).mean())
        / math.log(E),
        "most probable expert, mean probability": float(probabilities.amax(-1).mean()),
        "weights of a character, mean sum": float(weights.sum(-1).mean()),
        "weight of its first expert, mean": float(weights[:, 0].mean()),
        "expert rows computed for a character": rows,
        "choices dropped, percent": 100 * dropped,
        "characters sent to other experts when read again, percent": 100 * (1 - float(same)),
        "what the expert tells about the character, bits": shared,
        "router's gradient from the text, last update": of_text,
        "router's gradient from the balancing, last update": of_balance,
        "router's weights moved, mean": float((m.router.weight.detach() - first).abs().mean()),
    }
    return {name: float(f"{value:.3g}") for name, value in numbers.items()}


# What a student gets to see, in the short names that are recorded.
SHOWN = {
    "loss, nats": "loss on held-out text, nats a character",
    "least used, % of even": "least used expert, percent of an even share",
    "balancing loss": "balancing loss",
    "entropy, % of highest": "entropy of a character's probabilities, percent of the highest",
    "highest probability": "most probable expert, mean probability",
    "sum of weights": "weights of a character, mean sum",
    "first weight": "weight of its first expert, mean",
    "expert runs": "expert rows computed for a character",
    "sent elsewhere, %": "characters sent to other experts when read again, percent",
    "gradient, text": "router's gradient from the text, last update",
    "gradient, balancing": "router's gradient from the balancing, last update",
    "router moved": "router's weights moved, mean",
}


def shown(log: dict[str, float]) -> dict[str, float]:
    return {short: log[name] for short, name in SHOWN.items()}


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "lab06_faults", script=__file__, seeds=SEEDS,
        modules=["llmlib.data.corpora", "llmlib.model.transformer", "llmlib.model.attention", "llmlib.model.layers"],
    )  # fmt: skip
    results = {}
    for name, fault in {"correct": "", **RUNS}.items():
        first, *others = (shown(experiment.once(f"{name} {seed}", trained, seed, fault)) for seed in SEEDS)
        results[name] = first | {"other seeds": others}
        print(name, fault, [[*log.values()] for log in (first, *others)], flush=True)
    experiment.save(results)


if __name__ == "__main__":
    main()
