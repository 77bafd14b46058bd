"""Make the support desk's models that lie in the package, `load_desk("base")` and `load_desk("sft")`. Run it with

    OMP_NUM_THREADS=1 python experiments/sft_desk_stages.py

Seed 0 of world 0. The fine-tuned one begins at the base model's weights as shipped, in bf16; gold rewards are those of
the shipped weights, on requests of the report split. About a minute and a half of one core.
"""

import sft_bases
import support_desk as road
import torch

from llmlib.data import Experiment, SupportDesk
from llmlib.hub import load_desk
from llmlib.hub.desk import VOCABULARY, stage_file
from llmlib.hub.packaged import save_packaged


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("sft_desk_stages", script=__file__, modules=sft_bases.MODULES, seeds=(0,))
    desk = SupportDesk(0)
    model, tokenizer = sft_bases.base_of(0)
    tokenizer.save(VOCABULARY)
    save_packaged(model, stage_file("base"), torch.bfloat16)
    base = load_desk("base", device="cpu")[0]
    save_packaged(road.fine_tune(base, tokenizer, desk, 0), stage_file("sft"), torch.bfloat16)
    requests = road.held_out(desk)
    gold = {}
    for stage in ("base", "sft"):
        found = road.judge(desk, tokenizer, load_desk(stage, device="cpu")[0], requests, base=stage == "base")
        gold[stage] = road.means(found)
        print(stage, gold[stage], flush=True)
    experiment.save(dict(parameters=base.num_parameters(), gold=gold))


if __name__ == "__main__":
    main()
