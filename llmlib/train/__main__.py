"""`python -m llmlib.train --preset shakespeare-cpu`: see demo.py."""

import argparse
import sys
from collections.abc import Sequence

import torch

from llmlib.data import AssetError
from llmlib.model import preset
from llmlib.train.demo import run_demo
from llmlib.train.presets import train_preset, train_presets


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m llmlib.train", description="Train a GPT on Shakespeare, live.")
    parser.add_argument("--preset", default="shakespeare-cpu", help=f"one of {', '.join(train_presets())}")
    parser.add_argument("--steps", type=int, help="updates, instead of the preset's; the schedule shrinks with them")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another run")
    parser.add_argument("--device", help="cpu or cuda; by default CUDA where there is one")
    parser.add_argument("--prompt", default="ROMEO:", help="what the samples start with")
    parser.add_argument("--characters", type=int, default=600, help="length of the last sample")
    parser.add_argument("--out", help="save the trained model here, as a checkpoint")
    args = parser.parse_args(argv)
    try:
        config = train_preset(args.preset).replace(seed=args.seed, device=args.device)
        if args.steps is not None:
            if args.steps < 1:
                raise ValueError(f"steps={args.steps} must be at least 1")
            config = config.replace(steps=args.steps, warmup_steps=min(config.warmup_steps, args.steps))
        if config.dtype == "bfloat16" and args.device is None and not torch.cuda.is_available():
            raise ValueError(
                f"preset={args.preset!r} is made for CUDA and this machine has none: "
                "use --preset shakespeare-cpu, or insist with --device cpu"
            )
        run_demo(preset(args.preset), config, out=args.out, prompt=args.prompt, characters=args.characters)
    except (ValueError, AssetError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
