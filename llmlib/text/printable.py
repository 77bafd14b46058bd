"""GPT-2's way to write a byte as a visible character, in which vocab.json, merges.txt and GGUF files keep tokens."""

from collections.abc import Iterable


def bytes_to_printable() -> dict[int, str]:
    """GPT-2's alphabet for writing bytes as visible characters: the visible Latin-1 stand for themselves, the other 68
    bytes for U+0100 onwards, so that a space is "\u0120" (Radford et al., 2019; vocab.json and GGUF use it)."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    alphabet = {b: chr(b) for b in visible}
    others = (b for b in range(256) if b not in alphabet)
    return alphabet | {b: chr(256 + i) for i, b in enumerate(others)}


_BYTE_OF = {char: b for b, char in bytes_to_printable().items()}


def printable_to_bytes(token: Iterable[str]) -> bytes:
    """The bytes of a token written in GPT-2's alphabet. Another character is a ValueError."""
    try:
        return bytes([_BYTE_OF[char] for char in token])
    except KeyError as error:
        raise ValueError(
            f"token {str(token)[:80]!r} holds {error.args[0]!r}, which stands for no byte: not a byte-level vocabulary"
        ) from None
