"""Lab 16: other right answers, each written its own way, and wrong ones that have no message of their own."""

_EXAMPLES = """
def examples():
    late = [[0.1, 0.5, 0.4], [0.2, 0.45, 0.35], [0.85, 0.1, 0.05]]
    early = [[0.5, 0.3, 0.2], [0.3, 0.1, 0.6], [0.05, 0.8, 0.15]]
    four = [[0.15, 0.25, 0.35, 0.25 - 0.01 + 0.01], [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.7, 0.06, 0.04, 0.2]]
    four[0] = [0.15, 0.24, 0.35, 0.26]
    return [(m, w, n) for m in (late, early) for w, n in ((1, 4), (2, 2), (4, 4), (81, 4), (3, 1))] + [(four, 64, 3), (four, 5, 4)]

"""

RIGHT = {
    "lab16.q1": [
        r"""
def read_answer(text, prompt):
    if text[: len(prompt)] == prompt:
        text = text[len(prompt) :]
    cut = text.find("\nQ:")
    if cut >= 0:
        text = text[:cut]
    pattern = re.compile(r"-?[0-9][0-9,]*(?:\.[0-9]+)?")

    def numbers(part):
        return [float(found.rstrip(",").replace(",", "")) for found in pattern.findall(part)]

    place = text.rfind("\\boxed{")
    if place >= 0 and numbers(text[place:]):
        return numbers(text[place:])[0]
    place = text.lower().rfind("the answer is")
    if place >= 0 and numbers(text[place:]):
        return numbers(text[place:])[0]
    every = numbers(text)
    return every[-1] if every else None
""",
        r"""
def read_answer(text, prompt):
    reply = text.removeprefix(prompt).partition("\nQ:")[0]
    number = r"(-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?)"
    for pattern in (r".*\\boxed\{.*?" + number, r".*(?i:the answer is).*?" + number, r".*(?<![\d,.\-])" + number):
        if match := re.match(pattern, reply, re.DOTALL):
            return float(match[1].replace(",", ""))
    return None
""",
        r"""
def read_answer(text, prompt):
    if text.startswith(prompt):
        text = text.replace(prompt, "", 1)
    lines = []
    for i, line in enumerate(text.split("\n")):
        if i and line.startswith("Q:"):
            break
        lines.append(line)
    reply = "\n".join(lines)
    numbers = [(m.start(), m.group()) for m in re.finditer(r"-?\d+(?:,\d\d\d)*(?:\.\d+)?", reply)]
    if not numbers:
        return None
    chosen = numbers[-1][1]
    for mark in ("the answer is", "\\boxed{"):
        behind = [value for place, value in numbers if place > reply.lower().rfind(mark) >= 0]
        if behind:
            chosen = behind[0]
    return float(chosen.replace(",", ""))
""",
        r"""
def read_answer(text, prompt):
    reply = re.split(r"\nQ:", text[len(prompt) :] if text.startswith(prompt) else text, maxsplit=1)[0]

    def first(part):
        digits = ""
        for i, c in enumerate(part):
            after = part[i + 1 : i + 2]
            if c.isdigit() or (c == "-" and not digits and after.isdigit()) or (c in ",." and digits and after.isdigit()):
                digits += c
            elif digits:
                break
        return int(digits.replace(",", "")) if digits and "." not in digits else float(digits.replace(",", "")) if digits else None

    for mark in (r"\\boxed\{", r"(?i)the answer is"):
        ends = [m.end() for m in re.finditer(mark, reply)]
        if ends and first(reply[ends[-1] :]) is not None:
            return first(reply[ends[-1] :])
    best, rest = None, reply
    while (found := re.search(r"-?\d[\d,]*(?:\.\d+)?", rest)) is not None:
        best, rest = first(found.group()), rest[found.end() :]
    return best
""",
    ],
    "lab16.q2": [
        """
def vote(answers, weights=None):
    from collections import Counter
    votes = Counter()
    for i, a in enumerate(answers):
        if a is not None:
            votes[a] += 1 if weights is None else weights[i]
    if not votes:
        return {"answer": None, "share": 0}
    (winner, most), = votes.most_common(1)
    return {"answer": winner, "share": most / sum(votes.values())}
""",
        """
def vote(answers, weights=None):
    cast = [(a, 1.0 if weights is None else w) for a, w in zip(answers, weights or answers) if a is not None]
    if len(cast) == 0:
        return dict(answer=None, share=0.0)
    total = lambda a: sum(w for b, w in cast if a == b)
    winner = max([a for a, _ in cast], key=total)
    return dict(answer=winner, share=total(winner) / sum(w for _, w in cast))
""",
        """
def vote(answers, weights=None):
    votes = {}
    for i in range(len(answers)):
        if answers[i] is None:
            continue
        votes.setdefault(answers[i], []).append(weights[i] if weights is not None else 1)
    ranked = sorted(votes.items(), key=lambda item: -sum(item[1]))
    if not ranked:
        return {"answer": None, "share": 0.0}
    return {"answer": ranked[0][0], "share": sum(ranked[0][1]) / sum(map(sum, votes.values()))}
""",
        """
def vote(answers, weights=None):
    import numpy as np
    kept = [i for i, a in enumerate(answers) if a is not None]
    if not kept:
        return {"answer": None, "share": 0.0}
    w = np.ones(len(answers)) if weights is None else np.asarray(weights, float)
    a = np.array([answers[i] for i in kept])
    values, first, inverse = np.unique(a, return_index=True, return_inverse=True)
    sums = np.bincount(inverse, w[kept])
    best = min(np.flatnonzero(sums == sums.max()), key=lambda j: first[j])
    return {"answer": float(values[best]), "share": float(sums[best] / sums.sum())}
""",
    ],
    "lab16.q3": [
        """
def at_budget(pools, truths, budget):
    import itertools
    right, tokens, samples = [], [], []
    for pool, true in zip(pools, truths):
        costs = list(itertools.accumulate(t for _, t in pool))
        n = sum(c <= budget for c in costs)
        right.append(vote([a for a, _ in pool[:n]])["answer"] == true)
        tokens.append(costs[n - 1] if n else 0)
        samples.append(n)
    mean = lambda x: sum(x) / len(x)
    return {"accuracy": mean(right), "tokens": mean(tokens), "samples": mean(samples)}
""",
        """
def at_budget(pools, truths, budget):
    results = []
    for pool, true in zip(pools, truths):
        n = 0
        while n < len(pool) and sum(cost for _, cost in pool[: n + 1]) <= budget:
            n += 1
        answer = vote([a for a, _ in pool[:n]])["answer"]
        results.append((float(answer is not None and answer == true), sum(c for _, c in pool[:n]), n))
    means = torch.tensor(results, dtype=torch.float64).mean(0).tolist()
    return dict(zip(("accuracy", "tokens", "samples"), means))
""",
        """
def at_budget(pools, truths, budget):
    def one(pool, true, left):
        if not pool or pool[0][1] > left:
            return [], 0
        rest, cost = one(pool[1:], true, left - pool[0][1])
        return [pool[0][0], *rest], cost + pool[0][1]
    every = [(one(list(pool), true, budget), true) for pool, true in zip(pools, truths)]
    n = len(every)
    return {
        "accuracy": sum(vote(a)["answer"] == true for (a, _), true in every) / n,
        "tokens": sum(c for (_, c), _ in every) / n,
        "samples": sum(len(a) for (a, _), _ in every) / n,
    }
""",
        """
def at_budget(pools, truths, budget):
    out = {"accuracy": 0.0, "tokens": 0.0, "samples": 0.0}
    for i in range(len(pools)):
        left, answers = budget, []
        for answer, cost in pools[i]:
            left -= cost
            if left < 0:
                left += cost
                break
            answers.append(answer)
        votes = [a for a in answers if a is not None]
        if votes and max(dict.fromkeys(votes), key=votes.count) == truths[i]:
            out["accuracy"] += 1 / len(pools)
        out["tokens"] += (budget - left) / len(pools)
        out["samples"] += len(answers) / len(pools)
    return out
""",
    ],
    "lab16.q4": [
        """
def best_of_k(scores, right, k):
    import itertools
    total = count = 0
    for s, r in zip(scores.tolist(), right.tolist()):
        if len(s) > 12:   # too many choices: the formula
            order = sorted(range(len(s)), key=lambda j: -s[j])
            total += sum(r[j] * math.comb(len(s) - 1 - i, k - 1) for i, j in enumerate(order)) / math.comb(len(s), k)
        else:
            found = [r[max(chosen, key=lambda j: s[j])] for chosen in itertools.combinations(range(len(s)), k)]
            total += sum(found) / len(found)
        count += 1
    return total / count
""",
        """
def best_of_k(scores, right, k):
    P, n = scores.shape
    total = 0.0
    for i in range(P):
        for j in range(n):
            below = sum(scores[i, m] < scores[i, j] or (scores[i, m] == scores[i, j] and m > j) for m in range(n))
            total += bool(right[i, j]) * math.comb(int(below), k - 1) / math.comb(n, k)
    return total / P
""",
        """
def best_of_k(scores, right, k):
    import numpy as np
    s, r = scores.numpy(), right.numpy()
    order = np.argsort(-s, axis=1, kind="stable")
    n = s.shape[1]
    # chance that the best of k has a rank of at least r, and the difference of two such
    at_least = [math.comb(n - i, k) / math.comb(n, k) for i in range(n + 1)]
    weights = np.array([at_least[i] - at_least[i + 1] for i in range(n)])
    return float((np.take_along_axis(r, order, 1) * weights).sum(1).mean())
""",
        """
def best_of_k(scores, right, k):
    P, n = scores.shape
    result = torch.zeros(P, dtype=torch.float64)
    values, order = torch.sort(scores, dim=1, descending=True, stable=True)
    chance = k / n    # of rank 0; then each from the one before
    for rank in range(n):
        result += chance * right[torch.arange(P), order[:, rank]].double()
        if n - 1 - rank > 0:
            chance *= max(0, n - rank - k) / (n - 1 - rank)
    return result.mean()
""",
    ],
    "lab16.q5": [
        """
def search(root, propose, value, is_goal, budget, threshold):
    if is_goal(root):
        return [root]
    seen, left = {root}, [budget]

    def below(state, path):
        if left[0] == 0:
            return None
        left[0] -= 1
        fresh = []
        for child in propose(state):
            if child not in seen:
                seen.add(child)
                fresh.append(child)
        for child in fresh:
            if is_goal(child):
                return [*path, child]
        for child in sorted(fresh, key=lambda c: -value(c)):
            if value(child) >= threshold:
                found = below(child, [*path, child])
                if found:
                    return found
        return None

    return below(root, [root])
""",
        """
def search(root, propose, value, is_goal, budget, threshold):
    stack, seen = [(root,)], {root}
    if is_goal(root):
        return [root]
    while stack and budget > 0:
        path = stack.pop()
        budget -= 1
        fresh = [c for c in propose(path[-1]) if c not in seen]
        seen.update(fresh)
        goal = next((c for c in fresh if is_goal(c)), None)
        if goal is not None:
            return list(path) + [goal]
        fresh = [c for c in fresh if not value(c) < threshold]
        fresh.reverse()
        fresh.sort(key=value)
        stack.extend(path + (c,) for c in fresh)
    return None
""",
        """
def search(root, propose, value, is_goal, budget, threshold):
    parents, calls = {root: root}, 0
    path_to = lambda s: [s] if s == root else path_to(parents[s]) + [s]
    if is_goal(root):
        return path_to(root)
    waiting = [root]
    while True:
        if not waiting or calls >= budget:
            return
        state = waiting.pop(0)
        calls += 1
        children = []
        for child in propose(state):
            if child not in parents:
                parents[child] = state
                if is_goal(child):
                    return path_to(child)
                if value(child) >= threshold:
                    children.append(child)
        waiting = sorted(children, key=value, reverse=True) + waiting
""",
        """
def search(root, propose, value, is_goal, budget, threshold):
    import heapq
    if is_goal(root):
        return [root]
    heap, seen = [((), root, [root])], {root}
    for _ in range(budget):
        if not heap:
            break
        key, state, path = heapq.heappop(heap)
        fresh = [c for c in dict.fromkeys(propose(state)) if c not in seen]
        seen |= set(fresh)
        for c in fresh:
            if is_goal(c):
                return path + [c]
        for i, c in enumerate(fresh):
            if value(c) >= threshold:
                heapq.heappush(heap, (key + ((-value(c), i),), c, path + [c]))
    return None
""",
    ],
    "lab16.q6": [
        """
def group_advantages(rewards):
    shifted = rewards - rewards[:, :1]
    centred = shifted - shifted.mean(1, keepdim=True)
    deviation = shifted.std(1, keepdim=True)
    return torch.where(deviation > 0, centred / deviation, torch.zeros_like(centred))
""",
        """
def group_advantages(rewards):
    out = torch.zeros_like(rewards)
    for i, group in enumerate(rewards):
        if len(group.unique()) > 1:
            out[i] = (group - group.mean()) / group.std()
    return out
""",
        """
def group_advantages(rewards):
    rows = []
    for group in rewards.tolist():
        if max(group) == min(group):
            rows.append([0.0] * len(group))
            continue
        mean = sum(group) / len(group)
        deviation = math.sqrt(sum((r - mean) ** 2 for r in group) / (len(group) - 1))
        rows.append([(r - mean) / deviation for r in group])
    return torch.tensor(rows)
""",
        """
def group_advantages(rewards):
    return (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
""",
        """
def group_advantages(rewards):
    import numpy as np
    r = rewards.numpy().astype(np.float64)
    d = r.std(1, ddof=1, keepdims=True)
    return torch.from_numpy((r - r.mean(1, keepdims=True)) / np.where(d < 1e-6, np.inf, d))
""",
    ],
    "lab16.q7": [
        _EXAMPLES
        + """
def holds(inputs, output):
    import itertools
    model, width, longest = inputs
    V = len(model)
    every = set()
    for n in range(1, longest + 1):
        for text in itertools.product(range(V), repeat=n):
            if 0 not in text[:-1] and (text[-1] == 0 or n == longest):
                every.add(text)
    logprob = lambda t: sum(math.log(model[i][j]) for i, j in zip((0, *t), t))
    texts = [tuple(t) for t, _ in output]
    if not texts or len(texts) > width or len(set(texts)) != len(texts) or not set(texts) <= every:
        return False
    if any(abs(p - logprob(tuple(t))) > 1e-6 for t, p in output):
        return False
    if sorted((p for _, p in output), reverse=True) != [p for _, p in output]:
        return False
    if width == 1:
        state, text = 0, ()
        while (not text or state) and len(text) < longest:
            state = max(range(V), key=lambda j: model[state][j])
            text += (state,)
        return texts == [text]
    return width < V**longest or set(texts) == every
""",
        _EXAMPLES
        + """
def holds(inputs, output):
    model, width, longest = inputs
    V, seen, before = len(model), [], float("inf")
    for tokens, logprob in output:
        at, total = 0, 0.0
        for place, token in enumerate(tokens):
            total += math.log(model[at][token])
            at = token
            if at == 0 and place < len(tokens) - 1:
                return False
        if not tokens or len(tokens) > longest or (at != 0 and len(tokens) != longest):
            return False
        if not math.isclose(total, logprob, abs_tol=1e-7) or logprob > before + 1e-12 or tokens in seen:
            return False
        seen.append(tokens)
        before = logprob
    if not 0 < len(seen) <= width:
        return False
    if width == 1:
        at = 0
        for token in seen[0]:
            if model[at][token] < max(model[at]):
                return False
            at = token
    if width >= V**longest:
        return len(seen) == 1 + sum((V - 1) ** n for n in range(1, longest)) + (V - 1) ** longest
    return True
""",
        """
def examples():
    import random
    rng, out = random.Random(3), []
    while len(out) < 12:
        V, longest = rng.choice([2, 3]), rng.randint(2, 4)
        model = []
        for _ in range(V):
            row = [rng.uniform(0.1, 1) for _ in range(V)]
            row = [x / sum(row) for x in row]
            model.append(row)
        if all(abs(a - b) > 0.01 for row in model for i, a in enumerate(row) for b in row[:i]):
            out.append((model, rng.choice([1, 1, 2, V**longest, V**longest]), longest))
    return [*out[:10], ([[0.45, 0.55], [0.8, 0.2]], 1, 3), ([[0.1, 0.52, 0.38], [0.25, 0.4, 0.35], [0.8, 0.15, 0.05]], 27, 3)]


def holds(inputs, output):
    model, width, longest = inputs
    def every(text, total):
        if text and (text[-1] == 0 or len(text) == longest):
            return {text: total}
        found = {}
        for j, p in enumerate(model[text[-1] if text else 0]):
            found.update(every((*text, j), total + math.log(p)))
        return found
    known = every((), 0.0)
    got = [(tuple(t), p) for t, p in output]
    good = 0 < len(got) <= width and all(t in known and abs(known[t] - p) < 1e-6 for t, p in got)
    good = good and len({t for t, _ in got}) == len(got) and all(a[1] >= b[1] for a, b in zip(got, got[1:]))
    if good and width == 1:
        t = got[0][0]
        good = all(model[i][j] == max(model[i]) for i, j in zip((0, *t), t))
    return good and (width < len(model) ** longest or len(got) == len(known))
""",
    ],
}

