"""Lab 17's own oracles agree with the library, which the lab keeps away from its students."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from courseware.classroom.cases import Draw, lab17
from llmlib.data import fetch, recorded
from llmlib.hub.minilm import mean_pool
from llmlib.retrieval import (
    BM25,
    Tool,
    ToolError,
    VectorIndex,
    ndcg,
    parse_call,
    rag_prompt,
    recall_at_k,
    reciprocal_rank,
    reciprocal_rank_fusion,
)
from llmlib.retrieval.corpora import Passage

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "inputs", [lab17.small_library, lab17.asked_twice, lab17.common_words_only, lab17.words_nowhere]
)
def test_bm25_is_the_librarys(inputs, seed):
    documents, query, k1, b = inputs(Draw(seed))
    library = BM25([" ".join(document) for document in documents], k1=k1, b=b)
    np.testing.assert_allclose(lab17.bm25(documents, query, k1, b), library.scores(" ".join(query)))


@pytest.mark.parametrize("seed", SEEDS)
def test_pooling_and_the_nearest_are_the_librarys(seed):
    hidden, mask = lab17.token_vectors(Draw(seed))
    torch.testing.assert_close(lab17.pool(hidden, mask).float(), mean_pool(hidden, mask))
    for inputs in (lab17.vectors_and_a_question, lab17.fewer_than_asked_for, lab17.many_alike):
        vectors, query, k = inputs(Draw(seed))
        found = VectorIndex(vectors.numpy()).search(query.numpy(), k)
        assert lab17.nearest(vectors, query, k) == found.indices[0].tolist()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab17.two_searches, lab17.three_searches, lab17.equal_scores, lab17.few_documents])
def test_fusion_is_the_librarys(inputs, seed):
    searches, n, k = inputs(Draw(seed))
    rankings = [sorted(scores, key=lambda d: (-scores[d], d)) for scores in searches]
    fused = reciprocal_rank_fusion(rankings, k)  # which settles ties by who was met first
    assert lab17.fuse(searches, n, k) == [f.document for f in sorted(fused, key=lambda f: (-f.score, f.document))][:n]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab17.a_ranking, lab17.many_relevant, lab17.relevant_too_late, lab17.few_found])
def test_measures_are_the_librarys(inputs, seed):
    ranking, gains, k = inputs(Draw(seed))
    wanted = {d for d, gain in gains.items() if gain > 0}
    found = lab17.measures(ranking, gains, k)
    assert found["recall"] == pytest.approx(recall_at_k(ranking, wanted, k))
    assert found["rr"] == pytest.approx(reciprocal_rank(ranking[:k], wanted))
    worth = [gains.get(d, 0) for d in ranking]
    assert found["ndcg"] == pytest.approx(ndcg(worth, k, ideal=list(gains.values())))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab17.a_text, lab17.that_fills_its_pieces, lab17.a_short_text, lab17.no_overlap])
def test_pieces_hold_every_word_and_overlap_by_so_many(inputs, seed):
    words, size, overlap = inputs(Draw(seed))  # the words are numbered: all different
    cut = lab17.pieces(words, size, overlap)
    assert cut[0] + [word for piece in cut[1:] for word in piece[overlap:]] == words
    assert all(len(piece) == size for piece in cut[:-1]) and len(cut[-1]) <= size
    assert all(a[size - overlap :] == b[:overlap] and len(b) > overlap for a, b in zip(cut, cut[1:]))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab17.some_passages, lab17.passages_like_sources])
def test_sources_are_written_as_the_library_writes_them(inputs, seed):
    question, passages, cosines, least, most = inputs(Draw(seed))
    near = [Passage("", *p) for p, cosine in zip(passages, cosines) if cosine >= least][:most]
    library = [line for line in rag_prompt(question, near).splitlines() if line]
    assert lab17.prompt(question, passages, cosines, least, most) == library[-len(near) - 2 :]


def test_the_right_parsers_agree_with_the_librarys():
    kinds = {str: "string", int: "integer"}
    tools = [
        Tool(name, "", {a: kinds[kind] for a, kind in arguments.items()}, lambda **_: None)
        for name, arguments in lab17.TOOLS.items()
    ]
    path = Path(__file__).parents[2] / "solutions" / "lab17_retrieval_with_sources.py"
    space: dict = {}
    source = path.read_text(encoding="utf-8")
    exec(source[source.index("def examples") : source.index("def holds")], space)
    for (text,) in space["examples"]():
        try:
            expected = parse_call(text, tools)
        except ToolError as error:
            expected = {"error": str(error)}
        for parser in (lab17.parses, lab17.parses_briefly, lab17.parses_with_the_form, lab17.parses_with_a_pattern):
            found = parser(text)
            assert found == expected or (expected is not None and "error" in expected and found["error"]), text


def test_the_recorded_vectors_belong_to_passages_and_questions():
    made = recorded("lab17_vectors")["results"]
    rows = [json.loads(line) for line in fetch("boolq").read_text(encoding="utf-8").splitlines()]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(made["vectors"]), dtype=np.uint8))
    codes = (bits.reshape(-1, 384, 5) @ [16, 8, 4, 2, 1] - 16).astype(np.float32)
    vectors = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    asked = made["questions"] + made["challenge"]
    assert len(vectors) == len(made["passages"]) + len(asked)
    texts = [rows[place]["passage"] for place in made["passages"]]
    assert len(set(texts)) == len(texts)
    assert all(rows[place]["passage"] == texts[passage] for place, passage in asked)
    assert len({passage for _, passage in asked}) == len(asked)  # no passage is asked about in both halves
    near = vectors[len(texts) :] @ vectors[: len(texts)].T
    own = [near[i, passage] for i, (_, passage) in enumerate(asked)]
    assert np.mean(own) > 3 * near.mean()
