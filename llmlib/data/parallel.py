"""The same sentences in ten languages, to count what each costs in tokens. Lecture 05.

Messages of the Django web framework to its users, by its translators (assets "messages-...", BSD-3).
"""

import ast
import re

from .fetching import fetch

LANGUAGES = ("German", "Spanish", "Finnish", "Turkish", "Russian", "Arabic", "Hindi", "Japanese", "Chinese")


def parallel_sentences() -> dict[str, list[str]]:
    """Language -> its sentences, English first; the i-th of each says the same. 37 of them.

    Those of three words or more that all languages have and that hold no place to be filled in, no markup and no file
    name. Short, about forms and files, and translated from English: their lengths say little about other texts.
    """
    translated = {name: _translations(name) for name in LANGUAGES}
    english = [
        text
        for text in translated[LANGUAGES[0]]
        if len(text.split()) >= 3
        and not re.search(r"[%{<\n&]|[A-Z]{3}|__|\.py|http", text)
        and all(each.get(text) for each in translated.values())
    ]
    return {"English": english} | {name: [each[text] for text in english] for name, each in translated.items()}


def _translations(language: str) -> dict[str, str]:
    """English -> the language, of the messages with one form; those not translated, or doubtfully, left out."""
    found = {}
    for entry in fetch(f"messages-{language.lower()}").read_text(encoding="utf-8").split("\n\n"):
        texts = re.search(r'^msgid ((?:".*"\n)+)msgstr ((?:".*"\n?)+)', entry, re.M)
        if texts and "msgctxt" not in entry and "#, fuzzy" not in entry:
            english, other = ("".join(map(ast.literal_eval, text.strip().split("\n"))) for text in texts.groups())
            if english and other:
                found[english] = other
    return found
