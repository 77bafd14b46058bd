"""Reading answers: each line a text that models write, and what it comes to."""

from fractions import Fraction

import pytest

from llmlib.infer import extract_answer
from llmlib.infer.answers import written
from llmlib.infer.latex import boxed, plain

NUMBERS = {
    "the last one": [
        ("5+3=8", "8"), ("I have 3 apples, get 4, so 7.", "7"), ("1, 2, 3", "3"), ("2*3", "3"),
        ("between 5 and 7", "7"),
        ("7 (seven)", "7"), ("#5", "5"), ("5!", "5"), ("5,", "5"), ("42.\n", "42"), ("42. So it is", "42"),
        ("1. add\n2. then 14", "14"), ("it is not 5 but 6", "6"), ("Total:5", "5"), ("0.1+0.2", "0.2"),
    ],
    "signs": [
        ("-5", "-5"), ("10-3=7", "7"), ("10-3", "3"), ("5 - -3", "-3"), ("it is −4", "-4"), ("(-42)", "-42"),
        ("x=-3", "-3"),
        ("x = -3", "-3"), ("- 3 apples", "3"), ("3-4", "4"), ("2–3", "3"), ("--5", "5"), ("-0", "0"),
        ("answer: -3", "-3"),
    ],
    "thousands": [
        ("1,234,567 people", "1234567"), ("100,000", "100000"), ("1,000,", "1000"), ("1,2345", "2345"), ("1.000", "1"),
        ("1{,}000", "1000"), ("1\\,000", "1000"), ("1\u202f000", "1000"), ("12,34", "34"),
    ],
    "decimals and powers": [
        ("0.50", "0.5"), (".5", "0.5"), ("= 5.", "5"), ("1.5.", "1.5"), ("10^3", "1000"), ("10^{3}", "1000"),
        ("1.5e3", "1500"),
        ("1.5 \\times 10^4", "15000"), ("4 × 10^2", "400"), ("2**10", "1024"), ("1e-2", "0.01"), ("1e999999999", None),
        ("9^999999999", None), ("v1.2.3", None), ("1.2.3", None),
    ],
    "fractions": [
        ("3/4", "0.75"), ("1/3", "1/3"), ("2/6", "1/3"), ("-1/2", "-0.5"), ("1 1/2", "1.5"), ("2½ cups",
        "2.5"), ("½", "0.5"),
        ("\\frac{3}{4}", "0.75"), ("-\\frac{1}{2}", "-0.5"), ("2\\frac{1}{2}", "2.5"), ("\\dfrac12", "0.5"),
        ("3/0", None),
        ("18/20", "0.9"), ("12/25/2024", None),
    ],
    "units": [
        ("costs $1,234.50.", "1234.5"), ("−$5.50", "-5.5"), ("$-5", "-5"), ("£5", "5"), ("He pays 5$", "5"),
        ("$3.50$", "3.5"),
        ("25%", "25"), ("25 \\%", "25"), ("5 percent", "5"), ("25 cm^2", "25"), ("25 cm²", "25"),
        ("60 \\text{ cm}^2", "60"),
        ("5km", "5"), ("90°", "90"), ("90^\\circ", "90"),
    ],
    "what is no number": [
        ("", None), ("no idea", None), ("twelve", None), ("on the 3rd day", None), ("12 left after the 3rd day", "12"),
        ("x2", None), ("m_{12} = 4", "4"), ("at 3:30 he has 5", "5"), ("3:30", None), ("covid-19", None), ("²", None),
        ("٣", None), ("125, a 3-digit number", "125"), ("Step 1: 5+3=8\nStep 2: 8*2=16\n\nStep 3:", "16"),
    ],
    "marks": [
        ("#### 18", "18"), ("####1,000\n", "1000"), ("The answer is 5. There are 12 months.", "5"),
        ("Answer: 42", "42"),
        ("The answer is $18 for 2 days", "18"), ("the answer is 3 + 4 = 7 apples", "7"), ("**Answer:** 42", "42"),
        ("Answer:\n42", "42"), ("The answer is 42. I hope the answer is clear.", "42"), ("answer = 3/4 cup", "0.75"),
        ("Answer: She has 3 apples. She buys 4. 3+4=7.", "7"), ("Answer: about 7 of 9", "7"), ("**42**", "42"),
        ("The answer to 5 + 3 is 8", "8"), ("the answer is not 5, it is 6", "6"), ("`42`", "42"), ("42</answer>", "42"),
        ("the answer is: **$1,000.00**", "1000"), ("The answer is 5. No: the answer is 7.", "7"),
        ("Final Answer: The final answer is 7. I hope it is correct.", "7"),
        ("So 12.\n\nQ: There are 5 cars and 3", "12"),
        ("= 42<|im_end|>\n<|im_start|>user 7", "42"), ("\\text{The answer is } 12", "12"), ("\\(x = 5\\)", "5"),
        ("\\[ 12 \\]", "12"), ("$\\boxed{42}$, as 6 * 7", "42"), ("so \\boxed{\\frac{1}{2}} and 7", "0.5"),
        ("\\boxed{}then 5", "5"), ("\\boxed{5", "5"), ("\\boxed{3} \\boxed{4}", "4"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("what", NUMBERS)
def test_numbers(what):
    for text, answer in NUMBERS[what]:
        assert extract_answer(text, "number") == answer, text


ASKED = "Tom has 3 pens and buys 5 more. How many pens does he have?"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"{ASKED} 8", "8"), (ASKED, None), (f"  {ASKED}\n", None), ("Tom has 3 pens and buys 5 more. So", None),
        ("3 + 5 = 8. Tom has 3  pens and\nbuys 5 more.", "8"), ("tom has 3 pens and buys 5 more", "5"), ("5", "5"),
    ],
)  # fmt: skip
def test_what_is_repeated_of_the_prompt_is_no_answer(text, answer):
    assert extract_answer(text, prompt=ASKED) == answer


