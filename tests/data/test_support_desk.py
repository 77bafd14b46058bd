"""The support desk: what its docstring calls true by construction, counted and worked out by hand."""

import hashlib
import itertools
import math
import random
import re
from collections import Counter

import pytest

from llmlib.data import SupportDesk
from llmlib.data.support_desk import GROUPS, LONGEST, STYLES, WEIGHTS, Request, _mistyped
from llmlib.data.support_phrases import (
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
)
from llmlib.infer import wilson_interval

SEEDS = (0, 1, 4)


@pytest.fixture(scope="module")
def desks():
    return {seed: SupportDesk(seed) for seed in SEEDS}


@pytest.fixture(scope="module")
def written(desks):
    """3000 requests of all groups with a reply each, by seed."""
    said = {}
    for seed, desk in desks.items():
        rng = random.Random(seed)
        said[seed] = [(request, desk.reply(request, rng)) for request in desk.requests(3000, rng, GROUPS)]
    return said


def holds(rate, successes, total):
    """Whether a rate lies in the interval of 4 standard deviations around what was counted."""
    low, high = wilson_interval(successes, total, z=4)
    return low <= rate <= high


# --- the phrases ------------------------------------------------------------------------------------------------------


def test_there_are_sixteen_intents_said_in_four_ways_and_promised_in_two():
    assert len(INTENTS) == len(ITEMS) == 16
    assert all(len(set(intent.asks)) == 4 and len(set(intent.deeds)) == 2 for intent in INTENTS)
    assert all("{item}" in phrase for intent in INTENTS for phrase in (*intent.asks, *intent.deeds))
    deeds = [deed for intent in INTENTS for deed in intent.deeds]
    everything = [*POLITE, *NEXT_STEPS, *EVASIONS, *SMALL_TALK, *CURT, *deeds]
    assert len(set(everything)) == len(everything), "no sentence is of two kinds"
    for deed, other in itertools.permutations([*everything], 2):
        if deed in deeds:
            assert f" {deed} " not in f" {other} ", f"who says {other!r} would have promised {deed!r}"


def test_the_vocabulary_is_of_a_few_hundred_words():
    said = [*GREETINGS, *MOODS, *POLITE, *PROMISES, *NEXT_STEPS, *EVASIONS, *SMALL_TALK, *CURT, *ITEMS, *DAYS]
    said += [phrase for intent in INTENTS for phrase in (*intent.asks, *intent.deeds)]
    assert 200 < len({word for phrase in said for word in phrase.split() if "{" not in word}) < 500


# --- groups and requests ----------------------------------------------------------------------------------------------


def test_the_groups_are_twelve_two_and_two_intents(desks):
    for desk in desks.values():
        assert {name: len(desk.intents[name]) for name in GROUPS} == {"demonstrated": 12, "compared": 2, "unseen": 2}
        names = [intent.name for name in GROUPS for intent in desk.intents[name]]
        assert sorted(names) == sorted(intent.name for intent in INTENTS)
        assert all(desk.group[intent.name] == name for name in GROUPS for intent in desk.intents[name])


@pytest.mark.parametrize("groups", [("demonstrated",), ("compared",), ("unseen",), GROUPS])
def test_requests_are_of_the_named_groups_equally_often(desks, groups):
    for desk in desks.values():
        counts = Counter(request.intent for request in desk.requests(1600, random.Random(3), groups))
        named = [intent.name for name in groups for intent in desk.intents[name]]
        assert set(counts) == set(named)
        assert all(holds(1 / len(named), n, 1600) for n in counts.values())


def test_demonstrations_cover_the_demonstrated_intents_only(desks):
    for desk in desks.values():
        shown = {request.intent for request, _ in desk.demonstrations(400, random.Random(2))}
        assert shown == {intent.name for intent in desk.intents["demonstrated"]}


def test_transcripts_hold_all_intents(desks):
    for desk in desks.values():
        text = "\n".join(desk.transcripts(1500, random.Random(2)))
        for intent in INTENTS:
            assert any(re.search(deed.replace("{item}", r"\w+"), text) for deed in intent.deeds), intent.name


