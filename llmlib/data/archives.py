"""Read single files out of a wheel or a source archive, in memory: nothing is unpacked, so nothing escapes a folder."""

import fnmatch
import io
import json
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError)


class ArchiveError(Exception):
    """The archive is damaged, or does not hold what was asked for."""


def read_member(archive: Path, member: str) -> bytes:
    """The bytes of one member of `archive` (.whl, .zip or .tar.gz; the top folder of a tar is left out of names).

    Two marks are understood in `member`. "outer.zip!inner.txt" reads a file of an archive inside the archive.
    A name with "*" takes every file that matches, and returns them as one JSON Lines text in the order of their names,
    one object {"name": ..., "text": ...} a line: that makes a set of files one asset with one checksum.
    """
    outer, _, inner = member.partition("!")
    try:
        with _opened(archive, archive.name) as files:
            if "*" in outer:
                return _bundle(files, outer, archive)
            data = _read(files, outer, archive)
        if not inner:
            return data
        with _opened(io.BytesIO(data), outer) as files:
            return _read(files, inner, archive)
    except DAMAGE as error:
        raise ArchiveError(f"{archive.name} is damaged ({error or type(error).__name__})") from error


@contextmanager
def _opened(file: Path | io.BytesIO, name: str) -> Iterator["_Zip | _Tar"]:
    if name.endswith((".whl", ".zip")):
        with zipfile.ZipFile(file) as opened:
            yield _Zip(opened)
    else:
        stream = {"fileobj": file} if isinstance(file, io.BytesIO) else {"name": file}
        with tarfile.open(mode="r:*", **stream) as opened:
            yield _Tar(opened)


class _Zip:
    def __init__(self, opened: zipfile.ZipFile):
        self.opened = opened
        self.names = set(opened.namelist())

    def read(self, name: str) -> bytes:
        return self.opened.read(name)  # checks the CRC


class _Tar:
    def __init__(self, opened: tarfile.TarFile):
        self.opened = opened
        self.members = {m.name.removeprefix("./").partition("/")[2]: m for m in opened if m.isfile()}
        self.names = set(self.members)

    def read(self, name: str) -> bytes:
        data = self.opened.extractfile(self.members[name]).read()
        if len(data) != self.members[name].size:
            raise EOFError(f"{name} is cut short")
        return data


def _read(files: _Zip | _Tar, name: str, archive: Path) -> bytes:
    if name not in files.names:
        raise ArchiveError(f"{archive.name} holds no file {name}")
    return files.read(name)


def _bundle(files: _Zip | _Tar, pattern: str, archive: Path) -> bytes:
    names = sorted(fnmatch.filter(files.names, pattern))
    if not names:
        raise ArchiveError(f"{archive.name} holds no file {pattern}")
    lines = [json.dumps({"name": name, "text": files.read(name).decode("utf-8")}) for name in names]
    return ("\n".join(lines) + "\n").encode("ascii")
