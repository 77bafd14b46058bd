"""Lab 11: other right answers, each written its own way, and wrong ones that have no message of their own."""

_PACK = """
def pack(examples, seq_len, pad):
    if any(len(ids) > seq_len for ids, _ in examples):
        raise ValueError("too long")
    rows = []
    for example in examples:
        for row in rows:
            if sum(len(ids) for ids, _ in row) + len(example[0]) <= seq_len:
                row.append(example)
                break
        else:
            rows.append([example])
"""

_PACKS = """
def examples():
    asked = [([5, 6, 7, 8], [False, False, True, True]), ([9, 10, 8], [False, True, True])]
    read = [([11, 12, 13], [True, True, True]), ([14, 8], [True, True]), ([15, 16, 17, 18, 8], [True] * 5)]
    return [(asked + read, 12), (read + asked + read, 7), (read + asked, 24), ([read[2], asked[0], asked[0]], 5)]

"""

RIGHT = {
    "lab11.q1": [
        """
def chat_tokens(turns, frame):
    ids, mask = [], []
    for role, content in turns:
        for token in frame["open"][role]:
            ids.append(token)
            mask.append(False)
        for token in content:
            ids.append(token)
            mask.append(role == "assistant")
        ids.append(frame["end"])
        mask.append(role == "assistant")
        for token in frame["after"]:
            ids.append(token)
            mask.append(False)
    return ids, mask
""",
        """
def chat_tokens(turns, frame):
    pairs = []
    for role, content in turns:
        writes = 1 if role == "assistant" else 0
        pairs += [(t, 0) for t in frame["open"][role]] + [(t, writes) for t in content] + [(frame["end"], writes)]
        pairs += [(t, 0) for t in frame["after"]]
    return tuple(zip(*pairs))
""",
        """
def chat_tokens(turns, frame):
    if not turns:
        return [], []
    ids, mask = chat_tokens(turns[:-1], frame)
    role, content = turns[-1]
    head, tail = frame["open"][role], frame["after"]
    body = content + [frame["end"]]
    return ids + head + body + tail, mask + [False] * len(head) + [role == "assistant"] * len(body) + [False] * len(tail)
""",
        """
def chat_tokens(turns, frame):
    import numpy as np
    ids = [[*frame["open"][role], *content, frame["end"], *frame["after"]] for role, content in turns]
    mask = np.zeros(sum(map(len, ids)), dtype=bool)
    at = 0
    for (role, content), part in zip(turns, ids):
        begin = at + len(frame["open"][role])
        if role == "assistant":
            mask[begin : begin + len(content) + 1] = True
        at += len(part)
    return torch.tensor(sum(ids, [])), mask
""",
    ],
    "lab11.q2": [
        """
def prompt_tokens(turns, frame, limit):
    system = [t for t in turns if t[0] == "system"]
    rest = [t for t in turns if t[0] != "system"]
    while True:
        ids = list(chat_tokens(system + rest, frame)[0]) + list(frame["open"]["assistant"])
        if len(ids) <= limit:
            return ids
        rest = rest[2:]
        if not rest:
            raise ValueError("does not fit")
""",
        """
def prompt_tokens(turns, frame, limit):
    def size(turn):
        return len(frame["open"][turn[0]]) + len(turn[1]) + 1 + len(frame["after"])

    turns = list(turns)
    head = turns.pop(0) if turns[0][0] == "system" else None
    left = limit - len(frame["open"]["assistant"]) - (size(head) if head else 0)
    kept, tail = None, []
    for turn in reversed(turns):
        left -= size(turn)
        if left < 0:
            break
        tail.insert(0, turn)
        if turn[0] == "user":
            kept = list(tail)
    if kept is None:
        raise ValueError(f"limit={limit} is too short for the question")
    ids = []
    for role, content in ([head] if head else []) + kept:
        ids += frame["open"][role] + content + [frame["end"]] + frame["after"]
    return ids + frame["open"]["assistant"]
""",
        """
def prompt_tokens(turns, frame, limit):
    first = turns[0][0] == "system"
    users = [i for i, (role, _) in enumerate(turns) if role == "user"]
    made = [[*chat_tokens([*turns[:first], *turns[i:]], frame)[0], *frame["open"]["assistant"]] for i in users]
    fitting = [ids for ids in made if len(ids) <= limit]
    if not fitting:
        raise ValueError("nothing fits")
    return max(fitting, key=len)
""",
    ],
    "lab11.q3": [
        """
def reply_loss(logits, ids, mask):
    targets = ids.masked_fill(~mask, -100)[:, 1:]
    if (targets == -100).all():
        raise ValueError("nothing to learn")
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), targets, ignore_index=-100)
""",
        """
def reply_loss(logits, ids, mask):
    logp = logits.log_softmax(-1)
    total, n = 0.0, 0
    for b in range(ids.size(0)):
        for t in range(1, ids.size(1)):
            if mask[b, t]:
                total = total - logp[b, t - 1, ids[b, t]]
                n += 1
    if n == 0:
        raise ValueError("nothing to learn")
    return total / n
""",
        """
def reply_loss(logits, ids, mask):
    counted = mask[:, 1:].float()
    n = counted.sum()
    if not n:
        raise ValueError("nothing to learn")
    chosen = logits[:, :-1].gather(-1, ids[:, 1:, None]).squeeze(-1)
    return ((logits[:, :-1].logsumexp(-1) - chosen) * counted).sum() / n
""",
        """
def reply_loss(logits, ids, mask):
    mask = mask.clone()
    mask[:, 0] = False
    places = mask.nonzero()
    if not len(places):
        raise ValueError("nothing to learn")
    b, t = places.unbind(1)
    return F.nll_loss(F.log_softmax(logits, -1)[b, t - 1], ids[b, t])
""",
    ],
    "lab11.q4": [
        """
def collate(examples, pad):
    ids = nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids, _ in examples], batch_first=True, padding_value=pad)
    lengths = torch.tensor([len(ids) for ids, _ in examples])
    real = torch.arange(ids.size(1)) < lengths[:, None]
    mask = nn.utils.rnn.pad_sequence([torch.tensor(mask) for _, mask in examples], batch_first=True)
    targets = torch.full_like(ids, -100)
    targets[:, :-1] = torch.where(mask[:, 1:], ids[:, 1:], -100)
    return {"ids": ids, "targets": targets, "real": real}
""",
        """
def collate(examples, pad):
    B, T = len(examples), max(len(ids) for ids, _ in examples)
    batch = {"ids": torch.full((B, T), pad), "targets": torch.full((B, T), -100), "real": torch.zeros(B, T, dtype=torch.bool)}
    for b, (ids, mask) in enumerate(examples):
        for t, token in enumerate(ids):
            batch["ids"][b, t] = token
            batch["real"][b, t] = True
            if t and mask[t]:
                batch["targets"][b, t - 1] = token
    return batch
""",
        """
def collate(examples, pad):
    import numpy as np
    T = max(len(ids) for ids, _ in examples)
    ids = np.array([i + [pad] * (T - len(i)) for i, _ in examples])
    real = np.array([[1] * len(i) + [0] * (T - len(i)) for i, _ in examples])
    marked = np.array([m + [False] * (T - len(m) + 1) for _, m in examples])[:, 1:]
    after = np.concatenate([ids[:, 1:], np.zeros((len(ids), 1), dtype=int)], 1)
    return {"real": real, "targets": np.where(marked, after, -100), "ids": ids}
""",
    ],
    "lab11.q5": [
        _PACK
        + """
    shape = (len(rows), seq_len)
    batch = {"ids": torch.full(shape, pad), "targets": torch.full(shape, -100), "segments": torch.full(shape, -1),
             "positions": torch.zeros(shape, dtype=torch.long), "visible": torch.zeros(*shape, seq_len, dtype=torch.bool)}
    for r, row in enumerate(rows):
        at = 0
        for s, (ids, mask) in enumerate(row):
            n = len(ids)
            batch["ids"][r, at : at + n] = torch.tensor(ids)
            for k in range(1, n):
                if mask[k]:
                    batch["targets"][r, at + k - 1] = ids[k]
            batch["segments"][r, at : at + n] = s
            batch["positions"][r, at : at + n] = torch.arange(n)
            batch["visible"][r, at : at + n, at : at + n] = torch.ones(n, n).tril().bool()
            at += n
        for i in range(at, seq_len):
            batch["visible"][r, i, i] = True
    return batch
""",
        _PACK
        + """
    out = {name: [] for name in ("ids", "targets", "segments", "positions", "visible")}
    for row in rows:
        left = seq_len - sum(len(ids) for ids, _ in row)
        out["ids"].append(sum((ids for ids, _ in row), []) + [pad] * left)
        out["targets"].append(
            sum(([i if m else -100 for i, m in zip(ids, mask)][1:] + [-100] for ids, mask in row), []) + [-100] * left
        )
        out["segments"].append([s for s, (ids, _) in enumerate(row) for _ in ids] + [-1] * left)
        out["positions"].append([t for ids, _ in row for t in range(len(ids))] + [0] * left)
        blocks = [torch.ones(len(ids), len(ids)).tril() for ids, _ in row] + [torch.ones(1, 1)] * left
        out["visible"].append(torch.block_diag(*blocks).bool().tolist())
    return out
""",
        _PACK
        + """
    import numpy as np
    names = np.full((len(rows), seq_len), -1)
    ids, targets, positions = np.full_like(names, pad), np.full_like(names, -100), np.zeros_like(names)
    for r, row in enumerate(rows):
        ends = np.cumsum([0] + [len(tokens) for tokens, _ in row])
        for s, (tokens, mask) in enumerate(row):
            here = slice(ends[s], ends[s + 1])
            names[r, here], ids[r, here], positions[r, here] = s, tokens, np.arange(len(tokens))
            targets[r, ends[s] : ends[s + 1] - 1] = np.where(mask[1:], tokens[1:], -100)
    unique = np.where(names < 0, 1000 + np.arange(seq_len), names)
    i = np.arange(seq_len)
    visible = (unique[:, :, None] == unique[:, None, :]) & (i[:, None] >= i)
    return {"ids": ids, "targets": targets, "segments": names, "positions": positions, "visible": visible}
""",
    ],
    "lab11.q6": [
        _PACKS
        + """
def holds(inputs, output):
    wanted = [(list(ids), list(mask)) for ids, mask in inputs[0]]
    T = inputs[1]
    for r in range(len(output["ids"])):
        names = output["segments"][r]
        assert all(s >= -1 for s in names)
        seen = {}
        for t, s in enumerate(names):
            seen.setdefault(s, []).append(t)
        for t in seen.pop(-1, []):
            assert output["targets"][r][t] == -100
        for places in seen.values():
            first, n = places[0], len(places)
            assert places == list(range(first, first + n))
            ids = [output["ids"][r][t] for t in places]
            targets = [output["targets"][r][t] for t in places]
            for example in wanted:
                right = [i if m else -100 for i, m in zip(example[0], example[1])][1:] + [-100]
                if example[0] == ids and right == targets:
                    wanted.remove(example)
                    break
            else:
                return False
            for k, t in enumerate(places):
                assert output["positions"][r][t] == k
                assert [j for j in range(T) if output["visible"][r][t][j]] == list(range(first, t + 1))
    return not wanted
""",
        """
def examples():
    made = []
    for seq_len in (5, 13):
        some = []
        for k, n in enumerate((3, 2, 5, 1, 4, 2, 3)):
            some.append(([10 * k + j + 1 for j in range(n)], [(j + k) % 3 > 0 or k % 2 == 0 for j in range(n)]))
        made += [(some, seq_len), (some[::-1], seq_len), (some[:3] + some[:3], seq_len)]
    return made

def holds(inputs, output):
    import collections
    ids, targets, names, positions, visible = (torch.tensor(output[k]) for k in ("ids", "targets", "segments", "positions", "visible"))
    if ids.shape[1] != inputs[1] or (names < -1).any() or (targets[names < 0] != -100).any():
        return False
    found = collections.Counter()
    for r in range(len(ids)):
        for s in names[r][names[r] >= 0].unique():
            at = (names[r] == s).nonzero().flatten()
            if int(at[-1] - at[0]) + 1 != len(at) or not torch.equal(positions[r][at], torch.arange(len(at))):
                return False
            block = torch.zeros(len(at), inputs[1], dtype=torch.bool)
            block[:, at] = torch.ones(len(at), len(at)).tril().bool()
            if not torch.equal(visible[r][at], block):
                return False
            found[tuple(ids[r][at].tolist()), tuple(targets[r][at].tolist())] += 1
    right = lambda ids, mask: tuple(i if m else -100 for i, m in zip(ids[1:], mask[1:])) + (-100,)
    return found == collections.Counter((tuple(i), right(i, m)) for i, m in inputs[0])
""",
    ],
    "lab11.q7": [
        "purchase = dict(replay=0.25, good=1, n=80)",
        "purchase = {'n': 80.0, 'good': 1.0, 'replay': 0.25}",
    ],
}