_READ = r"""
def read_answer(text, prompt):
    reply = text.removeprefix(prompt).split("\nQ:")[0]
    numbers = lambda part: [float(x.replace(",", "")) for x in re.findall(r"-?\d+(?:,\d{3})*(?:\.\d+)?", part)]
"""
_GROUP = "def group_advantages(rewards):\n    mean, std = rewards.mean(1, keepdim=True), rewards.std(1, keepdim=True)\n    return "

WRONG = {
    "lab16.q1": [
        "def read_answer(text, prompt):\n    return None\n",
        "def read_answer(text, prompt):\n    return float(re.findall(r'\\d+', text)[-1])\n",
        "def read_answer(text, prompt):\n    found = re.findall(r'-?\\d+(?:,\\d{3})*(?:\\.\\d+)?', text[len(prompt):])\n    return float(found[-1].replace(',', '')) if found else None\n",
        _READ + "    found = numbers(reply)\n    return found[len(found) // 2] if found else None\n",
        _READ
        + "    found = numbers(reply.split('.')[-2]) if reply.count('.') > 1 else numbers(reply)\n    return found[-1] if found else None\n",
        _READ
        + r"""
    boxes = re.findall(r"\\boxed\{(-?\d+)\}", reply)
    if boxes:
        return float(boxes[-1])
    said = re.findall(r"the answer is (-?\d+)", reply.lower())
    if said:
        return float(said[-1])
    found = numbers(reply)
    return found[-1] if found else None
""",
        _READ
        + r"""
    for mark in ("\\boxed{", "the answer is"):
        if mark in reply.lower():
            found = numbers(reply.lower().split(mark)[-1])
            return found[0] if found else None
    found = numbers(reply)
    return found[-1] if found else None
""",
        _READ
        + r"""
    for mark in ("\\boxed{", "the answer is"):
        place = reply.lower().rfind(mark)
        found = numbers(reply[place:])
        if place >= 0 and found:
            return abs(found[0])
    found = numbers(reply)
    return abs(found[-1]) if found else None
""",
        _READ
        + r"""
    for mark in ("\\boxed{", "the answer is"):
        place = reply.lower().rfind(mark)
        found = numbers(reply[place:])
        if place >= 0 and found:
            return round(found[0])
    found = numbers(reply)
    return round(found[-1]) if found else None
""",
        _READ
        + r"""
    for mark in ("\\boxed{", "the answer is"):
        place = reply.lower().rfind(mark)
        found = numbers(reply[place:])
        if place >= 0 and found:
            return found[0] or None
    found = numbers(reply)
    return (found[-1] or None) if found else None
""",
        r"""
def read_answer(text, prompt):
    for word in prompt.split():
        text = text.replace(word, "")
    reply = text.split("\nQ:")[0]
    found = re.findall(r"-?\d+(?:,\d{3})*(?:\.\d+)?", reply)
    return float(found[-1].replace(",", "")) if found else None
""",
    ],
    "lab16.q2": [
        "def vote(answers, weights=None):\n    return {'answer': answers[0], 'share': 1.0}\n",
        "def vote(answers, weights=None):\n    import statistics\n    kept = [a for a in answers if a is not None]\n    return {'answer': statistics.median(kept) if kept else None, 'share': 1 / max(1, len(kept))}\n",
        "def vote(answers, weights=None):\n    kept = [a for a in answers if a]\n    if not kept:\n        return {'answer': None, 'share': 0.0}\n    w = max(kept, key=kept.count)\n    return {'answer': w, 'share': kept.count(w) / len(kept)}\n",
        "def vote(answers, weights=None):\n    kept = [a for a in answers if a is not None]\n    w = max(set(kept), key=kept.count) if kept else None\n    return {'answer': w, 'share': kept.count(w) / len(kept) if kept else 0.0}\n",
        "def vote(answers, weights=None):\n    kept = [a for a in answers if a is not None]\n    if not kept:\n        return {'answer': 0.0, 'share': 0.0}\n    w = max(kept, key=kept.count)\n    return {'answer': w, 'share': kept.count(w) / len(kept)}\n",
        "def vote(answers, weights=None):\n    kept = [a for a in answers if a is not None]\n    ws = weights or [1] * len(kept)\n    votes = {}\n    for a, w in zip(kept, ws):\n        votes[a] = votes.get(a, 0) + w\n    if not votes:\n        return {'answer': None, 'share': 0.0}\n    w = max(votes, key=votes.get)\n    return {'answer': w, 'share': votes[w] / sum(votes.values())}\n",
        "def vote(answers, weights=None):\n    votes = {}\n    for a, w in zip(answers, weights or [1] * len(answers)):\n        if a is not None:\n            votes[a] = votes.get(a, 1) * w\n    if not votes:\n        return {'answer': None, 'share': 0.0}\n    w = max(votes, key=votes.get)\n    return {'answer': w, 'share': votes[w] / sum(votes.values())}\n",
        "def vote(answers, weights=None):\n    votes = {}\n    for a, w in zip(answers, weights or [1] * len(answers)):\n        if a is not None:\n            votes[a] = votes.get(a, 0) + w\n    if not votes:\n        return {'answer': None, 'share': 0.0}\n    w = max(votes, key=votes.get)\n    return {'answer': w, 'share': votes[w] / len(votes)}\n",
        "def vote(answers, weights=None):\n    votes = {}\n    for a, w in zip(answers, weights or [1] * len(answers)):\n        if a is not None:\n            votes[a] = votes.get(a, 0) + w\n    if not votes:\n        return {'answer': None, 'share': 0.0}\n    w = max(votes, key=votes.get)\n    if list(votes.values()).count(votes[w]) > 1:\n        return {'answer': None, 'share': 0.0}\n    return {'answer': w, 'share': votes[w] / sum(votes.values())}\n",
        "def vote(answers, weights=None):\n    votes = {}\n    for a, w in zip(answers, weights or [1] * len(answers)):\n        if a is not None:\n            votes[a] = votes.get(a, 0) + w\n    if not votes:\n        return {'answer': None, 'share': 1.0}\n    w = max(votes, key=votes.get)\n    return {'answer': w, 'share': votes[w] / sum(votes.values())}\n",
    ],
    "lab16.q3": [
        f"""
def at_budget(pools, truths, budget):
    right, tokens, samples = 0, 0, 0
    for pool, true in zip(pools, truths):
        taken, spent = [], 0
        for answer, cost in pool:
            if {over}:
                break
            taken.append(answer)
            spent += {cost}
        right += {right}
        tokens += spent
        samples += {count}
    n = {n}
    return {{"accuracy": right / n, "tokens": tokens / n, "samples": samples / n}}
"""
        for over, cost, right, count, n in (
            ("spent + cost > budget / 2", "cost", "vote(taken)['answer'] == true", "len(taken)", "len(pools)"),
            ("cost > budget", "cost", "vote(taken)['answer'] == true", "len(taken)", "len(pools)"),
            ("len(taken) * cost >= budget", "cost", "vote(taken)['answer'] == true", "len(taken)", "len(pools)"),
            ("spent + cost > budget", "cost", "true in taken[:1]", "len(taken)", "len(pools)"),
            ("spent + cost > budget", "cost", "taken[-1:] == [true]", "len(taken)", "len(pools)"),
            ("spent + cost > budget", "cost", "vote(taken)['share'] > 0.5", "len(taken)", "len(pools)"),
            ("spent + cost > budget", "cost", "vote(taken)['answer'] == true", "len(set(taken))", "len(pools)"),
            ("spent + cost > budget", "1", "vote(taken)['answer'] == true", "len(taken)", "len(pools)"),
            (
                "spent + cost > budget",
                "cost",
                "vote([a for a, _ in pool])['answer'] == true",
                "len(taken)",
                "len(pools)",
            ),
            (
                "spent + cost > budget",
                "cost",
                "vote(taken)['answer'] == true",
                "len(taken)",
                "max(1, sum(map(len, pools)))",
            ),
            ("spent + cost > budget", "cost", "vote(taken)['answer'] == truths[0]", "len(taken)", "len(pools)"),
            ("spent + cost > budget", "cost", "vote(taken)['answer'] == true", "len(taken) + 1", "len(pools)"),
        )
    ],
    "lab16.q4": [
        f"def best_of_k(scores, right, k):\n    n = scores.shape[1]\n    order = {order}\n    taken = torch.tensor([float({ways}) for r in range(n)])\n    return ({given}).item()\n"
        for order, ways, given in (
            (
                "scores.argsort(dim=1, descending=True, stable=True)",
                "r == 0",
                "(right.gather(1, order).float() @ taken).mean()",
            ),
            (
                "scores.argsort(dim=0, descending=True, stable=True)",
                "math.comb(n - 1 - r, k - 1) / math.comb(n, k)",
                "(right.gather(0, order).float() @ taken).mean()",
            ),
            (
                "scores.argsort(dim=1, descending=True, stable=True)",
                "math.comb(n - 1 - r, k - 1) / math.comb(n, k)",
                "(right.float() @ taken).mean()",
            ),
            (
                "scores.argsort(dim=1, descending=True, stable=True)",
                "math.comb(n - 1 - r, k - 1) / math.comb(n - 1, k - 1)",
                "(right.gather(1, order).float() @ taken).mean()",
            ),
            (
                "scores.argsort(dim=1, descending=True, stable=True)",
                "math.comb(r, k - 1) / math.comb(n, k)",
                "(right.gather(1, order).float() @ taken).mean()",
            ),
            (
                "scores.argsort(dim=1, descending=True, stable=True)",
                "k / n * (1 - k / n) ** r",
                "(right.gather(1, order).float() @ taken).mean()",
            ),
            (
                "scores.argsort(dim=1, descending=True, stable=True)",
                "math.perm(n - 1 - r, k - 1) / math.perm(n, k)",
                "(right.gather(1, order).float() @ taken).mean()",
            ),
            (
                "scores.argsort(dim=1, descending=True, stable=True)",
                "math.comb(n - 1 - r, k - 1) / math.comb(n, k)",
                "(right.gather(1, order).float() @ taken).max()",
            ),
            (
                "scores.argsort(dim=1, descending=True, stable=True).argsort(1)",
                "math.comb(n - 1 - r, k - 1) / math.comb(n, k)",
                "(right.gather(1, order).float() @ taken).mean()",
            ),
            (
                "(scores * right).argsort(dim=1, descending=True, stable=True)",
                "math.comb(n - 1 - r, k - 1) / math.comb(n, k)",
                "(right.gather(1, order).float() @ taken).mean()",
            ),
        )
    ]
    + [
        "def best_of_k(scores, right, k):\n    total = 0.0\n    for _ in range(200):\n        chosen = torch.randperm(scores.shape[1])[:k]\n        total += right[:, chosen].gather(1, scores[:, chosen].argmax(1, keepdim=True)).float().mean().item()\n    return total / 200\n",
    ],
    "lab16.q5": [
        "def search(root, propose, value, is_goal, budget, threshold):\n    return None\n",
        "def search(root, propose, value, is_goal, budget, threshold):\n    return [root] if is_goal(root) else None\n",
        """
def search(root, propose, value, is_goal, budget, threshold):
    path = [root]
    while not is_goal(path[-1]) and budget:
        budget -= 1
        children = [c for c in propose(path[-1]) if c not in path and value(c) >= threshold]
        if not children:
            return None
        path.append(max(children, key=value))
    return path if is_goal(path[-1]) else None
""",
        """
def search(root, propose, value, is_goal, budget, threshold):
    seen = {root}
    def below(state, path, left):     # every branch has the whole budget
        if is_goal(state):
            return path
        if not left:
            return None
        fresh = [c for c in propose(state) if c not in seen]
        seen.update(fresh)
        for c in sorted(fresh, key=value, reverse=True):
            if value(c) >= threshold and (found := below(c, [*path, c], left - 1)):
                return found
    return below(root, [root], budget)
""",
        """
def search(root, propose, value, is_goal, budget, threshold):
    if is_goal(root):
        return [root]
    stack, seen = [[root]], set()
    while stack and budget:
        path = stack.pop()
        if path[-1] in seen:
            continue
        seen.add(path[-1])
        budget -= 1
        children = [c for c in propose(path[-1]) if c not in path]
        for c in children:
            if is_goal(c):
                return path + [c]
        stack += [path + [c] for c in sorted(children, key=value, reverse=True)[::-1] if value(c) >= threshold]
    return None
""",
        """
def search(root, propose, value, is_goal, budget, threshold):
    if is_goal(root):
        return [root]
    beam, seen = [[root]], {root}
    while beam and budget > 0:
        grown = []
        for path in beam:
            budget -= 1
            for c in propose(path[-1]):
                if is_goal(c):
                    return path + [c]
                if c not in seen and value(c) >= threshold:
                    seen.add(c)
                    grown.append(path + [c])
        beam = sorted(grown, key=lambda p: value(p[-1]), reverse=True)[:3]
    return None
""",
        """
def search(root, propose, value, is_goal, budget, threshold):
    stack, parent = [root], {root: None}
    while stack and budget:
        state = stack.pop()
        if is_goal(state):
            path = []
            while state is not None:
                path.append(state)
                state = parent[state]
            return path[::-1]
        budget -= 1
        fresh = [c for c in propose(state) if c not in parent]
        for c in sorted(fresh, key=value):
            parent[c] = state
            if value(c) >= threshold:
                stack.append(c)
    return None
""",
        """
def search(root, propose, value, is_goal, budget, threshold):
    if is_goal(root) and value(root) >= threshold:
        return [root]
    stack, parent = [root], {root: None}
    while stack and budget:
        budget -= len(propose(stack[-1]))
        state = stack.pop()
        for c in sorted(propose(state), key=value):
            if c not in parent:
                parent[c] = state
                stack.append(c)
                if is_goal(c):
                    return [root, c]
    return None
""",
        """
def search(root, propose, value, is_goal, budget, threshold):
    stack, parent = [root], {root: None}
    while stack and budget > 0:
        state = stack.pop()
        budget -= 1
        for c in sorted(propose(state), key=value):
            if c in parent or value(c) < threshold:
                continue
            parent[c] = state
            if is_goal(c):
                path = [c]
                while parent[path[0]] is not None:
                    path.insert(0, parent[path[0]])
                return path
            stack.append(c)
    return None
""",
        """
def search(root, propose, value, is_goal, budget, threshold):
    if is_goal(root):
        return [root]
    stack, seen, calls = [[root]], {root}, {}
    while stack:
        path = stack.pop()
        if calls.get(len(path), 0) >= budget:
            continue
        calls[len(path)] = calls.get(len(path), 0) + 1      # a budget for each level
        fresh = [c for c in propose(path[-1]) if c not in seen]
        seen.update(fresh)
        for c in fresh:
            if is_goal(c):
                return path + [c]
        stack += [path + [c] for c in sorted(fresh, key=value, reverse=True)[::-1] if value(c) >= threshold]
    return None
""",
    ],
    "lab16.q6": [
        _GROUP + value + "\n"
        for value in (
            "torch.nan_to_num((rewards - mean) / std)",
            "(rewards - mean) / (std + 1e-6)",
            "(rewards - mean) / std.clamp(min=1e-8)",
            "torch.where(std > 0.6, (rewards - mean) / std, 0.0)",
            "(rewards - mean) / std.clamp(min=1.0)",
            "torch.zeros_like(rewards)",
            "torch.where((rewards == rewards.amax()).all(1, keepdim=True), 0.0, (rewards - mean) / std)",
            "torch.where(rewards.sum(1, keepdim=True) == 0, 0.0, (rewards - mean) / std)",
            "(rewards - mean).sign()",
            "torch.where(std > 1e-5, (rewards - mean) / std - 0.01, 0.0)",
            "torch.nn.functional.layer_norm(rewards, rewards.shape[1:])",
            "torch.where(std > 1e-5, (rewards - mean) / std / rewards.shape[1], 0.0)",
        )
    ],
    "lab16.q7": [
        _EXAMPLES + "def holds(inputs, output):\n    return True\n",
        _EXAMPLES + "def holds(inputs, output):\n    return False\n",
        _EXAMPLES + "def holds(inputs, output):\n    return 1 <= len(output) <= inputs[1]\n",
        _EXAMPLES
        + "def holds(inputs, output):\n    return all(len(t) <= inputs[2] and 0 not in t[:-1] for t, _ in output)\n",
        _EXAMPLES
        + "def holds(inputs, output):\n    m = inputs[0]\n    return all(abs(sum(math.log(m[i][j]) for i, j in zip([0, *t], t)) - p) < 1e-6 for t, p in output)\n",
        _EXAMPLES
        + "def holds(inputs, output):\n    m = inputs[0]\n    return all(abs(sum(math.log(m[i][j]) for i, j in zip(t, t[1:])) - p) < 1e-6 for t, p in output)\n",
        _EXAMPLES
        + "def holds(inputs, output):\n    return len(output) == inputs[1] and output[0][1] >= output[-1][1]\n",
        _EXAMPLES + "def holds(inputs, output):\n    return all(t[-1] == 0 for t, _ in output)\n",
        _EXAMPLES
        + """
def holds(inputs, output):
    model, width, longest = inputs
    alive, done = [([], 0.0)], []
    for _ in range(longest):
        grown = sorted([(t + [v], s + math.log(p)) for t, s in alive for v, p in enumerate(model[t[-1] if t else 0])], key=lambda x: -x[1])[:width]
        done += [x for x in grown if x[0][-1] == 0]
        alive = [x for x in grown if x[0][-1] != 0]
    best = sorted(done + alive, key=lambda x: -x[1])[:width]
    return [t for t, _ in output] == [t for t, _ in best]
""",
        _EXAMPLES
        + """
def holds(inputs, output):
    model, width, longest = inputs
    m = lambda t: sum(math.log(model[i][j]) for i, j in zip([0, *t], t))
    return all(abs(m(t) - p) < 1e-6 and len(t) <= longest for t, p in output) and output == sorted(output, key=lambda x: -x[1])
""",
    ],
}

REFUSED = {
    "lab16.q1": [
        """
def read_answer(text, prompt):
    from llmlib.infer import extract_answer
    found = extract_answer(text, "number", prompt=prompt)
    return None if found is None else float(found)
""",
    ],
    "lab16.q2": [
        """
def vote(answers, weights=None):
    from llmlib.infer import tally
    found = tally(answers, weights)
    return {"answer": found.answer, "share": found.share}
""",
    ],
    "lab16.q5": [
        """
def search(root, propose, value, is_goal, budget, threshold):
    from llmlib.infer.tree_search import tree_search
    (tree,) = tree_search([root], lambda states: [propose(s) for s in states], lambda states: [value(s) for s in states], is_goal, strategy="dfs", max_depth=100, threshold=threshold)
    return tree.path(tree.goals[0]) if tree.goals else None
""",
    ],
    "lab16.q6": [
        """
def group_advantages(rewards):
    from llmlib.align import group_advantages
    return group_advantages(rewards)
""",
    ],
}
