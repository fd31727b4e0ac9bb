import json
import time

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st

from advisor.advice.cost import Cost, StepCost, WayCost, measure_step
from advisor.strategy import Strategy


def test_a_step_is_timed_and_its_memory_counted_without_touching_the_network():
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=10).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    images = torch.randn(8, 3, 96, 96)
    cost = measure_step(network, images)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    weights = sum(p.numel() * 4 for p in network.parameters())
    assert cost.weights_bytes == 4 * weights
    bigger = measure_step(network, torch.randn(8, 3, 192, 192))
    assert 3 < bigger.activation_bytes_per_image / cost.activation_bytes_per_image < 5
    assert cost.peak_bytes(32) > cost.peak_bytes(8)
    began = time.perf_counter()
    with torch.no_grad():
        network(images)
    assert cost.seconds_per_image > (time.perf_counter() - began) / 8 / 5


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.floats(0, 1), st.floats(0, 1))
def test_time_is_images_and_steps_added_up(images, steps, each, update):
    cost = StepCost(each, update, 1000, 10)
    assert cost.seconds(images, steps) == pytest.approx(images * each + steps * update)
    assert cost.seconds(0, 0) == 0
    assert cost.peak_bytes(32) - cost.peak_bytes(16) == 160


def test_costs_are_plain_data_with_the_ways_as_text():
    cost = Cost(1.5, 4.0, {Strategy.LP_FT: WayCost("lp-ft", 60.0, 10), Strategy.LAST_LAYER: WayCost("x", 1.0, 0)}, 9.0)
    plain = json.loads(json.dumps(cost.to_dict()))
    assert plain["ways"] == {
        "lp-ft": {"recipe": "lp-ft", "seconds": 60.0, "extra_bytes": 10},
        "1": {"recipe": "x", "seconds": 1.0, "extra_bytes": 0},
    }
    assert plain["seconds"] == 9.0
