"""For authors of plugins: the conformance checks, as pytest suites and as functions.

Subclass a suite, give it the one fixture that it asks for, and inherit its tests:

    from advisor.testing import BackboneSuite

    class TestMyResnet(BackboneSuite):
        @pytest.fixture
        def backbone(self):
            return load_catalog().backbone("my-resnet")

`advisor plugins check` runs the same checks without pytest. The fixtures of `advisor.testing.pytest_plugin` are there
in every test run in which transfer-advisor is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advisor.testing.checking import Finding as Finding
    from advisor.testing.checking import Flaw as Flaw
    from advisor.testing.suites import BackboneSuite as BackboneSuite
    from advisor.testing.suites import DatasetFormatSuite as DatasetFormatSuite
    from advisor.testing.suites import HeadSuite as HeadSuite
    from advisor.testing.suites import PluginSuite as PluginSuite
    from advisor.testing.suites import RecipeSuite as RecipeSuite

_HOMES = {
    "BackboneSuite": "advisor.testing.suites",
    "DatasetFormatSuite": "advisor.testing.suites",
    "Finding": "advisor.testing.checking",
    "Flaw": "advisor.testing.checking",
    "HeadSuite": "advisor.testing.suites",
    "PluginSuite": "advisor.testing.suites",
    "RecipeSuite": "advisor.testing.suites",
}

__all__ = [*_HOMES]  # noqa: PLE0604 - the names are the keys above


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'advisor.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
