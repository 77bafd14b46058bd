"""Lab 19: patches, a picture in front of the text, InfoNCE, a vector quantizer, units of sound, recall, a test of
batches for contrastive learning, a wrong run of two towers."""

import functools
import math

import torch
import torch.nn.functional as F

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Tolerance, Ungraded

# --------------------------------------------------------------------------------------------------------- 1: patches


def some_pictures(draw: Draw) -> tuple:
    """Pictures higher than wide, or wider than high."""
    size = 2 + draw.integer(0, 2)
    rows, columns = draw.choice([(2, 3), (3, 2), (2, 4)])
    return draw.uniform(1 + draw.integer(0, 2), 3, rows * size, columns * size), size


def square_pictures(draw: Draw) -> tuple:
    size = 2 + draw.integer(0, 2)
    return draw.uniform(2, 3, 3 * size, 3 * size), size


def grey_pictures(draw: Draw) -> tuple:
    size = 2 + draw.integer(0, 3)
    return draw.uniform(2, 1, 2 * size, 3 * size), size


def run_patchify(student, pictures, size):
    """Recipe: the patches in double precision."""
    return torch.as_tensor(student(pictures.clone(), size)).double()


def patches(pictures, size, slip=""):
    """(B, N, C * size * size), or what a slip gives."""
    B, C, H, W = pictures.shape
    x = pictures.double()
    h, w = H // size, W // size
    if slip == "plain view":
        return x.reshape(B, h * w, -1)
    if slip == "spread":
        return x.view(B, C, size, h, size, w).permute(0, 3, 5, 1, 2, 4).reshape(B, h * w, -1)
    grid = x.view(B, C, h, size, w, size)
    if slip == "channels apart":
        return grid.permute(0, 1, 2, 4, 3, 5).reshape(B, C * h * w, -1)
    if slip == "first and last":
        return grid.permute(0, 2, 4, 1, 3, 5).reshape(B, h * w, -1).transpose(1, 2)
    if slip == "one row of patches":
        return grid.permute(0, 2, 4, 1, 3, 5).reshape(B * h * w, -1)
    if slip == "grid":
        return grid.permute(0, 2, 4, 1, 3, 5).reshape(B, h, w, -1)
    order = {
        "down": (0, 4, 2, 1, 3, 5),
        "channels last": (0, 2, 4, 3, 5, 1),
        "down inside": (0, 2, 4, 1, 5, 3),
        "down both": (0, 4, 2, 1, 5, 3),
        "channels between": (0, 2, 4, 3, 1, 5),
    }.get(slip, (0, 2, 4, 1, 3, 5))
    return grid.permute(*order).reshape(B, h * w, -1)


@functools.cache
def _patches(slip: str):
    return functools.partial(patches, slip=slip)


PATCH_SLIPS = {
    "plain view": "a reshape alone cuts rows of pixels, not squares: split rows and columns, and move the two axes that count patches before the three inside a patch",
    "spread": "these pixels are no neighbours: split an axis into (number of patches, size), not (size, number of patches)",
    "down": "the patches run down the columns: they are to run along the rows, as one reads",
    "down both": "the patches and the pixels in them run down the columns: they are to run along the rows, as one reads",
    "channels last": "the colours come first inside a patch: all of red, then green, then blue",
    "channels between": "the colours come first inside a patch: all of red, then green, then blue",
    "down inside": "inside a patch the pixels run down the columns: they are to run along the rows",
    "channels apart": "a patch holds all colours: one vector for each square, not one for each colour of it",
    "first and last": "a patch is a row: (B, N, C * size * size). Axes 1 and 2 are exchanged",
    "one row of patches": "the batch is lost: (B, N, C * size * size), each picture with its own patches",
    "grid": "the patches of a picture stand in one row, N of them: (B, N, C * size * size)",
}
_GREY = ("channels last", "channels between", "channels apart")
_ALL_PATCHES = tuple(_patches(s) for s in PATCH_SLIPS)

# ------------------------------------------------------------------------------------------ 2: a picture and a text


def _read(draw: Draw, B: int, N: int, T: int, first: bool, even: bool = False) -> dict:
    """Patches, a text and weights; how many tokens of a text count differs from text to text, unless even."""
    p, d, V = 6, 4, 7
    counted = torch.zeros(B, T, dtype=torch.bool)
    for row in range(B):
        n = 2 if even else 1 + row % (T - 1)
        places = draw.numpy.permutation(T - 1)[:n] + 1
        counted[row, places] = True
        if first:
            counted[row, 0] = True
    return {
        "patches": draw.normal(B, N, p),
        "ids": draw.integers(0, V, B, T),
        "counted": counted,
        "projection": draw.normal(p, d, scale=0.6),
        "embedding": draw.normal(V, d),
        "positions": draw.normal(N + T + 2, d, scale=0.7),
        "head": draw.normal(d, V),
    }


def answers_count(draw: Draw) -> dict:
    return _read(draw, 2 + draw.integer(0, 2), 2 + draw.integer(0, 2), 4 + draw.integer(0, 2), False)


def from_the_first(draw: Draw) -> dict:
    """A caption: its first token counts, and the picture alone predicts it."""
    return _read(draw, 2 + draw.integer(0, 2), 2 + draw.integer(0, 2), 4 + draw.integer(0, 2), True)


def one_patch(draw: Draw) -> dict:
    return _read(draw, 2, 1, 4, True)


def run_picture_loss(student, patches, ids, counted, projection, embedding, positions, head):
    """Recipe: the loss with its gradients; the decoder looks back only."""

    def decoder(x):
        h = torch.tanh(x)
        mean = h.cumsum(1) / torch.arange(1, x.shape[1] + 1).to(x)[:, None]
        return (h + 2 * mean) @ head

    weights = {"projection": projection, "embedding": embedding, "positions": positions}
    weights = {name: w.clone().requires_grad_() for name, w in weights.items()}
    loss = student(patches, ids, counted, decoder=decoder, **weights)
    grads = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    named = {n: torch.zeros_like(w) if g is None else g for (n, w), g in zip(weights.items(), grads)}
    return {"loss": loss.detach().double(), **{f"gradient of {n}": g.double() for n, g in named.items()}}


