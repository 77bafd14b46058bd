"""The parts of a model, exchanged for others and asked for what they add to the loss."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from fnmatch import fnmatchcase

from torch import Tensor, nn


class TiedHead(nn.Linear):
    """The output head that is the embedding matrix (Press and Wolf, 2017): (..., d_model) -> (..., vocab_size).

    A linear layer without a weight of its own: `weight` is the embedding's, wherever that is moved or cast, and it is
    counted, saved and loaded there alone. Whoever exchanges model.token_embedding ties the head anew, or leaves it to
    the old matrix: model.lm_head = TiedHead(model.token_embedding).
    """

    def __init__(self, embedding: nn.Embedding):
        nn.Module.__init__(self)
        self.in_features, self.out_features = embedding.embedding_dim, embedding.num_embeddings
        self.register_parameter("bias", None)
        self.__dict__["embedding"] = embedding  # past nn.Module, for which it would be a second name of the matrix

    @property
    def weight(self) -> nn.Parameter:
        return self.embedding.weight


def replace_linears(model: nn.Module, pattern: str, make: Callable[[str, nn.Linear], nn.Module]) -> list[str]:
    """Put another module in the place of each linear layer whose name matches, say an adapter. Lectures 14, 15.

        replace_linears(model, "blocks.*.attention.[qv]_proj", lambda name, linear: LoRALinear(linear, rank=8))

    pattern: as in `fnmatch`, `*` stands for anything; names are those of `model.named_modules()`, "lm_head" among them,
    tied or not. make(name, linear) -> the new module, which maps (..., linear.in_features) to (..., out_features) and
    may hold the old one. -> the names replaced, in the model's order. A linear layer that stands in two places is
    asked for once. Raises ValueError, and changes nothing, for a pattern that matches no linear layer or a result of
    `make` that is no module.
    """
    linears = {name: part for name, part in model.named_modules(remove_duplicate=False) if isinstance(part, nn.Linear)}
    names = [name for name in linears if name and fnmatchcase(name, pattern)]
    if not names:
        close = difflib.get_close_matches(pattern, linears, n=1)
        remedy = f"did you mean {close[0]}?" if close else "print(model) shows the names"
        raise ValueError(f"pattern is {pattern!r}, which matches no linear layer of the model; {remedy}")
    made: dict[int, nn.Module] = {}
    for name in names:
        linear = linears[name]
        if id(linear) not in made:
            made[id(linear)] = make(name, linear)
            if not isinstance(made[id(linear)], nn.Module):
                kind = type(made[id(linear)]).__name__
                raise ValueError(f"make returned a {kind} for {name}; return a module that takes the linear's place")
    for name in names:
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, made[id(linears[name])])
    return names


def auxiliary_loss(model: nn.Module) -> Tensor | float:
    """The sum of what the parts of a model ask to be added to its loss; 0.0 if none asks. Lecture 06.

    A part asks by setting `self.auxiliary_loss`, a tensor of one number, in its forward: a mixture of experts does, to
    spread its tokens evenly (Shazeer et al., 2017). The tensor belongs to the last forward pass.
    """
    losses = [getattr(part, "auxiliary_loss", None) for part in model.modules()]
    return sum((loss for loss in losses if isinstance(loss, Tensor)), 0.0)
