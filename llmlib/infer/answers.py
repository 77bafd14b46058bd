"""The answer in what a model wrote: its last number, its box, or its letter. Built in lecture 16.

Whether a model can calculate and whether a program can read its answer are two questions, and a careless reader makes
the first look like the second. So what counts as a number is decided here once, and in one place.
"""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from llmlib.infer.latex import boxed, plain

KINDS = ("number", "boxed", "choice")
LONGEST = 400  # characters of a number; of one with an exponent 20
STEEPEST = 100  # exponents beyond are left alone

_ANSWER = re.compile(r"answers?\b[^.\n:=]{0,40}?(?:\bis\b|\bare\b|\bbe\b|:|=)", re.IGNORECASE)
_CHOOSE = re.compile(rf"{_ANSWER.pattern}|\b(?:option|choice|choose|pick|select)\b", re.IGNORECASE)
_NEXT_QUESTION = re.compile(r"(?:^|\n)[ \t]*(?:Q|Question|Problem|User|Human)[ \t]*[0-9]*[ \t]*:|<\|")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")

_AMOUNT = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_NUMBER = re.compile(
    rf"""
    (?P<other> (?<![\w.])[0-9]+ (?: (?:/[0-9]+){{2,}} | (?:\.[0-9]+){{2,}} | (?::[0-9]+)+ ) )  # date, version, clock
    | (?<![\w^/.]) (?<![A-Za-z]-)
      (?P<sign> (?<![\w)\]}}%-])- )? (?: [$€£¥] (?P<inner>-)? )?
      (?:
        (?P<whole>[0-9]+) \ (?P<top>[0-9]+) / (?P<bottom>[0-9]+)
        | (?P<over>{_AMOUNT}) (?: \s?/\s? (?P<under>{_AMOUNT})
            | \s?[*×]\s? 10 (?:\^|\*\*) (?P<ten>-?[0-9]+)
            | (?:\^|\*\*) (?P<power>-?[0-9]+)
            | [eE] (?P<exponent>[+-]?[0-9]+) (?![\w]) )?
      )
      (?P<ordinal> (?:st|nd|rd|th)\b )?
    """,
    re.VERBOSE,
)
_LABEL = re.compile(r"\b(?:step|question|problem|part|line|equation|example|exercise)\s*\#?$", re.IGNORECASE)