def picture_loss(patches, ids, counted, projection, embedding, positions, head, slip=""):
    """The loss and its gradients, or those of a slip."""
    weights = [w.clone().requires_grad_() for w in (projection, embedding, positions)]
    project, embed, position = weights
    N, T = patches.shape[1], ids.shape[1]
    seen, text = patches @ project, embed[ids]
    if slip == "blind":
        seen = torch.zeros_like(seen)
    elif slip == "picture detached":
        seen = seen.detach()
    elif slip == "text detached":
        text = text.detach()
    places = torch.arange(N + T)
    if slip == "anew":
        places = torch.cat([torch.arange(N), torch.arange(T)])
    elif slip == "text before":
        places = torch.cat([torch.arange(T, N + T), torch.arange(T)])
    behind = slip == "behind"
    x = torch.cat([text, seen] if behind else [seen, text], 1)
    if slip == "text's positions":
        x = x + torch.cat([torch.zeros_like(position[:N]), position[N : N + T]])
    elif slip == "text's positions from zero":
        x = x + torch.cat([torch.zeros_like(position[:N]), position[:T]])
    elif slip != "no positions":
        x = x + position[places]
    h = torch.tanh(x)
    logits = (h + 2 * h.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None]) @ head
    here, wanted, mask = logits[:, N - 1 : -1], ids, counted
    if slip == "same place":
        here = logits[:, N:]
    elif slip == "picture's places":
        here = logits[:, :T]
    elif slip == "one early":
        here = torch.cat([logits[:, :1], logits], 1)[:, N - 1 : N + T - 1]
    elif slip == "first lost":
        here, wanted, mask = logits[:, N:-1], ids[:, 1:], counted[:, 1:]
    elif slip == "mask late":
        here, wanted, mask = logits[:, N:-1], ids[:, 1:], counted[:, :-1]
    elif behind:
        here, wanted, mask = logits[:, : T - 1], ids[:, 1:], counted[:, 1:]
    elif slip == "pictures count":
        blank = torch.zeros(len(ids), N, dtype=ids.dtype)
        here, wanted = logits[:, :-1], torch.cat([blank, ids], 1)[:, 1:]
        mask = torch.cat([blank == 0, counted], 1)[:, 1:]
    elif slip == "everything":
        mask = torch.ones_like(counted)
    elif slip == "the others":
        mask = ~counted
    each = F.cross_entropy(here.transpose(1, 2), wanted, reduction="none")
    if slip == "rows":
        loss = ((each * mask).sum(1) / mask.sum(1)).mean()
    elif slip == "all places":
        loss = (each * mask).mean()
    elif slip == "sum":
        loss = (each * mask).sum()
    elif slip == "texts":
        loss = (each * mask).sum() / len(ids)
    else:
        loss = each[mask].mean()
    grads = torch.autograd.grad(loss, weights, allow_unused=True)
    grads = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, grads)]
    names = ("projection", "embedding", "positions")
    return {"loss": loss.detach().double(), **{f"gradient of {n}": g.double() for n, g in zip(names, grads)}}


@functools.cache
def _loss(slip: str):
    return functools.partial(picture_loss, slip=slip)


LOSS_SLIPS = {
    "same place": "that asks each place for the token that stands there, and it has just been read: a token is predicted one place before its own",
    "picture's places": "the picture takes the first N places: the text's logits stand behind them",
    "one early": "that is two places before the token: a token is predicted one place before its own, the first one at the last patch",
    "first lost": "the first token of the text is predicted, too: at the last patch",
    "mask late": "`counted` is moved by one: it says which tokens count where they are predicted, not where they are read",
    "behind": "the picture stands behind the text, where no earlier token can see it",
    "anew": "the text's positions begin with 0 again: picture and text share them, the text begins with N",
    "text before": "the picture comes first and has the positions 0 to N - 1",
    "text's positions": "the patches need positions, too: without them a decoder cannot tell left from right",
    "text's positions from zero": "picture and text share the positions: patches have 0 to N - 1, and the text begins with N",
    "no positions": "where are the positions? They are added to picture and text before the decoder reads them",
    "blind": "the patches are not used: is the picture projected and put in front?",
    "pictures count": "the loss also asks the picture's places for something: only counted tokens of the text are asked for",
    "everything": "all tokens of the text are counted: only those with True in `counted` are",
    "the others": "`counted` is turned round: True counts",
    "rows": "that is a mean of the texts' means: all counted tokens of the batch weigh the same",
    "all places": "the mean is one over the counted tokens: do not divide by the others",
    "sum": "that is a sum: the mean over the counted tokens is asked for",
    "texts": "that is a sum divided by the number of texts: the mean over the counted tokens is asked for",
    "picture detached": "no gradient reaches the projection: is something detached?",
    "text detached": "no gradient reaches the embedding of the text: is something detached?",
}
_FIRST = ("first lost", "behind")
_ONE_PATCH_ALIKE = ("one early",)

# ---------------------------------------------------------------------------------------------------------- 3: InfoNCE


def some_pairs(draw: Draw) -> tuple:
    """Pairs that are alike, of unlike lengths."""
    n, d = 4 + draw.integer(0, 3), 5 + draw.integer(0, 3)
    a = draw.normal(n, d)
    b = a + 1.2 * draw.normal(n, d)
    scale = draw.uniform(n, 1, low=0.5, high=2.5)
    return a * scale, b * scale.flip(0), draw.choice([0.2, 0.3, 0.5])


