"""The model card: what a run made, of what, how good it is and what it took, in words."""

from __future__ import annotations

from collections.abc import Sequence

from llmlib.train.energy import co2_grams

from .pipeline import StageRecord
from .report import OUTSIDE
from .settings import CapstoneSettings
from .stages import STAGES


def model_card(records: Sequence[StageRecord], settings: CapstoneSettings, region: str = "world") -> str:
    """A model card (Mitchell et al., 2019) in Markdown, of a finished run's records.

    ValueError when a stage is missing: a card that leaves a stage out would be believed.
    """
    by_name = {record.name: record for record in records}
    missing = [name for name in STAGES if name not in by_name]
    if missing:
        raise ValueError(f"records lack the stage {missing[0]!r}: run the pipeline to its end first")
    card, base = by_name["report"].figures, by_name["pretrain"].figures
    joules = sum(record.joules for record in records)
    gold = "\n".join(
        f"| {name} | " + " | ".join("{:.2f} ({:.2f} to {:.2f})".format(*values) for values in each.values()) + " |"
        for name, each in card["gold"].items()
    )
    groups = list(card["gold"]["base"])
    bill = "\n".join(f"| {r.name} | {r.seconds:.1f} | {r.joules:.0f} | {r.energy_source} |" for r in records)
    wins = "\n".join(f"- {pair}: {v[0]:.2f} ({v[1]:.2f} to {v[2]:.2f})" for pair, v in card["wins"].items())
    kept = by_name["corpus"].figures
    prose = f" {kept['prose_characters']:,} characters of English prose (DATA.md)," if settings.prose else ""
    return f"""# A support desk's chat model

**What it is.** A decoder-only transformer of {base["parameters"]:,} parameters that answers one kind of question: what
customers of a generated support desk (world {settings.world}) ask. Seed {settings.seed}.

**Trained on.** {kept["kept"]:,} generated transcripts ({kept["characters"]:,} characters; {kept["copies"]} copies and
{kept["leaked"]} with held-out requests left out),{prose} {by_name["sft"].figures["demonstrations"]} demonstrations,
{by_name["reward"].figures["rankings"]} rankings by simulated annotators. No person's data.

**Meant for.** Teaching. **Not for** customers: it promises refunds nobody has agreed to, knows sixteen kinds of request
and no facts, and writes English of its own world.

## How good

Base model: {"{:.3f} bits a byte ({:.3f} to {:.3f})".format(*card["bits_per_byte"])} on unread transcripts.
Gold reward of sampled replies, mean with a 95 % interval, by group of requests:

| model | {" | ".join(groups)} |
| --- |{" --- |" * len(groups)}
{gold}

"cases" looks up the nearest solved request and repeats its answer. Share of requests (demonstrated and compared) on
which the first is better than the second, ties half:

{wins}

Of its replies {card["tasks"]["policy"]["solved"]:.0%} solve the problem in full and
{card["tasks"]["policy"]["wrong promise"]:.0%} promise something else as well or instead. Asked about what is no desk's
business, it promises something all the same in {card["outside"]["policy"]:.0%} of {len(OUTSIDE)} questions: nothing
here has taught it to refuse.

{card["demonstrations_repeated"]:.1%} of its replies are demonstrations word for word; {card["unfinished"]:.1%} were cut
off. {card["tokens_per_second"]["policy"]:.0f} tokens a second, {card["tokens_per_second"]["small"]:.0f} in
{settings.bits} bits ({by_name["quantize"].figures["file_bytes"]:,} bytes).

## What it took

| stage | seconds | joules | from |
| --- | --- | --- | --- |
{bill}

{joules / 3.6e6:.5f} kWh in all, {co2_grams(joules, region):.2f} g CO2 at the {region} mix.
"""
