"""A tokenizer inside a checkpoint: the text its own `save` writes, and the name of its class."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from llmlib import text


def pack_tokenizer(tokenizer: object) -> dict:
    """ValueError, now rather than when somebody loads it, for a tokenizer that could not be brought back."""
    cls = type(tokenizer)
    if cls not in _known():
        raise ValueError(
            f"tokenizer is a {_name(cls)}, which load_checkpoint would not find: "
            f"derive its class from one of {', '.join(each.__name__ for each in _bases())}, or save it by itself"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        tokenizer.save(file)
        saved = dict(type=_name(cls), saved=file.read_text(encoding="utf-8"))
    again = unpack_tokenizer(saved)
    if type(again) is not cls:
        raise ValueError(f"tokenizer: {_name(cls)}.load returns a {_name(type(again))}: let it return cls(...)")
    return saved


def unpack_tokenizer(packed: object) -> object:
    """The inverse; ValueError for an unknown class or a damaged text."""
    name, saved = (packed.get(key) if isinstance(packed, dict) else None for key in ("type", "saved"))
    found = [cls for cls in _known() if _name(cls) == name]
    if not found:
        raise ValueError(f"has a tokenizer of unknown type {name!r}: import the module that defines it, then load")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        try:
            file.write_text(saved, encoding="utf-8")
            return found[-1].load(file)  # the last, if a notebook cell has defined it twice
        except Exception as problem:
            first_line = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
            raise ValueError(f"has a damaged tokenizer ({first_line}): save it anew") from None


def _bases() -> list[type]:
    parts = [getattr(text, name) for name in text.__all__]
    return [part for part in parts if isinstance(part, type) and hasattr(part, "load") and hasattr(part, "encode")]


def _known() -> list[type]:
    """The library's tokenizers and every class derived from them in this process."""

    def with_derived(cls: type) -> Iterator[type]:
        yield cls
        for derived in cls.__subclasses__():
            yield from with_derived(derived)

    return [each for cls in _bases() for each in with_derived(cls)]


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