def as_many_as_wide(draw: Draw) -> tuple:
    """As many pairs as numbers in a vector: the wrong axis fits, too."""
    n = 4 + draw.integer(0, 3)
    a = draw.normal(n, n) * draw.uniform(n, 1, low=0.5, high=2.0)
    return a, a + draw.normal(n, n), draw.choice([0.25, 0.4])


def sharp(draw: Draw) -> tuple:
    """A low temperature: exponentials of cosines / 0.01 overflow nothing when the logarithm is taken well."""
    n = 4 + draw.integer(0, 3)
    return draw.normal(n, 6) * 8, draw.normal(n, 6) * 8, 0.01


def run_info_nce(student, a, b, temperature):
    """Recipe: the loss with its gradients."""
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    loss = student(a, b, temperature)
    of_a, of_b = torch.autograd.grad(loss, [a, b], allow_unused=True)
    of_a, of_b = (torch.zeros_like(x) if g is None else g for x, g in ((a, of_a), (b, of_b)))
    return {"loss": loss.detach().double(), "gradient of a": of_a.double(), "gradient of b": of_b.double()}


def info_nce(a, b, temperature, slip=""):
    """The loss and its gradients, or those of a slip."""
    a, b = a.double().requires_grad_(), b.double().requires_grad_()
    axis = 0 if slip == "over the batch" else -1
    left = a if slip == "not normalised" else F.normalize(a, dim=axis)
    right = b if slip in ("not normalised", "names not normalised") else F.normalize(b, dim=axis)
    if slip == "squared length":
        left, right = a / a.square().sum(-1, keepdim=True), b / b.square().sum(-1, keepdim=True)
    if slip == "detached":
        right = right.detach()
    products = left @ right.T
    if slip == "distance":
        products = -torch.cdist(left, right)
    logits = {
        "multiplied": lambda: products * temperature,
        "no temperature": lambda: products,
        "root": lambda: products / math.sqrt(temperature),
    }.get(slip, lambda: products / temperature)()
    n = len(a)
    own = torch.arange(n)
    kind = "sum" if slip == "sum over pairs" else "mean"
    there, back = F.cross_entropy(logits, own, reduction=kind), F.cross_entropy(logits.T, own, reduction=kind)
    if slip == "one way":
        loss = there
    elif slip == "other way":
        loss = back
    elif slip == "not halved":
        loss = there + back
    elif slip == "sigmoid":
        loss = F.binary_cross_entropy_with_logits(logits, torch.eye(n, dtype=logits.dtype))
    elif slip == "without itself":
        others = logits.masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
        loss = ((others.logsumexp(0) + others.logsumexp(1)) / 2 - logits.diagonal()).mean()
    elif slip == "one table":
        loss = -F.log_softmax(logits.flatten(), 0).view(n, n).diagonal().mean()
    elif slip == "probability":
        loss = -(logits.softmax(0).diagonal().mean() + logits.softmax(1).diagonal().mean()) / 2
    elif slip == "bits":
        loss = (there + back) / 2 / math.log(2)
    elif slip == "sign":
        loss = -(there + back) / 2
    else:
        loss = (there + back) / 2
    of_a, of_b = torch.autograd.grad(loss, [a, b], allow_unused=True)
    of_a, of_b = (torch.zeros_like(x) if g is None else g for x, g in ((a, of_a), (b, of_b)))
    return {"loss": loss.detach(), "gradient of a": of_a, "gradient of b": of_b}


@functools.cache
def _nce(slip: str):
    return functools.partial(info_nce, slip=slip)


NCE_SLIPS = {
    "one way": "only the a choose among the b: the b choose among the a, too, and the loss is the mean of both",
    "other way": "only the b choose among the a: the a choose among the b, too, and the loss is the mean of both",
    "not halved": "that is the sum of both directions: their mean is asked for",
    "not normalised": "lengths must not matter: divide each vector by its length first",
    "names not normalised": "lengths must not matter: both vectors are divided by theirs, b too",
    "over the batch": "a vector is a row: its length is taken over the last axis, not over the batch",
    "squared length": "divide by the length, not by its square",
    "multiplied": "the cosines are *divided* by the temperature: a low one makes the choice sharp",
    "no temperature": "where is the temperature?",
    "root": "the cosines are divided by the temperature itself, not by its root",
    "distance": "the cosines are what is compared, not distances",
    "sum over pairs": "that is the sum over the pairs: the mean is asked for",
    "sigmoid": "that asks of each pair whether it belongs together: here each a chooses one among all b, with a softmax",
    "without itself": "the right one is among those that are chosen from: it belongs into the sum of the softmax, too",
    "one table": "that is one softmax over the whole table: each row has its own, and each column",
    "probability": "the loss is minus the *logarithm* of the probability",
    "bits": "in nats, please: natural logarithms",
    "sign": "the sign: the loss is minus the logarithm of a probability, at least 0",
    "detached": "no gradient reaches b: both towers learn",
}
_SQUARE = ("over the batch",)

# -------------------------------------------------------------------------------------------------- 4: a quantizer


def _vectors(draw: Draw, *shape: int) -> tuple:
    d = shape[-1]
    codebook = draw.normal(4 + draw.integer(0, 3), d) * draw.uniform(1, low=0.8, high=1.5)
    return draw.normal(*shape), codebook, draw.choice([0.1, 0.25, 0.4])


def some_vectors(draw: Draw) -> tuple:
    return _vectors(draw, 5 + draw.integer(0, 4), 3 + draw.integer(0, 2))


def patches_of_pictures(draw: Draw) -> tuple:
    return _vectors(draw, 2, 3 + draw.integer(0, 3), 3 + draw.integer(0, 2))


def long_codes(draw: Draw) -> tuple:
    """Codes of unlike lengths: the nearest is not the one with the largest product."""
    x, codebook, commitment = _vectors(draw, 8, 3)
    return x, codebook * torch.linspace(0.2, 3.0, len(codebook))[:, None], commitment


