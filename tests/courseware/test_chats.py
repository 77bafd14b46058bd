"""The chat: examples on the page, replies as they come, a line for what goes wrong."""

import ipywidgets as widgets
import pytest

from courseware.classroom import chats, pictures
from courseware.classroom.chats import chat


@pytest.fixture(autouse=True)
def kept(shown, monkeypatch):
    """`shown` keeps what the chat displays, too."""
    monkeypatch.setattr(chats, "display", pictures.display)


def echo(message):
    """Answers in pieces; knows no long words."""
    if len(message) > 40:
        raise ValueError(f"message has {len(message)} letters, and 40 fit")
    yield from ("you said ", message)


def parts(shown):
    """The static output, and the live box taken apart."""
    static, box = shown
    view, row = box.widget.children
    return static, view, *row.children


def test_examples_are_answered_without_a_kernel(shown):
    chat(echo, examples=["a *star*", "hello"], name="echo")
    static, *_ = parts(shown)
    assert static.data["text/plain"] == "you: a *star*\necho: you said a *star*\n\nyou: hello\necho: you said hello"
    assert r"**echo** you said a \*star\*" in static.data["text/markdown"]


def test_what_is_written_is_answered_piece_by_piece_and_stays(shown):
    chat(lambda m: echo(m), examples=["hello"])
    _, view, field, button = parts(shown)
    seen = []
    view.observe(lambda change: seen.append(change["new"]), names="value")
    field.value = "<b>one</b>"  # Enter
    assert field.value == "" and not button.disabled
    assert len(seen) >= 2 and "you said " in seen[0] and "you said &lt;b&gt;one&lt;/b&gt;" in seen[-1]
    field.value = "two"
    assert "one" in view.value and "you said two" in view.value


def test_a_message_that_is_refused_stays_in_the_box_and_the_rest_on_the_page(shown):
    chat(echo, examples=["hello"])
    _, view, field, button = parts(shown)
    field.value = "first"
    field.value = "x" * 50
    assert "message has 50 letters" in view.value and "you said first" in view.value
    assert field.value == "x" * 50 and not button.disabled
    field.value = "second"
    assert "50 letters" not in view.value and "you said second" in view.value


def test_any_other_error_is_a_line_too(shown):
    chat(lambda m: "ok" if m == "hello" else {}[m], examples=["hello"])
    _, view, field, _ = parts(shown)
    field.value = "key"
    assert "KeyError" in view.value


def test_the_button_sends_and_an_empty_box_does_not(shown):
    said = []
    chat(lambda m: said.append(m) or "yes", examples=["hello"])
    _, _, field, button = parts(shown)
    button.click()
    field.set_trait("value", "  ")
    button.click()
    assert said == ["hello"]
    assert isinstance(field, widgets.Text)


@pytest.mark.parametrize("examples", [[], "hello", ["a"] * 6, [""], [3]])
def test_examples_are_checked(examples):
    with pytest.raises(ValueError, match="examples="):
        chat(echo, examples=examples)
