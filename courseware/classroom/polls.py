"""Questions to the class: lettered options, the answer folded away, buttons that say at once whether one is right.

The author writes the right option first; the options are then shuffled by the question's own text, so that keys spread
over the letters and no author's habit shows.
"""

import hashlib
import html
import re
import string
from collections.abc import Sequence

import ipywidgets as widgets
from IPython.display import display


def poll(question: str, options: Sequence[str], explanation: str, *, opinion: bool = False, draw: int = 0) -> None:
    """Ask a question with lettered options; the answer is folded away, and live buttons give feedback at once.

    question, options, explanation: Markdown, LaTeX allowed. Which letter an option gets is drawn, so the explanation
    names options by their words, or writes <1> for the letter of the option written first, <2> for the second, ...
    options: the right one first; they are shown in the order of `shuffled`.
    opinion: no option is right, and they keep their order. draw: another shuffle, by its number.
    """
    if not 2 <= len(options) <= 6 or len(set(options)) < len(options):
        raise ValueError(f"options: a poll needs two to six different ones, got {list(options)!r}")
    if not isinstance(explanation, str) or len(explanation.split()) < 2:
        raise ValueError(f"explanation={explanation!r}: say why; the right option is the first, so no letter is given")
    shown = list(options) if opinion else shuffled(question, options, draw)
    letters = string.ascii_uppercase[: len(options)]
    right = None if opinion else letters[shown.index(options[0])]
    explanation = re.sub(r"<([1-6])>", lambda m: letters[shown.index(_option(options, int(m[1])))], explanation)
    lines = "\n".join(f"- **{letter}.** {option}" for letter, option in zip(letters, shown))
    verdict = f"**{right}.** {explanation}" if right else explanation
    summary = "Answer" if right else "What to think of"
    fold = f"<details><summary>{summary}</summary>\n\n{verdict}\n\n</details>"
    plain = f"Poll. {question}\n" + "\n".join(f"  {letter}. {option}" for letter, option in zip(letters, shown))
    display(
        {"text/markdown": f"**Poll.** {question}\n\n{lines}\n\n{fold}", "text/plain": plain},
        raw=True,
    )
    display(_buttons(letters, right, explanation))


def _option(options: Sequence[str], number: int) -> str:
    if number > len(options):
        raise ValueError(f"explanation: <{number}> names an option that is not there; there are {len(options)}")
    return options[number - 1]


def shuffled(question: str, options: Sequence[str], draw: int = 0) -> list[str]:
    """The options in an order that depends on the question and `draw` alone, the same on every machine."""
    return sorted(options, key=lambda option: hashlib.sha256(f"{draw}|{question}|{option}".encode()).digest())


def _buttons(letters: str, right: str | None, explanation: str) -> widgets.VBox:
    feedback = widgets.HTMLMath("")
    buttons = [widgets.Button(description=letter, layout=widgets.Layout(width="64px")) for letter in letters]

    def clicked(button: widgets.Button) -> None:
        if right is None:
            feedback.value = f"You chose {button.description}. {_inline_html(explanation)}"
        elif button.description == right:
            button.button_style = "success"
            feedback.value = f"<b>{right} is right.</b> {_inline_html(explanation)}"
        else:
            button.button_style = "warning"
            feedback.value = f"<b>Not {button.description}.</b> Try another one, or unfold the answer above."

    for button in buttons:
        button.on_click(clicked)
    return widgets.VBox([widgets.HBox(buttons), feedback])


def _inline_html(markdown: str) -> str:
    """Bold, emphasis and code of a Markdown paragraph as HTML; formulas are left to MathJax."""
    pieces = re.split(r"(\$[^$]+\$|`[^`]+`)", markdown)
    for i, piece in enumerate(pieces):
        text = html.escape(piece, quote=False)
        if piece.startswith("`"):
            text = f"<code>{text[1:-1]}</code>"
        elif not piece.startswith("$"):
            text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
            text = re.sub(r"\*(.+?)\*", r"<i>\1</i>", text)
        pieces[i] = text
    return "".join(pieces)
