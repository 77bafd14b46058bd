"""Lab 17, for staff: hidden cases, keys, mutants, rubrics."""

import json

from courseware.classroom.cases import Case, Key, Mutant, Subject
from courseware.classroom.cases.lab17 import (
    TOOLS,
    _cited,
    _complaint,
    _cut_up,
    _found,
    _fused,
    _inside,
    _measured,
    _parse,
    _pooled,
    _prompted,
    _scored,
    a_ranking,
    a_short_text,
    a_text,
    a_text_without_tokens,
    an_answer,
    asked_twice,
    brackets_that_cite_nothing,
    common_words_only,
    equal_scores,
    few_documents,
    few_found,
    fewer_than_asked_for,
    first_too_far,
    invented_twice,
    just_near_enough,
    many_alike,
    many_relevant,
    no_citations,
    no_overlap,
    nothing_relevant,
    passages_like_sources,
    relevant_too_late,
    run_cited,
    run_nearest,
    run_pool,
    run_prompt,
    small_library,
    some_passages,
    that_fills_its_pieces,
    three_searches,
    token_vectors,
    too_much_overlap,
    two_long_searches,
    two_searches,
    vectors_and_a_question,
    words_nowhere,
)


def extra_arguments(text):
    return _parse(text, extra=False)


def true_is_a_number(text):
    return _parse(text, booleans=False)


def whole_numbers_written_otherwise(text):
    """ "2" and 2.0 become 2."""

    def read(written):
        call = json.loads(written)
        if isinstance(call, dict) and isinstance(call.get("arguments"), dict):
            call["arguments"] = {
                name: int(value) if name == "k" and isinstance(value, str | float) else value
                for name, value in call["arguments"].items()
            }
        return call

    return _parse(text, read=read)


def to_the_last_end(text):
    """From the first <tool> to the last </tool>."""
    return _parse(
        text,
        inside=lambda t: (
            t[t.find("<tool>") + 6 : t.rfind("</tool>") if "</tool>" in t else None] if "<tool>" in t else None
        ),
    )


def needs_an_end(text):
    return _parse(text, inside=lambda t: _inside(t) if "</tool>" in t[max(0, t.find("<tool>")) :] else None)


def raises_on_bad_json(text):
    inside = _inside(text)
    return None if inside is None else _parse(text, read=lambda _, call=json.loads(inside): call)


def one_of_several(text):
    """Any tool is checked against the arguments of all of them."""

    def inside_all(call):
        names = {name for arguments in TOOLS.values() for name in arguments}
        return set(call.get("arguments", {})) <= names

    found = _parse(text, missing=False, extra=False)
    if found and "name" in found and not inside_all(found):
        return {"error": "unknown argument"}
    return found


def no_message(text):
    return _parse(text, error=lambda words: {"error": ""})


def a_call_without_arguments(text):
    """Where arguments are missing altogether, none are taken to be meant."""

    def read(written):
        call = json.loads(written)
        return {"arguments": {}, **call} if isinstance(call, dict) else call

    return _parse(text, read=read, missing=False)


def every_text_is_a_call(text):
    return _parse(text, inside=lambda t: _inside(t) if "<tool>" in t else t)


def all_of_it(text):
    """Keys that nobody asked for stay in the output."""
    found = _parse(text)
    return {**found, "text": text} if found and "name" in found else found


def strings_only(text):
    """Arguments are given as text."""
    found = _parse(text)
    if found and "name" in found:
        return {"name": found["name"], "arguments": {k: str(v) for k, v in found["arguments"].items()}}
    return found


def first_complaint_only_of_names(text):
    """The kinds of the arguments of search are looked at, those of calculator are not."""

    def looks(call):
        return isinstance(call, dict) and call.get("name") == "calculator"

    inside = _inside(text)
    try:
        call = None if inside is None else json.loads(inside)
    except ValueError:
        call = None
    if looks(call) and not _complaint(call, kinds=False, booleans=False):
        return {"name": call["name"], "arguments": call["arguments"]}
    return _parse(text)


