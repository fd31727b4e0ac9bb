"""Networks and images that several modules share; nothing of them is trained."""

import pytest

from advisor.outcome.run import Machine, open_contexts
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.recipe import Plan, Recipe
from advisor.testing.samples import own_cache, tiny_images, tiny_network


@pytest.fixture(scope="session")
def pool(tmp_path_factory):
    """Networks and images of a plan over 30 drawn images; nothing is trained."""
    home = tmp_path_factory.mktemp("settings")
    plan = Plan(Recipe("test", values={}), str(tiny_images(home / "shapes", each=10)), tiny_network(home / "network"))
    with own_cache(home):
        yield open_contexts(plan, Machine("cpu"), load_catalog(), Silent())


@pytest.fixture
def context(pool):
    return pool.first
