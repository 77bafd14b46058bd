"""The table of assets, read from registry.toml: which file of which package, its checksum, and whose work it is."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """One pinned archive. kind: "wheel" or "sdist"; size: bytes of the archive, for the progress bar only."""

    name: str
    version: str
    kind: str
    size: int

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Source:
    """A member of a package's archive, in the notation of `archives.read_member`, and how it becomes the asset."""

    package: Package
    member: str
    convert: Callable[[bytes], bytes] | None = None


@dataclass(frozen=True)
class Asset:
    """One file of the cache: size in bytes, and the sources that hold it, the usual one first."""

    name: str
    suffix: str
    size: int
    sha256: str
    what: str
    licence: str
    credit: str
    sources: tuple[Source, ...]


def vocabulary_lines(tokenizer_json: bytes) -> bytes:
    """The vocab.txt of a WordPiece tokenizer, one token a line in the order of ids, out of its tokenizer.json."""
    vocab = json.loads(tokenizer_json)["model"]["vocab"]
    return "".join(f"{token}\n" for token in sorted(vocab, key=vocab.get)).encode()


CONVERSIONS = {"vocabulary_lines": vocabulary_lines}


def read_registry(path: Path) -> dict[str, Asset]:
    """The assets of a registry file by name, in its order."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    packages = {
        name: Package(name, row["version"], row["kind"], row["bytes"]) for name, row in table["packages"].items()
    }

    def source(row: dict[str, str]) -> Source:
        convert = CONVERSIONS[row["convert"]] if "convert" in row else None
        return Source(packages[row["package"]], row["member"], convert)

    def asset(name: str, row: dict) -> Asset:
        row = {**row, "size": row["bytes"], "sources": tuple(source(s) for s in row["sources"])}
        del row["bytes"]
        return Asset(name, **row)

    return {name: asset(name, row) for name, row in table["assets"].items()}


ASSETS = read_registry(Path(__file__).with_name("registry.toml"))