def run_quantize(student, x, codebook, commitment):
    """Recipe: what comes out, and where gradients go from the vectors and from the loss."""
    x, codebook = x.clone().requires_grad_(), codebook.clone().requires_grad_()
    vectors, codes, loss = student(x, codebook, commitment)
    weight = torch.linspace(0.5, 2.0, x.numel()).view(x.shape)
    found = {"vectors": vectors.detach().double(), "codes": codes.long(), "loss": loss.detach().double()}
    for name, of in (("vectors", (vectors * weight).sum()), ("loss", loss)):
        grads = [None, None]
        if of.requires_grad:
            grads = torch.autograd.grad(of, [x, codebook], allow_unused=True, retain_graph=True)
        for what, value, grad in zip(("x", "codebook"), (x, codebook), grads):
            found[f"gradient at {what} from the {name}"] = (torch.zeros_like(value) if grad is None else grad).double()
    return found


def quantize(x, codebook, commitment, slip=""):
    """Vectors, codes, loss and gradients, or those of a slip."""
    x, codebook = x.double().requires_grad_(), codebook.double().requires_grad_()
    flat = x.reshape(-1, x.shape[-1])
    if slip == "product":
        codes = (flat @ codebook.T).argmax(1)
    elif slip == "cosine":
        codes = (F.normalize(flat, dim=1) @ F.normalize(codebook, dim=1).T).argmax(1)
    elif slip == "farthest":
        codes = torch.cdist(flat, codebook).argmax(1)
    elif slip == "city blocks":
        codes = torch.cdist(flat, codebook, p=1).argmin(1)
    else:
        codes = torch.cdist(flat, codebook).argmin(1)
    codes = codes.view(x.shape[:-1])
    chosen = codebook[codes]
    to_codes, to_vectors = (chosen - x.detach()).square(), (x - chosen.detach()).square()
    if slip == "undetached":
        to_codes = to_vectors = (chosen - x).square()
    elif slip == "exchanged":
        to_codes, to_vectors = to_vectors, to_codes
    elif slip == "codebook fixed":
        to_codes = to_codes.detach()
    elif slip == "vectors free":
        to_vectors = to_vectors.detach()
    elif slip == "root":
        to_codes, to_vectors = ((t.sum(-1) + 1e-12).sqrt() for t in (to_codes, to_vectors))
    if slip == "sum":
        loss = to_codes.sum() + commitment * to_vectors.sum()
    elif slip == "lengths":
        loss = to_codes.sum(-1).mean() + commitment * to_vectors.sum(-1).mean()
    elif slip == "no commitment":
        loss = to_codes.mean()
    elif slip == "no codebook":
        loss = commitment * to_vectors.mean()
    elif slip == "both committed":
        loss = commitment * (to_codes.mean() + to_vectors.mean())
    elif slip == "equal":
        loss = to_codes.mean() + to_vectors.mean()
    else:
        loss = to_codes.mean() + commitment * to_vectors.mean()
    vectors = {
        "no line": lambda: chosen,
        "cut": lambda: chosen.detach(),
        "no detach": lambda: x + (chosen - x),
        "turned": lambda: chosen + (x - chosen).detach(),
        "both gradients": lambda: x + chosen - x.detach(),
        "not rounded": lambda: x * 1,
    }.get(slip, lambda: x + (chosen - x).detach())()
    weight = torch.linspace(0.5, 2.0, x.numel()).view(x.shape)
    found = {"vectors": vectors.detach(), "codes": codes, "loss": loss.detach()}
    for name, of in (("vectors", (vectors * weight).sum()), ("loss", loss)):
        grads = [None, None]
        if of.requires_grad:
            grads = torch.autograd.grad(of, [x, codebook], allow_unused=True, retain_graph=True)
        for what, value, grad in zip(("x", "codebook"), (x, codebook), grads):
            found[f"gradient at {what} from the {name}"] = torch.zeros_like(value) if grad is None else grad
    return found


@functools.cache
def _quantized(slip: str):
    return functools.partial(quantize, slip=slip)


QUANTIZER_SLIPS = {
    "product": "that is the code with the largest product, which favours long codes: the nearest one is asked for",
    "cosine": "that is the code with the largest cosine: the nearest one is asked for",
    "farthest": "that is the farthest code",
    "city blocks": "distances are Euclidean: squares are added up, not absolute values",
    "no line": "no gradient passes from the vectors to x: backwards the rounding counts as the identity, x + (chosen - x) with the bracket detached",
    "no detach": "no gradient passes from the vectors to x: in x + (chosen - x) it is the bracket that must be detached",
    "cut": "the vectors are cut off from everything: backwards the rounding counts as the identity, x + (chosen - x) with the bracket detached",
    "both gradients": "the gradient of the vectors reaches the codebook, too: only the loss moves the codes",
    "turned": "those are the vectors that were not rounded: what goes on has the values of the codes and the gradient of x",
    "not rounded": "those are the vectors that were not rounded: what goes on has the values of the codes and the gradient of x",
    "undetached": "each term moves one side only: the first the codes, with x detached; the second, times commitment, x, with the codes detached",
    "exchanged": "the detached sides are exchanged: `commitment` weighs the term that draws x to the codes",
    "codebook fixed": "the loss does not move the codebook: in the first term x is detached, not the codes",
    "vectors free": "the loss does not draw x to the codes: in the second term the codes are detached, not x",
    "root": "squares, without a root",
    "sum": "that is the sum: the mean over all numbers is asked for",
    "lengths": "the squares are averaged over all numbers, the d numbers of a vector among them",
    "no commitment": "the term that draws x to the codes is missing",
    "no codebook": "the term that draws the codes to x is missing",
    "both committed": "`commitment` weighs one of the terms only, the one that draws x to the codes",
    "equal": "the term that draws x to the codes is weighed with `commitment`",
}
_LONG = ("product", "cosine", "farthest", "city blocks")
_IN_VECTORS = tuple(_quantized(s) for s in QUANTIZER_SLIPS if s not in _LONG)

