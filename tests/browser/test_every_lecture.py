"""Every lecture in JupyterLab: no cell fails, every slider changes its picture, every poll answers, and the browser's
console stays silent. LECTURES="03 04" walks some only."""

import os
import re

import pytest
from notebook_walk import Notebook

from courseware.authoring import build
from courseware.classroom.polls import poll_arguments, unsealed_poll

NUMBERS = [path.stem[:2] for path in build.lecture_sources(build.ROOT)]
WANTED = os.environ.get("LECTURES", "").split() or NUMBERS
PRESSES = 12  # a picture may stay as it is for a step or two (a temperature of 0.1 more, the same greedy reply)


@pytest.fixture
def complaints(page) -> list[str]:
    """Errors of the console and of scripts, and requests that leave this machine."""
    found: list[str] = []
    page.on("console", lambda said: found.append(f"console: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: found.append(f"script: {error}"))

    def asked(request):
        if not re.match(r"(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|data:|blob:", request.url):
            found.append(f"request: {request.url}")

    page.on("request", asked)
    return found


@pytest.mark.parametrize("number", WANTED)
def test_a_lecture_runs_its_sliders_move_and_its_polls_answer(number, page, course, server, complaints):
    path = next((course.folder / "lectures").glob(f"{number}_*.ipynb")).name
    page.goto(server.address(f"work/lectures/{path}", f"lecture-{number}"))
    book = Notebook(page, course, f"work/lectures/{path}")
    book.run_all()
    assert book.errors() == []

    sliders = sum(move_all(book, cell) for cell in book.find(r"^(explore|steps)\("))
    assert sliders >= 2
    polls = book.find(r"^poll\(")
    assert len(polls) >= 2
    for cell in polls:
        answer(book, cell)
    chats = book.find(r"^chat\(")
    for cell in chats:
        talk(book, cell)
    assert complaints == []


def move_all(book: Notebook, number: int) -> int:
    """Move each slider of a cell until its picture is another one; returns how many there are."""
    cell = book.show(number)
    view = cell.locator(".widget-html-content").last
    view.wait_for()
    handles, choices = cell.locator(".noUi-handle"), cell.locator(".widget-dropdown select")
    for handle in handles.all():
        before = view.inner_html()
        handle.focus()
        for press in range(PRESSES):
            at = handle.get_attribute("aria-valuenow"), handle.get_attribute("aria-valuemax")
            key = "ArrowLeft" if press >= PRESSES // 2 or at[0] == at[1] else "ArrowRight"
            handle.press(key)
            if changed(book, view, before):
                break
        else:
            pytest.fail(f"cell {number}: a slider changes nothing")
    for choice in choices.all():
        before, now = view.inner_html(), choice.evaluate("s => s.selectedIndex")
        for index in (n for n in range(choice.evaluate("s => s.length")) if n != now):
            choice.select_option(index=index)
            if changed(book, view, before):
                break
        else:
            pytest.fail(f"cell {number}: a choice changes nothing")
    assert "Error: " not in view.inner_text(), view.inner_text()[:300]
    return handles.count() + choices.count()


def changed(book: Notebook, view, before: str) -> bool:
    """Is there another picture once the kernel has done what the slider asked?"""
    for _ in range(10):
        book.page.wait_for_timeout(150)
        book.idle(120)
        if view.inner_html() != before:
            return True
    return False


def answer(book: Notebook, number: int) -> None:
    """Unfold the answer, then press one button after the other until one is right, as an undecided reader does."""
    cell = book.show(number)
    fold = cell.locator("details").first
    fold.locator("summary").wait_for()
    assert fold.get_attribute("open") is None, f"cell {number}: the answer lies open"
    fold.locator("summary").click()
    assert fold.get_attribute("open") is not None
    said = cell.locator(".widget-html-content, .widget-htmlmath-content").last
    arguments = poll_arguments(unsealed_poll("".join(book.cells()[number]["source"])))
    opinion = arguments is not None and arguments[3]
    buttons = cell.locator("button.widget-button, button.jupyter-button").all()
    assert len(buttons) >= 2
    for button in buttons:
        letter = button.inner_text().strip()
        button.click()
        words = rf"You chose {letter}\." if opinion else rf"(\b{letter} is right\.|Not {letter}\.)"
        heard = said.element_handle()
        book.page.wait_for_function(
            "([node, words]) => new RegExp(words).test(node.innerText)", arg=[heard, words.replace("\\b", "")]
        )
        if opinion or f"{letter} is right." in said.inner_text():
            return
    pytest.fail(f"cell {number}: no option is right")


def talk(book: Notebook, number: int) -> None:
    """Write to the assistant and wait for its reply."""
    cell = book.show(number)
    field = cell.locator("input[type=text]").first
    field.fill("where is my order")
    field.press("Enter")
    view = cell.locator(".widget-html-content").first
    view.get_by_text("where is my order").wait_for()
    book.idle(180)
    book.page.wait_for_function(
        "node => node.innerText.replace('where is my order', '').trim().length > 3", arg=view.element_handle()
    )
    assert field.input_value() == "", "the box is not empty for the next message"
