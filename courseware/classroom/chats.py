"""A chat on the page: somebody to write to, whose answers come as they are written. Lecture 20.

The static part, answers to a few examples, is what GitHub, the site and a paper copy show; the box to write in follows
when a kernel is there.
"""

import html
from collections.abc import Callable, Iterable, Sequence

import ipywidgets as widgets
from IPython.display import display

Answer = Callable[[str], str | Iterable[str]]
BUBBLE = '<div style="margin: {}; padding: 0.5em 0.8em; border-radius: 0.6em; background: {}; color: #111">'
ASKED, REPLIED = BUBBLE.format("0.4em 0 0.4em 20%", "#dbeafe"), BUBBLE.format("0.4em 20% 0.4em 0", "#eeeeee")
WRONG = '<div style="margin: 0.4em 0; padding: 0.2em 0.8em; background: #fdecea; color: #8c1d18">'
WIDE = {"width": "480px", "max_width": "100%"}


def chat(answer: Answer, *, examples: Sequence[str], name: str = "model") -> None:
    """Show answers to the examples, then a box to write in.

        chat(assistant.stream, examples=["my lamp arrived broken", "where is my kettle"])

    answer:   message -> the reply, or its pieces as they come (`llmlib.capstone.Assistant.stream`, or a lambda around
              `llmlib.infer.stream`). A ValueError, as for a message that is too long, is shown as a line, and the
              message stays in the box.
    examples: one to five messages that are answered on the page.
    name:     who answers.
    """
    if isinstance(examples, str) or not 1 <= len(examples) <= 5 or not all(isinstance(e, str) and e for e in examples):
        raise ValueError(f"examples={examples!r}: give one to five messages, which the page shows without a kernel")
    replies = ["".join(_pieces(answer, message)) for message in examples]
    lines = [f"> **you** {_quoted(m)}\n>\n> **{name}** {_quoted(r)}" for m, r in zip(examples, replies)]
    plain = "\n\n".join(f"you: {m}\n{name}: {r}" for m, r in zip(examples, replies))
    lines.append("*When this cell is run, a box to write in appears below.*")
    display({"text/markdown": "\n\n".join(lines), "text/plain": plain}, raw=True)
    display(_Box(answer, name).box)


class _Box:
    """The conversation, a field and a button. Every widget is of ipywidgets 7.7."""

    def __init__(self, answer: Answer, name: str) -> None:
        self.answer, self.turns = answer, ""
        self.view = widgets.HTML("")
        self.field = widgets.Text(placeholder=f"write to the {name}", continuous_update=False, layout=WIDE)
        self.button = widgets.Button(description="send")
        self.button.on_click(self._send)
        self.field.observe(self._send, names="value")  # told on Enter; empty after a reply, which sends nothing
        self.box = widgets.VBox([self.view, widgets.HBox([self.field, self.button])])

    def _send(self, _sender: object) -> None:
        message = self.field.value.strip()
        if not message or self.button.disabled:
            return
        self.button.disabled = True
        before, said = self.turns, ""
        asked = before + ASKED + html.escape(message) + "</div>"
        try:
            for piece in _pieces(self.answer, message):
                said += piece
                self.view.value = asked + REPLIED + html.escape(said) + "</div>"
            self.turns, self.field.value = asked + REPLIED + html.escape(said or "(nothing)") + "</div>", ""
            self.view.value = self.turns
        except Exception as error:  # a line in the page; a traceback from a callback goes where nobody looks
            what = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            self.view.value = before + WRONG + html.escape(what) + "</div>"
        finally:
            self.button.disabled = False


def _pieces(answer: Answer, message: str) -> Iterable[str]:
    reply = answer(message)
    return [reply] if isinstance(reply, str) else reply


def _quoted(text: str) -> str:
    """Text as Markdown that shows it as it is, in one paragraph of a quotation."""
    escaped = "".join("\\" + c if c in "\\`*_{}[]<>#|$~" else c for c in text)
    return " ".join(escaped.split())
