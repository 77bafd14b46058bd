"""The compiled kernel computes what its plain twin says, and whoever cannot have it learns why."""

import platform
import shutil
import stat

import pytest
import torch

from llmlib.adapt import (
    blockwise_matmul_plain,
    native,
    pack_tiles,
    quantize,
    quantize_q4_1,
    quantize_q8_0,
    round_activations,
)
from llmlib.adapt.blockwise import BlockwiseMatrix
from llmlib.adapt.native import NativeError, forget_native_kernel, native_failure, native_kernel

needs_compiler = pytest.mark.skipif(native_failure() is not None, reason=f"no native kernel: {native_failure()}")
KINDS = {
    "q4_1": quantize_q4_1,
    "q8_0": quantize_q8_0,
    "groups of 64": lambda weight: quantize(weight, 4, 64, scale_dtype=torch.float16),
}


@pytest.fixture(autouse=True)
def fresh():
    forget_native_kernel()
    yield
    forget_native_kernel()


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "native"


def matrix_and_vectors(kind: str, n_out: int, n_in: int, n: int):
    generator = torch.Generator().manual_seed(n_out + n)
    weight = 0.05 * torch.randn(n_out, n_in, generator=generator)
    x = torch.randn(n, n_in, generator=generator) * torch.logspace(-2, 1, n_in)
    return KINDS[kind](weight), x


