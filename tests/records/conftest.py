"""Records of every kind, and plain data of any shape."""

import pytest
from hypothesis import strategies as st

from advisor.recipe.values import FreezeValues, HeadValues, OptimizerValues, TrainValues, TrialValues
from advisor.records.evidence import (
    Ablation,
    EvidenceRecord,
    Explanation,
    ForecastRecord,
    JudgedImage,
    Mistake,
)
from advisor.records.plain import reason
from advisor.records.run import (
    BackboneRecord,
    ChoiceRecord,
    DatasetRecord,
    PluginRecord,
    RivalRecord,
    RunRecord,
    SearchRecord,
    WinnerRecord,
)
from advisor.records.trial import CurvePoint, TrialKind, TrialRecord, TrialState
from advisor.task import ClassScore

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
BAD = [None, True, "words", "", -7, 3.5, 10**400, float("nan"), float("inf"), [], [1], ["x"], {}, {"x": 1}, [[]], [{}]]


def places(data, path=()):
    """The path of every value inside plain data."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from places(value, (*path, key))


def replaced(data, path, value):
    """A copy with another value at a path."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = replaced(data[path[0]], path[1:], value)
    return copy


def without(data, path):
    """A copy without what is at a path."""
    copy = dict(data) if isinstance(data, dict) else list(data)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = without(data[path[0]], path[1:])
    return copy


def damaged(data):
    """The same data with everything in turn replaced by what does not belong there, or left out."""
    for path in places(data):
        yield without(data, path)
        for value in BAD:
            yield replaced(data, path, value)


def values(**parts):
    """Values of a fine-tuning."""
    return TrialValues(**{
        "head": HeadValues("linear", "probe", {"l2": 3e-4}),
        "freeze": FreezeValues(0.4, "auto"),
        "optimizer": OptimizerValues("adamw", 3e-4, 10.0, 1e-3, layer_decay=1.0),
        "train": TrainValues(
            epochs=3, batch_size=16, warmup=0.1, label_smoothing=0.0, mixup=0.0, ema=0.0, augment="crop"
        ),
        **parts,
    })  # fmt: skip


def trial(number=3, **changes):
    """A fine-tuning that ended."""
    return TrialRecord(**{
        "number": number, "kind": TrialKind.TRIAL, "state": TrialState.COMPLETE, "values": values(), "start": "test",
        "accuracy": 0.9, "loss": 0.3, "temperature": 1.5, "seconds": 2.5, "tap": 5, "frozen": 2, "frozen_share": 0.25,
        "steps": 6, "planned_steps": 12, "audit": "ab12",
        "curve": (CurvePoint(1, 4, 0.125, 0.8), CurvePoint(2, 6, 0.25, 0.9)), "notes": ("a note",), "reason": "",
        "ended": 1795966956.5, **changes,
    })  # fmt: skip


def probe(number=-5, **changes):
    """A closed-form probe."""
    plain = {"optimizer": None, "train": None, "freeze": FreezeValues(), "head": HeadValues("ridge")}
    return trial(number, **{
        "kind": TrialKind.PROBE, "values": values(**plain), "start": "", "tap": -number, "frozen": -number,
        "steps": None, "planned_steps": None, "curve": (), "ended": 1795966954.5, **changes,
    })  # fmt: skip


def run_record(**changes):
    """A run over three classes."""
    return RunRecord(**{
        "dataset": DatasetRecord("shapes", "5942c17f", False, {"train": 57, "val": 15, "test": 18}, ("a", "b", "c")),
        "backbone": BackboneRecord("tiny", "seed", "00ff", "mit", "nothing"),
        "recipe": "test", "scenario": 3, "advice": {"expected": {"accuracy": 0.61}, "probability_different": 0.9},
        "seed": 0, "device": "cpu",
        "search": SearchRecord(90.0, 6, "trials", 7.25, 6),
        "winner": WinnerRecord(3, TrialKind.TRIAL, 0.5, values()),
        "choice": ChoiceRecord(3, 4, 0.02, 0.03, 0.01, 1, 1, (
            RivalRecord(3, TrialKind.TRIAL, 0.9, 0.875, 2), RivalRecord(-5, TrialKind.PROBE, 0.8, 0.8, 1),
        )),
        "metric": "accuracy", "validation": 0.9, "validation_seeds": 2, "folds": 1, "validation_images": 15,
        "probe": 0.8, "test": 0.875, "test_interval": (0.6, 0.96), "test_balanced": 0.85, "test_images": 18,
        "temperature": 1.25, "per_class": (ClassScore("a", 10, 0.9), ClassScore("b", 8, 0.75)),
        "versions": {"torch": "2.0"},
        "plugins": (PluginRecord("heads", "transfer-advisor", "0.1", "active"),
                    PluginRecord("mine", "advisor-mine", "1.0", "off")),
        **changes,
    })  # fmt: skip


def evidence_record(**changes):
    """What the report of that run is made of."""
    mistake = Mistake(JudgedImage("a/1.png", "a", "b", 0.75, 0.125), "data:image/jpeg;base64,AA==")
    return EvidenceRecord(**{
        "stages": ("stem", "layer1", "layer2", "layer3", "layer4"), "trials": (probe(), trial()),
        "importances": {"optimizer.lr": 0.75, "freeze.depth": 0.25}, "mistakes": (mistake,),
        "forecast": ForecastRecord(0.61, 0.4, 0.7), **changes,
    })  # fmt: skip


def explanation(**changes):
    """Why that run's winner won."""
    return Explanation(**{
        "trial": 3, "importances": {"optimizer.lr": 1.0},
        "ablations": (Ablation("optimizer.lr", 3e-4, 1e-3, 0.05, 0.01), Ablation("head.name", "linear", "svm", 0.0, 0.02)),
        "left_out": ("freeze.depth = 0.0: no time left",),
        "curves": {"winner": (CurvePoint(0, 0, 0.0, 0.9),), "from-scratch": (CurvePoint(1, 4, 0.5, 0.25),)},
        "winner_steps": 0, "scratch_steps": None, **changes,
    })  # fmt: skip


def refuses(read, data):
    """Whether plain data is refused, by one of the errors that readers of files expect, in words."""
    try:
        read(data)
    except (KeyError, TypeError, ValueError) as error:
        words = reason(error)
    else:
        return False
    assert 0 < len(words) <= 200
    return True


@pytest.fixture
def old_run(tmp_path):
    """The folder of a run as it was written before trials told their steps and runs their seeds."""
    from .old import write_old_run

    return write_old_run(tmp_path / "old")