# --------------------------------------------------------------------------------------------------------- 5: units


def _runs(draw: Draw, n_codes: int, n_runs: int) -> tuple:
    """Codes in runs, some of which come back later."""
    few = [int(c) for c in draw.numpy.choice(n_codes, size=min(4, n_codes), replace=False)]
    row, last = [], None
    for i in range(n_runs):
        options = [c for c in few if c != last]
        last = few[0] if i in (0, 2) else draw.choice(options)
        if row and last == row[-1]:
            last = options[0]
        row += [last] * (1 + draw.integer(0, 4))
    return row, n_codes, draw.choice([50, 80, 100])


def a_sound(draw: Draw) -> tuple:
    return _runs(draw, draw.choice([80, 1100, 1300, 2500]), 5 + draw.integer(0, 5))


def a_power_of_two(draw: Draw) -> tuple:
    return _runs(draw, draw.choice([64, 256, 1024, 2]), 4 + draw.integer(0, 5))


def one_tone(draw: Draw) -> tuple:
    n_codes = draw.choice([500, 2000])
    return [draw.integer(0, n_codes)] * (4 + draw.integer(0, 6)), n_codes, 50


def no_repeats(draw: Draw) -> tuple:
    n = 5 + draw.integer(0, 5)
    return [int(c) for c in draw.numpy.permutation(500)[:n]], 500, draw.choice([25, 40])


def run_compress(student, codes, n_codes, rate):
    """Recipe: plain numbers."""
    found = student(list(codes), n_codes, rate)
    plain = {name: [int(u) for u in found[name]] for name in ("units", "lengths")}
    return plain | {"bits": float(found["bits"])}


def compress(codes, n_codes, rate, slip=""):
    """Units, how long each lasts, bits a second; or those of a slip."""
    units, lengths = [], []
    for code in codes:
        if units and units[-1] == code:
            lengths[-1] += 1
        else:
            units.append(code)
            lengths.append(1)
    if slip == "each once":
        units = list(dict.fromkeys(codes))
        lengths = [codes.count(u) for u in units]
    elif slip == "sorted":
        units = sorted(set(codes))
        lengths = [codes.count(u) for u in units]
    elif slip == "last lost":
        units, lengths = units[:-1], lengths[:-1]
    elif slip == "repeats only":
        lengths = [n - 1 for n in lengths]
    elif slip == "ends":
        lengths = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    elif slip == "starts":
        lengths = [sum(lengths[:i]) for i in range(len(lengths))]
    elif slip == "seconds":
        lengths = [int(n / rate) for n in lengths]
    elif slip == "not shortened":
        units, lengths = list(codes), [1] * len(codes)
    each = {
        "not rounded": math.log2(n_codes),
        "to the nearest": round(math.log2(n_codes)),
        "rounded down": math.floor(math.log2(n_codes)),
        "one code more": n_codes.bit_length(),
        "nats": math.ceil(math.log(n_codes)),
        "float": 32,
        "used codes": math.ceil(math.log2(max(2, len(set(codes))))),
    }.get(slip, math.ceil(math.log2(n_codes)))
    kept = {"every frame": len(codes)}.get(slip, len(units))
    seconds = {"one second": 1.0, "frames for seconds": len(codes)}.get(slip, len(codes) / rate)
    bits = each * kept / max(seconds, 1e-9)
    if slip == "lengths too":
        bits += math.ceil(math.log2(max(2, max(lengths)))) * kept / seconds
    if slip == "frames turned":
        bits = each * kept * len(codes) / rate
    return {"units": units, "lengths": lengths, "bits": float(bits)}


@functools.cache
def _compressed(slip: str):
    return functools.partial(compress, slip=slip)


UNIT_SLIPS = {
    "each once": "a unit that comes back later is written again: only repeats in a row are written once",
    "sorted": "the units keep their order, and one that comes back later is written again",
    "last lost": "the last run is missing",
    "repeats only": "a length counts all frames of a run, the first one, too",
    "ends": "a length is how many frames a run has, not where it ends",
    "starts": "a length is how many frames a run has, not where it begins",
    "seconds": "a length is a number of frames",
    "not shortened": "repeats in a row are written once",
    "not rounded": "a code is written with a whole number of bits: round log2 up",
    "to the nearest": "round log2 up, not to the nearest: with too few bits some codes have no number",
    "rounded down": "so many bits cannot tell all codes apart: round log2 up",
    "one code more": "for a power of two log2 is exact: 1,024 codes are numbered 0 to 1,023, with 10 bits",
    "nats": "bits: logarithms to base 2",
    "float": "a unit is one of n_codes: it takes log2 of that, rounded up, and not 32 bits",
    "used codes": "any of the n_codes may come: not those of this sound alone decide how many bits a code takes",
    "every frame": "that is as much as every frame would take: fewer units are sent, and the sound lasts as long as before",
    "one second": "that is the number of bits of the whole sound: divide by its length in seconds",
    "frames for seconds": "that is bits for a frame: `rate` frames make a second",
    "lengths too": "the lengths are not sent: count the bits of the units only",
    "frames turned": "seconds are frames divided by frames a second: divide by them",
}
_POWER = ("one code more",)
_IN_SOUND = tuple(_compressed(s) for s in UNIT_SLIPS if s not in (*_POWER, "used codes"))

# -------------------------------------------------------------------------------------------------------- 6: recall


