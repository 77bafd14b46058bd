"""generate and stream: equal to the plain uncached loop, in any batch, and refusing early what can only fail."""

import pytest
import torch

from llmlib.infer import generate, stream
from llmlib.model import ModelConfig, Transformer
from llmlib.text import ByteTokenizer

BYTES = ByteTokenizer()
FAMILIES = {
    "gpt2": dict(norm="layernorm", mlp="gelu_tanh", position="learned", bias=True),
    "llama": dict(n_kv_heads=2, position="rope"),
    "no positions": dict(position="none", mlp="relu2"),
}


def tiny_model(family="llama", **changes):
    torch.manual_seed(0)
    settings = dict(vocab_size=256, n_layers=2, d_model=32, n_heads=4, max_seq_len=24)
    model = Transformer(ModelConfig(**settings | FAMILIES[family] | changes)).eval()
    with torch.no_grad():  # larger weights than at birth, so that greedy choices have a clear margin
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(8)
    return model


def plain_greedy(model, ids, n):
    """The definition: read everything again for each token, at most the last max_seq_len."""
    ids = list(ids)
    for _ in range(n):
        with torch.no_grad():
            logits = model(torch.tensor([ids[-model.config.max_seq_len :]]))
        ids.append(int(logits[0, -1].argmax()))
    return ids[-n:]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Scripted(torch.nn.Module):
    """Writes a given list of tokens, whatever it reads."""

    def __init__(self, script):
        super().__init__()
        self.config = ModelConfig(vocab_size=256, n_layers=1, d_model=8, n_heads=1, max_seq_len=1024)
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.script, self.read = list(script), 0

    def hidden(self, ids, cache=None, pad_mask=None):
        return torch.zeros(*ids.shape, 8)

    def forward(self, ids, cache=None, pad_mask=None):
        return self.head(self.hidden(ids))

    def head(self, h):
        logits = torch.zeros(*h.shape[:-1], 256)
        logits[..., self.script[self.read]] = 9.0
        self.read += 1
        return logits


# --- equal to the definition ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_the_uncached_loop(family):
    model = tiny_model(family)
    prompt = [7, 200, 31, 4]
    assert generate(model, prompt, greedy=True, max_new_tokens=15) == plain_greedy(model, prompt, 15)


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_rows_do_not_depend_on_their_batch(family):
    model = tiny_model(family)
    prompts = [[1], [9, 8, 7, 6, 5, 4, 3], [50, 60], [9, 8, 7, 6, 5, 4, 3], [77, 5, 120, 13]]
    together = generate(model, prompts, greedy=True, max_new_tokens=12)
    assert together == [generate(model, prompt, greedy=True, max_new_tokens=12) for prompt in prompts]
    assert generate(model, prompts[::-1], greedy=True, max_new_tokens=12) == together[::-1]


@pytest.mark.parametrize("family", FAMILIES)
def test_sliding_equals_the_uncached_loop_before_at_and_beyond_the_end_of_the_context(family):
    model = tiny_model(family, max_seq_len=10)
    prompts = [[3, 1, 4], list(range(40, 50)), list(range(100, 117)), [200]]
    expected = [plain_greedy(model, prompt, 16) for prompt in prompts]
    assert generate(model, prompts, greedy=True, max_new_tokens=16, sliding=True) == expected
    assert generate(model, prompts[0], greedy=True, max_new_tokens=16, sliding=True) == expected[0]


def test_the_whole_context_can_be_used_without_sliding():
    model = tiny_model(max_seq_len=10)
    assert len(generate(model, [1, 2, 3], greedy=True, max_new_tokens=8)) == 8  # the eighth is written, never read


def test_sampling_repeats_with_its_generator_and_leaves_the_global_one_alone():
    model, settings = tiny_model(), dict(temperature=0.9, top_k=40, max_new_tokens=12)
    state = torch.get_rng_state()
    first = generate(model, [[1, 2], [3]], generator=seeded(5), **settings)
    assert first == generate(model, [[1, 2], [3]], generator=seeded(5), **settings)
    assert first != generate(model, [[1, 2], [3]], generator=seeded(6), **settings)
    assert torch.equal(torch.get_rng_state(), state)


def test_answers_come_in_the_shape_of_the_question():
    model, settings = tiny_model(), dict(tokenizer=BYTES, greedy=True, max_new_tokens=5)
    ids = generate(model, BYTES.encode("To be"), greedy=True, max_new_tokens=5)
    assert generate(model, [BYTES.encode("To be")], greedy=True, max_new_tokens=5) == [ids]
    assert generate(model, "To be", **settings) == BYTES.decode(ids)
    assert generate(model, ["To be", "x"], **settings)[0] == BYTES.decode(ids)
    assert generate(model, [5], greedy=True, max_new_tokens=0) == []
    assert generate(model, ["a", "b"], tokenizer=BYTES, max_new_tokens=0) == ["", ""]


def test_dropout_is_off_while_generating_and_every_module_keeps_its_mode():
    model = tiny_model(dropout=0.5)
    expected = generate(model, [1, 2, 3], greedy=True, max_new_tokens=10)
    model.train()
    model.blocks[0].eval()
    assert generate(model, [1, 2, 3], greedy=True, max_new_tokens=10) == expected
    assert model.training and not model.blocks[0].training
    pieces = stream(model, "abc", tokenizer=BYTES, max_new_tokens=10, greedy=True)
    next(pieces)
    assert model.training  # also between two pieces


