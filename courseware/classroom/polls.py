"""Questions to the class: lettered options, the answer folded away, buttons that say at once whether one is right.

The author writes the right option first; the options are then shuffled by the question's own text, so that keys spread
over the letters and no author's habit shows. What a notebook holds is a sealed call: neither answer nor explanation can
be read in it, wherever a page shows code.
"""

import ast
import base64
import hashlib
import html
import re
import string
import zlib
from collections.abc import Sequence

import ipywidgets as widgets
from IPython.display import display


def poll(
    question: str,
    options: Sequence[str],
    explanation: str = "",
    *,
    opinion: bool = False,
    draw: int = 0,
    sealed: str = "",
) -> None:
    """Ask a question with lettered options; the answer is folded away, and live buttons give feedback at once.

    question, options, explanation: Markdown, LaTeX allowed. Which letter an option gets is drawn, so the explanation
    names options by their words, or writes <1> for the letter of the option written first, <2> for the second, ...
    options: the right one first; they are shown in the order of `shuffled`.
    opinion: no option is right, and they keep their order. draw: another shuffle, by its number.
    sealed:  how notebooks carry the answer and the explanation, written by `courseware build`; see `sealed_poll`.
    """
    if sealed:
        question, options, explanation, opinion, draw = _unseal(sealed)
    _check(options, explanation)
    shown = list(options) if opinion else shuffled(question, options, draw)
    letters = string.ascii_uppercase[: len(options)]
    right = None if opinion else letters[shown.index(options[0])]
    explanation = re.sub(r"<([1-6])>", lambda m: letters[shown.index(_option(options, int(m[1])))], explanation)
    lines = "\n".join(f"- **{letter}.** {option}" for letter, option in zip(letters, shown))
    verdict = f"**{right}.** {explanation}" if right else explanation
    summary = "Answer" if right else "What to think of"
    fold = f"<details><summary>{summary}</summary>\n\n{verdict}\n\n</details>"
    plain = f"Poll. {question}\n" + "\n".join(f"  {letter}. {option}" for letter, option in zip(letters, shown))
    display({"text/markdown": f"**Poll.** {question}\n\n{lines}\n\n{fold}", "text/plain": plain}, raw=True)
    display(_buttons(letters, right, explanation))


def shuffled(question: str, options: Sequence[str], draw: int = 0) -> list[str]:
    """The options in an order that depends on the question and `draw` alone, the same on every machine."""
    return sorted(options, key=lambda option: hashlib.sha256(f"{draw}|{question}|{option}".encode()).digest())


def _check(options: Sequence[str], explanation: str) -> None:
    if not 2 <= len(options) <= 6 or len(set(options)) < len(options):
        raise ValueError(f"options: a poll needs two to six different ones, got {list(options)!r}")
    if not isinstance(explanation, str) or len(explanation.split()) < 2:
        raise ValueError(f"explanation={explanation!r}: say why; the right option is the first, so no letter is given")


def _option(options: Sequence[str], number: int) -> str:
    if number > len(options):
        raise ValueError(f"explanation: <{number}> names an option that is not there; there are {len(options)}")
    return options[number - 1]


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


# ------------------------------------------------------------------------------------------------------------ seals
#
# GitHub and plain exports show every cell's code, above its output. There the answer must not stand either, so a
# notebook's poll shows its question and its options as the reader meets them, and carries the author's call packed.

Arguments = tuple[str, list[str], str, bool, int]


def sealed_poll(code: str) -> str:
    """A cell's code, sealed if it is one call of `poll` whose arguments are literals; else as it is."""
    arguments = poll_arguments(code)
    if arguments is None:
        return code
    question, options, explanation, opinion, draw = arguments
    _check(options, explanation)
    shown = options if opinion else shuffled(question, options, draw)
    packed = base64.b85encode(zlib.compress(code.encode(), 9)).decode()
    lines = [packed[i : i + 76] for i in range(0, len(packed), 76)]
    body = ["poll(", f"    {question!r},", "    [", *(f"        {option!r}," for option in shown), "    ],"]
    return "\n".join([*body, "    sealed=(", *(f"        {line!r}" for line in lines), "    ),", ")"])


def unsealed_poll(code: str) -> str:
    """The code that was sealed; other code as it is. Raises ValueError if the question or options were edited since."""
    call = _call(code)
    packed = next((k.value for k in call.keywords if k.arg == "sealed"), None) if call else None
    if packed is None:
        return code
    original = zlib.decompress(base64.b85decode(ast.literal_eval(packed))).decode()
    if sealed_poll(original) != code.strip():
        raise ValueError("a sealed poll was edited; edit it in the lecture's source, where its answer stands")
    return original


def poll_arguments(code: str) -> Arguments | None:
    """(question, options, explanation, opinion, draw) of a cell that is one poll of literals, else None."""
    call = _call(code)
    if call is None or any(keyword.arg == "sealed" for keyword in call.keywords):
        return None
    given = dict(zip(("question", "options", "explanation"), call.args)) | {k.arg: k.value for k in call.keywords}
    try:
        values = {name: ast.literal_eval(node) for name, node in given.items()}
        return (
            values["question"],
            list(values["options"]),
            values["explanation"],
            values.get("opinion", False),
            values.get("draw", 0),
        )
    except (ValueError, KeyError):
        return None


def _call(code: str) -> ast.Call | None:
    if not code.lstrip().startswith("poll("):
        return None
    try:
        body = ast.parse(code).body
    except SyntaxError:
        return None
    call = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
    return call if isinstance(call, ast.Call) else None


def _unseal(sealed: str) -> Arguments:
    arguments = poll_arguments(zlib.decompress(base64.b85decode(sealed)).decode())
    if arguments is None:
        raise ValueError("sealed=: this poll is damaged; fetch the notebook again")
    return arguments
