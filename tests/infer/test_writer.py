"""What a writer counts, and how thoughts go on; with a model whose next token is known."""

import pytest
import torch
from torch import nn

from llmlib.data import ShellGame, step_verifier
from llmlib.infer import Budget, OutOfBudget, Thought, Writer, generate, verified_steps
from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer

ALPHABET = "abc;\n"
TOKENS = CharTokenizer(ALPHABET)


class Parrot(Transformer):
    """Writes what a table says comes after a character: "a" is followed by "b" and so on, with certainty."""

    def __init__(self, after):
        super().__init__(ModelConfig(vocab_size=len(ALPHABET), n_layers=1, d_model=8, n_heads=1, max_seq_len=64))
        self.table = torch.full((len(ALPHABET), len(ALPHABET)), -1e4)
        for char, following in after.items():
            for other in following:
                self.table[TOKENS.encode(char)[0], TOKENS.encode(other)[0]] = 0.0
        self.head = nn.Identity()

    def forward(self, ids, **inputs):
        super().hidden(ids, **inputs)  # so that the cache is filled
        return self.table[ids]


WORDS = Parrot({"a": "b", "b": "c", "c": ";", ";": "a", "\n": "a"})


def test_tokens_are_those_that_were_sampled():
    writer = Writer(WORDS, TOKENS, max_new_tokens=5, stop_tokens=TOKENS.encode(";"))
    (one, two), (three, _) = writer(["a", "aab"], n=2)
    assert one == two and (one.text, one.tokens, one.finish) == ("bc", TOKENS.encode("bc;"), "stop_token")
    assert three.text == "c" and one.logprob == pytest.approx(0, abs=1e-4)
    assert (writer.budget.generated, writer.budget.read, writer.budget.calls) == (3 + 3 + 2 + 2, 4, 1)
    [[four]] = writer([TOKENS.encode("a")], stop_tokens=(), stop_strings=["c;"])
    assert four.text == "b" and four.finish == "stop_string" and len(four.tokens) == 3
    [[five]] = writer(["a"], stop_tokens=(), max_new_tokens=2)
    assert (five.text, five.finish) == ("bc", "length")


def test_rows_are_written_a_batch_at_a_time():
    writer = Writer(WORDS, TOKENS, max_new_tokens=2, batch_size=2)
    assert [[one.text for one in group] for group in writer(["a", "b", "c", ";", "a"])] == [
        ["bc"],
        ["c;"],
        [";a"],
        ["ab"],
        ["bc"],
    ]
    assert writer.budget.calls == 3
    assert len(writer(["a"], n=5)[0]) == 5
    with pytest.raises(ValueError, match="batch_size=0"):
        Writer(WORDS, TOKENS, batch_size=0)


def test_a_writer_samples_as_generate_does():
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=5, n_layers=1, d_model=16, n_heads=2, max_seq_len=32))
    chance = [torch.Generator().manual_seed(3) for _ in range(2)]
    writer = Writer(model, TOKENS, max_new_tokens=6, generator=chance[0], temperature=0.8)
    texts = [one.text for one in writer(["ab"], n=4)[0]]
    assert texts == generate(model, "ab", tokenizer=TOKENS, n=4, max_new_tokens=6, generator=chance[1], temperature=0.8)
    assert writer(["ab"], greedy=True)[0][0].text == generate(
        model, "ab", tokenizer=TOKENS, max_new_tokens=6, greedy=True
    )


def test_a_budget_refuses_the_call_after_the_one_that_spent_it():
    writer = Writer(WORDS, TOKENS, max_new_tokens=4, budget=Budget(limit=6))
    writer(["a"])
    assert writer.budget.left == 2
    writer(["a"])
    assert (writer.budget.left, writer.budget.generated) == (0, 8)
    with pytest.raises(OutOfBudget, match=r"limit=6 generated tokens are spent \(8\)"):
        writer(["a"])
    assert writer.budget.generated == 8 and Budget().left == float("inf")


def test_thoughts_go_on_by_one_part():
    writer = Writer(WORDS, TOKENS, max_new_tokens=8)
    [[first, same]] = writer.think([Thought("\n")], n=2)
    assert first == same == Thought("\n", ("abc",)) and first.tokens == 4 and first.text == "\nabc;" and not first.ended
    [[second]] = writer.think([first])
    assert second.parts == ("abc", "abc") and second.reply == "abc;abc"
    [[cut]] = writer.think([second], max_new_tokens=2)
    assert cut.ended and cut.parts[-1] == "ab" and writer.think([cut]) == [[]]
    assert writer.think([cut, first])[1] == [second]


