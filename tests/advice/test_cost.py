import time

import timm
import torch

from advisor.advice.cost import measure_step


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