HIDDEN = {
    "lab17.q1": [
        Case("another small library", inputs=small_library, expected=_scored("")),
        Case("other words asked for twice", inputs=asked_twice, expected=_scored("")),
        Case("another common word", inputs=common_words_only, expected=_scored("")),
        Case("another word that stands nowhere", inputs=words_nowhere, expected=_scored("")),
        Case("length does not matter", inputs=lambda draw: (*small_library(draw)[:3], 0.0), expected=_scored("")),
        Case("length matters in full", inputs=lambda draw: (*small_library(draw)[:3], 1.0), expected=_scored("")),
        Case("one document", inputs=lambda draw: ([["a", "b", "a"]], ["a", "c"], 1.5, 0.75), expected=_scored("")),
    ],
    "lab17.q2": [
        Case("other texts", inputs=token_vectors, expected=_pooled(""), recipe=run_pool),
        Case("another text without tokens", inputs=a_text_without_tokens, expected=_pooled(""), recipe=run_pool),
        Case("other vectors", inputs=vectors_and_a_question, expected=_found(""), recipe=run_nearest),
        Case("others fewer than asked for", inputs=fewer_than_asked_for, expected=_found(""), recipe=run_nearest),
        Case("many others alike", inputs=many_alike, expected=_found(""), recipe=run_nearest),
    ],
    "lab17.q3": [
        Case("two other searches", inputs=two_searches, expected=_fused("")),
        Case("three others", inputs=three_searches, expected=_fused("")),
        Case("other equal scores", inputs=equal_scores, expected=_fused("")),
        Case("another small k", inputs=two_long_searches, expected=_fused("")),
        Case("fewer documents", inputs=few_documents, expected=_fused("")),
        Case("one search that found nothing", inputs=lambda draw: ([{7: 0.5, 3: 0.9, 5: 0.5}, {}], 2, 60), expected=lambda searches, n, k: [3, 5]),
    ],
    "lab17.q4": [
        Case("another last piece that is not full", inputs=a_text, expected=_cut_up("")),
        Case("another that is full", inputs=that_fills_its_pieces, expected=_cut_up("")),
        Case("another short text", inputs=a_short_text, expected=_cut_up("")),
        Case("no overlap again", inputs=no_overlap, expected=_cut_up("")),
        Case("another overlap that is too long", inputs=too_much_overlap, expected=_cut_up("")),
        Case("shorter than the overlap", inputs=lambda draw: (["a", "b"], 6, 3), expected=_cut_up("")),
        Case("shorter than the overlap, in steps of one word", inputs=lambda draw: (["a", "b"], 4, 3), expected=_cut_up("")),
        Case("pieces of one word", inputs=lambda draw: (["a", "b", "a"], 1, 0), expected=_cut_up("")),
        Case("a step of one word", inputs=lambda draw: (list("abcdefg"), 4, 3), expected=_cut_up("")),
        Case("just one piece", inputs=lambda draw: (list("abcd"), 4, 2), expected=_cut_up("")),
    ],
    "lab17.q5": [
        Case("another ranking", inputs=a_ranking, expected=_measured("")),
        Case("other relevant documents", inputs=many_relevant, expected=_measured("")),
        Case("another that comes too late", inputs=relevant_too_late, expected=_measured("")),
        Case("another with few found", inputs=few_found, expected=_measured("")),
        Case("nothing found", inputs=lambda draw: ([], {4: 1}, 5), expected=_measured("")),
        Case("the best there is", inputs=lambda draw: ([9, 2, 5], {2: 2, 9: 3, 5: 1}, 3), expected={"recall": 1.0, "rr": 1.0, "ndcg": 1.0}),
    ],
    "lab17.q6": [
        Case("other passages", inputs=some_passages, expected=_prompted(""), recipe=run_prompt),
        Case("another first too far away", inputs=first_too_far, expected=_prompted(""), recipe=run_prompt),
        Case("just near enough again", inputs=just_near_enough, expected=_prompted(""), recipe=run_prompt),
        Case("others that look like sources", inputs=passages_like_sources, expected=_prompted(""), recipe=run_prompt),
        Case("nothing relevant again", inputs=nothing_relevant, expected=_prompted(""), recipe=run_prompt),
        Case("no passages", inputs=lambda draw: ("Why?", [], [], 0.3, 2), expected=_prompted(""), recipe=run_prompt),
        Case("another answer", inputs=an_answer, expected=_cited(""), recipe=run_cited),
        Case("others invented twice", inputs=invented_twice, expected=_cited(""), recipe=run_cited),
        Case("other brackets", inputs=brackets_that_cite_nothing, expected=_cited(""), recipe=run_cited),
        Case("without citations", inputs=no_citations, expected=_cited(""), recipe=run_cited),
        Case("spaces", inputs=lambda draw: ("So it is [ 2 , 1 ]. And [3,   9].", 3), expected={"cited": [2, 1, 3], "invented": 1}, recipe=run_cited),
        Case("no sources", inputs=lambda draw: ("So it is [1].", 0), expected={"cited": [], "invented": 1}, recipe=run_cited),
    ],
    "lab17.q7": [
        Subject("lets arguments pass that the tool does not have", extra_arguments),
        Subject("takes true for a whole number", true_is_a_number),
        Subject("turns 2.0 or \"2\" into a whole number", whole_numbers_written_otherwise),
        Subject("reads on to the last </tool>", to_the_last_end),
        Subject("takes a call without its end for an answer", needs_an_end),
        Subject("raises an error on what is no JSON", raises_on_bad_json),
        Subject("does not know which tool has which argument", one_of_several),
        Subject("gives an empty message", no_message),
        Subject("lets a call pass that has no arguments", a_call_without_arguments),
        Subject("takes an answer for a bad call", every_text_is_a_call),
        Subject("puts more into its output than the call", all_of_it),
        Subject("turns arguments into strings", strings_only),
        Subject("does not look at the kind of the calculator's argument", first_complaint_only_of_names),
    ],
    "lab17.q8": [
        Key(
            runs=dict(zip(("b2", "c7", "e4", "g0", "j5", "l8", "n1", "r3", "u6", "w9"), "FAHCJEBIDG", strict=True)),
            true={
                "A": "ceghkmp",
                "B": "ceghjmp",
                "C": "cegikmn",
                "D": "cdfiklo",
                "E": "bcegikm",
                "F": "cdfikmo",
                "G": "ceghikm",
                "H": "abegikmo",
                "I": "abdgikmno",
                "J": "cegikl",
                "correct": "cegikm",
            },
        )
    ],
}  # fmt: skip

