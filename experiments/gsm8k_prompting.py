"""Record how SmolLM2 does on GSM8K with and without steps, for lecture 16: `python experiments/gsm8k_prompting.py`.

No, one and four solved examples; answers at once ("The answer is" is put into the model's mouth) and after steps
("Let's think step by step." is, or the examples show theirs). Greedy, 40 problems that no prompt was tried on; the
examples are the shortest ones of the split that is kept for examples. Some four minutes of one core.
"""

import argparse
import time

import torch

from llmlib.data import Experiment, OpenQuestion, open_questions
from llmlib.hub import load_smollm2
from llmlib.infer import STEP_BY_STEP, extract_answer, few_shot_prompt, generate
from llmlib.model import KVCache, Transformer
from llmlib.text import BPETokenizer, encode_chat

SHOTS, WAYS = (0, 1, 4), ("at once", "steps")
LONGEST = {"at once": 10, "steps": 120}
BEGINNING = {"at once": "The answer is", "steps": STEP_BY_STEP}
ASKED = 40  # of the 40 problems that no prompt was tried on, the first of the file
CONCLUSION = "\nTherefore, the answer is"  # Kojima et al.'s second question, to a reply that was cut off
KEPT = 3  # replies that are recorded whole


def shown(question: OpenQuestion, way: str) -> tuple[str, str]:
    """A solved example: the question and a reply of that kind."""
    *steps, _ = question.worked.split("\n")  # the last line repeats the answer
    answer = f"The answer is {question.answers[0]}."
    return question.question, " ".join([BEGINNING[way], *steps, answer]) if way == "steps" else answer


def prompts(tokenizer: BPETokenizer, questions: list[OpenQuestion], shots: int, way: str) -> list[list[int]]:
    """Each question as a chat after the examples, with the beginning of the reply."""
    held = sorted(open_questions("gsm8k", "shots"), key=lambda q: (len(q.question) + len(q.worked), q.id))
    examples = [shown(question, way) for question in held[:shots]]
    began = tokenizer.encode(BEGINNING[way])
    chats = [few_shot_prompt(question.question, examples, chat=True) for question in questions]
    return [encode_chat(tokenizer, chat) + began for chat in chats]


def common(rows: list[list[int]]) -> int:
    """With how many tokens all rows begin."""
    return next(i for i, column in enumerate(zip(*rows)) if len(set(column)) > 1)


def replies(model: Transformer, tokenizer: BPETokenizer, rows: list[list[int]], way: str) -> tuple[list[str], list]:
    """A greedy reply to each, and its tokens. What all prompts share is read once; a reply that is cut off is asked
    for its conclusion."""
    shared = common(rows)
    end = tokenizer.special_tokens["<|im_end|>"]
    settings = dict(stop_tokens=[end], greedy=True, return_logprobs=True)
    with torch.no_grad():
        cache = KVCache(model.config, batch_size=1)
        model.hidden(torch.tensor([rows[0][:shared]]), cache=cache)
        cache.select([0] * len(rows))
        rest = [row[shared:] for row in rows]
        written = generate(model, rest, cache=cache, max_new_tokens=LONGEST[way], **settings)
        texts = [tokenizer.decode(one.answer) for one in written]
        tokens = [one.tokens for one in written]
        cut = [i for i, one in enumerate(written) if one.finish == "length"] if way == "steps" else []
        if cut:
            cache.select(cut)
            asked = tokenizer.encode(CONCLUSION)
            unread = [[tokens[i][-1], *asked] for i in cut]
            more = generate(model, unread, cache=cache, max_new_tokens=LONGEST["at once"], **settings)
            for i, one in zip(cut, more):
                texts[i] += CONCLUSION + tokenizer.decode(one.answer)
                tokens[i] = tokens[i] + one.tokens
    return [BEGINNING[way] + text for text in texts], [len(each) for each in tokens] + [len(cut)]


def score(shots: int, way: str) -> dict:
    """Which of the problems come out right, what the replies cost, and the first of them."""
    began = time.process_time()
    model, tokenizer = load_smollm2("cpu", fallback=False)
    questions = open_questions("gsm8k", "report")[:ASKED]
    rows = prompts(tokenizer, questions, shots, way)
    texts, (*tokens, cut) = replies(model, tokenizer, rows, way)
    found = [extract_answer(text, prompt=q.question) for text, q in zip(texts, questions)]
    said = dict(
        shots=shots, way=way, ids=[q.id for q in questions],
        right=[int(answer == q.answers[0]) for answer, q in zip(found, questions)],
        none=sum(answer is None for answer in found), tokens=tokens, cut=cut,
        prompt=round(sum(map(len, rows)) / len(rows), 1),
        replies=[dict(id=q.id, text=text, found=a) for q, text, a in list(zip(questions, texts, found))[:KEPT]],
        seconds=round(time.process_time() - began),
    )  # fmt: skip
    print(shots, way, sum(said["right"]), len(texts), cut, said["seconds"], flush=True)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = ["llmlib.data.question_sets", "llmlib.infer.answers", "llmlib.infer.prompting", "llmlib.text.chat"]
    experiment = Experiment("gsm8k_prompting", script=__file__, modules=modules)
    kinds = [(shots, way) for way in WAYS for shots in SHOTS]
    experiment.save([experiment.once(f"{shots} shots, {way}", score, shots, way) for shots, way in kinds])


if __name__ == "__main__":
    main()
