"""Polls: the answer folded away, letters drawn by a rule, buttons that say what is right."""

from collections import Counter

import pytest

from courseware.classroom import polls

WHY = ("Why?", ["because", "so", "for"])


def right_letter(static) -> str:
    return static.data["text/markdown"].split("<details>")[1].split("**")[1].rstrip(".")


def letter_of(static, option: str) -> str:
    lines = static.data["text/markdown"].splitlines()
    return next(line for line in lines if line.endswith(f" {option}"))[4]


def test_a_poll_shows_question_and_options_and_folds_the_answer_away(shown):
    polls.poll(*WHY, "It is $x<y$.")
    static, _ = shown
    text = static.data["text/markdown"]
    question, folded = text.split("<details>")
    assert "**Poll.** Why?" in question and question.count("- **") == 3
    assert "It is" not in question and "It is $x<y$." in folded
    assert right_letter(static) == letter_of(static, "because")
    assert "It is" not in static.data["text/plain"]
    assert static.metadata is None


def test_the_order_depends_on_the_question_and_the_draw_alone():
    options = ["a", "b", "c", "d"]
    assert polls.shuffled("Q", options) == polls.shuffled("Q", options[::-1])
    assert sorted(polls.shuffled("Q", options)) == options
    assert len({tuple(polls.shuffled("Q", options, draw)) for draw in range(20)}) > 8


def test_keys_spread_evenly_over_the_letters():
    keys = Counter(polls.shuffled(f"Question {i}?", ["right", "x", "y", "z"]).index("right") for i in range(400))
    assert set(keys) == {0, 1, 2, 3} and max(keys.values()) < 130


def test_an_explanation_may_name_options_by_their_written_place(shown):
    polls.poll(*WHY, "Since <1> is right, <2> is not, and pass@1 stays.")
    (static, _) = shown
    expected = f"Since {letter_of(static, 'because')} is right, {letter_of(static, 'so')} is not, and pass@1 stays."
    assert expected in static.data["text/markdown"]
    with pytest.raises(ValueError, match="<4> names an option that is not there"):
        polls.poll(*WHY, "Look at <4> again.")


def test_buttons_say_what_is_right_and_do_not_give_it_away(shown):
    polls.poll(*WHY, "`a<b` *is* $c<d$.")
    right = right_letter(shown[0])
    buttons, feedback = shown[-1].widget.children
    by_letter = {button.description: button for button in buttons.children}
    wrong = next(letter for letter in by_letter if letter != right)
    by_letter[wrong].click()
    assert f"Not {wrong}" in feedback.value and f"{right} is right" not in feedback.value
    by_letter[right].click()
    assert f"{right} is right" in feedback.value
    assert "<code>a&lt;b</code> <i>is</i> $c&lt;d$." in feedback.value


def test_a_poll_of_opinions_has_no_right_answer_and_keeps_its_order(shown):
    polls.poll("Which?", ["one", "two"], "Both will do.", opinion=True)
    assert "<summary>Answer" not in shown[0].data["text/markdown"]
    assert letter_of(shown[0], "one") == "A"
    buttons, feedback = shown[-1].widget.children
    buttons.children[0].click()
    assert "You chose A" in feedback.value and "Both will do." in feedback.value


@pytest.mark.parametrize("options", [["because"], ["a", "a"], list("abcdefg")])
def test_a_poll_needs_two_to_six_different_options(options):
    with pytest.raises(ValueError, match="two to six different"):
        polls.poll("Why?", options, "It is so.")


@pytest.mark.parametrize("explanation", ["B", "", 2])
def test_a_poll_needs_an_explanation_and_no_letter(explanation):
    with pytest.raises(ValueError, match="explanation="):
        polls.poll(*WHY, explanation)


# ------------------------------------------------------------------------------------------------------------ seals

CODE = """poll("Why, \\"so\\"?", ["because", "so", "for"],
     "It is $x<y$, since <2> "
     "is not.", draw=1)"""


def test_a_sealed_poll_shows_question_and_options_and_hides_the_rest():
    sealed = polls.sealed_poll(CODE)
    assert "because" in sealed and "It is" not in sealed and "since" not in sealed and "draw" not in sealed
    shown = [sealed.index(repr(option)) for option in polls.shuffled('Why, "so"?', ["because", "so", "for"], 1)]
    assert shown == sorted(shown), "the options stand in the order in which they are shown, not the right one first"
    assert max(map(len, sealed.splitlines())) <= 88


def test_a_sealed_poll_asks_what_its_author_wrote(shown):
    exec(CODE, {"poll": polls.poll})
    exec(polls.sealed_poll(CODE), {"poll": polls.poll})
    assert shown[0].data == shown[2].data


def test_unsealing_gives_back_the_authors_code_unless_it_was_edited():
    sealed = polls.sealed_poll(CODE)
    assert polls.unsealed_poll(sealed) == CODE
    assert polls.unsealed_poll("x = 1") == "x = 1" and polls.unsealed_poll(CODE) == CODE
    with pytest.raises(ValueError, match="sealed poll was edited"):
        polls.unsealed_poll(sealed.replace("because", "why not"))


@pytest.mark.parametrize(
    "code", ["poll(q, ['a', 'b'], 'Since it is.')", "poll('Q', ['a', 'b'], f'{x} it is.')", "poll("]
)
def test_a_poll_that_is_not_literal_stays_as_it_is(code):
    assert polls.sealed_poll(code) == code