def _similar(draw: Draw, N: int, M: int, ties: bool) -> tuple:
    """Similarities in quarters; own names stand at all kinds of ranks."""
    k = 2 + draw.integer(0, 2)
    table = (8 * draw.normal(N, M)).round() / 8
    own = draw.integers(0, M, N)
    for i in range(N):
        order = table[i].argsort(descending=True)
        rank = [0, k - 1, k, k + 1, M - 1, draw.integer(0, M)][i % 6]
        table[i, own[i]] = table[i, order[rank]].clone()
        if not ties:
            table[i] = table[i] + 0.01 * torch.from_numpy(draw.numpy.permutation(M)).float()
    if ties:
        for i in range(0, N, 2):
            others = [j for j in draw.numpy.permutation(M).tolist() if j != own[i]][: k + 1]
            table[i, others] = table[i, own[i]].clone()
    return table, own, k


def untied(draw: Draw) -> tuple:
    N = 10 + draw.integer(0, 6)
    return _similar(draw, N, N + 2 + draw.integer(0, 4), False)


def tied(draw: Draw) -> tuple:
    N = 10 + draw.integer(0, 6)
    return _similar(draw, N, N + 2 + draw.integer(0, 4), True)


def square_table(draw: Draw) -> tuple:
    N = 12 + draw.integer(0, 5)
    table, _, k = _similar(draw, N, N, False)
    return table, torch.from_numpy(draw.numpy.permutation(N)), k


def all_alike(draw: Draw) -> tuple:
    N = 6 + draw.integer(0, 5)
    return torch.full((N, N + 1), 0.25), draw.integers(0, N + 1, N), 3


def run_recall(student, similarity, own, k):
    """Recipe: the recall as a number."""
    return float(student(similarity.clone(), own.clone(), k))


def recall(similarity, own, k, slip=""):
    """A share, or what a slip gives."""
    s = similarity.double()
    N, M = s.shape
    rows = torch.arange(N)
    if slip == "columns":
        mine = s[rows, own]
        before = (s[:, own] >= mine[None]).sum(0) - 1
        return float((before < k).double().mean())
    if slip == "diagonal":
        own = rows
    if slip == "smallest":
        s = -s
    mine = s[rows, own][:, None]
    above, equal = (s > mine).sum(1), (s == mine).sum(1) - 1
    if slip == "by place":
        before = torch.stack([(s[i].argsort(descending=True, stable=True) == own[i]).nonzero()[0, 0] for i in range(N)])
    elif slip == "flattered":
        before = above
    elif slip == "midway":
        before = above + equal / 2
    else:
        before = above + equal
    if slip == "itself counted":
        before = before + 1
    if slip == "one more":
        return float((before <= k).double().mean())
    if slip == "first only":
        return float((before < 1).double().mean())
    if slip == "count":
        return float((before < k).sum())
    if slip == "percent":
        return 100 * float((before < k).double().mean())
    if slip == "over k":
        return float((before < k).double().mean()) / k
    if slip == "missed":
        return float((before >= k).double().mean())
    if slip == "reciprocal rank":
        return float((1 / (before + 1)).mean())
    if slip == "over the names":
        return float((before < k).sum()) / M
    return float((before < k).double().mean())


@functools.cache
def _recalled(slip: str):
    return functools.partial(recall, slip=slip)


RECALL_SLIPS = {
    "flattered": "what is as similar as the own name counts as before it: a model that finds all alike recalls nothing",
    "midway": "what is as similar as the own name counts as before it, all of it",
    "by place": "what is as similar must not hang on its place in the row, as it does after sorting or topk: it counts as before the own name",
    "columns": "each row is a picture that looks among the names: rank within the row",
    "diagonal": "the own name of row i is in the column own[i], not in column i",
    "smallest": "the largest numbers are the most similar",
    "itself counted": "the own name is not before itself: among the k most similar means that fewer than k others are as similar",
    "one more": "among the k most similar means that fewer than k others come before, not up to k",
    "first only": "that is recall@1: k names may be given",
    "count": "that is a number of pictures: their share is asked for",
    "percent": "a share, from 0 to 1",
    "over k": "there is one right name for each picture: do not divide by k",
    "missed": "that is the share of pictures whose name is *not* among the first k",
    "reciprocal rank": "that is the mean reciprocal rank",
    "over the names": "it is a share of the pictures, the rows",
}
_TIED = ("flattered", "midway", "by place")
_SQUARE_TABLE = ("diagonal",)
_UNTIED = tuple(_recalled(s) for s in RECALL_SLIPS if s not in (*_TIED, *_SQUARE_TABLE, "itself counted"))

# ----------------------------------------------------------------------------------------------- 7: a test of batches

PICTURES = 14


def a_pool(names: object, size: object) -> str | None:
    if not isinstance(names, list) or not 1 <= len(names) <= PICTURES or not all(type(n) is str for n in names):
        return f"names is a list of 1 to {PICTURES} texts, the name of each picture"
    if any(not 1 <= len(n) <= 12 for n in names):
        return "a name has 1 to 12 characters"
    if type(size) is not int or not 2 <= size <= 6:
        return "size is a whole number from 2 to 6"
    return None


def _take(names: list, size: int, order: list) -> list:
    """The first `size` pictures of different names in an order, again and again."""
    left, batches = list(order), []
    while True:
        chosen: dict = {}
        for i in left:
            if names[i] not in chosen and len(chosen) < size:
                chosen[names[i]] = i
        if len(chosen) < size:
            return batches
        batches.append(list(chosen.values()))
        left = [i for i in left if i not in batches[-1]]


def in_turn(names, size):
    return _take(names, size, list(range(len(names))))


def from_the_end(names, size):
    return _take(names, size, list(range(len(names)))[::-1])


def stirred(names, size):
    """In an order that looks like chance."""
    return [sorted(batch) for batch in _take(names, size, sorted(range(len(names)), key=lambda i: (7 * i + 3) % 11))]


def frequent_first(names, size):
    """From the names that have most pictures left, so that few are lost."""
    left, batches = list(range(len(names))), []
    while len({names[i] for i in left}) >= size:
        pool: dict = {}
        for i in left:
            pool.setdefault(names[i], []).append(i)
        batch = [pool[n][-1] for n in sorted(pool, key=lambda n: (-len(pool[n]), n))[:size]]
        batches.append(batch)
        left = [i for i in left if i not in batch]
    return batches


