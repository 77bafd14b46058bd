"""The support desk: a generated world of customers and agents in which the true reward of every reply is known.

Lectures 11 to 13 and 20 take one model through it: text as it comes (`SupportDesk.transcripts`), demonstrations
(`demonstrations`), rankings by annotators who disagree (`rank`), and, for measuring only, the gold reward (`gold`).

True by construction:

- A request has one intent of sixteen and one item. Twelve intents are *demonstrated*; two are *compared* but never
  demonstrated; two are *unseen* after pre-training. Which ones, and which habits the agents have, follows from the
  world's seed.
- In the text as it comes, most agents evade, ramble or promise the wrong thing, and the most frequent reply is an
  evasion; one in about ten solves the problem, politely and with a next step.
- Customers make typing errors and say the same thing in four ways, with greetings and moods around it: of
  1,000 requests four in five are seen once.
- An annotator's scores are the gold reward with weights of his or her own (20 % deviation by default), and rankings are
  drawn from the Plackett-Luce model (Luce, 1959; Plackett, 1975): any two replies are compared as Bradley and Terry
  (1952) say, the better one preferred with probability sigmoid(difference / temperature).
"""

import itertools
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from .support_phrases import (
    CURT,
    DAYS,
    EVASIONS,
    GREETINGS,
    INTENTS,
    ITEMS,
    MOODS,
    NEXT_STEPS,
    POLITE,
    PROMISES,
    SMALL_TALK,
    THANKS,
    UNHAPPY,
    Intent,
)

GROUPS = ("demonstrated", "compared", "unseen")
STYLES = {"evasive": 0.34, "rambling": 0.16, "mistaken": 0.14, "curt": 0.1, "plain": 0.16, "good": 0.1}
LONGEST = 30  # words that a reply may have before it costs
WEIGHTS = {  # what each finding of `findings` adds to the gold reward
    "solved": 1.0, "half solved": 0.5, "polite": 0.3, "next step": 0.3, "wrong promise": -0.3, "evasive": -0.4,
    "repeated sentence": -0.2, "word too many": -0.03, "broken": -2.0, "empty": -0.5,
}  # fmt: skip
AT_MOST = {"polite": 1, "next step": 1, "wrong promise": 3, "evasive": 2, "repeated sentence": 3}


@dataclass(frozen=True)
class Request:
    """What a customer writes, with what is true about it."""

    text: str
    intent: str
    item: str


