import pytest

from llmlib.infer import STEP_BY_STEP, few_shot_prompt
from llmlib.text import render_chat

EXAMPLES = [("1 + 1?", "1 and 1 are 2. The answer is 2."), ("2 + 2?", "The answer is 4.")]


def test_zero_one_and_few_shots_as_text():
    assert few_shot_prompt("3 + 4?") == "Q: 3 + 4?\nA:"
    assert few_shot_prompt("3 + 4?", EXAMPLES[1:]) == "Q: 2 + 2?\nA: The answer is 4.\n\nQ: 3 + 4?\nA:"
    assert few_shot_prompt("3 + 4?", EXAMPLES, system="Add.", cue=STEP_BY_STEP) == (
        "Add.\n\nQ: 1 + 1?\nA: 1 and 1 are 2. The answer is 2.\n\nQ: 2 + 2?\nA: The answer is 4.\n\n"
        "Q: 3 + 4?\nA: Let's think step by step."
    )
    assert few_shot_prompt("x", [("y", "z")], labels=("Input:", "Output:"), separator="\n") == (
        "Input: y\nOutput: z\nInput: x\nOutput:"
    )


def test_a_chat_has_a_turn_for_each_example():
    messages = few_shot_prompt("3 + 4?", EXAMPLES[:1], system="Add.", chat=True, cue=STEP_BY_STEP)
    assert messages == [
        {"role": "system", "content": "Add."},
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "1 and 1 are 2. The answer is 2."},
        {"role": "user", "content": "3 + 4?\nLet's think step by step."},
    ]
    assert render_chat(messages).endswith("<|im_start|>assistant\n")
    assert few_shot_prompt("3 + 4?", chat=True) == [{"role": "user", "content": "3 + 4?"}]


def test_the_question_may_not_be_its_own_example():
    with pytest.raises(ValueError, match=r"examples hold the question itself, '2  \+ 2\?'"):
        few_shot_prompt("2  + 2?", EXAMPLES)
    with pytest.raises(ValueError, match="question is empty"):
        few_shot_prompt(" ")
