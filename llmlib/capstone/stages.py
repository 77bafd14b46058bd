"""What each stage does: raw transcripts, filter, tokenizer, base, demonstrations, reward, policy, four bits, cases.

Each reads what the stages before it left in the folder and writes its own files there; what it writes on the way goes
into a folder of its own, from which it goes on.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
from safetensors.torch import save_file

from llmlib.adapt import quantize_model
from llmlib.align import (
    Example,
    GRPOConfig,
    RewardModel,
    chat_prompt,
    end_of_turn,
    pack_examples,
    pad_examples,
    pair_accuracy,
    ranking_batches,
    ranking_loss,
    reply_example,
    train_grpo,
)
from llmlib.data import prose
from llmlib.data.cleaning import flaws_of, split_documents
from llmlib.files import write_file
from llmlib.hub.packaged import save_packaged
from llmlib.model import ModelConfig, Transformer
from llmlib.text import BPETokenizer
from llmlib.train import TrainConfig, load_checkpoint, save_checkpoint

from .report import report
from .workshop import BATCH, CONTEXT, ROW, SPECIAL, Workshop, read_lines, write_lines, write_replies

COMPARED = ("demonstrated", "compared")
AGENTS = (None, None, "mistaken")  # the styles of the agents' replies in a ranking; None: as they come
SAMPLED = 3  # of the model's own replies in a ranking
RL_CHUNK = 10  # GRPO begins its optimizer anew after so many updates, so that what lies between can be repeated exactly


def corpus(w: Workshop) -> dict[str, Any]:
    """Draw transcripts; leave out copies, what is too long for a row, and whatever a held-out request stands in.

    With prose, its documents are filtered and split, too (lecture 07).
    """
    s, drawn = w.settings, w.desk.transcripts(w.settings.transcripts, w.draws("transcripts"))
    held = {request.text for part in ("choose", "report") for each in w.held_out(part).values() for request in each}
    seen: set[str] = set()
    kept, copies, leaked, long = [], 0, 0, 0
    for text in drawn:
        if text in seen:
            copies += 1
        elif any(line in held for line in text.split("\n")):
            leaked += 1
        elif len(text) > 6 * ROW:
            long += 1
        else:
            seen.add(text)
            kept.append(text)
    fresh = w.desk.transcripts(s.held_out, random.Random(f"capstone unread {s.world}"))
    write_lines(w.folder / "corpus.jsonl", kept)
    write_lines(w.folder / "corpus_held_out.jsonl", [text for text in fresh if text not in seen])
    figures = dict(
        drawn=len(drawn), copies=copies, leaked=leaked, too_long=long, kept=len(kept), characters=sum(map(len, kept))
    )
    return figures | _read_prose(w) if s.prose else figures


def _read_prose(w: Workshop) -> dict[str, Any]:
    documents = prose()
    flawed = flaws_of(documents, trusted=("tales", "novels"))
    whole = [document for i, document in enumerate(documents) if i not in flawed]
    parts = split_documents(whole, {"train": 0.98, "report": 0.02})
    for name, part in parts.items():
        write_lines(w.folder / f"prose_{name}.jsonl", [document.text for document in part])
    return dict(
        prose_documents=len(documents), prose_kept=len(parts["train"]),
        prose_characters=sum(len(document.text) for document in parts["train"]),
    )  # fmt: skip


def tokenizer(w: Workshop) -> dict[str, Any]:
    """Byte-pair encoding learned on the corpus."""
    texts = read_lines(w.folder / "corpus.jsonl")[:3000] + w.prose("train")[:3000]
    made = BPETokenizer.train(texts, w.settings.vocab_size, special_tokens=list(SPECIAL))
    made.save(w.folder / "vocabulary.bpe")
    sample = read_lines(w.folder / "corpus_held_out.jsonl")[:200]
    ids = [made.encode(text) for text in sample]
    return dict(
        vocabulary=made.vocab_size,
        bytes_per_token=round(sum(len(t.encode()) for t in sample) / sum(map(len, ids)), 3),
        round_trips=sum(made.decode(row) == text for row, text in zip(ids, sample)) / len(sample),
    )


def pretrain(w: Workshop) -> dict[str, Any]:
    """A base model, of the corpus and nothing else: of transcripts, and of prose where the settings ask for it."""
    s, made = w.settings, w.tokenizer
    start = made.special_tokens[SPECIAL[0]]
    documents = [[start, *made.encode(text)] for text in read_lines(w.folder / "corpus.jsonl")]
    whole = [ids for ids in documents if len(ids) <= ROW]
    for ids in ([start, *made.encode(text)] for text in w.prose("train")):
        whole += [ids[i : i + ROW] for i in range(0, len(ids), ROW)]
    rows = pack_examples([Example(ids, [True] * len(ids)) for ids in whole], ROW)

    def batch(number: int) -> dict:
        draw = torch.Generator().manual_seed(1_000_003 * s.seed + number)
        chosen = torch.randint(len(rows["ids"]), (s.pretrain_rows,), generator=draw)
        return {name: tensor[chosen] for name, tensor in rows.items()}

    torch.manual_seed(s.seed)
    config = ModelConfig(
        s.vocab_size, s.layers, s.width, s.width // 16, d_ff=s.width * 5 // 2, max_seq_len=CONTEXT,
        init_std=0.02 * (768 / s.width) ** 0.5,
    )  # fmt: skip
    model = Transformer(config)
    recipe = TrainConfig(
        steps=s.pretrain_updates, batch_size=s.pretrain_rows, seq_len=ROW, optimizer="muon", lr=0.02, embedding_lr=0.02,
        vector_lr=0.005, betas=(0.8, 0.95), schedule="wsd", warmup_steps=min(20, s.pretrain_updates),
        decay_fraction=0.5, final_lr=0.0, seed=s.seed, progress=False,
    )  # fmt: skip
    losses = w.train(model, recipe, batch)
    save_packaged(model, w.folder / "base.safetensors", torch.float32)
    read = s.pretrain_updates * s.pretrain_rows
    return dict(
        parameters=model.num_parameters(), rows=len(rows["ids"]), epochs=round(read / len(rows["ids"]), 2),
        loss=round(sum(losses[-20:]) / len(losses[-20:]), 3), flops=read * ROW * model.flops_per_token(ROW),
    )  # fmt: skip


def sft(w: Workshop) -> dict[str, Any]:
    """Supervised fine-tuning on demonstrations."""
    s, made, model = w.settings, w.tokenizer, w.model("base")
    shown = w.desk.demonstrations(s.demonstrations, w.draws("demonstrations"), 0.2)
    write_lines(w.folder / "demonstrations.jsonl", [[request.text, reply] for request, reply in shown])
    examples = [reply_example(made, request.text, reply) for request, reply in shown]
    draw = torch.Generator().manual_seed(s.seed)
    orders = [torch.randperm(len(examples), generator=draw) for _ in range(s.sft_epochs)]
    batches = [pad_examples([examples[i] for i in part.tolist()]) for order in orders for part in order.split(BATCH)]
    losses = w.train(model, _adaptation(len(batches), 1.5e-3), batches)
    save_packaged(model, w.folder / "sft.safetensors", torch.float32)
    return dict(demonstrations=len(shown), updates=len(batches), loss=round(sum(losses[-10:]) / len(losses[-10:]), 3))


def reward(w: Workshop) -> dict[str, Any]:
    """A reward model, of rankings by five annotators who disagree."""
    s, made, model = w.settings, w.tokenizer, w.model("sft")
    end = end_of_turn(made)
    rankings = _ranked(w, model, s.rankings, "rankings")
    torch.manual_seed(s.seed)
    judge = RewardModel(model)
    batches = ranking_batches(rankings, end, 32, 2, s.seed)
    recipe = TrainConfig(
        steps=len(batches), optimizer="muon", lr=0.02, embedding_lr=0.01, head_lr=0.01, vector_lr=0.02 / 7,
        betas=(0.8, 0.95), weight_decay=0.0, warmup_steps=min(10, len(batches)), final_lr=0.05, progress=False,
    )  # fmt: skip
    w.train(judge, recipe, batches, ranking_loss)
    judge.normalise(_scores(judge, rankings[:300], end).flatten())
    save_packaged(judge, w.folder / "reward.safetensors", torch.float32)
    held = _ranked(w, model, max(60, s.rankings // 12), "held-out rankings")
    return dict(
        rankings=len(rankings),
        updates=len(batches),
        accuracy=round(float(pair_accuracy(_scores(judge, held, end)).mean()), 4),
    )


def align(w: Workshop) -> dict[str, Any]:
    """GRPO against the reward model, near the fine-tuned model."""
    s, made = w.settings, w.tokenizer
    reference, judge, end = w.model("sft"), w.reward(), end_of_turn(made)
    prompts = [chat_prompt(made, r.text) for r in w.desk.requests(3000, w.draws("policy"), COMPARED)]
    path, history = w.partial / "policy", []
    policy, done = copy.deepcopy(reference), 0
    if checkpoint := w.resumed(path, lambda kept: load_checkpoint(kept, policy)):
        done, history = checkpoint.step, list(checkpoint.state)

    def score(prompts_: list[list[int]], replies: list[list[int]]) -> torch.Tensor:
        return judge.score(prompts_, replies, end)

    while done < s.align_updates:
        updates = min(RL_CHUNK, s.align_updates - done)
        config = GRPOConfig(updates=updates, lr=3e-4, kl_coef=s.kl_coef, seed=1000 * s.seed + done)
        with w.bar(updates) as bar:
            drawn = lambda _, metrics, bar=bar: bar(metrics["update"], f"reward {metrics['reward']:.2f}")
            history += train_grpo(policy, score, prompts, config, end=end, reference=reference, callbacks=[drawn])
        done += updates
        save_checkpoint(path, policy, step=done, state=history)
        w.tell(f"update {done} of {s.align_updates}: reward {history[-1]['reward']:.2f}, KL {history[-1]['kl']:.2f}")
    save_packaged(policy, w.folder / "policy.safetensors", torch.float32)
    return dict(
        updates=s.align_updates, reward_first=round(history[0]["reward"], 3),
        reward_last=round(history[-1]["reward"], 3),
        kl=round(history[-1]["kl"], 3),
    )  # fmt: skip


def quantize(w: Workshop) -> dict[str, Any]:
    """The policy's linear layers in few bits, as a file of its own."""
    s, model = w.settings, w.model("policy").cpu()
    report = quantize_model(model, "rtn", bits=s.bits, group_size=s.group_size)
    path = w.folder / "policy_small.safetensors"
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, path, metadata={"config": json.dumps(model.config.to_dict())})
    return dict(
        bits=s.bits, bits_per_weight=round(report.bits_per_weight, 2), layer_bytes_before=report.nbytes_before,
        layer_bytes=report.nbytes, file_bytes=path.stat().st_size,
    )  # fmt: skip


