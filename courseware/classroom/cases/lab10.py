"""Lab 10: the head of a classifier, two losses for fine-tuning, a few-shot prompt, scores of label words, calibration, a
test of input transformations, a wrong fine-tuning."""

import functools

import torch

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Ungraded

# --------------------------------------------------------------------------------------------------------- 1: the head


def _lengths(draw: Draw, T: int) -> list[int]:
    """Unequal ones: the first fills its row, the second is at least two places shorter, one has a single token."""
    return [T, 2 + draw.integer(0, T - 3), 1, *(draw.integer(2, T + 1) for _ in range(draw.integer(0, 2)))]


def _states(draw: Draw, in_front: bool) -> tuple:
    T, d, C = 5 + draw.integer(0, 3), 3 + draw.integer(0, 3), 2 + draw.integer(0, 2)
    C = C + 1 if C == d else C
    lengths = _lengths(draw, T)
    real = [[T - n <= place if in_front else place < n for place in range(T)] for n in lengths]
    hidden = draw.normal(len(lengths), T, d) + draw.normal(1, 1, d)
    return hidden, torch.tensor(real), draw.normal(C, d), draw.normal(C)


def pads_behind(draw: Draw) -> tuple:
    return _states(draw, in_front=False)


def pads_in_front(draw: Draw) -> tuple:
    return _states(draw, in_front=True)


def no_pads(draw: Draw) -> tuple:
    hidden, mask, weight, bias = _states(draw, in_front=False)
    return hidden, torch.ones_like(mask), weight, bias


def run_head(student, hidden, mask, weight, bias):
    """Recipe: the logits, as double precision."""
    return torch.as_tensor(student(hidden.clone(), mask.clone(), weight.clone(), bias.clone())).double()


def head(hidden, mask, weight, bias, slip=""):
    """(B, T, d) -> (B, C) logits, or those of a slip."""
    h, B, T = hidden.double(), *mask.shape
    places = torch.arange(T).expand(B, T)
    first, last = places.masked_fill(~mask, T).amin(1), places.masked_fill(~mask, -1).amax(1)
    real = mask.double()[..., None]
    at = {
        "last place": torch.full((B,), T - 1),
        "count": mask.sum(1) - 1,
        "one behind": (last + 1).clamp(max=T - 1),
        "one before": last - 1,
        "first place": torch.zeros(B, dtype=torch.long),
        "first token": first,
        "longest": last.amax().expand(B),
    }.get(slip, last)
    v = h[torch.arange(B), at]
    if slip == "mean":
        v = (h * real).sum(1) / real.sum(1)
    elif slip == "mean of all":
        v = h.mean(1)
    elif slip == "sum":
        v = (h * real).sum(1)
    elif slip == "largest":
        v = h.masked_fill(real == 0, -torch.inf).amax(1)
    logits = v @ weight.double().T
    if slip == "no bias":
        return logits
    logits = logits + bias.double()
    if slip == "probabilities":
        return logits.softmax(-1)
    if slip == "log-probabilities":
        return logits.log_softmax(-1)
    if slip == "all places":
        return h @ weight.double().T + bias.double()
    return logits


@functools.cache
def _headed(slip: str):
    return functools.partial(head, slip=slip)


HEAD_SLIPS = {
    "last place": "the head reads a pad: the last place of a row is the text's last token only where nothing stands behind it",
    "longest": "the head reads a pad: each text has a last token of its own, here the longest text's place is read of all",
    "count": "the number of tokens is not the place of the last one where pads stand *in front*: look for the last place at which mask is True",
    "one behind": "one place too far: places count from 0, and behind the last token stands a pad",
    "one before": "one place too early: GPT-1 reads the last token itself, the extract token, which has seen all others",
    "first place": "that is the first place: in a model that reads from left to right it has seen nothing of the text",
    "first token": "that is the first token: in a model that reads from left to right it has seen nothing of the text",
    "mean": "that is the mean over the real tokens: GPT-1's head reads one state, that of the last token",
    "mean of all": "that is a mean over all places, pads among them: GPT-1's head reads one state, that of the last token",
    "sum": "that is the sum over the real tokens: GPT-1's head reads one state, that of the last token",
    "largest": "that is the largest value of each feature: GPT-1's head reads one state, that of the last token",
    "no bias": "where is the bias?",
    "probabilities": "give the logits: the softmax belongs to the loss",
    "log-probabilities": "give the logits: the log-softmax belongs to the loss",
    "all places": "one row of logits for each text, not for each place",
}
_BEHIND = tuple(_headed(s) for s in HEAD_SLIPS if s != "count")
_FRONT = tuple(map(_headed, ("count", "first place", "mean")))

# -------------------------------------------------------------------------------------------------------- 2: two losses


def a_batch_with_classes(draw: Draw) -> tuple:
    """Texts of unequal length, pads behind; ids of pads are ids like any others."""
    T, V, C = 5 + draw.integer(0, 2), 5 + draw.integer(0, 3), 2 + draw.integer(0, 2)
    lengths = [T, 2 + draw.integer(0, T - 3), T - 1, *(draw.integer(2, T) for _ in range(draw.integer(0, 2)))]
    B = len(lengths)
    mask = torch.tensor([[place < n for place in range(T)] for n in lengths])
    return (
        draw.normal(B, C), draw.normal(B, T, V), draw.integers(0, V, B, T), draw.integers(0, C, B), mask,
        draw.choice([0.25, 0.4, 0.7]),
    )  # fmt: skip


def no_weight(draw: Draw) -> tuple:
    return *a_batch_with_classes(draw)[:5], 0.0


def one_token_texts(draw: Draw) -> tuple:
    """A text of one token has a class and no next token."""
    class_logits, token_logits, ids, labels, mask, weight = a_batch_with_classes(draw)
    mask[1] = False
    mask[1, 0] = True
    return class_logits, token_logits, ids, labels, mask, weight


