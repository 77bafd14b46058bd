"""Record SmolLM2's calls when the program chooses the tool and writes the frame of the call (lecture 17).

    OMP_NUM_THREADS=1 python experiments/tool_routing.py

Questions, tools, loop and judging are those of `tool_calls.py`. A rule chooses: two numbers in the question, the
calculator; the word Python, the search; else none. The model fills in the argument, after three solved questions, and
words the answer. The rule was written with the questions at hand; what is measured is the model's part. Half a minute
of one core.
"""

import re

import tool_calls as lecture
import torch
from quick_writer import QuickWriter

from llmlib.data import Experiment
from llmlib.hub import load_smollm2
from llmlib.retrieval import run_tools, tool_instructions
from llmlib.text import encode_chat


def asked() -> list[tuple]:
    found = [("sum", *pair) for pair in lecture.SUMS] + [("docs", *pair) for pair in lecture.DOCS]
    return found + [("plain", question, None) for question in lecture.PLAIN]


def judged(write, system: str) -> list[dict]:
    rows, given = [], lecture.tools()
    for kind, question, expected in asked():
        run = run_tools(write, question, given, max_steps=3, system=system)
        rows.append(dict(question=question) | lecture.judge(kind, expected, run))
    return rows


def route(question: str) -> str:
    if len(re.findall(r"\d+", question)) >= 2:
        return "calculator"
    return "search" if "Python" in question else ""


def routed() -> dict:
    model, tokenizer = load_smollm2("cpu", fallback=False)
    quick = QuickWriter(model, tokenizer)

    def write(messages: list[dict]) -> str:
        name = route(messages[-1]["content"]) if len(messages) == 2 else ""
        begun = lecture.call(name, "").partition('""')[0] + '"' if name else ""
        ids = encode_chat(tokenizer, [messages[0], *lecture.SHOWN, *messages[1:]])
        said = begun + quick.write([*ids, *(tokenizer.encode(begun) if begun else [])], 40, stop="</tool>").text
        return said + "</tool>" if "<tool>" in said else said

    return dict(arm="routed", seed=0, losses=[], rows=judged(write, tool_instructions(lecture.tools())))


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("tool_routing", script=__file__, modules=["experiments/tool_calls.py", *lecture.MODULES])
    runs = [experiment.once("routed", routed)]
    for run in runs:
        print(run["arm"], run["losses"], [(row["kind"], row["fits"], row["right"], row["said"]) for row in run["rows"]])
    experiment.save(dict(runs=runs))


if __name__ == "__main__":
    main()