def cases(w: Workshop) -> dict[str, Any]:
    """Solved cases to look up: the corpus' replies that the reward model likes best, with what they answered."""
    made, judge, found = w.tokenizer, w.reward(), []
    for text in read_lines(w.folder / "corpus.jsonl"):
        lines = text.split("\n")
        found += [(lines[i + 1], lines[i + 3]) for i in range(0, len(lines) - 3) if lines[i] == "Customer:"][:1]
    found = w.draws("cases").sample(found, min(len(found), 2000))
    prompts, replies = [chat_prompt(made, ask) for ask, _ in found], [made.encode(reply) for _, reply in found]
    fits = [i for i in range(len(found)) if len(prompts[i]) + len(replies[i]) < CONTEXT]
    scores = judge.score([prompts[i] for i in fits], [replies[i] for i in fits], end_of_turn(made))
    best = scores.topk(max(1, len(fits) // 4)).indices.tolist()
    write_lines(w.folder / "cases.jsonl", [found[fits[i]] for i in sorted(best)])
    return dict(
        looked_at=len(fits),
        kept=len(best),
        score_kept=round(float(scores[best].mean()), 3),
        score=round(float(scores.mean()), 3),
    )


def _ranked(w: Workshop, model: Transformer, n: int, purpose: str) -> list[tuple[list[int], list[list[int]]]]:
    """n prompts, each with six replies, best first as an annotator has them; kept when made."""
    kept = w.partial / f"{purpose}.json"
    if kept.exists():
        return [(prompt, replies) for prompt, replies in json.loads(kept.read_text(encoding="utf-8"))]
    made, desk, rng = w.tokenizer, w.desk, w.draws(purpose)
    requests = desk.requests(n, rng, COMPARED)
    annotators = desk.annotators(5, rng)
    prompts = [chat_prompt(made, request.text) for request in requests]
    asked = [prompt for prompt in prompts for _ in range(SAMPLED)]
    with w.bar(len(asked)) as bar:
        sampled = write_replies(model, asked, end_of_turn(made), w.settings.seed, done=bar)
    rankings = []
    for i, (request, prompt) in enumerate(zip(requests, prompts)):
        agents = [made.encode(desk.reply(request, rng, style)) for style in AGENTS]
        replies = sampled[SAMPLED * i : SAMPLED * (i + 1)] + agents
        order = desk.rank(request, [made.decode(reply) for reply in replies], rng, rng.choice(annotators), 0.3)
        rankings.append((prompt, [replies[place] for place in order]))
    write_file(kept, json.dumps(rankings))
    return rankings


def _scores(judge: RewardModel, rankings: Sequence[tuple[list[int], list[list[int]]]], end: int) -> torch.Tensor:
    prompts = [prompt for prompt, replies in rankings for _ in replies]
    return judge.score(prompts, [reply for _, replies in rankings for reply in replies], end).view(len(rankings), -1)


def _adaptation(steps: int, lr: float) -> TrainConfig:
    warmup = min(10, steps - 1)
    return TrainConfig(steps=steps, lr=lr, weight_decay=0.0, warmup_steps=warmup, final_lr=0.05, progress=False)


STAGES: dict[str, Callable[[Workshop], dict[str, Any]]] = {
    "corpus": corpus, "tokenizer": tokenizer, "pretrain": pretrain, "sft": sft, "reward": reward, "align": align,
    "quantize": quantize, "cases": cases, "report": report,
}  # fmt: skip