def filled_side_by_side(names, size):
    """Every picture goes to the first unfinished batch that lacks its name; unfinished ones are dissolved and tried again."""
    batches: list = []
    for i, name in enumerate(names):
        place = next((b for b in batches if len(b) < size and all(names[j] != name for j in b)), None)
        if place is None:
            batches.append([i])
        else:
            place.append(i)
    done = [b for b in batches if len(b) == size]
    used = {i for b in done for i in b}
    return done + _take(names, size, [i for i in range(len(names)) if i not in used])


def cuts(names, size):
    """Whatever comes, in pieces of a size."""
    return [list(range(i, i + size)) for i in range(0, len(names) - size + 1, size)]


def not_beside(names, size):
    """Only a name that the picture before it has is put off."""
    left, batches = list(range(len(names))), []
    while True:
        batch: list = []
        for i in left:
            if len(batch) < size and (not batch or names[batch[-1]] != names[i]):
                batch.append(i)
        if len(batch) < size:
            return batches
        batches.append(batch)
        left = [i for i in left if i not in batch]


def one_of_each_name(names, size):
    """Every name is used once in all."""
    once = [i for i, n in enumerate(names) if n not in names[:i]]
    return [once[i : i + size] for i in range(0, len(once) - size + 1, size)]


def the_rest_too(names, size):
    """What is left of different names is a last, smaller batch."""
    batches = in_turn(names, size)
    used = {i for b in batches for i in b}
    rest = {names[i]: i for i in range(len(names)) if i not in used}
    return batches + ([list(rest.values())] if rest else [])


def filled_up(names, size):
    """A last batch is filled up with pictures that were used before."""
    batches = in_turn(names, size)
    used = [i for b in batches for i in b]
    rest = {names[i]: i for i in range(len(names)) if i not in used}
    for i in used:
        if rest and len(rest) < size and names[i] not in rest:
            rest[names[i]] = i
    return batches + ([list(rest.values())] if len(rest) == size else [])


def stops_at_a_repeat(names, size):
    """Pieces in turn; one that holds a name twice is left out whole."""
    return [b for b in cuts(names, size) if len({names[i] for i in b}) == size]


# ------------------------------------------------------------------------------------------------------ 8: a wrong run

BASELINE = 7.4  # percent; the given run, a mean over three seeds

FAULTS = {
    "A": "the cosines are multiplied by the temperature",
    "B": "the loss has one direction only: each picture chooses among the names",
    "C": "in training the pictures are shuffled against the names",
    "D": "the codebook is detached in both terms of the quantizer's loss",
    "E": "the straight-through line is left out: the codes go on as they are",
    "F": "the patches of test pictures run down the columns",
    "G": "the vectors of pictures and names are not normalised",
    "H": "each batch holds every name twice",
    "I": "the codebook begins in one heap, far from the vectors",
    "J": "the test names are trained on, too",
}
RUNS = ("a3", "c8", "e0", "g5", "k1", "n7", "q2", "t9", "w4", "y6")
OBSERVATIONS = {
    "a": "the training loss is below 0.5 nats",
    "b": "the training loss is above 1.2 nats",
    "c": "at least 85 % of the known pictures find their name",
    "d": "fewer than 60 % of the known pictures find their name",
    "e": "fewer than 50 % of the test pictures find their name",
    "f": "at least 71 % of the test pictures find their name",
    "g": "the loss of the test names is at most 1.5 times that of the known ones",
    "h": "the training loss is at least 0.4 nats above the loss of known names",
    "i": "the largest logit is above 11",
    "j": "the largest logit is below 0.3",
    "k": "fewer than 12 codes are used",
    "l": "at least 35 codes are used",
    "m": "the rounding error is above 0.7 of the variance",
    "n": "the codebook has moved by less than half of its length",
    "o": "the gradient that comes from the names is below 0.01",
    "p": "the loss of the last batch differs by more than 0.0003 from the mean of both directions",
}


