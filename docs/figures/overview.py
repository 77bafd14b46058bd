"""Draw the README's figure from recorded runs, eight results and 21 lectures: `python docs/figures/overview.py`."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from courseware.classroom.pictures import COLORS, setup_style
from llmlib.data import recorded

BLUE, RED, GREY = COLORS["blue"], COLORS["red"], "#9A9A9A"
PARTS = {  # part of the course -> colour and its lectures
    "count, cut, attend": ("blue", ["00 check yourself", "01 n-grams", "02 tokens", "03 attention to GPT"]),
    "build": ("sky", ["04 a modern LLM", "05 encoders, decoders", "06 mixture of experts"]),
    "train": ("green", ["07 pre-training", "08 scaling laws", "09 memorise or generalise"]),
    "align": ("orange", ["10 prompting", "11 fine-tuning", "12 reward models", "13 PPO and rivals"]),
    "adapt": ("pink", ["14 LoRA", "15 four bits", "16 reasoning"]),
    "use": ("red", ["17 retrieval, tools", "18 evaluating, attacking", "19 beyond text", "20 capstone"]),
}


def means(runs: list[dict], key: str = "report") -> float:
    return float(np.mean([run[key] for run in runs]))


def bars(ax: Axes, values: dict[str, float], marked: set[str], fmt: str = "{:.0f}") -> None:
    """Horizontal bars from the top down with their numbers; the marked ones in blue, the others in grey."""
    names = list(values)[::-1]
    drawn = ax.barh(names, [values[n] for n in names], color=[BLUE if n in marked else GREY for n in names], height=0.7)
    ax.bar_label(drawn, [fmt.format(values[n]) for n in names], padding=3, fontsize=9)
    ax.set_xlim(0, 1.25 * max(values.values()))
    ax.set_xticks([])
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False)
    ax.spines["bottom"].set_visible(False)


def twins(ax: Axes) -> None:
    runs = recorded("tokens_twins")["results"]["runs"]
    of = {n: 100 * means([r for r in runs if r["name"] == n and r["steps"] == 600], "accuracy") for n in
          ("characters", "BPE", "BPE, spells first")}  # fmt: skip
    bars(ax, {"sees letters": of["characters"], "BPE tokens": of["BPE"], "spells first": of["BPE, spells first"]},
         {"BPE tokens"})  # fmt: skip
    ax.set_title("02: letters counted right (%)\nby twins with other tokens")


def recipe(ax: Axes) -> None:
    race = recorded("pretraining_race")["results"]
    whole = means(race["race"]["muon"])
    lost = {"Muon": race["race"]["adamw, matrices"], "the shape": race["ablation"]["plain shape"],
            "both": race["ablation"]["plain shape, adamw"]}  # fmt: skip
    bars(ax, {name: means(runs) - whole for name, runs in lost.items()}, {"both"}, "{:.2f}")
    ax.set_title("07: bits lost when one thing is\ntaken out of a fast recipe")


def bet(ax: Axes) -> None:
    grid = recorded("scaling_sweep")["results"]["grid"]
    budgets = sorted({run["budget"] for run in grid})
    best = [min(run["report"] for run in grid if run["budget"] == budget) for budget in budgets]
    said, ran = recorded("scaling_prediction")["results"], recorded("scaling_held_out")["results"]
    ax.loglog(budgets, best, "o", color=GREY, markersize=4)
    low, high = said["interval"]
    ax.errorbar([said["compute"]], [said["loss"]], [[said["loss"] - low], [high - said["loss"]]], fmt="_", color=BLUE,
                markersize=11, capsize=3, label="predicted")  # fmt: skip
    ax.plot([said["compute"]], [ran["report"]], "x", color=RED, markersize=7, label="trained afterwards")
    ax.set_yticks([1.4, 1.8, 2.4], ["1.4", "1.8", "2.4"])
    ax.minorticks_off()
    ax.set_xlabel("operations")
    ax.legend(fontsize=8.5, loc="lower left", frameon=False)
    ax.set_title("08: loss (nats a byte) of a run,\npredicted before it was made")


def tail(ax: Axes) -> None:
    facts = recorded("long_tail_facts")["results"]
    for condition, color, label in (("mentions", BLUE, "same text"), ("compute", RED, "same operations")):
        of = {run["parameters"]: [] for run in facts["runs"]}
        for run in facts["runs"]:
            if run["condition"] == condition:
                of[run["parameters"]].append(100 * run["tenths"][-1])
        sizes = sorted(size for size, seeds in of.items() if seeds)
        ax.semilogx(sizes, [np.mean(of[size]) for size in sizes], "o-", color=color, markersize=4)
        place = 1 if condition == "compute" else -1  # where the two lines are apart
        ax.annotate(
            label,
            (sizes[place], np.mean(of[sizes[place]])),
            xytext=(6, 9) if place == 1 else (-12, 0),
            textcoords="offset points",
            ha="center" if place == 1 else "right",
            fontsize=9,
            color=color,
        )
    ax.set(xlabel="parameters", ylim=(0, 105))
    ax.minorticks_off()
    ax.set_title("09: rare facts known\n(%), by size of the model")


def cue(ax: Axes) -> None:
    results = recorded("planted_cue")["results"]
    counts = {name: results["trained"][name]["32"]["planted"] for name in ("fine-tuned", "bag of words", "frozen head")}
    counts["prompted"] = results["prompted"]["32"]["planted"]["own"]
    right = {name: 100 * float(np.mean(of["reversed"])) / results["n"] for name, of in counts.items()}
    bars(ax, right, {"prompted"})
    ax.set_title("10: right (%) when a cue of the\nexamples is turned round")


def goodhart(ax: Axes) -> None:
    runs = recorded("alignment_overoptimisation")["results"]["runs"]
    points = np.array([next(p["points"] for p in run["paths"] if p["kl_coef"] == 0) for run in runs])
    for column, color, label, where in ((2, RED, "reward model", 1.05), (3, BLUE, "true reward", -0.9)):
        for row in points:
            ax.plot(row[:, 0], row[:, column], color=color, alpha=0.3, linewidth=1)
        ax.plot(points[0, :, 0], points[..., column].mean(0), color=color, linewidth=2)
        ax.text(60, where, label, color=color, fontsize=9, ha="right", va="top")
    ax.set(xlabel="updates", ylim=(-1.3, 1.9))
    ax.set_title("13: what is paid for rises,\nwhat is wanted falls")


def shell(ax: Axes) -> None:
    runs = [run for run in recorded("chain_of_thought")["results"]["runs"] if run["task"] == "shell game, 12 swaps"]
    ways = {"steps": "steps written", "direct": "at once", "deeper": "4x layers", "auxiliary heads": "step labels",
            "filler": "dots", "shuffled": "shuffled steps"}  # fmt: skip
    bars(ax, {short: means([r for r in runs if r["way"] == way], "right") for way, short in ways.items()},
         {"steps written"})  # fmt: skip
    ax.tick_params(axis="y", labelsize=8.5)
    ax.set_title("16: shell games right (%), and\nwhat is not the reason")


def leak(ax: Axes) -> None:
    runs = recorded("contamination")["results"]["runs"]

    def of(copies: int, how: str, part: str) -> float:
        chosen = [run[part]["as planted"] for run in runs if (run["copies"], run["how"]) == (copies, how)]
        return 100 * float(np.mean(chosen))

    bars(ax, {"not read": of(0, "copied", "planted"), "read 16 times": of(16, "copied", "planted"),
              "reworded": of(16, "reworded", "planted"), "its neighbours": of(16, "copied", "clean")},
         {"read 16 times", "reworded"})  # fmt: skip
    ax.set_title("18: leaked questions right\n(%), once they were read")


def course(ax: Axes) -> None:
    """The lectures in their parts, one column each."""
    ax.axis("off")
    ax.set(xlim=(0, len(PARTS)), ylim=(-4.1, 1))
    for column, (part, (color, lectures)) in enumerate(PARTS.items()):
        ax.plot([column + 0.02, column + 0.92], [0.22, 0.22], color=COLORS[color], linewidth=5, solid_capstyle="butt")
        ax.text(column + 0.02, 0.48, part, fontsize=11, weight="bold")
        for row, name in enumerate(lectures):
            ax.text(column + 0.02, -0.55 - row, name, fontsize=9.5)


def main() -> None:
    setup_style()
    plt.rcParams.update({"axes.titlesize": 10.5, "axes.titlelocation": "left", "font.size": 9.5, "axes.labelsize": 9.5})
    plt.rcParams.update({"xtick.labelsize": 8.5, "ytick.labelsize": 9.5, "axes.titlepad": 6})
    fig = plt.figure(figsize=(12, 7.2), layout="constrained")
    grid = fig.add_gridspec(3, 4, height_ratios=[1, 1, 0.72])
    for place, draw in enumerate((twins, recipe, bet, tail, cue, goodhart, shell, leak)):
        ax = fig.add_subplot(grid[place // 4, place % 4])
        draw(ax)
        ax.spines[["top", "right"]].set_visible(False)
    course(fig.add_subplot(grid[2, :]))
    target = Path(__file__).with_name("overview.png")
    fig.savefig(target, dpi=100)
    print(f"wrote {target.name}, {target.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
