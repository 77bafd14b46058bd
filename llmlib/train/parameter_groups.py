"""Which parameter goes to which optimizer, with which learning rate and weight decay."""

from torch import nn
from torch.optim import Optimizer

from llmlib.train.adamw import AdamW
from llmlib.train.config import TrainConfig
from llmlib.train.muon import Muon


def route_parameters(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Sort the trainable parameters into "matrices", "embeddings", "head" and "vectors" (any may be empty).

    Embeddings are the weights of nn.Embedding modules; a head tied to them is the same tensor and counts as one. The
    head is a matrix that has one row per token and is not an embedding: what `model.config.vocab_size` says, where the
    model has a config. Vectors are all with fewer than two dimensions: norm weights and biases. Stacks of matrices with
    more than two dimensions count as vectors for Muon's sake, which takes plain matrices only.
    """
    embedding_ids = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    vocab_size = getattr(getattr(model, "config", None), "vocab_size", None)
    routes: dict[str, list[nn.Parameter]] = {"matrices": [], "embeddings": [], "head": [], "vectors": []}
    for name, w in model.named_parameters():
        if not w.requires_grad:
            continue
        if id(w) in embedding_ids:
            routes["embeddings"].append(w)
        elif w.ndim != 2:
            routes["vectors"].append(w)
        elif "blocks." not in name and w.shape[0] == vocab_size:
            routes["head"].append(w)
        else:
            routes["matrices"].append(w)
    return routes


def build_optimizers(model: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """The optimizers a config asks for: [AdamW], or [Muon, AdamW]. Weight decay acts on all but vectors.

    With "muon" the embeddings and the head do not decay: their AdamW steps are large and sparse, and a token that has
    not been seen for a while would be forgotten.
    """
    routes = route_parameters(model)
    learning_rates = {
        "matrices": config.lr,
        "embeddings": config.embedding_lr,
        "head": config.head_lr,
        "vectors": config.vector_lr,
    }
    optimizers: list[Optimizer] = []
    if config.optimizer == "muon" and routes["matrices"]:
        optimizers.append(
            Muon(
                routes.pop("matrices"),
                lr=config.lr,
                momentum=config.momentum,
                weight_decay=config.weight_decay,
                newton_schulz_steps=config.newton_schulz_steps,
            )
        )
    groups = []
    for route, weights in routes.items():
        lr = config.lr if learning_rates[route] is None else learning_rates[route]
        decays = route != "vectors" and config.optimizer == "adamw"
        if weights:
            groups.append(dict(params=weights, lr=lr, weight_decay=config.weight_decay if decays else 0.0))
    if groups:
        optimizers.append(AdamW(groups, betas=config.betas, eps=config.eps))
    return optimizers