def a_batch_with_answers(draw: Draw) -> tuple:
    """A prompt and an answer in each row, pads behind; answers of one to three tokens."""
    V, prompts, answers = 5 + draw.integer(0, 3), [3, 2, 4], [2, 3, 1]
    if draw.integer(0, 3) == 2:
        prompts, answers = [*prompts, 1], [*answers, 2]
    T = max(p + a for p, a in zip(prompts, answers)) + draw.integer(0, 2)
    mask = torch.tensor([[place < p + a for place in range(T)] for p, a in zip(prompts, answers)])
    B = len(prompts)
    return draw.normal(B, T, V), draw.integers(0, V, B, T), mask, torch.tensor(prompts)


def run_with_auxiliary(student, class_logits, token_logits, ids, labels, mask, weight):
    """Recipe: the loss, and its gradient at both kinds of logits."""
    class_logits, token_logits = class_logits.clone().requires_grad_(), token_logits.clone().requires_grad_()
    loss = student.with_auxiliary(class_logits, token_logits, ids.clone(), labels.clone(), mask.clone(), weight)
    loss.backward()
    grad = lambda x: (torch.zeros_like(x) if x.grad is None else x.grad).double()
    return {"loss": float(loss.detach()), "class gradient": grad(class_logits), "token gradient": grad(token_logits)}


def run_of_answer(student, token_logits, ids, mask, starts):
    """Recipe: the loss, and its gradient at the logits."""
    token_logits = token_logits.clone().requires_grad_()
    loss = student.of_answer(token_logits, ids.clone(), mask.clone(), starts.clone())
    loss.backward()
    grad = torch.zeros_like(token_logits) if token_logits.grad is None else token_logits.grad
    return {"loss": float(loss.detach()), "token gradient": grad.double()}


def _token_losses(logits, ids, slip=""):
    """(B, T - 1): the loss of each token but the first, predicted from the place before it."""
    logp = logits.log_softmax(-1)
    if slip == "not shifted":
        return -logp[:, 1:].gather(-1, ids[:, 1:, None])[..., 0]
    if slip == "wrong way":
        return -logp[:, 1:].gather(-1, ids[:, :-1, None])[..., 0]
    return -logp[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]


def with_auxiliary(class_logits, token_logits, ids, labels, mask, weight, slip=""):
    """The loss of GPT-1's fine-tuning, or that of a slip."""
    logp = class_logits.log_softmax(-1)
    if slip == "softmax twice":
        logp = class_logits.softmax(-1).log_softmax(-1)
    first = -logp[torch.arange(len(labels)), labels]
    first = first.sum() if slip == "classes summed" else first.mean()
    each, real = _token_losses(token_logits, ids, slip), mask[:, 1:].double()
    count = real.sum()
    if slip == "pads":
        real, count = torch.ones_like(real), torch.tensor(float(real.numel()))
    elif slip == "one pad each":
        real = mask[:, :-1].double()
        count = real.sum()
    elif slip == "all places":
        count = torch.tensor(float(real.numel()))
    elif slip == "tokens":
        count = mask.sum().double()
    elif slip == "texts":
        count = torch.tensor(float(len(ids)))
    second = (each * real).sum() / count
    if slip == "tokens summed":
        second = (each * real).sum()
    elif slip == "text by text":
        second = ((each * real).sum(1) / real.sum(1).clamp(min=1)).mean()
    elif slip == "last token":
        second = (each * real * (1 - torch.nn.functional.pad(real, (0, 1))[:, 1:])).sum() / len(ids)
    if slip == "no weight":
        weight = 1.0
    elif slip == "half":
        weight = 0.5
    elif slip == "no second":
        weight = 0.0
    elif slip == "only second":
        return weight * second
    elif slip == "exchanged":
        return weight * first + second
    elif slip == "mixed":
        return (1 - weight) * first + weight * second
    elif slip == "subtracted":
        weight = -weight
    return first + weight * second


def of_answer(token_logits, ids, mask, starts, slip=""):
    """The mean loss of the answers' tokens, or that of a slip."""
    each = _token_losses(token_logits, ids, slip)
    places = torch.arange(1, ids.shape[1])
    begin = starts[:, None] + {"late": 1, "early": -1}.get(slip, 0)
    real = mask[:, 1:]
    answer = real & (places >= begin)
    if slip == "prompt":
        answer = real
    elif slip == "prompt alone":
        answer = real & (places < begin)
    elif slip == "pads":
        answer = places >= begin
    elif slip == "first token":
        answer = places == begin
    elif slip == "last token":
        answer = answer & ~torch.nn.functional.pad(real, (0, 1))[:, 1:]
    answer = answer.double()
    total = (each * answer).sum()
    if slip == "summed":
        return total
    if slip == "text by text":
        return ((each * answer).sum(1) / answer.sum(1).clamp(min=1)).mean()
    if slip == "sum over texts":
        return total / len(ids)
    if slip == "all places":
        return total / answer.numel()
    if slip == "all tokens":
        return total / real.sum()
    return total / answer.sum()


def _with_grads(loss, class_logits, token_logits):
    loss.backward()
    grad = lambda x: torch.zeros_like(x) if x.grad is None else x.grad
    found = {"loss": float(loss.detach())}
    if class_logits is not None:
        found["class gradient"] = grad(class_logits)
    return found | {"token gradient": grad(token_logits)}


@functools.cache
def _both(slip: str):
    def made(*inputs):
        if len(inputs) != 6:
            raise TypeError("there are no classes here")
        class_logits, token_logits = (x.double().clone().requires_grad_() for x in inputs[:2])
        return _with_grads(with_auxiliary(class_logits, token_logits, *inputs[2:], slip), class_logits, token_logits)

    return made