def test_transcripts_are_conversations_of_up_to_three_turns_or_posts_of_customers(desks):
    desk = desks[1]
    turns = Counter()
    for text in desk.transcripts(1000, random.Random(3)):
        said = re.findall(r"Customer:\n(.+)\nAgent:\n(.+)\n", text)
        turns[len(said)] += 1
        if said:
            assert text == "".join(f"Customer:\n{asked}\nAgent:\n{reply}\n" for asked, reply in said)
            assert all(desk.broken(reply) == 0 for _, reply in said)
        else:
            assert "Customer:" not in text and "Agent:" not in text and 1 <= len(text.split("\n")) <= 3
    for n, share in {0: 0.1, 1: 0.63, 2: 0.18, 3: 0.09}.items():
        assert holds(share, turns[n], 1000)


def test_a_request_without_typing_errors_is_one_of_the_four_ways_with_things_around_it(desks):
    one_of = lambda patterns: f"(?:{'|'.join(patterns)})"
    fill = lambda phrase: re.escape(phrase).replace(r"\{item\}", one_of(ITEMS)).replace(r"\{day\}", one_of(DAYS))
    either = lambda phrases: one_of(map(fill, phrases))
    asks = {intent.name: either(intent.asks) for intent in INTENTS}
    mood = either(MOODS)
    for request in desks[0].requests(600, random.Random(4), GROUPS, typos=0.0):
        ask = asks[request.intent]
        form = rf"(?:{either(GREETINGS)} \. )?(?:{ask}|{mood} \. {ask}|{ask} \. {mood})"
        assert re.fullmatch(form, request.text), request.text
        assert request.item in request.text.split()


def test_all_four_ways_of_saying_it_are_met(desks):
    asked = Counter()
    for request in desks[0].requests(3000, random.Random(4), GROUPS, typos=0.0):
        ways = {intent.name: intent.asks for intent in INTENTS}[request.intent]
        asked.update(
            (request.intent, way)
            for way in ways
            if re.search(way.replace("{item}", request.item).replace("{day}", r"\w+"), request.text)
        )
    assert len(asked) == 64


def test_typing_errors_are_as_many_as_asked_and_spare_the_item(desks):
    """The same generator state gives the same request; what differs between typos=0 and 1 are the words mistyped."""
    desk = desks[1]
    for seed in range(150):
        (wrong,) = desk.requests(1, random.Random(seed), GROUPS, typos=1.0)
        (right,) = desk.requests(1, random.Random(seed), GROUPS, typos=0.0)
        assert (wrong.intent, wrong.item) == (right.intent, right.item)
        pairs = list(zip(wrong.text.split(), right.text.split(), strict=True))
        assert wrong.item in wrong.text.split()
        for mistyped, word in pairs:
            if len(word) <= 3 or word == right.item:
                assert mistyped == word
            else:
                dropped = {word[:i] + word[i + 1 :] for i in range(len(word))}
                swapped = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
                assert mistyped in dropped | swapped

    vocabulary = {
        word
        for request in desk.requests(3000, random.Random(7), GROUPS, typos=0.0)
        for word in request.text.split()
    }  # fmt: skip
    words = [w for request in desk.requests(3000, random.Random(8), GROUPS) for w in request.text.split() if len(w) > 2]
    assert 0.01 < sum(word not in vocabulary for word in words) / len(words) < 0.04, "4 % of the longer words"


def test_one_mistyped_word():
    assert {_mistyped("lamp", random.Random(seed)) for seed in range(60)} == {
        "almp", "lmap", "lapm", "amp", "lmp", "lap",
    }  # fmt: skip


def test_most_requests_of_a_few_hundred_are_met_once(desks):
    for desk in desks.values():
        seen = Counter(request.text for request in desk.requests(300, random.Random(6)))
        assert sum(n for n in seen.values() if n == 1) > 0.8 * 300


# --- replies ----------------------------------------------------------------------------------------------------------


def test_the_most_frequent_reply_is_an_evasion(desks, written):
    for seed, pairs in written.items():
        said = Counter(reply.replace(request.item, "{item}").removesuffix(" .") for request, reply in pairs)
        assert said.most_common(1)[0][0] in EVASIONS
        (usual, _), *_ = Counter(reply for _, reply in pairs).most_common(1)
        assert desks[seed].findings(pairs[0][0], usual) == {"evasive": 1.0}


def test_one_reply_in_about_ten_is_all_one_could_wish(desks, written):
    for seed, pairs in written.items():
        best = [reply for request, reply in pairs if desks[seed].gold(request, reply) > 1.59]
        assert 0.07 < len(best) / len(pairs) < 0.14
        found = [desks[seed].findings(request, reply) for request, reply in pairs]
        assert sum({"solved", "polite", "next step"} <= set(f) for f in found) == len(best)
        assert sum("solved" in f for f in found) / len(found) < 0.4, "most do not solve it"