# What makes an observation true, from the recorded run: a test holds the key above to it.
RECORDING = "lab17_faults"
_ANSWERABLE, _UNANSWERABLE = "answerable questions refused, percent", "unanswerable questions refused, percent"
OBSERVED = {
    "a": lambda t, correct: t["recall@10 of BM25, percent"] < 80,
    "b": lambda t, correct: t["recall@10 of BM25, percent"] < 93,
    "c": lambda t, correct: t["recall@10 of BM25, percent"] > 80,
    "d": lambda t, correct: t["recall@10 of the dense search, percent"] < 70,
    "e": lambda t, correct: t["recall@10 of the dense search, percent"] > 85,
    "f": lambda t, correct: t["recall@1 of the dense search, percent"] < 25,
    "g": lambda t, correct: t["first hit of the dense search from the right article, percent"] > 80,
    "h": lambda t, correct: t["score of two passages, mean over all pairs"] > 0.04,
    "i": lambda t, correct: t["the same for unanswerable questions"] < 0.39,
    "j": lambda t, correct: t[_UNANSWERABLE] < 10,
    "k": lambda t, correct: t[_UNANSWERABLE] > 10,
    "l": lambda t, correct: t[_ANSWERABLE] > 90,
    "m": lambda t, correct: t[_ANSWERABLE] < 30,
    "n": lambda t, correct: t["first hit of the fusion is that of BM25, percent"] > 90,
    "o": lambda t, correct: t["mean reciprocal rank of the fusion"] < 0.58,
    "p": lambda t, correct: t["the same for unanswerable questions"] > 0.39,
}


def _bm25(
    mean: str = "sum(len(d) for d in documents) / len(documents)",
    n: str = "sum(word in d for d in documents)",
    idf: str = "math.log(1 + (N - n + 0.5) / (n + 0.5))",
    query: str = "query",
    f: str = "document.count(word)",
    relative: str = "len(document) / mean",
    held: str = "1 - b + b * relative",
    part: str = "f * (k1 + 1) / (f + k1 * held)",
    given: str = "scores",
    N: str = "len(documents)",
) -> str:
    return f"""def bm25(documents, query, k1=1.5, b=0.75):
    mean, N = {mean}, {N}
    scores = []
    for document in documents:
        score = 0.0
        for word in {query}:
            n = {n}
            f = {f}
            if not f:
                continue
            idf = {idf}
            relative = {relative}
            held = {held}
            score += idf * {part}
        scores.append(score)
    return {given}
"""


def _dense(
    total: str = "(hidden * mask[..., None]).sum(1)",
    count: str = "mask.sum(1, keepdim=True).clamp(min=1)",
    given: str = "F.normalize(total / count, dim=-1)",
    hidden: str = "hidden",
    scores: str = "vectors @ query",
    order: str = "sorted(range(len(scores)), key=lambda i: (-scores[i], i))",
    found: str = "order[:k]",
) -> str:
    return f"""class Dense:
    @staticmethod
    def pool(hidden, mask):
        hidden = {hidden}
        total = {total}
        count = {count}
        return {given}

    @staticmethod
    def nearest(vectors, query, k):
        scores = ({scores}).tolist()
        order = {order}
        return {found}
"""


def _fuse(
    order: str = "sorted(scores, key=lambda d: (-scores[d], d))",
    part: str = "1 / (k + rank)",
    start: str = "1",
    add: str = "total.get(d, 0.0) + part",
    after: str = "pass",
    given: str = "sorted(total, key=lambda d: (-total[d], d))[:n]",
) -> str:
    return f"""def fuse(searches, n, k=60):
    total = {{}}
    for scores in searches:
        low, high = min(scores.values(), default=0), max(scores.values(), default=1)
        for rank, d in enumerate({order}, {start}):
            part = {part}
            total[d] = {add}
    {after}
    return {given}
"""


def _pieces(
    check: str = "if overlap >= size:\n        raise ValueError('no')",
    step: str = "size - overlap",
    end: str = "start + size >= len(words)",
    piece: str = "words[start : start + size]",
    empty: str = "[]",
    given: str = "made",
) -> str:
    return f"""def pieces(words, size, overlap):
    {check}
    if not words:
        return {empty}
    made, start = [], 0
    while True:
        made.append({piece})
        if {end}:
            break
        start += {step}
    return {given}
"""


def _measures(
    wanted: str = "[d for d in gains if gains[d] > 0]",
    first: str = "ranking[:k]",
    recall: str = "sum(d in wanted for d in first) / len(wanted)",
    places: str = "[r for r, d in enumerate(first, 1) if d in wanted]",
    rr: str = "1 / places[0] if places else 0.0",
    gain: str = "gains.get(d, 0)",
    discount: str = "math.log2(rank + 1)",
    best: str = "sorted(gains, key=lambda d: -gains[d])[:k]",
    ndcg: str = "dcg(first) / dcg(best)",
) -> str:
    return f"""def measures(ranking, gains, k):
    wanted, first = {wanted}, {first}
    places = {places}

    def dcg(documents):
        return sum(({gain}) / ({discount}) for rank, d in enumerate(documents, 1))

    best = {best}
    return {{"recall": {recall}, "rr": {rr}, "ndcg": {ndcg}}}
"""


def _sources(
    near: str = "[p for p, c in zip(passages, cosines) if c >= least]",
    cut: str = "near[:most]",
    none: str = "if not near:\n            return None",
    title: str = "title.replace('[', '(').replace(']', ')')",
    text: str = "' '.join(text.split()).replace('[', '(').replace(']', ')')",
    line: str = "f'[{number}] {title}: {text}'",
    start: str = "1",
    whole: str = "lines + [f'Question: {question}', 'Answer:']",
    pattern: str = r"\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]",
    numbers: str = "[int(x) for group in groups for x in group.split(',')]",
    real: str = "1 <= x <= n",
    cited: str = "list(dict.fromkeys(good))",
    invented: str = "len(numbers) - len(good)",
) -> str:
    return f"""class Sources:
    @staticmethod
    def prompt(question, passages, cosines, least, most):
        near = {near}
        {none}
        lines = []
        for number, (title, text) in enumerate({cut}, {start}):
            title, text = {title}, {text}
            lines.append({line})
        return "\\n".join({whole})

    @staticmethod
    def cited(answer, n):
        groups = re.findall(r"{pattern}", answer)
        numbers = {numbers}
        good = [x for x in numbers if {real}]
        return {{"cited": {cited}, "invented": {invented}}}
"""


