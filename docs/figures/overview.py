"""Draw the README's figure from the recorded runs of lecture 03: `python docs/figures/overview.py`."""

import math
from pathlib import Path

import matplotlib.pyplot as plt

from courseware.classroom.pictures import PALETTE, setup_style
from llmlib.data import recorded, split_text, tiny_shakespeare
from llmlib.text import CharTokenizer, NGramModel

WIDTH = 34  # characters to a line of a sample


def lines(text: str, n: int = 6) -> str:
    """The first n lines of a sample, long ones broken."""
    broken = [
        line[i : i + WIDTH] for line in ("ROMEO:\n" + text).split("\n") for i in range(0, max(1, len(line)), WIDTH)
    ]
    return "\n".join(broken[:n])


def table_of_counts() -> float:
    """Bits per character of Kneser-Ney's order-6 model on the held-out tenth: lecture 01's best."""
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train, held_out = (tokenizer.encode(part) for part in split_text(text, 0.1))
    return NGramModel(6, "kneser_ney", vocab_size=tokenizer.vocab_size).fit(train).bits_per_token(held_out)


def main() -> None:
    setup_style()
    runs = recorded("shakespeare_training")["results"]
    fig = plt.figure(figsize=(11, 5.6))
    grid = fig.add_gridspec(2, 3, height_ratios=[2.1, 1])
    ax = fig.add_subplot(grid[0, :])
    for name, label, color in (
        ("plain", "a plain GPT with AdamW", PALETTE[0]),
        ("fast", "the course's recipe", PALETTE[1]),
    ):
        for i, run in enumerate(runs[name]):
            bits = [loss / math.log(2) for loss in run["val_loss"]]
            ax.plot(run["seconds"], bits, color=color, label=f"{label} (three seeds)" if i == 0 else None)
    counts = table_of_counts()
    ax.axhline(counts, color="0.35", linestyle="--", linewidth=1.6)
    ax.text(118, counts - 0.1, "the best table of counts (Kneser-Ney)", ha="right", va="top", color="0.3")
    ax.set(xlabel="training time (seconds of one core)", ylabel="bits per character", ylim=(1.8, 6.2))
    ax.set_title("A GPT learns Shakespeare on a laptop", loc="left")
    ax.legend()
    first = runs["fast"][0]
    for column, sample in enumerate(first["samples"]):
        box = fig.add_subplot(grid[1, column])
        box.axis("off")
        box.set_title(f"after {first['seconds'][first['steps'].index(sample['step'])]:.0f} s", loc="left", fontsize=12)
        box.text(0, 1, lines(sample["text"]), family="monospace", fontsize=9.5, va="top", transform=box.transAxes)
    target = Path(__file__).with_name("overview.png")
    fig.savefig(target, dpi=110)
    print(f"wrote {target.name}, {target.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
