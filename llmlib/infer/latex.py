"""What LaTeX and typography do to numbers, undone, so that one reader serves them all. Lecture 16."""

import re
import unicodedata

_BRACE = re.compile(r"\\(?:boxed|fbox)\s{0,9}\{|\\[{}]|[{}]")
_WORDS = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{([^{}]*)\}\s*\{([^{}]*)\}|([0-9])\s*([0-9]))")
_SIMPLE = (
    (re.compile(r"\\(?:left|right|displaystyle|!)"), ""),
    (re.compile(r"(?<=[0-9])(?:\{,\}|\\[,;: ]|[\u00a0\u202f\u2009])(?=[0-9]{3}(?![0-9]))"), ","),
    (re.compile(r"\\([$%#&])"), r"\1"),
    (re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})"), "°"),
    (re.compile(r"\\(?:times|cdot)\b"), "×"),
    (re.compile(r"\\div\b"), "÷"),
    (re.compile(r"\\[,;: ]|\\[()\[\]]|~"), " "),
    (re.compile(r"\^\s*\{\s*(-?[0-9]+)\s*\}"), r"^\1"),
    (re.compile(r"_\{[^{}]*\}"), ""),
    (re.compile(r"[−﹣－]"), "-"),
)


def plain(text: str) -> str:
    """The same text with numbers as one types them: \\frac{3}{4} is 3/4, 1{,}000 is 1,000, 2½ is 2 1/2, − is -."""
    text = _WORDS.sub(r"\1", text)
    for pattern, replacement in _SIMPLE:
        text = pattern.sub(replacement, text)
    text = _FRACTION.sub(lambda found: _beside(found, f"{found[1] or found[3]}/{found[2] or found[4]}"), text)
    return re.sub("[¼-¾⅐-⅞]", lambda found: _beside(found, _spelled(found[0])), text)


def _beside(found: re.Match, fraction: str) -> str:
    """The fraction, with a space where a digit stands before it: 2½ is a mixed number."""
    before = found.string[: found.start()]
    return f" {fraction}" if before[-1:].isdigit() else fraction


def _spelled(sign: str) -> str:
    return unicodedata.normalize("NFKC", sign).replace("\u2044", "/")


def boxed(text: str) -> list[str]:
    """What stands in each \\boxed{...} or \\fbox{...}, inner before outer, braces included; one left open is none."""
    found: list[str] = []
    open_braces: list[int | None] = []  # where the content of a box begins, None for any other brace
    for brace in _BRACE.finditer(text):
        if brace[0] == "}":
            start = open_braces.pop() if open_braces else None
            if start is not None:
                found.append(text[start : brace.start()])
        elif brace[0] not in ("\\{", "\\}"):
            open_braces.append(None if brace[0] == "{" else brace.end())
    return found
