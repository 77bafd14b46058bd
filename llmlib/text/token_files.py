"""What a byte-level vocabulary must be, and its two file formats: our JSON and tiktoken's ranks (lecture 02)."""

import base64
import json
import math
import os
import re
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from llmlib.files import write_file
from llmlib.text.printable import bytes_to_printable, printable_to_bytes

MOST_REPEATS = 10_000
LARGEST = 1 << 22  # ids of a vocabulary; published ones end at a quarter of a million


def check_vocabulary(
    ranks: Mapping[bytes, int],
    special_tokens: Mapping[str, int],
    *,
    missing_bytes: Iterable[int] = (),
    vocab_size: int | None = None,
    what: str = "vocabulary",
) -> None:
    """Raise ValueError unless the ids are 0 to n - 1, each used once, and every byte has a token of its own.

    `missing_bytes` names the bytes a vocabulary is known to lack (SmolLM2's lacks 21). With `vocab_size` ids may be
    left unused, as long as all are smaller. `what` begins the message.
    """
    if vocab_size is not None and (type(vocab_size) is not int or not 1 <= vocab_size <= LARGEST):
        raise ValueError(f"{what} has vocab_size {repr(vocab_size)[:40]}: expected a whole number from 1 to {LARGEST}")
    names: dict[int, bytes | str] = {}
    for token, index in [*ranks.items(), *special_tokens.items()]:
        if not token:
            raise ValueError(f"{what} has an empty token (id {index!r}): remove it")
        if isinstance(index, bool) or not isinstance(index, int) or index < 0:
            raise ValueError(f"{what} gives token {token[:80]!r} the id {repr(index)[:40]}: ids are integers from 0 up")
        if index in names:
            raise ValueError(
                f"{what} gives id {index} to both {names[index][:80]!r} and {token[:80]!r}: ids must differ"
            )
        names[index] = token
    if vocab_size is not None and names and max(names) >= vocab_size:
        raise ValueError(f"{what} has vocab_size {vocab_size} but uses id {max(names)}: raise it to {max(names) + 1}")
    if vocab_size is None and names and max(names) >= len(names):
        gap = next(i for i in range(len(names)) if i not in names)
        raise ValueError(
            f"{what} has {len(names)} tokens but none with id {gap}: ids must run from 0 without gaps "
            "(vocab_size=... allows them)"
        )
    declared = set(missing_bytes)
    missing = {b for b in range(256) if bytes([b]) not in ranks}
    if missing != declared:
        odd = min(missing ^ declared)
        state = "no token" if odd in missing else "a token although it is declared missing"
        raise ValueError(f"{what} has {state} for byte 0x{odd:02X}: a byte-level vocabulary needs all 256")


def check_special_tokens(special_tokens: Collection[str]) -> None:
    """Raise ValueError if a special token is empty, repeated, or the beginning of another."""
    if isinstance(special_tokens, str):
        raise ValueError(f"special_tokens is the string {special_tokens!r}: pass a list of strings")
    for token in special_tokens:
        if not isinstance(token, str) or not token or token != token.encode("utf-8", "replace").decode():
            raise ValueError(f"special_tokens holds {token!r}: each must be a non-empty str that UTF-8 can write")
    ordered = sorted(special_tokens)
    for shorter, longer in pairwise(ordered):
        if longer.startswith(shorter):
            kind = "twice" if longer == shorter else f"and {longer!r}, which begins with it"
            raise ValueError(f"special_tokens holds {shorter!r} {kind}: where one would match is not clear")


