"""The conformance checks as pytest classes: subclass one, give its fixture, inherit the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from advisor.testing import backbones, datasets, heads, packages, recipes
from advisor.testing.datasets import Place
from advisor.testing.recipes import Cookbook

if TYPE_CHECKING:
    from advisor.plugins import Catalog
    from advisor.testing.checking import Check
    from advisor.types import Backbone, DatasetFormat, Head, RecipeFile


def _each(checks: tuple[Check, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("check", checks, ids=[check.__name__ for check in checks])


class BackboneSuite:
    """Tests of one backbone; give a fixture `backbone`."""

    @pytest.fixture
    def backbone(self) -> Backbone:
        """The backbone to test."""
        raise NotImplementedError("give a fixture called `backbone`")

    @_each(backbones.CHECKS)
    def test_backbone(self, backbone: Backbone, check: Check) -> None:
        """Run one check."""
        check(backbone)


class HeadSuite:
    """Tests of one head; give a fixture `head`."""

    @pytest.fixture
    def head(self) -> Head:
        """The head to test."""
        raise NotImplementedError("give a fixture called `head`")

    @_each(heads.CHECKS)
    def test_head(self, head: Head, check: Check) -> None:
        """Run one check."""
        check(head)


class DatasetFormatSuite:
    """Tests of one dataset format; give fixtures `dataset_format` and, where its example is not there, `location`."""

    @pytest.fixture
    def dataset_format(self) -> DatasetFormat:
        """The format to test."""
        raise NotImplementedError("give a fixture called `dataset_format`")

    @pytest.fixture
    def location(self, dataset_format: DatasetFormat) -> str:
        """Images that it reads."""
        return dataset_format.example

    @_each(datasets.CHECKS)
    def test_dataset_format(self, dataset_format: DatasetFormat, location: str, check: Check) -> None:
        """Run one check."""
        check(Place(dataset_format, location))


class RecipeSuite:
    """Tests of one recipe; give a fixture `recipe_file`."""

    @pytest.fixture
    def recipe_file(self) -> RecipeFile:
        """The recipe to test."""
        raise NotImplementedError("give a fixture called `recipe_file`")

    @pytest.fixture
    def catalog(self) -> Catalog:
        """Where its names are looked up: everything installed."""
        from advisor.plugins import load_catalog

        return load_catalog()

    @_each(recipes.CHECKS)
    def test_recipe(self, recipe_file: RecipeFile, catalog: Catalog, check: Check) -> None:
        """Run one check."""
        check(Cookbook(recipe_file, catalog))


class PluginSuite:
    """Tests of a whole plugin; give a fixture `plugin` with its entry point's name."""

    @pytest.fixture
    def plugin(self) -> str:
        """The name of the plugin to test."""
        raise NotImplementedError("give a fixture called `plugin`")

    @_each(packages.CHECKS)
    def test_plugin(self, plugin: str, check: Check) -> None:
        """Run one check."""
        check(packages.find(plugin))