def test_every_style_says_what_it_is_called(desks):
    desk = desks[0]
    rng = random.Random(9)
    for request in desk.requests(150, rng, GROUPS):
        found = {style: desk.findings(request, desk.reply(request, rng, style)) for style in STYLES}
        assert found["good"] == {"solved": 1.0, "polite": 1.0, "next step": 1.0}
        assert found["plain"]["solved"] == 1 and set(found["plain"]) <= {"solved", "polite", "next step"}
        assert found["curt"] == {"evasive": 1.0}
        assert found["evasive"]["evasive"] == 1 and "solved" not in found["evasive"]
        assert found["mistaken"]["wrong promise"] == 1 and "solved" not in found["mistaken"]
        assert "evasive" not in found["rambling"] and "wrong promise" not in found["rambling"]
        assert not any("broken" in f or "repeated sentence" in f for f in found.values())


def test_the_styles_are_drawn_in_the_desks_own_shares(desks, written):
    for seed, desk in desks.items():
        total = sum(desk.styles.values())
        assert all(0.85 <= desk.styles[name] / share <= 1.15 for name, share in STYLES.items())
        curt = sum(reply.removesuffix(" .") in CURT for _, reply in written[seed])
        assert holds(desk.styles["curt"] / total, curt, len(written[seed]))


def test_the_quality_of_demonstrations_is_the_share_in_good_style(desks):
    desk = desks[0]
    for quality in (0.0, 0.3, 1.0):
        shown = desk.demonstrations(800, random.Random(1), quality=quality)
        found = [desk.findings(request, reply) for request, reply in shown]
        assert all(f["solved"] == 1 for f in found), "all solve the problem"
        full = sum(len(f) == 3 for f in found)
        by_chance = 0.25**2  # a plain reply that has both by chance
        assert holds(quality + (1 - quality) * by_chance, full, 800)


# --- the gold reward --------------------------------------------------------------------------------------------------

LAMP = Request("the lamp is broken", "broken", "lamp")
TWELVE = "the lamp is a popular product"
REPLIES = [  # a reply to LAMP, what is found in it, and its gold reward, both worked out by hand
    ("i am sorry about the lamp . we can replace the lamp for you . i will confirm it by email .",
     {"solved": 1, "polite": 1, "next step": 1}, 1.6),
    ("let me send you a new lamp right away .", {"solved": 1}, 1.0),
    ("let me send you a new tent right away .", {"half solved": 1}, 0.5),
    ("i will replace the lamp today . i will replace the tent today .", {"solved": 1}, 1.0),
    ("i am going to wrap the lamp now .", {"wrong promise": 1}, -0.3),
    ("i will wrap the lamp today . let me add a card to the bike right away .", {"wrong promise": 1}, -0.3),
    ("i will wrap the lamp today . i will refund the lamp today . we can trace the lamp for you . we can reserve the "
     "lamp for you .", {"wrong promise": 3}, -0.9),
    ("thank you for your message . of course , i am glad to help .", {"polite": 1}, 0.3),
    ("you can follow the lamp on your page . you will hear about the phone by sunday .", {"next step": 1}, 0.3),
    ("try again later .", {"evasive": 1}, -0.4),
    ("noted .", {"evasive": 1}, -0.4),
    ("ok . no . noted .", {"evasive": 2}, -0.8),
    ("try again later . try again later .", {"evasive": 2, "repeated sentence": 1}, -1.0),
    (" . ".join([TWELVE] * 6) + " .", {"repeated sentence": 3, "word too many": 6}, -0.78),
    ("we can replace the lamp for you . " * 2, {"solved": 1, "repeated sentence": 1}, 0.8),
    ("we can replace the lamp for you", {"solved": 1, "broken": 1 / 8}, 0.75),
    ("lamp lamp .", {"broken": 2 / 3}, -4 / 3),  # ". lamp" and "lamp lamp" are nowhere, "lamp ." is
    ("xyz", {"broken": 1}, -2.0),
    ("", {"empty": 1}, -0.5),
    (" \n ", {"empty": 1}, -0.5),
    ("our team works day and night .", {}, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "found", "gold"), REPLIES, ids=[reply[:30] or "empty" for reply, _, _ in REPLIES])
def test_a_reply_worked_out_by_hand(desks, reply, found, gold):
    for desk in desks.values():  # what is true is the same at every desk
        assert desk.findings(LAMP, reply) == pytest.approx(found)
        assert desk.gold(LAMP, reply) == pytest.approx(gold)


