"""`python -m courseware COMMAND ...`: a command is the `main(argv)` of courseware/COMMAND.py, loaded when asked for."""

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "build": "write lectures/, labs/ (and on demand solution notebooks) from their sources",
    "execute": "run lectures and store their normalised outputs",
    "run": "run every notebook once from an empty folder, as a test",
    "check": "show what the public cases say about a lab notebook",
    "grade": "grade submissions in a sandbox",
    "release": "pack what students or staff get",
    "badges": "write the repository's address into badges and the README",
    "claims": "collect the claims tables into docs/claims.md",
    "adopt": "carry an edit made in a lecture's .ipynb back to its source",
    "pages": "export an executed lecture to HTML and pictures, to look at it",
}


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in {"-h", "--help"}:
        print("usage: python -m courseware COMMAND ...\n")
        print("\n".join(f"  {name:9} {what}" for name, what in COMMANDS.items()))
        return 0
    if argv[0] not in COMMANDS:
        print(f"unknown command {argv[0]!r}: choose one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return importlib.import_module(f"courseware.{argv[0]}").main(argv[1:]) or 0


if __name__ == "__main__":
    sys.exit(main())