LAB = Lab(
    id="lab19",
    title="Beyond text",
    questions=(
        Question(
            id="lab19.q1",
            title="Patches",
            name="patchify",
            points=2,
            difficulty=2,
            minutes=8,
            printed=True,
            recipe=run_patchify,
            hint="number the pixels of a small picture, torch.arange(36.).view(1, 1, 6, 6), and look at the first patch",
            cases=(
                Case(
                    "pictures that are no squares", inputs=some_pictures, expected=_patches(""), separates=_ALL_PATCHES
                ),
                Case("squares", inputs=square_pictures, expected=_patches("")),
                Case("grey ones", inputs=grey_pictures, expected=_patches("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_patches(slip)) for slip, message in PATCH_SLIPS.items()),
                Mistake(
                    "after permute the numbers do not lie in a row any more: use reshape, or contiguous before view",
                    error="view size is not compatible",
                ),
            ),
        ),
        Question(
            id="lab19.q2",
            title="A picture in front of the text",
            name="picture_loss",
            points=4,
            difficulty=3,
            minutes=20,
            recipe=run_picture_loss,
            tolerance=Tolerance(rtol=1e-3, atol=1e-5),
            hint="write down a row of two patches and three tokens: which place predicts which token?",
            cases=(
                Case(
                    "answers count",
                    inputs=answers_count,
                    expected=_loss(""),
                    separates=tuple(_loss(s) for s in LOSS_SLIPS if s not in (*_FIRST, "text before")),
                ),
                Case(
                    "captions, from the first token on",
                    inputs=from_the_first,
                    expected=_loss(""),
                    separates=tuple(_loss(s) for s in LOSS_SLIPS),
                ),
                Case("a single patch", inputs=one_patch, expected=_loss("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_loss(slip)) for slip, message in LOSS_SLIPS.items()),
                Mistake(
                    "no gradient reaches any weight: is the loss detached?",
                    error="does not require grad|no attribute 'requires",
                ),
                Mistake(
                    "F.cross_entropy wants the classes on axis 1: flatten batch and places, or pick the counted places first",
                    error="Expected target size",
                ),
            ),
        ),
        Question(
            id="lab19.q3",
            title="InfoNCE",
            name="info_nce",
            points=3,
            difficulty=2,
            minutes=12,
            printed=True,
            recipe=run_info_nce,
            tolerance=Tolerance(rtol=2e-3, atol=2e-4),
            hint="the table of cosines first, (N, N); which axis holds what one a chooses from?",
            cases=(
                Case(
                    "some pairs",
                    inputs=some_pairs,
                    expected=_nce(""),
                    separates=tuple(_nce(s) for s in NCE_SLIPS if s not in _SQUARE),
                ),
                Case(
                    "as many pairs as numbers in each",
                    inputs=as_many_as_wide,
                    expected=_nce(""),
                    separates=tuple(map(_nce, _SQUARE)),
                ),
                Case(
                    "a low temperature",
                    inputs=sharp,
                    expected=_nce(""),
                    hint="does the exponential overflow? Use F.cross_entropy or log_softmax, or take the largest away first",
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_nce(slip)) for slip, message in NCE_SLIPS.items()),
                Mistake("no gradient reaches the vectors: is the loss detached?", error="does not require grad"),
            ),
        ),
        Question(
            id="lab19.q4",
            title="A vector quantizer",
            name="quantize",
            points=4,
            difficulty=4,
            minutes=18,
            printed=True,
            recipe=run_quantize,
            tolerance=Tolerance(rtol=1e-3, atol=1e-4),
            hint="four things are compared: the values, and the gradients at x and at the codebook, from the vectors and from the loss",
            cases=(
                Case("some vectors", inputs=some_vectors, expected=_quantized(""), separates=_IN_VECTORS),
                Case(
                    "codes of unlike lengths",
                    inputs=long_codes,
                    expected=_quantized(""),
                    separates=tuple(map(_quantized, _LONG)),
                ),
                Case("patches of pictures", inputs=patches_of_pictures, expected=_quantized("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_quantized(slip)) for slip, message in QUANTIZER_SLIPS.items()),
                Mistake("return three things: vectors, codes, loss", error="values to unpack"),
            ),
        ),
        Question(
            id="lab19.q5",
            title="Units of sound",
            name="compress",
            points=3,
            difficulty=2,
            minutes=12,
            recipe=run_compress,
            cases=(
                Case("a sound", inputs=a_sound, expected=_compressed(""), separates=_IN_SOUND),
                Case(
                    "a codebook of a power of two",
                    inputs=a_power_of_two,
                    expected=_compressed(""),
                    separates=tuple(map(_compressed, _POWER)),
                ),
                Case("no repeats", inputs=no_repeats, expected=_compressed(""), separates=(_compressed("used codes"),)),
                Case("one tone", inputs=one_tone, expected=_compressed("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_compressed(slip)) for slip, message in UNIT_SLIPS.items()),
                Mistake(
                    'return a dict with the keys "units", "lengths" and "bits"',
                    error="KeyError|not subscriptable|indices must be",
                ),
            ),
        ),
        Question(
            id="lab19.q6",
            title="Recall",
            name="recall_at",
            points=2,
            difficulty=2,
            minutes=10,
            recipe=run_recall,
            hint="count for each row how many others are at least as similar as its own name",
            cases=(
                Case("no two alike", inputs=untied, expected=_recalled(""), separates=_UNTIED),
                Case(
                    "equal similarities",
                    inputs=tied,
                    expected=_recalled(""),
                    separates=tuple(map(_recalled, (*_TIED, "itself counted"))),
                ),
                Case(
                    "as many names as pictures",
                    inputs=square_table,
                    expected=_recalled(""),
                    separates=tuple(map(_recalled, _SQUARE_TABLE)),
                ),
                Case("all alike", inputs=all_alike, expected=_recalled("")),
            ),
            mistakes=tuple(Mistake(message, wrong=_recalled(slip)) for slip, message in RECALL_SLIPS.items()),
        ),
        Question(
            id="lab19.q7",
            title="Test somebody else's batches",
            name="holds",
            kind="test",
            examples="examples",
            points=4,
            difficulty=4,
            minutes=20,
            valid=a_pool,
            right=(
                Subject("in turn", in_turn),
                Subject("from the end", from_the_end),
                Subject("stirred", stirred),
                Subject("from the names with most pictures", frequent_first),
                Subject("several batches filled side by side", filled_side_by_side),
            ),
            wrong=(
                Subject("cuts the pictures into pieces, whatever their names", cuts),
                Subject("only keeps equal names from standing side by side", not_beside),
                Subject("uses every name once in all", one_of_each_name),
                Subject("gives the rest as a smaller batch", the_rest_too),
                Subject("fills up the last batch with pictures that were used before", filled_up),
                Subject("leaves out a piece that holds a name twice", stops_at_a_repeat),
            ),
        ),
        Question(
            id="lab19.q8",
            title="A run that went wrong",
            name="diagnosis",
            kind="diagnosis",
            points=4,
            difficulty=4,
            minutes=20,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=RUNS,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab19.p1",
            "Bits a second of a sound in units, repeats written once",
            name="predicted_bits",
            number=Number(0, 128000, unit="bits a second"),
        ),
        Ungraded("lab19.t1", "Your own plot, read", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab19.c1",
            "Recall@5 on held-out emoji",
            name="best_recall",
            kind="challenge",
            number=Number(0, 100, unit="percent"),
            baseline=BASELINE,
            better="higher",
            seconds=60,
        ),
    ),
)
