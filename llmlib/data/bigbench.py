"""One task of BIG-bench, the stand-in for BIG-Bench Hard (Suzgun et al., 2022), which is not at hand. Lecture 18."""

import re

from .question_sets import ChoiceQuestion, _item_id, _rows

OPTION = re.compile(r"(?:^|\n)[A-C]\. ")

TASK = "In the following sentence, explain the antecedent of the pronoun, or state that it is ambiguous."


def disambiguation_questions() -> list[ChoiceQuestion]:
    """DisambiguationQA: whom does a pronoun mean? Three options, the last "Ambiguous", in the file's order.

    Fetches the asset "bigbench-disambiguation". One of the 23 tasks of BIG-Bench Hard; rows that are repeated, or whose
    answer is not among the options, are left out. The question is the task's instruction, the context the sentence.
    """
    found: dict[str, ChoiceQuestion] = {}
    for row in _rows("bigbench-disambiguation"):
        options = tuple(option.strip() for option in OPTION.split(row["options"])[1:])
        right = row["answer"].partition(". ")[2].strip()
        if len(set(options)) == 3 and right in options:
            item_id = _item_id("disambiguation", row["question"], *options)
            item = ChoiceQuestion(item_id, TASK, options, options.index(right), row["question"].strip())
            found.setdefault(item_id, item)
    return list(found.values())