_BAD = """['{"query": "a"}', '{"query": "a", "k": "2"}', '{"query": "a", "k": true}', '{"query": 1, "k": 2}',
           '{"query": "a", "k": 2, "all": 1}', '{"query": "a", "k": 2.0}', '["a", 2]', "{'query': 'a', 'k': 2}",
           '{"query": "a", "k": 1 + 1}', '{"query": "a", "k": null}', '{"query": "a", "expression": "1"}']"""
_ODD = """['<tool>{"name": "shell", "arguments": {}}</tool>', "<tool>search(a)</tool>", "<tool></tool>",
           '<tool>["search"]</tool>', '<tool>{"arguments": {}}</tool>', '<tool>{"name": "search"}</tool>',
           '<tool>{"name": "calculator", "arguments": {"expression": 2}}</tool>',
           "The answer is 5.", "Let me see. " + good + " and " + sums, sums + good, good[:-7], sums + " </tool>"]"""


def _test(
    bad: str = _BAD,
    odd: str = _ODD,
    answer: str = "output is None",
    inside: str = "text.split('<tool>', 1)[1].split('</tool>')[0]",
    read: str = "json.loads",
    right: str = "{key: type(value) for key, value in arguments.items()} == kinds[name]",
    same: str = "output == {'name': name, 'arguments': arguments}",
    message: str = "isinstance(message, str) and message != '' and set(output) == {'error'}",
) -> str:
    return f"""def examples():
    good = '<tool>{{"name": "search", "arguments": {{"query": "sorted lists", "k": 2}}}}</tool>'
    sums = '<tool>{{"name": "calculator", "arguments": {{"expression": "2 + 3"}}}}</tool>'
    call = '<tool>{{"name": "search", "arguments": %s}}</tool>'
    bad = {bad}
    odd = {odd}
    return [(text,) for text in [*(call % arguments for arguments in bad), *odd]]


def holds(inputs, output):
    (text,) = inputs
    if "<tool>" not in text:
        return {answer}
    kinds = {{"calculator": {{"expression": str}}, "search": {{"query": str, "k": int}}}}
    try:
        call = {read}({inside})
        name, arguments = call["name"], call["arguments"]
        right = {right}
    except Exception:
        right = False
    if right:
        return {same}
    message = output.get("error") if isinstance(output, dict) else None
    return {message}
"""


