"""Fixtures for tests of plugins, there wherever transfer-advisor is installed.

Tests see no plugin but those they ask for, so that they pass alike on every machine: `advisor_plugins` is the list of
entry points that are let in, empty unless a test or a conftest overrides it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from advisor.plugins import Catalog


@pytest.fixture
def advisor_plugins() -> list[str]:
    """Names of the plugins that the test may see; override it."""
    return []


@pytest.fixture
def advisor_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, advisor_plugins: list[str]
) -> Path:
    """A cache folder of the test's own, no plugin but those asked for, and no hub; the folder."""
    home = tmp_path_factory.mktemp("advisor")
    monkeypatch.setenv("ADVISOR_CACHE", str(home))
    monkeypatch.setenv("ADVISOR_PLUGINS", ",".join(advisor_plugins))
    monkeypatch.delenv("ADVISOR_DISABLE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if "huggingface_hub" in sys.modules:  # it has read the environment already
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return home


@pytest.fixture
def advisor_catalog(advisor_home: Path) -> Catalog:
    """The core's own names and those of `advisor_plugins`; a broken plugin fails the test."""
    from advisor.plugins import load_catalog

    assert advisor_home.is_dir()
    said: list[str] = []
    catalog = load_catalog(on_warning=said.append)
    assert catalog.plugins
    if said:
        pytest.fail("\n".join(said))
    return catalog


@pytest.fixture
def tiny_images(tmp_path: Path) -> Path:
    """72 drawn images in three class folders."""
    from advisor.testing.samples import tiny_images

    return tiny_images(tmp_path / "shapes")


@pytest.fixture
def tiny_network(tmp_path: Path, advisor_home: Path) -> str:
    """The name of a very small backbone with seeded weights, for 64-pixel images."""
    from advisor.testing.samples import tiny_network

    assert advisor_home.is_dir()
    return tiny_network(tmp_path / "network")
