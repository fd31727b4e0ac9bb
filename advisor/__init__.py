"""Tells you how to transfer a pretrained network to your images, says why, and does it.

The names below load what they need when they are first used: `import advisor` is light.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from advisor.version import __version__

# How often threads of one operation look for each other before they sleep; read when torch is imported. Beside any
# other busy process a spinning thread takes the time that the one it waits for needs, and one that sleeps at once is
# woken too late for small operations (`benchmarks/spinning.py`). What a person has set stands.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")

if TYPE_CHECKING:
    from advisor.advice.recommend import recommend as recommend
    from advisor.advice.recommendation import Recommendation as Recommendation
    from advisor.data.dataset import ImageDataset as ImageDataset
    from advisor.data.dataset import open_dataset as open_dataset
    from advisor.errors import AdvisorError as AdvisorError
    from advisor.hookspecs import hookimpl as hookimpl
    from advisor.network.weights import read_state_dict as read_state_dict
    from advisor.outcome.bundle import load as load
    from advisor.outcome.bundle import load_backbone as load_backbone
    from advisor.outcome.estimator import AdvisorClassifier as AdvisorClassifier
    from advisor.outcome.explain import explain as explain
    from advisor.outcome.handover import Result as Result
    from advisor.outcome.predict import predict as predict
    from advisor.outcome.run import Machine as Machine
    from advisor.outcome.run import tune as tune
    from advisor.outcome.tuned import TunedModel as TunedModel
    from advisor.plugins import load_catalog as load_catalog
    from advisor.recipe import load_plan as load_plan
    from advisor.recipe import load_recipe as load_recipe

_HOMES = {
    "AdvisorClassifier": "advisor.outcome.estimator",
    "AdvisorError": "advisor.errors",
    "ImageDataset": "advisor.data.dataset",
    "Machine": "advisor.outcome.run",
    "Recommendation": "advisor.advice.recommendation",
    "Result": "advisor.outcome.handover",
    "TunedModel": "advisor.outcome.tuned",
    "explain": "advisor.outcome.explain",
    "hookimpl": "advisor.hookspecs",
    "load": "advisor.outcome.bundle",
    "load_backbone": "advisor.outcome.bundle",
    "load_catalog": "advisor.plugins",
    "load_plan": "advisor.recipe",
    "load_recipe": "advisor.recipe",
    "open_dataset": "advisor.data.dataset",
    "predict": "advisor.outcome.predict",
    "read_state_dict": "advisor.network.weights",
    "recommend": "advisor.advice.recommend",
    "tune": "advisor.outcome.run",
}

__all__ = [  # noqa: PLE0604 - the names are the keys above
    "__version__",
    *_HOMES,
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'advisor' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
