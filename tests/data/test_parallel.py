"""The same sentences in ten languages."""

from llmlib.data import parallel, parallel_sentences

FILE = """# Comment
msgid ""
msgstr "Project-Id-Version: django\\n"

msgid "This field is required."
msgstr "Dieses Feld ist zwingend erforderlich."

msgid ""
"Upload a valid image. The file you uploaded "
"was not an image."
msgstr ""
"Bitte ein Bild hochladen. Die Datei "
"ist keines."

#, fuzzy
msgid "Enter a number please."
msgstr "Etwas anderes."

msgctxt "month"
msgid "May as a month"
msgstr "Mai"

msgid "Not translated at all."
msgstr ""

#, python-format
msgid "Page %(n)s is too large."
msgstr "Seite %(n)s ist zu groß."

msgid "%d day is left"
msgid_plural "%d days are left"
msgstr[0] "ein Tag"
"""


def test_every_language_says_the_same_number_of_things():
    sentences = parallel_sentences()
    assert list(sentences) == ["English", *parallel.LANGUAGES]
    assert {len(texts) for texts in sentences.values()} == {37}
    assert all(text.strip() for texts in sentences.values() for text in texts)
    at = sentences["English"].index("This field is required.")
    assert sentences["Spanish"][at] == "Este campo es obligatorio."
    assert not any("%" in text or "{" in text for text in sentences["English"])


def test_messages_are_joined_and_doubtful_ones_left_out(tmp_path, monkeypatch):
    path = tmp_path / "messages.po"
    path.write_text(FILE, encoding="utf-8")
    monkeypatch.setattr(parallel, "fetch", lambda name: path)
    image = "Upload a valid image. The file you uploaded was not an image."
    assert parallel._translations("German") == {
        "This field is required.": "Dieses Feld ist zwingend erforderlich.",
        image: "Bitte ein Bild hochladen. Die Datei ist keines.",
        "Page %(n)s is too large.": "Seite %(n)s ist zu groß.",
    }
    monkeypatch.setattr(parallel, "LANGUAGES", ("German", "Finnish"))
    assert len(parallel_sentences()["Finnish"]) == 2  # the one with a place to fill in has gone
