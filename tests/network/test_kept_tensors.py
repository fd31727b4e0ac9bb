import timm
import torch
from torch import nn

from advisor.network.kept_tensors import kept_sizes


def test_what_layers_keep_is_counted_by_hand_and_weights_are_left_out():
    """A linear layer keeps its input, 10 numbers an image, and the rectifier its output, 20; the second takes that."""
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5))
    images = torch.randn(8, 10)
    assert sorted(kept_sizes(lambda: model(images), model)) == [8 * 10 * 4, 8 * 20 * 4]
    assert kept_sizes(lambda: model(images).sum().backward(), model) == kept_sizes(lambda: model(images), model)


def test_nothing_is_kept_where_nothing_is_trained():
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU()).requires_grad_(requires_grad=False)
    assert kept_sizes(lambda: model(torch.randn(8, 10)), model) == []


def test_statistics_of_batchnorm_are_the_models_own():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    images = torch.randn(2, 3, 5, 5)
    assert kept_sizes(lambda: model(images), model) == [2 * 3 * 25 * 4, 2 * 4 * 25 * 4]


def test_it_counts_without_autograd_being_on_and_grows_with_the_images():
    network = timm.create_model("test_resnet", num_classes=4).eval()
    with torch.no_grad():
        one, four = (sum(kept_sizes(lambda n=n: network(torch.randn(n, 3, 64, 64)), network)) for n in (1, 4))
    assert one > 0
    assert 3.9 < four / one < 4.1