def test_an_answer_that_an_example_had_too_is_an_answer():
    prompt = "Q: 2 + 6?\nA: It is eight. The answer is 8.\n\nQ: 4 + 4?\nA:"
    assert extract_answer(" 4 and 4. The answer is 8.", prompt=prompt) == "8"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("B", "B"), ("(B)", "B"), ("b)", "B"), ("(b)", "B"), ("B. Paris", "B"), ("**B**", "B"), ("Answer: A", "A"),
        ("Answer:\nB", "B"), ("The answer is (C).", "C"), ("answer is A because", "A"), ("option b)", "B"),
        ("the answer is not B but C", "C"), ("The correct option is: D", "D"), ("I think it is E.", "E"), ("(Ｂ)", "B"),
        ("A dog barks. I choose D", "D"), ("A dog", None), ("Z", None), ("", None), ("C’s", None), ("because", None),
        ("(A) 3 (B) 4 (C) 5 (D) 6", None), ("(A) 3 (B) 4 (C) 5 (D) 6\nAnswer: (C)", "C"),
        ("(A) 3 (B) 4 (C) 5 (D) 6. So (B)", "B"), ("Both (A) and (B) fail, so (C)", "C"), ("\\boxed{\\text{(D)}}", "D"),
        ("B. Because (A) is wrong and (C) too.", "B"), ("\\boxed{7} (B)", "B"),
        ("The answer is B.\n\nQuestion: C", "B"),
    ],
)  # fmt: skip
def test_letters(text, answer):
    assert extract_answer(text, "choice") == answer


def test_only_the_options_that_there_are():
    assert extract_answer("(D) or (B)", "choice", choices="ABC") == "B"
    assert extract_answer("F", "choice", choices="EFGH") == "F"
    assert extract_answer("I think so", "choice", choices="HIJ") is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\\boxed{5\\text{ cm}}", "5"), ("\\boxed{x=5}", "5"), ("\\boxed{50\\%}", "50"), ("\\fbox{\\$1,000}", "1000"),
        ("\\boxed{2x}", "2x"), ("\\boxed{a} \\boxed{\\sqrt{2}}", "\\sqrt{2}"), ("5", None), ("\\boxed{x", None),
        ("\\boxed{\\{1,2\\}}", "\\{1,2\\}"), ("\\boxed{x + 1}", "x + 1"), ("\\boxed{5cm}", "5"),
        ("\\boxed{7 cm^2}", "7"),
    ],
)  # fmt: skip
def test_boxes(text, answer):
    assert extract_answer(text, "boxed") == answer


def test_boxes_are_read_with_their_braces():
    assert boxed("\\boxed{a{b}c} } \\boxed{\\boxed{d}}") == ["a{b}c", "d", "\\boxed{d}"]
    assert boxed("\\boxed{\\}} {\\boxed{e") == ["\\}"]
    assert plain("\\left(3\\tfrac{1}{2}\\right) \\cdot 1{,}000") == "(3 1/2) × 1,000"


@pytest.mark.parametrize("kind", ["number", "boxed", "choice"])
@pytest.mark.parametrize(
    "piece", ["\\boxed{", "9", "1,", "\n", "1/", "answer ", "answer is 5\n", "- ", "{", "(A) ", "\\frac{", "1.5e", "Q:"]
)
def test_hostile_texts_are_read_to_their_end(piece, kind):
    assert isinstance(extract_answer(piece * 3000 + " ", kind), str | None)


def test_numbers_that_no_one_could_write_out_are_none():
    assert extract_answer("9" * 300 + "^99") is None and extract_answer("9" * 5000) is None
    assert extract_answer("9" * 300) == "9" * 300
    assert len(extract_answer("." + "1" * 390)) == 392 and len(extract_answer("99999^99")) == 495
    assert extract_answer("1e-99/3") is not None and extract_answer(f"{'1' * 190}/{2**600}") is not None


def test_equal_numbers_are_written_the_same():
    same = ["1000", "1,000", "1000.0", "$1,000.00", "10^3", "1e3", "2000/2", "1{,}000", "1 000".replace(" ", "\u00a0")]
    assert {extract_answer(text) for text in same} == {"1000"}
    for number in [
        0,
        -7,
        10**30,
        Fraction(1, 8),
        Fraction(-1, 3),
        Fraction(22, 7),
        Fraction(5, 40),
        Fraction(-123, 100),
    ]:
        text = written(number)
        assert Fraction(text) == number and extract_answer(text) == text
    assert (written(Fraction(1, 8)), written(Fraction(-1, 20))) == ("0.125", "-0.05")


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="kind='word' is none of number, boxed, choice"):
        extract_answer("5", "word")