WRONG = {
    "lab11.q1": [
        """
def chat_tokens(turns, frame):
    ids = [t for role, content in turns for t in [*frame["open"][role], *content, frame["end"], *frame["after"]]]
    return ids, [t not in sum(frame["open"].values(), []) for t in ids]
""",
        """
def chat_tokens(turns, frame):
    ids, mask = [], []
    for role, content in turns:
        ids += [*frame["open"][role], *content, *frame["after"], frame["end"]]
        mask += [False] * len(frame["open"][role]) + [role == "assistant"] * (len(content) + 1) + [False]
    return ids, mask
""",
        """
def chat_tokens(turns, frame):
    ids, mask = [], []
    for role, content in turns:
        ids += [*frame["open"]["user"], *content, frame["end"], *frame["after"]]
        mask += [False] * len(frame["open"]["user"]) + [role == "assistant"] * (len(content) + 1) + [False]
    return ids, mask
""",
        """
def chat_tokens(turns, frame):
    ids, mask = [], []
    for i, (role, content) in enumerate(turns):
        ids += [*frame["open"][role], *content, frame["end"], *frame["after"]]
        mask += [False] * len(frame["open"][role]) + [i % 2 == 1] * (len(content) + 1) + [False] * len(frame["after"])
    return ids, mask
""",
    ],
    "lab11.q2": [
        """
def prompt_tokens(turns, frame, limit):
    return list(chat_tokens(turns[-1:], frame)[0]) + frame["open"]["assistant"]
""",
        """
def prompt_tokens(turns, frame, limit):
    ids = list(chat_tokens(turns, frame)[0]) + frame["open"]["assistant"]
    if len(ids) > limit:
        raise ValueError("too long")
    return ids
""",
        """
def prompt_tokens(turns, frame, limit):
    while len(turns) > 1:
        ids = list(chat_tokens(turns, frame)[0]) + frame["open"]["assistant"]
        if len(ids) <= limit:
            return ids
        turns = turns[2:]
    raise ValueError("too long")
""",
        """
def prompt_tokens(turns, frame, limit):
    n = 1 if turns[0][0] == "system" else 0
    for start in range(n, len(turns), 2):
        ids = list(chat_tokens(turns[:n] + turns[start:], frame)[0]) + frame["open"]["assistant"] + [frame["end"]]
        if len(ids) <= limit + 1:
            return ids
    raise ValueError("too long")
""",
    ],
    "lab11.q3": [
        """
def reply_loss(logits, ids, mask):
    if not mask[:, 1:].any():
        raise ValueError("nothing")
    return F.cross_entropy(logits[:, :-1][mask[:, 1:]], ids[:, 1:][mask[:, 1:]]) / math.log(2)
""".replace("math.log(2)", "0.6931"),
        """
def reply_loss(logits, ids, mask):
    if not mask[:, 1:].any():
        raise ValueError("nothing")
    p = logits.softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None]).squeeze(-1)
    return -p[mask[:, 1:]].mean().log()
""",
        """
def reply_loss(logits, ids, mask):
    if not mask[:, 1:].any():
        raise ValueError("nothing")
    return F.cross_entropy(logits[:, :-1][mask[:, 1:]].detach().requires_grad_(), ids[:, 1:][mask[:, 1:]])
""",
        """
def reply_loss(logits, ids, mask):
    if not mask.any():
        raise ValueError("nothing")
    return F.cross_entropy(logits[:, :-1][mask[:, 1:]], ids[:, 1:][mask[:, 1:]], reduction="sum") / mask.sum()
""",
    ],
    "lab11.q4": [
        """
def collate(examples, pad):
    T = max(len(ids) for ids, _ in examples)
    ids = torch.tensor([i + [pad] * (T - len(i)) for i, _ in examples])
    targets = torch.full_like(ids, -100)
    targets[:, :-1] = ids[:, 1:]
    return {"ids": ids, "targets": targets, "real": ids != pad}
""",
        """
def collate(examples, pad):
    T = max(len(ids) for ids, _ in examples)
    ids = torch.tensor([i + [0] * (T - len(i)) for i, _ in examples])
    real = torch.tensor([[True] * len(i) + [False] * (T - len(i)) for i, _ in examples])
    mask = torch.tensor([m + [False] * (T - len(m)) for _, m in examples])
    targets = torch.full_like(ids, -100)
    targets[:, :-1] = torch.where(mask[:, 1:], ids[:, 1:], -100)
    return {"ids": ids, "targets": targets, "real": real}
""",
        """
def collate(examples, pad):
    T = min(len(ids) for ids, _ in examples)
    ids = torch.tensor([i[:T] for i, _ in examples])
    mask = torch.tensor([m[:T] for _, m in examples])
    targets = torch.full_like(ids, -100)
    targets[:, :-1] = torch.where(mask[:, 1:], ids[:, 1:], -100)
    return {"ids": ids, "targets": targets, "real": torch.ones_like(ids)}
""",
        """
def collate(examples, pad):
    T = max(len(ids) for ids, _ in examples)
    ids = torch.tensor([i + [pad] * (T - len(i)) for i, _ in examples])
    real = torch.tensor([[True] * len(i) + [False] * (T - len(i)) for i, _ in examples])
    mask = torch.tensor([m + [False] * (T - len(m)) for _, m in examples])
    targets = torch.zeros_like(ids)
    targets[:, :-1] = torch.where(mask[:, 1:], ids[:, 1:], 0)
    return {"ids": ids, "targets": targets, "real": real}
""",
    ],
    "lab11.q5": [
        _PACK.replace("<= seq_len", "<= seq_len - 1") + "    return rows",
        _PACK
        + """
    shape = (len(rows), seq_len)
    return {"ids": torch.full(shape, pad), "targets": torch.full(shape, -100), "segments": torch.full(shape, -1),
            "positions": torch.zeros(shape), "visible": torch.eye(seq_len).bool().expand(len(rows), -1, -1)}
""",
        _PACK
        + """
    out = {name: [] for name in ("ids", "targets", "segments", "positions", "visible")}
    for row in rows:
        left = seq_len - sum(len(ids) for ids, _ in row)
        out["ids"].append(sum((ids for ids, _ in row), []) + [pad] * left)
        out["targets"].append(sum((ids[1:] + [-100] for ids, mask in row), []) + [-100] * left)
        out["segments"].append([s for s, (ids, _) in enumerate(row) for _ in ids] + [-1] * left)
        out["positions"].append([t for ids, _ in row for t in range(len(ids))] + list(range(left)))
        blocks = [torch.ones(len(ids), len(ids)).tril() for ids, _ in row] + [torch.ones(1, 1)] * left
        out["visible"].append(torch.block_diag(*blocks).bool().tolist())
    return out
""",
        _PACK.replace("for row in rows:", "for row in rows[::-1]:")
        + """
    out = {name: [] for name in ("ids", "targets", "segments", "positions", "visible")}
    for row in rows:
        left = seq_len - sum(len(ids) for ids, _ in row)
        out["ids"].append(sum((ids for ids, _ in row), []) + [pad] * left)
        out["targets"].append(
            sum(([i if m else -100 for i, m in zip(ids, mask)][1:] + [-100] for ids, mask in row), []) + [-100] * left
        )
        out["segments"].append([s for s, (ids, _) in enumerate(row) for _ in ids] + [-1] * left)
        out["positions"].append([t for ids, _ in row for t in range(len(ids))] + [0] * left)
        blocks = [torch.ones(len(ids), len(ids)).tril() for ids, _ in row] + [torch.ones(1, 1)] * left
        out["visible"].append(torch.block_diag(*blocks).bool().tolist())
    return out
""",
    ],
    "lab11.q6": [
        _PACKS + "def holds(inputs, output):\n    return True",
        _PACKS + "def holds(inputs, output):\n    return False",
        _PACKS + "def holds(inputs, output):\n    return output == pack(inputs[0], inputs[1], 0)",
        _PACKS
        + """
def holds(inputs, output):
    tokens = sorted(i for row, names in zip(output["ids"], output["segments"]) for i, s in zip(row, names) if s >= 0)
    return tokens == sorted(i for ids, _ in inputs[0] for i in ids)
""",
        _PACKS
        + """
def holds(inputs, output):
    for names, visible in zip(output["segments"], output["visible"]):
        for i, row in enumerate(visible):
            if names[i] >= 0 and row != [names[j] == names[i] and j <= i for j in range(len(row))]:
                return False
    return all(p == 0 or s >= 0 for ps, ss in zip(output["positions"], output["segments"]) for p, s in zip(ps, ss))
""",
    ],
    "lab11.q7": [
        "purchase = {'n': 160, 'good': 0.0, 'replay': 0.25}",
        "purchase = {'n': 40, 'good': 1.0, 'replay': 0.25}",
        "purchase = {'n': '80', 'good': 1.0, 'replay': 0.25}",
        "purchase = {'n': 80, 'good': True, 'replay': 0.25}",
        "purchase = (80, 1.0, 0.25)",
    ],
}

# Right, and made of what the lab keeps away: nothing is earned with them.
REFUSED = {
    "lab11.q3": [
        """
def reply_loss(logits, ids, mask):
    from llmlib.align import sft_loss
    return sft_loss(logits, ids, mask)
""",
    ],
    "lab11.q4": [
        """
def collate(examples, pad):
    from llmlib.align import Example, pad_examples
    batch = pad_examples([Example(ids, mask) for ids, mask in examples], pad)
    return {"ids": batch["ids"], "targets": batch["targets"], "real": batch["pad_mask"]}
""",
    ],
}
