"""GGUF: values equal the definition of each type, and no damaged or hostile file does worse than a GGUFError."""

import random
import struct
import tracemalloc

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlib.hub.gguf import GGUFError, GGUFFile

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
CODES = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}
TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 8}


# A small writer, so that every test file is made here


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, content):
    if kind == STRING:
        return string(content)
    if kind == ARRAY:
        element, items = content
        return struct.pack("<IQ", element, len(items)) + b"".join(value(element, item) for item in items)
    return struct.pack("<" + CODES[kind], content)


def entry(key, kind, content):
    return string(key) + struct.pack("<I", kind) + value(kind, content)


def row(name, shape, kind, offset):
    """One line of the tensor table; shape in row-major order, written reversed as GGUF has it."""
    dims = struct.pack(f"<{len(shape)}Q", *reversed(shape))
    return string(name) + struct.pack("<I", len(shape)) + dims + struct.pack("<IQ", kind, offset)


def gguf(entries=(), rows=(), data=b"", *, version=3, n_entries=None, n_tensors=None, alignment=32):
    counts = (len(rows) if n_tensors is None else n_tensors, len(entries) if n_entries is None else n_entries)
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join(entries) + b"".join(rows)
    return head + b"\0" * (-len(head) % alignment) + data


def place(tensors, alignment=32):
    """Rows and data of [(name, shape, type, bytes)], one after the other."""
    rows, data = [], b""
    for name, shape, kind, content in tensors:
        rows.append(row(name, shape, TYPES[kind], len(data)))
        data += content + b"\0" * (-len(content) % alignment)
    return rows, data


@pytest.fixture
def open_gguf(tmp_path):
    def open_content(content):
        path = tmp_path / "test.gguf"
        path.write_bytes(content)
        return GGUFFile(path)

    return open_content


ENTRIES = [
    entry("general.architecture", STRING, "llama"),
    entry("llama.block_count", U32, 30),
    entry("eps", F32, 0.5),
    entry("yes", BOOL, True),
    entry("tokens", ARRAY, (STRING, ["a", "Ġthe", "", "日本"])),
    entry("types", ARRAY, (I32, [3, 1, -1])),
    entry("flags", ARRAY, (BOOL, [True, False])),
    entry("empty", ARRAY, (STRING, [])),
]
RNG = np.random.default_rng(0)
BLOCKS = RNG.integers(0, 256, 6 * 34, dtype=np.uint8).tobytes()


def example():
    tensors = [
        ("norm", (3,), "F32", struct.pack("<3f", 1, 2, 3)),
        ("half", (2, 4), "F16", RNG.standard_normal(8).astype("<f2").tobytes()),
        ("q8", (2, 96), "Q8_0", BLOCKS),
        ("q41", (1, 2, 32), "Q4_1", BLOCKS[:40]),
        ("q40", (64,), "Q4_0", BLOCKS[:36]),
    ]
    return gguf(ENTRIES, *place(tensors))


# Sound files


def test_metadata(open_gguf):
    metadata = open_gguf(example()).metadata
    assert metadata["general.architecture"] == "llama"
    assert (metadata["llama.block_count"], metadata["eps"], metadata["yes"]) == (30, 0.5, True)
    assert metadata["tokens"] == ["a", "Ġthe", "", "日本"] and metadata["empty"] == []
    assert metadata["types"].tolist() == [3, 1, -1] and metadata["flags"].tolist() == [True, False]


@pytest.mark.parametrize("kind", CODES)
def test_every_scalar_type(open_gguf, kind):
    lowest = {I8: -128, I16: -32768, I32: -(2**31), I64: -(2**63), F32: -1.5, F64: 1e300, BOOL: False}
    expected = lowest.get(kind, 2 ** (8 * struct.calcsize(CODES[kind])) - 1)
    metadata = open_gguf(gguf([entry("x", kind, expected), entry("xs", ARRAY, (kind, [expected] * 3))])).metadata
    assert metadata["x"] == expected and metadata["xs"].tolist() == [expected] * 3


@pytest.mark.parametrize("version", [2, 3])
def test_plain_tensors(open_gguf, version):
    half = RNG.standard_normal((2, 4)).astype("<f2")
    rows, data = place([("a", (3,), "F32", struct.pack("<3f", 1, 2, 3)), ("b", (2, 4), "F16", half.tobytes())])
    file = open_gguf(gguf(rows=rows, data=data, version=version))
    assert list(file.tensors) == ["a", "b"] and file.tensors["b"].shape == (2, 4)
    assert file.read("a").tolist() == [1, 2, 3]
    np.testing.assert_array_equal(file.read("b"), half.astype(np.float32))
    assert all(array.dtype == np.float32 for _, array in file.items())