def read_ranks(path: str | os.PathLike) -> dict[bytes, int]:
    """Read a vocabulary in tiktoken's format: on each line a token in base64, a space, and its rank (which is its id).

    Anything that is not a whole vocabulary of bytes is a ValueError with the file and, where it can, the line.
    """
    path = Path(path)
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(read_utf8(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"vocabulary file {str(path)!r}, line {number}"
        try:
            encoded, rank = line.split()
            token, index = base64.b64decode(encoded, validate=True), int(rank)
        except ValueError:
            raise ValueError(f"{where}: expected a base64 token and its rank, got {line[:40]!r}") from None
        if token in ranks:
            raise ValueError(f"{where}: token {token[:80]!r} occurs twice, with ranks {ranks[token]} and {index}")
        ranks[token] = index
    check_vocabulary(ranks, {}, what=f"vocabulary file {str(path)!r}")
    return ranks


def write_vocabulary(
    path: str | os.PathLike,
    ranks: Mapping[bytes, int],
    special_tokens: Mapping[str, int],
    pattern: str,
    missing_bytes: Iterable[int] = (),
    vocab_size: int | None = None,
    in_order_of_ids: bool = True,
) -> None:
    """Write a BPE tokenizer as JSON: type, pattern, special_tokens, missing_bytes, and tokens as [base64, id] pairs.

    Where ids have gaps "vocab_size" says how many there are, and where tokens do not merge in the order of their ids
    (then `ranks` is in the order in which they do) "merge_order" is "listed".
    """
    head = {"type": "bpe", "pattern": pattern, "special_tokens": dict(special_tokens)}
    head["missing_bytes"] = list(missing_bytes)
    head |= {} if vocab_size is None else {"vocab_size": vocab_size}
    head |= {} if in_order_of_ids else {"merge_order": "listed"}
    rows = [json.dumps([base64.b64encode(token).decode(), i]) for token, i in ranks.items()]
    text = json.dumps(head, indent=1).removesuffix("\n}") + ',\n "tokens": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"
    write_file(path, text)


def read_vocabulary(path: str | os.PathLike) -> dict[str, Any]:
    """Read what `write_vocabulary` wrote: its arguments after `path`, by name. A damaged file is a ValueError."""
    what = f"vocabulary file {str(path)!r}"
    saved = read_saved(path, "bpe", "BPETokenizer")
    ranks: dict[bytes, int] = {}
    try:
        fields = {key: saved[key] for key in ("special_tokens", "pattern", "missing_bytes")}
        fields["vocab_size"] = saved.get("vocab_size")
        rows = [(base64.b64decode(token, validate=True), i) for token, i in saved["tokens"]]
        sound = isinstance(fields["special_tokens"], dict) and isinstance(fields["pattern"], str)
        sound = sound and isinstance(fields["missing_bytes"], list) and set(fields["missing_bytes"]) <= set(range(256))
        sound = sound and saved.get("merge_order") in (None, "listed")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{what} is damaged ({type(error).__name__}: {error}): save the tokenizer again") from None
    if not sound:
        raise ValueError(f"{what} is damaged (special_tokens, pattern or missing_bytes): save the tokenizer again")
    # Repeats are written out when a pattern is compiled, nested ones multiplied: a forged one could fill the memory.
    found = re.findall(r"\{(\d+)(?:,(\d*))?\}", fields["pattern"], re.ASCII)
    absurd = any(len(number) > 4 for pair in found for number in pair)
    if absurd or math.prod(int(most or least) for least, most in found) > MOST_REPEATS:
        shown = fields["pattern"][:80]
        raise ValueError(f"{what}: pattern {shown!r} repeats parts too often: stay below {MOST_REPEATS} times in all")
    for token, i in rows:
        if token in ranks:
            raise ValueError(
                f"{what}: token {token[:80]!r} occurs twice, with ids {repr(ranks[token])[:40]} and {repr(i)[:40]}"
            )
        ranks[token] = i
    return {"ranks": ranks, **fields, "order": list(ranks) if saved.get("merge_order") else None}


def read_vocab_merges(
    vocab: str | os.PathLike, merges: str | os.PathLike
) -> tuple[dict[bytes, int], dict[str, int], list[bytes]]:
    """Read GPT-2's two files: vocab.json, token -> id, and merges.txt, the merges from the first one learned on.

    Returns the tokens with their ids, the special tokens (what no merge makes and no single byte is) with theirs, and
    the tokens in the order in which they merge. Ids may have gaps. Files that are damaged or do not belong together are
    a ValueError.
    """
    what, what_merges = f"vocabulary file {os.fspath(vocab)!r}", f"merges file {os.fspath(merges)!r}"
    try:
        table = json.loads(read_utf8(Path(vocab)))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON ({error}): pass a vocab.json of a byte-level BPE") from None
    if not isinstance(table, dict) or not all(type(i) is int and 0 <= i < LARGEST for i in table.values()):
        raise ValueError(f"{what} is not a table of tokens and their ids from 0 to {LARGEST - 1}: pass a vocab.json")
    made: dict[str, None] = {}
    for number, line in enumerate(read_utf8(Path(merges)).split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line or (number == 1 and line.startswith("#version")):
            continue
        parts = line.split(" ")
        wrong = f"{what_merges}, line {number}: {line[:60]!r}"
        if len(parts) != 2 or not all(parts):
            raise ValueError(f"{wrong} is not two tokens with a space between them")
        if not all(len(part) == 1 or part in made for part in parts):
            raise ValueError(f"{wrong} merges a token that no earlier line makes")
        if "".join(parts) not in table:
            raise ValueError(f"{wrong} makes a token that {what} does not hold")
        made.setdefault("".join(parts))
    byte_of = {char: byte for byte, char in bytes_to_printable().items()}
    singles = sorted((token for token in table if token in byte_of), key=table.__getitem__)
    order = [printable_to_bytes(token) for token in (*singles, *made)]
    ids = {printable_to_bytes(token): table[token] for token in (*singles, *made)}
    special = {token: i for token, i in table.items() if token not in byte_of and token not in made}
    return ids, special, order


def read_saved(path: str | os.PathLike, kind: str, owner: str) -> dict[str, Any]:
    """The JSON object that the save() of the class `owner` wrote, of that "type"; anything else is a ValueError."""
    what = f"vocabulary file {str(path)!r}"
    text = read_utf8(Path(path))
    try:
        saved = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON ({error}): pass a file that {owner}.save() wrote") from None
    if not isinstance(saved, dict) or saved.get("type") != kind:
        raise ValueError(f"{what} does not hold a {owner}: pass a file that its save() wrote")
    return saved


def read_utf8(path: Path) -> str:
    """The text of a file; bytes that are not UTF-8 are a ValueError that names file and place."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"vocabulary file {str(path)!r} is not valid UTF-8 at byte {error.start}: is it the right file?"
        ) from None