_NORM = "F.normalize(total / count, dim=-1)"
MUTANTS = [
    Mutant("lab17.q1", "occurrences", _bm25(n="sum(d.count(word) for d in documents)"), "the number of *documents*"),
    Mutant("lab17.q1", "no 1 +", _bm25(idf="math.log((N - n + 0.5) / (n + 0.5))"), "worth less than nothing"),
    Mutant("lab17.q1", "cut off at 0", _bm25(idf="max(0.0, math.log((N - n + 0.5) / (n + 0.5)))"), "cut off at 0"),
    Mutant("lab17.q1", "ln(N / n)", _bm25(idf="math.log(N / n)"), "that is ln(N / n)"),
    Mutant("lab17.q1", "idf of tf-idf", _bm25(idf="math.log((N + 1) / (n + 1)) + 1"), "another formula"),
    Mutant("lab17.q1", "no idf", _bm25(idf="1.0"), "where is idf"),
    Mutant("lab17.q1", "no halves", _bm25(idf="math.log(1 + (N - n) / n)"), "that is ln(N / n)"),
    Mutant("lab17.q1", "log2", _bm25(idf="math.log2(1 + (N - n + 0.5) / (n + 0.5))"), "not log2"),
    Mutant("lab17.q1", "log10", _bm25(idf="math.log10(1 + (N - n + 0.5) / (n + 0.5))"), "not log10"),
    Mutant("lab17.q1", "idf squared", _bm25(idf="math.log(1 + (N - n + 0.5) / (n + 0.5)) ** 2"), "idf counts once"),
    Mutant("lab17.q1", "vocabulary", _bm25(N="len({w for d in documents for w in d})"), "not of different words"),
    Mutant("lab17.q1", "no length", _bm25(held="1.0"), "where is the length"),
    Mutant("lab17.q1", "length inverted", _bm25(relative="mean / len(document)"), "the wrong way up"),
    Mutant("lab17.q1", "total length", _bm25(mean="sum(len(d) for d in documents)"), "compared to the mean length"),
    Mutant("lab17.q1", "b exchanged", _bm25(held="b + (1 - b) * relative"), "b and 1 - b are exchanged"),
    Mutant("lab17.q1", "no 1 - b", _bm25(held="b * relative"), "where is 1 - b"),
    Mutant("lab17.q1", "different words", _bm25(mean="sum(len(set(d)) for d in documents) / len(documents)", relative="len(set(document)) / mean"), "repetitions counted"),
    Mutant("lab17.q1", "characters", _bm25(mean="sum(len(''.join(d)) for d in documents) / len(documents)", relative="len(''.join(document)) / mean"), "not of characters"),
    Mutant("lab17.q1", "no k1 + 1", _bm25(part="f / (f + k1 * held)"), "the factor k1 + 1"),
    Mutant("lab17.q1", "no k1 below", _bm25(part="f * (k1 + 1) / (f + held)"), "is multiplied by k1"),
    Mutant("lab17.q1", "count", _bm25(part="f"), "has to level off"),
    Mutant("lab17.q1", "presence", _bm25(f="int(word in document)", part="1.0"), "stands there twice"),
    Mutant("lab17.q1", "share", _bm25(f="document.count(word) / max(1, len(document))"), "not its share"),
    Mutant("lab17.q1", "a set of words", _bm25(query="set(query)"), "counts twice"),
    Mutant("lab17.q1", "mean over words", _bm25(given="[s / len(query) for s in scores]"), "not their mean"),
    Mutant("lab17.q1", "defaults", _bm25(mean="(k1 := 1.5) and (b := 0.75) and sum(len(d) for d in documents) / len(documents)"), "are k1 and b used"),
    Mutant("lab17.q1", "ranking", _bm25(given="sorted(range(len(scores)), key=lambda i: -scores[i])"), "that is a ranking"),
    Mutant("lab17.q1", "index of a word nowhere", "def bm25(documents, query, k1=1.5, b=0.75):\n    holding = {}\n    for i, d in enumerate(documents):\n        for w in set(d):\n            holding.setdefault(w, []).append(i)\n    mean = sum(map(len, documents)) / len(documents)\n    scores = [0.0] * len(documents)\n    for w in query:\n        n = len(holding[w])\n        for i in holding[w]:\n            f = documents[i].count(w)\n            scores[i] += math.log(1 + (len(documents) - n + 0.5) / (n + 0.5)) * f * (k1 + 1) / (f + k1 * (1 - b + b * len(documents[i]) / mean))\n    return scores\n", "adds nothing"),
    Mutant("lab17.q2", "pads", _dense(total="hidden.sum(1)", count="hidden.shape[1]"), "the pads are in the mean: multiply"),
    Mutant("lab17.q2", "pads, no norm", _dense(given="hidden.mean(1)"), "and the vectors are not brought"),
    Mutant("lab17.q2", "no norm", _dense(given="total / count"), "no cosine"),
    Mutant("lab17.q2", "sum", _dense(given="total"), "that is the sum over tokens"),
    Mutant("lab17.q2", "over all places", _dense(given="total / hidden.shape[1]"), "divided by the number of places"),
    Mutant("lab17.q2", "tokens first", _dense(hidden="F.normalize(hidden, dim=-1)", given="total / count"), "here the tokens were"),
    Mutant("lab17.q2", "tokens first, mean after", _dense(hidden="F.normalize(hidden, dim=-1)"), "every token was brought to length 1"),
    Mutant("lab17.q2", "first token", _dense(total="hidden[:, 0]"), "the first token"),
    Mutant("lab17.q2", "last token", _dense(total="hidden[torch.arange(len(hidden)), mask.sum(1) - 1]"), "the last token"),
    Mutant("lab17.q2", "largest", _dense(total="hidden.masked_fill(~mask[..., None], -1e9).amax(1)"), "the largest value"),
    Mutant("lab17.q2", "mask turned", _dense(total="(hidden * ~mask[..., None]).sum(1)"), "the wrong way round"),
    Mutant("lab17.q2", "over the batch", _dense(given="F.normalize(total / count, dim=0)"), "over the wrong axis"),
    Mutant("lab17.q2", "absolute values", _dense(given="F.normalize(total / count, p=1, dim=-1)"), "not the sum of absolute values"),
    Mutant("lab17.q2", "squared", _dense(given="total / count / (total / count).square().sum(-1, keepdim=True).clamp(min=1e-12)"), "the square of the length"),
    Mutant("lab17.q2", "0 / 0", _dense(count="mask.sum(1, keepdim=True)"), "not 0 / 0"),
    Mutant("lab17.q2", "smallest first", _dense(order="sorted(range(len(scores)), key=lambda i: (scores[i], i))"), "the smallest scores come first"),
    Mutant("lab17.q2", "best last", _dense(found="order[:k][::-1]"), "the worst first"),
    Mutant("lab17.q2", "by number", _dense(found="sorted(order[:k])"), "the order of their numbers"),
    Mutant("lab17.q2", "ties turned round", _dense(order="sorted(range(len(scores)), key=lambda i: scores[i])[::-1]"), "the *lower* number comes first"),
    Mutant("lab17.q2", "a sort that is not stable", _dense(found="torch.argsort(torch.tensor(scores), descending=True)[:k].tolist()"), "a sort that is not stable"),
    Mutant("lab17.q2", "topk in any order", _dense(found="torch.topk(torch.tensor(scores), min(k, len(scores))).indices.tolist()"), "topk"),
    Mutant("lab17.q2", "argsort turned round", _dense(found="np.argsort(scores, kind='stable')[::-1][:k].tolist()"), "the *lower* number comes first"),
    Mutant("lab17.q2", "absolute", _dense(order="sorted(range(len(scores)), key=lambda i: (-abs(scores[i]), i))"), "no absolute values"),
    Mutant("lab17.q2", "scores", _dense(found="[scores[i] for i in order[:k]]"), "those are the scores"),
    Mutant("lab17.q2", "from 1", _dense(found="[i + 1 for i in order[:k]]"), "numbered from 0"),
    Mutant("lab17.q2", "all", _dense(found="order"), "the first k of them"),
    Mutant("lab17.q2", "one less", _dense(found="order[: k - 1]"), "not k - 1"),
    Mutant("lab17.q2", "topk", _dense(found="torch.topk(torch.tensor([s - 1e-5 * i for i, s in enumerate(scores)]), k).indices.tolist()"), "give those there are"),
    Mutant("lab17.q2", "filled up", _dense(found="(order + [-1] * k)[:k]"), "give those there are"),
    Mutant("lab17.q3", "scores", _fuse(part="scores[d]"), "drowns the other"),
    Mutant("lab17.q3", "scaled scores", _fuse(part="(scores[d] - low) / (high - low or 1)"), "scaled to 0 ... 1"),
    Mutant("lab17.q3", "scores over the largest", _fuse(part="scores[d] / (high or 1)"), "divided by the largest"),
    Mutant("lab17.q3", "weighed by scores", _fuse(part="scores[d] / (k + rank)"), "the score of a search comes in"),
    Mutant("lab17.q3", "from 0", _fuse(start="0"), "ranks start at 1"),
    Mutant("lab17.q3", "no k", _fuse(part="1 / rank"), "where is k"),
    Mutant("lab17.q3", "always 60", _fuse(part="1 / (60 + rank)"), "is k used"),
    Mutant("lab17.q3", "parentheses", _fuse(part="1 / k + rank"), "parentheses"),
    Mutant("lab17.q3", "best only", _fuse(add="max(total.get(d, 0.0), part)"), "keeps the best one only"),
    Mutant("lab17.q3", "mean", _fuse(after="total = {d: s / sum(d in one for one in searches) for d, s in total.items()}"), "worth nothing"),
    Mutant("lab17.q3", "in all", _fuse(after="total = {d: s for d, s in total.items() if all(d in one for one in searches)}"), "not thrown out"),
    Mutant("lab17.q3", "last place", _fuse(after="total = {d: s + sum(1 / (k + len(one) + 1) for one in searches if d not in one) for d, s in total.items()}"), "not the part of a last place"),
    Mutant("lab17.q3", "first search", _fuse(given="sorted(searches[0], key=lambda d: (-searches[0][d], d))[:n]"), "the ranking of the first search"),
    Mutant("lab17.q3", "smallest first", _fuse(order="sorted(scores, key=lambda d: (-scores[d], d))[::-1]"), "the largest score has rank 1"),
    Mutant("lab17.q3", "not sorted", _fuse(order="scores"), "in no order"),
    Mutant("lab17.q3", "dict order", _fuse(order="sorted(scores, key=lambda d: -scores[d])"), "the order of the dict decides"),
    Mutant("lab17.q3", "sorted and turned round", _fuse(order="sorted(scores, key=lambda d: (scores[d], d), reverse=True)", given="sorted(total, key=lambda d: (total[d], d), reverse=True)[:n]"), "the *lower* number"),
    Mutant("lab17.q3", "shared ranks", _fuse(part="1 / (k + 1 + len({s for s in scores.values() if s > scores[d]}))"), "do not share a rank"),
    Mutant("lab17.q3", "cut before", _fuse(order="sorted(scores, key=lambda d: (-scores[d], d))[:n]"), "not before the fusion"),
    Mutant("lab17.q3", "worst first", _fuse(given="sorted(total, key=lambda d: (total[d], d))[:n]"), "the best document comes first"),
    Mutant("lab17.q3", "all", _fuse(given="sorted(total, key=lambda d: (-total[d], d))"), "the first n of them"),
    Mutant("lab17.q4", "tail lost", _pieces(given="[p for p in made if len(p) == size]"), "the tail is lost"),
    Mutant("lab17.q4", "last step lost", _pieces(check="if overlap >= size:\n        raise ValueError('no')\n    if len(words) > size:\n        return [words[i : i + size] for i in range(0, len(words) - size, size - overlap)]"), "the tail is lost"),
    Mutant("lab17.q4", "short lost", _pieces(given="made if len(words) >= size else []"), "shorter than a piece is one piece"),
    Mutant("lab17.q4", "no overlap", _pieces(step="size"), "is overlap used"),
    Mutant("lab17.q4", "overlap for step", _pieces(step="max(1, overlap)"), "not overlap words after it"),
    Mutant("lab17.q4", "one less", _pieces(step="size - overlap + 1"), "one word too short"),
    Mutant("lab17.q4", "one more", _pieces(step="max(1, size - overlap - 1)"), "one word too long"),
    Mutant("lab17.q4", "inside", _pieces(end="start + size - overlap >= len(words)"), "wholly within"),
    Mutant("lab17.q4", "longer", _pieces(step="size", end="start + size >= len(words)", piece="words[start : start + size + overlap]"), "those of the overlap included"),
    Mutant("lab17.q4", "longer before", _pieces(step="size", piece="words[max(0, start - overlap) : start + size]"), "comes on top"),
    Mutant("lab17.q4", "tail moved", _pieces(given="[*made[:-1], words[-size:]]"), "as the others do"),
    Mutant("lab17.q4", "tail joined", _pieces(given="made if len(made) == 1 or len(made[-1]) == size else [*made[:-2], made[-2] + made[-1][overlap:]]"), "a piece of its own"),
    Mutant("lab17.q4", "no ValueError", _pieces(check="if overlap >= size:\n        overlap = size - 1"), "raise a ValueError"),
    Mutant("lab17.q4", "an empty piece", _pieces(empty="[[]]"), "has no pieces"),
    Mutant("lab17.q5", "precision", _measures(recall="sum(d in wanted for d in first) / k"), "that is precision"),
    Mutant("lab17.q5", "over found", _measures(recall="sum(d in wanted for d in first) / max(1, len(first))"), "the number of documents found"),
    Mutant("lab17.q5", "over the relevant found", _measures(recall="sum(d in wanted for d in first) / max(1, sum(d in wanted for d in ranking))"), "those that were not found count"),
    Mutant("lab17.q5", "over what fits", _measures(recall="sum(d in wanted for d in first) / min(k, len(wanted))"), "divided by at most k"),
    Mutant("lab17.q5", "any", _measures(recall="float(any(d in wanted for d in first))"), "asks if there is one"),
    Mutant("lab17.q5", "judged", _measures(wanted="list(gains)"), "is not relevant"),
    Mutant("lab17.q5", "the best only", _measures(wanted="[d for d in gains if gains[d] == max(gains.values())]"), "not only the best"),
    Mutant("lab17.q5", "rr of the whole ranking", _measures(places="[r for r, d in enumerate(ranking, 1) if d in wanted]"), "rr: only the first k"),
    Mutant("lab17.q5", "rank from 2", _measures(rr="1 / (places[0] + 1) if places else 0.0"), "here at 2"),
    Mutant("lab17.q5", "rank", _measures(rr="places[0] if places else 0.0"), "one over the rank"),
    Mutant("lab17.q5", "last relevant", _measures(rr="1 / places[-1] if places else 0.0"), "the *first* relevant"),
    Mutant("lab17.q5", "mean of all", _measures(rr="sum(1 / p for p in places) / len(places) if places else 0.0"), "not a mean over all"),
    Mutant("lab17.q5", "sum of all", _measures(rr="sum(1 / p for p in places)"), "not a sum over all"),
    Mutant("lab17.q5", "exponential", _measures(gain="2 ** gains.get(d, 0) - 1"), "another convention"),
    Mutant("lab17.q5", "binary", _measures(gain="float(d in wanted)"), "not only whether there is one"),
    Mutant("lab17.q5", "log2(rank)", _measures(discount="math.log2(max(2, rank))"), "no discount at all"),
    Mutant("lab17.q5", "log2(rank), divided by 0", _measures(discount="math.log2(rank)"), "is 0 at the first place"),
    Mutant("lab17.q5", "log2(rank + 2)", _measures(discount="math.log2(rank + 2)"), "the first place is divided by 1"),
    Mutant("lab17.q5", "rank as discount", _measures(discount="rank"), "not the rank"),
    Mutant("lab17.q5", "no discount", _measures(discount="1"), "where is the discount"),
    Mutant("lab17.q5", "no ideal", _measures(ndcg="dcg(first)"), "the best order there could be"),
    Mutant("lab17.q5", "ideal of those found", _measures(best="sorted(first, key=lambda d: -gains.get(d, 0))", ndcg="dcg(first) / (dcg(best) or 1)"), "is forgiven"),
    Mutant("lab17.q5", "ideal of the ranking", _measures(best="sorted(ranking, key=lambda d: -gains.get(d, 0))[:k]", ndcg="dcg(first) / (dcg(best) or 1)"), "also of those that were not found"),
    Mutant("lab17.q5", "ideal not cut", _measures(best="sorted(gains, key=lambda d: -gains[d])"), "the best order has k places"),
    Mutant("lab17.q5", "ideal the wrong way", _measures(best="sorted(gains, key=lambda d: -gains[d])[:k][::-1]"), "the largest gain comes first"),
    Mutant("lab17.q6", "threshold ignored", _sources(near="list(passages)"), "is least used"),
    Mutant("lab17.q6", "never refuses", _sources(none="pass"), "so that nobody is asked"),
    Mutant("lab17.q6", "the first all the same", _sources(none="near = near or passages[:1]"), "the first passage is taken all the same"),
    Mutant("lab17.q6", "first decides", _sources(near="list(passages) if cosines and cosines[0] >= least else []"), "here the first one decides"),
    Mutant("lab17.q6", "any", _sources(near="list(passages) if max(cosines, default=0) >= least else []"), "lets all others in"),
    Mutant("lab17.q6", "above", _sources(near="[p for p, c in zip(passages, cosines) if c > least]"), "exactly `least` is enough"),
    Mutant("lab17.q6", "the wrong way round", _sources(near="[p for p, c in zip(passages, cosines) if c <= least]"), "a large cosine is near"),
    Mutant("lab17.q6", "by cosine", _sources(near="[p for c, _, p in sorted(((-c, i, p) for i, (p, c) in enumerate(zip(passages, cosines)))) if -c >= least]"), "sorted by cosine"),
    Mutant("lab17.q6", "cut before", _sources(near="[p for p, c in zip(passages[:most], cosines) if c >= least]"), "here the cut came first"),
    Mutant("lab17.q6", "no limit", _sources(cut="near"), "is most used"),
    Mutant("lab17.q6", "from 0", _sources(start="0"), "numbered from 1"),
    Mutant("lab17.q6", "old numbers", _sources(line="f'[{passages.index(near[number - 1]) + 1}] {title}: {text}'"), "places in the ranking"),
    Mutant("lab17.q6", "brackets", _sources(title="title", text="' '.join(text.split())"), "it can pretend to be a source"),
    Mutant("lab17.q6", "title as it is", _sources(title="title"), "titles may hold"),
    Mutant("lab17.q6", "text as it is", _sources(text="' '.join(text.split())"), "the text may hold"),
    Mutant("lab17.q6", "brackets gone", _sources(title="re.sub(r'[\\[\\]]', '', title)", text="re.sub(r'[\\[\\]]', '', ' '.join(text.split()))"), "they are not left out"),
    Mutant("lab17.q6", "line breaks", _sources(text="text.replace('[', '(').replace(']', ')')"), "pretend to be two"),
    Mutant("lab17.q6", "no title", _sources(line="f'[{number}] {text}'"), "begins with its title"),
    Mutant("lab17.q6", "round numbers", _sources(line="f'({number}) {title}: {text}'"), "stands in square brackets"),
    Mutant("lab17.q6", "question first", _sources(whole="[f'Question: {question}'] + lines + ['Answer:']"), "the question comes last"),
    Mutant("lab17.q6", "no answer", _sources(whole="lines + [f'Question: {question}']"), "the last line is Answer:"),
    Mutant("lab17.q6", "invented accepted", _sources(real="True"), "a number without a source is accepted"),
    Mutant("lab17.q6", "0 exists", _sources(real="0 <= x <= n"), "there is no source 0"),
    Mutant("lab17.q6", "from 0 to n - 1", _sources(real="0 <= x < n"), "from 1 to n, not from 0"),
    Mutant("lab17.q6", "below n", _sources(real="1 <= x < n"), "source n exists"),
    Mutant("lab17.q6", "single ones", _sources(pattern=r"\[(\d+)\]"), "several numbers, [1, 3]"),
    Mutant("lab17.q6", "first of a list", _sources(numbers="[int(group.split(',')[0]) for group in groups]"), "not the first alone"),
    Mutant("lab17.q6", "digits", _sources(numbers="[int(x) for group in groups for x in re.findall(r'\\d', group)]"), "[12] is source 12"),
    Mutant("lab17.q6", "any brackets", _sources(pattern=r"\[([^\]]*)\]", numbers="[int(x) for group in groups for x in re.findall(r'\\d+', group)]"), "cite nothing"),
    Mutant("lab17.q6", "any brackets, int", _sources(pattern=r"\[([^\]]*)\]"), "look for whole numbers"),
    Mutant("lab17.q6", "any number", _sources(pattern=r"(\d+)"), "numbers without brackets"),
    Mutant("lab17.q6", "round brackets", _sources(pattern=r"[\[(]\s*(\d+(?:\s*,\s*\d+)*)\s*[\])]"), "round brackets cite nothing"),
    Mutant("lab17.q6", "repeated", _sources(cited="good"), "each source once"),
    Mutant("lab17.q6", "sorted", _sources(cited="sorted(set(good))"), "the order of their first"),
    Mutant("lab17.q6", "invented once", _sources(invented="len(set(numbers) - set(good))"), "as often as they stand"),
    Mutant("lab17.q6", "all dropped", _sources(cited="list(dict.fromkeys(good)) if len(good) == len(numbers) else []"), "does not make the others wrong"),
    Mutant("lab17.q7", "the message is given", _test(message="output == {'error': 'bad call'}"), "refuses a right answer"),
    Mutant("lab17.q7", "Python is read", _test(read="eval"), "refuses a right answer"),
    Mutant("lab17.q7", "errors not looked at", _test(message="True"), "your test accepts"),
    Mutant("lab17.q7", "Python never tried", _test(bad="""['{"query": "a"}', '{"query": "a", "k": "2"}', '{"query": "a", "k": true}']"""), "as Python"),
    Mutant("lab17.q7", "one call only", _test(odd="""['<tool>{"name": "shell", "arguments": {}}</tool>', "Five.", good]"""), "takes the last call"),
    Mutant("lab17.q7", "all names alike", _test(right="isinstance(name, str) and isinstance(arguments, dict)"), "refuses a right answer"),
    Mutant("lab17.q7", "none is fine", _test(message="output is None or isinstance(message, str) and message != ''"), "keeps silent about a bad call"),
    Mutant("lab17.q7", "a long text", _test(odd="['a' * 400]"), "at most 300 characters"),
    Mutant("lab17.q8", "another cause", 'diagnosis = {"cause": "H", "evidence": ["a", "d"]}', "not what went wrong"),
    Mutant("lab17.q8", "untrue evidence", 'diagnosis = {"cause": "I", "evidence": ["a", "f"]}', "is not true of your run"),
    Mutant("lab17.q8", "evidence for two causes", 'diagnosis = {"cause": "I", "evidence": ["a", "o"]}', "seen under another cause"),
    Mutant("lab17.q8", "a letter", 'diagnosis = "I"', "write it as"),
]  # fmt: skip

# The challenge: cosine + 0.01 x BM25's score with k1 = 1 and b = 0.3, chosen on the questions of the measurements (0.635
# there), has 0.656 on those of the challenge; the dense search alone has 0.613, the fusion of the cell 0.591. So a tuned
# weight beats ranks here. Stemming and stop words raise BM25 alone from 0.52 to 0.57 and the sum hardly.
RUBRICS = {
    "lab17.t1": "3: the dense search leads at the first place and all are alike among the first ten; says that the fusion is not above the better of the two here, and weighs the difference against its interval, question by question; "
    "says that both depend on shared words, BM25 more, and that questions written from the passage flatter it; names one reason for better (another passage may answer as well) or worse (511 passages, questions of one kind, articles that were chosen). "
    "2: two or three of these. 1: describes the curves without intervals. 0: no plot read.",
}
