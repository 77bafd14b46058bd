"""The claims table that ends a lecture.

A claim is one number or statement of the source lectures, beside what the paper says and what the notebook measured.
`python -m courseware claims` gathers the tables of all executed lectures into docs/claims.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from IPython.display import display

from courseware.classroom.sources import short_names

SPLITS = ("train", "choose", "report")
VERDICTS = ("holds", "fails", "cannot be tested at this scale")
CONTRADICTED = "not in this run, whose numbers contradict it"
_HEAD = "| the lectures say | the paper says | measured here | verdict |\n| --- | --- | --- | --- |"


@dataclass(frozen=True)
class Claim:
    """One row. `verdict` starts with one of VERDICTS; what limits it follows, best after a semicolon.

    says:     the statement, e.g. "GPT-2 small has 117M parameters".
    paper:    what the paper says, with its name and year.
    measured: what the cells above found, with its spread.
    source:   the key of the source lecture that says it, or several (see `courseware.classroom.sources`).
    split:    which of SPLITS a measured number comes from; empty for numbers that come from no data.
    rule:     for a verdict that rests on numbers of this run: the comparison it rests on, computed, so that another
              seed or machine can contradict it. None where nothing in the run could.
    Each may hold Markdown and LaTeX, on one line. Raises ValueError for an unknown verdict, source or split, and for
    an empty field.
    """

    says: str
    paper: str
    measured: str
    verdict: str
    source: str | Sequence[str] = ""
    split: str = ""
    rule: bool | None = None

    def __post_init__(self) -> None:
        for field in ("says", "paper", "measured", "verdict"):
            if not getattr(self, field).strip():
                raise ValueError(
                    f"Claim({self.says!r}): {field} is empty; write a dash with a reason if there is nothing"
                )
        if not self.verdict_kind:
            raise ValueError(f"verdict={self.verdict!r}: start with one of {', '.join(map(repr, VERDICTS))}")
        if self.split and self.split not in SPLITS:
            raise ValueError(f"split={self.split!r}: choose one of {', '.join(map(repr, SPLITS))}, or leave it out")
        if self.source:
            short_names(self.source)
        if self.rule is not None:
            object.__setattr__(self, "rule", bool(self.rule))  # numpy's and torch's would not go into JSON

    @property
    def verdict_kind(self) -> str:
        """Which of VERDICTS this is, or the empty string."""
        for kind in VERDICTS:
            rest = self.verdict.removeprefix(kind)
            if rest != self.verdict and (not rest or rest[0] in " ;,:"):
                return kind
        return ""


def claims_table(claims: Iterable[Claim]) -> None:
    """Display the claims as a Markdown table. The rows travel in the output's metadata too, for the ledger."""
    claims = list(claims)
    if not claims:
        raise ValueError("claims is empty: give at least one Claim")
    plain = "\n".join(f"{c.verdict}: {c.says}" for c in claims)
    rows = [{k: v for k, v in asdict(c).items() if k != "rule" or v is not None} for c in claims]
    metadata = {"courseware": {"claims": rows}}
    display({"text/markdown": markdown_table(claims), "text/plain": plain}, metadata=metadata, raw=True)


def markdown_table(claims: Sequence[Claim]) -> str:
    """The claims as a GitHub-style table."""
    rows = (f"| {_says(c)} | {table_cell(c.paper)} | {_measured(c)} | **{c.verdict_kind}**{_rest(c)} |" for c in claims)
    return "\n".join([_HEAD, *rows])


def _says(claim: Claim) -> str:
    return table_cell(claim.says) + (f" ({short_names(claim.source)})" if claim.source else "")


def _measured(claim: Claim) -> str:
    return table_cell(claim.measured) + (f" *({claim.split} split)*" if claim.split else "")


def table_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _rest(claim: Claim) -> str:
    rest = table_cell(claim.verdict.removeprefix(claim.verdict_kind))
    contradicted = f" ({CONTRADICTED})" if claim.rule is False else ""
    return (rest if not rest or rest[0] in ";,:" else " " + rest) + contradicted