def test_every_finding_is_worked_out_by_hand_above():
    assert {name for _, found, _ in REPLIES for name in found} == set(WEIGHTS)


def test_the_length_that_costs_nothing_is_thirty_words(desks):
    ten = "we have been here for many years . our team works . "  # 7 and 3 words; the second one breaks off
    assert len(ten.replace(".", "").split()) == 10
    found = [desks[0].findings(LAMP, text) for text in (ten * 3, ten * 3 + "ok .", ten * 3 + "ok . no .")]
    assert LONGEST == 30 and [f.get("word too many") for f in found] == [None, 1, 2]


def test_a_reply_to_another_request_is_worth_less(desks):
    desk = desks[0]
    rng = random.Random(5)
    for request in desk.requests(100, rng, GROUPS):
        reply = desk.reply(request, rng, "good")
        other = rng.choice([intent.name for intent in INTENTS if intent.name != request.intent])
        item = next(item for item in ITEMS if item != request.item)
        assert desk.gold(Request("", other, request.item), reply) == pytest.approx(0.6 - 0.3)
        assert desk.gold(Request("", request.intent, item), reply) == pytest.approx(0.5 + 0.6)


def test_no_reply_is_worth_more_than_1_6(desks, written):
    for seed, pairs in written.items():
        assert max(desks[seed].gold(request, reply) for request, reply in pairs) == pytest.approx(1.6)
    stuffed = " ".join(f"{s} ." for s in ("we can replace the lamp for you", POLITE[1], POLITE[3], NEXT_STEPS[1]))
    assert desks[0].gold(LAMP, stuffed) == pytest.approx(1.6)


def test_no_agent_writes_broken_sentences_and_shuffled_ones_are(desks, written):
    rng = random.Random(0)
    for seed, pairs in written.items():
        assert all(desks[seed].broken(reply) == 0 for _, reply in pairs)
        for _, reply in pairs[:100]:
            words = reply.split()
            if len(words) > 6:
                assert desks[seed].broken(" ".join(rng.sample(words, len(words)))) > 0.1


# --- annotators -------------------------------------------------------------------------------------------------------

FOUR = [REPLIES[i][0] for i in (1, 7, 10, 3)]  # gold 1.0, 0.3, -0.4, 1.0


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_two_replies_are_compared_as_bradley_and_terry_say(desks, temperature):
    rng, n = random.Random(1), 3000
    wins = sum(desks[0].rank(LAMP, FOUR[:2], rng, temperature=temperature) == [0, 1] for _ in range(n))
    assert holds(1 / (1 + math.exp(-0.7 / temperature)), wins, n)


def test_rankings_follow_plackett_and_luce(desks):
    """All 24 orders against the product of shares, and every pair among the four as if there were no others."""
    rng, n = random.Random(2), 6000
    drawn = Counter(tuple(desks[0].rank(LAMP, FOUR, rng, temperature=1.0)) for _ in range(n))
    worth = [math.exp(desks[0].gold(LAMP, reply)) for reply in FOUR]
    for order in itertools.permutations(range(4)):
        p = math.prod(worth[i] / sum(worth[j] for j in order[place:]) for place, i in enumerate(order))
        assert holds(p, drawn[order], n), order
    for i, j in itertools.combinations(range(4), 2):
        ahead = sum(count for order, count in drawn.items() if order.index(i) < order.index(j))
        assert holds(worth[i] / (worth[i] + worth[j]), ahead, n)


def test_near_temperature_zero_the_gold_reward_decides(desks, written):
    desk, rng = desks[0], random.Random(3)
    for request, _ in written[0][:50]:
        replies = [desk.reply(request, rng, style) for style in ("curt", "good", "mistaken")]
        order = desk.rank(request, replies, rng, temperature=1e-6)
        gold = [desk.gold(request, replies[i]) for i in order]
        assert order[0] == 1 and gold == sorted(gold, reverse=True)