@functools.cache
def _answered(slip: str):
    def made(*inputs):
        if len(inputs) != 4:
            raise TypeError("there are no answers here")
        token_logits = inputs[0].double().clone().requires_grad_()
        return _with_grads(of_answer(token_logits, *inputs[1:], slip), None, token_logits)

    return made


BOTH_SLIPS = {
    "pads": "with_auxiliary: the auxiliary loss counts the pads: a target is a real token, and the mean is over targets",
    "one pad each": "with_auxiliary: the pad behind each text is counted as a target: whether a place has a target is said by the mask of the *next* place",
    "no weight": "with_auxiliary: the weight is forgotten",
    "half": "with_auxiliary: is the weight used? This is the loss for 0.5",
    "no second": "with_auxiliary: that is the loss of the classes alone: where is the auxiliary loss?",
    "only second": "with_auxiliary: that is the weighted auxiliary loss alone: where is the loss of the classes?",
    "exchanged": "with_auxiliary: the weight is that of the auxiliary loss, not that of the classes",
    "mixed": "with_auxiliary: the classes keep their full loss: the auxiliary loss is added, not mixed in with 1 - weight",
    "subtracted": "with_auxiliary: the auxiliary loss is added, not taken away",
    "not shifted": "with_auxiliary: each token is to be predicted from the place *before* it: here a place predicts the token that it has read",
    "wrong way": "with_auxiliary: shifted the wrong way: the place of a token predicts the one before it",
    "text by text": "with_auxiliary: the mean is over all targets of the batch: here a short text weighs as much as a long one",
    "all places": "with_auxiliary: pads are left out above the line and counted below it: divide by the number of targets",
    "tokens": "with_auxiliary: the first token of a text is no target: divide by the number of targets, not of tokens",
    "texts": "with_auxiliary: divide by the number of targets, not of texts",
    "tokens summed": "with_auxiliary: the auxiliary loss is the mean over the targets, not their sum",
    "classes summed": "with_auxiliary: the loss of the classes is the mean over the texts, not their sum",
    "last token": "with_auxiliary: all tokens behind the first are targets, not the last one alone",
    "softmax twice": "with_auxiliary: cross_entropy takes logits and has the softmax within: here it is applied twice",
}
ANSWER_SLIPS = {
    "prompt": "of_answer: the loss is on the prompt's tokens too: the model would learn to write questions, and long prompts would drown short answers",
    "prompt alone": "of_answer: that is the loss on the prompt: turn the condition round",
    "pads": "of_answer: the pads are counted as part of the answer",
    "late": "of_answer: the first token of the answer is not a target: starts is *its* place, and it is predicted from the place before",
    "early": "of_answer: the prompt's last token is counted: of the tokens, not of the places that predict them, the answer's begin at starts",
    "first token": "of_answer: that is the loss of the answer's first token: all of its tokens count",
    "last token": "of_answer: that is the loss of the answer's last token: all of its tokens count",
    "not shifted": "of_answer: each token is to be predicted from the place *before* it: here a place predicts the token that it has read",
    "wrong way": "of_answer: shifted the wrong way: the place of a token predicts the one before it",
    "summed": "of_answer: the mean over the answers' tokens, not their sum",
    "text by text": "of_answer: the mean is over the tokens of all answers: here a short answer weighs as much as a long one",
    "sum over texts": "of_answer: divide by the number of the answers' tokens, not of texts",
    "all places": "of_answer: divide by the number of the answers' tokens, not of places",
    "all tokens": "of_answer: divide by the number of the answers' tokens: the prompts' are not among them",
}
_CLASSED = tuple(map(_both, BOTH_SLIPS))
_ANSWERS = tuple(map(_answered, ANSWER_SLIPS))

# ---------------------------------------------------------------------------------------------------------- 3: a prompt

WORDS = ("fine", "slow", "works", "broke", "screen", "sound", "cheap", "light", "heavy", "again", "menu", "battery")


def _same(text: str) -> str:
    return " ".join(text.split()).casefold()


def _reviews(draw: Draw, n: int) -> list[str]:
    """n short texts, all different."""
    texts: list[str] = []
    while len(texts) < n:
        text = " ".join(draw.choice(WORDS) for _ in range(2 + draw.integer(0, 2)))
        if text not in texts:
            texts.append(text)
    return texts


def _pool(draw: Draw, labels: list[int]) -> tuple[list[tuple[str, int]], str]:
    """(text, label) for each label, and another text to ask about."""
    *texts, asked = _reviews(draw, len(labels) + 1)
    return list(zip(texts, labels)), asked


NAMES = (["positive", "negative"], ["bad", "good"], ["no", "yes"])


def one_class_first(draw: Draw) -> tuple:
    """The first k of the pool are of one class."""
    pool, asked = _pool(draw, [1, 1, 1, 1, 0, 1, 0, 0, 1, 0])
    return pool, asked, 4, draw.choice(NAMES)


def the_item_in_the_pool(draw: Draw) -> tuple:
    pool, _ = _pool(draw, [0, 1, 1, 0, 0, 1])
    return pool, pool[draw.integer(0, 2)][0], 4, draw.choice(NAMES)


def the_item_in_other_letters(draw: Draw) -> tuple:
    pool, asked, k, names = the_item_in_the_pool(draw)
    return pool, asked.capitalize() if draw.integer(0, 2) else asked.upper(), k, names


def the_item_with_other_spaces(draw: Draw) -> tuple:
    """With a line's end between two words."""
    pool, asked, k, names = the_item_in_the_pool(draw)
    return pool, asked.replace(" ", draw.choice(["\n", "  ", " \n"]), 1), k, names


def an_odd_number(draw: Draw) -> tuple:
    pool, asked = _pool(draw, [1, 0, 0, 0, 1, 1])
    return pool, asked, 3, draw.choice(NAMES)


def three_classes(draw: Draw) -> tuple:
    pool, asked = _pool(draw, [2, 2, 2, 0, 1, 0, 1, 1])
    return pool, asked, 5, ["bad", "fair", "good"]