def test_a_model_can_be_trained_after_generating():
    model = tiny_model().train()
    generate(model, [1, 2, 3], max_new_tokens=4)
    model(torch.tensor([[1, 2, 3]])).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_a_row_ends_before_its_stop_token_and_the_others_go_on():
    model = tiny_model()
    free = generate(model, [[1, 2], [3, 4, 5]], greedy=True, max_new_tokens=10)
    stop = free[0][4]
    stopped = generate(model, [[1, 2], [3, 4, 5]], greedy=True, max_new_tokens=10, stop_tokens=[stop])
    assert stopped == [row[: row.index(stop)] if stop in row else row for row in free]
    assert len(stopped[0]) <= 4


def test_generation_ends_when_every_row_has_ended():
    model = Scripted(b"abcdefgh")
    assert generate(model, [[1], [2, 3]], max_new_tokens=8, greedy=True, stop_tokens=[ord("c")]) == [[97, 98]] * 2
    assert model.read == 3


@pytest.mark.parametrize("stop_strings", [["\nUser:"], ["zzz", "\nUser:"], ["r:", "\nUser:"]])
def test_stop_strings_cut_the_text_and_keep_the_tokens(stop_strings):
    script = b"Well.\nUse it.\nUser: hm"
    text = generate(Scripted(script), "q", tokenizer=BYTES, max_new_tokens=22, greedy=True, stop_strings=stop_strings)
    assert text == "Well.\nUse it."
    ids = generate(Scripted(script), [1], tokenizer=BYTES, max_new_tokens=22, greedy=True, stop_strings=stop_strings)
    assert bytes(ids) == b"Well.\nUse it.\nUser:"


def test_stream_gives_whole_characters_and_never_the_beginning_of_a_stop_string():
    script = "Né \N{GRINNING FACE}!\nUse\nUser: no".encode()
    pieces = list(
        stream(
            Scripted(script), "q", tokenizer=BYTES, max_new_tokens=len(script), greedy=True, stop_strings=["\nUser:"]
        )
    )
    assert pieces == ["N", "é", " ", "\N{GRINNING FACE}", "!", "\nUse"]


def test_stream_ends_an_unfinished_character_as_generate_does():
    script = "ok \N{GRINNING FACE}".encode()[:-1]
    arguments = dict(tokenizer=BYTES, max_new_tokens=len(script), greedy=True)
    assert list(stream(Scripted(script), "q", **arguments)) == ["o", "k", " ", "\ufffd"]
    assert generate(Scripted(script), "q", **arguments) == "ok \ufffd"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stopping", [{}, {"stop_strings": ["e", "\x00"]}, {"stop_tokens": [10, 65, 130]}])
def test_stream_joined_equals_generate(seed, stopping):
    model = tiny_model(max_seq_len=16)
    arguments = dict(tokenizer=BYTES, max_new_tokens=30, sliding=True, temperature=1.3, **stopping)
    pieces = list(stream(model, "To be", generator=seeded(seed), **arguments))
    assert "".join(pieces) == generate(model, "To be", generator=seeded(seed), **arguments)
    assert all(pieces)


# --- bad input --------------------------------------------------------------------------------------------------------

REFUSED = {
    "empty text": (dict(prompts="", tokenizer=BYTES), ["prompt is empty", "at least one token"]),
    "empty row": (dict(prompts=[[1], []]), ["prompts[1] is empty"]),
    "no prompts": (dict(prompts=[]), ["prompt is empty"]),
    "no tokenizer": (dict(prompts="hi"), ["tokenizer is None", "list of token ids"]),
    "token too large": (
        dict(prompts=[[1], [2, 256]], max_new_tokens=4),
        ["prompts[1]", "256", "0 to 255", "tokenizer"],
    ),
    "token negative": (dict(prompts=[-1], max_new_tokens=4), ["prompt contains token -1", "0 to 255"]),
    "temperature 0": (dict(prompts=[1], temperature=0), ["temperature=0", "greedy=True"]),
    "negative count": (dict(prompts=[1], max_new_tokens=-1), ["max_new_tokens=-1", "0 or more"]),
    "context overflow": (dict(prompts=[1] * 20, max_new_tokens=6), ["max_seq_len=24", "at most 5", "sliding=True"]),
    "prompt too long": (dict(prompts=[1] * 25, max_new_tokens=1), ["25 tokens", "max_seq_len=24", "shorter prompt"]),
    "stop without tokenizer": (dict(prompts=[1], stop_strings=["x"]), ["stop_strings", "stop_tokens"]),
    "stop as text": (dict(prompts="a", tokenizer=BYTES, stop_strings="END"), ["'END'", "list"]),
    "empty stop": (dict(prompts="a", tokenizer=BYTES, stop_strings=[""]), ["stop_strings contains ''", "remove"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_line_before_anything_is_computed(case, monkeypatch):
    arguments, words = REFUSED[case]
    model = tiny_model()
    monkeypatch.setattr(model, "hidden", lambda *_, **__: pytest.fail("the model was run"))
    with pytest.raises(ValueError) as error:
        generate(model, **arguments)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_stream_refuses_at_the_call_and_not_at_the_first_piece():
    with pytest.raises(ValueError, match="temperature=0"):
        stream(tiny_model(), "a", tokenizer=BYTES, temperature=0)
    with pytest.raises(ValueError, match="tokenizer is None"):
        stream(tiny_model(), [1], tokenizer=None)


def test_an_encoder_cannot_write_and_a_tensor_is_not_a_prompt():
    with pytest.raises(ValueError, match="causal=False"):
        generate(tiny_model(causal=False), [1, 2])
    with pytest.raises(TypeError, match=r"\.tolist\(\)"):
        generate(tiny_model(), torch.tensor([1, 2]))
    with pytest.raises(TypeError, match="topk"):
        generate(tiny_model(), [1, 2], topk=3)