def test_an_end_ends_a_thought():
    ending = Writer(Parrot({"a": "b", "b": "\n", ";": "\n"}), TOKENS, max_new_tokens=8)
    [[whole]] = ending.think([Thought("a")])
    assert whole == Thought("a", ("b",), ended=True) and whole.tokens == 2
    [[after]] = ending.think([Thought("a", ("b",))])  # "ab;" and then the end at once: no part of its own
    assert after == Thought("a", ("b",), ended=True)
    [[nothing]] = ending.think([Thought("b")])
    assert nothing == Thought("b", ("",), ended=True), "an empty reply"


def test_without_a_separator_a_part_is_a_token():
    writer = Writer(Parrot({"a": "b", "b": "c", "c": "\n"}), TOKENS, max_new_tokens=8)
    state = Thought("a", separator="")
    for expected in ["b", "bc", "bc"]:
        [[state]] = writer.think([state])
        assert state.reply == expected and state.tokens == 1
    assert state.ended and state.parts == ("b", "c")
    with pytest.raises(ValueError, match=r"separators \['', ';'\]"):
        writer.think([Thought("a"), Thought("a", separator="")])
    with pytest.raises(ValueError, match="'bc' is 2 tokens"):
        writer.think([Thought("a", separator="bc")])


# --- verified steps ---------------------------------------------------------------------------------------------------


def scripted(*attempts):
    """Thoughts that go on by what a script says next, for each prompt its own; one token a character and one more."""
    scripts = {str(i): iter(script) for i, script in enumerate(attempts)}

    def think(thoughts):
        found = []
        for thought in thoughts:
            part = next(scripts[thought.prompt])
            ended = part.endswith("!")
            part = part.rstrip("!")
            found.append([Thought(thought.prompt, (*thought.parts, part), thought.separator, ended, len(part) + 1)])
        return found

    return think


def test_a_rejected_step_is_written_anew_and_costs_its_tokens():
    accept = lambda i, parts, ended: parts[-1] != "bad"
    first, second = verified_steps(scripted(["a", "bad", "bad", "b", "c!"], ["x", "y!"]), ["0", "1"], accept, retries=2)
    assert (first.reply, first.tokens, first.rejected, first.gave_up, first.ended) == ("a;b;c", 14, 2, False, True)
    assert (second.reply, second.tokens, second.rejected) == ("x;y", 4, 0)


def test_when_retries_are_used_up_the_last_attempt_stays():
    accept = lambda i, parts, ended: not parts[-1].startswith("bad")
    [found] = verified_steps(scripted(["bad1", "bad2", "bad3", "bad4", "ok!"]), ["0"], accept, retries=1)
    assert (found.reply, found.rejected, found.gave_up) == ("bad2;bad4;ok", 2, True)
    [plain] = verified_steps(scripted(["bad1", "bad2!"]), ["0"], accept, retries=0)
    assert (plain.reply, plain.rejected, plain.tokens) == ("bad1;bad2", 0, 10)
    [short] = verified_steps(scripted(["a", "b", "c!"]), ["0"], accept, max_steps=2)
    assert (short.reply, short.ended) == ("a;b", False)
    with pytest.raises(ValueError, match="retries=-1"):
        verified_steps(scripted([]), [], accept, retries=-1)


def test_a_perfect_judge_of_steps_repairs_a_guessing_model():
    """A model that knows nothing of the game but the cups, with eight tries a step, is right wherever it was let."""
    import random

    task, rng = ShellGame(3, 4), random.Random(0)
    problems = task.problems(40, rng)
    guess = lambda thoughts: [
        [Thought(t.prompt, (*t.parts, rng.choice("123")), "", len(t.parts) == 3, 1)] for t in thoughts
    ]  # fmt: skip
    judged = verified_steps(guess, [p.prompt for p in problems], step_verifier(task, problems), retries=8, separator="")
    plain = verified_steps(guess, [p.prompt for p in problems], step_verifier(task, problems), retries=0, separator="")
    right = lambda replies: [task.chain_is_right(p, r.reply) for p, r in zip(problems, replies)]
    assert right(judged) == [not reply.gave_up for reply in judged] and sum(right(judged)) >= 34
    assert sum(right(plain)) <= 4, "one in 81 by luck"
    assert all(reply.tokens == 4 + reply.rejected for reply in judged)
