"""The calculator computes arithmetic and nothing else; a bad call is a message to the model; steps end."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlib.retrieval import (
    BM25,
    CalculatorError,
    Passage,
    Tool,
    ToolError,
    calculate,
    calculator_tool,
    parse_call,
    run_tools,
    search_tool,
    tool_instructions,
)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3 =", 9),
        ("2^10", 1024),
        ("12 × 3 − 6 ÷ 4", 34.5),
        ("1,234,567 + 1", 1234568),
        ("max(1,234)", 234),
        ("7 // 2 + 7 % 4", 6),
        ("-2 ** 2", -4),
        ("0.1 + 0.2", 0.3),
        ("sqrt(16) + abs(-3) + round(2.6)", 10),
        ("round(10 / 3, 2)", 3.33),
        ("2 * pi", round(2 * math.pi, 11)),
        ("10**20", 10**20),
        ("6 / 3", 2),
    ],
)
def test_arithmetic(expression, value):
    assert calculate(expression) == pytest.approx(value, rel=1e-12) and type(calculate(expression)) is type(value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "not an arithmetic expression"),
        ("two plus two", "not an arithmetic expression"),
        ("x + 1", "'x' is not a number"),
        ("1 / 0", "division by zero"),
        ("__import__('os').system('ls')", "is not arithmetic"),
        ("open('f')", "no function 'open'"),
        ("().__class__", "is not arithmetic"),
        ("'a' * 3", "is not arithmetic"),
        ("True + 1", "is not arithmetic"),
        ("[1] * 10", "is not arithmetic"),
        ("9**9**9**9", "the power is too large"),
        ("(10**1000) * (10**1000)", "the number is too large"),
        ("round(5, -10**9)", "round takes -20 to 20 digits"),
        ("(-8) ** 0.5", "not real"),
        ("1e308 * 10", "not a finite number"),
        ("sqrt(-1)", "cannot be computed"),
        ("max()", "cannot be computed"),
        ("1 if 2 else 3", "is not arithmetic"),
        ("(lambda: 1)()", "is not arithmetic"),
        ("1+" * 150 + "1", "301 characters"),
        ("(" * 150, "not an arithmetic expression"),
        (7, "write it as text"),
    ],
)
def test_everything_else_is_an_error_of_the_calculator(expression, message):
    with pytest.raises(CalculatorError, match=message):
        calculate(expression)


@settings(max_examples=60)
@given(st.one_of(st.text(max_size=40), st.text("0123456789+-*/%^().,e abs", max_size=40)))
def test_no_text_raises_anything_else(text):
    try:
        assert isinstance(calculate(text), int | float)
    except CalculatorError:
        pass


def call(name, **arguments):
    return f"<tool>{json.dumps({'name': name, 'arguments': arguments})}</tool>"


PASSAGES = [Passage("1", "Bread", "Bread is made of flour."), Passage("2", "Rome", "Rome is in Italy.")]
TOOLS = [calculator_tool(), search_tool(BM25([str(p) for p in PASSAGES]), PASSAGES)]


class Script:
    """A model that says given lines, and remembers what it was shown."""

    def __init__(self, *lines):
        self.lines, self.seen = list(lines), []

    def __call__(self, messages):
        self.seen.append(messages)
        return self.lines.pop(0)


def test_a_call_its_result_and_the_answer():
    model = Script("Let me see. " + call("calculator", expression="6 * 7") + " The result is 41.", "It is 42.")
    run = run_tools(model, "What is 6 times 7?", TOOLS)
    assert (run.answer, run.finish, run.n_errors) == ("It is 42.", "answer", 0)
    assert run.steps[0].call == {"name": "calculator", "arguments": {"expression": "6 * 7"}}
    assert model.seen[1][-1] == {"role": "user", "content": "<result>42</result>"}
    assert "41" not in str(model.seen[1])  # what it made up after the call is gone
    assert "calculator(expression: string)" in model.seen[0][0]["content"] and model.seen[0][1]["role"] == "user"


def test_a_search():
    run = run_tools(Script(call("search", query="flour"), "Flour."), "?", TOOLS)
    assert run.steps[0].result == "Bread: Bread is made of flour."
    assert "nothing was found" in run_tools(Script(call("search", query="zebra"), "x"), "?", TOOLS).steps[0].result


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("<tool>calculator(1)</tool>", "not valid JSON; write <tool>"),
        ("<tool>" + "[" * 100_000, "not valid JSON"),
        ("<tool>{}</tool>", "the call has no name"),
        ("<tool>[1]</tool>", "the call has no name"),
        (call("python", code="1"), "there is no tool 'python'; there are calculator, search"),
        ('<tool>{"name": "search", "arguments": "x"}</tool>', "must be an object"),
        (call("search", question="x"), "has no argument 'question'; it takes query"),
        (call("search"), "needs the argument 'query', a string"),
        (call("search", query=3), "is 3, it must be a string"),
        (call("calculator", expression="1/0"), "calculator failed: division by zero"),
        (call("calculator", expression="import os"), "calculator failed"),
    ],
)
def test_a_bad_call_is_a_message_to_the_model_and_never_an_exception(written, message):
    model = Script(written, "I give up.")
    run = run_tools(model, "?", TOOLS)
    assert run.answer == "I give up." and run.n_errors == 1
    assert message in run.steps[0].result and model.seen[1][-1]["content"].startswith("<result>Error: ")


def test_steps_end():
    model = Script(*[call("calculator", expression="1")] * 5)
    run = run_tools(model, "?", TOOLS, max_steps=3)
    assert (run.answer, run.finish, len(run.steps), len(model.lines)) == (None, "steps", 3, 2)


def test_a_failing_or_talkative_tool_harms_nobody():
    def broken():
        raise RuntimeError("no luck")

    tools = [Tool("broken", "fails", {}, broken), Tool("long", "talks", {}, lambda: "x" * 10_000)]
    assert run_tools(Script(call("broken"), "ok"), "?", tools).steps[0].result == "Error: broken failed: no luck"
    assert len(run_tools(Script(call("long"), "ok"), "?", tools).steps[0].result) < 1300


def test_kinds_of_arguments():
    seen = []
    kinds = {"n": "integer", "x": "number", "flag": "boolean"}
    tools = [Tool("take", "takes", kinds, lambda **given: seen.append(given))]
    good = parse_call(call("take", n=1, x=2, flag=True), tools)
    assert good["arguments"] == {"n": 1, "x": 2, "flag": True}
    for bad in ({"n": True}, {"n": 1.5}, {"x": "2"}, {"flag": 1}):
        with pytest.raises(ToolError, match="it must be a"):
            parse_call(call("take", **{"n": 1, "x": 2, "flag": True} | bad), tools)
    assert parse_call("no call here", tools) is None
    assert parse_call(call("take", n=1, x=2, flag=False).removesuffix("</tool>"), tools) is not None


def test_tools_are_checked_when_they_are_made():
    with pytest.raises(ValueError, match="name is 'My Tool'"):
        Tool("My Tool", "", {}, print)
    with pytest.raises(ValueError, match="is 'text': choose one of string"):
        Tool("t", "", {"a": "text"}, print)
    with pytest.raises(ValueError, match="function of 't' does not take its parameters"):
        Tool("t", "", {"b": "string"}, lambda a: a)
    with pytest.raises(ValueError, match="two of the same name"):
        run_tools(Script(), "?", [*TOOLS, TOOLS[0]])
    with pytest.raises(ValueError, match="max_steps=0"):
        run_tools(Script(), "?", TOOLS, max_steps=0)
    assert tool_instructions(TOOLS).count("\n- ") == 2


def test_nothing_here_can_execute_code():
    folder = Path(__import__("llmlib.retrieval").retrieval.__file__).parent
    for path in folder.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert "eval(" not in source and "exec(" not in source, path.name
