"""Which parameter goes to which optimizer, with which learning rate and weight decay."""

import inspect
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import nn
from torch.optim import Optimizer

from llmlib.train.adamw import AdamW
from llmlib.train.config import TrainConfig
from llmlib.train.distributed import unwrapped
from llmlib.train.muon import Muon
from llmlib.train.registry import optimizer_factory, register_optimizer
from llmlib.train.sgd import SGD
from llmlib.train.soap import SOAP

Routes = dict[str, list[nn.Parameter]]
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def route_parameters(model: nn.Module) -> Routes:
    """Sort the trainable parameters into "matrices", "embeddings", "head" and "vectors" (any may be empty).

    Embeddings are the weights of nn.Embedding modules; a head tied to them is the same tensor and counts as one. The
    head is a matrix outside the blocks that has one row per token and is not an embedding: what
    `model.config.vocab_size` says, where the model has a config. Matrices are the other parameters of two dimensions,
    and stacks (experts, out, in) of them. Vectors are the rest: norm weights, biases, and convolutions, because Muon
    takes matrices only.
    """
    model = unwrapped(model)
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    convolutions = {id(m.weight) for m in model.modules() if isinstance(m, CONVOLUTIONS)}
    vocab_size = getattr(getattr(model, "config", None), "vocab_size", None)
    routes: Routes = {"matrices": [], "embeddings": [], "head": [], "vectors": []}
    for name, w in model.named_parameters():
        if not w.requires_grad:
            continue
        if id(w) in embeddings:
            routes["embeddings"].append(w)
        elif w.ndim not in (2, 3) or id(w) in convolutions or name.endswith("bias"):
            routes["vectors"].append(w)
        elif w.ndim == 2 and "blocks." not in name and w.shape[0] == vocab_size:
            routes["head"].append(w)
        else:
            routes["matrices"].append(w)
    return routes


def group_parameters(
    routes: Mapping[str, Sequence[nn.Parameter]], config: TrainConfig, decayed: Collection[str] = ()
) -> list[dict]:
    """Groups for any torch optimizer, one a route, with the config's learning rate for it.

    decayed: the routes on which config.weight_decay acts.
    """
    learning_rates = {"embeddings": config.embedding_lr, "head": config.head_lr, "vectors": config.vector_lr}
    groups = []
    for route, weights in routes.items():
        lr = config.lr if learning_rates.get(route) is None else learning_rates[route]
        if weights:
            groups.append(dict(params=weights, lr=lr, weight_decay=config.weight_decay if route in decayed else 0.0))
    return groups


def build_optimizers(model: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """The optimizers a config asks for. ValueError if they leave out a trainable parameter or share one."""
    factory = optimizer_factory(config.optimizer)
    try:
        inspect.signature(factory).bind(model, config, **config.optimizer_options)
    except TypeError as problem:
        raise ValueError(
            f"optimizer_options={dict(config.optimizer_options)} do not suit optimizer={config.optimizer!r} ({problem})"
        ) from None
    optimizers = list(factory(model, config, **config.optimizer_options))
    routed = [id(w) for optimizer in optimizers for group in optimizer.param_groups for w in group["params"]]
    wanted = {id(w): name for name, w in model.named_parameters() if w.requires_grad}
    left_out = [name for identity, name in wanted.items() if identity not in routed]
    if left_out or len(routed) != len(set(routed)):
        problem = f"leave out {left_out[0]!r}" if left_out else "share a parameter between two groups"
        raise ValueError(f"the optimizers of optimizer={config.optimizer!r} {problem}: each parameter needs one place")
    return optimizers


def build_adamw(model: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """AdamW for everything. Weight decay acts on all but vectors."""
    return _adamw(group_parameters(route_parameters(model), config, ("matrices", "embeddings", "head")), config)


def build_muon(model: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """Muon for the matrices, AdamW for the rest.

    The embeddings and the head do not decay: their AdamW steps are large and sparse, and a token that has not been
    seen for a while would be forgotten.
    """
    routes = route_parameters(model)
    groups = group_parameters({"matrices": routes.pop("matrices")}, config, ("matrices",))
    settings = dict(momentum=config.momentum, newton_schulz_steps=config.newton_schulz_steps)
    muon: list[Optimizer] = [Muon(groups, **settings)] if groups else []
    return muon + _adamw(group_parameters(routes, config), config)


def build_sgd(model: nn.Module, config: TrainConfig, nesterov: bool = False) -> list[Optimizer]:
    """SGD with the config's momentum for everything. Weight decay acts on all but vectors."""
    groups = group_parameters(route_parameters(model), config, ("matrices", "embeddings", "head"))
    return [SGD(groups, momentum=config.momentum, nesterov=nesterov)]


def build_soap(
    model: nn.Module,
    config: TrainConfig,
    refresh: int = 10,
    shampoo_beta: float = 0.95,
    betas: tuple[float, float] = (0.95, 0.95),
) -> list[Optimizer]:
    """SOAP for the matrices, AdamW for the rest. Its betas are options of their own; config.betas are AdamW's."""
    routes = route_parameters(model)
    groups = group_parameters({"matrices": routes.pop("matrices")}, config, ("matrices",))
    settings = dict(refresh=refresh, shampoo_beta=shampoo_beta, betas=betas, eps=config.eps)
    soap: list[Optimizer] = [SOAP(groups, **settings)] if groups else []
    return soap + _adamw(group_parameters(routes, config), config)


def _adamw(groups: list[dict], config: TrainConfig) -> list[Optimizer]:
    """On CUDA torch's fused kernel, which does the same in one launch."""
    if not groups:
        return []
    on_cuda = all(w.is_cuda for group in groups for w in group["params"])
    if on_cuda:
        return [torch.optim.AdamW(groups, betas=config.betas, eps=config.eps, fused=True)]
    return [AdamW(groups, betas=config.betas, eps=config.eps)]


register_optimizer("adamw", build_adamw)
register_optimizer("muon", build_muon)
register_optimizer("sgd", build_sgd)
register_optimizer("soap", build_soap)
