import math
import time

import pytest
import torch
from made import FLAT

from advisor.recipe.values import TrialValues
from advisor.tuning import precision, trial
from advisor.tuning.precision import bfloat16_ratio, has_bfloat16
from advisor.tuning.trial import run_trial

VALUES = TrialValues.from_flat(
    {
        **FLAT,
        "head.name": "ridge",
        "freeze.depth": 0.0,
        "train.epochs": 0,
        "train.steps": 12,
        "train.label_smoothing": 0.1,
        "optimizer.lr": 1e-5,
    }
)


def cpuinfo(folder, flags):
    file = folder / "cpuinfo"
    file.write_text(f"processor\t: 0\nflags\t\t: fpu {flags} sse2\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    return file


@pytest.mark.parametrize(("flags", "there"), [("avx512_bf16", True), ("amx_bf16", True), ("avx512f avx512bw", False)])
def test_the_system_says_what_the_processor_multiplies(tmp_path, monkeypatch, flags, there):
    monkeypatch.delenv("ADVISOR_PRECISION", raising=False)
    assert has_bfloat16(cpuinfo(tmp_path, flags)) is there


def test_a_system_that_does_not_say_has_none(tmp_path):
    assert not has_bfloat16(tmp_path / "missing")


def test_a_person_can_switch_it_off(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVISOR_PRECISION", "float32")
    assert not has_bfloat16(cpuinfo(tmp_path, "avx512_bf16"))


def test_timing_changes_nothing():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Flatten(), torch.nn.Linear(288, 4)
    )
    before = {key: value.clone() for key, value in network.state_dict().items()}
    ratio = bfloat16_ratio(network, (torch.randn(1, 3, 8, 8),), 4)
    assert 0 < ratio < math.inf
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(module.training for module in network.modules())


@pytest.fixture
def measured(monkeypatch):
    """Lets a test say what timing brought, which a machine alone decides."""
    asked = []

    def say(ratio):
        monkeypatch.setattr(trial, "has_bfloat16", lambda: True)
        monkeypatch.setattr(trial, "WORTH_TIMING", 1)
        monkeypatch.setattr("advisor.tuning.context.bfloat16_ratio", lambda *_: asked.append(ratio) or ratio)
        return asked

    return say


def test_a_training_is_in_bfloat16_where_a_step_is_clearly_faster(context, monkeypatch, measured):
    monkeypatch.setattr(context, "_measured", {})
    plain = run_trial(context, VALUES, seed=0, deadline=time.monotonic() + 1e6, gated=False)
    asked = measured(0.6)
    lowered = run_trial(context, VALUES, seed=0, deadline=time.monotonic() + 1e6, gated=False)
    run_trial(context, VALUES, seed=1, deadline=time.monotonic() + 1e6, gated=False)
    assert asked == [0.6]  # once for a network and size
    assert "Trained in bfloat16: a step takes 60 % of its time in float32 here." in lowered.notes
    assert not any("bfloat16" in note for note in plain.notes)
    weights = [dict(done.network().named_parameters()) for done in (plain, lowered)]
    assert all(parameter.dtype == torch.float32 for parameter in weights[1].values())
    # Rounded to 8 bits it is another training, but not quite another.
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert abs(lowered.loss - plain.loss) < 0.05


@pytest.mark.parametrize("ratio", [precision.FAST_ENOUGH + 0.01, 3.0])
def test_a_training_stays_in_float32_where_that_gains_little(context, monkeypatch, measured, ratio):
    monkeypatch.setattr(context, "_measured", {})
    measured(ratio)
    done = run_trial(context, VALUES, seed=0, deadline=time.monotonic() + 1e6, gated=False)
    assert not any("bfloat16" in note for note in done.notes)