def unpacked(kind, content):
    """Block by block, weight by weight, as the format's definition says."""
    size, first = {"Q8_0": (34, 2), "Q4_0": (18, 2), "Q4_1": (20, 4)}[kind]
    weights = []
    for start in range(0, len(content), size):
        block = content[start : start + size]
        scale, *minimum = (np.float32(x) for x in struct.unpack(f"<{first // 2}e", block[:first]))
        packed = block[first:]
        if kind == "Q8_0":
            integers = struct.unpack("<32b", packed)
        else:
            integers = [b & 15 for b in packed] + [b >> 4 for b in packed]
        for q in integers:
            shifted = np.float32(q - 8 if kind == "Q4_0" else q)
            weights.append(shifted * scale + (minimum[0] if minimum else np.float32(0)))
    return np.array(weights, np.float32)


@pytest.mark.parametrize(("kind", "size"), [("Q8_0", 34), ("Q4_0", 18), ("Q4_1", 20)])
def test_quantized_tensors(open_gguf, kind, size):
    blocks = RNG.integers(0, 256, (6, size), dtype=np.uint8)
    n_scales = 2 if kind == "Q4_1" else 1
    blocks[:, : 2 * n_scales] = RNG.standard_normal((6, n_scales)).astype("<f2").view(np.uint8)
    content = blocks.tobytes()
    file = open_gguf(gguf([], *place([("w", (3, 64), kind, content)])))
    np.testing.assert_array_equal(file.read("w").reshape(-1), unpacked(kind, content))


def test_tensors_may_lie_in_any_order_and_alignment_may_differ(open_gguf):
    rows = [row("second", (2,), 0, 64), row("first", (2,), 0, 0)]
    data = struct.pack("<2f", 1, 2).ljust(64, b"\0") + struct.pack("<2f", 3, 4)
    file = open_gguf(gguf([entry("general.alignment", U32, 64)], rows, data, alignment=64))
    assert file.read("first").tolist() == [1, 2] and file.read("second").tolist() == [3, 4]
    assert list(file.tensors) == ["second", "first"]


def test_arrays_outlive_the_file_and_may_be_written(open_gguf):
    with open_gguf(example()) as file:
        arrays = dict(file.items())
        types = file.metadata["types"]
    arrays["norm"] += 1
    types[0] = 7
    assert arrays["norm"].tolist() == [2, 3, 4]


def test_a_scale_of_infinity_is_read_without_a_warning(open_gguf, recwarn):
    block = struct.pack("<e", float("inf")) + bytes(32)
    assert np.isnan(open_gguf(gguf([], *place([("w", (32,), "Q8_0", block)]))).read("w")).all()
    assert len(recwarn) == 0


def test_an_unknown_name(open_gguf):
    with pytest.raises(GGUFError, match=r"test\.gguf has no tensor 'nrom' among its 5 \(norm, half, q8"):
        open_gguf(example()).read("nrom")


# Damaged and hostile files

