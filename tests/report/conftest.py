"""A real recommendation, and one of images whose classes and files have the oddest names."""

from datetime import UTC, datetime

import pytest
from conftest import draw

import advisor
from advisor.plugins import load_catalog
from advisor.recipe import Choices, Plan, Range, Recipe
from advisor.report.recommendation import recommendation_page
from advisor.testing.samples import own_cache, tiny_images, tiny_network

MADE = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
ODD = [
    "<script>alert(1)</script>",
    "\"quoted\" & 'more' <img src=x onerror=alert(2)>",
    "👩🏽‍🔬🧪 emoji",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",  # Hebrew and Arabic
    "long " * 40,
    "\u202eturned\u2067 | *bold* `code` [a](b) {{ 7 * 7 }}\n# two lines </script><!--",
]
ODD_PLUGIN = """
import io
from advisor import hookimpl
from advisor.types import DatasetFormat, Listing
from advisor.testing.samples import draw

ODD = {odd!r}

def read(path):
    file = io.BytesIO()
    number = int(path.rsplit("#", 1)[1])
    draw(number % len(ODD), number // len(ODD)).save(file, "PNG")
    return file.getvalue()

def listing(location):
    numbers = range(len(ODD) * 20)
    labels = [ODD[n % len(ODD)] for n in numbers]
    return Listing("odd <b>set</b>", [f"{{label}}#{{n}}" for label, n in zip(labels, numbers)], labels, read)

@hookimpl
def advisor_datasets():
    yield DatasetFormat("odd", lambda location: float(location == "odd:"), listing)
"""


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A recommendation for drawn images, with a copy and wrong labels among them."""
    home = tmp_path_factory.mktemp("plain")
    folder = tiny_images(home / "shapes", each=40)
    draw(0, 3).save(folder / "across" / "copy.png")
    for seed in range(3):  # one of them may be drawn for the test part
        draw(2, 900 + seed).save(folder / "across" / f"wrong{seed}.png")
    with own_cache(home):
        return advisor.recommend(str(folder), backbone=tiny_network(home / "network"))


@pytest.fixture
def odd(install, tiny):
    """A recommendation for classes of hostile names."""
    install("odd", ODD_PLUGIN.format(odd=ODD))
    return advisor.recommend("odd:", backbone=tiny)


SEARCH = {
    "features.tap": 1.0, "head.name": "linear", "freeze.depth": Range(0.0, 1.0, start=0.4),
    "optimizer.lr": Range(1e-4, 1e-3, log=True, start=3e-4), "optimizer.lr_ratio": Range(1.0, 100.0, log=True, start=10.0),
    "train.epochs": 3, "train.batch_size": 16, "search.trials": 6, "search.budget": "90s", "search.folds": 1,
    "search.seeds": 1,
}  # fmt: skip


@pytest.fixture(scope="session")
def searched(tmp_path_factory):
    """The folder of a run over drawn images, some of them under a wrong label, with probes, heads and fine-tunings."""
    home = tmp_path_factory.mktemp("searched")
    folder = tiny_images(home / "shapes", each=30)
    for seed in range(30):
        draw(seed % 3, 900 + seed).save(folder / ("across", "blobs", "down")[seed // 3 % 3] / f"any{seed}.png")
    forecast = {"expected": {"metric": "accuracy", "accuracy": 0.61, "low": 0.4, "high": 0.7}}
    with own_cache(home):
        plan = Plan(Recipe("test", values=SEARCH), str(folder), tiny_network(home / "network"), evidence=forecast)
        return advisor.tune(plan, runs=home / "runs", device="cpu").folder


@pytest.fixture
def odd_run(install, tiny, tmp_path):
    """The folder of a run over classes of hostile names."""
    install("odd", ODD_PLUGIN.format(odd=ODD))
    values = {**SEARCH, "freeze.depth": 1.0, "search.trials": 1}
    return advisor.tune(Plan(Recipe("<b>r</b>", values=values), "odd:", tiny), runs=tmp_path, device="cpu").folder


@pytest.fixture
def multilabel_run(install, tiny, tmp_path):
    """The folder of a run over images with several labels."""
    install("tags", SEVERAL_PLUGIN)
    values = {**SEARCH, "head.name": Choices(("sigmoid",)), "search.trials": 2}
    return advisor.tune(Plan(Recipe("test", values=values), "tags:", tiny), runs=tmp_path, device="cpu").folder


SEVERAL_PLUGIN = """
import io
from advisor import hookimpl
from advisor.types import DatasetFormat, Listing
from advisor.testing.samples import draw

def read(path):
    file = io.BytesIO()
    draw(int(path) % 3, int(path)).save(file, "PNG")
    return file.getvalue()

def listing(location):
    kinds = ("across", "blobs", "down")
    labels = [tuple({kinds[n % 3], "even" if n % 2 == 0 else kinds[n % 3]}) for n in range(90)]
    return Listing("tags", [str(n) for n in range(90)], labels, read)

@hookimpl
def advisor_datasets():
    yield DatasetFormat("tags", lambda location: float(location == "tags:"), listing)
"""


@pytest.fixture
def multilabel(install, tiny):
    """A recommendation for images with several labels."""
    install("tags", SEVERAL_PLUGIN)
    return advisor.recommend("tags:", backbone=tiny)


@pytest.fixture
def page_of():
    """From a recommendation to its page."""

    def _page_of(found, plan="advisor.toml"):
        location = found.plan.location
        read = load_catalog().dataset_for(location).open(location).read
        return recommendation_page(found, plan=plan, read=read, made=MADE)

    return _page_of