class SupportDesk:
    """One support desk. seed: which intents are demonstrated, compared and unseen, and the habits of its agents.

        desk = SupportDesk(0)
        request = desk.requests(1, random.Random(1))[0]
        desk.gold(request, "sorry to hear about your lamp . i will refund the lamp today .")

    All methods that draw take a `random.Random`, so that training and held-out requests come from different seeds.
    """

    def __init__(self, seed: int = 0) -> None:
        rng = random.Random(f"support desk {seed}")
        order = rng.sample(INTENTS, len(INTENTS))
        self.intents = {"demonstrated": order[:12], "compared": order[12:14], "unseen": order[14:]}
        self.group = {intent.name: name for name, intents in self.intents.items() for intent in intents}
        self.styles = {name: share * rng.uniform(0.85, 1.15) for name, share in STYLES.items()}
        self._habits = {  # Zipf's frequencies, in an order of this desk's own
            name: _zipf(rng.sample(phrases, len(phrases)))
            for name, phrases in dict(
                polite=POLITE, promise=PROMISES, next=NEXT_STEPS, evasion=EVASIONS, curt=CURT
            ).items()
        }
        self._asks = {intent.name: _zipf(rng.sample(intent.asks, len(intent.asks))) for intent in INTENTS}

    # --- what people write --------------------------------------------------------------------------------------------

    def requests(
        self, n: int, rng: random.Random, groups: Sequence[str] = ("demonstrated",), typos: float = 0.04
    ) -> list[Request]:
        """n requests with intents of the named groups, equally often. typos: errors per word."""
        unknown = [name for name in groups if name not in GROUPS]
        if unknown or not groups:
            raise ValueError(f"groups={list(groups)} must name some of {', '.join(GROUPS)}")
        intents = [intent for name in groups for intent in self.intents[name]]
        return [self._request(rng.choice(intents), rng, typos) for _ in range(n)]

    def _request(self, intent: Intent, rng: random.Random, typos: float) -> Request:
        item = rng.choice(ITEMS)
        ask = _pick(self._asks[intent.name], rng).format(item=item, day=rng.choice(DAYS))
        parts = [rng.choice(GREETINGS)] if rng.random() < 0.4 else []
        around = [rng.choice(MOODS)] if rng.random() < 0.3 else []
        parts += [*around, ask] if rng.random() < 0.5 else [ask, *around]
        words = [word for part in parts for word in [*part.split(), "."]]
        written = [_mistyped(w, rng) if w != item and len(w) > 3 and rng.random() < typos else w for w in words]
        return Request(" ".join(written[:-1]), intent.name, item)

    def reply(self, request: Request, rng: random.Random, style: str | None = None) -> str:
        """An agent's reply in one of the STYLES; in the desk's own mixture of them when none is named."""
        if style is None:
            style = rng.choices(list(self.styles), self.styles.values())[0]
        if style not in STYLES:
            raise ValueError(f"style={style!r} is not one of {', '.join(STYLES)}")
        polite, following = self._say("polite", request, rng), self._say("next", request, rng)
        some = lambda share, sentence: [sentence] if rng.random() < share else []
        if style == "good":
            said = [polite, self._promise(request, rng), following]
        elif style == "plain":
            said = [*some(0.25, polite), self._promise(request, rng), *some(0.25, following)]
        elif style == "mistaken":
            said = [*some(0.3, polite), self._promise(self._confused(request, rng), rng), *some(0.3, following)]
        elif style == "curt":
            said = [self._say("curt", request, rng)]
        elif style == "rambling":
            talk = [phrase.format(item=request.item) for phrase in rng.sample(SMALL_TALK, rng.randint(2, 4))]
            said = [*some(0.4, polite), *talk, *some(0.3, self._promise(request, rng))]
        else:
            said = [*some(0.15, polite), self._say("evasion", request, rng), *some(0.1, following)]
        return " ".join(f"{sentence} ." for sentence in said)

    def _say(self, habit: str, request: Request, rng: random.Random) -> str:
        return _pick(self._habits[habit], rng).format(item=request.item, day=rng.choice(DAYS))

    def _promise(self, request: Request, rng: random.Random) -> str:
        deed = rng.choice(_BY_NAME[request.intent].deeds).format(item=request.item)
        return _pick(self._habits["promise"], rng).format(deed=deed)

    def _confused(self, request: Request, rng: random.Random) -> Request:
        """The request as an agent sees it who has not read it: another intent, and perhaps another item."""
        other = rng.choice([intent for intent in INTENTS if intent.name != request.intent])
        item = rng.choice(ITEMS) if rng.random() < 0.3 else request.item
        return Request(request.text, other.name, item)

    # --- what models are trained on -----------------------------------------------------------------------------------

    def transcripts(self, n: int, rng: random.Random) -> list[str]:
        """(a) n documents as they come, all intents in them: conversations of one to three turns, customers' posts."""
        return [self._transcript(rng) for _ in range(n)]

    def _transcript(self, rng: random.Random) -> str:
        if rng.random() < 0.1:
            return "\n".join(r.text for r in self.requests(rng.randint(1, 3), rng, GROUPS))
        lines = []
        for _ in range(rng.choices((1, 2, 3), (7, 2, 1))[0]):
            request = self.requests(1, rng, GROUPS)[0]
            style = rng.choices(list(self.styles), self.styles.values())[0]
            opening = "" if not lines else f"{rng.choice(THANKS if style == 'good' else UNHAPPY)} . "
            lines += ["Customer:", opening + request.text, "Agent:", self.reply(request, rng, style)]
        return "\n".join(lines) + "\n"

    def demonstrations(
        self, n: int, rng: random.Random, quality: float = 0.3, groups: Sequence[str] = ("demonstrated",)
    ) -> list[tuple[Request, str]]:
        """(b) n requests with replies of the experienced team: solved, a share `quality` of them also in good style.

        The others solve the problem plainly. (c) and (d): rank replies to `requests(..., groups=...)`.
        """
        if not 0 <= quality <= 1:
            raise ValueError(f"quality={quality} is a share of the demonstrations: choose it from 0 to 1")
        styles = ["good" if rng.random() < quality else "plain" for _ in range(n)]
        return [(r, self.reply(r, rng, style)) for r, style in zip(self.requests(n, rng, groups), styles, strict=True)]

    # --- what is true -------------------------------------------------------------------------------------------------

    def findings(self, request: Request, reply: str) -> dict[str, float]:
        """How often each thing in WEIGHTS is found in a reply: what the gold reward is the weighted sum of."""
        words = reply.split()
        if not words:
            return {"empty": 1.0}
        sentences = [sentence for part in re.split(r"[.\n]", reply) if (sentence := " ".join(part.split()))]
        text = f" {' '.join(words)} "
        kept = {(name, d) for name, d in self._deeds if f" {d.format(item=request.item)} " in text}
        deeds = {name for name, pattern in self._any_item if pattern.search(text)}
        full = any(name == request.intent for name, _ in kept)
        found = {
            "solved": full,
            "half solved": not full and request.intent in deeds,
            "wrong promise": len(deeds - {request.intent}),
            "polite": sum(bool(_POLITE.fullmatch(sentence)) for sentence in sentences),
            "next step": sum(bool(_NEXT.fullmatch(sentence)) for sentence in sentences),
            "evasive": sum(bool(_EVASION.fullmatch(sentence)) for sentence in sentences)
            + sum(s in CURT for s in sentences),
            "repeated sentence": len(sentences) - len(set(sentences)),
            "word too many": max(0, len([w for w in words if w != "."]) - LONGEST),
            "broken": self.broken(reply),
        }
        return {name: float(min(value, AT_MOST.get(name, math.inf))) for name, value in found.items() if value}

    def gold(self, request: Request, reply: str) -> float:
        """(e) The gold reward, at most 1.6: for measuring, never for training."""
        return sum(WEIGHTS[name] * value for name, value in self.findings(request, reply).items())

    def broken(self, reply: str) -> float:
        """The share of neighbouring words, the ends included, that stand so in no sentence of an agent."""
        words = [".", *reply.split()]
        pairs = list(itertools.pairwise(words if words[-1] == "." else [*words, "<end>"]))
        return sum(pair not in self._pairs for pair in pairs) / max(1, len(pairs))

    @cached_property
    def _pairs(self) -> set[tuple[str, str]]:
        promises = [p.format(deed=deed) for p in PROMISES for intent in INTENTS for deed in intent.deeds]
        phrases = [*promises, *POLITE, *NEXT_STEPS, *EVASIONS, *SMALL_TALK, *CURT]
        filled = {p.format(item=item, day=day) for p in phrases for item in ITEMS for day in DAYS}
        return {pair for sentence in filled for pair in itertools.pairwise([".", *sentence.split(), "."])}

    @cached_property
    def _deeds(self) -> list[tuple[str, str]]:
        return [(intent.name, deed) for intent in INTENTS for deed in intent.deeds]

    @cached_property
    def _any_item(self) -> list[tuple[str, re.Pattern]]:
        return [(name, re.compile(f" {_pattern(deed)} ")) for name, deed in self._deeds]

    # --- what annotators say ------------------------------------------------------------------------------------------

    def annotators(self, n: int, rng: random.Random, deviation: float = 0.2, per_word: float = 0.0) -> list[dict]:
        """n annotators, each a dict of weights: the gold ones, each times a normal number of this deviation around 1.

        per_word: what they add for every word, which the gold reward does not: a taste for long replies.
        """
        return [
            {name: weight * max(0.0, rng.gauss(1, deviation)) for name, weight in WEIGHTS.items()}
            | {"word": per_word}
            for _ in range(n)
        ]  # fmt: skip

    def opinion(self, annotator: dict[str, float], request: Request, reply: str) -> float:
        """What an annotator thinks of a reply, before the noise of the day."""
        found = self.findings(request, reply) | {"word": len(reply.split())}
        return sum(annotator[name] * value for name, value in found.items())

    def rank(
        self,
        request: Request,
        replies: Sequence[str],
        rng: random.Random,
        annotator: dict[str, float] | None = None,
        temperature: float = 0.3,
    ) -> list[int]:
        """(c) The places of the replies, best first, as an annotator ranks them today; the gold scores without one."""
        if len(replies) < 2:
            raise ValueError(f"replies holds {len(replies)}: give at least two to rank")
        if not temperature > 0:
            raise ValueError(f"temperature={temperature} must be positive; near 0 rankings have no noise")
        judge = WEIGHTS | {"word": 0.0} if annotator is None else annotator
        scores = [self.opinion(judge, request, reply) / temperature for reply in replies]
        noisy = [score - math.log(-math.log(rng.random() or 1e-300)) for score in scores]  # Gumbel: Plackett-Luce
        return sorted(range(len(replies)), key=lambda i: -noisy[i])


_BY_NAME = {intent.name: intent for intent in INTENTS}


def _pattern(phrase: str) -> str:
    """A phrase as a regular expression, with any item and any day in its slots."""
    escaped = re.escape(phrase).replace(r"\{item\}", f"({'|'.join(ITEMS)})")
    return escaped.replace(r"\{day\}", f"({'|'.join(DAYS)})")


_POLITE = re.compile("|".join(map(_pattern, POLITE)))
_NEXT = re.compile("|".join(map(_pattern, NEXT_STEPS)))
_EVASION = re.compile("|".join(map(_pattern, EVASIONS)))


def _zipf(phrases: Sequence[str]) -> tuple[list[str], list[float]]:
    return list(phrases), [1 / rank for rank in range(1, len(phrases) + 1)]


def _pick(habit: tuple[list[str], list[float]], rng: random.Random) -> str:
    return rng.choices(*habit)[0]


def _mistyped(word: str, rng: random.Random) -> str:
    """Two neighbouring letters exchanged, or one left out."""
    i = rng.randrange(len(word) - 1)
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :] if rng.random() < 0.5 else word[:i] + word[i + 1 :]
