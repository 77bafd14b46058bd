"""Small wheels and source archives for the tests of the fetch path: pip takes them from a folder, without a network."""

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path


def wheel(folder: Path, name: str, files: dict[str, bytes], version: str = "1.0") -> Path:
    """Write a wheel that pip accepts, holding `files` (path -> bytes)."""
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return path


BACKEND = b"""
def get_requires_for_build_wheel(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    import os
    os.mkdir(os.path.join(folder, "NAME-VERSION.dist-info"))
    with open(os.path.join(folder, "NAME-VERSION.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: NAME\\nVersion: VERSION\\n")
    return "NAME-VERSION.dist-info"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    raise NotImplementedError("only the archive is wanted")
"""


def sdist(folder: Path, name: str, files: dict[str, bytes], version: str = "1.0") -> Path:
    """Write a source archive whose build backend is inside it, so that pip needs nothing else."""
    files = {
        **files,
        "pyproject.toml": b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BACKEND.replace(b"NAME", name.encode()).replace(b"VERSION", version.encode()),
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
    }
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, data in files.items():
            header = tarfile.TarInfo(f"{name}-{version}/{member}")
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return path


def zipped(files: dict[str, bytes]) -> bytes:
    """An archive to put inside an archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return buffer.getvalue()


def registry(path: Path, kinds: dict[str, str], assets: dict[str, tuple[bytes, list[tuple[str, ...]]]]) -> Path:
    """Write a registry file. kinds: package -> "wheel" or "sdist"; assets: name -> (content, [(package, member), ...]).

    A third item of a source names its conversion.
    """
    lines = ["[packages]"]
    lines += [f'{name} = {{ version = "1.0", kind = "{kind}", bytes = 1000 }}' for name, kind in kinds.items()]
    for name, (content, sources) in assets.items():
        rows = [dict(zip(("package", "member", "convert"), source)) for source in sources]
        inline = ", ".join("{ " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in row.items()) + " }" for row in rows)
        lines += [f"[assets.{name}]", 'what = "a test"', 'licence = "CC0"', 'credit = "nobody"', 'suffix = ".txt"']
        lines += [f"bytes = {len(content)}", f'sha256 = "{hashlib.sha256(content).hexdigest()}"']
        lines += [f"sources = [{inline}]"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