def extract_answer(text: str, kind: str = "number", *, prompt: str = "", choices: str = "ABCDE") -> str | None:
    """The answer that a text comes to, None where it comes to none.

    kind, and what is returned:

    - "number": what stands in the last \\boxed{}, after GSM8K's "####", or after the last "the answer is" or "answer:";
      where there is none of these, the last number. As `written`: of equal numbers ("1,000.0", "$1000", "10^3") the
      same str. Units, currencies and percent signs are left out, so "25%" is 25. Not numbers: ordinals (3rd), labels
      ("Step 3", the 2 of "2. Then"), parts of words (x2, cm^2), dates, clock times and ratios (3:30), number words.
    - "boxed": what stands in the last \\boxed{}, a number as above, anything else without white space around it.
    - "choice": a letter of `choices`, in upper case: boxed, after "the answer is" and its like, at the beginning, or
      the last one in brackets or alone; not the article A, and not from a list of all options.

    Two kinds of numbers that are not the model's own are left out: what follows a new question that it asked itself
    ("\\nQ:"), and, if prompt is given, what it repeats of it, at the beginning or by the sentence.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is none of {', '.join(KINDS)}")
    own = _own_words(text, prompt)
    if kind == "choice":
        return _choice(own, choices)
    boxes = boxed(own)
    if kind == "boxed":
        return _content(boxes[-1]) if boxes else None
    for box in reversed(boxes):
        if found := _numbers(plain(box)):
            return written(found[-1])
    return _concluded(plain(own))


def written(number: Fraction | int) -> str:
    """An exact number as text, the same for equal ones: "1000", "-0.5", and "1/3" where decimals would not end."""
    number = Fraction(number)
    twos, rest = _divided(number.denominator, 2)
    fives, rest = _divided(rest, 5)
    if rest != 1:
        return f"{number.numerator}/{number.denominator}"
    places = max(twos, fives)
    if places == 0:
        return str(number.numerator)
    digits = f"{abs(number.numerator) * 10**places // number.denominator:0{places + 1}}"
    return f"{'-' if number < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _divided(n: int, by: int) -> tuple[int, int]:
    """How often n can be divided, and what is left."""
    times = 0
    while n % by == 0:
        n, times = n // by, times + 1
    return times, n


def _own_words(text: str, prompt: str) -> str:
    asked = prompt.strip()
    if asked and text.lstrip().startswith(asked):
        text = text.lstrip()[len(asked) :]
    if found := _NEXT_QUESTION.search(text):
        text = text[: found.start()]
    for sentence in _SENTENCE.split(asked):
        words = sentence.split()
        if len(words) >= 4 and not _ANSWER.search(sentence):
            text = re.sub(r"\s+".join(map(re.escape, words)), " ", text, flags=re.IGNORECASE)
    return text


# --- numbers ----------------------------------------------------------------------------------------------------------


def _concluded(text: str) -> str | None:
    _, marker, after = text.rpartition("####")
    if marker and (found := _numbers(after)):
        return written(found[0])
    for marker in reversed(list(_ANSWER.finditer(text))):
        rest = text[marker.end() :].lstrip(" \t\n*_:$(\"'`")
        end = _SENTENCE_END.search(rest)
        said = rest[: end.start()] if end else rest
        if marker[0][-1] in ":=" and not re.match(r"(?:[A-Za-z]+\s)?\W{0,3}[0-9]", said):
            continue  # "Answer:" and then a whole story
        if found := _numbers(said.rpartition("=")[2]) or _numbers(said):
            return written(found[0])
    found = _numbers(text)
    return written(found[-1]) if found else None


def _numbers(text: str) -> list[Fraction]:
    """All numbers of a text without LaTeX, in order; those that look like the label of a list only if all do."""
    own, labels = [], []
    for match in _NUMBER.finditer(text):
        before, value = text[max(0, match.start() - 20) : match.start()], _value(match)
        compound = re.match("-[A-Za-z]", text[match.end() : match.end() + 2])  # a 3-digit number
        if value is None or compound or _LABEL.search(before) or re.search(r"\bnot\s+\W?$", before):
            continue
        starts_line = not before.rpartition("\n")[2].strip()
        label = starts_line and re.match(r"[.)][ \t]+\S", text[match.end() : match.end() + 9])
        (labels if label else own).append(value)
    return own or labels


def _value(match: re.Match) -> Fraction | None:
    if match["other"] or match["ordinal"] or len(match[0]) > LONGEST:
        return None
    powers = [int(match[name]) for name in ("ten", "power", "exponent") if match[name] and len(match[name]) < 9]
    if powers and (abs(powers[0]) > STEEPEST or len(match[0]) > 20):
        return None
    if not powers and re.search(r"\^|\*\*|[eE]", match[0]):
        return None
    try:
        if match["whole"]:
            value = int(match["whole"]) + Fraction(int(match["top"]), int(match["bottom"]))
        else:
            value = _amount(match["over"])
            if match["under"]:
                value /= _amount(match["under"])
            elif powers:
                value = value ** powers[0] if match["power"] else value * Fraction(10) ** powers[0]
    except ZeroDivisionError:
        return None
    return -value if match["sign"] or match["inner"] else value


def _amount(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "") if digits[0] != "." else f"0{digits}")


def _content(box: str) -> str:
    """What stands in a box: a number, perhaps with its unit, or other text."""
    text = plain(box).strip()
    right = text.rpartition("=")[2].strip()
    found = _NUMBER.match(right)
    unit = found and re.fullmatch(r"\s*[%°]?\s*|[A-Za-z]{2,}|\s+[A-Za-z][\w ./^²³]*", right[found.end() :])
    value = _value(found) if unit else None
    return text if value is None else written(value)


# --- letters ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Letter:
    place: int
    letter: str
    marked: bool
    """As options are: (B), B., B), B:, **B**."""


def _choice(text: str, choices: str) -> str | None:
    letters = choices.upper()
    for box in reversed(boxed(text)):
        found = re.match(r"\W*([A-Za-z])(?:\W|$)", plain(box))
        if found and found[1].upper() in letters:
            return found[1].upper()
    text = unicodedata.normalize("NFKC", plain(text))
    named = _letters(text, letters)
    for marker in reversed(list(_CHOOSE.finditer(text))):
        said = text[marker.end() :]
        if (first := re.match(r"\W*([A-Z])\b(?!['’])", said)) and first[1] in letters:
            return first[1]  # here A is no article
        line = re.match(r"\s*[^\n]*", said)
        for found in named:
            inside = marker.end() <= found.place < marker.end() + line.end()
            if inside and not re.search(r"\bnot\W*$", text[max(0, found.place - 9) : found.place]):
                return found.letter
    marked = [found for found in named if found.marked]
    listed = _listed([found.letter for found in marked], letters)
    if named and not listed and not re.search(r"\w", text[: named[0].place]):
        return named[0].letter
    after = marked[listed - 1].place if listed else -1
    left = [found for found in named if found.place > after]
    left = [found for found in left if found.marked] or left
    return left[-1].letter if left else None


def _letters(text: str, letters: str) -> list[_Letter]:
    """Every letter that stands for an option, in order; not the article A, not the pronoun I, and in lower case only
    those that are marked."""
    found = []
    for match in re.finditer(r"(?<![\w'’-])[A-Za-z](?![\w'’])", text):
        letter, before, after = match[0], text[max(0, match.start() - 2) : match.start()], text[match.end() :][:2]
        bracketed = before.endswith(("(", "[")) and after.startswith((")", "]"))
        marked = bracketed or before == "**" or (after.startswith((".", ")", ":")) and not after[1:].strip())
        word = letter in "AI" and not marked and re.match(r"[ \t]+[a-z]", text[match.end() : match.end() + 9])
        if letter.upper() in letters and (letter.isupper() or marked) and not word:
            found.append(_Letter(match.start(), letter.upper(), marked))
    return found


def _listed(named: list[str], letters: str) -> int:
    """How many options are named in order from the first on; 0 if fewer than four, and than all: that is no list."""
    n = next((i for i, (one, other) in enumerate(zip(named, letters)) if one != other), min(len(named), len(letters)))
    return n if n >= min(4, len(letters)) else 0
