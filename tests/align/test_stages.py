"""The reward model as it lies in the package."""

import random

from llmlib.align import chat_prompt, end_of_turn, load_desk_reward
from llmlib.data import SupportDesk


def test_the_reward_model_tells_good_replies_from_bad_ones():
    desk = SupportDesk(0)
    reward, tokenizer = load_desk_reward(device="cpu")
    rng = random.Random("another test")
    requests = desk.requests(60, rng)
    prompts = [chat_prompt(tokenizer, request.text) for request in requests]
    scores = {}
    for style in ("good", "evasive", "mistaken"):
        replies = [tokenizer.encode(desk.reply(request, rng, style)) for request in requests]
        scores[style] = reward.score(prompts, replies, end_of_turn(tokenizer))
    assert not reward.training and (scores["good"] > scores["evasive"]).float().mean() > 0.9
    assert (scores["good"] > scores["mistaken"]).float().mean() > 0.8
