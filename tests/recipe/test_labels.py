"""Which heads a recipe may try, and the one it gets where they cannot learn the task."""

import pytest

from advisor.plugins import load_catalog
from advisor.recipe.labels import HEAD, for_task, heads_of
from advisor.recipe.schema import Choices, Recipe
from advisor.task import MultiLabel, SingleLabel

CATALOG = load_catalog(only=())
ONE, SEVERAL = SingleLabel(("a", "b")), MultiLabel(("a", "b"))


def test_heads_are_those_fixed_searched_or_the_default():
    assert heads_of(Recipe("x")) == ("linear",)
    assert heads_of(Recipe("x", values={"head.name": "mlp"})) == ("mlp",)
    assert heads_of(Recipe("x", values={"head.name": Choices(("svm", "mlp"), "mlp")})) == ("svm", "mlp")


@pytest.mark.parametrize("name", sorted(CATALOG.heads))
def test_every_head_learns_one_class_an_image_and_stays(name):
    recipe = Recipe("x", values={"head.name": name, "train.epochs": 3})
    assert for_task(recipe, ONE, CATALOG) is recipe


@pytest.mark.parametrize("name", sorted(CATALOG.heads))
def test_a_head_that_cannot_have_several_labels_gives_way(name):
    recipe = Recipe(
        "x", values={"head.name": name, "head.init": "random", f"head.{name}.anything": 1, "train.epochs": 3}
    )
    adapted = for_task(recipe, SEVERAL, CATALOG)
    if CATALOG.head(name).multilabel:
        assert adapted is recipe
    else:
        assert adapted.values == {"head.name": HEAD, "head.init": "random", "train.epochs": 3}


def test_one_of_several_heads_that_cannot_is_enough_for_all_to_give_way():
    recipe = Recipe("x", values={"head.name": Choices(("ridge", "svm"))})
    assert heads_of(for_task(recipe, SEVERAL, CATALOG)) == (HEAD,)
    able = Recipe("x", values={"head.name": Choices(("ridge", "mlp"))})
    assert for_task(able, SEVERAL, CATALOG) is able


def test_the_head_that_learns_everything_does():
    assert all(task.accepts(CATALOG.head(HEAD)) for task in (ONE, SEVERAL))
