import itertools

import pytest
import torch

from advisor.network.depthwise import Convolution, Geometry

KERNELS = [(3, 3), (5, 5), (7, 7), (5, 9), (9, 4)]
MAPS = [(2, 2), (9, 8), (13, 7)]


@pytest.mark.parametrize(("kernel", "stride", "padding"), list(itertools.product(KERNELS, (1, 2, 3), (0, 1, 2, 3))))
def test_gradients_of_a_depthwise_convolution_are_those_of_torch(kernel, stride, padding):
    torch.manual_seed(0)
    sizes = [size for size in MAPS if all(size[i] + 2 * padding >= kernel[i] for i in (0, 1))]
    for height, width in sizes:
        images = torch.randn(2, 6, height, width, dtype=torch.float64, requires_grad=True)
        weight = torch.randn(6, 1, *kernel, dtype=torch.float64, requires_grad=True)
        bias = torch.randn(6, dtype=torch.float64, requires_grad=True)
        expected = torch.conv2d(images, weight, bias, stride, padding, 1, 6)
        geometry = Geometry((stride, stride), (padding, padding), (1, 1), 6)
        out = Convolution.apply(images, weight, bias, geometry)
        assert torch.equal(out, expected)
        above = torch.randn_like(out)
        for own, other in zip(
            torch.autograd.grad(out, (images, weight, bias), above),
            torch.autograd.grad(expected, (images, weight, bias), above),
            strict=True,
        ):
            torch.testing.assert_close(own, other)


@pytest.mark.parametrize(("groups", "dilation"), [(1, 1), (1, 2), (3, 1), (6, 2)])
def test_gradients_of_other_convolutions_are_those_of_torch(groups, dilation):
    torch.manual_seed(0)
    images = torch.randn(2, 6, 11, 12, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(12, 6 // groups, 5, 5, dtype=torch.float64, requires_grad=True)
    geometry = Geometry((1, 2), (2, 2), (dilation, dilation), groups)
    out = Convolution.apply(images, weight, None, geometry)
    expected = torch.conv2d(images, weight, None, (1, 2), 2, dilation, groups)
    above = torch.randn_like(out)
    for own, other in zip(
        torch.autograd.grad(out, (images, weight), above),
        torch.autograd.grad(expected, (images, weight), above),
        strict=True,
    ):
        torch.testing.assert_close(own, other)


def test_gradients_that_are_not_wanted_are_not_computed():
    images = torch.randn(2, 6, 9, 9)
    weight = torch.randn(6, 1, 5, 5, requires_grad=True)
    geometry = Geometry((1, 1), (2, 2), (1, 1), 6)
    Convolution.apply(images, weight, None, geometry).sum().backward()
    assert images.grad is None
    assert weight.grad is not None
