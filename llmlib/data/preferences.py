"""Prompts with a preferred and a rejected answer, as direct preference optimisation takes them."""

import json
from dataclasses import dataclass

from .fetching import fetch

ROLES = {"system": "system", "human": "user", "gpt": "assistant"}


@dataclass(frozen=True)
class PreferencePair:
    """prompt: messages with "role" and "content", the last one the user's, as `llmlib.text.render_chat` takes them.
    chosen, rejected: two answers of the assistant."""

    prompt: tuple[dict[str, str], ...]
    chosen: str
    rejected: str


def preference_pairs() -> list[PreferencePair]:
    """The 300 pairs of asset "preference-pairs" (LLaMA-Factory, Zheng et al., 2024; Apache-2.0), in the file's order.

    They are long, some 1,500 characters an answer and 760 a prompt (median; up to 13,000), and 106 prompts are chats
    of several turns. The chosen answer is the longer one in 131 of 300, so that here length alone is no guide to it,
    as it is in many such sets. Five pairs come twice, word for word, so that 295 are different: keep twins on one side
    of a split. 14 pairs begin with the same 50 characters. The file does not say who preferred; the prompts look
    like those of public mixtures in which a language model was the judge. Do not call these the choices of people.
    """
    rows = json.loads(fetch("preference-pairs").read_text(encoding="utf-8"))
    return [
        PreferencePair(
            tuple({"role": ROLES[turn["from"]], "content": turn["value"]} for turn in row["conversations"]),
            row["chosen"]["value"],
            row["rejected"]["value"],
        )
        for row in rows
    ]
