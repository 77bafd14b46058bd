"""One task of BIG-bench, the stand-in for BIG-Bench Hard (Suzgun et al., 2022), which is not at hand. Lecture 18."""

import hashlib
import json
import re

from .fetching import fetch
from .question_sets import ChoiceQuestion

OPTION = re.compile(r"(?:^|\n)[A-C]\. ")
TASK = "In the following sentence, explain the antecedent of the pronoun, or state that it is ambiguous."


def disambiguation_questions() -> list[ChoiceQuestion]:
    """DisambiguationQA: whom does a pronoun mean? Three options, the last "Ambiguous", in the file's order.

    Fetches the asset "bigbench-disambiguation". One of the 23 tasks of BIG-Bench Hard; rows that are repeated, or whose
    answer is not among the options, are left out. The question is the task's instruction, the context the sentence.
    """
    found: dict[str, ChoiceQuestion] = {}
    for line in fetch("bigbench-disambiguation").read_text(encoding="utf-8").split("\n"):
        if not line.strip():
            continue
        row = json.loads(line)
        options = tuple(option.strip() for option in OPTION.split(row["options"])[1:])
        right = row["answer"].partition(". ")[2].strip()
        if len(set(options)) == 3 and right in options:
            name = hashlib.blake2b("\0".join([row["question"], *options]).encode(), digest_size=8).hexdigest()[:10]
            item = ChoiceQuestion(
                f"disambiguation-{name}", TASK, options, options.index(right), row["question"].strip()
            )
            found.setdefault(item.id, item)
    return list(found.values())
