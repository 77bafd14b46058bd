"""A model that calls tools: a call is parsed and checked, its result goes back into the conversation. Lecture 17.

The loop of ReAct (Yao et al., 2023) with calls in JSON, as today's models are tuned to write them (Schick et al.,
2023, taught a model when to call).
"""

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .calculator import calculate
from .corpora import Passage
from .hits import Retriever

CALL = re.compile(r"<tool>(.*?)(?:</tool>|\Z)", re.DOTALL)
KINDS: dict[str, type | tuple[type, ...]] = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
MAX_RESULT = 1200  # characters that a tool puts into the conversation
Message = dict[str, str]


class ToolError(ValueError):
    """A call that cannot be made, or a tool that failed, in words for the model."""


@dataclass(frozen=True)
class Tool:
    """A function that a model may call. parameters: name -> "string", "integer", "number" or "boolean", all required.

    function: called with the arguments by name; what it returns is written out, and any exception becomes an error
    message to the model.
    """

    name: str
    description: str
    parameters: Mapping[str, str]
    function: Callable[..., Any]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"name is {self.name!r}: use small letters, digits and underscores")
        for name, kind in self.parameters.items():
            if kind not in KINDS:
                raise ValueError(f"parameters[{name!r}] is {kind!r}: choose one of {', '.join(KINDS)}")
        try:
            inspect.signature(self.function).bind(**dict.fromkeys(self.parameters))
        except TypeError as error:
            raise ValueError(f"function of {self.name!r} does not take its parameters: {error}") from None
        except ValueError:
            pass  # a builtin that does not say what it takes


@dataclass(frozen=True)
class ToolStep:
    """One turn of the model. call: what was parsed, None for an answer or a call that could not be read. result: what
    the model was told; error: whether that was an error message."""

    written: str
    call: dict[str, Any] | None = None
    result: str = ""
    error: bool = False


@dataclass(frozen=True)
class ToolRun:
    """answer: the model's last words without a call, or None if the steps ran out (finish "steps")."""

    answer: str | None
    finish: str
    steps: list[ToolStep] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    @property
    def n_errors(self) -> int:
        return sum(step.error for step in self.steps)


def parse_call(text: str, tools: Sequence[Tool]) -> dict[str, Any] | None:
    """The first call in a text, {"name": ..., "arguments": {...}}, checked against the tools; None if there is none.

    A call is JSON between <tool> and </tool>. ToolError, in words that help to mend it, for anything that is marked as
    a call and is none: no JSON, an unknown tool, an argument that is missing, unknown or of another kind.
    """
    match = CALL.search(text)
    if match is None:
        return None
    form = 'write <tool>{"name": "...", "arguments": {...}}</tool>'
    try:
        call = json.loads(match[1])
    except (ValueError, RecursionError):
        raise ToolError(f"the call is not valid JSON; {form}") from None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise ToolError(f"the call has no name; {form}")
    tool = next((tool for tool in tools if tool.name == call["name"]), None)
    if tool is None:
        raise ToolError(f"there is no tool {call['name'][:40]!r}; there are {', '.join(tool.name for tool in tools)}")
    arguments = call.get("arguments", {})
    if not isinstance(arguments, dict):
        raise ToolError(f"arguments of {tool.name} must be an object; {form}")
    for name in arguments:
        if name not in tool.parameters:
            raise ToolError(f"{tool.name} has no argument {name[:40]!r}; it takes {', '.join(tool.parameters)}")
    for name, kind in tool.parameters.items():
        if name not in arguments:
            raise ToolError(f"{tool.name} needs the argument {name!r}, a {kind}")
        value = arguments[name]
        if not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean"):
            raise ToolError(f"argument {name!r} of {tool.name} is {repr(value)[:40]}, it must be a {kind}")
    return {"name": tool.name, "arguments": arguments}


def run_call(call: Mapping[str, Any], tools: Sequence[Tool]) -> str:
    """What the tool returned, as text, cut to MAX_RESULT characters. ToolError for whatever it raises."""
    tool = next(tool for tool in tools if tool.name == call["name"])
    try:
        result = str(tool.function(**call["arguments"]))
    except Exception as error:
        raise ToolError(f"{tool.name} failed: {error}"[:300]) from error
    return result if len(result) <= MAX_RESULT else result[:MAX_RESULT] + " …"


def tool_instructions(tools: Sequence[Tool]) -> str:
    """The system message that tells a model which tools there are and how to call them."""
    lines = [
        f"- {tool.name}({', '.join(f'{name}: {kind}' for name, kind in tool.parameters.items())}): {tool.description}"
        for tool in tools
    ]
    return (
        "You can call these tools:\n" + "\n".join(lines) + "\n"
        'To call one, write <tool>{"name": "...", "arguments": {...}}</tool> and stop. You will be given its result. '
        "When you know the answer, write it without a call."
    )


def run_tools(
    write: Callable[[list[Message]], str],
    question: str,
    tools: Sequence[Tool],
    *,
    max_steps: int = 4,
    system: str | None = None,
) -> ToolRun:
    """Let a model answer with tools, in at most max_steps turns. Lecture 17.

    write: messages -> the model's next turn, for example generate over `encode_chat(tokenizer, messages)`. After a call
    its result comes as the user's next message, after a bad one an error message, which the model may mend; no call
    raises here. What the model writes after a call is dropped: it would be a result of its own invention.
    system: by default `tool_instructions(tools)`.
    """
    if max_steps < 1:
        raise ValueError(f"max_steps={max_steps} must be at least 1, the turns of the model")
    if len({tool.name for tool in tools}) < len(tools):
        raise ValueError("tools holds two of the same name: rename one")
    messages = [
        {"role": "system", "content": tool_instructions(tools) if system is None else system},
        {"role": "user", "content": question},
    ]
    steps: list[ToolStep] = []
    for _ in range(max_steps):
        written = write([dict(message) for message in messages])
        match = CALL.search(written)
        if match is None:
            steps.append(ToolStep(written))
            messages.append({"role": "assistant", "content": written})
            return ToolRun(written.strip(), "answer", steps, messages)
        written = written[: match.end()]
        call = None
        try:
            call = parse_call(written, tools)
            result, failed = run_call(call, tools), False
        except ToolError as error:
            result, failed = f"Error: {error}", True
        steps.append(ToolStep(written, call, result, failed))
        messages.append({"role": "assistant", "content": written})
        messages.append({"role": "user", "content": f"<result>{result}</result>"})
    return ToolRun(None, "steps", steps, messages)


def calculator_tool() -> Tool:
    """`calculate` as a tool."""
    return Tool("calculator", "the value of an arithmetic expression", {"expression": "string"}, calculate)


def search_tool(retriever: Retriever, passages: Sequence[Passage], *, k: int = 2, max_words: int = 80) -> Tool:
    """A search in a library of passages as a tool: titles and the first words of the k best."""

    def search(query: str) -> str:
        found = [passages[hit.document] for hit in retriever.search(query, k)]
        if not found:
            return "nothing was found; try other words"
        return "\n".join(f"{passage.title}: {' '.join(passage.text.split()[:max_words])}" for passage in found)

    return Tool("search", "passages of the documentation that match the query", {"query": "string"}, search)