def a_class_runs_out(draw: Draw) -> tuple:
    pool, asked = _pool(draw, [1, 0, 1, 1])
    return pool, asked, 4, draw.choice(NAMES)


def fewer_than_k(draw: Draw) -> tuple:
    pool, asked = _pool(draw, [1, 0, 1])
    return [*pool, (asked, 0)], asked, 6, draw.choice(NAMES)


def no_examples(draw: Draw) -> tuple:
    pool, asked = _pool(draw, [1, 0])
    return pool, asked, 0, draw.choice(NAMES)


def texts_of_several_lines(draw: Draw) -> tuple:
    """A text that holds an example of its own, and one with spaces."""
    pool, asked = _pool(draw, [0, 1, 1, 0])
    names = draw.choice(NAMES)
    pool[1] = (f"{pool[1][0]}\nLabel: {names[0]}\n\nReview:  it", 1)
    return pool, f"  {asked}\n", 3, names


def run_few_shot(student, pool, text, k, names):
    """Recipe: the prompt."""
    return student([tuple(example) for example in pool], text, k, list(names))


def few_shot(pool, text, k, names, slip=""):
    """The prompt, or that of a slip."""
    clean = (lambda t: t) if slip == "not cleaned" else (lambda t: " ".join(t.split()))
    keys = {"exact": lambda t: t, "case": lambda t: " ".join(t.split()), "spaces": lambda t: t.strip().casefold()}
    key = keys.get(slip, _same)
    usable = [(t, y) for t, y in pool if slip == "with the item" or key(t) != key(text)]
    rows = [[example for example in usable if example[1] == y] for y in range(len(names))]
    most = max(map(len, rows), default=0)
    turns = [row[i] for i in range(most) for row in rows if i < len(row)]
    if slip == "first k":
        turns = usable
    elif slip == "sorted":
        turns = [example for row in rows for example in row]
    elif slip == "equal blocks":
        each = -(-k // len(names))
        turns = [example for row in rows for example in row[:each]]
    elif slip == "other class first":
        turns = [row[i] for i in range(most) for row in rows[::-1] if i < len(row)]
    elif slip == "stops early":
        turns = turns[: len(names) * min(map(len, rows))]
    elif slip == "latest":
        turns = [row[-1 - i] for i in range(most) for row in rows if i < len(row)]
    elif slip == "whole pool":
        k = len(pool)
    elif slip == "k each":
        k = k * len(names)
    elif slip == "removed after":
        everything = [[example for example in pool if example[1] == y] for y in range(len(names))]
        turns = [row[i] for i in range(len(pool)) for row in everything if i < len(row)][:k]
        turns = [example for example in turns if _same(example[0]) != _same(text)]
    chosen = turns[:k]
    if slip == "turned round":
        chosen = chosen[::-1]
    elif slip == "pool order":
        chosen = [example for example in pool if example in chosen]
    word = {"numbers": str, "names turned": lambda y: names[::-1][y]}.get(slip, lambda y: names[y])
    blocks = [f"Review: {clean(t)}\nLabel: {word(y)}" for t, y in chosen]
    last = f"Review: {clean(text)}\nLabel:"
    if slip == "no labels":
        blocks = [f"Review: {clean(t)}\nLabel:" for t, _ in chosen]
    last += {"space": " ", "newline": "\n", "answered": f" {names[0]}"}.get(slip, "")
    whole = [last, *blocks] if slip == "item first" else [*blocks, last]
    if slip == "without the item":
        whole = blocks
    return ("\n" if slip == "no empty line" else "\n\n").join(whole)


@functools.cache
def _prompted(slip: str):
    return functools.partial(few_shot, slip=slip)


PROMPT_SLIPS = {
    "exact": "the item that is asked about is among the examples, in other letters or with other spaces: compare without case, words joined by single spaces",
    "case": "the item that is asked about is among the examples, in other letters: compare without case",
    "spaces": "the item that is asked about is among the examples, with other spaces: compare with words joined by single spaces",
    "with the item": "the item that is asked about is among the examples, with its answer: what you measure then is copying",
    "removed after": "the item is taken out after choosing, so an example is missing: leave it out before",
    "first k": "those are the first k of the pool: take the classes in turns, or the prompt leans towards one of them",
    "sorted": "those are the examples of one class before those of the next: take the classes in turns",
    "equal blocks": "the classes stand in blocks: take them in turns, so that neither has the last word",
    "other class first": "class 0 comes first, then class 1, and so on",
    "stops early": "where a class has no more examples the others go on",
    "latest": "of each class the first of the pool comes first",
    "whole pool": "k examples, not the whole pool",
    "k each": "k examples in all, not of each class",
    "turned round": "the examples stand in the order in which they were taken",
    "pool order": "the examples stand in the order in which they were taken, not in that of the pool",
    "numbers": "a label is shown by its word: names[label]",
    "names turned": "names[0] is the word of label 0",
    "no labels": "the examples need their labels: without them there is nothing to go by",
    "space": "the prompt ends in a space: it belongs to the token of the label word, and a space alone makes that a rare one",
    "newline": "the prompt ends in a new line: it ends with `Label:`, where the label word begins",
    "answered": "the prompt ends with `Label:`: what stands there now is an answer, and the first label's whatever the text",
    "item first": "the item comes last: a model that reads from left to right has not seen the examples yet",
    "without the item": "the item that is asked about is missing",
    "no empty line": "an empty line stands between two examples",
    "not cleaned": "a text may hold line ends, and even a label of its own: join its words by single spaces",
}
_NOT_ONE_CLASS = ("with the item", "exact", "case", "spaces", "removed after", "stops early", "not cleaned")
_ONE_CLASS = tuple(_prompted(s) for s in PROMPT_SLIPS if s not in _NOT_ONE_CLASS)
_ITEM = tuple(map(_prompted, ("with the item", "removed after")))
_LETTERS = tuple(map(_prompted, ("with the item", "exact", "case")))
_SPACES = tuple(map(_prompted, ("with the item", "exact", "spaces")))
_ODD = tuple(map(_prompted, ("equal blocks", "first k", "k each")))
_THREE = tuple(map(_prompted, ("other class first", "names turned", "latest", "sorted", "pool order")))
_OUT = tuple(map(_prompted, ("stops early", "first k")))
_LINES = (_prompted("not cleaned"),)

# ------------------------------------------------------------------------------------------------- 4: scores of labels


def _words(draw: Draw, per_token: bool) -> tuple:
    """A model's tables, a prompt and label words of unequal numbers of tokens, some of a single one if not per_token."""
    V, d = 7 + draw.integer(0, 3), 4
    sizes = draw.choice([[2, 3], [3, 2], [3, 2, 4]] if per_token else [[2, 1], [1, 3], [3, 1, 2]])
    labels = [draw.integers(0, V, n).tolist() for n in sizes]
    return draw.normal(V, d), draw.normal(d, V), draw.integers(0, V, 3 + draw.integer(0, 3)).tolist(), labels, per_token


def by_token(draw: Draw) -> tuple:
    return _words(draw, True)


def by_word(draw: Draw) -> tuple:
    return _words(draw, False)


def a_prompt_of_one_token(draw: Draw) -> tuple:
    embed, out, prompt, labels, per_token = _words(draw, draw.integer(0, 2) == 0)
    return embed, out, prompt[:1], labels, per_token


def words_of_one_length(draw: Draw) -> tuple:
    embed, out, prompt, _, per_token = _words(draw, True)
    V = len(embed)
    return embed, out, prompt, [draw.integers(0, V, 2).tolist() for _ in range(3)], per_token


def run_scores(student, embed, out, prompt, labels, per_token):
    """Recipe: the scores, by a small model that reads from left to right and forgets slowly."""

    def model(ids):
        ids = torch.as_tensor(ids)
        if ids.dim() != 2:
            raise ValueError(f"ids has shape {tuple(ids.shape)}: the model reads a batch, (B, T)")
        state, states = torch.zeros(len(ids), embed.shape[1]), []
        for place in range(ids.shape[1]):
            state = torch.tanh(0.7 * state + embed[ids[:, place]])
            states.append(state)
        return torch.stack(states, 1) @ out

    found = student(model, list(prompt), [list(label) for label in labels], per_token)
    return [float(score) for score in found]


def scores(embed, out, prompt, labels, per_token, slip=""):
    """A score for each label, or those of a slip."""
    embed, out = embed.double(), out.double()

    def read(row):
        state, states = torch.zeros(embed.shape[1], dtype=torch.float64), []
        for token in row:
            state = torch.tanh(0.7 * state + embed[token])
            states.append(state)
        return torch.stack(states) @ out

    width, found = max(map(len, labels)), []
    for label in labels:
        row = [*prompt, *label]
        targets = list(range(len(row) - len(label), len(row)))
        if slip == "padded":
            row = row + [0] * (width - len(label))
            targets = list(range(len(row) - width, len(row)))
        elif slip == "with the prompt":
            targets = list(range(1, len(row)))
        elif slip == "first token":
            targets = targets[:1]
        elif slip == "last token":
            targets = targets[-1:]
        elif slip == "cut to the shortest":
            targets = targets[: min(map(len, labels))]
        logits = read(row)
        logp = logits if slip == "logits" else logits.log_softmax(-1)
        shift = {"not shifted": 0, "two before": 2}.get(slip, 1)
        of = [logp[t - shift, row[t]] for t in targets]
        if slip == "from the prompt alone":
            of = [logp[len(prompt) - 1, row[t]] for t in targets]
        each = torch.stack(of)
        if slip == "probabilities":
            each = each.exp()
        mean = per_token != (slip == "exchanged")
        if slip == "always summed":
            mean = False
        elif slip == "always the mean":
            mean = True
        total = each.sum()
        if slip == "product":
            total, mean = each.sum().exp(), False
        if slip == "all tokens below":
            total = total / len(row) if mean else total
        elif mean:
            total = total / len(targets)
        found.append(total)
    values = torch.stack(found)
    if slip == "among the labels":
        values = values.log_softmax(0)
    elif slip == "shares":
        values = values.softmax(0)
    elif slip == "losses":
        values = -values
    return [float(value) for value in values]


@functools.cache
def _scored(slip: str):
    return functools.partial(scores, slip=slip)


SCORE_SLIPS = {
    "always summed": "label words of different token lengths: the sum makes a longer word less likely, whatever it says: with per_token divide by the number of its tokens",
    "always the mean": "without per_token a score is the log-probability of the whole word: the sum over its tokens",
    "exchanged": "per_token is the wrong way round: True is the mean over the word's tokens",
    "first token": "label words of different token lengths: that is the first token of each alone: all of them count",
    "last token": "that is the last token of each label alone: all of them count",
    "cut to the shortest": "label words of different token lengths: the longer ones are cut to the shortest: all of their tokens count",
    "padded": "label words of different token lengths: the pads behind the shorter ones are scored as well",
    "with the prompt": "the prompt's tokens are scored as well: only the label's count",
    "from the prompt alone": "the second token of a label follows the first: here all are predicted from the prompt alone",
    "not shifted": "each token is to be predicted from the place *before* it: here a place predicts the token that it has read",
    "two before": "one place too early: each token is predicted from the place just before it",
    "logits": "those are logits: they need a log-softmax over the vocabulary, or one place cannot be compared with another",
    "probabilities": "take logarithms: the probability of a word is the *product* over its tokens",
    "product": "give the log-probability, not the probability",
    "among the labels": "the scores are not to be made to sum to one over the labels: that comes later",
    "shares": "the scores are not to be made to sum to one over the labels: that comes later, and these are logarithms",
    "all tokens below": "divide by the number of the label's tokens: the prompt's are not among them",
    "losses": "a score is a log-probability, the higher the likelier: that is its negative",
}
_BY_TOKEN = tuple(_scored(s) for s in SCORE_SLIPS if s not in ("always the mean", "product"))
_BY_WORD = tuple(map(_scored, ("always the mean", "product", "exchanged", "first token", "padded")))

# ------------------------------------------------------------------------------------------------------ 5: calibration


def _leaning(draw: Draw, n: int, m: int) -> tuple:
    """Scores of n items and of m others, of a prompt that leans towards one label."""
    C = 2 + draw.integer(0, 2)
    lean, of = draw.normal(C, scale=1.5), lambda k: draw.normal(k, C) - 3 * draw.uniform(k, 1)
    return of(n) + lean, of(m) + lean


def some_items(draw: Draw) -> tuple:
    return _leaning(draw, 3 + draw.integer(0, 3), 4 + draw.integer(0, 3))


def one_other(draw: Draw) -> tuple:
    return _leaning(draw, 3, 1)


def one_item(draw: Draw) -> tuple:
    return _leaning(draw, 1, 3)


def long_words(draw: Draw) -> tuple:
    """Sums over many tokens: their exponentials are 0 in any precision."""
    items, own = some_items(draw)
    return items - 800, own - 900


def run_calibrate(student, items, own):
    """Recipe: the probabilities, as double precision."""
    return torch.as_tensor(student(items.clone(), own.clone())).double()


def calibrate(items, own, slip=""):
    """(n, C) probabilities, or those of a slip."""
    items, own = items.double(), own.double()
    given, other = items.softmax(1), own.softmax(1)
    if slip == "test items":
        other = given
    elif slip == "both":
        other = torch.cat([given, other])
    elif slip == "first":
        other = other[:1]
    prior = other.mean(0)
    if slip == "not calibrated":
        return given
    if slip == "logs averaged":
        prior = own.log_softmax(1).mean(0).exp()
    elif slip == "not one each":
        prior = (own - own.max()).exp().mean(0)
        prior = prior / prior.sum()
    elif slip == "votes":
        prior = torch.bincount(own.argmax(1), minlength=own.shape[1]).double().clamp(min=1e-12) / len(own)
    elif slip == "over items":
        return given / given.mean(0) / (given / given.mean(0)).sum(0)
    made = given / prior
    if slip == "multiplied":
        made = given * prior
    elif slip == "subtracted":
        return given - prior
    elif slip == "scores less":
        return items - prior.log()
    elif slip == "scores by prior":
        made = (items / prior).softmax(1)
    elif slip == "scores less probabilities":
        made = (items - prior).softmax(1)
    if slip == "not renormalised":
        return made
    made = made / made.sum(1, keepdim=True)
    if slip == "logs":
        return made.log()
    if slip == "labels":
        return made.argmax(1).double()
    if slip == "softmax again":
        return (given / prior).softmax(1)
    return made


@functools.cache
def _calibrated(slip: str):
    return functools.partial(calibrate, slip=slip)


CALIBRATION_SLIPS = {
    "test items": "calibrated on the test items themselves: an answer then depends on which others are asked, and the result has looked at the test set",
    "both": "the test items are among those that it is calibrated on: only the others may be",
    "first": "that is calibrated on the first of the others alone: take the mean over all of them",
    "not calibrated": "those are the probabilities before calibration",
    "logs averaged": "average the probabilities, not their logarithms or the scores: one sure item would decide",
    "not one each": "make each item's probabilities sum to 1 first: here likely texts weigh more than others",
    "votes": "average the probabilities: here each of the others votes for one label",
    "multiplied": "divide by the mean, or what the prompt leans to counts twice",
    "subtracted": "divide by the mean: a difference of probabilities is no probability",
    "scores less": "those are scores: take the softmax, or divide and make each row sum to 1",
    "scores by prior": "the *probabilities* are divided by the mean, not the scores",
    "scores less probabilities": "from scores the *logarithm* of the mean is taken away",
    "over items": "the labels are the last axis: each item's probabilities sum to 1",
    "not renormalised": "each row has to sum to 1 again",
    "softmax again": "divided by the mean the numbers are probabilities but for their sum: divide by that, no second softmax",
    "logs": "give the probabilities, not their logarithms",
    "labels": "give the probabilities of all labels, not the best label",
}
_ITEMS = tuple(_calibrated(s) for s in CALIBRATION_SLIPS)


def _not_numbers(value, *inputs) -> bool:
    return isinstance(value, torch.Tensor) and bool(value.isnan().any() | value.isinf().any())


# ----------------------------------------------------------------------------- 6: somebody else's input transformations

START, DELIMITER, EXTRACT = 0, 1, 2
KINDS = {"single": (0, 0), "pair": (1, 1), "similar": (1, 1), "choice": (1, 4)}


def an_input(kind, first, others, limit) -> str | None:
    """None, or what is wrong with it."""
    plain = lambda row, most: (
        isinstance(row, list) and 1 <= len(row) <= most and all(type(t) is int and 3 <= t <= 99 for t in row)
    )
    if kind not in KINDS:
        return f"kind is one of {', '.join(KINDS)}"
    if not plain(first, 12):
        return "first is a list of 1 to 12 tokens, whole numbers from 3 to 99"
    least, most = KINDS[kind]
    if not isinstance(others, list) or not least <= len(others) <= most or not all(plain(row, 6) for row in others):
        return (
            "others is a list of texts of 1 to 6 tokens: none for single, one for pair and similar, 1 to 4 for choice"
        )
    if type(limit) is not int or not max([3, *(len(row) + 4 for row in others)]) <= limit <= 30:
        return "limit is a whole number up to 30 that leaves room for the marks, the other text and a token of first"
    return None


def _keep_front(row, n):
    return row[:n]


def transform(kind, first, others, limit, cut=_keep_front, turned=False, slip=""):
    """The rows of ids for an example, each at most `limit` long, or those of a slip."""
    if slip == "whole row cut":
        return [row[:limit] for row in transform(kind, first, others, 999)]
    if slip == "cuts at the end":
        return [[*row[:-1][: limit - 1], EXTRACT] for row in transform(kind, first, others, 999)]
    if slip == "no limit" or (slip == "single without limit" and kind == "single"):
        limit = 999
    elif slip == "too tight":
        limit -= 1
    start = [] if slip == "no start" else [START]
    between = {"no delimiter": [], "start between": [START]}.get(slip, [DELIMITER])
    end = [] if slip == "no extract" else [EXTRACT]
    rooms = [limit - 2 - len(other) - 1 for other in others]
    if kind == "single":
        return [[*start, *cut(first, limit - 2), *end]]
    if slip == "alike":
        rooms = [min(rooms)] * len(rooms)
    elif slip == "in halves":
        rooms = [min(room, (limit - 3) // 2) for room in rooms]
    rows = [[*start, *cut(first, n), *between, *other, *end] for other, n in zip(others, rooms)]
    back = [[*start, *other, *between, *cut(first, n), *end] for other, n in zip(others, rooms)]
    if kind == "pair":
        return back if slip == "pair turned" else rows + back if slip == "pair in both orders" else rows
    if kind == "similar":
        if slip in ("one order", "the same twice"):
            return rows if slip == "one order" else rows + rows
        return back + rows if turned else rows + back
    if slip == "one row":
        joined = [token for other in others for token in [*between, *other]]
        return [[*start, *cut(first, max(0, limit - 2 - len(joined))), *joined, *end]]
    changed = {
        "answers alone": [[*start, *other, *end] for other in others],
        "answers turned": rows[::-1],
        "no repeats": [row for i, row in enumerate(rows) if row not in rows[:i]],
        "first answer only": rows[:1],
        "choice turned": back,
    }
    return changed.get(slip, rows)


def cuts_the_end(kind, first, others, limit):
    return transform(kind, first, others, limit)


def cuts_the_beginning(kind, first, others, limit):
    return transform(kind, first, others, limit, cut=lambda row, n: row[len(row) - min(n, len(row)) :])


def cuts_both_ends(kind, first, others, limit):
    def middle(row, n):
        left = (len(row) - min(n, len(row))) // 2
        return row[left : left + n]

    return transform(kind, first, others, limit, cut=middle, turned=True)


def the_other_order_first(kind, first, others, limit):
    return transform(kind, first, others, limit, turned=True)


def _wrongly(slip: str):
    return functools.partial(transform, slip=slip)


# ------------------------------------------------------------------------------------------------------ 7: a wrong run

BASELINE = 0.63  # share of the challenge headlines that the notebook's cell gets right

FAULTS = {
    "A": "the head reads the last place of the padded row",
    "B": "the auxiliary loss counts the pads",
    "C": "the auxiliary loss is left out",
    "D": "the pre-trained weights are not loaded",
    "E": "the trunk is frozen, only the head is trained",
    "F": "the labels of the test headlines are turned round",
    "G": "the validation headlines are among the training headlines",
    "H": "the auxiliary loss is not shifted: each token predicts itself",
    "I": "the head reads the first place",
    "J": "the training headlines were sorted by label before the first 600 were taken",
}
RUNS = ("b4", "c9", "d2", "f7", "h1", "k5", "m3", "p8", "s6", "v0")
OBSERVATIONS = {
    "a": "the training loss of the class ends below 0.2",
    "b": "the training loss of the class ends above 0.62",
    "c": "the auxiliary loss that the program computes ends below 4.7",
    "d": "the auxiliary loss that the program computes ends above 6",
    "e": "the loss of next words on test headlines rises",
    "f": "the loss of next words on test headlines falls by more than 0.3",
    "g": "the auxiliary loss that the program computes begins above 7.45",
    "h": "all test headlines get the same answer",
    "i": "the accuracy on test headlines is below 55 %",
    "j": "the spread of the margin is below 0.8",
    "k": "the trunk's weights change by less than 2 %",
    "l": "the accuracy on validation headlines is more than 14 points above that on test headlines",
    "m": "8 more pads change the margin by more than 0.001",
    "n": "the accuracy on validation headlines is above 80 %",
    "o": "the accuracy on training headlines is below 70 %",
    "p": "the spread of the margin is above 0.9",
}


LAB = Lab(
    id="lab10",
    title="Transfer and prompting",
    provides=("llmlib.data", "llmlib.text"),
    forbids=("transformers", "peft", "sklearn"),
    questions=(
        Question(
            id="lab10.q1",
            title="The head",
            name="class_logits",
            points=2,
            difficulty=2,
            minutes=10,
            printed=True,
            recipe=run_head,
            hint="which place of each row does the head read? Print it for the mask of the example",
            cases=(
                Case("pads behind", inputs=pads_behind, expected=_headed(""), separates=_BEHIND),
                Case("pads in front", inputs=pads_in_front, expected=_headed(""), separates=_FRONT),
                Case("no pads", inputs=no_pads, expected=_headed("")),
            ),
            mistakes=tuple(Mistake(message, wrong=_headed(slip)) for slip, message in HEAD_SLIPS.items()),
        ),
        Question(
            id="lab10.q2",
            title="Two losses",
            name="Losses",
            points=4,
            difficulty=3,
            minutes=15,
            printed=True,
            hint="write down for one row which places predict, which tokens are their targets, and which of those count",
            cases=(
                Case(
                    "classes and next tokens",
                    inputs=a_batch_with_classes,
                    expected=_both(""),
                    recipe=run_with_auxiliary,
                    separates=_CLASSED,
                ),
                Case("a weight of 0", inputs=no_weight, expected=_both(""), recipe=run_with_auxiliary),
                Case("a text of one token", inputs=one_token_texts, expected=_both(""), recipe=run_with_auxiliary),
                Case(
                    "prompts and answers",
                    inputs=a_batch_with_answers,
                    expected=_answered(""),
                    recipe=run_of_answer,
                    separates=_ANSWERS,
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_both(slip)) for slip, message in BOTH_SLIPS.items()),
                *(Mistake(message, wrong=_answered(slip)) for slip, message in ANSWER_SLIPS.items()),
                Mistake(
                    "return the loss as a tensor that remembers how it was made: without item() and detach() it can be trained on",
                    error="does not require grad|has no attribute 'backward'",
                ),
            ),
        ),
        Question(
            id="lab10.q3",
            title="A prompt with examples",
            name="few_shot",
            points=4,
            difficulty=3,
            minutes=15,
            recipe=run_few_shot,
            hint="leave out, take in turns, cut to k, write: in this order",
            cases=(
                Case("one class first", inputs=one_class_first, expected=_prompted(""), separates=_ONE_CLASS),
                Case("the item in the pool", inputs=the_item_in_the_pool, expected=_prompted(""), separates=_ITEM),
                Case("in other letters", inputs=the_item_in_other_letters, expected=_prompted(""), separates=_LETTERS),
                Case("with other spaces", inputs=the_item_with_other_spaces, expected=_prompted(""), separates=_SPACES),
                Case("an odd number", inputs=an_odd_number, expected=_prompted(""), separates=_ODD),
                Case("three classes", inputs=three_classes, expected=_prompted(""), separates=_THREE),
                Case("a class runs out", inputs=a_class_runs_out, expected=_prompted(""), separates=_OUT),
                Case("fewer than k", inputs=fewer_than_k, expected=_prompted(""), separates=_ITEM[:1]),
                Case("no examples", inputs=no_examples, expected=_prompted("")),
                Case("texts of several lines", inputs=texts_of_several_lines, expected=_prompted(""), separates=_LINES),
            ),
            mistakes=tuple(Mistake(message, wrong=_prompted(slip)) for slip, message in PROMPT_SLIPS.items()),
        ),
        Question(
            id="lab10.q4",
            title="Scores of label words",
            name="score_labels",
            points=3,
            difficulty=3,
            minutes=15,
            printed=True,
            recipe=run_scores,
            hint="a label of two tokens by hand: which place of the logits predicts its first token, which its second?",
            cases=(
                Case("by token", inputs=by_token, expected=_scored(""), separates=_BY_TOKEN),
                Case("by word", inputs=by_word, expected=_scored(""), separates=_BY_WORD),
                Case("a prompt of one token", inputs=a_prompt_of_one_token, expected=_scored("")),
                Case("words of one length", inputs=words_of_one_length, expected=_scored("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_scored(slip)) for slip, message in SCORE_SLIPS.items()),
                Mistake(
                    "label words of different token lengths make no rectangular tensor: score one after the other, or pad behind",
                    error="expected sequence of length",
                ),
            ),
        ),
        Question(
            id="lab10.q5",
            title="Calibration",
            name="calibrate",
            points=3,
            difficulty=3,
            minutes=10,
            printed=True,
            recipe=run_calibrate,
            hint="a softmax for each item, the mean over the others, divide, and make each row sum to 1",
            cases=(
                Case("some items", inputs=some_items, expected=_calibrated(""), separates=_ITEMS),
                Case("one other", inputs=one_other, expected=_calibrated("")),
                Case("one item", inputs=one_item, expected=_calibrated("")),
                Case("long words", inputs=long_words, expected=_calibrated("")),
            ),
            mistakes=(
                *(Mistake(message, wrong=_calibrated(slip)) for slip, message in CALIBRATION_SLIPS.items()),
                Mistake(
                    "exp() of a score such as -800 is 0, and 0 / 0 is no number: softmax takes the largest away first",
                    when=lambda value, items, own: _not_numbers(value) and float(items.max()) < -100,
                ),
            ),
        ),
        Question(
            id="lab10.q6",
            title="Test somebody else's input transformations",
            name="holds",
            kind="test",
            examples="examples",
            points=4,
            difficulty=4,
            minutes=15,
            valid=an_input,
            right=(
                Subject("cuts the end of the first text", cuts_the_end),
                Subject("cuts its beginning", cuts_the_beginning),
                Subject("cuts both of its ends", cuts_both_ends),
                Subject("writes the other order of two similar texts first", the_other_order_first),
            ),
            wrong=(
                Subject("loses the extract token of a row that is cut", _wrongly("whole row cut")),
                Subject("cuts the row at its end, the answer with it", _wrongly("cuts at the end")),
                Subject("lets rows be longer than the limit", _wrongly("no limit")),
                Subject("writes no delimiter", _wrongly("no delimiter")),
                Subject("reads two similar texts in one order only", _wrongly("one order")),
                Subject("puts all answers of a multiple choice into one row", _wrongly("one row")),
            ),
        ),
        Question(
            id="lab10.q7",
            title="A fine-tuning that went wrong",
            name="diagnosis",
            kind="diagnosis",
            points=4,
            difficulty=4,
            minutes=15,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=RUNS,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab10.p1",
            "Points that calibration adds on average over eight prompts",
            name="predicted_gain",
            number=Number(-50, 50, unit="percentage points"),
        ),
        Ungraded("lab10.t1", "Your own plot, read", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab10.c1",
            "Most headlines right after 300 labels and 60 s",
            name="best_accuracy",
            kind="challenge",
            number=Number(0, 1, unit="share of the headlines"),
            baseline=BASELINE,
            better="higher",
            seconds=60,
        ),
    ),
)
