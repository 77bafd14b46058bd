"""`python -m llmlib.capstone --preset class`: all stages, then a chat. Interrupted, it goes on where it was."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from llmlib.data import AssetError
from llmlib.train.energy import co2_grams

from .card import model_card
from .chatting import Assistant
from .monitoring import Monitor
from .pipeline import Pipeline
from .settings import PRESETS, capstone_preset
from .stages import STAGES
from .workshop import Workshop


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m llmlib.capstone", description=__doc__)
    parser.add_argument("--preset", default="class", choices=list(PRESETS))
    parser.add_argument("--out", help="the run's folder, by default build/capstone-PRESET-SEED")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--until", choices=list(STAGES), help="stop after this stage")
    parser.add_argument("--no-chat", action="store_true", help="end with the model card, without a prompt")
    args = parser.parse_args(argv)
    folder = Path(args.out or f"build/capstone-{args.preset}-{args.seed}")
    try:
        pipeline = Pipeline(folder, capstone_preset(args.preset).replace(seed=args.seed), progress=_say, bars=True)
        records = []
        for number, record in enumerate(pipeline.run(args.until), start=1):
            records.append(record)
            grams = co2_grams(record.joules)
            print(f"{number}/{len(STAGES)} {record.name}: {record.seconds:.1f} s, {grams:.3f} g CO2", flush=True)
            for name, value in record.figures.items():
                print(f"      {name}: {value}", flush=True)
        if len(records) < len(STAGES):
            return 0
        (folder / "model_card.md").write_text(model_card(records, pipeline.settings), encoding="utf-8")
        print(f"\nmodel card: {folder / 'model_card.md'}")
        if not args.no_chat:
            _chat(pipeline)
    except (ValueError, AssetError, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _say(text: str) -> None:
    print(f"      {text}", flush=True)


def _chat(pipeline: Pipeline) -> None:
    workshop = Workshop(pipeline.folder, pipeline.folder, pipeline.settings, _say)
    assistant = Assistant(
        workshop.model("policy"), workshop.tokenizer, monitor=Monitor(pipeline.folder / "chats" / "log.jsonl")
    )
    print("\nAsk the support desk something (an empty line ends it), for example: my lamp arrived broken")
    while True:
        try:
            message = input("> ")
        except EOFError:
            return
        if not message.strip():
            return
        try:
            for piece in assistant.stream(message):
                print(piece, end="", flush=True)
            print()
        except ValueError as problem:
            print(f"({problem})")


if __name__ == "__main__":
    sys.exit(main())
