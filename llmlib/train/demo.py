"""Train a GPT on Shakespeare while you watch: `python -m llmlib.train`, and what `make demo` runs."""

import itertools
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable

import torch

from llmlib.data import split_text, tiny_shakespeare
from llmlib.model import ModelConfig, Transformer, default_device
from llmlib.text import CharTokenizer
from llmlib.train.checkpoint import save_checkpoint
from llmlib.train.config import TrainConfig
from llmlib.train.evaluation import bits, count_baselines, evaluate_loss
from llmlib.train.loop import Trainer
from llmlib.train.progress import can_write, clock

SAMPLE_AT = (0.03, 0.1, 0.25, 0.55)  # shares of the run after which a sample is printed: most is learned early
SAMPLE_CHARACTERS = 150
QUICK_CHARACTERS = 16_385  # of the held-out text are judged during the run; all of it at the end
TEMPERATURE = 0.7


class Screen:
    """Prints indented lines, with a little colour where a terminal shows it."""

    def __init__(self) -> None:
        self.coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.edge = "│" if can_write(sys.stdout, "│") else "|"
        self.width = min(shutil.get_terminal_size((100, 24)).columns, 100) - 4

    def paint(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.coloured else text

    def line(self, text: str = "", code: str | None = None, indent: int = 0) -> None:
        """One line, broken between words where the terminal is narrow; what is broken off is indented."""
        fits = len(text) <= self.width
        for part in [text] if fits else textwrap.wrap(text, self.width, subsequent_indent=" " * indent):
            print("  " + (self.paint(part, code) if code else part) if part else "", flush=True)

    def title(self, text: str) -> None:
        self.line()
        self.line(text, "1")

    def quote(self, text: str) -> None:
        """A sample, wrapped, behind a vertical edge; control characters of an untrained model do no harm."""
        for row in text.strip("\n").split("\n"):
            for part in textwrap.wrap(row, self.width - 2, drop_whitespace=False) or [""]:
                print("  " + self.paint(self.edge, "2") + " " + self.paint(part, "36"), flush=True)

    def type(self, pieces: Iterable[str]) -> None:
        """Text as it comes, a word at a time, broken between words where the terminal ends."""
        word, column = "", 0
        sys.stdout.write("  ")
        for character in itertools.chain.from_iterable(pieces):
            word += character
            if character.isspace() or len(word) >= self.width:
                column = self._type_word(word, column)
                word = ""
        self._type_word(word, column)
        print(flush=True)

    def _type_word(self, word: str, column: int) -> int:
        if column and column + len(word.rstrip()) > self.width:
            sys.stdout.write("\n  ")
            column = 0
        sys.stdout.write(word.replace("\n", "\n  "))
        sys.stdout.flush()
        return 0 if "\n" in word else column + len(word)


class Commentary:
    """A Trainer callback: at a few moments of the run, the held-out loss in words and a sample."""

    def __init__(self, screen: Screen, baselines: dict[str, float], tokenizer: CharTokenizer, prompt: str, steps: int):
        self.screen, self.baselines, self.tokenizer, self.prompt = screen, baselines, tokenizer, prompt
        self.moments = sorted({max(1, round(share * steps)) for share in SAMPLE_AT} - {steps})
        self.seconds = 0.0

    def __call__(self, trainer: Trainer, event: str) -> None:
        if event == "step" and trainer.step in self.moments:
            started = time.perf_counter()
            loss = trainer.evaluate()
            trainer.progress.clear()
            train_time = clock(trainer.history.training_seconds)
            self.screen.title(f"step {trainer.step}, {train_time} of training: {in_words(loss, self.baselines)}")
            with trainer.averaged():
                self.screen.quote(sample(trainer.model, self.tokenizer, self.prompt))
            self.screen.line()
            self.seconds += time.perf_counter() - started


def in_words(loss: float, baselines: dict[str, float]) -> str:
    """A held-out loss and the best baseline that it beats."""
    beaten = [name for name, value in baselines.items() if loss < value]
    verdict = f"better than {COUNTERS[beaten[-1]]}" if beaten else "no better than guessing"
    return f"{loss:.2f} nats, {bits(loss):.2f} bits a character, {verdict}"


COUNTERS = {"uniform": "guessing", "unigram": "counting characters", "bigram": "counting pairs of characters"}


def sample(model: Transformer, tokenizer: CharTokenizer, prompt: str, length: int = SAMPLE_CHARACTERS) -> str:
    """The prompt and a continuation, the same for the same model."""
    from llmlib.infer import generate  # only here: training itself does without

    generator = torch.Generator(next(model.parameters()).device).manual_seed(0)
    options = dict(tokenizer=tokenizer, max_new_tokens=length, temperature=TEMPERATURE, generator=generator)
    return prompt + generate(model, prompt, sliding=True, **options)


def run_demo(
    model_config: ModelConfig,
    config: TrainConfig,
    *,
    out: str | None = None,
    prompt: str = "ROMEO:",
    characters: int = 600,
) -> float:
    """Train with a running commentary, stream a last sample; returns the loss on all of the held-out text, in nats."""
    from llmlib.infer import stream

    began = time.perf_counter()
    screen = Screen()
    device = torch.device(config.device or default_device())
    train_text, val_text = split_text(tiny_shakespeare())
    tokenizer = CharTokenizer.from_text(train_text + val_text)
    tokenizer.encode(prompt)  # a prompt that cannot be encoded is refused before the training, not after
    train_tokens, val_tokens = (torch.tensor(tokenizer.encode(text)) for text in (train_text, val_text))
    baselines = count_baselines(train_tokens, val_tokens, tokenizer.vocab_size)
    torch.manual_seed(config.seed)
    model = Transformer(model_config.replace(vocab_size=tokenizer.vocab_size))
    commentary = Commentary(screen, baselines, tokenizer, prompt, config.steps)
    trainer = Trainer(
        model,
        config.replace(eval_every=0),
        train_tokens,
        evaluate=val_tokens[:QUICK_CHARACTERS],
        callbacks=[commentary],
    )

    screen.title("NEXT TOKEN: a GPT learns to write like Shakespeare")
    screen.line(f"the task   read {config.seq_len} characters, say which comes next")
    screen.line(
        f"the text   tiny Shakespeare: {len(train_text):,} characters to learn from, {len(val_text):,} held out, "
        f"{tokenizer.vocab_size} different",
        indent=11,
    )
    screen.line(
        f"the model  {model_config.n_layers} layers, {model_config.d_model} wide, {model_config.n_heads} heads: "
        f"{model.num_parameters() / 1e6:.2f} million parameters, all of them random so far",
        indent=11,
    )
    threads = torch.get_num_threads()
    cores = f", {threads} thread{'s' * (threads > 1)}" if device.type == "cpu" else ""
    screen.line(f"runs on    {device.type}{cores}")
    screen.title("loss on the held-out text    nats  bits/character")
    for name, loss in baselines.items():
        screen.line(f"{COUNTERS[name]:28} {loss:5.2f} {bits(loss):6.2f}")
    screen.title("before training")
    screen.quote(sample(model, tokenizer, prompt))
    screen.line()

    history = trainer.run()
    loss = evaluate_loss(model, val_tokens, config.seq_len)
    trained = time.perf_counter()
    screen.title(f"after {trainer.step} steps, all of the held-out text: {in_words(loss, baselines)}")
    screen.title(f"and now it writes ({characters} characters, as they come)")
    screen.line()
    generator = torch.Generator(device).manual_seed(config.seed)
    options = dict(tokenizer=tokenizer, max_new_tokens=characters, temperature=TEMPERATURE, generator=generator)
    screen.type(itertools.chain([prompt], stream(model, prompt, sliding=True, **options)))
    ended = time.perf_counter()
    speed = trainer.step * config.tokens_per_step / history.training_seconds
    screen.title(
        f"{clock(ended - began)} in all: {clock(history.training_seconds)} of training "
        f"({speed:,.0f} characters a second), {clock(ended - trained)} for the last sample"
    )
    if out is not None:
        path = save_checkpoint(out, model, trainer.optimizers, trainer.step, tokenizer)
        screen.line(f"saved in {path}: llmlib.train.load_checkpoint({str(path)!r}) brings it back")
    return loss