ONE = [row("w", (4,), 0, 0)]
DATA = struct.pack("<4f", 1, 2, 3, 4)
HUGE = 2**64 - 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "too short for a GGUF header"),
        (b"GGUF\3\0\0\0", "too short for a GGUF header"),
        (b"PK\3\4" + bytes(40), "begins with b'PK"),
        (gguf(version=1), "version 1 is not supported"),
        (gguf(version=4), "version 4 is not supported"),
        (gguf(version=3 << 24), "a big-endian file is not supported"),
        (gguf(n_entries=HUGE), f"claims 0 tensors and {HUGE} metadata entries"),
        (gguf(n_tensors=HUGE), f"claims {HUGE} tensors"),
        (gguf(n_entries=2**16), "cut off or damaged: "),
        (gguf(n_tensors=2**16), "cut off or damaged: "),
        (gguf([struct.pack("<Q", HUGE)]), f"takes {HUGE} bytes"),
        (gguf([entry(b"\xff", U8, 1)]), "not valid UTF-8"),
        (gguf([entry("x", STRING, b"\xc3")]), "not valid UTF-8"),
        (gguf([entry("x", U8, 1), entry("x", U8, 2)]), "'x' occurs twice"),
        (gguf([string("x") + struct.pack("<IQ", 13, 0)]), "unknown value type 13"),
        (gguf([string("x") + struct.pack("<IB", BOOL, 2)]), "truth value of 2"),
        (gguf([string("x") + struct.pack("<IIQB", ARRAY, BOOL, 1, 9)]), "truth value of 9"),
        (gguf([string("x") + struct.pack("<IIQ", ARRAY, STRING, HUGE)]), f"claims {HUGE} strings"),
        (gguf([string("x") + struct.pack("<IIQ", ARRAY, F64, 2**61)]), f"takes {2**64} bytes"),
        (
            gguf([string("x") + struct.pack("<IIQ", ARRAY, ARRAY, 2**40)]),
            "array of type 9: expected numbers or strings",
        ),
        (gguf([string("x") + struct.pack("<IIQ", ARRAY, 99, 1)]), "array of type 99"),
        (gguf([entry("general.alignment", U32, 0)]), "general.alignment is 0"),
        (gguf([entry("general.alignment", U32, 12)]), "general.alignment is 12"),
        (gguf([entry("general.alignment", U32, 2**31)]), "general.alignment is 2147483648"),
        (gguf([entry("general.alignment", STRING, "32")]), "general.alignment is 32"),
        (gguf([entry("general.alignment", ARRAY, (U32, [32, 32]))]), "general.alignment is [32 32]"),
        (gguf(rows=[row("w", (), 0, 0)], data=DATA), "has 0 dimensions"),
        (gguf(rows=[row("w", (1,) * 5, 0, 0)], data=DATA), "has 5 dimensions"),
        (gguf(rows=[string("w") + struct.pack("<I", 2**32 - 1)], data=DATA), "dimensions"),
        (gguf(rows=[row("w", (4, 0), 0, 0)], data=DATA), "row-major shape (4, 0)"),
        (gguf(rows=[row("w", (HUGE, HUGE, HUGE), 0, 0)], data=DATA), "ends at byte"),
        (gguf(rows=[row("w", (2**32, 2**32), 0, 0)], data=DATA), "ends at byte"),
        (gguf(rows=[row("w", (33,), 8, 0)], data=bytes(64)), "row-major shape (33,)"),
        (gguf(rows=[row("w", (4,), 12, 0)], data=DATA), "type 12, which this reader does not know: it reads F32, F16"),
        (gguf(rows=[row("w", (4,), 0, 16)], data=DATA * 2), "offset 16, out of line"),
        (gguf(rows=[row("w", (4,), 0, HUGE - 31)], data=DATA), "ends at byte"),
        (gguf(rows=ONE, data=DATA[:-1]), "ends at byte"),
        (gguf(rows=ONE * 2, data=DATA), "'w' occurs twice"),
        (gguf(rows=[row(str(i), (4,), 0, 0) for i in range(50)], data=DATA), "inside another tensor"),
        (gguf(rows=[row("a", (16,), 0, 0), row("b", (4,), 0, 32)], data=DATA * 4), "inside another tensor"),
    ],
)
def test_damaged_files(open_gguf, content, message):
    with pytest.raises(GGUFError, match=regex.escape(message)) as caught:
        open_gguf(content)
    text = str(caught.value)
    assert text.startswith("test.gguf: ") and "\n" not in text and len(text) < 300


def test_long_names_do_not_make_long_errors(open_gguf):
    with pytest.raises(GGUFError) as caught:
        open_gguf(gguf(rows=[row("w" * 100_000, (), 0, 0)]))
    assert len(str(caught.value)) < 300


def test_paths_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError):
        GGUFFile(tmp_path / "none.gguf")
    with pytest.raises(OSError):
        GGUFFile(tmp_path)


def read_everything(path, content):
    """True if the file is read to the end, False for a GGUFError; anything else is the test's failure."""
    path.write_bytes(content)
    try:
        with GGUFFile(path) as file:
            for name, array in file.items():
                assert array.shape == file.tensors[name].shape
    except GGUFError:
        return False
    return True


def test_cut_off_all_along_the_file(tmp_path):
    content = example()
    last = len(content) - 28  # the padding after the last tensor may go
    assert read_everything(tmp_path / "cut.gguf", content[:last])
    assert not any(read_everything(tmp_path / "cut.gguf", content[:n]) for n in range(0, last, 3))


def test_single_bytes_changed(tmp_path):
    content = example()
    rng = random.Random(0)
    outcomes = set()
    for at in range(0, len(content) - len(BLOCKS), 2):
        changed = bytearray(content)
        changed[at] = rng.choice([0, 1, 127, 128, 255, changed[at] ^ 1 << rng.randrange(8)])
        outcomes.add(read_everything(tmp_path / "changed.gguf", bytes(changed)))
    assert outcomes == {True, False}


INTERESTING = st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 4096, 1 << 40])


@given(st.lists(st.tuples(st.integers(0, 700), INTERESTING, st.sampled_from("<I <Q".split())), min_size=1, max_size=4))
@settings(max_examples=400, deadline=None)
def test_lengths_and_counts_changed(tmp_path_factory, edits):
    changed = bytearray(example())
    for at, number, code in edits:
        packed = struct.pack(code, number % 2 ** (8 * struct.calcsize(code)))
        changed[at : at + len(packed)] = packed
    tracemalloc.start()
    read_everything(tmp_path_factory.getbasetemp() / "numbers.gguf", bytes(changed))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000, "a file of a kilobyte must not take a megabyte"


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_noise_after_a_sound_header(tmp_path_factory, noise):
    content = b"GGUF" + struct.pack("<IQQ", 3, 2, 3) + noise
    assert read_everything(tmp_path_factory.getbasetemp() / "noise.gguf", content) in (True, False)
