"""``python -m courseware summary grades.csv --lab 03 --out summary.html``: how a class did, on one page.

Made from the records that ``grade --out grades.csv`` wrote. The page holds its pictures and asks no other host for
anything. It names students unless ``--anonymous``; the likeness of answers is left out then.
"""

import argparse
import html
import sys
from collections.abc import Sequence
from pathlib import Path

from courseware.classroom import cases
from courseware.grading import similarity
from courseware.grading.exports import GradebookError
from courseware.grading.html_page import whole_page
from courseware.grading.records import Record, read_records
from courseware.grading.staff_files import untouched_cells
from courseware.grading.statistics import FEW, Item, common_mistakes, items
from courseware.grading.submission import Cell, SubmissionError
from llmlib.files import write_file

PAIRS = 12  # shown
_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 1.5rem auto; padding: 0 1.2rem; }
h1 { margin: 0 0 .3rem; font-size: 1.7rem; } h2 { margin: 2rem 0 .4rem; font-size: 1.25rem; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #8886; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
img { max-width: 100%; height: auto; background: white; }
.two { display: flex; flex-wrap: wrap; gap: 1rem; align-items: start; }
.hint { border-left: 4px solid #E69F00; padding: .2rem 0 .2rem .8rem; }
.wide { overflow-x: auto; }
@media print { body { margin: 0; } h2 { break-after: avoid; } img, tr { break-inside: avoid; } }"""


def page(records: Sequence[Record], likeness: similarity.Likeness | None = None, *, names: bool = True) -> str:
    """The whole page of one lab. ``names`` False leaves out who got what."""
    lab, found = records[0].lab, items(records)
    scores = [r.report.score for r in records]
    of = max(sum(r.question.points for r in record.report.results) for record in records)
    title = f"{lab.title} ({lab.id}): {len(records)} submissions"
    middle = sorted(scores)[len(scores) // 2] if len(scores) % 2 else _between(sorted(scores))
    head = f"Mean {sum(scores) / len(scores):.1f}, median {middle:g}, of {of} points that the grader gives."
    if written := [r.written_points() for r in records if r.written]:
        head += f" Written answers read: {len(written)}, mean {sum(written) / len(written):.1f} of {lab.staff_points}."
    elif lab.staff_points:
        head += f" Up to {lab.staff_points} more are given by a person; none are yet."
    parts = [f"<h1>{html.escape(title)}</h1>", f"<p>{head}</p>"]
    parts.append(f'<div class="two">{_histogram(scores, of)}{_outcomes(found)}</div>')
    parts += ["<h2>How hard is each question, and whom does it tell apart?</h2>", _questions(found), _table(found)]
    parts += ["<h2>Common mistakes</h2>", _mistakes(records, found)]
    if names and likeness is not None:
        parts += ["<h2>Answers that are alike</h2>", _alike(likeness, lab)]
    if names:
        parts += ["<h2>Points by student</h2>", _students(records, found)]
    return whole_page(title, _STYLE, "\n".join(parts))


def _between(scores: list[int]) -> float:
    return (scores[len(scores) // 2 - 1] + scores[len(scores) // 2]) / 2


# -- pictures --------------------------------------------------------------------------------------------------------


def _picture(draw, alt: str, width: float, height: float) -> str:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from courseware.classroom.pictures import image_html, render, setup_style

    with matplotlib.rc_context():
        setup_style()
        fig, axes = plt.subplots(figsize=(width, height))
        draw(axes)
        return image_html(render(fig), alt)


def _histogram(scores: Sequence[int], of: int) -> str:
    counts = [scores.count(points) for points in range(of + 1)]

    def draw(ax) -> None:
        ax.bar(range(of + 1), counts, width=0.85)
        ax.set(xlabel=f"points (of {of})", ylabel="submissions", xlim=(-0.7, of + 0.7))
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(axis="x", visible=False)

    said = ", ".join(f"{n} with {points}" for points, n in enumerate(counts) if n)
    return _picture(draw, f"Histogram of the points: {said}.", 4.6, 3.3)


def _short(item: Item) -> str:
    return f"{item.question.id.split('.')[1]}  {item.question.title}"


def _outcomes(found: Sequence[Item]) -> str:
    kinds = (("right", "solved", "#009E73"), ("wrong", "wrong", "#D55E00"), ("refused", "refused", "#CC79A7"))
    kinds += (("not started", "not_started", "#BBBBBB"),)

    def draw(ax) -> None:
        rows = range(len(found))[::-1]
        left = [0] * len(found)
        for label, name, colour in kinds:
            values = [getattr(item, name) for item in found]
            if any(values):
                ax.barh(rows, values, left=left, color=colour, label=label, height=0.7)
            left = [a + b for a, b in zip(left, values)]
        ax.set_yticks(list(rows), [item.question.id.split(".")[1] for item in found])
        ax.set(xlabel="submissions", xlim=(0, found[0].n))
        ax.grid(axis="y", visible=False)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, handlelength=1, columnspacing=1)

    said = "; ".join(f"{_short(i)}: {i.solved} right, {i.wrong} wrong, {i.not_started} not started" for i in found)
    return _picture(draw, f"What became of each question. {said}.", 4.6, 3.3)


def _questions(found: Sequence[Item]) -> str:
    import matplotlib.pyplot as plt

    from courseware.classroom.pictures import image_html, render, setup_style

    rows = list(range(len(found)))[::-1]
    with plt.rc_context():
        setup_style()
        fig, (left, right) = plt.subplots(1, 2, figsize=(9.4, 1.2 + 0.38 * len(found)), sharey=True)
        for row, item in zip(rows, found):
            left.plot([item.low, item.high], [row, row], color="#0072B2")
            left.plot(item.share, row, "o", color="#0072B2")
            one = item.discrimination
            if one.r is not None:
                if one.low is not None:
                    right.plot([one.low, one.high], [row, row], color="#D55E00")
                right.plot(one.r, row, "o", color="#D55E00")
        left.set_yticks(rows, [_short(item) for item in found])
        left.set(xlim=(0, 1), title="share that solved it (95 % Wilson)", ylim=(-0.6, len(found) - 0.4))
        right.axvline(0, color="#767676", linewidth=1)
        right.set(xlim=(-0.6, 1), title="item-rest correlation (95 % bootstrap)")
        alt = "; ".join(f"{_short(i)}: {_percent(i)}, correlation {_r(i)}" for i in found)
        return image_html(render(fig), f"Share that solved each question, and its item-rest correlation. {alt}.")


# -- tables ----------------------------------------------------------------------------------------------------------


def _percent(item: Item) -> str:
    return f"{item.share:.0%} ({item.low:.0%} to {item.high:.0%})"


def _r(item: Item) -> str:
    one = item.discrimination
    if one.r is None:
        return "-"
    return f"{one.r:.2f}" + ("" if one.low is None else f" ({one.low:.2f} to {one.high:.2f})")


def _table(found: Sequence[Item]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(_short(i))}</td><td class=n>{i.question.points}</td>"
        f"<td class=n>{i.question.difficulty}</td><td class=n>{_percent(i)}</td><td class=n>{_r(i)}</td></tr>\n"
        for i in found
    )
    text = (
        "<p>The correlation is between solving this question (yes or no) and the points on all others: near 0, the "
        "question says little about the rest; below 0, look for a fault in it. A question that nearly everybody or "
        f"nearly nobody solved has a wide interval or none. Below {FEW} submissions no correlation is shown. Questions "
        "that build on each other correlate for that reason, too, though the grader carries earlier mistakes.</p>"
    )
    return (
        "<div class=wide><table><tr><th>question</th><th class=n>points</th><th class=n>difficulty (author)</th>"
        f"<th class=n>solved</th><th class=n>item-rest correlation</th></tr>\n{rows}</table></div>{text}"
    )


def _mistakes(records: Sequence[Record], found: Sequence[Item]) -> str:
    rows = ""
    for item in found:
        wrong = item.n - item.solved - item.not_started
        for number, mistake in enumerate(common_mistakes(records, item.question.id)):
            name = html.escape(_short(item)) if number == 0 else ""
            told = "" if mistake.told else " <em>(students did not see this)</em>"
            rows += f"<tr><td>{name}</td><td class=n>{mistake.count} of {wrong}</td>"
            rows += f"<td>{html.escape(mistake.message)}{told}</td></tr>\n"
    if not rows:
        return "<p>None: whatever was started is right.</p>"
    note = "<p>Of the submissions that started a question and did not solve it. Messages that differ in numbers only "
    note += "are counted together; one submission can have several.</p>"
    head = "<tr><th>question</th><th class=n>submissions</th><th>what the grader said</th></tr>"
    return f"<div class=wide><table>{head}\n{rows}</table></div>{note}"


def _alike(found: similarity.Likeness, lab: cases.Lab) -> str:
    note = (
        '<p class="hint">A hint where to read, no finding. Likeness is the share of short runs of the syntax tree that '
        "two answers have in common, without names, constants, comments and what the lab gives; a short answer to a "
        "clear question has few shapes. In brackets: how many pairs of this class are as alike there, and how many "
        "pairs of right answers that are known to be independent (those are written to differ, so real independent "
        "ones are more alike than that). Rarity adds -log10 of the class's shares, as if questions were independent, "
        "which they are not: two students with one habit are alike in all. Talk before you judge.</p>"
    )
    if found.missing:
        some = ", ".join(map(html.escape, found.missing[:5]))
        note += f"<p>Not compared, because the file is gone or has changed: {len(found.missing)} ({some}).</p>"
    if not found.pairs:
        return f"{note}<p>Nothing to compare.</p>"
    rows = ""
    for pair in [pair for pair in found.pairs if pair.rarity > 0][:PAIRS]:
        said = []
        for question in sorted(pair.likeness, key=lambda q: -pair.likeness[q]):
            value = pair.likeness[question]
            (k, m), (base, all_) = found.share_at(question, value), found.base_at(question, value)
            if value >= similarity.NEAR:
                apart = f"; {base} of {all_} independent" if all_ else ""
                said.append(f"{question.split('.')[1]}: {value:.0%} [{k} of {m}{apart}]")
        rows += f"<tr><td>{html.escape(pair.first)}</td><td>{html.escape(pair.second)}</td>"
        rows += f"<td class=n>{pair.rarity:.1f}</td><td>{'; '.join(said) or 'nothing near'}</td></tr>\n"
    rates = "; ".join(
        f"{q.id.split('.')[1]} {_base_rate(found, q.id)}" for q in lab.questions if found.compared.get(q.id)
    )
    head = "<tr><th>one</th><th>other</th><th class=n>rarity</th><th>likeness by question</th></tr>"
    base = f"<p>Pairs at 90 % or more, in this class and among independent right answers: {rates or 'none'}.</p>"
    return f"{note}<div class=wide><table>{head}\n{rows}</table></div>{base}"


def _base_rate(found: similarity.Likeness, question: str) -> str:
    (k, m), (base, all_) = found.share_at(question, 0.9), found.base_at(question, 0.9)
    return f"{k} of {m}" + (f" and {base} of {all_}" if all_ else "")


def _students(records: Sequence[Record], found: Sequence[Item]) -> str:
    lab = records[0].lab
    texts = [entry for entry in lab.ungraded if entry.points]
    head = "".join(f"<th class=n>{i.question.id.split('.')[1]}</th>" for i in found)
    head += "".join(f"<th class=n>{entry.id.split('.')[1]}</th>" for entry in texts)
    rows = ""
    for record in records:
        points = record.points()
        row = "".join(f"<td class=n>{points[i.question.id]}</td>" for i in found)
        given = [record.written.get(entry.id) for entry in texts]
        row += "".join(f"<td class=n>{one['points']:g}</td>" if one else "<td class=n>-</td>" for one in given)
        again = f"regraded {len(record.regrades)} times" if record.regrades else ""
        notes = "; ".join(filter(None, [again, *record.report.notes]))[:200]
        name = html.escape(record.report.name)
        rows += f"<tr><td>{name}</td><td class=n>{record.report.score}</td>{row}<td>{html.escape(notes)}</td></tr>\n"
    columns = f"<tr><th>student</th><th class=n>grader</th>{head}<th>notes</th></tr>"
    return f"<div class=wide><table>{columns}\n{rows}</table></div>"


# -- command ---------------------------------------------------------------------------------------------------------


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m courseware summary", description="One page on how a class did in a lab, from its records."
    )
    parser.add_argument("gradebook", type=Path, metavar="grades.csv", help="what grade --out wrote")
    parser.add_argument("--lab", required=True, help='number of the lab, "03"')
    parser.add_argument("--out", type=Path, default=Path("summary.html"), metavar="summary.html")
    parser.add_argument("--anonymous", action="store_true", help="no names, no comparison: a page to show in class")
    options = parser.parse_args(list(argv))
    lab_id = cases.lab_id_of(options.lab)
    try:
        records = read_records(options.gradebook, lab_id)
        likeness = None
        if not options.anonymous:
            likeness = similarity.of_class(records[0].lab, records, _given(records[0].lab))
        write_file(options.out, page(records, likeness, names=not options.anonymous))
    except (GradebookError, SubmissionError, OSError) as error:
        print(f"summary: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: {len(records)} submissions of {lab_id}")
    return 0


def _given(lab: cases.Lab) -> list[Cell]:
    """The lab as students get it; nothing where it is not here, and then its stubs count as anybody's text."""
    try:
        return untouched_cells(lab)
    except SubmissionError:
        return []
