"""Prompts with no, one or a few examples, as plain text or as a chat. Lectures 10 and 16."""

from collections.abc import Sequence

STEP_BY_STEP = "Let's think step by step."  # Kojima et al. (2022)


def few_shot_prompt(
    question: str,
    examples: Sequence[tuple[str, str]] = (),
    *,
    system: str | None = None,
    chat: bool = False,
    cue: str = "",
    labels: tuple[str, str] = ("Q:", "A:"),
    separator: str = "\n\n",
) -> str | list[dict[str, str]]:
    """A question after solved examples: none is zero-shot, one one-shot, several few-shot (Brown et al., 2020).

        few_shot_prompt("3 + 4?", [("1 + 1?", "1 and 1 are 2. The answer is 2.")])
        "Q: 1 + 1?\\nA: 1 and 1 are 2. The answer is 2.\\n\\nQ: 3 + 4?\\nA:"

    Examples whose answers show their steps make it a chain-of-thought prompt (Wei et al., 2022). With chat=True it is a
    list of messages for `render_chat` and `encode_chat`, an example a turn of the user and one of the assistant; else
    one text that ends where the answer begins, without a space, which tokenizers put before a word. system: said first.
    cue: how the answer shall begin, such as STEP_BY_STEP; in a chat, where the answer is the model's alone, it is put
    under the question. ValueError for a question that is among its own examples: that is an answer, not a test.
    """
    asked = _same(question)
    if not asked:
        raise ValueError("question is empty: there is nothing to answer")
    if any(_same(example) == asked for example, _ in examples):
        raise ValueError(f"examples hold the question itself, {question[:40]!r}: its answer would stand in the prompt")
    if chat:
        messages = [] if system is None else [{"role": "system", "content": system}]
        for example, answer in examples:
            messages += [{"role": "user", "content": example}, {"role": "assistant", "content": answer}]
        return [*messages, {"role": "user", "content": f"{question}\n{cue}" if cue else question}]
    ask, reply = labels
    shown = [f"{ask} {example}\n{reply} {answer}" for example, answer in examples]
    last = f"{ask} {question}\n{reply}" + (f" {cue}" if cue else "")
    return separator.join([*([] if system is None else [system]), *shown, last])


def _same(question: str) -> str:
    """The question as it is compared: without case and white space."""
    return "".join(question.casefold().split())
