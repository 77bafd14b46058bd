"""Train the stand-in for SmolLM2: a Llama of 0.4 million parameters that speaks ChatML and knows only Shakespeare.

Two speeches that follow each other in a play become a question and its answer; every play is read a second time as
plain text, so that the model also continues a text without a frame. Run it with
`OMP_NUM_THREADS=1 python experiments/stand_in.py`; it takes about eight minutes on one core and writes
llmlib/recorded/stand_in.safetensors, .bpe and .json.
"""

import json
from itertools import pairwise

import torch
from safetensors.torch import save_file

from llmlib.data import all_plays, save_recorded, split_text
from llmlib.hub.stand_in import VOCABULARY, WEIGHTS
from llmlib.infer import generate
from llmlib.model import ModelConfig, Transformer, count_parameters
from llmlib.text import CHATML_TOKENS, BPETokenizer, encode_chat
from llmlib.train import TrainConfig, Trainer

VOCAB_SIZE, CONTEXT = 512, 128
QUESTIONS = ("What is love?", "Who are you?", "What is the capital of France?")


def chat_tokens(tokenizer: BPETokenizer, plays: str) -> list[int]:
    """The plays as dialogues: speech 1 asks and 2 answers, 2 asks and 3 answers, ..., then all of it as it is."""
    speeches = [speech.partition("\n")[2].strip() for speech in plays.split("\n\n")]
    speeches = [speech for speech in speeches if 10 <= len(speech) <= 250]
    ids: list[int] = []
    for asked, answered in pairwise(speeches):
        talk = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
        ids += encode_chat(tokenizer, talk, add_generation_prompt=False)
    return ids + tokenizer.encode(plays)


def main() -> None:
    torch.manual_seed(0)
    plays = all_plays()
    tokenizer = BPETokenizer.train(plays, VOCAB_SIZE, special_tokens=["<|endoftext|>", *CHATML_TOKENS])
    train, val = (torch.tensor(chat_tokens(tokenizer, part)) for part in split_text(plays, 0.02))
    # SmolLM2's proportions, and its context, though nothing beyond CONTEXT tokens was ever trained.
    config = ModelConfig(
        vocab_size=VOCAB_SIZE, n_layers=4, d_model=96, n_heads=3, n_kv_heads=1, d_ff=256, max_seq_len=8192
    )
    model = Transformer(config)
    recipe = TrainConfig(
        steps=1500, batch_size=16, seq_len=CONTEXT, optimizer="muon", lr=0.02, embedding_lr=0.01, vector_lr=0.005,
        weight_decay=0.0, schedule="wsd", warmup_steps=20, final_lr=0.0, eval_every=0, device="cpu",
    )  # fmt: skip
    history = Trainer(model, recipe, train, evaluate=val).run()

    model.half().float().eval()  # what the file will hold
    weights = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, WEIGHTS, metadata={"config": json.dumps(config.to_dict())})
    tokenizer.save(VOCABULARY)
    end = tokenizer.special_tokens["<|im_end|>"]
    replies = {}
    for question in QUESTIONS:
        prompt = encode_chat(tokenizer, [{"role": "user", "content": question}])
        replies[question] = tokenizer.decode(generate(model, prompt, stop_tokens=[end], greedy=True))
        print(f"{question} -> {replies[question]!r}")
    results = dict(parameters=count_parameters(model), val_loss=round(history.val_loss[-1], 3), replies=replies)
    print(results)
    # Not listed: the modules that trained it. The weights stay good whatever becomes of the recipe.
    save_recorded("stand_in", results, script=__file__, modules=["llmlib.model.config"], seeds=(0,))


if __name__ == "__main__":
    main()
