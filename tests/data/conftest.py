import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fake_packages
import pytest

from llmlib.data import assets, fetching
from llmlib.data.registry import read_registry


@dataclass
class Shop:
    """A place where pip finds packages (`shelf`), an empty cache, and a registry that a test fills."""

    root: Path
    shelf: Path
    cache: Path
    install_registry: Callable[[Path], None]

    def sells(self, kinds: dict[str, str], assets: dict[str, tuple[bytes, list[tuple[str, ...]]]]) -> Path:
        path = fake_packages.registry(self.root / "registry.toml", kinds, assets)
        self.install_registry(path)
        return path

    def cached(self) -> list[str]:
        """What the cache holds apart from locks."""
        return sorted(p.name for p in self.cache.iterdir() if p.suffix != ".lock") if self.cache.exists() else []


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """pip without a network: it finds what lies on the shelf and nothing else."""
    shelf, cache = tmp_path / "shelf", tmp_path / "cache"
    shelf.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("LLMLIB_CACHE", str(cache))
    monkeypatch.delenv("LLMLIB_PACKAGES", raising=False)

    def install_registry(path: Path) -> None:
        table = read_registry(path)
        monkeypatch.setattr(fetching, "ASSETS", table)
        monkeypatch.setattr(assets, "ASSETS", table)

    return Shop(tmp_path, shelf, cache, install_registry)


@pytest.fixture
def stocked_shop(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The same with the shelf as the folder of archives, for tests that are not about pip: it is not even started."""
    monkeypatch.setenv("LLMLIB_PACKAGES", str(shop.shelf))
    return shop
