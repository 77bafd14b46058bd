"""The questions of lecture 17's experiment on calibration: facts, the same three forms with invented names, and others.

`known` and `invented` share their forms (a capital, an author, a chemical symbol), so that no form tells them apart.
Countries, novels and elements of `invented` do not exist; the only right reply is to say so, or not to answer.
"""

from llmlib.data import OpenQuestion

CAPITALS = (  # odd places are for training, even ones for the report
    "France Paris|Japan Tokyo|Italy Rome|Spain Madrid|Germany Berlin|Russia Moscow|Egypt Cairo|Greece Athens|"
    "Portugal Lisbon|Austria Vienna|Ireland Dublin|Norway Oslo|Sweden Stockholm|Finland Helsinki|Denmark Copenhagen|"
    "Poland Warsaw|Hungary Budapest|Turkey Ankara|Iran Tehran|Iraq Baghdad|Thailand Bangkok|Cuba Havana|Peru Lima|"
    "Chile Santiago|Kenya Nairobi|Canada Ottawa|Vietnam Hanoi|Belgium Brussels|Romania Bucharest|Bulgaria Sofia|"
    "Argentina Buenos Aires|Venezuela Caracas|Colombia Bogota/Bogotá|Ecuador Quito|Lebanon Beirut|Syria Damascus|"
    "Jordan Amman|Afghanistan Kabul|Nepal Kathmandu|Bangladesh Dhaka|Ghana Accra|Senegal Dakar|Morocco Rabat|"
    "Tunisia Tunis|Libya Tripoli|Ukraine Kyiv/Kiev|Latvia Riga|Estonia Tallinn|Lithuania Vilnius|"
    "Iceland Reykjavik/Reykjavík|Croatia Zagreb|Serbia Belgrade|Albania Tirana|Mongolia Ulaanbaatar/Ulan Bator|"
    "Jamaica Kingston|Uruguay Montevideo|Angola Luanda|Zambia Lusaka|Uganda Kampala|Ethiopia Addis Ababa"
)
AUTHORS = (
    "Hamlet:Shakespeare|Moby-Dick:Melville|Pride and Prejudice:Austen|Oliver Twist:Dickens|War and Peace:Tolstoy|"
    "Frankenstein:Shelley|Don Quixote:Cervantes|The Odyssey:Homer|1984:Orwell|The Hobbit:Tolkien|Dracula:Stoker|"
    "Jane Eyre:Brontë/Bronte|Ulysses:Joyce|The Great Gatsby:Fitzgerald|Crime and Punishment:Dostoevsky/Dostoyevsky|"
    "Emma:Austen|Great Expectations:Dickens|Macbeth:Shakespeare|Anna Karenina:Tolstoy|Animal Farm:Orwell|"
    "Robinson Crusoe:Defoe|Treasure Island:Stevenson|The Time Machine:Wells|Walden:Thoreau|The Raven:Poe|"
    "Middlemarch:Eliot|The Metamorphosis:Kafka|Les Misérables:Hugo|Candide:Voltaire|Faust:Goethe"
)
SYMBOLS = (
    "gold Au|oxygen O|silver Ag|hydrogen H|iron Fe|carbon C|copper Cu|nitrogen N|sodium Na|helium He|lead Pb|neon Ne|"
    "tin Sn|zinc Zn|calcium Ca|sulfur S|potassium K|lithium Li|mercury Hg|chlorine Cl|uranium U|silicon Si|argon Ar|"
    "nickel Ni|titanium Ti|iodine I|aluminium Al|phosphorus P|platinum Pt|magnesium Mg"
)
NO_COUNTRIES = (
    "Malvania Torrinia Ostrevia Belkaria Quendora Vastonia Lurania Pelmark Drovinia Sarkovia Ilmaria Tessany Gorvana "
    "Morvania Kelland Baritonia Ferrovia Nordavia Zembria Castovia Ulmenia Rovenia Yastria Hollomark Pranovia Selvonia "
    "Artesia-Novo Duranvia Wescarria Olbania"
).split()
NO_NOVELS = (
    "The Glass Harrow|A Winter in Belkar|The Salt Cartographer|Nine Lamps for Odile|The Orchard Ledger|"
    "Ashes of the Ferrymen|The Tin Cathedral|Letters to Morwen Hale|The Quiet Astronomer of Pell|"
    "Beneath the Copper Tide|The Lantern Assize|A Field Guide to Sorrowing|The Umber Regent|"
    "Three Bells at Dunmarrow|The Weaver's Arithmetic"
)
NO_ELEMENTS = (
    "vasperium|quellium|dorvanium|tressium|ombrium|halvonium|pyrelium|carnovium|zelenium|mardium|lutherium|"
    "sorvenium|brellium|nyxium|falconium"
)
SHOTS = (
    ("What is the longest river in South America?", "the Amazon"),
    ("Who painted the Mona Lisa?", "Leonardo da Vinci"),
    ("How many sides does a hexagon have?", "six"),
    ("Which language is spoken in Brazil?", "Portuguese"),
)
HONEST_SHOTS = (SHOTS[0], ("Who painted The Green Ferry at Osk?", "I don't know."), SHOTS[2],
                ("Which language is spoken in Threnland?", "I don't know."))  # fmt: skip
ASK = {
    "capital": "What is the capital of {}?", "author": "Who wrote {}?", "symbol": "What is the chemical symbol of {}?",
}  # fmt: skip


def _question(form: str, name: str, answer: str, group: str) -> OpenQuestion:
    return OpenQuestion(f"{group}/{form}/{name}", ASK[form].format(name), tuple(answer.split("/")))


def facts(part: int) -> list[OpenQuestion]:
    """Facts most people know: 30 capitals, 15 authors, 15 symbols. part: 0 for the report, 1 for training."""
    pairs = [("capital", *row.split(" ", 1)) for row in CAPITALS.split("|")]
    pairs += [("author", *row.split(":")) for row in AUTHORS.split("|")]
    pairs += [("symbol", *row.split(" ")) for row in SYMBOLS.split("|")]
    return [_question(*pair, "known") for pair in pairs[part::2]]


def invented() -> list[OpenQuestion]:
    """The same forms in the same numbers, about what does not exist."""
    names = [("capital", name) for name in NO_COUNTRIES]
    names += [("author", name) for name in NO_NOVELS.split("|")]
    names += [("symbol", name) for name in NO_ELEMENTS.split("|")]
    return [_question(form, name, "", "invented") for form, name in names]
