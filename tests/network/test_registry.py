"""Every architecture that timm registers, built without weights; minutes, so `-m slow` only."""

import pytest
import timm
import torch
from timm.models import list_models, list_modules

from advisor.errors import BackboneError
from advisor.network.stages import MIN_STAGES, classifier_parameters, stages_of

pytestmark = pytest.mark.slow

REFUSED = {}
OUT_OF_ORDER = {}


def scan(name):
    """What is wrong with the stages of an architecture; empty where nothing is."""
    with torch.device("meta"):
        network = timm.create_model(name).eval()
        size = network.pretrained_cfg["input_size"][-1]
        example = torch.zeros(1, 3, size, size)
    try:
        stages = stages_of(network, example)
    except BackboneError as error:
        return "refused: " + error.message
    if len(stages) < MIN_STAGES:
        return f"{len(stages)} stages"
    listed = [parameter for stage in stages.stages for parameter in stage.parameters]
    everything = {parameter for parameter, _ in network.named_parameters()} - classifier_parameters(network)
    if sorted(listed) != sorted(everything):
        return "not every parameter is in exactly one stage"
    finished = []
    taps = [stage.tap for stage in stages.stages[:-1]]
    for tap in taps:
        network.get_submodule(tap).register_forward_hook(lambda *_, tap=tap: finished.append(tap))
    with torch.no_grad():
        network(example)
    last = [tap for at, tap in enumerate(finished) if tap not in finished[at + 1 :]]
    return "" if last == taps else "taps out of order"


@pytest.mark.parametrize("family", list_modules())
def test_stages_of_every_architecture(family):
    found = {name: scan(name) for name in list_models(module=family)}
    found = {name: wrong for name, wrong in found.items() if wrong}
    expected = {name for name in (*REFUSED, *OUT_OF_ORDER) if name in list_models(module=family)}
    assert set(found) == expected, found