def check_equal(kind, kernel=None):
    for n_out, n_in, n in ((16, 64, 1), (61, 192, 3), (160, 64, 15), (32, 128, 8)):
        matrix, x = matrix_and_vectors(kind, n_out, n_in, n)
        x[:, :32] = 0  # a block without anything in it
        expected, got = blockwise_matmul_plain(x, matrix), BlockwiseMatrix(matrix, kernel).matmul(x)
        torch.testing.assert_close(got, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_twin_is_the_product_of_the_rounded_numbers(kind):
    matrix, x = matrix_and_vectors(kind, 48, 128, 5)
    codes, scale = round_activations(x)
    assert codes.dtype == torch.int8 and codes.abs().amax() == 127
    rounded = (codes.float() * scale).flatten(1)
    assert ((rounded - x).unflatten(1, (-1, 32)).abs() <= 0.501 * scale).all(), "half a step at most"
    expected = rounded.double() @ matrix.dequantize().double().T
    torch.testing.assert_close(blockwise_matmul_plain(x, matrix).double(), expected, atol=1e-5, rtol=1e-3)
    assert (blockwise_matmul_plain(torch.zeros(2, 128), matrix) == 0).all()


def test_tiles_take_five_bits_a_weight():
    matrix, _ = matrix_and_vectors("q4_1", 32, 64, 1)
    tiles = pack_tiles(matrix)
    assert tiles.shape == (2, 2, 320) and tiles.nbytes * 8 == 5 * 32 * 64 == matrix.nbytes * 8
    row, block, output, place = 1, 1, 3, 9  # weight (19, 41): chunk 2, its second input, a low half
    assert tiles[row, block, 64 + 64 * 2 + 4 * output + 1] & 15 == matrix.codes[16 + output, 32 + place]
    assert tiles[row, block, 64 + 64 * 2 + 4 * output + 1] >> 4 == matrix.codes[16 + output, 32 + 16 + place]


@pytest.mark.parametrize(
    "matrix",
    [
        quantize(torch.randn(16, 64), 4, 32, symmetric=True),
        quantize(torch.randn(16, 64), 4, 16),
        quantize(torch.randn(16, 64), 8, 32),
        quantize(torch.randn(16, 48), 4, "channel"),
        quantize(torch.randn(16, 64), 8, "tensor", symmetric=True),
    ],
)
def test_matrices_of_another_make_are_refused(matrix):
    with pytest.raises(ValueError, match="the blockwise kernel takes"):
        pack_tiles(matrix)


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_equals_its_twin(kind):
    check_equal(kind)
    matrix, _ = matrix_and_vectors(kind, 61, 64, 1)
    packed, ids = BlockwiseMatrix(matrix), torch.tensor([60, 0, 17, 16])
    torch.testing.assert_close(packed.rows(ids), matrix.dequantize()[ids], atol=1e-6, rtol=1e-3)


@needs_compiler
@pytest.mark.parametrize("n_out", [32, 61])
def test_a_bound_product_writes_or_adds(n_out):
    matrix, x = matrix_and_vectors("q4_1", n_out, 64, 1)
    packed, vector, y = BlockwiseMatrix(matrix), x[0].clone(), torch.full((n_out,), 2.0)
    expected = packed.matmul(x)[0]
    packed.bind(vector, y)(1)
    assert torch.equal(y, expected)
    packed.bind(vector, y, add=True)(2)
    torch.testing.assert_close(y, 2 * expected)
    vector.zero_()
    packed.bind(vector, y)(1)
    assert (y == 0).all(), "it reads the vector where it is"


@needs_compiler
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names of x86")
@pytest.mark.parametrize("march, told", [("haswell", "AVX2"), ("x86-64", "plain C")])
def test_the_code_for_lesser_processors_equals_the_twin_too(march, told, empty_cache, monkeypatch):
    if march == "haswell" and torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        pytest.skip("this processor has no AVX2")
    flags = ["-march=" + march if flag.startswith("-march") else flag for flag in native.FLAGS]
    monkeypatch.setattr(native, "FLAGS", tuple(flags))
    kernel = native_kernel()
    assert kernel.instructions == told
    for kind in KINDS:
        check_equal(kind, kernel)


@needs_compiler
def test_it_is_built_once_for_each_source_and_processor(empty_cache, monkeypatch):
    first = native_kernel()
    assert first.path.parent == empty_cache and list(empty_cache.iterdir()) == [first.path]
    with monkeypatch.context() as patch:
        patch.setattr(native, "_compile", lambda *_: pytest.fail("built again"))
        forget_native_kernel()
        assert native_kernel().path == first.path
    monkeypatch.setattr(native, "_processor", lambda: "another")
    forget_native_kernel()
    assert native_kernel().path != first.path and len(list(empty_cache.iterdir())) == 2
    check_equal("q4_1")


def test_no_compiler(empty_cache, monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    assert native_failure() == "no C compiler found (looked for cc, gcc, clang)"
    with pytest.raises(NativeError, match="no C compiler found"):
        native_kernel()


@needs_compiler
def test_a_compiler_that_fails(empty_cache, tmp_path, monkeypatch):
    broken = tmp_path / "blockwise.c"
    broken.write_text("int blockwise_matmul( {")
    monkeypatch.setattr(native, "SOURCE", broken)
    assert "could not compile the kernel" in native_failure() and "error" in native_failure()
    assert not list(empty_cache.iterdir()), "nothing half made is left behind"
    with monkeypatch.context() as patch:
        patch.setattr(native, "_compile", lambda *_: pytest.fail("tried again"))
        assert "could not compile" in native_failure()


@needs_compiler
def test_a_compiler_without_openmp_builds_it_for_one_thread(empty_cache, tmp_path, monkeypatch):
    picky = tmp_path / "picky"
    real = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    picky.write_text(
        f'#!/bin/sh\ncase "$*" in *openmp*) echo "error: no openmp" >&2; exit 1;; esac\nexec {real} "$@"\n'
    )
    picky.chmod(picky.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(picky))
    kernel = native_kernel()
    assert not kernel.parallel and str(kernel).endswith("one thread, built by picky")
    check_equal("q4_1", kernel)


@needs_compiler
def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("LLMLIB_CACHE", str(tmp_path / "file" / "cache"))
    kernel = native_kernel()
    assert "llmlib-native-" in str(kernel.path) and not kernel.path.exists(), "built for this process alone"
    check_equal("q4_1", kernel)


@needs_compiler
def test_a_damaged_file_in_the_cache_is_built_anew(empty_cache):
    key = native._key(native._compiler(), (*native.FLAGS, "-fopenmp"))
    path = empty_cache / f"blockwise-{key}.so"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a library")
    assert native_kernel().path == path and path.stat().st_size > 1000


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("LLMLIB_NO_NATIVE", "1")
    assert native_failure() == "switched off by the environment variable LLMLIB_NO_NATIVE"