def test_annotators_deviate_by_a_fifth_and_keep_the_sign(desks):
    judges = desks[0].annotators(2000, random.Random(4))
    for name, weight in WEIGHTS.items():
        shares = [judge[name] / weight for judge in judges]
        mean = sum(shares) / len(shares)
        deviation = (sum((share - mean) ** 2 for share in shares) / len(shares)) ** 0.5
        assert mean == pytest.approx(1, abs=0.02) and deviation == pytest.approx(0.2, abs=0.02) and min(shares) >= 0
    assert all(judge["word"] == 0 for judge in judges)
    (exact,) = desks[0].annotators(1, random.Random(0), deviation=0.0)
    wild = desks[0].annotators(200, random.Random(5), deviation=3.0)
    assert all(judge[name] * weight >= 0 for judge in wild for name, weight in WEIGHTS.items())
    for reply, _, gold in REPLIES:
        assert desks[0].opinion(exact, LAMP, reply) == pytest.approx(gold)


def test_an_annotator_may_like_long_replies(desks):
    (judge,) = desks[0].annotators(1, random.Random(0), deviation=0.0, per_word=0.1)
    assert desks[0].opinion(judge, LAMP, FOUR[0]) == pytest.approx(1.0 + 0.1 * 10)  # the full stop among them
    short, long = "let me replace the lamp right away .", f"let me replace the lamp right away . {TWELVE} ."
    orders = [desks[0].rank(LAMP, [short, long], random.Random(s), judge, temperature=1e-3) for s in range(20)]
    assert orders == [[1, 0]] * 20


# --- reproducible -----------------------------------------------------------------------------------------------------


def everything(seed, draws):
    desk, rng = SupportDesk(seed), random.Random(draws)
    requests = desk.requests(20, rng, GROUPS)
    rankings = [desk.rank(r, [desk.reply(r, rng) for _ in range(4)], rng, desk.annotators(1, rng)[0]) for r in requests]
    return desk.group, desk.styles, requests, desk.transcripts(20, rng), desk.demonstrations(20, rng), rankings


def test_the_same_seeds_give_the_same_and_others_give_others():
    again, other_world, other_draws = everything(0, 0), everything(1, 0), everything(0, 1)
    assert everything(0, 0) == again
    assert again[:2] == other_draws[:2] and all(a != b for a, b in zip(again[2:], other_draws[2:]))
    assert all(a != b for a, b in zip(again[:5], other_world[:5]))


def fingerprint(thing):
    return hashlib.blake2b(repr(thing).encode(), digest_size=8).hexdigest()


@pytest.mark.parametrize(
    ("seed", "replies", "transcripts"),
    [(0, "a7b7c32198997e35", "8f909b353148000d"), (1, "31c98589adae3d9f", "cf9b240a11feaf14")],
)
def test_the_world_is_frozen(seed, replies, transcripts):
    """Recorded runs stand on it: a change of what it generates or scores is a new world and needs new recordings."""
    desk, rng = SupportDesk(seed), random.Random(0)
    assert fingerprint(desk.transcripts(50, random.Random(0))) == transcripts
    requests = desk.requests(40, rng, GROUPS)
    said = [(r, [desk.reply(r, rng) for _ in range(4)]) for r in requests]
    rankings = [desk.rank(r, four, rng, desk.annotators(1, rng)[0]) for r, four in said]
    gold = [round(desk.gold(r, reply), 6) for r, four in said for reply in four]
    by_hand = [round(desk.gold(LAMP, reply), 6) for reply, _, _ in REPLIES]
    shown = desk.demonstrations(40, rng)
    assert fingerprint((desk.group, said, rankings, gold, by_hand, shown)) == replies


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda desk, rng: desk.requests(1, rng, ("known",)), r"groups=\['known'\] must name some of demonstrated,"),
        (lambda desk, rng: desk.requests(1, rng, ()), r"groups=\[\] must name some of"),
        (lambda desk, rng: desk.reply(LAMP, rng, "rude"), "style='rude' is not one of evasive, rambling,"),
        (lambda desk, rng: desk.demonstrations(1, rng, quality=1.2), r"quality=1.2 .* choose it from 0 to 1"),
        (lambda desk, rng: desk.demonstrations(1, rng, quality=-0.1), r"quality=-0.1 "),
        (lambda desk, rng: desk.demonstrations(1, rng, groups=("all",)), r"groups=\['all'\] must name"),
        (lambda desk, rng: desk.rank(LAMP, ["ok ."], rng), "replies holds 1: give at least two"),
        (lambda desk, rng: desk.rank(LAMP, FOUR, rng, temperature=0), "temperature=0 must be positive; near 0"),
        (lambda desk, rng: desk.rank(LAMP, FOUR, rng, temperature=math.nan), "temperature=nan must be positive"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(desks, ask, message):
    with pytest.raises(ValueError, match=message):
        ask(desks[0], random.Random(0))
